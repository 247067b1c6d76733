"""Any PyTorch module that torch.fx can trace, as a Graph with the same numbers and the same names."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_tuple
from ..core.cells import Buffer, Parameter
from ..core.module import Module
from ..core.parts import Learned
from ..core.tape import no_grad
from ..core.untouched import evaluating
from ..graph.graph import Graph
from ..layers import LayerScale
from ..saving.weights import put_weights
from .fx_build import GraphBuilder, check_known, leaves
from .fx_calls import CALLS
from .fx_follow import calls_of, held, made_up
from .fx_layers import MODULES
from .fx_trace import Trace, is_leaf, traced
from .layouts import from_torch_layout, numpy_arrays
from .pairs import FROM_TORCH
from .sequences import unpacked

USUAL = (224, 224)  # what most networks for images are made for


def graph_from_torch(module: Any, example: Any = None) -> Graph:
    """The Graph of a module; see ``from_torch``.

    Args:
        example: an input, or a tuple of several, as PyTorch has them.
    """
    examples = None if example is None else _as_tensors(example)
    count = 1 if examples is None else len(examples)
    traceable = held(module, count) if is_leaf(module) else module
    calls = calls_of(traceable, count)
    check_known(traceable, list(calls.nodes))
    trace = _on_something(traceable, calls) if examples is None else traced(traceable, calls, examples)
    builder = GraphBuilder(traceable, trace, exact=examples is not None or trace.sized)
    graph = builder.graph()
    alone = type(module).__name__ in FROM_TORCH  # and so has the name of the layer in front of its parameters'
    _load(graph, traceable if alone else module, builder.renamed)
    _compare(graph, builder, type(module).__name__)
    return graph.train(module.training)


def _as_tensors(example: Any) -> tuple[Any, ...]:
    import torch

    several = example if isinstance(example, (tuple, list)) else (example,)
    return tuple(x if isinstance(x, torch.Tensor) else torch.tensor(np.array(x)) for x in several)


def _on_something(module: Any, calls: Any) -> Trace:
    """A trace on an example that is made up."""
    reason, found = "nothing in it tells what its inputs are like", None
    for examples in made_up(module):
        try:
            trace = traced(module, calls, examples)
        except ValueError as error:
            reason = str(error).removeprefix("from_torch: ")
            continue
        if not trace.sized or tuple(examples[0].shape[2:]) == USUAL:
            return trace
        found = found or trace  # takes images of one size only: that of most networks, if it may
    if found is not None:
        return found
    raise ValueError(f"from_torch: give an example, from_torch(module, example=x): {reason}")


def _load(graph: Graph, module: Any, renamed: dict[str, str]) -> None:
    """Put the module's weights and statistics into the graph, and whether they learn."""
    names = {name: item for name, item in graph.named_items() if isinstance(item, Buffer)}
    state = {**dict(module.named_parameters(remove_duplicate=False)), **dict(module.named_buffers())}
    arrays = unpacked(numpy_arrays(state), names, lambda a: tuple(np.split(a, 3)))
    learning = {name: p.requires_grad for name, p in module.named_parameters(remove_duplicate=False)}
    learning = unpacked(learning, names, lambda learns: (learns, learns, learns))
    owners = dict(graph.named_modules())
    converted, sources = {}, {}
    for name, cell in names.items():
        source = renamed.get(name, name)
        source = source if source in arrays else source.removesuffix(".weight")
        if source not in arrays:
            continue  # put_weights names it
        array = arrays[source]
        owner = owners.get(name.rpartition(".")[0])
        if owner is not None:
            array = array.reshape(cell.shape) if isinstance(owner, LayerScale) else from_torch_layout(owner, array, 1)
        converted[name], sources[name] = mx.array(np.ascontiguousarray(array)), source
    put_weights(graph, converted, True, "from_torch")
    shared = {name: id(state[source]) for name, source in sources.items() if source in state}
    first: dict[int, Parameter] = {}
    for name, cell in names.items():
        if isinstance(cell, Parameter):
            cell.trainable = learning.get(sources[name], True)
            kept = first.setdefault(shared.get(name, id(cell)), cell)
            if kept is not cell and kept.shape == cell.shape:
                _put(owners, name, kept)


def _put(owners: dict[str, Module], name: str, cell: Parameter) -> None:
    """Let the layer whose parameter has this name use this one, too."""
    owner, _, attribute = name.rpartition(".")
    if isinstance(owners.get(name), Learned):
        owners[name].parameter = cell  # type: ignore[attr-defined]
    elif not isinstance(owners[owner], LayerScale):
        setattr(owners[owner], attribute, cell)


def _compare(graph: Graph, builder: GraphBuilder, name: str) -> None:
    """Raise if the graph gives other numbers for the examples than the module itself.

    Raises:
        ValueError: which can be if the code writes into a part of a tensor, or does what torch.fx does not see.
    """
    trace = builder.trace
    given = [x for x in trace.examples if hasattr(x, "shape")]
    arrays = [mx.array(x.numpy().transpose(value.order)) for x, value in zip(given, builder.inputs)]
    with no_grad(), evaluating(graph):
        found = as_tuple(graph(*arrays))
    expected = [x for x in leaves(trace.outputs) if hasattr(x, "shape")]
    for ours, theirs, order in zip(found, expected, builder.orders):
        a, b = np.array(ours, np.float64), theirs.double().numpy().transpose(order)
        if a.shape != b.shape or not np.allclose(a, b, rtol=1e-2, atol=1e-3 * max(np.abs(b).max(initial=0), 1e-6)):
            raise ValueError(
                f"from_torch: the calls that torch.fx sees in {name} give other numbers than {name} itself; does its "
                "code write into parts of a tensor, or depend on the numbers in it? Write x = x + y in place of that"
            )


def supported() -> None:
    """Print which modules and functions of PyTorch ``from_torch`` knows.

    >>> supported()  # doctest: +ELLIPSIS
    modules: AdaptiveAvgPool2d, ..., Conv2d, ...
    functions and methods: abs, adaptive_avg_pool2d, ...
    """
    print("modules:", ", ".join(sorted(name for name in MODULES if name not in ("Computed", "Attention"))))
    print("functions and methods:", ", ".join(sorted(name for name in CALLS if not name.startswith(("_", "getattr")))))
