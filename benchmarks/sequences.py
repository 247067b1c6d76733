"""Sequences in miniframe and in PyTorch eager, taking turns in one process on the CPU.

    python benchmarks/sequences.py [--rounds 9] [--only gpt]     # writes results/sequences.json
    python benchmarks/sequences.py --json benchmarks/results/sequences_profile.json

A training step of the GPT that ``make gpt`` trains, attention forwards and backwards, a training step of an LSTM over
64 time steps, the memory that a step of the GPT needs, and what the memory of keys and values saves while a GPT writes.
Numbers are medians over the rounds; ratios below 1 mean that miniframe is faster, or needs less. In the same run, for
what trains: its products of matrices alone, in the order and in the sizes in which a step needs them.

On a machine that is busy with other things the clock says little. ``--one-core`` gives both a single thread and counts
the processor time that they use.
"""

from __future__ import annotations

from own_kernels import ONE_CORE  # isort: skip

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import mlx.core as mx
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import miniframe as mf
from miniframe.backend import fast_blas
from miniframe.bench import turns
from miniframe.bench.sides import sides
from miniframe.training.cores import choose, streams

VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS, BATCH = 96, 64, 96, 4, 4, 32
STEPS = 3  # in a turn
clock = time.process_time if ONE_CORE else time.perf_counter
take_turns = partial(turns.take_turns, clock=clock)


# -------------------------------------------------------------------- the same models in PyTorch


class TorchBlock(nn.Module):
    """A block of GPT-2, as one writes it in PyTorch for speed: one product for query, key and value."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.output(y)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class TorchGPT(nn.Module):
    """The twin of ``miniframe.models.GPT``, with the head tied to the table of the tokens."""

    def __init__(self, vocabulary: int, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(TorchBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.tokens(x) + self.positions.weight[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.tokens.weight)


def twin_of(model: mf.models.GPT) -> TorchGPT:
    """PyTorch's GPT with the same weights."""
    first = model.blocks[0]
    twin = TorchGPT(model.vocabulary, model.context, first.embed_dim, first.num_heads, len(model.blocks))
    ours = {name: torch.tensor(np.array(value)) for name, value in model.state_dict().items()}
    state = {"tokens.weight": ours["tokens.weight"], "positions.weight": ours["positions.table.weight"]}
    for kind in ("weight", "bias"):
        state[f"norm.{kind}"] = ours[f"norm.{kind}"]
        for k in range(len(model.blocks)):
            packed = [ours[f"blocks.{k}.attention.{part}.{kind}"] for part in ("query", "key", "value")]
            state[f"blocks.{k}.qkv.{kind}"] = torch.cat(packed)
            state[f"blocks.{k}.output.{kind}"] = ours[f"blocks.{k}.attention.output.{kind}"]
            for name, path in (("up", "mlp.up"), ("down", "mlp.down"), ("norm1", "norm1"), ("norm2", "norm2")):
                state[f"blocks.{k}.{name}.{kind}"] = ours[f"blocks.{k}.{path}.{kind}"]
    twin.load_state_dict(state)
    return twin


class TorchLSTM(nn.Module):
    """The twin of ``miniframe.models.CharRNN``."""

    def __init__(self, vocabulary: int, width: int, hidden: int) -> None:
        super().__init__()
        self.tokens, self.rnn = nn.Embedding(vocabulary, width), nn.LSTM(width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.tokens(x))[0])


# -------------------------------------------------------------------- what is measured


