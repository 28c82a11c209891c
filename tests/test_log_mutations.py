"""No byte of a stored log can lie: thousands of random mutations, all found."""

# ruff: noqa: S311, S608 - the names in the statements are this module's own, the chance is seeded

from __future__ import annotations

import random
import shutil
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import pytest

from automation_rules.errors import VerificationError
from log_helpers import drafted, opened, raw, rehash

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from automation_rules.audit import Head

SIZE = 21

COLUMNS = {
    "log_entries": ("idx", "leaf", "nodes"),
    "envelopes": ("idx", "slot", "token", "ciphertext"),
    "log_head": ("id", "size", "root", "frontier", "first"),
}
KEYS = {"log_entries": ("idx",), "envelopes": ("idx", "slot"), "log_head": ("id",)}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Head]:
    """A log of decisions, one of whose tenants was erased, and its head."""
    path = tmp_path_factory.mktemp("pristine") / "state.sqlite3"
    with opened(path) as state:
        state.log.record_many([drafted(number) for number in range(SIZE)])
        token = state.log.entry(3).document["tokens"]["tenant"]
    with raw(path) as connection:
        connection.execute("DELETE FROM subjects WHERE token = ?", (token,))
        connection.execute("DELETE FROM envelopes WHERE token = ?", (token,))
    with opened(path) as state:
        head = state.log.verify(forms=True)
    with raw(path):
        pass
    return path, head


def a_row(connection: sqlite3.Connection, table: str, chance: random.Random) -> tuple[Any, ...]:
    """Return the key of a row."""
    keys = ", ".join(KEYS[table])
    rows = connection.execute(f"SELECT {keys} FROM {table} ORDER BY {keys}").fetchall()
    row: tuple[Any, ...] = chance.choice(rows)
    return row


def where(table: str) -> str:
    """Return the condition that picks a row by its key."""
    return " AND ".join(f"{key} = ?" for key in KEYS[table])


def a_cell(
    connection: sqlite3.Connection, chance: random.Random, table: str | None = None
) -> tuple[str, str, tuple[Any, ...], object]:
    """Return a table, a column, a row's key, and the value there."""
    table = table or chance.choice(list(COLUMNS))
    column = chance.choice(COLUMNS[table])
    key = a_row(connection, table, chance)
    [value] = connection.execute(
        f"SELECT {column} FROM {table} WHERE {where(table)}", key
    ).fetchone()
    return table, column, key, value


def put(
    connection: sqlite3.Connection,
    table: str,
    column: str,
    key: tuple[object, ...],
    value: object,
) -> None:
    """Write one cell."""
    connection.execute(
        f"UPDATE OR REPLACE {table} SET {column} = ? WHERE {where(table)}", (value, *key)
    )


def change_a_byte(connection: sqlite3.Connection, chance: random.Random) -> Any:
    """Change one byte of one value, or its type; return the first wrong entry when it is known."""
    table, column, key, value = a_cell(connection, chance)
    changed: object
    if isinstance(value, int):
        ways = [value + 1, value - 1, value ^ 1 << chance.randrange(40), -1 - value]
        # Only here can SQLite keep an index that is no whole number.
        changed = chance.choice([*ways, value - 0.5] if table == "envelopes" else ways)
    elif isinstance(value, str):
        at = chance.randrange(len(value))
        changed = value[:at] + chr(ord(value[at]) ^ 1 << chance.randrange(4)) + value[at + 1 :]
        if chance.random() < 0.1:
            changed = value.encode()
    else:
        assert isinstance(value, bytes)
        at = chance.randrange(len(value))
        changed = value[:at] + bytes([value[at] ^ 1 << chance.randrange(8)]) + value[at + 1 :]
        if chance.random() < 0.1:
            changed = chance.choice([value.hex(), 1.5, 7, ""])
    put(connection, table, column, key, changed)
    return key[0] if column in ("leaf", "nodes", "slot", "token", "ciphertext") else None


def delete(connection: sqlite3.Connection, chance: random.Random) -> Any:
    """Delete one row, or one entry and everything after it is moved down and hashed again."""
    table = chance.choice(list(COLUMNS))
    key = a_row(connection, table, chance)
    connection.execute(f"DELETE FROM {table} WHERE {where(table)}", key)
    if table == "log_entries" and chance.random() < 0.5:
        connection.execute("DELETE FROM envelopes WHERE idx = ?", key)
        for (moved,) in connection.execute(
            "SELECT idx FROM log_entries WHERE idx > ?", key
        ).fetchall():
            connection.execute("UPDATE log_entries SET idx = ? WHERE idx = ?", (moved - 1, moved))
            connection.execute("UPDATE envelopes SET idx = ? WHERE idx = ?", (moved - 1, moved))
        rehash(connection)
        return None
    return None if table == "log_head" else key[0]


