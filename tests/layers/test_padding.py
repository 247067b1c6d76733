"""Sequences of different lengths: filled up, masked in recurrent layers, and dropped between these, as PyTorch does."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_mx_grad, by_torch, close, normal
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.nn.utils.rnn import pad_sequence as pad_theirs

import miniframe as mf

KINDS = ("RNN", "GRU", "LSTM")
BEHIND = np.array([[True, True, True, False], [True, False, False, False], [True, True, True, True]])
ANYWHERE = np.array([[False, True, False, True], [True, True, False, False], [False, False, False, False]])
OPTIONS = {
    "one layer": dict(),
    "two layers, both directions": dict(num_layers=2, bidirectional=True),
    "last output of both directions": dict(return_sequences=False, bidirectional=True),
    "with state": dict(return_state=True, num_layers=2, bidirectional=True),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_option = pytest.mark.parametrize("name", OPTIONS)


def made(kind, options):
    mf.seed(3)
    return getattr(mf, kind)(2, 3, **options)


def theirs(layer, lengths):
    """PyTorch's layer with the same weights, on packed sequences of these lengths."""
    module = getattr(torch.nn, type(layer).__name__)(
        2, 3, layer.num_layers, batch_first=True, bidirectional=layer.directions == 2
    )
    module.load_state_dict({name: torch.tensor(np.array(p.value)) for name, p in layer.named_parameters()})

    def run(x, mask):
        packed, state = module(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        y = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]
        h = state[0] if isinstance(state, tuple) else state
        return y if layer.return_sequences else h[-layer.directions :].transpose(0, 1).flatten(1)

    return run, {path: (p, lambda a: a) for path, p in module.named_parameters()}


@each_option
@each_kind
def test_padding_agrees_with_three_witnesses(kind, name):
    layer, x = made(kind, OPTIONS[name]), normal(3, 4, 2)
    assert mf.check_gradients(layer, x, BEHIND).passed
    if layer.return_state:
        return
    by_mx_grad(layer, x, BEHIND)
    run, weights = theirs(layer, [3, 1, 4])
    by_torch(layer, run, x, BEHIND, weights=weights)
    target = np.zeros(layer(mx.array(x, mx.float32), mask=mx.array(BEHIND)).shape)
    found = mf.compare_gradients(layer, mf.MSELoss(), (x, BEHIND), target)
    assert not found.absent and found.max_error < 1e-6, found


@each_option
@each_kind
def test_padding_may_stand_anywhere_and_with_a_state_to_begin_with(kind, name):
    layer = made(kind, OPTIONS[name])
    shape = 3, layer.num_layers * layer.directions, 3
    states = [normal(*shape, seed=k) for k in range(layer.states)]
    report = mf.check_gradients(layer, normal(3, 4, 2), *states, ANYWHERE)
    assert report.passed, report


@each_kind
def test_a_sequence_is_the_same_alone_and_in_a_batch_of_longer_ones(kind):
    layer = made(kind, dict(num_layers=2, bidirectional=True, return_state=True))
    x = mx.array(normal(3, 4, 2), mx.float32)
    y, *states = layer(x, mask=mx.array(BEHIND))
    alone, *ends = layer(x[:1, :3])
    close(y[:1, :3], alone)
    for state, end in zip(states, ends):
        close(state[:1], end)
    assert mx.abs(y[0, 3]).max().item() == 0


@each_kind
def test_whatever_stands_in_padding_changes_nothing_and_gets_no_gradient(kind):
    layer, x = made(kind, dict(bidirectional=True)), normal(3, 4, 2).astype(np.float32)
    filled = np.where(BEHIND[..., None], x, np.nan)
    mask, dy = mx.array(BEHIND), mx.array(normal(3, 4, 6, seed=1), mx.float32)
    expected = layer(mx.array(x), mask=mask)
    layer.zero_grad()
    dx, none = layer.backward(dy)
    grads = [np.array(p.grad) for p in layer.parameters()]
    assert none is None and np.all(np.array(dx)[~BEHIND] == 0) and np.all(np.array(dx)[BEHIND] != 0)
    layer.zero_grad()
    close(layer(mx.array(filled), mask=mask), expected)
    close(layer.backward(dy)[0], dx)
    for parameter, grad in zip(layer.parameters(), grads):
        close(parameter.grad, grad)


@each_kind
def test_a_mask_of_true_alone_is_no_mask(kind):
    layer, x = made(kind, dict(bidirectional=True)), mx.array(normal(3, 4, 2), mx.float32)
    close(layer(x, mask=[[True] * 4] * 3), layer(x))


