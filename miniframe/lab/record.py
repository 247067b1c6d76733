"""A run in one HTML file, which opens from disk without a network and has a time scrubber."""

from __future__ import annotations

import base64
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..data.arrays import ArrayData
from ..saving.atomic import atomic_write
from ..training.callbacks import Callback, Logs
from . import museum, page, wire
from .film import Film
from .pictures import SHOWN, View

SHARE = 0.2  # of the training's time that frames may take
NUMBERS = 10_000  # of the curves, at most, so that a long training stays one small file
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title} - a run of miniframe</title>
<style>
{style}
</style>
</head>
<body>
<main id="lab"></main>
<script type="module">
{script}
</script>
</body>
</html>
"""


def html(
    header: Mapping[str, Any],
    arrays: Any,
    film: Film,
    curve: Mapping[str, Sequence[float]],
    title: str,
    first: int = 0,
) -> str:
    """The file's text.

    Args:
        header, arrays: the scene, see ``Session.scene``.
        film: the frames.
        curve: the numbers of every epoch, as in ``History.history``.
        title: of the page.
        first: how many epochs had been trained before.
    """
    drawn = {name: array for name, array in arrays.items() if name != "images"}  # a replay has no thumbnails
    scene = wire.pack({**header, "kind": "scene", "replay": True}, drawn)
    apart = max(1, math.ceil(sum(map(len, curve.values())) / NUMBERS))
    run = {
        "scene": _text(scene),
        "frames": [[epoch, _text(frame)] for epoch, frame in film.frames],
        "first": first,
        "apart": apart,
        "curve": {
            name: [value if math.isfinite(value) else None for value in values[apart - 1 :: apart]]
            for name, values in curve.items()
        },
    }
    data = json.dumps(run, separators=(",", ":")).replace("</", "<\\/")
    script = page.bundled(f"startReplay(document.getElementById('lab'), {data});")
    safe = title.replace("&", "&amp;").replace("<", "&lt;").partition("\n")[0]
    return HTML.format(policy=POLICY, title=safe, style=page.read("lab.css"), script=script)


def _text(message: bytes) -> str:
    return base64.b64encode(message).decode()


class Record(Callback):
    """Writes a training into one HTML file that anybody can open: layers, values, gradients, regions, curves.

    The file needs no network and nothing installed, stays under 3 MB, and has a scrubber for the time. Its numbers are
    those of the History; of a very long one, every second or third. It is written at the end of the training, also of
    one that is interrupted.

    Args:
        path: of the file, such as "run.html".
        every: epochs between frames, at least; 1 by default. Frames take at most a fifth of the time.

    >>> import tempfile, miniframe as mf
    >>> x, y = mf.datasets.disk(100)
    >>> path = Path(tempfile.mkdtemp()) / "run.html"
    >>> model = mf.Sequential(mf.Linear(2, 4), mf.ReLU(), mf.Linear(4, 2))
    >>> history = model.fit(x, y, loss="cross_entropy", optimizer="adam", epochs=3, verbose=0,
    ...                     callbacks=[mf.lab.Record(path)])
    >>> path.read_text()[:15]
    '<!doctype html>'
    """

    keeps = ()

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"Record: expected every as a whole number of at least 1, got {every!r}")
        self.path, self.every = Path(path), every
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"Record: there is no folder {self.path.parent} to write {self.path.name} in")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.view: View | None = None
        self.film = Film()
        self.curve: dict[str, list[float]] = {}
        self._spent, self._begun = 0.0, time.perf_counter()
        self._first: int | None = None
        self._epoch = 0
        if isinstance(self.data, ArrayData):
            self._look_at(self.data.first(SHOWN))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self._first is None:
            self._first = self._epoch = epoch
            if self.view is not None:  # of a stream there was no batch yet
                self._take(epoch)

    def _look_at(self, batch: Any) -> None:
        x, y = batch[0], batch[1]
        if not isinstance(x, mx.array) or not isinstance(y, mx.array):
            raise ValueError("Record: expected a model with one input and one target")
        self.view = View(self.model, self.loss, x, y)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.curve.setdefault(name, []).append(float(value))
        self._epoch = epoch + 1
        if self.view is None:
            self._look_at(self.data.latest)  # type: ignore[union-attr]
        affordable = self._spent <= SHARE * (time.perf_counter() - self._begun)
        if self._epoch % self.every == 0 and self.film.wants(self._epoch) and affordable:
            self._take(self._epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.view is None:
            return
        self._take(self._epoch)
        header, arrays = self.view.scene()
        header |= {"classes": [f"class {k}" for k in range(self.view.classes)]}
        header |= {"model": self.model.title(), "loss": self.loss.title(), "own": True, "recipe": {}, "focus": 0}
        header["momentum"] = False
        header["loss_exhibits"] = museum.cards(self.loss)
        text = html(header, arrays, self.film, self.curve, self.model.title(), self._first or 0)
        with atomic_write(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _take(self, epoch: int) -> None:
        assert self.view is not None
        started = time.perf_counter()
        header, arrays = self.view.frame()
        logs = {name: values[-1] for name, values in self.curve.items()}
        about = {"kind": "frame", "epoch": epoch, "batch": 0, "playing": False, "logs": logs, "lr": self.optimizer.lr}
        self.film.add(epoch, ({**about, **header}, arrays))
        self._spent += time.perf_counter() - started
