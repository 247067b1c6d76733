"""Data for fit, evaluate and predict: whole arrays that are shuffled and sliced, or any iterable of batches."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sized
from typing import Any

import mlx.core as mx
import numpy as np

from ..arrays import as_array, is_floating
from .prefetch import read_ahead

Batch = tuple[Any, ...]  # (x, y) or (x, y, sample_weight); x may be a tuple of arrays
Batches = Generator[Batch, None, None]


def batches(
    x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = False, seed: int | None = None
) -> Iterator[Any]:
    """Yield one epoch of batches, the last one shorter if need be.

    Args:
        x: inputs with the samples in front; a tuple of arrays for several inputs.
        y: targets of the same length; left out, batches are of x alone.
        batch_size: samples in a batch.
        shuffle: whether to draw the samples in random order.
        seed: makes the order repeatable; None draws it from MLX's random state.

    >>> [b.tolist() for b in batches([1, 2, 3], batch_size=2)]
    [[1, 2], [3]]
    """
    data = ArrayData(x, y, where="batches")
    check_batch_size(batch_size, "batches")
    rng = np.random.default_rng(draw_seed(seed)) if shuffle else None
    for batch in data.epoch(batch_size, rng):
        yield batch[0] if y is None else batch


def check_batch_size(batch_size: Any, where: str) -> None:
    """Raise a ValueError unless it is a whole number of at least 1."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
        raise ValueError(f"{where}: expected a batch_size of at least 1, got {batch_size!r}")


def draw_seed(seed: int | None) -> int:
    """The seed itself, or for None a fresh one from MLX's random state, so that mx.random.seed governs all."""
    return int(mx.random.randint(0, 2**31 - 1)) if seed is None else seed


class ArrayData:
    """Inputs, targets and optional sample weights that fit in memory, checked before any work is done.

    Args:
        x, y: see :func:`batches`; y may be None (predict).
        sample_weight: (N,) factors of the losses.
        where: the name that errors begin with, such as "fit".
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None, where: str = "fit") -> None:
        self.several = isinstance(x, tuple)
        parts = named_parts(x, y, sample_weight)
        self.arrays = {name: as_array(part, where=f"{where}: {name}") for name, part in parts.items()}
        check_samples(self.arrays, where)
        for name, array in self.arrays.items():
            if is_floating(array) and not mx.isfinite(array.sum()).item():
                check_finite(array, f"{where}: {name}")

    def __len__(self) -> int:
        return next(iter(self.arrays.values())).shape[0]

    def steps(self, batch_size: int) -> int:
        """How many batches an epoch has."""
        return -(-len(self) // batch_size)

    def take(self, rows: np.ndarray) -> ArrayData:
        """The chosen samples, as data of their own."""
        chosen = object.__new__(ArrayData)
        chosen.several = self.several
        index = mx.array(rows)
        chosen.arrays = {name: array[index] for name, array in self.arrays.items()}
        return chosen

    def epoch(self, batch_size: int, rng: np.random.Generator | None = None) -> Batches:
        """Batches in order or, given a generator of random numbers, shuffled: once for all, then sliced."""
        data = self if rng is None else self.take(rng.permutation(len(self)))
        cuts = list(range(batch_size, len(self), batch_size))
        pieces = [mx.split(array, cuts) if cuts else [array] for array in data.arrays.values()]
        inputs = sum(name.startswith("x") for name in self.arrays)
        for parts in zip(*pieces):
            yield (tuple(parts[:inputs]) if self.several else parts[0], *parts[inputs:])

    def split(self, fraction: float, rng: np.random.Generator) -> tuple[ArrayData, ArrayData]:
        """(training, validation) data: ``fraction`` of the samples, drawn at random, go to validation."""
        held_out = round(len(self) * fraction)
        if not 0 < held_out < len(self):
            raise ValueError(
                f"fit: validation_split={fraction} of {len(self)} samples leaves {len(self) - held_out} to train on "
                f"and {held_out} to validate; expected at least one of each"
            )
        order = rng.permutation(len(self))
        return self.take(order[held_out:]), self.take(order[:held_out])


def named_parts(x: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """What belongs to every sample, under the names that errors use."""
    parts = {f"x[{i}]": part for i, part in enumerate(x)} if isinstance(x, tuple) else {"x": x}
    others = {"y": y, "sample_weight": sample_weight}
    return {**parts, **{name: part for name, part in others.items() if part is not None}}


def check_samples(arrays: Mapping[str, Any], where: str) -> None:
    """Raise a ValueError unless all arrays have the same number of samples, at least one."""
    for name, array in arrays.items():
        if array.ndim == 0:
            raise ValueError(f"{where}: expected {name} with samples along its first axis, got a single number")
        if array.size == 0:
            raise ValueError(f"{where}: expected at least one sample, got {name} of shape {array.shape}")
    lengths = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"{where}: expected the same number of samples everywhere, got {listed}")


class StreamData:
    """Any iterable of batches (x, y) or (x, y, sample_weight), for data that does not fit in memory.

    Only a few batches are in memory at a time. Batches of NumPy arrays are fetched on a thread of their own, so that
    reading and arithmetic happen at the same time; see :func:`miniframe.training.prefetch.read_ahead`.

    Args:
        source: a list, a PyTorch DataLoader, a generator (good for one epoch), or a function that returns an
            iterator (called for every epoch).
        where: the name that errors begin with.
    """

    def __init__(self, source: Iterable[Any] | Callable[[], Iterable[Any]], where: str = "fit") -> None:
        self.source, self.where = source, where

    def steps(self, batch_size: int) -> int | None:
        """How many batches an epoch has, or None where the source does not say."""
        return len(self.source) if isinstance(self.source, Sized) else None

    def epoch(self, batch_size: int = 0, rng: np.random.Generator | None = None) -> Batches:
        """The source's own batches, in its own order and sizes."""
        count = 0
        source = iter(self.source() if callable(self.source) else self.source)
        for count, batch in enumerate(read_ahead(source), start=1):
            yield self._convert(batch, count)
        if count == 0:
            raise ValueError(
                f"{self.where}: the iterable gave no batches; a generator can be read only once, so for several "
                "epochs pass a function that returns a new one"
            )

    def _convert(self, batch: Any, count: int) -> Batch:
        where = f"{self.where}: batch {count}"
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            got = f"{len(batch)} items" if isinstance(batch, (tuple, list)) else type(batch).__name__
            raise ValueError(f"{where}: expected (x, y) or (x, y, sample_weight), got {got}")
        x, *rest = batch
        several = isinstance(x, (tuple, list)) and not np.isscalar(x[0]) and hasattr(x[0], "shape")
        inputs: Any = tuple(as_array(part, where) for part in x) if several else as_array(x, where)
        others = [as_array(part, where) for part in rest]
        samples = batch_samples((inputs,))
        for part in others:
            if part.ndim == 0 or part.shape[0] != samples:
                raise ValueError(f"{where}: expected {samples} samples as in x, got shape {part.shape}")
        return (inputs, *others)


