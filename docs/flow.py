"""How a batch flows through fit, as docs/architecture.md shows it. Every line of code in the picture is the package's.

python docs/flow.py        # renews figures/architecture_batch.svg; a test fails when it is stale
"""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svg import BLUE, GREY, INK, MONO, ORANGE, PAPER, arrow, box, sheet, words

import miniframe as mf
from miniframe.training import fit as fit_file
from miniframe.training import loop, step

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "figures" / "architecture_batch.svg"


@dataclass
class Line:
    """A line as it stands in the source, up to its bracket if it is long, and what it is for."""

    code: str
    words: str
    number: int = 0  # where it happens in the lower half of the picture


@dataclass
class Frame:
    """A function: its lines, and between them the frames of the functions that they call."""

    function: Any
    title: str
    parts: list[Any]


FLOW = Frame(fit_file.fit, "fit", [
    Line("found = goal(", "names become objects; a new one, or the one given"),
    Line("data, validation = as_both(", "arrays, files or streams; what is held out"),
    Line("DataTrial(model, found.loss, found.measures", "one sample goes forward: what does not fit fails here"),
    Line("step = chosen_step(", "whole batches, all cores, or several processes"),
    Line("return training.run()", "and the History comes back"),
    Frame(loop.Training.run, "Training.run", [
        Line("for epoch in range(first, last):", "an epoch: every sample once"),
        Frame(loop.Training.epoch, "Training.epoch", [
            Line("self.data.epoch(self.settings.batch_size, rng)", "a new order, cut into batches"),
            Line("logs = self.batches(epoch, batches)", "train on them"),
            Frame(loop.Training.batches, "Training.batches", [
                Line("for done, batch in enumerate(batches, start=1):", "a batch: x, y and perhaps weights"),
                Line("value, prediction = self.step(*batch)", "learn from it"),
                Frame(step.Step.__call__, "Step.__call__", [
                    Line("self.optimizer.advance()", "count the step, set the rate"),
                    Line("values = values_of(self.cells)", "parameters, buffers, optimizer state"),
                    Line("new_values, value, prediction, written = self._start(", "traced once, then fused"),
                    Frame(step.Step._run, "Step._run", [
                        Line("value, prediction = self.gradients(*batch)", "the batch whole, or in parts"),
                        Frame(step.forward_backward, "forward_backward", [
                            Line("model.zero_grad()", "forget the old gradients", 1),
                            Line("prediction = model(*as_tuple(x))", "forward: layers save what they will need", 2),
                            Line("value = loss(prediction, y, sample_weight)", "one number: how wrong", 3),
                            Line("model.backward(loss.gradient())", "backward: the last layer first", 4),
                        ]),
                        Line("self.optimizer.apply()", "new values from the gradients", 5),
                    ]),
                    Line("put_values(self.cells, new_values)", "the new values, into the cells"),
                ]),
                Line("self.watch.note(epoch, done - 1, batch, value)", "to find the batch, should there be a NaN"),
                Line("measured, count = self.measure(prediction, batch)", "the metrics, if there are any"),
                Line("self.batch_end(done - 1, value, measured, count)", "callbacks, if one wants every batch"),
            ]),
            Line("found = scores(", "the same numbers on what was held out"),
            Line("self.history.add(epoch, logs)", "a row of the History"),
            Line('self.hooks.call("on_epoch_end", epoch, logs)', "callbacks: stop early, log, keep the best"),
            Line("self.save()", "a checkpoint, if there is a folder for it"),
        ]),
    ]),
])  # fmt: skip


def checked(frame: Frame) -> Frame:
    """The frame, if its lines stand in its function's source in this order, and so on inside.

    Raises:
        ValueError: for a line that is not there.
    """
    source, place = inspect.getsource(frame.function), 0
    for part in frame.parts:
        if isinstance(part, Frame):
            checked(part)
            continue
        found = source.find(part.code, place)
        if found < 0:
            raise ValueError(f"docs/flow.py: {frame.title} has no line {part.code!r} there any more")
        place = found
    return frame


# -------------------------------------------------------------------- the upper half: who calls whom

WIDE, ROW, TITLE, INDENT, GAP = 980, 21, 26, 18, 8
SHADES = ("#f6f8fa", "#ffffff")


def height(frame: Frame) -> float:
    return TITLE + GAP + sum(height(part) + GAP if isinstance(part, Frame) else ROW for part in frame.parts)


