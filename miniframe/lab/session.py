"""A session: a model in training, what pages ask of it, what they are shown. One thread runs it and owns all arrays.

Training is ``fit`` itself, with a callback that now and then sends a frame and does what was asked. Between the epochs
of a fast model that costs next to nothing; only for single batches, and where an epoch takes long, the callback looks
after every batch.
"""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from typing import Any

from . import museum, wire
from .actions import ACTIONS
from .film import Film
from .looking import LONG, Doctor, EachBatch, EachEpoch
from .pictures import Frame
from .project import Made, Project
from .recipe import ANEW, Recipe
from .worlds import IMAGES

FRAMES = 22  # in a second, at most: some 20, as a frame waits for the end of an epoch
SHARE = 0.15  # of the time that frames may take
AHEAD = 2  # frames that a page may be behind before it gets no more
ENDLESS = 10**9  # epochs


class Page:
    """Somebody who looks: a page, a notebook's widget, a test.

    Args:
        send: takes one message of bytes; called from the session's thread.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.behind = 0  # frames that it has not yet painted
        self.told = 0  # epochs of the curve that it knows


class Session(Project):
    """A project in training, and who looks.

    Args:
        recipe, own, validation: see :class:`miniframe.lab.project.Project`.

    Attributes:
        epoch, batch: what has been trained: whole epochs, and batches of the one that has begun.
        curve: the numbers of every epoch, under the names of the History.
        want: what is being trained: "play", "epoch" or "batch"; None while it pauses.
    """

    def __init__(self, recipe: Recipe, own: tuple[Any, ...] | None = None, validation: Any = None) -> None:
        self.commands: queue.Queue[tuple[Page | None, dict[str, Any]]] = queue.Queue()
        self.pages: list[Page] = []
        self.at_end: Callable[[], None] = lambda: None  # ends who shows it, too
        self.closed = False
        super().__init__(recipe, own, validation)

    def begin(self, made: Made | None = None) -> None:
        super().begin(made)
        self.epoch = self.batch = 0
        self.batch_loss: float | None = None
        self.curve: dict[str, list[float]] = {}
        self.want: str | None = None
        self.leave = self.at_once = False  # the call of fit that is running: after this epoch, or after this batch
        self.discard = False  # what it still reports belongs to a training that is no more
        self.proof: dict[str, Any] | None = None
        self.random: Any = None  # the state to go on with where only the way of looking has changed
        self.epoch_time, self.next_frame = math.inf, 0.0
        self.doctor, self.film = Doctor(), Film()
        self.unseen = ""  # why the model cannot be shown, once the pages have been told

    def change(self, recipe: Recipe) -> None:
        """Go on with another recipe, or begin anew with it.

        Raises:
            ValueError: for what cannot be; then everything is as before.
        """
        slow = recipe.data in IMAGES and recipe.differs(self.recipe, ANEW)
        if slow:
            self.say(f"making {recipe.points:,} pictures …")
        when = self.follow(recipe, self.epoch, self.batch)
        if slow:
            self.say("")
        self.leave, self.at_once, self.discard = True, when == "at once", when == "anew"
        self.proof = None

    # ---------------------------------------------------------------- the thread's life

    def run(self) -> None:
        """Do what is asked until the session is closed."""
        while not self.closed:
            if self.want is None:
                self.obey(wait=True)
            else:
                self.train()
        self.hand_over()
        self.at_end()

    def close(self) -> None:
        """End it, from any thread."""
        self.commands.put((None, {"do": "close"}))

    def train(self) -> None:
        """One call of ``fit``, until it is time to leave it."""
        fine = self.want == "batch" or self.epoch_time > LONG
        self.leave = self.at_once = self.discard = False
        kind = EachBatch if fine else EachEpoch
        measured = ["error_rate"] if self.data.classes else []
        keep, self.random = self.random, None
        try:
            self.model.fit(  # type: ignore[attr-defined]
                self.data.x,
                self.data.y,
                loss=self.loss,
                optimizer=self.optimizer,
                epochs=ENDLESS,
                initial_epoch=self.epoch,
                batch_size=min(self.recipe.batch_size, len(self.data.x)),
                seed=self.recipe.seed,
                metrics=measured,
                validation_data=self.data.validation,
                callbacks=[kind(self, keep)],
                verbose=0,
            )
        except Exception as error:  # a mistake that was plugged in may raise anything; the session goes on
            self.want, self.batch = None, 0
            self.remark = self.remark or "a training broke off within an epoch in the lab; the script does not do that"
            self.say(f"the training stopped: {words_of(error)}", trouble=True)
        self.show(force=True)

    def breathe(self) -> None:
        """Between two steps: send a frame if one is due, do what was asked, wait while it pauses."""
        if self.want is not None and time.perf_counter() >= self.next_frame:
            self.show()
        if not self.commands.empty():
            self.obey()
        if self.want is None and not self.leave:
            self.show(force=True)
            while self.want is None and not self.leave:
                self.obey(wait=True)

    def obey(self, wait: bool = False) -> None:
        """Do what has been asked; with ``wait``, wait for the first thing to do."""
        while wait or not self.commands.empty():
            page, command = self.commands.get()
            wait = False
            if command.get("do") == "close":
                self.say("this lab has ended", trouble=True)
                self.closed = self.leave = self.discard = True
                self.want = "close"
                return
            try:
                action = ACTIONS.get(str(command.get("do")))
                if action is None:
                    raise ValueError(f"nobody knows how to {command.get('do')!r}; there are {', '.join(ACTIONS)}")
                action(self, page, command)
            except Exception as error:  # whatever it is, the session goes on and the page hears of it
                self.say(words_of(error), page, trouble=True)

    # ---------------------------------------------------------------- what pages are told

    def tell(self, header: dict[str, Any], arrays: Any = None, page: Page | None = None) -> None:
        """Send a message to one page, or to all."""
        message = wire.pack(header, arrays)
        for one in [page] if page is not None else list(self.pages):
            one.send(message)

    def say(self, words: str, page: Page | None = None, trouble: bool = False) -> None:
        """A sentence on the page."""
        self.tell({"kind": "message", "words": words, "trouble": trouble}, page=page)

    def set_the_scene(self, page: Page | None = None) -> None:
        """All that does not change while it trains, and a first frame."""
        self.tell(*self.scene(), page)
        for one in [page] if page is not None else self.pages:
            one.told = min(one.told, self.epoch)  # of a training that began anew, nothing
        self.show(force=True)

    def scene(self) -> Frame:
        """What the page draws everything else on."""
        header, arrays = self.pictures.scene()
        header |= {"kind": "scene", "recipe": self.recipe.as_dict(), "own": self.own is not None}
        header |= {"classes": self.data.classes, "model": self.model.title(), "focus": self.pictures.focus}
        header |= {"loss_exhibits": museum.cards(self.loss), "loss": self.loss.title()}
        header["momentum"] = self.has_momentum
        return header, arrays

    def show(self, force: bool = False) -> None:
        """A frame for every page that keeps up; with ``force`` for all, as nothing may follow for a while."""
        started = time.perf_counter()
        self.hand_over()
        if ready := [page for page in self.pages if force or page.behind < AHEAD]:
            header, arrays = self.look()
            common = self.state()
            for page in ready:
                page.behind += 1
                curve = {name: values[page.told :] for name, values in self.curve.items()}
                message = {"kind": "frame", **common, **header, "curve": curve, "from": page.told}
                page.told = self.epoch if self.curve else 0
                page.send(wire.pack(message, arrays))
            self.film.add(self.epoch, ({"kind": "frame", **common, **header}, arrays))
        now = time.perf_counter()
        self.next_frame = max(started + 1 / FRAMES, now + (now - started) * (1 / SHARE - 1))

    def look(self) -> Frame:
        """The pictures of the model; none of one that cannot be run, such as one with a mistake that crashes."""
        try:
            self.doctor.look(self)
            seen, self.unseen = self.pictures.frame(), ""
            return seen
        except Exception as error:
            if (words := f"the model cannot be shown: {words_of(error)}") != self.unseen:
                self.unseen = words
                self.say(words, trouble=True)
            return {"layers": []}, {}

    def state(self) -> dict[str, Any]:
        """Where the training is."""
        latest = {name: values[-1] for name, values in self.curve.items() if values}
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "playing": self.want is not None,
            "logs": latest,
            "batch_loss": self.batch_loss if self.batch else None,
            "lr": self.optimizer.lr,
            "finding": self.doctor.words(),
            "proof": None if self.proof is None else {"passed": self.proof["passed"], "error": self.proof["error"]},
        }


def words_of(error: Exception) -> str:
    """What an error says, as a sentence for the page."""
    words = str(error.args[0] if len(error.args) == 1 else error)
    if isinstance(error, KeyError) and words.isidentifier():
        return f"the page sent a request without its {words}"
    return words or type(error).__name__
