"""The learner's side: write a stub, read it back, say what is right or wrong."""

from __future__ import annotations

import traceback
from pathlib import Path

from .catalogue import get
from .exercise import Namespace, Wrong


def path_of(number: str, folder: str | Path = ".") -> Path:
    """Where an exercise's file lies.

    >>> str(path_of("4.2"))
    'exercise_4_2.py'
    """
    return Path(folder) / f"exercise_{number.replace('.', '_')}.py"


def start(number: str, folder: str | Path = ".") -> Path:
    """Write the stub of an exercise into the folder, and return its path. A file that exists is never overwritten."""
    stub = get(number).stub
    path = path_of(number, folder)
    if path.exists():
        raise ValueError(f"{path} exists already; remove or rename it to start again")
    path.write_text(stub)
    return path


def check(number: str, folder: str | Path = ".") -> str | None:
    """Check the file of an exercise: None if it is right, else a hint."""
    exercise = get(number)
    path = path_of(number, folder)
    if not path.exists():
        raise ValueError(f"{path} is missing; write it with: miniframe exercises start {number}")
    names: Namespace = {"__name__": path.stem}
    try:
        exec(compile(path.read_text(), str(path), "exec"), names)
        exercise.check(names)
    except Wrong as hint:
        return str(hint)
    except NotImplementedError:
        return "Not written yet: replace the line with NotImplementedError by your answer."
    except SyntaxError as error:
        return f"Python cannot read line {error.lineno}: {error.msg}."
    except Exception as error:
        return f"{_place(error, path)}{type(error).__name__}: {error}"
    return None


def _place(error: Exception, path: Path) -> str:
    """The last line of the learner's file that was running."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"Line {lines[-1]} of {path.name} raised " if lines else ""
