"""Layers are made in the order in which they run, so that a printed model reads like its forward."""

import inspect

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES

import miniframe as mf
from miniframe import initializers, models
from miniframe.core.arrays import as_tuple
from miniframe.core.walk import ancestors
from miniframe.saving.description import describe, rebuild

LARGE = (64, 64, 3)
WORDS = mx.zeros((1, 6), dtype=mx.int32)
VGGS = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]


def image(*shape):
    return mx.zeros((1, *shape))


MODELS = {  # name: (settings, inputs)
    "BasicBlock": ((3, 5, 2), [image(*LARGE)]),
    "CharRNN": ((7, 4, 4), [WORDS]),
    "Diffusion": (((8, 8, 1), 10, 4), [image(8, 8, 1), mx.ones((1, 1))]),
    "Encoder": ((7, 8, 4, 2, 2), [WORDS, mx.ones((1, 6))]),
    "GPT": ((7, 8, 4, 2, 2, 0.5), [WORDS]),
    "SentenceEncoder": ((), [WORDS, mx.ones((1, 6))]),
    "UNet": ((1, 1, 4, 2), [image(8, 8, 1)]),
    "VAE": ((16, 8, 2), [image(16)]),
    "ViT": ((8, 4, 3, 8, 2, 2), [image(8, 8, 3)]),
    "autoencoder": ((), [image(28, 28, 1)]),
    "char_rnn": ((), [WORDS]),
    "diffusion": ((), [image(16, 16, 1), mx.ones((1, 1))]),
    "encoder": ((), [WORDS]),
    "gpt": ((), [WORDS]),
    "jellyfish": ((), [image(32, 32, 3)]),
    "lenet": ((), [image(28, 28, 1)]),
    "resnet18": ((), [image(*LARGE)]),
    "toy_classifier": ((), [image(9, 11, 3)]),
    "unet": ((), [image(8, 8, 1)]),
    "vae": ((), [image(784)]),
    "vgg": (([(4, 4), (8,)], 10), [image(32, 32, 3)]),
    "vit": ((), [image(28, 28, 1)]),
    **{name: ((), [image(32, 32, 3)]) for name in VGGS},
}
ELSEWHERE = {"minilm"}  # an Encoder, with weights that are downloaded
BLOCKS = [name for name, case in CASES.items() if case.make().composes() and name != "Graph"]


@pytest.fixture
def made(monkeypatch):
    """All modules with settings, in the order in which they came into being; weights cost nothing."""
    order = []

    def watched(init):
        def __init__(self, *args, **kwargs):
            order.append(self)
            init(self, *args, **kwargs)

        return __init__

    waiting = [mf.Module]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if "__init__" in vars(cls):
            monkeypatch.setattr(cls, "__init__", watched(vars(cls)["__init__"]))
    for name in ("uniform", "normal", "kaiming_normal"):
        monkeypatch.setattr(initializers, name, lambda shape, *rest: mx.broadcast_to(mx.zeros(()), shape))
    return order


def in_order(model, made, *inputs):
    """The layers by name, in the order of their first calls; they stand in the model, and were made, in that order."""
    inside = {id(module): name for name, module in model.named_modules()}
    nodes = as_tuple(model(*inputs))
    run = [node.module for node in ancestors(nodes, stop=inputs) if node.module is not None]
    called = list(dict.fromkeys(inside[id(layer)] for layer in run if id(layer) in inside))
    assert called, "nothing was recorded"
    assert [name for name in inside.values() if name in called] == called
    order = [name for name in dict.fromkeys(inside.get(id(layer)) for layer in made) if name in called]
    assert order == [name for name in called if name in order]
    return called


def test_every_model_is_looked_at():
    public = {name for name, thing in vars(models).items() if callable(thing) and not inspect.ismodule(thing)}
    assert public - ELSEWHERE == set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_makes_its_layers_in_the_order_in_which_they_run(name, made):
    settings, inputs = MODELS[name]
    if name == "SentenceEncoder":
        settings = (models.encoder(),)
    model = getattr(models, name)(*settings)
    assert len(in_order(model, made, *[mf.Variable(x) for x in inputs])) >= 3


@pytest.mark.parametrize("name", BLOCKS)
def test_every_layer_made_of_others_makes_them_in_the_order_in_which_they_run(name, made):
    made.clear()
    model = CASES[name].make()
    in_order(model, made, *[mf.Variable(x) for x in CASES[name].inputs(np.random.default_rng(0))])


def test_another_order_is_noticed(made):
    class Crossed(mf.Module):
        def __init__(self):
            first, second = mf.Linear(2, 2), mf.Linear(2, 2)
            self.second, self.first = second, first

        def forward(self, x):
            return self.second(self.first(x))

    with pytest.raises(AssertionError):
        in_order(Crossed(), made, mf.Variable(mx.zeros((1, 2))))


@pytest.mark.parametrize("name", ["GPT", "Encoder", "UNet", "vgg"])
def test_files_with_layers_in_another_order_still_load(name):
    settings, inputs = MODELS[name]
    model = getattr(models, name)(*settings).eval()
    about, arrays = describe(model)
    for entry in about["modules"]:
        if entry["class"] in ("TransformerBlock", "MultiHeadAttention", "UNet"):
            entry["attributes"] = dict(reversed(entry["attributes"].items()))
    again = rebuild(about, arrays, "test")
    assert mx.array_equal(again(*inputs), model(*inputs))
    fresh = getattr(models, name)(*settings).eval()
    fresh.load_state_dict(dict(reversed(again.state_dict().items())))
    assert mx.array_equal(fresh(*inputs), model(*inputs))
