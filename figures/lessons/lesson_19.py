"""Lesson 19: pictures that nobody drew, by the networks of tutorials/scripts/pictures.py; some minutes."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tutorials" / "scripts" / "pictures.py"


def pictures():
    spec = importlib.util.spec_from_file_location("pictures", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    x = script.silhouettes(2000)
    vae, model = script.autoencoder(x, 30, 0), script.diffusion(x, 15, 0)
    return script.drawn(script.silhouettes(10, 1), vae, model)


FIGURES = {"lesson_19_pictures.png": pictures}
