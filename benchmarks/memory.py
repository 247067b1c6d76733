"""How much memory does training take, beside PyTorch, and does it leak?

python benchmarks/memory.py                       # the growth of peak memory in two epochs, a process for each network
python benchmarks/memory.py --leaks               # memory before and after 1,000 epochs of the disk model
python benchmarks/memory.py --networks conv mlp --json benchmarks/results/memory.json

Growth is measured from where model and data are made, before the optimizer is: the peak of the process (VmHWM) less
what it holds then. PyTorch's copy of a network takes the same batches in order; both use SGD with momentum.
"""

import own_kernels  # noqa: F401  isort: skip

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys

NETWORKS = ("conv", "mlp", "vgg16", "deep")
SYSTEMS = ("PyTorch", "miniframe", "miniframe, memory returned", "miniframe, checkpointed")
VGG16 = [64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool"]
DATA = {  # shape, batch
    "conv": ((16, 112, 112, 3), 8), "mlp": ((4096, 784), 256), "vgg16": ((8, 224, 224, 3), 4),
    "deep": ((16, 64, 64, 3), 8),
}  # fmt: skip
DEEP, PIECE = 64, 8  # convolutions of the deep network, and how many of them are checkpointed together
EPOCHS = 1000


# -------------------------------------------------------------------- one process


def resident() -> int:
    """Bytes that the process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def peak() -> int:
    """The most that it has held since ``forget_peak``."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def ours(network: str, checkpointed: bool) -> int:
    """Bytes of growth of two epochs with miniframe."""
    import mlx.core as mx

    import miniframe as mf

    shape, batch = DATA[network]
    wrap = mf.checkpointed if checkpointed else lambda layer: layer
    model = model_here(mf, network, wrap)
    x, y = mx.random.normal(shape), mx.random.randint(0, 10, shape[:1])
    mx.eval(x, y, [p.value for p in model.parameters()])
    mx.synchronize()
    forget_peak()
    before = resident()
    optimizer = mf.SGD(model, lr=1e-4, momentum=0.9)
    model.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=batch, shuffle=False, verbose=0)
    mx.synchronize()
    return peak() - before


