"""fit: Keras' habits, true means, errors before any work is lost."""

import mlx.core as mx
import numpy as np
import pytest
import torch

import miniframe as mf

X = np.random.default_rng(0).random((130, 2), dtype=np.float32)
Y = np.stack([X[:, 0] > X[:, 1], X[:, 0] <= X[:, 1]], axis=1).astype(np.float32)


def small(dropout=0.0):
    mf.seed(0)
    layers = [mf.Linear(2, 8), mf.Tanh(), mf.Linear(8, 2)]
    return mf.Sequential(*layers[:2], mf.Dropout(dropout), layers[2]) if dropout else mf.Sequential(*layers)


def train(model=None, x=X, y=Y, **options):
    model = small() if model is None else model
    settings = {"loss": "mse", "epochs": 3, "batch_size": 32, "verbose": 0, "seed": 0, "compile": False} | options
    settings.setdefault("optimizer", mf.SGD(model, lr=0.1, momentum=0.9))
    return model, model.fit(x, y, **settings)


def weights(model):
    return np.concatenate([np.array(p.value).ravel() for p in model.parameters()])


class Record(mf.Callback):
    """Notes every hook that is called."""

    def __init__(self):
        self.calls, self.logs, self.losses = [], [], []

    def on_train_begin(self, logs=None):
        self.calls.append("train begin")

    def on_train_end(self, logs=None):
        self.calls.append("train end")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} begin")

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(f"epoch {epoch} end")
        self.logs.append(dict(logs))

    def on_batch_begin(self, batch, logs=None):
        self.calls.append(f"batch {batch} begin")

    def on_batch_end(self, batch, logs=None):
        self.calls.append(f"batch {batch} end")
        self.losses.append(logs["loss"])


# ------------------------------------------------------------------ what it does


def test_learns_and_records_under_keras_names():
    model, history = train(epochs=60, metrics=["accuracy", "error_rate"], validation_data=(X, Y))
    names = ["loss", "accuracy", "error_rate", "val_loss", "val_accuracy", "val_error_rate"]
    assert list(history.history) == names
    assert all(len(values) == 60 for values in history.history.values()) and history.epoch == list(range(60))
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.9
    assert isinstance(history.history["loss"][0], float)


def test_the_epoch_loss_is_the_mean_over_samples_when_the_last_batch_is_shorter():
    model = small()
    frozen = mf.SGD(model, lr=0.0)
    history = model.fit(X, Y, loss="mse", optimizer=frozen, epochs=1, batch_size=50, verbose=0, compile=False,
                        metrics=["mae", "accuracy"])  # fmt: skip
    prediction = np.array(model.predict(X))
    assert history.history["loss"][0] == pytest.approx(((prediction - Y) ** 2).mean(), rel=1e-5)
    assert history.history["mae"][0] == pytest.approx(np.abs(prediction - Y).mean(), rel=1e-5)
    assert history.history["accuracy"][0] == pytest.approx((prediction.argmax(1) == Y.argmax(1)).mean())


def test_the_validation_loss_equals_evaluate_on_the_same_data():
    model, history = train(validation_data=(X[:77], Y[:77]), metrics=["accuracy"], model=small(dropout=0.5))
    scores = model.evaluate(X[:77], Y[:77])
    assert scores == {"loss": history.history["val_loss"][-1], "accuracy": history.history["val_accuracy"][-1]}


@pytest.mark.parametrize("compile", [True, False])
def test_a_loss_that_sums_is_summed_over_all_samples_as_evaluate_does(compile):
    model = small()
    loss = mf.MSELoss(reduction="sum")
    expected = np.square(np.array(model.predict(X)) - Y).sum()
    for batch_size in (50, 130, 1):
        history = model.fit(X, Y, loss=loss, optimizer=mf.SGD(model, lr=0.0), batch_size=batch_size, verbose=0,
                            compile=compile, validation_data=(X, Y))  # fmt: skip
        found = [history.history["loss"][0], history.history["val_loss"][0], model.evaluate(X, Y)["loss"]]
        assert found == pytest.approx([expected] * 3, rel=1e-5)


