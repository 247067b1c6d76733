"""MNIST, the handwritten digits of LeCun, Cortes and Burges, and the IDX format that they come in."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import mlx.core as mx
import numpy as np

from .download import data_folder, fetch

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = {  # split: (images, sha256, labels, sha256)
    "train": (
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "test": (
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def mnist(split: str = "train", folder: str | os.PathLike[str] | None = None) -> tuple[mx.array, mx.array]:
    """The 60,000 training or 10,000 test images of handwritten digits; downloaded once.

    Args:
        split: "train" or "test".
        folder: where the four files are, or will be put; by default ``mnist/`` in ``data_folder()``.

    Returns:
        (N, 28, 28, 1) float32 images in [0, 1], 0 the paper, and (N,) int32 labels.

    Raises:
        ConnectionError: when the files are not there and cannot be downloaded.
        ValueError: for an unknown split or a damaged file, naming it.
    """
    if split not in FILES:
        raise ValueError(f"mnist: unknown split {split!r}; known: {', '.join(FILES)}")
    where = data_folder() / "mnist" if folder is None else Path(folder)
    image_name, image_sum, label_name, label_sum = FILES[split]
    images = read_idx(fetch(image_name, [mirror + image_name for mirror in MIRRORS], image_sum, where))
    labels = read_idx(fetch(label_name, [mirror + label_name for mirror in MIRRORS], label_sum, where))
    if images.ndim != 3 or labels.shape != images.shape[:1] or (labels.size and labels.max() > 9):
        raise ValueError(
            f"mnist: expected images (N, rows, columns) and N labels 0 to 9 in {where}, "
            f"got {images.shape} and {labels.shape}"
        )
    return mx.array(images[..., None].astype(np.float32) / 255), mx.array(labels.astype(np.int32))


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """An array from a file in the IDX format, compressed by gzip or not.

    The file begins with two zero bytes, a byte for the type, a byte for the number of axes, and a big-endian 32-bit
    length for each axis; the numbers follow.

    Raises:
        ValueError: for a file that is truncated, too long, or not IDX, naming it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7]))
    >>> read_idx(path).tolist()
    [5, 6, 7]
    """
    data = _read_bytes(Path(path))
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in IDX_TYPES:
        raise ValueError(f"{path}: expected an IDX file, which begins with 00 00 and a type, got {data[:4].hex(' ')}")
    kind, axes = np.dtype(IDX_TYPES[data[2]]), data[3]
    start = 4 + 4 * axes
    if len(data) < start:
        raise ValueError(f"{path}: expected the lengths of {axes} axes, but the file ends after {len(data)} bytes")
    shape = struct.unpack(f">{axes}I", data[4:start])
    expected = start + math.prod(shape) * kind.itemsize
    if len(data) != expected:
        problem = "truncated" if len(data) < expected else "too long"
        raise ValueError(f"{path} is {problem}: expected {expected:,} bytes for shape {shape}, got {len(data):,}")
    return np.frombuffer(data, kind, offset=start).reshape(shape).astype(kind.newbyteorder("="))


def _read_bytes(path: Path) -> bytes:
    raw = path.read_bytes()
    if raw[:2] != b"\x1f\x8b":  # how every gzip file begins
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or truncated ({error}); delete it to download it again") from error
