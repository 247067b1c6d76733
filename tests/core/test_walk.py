"""The walk back: gradients meet at the nodes and add up."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.walk import add_grad


def test_gradients_of_several_outputs_add_up_place_by_place():
    node = mf.Node((mx.ones(2), mx.ones(3)))
    for grad in ((mx.ones(2), None), (mx.ones(2), mx.ones(3)), (None, mx.ones(3))):
        add_grad(node, grad)
    assert [g.tolist() for g in node.grad] == [[2, 2], [2, 2, 2]]


def test_a_backward_that_returns_no_gradient_is_named_while_training():
    class Returning(mf.Tanh):
        def __init__(self, change):
            self._change = change

        def backward(self, grad_output):
            return self._change(super().backward(grad_output))

    for change, words in (
        (lambda grad: np.array(grad), "got numpy.ndarray"),
        (lambda grad: (grad, grad), "got a tuple of 2"),
        (lambda grad: [grad], "got list"),
    ):
        x = mf.Input((3,))
        layer = Returning(change)
        for model in (mf.Graph(x, layer(mf.Linear(3, 3)(x))), mf.Sequential(mf.Linear(3, 3), layer)):
            y = model(mx.ones((2, 3)))
            with pytest.raises(TypeError, match=r"Returning\(\): expected an mx.array from backward, " + words):
                model.backward(mx.ones_like(y))
