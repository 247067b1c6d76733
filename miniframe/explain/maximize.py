"""What a channel would like to see most: an image changed step by step along the gradient of its activation."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from ..core.arrays import number
from ..core.module import Module
from ..core.untouched import untouched
from .reach import node_of, run, send_back


@dataclass
class Maximized:
    """The result of :func:`maximize_activation`.

    Attributes:
        image: (H, W, C), from 0 to 1 if the search was bounded.
        start: the channel's activation for the noise that the search started from.
        end: its activation for ``image``.
        history: the activation before each step, under that step's jitter.
    """

    image: mx.array
    start: float
    end: float
    history: list[float]

    def picture(self) -> mx.array:
        """The image brought into 0 to 1 for the eye: grey is its mean, three standard deviations reach black and white.

        (H, W, C).
        """
        spread = mx.sqrt(mx.var(self.image))
        return mx.clip(0.5 + (self.image - self.image.mean()) / mx.maximum(6 * spread, 1e-12), 0, 1)


def maximize_activation(
    model: Module,
    layer: str | Module,
    channel: int,
    shape: tuple[int, int, int] = (32, 32, 3),
    steps: int = 100,
    rate: float = 0.02,
    jitter: int = 2,
    blur: float = 0.5,
    level: float = 0.5,
    contrast: float = 0.02,
    bounded: bool = True,
    seed: int = 0,
) -> Maximized:
    """Find an image that excites one channel of a layer, by gradient ascent through the model's own backward.

        x ← x + rate · g / √mean(g²),        g = ∂ (mean of the channel's activation) / ∂ x

    Before each step the image is shifted at random by up to ``jitter`` pixels, and every fourth step it is blurred:
    both keep out the fine noise that excites the channel without resembling anything. Erhan et al. 2009; Mordvintsev
    et al. 2015.

    Args:
        model: asked in evaluation mode, and left as it was.
        layer: its path in the model, such as "features.3", or the module itself.
        channel: the last index of the layer's output.
        shape: of the image.
        steps: of the ascent.
        rate: the root mean square change of a pixel in one step.
        jitter: largest shift in pixels; 0 for none.
        blur: standard deviation of the blur in pixels; 0 for none.
        level, contrast: mean and standard deviation of the noise that the search starts from.
        bounded: whether pixels must stay between 0 and 1; if not, the activation can rise as far as the steps reach.
        seed: of that noise and of the shifts.

    Raises:
        ValueError: for a layer or channel that does not exist, naming the existing ones.

    >>> import miniframe as mf
    >>> found = maximize_activation(mf.models.lenet(), "0", 2, shape=(28, 28, 1), steps=5)
    >>> found.image.shape, found.end > found.start
    ((28, 28, 1), True)
    """
    if steps < 1 or rate <= 0 or jitter < 0 or blur < 0:
        raise ValueError(
            f"maximize_activation: expected steps >= 1, rate > 0, jitter >= 0 and blur >= 0, "
            f"got {steps}, {rate}, {jitter}, {blur}"
        )
    rng = np.random.default_rng(seed)
    image = mx.array((level + contrast * rng.normal(size=(1, *shape))).astype(np.float32))
    smooth = [mx.array(_blur_matrix(size, blur)) for size in shape[:2]]
    history = []
    with untouched(model):
        model.eval()
        start, _ = activation_and_gradient(model, layer, channel, image)
        for step in range(steps):
            rows, columns = rng.integers(-jitter, jitter + 1, size=2).tolist()
            value, gradient = activation_and_gradient(model, layer, channel, image, (rows, columns))
            size = mx.sqrt(mx.square(gradient).mean())
            image = image + rate * gradient / mx.maximum(size, 1e-12)
            image = mx.clip(image, 0, 1) if bounded else image
            if blur and step % 4 == 3 and step < steps - 1:
                image = _blurred(image, *smooth)
            history.append(value)
            mx.async_eval(image, value)
        end, _ = activation_and_gradient(model, layer, channel, image)
        return Maximized(image[0], number(start), number(end), [number(value) for value in history])


def activation_and_gradient(
    model: Module, layer: str | Module, channel: int, image: mx.array, shift: tuple[int, int] = (0, 0)
) -> tuple[mx.array, mx.array]:
    """The mean activation of a channel for the shifted image, and its gradient with respect to the unshifted one."""
    rows, columns = shift
    seen = run(model, _moved(image, rows, columns))
    node = node_of(seen, layer)
    channels = node.value.shape[-1]
    if not -channels <= channel < channels:
        raise ValueError(f"maximize_activation: expected a channel of 0..{channels - 1}, got {channel}")
    activation = node.value[..., channel]
    pick = (mx.arange(channels) == channel % channels).astype(image.dtype) / activation.size
    gradient = send_back(node, mx.broadcast_to(pick, node.value.shape), seen.inputs[0])
    return activation.mean(), _moved(gradient, -rows, -columns)


def _blur_matrix(size: int, sigma: float) -> np.ndarray:
    """(size, size): each pixel as a weighted mean of its neighbours along one axis."""
    place = np.arange(size)
    weights = np.exp(-((place[:, None] - place) ** 2) / (2 * max(sigma, 1e-3) ** 2))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _blurred(image: mx.array, rows: mx.array, columns: mx.array) -> mx.array:
    channels_first = image.transpose(0, 3, 1, 2)
    return (rows @ channels_first @ columns.T).transpose(0, 2, 3, 1)


def _moved(image: mx.array, rows: int, columns: int) -> mx.array:
    """The image shifted, what leaves on one side coming in on the other."""
    return mx.roll(mx.roll(image, rows, 1), columns, 2)
