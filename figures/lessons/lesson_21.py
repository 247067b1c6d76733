"""Lesson 21: data parallel training in one picture."""

from boxes import BLUE, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, arrow, board, box, words


def parallel():
    """Two machines with the same weights: one gradient travels each way, and there is no master."""
    figure, ax = board(11.6, 3.9)
    box(ax, (0.95, 2.0), "batch\n100 samples", PALE_GREEN, (1.4, 0.9))
    for height, share, name, index in ((3.0, 60, "machine 0", "₀"), (1.0, 40, "machine 1", "₁")):
        words(ax, (6.9, height + (0.68 if height > 2 else -0.68)), f"{name}, weights w", "#6b7580", fontsize=9)
        arrow(ax, (1.65, 2.0 + (height - 2) * 0.3), (2.55, height), BLUE)
        box(ax, (3.7, height), f"forward, backward\non {share} samples: g{index}", PALE_BLUE, (2.2, 0.9))
        arrow(ax, (4.8, height), (5.75, height), ORANGE)
        box(ax, (6.9, height), "g = 0.6 g₀ + 0.4 g₁", PALE_ORANGE, (2.2, 0.9))
        arrow(ax, (8.0, height), (8.95, height))
        box(ax, (10.1, height), "w ← step(w, g)\nthe same on both", PALE_BLUE, (2.2, 0.9))
    arrow(ax, (5.15, 2.95), (5.95, 1.5), ORANGE)
    arrow(ax, (5.15, 1.05), (5.95, 2.5), ORANGE)
    words(ax, (5.0, 2.3), "g₀", ORANGE, fontsize=12)
    words(ax, (5.0, 1.7), "g₁", ORANGE, fontsize=12)
    words(ax, (7.3, 2.0), "one message each way", ORANGE, fontsize=9)
    return figure


FIGURES = {"lesson_21_parallel.png": parallel}
