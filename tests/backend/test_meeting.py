"""How ranks find each other: what the launchers say, strangers at the door, and a rank that never comes."""

import json
import socket
import threading

import pytest

from miniframe.backend import lifeline, meeting
from miniframe.backend.meeting import DistributedError, Meeting


def free_place():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()


def test_every_launcher_is_understood(tmp_path):
    hosts, devices = tmp_path / "hosts", tmp_path / "devices"
    hosts.write_text(json.dumps([["10.0.0.1:5000", "10.0.0.1:5001"], ["10.0.0.2:5000"]]))
    devices.write_text(json.dumps([[None, "rdma"], ["rdma", None], ["rdma", "rdma"]]))
    ring = {"MLX_RANK": "1", "MLX_HOSTFILE": str(hosts)}
    assert meeting.announced(ring) == Meeting(1, 2, ("10.0.0.1", 5000))
    jaccl = {"MLX_RANK": "0", "MLX_IBV_DEVICES": str(devices), "MLX_JACCL_COORDINATOR": "10.0.0.3:70"}
    assert meeting.announced(jaccl) == Meeting(0, 3, ("10.0.0.3", 70))
    assert meeting.announced({"OMPI_COMM_WORLD_RANK": "0"}) is None
    assert meeting.announced({"MLX_HOSTFILE": str(hosts)}) is None


def test_a_stranger_is_turned_away_and_the_ranks_are_let_in():
    place = Meeting(0, 3, free_place())
    lines = {}

    def join(rank):
        lines[rank] = lifeline.connected(place._replace(rank=rank), 60)

    threads = [threading.Thread(target=join, args=(rank,), daemon=True) for rank in range(3)]
    threads[0].start()
    for greeting in (b"GET / HT", b"", b"       7"):
        with meeting._trying(lambda: socket.create_connection(place.address), 1e12) as stranger:
            stranger.sendall(greeting)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(lines) == [0, 1, 2]
    for line in lines.values():
        line.place = lifeline.Place(1, 1, "a test")
    found = {}
    asking = [threading.Thread(target=lambda r=r: found.update({r: lines[r].gather([r, "ä"])})) for r in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    assert found == {rank: [[0, "ä"], [1, "ä"], [2, "ä"]] for rank in range(3)}


def test_a_rank_that_does_not_start_is_named(monkeypatch):
    monkeypatch.setattr(meeting, "START", 0.1)
    place = Meeting(0, 3, free_place())
    with pytest.raises(DistributedError, match="rank 0 of 3 has waited 0.1 seconds for rank 1 to start, and stops"):
        lifeline.connected(place, 0.1)
    with pytest.raises(DistributedError, match=f"rank 2 of 3 .* for rank 0 to start at 127.0.0.1:{place[2][1]}"):
        lifeline.connected(place._replace(rank=2), 0.1)