@pytest.mark.parametrize("kind", ["numpy", "float64", "lists", "mlx", "torch"])
def test_every_kind_of_array_gives_the_same_weights(kind):
    convert = {
        "numpy": lambda a: a,
        "float64": lambda a: a.astype(np.float64),
        "lists": lambda a: a.tolist(),
        "mlx": mx.array,
        "torch": torch.tensor,
    }[kind]
    expected, _ = train()
    model, _ = train(x=convert(X), y=convert(Y))
    assert np.array_equal(weights(model), weights(expected))


def test_iterables_of_batches_give_the_same_weights_as_arrays():
    expected, history = train(shuffle=False)
    listed = [(X[i : i + 32], Y[i : i + 32]) for i in range(0, 130, 32)]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=32, shuffle=False
    )
    for source in (listed, loader, lambda: iter(listed)):
        model, streamed = train(x=source, y=None, validation_data=listed)
        assert np.array_equal(weights(model), weights(expected))
        assert streamed.history["loss"] == pytest.approx(history.history["loss"])
    model, _ = train(x=iter(listed), y=None, epochs=1)
    assert np.array_equal(weights(model), weights(train(shuffle=False, epochs=1)[0]))


def test_a_model_with_several_inputs_takes_a_tuple():
    class Sum(mf.Module):
        def __init__(self):
            self.a, self.b = mf.Linear(2, 2), mf.Linear(2, 2)

        def forward(self, x, y):
            return self.a(x) + self.b(y)

    model, history = train(Sum(), x=(X, X[::-1].copy()), epochs=10, metrics=["mae"])
    assert history.history["loss"][-1] < history.history["loss"][0]
    expected = model.a(mx.array(X)) + model.b(mx.array(X[::-1].copy()))
    np.testing.assert_allclose(np.array(model.predict((X, X[::-1].copy()))), np.array(expected), atol=1e-6)


def test_validation_split_holds_out_random_rows():
    model = small()
    seen = []

    class Look(mf.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params["steps"])

    y = np.arange(130, dtype=np.float32).reshape(-1, 1) / 130
    model = mf.Sequential(mf.Linear(2, 1))
    history = model.fit(X, y, loss="mse", optimizer=mf.SGD(model, lr=0.0), validation_split=0.2, batch_size=13,
                        verbose=0, compile=False, seed=1, callbacks=[Look()])  # fmt: skip
    assert seen == [8]  # 104 samples to train on
    last_rows = model.evaluate(X[-26:], y[-26:])["loss"]
    assert abs(history.history["val_loss"][0] - last_rows) > 1e-3
    mean_of_both = 0.8 * history.history["loss"][0] + 0.2 * history.history["val_loss"][0]
    assert mean_of_both == pytest.approx(model.evaluate(X, y)["loss"], rel=1e-5)


def test_sample_and_class_weights_scale_the_losses():
    labels = Y.argmax(1)
    by_class, _ = train(class_weight={0: 3.0, 1: 0.5})
    by_sample, _ = train(sample_weight=np.where(labels == 0, 3.0, 0.5))
    assert np.array_equal(weights(by_class), weights(by_sample))
    assert not np.array_equal(weights(by_class), weights(train()[0]))
    half, _ = train(sample_weight=np.where(np.arange(130) < 65, 2.0, 0.0), shuffle=False, epochs=1, batch_size=130)
    only, _ = train(x=X[:65], y=Y[:65], shuffle=False, epochs=1, batch_size=65)
    np.testing.assert_allclose(weights(half), weights(only), rtol=1e-5)


def test_a_second_fit_continues_and_initial_epoch_counts_on():
    model, first = train(epochs=2)
    before = weights(model)
    optimizer = mf.SGD(model, lr=0.1)
    second = model.fit(X, Y, loss="mse", optimizer=optimizer, epochs=4, initial_epoch=2, verbose=0, compile=False)
    assert second.epoch == [2, 3] and len(second.history["loss"]) == 2
    assert not np.array_equal(before, weights(model))


@pytest.mark.parametrize("compile", [True, False])
def test_two_fits_with_one_optimizer_equal_one_fit_bit_for_bit(compile):
    model = small()
    optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
    _, first = train(model, optimizer=optimizer, epochs=2, compile=compile)
    _, second = train(model, optimizer=optimizer, epochs=5, initial_epoch=2, compile=compile)
    whole, history = train(epochs=5, compile=compile)
    assert np.array_equal(weights(model), weights(whole))
    assert first.history["loss"] + second.history["loss"] == history.history["loss"]


