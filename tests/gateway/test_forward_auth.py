"""Forward authentication: each proxy is heard for what it says itself, and gets a 200 or a 403."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules import Action, ClockError, FrozenClock, InvalidInputError, TodoKind
from automation_rules.gateway import Automation, Person, Route, Routes, Visitor
from automation_rules.gateway import forward_auth as module
from automation_rules.gateway.forward_auth import ADAPTERS, Adapter, forward_auth_routes
from automation_rules.gateway.marks import COOKIE, Marks
from automation_rules.gateway.service import create_app
from automation_rules.store import Store
from gateway_shells import UNWATCHED, Answer, entries, is_denied, request, send, serve_asgi
from gateway_world import WORKDAY, World, make_world
from path_tricks import HEADERS, PATH, QUERIES, TRICKS
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from automation_rules.gateway import Caller

KEY = "made-up-secret-for-tests-only-0123456789"
RENT = "/todos/td-17/rent"
PAYMENTS = "/payments"
ROUTES = Routes(
    [
        Route(frozenset({"POST"}), "/sign-in", Action.SIGN_IN),
        Route(frozenset({"GET"}), "/todos", Action.LIST_TODOS),
        Route(
            frozenset({"GET", "POST"}),
            "/todos/{todo}/rent",
            Action.OPEN_TODO,
            TodoKind.CONFIRM_HOUSING_COSTS,
        ),
        Route(frozenset({"WEBSOCKET"}), "/live", Action.VIEW_UPDATES),
        Route(frozenset({"POST"}), "/sign-out", Action.SIGN_OUT),
    ],
    ["/", "/sign-in", "/static/{file:path}"],
)
BOT = Automation("acme-1")
EVENING = WORKDAY.replace(hour=17, minute=30)
"""Half past six in the evening in London."""

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS)
"""Runs a test as each proxy in turn."""


@dataclass(frozen=True)
class Asked:
    """A service that answers one proxy, and what the proxy would ask it."""

    port: int
    adapter: Adapter
    marks: Marks
    world: World
    before: int = 0
    """How many entries the log had when the test began."""

    def entries(self) -> list[dict[str, Any]]:
        """Return the log's entries since then."""
        return entries(self.world)[self.before :]

    def cookies(self, caller: Caller | None, session: str = "s-1") -> str:
        """Return the cookies of a session that the portal marks as ``caller``'s."""
        mine = f"portal_session={session}"
        return mine if caller is None else f"{mine}; {COOKIE}={self.marks.sign(caller, session)}"

    def ask(
        self,
        uri: str,
        caller: Caller | None = BOT,
        method: str = "GET",
        *,
        websocket: bool = False,
        fields: Mapping[str, str] = {},
    ) -> Answer:
        """Ask as the proxy does about a request of a session, and return the answer."""
        fields = {"Cookie": self.cookies(caller), **fields}
        match self.adapter:
            case "nginx":
                fields |= {"X-Original-Method": method, "X-Original-URI": uri}
                fields |= {"X-Original-Upgrade": "websocket"} if websocket else {}
                return self.send("/forward-auth", fields)
            case "caddy":
                fields |= {"X-Forwarded-Method": method, "X-Forwarded-Uri": uri}
                fields |= {"X-Forwarded-Upgrade": "websocket" if websocket else ""}
                query = uri.partition("?")[2]
                return self.send(f"/forward-auth?{query}" if query else "/forward-auth", fields)
            case "traefik":
                fields |= {"X-Forwarded-Method": method, "X-Forwarded-Uri": uri}
                path = "/forward-auth/websocket" if websocket else "/forward-auth"
                return self.send(path, fields)
            case "envoy":
                fields |= {"X-Forwarded-Upgrade": "websocket"} if websocket else {}
                return self.send(f"/forward-auth{uri}", fields, method)

    def send(self, target: str, fields: Mapping[str, str] = {}, method: str = "GET") -> Answer:
        """Send a request to the service, and return the answer."""
        return send(self.port, request(target, method, b"", **fields, Host=self.adapter))

    def why(self, decision_id: str, fields: Mapping[str, str] = {}) -> Answer:
        """Ask, as nginx does, why a decision denied."""
        return self.send("/denied", {"X-Decision-Id": decision_id, **fields})


