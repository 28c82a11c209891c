"""When somebody is there. Days are London's, without bank holidays; instants are in UTC.

Nothing here reads a clock: every function is given the instant that it is asked about.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from demo_portal.clock import LONDON

from automation_rules import BankHolidays, Nation, WeeklyHours

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from automation_rules import Window

BANK_HOLIDAYS = BankHolidays(Nation.ENGLAND_AND_WALES)
NOTICE = timedelta(hours=1)
"""How long before it begins a call can still be asked for."""

MOST_DAYS = 28
"""How far ahead working days are looked for."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether somebody is there, and when that changes."""

    is_open: bool
    until: datetime | None


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A time within one day, during which we ring."""

    starts_at: datetime
    ends_at: datetime


def open_hours(weekly: Iterable[WeeklyHours]) -> Window:
    """Return the hours of a week without bank holidays."""
    return reduce(or_, weekly) - BANK_HOLIDAYS


def opening(window: Window, at: datetime) -> Opening:
    """Return whether a window is open at an instant, and until when that stays so."""
    return Opening(window.is_open(at), window.next_change(at))


def call_spans(window: Window, at: datetime, hours: int, days: int) -> list[Span]:
    """Return when we could ring: the hours of the next working days, cut into spans.

    Today counts, as long as anything of it is left. What is left over at the end of a day makes
    no span.
    """
    length, earliest = timedelta(hours=hours), at + NOTICE
    today = at.astimezone(LONDON).date()
    by_day: list[list[Span]] = []
    for number in range(MOST_DAYS):
        midnight = datetime.combine(today + timedelta(days=number), time(), LONDON)
        spans = []
        for interval in window.intervals(midnight, midnight + timedelta(days=1)):
            starts_at = interval.start
            while starts_at + length <= interval.end:
                if starts_at >= earliest:
                    spans.append(Span(starts_at, starts_at + length))
                starts_at += length
        if spans:
            by_day.append(spans)
        if len(by_day) == days:
            break
    return [span for spans in by_day for span in spans]


def instants(day: date, at: time) -> list[datetime]:
    """Return when London's clocks show that time on that day, earliest first.

    That is once, except in the hour that the clocks leave out (never) or repeat (twice).
    """
    wall = datetime.combine(day, at)
    # A time that is left out comes back from UTC as another one.
    found = {wall.replace(tzinfo=LONDON, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(one for one in found if one.astimezone(LONDON).replace(tzinfo=None) == wall)
