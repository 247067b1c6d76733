"""The floors of the package, and who imports whom, read from the sources without running them.

Imports inside functions count, too; those under ``if TYPE_CHECKING:`` do not, because they never happen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

Imports = dict[str, set[tuple[str, int]]]  # for every module, what it imports, and in which line

FLOORS: dict[int, tuple[str, ...]] = {
    9: ("__init__", "__main__", "cli", "demo", "new", "functional"),
    8: ("bench", "exercises", "lab", "testing"),
    7: ("plots",),
    6: ("insight",),
    5: ("training", "interop"),
    4: ("checking", "explain", "drawing", "saving", "models", "datasets"),
    3: ("graph", "losses", "optimizers", "data"),
    2: ("layers",),
    1: ("core",),
    0: ("backend",),
    -1: ("version",),  # a constant that everybody may read
}


def room(module: str) -> str:
    """The folder in which a module lives, or its own name if it stands in the package's root.

    >>> room("miniframe.core.node"), room("miniframe.cli"), room("miniframe")
    ('core', 'cli', '__init__')
    """
    return [*module.split("."), "__init__"][1]


def floor(module: str) -> int:
    """The number of the floor on which a module lives; larger is higher.

    >>> floor("miniframe.core.node"), floor("miniframe.training")
    (1, 5)
    """
    for number, rooms in FLOORS.items():
        if room(module) in rooms:
            return number
    raise KeyError(f"{module}: {room(module)!r} is on none of the floors; give it a place in FLOORS")


def modules_of(package: Path) -> dict[str, Path]:
    """The file of every module in a package, by the module's dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> Imports:
    """{module: set of (imported module, line)} for every module of the package; only imports within it."""
    files = modules_of(package)
    return {module: set(_imports_of(module, path, files)) for module, path in files.items()}


def _imports_of(module: str, path: Path, known: Iterable[str]) -> Iterator[tuple[str, int]]:
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _that_happen(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = inside.split(".")[: len(inside.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{source}.{alias.name}"
                if full in known:
                    yield full, node.lineno
                elif source in known:
                    yield source, node.lineno


def _that_happen(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node of a syntax tree that is not under ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield other
                yield from _that_happen(other)
            continue
        yield node
        yield from _that_happen(node)


def file_of(module: str, found: Iterable[str]) -> str:
    """A module's file, as errors name it.

    >>> file_of("a.b", ["a", "a.b"]), file_of("a", ["a", "a.b"])
    ('a/b.py', 'a/__init__.py')
    """
    is_folder = any(other.startswith(f"{module}.") for other in found)
    return module.replace(".", "/") + ("/__init__.py" if is_folder else ".py")


def upward(found: Imports) -> list[str]:
    """A sentence for every import of what stands on a higher floor."""
    return [
        f"{file_of(module, found)}, line {line}: imports {target}; floor {floor(target)} ({room(target)}) is above "
        f"floor {floor(module)} ({room(module)})"
        for module, targets in sorted(found.items())
        for target, line in sorted(targets)
        if floor(target) > floor(module)
    ]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """The groups that reach each other, each sorted; nothing if there is no circle (Tarjan's algorithm)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    result: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == number[name]:
            group = stack[stack.index(name) :]
            del stack[-len(group) :]
            if len(group) > 1 or name in graph[name]:
                result.append(sorted(group))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return sorted(result)


def between_files(found: Imports) -> dict[str, set[str]]:
    """Who imports whom, file by file."""
    return {module: {target for target, _ in targets} for module, targets in found.items()}


def between_rooms(found: Imports) -> dict[str, set[str]]:
    """Who imports whom, folder by folder; what a folder imports from itself is left out."""
    graph: dict[str, set[str]] = {room(module): set() for module in found}
    for module, targets in found.items():
        graph[room(module)] |= {room(target) for target, _ in targets} - {room(module)}
    return graph


def pulled_in(found: Imports, module: str) -> set[str]:
    """A module and everything that it imports, directly or not."""
    graph, reached, waiting = between_files(found), set(), [module]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(graph[name])
    return reached


def lines_of(path: Path) -> int:
    """How many lines a file has."""
    return len(path.read_text().splitlines())


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """(name, line, lines of code in its body) of every function; neither docstring, comments nor empty lines count."""
    text = path.read_text()
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            code = lines[body[0].lineno - 1 : body[-1].end_lineno] if body else []
            yield node.name, node.lineno, sum(bool(line.split("#")[0].strip()) for line in code)
