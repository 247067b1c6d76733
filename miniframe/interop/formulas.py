"""Every layer's forward and backward as lines of code, in words that NumPy, PyTorch and MLX share.

A formula is given the ``Call`` it is to be written for, adds lines to ``call.forward`` and ``call.backward``, and says
with ``call.send`` and ``call.learn`` where gradients go. ``{xp}`` in a line is the library.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import layers as mf
from ..core.module import Module
from ..layers.arithmetic import Add, Multiply
from . import code_images, code_recurrent, code_sequences
from .code_call import Call, count_of


def _elementwise(y: str, dx: str) -> Callable[[Call], None]:
    """A formula from y(x) and dx(x, y, dy)."""

    def write(call: Call) -> None:
        names = {"x": call.x[0], "y": call.y, "dy": call.dy, "xp": "{xp}", **vars(call.layer)}
        call.forward.append(f"{call.y} = {y.format(**names)}")
        call.send(dx.format(**names))

    return write


def _linear(call: Call) -> None:
    weight, x, dy = call.cell("weight"), call.x[0], call.dy
    bias = f" + {call.cell('bias')}" if call.layer.bias is not None else ""
    call.forward.append(f"{call.y} = {x} @ {weight}.T{bias}")
    if len(call.shape) > 2:  # samples and places alike are rows
        x, dy = f"{x}.reshape(-1, {call.layer.in_features})", f"{dy}.reshape(-1, {call.layer.out_features})"
    call.learn("weight", f"{dy}.T @ {x}")
    if bias:
        call.learn("bias", f"{dy}.sum(0)")
    call.send(f"{call.dy} @ {weight}")


def _reshaped(call: Call) -> None:
    call.forward.append(f"{call.y} = {call.x[0]}.reshape({', '.join(map(str, ('len(x)', *call.shape[1:])))})")
    call.send(f"{call.dy}.reshape({call.x[0]}.shape)")


def _normalized(call: Call, axes: tuple[int, ...], follow: bool) -> None:
    """BatchNorm and LayerNorm: the same formula over other axes."""
    x, mean, variance, hat = call.x[0], call.own("mean"), call.own("variance"), call.own("hat")
    inverse, d_hat, layer = call.own("inverse"), f"d{call.own('hat')}", call.layer
    call.forward += [
        f"{mean} = {x}.mean({axes}, keepdims=True)",
        f"{variance} = (({x} - {mean}) ** 2).mean({axes}, keepdims=True)",
        f"{inverse} = 1 / {{xp}}.sqrt({variance} + {layer.eps})",
        f"{hat} = ({x} - {mean}) * {inverse}",
    ]
    for statistic, name in ((mean, "running_mean"), (variance, "running_var")) if follow else ():
        count, cell = count_of(call.shape[1:-1]), call.cell(name)
        scale = f" * ({count} / ({count} - 1))" if name == "running_var" else ""
        new = f"{layer.momentum!r} * {statistic}.reshape(-1){scale}"
        call.forward.append(f"{cell} = (1 - {layer.momentum!r}) * {cell} + {new}")
    affine = hat if layer.weight is None else f"{hat} * {call.cell('weight')}"
    call.forward.append(f"{call.y} = {affine}" + (f" + {call.cell('bias')}" if layer.bias is not None else ""))
    rest = tuple(range(len(call.shape) - (1 if follow else len(layer.normalized_shape))))
    if layer.weight is not None:
        call.learn("weight", f"({call.dy} * {hat}).sum({rest})")
    if layer.bias is not None:
        call.learn("bias", f"{call.dy}.sum({rest})")
    call.backward += [
        f"{d_hat} = {call.dy}" + (f" * {call.cell('weight')}" if layer.weight is not None else ""),
        f"{call.own('shift')} = {d_hat}.mean({axes}, keepdims=True)",
        f"{call.own('scaling')} = ({d_hat} * {hat}).mean({axes}, keepdims=True)",
    ]
    call.send(f"({d_hat} - {call.own('shift')} - {hat} * {call.own('scaling')}) * {inverse}")


def _batch_norm(call: Call) -> None:
    _normalized(call, tuple(range(len(call.shape) - 1)), follow=True)


def _layer_norm(call: Call) -> None:
    _normalized(call, tuple(range(-len(call.layer.normalized_shape), 0)), follow=False)


def _dropout(call: Call) -> None:
    if call.layer.p == 0:
        return _elementwise("{x}", "{dy}")(call)
    keep, p, mask = 1 - call.layer.p, call.layer.p, call.own("mask")
    draw = {"numpy": "np.random.random", "torch": "torch.rand", "mlx": "mx.random.uniform"}[call.library]
    shape = f"shape={call.x[0]}.shape" if call.library == "mlx" else f"{call.x[0]}.shape"
    call.forward += [f"{mask} = ({draw}({shape}) >= {p}) / {keep!r}", f"{call.y} = {call.x[0]} * {mask}"]
    call.send(f"{call.dy} * {mask}")


def _equal(call: Call) -> None:
    if len({*call.shapes, call.shape}) > 1:
        raise ValueError("inputs that are broadcast")


def _add(call: Call) -> None:
    _equal(call)
    call.forward.append(f"{call.y} = {call.x[0]} + {call.x[1]}")
    call.send(call.dy, 0)
    call.send(call.dy, 1)


def _multiply(call: Call) -> None:
    _equal(call)
    call.forward.append(f"{call.y} = {call.x[0]} * {call.x[1]}")
    call.send(f"{call.dy} * {call.x[1]}", 0)
    call.send(f"{call.dy} * {call.x[0]}", 1)


def _concatenate(call: Call) -> None:
    axis = call.layer.axis % len(call.shape)
    call.forward.append(f"{call.y} = {{xp}}.concatenate([{', '.join(call.x)}], {axis})")
    start = 0
    for index, shape in enumerate(call.shapes):
        call.send(f"{call.dy}[{':, ' * axis}{start} : {start + shape[axis]}]", index)
        start += shape[axis]


def _softmax(call: Call) -> None:
    if call.layer.axis not in (-1, len(call.shape) - 1):
        raise ValueError(f"axis={call.layer.axis}")
    x, y, dy = call.x[0], call.y, call.dy
    call.forward += [f"{y} = {{xp}}.exp({x} - {largest(call.library, x)})", f"{y} = {y} / {y}.sum(-1, keepdims=True)"]
    call.send(f"{y} * ({dy} - ({dy} * {y}).sum(-1, keepdims=True))")


def largest(library: str, x: str) -> str:
    """The largest number of each row, in the library's words."""
    return f"{x}.{'amax' if library == 'torch' else 'max'}(-1, keepdims=True)"


