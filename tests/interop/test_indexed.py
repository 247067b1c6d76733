"""PyTorch's indexing with arrays, its flips and rolls, and tables of words: the same numbers and gradients."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close
from torch import nn
from torch_nets import same

from miniframe import interop

torch.set_num_threads(1)
ORDER = torch.tensor([2, 0, 0, 1])
SQUARE = torch.tensor([[0, 1, 2], [2, 2, 1]])


class Says(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function
        for name, part in (
            ("order", ORDER),
            ("square", SQUARE),
            ("some", torch.tensor([True, False, True, True, False])),
        ):
            self.register_buffer(name, part)

    def forward(self, x):
        return self.function(self, x)


ROWS = {  # x is (N, 3, 5)
    "an array": lambda m, x: m.fc(x)[:, m.order],
    "a list": lambda m, x: m.fc(x)[:, [2, 0]],
    "along the last axis": lambda m, x: m.fc(x)[..., m.order],
    "several axes": lambda m, x: m.fc(x)[:, m.square],
    "several axes at the end": lambda m, x: m.fc(x)[:, :, m.square],
    "beside a number": lambda m, x: m.fc(x)[:, 1, m.order],
    "before a number": lambda m, x: m.fc(x)[:, m.order, -1],
    "beside slices and None": lambda m, x: m.fc(x)[:, None, m.order, 1:4],
    "bools": lambda m, x: m.fc(x)[:, :, m.some],
    "index_select": lambda m, x: torch.index_select(m.fc(x), 2, m.order) + m.fc(x).index_select(-1, m.order),
    "flip": lambda m, x: m.fc(x).flip(1) + m.fc(x).flip([1, 2]) + torch.flip(x, (-1,)),
    "roll": lambda m, x: torch.roll(m.fc(x), 1, 1) + m.fc(x).roll((2, -1), (-1, 1)),
    "known places": lambda m, x: m.fc(x) + m.table[m.square[0]],
}


@pytest.mark.parametrize("name", ROWS)
def test_sequences_are_indexed_as_in_pytorch(name):
    torch.manual_seed(0)
    module = Says(ROWS[name], fc=nn.Linear(5, 5), table=nn.Parameter(torch.randn(4, 5)))
    x = torch.randn(2, 3, 5)
    model = interop.from_torch(module, x)
    if module(x).ndim == 4:  # which come out as an image would
        close(np.moveaxis(np.array(model(mx.array(x.numpy()))), -1, 1), module(x))
        return
    same(model, module, x)
    close(interop.to_torch(model)(x), module(x))


@pytest.mark.parametrize("function", [
    lambda m, x: m.conv(x)[:, m.order],
    lambda m, x: m.conv(x)[:, :, m.order, 1],
    lambda m, x: m.conv(x).roll((1, -2), (2, 3)),
    lambda m, x: m.conv(x).flip(-1)[:, :, ::2],
    lambda m, x: m.conv(x).flatten(2)[:, m.order],
])  # fmt: skip
def test_images_are_indexed_wherever_their_channels_are(function):
    torch.manual_seed(0)
    module = Says(function, conv=nn.Conv2d(3, 4, 3))
    x = torch.randn(2, 3, 6, 7)
    model = interop.from_torch(module, x)
    same(model, module, x, images=True)


def test_a_learned_table_is_indexed_by_the_data():
    torch.manual_seed(0)
    module = Says(lambda m, ids: m.table[ids] * 2 + m.table[0], table=nn.Parameter(torch.randn(6, 4)))
    ids = torch.tensor([[1, 2, 2], [5, 0, 1]])
    same(interop.from_torch(module, ids), module, ids)


@pytest.mark.parametrize("as_function", [False, True])
def test_the_row_of_the_padding_does_not_learn(as_function):
    torch.manual_seed(0)
    words = nn.Embedding(7, 4, padding_idx=-2)
    with torch.no_grad():
        words.weight[5] = torch.randn(4)  # as after loading weights
    module = nn.Sequential(words, nn.Linear(4, 3), nn.Tanh())
    if as_function:
        module = Says(
            lambda m, ids: m.fc(F.embedding(ids, m.words.weight, padding_idx=5)), words=words, fc=nn.Linear(4, 3)
        )
    ids = torch.tensor([[1, 5, 5], [6, 0, 5]])
    model = interop.from_torch(module, ids)
    same(model, module, ids)
    table = next(model.parameters())
    assert np.all(np.array(table.grad)[5] == 0) and np.any(np.array(table.grad)[6] != 0)
    close(interop.to_torch(model)(ids), module(ids))


@pytest.mark.parametrize("function, message", [
    (lambda m, x: x[:, x[0, :, 0] > 0], "indexed with numbers that depend on the data"),
    (lambda m, x: x[torch.arange(x.shape[0]), 0], "indexed with numbers that depend on the data or on the number of"),
    (lambda m, x: x[:, m.order, m.order], "indexed with several arrays"),
    (lambda m, x: x[m.order[:2]], "picks samples by their numbers"),
    (lambda m, x: torch.roll(x, 1), "without dims"),
])  # fmt: skip
def test_what_cannot_be_indexed_is_refused_in_a_line(function, message):
    with pytest.raises(ValueError, match=f"^from_torch: .*{message}"):
        interop.from_torch(Says(function), torch.zeros(4, 3, 5))


def test_gather_and_options_of_tables_are_refused_by_name():
    with pytest.raises(TypeError, match=r"no counterpart for gather\(\)"):
        interop.from_torch(Says(lambda m, x: x.gather(1, m.square[None])), torch.zeros(1, 3, 5))
    with pytest.raises(ValueError, match="max_norm"):
        interop.from_torch(nn.Embedding(3, 2, max_norm=1.0))
