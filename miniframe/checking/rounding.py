"""Does a layer really compute in double precision? Steps that float32 cannot see tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core import random
from ..core.arrays import as_tuple, is_floating
from ..core.cells import put_values, values_of
from ..core.module import Module
from ..core.tape import no_grad
from ..graph.passes import Pass
from ..losses.base import Loss

DOUBLE, SINGLE = 2.0**-52, 2.0**-23
STEPS = 1e-3, 1e-5, 1e-7, 1e-9, 1e-11  # relative


def layer_calls(module: Module, inputs: Sequence[Any], seed: int) -> Iterator[tuple[str, Module, tuple[Any, ...]]]:
    """(path, layer, inputs) of each layer's first call inside the module; none for a module that is a layer itself."""
    if isinstance(module, Loss) or not (module.flattens or module.composes()):
        return
    random.seed(seed)
    seen, known = Pass(module, tuple(inputs), "check_gradients"), set()
    for name, node in seen.layers():
        if id(node.module) not in known:
            known.add(id(node.module))
            yield name, node.module, tuple(source.value for source in node.inputs)  # type: ignore[misc]


def computes_in_float32(module: Module, inputs: Sequence[Any], seed: int) -> bool:
    """Whether outputs, moved by shorter and shorter steps, jump by the seventh digit and never by less."""
    if not any(isinstance(x, mx.array) and is_floating(x) for x in inputs):
        return False
    buffers = list(module.buffers())
    before = values_of(buffers)

    def outputs(step: float) -> np.ndarray:
        rng = np.random.default_rng([seed, 2])
        moved = [_moved(x, step, rng) for x in inputs]
        random.seed(seed)
        with no_grad():
            found = as_tuple(module.forward(*moved))
        put_values(buffers, before)
        return np.concatenate([np.array(y, dtype=np.float64).ravel() for y in found])

    try:
        still, moved = outputs(0.0), np.stack([outputs(step) for step in STEPS])
    except (ValueError, TypeError):  # values that the layer refuses, such as targets that must be exact
        return False
    with np.errstate(all="ignore"):
        jumps = abs(moved - still) / abs(still)
    jumps = np.where((jumps > 0) & np.isfinite(jumps), jumps, np.inf)
    jumps = jumps[:, np.isfinite(jumps).any(axis=0)]  # the outputs that can be moved at all
    if not jumps.size:
        return False
    unseen = np.isinf(jumps[-2:]).all(axis=0).mean()
    return bool(unseen > 0.8 and np.median(jumps.min(axis=0)) > 1e-9)


def _moved(x: Any, step: float, rng: np.random.Generator) -> Any:
    if not isinstance(x, mx.array) or not is_floating(x):
        return x
    values = np.array(x, dtype=np.float64)
    return mx.array(values * (1 + step * rng.uniform(0.5, 1, values.shape)), dtype=mx.float64)
