"""Answers run in a process of their own, with a limit of time and of memory; whatever they do, there is a verdict."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .examine import TOO_MUCH_MEMORY, UNWRITTEN
from .exercise import Verdict

SECONDS = 10.0
MEMORY = 2 << 30  # bytes beyond what MLX and NumPy take when they are loaded
START = 120.0  # seconds in which the process must have begun, on however busy a machine
PRINTED = 1 << 20  # bytes of what is printed that are kept

Answer = tuple[str, Path]  # the exercise's number, the file

_CODE = (
    "import json, sys; job = json.loads(sys.stdin.readline()); sys.path[:] = job['path']; "
    "from miniframe.exercises.runner import main; main(job)"
)


def judge_files(
    answers: Sequence[Answer], seconds: float = SECONDS, memory: int = MEMORY, seed: int = 0
) -> list[Verdict]:
    """A verdict for each answer.

    They share a process, until one of them ends it. An answer that was not the first in its process and was not found
    right is judged again in one of its own: an earlier answer may have changed something.
    """

    def judged(some: Sequence[Answer]) -> list[Verdict]:
        return _Process(some, seconds, memory, seed).verdicts()

    verdicts: list[Verdict] = []
    while len(verdicts) < len(answers):
        rest = answers[len(verdicts) :]
        found = judged(rest)
        verdicts.append(found[0])
        for answer, verdict in zip(rest[1:], found[1:]):
            verdicts.append(verdict if verdict.right or verdict.hint == UNWRITTEN else judged([answer])[0])
    return verdicts


class _Process:
    """One process, and what comes out of it."""

    def __init__(self, answers: Sequence[Answer], seconds: float, memory: int, seed: int) -> None:
        self.answers, self.seconds, self.token = answers, seconds, secrets.token_hex(16)
        self.mark = f"MINIFRAME_ANSWERS={secrets.token_hex(16)}"  # in the environment of all that the process starts
        self.lines: queue.Queue[str] = queue.Queue()
        self.printed = bytearray()
        self.trace: list[str] = []
        self.done: list[Verdict] = []
        results, theirs = os.pipe()
        job = {
            "token": self.token, "fd": theirs, "seconds": seconds, "memory": memory, "seed": seed,
            "path": _search_path(), "answers": [(number, str(path.resolve())) for number, path in answers],
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs,),
            cwd=answers[0][1].resolve().parent,
            start_new_session=True,
            env=os.environ | dict([self.mark.split("=")]),
        )
        os.close(theirs)
        self.readers = [
            threading.Thread(target=self._read_lines, args=(results,), daemon=True),
            threading.Thread(target=self._read_printed, daemon=True),
        ]
        for reader in self.readers:
            reader.start()
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write((json.dumps(job) + "\n").encode())
            self.process.stdin.close()

    def verdicts(self) -> list[Verdict]:
        """Those of the answers that came to an end, and of the one that ended the process, if one did."""
        try:
            ending = self._follow()
        finally:
            self._kill()
        for reader in self.readers:
            reader.join(1.0)
        if len(self.done) < len(self.answers):
            number, path = self.answers[len(self.done)]
            self.done.append(Verdict(number, "not run", ending + self._line_of(path)))
        texts = re.split(rf"\n?{self.token} \d+\n", self.printed.decode(errors="replace"))[1:]
        texts += [""] * (len(self.done) - len(texts))
        return [replace(verdict, printed=text) for verdict, text in zip(self.done, texts)]

    def _follow(self) -> str:
        """Collect verdicts until all are there, or until the process ends or takes too long: then, why."""
        deadline, begun = time.monotonic() + START, False
        while len(self.done) < len(self.answers):
            ended = self.process.poll() is not None  # looked at first: what it wrote before is in the queue then
            if ended:
                self.readers[0].join(0.2)
            try:
                message = json.loads(self.lines.get(timeout=0.05))
            except queue.Empty:
                if ended:
                    return self._ending(begun)
                if time.monotonic() > deadline:
                    return f"It took longer than {self.seconds:g} seconds. Does a loop never end?"
                continue
            begun = True
            if "memory" in message:
                return TOO_MUCH_MEMORY
            if "verdict" in message:
                self.done.append(Verdict(**message["verdict"]))
            deadline = time.monotonic() + self.seconds
        return ""

    def _ending(self, begun: bool) -> str:
        status = self.process.returncode
        if not begun:
            raise ChildProcessError(f"the checking process did not start:\n{self.printed.decode(errors='replace')}")
        if status >= 0:
            return f"Your answer ended Python (os._exit?, status {status}) before it could be judged. Remove that."
        name = signal.Signals(-status).name
        return f"Python crashed ({name}). MLX does that when memory runs out, too: is an array much too large?"

    def _line_of(self, path: Path) -> str:
        """Where the answer was, if the process left word of it."""
        own = [line for line in self.trace if f'"{path.resolve()}"' in line]
        return f" It was in line {own[0].split('line ')[1].split()[0]} of {path.name}." if own else ""

    def _kill(self) -> None:
        """The process, its group, and (where /proc shows them) all that have left the group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while pids := self._escaped():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def _escaped(self) -> list[int]:
        pids = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in environment.read_bytes():
                    pids.append(int(environment.parent.name))
        return pids

    def _read_lines(self, results: int) -> None:
        with os.fdopen(results, "rb") as lines:
            for raw in lines:
                line = raw.decode(errors="replace")
                if line.startswith(self.token):
                    self.lines.put(line[len(self.token) :])
                else:
                    self.trace.append(line)

    def _read_printed(self) -> None:
        assert self.process.stdout is not None
        while chunk := self.process.stdout.read1(65536):  # type: ignore[attr-defined]
            self.printed += chunk[: max(0, PRINTED - len(self.printed))]


def _search_path() -> list[Any]:
    """This process's, with this package last and without the folder in which the command was given."""
    here = {"", os.getcwd()}
    return [path for path in sys.path if path not in here] + [str(Path(__file__).resolve().parents[2])]