@contextmanager
def serving(world: World, **options: Any) -> Iterator[dict[Adapter, Asked]]:
    """Serve every proxy from the state; which one asks, the host's name says."""
    options = {"policy": UNWATCHED, "routes": ROUTES, **options}
    with (
        Store.open(world.url, clock=world.clock) as store,
        world.gateway(**options) as gateway,
    ):
        marks = Marks(KEY, clock=gateway.clock)
        apps = {
            adapter: create_app(
                gateway,
                store,
                routes=forward_auth_routes(
                    gateway, store, marks, adapter=adapter, session_cookie="portal_session"
                ),
            )
            for adapter in ADAPTERS
        }

        async def choose(scope: Any, receive: Any, send: Any) -> None:
            await apps[dict(scope["headers"])[b"host"].decode()](scope, receive, send)

        mine = Marks(KEY, clock=world.clock)
        with serve_asgi(choose, lifespan="off") as port:
            yield {adapter: Asked(port, adapter, mine, world) for adapter in ADAPTERS}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Adapter, Asked]]:
    """Give services over a state that no test changes."""
    folder = tmp_path_factory.mktemp("world")
    with pytest.MonkeyPatch.context() as patch:
        world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        with serving(world) as services:
            yield services


@pytest.fixture
def service(shared: dict[Adapter, Asked], adapter: Adapter) -> Asked:
    """Give a service for the test's proxy, on a workday at nine."""
    found = shared[adapter]
    found.world.clock.move_to(WORKDAY)
    return replace(found, before=len(entries(found.world)))


def whose(answer: Answer) -> str:
    """Return whose request the service says it is, having let it through."""
    assert answer.status == 200
    assert answer.body == b""
    return answer.headers["x-automation-account"]


def is_unknown(answer: Answer) -> bool:
    """Whether a response is the denial of a bot that nobody knows."""
    failed = {reason["check"] for reason in answer.json["reasons"]}
    return answer.status == 403 and "account" in failed


# --- who asks -----------------------------------------------------------------------------------


@every_adapter
def test_a_bot_in_order_passes(service: Asked) -> None:
    """The proxy is told whose request it is, and by which decision, which is on record."""
    answer = service.ask(f"{RENT}?page=2", method="POST", fields={"X-Request-ID": "r-1"})
    assert whose(answer) == "acme-1"
    assert answer.headers["cache-control"] == "no-store"
    [entry] = service.entries()
    assert entry["decision_id"] == answer.headers["x-decision-id"]
    assert (entry["account"], entry["action"]) == ("acme-1", "open_todo")
    assert {"todo", "request"} <= entry["tokens"].keys()


@every_adapter
@pytest.mark.parametrize("caller", [Person(), Visitor()])
def test_people_pass_whatever_they_do(service: Asked, caller: Caller) -> None:
    """A session that the portal marks as a person's, or as nobody's yet, is asked nothing."""
    service.world.clock.move_to(EVENING)
    for uri in (RENT, PAYMENTS, "/a//b/%2e%2e/%2F;x?_method=PUT"):
        for websocket in (False, True):
            answer = service.ask(uri, caller, websocket=websocket)
            assert whose(answer) == ""
            assert answer.headers["x-decision-id"] == ""
    assert whose(service.send("/forward-auth", {"Cookie": service.cookies(caller)})) == ""
    assert service.entries() == []


@every_adapter
@pytest.mark.parametrize(
    "cookies",
    [
        "",
        "portal_session=s-1",
        "{bot}; portal_session=s-2",
        "{person}; portal_session=s-2",
        "{person_2}",
        f"portal_session=s-1; {COOKIE}=not-a-mark",
    ],
)
def test_who_is_not_marked_is_a_bot_that_nobody_knows(service: Asked, cookies: str) -> None:
    """Without a mark for this very session a request is denied, and the denial recorded."""
    stolen = service.cookies(Person(), "s-2").replace("portal_session=s-2", "portal_session=s-1")
    told = cookies.format(
        bot=service.cookies(BOT), person=service.cookies(Person()), person_2=stolen
    )
    answer = service.ask("/todos", fields={"Cookie": told})
    assert is_unknown(answer)
    [entry] = service.entries()
    assert entry["account"] is None


@every_adapter
def test_a_mark_that_has_ended_is_none(service: Asked) -> None:
    """A session whose mark has run out is taken for an unknown bot's."""
    cookies = service.cookies(Person())
    service.world.clock.move_to(WORKDAY.replace(hour=21))
    assert is_unknown(service.ask("/todos", fields={"Cookie": cookies}))


