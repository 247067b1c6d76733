"""Lesson 14: what crosses the boundary between two models."""

from boxes import BLUE, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, arrow, board, box, words


def boundary():
    figure, ax = board(9.6, 3.0)
    box(ax, (0.9, 1.6), "x\n(200, 2)", PALE_GREEN, (1.2, 0.8))
    box(ax, (3.2, 1.6), "first model\nLinear 2 → 8, Tanh", PALE_BLUE, (2.0, 1.5))
    box(ax, (6.6, 1.6), "second model\nLinear, Tanh, Linear", PALE_BLUE, (2.0, 1.5))
    box(ax, (8.8, 1.6), "loss", PALE_ORANGE, (0.9, 0.8))
    ax.axvline(4.9, 0.08, 0.92, color="#8a949d", linestyle=":", linewidth=1.5)
    words(ax, (4.9, 2.85), "the boundary", "#6b7580", fontsize=9)
    for start, end in ((1.5, 2.2), (4.2, 5.6), (7.6, 8.35)):
        arrow(ax, (start, 1.95), (end, 1.95), BLUE)
        arrow(ax, (end, 1.25), (start, 1.25), ORANGE)
    words(ax, (4.55, 2.2), "h", BLUE, fontsize=12)
    words(ax, (5.25, 2.2), "(200, 8)", BLUE, fontsize=9)
    words(ax, (4.55, 0.98), "dh", ORANGE, fontsize=12)
    words(ax, (5.25, 0.98), "(200, 8)", ORANGE, fontsize=9)
    words(ax, (1.85, 0.98), "dx", ORANGE, fontsize=12)
    words(ax, (3.2, 0.5), "weights, gradients, optimizer:\nits own", "#6b7580", fontsize=9)
    words(ax, (6.6, 0.5), "weights, gradients, optimizer:\nits own", "#6b7580", fontsize=9)
    return figure


FIGURES = {"lesson_14_boundary.png": boundary}
