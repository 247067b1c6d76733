"""VGG: nothing but 3x3 convolutions, and a pooling wherever the image is to be halved.

Simonyan & Zisserman 2014. Parts and layers are named as in torchvision, so that its weights find their places:
``features.0.weight``, ``classifier.6.bias``. Images are (N, 224, 224, 3); other sizes of at least 32 work too.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..core.cells import started_together
from ..core.module import Module
from ..core.sequential import Sequential
from ..layers import AdaptiveAvgPool2d, BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from .starting import he_start

# the channels of the convolutions between one pooling and the next
VGG11 = (64,), (128,), (256, 256), (512, 512), (512, 512)
VGG13 = (64, 64), (128, 128), (256, 256), (512, 512), (512, 512)
VGG16 = (64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)
VGG19 = (64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512, 512, 512, 512)


@started_together()
def vgg(stages: Sequence[Sequence[int]], num_classes: int = 1000, batch_norm: bool = False) -> Sequential:
    """A VGG from the channels of its convolutions, stage by stage. (N, H, W, 3) -> (N, num_classes).

    Args:
        stages: for each stage, the output channels of its convolutions; a 2x2 max pooling ends it.
        num_classes: how many logits it returns.
        batch_norm: whether a BatchNorm follows each convolution.

    >>> import mlx.core as mx
    >>> vgg([(4, 4), (8,)], num_classes=10)(mx.zeros((1, 32, 32, 3))).shape
    (1, 10)
    """
    features: list[Module] = []
    channels = 3
    for stage in stages:
        for out_channels in stage:
            features.append(Conv2d(channels, out_channels, 3, padding=1))
            if batch_norm:
                features.append(BatchNorm(out_channels))
            features.append(ReLU())
            channels = out_channels
        features.append(MaxPool2d(2))
    model = Sequential(
        {
            "features": Sequential(*features),
            "avgpool": AdaptiveAvgPool2d(7),
            "flatten": Flatten(),
            "classifier": Sequential(
                Linear(channels * 7 * 7, 4096),
                ReLU(),
                Dropout(0.5),
                Linear(4096, 4096),
                ReLU(),
                Dropout(0.5),
                Linear(4096, num_classes),
            ),
        }
    )
    return he_start(model)


def vgg11(num_classes: int = 1000) -> Sequential:
    """VGG with 8 convolutions and 3 linear layers, 132,863,336 parameters."""
    return vgg(VGG11, num_classes)


def vgg13(num_classes: int = 1000) -> Sequential:
    """VGG with 10 convolutions and 3 linear layers, 133,047,848 parameters."""
    return vgg(VGG13, num_classes)


def vgg16(num_classes: int = 1000) -> Sequential:
    """VGG with 13 convolutions and 3 linear layers, 138,357,544 parameters."""
    return vgg(VGG16, num_classes)


def vgg19(num_classes: int = 1000) -> Sequential:
    """VGG with 16 convolutions and 3 linear layers, 143,667,240 parameters."""
    return vgg(VGG19, num_classes)


def vgg11_bn(num_classes: int = 1000) -> Sequential:
    """VGG11 with a BatchNorm after each convolution, 132,868,840 parameters."""
    return vgg(VGG11, num_classes, batch_norm=True)


def vgg13_bn(num_classes: int = 1000) -> Sequential:
    """VGG13 with a BatchNorm after each convolution, 133,053,736 parameters."""
    return vgg(VGG13, num_classes, batch_norm=True)


def vgg16_bn(num_classes: int = 1000) -> Sequential:
    """VGG16 with a BatchNorm after each convolution, 138,365,992 parameters."""
    return vgg(VGG16, num_classes, batch_norm=True)


def vgg19_bn(num_classes: int = 1000) -> Sequential:
    """VGG19 with a BatchNorm after each convolution, 143,678,248 parameters."""
    return vgg(VGG19, num_classes, batch_norm=True)
