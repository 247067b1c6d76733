"""A lab that is being served, for the tests that look at it with a browser."""

import pytest

from miniframe.lab.opening import begin
from miniframe.lab.server import Server
from miniframe.lab.session import Session


class Lab:
    """A lab that is being served, and pages that look at it."""

    def __init__(self, session, browser):
        self.session, self.browser = session, browser
        self.server = Server(session)
        self.thread = begin(session)
        self.server.start()
        self.contexts, self.errors = [], []
        self.ended = False  # on purpose; browsers have words of their own about a connection that breaks

    def page(self, address=None, **options):
        """A new page that has painted its first frame."""
        context = self.browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.goto(address or self.server.address)
        page.wait_for_selector("[data-testid=layer-0]")
        return page

    def end(self):
        for context in self.contexts:
            context.close()
        self.server.stop()
        self.session.close()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()


@pytest.fixture
def lab(chromium):
    """``lab(session)`` serves a session; at the end no page may have reported an error."""
    served = []

    def serve(session):
        served.append(Lab(session, chromium))
        return served[-1]

    yield serve
    for one in served:
        one.end()
    assert [error for one in served if not one.ended for error in one.errors] == []


@pytest.fixture
def small():
    from miniframe.lab.recipe import Recipe

    return Session(Recipe(points=60, widths=(4, 4), batch_size=20))
