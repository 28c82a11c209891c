"""Forward authentication through real proxies, by the example files."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from automation_rules.gateway import Automation, Person, Visitor, load_routes
from automation_rules.gateway.forward_auth import ADAPTERS, forward_auth_routes
from automation_rules.gateway.marks import COOKIE, Marks
from automation_rules.gateway.service import create_app
from automation_rules.store import Store
from gateway_proxies import (
    EXAMPLES,
    FORBIDDEN,
    GREETING,
    NAMES,
    Portal,
    Received,
    exchange,
    running,
    serving_portal,
)
from gateway_shells import UNWATCHED, Answer, entries, is_denied, request, serve_asgi
from gateway_world import WORKDAY, World, make_world
from path_tricks import HEADERS, PATH, QUERIES, TRICKS
from service_process import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from automation_rules.gateway import Caller, Gateway

KEY = "made-up-secret-for-tests-only-0123456789"
BOT = Automation("acme-1")
EVENING = WORKDAY.replace(hour=17, minute=30)
"""Half past six in the evening in London."""

ROUTES = load_routes(EXAMPLES / "routes.toml")
LARGE: Final = bytes(range(256)) * 40_960
"""Ten megabytes."""

every_proxy = pytest.mark.parametrize("name", NAMES)
"""Runs a test behind each proxy in turn."""


# --- a portal, a proxy and a service ------------------------------------------------------------


class Watched:
    """A service, and what it was sent that it has no use for: bodies and handshakes."""

    def __init__(self, app: Any) -> None:
        """Watch ``app``."""
        self.app = app
        self.bytes = 0
        self.handshakes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Read a request to its end, before it is answered."""
        self.handshakes += any(name == b"upgrade" for name, _ in scope["headers"])
        more = True
        while more:
            message = await receive()
            self.bytes += len(message.get("body", b""))
            more = message.get("more_body", False)
        await self.app(scope, receive, send)


@contextmanager
def service(world: World, gateway: Gateway, name: str) -> Iterator[tuple[int, Watched]]:
    """Serve a proxy; give the port."""
    assert set(ADAPTERS) == set(NAMES)
    with Store.open(world.url, clock=world.clock) as store:
        routes = forward_auth_routes(
            gateway,
            store,
            Marks(KEY, clock=gateway.clock),
            adapter=name,  # type: ignore[arg-type]
            session_cookie="portal_session",
        )
        app = Watched(create_app(gateway, store, routes=routes))
        with serve_asgi(app, lifespan="off", ws="none") as port:
            yield port, app


@dataclass(frozen=True)
class Front:
    """What clients reach: a proxy, with a service and a portal behind it."""

    name: str
    port: int
    portal: Portal
    service: Watched
    world: World

    def cookies(self, caller: Caller | None) -> str:
        """Return the cookies of a session that the portal marks as ``caller``'s."""
        session = "portal_session=s-1"
        if caller is None:
            return session
        mark = Marks(KEY, clock=self.world.clock).sign(caller, "s-1")
        return f"{session}; {COOKIE}={mark}"

    def data(
        self,
        target: str,
        caller: Caller | None = BOT,
        method: str = "GET",
        body: bytes = b"",
        fields: Mapping[str, str] = {},
    ) -> bytes:
        """Return a request of a session, byte by byte."""
        return request(target, method, body, Cookie=self.cookies(caller), **fields)

    def send(self, *told: Any, **more: Any) -> Answer:
        """Send such a request, and return the answer."""
        return exchange(self.port, self.data(*told, **more))

    def entries(self) -> list[dict[str, Any]]:
        """Return the log's entries."""
        return entries(self.world)


