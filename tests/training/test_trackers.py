"""Trackers: what they are told is read back by their own libraries, offline."""

import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from harness import normal

import miniframe as mf


def trained(*callbacks, epochs=3):
    mf.seed(0)
    x, y = normal(20, 6, 6, 3).astype(np.float32), np.arange(20) % 4
    block = mf.Sequential({"conv": mf.Conv2d(3, 2, 3), "act": mf.ReLU(), "flat": mf.Flatten()})
    model = mf.Sequential({"block": block, "out": mf.Linear(32, 4)})
    options = {"loss": "cross_entropy", "optimizer": "sgd", "metrics": ["accuracy"], "validation_data": (x, y)}
    return model, model.fit(x, y, epochs=epochs, batch_size=8, verbose=0, callbacks=list(callbacks), **options)


def test_tensorboards_own_reader_finds_curves_histograms_graph_and_images(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, history = trained(mf.TensorBoard(tmp_path, images=2))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    tags = events.Tags()
    assert set(tags["scalars"]) == set(history.history) >= {"loss", "val_loss", "accuracy"}
    for name, values in history.history.items():
        found = events.Scalars(name)
        assert [event.step for event in found] == [0, 1, 2]
        np.testing.assert_allclose([event.value for event in found], values, rtol=1e-6)
    names = [name for name, _ in model.named_parameters()]
    assert set(tags["histograms"]) == {f"{kind}/{name}" for kind in ("weights", "gradients") for name in names}
    last = events.Histograms("weights/out.weight")[-1].histogram_value
    weight = np.array(dict(model.named_parameters())["out.weight"].value)
    np.testing.assert_allclose([last.min, last.max, last.num], [weight.min(), weight.max(), weight.size], rtol=1e-6)
    assert any(h.histogram_value.max > 0 for h in events.Histograms("gradients/block.conv.weight"))
    assert tags["images"] and len(events.Images(tags["images"][0])) >= 1 and tags["graph"]
    nodes = {node.name: node for node in events.Graph().node}
    assert list(nodes) == ["input1", "block/conv", "block/act", "block/flat", "out"]
    assert nodes["out"].op == "Linear" and list(nodes["out"].input) == ["block/flat"]


def test_looking_changes_nothing(tmp_path):
    watched, seen = trained(mf.TensorBoard(tmp_path))
    alone, expected = trained()
    assert seen.history == expected.history
    pairs = zip(watched.parameters(), alone.parameters())
    assert all(mx.array_equal(a.value, b.value) for a, b in pairs)


def test_looking_uses_up_none_of_the_looks_that_the_loss_takes_at_predictions(tmp_path):
    x = mx.zeros((4, 3))
    left = []
    for callbacks in ([], [mf.TensorBoard(tmp_path)]):
        model, loss = mf.Linear(3, 2), mf.CrossEntropyLoss()
        model.fit(x, mx.array([0, 1, 0, 1]), loss=loss, optimizer="sgd", epochs=1, verbose=0, callbacks=callbacks)
        left.append(loss._looks)
    assert left[0] == left[1]


def test_weights_and_biases_is_told_every_epoch(tmp_path):
    import wandb

    told = []
    callback = mf.WandbLogger("project", mode="offline", dir=str(tmp_path))
    begin = callback.on_train_begin

    def begun(logs=None):
        begin(logs)
        run, log = callback._run, callback._run.log
        callback._run.log = lambda row, step: (told.append((step, row)), log(row, step=step))
        assert run.offline and run.config["optimizer"] == "SGD" and run.project == "project"

    callback.on_train_begin = begun
    _, history = trained(callback)
    assert [step for step, _ in told] == [0, 1, 2] and wandb.run is None
    assert [row["val_loss"] for _, row in told] == pytest.approx(history.history["val_loss"])
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_mlflow_is_told_every_epoch(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "runs").as_uri()
    _, history = trained(mf.MLflowLogger("digits", uri, name="first"))
    trained(mf.MLflowLogger("digits", uri), epochs=1)
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name("digits").experiment_id])
    (first,) = [run for run in runs if run.info.run_name == "first"]
    assert len(runs) == 2 and first.info.status == "FINISHED" and first.data.params["loss"] == "CrossEntropyLoss"
    for name, values in history.history.items():
        found = sorted(client.get_metric_history(first.info.run_id, name), key=lambda metric: metric.step)
        assert [metric.value for metric in found] == pytest.approx(values)


@pytest.mark.parametrize(
    "make, name, extra",
    [("TensorBoard('x')", "tensorboardX", "tensorboard"), ("WandbLogger()", "wandb", "wandb"),
     ("MLflowLogger()", "mlflow", "mlflow")],
)  # fmt: skip
def test_without_the_library_one_line_names_the_extra(make, name, extra):
    code = (
        f"import sys; sys.modules[{name!r}] = None\nimport miniframe as mf\n"
        f"try: mf.{make}\nexcept ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{make.partition('(')[0]}: needs {name}: pip install miniframe[{extra}]\n", done.stderr


def test_importing_the_package_imports_none_of_the_libraries():
    code = "import sys, miniframe; print([n for n in ('onnx', 'tensorboardX', 'wandb', 'mlflow') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
