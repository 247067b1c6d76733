"""The update in place changes what the usual update changes, to the same numbers, and needs no memory for it."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.training import in_place, step
from miniframe.training.in_place import UpdateInPlace

X = np.random.default_rng(0).random((60, 4), dtype=np.float32)
Y = np.random.default_rng(1).random((60, 2), dtype=np.float32)

OPTIMIZERS = {
    "sgd": lambda model: mf.SGD(model, lr=0.1),
    "momentum": lambda model: mf.SGD(model, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": lambda model: mf.Adam(model, lr=0.01, amsgrad=True, weight_decay=0.1),
    "adamw": lambda model: mf.AdamW(model, lr=mf.schedules.cosine(0.01, steps=20), clip_norm=0.05),
    "rmsprop": lambda model: mf.RMSprop(model, centered=True, momentum=0.5, clip_value=0.01),
    "adagrad": lambda model: mf.Adagrad(model, lr=0.1, maximize=True),
    "accumulate": lambda model: mf.Adam(model, lr=0.01, accumulate=3),
    "groups": lambda model: mf.AdamW(
        [{"params": model[0], "lr": 0.1}, {"params": model[-1], "weight_decay": 0.5}], lr=0.01
    ),
}


class Normed(mf.Optimizer):
    """A user's rule in which no number can be looked at by itself: p ← p - lr · g / ‖g‖."""

    def update(self, grad, value, lr, *state):
        return (value - lr * grad / (mx.sqrt(mx.square(grad).sum()) + 1e-3),)


@pytest.fixture(params=["in pieces", "whole"])
def pieces(request, monkeypatch):
    """Arrays are looked at some numbers at a time, or as a whole."""
    if request.param == "in pieces":
        monkeypatch.setattr(in_place, "PIECE", 5)


def network():
    mf.seed(0)
    layers = mf.Linear(4, 8), mf.BatchNorm(8), mf.ReLU(), mf.Dropout(0.1), mf.Linear(8, 2)
    return mf.Sequential(*layers)


def train(model, optimizer, in_place, monkeypatch, **options):
    """Losses, and all that was changed, after three epochs."""
    monkeypatch.setattr(step, "HUGE", 0 if in_place else 2**40)
    settings = {"loss": "mse", "epochs": 3, "batch_size": 16, "verbose": 0, "seed": 0} | options
    history = model.fit(X, Y, optimizer=optimizer, **settings)
    cells = [*model.parameters(), *model.buffers(), *optimizer.cells()]
    return history.history["loss"], [np.array(cell.value) for cell in cells], optimizer.iterations


def assert_same(found, expected):
    assert found[0] == expected[0] and found[2] == expected[2]
    for ours, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_array_equal(ours, other)


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_the_same_steps(name, compile, pieces, monkeypatch):
    runs = []
    for where in (True, False):
        model = network()
        runs.append(train(model, OPTIMIZERS[name](model), where, monkeypatch, compile=compile))
    assert_same(*runs)
    assert len(set(runs[0][0])) == 3, "nothing was learned"


def test_a_users_rule_sees_whole_arrays(pieces, monkeypatch):
    runs = []
    for where in (True, False):
        model = network()
        runs.append(train(model, Normed(model, lr=0.1), where, monkeypatch))
    assert_same(*runs)


def test_settings_that_change_between_epochs_are_noticed(monkeypatch):
    class Change(mf.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.optimizer.momentum, self.optimizer.weight_decay = 0.5, 0.2
            self.model[0].bias.trainable = epoch == 1

    runs = []
    for where in (True, False):
        model = network()
        optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
        runs.append(train(model, optimizer, where, monkeypatch, callbacks=[Change()]))
    assert_same(*runs)


def test_parts_of_a_batch_on_several_cores_end_in_the_same_update(monkeypatch):
    monkeypatch.setenv("MINIFRAME_CORES", "2")
    x, y = np.random.default_rng(0).random((32, 8, 8, 1), dtype=np.float32), np.arange(32) % 3
    runs = []
    for where in (True, False):
        monkeypatch.setattr(step, "HUGE", 0 if where else 2**40)
        mf.seed(0)
        model = mf.Sequential(mf.Conv2d(1, 4, 3), mf.ReLU(), mf.Flatten(), mf.Linear(144, 3))
        optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
        history = model.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=32, verbose=0)
        runs.append((history.history["loss"], [np.array(p.value) for p in model.parameters()], optimizer.iterations))
    assert_same(*runs)


def update(optimizer, grad):
    """An update in place that is ready to be made."""
    for parameter in optimizer.parameters:
        parameter.grad = grad + mx.zeros_like(parameter.value)
    found = UpdateInPlace(optimizer)
    optimizer.advance()
    grads = found.due()
    mx.eval(grads)
    optimizer.zero_grad()
    found.look(mx.array(0.0), grads)
    assert not found.failed
    mx.synchronize()
    return found


@pytest.mark.parametrize("rule", ["momentum", "adamw"])
def test_it_takes_place_in_the_memory_of_the_old_values(rule):
    model = mf.Sequential(mf.Linear(1000, 1000), mf.Linear(1000, 1000))
    optimizer = {"momentum": lambda m: mf.SGD(m, lr=0.1, momentum=0.9), "adamw": mf.AdamW}[rule](model)
    mx.eval([cell.value for cell in optimizer.cells()])
    ready = update(optimizer, 0.1)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    ready.make()
    mx.synchronize()
    assert mx.get_peak_memory() - before < 0.1 * 4e6  # of the 4 MB of one matrix


