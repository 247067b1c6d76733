"""Writes docs/layers.md, the table of all layers and losses with the error against each of three witnesses.

    python docs/layers.py

The list is the tests' own catalogue, so that no layer is missing; a test fails when the page is out of date.
"""

import inspect
import math
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests" / "support")]

from catalogue import CASES, spread  # noqa: E402

import miniframe as mf  # noqa: E402
from miniframe import functional  # noqa: E402
from miniframe.checking.compare import WITNESSES, compare_gradients  # noqa: E402
from miniframe.testing.derivatives import _Squares  # noqa: E402

HEAD = """# All layers and losses

Each with its first words, and with how far its hand-written gradient is from those of three independent witnesses, in
double precision, over all parameters and inputs of a small example: finite differences, MLX's automatic
differentiation, and PyTorch. The errors are relative, and rounded up to a thousandth, a millionth and so on. The names
in small letters are functions of `miniframe.functional` with the same derivative. Written by `docs/layers.py`.

| layer | | function | differences | mx.grad | PyTorch |
|---|---|---|---|---|---|
"""


def errors(name: str) -> dict[str, float]:
    """The largest relative error against each witness; a layer that draws random numbers is in evaluation mode."""
    rng = np.random.default_rng(0)
    mf.seed(0)
    module, inputs = spread(CASES[name].make(), rng), CASES[name].inputs(rng)
    if name in ("Dropout", "GaussianSample", "StochasticDepth"):
        module.eval()
    if isinstance(module, mf.Loss):
        found = compare_gradients(mf.Identity(), module, inputs[0], inputs[1])
    else:
        outputs = module(*[mf.as_array(x) for x in inputs])
        several = isinstance(outputs, tuple)
        target = np.random.default_rng(1).normal(size=(1,) if several else outputs.shape)
        model = _Squares(module) if several else module
        found = compare_gradients(model, mf.MSELoss(), tuple(inputs), target)
    assert not found.absent, f"{name}: {found.absent}"
    return {w: max(found.error(gradient, w) or 0.0 for gradient in found.gradients) for w in WITNESSES[1:]}


def badge(error: float) -> str:
    """The error, rounded up to a power of a thousand.

    >>> badge(3e-11), badge(0.0)
    ('< 10⁻⁹', '< 10⁻¹⁵')
    """
    power = 15 if error < 1e-15 else 3 * math.floor(-math.log10(error) / 3)
    return "< 10⁻" + str(power).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def words(name: str) -> str:
    """The first sentence of its docstring."""
    text = inspect.getdoc(type(CASES[name].make())) or ""
    return text.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".").replace("|", "\\|")


def function(name: str) -> str:
    """The function of the same layer, if there is one."""
    for other, thing in vars(functional).items():
        if not other.startswith("_") and callable(thing) and other.replace("_", "") == name.lower():
            return f"`{other}`"
    return ""


def page() -> str:
    """The whole page."""
    lines = []
    for name in sorted(CASES, key=str.lower):
        badges = " | ".join(badge(error) for error in errors(name).values())
        lines.append(f"| {name} | {words(name)} | {function(name)} | {badges} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (ROOT / "docs" / "layers.md").write_text(page())
    print(ROOT / "docs" / "layers.md")
