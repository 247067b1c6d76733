"""What every rank of test_parallel.py runs: ``python ranks.py TASK FOLDER``. Results go to FOLDER/TASK_RANK.npz."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

import miniframe as mf


class Running(mf.Module):
    """Subtracts a running mean that training updates: the smallest layer with a statistic."""

    def __init__(self) -> None:
        self.mean = mf.Buffer(mx.zeros((5,)))

    def forward(self, x: mx.array) -> mx.array:
        self.saved = ()
        mean = self.mean.value
        if self.training:
            self.mean.value = 0.9 * mean + 0.1 * x.mean(axis=0)
        return x - mean

    def backward(self, grad_output: mx.array) -> mx.array:
        return grad_output


def network(seed: int = 0) -> mf.Sequential:
    mf.seed(seed)
    return mf.Sequential(mf.Linear(2, 5), mf.Tanh(), mf.Linear(5, 2))


def weights(model: mf.Module) -> np.ndarray:
    return np.concatenate([np.array(cell.value).ravel() for cell in (*model.parameters(), *model.buffers())])


def train(model: mf.Module, loss: Any, samples: int, lr: float = 0.05, **options: Any) -> mf.History:
    x, labels = mf.datasets.disk(samples, seed=0)
    settings = {"epochs": 3, "batch_size": 20, "verbose": 0, "seed": 7, "compile": False, "metrics": ["accuracy"]}
    optimizer = mf.SGD(model, lr=lr, momentum=0.9)
    y = mf.one_hot(labels, 2)
    if getattr(loss, "ignore_index", None) is not None:
        y = np.where(np.arange(samples) % 7 < 4, loss.ignore_index, labels)
    return model.fit(x, y, loss=loss, optimizer=optimizer, **{**settings, **options})


def trainings() -> dict[str, tuple[mf.Module, Any, int, dict[str, Any]]]:
    """Name to model, loss, samples and options; the last batch has 20, 1, 13, ... samples."""
    x, labels = mf.datasets.disk(47, seed=1)
    held_out = (x, mf.one_hot(labels, 2))
    stream = [(x[i : i + 9], held_out[1][i : i + 9]) for i in range(0, 47, 9)]
    statistic = mf.Sequential(*network()[:2], Running(), mf.Linear(5, 2))
    return {
        "even": (network(), mf.MSELoss(), 40, {}),
        "one sample left": (network(), mf.CrossEntropyLoss(), 41, {"validation_data": held_out}),
        "unequal shares": (network(), mf.MSELoss(), 33, {"batch_size": 11, "validation_split": 0.2}),
        "a loss that sums": (network(), mf.MSELoss(reduction="sum"), 41, {"lr": 0.001, "validation_data": held_out}),
        "sample weights": (network(), mf.MSELoss(), 41, {"sample_weight": np.linspace(0, 2, 41)}),
        "targets to ignore": (network(), mf.CrossEntropyLoss(ignore_index=-1), 41, {}),
        "compiled": (network(), mf.MSELoss(), 40, {"compile": True}),
        "a running statistic": (statistic, mf.MSELoss(), 40, {}),
        "a stream for validation": (network(), mf.MSELoss(), 40, {"validation_data": stream}),
    }


FOR_THREE = (
    "one sample left",
    "targets to ignore",
    "unequal shares",
    "a loss that sums",
)  # fewer, for two cores


class Stop(mf.Callback):
    """Ends the training on rank 1 alone."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if mf.distributed.rank() == 1 and epoch == 1:
            self.model.stop_training = True


def same(folder: Path) -> None:
    """Every training in turn, the number of messages that an epoch of 3 batches sends, and trainings that end early."""
    results = {}
    for name, (model, loss, samples, options) in trainings().items():
        if mf.distributed.size() == 3 and name not in FOR_THREE:
            continue
        history = train(model, loss, samples, **options)
        results[name] = weights(model)
        results.update({f"{name}: {key}": np.array(values) for key, values in history.history.items()})
    counted, send = [], mf.distributed.Team.sum
    mf.distributed.Team.sum = lambda *args: counted.append(1) or send(*args)
    model = network()
    train(model, mf.MSELoss(), 60, epochs=0)
    before = len(counted)
    train(model, mf.MSELoss(), 60, epochs=1)
    results["messages"] = np.array(len(counted) - 2 * before)
    mf.distributed.Team.sum = send
    for epochs, resume in ((2, False), (3, True)):
        model = network(seed=epochs)
        log = mf.CSVLogger(folder / f"log_{epochs}.csv")
        train(model, mf.MSELoss(), 40, epochs=epochs, checkpoint=folder / "run", resume=resume, callbacks=[log])
        results["resumed"] = weights(model)
    history = train(network(), mf.MSELoss(), 40, epochs=50, callbacks=[Stop()])
    results["epochs until rank 1 stops"] = np.array(len(history.epoch))
    results["other data"] = np.array(refusal(40 + 20 * mf.distributed.rank()))
    results["not finite"] = np.array(refusal(400, lr=1e20))
    save(folder, "same", **results)


def refusal(samples: int, **options: Any) -> str:
    """The error with which a training ends."""
    try:
        train(network(), mf.MSELoss(), samples, **options)
    except (mf.DistributedError, mf.NonFiniteError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def different_start(folder: Path) -> None:
    """Ranks that start from different weights and seeds, with Dropout, and print."""
    rank = mf.distributed.rank()
    mf.seed(100 + rank)
    model = mf.Sequential(mf.Linear(2, 5), mf.Dropout(0.5), mf.Linear(5, 2))
    history = train(model, mf.MSELoss(), 40, seed=None, verbose=2)
    save(folder, "different_start", weights=weights(model), loss=np.array(history.history["loss"]))


def resumes(folder: Path) -> None:
    """Four epochs at once, and two and two from a checkpoint: with Dropout, so that every rank's masks count."""
    rows = {}
    for name, parts in {"whole": [4], "resumed": [2, 4]}.items():
        for epochs in parts:
            mf.seed(0)
            model = mf.Sequential(mf.Linear(2, 5), mf.Dropout(0.5), mf.Linear(5, 2))
            options = {"checkpoint": folder / name, "resume": True}
            history = train(model, mf.MSELoss(), 40, epochs=epochs, **options)
        rows[name] = np.concatenate([weights(model), history.history["loss"]])
    save(folder, "resumes", **rows)


class Silence(mf.Callback):
    """In its third epoch rank 1 does nothing any more."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if mf.distributed.rank() == 1 and epoch == 2:
            os.kill(os.getpid(), signal.SIGSTOP)


def hangs(folder: Path) -> None:
    train(network(), mf.MSELoss(), 400, epochs=10**6, callbacks=[Silence()])


def save(folder: Path, task: str, **arrays: np.ndarray) -> None:
    np.savez(folder / f"{task}_{mf.distributed.rank()}.npz", **arrays)


if __name__ == "__main__":
    tasks = {f.__name__: f for f in (same, different_start, resumes, hangs)}
    tasks[sys.argv[1]](Path(sys.argv[2]))
