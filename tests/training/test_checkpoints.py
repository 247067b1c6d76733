"""Resuming: after any kind of end, the same weights bit for bit; and no checkpoint is ever unreadable."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf
from miniframe.training.checkpoints import Snapshot

X, Y = normal(60, 3).astype(np.float32), normal(60, 2, seed=1).astype(np.float32)


def make(optimizer=lambda model: mf.Adam(model, 0.01)):
    """A model with random numbers in every step, running statistics, and an optimizer with a state."""
    mf.seed(5)
    model = mf.Sequential(mf.Linear(3, 16), mf.BatchNorm(16), mf.ReLU(), mf.Dropout(0.3), mf.Linear(16, 2))
    return model, optimizer(model)


def fit(model, optimizer, epochs, **options):
    options = {"validation_split": 0.2, "callbacks": callbacks(), "compile": False, **options}
    return model.fit(X, Y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=16, verbose=0, **options)


def callbacks():
    return [mf.EarlyStopping(patience=100), mf.ReduceLROnPlateau(patience=1, factor=0.9)]


def weights(model):
    return {name: np.array(cell.value) for name, cell in (*model.named_parameters(), *model.named_buffers())}


def same(one, other):
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one), "weights differ"


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda model: mf.Adam(model, 0.01, amsgrad=True),
        lambda model: mf.SGD(model, 0.05, momentum=0.9, decay=0.01, accumulate=3),
        lambda model: mf.RMSprop([{"params": model[0], "lr": 0.02}, {"params": model[4]}], 0.01, momentum=0.5),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_resumed_training_equals_one_that_never_stopped(tmp_path, optimizer, compiled):
    whole, whole_optimizer = make(optimizer)
    expected = fit(whole, whole_optimizer, 6, seed=1, compile=compiled)
    fit(*make(optimizer), 4, seed=1, compile=compiled, checkpoint=tmp_path)
    mf.seed(99)
    model, resumed = make(optimizer)
    history = fit(model, resumed, 6, compile=compiled, checkpoint=tmp_path, resume=True)
    same(weights(model), weights(whole))
    assert history.history == expected.history and history.epoch == expected.epoch == list(range(6))
    assert resumed.iterations == whole_optimizer.iterations and resumed.lr == whole_optimizer.lr


def test_a_training_can_stop_and_resume_after_every_epoch(tmp_path):
    whole, optimizer = make()
    expected = fit(whole, optimizer, 5, seed=1)
    for epochs in range(1, 6):
        model, optimizer = make()
        history = fit(model, optimizer, epochs, seed=1, checkpoint=tmp_path, resume=True)
    same(weights(model), weights(whole))
    assert history.history == expected.history


def test_resuming_a_finished_training_gives_its_result(tmp_path):
    model, optimizer = make()
    first = fit(model, optimizer, 3, checkpoint=tmp_path)
    again, optimizer = make()
    history = fit(again, optimizer, 3, checkpoint=tmp_path, resume=True)
    same(weights(again), weights(model))
    assert history.history == first.history


def test_a_training_that_stopped_early_stays_stopped(tmp_path):
    def stop():
        return [mf.EarlyStopping(patience=0)]

    model, optimizer = make(lambda model: mf.SGD(model, 1.0))
    first = fit(model, optimizer, 50, seed=1, checkpoint=tmp_path, callbacks=stop())
    assert len(first.epoch) < 50
    again, optimizer = make(lambda model: mf.SGD(model, 1.0))
    history = fit(again, optimizer, 50, checkpoint=tmp_path, resume=True, callbacks=stop())
    assert history.epoch == first.epoch
    same(weights(again), weights(model))


def test_the_csv_log_has_no_epoch_twice_after_a_crash(tmp_path):
    class Crash(mf.Callback):
        keeps = ()

        def __init__(self, at):
            self.at = at

        def on_epoch_end(self, epoch, logs=None):
            if epoch == self.at:
                raise RuntimeError("crash")

    path = tmp_path / "log.csv"
    model, optimizer = make()
    with pytest.raises(RuntimeError, match="crash"):  # after the line, before the checkpoint
        fit(model, optimizer, 4, checkpoint=tmp_path / "run", callbacks=[mf.CSVLogger(path), Crash(2)])
    assert len(path.read_text().splitlines()) == 1 + 3
    model, optimizer = make()
    fit(model, optimizer, 4, checkpoint=tmp_path / "run", resume=True, callbacks=[mf.CSVLogger(path), Crash(None)])
    assert [line.split(",")[0] for line in path.read_text().splitlines()] == ["epoch", "0", "1", "2", "3"]


def test_callbacks_of_ones_own_are_kept(tmp_path):
    class Collect(mf.Callback):
        def __init__(self):
            self.seen, self.norms, self.handle = [], {}, open(os.devnull)

        def on_epoch_end(self, epoch, logs=None):
            self.seen.append((epoch, mx.array(logs["loss"])))
            self.norms[epoch] = np.float32(logs["loss"])

    first, second = Collect(), Collect()
    fit(*make(), 2, seed=1, checkpoint=tmp_path, callbacks=[first])
    fit(*make(), 3, checkpoint=tmp_path, resume=True, callbacks=[second])
    assert [epoch for epoch, _ in second.seen] == [0, 1, 2] == list(second.norms)
    assert second.seen[0][1].item() == first.seen[0][1].item()


def test_only_the_last_checkpoints_stay(tmp_path):
    fit(*make(), 12, checkpoint=tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "epoch-000011.safetensors",
        "epoch-000012.safetensors",
    ]


def test_the_weights_of_a_checkpoint_can_be_read(tmp_path):
    model, optimizer = make()
    fit(model, optimizer, 1, checkpoint=tmp_path, callbacks=())
    snapshot = mf.load(tmp_path / "epoch-000001.safetensors")
    assert isinstance(snapshot, Snapshot) and snapshot.epoch == 0
    same({name: np.array(value) for name, value in snapshot.weights.items()}, weights(model))


def test_a_checkpoint_never_holds_weights_that_are_not_finite(tmp_path):
    model = mf.Linear(3, 2)
    optimizer = mf.SGD(model, lr=3e38)  # the one step of the first epoch overflows, after a loss that is finite
    with pytest.raises(mf.NonFiniteError, match="epoch 1"):
        model.fit(100 * X, Y, loss="mse", optimizer=optimizer, batch_size=60, epochs=2, verbose=0, compile=False,
                  checkpoint=tmp_path)  # fmt: skip
    assert not list(tmp_path.iterdir())


def change(what, tmp_path):
    model, optimizer = make()
    options = {"checkpoint": tmp_path, "resume": True}
    if what == "no resume":
        options["resume"] = False
    elif what == "no folder":
        options["checkpoint"] = None
    elif what == "keep":
        options["keep"] = 0
    elif what == "seed":
        options["seed"] = 2
    elif what == "callbacks":
        options["callbacks"] = []
    elif what == "optimizer":
        optimizer = mf.SGD(model, 0.1)
    elif what == "model":
        mf.seed(1)
        model = mf.Sequential(mf.Linear(3, 16), mf.LayerNorm(16), mf.ReLU(), mf.Linear(16, 2))
        optimizer = mf.Adam(model, 0.01)
    elif what == "damaged":
        path = tmp_path / "epoch-000001.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
    return model, optimizer, options


@pytest.mark.parametrize(
    "what, message",
    [
        ("no resume", r"fit: .* already holds checkpoints; resume=True goes on from the last one"),
        ("no folder", r"fit: resume=True needs the folder of the checkpoints"),
        ("keep", r"fit: expected keep as a whole number of at least 1, got 0"),
        ("seed", r"fit: the checkpoints in .* were made with seed=1, and now it is 2"),
        ("callbacks", r"checkpoint of epoch 1 was made with the callbacks \['EarlyStopping', .*'\], and now .* \[\]"),
        ("optimizer", r"checkpoint of epoch 1 does not fit: the optimizer was Adam and now is SGD"),
        ("model", r"checkpoint of epoch 1 belongs to another model: 4.weight is"),
        ("damaged", r"epoch-000001.safetensors: truncated"),
    ],
)
def test_what_does_not_fit_the_checkpoint_is_refused(tmp_path, what, message):
    fit(*make(), 1, seed=1, checkpoint=tmp_path)
    model, optimizer, options = change(what, tmp_path)
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        fit(model, optimizer, 2, **options)
    same(weights(model), before)


# -------------------------------------------------------------------- killed at any moment

# What every process runs, until it is killed. It says when it saves, and takes its time, so that it does not finish.
SCRIPT = """
import sys, time
import mlx.core as mx
import numpy as np
import miniframe as mf