def model_here(mf, network, wrap):
    Conv, Relu = mf.Conv2d, mf.ReLU
    if network == "conv":
        first = mf.Sequential(Conv(3, 64, 3, padding=1), Relu(), Conv(64, 64, 3, padding=1), Relu(), mf.MaxPool2d(2))
        second = mf.Sequential(Conv(64, 128, 3, padding=1), Relu())
        return mf.Sequential(wrap(first), wrap(second), mf.Flatten(), mf.Linear(128 * 56 * 56, 10))
    if network == "mlp":
        inner = mf.Sequential(mf.Linear(784, 1024), Relu(), mf.Linear(1024, 1024), Relu())
        return mf.Sequential(wrap(inner), mf.Linear(1024, 10))
    if network == "deep":
        rows = [
            [layer for _ in range(PIECE) for layer in (Conv(32, 32, 3, padding=1), Relu())]
            for _ in range(DEEP // PIECE)
        ]
        inner = [wrap(mf.Sequential(*row)) for row in rows]
        return mf.Sequential(Conv(3, 32, 3, padding=1), *inner, mf.GlobalAvgPool2d(), mf.Linear(32, 10))
    blocks, layers, channels = [], [], 3
    for width in VGG16:
        if width == "pool":
            blocks.append(wrap(mf.Sequential(*layers, mf.MaxPool2d(2))))
            layers = []
        else:
            layers += [Conv(channels, width, 3, padding=1), Relu()]
            channels = width
    head = [mf.Linear(512 * 49, 4096), Relu(), mf.Dropout(), mf.Linear(4096, 4096), Relu(), mf.Dropout()]
    return mf.Sequential(*blocks, mf.Flatten(), *head, mf.Linear(4096, 1000))


def theirs(network: str) -> int:
    """The same with PyTorch."""
    import torch
    from torch import nn

    shape, batch = DATA[network]
    model = model_there(nn, network)
    shape = (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else shape
    x, y = torch.randn(shape), torch.randint(0, 10, shape[:1])
    loss = nn.CrossEntropyLoss()
    forget_peak()
    before = resident()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    for _ in range(2):
        for start in range(0, len(x), batch):
            optimizer.zero_grad()
            loss(model(x[start : start + batch]), y[start : start + batch]).backward()
            optimizer.step()
    return peak() - before


def model_there(nn, network):
    if network == "conv":
        return nn.Sequential(
            nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(128 * 56 * 56, 10),
        )  # fmt: skip
    if network == "mlp":
        return nn.Sequential(nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
    if network == "deep":
        inner = [layer for _ in range(DEEP) for layer in (nn.Conv2d(32, 32, 3, padding=1), nn.ReLU())]
        head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)]
        return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), *inner, *head)
    layers, channels = [], 3
    for width in VGG16:
        layers += [nn.MaxPool2d(2)] if width == "pool" else [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = channels if width == "pool" else width
    head = [nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout()]
    return nn.Sequential(*layers, nn.Flatten(), *head, nn.Linear(4096, 1000))


# -------------------------------------------------------------------- all of them


def measured(network: str, system: str) -> int:
    """The growth in a process of its own."""
    environment = dict(os.environ)
    if system.endswith("returned"):
        environment["MINIFRAME_KEEP_MEMORY"] = "0"
    command = [sys.executable, __file__, "--one", network, system]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def compare(networks: list[str], rounds: int) -> dict[str, dict[str, list[int]]]:
    """Print the table; returns all measurements in bytes, by network and system."""
    found: dict[str, dict[str, list[int]]] = {}
    for network in networks:
        rows = found.setdefault(network, {})
        for _ in range(rounds):
            for system in SYSTEMS:
                rows.setdefault(system, []).append(measured(network, system))
        reference = statistics.median(rows[SYSTEMS[0]])
        for system, values in rows.items():
            value = statistics.median(values)
            print(f"{network:6}  {system:28}  {value / 1e6:7.0f} MB  {value / reference:5.2f} of PyTorch's", flush=True)
    return found


def leaks() -> None:
    """Memory before and after 1,000 epochs of the disk model (1,000 points, batches of 100)."""
    import mlx.core as mx

    import miniframe as mf
    from miniframe.bench.sides import side

    class Memory(mf.Callback):
        """Notes MLX's own memory and the process's peak after the warm-up and at the end."""

        def __init__(self) -> None:
            self.seen: list[tuple[int, int]] = []

        def on_epoch_end(self, epoch, logs=None) -> None:
            if epoch + 1 in (EPOCHS // 10, EPOCHS):
                mx.synchronize()
                unit = 1 if sys.platform == "darwin" else 1024
                self.seen.append((mx.get_active_memory(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))

    x, labels = mf.datasets.disk(1000, seed=0)
    model = mf.Sequential(mf.Linear(2, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(), mf.Linear(25, 25), mf.ReLU(),
                          mf.Linear(25, 2))  # fmt: skip
    memory = Memory()
    optimizer = mf.SGD(model, lr=0.1, momentum=0.9)
    model.fit(x, mf.one_hot(labels, 2), loss="mse", optimizer=optimizer, epochs=EPOCHS, batch_size=100, verbose=0,
              callbacks=[memory])  # fmt: skip
    print(f"computed on {side('mlx')}")
    (active, most), (active_end, most_end) = memory.seen
    print(f"MLX arrays: {active:,} bytes after {EPOCHS // 10} epochs, {active_end:,} after {EPOCHS:,}")
    print(f"process peak: {most / 2**20:.1f} MiB, then {most_end / 2**20:.1f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        network, system = options.one
        print(theirs(network) if system == SYSTEMS[0] else ours(network, system.endswith("checkpointed")))
    elif options.leaks:
        leaks()
    else:
        from miniframe.bench.sides import sides

        for package, words in sides(("mlx", "torch")).items():
            print(f"{package} computes on {words}", flush=True)
        found = compare(options.networks, options.rounds)
        if options.json:
            with open(options.json, "w") as file:
                json.dump({"sides": sides(("mlx", "torch")), "bytes of growth": found}, file, indent=1)


if __name__ == "__main__":
    main()
