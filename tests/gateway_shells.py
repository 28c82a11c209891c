"""Servers on sockets of their own, and requests byte by byte, for the tests of the middleware."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import uvicorn
from werkzeug.serving import WSGIRequestHandler as WerkzeugRequestHandler
from werkzeug.serving import make_server

from automation_rules import Action, Policy, TodoKind, landlord_portal
from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Person, Route, Routes, Visitor
from automation_rules.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.gateway import Caller
    from gateway_world import World

RENT = Step(Action.OPEN_TODO, TodoKind.CONFIRM_HOUSING_COSTS, todo="td-17")
ROUTES = Routes(
    [
        Route(frozenset({"GET"}), "/todos", Action.LIST_TODOS),
        Route(
            frozenset({"GET", "POST"}),
            "/todos/{todo}/rent",
            Action.OPEN_TODO,
            TodoKind.CONFIRM_HOUSING_COSTS,
        ),
        Route(frozenset({"POST"}), "/todos/{todo}/fail", Action.OPEN_TODO),
        Route(frozenset({"WEBSOCKET"}), "/live", Action.VIEW_UPDATES),
        Route(frozenset({"POST"}), "/sign-out", Action.SIGN_OUT),
    ],
    ["/static/{file:path}"],
)


PUBLISHED = landlord_portal()
UNWATCHED = Policy(PUBLISHED.info.id, PUBLISHED.info.version, PUBLISHED.checks)
"""The published terms, without the monitor, which soon pauses an account that plays tricks."""

FORGED = (
    *("X-Automation-Account", "X-Automation-Rules", "X-Forwarded-User", "X-Remote-User"),
    *("Remote-User", "X-User", "X-Account-Id", "X-Decision-Id", "Authorization", "From"),
    *("X-Forwarded-Uri", "X-Original-URI", "X-Rewrite-URL", "X-Original-URL"),
    *("X-Forwarded-Method", "X-Original-Method", "X-Forwarded-Prefix", "X-Forwarded-For"),
)
"""Fields by which some program might be told who asks, or for what."""

PERSON = "session=person"
BOT = "session=acme-1"
VISITOR = "session=nobody"
UNMARKED = "session=?"
"""Cookies of the test portals' sessions."""


def caller_of(cookies: str) -> Caller | None:
    """Return who the portal says that a session's cookie belongs to."""
    session = SimpleCookie(cookies).get("session")
    match None if session is None else session.value:
        case "person":
            return Person()
        case "nobody":
            return Visitor()
        case "?" | None:
            return None
        case account:
            return Automation(account)


@dataclass(frozen=True)
class Answer:
    """A response as it came over the wire."""

    raw: bytes

    @property
    def status(self) -> int:
        """The status code."""
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        """The header fields by their names in lower case."""
        lines = self.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}

    @property
    def body(self) -> bytes:
        """The body, put together again if it came in chunks."""
        body = self.raw.partition(b"\r\n\r\n")[2]
        if self.headers.get("transfer-encoding") != "chunked":
            return body
        parts = []
        while body:
            size, _, body = body.partition(b"\r\n")
            parts.append(body[: int(size, 16)])
            body = body[int(size, 16) + 2 :]
        return b"".join(parts)

    @property
    def json(self) -> Any:
        """The body, which is one JSON value."""
        return json.loads(self.body)


def entries(world: World) -> list[dict[str, Any]]:
    """Return every entry of the log, which holds."""
    with Store.open(world.url, clock=SystemClock()) as store, DecisionLog(store) as log:
        log.verify()
        return [entry.document for entry in log.entries()]


def is_denied(answer: Answer, code: str) -> bool:
    """Whether a response is the denial with that problem type."""
    found = answer.json["type"].removeprefix("urn:automation-rules:problem:")
    return answer.status == 403 and found == code


def request(target: str | bytes, method: str = "GET", body: bytes = b"", **fields: str) -> bytes:
    """Return a request's bytes; a field's name has underscores for its hyphens."""
    target = target.encode("utf-8") if isinstance(target, str) else target
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target)]
    headers = {"Host": "portal.example", "Connection": "close", **fields}
    if body:
        headers["Content-Length"] = str(len(body))
    lines += [f"{n.replace('_', '-')}: {v}".encode("latin-1") for n, v in headers.items()]
    return b"\r\n".join([*lines, b"", body])


def send(port: int, data: bytes) -> Answer:
    """Send a whole request and read until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        found = bytearray()
        while chunk := connection.recv(65_536):
            found += chunk
    return Answer(bytes(found))


class _Prompt(uvicorn.Server):
    """A server that stops at once."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(0.005)


@contextmanager
def serve_asgi(app: Any, **options: Any) -> Iterator[int]:
    """Serve an ASGI app with uvicorn; give the port."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, date_header=False, server_header=False, **options
    )
    server = _Prompt(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        until = time.monotonic() + 20
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.005)
        assert server.started
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(20)


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""

    def get_stderr(self) -> Any:
        """Swallow the traceback of a portal that fails on purpose."""
        return io.StringIO()


class _QuietWerkzeug(WerkzeugRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Keep quiet."""


@contextmanager
def serve_wsgi(app: Any) -> Iterator[int]:
    """Serve a WSGI app with the standard library's server; give the port."""
    server = _Threads(("127.0.0.1", 0), _Quiet)
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


@contextmanager
def serve_werkzeug(app: Any) -> Iterator[int]:
    """Serve a WSGI app with Flask's own server, which tells the target as received."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietWerkzeug)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
