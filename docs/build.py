"""Builds the site: README, lessons, these pages and the docstrings, into site/. ``make docs`` runs it.

The pages are copied to build/site, where formulas become MathML, which browsers draw by themselves, and each module of
the package gets a page with its documentation and source. mkdocs-material does the rest; nothing is fetched when the
site is read, except Mermaid for the one diagram of lesson 3.
"""

import importlib
import inspect
import pkgutil
import re
import shutil
from pathlib import Path

import yaml
from latex2mathml.converter import convert

import miniframe

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "build" / "site"
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)
FENCE = "mermaid-fence"  # stands for a Python name, which only mkdocs' own YAML can write
SECTIONS = [  # folders of the package, floor by floor, as a user meets them
    "core", "layers", "losses", "optimizers", "data", "graph", "training", "checking", "insight", "explain", "saving",
    "drawing", "models", "datasets", "interop", "plots", "testing", "backend",
]  # fmt: skip


def mathml(match: re.Match) -> str:
    """One formula, on a line of its own or within one."""
    block, inline = match.groups()
    words = convert((block or inline).strip(), display="block" if block else "inline")
    words = re.sub(r"\s*\n\s*", " ", words)
    # bare <math> would be a paragraph of its own wherever it begins a line, and too wide for a narrow screen
    return f'<div class="formula">{words}</div>' if block else f"<span>{words}</span>"


def with_formulas(text: str) -> str:
    """The page with its formulas as MathML; code stays as it is."""
    parts, start = [], 0
    for code in CODE.finditer(text):
        parts += [FORMULA.sub(mathml, text[start : code.start()]), code[0]]
        start = code.end()
    return "".join([*parts, FORMULA.sub(mathml, text[start:])])


def title_of(path: Path) -> str:
    return next(line[2:] for line in path.read_text().splitlines() if line.startswith("# "))


def copy_pages() -> None:
    """README, changelog, lessons and docs, with the pictures that they show."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    pages = [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "tutorials").glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
    ]
    for path in pages:
        target = PAGES / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        target.write_text(with_formulas(path.read_text()))
    pictures = [path for path in (ROOT / "figures").iterdir() if path.suffix in (".png", ".gif", ".svg")]
    (PAGES / "figures").mkdir()
    for path in pictures:
        shutil.copy(path, PAGES / "figures")
    shutil.copy(ROOT / "LICENSE", PAGES / "LICENSE")
    style = """.md-grid { max-width: 84rem; } /* room for lines of 120 characters */
.formula { overflow: auto hidden; padding: 0.5em 0; }
"""
    (PAGES / "wide.css").write_text(style)


def reference() -> list[dict[str, list]]:
    """A page for each module, by floors, as mkdocs' navigation wants them; first those that a user calls."""
    (PAGES / "reference").mkdir()
    first = called_by_users()
    sections = []
    for folder in SECTIONS:
        package = f"miniframe.{folder}"
        files = pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}.")
        found = [file.name for file in files]
        known = [name for name in first if name in found]
        inside = [page(name) for name in found if name not in known]
        pages = [{"overview": page(package)[folder]}, *map(page, known)]
        pages += [{"inside": inside}] if inside else []
        sections.append({"The core" if folder == "core" else folder.capitalize(): pages})
    return sections


def page(module: str) -> dict[str, str]:
    """Writes the page of a module; its entry in the navigation."""
    name = module.removeprefix("miniframe.")
    (PAGES / "reference" / f"{name}.md").write_text(f"# {name}\n\n{taught_words(module)}::: {module}\n")
    return {name.split(".")[-1]: f"reference/{name}.md"}


