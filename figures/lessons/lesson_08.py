"""Lesson 8: the size of the signal through twenty layers, and what becomes of it in training."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, caption, legend, logarithmic, sheet

STARTS = {  # name: (standard deviation times √n, activation)
    "Tanh, 1/√n": (1.0, mf.Tanh),
    "ReLU, √(2/n)": (2**0.5, mf.ReLU),
    "ReLU, 1/√n": (1.0, mf.ReLU),
    "Tanh, default": (3**-0.5, mf.Tanh),
    "ReLU, default": (3**-0.5, mf.ReLU),
}


def sizes(factor, activation, depth=20, n=100):
    key, x = mx.random.key(0), mx.random.normal((500, n), key=mx.random.key(1))
    found = [1.0]
    for _ in range(depth):
        key, own = mx.random.split(key)
        layer = mf.Linear(n, n, bias=False)
        layer.weight.value = factor / n**0.5 * mx.random.normal((n, n), key=own)
        x = activation()(layer(x))
        found.append(mx.sqrt(mx.mean(x * x)).item())
    return found


def losses(factor, activation, depth=12, width=50):
    x, labels = mf.datasets.disk(400, seed=0)
    mf.seed(0)
    layers = []
    for inputs in [2] + [width] * (depth - 1):
        linear = mf.Linear(inputs, width)
        linear.weight.value = factor / inputs**0.5 * mx.random.normal((width, inputs))
        linear.bias.value = mx.zeros((width,))
        layers += [linear, activation()]
    model = mf.Sequential(*layers, mf.Linear(width, 2))
    sgd = mf.SGD(model, lr=0.05)
    history = model.fit(
        (x - 0.5) * 12**0.5, labels, loss="cross_entropy", optimizer=sgd, epochs=40, batch_size=50, seed=0, verbose=0
    )
    return history.history["loss"]


def signal():
    figure, axes = sheet(1, 2, (11, 4.4))
    left, right = axes[0]
    for (name, (factor, activation)), colour, marker in zip(STARTS.items(), COLOURS, "os^Dv"):
        style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.6, "label": name}
        left.plot(range(21), sizes(factor, activation), markevery=2, **style)
        right.plot(range(1, 41), losses(factor, activation), markevery=3, **style)
    logarithmic(left)
    left.set_xticks(np.arange(0, 21, 5))
    left.set_xlabel("layer")
    left.set_ylabel("size of the signal")
    right.set_xlabel("epoch")
    right.set_ylabel("loss")
    caption(left, "through 20 layers, before training")
    caption(right, "12 layers, biases 0, in training on the disk")
    legend(left, loc="lower left")
    return figure


FIGURES = {"lesson_08_sizes.png": signal}
