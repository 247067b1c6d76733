"""What can happen to a file: bits flip, its end is lost, parts change places, a header announces too much."""

from __future__ import annotations

import json
import random
import struct
from typing import Any

HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63, 10**30)
HOSTILE: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 1e308, *HUGE, "", "float32", "é\n", "__class__", "x" * 10_000, [], {}, [[]], {"tuple": []},
    {"module": 0}, {"array": "nowhere"}, {"range": [0, 10**9]}, {"slice": [None, 0]}, {"dtype": "eval"},
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes, after one to three accidents."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        found = rng.choice(ACCIDENTS)(found, rng)
    return bytes(found)


def _place(data: bytearray, rng: random.Random) -> int:
    """A place in the file; half of the time near the beginning, where the headers are."""
    return rng.randrange(min(len(data), rng.choice((16, 200, len(data), len(data)))) + 1) if data else 0


def flip(data: bytearray, rng: random.Random) -> bytearray:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if data:
            data[_place(data, rng) % len(data)] ^= 1 << rng.randrange(8)
    return data


def truncate(data: bytearray, rng: random.Random) -> bytearray:
    return data[: _place(data, rng)]


def insert(data: bytearray, rng: random.Random) -> bytearray:
    place, more = _place(data, rng), rng.randbytes(rng.choice((1, 4, 100, 5000)))
    return data[:place] + more + data[place:]


def remove(data: bytearray, rng: random.Random) -> bytearray:
    place = _place(data, rng)
    return data[:place] + data[place + rng.choice((1, 8, 100)) :]


def swap(data: bytearray, rng: random.Random) -> bytearray:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    length = rng.randrange(1, 65)
    return data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length] + data[b + length :]


def repeat(data: bytearray, rng: random.Random) -> bytearray:
    place = _place(data, rng)
    return data[:place] + data[place : place + 64] * rng.choice((2, 50)) + data[place + 64 :]


def announce(data: bytearray, rng: random.Random) -> bytearray:
    """A number in the file becomes a large one."""
    place, form = _place(data, rng), rng.choice(("<Q", "<I", ">I", "B"))
    size = struct.calcsize(form)
    number = rng.choice((2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 2), 0))
    return data[:place] + struct.pack(form, number) + data[place + size :]


def digits(data: bytearray, rng: random.Random) -> bytearray:
    """A number that is written in digits becomes another one."""
    places = [k for k, byte in enumerate(data[:20_000]) if 48 <= byte < 58]
    if not places:
        return data
    place = rng.choice(places)
    return data[:place] + rng.choice((b"9" * 18, b"-1", b"0", b"1e999", b"", b"nan")) + data[place + 1 :]


def replace(data: bytearray, rng: random.Random) -> bytearray:
    return bytearray(rng.choice((b"", b"\0" * 100, rng.randbytes(1000), b"[" * 100_000, b"{}", b"\x1f\x8b", b"PK\3\4")))


ACCIDENTS = (flip, flip, truncate, insert, remove, swap, repeat, announce, digits, replace)


def changed(tree: Any, rng: random.Random) -> Any:
    """JSON in which one to three things are others."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        parents = list(_containers(tree))
        if not parents:
            return rng.choice(HOSTILE)
        parent = rng.choice(parents)
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        key = rng.choice(keys)
        what = rng.randrange(5)
        if what == 0:
            del parent[key]
        elif what == 1:
            other = rng.choice(parents)
            parent[key] = json.loads(json.dumps(rng.choice(list(other.values()) if isinstance(other, dict) else other)))
        elif what == 2 and isinstance(parent[key], int):
            parent[key] = rng.choice((parent[key] + 1, -parent[key], 10 * parent[key], *HUGE))
        elif what == 3 and isinstance(parent, dict):
            parent[rng.choice(("kind", "class", "é", "__class__", "forward", "_last_step"))] = parent.pop(key)
        else:
            parent[key] = json.loads(json.dumps(rng.choice(HOSTILE)))
    return tree


def _containers(tree: Any) -> Any:
    """All lists and dicts in it that are not empty."""
    if isinstance(tree, (dict, list)) and tree:
        yield tree
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _containers(part)
