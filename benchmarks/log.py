"""The decision log beside a bare SQLite table and beside plain hashing."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from itertools import count
from math import log2
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from automation_rules.audit import DecisionLog, RememberedHeads, draft_decision
from automation_rules.clock import SystemClock
from automation_rules.landlord_portal import landlord_portal
from automation_rules.store import Store
from automation_rules.store.engine import make_durable
from automation_rules.vault import Vault, WrappingKey, canonical, key_path

from .deciding import standard_requests
from .measure import at_least, at_most, compare, each, rounds, row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measure import Row, Size

__all__ = [
    "append",
    "log_growth",
    "opened_log",
    "record_decisions",
    "root_of",
    "verify",
    "without_messages",
]

BATCH: Final = 100
_LEAF: Final = b'{"decision":true,"filler":"%s","number":%012d}'
_FILLER: Final = b"x" * 1_500
"""A leaf of about the size that a decision's has."""


def leaf(number: int) -> bytes:
    """Return bytes of the size of a decision's leaf, no two alike."""
    return _LEAF % (_FILLER, number)


class BareTable:
    """Leaves in a SQLite table and nothing else, as durable as the log: the yardstick."""

    def __init__(self, path: Path) -> None:
        """Make the table in a file of its own."""
        self._connection = sqlite3.connect(path)
        make_durable(self._connection)
        self._connection.execute("CREATE TABLE leaves (idx INTEGER PRIMARY KEY, leaf BLOB)")
        self._numbers = count()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def append(self, content: bytes) -> None:
        """Insert one leaf and commit."""
        self._connection.execute(_INSERT, (next(self._numbers), content))
        self._connection.commit()

    def append_many(self, contents: list[bytes]) -> None:
        """Insert leaves and commit once."""
        self._connection.executemany(_INSERT, zip(self._numbers, contents, strict=False))
        self._connection.commit()

    def leaves(self) -> list[bytes]:
        """Return every leaf in order."""
        rows = self._connection.execute("SELECT leaf FROM leaves ORDER BY idx")
        return [content for (content,) in rows]

    def pragmas(self) -> dict[str, object]:
        """Return what makes it durable."""
        names = ("journal_mode", "synchronous")
        return {name: self._connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names}


_INSERT: Final = "INSERT INTO leaves VALUES (?, ?)"


