"""ONNX files: onnxruntime computes what the model computes, for the whole catalogue and for any number of samples."""

import subprocess
import sys

import mlx.core as mx
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from catalogue import CASES, spread
from harness import close, normal
from torch_nets import NETS

import miniframe as mf
from miniframe.core.arrays import as_tuple
from miniframe.interop.onnx_layers import OPERATORS

LAYERS = [name for name, case in CASES.items() if not isinstance(case.make(), mf.Loss)]
FIXED = {  # of which every input has a shape of its own, or whose first axis is not that of a batch
    "MatMul", "ReshapeTo", "Sum", "Transpose", "ForEachSample",
}  # fmt: skip


def run(path, *arrays):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return session.run(None, {given.name: np.array(x) for given, x in zip(session.get_inputs(), arrays)})


def same(path, model, *arrays, tolerance=1e-5):
    found = run(path, *arrays)
    expected = as_tuple(model(*arrays))
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        assert a.shape == b.shape and a.dtype == np.array(b).dtype
        close(mx.array(a), np.array(b), tolerance)


def arrays_of(inputs):
    return [mx.array(x.astype(np.float32)) if x.dtype.kind == "f" else mx.array(x) for x in inputs]


def more(arrays, count):
    """The same inputs with another number of samples, where they have the first one's."""
    size = arrays[0].shape[0]
    return [mx.take(x, mx.arange(count) % size, axis=0) if x.shape[0] == size else x for x in arrays]


@pytest.mark.parametrize("name", LAYERS)
def test_onnxruntime_gives_the_same_numbers_as_every_layer(name, tmp_path):
    rng = np.random.default_rng(0)
    mf.seed(0)
    model = spread(CASES[name].make(), rng)
    arrays = arrays_of(CASES[name].inputs(rng))
    for norm in model.modules():
        if isinstance(norm, mf.BatchNorm):
            norm.running_mean.value, norm.running_var.value = mx.array(rng.normal(size=3)), mx.array([0.5, 1.0, 2.0])
    model.export(tmp_path / "model.onnx", tuple(arrays))
    model.eval()
    same(tmp_path / "model.onnx", model, *arrays)
    if name not in FIXED:
        for count in (1, 7):
            same(tmp_path / "model.onnx", model, *more(arrays, count))


def test_whole_models_of_every_kind_give_the_same_numbers(tmp_path):
    mf.seed(0)
    image = mf.Input((12, 12, 3), name="image")
    h = mf.ReLU()(mf.Conv2d(3, 4, 3, padding=1)(image).named("conv"))
    h = mf.concatenate([h, h * 2 - 1], axis=-1)
    graph = mf.Graph(image, mf.Linear(8 * 36, 5)(mf.MaxPool2d(2)(h).reshape(-1, 8 * 36)))
    block = mf.TransformerBlock(8, 4, num_kv_heads=2, causal=True, norm="rms", activation="swiglu", rotary=True)
    words = mf.Sequential(mf.Embedding(11, 8), mf.PositionEmbedding(6, 8), block, mf.GRU(8, 3, bidirectional=True))
    widened = mf.Sequential(mf.ConvTranspose2d(3, 2, 2, stride=(2, 1), padding=1, output_padding=2, dilation=3))
    images = normal(2, 12, 12, 3)
    for model, x in ((graph, images), (widened, images), (words, np.arange(12).reshape(2, 6) % 11)):
        (x,) = arrays_of([x])
        model.export(tmp_path / "model.onnx", x)
        model.eval()
        for count in (2, 1, 7):
            same(tmp_path / "model.onnx", model, *more([x], count))


def test_the_file_is_sound_and_its_names_are_those_of_the_layers(tmp_path):
    model = mf.Sequential({"conv": mf.Conv2d(1, 2, 3), "act": mf.ReLU(), "flat": mf.Flatten(), "out": mf.Linear(8, 2)})
    model.export(tmp_path / "model.onnx", mx.zeros((3, 4, 4, 1)))
    file = onnx.load(tmp_path / "model.onnx")
    onnx.checker.check_model(file, full_check=True)
    results = [name for node in file.graph.node for name in node.output]
    assert [name for name in results if "/" not in name] == ["conv", "act", "flat", "out"]
    assert {"conv.weight", "conv.bias", "out.weight", "out.bias"} <= {w.name for w in file.graph.initializer}
    (given,), (result,) = file.graph.input, file.graph.output
    sizes = [d.dim_param or d.dim_value for d in given.type.tensor_type.shape.dim]
    assert (given.name, sizes, result.name) == ("x", ["batch", 4, 4, 1], "out")
    assert model.training and file.producer_name == "miniframe"


def test_a_table_that_two_layers_share_is_written_for_both(tmp_path):
    embedding, last = mf.Embedding(7, 4), mf.Linear(4, 7, bias=False)
    last.weight = embedding.weight
    model = mf.Sequential(embedding, last)
    x = mx.array([[0, 6], [3, 1]])
    model.export(tmp_path / "model.onnx", x)
    same(tmp_path / "model.onnx", model, x)


