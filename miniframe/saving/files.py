"""Safetensors files with a JSON description in their header, and a checksum over all of it.

Nothing read from a file is executed. A file is checked before its numbers are read, so that a truncated, foreign or
newer one gives a clear error instead of wrong numbers.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.words import quoted
from ..version import __version__
from .atomic import Where as Where
from .atomic import atomic_write as atomic_write

FORMAT = 1  # raised when older versions of miniframe can no longer read what newer ones write
KEY = "miniframe"  # of the description among the metadata of a safetensors file
CHECKSUM = "miniframe.crc32"  # of the checksum beside it
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2}  # bytes of one number, by dtype
SIZES = {**SIZES, "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "C64": 8}


def save_arrays(path: Where, arrays: Mapping[str, mx.array], about: Mapping[str, Any]) -> None:
    """Write arrays and a description to one safetensors file, atomically.

    Args:
        path: of the file; any suffix.
        arrays: by name; every dtype that MLX stores (float64 is not among them).
        about: the description, anything that JSON can hold; "format" and "version" are added.
    """
    for name, array in arrays.items():
        if array.dtype == mx.float64:
            raise TypeError(f"cannot save {name!r}: safetensors files hold no float64; convert it to float32 first")
    text = json.dumps({**about, "format": FORMAT, "version": __version__})
    metadata = {KEY: text, CHECKSUM: checksum(arrays, text)}
    with atomic_write(path, suffix=".safetensors") as temporary:  # the suffix that MLX insists on
        mx.save_safetensors(str(temporary), dict(arrays), metadata=metadata)


def checksum(arrays: Mapping[str, mx.array], text: str) -> str:
    """A CRC-32 of the description and of every array with its name, type and shape: it notices any damaged bit.

    >>> checksum({"a": mx.ones(3)}, "about") == checksum({"b": mx.ones(3)}, "about")
    False
    """
    total = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        total = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), total)
        if array.size:
            total = zlib.crc32(np.array(array.reshape(-1).view(mx.uint8), copy=False).data, total)
    return f"{total:08x}"


def load_arrays(path: Where) -> tuple[dict[str, mx.array], dict[str, Any]]:
    """The arrays and the description of a safetensors file; the description of other programs' files is empty.

    Raises:
        FileNotFoundError: without such a file.
        ValueError: for a file that is truncated, damaged, not a safetensors file, or of a newer miniframe.
    """
    header = _checked_header(Path(path))
    metadata = header.get("__metadata__") or {}
    text = metadata.get(KEY) if isinstance(metadata, dict) else ""
    about: dict[str, Any] = {}
    if text is not None:
        about = _parse(text, f"{path}: the description is damaged")
        if not isinstance(about.get("format"), int):
            raise ValueError(f"{path}: the description is damaged: it names no format")
        if about["format"] > FORMAT:
            version = " ".join(str(about.get("version")).split())[:40]
            raise ValueError(
                f"{path}: written by miniframe {version} in format {about['format']}, and this is miniframe "
                f"{__version__}, which reads formats up to {FORMAT}; update miniframe"
            )
    loaded: Any = mx.load(str(path), format="safetensors")
    mx.eval(loaded)  # now, while the file is known to be whole
    written = metadata.get(CHECKSUM)  # files of version 0.1 have none
    if text is not None and written is not None and written != checksum(loaded, text):
        raise ValueError(f"{path}: damaged: the contents do not fit the checksum that was written with them")
    return loaded, about


def _checked_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, after making sure that every array lies inside the file."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    size = path.stat().st_size
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        start = file.read(min(length, size))
    if size < 8 or not start.startswith(b"{"):
        raise ValueError(f"{path}: not a safetensors file")
    if len(start) < length:
        raise ValueError(f"{path}: truncated: the header has {length} bytes, the whole file {size}")
    header = _parse(start, f"{path}: not a safetensors file")
    metadata = header.get("__metadata__") or {}
    if not (isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())):
        raise ValueError(f"{path}: damaged: its description is no text")
    places = sorted(
        (*_place_of(entry, f"{path}: damaged: array {quoted(name)}"), name)
        for name, entry in header.items()
        if name != "__metadata__"
    )
    end = max((stop for _, stop, _ in places), default=0)
    if 8 + length + end != size:
        state = "truncated" if size < 8 + length + end else "damaged"
        raise ValueError(f"{path}: {state}: the file should have {8 + length + end} bytes and has {size}")
    for (_, stop, _), (begin, _, name) in zip([(0, 0, ""), *places], places):
        if begin != stop:
            raise ValueError(f"{path}: damaged: array {quoted(name)} does not begin where the one before it ends")
    return header


def _place_of(entry: Any, trouble: str) -> tuple[int, int]:
    """Where an array's data begins and ends, if dtype, shape and place agree with each other."""
    try:
        begin, end = entry["data_offsets"]
        whole = all(type(n) is int for n in (begin, end, *entry["shape"]))
        fits = whole and 0 <= begin and end - begin == SIZES[entry["dtype"]] * math.prod(entry["shape"])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{trouble} has no dtype, shape and place that MLX can read") from None
    if not fits or any(n < 0 for n in entry["shape"]):
        raise ValueError(f"{trouble} does not fill the place that it is given")
    return begin, end


def _parse(text: str | bytes, trouble: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ValueError(trouble)
    return content
