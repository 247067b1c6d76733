"""What is made small, by whom, and what is measured: compile, the last fit, and what is said to fit."""

import copy

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf

X, Y = normal(20, 2), normal(20, 1)


def small():
    mf.seed(0)
    return mf.Sequential(mf.Linear(2, 3), mf.Tanh(), mf.Linear(3, 1))


def weights(model):
    return [np.array(p.value) for p in model.parameters()]


def same(a, b):
    return all(np.array_equal(one, other) for one, other in zip(weights(a), weights(b), strict=True))


def test_a_compiled_model_is_fitted_and_evaluated_without_more_words():
    model, other = small(), small()
    assert model.compile(optimizer="adam", loss="mse", metrics=["mae"]) is model
    first = model.evaluate(X, Y)
    history = model.fit(X, Y, seed=1, verbose=0)
    other.fit(X, Y, loss="mse", optimizer="adam", metrics=["mae"], seed=1, verbose=0)
    assert list(history.history) == ["loss", "mae"] == list(first) == list(model.evaluate(X, Y))
    assert same(model, other)


def test_a_model_that_was_fitted_needs_no_more_words_either():
    model = small()
    model.fit(X, Y, loss="l1", optimizer="sgd", metrics=["mse"], verbose=0)
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "mse"]
    assert list(model.fit(X, Y, metrics=(), verbose=0).history) == ["loss"]
    assert list(model.fit(X, Y, loss="l1", metrics=["mae"], verbose=0).history) == ["loss", "mae"]
    assert list(model.fit(X, Y, loss="l1", verbose=0).history) == ["loss"], "who names a loss says what to measure"
    assert model._evaluation[0].title() == "L1Loss()"


@pytest.mark.parametrize("name", ["adam", "rmsprop", "adamw", "adagrad"])
def test_a_second_fit_by_the_same_name_goes_on_with_the_same_moments(name):
    twice, once, anew = small(), small(), small()
    for _ in range(2):
        twice.fit(X, Y, loss="mse", optimizer=name, epochs=3, batch_size=20, shuffle=False, verbose=0)
        anew._optimizer = None, None
        anew.fit(X, Y, loss="mse", optimizer=name, epochs=3, batch_size=20, shuffle=False, verbose=0)
    once.fit(X, Y, loss="mse", optimizer=name, epochs=6, batch_size=20, shuffle=False, verbose=0)
    assert same(twice, once) and not same(anew, once)


def test_a_compiled_model_goes_on_and_compiling_again_begins_anew():
    model, once, anew = small(), small(), small()
    once.fit(X, Y, loss="mse", optimizer="adam", epochs=4, shuffle=False, verbose=0)
    for each in (model, anew):
        each.compile("adam", "mse").fit(X, Y, epochs=2, shuffle=False, verbose=0)
    anew.compile("adam", "mse")
    for each in (model, anew):
        each.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    assert same(model, once) and not same(anew, once)


def test_an_optimizer_begins_anew_when_the_models_parameters_are_others():
    model = small().compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.append(mf.Linear(1, 1))
    before = np.array(model[3].weight.value)
    model.fit(X, Y, verbose=0)
    assert not np.array_equal(before, model[3].weight.value)


def test_another_name_or_an_optimizer_of_ones_own_takes_over():
    model = small().compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    own = mf.SGD(model, lr=0.1)
    model.fit(X, Y, optimizer=own, verbose=0)
    model.fit(X, Y, verbose=0)
    assert own.iterations == 2
    model.fit(X, Y, optimizer="adam", verbose=0)
    assert model._optimizer[1].iterations == 1


def test_a_copy_goes_on_by_itself():
    model = small().compile(optimizer="adam", loss="mse")
    model.fit(X, Y, shuffle=False, verbose=0)
    twin = copy.deepcopy(model)
    before = weights(model)
    twin.fit(X, Y, shuffle=False, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), before, strict=True))
    model.fit(X, Y, shuffle=False, verbose=0)
    assert same(model, twin)


def test_a_file_does_not_hold_what_compile_was_told(tmp_path):
    model = small().compile(optimizer="adam", loss="mse")
    model.save(tmp_path / "model")
    loaded = mf.load(tmp_path / "model")
    with pytest.raises(ValueError, match="evaluate: expected a loss, as this model was never fitted or compiled"):
        loaded.evaluate(X, Y)


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({}, ValueError, r'expected a loss, such as fit\(x, y, loss="mse", optimizer="adam"\), or compile first'),
        ({"loss": "mse"}, ValueError, "fit: expected an optimizer, such as fit"),
        (
            {"learning_rate": 0.1},
            TypeError,
            r"learning_rate belongs to the optimizer; write optimizer=Adam\(model, lr=0",
        ),
        ({"lr": 0.1}, TypeError, r"fit: lr belongs to the optimizer; write optimizer=Adam\(model, lr=0"),
        ({"epoch": 3}, TypeError, r"fit: unknown argument 'epoch'; did you mean epochs\?"),
        ({"optimizer": mf.Adam, "loss": "mse"}, TypeError, r"got the class Adam; write Adam\(model\)"),
        ({"loss": lambda p, t: (p - t).square().mean(), "optimizer": "sgd"}, TypeError, r"def derivative\("),
    ],
)
def test_what_is_missing_or_misspelt_is_answered_with_what_to_write(options, error, words):
    with pytest.raises(error, match=words):
        small().fit(X, Y, verbose=0, **options)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("adm", "mse"), "unknown optimizer 'adm'"),
        (("adam", "mean"), "unknown loss 'mean'"),
        (("adam", "mse", ["acuracy"]), "unknown metric 'acuracy'"),
    ],
)
def test_compile_checks_what_it_is_told_at_once(arguments, words):
    with pytest.raises(ValueError, match=words):
        small().compile(*arguments)


def test_the_loss_that_the_error_about_functions_tells_to_write_works():
    class MyLoss(mf.Loss):
        def each(self, prediction, target):
            return mx.square(prediction - target)

        def derivative(self, prediction, target):
            return 2 * (prediction - target)

    mine, ours = small(), small()
    mine.fit(X, Y, loss=MyLoss(), optimizer="sgd", seed=0, verbose=0)
    ours.fit(X, Y, loss="mse", optimizer="sgd", seed=0, verbose=0)
    assert same(mine, ours)


@pytest.mark.parametrize("options", [{"y": Y[:3]}, {"metrics": ["none"]}, {"callbacks": [3]}, {"x": X[:, :1]}])
def test_a_fit_that_is_refused_is_not_remembered(options):
    model = small()
    with pytest.raises((ValueError, TypeError), match="^fit: "):
        model.fit(**{"x": X, "y": Y, "loss": "mse", "optimizer": "adam", "verbose": 0, **options})
    assert model._optimizer == (None, None) and model._evaluation == (None, ())
    model.compile("sgd", "l1", metrics=["mae"])
    before = model._optimizer, model._evaluation
    with pytest.raises((ValueError, TypeError), match="^fit: "):
        model.fit(**{"x": X, "y": Y, "loss": "mse", "optimizer": "adam", "verbose": 0, **options})
    assert (model._optimizer, model._evaluation) == before
