"""The local server: the page's files, and the channel between a page and the session. For this machine alone.

Only whoever has the address with its token gets in, and only from this machine: other hosts' names (which a malicious
page may point at 127.0.0.1) and other origins are refused.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
from typing import Any

from ..core.extras import library
from . import page, wire
from .session import Page, Session
from .worlds import LARGEST as TABLE

LARGEST = 4 * TABLE  # bytes of one message from a page: a table, whose characters take several where JSON escapes them
HOST = "127.0.0.1"


def free_port(port: int | None) -> socket.socket:
    """A socket that listens on this port, or on any that is free.

    Raises:
        ValueError: for a port that is taken, or no port.
    """
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535):
        raise ValueError(f"expected a port from 0 to 65535, got {port!r}")
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port or 0))
        found.listen(128)  # at once, so that nobody else gets the same port
    except OSError as error:
        found.close()
        which = "no port can be opened" if not port else f"port {port} cannot be used"
        remedy = "; without it, a free one is taken" if port else ""
        raise ValueError(f"{which} ({error.strerror}){remedy}") from error
    return found


class Server:
    """Serves one session until it is stopped.

    Args:
        session: what is shown.
        port: None for a free one.

    Attributes:
        address: of the page, with its token.
    """

    def __init__(self, session: Session, port: int | None = None) -> None:
        uvicorn = library("uvicorn", "lab", "lab")
        library("starlette", "lab", "lab")
        library("websockets", "lab", "lab")
        self.session, self.token = session, secrets.token_urlsafe(16)
        self.socket = free_port(port)
        self.port = self.socket.getsockname()[1]
        self.address = f"http://{HOST}:{self.port}/?token={self.token}"
        self.policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
            f"connect-src 'self' ws://{HOST}:{self.port} ws://localhost:{self.port}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        # without a configuration of its own for logs, which would close the handlers of all other libraries
        logs = {"log_level": "warning", "log_config": None}
        options = {"ws": "websockets-sansio", "ws_max_size": LARGEST, "lifespan": "off", **logs}
        self.uvicorn = uvicorn.Server(uvicorn.Config(self.app(), timeout_graceful_shutdown=1, **options))
        session.at_end = self.stop

    def run(self) -> None:
        """Serve on this thread, until Ctrl-C or ``stop``."""
        try:
            self.uvicorn.run(sockets=[self.socket])
        except KeyboardInterrupt:
            pass
        finally:
            self.session.close()

    def start(self) -> None:
        """Serve on a thread of its own."""
        self.uvicorn.install_signal_handlers = lambda: None
        threading.Thread(target=self.run, name="lab server", daemon=True).start()

    def stop(self) -> None:
        """End it, from any thread."""
        self.uvicorn.should_exit = True

    # ---------------------------------------------------------------- what it answers

    def app(self) -> Any:
        """The Starlette application."""
        from starlette.applications import Starlette
        from starlette.routing import Route, WebSocketRoute

        return Starlette(
            routes=[
                Route("/", self.front),
                Route("/page/{name}", self.file),
                WebSocketRoute("/channel", self.channel),
            ]
        )

    def refusal(self, request: Any, token: bool = True) -> str:
        """Why somebody is not let in; empty if nothing speaks against it."""
        own = {f"{HOST}:{self.port}", f"localhost:{self.port}"}
        if request.headers.get("host") not in own:
            return "the lab answers only under its own address"
        origin = request.headers.get("origin")
        if origin is not None and origin not in {f"http://{name}" for name in own}:
            return "the lab answers only its own page"
        given = request.query_params.get("token", "")
        if token and not secrets.compare_digest(given.encode(), self.token.encode()):
            return "the token is missing or wrong: open the address that the lab has printed"
        return ""

    def answer(self, text: str, kind: str, status: int = 200) -> Any:
        from starlette.responses import Response

        headers = {
            "Content-Security-Policy": self.policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return Response(text, status, headers, f"{kind}; charset=utf-8")

    async def front(self, request: Any) -> Any:
        """The page itself."""
        if why := self.refusal(request):
            return self.answer(why + "\n", "text/plain", 403)
        return self.answer(page.read("index.html"), "text/html")

    async def file(self, request: Any) -> Any:
        """Its scripts and style: nothing secret, so that they need no token."""
        name = request.path_params["name"]
        if why := self.refusal(request, token=False):
            return self.answer(why + "\n", "text/plain", 403)
        if name not in page.NAMES:
            return self.answer("there is no such file\n", "text/plain", 404)
        return self.answer(page.read(name), page.NAMES[name])

    async def channel(self, socket: Any) -> None:
        """One open page: its requests go to the session, the session's messages to it."""
        from starlette.websockets import WebSocketDisconnect

        if self.refusal(socket):
            await socket.close(4403)
            return
        await socket.accept()
        loop, waiting = asyncio.get_running_loop(), asyncio.Queue[bytes]()
        someone = Page(lambda message: _put(loop, waiting, message))

        async def deliver() -> None:
            try:
                while True:
                    await socket.send_bytes(await waiting.get())
            except (WebSocketDisconnect, RuntimeError):  # the page has gone, and the loop below hears of it
                pass

        delivery = asyncio.create_task(deliver())
        commands = self.session.commands
        commands.put((someone, {"do": "join"}))
        try:
            while (heard := await socket.receive())["type"] == "websocket.receive":
                command = _command(heard.get("text"))
                if command is None:
                    someone.send(_not_understood())
                else:
                    commands.put((someone, command))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            delivery.cancel()
            commands.put((someone, {"do": "gone"}))


def _put(loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[bytes], message: bytes) -> None:
    """Hand a message to the server's thread; a server that has ended gets none."""
    try:
        loop.call_soon_threadsafe(waiting.put_nowait, message)
    except RuntimeError:
        pass


def _command(text: str | None) -> dict[str, Any] | None:
    """What a page asks; None if it is no request, or one that only the lab itself makes."""
    try:
        command = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return command if isinstance(command, dict) and command.get("do") not in ("close", "join", "gone") else None


def _not_understood() -> bytes:
    return wire.pack({"kind": "message", "words": "the page sent something that is no request", "trouble": True})
