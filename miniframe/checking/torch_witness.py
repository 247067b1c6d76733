"""PyTorch as a witness: the recorded calls of a model, repeated with PyTorch's functions on the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import random
from ..core.module import Module
from ..graph.passes import Pass
from . import torch_layers, torch_sequences
from .experiment import Experiment

if TYPE_CHECKING:
    import torch

Function = Callable[..., Any]  # (layer, its parameters as tensors, inputs) -> output


def gradients(check: Experiment) -> dict[str, np.ndarray]:
    """The gradients of the loss by name, as float64 arrays.

    Raises:
        ImportError: without PyTorch.
        LookupError: for a layer that has no counterpart in the table below.
    """
    try:
        import torch
    except ImportError:
        raise ImportError("not installed: pip install miniframe[torch]") from None
    table = counterparts()
    assert check.loss is not None
    names = {id(p): name for name, p in check.module.named_parameters()}
    tensors = {id(p): _leaf(p.value) for p in check.module.parameters()}
    random.seed(check.seed)
    seen = Pass(check.module, tuple(check.inputs), "compare_gradients")
    values: dict[int, Any] = {id(node): _leaf(node.value) for node in seen.inputs}
    for node in seen.nodes:
        if node.module is not None:
            values[id(node)] = _call(table, node.module, tensors, [values[id(source)] for source in node.inputs])
        elif isinstance(node.value, (int, float)):
            values[id(node)] = node.value
        else:
            values[id(node)] = torch.tensor(np.array(node.value))
    target = torch.tensor(np.array(check.target))
    target = target.long() if not target.is_floating_point() else target
    _call(table, check.loss, tensors, [values[id(seen.outputs[0])], target]).backward()
    found = {names[key]: tensor.grad for key, tensor in tensors.items()}
    found.update({check.input_name(i): values[id(node)].grad for i, node in enumerate(seen.inputs)})
    return {name: grad.numpy() for name, grad in found.items() if grad is not None}


def _leaf(value: Any) -> torch.Tensor:
    import torch

    tensor = torch.tensor(np.array(value))
    if tensor.is_floating_point():
        return tensor.requires_grad_()
    return tensor if tensor.dtype == torch.bool else tensor.long()


def _call(table: dict[str, Function], layer: Module, tensors: dict[int, Any], inputs: list[Any]) -> Any:
    name = type(layer).__name__
    if name not in table or _is_random(layer):
        raise LookupError(f"no counterpart for {layer.title()} in this table")
    own = {name: tensors[id(p)] for name, p in layer.named_parameters()}
    return table[name](layer, own, *inputs)


def _is_random(layer: Any) -> bool:
    """Whether it draws a mask, which would be another one in PyTorch."""
    dropping = ("ScaledDotProductAttention", "RNN", "GRU", "LSTM")
    names = {"Dropout": "p", "StochasticDepth": "p", **dict.fromkeys(dropping, "dropout")}
    return layer.training and getattr(layer, names.get(type(layer).__name__, ""), 0) > 0


def _norms() -> dict[str, Function]:
    """The counterparts of normalizations and what else has the channels in another place, by class name."""
    import torch.nn.functional as F

    def instance_norm(layer: Any, own: dict[str, Any], x: Any) -> Any:
        y = F.instance_norm(x.movedim(-1, 1), weight=own.get("weight"), bias=own.get("bias"), eps=layer.eps)
        return y.movedim(1, -1)

    def layer_norm(layer: Any, own: dict[str, Any], x: Any) -> Any:
        return F.layer_norm(x, layer.normalized_shape, own.get("weight"), own.get("bias"), layer.eps)

    return {
        "LayerNorm": layer_norm,
        "RMSNorm": lambda layer, own, x: F.rms_norm(x, (layer.num_features,), own.get("weight"), layer.eps),
        "InstanceNorm": instance_norm,
        "PReLU": lambda layer, own, x: F.prelu(x.movedim(-1, 1), own["weight"]).movedim(1, -1),
    }


def _cross_entropy(layer: Any, own: dict[str, Any], p: Any, t: Any) -> Any:
    import torch.nn.functional as F

    t = t.movedim(-1, 1) if t.is_floating_point() else t
    ignored = -100 if layer.ignore_index is None else layer.ignore_index
    options = {"reduction": layer.reduction, "label_smoothing": layer.label_smoothing, "ignore_index": ignored}
    return F.cross_entropy(p.movedim(-1, 1), t, **options)


def _elbo(layer: Any, own: dict[str, Any], p: Any, t: Any) -> Any:
    import torch.nn.functional as F

    z, mean, log_variance = p[:, : -2 * layer.code], p[:, -2 * layer.code : -layer.code], p[:, -layer.code :]
    pixels = F.binary_cross_entropy_with_logits(z, t, reduction="sum")
    value = pixels + (mean**2 + log_variance.exp() - log_variance - 1).sum() / 2
    return value / len(p) if layer.reduction == "mean" else value


def counterparts() -> dict[str, Function]:
    """PyTorch's counterpart of each layer and loss, by class name."""
    import torch
    import torch.nn.functional as F

    same = ("Exp", "Log", "Sqrt", "Abs", "Square", "Sin", "Cos", "Sigmoid", "Tanh")
    simple: dict[str, Callable[[Any], Any]] = {
        **{name: getattr(torch, name.lower()) for name in same},
        "Identity": lambda x: x * 1,
        "ReLU": torch.relu,
        "Softplus": F.softplus,
        "SiLU": F.silu,
        "Flatten": lambda x: x.reshape(x.shape[0], -1),
        "Negate": torch.neg,
        "GlobalAvgPool2d": lambda x: x.mean(dim=(1, 2)),
        "Dropout": lambda x: x * 1,
    }
    pairs: dict[str, Callable[[Any, Any], Any]] = {
        "Add": lambda x, y: x + y,
        "Subtract": lambda x, y: x - y,
        "Multiply": lambda x, y: x * y,
        "Divide": lambda x, y: x / y,
        "Power": lambda x, y: x**y,
        "MatMul": lambda x, y: x @ y,
    }
    losses: dict[str, Function] = {
        "MSELoss": F.mse_loss,
        "L1Loss": F.l1_loss,
        "BCEWithLogitsLoss": F.binary_cross_entropy_with_logits,
        "BCELoss": F.binary_cross_entropy,
        "NLLLoss": F.nll_loss,
    }
    table: dict[str, Function] = {
        "Learned": lambda layer, own: own["parameter"],
        "Linear": lambda layer, own, x: F.linear(x, own["weight"], own.get("bias")),
        "LeakyReLU": lambda layer, own, x: F.leaky_relu(x, layer.slope),
        "GELU": lambda layer, own, x: F.gelu(x, approximate=layer.approximate),
        "ELU": lambda layer, own, x: F.elu(x, layer.alpha),
        "Softmax": lambda layer, own, x: torch.softmax(x, layer.axis),
        "LogSoftmax": lambda layer, own, x: torch.log_softmax(x, layer.axis),
        "Reshape": lambda layer, own, x: x.reshape(x.shape[0], *layer.shape),
        "Index": lambda layer, own, x: x[layer.index],
        "Embedding": lambda layer, own, x: F.embedding(x, own["weight"]),
        "HuberLoss": lambda layer, own, p, t: F.huber_loss(p, t, layer.reduction, layer.delta),
        "CrossEntropyLoss": _cross_entropy,
        "ELBOLoss": _elbo,
    }
    table |= _norms() | torch_sequences.functions() | torch_layers.functions()
    table |= {name: lambda layer, own, x, f=f: f(x) for name, f in simple.items()}
    table |= {name: lambda layer, own, x, y, f=f: f(x, y) for name, f in pairs.items()}
    table |= {name: lambda layer, own, p, t, f=f: f(p, t, reduction=layer.reduction) for name, f in losses.items()}
    return table
