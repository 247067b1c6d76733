"""How a training is to run: the numbers and switches that were given to fit, checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.batch import check_batch_size


@dataclass(frozen=True)
class Settings:
    """The plain arguments of ``fit``, under the same names.

    Raises:
        ValueError: for a number that cannot be meant.
    """

    epochs: int
    initial_epoch: int
    batch_size: int
    shuffle: bool
    validation_split: float
    verbose: int
    seed: int = 0  # decided when it is known whether a training is resumed

    def __post_init__(self) -> None:
        for name in ("epochs", "initial_epoch", "verbose", "seed"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"fit: expected {name} as a whole number, got {value!r}")
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"fit: expected a seed of at least 0, got {self.seed}")
        if isinstance(self.validation_split, str) or not isinstance(self.validation_split, (int, float)):
            raise TypeError(f"fit: expected validation_split as a fraction, got {self.validation_split!r}")
        if self.epochs < 0 or self.initial_epoch < 0:
            raise ValueError(
                f"fit: expected epochs and initial_epoch of at least 0, got {self.epochs} and {self.initial_epoch}"
            )
        if not 0 <= self.validation_split < 1:
            raise ValueError(f"fit: expected 0 <= validation_split < 1, got {self.validation_split}")
        check_batch_size(self.batch_size, "fit")