def as_data(x: Any, y: Any = None, sample_weight: Any = None, where: str = "fit") -> ArrayData | StreamData:
    """Arrays (with targets, in memory or in files) or a stream (without), whichever ``x`` is."""
    if y is not None:
        if any(isinstance(part, np.memmap) for part in (x if isinstance(x, tuple) else (x,))):
            from .mapped import MappedData

            return MappedData(x, y, sample_weight, where)
        return ArrayData(x, y, sample_weight, where)
    if isinstance(x, (mx.array, np.ndarray)) or hasattr(x, "detach"):
        raise ValueError(f"{where}: expected targets y beside the inputs x, got None")
    if sample_weight is not None:
        raise ValueError(f"{where}: with an iterable of batches, put the sample weights into it: (x, y, sample_weight)")
    if not callable(x) and not hasattr(x, "__iter__"):
        raise TypeError(f"{where}: expected arrays or an iterable of batches, got {type(x).__name__}")
    return StreamData(x, where)


def as_validation(data: Any) -> ArrayData | StreamData | None:
    """Validation data as (x, y), (x, y, sample_weight) or an iterable of batches."""
    where = "fit: validation_data"
    if data is None:
        return None
    if isinstance(data, tuple) and len(data) in (2, 3):
        return as_data(data[0], data[1], data[2] if len(data) == 3 else None, where)
    return as_data(data, where=where)


def class_weights(y: Any, weights: Mapping[int, float]) -> mx.array:
    """(N,) sample weights from one weight for each class; classes that are not named weigh 1.

    >>> class_weights([0, 1, 1], {1: 3.0}).tolist()
    [1.0, 3.0, 3.0]
    """
    y = as_array(y, where="class_weight")
    labels = np.array(mx.argmax(y, axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)).astype(int)
    unknown = sorted(set(weights) - set(range(max(int(labels.max()), y.shape[-1] - 1 if y.ndim > 1 else 0) + 1)))
    if unknown:
        raise ValueError(f"class_weight: no sample has class {unknown[0]!r}; classes go from 0 to {labels.max()}")
    return as_array(np.array([weights.get(int(label), 1.0) for label in labels], dtype=np.float32))


def check_finite(array: mx.array, where: str) -> None:
    """Raise a ValueError that counts and locates the first NaN or infinity."""
    bad = np.argwhere(~np.isfinite(np.array(array)))
    if len(bad):
        raise ValueError(f"{where} has {len(bad)} NaN or infinite values, the first at {tuple(bad[0].tolist())}")


def batch_samples(batch: Batch) -> int:
    """The number of samples in a batch."""
    x = batch[0]
    return (x[0] if isinstance(x, tuple) else x).shape[0]


def batch_bytes(batch: Batch) -> int:
    """The memory that a batch takes."""
    total = 0
    for part in batch:
        total += batch_bytes(part) if isinstance(part, tuple) else part.nbytes
    return total
