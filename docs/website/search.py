"""The search: what mkdocs has collected from the pages, in an order in which names of the reference come first.

The result is a script, so that the search also works on pages opened from a disk; assets/search.js reads it.
"""

import json
import re
from html import unescape
from pathlib import Path

ORDER = {"reference/index": 3, "reference/": 0, "tutorials/": 1, "index.html": 1, "docs/": 2, "CHANGELOG": 4}
LONGEST = 1500  # characters of a section that are searched
METHOD = re.compile(r"#miniframe\.(?:\w+\.)*?(\w+\.\w+)$")


def entries(found: list[dict]) -> list[list]:
    """[title, rank, place, text] for each section, those of the reference first."""
    titles = {entry["location"]: plain(entry["title"]) for entry in found}
    kept = []
    for entry in found:
        place, text = entry["location"], plain(entry["text"])
        text = text.split("Source code in miniframe/")[0]
        title, page = titles[place], titles.get(place.split("#")[0], "")
        method = METHOD.search(place)
        if method:  # forward of Linear is no rival of functional.forward, or of the page on Linear
            title = method[1]
        rank = next((rank for start, rank in ORDER.items() if place.startswith(start)), 3)
        inner = bool(method) or ("#" in place and rank != 0)
        if (title or text) and not (method and rank != 0):
            kept.append([title, 2 * rank + inner, place, text[:LONGEST], "" if page == title else page])
    return sorted(kept, key=lambda entry: entry[1])


def plain(html: str) -> str:
    """Text without tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def write(site: Path) -> None:
    """Turns search/search_index.json, which mkdocs made, into search/entries.js."""
    source = site / "search" / "search_index.json"
    found = entries(json.loads(source.read_text())["docs"])
    (site / "search" / "entries.js").write_text(f"window.searchEntries = {json.dumps(found, ensure_ascii=False)};\n")
    source.unlink()
