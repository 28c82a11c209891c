"""Opening the state: one SQL database that holds the registry, the codes and the decision log.

What is particular to one database is in this module alone; everything above it is SQLAlchemy
Core that SQLite and PostgreSQL both run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import sys
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from sqlalchemy import (
    QueuePool,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..errors import AutomationRulesError, SchemaError, StoreError
from .tables import (
    activity_counters,
    checkpoints,
    cosignatures,
    leases,
    legal_holds,
    log_head,
    meta,
    metadata,
    observations,
    service_tokens,
    signing_keys,
    switches,
    witnesses,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from types import TracebackType

    from sqlalchemy import URL, Connection, Engine, Table

    from ..clock import Clock

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "STATE_VARIABLE",
    "Store",
    "driver_errors",
    "make_durable",
    "plain_errors",
    "state_url",
    "take_turns",
]

SCHEMA_VERSION: Final = 3
"""The version of the tables that this library reads and writes."""


def _add_evidence(connection: Connection) -> None:
    """From version 1: signing keys, checkpoints, witnesses, legal holds, the first entry kept."""
    added = [signing_keys, checkpoints, witnesses, cosignatures, legal_holds]
    metadata.create_all(connection, tables=added, checkfirst=False)
    number = log_head.c.first.type.compile(connection.dialect)
    connection.execute(text(f"ALTER TABLE log_head ADD COLUMN first {number} DEFAULT 0 NOT NULL"))


def _add_gateway(connection: Connection) -> None:
    """From version 2: leases, the switch for all, service tokens, what the monitor counts, saw."""
    added = [leases, switches, service_tokens, activity_counters, observations]
    metadata.create_all(connection, tables=added, checkfirst=False)


MIGRATIONS: Final[dict[int, Callable[[Connection], None]]] = {1: _add_evidence, 2: _add_gateway}
"""From a schema version, what makes it the next one; runs inside the upgrade's transaction."""

STATE_VARIABLE: Final = "AUTOMATION_RULES_STATE"
"""The environment variable that names the state when nothing else does."""

BUSY_SECONDS: Final = 30
"""How long a connection waits for another's write to end."""

IDLE_SECONDS: Final = 20
"""How long a PostgreSQL transaction may stand idle: less than the others wait for its locks, so
that a client that has stopped in the middle does not stop them all."""

_WRITES: Final = "automation_rules_writes"

_LOCKED: Final = (
    f"another process kept the state locked for {BUSY_SECONDS} seconds: let it finish, then try "
    "again"
)
_DISK_FULL: Final = "the disk is full: make room, then try again"
_DISK_FAILS: Final = "the disk could not be read or written: check the disk and its room"

_SQLITE_PROBLEMS: Final = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_READONLY: "the state cannot be written: give this user the right to write "
    "the file and its directory",
    sqlite3.SQLITE_FULL: _DISK_FULL,
    sqlite3.SQLITE_IOERR: _DISK_FAILS,
    sqlite3.SQLITE_CANTOPEN: "the state cannot be opened: check that the file and its directory "
    "exist and that this user may read and write both",
    sqlite3.SQLITE_NOTADB: "the file is not a SQLite database: check its name, or restore it "
    "from a backup",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
}

_UNREACHABLE: Final = (
    "the database server cannot be reached, or broke off: check that it runs, the address, the "
    "database and the user that the state's URL names, and that the server lets this user in"
)
_NOT_NOW: Final = "the database server is starting or stopping: try again when it runs"

# By SQLSTATE, or by its first two characters, the class of errors that it belongs to.
_POSTGRESQL_PROBLEMS: Final = {
    "08": _UNREACHABLE,
    "25006": "the database is read-only: let the state's URL name the primary server, with a user "
    "who may write",
    "25P03": f"the database server ended a transaction that stood idle for {IDLE_SECONDS} "
    "seconds: try again",
    "28": _UNREACHABLE,
    "3D000": _UNREACHABLE,
    "40": "another process was in the way: try again",
    "42501": "the database user lacks a right: let the user who made the state own its tables, "
    "or grant SELECT, INSERT, UPDATE and DELETE on them",
    "53100": _DISK_FULL,
    "53300": "the database server has no connection left: allow more, or run fewer processes",
    "55P03": _LOCKED,
    "57014": "the database server cancelled the work: try again",
    "57P": _NOT_NOW,
    "58030": _DISK_FAILS,
    "XX001": "the database is damaged: restore it from a backup",
    "XX002": "the database is damaged: restore it from a backup",
}


