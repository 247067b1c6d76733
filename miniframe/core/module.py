"""Modules: the pieces that every model is made of.

A module is a pair of maps, ``forward(x) -> y`` and ``backward(dy) -> dx``. Its arrays live in cells (cells.py),
Parameter and Buffer.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from .arrays import as_array
from .cells import EMPTY, Buffer, Parameter
from .node import Node
from .tape import backward_through, call_on_nodes, forward_recorded, not_recording, this_thread
from .words import numbered

if TYPE_CHECKING:  # for the list of verbs at the end of Module
    from ..graph import summary as _summary
    from ..saving import export as _export
    from ..saving import model as _model
    from ..saving import weights as _weights
    from ..training import evaluation as _evaluate
    from ..training import fit as _fit
    from ..training import goal as _goal
    from . import parts as _parts

M = TypeVar("M", bound="Module")


class Module:
    """The base of layers, losses and models.

    Write ``forward(x)`` and, directly below it, ``backward(grad_output)``, which adds to the gradients of the
    parameters and returns the gradient with respect to the input (a tuple for several inputs). What backward needs,
    forward puts in the one slot ``self.saved``. A module that only composes other modules, operations and parameters of
    its own (``self.fc(x) * self.scale``) needs no backward.

    Parameters, buffers and inner modules are found by looking at the attributes (also inside lists, tuples and
    dicts), so there is nothing to register and no ``super().__init__()`` to call. Names that start with an
    underscore are private: nothing in them counts. What is built on modules teaches them more: ``summary``,
    ``compile``, ``fit``, ``evaluate``, ``predict``, ``save``, ``save_weights``, ``load_weights``, ``export``.

    >>> class Scale(Module):
    ...     def __init__(self):
    ...         self.factor = Parameter(mx.array(2.0))
    ...     def forward(self, x):
    ...         self.saved = x
    ...         return self.factor.value * x
    ...     def backward(self, grad_output):
    ...         x = self.saved
    ...         self.factor.accumulate((grad_output * x).sum())
    ...         return grad_output * self.factor.value
    >>> layer = Scale()
    >>> layer(mx.array([1.0, 2.0])).tolist()
    [2.0, 4.0]
    >>> layer.backward(mx.array([1.0, 1.0])).tolist(), layer.factor.grad.item()
    ([2.0, 2.0], 3.0)
    """

    training: bool = True
    flattens: bool = False  # True: called on nodes, its inner layers become the nodes (Sequential, Graph)
    output_count: int | None = None  # how many arrays forward returns, for a layer that returns a tuple
    _given_name: str | None = None
    samples_apart: Any = False  # True, or a property: no sample sees another; of the class that says so, not subclasses
    stop_training: bool = False  # a callback sets it to end fit after the current batch
    _uses_parameters: bool = False  # whether its forward has made nodes of parameters, as in self.scale * x
    _saved: Any = EMPTY  # for core's own files, which come here for every call; others use ``saved`` and ``kept``

    # ---------------------------------------------------------------- the pair of maps

    def forward(self, *inputs: Any) -> Any:
        """Compute the output; put what ``backward`` needs in ``self.saved``."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define forward(self, x)")

    def backward(self, grad_output: Any) -> Any:
        """Given the gradient with respect to the output, return the gradient with respect to the input.

        Inherited by modules that only compose others: it walks the calls recorded in forward, last to first.
        """
        return backward_through(self, grad_output)

    @property
    def saved(self) -> Any:
        """What the last forward kept for backward. Reading it before a forward is an error."""
        if self._saved is EMPTY:
            raise RuntimeError(f"{self.title()}: backward needs a forward first (and not under no_grad)")
        return self._saved

    @saved.setter
    def saved(self, value: Any) -> None:
        self._saved = value

    @property
    def kept(self) -> Any:
        """The same without the error; EMPTY where there is nothing. Containers put it back into ``saved`` later."""
        return self._saved

    def composes(self) -> bool:
        """True for a module without a backward of its own: its backward comes from the recorded calls."""
        return type(self).backward is Module.backward

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        if named:
            raise TypeError(f"{self.title()}: unknown argument {[*named][0]!r}; inputs have no names: model(a, b)")
        for x in inputs:
            if type(x) is not mx.array:
                return call_on_nodes(self, inputs) if type(x) is Node else self._call_with(inputs)
        if self.composes():
            return forward_recorded(self, inputs)
        output = self.forward(*inputs)
        if not_recording and not this_thread.tape.on:
            self._saved = EMPTY
        return output

    def _call_with(self, inputs: tuple[Any, ...]) -> Any:
        """The call for inputs that are not all arrays: nodes are recorded, anything else is made an array."""
        for x in inputs:
            if isinstance(x, Node):
                return call_on_nodes(self, inputs)
        where = self.title()
        return self(*[x.operand() if isinstance(x, Parameter) else as_array(x, where=where) for x in inputs])

    # ---------------------------------------------------------------- what is inside

    def children(self) -> Iterator[tuple[str, Any]]:
        """(name, Parameter | Buffer | Module) for everything assigned to this module, in the order of assignment."""
        for name, value in vars(self).items():
            if not name.startswith("_") and isinstance(value, HOLDERS):
                yield from inside(name, value)

    def named_items(self) -> list[tuple[str, Any]]:
        """(path, cell or module) for this module and all inside it, depth first; what is shared comes once."""
        found: dict[int, tuple[str, Any]] = {}
        self._collect("", found)
        return list(found.values())

    def _collect(self, path: str, found: dict[int, tuple[str, Any]]) -> None:
        if id(self) in found:
            return
        found[id(self)] = path, self
        for name, child in self.children():
            inner = f"{path}.{name}" if path else name
            if isinstance(child, Module):
                child._collect(inner, found)
            else:
                found.setdefault(id(child), (inner, child))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(path, module) for this module, whose path is "", and all modules inside it."""
        return ((path, item) for path, item in self.named_items() if isinstance(item, Module))

    def modules(self) -> Iterator[Module]:
        """This module and all modules inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter), such as ("0.weight", ...); a shared parameter comes once, under its first path."""
        return ((path, item) for path, item in self.named_items() if isinstance(item, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Every parameter once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """(path, buffer) for the arrays that are kept but not learned."""
        return (
            (p, item) for p, item in self.named_items() if isinstance(item, Buffer) and not isinstance(item, Parameter)
        )

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer once."""
        return (buffer for _, buffer in self.named_buffers())

    # ---------------------------------------------------------------- switches

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self: M, mode: bool = True) -> M:
        """Switch to training behaviour (Dropout drops, BatchNorm uses the batch); returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """Switch to evaluation behaviour; returns the module."""
        return self.train(False)

    def freeze(self: M) -> M:
        """Stop learning: parameters receive no gradient and optimizers leave them alone; returns the module."""
        return self._set_trainable(False)

    def unfreeze(self: M) -> M:
        """Learn again; returns the module."""
        return self._set_trainable(True)

    def _set_trainable(self: M, trainable: bool) -> M:
        for parameter in self.parameters():
            parameter.trainable = trainable
            parameter.grad = None
        return self

    # ---------------------------------------------------------------- words about itself

    def named(self: M, name: str) -> M:
        """Give the module the name that a Graph lists it under; returns the module."""
        self._given_name = name
        return self

    @property
    def given_name(self) -> str | None:
        """What ``named`` was told; None for a module without a name of its own."""
        return self._given_name

    def title(self) -> str:
        """The module in one line, as errors and tables show it."""
        return f"{type(self).__name__}({self.settings()})"

    def settings(self) -> str:
        """What stands between the brackets of ``title``; layers override it."""
        return ""

    def __repr__(self) -> str:
        inner = [(name, child) for name, child in self.children() if isinstance(child, Module)]
        if not inner:
            return self.title()
        lines = [f"({name}) {child!r}".replace("\n", "\n  ") for name, child in inner]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"

    def wrong(self, expected: str, got: Any, hint: str = "") -> ValueError:
        """The error for an unsuitable input: ``raise self.wrong("input (batch, 2)", x)``."""
        received = f"{got.shape}" if isinstance(got, mx.array) else repr(got)
        return ValueError(f"{self.title()}: expected {expected}, got {received}" + (f"; {hint}" if hint else ""))

    def multiply_adds(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Multiply-add operations of one forward pass for these shapes; 0 unless a layer counts them."""
        return 0

    if TYPE_CHECKING:  # taught by the files that define them (see teach.py); here for editors and type checkers
        summary = _summary.summary
        _repr_html_ = _summary.as_html
        compile = _goal.compile
        fit = _fit.fit
        evaluate = _evaluate.evaluate
        predict = _evaluate.predict
        save = _model.save
        save_weights = _weights.save_weights
        load_weights = _weights.load_weights
        state_dict = _weights.state_dict
        load_state_dict = _weights.load_state_dict
        count_params = _weights.count_params
        export = _export.export
        part = _parts.part
        _evaluation: Any  # the loss and the metrics of the last fit
        _optimizer: Any  # the optimizer of the last fit, and the name that it was made from
        _last_step: Any  # the training step of the last fit, which the next one may use again


HOLDERS = (Buffer, Module, list, tuple, dict)  # what may hold cells and modules


def inside(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The cells and modules in an attribute's value, looking into lists, tuples and dicts."""
    if isinstance(value, (Buffer, Module)):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from inside(f"{name}.{index}", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from inside(f"{name}.{key}", item)


def free_name(module: Module, taken: Container[str]) -> str:
    """The module's own name or, in small letters, that of its class, with the first number that nobody has."""
    return numbered(module._given_name or type(module).__name__.lower(), taken)
