"""Words that lead somewhere: a file that a page names to its source, a public name to its page in the reference."""

import re

from .names import all_names
from .sources import PACKAGE

CODE = re.compile(r"^```.*?^```|^#.*?$|`([^`\n]+)`(?!\])", re.MULTILINE | re.DOTALL)  # fences and headings stay
ROW = re.compile(r"^\| (\w+) \|", re.MULTILINE)


def known_names() -> dict[str, str]:
    """From a name, as pages write it, to its page: mf.trace and model.fit, and for classes Linear, too."""
    names = all_names()
    found = {name.written: name.link for name in names}
    found |= {name.short: name.link for name in names if name.written.count(".") == 1 and name.short[0].isupper()}
    return found


def with_links(text: str, up: str) -> str:
    """The page with links from code to sources and names, the first time that each occurs; ``up`` leads to the top."""
    names, seen = known_names(), set()

    def link(match: re.Match) -> str:
        word = match[1]
        if word is None or word in seen:
            return match[0]
        path = word.removeprefix("miniframe/")
        if word.endswith(".py") and (PACKAGE / path).exists():
            target = f"{up}source/{path.removesuffix('.py')}.html"
        elif word.partition("(")[0] in names:
            target = f"{up}reference/{names[word.partition('(')[0]]}"
        else:
            return match[0]
        seen.add(word)
        return f"[`{word}`]({target})"

    return CODE.sub(link, text)


def with_linked_rows(text: str, up: str) -> str:
    """A table whose rows begin with names of layers, with those leading to their pages."""
    names = known_names()
    return ROW.sub(lambda row: f"| [{row[1]}]({up}reference/{names[row[1]]}) |" if row[1] in names else row[0], text)
