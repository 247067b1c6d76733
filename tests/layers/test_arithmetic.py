"""Every operation that nodes offer, as a layer, against three witnesses."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf
from miniframe.layers import arithmetic as ops
from miniframe.layers import reductions

# name: module, PyTorch's version, input shapes; "+" marks inputs that must be positive
TWO = {
    "Add": (ops.Add(), torch.add),
    "Subtract": (ops.Subtract(), torch.sub),
    "Multiply": (ops.Multiply(), torch.mul),
    "Divide": (ops.Divide(), torch.div),
    "Power": (ops.Power(), torch.pow),
}
SHAPES = [
    ((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((3, 1), (1, 4)),
    ((2, 3, 4), (3, 1)), ((), (3, 4)), ((1,), (1,)),
]  # fmt: skip
PRODUCTS = [
    ((3, 4), (4, 5)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)), ((1, 1), (1, 1)), ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)),
]  # fmt: skip
ONE = {
    "Negate": (ops.Negate(), torch.neg),
    "Exp": (ops.Exp(), torch.exp),
    "Log": (ops.Log(), torch.log),
    "Sqrt": (ops.Sqrt(), torch.sqrt),
    "Sum": (reductions.Sum(), torch.sum),
    "Sum over 1": (reductions.Sum(1), lambda x: x.sum(1)),
    "Sum over -1, kept": (reductions.Sum(-1, keepdims=True), lambda x: x.sum(-1, keepdim=True)),
    "Sum over 0 and 2": (reductions.Sum((0, 2)), lambda x: x.sum((0, 2))),
    "Mean": (reductions.Mean(), torch.mean),
    "Mean over 0": (reductions.Mean(0), lambda x: x.mean(0)),
    "Mean over 0 and -1, kept": (reductions.Mean((0, -1), keepdims=True), lambda x: x.mean((0, -1), keepdim=True)),
    "Max": (reductions.Max(), lambda x: x.amax()),
    "Max over 1": (reductions.Max(1), lambda x: x.amax(1)),
    "Max over 0 and 2, kept": (reductions.Max((0, 2), keepdims=True), lambda x: x.amax((0, 2), keepdim=True)),
    "Index row": (ops.Index(1), lambda x: x[1]),
    "Index slice": (ops.Index((slice(None), slice(1, None, 2))), lambda x: x[:, 1::2]),
    "Index twice": (ops.Index(mx.array([0, 0, 1])), lambda x: x[[0, 0, 1]]),
    "Index new axis": (ops.Index((Ellipsis, None, 0)), lambda x: x[..., None, 0]),
    "ReshapeTo": (ops.ReshapeTo((4, -1)), lambda x: x.reshape(4, -1)),
    "Transpose": (ops.Transpose(), lambda x: x.permute(2, 1, 0)),
    "Transpose 1, 2, 0": (ops.Transpose((1, 2, 0)), lambda x: x.permute(1, 2, 0)),
    "Transpose -1, 0, 1": (ops.Transpose((-1, 0, 1)), lambda x: x.permute(-1, 0, 1)),
}  # fmt: skip


def positive(*shape, seed=0):
    return np.asarray(np.abs(normal(*shape, seed=seed)) + 0.5)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", TWO)
def test_two_inputs_broadcast_and_agree_with_three_witnesses(name, shapes):
    module, reference = TWO[name]
    inputs = [positive(*shape, seed=i) for i, shape in enumerate(shapes)]
    by_differences(module, *inputs)
    by_mx_grad(module, *inputs)
    by_torch(module, reference, *inputs)


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matrix_products_of_all_kinds_agree_with_three_witnesses(shapes):
    inputs = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    by_differences(ops.MatMul(), *inputs)
    by_mx_grad(ops.MatMul(), *inputs)
    by_torch(ops.MatMul(), torch.matmul, *inputs)


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 2, 2)], ids=str)
@pytest.mark.parametrize("name", ONE)
def test_one_input_agrees_with_three_witnesses(name, shape):
    module, reference = ONE[name]
    by_differences(module, positive(*shape))
    by_mx_grad(module, positive(*shape))
    by_torch(module, reference, positive(*shape))


@pytest.mark.parametrize("name", ONE)
def test_a_strided_input_gives_the_same_as_a_contiguous_one(name):
    module, _ = ONE[name]
    view = mx.array(positive(8, 3, 4).astype(np.float32)).transpose(2, 1, 0)[:, :, ::2]
    copy = mx.array(np.array(view))
    upstream = mx.array(normal(*module(copy).shape).astype(np.float32))
    value, grad = module(copy), module.backward(upstream)
    close(module(view), value)
    close(module.backward(upstream), grad)


@hypothesis.settings(max_examples=15, deadline=None)
@hypothesis.given(st.lists(st.integers(1, 3), max_size=3), st.data())
def test_any_pair_of_shapes_that_broadcast_passes_the_check(shape, data):
    other = [data.draw(st.sampled_from([n, 1])) for n in shape][data.draw(st.integers(0, len(shape))) :]
    name = data.draw(st.sampled_from(sorted(TWO)))
    by_differences(TWO[name][0], positive(*shape), positive(*other, seed=1))


@pytest.mark.parametrize("exponent", [2, 3.0, -1, 0.5, 1, 0])
def test_powers_with_a_plain_number_as_exponent(exponent):
    x = mf.Variable(positive(3, 2).astype(np.float32))
    (x**exponent).sum().backward()
    tensor = torch.tensor(np.array(x.value), requires_grad=True)
    (tensor**exponent).sum().backward()
    close(x.grad, tensor.grad)


def test_powers_of_zero_and_of_negative_numbers():
    x = mf.Variable([0.0, -2.0, 3.0])
    (x**2).sum().backward()
    assert x.grad.tolist() == [0, -4, 6]
    (x**0).sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
    base, exponent = mf.Variable([0.0, 2.0]), mf.Variable([2.0, 3.0])
    (base**exponent).sum().backward()
    close(exponent.grad, [0, 8 * np.log(2)])


def test_equal_largest_elements_share_the_gradient():
    x = mf.Variable([[1.0, 3.0, 3.0], [5.0, 5.0, 5.0]])
    x.max(axis=1).sum().backward()
    close(x.grad, [[0, 0.5, 0.5], [1 / 3] * 3])


@pytest.mark.parametrize(
    "expression, reference",
    [
        (lambda x: 3 + x - 1, lambda x: 3 + x - 1),
        (lambda x: 2 * x / 4, lambda x: 2 * x / 4),
        (lambda x: 1 - x, lambda x: 1 - x),
        (lambda x: 1 / x, lambda x: 1 / x),
        (lambda x: 2.5**x, lambda x: 2.5**x),
        (lambda x: -x, lambda x: -x),
        (lambda x: x.exp().log().sqrt(), lambda x: x.exp().log().sqrt()),
        (lambda x: x.mean(axis=1, keepdims=True) * x.T.T, lambda x: x.mean(1, keepdim=True) * x),
        (lambda x: x.reshape(2, -1)[0].sum() + x.reshape((-1,)).max(), lambda x: x.reshape(2, -1)[0].sum() + x.amax()),
        (lambda x: x @ x.transpose(1, 0), lambda x: x @ x.T),
        (lambda x: x @ np.ones((3, 2), np.float32), lambda x: x @ torch.ones(3, 2)),
    ],
)
def test_operators_and_methods_of_nodes(expression, reference):
    value = positive(4, 3).astype(np.float32)
    x, tensor = mf.Variable(value), torch.tensor(value, requires_grad=True)
    expression(x).sum().backward()
    reference(tensor).sum().backward()
    close(expression(x).value, reference(tensor).detach())
    close(x.grad, tensor.grad)


def own_gradients(module):
    """A function from inputs to their gradients, with the output itself as upstream gradient."""

    def grads(*inputs):
        found = module.backward(module(*inputs))
        return list(found) if isinstance(found, tuple) else [found]

    return grads


def arrays_for(name):
    return [mx.array(positive(2, 3, 4, seed=i).astype(np.float32)) for i in range(2 if name in TWO else 1)]


@pytest.mark.parametrize("name", ["Power", "Max over 1", "Index twice"])
def test_backward_runs_inside_a_compiled_step(name):
    grads = own_gradients({**TWO, **ONE}[name][0])
    for a, b in zip(mx.compile(grads)(*arrays_for(name)), grads(*arrays_for(name))):
        close(a, b)


@pytest.mark.parametrize("name", [*TWO, *ONE])
def test_backward_takes_many_upstream_gradients_at_once(name):
    module, _ = {**TWO, **ONE}[name]
    inputs = arrays_for(name)
    rows = mf.jacobian(module, *inputs)
    first = rows[0] if isinstance(rows, tuple) else rows
    y = module(*inputs)
    close(mx.tensordot(y, first, axes=y.ndim) if y.ndim else y * first, own_gradients(module)(*inputs)[0])


@pytest.mark.parametrize(
    "index", [5, -5, np.int64(4), [0, 4], np.array([1, -5]), mx.array([0, 3, 7]), mx.array(4)], ids=str
)
def test_an_index_that_is_not_there_is_an_error_that_names_it(index):
    bad = np.array(index).reshape(-1)[-1]
    with pytest.raises(IndexError, match=rf"^Index: expected indices in -4..3 along axis 0, got {bad}( at \[\d\])?$"):
        mf.Variable(mx.arange(4.0))[index]
    with pytest.raises(IndexError, match="-4..3 along axis 2"):
        mf.Variable(mx.zeros((9, 9, 4)))[..., None, index]


def test_a_node_can_be_gone_through():
    assert [row.value.tolist() for row in mf.Variable(mx.array([[1.0], [2.0]]))] == [[1.0], [2.0]]


def test_slices_without_a_step_and_too_many_indices_are_refused():
    v = mf.Variable(mx.arange(4.0))
    with pytest.raises(ValueError, match="^Index: expected slices with a step other than 0"):
        v[::0]
    with pytest.raises(ValueError, match="^Index: expected slices with a step other than 0"):
        v[..., 0:2:0]
    with pytest.raises(ValueError, match=r"^Index: expected at most 1 indices for shape \(4,\), got 2$"):
        v[0, 0]


@pytest.mark.parametrize("index, inside", [([3, -4], True), ([0, 4], False), ([-5, 1], False), ([0, 2**31 - 1], False)])
def test_where_an_index_cannot_be_seen_what_is_not_there_is_nan(index, inside):
    x = mx.arange(24.0).reshape(2, 3, 4)

    def traced(x, index):
        layer = ops.Index((slice(None), 0, index))
        return layer(x), layer.backward(mx.ones((2, 2)))

    z, dx = mx.compile(traced)(x, mx.array(index))
    if inside:
        assert z.tolist() == [[3, 0], [15, 12]] and dx[0].tolist() == [[1, 0, 0, 1], [0] * 4, [0] * 4]
    else:
        assert np.isnan(np.array(z)).all() and np.isnan(np.array(dx)).all()


def test_indices_within_the_array_are_those_of_numpy():
    numbers = np.arange(24.0).reshape(2, 3, 4)
    node = mf.Variable(mx.array(numbers.astype(np.float32)))
    for index in (0, -1, slice(None, None, -1), (Ellipsis, 3), (1, slice(0, 2)), (None, 1), (slice(None), [0, 2])):
        assert np.array_equal(np.array(node[index].value), numbers[index])


@pytest.mark.parametrize("kind", [mx.int32, mx.uint8, mx.int64])
def test_of_whole_numbers_what_is_not_there_is_one_that_is_out_of_every_range(kind):
    x = mx.array([3, 4, 5], dtype=kind)
    found = mx.compile(lambda x, index: ops.Index(index)(x))(x, mx.array([0, 7]))
    assert found.dtype == kind and found[0].item() in (mx.iinfo(kind).min, mx.iinfo(kind).max)
    assert mx.compile(lambda x, index: ops.Index(index)(x))(x, mx.array([0, 2])).tolist() == [3, 5]
