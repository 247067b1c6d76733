"""Forward passes in MLX function files: any batch size, no miniframe needed to run them."""

import json
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from harness import close, normal

import miniframe as mf


def array(*shape, seed=0):
    return mx.array(normal(*shape, seed=seed).astype(np.float32))


def mlp():
    return mf.Sequential(mf.Linear(3, 8), mf.ReLU(), mf.Dropout(0.5), mf.Linear(8, 2), mf.Softmax())


def images():
    return mf.Sequential(
        mf.Conv2d(2, 4, 3, padding=1), mf.BatchNorm(4), mf.ReLU(), mf.MaxPool2d(2), mf.Flatten(), mf.Linear(36, 5)
    )


def graph():
    x = mf.Input((6,))
    first, second = mf.layers.split(mf.Linear(6, 4)(x), 2, axis=1)
    joined = mf.layers.concatenate([first * second + 1, x[:, 1:4]], axis=1)
    return mf.Graph(x, [joined, x[:, 0] + first.sum(axis=1), mf.Reshape(2, -1)(x)])


class SmallPictures(mf.Module):
    """Pooled down to a single pixel, which is averaged: reductions over axes of length 1."""

    def __init__(self):
        self.pool, self.mean = mf.MaxPool2d(2), mf.GlobalAvgPool2d()

    def forward(self, x):
        return self.mean(self.pool(x))


CASES = {
    "mlp": (mlp, (3,)),
    "images": (images, (6, 6, 2)),
    "graph": (graph, (6,)),
    "padded pooling": (lambda: mf.AvgPool2d(3, stride=2, padding=1), (5, 5, 2)),
    "strided convolution": (lambda: mf.Conv2d(4, 4, 3, stride=2, groups=2), (7, 7, 4)),
    "single pixel": (SmallPictures, (2, 2, 3)),
    "upsampling": (lambda: mf.Upsample2d(2), (3, 3, 2)),
    "reshaping": (lambda: mf.Sequential(mf.Reshape(3, 4), mf.Tanh(), mf.Flatten(), mf.Reshape(2, -1)), (12,)),
    "transformer": (
        lambda: mf.Sequential(mf.PositionEmbedding(5, 4), mf.TransformerBlock(4, 2, causal=True, norm_first=False)),
        (3, 4),
    ),
    "llama": (
        lambda: mf.TransformerBlock(4, 2, 3, 1, causal=True, norm="rms", activation="swiglu", rotary=True),
        (3, 4),
    ),
    "normalization": (lambda: mf.Sequential(mf.LayerNorm(6), mf.Linear(6, 6, bias=False)), (6,)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_exported_model_takes_any_batch_size(name, tmp_path):
    make, shape = CASES[name]
    model, path = make(), str(tmp_path / "model.mlxfn")
    model.export(path, array(3, *shape))
    function = mx.import_function(path)
    model.eval()
    for size in (1, 3, 4, 17):
        x = array(size, *shape, seed=size)
        expected = model(x)
        for a, b in zip(function(x), expected if isinstance(expected, tuple) else (expected,)):
            close(a, b)


def test_integer_inputs_can_be_exported(tmp_path):
    model, path = mf.Sequential(mf.Embedding(7, 4), mf.Flatten()), str(tmp_path / "model.mlxfn")
    model.export(path, mx.array([[1, 2, 3]]))
    x = mx.array([[0, 6, 5], [1, 1, 1]])
    close(mx.import_function(path)(x)[0], model(x))


def test_an_exported_model_runs_where_miniframe_cannot_be_imported(tmp_path):
    model, path, x = mlp().eval(), tmp_path / "model.mlxfn", array(7, 3)
    model.export(path, array(2, 3))
    code = (
        "import sys, json\n"
        "sys.modules['miniframe'] = None\n"  # importing it raises, even where it is installed
        "import mlx.core as mx\n"
        f"function = mx.import_function({str(path)!r})\n"
        f"print(json.dumps(function(mx.array({x.tolist()}))[0].tolist()))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    np.testing.assert_allclose(json.loads(done.stdout), model(x).tolist(), rtol=1e-5)


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model, x = mlp(), array(4, 3)
    model(x)
    state = mf.random.get_state()
    model.export(tmp_path / "model.mlxfn", x)
    assert model.training and mf.random.get_state() == state
    assert model.backward(array(4, 2)).shape == (4, 3)


def test_an_example_without_a_batch_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="expected example inputs with a batch in front"):
        mlp().export(tmp_path / "model.mlxfn", mx.array(1.0))


@pytest.mark.parametrize("device, asked", [("cpu", mx.cpu), ("gpu", mx.gpu)])
def test_the_trace_is_made_on_the_device_that_the_file_is_for(device, asked, tmp_path, monkeypatch):
    streams, stream = [], mx.stream
    monkeypatch.setattr(mx, "is_available", lambda found: True)
    monkeypatch.setattr(mx, "stream", lambda found: streams.append(found) or stream(mx.cpu))
    mlp().export(tmp_path / "model.mlxfn", array(2, 3), device=device)
    assert streams == [mx.Device(asked)]


def test_a_file_is_for_the_cpu_unless_asked_otherwise(tmp_path, monkeypatch):
    streams, stream = [], mx.stream
    monkeypatch.setattr(mx, "stream", lambda found: streams.append(found) or stream(found))
    mlp().export(tmp_path / "model.mlxfn", array(2, 3))
    assert streams == [mx.Device(mx.cpu)]


def test_devices_that_are_unknown_or_missing_are_errors(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="export: expected device to be one of cpu, gpu, got 'tpu'"):
        mlp().export(tmp_path / "model.mlxfn", array(2, 3), device="tpu")
    monkeypatch.setattr(mx, "is_available", lambda found: False)
    with pytest.raises(ValueError, match="export: expected a device of this machine, got 'gpu'; it has none"):
        mlp().export(tmp_path / "model.mlxfn", array(2, 3), device="gpu")
    assert not list(tmp_path.iterdir())
