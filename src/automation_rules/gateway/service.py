"""The decision service: AuthZEN 1.0 over HTTP, for portals that do not embed the gateway.

`create_app` returns an ASGI application. Every decision is answered with 200; other statuses say
that the question itself was not taken: who asked is not known, or what was asked cannot be read.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from cachetools import TLRUCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, Router

from ..clock import monotonic
from ..errors import (
    ClockError,
    InvalidInputError,
    InvalidPolicyError,
    InvalidRequestError,
    StoreError,
    VerificationError,
)
from ..inputs import error_document
from ..request import Semantic
from ..store import Registry, ServiceTokens
from ..verification import READ_HEAD
from .authzen import (
    MAX_BATCH,
    Question,
    Search,
    Searched,
    answer,
    error_answer,
    failed_search_answer,
    read_questions,
    read_search,
    search_answer,
)
from .callers import Automation
from .current import FRESH_SECONDS
from .metrics import Metrics
from .openapi import openapi
from .problems import problem_type
from .search import find
from .tracing import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ..store import Store
    from .core import Gateway

    _Handler = Callable[[Request], Awaitable[Response]]

__all__ = ["MAX_BODY", "create_app"]

_events: Final = structlog.get_logger("automation_rules.gateway")

MAX_BODY: Final = 262_144
"""The most bytes of a request's body, unless the service is told another number."""

BODY_SECONDS: Final = 10.0
"""How long the body of a request may take to arrive."""

READY_SECONDS: Final = 5.0

MOST_TOKENS: Final = 1_000

_REQUEST_ID: Final = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?", re.ASCII)
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.ASCII | re.IGNORECASE)


def create_app(
    gateway: Gateway,
    store: Store,
    *,
    public_url: str | None = None,
    routes: Sequence[BaseRoute] = (),
    max_body: int = MAX_BODY,
    max_batch: int = MAX_BATCH,
) -> ASGIApp:
    """Return the service over ``gateway``, whose state is ``store``.

    ``public_url`` is the https URL by which callers know the service: without it there is no
    metadata to give them. ``routes`` are served as well, without a token.
    """
    service = _Service(gateway, store, public_url, max_body=max_body, max_batch=max_batch)
    return _Edge(Router([*service.routes(), *routes], redirect_slashes=False))


_TITLES: Final = {
    400: "Bad request",
    401: "Unknown caller",
    404: "Not found",
    405: "Method not allowed",
    408: "Request too slow",
    413: "Request too large",
    503: "Not available",
}
_FAILED: Final = "Service failed"


class _RefusedError(Exception):
    """A question that is not taken, and the problem details (RFC 9457) that say why."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.errors = errors
        self.headers = headers

    @classmethod
    def of(cls, error: InvalidInputError) -> _RefusedError:
        said = error_document(error.errors)
        return cls(said["status"], said["message"], errors=said["errors"])

    def response(self) -> Response:
        title = _TITLES.get(self.status, _FAILED)
        document: dict[str, Any] = {
            "type": problem_type(title.lower().replace(" ", "_")),
            "title": title,
            "status": self.status,
            "detail": str(self),
        }
        if self.errors:
            document["errors"] = list(self.errors)
        return _json(document, self.status, "application/problem+json", self.headers)


def _json(
    document: object,
    status: int = 200,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    # Answers hold for an instant, and name what only the asker may know.
    return Response(body, status, {"Cache-Control": "no-store", **(headers or {})}, media_type)


class _Edge:
    """What stands around every route: request ids, errors, and that nothing leaves unanswered."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        # Starlette's routes raise for a wrong method when they are part of an application.
        scope["app"] = self
        answered = False
        request_id = Headers(scope=scope).get("x-request-id", "")

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                if _REQUEST_ID.fullmatch(request_id):
                    MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._router(scope, receive, send_with_id)
        except Exception as error:
            if not answered:
                await _refusal_of(error).response()(scope, receive, send_with_id)


def _refusal_of(error: Exception) -> _RefusedError:
    if isinstance(error, _RefusedError):
        return error
    if isinstance(error, HTTPException):
        return _RefusedError(error.status_code, error.detail, headers=error.headers)
    _events.error("not_answered", problem=type(error).__name__)
    return _RefusedError(500, "Something unforeseen happened: treat this as denied.")


