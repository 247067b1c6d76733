"""Lesson 16: the same 2 x 2 image with two channels, flattened in two orders."""

import numpy as np
from boxes import PALE_BLUE, PALE_ORANGE, arrow, board, box, words


def columns():
    figure, ax = board(9.6, 3.3)
    image = np.arange(8).reshape(2, 2, 2)  # row, column, channel
    orders = {"PyTorch: channel, row, column": (2, 0, 1), "channels last: row, column, channel": (0, 1, 2)}
    places = {}
    for height, (title, order) in zip((2.3, 0.7), orders.items()):
        words(ax, (0.5, height + (0.55 if height > 1 else -0.5)), title, ha="left")
        for place, value in enumerate(image.transpose(order).reshape(-1)):
            i, j, c = np.unravel_index(value, image.shape)
            at = (0.95 + 1.1 * place, height)
            box(ax, at, f"({i}, {j})\nchannel {c}", (PALE_BLUE, PALE_ORANGE)[c], (0.95, 0.6))
            places[height, value] = at
    for value in range(8):
        start, end = places[2.3, value], places[0.7, value]
        arrow(ax, (start[0], 1.98), (end[0], 1.02), "#8a949d", lw=1)
    return figure


FIGURES = {"lesson_16_columns.png": columns}
