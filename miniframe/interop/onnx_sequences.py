"""Which operators of ONNX compute the layers of sequences: attention, positions, and layers with a memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..layers.positions import angles
from .layouts import as_numpy
from .onnx_call import Call

GATES = {mf.RNN: [0], mf.GRU: [1, 0, 2], mf.LSTM: [0, 3, 1, 2]}  # ours, in ONNX' order: zrn of rzn, iofg of ifgo


def whole(c: Call, k: int) -> str:
    """Input ``k`` as integers that can be indices."""
    dtype = c.dtypes[k]
    return c.x[k] if dtype in (mx.int32, mx.int64) else c.cast(c.x[k], dtype, mx.int64)


# -------------------------------------------------------------------- attention


def _attention(c: Call) -> str:
    layer = c.layer
    query, key, value = c.x[:3]
    shape, keys = c.shapes[0], c.shapes[1]
    if len(shape) == 4 and (group := shape[1] // keys[1]) > 1:  # neighbouring heads share a key
        rows = c.numbers(np.repeat(np.arange(keys[1]), group), what="heads")
        key, value = (c.op("Gather", x, rows, axis=1) for x in (key, value))
    scale = 1 / math.sqrt(shape[-1]) if layer.scale is None else layer.scale
    order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
    scores = c.op("MatMul", c.op("Mul", query, c.like(scale)), c.turn(key, *order))
    allowed = c.x[3] if len(c.x) > 3 else None
    if len(c.x) > 4:
        scores = c.op("Add", scores, c.x[4])
    if layer.causal:
        queries, count = shape[-2], keys[-2]
        earlier = c.numbers(np.arange(count) <= np.arange(count - queries, count)[:, None], bool, "earlier")
        allowed = earlier if allowed is None else c.op("And", allowed, earlier)
    if allowed is None:
        return str(c.op("MatMul", c.op("Softmax", scores, axis=-1), value))
    assert c.dtype is not None
    least = c.like(mx.finfo(c.dtype).min)
    weights = c.op("Softmax", c.op("Where", allowed, scores, least), axis=-1)
    return str(c.op("MatMul", c.op("Where", allowed, weights, c.like(0)), value))


def _split_heads(c: Call) -> str:
    batch, length, features = c.shapes[0]
    head = c.layer.head_dim
    return c.turn(c.reshape(c.x[0], c.shapes[0], (batch, length, features // head, head)), 0, 2, 1, 3)


def _merge_heads(c: Call) -> str:
    batch, heads, length, features = c.shapes[0]
    return c.reshape(c.turn(c.x[0], 0, 2, 1, 3), (batch, length, heads, features), (batch, length, heads * features))


# -------------------------------------------------------------------- positions


def _position_embedding(c: Call) -> str:
    weight = c.cell(c.layer.table.weight)
    rows = c.numbers(np.arange(c.shapes[0][-2]), what="places") if len(c.x) < 2 else whole(c, 1)
    return str(c.op("Add", c.x[0], c.op("Gather", weight, rows)))


def _waves(c: Call, base: float) -> tuple[str, str]:
    """The cosine and the sine of every place's angles."""
    x = mx.zeros((1, *c.shapes[0][1:]), c.dtypes[0])
    if len(c.x) < 2:
        angle = angles(x, None, base)
        cos, sin = (as_numpy(wave) for wave in (mx.cos(angle), mx.sin(angle)))
        return c.like(cos), c.like(sin)
    speeds = c.numbers(as_numpy(angles(x[..., :2, :], mx.array([1, 1]), base)[0]), np.float32, "speeds")
    places = c.x[1]
    if len(c.shapes[1]) == 2 and len(c.shapes[0]) == 4:  # the same for all heads
        places = c.op("Unsqueeze", places, c.numbers([1], what="axes"))
    places = c.op("Unsqueeze", c.cast(places, c.dtypes[1], mx.float32), c.numbers([-1], what="axes"))
    angle = c.op("Mul", places, speeds)
    dtype: Any = c.dtypes[0]
    return c.cast(c.op("Cos", angle), mx.float32, dtype), c.cast(c.op("Sin", angle), mx.float32, dtype)


def _sine_positions(c: Call) -> str:
    cos, sin = _waves(c, c.layer.max_wavelength)
    if sin in c.draft.constants:
        table = np.stack([c.draft.constants[sin], c.draft.constants[cos]], axis=-1)
        return str(c.op("Add", c.x[0], c.like(table.reshape(*table.shape[:-2], -1))))
    heads = len(c.shapes[1]) == 2 and len(c.shapes[0]) == 4
    return str(c.op("Add", c.x[0], _in_turn(c, sin, cos, len(c.shapes[1]) + heads)))


