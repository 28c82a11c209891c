"""Deciding, and nothing else: no clock, no files, no state.

A `Policy` is a list of checks. `Policy.decide` asks every one of them, so that one answer names
everything that is wrong; what follows in time is worked out from the same checks when it is asked.
"""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .checks import Check, broken, evaluate, readings_of
from .checks.base import earliest
from .decision import Decision, Finding, Outcome, PolicyInfo
from .errors import FieldError, InvalidPolicyError
from .readings import check_readings
from .windows import LAST_YEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from .activity import ActivityLimits
    from .decision import Obligation
    from .request import Request
    from .texts import Text

__all__ = ["RETRY_WITHIN", "Policy"]

RETRY_WITHIN: Final = timedelta(days=400)
"""How far ahead an instant is looked for at which waiting would have helped."""

# Looking a member up on its enum costs more than a small check does.
_PASS: Final = Outcome.PASS
_WARN: Final = Outcome.WARN
_FAIL: Final = Outcome.FAIL
_NOT_APPLICABLE: Final = Outcome.NOT_APPLICABLE

_NOTHING_APPLIED: Final = Finding("policy", Outcome.FAIL, "nothing_applied")


class Policy:
    """An immutable list of checks with an identity.

    A request is allowed when no check fails and at least one passes: a policy that has nothing to
    say about a request denies it. ``monitor`` is what the activity monitor watches for; it takes
    no part in a decision.
    """

    __slots__ = ("_evaluators", "_timed", "checks", "info", "monitor", "readings", "title")

    checks: tuple[Check, ...]
    info: PolicyInfo
    monitor: ActivityLimits | None
    readings: Mapping[str, str]
    title: Text | None

    def __init__(
        self,
        id: str,
        version: str,
        checks: Iterable[Check],
        *,
        title: Text | None = None,
        monitor: ActivityLimits | None = None,
    ) -> None:
        """Join ``checks`` under an identifier and a version.

        Raises:
            InvalidPolicyError: no identifier, no version, no check, two checks of one name, or of
                different values of one reading.
        """
        self.checks = tuple(checks)
        self.title = title
        self.monitor = monitor
        errors = [
            FieldError(f"/{name}", "must not be empty")
            for name, value in (("id", id), ("version", version), ("checks", self.checks))
            if not value
        ]
        seen: set[str] = set()
        for index, check in enumerate(self.checks):
            if check.id in seen:
                errors.append(
                    FieldError(f"/checks/{index}/id", f"{check.id!r} is taken by an earlier check")
                )
            seen.add(check.id)
        if errors:
            raise InvalidPolicyError(errors)
        self.readings = check_readings(readings_of(self.checks))
        self._evaluators = tuple((check.evaluate, check) for check in self.checks)
        # The others never name an instant.
        self._timed = tuple(check for check in self.checks if _looks_at_time(check))
        self.info = PolicyInfo(id, version, _digest(self._describe(id, version)))

    def __repr__(self) -> str:
        """Name the policy and count its checks."""
        return f"<Policy {self.info.id} {self.info.version}: {len(self.checks)} checks>"

    def with_checks(self, *checks: Check, id: str | None = None) -> Policy:
        """Return this policy with further checks after its own.

        Raises:
            InvalidPolicyError: a check has the name of another.
        """
        together = (*self.checks, *checks)
        return Policy(
            id or self.info.id,
            self.info.version,
            together,
            title=self.title,
            monitor=self.monitor,
        )

    def describe(self) -> dict[str, Any]:
        """Return all that the digest covers, in the shape of a policy file."""
        return self._describe(self.info.id, self.info.version)

    def _describe(self, id: str, version: str) -> dict[str, Any]:
        return {
            "format": 1,
            "id": id,
            "version": version,
            **({"title": self.title.to_document()} if self.title else {}),
            "readings": dict(self.readings),
            "checks": [check.describe() for check in self.checks],
            **({"monitor": self.monitor.describe()} if self.monitor else {}),
        }

    def decide(self, request: Request) -> Decision:
        """Answer ``request`` by every check. Pure, and the same for one instant in any zone."""
        findings: list[Finding] = []
        denied = False
        passed = False
        for answer, check in self._evaluators:
            try:
                finding = answer(request)
                outcome = finding.outcome
            except Exception as error:
                finding = broken(check, error)
                outcome = _FAIL
            if outcome is _PASS or outcome is _WARN:
                passed = True
            elif outcome is not _NOT_APPLICABLE:
                denied = True
                if outcome is not _FAIL:
                    finding = broken(check, TypeError())
            findings.append(finding)
        if not passed and not denied:
            findings.append(_NOTHING_APPLIED)
        return Decision(request, tuple(findings), passed and not denied, self)

    def retry_after(self, request: Request, findings: tuple[Finding, ...]) -> datetime | None:
        """Return the first instant within 400 days at which the window passes.

        None when anything but the window fails, for then waiting would not help.
        """
        failing = {finding.check for finding in findings if finding.outcome is Outcome.FAIL}
        if failing != {"window"}:
            return None
        (window,) = (check for check in self.checks if check.id == "window")
        last = request.time + RETRY_WITHIN
        try:
            for later in _moments(request, (window,)):
                if later.time > last:
                    return None
                if evaluate(window, later).outcome is not Outcome.FAIL:
                    return later.time
        except Exception:
            return None
        return None

    def valid_until(self, request: Request) -> datetime | None:
        """Return the first instant after ``request.time`` at which it would be denied.

        None when nothing ends it; ``request.time`` itself when a check cannot say.
        """
        try:
            for later in _moments(request, self._timed):
                if not self.decide(later).allowed:
                    return later.time
        except Exception:
            return request.time
        return None

    def obligations(self, request: Request, retry_after: datetime) -> tuple[Obligation, ...]:
        """Return what else must be done for ``request`` to be allowed at ``retry_after``."""
        later = request.at(retry_after)
        return tuple(
            check.obligation
            for check in self.checks
            if check.obligation and evaluate(check, later).outcome is Outcome.FAIL
        )


def _looks_at_time(check: Check) -> bool:
    asked = getattr(check, "next_change", None)
    return getattr(asked, "__func__", None) is not Check.next_change


def _moments(request: Request, checks: Iterable[Check]) -> Iterator[Request]:
    """Yield ``request`` at every later instant at which some check's answer may change.

    Ends with the years that the calendars know.

    Raises:
        ValueError: a check names an instant that is not later.
    """
    checks = tuple(checks)
    while (instant := earliest(check.next_change(request) for check in checks)) is not None:
        if instant <= request.time:
            raise ValueError("a check's next change must be later than the request")
        request = request.at(instant)
        if request.today.year > LAST_YEAR:
            return
        yield request


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
