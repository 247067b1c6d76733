"""Files are whole or absent, and a file that is not what it seems gives a clear error."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time

import mlx.core as mx
import numpy as np
import pytest

from miniframe.saving.files import FORMAT, KEY, atomic_write, load_arrays, save_arrays


@pytest.fixture
def path(tmp_path):
    return tmp_path / "arrays.safetensors"


def test_arrays_and_description_return_as_they_were(path):
    arrays = {
        "f": mx.array([1.5, -2.0]),
        "half": mx.array([[1.0]], dtype=mx.bfloat16),
        "i": mx.array(7),
        "b": mx.array([True, False]),
        "none": mx.zeros((0, 3)),
    }
    save_arrays(path, arrays, {"epoch": 3, "rate": 0.1, "list": [1, None, "é"]})
    loaded, about = load_arrays(path)
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].dtype == array.dtype and mx.array_equal(loaded[name], array)
    assert about["epoch"] == 3 and about["rate"] == 0.1 and about["list"] == [1, None, "é"]
    assert about["format"] == FORMAT
    assert os.listdir(path.parent) == [path.name]


def test_a_file_of_another_program_has_an_empty_description(path):
    mx.save_safetensors(str(path), {"a": mx.ones(3)})
    arrays, about = load_arrays(path)
    assert about == {} and arrays["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_an_error(path, keep):
    save_arrays(path, {"a": mx.ones((100, 10))}, {})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match="truncated|not a safetensors file"):
        load_arrays(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x80\x04pickle" * 10, b"\x08" + bytes(7) + b"{nonsens", np.random.default_rng(0).bytes(400)],
)
def test_a_foreign_file_is_an_error(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_arrays(path)


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]},
        {"dtype": "NO", "shape": [1], "data_offsets": [0, 4]},
        {"shape": [1]},
        7,
    ],
)
def test_a_header_that_lies_about_its_arrays_is_an_error(path, entry):
    header = json.dumps({"a": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ValueError, match="damaged: array 'a'"):
        load_arrays(path)


def test_a_newer_file_is_an_error_that_says_update(path):
    about = json.dumps({"format": FORMAT + 1, "version": "9.9"})
    mx.save_safetensors(str(path), {"a": mx.ones(3)}, metadata={KEY: about})
    with pytest.raises(ValueError, match=r"written by miniframe 9\.9.*update miniframe"):
        load_arrays(path)


def test_whatever_a_newer_file_calls_its_version_the_error_is_one_line(path):
    about = json.dumps({"format": FORMAT + 1, "version": "9\n" * 100})
    mx.save_safetensors(str(path), {"a": mx.ones(3)}, metadata={KEY: about})
    with pytest.raises(ValueError, match="update miniframe") as caught:
        load_arrays(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_damaged_description_is_an_error(path):
    for text in ("{", "[]", "{}"):
        mx.save_safetensors(str(path), {"a": mx.ones(3)}, metadata={KEY: text})
        with pytest.raises(ValueError, match="description is damaged"):
            load_arrays(path)


def test_a_missing_file_or_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_arrays(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save_arrays(tmp_path / "no" / "file", {}, {})


def test_double_precision_is_refused_by_name(path):
    with pytest.raises(TypeError, match="cannot save 'w': safetensors files hold no float64"):
        save_arrays(path, {"w": mx.array(np.ones(2), dtype=mx.float64)}, {})


def test_after_an_error_the_old_file_is_still_there(tmp_path):
    path = tmp_path / "note"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:
        temporary.write_text("new")
        raise RuntimeError("interrupted")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["note"]


SAVER = """
import sys
import mlx.core as mx
from miniframe.saving.files import save_arrays
for k in range(1_000_000):
    save_arrays(sys.argv[1], {"k": mx.full((500_000,), k, dtype=mx.int32)}, {"k": k})
    print(k, flush=True)
"""


def test_a_process_killed_while_saving_leaves_a_whole_file(path):
    for delay in (0.0, 0.003, 0.007):
        process = subprocess.Popen([sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        arrays, about = load_arrays(path)
        assert (arrays["k"] == about["k"]).all().item()


def test_every_flipped_bit_is_an_error_in_one_line(path):
    save_arrays(path, {"a": mx.arange(6).astype(mx.float32).reshape(2, 3), "b": mx.array([True])}, {"epoch": 3})
    data = path.read_bytes()
    described = data.index(b"__metadata__")
    for place in range(len(data)):
        for bit in range(8):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
            try:
                arrays, about = load_arrays(path)
            except ValueError as error:
                assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
            else:  # only where nothing that was saved depends on it: blanks, or the names of the two entries
                assert place > described - 12 and arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
                assert about in ({}, {**about, "epoch": 3})


def test_a_file_without_a_checksum_loads(path):
    about = json.dumps({"format": FORMAT, "version": "0.1.0", "epoch": 3})
    mx.save_safetensors(str(path), {"a": mx.ones(3)}, metadata={KEY: about})
    assert load_arrays(path)[1]["epoch"] == 3


def test_a_very_long_name_in_a_damaged_header_is_shown_in_part(path):
    header = json.dumps({"long" * 1000: {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ValueError, match=r"damaged: array 'longlong\w{40,60}\.\.\.\w+' does not fill") as error:
        load_arrays(path)
    assert len(str(error.value)) < len(str(path)) + 200


def damaged(entries, rng):
    """A header with something wrong in it, or nothing."""
    entry = entries[rng.choice(list(entries))]
    kind = rng.randrange(8)
    if kind == 1:
        entry["data_offsets"] = [place + rng.choice([-1, 1, 4, -4]) for place in entry["data_offsets"]]
    elif kind == 2:
        entry.update(entries["a0"])
    elif kind == 3:
        entries["__metadata__"] = rng.choice([{"a": 1}, {"a": "b"}, 5, None, {"a": None}, [1]])
    elif kind == 4:
        entry[rng.choice(["dtype", "shape"])] = rng.choice(["x", [1.5], [True], None, [10**20]])
    elif kind == 5:
        del entry[rng.choice(list(entry))]
    elif kind == 6:
        entry["shape"] = [float(size) for size in entry["shape"]]
    elif kind == 7:
        entry["data_offsets"] = [*entry["data_offsets"], 0]
    return entries


def test_a_file_is_refused_whenever_the_library_of_its_makers_refuses_it(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    path, rng, verdicts = tmp_path / "a.safetensors", random.Random(0), []
    for _ in range(600):
        entries, end = {}, 0
        for k in range(rng.randint(1, 3)):
            dtype, width = rng.choice([("F32", 4), ("U8", 1), ("I64", 8), ("BOOL", 1), ("F16", 2)])
            shape = [rng.randint(0, 3) for _ in range(rng.randint(0, 2))]
            begin, end = end, end + width * math.prod(shape)
            entries[f"a{k}"] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
        header = json.dumps(damaged(entries, rng)).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(end))
        try:
            with safetensors.safe_open(path, "numpy"):
                theirs = True
        except safetensors.SafetensorError:
            theirs = False
        try:
            load_arrays(path)
            ours = True
        except ValueError as error:
            ours = False
            assert "\n" not in str(error)
        assert ours is theirs, header
        verdicts.append(ours)
    assert 100 < sum(verdicts) < 500
