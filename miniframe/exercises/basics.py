"""Lessons 1 to 3: arrays, one neuron, small derivatives."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from .calls import as_array, as_number, call, finite
from .exercise import Namespace, Wrong, exercise
from .judge import arguments, found, generator, normal, same


@exercise(
    "1.1",
    "Standardize the columns of an array",
    '''
Subtract each column's mean and divide by each column's standard deviation (mx.var divides by N by default; keep that).
"""

import mlx.core as mx


def standardize(x):
    """(N, D) -> (N, D), with columns of mean 0 and standard deviation 1."""
    raise NotImplementedError("your turn")
''',
)
def standardize(names: Namespace) -> None:
    for rows, columns in ((50, 3), (7, 5), (40, 1)):
        scales, means = np.array([1.0, 5.0, 0.2, 30.0, 2.0]), np.array([2.0, -3.0, 0.5, 10.0, -40.0])
        x = normal(rows, columns) * scales[:columns] + means[:columns]
        result = as_array(call(names, "standardize", mx.array(x.astype(np.float32))))
        if result.shape != x.shape:
            raise Wrong(f"The shape must stay {x.shape}, got {result.shape}.")
        _judge_columns(x, finite(result, "The result"))


def _judge_columns(x: np.ndarray, result: np.ndarray) -> None:
    n = len(x)
    if abs(result.mean()) < 1e-3 and abs(result.mean(axis=0)).max() > 1e-2:
        raise Wrong("The mean of all numbers together is 0, but the columns' means are not. Which axis?")
    if abs(result.mean(axis=0)).max() > 1e-3:
        raise Wrong("The columns' means are not 0. Which axis runs along the samples?")
    if same(result.std(axis=0), x.std(axis=0), 1e-3):
        raise Wrong("The means are right; the deviations have not changed. Divide, too.")
    if same(result.std(axis=0) * x.std(axis=0), np.ones(x.shape[1]), 1e-3):
        raise Wrong("You divided by the variance; the standard deviation is its root.")
    if same(result.std(axis=0), np.full(x.shape[1], math.sqrt((n - 1) / n)), 1e-3 / n):
        raise Wrong("Almost: you divided by the deviation with N - 1. Here it is N (ddof=0).")
    if not same(result.std(axis=0), np.ones(x.shape[1]), 1e-3):
        raise Wrong(f"The columns' deviations are {result.std(axis=0).round(3).tolist()}, not 1.")
    if not same(result, (x - x.mean(axis=0)) / x.std(axis=0), 1e-3):
        raise Wrong("Means and deviations fit, but these are not the samples any more: shift and scale each column.")


@exercise(
    "1.2",
    "The fraction of right answers",
    '''
The predicted class of a row is the column of its largest score.
"""

import mlx.core as mx


def accuracy(scores, labels):
    """(N, classes) scores and (N,) integer labels -> the fraction of rows whose largest score stands at the label."""
    raise NotImplementedError("your turn")
''',
)
def accuracy(names: Namespace) -> None:
    draw = generator()
    for rows, classes in ((11, 4), (5, 3), (8, 6), (1, 2), (9, 3)):
        right = int(draw.integers(rows // 2 + 1, max(rows, 2)))
        scores = draw.permuted(np.arange(rows * classes, dtype=np.float32).reshape(rows, classes), axis=None) / 10
        labels = scores.argmax(axis=1)
        labels[right:] = (labels[right:] + 1) % classes
        result = as_number(call(names, "accuracy", mx.array(scores), mx.array(labels.astype(np.int32))))
        _judge_fraction(result, scores, labels)


def _judge_fraction(result: float, scores: np.ndarray, labels: np.ndarray) -> None:
    rows, right = len(labels), int((scores.argmax(axis=1) == labels).sum())
    if abs(result - right / rows) < 1e-6:
        return
    if abs(result - right) < 1e-6:
        raise Wrong("You counted the right rows; a fraction lies between 0 and 1.")
    if result == 0:
        told = "No row is right, you say. Compare each label with the *place* of the largest score of its row. "
        raise Wrong(told + "Largest along which axis?")
    if abs(result - (scores.argmax() == labels).mean()) < 1e-6:
        raise Wrong("The largest of all scores together has one place only. Largest along which axis?")
    if abs(result - (1 - right / rows)) < 1e-6:
        raise Wrong("That is the fraction of wrong rows.")
    told = f"{right} of these {rows} rows are right, so {right / rows:.4g}; you say {result:.4g}."
    raise Wrong(f"{told} Largest along which axis?")


@exercise(
    "2.1",
    "OR and NAND with one neuron, by hand",
    '''
The neuron answers 1 where w1 x1 + w2 x2 + b > 0. Each gate is (w1, w2, b).
"""