def tokens(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A batch of windows and what follows each token."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(0, VOCABULARY, (2, BATCH, CONTEXT)))  # type: ignore[return-value]


def own_steps(model: mf.Module) -> turns.Run:
    """Training steps as ``fit`` takes them: compiled, AdamW, gradients clipped."""
    x, y = (mx.array(a.astype(np.int32)) for a in tokens())
    loss, optimizer = mf.CrossEntropyLoss(), mf.AdamW(model, lr=1e-3, clip_norm=1.0)
    step = choose(model, loss, x=x)(model, loss, optimizer)

    def run() -> None:
        with step.threads():
            for _ in range(STEPS):
                value, _ = step(x, y)
            mx.eval(value, [p.value for p in model.parameters()])

    return run


def torch_steps(model: nn.Module) -> turns.Run:
    """The same in PyTorch, with the faster of its two ways to update the weights."""
    x, y = (torch.tensor(a) for a in tokens())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def run() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            F.cross_entropy(model(x).flatten(0, 1), y.flatten()).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

    return run


def both_ways(rows: int, inputs: int, outputs: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The factors of a linear layer's three products: X Wᵀ, dYᵀ X and dY W."""
    return [
        ((rows, inputs), (inputs, outputs)),
        ((outputs, rows), (rows, inputs)),
        ((rows, outputs), (outputs, inputs)),
    ]


def attended(batch: int, heads: int, length: int, features: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Of attention: Q Kᵀ and dY Vᵀ; P V, Pᵀ dY, dS K and dSᵀ Q."""
    scores = (batch, heads, length, features), (batch, heads, features, length)
    sums = (batch, heads, length, length), (batch, heads, length, features)
    return [scores] * 2 + [sums] * 4


def products_alone(factors: list[tuple[tuple[int, ...], tuple[int, ...]]], parts: int = 1, steps: int = 1) -> turns.Run:
    """Products of arrays that are there; with several parts, every core takes all of them, on a stream of its own."""
    arrays = {shape: mx.random.normal(shape) for pair in factors for shape in pair}
    mx.eval(arrays)

    def run() -> None:
        with fast_blas.one_thread() if parts > 1 else nullcontext():
            for _ in range(steps):
                mx.eval([mx.matmul(arrays[a], arrays[b], stream=s) for s in streams(parts) for a, b in factors])

    return run


def gpt() -> mf.models.GPT:
    mf.seed(0)
    return mf.models.GPT(VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS)


def gpt_step(rounds: int) -> dict[str, float]:
    model = gpt()
    twin = twin_of(model)
    rows, heads = BATCH // 2 * CONTEXT, attended(BATCH // 2, HEADS, CONTEXT, WIDTH // HEADS)
    mlp = both_ways(rows, WIDTH, 4 * WIDTH) + both_ways(rows, 4 * WIDTH, WIDTH)
    factors = LAYERS * (4 * both_ways(rows, WIDTH, WIDTH) + heads + mlp) + both_ways(rows, WIDTH, VOCABULARY)
    products = products_alone(factors, parts=2, steps=STEPS)
    return take_turns({"miniframe": own_steps(model), "torch": torch_steps(twin), "products": products}, rounds, STEPS)


def lstm_step(rounds: int) -> dict[str, float]:
    rows, inputs, hidden = BATCH * CONTEXT, 64, 256
    there, back = ((BATCH, hidden), (hidden, 4 * hidden)), ((BATCH, 4 * hidden), (4 * hidden, hidden))
    recurrent = CONTEXT * [there, back] + [((4 * hidden, rows), (rows, hidden))]
    factors = recurrent + both_ways(rows, inputs, 4 * hidden) + both_ways(rows, hidden, VOCABULARY)
    runs = {
        "miniframe": own_steps(mf.models.CharRNN(VOCABULARY, inputs, hidden)),
        "torch": torch_steps(TorchLSTM(VOCABULARY, inputs, hidden)),
        "products": products_alone(factors, steps=STEPS),
    }
    return take_turns(runs, rounds, STEPS)


def attention(rounds: int, causal: bool) -> dict[str, float]:
    """4 samples, 8 heads, 256 places, 64 features of each: forward and backward to all three inputs."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(4, 8, 256, 64)).astype(np.float32) for _ in range(4)]
    q, k, v, dy = map(mx.array, arrays)
    layer = mf.ScaledDotProductAttention(causal=causal)
    *given, upstream = map(torch.tensor, arrays)

    def own() -> None:
        y = layer(q, k, v)
        mx.eval(y, layer.backward(dy))

    def other() -> None:
        inputs = [x.detach().requires_grad_() for x in given]
        F.scaled_dot_product_attention(*inputs, is_causal=causal).backward(upstream)

    products = products_alone(attended(2, 8, 256, 64), parts=2)
    return take_turns({"miniframe": own, "torch": other, "products": products}, rounds)


def writing(rounds: int) -> dict[str, float]:
    """256 tokens, with the keys and values of all places kept and without."""
    mf.seed(0)
    model = mf.models.GPT(VOCABULARY, 257, WIDTH, HEADS, LAYERS)
    runs = {
        name: lambda cache=cache: model.generate([1], 256, seed=0, cache=cache)
        for name, cache in (("kept", True), ("computed anew", False))
    }
    return take_turns(runs, rounds)  # type: ignore[arg-type]


def peak(side: str) -> float:
    """MiB that a process needs for steps of the GPT beyond what it needs before the first: for a process of its own."""
    model: mf.Module | nn.Module = gpt() if side == "miniframe" else twin_of(gpt())
    if side == "miniframe":
        mx.eval([p.value for p in model.parameters()])
    run = own_steps(model) if isinstance(model, mf.Module) else torch_steps(model)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    for _ in range(5):
        run()
    return (_resident("VmHWM") - before) / 1024


def _resident(name: str) -> int:
    """KiB, as Linux counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name)))


def memory(rounds: int) -> dict[str, float]:
    """The peak of each in processes of their own, the median of three."""
    found: dict[str, float] = {}
    for side in ("miniframe", "torch"):
        command = [sys.executable, __file__, "--peak", side]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
        found[side] = statistics.median(map(float, runs))
    return {**found, "ratio": found["miniframe"] / found["torch"]}


MEASURES: dict[str, Callable[[int], dict[str, float]]] = {
    "gpt training step, ms": gpt_step,
    "attention 4x8x256x64, ms": lambda rounds: attention(rounds, causal=False),
    "causal attention 4x8x256x64, ms": lambda rounds: attention(rounds, causal=True),
    "lstm training step over 64 time steps, ms": lstm_step,
    "memory of a gpt step, MiB": memory,
    "writing 256 tokens, ms (kept, anew)": writing,
}


def main(rounds: int, only: str | None, file: str | None) -> None:
    results, computed_on = {}, sides(("mlx", "torch"))
    for package, words in computed_on.items():
        print(f"{package} computes on {words}", flush=True)
    for name, measure in MEASURES.items():
        if only is None or only in name:
            row = results[name] = measure(rounds)
            first, second, *_ = row.values()
            words = f"{row['products']:9.2f} of products alone" if "products" in row else ""
            print(f"{name:<44} {first:9.2f} {second:9.2f} {row['ratio']:7.2f} {words}", flush=True)
    if only is None:
        machine = {**mf.backend.info(), "torch": torch.__version__, "torch threads": torch.get_num_threads()}
        path = Path(__file__).parent / "results" / ("sequences_one_core.json" if ONE_CORE else "sequences.json")
        path = Path(file) if file else path
        path.write_text(
            json.dumps({"machine": machine, "computed on": computed_on, "results": results}, indent=1) + "\n"
        )
        print(f"wrote {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", help="part of a comparison's name: gpt, attention, lstm, memory, writing")
    parser.add_argument("--json", metavar="FILE", help="instead of results/sequences.json")
    parser.add_argument("--peak", choices=("miniframe", "torch"), help=argparse.SUPPRESS)
    parser.add_argument("--one-core", action="store_true", help="one thread, and processor time instead of the clock")
    options = parser.parse_args()
    if ONE_CORE:
        torch.set_num_threads(1)
    mx.set_default_device(mx.cpu)
    if options.peak:
        print(peak(options.peak))
    else:
        main(options.rounds, options.only, options.json)
