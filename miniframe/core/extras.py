"""Libraries that only some features need: imported where they are used, with one clear line where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def library(name: str, extra: str, where: str) -> Any:
    """A library that is not among the package's own requirements.

    Args:
        name: of the module.
        extra: of the package, that brings it.
        where: what needs it, as the error begins.

    Raises:
        ImportError: where it is not installed, with the command that installs it.

    >>> library("math", "figures", "plots").pi
    3.141592653589793
    >>> library("no_such_library", "figures", "plots")
    Traceback (most recent call last):
    ImportError: plots: needs no_such_library: pip install miniframe[figures]
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{where}: needs {name}: pip install miniframe[{extra}]") from error
