"""What the ranks of test_failing_ranks.py run: ``python failing_ranks.py TASK``; one of them fails, or is slow."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np

import miniframe as mf
from miniframe.backend import distributed

X = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
Y = mf.one_hot(X[:, 0] > 0, 2)
MANY = 10**6  # epochs: a training that does not end by itself


def network(hidden: int = 5, dtype: Any = mx.float32) -> mf.Sequential:
    mf.seed(0)
    model = mf.Sequential(mf.Linear(2, hidden), mf.Tanh(), mf.Linear(hidden, 2))
    for parameter in model.parameters():
        parameter.value = parameter.value.astype(dtype)
    return model


def train(x: Any = X, y: Any = Y, *, epochs: int = MANY, **options: Any) -> mf.History:
    settings = {"batch_size": 20, "verbose": 0, "loss": "mse", "optimizer": "sgd", "seed": 0}
    model = options.pop("model", None) or network()
    return model.fit(x, y, epochs=epochs, **{**settings, **options})


def is_rank(number: int) -> bool:
    return mf.distributed.rank() == number


# -------------------------------------------------------------------- ways to fail


def full_disk() -> None:
    raise OSError("the disk is full")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted_twice() -> None:
    for _ in range(2):
        signal.raise_signal(signal.SIGINT)


# -------------------------------------------------------------------- moments to fail at


class At(mf.Callback):
    """Does something on one rank, at a moment in the third epoch, or at the start."""

    def __init__(self, number: int, moment: str, act: Callable[[], Any]) -> None:
        self.number, self.moment, self.act, self.epoch = number, moment, act, 0

    def reached(self, moment: str) -> None:
        if is_rank(self.number) and moment == self.moment and (moment == "start" or self.epoch == 2):
            self.act()

    def on_train_begin(self, logs: Any = None) -> None:
        self.reached("start")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self.reached("epoch")

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 7:
            self.reached("batch")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.reached("end of epoch")


def callback(number: int, moment: str, act: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: train(callbacks=[At(number, moment, act)])


def validation(number: int, act: Callable[[], Any]) -> Callable[[], Any]:
    """In the second validation, in which metrics are measured outside of compiled code."""

    def measured() -> mf.History:
        calls = []

        def metric(prediction: mx.array, target: mx.array) -> mx.array:
            calls.append(len(target))
            if is_rank(number) and len(target) == 35 and calls.count(35) == 2:
                act()
            return (prediction - target).mean()

        return train(metrics=[metric], validation_data=(X[:70], Y[:70]))

    return measured


def source(number: int, act: Callable[[], Any], epoch: int = 1) -> Callable[[], Any]:
    """In the middle of the second epoch of a stream, on the thread that reads it."""

    def streamed() -> mf.History:
        epochs = []

        def batches() -> Iterator[Any]:
            epochs.append(1)
            for start in range(0, 400, 20):
                if is_rank(number) and len(epochs) == epoch + 1 and start == 200:
                    act()
                yield X[start : start + 20], Y[start : start + 20]

        return train(batches, None)

    return streamed


# -------------------------------------------------------------------- other tasks


def between() -> None:
    """Fails between two trainings, by an error that nobody expects."""
    train(epochs=1)
    if is_rank(1):
        [][1]
    train(epochs=1)


def leaves() -> None:
    """Evaluates instead of training, and is done."""
    train(epochs=1)
    if is_rank(1):
        network().evaluate(X, Y, loss="mse")
    else:
        train()


def goes_on() -> None:
    """Catches its own error and does something else for long, while the other waits in a step."""
    try:
        callback(1, "epoch", full_disk)()
    except OSError:
        time.sleep(600)


def fewer_batches() -> None:
    """One rank's stream ends earlier, while the other is in a step."""
    count = 10 if is_rank(1) else 20
    train(lambda: [(X[:20], Y[:20])] * count, None)


def slow(task: Callable[[], Any]) -> Callable[[], Any]:
    """A training that ends, of two epochs, whatever takes its time."""

    def run() -> None:
        global MANY, train
        endless = train
        train = lambda *args, **options: endless(*args, epochs=3, **options)  # noqa: E731
        task()
        print("done")

    return run


