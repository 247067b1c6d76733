"""Lesson 22: the loss with the right backward and with a wrong one, on the disk; same weights, same batches."""

import warnings

import mlx.core as mx
import numpy as np
from boxes import BLUE, ORANGE

import miniframe as mf
from miniframe.plots.canvas import caption, legend, logarithmic, sheet

X, LABELS = mf.datasets.disk(500, seed=0)
X, Y = (X - 0.5) * 12**0.5, mf.one_hot(LABELS, 2)


class TooLarge(mf.MSELoss):
    def derivative(self, prediction, target):
        return 2 * (prediction - target) * prediction.size


class Transposed(mf.Linear):
    def backward(self, grad_output):
        x = self.saved
        self.weight.accumulate(x.T @ grad_output)
        self.bias.accumulate(grad_output.sum(axis=0))
        return grad_output @ self.weight.value


class Maskless(mf.Dropout):
    def backward(self, grad_output):
        return grad_output


class Confused(mf.Tanh):
    def forward(self, x):
        self.saved = x
        return mx.tanh(x)


class StuckAdam(mf.Adam):
    """Adam whose bias correction always believes that this is the first step."""

    def update(self, grad, value, lr, *state):
        first, second = state[:2]
        first = 0.9 * first + 0.1 * grad
        second = 0.999 * second + 0.001 * grad * grad
        step = (first / (1 - 0.9)) / (mx.sqrt(second / (1 - 0.999)) + 1e-8)
        return value - lr * step, first, second, *state[2:]


def sgd(lr=0.1):
    return lambda model: mf.SGD(model, lr=lr)


def curve(tanh=mf.Tanh, middle=mf.Linear, extra=None, loss=mf.MSELoss, optimizer=None, forget=True, epochs=30):
    """The loss of every epoch; it stops where the numbers explode."""
    mf.seed(0)
    layers = [mf.Linear(2, 16), tanh(), middle(16, 16), tanh(), mf.Linear(16, 2)]
    model = mf.Sequential(*layers[:4], *([extra(0.5)] if extra else []), layers[4])
    loss, optimizer = loss(model), (optimizer or sgd())(model)
    means = []
    for epoch in range(epochs):
        total = 0.0
        for xb, yb in mf.batches(X, Y, batch_size=50, shuffle=True, seed=epoch):
            if forget:
                model.zero_grad()
            total += loss(model(xb), yb).item()
            loss.backward()
            optimizer.step()
        means.append(min(total / 10, 1e6))
        if not means[-1] < 100:
            break
    return means


def curves():
    warnings.simplefilter("ignore", mf.GuardrailWarning)
    exhibits = {
        "1. missing 1/n": ({}, {"loss": TooLarge}),
        "2. transposed weight": ({}, {"middle": Transposed}),
        "4. Dropout without its mask": ({"extra": mf.Dropout}, {"extra": Maskless}),
        "6. input taken for output": ({"optimizer": sgd(0.3)}, {"optimizer": sgd(0.3), "tanh": Confused}),
        "8. gradients pile up": ({}, {"forget": False}),
        "9. Adam without the step": (
            {"optimizer": lambda m: mf.Adam(m, lr=0.02)},
            {"optimizer": lambda m: StuckAdam(m, lr=0.02)},
        ),
    }
    figure, axes = sheet(2, 3, (12, 6.6))
    for ax, (title, (right, wrong)) in zip(axes.flat, exhibits.items()):
        for options, label, colour, marker in ((right, "right", BLUE, "o"), (wrong, "wrong", ORANGE, "s")):
            values = curve(**options)
            if len(values) < 30:
                at = min(len(values) + 0.4, 29), float(np.clip(np.nan_to_num(values[-1], nan=9.0), 0.3, 1.2))
                ax.text(*at, f"explodes in epoch {len(values)}", color=ORANGE, fontsize=9)
            ax.plot(np.arange(1, len(values) + 1), values, color=colour, label=label, marker=marker, markersize=3)
        ax.set_ylim(0.02, 3)
        logarithmic(ax)
        ax.set_xlim(0, 31)
        ax.set_xlabel("epoch")
        caption(ax, title)
        legend(ax)
    for row in axes:
        row[0].set_ylabel("training loss")
    return figure


FIGURES = {"lesson_22_curves.png": curves}
