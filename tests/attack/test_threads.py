"""Four threads with 500 jobs between them: each gets what it would get alone, to the last bit."""

import copy
import itertools
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES

import miniframe as mf
from miniframe.backend import fast_blas

THREADS, JOBS = 4, 500


def elsewhere(function, *arguments):
    """What a function returns in a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


class Gated(mf.Module):
    """Composes layers and operations, so its backward comes from recorded calls."""

    def __init__(self):
        self.values, self.gate = mf.Linear(3, 4), mf.Sequential(mf.Linear(3, 4), mf.Sigmoid())

    def forward(self, x):
        h = mf.Tanh()(self.values(x)) * self.gate(x)
        return mf.concatenate([h, h.exp() * 0.5], axis=1)


# -------------------------------------------------------------------- the jobs; each seeds itself and returns arrays


def data(shape, k):
    rng = np.random.default_rng(k)
    return mx.array(rng.normal(size=shape).astype(np.float32)), mx.array(rng.integers(0, 3, shape[0]).astype(np.int32))


def values(model):
    return [p.value for p in model.parameters()] + [b.value for b in model.buffers()]


def dense():
    return mf.Sequential(mf.Linear(3, 5), mf.BatchNorm(5), mf.Tanh(), mf.Dropout(0.3), mf.Linear(5, 3))


def convolutional():
    return mf.Sequential(mf.Conv2d(1, 2, 3), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten(), mf.Linear(8, 3))


def fitted(make, shape, k, compile):
    model, (x, y) = make(), data(shape, k)
    optimizer = [mf.Adam, mf.SGD, mf.RMSprop][k % 3](model, lr=0.01)
    history = model.fit(
        x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=6, verbose=0, seed=k, compile=compile,
        metrics=["accuracy"], validation_split=0.25,
    )  # fmt: skip
    return [*values(model), mx.array(history.history["loss"]), mx.array(history.history["val_accuracy"])]


def fit_compiled(k, folder):
    return fitted(dense, (16, 3), k, True)


def fit_eagerly(k, folder):
    return fitted(dense, (16, 3), k, False)


def fit_convolutions(k, folder):
    return fitted(convolutional, (12, 6, 6, 1), k, k % 2 == 0)


def fit_composite(k, folder):
    return fitted(lambda: mf.Sequential(Gated(), mf.Linear(8, 3)), (12, 3), k, k % 2 == 0)


def predict_and_evaluate(k, folder):
    model, (x, y) = dense(), data((20, 3), k)
    scores = model.evaluate(x, y, loss="cross_entropy", metrics=["accuracy"], batch_size=7)
    return [model.predict(x, batch_size=6), mx.array(list(scores.values()))]


def check_gradients(k, folder):
    model = [Gated, convolutional, lambda: mf.Linear(3, 2)][k % 3]()
    shape = (2, 6, 6, 1) if k % 3 == 1 else (2, 3)
    report = mf.check_gradients(model, np.random.default_rng(k).normal(size=shape))
    assert report.passed
    return [mx.array(row.numeric.astype(np.float32)) for row in report.rows]


def save_and_load(k, folder):
    model, (x, _) = dense(), data((4, 3), k)
    model.save(folder / f"{k}.mf")
    return [model.predict(x), mf.load(folder / f"{k}.mf").predict(x)]


def backward_of_a_composite(k, folder):
    model, (x, _) = Gated(), data((4, 3), k)
    x = mx.concatenate([x] * (1 + k % 3))
    dx = model.backward(model(x))
    with mf.no_grad():
        y = model(x)
    return [dx, y, *(p.grad for p in model.parameters())]


def gradients_of_samples(k, folder):
    model, (x, y) = [Gated, convolutional][k % 2](), data([(4, 3), (4, 6, 6, 1)][k % 2], k)
    return list(mf.per_sample_gradients(model, "cross_entropy", x, y).values())


def copies(k, folder):
    model, (x, _) = dense(), data((4, 3), k)
    twin = copy.deepcopy(model).eval()
    with mf.no_grad(), fast_blas.one_thread():
        return [twin(x), model(x)]


KINDS = [
    fit_compiled, fit_eagerly, fit_convolutions, fit_composite, predict_and_evaluate, check_gradients, save_and_load,
    backward_of_a_composite, backward_of_a_composite, gradients_of_samples, predict_and_evaluate, copies,
]  # fmt: skip


def job(k, folder):
    mf.seed(k)
    kind = KINDS[k % len(KINDS)]
    return kind.__name__, [np.array(a) for a in kind(k, folder)]


# -------------------------------------------------------------------- all of them


@pytest.mark.filterwarnings("ignore::miniframe.GuardrailWarning")
def test_each_job_gives_what_it_gives_alone(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    alone.mkdir(), together.mkdir()
    expected = [job(k, alone) for k in range(JOBS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(job, range(JOBS), [together] * JOBS))
    wrong = [
        f"{k}: {name}"
        for k, ((name, actual), (_, wanted)) in enumerate(zip(found, expected, strict=True))
        if len(actual) != len(wanted) or not all(map(same, actual, wanted))
    ]
    assert not wrong


def same(actual, wanted):
    """Bit for bit; on a GPU to rounding, because MLX's choice of a device is the whole process's: while one thread
    checks gradients on the CPU, the convolutions of another may run there, too."""
    on_cpu = mx.default_device() == mx.Device(mx.cpu)
    return np.array_equal(actual, wanted) if on_cpu else np.allclose(actual, wanted, rtol=1e-4, atol=1e-4)


def test_fit_in_a_thread_while_another_runs_under_no_grad():
    expected, running = fit_again(), threading.Event()
    done = threading.Event()

    def predict():
        model, (x, _) = Gated(), data((4, 3), 0)
        with mf.no_grad():
            while not done.is_set():
                mx.eval(model(x))
                running.set()

    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(predict)
        try:
            assert running.wait(10)
            for _ in range(5):
                assert all(map(np.array_equal, pool.submit(fit_again).result(), expected))
                assert all(map(np.array_equal, fit_again(), expected))
        finally:
            done.set()
        other.result()


def fit_again():
    mf.seed(3)
    return [np.array(a) for a in fit_compiled(3, None) + fit_composite(3, None)]


def seeded(make):
    mf.seed(0)
    return make()


@pytest.mark.parametrize("compile", [True, False])
def test_a_model_goes_from_thread_to_thread(compile):
    x, y = data((12, 6, 6, 1), 0)
    options = dict(loss="cross_entropy", batch_size=6, seed=0, verbose=0, compile=compile)

    def life(*threads):
        """What a model learns and predicts whose every stage runs in the next of these threads."""
        stages = itertools.cycle(threads)

        def run(function, *arguments, **named):
            return next(stages)(lambda: function(*arguments, **named))

        model = run(seeded, convolutional)
        optimizer = run(mf.Adam, model, 0.01)
        found = [*values(model)]
        for _ in range(3):
            run(model.fit, x, y, optimizer=optimizer, **options)
            found += [run(model.predict, x), *values(model)]
            assert run(lambda: np.array(model.backward(model(x)))).shape == x.shape
            run(model.evaluate, x, y)
        return [np.array(a) for a in found]

    def here(function):
        return function()

    expected = life(here)
    assert all(map(np.array_equal, life(elsewhere), expected))
    assert all(map(np.array_equal, life(elsewhere, here, elsewhere), expected))


@pytest.mark.parametrize("name", CASES)
def test_what_one_thread_makes_another_uses(name):
    case = CASES[name]
    inputs = [mf.as_array(x) for x in case.inputs(np.random.default_rng(0))]

    def output(module):
        mf.seed(1)
        found = module(*inputs)
        return [np.array(a) for a in (found if isinstance(found, tuple) else (found,))]

    expected = output(seeded(case.make))
    assert all(map(np.array_equal, elsewhere(output, seeded(case.make)), expected))
    assert all(map(np.array_equal, output(elsewhere(seeded, case.make)), expected))
    assert all(map(np.array_equal, elsewhere(output, elsewhere(copy.deepcopy, seeded(case.make))), expected))


@pytest.mark.parametrize("name", ["Adam", "AdamW", "RMSprop", "Adagrad", "SGD"])
def test_an_optimizer_goes_to_another_thread(name):
    model, (x, y) = seeded(dense), data((8, 3), 0)
    twin = copy.deepcopy(model)
    make = getattr(mf, name)
    options = dict(momentum=0.9) if name == "SGD" else {}

    def step(model, optimizer):
        mf.seed(1)
        mf.train_step(model, mf.CrossEntropyLoss(), optimizer, x, y)
        return [np.array(a) for a in values(model)]

    expected = step(twin, make(twin, lr=0.1, accumulate=1, **options))
    assert all(map(np.array_equal, elsewhere(step, model, make(model, lr=0.1, accumulate=1, **options)), expected))


@pytest.mark.parametrize("name", ["disk", "moons", "spirals", "shapes"])
def test_a_data_set_goes_to_another_thread(name):
    make = getattr(mf.datasets, name)
    assert all(map(np.array_equal, elsewhere(lambda arrays: [np.array(a) for a in arrays], make(12)), make(12)))


def test_export_says_in_which_thread_it_works(tmp_path):
    with pytest.raises(RuntimeError, match="export: MLX runs an exported function, .* in the main thread only"):
        elsewhere(mf.Linear(2, 3).export, tmp_path / "model.mlxfn", mx.array([[1.0, 2.0]]))
    assert list(tmp_path.iterdir()) == []


def test_a_process_ends_well_after_threads_have_trained():
    code = (
        "import threading, mlx.core as mx, miniframe as mf\n"
        "x, y = mf.datasets.disk(40)\n"
        "def fit(k):\n"
        "    mf.seed(k)\n"
        "    model = mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 2))\n"
        "    models.append(model)\n"
        "    model.fit(x, y, loss='cross_entropy', optimizer='adam', epochs=2, verbose=0)\n"
        "models = []\n"
        "threads = [threading.Thread(target=fit, args=(k,)) for k in range(4)]\n"
        "[t.start() for t in threads], [t.join() for t in threads]\n"
        "print(len(models), all(model.predict(x).shape == (40, 2) for model in models))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "4 True\n", "")
