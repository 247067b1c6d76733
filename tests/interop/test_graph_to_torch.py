"""A Graph as a PyTorch module: the same numbers and gradients, layers under the same names, and the way back."""

import mlx.core as mx
import pytest
import torch
from harness import close
from torch_nets import NETS, here, same, settled, without_dropout

import miniframe as mf
from miniframe import interop

torch.set_num_threads(1)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_networks_come_back_as_they_were(name, training):
    module = without_dropout(settled(NETS[name]()))
    x = torch.randn(3, 3, 12, 12)
    model = interop.from_torch(module.train(training), x)
    theirs = interop.to_torch(model)
    assert theirs.training is training
    again = {n.removesuffix(".weight"): p for n, p in theirs.named_parameters()}
    for path, parameter in module.named_parameters():
        if "attention" not in path:  # whose parts have names of their own here
            found = again.get(path, again.get(path.removesuffix(".weight")))
            assert found is not None and torch.equal(found.reshape(parameter.shape), parameter), path
    close(theirs(x), module(x))
    same(interop.from_torch(theirs, x), theirs, x)


def graph():
    """A Graph as users make it: two inputs, branches, a concatenation, a sum, and two outputs."""
    image, row = mf.Input((8, 8, 3), name="image"), mf.Input((5,), name="row")
    h = mf.ReLU()(mf.BatchNorm(4)(mf.Conv2d(3, 4, 3, padding=1)(image).named("conv")))
    h = mf.concatenate([h, mf.Tanh()(h) * 2], axis=-1)
    gate = mf.Sigmoid()(mf.Linear(5, 8)(row)).reshape(-1, 1, 1, 8)
    y = mf.MaxPool2d(2)(h * gate)
    return mf.Graph([image, row], [mf.Linear(8 * 16, 3)(mf.Flatten()(y)), y])


def test_a_graph_with_several_inputs_and_outputs():
    mf.seed(0)
    model = graph()
    module = interop.to_torch(model)
    x, z = torch.randn(3, 3, 8, 8), torch.randn(3, 5)
    same(model, module, x, z)
    assert module.get_submodule("conv").weight.shape == (4, 3, 3, 3)


def test_sequences_and_shared_and_frozen_layers():
    mf.seed(0)
    words = mf.Input((6,), dtype=mx.int32)
    table, dense = mf.Embedding(9, 8), mf.Linear(8, 8)
    h = mf.TransformerBlock(8, 2, 16, causal=True, rotary=True)(dense(dense(table(words))))
    model = mf.Graph(words, mf.GRU(8, 4)(h) - 1)
    dense.freeze()
    module = interop.to_torch(model)
    ids = torch.randint(0, 9, (2, 6))
    close(module(ids), model(mx.array(ids.numpy())))
    assert not module.linear.weight.requires_grad and module.embedding.weight.requires_grad


def test_convolutions_over_time_have_time_last():
    mf.seed(0)
    x = mf.Input((7, 3))
    model = mf.Graph(x, mf.Conv1d(4, 2, 3)(mf.ReLU()(mf.Conv1d(3, 4, 3, padding=1)(x))))
    module = interop.to_torch(model)
    tensor = torch.randn(2, 3, 7)
    close(model(mx.array(tensor.numpy().transpose(0, 2, 1))), here(module(tensor), True))


def test_what_has_no_counterpart_is_named_at_once():
    x = mf.Input((4, 3))
    model = mf.Graph(x, mf.Tap()(mf.VectorQuantizer(4, 3)(x)[0]).named("tap"))
    with pytest.raises(
        TypeError, match=r"to_torch: no counterpart in PyTorch for layer 'vectorquantizer', Vector.*'tap'"
    ):
        interop.to_torch(model)


def test_a_graph_without_shapes_is_asked_for_them():
    x = mf.Input()
    with pytest.raises(ValueError, match=r"inputs have shapes, such as mf.Input\(\(28, 28, 1\)\)"):
        interop.to_torch(mf.Graph(x, mf.ReLU()(x)))


def test_a_graph_of_half_precision_stays_so():
    x = mf.Input((3,))
    model = mf.Graph(x, mf.Linear(3, 2)(x))
    for p in model.parameters():
        p.value = p.value.astype(mx.float16)
    assert interop.to_torch(model).linear.weight.dtype == torch.float16
