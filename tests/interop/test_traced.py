"""Any PyTorch module that torch.fx can trace becomes a Graph: the same numbers, gradients and names."""

import mlx.core as mx
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness import close, normal
from torch import nn
from torch_nets import NETS, here, same, settled, without_dropout

import miniframe as mf
from miniframe import interop

torch.set_num_threads(1)


# -------------------------------------------------------------------- whole networks


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_networks_of_the_known_families_give_the_same_numbers(name, training):
    module = without_dropout(settled(NETS[name]())).train(training)
    x = torch.randn(4, 3, 12, 12)
    model = interop.from_torch(module, x)
    assert type(model) is mf.Graph and model.training is training
    before = {n: b.clone() for n, b in module.named_buffers()}
    same(model, module, x)
    for buffer, value in before.items():
        assert buffer.endswith("tracked") or training or torch.equal(module.get_buffer(buffer), value)
    same(model.eval(), module.eval(), torch.randn(2, 3, 12, 12))


def test_no_numbers_are_moved_where_only_names_of_axes_change():
    model = interop.from_torch(NETS["ConvNeXt"](), torch.randn(2, 3, 12, 12))
    kinds = {type(layer) for layer in model.layers.values()}
    assert mf.LayerScale in kinds and mf.layers.arithmetic.Transpose not in kinds


def test_layers_have_pytorchs_names_and_calls_those_of_their_place():
    model = interop.from_torch(NETS["Residual"]())
    assert list(model.names) == [
        "x", "conv1", "bn1", "relu", "conv2", "bn2", "downsample.0", "downsample.1", "add", "relu#2", "pool", "flatten",
        "fc",
    ]  # fmt: skip
    assert isinstance(model["downsample.0"].module, mf.Conv2d)
    named = {name for name, _ in model.named_parameters()}
    assert named == {name for name, _ in NETS["Residual"]().named_parameters()}


def test_without_an_example_images_of_any_size_go_through():
    torch.manual_seed(0)
    module = settled(NETS["Residual"]()).eval()
    model = interop.from_torch(module)
    for size in (12, 33):
        same(model, module, torch.randn(2, 3, size, size))


def test_with_an_example_other_sizes_are_refused_and_any_number_of_samples_is_taken():
    module = NETS["Flattened"]().eval()
    model = interop.from_torch(module, np.zeros((2, 3, 16, 16), np.float32))
    assert model(mx.zeros((7, 16, 16, 3))).shape == (7, 4)
    with pytest.raises(ValueError, match=r"expected input 'x' of shape \(batch, 16, 16, 3\)"):
        model(mx.zeros((1, 18, 18, 3)))


