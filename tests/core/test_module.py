"""Registration by assignment, switches, and words."""

import mlx.core as mx
import pytest

import miniframe as mf


class Block(mf.Module):
    def __init__(self):
        self.weight = mf.Parameter(mx.ones((2, 2)))
        self.mean = mf.Buffer(mx.zeros((2,)))
        self.inner = mf.Linear(2, 3)
        self.listed = [mf.ReLU(), mf.Linear(3, 3, bias=False)]
        self.named = {"a": mf.Parameter(mx.zeros((1,))), "b": (mf.Tanh(), mf.Dropout(0.5))}
        self._private = mf.Linear(9, 9)
        self.plain = "text"


def test_everything_assigned_is_found_in_lists_tuples_and_dicts_too():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == [
        "weight",
        "inner.weight",
        "inner.bias",
        "listed.1.weight",
        "named.a",
    ]
    assert [name for name, _ in block.named_buffers()] == ["mean"]
    assert [name for name, _ in block.named_modules()] == [
        "",
        "inner",
        "listed.0",
        "listed.1",
        "named.b.0",
        "named.b.1",
    ]


def test_parameters_and_modules_are_generators():
    block = Block()
    firsts = {
        block.parameters: block.weight,
        block.buffers: block.mean,
        block.modules: block,
        block.named_parameters: ("weight", block.weight),
        block.named_buffers: ("mean", block.mean),
        block.named_modules: ("", block),
    }
    for make, first in firsts.items():
        generator = make()
        assert iter(generator) is generator and next(generator) == first
        assert len(list(make())) == len(list(generator)) + 1


def test_a_shared_parameter_or_module_counts_once():
    shared = mf.Linear(2, 2)
    model = mf.Sequential(shared, mf.ReLU(), shared)
    assert len(list(model.parameters())) == 2
    other = mf.Linear(2, 2)
    other.weight = shared.weight
    assert len(list(mf.Sequential(shared, other).parameters())) == 3


def test_a_module_that_contains_itself_is_walked_once():
    a, b = mf.Module(), mf.Module()
    a.other, b.other = b, a
    assert list(a.modules()) == [a, b]


def test_train_and_eval_reach_every_inner_module():
    block = Block()
    assert block.eval() is block
    assert not any(module.training for module in block.modules())
    block.train()
    assert all(module.training for module in block.modules())


def test_frozen_parameters_receive_no_gradient_and_do_not_move():
    model = mf.Sequential(mf.Linear(2, 3), mf.Linear(3, 1))
    model[0].freeze()
    optimizer = mf.SGD(model, lr=0.5)
    before = [p.value for p in model.parameters()]
    y = model(mx.ones((4, 2)))
    dx = model.backward(mx.ones_like(y))
    optimizer.step()
    after = [p.value for p in model.parameters()]
    assert dx.shape == (4, 2)
    assert model[0].weight.grad is None and model[1].weight.grad is not None
    assert [mx.array_equal(a, b).item() for a, b in zip(before, after)] == [True, True, False, False]
    assert model.unfreeze()[0].weight.trainable


def test_unknown_attributes_raise():
    with pytest.raises(AttributeError):
        mf.Linear(2, 2).wieght  # noqa: B018


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match="Module has no forward"):
        mf.Module()(mx.zeros((1,)))


def test_repr_shows_the_nesting():
    model = mf.Sequential(mf.Linear(2, 3, bias=False), mf.Sequential(mf.ReLU(), mf.Dropout(0.1)))
    assert repr(model) == (
        "Sequential(\n  (0) Linear(2 -> 3, no bias)\n  (1) Sequential(\n    (0) ReLU()\n    (1) Dropout(0.1)\n  )\n)"
    )


def test_numpy_arrays_and_lists_are_accepted_as_inputs():
    layer = mf.Linear(2, 1)
    x = [[1.0, 2.0]]
    assert mx.array_equal(layer(x), layer(mx.array(x)))


def test_a_composing_module_gets_its_backward_from_the_recorded_calls():
    class Residual(mf.Module):
        def __init__(self):
            self.inner = mf.Linear(4, 4)

        def forward(self, x):
            return x + self.inner(x).exp() * 2

    import numpy as np

    report = mf.check_gradients(Residual(), np.random.default_rng(0).normal(size=(3, 4)))
    assert report.passed, report
    assert {row.name for row in report.rows} == {"inner.weight", "inner.bias", "input"}
