"""What a frame shows of a model: strips of values and gradients, regions, hidden units, errors.

Nothing here trains; the model is left as it was. Pictures are bytes, 0 to 255, each with the scale that turns them
back into numbers.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import is_floating
from ..core.module import Module
from ..core.untouched import untouched
from ..graph.passes import Pass
from ..insight.trace import trace
from ..losses.base import Loss
from ..training.guardrails import class_numbers

ROWS = 12  # samples in a strip: the one in focus, and some others
COLUMNS = 64  # numbers of each sample in a strip, at most
GRID = 48  # points along each side of the regions
UNIT = 12  # points along each side of a hidden unit's picture; divides GRID
UNITS = 96  # hidden units that are drawn, at most
FEW = 20  # points: the plane of so few is at least -1 to 1
SHOWN = 500  # points that are drawn, at most, of the training data and of the test data each

Frame = tuple[dict[str, Any], dict[str, np.ndarray]]


def signed_bytes(values: np.ndarray) -> tuple[np.ndarray, float]:
    """(bytes, scale): 128 stands for 0, 1 and 255 for the largest magnitude.

    >>> signed_bytes(np.array([0.0, 2.0, -2.0]))
    (array([128, 255,   1], dtype=uint8), 2.0)
    """
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(np.abs(finite).max(initial=0.0))
    return np.round(128 + 127 * finite / (largest or 1.0)).astype(np.uint8), largest


class View:
    """The pictures of one model and its data.

    Args:
        model, loss: what is looked at.
        x, y: the training data; regions are drawn where x is (n, 2) and the output has one number for each class.
        x_test, y_test: the test data, if there are any.

    Attributes:
        focus: the index of the training sample that comes first in every strip.
        classes: how many there are; 0 where it is a regression.
        plane: (lowest x₁, x₂, highest x₁, x₂) of the regions; None where there is no plane to draw.
    """

    def __init__(self, model: Module, loss: Loss, x: Any, y: Any, x_test: Any = None, y_test: Any = None) -> None:
        self.model, self.loss, self.x, self.y = model, loss, x, y
        self.x_test, self.y_test = (x_test, y_test) if x_test is not None else (x[:0], y[:0])
        mx.eval(self.x_test, self.y_test)  # what is not computed yet belongs to this thread
        self.focus = 0
        labels, self.classes = classes_of(model, x, y)
        self.labels = {"train": labels, "test": None if labels is None else class_numbers(self.y_test)}
        self.plane = self._plane()
        self._grid = None if self.plane is None else _grid(self.plane)

    def _plane(self) -> tuple[float, ...] | None:
        if self.labels["train"] is None or self.x.ndim != 2 or self.x.shape[1] != 2 or not is_floating(self.x):
            return None
        points = np.array(self.x.astype(mx.float32), dtype=np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        if len(points) < FEW:  # set by hand, one by one: the plane stays where it is
            low, high = np.minimum(low, -1), np.maximum(high, 1)
        wide = high - low  # each direction has its own: ages stand beside incomes
        margin = 0.08 * np.where(wide > 0, wide, max(float(wide.max()), 1e-3))
        return (*(low - margin).tolist(), *(high + margin).tolist())

    @property
    def small(self) -> type:
        """The type in which numbers of classes travel."""
        return np.uint8 if self.classes <= 256 else np.int32

    def batch(self) -> tuple[mx.array, mx.array]:
        """The samples of the strips: the one in focus, then the first others."""
        rows = [self.focus, *(i for i in range(min(ROWS + 1, len(self.x))) if i != self.focus)][:ROWS]
        return self.x[mx.array(rows)], self.y[mx.array(rows)]

    # ---------------------------------------------------------------- what does not change while it trains

    def scene(self) -> Frame:
        """The data as the page draws them: points with their classes, or small images."""
        header: dict[str, Any] = {"plane": self.plane, "rows": len(self.x), "shape": list(self.x.shape[1:])}
        header["image"] = self.x.ndim == 4 and is_floating(self.x)
        arrays: dict[str, np.ndarray] = {}
        for name, x in (("train", self.x), ("test", self.x_test)):
            labels = self.labels[name]
            if labels is None:
                continue
            arrays[f"{name}.labels"] = labels[:SHOWN].astype(self.small)
            if self.plane is not None:
                arrays[f"{name}.points"] = np.array(x[:SHOWN].astype(mx.float32))
            elif header["image"] and name == "train":
                arrays["images"] = image_bytes(x[:ROWS])
        return header, arrays

    # ---------------------------------------------------------------- what does

    def frame(self) -> Frame:
        """One look at the model as it is now."""
        header, arrays = self.strips()
        if self.plane is not None:
            more, pictures = self.regions_and_errors()
            header, arrays = {**header, **more}, {**arrays, **pictures}
        return header, arrays

    def strips(self) -> Frame:
        """Of every layer call: the values for a few samples and, as bytes below them, the gradients that came back."""
        x, y = self.batch()
        with untouched(self.model, self.loss):
            self.model.train()
            seen = trace(self.model, x, self.loss, y)
        layers, arrays = [], {}
        for place, call in enumerate(seen):
            values, gradients = _rows(call.output), _rows(call.grad_output)
            entry: dict[str, Any] = {
                "name": call.name,
                "title": call.module.title(),
                "kind": type(call.module).__name__,
            }
            entry["shape"] = list(call.output.shape[1:]) if isinstance(call.output, mx.array) else []
            for kind, array in (("value", values), ("gradient", gradients)):
                pixels, scale = signed_bytes(array[:ROWS, :COLUMNS])  # inside, samples and places may be one axis
                arrays[f"{place}.{kind}"] = pixels
                mean = float(np.abs(array, dtype=np.float64).mean()) if array.size else None
                entry |= {f"{kind}_scale": scale, f"mean_{kind}": mean}
            entry["of"] = values.shape[1]
            layers.append(entry)
        return {"layers": layers}, arrays

    def regions_and_errors(self) -> Frame:
        """Where the model says what, and which points it gets wrong, in one evaluation-mode pass."""
        assert self._grid is not None
        grid, shown = len(self._grid), [self.x[:SHOWN], self.x_test[:SHOWN]]
        together = mx.concatenate([self._grid, *shown])
        with untouched(self.model):
            self.model.eval()
            seen = Pass(self.model, together, "lab")
            scores = np.array(seen.output.astype(mx.float32))
            hidden = self._hidden(seen, grid)
        header, arrays = hidden
        classes, sure = decided(scores)
        arrays["regions"] = classes[:grid].astype(self.small)
        arrays["sure"] = np.round(255 * sure[:grid]).astype(np.uint8)
        at = grid
        for name, rows in zip(("train", "test"), shown):
            labels = self.labels[name]
            if labels is not None:
                arrays[f"{name}.wrong"] = (classes[at : at + len(rows)] != labels[:SHOWN]).astype(np.uint8)
            at += len(rows)
        return header, arrays

    def _hidden(self, seen: Pass, grid: int) -> Frame:
        """A small picture of every hidden unit over the plane."""
        step = GRID // UNIT
        found, arrays, left = [], {}, UNITS
        for place, (name, node) in enumerate(seen.calls.items()):
            value, module = node.value, node.module
            plain = module is None or any(True for _ in module.parameters()) or type(module).__name__ in _PASSING
            if plain or node is seen.outputs[0] or not isinstance(value, mx.array) or value.ndim != 2 or not left:
                continue
            picture = value[:grid, :left].reshape(GRID, GRID, -1)[step // 2 :: step, step // 2 :: step]
            pixels, scale = signed_bytes(np.array(picture.astype(mx.float32)).transpose(2, 0, 1))
            arrays[f"units.{place}"] = pixels
            found.append({"name": name, "number": place, "scale": scale, "of": value.shape[1]})
            left -= len(pixels)
        return {"units": found}, arrays


_PASSING = ("Dropout", "Identity", "Standardize", "Flatten", "Reshape")  # no picture of their own: it is the one before


def classes_of(model: Module, x: Any, y: Any) -> tuple[np.ndarray | None, int]:
    """(the class of every target, how many classes there are); (None, 0) for a regression.

    Whole numbers are classes only where the model has a score for each of them: counts are whole numbers, too.
    """
    labels = class_numbers(y)
    if labels is None or not len(labels):
        return None, 0
    with untouched(model):
        model.eval()
        output = model(x[:1])
    scores = output.shape[1] if isinstance(output, mx.array) and output.ndim == 2 else 0
    return (labels, scores) if scores > 1 and 0 <= labels.min() and labels.max() < scores else (None, 0)


def decided(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(the class with the largest score, how sure the model is of it: its softmax), for each row.

    >>> decided(np.array([[0.0, 0.0], [0.0, 99.0]]))
    (array([0, 1]), array([0.5, 1. ]))
    """
    scores = np.nan_to_num(scores.astype(np.float64), nan=0.0, posinf=3e38, neginf=-3e38)
    top = scores.max(axis=1, keepdims=True)
    return scores.argmax(axis=1), 1 / np.exp(scores - top).sum(axis=1)


def _grid(plane: tuple[float, ...]) -> mx.array:
    """(GRID², 2) points, row by row from the top of the plane, at the centres of their pixels."""
    left, bottom, right, top = plane
    across = left + (np.arange(GRID) + 0.5) * (right - left) / GRID
    down = top - (np.arange(GRID) + 0.5) * (top - bottom) / GRID
    return mx.array(np.stack(np.meshgrid(across, down), axis=-1).reshape(-1, 2).astype(np.float32))


def _rows(value: Any) -> np.ndarray:
    """An array as rows, one for each sample; of several arrays the first."""
    value = value[0] if isinstance(value, tuple) else value
    if not isinstance(value, mx.array) or value.ndim == 0:
        return np.zeros((1, 0), np.float32)
    return np.array(value.astype(mx.float32)).reshape(value.shape[0], -1)


def image_bytes(images: Any) -> np.ndarray:
    """(n, rows, columns, 3) bytes of images from 0 to 1: of three channels or more the first three, else the mean."""
    pixels = np.clip(np.nan_to_num(np.array(images.astype(mx.float32))), 0, 1)
    grey = pixels.shape[-1] < 3
    pixels = np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1) if grey else pixels[..., :3]
    return np.round(255 * pixels).astype(np.uint8)
