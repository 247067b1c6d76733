"""ResNet: its block against three witnesses, its stages, its evaluation."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

from miniframe import models


def channels_first(a):
    return a.transpose(0, 3, 1, 2).copy() if a.ndim == 4 else a


def channels_last(a):
    return a.transpose(0, 2, 3, 1).copy() if a.ndim == 4 else a


def same_numbers(model, module):
    """Copy the model's numbers to a PyTorch module with the same names; where its gradients are found."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    with torch.no_grad():
        for path, cell in (*model.named_parameters(), *model.named_buffers()):
            tensors[path].copy_(torch.tensor(channels_first(np.array(cell.value))))
    return {path: (tensors[path], channels_last) for path, _ in model.named_parameters()}


def test_resnet18_shrinks_the_image_stage_by_stage():
    summary = models.resnet18().summary((224, 224, 3))
    shapes = [row.output_shape for row in summary.rows if row.name.startswith("layer") and row.name.endswith("bn2")]
    assert shapes == [(56, 56, 64)] * 2 + [(28, 28, 128)] * 2 + [(14, 14, 256)] * 2 + [(7, 7, 512)] * 2
    assert summary.multiply_adds == 1_814_073_344


@pytest.mark.parametrize("sizes", [(3, 3, 1), (2, 4, 2)])
def test_the_basic_block_agrees_with_three_witnesses(sizes):
    block, x = models.BasicBlock(*sizes), normal(2, 5, 4, sizes[0], seed=3)
    reference = TorchBasicBlock(*sizes)
    weights = same_numbers(block, reference)
    by_differences(block, x)
    by_mx_grad(block, x)
    by_torch(block, reference, x, weights=weights, layout=channels_first, back=channels_last)


class TorchBasicBlock(torch.nn.Module):
    def __init__(self, in_channels, out_channels, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(out_channels)
        self.conv2 = torch.nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = torch.nn.Sequential(
                torch.nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), torch.nn.BatchNorm2d(out_channels)
            )

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


def test_resnet18_evaluates_one_image_like_any_batch():
    model = models.resnet18(num_classes=5).eval()
    x = mx.array(normal(2, 64, 64, 3, seed=3).astype(np.float32))
    close(model(x[:1]), np.array(model(x))[:1], 1e-4)
