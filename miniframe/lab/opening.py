"""Opening the lab: from the command line, from a script, from a notebook."""

from __future__ import annotations

import atexit
import threading
import weakref
import webbrowser
from typing import Any

import mlx.core as mx

from ..core.arrays import as_array
from ..core.module import Module
from ..data.sources import as_both
from ..losses.base import Loss
from ..optimizers import Optimizer
from ..saving.weights import cells_of
from ..training.goal import goal
from ..training.progress import in_notebook
from ..training.trial import DataTrial
from .recipe import Recipe
from .server import Server
from .session import Session

Life = tuple[weakref.ref[Session], threading.Thread]

_running: list[Life] = []
# the lab that has a model: one that is opened again, as when a cell of a notebook runs twice, leaves the lab before
_labs: weakref.WeakKeyDictionary[Module, Life] = weakref.WeakKeyDictionary()


def begin(session: Session) -> threading.Thread:
    """Run a session on a thread of its own, on the device of this one."""
    device = mx.default_device()
    cells = [*cells_of(session.model).values(), *session.optimizer.cells()]
    mx.eval([cell.value for cell in cells], session.data.x, session.data.y, session.data.validation or ())

    def life() -> None:
        mx.set_default_device(device)
        session.run()

    thread = threading.Thread(target=life, name="lab", daemon=True)
    thread.start()
    _running[:] = [one for one in _running if one[1].is_alive()] + [(weakref.ref(session), thread)]
    if session.own is not None:
        _labs[session.own[0]] = _running[-1]
    return thread


@atexit.register
def end_all() -> None:
    """End every lab with the process: a thread that still holds arrays then would end it in a crash."""
    for found, thread in _running:
        _end(found, thread, seconds=5)


def end_earlier(model: Module) -> None:
    """End the lab that trains this model, so that two threads never train one model."""
    if model in _labs:
        _end(*_labs.pop(model), seconds=30)


def _end(found: weakref.ref[Session], thread: threading.Thread, seconds: float) -> None:
    if (session := found()) is not None:
        session.close()
        thread.join(timeout=seconds)


def own_session(model: Module, x: Any, y: Any, loss: Any, optimizer: Any, **options: Any) -> Session:
    """A session of a model of one's own, checked as ``fit`` would.

    Raises:
        ValueError, TypeError: for what ``fit`` would refuse, before anything opens.
    """
    known = {"validation_data", "batch_size", "seed"}
    if unknown := set(options) - known:
        raise TypeError(f"lab: unknown {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
    if not isinstance(model, Module):
        raise TypeError(f"lab: expected a miniframe model, got {type(model).__name__}")
    found = goal(model, loss, optimizer, None)
    batch_size = options.get("batch_size", 32)
    recipe = Recipe().changed({"batch_size": batch_size, "seed": options.get("seed", 0), "data": "disk"})
    held = options.get("validation_data")
    if held is not None and not (isinstance(held, (tuple, list)) and len(held) == 2 and not isinstance(held[0], tuple)):
        raise ValueError("lab: expected validation_data as (x, y), arrays in memory without sample weights")
    data, validation = as_both(x, y, None, None if held is None else tuple(held), 0.0)
    end_earlier(model)
    DataTrial(model, found.loss, found.measures).on(data, recipe.batch_size, "lab")
    if validation is not None and held is not None:
        DataTrial(model, found.loss, found.measures).on(validation, recipe.batch_size, "lab: validation_data")
        held = tuple(as_array(part, where="lab") for part in held)
    return Session(
        recipe, (model, as_array(x, where="lab"), as_array(y, where="lab"), found.loss, found.optimizer), held
    )


def open(  # noqa: A001  (mf.lab.open is what its users say)
    model: Module,
    x: Any,
    y: Any,
    loss: Loss | str,
    optimizer: Optimizer | str,
    *,
    validation_data: Any = None,
    batch_size: int = 32,
    seed: int = 0,
    port: int | None = None,
    browser: bool = True,
) -> Server | None:
    """Look at a model of your own while it learns: layers, values, gradients, regions, each number in full.

    In a script it returns when Ctrl-C ends it, and the model keeps what it has learned; in a notebook it returns at
    once.

    Args:
        model, x, y, loss, optimizer: as for ``fit``; data in memory, one input.
        validation_data: (x, y) to test on after every epoch.
        batch_size, seed: as for ``fit``; the batch size and the learning rate can be changed on the page.
        port: of the local address; a free one by default.
        browser: whether to open the page; its address is printed in any case.

    Returns:
        In a notebook the server, which ``stop()`` ends; in a script None.

    Raises:
        ImportError: without the extra ``lab``.
        ValueError, TypeError: for what ``fit`` would refuse.
    """
    session = own_session(
        model, x, y, loss, optimizer, validation_data=validation_data, batch_size=batch_size, seed=seed
    )
    return serve(session, port, browser, wait=not in_notebook())


def serve(session: Session, port: int | None, browser: bool, wait: bool) -> Server | None:
    """Show a session in the browser; with ``wait``, until it is ended."""
    server = Server(session, port)
    thread = begin(session)
    print("the lab is open" + ("; Ctrl-C ends it" if wait else ""))
    print(server.address, flush=True)
    if browser:
        threading.Timer(0.3, webbrowser.open, [server.address]).start()
    if not wait:
        server.start()
        return server
    server.run()
    thread.join(timeout=30)
    return None


def run(port: int | None = None, browser: bool = True) -> None:
    """``miniframe lab``."""
    serve(Session(Recipe()), port, browser, wait=True)
