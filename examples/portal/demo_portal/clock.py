"""The portal's clock: this machine's, or one that was set to ``PORTAL_TIME`` at the start."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.module_loading import import_string

from automation_rules import Clock, SystemClock

LONDON = ZoneInfo("Europe/London")


class SetClock:
    """A clock that was set, and goes on from there: what is counted by the minute needs minutes."""

    def __init__(self, at: datetime) -> None:
        """Set it to ``at``."""
        self._at = at
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the instant that it shows."""
        return self._at + timedelta(seconds=time.monotonic() - self._began)


@cache
def portal_clock() -> Clock:
    """Return the one clock of this process."""
    if settings.PORTAL_TIME:
        at = datetime.fromisoformat(settings.PORTAL_TIME)
        clock: Clock = import_string(settings.PORTAL_CLOCK)(at.astimezone(UTC))
        return clock
    return SystemClock()


def now() -> datetime:
    """Return the portal's present instant."""
    return portal_clock().now()


def today() -> date:
    """Return the portal's present day, in London."""
    return now().astimezone(LONDON).date()
