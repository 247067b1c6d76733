"""Checks of how a layer behaves: what it takes, gives, changes and keeps, in files, copies and training."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_tuple, is_floating
from ..core.cells import values_of
from ..core.sequential import Sequential
from ..losses.elementwise import MSELoss
from ..optimizers.sgd import SGD
from ..saving.model import load
from ..training.step import Step
from .derivatives import by_differences
from .subject import Subject, same


def runs(s: Subject) -> str | None:
    """forward takes the inputs and returns an array, or a tuple of them, of finite numbers."""
    output = s.forward(s.copy(), s.arrays())
    for part in as_tuple(output):
        assert isinstance(part, mx.array), (
            f"forward returned {type(part).__name__}; expected an mx.array, or a tuple of them"
        )
        assert not is_floating(part) or mx.isfinite(part).all().item(), (
            "forward returned NaN or infinite numbers; give inputs on which the layer is defined"
        )
    return None


def leaves_inputs_alone(s: Subject) -> str | None:
    """Neither forward nor backward writes into what it was given."""
    layer, inputs = s.copy(), s.arrays()
    before = [np.array(x) for x in inputs]
    output = s.forward(layer, inputs)
    grads = [s.upstream(part, place) for place, part in enumerate(as_tuple(output))]
    expected = [np.array(grad) for grad in grads]
    for place, (now, then) in enumerate(zip(inputs, before)):
        assert np.array_equal(np.array(now), then, equal_nan=True), (
            f"forward changed input {place}, which others still use; make a new array instead of assigning into it"
        )
    layer.backward(tuple(grads) if isinstance(output, tuple) else grads[0])
    for what, arrays, kept in (("an input", inputs, before), ("grad_output", grads, expected)):
        for now, then in zip(arrays, kept):
            assert np.array_equal(np.array(now), then, equal_nan=True), (
                f"backward changed {what}, which others still use; make a new array instead of assigning into it"
            )
    return None


def gradients_fit(s: Subject) -> str | None:
    """backward returns a gradient for each input, of its shape and type, and gives one to every parameter."""
    layer, inputs = s.copy(), s.arrays()
    _, received = s.both(layer, inputs)
    assert len(received) == len(inputs), (
        f"backward returned {len(received)} gradients for {len(inputs)} inputs; expected one for each, None where "
        "there is none"
    )
    for place, (grad, x) in enumerate(zip(received, inputs)):
        assert grad is not None or not is_floating(x), f"backward returned None for input {place}, which has a gradient"
        assert grad is None or grad.shape == x.shape, (
            f"backward returned {grad.shape} for input {place} of shape {x.shape}; a gradient has its input's shape"
        )
        assert grad is None or not is_floating(x) or grad.dtype == x.dtype, (
            f"backward returned {grad.dtype} for input {place} of {x.dtype}; keep to the input's type"
        )
    for name, parameter in layer.named_parameters():
        if parameter.trainable:
            assert parameter.grad is not None, (
                f"backward gave {name} no gradient; add it with self.{name}.accumulate(...)"
            )
            assert parameter.grad.shape == parameter.shape, (
                f"the gradient of {name} is {parameter.grad.shape}, and {name} {parameter.shape}"
            )
    return None


def one_sample(s: Subject) -> str | None:
    """A batch of a single sample works, and its gradients are right."""
    if s.samples < 2:
        return "the example has no batch"
    try:
        s.forward(s.copy(False), s.arrays(lambda x: x[:1]))
    except Exception as error:
        raise AssertionError(f"a batch of one sample fails: {type(error).__name__}: {error}") from error
    return by_differences(s, training=False, inputs=s.precise(slice(0, 1)))


def samples_are_apart(s: Subject) -> str | None:
    """Where the layer's class says ``samples_apart = True``, a sample's output is the same without the others."""
    layer = s.copy(False)
    if "samples_apart" not in vars(type(layer)) or not layer.samples_apart or s.samples < 2:
        return "it does not say samples_apart = True"
    whole, one = s.forward(layer, s.arrays()), s.forward(layer, s.arrays(lambda x: x[:1]))
    first = tuple(part[:1] for part in as_tuple(whole))
    words = "samples_apart = True, but the first sample's output depends on the others; leave samples_apart out: "
    same(one, first if isinstance(whole, tuple) else first[0], words)
    return None


VIEWS = {
    "transposed": lambda x: mx.contiguous(x.T).T,
    "backwards": lambda x: mx.contiguous(x[::-1])[::-1] if x.ndim else x,
    "every other number": lambda x: mx.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x,
}


def takes_views(s: Subject) -> str | None:
    """Arrays that are views of others, with gaps or in another order in memory, give the same numbers."""
    expected, grads = s.both(s.copy(False), s.arrays())
    for name, view in VIEWS.items():
        try:
            found, received = s.both(s.copy(False), s.arrays(view))
        except Exception as error:
            raise AssertionError(f"fails on a view ({name}): {type(error).__name__}: {error}") from error
        same(found, expected, f"a view ({name}) gives another output: ")
        pairs = [(a, b) for a, b in zip(received, grads) if a is not None and b is not None]
        for one, other in pairs:
            same(one, other, f"a view ({name}) gives another gradient: ")
    return None


def saves_and_loads(s: Subject) -> str | None:
    """``save`` and ``load`` give a layer that computes the same."""
    layer = s.copy(False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            layer.save(Path(folder) / "layer")
            back = load(Path(folder) / "layer")
        except Exception as error:
            raise AssertionError(
                f"cannot be saved and loaded: {type(error).__name__}: {str(error).replace(folder, '')}; a class of "
                "one's own needs @mf.register, and settings that are numbers, text, arrays, or lists of them"
            ) from error
    same(s.forward(back, s.arrays()), s.forward(layer, s.arrays()), "what is loaded computes something else: ")
    return None


def copies_and_pickles(s: Subject) -> str | None:
    """A copy, and what pickle makes, compute the same and share nothing with the original."""
    layer = s.copy(False)
    try:
        twins = {"copy.deepcopy": s.copy(False), "pickle": pickle.loads(pickle.dumps(layer))}
    except Exception as error:
        raise AssertionError(
            f"cannot be pickled: {type(error).__name__}: {error}; define the class at the top of a module, and keep "
            "functions and open files out of its attributes"
        ) from error
    for how, twin in twins.items():
        words = f"{how} gives a layer that computes otherwise: "
        same(s.forward(twin, s.arrays()), s.forward(layer, s.arrays()), words)
        shared = {id(cell) for cell in twin.parameters()} & {id(cell) for cell in layer.parameters()}
        assert not shared, f"{how} gives a layer that shares its parameters with the original"
    return None


def trains_compiled(s: Subject) -> str | None:
    """Three steps of training are the same compiled and not."""
    output = s.forward(s.copy(), s.arrays())
    if isinstance(output, tuple) or not is_floating(output):
        return "the layer does not return one array of numbers"
    x: Any = tuple(s.arrays()) if len(s.inputs) > 1 else s.arrays()[0]
    target, found = s.upstream(output, 1), []
    for compile in (True, False):
        layer = s.copy()
        model = layer if len(s.inputs) > 1 else Sequential(layer)
        if not list(model.parameters()):
            return "the layer has no parameters"
        step = Step(model, MSELoss(), SGD(model, lr=0.01), compile=compile)
        losses = []
        for _ in range(3):
            s.forward(s.copy(), s.arrays())  # the same random numbers for both
            losses.append(step(x, target)[0])
        if compile and not step.compiles:
            raise AssertionError("the step cannot be compiled: see the warning; it trains slower, with compile=False")
        found.append([mx.stack(losses), *values_of(list(model.parameters()))])
    same(tuple(found[0]), tuple(found[1]), "training compiled gives other numbers than compile=False: ")
    return None


def repeats_itself(s: Subject) -> str | None:
    """In evaluation mode, and with the same seed in training, the same inputs give the same outputs."""
    layer = s.copy(False)
    first, second = layer(*s.arrays()), layer(*s.arrays())
    same(second, first, "in evaluation mode, a second call gives other numbers; draw random ones in training only: ")
    layer = s.copy(True)
    first = s.forward(layer, s.arrays())
    second = s.forward(s.copy(True), s.arrays())
    same(second, first, "mf.seed does not repeat the numbers; draw them with mx.random: ")
    return None


def keeps_the_type(s: Subject) -> str | None:
    """Single precision in, single precision out."""
    layer, inputs = s.copy(False), s.arrays()
    if not any(is_floating(x) for x in inputs):
        return "the inputs are integers"
    for part in as_tuple(s.forward(layer, inputs)):
        assert not is_floating(part) or part.dtype == mx.float32, (
            f"inputs of float32 give an output of {part.dtype}; make constants by x.dtype, or plain Python numbers"
        )
    return None
