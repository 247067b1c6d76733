"""Convolutional networks in miniframe and in PyTorch eager, taking turns in one process on the CPU.

    python benchmarks/vision.py [--rounds 9] [--only lenet] [--one-core]     # writes results/vision.json

    python benchmarks/vision.py --json benchmarks/results/vision_profile.json

Three comparisons: a training step of LeNet, VGG16's thirteen convolutions forwards and backwards one by one, and
VGG16's answer to a single image. Numbers are medians over the rounds; ratios below 1 mean that miniframe is faster.
In the same run, for each of them: the products of matrices alone, of windows that lie there as rows, multiplied as few
large matrices. No way to convolve with products takes less; what is left of ours is moving pixels and adding up.

On a machine that is busy with other things the clock says little. ``--one-core`` gives both a single thread and counts
the processor time that they use. It leaves out what PyTorch gains from running element-wise operations on all cores,
which MLX does for matrix products only.
"""

from __future__ import annotations

from own_kernels import ONE_CORE  # isort: skip

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch

import miniframe as mf
from miniframe.bench import turns
from miniframe.bench.sides import side
from miniframe.models.vgg import VGG16 as STAGES
from miniframe.training.cores import choose

STEPS = 10

clock = time.process_time if ONE_CORE else time.perf_counter
take_turns = partial(turns.take_turns, clock=clock)

# VGG16's convolutions: (image size, input channels, output channels), and how many of them there are
VGG16 = {
    (224, 3, 64): 1,
    (224, 64, 64): 1,
    (112, 64, 128): 1,
    (112, 128, 128): 1,
    (56, 128, 256): 1,
    (56, 256, 256): 2,
    (28, 256, 512): 1,
    (28, 512, 512): 2,
    (14, 512, 512): 3,
}


def products_alone(shapes: list[tuple[int, int, int, int]]) -> turns.Run:
    """Of layers with so many (windows, numbers under each, filters): X Wᵀ, dYᵀ X and dY W, the first 1 to 3 of them."""
    rng = np.random.default_rng(0)
    given = [
        ([mx.array(rng.normal(size=shape).astype(np.float32)) for shape in ((n, k), (o, k), (n, o))], count)
        for n, k, o, count in shapes
    ]

    def run() -> None:
        for (x, weight, dy), count in given:
            mx.eval([x @ weight.T, dy.T @ x, dy @ weight][:count])  # what is not asked for is not computed

    return run


LENET = [
    (100 * 28 * 28, 25, 6, 2),
    (100 * 10 * 10, 150, 16, 3),
    (100, 400, 120, 3),
    (100, 120, 84, 3),
    (100, 84, 10, 3),
]
WIDE_LENET = [(100 * 26 * 26, 9, 32, 2), (100 * 11 * 11, 288, 64, 3), (100, 1600, 128, 3), (100, 128, 10, 3)]


def torch_lenet() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def wide_lenet() -> mf.Module:
    """The same figure with the channels that tutorials use today."""
    return mf.Sequential(
        mf.Conv2d(1, 32, 3), mf.ReLU(), mf.MaxPool2d(2), mf.Conv2d(32, 64, 3), mf.ReLU(), mf.MaxPool2d(2),
        mf.Flatten(), mf.Linear(1600, 128), mf.ReLU(), mf.Linear(128, 10),
    )  # fmt: skip


def torch_wide_lenet() -> torch.nn.Module:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


def training_step(
    model: mf.Module, twin: torch.nn.Module, shapes: list[tuple[int, int, int, int]], rounds: int
) -> dict[str, float]:
    """One of ten steps on 100 images 28x28x1: forward, cross-entropy, backward, SGD with momentum."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(100, 28, 28, 1)).astype(np.float32), rng.integers(0, 10, size=100)
    x, y = mx.array(images), mx.array(labels.astype(np.int32))
    own_loss, own_optimizer = mf.CrossEntropyLoss(), mf.SGD(model, lr=0.01, momentum=0.9)
    step = choose(model, own_loss)(model, own_loss, own_optimizer)  # as in fit

    tx, ty = torch.tensor(images.transpose(0, 3, 1, 2).copy()), torch.tensor(labels)
    loss, optimizer = torch.nn.CrossEntropyLoss(), torch.optim.SGD(twin.parameters(), lr=0.01, momentum=0.9)

    def torch_steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(twin(tx), ty).backward()
            optimizer.step()

    def own_steps() -> None:
        with step.threads():
            for _ in range(STEPS):
                value, _ = step(x, y)  # starts the step, as in fit, which looks at its losses now and then
            mx.eval(value, [p.value for p in model.parameters()])

    once = products_alone(shapes)

    def products() -> None:
        for _ in range(STEPS):
            once()

    return take_turns({"miniframe": own_steps, "torch": torch_steps, "products": products}, rounds, STEPS)


def convolution(size: int, channels: int, filters: int, rounds: int) -> dict[str, float]:
    """One 3x3 convolution of one image with padding 1, forward and backward; the first layer skips the image's."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, size, size, channels)).astype(np.float32)
    upstream = rng.normal(size=(1, size, size, filters)).astype(np.float32)
    wanted = channels > 3

    layer, x, dy = mf.Conv2d(channels, filters, 3, padding=1), mx.array(image), mx.array(upstream)

    def own() -> None:
        layer.zero_grad()
        y = layer(x)
        dx = layer.backward(dy)
        mx.eval(y, layer.weight.grad, layer.bias.grad, *([dx] if wanted else []))

    twin = torch.nn.Conv2d(channels, filters, 3, padding=1)
    tx = torch.tensor(image.transpose(0, 3, 1, 2).copy(), requires_grad=wanted)
    tdy = torch.tensor(upstream.transpose(0, 3, 1, 2).copy())

    def other() -> None:
        twin.zero_grad()
        tx.grad = None
        twin(tx).backward(tdy)

    products = products_alone([(size * size, 9 * channels, filters, 3 if wanted else 2)])
    return take_turns({"miniframe": own, "torch": other, "products": products}, rounds)


