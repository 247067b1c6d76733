"""MNIST and CIFAR-10 from files that the tests make themselves: parsing, damage, downloads, being offline."""

import gzip
import hashlib
import io
import struct
import sys
import tarfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from miniframe import datasets
from miniframe.datasets import cifar, download

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


def test_the_environment_names_the_data_folder(digits, monkeypatch):
    (digits / "mnist").mkdir()
    for file in digits.glob("*.gz"):
        file.rename(digits / "mnist" / file.name)
    monkeypatch.setenv("MINIFRAME_DATA", str(digits))
    assert datasets.mnist("test")[0].shape == (7, 28, 28, 1)
    monkeypatch.delenv("MINIFRAME_DATA")
    assert datasets.data_folder() == Path(__file__).parents[1] / "datasets"


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


def test_an_unknown_split_names_the_known_ones():
    for load in (datasets.mnist, datasets.cifar10):
        with pytest.raises(ValueError, match=f"{load.__name__}: unknown split 'validation'; known: train, test"):
            load("validation")


class TestFetch:
    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / "server" / "numbers"
        path.parent.mkdir()
        path.write_bytes(b"0123456789" * 1000)
        return path

    def test_downloads_once_with_progress(self, source, tmp_path, capsys):
        checksum = hashlib.sha256(source.read_bytes()).hexdigest()
        folder = tmp_path / "data" / "deep"
        path = download.fetch("numbers", ["file:///nowhere/numbers", source.as_uri()], checksum, folder)
        assert path == folder / "numbers" and path.read_bytes() == source.read_bytes()
        assert "numbers" in capsys.readouterr().err
        source.unlink()
        assert download.fetch("numbers", [source.as_uri()], checksum, folder) == path

    def test_a_wrong_checksum_leaves_nothing_behind(self, source, tmp_path):
        with pytest.raises(
            ValueError, match=r"could not download numbers .*the checksum is [0-9a-f]{12}\.\.\., expected abc"
        ):
            download.fetch("numbers", [source.as_uri()], "abc", tmp_path / "data")
        assert not list((tmp_path / "data").iterdir())

    def test_offline_the_message_says_where_to_put_the_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys.modules["miniframe.datasets.mnist"], "MIRRORS", ("http://127.0.0.1:9/",))
        with pytest.raises(ConnectionError) as raised:
            datasets.mnist("train", tmp_path / "data")
        words = str(raised.value)
        assert words.startswith("could not download train-images-idx3-ubyte.gz (http://127.0.0.1:9/train-images")
        assert f"Put the file into {tmp_path / 'data'}, or set MINIFRAME_DATA" in words
