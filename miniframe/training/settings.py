"""How a training is to run: the numbers and switches that were given to fit, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from ..core.checks import real, shown, switch, whole
from ..data.arrays import check_seed
from .precision import PRECISIONS


@dataclass(frozen=True)
class Settings:
    """The plain arguments of ``fit``, under the same names.

    Raises:
        ValueError: for a number or a switch that cannot be meant.
    """

    epochs: int
    initial_epoch: int
    batch_size: int
    shuffle: bool
    validation_split: float
    verbose: int
    precision: str = "float32"
    seed: int = 0  # decided when it is known whether a training is resumed

    def __post_init__(self) -> None:
        whole("fit", 0, epochs=self.epochs, initial_epoch=self.initial_epoch)
        whole("fit", batch_size=self.batch_size)
        switch("fit", shuffle=self.shuffle)
        real("fit", validation_split=self.validation_split)
        if not 0 <= self.validation_split < 1:
            raise ValueError(f"fit: expected 0 <= validation_split < 1, got {self.validation_split}")
        if type(self.verbose) not in (int, bool) or self.verbose not in (0, 1, 2):
            raise ValueError(f"fit: expected verbose as 0, 1 or 2, got {shown(self.verbose)}")
        if self.precision not in PRECISIONS:
            raise ValueError(f"fit: expected precision as {' or '.join(PRECISIONS)}, got {shown(self.precision)}")


def check_other(seed: Any, compile: Any, checkpoint: Any, resume: Any, keep: Any) -> None:
    """The same for the arguments that others keep."""
    check_seed(seed, "fit")
    switch("fit", compile=compile, resume=resume)
    whole("fit", keep=keep)
    if not isinstance(checkpoint, (str, os.PathLike, type(None))):
        raise ValueError(f"fit: expected checkpoint as the path of a folder, got {shown(checkpoint)}")
