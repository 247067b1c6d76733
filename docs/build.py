"""Builds the site: README, lessons, these pages and the docstrings, into site/. ``make docs`` runs it.

The pages are copied to build/site, where formulas become MathML, which browsers draw by themselves, and each module of
the package gets a page with its documentation and source. mkdocs-material does the rest; nothing is fetched when the
site is read, except the diagrams' Mermaid.
"""

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
SECTIONS = {"Layers": "layers", "Training": "training", "Optimizers": "optimizers", "Checking": "checking"}


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
    """A page for each public module, by section, as mkdocs' navigation wants them."""
    sections: dict[str, list] = {"The core": [], **{name: [] for name in SECTIONS}, "Everything else": []}
    (PAGES / "reference").mkdir()
    for module in pkgutil.walk_packages(miniframe.__path__, "miniframe."):
        name = module.name.removeprefix("miniframe.")
        if name.startswith("_") or name.split(".")[0] in ("bench", "exercises"):
            continue
        package = name.split(".")[0]
        section = next((key for key, value in SECTIONS.items() if value == package), None)
        section = section or ("The core" if name in ("module", "cells", "sequential", "graph", "losses") else None)
        (PAGES / "reference" / f"{name}.md").write_text(f"# {name}\n\n::: {module.name}\n")
        sections[section or "Everything else"].append({name: f"reference/{name}.md"})
    return [{name: pages} for name, pages in sections.items() if pages]


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
            {"Inside": [*pages, {"Changes": "CHANGELOG.md"}]},
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
