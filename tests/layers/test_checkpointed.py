"""Computing again instead of keeping: the same gradients, masks and statistics, and less that is kept."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import by_differences, by_mx_grad, by_torch, normal

import miniframe as mf
from miniframe.core import random


def block(dropout=0.0):
    return mf.Sequential(mf.Linear(3, 6), mf.BatchNorm(6), mf.Tanh(), mf.Dropout(dropout), mf.Linear(6, 3))


def twins(make=block, *options):
    """The same model twice, with and without recomputation."""
    found = []
    for wrap in (lambda layer: layer, mf.checkpointed):
        mf.seed(3)
        found.append(mf.Sequential(wrap(make(*options)), mf.ReLU(), wrap(make(*options)), mf.Linear(3, 2)))
    return found


def numbers(model):
    return {name: np.array(cell.value) for name, cell in model.named_items() if isinstance(cell, mf.Buffer)}


def equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_gradient_agrees_with_three_witnesses():
    layer, x = mf.checkpointed(mf.Sequential(mf.Linear(3, 4), mf.Tanh(), mf.Linear(4, 2))), normal(5, 3)
    reference = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    tensors = dict(reference.named_parameters())
    for name, parameter in layer.named_parameters():
        tensors[name].data = torch.tensor(np.array(parameter.value))
    by_differences(layer, x)
    by_mx_grad(layer, x)
    by_torch(layer, reference, x, weights={name: (tensor, lambda a: a) for name, tensor in tensors.items()})


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_training_is_the_same_to_rounding_with_masks_and_running_statistics(compile, dropout):
    plain, again = twins(block, dropout)
    x, y = mx.array(normal(64, 3).astype(np.float32)), mx.array(normal(64, 2, seed=1).astype(np.float32))
    options = {"loss": "mse", "epochs": 3, "batch_size": 16, "seed": 1, "verbose": 0, "compile": compile}
    histories = [m.fit(x, y, optimizer=mf.Adam(m, lr=0.01), **options).history for m in (plain, again)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)
    for name, value in numbers(plain).items():
        np.testing.assert_allclose(numbers(again)[name], value, rtol=1e-5, atol=1e-6, err_msg=name)


def test_running_statistics_move_once_and_the_stream_of_random_numbers_as_without_it():
    x = mx.array(normal(8, 3).astype(np.float32))
    seen = []
    for model in twins(block, 0.5):
        mf.seed(9)
        y = model(x)
        after_forward = random.get_state()
        model.backward(mx.ones_like(y))
        assert random.get_state() == after_forward
        grads = {name: np.array(p.grad) for name, p in model.named_parameters()}
        seen.append({**numbers(model), **grads, "y": np.array(y), "next": np.array(mx.random.uniform())})
    equal(*seen)


def test_nothing_but_the_input_is_kept():
    layer = mf.checkpointed(block())
    x = mx.array(normal(8, 3).astype(np.float32))
    y = layer(x)
    assert layer.saved[0] == (x,)
    inner = [module for module in layer.layer.modules()]
    assert all(repr(module.kept) == "<nothing saved>" for module in inner)
    layer.backward(mx.ones_like(y))
    assert all(repr(module.kept) == "<nothing saved>" for module in inner)


def test_the_mode_of_the_forward_counts_and_that_of_now_stays():
    layer = mf.checkpointed(mf.Dropout(0.5))
    y = layer(mx.ones((50,)))
    layer.eval()
    assert mx.array_equal(layer.backward(mx.ones((50,))), y)
    assert not layer.layer.training and mx.array_equal(layer(mx.ones((3,))), mx.ones((3,)))


def test_it_can_be_used_twice_and_inside_another():
    inner = mf.checkpointed(mf.Sequential(mf.Linear(3, 3), mf.Dropout(0.3), mf.Tanh()))
    outer = mf.checkpointed(mf.Sequential(inner, mf.Linear(3, 3), inner))
    by_differences(outer, normal(4, 3))


def test_several_inputs_and_outputs():
    class Both(mf.Module):
        def forward(self, a, b):
            return a * b, a + b

    a, b = (mx.array(normal(2, 3, seed=s).astype(np.float32)) for s in (0, 1))
    layer = mf.checkpointed(Both())
    product, total = layer(a, b)
    assert mx.array_equal(product, a * b) and mx.array_equal(total, a + b)
    da, db = layer.backward((mx.ones((2, 3)), mx.zeros((2, 3))))
    assert mx.array_equal(da, b) and mx.array_equal(db, a)


def test_the_gradient_of_ids_is_none():
    layer = mf.checkpointed(mf.Embedding(5, 3))
    layer(mx.array([1, 2]))
    assert layer.backward(mx.ones((2, 3))) is None and layer.layer.weight.grad.sum().item() == 6


class Net(mf.Module):
    """A model that composes: its blocks are one call each where it is trained, and seen through where one looks in."""

    def __init__(self):
        self.block, self.scale = mf.checkpointed(mf.Sequential(mf.Linear(3, 3), mf.Tanh())), mf.Parameter(mx.ones((3,)))

    def forward(self, x):
        return self.block(x) * self.scale + x


def test_in_a_model_that_composes_it_keeps_as_little():
    model, x = Net(), mx.array(normal(4, 3).astype(np.float32))
    model(x)
    calls, _, _ = model.saved
    assert [type(node.module).__name__ for node in calls][0] == "Checkpointed"
    by_differences(model, normal(4, 3))


def test_in_a_graph_it_is_one_node():
    x = mf.Input((3,))
    h = mf.checkpointed(mf.Sequential(mf.Linear(3, 3), mf.Tanh()))(x)
    graph = mf.Graph(x, h * 2 + x)
    assert "checkpointed" in graph.names
    by_differences(graph, normal(4, 3))


def test_whoever_looks_inside_sees_the_layer_under_its_own_names():
    plain, again = twins()
    assert list(dict(again.named_parameters())) == list(dict(plain.named_parameters()))
    again.load_state_dict(plain.state_dict())
    x = mx.array(normal(4, 3).astype(np.float32))
    rows = [[(row.name, row.layer, row.parameters) for row in m.summary((3,)).rows] for m in (plain, again)]
    assert rows[0] == rows[1]
    assert str(mf.trace(plain.eval(), x)) == str(mf.trace(again.eval(), x))


def test_pytorch_mlx_nn_and_code_get_the_layer_itself():
    def make(wrap):
        mf.seed(0)
        return mf.Sequential(wrap(mf.Sequential(mf.Linear(3, 4), mf.Tanh())), mf.Linear(4, 2))

    plain, again = make(lambda layer: layer), make(mf.checkpointed)
    x = normal(5, 3).astype(np.float32)
    expected = np.array(plain(mx.array(x)))
    np.testing.assert_allclose(mf.interop.to_torch(again)(torch.tensor(x)).detach().numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(np.array(mf.interop.to_mlx(again)(mx.array(x))), expected, atol=1e-6)
    code = [mf.to_code(m, "mse", mf.SGD(m, lr=0.1), example=mx.array(x)) for m in (plain, again)]
    assert code[0] == code[1]


def test_what_draws_without_a_key_is_named():
    class Noise(mf.Module):
        def forward(self, x):
            self.saved = ()
            return x + mx.random.normal(x.shape)

        def backward(self, grad_output):
            return grad_output

    layer = mf.checkpointed(Noise())
    layer(mx.ones((3,)))
    with pytest.raises(RuntimeError, match=r"Noise\(\): checkpointed needs the same random numbers twice; draw them"):
        layer.backward(mx.ones((3,)))


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="checkpointed: expected a layer, got <function relu"):
        mf.checkpointed(mf.functional.relu)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("compile", [True, False])
def test_a_deep_model_needs_much_less_memory(compile, monkeypatch):
    monkeypatch.setenv("MINIFRAME_CORES", "1")
    x = mx.zeros((4096, 64))

    def peak(wrap):
        pairs = [[layer for _ in range(4) for layer in (mf.Linear(64, 64), mf.Tanh())] for _ in range(8)]
        model = mf.Sequential(*[wrap(mf.Sequential(*layers)) for layers in pairs])
        mx.eval(x, [p.value for p in model.parameters()])
        mx.synchronize()
        before = mx.get_active_memory()
        mx.reset_peak_memory()
        model.fit(x, x, loss="mse", optimizer="sgd", batch_size=4096, verbose=0, compile=compile, shuffle=False)
        mx.synchronize()
        return mx.get_peak_memory() - before

    assert peak(mf.checkpointed) < 0.75 * peak(lambda layer: layer)
