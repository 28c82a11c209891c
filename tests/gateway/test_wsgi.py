"""The WSGI middleware: people notice nothing, bots get what the terms allow, over real sockets."""

from __future__ import annotations

import hashlib
import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest

from automation_rules import TodoKind
from automation_rules.gateway import Passage, Person
from automation_rules.gateway.wsgi import PASSAGE, AutomationRulesMiddleware
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
    serve_werkzeug,
    serve_wsgi,
)
from gateway_world import SATURDAY, World
from path_tricks import HEADERS, PATH, QUERIES, TRICKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from automation_rules.enforcer import Step
    from automation_rules.gateway import Caller, Gateway


class Portal:
    """A portal that tells what reached it, and remembers it."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self.seen: list[dict[str, Any]] = []
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer with all that came."""
        self.seen.append(dict(environ))
        if environ["PATH_INFO"].endswith("/fail"):
            raise RuntimeError("the portal fails")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        told = {
            **{name: environ[name] for name in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO")},
            "query": environ.get("QUERY_STRING"),
            "headers": {n: v for n, v in environ.items() if n.startswith("HTTP_")},
            "body": [len(body), hashlib.sha256(body).hexdigest()],
        }
        status = "404 Not Found" if environ["PATH_INFO"] == "/none" else "200 OK"
        headers = [("Content-Type", "application/json"), ("Date", "now"), ("Set-Cookie", "a=1")]
        start_response(status, [*headers, ("Set-Cookie", "b=2"), ("X-Mixed-Case", "\xe9")])
        return [json.dumps(told).encode(), b"\n"]


def identify(environ: dict[str, Any]) -> Caller | None:
    """Say who asks, by the session's cookie."""
    return caller_of(environ.get("HTTP_COOKIE", ""))


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
def port(gateway: Gateway, portal: Portal) -> Iterator[int]:
    """Give the port at which the portal behind the gateway is served."""
    with _serve_with(gateway, portal, identify) as port:
        yield port


@contextmanager
def _serve_with(gateway: Gateway, app: Any, who: Any, refine: Any = None) -> Iterator[int]:
    with serve_wsgi(AutomationRulesMiddleware(app, gateway, who, refine)) as port:
        yield port


# --- people

EVERYTHING = [
    request("/todos"),
    request("/none"),
    request("/todos/td-17/rent?a=1&_method=DELETE", "POST", b"x" * 300_000),
    request("/static/a.css", "HEAD"),
    request("/%74odos/%2e%2e//a;b\\c%ff?%00=%", "DELETE", X_HTTP_Method_Override="PUT"),
    request("/%C5%B5", "OPTIONS", X_Twice="\xe9"),
    request("http://portal.example/todos"),
    request("/todos/td-17/fail", "POST", b"{}"),
    request("/todos", Accept="text/html", Accept_Language="cy", X_Request_ID="1"),
]


@pytest.mark.parametrize("serve", [serve_wsgi, serve_werkzeug])
@pytest.mark.parametrize("cookie", [PERSON, VISITOR])
def test_people_get_the_very_same_bytes(
    world: World, gateway: Gateway, cookie: str, serve: Any
) -> None:
    """With the middleware or without, on any day, every response to a person is identical."""
    world.clock.move_to(SATURDAY)
    bare, behind = Portal(), Portal()
    guarded = AutomationRulesMiddleware(behind, gateway, identify)
    with serve(bare) as one, serve(guarded) as other:
        for plain in EVERYTHING:
            if serve is serve_werkzeug and b"/fail" in plain:
                # It shows the traceback, and the line of this file that it came through.
                continue
            data = plain.replace(b"\r\n", f"\r\nCookie: {cookie}\r\n".encode(), 1)
            found, expected = send(other, data).raw, send(one, data).raw
            assert _undated(found) == _undated(expected)
    assert [environ["PATH_INFO"] for environ in bare.seen] == [
        environ["PATH_INFO"] for environ in behind.seen
    ]
    assert len(bare.seen) >= len(EVERYTHING) - 1
    assert entries(world) == []


def _undated(raw: bytes) -> bytes:
    """A response without the date that a failing portal leaves to the server."""
    return b"\r\n".join(line for line in raw.split(b"\r\n") if not line.startswith(b"Date: "))


# --- bots


def test_a_bot_in_order_gets_through_and_is_recorded(
    world: World, port: int, portal: Portal
) -> None:
    """The portal finds the passage in the environment, and the log holds the decision."""
    data = request(f"{PATH}?page=2", Cookie=BOT, X_Request_ID="req-1")
    assert send(port, data).status == 200
    [environ] = portal.seen
    passage = environ[PASSAGE]
    assert PASSAGE == "automation_rules.passage"
    assert isinstance(passage, Passage)
    assert passage.allowed
    assert passage.step == RENT
    assert passage.account_id == "acme-1"
    [entry] = entries(world)
    assert passage.decision is not None
    assert entry["decision_id"] == passage.decision.decision_id


def test_a_bot_outside_its_hours_is_denied_and_the_portal_sees_nothing(
    world: World, port: int, portal: Portal
) -> None:
    """The answer is the problem, or a page for who prefers one; the denial is on record."""
    world.clock.move_to(SATURDAY)
    answer = send(port, request("/todos", Cookie=BOT))
    assert is_denied(answer, "weekend")
    assert answer.headers["content-type"] == "application/problem+json"
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


def test_what_is_public_and_leaving_pass_on_any_day(
    world: World, port: int, portal: Portal
) -> None:
    """What is public is not on record, leaving is."""
    world.clock.move_to(SATURDAY)
    for cookie in (BOT, UNMARKED, ""):
        assert send(port, request("/static/a/b.css", Cookie=cookie)).status == 200
    assert send(port, request("/sign-out", "POST", Cookie=BOT)).status == 200
    assert len(portal.seen) == 4
    assert [entry["action"] for entry in entries(world)] == ["sign_out"]


def test_nothing_that_a_client_says_of_itself_counts(port: int, portal: Portal) -> None:
    """Forged identities, paths and methods change neither who asks nor for what."""
    for forged in ("acme-1", "person", "/todos"):
        fields: Any = {name.replace("-", "_"): forged for name in FORGED}
        assert send(port, request("/todos", Cookie=UNMARKED, **fields)).status == 403
        assert is_denied(send(port, request("/payments", Cookie=BOT, **fields)), "unknown-action")
    assert portal.seen == []


# --- paths

TAKEN_APART: Final = {"absolute", "a query's mark", "double slash"}
"""What a server may take off a target before it tells anybody, as the standard library's does.

White space around it is another thing of that kind.
"""


def test_no_trick_with_a_path_reaches_the_portal(gateway: Gateway, portal: Portal) -> None:
    """Where the server tells the target as received, a bot's path has one form only."""
    with serve_werkzeug(AutomationRulesMiddleware(portal, gateway, identify)) as port:
        _play_tricks(port, portal, TAKEN_APART)


def test_where_only_the_decoded_path_is_told_it_is_the_one_that_the_portal_goes_by(
    port: int, portal: Portal
) -> None:
    """An escape that the server undid before anybody saw it changes nothing for anybody."""
    _play_tricks(port, portal, set(TRICKS))


def _play_tricks(port: int, portal: Portal, may_pass: set[str]) -> None:
    for name, trick in TRICKS.items():
        answer = send(port, request(trick, Cookie=BOT))
        if portal.seen:
            [environ] = portal.seen
            assert environ["PATH_INFO"] == PATH, name
            assert environ[PASSAGE].step == RENT, name
            assert name in may_pass or trick.split() == [PATH], name
            portal.seen.clear()
        else:
            # What looks like HTTP/0.9 is answered without a status line.
            assert not answer.raw.startswith(b"HTTP/") or answer.status in (400, 403, 404), name
    for query in QUERIES.values():
        assert send(port, request(f"{PATH}?{query}", Cookie=BOT)).status == 403
    for header in HEADERS:
        data = request(PATH, Cookie=BOT).replace(b"\r\n", f"\r\n{header}: GET\r\n".encode(), 1)
        answer = send(port, data)
        # Servers may drop a field with underscores, and nobody is told of it.
        assert answer.status == 403 or "_" in header
    portal.seen.clear()
    assert send(port, request(PATH, Cookie=BOT)).status == 200


@pytest.mark.parametrize(
    ("environ", "passes"),
    [
        ({"PATH_INFO": PATH}, True),
        ({"PATH_INFO": PATH, "RAW_URI": PATH}, True),
        ({"PATH_INFO": PATH, "RAW_URI": f"{PATH}?a=1", "QUERY_STRING": "a=1"}, True),
        ({"PATH_INFO": PATH, "REQUEST_URI": "/%74odos/td-17/rent"}, False),
        ({"PATH_INFO": PATH, "RAW_URI": PATH, "REQUEST_URI": f"/{PATH}"}, False),
        ({"PATH_INFO": PATH, "RAW_URI": f"http://portal.example{PATH}"}, False),
        ({"PATH_INFO": PATH, "RAW_URI": f"{PATH}#x"}, False),
        ({"PATH_INFO": PATH, "RAW_URI": ""}, False),
        ({"PATH_INFO": f"{PATH}\xe9"}, False),
        ({"PATH_INFO": PATH, "SCRIPT_NAME": "/portal"}, True),
        ({"PATH_INFO": PATH, "SCRIPT_NAME": "/portal", "RAW_URI": f"/portal{PATH}"}, True),
        ({"PATH_INFO": PATH, "SCRIPT_NAME": "/portal", "RAW_URI": PATH}, True),
        ({"PATH_INFO": PATH, "SCRIPT_NAME": "/portal", "RAW_URI": f"/p%6frtal{PATH}"}, False),
        ({"PATH_INFO": f"/portal{PATH}"}, False),
        ({"PATH_INFO": "", "SCRIPT_NAME": PATH}, False),
        ({"PATH_INFO": ""}, False),
    ],
)
def test_the_path_that_counts_is_the_one_that_frameworks_route_by(
    gateway: Gateway, portal: Portal, environ: dict[str, str], passes: bool
) -> None:
    """`PATH_INFO`, and only when the path as received was the same."""
    whole: dict[str, Any] = {"HTTP_COOKIE": BOT, "SCRIPT_NAME": "", **environ}
    setup_testing_defaults(whole)
    told: list[str] = []

    def start(status: str, *_: Any) -> Any:
        told.append(status)

    AutomationRulesMiddleware(portal, gateway, identify)(whole, start)
    assert told == ["200 OK" if passes else "403 Forbidden"]


def _environ(path: str) -> dict[str, Any]:
    """The environment of a bot's request, as a server that tells little makes it."""
    environ: dict[str, Any] = {"PATH_INFO": path, "HTTP_COOKIE": BOT}
    setup_testing_defaults(environ)
    return environ


def _start(status: str, headers: Any, exc_info: Any = None, /) -> Any:
    """Begin a response that nobody gets."""


# --- the portal's hooks


def raises(*_: Any) -> Any:
    """Fail, with something personal in the message."""
    raise LookupError("no session of Testy McOfficer")


def test_when_nobody_can_say_who_asks_nobody_passes(gateway: Gateway, portal: Portal) -> None:
    """An `identify` that raises, or answers something else, is a denial that says no more."""
    for who in (raises, lambda _: "acme-1", lambda _: True, lambda _: Person):
        with _serve_with(gateway, portal, who) as port:
            for cookie in (BOT, PERSON):
                answer = send(port, request("/todos", Cookie=cookie))
                assert is_denied(answer, "request-unreadable")
                assert b"Testy" not in answer.raw
    assert portal.seen == []


def test_a_refinement_that_fails_is_a_denial(gateway: Gateway, portal: Portal) -> None:
    """Bots are denied; people, what is unknown, what is public and leaving do not ask it."""
    for refine in (raises, lambda _, step: None, lambda _, step: step.action):
        with _serve_with(gateway, portal, identify, refine) as port:
            assert is_denied(send(port, request(PATH, Cookie=BOT)), "request-unreadable")
            assert is_denied(send(port, request("/payments", Cookie=BOT)), "unknown-action")
            assert portal.seen == []
            assert send(port, request(PATH, Cookie=PERSON)).status == 200
            assert send(port, request("/static/a", Cookie=BOT)).status == 200
            assert send(port, request("/sign-out", "POST", Cookie=BOT)).status == 200
        portal.seen.clear()


def test_a_portal_says_more_about_a_step(gateway: Gateway, portal: Portal) -> None:
    """`refine` sees the environment and the step; what it returns is what is decided on."""
    given: list[tuple[str, Step]] = []

    def refine(environ: Any, step: Step) -> Step:
        given.append((environ["PATH_INFO"], step))
        return replace(step, todo_kind=TodoKind.OTHER)

    with _serve_with(gateway, portal, identify, refine) as port:
        answer = send(port, request(PATH, Cookie=BOT))
    assert given == [(PATH, RENT)]
    assert is_denied(answer, "not-housing-costs")


def test_in_shadow_everything_passes_and_is_recorded(world: World, portal: Portal) -> None:
    """What would have been denied reaches the portal, even when it cannot be said who asks."""
    world.clock.move_to(SATURDAY)
    with world.gateway(routes=ROUTES, shadow=True) as gateway:
        for who in (identify, raises):
            with _serve_with(gateway, portal, who) as port:
                assert send(port, request("/todos", Cookie=BOT)).status == 200
    assert len(portal.seen) == 2
    assert [entry["decision"] for entry in entries(world)] == [False]


# --- bodies, and many at once


def test_large_bodies_pass_through(port: int) -> None:
    """Twenty megabytes of a bot's that is let through arrive unchanged."""
    body = bytes(range(256)) * 80_000
    answer = send(port, request(PATH, "POST", body, Cookie=BOT))
    assert answer.status == 200
    assert answer.json["body"] == [len(body), hashlib.sha256(body).hexdigest()]


def test_no_body_is_read_for_a_denial(gateway: Gateway, portal: Portal) -> None:
    """The input is left as it came, for the server to deal with."""
    environ = _environ("/payments")
    environ["wsgi.input"] = None
    guarded = AutomationRulesMiddleware(portal, gateway, identify)
    [body] = guarded(environ, _start)
    assert json.loads(body)["status"] == 403


def test_requests_at_once_do_not_mix(port: int, portal: Portal) -> None:
    """Each of many concurrent requests gets its own passage, or its own denial."""

    def one(number: int) -> tuple[int, str, int]:
        account = ("acme-1", "acme-2", "person", "?", "acme-9")[number % 5]
        answer = send(port, request(f"/todos/td-{number}/rent", Cookie=f"session={account}"))
        return number, account, answer.status

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(40)))
    passages = {environ["PATH_INFO"]: environ[PASSAGE] for environ in portal.seen}
    for number, account, status in answers:
        assert status == (403 if account in ("?", "acme-9") else 200)
        passage: Any = passages.get(f"/todos/td-{number}/rent")
        if status == 403:
            assert passage is None
        elif account == "person":
            assert passage.step is None
        else:
            assert passage.account_id == account
            assert passage.step.todo == f"td-{number}"


