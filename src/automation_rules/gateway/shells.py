"""What the shells have in common: the path that counts, and what a request says of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ..actions import Action
from ..enforcer import Step
from ..routes import WEBSOCKET
from .callers import Automation, Person, Visitor
from .core import UNKNOWN_ROUTE, Passage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .callers import Caller

__all__ = [
    "PEOPLE",
    "THROUGH",
    "checked_caller",
    "checked_step",
    "judged_method",
    "judged_path",
    "may_be_refined",
    "named",
]

THROUGH: Final = Passage(allowed=True)
"""Nobody had to be asked."""

PEOPLE: Final = (Person, Visitor)
"""Callers that are let through as they come."""

_MOST_NAME: Final = 200
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def judged_method(method: str) -> str:
    """Return the method that routes are matched by.

    What routes call a websocket's is none that a client can send: it is in doubt, and "".
    """
    return "" if method == WEBSOCKET else method


def judged_path(path: str, below: str, raw: Iterable[str]) -> str:
    """Return the path that the portal's own routing goes by, or "" when that is in doubt.

    ``path`` is the whole path as decoded, ``below`` what is left of it under the portal's mount
    point, and ``raw`` the paths as received, where the server tells any. A path that decoding
    changed was written in another form than its own, and nothing but its own form is a route.
    """
    return below if all(received in (path, below) for received in raw) else ""


def named(headers: Mapping[str, str]) -> dict[str, str | None]:
    """Return what the log keeps of a request's own names, from its fields in lower case.

    They are ``X-Request-ID``, when it is of a sensible length, and the trace's id in
    ``traceparent`` (W3C Trace Context, section 3.2).
    """
    request_id = headers.get("x-request-id", "")
    trace = _TRACEPARENT.fullmatch(headers.get("traceparent", ""))
    return {
        "request_id": request_id if 0 < len(request_id) <= _MOST_NAME else None,
        "trace_id": None if trace is None else trace[1],
    }


def checked_caller(caller: Any) -> Caller | None:
    """Return what a portal's ``identify`` said; raise TypeError when it is no answer."""
    if caller is None or isinstance(caller, PEOPLE):
        return caller
    if isinstance(caller, Automation) and isinstance(caller.account_id, str | None):
        return caller
    raise TypeError("identify must return a Person, a Visitor, an Automation or None")


def checked_step(step: Any) -> Step:
    """Return what a portal's ``refine`` said; raise TypeError when it is no step."""
    if isinstance(step, Step):
        return step
    raise TypeError("refine must return a Step")


def may_be_refined(step: Step) -> bool:
    """Whether the portal may say more about a step: not when nothing hangs on it."""
    return step is not UNKNOWN_ROUTE and step.action is not Action.SIGN_OUT
