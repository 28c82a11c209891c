"""The windows beside what needs no calendar, and beside a list of instants."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from automation_rules.clock import LONDON
from automation_rules.windows import Nation, PortalHours

from .measure import at_most, compare, each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measure import Row, Size

__all__ = ["changes_between", "instants", "is_core_hours", "next_of", "windows"]

BEGINS: Final = datetime(2024, 1, 1, tzinfo=UTC)
ENDS: Final = datetime(2029, 1, 1, tzinfo=UTC)


def is_core_hours(at: datetime) -> bool:
    """Return whether London's clocks show core hours, bank holidays or not: the yardstick."""
    local = at.astimezone(LONDON)
    return 8 <= local.hour < 18 and local.weekday() < 5


def changes_between(window: PortalHours, begins: datetime, ends: datetime) -> list[datetime]:
    """Return the instants (UTC) at which the window opens and closes."""
    return [edge for found in window.intervals(begins, ends) for edge in (found.start, found.end)]


def next_of(changes: list[datetime]) -> Callable[[datetime], datetime]:
    """Return what finds the first change after an instant, in a list: the yardstick."""

    def next_change(after: datetime) -> datetime:
        return changes[bisect_right(changes, after)]

    return next_change


def instants(count: int) -> list[datetime]:
    """Return instants (UTC) anywhere in five years, the same ones every time."""
    random = Random(20260602)
    seconds = int((ENDS - BEGINS).total_seconds())
    return [BEGINS + timedelta(seconds=random.randrange(seconds)) for _ in range(count)]


def windows(size: Size) -> Iterator[Row]:
    """Measure `PortalHours.is_open` and `PortalHours.next_change`."""
    window = PortalHours(nation=Nation.ENGLAND_AND_WALES)
    asked = instants(size.times(5_000))
    yield compare(
        size.short_rounds,
        "window.is_open",
        "London's hour and weekday compared, no holidays",
        (each(window.is_open, asked), each(is_core_hours, asked)),
        operations=len(asked),
        bar=at_most(1.5),
    )
    changes = changes_between(window, BEGINS, ENDS + timedelta(days=30))
    yield compare(
        size.short_rounds,
        "window.next_change",
        "bisect over a list of UTC datetimes",
        (each(window.next_change, asked), each(next_of(changes), asked)),
        operations=len(asked),
        bar=at_most(2.0),
    )
