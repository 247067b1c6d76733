"""Precision, recall, F1, R² and perplexity: by hand, over batches of any sizes, and where nothing can be divided by.

The numbers are those of scikit-learn's precision_score, recall_score, f1_score (average="binary" for two classes and
"macro" for more, zero_division=0), r2_score and top_k_accuracy_score, computed by hand from their definitions.
"""

import math

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe import metrics
from miniframe.training.history import Sums

ONE = mx.array([[0.9], [0.8], [0.7], [0.2], [0.6]]), mx.array([[1.0], [0.0], [1.0], [1.0], [0.0]])  # found 2 of 3


def test_precision_recall_and_f1_of_a_single_column():
    assert metrics.precision(*ONE) == pytest.approx(2 / 4)
    assert metrics.recall(*ONE) == pytest.approx(2 / 3)
    assert metrics.f1(*ONE) == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))


def scores_for(guesses, classes):
    return mf.one_hot(guesses, classes)


def test_two_columns_ask_for_class_1_and_three_give_the_mean_over_the_classes():
    guesses, truth = [1, 1, 1, 0, 1], mx.array([1, 0, 1, 1, 0])
    assert metrics.precision(scores_for(guesses, 2), truth) == pytest.approx(2 / 4)
    guesses, truth = [0, 2, 1, 0, 0, 1], mx.array([0, 1, 2, 0, 1, 2])  # scikit-learn's own example
    assert metrics.precision(scores_for(guesses, 3), truth) == pytest.approx(2 / 9)
    assert metrics.recall(scores_for(guesses, 3), truth) == pytest.approx(1 / 3)
    assert metrics.f1(scores_for(guesses, 3), truth) == pytest.approx(0.8 / 3)
    assert metrics.f1(scores_for(guesses, 3), mf.one_hot(truth, 3)) == pytest.approx(0.8 / 3)
    assert metrics.f1(scores_for(guesses, 5), truth) == pytest.approx(0.8 / 3), "classes that never occur do not count"


@pytest.mark.parametrize("metric", [metrics.precision, metrics.recall, metrics.f1])
def test_without_positives_or_with_one_class_nothing_is_divided_by_zero(metric):
    nothing = mx.array([[0.1], [0.2]])
    assert metric(nothing, mx.array([0, 0])) == 0  # neither predicted nor there
    assert metric(nothing, mx.array([1, 1])) == 0  # there, never predicted
    assert metric(1 - nothing, mx.array([0, 0])) == 0  # predicted, never there
    assert metric(1 - nothing, mx.array([1, 1])) == 1
    assert metric(scores_for([2, 2], 3), mx.array([2, 2])) == 1


def test_equal_predictions_go_to_the_first_class_and_the_threshold_itself_is_class_0():
    assert metrics.precision(mx.array([[0.5]]), mx.array([1])) == 0
    assert metrics.recall(mx.array([[0.5, 0.5]]), mx.array([1])) == 0


def test_r2_by_hand_and_its_edges():
    truth, guess = mx.array([[3.0], [-0.5], [2.0], [7.0]]), mx.array([[2.5], [0.0], [2.0], [8.0]])
    assert metrics.r2(guess, truth) == pytest.approx(1 - 1.5 / 29.1875)
    two = mx.concatenate([truth, truth], axis=1), mx.concatenate([guess, truth], axis=1)
    assert metrics.r2(two[1], two[0]) == pytest.approx((1 - 1.5 / 29.1875 + 1) / 2)
    same = mx.full((7, 1), 0.1)
    assert metrics.r2(same, same) == 1 and metrics.r2(same + 1, same) == 0
    assert math.isnan(metrics.r2(truth[:1], guess[:1]))
    far = truth + 10_000
    assert metrics.r2(guess + 10_000, far) == pytest.approx(1 - 1.5 / 29.1875, rel=1e-3)
    with pytest.raises(ValueError, match=r"r2: expected targets of the prediction's shape \(4, 1\), got \(4,\)"):
        metrics.r2(guess, truth.reshape(-1))


def test_perplexity_by_hand():
    z, y = mx.log(mx.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])), mx.array([0, 2])
    assert metrics.perplexity(z, y) == pytest.approx(math.sqrt(2 * 8))
    assert metrics.perplexity(z + 5, y) == pytest.approx(4, rel=1e-5), "logits need not be log-probabilities"
    assert metrics.perplexity(z[None], y[None]) == pytest.approx(4, rel=1e-5)


def test_top_k_counts_ties_as_scikit_learn_does_and_nan_never_helps():
    scores = mx.array([[0.5, 0.2, 0.2], [0.3, 0.4, 0.2], [0.2, 0.4, 0.3], [0.7, 0.2, 0.1]])
    truth = mx.array([0, 1, 2, 2])
    assert metrics.top_k(scores, truth, k=2).tolist() == [1, 1, 1, 0]
    assert metrics.top_k(scores, mf.one_hot(truth, 3), k=1).tolist() == [1, 1, 0, 0]
    assert metrics.top_k(mx.array([[0.2, 0.2, 0.2]] * 3), mx.array([0, 1, 2]), k=2).tolist() == [0, 1, 1]
    assert metrics.top_k(mx.full((1, 3), math.nan), mx.array([2]), k=2).tolist() == [0]
    assert metrics.top_k(scores, truth, k=9).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["precision", "recall", "f1", "perplexity", "top_2"])
