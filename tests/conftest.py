"""What many tests share: the databases that a state may be in, one of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """Give a PostgreSQL server that is started for these tests."""
    with Server() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: Server) -> str:
    """Return the URL of a state on the server, in a schema of its own."""
    return postgresql.new_schema()


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a state that does not exist yet; see `servers.on_both_databases`."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite3'}"
    new: str = request.getfixturevalue("postgresql_url")
    return new


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Give a PostgreSQL server for one test, which may stop and kill it."""
    with Server() as server:
        yield server
