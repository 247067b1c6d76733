"""What fit looks at before the first step: mistakes that would train without complaint, seen from a few samples."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import is_floating
from ..core.cells import Parameter
from ..core.module import Module
from ..core.untouched import untouched
from ..core.warn import warn_once
from ..data.arrays import ArrayData
from ..data.streams import StreamData
from ..graph.passes import Pass
from ..layers.linear import Linear
from ..losses.base import Loss
from ..losses.looks import complain_of_logits, look_at
from .positions import positions_missing

SAMPLES, LEAST = 16, 4  # on which fit tries the model: no more than a batch, which fits into memory, but for tiny ones


def look_at_fit(
    model: Module,
    loss: Loss,
    data: ArrayData | StreamData,
    validation: ArrayData | StreamData | None,
    *,
    split: bool,
    shuffle: bool,
    batch_size: int,
) -> None:
    """What can be seen before the first step: the last layer against the loss, the labels' order and the split.

    Args:
        split: whether ``validation`` was split off the training data.
        shuffle, batch_size: as given to fit.
    """
    if not isinstance(data, ArrayData):
        return
    _look_at_weights(model, data)
    if positions_missing(model, data):
        warn_once(model, "positions", _POSITIONS.format(model.title().partition("\n")[0]))
    if loss.wants != "any numbers":
        _look_at_output(model, loss, data.first(min(SAMPLES, max(LEAST, batch_size)))[0])
    if not shuffle and batch_size < len(data):
        classes = class_numbers(data.arrays["y"])
        if classes is not None and _in_blocks(classes):
            warn_once(model, "sorted", _SORTED.format(len(np.unique(classes))))
    if split and isinstance(validation, ArrayData):
        _look_at_split(model, data, validation)


def _look_at_output(model: Module, loss: Loss, x: Any) -> None:
    with untouched(model):
        model.eval()
        seen = Pass(model, x, "fit")
    last, output = seen.outputs[0].module, seen.output
    del seen  # with what is inside the model, which would stay in memory when the output is computed
    if loss.wants == "probabilities" and isinstance(last, Linear):
        complain_of_logits(loss, f"the model ends with {last.title()}, which gives any number")
    look_at(loss, output)


def _look_at_weights(model: Module, data: ArrayData) -> None:
    """Arrays and parameters of a model that only composes, of which its forward makes a constant."""
    composed = [(path, m) for path, m in model.named_modules() if m.composes()]
    loose = [(path, m, name, v) for path, m in composed for name, v in vars(m).items() if isinstance(v, Parameter)]
    arrays = [(path, m, name, v) for path, m in composed for name, v in vars(m).items() if _like_a_weight(name, v)]
    if not arrays and not any(parameter.trainable for _, _, _, parameter in loose):
        return
    with untouched(model):
        seen = Pass(model, data.first(SAMPLES)[0], "fit")
        stayed = [vars(module).get(name) is value for _, module, name, value in arrays]
    for same, (path, module, name, value) in zip(stayed, arrays):
        if same:  # others are what forward keeps for people to look at
            where = f"{path}.{name}" if path else name
            warn_once(model, f"array {where}", _ARRAY.format(module.title(), name, value.shape))
    reached = {id(p) for node in seen.calls.values() if node.module is not None for p in node.module.parameters()}
    for path, module, name, parameter in loose:
        if parameter.trainable and id(parameter) not in reached:
            where = f"{path}.{name}" if path else name
            warn_once(model, f"parameter {where}", _UNUSED.format(module.title(), name))


def _like_a_weight(name: str, value: Any) -> bool:
    return not name.startswith("_") and isinstance(value, mx.array) and is_floating(value) and value.ndim > 1


def _look_at_split(model: Module, data: ArrayData, validation: ArrayData) -> None:
    training_classes, held_out = class_numbers(data.arrays["y"]), class_numbers(validation.arrays["y"])
    if training_classes is None or held_out is None:
        return
    everything = np.unique(np.concatenate([training_classes, held_out]))
    for name, classes in (("validation", held_out), ("training", training_classes)):
        if len(everything) > 1 and len(np.unique(classes)) == 1:
            warn_once(model, "split", _SPLIT.format(name, len(classes), classes[0]))


def class_numbers(y: mx.array) -> np.ndarray | None:
    """The class of every sample, from integers, zeros and ones, or one-hot rows; None where y holds no classes."""
    if y.ndim > 2:
        return None
    values = np.array(y.astype(mx.float32) if y.dtype == mx.bfloat16 else y)  # NumPy has no bfloat16
    if values.ndim == 2 and values.shape[1] > 1:
        one_hot = ((values == 0) | (values == 1)).all() and (values.sum(axis=1) == 1).all()
        return values.argmax(axis=1) if one_hot else None
    values = values.reshape(-1)
    if is_floating(y) and not ((values == 0) | (values == 1)).all():
        return None
    return values.astype(int)


def _in_blocks(classes: np.ndarray) -> bool:
    """Whether every class comes in one piece: classes of two samples or more, and no class after another twice."""
    kinds = len(np.unique(classes))
    changes = int((classes[1:] != classes[:-1]).sum())
    return kinds > 1 and changes == kinds - 1 and len(classes) >= 2 * kinds


_ARRAY = (
    "fit: {0} holds the array {1!r} of shape {2}, which never learns, because it is no parameter. If it should learn, "
    "write self.{1} = mf.Parameter(...); if not, mf.Buffer(...) keeps it in files, too"
)
_UNUSED = (
    "fit: {0} has the parameter {1!r}, but its forward does not use it as one, so it never learns. Write self.{1}, not "
    "self.{1}.value: operators and miniframe.functional take it as it is"
)
_POSITIONS = (
    "fit: positions missing: {} attends, and gives the same numbers in whatever order the tokens come. If the order "
    "counts, put PositionEmbedding(length, features) behind the tokens, or attend with rotary=True"
)
_SORTED = (
    "fit: the labels come sorted, {} classes one after the other, and shuffle=False: most batches hold a single class "
    "and the model forgets one while it learns the next. Use shuffle=True"
)
_SPLIT = (
    "fit: the {} part of validation_split has {} samples, all of class {}, so its numbers say nothing about the "
    "others. Hold out a larger fraction, or pass validation_data with every class"
)
