"""How many random cases an attack tries: as many as fit into the tests, or many times more by ``make fuzz``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

MINUTES = float(os.environ.get("MINIFRAME_FUZZ_MINUTES", 0))  # about how long all attacks may take together; 0: a test


def many(cases: int) -> int:
    """As many as this in the tests, where all attacks together take about a minute; more when there is more time."""
    return max(cases, round(cases * MINUTES))


def attack(examples: int) -> Callable[[Any], Any]:
    """Settings of a property test that tries this many cases, the same ones in every run unless it is fuzzing."""
    return settings(
        max_examples=many(examples),
        derandomize=not MINUTES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
