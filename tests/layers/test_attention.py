"""Scaled dot-product attention against three witnesses; masks that no gradient passes."""

import math

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal
from torch.nn.functional import scaled_dot_product_attention as theirs

import miniframe as mf
import miniframe.functional as F


def example(query, key=None, value=None):
    """Random queries, keys and values of these shapes; by default all alike."""
    key = query if key is None else key
    shapes = query, key, key if value is None else value
    return [normal(*shape, seed=seed) for seed, shape in enumerate(shapes, start=3)]


SHAPES = {
    "one sequence": ((2, 3, 5),),
    "batch of 1": ((1, 4, 3),),
    "one place": ((2, 2, 1, 3),),
    "heads": ((2, 3, 5, 4),),
    "other keys": ((2, 2, 3, 5), (2, 2, 7, 5)),
    "other values": ((1, 2, 3, 5), (1, 2, 4, 5), (1, 2, 4, 3)),
    "grouped heads": ((2, 6, 3, 4), (2, 2, 5, 4)),
    "one head for all": ((2, 3, 4, 2), (2, 1, 4, 2)),
    "many places of few features": ((2, 2, 9, 2),),  # where backward sums over features instead of keys
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("masked", [True, False], ids=["mask", "no mask"])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
@pytest.mark.parametrize("name", SHAPES)
def test_gradient_agrees_with_three_witnesses(name, causal, masked, training):
    inputs = example(*SHAPES[name])
    queries, keys = inputs[0].shape[-2], inputs[1].shape[-2]
    layer = mf.ScaledDotProductAttention(causal=causal).train(training)
    allowed = np.ones((queries, keys), dtype=bool)
    if masked:
        allowed = np.random.default_rng(1).uniform(size=(queries, keys)) > 0.3
        allowed[:, 0] = True  # PyTorch gives NaN or zeros, depending on its version, to those that see nothing
        inputs.append(allowed)
    if causal:
        allowed = allowed & np.tri(queries, keys, keys - queries, dtype=bool)

    def reference(q, k, v, mask=None):
        return theirs(q, k, v, torch.tensor(allowed), enable_gqa=q.ndim == 4)

    report = mf.check_gradients(layer, *inputs)
    assert report.passed, report
    by_mx_grad(layer, *inputs)
    by_torch(layer, reference, *inputs)


BIASES = {
    "one for all": ((2, 2, 3, 5), (3, 3)),
    "one for each head": ((2, 2, 3, 5), (2, 3, 3)),
    "the same for all queries": ((2, 2, 3, 5), (2, 1, 1, 3)),
    "without heads": ((2, 4, 3), (1, 4, 4)),
}


@pytest.mark.parametrize("masked", [True, False], ids=["mask", "no mask"])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "not causal"])
@pytest.mark.parametrize("name", BIASES)
def test_what_is_added_to_the_scores_agrees_with_three_witnesses(name, causal, masked):
    shape, bias_shape = BIASES[name]
    inputs, length = example(shape), shape[-2]
    allowed = np.tri(length, k=length - 2, dtype=bool) if masked else np.array(True)
    inputs += [allowed, normal(*bias_shape, seed=9)]
    layer = mf.ScaledDotProductAttention(causal=causal)
    earlier = torch.ones(length, length).tril() if causal else torch.ones(length, length)

    def reference(q, k, v, mask, bias):
        return theirs(q, k, v, bias + (earlier * mask).log())

    by_differences(layer, *inputs)
    by_mx_grad(layer, *inputs)
    by_torch(layer, reference, *inputs)
    found = mf.compare_gradients(layer, mf.MSELoss(), tuple(inputs), np.zeros(shape))
    assert not found.absent and found.max_error < 1e-6, found