@pytest.mark.parametrize("sizes", [[11], [1] * 11, [7, 3, 1]])
def test_batches_of_unequal_sizes_give_the_metric_of_all_samples(name, sizes):
    rng = np.random.default_rng(0)
    scores, truth = mx.array(rng.normal(size=(11, 4)).astype(np.float32)), mx.array(rng.integers(0, 4, size=11))
    (metric,) = metrics.get([name]).values()
    sums = metrics.totals({name: metric})[name]
    start = 0
    for size in sizes:
        rows = slice(start, start + size)
        sums.add(metrics.measure(name, metric, scores[rows], truth[rows]), size)
        start += size
    whole = metric(scores, truth)
    assert sums.value() == pytest.approx(float(whole.mean() if isinstance(whole, mx.array) else whole), rel=1e-6)


def test_r2_over_batches_is_that_of_all_samples_far_from_zero_too():
    rng = np.random.default_rng(0)
    truth = (1000 + rng.normal(size=(23, 2))).astype(np.float32)
    guess = (truth + 0.3 * rng.normal(size=(23, 2))).astype(np.float32)
    t, g = truth.astype(np.float64), guess.astype(np.float64)
    expected = (1 - ((t - g) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean()
    sums = Sums(metrics.r2)
    for start in (0, 5, 6, 20):
        stop = {0: 5, 5: 6, 6: 20, 20: 23}[start]
        sums.add(metrics.r2.parts(mx.array(guess[start:stop]), mx.array(truth[start:stop])), stop - start)
    assert sums.value() == pytest.approx(expected, rel=1e-5)


def test_a_rank_without_rows_adds_nothing_but_knows_the_form():
    sums = Sums(metrics.f1)
    assert sums.sums() == [] and math.isnan(sums.value())
    sums.add(metrics.f1.parts(*ONE), 0)
    assert sums.sums() == [0] * 6
    sums.add(metrics.f1.parts(*ONE), 5)
    assert sums.value() == pytest.approx(metrics.f1(*ONE))


def test_fit_and_evaluate_take_them_by_name_with_the_losses_threshold():
    model = mf.Linear(1, 1)
    model.weight.value, model.bias.value = mx.array([[1.0]]), mx.array([0.0])
    x, y = np.array([[-1.0], [0.25], [2.0], [3.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
    found = model.evaluate(x, y, loss="bce_with_logits", metrics=["precision", "recall", "f1"], batch_size=3)
    assert found["precision"] == pytest.approx(2 / 3) and found["recall"] == 1 and found["f1"] == pytest.approx(0.8)
    assert model.evaluate(x, y, loss="mse", metrics=["recall"])["recall"] == 0.5
    seen = []
    history = model.fit(
        x, y, loss="mse", optimizer=mf.SGD(model, lr=0.0), metrics=["r2", metrics.f1], batch_size=3, verbose=0,
        validation_data=(x, y), callbacks=[mf.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(logs["r2"]))],
    )  # fmt: skip
    residual, spread = (0 - -1) ** 2 + 0.75**2 + 1 + 9, 1.0
    assert history.history["r2"][0] == pytest.approx(1 - residual / spread)
    assert history.history["val_r2"] == pytest.approx(history.history["r2"])
    assert "f1" in history.history and len(seen) == 2


def test_a_tally_of_ones_own():
    class Largest(metrics.Tally):
        def parts(self, prediction, target):
            return mx.abs(prediction - target).sum()[None]

        def result(self, sums):
            return float(sums[0])

    model = mf.Linear(1, 1)
    found = model.evaluate([[0.0]] * 5, [[1.0]] * 5, loss="l1", metrics=[Largest()], batch_size=2)
    assert found["Largest"] == pytest.approx(5 * found["loss"])
    with pytest.raises(TypeError, match=r"got the class Largest; write Largest\(\)"):
        model.evaluate([[0.0]], [[1.0]], loss="l1", metrics=[Largest])


@pytest.mark.parametrize(
    "name, sign", [("val_f1", 1), ("precision", 1), ("val_top_5", 1), ("val_r2", 1), ("perplexity", -1)]
)
def test_callbacks_know_which_way_is_better(name, sign):
    assert mf.EarlyStopping(name).sign == sign


def test_perplexity_needs_several_classes():
    with pytest.raises(ValueError, match=r"perplexity: expected predictions \(N, ..., classes\), got \(3, 1\)"):
        metrics.perplexity(mx.zeros((3, 1)), mx.zeros((3, 1)))
