"""Models of mlx.nn in and out: the same outputs, names that fit, and the way back loses nothing."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf
from miniframe.interop import from_mlx, load_mlx_weights, to_mlx

IMAGE, TABLE, SEQUENCE = (2, 7, 6, 4), (3, 4), (2, 5, 4)
LAYERS = {
    "Linear": (lambda: nn.Linear(4, 3), TABLE),
    "Linear without bias": (lambda: nn.Linear(4, 3, bias=False), SEQUENCE),
    "Conv2d": (lambda: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), IMAGE),
    "Conv1d": (lambda: nn.Conv1d(4, 6, 3, stride=2, padding=1, bias=False), SEQUENCE),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(4, 3, (3, 2), stride=2, padding=1, output_padding=1), IMAGE),
    "ConvTranspose2d, widened": (lambda: nn.ConvTranspose2d(4, 3, 2, dilation=3, padding=1, output_padding=2), IMAGE),
    "ConvTranspose2d without bias": (lambda: nn.ConvTranspose2d(4, 3, 3, bias=False), IMAGE),
    "Upsample": (lambda: nn.Upsample((2, 3)), IMAGE),
    "Upsample bilinear": (lambda: nn.Upsample(2, mode="linear"), IMAGE),
    "PReLU": (lambda: nn.PReLU(4), TABLE),
    "BatchNorm": (lambda: nn.BatchNorm(4, eps=0.01, momentum=0.3), IMAGE),
    "BatchNorm not affine": (lambda: nn.BatchNorm(4, affine=False), TABLE),
    "GroupNorm not affine": (lambda: nn.GroupNorm(2, 4, affine=False, pytorch_compatible=True), IMAGE),
    "Softmax": (nn.Softmax, SEQUENCE),
    "LayerNorm": (lambda: nn.LayerNorm(4, eps=0.01, bias=False), SEQUENCE),
    "RMSNorm": (lambda: nn.RMSNorm(4, eps=0.01), SEQUENCE),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4, eps=0.01, pytorch_compatible=True), IMAGE),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0)), IMAGE),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), IMAGE),
    "Dropout": (lambda: nn.Dropout(0.3), TABLE),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.3), TABLE),
    "ELU": (lambda: nn.ELU(0.7), TABLE),
    **{
        kind: (getattr(nn, kind), TABLE) for kind in ("Identity", "ReLU", "GELU", "SiLU", "Sigmoid", "Tanh", "Softplus")
    },
}


def shuffled(module):
    """Random weights and statistics, so that nothing is equal by being 0 or 1."""
    rng = np.random.default_rng(0)
    for part in module.modules():
        for name, value in part.items():
            if isinstance(value, mx.array):
                part[name] = mx.array(rng.uniform(0.5, 1.5, value.shape).astype(np.float32))
    return module


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_gives_the_same_numbers_there_here_and_there_again(name):
    make, shape = LAYERS[name]
    x = mx.array(normal(*shape).astype(np.float32))
    module = shuffled(make()).eval()
    model = from_mlx(module)
    again = to_mlx(model)
    assert not model.training and not again.training
    close(model(x), np.array(module(x)), 1e-5)
    assert mx.array_equal(again(x), module(x))
    assert type(again) is type(module) and again.training is False


def test_a_nested_model_keeps_its_weights_its_frozen_ones_and_its_mode():
    inner = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm(5), nn.Tanh())
    module = shuffled(nn.Sequential(inner, nn.Linear(5, 2)))
    module.layers[1].freeze()
    model = from_mlx(module)
    assert [name for name, _ in model.named_parameters()][:2] == ["0.0.weight", "0.0.bias"] and model.training
    assert [name for name, p in model.named_parameters() if not p.trainable] == ["1.weight", "1.bias"]
    x = mx.array(normal(6, 4).astype(np.float32))
    close(model.eval()(x), np.array(module.eval()(x)), 1e-5)
    assert mx.array_equal(to_mlx(model)(x), module(x))


def test_weights_load_by_name_from_a_model_a_dict_or_pairs():
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    x, pairs = (
        mx.array(normal(6, 4).astype(np.float32)),
        {f"layers.{k}.{n}": module.layers[k][n] for k in (0, 2) for n in ("weight", "bias")},
    )
    for weights in (module, pairs, list(pairs.items())):
        model = mf.Sequential(mf.Linear(4, 5), mf.ReLU(), mf.Linear(5, 2))
        load_mlx_weights(model, weights)
        close(model(x), np.array(module(x)), 1e-5)
    with pytest.raises(ValueError, match="(?s)load_mlx_weights: .*missing in the file: 2.bias"):
        load_mlx_weights(model, {name: a for name, a in pairs.items() if name != "layers.2.bias"})


def test_what_has_no_counterpart_is_named_all_at_once_with_its_place():
    module = nn.Sequential(nn.Mish(), nn.Sequential(nn.GELU("fast"), nn.GroupNorm(1, 4)), nn.Tanh())
    with pytest.raises(ValueError) as raised:
        from_mlx(module)
    assert str(raised.value).startswith(
        "from_mlx: no counterpart for '0', a Mish, '1.0', a GELU with approx='fast' instead of 'none', "
        "'1.1', a GroupNorm with pytorch_compatible=False instead of True; known are Sequential, Linear, "
    )
    with pytest.raises(ValueError, match=r"to_mlx: .* for '0', Flatten\(\), '1.0', Reshape\(2, 2\)"):
        to_mlx(mf.Sequential(mf.Flatten(), mf.Sequential(mf.Reshape(2, 2)), mf.Tanh()))
    uneven = mf.Sequential(mf.Flatten(), mf.Conv2d(1, 1, 2, padding="same"), mf.RMSNorm(3, affine=False))
    with pytest.raises(ValueError, match=r"'0', Flatten.*'1', Conv2d\(.*\) \(padded unevenly\), '2', RMSNorm\(3, not"):
        to_mlx(uneven)


def test_whole_numbers_are_looked_up_alike():
    module, x = nn.Sequential(nn.Embedding(7, 3), nn.Linear(3, 2)), mx.array([[0, 6], [3, 1]])
    close(from_mlx(module)(x), np.array(module(x)), 1e-5)
    assert mx.array_equal(to_mlx(from_mlx(module))(x), module(x))


RECURRENT = {
    "LSTM": (lambda: nn.LSTM(4, 3), mf.LSTM),
    "LSTM without bias": (lambda: nn.LSTM(4, 3, bias=False), mf.LSTM),
    "GRU": (lambda: nn.GRU(4, 3), mf.GRU),
    "GRU without bias": (lambda: nn.GRU(4, 3, bias=False), mf.GRU),
    "RNN": (lambda: nn.RNN(4, 3), mf.RNN),
    "RNN with relu": (lambda: nn.RNN(4, 3, nonlinearity=nn.relu), mf.RNN),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_give_the_same_outputs_both_ways(name):
    make, kind = RECURRENT[name]
    module, x = shuffled(make()), mx.array(normal(*SEQUENCE).astype(np.float32))
    model = from_mlx(module)
    expected = module(x)
    expected = expected[0] if isinstance(expected, tuple) else expected
    assert type(model) is kind
    close(model(x), np.array(expected), 1e-5)
    close(to_mlx(model)(x), np.array(expected), 1e-5)


@pytest.mark.parametrize("last", [False, True])
def test_a_model_with_recurrent_layers_goes_to_mlx_and_back(last):
    mf.seed(0)
    gru = mf.GRU(4, 5, return_sequences=not last)
    model = mf.Sequential(mf.LSTM(4, 4), gru, mf.Linear(5, 2))
    x = mx.array(normal(*SEQUENCE).astype(np.float32))
    module = to_mlx(model)
    close(module(x), np.array(model(x)), 1e-5)
    close(from_mlx(module)(x), np.array(model(x)), 1e-5)


@pytest.mark.parametrize("bias", [False, True])
def test_attention_to_itself_and_to_a_context(bias):
    module = shuffled(nn.MultiHeadAttention(4, 2, bias=bias, key_input_dims=3, value_input_dims=3))
    model = from_mlx(module)
    x, context = (mx.array(normal(2, 5, width).astype(np.float32)) for width in (4, 3))
    close(model(x, context), np.array(module(x, context, context)), 1e-5)
    mf.seed(0)
    causal = mf.MultiHeadAttention(4, 2, causal=True, bias=bias)
    there = to_mlx(causal)
    close(there(x), np.array(causal(x)), 1e-5)
    close(from_mlx(there)(x), np.array(causal(x)), 1e-5)
    whole = mf.Sequential(mf.LayerNorm(4), causal, mf.Linear(4, 2))
    close(to_mlx(whole)(x), np.array(whole(x)), 1e-5)


def test_recurrent_and_attention_layers_with_more_than_mlx_has_are_refused():
    both = mf.Sequential(mf.GRU(2, 2, bidirectional=True), mf.MultiHeadAttention(4, 2, rotary=True))
    words = r"'0', GRU.* of several layers or directions.*'1', Multi.* with rotary positions"
    with pytest.raises(ValueError, match=f"to_mlx: no counterpart in mlx.nn for {words}"):
        to_mlx(both)
    odd = nn.Sequential(nn.RNN(2, 2, nonlinearity=nn.silu), nn.MultiHeadAttention(4, 2, value_dims=6))
    with pytest.raises(ValueError, match=r"'0', a RNN with another nonlinearity.*'1', a MultiHeadAttention of several"):
        from_mlx(odd)


def test_a_file_that_mlx_nn_saved_is_loaded_by_its_path(tmp_path):
    module, model = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), mf.Sequential(mf.Linear(4, 3), mf.ReLU())
    module.save_weights(str(tmp_path / "weights.safetensors"))
    assert load_mlx_weights(model, tmp_path / "weights.safetensors").complete
    assert mx.array_equal(model[0].weight.value, module.layers[0].weight)


@pytest.mark.parametrize("kind", ["safetensors", "npz"])
def test_a_damaged_file_is_named_and_the_model_stays(tmp_path, kind):
    module, model = nn.Sequential(nn.Linear(40, 30)), mf.Sequential(mf.Linear(40, 30))
    whole, before = tmp_path / f"whole.{kind}", np.array(model[0].weight.value)
    module.save_weights(str(whole))
    content = whole.read_bytes()
    damaged = [content[:cut] for cut in (0, 5, 100, 1000, len(content) - 1)]
    if kind == "npz":
        middle = len(content) // 2
        damaged.append(content[:middle] + bytes(100) + content[middle + 100 :])
    for n, part in enumerate(damaged):
        path = tmp_path / f"{n}.{kind}"
        path.write_bytes(part)
        with pytest.raises(ValueError, match=f"{n}.{kind}: (truncated|damaged|not a safetensors file)") as error:
            load_mlx_weights(model, path)
        assert "\n" not in str(error.value)
        assert np.array_equal(before, np.array(model[0].weight.value))
    with pytest.raises(FileNotFoundError, match=f"there is no file .*none.{kind}"):
        load_mlx_weights(model, str(tmp_path / f"none.{kind}"))
    assert load_mlx_weights(model, whole).complete


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"load_mlx_weights: expected a .safetensors or .npz file, got .*weights.txt"):
        load_mlx_weights(mf.Linear(2, 2), tmp_path / "weights.txt")


def test_a_module_of_ones_own_is_told_how_its_weights_come_in():
    class Own(nn.Module):
        pass

    with pytest.raises(ValueError, match=r"no counterpart for Own; .*; load_mlx_weights\(model, module\) brings"):
        from_mlx(Own())
    with pytest.raises(ValueError, match="Upsample by 1.5; only images and whole factors are known"):
        from_mlx(nn.Upsample(1.5))
