"""Models as people write them, with all their habits: here, back in PyTorch, and in ONNX they give the same numbers."""

import math

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close
from torch import nn
from torch_nets import here, same

import miniframe as mf
from miniframe import interop

torch.set_num_threads(1)
MODELS = {}


def model(*inputs):
    """Lists a class with its inputs."""

    def listed(kind):
        MODELS[kind.__name__] = kind, inputs
        return kind

    return listed


@pytest.fixture(autouse=True)
def the_same_numbers_every_time():
    torch.manual_seed(0)


@model(torch.randn(4, 3))
class ScalesItsInput(nn.Module):
    """Buffers, one of which is not saved, and a tensor that is neither."""

    def __init__(self):
        super().__init__()
        self.fc, self.factor = nn.Linear(3, 3), torch.tensor([1.0, 2.0, 3.0])
        self.register_buffer("mean", torch.randn(3))
        self.register_buffer("std", torch.rand(3) + 0.5, persistent=False)

    def forward(self, x):
        return self.fc((x - self.mean) / self.std) * self.factor.to(x.device)


@model(torch.randn(4, 3))
class FunctionsInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))

    def forward(self, x):
        def block(h, layer, act=torch.tanh):
            return act(layer(h)) + h

        for k, layer in enumerate(self.layers):
            x = block(x, layer) if k else block(x, layer, act=lambda z: F.relu(z) * 0.5)
        return x


@model(torch.randn(4, 3))
class SharesItsParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 3)
        self.b, self.c = self.a, nn.Sequential(self.a, nn.ReLU(), self.a)

    def forward(self, x):
        return self.a(x) + self.b(self.c(x)) + sum(self.a(x * k) for k in range(1, 3))


@model(torch.randn(4, 3, dtype=torch.float64))
class InDoublePrecision(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2).double()

    def forward(self, x):
        return 2 ** self.fc(x)


@model(torch.randn(4, 3, 8, 8))
class AttendsToPixels(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x):
        q, k = self.q(x).flatten(2), self.k(x).flatten(2)
        weights = torch.einsum("bci,bcj->bij", q, k).softmax(-1)
        return torch.einsum("bij, bcj -> bci", weights, x.flatten(2)).sum(1)


@model(torch.randn(2, 5, 8))
class ManyHeadsByEinsum(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 2, 4))

    def forward(self, x):
        q = torch.einsum("ntd,dhk->nhtk", x, self.w)
        scores = torch.einsum("nhtk,nhsk->nhts", q, q).softmax(-1)
        return torch.einsum("nhts,nhsk->nthk", scores, q).flatten(2)


@model(torch.randn(4, 3, 9, 9))
class EdgesOfAllKinds(nn.Module):
    def __init__(self):
        super().__init__()
        self.c, self.t = nn.Conv2d(3, 4, 3, padding="same"), nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.edge, self.act, self.drop = nn.ReflectionPad2d((1, 2, 0, 3)), nn.Mish(), nn.Dropout2d(0.0)

    def forward(self, x):
        h = self.drop(self.act(self.t(self.edge(self.c(x)))))
        return F.pad(h, (2, 1, 0, 1), mode="replicate")[:, :, ::2] + F.pad(h, (1, 2, 1, 0), mode="circular")[:, :, ::2]


@model(torch.randn(4, 10))
class NormalizesByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.gain = nn.Linear(10, 5), nn.Parameter(torch.ones(5))

    def forward(self, x):
        y = self.fc(x)
        z = (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * self.gain
        z = z + y.std(-1, keepdim=True) + y.norm(dim=-1, keepdim=True) + F.normalize(y, dim=-1)
        return z * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + 1) + torch.linalg.norm(y, dim=1, keepdim=True)


@model(torch.randn(4, 16))
class Gates(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.glu, self.selu = nn.Linear(16, 16), nn.GLU(), nn.SELU()

    def forward(self, x):
        a, b = self.fc(x).chunk(2, -1)
        y = F.glu(self.fc(x), dim=-1) + a * torch.sigmoid(b) + F.selu(a) + F.softsign(b)
        return y + F.logsigmoid(a) + F.mish(a) + self.selu(self.glu(x)) + torch.log1p(a.abs()) + (a**2 + 1).reciprocal()


@model(torch.tensor([[1, 2, 0], [3, 0, 0]]))
class ReadsWithPadding(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 5, padding_idx=0)
        self.lstm = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True)

    def forward(self, ids):
        real = (ids != 0).unsqueeze(-1).float()
        y, (h, c) = self.lstm(self.words(ids))
        return (y * real).sum(1) / real.sum(1).clamp(min=1), torch.cat([h[-2], h[-1]], 1) * c.mean()


