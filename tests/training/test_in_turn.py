"""Backward in turn: less is in memory at a time, nothing else changes, and the layers are afterwards as they were."""

from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.training import step
from miniframe.training.in_turn import LARGE, in_turn
from miniframe.training.step import Step

on_cpu = pytest.mark.skipif(
    mx.default_device() != mx.cpu, reason="what is measured is the memory of MLX's CPU back end"
)


def deep(layers=24, width=256):
    mf.seed(0)
    inner = [layer for _ in range(layers) for layer in (mf.Linear(width, width), mf.ReLU())]
    return mf.Sequential(*inner, mf.Linear(width, 2)), mx.random.normal((2048, width))


def convolutions(layers=8):
    mf.seed(0)
    inner = [layer for _ in range(layers) for layer in (mf.Conv2d(32, 32, 3, padding=1), mf.ReLU())]
    model = mf.Sequential(mf.Conv2d(3, 32, 3, padding=1), *inner, mf.GlobalAvgPool2d(), mf.Linear(32, 2))
    return model, mx.random.normal((4, 64, 64, 3))


def heaped(model):
    """What is there without in_turn."""
    return nullcontext()


def after_one_step(make, turn, monkeypatch):
    """The model after two steps, and the most that MLX held in the second, in bytes more than before it."""
    monkeypatch.setattr(step, "in_turn", turn)
    model, x = make()
    y = mx.random.randint(0, 2, model(x).shape[:-1], key=mx.random.key(1))
    one = Step(model, mf.CrossEntropyLoss(), mf.Adam(model, lr=0.01, clip_norm=1.0))
    for _ in range(2):
        mx.synchronize()
        mx.reset_peak_memory()
        before = mx.get_active_memory()
        one(x, y)
        mx.eval([cell.value for cell in model.parameters()])
    mx.synchronize()
    return model, mx.get_peak_memory() - before


@on_cpu
@pytest.mark.parametrize("make", [deep, convolutions])
def test_a_step_holds_less_at_a_time_and_learns_the_same_bit_for_bit(make, monkeypatch):
    heap, most = after_one_step(make, heaped, monkeypatch)
    turn, less = after_one_step(make, in_turn, monkeypatch)
    assert less < 0.8 * most, (less, most)
    for (name, a), (_, b) in zip(heap.named_parameters(), turn.named_parameters()):
        np.testing.assert_array_equal(np.array(a.value), np.array(b.value), err_msg=name)


@on_cpu
def test_each_layer_adds_to_a_step_no_more_than_what_it_keeps(monkeypatch):
    few, many = (after_one_step(lambda n=n: deep(n), in_turn, monkeypatch)[1] for n in (12, 36))
    kept, weights = 2048 * 256 * 4, 256 * 257 * 4  # its output, and five arrays of its weights' size
    assert (many - few) / 24 < 1.05 * kept + 5 * weights


@on_cpu
def test_a_convolutions_padded_copy_is_not_kept_beside_its_input(monkeypatch):
    few, many = (after_one_step(lambda n=n: convolutions(n), in_turn, monkeypatch)[1] for n in (4, 12))
    assert (many - few) / 8 < 1.3 * (4 * 64 * 64 * 32 * 4)


@on_cpu
def test_of_a_gelu_only_its_derivative_is_kept_beside_its_output(monkeypatch):
    def gelus(layers):
        mf.seed(0)
        inner = [layer for _ in range(layers) for layer in (mf.Linear(256, 256), mf.GELU())]
        return mf.Sequential(*inner, mf.Linear(256, 2)), mx.random.normal((2048, 256))

    few, many = (after_one_step(lambda n=n: gelus(n), in_turn, monkeypatch)[1] for n in (12, 36))
    kept, weights = 2 * 2048 * 256 * 4, 256 * 257 * 4
    assert (many - few) / 24 < 1.05 * kept + 5 * weights


class Two(mf.Module):
    """Two inputs and two outputs, of which one has no weight."""

    def __init__(self):
        self.scale = mf.Parameter(mx.array([2.0]))

    def forward(self, a, b):
        self.saved = a
        return a * self.scale.value, b

    def backward(self, grads):
        to_a, to_b = grads
        self.scale.accumulate((to_a * self.saved).sum()[None])
        return to_a * self.scale.value, to_b


@pytest.mark.parametrize(
    "make",
    [
        lambda: (mf.models.GPT(9, 16, 8, 2, 1), mx.zeros((64, 16), dtype=mx.int32)),
        lambda: (mf.Sequential(mf.LSTM(4, 8, return_sequences=False), mf.Linear(8, 2)), mx.ones((64, 5, 4))),
        lambda: (mf.Sequential(mf.Residual(mf.Linear(4, 4)), mf.BatchNorm(4), mf.Linear(4, 2)), mx.ones((64, 4))),
    ],
    ids=["gpt", "lstm", "residual"],
)
def test_models_of_all_kinds_learn_the_same_bit_for_bit(make, monkeypatch):
    monkeypatch.setattr("miniframe.training.in_turn.LARGE", 1)

    def made():
        mf.seed(0)
        return make()

    found = [after_one_step(made, turn, monkeypatch)[0] for turn in (heaped, in_turn)]
    for (name, a), (_, b) in zip(*(model.named_parameters() for model in found)):
        np.testing.assert_array_equal(np.array(a.value), np.array(b.value), err_msg=name)


