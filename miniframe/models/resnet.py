"""ResNet: blocks that only learn what to add to their input.

He et al. 2015. Parts and layers are named as in torchvision, so that its weights find their places:
``layer1.0.conv1.weight``, ``layer2.0.downsample.1.running_mean``.
"""

from __future__ import annotations

from typing import Any

from ..core.cells import started_together
from ..core.module import Module
from ..core.sequential import Sequential
from ..layers import BatchNorm, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU
from .starting import he_start


class BasicBlock(Module):
    """Two 3x3 convolutions, and a way around them: y = ReLU(BN(W₂ ReLU(BN(W₁ x))) + x).

    It only composes other layers, so it needs no backward. Where the block changes the shape, the way around is a 1x1
    convolution with the same stride, followed by a BatchNorm.

    Args:
        in_channels, out_channels: last axis of the input and of the output.
        stride: of the first convolution.

    Shapes: (N, H, W, in_channels) -> (N, ⌈H / stride⌉, ⌈W / stride⌉, out_channels).

    >>> import mlx.core as mx
    >>> BasicBlock(4, 8, stride=2)(mx.zeros((2, 6, 6, 4))).shape
    (2, 3, 3, 8)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        self.conv1 = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm(out_channels)
        self.relu = ReLU()
        self.conv2 = Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(out_channels)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            shrink = Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.downsample = Sequential(shrink, BatchNorm(out_channels))

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        around = x if self.downsample is None else self.downsample(x)
        return self.relu(y + around)


@started_together()
def resnet18(num_classes: int = 1000) -> Sequential:
    """Eight blocks in four stages, 11,689,512 parameters. (N, 224, 224, 3) -> (N, num_classes).

    Args:
        num_classes: how many logits it returns; 1000 by default.
    """
    model = Sequential(
        {
            "conv1": Conv2d(3, 64, 7, stride=2, padding=3, bias=False),  # 112x112x64
            "bn1": BatchNorm(64),
            "relu": ReLU(),
            "maxpool": MaxPool2d(3, stride=2, padding=1),  # 56x56x64
            "layer1": Sequential(BasicBlock(64, 64), BasicBlock(64, 64)),
            "layer2": Sequential(BasicBlock(64, 128, stride=2), BasicBlock(128, 128)),  # 28x28x128
            "layer3": Sequential(BasicBlock(128, 256, stride=2), BasicBlock(256, 256)),  # 14x14x256
            "layer4": Sequential(BasicBlock(256, 512, stride=2), BasicBlock(512, 512)),  # 7x7x512
            "avgpool": GlobalAvgPool2d(),
            "fc": Linear(512, num_classes),
        }
    )
    return he_start(model)
