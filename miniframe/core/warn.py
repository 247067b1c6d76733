"""Guardrails: the classical mistakes that train without complaint, noticed and explained, each with its remedy.

Nothing here stops a training: every finding is a GuardrailWarning, given once for each model, loss or optimizer. Each
of these looks at itself: a loss at its first few predictions, an optimizer at the gradients that it has used.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from ..backend.distributed import speaks

PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


def users_line() -> int:
    """The ``stacklevel`` at which a warning of the function that asks points at the user's line, not one of ours."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and os.path.abspath(frame.f_code.co_filename).startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    return level


class GuardrailWarning(UserWarning):
    """A likely mistake in how a training was put together; the message says what to do instead."""


def warn_once(owner: Any, kind: str, words: str) -> None:
    """Warn, unless this owner (a model, a loss, an optimizer) has been warned of this kind before."""
    warned: set[str] = vars(owner).setdefault("_warned", set())
    if kind not in warned and speaks():
        warned.add(kind)
        warnings.warn(words, GuardrailWarning, stacklevel=users_line())
