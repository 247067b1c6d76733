"""Weights of Keras models, from the files that Keras writes; Keras itself is not needed, only h5py."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np

from .. import layers as mf
from ..core.extras import library
from ..core.module import Module
from ..saving.weights import WeightsReport, put_weights

Arrays = dict[str, np.ndarray]
WHERE = "load_keras_weights"


@dataclass
class Entry:
    """A layer in the file.

    Attributes:
        kind: its class in small letters, such as "conv2d".
        names: what it may be called here: its path in the file, and its name in Keras.
        arrays: its numbers, by their place below it: "0", "1", or "cell/0".
        number: which of its kind it is, in the order of the model.
    """

    kind: str
    names: tuple[str, ...]
    arrays: Arrays
    number: tuple[int, ...]


def load_keras_weights(model: Module, path: str | os.PathLike[str], strict: bool = True) -> WeightsReport:
    """Copy the weights in a file of Keras, ``.weights.h5`` or ``.keras``, into a model of the same architecture.

    Layers belong together by name: a layer here that is called "head", or "encoder.head" inside a model "encoder", gets
    the weights of Keras' layer of that name, or of that attribute. If not a single name is shared, as in a Sequential
    without names, the first Linear gets those of the first Dense, and so on, kind by kind. Kernels are turned, GRU's
    gates put into the order that they have here.

    A file holds no settings. Keras' own are others than the ones here: see ``mf.interop.conventions()``, above all the
    epsilon of its normalizations, 0.001.

    Args:
        model: whose parameters and running statistics are set.
        path: of the file.
        strict: True makes any difference an error, which lists all of them and leaves the model untouched; False
            loads what fits.

    Returns:
        What was loaded, and what was missing, unexpected or mismatched.

    Raises:
        ImportError: without h5py, naming the extra that brings it.
        ValueError: for a file that Keras has not written, and for weights that do not fit (strict).
    """
    entries = _read(path)
    ours = {name: layer for name, layer in model.named_modules() if type(layer) in LAYERS and not _inside(model, name)}
    converted: dict[str, mx.array] = {}
    pairs, unused = _paired(ours, entries)
    for name, entry in pairs:
        layer = ours[name]
        try:
            arrays = LAYERS[type(layer)](layer, entry)
        except (KeyError, ValueError, IndexError) as error:
            raise ValueError(f"{WHERE}: {entry.names[-1]!r} does not fit {layer.title()}: {error}") from None
        converted.update((f"{name}.{own}" if name else own, mx.array(np.array(a))) for own, a in arrays.items())
    converted.update((f"{entry.names[0]}.{key}", mx.array(a)) for entry in unused for key, a in entry.arrays.items())
    return put_weights(model, converted, strict, WHERE)


def _inside(model: Module, name: str) -> bool:
    """Whether it is a part of an attention, which Keras has as a whole."""
    owners = dict(model.named_modules())
    return any(
        isinstance(owners[path], mf.MultiHeadAttention) for path in owners if path and name.startswith(f"{path}.")
    )


# -------------------------------------------------------------------- the file


def _read(path: str | os.PathLike[str]) -> list[Entry]:
    h5py = library("h5py", "keras", WHERE)
    source: Any = path
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    try:
        with h5py.File(source, "r") as file:
            return list(_entries(file, (), ()))
    except OSError as error:
        raise ValueError(f"{WHERE}: {os.fspath(path)} is no file of Keras: {error}") from None


def _entries(group: Any, keys: tuple[str, ...], names: tuple[str, ...]) -> Any:
    """The layers with weights below a group, each with all that belongs to it."""
    for key in group:
        inner = group[key]
        if key == "vars" or not hasattr(inner, "keys"):
            continue
        name = inner["vars"].attrs.get("name", key) if "vars" in inner else None
        if name is None:  # a list of layers, such as "layers" itself
            yield from _entries(inner, keys if key == "layers" else (*keys, key), names)
            continue
        arrays = _arrays(inner)
        whole = "cell" in inner or "forward_layer" in inner or "query_dense" in inner or bool(len(inner["vars"]))
        if whole:
            kind, _, count = re.fullmatch(r"(.*?)(_(\d+))?", key).groups()  # type: ignore[union-attr]
            path = ".".join((*keys, key))
            called = ".".join((*names, str(name)))
            yield Entry(kind, (path, called, str(name)), arrays, (*_numbers(keys), int(count or 0)))
        else:
            yield from _entries(inner, (*keys, key), (*names, str(name)))


def _numbers(keys: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(found.group(1)) if (found := re.search(r"_(\d+)$", key)) else 0 for key in keys)


def _arrays(group: Any) -> Arrays:
    found: Arrays = {}
    group.visititems(
        lambda key, item: found.update({key.replace("vars/", ""): item[()]}) if hasattr(item, "shape") else None
    )
    return found


def _paired(ours: dict[str, Module], entries: list[Entry]) -> tuple[list[tuple[str, Entry]], list[Entry]]:
    """(name here, layer in the file) for what belongs together, and what is left over in the file."""
    pairs = [(name, entry) for entry in entries for name in ours if name in entry.names]
    if not pairs:
        waiting = dict(ours)
        for entry in sorted(entries, key=lambda entry: entry.number):
            name = next((name for name, layer in waiting.items() if entry.kind in _kinds(layer)), None)
            if name is not None:
                pairs.append((name, entry))
                waiting.pop(name)
    used = {id(entry) for _, entry in pairs}
    return pairs, [entry for entry in entries if id(entry) not in used]


def _kinds(layer: Any) -> tuple[str, ...]:
    """Keras' classes, in small letters, whose weights a layer can take."""
    if isinstance(layer, mf.Conv2d):
        alone = layer.groups > 1 and layer.groups == layer.in_channels
        return ("depthwise_conv2d",) if alone else ("conv2d",)
    if isinstance(layer, (mf.RNN, mf.GRU, mf.LSTM)):
        own = {mf.RNN: "simple_rnn", mf.GRU: "gru", mf.LSTM: "lstm"}[type(layer)]
        return ("bidirectional",) if layer.directions == 2 else (own,)
    return KINDS[type(layer)]


