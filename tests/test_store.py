"""Opening the state: how durable it is, how its schema moves on, and what can be wrong with it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sqlite3
import stat
import threading
import traceback
import uuid
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, inspect, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.errors import ClockError, SchemaError, StoreError
from automation_rules.store import Store, engine, state_url, tables
from automation_rules.store.tables import Day, Instant, Texts, meta, metadata, notices
from servers import on_both_databases
from store_workers import created_log_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers import Server

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
NOW_VERSION = engine.SCHEMA_VERSION


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a state may be."""
    return tmp_path / "state.sqlite3"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """Give a new state."""
    with opened(url, create=True) as new:
        yield new


def opened(place: Path | str, *, create: bool = False) -> Store:
    """Open the state at a path or a URL."""
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    return Store.open(url, clock=FrozenClock(NOW), create=create)


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a plain connection to the file, which commits by itself and does not wait."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


def make_version(url: str, version: int) -> None:
    """Say in the state that its schema has ``version``."""
    with opened(url) as store, store.transaction() as connection:
        connection.execute(update(meta).values(schema_version=version))


def change(url: str, *statements: str) -> None:
    """Change the state behind the library's back."""
    with opened(url) as store, store.transaction() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


# --- a new state ----------------------------------------------------------------------------


@on_both_databases
def test_a_new_state_has_an_empty_log_with_an_id(store: Store) -> None:
    """The log's head is that of RFC 9162's empty tree, and its id a random UUID."""
    assert uuid.UUID(store.log_id).version == 4
    with store.reading() as connection:
        [head] = connection.execute(select(tables.log_head)).all()
        [about] = connection.execute(select(meta)).all()
    assert tuple(head) == (1, 0, hashlib.sha256(b"").digest(), b"", 0)
    assert tuple(about) == (1, engine.SCHEMA_VERSION, store.log_id, NOW)


def test_a_state_keeps_its_id_and_is_opened_as_it_is(path: Path) -> None:
    """Opening again, with or without create, finds the same state."""
    with opened(path, create=True) as first, opened(path) as second:
        with opened(path, create=True) as third:
            assert first.log_id == second.log_id == third.log_id
        assert second.path == path


def test_two_states_have_different_log_ids(tmp_path: Path) -> None:
    """A log's id tells it from every other."""
    with opened(tmp_path / "a", create=True) as one, opened(tmp_path / "b", create=True) as two:
        assert one.log_id != two.log_id


def test_opening_a_current_state_writes_nothing(path: Path) -> None:
    """The file is byte for byte the same after it was opened and closed."""
    opened(path, create=True).close()
    before = path.read_bytes()
    opened(path).close()
    assert path.read_bytes() == before


def test_a_new_state_is_its_owners_alone(store: Store, path: Path) -> None:
    """Personal data is in it: where the system knows permissions, nobody else may read it."""
    with store.transaction() as connection:
        connection.execute(insert(notices), notice("n"))
    files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
    assert len(files) == 3
    if os.name == "posix":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@on_both_databases
