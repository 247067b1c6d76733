"""Networks that describe a picture by a few numbers and paint it again from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from ..core import random
from ..core.module import Module
from ..core.sequential import Sequential
from ..core.untouched import evaluating
from ..layers import Flatten, GaussianSample, Linear, ReLU, Reshape, concatenate


def autoencoder(shape: Sequence[int] = (28, 28, 1), hidden: int = 128, code: int = 16) -> Sequential:
    """A network that gives back what it gets, through a narrow place: ``model["encoder"]`` and ``model["decoder"]``.

    Train it on pictures with themselves as targets: ``model.fit(x, x, loss="mse", ...)``.

    Args:
        shape: of one picture.
        hidden: units between picture and code.
        code: how many numbers describe a picture.

    Shapes: (N, *shape) -> the same.

    >>> model = autoencoder((8, 8, 1), hidden=32, code=4)
    >>> x = mx.zeros((2, 8, 8, 1))
    >>> model(x).shape, model["encoder"](x).shape
    ((2, 8, 8, 1), (2, 4))
    """
    pixels = math.prod(shape)
    return Sequential(
        {
            "encoder": Sequential(Flatten(), Linear(pixels, hidden), ReLU(), Linear(hidden, code)),
            "decoder": Sequential(Linear(code, hidden), ReLU(), Linear(hidden, pixels), Reshape(*shape)),
        }
    )


class VAE(Module):
    """An autoencoder whose codes are drawn, so that any code near 0 paints something: it makes new pictures.

        h = encoder(x),   μ = mean(h),   l = log_variance(h),   z = μ + exp(l / 2) ε,   logits = decoder(z)

    Kingma and Welling 2014. What it returns is all that its loss, ELBOLoss, needs, side by side: [logits, μ, l].

    Args:
        features: numbers of a picture, as a row.
        hidden: units between picture and code.
        code: how many numbers describe a picture, D.

    Shapes: (N, features), from 0 to 1 -> (N, features + 2 D).

    >>> model = VAE(64, hidden=32, code=2)
    >>> model(mx.zeros((5, 64))).shape, model.sample(3, seed=0).shape
    ((5, 68), (3, 64))
    """

    def __init__(self, features: int, hidden: int, code: int) -> None:
        if min(features, hidden, code) < 1:
            raise ValueError(f"VAE: expected positive sizes, got {features}, {hidden} and {code}")
        self.features, self.code = features, code
        self.encoder = Sequential(Linear(features, hidden), ReLU())
        self.mean = Linear(hidden, code)
        self.log_variance = Linear(hidden, code)
        self.draw = GaussianSample()
        self.decoder = Sequential(Linear(code, hidden), ReLU(), Linear(hidden, features))

    def settings(self) -> str:
        return f"{self.features}, code of {self.code}"

    def forward(self, x: Any) -> Any:
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h)
        logits = self.decoder(self.draw(mean, log_variance))
        return concatenate((logits, mean, log_variance), axis=1)

    def reconstruct(self, x: mx.array) -> mx.array:
        """The pictures as they are painted again, from the means of their codes."""
        with evaluating(self):
            return mx.sigmoid(self(x)[:, : self.features])

    def sample(self, count: int, seed: int | None = None) -> mx.array:
        """New pictures, from codes drawn from N(0, 1): (count, features), from 0 to 1."""
        key = random.get_key() if seed is None else mx.random.key(seed)
        with evaluating(self):
            return mx.sigmoid(self.decoder(mx.random.normal((count, self.code), key=key)))


def vae(features: int = 784, hidden: int = 256, code: int = 8) -> VAE:
    """A small variational autoencoder for pictures like MNIST's.

    >>> vae()(mx.zeros((1, 784))).shape
    (1, 800)
    """
    return VAE(features, hidden, code)
