"""What is handed out of a log, exports and proofs, beside plain reading, writing and hashing."""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from automation_rules.audit import DecisionLog, RememberedHeads
from automation_rules.clock import SystemClock
from automation_rules.merkle import inclusion_proof, locate
from automation_rules.signed_log import SignedLog
from automation_rules.signing_key import KeyFile
from automation_rules.store import Store
from automation_rules.tiles import TILE_WIDTH, tile_path

from .log import leaf
from .measure import compare, each

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .measure import Row, Size

__all__ = [
    "STATE",
    "bundles",
    "export_log",
    "fill",
    "hash_bundles",
    "opened_signed_log",
    "prove",
    "read_nodes",
    "rows_of_proof",
    "write_plainly",
]

STATE: Final = "state.sqlite3"
_AT_ONCE: Final = 1_000


class Signed(NamedTuple):
    """A log, and what it is signed with."""

    log: DecisionLog
    signed: SignedLog


@contextmanager
def opened_signed_log(directory: Path) -> Iterator[Signed]:
    """Give the log of the SQLite state in a directory, made when there is none, with its keys."""
    clock = SystemClock()
    with ExitStack() as stack:
        store = stack.enter_context(
            Store.open(f"sqlite:///{directory / STATE}", clock=clock, create=True)
        )
        heads = stack.enter_context(RememberedHeads(directory / "heads"))
        log = stack.enter_context(DecisionLog(store, heads=heads))
        keys = KeyFile(directory / "keys" / "signing-key")
        signed = SignedLog(store, log, keys, heads, clock)
        signed.init("example.org/benchmark")
        yield Signed(log, signed)


def fill(log: DecisionLog, leaves: Iterator[bytes], number: int) -> None:
    """Append so many leaves, some at a time."""
    for begins in range(0, number, _AT_ONCE):
        here = range(min(_AT_ONCE, number - begins))
        log.append_many([(next(leaves), ()) for _ in here])


def write_plainly(state: sqlite3.Connection, path: Path) -> bytes:
    """Read every leaf, write all into one file with their hashes after them: the yardstick.

    Returns the hashes.
    """
    hashes = bytearray()
    with path.open("wb") as file:
        for (content,) in state.execute("SELECT leaf FROM log_entries ORDER BY idx"):
            file.write(len(content).to_bytes(2, "big") + content)
            hashes += sha256(b"\x00" + content).digest()
        file.write(hashes)
        file.flush()
        os.fsync(file.fileno())
    return bytes(hashes)


def bundles(directory: Path, size: int) -> list[Path]:
    """Return the files of an export that hold its entries, in order."""
    return [
        directory / tile_path("entries", start // TILE_WIDTH, min(TILE_WIDTH, size - start))
        for start in range(0, size, TILE_WIDTH)
    ]


def hash_bundles(paths: Sequence[Path]) -> bytes:
    """Read exported entries back and return their hashes: the yardstick of a repetition."""
    hashes = bytearray()
    for path in paths:
        data = path.read_bytes()
        at = 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            hashes += sha256(b"\x00" + data[at + 2 : end]).digest()
            at = end
    return bytes(hashes)


def export_log(size: Size) -> Iterator[Row]:
    """Measure a first export of a log as tiles, and one that finds nothing new."""
    number = size.times(5_000)
    with (
        TemporaryDirectory() as name,
        opened_signed_log(Path(name)) as opened,
        closing(sqlite3.connect(Path(name) / STATE)) as state,
    ):
        fill(opened.log, map(leaf, count()), number)
        fresh = (Path(name) / f"tiles-{turn}" for turn in count())
        yield compare(
            size.rounds,
            f"export of {number:,} entries as tiles",
            "the same rows read, hashed and written to one file",
            (
                lambda: opened.signed.export(next(fresh)),
                lambda: write_plainly(state, Path(name) / "plain"),
            ),
            operations=number,
        )
        there = next(fresh)
        opened.signed.export(there)
        paths = bundles(there, number)
        yield compare(
            size.rounds,
            f"export of {number:,} entries again, nothing new",
            "the same entries read from the files and hashed",
            (lambda: opened.signed.export(there), lambda: hash_bundles(paths)),
            operations=number,
        )


def rows_of_proof(index: int, size: int) -> list[tuple[int, int]]:
    """Return the rows that an inclusion proof reads, each with where its hash begins there."""
    asked = [(0, index)]

    def node(level: int, at: int) -> bytes:
        asked.append((level, at))
        return b""

    inclusion_proof(index, size, node)
    return [locate(level, at) for level, at in asked]


def read_nodes(state: sqlite3.Connection, rows: Sequence[tuple[int, int]]) -> list[bytes]:
    """Read the head and then rows by their primary key, in one transaction: the yardstick."""
    state.execute("BEGIN")
    state.execute("SELECT size, root, frontier FROM log_head WHERE id = 1").fetchone()
    found = [
        state.execute("SELECT nodes FROM log_entries WHERE idx = ?", (row,)).fetchone()[0]
        for row, _ in rows
    ]
    state.execute("COMMIT")
    return [nodes[offset : offset + 32] for nodes, (_, offset) in zip(found, rows, strict=True)]


def prove(size: Size) -> Iterator[Row]:
    """Measure inclusion proofs from all over a log."""
    number = size.times(10_000)
    with (
        TemporaryDirectory() as name,
        opened_signed_log(Path(name)) as opened,
        closing(sqlite3.connect(Path(name) / STATE, isolation_level=None)) as state,
    ):
        fill(opened.log, map(leaf, count()), number)
        asked = [number * step // 50 for step in range(50)]
        rows = [rows_of_proof(index, number) for index in asked]
        yield compare(
            size.short_rounds,
            f"one inclusion proof, of {number:,} entries",
            "the same rows by primary key, bare sqlite3",
            (
                each(opened.log.prove_inclusion, asked),
                each(lambda found: read_nodes(state, found), rows),
            ),
            operations=len(asked),
        )