def default_state_path() -> Path:
    """Return where the state is kept when nobody says otherwise: the user's data directory."""
    from platformdirs import user_data_path

    return user_data_path("automation-rules", appauthor=False) / "state.sqlite3"


def state_url(value: str | None = None) -> str:
    """Return the URL of the state: ``value``, else ``AUTOMATION_RULES_STATE``, else the default."""
    return value or os.environ.get(STATE_VARIABLE) or f"sqlite:///{default_state_path()}"


class Store:
    """An open state. Make one with `Store.open`, and close it, or use it in a ``with``."""

    path: Path | None
    """The file of a SQLite state; None for a server."""
    log_id: str
    """The random UUID that this state's decision log was given when it was made."""

    def __init__(self, reader: Engine, writer: Engine, path: Path | None, clock: Clock) -> None:
        """Wrap two engines over one pool of connections; `Store.open` is the way in."""
        self.path = path
        self._reader = reader
        self._writer = writer
        self.log_id = ""
        self._clock = clock

    @classmethod
    def open(cls, url: str, *, clock: Clock, create: bool = False) -> Self:
        """Open the state at ``url``, ``sqlite:///<path>`` or ``postgresql://…``.

        An older schema is upgraded in one transaction. With ``create``, a state that does not
        exist yet is made, and one that exists is opened as it is.

        Raises:
            StoreError: there is no such state, or it cannot be opened; says what to do.
            SchemaError: the state was written by a version that this one cannot work with.
        """
        parsed = _parse(url)
        path = _sqlite_path(parsed, create=create) if parsed.drivername == "sqlite" else None
        reader, writer = _sqlite_engines(path) if path else _postgresql_engines(parsed)
        store = cls(reader, writer, path, clock)
        try:
            store.log_id = store._schema(create=create)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close every connection."""
        self._reader.dispose()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close every connection."""
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Give a connection whose transaction writes: all of it or, on any exception, none.

        In SQLite it holds the write lock from its first statement, so that what it reads stays
        true until it commits; in PostgreSQL that holds of the rows that it locks. It is durable
        when the ``with`` ends.

        Raises:
            StoreError: the state cannot be written; says what to do.
        """
        with _begun(self._writer) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose transaction only reads, and sees one state of everything.

        Raises:
            StoreError: the state cannot be read; says what to do.
        """
        with _begun(self._reader) as connection:
            yield connection

    def scrub(self, traces: Collection[bytes], tables: Iterable[Table]) -> None:
        """See that what was deleted is in no free space of the database's files either.

        In SQLite the write-ahead log is emptied, and the file is written afresh if any of the
        ``traces`` is still in it; on a server the ``tables`` are. No transaction may be open.

        Raises:
            StoreError: another program is using the state, or the disk has no room for a copy.
        """
        with plain_errors():
            connection = self._writer.raw_connection()
            try:
                if self.path is None:
                    _rewrite_tables(connection.driver_connection, tables)
                else:
                    _rewrite_file(connection.cursor(), self.path, [t for t in traces if t])
            finally:
                connection.close()

    def _schema(self, *, create: bool) -> str:
        """See that the schema is the current one; return the log's id."""
        with self.reading() as connection:
            found = _found_schema(connection)
        if found is None or found.version != SCHEMA_VERSION:
            with self.transaction() as connection:
                _lock_schema(connection)
                # Looked for again under the lock: another process may have been quicker.
                found = _found_schema(connection)
                if found is None:
                    found = _create_schema(connection, self._clock, create=create)
                _upgrade(connection, found.version)
        return found.log_id


@contextmanager
def _begun(engine: Engine) -> Iterator[Connection]:
    with plain_errors(), engine.begin() as connection:
        try:
            yield connection
        except driver_errors():
            # Only what passes through SQLAlchemy tells it that a connection is broken.
            connection.invalidate()
            raise


def take_turns(connection: Connection) -> None:
    """Let one writing transaction at a time register things under new ids, until it commits.

    Whether an id is taken then stays true. SQLite's writers take turns anyway.
    """
    connection.execute(select(meta.c.id).with_for_update())


class _Found(NamedTuple):
    version: int
    log_id: str


def _found_schema(connection: Connection) -> _Found | None:
    """Return the version and the log's id, or None for a database with nothing in it."""
    inspector = inspect(connection)
    if not inspector.has_table(meta.name):
        if inspector.get_table_names():
            raise SchemaError(
                "the database belongs to another program: give the state one of its own"
            )
        return None
    row = connection.execute(select(meta.c.schema_version, meta.c.log_id)).one_or_none()
    if row is None or not isinstance(row.schema_version, int) or not isinstance(row.log_id, str):
        raise SchemaError(
            "the state does not say which schema version it has: restore it from a backup"
        )
    return _Found(row.schema_version, row.log_id)


