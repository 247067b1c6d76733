"""Two models, one gradient: each half of a network lives in a process of its own, perhaps on a machine of its own.

    mlx.launch -n 2 python tutorials/scripts/two_processes.py

Rank 0 has the inputs and the first half, rank 1 the labels and the second. In every step one array crosses the
boundary, the activation, and one comes back, its gradient. Neither process ever sees the weights of the other. At the
end each trains the whole network by itself, to show that its half has come out the same, bit for bit.
"""

import sys

import mlx.core as mx

import miniframe as mf

POINTS, BATCH, STEPS, HIDDEN = 1000, 100, 50, 25


def network() -> mf.Sequential:
    """The same in both processes, as they start from the same seed."""
    mf.seed(0)
    return mf.Sequential(mf.Linear(2, HIDDEN), mf.Tanh(), mf.Linear(HIDDEN, HIDDEN), mf.Tanh(), mf.Linear(HIDDEN, 2))


def steps(x: mx.array, y: mx.array):
    """The batches of the training, STEPS of them, in a fixed order."""
    for step in range(STEPS):
        start = step * BATCH % POINTS
        yield x[start : start + BATCH], y[start : start + BATCH]


def optimizer_of(model: mf.Module) -> mf.SGD:
    return mf.SGD(model, lr=0.5, momentum=0.9)


def train_first(first: mf.Module, x: mx.array, y: mx.array) -> None:
    """Rank 0: forward, send the activation, receive its gradient, backward, step."""
    optimizer = optimizer_of(first)
    for xb, _ in steps(x, y):
        activation = first(xb)
        mx.eval(mx.distributed.send(activation, 1))
        gradient = mx.distributed.recv_like(activation, 1)
        first.zero_grad()
        first.backward(gradient)
        optimizer.step()
        mx.eval([p.value for p in first.parameters()])


def train_second(second: mf.Module, x: mx.array, y: mx.array) -> float:
    """Rank 1: receive the activation, forward, loss, backward, send the gradient back, step."""
    loss, optimizer = mf.MSELoss(), optimizer_of(second)
    for _, yb in steps(x, y):
        activation = mx.distributed.recv((BATCH, HIDDEN), mx.float32, 0)
        value = loss(second(activation), yb)
        second.zero_grad()
        mx.eval(mx.distributed.send(second.backward(loss.backward()), 0))
        optimizer.step()
        mx.eval([p.value for p in second.parameters()])
    return value.item()


def train_whole(model: mf.Module, x: mx.array, y: mx.array) -> None:
    """One process: what the two are compared with."""
    loss = mf.MSELoss(model)
    optimizer = optimizer_of(model)
    for xb, yb in steps(x, y):
        mf.train_step(model, loss, optimizer, xb, yb)


def main() -> None:
    world = mx.distributed.init()
    if world.size() != 2:
        sys.exit("two_processes.py: expected two processes; start it with mlx.launch -n 2 python two_processes.py")
    points, labels = mf.datasets.disk(POINTS, seed=0)
    x, y = points - 0.5, mf.one_hot(labels, 2)
    mine = network().split(2)[world.rank()]
    if world.rank() == 0:
        train_first(mine, x, y)
    else:
        print(f"rank 1: loss {train_second(mine, x, y):.4f} after {STEPS} steps", flush=True)

    whole = network()
    train_whole(whole, x, y)
    expected = dict(whole.named_parameters())
    for name, parameter in mine.named_parameters():
        if not mx.array_equal(parameter.value, expected[name].value):
            sys.exit(f"rank {world.rank()}: {name} differs from that of the whole network")
    names = ", ".join(name for name, _ in mine.named_parameters())
    print(f"rank {world.rank()}: {names} equal those of the whole network bit for bit", flush=True)


if __name__ == "__main__":
    main()
