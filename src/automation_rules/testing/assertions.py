"""Assertions about decisions that explain themselves when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..decision import Decision
from ..request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..policy import Policy

__all__ = ["assert_allowed", "assert_denied"]


def assert_allowed(
    by: Policy | Decision, request: Request | Mapping[str, Any] | str | bytes | None = None
) -> Decision:
    """Assert that ``request`` is allowed, and return the decision.

    ``by`` is the policy that decides, or a decision already made; ``request`` is then left out.

    Raises:
        AssertionError: it is denied; the message is the decision's explanation.
    """
    decision = _decision(by, request)
    if not decision.allowed:
        raise AssertionError(f"expected to be allowed\n{decision.explain()}")
    return decision


def assert_denied(
    by: Policy | Decision,
    request: Request | Mapping[str, Any] | str | bytes | None = None,
    *,
    check: str | None = None,
    code: str | None = None,
) -> Decision:
    """Assert that ``request`` is denied, by ``check`` and with ``code`` if they are given.

    Raises:
        AssertionError: it is allowed, or denied for other reasons only; the message is the
            decision's explanation.
    """
    decision = _decision(by, request)
    found = [
        finding
        for finding in decision.failures
        if check in (None, finding.check) and code in (None, finding.code)
    ]
    if decision.allowed or not found:
        wanted = ".".join(part for part in (check or "*", code or "*"))
        raise AssertionError(f"expected to be denied by {wanted}\n{decision.explain()}")
    return decision


def _decision(
    by: Policy | Decision, request: Request | Mapping[str, Any] | str | bytes | None
) -> Decision:
    if isinstance(by, Decision):
        if request is not None:
            raise TypeError("give a policy and a request, or a decision alone")
        return by
    if request is None:
        raise TypeError("give the request that the policy is to decide")
    if not isinstance(request, Request):
        request = Request.from_document(
            request if isinstance(request, str | bytes) else dict(request)
        )
    return by.decide(request)
