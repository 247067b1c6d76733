"""A script of the repository as a module, for tests: benchmarks, figures and the programs of the tutorials."""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def load_script(path):
    """The module of a file, its path given from the repository's root.

    It is registered under a name of its own while it runs, as dataclasses look themselves up there.
    """
    file = ROOT / path
    name = f"script_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))  # as for a script that is started
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return module
