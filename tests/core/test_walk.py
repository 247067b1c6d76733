"""The walk back: gradients meet at the nodes and add up."""

import mlx.core as mx

import miniframe as mf
from miniframe.core.walk import add_grad


def test_gradients_of_several_outputs_add_up_place_by_place():
    node = mf.Node((mx.ones(2), mx.ones(3)))
    for grad in ((mx.ones(2), None), (mx.ones(2), mx.ones(3)), (None, mx.ones(3))):
        add_grad(node, grad)
    assert [g.tolist() for g in node.grad] == [[2, 2], [2, 2, 2]]
