"""Ranks as processes of their own, for tests: started, connected, and ended whatever happens."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import miniframe as mf

LIMIT = 60  # seconds that no launch may take


def free_ports(count):
    """So many free ports in a row, below those that a system gives to whoever connects to something just now."""
    while True:
        ports = range(first := random.SystemRandom().randrange(20_000, 32_000), first + count)
        try:
            with ExitStack() as stack:
                for port in ports:
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return list(ports)
        except OSError:
            continue


def start(script, task, folder, count=2, **environment):
    """The ranks of a task as processes, connected as mlx.launch connects them, without its supervision."""
    folder.mkdir(exist_ok=True)
    hosts = folder / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{port}"] for port in free_ports(count)]))
    settings = {**os.environ, "MLX_HOSTFILE": str(hosts), "OPENBLAS_NUM_THREADS": "1", **environment}
    settings["PYTHONPATH"] = str(Path(mf.__file__).parents[1])
    return [
        subprocess.Popen(
            [sys.executable, str(script), task, str(folder)],
            env={**settings, "MLX_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finish(processes, limit=LIMIT):
    """(stdout, stderr, exit status) of every rank; whatever happens, none of them is left running."""
    end = time.monotonic() + limit
    try:
        return [(*p.communicate(timeout=max(end - time.monotonic(), 0.1)), p.returncode) for p in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
