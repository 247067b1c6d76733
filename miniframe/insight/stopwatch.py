"""The stopwatch behind ``profile`` and its table: every moment belongs to one row, so the rows sum to the whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.tables import html_table, table

DATA, UPDATE, VALIDATION, WAITING, PYTHON = "data", "update", "validation", "waiting", "Python"
REST = (DATA, UPDATE, VALIDATION, WAITING, PYTHON)
BETWEEN = "operations between layers"
NOTE = "layer by layer, uncompiled: an ordinary fit fuses operations, uses all cores, and takes less"


class Profile:
    """What ``profile`` measured; prints as a table.

    Attributes:
        forward, backward: seconds of arithmetic by the names of layers; the loss is one of them.
        rest: seconds by what they went into: data, update, validation, waiting, Python.
        titles: the layers in words, by name.
        steps: how many training steps were taken.
        whole: seconds from the beginning to the end.
    """

    def __init__(self) -> None:
        self.forward: dict[str, float] = {}
        self.backward: dict[str, float] = {}
        self.rest = dict.fromkeys(REST, 0.0)
        self.titles: dict[str, str] = {}
        self.steps, self.whole = 0, 0.0
        self._rows: list[tuple[dict[str, float], str]] = [(self.rest, PYTHON)]  # whose time it is, innermost last
        self._began = self._since = time.perf_counter()

    @contextmanager
    def time_of(self, part: dict[str, float], name: str) -> Iterator[None]:
        """The time inside belongs to this row, except what belongs to rows further inside."""
        self._pass_on()
        self._rows.append((part, name))
        try:
            yield
        finally:
            self._pass_on()
            self._rows.pop()

    def _pass_on(self) -> None:
        now = time.perf_counter()
        part, name = self._rows[-1]
        part[name] = part.get(name, 0.0) + now - self._since
        self._since = now

    def stop(self) -> None:
        """This is the end."""
        self._pass_on()
        self.whole = self._since - self._began

    @property
    def total(self) -> float:
        """The sum of all rows."""
        return sum(sum(part.values()) for part in (self.forward, self.backward, self.rest))

    def _lines(self) -> list[tuple[str, ...]]:
        per = max(1, self.steps)
        head = ("name", "layer", "forward, ms", "backward, ms", "share")
        lines: list[tuple[str, ...]] = [head]
        for name in dict.fromkeys([*self.titles, BETWEEN]):
            both = [part.get(name, 0.0) for part in (self.forward, self.backward)]
            if any(both):
                lines.append((name, self.titles.get(name, ""), *(_ms(s / per) for s in both), self._share(sum(both))))
        sums = [sum(part.values()) for part in (self.forward, self.backward)]
        lines.append(("all layers", "", *(_ms(seconds / per) for seconds in sums), self._share(sum(sums))))
        lines += [(name, "", _ms(s / per), "", self._share(s)) for name, s in self.rest.items() if s]
        return [*lines, ("whole", "", _ms(self.whole / per), "", self._share(self.whole))]

    def _share(self, seconds: float) -> str:
        return f"{100 * seconds / self.whole:.1f}%" if self.whole else ""

    def _title(self) -> str:
        return f"{self.steps:,} training steps in {self.whole:.2f} s; milliseconds for each step"

    def __repr__(self) -> str:
        first, *body = table(self._lines(), numbers=3)
        rule = "-" * len(first)
        return "\n".join([self._title(), rule, first, rule, *body, rule, NOTE])

    def _repr_html_(self) -> str:
        return html_table(self._lines(), numbers=3, title=self._title(), words=[NOTE])


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.3f}"