# --- what the portal answered


@pytest.fixture
def observed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Return what the gateway is told of the portal's answers."""
    told: list[tuple[str, int]] = []

    def observe(account_id: str, *, status: int) -> None:
        told.append((account_id, status))

    monkeypatch.setattr(gateway, "observe", observe)
    return told


def _lazy(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Begin, and fail, only when the body is asked for."""
    if environ["QUERY_STRING"] == "early":
        raise RuntimeError("the portal fails")
    start_response("201 Created", [("Content-Type", "text/plain")])
    yield b"lazy"


def test_the_gateway_learns_how_the_portal_answered_a_bot(
    gateway: Gateway, portal: Portal, observed: list[tuple[str, int]]
) -> None:
    """Of bots that were let through only; a portal that fails, at once or later, answered 500."""

    def refine(_: Any, step: Step) -> Step:
        return replace(step, todo_kind=TodoKind.CONFIRM_HOUSING_COSTS)

    with _serve_with(gateway, portal, identify, refine) as port:
        assert send(port, request("/todos", Cookie=BOT)).status == 200
        assert send(port, request("/todos/td-17/fail", "POST", Cookie=BOT)).status == 500
        for cookie in (PERSON, VISITOR, UNMARKED):
            send(port, request("/todos", Cookie=cookie))
        send(port, request("/payments", Cookie=BOT))
        send(port, request("/static/a.css", Cookie=BOT))
    assert observed == [("acme-1", 200), ("acme-1", 500)]
    observed.clear()
    with _serve_with(gateway, _lazy, identify) as port:
        assert send(port, request("/todos", Cookie=BOT)).body == b"lazy"
        assert send(port, request("/todos?early", Cookie=BOT)).status == 500
    assert observed == [("acme-1", 201), ("acme-1", 500)]


@pytest.mark.parametrize("lazily", [True, False])
def test_a_response_is_closed_even_when_nobody_asks_for_its_body(
    gateway: Gateway, observed: list[tuple[str, int]], lazily: bool
) -> None:
    """What the portal returned is closed when the server closes what it got (PEP 3333)."""
    closed: list[bool] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter((b"x",))

        def close(self) -> None:
            closed.append(True)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if not lazily:
            start_response("200 OK", [])
        return Body()

    environ = _environ(PATH)
    found: Any = AutomationRulesMiddleware(app, gateway, identify)(environ, _start)
    assert closed == []
    found.close()
    assert closed == [True]
    assert list(found) == [b"x"]
    assert observed == ([] if lazily else [("acme-1", 200)])


def test_what_a_server_knows_how_to_send_stays_what_it_is(gateway: Gateway) -> None:
    """A file wrapper is handed on itself, so that the server may send the file its own way."""
    wrapper = FileWrapper(io.BytesIO(b"file"))

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return wrapper

    environ = _environ(PATH)
    found = AutomationRulesMiddleware(app, gateway, identify)(environ, _start)
    assert found is wrapper


def test_the_middleware_keeps_to_wsgi(gateway: Gateway, portal: Portal) -> None:
    """The standard library's validator, before it and after it, has nothing to complain of."""

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    guarded = validator(AutomationRulesMiddleware(validator(app), gateway, identify))
    with serve_wsgi(guarded) as port:
        for cookie, status in ((BOT, 200), (PERSON, 200), (UNMARKED, 403)):
            assert send(port, request("/todos", Cookie=cookie)).status == status
        assert send(port, request("/payments", "HEAD", Cookie=BOT)).status == 403
