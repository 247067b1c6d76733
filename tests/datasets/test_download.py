"""Downloads: once, checked, and clear words when there is no network."""

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from miniframe import datasets
from miniframe.datasets import download

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 28, 28), np.uint8), RNG.integers(0, 10, 7).astype(np.uint8)


def idx(array: np.ndarray, code: int = 8) -> bytes:
    return bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path) -> Path:
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(LABELS)))
    return tmp_path


def test_the_environment_names_the_data_folder(digits, monkeypatch):
    (digits / "mnist").mkdir()
    for file in digits.glob("*.gz"):
        file.rename(digits / "mnist" / file.name)
    monkeypatch.setenv("MINIFRAME_DATA", str(digits))
    assert datasets.mnist("test")[0].shape == (7, 28, 28, 1)
    monkeypatch.delenv("MINIFRAME_DATA")
    assert datasets.data_folder() == Path(__file__).parents[2] / "datasets"


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
