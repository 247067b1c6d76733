"""What fit and evaluate try before they use data."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.core.ranges import readable

X, Y = np.ones((6, 2), np.float32), np.zeros((6, 1), np.float32)


def model():
    mf.seed(1)
    return mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Dropout(0.5), mf.Linear(4, 1))


@pytest.mark.parametrize("target", [Y, Y[:, 0]], ids=["a metric fails", "the loss fails"])
def test_trying_changes_no_random_numbers_and_no_mode_even_where_it_fails(target):
    class Noise(mf.Module):
        def forward(self, x):
            return x + mx.random.normal(x.shape)

    def restless(prediction, target):
        mx.random.uniform()
        raise ValueError("no")

    noisy = mf.Sequential(model(), Noise())
    noisy[0].eval()
    before, modes = mf.random.get_state(), [module.training for module in noisy.modules()]
    with pytest.raises(ValueError, match="^fit: "):
        noisy.fit(X, target, loss="mse", optimizer="sgd", metrics=[restless], verbose=0)
    assert mf.random.get_state() == before and [module.training for module in noisy.modules()] == modes


def test_a_stream_draws_the_same_random_numbers_as_arrays_do():
    given, streamed = model(), model()
    for each, data in ((given, (X, Y)), (streamed, (lambda: iter([(X, Y)]), None))):
        each.fit(*data, loss="mse", optimizer="sgd", epochs=2, metrics=["mae"], verbose=0, seed=3, shuffle=False)
    assert all(mx.array_equal(a.value, b.value) for a, b in zip(given.parameters(), streamed.parameters()))


def test_a_metric_that_fails_is_named_before_the_first_step():
    def broken(prediction, target):
        raise ValueError("no such thing")

    failing, before = model(), [p.value for p in model().parameters()]
    with pytest.raises(ValueError, match="^fit: metric 'broken': no such thing$"):
        failing.fit(X, Y, loss="mse", optimizer="sgd", metrics=[broken], verbose=0)
    with pytest.raises(ValueError, match="^evaluate: metric 'broken': no such thing$"):
        failing.evaluate(X, Y, loss="mse", metrics=[broken])
    assert all(mx.array_equal(p.value, value) for p, value in zip(failing.parameters(), before))


def test_a_metric_is_tried_on_the_batch_that_it_would_be_given():
    sizes = []

    def size(prediction, target):
        sizes.append(len(target))
        return 0.0

    model().fit(X, Y, loss="mse", optimizer="sgd", epochs=0, batch_size=4, metrics=[size], verbose=0)
    assert sizes == [4]


def test_a_generator_is_not_used_up_and_every_batch_comes_once():
    given = []

    def batches():
        for number in range(3):
            given.append(number)
            yield X, Y

    seen = []

    class Watch(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(batch)

    model().fit(batches(), loss="mse", optimizer="sgd", verbose=0, callbacks=Watch(), validation_data=batches())
    assert seen == [0, 1, 2] and sorted(given) == [0, 0, 1, 1, 2, 2]


def test_a_wrong_batch_of_a_generator_is_named_before_its_step():
    steps = []

    class Watch(mf.Callback):
        def on_batch_end(self, batch, logs=None):
            steps.append(batch)

    with pytest.raises(
        ValueError,
        match=r"^fit: batch 1: MSELoss: .* shape \(6, 1\), got \(6,\); use y.reshape\(-1, 1\); fit stopped in",
    ):
        model().fit(lambda: iter([(X, Y[:, 0])]), loss="mse", optimizer="sgd", verbose=0, callbacks=Watch())
    assert steps == []


def test_the_number_of_inputs_is_said():
    with pytest.raises(ValueError, match="^fit: Sequential: got 2 inputs, .* tuple with an array for each input"):
        model().fit((X, X), Y, loss="mse", optimizer="sgd", verbose=0)


def test_evaluating_without_recording_works_for_whole_numbers_too():
    reader = mf.Sequential(mf.Embedding(3, 2), mf.Flatten())
    with mf.no_grad():
        assert reader.predict(np.array([[1], [2]])).shape == (2, 2)
        with pytest.raises(ValueError, match="expected numbers in 0..2, got 3"):
            reader.predict(np.array([[1], [3]]))


def test_a_forward_that_nobody_can_record_still_predicts_from_whole_numbers():
    class Reader(mf.Module):
        def __init__(self):
            self.table = mf.Embedding(3, 2)

        def forward(self, x):
            return mx.cumsum(self.table(x), axis=1)  # a function of MLX, which no node can be given

    reader, x = mf.Sequential(Reader()), np.array([[1, 2], [0, 1]])
    assert reader.predict(x).shape == (2, 2, 2)
    with pytest.raises(ValueError, match=r"^predict: batch 2: Embedding.*, got 3 at \[0, 0\]$"):
        reader.predict(np.array([[1, 2], [3, 1]]), batch_size=1)


@pytest.mark.parametrize(
    "compile, kind, times",
    [(True, mx.array, 0), (True, np.array, 1), (False, mx.array, 2)],
    ids=["compiled, under way", "compiled, there", "not compiled"],
)
def test_a_compiled_fit_does_not_wait_for_batches_that_are_under_way(compile, kind, times):
    looked = []

    class Watching(mf.CrossEntropyLoss):
        def check_values(self, prediction, target):
            looked.append(target.size == 6 and readable(target) is not None)
            super().check_values(prediction, target)

    classifier, labels = mf.Sequential(mf.Linear(2, 3)), np.zeros(6, np.int32)
    settings = {"loss": Watching(), "optimizer": "sgd", "verbose": 0, "compile": compile}
    classifier.fit(lambda: iter([(X, kind(labels))]), **settings)
    assert sum(looked) == times
