"""Layers as functions: each gives what its layer gives, on arrays and nodes, forward and backward; none is missing."""

import inspect
from builtins import max as largest

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES
from harness import close

import miniframe as mf
import miniframe.functional as F
from miniframe.layers.elementwise import COMPARED, Compare

CALLS = {
    "ReLU": F.relu,
    "LeakyReLU": lambda x: F.leaky_relu(x, 0.2),
    "ELU": F.elu,
    "Sigmoid": F.sigmoid,
    "Tanh": F.tanh,
    "Softplus": F.softplus,
    "SiLU": F.silu,
    "GELU": F.gelu,
    "ReLU6": F.relu6,
    "Hardsigmoid": F.hardsigmoid,
    "Hardswish": F.hardswish,
    "Softmax": F.softmax,
    "LogSoftmax": F.log_softmax,
    "Add": F.add,
    "Subtract": F.subtract,
    "Multiply": F.multiply,
    "Divide": F.divide,
    "Negate": F.negative,
    "Power": F.power,
    "MatMul": F.matmul,
    "Exp": F.exp,
    "Log": F.log,
    "Sqrt": F.sqrt,
    "Abs": F.abs,
    "Square": F.square,
    "Sin": F.sin,
    "Cos": F.cos,
    "Clip": lambda x: F.clip(x, -0.2, 0.2),
    "AsType": lambda x: F.astype(x, mx.float32),
    "Sum": lambda x: F.sum(x, 0),
    "Mean": lambda x: F.mean(x, 1, keepdims=True),
    "Max": lambda x: F.max(x, axis=1),
    "Min": lambda x: F.min(x, axis=1),
    "ReshapeTo": lambda x: F.reshape(x, 3, 2),
    "Transpose": F.transpose,
    "Concatenate": lambda x, y: F.concatenate([x, y], axis=1),
    "Stack": lambda x, y: F.stack([x, y], axis=1),
    "Split": lambda x: F.split(x, [1], axis=1),
    "Where": F.where,
    "Maximum": F.maximum,
    "Minimum": F.minimum,
    "Flatten": F.flatten,
    "Reshape": lambda x: F.reshape(x, -1, 3, 2),
    "Squeeze": lambda x: F.squeeze(x, 1),
    "Unsqueeze": lambda x: F.unsqueeze(x, -1),
    "GaussianSample": F.gaussian_sample,
    "MaxPool1d": lambda x: F.max_pool1d(x, 2),
    "AvgPool1d": lambda x: F.avg_pool1d(x, 2),
    "GlobalAvgPool1d": F.global_avg_pool1d,
    "GlobalMaxPool1d": F.global_max_pool1d,
    "MaxPool2d": lambda x: F.max_pool2d(x, 2),
    "AvgPool2d": lambda x: F.avg_pool2d(x, 2),
    "GlobalAvgPool2d": F.global_avg_pool2d,
    "ZeroPad2d": lambda x: F.zero_pad2d(x, 1),
    "AdaptiveAvgPool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
    "Upsample2d": lambda x: F.upsample2d(x, 2, mode="bilinear"),
    "ScaledDotProductAttention": F.scaled_dot_product_attention,
    "SinePositionEncoding": F.sine_position_encoding,
    "RotaryEmbedding": F.rotary_embedding,
    "SplitHeads": lambda x: F.split_heads(x, 2),
    "MergeHeads": F.merge_heads,
    "SwiGLU": F.swiglu,
    "Dropout": lambda x: F.dropout(x, 0.4),
    "StochasticDepth": lambda x: F.stochastic_depth(x, 0.4),
    "ChannelShuffle": lambda x: F.channel_shuffle(x, 2),
}
COMPARISONS = dict(zip(COMPARED, (F.greater, F.less, F.greater_equal, F.less_equal, F.equal, F.not_equal)))
NO_FUNCTION = {"Identity", "Index", "ForEachSample"}  # x itself, and x[index]


def example(name):
    arrays = CASES[name].inputs(np.random.default_rng(3))
    return [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in arrays]


def tuple_of(output):
    return output if isinstance(output, tuple) else (output,)


def test_no_layer_without_state_is_missing():
    stateless = set()
    for name, case in CASES.items():
        layer = case.make()
        if type(layer).__module__.startswith("miniframe.layers.") and not layer.named_items()[1:]:
            stateless.add(name)
    assert stateless - NO_FUNCTION == set(CALLS)


def test_every_name_is_public_and_has_words_and_an_example():
    public = {name for name, value in vars(F).items() if inspect.isfunction(value) and not name.startswith("_")}
    assert public == set(F.__all__) and mf.functional is F and F.pad is F.zero_pad2d
    for name in public:
        assert ">>> " in getattr(F, name).__doc__, name


