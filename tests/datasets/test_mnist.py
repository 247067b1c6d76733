"""MNIST from files that the tests make themselves: parsing, damage, wrong pairs."""

import gzip
import struct
import tracemalloc
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from miniframe import datasets

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 28, 28), np.uint8), RNG.integers(0, 10, 7).astype(np.uint8)


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path) -> Path:
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    return tmp_path


def test_mnist_reads_images_and_labels(digits):
    x, labels = datasets.mnist("test", digits)
    assert x.shape == (7, 28, 28, 1) and x.dtype == mx.float32
    assert np.array_equal(np.round(np.array(x[..., 0]) * 255), IMAGES)
    assert np.array_equal(np.array(labels), LABELS)


@pytest.mark.parametrize(
    ("code", "kind"), [(8, "u1"), (9, "i1"), (0xB, ">i2"), (0xC, ">i4"), (0xD, ">f4"), (0xE, ">f8")]
)
def test_every_type_of_idx_file_is_read(tmp_path, code, kind):
    array = np.array([[1, 2, 3], [100, -5, 7]]).astype(kind)
    (tmp_path / "plain").write_bytes(idx(array, code))
    read = datasets.read_idx(tmp_path / "plain")
    assert np.array_equal(read, array) and read.dtype.isnative


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"expected an IDX file"),
        (b"PK\3\4 something else", r"expected an IDX file, which begins with 00 00 and a type, got 50 4b 03 04"),
        (b"\0\0\x07\1\0\0\0\0", r"expected an IDX file"),
        (b"\0\0\x08\3\0\0", r"expected the lengths of 3 axes, but the file ends after 6 bytes"),
        (idx(IMAGES)[:-1], r"is truncated: expected 5,504 bytes for shape \(7, 28, 28\), got 5,503"),
        (idx(IMAGES) + b"\0", r"is too long: expected 5,504"),
        (gzip.compress(idx(IMAGES))[:-20], r"is damaged or truncated .*; delete it to download it again"),
        (gzip.compress(idx(IMAGES))[:40] + b"\xff" * 400, r"is damaged or truncated"),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content, message):
    (tmp_path / "broken.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"broken\.gz.*{message}"):
        datasets.read_idx(tmp_path / "broken.gz")


def test_files_that_do_not_belong_together_are_an_error(digits):
    (digits / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(LABELS[:5]))
    with pytest.raises(ValueError, match=r"mnist: expected images .* and N labels .* got \(7, 28, 28\) and \(5,\)"):
        datasets.mnist("test", digits)


# -------------------------------------------------------------------- files that unpack to more than anybody wants


def bomb(path: Path, lengths: tuple[int, ...], size: int) -> Path:
    """A gzip file of an IDX header and ``size`` zeros."""
    with gzip.open(path, "wb", 1) as file:
        file.write(bytes([0, 0, 8, len(lengths)]) + struct.pack(f">{len(lengths)}I", *lengths))
        for _ in range(size >> 20):
            file.write(bytes(2**20))
    return path


def peak(work) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("lengths", "size", "message"),
    [
        ((200, 2**20), 200 << 20, r"expected at most 67,108,864 bytes, but it announces 209,715,200"),
        ((2**32 - 1,) * 3, 1 << 20, r"expected at most 67,108,864 bytes, but it announces 79,228,162"),
        ((4,), 200 << 20, r"is too long: expected 12 bytes for shape \(4,\), got more"),
        ((60, 2**20), 1 << 20, r"is truncated: expected 62,914,572 bytes .* got 1,048,588"),
    ],
)
def test_a_small_file_that_unpacks_to_much_costs_no_memory(digits, lengths, size, message):
    path = bomb(digits / "t10k-images-idx3-ubyte.gz", lengths, size)
    assert path.stat().st_size < 2**20

    def read():
        with pytest.raises(ValueError, match=message):
            datasets.mnist("test", digits)

    assert peak(read) < 10 * 2**20


def test_larger_files_of_ones_own_can_be_read_up_to_a_limit_of_ones_own(tmp_path):
    path = bomb(tmp_path / "numbers", (2, 2**20), 2 << 20)
    assert datasets.read_idx(path).shape == (2, 2**20)
    with pytest.raises(ValueError, match="numbers: expected at most 1,000 bytes, but it announces 2,097,152"):
        datasets.read_idx(path, limit=1000)


def test_more_axes_than_arrays_can_have_are_an_error(tmp_path):
    (tmp_path / "axes").write_bytes(bytes([0, 0, 8, 200]) + bytes(1000))
    with pytest.raises(ValueError, match="axes: expected the lengths of 200 axes, but 32 are the most"):
        datasets.read_idx(tmp_path / "axes")


def test_a_label_that_is_no_digit_is_named(digits):
    (digits / "t10k-labels-idx1-ubyte.gz").write_bytes(idx(np.array([1, 200, 3, 4, 5, 6, 7], np.uint8)))
    with pytest.raises(ValueError, match=r"mnist: expected labels 0 to 9 in .*, got 1 to 200"):
        datasets.mnist("test", digits)
