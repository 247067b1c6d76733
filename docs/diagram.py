"""The class diagram of docs/architecture.md, made from the classes themselves.

python docs/diagram.py        # renews the diagram in the page; a test fails when it is stale
"""

import inspect
import re
from pathlib import Path

import miniframe as mf
from miniframe.layers import Conv2d, Linear, ReLU
from miniframe.training.step import Step

PAGE = Path(__file__).with_name("architecture.md")
MARKS = "<!-- classes: begin -->\n", "<!-- classes: end -->\n"

SHOWN = [
    mf.Module, mf.Sequential, mf.Graph, Linear, Conv2d, ReLU, mf.Loss, mf.MSELoss,
    mf.Buffer, mf.Parameter, mf.Node, mf.Optimizer, mf.SGD, mf.Adam, Step, mf.Callback, mf.History,
]  # fmt: skip
USES = [  # what no inheritance tells: who holds or calls whom
    ("Module", "o--", "Parameter", "holds"),
    ("Module", "o--", "Buffer", "holds"),
    ("Sequential", "o--", "Module", "runs in order"),
    ("Graph", "o--", "Node", "runs in order"),
    ("Node", "-->", "Module", "is a call of"),
    ("Optimizer", "-->", "Parameter", "changes"),
    ("Step", "-->", "Module", "forward, backward"),
    ("Step", "-->", "Loss", "gradient"),
    ("Step", "-->", "Optimizer", "advance, apply"),
    ("Module", "-->", "Step", "fit repeats"),
    ("Module", "-->", "Callback", "fit calls"),
    ("Module", "-->", "History", "fit returns"),
]
MOST = 6  # methods shown of one class


def methods(cls: type) -> list[str]:
    """The public methods and properties that a class itself defines, as Mermaid members."""
    lines = []
    for name, member in vars(cls).items():
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        lines.append(f"+{name}" if isinstance(member, property) else f"+{name}()")
    return lines[:MOST] + (["+..."] if len(lines) > MOST else [])


def diagram() -> str:
    """Mermaid text of the classes shown, with their bases and what they use."""
    lines = ["classDiagram"]
    for cls in SHOWN:
        members = methods(cls)
        lines += [f"    class {cls.__name__} {{", *(f"        {line}" for line in members), "    }"]
    for cls in SHOWN:
        lines += [f"    {base.__name__} <|-- {cls.__name__}" for base in cls.__bases__ if base in SHOWN]
    lines += [f"    {a} {arrow} {b} : {words}" for a, arrow, b, words in USES]
    return "\n".join(lines)


def renewed(page: str) -> str:
    """The page with the diagram as the code has it now."""
    begin, end = MARKS
    block = f"{begin}\n```mermaid\n{diagram()}\n```\n\n{end}"
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: block, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
    print(PAGE)
