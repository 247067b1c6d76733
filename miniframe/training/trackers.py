"""Callbacks that tell the trackers which people already use: TensorBoard, Weights & Biases, MLflow.

Each is thin: it hands over the numbers of every epoch and leaves the rest to the library, which is asked for only here.
"""

from __future__ import annotations

import os
from typing import Any

import mlx.core as mx
import numpy as np

from ..backend.distributed import rank
from ..core.arrays import as_tuple
from ..core.extras import library
from ..core.untouched import untouched
from ..data.arrays import ArrayData
from ..graph.passes import Pass
from ..losses.aside import not_looking
from .callbacks import Callback, Logs
from .step import forward_backward

SAMPLES = 64  # of the training data, at which gradients are looked at


class TensorBoard(Callback):
    """Write what TensorBoard shows: curves, histograms of weights and gradients, the graph, and input images.

    ``tensorboard --logdir FOLDER`` opens it. Histograms are drawn for every parameter at the end of an epoch; the
    gradients are those of the first samples of the training data. On several ranks, only the first one writes.

    Args:
        log_dir: the folder.
        histograms: every how many epochs; 0 for none.
        graph: whether to draw the model's calls.
        images: how many of the inputs to show, where they are images.

    Raises:
        ImportError: without the library tensorboardX, naming the extra that brings it.

    >>> import tempfile, miniframe as mf, mlx.core as mx
    >>> folder, x = tempfile.mkdtemp(), mx.zeros((4, 1))
    >>> history = mf.Linear(1, 1).fit(x, x, loss="mse", optimizer="sgd", verbose=0, callbacks=[TensorBoard(folder)])
    >>> [name.startswith("events.out.tfevents") for name in os.listdir(folder)]
    [True]
    """

    keeps = ()

    def __init__(
        self, log_dir: str | os.PathLike[str], histograms: int = 1, graph: bool = True, images: int = 0
    ) -> None:
        if histograms < 0 or images < 0:
            raise ValueError(f"TensorBoard: expected histograms and images >= 0, got {histograms} and {images}")
        library("tensorboardX", "tensorboard", "TensorBoard")  # now, before anything is trained
        self.log_dir, self.histograms, self.graph, self.images = os.fspath(log_dir), histograms, graph, images
        self._writer: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if rank() > 0:
            return
        found = library("tensorboardX", "tensorboard", "TensorBoard")
        self._writer = found.SummaryWriter(self.log_dir)
        if (batch := self._batch()) is None:
            return
        if self.graph:
            with untouched(self.model):
                self.model.eval()
                graph = _drawn(found, Pass(self.model, as_tuple(batch[0]), "TensorBoard"))
            self._writer.file_writer.add_onnx_graph(graph)
        first = np.array(as_tuple(batch[0])[0])[: self.images]
        if len(first) and first.ndim == 4 and first.shape[-1] in (1, 3):
            low, high = first.min(), first.max()
            shown = (first - low) / (high - low if high > low else 1)
            self._writer.add_images("inputs", shown.astype(np.float32), 0, dataformats="NHWC")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._writer is None:
            return
        for name, value in (logs or {}).items():
            self._writer.add_scalar(name, float(value), epoch)
        if self.histograms and epoch % self.histograms == 0:
            for name, parameter in self.model.named_parameters():
                self._writer.add_histogram(f"weights/{name}", _finite(parameter.value), epoch)
            for name, gradient in self._gradients().items():
                self._writer.add_histogram(f"gradients/{name}", _finite(gradient), epoch)
        self._writer.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _batch(self) -> Any:
        """The first samples of the training data; of a stream the latest batch, once there is one."""
        return next(self.data.epoch(SAMPLES)) if isinstance(self.data, ArrayData) else self.data.latest

    def _gradients(self) -> dict[str, Any]:
        """The gradient of every parameter that learns, of the first samples, leaving no trace."""
        if (batch := self._batch()) is None:
            return {}
        with untouched(self.model, self.loss), not_looking(self.loss):
            forward_backward(self.model.train(), self.loss, *batch)
            return {name: p.grad for name, p in self.model.named_parameters() if p.grad is not None}


def _finite(array: Any) -> np.ndarray:
    """The numbers that a histogram can hold."""
    numbers = np.array(array.astype(mx.float32)).reshape(-1)
    return numbers[np.isfinite(numbers)] if np.isfinite(numbers).any() else np.zeros(1, np.float32)


def _drawn(library: Any, seen: Pass) -> Any:
    """The calls as TensorBoard's graph: "encoder.0" stands in the box "encoder"."""
    protos = library.proto
    names = {id(node): f"input{k + 1}" for k, node in enumerate(seen.inputs)}
    nodes = [protos.node_def_pb2.NodeDef(name=name, op="Input") for name in names.values()]
    for name, node in seen.calls.items():
        names[id(node)] = name.replace(".", "/").replace("#", "_").replace("[", "_").replace("]", "")
        given = [names[id(source)] for source in node.inputs if id(source) in names]
        nodes.append(protos.node_def_pb2.NodeDef(name=names[id(node)], op=node.operation, input=given))
    return protos.graph_pb2.GraphDef(node=nodes, versions=protos.versions_pb2.VersionDef(producer=22))


class WandbLogger(Callback):
    """Send the numbers of every epoch to Weights & Biases; on several ranks, only the first one does.

    Args:
        project: under which the run is listed.
        options: anything else that ``wandb.init`` takes, such as ``name="first"`` or ``mode="offline"``.

    Raises:
        ImportError: without the library wandb, naming the extra that brings it.
    """

    keeps = ()

    def __init__(self, project: str | None = None, **options: Any) -> None:
        library("wandb", "wandb", "WandbLogger")  # now, before anything is trained
        self.project, self.options = project, options
        self._run: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if rank() == 0:
            self._run = library("wandb", "wandb", "WandbLogger").init(project=self.project, **self.options)
            self._run.config.update(_settings(self), allow_val_change=True)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._run is not None:
            self._run.log({name: float(value) for name, value in (logs or {}).items()}, step=epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None


class MLflowLogger(Callback):
    """Send the numbers of every epoch to MLflow; on several ranks, only the first one does.

    Args:
        experiment: under which the run is listed.
        uri: of the server or the store; by default what MLflow itself is set to.
        name: of the run.

    Raises:
        ImportError: without the library mlflow, naming the extra that brings it.
    """

    keeps = ()

    def __init__(self, experiment: str = "miniframe", uri: str | None = None, name: str | None = None) -> None:
        library("mlflow", "mlflow", "MLflowLogger")  # now, before anything is trained
        self.experiment, self.uri, self.name = experiment, uri, name
        self._client: Any = None
        self._run = ""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if rank() > 0:
            return
        self._client = library("mlflow", "mlflow", "MLflowLogger").MlflowClient(tracking_uri=self.uri)
        known = self._client.get_experiment_by_name(self.experiment)
        number = self._client.create_experiment(self.experiment) if known is None else known.experiment_id
        self._run = self._client.create_run(number, run_name=self.name).info.run_id
        for name, value in _settings(self).items():
            self._client.log_param(self._run, name, value)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._client is not None:
            for name, value in (logs or {}).items():
                self._client.log_metric(self._run, name, float(value), step=epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._client is not None:
            self._client.set_terminated(self._run)
            self._client = None


def _settings(callback: Callback) -> dict[str, Any]:
    """What a run is listed with."""
    return {
        "model": type(callback.model).__name__,
        "parameters": callback.model.count_params(),
        "loss": type(callback.loss).__name__,
        "optimizer": type(callback.optimizer).__name__,
        "epochs": callback.params["epochs"],
    }
