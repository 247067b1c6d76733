"""Lessons 6 to 8, 12, 13 and 15: counting mistakes, stopping in time, starting right, diseases, lines, levels."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
import numpy as np

from .calls import as_array, as_number, call
from .exercise import Namespace, Wrong, exercise
from .judge import generator, same


@exercise(
    "6.3",
    "A confusion matrix",
    '''
Count how often true class i was called j: entry [i, j] of a (classes, classes) array. ``truth`` and ``said`` are
arrays of whole numbers.
"""

import mlx.core as mx
import numpy as np


def confusion(truth, said, classes):
    raise NotImplementedError("your turn")
''',
    forbidden=("confusion_matrix",),
)
def confusion(names: Namespace) -> None:
    rng = generator()
    for size, classes in ((5, 2), (40, 3), (30, 6)):
        truth, said = rng.integers(classes - 1, size=size), rng.integers(classes, size=size)
        right = np.zeros((classes, classes))
        np.add.at(right, (truth, said), 1)
        given = (mx.array(truth.astype(np.int32)), mx.array(said.astype(np.int32)))
        result = as_array(call(names, "confusion", *given, classes))
        if result.shape != (classes, classes):
            hint = "Classes that do not occur have rows and columns of zeros."
            raise Wrong(f"Expected shape {(classes, classes)}, got {result.shape}. {hint}")
        if same(result, right.T) and not same(right, right.T):
            raise Wrong("Rows and columns are swapped: a row for each *true* class.")
        if same(result, right > 0):
            raise Wrong("Each pair is counted once at most. Adding to a[i, j] with repeated indices keeps only one.")
        if not same(result, right):
            raise Wrong(f"Of {size} samples you count {result.sum():g}; look at entry [i, j] for one i and j.")


@exercise(
    "7.1",
    "Early stopping",
    '''
Training stops after ``patience`` epochs in a row without a loss lower than the lowest so far, and keeps the weights of
the best epoch it has seen. Return the number of that epoch, counted from 0. The list may go on after the stop: nobody
sees that any more.
"""


def best_epoch(val_losses, patience):
    raise NotImplementedError("your turn")
''',
)
def best_epoch(names: Namespace) -> None:
    cases: list[tuple[list[float], int]] = [
        ([3.0, 2.0, 1.0, 1.5, 1.6, 0.5], 2),
        ([3.0, 2.0, 1.0, 1.5, 0.5, 0.6], 2),
        ([1.0, 1.0, 2.0], 3),
        ([1.0, 1.0, 1.0, 0.5], 2),
        ([2.0, 1.0, 3.0, 0.5], 1),
        ([5.0, 4.0, 3.0], 2),
        ([1.0], 3),
    ]
    rng = generator()
    cases += [(rng.uniform(size=20).tolist(), int(rng.integers(1, 6))) for _ in range(5)]
    for losses, patience in cases:
        result = as_number(call(names, "best_epoch", list(losses), patience))
        right = _best(losses, patience)
        if result == right:
            continue
        told = f"For {[round(loss, 2) for loss in losses]} and patience {patience} you say {result:g}. "
        if result == int(np.argmin(losses)):
            raise Wrong(told + "That lowest loss comes after the training has stopped.")
        if len(losses) > right and result == min(right + patience, len(losses) - 1):
            raise Wrong(told + "That is where it stops; the weights kept are those of the best epoch.")
        if losses[int(result)] == losses[right]:
            raise Wrong(told + "As low is not lower: the first epoch with that loss counts.")
        raise Wrong(told + "Walk along the list with the lowest so far and a counter in your hands.")


def _best(losses: list[float], patience: int) -> int:
    best, waited = 0, 0
    for epoch, loss in enumerate(losses):
        if epoch == 0 or loss < losses[best]:
            best, waited = epoch, 0
        else:
            waited += 1
            if waited == patience:
                break
    return best


@exercise(
    "8.1",
    "How large should initial weights be?",
    '''
The standard deviation of the weights with which a layer of ``fan_in`` inputs, followed by this activation, keeps the
size of the signal. ``activation`` is "linear", "tanh" (its slope at 0 counts) or "relu".
"""

import math


def initial_std(fan_in, activation):
    raise NotImplementedError("your turn")
