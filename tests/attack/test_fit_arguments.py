"""Unsuitable arguments, by the hundred: each is refused in one line with a name in front, and nothing has changed."""

import re
import tempfile
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf

X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
LABELS = (X[:, 0] > 0).astype(int)


def classifier():
    mf.seed(1)
    return mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Dropout(0.5), mf.Linear(4, 3))


def state_of(model, optimizer):
    """All that a refused argument has to leave alone."""
    cells = [*model.parameters(), *model.buffers(), *optimizer.cells()]
    values = [np.array(cell.value).tolist() for cell in cells]
    grads = [None if p.grad is None else np.array(p.grad).tolist() for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    return values, grads, modes, optimizer.iterations, mf.random.get_state(), model._evaluation, model._optimizer


def named(name):
    def metric(prediction, target):
        return 0.0

    metric.__name__ = name
    return metric


def batches_of(*labels):
    return [(X, each) for each in labels]


NO_COUNT = ["3", 2.5, 2.0, -1, None, True, [3], np.nan, np.arange(500), {}, mx.array(3)]
NO_SWITCH = ["yes", None, 1, 0.0, [], np.arange(500)]
BAD = {
    "epochs": NO_COUNT,
    "initial_epoch": NO_COUNT,
    "batch_size": [*NO_COUNT, 0],
    "keep": [*NO_COUNT, 0],
    "seed": ["3", 1.5, -1, 2**40, True, [3], np.nan, np.arange(500)],
    "verbose": ["1", None, 7, -1, 1.0, [], np.arange(500)],
    "shuffle": NO_SWITCH,
    "compile": NO_SWITCH,
    "resume": [*NO_SWITCH, "folder"],
    "checkpoint": [3, True, ["run"], 1.5],
    "validation_split": ["0.1", None, -0.1, 1, 1.5, True, np.nan, [0.1], 0.001],
    "loss": [None, 3, "msee", mf.Linear, list(range(500)), mf.MSELoss(), "mse"],
    "optimizer": [None, 3, "sgdd", mf.SGD, list(range(500))],
    "metrics": [3, ["acuracy"], [3], ["mae", "mae"], [named("loss")], [named("val_loss")], [lambda p: 0.0]],
    "callbacks": [3, "abc", mf.Callback, [mf.Callback], [3], np.arange(3)],
    "class_weight": [[1, 2, 3], 3, "abc", {0: "a"}, {"a": 1.0}, {0: -1.0}, {0: np.nan}, {9: 1.0}],
    "sample_weight": [3, "abc", np.ones(3), np.ones((20, 2)), [1] * 19, np.full(20, np.nan)],
    "x": [None, 3, "abc", {}, X[:, :1], X[:5], (X, X), [[1, 2], [3]], X * np.nan, np.full((20, 2), 1e300), X[0]],
    "y": [None, "abc", LABELS[:3], LABELS + 2, LABELS - 1, LABELS * 1.0, LABELS[:, None], LABELS + 2**32],
    "validation_data": [
        3, X, (X,), (X[:, :1], LABELS), (X, LABELS + 2), (X, LABELS - 1), (X, LABELS[:3]), ((X, X), LABELS),
        (X, LABELS * 1.0), (X, LABELS + 2**32), (X, None), [3],
        [(X, LABELS + 2)], [(X[:, :1], LABELS)], [((X, X), LABELS)],
    ],
}  # fmt: skip


@hypothesis.settings(max_examples=300, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_an_unsuitable_argument_is_refused_in_one_line_and_changes_nothing(data):
    name = data.draw(st.sampled_from(sorted(BAD)))
    value = data.draw(st.sampled_from(BAD[name]))
    model = classifier()
    optimizer = mf.Adam(model)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        good = {
            "x": X,
            "y": LABELS,
            "loss": "cross_entropy",
            "optimizer": optimizer,
            "checkpoint": folder,
            "verbose": 0,
        }
        before = state_of(model, optimizer)
        with pytest.raises((ValueError, TypeError)) as caught:
            model.fit(**{**good, "checkpoint": folder, name: value})
        assert type(caught.value) in (ValueError, TypeError)
        text = str(caught.value)
        assert re.match(r"fit: \S", text) and "\n" not in text and len(text) < 400, text
        assert state_of(model, optimizer) == before
        assert not folder.exists()


@pytest.mark.parametrize("name", BAD)
def test_every_unsuitable_value_of_this_argument_is_refused(name):
    for value in BAD[name]:
        model = classifier()
        optimizer = mf.SGD(model, lr=0.1)
        before = state_of(model, optimizer)
        with pytest.raises((ValueError, TypeError), match=r"^fit: \S"):
            good = {"x": X, "y": LABELS, "loss": "cross_entropy", "optimizer": optimizer, "verbose": 0}
            model.fit(**{**good, name: value})
        assert state_of(model, optimizer) == before


@pytest.mark.parametrize(
    "options",
    [
        {"metrics": None},
        {"metrics": "accuracy"},
        {"metrics": named("mine")},
        {"callbacks": None},
        {"callbacks": mf.Callback()},
        {"epochs": np.int64(2), "batch_size": np.int32(7), "seed": np.int64(3), "keep": np.int8(2)},
        {"verbose": False},
        {"seed": 2**32 - 1},
        {"shuffle": np.bool_(False)},
        {"class_weight": {0: 1, np.int64(1): 2.5}},
        {"validation_data": batches_of(LABELS, LABELS + 1)},
    ],
    ids=lambda options: re.sub(r" at 0x\w+", "", str(options)),  # the same in every process
)
def test_what_can_be_meant_is_accepted(options):
    model = classifier()
    history = model.fit(X, LABELS, **{"loss": "cross_entropy", "optimizer": "sgd", "verbose": 0, **options})
    assert np.isfinite(history.history["loss"]).all()
    assert set(model.evaluate(X, LABELS)) >= {"loss"}


def test_a_single_callback_is_called():
    class Counter(mf.Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1

    counter = Counter()
    classifier().fit(X, LABELS, loss="cross_entropy", optimizer="sgd", epochs=3, verbose=0, callbacks=counter)
    assert counter.epochs == 3


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda v: classifier().evaluate(X, LABELS, loss="cross_entropy", batch_size=v), "evaluate"),
        (lambda v: classifier().predict(X, batch_size=v), "predict"),
        (lambda v: next(mf.batches(X, batch_size=v)), "batches"),
        (lambda v: mf.Linear(v, 3), "Linear"),
        (lambda v: mf.Linear(3, v), "Linear"),
        (lambda v: mf.Embedding(v, 3), "Embedding"),
        (lambda v: mf.Conv2d(v, 3, 3), "Conv2d"),
        (lambda v: mf.Conv2d(3, v, 3), "Conv2d"),
        (lambda v: mf.Conv2d(3, 3, v), "Conv2d"),
        (lambda v: mf.Conv2d(3, 3, 3, stride=(1, v)), "Conv2d"),
        (lambda v: mf.Conv2d(3, 3, 3, groups=v), "Conv2d"),
        (lambda v: mf.ConvTranspose2d(v, 3, 3), "ConvTranspose2d"),
        (lambda v: mf.ConvTranspose2d(3, 3, v), "ConvTranspose2d"),
        (lambda v: mf.MaxPool2d(v), "MaxPool2d"),
        (lambda v: mf.AdaptiveAvgPool2d(v), "AdaptiveAvgPool2d"),
        (lambda v: mf.Upsample2d(v), "Upsample2d"),
        (lambda v: mf.BatchNorm(v), "BatchNorm"),
        (lambda v: mf.LayerNorm(v), "LayerNorm"),
        (lambda v: mf.GroupNorm(v, 4), "GroupNorm"),
        (lambda v: mf.GroupNorm(1, v), "GroupNorm"),
        (lambda v: mf.SGD(classifier(), lr=0.1, accumulate=v), "SGD"),
    ],
)
def test_sizes_are_whole_numbers_everywhere(call, name):
    for value in ["3", 2.5, 2.0, -3, 0, True, {}, float("nan")]:
        with pytest.raises((ValueError, TypeError), match=rf"^{name}: expected [^\n]*$"):
            call(value)


