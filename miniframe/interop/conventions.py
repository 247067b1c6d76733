"""What four libraries do differently where they look alike, as data: each entry says what holds and how to see it.

A test computes every entry with the library itself. In the expressions, ``mf``, ``torch``, ``nn`` (PyTorch's), ``mx``,
``mnn`` and ``optim`` (MLX's), ``keras`` and ``np`` stand for the libraries. ``gates(library, layer)`` is the order in
which the rows of a recurrent layer's weights belong to its gates, found by opening one after the other, and
``adam(library)`` the length of a first step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LIBRARIES = ("miniframe", "PyTorch", "mlx.nn", "Keras")
Entry = tuple[Any, str]  # what holds, and an expression that gives it


@dataclass(frozen=True)
class Convention:
    """One row: a topic, and for each library what holds there, with an expression that shows it."""

    topic: str
    entries: tuple[Entry, ...]


def _row(topic: str, *entries: Entry) -> Convention:
    return Convention(topic, entries)


CONVENTIONS = (
    _row(
        "images that Conv2d(3 -> 5, 1x1) gives, 8 rows by 6 columns",
        ((1, 8, 6, 5), "mf.Conv2d(3, 5, 1)(mx.zeros((1, 8, 6, 3))).shape"),
        ((1, 5, 8, 6), "tuple(nn.Conv2d(3, 5, 1)(torch.zeros(1, 3, 8, 6)).shape)"),
        ((1, 8, 6, 5), "mnn.Conv2d(3, 5, 1)(mx.zeros((1, 8, 6, 3))).shape"),
        ((1, 8, 6, 5), "tuple(keras.layers.Conv2D(5, 1)(np.zeros((1, 8, 6, 3))).shape)"),
    ),
    _row(
        "sequences that Conv1d(3 -> 5, 1) gives, 7 steps",
        ((1, 7, 5), "mf.Conv1d(3, 5, 1)(mx.zeros((1, 7, 3))).shape"),
        ((1, 5, 7), "tuple(nn.Conv1d(3, 5, 1)(torch.zeros(1, 3, 7)).shape)"),
        ((1, 7, 5), "mnn.Conv1d(3, 5, 1)(mx.zeros((1, 7, 3))).shape"),
        ((1, 7, 5), "tuple(keras.layers.Conv1D(5, 1)(np.zeros((1, 7, 3))).shape)"),
    ),
    _row(
        "sequences that GRU(3 -> 5) takes by default, 2 samples of 7 steps",
        ((2, 7, 3), "(x := (2, 7, 3), mf.GRU(3, 5)(mx.zeros(x)))[0]"),
        ((7, 2, 3), "(x := (7, 2, 3), nn.GRU(3, 5)(torch.zeros(x), torch.zeros(1, 2, 5)))[0]"),
        ((2, 7, 3), "(x := (2, 7, 3), mnn.GRU(3, 5)(mx.zeros(x)))[0]"),
        ((2, 7, 3), "(x := (2, 7, 3), keras.layers.GRU(5)(np.zeros(x)))[0]"),
    ),
    _row(
        "weights of Linear(2 -> 3)",
        ((3, 2), "mf.Linear(2, 3).weight.shape"),
        ((3, 2), "tuple(nn.Linear(2, 3).weight.shape)"),
        ((3, 2), "mnn.Linear(2, 3).weight.shape"),
        ((2, 3), "(layer := keras.layers.Dense(3), layer.build((1, 2)), tuple(layer.kernel.shape))[-1]"),
    ),
    _row(
        "weights of Conv2d(3 -> 5, 2x4)",
        ((5, 2, 4, 3), "mf.Conv2d(3, 5, (2, 4)).weight.shape"),
        ((5, 3, 2, 4), "tuple(nn.Conv2d(3, 5, (2, 4)).weight.shape)"),
        ((5, 2, 4, 3), "mnn.Conv2d(3, 5, (2, 4)).weight.shape"),
        (
            (2, 4, 3, 5),
            "(layer := keras.layers.Conv2D(5, (2, 4)), layer.build((1, 8, 8, 3)), tuple(layer.kernel.shape))[-1]",
        ),
    ),
    _row(
        "weights of ConvTranspose2d(3 -> 5, 2x4)",
        ((5, 2, 4, 3), "mf.ConvTranspose2d(3, 5, (2, 4)).weight.shape"),
        ((3, 5, 2, 4), "tuple(nn.ConvTranspose2d(3, 5, (2, 4)).weight.shape)"),
        ((5, 2, 4, 3), "mnn.ConvTranspose2d(3, 5, (2, 4)).weight.shape"),
        (
            (2, 4, 5, 3),
            "(layer := keras.layers.Conv2DTranspose(5, (2, 4)), layer.build((1, 8, 8, 3)), "
            "tuple(layer.kernel.shape))[-1]",
        ),
    ),
    _row(
        "largest first weight of Linear(100 -> 50)",
        (0.1, "round(float(mx.abs(mf.Linear(100, 50).weight.value).max()), 2)"),
        (0.1, "round(float(nn.Linear(100, 50).weight.abs().max()), 2)"),
        (0.1, "round(float(mx.abs(mnn.Linear(100, 50).weight).max()), 2)"),
        (
            0.2,
            "(layer := keras.layers.Dense(50), layer.build((1, 100)), "
            "round(float(np.abs(np.array(layer.kernel)).max()), 2))[-1]",
        ),
    ),
    _row(
        "biases start from zero",
        (False, "bool(mx.all(mf.Linear(9, 9).bias.value == 0))"),
        (False, "bool((nn.Linear(9, 9).bias == 0).all())"),
        (False, "bool(mx.all(mnn.Linear(9, 9).bias == 0))"),
        (True, "(layer := keras.layers.Dense(9), layer.build((1, 9)), bool((np.array(layer.bias) == 0).all()))[-1]"),
    ),
    _row(
        "epsilon of BatchNorm",
        (1e-5, "mf.BatchNorm(3).eps"),
        (1e-5, "nn.BatchNorm1d(3).eps"),
        (1e-5, "mnn.BatchNorm(3).eps"),
        (1e-3, "keras.layers.BatchNormalization().epsilon"),
    ),
    _row(
        "epsilon of LayerNorm",
        (1e-5, "mf.LayerNorm(3).eps"),
        (1e-5, "nn.LayerNorm(3).eps"),
        (1e-5, "mnn.LayerNorm(3).eps"),
        (1e-3, "keras.layers.LayerNormalization().epsilon"),
    ),
    _row(
        "epsilon of GroupNorm",
        (1e-5, "mf.GroupNorm(1, 3).eps"),
        (1e-5, "nn.GroupNorm(1, 3).eps"),
        (1e-5, "mnn.GroupNorm(1, 3).eps"),
        (1e-3, "keras.layers.GroupNormalization(1).epsilon"),
    ),
    _row(
        "epsilon of RMSNorm (None: 2⁻²³ in float32)",
        (1e-5, "mf.RMSNorm(3).eps"),
        (None, "nn.RMSNorm(3).eps"),
        (1e-5, "mnn.RMSNorm(3).eps"),
        (1e-6, "keras.layers.RMSNormalization().epsilon"),
    ),
    _row(
        "momentum of running statistics: the share of the new, in Keras of the old",
        (0.1, "mf.BatchNorm(3).momentum"),
        (0.1, "nn.BatchNorm1d(3).momentum"),
        (0.1, "mnn.BatchNorm(3).momentum"),
        (0.99, "keras.layers.BatchNormalization().momentum"),
    ),
    _row(
        "variance that BatchNorm remembers of the numbers 0 and 2: over n - 1, or n",
        (2.0, "(m := mf.BatchNorm(1, momentum=1.0), m(mx.array([[0.0], [2.0]])), m.running_var.value.item())[-1]"),
        (2.0, "(m := nn.BatchNorm1d(1, momentum=1.0), m(torch.tensor([[0.0], [2.0]])), m.running_var.item())[-1]"),
        (2.0, "(m := mnn.BatchNorm(1, momentum=1.0), m(mx.array([[0.0], [2.0]])), m.running_var.item())[-1]"),
        (
            1.0,
            "(m := keras.layers.BatchNormalization(momentum=0.0), m(np.array([[0.0], [2.0]]), training=True), "
            "float(np.array(m.moving_variance)[0]))[-1]",
        ),
    ),
    _row(
        "gates in the rows of LSTM's weights",
        ("i f g o", "gates('miniframe', 'LSTM')"),
        ("i f g o", "gates('PyTorch', 'LSTM')"),
        ("i f g o", "gates('mlx.nn', 'LSTM')"),
        ("i f g o", "gates('Keras', 'LSTM')"),
    ),
    _row(
        "gates in the rows of GRU's weights",
        ("r z n", "gates('miniframe', 'GRU')"),
        ("r z n", "gates('PyTorch', 'GRU')"),
        ("r z n", "gates('mlx.nn', 'GRU')"),
        ("z r n", "gates('Keras', 'GRU')"),
    ),
    _row(
        "first bias of LSTM's forget gate is 1",
        (False, "bool(mx.all(mf.LSTM(2, 3).bias_ih_l0.value[3:6] == 1))"),
        (False, "bool((nn.LSTM(2, 3).bias_ih_l0[3:6] == 1).all())"),
        (False, "bool(mx.all(mnn.LSTM(2, 3).bias[3:6] == 1))"),
        (
            True,
            "(layer := keras.layers.LSTM(3), layer.build((1, 4, 2)), "
            "bool((np.array(layer.cell.bias)[3:6] == 1).all()))[-1]",
        ),
    ),
    _row(
        "slope of LeakyReLU below zero",
        (0.01, "mf.LeakyReLU().slope"),
        (0.01, "nn.LeakyReLU().negative_slope"),
        (0.01, "mnn.LeakyReLU()._negative_slope"),
        (0.3, "keras.layers.LeakyReLU().negative_slope"),
    ),
    _row(
        "epsilon of Adam",
        (1e-8, "mf.Adam(mf.Linear(1, 1)).eps"),
        (1e-8, "torch.optim.Adam(nn.Linear(1, 1).parameters()).defaults['eps']"),
        (1e-8, "optim.Adam(0.001).eps"),
        (1e-7, "keras.optimizers.Adam().epsilon"),
    ),
    _row(
        "first step of Adam with lr = 1 on a gradient of 1: with its bias corrected, 1",
        (1.0, "adam('miniframe')"),
        (1.0, "adam('PyTorch')"),
        (3.16, "adam('mlx.nn')"),
        (1.0, "adam('Keras')"),
    ),
    _row(
        "weight decay of AdamW",
        (0.01, "mf.AdamW(mf.Linear(1, 1)).groups[0].weight_decay"),
        (0.01, "torch.optim.AdamW(nn.Linear(1, 1).parameters()).defaults['weight_decay']"),
        (0.01, "optim.AdamW(0.001).weight_decay"),
        (0.004, "keras.optimizers.AdamW().weight_decay"),
    ),
)


def table() -> str:
    """The conventions as a Markdown table.

    >>> print(table().splitlines()[0])
    | what | miniframe | PyTorch | mlx.nn | Keras |
    """
    lines = ["| what | " + " | ".join(LIBRARIES) + " |", "|---" * (len(LIBRARIES) + 1) + "|"]
    for row in CONVENTIONS:
        lines.append(f"| {row.topic} | " + " | ".join(str(value) for value, _ in row.entries) + " |")
    return "\n".join(lines)


def conventions() -> None:
    """Print where miniframe, PyTorch, mlx.nn and Keras differ.

    >>> conventions()  # doctest: +ELLIPSIS
    | what | miniframe | PyTorch | mlx.nn | Keras |
    ...
    """
    print(table())