@contextmanager
def without_messages() -> Iterator[None]:
    """Drop what the log tells about each entry: a terminal would be measured too."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


class Opened(NamedTuple):
    """A log in a fresh state, without its vault, and one of the same state with it."""

    bare: DecisionLog
    whole: DecisionLog


@contextmanager
def opened_log(directory: Path, name: str = "state") -> Iterator[Opened]:
    """Give the decision log of a fresh SQLite state."""
    path = directory / f"{name}.sqlite3"
    with ExitStack() as stack:
        store = stack.enter_context(
            Store.open(f"sqlite:///{path}", clock=SystemClock(), create=True)
        )
        vault = Vault(WrappingKey.create(key_path(path)))
        stack.enter_context(without_messages())
        heads = stack.enter_context(RememberedHeads(directory / f"{name}.heads"))
        bare = stack.enter_context(DecisionLog(store))
        yield Opened(bare, stack.enter_context(DecisionLog(store, vault, heads=heads)))


def record_decisions(log: DecisionLog, number: int) -> None:
    """Record decisions with their sealed facts, in batches."""
    policy = landlord_portal()
    requests = list(standard_requests().values())
    for begins in range(0, number, BATCH):
        log.record_many(
            [
                draft_decision(
                    policy.decide(requests[index % len(requests)]), readings=policy.readings
                )
                for index in range(begins, min(begins + BATCH, number))
            ]
        )


def append(size: Size) -> Iterator[Row]:
    """Measure durable appends one by one and in batches, and whole recordings."""
    policy = landlord_portal()
    request = standard_requests()["allowed"]
    with (
        TemporaryDirectory() as name,
        opened_log(Path(name)) as log,
        closing(BareTable(Path(name) / "bare.sqlite3")) as table,
    ):
        times = size.times(200)
        leaves = [leaf(number) for number in range(times)]
        one_by_one = each(table.append, leaves)
        yield compare(
            size.rounds,
            "durable append, one by one",
            "bare sqlite3 insert and commit",
            (each(log.bare.append, leaves), one_by_one),
            operations=times,
            bar=at_least(0.6),
        )
        # Another connection: the one that the bare log keeps is not in use in between.
        yield compare(
            size.rounds,
            "decide, mask, seal, record, remember the head",
            "bare sqlite3 insert and commit",
            (
                each(
                    lambda _: log.whole.record(policy.decide(request), readings=policy.readings),
                    leaves,
                ),
                one_by_one,
            ),
            operations=times,
        )
        batches = [[leaf(number) for number in range(BATCH)]] * size.times(20)
        finished = [[(content, ()) for content in batch] for batch in batches]
        yield compare(
            size.rounds,
            f"durable append, batches of {BATCH}",
            f"bare executemany of {BATCH} and commit",
            (each(log.bare.append_many, finished), each(table.append_many, batches)),
            operations=len(batches) * BATCH,
            bar=at_least(0.5),
        )


def root_of(leaves: list[bytes]) -> bytes:
    """Return the Merkle root of leaves, by hashing level after level: the yardstick."""
    hashes = [sha256(b"\x00" + content).digest() for content in leaves]
    while len(hashes) > 1:
        joined = [
            sha256(b"\x01" + hashes[at] + hashes[at + 1]).digest()
            for at in range(0, len(hashes) - 1, 2)
        ]
        if len(hashes) % 2:
            joined.append(hashes[-1])
        hashes = joined
    return hashes[0]


def verify(size: Size) -> Iterator[Row]:
    """Measure the verification of whole logs: of leaves, and of decisions with envelopes."""
    number = size.times(3_000)
    bar = at_least(0.4)
    with TemporaryDirectory() as name, opened_log(Path(name)) as log:
        record_decisions(log.whole, number)
        leaves = [entry.leaf for entry in log.bare.entries()]
        envelopes = _envelopes(Path(name) / "state.sqlite3")

        def hash_all() -> None:
            root_of(leaves)
            for envelope in envelopes:
                sha256(envelope).digest()

        sealed = compare(
            size.rounds,
            f"verify {number:,} decisions with {len(envelopes):,} envelopes",
            "SHA-256 of the same leaves, nodes and envelopes",
            (log.bare.verify, hash_all),
            operations=number,
            bar=bar,
        )
    with TemporaryDirectory() as name, opened_log(Path(name)) as log:
        bare = [_without_envelopes(content) for content in leaves]
        log.bare.append_many([(content, ()) for content in bare])
        yield compare(
            size.rounds,
            f"verify {number:,} decisions without envelopes",
            "SHA-256 of the same leaves and nodes",
            (log.bare.verify, lambda: root_of(bare)),
            operations=number,
            bar=bar,
        )
    yield sealed


def _envelopes(path: Path) -> list[bytes]:
    with closing(sqlite3.connect(path)) as connection:
        return [sealed for (sealed,) in connection.execute("SELECT ciphertext FROM envelopes")]


def _without_envelopes(content: bytes) -> bytes:
    return canonical({**json.loads(content), "tokens": {}, "envelopes": {}})


def log_growth(size: Size) -> Iterator[Row]:
    """Measure appends and proofs on ever larger logs."""
    sizes = size.entries
    with TemporaryDirectory() as name, ExitStack() as stack:
        logs = []
        for entries in sizes:
            log = stack.enter_context(opened_log(Path(name), f"log-{entries}")).bare
            for begins in range(0, entries, 1_000):
                numbers = range(begins, min(begins + 1_000, entries))
                log.append_many([(b"%d" % number, ()) for number in numbers])
            logs.append(log)
        leaves = [leaf(number) for number in range(size.times(100))]
        appended = rounds(size.rounds, *(each(log.append, leaves) for log in logs))
        proved = rounds(
            size.rounds,
            *(
                each(log.prove_inclusion, [entries * step // 50 for step in range(50)])
                for entries, log in zip(sizes, logs, strict=True)
            ),
        )
    first = sizes[0]
    for index, entries in enumerate(sizes[1:], 1):
        yield row(
            f"durable append, after {entries:,} entries",
            f"after {first:,} entries",
            appended[index],
            appended[0],
            operations=len(leaves),
            bar=at_most(_ALLOWANCE),
        )
        yield row(
            f"inclusion proof, of {entries:,} entries",
            f"of {first:,} entries",
            proved[index],
            proved[0],
            operations=50,
            bar=at_most(_ALLOWANCE * log2(entries) / log2(first)),
        )


_ALLOWANCE: Final = 1.5
"""How far from flat, or from the logarithm, a figure of growth may lie."""
