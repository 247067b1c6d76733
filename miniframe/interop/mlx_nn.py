"""Models and weights of mlx.nn, in and out. Layouts are the same there, images channels-last; only names differ."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import mlx.core as mx

from .. import layers as mf
from ..core.arrays import as_tuple
from ..core.module import Module
from ..core.sequential import Sequential
from ..saving.files import load_arrays
from ..saving.weights import WeightsReport, put_weights
from .mlx_sequences import SEQUENCES_FROM_MLX, SEQUENCES_TO_MLX, weights_from_mlx, weights_to_mlx

FROM_MLX: dict[str, Callable[[Any], Module]] = {
    "Linear": lambda m: mf.Linear(m.weight.shape[1], m.weight.shape[0], "bias" in m),
    "Embedding": lambda m: mf.Embedding(*m.weight.shape),
    "Conv2d": lambda m: mf.Conv2d(
        m.weight.shape[3] * m.groups, m.weight.shape[0], tuple(m.weight.shape[1:3]), m.stride, m.padding, m.dilation,
        m.groups, "bias" in m,
    ),
    "Conv1d": lambda m: mf.Conv1d(
        m.weight.shape[2] * m.groups, m.weight.shape[0], m.weight.shape[1], m.stride, m.padding, m.dilation, m.groups,
        "bias" in m,
    ),
    "ConvTranspose2d": lambda m: mf.ConvTranspose2d(
        m.weight.shape[3], m.weight.shape[0], tuple(m.weight.shape[1:3]), m.stride, m.padding, m.output_padding,
        m.dilation, "bias" in m,
    ),
    "Upsample": lambda m: mf.Upsample2d(_whole(m.scale_factor), {"linear": "bilinear"}.get(m.mode, m.mode)),
    "PReLU": lambda m: mf.PReLU(m.weight.size),
    "BatchNorm": lambda m: mf.BatchNorm(m.num_features, m.eps, m.momentum, "weight" in m),
    "LayerNorm": lambda m: mf.LayerNorm(m.dims, m.eps, "weight" in m, "bias" in m),
    "RMSNorm": lambda m: mf.RMSNorm(m.weight.shape[0], m.eps),
    "GroupNorm": lambda m: mf.GroupNorm(m.num_groups, m.dims, m.eps, "weight" in m),
    "MaxPool2d": lambda m: mf.MaxPool2d(tuple(m._kernel_size), tuple(m._stride), _even(m)),
    "AvgPool2d": lambda m: mf.AvgPool2d(tuple(m._kernel_size), tuple(m._stride), _even(m)),
    **SEQUENCES_FROM_MLX,
    "Dropout": lambda m: mf.Dropout(1 - m._p_1),
    "Identity": lambda m: mf.Identity(),
    "ReLU": lambda m: mf.ReLU(),
    "LeakyReLU": lambda m: mf.LeakyReLU(m._negative_slope),
    "ELU": lambda m: mf.ELU(m._alpha),
    "GELU": lambda m: mf.GELU("none" if m._approx == "none" else "tanh"),
    "SiLU": lambda m: mf.SiLU(),
    "Sigmoid": lambda m: mf.Sigmoid(),
    "Tanh": lambda m: mf.Tanh(),
    "Softplus": lambda m: mf.Softplus(),
    "Softmax": lambda m: mf.Softmax(),
}  # fmt: skip
ONLY = {  # settings that the layer here does not have any other value for
    "GroupNorm": ("pytorch_compatible", True),
    "GELU": ("_approx", ("none", "precise", "tanh")),
    "BatchNorm": ("track_running_stats", True),
    "Upsample": ("align_corners", False),
}


def _whole(scale: Any) -> tuple[int, int]:
    """By how much an image is enlarged along its two axes."""
    factors = as_tuple(scale) * (2 if len(as_tuple(scale)) == 1 else 1)
    if len(factors) != 2 or any(factor != int(factor) for factor in factors):
        raise ValueError(f" by {scale}; only images and whole factors are known")
    return int(factors[0]), int(factors[1])


def _even(m: Any) -> tuple[int, int]:
    """A pooling layer's padding, the same on both sides."""
    (top, _), (left, _) = m._padding
    return top, left


def from_mlx(module: Any) -> Module:
    """The same model here, with the same weights, for a layer of mlx.nn or a Sequential of them, nested or not.

    Raises:
        ValueError: for layers without a counterpart, and for settings that it does not have, all named with their
            places.

    >>> import mlx.nn as nn
    >>> from_mlx(nn.Sequential(nn.Linear(2, 3), nn.Tanh()))
    Sequential(
      (0) Linear(2 -> 3)
      (1) Tanh()
    )
    """
    refused: list[str] = []
    model = _layer(module, "", refused)
    if refused:
        known = ", ".join(("Sequential", *FROM_MLX))
        hint = "; load_mlx_weights(model, module) brings the weights of any module into a model of yours, by name"
        raise ValueError(f"from_mlx: no counterpart for {', '.join(refused)}; known are {known}{hint}")
    load_mlx_weights(model, module)
    learns = {_renamed(name): array for name, array in _flat(module.trainable_parameters())}
    learning = set(weights_from_mlx(learns, dict(model.named_modules())))
    for name, parameter in model.named_parameters():
        parameter.trainable = name in learning
    return model.train(module.training)