''',
    forbidden=("initializers", "kaiming_normal", "xavier_normal", "gain"),
)
def initial_std(names: Namespace) -> None:
    for fan_in in (100, 64, 3):
        for activation, factor in (("linear", 1.0), ("tanh", 1.0), ("relu", math.sqrt(2))):
            result = as_number(call(names, "initial_std", fan_in, activation))
            right, told = factor / math.sqrt(fan_in), f"For {fan_in} inputs and {activation} you say {result:.4g}. "
            if abs(result - right) < 1e-6:
                continue
            if abs(result - right**2) < 1e-6:
                raise Wrong(told + "That is the variance; its root is asked.")
            if abs(result - right / math.sqrt(3)) < 1e-6:
                raise Wrong(told + "That is the default of Linear, which lets the signal shrink.")
            if activation == "relu" and abs(result - 1 / math.sqrt(fan_in)) < 1e-6:
                raise Wrong(told + "ReLU throws half of the signal's mean square away.")
            if activation == "relu" and abs(result - 2 / math.sqrt(fan_in)) < 1e-6:
                raise Wrong(told + "The *variance* doubles, not the standard deviation.")
            raise Wrong(told + "The variance of a sum over n independent terms is n times that of one.")


DISEASES = ("rate too high", "rate too low", "dead units", "saturated", "vanishing", "exploding", "healthy")


@exercise(
    "12.1",
    "The doctor",
    '''
``reading`` is a dict of what the recorder read:

    "first", "last"    the loss at the start and now
    "update"           how far one step moves the weights, over their size
    "dead"             the share of a layer's units that are 0 for every sample
    "saturated"        the share of a layer's outputs at the limits of Tanh or Sigmoid
    "gradient"         the gradient at the first layer, over that at the last one

Return one of "rate too high", "rate too low", "dead units", "saturated", "vanishing", "exploding", "healthy". Ask for
the cause before its consequences: dead and saturated units make gradients vanish, too. Above 0.1 an update is large,
below 0.0001 tiny; four fifths of a layer are too many; a factor of 1000 up or 10000 down between layers is not healthy.
"""


def diagnose(reading):
    raise NotImplementedError("your turn")
''',
    points=2,
    forbidden=("findings", "FlightRecorder"),
)
def diagnose(names: Namespace) -> None:
    healthy = {"first": 0.7, "last": 0.3, "update": 0.01, "dead": 0.1, "saturated": 0.1, "gradient": 0.8}
    patients: list[tuple[str, dict[str, float], str]] = [
        ("healthy", {}, "Nothing is wrong with this one."),
        ("rate too high", {"update": 5.0, "last": 9.0}, "Large steps, and the loss has not fallen."),
        ("healthy", {"update": 0.3}, "A large step alone is no disease: the loss has fallen."),
        ("rate too low", {"update": 1e-6, "last": 0.6999}, "Tiny steps, and the loss has hardly moved."),
        ("healthy", {"update": 1e-5, "last": 0.01}, "Tiny steps alone are no disease: this training has arrived."),
        ("dead units", {"dead": 0.95, "last": 0.69}, "Almost all units of a layer are dead."),
        ("dead units", {"dead": 0.95, "gradient": 1e-7, "last": 0.69}, "Dead units are why the gradient vanishes."),
        ("saturated", {"saturated": 0.9, "gradient": 1e-6, "last": 0.69}, "Saturation is why the gradient vanishes."),
        ("vanishing", {"gradient": 1e-7, "last": 0.69}, "The gradient shrinks on its way to the first layer."),
        ("exploding", {"gradient": 5e4, "last": 0.69}, "The gradient grows on its way to the first layer."),
    ]
    for right, signs, words in patients:
        reading = {**healthy, **signs}
        result = call(names, "diagnose", dict(reading))
        if result not in DISEASES:
            raise Wrong(f"Return one of {', '.join(DISEASES)}; you returned {result!r}.")
        if result != right:
            raise Wrong(f"For {reading} you say {result!r}. {words}")


@exercise(
    "13.1",
    "Any function, by hand",
    '''
A network of ReLUs on a line:  f(x) = c + Σ_j a[j] · max(0, x - k[j])

Return (c, a, k) so that f goes through the points (xs[i], ys[i]) and is straight between them. xs grows, and there are
n points, so n - 1 ReLUs are enough: the first starts at xs[0], and each later one bends the line where it has to bend.
"""

