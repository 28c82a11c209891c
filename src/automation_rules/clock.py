"""The only place that reads the time, and the only place that names the zone.

Everything else is given an instant. Instants are aware datetimes in UTC: arithmetic and
comparison of aware datetimes that share a zone work on wall clocks, so London times are made
once, for reading the calendar and for showing.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from .errors import ClockError

__all__ = [
    "LONDON",
    "Clock",
    "FrozenClock",
    "SystemClock",
    "monotonic",
    "pause",
    "to_london",
    "to_utc",
]

LONDON = ZoneInfo("Europe/London")


class Clock(Protocol):
    """Something that tells the time."""

    def now(self) -> datetime:
        """Return the present instant in UTC; raise `ClockError` when it cannot be known."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present instant in UTC."""
        return datetime.now(UTC)


class FrozenClock:
    """A clock that stands still until it is moved; for tests and dry runs."""

    def __init__(self, at: datetime) -> None:
        """Stand at ``at``; raise `ClockError` when it is naive."""
        self._at = to_utc(at)

    def now(self) -> datetime:
        """Return the instant that the clock stands at, in UTC."""
        return self._at

    def move_to(self, at: datetime) -> None:
        """Stand at ``at`` from now on; raise `ClockError` when it is naive."""
        self._at = to_utc(at)


def monotonic() -> float:
    """Return the seconds since some moment, by a clock that never goes back; for ages only."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Wait that long."""
    time.sleep(seconds)


def to_utc(at: datetime) -> datetime:
    """Return the same instant in UTC.

    Raises:
        ClockError: ``at`` has no UTC offset, or lies outside what UTC can express.
    """
    if at.utcoffset() is None:
        raise ClockError(f"{at.isoformat()} has no UTC offset: give an aware datetime")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ClockError(f"{at.isoformat()} lies outside the years 1 to 9999 in UTC") from error


def to_london(at: datetime) -> datetime:
    """Return the same instant on London's clocks.

    Raises:
        ClockError: ``at`` has no UTC offset, or lies outside what London time can express.
    """
    try:
        return to_utc(at).astimezone(LONDON)
    except OverflowError as error:
        raise ClockError(f"{at.isoformat()} lies outside the years 1 to 9999 in London") from error
