"""Models in files."""

import json
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from harness import normal
from registered import Block

import miniframe as mf
from miniframe.saving.files import save_arrays


class Unregistered(mf.Module):
    def forward(self, x):
        return x


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def small():
    return mf.Sequential({"first": mf.Linear(3, 4), "bend": mf.LeakyReLU(0.3), "last": mf.Linear(4, 2, bias=False)})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def test_a_loaded_model_gives_the_same_numbers(path):
    model, x = mf.Sequential(small(), mf.Dropout(0.2), mf.Reshape(1, 2), mf.Flatten()).eval(), array(5, 3)
    model.save(path)
    loaded = mf.load(path)
    assert repr(loaded) == repr(model)
    assert mx.array_equal(loaded(x), model(x))
    assert not loaded[1].training
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in model.named_parameters()]


def test_a_loaded_model_trains(path):
    original = small()
    original.save(path)
    loaded = mf.load(path)
    x, y = array(8, 3), array(8, 2, seed=1)
    for model in (original, loaded):
        optimizer = mf.SGD(model, lr=0.1)
        history = model.fit(x, y, loss="mse", optimizer=optimizer, epochs=5, seed=0, compile=False, verbose=0)
        assert history.history["loss"][-1] < history.history["loss"][0]
    for parameter, expected in zip(loaded.parameters(), original.parameters(), strict=True):
        assert mx.array_equal(parameter.value, expected.value)


def test_a_registered_module_keeps_its_settings_constants_and_sharing(path):
    model, x = mf.Sequential(Block(3)), array(2, 3)
    model[0].dense.freeze()
    model.save(path)
    loaded = mf.load(path)
    block = loaded[0]
    assert type(block) is Block and block.again[0] is block.dense
    assert block.options == {"steps": 2, "scale": (0.5, None)}
    assert not block.dense.weight.trainable and block.count.value.item() == 3
    assert mx.array_equal(loaded(x), model(x))


def branching():
    x, y = mf.Input((3,), name="x"), mf.Input((3,), name="y")
    shared = mf.Linear(3, 3)
    h = mf.Tanh()(shared(x)) + shared(y) * 0.5 + mx.array([1.0, 2.0, 3.0])
    parts = mf.layers.split(h, [1], axis=1)
    return mf.Graph([x, y], [mf.Linear(1, 2)(parts[0]), (parts[1] ** 2).sum(axis=1).named("energy")])


def test_a_graph_with_branches_sharing_and_constants_returns(path):
    graph, x, y = branching(), array(4, 3), array(4, 3, seed=1)
    expected = graph(x, y)
    graph.save(path)
    loaded = mf.load(path)
    assert list(loaded.names) == list(graph.names)
    for a, b in zip(loaded(x, y), expected):
        assert mx.array_equal(a, b)
    upstream = (array(4, 2, seed=2), array(4, seed=3))
    for a, b in zip(loaded.backward(upstream), graph.backward(upstream)):
        assert mx.array_equal(a, b)
    assert mx.array_equal(loaded["linear"].module.weight.grad, graph["linear"].module.weight.grad)
    assert loaded["energy"].grad is not None and len(list(loaded.parameters())) == 4


def test_a_graph_of_a_thousand_layers_returns(path):
    x = mf.Input((2,))
    h = x
    for _ in range(1000):
        h = mf.Identity()(h)
    mf.Graph(x, h).save(path)
    assert len(mf.load(path)) == 1001


def test_a_convolutional_model_returns(path):
    model = mf.Sequential(mf.Conv2d(2, 3, 3, padding="same"), mf.BatchNorm(3), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten())
    x = array(2, 6, 6, 2)
    model(x)
    model.eval().save(path)
    loaded = mf.load(path)
    assert mx.array_equal(loaded(x), model(x)) and repr(loaded) == repr(model)


def test_one_parameter_in_two_layers_stays_one(path):
    first, second = mf.Linear(3, 3), mf.Linear(3, 3)
    second.weight = first.weight
    mf.Sequential(first, second).save(path)
    loaded = mf.load(path)
    assert loaded[0].weight is loaded[1].weight and loaded[0].bias is not loaded[1].bias


def test_loading_needs_no_code_but_the_registered_classes(path):
    model, x = small(), array(5, 3)
    model.save(path)
    code = (
        "import sys, mlx.core as mx, miniframe as mf\n"
        f"x = mx.array({x.tolist()})\n"
        f"print(mf.load({str(path)!r})(x).tolist())"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert np.allclose(json.loads(printed), model(x).tolist())


def test_an_unregistered_class_is_refused_when_saving(path):
    with pytest.raises(TypeError, match="could not find the class Unregistered; put @mf.register above it"):
        mf.Sequential(Unregistered()).save(path)
    assert not path.exists()


def test_a_function_among_the_settings_is_refused_by_path(path):
    model = mf.Sequential(mf.Tanh())
    model[0].function = print
    with pytest.raises(TypeError, match=r"cannot save Sequential\.layers\.0\.function: .* no builtin_function"):
        model.save(path)


def test_names_given_to_layers_return(path):
    x = mf.Input((3,), name="x")
    mf.Graph(x, mf.Tanh()(mf.Linear(3, 2).named("encoder")(x)).named("code")).save(path)
    assert list(mf.load(path).names) == ["x", "encoder", "code"]


@pytest.mark.parametrize("kind", ["x" * 10_000, {"a": 1}, ["weights"], 3])
def test_a_file_that_holds_something_else_is_refused_in_one_short_line(kind, path):
    save_arrays(path, {"a": mx.ones(1)}, {"kind": kind})
    with pytest.raises(ValueError, match=r"^[^\n]*: holds [^\n]{1,100}$"):
        mf.load(path)
