"""Lesson 12: data parallel training in one picture."""

from boxes import BLUE, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, arrow, board, box, words


def parallel():
    figure, ax = board(10.4, 3.9)
    box(ax, (0.95, 2.0), "batch\n100 samples", PALE_GREEN, (1.4, 0.9))
    for height, share, name in ((3.0, 60, "machine 0"), (1.0, 40, "machine 1")):
        box(ax, (3.5, height), f"forward, backward\non {share} samples", PALE_BLUE, (1.9, 0.9))
        words(ax, (3.5, height + 0.62), f"{name}, weights w", "#6b7580", fontsize=9)
        box(ax, (9.3, height), "w ← step(w, g)\nthe same everywhere", PALE_BLUE, (1.9, 0.9))
        arrow(ax, (1.65, 2.0 + (height - 2) * 0.3), (2.55, height), BLUE)
        arrow(ax, (4.45, height), (5.55, 2.0 + (height - 2) * 0.3), ORANGE)
        index = "₀" if height > 2 else "₁"
        words(ax, (5.0, height + (-0.05 if height > 2 else 0.05)), f"g{index}", ORANGE, fontsize=12)
        arrow(ax, (7.25, 2.0 + (height - 2) * 0.3), (8.35, height), ORANGE)
    box(ax, (6.4, 2.0), "one message\ng = 0.6 g₀ + 0.4 g₁", PALE_ORANGE, (1.7, 0.9))
    return figure


FIGURES = {"lesson_12_parallel.png": parallel}
