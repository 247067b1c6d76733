"""Everything public can be copied and pickled, and a copy does what the original does without touching it."""

import copy
import inspect
import pickle
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from catalogue import CASES

import miniframe as mf

WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


def numbers(outputs):
    return [np.array(output) for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


def same(one, other):
    assert len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other))


def inputs_of(case):
    return [mx.array(a.astype(np.float32) if a.dtype.kind == "f" else a) for a in case.inputs(np.random.default_rng(0))]


# -------------------------------------------------------------------- layers, losses, models


@each_way
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("name", CASES)
def test_layers_and_losses(name, used, way):
    module, inputs = CASES[name].make().eval(), inputs_of(CASES[name])
    if used:
        module(*inputs)
    twin = way(module)
    same(numbers(module(*inputs)), numbers(twin(*inputs)))
    assert repr(twin) == repr(module) and twin.training is module.training
    if way is not copy.copy:
        for cell in cells(twin):
            cell.value = cell.value + 1
        assert not cells(module) or not np.array_equal(values(module), values(twin))
        assert not {id(cell) for cell in cells(twin)} & {id(cell) for cell in cells(module)}


def values(module):
    return np.concatenate([np.array(cell.value, dtype=np.float32).ravel() for cell in cells(module)])


def cells(module):
    return [*module.parameters(), *module.buffers()]


def wired():
    """A graph that was changed after it was wired, with a layer that is used twice."""
    x = mf.Input((3,), name="x")
    shared = mf.Linear(3, 3)
    h = shared(x).named("h")
    graph = mf.Graph(x, shared(h) * h + 1)
    return graph.insert("h", mf.Tanh())


@pytest.mark.parametrize("way", [copy.deepcopy, WAYS["pickle"]])
@pytest.mark.parametrize("after", ["nothing", "forward", "backward", "fit"])
def test_graphs_at_any_time(way, after):
    graph, x = wired(), mx.arange(6).reshape(2, 3) / 5
    if after in ("forward", "backward"):
        graph(x)
    if after == "backward":
        graph.backward(mx.ones((2, 3)))
    if after == "fit":
        graph.fit(x, x, loss="mse", optimizer="sgd", epochs=2, verbose=0)
    twin = way(graph)
    assert list(twin.names) == list(graph.names)
    same(numbers(twin(x)), numbers(graph(x)))
    graph.zero_grad(), twin.zero_grad()
    same(numbers(twin.backward(mx.ones((2, 3)))), numbers(graph.backward(mx.ones((2, 3)))))
    same([np.array(p.grad) for p in twin.parameters()], [np.array(p.grad) for p in graph.parameters()])
    twin.remove("tanh")
    assert "tanh" in graph.names


def test_a_pickled_graph_goes_on_in_another_process(tmp_path):
    graph, x = wired(), mx.arange(6).reshape(2, 3) / 5
    (tmp_path / "graph").write_bytes(pickle.dumps(graph))
    code = (
        "import pickle, sys, mlx.core as mx, miniframe as mf\n"
        "graph = pickle.load(open(sys.argv[1], 'rb'))\n"
        "v = mf.Variable(mx.arange(6).reshape(2, 3) / 5)\n"
        "(graph(v) * v.exp()).sum().backward()\n"
        "print(v.grad.tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "graph"], capture_output=True, text=True, check=True)
    v = mf.Variable(x)
    (graph(v) * v.exp()).sum().backward()
    np.testing.assert_allclose(np.array(eval(done.stdout)), np.array(v.grad), rtol=1e-6)


@each_way
def test_nodes_and_their_copies_can_meet_in_one_expression(way):
    a = mf.Variable(2.0)
    squared = a * a
    twin = way(squared)
    product = squared.exp() * twin
    product.backward()
    assert twin.index != squared.index and twin.inputs[0].value.item() == 2.0
    assert product.value.item() == pytest.approx(np.exp(4) * 4)
    through_twin = np.exp(4) * 2 * 2 if twin.inputs[0] is a else 0
    assert a.grad.item() == pytest.approx(np.exp(4) * 4 * 4 + through_twin)
    if twin.inputs[0] is not a:
        assert twin.inputs[0].grad.item() == pytest.approx(np.exp(4) * 4)


@pytest.mark.parametrize("dtype", [mx.float32, mx.int32, mx.bool_, mx.bfloat16])
def test_inputs_and_the_types_of_their_numbers(dtype):
    for way in WAYS.values():
        twin = way(mf.Input((3,), name="x", dtype=dtype))
        assert (twin.name, twin.shape, twin.hint.dtype) == ("x", (None, 3), dtype)


# -------------------------------------------------------------------- what trains them

SCHEDULES = {
    "constant": mf.schedules.constant(0.1),
    "step": mf.schedules.step(0.1, 3, 0.5),
    "exponential": mf.schedules.exponential(0.1, 0.9, every=2),
    "linear": mf.schedules.linear(0.0, 0.1, 5),
    "warmup": mf.schedules.warmup(0.1, 4),
    "cosine": mf.schedules.cosine(0.1, 9, end=0.01),
    "one_cycle": mf.schedules.one_cycle(0.1, 9),
    "then": mf.schedules.linear(0.0, 0.1, 5).then(mf.schedules.cosine(0.1, 4), after=5),
    "product": 2 * mf.schedules.step(0.1, 3) * mf.schedules.cosine(0.1, 9),
}


@each_way
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name, way):
    schedule = SCHEDULES[name]
    twin = way(schedule)
    assert [twin(t) for t in range(12)] == [schedule(t) for t in range(12)] and repr(twin) == repr(schedule)


OPTIMIZERS = {name: getattr(mf, name) for name in ("SGD", "Adagrad", "RMSprop", "Adam", "AdamW")}


