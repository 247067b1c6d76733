"""Random models against PyTorch: any layers in a row, any options and shapes, both modes, views as inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from attacks import attack
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from twins import VIEWS, Corners, agree, by_torch, computing, numbers, random_weights

import miniframe as mf
from miniframe.interop.layouts import layers_with_channels, to_torch_layout

torch.set_num_threads(1)
Shape = tuple[int, ...]
sizes, small, switch = st.integers(1, 7), st.integers(1, 3), st.booleans()
pairs = st.one_of(small, st.tuples(small, small))
eps = st.sampled_from([1e-5, 1e-3, 0.1])


def norm_options(draw: Any) -> dict[str, Any]:
    return {"eps": draw(eps), "affine": draw(switch)}


def convolution(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if shape[0] % g == 0]))
    stride = draw(st.one_of(pairs, st.just(1)))
    padding = draw(st.one_of(st.integers(0, 2), st.tuples(small, small), st.sampled_from(["same", "valid"])))
    return "Conv2d", {
        "in_channels": shape[0], "out_channels": groups * draw(small), "kernel_size": draw(pairs), "groups": groups,
        "stride": 1 if padding == "same" else stride, "padding": padding, "dilation": draw(st.sampled_from([1, 1, 2])),
        "bias": draw(switch),
    }  # fmt: skip


def transposed_convolution(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    stride, dilation = draw(small), draw(st.sampled_from([1, 1, 2]))
    return "ConvTranspose2d", {
        "in_channels": shape[0], "out_channels": draw(small), "kernel_size": draw(pairs), "stride": stride,
        "padding": draw(st.integers(0, 1)), "dilation": dilation, "bias": draw(switch),
        "output_padding": draw(st.integers(0, max(stride, dilation) - 1)),
    }  # fmt: skip


def pool(draw: Any, name: str) -> tuple[str, dict[str, Any]]:
    kernel = draw(pairs)
    smallest = kernel if isinstance(kernel, int) else min(kernel)
    stride = draw(st.one_of(st.none(), pairs))
    return name, {"kernel_size": kernel, "stride": stride, "padding": draw(st.integers(0, smallest // 2))}


def upsampling(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Upsample", {"scale_factor": draw(small), "mode": draw(st.sampled_from(["nearest", "bilinear"]))}


def group_norm(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    groups = draw(st.sampled_from([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
    return "GroupNorm", {"num_groups": groups, "num_channels": shape[0], **norm_options(draw)}


def batch_norm(name: str) -> Any:
    momentum = st.sampled_from([0.1, 0.0, 1.0, 0.37])
    return lambda draw, shape: (
        name, {"num_features": shape[0], "momentum": draw(momentum), **norm_options(draw)}
    )  # fmt: skip


def layer_norm(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    whole = shape if len(shape) == 3 else shape[-1:]
    return "LayerNorm", {
        "normalized_shape": whole, "eps": draw(eps), "elementwise_affine": draw(switch), "bias": draw(switch)
    }  # fmt: skip


def linear(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    return "Linear", {"in_features": shape[-1], "out_features": draw(sizes), "bias": draw(switch)}


def activation(draw: Any, shape: Shape) -> tuple[str, dict[str, Any]]:
    name = draw(st.sampled_from(["ReLU", "LeakyReLU", "ELU", "Sigmoid", "Tanh", "Softplus", "SiLU", "GELU", "Softmax",
                                 "LogSoftmax", "Identity", "Dropout"]))  # fmt: skip
    options = {
        "LeakyReLU": {"negative_slope": draw(st.sampled_from([0.01, 0.5, 0.0, -0.3]))},
        "ELU": {"alpha": draw(st.sampled_from([1.0, 0.3]))},
        "Softmax": {"dim": 1 if len(shape) == 3 else -1},
        "LogSoftmax": {"dim": 1 if len(shape) == 3 else -1},
        "Dropout": {"p": 0.0},
    }
    return name, options.get(name, {})


OF_IMAGES = [
    convolution, convolution, transposed_convolution, lambda draw, _: pool(draw, "MaxPool2d"),
    lambda draw, _: pool(draw, "AvgPool2d"), upsampling, group_norm, batch_norm("BatchNorm2d"), layer_norm, activation,
    lambda draw, _: ("AdaptiveAvgPool2d", {"output_size": draw(pairs)}),
    lambda draw, _: ("ZeroPad2d", {"padding": draw(st.one_of(small, st.tuples(*[st.integers(0, 2)] * 4)))}),
]  # fmt: skip
OF_ROWS = [linear, linear, batch_norm("BatchNorm1d"), layer_norm, activation, activation]
OF_SEQUENCES = [linear, layer_norm, activation]


@dataclass
class Plan:
    """A model in words: what PyTorch calls its layers, with their options."""

    batch: int
    shape: Shape
    tokens: int = 0
    layers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    training: bool = True
    double: bool = True
    view: str = "plain"
    seed: int = 0

    def module(self) -> nn.Sequential:
        module = nn.Sequential(*[getattr(nn, name)(**options) for name, options in self.layers])
        random_weights(module, self.seed)
        return module.train(self.training)

    def input(self) -> np.ndarray:
        if self.tokens:
            return np.random.default_rng(self.seed).integers(0, self.tokens, (self.batch, *self.shape))
        x = numbers((self.batch, *self.shape), self.seed + 1)
        return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def shape_after(name: str, options: dict[str, Any], shape: Shape) -> Shape | None:
    """The shape of one sample behind the layer; None for one that is too small for it."""
    try:
        with torch.no_grad():
            found = getattr(nn, name)(**options).eval()(torch.zeros(2, *shape))
    except RuntimeError:
        return None
    return tuple(found.shape[1:]) if 0 < found.numel() < 4000 else None


@st.composite
def plans(draw: Any) -> Plan:
    """Models of up to six layers that fit each other, on images, rows of numbers, sequences of them, or tokens."""
    kind = draw(st.sampled_from(["image", "image", "rows", "sequence", "tokens"]))
    plan = Plan(draw(st.integers(1, 4)), (), training=draw(switch), double=draw(switch), seed=draw(st.integers(0, 99)))
    plan.view = draw(st.sampled_from(sorted(VIEWS)))
    count = {"image": 3, "rows": 1, "sequence": 2, "tokens": 1}[kind]
    shape = plan.shape = tuple(draw(sizes) for _ in range(count))
    if kind == "tokens":
        plan.tokens, width = draw(sizes), draw(sizes)
        plan.layers.append(("Embedding", {"num_embeddings": plan.tokens, "embedding_dim": width}))
        shape, kind = (*shape, width), "sequence"
    for _ in range(draw(st.integers(1, 6))):
        choices = {"image": OF_IMAGES, "rows": OF_ROWS, "sequence": OF_SEQUENCES}[kind]
        if kind == "image" and draw(st.integers(0, 5)) == 0:  # then come rows, whose order only a Linear layer knows
            width = int(np.prod(shape))
            plan.layers += [("Flatten", {}), activation(draw, (width,)), linear(draw, (width,))]
            shape, kind = (plan.layers[-1][1]["out_features"],), "rows"
            continue
        name, options = draw(st.sampled_from(choices))(draw, shape)
        after = shape_after(name, options, shape)
        alone = plan.batch * int(np.prod(shape[1:])) == 1 and (name == "BatchNorm1d" or name == "BatchNorm2d")
        single = name == "GroupNorm" and shape[0] // options["num_groups"] * int(np.prod(shape[1:])) == 1
        if after is not None and not (plan.training and alone) and not single:
            plan.layers.append((name, options))
            shape = after
    return plan


def by_miniframe(model: mf.Module, plan: Plan, upstream: np.ndarray) -> dict[str, Any]:
    """The same as twins.by_torch, the weights in PyTorch's layout."""
    x, channels = plan.input(), plan.shape[0] if len(plan.shape) == 3 else None
    with computing(plan.double, model) as array:
        view = VIEWS[plan.view]
        output = model(view(array(x)))
        found: dict[str, Any] = {"output": output}
        passed = model.backward(view(array(upstream)))
        if not plan.tokens:
            found["input gradient"] = passed
        found = {name: np.array(value) for name, value in found.items()}
        for path, layer, seen in layers_with_channels(model, channels):
            for name, cell in layer.children():
                if isinstance(cell, mf.Buffer):
                    learned = isinstance(cell, mf.Parameter)
                    value = np.array(cell.grad if learned else cell.value)
                    full = f"{path}.{name} gradient" if learned else f"{path}.{name}"
                    found[full] = to_torch_layout(layer, value, seen.channels or 1)
    return found


@attack(120)
@given(plan=plans())
def test_a_random_model_computes_what_pytorch_computes(plan):
    module, x, corners = plan.module(), plan.input(), Corners()
    exact = by_torch(module, x, None, torch.float64, corners)
    corners.keep_away(plan.double)
    rounded = by_torch(module, x, None, torch.float32, corners)
    channels = plan.shape[0] if len(plan.shape) == 3 else None
    model = mf.interop.from_torch(module, channels=channels)
    agree(by_miniframe(model, plan, numbers(exact["output"].shape, 77)), exact, rounded, plan.double)
