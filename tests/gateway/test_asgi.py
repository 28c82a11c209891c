"""The ASGI middleware: people notice nothing, bots get what the terms allow, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from starlette._utils import get_route_path
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from automation_rules import Action, TodoKind
from automation_rules.gateway import Passage, Person, asgi, shells
from automation_rules.gateway.asgi import AutomationRulesMiddleware
from gateway_shells import (
    BOT,
    FORGED,
    PERSON,
    RENT,
    ROUTES,
    UNMARKED,
    UNWATCHED,
    VISITOR,
    caller_of,
    entries,
    is_denied,
    request,
    send,
    serve_asgi,
)
from gateway_world import SATURDAY, World
from path_tricks import HEADERS, PATH, QUERIES, TRICKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.enforcer import Step
    from automation_rules.gateway import Caller, Gateway


class Portal:
    """A portal that tells what reached it, and remembers it."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.seen: list[dict[str, Any]] = []
        self.started = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer with all that came; talk back over a websocket."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.seen.append(dict(scope))
        if scope["type"] == "websocket":
            await self._talk(receive, send)
            return
        if scope["path"].endswith("/fail"):
            raise RuntimeError("the portal fails")
        digest, length, more = hashlib.sha256(), 0, True
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        told = {
            **{name: scope[name] for name in ("type", "method", "path", "root_path", "scheme")},
            "raw_path": scope["raw_path"].decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"),
            "headers": [[part.decode("latin-1") for part in field] for field in scope["headers"]],
            "body": [length, digest.hexdigest()],
        }
        status = 404 if scope["path"] == "/none" else 200
        headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1")]
        headers += [(b"set-cookie", b"b=2"), (b"X-Mixed-Case", b"\xe9")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in (json.dumps(told).encode(), b"\n"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self.started += 1
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _talk(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"you said {message['text']}"})


def identify(scope: Any) -> Caller | None:
    """Say who asks, by the session's cookie."""
    return caller_of(dict(scope["headers"]).get(b"cookie", b"").decode("latin-1"))


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    """Give a gateway on the state, with the test portal's routes."""
    with world.gateway(routes=ROUTES, policy=UNWATCHED) as gateway:
        yield gateway


@pytest.fixture
def portal() -> Portal:
    """Return a portal."""
    return Portal()


@pytest.fixture
def guarded(gateway: Gateway, portal: Portal) -> AutomationRulesMiddleware:
    """Return the portal behind the gateway."""
    return AutomationRulesMiddleware(portal, gateway, identify)


@pytest.fixture
def port(guarded: AutomationRulesMiddleware) -> Iterator[int]:
    """Give the port at which the portal behind the gateway is served."""
    with serve_asgi(guarded) as port:
        yield port


# --- people

EVERYTHING = [
    request("/todos"),
    request("/none"),
    request("/todos/td-17/rent?a=1&_method=DELETE", "POST", b"x" * 300_000),
    request("/static/a.css", "HEAD"),
    request("/%74odos/%2e%2e//a;b\\c%ff?%00=%", "DELETE", X_HTTP_Method_Override="PUT"),
    request("/\u0175".encode(), "OPTIONS", X_Twice="\xe9"),
    request("http://portal.example/todos"),
    request("/todos/td-17/fail", "POST", b"{}"),
    request("/todos", "POST", Transfer_Encoding="chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    request("/todos", Accept="text/html", Accept_Language="cy", X_Request_ID="1", Upgrade="h2c"),
]


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("cookie", [PERSON, VISITOR])
def test_people_get_the_very_same_bytes(
    world: World, gateway: Gateway, cookie: str, http: str
) -> None:
    """With the middleware or without, on any day, every response to a person is identical.

    Methods, odd targets, bodies in one piece or in chunks, failures of the portal: all of it.
    """
    world.clock.move_to(SATURDAY)
    bare, behind = Portal(), Portal()
    guarded = AutomationRulesMiddleware(behind, gateway, identify)
    with serve_asgi(bare, http=http) as one, serve_asgi(guarded, http=http) as other:
        for plain in EVERYTHING:
            data = plain.replace(b"\r\n", f"\r\nCookie: {cookie}\r\n".encode(), 1)
            assert send(one, data).raw == send(other, data).raw
    assert [one["raw_path"] for one in bare.seen] == [one["raw_path"] for one in behind.seen]
    assert len(bare.seen) >= len(EVERYTHING) - 2
    assert entries(world) == []


def test_people_talk_over_websockets_as_ever(world: World, port: int) -> None:
    """A person's websocket is accepted, whatever the hour."""
    world.clock.move_to(SATURDAY)
    with connect(f"ws://127.0.0.1:{port}/live", additional_headers={"Cookie": PERSON}) as socket:
        socket.send("hello")
        assert socket.recv() == "you said hello"


def test_lifespan_events_pass(gateway: Gateway, portal: Portal) -> None:
    """The portal starts and stops as without the middleware, and nobody is asked who that is."""

    def nobody(scope: Any) -> Caller | None:
        raise AssertionError(scope)

    with serve_asgi(AutomationRulesMiddleware(portal, gateway, nobody), lifespan="on"):
        assert portal.started == 1


# --- bots


def test_a_bot_in_order_gets_through_and_is_recorded(
    world: World, port: int, portal: Portal
) -> None:
    """The portal finds the passage in the scope's state, and the log holds the decision."""
    answer = send(
        port,
        request(
            f"{PATH}?page=2",
            Cookie=BOT,
            X_Request_ID="req-1",
            traceparent=TRACE,
        ),
    )
    assert answer.status == 200
    [scope] = portal.seen
    passage = scope["state"]["automation_rules"]
    assert isinstance(passage, Passage)
    assert passage.allowed
    assert passage.step == RENT
    assert passage.account_id == "acme-1"
    [entry] = entries(world)
    assert passage.decision is not None
    assert entry["decision_id"] == passage.decision.decision_id
    # What it is called is sealed.
    assert "request" in entry["tokens"]


TRACE = f"00-{'ab' * 16}-{'cd' * 8}-01"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"x-request-id": "req-1"}, {"request_id": "req-1"}),
        ({"x-request-id": "r" * 200}, {"request_id": "r" * 200}),
        ({"x-request-id": "r" * 201}, {}),
        ({"x-request-id": ""}, {}),
        ({"traceparent": TRACE}, {"trace_id": "ab" * 16}),
        ({"traceparent": TRACE.upper()}, {}),
        ({"traceparent": TRACE.replace("ab", "00")}, {}),
        ({"traceparent": f"{TRACE}, {TRACE}"}, {}),
        ({"traceparent": TRACE, "x-request-id": "a"}, {"trace_id": "ab" * 16, "request_id": "a"}),
    ],
)
def test_a_requests_own_names_are_kept_for_the_log(
    fields: dict[str, str], named: dict[str, str]
) -> None:
    """A request's identifier of a sensible length, and its trace's in the form of the standard."""
    assert shells.named(fields) == {"request_id": None, "trace_id": None, **named}


