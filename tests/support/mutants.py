"""Wrong backwards by the hundred: each layer's source with one operator, sign, index, constant or comparison changed.

``mutants(cls)`` gives every such class; a mutant is equivalent when, on random inputs, its gradients are the right ones
to 1e-12, and it is dead when ``check_gradients`` fails or its backward raises.
"""

from __future__ import annotations

import ast
import copy
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from catalogue import CASES, Case, shaped, spread

import miniframe as mf
from miniframe.checking.doubles import in_double_precision
from miniframe.checking.experiment import Experiment
from miniframe.layers import arithmetic, combine, reductions

METHODS = "backward", "derivative", "gradient"
BINARY: dict[type, list[type]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div, ast.Add],
    ast.Div: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
}
COMPARE: dict[type, list[type]] = {
    ast.Gt: [ast.Lt, ast.GtE],
    ast.Lt: [ast.Gt, ast.LtE],
    ast.GtE: [ast.Lt, ast.Gt],
    ast.LtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
}

# the other branches of backward, and lengths that differ; the name before the colon is the catalogue's
OPTIONS: dict[str, Case] = {
    "Transpose:three axes": Case(lambda: arithmetic.Transpose((2, 0, 1)), shaped((2, 3, 4))),
    "Power:square": Case(arithmetic.Power, lambda rng: (rng.normal(size=(2, 3)), 2)),
    "Power:of a number": Case(arithmetic.Power, lambda rng: (1.5, rng.normal(size=(2, 3)))),
    "Power:zero": Case(arithmetic.Power, lambda rng: (np.array([0.0, 1.5]), np.array([2.0, 3.0]))),
    "MatMul:row": Case(arithmetic.MatMul, shaped((3,), (3, 2))),
    "MatMul:column": Case(arithmetic.MatMul, shaped((2, 3), (3,))),
    "MatMul:stack": Case(arithmetic.MatMul, shaped((2, 2, 3), (3, 4))),
    "Concatenate:three": Case(lambda: combine.Concatenate(0), shaped((2, 3), (1, 3), (3, 3))),
    "Dropout:evaluating": Case(lambda: mf.Dropout(0.4).eval(), shaped((2, 3))),
    "RNN:relu, last output": Case(lambda: mf.RNN(2, 3, nonlinearity="relu", return_sequences=False), shaped((2, 3, 2))),
    "LSTM:both directions": Case(lambda: mf.LSTM(2, 2, bidirectional=True, bias=False), shaped((2, 3, 2))),
    "GaussianSample:evaluating": Case(lambda: mf.GaussianSample().eval(), shaped((2, 3), (2, 3))),
    "Conv2d:groups": Case(lambda: mf.Conv2d(4, 2, 2, groups=2, dilation=2), shaped((2, 4, 5, 4))),
    "Conv2d:wide": Case(lambda: mf.Conv2d(2, 3, (2, 3), stride=(1, 2)), shaped((3, 4, 6, 2))),
    "ConvTranspose2d:wide": Case(lambda: mf.ConvTranspose2d(2, 3, (2, 3), stride=(1, 2)), shaped((3, 2, 4, 2))),
    "MaxPool2d:wide": Case(lambda: mf.MaxPool2d((2, 3)), shaped((3, 4, 6, 40))),
    "MaxPool2d:overlapping": Case(lambda: mf.MaxPool2d(3, stride=2), shaped((2, 5, 7, 2))),
    "AvgPool2d:wide": Case(lambda: mf.AvgPool2d((2, 3)), shaped((3, 4, 6, 2))),
    "MaxPool2d:over the edge": Case(lambda: mf.MaxPool2d(3, 2, ceil_mode=True), shaped((2, 4, 6, 2))),
    "AvgPool2d:not counted": Case(lambda: mf.AvgPool2d(3, 2, 1, True, False), shaped((2, 4, 6, 2))),
    "GELU:tanh": Case(lambda: mf.GELU("tanh"), shaped((2, 3))),
    "StochasticDepth:evaluating": Case(lambda: mf.StochasticDepth(0.4).eval(), shaped((3, 2))),
    "GlobalAvgPool2d:wide": Case(mf.GlobalAvgPool2d, shaped((2, 3, 4, 2))),
    "ZeroPad2d:uneven": Case(lambda: mf.ZeroPad2d((2, 1, 0, 1)), shaped((1, 3, 4, 2))),
    "BatchNorm:evaluating": Case(lambda: mf.BatchNorm(3).eval(), shaped((4, 3))),
    "BatchNorm:images": Case(lambda: mf.BatchNorm(2), shaped((3, 2, 4, 2))),
    "PReLU:one slope": Case(mf.PReLU, shaped((2, 3))),
    "ScaledDotProductAttention:dropout": Case(
        lambda: mf.ScaledDotProductAttention(causal=True, dropout=0.4), shaped((2, 3, 4), (2, 5, 4), (2, 5, 2))
    ),
    "ScaledDotProductAttention:groups": Case(
        mf.ScaledDotProductAttention,
        lambda rng: (*shaped((2, 4, 3, 2), (2, 2, 3, 2), (2, 2, 3, 2))(rng), np.tri(3, dtype=bool)),
    ),
    "PositionEmbedding:places": Case(
        lambda: mf.PositionEmbedding(5, 4), lambda rng: (rng.normal(size=(2, 3, 4)), rng.integers(0, 5, size=(2, 3)))
    ),
    "RotaryEmbedding:places": Case(
        lambda: mf.RotaryEmbedding(interleaved=True),
        lambda rng: (rng.normal(size=(2, 3, 4)), rng.integers(0, 5, size=3)),
    ),
    "CrossEntropyLoss:ignored": Case(
        lambda: mf.CrossEntropyLoss(ignore_index=1), lambda rng: (rng.normal(size=(3, 3)), np.array([0, 1, 2]))
    ),
    "Max:all": Case(reductions.Max, shaped((2, 3))),
    "CrossEntropyLoss:soft": Case(mf.CrossEntropyLoss, lambda rng: (rng.normal(size=(3, 4)), rng.uniform(size=(3, 4)))),
    "CrossEntropyLoss:smooth": Case(lambda: mf.CrossEntropyLoss(label_smoothing=0.2), CASES["CrossEntropyLoss"].inputs),
}


