"""Products of shifted views give what products of windows in rows give, and are taken where they are faster only."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close

import miniframe as mf
from miniframe.layers import convolution_kernels as kernels
from miniframe.layers import shifted_products
from miniframe.layers.transformable import transformable
from miniframe.layers.windows import Window

SAME = ((1, 1), (1, 1))
ON_CPU = mx.default_device() == mx.Device(mx.cpu)
CASES = {
    "one image": ((1, 45, 46, 32), Window((3, 3), padding=SAME)),
    "a batch": ((3, 40, 33, 32), Window((3, 3), padding=SAME)),
    "in pieces": ((2, 150, 160, 33), Window((3, 3), padding=SAME)),
    "without padding": ((2, 50, 41, 32), Window((3, 2))),
    "more on one side": ((2, 47, 41, 32), Window((2, 4), padding=((0, 1), (2, 1)))),
    "dilated": ((2, 64, 64, 32), Window((3, 3), padding=((2, 2), (2, 2)), dilation=(2, 2))),
    "a pixel": ((3, 30, 31, 32), Window((1, 1))),
}


def numbers(*shape, seed):
    return mx.array(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("name", CASES)
def test_all_three_products_agree_with_pytorch(name):
    shape, window = CASES[name]
    x, weight = numbers(*shape, seed=0), numbers(5, *window.kernel, shape[-1], seed=1)
    grad = numbers(shape[0], *window.output_size(*shape[1:3]), 5, seed=2)
    (top, bottom), (left, right) = window.padding
    tx, tw = (torch.tensor(np.array(a.transpose(0, 3, 1, 2))).double().requires_grad_() for a in (x, weight))
    padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
    ty = torch.nn.functional.conv2d(padded, tw, dilation=window.dilation)
    ty.backward(torch.tensor(np.array(grad.transpose(0, 3, 1, 2))).double())
    if window.dilation == (1, 1):
        assert shifted_products.pay(shape, window) == ON_CPU
        close(kernels.convolve(x, weight, window), ty.detach().permute(0, 2, 3, 1))
        close(kernels.weight_gradient(x, grad, window), tw.grad.permute(0, 2, 3, 1))
    close(shifted_products.convolved(x, weight, window), ty.detach().permute(0, 2, 3, 1))
    close(shifted_products.weight_gradient(x, grad, window), tw.grad.permute(0, 2, 3, 1))
    close(shifted_products.input_gradient(grad, weight, window, shape[1:3]), tx.grad.permute(0, 2, 3, 1))


def test_they_serve_on_a_cpu_for_many_channels_and_windows_at_stride_one():
    window = Window((3, 3), padding=SAME)
    assert shifted_products.pay((1, 45, 45, 32), window) == ON_CPU
    assert not shifted_products.pay((1, 45, 45, 31), window), "too few channels"
    assert not shifted_products.pay((1, 44, 45, 32), window), "too few windows"
    assert not shifted_products.pay((8, 90, 90, 32), Window((3, 3), (2, 2), SAME)), "a stride"
    assert not shifted_products.pay((100, 14, 14, 32), Window((5, 5), padding=((2, 2), (2, 2)))), "mostly padding"
    with transformable():
        assert not shifted_products.pay((1, 45, 45, 32), window)


def test_a_large_convolution_is_proven_and_mapped():
    layer = mf.Conv2d(32, 2, 3, padding=1)
    x = numbers(1, 45, 46, 32, seed=3)
    y, dy = layer(x), numbers(1, 45, 46, 2, seed=4)
    dx = layer.backward(dy)

    def scalar(x, weight):
        layer.weight.value = weight
        return (layer(x) * dy).sum()

    weight = layer.weight.value
    for ours, theirs in zip((dx, layer.weight.grad), mx.grad(scalar, argnums=(0, 1))(x, weight)):
        close(ours, theirs)
    layer.weight.value = weight
    with transformable():
        close(mx.vmap(layer.forward)(x[None])[0], y)
