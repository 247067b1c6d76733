"""What travels to the page: a header in JSON, and behind it the arrays as they lie in memory.

    4 bytes: the header's length, little-endian | the header, padded to a multiple of 4 | the arrays, each padded

The header's "arrays" say of each array its name, type, shape, and where it begins behind the header.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

TYPES = {"float32": np.float32, "uint8": np.uint8, "int32": np.int32}


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """One message.

    Args:
        header: plain numbers, texts, lists and dicts; NaN and infinity travel as null.
        arrays: of float32, uint8 or int32, by name.

    >>> header, arrays = unpack(pack({"kind": "frame", "loss": float("nan")}, {"x": np.ones((2, 3), np.float32)}))
    >>> header["loss"], arrays["x"].shape
    (None, (2, 3))
    """
    described, parts, start = [], [], 0
    for name, array in (arrays or {}).items():
        kind = str(array.dtype)
        if kind not in TYPES:
            raise TypeError(f"pack: expected {', '.join(TYPES)}, got {kind} for {name}")
        data = np.ascontiguousarray(array).tobytes()
        described.append({"name": name, "type": kind, "shape": array.shape, "at": start})
        parts.append(data + b"\0" * (-len(data) % 4))
        start += len(parts[-1])
    text = json.dumps(_plain({**header, "arrays": described}), separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(the header, its arrays) of a message: what the page does, for tests and for scripts."""
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    arrays = {}
    for about in header.pop("arrays"):
        count = math.prod(about["shape"])
        flat = np.frombuffer(message, TYPES[about["type"]], count, 4 + length + about["at"])
        arrays[about["name"]] = flat.reshape(about["shape"])
    return header, arrays


def _plain(value: Any) -> Any:
    """The same with null for what JSON cannot say."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.floating, float)):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
