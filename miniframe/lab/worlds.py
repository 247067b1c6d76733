"""What there is to learn in the lab: points in the plane, a table of one's own, small images."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from .. import datasets

TOYS = ("disk", "moons", "spirals", "xor")
IMAGES = ("shapes", "mnist")
WORLDS = (*TOYS, "points", "csv", *IMAGES, "text")
CONTEXT = 32  # characters that a model of text sees at once
LARGEST = 5_000_000  # characters of a table that a page may send


@dataclass(frozen=True)
class World:
    """Data to train on, data to test on, and the lines of Python that make them.

    Attributes:
        x, y: what is trained on: (n, ...) inputs and (n,) int32 classes.
        x_test, y_test: what it is tested on; None where there are too few points to hold some out.
        classes: the names of the classes.
        code: the lines that make ``x, y`` and ``x_test, y_test``.
        tokenizer: of a text.
    """

    x: mx.array
    y: mx.array
    x_test: mx.array | None
    y_test: mx.array | None
    classes: list[str]
    code: list[str]
    tokenizer: Any = None

    @property
    def validation(self) -> tuple[mx.array, mx.array] | None:
        """(x_test, y_test), as ``fit`` takes them."""
        return None if self.x_test is None or self.y_test is None else (self.x_test, self.y_test)


def toy(name: str, points: int, noise: float, seed: int) -> World:
    """One of the toy problems: as many points again, from the next seed, to test on.

    >>> toy("xor", 20, 0.0, seed=0).code[0]
    'x, y = mf.datasets.xor(20, noise=0.0, seed=0)'
    """
    make = getattr(datasets, name)
    x, y = make(points, noise=noise, seed=seed)
    x_test, y_test = make(points, noise=noise, seed=seed + 1)
    code = [
        f"x, y = mf.datasets.{name}({points}, noise={noise}, seed={seed})",
        f"x_test, y_test = mf.datasets.{name}({points}, noise={noise}, seed={seed + 1})",
    ]
    return World(x, y, x_test, y_test, ["class 0", "class 1"], code)


def by_hand(points: Sequence[Sequence[float]]) -> World:
    """Points that were set by hand: (x₁, x₂, class) each. They are few, so that none is held out."""
    if not points:
        raise ValueError("set the first point: choose its class below the plane, and click on the plane")
    x = [[float(a), float(b)] for a, b, _ in points]
    y = [int(label) for *_, label in points]
    names = [f"class {k}" for k in range(max(2, max(y) + 1))]
    return World(mx.array(x), mx.array(y), None, None, names, [f"x = mx.array({x})", f"y = mx.array({y})"])


def from_table(text: str, name: str, seed: int) -> World:
    """A CSV table: a line of names, then numbers, the class in the last column; a quarter is held out for the test.

    Raises:
        ValueError: for what is no such table, in words for whoever sent it.
    """
    if len(text) > LARGEST:
        raise ValueError(f"{name} is too large for the lab: {len(text):,} characters, {LARGEST:,} are the most")
    table = _table(text, name)
    labels = np.array(table.y)
    if labels.dtype.kind == "f":
        raise ValueError(
            f"{name} has no classes: the last column holds numbers such as {labels[0]:.4g}; the lab needs whole "
            "numbers or words there"
        )
    found, y = np.unique(labels, return_inverse=True)
    if not 2 <= len(found) <= 50:
        raise ValueError(f"{name} has {len(found)} different labels in its last column; the lab needs 2 to 50 classes")
    if len(labels) < 4:
        raise ValueError(
            f"{name} has {len(labels)} rows; the lab needs at least 4, as it holds a quarter out for the test"
        )
    names = table.classes or [str(k) for k in found]
    stratify = int(np.bincount(y).min()) >= 2
    x, x_test, y_train, y_test = datasets.train_test_split(table.x, y.astype(np.int32), seed=seed, stratify=stratify)
    renumbered = [] if table.classes or (found == np.arange(len(found))).all() else ["import numpy as np"]
    code = [
        f"table = mf.datasets.read_csv({json.dumps(name, ensure_ascii=False)})",
        *renumbered,
        "labels = np.unique(np.array(table.y), return_inverse=True)[1]" if renumbered else "labels = table.y",
        f"x, x_test, y, y_test = mf.datasets.train_test_split(table.x, labels, seed={seed}, stratify={stratify})",
    ]
    return World(x, y_train, x_test, y_test, names, code)


def _table(text: str, name: str) -> datasets.Table:
    """The table that a text holds; what is wrong with it, said under its own name."""
    first = text.partition("\n")[0]
    if "," not in first and first.count(";") > 0:
        raise ValueError(f"{name} has semicolons between its columns; save it with commas, and with points in numbers")
    if all(_is_number(cell) for cell in first.split(",")):
        raise ValueError(f"{name} begins with numbers; put a line with the names of the columns above them")
    if "\n" not in text.strip():
        raise ValueError(f"{name} has a line of names and nothing below it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_text(text, encoding="utf-8")
        try:
            with np.errstate(over="raise"):
                table = datasets.read_csv(path)
        except ValueError as error:
            words = str(error).replace(os.fspath(path), name).removeprefix("read_csv: ")
            raise ValueError(f"{name} cannot be read: {words}") from error
        except FloatingPointError as error:
            raise ValueError(f"{name} cannot be read: it holds numbers that are too large for float32") from error
        if not np.isfinite(np.array(table.x)).all():
            raise ValueError(f"{name} cannot be read: it holds numbers that are NaN or infinite")
        return table


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().strip('"'))
    except ValueError:
        return False
    return True


def pictures(name: str, points: int, noise: float, seed: int) -> World:
    """Images: drawn shapes, or digits of MNIST where its files are at hand or can be downloaded."""
    if name == "shapes":
        x, y = datasets.shapes(points, seed=seed, noise=noise)[:2]
        x_test, y_test = datasets.shapes(200, seed=seed + 1, noise=noise)[:2]
        code = [
            f"x, y = mf.datasets.shapes({points}, seed={seed}, noise={noise})",
            f"x_test, y_test = mf.datasets.shapes(200, seed={seed + 1}, noise={noise})",
        ]
        return World(x, y, x_test, y_test, list(datasets.SHAPE_NAMES), code)
    try:
        x, y = datasets.mnist("test")
    except (OSError, ImportError, ValueError) as error:
        raise ValueError(f"the digits of MNIST are not at hand: {error}") from error
    points = min(points, len(y) - 500)
    code = [
        'images, labels = mf.datasets.mnist("test")',
        f"x, y, x_test, y_test = images[:{points}], labels[:{points}], images[-500:], labels[-500:]",
    ]
    return World(x[:points], y[:points], x[-500:], y[-500:], [str(k) for k in range(10)], code)


def text(points: int) -> World:
    """Windows of the documentation that Python carries, and at every place in them the character that comes next."""
    tokenizer = datasets.CharTokenizer(datasets.docs_text())
    tokens = tokenizer.encode(datasets.docs_text()[: (points + 100) * CONTEXT + 1])
    x, y = datasets.windows(tokens, CONTEXT)
    code = [
        "text = mf.datasets.docs_text()",
        "tokenizer = mf.datasets.CharTokenizer(text)",
        f"tokens = tokenizer.encode(text[:{(points + 100) * CONTEXT + 1}])",
        f"windows, following = mf.datasets.windows(tokens, {CONTEXT})",
        "x, y, x_test, y_test = windows[:-100], following[:-100], windows[-100:], following[-100:]",
    ]
    return World(x[:-100], y[:-100], x[-100:], y[-100:], [], code, tokenizer)


def world(recipe: Any) -> World:
    """The data of a recipe."""
    if recipe.data in TOYS:
        return toy(recipe.data, recipe.points, recipe.noise, recipe.seed)
    if recipe.data == "points":
        return by_hand(recipe.placed)
    if recipe.data == "csv":
        if not recipe.table:
            raise ValueError("choose a CSV file: a link does not carry the table itself")
        return from_table(recipe.table, recipe.file, recipe.seed)
    if recipe.data == "text":
        return text(min(recipe.points, 5000))
    return pictures(recipe.data, recipe.points, recipe.noise, recipe.seed)
