"""Importing this fills the catalogue, in the order of the lessons."""

from . import basics as basics
from . import images as images
from . import layers as layers
from . import losses as losses
from . import models as models
from . import training as training
from .exercise import CATALOGUE


def _order(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))


_sorted = {number: CATALOGUE[number] for number in sorted(CATALOGUE, key=_order)}
CATALOGUE.clear()
CATALOGUE.update(_sorted)