@every_adapter
def test_everybody_may_sign_in(service: Asked) -> None:
    """Who is not marked may reach the sign-in, which is the portal's to guard; a bot is judged."""
    for caller in (None, Visitor(), Person()):
        assert whose(service.ask("/sign-in", caller, "POST")) == ""
    assert service.entries() == []
    assert whose(service.ask("/sign-in", BOT, "POST")) == "acme-1"
    service.world.clock.move_to(EVENING)
    assert is_denied(service.ask("/sign-in", BOT, "POST"), "outside-hours")
    assert is_unknown(service.ask("/sign-in/", None, "POST"))
    tricked = service.ask("/sign-in", None, "POST", fields={"X-HTTP-Method-Override": "DELETE"})
    assert is_unknown(tricked)


@every_adapter
def test_what_is_public_is_asked_about_by_nobody(service: Asked) -> None:
    """Static files pass for everybody, and never in a person's name."""
    assert whose(service.ask("/static/a.css", BOT)) == "acme-1"
    assert whose(service.ask("/static/a.css", None)) == "unmarked"
    assert service.entries() == []


@every_adapter
def test_a_bot_may_always_leave(service: Asked) -> None:
    """Signing out is let through at any time, and recorded."""
    service.world.clock.move_to(EVENING)
    assert whose(service.ask("/sign-out", BOT, "POST")) == "acme-1"
    assert whose(service.ask("/sign-out", None, "POST")) == "unmarked"
    assert [entry["action"] for entry in service.entries()] == ["sign_out", "sign_out"]


@every_adapter
def test_an_account_is_named_so_that_a_header_can_carry_it(service: Asked) -> None:
    """An identifier that a header cannot carry as it is arrives percent-encoded."""
    answer = service.ask("/static/a.css", Automation("Tŷ 1\r\nX: y@acme"))
    assert whose(answer) == "T%C5%B7%201%0D%0AX%3A%20y@acme"


# --- denials ------------------------------------------------------------------------------------


@every_adapter
def test_a_denial_says_why_and_when(service: Asked) -> None:
    """A denial is a 403 with problem details, and says when to ask again."""
    service.world.clock.move_to(EVENING)
    answer = service.ask(RENT)
    assert is_denied(answer, "outside-hours")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == str(13 * 60 * 60 + 30 * 60)
    assert answer.headers["x-decision-id"] == answer.json["decision_id"]
    assert "www-authenticate" not in answer.headers


@every_adapter
def test_a_denial_speaks_the_language_that_is_asked_for(service: Asked) -> None:
    """A person who watches a bot's browser reads a page, in Welsh when that is preferred."""
    service.world.clock.move_to(EVENING)
    fields = {"Accept": "text/html", "Accept-Language": "cy, en;q=0.5"}
    answer = service.ask(RENT, fields=fields)
    assert answer.status == 403
    assert answer.headers["content-language"] == "cy"
    assert answer.body.startswith(b"<!DOCTYPE html>")


@every_adapter
def test_what_is_no_route_is_denied_to_bots(service: Asked) -> None:
    """A request that the route table does not know is denied, and recorded."""
    assert is_denied(service.ask(PAYMENTS), "unknown-action")
    assert is_denied(service.ask("/todos", method="DELETE"), "unknown-action")
    assert len(service.entries()) == 2


@every_adapter
def test_tricks_with_paths_get_a_bot_nowhere(service: Asked) -> None:
    """However a route's path is written otherwise, it is no route, or no request at all."""
    assert whose(service.ask(PATH)) == "acme-1"
    played = {trick: uri for trick, uri in TRICKS.items() if _can_be_told(service.adapter, uri)}
    assert len(played) > 50
    for trick, uri in played.items():
        assert service.ask(uri).status in (400, 403), trick
    assert {entry["decision"] for entry in service.entries()[1:]} == {False}


def _can_be_told(adapter: Adapter, uri: str) -> bool:
    """Whether a proxy can tell of such a URI, and the path ends where it seems to."""
    if adapter == "envoy" and ("#" in uri or not uri.startswith("/")):
        # Envoy refuses fragments itself, which uvicorn leaves out.
        return False
    return uri.isascii() and uri.isprintable() and uri == uri.strip() and uri != f"{PATH}?"


@every_adapter
def test_another_method_than_the_requests_own_gets_a_bot_nowhere(service: Asked) -> None:
    """A field or parameter that some frameworks take for the method makes it no route."""
    for header in HEADERS:
        assert is_denied(service.ask("/todos", fields={header: "DELETE"}), "unknown-action"), header
    for query in QUERIES.values():
        assert is_denied(service.ask(f"/todos?{query}"), "unknown-action"), query


