"""The gradient check under attack: no wrong backward passes, and no right one, at any scale, is called wrong."""

from collections import Counter

import mlx.core as mx
import mutants
import numpy as np
import pytest
from catalogue import CASES
from harness import normal

import miniframe as mf
from miniframe.checking.blame import NO_PATTERN
from miniframe.layers import arithmetic


class Made(mf.Module):
    """A layer of two functions: forward(*inputs), and backward(upstream, *inputs), which may be wrong."""

    def __init__(self, forward, backward):
        self._forward, self._backward = forward, backward

    def forward(self, *inputs):
        self.saved = inputs
        return self._forward(*inputs)

    def backward(self, grad_output):
        return self._backward(grad_output, *self.saved)


class Affine(mf.Module):
    """y = x Wᵀ + b with a place for mistakes: each of the three gradients is a function of (layer, upstream, x)."""

    def __init__(self, weight=None, bias=None, to_input=None, after=None):
        self._weight = weight or (lambda layer, g, x: g.T @ x)
        self._bias = bias or (lambda layer, g, x: g.sum(axis=0))
        self._input = to_input or (lambda layer, g, x: g @ layer.weight.value)
        self._after = after or (lambda layer, g, x: None)
        self.weight = mf.Parameter(normal(4, 4, seed=3).astype(np.float32))
        self.bias = mf.Parameter(normal(4, seed=4).astype(np.float32))

    def forward(self, x):
        self.saved = x
        return x @ self.weight.value.T + self.bias.value

    def backward(self, g):
        x = self.saved
        self.weight.accumulate(self._weight(self, g, x))
        self.bias.accumulate(self._bias(self, g, x))
        self._after(self, g, x)
        return self._input(self, g, x)


class Norm(mf.Module):
    """Rows with mean 0 and spread 1; the mistakes are in backward's terms."""

    def __init__(self, mistake):
        self.mistake = mistake

    def forward(self, x):
        self.saved = x
        centred = x - x.mean(axis=1, keepdims=True)
        return centred / mx.sqrt((centred * centred).mean(axis=1, keepdims=True) + 0.1)

    def backward(self, g):
        x = self.saved
        axis = 0 if self.mistake == "axis" else 1
        centred = x - x.mean(axis=1, keepdims=True)
        variance = (centred * centred).mean(axis=1, keepdims=True)
        root = mx.sqrt(variance) + 0.1 if self.mistake == "eps" else mx.sqrt(variance + 0.1)
        normed = centred / root
        mean = 0 if self.mistake == "mean" else g.mean(axis=axis, keepdims=True)
        spread = 0 if self.mistake == "spread" else normed * (g * normed).mean(axis=1, keepdims=True)
        return (g - mean - spread) / root


def one_percent(layer, g, x):
    grad = g.T @ x
    return grad * mx.where(mx.arange(16).reshape(4, 4) == 6, 1.01, 1.0)


def moved(layer, g, x):
    layer.weight.value = layer.weight.value * 0.9


def overwritten(layer, g, x):
    layer.bias.grad = g.sum(axis=0)


def column(g, keep):
    return g * (mx.arange(4) != keep)


X, Y, P = normal(5, 4), normal(5, 4, seed=9), abs(normal(5, 4)) + 0.2
EXTREME = np.abs(normal(12)) + 0.5
SOFT = mx.softmax

