"""Positions against three witnesses, and what each kind of them is for."""

import math

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal

import miniframe as mf
import miniframe.functional as F

SHAPES = [(2, 3, 4), (1, 5, 6), (3, 1, 2), (2, 3, 5, 4), (1, 1, 1, 2)]
PLACES = {(2, 3, 4): [(3,), (2, 3)], (1, 5, 6): [(5,)], (2, 3, 5, 4): [(5,), (2, 5)]}
GIVEN = [(shape, places) for shape, kinds in PLACES.items() for places in kinds]


def places_like(shape):
    return np.random.default_rng(4).integers(0, 9, size=shape)


def torch_angles(x, places, base):
    speeds = base ** (-torch.arange(0, x.shape[-1], 2).double() / x.shape[-1])
    places = torch.arange(x.shape[-2]) if places is None else places
    return places[..., None].double() * speeds


def torch_rotary(x, places=None, base=10000.0, interleaved=False):
    """Multiplication by exp(iθ): pairs of features as complex numbers."""
    turn = torch.polar(torch.ones(1, dtype=torch.float64), torch_angles(x, places, base))
    if places is not None and places.ndim == 2 and x.ndim == 4:
        turn = turn[:, None]
    pairs = x.unflatten(-1, (-1, 2)) if interleaved else x.unflatten(-1, (2, -1)).transpose(-1, -2)
    y = torch.view_as_real(torch.view_as_complex(pairs.double().contiguous()) * turn)
    return (y if interleaved else y.transpose(-1, -2)).flatten(-2).float()


def torch_waves(x, places=None, base=10000.0):
    angle = torch_angles(x, places, base)
    waves = torch.empty(*angle.shape[:-1], x.shape[-1])
    waves[..., 0::2], waves[..., 1::2] = angle.sin(), angle.cos()
    return x + (waves[:, None] if waves.ndim < x.ndim and waves.ndim == 3 else waves)


# -------------------------------------------------------------------- learned


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if len(shape) == 3], ids=str)
def test_learned_positions_agree_with_three_witnesses(shape, training):
    layer, x = mf.PositionEmbedding(6, shape[-1]).train(training), normal(*shape)
    table = torch.tensor(np.array(layer.table.weight.value), requires_grad=True)
    report = mf.check_gradients(layer, x)
    assert report.passed, report
    by_mx_grad(layer, x)
    by_torch(layer, lambda x: x + table[: x.shape[1]], x, weights={"table.weight": (table, lambda a: a)})


@pytest.mark.parametrize("shape, kind", [(shape, kind) for shape, kind in GIVEN if len(shape) == 3])
def test_learned_positions_of_any_places_agree_with_three_witnesses(shape, kind):
    layer, inputs = mf.PositionEmbedding(9, shape[-1]), [normal(*shape), places_like(kind)]
    table = torch.tensor(np.array(layer.table.weight.value), requires_grad=True)
    report = mf.check_gradients(layer, *inputs)
    assert report.passed, report
    by_mx_grad(layer, *inputs)
    by_torch(layer, lambda x, places: x + table[places], *inputs, weights={"table.weight": (table, lambda a: a)})


# -------------------------------------------------------------------- waves and rotations

FIXED = {
    "waves": (mf.SinePositionEncoding, torch_waves),
    "short waves": (lambda: mf.SinePositionEncoding(50.0), lambda *x: torch_waves(*x, base=50.0)),
    "rotary": (mf.RotaryEmbedding, torch_rotary),
    "rotary, neighbours": (
        lambda: mf.RotaryEmbedding(base=50.0, interleaved=True),
        lambda *x: torch_rotary(*x, base=50.0, interleaved=True),
    ),
}


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FIXED)
def test_fixed_positions_agree_with_three_witnesses(name, shape, training):
    make, reference = FIXED[name]
    layer, x = make().train(training), normal(*shape)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x)


@pytest.mark.parametrize("shape, kind", GIVEN, ids=str)
@pytest.mark.parametrize("name", FIXED)
def test_fixed_positions_of_any_places_agree_with_three_witnesses(name, shape, kind):
    make, reference = FIXED[name]
    layer, inputs = make(), [normal(*shape), places_like(kind)]
    by_differences(layer, *inputs)
    by_mx_grad(layer, *inputs)
    by_torch(layer, reference, *inputs)


# -------------------------------------------------------------------- what they are for


@pytest.mark.parametrize("make", [mf.RotaryEmbedding, mf.SinePositionEncoding, lambda: mf.PositionEmbedding(8, 4)])
def test_the_end_of_a_sequence_alone_is_what_it_is_in_the_whole(make):
    layer, x = make(), mx.array(normal(2, 8, 4)).astype(mx.float32)
    close(layer(x[:, 6:], mx.array([6, 7])), layer(x)[:, 6:], 1e-6)


