"""Draws every picture of the lessons: ``python figures/lessons.py``, or some: ``python figures/lessons.py 3 6``.

Each lesson's pictures are functions in a file of its own, lessons/lesson_NN.py, under their file names. They
compute what they show; nothing is drawn by hand, and a second run writes the same pixels.
"""

import importlib
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # lesson 15 measures times; one core is steadier
HERE = Path(__file__).parent
SOURCES = HERE / "lessons"


def modules(numbers: list[str]) -> list[str]:
    """The names of the lessons' files: all, or those with these numbers."""
    names = sorted(path.stem for path in SOURCES.glob("lesson_[0-9][0-9].py"))
    return [name for name in names if not numbers or int(name.split("_")[1]) in map(int, numbers)]


def main(numbers: list[str]) -> None:
    sys.path.insert(0, str(SOURCES))
    for name in modules(numbers):
        for file, draw in importlib.import_module(name).FIGURES.items():
            picture = draw()
            if isinstance(picture, bytes):
                (HERE / file).write_bytes(picture)
            else:
                picture.savefig(HERE / file, dpi=150, metadata={"Software": None})
            print(HERE / file)


if __name__ == "__main__":
    main(sys.argv[1:])
