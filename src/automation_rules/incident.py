"""What an account submitted in a span of time, and why each submission was allowed.

For the report that the landlord owes the partnership manager when data that automation submitted
may be wrong (clause ``terms.report-incorrect-data``). Tenants and to-dos are tokens; they are
named by their references only where the log was opened with its vault and that is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .actions import Action
from .errors import NotRegisteredError
from .inputs import parse_instant
from .leaf_schema import read_leaf
from .request import Mode
from .terms import clauses_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from .audit import DecisionLog

    Facts = Mapping[str, Mapping[str, Any] | None]

__all__ = ["CheckRecorded", "IncidentReport", "Submission", "incident_report"]


@dataclass(frozen=True, slots=True)
class CheckRecorded:
    """How one check came out: its code, its clauses, and the readings that it rested on."""

    check: str
    outcome: str
    code: str | None
    clauses: tuple[str, ...]
    readings: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Submission:
    """One to-do that the account was allowed to submit.

    ``tenant`` and ``todo`` are references, None where they were not asked for, not given, or
    erased; the tokens stand for them in the log.
    """

    index: int
    time: datetime
    decision_id: str
    todo_kind: str | None
    tenant_token: str | None
    todo_token: str | None
    tenant: str | None
    todo: str | None
    policy: str
    checks: tuple[CheckRecorded, ...]


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """What one account did in [start, end), in UTC.

    ``denied`` counts what it was denied, ``tests`` and ``other`` what it was allowed otherwise.
    """

    account: str
    landlord: str | None
    start: datetime
    end: datetime
    submissions: tuple[Submission, ...]
    denied: int
    tests: int
    other: int


def incident_report(
    log: DecisionLog,
    account: str,
    start: datetime,
    end: datetime,
    *,
    with_references: bool = False,
) -> IncidentReport:
    """Return what ``account`` submitted from ``start`` until before ``end``.

    ``with_references`` opens the envelopes, for which the log needs its vault.

    Raises:
        NotRegisteredError: the log keeps no entry of that account at all.
        LogError: the log was opened without its vault, or the wrapping key is not this state's.
        VerificationError: an entry is not what an entry can be.
    """
    submissions: list[Submission] = []
    counts = {"denied": 0, "tests": 0, "other": 0}
    landlord, known = None, False
    entries: Iterator[tuple[Any, Facts]] = (
        log.opened() if with_references else ((entry, {}) for entry in log.entries())
    )
    for entry, facts in entries:
        document = read_leaf(entry.leaf, index=entry.index)
        if document.get("account") != account:
            continue
        known, landlord = True, document["landlord"] or landlord
        if not start <= parse_instant(document["time"]) < end:
            continue
        if not document["decision"]:
            counts["denied"] += 1
        elif document["mode"] != Mode.LIVE.value:
            counts["tests"] += 1
        elif document["action"] != Action.SUBMIT_TODO.value:
            counts["other"] += 1
        else:
            submissions.append(_submission(entry.index, document, facts))
    if not known:
        raise NotRegisteredError(f"the log keeps no entry of the account {account!r}")
    return IncidentReport(account, landlord, start, end, tuple(submissions), **counts)


def _submission(index: int, document: Mapping[str, Any], facts: Facts) -> Submission:
    tokens = document["tokens"]
    policy = document["policy"]
    return Submission(
        index,
        parse_instant(document["time"]),
        document["decision_id"],
        document["todo_kind"],
        tokens.get("tenant"),
        tokens.get("todo"),
        (facts.get("tenant") or {}).get("id"),
        (facts.get("todo") or {}).get("id"),
        f"{policy['id']} {policy['version']}",
        tuple(map(_check, document["checks"])),
    )


def _check(check: Mapping[str, Any]) -> CheckRecorded:
    try:
        clauses = clauses_for(check["check"], check["code"] or "")
    except LookupError:
        # A check that was somebody's own: an entry does not hold what it cites.
        clauses = ()
    return CheckRecorded(
        check["check"],
        check["outcome"],
        check["code"],
        clauses,
        tuple((use["name"], use["value"]) for use in check["readings"]),
    )
