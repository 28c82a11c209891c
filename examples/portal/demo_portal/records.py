"""Databases of other systems: reached at every page, for a limited time, by SQLAlchemy."""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import create_engine, func, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine, RowMapping, Select

Row = TypeVar("Row")

PAGE = 25
"""How many rows a page of them has."""

_log = logging.getLogger(__name__)


class RecordsUnavailableError(Exception):
    """The other system is down, or too slow. Says nothing of what was asked."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some of what was found: the page's number, of how many, and of how many rows in all."""

    rows: list[Row]
    number: int
    pages: int
    total: int


class Records:
    """The database at ``url``, waited for at most ``seconds`` at a time.

    Nothing is opened yet, and a database that is not there is not made.
    """

    def __init__(self, url: str, seconds: float, *, writable: bool = False) -> None:
        """Keep where it is. What is not ``writable`` refuses to be written."""
        self._seconds = seconds
        self.engine = _engine(url, seconds, writable=writable)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a connection in a transaction, which is committed if all goes well.

        Raises:
            RecordsUnavailableError: the database failed or took too long.
        """
        try:
            with self.engine.begin() as connection:
                self.allow(connection)
                yield connection
        except SQLAlchemyError as error:
            # What was asked for is personal: only the kind of failure is written down.
            _log.error("the records failed: %s", type(error).__name__)
            raise RecordsUnavailableError from None

    def allow(self, connection: Connection) -> None:
        """Let SQLite work on for as long again; PostgreSQL counts by itself."""
        raw = connection.connection.dbapi_connection
        if isinstance(raw, sqlite3.Connection):
            until = time.monotonic() + self._seconds
            raw.set_progress_handler(lambda: time.monotonic() > until, 10_000)


def read_page(
    connection: Connection, query: Select[Any], page: int, made: Callable[[RowMapping], Row]
) -> Page[Row]:
    """Return a page of what a query finds; the last one when there are fewer."""
    counted = query.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
    total: int = connection.execute(counted).scalar_one()
    pages = max(1, -(-total // PAGE))
    number = min(max(1, page), pages)
    found = connection.execute(query.limit(PAGE).offset((number - 1) * PAGE)).mappings()
    return Page([made(row) for row in found], number, pages, total)


def _engine(url: str, seconds: float, *, writable: bool) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        mode = "rw" if writable else "ro"
        place = f"{Path(parsed.database or '').absolute().as_uri()}?mode={mode}"

        def opened() -> sqlite3.Connection:
            return sqlite3.connect(place, uri=True, timeout=seconds, check_same_thread=False)

        return create_engine("sqlite://", creator=opened, poolclass=NullPool, hide_parameters=True)
    milliseconds = int(seconds * 1000)
    options = [
        # What the URL says comes first: these would take its place.
        str(parsed.query.get("options", "")),
        f"-c statement_timeout={milliseconds}",
        "" if writable else "-c default_transaction_read_only=on",
    ]
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=seconds,
        connect_args={
            "connect_timeout": max(2, round(seconds)),
            "tcp_user_timeout": milliseconds,
            "options": " ".join(options).strip(),
        },
    )
