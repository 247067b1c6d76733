"""Lesson 6: a convolution forward and backward as animations of the layer's own arrays, and VGG16."""

import io
import itertools

import mlx.core as mx
import numpy as np
from boxes import BLUE, ORANGE, PALE_BLUE, PALE_GREEN, PALE_ORANGE, board, box, words

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
    ax.imshow(np.where(visible, array, 0), cmap="RdBu_r", vmin=-limit, vmax=limit, alpha=0.75)
    for (i, j), value in np.ndenumerate(array):
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, edgecolor="#c0c6cc", linewidth=0.6))
        if visible[i, j]:
            ax.text(j, i, f"{value + 0.0:g}", ha="center", va="center", fontsize=10, color=INK)
    if window is not None:
        (i, j), size = window
        ax.add_patch(Rectangle((j - 0.5, i - 0.5), size, size, fill=False, edgecolor=colour, linewidth=3, zorder=3))
    ax.set_xlim(-0.6, array.shape[1] - 0.4)
    ax.set_ylim(array.shape[0] - 0.4, -0.6)
    caption(ax, title)


def animation(frames, milliseconds: int) -> bytes:
    """Figures as the bytes of a GIF that runs forever."""
    from PIL import Image

    pictures = []
    for figure in frames:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90)
        pictures.append(Image.open(buffer).convert("RGB").quantize(64))
    out = io.BytesIO()
    durations = [milliseconds] * (len(pictures) - 1) + [4 * milliseconds]
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return out.getvalue()


def forward() -> bytes:
    y = np.array(convolution()(mx.array(IMAGE).reshape(1, 5, 6, 1)))[0, :, :, 0]

    def frame(i, j):
        figure, axes = sheet(1, 3, (9.6, 3.5))
        window = IMAGE[i : i + 3, j : j + 3]
        shown = np.arange(y.size).reshape(y.shape) <= i * y.shape[1] + j
        grid(axes[0, 0], IMAGE, "x: the window slides", 1.5, window=((i, j), 3))
        grid(axes[0, 1], window * SOBEL, f"pixels × weights, sum {np.sum(window * SOBEL):g}", 4)
        grid(axes[0, 2], y, "y", 6, shown, ((i, j), 1))
        return figure

    return animation((frame(i, j) for i, j in np.ndindex(*y.shape)), 600)


def backward() -> bytes:
    conv = convolution()
    conv(mx.array(IMAGE).reshape(1, 5, 6, 1))
    dy = np.arange(12, dtype=np.float32).reshape(3, 4)
    dx = np.zeros_like(IMAGE)
    pictures = []
    for i, j in itertools.product(range(3), range(4)):
        dx[i : i + 3, j : j + 3] += dy[i, j] * SOBEL
        figure, axes = sheet(1, 3, (9.6, 3.5))
        grid(axes[0, 0], dy, "dy", 18, window=((i, j), 1), colour=BLUE)
        grid(axes[0, 1], dy[i, j] * SOBEL, f"{dy[i, j]:g} × weights", 22)
        grid(axes[0, 2], dx.copy(), "dx: shares add up", 22, window=((i, j), 3), colour=BLUE)
        pictures.append(figure)
    layers = np.array(conv.backward(mx.array(dy).reshape(1, 3, 4, 1)))[0, :, :, 0]
    assert np.array_equal(dx, layers), "the animation ends with what the layer computes"
    return animation(pictures, 600)


def vgg16():
    stages = [("input", 224, 3, 0), ("stage 1", 112, 64, 2), ("stage 2", 56, 128, 2), ("stage 3", 28, 256, 3)]
    stages += [("stage 4", 14, 512, 3), ("stage 5", 7, 512, 3)]
    figure, ax = board(12.6, 4.0)
    x = 0.9
    for name, size, channels, convolutions in stages:
        height = 0.5 + 2.3 * np.log2(size / 7 * 2) / np.log2(64)
        width = 0.25 + channels / 512 * 0.9
        box(ax, (x, 2.2), "", PALE_BLUE if convolutions else PALE_GREEN, (width, height))
        words(ax, (x, 3.8), name, fontsize=11)
        words(ax, (x, 0.55), f"{size} × {size} × {channels}", fontsize=9)
        if convolutions:
            words(ax, (x, 0.2), f"{convolutions} conv 3×3, pool", BLUE, fontsize=8.5)
        x += 1.45
    for outputs, height in ((4096, 2.4), (4096, 2.4), (1000, 1.3)):
        box(ax, (x, 2.2), "", PALE_ORANGE, (0.3, height))
        words(ax, (x, 0.55), f"{outputs:,}", fontsize=9)
        words(ax, (x, 0.2), "linear", ORANGE, fontsize=8.5)
        x += 1.0
    return figure


FIGURES = {"lesson_06_forward.gif": forward, "lesson_06_backward.gif": backward, "lesson_06_vgg16.png": vgg16}
