"""Normalization: shift and scale activations to mean 0 and variance 1, then let the network choose its own scale.

All three layers compute x̂ = (x - mean) / √(variance + ε) and y = γ x̂ + β. They differ in what the mean is taken over:
BatchNorm over the batch, LayerNorm over the features of one sample, GroupNorm over groups of channels of one image.
"""

from __future__ import annotations

import math

import mlx.core as mx

from ..core.arrays import is_floating
from ..core.cells import Buffer, Parameter
from ..core.checks import real, whole
from ..core.module import Module
from ..core.sums import mean, total

Axes = tuple[int, ...]


def normalize(x: mx.array, axes: Axes, eps: float) -> tuple[mx.array, mx.array, mx.array, mx.array]:
    """(x̂, 1/σ, mean, variance) over ``axes``; σ² is the variance (divided by the count) plus ε."""
    mean = mean_over(x, axes)
    centred = x - mean
    variance = mean_over(centred * centred, axes)
    inverse = 1 / mx.sqrt(variance + eps)
    return centred * inverse, inverse, mean, variance


def normalize_backward(grad: mx.array, x_hat: mx.array, inverse: mx.array, axes: Axes) -> mx.array:
    """dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / σ: what is left of dx̂ once a shift and a scaling do nothing."""
    return (grad - mean_over(grad, axes) - x_hat * mean_over(grad * x_hat, axes)) * inverse


def mean_over(x: mx.array, axes: Axes) -> mx.array:
    """The mean over some axes, which stay with length 1; over many rows in blocks."""
    if axes != tuple(range(len(axes))):
        return x.mean(axis=axes, keepdims=True)
    rest = x.shape[len(axes) :]
    return mean(x.reshape(-1, *rest), axis=0).reshape(*[1] * len(axes), *rest)


