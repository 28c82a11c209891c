"""When the contractor comes: its working days, its slots, and how soon what must be done.

Times are London's. The hours, the notices and the targets are this demonstration's own choices.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from demo_portal.clock import LONDON

from .housing import Appointment, Priority

if TYPE_CHECKING:
    from collections.abc import Iterator

HORIZON = timedelta(days=56)
"""How far ahead the diary is open."""

NOTICE = timedelta(hours=24)
NOTICE_OF_EMERGENCY = timedelta(hours=1)
"""How long before a slot begins it can still be taken."""

EMERGENCY_WITHIN = timedelta(hours=24)
"""In which time somebody is at an emergency, whichever day it is."""

WORKING_DAYS = {Priority.URGENT: 5, Priority.NORMAL: 20, Priority.INSPECTION: 20}
"""In how many working days the others are aimed to be done."""


class Period(StrEnum):
    """A part of a day in which somebody comes."""

    MORNING = "morning"
    SCHOOL = "school"
    AFTERNOON = "afternoon"


HOURS = {
    Period.MORNING: (time(8), time(12)),
    Period.SCHOOL: (time(9, 30), time(14, 30)),
    Period.AFTERNOON: (time(12), time(17)),
}
"""Whoever comes between the school runs is kept free for the whole day."""


@cache
def _bank_holidays(year: int) -> frozenset[date]:
    # Loading it takes longer than everything else here.
    from holidays import country_holidays

    return frozenset(country_holidays("GB", subdiv="ENG", years=year))


def is_working_day(day: date) -> bool:
    """Whether it is Monday to Friday, and no bank holiday of England and Wales."""
    return day.weekday() < 5 and day not in _bank_holidays(day.year)


def after_working_days(day: date, count: int) -> date:
    """Return the ``count``-th working day after ``day``."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def due_on(priority: Priority, reported_on: date) -> date | None:
    """Return the day by which a job is aimed to be done; None for what counts in hours."""
    days = WORKING_DAYS.get(priority)
    return None if days is None else after_working_days(reported_on, days)


def window_of(day: date, period: Period) -> Appointment:
    """Return a slot as the instants between which somebody comes."""
    starts, ends = HOURS[period]
    return Appointment(
        datetime.combine(day, starts, tzinfo=LONDON), datetime.combine(day, ends, tzinfo=LONDON)
    )


def place_of(window: Appointment) -> tuple[date, Period] | None:
    """Return the day and period that a window is; None if it is no slot."""
    day = window.starts_at.astimezone(LONDON).date()
    for period in Period:
        if window_of(day, period) == window:
            return day, period
    return None


def open_slots(
    priority: Priority, now: datetime, since: date, until: date
) -> Iterator[tuple[date, Period]]:
    """Give the slots from ``since`` to ``until`` that can be taken at ``now``, in order.

    Emergencies are gone to on every day, but not later than within a day; what is even more
    pressing has no slots.
    """
    if priority is Priority.IMMEDIATE:
        return
    is_emergency = priority is Priority.EMERGENCY
    # In UTC, for on one clock Python does not count the hour that is lost or gained.
    now = now.astimezone(UTC)
    first = now + (NOTICE_OF_EMERGENCY if is_emergency else NOTICE)
    today = now.astimezone(LONDON).date()
    day, last = max(since, today), min(until, today + HORIZON)
    while day <= last:
        if is_emergency or is_working_day(day):
            for period in Period:
                starts_at = window_of(day, period).starts_at.astimezone(UTC)
                if starts_at >= first and not (is_emergency and starts_at > now + EMERGENCY_WITHIN):
                    yield day, period
        day += timedelta(days=1)
