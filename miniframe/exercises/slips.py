"""Words for the errors that the commonest slips raise: Python's and MLX's own say what failed, not what was meant."""

from __future__ import annotations

import ast
import re
import traceback
from pathlib import Path

from .exercise import Wrong

LONGEST = 300  # characters of an error that are shown
USE_VALUE = "A Parameter is not an array: its numbers are in .value, as in self.weight.value."
SLIPS: tuple[tuple[str, str], ...] = (  # (what the error says, what it means); the first that fits counts
    (r"__i?r?add__.*NoneType|\+=?: 'NoneType'", "A gradient is None until something is put there, so nothing can be "
     "added to it with +=. Parameters collect their gradients with accumulate: self.weight.accumulate(...)."),
    (r"cells\.Parameter|'Parameter'", USE_VALUE),
    (r"Only length-1 arrays can be converted", "A whole array stands where one number is needed. `if`, `and`, `or`, "
     "float() ask one question; each element needs an answer of its own: a comparison gives a mask to multiply by."),
    (r"\[matmul\]|\[addmm\]|matmul: ", "Matrices in the wrong order, or a missing .T? Write the shapes next to each "
     "factor."),
    (r"broadcast", "These shapes do not go together element by element. A sum, mean or max over an axis drops it; "
     "keepdims=True keeps it, with length 1."),
    (r"expected a gradient of shape", "A gradient always has the shape of its parameter."),
    (r"NoneType", "Something is None here. Is a `return` missing, or was nothing saved?"),
    (r"incompatible function arguments.*(dim|keepdim):", "MLX names the arguments as NumPy does: axis= and keepdims=."),
    (r"incompatible function arguments", "An argument is not what this function takes: an array, a number, an axis?"),
)  # fmt: skip


def in_words(error: BaseException, path: Path) -> str:
    """An error of the learner's code: the line, what was raised (without MLX's lists of overloads), what it means."""
    raw = " ".join(str(error).split())
    said = str(error).split("\n")[0].removesuffix(" The following argument types are supported:")
    said = said if len(said) <= LONGEST else said[:LONGEST] + " ..."
    where = place(error, path)
    hint = next((words for pattern, words in SLIPS if re.search(pattern, raw)), "")
    dot = "" if said.endswith((".", "!", "?")) else "."
    told = f"{where}{type(error).__name__}: {said}"
    return f"{told}{dot} {hint}" if hint else told


def place(error: BaseException, path: Path) -> str:
    """The last line of the learner's file that was running."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"Line {lines[-1]} of {path.name} raised " if lines else ""


def refuse(tree: ast.AST, forbidden: tuple[str, ...]) -> None:
    """Raise Wrong if the code uses a forbidden name: as a name, an attribute, an import, or a text given to getattr.

    A variable of one's own may be called ``std``.
    """
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Attribute):
            names = [node.attr, f"{getattr(node.value, 'id', '')}.{node.attr}"]
        elif isinstance(node, ast.Name):
            names = [] if node.id in own else [node.id]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = [node.value]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            inside = (getattr(node, "module", None) or "").replace("mlx.core", "mx")
            names = [name for alias in node.names for name in (alias.name, f"{inside}.{alias.name}")]
        used = [name for name in names if name in forbidden]
        if used:
            line = getattr(node, "lineno", "?")
            raise Wrong(f"Line {line} uses {used[0]}, which does the exercise for you. Write it without.")
