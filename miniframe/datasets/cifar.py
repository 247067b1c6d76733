"""CIFAR-10, the small colour photographs of Krizhevsky, Nair and Hinton, read from their binary archive."""

from __future__ import annotations

import gzip
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from .download import data_folder, fetch

ARCHIVE = "cifar-10-binary.tar.gz"
URLS = (f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}",)
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
CIFAR10_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEMBERS = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
RECORD = 1 + 3 * 32 * 32  # a label, then the red, green and blue planes, row by row
PER_FILE = 10_000 * RECORD  # bytes
UNPACKED = 200_000_000  # bytes in the whole archive; it has 184,391,680


def cifar10(split: str = "train", folder: str | os.PathLike[str] | None = None) -> tuple[mx.array, mx.array]:
    """The 50,000 training or 10,000 test photographs of ten kinds of things; downloaded once (170 MB).

    Args:
        split: "train" or "test".
        folder: where the archive is, or will be put; by default ``cifar10/`` in ``data_folder()``.

    Returns:
        (N, 32, 32, 3) float32 images in [0, 1] and (N,) int32 labels, see ``CIFAR10_NAMES``.

    Raises:
        ConnectionError: when the archive is not there and cannot be downloaded.
        ValueError: for an unknown split or a damaged archive, naming it.
    """
    if split not in MEMBERS:
        raise ValueError(f"cifar10: unknown split {split!r}; known: {', '.join(MEMBERS)}")
    where = data_folder() / "cifar10" if folder is None else Path(folder)
    path = fetch(ARCHIVE, URLS, SHA256, where)
    parts = [parse_records(data, f"{path}: {name}") for name, data in _members(path, MEMBERS[split])]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts))
    return mx.array(images.astype(np.float32) / 255), mx.array(labels.astype(np.int32))


def parse_records(data: bytes, where: str = "cifar10") -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) and (N,) uint8 arrays from the bytes of one batch file.

    Raises:
        ValueError: for bytes that are no whole number of records, or labels above 9.

    >>> images, labels = parse_records(bytes([7]) + bytes(3 * 32 * 32))
    >>> images.shape, labels.tolist()
    ((1, 32, 32, 3), [7])
    """
    if not data or len(data) % RECORD:
        raise ValueError(f"{where}: expected records of {RECORD} bytes, got {len(data):,} bytes; truncated?")
    records = np.frombuffer(data, np.uint8).reshape(-1, RECORD)
    labels = records[:, 0]
    if labels.max() >= len(CIFAR10_NAMES):
        raise ValueError(f"{where}: expected labels 0 to 9, got {labels.max()}; this is not CIFAR-10's binary format")
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


class _Limited:
    """A stream that ends in an error where it unpacks to more than CIFAR-10 has, however small the file is."""

    def __init__(self, stream: Any, path: Path) -> None:
        self.stream, self.path, self.left = stream, path, UNPACKED

    def read(self, count: int) -> bytes:
        data: bytes = self.stream.read(min(count, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(
                f"{self.path}: expected an archive that unpacks to at most {UNPACKED:,} bytes; it has more"
            )
        return data


def _members(path: Path, wanted: list[str]) -> list[tuple[str, bytes]]:
    """Names and contents of the wanted files in the archive, read without unpacking anything to disk."""
    found = {}
    try:
        with gzip.open(path) as unpacked:
            stream: Any = _Limited(unpacked, path)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    name = member.name.rpartition("/")[2]
                    if not member.isfile() or name not in wanted:
                        continue
                    if member.size > PER_FILE:
                        raise ValueError(f"{path}: {name}: expected at most {PER_FILE:,} bytes, got {member.size:,}")
                    found[name] = archive.extractfile(member).read()  # type: ignore[union-attr]
    except (tarfile.TarError, EOFError, OSError, zlib.error, OverflowError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # about the file as such, not its contents
            raise
        raise ValueError(f"{path} is damaged or truncated ({error}); delete it to download it again") from error
    missing = [name for name in wanted if name not in found]
    if missing:
        raise ValueError(f"{path}: expected a file {missing[0]} in the archive; is it {ARCHIVE}?")
    return [(name, found[name]) for name in wanted]
