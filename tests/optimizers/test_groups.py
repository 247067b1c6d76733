"""Groups of parameters with settings of their own."""

import mlx.core as mx
import numpy as np
import pytest
import torch
from harness import normal

import miniframe as mf
from miniframe.training.step import Step

STEPS = 50
SHAPES = [(4, 3), (4,), (1, 4), (2, 2, 2)]


def pairs():
    """The same parameters for miniframe and for PyTorch."""
    values = [normal(*shape, seed=i).astype(np.float32) for i, shape in enumerate(SHAPES)]
    return [mf.Parameter(v) for v in values], [torch.nn.Parameter(torch.tensor(v)) for v in values]


def gradients(step):
    """Gradients that change from step to step in size and sign."""
    return [normal(*s, seed=100 * step + i, scale=1 + np.sin(step)).astype(np.float32) for i, s in enumerate(SHAPES)]


def agree(parameters, references, tolerance=1e-6):
    for parameter, reference in zip(parameters, references):
        np.testing.assert_allclose(
            np.array(parameter.value), reference.detach().numpy(), rtol=tolerance, atol=tolerance
        )


def test_groups_have_their_own_learning_rate_and_weight_decay():
    parameters, references = pairs()
    ours = mf.AdamW([{"params": parameters[:2], "lr": 0.03}, {"params": parameters[2:], "weight_decay": 0.5}], lr=0.01)
    theirs = torch.optim.AdamW(
        [{"params": references[:2], "lr": 0.03}, {"params": references[2:], "weight_decay": 0.5}], lr=0.01
    )
    for step in range(STEPS):
        for parameter, reference, grad in zip(parameters, references, gradients(step)):
            parameter.grad, reference.grad = mx.array(grad), torch.tensor(grad)
        ours.step()
        theirs.step()
    agree(parameters, references)


def test_assigning_lr_sets_every_group_and_a_group_can_be_set_alone():
    optimizer = mf.SGD([{"params": mf.Linear(2, 2)}, {"params": mf.Linear(2, 2), "lr": 0.5}], lr=0.1)
    assert [group.lr for group in optimizer.groups] == [0.1, 0.5]
    optimizer.lr = 0.2
    assert [group.lr for group in optimizer.groups] == [0.2, 0.2]
    optimizer.groups[1].lr = lambda step: 1 / (1 + step)
    assert repr(optimizer) == "SGD(4 parameters, lr=0.2 and 1)"


@pytest.mark.parametrize("limit", [{"clip_value": 0.01}, {"clip_norm": 0.05}], ids=str)
def test_groups_and_clipping_are_the_same_compiled(limit):
    results = []
    for compiled in (False, True):
        mf.seed(3)
        model = mf.Linear(3, 2)
        groups = [{"params": [model.weight], "lr": 0.3}, {"params": [model.bias], "weight_decay": 0.1}]
        step = Step(model, mf.MSELoss(), mf.SGD(groups, lr=0.05, momentum=0.9, **limit), compile=compiled)
        for i in range(10):
            step(*(mx.array(normal(5, n, seed=7 * i + n).astype(np.float32)) for n in (3, 2)))
        results.append(np.concatenate([np.array(p.value).ravel() for p in model.parameters()]))
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-6)
