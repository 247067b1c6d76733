"""What to say when a model's forward hands a node to a function that is not ours: where, which one, what instead.

MLX, NumPy and PyTorch compute with arrays. They refuse a node in words that speak of casts and signatures.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
from itertools import islice
from types import TracebackType
from typing import Any

from . import elsewhere
from .module import Module
from .node import NotRecorded
from .tape import CannotRecord, tellers

PACKAGE = __name__.partition(".")[0]
functions: set[str] = set()  # the names in miniframe.functional, which fills them in
ELSEWHERE = {  # what they call it: what we do
    "dot": "matmul", "expand_dims": "unsqueeze", "swapaxes": "transpose", "cat": "concatenate", "amax": "max",
    "hstack": "concatenate", "vstack": "concatenate", "permute": "transpose", "pow": "power",
}  # fmt: skip
WRITTEN = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult, ast.Pow)  # between two things, one of them a node
NUMBERS = ("float", "int", "round", "array", "asarray", "stop_gradient")  # they ask for plain numbers
SIGNS_OF_A_NODE = r"\b(Node|Parameter)\b|bad_cast|Invoked with types:.*\b(list|tuple)\b"  # in errors of theirs
OURS = tuple(f"{PACKAGE}.{room}" for room in ("core", "layers", "functional", "graph", "losses", "models"))
STRANGERS = (PACKAGE, "mlx", "numpy", "torch", "scipy")


def not_recorded(module: Module, error: Exception) -> CannotRecord | None:
    """The error in words, if a foreign function in this module's forward was given a node; else None."""
    frames: list[TracebackType] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    remedy = ""
    if _name(frames[-1]) == elsewhere.__name__:  # h.view: no node has that, but perhaps a remedy is known
        frames, remedy = frames[:-1], str(error).partition("; ")[2]
    if "item assignment" in str(error):
        remedy = "make a new one, with F.where(condition, h, other) or F.concatenate"
    if not isinstance(error, NotRecorded):
        if _name(frames[-1]).startswith(OURS) or not re.search(SIGNS_OF_A_NODE, str(error)):
            return None
    theirs = [frame for frame in frames[1:] if _name(frame).partition(".")[0] not in STRANGERS]
    at = theirs[-1] if theirs else frames[min(1, len(frames) - 1)]
    code = _code(at)
    place = f"{os.path.basename(at.tb_frame.f_code.co_filename)}, line {at.tb_lineno}"
    return CannotRecord(
        f"{module.title()}: {code or 'a function'} ({place}) was given a node, and only miniframe's own layers and "
        f"functions are recorded; {remedy or _instead(code)}. If {type(module).__name__} is meant as a layer with its "
        "own derivative, define backward(self, grad_output) below its forward"
    )


tellers.append(not_recorded)


def _instead(code: str) -> str:
    """What to write in place of this piece of code: a call, x.method, or an operator between two things."""
    try:
        tree = ast.parse(code, mode="eval").body
    except SyntaxError:
        tree = ast.Constant(0)
    name = ast.unparse(tree.func if isinstance(tree, ast.Call) else tree).rpartition(".")[2]
    if isinstance(tree, ast.BinOp) and not isinstance(tree.op, WRITTEN):
        return "nodes have the operators + - * / @ ** and the comparisons"
    if isinstance(tree, ast.BinOp | ast.Compare):
        return "write the node first (node + array, not array + node)"
    if isinstance(tree, ast.JoinedStr) or name in NUMBERS:
        return "node.value has the numbers, and sends no gradient back"
    name = ELSEWHERE.get(name, name)
    if name in functions:
        return f"write F.{name}(...), with import miniframe.functional as F"
    return "write it with layers, operators and the functions of miniframe.functional"


def _name(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", ""))


def _code(trace: TracebackType) -> str:
    """The piece of code that failed, where Python knows it (from 3.11 on), or its line."""
    code: Any = trace.tb_frame.f_code
    line = linecache.getline(code.co_filename, trace.tb_lineno)
    if hasattr(code, "co_positions"):
        first, last, start, stop = next(islice(code.co_positions(), trace.tb_lasti // 2, None))
        if first == last and None not in (start, stop) and line:
            return line.encode()[start:stop].decode()
    found = re.search(r"\b(mx|mlx|np|nn|torch|numpy)\.[\w.]+\(.*\)", line)
    return found[0] if found else line.strip()