import numpy as np


def bend(xs, ys):
    """Lists of numbers -> a number and two lists of n - 1 numbers."""
    raise NotImplementedError("your turn")
''',
    points=2,
    forbidden=("interp",),
)
def bend(names: Namespace) -> None:
    rng = generator()
    cases = [([0.0, 1.0], [1.0, 3.0]), ([0.0, 1.0, 2.0], [0.0, 1.0, 0.0]), ([-1.0, 0.0, 3.0], [2.0, 2.0, 5.0])]
    cases += [(np.sort(rng.uniform(-3, 3, n)).tolist(), rng.normal(size=n).tolist()) for n in (4, 7)]
    for xs, ys in cases:
        result = call(names, "bend", list(xs), list(ys))
        if not isinstance(result, (tuple, list)) or len(result) != 3:
            raise Wrong("Return three things: the number c, and the lists a and k.")
        c, a, k = as_number(result[0], "c"), as_array(result[1], what="a"), as_array(result[2], what="k")
        if a.shape != (len(xs) - 1,) or k.shape != a.shape:
            raise Wrong(f"{len(xs)} points need {len(xs) - 1} ReLUs; you return {a.size} slopes and {k.size} kinks.")

        def f(x: Any, c: float = c, a: Any = a, k: Any = k) -> Any:
            return c + (a * np.maximum(0, np.asarray(x)[:, None] - k)).sum(axis=1)

        told = f"For xs = {np.round(xs, 2).tolist()}, ys = {np.round(ys, 2).tolist()}: "
        if abs(f([xs[0]])[0] - ys[0]) > 1e-6:
            raise Wrong(told + "f is wrong at the first point, where all ReLUs are 0.")
        if abs(f([xs[1]])[0] - ys[1]) > 1e-6 * (1 + abs(ys[1])):
            raise Wrong(told + "f is wrong at the second point: the first ReLU has the slope of the first piece.")
        if not same(f(xs), ys, 1e-6):
            raise Wrong(told + "right at first. A new ReLU *adds* its slope to all before: it needs the difference.")


@exercise(
    "15.1",
    "What can run side by side?",
    '''
``inputs[name]`` lists the names of what each call of a graph is computed from. Names that are no key are given: they
are there from the beginning. Return a dict from the name of each call to its level: 1 where it waits for nothing but
what is given, and otherwise one more than the highest level among what it waits for. The calls come in any order.
"""


def levels(inputs):
    raise NotImplementedError("your turn")
''',
)
def levels(names: Namespace) -> None:
    cases: list[dict[str, list[str]]] = [
        {"a": ["x"], "b": ["x"], "c": ["a", "b"]},
        {"c": ["a", "x"], "a": ["x"], "d": ["c", "x"]},
        {"d": ["b", "c"], "c": ["b"], "b": ["a", "a"], "a": ["x", "y"], "e": ["y"]},
        {"alone": []},
    ]
    rng = generator()
    grown: dict[str, list[str]] = {}
    for number in range(12):
        grown[f"n{number}"] = [f"n{j}" for j in rng.integers(0, number, size=2)] if number else ["x"]
    cases.append(dict(reversed(grown.items())))
    for inputs in cases:
        result = call(names, "levels", {name: list(sources) for name, sources in inputs.items()})
        if not isinstance(result, dict):
            raise Wrong(f"Return a dict from names to levels, not {type(result).__name__}.")
        right = {name: _level(name, inputs) for name in inputs}
        if set(result) != set(right):
            raise Wrong(f"Expected levels for {sorted(right)}, got {sorted(map(str, result))}.")
        if any(result[name] == right[name] - 1 for name in right) and all(
            result[name] == right[name] - 1 for name in right
        ):
            raise Wrong("All levels are one too low: what is given has level 0, the first calls have level 1.")
        for name in right:
            if result[name] != right[name]:
                raise Wrong(f"For {inputs} you put {name!r} on level {result[name]}; it belongs on {right[name]}.")


def _level(name: str, inputs: dict[str, list[str]]) -> int:
    return 1 + max((_level(source, inputs) for source in inputs[name] if source in inputs), default=0)
