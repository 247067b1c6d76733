"""Names and habits from PyTorch, Keras and NumPy: each works, or its error says in one line what to write here."""

import copy
import pickle

import mlx.core as mx
import mlx.nn
import numpy as np
import pytest

import miniframe as mf
import miniframe.functional as F
from miniframe.core import elsewhere


def model():
    return mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 1))


def parameter():
    return mf.Parameter(mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))


def node():
    return mf.Variable(mx.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))


# -------------------------------------------------------------------- names that are not there


@pytest.mark.parametrize(
    "make, words",
    [
        (model, elsewhere.OF_MODULES),
        (parameter, elsewhere.OF_PARAMETERS),
        (node, elsewhere.OF_NODES),
        (lambda: mf.SGD(model(), lr=0.1), elsewhere.OF_OPTIMIZERS),
        (mf.History, elsewhere.OF_HISTORIES),
    ],
)
def test_a_name_from_elsewhere_is_missing_and_its_error_ends_with_the_remedy(make, words):
    thing = make()
    for name, remedy in words.items():
        assert not hasattr(thing, name), name
        with pytest.raises(AttributeError) as caught:
            getattr(thing, name)
        assert str(caught.value) == f"{type(thing).__name__!r} object has no attribute {name!r}; {remedy}"


@pytest.mark.parametrize("package, words", [(mf, elsewhere.OF_PACKAGE), (F, elsewhere.OF_FUNCTIONAL)])
def test_so_it_is_with_the_names_of_the_package(package, words):
    for name, remedy in words.items():
        with pytest.raises(AttributeError) as caught:
            getattr(package, name)
        assert str(caught.value) == f"module {package.__name__!r} has no attribute {name!r}; {remedy}"
    with pytest.raises(AttributeError, match=r"has no attribute 'liner'$"):
        package.liner  # noqa: B018


def test_every_remedy_that_names_something_of_ours_names_what_exists():
    import re

    for words in (elsewhere.OF_MODULES, elsewhere.OF_PACKAGE, elsewhere.OF_FUNCTIONAL, elsewhere.OF_PARAMETERS):
        for remedy in words.values():
            for name in re.findall(r"\bmf\.(\w+)", remedy):
                assert hasattr(mf, name), remedy
            for name in re.findall(r"\bF\.(\w+)", remedy):
                assert hasattr(F, name), remedy
            for name in re.findall(r"\bmodel\.(\w+)", remedy):
                assert hasattr(model(), name), remedy
    for remedy in elsewhere.OF_NODES.values():
        for name in re.findall(r"\bnode\.(\w+)", remedy):
            assert hasattr(node(), name), remedy


@pytest.mark.parametrize("make", [model, parameter, node])
def test_any_other_missing_name_is_pythons_usual_error(make):
    thing = make()
    with pytest.raises(AttributeError, match=rf"^'{type(thing).__name__}' object has no attribute 'nonsense'$"):
        thing.nonsense  # noqa: B018
    assert type(copy.deepcopy(thing)) is type(pickle.loads(pickle.dumps(thing))) is type(thing)


def test_the_error_of_a_property_is_not_hidden():
    class Net(mf.Module):
        @property
        def add(self):
            return self.nowhere

        @property
        def width(self):
            return self.nowhere

    with pytest.raises(AttributeError, match="'Net' object has no attribute 'nowhere'"):
        Net().width  # noqa: B018


def test_testing_is_there_when_it_is_asked_for():
    assert mf.testing.check_layer(mf.ReLU(), mx.array([[1.0, -1.0]]))


# -------------------------------------------------------------------- learning or not


def test_trainable_is_freezing_in_keras_words():
    net = model()
    net[0].trainable = False
    assert not net[0].trainable and net[2].trainable and net.trainable
    assert [p.trainable for p in net.parameters()] == [False, False, True, True]
    net.trainable = True
    assert all(p.trainable for p in net.parameters())


def test_a_rate_under_another_name_is_not_set_in_silence():
    with pytest.raises(AttributeError, match=r"'learning_rate'; write optimizer\.lr$"):
        mf.SGD(model(), lr=0.1).learning_rate = 0.2


def test_no_grad_may_stand_above_a_function():
    net = model()

    @mf.no_grad()
    def judge(x, twice=False):
        """Its words stay."""
        return net(x) * (2 if twice else 1)

    x = mx.ones((1, 2))
    assert mx.allclose(judge(x, twice=True), 2 * net(x)) and judge.__doc__ == "Its words stay."
    judge(x)
    with pytest.raises(RuntimeError, match="not under no_grad"):
        net.backward(mx.ones((1, 1)))
    net(x)
    net.backward(mx.ones((1, 1)))


def test_layers_by_position_are_the_models_business():
    with pytest.raises(KeyError, match=r"Sequential: no layer is named 0; by position, write model\[0\]"):
        model().layers[0]
    net = model().insert(0, mf.ReLU())
    with pytest.raises(KeyError, match="no layer is named 'nowhere'"):
        pickle.loads(pickle.dumps(net)).layers["nowhere"]