def test_a_graph_from_pytorch_is_saved_loaded_and_trained(tmp_path):
    torch.manual_seed(0)
    module = NETS["ViT"]()
    model = interop.from_torch(module, torch.randn(2, 3, 12, 12)).eval()
    x = mx.array(normal(5, 12, 12, 3).astype(np.float32))
    model.save(tmp_path / "vit.safetensors")
    again = mf.load(tmp_path / "vit.safetensors")
    assert mx.array_equal(again(x), model(x))
    history = model.fit(x, mx.array([0, 1, 2, 3, 4]), loss="cross_entropy", optimizer="adam", epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_other_weights_load_into_the_graph():
    torch.manual_seed(0)
    model = interop.from_torch(NETS["Flattened"](), torch.randn(2, 3, 12, 12))
    other = NETS["Flattened"]()
    assert interop.load_torch_weights(model, other.state_dict()).complete
    same(model, other, torch.randn(2, 3, 12, 12))


def test_frozen_parameters_stay_frozen_and_modes_stay():
    module = NETS["Inverted"]().eval()
    module.fc.weight.requires_grad_(False)
    model = interop.from_torch(module)
    assert not model["fc"].module.weight.trainable and model["fc"].module.bias.trainable and not model.training
    assert not module.training


# -------------------------------------------------------------------- layouts


class Says(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


CONV = nn.Conv2d(3, 6, 3, padding=1)
ON_IMAGES = {
    "flatten and linear": lambda m, x: F.linear(m.conv(x).flatten(1), m.wide),
    "reshape to rows and back": lambda m, x: m.conv(x).reshape(x.shape[0], 6, -1).softmax(-1).view(-1, 6, 4, 5),
    "channels in groups": lambda m, x: m.conv(x).view(-1, 2, 3, 4, 5).mean(2),
    "channels in groups, flattened": lambda m, x: m.conv(x).view(-1, 2, 3, 4, 5).sum(dim=1).flatten(1),
    "rows as words": lambda m, x: m.rows(m.conv(x).permute(0, 2, 3, 1).flatten(1, 2)),
    "pixels as batch": lambda m, x: m.rows(m.conv(x).permute(0, 2, 3, 1).reshape(-1, 6)),
    "mean of channels": lambda m, x: m.conv(x).mean(1),
    "mean of channels, kept": lambda m, x: x * m.conv(x).mean(1, keepdim=True),
    "mean of rows": lambda m, x: m.conv(x).mean(dim=-2),
    "largest of all pixels": lambda m, x: m.conv(x).amax((2, 3), keepdim=True) + x[:, :1],
    "concatenated rows": lambda m, x: torch.cat([x, m.conv(x)[:, 1:4]], dim=2),
    "stacked": lambda m, x: torch.stack([x, m.conv(x)[:, ::2]], 1).sum((1, 2)),
    "turned": lambda m, x: m.conv(x).transpose(2, 3) * 2 - 1,
    "turned to the batch": lambda m, x: m.conv(x).transpose(0, 1).mean((2, 3)),
    "gated for each channel": lambda m, x: m.conv(x) * torch.sigmoid(m.conv(x).mean((2, 3)))[..., None, None],
    "a learned picture": lambda m, x: x + m.picture,
    "a learned number for each channel": lambda m, x: m.conv(x) * m.scale.view(1, -1, 1, 1) + m.scale[:, None, None],
    "squeezed": lambda m, x: m.conv(x)[:, :, :1].squeeze(2).unsqueeze(1),
    "pixels to blocks": lambda m, x: F.pixel_shuffle(torch.cat([x, x, x, x], 1), 2),
    "softmax over channels": lambda m, x: F.softmax(m.conv(x), dim=1),
    "norm of the picture": lambda m, x: m.whole(x),
    "cut": lambda m, x: torch.cat(m.conv(x).split([1, 2, 3], dim=1)[::-1], 1),
    "unbound": lambda m, x: m.conv(x).unbind(3)[1] - m.conv(x).unbind(3)[0],
    "padded, pooled, enlarged": lambda m, x: F.interpolate(F.avg_pool2d(F.pad(x, (1, 0, 2, 0)), 2), scale_factor=2.0),
    "products of pixels": lambda m, x: m.conv(x).flatten(2) @ m.conv(x).flatten(2).transpose(1, 2),
    "squares and roots": lambda m, x: torch.sqrt(m.conv(x) ** 2 + 1) / (1 + x.abs().sum(1, keepdim=True)),
    "where": lambda m, x: torch.where(x > 0, x, m.conv(x)[:, 3:] * 0.1).clamp(-1, 1),
    "exponential": lambda m, x: torch.exp(-m.conv(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", ON_IMAGES)
def test_layouts_are_right_wherever_channels_meet_another_operation(name):
    torch.manual_seed(0)
    module = Says(
        ON_IMAGES[name], conv=CONV, rows=nn.Linear(6, 2), whole=nn.LayerNorm((3, 4, 5)),
        wide=nn.Parameter(torch.randn(2, 120)), picture=nn.Parameter(torch.randn(3, 4, 5)),
        scale=nn.Parameter(torch.randn(6)),
    )  # fmt: skip
    x = torch.randn(2, 3, 4, 5)
    model = interop.from_torch(module, x)
    last = name in ("mean of rows", "unbound")  # of three axes, one of which is that of channels
    same(model, module, x, images=last or module(x).ndim == 4)
    more = torch.randn(3, 3, 4, 5)
    close(model(mx.array(np.array(here(more)))), here(module(more), last or module(more).ndim == 4))


@pytest.mark.parametrize("seed", range(12))
def test_random_turns_and_reshapes_keep_every_number_in_its_place(seed):
    """Chains of permutations, reshapes and sums on an image, the same in both."""
    random = np.random.default_rng(seed)
    steps, shape = [], [4, 2, 6]
    for _ in range(6):
        kind = random.integers(3)
        if kind == 0:
            dims = random.permutation(len(shape)).tolist()
            steps.append(("permute", dims))
            shape = [shape[d] for d in dims]
        elif kind == 1 and len(shape) > 1:
            k = int(random.integers(len(shape) - 1))
            shape = [*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :]]
            steps.append(("view", list(shape)))
        else:
            k = int(random.integers(len(shape)))
            if shape[k] % 2 == 0:
                shape = [*shape[:k], 2, shape[k] // 2, *shape[k + 1 :]]
                steps.append(("view", list(shape)))

    def run(module, x):
        x = module.conv(x)
        for kind, numbers in steps:
            if kind == "view":
                x = x.reshape(x.shape[0], *numbers)
            else:
                x = x.permute(0, *[d + 1 for d in numbers])
        return (x * module.weights.view(1, *shape)).flatten(1)

    module = Says(run, conv=nn.Conv2d(3, 4, 1), weights=nn.Parameter(torch.randn(48)))
    x = torch.randn(3, 3, 2, 6)
    same(interop.from_torch(module, x), module, x)


# -------------------------------------------------------------------- sequences and words


def test_recurrent_layers_give_their_states_and_take_them_with_time_first_too():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)
            self.gru = nn.GRU(4, 5)

        def forward(self, x):
            y, (h, c) = self.lstm(x)
            z, last = self.gru(y.transpose(0, 1))
            return z[-1] + last[0], h.squeeze(0), torch.tanh(c[-1])

    torch.manual_seed(0)
    module = Twice()
    model = interop.from_torch(module)
    same(model, module, torch.randn(2, 6, 3))
    assert {"lstm.weight_ih_l0", "gru.bias_hh_l0"} <= {name for name, _ in model.named_parameters()}


def test_convolution_over_time_goes_on_to_recurrent_layers():
    module = Says(
        lambda m, x: m.rnn(F.relu(m.norm(m.conv(x))).transpose(1, 2))[0].mean(1),
        conv=nn.Conv1d(3, 6, 3, padding=1), norm=nn.BatchNorm1d(6), rnn=nn.RNN(6, 4, batch_first=True),
    ).eval()  # fmt: skip
    torch.manual_seed(0)
    x = torch.randn(2, 3, 8)
    model = interop.from_torch(module, x)
    close(model(mx.array(x.numpy().transpose(0, 2, 1))), module(x))
    ours = model.backward(mx.ones((2, 4)))
    x.requires_grad_()
    module(x).sum().backward()
    close(ours, x.grad.numpy().transpose(0, 2, 1))


def test_a_language_model_with_tied_weights_and_a_mask_that_is_a_buffer():
    class Words(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.places = nn.Embedding(11, 8), nn.Embedding(5, 8)
            self.qkv = nn.Linear(8, 24)
            self.register_buffer("mask", torch.tril(torch.ones(5, 5)).view(1, 1, 5, 5))

        def forward(self, ids):
            n, t = ids.shape
            x = self.embedding(ids) + self.places(torch.arange(t))
            q, k, v = self.qkv(x).split(8, dim=2)
            q, k, v = (part.view(n, t, 2, 4).transpose(1, 2) for part in (q, k, v))
            scores = (q @ k.transpose(-2, -1)) * 0.5
            scores = scores.masked_fill(self.mask[:, :, :t, :t] == 0, -1e9)
            y = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(n, t, 8)
            return F.linear(x + y, self.embedding.weight)

    torch.manual_seed(0)
    module = Words()
    ids = torch.randint(0, 11, (2, 5))
    model = interop.from_torch(module, ids)
    same(model, module, ids)
    assert sum(p.size for p in model.parameters()) == sum(p.numel() for p in module.parameters())


def test_attention_as_a_function_and_encoders_as_a_whole():
    torch.manual_seed(0)

    def run(m, x):
        q = x.view(-1, 6, 2, 4).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, q, q, is_causal=True)
        return m.encoder(y.transpose(1, 2).flatten(2))

    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    module = Says(run, encoder=nn.TransformerEncoder(layer, 2, nn.LayerNorm(8), enable_nested_tensor=False))
    x = torch.randn(2, 6, 8)
    same(interop.from_torch(module, x), module, x)


def test_several_inputs_and_outputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.bias = nn.Conv2d(3, 4, 1), nn.Linear(5, 4), nn.Parameter(torch.randn(4))

        def forward(self, image, row, mask=None):
            h = self.right(row) + self.bias
            return self.left(image) * h[:, :, None, None], h, (image.mean(),)[0]

    torch.manual_seed(0)
    module, x, y = Two(), torch.randn(2, 3, 4, 4), torch.randn(2, 5)
    model = interop.from_torch(module, (x, y))
    assert [node.name for node in model.inputs] == ["image", "row"]
    same(model, module, x, y)


def test_what_is_changed_in_place_is_seen_by_who_uses_it_later():
    def run(m, x):
        y = m.fc(x)
        y += x
        z = m.relu(y)  # changes y, too
        return z * 2 + y

    module = Says(run, fc=nn.Linear(3, 3), relu=nn.ReLU(inplace=True))
    torch.manual_seed(1)
    x = torch.randn(4, 3)
    same(interop.from_torch(module, x), module, x)


# -------------------------------------------------------------------- what has no counterpart


def test_all_that_has_no_counterpart_is_named_at_once_with_its_place():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Linear(3, 3), nn.Softshrink(), nn.Bilinear(3, 3, 3))

        def forward(self, x):
            return torch.fft.fft(self.block[1](self.block[0](x))).real + torch.cumsum(x, 1)

    with pytest.raises(TypeError) as caught:
        interop.from_torch(Odd(), torch.zeros(2, 3))
    words = str(caught.value)
    assert words.startswith("from_torch: no counterpart for 'block.1', a Softshrink, fft_fft(), cumsum()")
    assert words.endswith("mf.interop.supported() prints what has one")


def test_all_options_without_a_counterpart_are_named_at_once():
    module = Says(
        lambda m, x: torch.add(m.pool(x), m.pool(x), alpha=2) + F.softplus(m.pool(x), beta=3) + m.pool(m.conv(x)),
        pool=nn.MaxPool2d(2), conv=nn.Conv2d(3, 3, 1, padding_mode="circular"),
    )  # fmt: skip
    with pytest.raises(ValueError) as caught:
        interop.from_torch(module, torch.zeros(2, 3, 4, 4))
    words = str(caught.value)
    assert "'add()' (alpha=2; only 1 is known)" in words and "'softplus()' (beta=3; only 1 is known)" in words
    assert "'conv' (Conv2d(3, 3, kernel_size=(1, 1), stride=(1, 1), padding_mode=circular) has padding_mode" in words


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda m, x: x if x.sum() > 0 else -x, "torch.fx cannot follow the code of Says: symbolically traced"),
        (lambda m, x: x / x.shape[0], r"'truediv\(\)' \(a number that depends on the number of samples\)"),
        (lambda m, x: m.fc(x[:, :2]), "Says refuses an example of shape"),
        (lambda m, x: x.shape[1], "expected a module that returns tensors that depend on its inputs"),
        (lambda m, x: x[torch.tensor([1, 0])], "picks samples by their numbers"),
        (lambda m, x: x.max(1)[1], "asks for the places of the largest or smallest"),
    ],
)
def test_what_cannot_be_followed_says_why(function, message):
    with pytest.raises(ValueError, match=f"^from_torch: .*{message}"):
        interop.from_torch(Says(function, fc=nn.Linear(3, 2)), torch.zeros(2, 3))


def test_an_example_is_asked_for_where_nothing_tells():
    with pytest.raises(ValueError, match=r"give an example, from_torch\(module, example=x\): nothing in it tells"):
        interop.from_torch(Says(lambda m, x: x + 1))


def test_a_users_class_with_a_known_name_is_looked_into():
    class GELU(nn.Module):
        def forward(self, x):
            return x * torch.sigmoid(1.702 * x)

    module = nn.Sequential(nn.Linear(3, 3), GELU())
    x = torch.randn(2, 3)
    same(interop.from_torch(module, x), module, x)


def test_the_table_is_printed(capsys):
    interop.supported()
    modules, functions = capsys.readouterr().out.splitlines()
    assert modules.startswith("modules: ") and "Hardswish" in modules and "functions and methods: " in functions
    assert all(name in functions for name in ("cat", "permute", "scaled_dot_product_attention"))
