"""The reference: an index of all public names, and a page for each, or for each module of them."""

import inspect
import sys
from pathlib import Path
from textwrap import indent

import griffe

from .names import GROUPS, Name, all_names, home_of, taught
from .sources import place

sys.path.insert(0, str(Path(__file__).parents[1]))
from griffe_examples import fenced  # noqa: E402  (docs/ is where mkdocs looks for it, too)

WIDE = 84  # characters; longer signatures are written one argument a line
INTRO = """# All names

What a program writes, grouped as one thinks of it. Each name leads to its page, with its documentation and its source.
"""


def write_all(folder: Path) -> list[dict[str, list]]:
    """All pages into ``folder``; their entries in the navigation, group by group."""
    folder.mkdir(parents=True, exist_ok=True)
    names = all_names()
    known = griffe.load("miniframe", search_paths=[str(Path(__file__).parents[2])])
    (folder / "index.md").write_text(index(names))
    pages: dict[str, list[Name]] = {}
    for name in names:
        pages.setdefault(name.page, []).append(name)
    for page, inside in pages.items():
        (folder / page).write_text(module_page(inside, known) if inside[0].of_module else own_page(inside[0], known))
    return [{title: entries(names, title)} for title, _, _ in GROUPS if entries(names, title)]


def entries(names: list[Name], title: str) -> list[dict[str, str]]:
    """A group's pages; a module's page stands once, under the module's name."""
    found = {}
    for name in names:
        if name.group == title:
            label = name.written.split(".")[-2] if name.of_module else menu_label(name)
            found[f"reference/{name.page}"] = label
    return [{label: page} for page, label in found.items()]


def menu_label(name: Name) -> str:
    return name.short if name.written.startswith("mf.") else name.written


def index(names: list[Name]) -> str:
    """All names with their signatures and first words."""
    parts = [INTRO]
    for title, words, _ in GROUPS:
        inside = [name for name in names if name.group == title]
        if inside:
            parts.append(f'## {title}\n\n{words}\n\n<div class="names" markdown>\n\n')
            parts += [entry(name) for name in inside]
            parts.append("\n</div>\n\n")
    return "".join(parts)


def entry(name: Name) -> str:
    """A line of the index."""
    return f"- [`{name.call}`]({name.link}) <span markdown>{escaped(name.words)}</span>\n"


def escaped(words: str) -> str:
    return words.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_") if "`" not in words else words


def own_page(name: Name, known: griffe.Module) -> str:
    """The page of one name."""
    return f"# {menu_label(name)}\n\n{body(name, known, 2)}"


def module_page(names: list[Name], known: griffe.Module) -> str:
    """The page of a module: its names one after the other."""
    module = names[0].written.rpartition(".")[0]
    known_as = module.replace("mf.", "miniframe.", 1)
    about = inspect.getdoc(sys.modules.get(known_as) or sys.modules[home_of(names[0].thing)])
    parts = [f"# {module}\n\n{(about or '').split(chr(10) * 2)[0]}\n\n"]
    for name in names:
        parts.append(f"## {name.short} {{ #{name.short} }}\n\n{body(name, known, 3)}\n")
    return "".join(parts)


def body(name: Name, known: griffe.Module, level: int) -> str:
    """Signature, the way to the source, documentation, and the methods."""
    file, link = place(name.thing)
    head = f"```python\n{wrapped(name.call)}\n```\n\n[{file}]({link}){{ .source }}\n\n"
    if not has(known, name.path):
        return head + fenced(inspect.getdoc(name.thing) or "") + "\n"
    options = f"    options:\n      heading_level: {level}\n"
    return head + learned(name.thing) + f"::: {name.path}\n{options}\n"


def has(known: griffe.Module, path: str) -> bool:
    """Whether the reader of sources finds this path."""
    try:
        known[path.removeprefix("miniframe.")]
    except (KeyError, ValueError, AttributeError):
        return False
    return True


def wrapped(call: str) -> str:
    """A call, with one argument a line where it is long."""
    if len(call) <= WIDE:
        return call
    name, _, arguments = call.partition("(")
    parts, depth, start, inside = [], 0, 0, arguments[:-1]
    for position, letter in enumerate(inside):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if letter == "," and depth == 0:
            parts.append(inside[start : position + 1].strip())
            start = position + 1
    return "\n".join([f"{name}(", *[indent(part, "    ") for part in [*parts, inside[start:].strip()]], ")"])


def learned(thing: object) -> str:
    """Where to find the methods that a class has learned from files above its own."""
    if not inspect.isclass(thing) or not taught(thing):
        return ""
    pages = {name.thing: name.page for name in all_names() if not name.written.startswith("mf.")}
    links = [f"[{verb}]({pages[member]})" if member in pages else f"`{verb}`" for verb, member in taught(thing).items()]
    return f"Also has: {', '.join(links)}.\n\n"