# name: (layer, inputs, what the report says)
PLANTED = {
    "log at 1e-5": (Made(mx.log, lambda g, x: 1.2 * g / x), [1e-5 * EXTREME], "1.2 times"),
    "1/x at 1e-4": (Made(lambda x: 1 / x, lambda g, x: -1.2 * g / x**2), [1e-4 * EXTREME], "1.2 times"),
    "sqrt at 1e-6": (Made(mx.sqrt, lambda g, x: 0.6 * g / mx.sqrt(x)), [1e-6 * EXTREME], "1.2 times"),
    "gradients of 1e-13": (Made(lambda x: 1e-13 * x * x, lambda g, x: 1e-13 * x * g), [X], "2 times too small"),
    "gradients of 1e-30": (Made(lambda x: 1e-30 * x, lambda g, x: 3e-30 * g), [X], "3 times"),
    "a tiny element": (
        Made(lambda x: x * mx.array([1, 1e-9, 1, 1]), lambda g, x: g * mx.array([1, 2e-9, 1, 1])),
        [X],
        "index 1 of axis 1",
    ),
    "sign": (Made(mx.sin, lambda g, x: -g * mx.cos(x)), [X], "sign"),
    "factor 2": (Made(mx.square, lambda g, x: x * g), [X], "factor of a square"),
    "batch size": (Affine(bias=lambda layer, g, x: g.mean(axis=0)), [X], "the batch size"),
    "missing sum": (Affine(bias=lambda layer, g, x: g[0]), [X], "missing sum over the batch"),
    "wrong axis": (Affine(bias=lambda layer, g, x: g.sum(axis=1)), [X[:4]], "wrong axis"),
    "transposed weight gradient": (Affine(weight=lambda layer, g, x: x.T @ g), [X], "transposed"),
    "transposed weight": (Affine(to_input=lambda layer, g, x: g @ layer.weight.value.T), [X], "transposed"),
    "one weight 1% off": (Affine(weight=one_percent), [X], "1 of 16 wrong, the rest right; at (1, 2)"),
    "weight changed": (Affine(after=moved), [X], "changes the value of this parameter"),
    "overwriting": (Affine(after=overwritten), [X], "overwrites the gradient"),
    "bias forgotten": (Affine(bias=lambda layer, g, x: mx.zeros((4,))), [X], "forgotten"),
    "last sample only": (Affine(weight=lambda layer, g, x: g[-1:].T @ x[-1:]), [X], "only the last sample"),
    "upstream ignored": (Made(mx.sin, lambda g, x: mx.cos(x)), [X], "upstream gradient ignored"),
    "upstream squared": (Made(mx.sin, lambda g, x: g * g * mx.cos(x)), [X], "enters twice"),
    "derivative missing": (Made(mx.tanh, lambda g, x: g * 1), [X], "local derivative missing"),
    "derivative upside down": (Made(mx.tanh, lambda g, x: g / (1 - mx.tanh(x) ** 2)), [X], "upside down"),
    "square forgotten": (Made(mx.tanh, lambda g, x: g * (1 - mx.tanh(x))), [X], "(1 - the output)"),
    "wrong branch": (
        Made(lambda x: mx.where(x > 0, x, 0.2 * x), lambda g, x: g * mx.where(x > 0, 0.2, 1.0)),
        [X],
        "branches swapped",
    ),
    "one branch": (
        Made(lambda x: mx.where(x > 0, x, mx.expm1(x)), lambda g, x: g * mx.where(x > 0, 1.0, 0.5)),
        [X],
        "one branch is wrong",
    ),
    "mask": (Made(lambda x: mx.maximum(x, 0), lambda g, x: g * (x < 0)), [X], "mask inverted"),
    "mask ignored": (Made(lambda x: mx.maximum(x, 0), lambda g, x: g * 1), [X], "mask not reused"),
    "slice": (Made(lambda x: x * 2, lambda g, x: 2 * column(g, 0)), [X], "incomplete"),
    "slice off by one": (
        Made(lambda x: column(x, 0), lambda g, x: column(g, 1)),
        [X],
        "index 0, 1 of axis 1",
    ),
    "swapped gradients": (Made(lambda x, y: x * y, lambda g, x, y: (g * x, g * y)), [X, Y], "the gradient of input 1"),
    "cross terms forgotten": (
        Made(lambda x: SOFT(x, axis=1), lambda g, x: g * SOFT(x, axis=1) * (1 - SOFT(x, axis=1))),
        [X],
        "cross terms missing",
    ),
    "statistics constant": (Norm("mean"), [X], "cross terms wrong"),
    "spread constant": (Norm("spread"), [X], "terms wrong"),
    "statistics along the wrong axis": (Norm("axis"), [X], "leak"),
    "eps outside the root": (Norm("eps"), [X], "terms wrong"),
    "flipped": (Made(lambda x: x[:, ::-1] * 1, lambda g, x: g * 1), [X], "the right numbers in the wrong places"),
    "bias correction": (
        Made(lambda x: x.var(axis=0, ddof=1), lambda g, x: 2 * g * (x - x.mean(axis=0)) / x.shape[0]),
        [X],
        "0.8 times",
    ),
    "output for input": (Made(mx.expm1, lambda g, x: g * mx.expm1(x)), [X], "1 times the upstream gradient is missing"),
    "half a product": (Made(lambda x: x * mx.exp(x), lambda g, x: g * mx.exp(x)), [X], "the output is missing"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_caught_and_gets_its_own_diagnosis(name):
    layer, inputs, words = PLANTED[name]
    report = mf.check_gradients(layer, *inputs)
    assert not report.passed, report
    assert words in report.diagnosis, report


# -------------------------------------------------------------------- mutants of every layer


def killed(chosen):
    """Counts of the verdicts, the living, and the dead without a diagnosis of their own."""
    verdicts = [(mutant, *mutants.verdict(mutant)) for mutant in chosen]
    counts = Counter(kind for _, kind, _ in verdicts)
    alive = [f"{mutant}\n{words}" for mutant, kind, words in verdicts if kind == "alive"]
    plain = sum(kind == "dead" and NO_PATTERN in words for _, kind, words in verdicts)
    dead = counts["dead"] + counts["raises"]
    print(f"{len(verdicts)} mutants: {dict(counts)}; score {dead / (dead + len(alive)):.1%}; {plain} undiagnosed")
    return counts, alive, plain


def test_a_sample_of_mutants_dies():
    every = [mutant for case in CASES for mutant in mutants.mutants(case)]
    chosen = [every[i] for i in np.random.default_rng(0).choice(len(every), 100, replace=False)]
    counts, alive, plain = killed(chosen)
    assert counts["dead"] > 40 and plain <= counts["dead"] / 4
    assert len(alive) <= 0.02 * len(chosen), "\n".join(alive)


@pytest.mark.slow
def test_at_least_98_percent_of_all_mutants_die_and_three_quarters_are_diagnosed():
    counts, alive, plain = killed(mutant for case in CASES for mutant in mutants.mutants(case))
    assert counts["dead"] >= 300  # by wrong numbers alone, and not because they could not run
    assert len(alive) <= 0.02 * (counts["dead"] + len(alive)), "\n".join(alive)
    assert plain <= counts["dead"] / 4


# -------------------------------------------------------------------- right layers at every scale


def right_layers(scale):
    """(name, layer, inputs): right ones, on numbers of this size."""
    x, y = normal(4, 3) * scale, normal(4, 3, seed=7) * scale
    positive, labels = (abs(normal(4, 3)) + 0.5) * scale, np.array([0, 1, 2, 1])
    shrunk = mf.Linear(3, 2)
    shrunk.weight.value = shrunk.weight.value * scale
    yield from [(name, getattr(mf, name)(), (x, y)) for name in ("MSELoss", "L1Loss", "HuberLoss")]
    yield from [(name, getattr(arithmetic, name)(), (positive,)) for name in ("Log", "Sqrt")]
    yield "Divide", arithmetic.Divide(), (positive, positive[:1])
    yield from [(name, getattr(mf, name)(), (x,)) for name in ("ReLU", "ELU", "Sigmoid", "Tanh", "Softmax", "GELU")]
    yield from [("Linear", mf.Linear(3, 2), (x,)), ("scaled Linear", shrunk, (normal(4, 3),))]
    yield from [("LayerNorm", mf.LayerNorm(3), (x,)), ("CrossEntropyLoss", mf.CrossEntropyLoss(), (x, labels))]
    yield "model", mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 2)), (x,)
    if scale < 0.1:
        yield "BCELoss", mf.BCELoss(), (positive, np.full((4, 3), 0.3))


