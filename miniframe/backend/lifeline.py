"""A line between the ranks beside MLX's: who is alive, where everyone is, and what one who stopped has said.

MLX's messages carry the arrays, but cannot be waited for with a limit, and say nothing about why one does not come. So
every rank also keeps a plain connection to rank 0, which hears what all do, and tells the others what concerns them.

- A thread of its own gives a sign of life twice a second, however long a callback, a source or a validation takes.
- A rank that stops says why. When a process ends, whatever the reason, its connection closes.
- Numbers and settings, which are few, travel here: whoever waits for them hears at once that they cannot come.
- Every rank counts what it does together with the others. Two that do different things at the same place wait for
  each other for ever; rank 0 sees that, and all stop.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from .meeting import START, TICK, DistributedError, Meeting, arrivals, arrive

FOREVER = 10**12  # the last section that a rank whose process has ended will be missed in


class Place(NamedTuple):
    """Where a rank is.

    Attributes:
        section: how many trainings, or other calls that all ranks make together, it has begun.
        step: how many things it has done together with the others in there.
        doing: the last of them, in words.
        samples: how many it has trained on in this section.
    """

    section: int
    step: int
    doing: str
    samples: int = 0


class Lifeline:
    """One rank's end of the line.

    Args:
        rank, size: of the team.
        limit: seconds without a sign of life after which a rank is given up.

    Attributes:
        place: where this rank is; told to the others with every sign of life.
    """

    def __init__(self, rank: int, size: int, limit: float) -> None:
        self.rank, self.size, self.limit = rank, size, limit
        self.place = Place(0, 0, "the start")
        self.peers: dict[int, socket.socket] = {}  # rank 0 has all others, the others have rank 0
        self.heard: dict[int, float] = {}  # when
        self.places = {r: self.place for r in range(size)}  # the rest is about all ranks, known on rank 0
        self.left = dict.fromkeys(range(size), -1)  # the last section that a rank has left
        self.troubles: list[tuple[int, int, str]] = []  # first and last section that cannot be, and why
        self.asked: dict[tuple[int, int], dict[int, Any]] = {}  # what came for a gathering, by rank
        self.answers: dict[tuple[int, int], list[Any]] = {}
        self.changed = threading.Condition(threading.RLock())  # held to change any of this
        self.sending = threading.Lock()
        self.watchman: Callable[[], None] = lambda: None  # called at every tick
        os.register_at_fork(after_in_child=self._close)  # a child that lives on would keep a dead rank's line open

    def add(self, rank: int, peer: socket.socket) -> None:
        """Take a connection into use."""
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wait = struct.pack("ll", max(1, int(self.limit)), 0)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)  # a stopped process reads nothing
        self.heard[rank] = time.monotonic()
        self.peers[rank] = peer
        threading.Thread(target=self._listen, args=(rank, peer), daemon=True).start()
        if len(self.peers) == 1:
            threading.Thread(target=self._live, daemon=True).start()

    # ---------------------------------------------------------------- what the team asks

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, such as JSON can write, once all are here; DistributedError when they cannot be."""
        here = self.place.section, self.place.step
        self._tell({"kind": "asks", "place": self.place, "value": value})
        with self.changed:
            while here not in self.answers:
                if problem := self.problem():
                    raise DistributedError(problem)
                self.changed.wait(TICK)
            return self.answers.pop(here)

    def leave(self, words: str = "") -> None:
        """The section is over for this rank; with words, because it stopped."""
        self._tell({"kind": "leaves", "section": self.place.section, "words": words})

    def end(self, words: str) -> None:
        """This process is about to end, with these words."""
        self._tell({"kind": "ends", "words": words})

    def problem(self) -> str | None:
        """Why this section cannot go on, in words."""
        with self.changed:
            return self._troubled(self.place.section)

    # ---------------------------------------------------------------- threads

    def _live(self) -> None:
        """A sign of life now and then, and a look at the others'."""
        ticked, tick = time.monotonic(), min(2 * TICK, self.limit / 4)
        while self.peers:
            if time.monotonic() - ticked > 4 * tick:  # this process stood still, and has not listened
                self.heard = dict.fromkeys(self.heard, time.monotonic())
            ticked, tick = time.monotonic(), min(2 * TICK, self.limit / 4)
            self._tell({"kind": "is at", "place": self.place})
            if self.rank == 0:
                self._send({"kind": "lives"})
            for rank, last in list(self.heard.items()):
                if time.monotonic() - last > self.limit:
                    self._missed(rank, f"rank {rank} has given no sign of life for {self.limit:g} seconds")
            self.watchman()
            time.sleep(tick)

    def _listen(self, rank: int, peer: socket.socket) -> None:
        """Take in what a peer says, until its process ends."""
        with suppress(OSError, ValueError), peer.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                self.heard[rank] = time.monotonic()
                self._receive(rank, json.loads(line))
        self.heard.pop(rank, None)
        self._missed(rank, f"rank {rank} stopped: its process has ended")

    # ---------------------------------------------------------------- messages

    def _tell(self, message: dict[str, Any]) -> None:
        """To rank 0, wherever that is."""
        if self.rank == 0:
            self._receive(0, message)
        else:
            self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        for peer in list(self.peers.values()):
            with self.sending, suppress(OSError):
                peer.sendall(data)

    def _receive(self, rank: int, message: dict[str, Any]) -> None:
        """A message from a rank: on rank 0 from any, its own included; on the others from rank 0."""
        kind = message["kind"]
        with self.changed:
            if kind == "is at":
                self._is_at(rank, Place(*message["place"]))
            elif kind == "asks":
                self._asks(rank, Place(*message["place"]), message["value"])
            elif kind == "leaves":
                self._leaves(rank, message["section"], message["words"])
            elif kind == "ends":
                self._missed(rank, f"rank {rank} stopped: {message['words']}")
            elif kind == "trouble":
                self.troubles.append(tuple(message["trouble"]))
            elif kind == "answer":
                self.answers[tuple(message["here"])] = message["values"]
            self.changed.notify_all()

    def _asks(self, rank: int, place: Place, value: Any) -> None:
        here = place.section, place.step
        values = self.asked.setdefault(here, {})
        values[rank] = value
        self._is_at(rank, place)
        if len(values) == self.size:
            del self.asked[here]
            if not self._troubled(place.section):
                self.answers[here] = [values[r] for r in range(self.size)]
                self._send({"kind": "answer", "here": here, "values": self.answers[here]})

    def _leaves(self, rank: int, section: int, words: str) -> None:
        if words:
            self._trouble(section, section, f"rank {rank} stopped: {words}")
        self.left[rank] = section
        if rank == self.rank == 0:
            self._send({"kind": "leaves", "section": section, "words": ""})

    def _missed(self, rank: int, words: str) -> None:
        """A rank that does not take part in anything any more; one that has left a section in peace may be gone."""
        with self.changed:
            self._trouble(self.left[rank] + 1, FOREVER, words)

    def _trouble(self, first: int, last: int, words: str) -> None:
        if (first, last, words) not in self.troubles:
            self.troubles.append((first, last, words))
            self.changed.notify_all()
            if self.rank == 0:
                self._send({"kind": "trouble", "trouble": (first, last, words)})

    def _troubled(self, section: int) -> str | None:
        return next((words for first, last, words in self.troubles if first <= section <= last), None)

    def _is_at(self, rank: int, place: Place) -> None:
        """On rank 0: note where a rank is, and see whether all can still meet."""
        self.places[rank] = max(place, self.places[rank], key=_order)
        for (one, here), (other, there) in itertools.combinations(self.places.items(), 2):
            words = apart(here, there, self._waits(one), self._waits(other))
            section = min(here.section, there.section)
            if words and not self._troubled(section):
                self._trouble(section, section, f"the ranks {words.format(one, other)}")

    def _waits(self, rank: int) -> bool:
        """Whether a rank cannot go on before all others have come to the same place."""
        return rank in self.asked.get(_order(self.places[rank]), {})

    def _close(self) -> None:
        for peer in self.peers.values():
            os.close(peer.detach())