def test_processes_that_create_one_state_at_once_share_it(url: str) -> None:
    """However many race to make it, there is one state with one log."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.SimpleQueue()
    arguments = (url, start, results)
    processes = [context.Process(target=created_log_id, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len({results.get() for _ in processes}) == 1
    results.close()


# --- connections and transactions -------------------------------------------------------------


def notice(key: str) -> dict[str, object]:
    """Return the columns of a row to write."""
    return {"id": key, "effective_on": date(2026, 6, 2), "affects_automation": True}


def notice_ids(store: Store) -> list[str]:
    """Return the rows written."""
    with store.reading() as connection:
        return list(connection.execute(select(notices.c.id).order_by(notices.c.id)).scalars())


def test_every_connection_is_durable_and_careful(store: Store) -> None:
    """Each new connection, reading or writing, has the settings that a log needs."""

    def settings_of(connection: Connection) -> dict[str, object]:
        names = [
            "journal_mode",
            "synchronous",
            "fullfsync",
            "checkpoint_fullfsync",
            "foreign_keys",
            "secure_delete",
            "busy_timeout",
        ]
        return {n: connection.exec_driver_sql(f"PRAGMA {n}").scalar() for n in names}

    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "fullfsync": 1,
        "checkpoint_fullfsync": 1,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 30_000,
    }
    with store.reading() as one, store.reading() as two, store.transaction() as three:
        handles = {c.connection.dbapi_connection for c in (one, two, three)}
        assert len(handles) == 3
        assert settings_of(one) == settings_of(two) == settings_of(three) == expected
    with store.transaction() as again:
        assert settings_of(again) == expected


def test_a_file_system_without_a_write_ahead_log_is_refused() -> None:
    """When SQLite keeps another journal than it was asked for, nothing is trusted to it."""
    with (
        closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(StoreError, match="put the state on a local disk"),
    ):
        engine.make_durable(connection)


def test_a_write_is_kept_when_the_with_ends(store: Store, path: Path) -> None:
    """Another connection sees it at once."""
    with store.transaction() as connection:
        connection.execute(insert(notices), notice("kept"))
    with raw(path) as other:
        assert other.execute("SELECT id FROM notices").fetchall() == [("kept",)]


@on_both_databases
def test_an_exception_undoes_the_whole_write(store: Store) -> None:
    """Nothing of a transaction that failed is there, and the exception comes through."""

    def write_half() -> None:
        with store.transaction() as connection:
            connection.execute(insert(notices), notice("half"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert notice_ids(store) == []


def test_a_writer_holds_the_lock_before_it_reads(store: Store, path: Path) -> None:
    """From its first moment nobody else can write, and everybody can read."""
    with store.transaction(), raw(path) as other:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert notice_ids(store) == []
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


@on_both_databases
def test_a_reader_sees_one_state_of_everything(store: Store) -> None:
    """What is written meanwhile does not appear before the reading ends."""
    with store.reading() as connection:
        assert connection.execute(select(notices)).all() == []
        with store.transaction() as writer:
            writer.execute(insert(notices), notice("meanwhile"))
        assert connection.execute(select(notices)).all() == []
    assert notice_ids(store) == ["meanwhile"]


@on_both_databases
def test_foreign_keys_hold(store: Store) -> None:
    """A row cannot name a landlord that is not there."""
    with pytest.raises(StoreError), store.transaction() as connection:
        connection.execute(
            insert(tables.tested_forms).values(
                landlord_id="nobody", todo_kind="other", fingerprint="f", tested_on=NOW.date()
            )
        )


@on_both_databases
def test_threads_share_a_store(store: Store) -> None:
    """Several threads write through one store, and every write is kept."""

    def write(number: int) -> None:
        with store.transaction() as connection:
            connection.execute(insert(notices), notice(f"n{number}"))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notice_ids(store) == [f"n{number}" for number in range(8)]


# --- what can be wrong ------------------------------------------------------------------------


def test_a_missing_state_says_how_to_make_one(path: Path) -> None:
    """Opening what is not there names the command, and leaves no file behind."""
    with pytest.raises(StoreError, match=r"there is no state at .*: run `automation-rules init`"):
        opened(path)
    assert not path.exists()


@pytest.mark.parametrize("create", [False, True])
def test_a_missing_directory_is_named(tmp_path: Path, create: bool) -> None:
    """No directories are made from a mistyped path."""
    with pytest.raises(StoreError, match=r"there is no directory .*nowhere"):
        opened(tmp_path / "nowhere" / "state.sqlite3", create=create)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [False, True])
def test_a_directory_is_no_state(tmp_path: Path, create: bool) -> None:
    """A path that is a directory is told so."""
    with pytest.raises(StoreError, match="is a directory: name a file"):
        opened(tmp_path, create=create)


@pytest.mark.parametrize("create", [False, True])
def test_a_file_in_place_of_the_directory_is_told(tmp_path: Path, create: bool) -> None:
    """A path through a file cannot be opened."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="there is no directory"):
        opened(tmp_path / "file" / "state.sqlite3", create=create)