def test_a_bot_outside_its_hours_is_denied_and_the_portal_sees_nothing(
    world: World, port: int, portal: Portal
) -> None:
    """The answer is the problem, with when to come back; the denial is on record."""
    world.clock.move_to(SATURDAY)
    answer = send(port, request("/todos", Cookie=BOT))
    # The code is that of another day.
    assert is_denied(answer, "weekend")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["vary"] == "Accept, Accept-Language"
    page = send(port, request("/todos", Cookie=BOT, Accept="text/html", Accept_Language="cy"))
    assert page.status == 403
    assert b'<html lang="cy">' in page.body
    assert portal.seen == []
    assert [entry["decision"] for entry in entries(world)] == [False, False]


def test_a_denial_of_a_head_request_has_no_body(port: int) -> None:
    """It has the length of the one that it leaves out."""
    answer = send(port, request("/payments", "HEAD", Cookie=BOT))
    assert answer.status == 403
    assert answer.body == b""
    assert int(answer.headers["content-length"]) > 100


def test_whoever_is_not_marked_is_a_bot(port: int, portal: Portal) -> None:
    """A session that the portal does not know, and an account that nobody registered."""
    for cookie in ("", UNMARKED, "other=1", "session=acme-9", "session="):
        assert send(port, request("/todos", Cookie=cookie)).status == 403
    assert portal.seen == []


def test_what_the_table_does_not_know_is_denied(world: World, port: int, portal: Portal) -> None:
    """A bot gets to no other part of the portal, and the try is on record."""
    for data in (request("/payments", Cookie=BOT), request("/todos", "DELETE", Cookie=BOT)):
        assert is_denied(send(port, data), "unknown-action")
    assert portal.seen == []
    assert [entry["action"] for entry in entries(world)] == ["unknown", "unknown"]