def called_by_users() -> list[str]:
    """The modules behind what ``dir(mf)`` shows, and behind the verbs of models, in that order."""
    things = [getattr(miniframe, name) for name in miniframe.__all__]
    for package in [thing for thing in things if inspect.ismodule(thing) and hasattr(thing, "__path__")]:
        things += [thing for thing in vars(package).values() if not inspect.ismodule(thing)]
    homes = [thing.__name__ if inspect.ismodule(thing) else getattr(thing, "__module__", "") for thing in things]
    verbs = [home for thing in things if inspect.isclass(thing) for home in taught(thing).values()]
    return list(dict.fromkeys([homes[0], *taught(miniframe.Module).values(), *homes, *verbs]))


def taught(cls: type) -> dict[str, str]:
    """From the name of every method that a class has learned from above to the module where it stands."""
    found = {}
    for name, member in vars(cls).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            layer = inspect.getclosurevars(member).nonlocals.get("layer", member)  # Node.exp stands where Exp does
            if layer.__module__ != cls.__module__:
                found[name] = layer.__module__
    return found


def taught_words(module: str) -> str:
    """Where to find what the classes of a module have learned from above, a line for each class."""
    lines = []
    for name, cls in inspect.getmembers(importlib.import_module(module), inspect.isclass):
        if cls.__module__ == module and taught(cls):
            links = [f"[{verb}]({home.removeprefix('miniframe.')}.md)" for verb, home in taught(cls).items()]
            lines.append(f"`{name}` also has, on pages of their own: {', '.join(links)}.\n\n")
    return "".join(lines)


def settings() -> dict:
    """What mkdocs reads."""
    lessons = [{title_of(p): f"tutorials/{p.name}"} for p in sorted((ROOT / "tutorials").glob("lesson_*.md"))]
    more = [{title_of(p): f"tutorials/{p.name}"} for p in sorted((ROOT / "tutorials").glob("[!lR]*.md"))]
    pages = [{title_of(p): f"docs/{p.name}"} for p in sorted((ROOT / "docs").glob("*.md"))]
    schemes = [
        {"media": f"(prefers-color-scheme: {scheme})", "scheme": name, "primary": "indigo",
         "toggle": {"icon": "material/brightness-6", "name": "light or dark"}}
        for scheme, name in (("light", "default"), ("dark", "slate"))
    ]  # fmt: skip
    python = {"options": {"show_source": True, "show_root_heading": False, "heading_level": 2, "filters": ["!^_"],
                          "docstring_style": "google", "members_order": "source",
                          "docstring_options": {"warn_unknown_params": False, "warn_missing_types": False},
                          "extensions": [str(ROOT / "docs" / "griffe_examples.py")]}}  # fmt: skip
    mermaid = {"custom_fences": [{"name": "mermaid", "class": "mermaid", "format": FENCE}]}
    return {
        "site_name": "miniframe",
        "docs_dir": str(PAGES),
        "site_dir": str(ROOT / "site"),
        "use_directory_urls": False,
        "theme": {
            "name": "material",
            "font": False,
            "palette": schemes,
            "features": ["navigation.tabs", "navigation.footer", "content.code.copy", "search.highlight"],
        },
        "extra_css": ["wide.css"],
        "plugins": ["search", {"mkdocstrings": {"handlers": {"python": {"paths": [str(ROOT)], **python}}}}],
        "markdown_extensions": ["tables", "toc", "pymdownx.highlight", {"pymdownx.superfences": mermaid}],
        "nav": [
            {"miniframe": "README.md"},
            {"Lessons": [{"Overview": "tutorials/README.md"}, *lessons, *more]},
            {"Inside": [*pages, {"Contributing": "CONTRIBUTING.md"}, {"Changes": "CHANGELOG.md"}]},
            {"Reference": reference()},
        ],
    }


def main() -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    copy_pages()
    config = ROOT / "build" / "mkdocs.yml"
    text = yaml.safe_dump(settings(), sort_keys=False, allow_unicode=True)
    config.write_text(text.replace(FENCE, "!!python/name:pymdownx.superfences.fence_code_format"))
    build(load_config(str(config)))
    print(ROOT / "site" / "index.html")


if __name__ == "__main__":
    main()
