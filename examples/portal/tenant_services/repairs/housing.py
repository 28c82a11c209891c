"""The housing management system as this site sees it: repair jobs, read anew at every page.

Numbers of jobs are letters, digits and hyphens. A job is of one tenancy, or communal: of a building
whose tenants all see it. Instants have a time zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime

    from demo_portal.records import Page


class Priority(IntEnum):
    """How soon a job must be done."""

    IMMEDIATE = 1
    EMERGENCY = 2
    URGENT = 3
    NORMAL = 4
    INSPECTION = 5


class Status(StrEnum):
    """Where a job stands."""

    REPORTED = "reported"
    IN_PROGRESS = "in-progress"
    ON_HOLD = "on-hold"
    NO_ACCESS = "no-access"
    COMPLETE = "complete"
    CANCELLED = "cancelled"


CLOSED = frozenset({Status.COMPLETE, Status.CANCELLED})
"""The jobs of these statuses are over: nothing of them changes any more."""


class Stage(StrEnum):
    """Which jobs are listed: those without a visit ahead, those with one, and those that are over.

    New and past ones are listed by when they were reported, latest first; upcoming ones by visit.
    """

    NEW = "new"
    UPCOMING = "upcoming"
    PAST = "past"


class Happening(StrEnum):
    """What can happen to a job, beside reaching a status."""

    BOOKED = "booked"
    MOVED = "moved"
    UNBOOKED = "unbooked"


@dataclass(frozen=True, slots=True)
class Appointment:
    """When somebody comes: a window."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is reported. Either ``tenancy`` or ``building`` is empty.

    ``reporter`` is a person's reference in the customer directory; ``words`` what they wrote of it,
    ``access`` what whoever comes must know, ``telephone`` where they are best reached: each may be
    empty. ``description`` is for those who do the work.
    """

    tenancy: str
    building: str
    reporter: str
    sor_code: str
    priority: Priority
    description: str
    words: str = ""
    access: str = ""
    telephone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(NewJob):
    """A job. What its reporter wrote of a communal one is nobody else's to see."""

    number: str
    status: Status
    reported_at: datetime
    completed_on: date | None
    appointment: Appointment | None

    @property
    def is_communal(self) -> bool:
        """Whether it is of a building."""
        return bool(self.building)

    @property
    def is_open(self) -> bool:
        """Whether it is not over."""
        return self.status not in CLOSED


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; a note is in the words of whoever wrote it."""

    at: datetime
    what: Status | Happening
    appointment: Appointment | None
    note: str


class HousingManagement(Protocol):
    """What a housing management system answers.

    Each raises `RecordsUnavailableError` rather than let anybody wait.
    """

    def raise_job(self, new: NewJob, key: str) -> Job:
        """Raise a job; the one that was raised by the same key already, if there is one."""

    def job(self, number: str) -> Job | None:
        """Return a job."""

    def jobs(
        self,
        stage: Stage,
        *,
        tenancies: Collection[str] = (),
        buildings: Collection[str] = (),
        page: int = 1,
    ) -> Page[Job]:
        """Return a page of the jobs of these places; the last page when there are fewer."""

    def history(self, number: str) -> list[Event]:
        """Return what happened to a job, latest first."""

    def cancel_job(self, number: str, note: str = "") -> bool:
        """Cancel a job, and its appointment; False if it is done already or there is none."""

    def record_appointment(self, number: str, appointment: Appointment | None) -> bool:
        """Keep when somebody comes, None for not at all; False if there is no such open job.

        The same again changes nothing.
        """


@cache
def _opened(url: str, seconds: float) -> HousingManagement:
    from .housing_sql import SqlHousingManagement

    return SqlHousingManagement(url, seconds)


def housing_management() -> HousingManagement:
    """Return the system that the settings name."""
    return _opened(settings.PORTAL_HOUSING, settings.PORTAL_RECORDS_SECONDS)
