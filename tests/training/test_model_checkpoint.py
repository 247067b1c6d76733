"""Models saved during a training."""

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


def test_a_model_is_saved_after_every_epoch_under_its_own_name(tmp_path):
    play = Play([3.0, 1.0, 2.0])
    fit(play, mf.ModelCheckpoint(tmp_path / "deep" / "m-{epoch:02d}-{val_loss:.1f}.model"), epochs=3)
    names = sorted(path.name for path in (tmp_path / "deep").iterdir())
    assert names == ["m-01-3.0.model", "m-02-1.0.model", "m-03-2.0.model"]
    for name, weights in zip(names, play.weights):
        assert np.array_equal(np.array(mf.load(tmp_path / "deep" / name).weight.value), weights)


@pytest.mark.parametrize("threshold, best", [(None, 1), (0.5, None)])
def test_only_the_best_model_is_kept(tmp_path, threshold, best):
    play, path = Play([3, 1, 2]), tmp_path / "best.weights"
    saving = mf.ModelCheckpoint(path, save_best_only=True, save_weights_only=True, initial_value_threshold=threshold)
    fit(play, saving, epochs=3)
    if best is None:
        assert not path.exists()
        return
    model = mf.Linear(3, 2)
    model.load_weights(path)
    assert np.array_equal(np.array(model.weight.value), play.weights[best])


def test_a_model_can_be_saved_every_few_batches(tmp_path):
    fit(mf.ModelCheckpoint(tmp_path / "{epoch}-{batch}.model", save_freq=3), epochs=2)  # 4 batches in an epoch
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-3.model", "2-2.model"]


@pytest.mark.parametrize("options, names", [({}, "epoch, loss, val_loss"), ({"save_freq": 1}, "epoch, loss, batch")])
def test_a_file_name_with_an_unknown_number_lists_the_known_ones_before_training(tmp_path, options, names):
    model = mf.Linear(3, 2)
    before = np.array(model.weight.value)
    with pytest.raises(ValueError, match=rf"ModelCheckpoint: .* names 'acc'; known: {names}$"):
        fit(mf.ModelCheckpoint(tmp_path / "{acc}.model", **options), model=model)
    assert np.array_equal(np.array(model.weight.value), before)
    with pytest.raises(ValueError, match=r"ModelCheckpoint: expected save_freq='epoch' or"):
        mf.ModelCheckpoint("a", save_freq=0)


def test_a_model_that_cannot_be_saved_is_refused_before_training(tmp_path):
    class Unknown(mf.Linear):
        pass

    model = Unknown(3, 2)
    before = np.array(model.weight.value)
    with pytest.raises(TypeError, match=r"could not find the class Unknown; put @mf.register above it"):
        fit(mf.ModelCheckpoint(tmp_path / "a.model"), model=model)
    assert np.array_equal(np.array(model.weight.value), before)
    fit(mf.ModelCheckpoint(tmp_path / "a.weights", save_weights_only=True), model=model)
    assert (tmp_path / "a.weights").exists()
