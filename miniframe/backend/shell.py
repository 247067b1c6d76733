"""What to type in the shell that this process was started from, where a virtual environment may not be activated."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def python() -> str:
    """What starts this Python: its plain name where the shell finds it under that, else its path.

    >>> python().rpartition("/")[2].startswith("python")
    True
    """
    return _typed(Path(sys.executable))


def miniframe() -> str:
    """What starts the command: ``miniframe``, a path to it, or, where it is not installed, a module of Python."""
    command = Path(sys.executable).with_name("miniframe")
    return _typed(command) if command.exists() else f"{python()} -m miniframe"


def _typed(program: Path) -> str:
    for name in (program.name, "python") if program.name.startswith("python") else (program.name,):
        found = shutil.which(name)
        if found is not None and Path(found).parent.absolute() == program.parent.absolute():
            return name
    here = os.path.relpath(program)
    return shlex.quote(str(program) if here.startswith("..") else here)
