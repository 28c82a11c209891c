"""Forward authentication: a proxy asks, before it passes a request on, whether it may.

nginx (``auth_request``), Caddy (``forward_auth``), Traefik (ForwardAuth) and Envoy (``ext_authz``
over HTTP) each tell of the request in their own way. The one that stands in front is named, never
guessed: a header that one of them sets is, behind another, the client's own.

Every answer is a 200 or a 403; each says whose request it is in ``X-Automation-Account``, which
is empty for people, so that what a client sends under that name never reaches the portal. nginx
loses what a 403 says, and asks for it again at ``/denied``.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args
from urllib.parse import quote

import structlog
from cachetools import LRUCache
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, NoMatchFound, Route

from ..actions import Action
from ..audit import DecisionLog
from ..decision import Decision, Finding, Outcome, PolicyInfo
from ..enforcer import UNMARKED
from ..errors import ClockError, FieldError, InvalidInputError
from ..inputs import parse_instant
from ..leaf_reasons import read_entry, reasons
from ..request import Context, LandlordFacts, Request, Resource, Subject
from ..routes import WEBSOCKET
from ..texts import ui
from .callers import Automation, Person, Visitor
from .core import Passage
from .marks import COOKIE
from .problems import denial, problem_title
from .shells import THROUGH, named
from .tracing import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from datetime import datetime

    from starlette.datastructures import URLPath
    from starlette.requests import Request as HttpRequest
    from starlette.types import Receive, Scope, Send

    from ..audit import Entry
    from ..decision import Obligation
    from ..leaf_reasons import Reason
    from ..store import Store
    from ..texts import Text
    from .callers import Caller
    from .core import Gateway
    from .marks import Marks

__all__ = ["ADAPTERS", "Adapter", "forward_auth_routes"]

Adapter = Literal["nginx", "caddy", "traefik", "envoy"]

ADAPTERS: Final[tuple[Adapter, ...]] = get_args(Adapter)
"""The proxies that can stand in front."""

PATH: Final = "/forward-auth"
"""Where the proxy asks; Envoy adds the path that it asks about."""

WEBSOCKET_PATH: Final = f"{PATH}/websocket"
"""Where Traefik asks about websockets, of whose handshake it tells nothing else."""

DENIED_PATH: Final = "/denied"

KEPT: Final = 1_000
"""How many denials one process keeps in memory, for `DENIED_PATH`."""

LOOKED_AT: Final = 1_000
"""How many of the log's last entries are searched for a denial that another process gave."""

_events: Final = structlog.get_logger("automation_rules.gateway")

_ACCOUNT: Final = "X-Automation-Account"
_DECISION: Final = "X-Decision-Id"
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def forward_auth_routes(
    gateway: Gateway, store: Store, marks: Marks, *, adapter: Adapter, session_cookie: str
) -> list[BaseRoute]:
    """Return the routes by which a proxy asks ``gateway``, whose log is in ``store``.

    ``marks`` read whose sessions they are; ``session_cookie`` is the name of the portal's own
    cookie. Who is not marked is taken for a bot that nobody knows, except where the route table
    has the step ``sign_in``: there the portal itself asks about whom it is going to let in.

    Raises:
        InvalidInputError: there is no such adapter, or no cookie can have such a name.
    """
    if adapter not in ADAPTERS:
        problem = f"must be one of {', '.join(ADAPTERS)}"
        raise InvalidInputError([FieldError("/adapter", problem)])
    if not _COOKIE_NAME.fullmatch(session_cookie):
        problem = "must be the name of a cookie: letters, digits and other visible ASCII"
        raise InvalidInputError([FieldError("/session_cookie", problem)])
    if session_cookie == COOKIE:
        problem = "must be the portal's own session cookie, not the mark's"
        raise InvalidInputError([FieldError("/session_cookie", problem)])
    asked = _ForwardAuth(gateway, store, marks, _ADAPTERS[adapter], session_cookie)
    return [_Questions(asked.answer), Route(DENIED_PATH, asked.tell, methods=["GET"])]


# RFC 6265, section 4.1.1: a token of RFC 2616.
_COOKIE_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


