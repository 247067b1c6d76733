"""The lab opens from the command line, from a script and from a notebook, and ends well."""

import json
import logging
import os
import re
import signal
import subprocess
import sys

import httpx
import mlx.core as mx
import pytest
import websockets.sync.client as client
from watcher import Watcher

import miniframe as mf
from miniframe.lab import opening, wire

SCRIPT = """
import numpy as np
import miniframe as mf

mf.seed(0)  # of some first weights all three units are dead, and nothing changes
x, y = mf.datasets.disk(60)
model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 2))
before = np.array(model[0].weight.value)
mf.lab.open(model, x, y, "cross_entropy", "adam", browser=False, batch_size=20)
print("changed", bool((np.array(model[0].weight.value) != before).any()), float(model(x).sum()) != 0)
"""


class Process:
    """A process that opens a lab and prints its address."""

    def __init__(self, *command):
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.lines = [self.process.stdout.readline().strip() for _ in range(2)]
        self.address = self.lines[1]

    def train(self, epochs):
        with client.connect(self.address.replace("http", "ws").replace("/?", "/channel?"), max_size=None) as socket:
            for epoch in range(1, epochs + 1):
                socket.send(json.dumps({"do": "epoch"}))
                while wire.unpack(socket.recv(timeout=60))[0].get("epoch") != epoch:
                    pass

    def end(self, how=signal.SIGINT):
        self.process.send_signal(how)
        return *self.process.communicate(timeout=60), self.process.returncode


def test_the_command_prints_its_address_and_ctrl_c_ends_it():
    lab = Process(sys.executable, "-m", "miniframe", "lab", "--no-browser")
    assert lab.lines[0] == "the lab is open; Ctrl-C ends it"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]+", lab.address)
    assert httpx.get(lab.address).status_code == 200
    lab.train(1)
    out, errors, status = lab.end()
    assert (out, errors, status) == ("", "", 0)


def test_a_script_goes_on_with_what_was_learned(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    lab = Process(sys.executable, str(tmp_path / "script.py"))
    lab.train(2)
    out, errors, status = lab.end()
    assert (out, errors, status) == ("changed True True\n", "", 0)


def test_a_process_that_is_told_to_end_ends():
    lab = Process(sys.executable, "-m", "miniframe", "lab", "--no-browser")
    *_, status = lab.end(signal.SIGTERM)
    assert status in (0, -signal.SIGTERM)


def test_a_notebook_gets_the_server_back_at_once(monkeypatch, capsys):
    monkeypatch.setattr(opening, "in_notebook", lambda: True)
    x, y = mf.datasets.disk(20)
    server = mf.lab.open(mf.Linear(2, 2), x, y, "cross_entropy", "sgd", browser=False)
    address = capsys.readouterr().out.splitlines()[1]
    assert address == server.address
    while not server.uvicorn.started:
        pass
    assert httpx.get(address).status_code == 200
    server.stop()


def test_opening_leaves_the_logs_of_other_libraries_open():
    """absl's handler, for one, closes the stream that it writes to: an old sys.stderr, which others still use."""
    closed = []

    class Handler(logging.Handler):
        def close(self):
            closed.append(self)
            super().close()

    handler = Handler()
    server = opening.Server(opening.own_session(mf.Linear(2, 2), *mf.datasets.disk(20), "cross_entropy", "sgd"))
    assert not closed and handler.level == logging.NOTSET
    server.stop()
    server.socket.close()
    assert logging.getLogger("uvicorn.error").level == logging.WARNING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "99999"], "miniframe lab: expected a port from 0 to 65535, got 99999"),
        (["--port", "x"], "invalid int"),
    ],
)
def test_a_bad_port_is_one_line(arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "miniframe", "lab", "--no-browser", *arguments], capture_output=True, text=True
    )
    assert done.returncode and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_without_its_libraries_the_lab_names_the_extra():
    code = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "import miniframe as mf\n"
        "x, y = mf.datasets.disk(20)\n"
        "mf.lab.open(mf.Linear(2, 2), x, y, 'cross_entropy', 'sgd')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "ImportError: lab: needs uvicorn: pip install miniframe[lab]"


def test_importing_miniframe_does_not_import_the_lab():
    code = "import sys, miniframe; assert 'miniframe.lab' not in sys.modules; miniframe.lab.Record"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_that_is_opened_again_leaves_the_lab_before():
    """As when a cell of a notebook runs twice: two threads must not train one model."""
    x, y = mf.datasets.disk(60)
    model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 2))
    one = opening.own_session(model, x, y, "cross_entropy", "adam")
    thread = opening.begin(one)
    one.commands.put((None, {"do": "play"}))
    two = opening.own_session(model, x, y, "cross_entropy", "adam")
    assert not thread.is_alive() and one.closed
    thread = opening.begin(two)
    two.close()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_the_end_of_a_session_ends_its_server_and_the_end_of_a_process_both(tmp_path):
    """As in a notebook: nobody stops the lab, and the process ends without a crash."""
    code = (
        "import time, threading, miniframe as mf\n"
        "from miniframe.lab.opening import own_session, serve\n"
        "x, y = mf.datasets.disk(60)\n"
        "model = mf.Sequential(mf.Linear(2, 3), mf.ReLU(), mf.Linear(3, 2))\n"
        "first = own_session(model, x, y, 'cross_entropy', 'adam')\n"
        "served = serve(first, None, browser=False, wait=False)\n"
        "while not served.uvicorn.started: time.sleep(0.01)\n"
        "second = own_session(model, x, y, 'cross_entropy', 'adam')\n"
        "while served.socket.fileno() != -1: time.sleep(0.01)\n"
        "serve(second, None, browser=False, wait=False)\n"
        "second.commands.put((None, {'do': 'play'}))\n"
        "while second.epoch < 3: time.sleep(0.01)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_session_leaves_is_computed_and_can_be_used_in_other_threads():
    x, y = mf.datasets.disk(60)
    model = mf.Sequential(mf.Linear(2, 4), mf.BatchNorm(4), mf.Dropout(0.2), mf.Linear(4, 2))
    optimizer = mf.Adam(model)
    with Watcher(opening.own_session(model, x.astype(mx.bfloat16), y, "cross_entropy", optimizer)) as lab:
        lab.ask("batch")
        lab.paused(epoch=0, batch=1)
    assert mx.isfinite(model(x).sum()).item() and all(mx.isfinite(c.value).all().item() for c in optimizer.cells())


@pytest.mark.parametrize("held", [[(1, 2)], ([1.0], [1.0], [1.0]), 3])
def test_validation_data_that_the_lab_cannot_take_are_named(held):
    x, y = mf.datasets.disk(20)
    with pytest.raises(ValueError, match=r"lab: expected validation_data as \(x, y\), arrays in memory"):
        opening.own_session(mf.Linear(2, 2), x, y, "cross_entropy", "sgd", validation_data=held)
