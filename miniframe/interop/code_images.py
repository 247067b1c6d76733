"""Convolution and pooling as lines of code: loops over the window's positions, each of which sees a shifted image."""

from __future__ import annotations

from typing import Any

from .code_call import Call


def _window_of(call: Call) -> Any:
    """The window of a convolution, or of pooling as it slides over this image."""
    layer = call.layer
    return layer.window_on(*call.shapes[0][1:3]) if hasattr(layer, "window_on") else layer.window


def _padded(call: Call, fill: str) -> str:
    """Lines that add the rows and columns around the image; returns the padded image's name."""
    window = _window_of(call)
    (top, bottom), (left, right) = window.padding
    if not window.padded:
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
    window = _window_of(call)
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
    whole = not _window_of(call).padded
    call.send(padded if whole else f"{padded}[:, {top} : {top + height}, {left} : {left + width}]")


def conv(call: Call) -> None:
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


def max_pool(call: Call) -> None:
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


def avg_pool(call: Call) -> None:
    image, grad = _padded(call, "0.0"), call.own("grad")
    loops, view = _windows(call, image)
    count = call.layer.counts(*call.shapes[0][1:3])
    if not isinstance(count, int):
        raise ValueError("ceil_mode or padding that does not count")
    call.forward += [f"{call.y} = 0.0", *loops, f"        {call.y} = {call.y} + {view} / {count}"]
    call.backward += [f"{grad} = {{xp}}.zeros_like({image})", *loops]
    call.backward.append(f"        {_windows(call, grad)[1]} += {call.dy} / {count}")
    _send_cropped(call, grad)


def global_avg_pool(call: Call) -> None:
    _, height, width, _ = call.shapes[0]
    call.forward.append(f"{call.y} = {call.x[0]}.mean((1, 2))")
    call.send(f"{{xp}}.ones_like({call.x[0]}) * {call.dy}[:, None, None] / {height * width}")
