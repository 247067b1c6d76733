"""Text that every Python carries, files of one's own, and windows into them."""

import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.datasets import docs_text, hold_out, random_windows, read_text, windows


def test_the_documentation_is_one_long_text_and_the_same_each_time():
    text = docs_text()
    assert text == docs_text() and len(text) > 300_000
    if sys.version_info[:2] == (3, 11):
        assert len(text) == 465_126
    assert text.startswith('The "assert" statement') and all(word in text for word in ("lambda", "generator", "yield"))


def test_a_python_without_it_is_told_what_to_do():
    code = "import sys; sys.modules['pydoc_data'] = None; import miniframe as mf; mf.datasets.docs_text()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ModuleNotFoundError: docs_text: this Python was installed without pydoc_data" in done.stderr
    assert "use read_text" in done.stderr


@pytest.mark.parametrize(
    "data, text",
    [
        (b"one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("größer ∑ 😀".encode(), "größer ∑ 😀"),
        (b"\xef\xbb\xbfwith a mark in front", "with a mark in front"),
    ],
)
def test_a_file_is_read_as_the_same_text_on_every_system(tmp_path, data, text):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    assert read_text(path) == text and read_text(str(path)) == text


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "expected some text in .*text.txt, but the file is empty"),
        ("größer".encode("latin-1"), "expected UTF-8 in .*text.txt, but byte 2, 0xf6, cannot be"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, data, message):
    path = tmp_path / "text.txt"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_text(path)


# -------------------------------------------------------------------- windows


def test_the_end_is_held_out_and_nothing_is_lost():
    train, held_out = hold_out(mx.arange(25), 0.2)
    assert (train.size, held_out.size, train.dtype) == (20, 5, mx.int32)
    assert train.tolist() + held_out.tolist() == list(range(25))


@pytest.mark.parametrize("length, step", [(3, None), (3, 1), (5, 2), (1, None), (10, None)])
def test_windows_predict_the_next_token_at_every_place(length, step):
    x, y = windows(mx.arange(11) * 10, length, step)
    assert x.shape == y.shape and x.shape[1] == length and x.dtype == y.dtype == mx.int32
    assert mx.array_equal(y - x, mx.full(x.shape, 10, dtype=mx.int32))
    starts = x[:, 0] // 10
    assert starts.tolist() == list(range(0, 11 - length, step or length))


def test_without_a_step_every_token_is_predicted_once():
    _, y = windows(range(13), 4)
    assert y.reshape(-1).tolist() == list(range(1, 13))


def test_random_windows_come_from_everywhere_and_repeat_with_their_seed():
    x, y = random_windows(range(12), length=3, count=2000, seed=1)
    assert sorted(set(x[:, 0].tolist())) == list(range(9)) and mx.array_equal(y, x + 1)
    again, other = random_windows(range(12), 3, 2000, seed=1)[0], random_windows(range(12), 3, 2000, seed=2)[0]
    assert mx.array_equal(x, again) and not mx.array_equal(x, other)
    mf.seed(5)
    first = random_windows(range(12), 3, 50)[0]
    second = random_windows(range(12), 3, 50)[0]
    mf.seed(5)
    assert mx.array_equal(first, random_windows(range(12), 3, 50)[0]) and not mx.array_equal(first, second)


def test_a_text_that_fits_only_one_window_gives_it():
    for x, y in (windows(range(4), 3), random_windows(range(4), 3, 1)):
        assert x.tolist() == [[0, 1, 2]] and y.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    "use, error, message",
    [
        (lambda: windows("text", 3), TypeError, "windows: expected tokens, got text; encode it first"),
        (lambda: windows([1, 2, 3], 3), ValueError, "windows: expected a window of at least 1 and more tokens"),
        (lambda: windows([1, 2, 3], 0), ValueError, "got length=0 and 3 tokens"),
        (lambda: windows([1, 2, 3], 2, step=0), ValueError, "windows: expected a step of at least 1, got 0"),
        (lambda: windows([[1, 2]], 1), ValueError, r"expected \(length,\) integers, got shape \(1, 2\) of int64"),
        (lambda: random_windows([0.5, 1.5], 1, 1), ValueError, "random_windows: expected .* of float64"),
        (lambda: random_windows([1, 2, 3], 1, 0), ValueError, "random_windows: expected at least 1 window, got 0"),
        (lambda: hold_out(range(10), 0.01), ValueError, "hold_out: .* fraction=0.01 of 10 tokens is 0"),
        (lambda: hold_out(range(10), 1.0), ValueError, "hold_out: .* fraction=1.0 of 10 tokens is 10"),
    ],
)  # fmt: skip
def test_what_cannot_be_cut_into_windows_is_refused(use, error, message):
    with pytest.raises(error, match=message):
        use()


def test_a_small_network_learns_to_spell():
    text = "to be or not to be, that is the question. " * 30
    tokenizer = mf.datasets.CharTokenizer(text)
    train, held_out = hold_out(tokenizer.encode(text), 0.2)
    mf.seed(0)
    count = tokenizer.vocabulary_size
    model = mf.Sequential(mf.Embedding(count, 8), mf.GRU(8, 24), mf.Linear(24, count))
    options = dict(loss="cross_entropy", optimizer=mf.Adam(model, lr=0.02), epochs=2, verbose=0, compile=False)
    history = model.fit(
        lambda: (random_windows(train, 16, 16, seed=k) for k in range(25)),
        validation_data=windows(held_out, 16),
        **options,
    )
    assert history.history["val_loss"][-1] < 0.5 * np.log(count)