def _layer(module: Any, path: str, refused: list[str]) -> Module:
    kind = type(module).__name__
    if kind == "Sequential":
        return Sequential(
            {str(k): _layer(m, f"{path}.{k}" if path else str(k), refused) for k, m in enumerate(module.layers)}
        )
    place = f"{path!r}, a " if path else ""
    option, value = ONLY.get(kind, ("", None))
    if kind not in FROM_MLX:
        refused.append(place + kind)
    elif option and (found := getattr(module, option)) not in as_tuple(value):
        refused.append(f"{place}{kind} with {option.strip('_')}={found!r} instead of {as_tuple(value)[0]!r}")
    else:
        try:
            return FROM_MLX[kind](module)
        except ValueError as error:
            refused.append(f"{place}{kind}{error}")
    return mf.Identity()


def load_mlx_weights(model: Module, weights: Any, strict: bool = True) -> WeightsReport:
    """Copy the weights of an mlx.nn model into a model of the same architecture, by name.

    ``layers.0.weight``, as mlx.nn's Sequential has it, is ``0.weight`` here.

    Args:
        model: whose weights are set.
        weights: the mlx.nn model, the path of a file that it saved, or names with arrays: a dict or a list of pairs.
        strict: True makes any difference an error, which lists all of them and leaves the model untouched.

    Raises:
        FileNotFoundError: without such a file.
        ValueError: for a file that is damaged or of another kind, and for weights that do not fit.

    >>> import mlx.nn as nn
    >>> load_mlx_weights(Sequential(mf.Linear(2, 3)), nn.Sequential(nn.Linear(2, 3)))
    2 loaded
    """
    weights = _read(Path(weights)) if isinstance(weights, (str, Path)) else weights
    pairs = _flat(weights.parameters()) if hasattr(weights, "parameters") else dict(weights).items()
    own = dict(model.named_items())
    renamed = {name if name in own else _renamed(name): mx.array(array) for name, array in pairs}
    arrays = weights_from_mlx(renamed, dict(model.named_modules()))
    return put_weights(model, arrays, strict, "load_mlx_weights")


