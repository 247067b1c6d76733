"""Data that fits in memory: checked once, shuffled once an epoch, then sliced into batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array, is_floating
from ..core.checks import switch, whole
from ..core.finite import all_finite
from .batch import Batch, Batches


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
    whole("batches", batch_size=batch_size)
    switch("batches", shuffle=shuffle)
    check_seed(seed, "batches")
    data = ArrayData(x, y, where="batches")
    rng = np.random.default_rng(draw_seed(seed)) if shuffle else None
    for batch in data.epoch(batch_size, rng):
        yield batch[0] if y is None else batch


def check_seed(seed: Any, where: str) -> None:
    """Raise a ValueError unless it is None or a whole number that fits into 32 bits."""
    if seed is not None:
        whole(where, 0, 2**32 - 1, seed=seed)


def draw_seed(seed: int | None) -> int:
    """The seed itself, or for None a fresh one from MLX's random state, so that mx.random.seed governs all."""
    return int(mx.random.randint(0, 2**31 - 1)) if seed is None else int(seed)


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
        if not all_finite(self.arrays.values()):
            for name, array in self.arrays.items():
                check_finite(array, f"{where}: {name}")

    def __len__(self) -> int:
        return next(iter(self.arrays.values())).shape[0]

    def steps(self, batch_size: int) -> int:
        """How many batches an epoch has."""
        return -(-len(self) // batch_size)

    @property
    def inputs(self) -> tuple[mx.array, ...]:
        """All samples of every input."""
        return tuple(array for name, array in self.arrays.items() if name.startswith("x"))

    def take(self, rows: np.ndarray) -> ArrayData:
        """The chosen samples, as data of their own."""
        chosen = object.__new__(ArrayData)
        chosen.several = self.several
        index = mx.array(rows)
        chosen.arrays = {name: array[index] for name, array in self.arrays.items()}
        return chosen

    def first(self, count: int) -> Batch:
        """One batch of the first samples."""
        return self._batch([array[:count] for array in self.arrays.values()])

    def batch_inputs(self, batch_size: int) -> Any:
        """The inputs of a batch, as an example of its size."""
        return self.first(batch_size)[0]

    def epoch(self, batch_size: int, rng: np.random.Generator | None = None) -> Batches:
        """Batches in order or, given a generator of random numbers, shuffled: once for all, then sliced."""
        data = self if rng is None else self.take(rng.permutation(len(self)))
        cuts = list(range(batch_size, len(self), batch_size))
        pieces = [mx.split(array, cuts) if cuts else [array] for array in data.arrays.values()]
        for parts in zip(*pieces):
            yield self._batch(parts)

    def _batch(self, parts: Sequence[mx.array]) -> Batch:
        inputs = sum(name.startswith("x") for name in self.arrays)
        return (tuple(parts[:inputs]) if self.several else parts[0], *parts[inputs:])

    def split(self, fraction: float, rng: np.random.Generator) -> tuple[ArrayData, ArrayData]:
        """(training, validation) data: ``fraction`` of the samples, drawn at random, go to validation."""
        held_out = self.held_out(fraction)
        order = rng.permutation(len(self))
        return self.take(order[held_out:]), self.take(order[:held_out])

    def held_out(self, fraction: float) -> int:
        """How many samples this fraction is; raises a ValueError if none would be left on one side."""
        held_out = round(len(self) * fraction)
        if not 0 < held_out < len(self):
            raise ValueError(
                f"fit: validation_split={fraction} of {len(self)} samples leaves {len(self) - held_out} to train on "
                f"and {held_out} to validate; expected at least one of each"
            )
        return held_out


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
    weight = arrays.get("sample_weight")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"{where}: expected sample_weight of shape ({weight.shape[0]},), got {weight.shape}")
    lengths = {name: array.shape[0] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        x = arrays.get("x")
        listed += "; several inputs are a tuple, not a list" if x is not None and len(x) < 5 and x.ndim > 2 else ""
        raise ValueError(f"{where}: expected the same number of samples everywhere, got {listed}")


def check_finite(array: mx.array, where: str) -> None:
    """Raise a ValueError that counts and locates the first NaN or infinity."""
    bad = np.argwhere(~np.isfinite(np.array(array.astype(mx.float32) if is_floating(array) else array)))
    if len(bad):
        raise ValueError(f"{where} has {len(bad)} NaN or infinite values, the first at {tuple(bad[0].tolist())}")