def test_what_is_public_needs_no_decision(world: World, port: int, portal: Portal) -> None:
    """Whoever asks gets it, on any day, and nothing is on record."""
    world.clock.move_to(SATURDAY)
    for cookie in (BOT, UNMARKED, ""):
        assert send(port, request("/static/a/b.css", Cookie=cookie)).status == 200
    assert len(portal.seen) == 3
    assert entries(world) == []


def test_leaving_is_never_denied(world: World, port: int, portal: Portal) -> None:
    """At a weekend too a bot may sign out, which is recorded."""
    world.clock.move_to(SATURDAY)
    assert send(port, request("/sign-out", "POST", Cookie=BOT)).status == 200
    [scope] = portal.seen
    assert scope["state"]["automation_rules"].step.action is Action.SIGN_OUT
    assert [entry["action"] for entry in entries(world)] == ["sign_out"]


def test_in_shadow_everything_passes_and_is_recorded(world: World, portal: Portal) -> None:
    """What would have been denied reaches the portal, even when it cannot be said who asks."""

    def fails(scope: Any) -> Caller | None:
        raise RuntimeError("no session store")

    world.clock.move_to(SATURDAY)
    with world.gateway(routes=ROUTES, shadow=True) as gateway:
        for who in (identify, fails):
            with serve_asgi(AutomationRulesMiddleware(portal, gateway, who)) as port:
                assert send(port, request("/todos", Cookie=BOT)).status == 200
    assert len(portal.seen) == 2
    assert [entry["decision"] for entry in entries(world)] == [False]


def test_nothing_that_a_client_says_of_itself_counts(port: int, portal: Portal) -> None:
    """Forged identities, paths and methods change neither who asks nor for what."""
    for forged in ("acme-1", "person", "/todos"):
        fields: Any = {name.replace("-", "_"): forged for name in FORGED}
        assert send(port, request("/todos", Cookie=UNMARKED, **fields)).status == 403
        assert is_denied(send(port, request("/payments", Cookie=BOT, **fields)), "unknown-action")
    assert portal.seen == []


# --- paths


TAKEN_APART: Final = {"absolute", "a query's mark", "fragment"}
"""What a server may take off a target before it tells anybody; white space is another thing."""


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_no_trick_with_a_path_reaches_the_portal(
    guarded: AutomationRulesMiddleware, portal: Portal, http: str
) -> None:
    """Written in any other way, a path that is a bot's is none; the server may refuse it first."""
    with serve_asgi(guarded, http=http) as port:
        for name, trick in TRICKS.items():
            answer = send(port, request(trick, Cookie=BOT))
            if portal.seen:
                # The server took the target apart before anybody saw it.
                [scope] = portal.seen
                assert scope["path"] == PATH, name
                assert scope["raw_path"] == PATH.encode(), name
                assert name in TAKEN_APART or trick.split() == [PATH], name
                portal.seen.clear()
            else:
                assert answer.status in (400, 403, 404), name
        for query in QUERIES.values():
            assert send(port, request(f"{PATH}?{query}", Cookie=BOT)).status == 403
        for header in HEADERS:
            data = request(PATH, Cookie=BOT).replace(b"\r\n", f"\r\n{header}: GET\r\n".encode(), 1)
            assert send(port, data).status == 403
        assert portal.seen == []
        assert send(port, request(PATH, Cookie=BOT)).status == 200


