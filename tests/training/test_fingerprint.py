"""What a trace was made with: every change that matters is noticed, and what passes from step to step is not."""

import copy
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.training.fingerprint import Fingerprint

X = mx.array(np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32))


def bend(x):
    return mx.tanh(x)


class Own(mf.Module):
    """A layer of a user's, with settings of every kind."""

    _factor = 1.0

    def __init__(self):
        self.scale, self.flag, self.name, self.nothing = 2.0, True, "a", None
        self.nested = [1, [2, (3, 4)], {"key": [5]}]
        self.function = bend
        self.constant = mx.ones(3)
        self.buffer = mf.Buffer(mx.zeros(3))
        self.layers = {"one": mf.Linear(3, 3), "two": [mf.Dropout(0.5), mf.Tanh()]}
        self._hidden = 1

    def forward(self, x):
        return self.layers["one"](x)


class Outside:
    """Not a module: an object that a layer asks."""

    factor = 1.0

    def __init__(self):
        self.power = 2


OUTSIDE, STRENGTH = Outside(), 1.0


class Asking(mf.Identity):
    """A layer that reads what is not its own."""

    bias = 0.0

    def __init__(self, power):
        self.on, self.weights, self.rng = {"a"}, np.ones(3), np.random.default_rng(0)
        self.outside, self.options = Outside(), SimpleNamespace(power=1)
        self.iterations, self.enclosed, self.method = 1, lambda x: x ** power[0], Outside().__init__
        self.global_one, self.defaults = lambda x: x * STRENGTH, lambda x, factor=2: x * factor

    def forward(self, x):
        return x**OUTSIDE.power


def set_global(name, value):
    globals()[name] = value


POWER = [2]


@pytest.fixture(autouse=True)
def classes_restored(monkeypatch):
    monkeypatch.setattr(Asking, "forward", Asking.forward)
    monkeypatch.setattr(Asking, "bias", Asking.bias)
    monkeypatch.setattr(Outside, "factor", Outside.factor)


def parts():
    model = mf.Sequential(Own(), mf.BatchNorm(3), mf.Linear(3, 2), Asking(POWER))
    return model, mf.MSELoss(), mf.SGD(model, lr=0.1, momentum=0.9)


def append(things, thing):
    things.append(thing)


