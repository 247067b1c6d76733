"""Builds the site: home, lessons, these pages and the reference, into site/. ``make docs`` runs it.

The pages are copied to build/site, where formulas become MathML, diagrams and pictures get a version for the dark page,
and every public name gets a page. mkdocs-material does the rest; nothing is fetched when the site is read, not even
from a disk. The parts are in website/.
"""

import logging
import os
import re
import shutil
from hashlib import sha256
from pathlib import Path

import yaml
from website import crosslinks, diagrams, formulas, pictures, reference, replays, search, sources

HERE = Path(__file__).parent
ROOT = HERE.parent
PAGES, SITE = ROOT / "build" / "site", ROOT / "site"
ASSETS = HERE / "website" / "assets"


def title_of(path: Path) -> str:
    return next(line[2:] for line in path.read_text().splitlines() if line.startswith("# "))


def lessons() -> list[Path]:
    return sorted((ROOT / "tutorials").glob("lesson_*.md"))


def copy_pages() -> None:
    """Home, README, changelog, lessons and docs, and all pictures."""
    shutil.rmtree(PAGES, ignore_errors=True)
    pictures.copy_all(ROOT / "figures", PAGES / "figures")
    tops = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    for path in [*tops, *(ROOT / "tutorials").glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        name = path.relative_to(ROOT)
        write_page(Path("about.md") if name == Path("README.md") else name, path.read_text())
    write_page(Path("index.md"), home())
    for name in ("LICENSE", "tutorials/scripts"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, PAGES / name)
    shutil.copytree(ASSETS, PAGES / "assets", dirs_exist_ok=True)
    replays.write_all(PAGES / "replays")
    sources.write_all(PAGES / "source")


def home() -> str:
    """The first page, with the table of lessons and the address to clone from."""
    table = re.search(r"^\| \|.*?(?=\n\n)", (ROOT / "tutorials" / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert table, "tutorials/README.md has no table of lessons"
    overview = table[0].replace("](lesson_", "](tutorials/lesson_")
    text = (HERE / "website" / "home.md").read_text()
    folder = repository().split("/")[-1]
    clone = f"git clone https://github.com/{repository()}.git && cd {folder}\n" if folder else ""
    for name, value in {"clone": clone, "lessons": spelled(len(lessons())), "overview": overview}.items():
        text = text.replace("{" + name + "}", value)
    return text


def spelled(number: int) -> str:
    words = "Eighteen Nineteen Twenty Twenty-one Twenty-two Twenty-three Twenty-four Twenty-five".split()
    return words[number - 18] if 18 <= number <= 25 else str(number)


def repository() -> str:
    """owner/name on GitHub, where a workflow builds the site there; else nothing."""
    return os.environ.get("GITHUB_REPOSITORY", "")


def write_page(name: Path, text: str) -> None:
    """One page into build/site, made ready for mkdocs."""
    target = PAGES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(name.parts) - 1)
    text = diagrams.FENCE.sub(lambda fence: f"![A graph]({up}figures/{drawn(fence[1])})", text)
    if name.parts[0] != "tutorials":  # which has a README of its own
        text = re.sub(r"\]\(((?:\.\./)?)README\.md", r"](\1about.md", text)
    text = replays.with_frames(text, f"{up}replays")
    text = crosslinks.with_links(text, up)
    text = crosslinks.with_linked_rows(text, up) if name.name == "layers.md" else text
    text = pictures.with_pictures(text, target.parent)
    target.write_text(formulas.with_formulas(text))


def drawn(mermaid: str) -> str:
    """Draws a diagram, for light and dark; the name of its file."""
    path = PAGES / "figures" / f"diagram_{sha256(mermaid.encode()).hexdigest()[:8]}.svg"
    path.write_text(diagrams.svg(mermaid))
    pictures.darken(path)
    return path.name


def write_font() -> None:
    """The font for formulas, with the characters that the pages have in them."""
    found = set()
    for page in PAGES.rglob("*.md"):
        found.update("".join(re.findall(r"<math.*?</math>", page.read_text(), re.DOTALL)))
    (PAGES / "assets" / "math.woff2").write_bytes(formulas.math_font("".join(sorted(found))))


def settings(menu: list[dict[str, list]]) -> dict:
    """What mkdocs reads; ``menu`` is that of the reference."""
    taught = [{title_of(path): f"tutorials/{path.name}"} for path in lessons()]
    more = [{title_of(path): f"tutorials/{path.name}"} for path in sorted((ROOT / "tutorials").glob("[!lR]*.md"))]
    pages = [{title_of(path): f"docs/{path.name}"} for path in sorted((ROOT / "docs").glob("*.md"))]
    schemes = [
        {"media": f"(prefers-color-scheme: {scheme})", "scheme": name, "primary": "indigo",
         "toggle": {"icon": "material/brightness-6", "name": "light or dark"}}
        for scheme, name in (("light", "default"), ("dark", "slate"))
    ]  # fmt: skip
    python = {
        "show_source": True, "show_root_heading": False, "show_root_toc_entry": False, "filters": ["!^_"],
        "docstring_style": "google", "members_order": "source", "show_signature_annotations": False,
        "docstring_options": {"warn_unknown_params": False, "warn_missing_types": False},
        "extensions": [str(HERE / "griffe_examples.py")], "inherited_members": ["generate"],
    }  # fmt: skip
    handlers = {"python": {"paths": [str(ROOT)], "options": python}}
    there = {"repo_url": f"https://github.com/{repository()}", "repo_name": repository()} if repository() else {}
    return {
        "site_name": "miniframe",
        "site_description": "A deep-learning framework you can see through: every derivative by hand, and proven.",
        "docs_dir": str(PAGES),
        "site_dir": str(SITE),
        "use_directory_urls": False,
        "strict": True,  # a link that leads nowhere ends the build
        "validation": {"anchors": "warn"},
        **there,
        "theme": {
            "name": "material",
            "custom_dir": str(HERE / "website" / "theme"),
            "font": False,
            "palette": schemes,
            "features": ["navigation.tabs", "navigation.footer", "navigation.prune", "navigation.top"],
        },
        "extra_css": ["assets/site.css"],
        "extra_javascript": [{"path": f"assets/{name}.js", "defer": True} for name in ("site", "search")],
        "plugins": ["search", {"mkdocstrings": {"handlers": handlers}}],
        "markdown_extensions": ["tables", "toc", "attr_list", "md_in_html", "pymdownx.highlight",
                                "pymdownx.superfences"],
        "nav": [
            {"Home": "index.md"},
            {"Lessons": [{"Overview": "tutorials/README.md"}, *taught, *more]},
            {"Reference": [{"All names": "reference/index.md"}, *menu]},
            {"Inside": [{"About": "about.md"}, *pages, {"Contributing": "CONTRIBUTING.md"},
                        {"Changes": "CHANGELOG.md"}]},
        ],
    }  # fmt: skip


def main() -> None:
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    copy_pages()
    menu = reference.write_all(PAGES / "reference")
    write_font()
    config = PAGES.with_name("mkdocs.yml")
    config.write_text(yaml.safe_dump(settings(menu), sort_keys=False, allow_unicode=True))
    build(load_config(str(config)))
    search.write(SITE)
    print(SITE / "index.html")


if __name__ == "__main__":
    main()