def _order(place: Place) -> tuple[int, int]:
    return place.section, place.step


def apart(here: Place, there: Place, waits: bool, waits_there: bool) -> str | None:
    """Why two ranks, which may wait, will never meet, in words with room for their numbers; None if they may.

    >>> apart(Place(1, 3, "fit, training on a batch"), Place(1, 3, "fit, adding up numbers"), False, True)[:98]
    'do different things: rank {} is at fit, training on a batch, and rank {} at fit, adding up numbers'
    """
    if _order(here) == _order(there) and here.doing == there.doing:
        if here.samples == there.samples or not (waits and waits_there):
            return None
        words = f"train on different data: rank {{}} has seen {here.samples} samples, and rank {{}} {there.samples}"
    elif (
        _order(here) == _order(there)
        or (waits and _order(there) > _order(here))
        or (waits_there and _order(here) > _order(there))
    ):
        words = f"do different things: rank {{}} is at {here.doing}, and rank {{}} at {there.doing}"
    else:
        return None
    return f"{words}; every rank must run the same script, on as many batches of as many samples"


def connected(meeting: Meeting, limit: float, server: socket.socket | None = None) -> Lifeline:
    """The line, when all ranks hold it; until MLX has connected them, too, no rank is given up early."""
    line = Lifeline(meeting.rank, meeting.size, max(limit, START))
    if meeting.rank > 0:
        line.add(0, arrive(meeting, limit))
    else:
        for rank, peer in arrivals(meeting, limit, server):
            if rank > 0:
                line.add(rank, peer)
            if problem := line.problem():
                raise DistributedError(f"rank 0 of {meeting.size} stops, because {problem}")
    line.gather(None)
    return line