def test_requires_grad_says_what_it_is_called():
    p = parameter()
    for use in (lambda: p.requires_grad, lambda: setattr(p, "requires_grad", False)):
        with pytest.raises(AttributeError, match=r"'requires_grad'; write p\.trainable = False"):
            use()


def test_a_model_that_defines_call_is_told_at_once():
    with pytest.raises(TypeError, match=r"^Net: define forward\(self, x\), not __call__, which records what backward"):

        class Net(mf.Module):
            def __call__(self, x):
                return x

    class Loud(mf.Module):
        def __call__(self, x):
            return super().__call__(x) + 1

    class Double(Loud):
        def forward(self, x):
            return x * 2

    assert Double()(mx.ones(1)).item() == 3

    class Both(mf.Linear):
        def __call__(self, x, twice=False):
            return super().__call__(super().__call__(x) if twice else x)

    assert Both(2, 2)(mx.ones((1, 2)), twice=True).shape == (1, 2)


# -------------------------------------------------------------------- whole numbers


@pytest.mark.parametrize(
    "value", [mx.array([[1, 2]]), np.array([[1, 2]]), [[1, 2]], mx.array([[1, 2]]).astype(mx.uint8)]
)
def test_a_weight_set_to_whole_numbers_still_learns(value):
    layer = mf.Linear(2, 1)
    layer.weight.value = value
    assert layer.weight.dtype == mx.float32 and layer.weight.value.tolist() == [[1.0, 2.0]]
    x, y = mx.array([[0.5, 0.25]]), mx.array([[0.0]])
    layer.fit(x, y, loss="mse", optimizer=mf.SGD(layer, lr=0.01), verbose=0)
    assert layer.weight.value.tolist() != [[1.0, 2.0]]


def test_parameters_are_real_numbers_and_buffers_may_be_whole():
    assert mf.Parameter([1, 2]).dtype == mf.Parameter(mx.array([True])).dtype == mx.float32
    assert mf.Parameter(mx.array([1.0]).astype(mx.bfloat16)).dtype == mx.bfloat16
    count = mf.Buffer(mx.array(3))
    count.value = mx.array(4)
    assert count.value.dtype == mx.int32
    half = mf.Parameter(mx.zeros(2))
    half.value = mx.array([1.0, 2.0]).astype(mx.float16)
    assert half.dtype == mx.float16


def test_a_negative_power_of_whole_numbers_is_a_fraction():
    x = mf.Variable([1, 2, 4])
    y = x**-1
    assert y.value.tolist() == [1.0, 0.5, 0.25]
    y.sum().backward()
    assert x.grad.tolist() == [-1.0, -0.25, -0.0625]


# -------------------------------------------------------------------- arrays' habits


def test_numpys_functions_compute_with_parameters():
    p = parameter()
    assert np.sum(p) == 21 and np.mean(p, axis=0).tolist() == [2.5, 3.5, 4.5]
    assert np.concatenate([p, p]).shape == (4, 3)


def test_nodes_have_a_length():
    assert len(node()) == 3
    with pytest.raises(TypeError, match="has no length"):
        len(mf.Variable(1.0))
    with pytest.raises(TypeError, match="has no length"):
        len(mf.Input((2,)))


@pytest.mark.parametrize(
    "use, words",
    [
        (lambda x: x.mean(dim=1), "mean: dim is called axis here"),
        (lambda x: x.sum(0, keepdim=True), "sum: keepdim is called keepdims here"),
        (lambda x: x.max(dim=1), "max: dim is called axis here"),
        (lambda x: F.softmax(x, dim=1), "softmax: dim is called axis here"),
        (lambda x: F.concatenate([x, x], dim=1), "concatenate: dim is called axis here"),
        (lambda x: F.flatten(x, start_dim=1), "flatten: start_dim is called start_axis here"),
        (lambda x: mf.datasets.train_test_split(x, x, random_state=0), "train_test_split: random_state is called seed"),
    ],
)
def test_arguments_by_other_names_are_told_their_own(use, words):
    with pytest.raises(TypeError, match=f"^{words}"):
        use(mf.Variable(mx.ones((2, 2))) if "split" not in words else mx.ones((2, 2)))


@pytest.mark.parametrize(
    "given, words",
    [
        (mx.tanh, r"the function 'tanh'; write a layer, such as ReLU\(\)"),
        (mlx.nn.Linear(2, 3), r"mlx\.nn's Linear; mf\.interop\.from_mlx translates it"),
        (mf.ReLU, r"the class ReLU; write ReLU\(\)"),
        ([mf.ReLU(), mf.ReLU()], r"a list of 2; write Sequential\(a, b\) or Sequential\(\*layers\)"),
    ],
)
def test_what_is_no_layer_is_told_how_it_becomes_one(given, words):
    with pytest.raises(TypeError, match=f"^Sequential: expected a module at '0', got {words}$"):
        mf.Sequential(given)
