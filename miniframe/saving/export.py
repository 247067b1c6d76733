"""A model's forward pass as an MLX function file, for programs in Python, C++ or Swift that have MLX but no miniframe.

MLX exports a trace with a free batch size only if every operation in it can tell its output's shape from its inputs'.
Reshapes, slices and the fused multiply-add cannot, or fix the batch size silently, so while tracing they are spelled
with operations that can. The file is then tried on several batch sizes before it is handed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import Any

import mlx.core as mx

from ..backend.exponential import plain
from ..core.arrays import as_array, as_tuple
from ..core.cells import values_of
from ..core.module import Module
from ..core.tape import no_grad
from ..core.teach import teach
from ..core.untouched import untouched
from ..layers.transformable import transformable
from .files import Where, atomic_write
from .shapeless import free_of_fixed_shapes

BATCH = 1009  # while tracing, which computes nothing: a prime that no layer's size contains, to tell the batch apart
DEVICES = {"cpu": mx.Device(mx.cpu), "gpu": mx.Device(mx.gpu)}
WRITERS: dict[str, Callable[[Module, Where, Any], None]] = {}  # for files of other kinds, by their suffix
TRIED = (1, 2, 5)  # batch sizes on which the file must agree with the model


def export(model: Module, path: Where, example: Any, device: str = "cpu") -> None:
    """Write ``model``'s forward pass, in evaluation mode, to a file that ``mx.import_function(path)`` reads.

    The imported function takes the inputs, with any number of samples in front, and returns a list of outputs. MLX
    reads the file unchecked: a damaged one, unlike a saved model, can end the process that imports it.

    A path that ends with ``.onnx`` gives a file for onnxruntime, browsers, phones and the viewer Netron instead, with
    the names of the layers; its inputs are ``x``, or ``x1``, ``x2``, ..., or those of a Graph.

    Args:
        model: left as it was.
        path: of the file; MLX's own suffix is ``.mlxfn``, and ``.onnx`` makes an ONNX file.
        example: a batch of inputs, or a tuple of several; only shapes, dtypes and the sample values for the trial
            are taken from it.
        device: "cpu" or "gpu", where the function will run; it is written into the file, and a file for the CPU runs
            on every machine. An ONNX file holds no device.

    Raises:
        ImportError: for an ONNX file without the library onnx, naming the extra that brings it.
        ValueError: for a model with an operation that MLX cannot export for any batch size, or, of an ONNX file, for
            layers without an operator, all named at once.
        RuntimeError: outside of the main thread, where MLX (0.32) cannot run an exported function.

    >>> import tempfile
    >>> from miniframe import Linear
    >>> layer, path = Linear(2, 3), tempfile.mkdtemp() + "/layer.mlxfn"
    >>> layer.export(path, mx.zeros((1, 2)))
    >>> mx.import_function(path)(mx.zeros((5, 2)))[0].shape
    (5, 3)
    """
    if write := WRITERS.get(os.path.splitext(os.fspath(path))[1].lower()):
        return write(model, path, example)
    inputs = [as_array(x, where="export") for x in as_tuple(example)]
    if any(x.ndim == 0 or x.shape[0] == 0 for x in inputs):
        raise ValueError(f"export: expected example inputs with a batch in front, got {[x.shape for x in inputs]}")

    if current_thread() is not main_thread():
        raise RuntimeError(
            "export: MLX runs an exported function, and so the trial of the new file, in the main thread only, not in "
            f"{current_thread().name!r}; call export there"
        )
    if device not in DEVICES:
        raise ValueError(f"export: expected device to be one of {', '.join(DEVICES)}, got {device!r}")
    if not mx.is_available(DEVICES[device]):
        raise ValueError(f"export: expected a device of this machine, got {device!r}; it has none")

    def function(*arrays: mx.array) -> Any:
        return list(as_tuple(model(*arrays)))

    with untouched(model), no_grad(), atomic_write(path) as temporary, mx.stream(DEVICES[device]):
        model.eval()
        mx.eval(values_of([*model.parameters(), *model.buffers()]))
        try:
            with free_of_fixed_shapes(BATCH), transformable(), plain():
                traced = [mx.zeros((BATCH, *x.shape[1:]), dtype=x.dtype) for x in inputs]
                mx.export_function(str(temporary), function, *traced, shapeless=True)
            exported: Any = mx.import_function(str(temporary))
            for size in TRIED:
                batch = _batch(inputs, size)
                _compare(exported(*batch), function(*batch), size)
        except (ValueError, RuntimeError) as error:
            words = f"export: {type(model).__name__} cannot be exported for any batch size: {error}"
            raise ValueError(words) from error


def _batch(inputs: list[mx.array], size: int) -> list[mx.array]:
    """The example's samples, repeated to a batch of this size."""
    return [mx.take(x, mx.arange(size) % x.shape[0], axis=0) for x in inputs]


def _compare(exported: list[mx.array], expected: list[mx.array], size: int) -> None:
    for a, b in zip(exported, expected):
        if a.shape != b.shape:
            raise ValueError(f"for a batch of {size} the output has shape {a.shape} instead of {b.shape}")
        if not mx.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True).item():
            raise ValueError(f"for a batch of {size} the exported function gives other numbers")


teach(Module, export)