@each_kind
def test_a_model_takes_its_mask_along_and_trains_compiled(kind):
    class Reader(mf.Module):
        def __init__(self):
            self.rnn, self.head = getattr(mf, kind)(1, 8, return_sequences=False), mf.Linear(8, 2)

        def forward(self, x, mask):
            return self.head(self.rnn(x, mask=mask))

    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(rng.integers(2, 7), 1)) for _ in range(60)]
    x, mask = mf.pad_sequences(sequences, value=9)
    y = mx.array([int(sequence[-1, 0] > 0) for sequence in sequences])  # the last real number decides
    mf.seed(0)
    model = Reader()
    options = dict(loss="cross_entropy", optimizer=mf.Adam(model, lr=0.03), epochs=30, batch_size=20, verbose=0, seed=0)
    history = model.fit((x, mask), y, metrics=["accuracy"], **options)
    assert history.history["accuracy"][-1] > 0.9


def test_masks_that_do_not_fit_are_refused():
    layer, x = mf.LSTM(2, 3), mx.zeros((3, 4, 2))
    with pytest.raises(TypeError, match=r"LSTM\(2 -> 3\): expected a mask of bools, got .*float32; use mask.astype"):
        layer(x, mask=mx.ones((3, 4)))
    with pytest.raises(ValueError, match=r"expected a mask \(3, 4\), True where a step is no padding, got \(4, 3\)"):
        layer(x, mask=mx.ones((4, 3), dtype=mx.bool_))


def test_pytorch_is_no_witness_of_padding_that_it_cannot_have():
    found = mf.compare_gradients(mf.GRU(2, 3), mf.MSELoss(), (normal(3, 4, 2), ANYWHERE), np.zeros((3, 4, 3)))
    assert "padding anywhere but at the ends" in found.absent["PyTorch"] and found.max_error < 1e-6


# -------------------------------------------------------------------- dropout between layers


@each_kind
def test_dropout_lies_between_the_layers_and_in_backward_too(kind):
    layer = made(kind, dict(num_layers=3, dropout=0.5))
    x = normal(2, 3, 2)
    assert mf.check_gradients(layer, x).passed
    by_mx_grad(layer, x)
    array = mx.array(x, mx.float32)
    assert not mx.allclose(layer(array), layer(array))
    plain = made(kind, dict(num_layers=3))
    close(layer.eval()(array), plain(array))
    single = made(kind, dict(dropout=0.5))
    close(single(array), made(kind, {})(array))  # nothing lies above


@each_kind
def test_what_is_dropped_is_scaled_so_that_the_mean_stays(kind):
    layer = made(kind, dict(num_layers=2, dropout=0.25))
    layer(mx.zeros((50, 20, 2)))
    kept = np.array(layer.saved[1][0])
    assert set(np.unique(kept)) == {0, np.float32(1 / 0.75)} and abs(kept.mean() - 1) < 0.05


@each_kind
def test_dropout_goes_to_pytorch_and_back(kind):
    layer = made(kind, dict(num_layers=2, dropout=0.25))
    module = mf.interop.to_torch(layer)
    assert module.dropout == 0.25 and repr(mf.interop.from_torch(module)) == repr(layer)
    assert layer.title() == f"{kind}(2 -> 3, 2 layers, dropout=0.25)"
    with pytest.raises(ValueError, match="expected a probability 0 <= dropout < 1, got 1"):
        getattr(mf, kind)(2, 3, dropout=1)


# -------------------------------------------------------------------- filling up


def test_sequences_are_filled_up_behind_their_ends_as_pytorch_does():
    arrays = [normal(n, 2).astype(np.float32) for n in (3, 1, 4)]
    x, mask = mf.pad_sequences(arrays, value=7)
    expected = pad_theirs([torch.tensor(a) for a in arrays], batch_first=True, padding_value=7)
    assert np.array_equal(np.array(x), expected.numpy()) and np.array_equal(np.array(mask), BEHIND)
    tokens, _ = mf.pad_sequences([[5, 6], [1]], value=-100)
    assert tokens.tolist() == [[5, 6], [1, -100]] and tokens.dtype == mx.int32


@pytest.mark.parametrize(
    "sequences, message",
    [
        ([], "expected at least one sequence, got none"),
        ([[1, 2], [1.5]], r"differ in their lengths only, got \(2,\) of .*int32, \(1,\) of .*float32"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"got \(2, 3\) of .*, \(2, 4\) of"),
        ([1, [2]], r"got \(\) of"),
    ],
)
def test_what_cannot_be_filled_up_is_refused(sequences, message):
    with pytest.raises(ValueError, match=f"pad_sequences: .*{message}"):
        mf.pad_sequences(sequences)
