"""RNN, GRU and LSTM against three witnesses, for inputs, states and weights, with every option."""

import hypothesis
import hypothesis.strategies as st
import mlx.core as mx
import mutants
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, close, normal
from torch import nn

import miniframe as mf

KINDS = {"RNN": mf.RNN, "GRU": mf.GRU, "LSTM": mf.LSTM}
each_kind = pytest.mark.parametrize("kind", KINDS)

CASES = {
    "one layer": (dict(), (3, 5, 2)),
    "no bias": (dict(bias=False), (3, 4, 2)),
    "two layers": (dict(num_layers=2), (2, 3, 2)),
    "both directions": (dict(bidirectional=True), (2, 3, 2)),
    "two layers, both directions, no bias": (dict(num_layers=2, bidirectional=True, bias=False), (3, 3, 2)),
    "last output": (dict(return_sequences=False), (3, 4, 2)),
    "last output of both directions": (dict(return_sequences=False, bidirectional=True, num_layers=2), (2, 3, 2)),
    "batch of 1": (dict(), (1, 3, 2)),
    "one step": (dict(bidirectional=True), (2, 1, 2)),
    "a single number": (dict(return_sequences=False), (1, 1, 2)),
    "with state": (dict(return_state=True, num_layers=2, bidirectional=True), (2, 3, 2)),
    "last output with state": (dict(return_state=True, return_sequences=False, bidirectional=True), (2, 3, 2)),
}
each_case = pytest.mark.parametrize("name", CASES)


class Joined(mf.Module):
    """All outputs of a layer in one array, side by side."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, *inputs):
        outputs = self.layer(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return mf.concatenate([y.flatten(1) for y in outputs], axis=1)


def made(kind, options, size=(2, 3)):
    mf.seed(3)
    return KINDS[kind](*size, **options)


def states_for(layer, batch):
    """Random states to begin with: one array for RNN and GRU, two for LSTM."""
    shape = (batch, layer.num_layers * layer.directions, layer.hidden_size)
    return [normal(*shape, seed=10 + k) for k in range(layer.states)]


def theirs(layer):
    """PyTorch's layer with the same weights."""
    options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, mf.RNN) else {}
    reference = getattr(nn, type(layer).__name__)(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.biased, batch_first=True,
        bidirectional=layer.directions == 2, **options,
    )  # fmt: skip
    reference.load_state_dict({name: torch.tensor(np.array(p.value)) for name, p in layer.named_parameters()})
    return reference


def as_joined(layer, reference):
    """PyTorch's outputs in the order and layout of Joined."""

    def run(x, *states):
        states = [state.swapaxes(0, 1) for state in states]
        given = () if not states else (tuple(states) if layer.states == 2 else states[0],)
        y, ends = reference(x, *given)
        ends = ends if isinstance(ends, tuple) else (ends,)
        if not layer.return_sequences:
            y = ends[0][-layer.directions :].swapaxes(0, 1)
        parts = [y, *(end.swapaxes(0, 1) for end in ends)] if layer.return_state else [y]
        return torch.cat([part.flatten(1) for part in parts], dim=1)

    return run


@each_case
@each_kind
@pytest.mark.parametrize("given", [False, True], ids=["from zeros, training", "from a state, evaluation"])
def test_three_witnesses(kind, name, given):
    options, shape = CASES[name]
    layer = made(kind, options)
    inputs = [normal(*shape), *(states_for(layer, shape[0]) if given else [])]
    model = Joined(layer).train(not given)
    if given or shape[1] > 1:
        by_differences(layer, *inputs)
    else:  # a single step from zeros does not use W_hh, whose gradient is zero
        assert mf.check_gradients(layer, *inputs).passed
    by_mx_grad(model, *inputs)
    reference = theirs(layer)
    weights = {f"layer.{path}": (p, lambda a: a) for path, p in reference.named_parameters()}
    by_torch(model, as_joined(layer, reference), *inputs, weights=weights)
    assert set(weights) == {path for path, _ in model.named_parameters()}


def test_rectified_units():
    layer = made("RNN", dict(nonlinearity="relu", num_layers=2))
    x = normal(3, 4, 2)
    by_differences(layer, x)
    by_mx_grad(layer, x)
    reference = theirs(layer)
    weights = {path: (p, lambda a: a) for path, p in reference.named_parameters()}
    by_torch(layer, lambda t: reference(t)[0], x, weights=weights)
    assert layer.title() == "RNN(2 -> 3, 2 layers, relu)"


@each_kind
def test_many_steps_of_many_numbers(kind):
    layer = made(kind, dict(num_layers=2, bidirectional=True), (7, 33))
    reference = theirs(layer)
    weights = {path: (p, lambda a: a) for path, p in reference.named_parameters()}
    by_torch(layer, lambda t: reference(t)[0], normal(5, 41, 7), weights=weights)


