"""Schedules: their values against PyTorch's schedulers, their combinations, and their use by an optimizer."""

import math

import mlx.core as mx
import numpy as np
import pytest
import torch

import miniframe as mf
from miniframe import schedules

T = torch.optim.lr_scheduler
STEPS = 60


CASES = {
    "step": (schedules.step(0.1, every=7, factor=0.5), lambda o: T.StepLR(o, 7, 0.5)),
    "exponential": (schedules.exponential(0.1, 0.95), lambda o: T.ExponentialLR(o, 0.95)),
    "cosine": (schedules.cosine(0.1, 59, end=0.01), lambda o: T.CosineAnnealingLR(o, 59, 0.01)),
    "linear": (schedules.linear(0.01, 0.1, 20), lambda o: T.LinearLR(o, 0.1, 1.0, 20)),
    "one cycle": (schedules.one_cycle(0.1, STEPS), lambda o: T.OneCycleLR(o, 0.1, total_steps=STEPS)),
    "one cycle, other shape": (
        schedules.one_cycle(0.1, STEPS, rise=0.6, start=0.1, end=0.001),
        lambda o: T.OneCycleLR(o, 0.1, total_steps=STEPS, pct_start=0.6, div_factor=10, final_div_factor=100),
    ),
    "product": (
        schedules.step(0.1, 10) * schedules.exponential(1.0, 0.9),
        lambda o: T.ChainedScheduler([T.StepLR(o, 10), T.ExponentialLR(o, 0.9)]),
    ),
    "warmup, then cosine": (
        schedules.linear(0.01, 0.1, 10).then(schedules.cosine(0.1, 50), after=10),
        lambda o: T.SequentialLR(o, [T.LinearLR(o, 0.1, 1.0, 10), T.CosineAnnealingLR(o, 50)], [10]),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_values_equal_pytorch(name):
    ours, make = CASES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = make(optimizer)
    expected = []
    for _ in range(STEPS):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose([ours(step) for step in range(STEPS)], expected, rtol=1e-9, atol=1e-12)


def test_warmup_scales_the_first_steps_of_any_schedule():
    warm = schedules.warmup(schedules.cosine(1.0, 100), steps=10)
    cosine = schedules.cosine(1.0, 100)
    assert warm(0) == pytest.approx(0.1)
    assert warm(4) == pytest.approx(cosine(4) * 0.5)
    assert [warm(t) for t in (9, 50, 100)] == [cosine(t) for t in (9, 50, 100)]


def test_schedules_stay_at_their_end():
    assert schedules.cosine(1.0, 10, end=0.2)(1000) == pytest.approx(0.2)
    assert schedules.linear(0.0, 1.0, 10)(1000) == 1.0
    assert schedules.one_cycle(1.0, 10)(1000) == pytest.approx(4e-6)


def test_any_callable_and_numbers_combine():
    half = 0.5 * schedules.Schedule(lambda step: 1 / (1 + step))
    assert half(1) == 0.25
    assert (half * (lambda step: step))(3) == 0.375
    assert half.then(lambda step: step, after=2)(5) == 3
    assert half.then(0.125, after=2)(5) == 0.125


def test_a_schedule_prints_how_it_was_made():
    warm = schedules.linear(0, 0.1, 10).then(schedules.cosine(0.1, 90), after=10)
    assert repr(warm) == "linear(0, 0.1, 10).then(cosine(0.1, 90, end=0), 10)"
    assert repr(schedules.Schedule(math.sqrt) * 2) == "sqrt * 2"


@pytest.mark.parametrize("compiled", [False, True])
def test_an_optimizer_follows_its_schedule_step_by_step(compiled):
    model = mf.Linear(1, 1, bias=False)
    model.weight.value = mx.zeros((1, 1))
    optimizer = mf.SGD(model, lr=schedules.step(0.2, every=2, factor=0.5))
    seen = []
    note = mf.LambdaCallback(on_batch_end=lambda batch, logs: seen.append(model.weight.value.item()))
    data = [(mx.ones((1, 1)), mx.ones((1, 1)))] * 5
    model.fit(data, loss="mse", optimizer=optimizer, callbacks=[note], verbose=0, compile=compiled)
    expected, weight = [], 0.0
    for step in range(5):
        weight -= 0.2 * 0.5 ** (step // 2) * 2 * (weight - 1)
        expected.append(weight)
    np.testing.assert_allclose(seen, expected, rtol=1e-6)
    assert optimizer.lr == 0.05


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: schedules.step(0.1, every=0), r"step: expected every to be a whole number of at least 1, got 0"),
        (lambda: schedules.cosine(0.1, steps=2.5), r"cosine: expected steps to be a whole number .* got 2.5"),
        (lambda: schedules.one_cycle(0.1, 10, rise=1.0), r"one_cycle: expected 0 < rise < 1, got 1.0"),
        (lambda: schedules.constant(1).then(2, after=-1), r"then: expected after to be a whole number"),
        (lambda: schedules.constant(1).plot(0), r"schedules: expected at least 1 step, got 0"),
    ],
)
def test_unsuitable_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match=r"Schedule: expected a function of the number of steps, got 3"):
        schedules.Schedule(3)
