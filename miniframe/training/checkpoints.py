"""Checkpoints of a training: after a crash or a kill, fit goes on from the last one exactly as if nothing happened."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..backend.distributed import team
from ..core import random
from ..core.module import Module
from ..core.warn import users_line
from ..data.arrays import draw_seed
from ..optimizers.base import Optimizer
from ..saving.description import describe, plain_data, rebuild
from ..saving.files import load_arrays, save_arrays
from ..saving.weights import cells_of, put_weights
from .callbacks import Callback
from .history import History

NAMED = 3  # differences that an error lists
NAME = re.compile(r"epoch-(\d+)\.safetensors")


@plain_data
@dataclass
class Snapshot:
    """All that decides how a training goes on, as plain data.

    Attributes:
        epoch: the last finished one.
        seed: of fit; with the number of an epoch it gives the shuffle order.
        weights: arrays by the names of the model's parameters and buffers.
        optimizer: what ``state_of`` returns.
        random: the two numbers of the random state, for each rank.
        callbacks: (class name, state) of each.
        history, epochs: the lists of the History.
        stopped: whether a callback has ended the training.
    """

    epoch: int
    seed: int
    weights: dict[str, mx.array]
    optimizer: dict[str, Any]
    random: list[float]
    callbacks: list[tuple[str, dict[str, Any]]]
    history: dict[str, list[float]]
    epochs: list[int]
    stopped: bool

    @classmethod
    def take(
        cls, model: Module, optimizer: Optimizer, callbacks: list[Callback], history: History, seed: int
    ) -> Snapshot:
        """The state of a training after an epoch."""
        return cls(
            epoch=history.epoch[-1],
            seed=seed,
            weights={name: cell.value for name, cell in cells_of(model).items()},
            optimizer=state_of(optimizer),
            random=team().total(_in_place(random.get_state())),
            callbacks=[(type(c).__name__, c.state()) for c in callbacks],
            history=history.history,
            epochs=history.epoch,
            stopped=bool(model.stop_training),
        )

    def restore(self, model: Module, optimizer: Optimizer, callbacks: list[Callback], history: History) -> None:
        """Bring model, optimizer, callbacks, history and random numbers to where they were."""
        where = f"fit: the checkpoint of epoch {self.epoch + 1}"
        ours, theirs = [type(c).__name__ for c in callbacks], [name for name, _ in self.callbacks]
        if ours != theirs:
            raise ValueError(f"{where} was made with the callbacks {theirs}, and now there are {ours}")
        check_same_model(model, self.weights, where)
        check_fits(optimizer, self.optimizer, where)
        put_weights(model, self.weights, strict=True, where=where)
        set_state_of(optimizer, self.optimizer)
        for callback, (_, state) in zip(callbacks, self.callbacks):
            callback.load_state(state)
        history.history, history.epoch = self.history, self.epochs
        model.stop_training = self.stopped
        if len(self.random) == 2 * team().size:  # on another number of ranks the masks of Dropout differ anyway
            first, second = self.random[2 * team().rank :][:2]
            random.set_state((int(first), int(second)))


def _in_place(state: random.State) -> list[float]:
    """Zeros for the other ranks, so that the sum over the ranks lists the states of all."""
    numbers = [0.0] * (2 * team().size)
    numbers[2 * team().rank : 2 * team().rank + 2] = state
    return numbers


def state_of(optimizer: Optimizer) -> dict[str, Any]:
    """What an optimizer remembers, as numbers, strings and arrays; learning rates that are schedules are None."""
    return {
        "class": type(optimizer).__name__,
        "iterations": optimizer.iterations,
        "lr": [None if callable(group.lr) else group.lr for group in optimizer.groups],
        "arrays": [cell.value for cell in optimizer.cells()],
    }


def check_same_model(model: Module, weights: dict[str, mx.array], where: str) -> None:
    """Raise a ValueError that names what differs, unless the model has just these weights and statistics."""
    ours = {name: cell.shape for name, cell in cells_of(model).items()}
    theirs = {name: array.shape for name, array in weights.items()}
    different = [
        f"{name} is {theirs.get(name, 'not there')} in the checkpoint and {ours.get(name, 'not there')} in this model"
        for name in {**theirs, **ours}
        if ours.get(name) != theirs.get(name)
    ]
    if different:
        more = f", and {len(different) - NAMED} more" if len(different) > NAMED else ""
        raise ValueError(
            f"{where} belongs to another model: {', '.join(different[:NAMED])}{more}; build the same model, or give "
            "another folder"
        )


def check_fits(optimizer: Optimizer, state: dict[str, Any], where: str) -> None:
    """Raise a ValueError that names what differs, unless the optimizer is made like the one whose state this is."""
    ours = (type(optimizer).__name__, len(optimizer.groups), [cell.shape for cell in optimizer.cells()])
    theirs = (state["class"], len(state["lr"]), [array.shape for array in state["arrays"]])
    what = ("the optimizer", "the number of groups", "the number of state arrays")
    for name, one, other in zip(what, (*theirs[:2], len(theirs[2])), (*ours[:2], len(ours[2]))):
        if one != other:
            raise ValueError(
                f"{where} does not fit: {name} was {one} and now is {other}; make the optimizer with the same arguments"
            )
    for place, (one, other) in enumerate(zip(theirs[2], ours[2]), start=1):
        if one != other:
            raise ValueError(
                f"{where} does not fit: state array {place} of {ours[0]} was of shape {one} and now is of {other}; "
                "make the optimizer with the same arguments, for the same parameters in the same order"
            )


def set_state_of(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Let an optimizer made with the same arguments remember what another one did."""
    optimizer.iterations = state["iterations"]
    for group, lr in zip(optimizer.groups, state["lr"]):
        if lr is not None and not callable(group.lr):
            group.lr = lr
    for cell, array in zip(optimizer.cells(), state["arrays"]):
        cell.value = array


