"""The gateway as ASGI middleware, for Starlette, FastAPI, Django and any other ASGI portal.

Requests and websockets of bots are decided before the portal sees them; what people send passes
as it came. No body is read.
"""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from ..routes import WEBSOCKET
from .problems import denial
from .shells import (
    PEOPLE,
    THROUGH,
    checked_caller,
    checked_step,
    judged_method,
    judged_path,
    may_be_refined,
    named,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from ..enforcer import Step
    from .callers import Automation, Caller
    from .core import Gateway, Passage

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
    Identify: TypeAlias = Callable[[Scope], Caller | Awaitable[Caller | None] | None]
    Refine: TypeAlias = Callable[[Scope, Step], Step | Awaitable[Step]]

__all__ = ["AutomationRulesMiddleware"]

_DENIAL_RESPONSE = "websocket.http.response"
_POLICY_VIOLATION = 1008


class AutomationRulesMiddleware:
    """Lets a portal's bots do what the gateway allows, and its people what they like.

    ``identify`` is given the scope and returns who asks, as the portal's own session says; it
    must not trust what a client could have sent by itself. ``refine`` is given the scope and the
    step that the route table made of a bot's request, and returns it with what only the portal
    knows, such as the kind of a to-do; it is not asked about leaving. Either may be ``async``; a
    plain one must not block. When one raises, the request is denied.

    Routes are matched below the scope's ``root_path``, as the portal's own routing does. The
    `Passage` is in ``scope["state"]["automation_rules"]``. Nothing is kept from one request to
    the next.
    """

    def __init__(
        self, app: App, gateway: Gateway, identify: Identify, refine: Refine | None = None
    ) -> None:
        """Stand in front of ``app``."""
        self.app = app
        self._gateway = gateway
        self._identify = identify
        self._refine = refine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decide, then pass the request on or answer it; lifespan events pass."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        account_id = None
        try:
            caller = self._identify(scope)
            if not isinstance(caller, PEOPLE) and isawaitable(caller):
                caller = await caller
            caller = checked_caller(caller)
        except Exception as error:
            passage = self._gateway.refuse_unreadable(error)
        else:
            if isinstance(caller, PEOPLE):
                passage = THROUGH
            else:
                passage = await self._ask(scope, caller)
                account_id = None if caller is None else caller.account_id
        if not passage.allowed:
            await _deny(passage, scope, receive, send)
            return
        scope.setdefault("state", {})["automation_rules"] = passage
        if passage is THROUGH or account_id is None or scope["type"] != "http":
            await self.app(scope, receive, send)
        else:
            await self._watch(account_id, scope, receive, send)

    async def _ask(self, scope: Scope, caller: Automation | None) -> Passage:
        headers = _headers(scope)
        is_websocket = scope["type"] == "websocket"
        method = WEBSOCKET if is_websocket else judged_method(scope["method"])
        query = scope.get("query_string", b"").decode("latin-1")
        step = self._gateway.route(method, _path(scope), query, headers)
        if step is None:
            return THROUGH
        if self._refine is not None and may_be_refined(step):
            try:
                refined = self._refine(scope, step)
                if isawaitable(refined):
                    refined = await refined
                step = checked_step(refined)
            except Exception as error:
                return self._gateway.refuse_unreadable(error)
        return await self._gateway.ask_async(caller, step, **named(headers))

    async def _watch(self, account_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and tell the gateway how it was answered."""
        status = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            status = 500
            raise
        finally:
            if status is not None:
                self._gateway.observe(account_id, status=status)


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    mount: str = scope.get("root_path") or ""
    below = path
    if mount and path.startswith(mount):
        below = path[len(mount) :]
        if not below.startswith("/"):
            # Frameworks differ on where the mount point ends.
            return ""
    raw = scope.get("raw_path")
    return judged_path(path, below, () if raw is None else (raw.decode("latin-1"),))


def _headers(scope: Scope) -> dict[str, str]:
    """Return the header fields by their names in lower case; repeated ones are joined."""
    headers: dict[str, str] = {}
    for field, content in scope["headers"]:
        name, value = field.decode("latin-1").lower(), content.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _deny(passage: Passage, scope: Scope, receive: Receive, send: Send) -> None:
    headers = _headers(scope)
    told = denial(
        passage,
        accept=headers.get("accept", ""),
        accept_language=headers.get("accept-language", ""),
    )
    prefix = ""
    if scope["type"] == "websocket":
        # A server tells of the handshake before it takes an answer to it.
        await receive()
        if _DENIAL_RESPONSE not in (scope.get("extensions") or {}):
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})
            return
        prefix = "websocket."
    fields = [(name.lower().encode(), value.encode()) for name, value in told.headers]
    start = {"type": f"{prefix}http.response.start", "status": told.status, "headers": fields}
    await send(start)
    body = b"" if scope.get("method") == "HEAD" else told.body
    await send({"type": f"{prefix}http.response.body", "body": body, "more_body": False})