@model(torch.randn(4, 7, 5))
class StepsByHand(nn.Module):
    """Cells in a loop, with a state of zeros for every sample."""

    def __init__(self):
        super().__init__()
        self.gru, self.lstm, self.rnn = nn.GRUCell(5, 6), nn.LSTMCell(6, 4), nn.RNNCell(4, 3, nonlinearity="relu")

    def forward(self, x):
        h, state = torch.zeros(x.shape[0], 6), (torch.zeros(x.size(0), 4), torch.ones(x.size(0), 4).to(x))
        last = None
        for t in range(3):
            h = self.gru(x[:, t], h)
            state = self.lstm(h, state)
            last = self.rnn(state[0], last)
        return last, state[1]


@model(torch.randn(4, 7, 5))
class StartsFromALearnedState(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.lstm = nn.GRU(5, 6, batch_first=True), nn.LSTM(6, 3, batch_first=True)
        self.start = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, x):
        y, _ = self.gru(x, self.start.expand(-1, x.size(0), -1).contiguous())
        zeros = torch.zeros(1, x.size(0), 3, device=x.device)
        return self.lstm(y, (zeros, zeros.clone().to(x)))[0][:, -1, :]


@model(torch.randn(4, 3, 8, 8), torch.rand(4))
class KnowsTheTime(nn.Module):
    """A small U-Net for diffusion, as such models are written."""

    def __init__(self):
        super().__init__()
        self.time, self.norm = nn.Linear(8, 4), nn.GroupNorm(2, 4)
        self.first, self.down = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 8, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(8, 4, 4, 2, 1), nn.Conv2d(8, 3, 1)

    def forward(self, x, t):
        frequencies = torch.exp(-math.log(10000) * torch.arange(4) / 4)
        angles = t[:, None] * frequencies[None]
        e = self.time(torch.cat([angles.sin(), angles.cos()], -1)).view(-1, 4, 1, 1)
        a = F.silu(self.norm(self.first(x))) + e
        return self.last(torch.cat([a, self.up(F.silu(self.down(a)))], dim=1))


@model(torch.randn(4, 3, 8, 8))
class EndsTwiceInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.fc, self.side = nn.Linear(4, 5), nn.Linear(4, 2)

    def forward(self, x):
        h = F.relu(self.norm(self.conv(x))).mean([2, 3])
        return (self.fc(h), self.side(h)) if self.training else self.fc(h)


@model(torch.randn(2, 3, 12, 12))
class EdgesFromInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = (nn.Conv2d(3, 3, 3, 2, 1, padding_mode=mode) for mode in ("reflect", "replicate"))
        self.pool = nn.AdaptiveMaxPool2d((3, 2))

    def forward(self, x):
        return self.pool(self.a(x) * self.b(x)) + F.adaptive_max_pool2d(x, 1)


@model(torch.randn(4, 6))
class SumsAndZeros(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(6, 5)), nn.Parameter(torch.randn(5))

    def forward(self, x):
        y = torch.addmm(self.bias, x, self.weight)
        y = torch.maximum(y, torch.zeros_like(y)) + torch.logsumexp(x, dim=1, keepdim=True) - x.logsumexp(-1)[:, None]
        y = torch.cat([y, x.new_zeros(x.shape[0], 2), x.new_ones(y.size(0), 1)], 1)
        return y.max(dim=1, keepdim=True)[0] - x.min(1, keepdim=True).values + y * torch.full((x.size(0), 1), 0.5)


