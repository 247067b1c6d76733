"""Runs a model that miniframe saved, with NumPy alone: one file to copy to where nothing else is installed.

    python run_with_numpy.py model.safetensors x.npy        # prints the outputs for the inputs in x.npy

A saved model is a safetensors file: eight bytes with the length of a header in JSON, the header, and the numbers of all
arrays. The header's ``__metadata__`` describes the model: its modules, their settings, and the calls of a graph.
"""

import json
import sys

import numpy as np


def read(path):
    """(description, arrays by name) of a saved model."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    about = json.loads(header.pop("__metadata__")["miniframe"])
    arrays = {}
    for name, entry in header.items():
        start, stop = entry["data_offsets"]
        if entry["dtype"] not in ("F32", "F64", "I32"):
            raise ValueError(f"{path}: {name} is of the type {entry['dtype']}, which is not read here")
        dtype = {"F32": np.float32, "F64": np.float64, "I32": np.int32}[entry["dtype"]]
        arrays[name] = np.frombuffer(data[start:stop], dtype).reshape(entry["shape"])
    return about, arrays


class Model:
    """A saved model, in evaluation mode: ``Model("model.safetensors")(x)``."""

    def __init__(self, path):
        self.about, self.arrays = read(path)
        unknown = (
            {module["class"] for module in self.about["modules"]} - set(LAYERS) - {"Sequential", "Graph", "Residual"}
        )
        if unknown:
            raise ValueError(f"{path}: no formula here for {', '.join(sorted(unknown))}; add it to LAYERS")

    def __call__(self, x):
        return self.run(self.about["root"]["module"], np.asarray(x))

    def run(self, number, *inputs):
        """What module ``number`` makes of these inputs."""
        module = self.about["modules"][number]
        settings = {name: self.plain(value) for name, value in module["attributes"].items()}
        if module["class"] == "Sequential":
            for layer in settings["layers"].values():
                inputs = (self.run(layer["module"], *inputs),)
            return inputs[0]
        if module["class"] == "Residual":
            around = settings["shortcut"]
            x = inputs[0] if around is None else self.run(around["module"], *inputs)
            return self.run(settings["block"]["module"], *inputs) + x
        if module["class"] == "Graph":
            values = {node["node"]: x for node, x in zip(settings["inputs"], inputs)}
            outputs = [self.value(node["node"], values) for node in settings["outputs"]]
            return outputs[0] if settings["single_output"] else tuple(outputs)
        return LAYERS[module["class"]](settings, *inputs)

    def value(self, number, values):
        """The value of node ``number``, from those that are known."""
        if number not in values:
            node = self.about["nodes"][number]
            if node["module"] is None:
                values[number] = self.plain(node["value"])
            else:
                values[number] = self.run(node["module"], *(self.value(index, values) for index in node["inputs"]))
        return values[number]

    def plain(self, value):
        """Settings as Python knows them; a cell becomes its array."""
        if isinstance(value, dict):
            kind, content = next(iter(value.items()))
            if kind == "cell":
                return self.arrays[content]
            if kind == "dict":
                return {key: self.plain(item) for key, item in content}
            if kind in ("tuple", "window"):
                return (
                    tuple(self.plain(item) for item in content["tuple"])
                    if kind == "window"
                    else tuple(map(self.plain, content))
                )
        return value


def linear(layer, x):
    return x @ layer["weight"].T + (0 if layer["bias"] is None else layer["bias"])


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


def normalized(layer, x, mean, variance):
    y = (x - mean) / np.sqrt(variance + layer["eps"])
    y = y if layer["weight"] is None else y * layer["weight"]
    return y if layer["bias"] is None else y + layer["bias"]


def layer_norm(layer, x):
    axes = tuple(range(-len(layer["normalized_shape"]), 0))
    return normalized(layer, x, x.mean(axes, keepdims=True), x.var(axes, keepdims=True))


def softmax(layer, x):
    e = np.exp(x - x.max(layer["axis"], keepdims=True))
    return e / e.sum(layer["axis"], keepdims=True)


LAYERS = {
    "Linear": linear,
    "Conv2d": convolution,
    "MaxPool2d": lambda layer, x: windows(layer, x, -np.inf).max((3, 4)),
    "AvgPool2d": lambda layer, x: windows(layer, x, 0).mean((3, 4)),
    "GlobalAvgPool2d": lambda layer, x: x.mean((1, 2)),
    "BatchNorm": lambda layer, x: normalized(layer, x, layer["running_mean"], layer["running_var"]),
    "LayerNorm": layer_norm,
    "Flatten": lambda layer, x: x.reshape(len(x), -1),
    "Identity": lambda layer, x: x,
    "Dropout": lambda layer, x: x,
    "ReLU": lambda layer, x: np.maximum(x, 0),
    "LeakyReLU": lambda layer, x: np.where(x > 0, x, layer["slope"] * x),
    "Tanh": lambda layer, x: np.tanh(x),
    "Sigmoid": lambda layer, x: 1 / (1 + np.exp(-x)),
    "SiLU": lambda layer, x: x / (1 + np.exp(-x)),
    "Softmax": softmax,
    "Add": lambda layer, x, y: x + y,
    "Subtract": lambda layer, x, y: x - y,
    "Multiply": lambda layer, x, y: x * y,
    "Concatenate": lambda layer, *inputs: np.concatenate(inputs, layer["axis"]),
}

if __name__ == "__main__":
    print(Model(sys.argv[1])(np.load(sys.argv[2])))
