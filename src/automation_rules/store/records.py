"""What the registry holds, beside landlords, people and accounts, and what rows of it mean."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..accounts import AccountStatus, AutomationAccount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from sqlalchemy import Row

    from ..accounts import Landlord

__all__ = [
    "AccountFacts",
    "AnnouncedChange",
    "CodeEntry",
    "KnownForm",
    "PortalClosure",
    "StatusChange",
    "Switch",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PortalClosure:
    """A time when the portal is closed, [start, end) in UTC (clause ``when.maintenance``)."""

    id: str
    start: datetime
    end: datetime
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AnnouncedChange:
    """A change of the portal that DWP gave notice of (clause ``terms.change-notice``)."""

    id: str
    effective_on: date
    affects_automation: bool = True
    title: str | None = None


@dataclass(frozen=True, slots=True)
class KnownForm:
    """The form that a landlord's automation was last tested with (``terms.portal-changes``)."""

    landlord_id: str
    todo_kind: str
    fingerprint: str
    tested_on: date


@dataclass(frozen=True, slots=True)
class StatusChange:
    """One pause, resumption, deactivation or removal; of the landlord when there is no account."""

    landlord_id: str
    account_id: str | None
    change: str
    at: datetime
    reason: str | None = field(default=None, repr=False)
    person_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Switch:
    """One pause or resumption of all automation; of the latter, on whose word it was."""

    change: str
    at: datetime
    reason: str | None = field(default=None, repr=False)
    landlord_id: str | None = None
    person_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """A hand-over of a day's access code: by whom and when (UTC), never the code itself."""

    provided_by: str = field(repr=False)
    provided_at: datetime
    handed_over_at: datetime


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """All that the state knows for one decision, as it stood at one moment.

    The ``landlord`` is paused while all automation is. ``automation_accounts`` are its that are
    neither removed nor deactivated, in order of their ids; ``closures`` end after the instant
    asked for; ``notices`` affect automation; ``known_forms`` is by kind of to-do; ``code_entry``
    is the last by the instant asked for.
    """

    account: AutomationAccount
    landlord: Landlord
    automation_accounts: tuple[str, ...]
    closures: tuple[PortalClosure, ...]
    notices: tuple[AnnouncedChange, ...]
    known_forms: Mapping[str, KnownForm]
    code_entry: CodeEntry | None


def record_of(kind: type[_T], row: Row[Any]) -> _T:
    """Make a record from the columns that are named like its fields."""
    values = row._mapping
    return kind(**{item.name: values[item.name] for item in fields(kind)})  # type: ignore[arg-type]


def account_of(row: Row[Any]) -> AutomationAccount:
    """Make an account from its row."""
    account = record_of(AutomationAccount, row)
    return replace(account, roles=frozenset(row.roles), status=AccountStatus(row.status))


def closures_of(rows: Iterable[Row[Any]]) -> tuple[PortalClosure, ...]:
    """Make closures from their rows."""
    return tuple(PortalClosure(row.id, row.start_at, row.end_at, row.reason) for row in rows)


def notices_of(rows: Iterable[Row[Any]]) -> tuple[AnnouncedChange, ...]:
    """Make announced changes from their rows."""
    return tuple(record_of(AnnouncedChange, row) for row in rows)


def forms_of(rows: Iterable[Row[Any]]) -> tuple[KnownForm, ...]:
    """Make tested forms from their rows."""
    return tuple(record_of(KnownForm, row) for row in rows)


def counted_ids(rows: Iterable[Row[Any]]) -> tuple[str, ...]:
    """Return which of a landlord's accounts, none of them removed, count towards the limit."""
    deactivated = AccountStatus.DEACTIVATED.value
    return tuple(sorted(row.id for row in rows if row.status != deactivated))
