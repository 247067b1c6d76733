"""Every layer's forward and backward as lines of code, in words that NumPy, PyTorch and MLX share.

A formula is given the ``Call`` it is to be written for, adds lines to ``call.forward`` and ``call.backward``, and says
with ``call.send`` and ``call.learn`` where gradients go. ``{xp}`` in a line is the library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .. import layers as mf
from ..core.module import Module
from ..layers.arithmetic import Add, Multiply


@dataclass
class Call:
    """One call of a layer, and the lines that are written for it.

    Attributes:
        layer: the layer that is called.
        x: the names of its inputs, and ``shapes``, their shapes.
        y, shape: the name and the shape of its output.
        library: "numpy", "torch" or "mlx".
        path: the layer's name in the model; parameters are ``p["path.weight"]``.
        taken: the gradients, of the whole script, that have their first share already.
        title: the call in words.
    """

    layer: Any
    x: list[str]
    shapes: list[tuple[int, ...]]
    y: str
    shape: tuple[int, ...]
    library: str
    path: str
    taken: set[str]
    title: str
    forward: list[str] = field(default_factory=list)
    backward: list[str] = field(default_factory=list)

    @property
    def dy(self) -> str:
        return f"d{self.y}"

    def cell(self, name: str, book: str = "p") -> str:
        """How the code calls a parameter (in p) or its gradient (in g)."""
        return f'{book}["{self.path}.{name}"]' if self.path else f'{book}["{name}"]'

    def own(self, name: str) -> str:
        """A name for something that backward needs again."""
        return f"{self.y}_{name}"

    def add(self, target: str, value: str) -> None:
        """``target = value`` the first time, and the sum of all shares later on."""
        self.backward.append(f"{target} = {target} + {value}" if target in self.taken else f"{target} = {value}")
        self.taken.add(target)

    def learn(self, name: str, value: str) -> None:
        self.add(self.cell(name, "g"), value)

    def send(self, value: str, to: int = 0) -> None:
        self.add(f"d{self.x[to]}", value)


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


def _padded(call: Call, fill: str) -> str:
    """Lines that add the rows and columns around the image; returns the padded image's name."""
    (top, bottom), (left, right) = call.layer.window.padding
    if not call.layer.window.padded:
        return call.x[0]
    name = call.own("padded")
    if call.library == "torch":
        pad = f"torch.nn.functional.pad({call.x[0]}, (0, 0, {left}, {right}, {top}, {bottom}), value={fill})"
    else:
        pad = f"{{xp}}.pad({call.x[0]}, [(0, 0), ({top}, {bottom}), ({left}, {right}), (0, 0)], constant_values={fill})"
    call.forward.append(f"{name} = {pad}")
    return name


def _windows(call: Call, image: str) -> tuple[list[str], str]:
    """(the two loops over the window's positions, what position (u, v) sees of the image)."""
    window = call.layer.window
    spans = []
    for index, size, stride, dilation in zip("uv", call.shape[1:3], window.stride, window.dilation):
        start = index if dilation == 1 else f"{dilation} * {index}"
        step = "" if stride == 1 else f" : {stride}"
        spans.append(f"{start} : {start} + {stride * (size - 1) + 1}{step}")
    loops = [f"for u in range({window.kernel[0]}):", f"    for v in range({window.kernel[1]}):"]
    return loops, f"{image}[:, {spans[0]}, {spans[1]}]"


def _send_cropped(call: Call, padded: str) -> None:
    """The gradient of the image, from the gradient of the image with its border."""
    (top, _), (left, _) = call.layer.window.padding
    _, height, width, _ = call.shapes[0]
    whole = not call.layer.window.padded
    call.send(padded if whole else f"{padded}[:, {top} : {top + height}, {left} : {left + width}]")


