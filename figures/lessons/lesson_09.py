"""Lesson 9: a convolution forward and backward as animations of the layer's own arrays, and VGG16."""

import io
import itertools

import mlx.core as mx
import numpy as np
from boxes import BLUE, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, arrow, board, box, words

import miniframe as mf
from miniframe.plots.canvas import INK, bare, caption, sheet

IMAGE = np.array([[0, 0, 0, 1, 1, 1]] * 5, dtype=np.float32)
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=np.float32)


def convolution() -> mf.Conv2d:
    conv = mf.Conv2d(1, 1, 3, bias=False)
    conv.weight.value = mx.array(SOBEL).reshape(1, 3, 3, 1)
    return conv


def grid(ax, array, title, limit, shown=None, window=None, colour=ORANGE):
    """An array as coloured squares with its numbers; ``shown`` hides what is not computed yet."""
    from matplotlib.patches import Rectangle

    bare(ax)
    visible = np.ones(array.shape, bool) if shown is None else shown
    ax.imshow(np.where(visible, array, 0), cmap="RdBu_r", vmin=-limit, vmax=limit)
    for (i, j), value in np.ndenumerate(array):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#c0c6cc", linewidth=0.6))
        if visible[i, j]:
            ink = "white" if abs(value) > 0.6 * limit else INK
            ax.text(j, i, f"{value + 0.0:g}", ha="center", va="center", fontsize=10, color=ink)
    if window is not None:
        (i, j), size = window
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), size, size, fill=False, edgecolor=colour, linewidth=3, zorder=3))
    middle_x, middle_y = (array.shape[1] - 1) / 2, (array.shape[0] - 1) / 2
    ax.set_xlim(middle_x - 3.5, middle_x + 3.5)  # cells have the same size in all panels
    ax.set_ylim(middle_y + 2.9, middle_y - 2.9)
    caption(ax, title)


def animation(frames, milliseconds: int) -> bytes:
    """Figures as the bytes of a GIF that runs forever, and rests at its first and its last frame."""
    from PIL import Image

    pictures = []
    for figure in frames:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90)
        pictures.append(Image.open(buffer).convert("RGB").quantize(128))
    out = io.BytesIO()
    durations = [2 * milliseconds] + [milliseconds] * (len(pictures) - 2) + [5 * milliseconds]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return out.getvalue()


def row(first, kernel, product, result):
    """Four panels with signs between them: this, and the kernel, make the product, which goes to the result."""
    figure, axes = sheet(1, 4, (11.2, 3.1))
    for ax, (array, title, limit, options) in zip(axes[0], (first, kernel, product, result)):
        grid(ax, array, title, limit, **options)
    for ax, sign in zip(axes[0][1:], ("×", "=", "→")):
        ax.text(-0.02, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=16, color=INK)
    return figure


def forward() -> bytes:
    y = np.array(convolution()(mx.array(IMAGE).reshape(1, 5, 6, 1)))[0, :, :, 0]

    def frame(i, j):
        products = IMAGE[i : i + 3, j : j + 3] * SOBEL
        shown = np.arange(y.size).reshape(y.shape) <= i * y.shape[1] + j
        return row(
            (IMAGE, "x, and a window", 2, {"window": ((i, j), 3)}),
            (SOBEL, "the kernel w", 3, {}),
            (products, f"products, sum {products.sum() + 0.0:g}", 3, {}),
            (y, "y", 6, {"shown": shown, "window": ((i, j), 1)}),
        )

    return animation((frame(i, j) for i, j in np.ndindex(*y.shape)), 700)


def backward() -> bytes:
    conv = convolution()
    conv(mx.array(IMAGE).reshape(1, 5, 6, 1))
    dy = np.arange(12, dtype=np.float32).reshape(3, 4)
    dx = np.zeros_like(IMAGE)
    pictures = []
    for i, j in itertools.product(range(3), range(4)):
        dx[i : i + 3, j : j + 3] += dy[i, j] * SOBEL
        pictures.append(
            row(
                (dy, f"dy, here {dy[i, j]:g}", 22, {"window": ((i, j), 1), "colour": BLUE}),
                (SOBEL, "the kernel w", 3, {}),
                (dy[i, j] * SOBEL, "shares", 22, {}),
                (dx.copy(), "dx: shares add up", 22, {"window": ((i, j), 3), "colour": BLUE}),
            )
        )
    layers = np.array(conv.backward(mx.array(dy).reshape(1, 3, 4, 1)))[0, :, :, 0]
    assert np.array_equal(dx, layers), "the animation ends with what the layer computes"
    return animation(pictures, 700)


def vgg16():
    """The shapes between the parts. Edges are drawn on a logarithmic scale: 224 is not 32 times as high as 7."""
    stages = [("input", 224, 3, ""), ("stage 1", 112, 64, "2 conv 3×3, pool"), ("stage 2", 56, 128, "2 conv 3×3, pool")]
    stages += [
        (f"stage {k}", size, channels, "3 conv 3×3, pool")
        for k, size, channels in ((3, 28, 256), (4, 14, 512), (5, 7, 512))
    ]
    figure, ax = board(14.5, 4.3)
    x, right = 0.9, None
    for name, size, channels, work in stages:
        width, height = 0.25 + 0.9 * np.log2(channels / 2) / 8, 0.55 + 2.2 * np.log2(size / 7) / 5
        if right is not None:
            arrow(ax, (right, 2.5), (x - width / 2 - 0.04, 2.5))
        box(ax, (x, 2.5), "", PALE_BLUE if work else PALE_GREEN, (width, height))
        words(ax, (x, 4.1), name, fontsize=11)
        words(ax, (x, 0.85), f"{size} × {size} × {channels}", fontsize=9)
        words(ax, (x, 0.5), work, BLUE, fontsize=8.5)
        right, x = x + width / 2 + 0.04, x + 1.62
    for outputs, height, work in (
        (25088, 3.0, "flatten"),
        (4096, 2.5, "linear"),
        (4096, 2.5, "linear"),
        (1000, 2.0, "linear"),
    ):
        arrow(ax, (right, 2.5), (x - 0.15, 2.5))
        box(ax, (x, 2.5), "", PALE_GREEN if work == "flatten" else PALE_ORANGE, (0.22, height))
        words(ax, (x, 0.85), f"{outputs:,}", fontsize=9)
        words(ax, (x, 0.5), work, ORANGE, fontsize=8.5)
        right, x = x + 0.15, x + 1.12
    words(
        ax,
        (7.1, 0.1),
        "not to scale: heights and widths grow with the logarithm of pixels and channels",
        "#6b7580",
        fontsize=8.5,
    )
    return figure


FIGURES = {"lesson_09_forward.gif": forward, "lesson_09_backward.gif": backward, "lesson_09_vgg16.png": vgg16}
