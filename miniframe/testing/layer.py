"""``check_layer``: all checks of a layer in one call, with a report; ``layer_checks``: one by one, for pytest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.module import Module
from ..core.untouched import untouched
from ..losses.base import Loss
from . import behaviour, derivatives
from .subject import Subject

Function = Callable[[Subject], "str | None"]
CHECKS: tuple[Function, ...] = (
    behaviour.runs, behaviour.leaves_inputs_alone, behaviour.gradients_fit, derivatives.training_gradients,
    derivatives.evaluation_gradients, derivatives.mlx_agrees, derivatives.pytorch_agrees, derivatives.accumulates,
    derivatives.can_be_shared, behaviour.one_sample, behaviour.samples_are_apart, behaviour.takes_views,
    behaviour.repeats_itself, behaviour.keeps_the_type, behaviour.saves_and_loads, behaviour.copies_and_pickles,
    behaviour.trains_compiled,
)  # fmt: skip
NAMES = {function.__name__: function for function in CHECKS}  # type: ignore[attr-defined]


@dataclass
class Check:
    """One check of one layer: call it; it raises an AssertionError, or returns why it does not concern the layer.

    Attributes:
        name: such as "accumulates".
    """

    name: str
    function: Function
    subject: Subject

    def __call__(self) -> str | None:
        with untouched(self.subject.layer):
            return self.function(self.subject)

    def __str__(self) -> str:
        return self.name


@dataclass
class LayerReport:
    """What :func:`check_layer` found; prints as a table.

    Attributes:
        title: of the layer.
        passed: the names of the checks that passed.
        failed: name to what is wrong.
        left_out: name to why it does not concern this layer.
    """

    title: str
    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        total = len(self.passed) + len(self.failed)
        verdict = f"{len(self.failed)} of {total} checks failed" if self.failed else f"{total} checks passed"
        lines = [f"check_layer({self.title}): {verdict}"]
        lines += [f"  BAD {_plain(name)}\n      {_indented(words)}" for name, words in self.failed.items()]
        lines += [f"  ok  {_plain(name)}" for name in self.passed]
        lines += [f"  --  {_plain(name)}: {why}" for name, why in self.left_out.items()]
        return "\n".join(lines)


def layer_checks(
    layer: Module,
    *inputs: Any,
    torch: Any = None,
    weights: Mapping[str, str] | None = None,
    tolerance: float = 1e-6,
    skip: Collection[str] = (),
    seed: int = 0,
) -> list[Check]:
    """The checks of a layer one by one, for ``pytest.mark.parametrize("check", layer_checks(...), ids=str)``.

    Arguments are those of :func:`check_layer`.

    >>> import numpy as np
    >>> from miniframe import Tanh
    >>> [str(check) for check in layer_checks(Tanh(), np.ones((2, 3)))][:3]
    ['runs', 'leaves_inputs_alone', 'gradients_fit']
    """
    if not isinstance(layer, Module):
        raise TypeError(f"check_layer: expected a layer, such as MyLayer(), got {layer!r}")
    if isinstance(layer, Loss):
        raise TypeError("check_layer: a loss is no layer; use check_gradients(loss, prediction, target)")
    if not inputs:
        raise ValueError("check_layer: expected example inputs: check_layer(layer, x)")
    unknown = [name for name in skip if name not in NAMES]
    if unknown:
        raise ValueError(f"check_layer: no check {unknown[0]!r}; there are {', '.join(NAMES)}")
    subject = Subject(layer, inputs, torch, dict(weights or {}), tolerance, seed)
    return [Check(name, function, subject) for name, function in NAMES.items() if name not in skip]


def check_layer(
    layer: Module,
    *inputs: Any,
    torch: Any = None,
    weights: Mapping[str, str] | None = None,
    tolerance: float = 1e-6,
    skip: Collection[str] = (),
    seed: int = 0,
) -> LayerReport:
    """Put a layer through what miniframe's own go through, and say what is wrong with it.

    Checked are: shapes and types; backward against central differences in float64, in both modes, against ``mx.grad``
    and, where there is a counterpart, against PyTorch; that gradients add up, also when the layer is used twice; a
    batch of one; views as inputs; that nothing given is overwritten; that seeds repeat; files, copies and pickles;
    and training, compiled and not. The layer itself is left as it was.

    Args:
        layer: an instance, in training mode.
        inputs: small examples with at least two samples in front; float64 NumPy arrays keep their precision. Choose odd
            and different sizes, so that no axis can be taken for another.
        torch: what computes the same in PyTorch: a function of tensors, or a module, into which our weights are
            copied by their names.
        weights: our parameter's name to the module's, where they differ.
        tolerance: the largest relative error of a gradient.
        skip: names of checks to leave out.
        seed: of upstream gradients and masks.

    Raises:
        AssertionError: if any check fails, with the whole report.

    >>> import numpy as np
    >>> from miniframe import Tanh
    >>> report = check_layer(Tanh(), np.random.default_rng(0).normal(size=(3, 5)))
    >>> print(str(report).splitlines()[0], sorted(report.left_out))
    check_layer(Tanh()): 15 checks passed ['accumulates', 'trains_compiled']
    """
    report = LayerReport(layer.title() if isinstance(layer, Module) else repr(layer))
    for check in layer_checks(layer, *inputs, torch=torch, weights=weights, tolerance=tolerance, skip=skip, seed=seed):
        try:
            reason = check()
        except AssertionError as error:
            report.failed[check.name] = str(error)
        except Exception as error:
            report.failed[check.name] = f"{type(error).__name__}: {error}"
        else:
            if reason is None:
                report.passed.append(check.name)
            else:
                report.left_out[check.name] = reason
    if report.failed:
        raise AssertionError(str(report))
    return report


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _indented(words: str) -> str:
    return words.replace("\n", "\n      ")
