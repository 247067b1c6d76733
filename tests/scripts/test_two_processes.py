"""The lesson's script: two halves of a network in two processes, connected by mlx.launch."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from launching import free_ports

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tutorials" / "scripts" / "two_processes.py"


def run(*command):
    """(exit status, output) of a command; its processes are ended after a minute, whatever they do."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        return process, process.communicate(timeout=60)[0]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_two_processes_train_the_halves_to_the_bits_of_the_whole():
    launch = Path(sys.executable).parent / "mlx.launch"
    command = [str(launch), "-n", "2", "-p", str(free_ports(2)[0]), sys.executable, str(SCRIPT)]
    process, output = run(*command)
    assert process.returncode == 0, output
    assert "rank 0: 0.weight, 0.bias equal those of the whole network bit for bit" in output
    assert "rank 1: 2.weight, 2.bias, 4.weight, 4.bias equal those of the whole network bit for bit" in output
    assert "after 50 steps" in output


def test_one_process_alone_says_how_to_start_it():
    process, output = run(sys.executable, str(SCRIPT))
    assert process.returncode == 1
    assert "expected two processes; start it with mlx.launch -n 2 python two_processes.py" in output
