"""The package's files as pages, so that every name in the reference leads to the line where it stands."""

import inspect
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import miniframe

PACKAGE = Path(miniframe.__file__).parent
LAYOUT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title><link rel="stylesheet" href="{up}source/source.css"></head>
<body><header><a href="{up}index.html">miniframe</a> <a href="{up}reference/index.html">reference</a>
<strong>{name}</strong></header>
{code}
<script>
for (const key of Object.keys(localStorage)) // the choice of light or dark that was made on the other pages
  if (key.endsWith("__palette"))
    document.documentElement.dataset.scheme = JSON.parse(localStorage[key])?.color?.scheme ?? ""
</script>
</body></html>
"""
STYLE = """html { scroll-padding-top: 5rem; }
body { margin: 0; background: #fff; color: #24292f; }
header { position: sticky; top: 0; z-index: 1; padding: .6rem 1rem; background: #3f51b5;
  font: 15px system-ui, sans-serif; }
header, header a { color: #fff; } header a { margin-right: 1rem; }
pre { margin: 0; padding: 1rem; overflow-x: auto; font: 13.5px/1.5 ui-monospace, Menlo, Consolas, monospace; }
.linenos { user-select: none; padding-right: 1rem; opacity: .5; }
.linenos a, a .linenos { color: inherit; text-decoration: none; }
:target + a .linenos { opacity: 1; font-weight: bold; color: #e07b00; }
"""


def write_all(folder: Path) -> None:
    """One page for each file of the package, and their style, into ``folder``."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=True, cssclass="source")
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE)
        target = (folder / name).with_suffix(".html")
        target.parent.mkdir(parents=True, exist_ok=True)
        code = highlight(path.read_text(), PythonLexer(), formatter)
        up = "../" * len(name.parts)
        target.write_text(LAYOUT.format(name=f"miniframe/{name}", up=up, code=code))
    night = '[data-scheme="slate"] body { background: #0d1117; color: #e6edf3; }'
    light, dark = colours("default", ".source"), colours("github-dark", '[data-scheme="slate"] .source')
    (folder / "source.css").write_text("\n".join([STYLE, *light, night, *dark, ""]))


def colours(style: str, where: str) -> list[str]:
    """A style's rules for code, without those for numbers of lines."""
    rules = HtmlFormatter(style=style).get_style_defs(where).splitlines()
    return [rule for rule in rules if rule.startswith(where) and not rule.startswith(f"{where} {{")]


def place(thing: object) -> tuple[str, str]:
    """Where a class or function stands: the file's name, and the page with the line, seen from a folder of the site."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    name = Path(inspect.getsourcefile(thing) or "").relative_to(PACKAGE)
    line = inspect.getsourcelines(thing)[1]
    return f"miniframe/{name}", f"../source/{name.with_suffix('.html')}#L-{max(line, 1)}"
