"""Data of one's own: tables in CSV files, and the split into training and test data."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array
from ..core.elsewhere import called_here


class Table:
    """Points and labels, as ``x, y = table`` takes them apart, and the names of the classes.

    Attributes:
        x: (N, columns) float32.
        y: (N,) labels: class numbers as int32, or float32 where a label is no whole number.
        classes: the names of the classes, in the order of their numbers; empty where labels are numbers.
    """

    def __init__(self, x: mx.array, y: mx.array, classes: Sequence[str] = ()) -> None:
        self.x, self.y, self.classes = x, y, list(classes)

    def __iter__(self) -> Iterator[mx.array]:
        return iter((self.x, self.y))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> mx.array:
        return (self.x, self.y)[index]

    def __repr__(self) -> str:
        counts = np.bincount(np.array(self.y), minlength=len(self.classes)).tolist() if self.classes else []
        named = ", ".join(f"{i} {name!r} ({count})" for i, (name, count) in enumerate(zip(self.classes, counts)))
        return f"Table({self.x.shape[0]} rows, {self.x.shape[1]} columns" + (f"; classes {named})" if named else ")")


def read_csv(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> Table:
    """Points and labels from a CSV file: one line of names, then numbers, the label in the last column.

    Labels may be words: the classes are then numbered in the order of the alphabet. ``datasets/disk.csv`` in the
    repository is a file with numbers.

    Args:
        path: of the file.
        classes: the names in the order of their numbers; for a second file, ``read_csv("test.csv", train.classes)``
            gives each name the number that it has in the first.

    Returns:
        A Table: ``x, y = read_csv(...)``, and ``.classes``.

    Raises:
        ValueError: for what is no number, or a class that is not among ``classes``, with its line.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "points.csv"
    >>> _ = path.write_text("x1,x2,label\\n0.5,0.25,cat\\n1,2,ant\\n")
    >>> table = read_csv(path)
    >>> table
    Table(2 rows, 2 columns; classes 0 'ant' (1), 1 'cat' (1))
    >>> x, y = table
    >>> x.tolist(), y.tolist()
    ([[0.5, 0.25], [1.0, 2.0]], [1, 0])
    """
    if not classes:
        try:
            table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        except ValueError:
            return _with_words(path, None)
        _check_columns(path, table.shape[1])
        labels = table[:, -1]
        whole = (labels == np.round(labels)).all() and (np.abs(labels) < 2**31).all()
        y = labels.astype(np.int32 if whole else np.float32)
        return Table(mx.array(table[:, :-1].astype(np.float32)), mx.array(y))
    if len(set(classes)) < len(classes):
        raise ValueError(f"read_csv: expected each class once, got {', '.join(map(str, classes))}")
    return _with_words(path, [str(name) for name in classes])


def _with_words(path: Any, classes: list[str] | None) -> Table:
    """A file whose last column holds the names of classes."""
    points, words, columns = [], [], None
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file, skipinitialspace=True)
        next(lines, None)
        for row in lines:
            if not row:
                continue
            columns = len(row) if columns is None else columns
            _check_columns(path, columns)
            where = f"line {lines.line_num} of {path}"
            if len(row) != columns:
                raise ValueError(f"read_csv: expected {columns} columns in {where}, got {len(row)}")
            try:
                points.append([float(number) for number in row[:-1]])
            except ValueError as error:
                expected = "expected a line of names, then lines of numbers"
                raise ValueError(f"read_csv: {expected}, in {where} (only the label may be a word): {error}") from error
            words.append(row[-1].strip())
            if not words[-1]:
                raise ValueError(f"read_csv: no label in {where}")
            if classes is not None and words[-1] not in classes:
                raise ValueError(f"read_csv: unknown class {words[-1]!r} in {where}; known: {', '.join(classes)}")
    if not points:
        raise ValueError(f"read_csv: expected a line of names, then at least one line of numbers, in {path}")
    classes = sorted(set(words)) if classes is None else classes
    numbers = {name: number for number, name in enumerate(classes)}
    y = np.array([numbers[word] for word in words], dtype=np.int32)
    return Table(mx.array(np.array(points, dtype=np.float32)), mx.array(y), classes)


def _check_columns(path: Any, count: int) -> None:
    if count < 2:
        raise ValueError(f"read_csv: expected at least 2 columns, with commas between them, in {path}, got {count}")


@called_here(random_state="seed")
def train_test_split(
    x: Any, y: Any, test_size: float = 0.25, seed: int = 0, stratify: bool = False
) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """Samples drawn at random for training and for testing, in scikit-learn's order.

    Args:
        x, y: inputs and targets, samples in front.
        test_size: the fraction of the samples that is held out for testing.
        seed: of the draw; the same seed gives the same split.
        stratify: whether each class of ``y`` shall have the same share in both parts, as near as whole samples go.

    Returns:
        x_train, x_test, y_train, y_test.

    Raises:
        ValueError: if a part would be empty, or a class of a stratified split has a single sample.

    >>> x_train, x_test, y_train, y_test = train_test_split(mx.arange(8).reshape(8, 1), [0, 0, 0, 0, 1, 1, 1, 1],
    ...                                                     stratify=True)
    >>> y_train.tolist().count(1), y_test.tolist().count(1)
    (3, 1)
    """
    x, y = as_array(x, where="train_test_split: x"), as_array(y, where="train_test_split: y")
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(f"train_test_split: expected the same number of samples, got x {x.shape}, y {y.shape}")
    if isinstance(test_size, bool) or not isinstance(test_size, (int, float)) or not 0 < test_size < 1:
        raise ValueError(f"train_test_split: expected 0 < test_size < 1, a fraction of the samples, got {test_size!r}")
    held_out = round(len(x) * test_size)
    if not 0 < held_out < len(x):
        raise ValueError(f"train_test_split: test_size={test_size} of {len(x)} samples leaves one part empty")
    order = np.random.default_rng(seed).permutation(len(x))
    if stratify:
        order = _classes_in_turn(np.array(y), order, held_out)
    test, train = mx.array(order[:held_out]), mx.array(order[held_out:])
    return x[train], x[test], y[train], y[test]


def _classes_in_turn(y: np.ndarray, order: np.ndarray, held_out: int) -> np.ndarray:
    """The order, in which the first ``held_out`` samples hold every class with its share."""
    labels = y.argmax(axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(-1)
    classes, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if counts.min() < 2 or held_out < len(classes) or len(y) - held_out < len(classes):
        raise ValueError(
            f"train_test_split: stratify=True needs every class in both parts, but {len(classes)} classes have "
            f"{counts.min()} samples or more, and the parts {len(y) - held_out} and {held_out}"
        )
    exact = counts * held_out / len(y)
    share = np.clip(np.floor(exact).astype(int), 1, counts - 1)
    while share.sum() != held_out:  # to those whose share is furthest from the exact one
        step = 1 if share.sum() < held_out else -1
        free = (share + step >= 1) & (share + step <= counts - 1)
        share[np.argmax(np.where(free, step * (exact - share), -np.inf))] += step
    ranks = np.empty(len(y), dtype=int)
    for index in range(len(classes)):
        mine = order[inverse.reshape(-1)[order] == index]
        ranks[mine] = np.arange(len(mine)) >= share[index]
    return order[np.argsort(ranks[order], kind="stable")]
