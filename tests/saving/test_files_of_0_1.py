"""Files that miniframe 0.1 wrote, before its package was divided into floors, load and give what they gave then.

The outputs, and the weights after a training that was never interrupted, were written beside them by that version.
"""

import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from harness import close

import miniframe as mf

FOLDER = Path(__file__).with_name("files_of_0_1")
EXPECTED = mx.load(str(FOLDER / "expected.safetensors"))


def images_model():
    layers = [mf.Conv2d(1, 2, 3), mf.BatchNorm(2), mf.ReLU(), mf.Flatten(), mf.Dropout(0.25), mf.Linear(8, 3)]
    return mf.Sequential(dict(zip(("conv", "norm", "act", "flat", "drop", "out"), layers)))


def test_a_model_gives_the_outputs_that_it_gave():
    model = mf.load(FOLDER / "model.safetensors")
    assert repr(model) == repr(images_model())
    close(model(EXPECTED["model.x"]), EXPECTED["model.y"], 1e-6)
    assert not model.training and model["drop"].p == 0.25
    assert [p.trainable for p in model.parameters()] == [False, False, True, True, True, True]


def test_a_graph_with_a_split_gives_its_outputs_and_gradients():
    graph = mf.load(FOLDER / "graph.safetensors")
    y, total = graph(EXPECTED["graph.x"])
    close(y, EXPECTED["graph.y"], 1e-6)
    close(total, EXPECTED["graph.total"], 1e-6)
    close(graph.backward((mx.ones((5, 1)), mx.ones((5,)))), EXPECTED["graph.dx"], 1e-6)
    assert list(graph.names)[:5] == ["x", "both", "split", "split[0]", "split[1]"] and "out" in graph.names


def test_weights_alone_fit_a_model_of_the_same_layout():
    model = images_model()
    report = model.load_weights(FOLDER / "weights.safetensors")
    assert report.complete and len(report.loaded) == 8
    close(model.eval()(EXPECTED["model.x"]), EXPECTED["model.y"], 1e-6)


# -------------------------------------------------------------------- a checkpoint


def train(epochs, **options):
    """The training of which version 0.1 made a checkpoint after two epochs, and the weights after four."""
    mf.seed(5)
    model = mf.Sequential(mf.Linear(3, 6), mf.BatchNorm(6), mf.ReLU(), mf.Dropout(0.3), mf.Linear(6, 2))
    x = np.random.default_rng(2).normal(size=(24, 3)).astype(np.float32)
    y = np.random.default_rng(3).normal(size=(24, 2)).astype(np.float32)
    history = model.fit(
        x, y, loss="mse", optimizer=mf.Adam(model, 0.01), epochs=epochs, batch_size=8, verbose=0,
        callbacks=[mf.EarlyStopping(monitor="loss", patience=50)], **options,
    )  # fmt: skip
    return model, history


def values(model):
    cells = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: np.array(cell.value) for name, cell in cells.items()}


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(FOLDER / "run", tmp_path / "run")


def test_a_training_resumes_to_the_weights_that_it_would_have_reached(run):
    model, history = train(4, checkpoint=run, resume=True)
    assert history.epoch == [0, 1, 2, 3]
    np.testing.assert_allclose(history.history["loss"], np.array(EXPECTED["run.loss"]), rtol=1e-6)
    whole, _ = train(4, seed=1)
    found, alone = values(model), values(whole)
    expected = {name: np.array(EXPECTED[f"run.{name}"]) for name in found}
    if all(np.array_equal(alone[name], expected[name]) for name in found):  # a processor that rounds as that one did
        assert all(np.array_equal(found[name], expected[name]) for name in found)
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(alone[name], expected[name], rtol=1e-5, atol=1e-6)


def test_the_checkpoint_can_be_read_by_itself(run):
    first, second = (mf.load(run / f"epoch-00000{k}.safetensors") for k in (1, 2))
    assert (first.epoch, second.epoch, second.seed, second.stopped) == (0, 1, 1, False)
    assert second.history["loss"] == pytest.approx(EXPECTED["run.loss"].tolist()[:2])
    assert set(second.weights) == set(values(train(0, seed=1)[0]))


def test_no_file_holds_more_than_a_few_kilobytes_or_a_path():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) == 6 and all(path.stat().st_size < 5000 for path in files)
    assert not any(b"/home" in path.read_bytes() or b"/tmp" in path.read_bytes() for path in files)
