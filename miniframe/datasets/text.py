"""Text to learn from, without a download, and the windows that a model of sequences reads it through."""

from __future__ import annotations

import os
from typing import Any

import mlx.core as mx
import numpy as np


def docs_text() -> str:
    """The English documentation of the language that every Python carries for its ``help()``, as one long text.

    Python 3.11 has 465,126 characters of it: 79 topics, in the order of their names, with an empty line between. It
    differs a little from one version of Python to the next.

    Raises:
        ModuleNotFoundError: for a Python that was stripped of it.

    >>> text = docs_text()
    >>> len(text) > 300_000, "statement" in text
    (True, True)
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ModuleNotFoundError(
            "docs_text: this Python was installed without pydoc_data, the text of its help(); "
            "use read_text with a text file of your own"
        ) from error
    return "\n\n".join(topics[name] for name in sorted(topics))


def read_text(path: str | os.PathLike[str]) -> str:
    """A text file of your own, in UTF-8; every line ends with a single newline, whatever system wrote it.

    Raises:
        ValueError: for a file that is empty or not UTF-8, naming the first byte that cannot be.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "poem.txt"
    >>> _ = path.write_bytes(b"one\\r\\ntwo")
    >>> read_text(path)
    'one\\ntwo'
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"read_text: expected UTF-8 in {path}, but byte {error.start:,}, 0x{error.object[error.start]:02x}, "
            "cannot be; save the file as UTF-8"
        ) from error
    if not text:
        raise ValueError(f"read_text: expected some text in {path}, but the file is empty")
    return text


def hold_out(tokens: Any, fraction: float = 0.1) -> tuple[mx.array, mx.array]:
    """(to train on, held out): the end of a text is kept apart, whole, because neighbouring windows share words.

    Args:
        tokens: (length,) integers, such as a tokenizer's ``encode`` gives.
        fraction: how much of it is held out.

    >>> train, held_out = hold_out(range(10), fraction=0.2)
    >>> train.tolist(), held_out.tolist()
    ([0, 1, 2, 3, 4, 5, 6, 7], [8, 9])
    """
    tokens = _tokens(tokens, "hold_out")
    count = round(tokens.size * fraction)
    if not 0 < count < tokens.size:
        raise ValueError(
            f"hold_out: expected at least one token on both sides, but fraction={fraction} of {tokens.size} tokens "
            f"is {count}"
        )
    return mx.array(tokens[:-count]), mx.array(tokens[-count:])


def windows(tokens: Any, length: int, step: int | None = None) -> tuple[mx.array, mx.array]:
    """Windows into a text, and what comes next at every place in them: the same windows, one token further.

    A rest that does not fill a window is left out.

    Args:
        tokens: (length of the text,) integers.
        length: T, of each window.
        step: from one window to the next; by default T, so that every token is predicted once.

    Returns:
        x and y, both (N, T) int32, with y[:, :-1] equal to x[:, 1:].

    >>> x, y = windows([0, 1, 2, 3, 4, 5, 6], length=3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    tokens = _tokens(tokens, "windows", length)
    step = length if step is None else step
    if step < 1:
        raise ValueError(f"windows: expected a step of at least 1, got {step}")
    return _from(tokens, np.arange(0, tokens.size - length, step), length)


def random_windows(tokens: Any, length: int, count: int, seed: int | None = None) -> tuple[mx.array, mx.array]:
    """One batch: windows that begin anywhere in a text, and the same one token further.

    ``fit`` takes a function that gives an epoch: ``lambda: (random_windows(tokens, 64, 32) for _ in range(100))``.

    Args:
        tokens: (length of the text,) integers.
        length: T, of each window.
        count: N, how many.
        seed: of the places; None draws it from MLX's random state, so that ``mf.seed`` governs all.

    Returns:
        x and y, both (N, T) int32.

    >>> x, y = random_windows(range(100), length=5, count=2, seed=0)
    >>> x.shape, (y - x).tolist()
    ((2, 5), [[1, 1, 1, 1, 1], [1, 1, 1, 1, 1]])
    """
    tokens = _tokens(tokens, "random_windows", length)
    if count < 1:
        raise ValueError(f"random_windows: expected at least 1 window, got {count}")
    seed = int(mx.random.randint(0, 2**31 - 1)) if seed is None else seed
    return _from(tokens, np.random.default_rng(seed).integers(0, tokens.size - length, count), length)


def _from(tokens: np.ndarray, starts: np.ndarray, length: int) -> tuple[mx.array, mx.array]:
    """The windows that begin at ``starts``, and those one further."""
    places = starts[:, None] + np.arange(length)
    return mx.array(tokens[places]), mx.array(tokens[places + 1])


def _tokens(tokens: Any, where: str, length: int = 1) -> np.ndarray:
    """The tokens as int32, of which there is more than one window."""
    if isinstance(tokens, str):
        raise TypeError(f"{where}: expected tokens, got text; encode it first: CharTokenizer(text).encode(text)")
    array = np.array(tokens)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{where}: expected (length,) integers, got shape {array.shape} of {array.dtype}")
    if length < 1 or array.size <= length:
        raise ValueError(
            f"{where}: expected a window of at least 1 and more tokens than that, got length={length} and "
            f"{array.size} tokens"
        )
    return array.astype(np.int32)
