"""Heads remembered outside the state, so that a log that went back in time is recognised.

A log that lost its end, or a restored backup, verifies by itself: only somebody who remembers a
later head can tell. This is kept apart from the state, so that one backup does not hold both.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from .errors import LogError
from .merkle import Head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["HEADS_VARIABLE", "RememberedHeads"]

HEADS_VARIABLE: Final = "AUTOMATION_RULES_HEADS"
"""The environment variable that names the file of remembered heads."""

_BUSY_SECONDS: Final = 30


class RememberedHeads:
    """The last head seen of each log, by the log's identifier; it never goes back by itself.

    A small SQLite file of this machine's user, whatever database the state is in. Safe to use
    from several threads and processes.
    """

    def __init__(self, path: Path) -> None:
        """Remember in the file at ``path``, made when first needed."""
        self.path: Final = path
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    @classmethod
    def open(cls) -> Self:
        """Remember in the file that AUTOMATION_RULES_HEADS names, else in the user's own state."""
        named = os.environ.get(HEADS_VARIABLE)
        if named:
            return cls(Path(named))
        from platformdirs import user_state_path

        return cls(user_state_path("automation-rules", appauthor=False) / "heads.sqlite3")

    def close(self) -> None:
        """Close the file."""
        with self._turn:
            self._let_go()

    def __enter__(self) -> Self:
        """Return the heads."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def get(self, log_id: str) -> Head | None:
        """Return the head remembered of a log; None when it was never seen.

        Raises:
            LogError: the file cannot be read.
        """
        with self._using() as connection:
            row = connection.execute(
                "SELECT size, root FROM heads WHERE log_id = ?", (log_id,)
            ).fetchone()
        if row is None:
            return None
        size, root = row
        if type(size) is not int or type(root) is not bytes:
            raise LogError(self._trouble("holds something else"))
        return Head(size, root)

    def remember(self, log_id: str, head: Head) -> None:
        """Remember a head, unless a later one is remembered already.

        Raises:
            LogError: the file cannot be written.
        """
        self._keep(log_id, head, "WHERE excluded.size > heads.size")

    def replace(self, log_id: str, head: Head) -> None:
        """Remember a head even though a later one is remembered.

        Raises:
            LogError: the file cannot be written.
        """
        self._keep(log_id, head, "")

    def _keep(self, log_id: str, head: Head, condition: str) -> None:
        with self._using() as connection:
            connection.execute(
                "INSERT INTO heads (log_id, size, root) VALUES (?, ?, ?) ON CONFLICT (log_id) "  # noqa: S608
                f"DO UPDATE SET size = excluded.size, root = excluded.root {condition}",
                (log_id, head.size, head.root),
            )

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        with self._turn:
            try:
                if self._connection is None:
                    self._connection = self._connect()
                yield self._connection
            except (sqlite3.Error, OSError) as error:
                self._let_go()
                raise LogError(self._trouble("cannot be used")) from error

    def _connect(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, isolation_level=None, timeout=_BUSY_SECONDS, check_same_thread=False
        )
        try:
            # A head lost with the power makes the memory older, never wrong: no need to wait
            # for the disk on every append.
            connection.executescript(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                "CREATE TABLE IF NOT EXISTS heads"
                " (log_id TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL);"
            )
        except BaseException:
            connection.close()
            raise
        return connection

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _trouble(self, what: str) -> str:
        return (
            f"the file of remembered heads, {self.path}, {what}: mend it, or name another with "
            f"{HEADS_VARIABLE}"
        )
