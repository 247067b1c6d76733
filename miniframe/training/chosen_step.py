"""Which training step fit takes: plain, on all cores or on several ranks; and the last one again, if it still fits."""

from __future__ import annotations

import sys
from typing import Any

from ..backend.distributed import team
from ..core.module import Module
from ..core.teach import teach
from ..losses.base import Loss
from ..optimizers.base import Optimizer
from .cores import choose
from .parallel import ParallelStep
from .step import Step


def chosen_step(
    model: Module,
    loss: Loss,
    optimizer: Optimizer,
    compile: bool,
    keep_prediction: bool,
    precision: str = "float32",
    x: Any = None,
) -> Step:
    """The step for this training; if the model was last trained like this, the step of that time, as traced.

    Args:
        x: the inputs of a batch, where they are known; the others are those of Step.
    """
    ranks = team()
    if ranks.size > 1:
        return _on_ranks(ParallelStep(ranks, model, loss, optimizer, compile, keep_prediction, precision))
    arguments = model, loss, optimizer, compile, keep_prediction, sys.intern(precision)
    kind = choose(model, loss, compile, x)
    settings, last = kind.settings(*arguments), model._last_step
    if last is None or last.made_for != settings or not last.compiles:
        model._last_step = last = kind(*arguments)
        last.made_for = settings
    return last


def _on_ranks(step: ParallelStep) -> ParallelStep:
    """One among several ranks starts where rank 0 is."""
    step.team.must_agree(step.kinds())
    step.team.share(step.cells)
    step.optimizer.iterations = step.team.first(step.optimizer.iterations)
    return step


teach(Module, _last_step=None)
