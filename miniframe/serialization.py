"""Models in files: a whole model, its weights alone, or its forward pass for programs without miniframe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from .arrays import is_floating
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


class Stored:
    """What every Module can do with files."""

    def save(self, path: Where) -> None:
        """Write the model, its layers, settings, wiring and numbers, to one safetensors file; ``mf.load`` reads it.

        The file appears whole or not at all, even if the process is killed. Modules of your own need
        ``@mf.register`` above their class.

        Raises:
            TypeError: for something that no file can hold, such as a function, or a class that is not registered.

        >>> import tempfile, miniframe as mf
        >>> path = tempfile.mkdtemp() + "/model.safetensors"
        >>> mf.Sequential(mf.Linear(2, 3), mf.ReLU()).save(path)
        >>> mf.load(path)
        Sequential(
          (0) Linear(2 -> 3)
          (1) ReLU()
        )
        """
        from .architecture import describe

        about, arrays = describe(self)  # type: ignore[arg-type]  # a Module always
        save_arrays(path, arrays, {"kind": "model", **about})

    def save_weights(self, path: Where) -> None:
        """Write the values of all parameters and buffers, by name, to one safetensors file."""
        save_arrays(path, {name: cell.value for name, cell in _cells(self).items()}, {"kind": "weights"})

    def load_weights(self, path: Where, strict: bool = True) -> WeightsReport:
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
        return put_weights(self, {n: a for n, a in arrays.items() if not n.startswith(hidden)}, strict, str(path))

    def export(self, path: Where, example: Any) -> None:
        """Write the forward pass to an MLX function file, which runs without miniframe, for any batch size.

        See :func:`miniframe.exporting.export`.
        """
        from .exporting import export

        export(self, path, example)  # type: ignore[arg-type]  # a Module always


def load(path: Where) -> Any:
    """The model that ``model.save(path)`` wrote, rebuilt without the code that built it.

    Classes of your own must have been registered with ``@mf.register``. Nothing from the file is executed.

    Raises:
        FileNotFoundError: without such a file.
        ValueError: for a file that is truncated, foreign, newer than this version, or needs an unknown class.
    """
    from .architecture import rebuild

    arrays, about = load_arrays(path)
    if about.get("kind") != "model":
        what = {"weights": "only weights: build the model and use load_weights", None: "no miniframe model"}
        raise ValueError(f"{path}: holds {what.get(about.get('kind'), about.get('kind'))}")
    return rebuild(about, arrays, str(path))


def put_weights(model: Any, arrays: Mapping[str, mx.array], strict: bool, where: str) -> WeightsReport:
    """Give the parameters and buffers of ``model`` the values that ``arrays`` holds under their names.

    Args:
        model: the module.
        arrays: by the names of ``named_parameters`` and ``named_buffers``.
        strict: whether anything missing, unexpected or mismatched is an error (before any value is changed).
        where: the name that errors begin with.
    """
    cells = _cells(model)
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


def _cells(model: Any) -> dict[str, Any]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _kind(array: mx.array) -> str:
    return f"{array.shape} {str(array.dtype).split('.')[-1]}"
