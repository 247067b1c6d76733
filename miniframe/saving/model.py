"""A whole model in one file: layers, settings, wiring and numbers. Loading it needs none of the code that built it."""

from __future__ import annotations

from typing import Any

from ..core.module import Module
from ..core.teach import teach
from ..core.words import quoted
from .description import describe, rebuild
from .files import Where, load_arrays, save_arrays


def save(model: Module, path: Where) -> None:
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
    about, arrays = describe(model)
    save_arrays(path, arrays, {"kind": "model", **about})


def load(path: Where) -> Any:
    """The model that ``model.save(path)`` wrote, rebuilt without the code that built it.

    Classes of your own must have been registered with ``@mf.register``. Nothing from the file is executed.

    Raises:
        FileNotFoundError: without such a file.
        ValueError: for a file that is truncated, foreign, newer than this version, or needs an unknown class.
    """
    arrays, about = load_arrays(path)
    kind = about.get("kind")
    if kind != "model":
        holds = "no miniframe model" if kind is None else quoted(kind)
        raise ValueError(
            f"{path}: holds {'only weights: build the model and use load_weights' if kind == 'weights' else holds}"
        )
    return rebuild(about, arrays, str(path))


teach(Module, save)
