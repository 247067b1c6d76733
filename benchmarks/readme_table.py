"""Put the table of measured times (results/time_per_epoch.json) into README.md, between its two marks."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- times: begin -->\n", "<!-- times: end -->"
SHOWN = ["miniframe fit", "PyTorch", "PyTorch, torch.compile", "Keras fit (JAX)", "mlx.nn, compiled", "JAX jit"]


def table(results: dict) -> str:
    """The times in GitHub's table syntax, with each system's time as a multiple of miniframe's."""
    works = results["workloads"]
    lines = [
        "Milliseconds per epoch, and as a multiple of `fit`'s, all systems taking turns in one process "
        f"({results['machine']['device'].removeprefix('CPU: ')}, 2 cores, MLX {results['machine']['MLX']}):\n",
        "| | " + " | ".join(work["title"] for work in works.values()) + " |",
        "|---|" + "---|" * len(works),
    ]
    for name in SHOWN:
        cells = [
            f"{work['ms_per_epoch'][name]:.3g} ({work['ratio_to_miniframe'][name]:.2f})"
            if name in work["ms_per_epoch"]
            else "not measured"
            for work in works.values()
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    text = readme.read_text()
    results = json.loads((ROOT / "benchmarks" / "results" / "time_per_epoch.json").read_text())
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    readme.write_text(before + table(results) + after)
    print("wrote README.md")
