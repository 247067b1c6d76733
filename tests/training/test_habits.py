"""What users of Keras, PyTorch and scikit-learn write around fit: it works, or one line says what to write."""

import mlx.core as mx
import mlx.nn
import numpy as np
import pytest
import torch

import miniframe as mf

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 4))
Y = 2 * X[:, :1] + 1
LABELS = (X[:, 0] > 0).astype(int)


def regression():
    return mf.Sequential(mf.Linear(4, 8), mf.ReLU(), mf.Linear(8, 1))


def classes(outputs=2):
    return mf.Sequential(mf.Linear(4, 8), mf.ReLU(), mf.Linear(8, outputs))


def fit(model=None, x=X, y=Y, **options):
    return (model or regression()).fit(x, y, **{"loss": "mse", "optimizer": "adam", "verbose": 0, "seed": 0, **options})


class TableLike:
    """What a table of pandas shows to NumPy."""

    def __init__(self, numbers):
        self.numbers, self.shape = numbers, numbers.shape

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.numbers, dtype)


class Numbered:
    """A dataset of PyTorch: samples by number, and no batches."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        if index >= 64:
            raise IndexError
        return X[index], Y[index]


class TwoInputs(mf.Module):
    def __init__(self):
        self.fc = mf.Linear(4, 1)

    def forward(self, a, b):
        return self.fc(a * b)


class TwoOutputs(mf.Module):
    def __init__(self):
        self.a, self.b = mf.Linear(4, 1), mf.Linear(4, 1)

    def forward(self, x):
        return self.a(x), self.b(x)


# -------------------------------------------------------------------- what works


@pytest.mark.parametrize(
    "options",
    [
        {},  # float64 of NumPy
        {"x": X.tolist(), "y": Y.tolist()},
        {"x": TableLike(X), "y": TableLike(Y)},
        {"x": torch.tensor(X), "y": torch.tensor(Y)},
        {"model": TwoInputs(), "x": (X, X)},
        {"batch_size": 1000},
        {"epochs": 0},
        {"callbacks": mf.EarlyStopping(monitor="loss")},
        {"callbacks": None},
        {"metrics": "mae"},
        {"loss": mf.MSELoss},
        {"model": classes(), "y": LABELS, "loss": "cross_entropy"},
        {"model": classes(), "y": np.eye(2)[LABELS], "loss": "cross_entropy"},
        {"model": classes(), "y": LABELS.astype(bool), "loss": "cross_entropy"},
        {"y": LABELS[:, None], "loss": "bce_with_logits", "metrics": ["accuracy", "f1"]},
        {"validation_data": (X, Y)},
        {"validation_data": [(X, Y)]},
    ],
)
def test_it_works(options):
    history = fit(**options)
    assert all(np.isfinite(values).all() for values in history.history.values())


def test_a_history_can_be_asked_for_a_row():
    history = fit(epochs=2)
    assert history["loss"] == history.history["loss"] and len(history["loss"]) == 2


def test_a_model_may_be_called_on_what_numpy_has():
    model = regression()
    assert model(X).dtype == mx.float32 and model(X.tolist()).shape == (64, 1)
    loss = mf.MSELoss(model)
    assert isinstance(loss(model(X), Y).item(), float)
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


# -------------------------------------------------------------------- what has a remedy

CE = {"model": classes(), "loss": "cross_entropy"}


@pytest.mark.parametrize(
    "options, error, words",
    [
        ({"lr": 0.1}, TypeError, r"^fit: lr belongs to the optimizer; write optimizer=Adam\(model, lr=0\.001\)$"),
        ({"learning_rate": 0.1}, TypeError, "^fit: learning_rate belongs to the optimizer"),
        ({"epoch": 3}, TypeError, r"^fit: unknown argument 'epoch'; did you mean epochs\?$"),
        ({"workers": 3}, TypeError, r"^fit: unknown argument 'workers'; see help\(model\.fit\)$"),
        ({"loss": "MSE"}, ValueError, r"^fit: unknown loss 'MSE'; known: mse, .*; did you mean 'mse'\?$"),
        ({"loss": "binary_crossentropy"}, ValueError, r"did you mean 'bce'\?$"),
        ({"loss": "sparse_categorical_crossentropy"}, ValueError, r"did you mean 'cross_entropy'\?$"),
        ({"loss": mlx.nn.losses.mse_loss}, TypeError, "got the function 'mse_loss', whose gradient nobody knows"),
        ({"optimizer": "Adam"}, ValueError, r"^fit: unknown optimizer 'Adam'; known: sgd, .*; did you mean 'adam'\?$"),
        ({"optimizer": mf.Adam}, TypeError, r"got the class Adam; write Adam\(model\)$"),
        ({"metrics": ["acc"]}, ValueError, r"^fit: unknown metric 'acc'; known: accuracy, .*mean 'accuracy'\?$"),
        ({"metrics": ["f1_score"]}, ValueError, r"did you mean 'f1'\?$"),
        ({**CE, "y": LABELS, "metrics": "mae"}, ValueError, r"'mae': mae: .* shape \(64, 2\), got \(64,\)$"),
        ({**CE, "y": LABELS, "metrics": "r2"}, ValueError, r"'r2': r2: .* shape \(64, 2\), got \(64,\)$"),
        ({**CE, "y": LABELS + 1}, ValueError, "classes count from 0: use y - 1$"),
        ({**CE, "y": 2 * LABELS - 1}, ValueError, r"; use \(y \+ 1\) // 2$"),
        ({**CE, "y": LABELS * 1.0}, ValueError, r"use y\.astype\(int\), in MLX astype\(mx\.int32\)$"),
        ({**CE, "y": LABELS[:, None]}, ValueError, r"use y\.reshape\(-1\)$"),
        ({**CE, "y": ["no", "yes"] * 32}, TypeError, r"words become class numbers with np\.unique\(y, return_inverse"),
        ({"y": LABELS, "loss": "cross_entropy"}, ValueError, "for a single output take BCEWithLogitsLoss, or end the"),
        ({"y": 2 * LABELS[:, None] - 1, "loss": "bce_with_logits"}, ValueError, r"; use \(y \+ 1\) // 2$"),
        ({"y": Y[:, 0]}, ValueError, r"use y\.reshape\(-1, 1\)$"),
        ({"x": X.astype(object)}, TypeError, r"^fit: x: .* dtype object; try astype\(float\)$"),
        (
            {"x": (10 * X).astype(int)},
            TypeError,
            r"expected real numbers, got mlx\.core\.int32; use mx\.array\(x\)\.astype",
        ),
        ({"x": X[:0], "y": Y[:0]}, ValueError, r"expected at least one sample, got x of shape \(0, 4\)$"),
        ({"x": np.where(X > 2, np.nan, X)}, ValueError, r"^fit: x has \d+ NaN or infinite values, the first at \("),
        ({"x": [X, X], "model": TwoInputs()}, ValueError, "several inputs are a tuple, not a list$"),
        ({"x": (X, Y), "y": None}, ValueError, r"arrays are given as fit\(x, y\) and validation_data=\(x, y\)$"),
        ({"validation_data": [X, Y]}, ValueError, r"arrays are given as fit\(x, y\) and validation_data=\(x, y\)$"),
        ({"validation_data": X}, ValueError, "^fit: validation_data: expected targets y beside the inputs x"),
        ({"x": X[:, 0], "model": mf.Linear(1, 1)}, ValueError, r"needs a batch axis: x\.reshape\(-1, 1\)$"),
        ({"x": "points.csv", "y": None}, TypeError, r"got a path; read_csv\(path\) reads tables$"),
        (
            {"x": Numbered(), "y": None},
            TypeError,
            r"got Numbered; DataLoader\(dataset, batch_size=32\) makes batches of",
        ),
        ({"batch_size": 0}, ValueError, "expected batch_size as a whole number of at least 1, got 0$"),
        ({"batch_size": None}, ValueError, "expected batch_size as a whole number of at least 1, got None$"),
        ({"epochs": "3"}, ValueError, "expected epochs as a whole number of at least 0, got '3'$"),
        ({"verbose": "auto"}, ValueError, "^fit: expected verbose as 0, 1 or 2, got 'auto'$"),
        ({"callbacks": [mf.EarlyStopping]}, TypeError, r"; write EarlyStopping\(\)$"),
        ({"callbacks": [print]}, TypeError, r"; write LambdaCallback\(on_epoch_end=function\)$"),
        (
            {"model": TwoOutputs()},
            TypeError,
            "MSELoss: expected one array as the prediction, got a tuple of 2; give each",
        ),
    ],
)
def test_fit_says_what_to_write(options, error, words):
    with pytest.raises(error, match=words) as caught:
        fit(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "use, error, words",
    [
        (
            lambda m: m.fit(X, Y, 32, 10),
            TypeError,
            "^fit: after y, arguments are written with their names: batch_size=32",
        ),
        (lambda m: m.evaluate(X, Y, verbose=0), TypeError, "^evaluate: .* prints nothing, so leave it out$"),
        (lambda m: m.predict(X, verbose=0), TypeError, "^predict: .* prints nothing, so leave it out$"),
        (lambda m: m.predict(X, batchsize=3), TypeError, r"^predict: .*'batchsize'; did you mean batch_size\?$"),
        (lambda m: m.compile("adam", "mse", run_eagerly=True), TypeError, "^compile: unknown argument 'run_eagerly'"),
        (lambda m: m.predict(X[0]), ValueError, r"got \(4,\); a single sample needs a batch axis: x\[None\]$"),
        (lambda m: m.predict([1, 2, 3, 4]), ValueError, r"got \(4,\); a single sample needs a batch axis: x\[None\]$"),
        (lambda m: TwoInputs().predict([X, X]), ValueError, "x is one array, or a tuple with an array for each input"),
        (
            lambda m: m.summary(),
            ValueError,
            r"^summary: expected the shape of one sample, such as \(2,\) .* got nothing$",
        ),
        (
            lambda m: mf.check_gradients(mx.exp, X),
            TypeError,
            "^check_gradients: expected a layer, a loss or a model, got",
        ),
        (lambda m: mf.datasets.disk("10"), ValueError, "^disk: expected at least 1 point, got '10'$"),
        (lambda m: mf.Adam(lr=0.1), TypeError, r"^Adam: missing a required argument: 'model'; write Adam\(model, lr=0"),
        (lambda m: mf.Adam(m, learning_rate=0.1), TypeError, "^Adam: learning_rate is called lr here"),
        (
            lambda m: mf.Adam(m, beta_1=0.9),
            TypeError,
            "^Adam: unknown argument 'beta_1'; known: model, lr, betas, eps, am",
        ),
        (lambda m: mf.Adam(m, lr="0.1"), ValueError, "^Adam: expected a learning rate or a schedule as lr, got '0.1'$"),
        (lambda m: mf.SGD(m, lr=-1), ValueError, "^SGD: expected a learning rate >= 0, got -1"),
    ],
)
def test_so_do_the_others(use, error, words):
    with pytest.raises(error, match=words):
        use(regression())


def test_an_optimizer_of_ones_own_may_hand_arguments_on():
    class Calm(mf.Adam):
        def __init__(self, model, calm=2.0, **options):
            super().__init__(model, lr=0.1 / calm, **options)

    assert Calm(regression(), betas=(0.5, 0.9), weight_decay=0.1).lr == 0.05
    with pytest.raises(TypeError, match="^Calm: unknown argument 'beta'; known: model, calm, lr, betas"):
        Calm(regression(), beta=0.5)


def test_a_gradient_added_to_none_is_told_of_accumulate():
    class Scale(mf.Module):
        def __init__(self):
            self.w = mf.Parameter(mx.ones(4))

        def forward(self, x):
            self.saved = x
            return x * self.w.value

        def backward(self, grad_output):
            self.w.grad += (grad_output * self.saved).sum(axis=0)
            return grad_output * self.w.value

    with pytest.raises(TypeError, match=r"; a gradient is None before the first backward: write self\.weight\.accumul"):
        fit(mf.Sequential(Scale(), mf.Linear(4, 1)))


def test_mae_of_a_column_and_a_row_is_no_table():
    column, row = mx.zeros((3, 1)), mx.zeros((3,))
    for metric in (mf.metrics.mae, mf.metrics.mse):
        with pytest.raises(ValueError, match=r"expected targets of the prediction's shape \(3, 1\), got \(3,\)$"):
            metric(column, row)
