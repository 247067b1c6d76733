"""What a gradient check found: a row for each parameter and input, the layer to blame, and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..core.tables import html_table


def relative_error(a: np.ndarray, b: np.ndarray, floor: float = 1e-12) -> float:
    """‖a - b‖ / (‖a‖ + ‖b‖), the one measure of how far two gradients are apart.

    Args:
        floor: what the denominator is at least, so that rounding errors of gradients near 0 do not count.

    >>> relative_error(np.array([3.0]), np.array([1.0]))
    0.5
    """
    with np.errstate(invalid="ignore"):  # where one of them is infinite, so is the error or it is NaN
        return float(np.linalg.norm(a - b)) / max(float(np.linalg.norm(a) + np.linalg.norm(b)), floor)


@dataclass
class Row:
    """The verdict on one parameter or input.

    Attributes:
        name: the parameter's path, or "input" ("input 0", ...).
        shape: of the value and its gradient.
        error: ‖a - b‖ / (‖a‖ + ‖b‖) between backward's gradient a and the differences b; where that would pass, but a
            single element is clearly wrong, that of this element.
        by_hand, numeric: the two gradients, as float64 NumPy arrays.
        right, left: the one-sided slopes whose mean is ``numeric``.
        missing: backward gave no gradient at all.
        kinks: the number of elements left out because the function has a corner there, however short the step.
        beside: the number of elements at several corners at once, compared where everything is moved a little.
        unclear: the number of elements left out because rounding hides their derivative.
        tolerance: the largest error that passes.
        corner: where the function has a corner, also where backward's value lies outside of its slopes.
        wrong: the elements that are clearly wrong by themselves.
        trouble: a mistake that the numbers do not show, such as overwriting a gradient instead of adding to it.
        diagnosis: what the pattern of the mismatch suggests; empty while the row passes.
        evaluations: how many perturbed losses were computed for it: two for each element, and more where those
            disagreed with backward.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    by_hand: np.ndarray
    numeric: np.ndarray
    right: np.ndarray
    left: np.ndarray
    missing: bool
    kinks: int
    tolerance: float
    unclear: int = 0
    corner: np.ndarray | None = None
    wrong: np.ndarray | None = None
    trouble: str = ""
    diagnosis: str = ""
    evaluations: int = 0
    beside: int = 0

    @property
    def is_input(self) -> bool:
        """Whether it is about an input, not a parameter such as "input.weight"."""
        return self.name == "input" or self.name.removeprefix("input ").isdigit()

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance and not self.trouble

    @property
    def worst(self) -> tuple[int, ...]:
        """The index of the element with the largest difference."""
        return tuple(int(i) for i in np.unravel_index(np.argmax(abs(self.by_hand - self.numeric)), self.shape))

    def lines(self, width: int) -> list[str]:
        """The row as text, with the diagnosis below it."""
        kinks = f", {self.kinks} at a kink left out" if self.kinks else ""
        kinks += f", {self.beside} at several kinks compared beside them" if self.beside else ""
        kinks += f", {self.unclear} hidden by rounding left out" if self.unclear else ""
        lines = [f"  {'ok ' if self.passed else 'BAD'} {self.name:<{width}}  {self.error:.1e}  {self.shape}{kinks}"]
        if self.shape and 0 in self.shape:
            pass
        elif self.error > self.tolerance or self.error != self.error:
            at = self.worst
            lines.append(
                f"      worst at {at}: backward says {self.by_hand[at]:.6g}, the differences {self.numeric[at]:.6g}"
            )
        if self.diagnosis:
            lines.append(f"      {self.diagnosis}")
        return lines


@dataclass
class Report:
    """The result of :func:`check_gradients`: one row for each parameter and input; prints as a table.

    Attributes:
        title: of the module that was checked.
        rows: the verdicts.
        culprits: for a whole model that failed, (path, report) of each layer that is wrong by itself.
        remark: what else is worth saying.
    """

    title: str
    rows: list[Row] = field(default_factory=list)
    culprits: list[tuple[str, Report]] = field(default_factory=list)
    remark: str = ""

    @property
    def passed(self) -> bool:
        return bool(self.rows) and all(row.passed for row in self.rows)

    @property
    def max_error(self) -> float:
        return max((row.error for row in self.rows), default=0.0)

    @property
    def work(self) -> str:
        """How many losses the proof computed, and for what: all with the one model, its weights moved in turn."""
        parts = []
        for what, rows in (
            ("weights", [row for row in self.rows if not row.is_input]),
            ("numbers of the input", [row for row in self.rows if row.is_input]),
        ):
            if size := sum(row.numeric.size for row in rows):
                parts.append(f"{2 * size:,} losses for {size:,} {what}")
        more = sum(row.evaluations - 2 * row.numeric.size for row in self.rows)
        parts += [f"{more:,} more with other steps"] if more else []
        return ", ".join(parts) + "; all with this one model" if parts else ""

    @property
    def diagnosis(self) -> str:
        """Every diagnosis, each with the layer and the parameter that it is about."""
        lines = [f"{row.name}: {row.diagnosis}" for row in self.rows if row.diagnosis]
        for path, report in self.culprits:
            lines += [f"{path}.{line}" for line in report.diagnosis.splitlines()]
        return "\n".join([*lines, self.remark] if self.remark else lines)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no row {name!r}; the report has {', '.join(row.name for row in self.rows)}")

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        lines = [f"check_gradients({self.title}): {verdict}, largest error {self.max_error:.1e}"]
        width = max((len(row.name) for row in self.rows), default=0)
        for row in self.rows:
            lines += row.lines(width)
        for path, report in self.culprits:
            lines.append(f"  to blame, wrong by itself: layer {path}, {report.title}")
            inner = max(len(row.name) for row in report.rows)
            lines += [f"  {line}" for row in report.rows if not row.passed for line in row.lines(inner)]
        if self.passed and all(row.evaluations for row in self.rows):
            lines.append(f"  {self.work}")
        return "\n".join([*lines, f"  {self.remark}"] if self.remark else lines)

    def _repr_html_(self) -> str:
        """The same for a notebook, the words of every failed row below the table."""
        rows = [("✓" if row.passed else "✗", row.name, str(row.shape), f"{row.error:.1e}") for row in self.rows]
        verdict = f"check_gradients({self.title}): {'passed' if self.passed else 'FAILED'}"
        _, *words = repr(self).splitlines()
        told = [] if self.passed else [line.strip() for line in words if not line.startswith("  ok ")]
        return html_table([("", "of", "shape", "error"), *rows], numbers=1, title=verdict, words=told)
