"""Nodes and variables: expressions that run at once and remember how they came about."""

import gc

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import close

import miniframe as mf
from miniframe import Linear, Variable


def example():
    x, y, z = Variable(-2.0, name="x"), Variable(5.0), Variable(-4.0)
    return x, y, z, (x + y) * z


def test_the_worked_example():
    x, y, z, f = example()
    f.backward()
    assert f.value.item() == -12
    assert [node.grad.item() for node in (x, y, z)] == [-4, -4, 3]
    assert f.inputs[0].value.item() == 3 and f.inputs[0].grad.item() == -4


def test_a_node_names_its_operation_value_and_gradient():
    x, _, _, f = example()
    assert repr(f) == "Node(Multiply, value=-12, grad=None)"
    f.backward()
    assert repr(x) == "Node(Variable 'x', value=-2, grad=-4)"
    assert repr(Linear(1, 3)(Variable(mx.ones((5, 1))))) == "Node(Linear, value=array(5, 3), grad=None)"
    assert repr(f * 2).startswith("Node(Multiply, value=-24")


def test_backward_twice_gives_the_same_gradient():
    x, y, z, f = example()
    f.backward()
    f.backward()
    assert [node.grad.item() for node in (x, y, z)] == [-4, -4, 3]


def test_parameters_add_up_over_two_backwards():
    layer = Linear(2, 1)
    f = layer(Variable(mx.ones((3, 2)))).sum()
    f.backward()
    f.backward()
    assert layer.bias.grad.item() == 6


def test_a_node_in_two_expressions_gives_each_its_own_gradient():
    x = Variable(3.0)
    h = x * x
    f, g = h * 2, h + x
    f.backward()
    assert x.grad.item() == 12
    g.backward()
    assert x.grad.item() == 7
    f.backward()
    assert x.grad.item() == 12


def test_a_value_used_several_times_adds_up_its_gradients():
    x = Variable(3.0)
    f = x * x + x / x + x
    f.backward()
    assert x.grad.item() == pytest.approx(7)


def test_a_loop_and_a_branch_may_depend_on_data():
    def expression(x, total):
        while total(x * x) < 100:
            x = x * 2 if total(x) > 0 else x * -3
        return x.sum()

    for start in ([1.0, 2.0], [-1.0, 0.5]):
        x, tensor = Variable(start), torch.tensor(start, requires_grad=True)
        expression(x, lambda v: v.sum().value.item()).backward()
        expression(tensor, lambda v: v.sum().item()).backward()
        close(x.grad, tensor.grad)


def test_ten_thousand_operations_go_forward_and_backward():
    x = node = Variable(1.0)
    for _ in range(5000):
        node = node * 1.0 + x
    node.backward()
    assert (node.value.item(), x.grad.item()) == (5001, 5001)
    del node
    gc.collect()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda x: mx.ones(2) + x, TypeError, r"MLX cannot compute with a node. Write the node first"),
        (lambda x: mx.exp(x), TypeError, r"use its methods or miniframe.functional instead of mx functions"),
        (lambda x: np.sum(x), TypeError, r"np.sum cannot compute with a node; use the node's methods or miniframe"),
        (lambda x: np.concatenate([x, x]), TypeError, "np.concatenate cannot compute with a node"),
        (lambda x: np.asarray(x), TypeError, r"NumPy cannot compute with a node; np.array\(node.value\)"),
        (lambda x: bool(x > 0), TypeError, r"only a single number is true or false; use where\(condition, a, b\)"),
        (lambda x: x.backward(), ValueError, "backward without a gradient needs a single number"),
        (lambda x: x.backward(mx.ones(3)), ValueError, r"expected a gradient of shape \(2,\), got \(3,\)"),
        (lambda x: mf.Input((2,)).backward(), RuntimeError, "backward needs a value; run the graph on an input first"),
        (lambda x: x + mx.ones(3), ValueError, r"Add\(\): got \(2,\), \(3,\); \[broadcast_shapes\]"),
        (lambda x: x @ mx.ones(3), ValueError, r"MatMul\(\): got \(2,\), \(3,\)"),
        (lambda x: list(mf.Input()), TypeError, "cannot be iterated over"),
        (lambda x: Variable("two"), TypeError, "Variable: expected numbers, got str"),
    ],
)
def test_what_cannot_be_done_is_a_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call(Variable(mx.ones(2)))