class _Questions(BaseRoute):
    """The route for `PATH` and all that is below it, of any method, by the path as received."""

    def __init__(self, answer: Callable[[Scope], Awaitable[Response]]) -> None:
        self._answer = answer

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_one = scope["type"] == "http" and f"{_raw_path(scope)}/".startswith(f"{PATH}/")
        return (Match.FULL if is_one else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(scope)
        await response(scope, receive, send)


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope["raw_path"]
    return raw.decode("latin-1")


# --- what the proxies tell ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Original:
    """The request that a proxy asks about; ``uri`` is raw, with its query."""

    method: str
    uri: str


class _Fields:
    """Header fields, by their names in lower case."""

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in raw:
            self._values.setdefault(name.decode("latin-1").lower(), []).append(
                value.decode("latin-1")
            )

    def one(self, name: str) -> str:
        """Return a field that must be there once; raise InvalidInputError."""
        found = self._values.get(name, [])
        if len(found) != 1:
            problem = f"must come once from the proxy, and came {len(found)} times"
            raise InvalidInputError([FieldError(f"/{name}", problem)])
        return found[0]

    def joined(self, separator: str = ", ") -> dict[str, str]:
        """Return every field, with the values of one that is repeated joined."""
        return {name: separator.join(values) for name, values in self._values.items()}

    def cookies(self) -> str:
        """Return the cookies, of however many fields (RFC 9113, section 8.2.3)."""
        return "; ".join(self._values.get("cookie", []))

    def upgraded(self, name: str, method: str) -> str:
        """Return the method as routes have it, given the field that tells of an upgrade."""
        upgrade = self.one(name) if name in self._values else ""
        return _upgraded(method, upgrade.lower() == "websocket") if upgrade else _plain(method)


def _plain(method: str) -> str:
    """Return a method as routes have it: theirs for websockets is none that a client may use."""
    if method == WEBSOCKET:
        raise _contradiction("no request has the method WEBSOCKET")
    return method


def _upgraded(method: str, is_websocket: bool) -> str:
    if method != "GET" or not is_websocket:
        raise _contradiction("only a GET can become something else, and only a websocket")
    return WEBSOCKET


def _contradiction(problem: str) -> InvalidInputError:
    return InvalidInputError([FieldError("/method", problem)])


def _only_at(path: str, scope: Scope) -> None:
    if _raw_path(scope) != path:
        raise InvalidInputError([FieldError("/path", f"must be {path} for this proxy")])


def _from_nginx(scope: Scope, fields: _Fields) -> _Original:
    _only_at(PATH, scope)
    method = fields.upgraded("x-original-upgrade", fields.one("x-original-method"))
    return _Original(method, fields.one("x-original-uri"))


def _from_caddy(scope: Scope, fields: _Fields) -> _Original:
    _only_at(PATH, scope)
    method = fields.upgraded("x-forwarded-upgrade", fields.one("x-forwarded-method"))
    return _Original(method, fields.one("x-forwarded-uri"))


def _from_traefik(scope: Scope, fields: _Fields) -> _Original:
    method = fields.one("x-forwarded-method")
    if _raw_path(scope) == WEBSOCKET_PATH:
        method = _upgraded(method, is_websocket=True)
    else:
        _only_at(PATH, scope)
        method = _plain(method)
    return _Original(method, fields.one("x-forwarded-uri"))


def _from_envoy(scope: Scope, fields: _Fields) -> _Original:
    method = fields.upgraded("x-forwarded-upgrade", scope["method"])
    path = _raw_path(scope).removeprefix(PATH)
    query = scope["query_string"].decode("latin-1")
    return _Original(method, f"{path}?{query}" if query else path)


_ADAPTERS: Final[Mapping[Adapter, Callable[[Scope, _Fields], _Original]]] = {
    "nginx": _from_nginx,
    "caddy": _from_caddy,
    "traefik": _from_traefik,
    "envoy": _from_envoy,
}


# --- answering ----------------------------------------------------------------------------------


class _ForwardAuth:
    """Asks the gateway for a proxy, and keeps what it denied."""

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        marks: Marks,
        read: Callable[[Scope, _Fields], _Original],
        session_cookie: str,
    ) -> None:
        self._gateway = gateway
        self._log = DecisionLog(store)
        self._marks = marks
        self._read = read
        self._session_cookie = session_cookie
        self._denied: LRUCache[str, Passage] = LRUCache(KEPT)

    async def answer(self, scope: Scope) -> Response:
        """Answer a proxy: 200 when it may pass the request on, else 403."""
        fields = _Fields(scope["headers"])
        caller = None
        try:
            caller = self._caller(fields)
            caller, passage = await self._ask(caller, scope, fields)
        except Exception as error:
            passage = self._gateway.refuse_unreadable(error)
        decision = passage.decision
        if passage.allowed:
            headers = {
                _ACCOUNT: _account(caller, passage),
                _DECISION: "" if decision is None else decision.decision_id,
                "Cache-Control": "no-store",
            }
            return Response(headers=headers)
        # What was not decided has no id of its own, and must be told by one all the same.
        name = str(uuid.uuid4()) if decision is None else decision.decision_id
        self._denied[name] = passage
        return self._denial(passage, name, fields)

    async def tell(self, request: HttpRequest) -> Response:
        """Tell why a decision denied, given its id and nothing else of what is to be told."""
        fields = _Fields(request.scope["headers"])
        try:
            decision_id = fields.one(_DECISION.lower())
        except InvalidInputError:
            decision_id = ""
        if not _ID.fullmatch(decision_id):
            return self._denial(_untold(""), "", fields)
        passage = self._denied.get(decision_id)
        if passage is None:
            try:
                passage = await asyncio.to_thread(_recorded, self._log, decision_id)
            except Exception as error:
                _events.warning("denial_not_found", problem=type(error).__name__)
        return self._denial(passage or _untold(decision_id), decision_id, fields)

    def _caller(self, fields: _Fields) -> Caller | None:
        try:
            return self._marks.read_cookies(fields.cookies(), self._session_cookie)
        except ClockError:
            # The gateway will find so too, and say it; but whoever wants to leave may.
            return None

    async def _ask(
        self, caller: Caller | None, scope: Scope, fields: _Fields
    ) -> tuple[Caller | None, Passage]:
        """Return what the gateway says, and who asks, which a sign-in may settle."""
        if isinstance(caller, Person | Visitor):
            return caller, THROUGH
        original = self._read(scope, fields)
        path, _, query = original.uri.partition("?")
        headers = fields.joined()
        step = self._gateway.route(original.method, path, query, headers)
        if step is None:
            return caller, THROUGH
        if caller is None and step.action is Action.SIGN_IN:
            return Visitor(), THROUGH
        return caller, await self._gateway.ask_async(
            caller,
            step,
            request_id=named(headers)["request_id"],
            trace_id=trace_id_of(headers),
        )

    def _denial(self, passage: Passage, decision_id: str, fields: _Fields) -> Response:
        asked = fields.joined()
        told = denial(
            passage,
            accept=asked.get("accept", ""),
            accept_language=asked.get("accept-language", ""),
            now=self._now(),
        )
        headers = {**dict(told.headers), _DECISION: decision_id}
        return Response(told.body, told.status, headers)

    def _now(self) -> datetime | None:
        try:
            return self._gateway.clock.now()
        except ClockError:
            return None


