"""A profile: its parts sum to the whole, it names the layers, and leaves everything as it was."""

import subprocess
import sys
import time

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.insight.stopwatch import REST, Profile
from miniframe.training.step import Step

X = mx.array(np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32))
Y = mx.array(np.random.default_rng(1).normal(size=(64, 2)).astype(np.float32))


def model():
    mf.seed(0)
    return mf.Sequential({"first": mf.Linear(4, 8), "act": mf.Tanh(), "last": mf.Linear(8, 2)})


def fit(net, **options):
    options = {"epochs": 2, "batch_size": 16, "seed": 0, "verbose": 0, **options}
    return net.fit(X, Y, loss="mse", optimizer=mf.SGD(net, lr=0.1, momentum=0.9), **options)


def test_the_parts_sum_to_the_whole_as_measured_from_outside():
    began = time.perf_counter()
    with mf.profile(show=False) as found:
        fit(model())
    outside = time.perf_counter() - began
    assert found.total == pytest.approx(found.whole, rel=0.001)
    assert found.whole == pytest.approx(outside, rel=0.05)


def test_every_layer_the_loss_and_the_rest_have_a_row():
    with mf.profile(show=False) as found:
        fit(model(), validation_split=0.25)
    assert found.steps == 2 * 3
    layers = {"first", "act", "last", "loss"}
    assert layers <= set(found.forward) and layers <= set(found.backward)
    assert all(found.forward[name] > 0 and found.backward[name] > 0 for name in layers)
    assert tuple(found.rest) == REST and all(seconds > 0 for seconds in found.rest.values())
    lines = str(found).splitlines()
    assert lines[0].startswith("6 training steps in ") and "Linear(4 -> 8)" in str(found)
    assert [line.split()[0] for line in lines[4:8]] == ["first", "act", "last", "loss"]
    assert "100.0%" in lines[-3] and "<table>" in found._repr_html_()


def test_what_takes_long_is_where_the_time_goes():
    class Slow(mf.Module):
        def forward(self, x):
            time.sleep(0.01)
            self.saved = ()
            return x * 1

        def backward(self, grad_output):
            return grad_output

    def batches():
        for k in range(0, 64, 16):
            time.sleep(0.02)
            yield X[k : k + 16], Y[k : k + 16]

    net = mf.Sequential(Slow(), mf.Linear(4, 2))
    with mf.profile(show=False) as found:
        net.fit(batches, loss="mse", optimizer="sgd", verbose=0)
    assert found.rest["Python"] > 4 * 0.01  # a layer's own Python is Python
    assert found.rest["data"] > 0.02  # read ahead on a thread, so not all of it is waited for


def test_training_comes_out_the_same_and_nothing_stays_behind():
    plain, seen = model(), model()
    expected = fit(plain).history["loss"]
    start = Step._start
    with mf.profile(show=False):
        found = fit(seen).history["loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert Step._start is start
    for module in seen.modules():
        assert not {"forward", "backward"} & set(vars(module))
    np.testing.assert_allclose(np.array(seen.predict(X)), np.array(plain.predict(X)), rtol=1e-4, atol=1e-5)


def test_models_that_compose_and_steps_in_parts():
    net = mf.models.gpt(11, 8, 16, 2, 1)
    tokens = mx.array(np.random.default_rng(0).integers(0, 11, size=(8, 8)))
    with mf.profile(show=False) as found:
        net.fit(tokens, tokens, loss="cross_entropy", optimizer="adam", batch_size=4, verbose=0)
    assert "blocks.0.mlp.up" in found.forward and "operations between layers" in found.backward
    images = mx.array(np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype(np.float32))
    conv = mf.Sequential(mf.Conv2d(1, 4, 3), mf.ReLU(), mf.Flatten(), mf.Linear(144, 2))
    with mf.profile(show=False) as found:
        conv.fit(images, Y, loss="mse", optimizer="sgd", batch_size=64, verbose=0)
    assert found.steps == 1 and found.forward["0"] > 0


def test_a_loop_by_hand_names_what_it_uses():
    net, loss = model(), mf.MSELoss()
    optimizer = mf.SGD(net, lr=0.1)
    with mf.profile(net, loss, optimizer, show=False) as found:
        for xb, yb in mf.batches(X, Y, batch_size=16):
            mf.train_step(net, loss, optimizer, xb, yb)
    assert found.steps == 4 and found.forward["first"] > 0 and found.backward["loss"] > 0 and found.rest["update"] > 0
    assert not {"forward", "backward", "apply", "gradient"} & {*vars(net), *vars(loss), *vars(optimizer)}


def test_an_error_inside_passes_and_everything_is_put_back():
    start = Step._start
    with pytest.raises(ZeroDivisionError), mf.profile(show=False) as found:
        fit(model(), callbacks=mf.LambdaCallback(on_epoch_end=lambda *args: 1 / 0))
    assert Step._start is start and isinstance(found, Profile) and found.whole > 0


def test_the_command_runs_a_script_with_its_arguments(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, mlx.core as mx, miniframe as mf\n"
        "assert __name__ == '__main__'\n"
        "print('arguments', sys.argv[1:])\n"
        "model = mf.Linear(2, 1)\n"
        "model.fit(mx.ones((8, 2)), mx.ones((8, 1)), loss='mse', optimizer='sgd', batch_size=4, verbose=0)\n"
    )
    command = [sys.executable, "-m", "miniframe", "profile"]
    done = subprocess.run([*command, str(script), "--fast", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "arguments ['--fast', '3']" in done.stdout and "2 training steps in" in done.stdout
    done = subprocess.run([*command, str(tmp_path / "none.py")], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("miniframe profile: there is no file")