@dataclass
class Mutant:
    """One change: of which case and class, in which method, what stood there, what stands there now."""

    case: str
    owner: type
    method: str
    line: str
    change: str
    function: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.case}: {self.owner.__name__}.{self.method}: {self.line} -> {self.change}"

    def module(self, option: str = "") -> mf.Module:
        """The module of the case, or of one of its options, with the changed method in a subclass of its own."""
        module = example(option or self.case)[0]
        for inner in [m for m in module.modules() if isinstance(m, self.owner)][:1]:
            inner.__class__ = type(type(inner).__name__, (type(inner),), {self.method: self.function})
        return module


def example(case: str, seed: int = 0) -> tuple[mf.Module, tuple[Any, ...]]:
    """The catalogue's module with random parameters, and inputs for it."""
    rng = np.random.default_rng(seed)
    mf.seed(seed)
    chosen = CASES.get(case) or OPTIONS[case]
    return spread(chosen.make(), rng), chosen.inputs(rng)


def options(case: str) -> list[str]:
    """The case itself and, with other options and shapes, what shows mistakes that it cannot show."""
    return [case, *(name for name in OPTIONS if name.split(":")[0] == case)]


def mutants(case: str) -> Iterator[Mutant]:
    """Every mutant of the methods that the case's class has from its own files."""
    cls = type(example(case)[0])
    for method in METHODS:
        owner = next((c for c in cls.__mro__ if method in vars(c)), None)
        if owner is None or owner in (mf.Module, mf.losses.Loss):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(vars(owner)[method])))
        for line, changed in _variants(tree):
            namespace = dict(vars(sys.modules[owner.__module__]))
            namespace["__class__"] = owner
            code = compile(ast.fix_missing_locations(changed[0]), f"<mutant of {owner.__name__}>", "exec")
            made: dict[str, Any] = {}  # apart, because a module may have a function of the method's name
            exec(code, namespace, made)
            yield Mutant(case, owner, method, line, changed[1], made[method])