def drawn(frame: Frame, x: float, y: float, depth: int = 0) -> list[str]:
    """A frame, its lines, and the frames in it."""
    path = Path(inspect.getsourcefile(frame.function) or "").relative_to(ROOT / "miniframe")
    parts = [
        box(x, y, WIDE - 2 * x, height(frame), fill=SHADES[depth % 2], edge="#b8c0c8"),
        words(x + 12, y + 18, frame.title, 13, bold=True),
        words(WIDE - x - 12, y + 18, path.as_posix(), 11.5, "end", fill=GREY),
    ]
    y += TITLE
    for part in frame.parts:
        if isinstance(part, Frame):
            parts += drawn(part, x + INDENT, y + 2, depth + 1)
            y += height(part) + GAP
            continue
        again = part.code.startswith("for ")
        code = f"{part.code}…)" if part.code.endswith("(") else part.code
        parts.append(words(x + 12, y + 15, code, 11.5, fill=BLUE if again else INK, font=MONO, bold=again))
        parts.append(words(520, y + 15, part.words, 11.5))
        if part.number:
            parts += mark(500, y + 11, part.number)
        y += ROW
    return parts


def mark(x: float, y: float, number: int) -> list[str]:
    """The number of a line in a circle, the same in both halves."""
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="8" fill="{INK}"/>'
    return [circle, words(x, y + 4, str(number), 10.5, "middle", fill=PAPER, bold=True)]


# -------------------------------------------------------------------- the lower half: what happens to the numbers

LAYERS = [("Linear", 120), ("Tanh", 320), ("Linear", 520), ("loss", 740)]
BREADTH = 150


def model(y: float) -> list[str]:
    """A small model: forward along the top, backward along the bottom, cells below, the optimizer under them."""
    parts, right = [words(16, y - 26, "What happens to the numbers", 13, bold=True)], BREADTH
    ahead, back, cells, below = y + 20, y + 44, y + 104, y + 186
    stops = [60, *(x for _, x in LAYERS), 930]
    for place, (title, x) in enumerate(LAYERS):
        parts.append(box(x, y, right, 64))
        parts.append(words(x + right / 2, y + 37, title, 13.5, "middle", bold=True))
        start = stops[place] + (right if place else 0)
        parts.append(arrow((start, ahead), (x, ahead), stroke=BLUE, width=1.8))
        parts.append(arrow((x, back), (start, back), stroke=ORANGE, width=1.8))
    parts.append(arrow((740 + right, ahead), (stops[-1], ahead), stroke=BLUE, width=1.8))
    for x, text, colour, high in (
        (52, "x", BLUE, ahead + 4), (705, "prediction", BLUE, y + 12), (936, "value", BLUE, ahead + 4),
        (52, "dL/dx", ORANGE, back + 4), (705, "gradient", ORANGE, y + 60),
    ):  # fmt: skip
        anchor = {52: "end", 705: "middle", 936: "start"}[x]
        parts.append(words(x, high, text, 11, anchor, fill=colour))
    parts += [arrow((815, y - 30), (815, y), stroke=BLUE, width=1.8), words(824, y - 18, "y", 11, fill=BLUE)]
    parts += [*mark(295, ahead - 12, 2), *mark(910, ahead - 14, 3), *mark(295, back + 13, 4)]
    for x in (120, 520):
        value, grad = x + 36, x + right - 36
        parts.append(words(x + right / 2, cells - 14, "weight, bias", 10, "middle", fill=GREY))
        parts += [box(value - 32, cells, 64, 30), words(value, cells + 19, "value", 11.5, "middle")]
        parts += [box(grad - 32, cells, 64, 30), words(grad, cells + 19, "grad", 11.5, "middle")]
        parts.append(arrow((value, cells), (value, y + 64), stroke=BLUE, width=1.8))
        parts.append(arrow((grad, y + 64), (grad, cells), stroke=ORANGE, width=1.8))
        parts.append(arrow((grad, cells + 30), (grad, below), stroke=INK, width=1.8))
        parts.append(arrow((value, below), (value, cells + 30), stroke=INK, width=1.8))
        parts += [*mark(grad + 44, cells + 15, 1), *mark(value - 14, below - 26, 5)]
        parts.append(words(grad + 8, cells - 14, "accumulate", 10, fill=ORANGE))
    parts += [box(120, below, 550, 34), words(395, below + 22, "optimizer", 13.5, "middle", bold=True)]
    legend = (("forward", BLUE), ("backward", ORANGE), ("update", INK))
    for place, (text, colour) in enumerate(legend):
        high = cells + 20 + 24 * place
        parts.append(arrow((740, high), (780, high), stroke=colour, width=1.8))
        parts.append(words(790, high + 4, text, 11.5, fill=colour))
    return parts


def picture() -> str:
    """Both halves as the text of an SVG file."""
    for cls, name in ((mf.Parameter, "accumulate"), (mf.Loss, "gradient"), (mf.Optimizer, "apply")):
        getattr(cls, name)  # what the lower half calls by name
    middle = 16 + height(checked(FLOW))
    return sheet(WIDE, middle + 310, [*drawn(FLOW, 16, 16), *model(middle + 70)])


if __name__ == "__main__":
    PICTURE.write_text(picture())
    print(PICTURE)
