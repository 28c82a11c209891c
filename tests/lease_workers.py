"""What other processes do with leases in the tests; light, for every process imports it."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.store import Leases, Store

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier


LASTS: Final = timedelta(milliseconds=80)
SURE: Final = LASTS * 3 / 4
"""How long a lease is good for at least, once it was taken or found good enough."""


class Used(NamedTuple):
    """A time in which an account had reason to believe that it held a lease, [start, end)."""

    account_id: str
    start: datetime
    end: datetime


def uses(
    url: str,
    account_id: str,
    rounds: int,
    start: Barrier,
    results: SimpleQueue[tuple[list[Used], int]],
) -> None:
    """Take a lease again and again, and now use it for a while, now leave, now let it expire.

    Answers when it was in use, and how often it was refused.
    """
    clock, chance = SystemClock(), random.Random(account_id)  # noqa: S311
    used: list[Used] = []
    refused = 0
    try:
        with Store.open(url, clock=clock) as store:
            leases = Leases(store, clock)
            start.wait(timeout=120)
            for _ in range(rounds):
                at = clock.now()
                lease = leases.take(account_id, "acme", at, LASTS)
                begun = clock.now()
                if not lease.held:
                    assert len(lease.running) == 3
                    refused += 1
                    time.sleep(chance.random() * LASTS.total_seconds() / 2)
                    continue
                assert account_id in lease.running
                assert len(lease.running) <= 2
                time.sleep(chance.choice((0, 0.3, 1.2)) * LASTS.total_seconds())
                used.append(Used(account_id, begun, min(clock.now(), at + SURE)))
                if chance.random() < 0.5:
                    leases.release(account_id)
    finally:
        results.put((used, refused))


def takes_and_hangs(url: str, at: datetime, duration: timedelta, ready: Connection) -> None:
    """Take a lease of acme-1 and wait to be killed."""
    clock = FrozenClock(at)
    with Store.open(url, clock=clock) as store:
        held = Leases(store, clock).take("acme-1", "acme", at, duration).held
        ready.send(held)
        time.sleep(600)
