"""MNIST, the handwritten digits of LeCun, Cortes and Burges, and the IDX format that they come in."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

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
GZIP = b"\x1f\x8b"  # how every gzip file begins
LIMIT = 2**26  # bytes in a file of MNIST: the largest, of the training images, has 47,040,016
CHUNK = 2**20
MOST_AXES = 32  # of NumPy's arrays
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
    images = read_idx(fetch(image_name, [mirror + image_name for mirror in MIRRORS], image_sum, where), LIMIT)
    labels = read_idx(fetch(label_name, [mirror + label_name for mirror in MIRRORS], label_sum, where), LIMIT)
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"mnist: expected images (N, rows, columns) and N labels 0 to 9 in {where}, "
            f"got {images.shape} and {labels.shape}"
        )
    if labels.size and not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(f"mnist: expected labels 0 to 9 in {where}, got {labels.min()} to {labels.max()}")
    return mx.array(images[..., None].astype(np.float32) / 255), mx.array(labels.astype(np.int32))


def read_idx(path: str | os.PathLike[str], limit: int = 2**30) -> np.ndarray:
    """An array from a file in the IDX format, compressed by gzip or not.

    The file begins with two zero bytes, a byte for the type, a byte for the number of axes, and a big-endian 32-bit
    length for each axis; the numbers follow.

    Args:
        path: of the file.
        limit: bytes that the numbers may take: a small compressed file can unpack to more than the memory holds.

    Raises:
        ValueError: for a file that is truncated, too long, larger than the limit, or not IDX, naming it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers-idx1-ubyte"
    >>> _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 6, 7]))
    >>> read_idx(path).tolist()
    [5, 6, 7]
    """
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            return _parse(stream, str(path), limit)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:  # about the file as such, not its contents
            raise
        raise ValueError(f"{path} is damaged or truncated ({error}); delete it to download it again") from error


def _parse(stream: BinaryIO, path: str, limit: int) -> np.ndarray:
    """The array of an IDX file; no more is read, and unpacked, than its first bytes announce."""
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in IDX_TYPES:
        raise ValueError(f"{path}: expected an IDX file, which begins with 00 00 and a type, got {head.hex(' ')}")
    kind, axes = np.dtype(IDX_TYPES[head[2]]), head[3]
    lengths = stream.read(4 * axes)
    start = 4 + 4 * axes
    if axes > MOST_AXES or len(lengths) < 4 * axes:
        ends = f"the file ends after {4 + len(lengths)} bytes" if axes <= MOST_AXES else f"{MOST_AXES} are the most"
        raise ValueError(f"{path}: expected the lengths of {axes} axes, but {ends}")
    shape = struct.unpack(f">{axes}I", lengths)
    count = math.prod(shape) * kind.itemsize
    if count > limit:
        raise ValueError(f"{path}: expected at most {limit:,} bytes, but it announces {count:,}, as shape {shape}")
    data = bytearray()
    while chunk := stream.read(min(CHUNK, count + 1 - len(data))):  # in pieces: a file may announce more than it has
        data += chunk
    if len(data) != count:
        problem = "truncated" if len(data) < count else "too long"
        got = f"{start + len(data):,}" if len(data) < count else "more"
        raise ValueError(f"{path} is {problem}: expected {start + count:,} bytes for shape {shape}, got {got}")
    return np.frombuffer(data, kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)