def _lock_schema(connection: Connection) -> None:
    """Let one process at a time make or upgrade a schema; SQLite's write lock does so anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


_SCHEMA_LOCK: Final = 0x6175746F72756C65
"""A number that no other program is likely to lock, in the state's own database."""


def _create_schema(connection: Connection, clock: Clock, *, create: bool) -> _Found:
    if not create:
        raise StoreError("the state is empty: run `automation-rules init`")
    metadata.create_all(connection, checkfirst=False)
    found = _Found(SCHEMA_VERSION, str(uuid.uuid4()))
    connection.execute(
        insert(meta).values(
            id=1, schema_version=found.version, log_id=found.log_id, created_at=clock.now()
        )
    )
    connection.execute(
        insert(log_head).values(id=1, size=0, root=hashlib.sha256().digest(), frontier=b"")
    )
    return found


def _upgrade(connection: Connection, version: int) -> None:
    """Bring a schema of ``version`` to the current one, step by step."""
    if version > SCHEMA_VERSION:
        raise SchemaError(
            f"the state has schema version {version}, and this library knows {SCHEMA_VERSION}: "
            "install a newer automation-rules"
        )
    for step in range(version, SCHEMA_VERSION):
        if step not in MIGRATIONS:
            raise SchemaError(
                f"the state has schema version {version}, and this library knows "
                f"{SCHEMA_VERSION} and no way between them: upgrade it with an older "
                "automation-rules first"
            )
        MIGRATIONS[step](connection)
    if version < SCHEMA_VERSION:
        connection.execute(update(meta).values(schema_version=SCHEMA_VERSION))


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The cause would repeat the URL, which may hold a password.
        raise StoreError(f"the state's URL cannot be read: {_URL_REMEDY}") from None
    if parsed.drivername not in ("sqlite", "postgresql"):
        raise StoreError(f"the state's URL is of another kind: {_URL_REMEDY}")
    return parsed


_URL_REMEDY: Final = "write sqlite:///<path> or postgresql://<user>@<host>/<database>"


def _sqlite_path(url: URL, *, create: bool) -> Path:
    """Return the file that ``url`` names, which exists; with ``create``, make it if need be."""
    if url.query or url.host or not url.database or url.database == ":memory:":
        raise StoreError("the state must be one file, which lasts: write sqlite:///<path>")
    path = Path(url.database).absolute()
    try:
        if create and path == default_state_path():
            path.parent.mkdir(parents=True, exist_ok=True)
        if not path.parent.is_dir():
            raise StoreError(f"there is no directory {path.parent}: make it, or name another file")
        if create and not path.exists():
            # It holds personal data; SQLite gives the files beside it the same permissions.
            path.touch(mode=0o600)
        if path.is_dir():
            raise StoreError(f"{path} is a directory: name a file")
        if not path.exists():
            raise StoreError(f"there is no state at {path}: run `automation-rules init`")
    except (OSError, ValueError) as error:
        raise StoreError(
            f"the state at {path} cannot be opened: give this user the right to read and write "
            "the file and its directory, or name another file"
        ) from error
    return path


def _sqlite_engines(path: Path) -> tuple[Engine, Engine]:
    uri = f"{path.as_uri()}?mode=rw"

    def connect() -> sqlite3.Connection:
        # isolation_level None: transactions begin below, and are not guessed by the driver.
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
        )
        try:
            make_durable(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine, engine.execution_options(**{_WRITES: True})


def make_durable(connection: sqlite3.Connection) -> None:
    """See that a commit to SQLite lasts, and that what is deleted is overwritten."""
    [journal] = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if journal != "wal":
        raise StoreError(
            "the file system of the state cannot keep a write-ahead log: "
            "put the state on a local disk"
        )
    # fullfsync: without it macOS answers before the disk has the bytes.
    connection.executescript(
        "PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON;"
        "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
    )


def _rewrite_file(cursor: Any, path: Path, traces: Sequence[bytes]) -> None:
    _empty_journal(cursor)
    if _holds(path, traces):
        cursor.execute("VACUUM")
        _empty_journal(cursor)


def _empty_journal(cursor: Any) -> None:
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    if cursor.fetchone()[0]:
        raise StoreError(
            "another program is reading the state, so that its write-ahead log cannot be emptied: "
            "end the other program"
        )


def _holds(path: Path, traces: Sequence[bytes]) -> bool:
    """Whether any of the traces is in a file, read a piece at a time."""
    overlap = max(map(len, traces), default=1) - 1
    with path.open("rb") as file:
        kept = b""
        while piece := file.read(_PIECE):
            seen = kept + piece
            if any(trace in seen for trace in traces):
                return True
            kept = seen[len(seen) - overlap :]
    return False


_PIECE: Final = 1 << 20


def _rewrite_tables(connection: Any, tables: Iterable[Table]) -> None:
    connection.autocommit = True
    try:
        for table in tables:
            # The names are our own.
            connection.execute(f"VACUUM FULL {table.name}".encode())
    finally:
        connection.autocommit = False


def _postgresql_engines(url: URL) -> tuple[Engine, Engine]:
    query = {**_POSTGRESQL_OPTIONS, **url.query}
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg", query=query),
            hide_parameters=True,
            # A writing transaction must see what its locks waited for.
            isolation_level="READ COMMITTED",
            # A server that was started again is noticed before a transaction begins.
            pool_pre_ping=True,
        )
    except ImportError as error:
        raise StoreError(
            "a PostgreSQL state needs psycopg: install it, "
            "`pip install automation-rules[postgresql]`"
        ) from error
    event.listen(engine, "connect", _set_up_postgresql)
    # Unless a program asks for them, the driver's warnings are no use: what matters is raised.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return engine.execution_options(isolation_level="REPEATABLE READ"), engine