def test_a_path_that_no_file_can_have_is_told(tmp_path: Path) -> None:
    """A name longer than file systems allow is an error of ours."""
    with pytest.raises(StoreError, match=r"cannot be opened: .*or name another file"):
        opened(tmp_path / ("x" * 5_000), create=True)


def test_an_empty_file_says_how_to_make_a_state(path: Path) -> None:
    """An empty file is no state yet; making one there works."""
    path.touch()
    with pytest.raises(StoreError, match="the state is empty: run `automation-rules init`"):
        opened(path)
    opened(path, create=True).close()
    opened(path).close()


@pytest.mark.parametrize("create", [False, True])
def test_a_file_of_another_kind_is_left_alone(path: Path, create: bool) -> None:
    """What is no SQLite database is told so, and not overwritten."""
    content = b"Dear tenant, this is a letter and not a database.\n" * 100
    path.write_bytes(content)
    with pytest.raises(StoreError, match="not a SQLite database"):
        opened(path, create=create)
    assert path.read_bytes() == content


@pytest.mark.parametrize("create", [False, True])
def test_another_programs_database_is_left_alone(path: Path, create: bool) -> None:
    """A database with other tables is not taken over."""
    with raw(path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
    with pytest.raises(SchemaError, match="belongs to another program"):
        opened(path, create=create)
    with raw(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("invoices",)]


def test_a_damaged_file_is_told(path: Path) -> None:
    """A page overwritten with rubbish is found when it is read, as an error of ours."""
    with opened(path, create=True) as store, store.transaction() as connection:
        connection.execute(insert(notices), [notice(f"{n:0>200}") for n in range(500)])
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged: restore it"), opened(path) as store:
        notice_ids(store)


def test_a_state_that_is_kept_locked_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that waits in vain says who is in the way and what to do."""
    opened(path, create=True).close()
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    with opened(path) as store, raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(StoreError, match="another process kept the state locked"),
            store.transaction(),
        ):
            pytest.fail("the lock was given twice")
        other.execute("ROLLBACK")
        with store.transaction():
            pass


def test_a_state_that_cannot_be_written_is_told(store: Store) -> None:
    """A read-only state says so when a write is tried, and can still be read."""
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA query_only=ON")
    with (
        pytest.raises(StoreError, match="cannot be written: give this user the right"),
        store.transaction() as connection,
    ):
        connection.execute(insert(notices), notice("n"))
    assert notice_ids(store) == []


def test_a_full_disk_is_told(store: Store) -> None:
    """When there is no room left nothing is half-written, and the error says so."""
    with store.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
    with pytest.raises(StoreError, match="the disk is full"), store.transaction() as connection:
        connection.execute(insert(notices), [notice(f"{n:0>200}") for n in range(1_000)])
    assert notice_ids(store) == []


def test_what_no_list_foresees_is_an_error_of_ours(store: Store) -> None:
    """Any other database error names its kind and no more."""
    with (
        pytest.raises(StoreError, match=r"^the state cannot be used: OperationalError$"),
        store.reading() as connection,
    ):
        connection.execute(text("SELECT * FROM nothing_like_it"))


def test_values_stay_out_of_database_errors(store: Store) -> None:
    """Not even the chain of causes repeats what was being written."""
    planted = notice("Zyxwv-Planted")
    with pytest.raises(StoreError) as caught, store.transaction() as connection:
        connection.execute(insert(notices), [planted, planted])
    assert "Zyxwv" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "cannot be read: write sqlite:///<path>"),
        ("state.sqlite3", "cannot be read: write sqlite:///<path>"),
        ("/var/lib/state.sqlite3", "cannot be read: write sqlite:///<path>"),
        ("postgresql://host:port/name", "cannot be read: write sqlite:///<path>"),
        ("mysql://host/name", "of another kind: write sqlite:///<path>"),
        ("sqlite+aiosqlite:///x", "of another kind: write sqlite:///<path>"),
        ("sqlite://", "must be one file"),
        ("sqlite:///", "must be one file"),
        ("sqlite:///:memory:", "must be one file"),
        ("sqlite://host/x", "must be one file"),
        ("sqlite:///x?mode=ro", "must be one file"),
    ],
)
def test_urls_that_name_no_state(url: str, problem: str) -> None:
    """A URL that cannot be used says which ones can."""
    with pytest.raises(StoreError, match=problem):
        Store.open(url, clock=SystemClock(), create=True)


def test_a_server_that_does_not_answer_is_an_error_of_ours() -> None:
    """Without a driver or a server the error is clear, and never shows a password."""
    url = "postgresql://someone:Zyxwv-Planted@127.0.0.1:1/none?connect_timeout=2"
    with pytest.raises(StoreError) as caught:
        Store.open(url, clock=SystemClock())
    assert "Zyxwv" not in "".join(traceback.format_exception(caught.value))


# --- the schema moves on ----------------------------------------------------------------------


@on_both_databases
def test_a_newer_schema_is_refused_with_both_versions(url: str) -> None:
    """A state of a later library is not touched."""
    with opened(url, create=True) as made:
        path = made.path
    make_version(url, 99)
    before = path and path.read_bytes()
    with pytest.raises(SchemaError, match=rf"version 99, .* knows {NOW_VERSION}: install a newer"):
        opened(url)
    assert (path and path.read_bytes()) == before


@on_both_databases
def test_an_older_schema_without_a_way_is_refused(url: str) -> None:
    """What cannot be upgraded says both versions."""
    opened(url, create=True).close()
    make_version(url, -3)
    with pytest.raises(
        SchemaError, match=rf"version -3, .* knows {NOW_VERSION} and no way between them"
    ):
        opened(url)


def earlier_state(url: str, patch: pytest.MonkeyPatch) -> None:
    """Make a state whose notices have no title, with one notice; the next version gives them one.

    That version is invented.
    """
    opened(url, create=True).close()
    change(
        url,
        "ALTER TABLE notices DROP COLUMN title",
        "INSERT INTO notices VALUES ('n', '2026-06-02', true)",
    )
    patch.setattr(engine, "SCHEMA_VERSION", NOW_VERSION + 1)


def add_titles(connection: Connection) -> None:
    """Upgrade to the invented version."""
    connection.execute(text("ALTER TABLE notices ADD COLUMN title VARCHAR(1000)"))


@on_both_databases
def test_an_older_schema_is_upgraded_with_what_it_holds(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening runs the steps in between, keeps the rows, and does so once."""
    earlier_state(url, monkeypatch)
    monkeypatch.setitem(engine.MIGRATIONS, NOW_VERSION, add_titles)
    for _ in range(2):
        with opened(url) as store, store.reading() as connection:
            assert connection.execute(select(meta.c.schema_version)).scalar() == NOW_VERSION + 1
            [row] = connection.execute(select(notices)).all()
            assert tuple(row) == ("n", date(2026, 6, 2), True, None)


TABLES_OF_VERSION_3 = (
    "leases",
    "switches",
    "service_tokens",
    "activity_counters",
    "observations",
)
TABLES_OF_VERSION_2 = ("cosignatures", "witnesses", "checkpoints", "signing_keys", "legal_holds")


def schema(connection: Connection) -> dict[str, object]:
    """Return what the tables are, without the order of anything."""
    inspector = inspect(connection)
    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)],
            inspector.get_pk_constraint(name)["constrained_columns"],
            sorted((i["name"] or "", i["column_names"]) for i in inspector.get_indexes(name)),
            sorted(
                (f["constrained_columns"], f["referred_table"], f["referred_columns"])
                for f in inspector.get_foreign_keys(name)
            ),
            sorted(c["sqltext"] for c in inspector.get_check_constraints(name)),
        )
        for name in inspector.get_table_names()
    }