@pytest.mark.parametrize("power", range(-8, 9))
def test_right_layers_pass_at_every_scale(power):
    for name, layer, inputs in right_layers(10.0**power):
        report = mf.check_gradients(layer, *inputs)
        assert report.passed, f"{name}\n{report}"


def test_200_right_layers_are_among_them():
    assert sum(1 for power in range(-8, 9) for _ in right_layers(10.0**power)) >= 200


@pytest.mark.parametrize("function, slope", [(mx.sin, mx.cos), (mx.exp, mx.exp)])
def test_a_layer_that_keeps_a_function_of_mlx_passes_and_the_report_says_how_it_computes(function, slope):
    report = mf.check_gradients(Made(function, lambda g, x: g * slope(x)), X)
    assert report.passed and "computes in float32: Made()" in repr(report)


def test_a_layer_that_computes_in_float32_passes_where_right_and_fails_where_wrong():
    def single(x):
        return mx.tanh(x.astype(mx.float32))

    right = Made(single, lambda g, x: g * (1 - mx.tanh(x) ** 2))
    model = mf.Sequential(mf.Linear(4, 4), right, mf.Linear(4, 2))
    report = mf.check_gradients(model, X)
    assert report.passed and "computes in float32: layer 1, Made()" in repr(report)
    assert not mf.check_gradients(Made(single, lambda g, x: 1.05 * g * (1 - mx.tanh(x) ** 2)), X).passed