def test_a_bias_needs_no_mask_and_keeps_its_place():
    q, k, v = (mx.array(x, mx.float32) for x in example((2, 2, 3, 5)))
    bias, layer = mx.array(normal(3, 3), mx.float32), mf.ScaledDotProductAttention()
    y = layer(q, k, v, bias=bias)
    *_, none, grad = layer.backward(y)
    assert none is None and grad.shape == (3, 3)
    close(F.scaled_dot_product_attention(q, k, v, bias=bias), y)
    close(layer(q, k, v, bias=mx.zeros((1, 3))), layer(q, k, v))
    with pytest.raises(ValueError, match=r"a bias that broadcasts to \(2, 2, 3, 3\), got \(2, 3\)"):
        layer(q, k, v, bias=mx.zeros((2, 3)))
    with pytest.raises(TypeError, match="expected real numbers"):
        layer(q, k, v, bias=mx.zeros((3, 3), dtype=mx.bool_))


def test_causal_and_scale_are_pytorchs():
    q, k, v = example((2, 2, 4, 3))
    by_torch(mf.ScaledDotProductAttention(causal=True), lambda *x: theirs(*x, is_causal=True), q, k, v)
    layer = mf.ScaledDotProductAttention(scale=0.3)
    by_differences(layer, q, k, v)
    by_torch(layer, lambda *x: theirs(*x, scale=0.3), q, k, v)


def test_the_last_queries_see_all_keys_that_came_before():
    """What a model that keeps its keys relies on: a new query at the end gets what it would get among all others."""
    q, k, v = (mx.array(x).astype(mx.float32) for x in example((1, 2, 5, 3)))
    layer = mf.ScaledDotProductAttention(causal=True)
    close(layer(q[:, :, 3:], k, v), layer(q, k, v)[:, :, 3:], 1e-6)


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_dropped_weights_are_dropped_in_backward_too(training, features):
    layer, inputs = mf.ScaledDotProductAttention(dropout=0.4).train(training), example((2, 2, 5, features))
    by_differences(layer, *inputs)
    by_mx_grad(layer, *inputs)
    arrays = [mx.array(x).astype(mx.float32) for x in inputs[:2]] + [mx.ones((2, 2, 5, 1))]
    total = layer(*arrays)  # the sum of each query's weights
    assert bool(mx.all(mx.abs(total - 1) < 1e-5)) is not training


# -------------------------------------------------------------------- masks

HIDDEN = {
    "for all samples": np.array([[True, False, True]] * 3),
    "for each sample": np.array([[[True, True, False]], [[True, False, False]]]),
    "some see nothing": np.array([[False] * 3, [True, False, True], [False] * 3]),
    "nobody sees anything": np.zeros((3, 3), dtype=bool),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_changes_nothing_and_gets_no_gradient(name):
    mask = HIDDEN[name]
    layer = mf.ScaledDotProductAttention()
    report = mf.check_gradients(layer, *example((2, 3, 4)), mask)
    assert report.passed, report
    q, k, v = (mx.array(x).astype(mx.float32) for x in example((2, 3, 4)))
    y = layer(q, k, v, mx.array(mask))
    grad = mx.array(normal(2, 3, 4, seed=9)).astype(mx.float32)
    dq, dk, dv, nothing = layer.backward(grad)
    assert nothing is None
    allowed = np.broadcast_to(mask, (2, 3, 3))
    unseen, blind = ~allowed.any(axis=1), ~allowed.any(axis=2)
    assert unseen.any() or blind.any()
    for array, where in ((dk, unseen), (dv, unseen), (y, blind), (dq, blind)):
        assert np.all(np.array(array)[where] == 0) and np.all(np.isfinite(np.array(array)))
    hidden = mx.array(unseen)[..., None]
    other = layer(q, mx.where(hidden, 1e6, k), mx.where(hidden, -1e6, v), mx.array(mask))
    assert mx.array_equal(other, y)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32], ids=str)
def test_large_scores_neither_overflow_nor_wake_what_is_hidden(dtype):
    q = mx.full((1, 2, 4), 100.0).astype(dtype)
    v = mx.array([[[1.0], [2.0]]]).astype(dtype)
    layer = mf.ScaledDotProductAttention(causal=True)
    y = layer(q, -q, v)
    assert y.dtype == dtype and y.tolist() == [[[1.0], [1.5]]]
    grads = layer.backward(mx.ones_like(y))
    assert all(g.dtype == dtype and bool(mx.isfinite(g).all()) for g in grads)


