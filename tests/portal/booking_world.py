"""Repairs that visits are booked for, and diaries that fail or are somebody else's, for tests."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.conf import settings
from sqlalchemy import create_engine, make_url
from tenant_services.profile.customers import customer_directory
from tenant_services.repairs import diary_client as client
from tenant_services.repairs import housing_sql
from tenant_services.repairs.diagnosis import diagnosis
from tenant_services.repairs.diary import Answer, Status
from tenant_services.repairs.diary_sql import PortalDiary
from tenant_services.repairs.housing import NewJob, housing_management
from tenant_world import GARAGE, HOME, TARANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenant_services.profile.customers import Tenancy
    from tenant_services.repairs.diary import RepairsDiary
    from tenant_services.repairs.housing import Appointment, Job

PERSONS = {HOME: "P1001", GARAGE: "P1001", TARANS: "P1002"}
NORMAL, EMERGENCY, URGENT, INSPECTION = "DEMO-PL-101", "DEMO-PL-102", "DEMO-PL-103", "DEMO-JO-103"
DRAIN = "DEMO-DR-101"
"""Of a trade that has a single crew."""
UNBOOKABLE = "DEMO-RO-101"

_keys = itertools.count()


def report(code: str = NORMAL, tenancy: str = HOME, building: str = "") -> Job:
    """Raise a job of a tenancy's, or of a building."""
    engine = create_engine(make_url(settings.PORTAL_HOUSING))
    housing_sql.metadata.create_all(engine)
    engine.dispose()
    repair = diagnosis().repair(code)
    assert repair is not None
    new = NewJob(
        "" if building else tenancy,
        building,
        reporter=PERSONS[tenancy],
        sor_code=code,
        priority=repair.priority,
        description="A made-up repair",
    )
    return housing_management().raise_job(new, f"booking-{next(_keys)}")


def again(job: Job) -> Job:
    """Return a job as it is now."""
    found = housing_management().job(job.number)
    assert found is not None
    return found


def home_of(job: Job) -> Tenancy:
    """Return what a job is of."""
    for tenancy in customer_directory().tenancies(PERSONS[job.tenancy]):
        if tenancy.reference == job.tenancy:
            return tenancy
    raise AssertionError(job.tenancy)


def windows(job: Job, weeks: int = 1) -> list[Appointment]:
    """Return what is free for a job, in order."""
    last = clock.today() + timedelta(weeks=weeks)
    days = client.free_days(again(job), home_of(job))
    return [slot.window for day in days if day.day <= last for slot in day.slots]


def booked(job: Job, place: int = 0) -> Appointment:
    """Book one of the windows that are free; return it."""
    window = windows(job)[place]
    assert client.book(again(job), home_of(job), None, window) is client.Outcome.BOOKED
    return window


_elsewhere: list[Callable[[], RepairsDiary]] = []


def elsewhere() -> RepairsDiary:
    """Return the diary that is used instead of the portal's own."""
    return _elsewhere[-1]()


@contextmanager
def diary(made: Callable[[], RepairsDiary]) -> Iterator[None]:
    """Let the site use another diary."""
    _elsewhere.append(made)
    usual, settings.PORTAL_DIARY = settings.PORTAL_DIARY, "booking_world.elsewhere"
    try:
        yield
    finally:
        settings.PORTAL_DIARY = usual
        _elsewhere.pop()


class Down(PortalDiary):
    """A diary that cannot be reached."""

    def open_session(self) -> Answer[str]:
        """Fail."""
        return Answer(Status.ERROR, "no route to T-100001")


class CrashError(Exception):
    """The end of a process half-way."""


class Crashing:
    """A diary at whose ``at``-th call the process ends, before it is done or ``after`` it.

    ``left`` counts the calls; opening a session is none.
    """

    def __init__(self, diary: RepairsDiary, at: int, *, after: bool) -> None:
        """Stand before ``diary``."""
        self._diary = diary
        self._after = after
        self.left = at

    def __getattr__(self, name: str) -> Any:
        """Give a call that may be the last."""
        call = getattr(self._diary, name)
        if name == "open_session":
            return call

        def crash(*asked: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self._after:
                raise CrashError
            answer = call(*asked)
            if self.left == 0:
                raise CrashError
            return answer

        return crash