@pytest.mark.parametrize("compile", [True, False])
def test_the_same_seed_gives_the_same_weights_bit_for_bit_with_dropout(compile):
    runs = [train(small(dropout=0.3), compile=compile, seed=seed)[0] for seed in (5, 5, 6)]
    assert np.array_equal(weights(runs[0]), weights(runs[1]))
    assert not np.array_equal(weights(runs[0]), weights(runs[2]))


def test_mf_seed_alone_makes_a_training_repeatable():
    a, b = (train(small(dropout=0.3), seed=None)[0] for _ in range(2))  # small() seeds
    assert np.array_equal(weights(a), weights(b))


def test_compiled_and_eager_steps_agree_to_rounding():
    eager, slow = train(epochs=5, compile=False)
    compiled, fast = train(epochs=5, compile=True)
    np.testing.assert_allclose(weights(compiled), weights(eager), atol=1e-6)
    np.testing.assert_allclose(fast.history["loss"], slow.history["loss"], rtol=1e-5)


def test_the_learning_rate_may_change_in_a_compiled_training():
    class Halve(mf.Callback):
        def on_epoch_end(self, epoch, logs=None):
            optimizer.lr = optimizer.lr / 2

    results = []
    for compile in (True, False):
        model = small()
        optimizer = mf.SGD(model, lr=0.4, momentum=0.5, decay=0.01)
        train(model, optimizer=optimizer, callbacks=[Halve()], compile=compile)
        results.append(weights(model))
        assert optimizer.lr == pytest.approx(0.05)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_modes_are_restored_and_evaluation_uses_evaluation_mode():
    model = small(dropout=0.9)
    model[2].eval()
    train(model)
    assert model.training and not model[2].training
    model.train()
    assert mx.array_equal(model.predict(X), model.predict(X)).item()
    assert model[2].training


def test_hooks_come_in_order_and_training_can_be_stopped():
    record = Record()

    class Stop(mf.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    train(callbacks=[record, Stop()], epochs=5, batch_size=100, validation_data=(X, Y))
    epoch = ["batch 0 begin", "batch 0 end", "batch 1 begin", "batch 1 end"]
    assert record.calls == [
        "train begin", "epoch 0 begin", *epoch, "epoch 0 end", "epoch 1 begin", *epoch, "epoch 1 end", "train end",
    ]  # fmt: skip
    assert set(record.logs[0]) == {"loss", "val_loss"}
    for logs, (full, rest) in zip(record.logs, (record.losses[:2], record.losses[2:]), strict=True):
        assert logs["loss"] == pytest.approx((100 * full + 30 * rest) / 130)


def test_a_model_that_looks_at_values_runs_uncompiled_after_one_warning():
    class Branch(mf.Module):
        def __init__(self):
            self.a, self.b = mf.Linear(2, 2), mf.Linear(2, 2)

        def forward(self, x):
            return self.a(x) if (x if isinstance(x, mx.array) else x.value).sum().item() > 0 else self.b(x)

    def branch():
        mf.seed(0)
        return Branch()

    with pytest.warns(UserWarning, match="cannot be compiled"):
        model, history = train(branch(), compile=True)
    assert history.history["loss"][-1] < history.history["loss"][0]
    expected, _ = train(branch(), compile=False)
    assert np.array_equal(weights(model), weights(expected))


# ------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    "options, message",
    [
        ({"x": X[:100]}, "same number of samples everywhere, got x 100, y 130"),
        ({"x": X[:0], "y": Y[:0]}, r"at least one sample, got x of shape \(0, 2\)"),
        ({"batch_size": 0}, "fit: expected batch_size as a whole number of at least 1, got 0"),
        ({"batch_size": 2.5}, "batch_size as a whole number of at least 1, got 2.5"),
        ({"loss": "msee"}, "unknown loss 'msee'; known: mse"),
        ({"optimizer": "sgdd"}, "unknown optimizer 'sgdd'; known: sgd"),
        ({"metrics": ["acuracy"]}, "unknown metric 'acuracy'; known: accuracy"),
        ({"metrics": ["mae", "mae"]}, "metric 'mae' is given twice"),
        ({"epochs": -1}, "fit: expected epochs as a whole number of at least 0, got -1"),
        ({"validation_split": 1.0}, "0 <= validation_split < 1"),
        ({"validation_split": 0.001}, "validation_split=0.001 of 130 samples leaves 130"),
        ({"validation_split": 0.5, "validation_data": (X, Y)}, "no validation_data beside it"),
        ({"validation_data": (X, Y[:5])}, "validation_data: expected the same number of samples"),
        ({"sample_weight": np.ones(5)}, "got x 130, y 130, sample_weight 5"),
        ({"class_weight": {0: 1.0}, "sample_weight": np.ones(130)}, "no sample_weight beside it"),
        ({"class_weight": {7: 2.0}}, "no sample has class 7"),
        ({"y": None}, "expected targets y beside the inputs x"),
        ({"x": X[:, :1]}, r"fit: Linear\(2 -> 8\): expected input \(batch, 2\), got \(130, 1\)"),
        (
            {"y": Y[:, 0]},
            r"fit: MSELoss: expected a target of the prediction's shape \(130, 2\), got \(130,\); for class",
        ),
        ({"x": [[1.0, 2.0], [3.0]]}, "a rectangular list"),
        (
            {"loss": "cross_entropy", "y": Y.argmax(1) + 1},
            r"fit: CrossEntropyLoss: .* labels in 0..1, got 2 at \[\d\]; classes count from 0: use y - 1$",
        ),
        ({"x": [], "y": None}, "the iterable gave no batches"),
        ({"x": [X], "y": None}, r"batch 1: expected \(x, y\) or \(x, y, sample_weight\), got ndarray"),
        ({"x": [(X, Y[:3])], "y": None}, "batch 1: expected 130 samples as in x"),
    ],
)
def test_mistakes_are_explained_before_anything_is_trained(options, message):
    model = small()
    before = weights(model)
    with pytest.raises(ValueError, match=message):
        train(model, **options)
    assert np.array_equal(before, weights(model))