def swap(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Swap a value, or all of a row, between two rows of a table."""
    table = chance.choice(["log_entries", "envelopes"])
    columns = [c for c in COLUMNS[table] if c not in KEYS[table]]
    columns = columns if chance.random() < 0.5 else [chance.choice(columns)]
    one, other = a_row(connection, table, chance), a_row(connection, table, chance)
    read = f"SELECT {', '.join(columns)} FROM {table} WHERE {where(table)}"
    write = f"UPDATE {table} SET {', '.join(f'{c} = ?' for c in columns)} WHERE {where(table)}"
    ones, others = (
        connection.execute(read, one).fetchone(),
        connection.execute(read, other).fetchone(),
    )
    connection.execute(write, (*others, *one))
    connection.execute(write, (*ones, *other))
    if table == "log_entries" and chance.random() < 0.3:
        rehash(connection)
    return None


def insert(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Insert an entry (in its place, at the end, before the first), an envelope or a head."""
    kind = chance.choice(["between", "outside", "envelope", "head"])
    key = a_row(connection, "log_entries", chance)
    row = connection.execute("SELECT leaf, nodes FROM log_entries WHERE idx = ?", key).fetchone()
    if kind == "between":
        moved = connection.execute(
            "SELECT idx FROM log_entries WHERE idx >= ? ORDER BY idx DESC", key
        ).fetchall()
        for (index,) in moved:
            connection.execute("UPDATE log_entries SET idx = ? WHERE idx = ?", (index + 1, index))
            connection.execute("UPDATE envelopes SET idx = ? WHERE idx = ?", (index + 1, index))
        connection.execute("INSERT INTO log_entries VALUES (?, ?, ?)", (*key, *row))
        if chance.random() < 0.5:
            rehash(connection)
    elif kind == "outside":
        index = chance.choice([SIZE, SIZE + 1, 2**62, 2**63 - 1, -1, -(2**63)])
        connection.execute("INSERT INTO log_entries VALUES (?, ?, ?)", (index, *row))
    elif kind == "envelope":
        other = a_row(connection, "envelopes", chance)
        index = chance.choice([key[0], -1, SIZE, "x", 1.5, b"\0"])
        slot = chance.choice(["account", "todo", "tenant", "operator", "other", b"tenant", ""])
        connection.execute(
            f"INSERT OR REPLACE INTO envelopes SELECT ?, ?, token, ciphertext FROM envelopes "
            f"WHERE {where('envelopes')}",
            (index, slot, *other),
        )
    else:
        connection.execute(
            "INSERT INTO log_head SELECT ?, size, root, frontier, first FROM log_head",
            (chance.choice([0, 2, -1, 2**40]),),
        )
    return None


def truncate(connection: sqlite3.Connection, chance: random.Random) -> int | None:
    """Cut the end off the log, with or without a new head, or off one stored value."""
    if chance.random() < 0.5:
        size = chance.randrange(SIZE)
        connection.execute("DELETE FROM log_entries WHERE idx >= ?", (size,))
        if chance.random() < 0.7:
            connection.execute("DELETE FROM envelopes WHERE idx >= ?", (size,))
        if chance.random() < 0.7:
            rehash(connection)
        return size
    table, column, key, value = a_cell(connection, chance)
    if isinstance(value, str | bytes):
        put(connection, table, column, key, value[: chance.randrange(len(value))])
    return None


MUTATIONS = [change_a_byte, delete, swap, insert, truncate]


def contents(connection: sqlite3.Connection) -> list[list[tuple[object, ...]]]:
    """Return every row of the log's tables, with the types of the values."""
    return [
        [
            (value, type(value))
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
            for value in row
        ]
        for table in COLUMNS
    ]


def mutate(
    pristine: tuple[Path, Head],
    directory: Path,
    mutation: Callable[[sqlite3.Connection, random.Random], int | None],
    times: int,
    seed: int,
) -> None:
    """Mutate fresh copies, and assert that verifying each finds it."""
    original, head = pristine
    chance = random.Random(seed)
    path = directory / "state.sqlite3"
    shutil.copy(original.with_name(original.name + ".key"), directory / "state.sqlite3.key")
    done = 0
    while done < times:
        for leftover in directory.glob("state.sqlite3-*"):
            leftover.unlink()
        shutil.copy(original, path)
        with raw(path) as connection:
            before = contents(connection)
            first = mutation(connection, chance)
            after = contents(connection)
        if before == after:
            continue
        done += 1
        with opened(path) as state:
            try:
                state.log.verify(head, forms=chance.random() < 0.3)
            except VerificationError as error:
                found = error
            else:
                difference = [
                    change
                    for old, new in zip(before, after, strict=True)
                    for change in zip_longest(old, new)
                    if change[0] != change[1]
                ]
                pytest.fail(f"{mutation.__name__} was not found: {difference[:3]}")
            assert found.index is None or 0 <= found.index <= SIZE, str(found)
            assert first is None or found.index == first, f"{first} is the first wrong: {found}"


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_are_found(
    pristine: tuple[Path, Head], tmp_path: Path, mutation: Callable[..., int | None]
) -> None:
    """40 random mutations of each kind, of any column, are all found and the entry named."""
    mutate(pristine, tmp_path, mutation, 40, seed=20261121)


@pytest.mark.exhaustive
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_ten_thousand_mutations_are_found(
    pristine: tuple[Path, Head], tmp_path: Path, mutation: Callable[..., int | None]
) -> None:
    """2,000 random mutations of each of the five kinds, no-ops excluded, are all found."""
    mutate(pristine, tmp_path, mutation, 2000, seed=2)
