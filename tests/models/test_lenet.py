"""LeNet learns, compiled or not."""

import mlx.core as mx
import numpy as np
from harness import close, normal

import miniframe as mf
from miniframe import models


def test_lenet_learns_a_batch_by_heart_compiled_or_not():
    x, y = mx.array(normal(20, 28, 28, 1).astype(np.float32)), mx.arange(20) % 10
    losses, learned = [], []
    for compile in (False, True):
        mf.seed(0)
        model = models.lenet()
        optimizer = mf.SGD(model, lr=0.05, momentum=0.9)
        options = dict(loss="cross_entropy", epochs=30, batch_size=20, shuffle=False, verbose=0)
        losses.append(model.fit(x, y, optimizer=optimizer, compile=compile, **options).history["loss"])
        learned.append([*(p.value for p in model.parameters()), model.predict(x)])
    assert losses[0][-1] < 0.5 * losses[0][0]
    close(losses[1][:10], losses[0][:10], 1e-3)
    for compiled, plain in zip(learned[1], learned[0], strict=True):
        close(compiled, plain, 1e-2)