class House:
    """Everything that stands for the whole module, each proxy from when it is first asked for."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Make the state, and serve the portal."""
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        self.folder = folder
        self.stack = stack
        self.world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        self.gateway = stack.enter_context(self.world.gateway(policy=UNWATCHED, routes=ROUTES))
        self.portal = stack.enter_context(serving_portal())
        self.fronts: dict[str, Front] = {}

    def front(self, name: str) -> Front:
        """Return a proxy that is running; the portal has seen nothing yet."""
        self.world.clock.move_to(WORKDAY)
        if name not in self.fronts:
            ask, app = self.stack.enter_context(service(self.world, self.gateway, name))
            port = self.stack.enter_context(running(name, self.folder, self.portal.port, ask))
            self.fronts[name] = Front(name, port, self.portal, app, self.world)
        self.portal.take()
        return self.fronts[name]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Give what stands for the whole module."""
    with ExitStack() as stack:
        yield House(tmp_path_factory.mktemp("house"), stack)


@pytest.fixture
def front(house: House, name: str) -> Front:
    """Give the test's proxy, on a workday at nine."""
    return house.front(name)


def account(received: Received) -> str:
    """Return whose request the portal is told it is; nginx leaves an empty field out."""
    found = received.all("X-Automation-Account")
    assert len(found) <= 1
    return "".join(found)


# --- allowed and denied -------------------------------------------------------------------------


@every_proxy
def test_a_bot_in_order_reaches_the_portal(front: Front) -> None:
    """What the bot sends arrives as it is, with its account and the decision on record."""
    fields = {"X-Request-ID": "made-up-request"}
    answer = front.send(f"{PATH}?page=2&q=%2F..,a", BOT, "POST", b"a=1", fields)
    assert (answer.status, answer.body) == (200, GREETING)
    [received] = front.portal.take()
    assert (received.method, received.target) == ("POST", f"{PATH}?page=2&q=%2F..,a")
    assert (received.length, received.digest) == (3, hashlib.sha256(b"a=1").hexdigest())
    assert received.all("Cookie") == [front.cookies(BOT)]
    assert received.all("Host") == ["portal.example"]
    assert account(received) == "acme-1"
    [decision_id] = received.all("X-Decision-Id")
    assert front.entries()[-1]["decision_id"] == decision_id
    assert front.entries()[-1]["action"] == "submit_todo"
    assert {"todo", "request"} <= front.entries()[-1]["tokens"].keys()


@every_proxy
def test_a_denied_bot_reads_why_and_when(front: Front) -> None:
    """The denial's words and its Retry-After reach the client, and nothing reaches the portal."""
    front.world.clock.move_to(EVENING)
    for method, body in (("GET", b""), ("POST", b"a=1"), ("POST", b"b" * 100_000)):
        answer = exchange(front.port, front.data(PATH, BOT, method, body))
        assert is_denied(answer, "outside-hours")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["retry-after"] == str(13 * 60 * 60 + 30 * 60)
        assert answer.headers["x-decision-id"] == answer.json["decision_id"]
        assert answer.headers["cache-control"] == "no-store"
        assert front.entries()[-1]["decision_id"] == answer.json["decision_id"]
    fields = {"Accept": "text/html", "Accept-Language": "cy"}
    page = front.send(PATH, fields=fields)
    assert page.status == 403
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-language"] == "cy"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert page.body.startswith(b"<!DOCTYPE html>")
    head = front.send(PATH, method="HEAD")
    assert (head.status, head.body) == (403, b"")
    assert head.headers["retry-after"] == answer.headers["retry-after"]
    assert front.portal.take() == []