def inference(rounds: int) -> dict[str, float]:
    """VGG16's logits of one 224x224 image."""
    nn = torch.nn
    layers, channels = [], 3
    for stage in STAGES:
        for filters in stage:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    layers += [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    twin, model = nn.Sequential(*layers).eval(), mf.models.vgg16().eval()
    mx.eval([p.value for p in model.parameters()])
    image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    x, tx = mx.array(image), torch.tensor(image.transpose(0, 3, 1, 2).copy())

    def own() -> None:
        with mf.no_grad():
            mx.eval(model(x))

    def other() -> None:
        with torch.inference_mode():
            twin(tx)

    sizes = [
        (size * size, 9 * channels, filters, 1) for (size, channels, filters), n in VGG16.items() for _ in range(n)
    ]
    head = [(1, 25088, 4096, 1), (1, 4096, 4096, 1), (1, 4096, 1000, 1)]
    return take_turns({"miniframe": own, "torch": other, "products": products_alone(sizes + head)}, rounds)


def show(name: str, result: dict[str, float]) -> None:
    numbers = f"{result['miniframe']:9.2f} {result['torch']:9.2f} {result['ratio']:7.2f} {result['products']:9.2f}"
    print(f"{name:<44} {numbers}", flush=True)


def run(rounds: int, only: str | None) -> dict[str, dict[str, float]]:
    """All comparisons, by name."""
    results: dict[str, dict[str, float]] = {}

    def add(name: str, measure: Callable[[], dict[str, float]]) -> None:
        if only is None or only in name:
            results[name] = measure()
            show(name, results[name])

    print(f"{'milliseconds (median)':<44} {'miniframe':>9} {'torch':>9} {'ratio':>7} {'products':>9}")
    add("lenet step, batch 100", lambda: training_step(mf.models.lenet(), torch_lenet(), LENET, rounds))
    add(
        "lenet step with 32 and 64 channels",
        lambda: training_step(wide_lenet(), torch_wide_lenet(), WIDE_LENET, rounds),
    )
    for (size, channels, filters), count in VGG16.items():
        name = f"vgg16 conv {size}x{size}, {channels} -> {filters}"
        add(name, lambda shape=(size, channels, filters): convolution(*shape, rounds))  # type: ignore[misc]
        if name in results:
            results[name]["count"] = count
    convolutions = [result for name, result in results.items() if "conv" in name]
    if convolutions:
        totals = {side: sum(r[side] * r["count"] for r in convolutions) for side in ("miniframe", "torch", "products")}
        results["vgg16 convolutions"] = {**totals, "ratio": totals["miniframe"] / totals["torch"]}
        show("vgg16 convolutions, all 13", results["vgg16 convolutions"])
    add("vgg16 inference, one image", lambda: inference(rounds))
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", help="part of a comparison's name: lenet, conv, inference, 56x56")
    parser.add_argument("--json", metavar="FILE", help="instead of results/vision.json")
    parser.add_argument("--one-core", action="store_true", help="one thread, and processor time instead of the clock")
    options = parser.parse_args()
    if options.one_core:
        torch.set_num_threads(1)
    mx.set_default_device(mx.cpu)
    computed_on = {"miniframe": side("mlx"), "torch": side("torch")}
    for name, words in computed_on.items():
        print(f"{name} computes on {words}")
    results = run(options.rounds, options.only)
    if options.only is None:
        machine = {**mf.backend.info(), "torch": torch.__version__, "torch threads": torch.get_num_threads()}
        path = Path(__file__).parent / "results" / ("vision_one_core.json" if ONE_CORE else "vision.json")
        path = Path(options.json) if options.json else path
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            json.dumps({"machine": machine, "computed on": computed_on, "milliseconds": results}, indent=1) + "\n"
        )
        print(f"wrote {path}")
