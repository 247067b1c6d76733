"""Somebody who looks at a session of the lab: what a page does, without a browser."""

import queue
import time

from miniframe.lab import wire
from miniframe.lab.opening import begin
from miniframe.lab.session import Page, Session


class Watcher:
    """A session on a thread of its own, and a page that hears all of its messages.

    Use it in a ``with``: at its end the session is closed, and its thread has to end.
    """

    def __init__(self, session: Session) -> None:
        self.session, self.heard = session, queue.Queue()
        self.page = Page(self.heard.put)

    def __enter__(self):
        self.thread = begin(self.session)
        self.ask("join")
        self.scene = self.wait("scene")
        self.first = self.wait("frame")
        return self

    def __exit__(self, *_):
        self.session.close()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive(), "the session's thread has to end"

    def ask(self, do, **more):
        self.session.commands.put((self.page, {"do": do, **more}))

    def wait(self, kind, seconds=60):
        """The next message of a kind, (header, arrays); those of other kinds are passed over."""
        return self.until(lambda header: header["kind"] == kind, seconds)

    def until(self, holds, seconds=60):
        """The next message whose header is as wanted."""
        end = time.monotonic() + seconds
        while True:
            header, arrays = wire.unpack(self.heard.get(timeout=max(0.01, end - time.monotonic())))
            if header["kind"] == "frame":
                self.ask("seen")
            if header["kind"] == "message" and header["words"]:
                self.said = header["words"]
            if holds(header):
                return header, arrays

    def paused(self, epoch=None, batch=None):
        """The first frame from here on that shows it paused there."""
        return self.until(
            lambda h: (
                h["kind"] == "frame"
                and not h["playing"]
                and epoch in (None, h["epoch"])
                and batch in (None, h["batch"])
            )
        )

    def train(self, epochs):
        """Train so many epochs, one by one; returns the last frame."""
        start = self.session.epoch
        for number in range(1, epochs + 1):
            self.ask("epoch")
            frame = self.paused(epoch=start + number, batch=0)
        return frame

    def set(self, **settings):
        """Other settings; returns what was said, or "" if nothing was wrong."""
        self.said = ""
        self.ask("set", settings=settings)
        self.ask("code")
        self.wait("code")
        return self.said