class Checkpoints:
    """The folder of one training, with a file for each of its last epochs.

    Args:
        folder: made if it does not exist; on several machines, one that all of them see. None keeps nothing.
        keep: how many files stay.
        resume: whether to go on from the last one that can be read; False refuses a folder that has any.

    Attributes:
        snapshot: what to go on from; None for a new training.

    Raises:
        ValueError: for keep < 1, checkpoints of another training in the folder, or resuming without a folder.

    >>> import tempfile
    >>> Checkpoints(tempfile.mkdtemp(), keep=3).snapshot is None
    True
    """

    def __init__(self, folder: str | os.PathLike[str] | None, keep: int = 3, resume: bool = False) -> None:
        self.folder, self.keep = None if folder is None else Path(folder), keep
        self.snapshot: Snapshot | None = None
        if self.folder is None:
            if resume:
                raise ValueError("fit: resume=True needs the folder of the checkpoints: fit(..., checkpoint='run/')")
            return
        if isinstance(keep, bool) or not isinstance(keep, int):
            raise TypeError(f"fit: expected keep as a whole number, got {keep!r}")
        if keep < 1:
            raise ValueError(f"fit: expected to keep at least 1 checkpoint, got keep={keep}")
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.files() and not resume:
            raise ValueError(
                f"fit: {self.folder} already holds checkpoints; resume=True goes on from the last one, and for a new "
                "training give a new folder"
            )
        if team().rank == 0:
            for leftover in self.folder.glob(".epoch-*"):  # from a process killed while it was saving
                leftover.unlink(missing_ok=True)
        self.snapshot = self._latest()

    def _latest(self) -> Snapshot | None:
        """The last checkpoint that can be read; None in a new folder. What was passed over is said."""
        damaged: list[str] = []
        for path in reversed(self.files()):
            try:
                snapshot = _read(path)
            except (ValueError, OSError) as error:
                damaged.append(str(error))
                continue
            if damaged and team().rank == 0:
                epochs = snapshot.epoch + 1
                words = f"fit: {'; '.join(damaged)}. Going on from {path}, after epoch {epochs}"
                warnings.warn(words, stacklevel=users_line())
            return snapshot
        if damaged:
            raise ValueError(f"fit: none of the checkpoints in {self.folder} can be read: {'; '.join(damaged)}")
        return None

    def facts(self) -> dict[str, Any]:
        """What ranks that train together have to have in common."""
        last = "nowhere" if self.snapshot is None else f"epoch {self.snapshot.epoch + 1}"
        return {"checkpoint": "none" if self.folder is None else "a folder", "what resume goes on from": last}

    def seed(self, asked: int | None) -> int:
        """The seed of the training: the checkpoint's, the one asked for, or a fresh one; that of rank 0 everywhere."""
        if self.snapshot is None:
            return team().first(draw_seed(asked))
        if asked not in (None, self.snapshot.seed):
            raise ValueError(
                f"fit: the checkpoints in {self.folder} were made with seed={self.snapshot.seed}, and now it is {asked}"
            )
        return team().first(self.snapshot.seed)

    def files(self) -> list[Path]:
        """The checkpoints, oldest first."""
        found = {} if self.folder is None else {path: NAME.fullmatch(path.name) for path in self.folder.iterdir()}
        return sorted((path for path, match in found.items() if match), key=lambda path: int(found[path][1]))  # type: ignore[index]

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint, whole or not at all, and remove what is older than the last ``keep``."""
        if self.folder is None or team().rank > 0:
            return
        about, arrays = describe(snapshot)
        save_arrays(self.folder / f"epoch-{snapshot.epoch + 1:06d}.safetensors", arrays, {"kind": "model", **about})
        for path in self.files()[: -self.keep]:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Snapshot:
    arrays, about = load_arrays(path)
    snapshot = rebuild(about, arrays, str(path)) if about.get("kind") == "model" else None
    if not isinstance(snapshot, Snapshot):
        raise ValueError(f"{path}: holds a {type(snapshot).__name__}, no checkpoint")
    return snapshot