CHANGES = {
    "the mode": lambda m, l, o: m.eval(),
    "the mode of one layer": lambda m, l, o: m[1].eval(),
    "a setting of a layer's called iterations": lambda m, l, o: setattr(m[3], "iterations", 2),
    "a hidden setting with a default of the class": lambda m, l, o: setattr(m[0], "_factor", 3.0),
    "a set": lambda m, l, o: m[3].on.add("b"),
    "an attribute of a user's class": lambda m, l, o: setattr(Asking, "bias", Asking.bias + 1),
    "a method of a user's class": lambda m, l, o: setattr(Asking, "forward", lambda self, x: x),
    "a NumPy array, in place": lambda m, l, o: m[3].weights.__setitem__(0, 5),
    "an MLX array, in place": lambda m, l, o: m[0].constant.__setitem__(0, 5),
    "the state of a generator": lambda m, l, o: m[3].rng.random(),
    "an object that a layer holds": lambda m, l, o: setattr(m[3].outside, "power", 3),
    "options that a layer holds": lambda m, l, o: setattr(m[3].options, "power", 3),
    "the class of such an object": lambda m, l, o: setattr(Outside, "factor", Outside.factor + 1),
    "a global that forward reads": lambda m, l, o: setattr(OUTSIDE, "power", OUTSIDE.power + 1),
    "a global that a function reads": lambda m, l, o: set_global("STRENGTH", STRENGTH + 1),
    "what a function encloses": lambda m, l, o: append(POWER, 1),
    "the defaults of a function": lambda m, l, o: setattr(m[3].defaults, "__defaults__", (3,)),
    "a number": lambda m, l, o: setattr(m[0], "scale", 2.5),
    "the type of a number": lambda m, l, o: setattr(m[0], "scale", 2),
    "a switch": lambda m, l, o: setattr(m[0], "flag", False),
    "a switch that becomes a number": lambda m, l, o: setattr(m[0], "flag", 1),
    "a word": lambda m, l, o: setattr(m[0], "name", "b"),
    "nothing": lambda m, l, o: setattr(m[0], "nothing", 0),
    "a new setting": lambda m, l, o: setattr(m[0], "more", 1),
    "a removed setting": lambda m, l, o: delattr(m[0], "flag"),
    "a hidden setting of a user's": lambda m, l, o: setattr(m[0], "_hidden", 2),
    "a nested list": lambda m, l, o: append(m[0].nested[1], 4),
    "a number in a nested list": lambda m, l, o: m[0].nested[1].__setitem__(0, 9),
    "a number in a dict in a list": lambda m, l, o: m[0].nested[2]["key"].__setitem__(0, 6),
    "a tuple in a list": lambda m, l, o: m[0].nested[1].__setitem__(1, (3, 5)),
    "a function": lambda m, l, o: setattr(m[0], "function", append),
    "a constant array": lambda m, l, o: setattr(m[0], "constant", mx.ones(3)),
    "a replaced buffer": lambda m, l, o: setattr(m[0], "buffer", mf.Buffer(mx.zeros(3))),
    "a frozen parameter": lambda m, l, o: setattr(m[2].weight, "trainable", False),
    "a frozen layer": lambda m, l, o: m[0].freeze(),
    "a replaced layer": lambda m, l, o: m.__setitem__(2, mf.Linear(3, 2)),
    "a replaced layer deep inside": lambda m, l, o: m[0].layers["two"].__setitem__(1, mf.Tanh()),
    "a setting deep inside": lambda m, l, o: setattr(m[0].layers["two"][0], "p", 0.4),
    "a layer more": lambda m, l, o: m.append(mf.Tanh()),
    "the class of a layer": lambda m, l, o: setattr(m[1], "__class__", type("Other", (mf.BatchNorm,), {})),
    "the precision of a parameter": lambda m, l, o: setattr(
        m[2].weight, "value", m[2].weight.value.astype(mx.bfloat16)
    ),
    "a setting of the loss": lambda m, l, o: setattr(l, "reduction", "sum"),
    "a setting of the optimizer's group": lambda m, l, o: setattr(o.groups[0], "weight_decay", 0.01),
    "the optimizer's momentum": lambda m, l, o: setattr(o, "momentum", 0.5),
    "the optimizer's clipping": lambda m, l, o: setattr(o, "clip_norm", 1.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_that_decides_how_a_step_computes_is_noticed(change):
    things = parts()
    before = Fingerprint(*things)
    assert before == Fingerprint(*things)
    CHANGES[change](*things)
    assert before != Fingerprint(*things), change


def trained(model, loss, optimizer):
    for _ in range(2):
        mf.train_step(model, loss, optimizer, X, mx.zeros((8, 2)))


PASSING = {
    "values, gradients and what forward saved": trained,
    "the value of a parameter": lambda m, l, o: setattr(m[2].weight, "value", mx.ones((2, 3))),
    "a gradient": lambda m, l, o: setattr(m[2].weight, "grad", mx.ones((2, 3))),
    "the value of a buffer": lambda m, l, o: setattr(m[0].buffer, "value", mx.ones(3)),
    "the rate": lambda m, l, o: setattr(o, "lr", 0.01),
    "a request to stop": lambda m, l, o: setattr(m, "stop_training", True),
    "an evaluation": lambda m, l, o: m.evaluate(X, mx.zeros((8, 2)), loss="mse"),
    "a summary": lambda m, l, o: m.summary((3,)),
    "looking": lambda m, l, o: mf.trace(m, X),
}


@pytest.mark.parametrize("change", PASSING)
def test_what_passes_from_step_to_step_is_not_a_change(change):
    things = parts()
    before = Fingerprint(*things)
    PASSING[change](*things)
    assert before == Fingerprint(*things), change


def test_an_equal_model_is_another_one():
    things = parts()
    assert Fingerprint(*things) != Fingerprint(*copy.deepcopy(things))
    assert Fingerprint(things[0]) != Fingerprint(things[1]) and Fingerprint(things[0]) != things[0]


def test_what_was_thrown_away_cannot_be_mistaken_for_something_new():
    model = mf.Sequential(mf.Tanh())
    before = Fingerprint(model)
    for _ in range(100):  # without the old layer held, its place in memory would soon be taken by a new one
        model[0] = mf.Tanh()
        assert before != Fingerprint(model)


def test_a_graph_that_is_rewired_is_noticed():
    x = mf.Input((3,))
    graph = mf.Graph(x, mf.Linear(3, 2)(mf.Tanh()(x)))
    before = Fingerprint(graph)
    graph(X)
    graph.backward(mx.ones((8, 2)))
    assert before == Fingerprint(graph)
    graph.insert("tanh", mf.Tap())
    assert before != Fingerprint(graph)


def test_a_model_that_contains_itself_has_a_fingerprint():
    a, b = mf.Module(), mf.Module()
    a.other, b.other = b, a
    before = Fingerprint(a)
    assert before == Fingerprint(a)
    b.more = 1
    assert before != Fingerprint(a)