@pytest.mark.parametrize("version", [1, 2])
@on_both_databases
def test_a_state_of_an_earlier_version_gets_what_it_lacks(
    url: str, version: int, postgresql: Server
) -> None:
    """A state from before is opened, keeps what it had, and is then like a new one."""
    opened(url, create=True).close()
    first_tables = [f"DROP TABLE {name}" for name in TABLES_OF_VERSION_2]
    first = [*first_tables, "ALTER TABLE log_head DROP COLUMN first"] if version == 1 else []
    change(
        url,
        "INSERT INTO notices VALUES ('n', '2026-06-02', true, NULL)",
        *(f"DROP TABLE {name}" for name in TABLES_OF_VERSION_3),
        *first,
    )
    make_version(url, version)
    with opened(url) as store, store.reading() as connection:
        assert notice_ids(store) == ["n"]
        assert connection.execute(select(meta.c.schema_version)).scalar() == NOW_VERSION
        upgraded = schema(connection)
    fresh = f"{url}-fresh" if url.startswith("sqlite") else postgresql.new_schema()
    with opened(fresh, create=True) as store, store.reading() as connection:
        assert upgraded == schema(connection)


@on_both_databases
def test_several_steps_run_in_order(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From an old version every step runs, each once, to the current one."""
    opened(url, create=True).close()
    make_version(url, -2)
    ran: list[int] = []

    def step(version: int) -> Callable[[Connection], None]:
        return lambda _: ran.append(version)

    for version in range(-2, NOW_VERSION):
        monkeypatch.setitem(engine.MIGRATIONS, version, step(version))
    opened(url).close()
    assert ran == list(range(-2, NOW_VERSION))


@on_both_databases
def test_an_upgrade_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old state is still there, whole, and can be upgraded later."""

    def fail(connection: Connection) -> None:
        add_titles(connection)
        connection.execute(text("DELETE FROM notices"))
        connection.execute(text("SELECT * FROM nothing_like_it"))

    earlier_state(url, monkeypatch)
    monkeypatch.setitem(engine.MIGRATIONS, NOW_VERSION, fail)
    with pytest.raises(StoreError):
        opened(url)
    monkeypatch.setitem(engine.MIGRATIONS, NOW_VERSION, add_titles)
    with opened(url) as store:
        assert notice_ids(store) == ["n"]


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM meta",
        "UPDATE meta SET schema_version = 'one'",
        "UPDATE meta SET log_id = x'00'",
    ],
)
def test_a_state_that_does_not_say_its_version_is_refused(path: Path, damage: str) -> None:
    """Nothing is guessed about a state whose own description is damaged."""
    opened(path, create=True).close()
    with raw(path) as connection:
        connection.execute(damage)
    with pytest.raises(SchemaError, match="does not say which schema version"):
        opened(path)


