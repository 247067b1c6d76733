"""Lesson 15: the levels of a graph, and what it is worth to compile a chain of operations once."""

import tempfile
import time
from pathlib import Path

import mlx.core as mx

import miniframe as mf
from miniframe.plots.canvas import COLOURS, bare, caption, legend, logarithmic, sheet


def branches(width=64):
    x = mf.Input((width,), name="x")
    left = mf.ReLU()(mf.Linear(width, width)(x).named("left")).named("bend")
    right = mf.Tanh()(mf.Linear(width, width)(x).named("right")).named("squash")
    return mf.Graph(x, (left * right + mf.Linear(width, width)(x).named("past")).named("end"))


def chain(x):
    for _ in range(20):
        x = x * 1.01 + 0.1
    return x


def fastest(function, x, rounds=15):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        mx.eval(function(x))
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def levels():
    from matplotlib.image import imread

    figure, axes = sheet(1, 2, (13, 3.9))
    left, right = axes[0]
    left.get_gridspec().set_width_ratios([2, 1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.png"
        branches().draw(path, levels=True)
        left.imshow(imread(path))
    bare(left)
    caption(left, "calls on one level wait for none of each other")
    sizes = [10, 30, 100, 300, 1000]
    arrays = [mx.random.normal((n, n), key=mx.random.key(0)) for n in sizes]
    once = mx.compile(chain)
    anew = [fastest(chain, x) for x in arrays]
    compiled = [fastest(once, x) for x in arrays]
    elements = [n * n for n in sizes]
    right.plot(elements, anew, "o-", color=COLOURS[1], label="written anew in every call")
    right.plot(elements, compiled, "s--", color=COLOURS[0], label="compiled once")
    right.set_xscale("log")
    logarithmic(right)
    right.set_xticks([1e2, 1e4, 1e6], ["100", "10 thousand", "1 million"])
    right.minorticks_off()
    right.set_xlabel("numbers in the array")
    right.set_ylabel("milliseconds, the best of 15")
    legend(right)
    caption(right, "20 multiplications and additions in a row")
    return figure


FIGURES = {"lesson_15_levels.png": levels}