def _read(path: Path) -> Any:
    """The arrays of a file that mlx.nn saved, computed while the file is there."""
    if path.suffix == ".safetensors":
        return load_arrays(path)[0]
    if path.suffix != ".npz":
        raise ValueError(f"load_mlx_weights: expected a .safetensors or .npz file, got {path}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        arrays: Any = mx.load(str(path))
        mx.eval(arrays)
    except (ValueError, RuntimeError, OSError, EOFError, BadZipFile) as error:
        raise ValueError(f"{path}: damaged, or no .npz file: {' '.join(str(error).split())[:200]}") from error
    return arrays


def to_mlx(model: Module) -> Any:
    """The same model in mlx.nn, with the same weights: for a layer or a Sequential of them, nested or not.

    Raises:
        ValueError: for layers without a counterpart, all named with their places.

    >>> to_mlx(Sequential(mf.Linear(2, 3), mf.Tanh())).layers[0].weight.shape
    (3, 2)
    """
    import mlx.nn as nn

    refused: list[str] = []
    names: dict[str, str] = {}
    module = _module(nn, model, "", "", refused, names)
    if refused:
        raise ValueError(f"to_mlx: no counterpart in mlx.nn for {', '.join(refused)}")
    state = weights_to_mlx(model.state_dict(), dict(model.named_modules()))
    module.load_weights([(_there(name, names), array) for name, array in state.items()])
    return module.train(model.training)


def _there(name: str, names: dict[str, str]) -> str:
    """The name of an array there: that of the nearest layer around it, which has one, with the rest behind."""
    path, rest = name, ""
    while path not in names:
        path, _, last = path.rpartition(".")
        rest = f"{last}.{rest}" if rest else last
    return f"{names[path]}{rest}"


def _module(nn: Any, layer: Module, path: str, there: str, refused: list[str], names: dict[str, str]) -> Any:
    """The counterpart of a layer; ``names`` learns how its path begins there."""
    names[path] = there
    if type(layer) is mf.Checkpointed:
        return _module(nn, layer.layer, path, there, refused, names)
    if type(layer) is Sequential:
        inner = enumerate(layer.layers.items())
        parts = [
            _module(nn, m, f"{path}.{n}" if path else n, f"{there}layers.{k}.", refused, names) for k, (n, m) in inner
        ]
        return nn.Sequential(*parts)
    make = TO_MLX.get(type(layer))
    if make is None:
        refused.append(f"{path!r}, {layer.title()}" if path else layer.title())
        return nn.Identity()
    try:
        return make(layer, nn)
    except ValueError as error:
        refused.append((f"{path!r}, {layer.title()}" if path else layer.title()) + str(error))
        return nn.Identity()


def _conv(l: Any, nn: Any) -> Any:
    (top, bottom), (left, right) = l.window.padding
    if (top, left) != (bottom, right):
        raise ValueError(" (padded unevenly)")
    window, along = l.window, slice(None) if type(l) is mf.Conv2d else slice(1, None)
    kernel, stride, dilation = window.kernel[along], window.stride[along], window.dilation[along]
    settings = [v if len(v) == 2 else v[0] for v in (kernel, stride, (top, left)[along], dilation)]
    kind = getattr(nn, type(l).__name__)
    return kind(l.in_channels, l.out_channels, *settings, groups=l.groups, bias=l.bias is not None)


def _conv_transpose(l: Any, nn: Any) -> Any:
    (top, bottom), (left, right) = l.window.padding
    if (top, left) != (bottom, right):
        raise ValueError(" (padded unevenly)")
    settings = l.window.stride, (top, left), l.window.dilation, l.output_padding
    return nn.ConvTranspose2d(l.in_channels, l.out_channels, l.window.kernel, *settings, bias=l.bias is not None)


def _pool(l: Any, nn: Any) -> Any:
    if l.ceil_mode or not getattr(l, "count_include_pad", True):
        raise ValueError("")
    (rows, _), (columns, _) = l.window.padding
    return getattr(nn, type(l).__name__)(l.window.kernel, l.window.stride, (rows, columns))


def _norm(l: Any, nn: Any) -> Any:
    affine = l.weight is not None
    if type(l) is mf.BatchNorm:
        return nn.BatchNorm(l.num_features, l.eps, l.momentum, affine)
    if type(l) is mf.GroupNorm:
        return nn.GroupNorm(l.num_groups, l.num_channels, l.eps, affine, pytorch_compatible=True)
    if type(l) is mf.LayerNorm and len(l.normalized_shape) == 1:
        return nn.LayerNorm(l.normalized_shape[0], l.eps, affine, l.bias is not None)
    if type(l) is mf.RMSNorm and affine:
        return nn.RMSNorm(l.num_features, l.eps)
    raise ValueError("")


def _softmax(l: Any, nn: Any) -> Any:
    if l.axis != -1:
        raise ValueError("")
    return nn.Softmax()


TO_MLX: dict[type, Callable[[Any, Any], Any]] = {
    mf.Linear: lambda l, nn: nn.Linear(l.in_features, l.out_features, l.bias is not None),
    mf.Embedding: lambda l, nn: nn.Embedding(l.num_embeddings, l.embedding_dim),
    **dict.fromkeys((mf.Conv2d, mf.Conv1d), _conv),
    **dict.fromkeys((mf.MaxPool2d, mf.AvgPool2d), _pool),
    **dict.fromkeys((mf.BatchNorm, mf.GroupNorm, mf.LayerNorm, mf.RMSNorm), _norm),
    mf.ConvTranspose2d: _conv_transpose,
    mf.Upsample2d: lambda l, nn: nn.Upsample(l.scale, {"bilinear": "linear"}.get(l.mode, l.mode)),
    mf.PReLU: lambda l, nn: nn.PReLU(l.weight.size),
    **SEQUENCES_TO_MLX,
    mf.Softmax: _softmax,
    mf.Dropout: lambda l, nn: nn.Dropout(l.p),
    mf.LeakyReLU: lambda l, nn: nn.LeakyReLU(l.slope),
    mf.ELU: lambda l, nn: nn.ELU(l.alpha),
    mf.GELU: lambda l, nn: nn.GELU("none" if l.approximate == "none" else "tanh"),
    **{
        kind: lambda l, nn: getattr(nn, type(l).__name__)()
        for kind in (mf.Identity, mf.ReLU, mf.SiLU, mf.Sigmoid, mf.Tanh, mf.Softplus)
    },
}


def _flat(tree: Any) -> list[tuple[str, mx.array]]:
    from mlx.utils import tree_flatten

    return list(tree_flatten(tree))  # type: ignore[arg-type]


def _renamed(name: str) -> str:
    """``layers.0.weight`` without what mlx.nn's Sequential keeps its layers in."""
    return re.sub(r"(^|\.)layers\.(?=\d)", r"\1", name)