@on_both_databases
def test_the_tables_in_the_file_are_those_declared(store: Store) -> None:
    """Every declared table and column is made, and nothing else."""
    with store.reading() as connection:
        inspector = inspect(connection)
        made = {
            name: {column["name"] for column in inspector.get_columns(name)}
            for name in inspector.get_table_names()
        }
    assert made == {name: set(table.columns.keys()) for name, table in metadata.tables.items()}


def test_the_tables_can_be_made_on_postgresql() -> None:
    """Every table is also valid for the other database, with 64-bit instants and sizes."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    made = {
        name: str(CreateTable(table).compile(dialect=dialect))
        for name, table in metadata.tables.items()
    }
    assert "idx BIGINT NOT NULL" in made["log_entries"]
    assert "at BIGINT NOT NULL" in made["acknowledgements"]
    assert "id BIGSERIAL NOT NULL" in made["acknowledgements"]
    assert "ciphertext BYTEA NOT NULL" in made["envelopes"]


# --- values -----------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.datetimes(timezones=st.timezones()))
@example(datetime.min.replace(tzinfo=UTC))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime(2026, 10, 25, 1, 30, 0, 1, tzinfo=timezone(timedelta(hours=1))))
@example(datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
def test_instants_are_kept_exactly(at: datetime) -> None:
    """Any instant comes back the same to the microsecond, in UTC."""
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        return
    column, dialect = Instant(), postgresql.dialect()  # type: ignore[no-untyped-call]
    kept = column.process_bind_param(at, dialect)
    assert isinstance(kept, int)
    back = column.process_result_value(kept, dialect)
    assert back is not None
    assert back == expected
    assert back.tzinfo is UTC


def test_a_naive_instant_is_refused_before_it_is_written(store: Store) -> None:
    """The error is the clock's own, not the database's."""
    with pytest.raises(ClockError, match="no UTC offset"), store.transaction() as connection:
        connection.execute(
            update(meta).values(created_at=NOW.replace(tzinfo=None)),
        )
    with store.reading() as connection:
        assert connection.execute(select(meta.c.created_at)).scalar() == NOW


@pytest.mark.parametrize("value", ["soon", 1.5, b"x", 2**62])
def test_a_stored_instant_that_is_none_is_told(value: object) -> None:
    """A value of another kind in the file is an error of ours, never a guess."""
    with pytest.raises(StoreError, match="did not write"):
        Instant().process_result_value(value, postgresql.dialect())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("value", ["soon", 1.5, b"x", "2026-02-30"])
def test_a_stored_day_that_is_none_is_told(value: object) -> None:
    """A value of another kind in the file is an error of ours, never a guess."""
    with pytest.raises(StoreError, match="did not write"):
        Day().process_result_value(value, postgresql.dialect())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("value", [None, "x", '{"a": 1}', "[1]", b"\xff", 1.5])
def test_stored_texts_that_are_none_are_told(value: object) -> None:
    """A value of another kind in the file is an error of ours, never a guess."""
    with pytest.raises(StoreError, match="did not write"):
        Texts().process_result_value(value, postgresql.dialect())  # type: ignore[no-untyped-call]


def test_absent_values_stay_absent() -> None:
    """A column that may be empty gives None back."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for column in (Instant(), Day()):
        assert column.process_bind_param(None, dialect) is None
        assert column.process_result_value(None, dialect) is None


# --- where the state is -----------------------------------------------------------------------


def test_the_state_is_named_by_argument_then_variable_then_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is given wins over the environment, and that over the user's data directory."""
    monkeypatch.setenv("AUTOMATION_RULES_STATE", "sqlite:///variable")
    assert state_url("sqlite:///given") == "sqlite:///given"
    assert state_url() == "sqlite:///variable"
    monkeypatch.setenv("AUTOMATION_RULES_STATE", "")
    assert state_url() == f"sqlite:///{engine.default_state_path()}"
    monkeypatch.delenv("AUTOMATION_RULES_STATE")
    assert state_url(None) == f"sqlite:///{engine.default_state_path()}"


def test_the_default_state_is_made_with_its_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a fresh machine the user's data directory need not exist."""
    place = tmp_path / "data" / "automation-rules" / "state.sqlite3"
    monkeypatch.setattr(engine, "default_state_path", lambda: place)
    monkeypatch.delenv("AUTOMATION_RULES_STATE", raising=False)
    with pytest.raises(StoreError, match="there is no directory"):
        Store.open(state_url(), clock=SystemClock())
    with Store.open(state_url(), clock=SystemClock(), create=True) as store:
        assert store.path == place
