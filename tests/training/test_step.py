"""The training step, by hand, eager and compiled."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.training.step import Step

X = mx.array(np.random.default_rng(0).random((20, 2), dtype=np.float32))
Y = mx.array(np.random.default_rng(1).random((20, 1), dtype=np.float32))


def build():
    mf.seed(0)
    model = mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 1))
    return model, mf.MSELoss(), mf.SGD(model, lr=0.1, momentum=0.9)


def weights(model):
    return np.concatenate([np.array(p.value).ravel() for p in model.parameters()])


def test_the_compiled_step_handles_batches_of_several_sizes():
    model, loss, optimizer = build()
    twin, twin_loss, twin_optimizer = build()
    step = Step(model, loss, optimizer)
    for size in (20, 7, 20, 1):
        step(X[:size], Y[:size])
        mf.train_step(twin, twin_loss, twin_optimizer, X[:size], Y[:size])
    np.testing.assert_allclose(weights(model), weights(twin), atol=1e-6)


def test_after_a_compiled_step_the_model_can_be_used_by_hand():
    model, loss, optimizer = build()
    Step(model, loss, optimizer)(X, Y)
    assert all(p.grad is None for p in model.parameters())
    linked = mf.MSELoss(model)
    linked(model(X), Y)
    linked.backward()
    grads = [p.grad for p in model.parameters()]
    twin, twin_loss, twin_optimizer = build()
    mf.train_step(twin, twin_loss, twin_optimizer, X, Y)
    twin.zero_grad()
    twin_loss(twin(X), Y)
    twin.backward(twin_loss.gradient())
    for grad, parameter in zip(grads, twin.parameters(), strict=True):
        np.testing.assert_allclose(np.array(grad), np.array(parameter.grad), atol=1e-6)


def test_buffers_changed_in_forward_are_carried_through_the_compiled_step():
    class Count(mf.Identity):
        def __init__(self):
            self.calls = mf.Buffer(mx.array(0.0))

        def forward(self, x):
            self.calls.value = self.calls.value + 1
            return super().forward(x)

    model = mf.Sequential(mf.Linear(2, 1), Count())
    step = Step(model, mf.MSELoss(), mf.SGD(model, lr=0.1))
    for _ in range(4):
        step(X, Y)
    assert model[1].calls.value.item() == 4


def test_a_frozen_layer_stays_as_it_is_in_a_compiled_step():
    model, loss, optimizer = build()
    model[0].freeze()
    before = np.array(model[0].weight.value), np.array(model[2].weight.value)
    step = Step(model, loss, optimizer)
    step(X, Y)
    step(X, Y)
    assert np.array_equal(before[0], np.array(model[0].weight.value))
    assert not np.array_equal(before[1], np.array(model[2].weight.value))


def test_memory_does_not_grow_over_many_steps():
    model, loss, optimizer = build()
    step = Step(model, loss, optimizer)
    for _ in range(20):
        step(X, Y)
    mx.synchronize()
    before = mx.get_active_memory()
    for _ in range(500):
        step(X, Y)
    mx.synchronize()
    assert mx.get_active_memory() <= before + 4096


def test_a_step_that_fails_leaves_cells_and_count_as_they_were():
    class Fails(mf.Identity):
        def backward(self, grad_output):
            if grad_output.shape[0] == 7:
                raise LookupError
            return super().backward(grad_output)

    for compile in (True, False):
        mf.seed(0)
        model = mf.Sequential(mf.Linear(2, 5), Fails(), mf.Linear(5, 1))
        optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
        step = Step(model, mf.MSELoss(), optimizer, compile)
        step(X, Y)
        before = weights(model)
        with pytest.raises(LookupError):
            step(X[:7], Y[:7])
        assert np.array_equal(before, weights(model)) and optimizer.iterations == 1
        step(X, Y)
        assert not np.array_equal(before, weights(model))
