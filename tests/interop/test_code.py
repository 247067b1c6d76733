"""What is written out as a script does, number for number, what the model does."""

import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
import torch

import miniframe as mf

LANGUAGES = ["numpy", "torch", "mlx"]


class Mixed(mf.Module):
    """Branches, a layer that is used twice, products, and a concatenation."""

    def __init__(self):
        self.twice, self.other, self.out = mf.Linear(4, 4), mf.Linear(4, 4), mf.Linear(8, 3)

    def forward(self, x):
        a = mf.functional.tanh(self.twice(x))
        b = mf.functional.sigmoid(self.other(a)) * self.twice(a) + a
        return self.out(mf.concatenate([a, b * b], axis=1))


def mlp():
    return mf.Sequential(mf.Linear(4, 7), mf.Tanh(), mf.Linear(7, 5, bias=False), mf.LeakyReLU(), mf.Linear(5, 3))


def norms():
    return mf.Sequential(
        mf.Linear(4, 6, bias=False), mf.BatchNorm(6), mf.SiLU(), mf.Linear(6, 6), mf.LayerNorm(6), mf.ReLU(),
        mf.Residual(mf.Sequential(mf.Linear(6, 6), mf.Sigmoid())), mf.Linear(6, 3), mf.Softmax(),
    )  # fmt: skip


def cnn():
    return mf.Sequential(
        mf.Conv2d(2, 3, 3, padding=1, bias=False), mf.BatchNorm(3), mf.ReLU(), mf.MaxPool2d(2),
        mf.Conv2d(3, 4, (2, 3), stride=(1, 2)), mf.Tanh(), mf.AvgPool2d(2, stride=1, padding=1),
        mf.Flatten(), mf.Linear(4 * 2 * 4, 3),
    )  # fmt: skip


def mean_cnn():
    return mf.Sequential(
        mf.Conv2d(2, 4, 3, dilation=2, bias=False), mf.LeakyReLU(0.2), mf.MaxPool2d(3, stride=2, padding=1),
        mf.GlobalAvgPool2d(), mf.Linear(4, 3),
    )  # fmt: skip


POINTS, IMAGES = (6, 4), (5, 8, 9, 2)
CASES = {
    "mlp, mse, momentum": (mlp, POINTS, mf.MSELoss, lambda m: mf.SGD(m, lr=0.1, momentum=0.9)),
    "mlp, l1, nesterov": (mlp, POINTS, mf.L1Loss, lambda m: mf.SGD(m, lr=0.01, momentum=0.5, nesterov=True)),
    "mlp, bce, adam": (mlp, POINTS, mf.BCEWithLogitsLoss, lambda m: mf.Adam(m, lr=0.02, weight_decay=0.1)),
    "mlp, sum": (mlp, POINTS, lambda: mf.MSELoss(reduction="sum"), lambda m: mf.SGD(m, lr=0.01, weight_decay=0.1)),
    "norms, mse, adamw": (norms, POINTS, mf.MSELoss, lambda m: mf.AdamW(m, lr=0.02)),
    "mlp, mse, uphill": (mlp, POINTS, mf.MSELoss, lambda m: mf.SGD(m, lr=0.01, weight_decay=0.1, maximize=True)),
    "branches, cross-entropy": (Mixed, POINTS, mf.CrossEntropyLoss, lambda m: mf.SGD(m, lr=0.2, momentum=0.9)),
    "cnn, cross-entropy": (cnn, IMAGES, mf.CrossEntropyLoss, lambda m: mf.Adam(m, lr=0.01)),
    "cnn, means": (mean_cnn, IMAGES, mf.MSELoss, lambda m: mf.SGD(m, lr=0.1)),
}


def script(code: str) -> dict:
    names = {"__name__": "script"}
    exec(compile(code, "script", "exec"), names)
    return names


def into(language: str, array):
    array = np.array(array)
    return {"numpy": np.array, "torch": torch.tensor, "mlx": mx.array}[language](array)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", CASES)
