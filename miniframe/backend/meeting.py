"""Where the ranks of a training find each other: at the address of rank 0 that the launcher has told all of them."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

LAUNCHED = ("MLX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK")  # what mlx.launch and mpirun tell their processes
TIMEOUT = "MINIFRAME_TIMEOUT"  # the environment variable: seconds without a sign of life before a rank gives up
START = 60.0  # seconds that a rank is waited for at least, when it starts
TICK = 0.25  # seconds between looks at whether it makes sense to wait on


class DistributedError(RuntimeError):
    """Another rank has died, cannot be reached, or was started with a different training."""


class Meeting(NamedTuple):
    """Who this process is, and where all meet.

    Attributes:
        rank, size: the number of this process, and how many there are.
        address: where rank 0 listens.
    """

    rank: int
    size: int
    address: tuple[str, int]


def launched() -> bool:
    """Whether this process was started as one of several; ``mlx.launch -n 1`` gives an empty list of hosts.

    >>> launched()
    False
    """
    hosts = os.environ.get("MLX_HOSTFILE")
    if hosts is not None and not Path(hosts).read_text().strip():
        return False
    return any(name in os.environ for name in LAUNCHED)


def timeout() -> float:
    """Seconds that a rank waits for the others: MINIFRAME_TIMEOUT, or 600."""
    try:
        seconds = float(os.environ.get(TIMEOUT, 600))
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ValueError(f"{TIMEOUT}: expected a positive number of seconds, got {os.environ[TIMEOUT]!r}")
    return seconds


def announced(environment: Mapping[str, str] = os.environ) -> Meeting | None:
    """What mlx.launch has told this process; None if that is not enough to meet, as under mpirun.

    For a moment the meeting uses the address that MLX listens at later, so what a firewall lets through for MLX is
    enough for both.

    >>> announced({"MLX_RANK": "1", "MLX_WORLD_SIZE": "2", "NCCL_HOST_IP": "10.0.0.1", "NCCL_PORT": "12345"})
    Meeting(rank=1, size=2, address=('10.0.0.1', 12345))
    """
    found = environment.get
    if hosts := _listed(found("MLX_HOSTFILE")):
        size, address = len(hosts), hosts[0][0]
    elif devices := _listed(found("MLX_IBV_DEVICES")):
        size, address = len(devices), found("MLX_JACCL_COORDINATOR", "")
    else:
        size, address = int(found("MLX_WORLD_SIZE", 0)), f"{found('NCCL_HOST_IP', '')}:{found('NCCL_PORT', '')}"
    host, _, port = address.rpartition(":")
    if not (host and port and size and "MLX_RANK" in environment):
        return None
    return Meeting(int(environment["MLX_RANK"]), size, (host, int(port)))


def _listed(path: str | None) -> list[list[str]]:
    """The list of all ranks' addresses, or devices, in a file."""
    text = "" if path is None else Path(path).read_text()
    return json.loads(text) if text.strip() else []


def arranged(group: Any) -> tuple[Meeting, socket.socket | None]:
    """Where MPI's launchers say nothing, rank 0 says over MLX where it listens."""
    server, mine = None, [0] * 5  # an address of four bytes, and a port
    if group.rank() == 0:
        server = socket.create_server(("", 0), backlog=group.size())
        address = "127.0.0.1"
        with suppress(OSError):  # a machine without a name is by itself
            address = socket.gethostbyname(socket.gethostname())
        mine = [*socket.inet_aton(address), server.getsockname()[1]]
    gathered = mx.distributed.all_gather(mx.array([mine]), group=group)
    mx.eval(gathered)
    *numbers, port = np.array(gathered)[0].tolist()
    return Meeting(group.rank(), group.size(), (socket.inet_ntoa(bytes(numbers)), port)), server


def arrivals(
    meeting: Meeting, limit: float, server: socket.socket | None = None
) -> Iterator[tuple[int, socket.socket]]:
    """On rank 0: the other ranks and their connections, as they come; (0, the server) while nobody does.

    Args:
        limit: seconds to wait for all of them.
        server: what listens, if not at the address of the meeting.

    Raises:
        DistributedError: naming a rank that did not come.
    """
    limit = max(limit, START)
    end = time.monotonic() + limit
    missing = set(range(1, meeting.size))
    with server or _trying(lambda: socket.create_server(meeting.address, backlog=meeting.size), end) as listening:
        listening.settimeout(TICK)
        while missing:
            rank, peer = 0, listening
            with suppress(TimeoutError, ValueError):
                rank, peer = _accepted(listening, missing)
            missing.discard(rank)
            yield rank, peer
            if missing and time.monotonic() > end:
                raise DistributedError(
                    f"rank 0 of {meeting.size} has waited {limit:g} seconds for rank {min(missing)} to start, and "
                    f"stops; {TIMEOUT} sets another limit"
                )


def _accepted(server: socket.socket, missing: set[int]) -> tuple[int, socket.socket]:
    """A missing rank that has connected; ValueError, and no connection, for a stranger."""
    peer, _ = server.accept()
    try:
        peer.settimeout(5)
        rank = int(peer.recv(8, socket.MSG_WAITALL))
        if rank not in missing:
            raise ValueError
        peer.settimeout(None)
        return rank, peer
    except (OSError, ValueError) as error:
        peer.close()
        raise ValueError from error


def arrive(meeting: Meeting, limit: float) -> socket.socket:
    """On the other ranks: the connection to rank 0.

    Raises:
        DistributedError: when it does not start.
    """
    limit = max(limit, START)
    end = time.monotonic() + limit
    try:
        peer = _trying(lambda: socket.create_connection(meeting.address, timeout=10), end)
    except OSError as error:
        raise DistributedError(
            f"rank {meeting.rank} of {meeting.size} has waited {limit:g} seconds for rank 0 to start at "
            f"{':'.join(map(str, meeting.address))}, and stops ({error}); {TIMEOUT} sets another limit"
        ) from error
    peer.settimeout(None)
    peer.sendall(f"{meeting.rank:8d}".encode())
    return peer


def _trying(connect: Callable[[], socket.socket], end: float) -> socket.socket:
    """A socket, tried for until the time is over: the other rank may not have started, another program not ended."""
    while True:
        try:
            return connect()
        except OSError:
            if time.monotonic() > end:
                raise
        time.sleep(TICK / 5)
