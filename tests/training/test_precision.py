"""Training in bfloat16 with float32 weights learns as well as in float32, within what seeds do."""

import mlx.core as mx
import numpy as np
import pytest

import miniframe as mf
from miniframe.training.precision import as_precise, lowered
from miniframe.training.step import forward_backward


def spots(n=96):
    """Images (n, 28, 28, 1) of noise, brighter or darker in the middle."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    images = rng.normal(size=(n, 28, 28, 1)).astype(np.float32)
    images[:, 8:20, 8:20, 0] += (2 * labels - 1)[:, None, None]
    return mx.array(images), mx.array(labels)


def counting(n=64, length=8, words=12):
    """Sequences that count upwards, so that each token follows from the one before."""
    tokens = (np.arange(length + 1)[None] + np.random.default_rng(1).integers(0, words, (n, 1))) % words
    return mx.array(tokens[:, :-1]), mx.array(tokens[:, 1:])


def losses(make, data, lr, epochs, precision, seeds=(0, 1)):
    """The last loss of a training for each seed."""
    found = []
    for seed in seeds:
        mf.seed(seed)
        model = make()
        options = {"epochs": epochs, "batch_size": 16, "seed": seed, "verbose": 0, "compile": False}
        history = model.fit(
            *data, loss="cross_entropy", optimizer=mf.Adam(model, lr=lr), precision=precision, **options
        )
        assert all(p.dtype == mx.float32 for p in model.parameters())
        found.append((history.history["loss"][0], history.history["loss"][-1]))
    return np.array(found)


@pytest.mark.parametrize(
    ("make", "data", "lr", "epochs"),
    [
        (mf.models.lenet, spots, 1e-3, 2),
        (lambda: mf.models.gpt(12, 8, 16, 2, 1), counting, 1e-2, 8),
    ],
    ids=["LeNet", "GPT"],
)
def test_it_converges_as_float32_does_within_what_another_seed_changes(make, data, lr, epochs):
    single = losses(make, data(), lr, epochs, "float32")
    half = losses(make, data(), lr, epochs, "bfloat16")
    assert np.all(half[:, 1] < 0.6 * half[:, 0])
    between_seeds = abs(np.log(single[0, 1] / single[1, 1]))
    assert np.all(abs(np.log(half[:, 1] / single[:, 1])) < max(0.25, 2 * between_seeds))


@pytest.mark.parametrize("compile", [True, False])
def test_small_updates_are_not_lost_beside_large_weights(compile):
    """1 + 10 times 10⁻³: in bfloat16, whose neighbours of 1 are 0.008 away, every single step would be lost."""
    model = mf.Linear(1, 1, bias=False)
    model.weight.value = mx.ones((1, 1))
    x, y = mx.ones((10, 1)), mx.full((10, 1), 100.0)
    loss = mf.L1Loss()  # a slope of 1
    optimizer = mf.SGD(model, lr=1e-3)
    model.fit(x, y, loss=loss, optimizer=optimizer, batch_size=1, verbose=0, precision="bfloat16", compile=compile)
    assert model.weight.value.item() == pytest.approx(1.01, abs=1e-5)


def test_the_model_computes_in_bfloat16_and_the_loss_in_float32():
    seen = []
    tap = mf.Tap(forward=lambda x: seen.append(x.dtype), backward=lambda g: seen.append(g.dtype))
    model, loss = mf.Sequential(mf.Linear(3, 4), tap, mf.Linear(4, 2)), mf.MSELoss()
    value, prediction = forward_backward(model, loss, mx.ones((5, 3)), mx.zeros((5, 2)), precision="bfloat16")
    assert seen == [mx.bfloat16, mx.bfloat16] and value.dtype == prediction.dtype == mx.float32
    assert all(p.dtype == p.grad.dtype == mx.float32 for p in model.parameters())


def test_float64_and_ids_stay_as_they_are_and_an_error_puts_the_weights_back():
    assert as_precise(mx.array([1, 2]), mx.bfloat16).dtype == mx.int32
    first, second = as_precise((mx.array([1]), mx.array([1.0])), mx.bfloat16)
    assert (first.dtype, second.dtype) == (mx.int32, mx.bfloat16)
    layer = mf.Linear(2, 2)
    with pytest.raises(ZeroDivisionError), lowered(layer, mx.bfloat16):
        1 / 0  # noqa: B018
    assert layer.weight.dtype == mx.float32


@pytest.mark.parametrize("wrong", ["float16", 16, None, "bf16"])
def test_an_unknown_precision_is_refused(wrong):
    with pytest.raises(ValueError, match="fit: expected precision as float32 or bfloat16, got"):
        mf.Linear(1, 1).fit(mx.ones((2, 1)), mx.ones((2, 1)), loss="mse", optimizer="sgd", precision=wrong)


def test_a_fit_in_another_precision_does_not_use_the_step_of_the_last_one():
    model = mf.Linear(2, 1)
    x, y, options = mx.ones((4, 2)), mx.ones((4, 1)), {"loss": mf.MSELoss(), "verbose": 0}
    options["optimizer"] = mf.SGD(model, lr=0.1)
    model.fit(x, y, **options)
    step = model._last_step
    model.fit(x, y, **options, precision="bfloat16")
    assert model._last_step is not step and model._last_step.precision == "bfloat16"
