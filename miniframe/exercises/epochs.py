"""Lesson 5: the batches of an epoch, and what several seeds say together."""

from __future__ import annotations

import statistics

import mlx.core as mx
import numpy as np

from .calls import as_array, as_number, as_tuple_of, call
from .exercise import Namespace, Wrong, exercise
from .judge import generator, same


@exercise(
    "5.1",
    "The mini-batches of an epoch",
    '''
Cut ``order`` into mini-batches of ``size`` numbers. ``order`` says in which order the samples are visited, as
mx.random.permutation(n) gives it: an array (n,) of whole numbers. In an epoch every sample comes exactly once, so the
last batch may be smaller. Return a list of arrays.
"""

import mlx.core as mx


def minibatches(order, size):
    raise NotImplementedError("your turn")
''',
    forbidden=("batches",),
)
def minibatches(names: Namespace) -> None:
    for n, size in ((10, 5), (10, 3), (4, 6), (7, 1), (6, 6)):
        order = generator().permutation(n).astype(np.int32)
        result = call(names, "minibatches", mx.array(order), size)
        if not isinstance(result, (list, tuple)):
            raise Wrong(f"Return a list of arrays, one for each mini-batch, not one {type(result).__name__}.")
        parts = [as_array(part, what="Each mini-batch").reshape(-1) for part in result]
        _look_at_batches(parts, order, size)


def _look_at_batches(parts: list[np.ndarray], order: np.ndarray, size: int) -> None:
    n, told = len(order), f"Of {len(order)} samples in batches of {size}: "
    seen = np.concatenate(parts) if parts else np.zeros(0)
    if len(seen) < n and len(seen) == n // size * size:
        raise Wrong(told + f"{n - len(seen)} are never seen. The last batch may be smaller, but it is a batch.")
    if len(seen) != n or len(set(seen)) != n:
        raise Wrong(told + f"you visit {len(seen)}, of which {len(set(seen))} differ. Each comes exactly once.")
    if same(seen, np.sort(order)) and not same(seen, order):
        raise Wrong(told + "they come in the order 0, 1, 2, ... Take the numbers of ``order``, not those of range.")
    if not same(seen, order):
        raise Wrong(told + "all are there, but not in the order of ``order``.")
    lengths = [len(part) for part in parts]
    if any(length != size for length in lengths[:-1]) or not 0 < lengths[-1] <= size:
        raise Wrong(told + f"your batches have the sizes {lengths}.")


@exercise(
    "5.2",
    "Mean and spread over seeds",
    '''
The same network was trained from several seeds. Return the mean of its test errors and their standard deviation, two
numbers. The squares of the distances from the mean are divided by n - 1, not by n: the mean was computed from the same
few numbers, and lies closer to them than the truth does. ``errors`` is a list of at least two numbers.
"""


def mean_and_spread(errors):
    raise NotImplementedError("your turn")
''',
    forbidden=("statistics", "std", "stdev", "var"),
)
def mean_and_spread(names: Namespace) -> None:
    rng = generator()
    for n in (5, 2, 3, 10):
        errors = [float(value) for value in rng.normal(3, 1, size=n)]
        mean, spread = statistics.fmean(errors), statistics.stdev(errors)
        result = as_tuple_of(2, call(names, "mean_and_spread", errors), "the mean and the spread")
        said_mean, said = as_number(result[0], "the mean"), as_number(result[1], "the spread")
        if same(said, mean) and same(said_mean, spread):
            raise Wrong("The two are swapped: first the mean, then the spread.")
        if not same(said_mean, mean):
            raise Wrong(f"The mean of {n} errors is {said_mean / mean:.4g} times what it should be.")
        if not same(said, spread):
            raise Wrong(_about_spread(said, spread, errors))


def _about_spread(said: float, spread: float, errors: list[float]) -> str:
    mean = statistics.fmean(errors)
    known = {
        statistics.pstdev(errors): "You divided by n. Divide by n - 1.",
        spread**2: "That is the variance: its root has the unit of the errors.",
        statistics.pvariance(errors): "That is the variance, and divided by n: divide by n - 1, and take the root.",
        statistics.fmean(abs(error - mean) for error in errors): "That is the mean distance: square the distances.",
        spread / len(errors) ** 0.5: "That says how uncertain the *mean* is. How far apart are the seeds?",
        max(errors) - min(errors): "That is the distance from the best to the worst, which grows with every seed.",
    }
    hint = next((words for value, words in known.items() if same(said, value)), "")
    return hint or f"For {len(errors)} errors your spread is {said / spread:.4g} times what it should be."
