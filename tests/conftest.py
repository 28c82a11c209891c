"""What many tests share: the databases that a state may be in, one of its own for each test."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway_world import World


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
def world(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a state in which everything is in order, for a gateway to stand on."""
    from gateway_world import make_world

    return make_world(url, tmp_path, monkeypatch)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """Give a PostgreSQL server for one test, which may stop and kill it."""
    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def _page_on_a_server(request: pytest.FixtureRequest) -> None:
    """Run the page about PostgreSQL on a server, whose own tools its commands find."""
    params = getattr(getattr(request.node, "callspec", None), "params", {})
    if "place" not in request.fixturenames or params.get("name") != POSTGRESQL_PAGE:
        return
    request.getfixturevalue("place")
    server: Server = request.getfixturevalue("postgresql")
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name, value in server.environment("automation", "automation_rules").items():
        patch.setenv(name, value)
    patch.setenv("AUTOMATION_RULES_WRAPPING_KEY", base64.b64encode(bytes(range(32))).decode())


POSTGRESQL_PAGE = "docs/how-to/postgresql.md"
