"""Which pixels matter: the gradient of a class score with respect to the image."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from ..core.arrays import as_array
from ..core.module import Module
from ..core.untouched import untouched
from .reach import chosen_scores, run, send_back


def input_gradient(model: Module, x: Any, target: Any = None) -> mx.array:
    """d score / d x: how the score of a class changes with each number of the input. Same shape as x.

    Args:
        model: whose output is (N, classes); asked in evaluation mode, and left as it was.
        x: (N, ...) inputs.
        target: the class in question: one for all, (N,) of them, or None for the predicted ones.

    >>> import miniframe as mf
    >>> layer = mf.Linear(2, 3)
    >>> mx.array_equal(input_gradient(layer, mx.ones((1, 2)), target=1)[0], layer.weight.value[1]).item()
    True
    """
    with untouched(model):
        model.eval()
        seen = run(model, x)
        _, pick = chosen_scores(seen.output, target)
        return send_back(seen.outputs[0], pick, seen.inputs[0])


def saliency(
    model: Module,
    images: Any,
    target: Any = None,
    times_input: bool = False,
    samples: int = 1,
    noise: float = 0.1,
) -> mx.array:
    """How much each pixel matters: the largest absolute derivative among its channels.

        S[i, j] = max over c of |g[i, j, c]|, g = ∂ score / ∂ x;    with ``times_input``: |Σ g[i, j, c] x[i, j, c]|

    The first form (Simonyan, Vedaldi & Zisserman 2013) asks what a small change of a pixel would do, also of one that
    is dark now; the second (Shrikumar et al. 2016) what the pixel adds as it is, so black pixels add nothing. With
    ``samples`` above 1 the gradient is averaged over noisy copies (Smilkov et al. 2017), which leaves less speckle.

    Args:
        model, target: see :func:`input_gradient`.
        images: (N, H, W, C).
        times_input: which of the two forms.
        samples: noisy copies to average over; 1 takes the image itself.
        noise: their standard deviation, as a fraction of the range of the images' values.

    Returns:
        (N, H, W), not negative.

    >>> import miniframe as mf
    >>> saliency(mf.models.lenet(), mx.zeros((2, 28, 28, 1))).shape
    (2, 28, 28)
    """
    images = as_array(images, where="saliency")
    if images.ndim != 4 or samples < 1:
        raise ValueError(
            "saliency: expected images (batch, height, width, channels) and samples of at least 1, "
            f"got {images.shape} and {samples}"
        )
    if samples == 1:
        gradient = input_gradient(model, images, target)
    else:
        target = _predicted(model, images) if target is None else target  # noise must not change the question
        spread = noise * (images.max() - images.min())
        gradient = mx.zeros_like(images)
        for _ in range(samples):
            noisy = images + spread * mx.random.normal(images.shape)
            gradient = gradient + input_gradient(model, noisy, target) / samples
    return mx.abs((gradient * images).sum(axis=-1)) if times_input else mx.abs(gradient).max(axis=-1)


def integrated_gradients(model: Module, x: Any, target: Any = None, baseline: Any = None, steps: int = 32) -> mx.array:
    """What each number of the input adds to the score, compared with a baseline. Same shape as x.

        IG = (x - b) · mean of the gradient along the straight line from b to x

    All contributions of an input sum to score(x) - score(b), up to the error of the mean, which is taken over the
    midpoints of ``steps`` equal pieces. Sundararajan, Taly & Yan 2017.

    Args:
        model, x, target: see :func:`input_gradient`.
        baseline: "nothing to see", broadcast against x; zeros by default.
        steps: points along the line.

    >>> import miniframe as mf
    >>> layer = mf.Linear(2, 1)
    >>> parts = integrated_gradients(layer, mx.array([[3.0, 4.0]]), steps=1)
    >>> mx.allclose(parts, mx.array([[3.0, 4.0]]) * layer.weight.value).item()
    True
    """
    if steps < 1:
        raise ValueError(f"integrated_gradients: expected steps of at least 1, got {steps}")
    x = as_array(x, where="integrated_gradients")
    start = mx.zeros_like(x) if baseline is None else mx.broadcast_to(as_array(baseline), x.shape)
    if target is None:
        target = _predicted(model, x)
    total = mx.zeros_like(x)
    for step in range(steps):
        total = total + input_gradient(model, start + (step + 0.5) / steps * (x - start), target)
        mx.eval(total)
    return (x - start) * total / steps


def _predicted(model: Module, x: mx.array) -> mx.array:
    with untouched(model):
        model.eval()
        return mx.argmax(run(model, x).output, axis=-1)
