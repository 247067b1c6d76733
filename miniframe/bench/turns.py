"""Two sides that take turns: what slows the machine down for a while slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

Run = Callable[[], object]

REST = 0.3  # seconds before a turn: threads of the side before it go on spinning for a while


def take_turns(
    runs: Mapping[str, Run],
    rounds: int,
    steps: int = 1,
    clock: Callable[[], float] = time.perf_counter,
    rest: float = REST,
) -> dict[str, float]:
    """Milliseconds of each run, the median over rounds in which all have a turn, and the ratio of the first two.

    Args:
        runs: two or more, by name.
        rounds: how many count; one more comes before them and warms up.
        steps: what a run does so many times; the milliseconds are those of one.
        clock: in seconds; ``time.process_time`` counts only what the process computes.
        rest: seconds before every turn.

    >>> found = take_turns({"sum": lambda: sum(range(20_000)), "nothing": lambda: None}, rounds=3, rest=0)
    >>> list(found), found["ratio"] > 1
    (['sum', 'nothing', 'ratio'], True)
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name in list(runs) if turn % 2 else list(runs)[::-1]:
            time.sleep(rest)
            runs[name]()
            start = clock()
            runs[name]()
            if turn:
                times[name].append((clock() - start) * 1e3 / steps)
    medians = {name: statistics.median(values) for name, values in times.items()}
    first, second, *_ = medians.values()
    return {**medians, "ratio": first / second}