def test_no_gradient_comes_back_from_later_places():
    x = mx.array(normal(1, 4, 3)).astype(mx.float32)
    layer = mf.ScaledDotProductAttention(causal=True)
    layer(x, x, x)
    grad = mx.zeros((1, 4, 3)).at[:, 1].add(1.0)
    for received in layer.backward(grad):
        assert not mx.any(received[:, 2:])


# -------------------------------------------------------------------- in models, and as a function


def test_on_nodes_one_sequence_may_be_all_three():
    x = mf.Variable(normal(2, 3, 4).astype(np.float32))
    mask = mx.array([[True, False, True]])
    (F.scaled_dot_product_attention(x, x, x, mask) * 2).sum().backward()
    layer = mf.ScaledDotProductAttention()
    layer(x.value, x.value, x.value, mask)
    close(x.grad, sum(layer.backward(mx.full((2, 3, 4), 2.0))[:3]), 1e-6)


def test_strided_inputs_give_the_same_as_contiguous_ones():
    views = [mx.array(normal(2, 5, 3, 4, seed=seed)).astype(mx.float32).transpose(0, 2, 1, 3) for seed in range(3)]
    layer, copies = mf.ScaledDotProductAttention(causal=True), [mx.contiguous(view) for view in views]
    close(layer(*views), layer(*copies), 1e-6)
    for a, b in zip(layer.backward(views[0]), layer.backward(copies[0])):
        close(a, b, 1e-6)


def test_it_says_what_it_costs():
    layer = mf.ScaledDotProductAttention()
    assert layer.multiply_adds((1, 2, 5, 3), (1, 2, 5, 3)) == 2 * 2 * 5 * 5 * 3


def test_the_weights_are_scaled_by_the_root_of_the_features():
    q, k = mx.full((1, 1, 16), 1.0), mx.array([[[0.5] * 16, [0.0] * 16]])
    first = mf.ScaledDotProductAttention()(q, k, mx.array([[[1.0], [0.0]]])).item()
    assert math.isclose(first, 1 / (1 + math.exp(-8 / 4)), rel_tol=1e-5)


@pytest.mark.parametrize(
    "shapes, message",
    [
        (((2, 3), (2, 3), (2, 3)), r"query, key and value \(batch, length, features\) or .*, got .*\(2, 3\)"),
        (((2, 3, 4), (2, 3, 5), (2, 3, 4)), "queries and keys with equally many features"),
        (((2, 3, 4), (2, 3, 4), (2, 5, 4)), "one value for each key"),
        (((2, 3, 4), (1, 3, 4), (1, 3, 4)), "equal batches"),
        (((2, 3, 2, 4), (2, 2, 2, 4), (2, 2, 2, 4)), "heads of queries that the heads of keys divide"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    with pytest.raises(ValueError, match=rf"ScaledDotProductAttention\(causal\): expected .*{message}"):
        mf.ScaledDotProductAttention(causal=True)(*map(mx.zeros, shapes))


def test_unsuitable_masks_and_settings_are_refused():
    x, layer = mx.zeros((2, 3, 4)), mf.ScaledDotProductAttention()
    with pytest.raises(TypeError, match=r"expected a mask of bools, got mlx.core.float32; use mask.astype\(mx.bool_\)"):
        layer(x, x, x, mx.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"a mask that broadcasts to \(2, 3, 3\), got \(2, 3\); one row"):
        layer(x, x, x, mx.ones((2, 3), dtype=mx.bool_))
    with pytest.raises(TypeError, match="expected real numbers"):
        layer(x, x, mx.zeros((2, 3, 4), dtype=mx.int32))
    with pytest.raises(ValueError, match="0 <= dropout < 1, got 1"):
        mf.ScaledDotProductAttention(dropout=1)
    title = mf.ScaledDotProductAttention(causal=True, dropout=0.1, scale=0.5).title()
    assert title == "ScaledDotProductAttention(causal, dropout=0.1, scale=0.5)"
