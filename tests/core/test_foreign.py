"""A model's forward that hands a node to a function that is not ours: one line with the place and the remedy."""

import math

import mlx.core as mx
import mlx.nn
import numpy as np
import pytest
import torch

import miniframe as mf


def model(function):
    class Net(mf.Module):
        def __init__(self):
            self.fc, self.p = mf.Linear(3, 3), mf.Parameter(mx.ones(3))

        def forward(self, x):
            return function(self.fc(x), self.p)

    return Net()


F_ = r"write F\.{}\(\.\.\.\), with import miniframe\.functional as F"


@pytest.mark.parametrize(
    "function, code, remedy",
    [
        (lambda h, p: mx.maximum(h, 0), r"mx\.maximum\(h, 0\)", F_.format("maximum")),
        (lambda h, p: mx.softmax(h, axis=-1), r"mx\.softmax\(h, axis=-1\)", F_.format("softmax")),
        (lambda h, p: mx.concatenate([h, h]), r"mx\.concatenate\(\[h, h\]\)", F_.format("concatenate")),
        (lambda h, p: mx.matmul(h, h.T), r"mx\.matmul\(h, h\.T\)", F_.format("matmul")),
        (lambda h, p: mx.exp(h), r"mx\.exp\(h\)", F_.format("exp")),
        (lambda h, p: mx.expand_dims(h, 0), r"mx\.expand_dims\(h, 0\)", F_.format("unsqueeze")),
        (lambda h, p: mlx.nn.relu(h), r"mlx\.nn\.relu\(h\)", F_.format("relu")),
        (lambda h, p: mlx.nn.gelu(p) * h, r"mlx\.nn\.gelu\(p\)", F_.format("gelu")),
        (lambda h, p: np.exp(h), r"np\.exp\(h\)", F_.format("exp")),
        (lambda h, p: np.maximum(h, 0), r"np\.maximum\(h, 0\)", F_.format("maximum")),
        (lambda h, p: np.concatenate([h, h]), r"np\.concatenate\(\[h, h\]\)", F_.format("concatenate")),
        (lambda h, p: torch.relu(h), r"torch\.relu\(h\)", F_.format("relu")),
        (lambda h, p: math.exp(h), r"math\.exp\(h\)", F_.format("exp")),
        (lambda h, p: h.gelu(), r"h\.gelu", F_.format("gelu")),
        (lambda h, p: h * mx.exp(p), r"mx\.exp\(p\)", F_.format("exp")),
        (lambda h, p: h * mx.softmax(p), r"mx\.softmax\(p\)", F_.format("softmax")),
        (lambda h, p: mx.ones(3) + h, r"mx\.ones\(3\) \+ h", "write the node first"),
        (lambda h, p: mx.ones((3, 3)) @ h, r"mx\.ones\(\(3, 3\)\) @ h", "write the node first"),
        (lambda h, p: mx.ones(3) * p + h, r"mx\.ones\(3\) \* p", "write the node first"),
        (
            lambda h, p: np.asarray(h),
            r"np\.asarray\(h\)",
            r"node\.value has the numbers, and sends no gradient back",
        ),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_the_error_names_the_model_the_code_and_the_remedy(function, code, remedy, inside):
    net = model(function)
    words = rf"^Net\(\): .*{code} \(test_foreign\.py, line \d+\) was given a node.*; {remedy}.*If Net is meant as a "
    words += r"layer with its own derivative, define backward\(self, grad_output\) below its forward$"
    with pytest.raises(TypeError, match=words):
        (model(lambda h, p: net(h)) if inside else net)(mx.ones((3, 3)))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("function", [lambda h, p: mx.maximum(h, 0), lambda h, p: h * mx.exp(p), lambda h, p: h.gelu()])
def test_fit_says_it_too_and_changes_nothing(function, compiled):
    net = model(function)
    before, x = [p.value for p in net.parameters()], mx.ones((3, 3))
    with pytest.raises(TypeError, match=r"^Net\(\): .* was given a node.*; write F\."):
        mf.Sequential(mf.Linear(3, 3), net).fit(x, x, loss="mse", optimizer="sgd", verbose=0, compile=compiled)
    assert all(mx.array_equal(a, p.value) for a, p in zip(before, net.parameters(), strict=True))


def test_a_layer_without_a_backward_is_told_so():
    class Cube(mf.Module):
        def forward(self, x):
            return mx.power(x, 3)

    with pytest.raises(TypeError, match=r"Cube\(\): .*write F\.power.* If Cube is meant as a layer .* define backward"):
        Cube()(mx.ones(2))


def test_where_no_gradient_is_wanted_any_function_will_do():
    x = mx.array([[1.0, -2.0, 3.0]])
    with mf.no_grad():
        net = model(lambda h, p: mx.maximum(h, 0) * mx.exp(p))
        assert mx.allclose(net(x), mx.maximum(net.fc(x), 0) * math.e).item()
        with_index = model(lambda h, p: mx.sort(h)[:, :1] + p[0])
        assert with_index(x).item() == mx.min(with_index.fc(x)).item() + 1
        with pytest.raises(TypeError, match=r"Net\(\): h\.gelu \(test_foreign\.py"):
            model(lambda h, p: h.gelu())(x)


def test_a_numpy_array_may_stand_before_a_node():
    x, array = mf.Variable(mx.array([2.0, 4.0])), np.array([6.0, 8.0])
    for y, value, slope in [
        (array + x, [8, 12], [1, 1]),
        (array - x, [4, 4], [-1, -1]),
        (array * x, [12, 32], [6, 8]),
        (array / x, [3, 2], [-1.5, -0.5]),
        (np.float32(3) * x, [6, 12], [3, 3]),
    ]:
        assert isinstance(y, mf.Node) and y.value.tolist() == value
        y.sum().backward()
        assert x.grad.tolist() == slope


def test_a_layer_with_its_own_backward_may_use_what_it_likes_inside_a_model():
    class Scale(mf.Module):
        def __init__(self):
            self.p = mf.Parameter(mx.array(0.5))

        def forward(self, x):
            self.saved = x
            return x * mx.exp(self.p) + (self.p - self.p)

        def backward(self, grad_output):
            x = self.saved
            self.p.accumulate((grad_output * x).sum() * mx.exp(self.p))
            return grad_output * mx.exp(self.p)

    class Net(mf.Module):
        def __init__(self):
            self.scale, self.fc = Scale(), mf.Linear(2, 2)

        def forward(self, x):
            return self.fc(self.scale(x))

    assert mf.check_gradients(Net(), np.array([[1.0, 2.0]])).passed


class Setting(mf.Module):
    def __init__(self):
        self.fc = mf.Linear(3, 3)

    def forward(self, x):
        h = self.fc(x)
        h[0] = 1.0
        return h


@pytest.mark.parametrize(
    "net, words",
    [
        (Setting(), r"h\[0\].*; make a new one, with F\.where\(condition, h, other\) or F\.concatenate"),
        (model(lambda h, p: h.view(-1)), r"h\.view .*; write node\.reshape\(\.\.\.\)"),
        (model(lambda h, p: h.permute(1, 0)), r"h\.permute .*; write node\.transpose\(\.\.\.\)"),
        (model(lambda h, p: h.reshape(h.size(0), -1)), r"h\.size .*; write node\.shape"),
        (model(lambda h, p: h * p.item()), r"p\.item .*; write p\.value\.item\(\)"),
        (model(lambda h, p: h // 2), r"h // 2 .*; nodes have the operators \+ - \* / @ \*\* and the comparisons"),
        (
            model(lambda h, p: h * float(h.sum())),
            r"float\(h\.sum\(\)\) .*; node\.value has the numbers, and sends no grad",
        ),
        (model(lambda h, p: mx.stop_gradient(h)), r"stop_gradient\(h\) .*; node\.value has the numbers"),
        (model(lambda h, p: torch.cat([h, h])), r"torch\.cat\(\[h, h\]\) .*; write F\.concatenate\(\.\.\.\)"),
    ],
)
def test_habits_of_pytorch_are_told_what_to_write(net, words):
    with pytest.raises(TypeError, match=words):
        net(mx.ones((3, 3)))


def test_inputs_are_given_without_names():
    with pytest.raises(TypeError, match=r"^Net\(\): unknown argument 'training'; inputs have no names: model\(a, b\)$"):
        model(lambda h, p: h)(mx.ones((1, 3)), training=True)


def test_errors_of_other_kinds_stay_what_they_are():
    with pytest.raises(ZeroDivisionError):
        model(lambda h, p: h * (1 / 0))(mx.ones((1, 3)))
    with pytest.raises(TypeError, match="^Node: expected numbers, got NoneType"):
        model(lambda h, p: h + None)(mx.ones((1, 3)))
    with pytest.raises(ValueError, match=r"^Linear\(3 -> 3\)"):
        model(lambda h, p: h)(mx.ones((1, 2)))
