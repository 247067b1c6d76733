"""Trainings that the site plays back: each a file of its own, recorded while the site is built."""

import re
import warnings
from pathlib import Path

import miniframe as mf

TITLES = {
    "disk": "A disk is learned",
    "spirals": "Two spirals take longer",
    "mistake": "The same spirals, with one gradient transposed",
}
MARK = re.compile(r"<!-- replay: (\w+) -->")


def spirals() -> mf.Sequential:
    mf.seed(0)
    return mf.Sequential(mf.Linear(2, 16), mf.Tanh(), mf.Linear(16, 16), mf.Tanh(), mf.Linear(16, 2))


def write_all(folder: Path) -> None:
    """Train, and write the recordings."""
    folder.mkdir(parents=True, exist_ok=True)
    mf.seed(0)
    disk = mf.Sequential(mf.Linear(2, 8), mf.ReLU(), mf.Linear(8, 8), mf.ReLU(), mf.Linear(8, 2))
    wrong = spirals()
    wrong[2].__class__ = mf.lab.mistakes.Transposed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(disk, mf.datasets.disk(400), 60, folder / "disk.html")
        train(spirals(), mf.datasets.spirals(400), 150, folder / "spirals.html")
        train(wrong, mf.datasets.spirals(400), 150, folder / "mistake.html")


def train(model: mf.Module, data: tuple, epochs: int, path: Path) -> None:
    options = {"loss": "cross_entropy", "optimizer": mf.Adam(model, lr=0.01), "metrics": ["error_rate"], "seed": 0}
    model.fit(*data, epochs=epochs, callbacks=[mf.lab.Record(path, every=max(1, epochs // 40))], verbose=0, **options)


def with_frames(text: str, folder: str) -> str:
    """A page in which each mark has become the recording that it names; in the plain text it is a comment."""
    return MARK.sub(lambda mark: frame(mark[1], folder), text)


def frame(name: str, folder: str) -> str:
    return (
        f'<iframe src="{folder}/{name}.html" title="{TITLES[name]}" loading="lazy" '
        'style="width: 100%; height: 44rem; border: 1px solid #c9ced6;"></iframe>'
    )
