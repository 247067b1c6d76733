"""What fit and evaluate try before they use data: a sample through model and loss, and a look at every number.

Nothing out of range may pass: numbers of an Embedding's rows and class labels are looked at once for data in memory,
and batch by batch, before the step, for streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

from ..core import random
from ..core.arrays import as_tuple, is_floating
from ..core.checks import said_by
from ..core.module import Module
from ..core.tape import this_thread
from ..core.untouched import evaluating, untouched
from ..data.arrays import ArrayData
from ..data.batch import Batch
from ..data.streams import StreamData
from ..graph.passes import Pass
from ..losses.base import Loss
from .metrics import Metric, measure


class DataTrial:
    """Whether model, loss and metrics go together with data.

    Args:
        model, loss, measures: what the data is for.
        wait: whether to wait for batches of MLX arrays that may still be under way, as whatever is not compiled will
            wait for them anyway. Otherwise numbers out of range in them become NaN, and are named then.

    Attributes:
        prediction: for one sample; None before the first.
        readers: (number of the input, layer) for every layer that reads whole numbers straight from an input.
    """

    def __init__(self, model: Module, loss: Loss, measures: dict[str, Metric], wait: bool = True) -> None:
        self.model, self.loss, self.measures, self.wait = model, loss, measures, wait
        self.prediction: Any = None
        self.readers: list[tuple[int, Any]] = []

    def on(self, data: ArrayData | StreamData, batch_size: int, where: str = "fit") -> None:
        """Try the data now or, where reading it would use it up, each batch when it comes.

        Arrays are lazy: only shapes, types and whole numbers are looked at, nothing is computed.
        """
        if isinstance(data, ArrayData):
            with said_by(where):
                self.sample(data.first(1), lambda: data.first(len(data)))
                self.measure(data.first(min(batch_size, len(data))), lambda: data.first(len(data)))
                self.numbers((*data.inputs, data.arrays["y"]))
            return
        data.examine = self.batch
        first = data.first()
        if first is not None:
            data.convert(first, 1)

    def batch(self, batch: Batch, known: Sequence[bool]) -> None:
        """A batch of a stream: the first one is tried, and the numbers of each are looked at.

        Args:
            known: for every input and the target, whether its numbers are there already.
        """
        x, y, *weight = batch
        if self.prediction is None:
            one = tuple(part[:1] for part in x) if isinstance(x, tuple) else x[:1]
            self.sample((one, y[:1], *(part[:1] for part in weight)), lambda: batch)
            self.measure(batch, lambda: batch)
        look = [*known[:-1], known[-1] or self.loss.must_see]
        self.numbers([part if see or self.wait else None for part, see in zip((*as_tuple(x), y), look)])

    def sample(self, sample: Batch, whole: Callable[[], Batch]) -> None:
        """Send one sample through model and loss; should it fail, errors are to name the shapes of the whole."""
        check_count(self.model, as_tuple(sample[0]))
        try:
            prediction = self.run(*sample)
        except (ValueError, TypeError) as error:
            raise self.error_of(whole(), error) from None
        self.readers = whole_number_readers(self.model, sample[0])
        self.prediction = prediction

    def error_of(self, whole: Batch, error: Exception) -> Exception:
        """The error that one sample met, as the whole meets it."""
        try:
            self.run(*whole)
        except (ValueError, TypeError) as found:
            return found
        return error

    def run(self, x: Any, y: Any, *weight: Any) -> Any:
        """The prediction for a batch, which is then shown to the loss."""
        with evaluating(self.model), same_random_numbers():
            prediction = self.model(*as_tuple(x))
            if isinstance(prediction, tuple):
                got = f"got a tuple of {len(prediction)}; give each output a loss of its own and add up their gradients"
                raise TypeError(f"{type(self.loss).__name__}: expected one array as the prediction, {got}")
            self.loss(prediction, y, *weight)
        return prediction

    def measure(self, batch: Batch, whole: Callable[[], Batch]) -> None:
        """Measure a batch, as every batch will be measured; should it fail, errors name the shapes of the whole."""
        if not self.measures:
            return
        try:
            self.run_metrics(batch)
        except (ValueError, TypeError):
            self.run_metrics(whole())
            raise

    def run_metrics(self, batch: Batch) -> None:
        """Every metric of a batch, under its name."""
        with evaluating(self.model), same_random_numbers():
            prediction = self.model(*as_tuple(batch[0]))
            for name, metric in self.measures.items():
                with said_by(f"metric {name!r}"):
                    measure(name, metric, prediction, batch[1])

    def numbers(self, parts: Sequence[Any]) -> None:
        """Look at the whole numbers among inputs and targets; None stands for what is not looked at."""
        *inputs, y = parts
        look_at_inputs(self.readers, inputs)
        if y is not None:
            self.loss.check_values(self.prediction, y)


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Whatever is drawn inside, what comes afterwards is drawn as if nothing had been."""
    state = random.get_state()
    try:
        yield
    finally:
        random.set_state(state)


def check_count(model: Module, inputs: tuple[Any, ...]) -> None:
    """Raise a ValueError unless the model can be called with so many inputs."""
    try:
        signature(model.forward).bind(*inputs)
    except TypeError as error:
        raise ValueError(
            f"{type(model).__name__}: got {len(inputs)} inputs, for which its forward is not made ({error}); "
            "x is one array, or a tuple with an array for each input of the model"
        ) from None


def whole_number_readers(model: Module, x: Any) -> list[tuple[int, Any]]:
    """(number of the input, layer) for every layer that reads whole numbers straight from an input of the model.

    None for a forward that cannot be recorded: there each layer looks at its own inputs when it is called.
    """
    if not this_thread.tape.on or all(is_floating(part) for part in as_tuple(x)):
        return []
    with untouched(model):
        model.eval()
        try:
            seen = Pass(model, x)
        except ValueError:  # of a number out of range, or a shape
            raise
        except Exception:  # of a user's forward, which is only asked a question here
            return []
    places = {id(node): place for place, node in enumerate(seen.inputs)}
    calls = [node for node in seen.calls.values() if getattr(node.module, "reads_whole_numbers", False)]
    return [(places[id(source)], node.module) for node in calls for source in node.inputs if id(source) in places]


def look_at_inputs(readers: Sequence[tuple[int, Any]], inputs: Sequence[Any]) -> None:
    """Let every such layer look at all the numbers that it will be given."""
    for place, layer in readers:
        if inputs[place] is not None:
            with said_by("x" if len(inputs) == 1 else f"x[{place}]"):
                layer.check(inputs[place])