# --- what the proxy says ------------------------------------------------------------------------

TRUE = {
    "nginx": {"X-Original-Method": "GET", "X-Original-URI": PAYMENTS},
    "caddy": {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": PAYMENTS},
    "traefik": {"X-Forwarded-Method": "GET", "X-Forwarded-Uri": PAYMENTS},
    "envoy": {},
}
"""What each proxy says about a bot's request for something that is no route."""

FORGED = {
    "X-Original-Method": "GET",
    "X-Original-URI": "/todos",
    "X-Original-URL": "/todos",
    "X-Original-Upgrade": "",
    "X-Forwarded-Method": "GET",
    "X-Forwarded-Uri": "/todos",
    "X-Forwarded-Path": "/todos",
    "X-Forwarded-Prefix": "/todos",
    "X-Rewrite-URL": "/todos",
    "X-Automation-Account": "acme-1",
    "X-Decision-Id": "00000000-0000-4000-8000-000000000000",
    "X-Envoy-Original-Path": "/todos",
}


@every_adapter
def test_what_another_proxy_would_say_is_not_heard(service: Asked) -> None:
    """Behind one proxy, fields that another one sets are the client's, and change nothing."""
    fields = {**FORGED, **TRUE[service.adapter], "Cookie": service.cookies(BOT)}
    target = f"/forward-auth{PAYMENTS}" if service.adapter == "envoy" else "/forward-auth"
    assert is_denied(service.send(target, fields), "unknown-action")


@every_adapter
def test_a_proxy_that_says_too_little_or_too_much_is_not_understood(service: Asked) -> None:
    """A field that is missing or repeated, and a path that is not the proxy's, deny."""
    cookies = service.cookies(BOT)
    if service.adapter == "envoy":
        fields = [("X-Forwarded-Upgrade", "websocket"), ("X-Forwarded-Upgrade", "websocket")]
        unreadable = [("/forward-auth/live", fields)]
    else:
        true = list(TRUE[service.adapter].items())
        wanted = [(true[0][0], "GET"), (true[1][0], "/todos")]
        unreadable = [("/forward-auth", wanted[:1]), ("/forward-auth", wanted[1:])]
        unreadable += [("/forward-auth", [*wanted, one]) for one in wanted]
        unreadable += [("/forward-auth/", wanted), ("/forward-auth/todos", wanted)]
        unreadable += [("/forward-auth", [])]
    for target, fields in unreadable:
        data = request(target, Cookie=cookies, Host=service.adapter)
        head, _, rest = data.partition(b"\r\n")
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in fields)
        answer = send(service.port, head + b"\r\n" + lines + rest)
        assert is_denied(answer, "request-unreadable"), (target, fields)
        assert uuid.UUID(answer.headers["x-decision-id"])
    assert service.entries() == []


@every_adapter
def test_websockets_are_steps_of_their_own(service: Asked) -> None:
    """A handshake is judged as one, a plain request for the same path is not, nor the reverse."""
    assert whose(service.ask("/live", websocket=True)) == "acme-1"
    assert is_denied(service.ask("/live"), "unknown-action")
    assert is_denied(service.ask("/todos", websocket=True), "unknown-action")
    assert is_denied(service.ask("/live", method="POST", websocket=True), "request-unreadable")
    # Not even a method that has the name.
    assert service.ask("/live", method="WEBSOCKET").status in (400, 403)


@pytest.mark.parametrize("adapter", ["nginx", "caddy", "envoy"])
def test_nothing_else_than_a_websocket_can_become_of_a_connection(service: Asked) -> None:
    """What would make another protocol of the connection, and lead past the gateway, is denied."""
    name = "X-Original-Upgrade" if service.adapter == "nginx" else "X-Forwarded-Upgrade"
    for upgrade in ("h2c", "websocket, h2c", "TLS/1.0", " "):
        fields = {**TRUE[service.adapter], name: upgrade, "Cookie": service.cookies(BOT)}
        target = "/forward-auth/static/a.css" if service.adapter == "envoy" else "/forward-auth"
        answer = service.send(target, fields)
        if upgrade.strip():
            assert is_denied(answer, "request-unreadable"), upgrade


# --- nothing fails open -------------------------------------------------------------------------


