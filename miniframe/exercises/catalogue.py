"""All exercises, in the order of the lessons. Importing this file imports those that define them."""

from __future__ import annotations

from . import basics as basics
from . import engine as engine
from . import epochs as epochs
from . import images as images
from . import layers as layers
from . import learning as learning
from . import losses as losses
from . import models as models
from . import sequences as sequences
from . import training as training
from .exercise import DEFINED, Exercise


def _order(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))


CATALOGUE: dict[str, Exercise] = {number: DEFINED[number] for number in sorted(DEFINED, key=_order)}


def get(number: str) -> Exercise:
    """The exercise with this number.

    >>> get("4.2").title
    'Write this backward: ReLU'
    """
    if number not in CATALOGUE:
        raise ValueError(f"no exercise {number!r}; known: {', '.join(CATALOGUE)}")
    return CATALOGUE[number]
