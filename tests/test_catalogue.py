"""What must hold for every layer and loss of the package."""

import importlib
import pkgutil
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES, NOT_LISTED, spread

import miniframe as mf
from miniframe.saving.description import known_classes

PACKAGE = Path(mf.__file__).parent


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def example(name, seed=0):
    rng = np.random.default_rng(seed)
    mf.seed(seed)
    return spread(CASES[name].make(), rng), CASES[name].inputs(rng)


def is_own(cls):
    """Whether it is a class of the package, and not one of an example in a docstring, which only seems to be."""
    module = cls.__module__
    return module.startswith("miniframe.") and hasattr(sys.modules[module], cls.__name__)


def test_every_layer_and_loss_is_in_the_catalogue():
    for found in pkgutil.walk_packages([str(PACKAGE)], "miniframe."):
        if "exercises" not in found.name and "__main__" not in found.name:
            importlib.import_module(found.name)
    own = [cls for cls in known_classes().values() if is_own(cls)]
    layers = {cls.__name__ for cls in own if "exercises" not in cls.__module__ and not cls.__name__.startswith("_")}
    assert layers - NOT_LISTED == set(CASES)


def test_two_classes_never_share_a_name():
    def below(cls):
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    names = [cls.__name__ for cls in below(mf.Module) if is_own(cls)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("seeds", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_no_right_layer_raises_an_alarm_over_many_seeds(name, seeds):
    for seed in range(seeds):
        module, inputs = example(name, seed)
        report = mf.check_gradients(module, *inputs, seed=seed)
        assert report.passed, f"seed {seed}\n{report}"


# -------------------------------------------------------------------- mutations: a test of the checker


def changed(grads, change):
    """A gradient, or each of several, changed; None stays None."""
    if isinstance(grads, tuple):
        return tuple(changed(grad, change) for grad in grads)
    return None if grads is None else change(grads)


MUTATIONS = {
    "scale": lambda grad: grad * 1.001,
    "sign": lambda grad: -grad,
    "zero": lambda grad: grad * 0,
    "one element": lambda grad: grad * mx.where(mx.abs(grad) == mx.abs(grad).max(), 1.01, 1.0),
}


def mutant(module, change):
    """The same module with a wrong backward (for a loss, a wrong gradient)."""
    cls, method = type(module), "gradient" if isinstance(module, mf.Loss) else "backward"
    if module.composes():
        return None
    right = getattr(cls, method)
    wrong = type(cls.__name__, (cls,), {method: lambda self, *grad: changed(right(self, *grad), change)})
    module.__class__ = wrong
    return module


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_every_wrong_input_gradient_is_caught(name, mutation):
    module, inputs = example(name)
    wrong = mutant(module, MUTATIONS[mutation])
    if wrong is None or name == "Embedding":  # without a backward of its own, or without an input gradient
        return
    report = mf.check_gradients(wrong, *inputs)
    assert not report.passed and report.diagnosis, report


FEW = 6  # parameters


@pytest.mark.parametrize("mutation", [*MUTATIONS, "drop"])
def test_every_wrong_parameter_gradient_is_caught(name, mutation, monkeypatch):
    """Where a block of many layers only composes, each parameter gets one of the mistakes: its layers had them all."""
    module, inputs = example(name)
    parameters, kinds = list(module.parameters()), [*MUTATIONS, "drop"]
    block = module.composes() and len(parameters) > FEW
    mine = parameters[kinds.index(mutation) :: len(kinds)] if block else parameters
    for parameter in mine:
        original = mf.Parameter.accumulate

        def accumulate(self, grad, chosen=parameter, original=original):
            if self is not chosen:
                original(self, grad)
            elif mutation != "drop":
                original(self, MUTATIONS[mutation](grad))

        with monkeypatch.context() as patch:
            patch.setattr(mf.Parameter, "accumulate", accumulate)
            report = mf.check_gradients(module, *inputs)
        failed = [row.name for row in report.rows if not row.passed]
        assert failed == [next(path for path, p in module.named_parameters() if p is parameter)], report


# -------------------------------------------------------------------- files


def test_every_layer_returns_from_a_file(name, tmp_path):
    module, inputs = example(name)
    arrays = [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in inputs]
    module.eval()
    module.save(tmp_path / "layer")
    loaded = mf.load(tmp_path / "layer")
    assert repr(loaded) == repr(module)
    expected, found = module(*arrays), loaded(*arrays)
    for a, b in zip(*(out if isinstance(out, tuple) else (out,) for out in (expected, found))):
        assert mx.array_equal(a, b)
