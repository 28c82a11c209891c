"""The portal's clock: this machine's, or one that stands where ``PORTAL_TIME`` says."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from django.conf import settings

from automation_rules import Clock, FrozenClock, SystemClock

LONDON = ZoneInfo("Europe/London")


@cache
def portal_clock() -> Clock:
    """Return the one clock of this process."""
    if settings.PORTAL_TIME:
        return FrozenClock(datetime.fromisoformat(settings.PORTAL_TIME))
    return SystemClock()


def now() -> datetime:
    """Return the portal's present instant."""
    return portal_clock().now()


def today() -> date:
    """Return the portal's present day, in London."""
    return now().astimezone(LONDON).date()