@model(torch.randn(3, 7, 6))
class SeesNoFuture(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(6, 4, 3), nn.BatchNorm1d(4)

    def forward(self, x):
        h = self.norm(self.conv(F.pad(x.transpose(1, 2), (2, 0)))).transpose(1, 2)
        scores = (h @ h.transpose(1, 2)).masked_fill(~torch.tril(torch.ones(x.size(1), x.size(1)).bool()), -1e9)
        return scores.softmax(-1) @ h


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_the_same_here_back_in_pytorch_and_in_onnx(name, tmp_path):
    kind, inputs = MODELS[name]
    module = kind().eval()
    found = interop.from_torch(module, inputs)
    same(found, module, *inputs)
    returned = interop.to_torch(found)
    if name != "InDoublePrecision":
        for a, b in zip(as_tuple(returned(*inputs)), as_tuple(module(*inputs)), strict=True):
            close(a, b)
    runtime = pytest.importorskip("onnxruntime")
    arrays = tuple(mx.array(np.ascontiguousarray(here(x))) for x in inputs)
    arrays = tuple(x.astype(mx.int32) if x.dtype == mx.int64 else x for x in arrays)
    found.export(tmp_path / "model.onnx", arrays if len(arrays) > 1 else arrays[0])
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    given = {part.name: np.array(x) for part, x in zip(session.get_inputs(), arrays)}
    for a, b in zip(session.run(None, given), as_tuple(found(*arrays)), strict=True):
        close(a, np.array(b))


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


def test_outputs_by_name_and_in_tuples_come_in_order():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 4)

        def forward(self, x):
            mean, spread = self.fc(x).chunk(2, dim=-1)
            return {"mean": mean, "parts": (spread, x * 2)}

    module, x = Named(), torch.randn(5, 3)
    mean, spread, twice = interop.from_torch(module, x)(mx.array(x.numpy()))
    close(mean, module(x)["mean"])
    close(spread, module(x)["parts"][0])
    close(twice, 2 * x)


def test_channels_are_dropped_as_a_whole():
    class Drops(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout2d(0.5)

        def forward(self, x):
            return self.drop(x) * 1

    x = mx.ones((8, 5, 5, 16))
    found = interop.from_torch(Drops(), torch.ones(8, 16, 5, 5)).train()
    mf.seed(0)
    y = np.array(found(x))
    assert np.array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape)) and set(np.unique(y)) == {0.0, 2.0}
    dropped = np.array(found.backward(mx.ones(y.shape)))
    assert np.array_equal(dropped, y) and np.array_equal(np.array(found.eval()(x)), np.array(x))


class Says(nn.Module):
    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def written(m, x):
    x = x.clone()
    x[:, 0] = 0
    return x


def changed_through_a_view(m, x):
    y = m.fc(x)
    y.view(-1).mul_(2)
    return y


@pytest.mark.parametrize("function, message", [
    (written, r"item assignment; write torch.where or torch.cat in place of x\[...\] = y"),
    (changed_through_a_view, "does its code write into parts of a tensor"),
    (lambda m, x: m.normed(x), r"'normed', a ParametrizedLinear \(first remove its parametrizations\)"),
    (lambda m, x: x // 2, r"'floordiv\(\)' \(of numbers that depend on the data\)"),
    (lambda m, x: torch.einsum("nd,nd->n", x, x) + torch.einsum("ii", m.fc.weight), r"'ii'; only letters, each once"),
    (lambda m, x: torch.einsum("nd,ke->n", x, m.fc.weight), "without sums in one of them"),
    (lambda m, x: x.var(0), r"'var\(\)' \(over the batch\)"),
])  # fmt: skip
def test_what_cannot_be_taken_over_says_what_to_write(function, message):
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    with pytest.raises((TypeError, ValueError), match=f"^from_torch: .*{message}"):
        interop.from_torch(Says(function, fc=nn.Linear(3, 3), normed=normed), torch.randn(2, 3))


@pytest.mark.parametrize("module, x", [
    (nn.Embedding(9, 4, padding_idx=0), torch.tensor([[1, 0, 2]])),
    (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), torch.randn(2, 3, 6, 7)),
    (nn.Sequential(nn.Conv2d(3, 4, 5, padding=2, padding_mode="circular"), nn.ReLU()), torch.randn(2, 3, 6, 7)),
    (nn.Sequential(nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular"), nn.ReLU()), torch.randn(2, 3, 6)),
])  # fmt: skip
def test_a_layer_of_which_several_are_made_comes_alone_too(module, x):
    found = interop.from_torch(module, x)
    if x.ndim == 3:
        close(np.moveaxis(np.array(found(mx.array(x.numpy().swapaxes(1, 2)))), -1, 1), module(x))
        return
    same(found, module, x)
    close(interop.to_torch(found)(x), module(x))
