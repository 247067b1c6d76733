"""Several ways of computing the same convolution agree."""

from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe.layers import convolution_kernels as kernels
from miniframe.layers import pieces
from miniframe.layers.transformable import transformable
from miniframe.layers.windows import Window


def test_both_ways_of_laying_out_windows_agree():
    window = Window((3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2))
    x = mx.array(normal(2, 7, 8, 3).astype(np.float32))
    strided = kernels.windows_as_rows(x, window)
    with transformable():
        assert mx.array_equal(strided, kernels.windows_as_rows(x, window))


@pytest.mark.usefixtures("on_cpu")
def test_transformable_holds_for_its_own_thread():
    def joined():
        return kernels.neighbours(12, (2, 3, 3, 1), Window((3, 3)), 1)

    assert joined() > 1
    with transformable(), ThreadPoolExecutor(1) as pool:
        assert joined() == 1 and pool.submit(joined).result() > 1


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("stride", [1, 2, (3, 2)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
def test_neighbouring_windows_taken_as_one_give_the_same(stride, padding):
    layer = mf.Conv2d(2, 3, (3, 4), stride, padding)
    x = mx.array(normal(2, 9, 15, 2).astype(np.float32))
    y = layer(x)
    assert kernels.neighbours(y.shape[2], layer.weight.shape, layer.window, 1) > 1
    grad = mx.array(normal(*y.shape).astype(np.float32))
    dx = layer.backward(grad)
    dw, layer.weight.grad = layer.weight.grad, None
    with transformable():
        assert kernels.neighbours(y.shape[2], layer.weight.shape, layer.window, 1) == 1
        close(layer(x), y)
        close(layer.backward(grad), dx)
        close(layer.weight.grad, dw)


def test_both_ways_of_the_input_gradient_agree(monkeypatch):
    for options in (dict(), dict(dilation=(2, 1)), dict(padding=(2, 0))):
        layer = mf.Conv2d(4, 6, (3, 2), **options)
        y = layer(mx.array(normal(2, 7, 8, 4).astype(np.float32)))
        grad = mx.array(normal(*y.shape).astype(np.float32))
        moved = layer.backward(grad)
        monkeypatch.setattr(kernels, "WIDE", 1)
        monkeypatch.setattr(kernels, "MANY", 1)
        close(layer.backward(grad), moved, 1e-6)
        monkeypatch.undo()


def test_backward_can_be_vectorized():
    layer = mf.Conv2d(2, 3, 3, padding=1)
    x, grads = mx.array(normal(2, 5, 4, 2).astype(np.float32)), mx.array(normal(4, 2, 5, 4, 3).astype(np.float32))

    def gradients(grad):
        layer.zero_grad()
        layer(x)
        return layer.backward(grad), layer.weight.grad

    with transformable():
        together = mx.vmap(gradients)(grads)
    for k in range(4):
        for all_of_them, alone in zip(together, gradients(grads[k])):
            close(all_of_them[k], alone)


@pytest.mark.parametrize("piece", [2**9, 2**14, 2**16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (2, 0)), ((3, 3), (3, 3))])
def test_a_batch_in_pieces_gives_the_same_numbers(piece, stride, dilation, padding, monkeypatch):
    window = Window((3, 2), (stride, stride), padding, (dilation, dilation))
    rng = np.random.default_rng(0)
    x, weight, grad = (
        mx.array(rng.normal(size=size).astype(np.float32))
        for size in ((5, 23, 17, 32), (33, 3, 2, 32), (5, *window.output_size(23, 17), 33))
    )

    def three():
        gradients = kernels.weight_gradient(x, grad, window), kernels.input_gradient(grad, weight, window, (23, 17))
        return kernels.convolve(x, weight, window), *gradients

    whole = three()
    monkeypatch.setattr(pieces, "PIECE", piece)
    if piece < 2**16:
        assert len(pieces.pieces(x.shape, window)) > 1
    for a, b in zip(three(), whole):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-4, atol=1e-4 * float(abs(b).max()))


def test_pieces_cover_every_row_of_every_sample_once(monkeypatch):
    window = Window((3, 3), (2, 1), ((1, 1), (1, 1)))
    monkeypatch.setattr(pieces, "PIECE", 2**12)
    seen = np.zeros((7, *window.output_size(40, 30)))
    for part in pieces.pieces((7, 40, 30, 4), window):
        seen[part.samples, part.output_rows] += 1
        rows = part.rows.stop - part.rows.start
        assert part.window.output_size(rows, 30)[0] == part.output_rows.stop - part.output_rows.start
    assert np.all(seen == 1)