@pytest.mark.parametrize(
    "call",
    [
        lambda v: mf.SGD(classifier(), lr=v),
        lambda v: mf.SGD(classifier(), lr=0.1, momentum=v),
        lambda v: mf.SGD(classifier(), lr=0.1, weight_decay=v),
        lambda v: mf.SGD(classifier(), lr=0.1, clip_norm=v),
        lambda v: mf.SGD(v, lr=0.1),
        lambda v: mf.Adam(classifier(), eps=v),
        lambda v: mf.Adam(classifier(), betas=v),
        lambda v: mf.Adam(classifier(), betas=(0.9, v)),
        lambda v: mf.Adagrad(classifier(), eps=v),
        lambda v: mf.RMSprop(classifier(), alpha=v),
        lambda v: mf.Dropout(v),
        lambda v: mf.LeakyReLU(v),
        lambda v: mf.ELU(v),
        lambda v: mf.HuberLoss(delta=v),
        lambda v: mf.CrossEntropyLoss(label_smoothing=v),
        lambda v: mf.MSELoss(reduction=v),
    ],
)
def test_numbers_are_numbers_everywhere(call):
    for value in ["0.1", [0.1], {}, True]:
        with pytest.raises((ValueError, TypeError), match=r"^\w+: [^\n]*$"):
            call(value)
