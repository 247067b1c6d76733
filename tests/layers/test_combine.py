"""Layers that join, cut and choose, against three witnesses, on arrays and on nodes."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf
from miniframe.layers.combine import Concatenate, Maximum, Minimum, Split, Stack, Where

BITS = np.array([[True, False, True], [False, False, True]])


class Pieces(mf.Module):
    """One output made of all the pieces of a split, each with a weight of its own."""

    def __init__(self, sections, axis):
        self.split = Split(sections, axis)

    def forward(self, x):
        return mf.concatenate([piece * (i + 1.5) for i, piece in enumerate(self.split(x))], axis=self.split.axis)


CASES = {
    "Concatenate": (Concatenate(), lambda *t: torch.cat(t), [(2, 3), (1, 3), (4, 3)]),
    "Concatenate axis -1": (Concatenate(-1), lambda *t: torch.cat(t, -1), [(2, 3), (2, 1)]),
    "Concatenate one": (Concatenate(1), lambda t: t * 1, [(2, 3)]),
    "Stack": (Stack(), lambda *t: torch.stack(t), [(2, 3), (2, 3)]),
    "Stack axis 1": (Stack(1), lambda *t: torch.stack(t, 1), [(2, 3), (2, 3), (2, 3)]),
    "Stack axis -1": (Stack(-1), lambda *t: torch.stack(t, -1), [(2, 3), (2, 3)]),
    "Maximum": (Maximum(), torch.maximum, [(2, 3), (2, 3)]),
    "Maximum broadcast": (Maximum(), torch.maximum, [(2, 1, 3), (4, 1)]),
    "Minimum": (Minimum(), torch.minimum, [(2, 3), (3,)]),
}


@pytest.mark.parametrize("name", CASES)
def test_backward_agrees_with_three_witnesses(name):
    module, reference, shapes = CASES[name]
    inputs = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    by_differences(module, *inputs)
    by_mx_grad(module, *inputs)
    by_torch(module, reference, *inputs)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3)), ((3,), (2, 1)), ((), (2, 3))], ids=str)
def test_where_agrees_with_the_witnesses(shapes):
    inputs = [BITS, *(normal(*shape, seed=i) for i, shape in enumerate(shapes))]
    by_differences(Where(), *inputs)
    by_mx_grad(Where(), *inputs)
    by_torch(Where(), torch.where, *inputs)


@pytest.mark.parametrize("sections, axis", [(3, 0), (2, 1), ([1, 4], 0), ([1], -1), (1, 0)])
def test_split_agrees_with_the_witnesses(sections, axis):
    module = Pieces(sections, axis)
    by_differences(module, normal(6, 4))
    by_mx_grad(module, normal(6, 4))
    x = normal(6, 4).astype(np.float32)
    for ours, numpys in zip(mf.split(mx.array(x), sections, axis), np.split(x, sections, axis)):
        close(ours, numpys)


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 100))
def test_splitting_what_was_concatenated_gives_the_pieces_back(lengths, axis, seed):
    arrays = [mx.array(normal(*[n if k == axis else 2 for k in range(3)], seed=seed)) for n in lengths]
    joined = mf.concatenate(arrays, axis)
    for piece, array in zip(mf.split(joined, np.cumsum(lengths)[:-1].tolist(), axis), arrays):
        assert mx.array_equal(piece, array)


def test_functions_take_nodes_and_arrays_together():
    x = mf.Variable([1.0, 2.0])
    y = mf.concatenate([x, mx.array([5.0])]) + mf.maximum(mf.Variable([0.0, 9.0, 3.0]), 2.0)
    assert isinstance(y, mf.Node) and y.value.tolist() == [3, 11, 8]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    z = mf.where(x.value > 1.5, x * 3, x) + mf.minimum(x, 1.5) + mf.stack([x, x]).sum(axis=0)
    z.backward(mx.ones((2,)))
    assert x.grad.tolist() == [1 + 1 + 2, 3 + 0 + 2]


def test_equal_numbers_share_the_gradient_of_a_maximum():
    a, b = mf.Variable([1.0, 2.0]), mf.Variable([1.0, 3.0])
    mf.maximum(a, b).sum().backward()
    assert (a.grad.tolist(), b.grad.tolist()) == ([0.5, 0], [0.5, 1])


def test_pieces_that_nobody_uses_have_no_gradient():
    x = mf.Variable(mx.ones((6,)))
    a, _, c = mf.split(x, 3)
    (a * 2 + c).sum().backward()
    assert x.grad.tolist() == [2, 2, 0, 0, 1, 1]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mf.concatenate([mx.zeros((2, 3)), mx.zeros((2, 4))]), r"Concatenate\(axis=0\): expected shapes that"),
        (lambda: mf.concatenate([mx.zeros((2, 3)), mx.zeros((2,))]), r"expected shapes that are equal but for axis 0"),
        (lambda: mf.concatenate([mx.zeros((2, 3))], axis=2), "expected inputs with an axis 2"),
        (lambda: mf.stack([mx.zeros((2, 3)), mx.zeros((2, 4))]), "expected inputs of equal shapes"),
        (lambda: mf.split(mx.zeros((5, 2)), 2), r"expected a length of axis 0 that 2 divides, got \(5, 2\)"),
        (lambda: mf.split(mx.zeros((5, 2)), 2, axis=3), "expected an input with an axis 3"),
    ],
)
def test_shapes_that_do_not_fit_are_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_array_instead_of_a_list_is_an_error():
    with pytest.raises(TypeError, match="concatenate: expected a list of arrays or nodes"):
        mf.concatenate(mx.zeros((2, 3)))