def one_ctrl_c() -> None:
    history = callback(1, "batch", lambda: signal.raise_signal(signal.SIGINT))()
    print(f"done: {history.interrupted}, {len(history.epoch)} epochs")


def survives() -> None:
    """Catches that the other was killed, and looks at the weights that are left."""
    model = network()
    before = mx.array(model[0].weight.value)
    try:
        train(model=model, callbacks=[At(1, "batch", killed)])
    except mf.DistributedError:
        after = np.array(model[0].weight.value)
        print("usable:", np.isfinite(after).all() and (after != 0).all() and (after != np.array(before)).all())


def refusals() -> None:
    """One after the other, what is refused everywhere before any work is lost; all go on afterwards."""
    second = is_rank(1)
    trials: dict[str, Callable[[], Any]] = {
        "data": lambda: train(X, Y[:-1] if second else Y),
        "a setting": lambda: train(batch_size=-1 if second else 20),
        "shape": lambda: train(model=network(6 if second else 5)),
        "dtype": lambda: train(model=network(dtype=mx.float16 if second else mx.float32)),
        "name": lambda: train(model=mf.Sequential(mf.Tanh(), *network()) if second else network()),
        "target": lambda: train(X, np.argmax(Y, 1) if second else Y, loss="cross_entropy"),
        "optimizer": lambda: train(optimizer="adam" if second else "sgd"),
        "metrics": lambda: train(metrics=["mae"] if second else []),
        "validation": lambda: train(validation_data=(X, Y) if second else None),
        "epochs": lambda: train(epochs=3 if second else 4),
        "samples": lambda: train([(X[: 30 if second else 20], Y[: 30 if second else 20])], None),
        "later samples": lambda: train([(X[:20], Y[:20]), (X[: 20 + 8 * second], Y[: 20 + 8 * second])], None),
        "other calls": lambda: averaged() if second else train(),
        "gradients": lambda: averaged(3 if second else 2),
        "same": lambda: train(epochs=1),
    }
    for name, trial in trials.items():
        try:
            trial()
            print(f"{name}: none")
        except (mf.DistributedError, ValueError) as error:
            print(f"{name}: {type(error).__name__}: {error}")


def without_the_launcher() -> None:
    """Where nobody has told the ranks where to meet, rank 0 says so over MLX, and all else is the same."""
    distributed.announced = lambda: None  # type: ignore[assignment]
    callback(1, "batch", full_disk)()


def averaged(inputs: int = 2) -> None:
    layer = mf.Linear(inputs, 3)
    layer(mx.ones((4, inputs)))
    layer.backward(mx.ones((4, 3)))
    mf.distributed.average_gradients(layer.parameters())
    mx.eval(layer.weight.grad)


def nap() -> None:
    time.sleep(3)


FAILURES = {
    "raises at the start": callback(1, "start", full_disk),
    "raises after a batch": callback(1, "batch", full_disk),
    "rank 0 raises": callback(0, "epoch", full_disk),
    "raises in validation": validation(1, full_disk),
    "raises in its source": source(1, full_disk),
    "calls sys.exit": callback(1, "end of epoch", lambda: sys.exit(0)),
    "is killed": callback(1, "batch", killed),
    "rank 0 is killed in validation": validation(0, killed),
    "is killed in its source": source(1, killed),
    "is interrupted twice": callback(1, "batch", interrupted_twice),
    "raises between trainings": between,
    "evaluates and ends": leaves,
    "goes on with something else": goes_on,
    "has fewer batches": fewer_batches,
}
SLOW = {
    "callback": slow(callback(1, "batch", nap)),
    "source": slow(source(0, nap)),
    "validation": slow(validation(1, nap)),
}
OTHERS = {
    "refusals": refusals,
    "survives": survives,
    "one Ctrl-C": one_ctrl_c,
    "three ranks": callback(2, "batch", full_disk),
    "no word of the launcher": without_the_launcher,
}

if __name__ == "__main__":
    {**FAILURES, **SLOW, **OTHERS}[sys.argv[1]]()