def _account(caller: Caller | None, passage: Passage) -> str:
    """Return whose request it is, as a header can carry it: percent-encoded (RFC 3986)."""
    if isinstance(caller, Person | Visitor):
        return ""
    account_id = caller.account_id if isinstance(caller, Automation) else passage.account_id
    return quote(account_id or UNMARKED, safe="@")


# --- what was denied elsewhere ------------------------------------------------------------------


def _untold(decision_id: str) -> Passage:
    """Return a denial whose reason is not known here; the log has it."""
    text = ui("denial.elsewhere", id=decision_id) if decision_id else ui("denial.unnamed")
    return Passage(allowed=False, findings=(Finding("gateway", Outcome.FAIL, text=text),))


def _recorded(log: DecisionLog, decision_id: str) -> Passage | None:
    """Return a denial as the log has it among its last entries, or None.

    A leaf has no messages: they are those of the codes, or, where a message tells of facts that
    the leaf lacks, what a problem of that code is called.

    Raises:
        StoreError: the log cannot be read.
    """
    size = log.head().size
    for entry in log.entries(max(log.first(), size - LOOKED_AT), size):
        if decision_id.encode() in entry.leaf and entry.document.get("decision_id") == decision_id:
            return _passage(entry)
    return None


def _passage(entry: Entry) -> Passage | None:
    leaf, at = read_entry(entry)
    findings = tuple(_finding(reason) for reason in reasons(leaf))
    if not findings:
        return None
    account_id = leaf["account"] or UNMARKED
    request = Request(
        Subject("automation_account", account_id),
        leaf["action"],
        Resource("portal", ""),
        Context(time=at, landlord=LandlordFacts(id=leaf["landlord"])),
        facts=leaf["facts"],
        ignored=tuple(leaf["ignored"]),
    )
    wait = leaf["retry_after"]
    decider = _Leaf(PolicyInfo(**leaf["policy"]), None if wait is None else parse_instant(wait))
    decision = _Recorded(
        request, findings, allowed=False, decider=decider, recorded_id=leaf["decision_id"]
    )
    return Passage(allowed=False, decision=decision, findings=findings, account_id=account_id)


@dataclass(frozen=True, slots=True)
class _Recorded(Decision):
    """A decision under the id that it was recorded with."""

    recorded_id: str = ""

    @property
    def decision_id(self) -> str:
        return self.recorded_id


@dataclass(frozen=True, slots=True)
class _Leaf:
    """What a leaf says of the policy that decided, and of when to ask again."""

    info: PolicyInfo
    wait: datetime | None

    def retry_after(self, request: Request, findings: tuple[Finding, ...]) -> datetime | None:  # noqa: ARG002
        return self.wait

    def valid_until(self, request: Request) -> datetime | None:  # noqa: ARG002
        return None

    def obligations(self, request: Request, retry_after: datetime) -> tuple[Obligation, ...]:  # noqa: ARG002
        return ()


def _finding(reason: Reason) -> Finding:
    finding = Finding(reason.check, Outcome.FAIL, reason.code, reason.clauses)
    return Finding(
        reason.check,
        Outcome.FAIL,
        reason.code,
        reason.clauses,
        text=_words(lambda: finding.message) or problem_title(reason.check, reason.code),
        advice=_words(lambda: finding.remedy),
    )


def _words(told: Callable[[], Text | None]) -> Text | None:
    """Return a text, unless it tells of facts that are not there."""
    try:
        return told()
    except TypeError:
        return None