@hypothesis.settings(max_examples=10, deadline=None, derandomize=True)
@hypothesis.given(st.data())
def test_any_size_passes_the_gradient_check(data):
    n, t, c, h, layers = (data.draw(st.integers(1, 3)) for _ in range(5))
    options = {name: data.draw(st.booleans()) for name in ("bias", "bidirectional", "return_sequences", "return_state")}
    layer = made(data.draw(st.sampled_from(list(KINDS))), dict(num_layers=layers, **options), (c, h))
    states = states_for(layer, n) if data.draw(st.booleans()) else []
    report = mf.check_gradients(layer, normal(n, t, c), *states)
    assert report.passed, report


# -------------------------------------------------------------------- the formulas, written out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_one_step_is_the_formula_in_the_papers_order_of_gates():
    x, h, c = normal(1, 2), normal(1, 3, seed=1), normal(1, 3, seed=2)
    for kind in KINDS:
        layer = made(kind, {})
        w, r, b, d = (np.array(p.value, np.float64) for p in layer.parameters())
        a, u = x @ w.T + b, h @ r.T + d
        if kind == "RNN":
            expected = [np.tanh(a + u)]
        elif kind == "GRU":
            reset, keep = sigmoid(a[:, :3] + u[:, :3]), sigmoid(a[:, 3:6] + u[:, 3:6])
            expected = [(1 - keep) * np.tanh(a[:, 6:] + reset * u[:, 6:]) + keep * h]
        else:
            z = a + u
            cell = sigmoid(z[:, 3:6]) * c + sigmoid(z[:, :3]) * np.tanh(z[:, 6:9])
            expected = [sigmoid(z[:, 9:]) * np.tanh(cell), cell]
        layer.return_state = True
        states = [mx.array(s.astype(np.float32))[:, None] for s in ([h, c] if kind == "LSTM" else [h])]
        y, *ends = layer(mx.array(x.astype(np.float32))[:, None], *states)
        close(y[:, 0], expected[0])
        for end, value in zip(ends, expected, strict=True):
            close(end[:, 0], value)


@each_kind
def test_a_sequence_in_two_pieces_with_the_state_handed_over_is_the_whole_sequence(kind):
    layer, x = made(kind, dict(num_layers=2, return_state=True)), mx.array(normal(2, 7, 2).astype(np.float32))
    whole, *ends = layer(x)
    first, *states = layer(x[:, :3])
    second, *last = layer(x[:, 3:], *states)
    close(mx.concatenate([first, second], axis=1), whole)
    for a, b in zip(last, ends, strict=True):
        close(a, b)


@each_kind
def test_the_second_direction_reads_the_mirrored_sequence(kind):
    both, one = made(kind, dict(bidirectional=True)), made(kind, {})
    for name, parameter in one.named_parameters():
        parameter.value = dict(both.named_parameters())[f"{name}_reverse"].value
    x = mx.array(normal(2, 5, 2).astype(np.float32))
    close(both(x)[..., 3:], one(x[:, ::-1])[:, ::-1])


# -------------------------------------------------------------------- in models


@each_kind
def test_a_layer_used_twice_gets_the_right_gradient(kind):
    layer = made(kind, {}, (3, 3))
    by_differences(mf.Sequential(layer, mf.Tanh(), layer), normal(2, 3, 3))


@each_kind
def test_views_give_the_same_as_copies(kind):
    layer = made(kind, dict(bidirectional=True, return_state=True))
    view = mx.array(normal(5, 8, 4).astype(np.float32)).transpose(1, 0, 2)[::2, ::-1, ::2]
    states = [mx.array(normal(3, 2, 4, seed=k).astype(np.float32)).T[:, :, ::-1] for k in range(layer.states)]
    found = layer(view, *states)
    grads = tuple(mx.broadcast_to(y[:1], y.shape) for y in found)
    expected = layer(mx.array(np.array(view)), *(mx.array(np.array(s)) for s in states))
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-6)
    copies = layer.backward(tuple(mx.array(np.array(grad)) for grad in grads))
    layer(view, *states)
    for a, b in zip(layer.backward(grads), copies, strict=True):
        close(a, b, 1e-6)


def test_outputs_of_which_only_one_is_used():
    class Last(mf.Module):
        def __init__(self):
            self.lstm = mf.LSTM(2, 3, return_state=True)

        def forward(self, x):
            _, _, c = self.lstm(x)
            return c * 2

    by_differences(Last(), normal(2, 3, 2))


