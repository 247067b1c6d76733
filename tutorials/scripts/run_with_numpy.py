"""Runs a model that miniframe saved, with NumPy alone: one file to copy to where nothing else is installed.

    python run_with_numpy.py model.safetensors x.npy        # prints the outputs for the inputs in x.npy

A saved model is a safetensors file: eight bytes with the length of a header in JSON, the header, and the numbers of all
arrays. The header's ``__metadata__`` describes the model: its modules, their settings, and the calls of a graph.
"""

import json
import math
import sys

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float32])
ERF = {"none": lambda x: erf(x / 2**0.5), "tanh": lambda x: np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))}


def read(path):
    """(description, arrays by name) of a saved model."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    about = json.loads(header.pop("__metadata__")["miniframe"])
    arrays = {}
    for name, entry in header.items():
        if entry["dtype"] not in ("F32", "F64", "I32"):
            raise ValueError(f"{path}: {name} is of the type {entry['dtype']}, which is not read here")
        dtype = {"F32": np.float32, "F64": np.float64, "I32": np.int32}[entry["dtype"]]
        arrays[name] = np.frombuffer(data[slice(*entry["data_offsets"])], dtype).reshape(entry["shape"])
    return about, arrays


class Model:
    """A saved model, in evaluation mode: ``Model("model.safetensors")(x)``."""

    def __init__(self, path):
        self.about, self.arrays = read(path)

    def __call__(self, x):
        return self.run(self.about["root"]["module"], np.asarray(x))

    def run(self, number, *inputs):
        """What module ``number`` makes of these inputs."""
        kind, attributes = (self.about["modules"][number][part] for part in ("class", "attributes"))
        settings = {name: self.plain(value) for name, value in attributes.items()}
        if kind == "Sequential":
            for layer in settings["layers"].values():
                inputs = (self.run(layer["module"], *inputs),)
            return inputs[0]
        if kind == "Residual":
            around = settings["shortcut"]
            x = inputs[0] if around is None else self.run(around["module"], *inputs)
            return self.run(settings["block"]["module"], *inputs) + x
        if kind == "Graph":
            values = {node["node"]: x for node, x in zip(settings["inputs"], inputs)}
            outputs = [self.value(node["node"], values) for node in settings["outputs"]]
            return outputs[0] if settings["single_output"] else tuple(outputs)
        if kind not in LAYERS:
            raise ValueError(
                f"no formula here for {kind}; add it to LAYERS, or save mf.Graph(x, model(x)), x = mf.Input(...)"
            )
        return LAYERS[kind](settings | {"run": self.run}, *inputs)

    def value(self, number, values):
        """The value of node ``number``, from those that are known."""
        if number not in values:
            node = self.about["nodes"][number]
            known = [self.value(index, values) for index in node["inputs"] or ()]
            values[number] = self.plain(node["value"]) if node["module"] is None else self.run(node["module"], *known)
        return values[number]

    def plain(self, value):
        """Settings as Python knows them; a cell becomes its array."""
        kind, content = next(iter(value.items())) if isinstance(value, dict) else ("", value)
        if kind == "cell":
            return self.arrays[content]
        if kind == "dict":
            return {key: self.plain(item) for key, item in content}
        if kind in ("tuple", "window"):
            return tuple(map(self.plain, content if kind == "tuple" else content["tuple"]))
        return value


def windows(layer, x, fill):
    """Every window of an image as an array (N, OH, OW, KH, KW, C)."""
    (kh, kw), (sv, sh), padding, (dv, dh) = layer["window"]
    x = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(x, (dv * (kh - 1) + 1, dh * (kw - 1) + 1), axis=(1, 2))
    return seen[:, ::sv, ::sh, :, ::dv, ::dh].transpose(0, 1, 2, 4, 5, 3)


def convolution(layer, x):
    groups, weight = layer["groups"], layer["weight"]
    parts = zip(np.split(windows(layer, x, 0), groups, axis=-1), np.split(weight, groups))
    y = np.concatenate([np.tensordot(seen, w, axes=([3, 4, 5], [1, 2, 3])) for seen, w in parts], axis=-1)
    return y if layer["bias"] is None else y + layer["bias"]


def normalized(layer, x, mean=None, variance=None):
    if mean is None:
        axes = tuple(range(-len(layer["normalized_shape"]), 0))
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    y = (x - mean) / np.sqrt(variance + layer["eps"]) * (1 if layer["weight"] is None else layer["weight"])
    return y if layer["bias"] is None else y + layer["bias"]


def softmax(layer, x):
    e = np.exp(x - x.max(layer["axis"], keepdims=True))
    return e / e.sum(layer["axis"], keepdims=True)


def attention(layer, q, k, v):
    scores = q @ k.swapaxes(-1, -2) * (layer["scale"] or q.shape[-1] ** -0.5)
    if layer["causal"]:
        scores = np.where(np.tri(*scores.shape[-2:], k.shape[-2] - q.shape[-2], dtype=bool), scores, -np.inf)
    return softmax({"axis": -1}, scores) @ v


LAYERS = {
    "Linear": lambda layer, x: x @ layer["weight"].T + (0 if layer["bias"] is None else layer["bias"]),
    "Conv2d": convolution,
    "MaxPool2d": lambda layer, x: windows(layer, x, -np.inf).max((3, 4)),
    "AvgPool2d": lambda layer, x: windows(layer, x, 0).mean((3, 4)),
    "GlobalAvgPool2d": lambda layer, x: x.mean((1, 2)),
    "BatchNorm": lambda layer, x: normalized(layer, x, layer["running_mean"], layer["running_var"]),
    "LayerNorm": normalized,
    "Flatten": lambda layer, x: x.reshape(len(x), -1),
    **dict.fromkeys(("Identity", "Dropout"), lambda layer, x: x),
    "ReLU": lambda layer, x: np.maximum(x, 0),
    "LeakyReLU": lambda layer, x: np.where(x > 0, x, layer["slope"] * x),
    "Tanh": lambda layer, x: np.tanh(x),
    "Sigmoid": lambda layer, x: 1 / (1 + np.exp(-x)),
    "SiLU": lambda layer, x: x / (1 + np.exp(-x)),
    "Softmax": softmax,
    "GELU": lambda layer, x: x * (1 + ERF[layer["approximate"]](x)) / 2,
    "Embedding": lambda layer, x: layer["weight"][x],
    "PositionEmbedding": lambda layer, x: x + layer["run"](layer["table"]["module"], np.arange(x.shape[-2])),
    "SplitHeads": lambda layer, x: x.reshape(*x.shape[:2], -1, layer["head_dim"]).swapaxes(1, 2),
    "MergeHeads": lambda layer, x: x.swapaxes(1, 2).reshape(len(x), x.shape[2], -1),
    "ScaledDotProductAttention": attention,
    "Reshape": lambda layer, x: x.reshape(len(x), *layer["shape"]),
    "Add": lambda layer, x, y: x + y,
    "Subtract": lambda layer, x, y: x - y,
    "Multiply": lambda layer, x, y: x * y,
    "Concatenate": lambda layer, *inputs: np.concatenate(inputs, layer["axis"]),
}

if __name__ == "__main__":
    print(Model(sys.argv[1])(np.load(sys.argv[2])))
