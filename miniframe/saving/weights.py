"""The weights of a model in a file, by name, without the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array, is_floating
from ..core.cells import Buffer
from ..core.module import Module
from ..core.teach import teach
from .files import Where, load_arrays, save_arrays


@dataclass
class WeightsReport:
    """What ``load_weights`` found: prints as a list.

    Attributes:
        loaded: names of the parameters and buffers that received a value.
        missing: names that the model has and the file has not.
        unexpected: names that the file has and the model has not.
        mismatched: (name, what the model expects, what the file holds).
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether file and model fit each other exactly."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __repr__(self) -> str:
        lines = [f"{len(self.loaded)} loaded"]
        if self.missing:
            lines.append(f"missing in the file: {', '.join(self.missing)}")
        if self.unexpected:
            lines.append(f"unexpected in the file: {', '.join(self.unexpected)}")
        lines += [
            f"mismatched: {name} expects {ours}, the file holds {theirs}" for name, ours, theirs in self.mismatched
        ]
        return "\n".join(lines)


def save_weights(model: Module, path: Where) -> None:
    """Write the values of all parameters and buffers, by name, to one safetensors file."""
    save_arrays(path, {name: cell.value for name, cell in cells_of(model).items()}, {"kind": "weights"})


def load_weights(model: Module, path: Where, strict: bool = True) -> WeightsReport:
    """Read the values of parameters and buffers from a file that ``save_weights`` or ``save`` wrote.

    Args:
        path: of the file. Values take the dtype that the model has.
        strict: True makes any difference between file and model an error, which lists all of them and leaves the
            model untouched; False loads what fits.

    Returns:
        What was loaded, and what was missing, unexpected or mismatched.

    Raises:
        ValueError: for a file that does not fit (strict), or is truncated, foreign or newer.
    """
    arrays, _ = load_arrays(path)
    hidden = ("private.", "array.")  # what only the architecture of a whole model refers to
    return put_weights(model, {n: a for n, a in arrays.items() if not n.startswith(hidden)}, strict, str(path))


def put_weights(model: Module, arrays: Mapping[str, mx.array], strict: bool, where: str) -> WeightsReport:
    """Give the parameters and buffers of ``model`` the values that ``arrays`` holds under their names.

    Args:
        model: the module.
        arrays: by the names of ``named_parameters`` and ``named_buffers``.
        strict: whether anything missing, unexpected or mismatched is an error (before any value is changed).
        where: the name that errors begin with.
    """
    cells = cells_of(model)
    report = WeightsReport(unexpected=[name for name in arrays if name not in cells])
    for name, cell in cells.items():
        if name not in arrays:
            report.missing.append(name)
        elif cell.shape != arrays[name].shape or is_floating(cell.value) != is_floating(arrays[name]):
            report.mismatched.append((name, _kind(cell.value), _kind(arrays[name])))
        else:
            report.loaded.append(name)
    if strict and not report.complete:
        raise ValueError(f"{where}: the weights do not fit the model; strict=False loads what fits\n{report}")
    for name in report.loaded:
        cells[name].value = arrays[name].astype(cells[name].value.dtype)
    return report


def state_dict(model: Module) -> dict[str, mx.array]:
    """The values of all parameters and buffers by name, as in PyTorch; changing the dict does not change the model.

    >>> from miniframe import Linear
    >>> {name: value.shape for name, value in Linear(2, 3).state_dict().items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    return {name: cell.value for name, cell in cells_of(model).items()}


def load_state_dict(model: Module, state: Mapping[str, Any], strict: bool = True) -> WeightsReport:
    """Give the parameters and buffers the values that ``state`` holds under their names.

    Args:
        state: what ``state_dict`` returned, from this or another model; MLX or NumPy arrays, by name.
        strict: as in ``load_weights``.

    Returns:
        What was loaded, and what was missing, unexpected or mismatched.

    Raises:
        ValueError: for values that do not fit (strict), before any is changed.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: expected a dict from names to arrays, got {type(state).__name__}")
    arrays = {name: as_array(value, where=f"load_state_dict: {name}") for name, value in state.items()}
    return put_weights(model, arrays, strict, "load_state_dict")


def count_params(model: Module, trainable: bool = False) -> int:
    """How many numbers the parameters hold, as in Keras; a shared parameter counts once.

    Args:
        trainable: True counts only those that learn.

    >>> from miniframe import Linear
    >>> Linear(2, 3).count_params(), Linear(2, 3).freeze().count_params(trainable=True)
    (9, 0)
    """
    return sum(p.size for p in model.parameters() if p.trainable or not trainable)


def cells_of(model: Module) -> dict[str, Buffer]:
    """The parameters, then the buffers, by name."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _kind(array: mx.array) -> str:
    return f"{array.shape} {str(array.dtype).split('.')[-1]}"


teach(Module, save_weights, load_weights, state_dict, load_state_dict, count_params)
