"""Lesson 17: how much of a gradient arrives many steps earlier."""

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.plots.canvas import COLOURS, clean, legend, logarithmic, sheet

STEPS, HIDDEN = 60, 32


def reach(layer):
    """The size of the gradient of the last output at every step, the nearest first."""
    x = mx.array(np.random.default_rng(1).normal(size=(32, STEPS, 2)).astype(np.float32))
    y = layer(x)
    last = mx.zeros(y.shape)
    last[:, -1] = mx.array(np.random.default_rng(2).normal(size=y[:, -1].shape).astype(np.float32))
    dx = layer.backward(last)
    return np.array(mx.sqrt((dx**2).sum(axis=2)).mean(axis=0)[::-1])


def plain(factor):
    """A plain network whose state is turned and multiplied by a factor in every step, with small inputs."""
    mf.seed(0)
    layer = mf.RNN(2, HIDDEN, nonlinearity="relu")
    layer.weight_hh_l0.value = factor * mf.initializers.orthogonal((HIDDEN, HIDDEN))
    return layer


def opened():
    mf.seed(0)
    layer = mf.LSTM(2, HIDDEN)
    bias = np.array(layer.bias_ih_l0.value)
    bias[HIDDEN : 2 * HIDDEN] = 3
    layer.bias_ih_l0.value = mx.array(bias)
    return layer


def picture():
    mf.seed(0)
    layers = {"RNN, tanh, as it starts": mf.RNN(2, HIDDEN)}
    mf.seed(0)
    layers |= {
        "LSTM, as it starts": mf.LSTM(2, HIDDEN),
        "RNN, ReLU, weights twice an orthogonal matrix": plain(2.0),
        "LSTM, forget gate open": opened(),
    }
    figure, axes = sheet(1, 1, (7.6, 4.4))
    ax = axes[0, 0]
    for colour, marker, (name, layer) in zip((*COLOURS[1:3], COLOURS[4], COLOURS[0]), "s^vo", layers.items()):
        found = reach(layer)
        ax.plot(np.arange(STEPS), found / found[0], color=colour, marker=marker, markevery=5, label=name, linewidth=2)
    ax.set_ylim(1e-18, 1e18)  # all of it, and room for the names
    logarithmic(ax)
    ax.set_xlabel("steps back from the last output")
    ax.set_ylabel("gradient at the input, relative to the last step's")
    clean(ax)
    legend(ax, loc="upper left")
    return figure


FIGURES = {"lesson_17_reach.png": picture}
