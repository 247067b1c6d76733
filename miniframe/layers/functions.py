"""Layers as functions, for arrays and nodes alike: pooling, images and shapes (see functional.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ..core.elsewhere import called_here
from ..core.expression import Axis
from . import arithmetic, over_time, pooling, resizing, shape
from .channels import ChannelShuffle
from .elementwise import AsType
from .sampling import GaussianSample
from .windows import Pair


def channel_shuffle(x: Any, groups: int) -> Any:
    """The channels of (..., C), group by group, dealt out in turn. dx = dy, put back.

    >>> channel_shuffle(mx.array([[1.0, 2.0, 3.0, 4.0]]), 2).tolist()
    [[1.0, 3.0, 2.0, 4.0]]
    """
    return ChannelShuffle(groups)(x)


def max_pool2d(x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> Any:
    """The largest number in every window of (N, H, W, C). Its gradient goes to where it came from.

    >>> max_pool2d(mx.arange(4.0).reshape(1, 2, 2, 1), 2).tolist()
    [[[[3.0]]]]
    """
    return pooling.MaxPool2d(kernel_size, stride, padding)(x)


def avg_pool2d(x: Any, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> Any:
    """The mean of every window of (N, H, W, C). Its gradient is shared equally.

    >>> avg_pool2d(mx.arange(4.0).reshape(1, 2, 2, 1), 2).tolist()
    [[[[1.5]]]]
    """
    return pooling.AvgPool2d(kernel_size, stride, padding)(x)


def global_avg_pool2d(x: Any) -> Any:
    """(N, H, W, C) -> (N, C): the mean of every channel. Its gradient is shared equally.

    >>> global_avg_pool2d(mx.ones((5, 4, 4, 3))).shape
    (5, 3)
    """
    return pooling.GlobalAvgPool2d()(x)


def gaussian_sample(mean: Any, log_variance: Any, training: bool = True) -> Any:
    """A number from N(mean, exp(log_variance)) for each element; the mean itself when not training.

    >>> gaussian_sample(mx.array([1.0]), mx.array([0.0]), training=False).tolist()
    [1.0]
    """
    return GaussianSample().train(training)(mean, log_variance)


def max_pool1d(x: Any, kernel_size: int, stride: int | None = None, padding: int = 0) -> Any:
    """The largest under each window of a sequence, (N, T, C) -> (N, OT, C); see MaxPool1d.

    >>> max_pool1d(mx.zeros((1, 6, 3)), 2).shape
    (1, 3, 3)
    """
    return over_time.MaxPool1d(kernel_size, stride, padding)(x)


def avg_pool1d(x: Any, kernel_size: int, stride: int | None = None, padding: int = 0) -> Any:
    """The mean under each window of a sequence, (N, T, C) -> (N, OT, C); see AvgPool1d.

    >>> avg_pool1d(mx.zeros((1, 6, 3)), 2).shape
    (1, 3, 3)
    """
    return over_time.AvgPool1d(kernel_size, stride, padding)(x)


def global_avg_pool1d(x: Any) -> Any:
    """The mean of each channel over all steps, (N, T, C) -> (N, C).

    >>> global_avg_pool1d(mx.zeros((1, 6, 3))).shape
    (1, 3)
    """
    return over_time.GlobalAvgPool1d()(x)


def global_max_pool1d(x: Any) -> Any:
    """The largest of each channel over all steps, (N, T, C) -> (N, C).

    >>> global_max_pool1d(mx.zeros((1, 6, 3))).shape
    (1, 3)
    """
    return over_time.GlobalMaxPool1d()(x)


def adaptive_avg_pool2d(x: Any, output_size: int | Pair) -> Any:
    """Means over as many windows as the output has places. Their gradients are shared equally.

    >>> adaptive_avg_pool2d(mx.ones((5, 7, 7, 3)), 2).shape
    (5, 2, 2, 3)
    """
    return resizing.AdaptiveAvgPool2d(output_size)(x)


def upsample2d(x: Any, scale: int | Pair = 2, mode: str = "nearest") -> Any:
    """Images, enlarged. A pixel's gradient is the sum over all places that it was copied or mixed into.

    >>> upsample2d(mx.ones((5, 2, 2, 3)), 2).shape
    (5, 4, 4, 3)
    """
    return resizing.Upsample2d(scale, mode)(x)


def zero_pad2d(x: Any, padding: int | Sequence[int]) -> Any:
    """Images with rows and columns of zeros around them. dx = the inner part of dy.

    >>> zero_pad2d(mx.ones((5, 2, 2, 3)), 1).shape
    (5, 4, 4, 3)
    """
    return resizing.ZeroPad2d(padding)(x)


@called_here(start_dim="start_axis")
def flatten(x: Any, start_axis: int = 1) -> Any:
    """One axis in place of all from start_axis on; the batch stays. dx = dy in the old shape.

    >>> flatten(mx.zeros((5, 4, 3))).shape
    (5, 12)
    """
    return shape.flatten(x, start_axis)


def reshape(x: Any, *new_shape: Any) -> Any:
    """The numbers in another shape (of the batch, too), -1 meaning "what is left". dx = dy in the old shape.

    >>> reshape(mx.zeros((5, 4)), 2, -1).shape
    (2, 10)
    """
    return arithmetic.reshape(x, *new_shape)


def transpose(x: Any, *axes: int) -> Any:
    """The axes permuted; reversed, if none are given. dx = dy with the inverse permutation.

    >>> transpose(mx.zeros((5, 4, 3)), 0, 2, 1).shape
    (5, 3, 4)
    """
    return arithmetic.transpose(x, *axes)


@called_here(dim="axis")
def squeeze(x: Any, axis: Axis = None) -> Any:
    """x without axes of length 1. dx = dy with them.

    >>> squeeze(mx.zeros((5, 1, 3))).shape
    (5, 3)
    """
    return shape.Squeeze(axis)(x)


@called_here(dim="axis")
def unsqueeze(x: Any, axis: int) -> Any:
    """x with a new axis of length 1. dx = dy without it.

    >>> unsqueeze(mx.zeros((5, 3)), 1).shape
    (5, 1, 3)
    """
    return shape.Unsqueeze(axis)(x)


def astype(x: Any, dtype: mx.Dtype) -> Any:
    """x in another type. dx = dy in the type of x.

    >>> astype(mx.array([1.5]), mx.int32).tolist()
    [1]
    """
    return AsType(dtype)(x)