class Own(mf.Module):
    def forward(self, x):
        self.saved = ()
        return x * 3

    def backward(self, grad_output):
        return grad_output * 3


def test_layers_without_an_operator_are_named_all_at_once_with_their_places(tmp_path):
    model = mf.Sequential(
        {"a": Own(), "b": mf.Tanh(), "c": mf.Sequential({"d": Own(), "tap": mf.Tap(lambda x: 2 * x)})}
    )
    with pytest.raises(ValueError) as raised:
        model.export(tmp_path / "model.onnx", mx.zeros((2, 3)))
    assert str(raised.value) == (
        "export: ONNX has no operator for layer 'a', Own(); layer 'c.d', Own(); "
        "layer 'c.tap', Tap(forward) (whose function is Python)"
    )
    assert not list(tmp_path.iterdir())


def test_every_layer_that_computes_something_is_in_the_table():
    blocks = {"TransformerBlock", "DecoderBlock", "MultiHeadAttention", "GatedMLP"}
    composed = {"Residual", "Checkpointed", "Sequential", "Graph"} | blocks
    assert {cls.__name__ for cls in OPERATORS} >= set(LAYERS) - composed


def test_without_the_library_one_line_names_the_extra():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import miniframe as mf, mlx.core as mx\n"
        "try: mf.Linear(2, 1).export('never.onnx', mx.zeros((1, 2)))\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "export: needs onnx: pip install miniframe[onnx]\n", done.stderr


class Asks(mf.Module):
    def __init__(self, function):
        self.function = function
        self.scale = mf.Parameter(mx.array([2.0, 3.0, 4.0]))

    def forward(self, *inputs):
        return self.function(self, *inputs)


EXPRESSIONS = {
    "a parameter": lambda m, x: x * m.scale + 1,
    "a number first": lambda m, x: 2 / (x * x + 1) - 3**x,
    "slices": lambda m, x: x[:, ::-1][..., 1:],
    "numbers and new axes": lambda m, x: x[:, -1][:, None] + x[..., 0:1],
    "a list of indices": lambda m, x: x[:, [2, 0, 2]],
    "a comparison": lambda m, x: mf.where(x > 0.5, x, -x) + mf.where(x <= m.scale, 1.0, x),
    "all to a row and back": lambda m, x: x.reshape(-1).reshape(-1, 3),
    "a type": lambda m, x: x.astype(mx.float16).astype(mx.float32),
    "several": lambda m, x: (mf.split(x, [1], axis=1)[1], x.max(axis=1), x),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_what_is_written_with_nodes_is_written_to_the_file(name, tmp_path):
    model, x = Asks(EXPRESSIONS[name]), mx.array(normal(2, 3).astype(np.float32))
    model.export(tmp_path / "model.onnx", x)
    for count in (2, 1, 7):
        same(tmp_path / "model.onnx", model, *more([x], count))


@pytest.mark.parametrize("interleaved", [False, True])
def test_places_may_be_given_when_the_file_runs(interleaved, tmp_path):
    layers = mf.RotaryEmbedding(interleaved=interleaved), mf.SinePositionEncoding(), mf.PositionEmbedding(20, 4)
    x = mx.array(normal(2, 3, 4).astype(np.float32))
    for layer in layers:
        for places in (mx.array([[4, 5, 6], [0, 9, 19]]), mx.array([3, 1, 2])):
            layer.export(tmp_path / "model.onnx", (x, places))
            same(tmp_path / "model.onnx", layer, x, places)
            same(tmp_path / "model.onnx", layer, *more([x, places], 5))


def test_what_is_added_to_the_scores_of_an_attention_is_written(tmp_path):
    q, k, v = (mx.array(normal(2, 2, 3, 4, seed=seed), mx.float32) for seed in range(3))
    mask, bias = mx.array(np.tri(3, k=1, dtype=bool)), mx.array(normal(2, 1, 3), mx.float32)
    layer = mf.ScaledDotProductAttention(causal=True)
    layer.export(tmp_path / "model.onnx", (q, k, v, mask, bias))
    same(tmp_path / "model.onnx", layer, q, k, v, mask, bias)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_padding_in_recurrent_layers_is_refused_because_onnx_knows_it_at_the_ends_only(kind, tmp_path):
    layer = getattr(mf, kind)(2, 3)
    with pytest.raises(ValueError, match=rf"ONNX has no operator for {kind}\(2 -> 3\) \(with a mask\)"):
        layer.export(tmp_path / "model.onnx", (mx.zeros((2, 4, 2)), mx.ones((2, 4), dtype=mx.bool_)))


@pytest.mark.parametrize("name", ["ViT", "Inverted", "Fire", "ConvNeXt", "Shuffled"])
def test_a_model_that_came_from_pytorch_goes_on_to_onnx(name, tmp_path):
    torch.manual_seed(0)
    model = mf.interop.from_torch(NETS[name](), np.zeros((2, 3, 12, 12), np.float32)).eval()
    x = mx.array(normal(3, 12, 12, 3).astype(np.float32))
    model.export(tmp_path / "model.onnx", x)
    for count in (3, 1):
        same(tmp_path / "model.onnx", model, x[:count])
