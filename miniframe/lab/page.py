"""The page's files: served one by one by the lab, and put together into one script for a replay and a notebook."""

from __future__ import annotations

import re
from importlib.resources import files

# in the order in which each needs only those before it
MODULES = (
    "wire.js",
    "dom.js",
    "colours.js",
    "plane.js",
    "strips.js",
    "curves.js",
    "controls.js",
    "matrix.js",
    "closeup.js",
    "steps.js",
    "pictures.js",
    "app.js",
)
ENTRIES = {"live.js": "text/javascript", "lab.css": "text/css", "index.html": "text/html"}
NAMES = {**dict.fromkeys(MODULES, "text/javascript"), **ENTRIES}


def read(name: str) -> str:
    """The text of one of the page's files.

    >>> "Content" in read("index.html") or "<title>" in read("index.html")
    True
    """
    if name not in NAMES:
        raise KeyError(f"the lab's page has no file {name!r}")
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def bundled(*ends: str) -> str:
    """All modules as one script, without imports and exports, and then more code that uses them."""
    return "\n".join([*(_inlined(read(name)) for name in MODULES), *ends])


def _inlined(code: str) -> str:
    """A module's code as part of a larger script."""
    code = re.sub(r"^import [^;]*;\n", "", code, flags=re.MULTILINE)
    return re.sub(r"^export ", "", code, flags=re.MULTILINE)
