"""Which verbs a class says it will be taught: the block ``if TYPE_CHECKING:`` inside it, read from the source."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import house


class Verb(NamedTuple):
    """One line of such a block: the class, the name, and the function that it names (None for a mere signature)."""

    cls: type
    name: str
    function: Any


def verbs(package: Path) -> Iterator[Verb]:
    """Every verb that any class of the package lists."""
    for module, path in house.modules_of(package).items():
        tree = ast.parse(path.read_text())
        aliases = {name: thing for block in _blocks(tree) for name, thing in _imported(block, module)}
        for cls in (node for node in tree.body if isinstance(node, ast.ClassDef)):
            for block in _blocks(cls):
                for line in block.body:
                    for name, value in _named(line):
                        owner = getattr(importlib.import_module(module), cls.name)
                        yield Verb(owner, name, None if value is None else eval(ast.unparse(value), aliases))


def _blocks(tree: ast.Module | ast.ClassDef) -> list[ast.If]:
    return [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]


def _named(line: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """(name, what it stands for) in one line of a block."""
    if isinstance(line, ast.Assign):
        for target in line.targets:
            yield ast.unparse(target), line.value
    elif isinstance(line, ast.AnnAssign):
        yield ast.unparse(line.target), None
    elif isinstance(line, ast.FunctionDef):
        yield line.name, None


def _imported(block: ast.If, module: str) -> Iterator[tuple[str, Any]]:
    for line in block.body:
        if isinstance(line, ast.ImportFrom):
            source = importlib.import_module("." * line.level + (line.module or ""), module.rpartition(".")[0])
            for alias in line.names:
                if not hasattr(source, alias.name):  # a module that nothing has imported yet
                    importlib.import_module(f"{source.__name__}.{alias.name}")
                yield alias.asname or alias.name, getattr(source, alias.name)