OR = (None, None, None)  # 1 if at least one input is 1
NAND = (None, None, None)  # 0 only if both inputs are 1
''',
)
def gates(names: Namespace) -> None:
    for name, wanted in (("OR", [0, 1, 1, 1]), ("NAND", [1, 1, 1, 0])):
        numbers = found(names, name)
        if not isinstance(numbers, (tuple, list)) or len(numbers) != 3 or any(number is None for number in numbers):
            raise Wrong(f"Not written yet: {name} needs three numbers.")
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
            raise Wrong(f"{name} needs three numbers, such as 1 or -0.5; yours are {numbers}.")
        w1, w2, b = numbers
        sums = [w1 * x1 + w2 * x2 + b for x1 in (0, 1) for x2 in (0, 1)]
        if 0 in sums:
            raise Wrong(f"{name}: one input gives a sum of exactly 0, right on the line. Move the bias off it.")
        answers = [int(s > 0) for s in sums]
        if answers == [1 - w for w in wanted]:
            raise Wrong(f"{name}: every answer is reversed. What does changing all signs do to the line?")
        if answers != wanted:
            bad = next(i for i in range(4) if answers[i] != wanted[i])
            inputs = (bad // 2, bad % 2)
            raise Wrong(f"{name}{inputs} should be {wanted[bad]}; your sum there is {sums[bad]:g}. Does the bias fit?")


@exercise(
    "3.2",
    "The central difference",
    '''
The slope of f at x from two values of f, one on each side, at a distance h from x.
"""


def slope(f, x, h=1e-3):
    """The central difference of a function of one number."""
    raise NotImplementedError("your turn")
''',
)
def slope(names: Namespace) -> None:
    function = found(names, "slope")
    if arguments(function)[:3] != ["f", "x", "h"]:
        raise Wrong("Keep the arguments f, x, h.")
    visited: list[float] = []

    def cube(x: float) -> float:
        visited.append(x)
        return x**3

    result = as_number(call(names, "slope", cube, 2.0, 0.1))
    if abs(result - 12.61) < 1e-6 or abs(result - 11.41) < 1e-6:
        raise Wrong("That is a one-sided difference: its error shrinks like h. Look at both sides for h squared.")
    if abs(result - 24.02) < 1e-6:
        raise Wrong("Twice too large: how far apart are the two points?")
    if abs(result - 12.0025) < 1e-6:
        raise Wrong("The two points are h apart; they should lie at a distance h from x, one on each side.")
    if abs(result + 12.01) < 1e-6:
        raise Wrong("The sign is reversed: which value comes first?")
    if abs(result - 1.201) < 1e-6 or abs(result - 2.402) < 1e-6:
        raise Wrong("That is a difference of values. A slope is a difference divided by a distance.")
    if not abs(result - 12.01) < 1e-6:
        raise Wrong(f"For x cubed at 2 with h = 0.1 you say {result:.6g}; your f was asked at {sorted(visited)}.")
    for name, f in (("exp", math.exp), ("sin", math.sin), ("1/x", lambda x: 1 / x)):
        for x, h in ((0.3, 0.05), (-1.7, 0.5), (4.0, 1.0)):
            result, right = as_number(call(names, "slope", f, x, h)), (f(x + h) - f(x - h)) / (2 * h)
            if not abs(result - right) <= 1e-6 * max(1.0, abs(right)):
                raise Wrong(f"Right for x cubed, but for {name} at {x} with h = {h} you say {result:.6g}.")
    if abs(as_number(function(lambda x: x**3, 1.0)) - 3.000001) > 1e-9:
        raise Wrong("Without h the slope should be taken with the stub's h=1e-3. Keep the defaults of the arguments.")