def _in_turn(c: Call, evens: str, odds: str, axes: int) -> str:
    """Features taken in turn from the two, which have so many axes before their last: (..., D/2) each -> (..., D)."""
    ends = c.numbers([-1], what="axes")
    pairs = c.op("Concat", c.op("Unsqueeze", evens, ends), c.op("Unsqueeze", odds, ends), axis=-1)
    return str(c.op("Reshape", pairs, c.numbers([0] * axes + [c.shapes[0][-1]], what="shape")))


def _rotary(c: Call) -> str:
    cos, sin = _waves(c, c.layer.base)
    x, last = c.x[0], c.shapes[0][-1]
    if c.layer.interleaved:
        a, b = (c.op("Gather", x, c.numbers(np.arange(k, last, 2), what="pairs"), axis=-1) for k in (0, 1))
    else:
        a, b = c.op("Split", x, c.numbers([last // 2] * 2, what="sizes"), axis=-1, outputs=2)
    first = c.op("Sub", c.op("Mul", a, cos), c.op("Mul", b, sin))
    second = c.op("Add", c.op("Mul", a, sin), c.op("Mul", b, cos))
    if c.layer.interleaved:
        return _in_turn(c, first, second, len(c.shapes[0]) - 1)
    return str(c.op("Concat", first, second, axis=-1))


# -------------------------------------------------------------------- layers with a memory


def _recurrent(c: Call) -> Any:
    """One operator for each layer, which reads in all its directions."""
    layer = c.layer
    if mx.bool_ in c.dtypes:
        raise ValueError("with a mask")
    directions, starts = layer.directions, [c.turn(x, 1, 0, 2) for x in c.x[1:]]
    sequence, ends = c.turn(c.x[0], 1, 0, 2), []  # time in front
    for level in range(layer.num_layers):
        tracks = layer.tracks(level)
        initial = [_rows(c, start, tracks) for start in starts] or []
        weights = _weights(c, tracks, level)
        bias = weights[2] if layer.biased else ""
        outputs = c.op(
            type(layer).__name__, sequence, *weights[:2], bias, *([""] + initial if initial else []),
            outputs=1 + layer.states, hidden_size=layer.hidden_size,
            direction="bidirectional" if directions == 2 else "forward", **_options(layer),
        )  # fmt: skip
        ends.append(outputs[1:])
        sequence = c.op("Transpose", outputs[0], perm=[0, 2, 1, 3])  # (T, D, N, H) -> (T, N, D, H)
        sequence = c.op("Reshape", sequence, c.numbers([0, 0, directions * layer.hidden_size], what="shape"))
    states = [c.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0] for parts in zip(*ends)]
    if layer.return_sequences:
        y = c.turn(sequence, 1, 0, 2)
    else:
        last = c.turn(ends[-1][0], 1, 0, 2)
        y = c.op("Reshape", last, c.numbers([0, directions * layer.hidden_size], what="shape"))
    return [y, *(c.turn(state, 1, 0, 2) for state in states)] if layer.return_state else y


def _rows(c: Call, start: str, tracks: range) -> str:
    """The states of these tracks, out of those of all."""
    ends = (c.numbers([value], what=what) for value, what in ((tracks.start, "start"), (tracks.stop, "stop")))
    return str(c.op("Slice", start, *ends, c.numbers([0], what="axes")))


def _options(layer: Any) -> dict[str, Any]:
    if type(layer) is mf.GRU:
        return {"linear_before_reset": 1}
    return {"activations": [layer.nonlinearity.capitalize()] * layer.directions} if type(layer) is mf.RNN else {}


def _weights(c: Call, tracks: range, level: int) -> list[str]:
    """W, R and B of all directions, their blocks in ONNX' order."""
    kinds: list[list[np.ndarray]] = [[], [], []]
    for track in tracks:
        own = [None if cell is None else _blocks(c.layer, as_numpy(cell.value)) for cell in c.layer.weights(track)]
        kinds[0].append(own[0])  # type: ignore[arg-type]
        kinds[1].append(own[1])  # type: ignore[arg-type]
        if c.layer.biased:
            kinds[2].append(np.concatenate([own[2], own[3]]))  # type: ignore[list-item]
    names = ("weight_ih", "weight_hh", "bias")
    return [c.draft.constant(f"{c.name}.{name}_l{level}", np.stack(kind)) for kind, name in zip(kinds, names) if kind]


def _blocks(layer: Any, array: np.ndarray) -> np.ndarray:
    """The gates' rows in ONNX' order."""
    blocks = np.split(array, layer.gates)
    return np.concatenate([blocks[k] for k in GATES[type(layer)]])


SEQUENCES: dict[type, Callable[[Call], Any]] = {
    mf.ScaledDotProductAttention: _attention,
    mf.SplitHeads: _split_heads,
    mf.MergeHeads: _merge_heads,
    mf.PositionEmbedding: _position_embedding,
    mf.SinePositionEncoding: _sine_positions,
    mf.RotaryEmbedding: _rotary,
    mf.RNN: _recurrent,
    mf.GRU: _recurrent,
    mf.LSTM: _recurrent,
}
