"""Put the table of measured times (results/time_per_epoch.json) into README.md, between its two marks."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
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


def placed(text: str, name: str, table: str) -> str:
    """A page with this table between the two marks of that name."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    return before + begin + table + end + rest.split(end)[1]


if __name__ == "__main__":
    readme = ROOT / "README.md"
    results = json.loads((ROOT / "benchmarks" / "results" / "time_per_epoch.json").read_text())
    readme.write_text(placed(readme.read_text(), "times", table(results)))
    print("wrote README.md")