@pytest.mark.parametrize("name", CALLS)
def test_on_arrays_it_is_the_layer(name):
    inputs, layer = example(name), CASES[name].make()
    with mx.stream(mx.cpu):
        mf.seed(0)
        expected = tuple_of(layer(*inputs))
        mf.seed(0)
        found = tuple_of(CALLS[name](*inputs))
    assert all(isinstance(y, mx.array) and mx.array_equal(y, z) for y, z in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", CALLS)
def test_on_nodes_it_has_the_layers_derivative(name):
    inputs, layer = example(name), CASES[name].make()
    with mx.stream(mx.cpu):
        mf.seed(0)
        outputs = tuple_of(layer(*inputs))
        upstream = [mx.array(np.random.default_rng(1).normal(size=y.shape).astype(np.float32)) for y in outputs]
        expected = tuple_of(layer.backward(tuple(upstream) if len(upstream) > 1 else upstream[0]))
        mf.seed(0)
        nodes = [mf.Variable(x) for x in inputs]
        found = tuple_of(CALLS[name](*nodes))
        assert all(isinstance(node, mf.Node) for node in found)
        total = None
        for node, grad in zip(found, upstream, strict=True):
            part = (node * grad).sum()
            total = part if total is None else total + part
        total.backward()
        for node, grad in zip(nodes, expected, strict=True):
            assert (node.grad is None) is (grad is None)
            if grad is not None:
                close(node.grad, grad)


@pytest.mark.parametrize("sign", COMPARED)
def test_comparisons_give_bools_without_a_gradient(sign):
    a, b = mx.array([1.0, 2.0, 3.0]), mx.array([3.0, 2.0, 1.0])
    expected = [eval(f"{x} {sign} {y}") for x, y in zip(a.tolist(), b.tolist())]
    assert COMPARISONS[sign](a, b).tolist() == expected
    x = mf.Variable(a)
    found = COMPARISONS[sign](x, b)
    assert found.value.dtype == mx.bool_ and found.value.tolist() == expected
    F.where(found, x * 2, 0.0).sum().backward()
    assert x.grad.tolist() == [2.0 * truth for truth in expected]
    assert Compare(sign).title() == f"Compare({sign})"


def test_operators_compare_nodes_and_only_eq_asks_for_identity():
    x, y = mf.Variable(mx.array([1.0, 2.0])), mf.Variable(mx.array([1.0, 2.0]))
    assert [(x > 1).value.tolist(), (x < 2).value.tolist()] == [[False, True], [True, False]]
    assert [(x >= 2).value.tolist(), (x <= y).value.tolist()] == [[False, True], [True, True]]
    assert (1.5 < x).value.tolist() == [False, True]
    assert x == x and x != y and {x: "a", y: "b"}[x] == "a"


def test_the_way_through_a_model_may_depend_on_a_single_number():
    class Either(mf.Module):
        def forward(self, x):
            return x * 2 if x.sum() > 0 else x * 3

    model = Either()
    for data, slope in (([1.0, 2.0], 2), ([-1.0, -2.0], 3)):
        assert model(mx.array(data)).tolist() == [slope * number for number in data]
        assert model.backward(mx.ones(2)).tolist() == [slope, slope]


METHODS = {
    "relu": F.relu, "sigmoid": F.sigmoid, "tanh": F.tanh,
    "abs": lambda x: F.abs(x), "square": F.square, "sin": F.sin, "cos": F.cos, "softmax": F.softmax,
    "flatten": lambda x: F.flatten(x, 0), "squeeze": F.squeeze, "min": F.min, "max": F.max,
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_methods_do_what_the_functions_do(name):
    x, y = (mf.Variable(mx.array([[[-1.0, 2.0, 0.5]]])) for _ in range(2))
    a, b = getattr(x, name)(), METHODS[name](y)
    close(a.value, b.value)
    for node in (a, b):
        (node * mx.arange(1.0, node.value.size + 1).reshape(node.shape)).sum().backward()
    close(x.grad, y.grad)
    assert largest(np.abs(np.array(x.grad)).ravel()) > 0


def test_methods_with_settings():
    x = mf.Variable(mx.array([[-1.0, 2.0, 0.5]]))
    assert x.clip(0, 1).value.tolist() == [[0, 1, 0.5]] and x.clip(high=0).value.tolist() == [[-1, 0, 0]]
    assert x.unsqueeze(0).shape == (1, 1, 3) and x.flatten(1).shape == (1, 3) and x.flatten().shape == (3,)
    assert x.astype(mx.float16).value.dtype == mx.float16 and abs(x).value.tolist() == [[1, 2, 0.5]]
    assert x.maximum(0).value.tolist() == [[0, 2, 0.5]] and x.minimum(0).value.tolist() == [[-1, 0, 0]]
    assert (x.ndim, x.dtype) == (2, mx.float32) and mf.Input((2,)).ndim == 2 and mf.Input((2,)).dtype == mx.float32


def test_a_graph_of_functions_keeps_its_shape_open():
    x = mf.Input((4, 4, 3))
    y = F.relu(F.max_pool2d(x, 2)).flatten(1)
    graph = mf.Graph(x, F.where(y > 0.5, F.tanh(y), 0.0))
    assert graph(mx.ones((5, 4, 4, 3))).shape == (5, 12) and graph(mx.ones((2, 4, 4, 3))).shape == (2, 12)
    assert mf.check_gradients(graph, np.random.default_rng(0).normal(size=(2, 4, 4, 3))).passed


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: F.clip(x), ValueError, "Clip: expected a low or a high bound, got none"),
        (lambda x: F.clip(x, 2, 1), ValueError, "Clip: expected low <= high, got 2 and 1"),
        (lambda x: F.clip(x, x), TypeError, "Clip: expected numbers or None as bounds, got array"),
        (lambda x: F.astype(x, "float"), TypeError, "AsType: expected a type such as mx.float32, got 'float'"),
        (lambda x: F.squeeze(x, 1), ValueError, r"Squeeze\(1\): expected input whose axis has length 1, got \(2, 3\)"),
        (
            lambda x: F.unsqueeze(x, 4),
            ValueError,
            r"Unsqueeze\(4\): expected input with room for an axis 4, got",
        ),
        (lambda x: Compare("<>"), ValueError, "Compare: expected one of > < >= <= == !=, got '<>'"),
    ],
)
def test_unsuitable_settings_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call(mx.ones((2, 3)))


def test_whole_numbers_get_no_gradient_through_astype():
    x = mf.Variable(mx.array([1.0, 2.0]))
    (x.astype(mx.int32).astype(mx.float32) * x).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