def ask(app: Any, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Send one request to an app by itself; return what it sends."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("no body is read")

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent


async def through(scope: Any, receive: Any, send: Any) -> None:
    """Answer without reading."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def scope_of(path: str, **more: Any) -> dict[str, Any]:
    """The scope of a bot's request, as a server that tells little gives it."""
    headers = [(b"cookie", BOT.encode())]
    return {"type": "http", "method": "GET", "path": path, "headers": headers, **more}


MOUNTED: Final[list[tuple[str, dict[str, Any], bool]]] = [
    (PATH, {}, True),
    (PATH, {"raw_path": None}, True),
    (PATH, {"raw_path": PATH.encode()}, True),
    (PATH, {"raw_path": b"/%74odos/td-17/rent"}, False),
    (PATH, {"raw_path": PATH.encode() + b"?a=1"}, False),
    (PATH, {"raw_path": b"/payments"}, False),
    ("/todos\u0161", {}, False),
    # below a mount point, which servers write in different ways
    (f"/portal{PATH}", {}, False),
    (f"/portal{PATH}", {"root_path": ""}, False),
    (f"/portal{PATH}", {"root_path": "/portal"}, True),
    (f"/portal{PATH}", {"root_path": "/portal", "raw_path": f"/portal{PATH}".encode()}, True),
    (f"/portal{PATH}", {"root_path": "/portal", "raw_path": PATH.encode()}, True),
    (f"/portal{PATH}", {"root_path": "/portal", "raw_path": b"/p%6frtal/todos"}, False),
    (f"/portal{PATH}", {"root_path": "/portal/"}, False),
    (f"/portal{PATH}", {"root_path": "/port"}, False),
    (PATH, {"root_path": "/portal"}, True),
    (PATH, {"root_path": "/portal", "raw_path": f"/portal{PATH}".encode()}, False),
    (PATH, {"root_path": "/todos"}, False),
    ("/portal", {"root_path": "/portal"}, False),
    ("/todos/todos/td-17/rent", {"root_path": "/todos"}, True),
]
"""A decoded path, what else a server tells, and whether a bot may take it for `PATH`."""


def test_the_path_that_counts_is_the_one_that_frameworks_route_by(gateway: Gateway) -> None:
    """Below the mount point, and only when the path as received was the same."""
    app = AutomationRulesMiddleware(through, gateway, identify)
    for path, more, passes in MOUNTED:
        status = ask(app, scope_of(path, **more))[0]["status"]
        assert status == (204 if passes else 403), (path, more)


DJANGO = """
import io, json, sys
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
settings.configure()
for line in sys.stdin:
    path, root_path = json.loads(line)
    scope = {"method": "GET", "path": path, "root_path": root_path, "headers": []}
    print(ASGIRequest(scope, io.BytesIO()).path_info)
"""


def test_starlette_and_django_go_by_the_same_path() -> None:
    """Where a bot's request could match, either framework routes it by that very path."""
    scopes = [scope_of(path, **more) for path, more, _ in MOUNTED]
    # A process of its own: settings are made once in each.
    done = subprocess.run(
        [sys.executable, "-c", DJANGO],
        input="".join(json.dumps([s["path"], s.get("root_path", "")]) + "\n" for s in scopes),
        capture_output=True,
        text=True,
        check=True,
    )
    matched = 0
    for scope, django in zip(scopes, done.stdout.splitlines(), strict=True):
        if found := asgi._path(scope):
            assert found == get_route_path(scope) == django
            matched += found == PATH
    assert matched == sum(passes for *_, passes in MOUNTED)


def test_a_scope_without_state_gets_one(gateway: Gateway) -> None:
    """Servers that know no lifespan state give none."""
    scope = scope_of(PATH)
    ask(AutomationRulesMiddleware(through, gateway, identify), scope)
    assert scope["state"]["automation_rules"].allowed


def test_no_body_is_read_for_a_denial(gateway: Gateway) -> None:
    """Not even asked for: `receive` is left alone."""
    sent = ask(AutomationRulesMiddleware(through, gateway, identify), scope_of("/payments"))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]


# --- the portal's hooks


async def identify_async(scope: Any) -> Caller | None:
    """Say who asks, after a while."""
    await asyncio.sleep(0)
    return identify(scope)


def test_a_portal_may_take_its_time_to_say_who_asks(gateway: Gateway, portal: Portal) -> None:
    """`identify` and `refine` may be asynchronous."""

    async def refine(scope: Any, step: Step) -> Step:
        await asyncio.sleep(0)
        return replace(step, todo_kind=TodoKind.OTHER)

    with serve_asgi(AutomationRulesMiddleware(portal, gateway, identify_async)) as port:
        assert send(port, request(PATH, Cookie=BOT)).status == 200
        assert send(port, request(PATH, Cookie=PERSON)).status == 200
    with serve_asgi(AutomationRulesMiddleware(portal, gateway, identify_async, refine)) as port:
        assert is_denied(send(port, request(PATH, Cookie=BOT)), "not-housing-costs")


@contextmanager
def _serve_with(gateway: Gateway, portal: Portal, who: Any, refine: Any = None) -> Iterator[int]:
    with serve_asgi(AutomationRulesMiddleware(portal, gateway, who, refine)) as port:
        yield port


def raises(*_: Any) -> Any:
    """Fail, with something personal in the message."""
    raise LookupError("no session of Testy McOfficer")


async def raises_async(*_: Any) -> Any:
    """Fail after a while."""
    await asyncio.sleep(0)
    raises()


