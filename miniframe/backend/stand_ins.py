"""Functions that stand in for some of MLX's for a moment, in one thread; all other threads keep MLX's own.

MLX's module and its arrays belong to the whole process. So what is put there looks up whether its thread has a
stand-in, and calls the original otherwise. The last thread to be done puts the originals back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

Function = Callable[..., Any]
Place = tuple[Any, str]  # (mx, "exp"): whose attribute, and its name


class _ThisThread(threading.local):
    """``stand_ins`` are those of the thread that asks."""

    def __init__(self) -> None:
        self.stand_ins: dict[Place, Function] = {}


_this_thread = _ThisThread()
_lock = threading.RLock()
_originals: dict[Place, Function] = {}
_users: dict[Place, int] = {}


@contextmanager
def stand_ins(makers: Iterable[tuple[Any, str, Callable[[Function], Function]]]) -> Iterator[None]:
    """``with stand_ins([(mx, "exp", make)]):`` in this thread, ``mx.exp`` is what ``make`` makes of the one before.

    Args:
        makers: (owner, name, make) for each attribute to replace; a name that the owner lacks is left out.
    """
    chosen = {(owner, name): make for owner, name, make in makers if hasattr(owner, name)}
    originals = _install(chosen)
    before = _this_thread.stand_ins
    try:
        made = {place: make(before.get(place, originals[place])) for place, make in chosen.items()}
        _this_thread.stand_ins = {**before, **made}
        yield
    finally:
        _this_thread.stand_ins = before
        _remove(chosen)


def _install(places: Iterable[Place]) -> dict[Place, Function]:
    """Make the attributes ask for stand-ins, unless they do already; return what they were."""
    with _lock:
        for place in places:
            if place not in _users:
                owner, name = place
                _originals[place], _users[place] = getattr(owner, name), 0
                setattr(owner, name, _asking(place, _originals[place]))
            _users[place] += 1
        return dict(_originals)


def _remove(places: Iterable[Place]) -> None:
    """Put the originals back where nobody needs a stand-in any longer."""
    with _lock:
        for place in places:
            _users[place] -= 1
            if not _users[place]:
                owner, name = place
                setattr(owner, name, _originals.pop(place))
                del _users[place]


def _asking(place: Place, original: Function) -> Function:
    def function(*args: Any, **options: Any) -> Any:
        return _this_thread.stand_ins.get(place, original)(*args, **options)

    return function
