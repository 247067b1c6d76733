"""What a page can ask of a session, by name, in the session's thread. An error is a sentence on the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.checks import is_real, is_whole, shown
from . import closeup, images, record, singles, texts
from .recipe import Recipe, from_link

if TYPE_CHECKING:
    from .session import Page, Session

Command = dict[str, Any]
Action = Callable[["Session", "Page | None", Command], None]


# ---------------------------------------------------------------- pages come and go


def join(session: Session, page: Page | None, command: Command) -> None:
    """Somebody wants to look."""
    assert page is not None
    page.told = page.behind = 0
    session.pages.append(page)
    session.set_the_scene(page)


def gone(session: Session, page: Page | None, command: Command) -> None:
    """Somebody has closed the page; the training goes on."""
    if page in session.pages:
        session.pages.remove(page)


def seen(session: Session, page: Page | None, command: Command) -> None:
    """A frame was painted."""
    if page is not None:
        page.behind = max(0, page.behind - 1)


# ---------------------------------------------------------------- training


def train(session: Session, page: Page | None, command: Command) -> None:
    """Play, train an epoch, or a batch."""
    if session.recipe.data == "points" and len({label for *_, label in session.recipe.placed}) < 2:
        raise ValueError("set at least one point of each of two classes before training")
    session.want = command["do"]


def pause(session: Session, page: Page | None, command: Command) -> None:
    """Stop after the batch or the epoch that is running."""
    session.want = None


def again(session: Session, page: Page | None, command: Command) -> None:
    """Begin anew with the same settings."""
    session.begin()
    session.leave = session.discard = True
    session.set_the_scene()


def change(session: Session, page: Page | None, command: Command) -> None:
    """Other settings."""
    session.change(session.recipe.changed(command["settings"]))
    session.set_the_scene()


def link(session: Session, page: Page | None, command: Command) -> None:
    """All settings at once, as the address bar of a page holds them: what it does not name is as usual."""
    settings = from_link(command["text"])
    if session.own is None:
        settings = {**Recipe().as_dict(), "table": session.recipe.table, **settings}
    change(session, page, {"settings": settings})


def table(session: Session, page: Page | None, command: Command) -> None:
    """A CSV file that was chosen on the page."""
    name, text = str(command.get("name") or "table.csv"), str(command["text"])
    if not text.strip():
        raise ValueError(f"{name} is empty")
    change(session, page, {"settings": {"data": "csv", "table": text, "file": name}})
    session.say(f"{session.recipe.file}: {len(session.data.x)} rows to train on, {len(session.data.classes)} classes")


# ---------------------------------------------------------------- looking


def focus(session: Session, page: Page | None, command: Command) -> None:
    """Another sample in front of the strips."""
    index = command["index"]
    if not is_whole(index) or not 0 <= index < len(session.data.x):
        raise ValueError(f"there is no sample {shown(index)}; there are {len(session.data.x)}")
    session.pictures.focus = int(index)
    session.set_the_scene()


def layer(session: Session, page: Page | None, command: Command) -> None:
    """One layer in full."""
    session.tell(*closeup.layer(session.pictures, str(command["layer"])), page)


def steps(session: Session, page: Page | None, command: Command) -> None:
    """Forward, loss and backward, step by step."""
    session.tell(*closeup.steps(session.pictures), page)


def products(session: Session, page: Page | None, command: Command) -> None:
    """The products that one number of a gradient sums."""
    where = str(command["layer"]), str(command["of"]), command["index"]
    session.tell(*closeup.products(session.pictures, *where), page)


def sample(session: Session, page: Page | None, command: Command) -> None:
    """One sample's own gradient."""
    session.tell(*singles.sample(session.pictures, command["index"]), page)


def weight(session: Session, page: Page | None, command: Command) -> None:
    """The loss along one weight."""
    session.tell(*singles.weight(session.pictures, str(command["name"]), command["index"]), page)


def set_weight(session: Session, page: Page | None, command: Command) -> None:
    """A weight dragged to another value."""
    number = command["value"]
    if not is_real(number) or not abs(number) <= 1e6:
        raise ValueError(f"a weight has to be a number up to a million, got {shown(number)}")
    parameter = singles.find(session.pictures, str(command["name"]))
    where = closeup.place(command["index"], parameter.shape, str(command["name"]))
    parameter.value = singles.replaced(np.array(parameter.value), where, float(number))
    session.remark = "weights were moved by hand in the lab; the script does not do that"
    session.proof = None
    session.show(force=True)
    weight(session, page, command)


def prove(session: Session, page: Page | None, command: Command) -> None:
    """The gradient check of this very model."""
    texts_only = session.data.tokenizer is not None
    session.proof = singles.proof(session.pictures, session.optimizer, texts.PROVEN if texts_only else None)
    session.tell(session.proof)
    session.show(force=True)


def picture(session: Session, page: Page | None, command: Command) -> None:
    """What the model sees in an image."""
    session.tell(*images.picture(session.pictures, command["index"], str(command["layer"])), page)


def write(session: Session, page: Page | None, command: Command) -> None:
    """What a model of text goes on to write, and where its heads look."""
    session.tell(*texts.written(session, str(command.get("prompt") or "")), page)


# ---------------------------------------------------------------- taking it along


def code(session: Session, page: Page | None, command: Command) -> None:
    """The Python that does the same."""
    session.tell({"kind": "code", "text": session.script(session.epoch)}, page=page)


def keep(session: Session, page: Page | None, command: Command) -> None:
    """The run so far as one HTML file."""
    if not session.film.frames:
        raise ValueError("there is nothing to save yet")
    html = record.html(*session.scene(), session.film, session.curve, session.model.title())
    session.tell({"kind": "record", "html": html}, page=page)


ACTIONS: dict[str, Action] = {
    "join": join,
    "gone": gone,
    "seen": seen,
    "play": train,
    "epoch": train,
    "batch": train,
    "pause": pause,
    "again": again,
    "set": change,
    "link": link,
    "table": table,
    "focus": focus,
    "layer": layer,
    "steps": steps,
    "products": products,
    "sample": sample,
    "weight": weight,
    "set_weight": set_weight,
    "prove": prove,
    "picture": picture,
    "write": write,
    "code": code,
    "record": keep,
}
