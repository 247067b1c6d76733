"""Metrics that are no mean over samples, such as precision: made from sums over all batches, of whatever sizes."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.ranges import of_class
from ..core.sums import mean


class Tally:
    """The base of metrics computed from sums over all samples. A subclass says what is added up, and how it ends.

    Called on a prediction and a target, it is the metric of these alone.

    Attributes:
        threshold: above it, a single-column prediction means class 1; fit and evaluate set the loss's.

    >>> class Largest(Tally):
    ...     def parts(self, prediction, target):
    ...         return mx.abs(prediction - target).sum()[None]
    ...     def result(self, sums):
    ...         return float(sums[0])
    >>> Largest()(mx.array([1.0, 2.0]), mx.array([0.0, 0.0]))
    3.0
    """

    threshold = 0.5

    def parts(self, prediction: mx.array, target: mx.array) -> mx.array:
        """What is to be known of a batch: an array, of the same shape for every batch."""
        raise NotImplementedError(f"{type(self).__name__} has no parts: define parts(self, prediction, target)")

    def terms(self, parts: np.ndarray) -> np.ndarray:
        """What is added up over the batches, in double precision: by default the parts themselves."""
        return parts

    def result(self, sums: np.ndarray) -> float:
        """The metric, from the sums over all batches."""
        raise NotImplementedError(f"{type(self).__name__} has no result: define result(self, sums)")

    def with_threshold(self, threshold: float) -> Tally:
        """The same metric, with another threshold."""
        twin = object.__new__(type(self))
        vars(twin).update(vars(self), threshold=threshold)
        return twin

    def __call__(self, prediction: Any, target: Any) -> float:
        where = type(self).__name__.lower()
        parts = self.parts(as_array(prediction, where=where), as_array(target, where=where))
        return self.result(self.terms(np.array(parts, dtype=np.float64)))


class ClassCounts(Tally):
    """The base of precision, recall and F1: how many samples of each class were found, predicted, and there.

    A single column, or two, stand for one question: class 1 is the positive one. With three classes or more, the
    result is the mean over the classes that occur in the targets or the predictions ("macro"). A quotient 0 / 0 counts
    as 0. These are scikit-learn's rules. Targets are class numbers, one-hot rows, or 0 and 1.
    """

    def parts(self, prediction: mx.array, target: mx.array) -> mx.array:
        if prediction.ndim < 2 or prediction.shape[-1] == 1:
            classes = 2
            guess, truth = prediction.reshape(-1) > self.threshold, target.reshape(-1) > 0.5
        else:
            classes = prediction.shape[-1]
            truth = target if target.ndim < prediction.ndim else mx.argmax(target, axis=-1)
            guess, truth = mx.argmax(prediction, axis=-1).reshape(-1), truth.reshape(-1)
        numbers = mx.arange(classes)
        guessed, true = guess[:, None] == numbers, truth[:, None] == numbers
        return mx.stack([(guessed & true).sum(axis=0), guessed.sum(axis=0), true.sum(axis=0)])

    def result(self, sums: np.ndarray) -> float:
        each = self.ratio(*sums)
        if len(each) == 2:
            return float(each[1])
        occurs = sums[1] + sums[2] > 0
        return float(each[occurs].mean()) if occurs.any() else 0.0

    def ratio(self, found: np.ndarray, predicted: np.ndarray, there: np.ndarray) -> np.ndarray:
        """The metric of every class."""
        raise NotImplementedError


class Precision(ClassCounts):
    """How many of those called positive are: found / predicted. See :class:`ClassCounts`.

    >>> Precision()([0.9, 0.8, 0.2], [1, 0, 1])
    0.5
    """

    def ratio(self, found: np.ndarray, predicted: np.ndarray, there: np.ndarray) -> np.ndarray:
        return found / np.maximum(predicted, 1)


class Recall(ClassCounts):
    """How many of the positive ones are called so: found / there. See :class:`ClassCounts`.

    >>> Recall()([0.9, 0.8, 0.2, 0.7], [1, 0, 1, 1]) == 2 / 3
    True
    """

    def ratio(self, found: np.ndarray, predicted: np.ndarray, there: np.ndarray) -> np.ndarray:
        return found / np.maximum(there, 1)


class F1(ClassCounts):
    """The harmonic mean of precision and recall: 2 found / (predicted + there), van Rijsbergen 1979.

    See :class:`ClassCounts`; over several classes it is the mean of their F1.

    >>> F1()([0.9, 0.8, 0.2], [1, 0, 1])
    0.5
    """

    def ratio(self, found: np.ndarray, predicted: np.ndarray, there: np.ndarray) -> np.ndarray:
        return 2 * found / np.maximum(predicted + there, 1)


class R2(Tally):
    """The share of the targets' variance that is explained: 1 - Σ (y - prediction)² / Σ (y - mean y)².

    1 is perfect, 0 no better than the mean of all targets. Several columns: the mean of theirs. Where all targets are
    equal, 1 if they are met exactly, else 0; NaN for fewer than two samples. These are scikit-learn's rules.

    >>> R2()([[1.0], [2.0], [4.0]], [[1.0], [2.0], [3.0]])
    0.5
    """

    def parts(self, prediction: mx.array, target: mx.array) -> mx.array:
        if prediction.shape != target.shape:
            raise ValueError(f"r2: expected targets of the prediction's shape {prediction.shape}, got {target.shape}")
        target = target.reshape(len(target), -1).astype(mx.float32)
        errors = mean(mx.square(prediction.reshape(target.shape) - target), axis=0)
        first = target[0]  # taken away, so that equal targets have no spread, not even a rounding error
        shift = mean(target - first, axis=0)
        spread = mean(mx.square(target - first - shift), axis=0)
        return mx.stack([mx.full(first.shape, len(target), dtype=mx.float32), errors, first, shift, spread])

    def terms(self, parts: np.ndarray) -> np.ndarray:
        count, errors, first, shift, spread = parts
        middle = first + shift
        return np.stack([count, count * errors, count * middle, count * middle**2, count * spread])

    def result(self, sums: np.ndarray) -> float:
        count, errors, total, squares, within = sums
        if count[0] < 2:
            return float("nan")
        between = np.maximum(squares - total**2 / count, 0)
        between[between < 1e-14 * squares] = 0  # the means of all batches are the same
        spread = within + between
        safe = np.where(spread > 0, spread, 1)
        return float(np.where(spread > 0, 1 - errors / safe, errors == 0).mean())


class Perplexity(Tally):
    """exp of the mean cross-entropy, over all samples and places: among how many equally likely words the model wavers.

        exp(mean(logsumexp z - z[target]))

    Jelinek et al. 1977. Predictions are logits z or log-probabilities; targets class numbers.

    >>> round(Perplexity()([[0.0, 0.0, 0.0, 0.0]], [2]), 4)
    4.0
    """

    def parts(self, prediction: mx.array, target: mx.array) -> mx.array:
        if prediction.ndim < 2 or prediction.shape[-1] < 2:
            raise ValueError(f"perplexity: expected predictions (N, ..., classes), got {prediction.shape}")
        if target.ndim == prediction.ndim:
            target = mx.argmax(target, axis=-1)
        z = prediction.astype(mx.float32)
        losses = mx.logsumexp(z, axis=-1) - of_class(z, target, "perplexity")
        return mx.stack([mean(losses), mx.array(float(losses.size))])

    def terms(self, parts: np.ndarray) -> np.ndarray:
        average, count = parts
        return np.array([average * count, count])

    def result(self, sums: np.ndarray) -> float:
        return float(np.exp(sums[0] / sums[1])) if sums[1] else float("nan")


precision, recall, f1, r2, perplexity = Precision(), Recall(), F1(), R2(), Perplexity()
