"""The course in six lines."""

import mlx.core as mx
import numpy as np

import miniframe as mf

X = mx.array(np.random.default_rng(0).random((20, 2), dtype=np.float32))
Y = mx.array(np.random.default_rng(1).random((20, 1), dtype=np.float32))


def build():
    mf.seed(0)
    model = mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 1))
    return model, mf.MSELoss(), mf.SGD(model, lr=0.1, momentum=0.9)


def weights(model):
    return np.concatenate([np.array(p.value).ravel() for p in model.parameters()])


def test_train_step_is_the_loop_written_out():
    model, loss, optimizer = build()
    twin, linked, twin_optimizer = build()
    linked = mf.MSELoss(twin)
    for _ in range(3):
        value = mf.train_step(model, loss, optimizer, X, Y)
        expected = linked(twin(X), Y)
        twin.zero_grad()
        linked.backward()
        twin_optimizer.step()
        assert value.item() == expected.item()
    assert np.array_equal(weights(model), weights(twin))