# -------------------------------------------------------------------- layer by layer


def _in_order(layer: Any, arrays: Arrays, *names: str) -> Arrays:
    """Keras' arrays 0, 1, ... under the names that they have here, without those that the layer does not have."""
    have = [name for name in names if getattr(layer, name) is not None]
    if len(have) != len(arrays):
        raise ValueError(f"it has {len(arrays)} arrays in place of {len(have)}, {', '.join(have)}")
    return {name: arrays[str(k)] for k, name in enumerate(have)}


def _turned(*axes: int) -> Callable[[Any, Entry], Arrays]:
    """A layer with a kernel, whose axes are put into this order, and a bias."""

    def convert(layer: Any, entry: Entry) -> Arrays:
        found = _in_order(layer, entry.arrays, "weight", "bias")
        found["weight"] = found["weight"].transpose(axes)
        return found

    return convert


def _conv2d(layer: Any, entry: Entry) -> Arrays:
    if entry.kind != "depthwise_conv2d":
        return _turned(3, 0, 1, 2)(layer, entry)
    found = _in_order(layer, entry.arrays, "weight", "bias")
    height, width, channels, several = found["weight"].shape  # filters for each channel, side by side in the output
    found["weight"] = found["weight"].transpose(2, 3, 0, 1).reshape(channels * several, height, width, 1)
    return found


def _norm(*names: str) -> Callable[[Any, Entry], Arrays]:
    return lambda layer, entry: _in_order(layer, entry.arrays, *names)


def _recurrent(layer: Any, entry: Entry) -> Arrays:
    if layer.num_layers > 1:
        raise ValueError("it is a single layer")
    if layer.directions == 1:
        return _cell(layer, entry.arrays, "cell/", "")
    return {
        **_cell(layer, entry.arrays, "forward_layer/cell/", ""),
        **_cell(layer, entry.arrays, "backward_layer/cell/", "_reverse"),
    }


def _cell(layer: Any, arrays: Arrays, place: str, suffix: str) -> Arrays:
    """One direction: kernels turned, GRU's gates z, r, n in the order r, z, n, and a single bias added to zero."""

    def gates(array: np.ndarray) -> np.ndarray:
        if type(layer) is not mf.GRU:
            return array
        z, r, n = np.split(array, 3, axis=-1)
        return np.concatenate([r, z, n], axis=-1)

    found = {"weight_ih": gates(arrays[f"{place}0"]).T, "weight_hh": gates(arrays[f"{place}1"]).T}
    if layer.biased:
        bias = gates(arrays[f"{place}2"])
        if type(layer) is mf.GRU and bias.ndim == 1:
            raise ValueError("it was made with reset_after=False, another formula")
        found["bias_ih"], found["bias_hh"] = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    return {f"{name}_l0{suffix}": array for name, array in found.items()}


def _attention(layer: Any, entry: Entry) -> Arrays:
    """Keras keeps the heads apart: (D, heads, features of a head), and the output's (heads, features, D)."""
    found: Arrays = {}
    for part in ("query", "key", "value", "output"):
        kernel, own = entry.arrays[f"{part}_dense/0"], getattr(layer, part)
        found[f"{part}.weight"] = kernel.reshape(own.in_features, own.out_features).T
        if own.bias is not None:
            found[f"{part}.bias"] = entry.arrays[f"{part}_dense/1"].reshape(-1)
    return found


LAYERS: dict[type, Callable[[Any, Entry], Arrays]] = {
    mf.Linear: _turned(1, 0),
    mf.Conv2d: _conv2d,
    mf.Conv1d: _turned(2, 0, 1),
    mf.ConvTranspose2d: _turned(2, 0, 1, 3),
    mf.Embedding: _norm("weight"),
    mf.BatchNorm: _norm("weight", "bias", "running_mean", "running_var"),
    mf.LayerNorm: _norm("weight", "bias"),
    mf.GroupNorm: _norm("weight", "bias"),
    mf.RMSNorm: _norm("weight"),
    mf.PReLU: lambda layer, entry: {"weight": entry.arrays["0"].reshape(-1)},
    **dict.fromkeys((mf.RNN, mf.GRU, mf.LSTM), _recurrent),
    mf.MultiHeadAttention: _attention,
}
KINDS: dict[type, tuple[str, ...]] = {
    mf.Linear: ("dense",),
    mf.Conv1d: ("conv1d",),
    mf.ConvTranspose2d: ("conv2d_transpose",),
    mf.Embedding: ("embedding",),
    mf.BatchNorm: ("batch_normalization",),
    mf.LayerNorm: ("layer_normalization",),
    mf.GroupNorm: ("group_normalization",),
    mf.RMSNorm: ("rms_normalization",),
    mf.PReLU: ("p_re_lu",),
    mf.MultiHeadAttention: ("multi_head_attention",),
}
