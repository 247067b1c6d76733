"""Diffusion: pictures are dissolved in noise step by step, and a network learns to take the noise away again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ..core import random
from ..core.arrays import as_array
from ..core.module import Module
from ..core.untouched import evaluating
from ..layers import concatenate
from .unet import UNet


class Diffusion(Module):
    """Tells from a noisy picture, and how noisy it is, the noise in it.

        x_t = √ā_t x + √(1 - ā_t) ε,    ε ~ N(0, 1),    t = 1 ... steps, while ā_t falls from 1 to almost 0

    Ho, Jain and Abbeel 2020. The network sees x_t and a second channel that is t / steps everywhere, and is trained to
    give ε: ``inputs, noise = model.dissolved(x, seed)``, then ``model.fit(inputs, noise, loss="mse", ...)``.

    Args:
        shape: of one picture, (H, W, C), H and W divisible by 4.
        steps: how many it takes to dissolve a picture.
        width: channels of the U-Net at full size.

    Inputs: noisy pictures (N, H, W, C) and their t / steps, (N, 1).

    Shapes: -> (N, H, W, C).

    >>> model = Diffusion((8, 8, 1), steps=20, width=4)
    >>> (noisy, when), noise = model.dissolved(mx.zeros((3, 8, 8, 1)), seed=0)
    >>> model(noisy, when).shape, model.sample(2, seed=0).shape
    ((3, 8, 8, 1), (2, 8, 8, 1))
    """

    def __init__(self, shape: Sequence[int], steps: int = 100, width: int = 16) -> None:
        if len(shape) != 3 or steps < 1:
            raise ValueError(
                f"Diffusion: expected the shape (H, W, C) of a picture and steps >= 1, got {shape}, {steps}"
            )
        self.shape, self.steps = tuple(shape), steps
        self.network = UNet(shape[2] + 1, shape[2], width, depth=2)

    def settings(self) -> str:
        return f"{self.shape}, {self.steps} steps"

    def forward(self, noisy: Any, when: Any) -> Any:
        plane = noisy[..., :1] * 0 + when.reshape(-1, 1, 1, 1)
        return self.network(concatenate((noisy, plane), axis=-1))

    def kept(self) -> np.ndarray:
        """ā_t after t = 0, 1, ... steps: the share of the picture's variance that is left, from 1 to almost 0.

        A cosine, which dissolves slowly at both ends (Nichol and Dhariwal 2021).
        """
        t = np.arange(self.steps + 1) / self.steps
        return np.maximum(np.cos(t * math.pi / 2) ** 2, 1e-4)

    def dissolved(self, x: Any, seed: int | None = None) -> tuple[tuple[mx.array, mx.array], mx.array]:
        """What to train on: pictures dissolved for a random number of steps each, when that was, and the noise.

        Args:
            x: pictures (N, H, W, C), about from -1 to 1.
            seed: makes it repeatable.
        """
        pictures = as_array(x, where="dissolved")
        rng = np.random.default_rng(seed)
        t = rng.integers(1, self.steps + 1, len(pictures))
        left = mx.array(self.kept()[t].astype(np.float32)).reshape(-1, 1, 1, 1)
        noise = mx.array(rng.normal(size=pictures.shape).astype(np.float32))
        when = mx.array((t / self.steps).astype(np.float32)).reshape(-1, 1)
        return (mx.sqrt(left) * pictures + mx.sqrt(1 - left) * noise, when), noise

    def sample(self, count: int, seed: int | None = None) -> mx.array:
        """New pictures, from -1 to 1: noise that becomes a picture, step by step. With the network's guess ε̂,

            x̂ = (x_t - √(1 - ā_t) ε̂) / √ā_t, the picture that it would be, cut to -1..1
            x_{t-1} = (√ā_{t-1} β_t x̂ + √(1 - β_t) (1 - ā_{t-1}) x_t) / (1 - ā_t) + σ_t z,    z ~ N(0, 1)

        where 1 - β_t = ā_t / ā_{t-1} and σ_t² = β_t (1 - ā_{t-1}) / (1 - ā_t), which is 0 in the last step.
        """
        key = random.get_key() if seed is None else mx.random.key(seed)
        keys, kept = mx.random.split(key, self.steps + 1), self.kept()
        x = mx.random.normal((count, *self.shape), key=keys[0])
        with evaluating(self):
            for t in range(self.steps, 0, -1):
                now, before = float(kept[t]), float(kept[t - 1])
                beta = 1 - now / before
                guess = self(x, mx.full((count, 1), t / self.steps))
                picture = mx.clip((x - (1 - now) ** 0.5 * guess) / now**0.5, -1, 1)
                x = (before**0.5 * beta * picture + (1 - beta) ** 0.5 * (1 - before) * x) / (1 - now)
                x = x + (beta * (1 - before) / (1 - now)) ** 0.5 * mx.random.normal(x.shape, key=keys[t])
                mx.eval(x)
        return x


def diffusion(shape: Sequence[int] = (16, 16, 1), steps: int = 100, width: int = 16) -> Diffusion:
    """A small denoising diffusion model.

    >>> sum(p.size for p in diffusion().parameters())
    116897
    """
    return Diffusion(shape, steps, width)
