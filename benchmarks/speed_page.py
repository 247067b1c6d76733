"""Put the tables of measured times and memory (results/*.json) into docs/speed.md, each between its two marks."""

import json
import statistics
from functools import partial
from pathlib import Path

from readme_table import placed

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def stored(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text())


def steps(machine: str = "") -> str:
    """Rivals' times over ours."""
    lines = ["| width : batch : hidden layers | ours, µs | PyTorch / ours | JAX / ours |", "|---|---|---|---|"]
    for row, found in stored(f"steps{machine}")["rows"].items():
        own = 1e6 * statistics.median(found["seconds"]["miniframe"])
        lines.append(f"| {row} | {own:,.0f} | {found['ratio']['PyTorch']:.2f} | {found['ratio']['JAX']:.2f} |")
    return "\n".join(lines)


def profiles() -> str:
    """The parts of a step, of ours and of JAX's."""
    lines = [
        "| µs, ours (JAX's) | whole step | of one unit, one sample | products alone | update alone | operations |",
        "|---|---|---|---|---|---|",
    ]
    for row, systems in stored("profiles")["microseconds"].items():
        own, other = systems["miniframe"], systems["JAX"]
        parts = [f"{own[part]:,.0f} ({other[part]:,.0f})" for part in ("step", "empty", "products", "update")]
        lines.append(f"| {row} | " + " | ".join(parts) + f" | {own['operations']} |")
    return "\n".join(lines)


def beside_pytorch(machine: str = "") -> str:
    """Milliseconds of images and sequences."""
    lines = ["| milliseconds | ours | PyTorch | ours / PyTorch |", "|---|---|---|---|"]
    sequences = {
        name.removesuffix(", ms"): row
        for name, row in stored(f"sequences{machine}")["results"].items()
        if "torch" in row
    }
    for name, row in {**stored(f"vision{machine}")["milliseconds"], **sequences}.items():
        if "MiB" not in name:
            lines.append(f"| {name} | {row['miniframe']:.1f} | {row['torch']:.1f} | {row['ratio']:.2f} |")
    return "\n".join(lines)


def products() -> str:
    """Milliseconds beside those of the products alone."""
    lines = ["| milliseconds | ours | our products alone | PyTorch, all of it |", "|---|---|---|---|"]
    rows = {**stored("vision_profile")["milliseconds"], **stored("sequences_profile")["results"]}
    for name, row in rows.items():
        if "products" in row:
            lines.append(
                f"| {name.removesuffix(', ms')} | {row['miniframe']:.1f} | {row['products']:.1f} | {row['torch']:.1f} |"
            )
    return "\n".join(lines)


def memory() -> str:
    """The growth of a process in two epochs."""
    lines = ["| growth of the process, MB | ours | checkpointed | PyTorch | ours / PyTorch |", "|---|---|---|---|---|"]
    for network, systems in stored("memory")["bytes of growth"].items():
        middle = {name: statistics.median(values) / 1e6 for name, values in systems.items()}
        own, kept, other = (middle[name] for name in ("miniframe", "miniframe, checkpointed", "PyTorch"))
        lines.append(f"| {network} | {own:,.0f} | {kept:,.0f} | {other:,.0f} | {own / other:.2f} |")
    row = stored("sequences_profile")["results"]["memory of a gpt step, MiB"]
    lines.append(f"| a step of the GPT | {row['miniframe']:.0f} | | {row['torch']:.0f} | {row['ratio']:.2f} |")
    return "\n".join(lines)


def precision() -> str:
    """Held-out losses, one for each seed, and how long training took."""
    lines = ["| | held-out loss, one for each seed | seconds of training |", "|---|---|---|"]
    for model, rows in stored("precision")["results"].items():
        for name, row in rows.items():
            losses = ", ".join(f"{loss:.3f}" for loss in row["loss"])
            lines.append(f"| {model}, {name} | {losses} | {statistics.median(row['seconds']):.0f} |")
    return "\n".join(lines)


XEON = "_xeon"  # measured on that machine; all else on the one that the page names first
TABLES = {
    "steps": steps, "profiles": profiles, "beside-pytorch": beside_pytorch, "memory": memory, "precision": precision,
    "products": products,
    "steps-xeon": partial(steps, XEON), "beside-pytorch-xeon": partial(beside_pytorch, XEON),
}  # fmt: skip


def filled(text: str) -> str:
    """The page with all tables as they were measured."""
    for name, table in TABLES.items():
        text = placed(text, name, table() + "\n")
    return text


if __name__ == "__main__":
    page = ROOT / "docs" / "speed.md"
    page.write_text(filled(page.read_text()))
    print("wrote docs/speed.md")