def _variants(tree: ast.Module) -> Iterator[tuple[str, tuple[ast.Module, str]]]:
    nodes = [node for node in ast.walk(tree) if id(node) not in _left_alone(tree)]
    for index, node in enumerate(nodes):
        for edit in _edits(node):
            fresh = copy.deepcopy(tree)
            left = _left_alone(fresh)
            twin = [n for n in ast.walk(fresh) if id(n) not in left][index]
            before = ast.unparse(node)
            target = edit(twin)
            if target is not twin:
                fresh = _Replace(twin, target).visit(fresh)
            yield before, (fresh, ast.unparse(target))


def _left_alone(tree: ast.Module) -> set[int]:
    """Docstrings, annotations and what only raises are no arithmetic."""
    found: set[int] = set()
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.FunctionDef):
            parts += [node.args, *([node.returns] if node.returns else []), *node.decorator_list]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            parts.append(node)
        if isinstance(node, (ast.Raise, ast.Assert)):
            parts.append(node)
        if isinstance(node, ast.AnnAssign):
            parts.append(node.annotation)
        for part in parts:
            found.update(id(inner) for inner in ast.walk(part))
    return found


def _edits(node: ast.AST) -> Iterator[Callable[[Any], Any]]:
    if isinstance(node, ast.BinOp):
        for new in BINARY.get(type(node.op), []):
            yield lambda n, new=new: _set(n, "op", new())
        if isinstance(node.op, (ast.Mult, ast.Add, ast.Sub)):
            yield lambda n: n.left
            yield lambda n: n.right
        if isinstance(node.op, (ast.Sub, ast.Div, ast.MatMult)):
            yield lambda n: ast.BinOp(n.right, n.op, n.left)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield lambda n: n.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for new in COMPARE.get(type(node.ops[0]), []):
            yield lambda n, new=new: _set(n, "ops", [new()])
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield lambda n: ast.Constant(not n.value)
        elif isinstance(node.value, (int, float)):
            yield lambda n: ast.Constant(n.value + 1)
            yield lambda n: ast.Constant(n.value - 1)
    if isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Tuple):
        yield lambda n: _set(n, "value", ast.UnaryOp(ast.USub(), n.value))
    if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2:
        yield lambda n: _set(n, "value", ast.Tuple(n.value.elts[::-1], ast.Load()))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield lambda n: n.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "accumulate":
        yield lambda n: _set(n, "args", [ast.UnaryOp(ast.USub(), n.args[0])])
        yield lambda n: ast.Constant(None)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean"):
        other = "mean" if node.func.attr == "sum" else "sum"
        yield lambda n, other=other: _set(n, "func", _set(n.func, "attr", other))
    if isinstance(node, ast.IfExp):
        yield lambda n: n.body
        yield lambda n: n.orelse


def _set(node: Any, name: str, value: Any) -> Any:
    setattr(node, name, value)
    return node


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else super().visit(node)


# -------------------------------------------------------------------- verdicts


def gradients(module: mf.Module, inputs: tuple[Any, ...], seed: int) -> dict[str, Any]:
    """What backward gives by itself, in double precision."""
    with in_double_precision(module):
        return Experiment(module, inputs, seed=seed).gradients()


def equivalent(mutant: Mutant, seeds: int = 3) -> bool:
    """Whether the mutant's gradients are those of the original on random inputs, to 1e-12, for every option."""
    for option in options(mutant.case):
        for seed in range(seeds):
            inputs = example(option, seed)[1]
            try:
                wrong = gradients(mutant.module(option), inputs, seed)
            except Exception:  # it is dead, however it dies
                return False
            right = gradients(example(option)[0], inputs, seed)
            for name, a in right.items():
                b = wrong.get(name)
                if (a is None) != (b is None):
                    return False
                if a is not None and not np.linalg.norm(a - b) <= 1e-12 * (np.linalg.norm(a) + 1e-30):
                    return False
    return True


def verdict(mutant: Mutant) -> tuple[str, str]:
    """("dead", diagnosis), ("raises", message), ("equivalent", "") or ("alive", report)."""
    report: Any = None
    for option in options(mutant.case):
        inputs = example(option)[1]
        try:
            report = mf.check_gradients(mutant.module(option), *inputs)
        except Exception as error:  # a mutant may raise anything
            return "raises", str(error)
        if not report.passed:
            return "dead", report.diagnosis
    return ("equivalent", "") if equivalent(mutant) else ("alive", repr(report))