@pytest.mark.parametrize(
    "who", [raises, raises_async, lambda _: "acme-1", lambda _: True, lambda _: Person]
)
def test_when_nobody_can_say_who_asks_nobody_passes(
    gateway: Gateway, portal: Portal, who: Any
) -> None:
    """An `identify` that raises, or answers something else, is a denial that says no more."""
    with _serve_with(gateway, portal, who) as port:
        for cookie in (BOT, PERSON):
            answer = send(port, request("/todos", Cookie=cookie))
            assert is_denied(answer, "request-unreadable")
            assert b"Testy" not in answer.raw
    assert portal.seen == []


@pytest.mark.parametrize(
    "refine", [raises, raises_async, lambda _, step: None, lambda _, step: step.action]
)
def test_a_refinement_that_fails_is_a_denial(
    world: World, gateway: Gateway, portal: Portal, refine: Any
) -> None:
    """Bots are denied; people, what is unknown, what is public and leaving do not ask it."""
    with _serve_with(gateway, portal, identify, refine) as port:
        assert is_denied(send(port, request(PATH, Cookie=BOT)), "request-unreadable")
        assert is_denied(send(port, request("/payments", Cookie=BOT)), "unknown-action")
        assert portal.seen == []
        assert send(port, request(PATH, Cookie=PERSON)).status == 200
        assert send(port, request("/static/a", Cookie=BOT)).status == 200
        assert send(port, request("/sign-out", "POST", Cookie=BOT)).status == 200


def test_a_portal_says_more_about_a_step(gateway: Gateway, portal: Portal) -> None:
    """`refine` sees the scope and the step, and what it returns is what is decided on."""
    given: list[tuple[str, Step]] = []

    def refine(scope: Any, step: Step) -> Step:
        given.append((scope["path"], step))
        return replace(step, tenant="t-9", form_fingerprint="rent-5")

    with _serve_with(gateway, portal, identify, refine) as port:
        answer = send(port, request(PATH, Cookie=BOT))
    assert given == [(PATH, RENT)]
    # The form has never been tested.
    assert [reason["check"] for reason in answer.json["reasons"]] == ["form"]


# --- websockets


def knock(port: int, cookie: str, path: str = "/live", **fields: str) -> InvalidStatus | str:
    """Open a websocket; return what is said over it, or how it was refused."""
    headers = {"Cookie": cookie, **{n.replace("_", "-"): v for n, v in fields.items()}}
    try:
        with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers) as socket:
            socket.send("hello")
            return str(socket.recv())
    except InvalidStatus as refused:
        return refused


def test_a_bots_websocket_is_decided_before_it_is_accepted(
    world: World, port: int, portal: Portal
) -> None:
    """In order it talks; denied, the handshake is answered with the problem."""
    assert knock(port, BOT) == "you said hello"
    [scope] = portal.seen
    assert scope["state"]["automation_rules"].step.action is Action.VIEW_UPDATES
    world.clock.move_to(SATURDAY)
    refused = knock(port, BOT, Accept="text/html", Accept_Language="cy")
    assert isinstance(refused, InvalidStatus)
    assert refused.response.status_code == 403
    assert refused.response.headers["Content-Language"] == "cy"
    assert b"<h1>" in refused.response.body
    assert len(portal.seen) == 1
    assert [entry["decision"] for entry in entries(world)] == [True, False]


def test_a_websocket_is_no_get(port: int, portal: Portal) -> None:
    """A bot's websocket needs a route of its own, written as it stands there."""
    for path in ("/todos", "/live/", "/%6cive", "/live?_method=GET"):
        refused = knock(port, BOT, path)
        assert isinstance(refused, InvalidStatus)
        assert refused.response.status_code == 403
        assert json.loads(refused.response.body)["type"].endswith(":unknown-action")
    assert is_denied(send(port, request("/live", Cookie=BOT)), "unknown-action")
    assert portal.seen == []


def test_where_a_server_offers_no_response_the_handshake_is_closed(
    gateway: Gateway, portal: Portal
) -> None:
    """A close before it is accepted, by which the server answers 403."""
    guarded = AutomationRulesMiddleware(portal, gateway, identify)

    async def older(scope: Any, receive: Any, send: Any) -> None:
        await guarded({n: v for n, v in scope.items() if n != "extensions"}, receive, send)

    with serve_asgi(older) as port:
        refused = knock(port, UNMARKED)
        assert isinstance(refused, InvalidStatus)
        assert refused.response.status_code == 403
        assert knock(port, BOT) == "you said hello"
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def keep(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": "/live",
        "headers": [],
        "extensions": None,
    }
    asyncio.run(guarded(scope, receive, keep))
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": ""}]


