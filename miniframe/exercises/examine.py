"""One answer, examined in this process. Answers of learners get a process of their own: see sandbox.py."""

from __future__ import annotations

import ast
import random
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np

from . import judge
from .exercise import Exercise, Namespace, Verdict, Wrong
from .slips import in_words, place, refuse

UNWRITTEN = "Not written yet: replace the line with NotImplementedError by your answer."
TOO_MUCH_MEMORY = "It asks for more memory than a check may use. Is an array much larger than its formula needs?"


def examine(exercise: Exercise, path: Path, seed: int = 0) -> Verdict:
    """Run a file and judge what it defines.

    Args:
        seed: of the data that the answer is tried on; 0 gives everybody the same.
    """
    judge.use_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (an answer may draw numbers this way)
    mx.random.seed(seed)
    names: Namespace = {"__name__": path.stem, "__file__": str(path)}
    try:
        text = path.read_text(encoding="utf-8")
        refuse(ast.parse(text, str(path)), exercise.forbidden)
        exec(compile(text, str(path), "exec"), names)
        with np.errstate(all="ignore"):  # what is not a number is told in words
            exercise.check(names)
    except BaseException as error:  # also SystemExit: an answer that ends Python must not end the check
        return _verdict(exercise.number, error, path)
    finally:
        judge.use_seed(0)
    return Verdict(exercise.number, "right")


def _verdict(number: str, error: BaseException, path: Path) -> Verdict:
    if isinstance(error, Wrong):
        return Verdict(number, "wrong", str(error))
    if isinstance(error, NotImplementedError):
        return Verdict(number, "wrong", UNWRITTEN)
    if isinstance(error, SyntaxError):
        where = path.name if error.lineno is None else f"line {error.lineno}"
        return Verdict(number, "not run", f"Python cannot read {where}: {error.msg}.")
    if isinstance(error, (UnicodeDecodeError, OSError)) and not place(error, path):
        return Verdict(number, "not run", f"{path.name} cannot be read: {error}")
    if isinstance(error, MemoryError) or "[malloc" in str(error) or "Unable to allocate" in str(error):
        return Verdict(number, "not run", f"{place(error, path)}an error. {TOO_MUCH_MEMORY}".lstrip())
    if isinstance(error, (SystemExit, KeyboardInterrupt, GeneratorExit)):
        where = place(error, path) or "Your answer raised "
        return Verdict(
            number, "not run", f"{where}{type(error).__name__}, which ends Python. Remove exit, quit or sys.exit."
        )
    return Verdict(number, "wrong", in_words(error, path))


def search_in(folder: Path) -> None:
    """Let answers import files that lie beside them; last, so that none stands in for a module of Python."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