def test_looking_first_needs_the_memory_of_a_piece():
    model = mf.Linear(4000, 1000)
    optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
    grads = [mx.ones(p.shape) for p in model.parameters()]
    for parameter, grad in zip(model.parameters(), grads):
        parameter.grad = grad
    ready = UpdateInPlace(optimizer)
    ready.due()
    mx.eval(grads, [cell.value for cell in optimizer.cells()])
    mx.synchronize()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    ready.look(mx.array(0.0), grads)
    assert not ready.failed
    assert mx.get_peak_memory() - before < 1.6 * 4 * in_place.PIECE < 16e6


def test_values_that_somebody_holds_stay_as_they_are(monkeypatch):
    model = network()
    held = [p.value for p in model.parameters()]
    view = np.array(model[0].weight.value, copy=False)
    copies = [np.array(value) for value in held]
    train(model, mf.SGD(model, lr=0.1, momentum=0.9), True, monkeypatch)
    for value, copy, parameter in zip(held, copies, model.parameters()):
        np.testing.assert_array_equal(np.array(value), copy)
        assert not np.array_equal(np.array(parameter.value), copy)
    np.testing.assert_array_equal(view, copies[0])


def test_parameters_that_share_their_first_values_do_not_share_the_next(monkeypatch):
    runs = []
    for where in (True, False):
        mf.seed(0)
        start = mx.eye(4)
        model = mf.Sequential(mf.Linear(4, 4), mf.Tanh(), mf.Linear(4, 4), mf.Linear(4, 2))
        model[0].weight.value = model[2].weight.value = start
        runs.append(train(model, mf.SGD(model, lr=0.1), where, monkeypatch))
        np.testing.assert_array_equal(np.array(start), np.eye(4))
    assert_same(*runs)


@pytest.mark.parametrize("compile", [True, False])
def test_an_overflow_in_a_later_parameter_leaves_the_earlier_ones(compile, pieces, monkeypatch):
    monkeypatch.setattr(step, "HUGE", 0)
    model = mf.Sequential(mf.Linear(4, 3), mf.Linear(3, 2))
    optimizer = mf.SGD([{"params": model[0], "lr": 0.1}, {"params": model[1], "lr": 3e38}], lr=0.1, momentum=0.9)
    cells = [cell for place in range(4) for cell in optimizer.cells_of(place)]
    before = [np.array(cell.value) for cell in cells]
    with pytest.raises(mf.NonFiniteError, match="a weight became NaN or infinite in epoch 1, batch 1: .*overflowed"):
        model.fit(X, Y + 1e3, loss="mse", optimizer=optimizer, batch_size=60, verbose=0, compile=compile)
    for old, cell in zip(before, cells, strict=True):
        np.testing.assert_array_equal(old, np.array(cell.value))
    assert optimizer.iterations == 0
    history = model.fit(X, Y, loss="mse", optimizer=mf.SGD(model, lr=0.1), batch_size=60, verbose=0, compile=compile)
    assert np.isfinite(history.history["loss"]).all()


def test_a_loss_that_is_not_finite_moves_nothing(monkeypatch):
    monkeypatch.setattr(step, "HUGE", 0)
    model = network()
    x = X.copy()
    x[20] = np.nan
    before = [np.array(p.value) for p in model.parameters()]
    with pytest.raises(ValueError, match="NaN"):
        model.fit(x, Y, loss="mse", optimizer=mf.SGD(model, lr=0.1), verbose=0)
    with pytest.raises(mf.NonFiniteError, match="loss became nan in epoch 1, batch 1: the batch itself contains NaN"):
        model.fit([(x, Y)], loss="mse", optimizer=mf.SGD(model, lr=0.1), verbose=0)
    for old, parameter in zip(before, model.parameters()):
        np.testing.assert_array_equal(old, np.array(parameter.value))


def test_an_interrupt_does_not_leave_half_of_the_parameters_changed(monkeypatch):
    model = mf.Sequential(mf.Linear(4, 3), mf.Linear(3, 2))
    before = [np.array(p.value) for p in model.parameters()]
    ready, evaluate = update(mf.SGD(model, lr=1.0), 0.5), mx.eval
    calls = []

    def interrupted(array):
        calls.append(array)
        evaluate(array)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(mx, "eval", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ready.make()
    monkeypatch.undo()
    for old, parameter in zip(before, model.parameters(), strict=True):
        np.testing.assert_allclose(np.array(parameter.value), old - 0.5, rtol=1e-6)
    assert ready.waiting == []


def test_a_profile_after_a_training_takes_the_same_steps(monkeypatch):
    runs = []
    for where in (True, False):
        model = network()
        optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
        train(model, optimizer, where, monkeypatch)
        with mf.profile():
            runs.append(train(model, optimizer, where, monkeypatch))
    assert_same(*runs)


def test_a_failed_step_is_not_remembered_once_the_model_is_small_again(monkeypatch):
    monkeypatch.setattr(step, "HUGE", 0)
    model = mf.Sequential(mf.Linear(4, 2))
    optimizer, loss = mf.SGD(model, lr=0.1), mf.MSELoss()
    taken = step.Step(model, loss, optimizer)
    taken(mx.array(X), mx.array(Y) * float("nan"))
    assert taken.failed and optimizer.iterations == 1
    monkeypatch.setattr(step, "HUGE", 2**40)
    taken.renew()
    before = np.array(model[0].weight.value)
    taken(mx.array(X), mx.array(Y))
    assert not taken.failed and not np.array_equal(np.array(model[0].weight.value), before)
