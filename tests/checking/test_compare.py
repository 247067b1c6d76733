"""Four witnesses of one gradient, side by side."""

import sys

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe.checking.compare import WITNESSES

X, Y = normal(6, 3), normal(6, 2, seed=1)


def mlp():
    return mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 2))


def graph():
    x = mf.Input((3,))
    h = mf.Linear(3, 3)(x)
    return mf.Graph(x, mf.Linear(3, 2)(h.exp() * 0.1 + x))


@pytest.mark.parametrize("make", [mlp, graph])
def test_all_witnesses_agree(make):
    found = mf.compare_gradients(make(), mf.MSELoss(), X, Y)
    assert found.absent == {} and found.max_error < 1e-7
    for gradients in found.gradients.values():
        assert set(gradients) == set(WITNESSES) and np.abs(gradients["by hand"]).max() > 0


def test_a_convolutional_classifier_has_all_witnesses():
    model = mf.Sequential(mf.Conv2d(2, 3, 3, padding=1), mf.ReLU(), mf.GlobalAvgPool2d(), mf.Linear(3, 4))
    found = mf.compare_gradients(model, "cross_entropy", normal(3, 5, 5, 2), np.array([0, 3, 1]))
    assert found.absent == {} and found.max_error < 1e-6


def language_model(**options):
    mf.seed(1)
    blocks = [mf.TransformerBlock(4, 2, 3, causal=True, **options) for _ in range(2)]
    return mf.Sequential(mf.Embedding(6, 4), mf.PositionEmbedding(5, 4), *blocks, mf.Linear(4, 6, bias=False))


LLAMA = dict(norm="rms", activation="swiglu", rotary=True, bias=False, num_kv_heads=1)


@pytest.mark.parametrize("options", [{}, {"norm_first": False}, LLAMA, {"rotary": mf.RotaryEmbedding(50.0, True)}])
def test_a_transformer_has_all_witnesses(options):
    ids, following = np.array([[1, 5, 0], [2, 2, 3]]), np.array([[5, 0, -1], [2, 3, 4]])
    model = language_model(**options)
    model[4].weight = model[0].weight
    found = mf.compare_gradients(model, mf.CrossEntropyLoss(ignore_index=-1), ids, following)
    assert found.absent == {} and found.gradients["0.weight"]["PyTorch"].any()
    for name in found.gradients:
        if not name.endswith("key.bias") or "rotary" in options:  # else it has no gradient but what rounding leaves
            assert max(found.error(name, witness) for witness in WITNESSES[1:]) < 1e-6, name


def test_layers_for_images_and_slopes_have_all_witnesses():
    model = mf.Sequential(mf.Conv2d(2, 3, 3), mf.InstanceNorm(3, affine=True), mf.PReLU(3), mf.Linear(3, 4))
    y = normal(2, 3, 3, 4, seed=1)
    found = mf.compare_gradients(model, "mse", normal(2, 5, 5, 2), y)
    assert found.absent == {}
    assert all(found.error(name, w) < 1e-6 for name in found.gradients for w in WITNESSES[1:] if name != "0.bias")


def test_waves_and_attention_with_a_mask_have_all_witnesses():
    class Model(mf.Module):
        def __init__(self):
            self.waves, self.attention = mf.SinePositionEncoding(), mf.MultiHeadAttention(4, 2, bias=False)

        def forward(self, x, mask):
            return self.attention(self.waves(x), mask)

    mask = np.array([[True, True, False], [True, False, False]])
    found = mf.compare_gradients(Model(), "mse", (normal(2, 3, 4), mask), normal(2, 3, 4, seed=1))
    assert found.absent == {} and found.max_error < 1e-6


def test_dropped_weights_leave_pytorch_silent():
    found = mf.compare_gradients(mf.MultiHeadAttention(4, 2, dropout=0.5), "mse", normal(2, 3, 4), normal(2, 3, 4))
    assert "ScaledDotProductAttention(dropout=0.5)" in found.absent["PyTorch"]


def test_a_wrong_backward_stands_alone():
    class Wrong(mf.Tanh):
        def backward(self, grad_output):
            return grad_output * (1 - self.saved)

    Wrong.__name__ = "Tanh"  # so that PyTorch's table knows it
    found = mf.compare_gradients(mf.Sequential(mf.Linear(3, 2), Wrong()), mf.MSELoss(), X, Y)
    gradients = found.gradients["0.weight"]
    assert all(found.error("0.weight", witness) > 0.01 for witness in WITNESSES[1:])
    np.testing.assert_allclose(gradients["differences"], gradients["PyTorch"], atol=1e-8)
    np.testing.assert_allclose(gradients["mx.grad"], gradients["PyTorch"], atol=1e-8)


def test_the_table_names_layer_shape_norm_and_differences():
    text = repr(mf.compare_gradients(mlp(), mf.MSELoss(), X, Y))
    assert "by hand, norm" in text and "mx.grad" in text and "PyTorch" in text
    assert "0.weight" in text and "Linear(3 -> 4)" in text and "(4, 3)" in text


def test_a_layer_unknown_to_pytorch_leaves_its_column_empty():
    class Own(mf.Tanh):
        pass

    found = mf.compare_gradients(mf.Sequential(mf.Linear(3, 2), Own()), mf.MSELoss(), X, Y)
    assert "no counterpart for Own()" in found.absent["PyTorch"]
    assert found.error("0.weight", "PyTorch") is None and found.max_error < 1e-7
    assert "PyTorch: no counterpart" in repr(found)


def test_without_pytorch_the_others_still_speak(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    found = mf.compare_gradients(mlp(), mf.MSELoss(), X, Y)
    assert "pip install miniframe[torch]" in found.absent["PyTorch"]
    assert found.error("0.weight", "mx.grad") < 1e-7


def test_the_model_is_left_as_it_was():
    model = mf.Sequential(mf.Linear(3, 8), mf.Dropout(0.5), mf.Linear(8, 2))
    before = [np.array(p.value) for p in model.parameters()]
    found = mf.compare_gradients(model, mf.MSELoss(), X, Y)
    assert found.error("0.weight", "mx.grad") < 1e-7 and "Dropout" in found.absent["PyTorch"]
    for p, value in zip(model.parameters(), before):
        assert p.value.dtype == mx.float32 and np.array_equal(p.value, value) and p.grad is None