def test_products_after_a_rotation_depend_on_the_distance_alone():
    layer = mf.RotaryEmbedding(interleaved=True)
    q, k = (mx.broadcast_to(mx.array(normal(6, seed=seed)).astype(mx.float32), (1, 9, 6)) for seed in (0, 1))
    products = np.array((layer(q) @ layer(k).swapaxes(1, 2))[0])
    for distance in range(1, 5):
        along = np.diagonal(products, distance)
        close(along, np.full_like(along, along[0]), 1e-5)
    assert abs(products[0, 0] - products[0, 3]) > 1e-3
    close(mx.linalg.norm(layer(q), axis=-1), mx.linalg.norm(q, axis=-1), 1e-6)


def test_far_places_in_half_precision_are_still_told_apart():
    x = mx.ones((1, 2, 4)).astype(mx.bfloat16)
    y = mf.RotaryEmbedding()(x, mx.array([1000, 1001]))
    assert y.dtype == mx.bfloat16
    turn = math.cos(1001.0) - math.sin(1001.0)
    close(y.astype(mx.float32)[0, 1, 0], turn, 1e-2)


def test_on_nodes_they_are_functions_too():
    x = mf.Variable(normal(1, 3, 4).astype(np.float32))
    y = F.rotary_embedding(F.sine_position_encoding(x), mx.array([2, 3, 4]))
    y.backward(y.value)
    close(x.grad, F.sine_position_encoding(x.value), 1e-6)


def test_a_layer_used_twice_gets_both_gradients():
    shared = mf.PositionEmbedding(3, 4)
    by_differences(mf.Sequential(shared, mf.Linear(4, 4), shared), normal(2, 3, 4))
    turn = mf.RotaryEmbedding()
    by_differences(mf.Sequential(turn, mf.Tanh(), turn), normal(2, 3, 4))


def test_a_strided_input_gives_the_same_as_a_contiguous_one():
    view = mx.array(normal(4, 6, 10)).astype(mx.float32).transpose(1, 2, 0)[::2, ::-2]
    copy = mx.contiguous(view)
    for layer in (mf.PositionEmbedding(9, 4), mf.SinePositionEncoding(), mf.RotaryEmbedding(interleaved=True)):
        close(layer(view), layer(copy), 1e-6)
        close(layer.backward(view), layer.backward(copy), 1e-6)


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "use, message",
    [
        (lambda: mf.PositionEmbedding(0, 4), "PositionEmbedding: expected positive sizes, got 0 and 4"),
        (lambda: mf.SinePositionEncoding(0), "expected max_wavelength > 0, got 0"),
        (lambda: mf.RotaryEmbedding(-1), "expected base > 0, got -1"),
        (
            lambda: mf.PositionEmbedding(5, 4)(mx.zeros((2, 6, 4))),
            r"PositionEmbedding\(5, 4\): expected at most 5 places, got \(2, 6, 4\); make it longer",
        ),
        (lambda: mf.PositionEmbedding(5, 4)(mx.zeros((2, 3, 3))), r"input \(batch, length, 4\), got \(2, 3, 3\)"),
        (lambda: mf.RotaryEmbedding()(mx.zeros((2, 3, 3))), r"an even number of features\), got \(2, 3, 3\)"),
        (lambda: mf.RotaryEmbedding()(mx.zeros((3, 4))), r"input \(batch, length, .*\), got \(3, 4\)"),
        (lambda: F.rotary_embedding(mx.zeros((2, 3, 4)), mx.array([1])), r"places \(3,\) or \(2, 3\), got \(1,\)"),
        (
            lambda: mf.PositionEmbedding(5, 4)(mx.zeros((1, 2, 4)), mx.array([4, 5])),
            r"expected numbers in 0..4, got ",
        ),
    ],
)
def test_unsuitable_settings_and_inputs_are_refused(use, message):
    with pytest.raises(ValueError, match=message):
        use()


def test_other_kinds_of_numbers_are_refused():
    with pytest.raises(TypeError, match="expected integers for the places"):
        F.rotary_embedding(mx.zeros((2, 1, 4)), mx.array([0.5]))
    with pytest.raises(TypeError, match="expected real numbers"):
        F.rotary_embedding(mx.zeros((2, 1, 4), dtype=mx.int32))


def test_titles_name_what_is_not_as_usual():
    assert mf.PositionEmbedding(5, 4).title() == "PositionEmbedding(5, 4)"
    assert mf.SinePositionEncoding().title() == "SinePositionEncoding()"
    assert mf.SinePositionEncoding(50).title() == "SinePositionEncoding(50)"
    assert mf.RotaryEmbedding(50, interleaved=True).title() == "RotaryEmbedding(base=50, interleaved)"
