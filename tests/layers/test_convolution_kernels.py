"""Several ways of computing the same convolution agree."""

from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe.layers import convolution_kernels as kernels
from miniframe.layers.windows import Window


def test_both_ways_of_laying_out_windows_agree():
    window = Window((3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2))
    x = mx.array(normal(2, 7, 8, 3).astype(np.float32))
    strided = kernels.windows_as_rows(x, window)
    with kernels.transformable():
        assert mx.array_equal(strided, kernels.windows_as_rows(x, window))


@pytest.mark.usefixtures("on_cpu")
def test_transformable_holds_for_its_own_thread():
    def joined():
        return kernels.neighbours(12, (2, 3, 3, 1), Window((3, 3)), 1)

    assert joined() > 1
    with kernels.transformable(), ThreadPoolExecutor(1) as pool:
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
    with kernels.transformable():
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

    with kernels.transformable():
        together = mx.vmap(gradients)(grads)
    for k in range(4):
        for all_of_them, alone in zip(together, gradients(grads[k])):
            close(all_of_them[k], alone)