@every_proxy
@pytest.mark.parametrize("caller", [Person(), Visitor()])
def test_people_notice_nothing(front: Front, caller: Caller) -> None:
    """What people send and get passes untouched, at any hour and to any page, and is not logged."""
    front.world.clock.move_to(EVENING)
    logged = len(front.entries())
    body = b"rent=1\x00\xff" * 1000
    fields = {"X-Mine": "1", "Accept-Language": "cy", "X-HTTP-Method-Override": "DELETE"}
    answer = front.send("/payments/td-17.csv?a=%2F&b=..", caller, "PUT", body, fields)
    assert (answer.status, answer.body) == (200, GREETING)
    assert answer.headers["x-portal"] == "yes"
    [received] = front.portal.take()
    assert (received.method, received.target) == ("PUT", "/payments/td-17.csv?a=%2F&b=..")
    assert received.digest == hashlib.sha256(body).hexdigest()
    for name, value in {**fields, "Cookie": front.cookies(caller)}.items():
        assert received.all(name) == [value]
    assert account(received) == ""
    assert "".join(received.all("X-Decision-Id")) == ""
    assert len(front.entries()) == logged


@every_proxy
@pytest.mark.parametrize("caller", [Person(), BOT])
def test_the_portals_own_refusal_is_its_own(front: Front, caller: Caller) -> None:
    """A 403 of the portal's reaches the client as the portal wrote it."""
    answer = front.send("/todos?forbidden", caller)
    assert (answer.status, answer.body) == (403, FORBIDDEN)


@every_proxy
def test_who_is_not_marked_gets_no_further_than_the_sign_in(front: Front) -> None:
    """Without a mark only public pages and the sign-in can be reached, body and all."""
    for caller in (None, Visitor()):
        answer = front.send("/sign-in", caller, "POST", b"name=x&password=y")
        assert answer.status == 200
        [received] = front.portal.take()
        assert received.digest == hashlib.sha256(b"name=x&password=y").hexdigest()
        assert account(received) == ""
    assert front.send("/static/app.css", None).status == 200
    assert account(front.portal.take()[0]) == "unmarked"
    denied = front.send("/todos", None)
    assert denied.status == 403
    assert "account" in {reason["check"] for reason in denied.json["reasons"]}
    assert front.portal.take() == []


# --- forgeries ----------------------------------------------------------------------------------

