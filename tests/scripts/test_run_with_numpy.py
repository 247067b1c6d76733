"""The file that runs a saved model with NumPy alone gives what the model gives."""

import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from loading import load_script

import miniframe as mf

FILE = Path(__file__).parents[2] / "tutorials" / "scripts" / "run_with_numpy.py"


def runner():
    return load_script(FILE)


def graph():
    x, double = mf.Input((6,)), mf.Linear(6, 6)
    h = mf.Tanh()(double(x))
    return mf.Graph(x, mf.Linear(12, 3)(mf.concatenate([double(h) * 2 + h, h - x], axis=1)))


MODELS = {
    "mlp": (lambda: mf.Sequential(mf.Linear(6, 5, bias=False), mf.SiLU(), mf.Dropout(0.5), mf.Linear(5, 3)), (4, 6)),
    "norms": (
        lambda: mf.Sequential(mf.BatchNorm(6), mf.Residual(mf.Linear(6, 6), mf.LeakyReLU(0.1)), mf.LayerNorm(6)),
        (4, 6),
    ),
    "graph": (graph, (4, 6)),
    "images": (
        lambda: mf.Sequential(
            mf.Conv2d(2, 4, 3, padding="same", groups=2), mf.BatchNorm(4, affine=False), mf.ReLU(),
            mf.MaxPool2d(3, stride=2, padding=1), mf.Conv2d(4, 6, (2, 1), stride=(1, 2), dilation=(2, 1)),
            mf.AvgPool2d(2, stride=1, padding=1), mf.Sigmoid(), mf.Residual(mf.Conv2d(6, 6, 1)), mf.Flatten(),
            mf.Linear(54, 3), mf.Softmax(),
        ),
        (3, 8, 7, 2),
    ),
    "bends": (lambda: mf.Sequential(mf.GELU(), mf.GELU("tanh"), mf.Reshape(3, 2), mf.Flatten()), (4, 6)),
    "means": (lambda: mf.Sequential(mf.Conv2d(2, 3, 3), mf.GlobalAvgPool2d(), mf.Identity()), (3, 8, 7, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_are_those_of_the_model(name, tmp_path):
    make, shape = MODELS[name]
    model = make()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    model(mx.array(2 * x + 1))  # moves the running statistics
    model.save(tmp_path / "model.safetensors")
    assert runner().Model(tmp_path / "model.safetensors")(x) == pytest.approx(np.array(model.predict(x)), abs=1e-5)


def test_it_is_short_and_imports_numpy_only():
    source = FILE.read_text()
    assert len(source.splitlines()) <= 150
    imports = {line.split()[1] for line in source.splitlines() if line.startswith(("import", "from"))}
    assert imports == {"json", "math", "sys", "numpy"}


def test_it_runs_as_a_command(tmp_path):
    model = mf.Linear(2, 1)
    model.save(tmp_path / "model.safetensors")
    np.save(tmp_path / "x.npy", np.ones((3, 2), np.float32))
    command = [sys.executable, FILE, tmp_path / "model.safetensors", tmp_path / "x.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("[") == 4


def test_a_layer_without_a_formula_is_named(tmp_path):
    mf.Sequential(mf.Linear(2, 2), mf.Hardswish()).save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="no formula here for Hardswish; add it to LAYERS"):
        runner().Model(tmp_path / "model.safetensors")(np.zeros((1, 2), np.float32))
    mf.models.gpt(9, 5, 8, 2, 1).save(tmp_path / "gpt.safetensors")
    with pytest.raises(ValueError, match=r"no formula here for GPT; .*, or save mf.Graph\(x, model\(x\)\)"):
        runner().Model(tmp_path / "gpt.safetensors")(np.zeros((1, 5), np.int32))


def test_a_gpt_saved_as_a_graph_writes_on_as_it_did(tmp_path):
    mf.seed(0)
    model, x = (
        mf.models.gpt(vocabulary=9, context=6, embed_dim=8, num_heads=2, num_layers=2),
        mf.Input((6,), dtype=mx.int32),
    )
    graph, ids = mf.Graph(x, model(x)).eval(), np.random.default_rng(0).integers(0, 9, (3, 6)).astype(np.int32)
    graph.save(tmp_path / "gpt.safetensors")
    assert runner().Model(tmp_path / "gpt.safetensors")(ids) == pytest.approx(
        np.array(model.eval()(mx.array(ids))), abs=1e-5
    )