class _Service:
    """The routes, and what they work on."""

    def __init__(
        self,
        gateway: Gateway,
        store: Store,
        public_url: str | None,
        *,
        max_body: int,
        max_batch: int,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._registry = Registry(store, gateway.clock)
        self._callers = _Callers(ServiceTokens(store, gateway.clock))
        self._metrics = Metrics(gateway, store)
        self._public_url = public_url
        self._max_body = max_body
        self._max_batch = max_batch
        self._openapi = json.dumps(openapi(public_url, most=max_batch)).encode()

    def routes(self) -> list[BaseRoute]:
        well_known = "/.well-known/authzen-configuration"
        routes = [
            _post("/access/v1/evaluation", self._evaluate),
            _post("/access/v1/evaluations", self._evaluate),
            *(
                _post(f"/access/v1/search/{searched.value}", self._searching(searched))
                for searched in Searched
            ),
            _get(well_known, self._metadata),
            _get("/openapi.json", self._describe),
            _get("/healthz", self._is_alive),
            _get("/readyz", self._is_ready),
            _get("/metrics", self._figures),
        ]
        if self._public_url is not None and (path := urlsplit(self._public_url).path):
            routes.append(_get(well_known + path, self._metadata))
        return list(routes)

    # --- decisions --------------------------------------------------------------------------

    async def _evaluate(self, request: Request) -> Response:
        trouble = await self._require_caller(request)
        request_id = _request_id(request)
        body = await self._body(request)
        try:
            questions = read_questions(body, most=self._max_batch)
        except InvalidRequestError as error:
            raise _RefusedError.of(error) from None
        trace_id = trace_id_of(request.headers)

        async def ask(item: Question | InvalidRequestError) -> dict[str, Any]:
            if isinstance(item, InvalidRequestError):
                return error_answer(item)
            if trouble is not None:
                undecided = self._gateway.undecided(item.account_id, item.step, trouble)
                self._metrics.count(undecided)
                return answer(undecided)
            caller = Automation(item.account_id)
            return answer(
                await self._gateway.ask_async(
                    caller, item.step, request_id=request_id, trace_id=trace_id
                )
            )

        if questions.is_batch:
            return _json({"evaluations": await _ask_all(questions.items, ask, questions.semantic)})
        [item] = questions.items
        if isinstance(item, InvalidRequestError):
            raise _RefusedError.of(item)
        return _json(await ask(item))

    def _searching(self, searched: Searched) -> _Handler:
        async def search(request: Request) -> Response:
            trouble: Exception | None = await self._require_caller(request)
            _request_id(request)
            body = await self._body(request)
            try:
                wanted = read_search(searched, body)
            except InvalidRequestError as error:
                raise _RefusedError.of(error) from None
            if trouble is None:
                try:
                    found = await asyncio.to_thread(find, wanted, self._gateway, self._registry)
                    return _json(search_answer(wanted, *found))
                except (StoreError, InvalidPolicyError, ClockError) as error:
                    trouble = error
            return _json(self._not_searched(wanted, trouble))

        return search

    def _not_searched(self, wanted: Search, trouble: Exception) -> dict[str, Any]:
        question = wanted.question
        return failed_search_answer(
            self._gateway.undecided(question.account_id, question.step, trouble)
        )

    # --- about the service ------------------------------------------------------------------

    async def _metadata(self, _request: Request) -> Response:
        if self._public_url is None:
            raise _RefusedError(
                404,
                "The service does not know its https URL: start it with --public-url.",
            )
        base = self._public_url.rstrip("/")
        search = {
            f"search_{searched.value}_endpoint": f"{base}/access/v1/search/{searched.value}"
            for searched in Searched
        }
        return _json(
            {
                "policy_decision_point": self._public_url,
                "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
                "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
                **search,
            },
            headers={"Cache-Control": "max-age=3600"},
        )

    async def _describe(self, _request: Request) -> Response:
        return Response(self._openapi, media_type="application/json")

    async def _is_alive(self, _request: Request) -> Response:
        return _json({"alive": True})

    async def _is_ready(self, _request: Request) -> Response:
        """Say whether a decision could be made and recorded now, without making one."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.to_thread(self._check)
        except Exception as error:
            trouble = _trouble(error)
            _events.warning("not_ready", part=trouble, problem=type(error).__name__)
            return _json({"ready": False, "problem": trouble}, 503)
        return _json({"ready": True})

    def _check(self) -> None:
        self._gateway.check()
        with self._store.transaction() as connection:
            # As an append does, this takes the right to write; but it writes nothing.
            connection.execute(READ_HEAD.with_for_update())

    async def _figures(self, request: Request) -> Response:
        trouble = await self._require_caller(request)
        if trouble is not None:
            raise _RefusedError(503, "The state cannot be read.")
        accept = request.headers.get("accept", "")
        text, content_type = await asyncio.to_thread(self._metrics.text, accept)
        return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    # --- requests ---------------------------------------------------------------------------

    async def _require_caller(self, request: Request) -> StoreError | None:
        """Refuse who has no token; return why it cannot be told, when the state cannot be read."""
        found = _BEARER.fullmatch(request.headers.get("authorization", ""))
        if found is None:
            raise _unauthorized("Give a token of this service: Authorization: Bearer …", "")
        try:
            name = await self._callers.name(found[1])
        except StoreError as error:
            return error
        if name is None:
            raise _unauthorized("This token is none of this service.", ', error="invalid_token"')
        return None

    async def _body(self, request: Request) -> bytes:
        media_type = request.headers.get("content-type", "").partition(";")[0]
        if media_type.strip().lower() != "application/json":
            raise _RefusedError(400, "Content-Type: must be application/json")
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._max_body:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for part in request.stream():
                    body += part
                    if len(body) > self._max_body:
                        raise self._too_large()
        except TimeoutError:
            raise _RefusedError(
                408,
                f"The body did not arrive within {BODY_SECONDS:.0f} seconds.",
                headers={"Connection": "close"},
            ) from None
        except ClientDisconnect:
            raise _RefusedError(400, "The body broke off.") from None
        return bytes(body)

    def _too_large(self) -> _RefusedError:
        return _RefusedError(413, f"The body has more than {self._max_body} bytes.")


def _get(path: str, handler: _Handler) -> Route:
    return Route(path, handler, methods=["GET"])


def _post(path: str, handler: _Handler) -> Route:
    return Route(path, handler, methods=["POST"])


async def _ask_all(
    items: Iterable[Question | InvalidRequestError],
    ask: Callable[[Question | InvalidRequestError], Awaitable[dict[str, Any]]],
    semantic: Semantic,
) -> list[dict[str, Any]]:
    """Return the answers in order, as far as the semantic wants them (section 7.1.2.1)."""
    if semantic is Semantic.EXECUTE_ALL:
        # Together, so that they share a commit.
        return await asyncio.gather(*(ask(item) for item in items))
    ends_with = semantic is Semantic.PERMIT_ON_FIRST_PERMIT
    answers = []
    for item in items:
        answers.append(await ask(item))
        if answers[-1]["decision"] is ends_with:
            break
    return answers


def _request_id(request: Request) -> str | None:
    """Return the caller's name for the request, which it gets back as it was."""
    given = request.headers.get("x-request-id")
    if given is not None and not _REQUEST_ID.fullmatch(given):
        raise _RefusedError(
            400,
            "X-Request-ID: must be 1 to 200 printable ASCII characters",
        )
    return given


def _unauthorized(detail: str, more: str) -> _RefusedError:
    challenge = f'Bearer realm="automation-rules"{more}'
    return _RefusedError(401, detail, headers={"WWW-Authenticate": challenge})


def _trouble(error: Exception) -> str:
    """Return which part is not ready, in one word: whoever asks need not have a token."""
    match error:
        case InvalidPolicyError():
            return "policy"
        case ClockError():
            return "clock"
        case VerificationError():
            return "log"
    return "state"


@dataclass(frozen=True, slots=True)
class _Known:
    read: float
    name: asyncio.Future[str | None]


class _Callers:
    """Whose token it is, by what the state said at most half a second ago.

    For one event loop.
    """

    def __init__(self, tokens: ServiceTokens) -> None:
        self._tokens = tokens
        self._known: TLRUCache[bytes, _Known] = TLRUCache(
            MOST_TOKENS, lambda _, known, __: known.read + FRESH_SECONDS, timer=monotonic
        )

    async def name(self, token: str) -> str | None:
        """Return the caller's name, None for nobody's token; raise `StoreError`."""
        key = sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is None:
            read = monotonic()
            asked = asyncio.ensure_future(asyncio.to_thread(self._tokens.verify, token))
            known = self._known[key] = _Known(read, asked)
        # Whoever comes meanwhile waits for the same answer, also when the first one leaves.
        return await asyncio.shield(known.name)
