"""Downloads: once, checked, and clear words when there is no network."""

import gzip
import hashlib
import struct
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
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


@pytest.fixture
def server(tmp_path):
    """The address of a server of this machine, and the file that it has."""
    path = tmp_path / "server" / "numbers"
    path.parent.mkdir()
    path.write_bytes(b"0123456789" * 1000)
    silent = type("Silent", (SimpleHTTPRequestHandler,), {"log_message": lambda *words: None})
    handler = partial(silent, directory=str(path.parent))
    served = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/", path
    served.shutdown()
    served.server_close()
    thread.join()


class TestFetch:
    def test_downloads_once_with_progress_from_the_first_address_that_has_the_file(self, server, tmp_path, capsys):
        address, source = server
        content = source.read_bytes()
        checksum, folder = hashlib.sha256(content).hexdigest(), tmp_path / "data" / "deep"
        path = download.fetch("numbers", [address + "nowhere", address + "numbers"], checksum, folder)
        assert path == folder / "numbers" and path.read_bytes() == content
        assert "100%" in capsys.readouterr().err
        source.unlink()
        assert download.fetch("numbers", [address + "numbers"], checksum, folder) == path

    def test_a_wrong_checksum_leaves_nothing_behind(self, server, tmp_path):
        words = r"could not download numbers .*the checksum is another than the expected abcdef\.\.\."
        with pytest.raises(ValueError, match=words):
            download.fetch("numbers", [server[0] + "numbers"], "abcdef", tmp_path / "data")
        assert not list((tmp_path / "data").iterdir())

    def test_without_the_library_the_message_says_what_to_install_and_where_to_put_the_file(self, tmp_path):
        code = (
            "import sys; sys.modules['pooch'] = None\nimport miniframe as mf\n"
            f"try: mf.datasets.mnist('train', {str(tmp_path)!r})\nexcept ImportError as error: print(error)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == (
            "downloading train-images-idx3-ubyte.gz: needs pooch: pip install miniframe[download]. Put the file into "
            f"{tmp_path}, or set MINIFRAME_DATA to the folder that has it\n"
        ), done.stderr

    def test_offline_the_message_says_where_to_put_the_file(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys.modules["miniframe.datasets.mnist"], "MIRRORS", ("http://127.0.0.1:9/",))
        with pytest.raises(ConnectionError) as raised:
            datasets.mnist("train", tmp_path / "data")
        words = str(raised.value)
        assert words.startswith("could not download train-images-idx3-ubyte.gz (http://127.0.0.1:9/train-images")
        assert f"Put the file into {tmp_path / 'data'}, or set MINIFRAME_DATA" in words