# --- bodies, and many at once


def test_large_bodies_pass_through(port: int) -> None:
    """Twenty megabytes of a bot's that is let through arrive unchanged."""
    body = bytes(range(256)) * 80_000
    answer = send(port, request(PATH, "POST", body, Cookie=BOT))
    assert answer.status == 200
    assert answer.json["body"] == [len(body), hashlib.sha256(body).hexdigest()]


@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_a_denial_reaches_whoever_sends_a_large_body(
    guarded: AutomationRulesMiddleware, portal: Portal, http: str
) -> None:
    """The answer comes whole, though nobody reads what is sent; the connection is of use after.

    Whoever asks first whether to send the body is told before sending any of it.
    """
    body = bytes(5_000_000)
    first = request("/payments", "POST", body, Cookie=BOT, Connection="keep-alive")
    asking = request("/payments", "POST", b"x", Cookie=BOT, Expect="100-continue")
    with serve_asgi(guarded, http=http) as port:
        both = send(port, first + request(PATH, Cookie=BOT))
        assert both.raw.count(b"HTTP/1.1 403") == 1
        assert both.raw.count(b"HTTP/1.1 200") == 1
        assert is_denied(send(port, asking[:-1]), "unknown-action")
    assert [scope["path"] for scope in portal.seen] == [PATH]


def test_requests_at_once_do_not_mix(gateway: Gateway) -> None:
    """Each of many concurrent requests gets its own passage, or its own denial."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await through(scope, receive, send)

    guarded = AutomationRulesMiddleware(app, gateway, identify_async)

    async def one(number: int) -> None:
        account = ("acme-1", "acme-2", "person", "?", "acme-9")[number % 5]
        headers = [(b"cookie", f"session={account}".encode())]
        scope = scope_of(f"/todos/td-{number}/rent")
        scope["headers"] = headers
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await guarded(scope, None, keep)  # type: ignore[arg-type]
        if account in ("?", "acme-9"):
            assert sent[0]["status"] == 403
            assert "state" not in scope
            return
        assert sent[0]["status"] == 204
        passage = scope["state"]["automation_rules"]
        if account == "person":
            assert passage.step is None
        else:
            assert passage.account_id == account
            assert passage.step.todo == f"td-{number}"
            assert passage.decision.request.subject.id == account

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(all_of_them())


# --- what the portal answered


@pytest.fixture
def observed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what the gateway is told of the portal's answers."""
    told: list[tuple[str, int]] = []

    def observe(account_id: str, *, status: int) -> None:
        told.append((account_id, status))

    monkeypatch.setattr(gateway, "observe", observe)
    return told


def test_the_gateway_learns_how_the_portal_answered_a_bot(
    gateway: Gateway, portal: Portal, observed: list[tuple[str, int]]
) -> None:
    """Of bots that were let through only; a portal that fails has answered 500."""

    def refine(_: Any, step: Step) -> Step:
        return replace(step, todo_kind=TodoKind.CONFIRM_HOUSING_COSTS)

    with _serve_with(gateway, portal, identify, refine) as port:
        assert send(port, request("/todos", Cookie=BOT)).status == 200
        assert send(port, request("/todos/td-17/fail", "POST", Cookie=BOT)).status == 500
        for cookie in (PERSON, VISITOR, UNMARKED):
            send(port, request("/todos", Cookie=cookie))
        send(port, request("/payments", Cookie=BOT))
        send(port, request("/static/a.css", Cookie=BOT))
        knock(port, BOT)
    assert observed == [("acme-1", 200), ("acme-1", 500)]


def test_a_client_that_goes_away_is_no_failure(
    gateway: Gateway, observed: list[tuple[str, int]]
) -> None:
    """A request that is cancelled before the portal answered has no status."""

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(30)

    async def go_away() -> None:
        guarded = AutomationRulesMiddleware(slow, gateway, identify)
        task = asyncio.ensure_future(guarded(scope_of(PATH), None, None))  # type: ignore[arg-type]
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go_away())
    assert observed == []


def test_the_middleware_keeps_nothing_of_a_request(guarded: AutomationRulesMiddleware) -> None:
    """Its attributes are the same objects before and after."""
    before = dict(vars(guarded))
    guarded.app = through
    ask(guarded, scope_of(PATH))
    assert {**vars(guarded), "app": before["app"]} == before