FORGED: Final = (
    *("X-Automation-Account", "X-Decision-Id", "X-Real-IP", "Forwarded"),
    *("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto"),
    *("X-Forwarded-Method", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Forwarded-Scheme"),
    *("X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Upgrade", "X-Forwarded-Uri"),
    *("X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups"),
    *("X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token"),
    *("X-Original-Host", "X-Original-Method", "X-Original-Upgrade", "X-Original-URI"),
    *("X-Original-URL", "X-Original-Path", "X-Rewrite-URL"),
)
"""Fields that a proxy sets, or by which some portal might be told who asks, or for what."""

VALUE: Final = "/todos"
"""What is forged: where it was believed, a denied bot would pass."""


def spellings(name: str) -> list[str]:
    """Return a field's name as some programs write it."""
    dashes = name.split("-")
    return list(dict.fromkeys([name, name.lower(), "_".join(dashes), "_".join(dashes).lower()]))


def forged(data: bytes, *fields: str) -> bytes:
    """Return a request with lines put before its own fields."""
    head, rest = data.split(b"\r\n", 1)
    return b"\r\n".join([head, *(field.encode() for field in fields), rest])


@every_proxy
def test_nothing_forged_gets_a_bot_further(front: Front) -> None:
    """Whatever a client claims in a proxy's name, a denied request stays denied."""
    data = front.data("/payments")
    for name in FORGED:
        lines = [f"{spelled}: {VALUE}" for spelled in spellings(name)]
        for forgery in (*([line] for line in lines), lines, lines[:1] * 2, [f"{name}:"]):
            assert exchange(front.port, forged(data, *forgery)).status in (400, 403), forgery
    everything = [f"{name}: {VALUE}" for name in FORGED]
    assert is_denied(exchange(front.port, forged(data, *everything)), "unknown-action")
    assert front.portal.take() == []


@every_proxy
@pytest.mark.parametrize(
    ("caller", "identity"), [(BOT, "acme-1"), (Person(), ""), (None, "unmarked")]
)
def test_nothing_forged_reaches_the_portal(
    front: Front, caller: Caller | None, identity: str
) -> None:
    """What only the proxy may say reaches the portal from the proxy, or not at all."""
    target = "/static/app.css" if caller is None else "/todos"
    data = front.data(target, caller)
    everything = [f"{spelled}: {VALUE}" for name in FORGED for spelled in spellings(name)]
    plain = [f"{name}: {VALUE}" for name in FORGED]
    for lines in (plain, everything, *([line] for line in everything)):
        answer = exchange(front.port, forged(data, *lines))
        assert answer.status in (200, 400)
        for received in front.portal.take():
            assert received.target == target
            values = [(name, value) for name, value in received.fields if VALUE in value]
            assert values == [], lines
            assert account(received) == identity
    assert exchange(front.port, forged(data, *plain)).status == 200


@every_proxy
def test_a_client_cannot_have_the_identity_taken_away(front: Front) -> None:
    """Naming the identity as a field of the connection's own does not make a bot a person."""
    for target, own in (("/todos", "close"), ("/updates", "Upgrade")):
        for listed in ("X-Automation-Account", "x-decision-id", "Cookie", "X-Forwarded-Uri"):
            plain = front.data(target).replace(b"Connection: close\r\n", b"")
            lines = [f"Connection: {own}, {listed}", *HANDSHAKE, "Upgrade: websocket"]
            knock(front.port, forged(plain, *(lines[:1] if own == "close" else lines)))
            for received in front.portal.take():
                assert account(received) == "acme-1"
                assert received.all("X-Decision-Id") != []


@every_proxy
def test_a_marks_cookies_cannot_be_doubled(front: Front) -> None:
    """A second session cookie, whichever the portal would read, makes the first one's mark void."""
    person = front.cookies(Person())
    for more in ("portal_session=bot", "PORTAL_SESSION=bot", f"{COOKIE}=x"):
        twice = forged(front.data("/payments", Person()), f"Cookie: {more}")
        assert exchange(front.port, twice).status in (400, 403)
        both = request("/payments", Cookie=f"{person}; {more}")
        assert exchange(front.port, both).status == 403
    assert front.portal.take() == []


# --- paths and methods --------------------------------------------------------------------------


def judged_alike(front: Front, received: Received) -> bool:
    """Whether what reached the portal is the step that was decided about and allowed."""
    path, _, query = received.target.partition("?")
    step = ROUTES.match(received.method, path, query)
    entry = front.entries()[-1]
    found = [entry["decision_id"]] == received.all("X-Decision-Id")
    action = getattr(getattr(step, "action", None), "value", None)
    return found and entry["decision"] is True and entry["action"] == action


@every_proxy
def test_tricks_with_paths_reach_the_portal_only_as_judged(front: Front) -> None:
    """However a path is written, the portal gets what was judged and allowed, or nothing."""
    tricks = {
        **TRICKS,
        "absolute": f"http://portal.example{PATH}",
        "absolute, elsewhere": f"http://elsewhere.example{PATH}",
        "absolute, of what is no route": "http://portal.example/payments",
        "absolute, with parent": "http://portal.example/todos/../payments",
        "no route": "/payments",
        "no route, behind a public one": "/static/../payments",
        "no route, behind a public one, escaped": "/static/%2e%2e/payments",
        "no route, behind a public one, slash": "/static/..%2fpayments",
        "no route, behind a public one, parameter": "/static/..;/payments",
        "no route, behind the sign-in": "/sign-in/../payments",
        "no route, behind a to-do": "/todos/%2e%2e/payments",
        "no route, in a query": "/todos?/../../payments",
    }
    passed = []
    for trick, target in tricks.items():
        line = f"GET {target} HTTP/1.1".encode()
        data = front.data("/").replace(b"GET / HTTP/1.1", line, 1)
        answer = exchange(front.port, data)
        seen = front.portal.take()
        if not seen:
            # What breaks the line off is HTTP 0.9, and is answered without a status.
            assert not answer.raw.startswith(b"HTTP/") or 400 <= answer.status < 500, trick
            continue
        assert answer.status == 200, trick
        for received in seen:
            assert judged_alike(front, received), trick
            path = received.target.partition("?")[0]
            assert path in (PATH, "/todos") or path.startswith(f"{PATH}/"), trick
        passed.append(trick)
    assert {"absolute", "no route, in a query"} & set(passed)


@every_proxy
def test_another_method_than_the_requests_own_gets_a_bot_nowhere(front: Front) -> None:
    """What some frameworks would take for the method makes a bot's request no route."""
    for header in HEADERS:
        answer = front.send("/todos", fields={header: "DELETE"})
        for received in front.portal.take():
            # It went no further than the proxy.
            assert received.all(header) == []
            assert answer.status == 200
    assert is_denied(front.send("/todos", fields={HEADERS[0]: "DELETE"}), "unknown-action")
    for query in QUERIES.values():
        assert front.send(f"/todos?{query}").status == 403, query
    for method in ("DELETE", "TRACE", "CONNECT", "WEBSOCKET", "get", "PROPFIND"):
        assert 400 <= front.send("/todos", BOT, method).status < 600, method
    assert front.portal.take() == []


@every_proxy
def test_what_is_the_services_own_is_nothing_of_the_portals(front: Front) -> None:
    """A client that asks for the service's own paths is judged like any other."""
    for target in ("/forward-auth", "/forward-auth/todos", "/denied", "/access/v1/evaluation"):
        assert is_denied(front.send(target), "unknown-action")
    inside = front.send("/_automation_rules", Person())
    assert inside.status == (404 if front.name == "nginx" else 200)
    assert len(front.portal.take()) == (front.name != "nginx")


# --- websockets ---------------------------------------------------------------------------------


def talk(front: Front, caller: Caller | None, path: str) -> str:
    """Open a websocket and say something; return what the portal says."""
    headers = {"Cookie": front.cookies(caller)}
    uri = f"ws://127.0.0.1:{front.port}{path}"
    with connect(uri, additional_headers=headers, proxy=None, close_timeout=0.1) as websocket:
        websocket.send("hello")
        return str(websocket.recv(timeout=20))


@every_proxy
def test_websockets_open_for_those_who_may(front: Front) -> None:
    """A bot's websocket is judged before it opens; people's open as ever."""
    assert talk(front, BOT, "/updates") == "you said hello"
    [received] = front.portal.take()
    assert received.target == "/updates"
    assert account(received) == "acme-1"
    assert front.entries()[-1]["action"] == "view_updates"
    front.world.clock.move_to(EVENING)
    assert talk(front, Person(), "/chat") == "you said hello"
    front.portal.take()
    for caller, path in ((BOT, "/updates"), (None, "/updates"), (BOT, "/todos"), (BOT, "/chat")):
        with pytest.raises(InvalidStatus) as caught:
            talk(front, caller, path)
        response = caught.value.response
        assert response.status_code == 403
        assert b"urn:automation-rules:problem:" in bytes(response.body or b"")
    assert front.portal.take() == []


UPGRADES: Final = (
    ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    ("Upgrade: h2c", "Connection: close, Upgrade"),
    ("Upgrade: websocket, h2c", "Connection: Upgrade"),
    ("Upgrade: h2c", "Upgrade: websocket", "Connection: Upgrade"),
    ("Upgrade: websocket", "Upgrade: h2c", "Connection: Upgrade"),
    ("Upgrade: TLS/1.0", "Connection: Upgrade"),
    ("Upgrade: websocket",),
    ("Connection: Upgrade",),
)
"""Handshakes that are no websocket's, or only half of one."""

HANDSHAKE: Final = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")


@every_proxy
def test_a_connection_becomes_a_websocket_or_nothing(front: Front) -> None:
    """No other protocol, and no half handshake, leads past what was judged."""
    for lines in UPGRADES:
        for target in ("/todos", "/updates", "/static/app.css"):
            plain = front.data(target).replace(b"Connection: close\r\n", b"")
            data = forged(plain, *lines, *HANDSHAKE)
            answer = knock(front.port, data)
            seen = front.portal.take()
            # Whoever offers HTTP/2 is a client like any other.
            if lines in UPGRADES[:2] and target != "/updates":
                assert len(seen) == 1, lines
            for received in seen:
                upgrade = [value.lower() for value in received.all("Upgrade")]
                assert upgrade in ([], ["websocket"]), lines
                # A route for websockets lets nothing else through, and the reverse.
                assert (target == "/updates") is (upgrade == ["websocket"]), lines
                assert answer.startswith(b"HTTP/1.1 101 " if upgrade else b"HTTP/1.1 200 "), lines
    assert front.service.handshakes == 0


def knock(port: int, data: bytes) -> bytes:
    """Send a request that may keep the connection; return the beginning of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(data)
        return connection.recv(65_536)


# --- large bodies -------------------------------------------------------------------------------


@every_proxy
def test_large_bodies_pass_whole_or_not_at_all(front: Front) -> None:
    """Ten megabytes pass as they are; denied ones reach neither the portal nor the service."""
    digest = hashlib.sha256(LARGE).hexdigest()
    for caller in (BOT, Person()):
        answer = exchange(front.port, front.data(PATH, caller, "POST", LARGE))
        assert answer.status == 200
        [received] = front.portal.take()
        assert (received.length, received.digest) == (len(LARGE), digest)
    front.world.clock.move_to(EVENING)
    answer = exchange(front.port, front.data(PATH, BOT, "POST", LARGE))
    assert answer.status == 403
    assert b"outside-hours" in answer.body
    assert front.portal.take() == []
    assert front.service.bytes == 0


@every_proxy
def test_a_body_without_a_length_passes_whole_or_not_at_all(front: Front) -> None:
    """What comes in chunks is put together as it was, or reaches nobody."""
    data = forged(front.data(PATH, BOT, "POST"), "Transfer-Encoding: chunked")
    data += b"3\r\na=1\r\n" * 1000 + b"0\r\n\r\n"
    assert exchange(front.port, data).status == 200
    [received] = front.portal.take()
    assert (received.length, received.digest) == (3000, hashlib.sha256(b"a=1" * 1000).hexdigest())
    front.world.clock.move_to(EVENING)
    assert is_denied(exchange(front.port, data), "outside-hours")
    assert front.portal.take() == []
    assert front.service.bytes == 0


# --- trouble ------------------------------------------------------------------------------------


@every_proxy
def test_without_the_service_nobody_passes(house: House, name: str) -> None:
    """When the service is down, every request is denied, a person's too."""
    world = house.front(name).world
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = taken.getsockname()[1]
    with running(name, house.folder / "gone", house.portal.port, gone) as port:
        alone = Front(name, port, house.portal, house.fronts[name].service, world)
        for caller in (BOT, Person(), None):
            assert alone.send("/todos", caller).status == _WITHOUT_SERVICE[name]
        with pytest.raises(InvalidStatus) as caught:
            talk(alone, BOT, "/updates")
    assert caught.value.response.status_code == _WITHOUT_SERVICE[name]
    assert house.portal.take() == []


_WITHOUT_SERVICE: Final = {"nginx": 500, "caddy": 502, "traefik": 500, "envoy": 403}
_GIVES_UP_AFTER: Final = {"nginx": 5.0, "caddy": 5.0, "envoy": 5.0, "traefik": 30.0}
_TOO_SLOW: Final = {"nginx": 500, "caddy": 504, "traefik": 500, "envoy": 403}


def wait_for(house: House, names: tuple[str, ...], least: float) -> None:
    """Ask each proxy at once, with a service that never answers; see when it denies."""
    with socket.create_server(("127.0.0.1", 0)) as silent, ExitStack() as stack:
        waits: dict[str, Callable[[], tuple[int, float]]] = {}
        for name in names:
            folder = house.folder / f"silent-{least}"
            folder.mkdir(exist_ok=True)
            port = stack.enter_context(
                running(name, folder, house.portal.port, silent.getsockname()[1])
            )
            front = Front(name, port, house.portal, Watched(None), house.world)
            waits[name] = _begin(front)
        for name, wait in waits.items():
            status, seconds = wait()
            assert status == _TOO_SLOW[name]
            assert least - 1 < seconds < least + 5
            assert _GIVES_UP_AFTER[name] == least
    assert house.portal.take() == []


def _begin(front: Front) -> Callable[[], tuple[int, float]]:
    """Begin a request; return what waits for its status and tells how long it took."""
    told: list[tuple[int, float]] = []
    data = front.data("/todos", Person())

    def ask() -> None:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", front.port), timeout=60) as connection:
            connection.sendall(data)
            answer = Answer(connection.recv(65_536))
        told.append((answer.status, time.monotonic() - began))

    thread = threading.Thread(target=ask)
    thread.start()

    def wait() -> tuple[int, float]:
        thread.join(60)
        return told[0]

    return wait


def test_a_service_that_does_not_answer_has_denied(house: House) -> None:
    """A proxy waits for its limit, not longer, and passes nothing on."""
    house.portal.take()
    wait_for(house, ("nginx", "caddy", "envoy"), 5.0)


@pytest.mark.exhaustive
def test_traefik_waits_half_a_minute_and_denies(house: House) -> None:
    """Traefik's limit is its own, and cannot be set: thirty seconds."""
    house.portal.take()
    wait_for(house, ("traefik",), 30.0)


def test_one_nginx_may_have_two_services(house: House, tmp_path: Path) -> None:
    """What one service denied, the other tells, so that nginx may ask either each time."""
    house.world.clock.move_to(EVENING)
    with ExitStack() as stack:
        ports = [
            stack.enter_context(service(house.world, house.gateway, "nginx"))[0] for _ in range(2)
        ]
        port = stack.enter_context(running("nginx", tmp_path, house.portal.port, *ports))
        front = Front("nginx", port, house.portal, Watched(None), house.world)
        house.portal.take()
        for _ in range(6):
            answer = front.send(PATH)
            assert is_denied(answer, "outside-hours")
            assert answer.headers["retry-after"] == str(13 * 60 * 60 + 30 * 60)
            assert answer.json["decision_id"] == front.entries()[-1]["decision_id"]
    assert house.portal.take() == []


def test_services_of_their_own_stand_in_for_each_other(house: House, tmp_path: Path) -> None:
    """Two `automation-rules serve` behind one nginx: when one is killed, the other goes on."""
    pair = Ed25519PrivateKey.generate()
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = tmp_path / "mark.pub"
    key.write_bytes(pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    options: list[str | Path] = ["--forward-auth", "nginx", "--routes", EXAMPLES / "routes.toml"]
    options += ["--mark-key", key, "--session-cookie", "portal_session"]
    house.world.clock.move_to(WORKDAY)
    mark = Marks(private, clock=house.world.clock).sign(BOT, "s-1")
    cookies = f"portal_session=s-1; {COOKIE}={mark}"
    with Service(house.world, *options) as one, Service(house.world, *options) as other:
        ports = [int(service.url.rpartition(":")[2]) for service in (one, other)]
        with running("nginx", tmp_path, house.portal.port, *ports) as port:
            house.portal.take()
            for still_two in (True, False):
                for _ in range(4):
                    assert exchange(port, request("/todos", Cookie=cookies)).status == 200
                    denied = exchange(port, request("/payments", Cookie=cookies))
                    assert is_denied(denied, "unknown-action")
                if still_two:
                    one.process.kill()
    assert [received.target for received in house.portal.take()] == ["/todos"] * 8
