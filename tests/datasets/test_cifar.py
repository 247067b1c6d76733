"""CIFAR-10 from archives that the tests make themselves."""

import io
import tarfile
import tracemalloc
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from miniframe import datasets
from miniframe.datasets import cifar

RNG = np.random.default_rng(0)


def records(labels: np.ndarray, images: np.ndarray) -> bytes:
    return b"".join(bytes([label]) + image.transpose(2, 0, 1).tobytes() for label, image in zip(labels, images))


@pytest.fixture
def photographs():
    return RNG.integers(0, 10, 12).astype(np.uint8), RNG.integers(0, 256, (12, 32, 32, 3), np.uint8)


def write_archive(folder: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(folder / cifar.ARCHIVE, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder / cifar.ARCHIVE


def test_cifar10_joins_its_batches_in_order(tmp_path, photographs):
    labels, images = photographs
    parts = {f"data_batch_{i}.bin": records(labels[2 * i : 2 * i + 2], images[2 * i : 2 * i + 2]) for i in range(1, 6)}
    write_archive(tmp_path, dict(reversed(parts.items())) | {"test_batch.bin": records(labels[:2], images[:2])})
    x, y = datasets.cifar10("train", tmp_path)
    assert np.array_equal(np.round(np.array(x) * 255), images[2:]) and np.array_equal(np.array(y), labels[2:])
    x, y = datasets.cifar10("test", tmp_path)
    assert np.array_equal(np.round(np.array(x) * 255), images[:2]) and x.dtype == mx.float32 and y.dtype == mx.int32


def test_a_damaged_archive_is_named(tmp_path, photographs):
    labels, images = photographs
    path = write_archive(tmp_path, {"test_batch.bin": records(labels, images)[:-5]})
    with pytest.raises(ValueError, match=r"test_batch\.bin: expected records of 3073 bytes, got 36,871 bytes"):
        datasets.cifar10("test", tmp_path)
    with pytest.raises(ValueError, match=r"expected a file data_batch_1\.bin in the archive"):
        datasets.cifar10("train", tmp_path)
    write_archive(tmp_path, {"test_batch.bin": records(labels + 200, images)})
    with pytest.raises(ValueError, match=r"expected labels 0 to 9, got 20[0-9]"):
        datasets.cifar10("test", tmp_path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"cifar-10-binary.tar.gz is damaged or truncated"):
        datasets.cifar10("test", tmp_path)


def test_a_small_archive_that_unpacks_to_much_costs_no_memory(tmp_path, monkeypatch):
    big = cifar.PER_FILE + cifar.RECORD
    path = write_archive(tmp_path, {"test_batch.bin": bytes(big)})
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"test_batch\.bin: expected at most 30,730,000 bytes, got 30,733,073"):
            datasets.cifar10("test", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_an_archive_that_never_ends_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "UNPACKED", 2**20)
    write_archive(tmp_path, {"something else": bytes(2**22), "test_batch.bin": bytes(cifar.RECORD)})
    with pytest.raises(ValueError, match=r"expected an archive that unpacks to at most 1,048,576 bytes"):
        datasets.cifar10("test", tmp_path)
