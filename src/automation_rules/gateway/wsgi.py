"""The gateway as WSGI middleware, for Django, Flask and any other WSGI portal.

Requests of bots are decided before the portal sees them; what people send passes as it came. No
body is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

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
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ..enforcer import Step
    from .callers import Automation, Caller
    from .core import Gateway, Passage

    Identify: TypeAlias = Callable[[WSGIEnvironment], Caller | None]
    Refine: TypeAlias = Callable[[WSGIEnvironment, Step], Step]
    ExcInfo: TypeAlias = (
        tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
    )

__all__ = ["PASSAGE", "AutomationRulesMiddleware"]

PASSAGE: Final = "automation_rules.passage"
"""Where in the environment the portal finds the `Passage`."""

_RAW: Final = ("RAW_URI", "REQUEST_URI")
"""Where servers put the request target as received; no client can set these."""


class AutomationRulesMiddleware:
    """Lets a portal's bots do what the gateway allows, and its people what they like.

    ``identify`` is given the environment and returns who asks, as the portal's own session says;
    it must not trust what a client could have sent by itself. ``refine`` is given the environment
    and the step that the route table made of a bot's request, and returns it with what only the
    portal knows, such as the kind of a to-do; it is not asked about leaving. When one raises, the
    request is denied.

    Routes are matched against ``PATH_INFO``, by which the portal itself goes. The `Passage` is
    in ``environ["automation_rules.passage"]``. Nothing is kept from one request to the next.
    """

    def __init__(
        self,
        app: WSGIApplication,
        gateway: Gateway,
        identify: Identify,
        refine: Refine | None = None,
    ) -> None:
        """Stand in front of ``app``."""
        self.app = app
        self._gateway = gateway
        self._identify = identify
        self._refine = refine

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Decide, then pass the request on or answer it."""
        account_id = None
        try:
            caller = checked_caller(self._identify(environ))
        except Exception as error:
            passage = self._gateway.refuse_unreadable(error)
        else:
            if isinstance(caller, PEOPLE):
                passage = THROUGH
            else:
                passage = self._ask(environ, caller)
                account_id = None if caller is None else caller.account_id
        if not passage.allowed:
            return _deny(passage, environ, start_response)
        environ[PASSAGE] = passage
        if passage is THROUGH or account_id is None:
            return self.app(environ, start_response)
        return self._watch(account_id, environ, start_response)

    def _ask(self, environ: WSGIEnvironment, caller: Automation | None) -> Passage:
        headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        method, query = judged_method(environ["REQUEST_METHOD"]), environ.get("QUERY_STRING", "")
        step = self._gateway.route(method, _path(environ), query, headers)
        if step is None:
            return THROUGH
        if self._refine is not None and may_be_refined(step):
            try:
                step = checked_step(self._refine(environ, step))
            except Exception as error:
                return self._gateway.refuse_unreadable(error)
        return self._gateway.ask(caller, step, **named(headers))

    def _watch(
        self, account_id: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Pass the request on, and tell the gateway how it was answered."""
        started = False

        def watch(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            nonlocal started
            started = True
            write = start_response(status, headers, exc_info)
            self._gateway.observe(account_id, status=int(status[:3]))
            return write

        try:
            chunks = self.app(environ, watch)
        except Exception:
            self._gateway.observe(account_id, status=500)
            raise
        # Once it has begun, it is handed on as it is: servers know their own kinds of files.
        return chunks if started else _Unbegun(chunks, self._gateway, account_id)


class _Unbegun:
    """The body of a response that begins when the server asks for it, and may fail then."""

    def __init__(self, chunks: Iterable[bytes], gateway: Gateway, account_id: str) -> None:
        self._chunks = chunks
        self._gateway = gateway
        self._account_id = account_id

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception:
            self._gateway.observe(self._account_id, status=500)
            raise

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def _path(environ: WSGIEnvironment) -> str:
    below = environ.get("PATH_INFO", "")
    raw = [environ[name].partition("?")[0] for name in _RAW if name in environ]
    return judged_path(environ.get("SCRIPT_NAME", "") + below, below, raw)


def _deny(
    passage: Passage, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    told = denial(
        passage,
        accept=environ.get("HTTP_ACCEPT", ""),
        accept_language=environ.get("HTTP_ACCEPT_LANGUAGE", ""),
    )
    start_response(f"{told.status} Forbidden", list(told.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [told.body]