FORMULAS: dict[type[Module], Callable[[Call], None]] = {
    mf.Linear: _linear,
    mf.Conv2d: code_images.conv,
    mf.MaxPool2d: code_images.max_pool,
    mf.AvgPool2d: code_images.avg_pool,
    mf.GlobalAvgPool2d: code_images.global_avg_pool,
    mf.Flatten: _reshaped,
    mf.BatchNorm: _batch_norm,
    mf.LayerNorm: _layer_norm,
    mf.Dropout: _dropout,
    Add: _add,
    Multiply: _multiply,
    mf.Concatenate: _concatenate,
    mf.Softmax: _softmax,
    mf.Embedding: code_sequences.embedding,
    mf.PositionEmbedding: code_sequences.positions,
    mf.SplitHeads: code_sequences.split_heads,
    mf.MergeHeads: code_sequences.merge_heads,
    mf.ScaledDotProductAttention: code_sequences.attention,
    mf.GELU: code_sequences.gelu,
    **dict.fromkeys((mf.RNN, mf.GRU, mf.LSTM), code_recurrent.recurrent),
    mf.Identity: _elementwise("{x}", "{dy}"),
    mf.Tanh: _elementwise("{xp}.tanh({x})", "{dy} * (1 - {y} * {y})"),
    mf.Sigmoid: _elementwise("1 / (1 + {xp}.exp(-{x}))", "{dy} * {y} * (1 - {y})"),
    mf.ReLU: _elementwise("{x} * ({x} > 0)", "{dy} * ({x} > 0)"),
    mf.LeakyReLU: _elementwise("{xp}.where({x} > 0, {x}, {slope} * {x})", "{xp}.where({x} > 0, {dy}, {slope} * {dy})"),
    mf.ReLU6: _elementwise("{x} * ({x} > 0) * ({x} < 6) + 6.0 * ({x} >= 6)", "{dy} * (({x} > 0) & ({x} < 6))"),
    mf.SiLU: _elementwise("{x} / (1 + {xp}.exp(-{x}))", "{dy} * ({y} + (1 - {y}) / (1 + {xp}.exp(-{x})))"),
}
