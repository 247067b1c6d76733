"""U-Net: down to what is in a picture, up to where it is, and across with what was seen on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..core.module import Module
from ..core.sequential import Sequential
from ..layers import Conv2d, ConvTranspose2d, MaxPool2d, SiLU, concatenate


def _convolutions(inputs: int, outputs: int) -> Sequential:
    return Sequential(
        Conv2d(inputs, outputs, 3, padding=1), SiLU(), Conv2d(outputs, outputs, 3, padding=1), SiLU()
    )  # fmt: skip


class UNet(Module):
    """A picture in, a picture of the same size out, for every pixel from all around it.

        down:   dₖ = convolutions(dₖ₋₁ pooled),      up:   uₖ = convolutions([dₖ, uₖ₊₁ enlarged])

    Ronneberger, Fischer and Brox 2015. It only composes other layers, so its backward is their calls, last to first.

    Args:
        in_channels, out_channels: last axis of the input and of the output.
        width: channels at full size; twice as many on each floor below.
        depth: how often the picture is halved.

    Shapes: (N, H, W, in_channels) -> (N, H, W, out_channels), with H and W divisible by 2 ** depth.

    >>> import mlx.core as mx
    >>> UNet(1, 2, width=4, depth=2)(mx.zeros((1, 8, 12, 1))).shape
    (1, 8, 12, 2)
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 16, depth: int = 2) -> None:
        if min(in_channels, out_channels, width, depth) < 1:
            raise ValueError(
                f"UNet: expected positive sizes, got {in_channels}, {out_channels}, {width} and {depth}"
            )  # fmt: skip
        self.depth = depth
        widths = [width * 2**k for k in range(depth + 1)]
        self.down = [_convolutions(in_channels, width)]
        self.pool = MaxPool2d(2)
        self.down += [_convolutions(a, b) for a, b in zip(widths, widths[1:])]
        self.enlarge: list[ConvTranspose2d] = []
        self.up: list[Sequential] = []
        for b in reversed(widths[:-1]):
            self.enlarge.append(ConvTranspose2d(2 * b, b, 2, stride=2))
            self.up.append(_convolutions(2 * b, b))
        self.head = Conv2d(width, out_channels, 1)

    def settings(self) -> str:
        return f"depth {self.depth}"

    def children(self) -> Iterator[tuple[str, Any]]:
        """The layers in the order in which they run, not list by list."""
        down = ["down.0", "pool", *(f"down.{k}" for k in range(1, self.depth + 1))]
        up = [f"{part}.{k}" for k in range(self.depth) for part in ("enlarge", "up")]
        place = {name: number for number, name in enumerate([*down, *up, "head"])}
        yield from sorted(super().children(), key=lambda child: place.get(child[0], len(place)))

    def forward(self, x: Any) -> Any:
        height, width = x.shape[1:3]
        if height is not None and width is not None and (height % 2**self.depth or width % 2**self.depth):
            raise ValueError(
                f"UNet: expected height and width divisible by {2**self.depth}, got {height}x{width}; pad the picture"
            )
        seen: list[Any] = []
        for block in self.down:
            x = block(x if not seen else self.pool(seen[-1]))
            seen.append(x)
        for enlarge, block, across in zip(self.enlarge, self.up, reversed(seen[:-1])):
            x = block(concatenate((across, enlarge(x)), axis=-1))
        return self.head(x)


def unet(in_channels: int = 1, out_channels: int = 1, width: int = 16, depth: int = 2) -> UNet:
    """A small U-Net.

    >>> sum(p.size for p in unet().parameters())
    116753
    """
    return UNet(in_channels, out_channels, width, depth)