def waits(array, tmp_path):
    mx.export_to_dot(str(tmp_path / "graph.dot"), array)
    return "Depends" in (tmp_path / "graph.dot").read_text()


def test_large_gradients_wait_and_small_ones_do_not(tmp_path):
    layer = mf.Linear(4, 4)
    for samples in (LARGE // 16, LARGE // 16 - 1):
        x = mx.ones((samples, 4))
        with in_turn(layer):
            layer(x)
            dx = layer.backward(x)
        assert waits(dx, tmp_path) is (x.nbytes >= LARGE)


def test_a_frozen_layer_and_one_without_weights_wait_for_nothing(tmp_path):
    model, x = mf.Sequential(mf.Linear(4, 4), mf.ReLU()), mx.ones((LARGE // 16, 4))
    model.freeze()
    with in_turn(model):
        assert "backward" in vars(model[0]) and "backward" not in vars(model[1])
        model(x)
        assert not waits(model.backward(x), tmp_path)


def test_several_inputs_wait_and_none_stays_none(tmp_path):
    layer, x = Two(), mx.ones((LARGE // 4,))
    with in_turn(layer):
        layer(x, x)
        to_a, to_b = layer.backward((x, None))
    assert waits(to_a, tmp_path) and to_b is None
    assert mx.array_equal(to_a, 2 * x) and layer.scale.grad.item() == x.size


def test_a_layer_that_compares_by_value_and_has_no_hash_waits_too(tmp_path):
    @dataclass
    class Scaled(mf.Module):
        name: str = "scale"

        def __post_init__(self):
            self.scale = mf.Parameter(mx.array([2.0]))

        def forward(self, x):
            self.saved = x
            return x * self.scale.value

        def backward(self, grad_output):
            self.scale.accumulate((grad_output * self.saved).sum()[None])
            return grad_output * self.scale.value

    layer, x = Scaled(), mx.ones((LARGE // 4,))
    with in_turn(layer):
        layer(x)
        assert waits(layer.backward(x), tmp_path)
    model = mf.Sequential(Scaled(), mf.Linear(3, 1))
    history = model.fit(mx.ones((8, 3)), mx.zeros((8, 1)), loss="mse", optimizer=mf.SGD(model, lr=0.01), verbose=0)
    assert history["loss"][-1] > 0


def test_afterwards_the_layers_are_as_they_were_also_after_an_error_and_inside_of_another(monkeypatch):
    def own(grad_output):
        return grad_output

    layer = mf.Linear(2, 2)
    model = mf.Sequential(layer, mf.Residual(layer), mf.Linear(2, 2), mf.GELU())
    vars(model[2])["backward"] = own
    before = {module: dict(vars(module)) for module in model.modules()}
    with in_turn(model), in_turn(model[0]):
        assert "backward" in vars(layer) and "forward" in vars(model[3])
    with pytest.raises(ZeroDivisionError), in_turn(model):
        raise ZeroDivisionError
    assert {module: dict(vars(module)) for module in model.modules()} == before
    assert model[2].backward is own


def test_two_threads_that_share_a_layer_leave_nothing_behind_in_whatever_order_they_end():
    layer = mf.Linear(2, 2)
    before = dict(vars(layer))
    first, second = in_turn(layer), in_turn(mf.Sequential(layer))
    for one, other in ((first, second), (in_turn(layer), in_turn(layer))):
        one.__enter__()
        other.__enter__()
        one.__exit__(None, None, None)
        assert vars(layer) == before
        other.__exit__(None, None, None)
        assert vars(layer) == before


def test_a_copy_made_meanwhile_is_the_copys_own():
    model, x = mf.Sequential(mf.Linear(2, 2), mf.GELU()), mx.ones((3, 2))
    with in_turn(model):
        other = deepcopy(model)
    other(x)
    other.backward(x)
    assert other[0].weight.grad is not None and model[0].weight.grad is None


def test_a_users_code_in_a_step_that_is_not_compiled_may_copy_and_save_the_model(tmp_path):
    def hook(grad):
        copies.append(deepcopy(model))
        model[0].save(tmp_path / "layer.safetensors")

    copies: list[mf.Module] = []
    model = mf.Sequential(mf.Linear(2, 2), mf.Tanh(), mf.Linear(2, 1))
    model.insert(1, mf.Tap(backward=hook))
    x, y = mx.ones((4, 2)), mx.zeros((4, 1))
    model.fit(x, y, loss="mse", optimizer=mf.SGD(model, lr=0.1), verbose=0, compile=False)
    assert "backward" not in vars(copies[0][0])
