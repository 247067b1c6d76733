"""LayerScale and ChannelShuffle against three witnesses."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf


class Scaled(torch.nn.Module):
    def __init__(self, values):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(values))

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (2, 3, 5, 4)], ids=str)
def test_the_scale_agrees_with_three_witnesses(shape):
    layer, values = mf.LayerScale(4), normal(4, seed=3)
    layer.weight.value = mx.array(values.astype(np.float32))
    reference = Scaled(values.astype(np.float32))
    x = normal(*shape)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights={"weight": (reference.weight, lambda a: a)})


@pytest.mark.parametrize("shape, groups", [((2, 6), 3), ((1, 2, 3, 8), 2), ((2, 3, 12), 4)], ids=str)
def test_the_shuffle_agrees_with_three_witnesses(shape, groups):
    layer, x = mf.ChannelShuffle(groups), normal(*shape)

    def reference(t):
        return F.channel_shuffle(t.movedim(-1, 1), groups).movedim(1, -1)

    by_differences(layer, x)
    by_mx_grad(layer, x)
    if len(shape) == 4:
        by_torch(layer, reference, x)


def test_shuffling_with_as_many_groups_as_were_channels_in_each_brings_them_back():
    x = mx.array(normal(2, 3, 3, 12))
    assert mx.array_equal(mf.ChannelShuffle(4)(mf.ChannelShuffle(3)(x)), x)


def test_a_block_begins_close_to_the_identity_and_its_scale_learns():
    layer = mf.LayerScale(3)
    close(layer.weight.value, [1e-6] * 3)
    block = mf.Residual(mf.Sequential(mf.Linear(3, 3), layer))
    x = mx.array(normal(4, 3)).astype(mx.float32)
    close(block(x), x)
    block.fit(x, mx.ones((4, 3)), loss="mse", optimizer=mf.SGD(block, lr=0.1), epochs=2, verbose=0)
    assert mx.abs(layer.weight.value).max().item() > 1e-5


def test_unsuitable_settings_and_inputs_are_refused():
    assert mf.LayerScale(3).title() == "LayerScale(3)" and mf.ChannelShuffle(2).title() == "ChannelShuffle(2 groups)"
    with pytest.raises(ValueError, match="LayerScale: expected num_features"):
        mf.LayerScale(0)
    with pytest.raises(ValueError, match="ChannelShuffle: expected groups"):
        mf.ChannelShuffle(0)
    with pytest.raises(ValueError, match=r"LayerScale\(3\): expected input \(batch, ..., 3\), got \(2, 4\)"):
        mf.LayerScale(3)(mx.zeros((2, 4)))
    with pytest.raises(TypeError, match="expected real numbers"):
        mf.LayerScale(3)(mx.zeros((2, 3), dtype=mx.int32))
    with pytest.raises(ValueError, match=r"whose channels 3 divides, got \(2, 4\)"):
        mf.ChannelShuffle(3)(mx.zeros((2, 4)))
