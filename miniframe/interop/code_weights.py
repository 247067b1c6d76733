"""The first weights of a model as lines of code, drawn as its layers draw them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..core.module import Module
from ..layers import Conv2d, Embedding, Linear, PositionEmbedding
from ..layers.unrolling import Recurrent
from ..models.gpt import GPT

LIBRARIES = {"numpy": ("np", "numpy"), "torch": ("torch", "torch"), "mlx": ("mx", "mlx.core")}
FLOATS = {"numpy": "np.float32", "torch": "torch.float32", "mlx": "mx.float32"}


def initial(model: Module, language: str) -> Iterator[str]:
    """Lines that draw the first weights as miniframe's layers do."""
    xp, _ = LIBRARIES[language]
    uniform = {
        "numpy": "rng.uniform(-{0}, {0}, {1}).astype(np.float32)",
        "torch": "(torch.rand({1}) * 2 - 1) * {0}",
        "mlx": "mx.random.uniform(-{0}, {0}, {1})",
    }[language]
    normal = {
        "numpy": "rng.normal(0, {0}, {1}).astype(np.float32)",
        "torch": "torch.randn({1}) * {0}",
        "mlx": "mx.random.normal({1}) * {0}",
    }[language]
    stds = dict(_normal_weights(model))
    yield "def initial():"
    words = "uniform between -1/√n and 1/√n, n the numbers that a neuron adds up"
    yield f'    """The first weights: {"normally distributed, biases 0" if stds else words}."""'
    if language == "numpy":
        yield "    rng = np.random.default_rng(0)"
    yield "    p = {}"
    bounds: dict[str, int] = {}
    for name, cell in model.named_items():
        if isinstance(cell, (Linear, Conv2d)):
            for own in ("weight", "bias"):
                bounds[f"{name}.{own}" if name else own] = math.prod(cell.weight.shape[1:])
        elif isinstance(cell, Recurrent):  # what it adds up of its own state
            bounds |= {f"{name}.{own}" if name else own: cell.hidden_size for own, _ in cell.named_parameters()}
    for name, array in model.state_dict().items():
        shape, fan_in = tuple(array.shape), bounds.get(name, 0)
        if name in stds:
            yield f'    p["{name}"] = ' + normal.format(repr(stds[name]), shape)
        elif fan_in and not (stds and name.endswith("bias")):
            yield f'    p["{name}"] = ' + uniform.format(f"{fan_in}**-0.5", shape)
        else:
            start = "zeros" if name.endswith(("bias", "running_mean")) else "ones"
            dtype = f", dtype={FLOATS[language]}"
            yield f'    p["{name}"] = {xp}.{start}({shape}{dtype})'
    yield "    return p"


def _normal_weights(model: Module) -> Iterator[tuple[str, float]]:
    """The weights that start from a normal distribution, with its width: tables, and all matrices of a GPT."""
    gpt = next((part for part in model.modules() if isinstance(part, GPT)), None)

    def std(path: str, alone: float) -> float:
        return alone if gpt is None else round(gpt.initial_std(path), 4)

    names = {id(cell): name for name, cell in model.named_parameters()}
    for path, layer in model.named_modules():
        if isinstance(layer, PositionEmbedding):
            yield names[id(layer.table.weight)], std(path, alone=0.02)
        elif isinstance(layer, Linear) and gpt is not None:
            yield names[id(layer.weight)], round(gpt.initial_std(path), 4)
        elif isinstance(layer, Embedding) and not path.endswith("positions.table"):
            yield names[id(layer.weight)], std(path, alone=1.0)