@pytest.mark.parametrize("way", [copy.deepcopy, WAYS["pickle"]])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_their_model_and_in_the_midst_of_a_training(name, way):
    x = mx.arange(12).reshape(4, 3) / 6
    model = mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 3))
    optimizer = OPTIMIZERS[name](model, lr=SCHEDULES["cosine"])
    model.fit(x, x, loss="mse", optimizer=optimizer, epochs=3, verbose=0, shuffle=False)
    twin, twins_optimizer = way((model, optimizer))
    for m, o in ((model, optimizer), (twin, twins_optimizer)):
        m.fit(x, x, loss="mse", optimizer=o, epochs=3, verbose=0, shuffle=False)
    same([np.array(c.value) for c in cells(twin)], [np.array(c.value) for c in cells(model)])
    assert repr(twins_optimizer) == repr(optimizer) and twins_optimizer.iterations == optimizer.iterations == 6


CALLBACKS = {
    "Callback": lambda path: mf.Callback(),
    "LambdaCallback": lambda path: mf.LambdaCallback(on_epoch_end=print),
    "CSVLogger": lambda path: mf.CSVLogger(path / "log.csv"),
    "LiveCurve": lambda path: mf.LiveCurve("loss"),
    "TensorBoard": lambda path: mf.TensorBoard(path / "events", histograms=2),
    "EarlyStopping": lambda path: mf.EarlyStopping("loss", patience=2),
    "ReduceLROnPlateau": lambda path: mf.ReduceLROnPlateau("loss", patience=1),
    "ModelCheckpoint": lambda path: mf.ModelCheckpoint(path / "{batch}.model", save_freq=1),
    "FlightRecorder": lambda path: mf.FlightRecorder(every=1),
}


@each_way
@pytest.mark.parametrize("used", [False, True], ids=["new", "used"])
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks(name, used, way, tmp_path, capsys):
    def fit(callback):
        mf.seed(0)
        model = mf.Linear(3, 3)
        x = mx.arange(12).reshape(4, 3) / 6
        options = {"epochs": 3, "verbose": 0, "shuffle": False, "callbacks": [callback]}
        history = model.fit(x, x, loss="mse", optimizer=mf.SGD(model, lr=0.01), **options)
        return history.history, capsys.readouterr().out

    callback = CALLBACKS[name](tmp_path)
    if used:
        fit(callback)
    twin = way(callback)
    plain = {key for key, value in vars(callback).items() if isinstance(value, (int, float, str))}
    assert {key: vars(twin)[key] for key in plain} == {key: vars(callback)[key] for key in plain}
    before = {key: vars(callback)[key] for key in plain}
    first = fit(twin)
    assert before == {key: vars(callback)[key] for key in plain}, "the copy changed the original"
    assert fit(CALLBACKS[name](tmp_path)) == first


# -------------------------------------------------------------------- what they report

MODEL = mf.Sequential(mf.Linear(2, 3), mf.Tanh(), mf.Linear(3, 1))
X = mx.array([[0.5, -1.0], [2.0, 0.25]])


def node():
    return (mf.Variable(2.0) * 3).named("six")


RESULTS = {
    "History": lambda: MODEL.fit(X, X[:, :1], loss="mse", optimizer="sgd", epochs=2, verbose=0),
    "Report": lambda: mf.check_gradients(MODEL, X),
    "Comparison": lambda: mf.compare_gradients(MODEL, "mse", X, X[:, :1]),
    "Trace": lambda: mf.trace(MODEL, X),
    "Trace after backward": lambda: mf.trace(MODEL, X, mf.MSELoss(), X[:, :1]),
    "steps": lambda: list(mf.backward_steps(MODEL, mf.MSELoss(), X, X[:, :1])),
    "JacobianRoute": lambda: mf.jacobian_route(MODEL, mf.MSELoss(), X[:1], X[:1, :1]),
    "Maximized": lambda: mf.explain.maximize_activation(mf.Conv2d(3, 2, 3), "", 0, (8, 8, 3), steps=2),
    "Parameter": lambda: mf.Parameter(X),
    "Buffer": lambda: mf.Buffer(X),
    "Node": node,
    "NonFiniteError": lambda: mf.NonFiniteError("loss became NaN"),
    "DistributedError": lambda: mf.DistributedError("a rank is lost"),
    "GuardrailWarning": lambda: mf.GuardrailWarning("a likely mistake"),
    "RecorderWarning": lambda: mf.RecorderWarning("a dead layer"),
}


@each_way
@pytest.mark.parametrize("name", RESULTS)
def test_what_is_reported(name, way):
    result = RESULTS[name]()
    twin = way(result)
    assert type(twin) is type(result) and repr(twin) == repr(result) and str(twin) == str(result)


# bases, a layer of the user's functions, a context, and a layer that test_sampling.py copies
MADE_BY_HAND = {"Module", "Loss", "Optimizer", "Tap", "no_grad", "VectorQuantizer", "WandbLogger", "MLflowLogger"}


def test_no_public_class_is_forgotten():
    covered = {*CASES, *OPTIMIZERS, *CALLBACKS, *RESULTS, *MADE_BY_HAND}
    assert {name for name in mf.__all__ if inspect.isclass(getattr(mf, name))} <= covered


@each_way
@pytest.mark.parametrize("tracker", [mf.WandbLogger("p", mode="offline"), mf.MLflowLogger("e", uri="file:///nowhere")])
def test_trackers_that_need_seconds_to_start(way, tracker):
    assert vars(way(tracker)) == vars(tracker)


@each_way
def test_taps_with_functions_that_have_a_name(way):
    twin = way(mf.Tap(forward=mx.negative, backward=mx.abs))
    assert twin(X).tolist() == (-X).tolist() and twin.backward(-X).tolist() == mx.abs(X).tolist()