folder, kind = sys.argv[1:3]
save = mx.save_safetensors


def save_and_say(*args, **options):
    print("saving", flush=True)
    save(*args, **options)


x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
mf.seed(5)
model = mf.Sequential(mf.Linear(3, 32), mf.BatchNorm(32), mf.ReLU(), mf.Dropout(0.3), mf.Linear(32, 2))
EPOCHS, options = 150, {}
if kind == "resumed":
    mx.save_safetensors = save_and_say
    options = {"checkpoint": folder, "resume": True}
slow = mf.LambdaCallback(on_epoch_begin=lambda epoch, logs: time.sleep(0.005 if kind == "resumed" else 0))
history = model.fit(
    x, x[:, :2] ** 2, loss="mse", optimizer=mf.Adam(model, 0.01), epochs=EPOCHS, batch_size=16, seed=3, verbose=0,
    compile=False, callbacks=[mf.EarlyStopping(patience=1000, monitor="loss"), slow], **options
)
assert history.epoch == list(range(EPOCHS)) and len(history.history["loss"]) == EPOCHS
model.save_weights(folder + "/../" + kind)
"""


def start(folder, kind):
    environment = {**os.environ, "PYTHONPATH": str(Path(mf.__file__).parents[1])}
    command = [sys.executable, "-c", SCRIPT, str(folder), kind]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def finish(folder, kind):
    process = start(folder, kind)
    process.communicate(timeout=60)
    assert process.returncode == 0
    return mx.load(str(folder.parent / kind), format="safetensors")


@pytest.mark.parametrize("kills", [8, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random_moments_the_weights_are_those_of_the_whole_training(tmp_path, kills):
    folder, rng = tmp_path / "run", random.Random(0)
    folder.mkdir()
    expected = finish(folder, "whole")
    during_a_save, last, kill = 0, -1, 0
    while kill < kills or (not during_a_save and last < 100):  # until one has met a file that was being written
        kill += 1
        process = start(folder, "resumed")
        for _ in range(rng.randint(1, 3)):
            assert process.stdout.readline() == "saving\n"
        time.sleep(rng.uniform(0, 0.004 if kill % 2 else 0.02))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        during_a_save += any(folder.glob(".epoch-*"))
        epochs = [mf.load(path).epoch for path in folder.glob("epoch-*")]  # an unreadable one would raise
        assert max(epochs, default=-1) >= last, "a checkpoint was lost"
        last = max(epochs, default=-1)
    assert during_a_save > 0 and 0 < last < 149
    resumed = finish(folder, "resumed")
    same(*[{name: np.array(value) for name, value in result.items()} for result in (expected, resumed)])


# -------------------------------------------------------------------- damaged, or of another training


def damage(path, keep=0.7):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_it(tmp_path):
    whole, optimizer = make()
    expected = fit(whole, optimizer, 6, seed=1)
    fit(*make(), 4, seed=1, checkpoint=tmp_path)
    newest, before = (tmp_path / f"epoch-00000{k}.safetensors" for k in (4, 3))
    damage(newest)
    model, optimizer = make()
    with pytest.warns(UserWarning) as caught:
        history = fit(model, optimizer, 6, checkpoint=tmp_path, resume=True)
    (words,) = [str(w.message) for w in caught if "Going on" in str(w.message)]
    assert words.startswith(f"fit: {newest}: truncated") and words.endswith(f"Going on from {before}, after epoch 3")
    same(weights(model), weights(whole))
    assert history.history == expected.history
    model, optimizer = make()
    fit(model, optimizer, 6, checkpoint=tmp_path, resume=True)  # the damaged one was written anew
    same(weights(model), weights(whole))


def test_a_damaged_bit_in_the_numbers_of_a_checkpoint_is_noticed(tmp_path):
    fit(*make(), 2, seed=1, checkpoint=tmp_path)
    newest = tmp_path / "epoch-000002.safetensors"
    data = bytearray(newest.read_bytes())
    data[-5] ^= 4
    newest.write_bytes(data)
    with pytest.warns(UserWarning, match="checksum.* Going on from .*epoch-000001"):
        fit(*make(), 3, checkpoint=tmp_path, resume=True)


def test_a_checkpoint_that_lost_a_part_and_its_checksum_gives_way_to_the_one_before_it(tmp_path):
    fit(*make(), 2, seed=1, checkpoint=tmp_path)
    newest = tmp_path / "epoch-000002.safetensors"
    data = newest.read_bytes()
    assert data.count(b"random") == 1 and data.count(b"crc32") == 1
    newest.write_bytes(data.replace(b"random", b"ran om").replace(b"crc32", b"crc33"))
    with pytest.warns(UserWarning, match="damaged: Snapshot has no 'random'. Going on from .*epoch-000001"):
        fit(*make(), 3, checkpoint=tmp_path, resume=True)


def test_only_when_no_checkpoint_can_be_read_it_is_an_error(tmp_path):
    fit(*make(), 3, checkpoint=tmp_path)
    for path in tmp_path.iterdir():
        damage(path, keep=0.5)
    with pytest.raises(ValueError, match="^fit: none of the checkpoints in .* can be read: .*3.safe.*2.safe.*1.safe"):
        fit(*make(), 4, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize(
    "width, biased, words",
    [
        (17, True, r"0.weight is \(16, 3\) in the checkpoint and \(17, 3\) in this model, 0.bias is .*, and 4 more"),
        (16, False, r"0.bias is \(16,\) in the checkpoint and not there in this model; build the same model"),
    ],
)
def test_resuming_with_another_model_names_the_weights_that_differ(tmp_path, width, biased, words):
    fit(*make(), 1, checkpoint=tmp_path)
    layers = [mf.Linear(3, width, bias=biased), mf.BatchNorm(width), mf.ReLU(), mf.Dropout(0.3), mf.Linear(width, 2)]
    model = mf.Sequential(*layers)
    before = weights(model)
    with pytest.raises(ValueError, match=f"^fit: the checkpoint of epoch 1 belongs to another model: {words}"):
        fit(model, mf.Adam(model, 0.01), 2, checkpoint=tmp_path, resume=True)
    same(weights(model), before)


@pytest.mark.parametrize(
    "other, words",
    [
        (lambda model: mf.SGD(model, 0.01), "the optimizer was Adam and now is SGD"),
        (lambda model: mf.Adam(model, 0.01, amsgrad=True), "the number of state arrays was 15 and now is 21"),
        (
            lambda model: mf.Adam([{"params": model[0]}, {"params": [*model[1].parameters(), *model[4].parameters()]}]),
            "the number of groups was 1 and now is 2",
        ),
        (
            lambda model: mf.Adam(list(model.parameters())[::-1], 0.01),
            r"state array \d+ of Adam was of shape \(16, 3\) and now is of \(2,\)",
        ),
    ],
)
def test_resuming_with_another_optimizer_names_what_differs(tmp_path, other, words):
    fit(*make(), 1, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=f"^fit: the checkpoint of epoch 1 does not fit: {words}; make the optimizer"):
        fit(*make(other), 2, checkpoint=tmp_path, resume=True)
