"""The table of conventions is true: every entry is computed with the library that it is about."""

import os
from pathlib import Path

import mlx.core as mx
import mlx.nn as mnn
import mlx.optimizers as optim
import numpy as np
import pytest
import torch

import miniframe as mf
from miniframe.interop.conventions import CONVENTIONS, LIBRARIES, table

PAGE = Path(__file__).parents[2] / "docs" / "conventions.md"


def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


def last_state(library, kind, bias, start):
    """The state after one step of a recurrent layer of one unit, with all weights zero but a bias for each gate."""
    count = len(bias)
    if library == "miniframe":
        layer = getattr(mf, kind)(1, 1)
        for p in layer.parameters():
            p.value = mx.zeros(p.shape)
        layer.bias_ih_l0.value = mx.array(bias)
        state = [mx.full((1, 1, 1), s) for s in start]
        return layer(mx.zeros((1, 1, 1)), *state).item()
    if library == "PyTorch":
        layer = getattr(torch.nn, kind)(1, 1, batch_first=True)
        for p in layer.parameters():
            p.data.zero_()
        layer.bias_ih_l0.data = torch.tensor(bias)
        state = tuple(torch.full((1, 1, 1), s) for s in start)
        return layer(torch.zeros(1, 1, 1), state if count == 4 else state[0])[0].item()
    if library == "mlx.nn":
        layer = getattr(mnn, kind)(1, 1)
        layer.update({name: mx.zeros(array.shape) for name, array in layer.parameters().items()})
        layer.update({"bias" if count == 4 else "b": mx.array(bias)})
        y = layer(mx.zeros((1, 1, 1)), *[mx.full((1, 1), s) for s in start])
        return (y[0] if isinstance(y, tuple) else y).item()
    layer = getattr(keras().layers, kind)(1)
    layer.build((1, 1, 1))
    zeros = np.zeros_like(bias)
    layer.set_weights(
        [np.zeros((1, count)), np.zeros((1, count)), np.array(bias) if count == 4 else np.array([bias, zeros])]
    )
    return float(layer(np.zeros((1, 1, 1)), initial_state=[np.full((1, 1), s) for s in start])[0, 0])


def gates(library, kind):
    """Which gate each row belongs to: wide open, each gives another state."""
    if kind == "LSTM":  # h = o tanh(f c + i g), from c = 2, where all others are half open and g is 0
        start, known = [0.0, 2.0], {0.3808: "i", 0.4820: "f", 0.4526: "g", 0.7616: "o"}
    else:  # h = (1 - z) n + z h, from h = 3
        start, known = [3.0], {1.5: "r", 3.0: "z", 2.0: "n"}
    found = []
    for row in range(len(known)):
        bias = [30.0 if k == row else 0.0 for k in range(len(known))]
        state = last_state(library, kind, bias, start)
        found.append(next(gate for value, gate in known.items() if abs(value - state) < 1e-3))
    return " ".join(found)


def adam(library):
    """How far the first step goes with lr = 1, on a gradient of 1."""
    if library == "miniframe":
        layer = mf.Linear(1, 1, bias=False)
        layer.weight.value = mx.zeros((1, 1))
        optimizer = mf.Adam(layer, lr=1.0)
        layer.weight.accumulate(mx.ones((1, 1)))
        optimizer.step()
        return round(-layer.weight.value.item(), 2)
    if library == "PyTorch":
        p = torch.nn.Parameter(torch.zeros(1))
        p.grad = torch.ones(1)
        torch.optim.Adam([p], lr=1.0).step()
        return round(-p.item(), 2)
    if library == "mlx.nn":
        return round(-optim.Adam(1.0).apply_gradients({"p": mx.ones(1)}, {"p": mx.zeros(1)})["p"].item(), 2)
    p = keras().Variable(np.zeros(1, np.float32))
    keras().optimizers.Adam(1.0).apply([keras().ops.ones(1)], [p])
    return round(-float(np.array(p)[0]), 2)


ENTRIES = [
    pytest.param(library, value, expression, id=f"{row.topic}, {library}")
    for row in CONVENTIONS
    for library, (value, expression) in zip(LIBRARIES, row.entries, strict=True)
]


@pytest.mark.parametrize("library, value, expression", ENTRIES)
def test_every_entry_holds(library, value, expression):
    names = {
        "mf": mf, "torch": torch, "nn": torch.nn, "mx": mx, "mnn": mnn, "optim": optim, "np": np, "gates": gates,
        "adam": adam,
    }  # fmt: skip
    if library == "Keras":
        names["keras"] = keras()
    assert eval(expression, names) == value


def test_the_page_is_the_table_and_the_table_is_printed(capsys):
    assert table() in PAGE.read_text()
    mf.interop.conventions()
    assert capsys.readouterr().out == table() + "\n"
