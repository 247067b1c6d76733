"""EarlyStopping and ReduceLROnPlateau: what counts as better, and what follows when nothing is."""

import numpy as np
import pytest
from harness import normal

import miniframe as mf

X, Y = normal(40, 3).astype(np.float32), normal(40, 2, seed=1).astype(np.float32)


class Play(mf.Callback):
    """Writes chosen numbers into the logs, before the callbacks under test see them, and notes the weights."""

    def __init__(self, values, name="val_loss"):
        self.values, self.name, self.weights, self.rates = values, name, [], []

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]
        self.weights.append(np.array(self.model.weight.value))
        self.rates.append(self.optimizer.lr)


def fit(*callbacks, epochs=5, model=None, **options):
    model = mf.Linear(3, 2) if model is None else model
    options = {"optimizer": mf.SGD(model, lr=0.1, momentum=0.9), "loss": "mse", "compile": False, **options}
    history = model.fit(
        X,
        Y,
        epochs=epochs,
        batch_size=10,
        callbacks=callbacks,
        validation_data=(X, Y),
        verbose=0,
        **options,
    )
    return model, history


# -------------------------------------------------------------------- EarlyStopping


def test_training_stops_after_patience_and_the_best_weights_return():
    play, stopping = Play([3, 2, 2.5, 2.4, 2.3, 1]), mf.EarlyStopping(patience=2)
    model, history = fit(play, stopping, epochs=6)
    assert history.epoch == [0, 1, 2, 3] and stopping.stopped_epoch == 3 and stopping.best_epoch == 1
    assert np.array_equal(np.array(model.weight.value), play.weights[1])


def test_the_best_weights_return_at_a_normal_end_too():
    play = Play([3, 1, 2])
    model, _ = fit(play, mf.EarlyStopping(patience=10), epochs=3)
    assert np.array_equal(np.array(model.weight.value), play.weights[1])


def test_the_best_weights_return_after_an_error():
    def fail(epoch, logs):
        if epoch == 3:
            raise RuntimeError("the disk is full")

    play, model = Play([3, 1, 2, 2]), mf.Linear(3, 2)
    with pytest.raises(RuntimeError, match="the disk is full"):
        fit(play, mf.EarlyStopping(patience=10), mf.LambdaCallback(on_epoch_begin=fail), model=model)
    assert np.array_equal(np.array(model.weight.value), play.weights[1])


def test_running_statistics_return_with_the_best_weights():
    model = mf.Sequential(mf.Linear(3, 4), mf.BatchNorm(4), mf.Linear(4, 2))
    means = []
    stop = mf.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            logs.update(val_loss=[2, 1, 3][epoch]),
            means.append([np.array(b.value) for b in model.buffers()]),
        )
    )
    fit(stop, mf.EarlyStopping(patience=9), epochs=3, model=model)
    assert all(np.array_equal(np.array(b.value), old) for b, old in zip(model.buffers(), means[1]))


def test_best_weights_can_be_left_alone():
    play = Play([1, 2, 3])
    model, _ = fit(play, mf.EarlyStopping(patience=10, restore_best_weights=False), epochs=3)
    assert np.array_equal(np.array(model.weight.value), play.weights[-1])


@pytest.mark.parametrize(
    "options, values, epochs",
    [
        ({"patience": 0}, [1, 2, 3], 2),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.8, 2.6], 2),
        ({"patience": 1, "mode": "max"}, [1, 2, 1.5, 3], 3),
        ({"patience": 2, "baseline": 0.5}, [1, 0.9, 0.8, 0.7], 2),
        ({"patience": 1, "start_from_epoch": 2}, [1, 2, 3, 4, 5], 4),
        ({"patience": 2}, [float("nan")] * 5, 2),
    ],
)
def test_what_counts_as_improvement(options, values, epochs):
    play = Play(values + [0.0] * 5)
    _, history = fit(play, mf.EarlyStopping(**options))
    assert len(history.epoch) == epochs


def test_accuracies_are_better_when_larger():
    model = mf.Linear(3, 2)
    play, stopping = Play([0.5, 0.7, 0.6, 0.65], "val_accuracy"), mf.EarlyStopping("val_accuracy", patience=2)
    model.fit(
        X, (X[:, 0] > 0).astype(int), loss="cross_entropy", optimizer=mf.SGD(model, 0.1), epochs=4, verbose=0,
        validation_data=(X, (X[:, 0] > 0).astype(int)), metrics=["accuracy"], callbacks=[play, stopping], compile=False,
    )  # fmt: skip
    assert stopping.best == 0.7 and stopping.best_epoch == 1


def test_a_monitor_that_will_never_come_is_refused_before_training():
    model = mf.Linear(3, 2)
    before = np.array(model.weight.value)
    with pytest.raises(ValueError, match=r"EarlyStopping: monitor='val_acc' is none of loss, val_loss; give fit"):
        fit(mf.EarlyStopping("val_acc"), model=model)
    assert np.array_equal(np.array(model.weight.value), before)
    with pytest.raises(ValueError, match=r"EarlyStopping: expected mode to be one of auto, min, max, got 'low'"):
        mf.EarlyStopping(mode="low")


# -------------------------------------------------------------------- ReduceLROnPlateau


def test_the_learning_rate_falls_on_a_plateau_not_below_its_least():
    play = Play([3, 3, 3, 3, 3, 3, 2, 2, 2])
    fit(mf.LambdaCallback(), play, mf.ReduceLROnPlateau(factor=0.1, patience=2, min_lr=0.005), epochs=9)
    np.testing.assert_allclose(play.rates, [0.1, 0.1, 0.1, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005])


def test_cooldown_waits_before_counting_again():
    play = Play([3] * 8)
    fit(play, mf.ReduceLROnPlateau(factor=0.5, patience=1, cooldown=2), epochs=8)
    np.testing.assert_allclose(play.rates, 0.1 * np.array([1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]))


def test_every_group_is_lowered_by_the_same_factor():
    model = mf.Linear(3, 2)
    optimizer = mf.SGD([{"params": [model.weight], "lr": 0.4}, {"params": [model.bias]}], lr=0.1)
    fit(Play([1, 1, 1]), mf.ReduceLROnPlateau(factor=0.5, patience=2), epochs=3, model=model, optimizer=optimizer)
    assert [group.lr for group in optimizer.groups] == [0.2, 0.05]


def test_a_schedule_and_a_plateau_do_not_go_together():
    model = mf.Linear(3, 2)
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau: the learning rate follows a schedule"):
        fit(mf.ReduceLROnPlateau(), model=model, optimizer=mf.SGD(model, lr=lambda step: 0.1))
    with pytest.raises(ValueError, match=r"ReduceLROnPlateau: expected 0 <= factor < 1, got 1.5"):
        mf.ReduceLROnPlateau(factor=1.5)
