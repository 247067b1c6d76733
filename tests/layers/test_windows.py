"""Windows over images: cutting them out and adding them back are each other's adjoints."""

import mlx.core as mx
import numpy as np
from harness import close, normal

from miniframe.layers.windows import Window


def test_adding_shifted_pieces_is_the_adjoint_of_shifting():
    for window in (Window((3, 2), (2, 3), ((1, 0), (2, 1)), (2, 1)), Window((2, 2)), Window((1, 2), (3, 3))):
        x = mx.array(normal(2, 7, 8, 3).astype(np.float32))
        views = window.shifted(x)
        (n, oh, ow, c), (kh, kw) = views[0].shape, window.kernel
        shares = mx.array(normal(kh, n, oh, ow, kw, c, seed=1).astype(np.float32))
        there = sum((view * shares[k // kw, :, :, :, k % kw]).sum() for k, view in enumerate(views))
        back = (x * window.add_shifted(shares, 7, 8)).sum()
        close(there, back)