def test_ten_steps_lose_what_the_model_loses(case, language):
    make, shape, loss, optimizer = CASES[case]
    rng = np.random.default_rng(0)
    x = mx.array(rng.normal(size=shape).astype(np.float32))
    labels = loss is mf.CrossEntropyLoss
    y = mx.array(
        rng.integers(0, 3, shape[0]).astype(np.int32) if labels else rng.random((shape[0], 3)).astype(np.float32)
    )
    mf.seed(0)
    model, criterion = make(), loss()
    model(x)
    rule = optimizer(model)
    code = mf.to_code(model, criterion, rule, language, example=x[:3])  # another batch size than in training
    names = script(code)
    p, state = {name: into(language, array) for name, array in model.state_dict().items()}, {}
    targets = into(language, np.array(y).astype(np.int64) if labels else y)
    theirs = [names["step"](p, state, into(language, x), targets) for _ in range(10)]
    ours = [mf.train_step(model, criterion, rule, x, y) for _ in range(10)]
    assert theirs == pytest.approx([float(value) for value in ours], rel=1e-5)
    for name, array in model.state_dict().items():
        assert np.asarray(p[name]) == pytest.approx(np.array(array), rel=2e-3, abs=2e-4), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_weights_have_the_shapes_and_the_spread_of_the_layers(language):
    model = cnn()
    model(mx.zeros(IMAGES))
    names = script(mf.to_code(model, "mse", mf.SGD(model, lr=0.1), language, example=mx.zeros(IMAGES)))
    p = names["initial"]()
    assert {k: tuple(v.shape) for k, v in p.items()} == {k: tuple(v.shape) for k, v in model.state_dict().items()}
    bound = (3 * 3 * 2) ** -0.5
    weight = np.asarray(p["0.weight"])
    assert 0.8 * bound < np.abs(weight).max() <= bound
    assert np.asarray(p["1.running_var"]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_script_runs_by_itself_and_names_no_miniframe(language, tmp_path):
    model = cnn()
    x = mx.zeros(IMAGES)
    model(x)
    code = mf.to_code(model, "cross_entropy", mf.Adam(model), language, example=x)
    assert "import miniframe" not in code and max(map(len, code.splitlines())) <= 132
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 10 and "nan" not in done.stdout


def test_writing_leaves_the_model_as_it_was():
    model = cnn()
    x = mx.random.normal(IMAGES)
    model(x)
    before = {name: np.array(array) for name, array in model.state_dict().items()}
    mf.to_code(model, "mse", mf.SGD(model, lr=0.1), example=x)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_dropout_is_written_with_its_mask():
    model = mf.Sequential(mf.Linear(4, 50), mf.Dropout(0.5), mf.Linear(50, 3))
    code = mf.to_code(model, "mse", mf.SGD(model, lr=0.1), example=mx.zeros(POINTS))
    assert "h2 = h1 * h2_mask" in code and "dh1 = dh2 * h2_mask" in code
    script(code)["step"](script(code)["initial"](), {}, np.ones(POINTS, np.float32), np.ones((6, 3), np.float32))


def message(*arguments, **options) -> str:
    with pytest.raises(ValueError) as caught:
        mf.to_code(*arguments, **options)
    return str(caught.value)


def test_what_has_no_formula_is_named_all_at_once():
    model = mf.Sequential(mf.Linear(4, 4), mf.Hardswish(), mf.Linear(4, 4), mf.Softplus())
    said = message(model, "mse", mf.SGD(model, lr=0.1), example=mx.zeros(POINTS))
    assert said.startswith(
        "to_code: there is no formula here for layer '1', Hardswish(), layer '3', Softplus(); known: Add, "
    )


def test_options_without_a_formula_are_named():
    model, x = mlp(), mx.zeros(POINTS)
    sgd = mf.SGD(model, lr=0.1)
    grouped = mf.Conv2d(2, 4, 3, groups=2)
    assert "groups > 1" in message(grouped, "mse", mf.SGD(grouped, lr=0.1), example=mx.zeros(IMAGES))
    assert "HuberLoss" in message(model, "huber", sgd, example=x)
    assert "label" in message(model, mf.CrossEntropyLoss(label_smoothing=0.1), sgd, example=x)
    assert "CrossEntropyLoss" in message(model, mf.CrossEntropyLoss(ignore_index=-1), sgd, example=x)
    assert "RMSprop" in message(model, "mse", mf.RMSprop(model), example=x)
    assert "a number as its rate" in message(model, "mse", mf.SGD(model, lr=lambda step: 0.1), example=x)
    assert "no decay or clipping" in message(model, "mse", mf.SGD(model, lr=0.1, clip_norm=1.0), example=x)
    assert "expected a language out of numpy, torch, mlx, got 'jax'" in message(model, "mse", sgd, "jax", example=x)


def tiny_gpt():
    mf.seed(0)
    return mf.models.gpt(vocabulary=11, context=7, embed_dim=8, num_heads=2, num_layers=2)


@pytest.mark.parametrize("language", LANGUAGES)
def test_ten_steps_of_a_gpt_lose_what_the_model_loses(language):
    rng = np.random.default_rng(0)
    x, y = (mx.array(rng.integers(0, 11, (4, 6)).astype(np.int32)) for _ in range(2))
    model = tiny_gpt()
    rule = mf.Adam(model, lr=0.01, eps=1e-4)  # no step of what is rounding: the softmax does not see a key's bias
    criterion = mf.CrossEntropyLoss()
    names = script(mf.to_code(model, criterion, rule, language, example=x[:3]))
    p, state = {name: into(language, array) for name, array in model.state_dict().items()}, {}
    tokens, targets = (into(language, np.array(a).astype(np.int64)) for a in (x, y))
    theirs = [names["step"](p, state, tokens, targets) for _ in range(10)]
    ours = [float(mf.train_step(model, criterion, rule, x, y)) for _ in range(10)]
    assert theirs == pytest.approx(ours, rel=1e-5) and ours[-1] < ours[0] - 0.05
    for name, array in model.state_dict().items():
        assert np.asarray(p[name]) == pytest.approx(np.array(array), rel=2e-3, abs=2e-4), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_gpt_as_a_script_runs_by_itself(language, tmp_path):
    model = tiny_gpt()
    code = mf.to_code(model, "cross_entropy", mf.AdamW(model), language, example=mx.zeros((3, 7), dtype=mx.int32))
    assert "import miniframe" not in code and 'g["tokens.weight"] = g["tokens.weight"] + ' in code  # tied
    names = script(code)
    first = {name: tuple(array.shape) for name, array in names["initial"]().items()}
    assert first == {name: tuple(array.shape) for name, array in model.state_dict().items()}
    assert np.asarray(names["initial"]()["tokens.weight"]).std() == pytest.approx(0.05**0.5, rel=0.3)
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    losses = [float(line.rpartition(" ")[2]) for line in done.stdout.splitlines()]
    assert len(losses) == 10 and abs(losses[0] - np.log(11)) < 0.7 and losses[-1] < losses[0]


RECURRENT = {
    "lstm": lambda: mf.Sequential(mf.LSTM(4, 5, 2), mf.Linear(5, 3)),
    "lstm, the last output, no biases": lambda: mf.Sequential(
        mf.LSTM(4, 5, bias=False, return_sequences=False), mf.Linear(5, 3)
    ),
    "gru": lambda: mf.Sequential(mf.Linear(4, 4), mf.GRU(4, 5), mf.Tanh(), mf.Linear(5, 3)),
    "gru, two layers, the last output": lambda: mf.Sequential(mf.GRU(4, 3, 2, return_sequences=False)),
    "rnn": lambda: mf.Sequential(mf.RNN(4, 5), mf.Linear(5, 3)),
    "rnn, relu, the last output": lambda: mf.Sequential(mf.RNN(4, 3, nonlinearity="relu", return_sequences=False)),
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", RECURRENT)
def test_ten_steps_through_time_lose_what_the_model_loses(name, language):
    rng = np.random.default_rng(0)
    mf.seed(0)
    model = RECURRENT[name]()
    x = mx.array(rng.normal(size=(6, 7, 4)).astype(np.float32))
    y = mx.array(rng.normal(size=model(x).shape).astype(np.float32))
    rule, criterion = mf.SGD(model, lr=0.1, momentum=0.9), mf.MSELoss()
    names = script(mf.to_code(model, criterion, rule, language, example=x[:3]))
    p, state = {n: into(language, array) for n, array in model.state_dict().items()}, {}
    theirs = [names["step"](p, state, into(language, x), into(language, y)) for _ in range(10)]
    ours = [float(mf.train_step(model, criterion, rule, x, y)) for _ in range(10)]
    assert theirs == pytest.approx(ours, rel=1e-5) and ours[-1] < ours[0] - 0.05
    for n, array in model.state_dict().items():
        assert np.asarray(p[n]) == pytest.approx(np.array(array), rel=2e-3, abs=2e-4), n


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_network_for_letters_runs_by_itself(language, tmp_path):
    model = mf.models.char_rnn(vocabulary=11, embed_dim=4, hidden_size=8)
    code = mf.to_code(
        model, "cross_entropy", mf.Adam(model, lr=0.05), language, example=mx.zeros((3, 5), dtype=mx.int32)
    )
    (tmp_path / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    losses = [float(line.rpartition(" ")[2]) for line in done.stdout.splitlines()]
    assert len(losses) == 10 and losses[-1] < losses[0] - 0.2
    weights = np.asarray(script(code)["initial"]()["rnn.weight_hh_l0"])
    assert 0.3 < np.abs(weights).max() <= 8**-0.5 and weights.std() == pytest.approx((3 * 8) ** -0.5, rel=0.2)
    both = mf.Sequential(mf.LSTM(4, 5, bidirectional=True))
    assert "with two directions, a state or a mask" in message(
        both, "mse", mf.SGD(both, lr=0.1), example=mx.zeros((2, 3, 4))
    )
