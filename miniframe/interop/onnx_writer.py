"""A model as an ONNX file: one operator, or a few, for every call of a layer, with any number of samples in a batch.

ONNX is what onnxruntime, browsers, phones and the viewer Netron read. Its images are channels-first, ours are
channels-last, so transposes stand around what slides over an image; runtimes take out those that meet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from ..core.arrays import as_array, as_tuple
from ..core.cells import Buffer
from ..core.extras import library
from ..core.module import Module
from ..core.node import Node
from ..core.parts import Learned, Part
from ..core.untouched import untouched
from ..graph.graph import Graph
from ..graph.passes import Pass
from ..saving.atomic import Where, atomic_write
from .onnx_call import BATCH, Call, Draft

OPSET = 21  # the version of the operators; of 2024, so that runtimes of a year later know it
LARGEST = 2**31  # bytes that a protocol buffer can hold


def write_onnx(model: Module, path: Where, example: Any, operators: dict[type, Callable[[Call], Any]]) -> None:
    """Write a model's forward pass, in evaluation mode, as an ONNX file.

    Args:
        model: left as it was.
        path: of the file.
        example: a batch of inputs, or a tuple of several, which gives types and shapes.
        operators: for each layer, what writes its call.

    Raises:
        ImportError: without the library onnx.
        ValueError: for layers without an operator, all named with their places.
    """
    onnx = library("onnx", "onnx", "export")
    inputs = [as_array(x, where="export") for x in as_tuple(example)]
    with untouched(model):
        model.eval()
        draft, seen = _drafted(model, inputs)
        _write_calls(draft, seen, operators)
        outputs = [_output(draft, seen, node, number) for number, node in enumerate(seen.outputs)]
        given = list(zip([draft.tensors[id(node)] for node in seen.inputs], seen.inputs))
        file = _file(onnx, type(model).__name__, draft, given, outputs)
    if file.ByteSize() >= LARGEST:
        raise ValueError(f"export: an ONNX file holds less than 2 GiB, got {file.ByteSize():,} bytes; use .mlxfn")
    onnx.checker.check_model(file, full_check=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(file.SerializeToString())


def _drafted(model: Module, inputs: list[mx.array]) -> tuple[Draft, Pass]:
    """The model's calls on a batch of a length that nothing else has, so that the batch is told apart from the rest.

    Nothing is computed: only shapes are looked at. A model that takes its example's batch alone is written for it.
    """
    if any(x.ndim == 0 or x.shape[0] == 0 for x in inputs):
        raise ValueError(f"export: expected example inputs with a batch in front, got {[x.shape for x in inputs]}")
    size = inputs[0].shape[0]
    many = [mx.zeros((BATCH, *x.shape[1:]), x.dtype) if x.shape[0] == size else x for x in inputs]
    try:
        return Draft(BATCH, _paths(model)), Pass(model, tuple(many), "export")
    except (ValueError, IndexError):
        return Draft(None, _paths(model)), Pass(model, tuple(inputs), "export")


def _paths(model: Module) -> dict[int, str]:
    return {id(cell): path for path, cell in model.named_items() if isinstance(cell, Buffer)}


def _write_calls(draft: Draft, seen: Pass, operators: dict[type, Callable[[Call], Any]]) -> None:
    """Every call's operators, in order; what has none is named, all at once."""
    for number, node in enumerate(seen.inputs):
        given = seen.model.inputs[number].name if isinstance(seen.model, Graph) else None
        draft.tensors[id(node)] = draft.free(given or ("x" if len(seen.inputs) == 1 else f"x{number + 1}"))
    refused = []
    for name, node in seen.calls.items():
        if isinstance(node.module, Part):
            draft.tensors[id(node)] = draft.tensors[id(node.inputs[0])][node.module.index]
            continue
        call = Call(draft, name, node)
        write = _learned if isinstance(node.module, Learned) else operators.get(type(node.module))  # type: ignore[arg-type]
        try:
            if write is None:
                raise ValueError("")
            draft.tensors[id(node)] = call.finish(write(call))
        except ValueError as error:
            refused.append(f"{seen.title(name)}" + (f" ({error})" if str(error) else ""))
            several = isinstance(node.value, tuple)
            draft.tensors[id(node)] = [name] * len(node.value) if several else name
    if refused:
        raise ValueError(f"export: ONNX has no operator for {'; '.join(refused)}")


def _learned(call: Call) -> str:
    return call.cell(call.layer.parameter)


def _output(draft: Draft, seen: Pass, node: Node, number: int) -> tuple[str, Node]:
    """An output's tensor, under a name that no other input or output has."""
    tensor = draft.tensors[id(node)]
    taken = [draft.tensors[id(other)] for other in (*seen.inputs, *seen.outputs[:number])]
    if tensor in taken or tensor in draft.constants:
        tensor = draft.node("Identity", [tensor], [draft.free(f"output{number + 1}")])[0]
    return tensor, node


def _file(onnx: Any, name: str, draft: Draft, inputs: list[tuple[str, Node]], outputs: list[tuple[str, Node]]) -> Any:
    """The whole file, as onnx has it; operators whose result nobody uses are left out."""
    needed = {tensor for tensor, _ in outputs}
    kept = []
    for node in reversed(draft.nodes):
        if needed & set(node.outputs):
            needed |= set(node.inputs)
            kept.append(node)
    helper = onnx.helper
    nodes = [
        helper.make_node(node.kind, node.inputs, node.outputs, name=node.name, **node.attributes)
        for node in reversed(kept)
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array(array, order="C"), tensor)
        for tensor, array in draft.constants.items()
        if tensor in needed
    ]
    graph = helper.make_graph(
        nodes, name, [_typed(helper, draft, *pair) for pair in inputs],
        [_typed(helper, draft, *pair) for pair in outputs], constants,
    )  # fmt: skip
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(graph, opset_imports=[opset], producer_name="miniframe", ir_version=10)


def _typed(helper: Any, draft: Draft, tensor: str, node: Node) -> Any:
    """The type and the shape of an input or output; the batch has a name in place of a number."""
    sizes = [
        size if draft.batch is None or size == 0 or size % draft.batch else "batch" if size == draft.batch else None
        for size in node.value.shape
    ]
    kind = helper.np_dtype_to_tensor_dtype(draft.numpy_type(node.value.dtype))
    return helper.make_tensor_value_info(tensor, kind, sizes)
