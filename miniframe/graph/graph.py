"""Graph: a model from placeholders to outputs. The calls are recorded once and repeated on every input."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from ..core.cells import EMPTY
from ..core.module import Module
from ..core.node import Node, Placeholder
from ..core.parts import Part
from ..core.tape import this_thread, with_title
from ..core.untouched import evaluating
from ..core.walk import ancestors, backward, grad_or_zero
from .names import name_nodes, top_layers

if TYPE_CHECKING:  # for the list of verbs at the end of Graph
    from ..drawing import graphs as _drawing
    from . import levels as _levels
    from . import splitting as _splitting
    from . import surgery as _surgery

Nodes = Node | Sequence[Node]


class Graph(Module):
    """A model made of recorded layer calls, in any arrangement: branches, residual connections, several ends.

    Forward repeats the calls in the order in which they were made; backward is the same list, read from the end, and
    a value with several consumers adds up their gradients. Models inside the model dissolve: only layers are listed.

    Args:
        inputs: an Input, or a list of them.
        outputs: a node that depends on them, or a list of nodes.

    ``graph.nodes`` is the flat list in execution order, ``graph["name"]`` a node and ``graph[0]`` that of a layer call,
    whose ``value`` and ``grad`` are those of the latest forward and backward. Names are those given with ``named``, the
    path of the layer inside a named model ("encoder.0"), or else the class's name. ``graph.levels()`` lists which calls
    could run side by side.

    Called with one array for each input; several outputs come as a tuple. ``backward`` then takes a tuple of
    gradients, and returns one for each input (a single array for a single input).

    Raises:
        ValueError: for a name given twice, an input that leads nowhere, an output that depends on no input, an Input
            that is not listed, and for arrays that do not fit.

    >>> from miniframe import Input, Linear, ReLU
    >>> x = Input((2,), name="x")
    >>> h = ReLU()(Linear(2, 3)(x)).named("hidden")
    >>> model = Graph(x, Linear(3, 3)(h) + h)
    >>> list(model.names)
    ['x', 'linear', 'hidden', 'linear_2', 'add']
    >>> model(mx.zeros((5, 2))).shape, model.backward(mx.ones((5, 3))).shape, model["hidden"].grad.shape
    ((5, 3), (5, 2), (5, 3))
    """

    flattens = True

    _pass: Any = EMPTY  # (value, what backward needs) for every node, in the latest forward
    _program: list[tuple[Node, list[int] | None]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and "backward" not in vars(cls):
            raise TypeError(
                f"{cls.__name__}: Graph's backward is not that of another forward; "
                "keep the graph in a Module, self.graph = graph, and call it there"
            )

    def __init__(self, inputs: Nodes, outputs: Nodes) -> None:
        self.names: dict[str, Node] = {}  # first, so that a deep copy meets every node after its inputs
        self.layers: dict[str, Module] = {}
        self.single_input, self.single_output = isinstance(inputs, Node), isinstance(outputs, Node)
        self.inputs, self.outputs = _as_nodes(inputs, "inputs"), _as_nodes(outputs, "outputs")
        self._wire()
        self._infer_shapes()

    def forward(self, *inputs: Any) -> Any:
        self._check(inputs)
        on_nodes = any(isinstance(x, Node) for x in inputs)
        calls = self._run(inputs, on_nodes)
        self.saved = (calls, [None] * len(calls)) if this_thread.tape.on and not on_nodes else EMPTY
        found = {node.index: value for node, (value, _) in zip(self.nodes, calls)}
        outputs = tuple(found[node.index] for node in self.outputs)
        return outputs[0] if self.single_output else outputs

    def backward(self, grad_output: Any) -> Any:
        self.saved = self.saved  # back into the nodes, which another graph may share
        backward(self.outputs, [grad_output] if self.single_output else grad_output, self.nodes, stop=self.inputs)
        grads = tuple(grad_or_zero(node) for node in self.inputs)
        return grads[0] if self.single_input else grads

    # ---------------------------------------------------------------- the nodes

    @property
    def nodes(self) -> list[Node]:
        """Inputs, constants and layer calls in execution order."""
        return list(self.names.values())

    def name_of(self, key: int | str) -> str:
        """The name of the layer call at a position, inputs and constants not counted; or the name itself."""
        if not isinstance(key, int):
            return key
        given = {node.index for node in self.inputs}
        calls = [name for name, node in self.names.items() if node.module is not None and node.index not in given]
        if not -len(calls) <= key < len(calls):
            raise IndexError(f"Graph: no layer {key}; it has {len(calls)}: {', '.join(calls[:20])}")
        return calls[key]

    def __getitem__(self, name: int | str) -> Node:
        name = self.name_of(name)
        if name in self.names:
            return self.names[name]
        module = dict(self.named_modules()).get(name)
        for node in self.nodes:
            if node.module is not None and node.module is module:
                return node
        known = difflib.get_close_matches(str(name), self.names, n=5) or list(self.names)[:20]
        raise KeyError(f"Graph: no node {name!r}; known: {', '.join(known)}")

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def children(self) -> Iterator[tuple[str, Any]]:
        yield from self.layers.items()

    @property
    def _saved(self) -> Any:  # type: ignore[override]
        """The latest pass: what was computed, and the gradients that the nodes hold."""
        return EMPTY if self._pass is EMPTY else (self._pass, [node.grad for node in self.nodes])

    @_saved.setter
    def _saved(self, kept: Any) -> None:
        """Put a pass into the nodes, where it is in reach; EMPTY takes out what is there."""
        if kept is EMPTY and self._pass is EMPTY:
            return
        self._pass, grads = (EMPTY, [None] * len(self)) if kept is EMPTY else kept
        calls = [(None, EMPTY)] * len(self) if kept is EMPTY else self._pass
        for node, (value, saved), grad in zip(self.nodes, calls, grads):
            if value is not None or node.module is not None or node.hint is not None:
                node.value, node.saved, node.grad = value, saved, grad

    def _run(self, inputs: Sequence[Any], on_nodes: bool = False) -> list[tuple[Any, Any]]:
        """(value, what backward needs) for every node, in order; called on nodes, the calls are recorded anew."""
        if self._program is None:
            self._program = self._plan()
        given = {node.index: x for node, x in zip(self.inputs, inputs)}
        calls: list[tuple[Any, Any]] = []
        recording = this_thread.tape.on
        for node, sources in self._program:
            module = node.module
            if sources is None or module is None:
                calls.append((given.get(node.index, node.value), EMPTY))
                continue
            arguments = [calls[position][0] for position in sources]
            try:
                value = module(*arguments) if on_nodes else module.forward(*arguments)
            except ValueError as error:
                if not str(error).startswith("["):
                    raise
                raise with_title(module, arguments, error) from error
            calls.append((value, module.kept))
            if not recording:
                module.saved = EMPTY
        return calls

    def _plan(self) -> list[tuple[Node, list[int] | None]]:
        """Every node with the positions of the nodes that it is computed from; None for what is given."""
        positions = {node.index: position for position, node in enumerate(self.nodes)}
        given = {node.index for node in self.inputs}
        return [
            (node, None if node.module is None or node.index in given else [positions[n.index] for n in node.inputs])
            for node in self.nodes
        ]

    # ---------------------------------------------------------------- wiring and its errors

    def rewired(self, names: dict[str, Node], outputs: tuple[Node, ...]) -> None:
        """Go on with other nodes, under these names, in the order in which they are to run."""
        self.names, self.outputs, self._program = names, outputs, None

    def _wire(self) -> None:
        """List the nodes in order, name them, register their layers, and refuse what is not connected."""
        nodes = ancestors(self.outputs, stop=self.inputs)
        self._check_connected(nodes)
        given = {node.index for node in self.inputs}
        calls = [node for node in nodes if node.module is not None and node.index not in given]
        layers = top_layers(calls)
        paths: dict[int, str] = {}
        for name, top in layers.items():
            for path, item in top.named_items():
                paths.setdefault(id(item), f"{name}.{path}" if path else name)
        self.names = name_nodes(nodes, paths)
        for name, node in self.names.items():
            if node.index not in given and id(node.module) not in paths and not isinstance(node.module, Part | None):
                layers[name] = node.module  # an operation made inside a model: "block.add"
        self.layers = layers

    def _check_connected(self, nodes: list[Node]) -> None:
        reached = {node.index for node in nodes}
        if len({node.index for node in self.inputs}) < len(self.inputs):
            raise ValueError("Graph: an input is listed twice")
        for node in self.inputs:
            if node.index not in reached:
                raise ValueError(f"Graph: input {_called(node)} is disconnected: no output depends on it")
        for node in nodes:
            if node.hint is not None and node.module is None and node not in self.inputs:
                raise ValueError(f"Graph: the outputs depend on {_called(node)}, which is not among the inputs")
        given = {node.index for node in self.inputs}
        for output in self.outputs:
            if not given & {node.index for node in ancestors([output], stop=self.inputs)}:
                raise ValueError(f"Graph: output {_called(output)} is disconnected: it depends on none of the inputs")

    def _infer_shapes(self) -> None:
        """Run one sample of zeros, lazily, where all shapes are known: what does not fit fails here and now."""
        samples = []
        for node in self.inputs:
            if node.hint is None or node.hint.shape is None:
                return
            sizes = [1 if size is None else size for size in node.hint.shape]
            samples.append(mx.zeros(sizes, dtype=node.hint.dtype))
        with evaluating(self):
            for node, (value, _) in zip(self.nodes, self._run(samples)):
                if node.module is not None and isinstance(value, mx.array):
                    batch: Any = (None,) if value.shape[:1] == (1,) else value.shape[:1]
                    node.hint = Placeholder((*batch, *value.shape[1:]), value.dtype)

    def _check(self, inputs: Sequence[Any]) -> None:
        if len(inputs) != len(self.inputs):
            raise ValueError(f"{self.title()}: expected {len(self.inputs)} inputs, got {len(inputs)}")
        for node, x in zip(self.inputs, inputs):
            hint = node.hint.shape if node.hint is not None else None
            if hint is None or not isinstance(x, mx.array) or node.module is not None:
                continue
            if x.ndim != len(hint) or any(n is not None and n != m for n, m in zip(hint, x.shape)):
                shape = "(" + ", ".join(["batch", *map(str, hint[1:])]) + ")"
                raise self.wrong(f"input {_called(node)} of shape {shape}", x)

    if TYPE_CHECKING:  # taught by the files that define them
        insert = _surgery.insert
        remove = _surgery.remove
        split = _splitting.split_graph
        levels = _levels.levels
        draw = _drawing.draw
        _repr_html_ = _drawing.as_html


def _as_nodes(nodes: Nodes, what: str) -> tuple[Node, ...]:
    found = (nodes,) if isinstance(nodes, Node) or not isinstance(nodes, (list, tuple)) else tuple(nodes)
    for node in found:
        if not isinstance(node, Node):
            hint = "; call it on an Input first" if isinstance(node, Module) else ""
            raise TypeError(f"Graph: expected nodes as {what}, got {type(node).__name__}{hint}")
    if not found:
        raise ValueError(f"Graph: expected at least one node as {what}, got none")
    return found


def _called(node: Node) -> str:
    """How errors call a node: by its name, or by what made it and its shape."""
    return repr(node.name) if node.name else f"{node.operation} {node.shape}" if node.shape else node.operation
