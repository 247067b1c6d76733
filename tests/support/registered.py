"""A module of one's own, registered so that it can be saved."""

import mlx.core as mx

import miniframe as mf


@mf.register
class Block(mf.Module):
    """Shared layers, a settings dict, a private constant array, and an alias."""

    def __init__(self, width):
        self.dense = mf.Linear(width, width)
        self.options = {"steps": 2, "scale": (0.5, None)}
        self.again = [self.dense, mf.Tanh()]
        self._offset = mx.arange(width).astype(mx.float32)
        self.count = mf.Buffer(mx.array(3))

    def forward(self, x):
        for _ in range(self.options["steps"]):
            x = self.again[1](self.again[0](x)) * self.options["scale"][0]
        return x + self._offset