def _conv(call: Call) -> None:
    if call.layer.groups > 1:
        raise ValueError("groups > 1")
    weight, image, rows = call.cell("weight"), _padded(call, "0.0"), call.own("grad")
    loops, view = _windows(call, image)
    call.forward.append(f"{call.y} = {call.cell('bias') if call.layer.bias is not None else '0.0'}")
    call.forward += [*loops, f"        {call.y} = {call.y} + {view} @ {weight}[:, u, v].T"]
    channels, filters = call.layer.in_channels, call.layer.out_channels
    call.backward += [f"{rows} = {{xp}}.zeros_like({image})", f"{call.own('dw')} = {{xp}}.zeros_like({weight})", *loops]
    call.backward += [
        f"        {call.own('seen')} = {view}.reshape(-1, {channels})",
        f"        {call.own('dw')}[:, u, v] = {call.dy}.reshape(-1, {filters}).T @ {call.own('seen')}",
        f"        {_windows(call, rows)[1]} += {call.dy} @ {weight}[:, u, v]",
    ]
    call.learn("weight", call.own("dw"))
    if call.layer.bias is not None:
        call.learn("bias", f"{call.dy}.sum((0, 1, 2))")
    _send_cropped(call, rows)


def _max_pool(call: Call) -> None:
    image, grad, free = _padded(call, 'float("-inf")'), call.own("grad"), call.own("free")
    loops, view = _windows(call, image)
    first = view.replace(": u + ", ": ").replace(": v + ", ": ").replace("[:, u ", "[:, 0 ").replace(", v ", ", 0 ")
    call.forward += [f"{call.y} = {first}", *loops, f"        {call.y} = {{xp}}.maximum({call.y}, {view})"]
    call.backward += [
        f"{grad}, {free} = {{xp}}.zeros_like({image}), {{xp}}.ones_like({call.y})",
        *loops,
        f"        {call.own('hit')} = ({view} == {call.y}) * {free}  # the first of several equal pixels takes all",
        f"        {_windows(call, grad)[1]} += {call.own('hit')} * {call.dy}",
        f"        {free} = {free} - {call.own('hit')}",
    ]
    _send_cropped(call, grad)


def _avg_pool(call: Call) -> None:
    image, grad = _padded(call, "0.0"), call.own("grad")
    loops, view = _windows(call, image)
    count = call.layer.window.kernel[0] * call.layer.window.kernel[1]
    call.forward += [f"{call.y} = 0.0", *loops, f"        {call.y} = {call.y} + {view} / {count}"]
    call.backward += [f"{grad} = {{xp}}.zeros_like({image})", *loops]
    call.backward.append(f"        {_windows(call, grad)[1]} += {call.dy} / {count}")
    _send_cropped(call, grad)


def _global_avg_pool(call: Call) -> None:
    _, height, width, _ = call.shapes[0]
    call.forward.append(f"{call.y} = {call.x[0]}.mean((1, 2))")
    call.send(f"{{xp}}.ones_like({call.x[0]}) * {call.dy}[:, None, None] / {height * width}")


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


def count_of(sizes: tuple[int, ...]) -> str:
    """How many numbers there are in a batch of samples of these sizes."""
    return " * ".join(["len(x)"] + ([str(math.prod(sizes))] if math.prod(sizes) != 1 else []))


def _batch_norm(call: Call) -> None:
    _normalized(call, tuple(range(len(call.shape) - 1)), follow=True)


def _layer_norm(call: Call) -> None:
    _normalized(call, tuple(range(-len(call.layer.normalized_shape), 0)), follow=False)


def _dropout(call: Call) -> None:
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
    mf.Conv2d: _conv,
    mf.MaxPool2d: _max_pool,
    mf.AvgPool2d: _avg_pool,
    mf.GlobalAvgPool2d: _global_avg_pool,
    mf.Flatten: _reshaped,
    mf.BatchNorm: _batch_norm,
    mf.LayerNorm: _layer_norm,
    mf.Dropout: _dropout,
    Add: _add,
    Multiply: _multiply,
    mf.Concatenate: _concatenate,
    mf.Softmax: _softmax,
    mf.Identity: _elementwise("{x}", "{dy}"),
    mf.Tanh: _elementwise("{xp}.tanh({x})", "{dy} * (1 - {y} * {y})"),
    mf.Sigmoid: _elementwise("1 / (1 + {xp}.exp(-{x}))", "{dy} * {y} * (1 - {y})"),
    mf.ReLU: _elementwise("{x} * ({x} > 0)", "{dy} * ({x} > 0)"),
    mf.LeakyReLU: _elementwise("{xp}.where({x} > 0, {x}, {slope} * {x})", "{xp}.where({x} > 0, {dy}, {slope} * {dy})"),
    mf.SiLU: _elementwise("{x} / (1 + {xp}.exp(-{x}))", "{dy} * ({y} + (1 - {y}) / (1 + {xp}.exp(-{x})))"),
}
