"""What other processes do with an activity monitor in the tests; light, for each imports it."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from automation_rules.activity import Activity, ActivityLimits, Bounds, Threshold
from automation_rules.clock import FrozenClock
from automation_rules.monitor import ActivityMonitor
from automation_rules.store import Store, tables

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)

LIMITS = ActivityLimits(
    requests=Bounds(Threshold(10, "minute"), Threshold(20, "minute")),
    errors=Bounds(Threshold(5, "hour"), Threshold(1_000_000, "hour")),
    repeated_submissions=Bounds(Threshold(1, "hour"), Threshold(3, "hour")),
    outside_window=Bounds(Threshold(3, "hour"), Threshold(10, "hour")),
    sessions=Bounds(Threshold(6, "hour"), Threshold(20, "hour")),
)


def counted(store: Store) -> int:
    """Return the sum of all counters."""
    with store.reading() as connection:
        return sum(connection.execute(select(tables.activity_counters.c.count)).scalars())


def counts(url: str, number: int, start: Barrier) -> None:
    """Count errors of acme-2 and requests of acme-1, flushing in between in a rhythm of its own."""
    limits = ActivityLimits(
        requests=LIMITS.requests,
        errors=Bounds(warn=Threshold(1_000_000, "hour")),
    )
    clock = FrozenClock(NOW)
    with Store.open(url, clock=clock) as store:
        monitor = ActivityMonitor(store, clock, lambda: limits)
        start.wait(timeout=120)
        for turn in range(400):
            monitor.note("acme-2", Activity.ERROR)
            if turn % 13 == 0:
                monitor.note("acme-1", Activity.REQUEST)
            if turn % (17 + number) == 0:
                monitor.flush()
        monitor.close()
        assert monitor.trouble is None


def counts_until_killed(url: str) -> None:
    """Count and flush seven requests, count some more, and wait to be killed."""
    clock = FrozenClock(NOW)
    with Store.open(url, clock=clock) as store:
        monitor = ActivityMonitor(store, clock, lambda: LIMITS)
        for _ in range(7):
            monitor.note("acme-1", Activity.REQUEST)
        monitor.flush()
        for _ in range(1_000):
            monitor.note("acme-1", Activity.REQUEST)
        sys.stdout.write("flushed\n")
        sys.stdout.flush()
        time.sleep(120)