class BatchNorm(Module):
    """Normalize each channel over the batch (and over all pixels of an image).

        x̂ = (x - μ) / √(σ² + ε),   y = γ x̂ + β          dx = γ (dy - mean(dy) - x̂ mean(dy x̂)) / √(σ² + ε)

    Training uses μ and σ² of the batch and lets ``running_mean`` and ``running_var`` follow them: r ← (1 - momentum) r
    + momentum · statistic, with the variance divided by count - 1. Evaluation uses the running ones. Ioffe & Szegedy
    2015, with PyTorch's conventions. ``weight`` (γ) starts at 1, ``bias`` (β) at 0, both (num_features,).

    Args:
        num_features: last axis of the input, C.
        eps: ε; 1e-5 by default.
        momentum: of the running statistics; 0.1 by default.
        affine: whether γ and β are learned; without them y = x̂.

    Shapes: (N, C), (N, T, C) or (N, H, W, C) -> the same.

    Raises:
        ValueError: for an input of another last axis, or, in training, with a single value for each channel.

    >>> layer = BatchNorm(1)
    >>> layer(mx.array([[1.0], [3.0]])).round(3).tolist(), round(layer.running_mean.value.item(), 3)
    ([[-1.0], [1.0]], 0.2)
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        whole("BatchNorm", num_features=num_features)
        real("BatchNorm", least=0, eps=eps, momentum=momentum)
        if momentum > 1:
            raise ValueError(f"BatchNorm: expected 0 <= momentum <= 1, got {momentum}")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(mx.ones((num_features,))) if affine else None
        self.bias = Parameter(mx.zeros((num_features,))) if affine else None
        self.running_mean = Buffer(mx.zeros((num_features,)))
        self.running_var = Buffer(mx.ones((num_features,)))

    def settings(self) -> str:
        return str(self.num_features) + ("" if self.weight else ", not affine")

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        if self.training:
            x_hat, inverse, mean, variance = normalize(x, tuple(range(x.ndim - 1)), self.eps)
            self.follow(mean.reshape(-1), variance.reshape(-1), x.size // self.num_features)
        else:
            inverse = 1 / mx.sqrt(self.running_var.value + self.eps)
            x_hat = (x - self.running_mean.value) * inverse
        self.saved = x_hat, inverse, self.training
        return affine(x_hat, self.weight, self.bias)

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse, trained = self.saved
        grad = affine_backward(grad_output, x_hat, self.weight, self.bias)
        if not trained:  # the running statistics are constants
            return grad * inverse
        return normalize_backward(grad, x_hat, inverse, tuple(range(grad.ndim - 1)))

    def follow(self, mean: mx.array, variance: mx.array, count: int) -> None:
        """Move the running statistics towards those of a batch of ``count`` values for each channel."""
        m, unbiased = self.momentum, variance * (count / (count - 1))
        self.running_mean.value = (1 - m) * self.running_mean.value + m * mean
        self.running_var.value = (1 - m) * self.running_var.value + m * unbiased

    def check(self, x: mx.array) -> None:
        check_features(self, x, self.num_features)
        if self.training and x.size == self.num_features:
            raise self.wrong("more than one value for each channel in training", x, "use a larger batch, or eval()")


class LayerNorm(Module):
    """Normalize the features of each sample, or of each place in a sequence, on their own.

        x̂ = (x - μ) / √(σ² + ε),   y = γ x̂ + β          dx = (dx̂ - mean(dx̂) - x̂ mean(dx̂ x̂)) / √(σ² + ε), dx̂ = γ dy

    Ba, Kiros & Hinton 2016. ``weight`` (γ) starts at 1, ``bias`` (β) at 0, both of shape ``normalized_shape``.

    Args:
        normalized_shape: the last axes of the input, D or (..., D), over which mean and variance are taken.
        eps: ε; 1e-5 by default.
        affine: whether γ and β are learned; without them y = x̂.
        bias: whether β is learned.

    Shapes: (N, ..., *normalized_shape) -> the same.

    >>> LayerNorm(2)(mx.array([[1.0, 3.0], [5.0, 5.0]])).round(3).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    samples_apart = True

    def __init__(
        self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        if not shape:
            raise ValueError("LayerNorm: expected normalized_shape as one number or several, got none")
        for size in shape:
            whole("LayerNorm", normalized_shape=size)
        real("LayerNorm", least=0, eps=eps)
        self.normalized_shape, self.eps = shape, eps
        self.weight = Parameter(mx.ones(shape)) if affine else None
        self.bias = Parameter(mx.zeros(shape)) if affine and bias else None

    def settings(self) -> str:
        absent = "" if self.bias else ", no bias" if self.weight else ", not affine"
        return ", ".join(map(str, self.normalized_shape)) + absent

    def forward(self, x: mx.array) -> mx.array:
        self.check(x)
        x_hat, inverse, _, _ = normalize(x, self.axes(), self.eps)
        self.saved = x_hat, inverse
        return affine(x_hat, self.weight, self.bias)

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse = self.saved
        grad = affine_backward(grad_output, x_hat, self.weight, self.bias)
        return normalize_backward(grad, x_hat, inverse, self.axes())

    def axes(self) -> Axes:
        return tuple(range(-len(self.normalized_shape), 0))

    def check(self, x: mx.array) -> None:
        if x.ndim <= len(self.normalized_shape) or x.shape[-len(self.normalized_shape) :] != self.normalized_shape:
            raise self.wrong(f"input (batch, ..., {', '.join(map(str, self.normalized_shape))})", x)
        check_real(self, x)


class GroupNorm(Module):
    """Normalize each image over all its pixels and over groups of its channels; needs no batch.

        x̂ = (x - μ) / √(σ² + ε) with μ, σ² of one image and group,   y = γ x̂ + β; dx as in LayerNorm, group by group

    Wu & He 2018. ``weight`` (γ) starts at 1, ``bias`` (β) at 0, both (num_channels,). One group is a LayerNorm over
    the image, a group for each channel is instance normalization.

    Args:
        num_groups: how many groups the channels fall into; neighbours share one.
        num_channels: last axis of the input, C.
        eps: ε; 1e-5 by default.
        affine: whether γ and β are learned; without them y = x̂.

    Shapes: (N, ..., C) -> the same.

    >>> GroupNorm(1, 2)(mx.array([[1.0, 3.0]])).round(3).tolist()
    [[-1.0, 1.0]]
    """

    samples_apart = True

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        whole("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        real("GroupNorm", least=0, eps=eps)
        if num_channels % num_groups:
            raise ValueError(
                "GroupNorm: expected num_channels divisible by num_groups, "
                f"got {num_channels} channels, {num_groups} groups"
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.weight = Parameter(mx.ones((num_channels,))) if affine else None
        self.bias = Parameter(mx.zeros((num_channels,))) if affine else None

    def settings(self) -> str:
        return f"{self.num_groups} groups, {self.num_channels}" + ("" if self.weight else ", not affine")

    def forward(self, x: mx.array) -> mx.array:
        check_features(self, x, self.num_channels)
        x_hat, inverse, _, _ = normalize(self.grouped(x), (1, 3), self.eps)
        x_hat = x_hat.reshape(x.shape)
        self.saved = x_hat, inverse
        return affine(x_hat, self.weight, self.bias)

    def backward(self, grad_output: mx.array) -> mx.array:
        x_hat, inverse = self.saved
        grad = affine_backward(grad_output, x_hat, self.weight, self.bias)
        return normalize_backward(self.grouped(grad), self.grouped(x_hat), inverse, (1, 3)).reshape(grad.shape)

    def grouped(self, x: mx.array) -> mx.array:
        """(N, ..., C) -> (N, pixels, groups, C / groups)."""
        pixels = math.prod(x.shape[1:-1])
        return x.reshape(x.shape[0], pixels, self.num_groups, self.num_channels // self.num_groups)


def affine(x_hat: mx.array, weight: Parameter | None, bias: Parameter | None) -> mx.array:
    """y = γ x̂ + β, of which either may be missing."""
    y = x_hat if weight is None else x_hat * weight.value
    return y if bias is None else y + bias.value


def affine_backward(
    grad_output: mx.array, x_hat: mx.array, weight: Parameter | None, bias: Parameter | None
) -> mx.array:
    """dγ = Σ dy x̂ and dβ = Σ dy, over all samples; returns dx̂ = γ dy."""
    if bias is not None:
        bias.accumulate(total(grad_output.reshape(-1, *bias.shape), axis=0))
    if weight is None:
        return grad_output
    weight.accumulate(total((grad_output * x_hat).reshape(-1, *weight.shape), axis=0))
    return grad_output * weight.value


def check_features(layer: Module, x: mx.array, features: int) -> None:
    """Raise unless x is (N, ..., features) of real numbers."""
    if x.ndim < 2 or x.shape[-1] != features:
        hint = "channels come last: x.transpose(0, 2, 3, 1)" if x.ndim == 4 and x.shape[1] == features else ""
        raise layer.wrong(f"input (batch, ..., {features})", x, hint)
    check_real(layer, x)


def check_real(layer: Module, x: mx.array) -> None:
    if not is_floating(x):
        raise TypeError(f"{layer.title()}: expected real numbers, got {x.dtype}; use mx.array(x).astype(mx.float32)")