def test_without_the_time_nobody_passes(world: World) -> None:
    """Whose mark it is cannot be told without the time: that denies, and is said."""

    class Stopped(FrozenClock):
        def now(self) -> datetime:
            raise ClockError("no time")

    with serving(world, clock=Stopped(WORKDAY)) as services:
        for service, caller in product(services.values(), (BOT, Person(), None)):
            assert is_denied(service.ask("/todos", caller), "clock-unreadable")
            assert service.ask("/sign-out", caller, "POST").status == 200


def test_a_state_that_is_gone_denies_bots_and_not_people(world: World) -> None:
    """Whatever breaks behind the service, bots are denied with a 403, and people pass."""
    with serving(world) as services:
        with Store.open(world.url, clock=world.clock) as store, store.transaction() as connection:
            for table in ("accounts", "log_entries"):
                connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_gone")
        for service in services.values():
            answer = service.ask("/todos")
            assert is_denied(answer, "facts-unavailable")
            assert is_denied(service.ask("/todos", None), "not-recorded")
            assert whose(service.ask("/todos", Person())) == ""
            assert whose(service.ask("/sign-out", BOT, "POST")) == "acme-1"
            # The reason can be told although there is no decision, nor a log.
            assert is_denied(service.why(answer.headers["x-decision-id"]), "facts-unavailable")
            assert is_denied(service.why(str(uuid.uuid4())), "denied")


