"""The command line over a state that fails: denied, told in one line, and nothing half-written."""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from automation_rules.clock import SystemClock
from automation_rules.store import Store, engine
from cli_helpers import as_process
from cli_state import Program, Ran
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

SIGN_IN = ("preflight", "--account", "acme-1", "--action", "sign_in", "-o", "json")
PAUSE = ("landlord", "pause", "acme", "--reason", "DWP asked")
KEY = base64.b64encode(bytes(range(32))).decode()


def over(url: str, folder: Path, patch: pytest.MonkeyPatch) -> Program:
    """Return the command line over the state at ``url``, its key in the environment."""
    program = Program(folder, patch)
    program.url = url
    patch.setenv("AUTOMATION_RULES_STATE", url)
    patch.setenv("AUTOMATION_RULES_WRAPPING_KEY", KEY)
    return program


@pytest.fixture
def program(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line over a state whose account may sign in, and has done so once."""
    return ready(over(url, tmp_path, monkeypatch))


def ready(program: Program) -> Program:
    """Register everybody, and record one decision."""
    program.register()
    assert program.ok(*SIGN_IN).json["decision"] is True
    return program


def change(program: Program, *statements: str) -> None:
    """Change the state behind the library's back."""
    with (
        Store.open(program.url, clock=SystemClock()) as store,
        store.transaction() as connection,
    ):
        for statement in statements:
            connection.exec_driver_sql(statement)


@contextmanager
def locked(program: Program) -> Iterator[None]:
    """Keep what every writer needs locked."""
    if program.url.startswith("sqlite"):
        other = sqlite3.connect(program.path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
        finally:
            other.close()
    else:
        with psycopg.connect(program.url) as server:
            server.execute("SELECT 1 FROM log_head, landlords FOR UPDATE")
            yield


def assert_refused(program: Program, ran: Ran, said: str) -> None:
    """It ended with exit 3 (or 2), one line that says what to do, and no permission."""
    assert ran.code in (2, 3)
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not ran.out or ran.json["decision"] is False


def assert_untouched(program: Program) -> None:
    """The one entry is there and the log holds; the landlord is not paused; work goes on."""
    assert program.ok("audit", "verify", "-o", "json").json["size"] == 1
    assert program.ok("landlord", "show", "acme", "-o", "json").json["landlord"]["paused"] is False
    assert program.ok(*SIGN_IN).json["decision"] is True


@on_both_databases
def test_the_state_may_be_in_either_database(program: Program) -> None:
    """The whole way works the same: register, enter a code, ask, list, verify."""
    program.enter_code()
    allowed = program.ok(
        *("preflight", "--account", "acme-1", "--action", "submit_todo", "--todo", "td-17"),
        *("--todo-kind", "provide_tenancy_details", "-o", "json"),
    )
    assert allowed.json["decision"] is True
    assert len(program.ok("audit", "list", "-o", "json").json["entries"]) == 2
    assert program.ok("audit", "verify", "-o", "json").json["size"] == 2
    program.add_account(2)
    assert program.add_account(3).code != 0
    assert "acme-2" in program.ok("accounts", "list", "--landlord", "acme").out


@on_both_databases
def test_a_locked_state(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another process keeps locked is denied after a while."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with locked(program):
        for command in (SIGN_IN, PAUSE):
            ran = program.run(*command)
            assert ran.code == 3
            assert_refused(program, ran, "another process kept the state locked")
    assert_untouched(program)


@on_both_databases
def test_another_wrapping_key(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the wrong key nothing is sealed, so nothing is recorded, so nothing is allowed."""
    monkeypatch.setenv("AUTOMATION_RULES_WRAPPING_KEY", base64.b64encode(bytes(32)).decode())
    ran = program.run(*SIGN_IN)
    assert ran.code == 3
    assert_refused(program, ran, "give the key that belongs to this state")
    monkeypatch.setenv("AUTOMATION_RULES_WRAPPING_KEY", KEY)
    assert_untouched(program)


@on_both_databases
def test_a_newer_schema(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state of a later library is not touched, and the remedy is to upgrade."""
    change(program, "UPDATE meta SET schema_version = 99")
    for command in (SIGN_IN, PAUSE, ("init",), ("audit", "verify")):
        assert_refused(program, program.run(*command), "install a newer automation-rules")
    with monkeypatch.context() as patch:
        patch.setattr(engine, "SCHEMA_VERSION", 99)
        change(program, "UPDATE meta SET schema_version = 3")
    assert_untouched(program)


def test_a_full_database(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """When SQLite has no page left the answer is a denial, and the change is refused whole."""
    make_durable = engine.make_durable

    def cramped(connection: sqlite3.Connection) -> None:
        make_durable(connection)
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "make_durable", cramped)
        while (ran := program.run(*SIGN_IN)).code == 0:
            pass
        assert ran.code == 3
        assert_refused(program, ran, "the disk is full: make room")
        name = ("--landlord", "acme", "--name", "Example " + "x" * 900)
        said = [program.run("people", "add", f"officer-{n}", *name) for n in range(9)]
        assert_refused(program, said[-1], "the disk is full: make room")
    people = program.ok("people", "list", "--landlord", "acme", "-o", "json").json["people"]
    assert len(people) == 1 + sum(ran.code == 0 for ran in said)
    recorded = program.ok("audit", "verify", "-o", "json").json["size"]
    assert program.ok(*SIGN_IN).json["decision"] is True
    assert program.ok("audit", "verify", "-o", "json").json["size"] == recorded + 1


@contextmanager
def as_somebody() -> Iterator[None]:
    """Act as a user whom permissions bind: they do not bind root."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.mark.parametrize("directory_too", [False, True])
def test_a_read_only_file(monkeypatch: pytest.MonkeyPatch, directory_too: bool) -> None:
    """A user who may not write the file, or its directory either, is told so and denied."""
    folder = Path(tempfile.mkdtemp(prefix="read-only-"))
    try:
        (folder / "state").mkdir()
        program = over(f"sqlite:///{folder / 'state' / 'state.sqlite3'}", folder, monkeypatch)
        path = folder / "state" / "state.sqlite3"
        ready(program)
        for command in (SIGN_IN, PAUSE):
            assert program.run(*command, "--help").code == 0
        before = path.read_bytes()
        folder.chmod(0o777)
        (folder / "heads.sqlite3").chmod(0o666)
        path.chmod(stat.S_IREAD | stat.S_IRGRP | stat.S_IROTH)
        (folder / "state").chmod(0o555 if directory_too else 0o777)
        with as_somebody():
            refused = [program.run(*command) for command in (SIGN_IN, PAUSE)]
        (folder / "state").chmod(0o777)
        path.chmod(0o600)
        for ran in refused:
            assert ran.code == 3
            assert_refused(program, ran, "this user")
        assert path.read_bytes() == before
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        assert_untouched(program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_read_only_server(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A standby, or a database that somebody made read-only, denies and says where to write."""
    with monkeypatch.context() as patch:
        patch.setenv(
            "AUTOMATION_RULES_STATE", program.url + "%20-cdefault_transaction_read_only%3Don"
        )
        for command in (SIGN_IN, PAUSE):
            ran = program.run(*command)
            assert ran.code == 3
            assert_refused(program, ran, "the database is read-only")
    assert_untouched(program)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("sqlstate", "said"),
    [
        ("53100", "the disk is full: make room"),
        ("58030", "the disk could not be read or written"),
        ("53300", "no connection left"),
        ("42501", "lacks a right"),
        ("40P01", "another process was in the way"),
        ("XX001", "restore it from a backup"),
    ],
)
def test_a_server_that_refuses_a_row(program: Program, sqlstate: str, said: str) -> None:
    """Whatever the server says no with, the answer is a denial and the remedy is told."""
    change(
        program,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'Zyxwv-Planted' USING ERRCODE = '{sqlstate}'; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON log_head FOR EACH ROW EXECUTE FUNCTION refuse()",
        "CREATE TRIGGER refuse BEFORE INSERT ON status_changes"
        " FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    for command in (SIGN_IN, PAUSE):
        ran = program.run(*command)
        assert ran.code == 3
        assert_refused(program, ran, said)
        assert "Zyxwv" not in ran.err
    change(program, "DROP FUNCTION refuse CASCADE")
    assert_untouched(program)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_nothing_but_the_error_is_printed(program: Program) -> None:
    """What the driver has to say about a batch that was refused stays off standard error."""
    change(
        program,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'Zyxwv-Planted' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON envelopes FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    done = as_process(*SIGN_IN)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines() == [
        "error: the entry could not be recorded: the disk is full: make room, then try again"
    ]


def test_a_server_that_has_gone(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server is away everything is refused; when it is back all is there."""
    program = ready(over(own_server.new_schema(), tmp_path, monkeypatch))
    own_server.kill()
    for command in (SIGN_IN, PAUSE, ("audit", "verify"), ("init",)):
        ran = program.run(*command)
        assert ran.code == 3
        assert_refused(program, ran, "the database server cannot be reached")
    own_server.start()
    assert_untouched(program)


def test_a_password_is_never_shown(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither where the state is made nor where it cannot be opened."""
    url = postgresql_url.replace("postgres:@", "postgres:Zyxwv-Planted@")
    program = over(url, tmp_path, monkeypatch)
    made = program.ok("init", "-o", "json")
    assert made.json["state"]["state"].startswith("postgresql://postgres:***@")
    monkeypatch.setenv("AUTOMATION_RULES_STATE", url.replace("host=", "host=/nowhere"))
    gone = program.run("landlord", "list")
    assert gone.code == 3
    monkeypatch.setenv("AUTOMATION_RULES_STATE", url.replace("?", "?no_such_option=1&"))
    wrong = program.run("landlord", "list")
    assert wrong.code == 2
    for ran in (made, gone, wrong):
        assert "Zyxwv" not in ran.out + ran.err


def test_a_server_without_a_key_is_told_how_to_make_one(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server has no file beside it for the key: the environment must hold it."""
    program = over(postgresql_url, tmp_path, monkeypatch)
    with monkeypatch.context() as patch:
        patch.delenv("AUTOMATION_RULES_WRAPPING_KEY")
        ran = program.run("init")
    assert ran.code == 3
    assert "AUTOMATION_RULES_WRAPPING_KEY" in ran.err
    program.ok("init")