def test_nan_in_the_data_is_located():
    broken = X.copy()
    broken[17, 1] = np.nan
    with pytest.raises(ValueError, match=r"fit: x has 1 NaN or infinite values, the first at \(17, 1\)"):
        train(x=broken)


def test_a_generator_cannot_be_read_twice():
    with pytest.raises(ValueError, match="a generator can be read only once"):
        train(x=((X, Y) for _ in range(3)), y=None, epochs=2)


def test_an_optimizer_of_another_model_is_refused():
    with pytest.raises(ValueError, match="the optimizer holds none of the model's parameters"):
        train(optimizer=mf.SGD(small(), lr=0.1))


def test_callbacks_must_be_callbacks_with_known_hooks():
    class Misspelt(mf.Callback):
        def on_epoch_ends(self, epoch, logs=None):
            pass

    with pytest.raises(ValueError, match="Misspelt.on_epoch_ends is never called; the hooks are on_train_begin"):
        train(callbacks=[Misspelt()])
    with pytest.raises(TypeError, match=r"expected Callback objects, got .*; write Record\(\)"):
        train(callbacks=[Record])


@pytest.mark.parametrize(
    "y, words",
    [
        (np.zeros(7), r"got float32 of shape \(7,\); use y.astype\(int\), in MLX astype\(mx.int32\)"),
        (np.zeros((7, 1)), r"got float32 of shape \(7, 1\); use y.reshape\(-1\).astype\(int\)"),
        (np.zeros((7, 1), int), r"integer targets of shape \(7,\) for predictions \(7, 3\), got \(7, 1\); use y.resh"),
        (np.zeros((7, 4)), r"a target of the prediction's shape \(7, 3\), got \(7, 4\)"),
    ],
)
def test_unsuitable_labels_are_explained_with_the_users_own_shapes(y, words):
    model = mf.Linear(2, 3)
    for ask in (model.fit, model.evaluate):
        options = {"optimizer": "sgd", "verbose": 0} if ask == model.fit else {}
        with pytest.raises(ValueError, match=f"CrossEntropyLoss: expected .*{words}"):
            ask(np.ones((7, 2)), y, loss="cross_entropy", **options)