@every_adapter
def test_what_breaks_in_the_service_itself_denies(
    service: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is a denial too."""

    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(Marks, "read", fail)
    assert is_denied(service.ask("/todos"), "request-unreadable")


def test_shadow_mode_lets_through_and_records(world: World) -> None:
    """In shadow mode nothing is denied, and what would have been is on record."""
    world.clock.move_to(EVENING)
    with serving(world, shadow=True) as services:
        for service in services.values():
            assert whose(service.ask("/todos")) == "acme-1"
            assert whose(service.ask("/todos", None)) == "unmarked"
            assert whose(service.ask("/live", method="POST", websocket=True)) == "acme-1"
    assert [entry["decision"] for entry in entries(world)] == [False, False] * len(ADAPTERS)


NAMES = [*FORGED, "Cookie", "Upgrade", "Connection", "X-Forwarded-Upgrade", "Accept"]


@settings(max_examples=60, deadline=None)
@given(
    adapter=st.sampled_from(ADAPTERS),
    target=st.sampled_from(["/forward-auth", "/forward-auth/todos", "/forward-auth/websocket"]),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "TRACE", "PROPFIND"]),
    fields=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from(["", "GET", "/todos", "websocket", "Upgrade", "a=b; c", "{bot}"])
            | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
        ),
        max_size=6,
    ),
)
def test_every_answer_is_yes_or_no(
    shared: dict[Adapter, Asked],
    adapter: Adapter,
    target: str,
    method: str,
    fields: list[tuple[str, str]],
) -> None:
    """Whatever arrives where proxies ask, the answer is a 200 or a 403, and never an error."""
    service = shared[adapter]
    lines = [f"{method} {target} HTTP/1.1", f"Host: {adapter}", "Connection: close"]
    bot = service.cookies(BOT)
    lines += [f"{name}: {bot if value == '{bot}' else value}" for name, value in fields]
    answer = send(service.port, "\r\n".join([*lines, "", ""]).encode())
    assert answer.status in (200, 403)
    assert "x-decision-id" in answer.headers


# --- why ----------------------------------------------------------------------------------------


@contextmanager
def two_services(world: World) -> Iterator[tuple[Asked, Asked]]:
    """Give two services behind one nginx, over one state."""
    with serving(world) as one, serving(world) as other:
        yield one["nginx"], other["nginx"]


def test_why_is_told_by_the_decisions_id(world: World) -> None:
    """What nginx lost is told again, in the form and language asked for now."""
    world.clock.move_to(EVENING)
    with serving(world) as services:
        service = services["nginx"]
        denied = service.ask(RENT)
        again = service.why(denied.headers["x-decision-id"])
        assert (again.status, again.body) == (denied.status, denied.body)
        for name in ("retry-after", "content-type", "x-decision-id", "cache-control"):
            assert again.headers[name] == denied.headers[name]
        fields = {"Accept": "text/html", "Accept-Language": "cy"}
        page = service.why(denied.headers["x-decision-id"], fields)
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-language"] == "cy"
        assert denied.headers["x-decision-id"] in page.body.decode()


@on_both_databases
def test_why_is_told_by_another_service_over_the_same_log(world: World) -> None:
    """Two services behind one nginx: what one denied, the other tells from the log."""
    world.clock.move_to(EVENING)
    with two_services(world) as (one, other):
        denied = one.ask(RENT)
        told = other.why(denied.headers["x-decision-id"])
        assert is_denied(told, "outside-hours")
        for name in ("retry-after", "x-decision-id", "content-language"):
            assert told.headers[name] == denied.headers[name]
        mine, theirs = denied.json, told.json
        for name in ("decision_id", "instance", "policy", "terms", "retry_after", "next_action"):
            assert theirs[name] == mine[name]
        assert [r["code"] for r in theirs["reasons"]] == [r["code"] for r in mine["reasons"]]
        assert theirs["title"] == mine["title"]
        page = other.why(denied.headers["x-decision-id"], {"Accept": "text/html"})
        assert denied.headers["x-decision-id"] in page.body.decode()
        stranger = one.ask(PAYMENTS, None)
        told = other.why(stranger.headers["x-decision-id"])
        assert is_unknown(told)
        assert {r["code"] for r in told.json["reasons"]} == {
            r["code"] for r in stranger.json["reasons"]
        }


def test_only_the_logs_last_entries_are_searched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denial that is long past costs no search through the whole log."""
    monkeypatch.setattr(module, "LOOKED_AT", 3)
    with two_services(world) as (one, other):
        denied = one.ask(PAYMENTS).headers["x-decision-id"]
        for _ in range(2):
            one.ask("/todos")
        assert is_denied(other.why(denied), "unknown-action")
        one.ask("/todos")
        assert is_denied(other.why(denied), "denied")
        assert is_denied(one.why(denied), "unknown-action")


def test_only_so_many_denials_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is denied without end fills no memory."""
    monkeypatch.setattr(module, "KEPT", 2)
    monkeypatch.setattr(module, "LOOKED_AT", 0)
    with serving(world) as services:
        service = services["nginx"]
        denied = [service.ask(PAYMENTS).headers["x-decision-id"] for _ in range(3)]
        found = [is_denied(service.why(name), "unknown-action") for name in denied]
    assert found == [False, True, True]


def test_why_takes_an_id_and_no_text(world: World) -> None:
    """Whatever else is given is not repeated; an id that is not known is named."""
    with serving(world) as services:
        service = services["nginx"]
        allowed = service.ask("/todos").headers["x-decision-id"]
        for name in (str(uuid.uuid4()), allowed):
            told = service.why(name)
            assert is_denied(told, "denied")
            assert name in told.json["detail"]
            assert told.headers["x-decision-id"] == name
            assert name in service.why(name, {"Accept": "text/html"}).body.decode()
        for text in ("", "<b>you won</b>", "../../etc/passwd", allowed.upper(), f"{allowed}0"):
            told = service.why(text)
            assert is_denied(told, "denied")
            assert told.headers["x-decision-id"] == ""
            assert not text or text not in told.body.decode()
        twice = request("/denied", Host="nginx", X_Decision_Id=allowed)
        twice = twice.replace(b"\r\n", f"\r\nX-Decision-Id: {allowed}\r\n".encode(), 1)
        assert allowed not in send(service.port, twice).body.decode()
        assert service.send(f"/denied?id={allowed}").headers["x-decision-id"] == ""
        assert service.send("/denied", method="POST").status == 405


# --- being set up -------------------------------------------------------------------------------


def test_only_a_named_proxy_is_answered(world: World) -> None:
    """There is no proxy that could be guessed, and a cookie must have a name that it can have."""
    assert get_args(Adapter) == ADAPTERS
    with Store.open(world.url, clock=world.clock) as store, world.gateway() as gateway:
        marks = Marks(KEY, clock=world.clock)
        for adapter, cookie, field in (
            ("auto", "session", "/adapter"),
            ("nginx", "", "/session_cookie"),
            ("nginx", "a b", "/session_cookie"),
            ("nginx", "a=b", "/session_cookie"),
            ("nginx", COOKIE, "/session_cookie"),
        ):
            with pytest.raises(InvalidInputError) as caught:
                forward_auth_routes(
                    gateway,
                    store,
                    marks,
                    adapter=adapter,  # type: ignore[arg-type]
                    session_cookie=cookie,
                )
            assert [error.pointer for error in caught.value.errors] == [field]
