"""Ranks as processes of their own, for tests: started, connected, and ended whatever happens."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import miniframe as mf

LIMIT = 60  # seconds that no launch may take


def start(script, task, folder, count=2, **environment):
    """The ranks of a task as processes, connected as mlx.launch connects them, without its supervision."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    folder.mkdir(exist_ok=True)
    hosts = folder / "hosts.json"
    hosts.write_text(json.dumps([[f"127.0.0.1:{s.getsockname()[1]}"] for s in sockets]))
    for s in sockets:
        s.close()
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
