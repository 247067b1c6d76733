"""Lesson 19: pictures that nobody drew, by the networks of tutorials/scripts/pictures.py, which takes some minutes.

And the curves of ``make gpt``, as benchmarks/results/gpt.json has them (``gpt.py --json`` writes it).
"""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[2]


def script(name):
    """A program of the tutorials, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tutorials" / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pictures():
    program = script("pictures")
    x = program.silhouettes(2000)
    vae, model = program.autoencoder(x, 30, 0), program.diffusion(x, 15, 0)
    return program.drawn(program.silhouettes(10, 1), vae, model)


def gpt():
    found = json.loads((ROOT / "benchmarks" / "results" / "gpt.json").read_text())
    return script("gpt").drawn(found["models"], found["table of pairs"])


FIGURES = {"lesson_19_pictures.png": pictures, "lesson_19_gpt.png": gpt}
