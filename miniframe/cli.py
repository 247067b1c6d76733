"""The command line: ``miniframe new``, ``run``, ``profile``, ``demo``, ``lab``, ``info``, ``bench``, exercises."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says in one line what it does not understand."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {' '.join(message.split())}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = Parser(prog="miniframe", description="A white-box deep-learning framework on MLX.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", metavar="command")

    new = commands.add_parser("new", help="write a script to start from: it trains, checks, saves and plots")
    new.add_argument("path", metavar="project.py", help="the file to write; one that exists is left as it is")
    new.set_defaults(run=_new)

    run = commands.add_parser("run", help="run a script with a faster allocator: small models train faster on Linux")
    run.add_argument("script", nargs=argparse.REMAINDER, metavar="script.py ...", help="the file and its arguments")
    run.set_defaults(run=_run)

    profile = commands.add_parser("profile", help="run a script and say where the time of its trainings goes")
    profile.add_argument("script", nargs=argparse.REMAINDER, metavar="script.py ...", help="the file and its arguments")
    profile.set_defaults(run=_profile)

    demo = commands.add_parser("demo", help="train the disk model, report its errors, write figures")
    demo.add_argument("--points", type=int, default=10_000, help="training points (default 10000)")
    demo.add_argument("--epochs", type=int, default=60, help="(default 60)")
    demo.add_argument("--seed", type=int, default=0, help="of the data, the weights and the shuffling (default 0)")
    demo.add_argument("--figures", default="figures", help="folder for the figures (default figures)")
    demo.set_defaults(run=_demo)

    info = commands.add_parser("info", help="show the device, MLX and the BLAS in use")
    info.set_defaults(run=_info)

    bench = commands.add_parser("bench", help="time an epoch beside PyTorch and whatever else is installed")
    bench.add_argument("--workloads", nargs="+", default=None, help="some of: disk-1k disk-10k mlp (default all)")
    bench.add_argument("--rounds", type=int, default=7, help="rounds in which all systems take turns (default 7)")
    bench.add_argument("--json", default=None, metavar="FILE", help="write the measurements to FILE")
    bench.add_argument("--figure", default=None, metavar="FILE", help="draw them into FILE")
    bench.set_defaults(run=_bench)

    lab = commands.add_parser("lab", help="see a network learn, live, in the browser: every value and every gradient")
    lab.add_argument("--port", type=int, default=None, help="of the local address (default a free one)")
    lab.add_argument("--no-browser", action="store_true", help="only print the address")
    lab.set_defaults(run=_lab)

    from .exercises.commands import add_commands

    add_commands(commands)

    if sys.stdout is None:  # miniframe info >&-
        return _fail("miniframe", "cannot print, because standard output is closed")
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        status: int | None = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as head, has seen enough
        _print_no_more()
        return 0
    except (ValueError, OSError, ImportError, MemoryError, OverflowError) as error:
        return _fail(f"miniframe {options.command}", str(error) or type(error).__name__)
    return status or 0


def _fail(command: str, words: str) -> int:
    """Say in one line what went wrong; returns the exit status."""
    if sys.stderr is not None:
        print(f"{command}: {' '.join(words.split())}", file=sys.stderr)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # it was printing that failed; Python would try again at its end, and complain
        _print_no_more()
    return 1


def _print_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version() -> str:
    from .version import __version__

    return f"miniframe {__version__}"


def _new(options: argparse.Namespace) -> None:
    from . import new

    print(new.write(options.path))


def _run(options: argparse.Namespace) -> None:
    from .backend.allocator import start

    start(options.script)


def _profile(options: argparse.Namespace) -> None:
    from .insight.profile import profile_script

    profile_script(options.script)


def _demo(options: argparse.Namespace) -> None:
    from . import demo

    demo.run(options.points, options.epochs, options.seed, options.figures)


def _info(options: argparse.Namespace) -> None:
    from .backend import info

    found = info()
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


def _bench(options: argparse.Namespace) -> None:
    from . import bench

    bench.run(options.workloads, options.rounds, options.json, options.figure)


def _lab(options: argparse.Namespace) -> None:
    from .lab import opening

    opening.run(options.port, browser=not options.no_browser)
