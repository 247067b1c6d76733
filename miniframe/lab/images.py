"""What a convolutional model sees in one image: maps, saliency, the evidence for a class, and the sliding window."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np

from ..core.untouched import untouched
from ..explain import grad_cam, saliency
from ..graph.passes import Pass
from ..layers import Conv2d
from .closeup import place
from .pictures import Frame, View, decided, image_bytes, signed_bytes

MAPS = 16  # channels that are shown, at most


def picture(view: View, index: Any, layer: str) -> Frame:
    """One training image, and what a layer makes of it.

    Args:
        index: of the image.
        layer: the name of the call, such as "0" or "0#2"; maps are those of outputs of (N, H, W, channels).
    """
    if view.x.ndim != 4:
        raise ValueError("only models of images have feature maps")
    (index,) = place([index], (len(view.x),), "the training data")
    model, x = view.model, view.x[index : index + 1]
    with untouched(model):
        model.eval()
        seen = Pass(model, x, "lab")
    if layer not in seen.calls:
        raise ValueError(f"there is no layer {layer!r}")
    module, maps = seen.calls[layer].module, seen.calls[layer].value
    labels = view.labels["train"]
    header: dict[str, Any] = {
        "kind": "picture",
        "index": index,
        "layer": layer,
        "title": module.title() if module else "",
    }
    header |= {"said": None, "sure": None, "label": None if labels is None else int(labels[index])}
    arrays = {"image": image_bytes(x)[0]}
    windows = [name for name, m in model.named_modules() if isinstance(m, Conv2d)]
    if isinstance(seen.output, mx.array) and seen.output.ndim == 2:
        arrays["saliency"] = _brightness(saliency(model, x)[0])
        if windows:
            arrays["cam"] = _brightness(grad_cam(model, x, windows[-1])[0])
    if labels is not None:
        (said,), (sure,) = decided(np.array(seen.output.astype(mx.float32)))
        header |= {"said": int(said), "sure": float(sure)}
    if isinstance(maps, mx.array) and maps.ndim == 4:
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
