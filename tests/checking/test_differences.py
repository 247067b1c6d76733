"""Thousands of finite differences at a time: the same numbers as one by one, in bounded memory."""

import mlx.core as mx
import numpy as np
import pytest
from harness import normal
from loading import load_script

import miniframe as mf
from miniframe.checking import differences
from miniframe.checking.doubles import in_double_precision
from miniframe.checking.experiment import Experiment as Check


@pytest.fixture(scope="module")
def benchmark():
    return load_script("benchmarks/gradient_check.py")


def test_the_vectorized_differences_equal_those_of_a_loop_over_the_weights(benchmark):
    model, loss, (x, y) = benchmark.network(), mf.MSELoss(), benchmark.batch()
    assert sum(p.size for p in model.parameters()) == 4381
    few = mf.Sequential(*list(model)[:3], mf.Linear(25, 6))
    with in_double_precision(few):
        slow, fast = benchmark.by_loop(few, loss, x, y), benchmark.vectorized(few, loss, x, y)
    assert slow.keys() == fast.keys()
    assert benchmark.largest_difference(slow, fast) < 1e-9


def test_a_network_of_thousands_of_weights_is_checked_completely(benchmark):
    model, (x, y) = benchmark.network(), benchmark.batch()
    report = mf.check_gradients(model, x, loss=mf.MSELoss(), target=y)
    assert report.passed, report
    assert sum(row.numeric.size for row in report.rows) == 4381 + x.size


def test_every_parameter_of_a_linear_layer_is_vectorized(monkeypatch):
    monkeypatch.setattr(differences, "one_by_one", None)  # calling it would be an error
    assert mf.check_gradients(mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 2)), normal(5, 3)).passed


def test_memory_stays_under_the_stated_cap():
    wide = mf.Sequential(mf.Linear(10, 2000), mf.ReLU(), mf.Linear(2000, 1))
    with in_double_precision(wide):
        check = Check(wide, (normal(20, 10),))
        value, put = next((value, put) for name, value, put in check.targets() if name == "input")
        at_once = 2 * value.size * check.bytes_of_a_forward
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        check.slopes(value, put)
        peak = mx.get_peak_memory() - before
    assert at_once > 1.5 * differences.ACTIVATION_BYTES  # so the cap matters
    assert peak < differences.ACTIVATION_BYTES + 2 * differences.VALUE_BYTES


def test_chunks_of_any_size_give_the_same(monkeypatch):
    value = mx.array(normal(7), dtype=mx.float64)

    def cubes(w):
        return (w * w * w - value * value * value).sum()

    with mx.stream(mx.cpu):
        whole = differences.slopes(cubes, value, 1)
        monkeypatch.setattr(differences, "VALUE_BYTES", 16 * 7 * 3)
        parts = differences.slopes(cubes, value, 1)
    for a, b in zip(whole, parts):
        assert np.array_equal(a, b)
        np.testing.assert_allclose(a, 3 * np.array(value) ** 2, atol=1e-4)