@each_kind
def test_summary_counts_weights_and_work(kind):
    layer = made(kind, dict(num_layers=2, bidirectional=True), (5, 4))
    found = mf.Sequential(layer, mf.Linear(8, 1)).summary((6, 5))
    assert found.rows[0].parameters == sum(p.numel() for p in theirs(layer).parameters())
    assert found.rows[0].output_shape == (6, 8)
    assert found.rows[0].multiply_adds == 6 * layer.gates * 4 * (2 * (5 + 4) + 2 * (8 + 4))


@each_kind
@pytest.mark.parametrize("compile", [True, False])
def test_it_learns_to_remember_the_first_number(kind, compile):
    mf.seed(0)
    x = mx.random.normal((200, 6, 1))
    options = dict(return_sequences=False)
    model = mf.Sequential(KINDS[kind](1, 12, **options), mf.Linear(12, 1))
    history = model.fit(
        x, x[:, 0], loss="mse", optimizer=mf.Adam(model, lr=0.02), epochs=20, batch_size=40, seed=0, verbose=0,
        compile=compile,
    )  # fmt: skip
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]


@each_kind
def test_files_bring_back_every_option(kind, tmp_path):
    layer = made(kind, dict(num_layers=2, bidirectional=True, bias=False, return_state=True, return_sequences=False))
    layer.save(tmp_path / "layer")
    loaded, x = mf.load(tmp_path / "layer"), mx.array(normal(2, 3, 2).astype(np.float32))
    assert repr(loaded) == repr(layer) and "both directions, no bias, last output, with state" in repr(layer)
    for a, b in zip(loaded(x), layer(x), strict=True):
        assert mx.array_equal(a, b)


@pytest.mark.parametrize("setting", ["num_layers", "directions"])
@pytest.mark.parametrize("number", [10**12, "many", [1]])
def test_a_damaged_file_that_claims_many_layers_is_refused_at_once(setting, number):
    from miniframe.saving.fitting import misfit

    layer = mf.RNN(2, 3)
    setattr(layer, setting, number)
    assert misfit(layer) == f"RNN has unsuitable settings ({setting}={number!r}, more than it has weights)"


@each_kind
def test_large_inputs_saturate_and_stay_finite(kind):
    layer = made(kind, dict(return_state=True))
    x = mx.array([[[1e30, -1e30]] * 4])
    outputs = layer(x)
    grads = layer.backward(tuple(mx.ones_like(y) for y in outputs))
    assert all(bool(mx.isfinite(array).all()) for array in (*outputs, grads))


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "use, error, message",
    [
        (lambda: mf.RNN(0, 3), ValueError, "RNN: expected positive sizes, got input_size=0, hidden_size=3, num_layers"),
        (lambda: mf.RNN(2, 3, nonlinearity="gelu"), ValueError, 'RNN: expected nonlinearity "tanh" or "relu", got'),
        (lambda: mf.GRU(2, 3)(mx.zeros((4, 2))), ValueError, r"GRU\(2 -> 3\): .*\(4, 2\); a single sequence needs a"),
        (lambda: mf.GRU(2, 3)(mx.zeros((4, 2, 5))), ValueError, r"features come last: x.swapaxes\(1, 2\)"),
        (lambda: mf.GRU(2, 3)(mx.zeros((4, 0, 2))), ValueError, "with at least one step, got"),
        (lambda: mf.RNN(2, 3)(mx.zeros((4, 5, 2), mx.int32)), TypeError, "expected real numbers, got mlx.core.int32"),
        (
            lambda: mf.RNN(2, 3)(mx.zeros((4, 5, 2)), mx.zeros((1, 4, 3))),
            ValueError,
            r"RNN\(2 -> 3\): expected, as the state to begin with, h \(4, 1, 3\), got \(1, 4, 3\)",
        ),
        (
            lambda: mf.LSTM(2, 3)(mx.zeros((4, 5, 2)), mx.zeros((4, 1, 3))),
            ValueError,
            r"state to begin with, h \(4, 1, 3\) and c \(4, 1, 3\), got \(4, 1, 3\)",
        ),
    ],
)  # fmt: skip
def test_unsuitable_settings_and_inputs_are_refused(use, error, message):
    with pytest.raises(error, match=message):
        use()


# -------------------------------------------------------------------- mistakes


@each_kind
def test_mistakes_in_the_derivative_of_a_step_and_in_going_back_through_time_are_caught(kind, monkeypatch):
    monkeypatch.setattr(mutants, "METHODS", ("step_backward", "unroll_backward"))
    verdicts = {str(mutant): mutants.verdict(mutant)[0] for mutant in list(mutants.mutants(kind))[::4]}
    assert "alive" not in verdicts.values(), [mutant for mutant, word in verdicts.items() if word == "alive"]
    assert sum(word == "dead" for word in verdicts.values()) >= 10
