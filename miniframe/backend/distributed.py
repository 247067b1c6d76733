"""More than one process: the same script, started on every machine by mlx.launch, trains one model.

Each process, called a rank, computes its share of the rows of every batch. Between backward and the optimizer's step
the gradients are averaged with one message, a flat buffer that also carries the loss and the running statistics. All
ranks then make the same step, so their weights stay equal. The messages are MLX's own (``mx.distributed``).

What fit does on several ranks:

- It starts from the weights, the optimizer's state and the seed of rank 0, so the script need not fix a seed.
- ``batch_size`` is that of the whole batch. History, metrics and what callbacks see are those of the whole data.
- Callbacks run on every rank; one that writes asks ``rank() == 0`` first.
- BatchNorm normalizes with the mean and variance of its own rank's rows, so its output differs a little from that of
  one process; its running statistics are averaged over the ranks after every step and so stay equal everywhere (the
  running variance is the mean of the variances within the ranks' rows).
- Dropout draws different masks on every rank.
- A stream of batches must give every rank the same batches.
"""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Callable, Iterable
from functools import cache, wraps
from types import TracebackType
from typing import Any, Protocol, TypeVar

import mlx.core as mx

from .lifeline import Lifeline, Place, connected
from .meeting import START, DistributedError, announced, arranged, launched, timeout
from .team import Team, described

__all__ = [
    "DistributedError", "Team", "average_gradients", "launched", "rank", "size", "speaks", "team", "timeout",
    "together",
]  # fmt: skip


class Learned(Protocol):
    """Anything with a gradient: a Parameter."""

    grad: mx.array | None


F = TypeVar("F", bound=Callable[..., Any])


def together(function: F) -> F:
    """A function that all ranks call, as it is; losing a rank inside becomes a DistributedError."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        with team().together(function.__name__):
            return function(*args, **options)

    return call  # type: ignore[return-value]


@cache
def team() -> Team:
    """The ranks of this training; a team of one unless the script was started by mlx.launch.

    >>> team().rank, team().size
    (0, 1)
    """
    if not launched():
        return Team(None)
    meeting, server = announced(), None
    if meeting is None:
        meeting, server = arranged(mx.distributed.init())
    line = connected(meeting, timeout(), server)
    group = _by_mlx(line)
    _end_with_words(line)
    return Team(group, line)


def _by_mlx(line: Lifeline) -> Any:
    """MLX's group of the ranks, which all are there by now."""
    faulthandler.dump_traceback_later(START, exit=True)  # MLX would wait for ever for one that ends just now
    group = mx.distributed.init()
    faulthandler.cancel_dump_traceback_later()
    if group.size() != line.size:
        raise DistributedError(
            f"{line.size} processes were started, but MLX connects {group.size()}: it was built without the back end "
            "that mlx.launch --backend names"
        )
    line.place = Place(0, 2, "the start")
    line.gather(None)
    line.limit = timeout()
    return group


def _end_with_words(line: Lifeline) -> None:
    """An error that ends this process, wherever in the script, is told to the others."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        line.end(described(error))
        before(kind, error, trace)

    sys.excepthook = hook


def speaks() -> bool:
    """Whether this process warns and prints: asked without meeting the others, who may not come.

    >>> speaks()
    True
    """
    return not launched() or (announced() or team()).rank == 0


def rank() -> int:
    """The number of this process, from 0; ``if rank() == 0:`` is where a script prints and saves."""
    return team().rank


def size() -> int:
    """How many processes train together."""
    return team().size


def average_gradients(parameters: Iterable[Learned]) -> None:
    """In a loop of your own, between backward and step: every gradient becomes the mean over the ranks.

    One message for all of them. Each rank must have computed the same number of samples for this to be the gradient
    of the whole batch; ``fit`` does this by itself, and weights unequal shares.

    >>> from miniframe import Linear
    >>> layer = Linear(2, 1)
    >>> y = layer(mx.ones((1, 2)))
    >>> dx = layer.backward(mx.ones((1, 1)))
    >>> average_gradients(layer.parameters())
    >>> layer.weight.grad.tolist()
    [[1.0, 1.0]]
    """
    found = [p for p in parameters if p.grad is not None]
    grads = [p.grad for p in found if p.grad is not None]
    ranks = team()
    with ranks.together("average_gradients"):
        ranks.same_shapes(grads)
        for parameter, total in zip(found, ranks.sum(grads)):
            parameter.grad = total / ranks.size