_POSTGRESQL_OPTIONS: Final = {
    "application_name": "automation-rules",
    "client_encoding": "utf8",
    # In seconds and milliseconds: a server that vanished from the network is given up.
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""Options of each connection, unless the state's URL gives others."""


def _set_up_postgresql(connection: Any, _record: object) -> None:
    try:
        _make_postgresql_durable(connection)
    except BaseException:
        connection.close()
        raise


def _make_postgresql_durable(connection: Any) -> None:
    """See that a commit lasts, and that nobody waits or keeps others waiting for ever."""
    # Settings that are made inside a transaction would be undone with it.
    connection.autocommit = True
    fsync, encoding, *_ = connection.execute(
        "SELECT current_setting('fsync'), current_setting('server_encoding'),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),"
        " set_config('lock_timeout', %s, false),"
        " set_config('idle_in_transaction_session_timeout', %s, false)",
        (f"{BUSY_SECONDS * 1000:.0f}", f"{IDLE_SECONDS * 1000:.0f}"),
    ).fetchone()
    connection.autocommit = False
    if fsync != "on":
        raise StoreError(
            "the database server does not wait for its disk: set fsync to on in its configuration"
        )
    if encoding != "UTF8":
        raise StoreError(
            f"the database keeps text in {encoding}, which cannot hold every name: make one with "
            "the encoding UTF8"
        )


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the database or its driver raises into a `StoreError` that says what to do."""
    try:
        yield
    except _all_errors() as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, AutomationRulesError):
            raise cause from None
        if hasattr(cause, "sqlstate"):
            raise _postgresql_error(cause) from _named(cause)
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        raise StoreError(
            _SQLITE_PROBLEMS.get(code, f"the state cannot be used: {type(cause).__name__}")
        ) from error


def _all_errors() -> tuple[type[Exception], ...]:
    return (SQLAlchemyError, *driver_errors())


def driver_errors() -> tuple[type[Exception], ...]:
    """Return what the drivers raise where SQLAlchemy does not stand in between."""
    # psycopg is there, and loaded, only where a state needs it.
    psycopg = sys.modules.get("psycopg")
    return (sqlite3.Error,) if psycopg is None else (sqlite3.Error, psycopg.Error)


def _postgresql_error(cause: Any) -> StoreError:
    """Return the error for one of the server's or its driver's, by its SQLSTATE."""
    state = cause.sqlstate or ""
    for prefix in (state, state[:3], state[:2]):
        if prefix in _POSTGRESQL_PROBLEMS:
            return StoreError(_POSTGRESQL_PROBLEMS[prefix])
    kind = type(cause).__name__
    if not state and kind in ("OperationalError", "ConnectionTimeout"):
        return StoreError(_UNREACHABLE)
    if not state and kind == "ProgrammingError":
        return StoreError(f"the state's URL has an option that is not known: {_URL_REMEDY}")
    return StoreError(f"the state cannot be used: {kind}")


def _named(cause: Any) -> SQLAlchemyError:
    """Return a cause that names a server's error without its own words.

    They may repeat values, which may be personal, and addresses.
    """
    state = cause.sqlstate
    if state is None and type(cause).__name__ == "ProgrammingError":
        return ArgumentError("the driver does not take the URL")
    return SQLAlchemyError(f"{type(cause).__name__}, SQLSTATE {state}")
