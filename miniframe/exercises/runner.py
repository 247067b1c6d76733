"""The process in which answers run: it reads a job, examines one answer after the other, and reports each verdict.

What it reports carries a token that came with the job, so nothing that an answer prints, writes or leaves behind is
taken for a verdict. (An answer that goes looking through this process for the token is no mistake any more, but a
fraud; it can be seen in its text.) Started by sandbox.py.
"""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import mlx.core as mx

from .catalogue import get
from .examine import examine, search_in


def main(job: dict[str, Any]) -> NoReturn:
    """Examine the answers of a job; never returns, so that nothing of an answer runs afterwards."""
    fd, token, owner = job["fd"], job.pop("token"), os.getpid()
    os.set_inheritable(fd, False)

    def report(**message: Any) -> None:
        if os.getpid() != owner:  # a copy of this process that the answer made
            os._exit(0)
        os.write(fd, f"\n{token} {json.dumps(message)}\n".encode())

    mx.set_default_device(mx.cpu)  # the same numbers on every machine
    faulthandler.enable(fd)
    _limit_memory(job["memory"], report)
    for index, (number, file) in enumerate(job["answers"]):
        path = Path(file)
        search_in(path.parent)
        print(f"\n{token} {index}", flush=True)
        report(begin=index)
        faulthandler.dump_traceback_later(0.9 * job["seconds"], file=fd)
        verdict = examine(get(number), path, job["seed"])
        faulthandler.cancel_dump_traceback_later()
        _flush()
        report(verdict=dataclasses.asdict(verdict))
    os._exit(0)


def _flush() -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # the answer closed or replaced them


def _limit_memory(limit: int, report: Any) -> None:
    """At most ``limit`` bytes more than now: of addresses where Linux says how many are in use, and of memory."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        size = int(statm.read_text().split()[0]) * resource.getpagesize() + limit
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = _peak() + limit

    def watch() -> None:
        while _peak() <= most:
            time.sleep(0.05)
        report(memory=True)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _peak() -> int:
    """The most memory that this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
