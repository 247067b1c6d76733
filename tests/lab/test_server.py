"""The server lets in who has the token, from this machine, and nobody else."""

import json
import threading

import httpx
import pytest
import websockets.sync.client as client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from miniframe.lab import wire
from miniframe.lab.opening import begin
from miniframe.lab.server import Server


@pytest.fixture
def served(small):
    server = Server(small)
    thread = begin(small)
    server.start()
    yield server
    server.stop()
    small.close()
    thread.join(timeout=60)


def channel(server, token=None, **headers):
    token = server.token if token is None else token
    origin = headers.pop("origin", f"http://127.0.0.1:{server.port}")
    return client.connect(
        f"ws://127.0.0.1:{server.port}/channel?token={token}", origin=origin, additional_headers=headers, max_size=None
    )


def test_the_page_needs_the_token(served):
    base = f"http://127.0.0.1:{served.port}"
    assert httpx.get(served.address).status_code == 200
    for address in (base, f"{base}/?token=", f"{base}/?token=wrong", f"{base}/?token=%C3%A4"):
        answer = httpx.get(address)
        assert answer.status_code == 403 and "the token is missing or wrong" in answer.text


def test_other_hosts_and_other_origins_are_refused(served):
    answer = httpx.get(served.address, headers={"Host": "evil.example"})
    assert answer.status_code == 403 and "only under its own address" in answer.text
    answer = httpx.get(served.address, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403 and "only its own page" in answer.text
    for options in ({"token": "wrong"}, {"origin": "http://evil.example"}):
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            with channel(served, **options) as socket:
                socket.recv(timeout=10)


def test_the_policy_forbids_everything_from_elsewhere(served):
    policy = httpx.get(served.address).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'") and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy


def test_only_the_pages_files_are_served(served):
    base = f"http://127.0.0.1:{served.port}"
    assert httpx.get(f"{base}/page/app.js").headers["content-type"].startswith("text/javascript")
    for name in ("nothing.js", "..%2F__init__.py", "%2e%2e/session.py"):
        assert httpx.get(f"{base}/page/{name}").status_code == 404


def test_the_channel_speaks_and_survives_nonsense(served, small):
    with channel(served) as socket:
        kinds = [wire.unpack(socket.recv(timeout=30))[0]["kind"] for _ in range(2)]
        assert kinds == ["scene", "frame"]
        for nonsense in ("{", "[]", "3", json.dumps({"do": "close"}), json.dumps({"do": "join"})):
            socket.send(nonsense)
            header, _ = wire.unpack(socket.recv(timeout=30))
            assert header["words"] == "the page sent something that is no request"
        socket.send(json.dumps({"do": "epoch"}))
        while (header := wire.unpack(socket.recv(timeout=30))[0]).get("epoch") != 1:
            pass
    assert not small.closed


def test_a_port_that_is_taken_or_no_port_is_explained(served, small):
    with pytest.raises(ValueError, match=rf"port {served.port} cannot be used \(.*\); without it, a free one is taken"):
        Server(small, served.port)
    with pytest.raises(ValueError, match="expected a port from 0 to 65535, got 70000"):
        Server(small, 70000)


def test_it_listens_on_this_machine_only(served):
    assert served.socket.getsockname()[0] == "127.0.0.1"


def test_ending_the_server_ends_the_session(small):
    server = Server(small)
    thread = begin(small)
    runner = threading.Thread(target=server.run)
    server.uvicorn.install_signal_handlers = lambda: None
    runner.start()
    while not server.uvicorn.started:
        pass
    server.stop()
    runner.join(timeout=30)
    thread.join(timeout=30)
    assert not runner.is_alive() and not thread.is_alive()


def test_bytes_and_deep_nonsense_are_no_requests_and_a_large_table_arrives(served, small, capfd):
    table = "a,b,label\n" + "".join(f"{n % 10},{n % 7},{n % 2}\n" for n in range(700_000))
    with channel(served) as socket:
        for nonsense in (b"\x00\xff", "[" * 200_000):
            socket.send(nonsense)
            while (header := wire.unpack(socket.recv(timeout=30))[0])["kind"] != "message":
                pass
            assert header["words"] == "the page sent something that is no request"
        socket.send(json.dumps({"do": "table", "name": "t.csv", "text": table}))
        while (header := wire.unpack(socket.recv(timeout=60))[0])["kind"] != "message":
            pass
        assert header["words"] == "t.csv: 525000 rows to train on, 2 classes"
    assert not small.closed and capfd.readouterr().err == ""
