"""What a convolutional model sees in one image: maps, saliency, the evidence for a class, and the sliding window."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..explain import activation_maps, grad_cam, saliency
from ..layers import Conv2d
from .closeup import place
from .pictures import Frame, View, decided, image_bytes, signed_bytes

MAPS = 16  # channels that are shown, at most


def picture(view: View, index: Any, layer: str) -> Frame:
    """One training image, and what a layer makes of it.

    Args:
        index: of the image.
        layer: the name of the call, such as "0"; its output has to be (N, H, W, channels).
    """
    if view.x.ndim != 4:
        raise ValueError("only models of images have feature maps")
    (index,) = place([index], (len(view.x),), "the training data")
    x, module = view.x[index : index + 1], dict(view.model.named_modules()).get(layer)
    if module is None:
        raise ValueError(f"there is no layer {layer!r}")
    maps = activation_maps(view.model, x, layer)
    scores = np.array(view.model.predict(x).astype(mx.float32))  # type: ignore[attr-defined]
    (said,), (sure,) = decided(scores)
    labels = view.labels["train"]
    header: dict[str, Any] = {"kind": "picture", "index": index, "layer": layer, "title": module.title()}
    header |= {"said": int(said), "sure": float(sure), "label": None if labels is None else int(labels[index])}
    arrays = {"image": image_bytes(x)[0], "saliency": _brightness(saliency(view.model, x)[0])}
    windows = [name for name, m in view.model.named_modules() if isinstance(m, Conv2d)]
    if windows:
        arrays["cam"] = _brightness(grad_cam(view.model, x, windows[-1])[0])
    if maps.ndim == 4:
        pixels, scale = signed_bytes(np.array(maps[0, :, :, :MAPS].astype(mx.float32)).transpose(2, 0, 1))
        arrays["maps"], header["scale"], header["of"] = pixels, scale, maps.shape[-1]
    if isinstance(module, Conv2d) and layer == windows[0]:  # only the first window slides over the picture itself
        (above, _), (left, _) = module.window.padding
        header["window"] = {"size": module.window.span, "stride": module.window.stride, "padding": [above, left]}
    return header, arrays


def _brightness(values: mx.array) -> np.ndarray:
    """Bytes of a map that is nowhere negative: 255 for its largest number."""
    array = np.nan_to_num(np.array(values.astype(mx.float32)))
    return np.round(255 * array / (float(array.max(initial=0.0)) or 1.0)).astype(np.uint8)
