"""What data parallelism costs: bytes per step against the speed of the link, for 1 to 1,024 ranks.

    python figures/cost_model.py        # writes cost_model.png next to this script, and prints the table

The model has three terms. With N ranks, a model of P bytes and a global batch of B samples, a step takes

    T(N) = B F / (N S)  +  2 (N - 1) / N · P / W  +  2 (N - 1) L

F is the arithmetic for one sample, S a rank's speed, W the link's bandwidth in each direction and L its latency. The
first term is divided among the ranks. The second and third are those of a ring all-reduce: 2 (N - 1) messages of P / N
bytes each, one after the other. Nothing overlaps: miniframe sends its one flat buffer after the whole backward.

Speeds and latencies below are round numbers of the right order, to compare links, and no measurements.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from miniframe.plots.canvas import COLOURS, PANEL, caption, legend, logarithmic, sheet

HERE = Path(__file__).parent
RANKS = [2**k for k in range(11)]


@dataclass(frozen=True)
class Link:
    """A connection between neighbours in the ring: bits per second in each direction, and seconds per message."""

    name: str
    bits: float
    latency: float


@dataclass(frozen=True)
class Work:
    """A network: how many weights, multiply-adds of one sample's forward pass, and the global batch."""

    name: str
    weights: int
    multiply_adds: float
    batch: int

    @property
    def bytes(self) -> int:
        """The gradients in single precision."""
        return 4 * self.weights

    def arithmetic(self, samples: float) -> float:
        """Floating-point operations of a step: two per multiply-add, and backward takes twice as many as forward."""
        return 6 * self.multiply_adds * samples


LINKS = (
    Link("Ethernet, 1 Gb/s", 1e9, 100e-6),
    Link("Ethernet, 10 Gb/s", 10e9, 50e-6),
    Link("Thunderbolt 5, 80 Gb/s, RDMA", 80e9, 10e-6),
    Link("InfiniBand, 400 Gb/s", 400e9, 5e-6),
)
SPEED = 10e12  # operations per second of one rank
MLP = Work("784-1024-1024-10, batch 1,024", 1_863_690, 1_861_632, 1024)
VGG = Work("VGG-16, batch 1,024", 138_357_544, 15.5e9, 1024)


def sent(ranks: int, size: float) -> float:
    """Bytes that each rank sends in a ring all-reduce of ``size`` bytes: never more than twice the size.

    >>> sent(1, 100), sent(2, 100), sent(4, 100)
    (0.0, 100.0, 150.0)
    """
    return 2 * (ranks - 1) / ranks * size


def through_one(ranks: int, size: float) -> float:
    """Bytes that one machine sends when the others send it their gradients and it returns the sum to each.

    >>> through_one(4, 100)
    300
    """
    return (ranks - 1) * size


def step_time(work: Work, link: Link, ranks: int, samples: float | None = None) -> float:
    """Seconds of a step over ``samples`` in all, by default the work's batch."""
    compute = work.arithmetic(work.batch if samples is None else samples) / ranks / SPEED
    return compute + sent(ranks, work.bytes) * 8 / link.bits + 2 * (ranks - 1) * link.latency


def speedup(work: Work, link: Link, ranks: int) -> float:
    """How much faster than one rank, with the same global batch."""
    return step_time(work, link, 1) / step_time(work, link, ranks)


def efficiency(work: Work, link: Link, ranks: int, share: int = 64) -> float:
    """What is left of each rank's speed when every rank keeps ``share`` samples, so that the batch grows."""
    return step_time(work, link, 1, share) / step_time(work, link, ranks, share * ranks)


def best(work: Work, link: Link) -> tuple[int, float]:
    """The number of ranks among 1, 2, 4, ... that is fastest for the work's global batch, and its speedup."""
    return max(((ranks, speedup(work, link, ranks)) for ranks in RANKS), key=lambda pair: pair[1])


def draw():
    """Four panels: bytes, two speedups, and the efficiency of a growing batch."""
    figure, axes = sheet(2, 2, (2.8 * PANEL, 2.1 * PANEL))
    volume, small, large, weak = axes.flat
    for label, bytes_of, colour in (("ring", sent, COLOURS[4]), ("all through one machine", through_one, COLOURS[5])):
        volume.plot(
            RANKS, [bytes_of(n, VGG.bytes) / 1e9 or math.nan for n in RANKS], "D-", color=colour, label=label, ms=4
        )
    logarithmic(volume)
    volume.set_ylabel("gigabytes that the busiest rank sends a step")
    caption(volume, f"traffic, {VGG.name.split(',')[0]}")
    curves(small, lambda link, n: speedup(MLP, link, n))
    curves(large, lambda link, n: speedup(VGG, link, n))
    curves(weak, lambda link, n: efficiency(VGG, link, n))
    powers = [2.0**k for k in range(-10, 11, 2)]
    for ax, work in ((small, MLP), (large, VGG)):
        ax.plot(RANKS, RANKS, ":", color="#444444", linewidth=1, label="ideal")
        ax.set_yscale("log", base=2)
        ax.set_yticks(powers, [f"{p:,.0f}" if p >= 1 else f"1/{1 / p:.0f}" for p in powers])
        ax.set_ylim(2**-10, 2**10)
        ax.set_ylabel("times as fast as one rank")
        caption(ax, work.name)
    weak.set_ylim(0, 1.05)
    weak.set_ylabel("efficiency")
    caption(weak, f"{VGG.name.split(',')[0]}, 64 samples a rank")
    for ax in axes.flat:
        ax.set_xscale("log", base=2)
        ax.set_xticks(RANKS[::2], [f"{n:,}" for n in RANKS[::2]])
        ax.set_xlabel("ranks")
    legend(volume)
    legend(large, loc="lower right")
    return figure


def curves(ax, height: Callable[[Link, int], float]) -> None:
    """One line for each link."""
    for link, colour, marker in zip(LINKS, COLOURS, "os^v"):
        heights = [height(link, n) for n in RANKS]
        ax.plot(RANKS, heights, f"{marker}-", color=colour, linewidth=1.4, markersize=4, label=link.name)


def table() -> str:
    """For each work and link: milliseconds of a step with 1, 2 and 16 ranks, and the best number of ranks."""
    lines = [f"{'':32}{'link':32}{'1 rank':>10}{'2 ranks':>10}{'16 ranks':>10}   best"]
    for work in (MLP, VGG):
        for link in LINKS:
            times = "".join(f"{1000 * step_time(work, link, n):>7.1f} ms" for n in (1, 2, 16))
            ranks, gain = best(work, link)
            lines.append(
                f"{work.name:32}{link.name:32}{times}   {ranks} rank{'s' * (ranks > 1)}: {gain:.1f} times as fast"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
    draw().savefig(HERE / "cost_model.png", dpi=150, metadata={"Software": None})
