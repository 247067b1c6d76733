"""Using a module without leaving traces."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.cells import EMPTY
from miniframe.core.untouched import evaluating, modes_restored, untouched

X = mx.array(np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32))


def model():
    return mf.Sequential(mf.Linear(3, 4), mf.BatchNorm(4), mf.Dropout(0.5), mf.Linear(4, 2))


def state(model):
    """Everything that a use could change, arrays by identity: they never change themselves."""
    cells = [*model.parameters(), *model.buffers()]
    grads = [(p.grad, p.trainable, p.used_by) for p in model.parameters()]
    modules = [(m.training, m.kept) for m in model.modules()]
    return [cell.value for cell in cells], grads, modules, mf.random.get_state()


def same(one, other):
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one is other or (isinstance(one, (bool, int)) and one == other)


def use(model):
    """Change whatever can be changed."""
    model.backward(model(X))
    optimizer = mf.SGD(model, lr=0.1)
    optimizer.step()
    model[0].freeze()
    model.eval()
    model(X)


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used before"])
def test_everything_is_as_before_even_after_an_error(used):
    m = model()
    if used:
        m.backward(m(X))
    before = state(m)
    with untouched(m):
        use(m)
        assert not same(state(m), before)
    assert same(state(m), before)
    with pytest.raises(RuntimeError, match="in between"), untouched(m):
        use(m)
        raise RuntimeError("in between")
    assert same(state(m), before)
    if used:
        assert m.backward(mx.ones((6, 2))).shape == (6, 3)


def test_several_modules_are_left_alone_together():
    m, loss = model(), mf.MSELoss()
    with untouched(m, loss):
        loss(m(X), mx.zeros((6, 2)))
        m.backward(loss.backward())
    assert loss.kept is EMPTY and m[0].kept is EMPTY and m[0].weight.grad is None


def test_only_modes_are_restored_where_that_is_asked_for():
    m = model()
    m[2].eval()
    before = m[0].weight.value
    with modes_restored(m):
        m.eval()
        m[0].weight.value = before * 2
    assert [layer.training for layer in m.modules()] == [True, True, True, False, True]
    assert mx.array_equal(m[0].weight.value, before * 2)


def test_evaluating_keeps_nothing_for_backward_and_comes_back_to_training():
    m = model()
    with evaluating(m):
        assert not m[2].training and mx.array_equal(m(X), m(X))
    assert all(layer.training for layer in m.modules())
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        m[0].backward(mx.ones((6, 4)))
