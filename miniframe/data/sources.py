"""What the user gave to ``fit``, ``evaluate`` or ``validation_data``, as data that comes in batches."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array, as_tuple
from ..core.checks import is_whole, real, said_by, shown
from .arrays import ArrayData
from .mapped import MappedData
from .streams import StreamData


def as_data(x: Any, y: Any = None, sample_weight: Any = None, where: str = "fit") -> ArrayData | StreamData:
    """Arrays (with targets, in memory or in files) or a stream (without), whichever ``x`` is."""
    if y is not None:
        if any(isinstance(part, np.memmap) for part in as_tuple(x)):
            return MappedData(x, y, sample_weight, where)
        return ArrayData(x, y, sample_weight, where)
    if isinstance(x, (mx.array, np.ndarray)) or hasattr(x, "detach"):
        raise ValueError(f"{where}: expected targets y beside the inputs x, got None")
    if sample_weight is not None:
        raise ValueError(f"{where}: with an iterable of batches, put the sample weights into it: (x, y, sample_weight)")
    if isinstance(x, (str, os.PathLike)):
        raise TypeError(f"{where}: expected arrays or an iterable of batches, got a path; read_csv(path) reads tables")
    if not callable(x) and not hasattr(x, "__iter__"):
        hint = "; DataLoader(dataset, batch_size=32) makes batches of it" if hasattr(x, "__getitem__") else ""
        raise TypeError(f"{where}: expected arrays or an iterable of batches, got {type(x).__name__}{hint}")
    return StreamData(x, where)


def as_validation(data: Any) -> ArrayData | StreamData | None:
    """Validation data as (x, y), (x, y, sample_weight) or an iterable of batches."""
    where = "fit: validation_data"
    if data is None:
        return None
    if isinstance(data, tuple) and len(data) in (2, 3):
        return as_data(data[0], data[1], data[2] if len(data) == 3 else None, where)
    return as_data(data, where=where)


def as_both(
    x: Any, y: Any, sample_weight: Any, validation_data: Any, validation_split: float
) -> tuple[ArrayData | StreamData, ArrayData | StreamData | None]:
    """What is trained on, from which a validation part may still have to be split off, and what is validated on."""
    data, validation = as_data(x, y, sample_weight), as_validation(validation_data)
    if validation_split:
        if validation is not None or not isinstance(data, ArrayData):
            raise ValueError("fit: validation_split needs arrays x and y, and no validation_data beside it")
        data.held_out(validation_split)
    return data, validation


def sample_weights(y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None, where: str = "fit") -> Any:
    """The samples' weights, from themselves or from their classes'."""
    if class_weight is None:
        return sample_weight
    if y is None or sample_weight is not None:
        raise ValueError(f"{where}: class_weight needs targets y, and no sample_weight beside it")
    with said_by(where):
        return class_weights(y, class_weight)


def class_weights(y: Any, weights: Mapping[int, float]) -> mx.array:
    """(N,) sample weights from one weight for each class; classes that are not named weigh 1.

    >>> class_weights([0, 1, 1], {1: 3.0}).tolist()
    [1.0, 3.0, 3.0]
    """
    if not isinstance(weights, Mapping) or not all(is_whole(label) for label in weights):
        raise TypeError(
            f"class_weight: expected a dict from class to factor, such as {{0: 1.0, 1: 3.0}}, got {shown(weights)}"
        )
    for label, weight in weights.items():
        real("class_weight", least=0, **{f"the weight of class {label}": weight})
        if math.isinf(weight):
            raise ValueError(f"class_weight: expected a finite weight of class {label}, got {weight}")
    y = as_array(y, where="class_weight")
    labels = np.array(mx.argmax(y, axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)).astype(int)
    unknown = sorted(set(weights) - set(range(max(int(labels.max()), y.shape[-1] - 1 if y.ndim > 1 else 0) + 1)))
    if unknown:
        raise ValueError(f"class_weight: no sample has class {unknown[0]!r}; classes go from 0 to {labels.max()}")
    return as_array(np.array([weights.get(int(label), 1.0) for label in labels], dtype=np.float32))
