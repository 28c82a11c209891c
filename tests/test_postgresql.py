"""The state on PostgreSQL: how durable it is, who waits for whom, and what can be wrong with it."""

from __future__ import annotations

import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import insert, select

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.audit import DecisionLog
from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.errors import (
    AlreadyRegisteredError,
    AutomationRulesError,
    InvalidInputError,
    NotRecordedError,
    StoreError,
    VerificationError,
)
from automation_rules.store import AnnouncedChange, PortalClosure, Registry, Store, engine
from automation_rules.store.codes import CodeDesk, PortalCodes
from automation_rules.store.tables import code_challenges, code_waits, notices
from log_helpers import drafted, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Server

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
CLOCK = FrozenClock(NOW)
PLANTED = "Zyxwv-Planted"
AWAY = r"starting or stopping|cannot be reached"


@pytest.fixture
def store(postgresql_url: str) -> Iterator[Store]:
    """Give a new state on the server."""
    with Store.open(postgresql_url, clock=CLOCK, create=True) as new:
        yield new


@contextmanager
def raw(url: str) -> Iterator[psycopg.Connection]:
    """Give a plain connection to the state, in a transaction that is undone at the end."""
    with psycopg.connect(url) as connection:
        yield connection
        connection.rollback()


def notice(key: str) -> dict[str, object]:
    """Return the columns of a row to write."""
    return {"id": key, "effective_on": date(2026, 6, 2), "affects_automation": True}


def settings(store: Store) -> dict[str, str]:
    """Return the settings that a transaction which writes runs under."""
    names = ("synchronous_commit", "lock_timeout", "idle_in_transaction_session_timeout")
    with store.transaction() as connection:
        found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}
        found["isolation"] = connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
    return found


# --- connections ------------------------------------------------------------------------------


def test_a_commit_lasts_and_nobody_waits_for_ever(postgresql: Server, postgresql_url: str) -> None:
    """Whatever a database is set to, our connections wait for its disk, and not for ever."""
    postgresql.execute("CREATE DATABASE careless")
    postgresql.execute("ALTER DATABASE careless SET synchronous_commit = off")
    postgresql.execute("ALTER DATABASE careless SET default_transaction_isolation = 'serializable'")
    url = postgresql.url.replace("/postgres?", "/careless?")
    with Store.open(url, clock=CLOCK, create=True) as store:
        assert settings(store) == {
            "synchronous_commit": "on",
            "lock_timeout": "30s",
            "idle_in_transaction_session_timeout": "20s",
            "isolation": "read committed",
        }
        with DecisionLog(store) as log:
            log.append(b"first")
            assert log._writer is not None
            log._writer.cursor.execute("SHOW transaction_isolation")
            assert log._writer.cursor.fetchall() == [("read committed",)]


def test_a_stricter_setting_is_kept(postgresql_url: str) -> None:
    """A user who waits for a standby as well goes on waiting for it."""
    url = postgresql_url + "%20-csynchronous_commit%3Dremote_apply"
    with Store.open(url, clock=CLOCK, create=True) as store:
        assert settings(store)["synchronous_commit"] == "remote_apply"


def test_a_server_that_does_not_wait_for_its_disk_is_refused(own_server: Server) -> None:
    """What such a server calls committed can be lost with the power."""
    own_server.execute("ALTER SYSTEM SET fsync = off")
    own_server.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while own_server.execute("SHOW fsync") != [("off",)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(StoreError, match="set fsync to on"):
        Store.open(own_server.url, clock=CLOCK, create=True)
    assert own_server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [
        (0,)
    ]


def test_a_database_that_cannot_hold_every_name_is_refused(postgresql: Server) -> None:
    """Welsh names need more than Latin-1."""
    postgresql.execute("CREATE DATABASE narrow TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    url = postgresql.url.replace("/postgres?", "/narrow?")
    with pytest.raises(StoreError, match="the encoding UTF8"):
        Store.open(url, clock=CLOCK, create=True)


# --- what goes wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"/postgres?": "/no_such_database?"}, "cannot be reached"),
        ({"postgres:": "Zyxwv-Planted:"}, "cannot be reached"),
        ({"host=": "host=/nowhere"}, "cannot be reached"),
        ({"?host": "?Zyxwv-Planted=1&host"}, "has an option that is not known"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_told(
    postgresql: Server, change: dict[str, str], problem: str
) -> None:
    """The error says what to check, and neither it nor its causes repeat the URL."""
    url = postgresql.url.replace("postgres:@", f"postgres:{PLANTED}@")
    for old, new in change.items():
        assert old in url
        url = url.replace(old, new)
    with pytest.raises(StoreError, match=problem) as caught:
        Store.open(url, clock=CLOCK)
    assert PLANTED not in "".join(traceback.format_exception(caught.value))


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    """A slip in the URL does not put the password on the screen."""
    url = f"postgresql://someone:{PLANTED}@host:port/name"
    with pytest.raises(StoreError, match="cannot be read") as caught:
        Store.open(url, clock=CLOCK)
    assert PLANTED not in "".join(traceback.format_exception(caught.value))


def test_the_servers_own_words_are_left_out(store: Store) -> None:
    """The server repeats the row that it refuses; not even our chain of causes does."""
    planted = notice(PLANTED)
    with store.transaction() as connection:
        connection.execute(insert(notices), planted)
    with (
        pytest.raises(StoreError, match=r"^the state cannot be used: UniqueViolation$") as caught,
        store.transaction() as connection,
    ):
        connection.execute(insert(notices), planted)
    shown = "".join(traceback.format_exception(caught.value))
    assert "SQLSTATE 23505" in shown
    assert PLANTED not in shown


def test_a_log_that_cannot_be_written_repeats_nothing_of_the_entry(postgresql_url: str) -> None:
    """An entry in the way is not overwritten, and the refusal shows none of its bytes."""
    with opened(postgresql_url) as state:
        state.log.record_many([drafted(0)])
        with raw(postgresql_url) as connection:
            connection.execute("INSERT INTO log_entries VALUES (1, 'Zyxwv-Planted', '')")
            connection.commit()
        with pytest.raises(NotRecordedError, match="could not be recorded") as caught:
            state.log.append(PLANTED.encode())
        shown = "".join(traceback.format_exception(caught.value))
        assert PLANTED not in shown
        assert PLANTED.encode().hex() not in shown
        assert state.log.head().size == 1


def test_a_state_that_is_kept_locked_is_told(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that waits in vain is told so, nothing is written, and it goes on afterwards."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    with opened(postgresql_url) as state:
        state.log.append(b"before")
        with raw(postgresql_url) as other:
            other.execute("SELECT 1 FROM log_head FOR UPDATE")
            with pytest.raises(NotRecordedError, match="another process kept the state locked"):
                state.log.append(b"in vain")
        assert state.log.append(b"after").index == 1


def test_a_client_that_stops_in_the_middle_does_not_stop_the_others(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its transaction is ended by the server, it is told, and what it began is undone."""
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0.2)
    with opened(postgresql_url) as stopped, opened(postgresql_url) as other:

        def finish(_: object) -> list[Any]:
            assert other.log.append(b"goes on").index == 0
            return [(b"too late", ())]

        with pytest.raises(NotRecordedError, match="stood idle"):
            stopped.log._append(finish)
        assert stopped.log.append(b"again").index == 1
        assert [entry.leaf for entry in other.log.entries()] == [b"goes on", b"again"]


def terminate(postgresql: Server) -> None:
    """End every connection of ours, as a server does that is stopped."""
    postgresql.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'automation-rules'"
    )


def test_a_connection_that_broke_is_replaced(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading and recording go on over new ones, without a word of trouble anywhere."""
    with opened(own_server.new_schema()) as state:
        state.log.append(b"first")
        with state.store.reading() as connection:
            connection.execute(select(notices))
        terminate(own_server)
        assert Registry(state.store, CLOCK).notices() == ()
        terminate(own_server)
        assert state.log.append(b"second").index == 1
    assert caplog.text == ""


def test_an_append_that_loses_its_connection_is_refused(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """What was begun is undone and the caller told; the next append goes on."""
    with opened(own_server.new_schema()) as state:
        state.log.append(b"first")

        def finish(_: object) -> list[Any]:
            terminate(own_server)
            return [(b"lost", ())]

        with pytest.raises(NotRecordedError, match=AWAY):
            state.log._append(finish)
        assert state.log.append(b"second").index == 1
        assert [entry.leaf for entry in state.log.entries()] == [b"first", b"second"]
    assert caplog.text == ""


def test_a_connection_that_breaks_is_no_verdict_on_the_log(
    own_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """When the server goes away during a verification that is said, and nobody is accused."""
    with opened(own_server.new_schema()) as state:
        state.log.record_many([drafted(number) for number in range(300)])

        def progress(done: int, total: int) -> None:
            terminate(own_server)

        with pytest.raises(StoreError, match=AWAY) as caught:
            state.log.verify(progress=progress)
        assert not isinstance(caught.value, VerificationError)
        assert state.log.verify().size == 300
    assert caplog.text == ""


def test_a_damaged_page_is_named_by_its_first_entry(own_server: Server) -> None:
    """What the server cannot read is an entry that does not hold, and the ones before it do."""
    with opened(own_server.new_schema()) as state:
        state.log.record_many([drafted(number) for number in range(60)])
        with state.store.transaction() as connection:
            # In line, so that the page of an entry is the page of its leaf.
            connection.exec_driver_sql("ALTER TABLE log_entries ALTER leaf SET STORAGE PLAIN")
            connection.exec_driver_sql("CREATE TABLE rewritten AS SELECT * FROM log_entries")
            connection.exec_driver_sql("DELETE FROM envelopes")
            connection.exec_driver_sql("DELETE FROM log_entries")
        with state.store.transaction() as connection:
            connection.exec_driver_sql("INSERT INTO log_entries SELECT * FROM rewritten")
            connection.exec_driver_sql("DROP TABLE rewritten")
            [(file, page, first)] = connection.exec_driver_sql(
                "SELECT pg_relation_filepath('log_entries'),"
                " (ctid::text::point)[0]::int AS page, min(idx) FROM log_entries"
                " GROUP BY page ORDER BY page DESC LIMIT 1"
            ).all()
        assert first > 0
    own_server.kill()
    own_server.start()
    own_server.execute("CHECKPOINT")
    own_server.kill()
    with (Path(own_server.directory) / file).open("r+b") as data:
        data.seek(page * 8_192 + 4_000)
        data.write(b"Zyxwv-Planted")
    own_server.start()
    with opened(state.url) as again:
        with pytest.raises(VerificationError) as caught:
            again.log.verify()
        assert caught.value.index is not None
        assert caught.value.index <= first


# --- at the same moment -----------------------------------------------------------------------


def at_once(store: Store, url: str, *acts: Callable[[], object]) -> list[str]:
    """Let acts begin while registering is locked, then let them go; return what came of each."""

    def outcome(act: Callable[[], object]) -> str:
        try:
            act()
        except AutomationRulesError as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(len(acts)) as threads:
        with raw(url) as gate:
            gate.execute("SELECT id FROM meta FOR UPDATE")
            told = [threads.submit(outcome, act) for act in acts]
            deadline = time.monotonic() + 20
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
            with psycopg.connect(url, autocommit=True) as watcher:
                while (watcher.execute(waiting).fetchone() or (0,))[0] < len(acts):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
        return sorted(future.result(timeout=60) for future in told)


def bot(landlord: str, account: str = "bot-1") -> AutomationAccount:
    """Return an account that the terms allow."""
    return AutomationAccount(
        account, landlord, f"{landlord} homes automation", "automation@homes.example"
    )


@pytest.fixture
def registry(store: Store) -> Registry:
    """Return a registry with two landlords."""
    new = Registry(store, CLOCK)
    for landlord in ("acme", "brick"):
        new.add_landlord(Landlord(landlord, f"{landlord} homes"))
    return new


def test_one_id_taken_by_two_at_once(registry: Registry, store: Store, postgresql_url: str) -> None:
    """Of two that register one id at the same moment the second is told that it is taken."""
    taken = [AlreadyRegisteredError.__name__, "done"]
    closure = PortalClosure("one", NOW, NOW.replace(hour=9))
    change = AnnouncedChange("one", date(2026, 7, 1))
    for acts in (
        [lambda: registry.add_account(bot("acme")), lambda: registry.add_account(bot("brick"))],
        [lambda: registry.add_landlord(Landlord("one", "One homes"))] * 2,
        [lambda: registry.add_person(Person("officer", "acme", "Example Officer"))] * 2,
        [lambda: registry.add_closure(closure)] * 2,
        [lambda: registry.add_notice(change)] * 2,
    ):
        assert at_once(store, postgresql_url, *acts) == taken
    assert len(registry.accounts("acme")) + len(registry.accounts("brick")) == 1


def test_a_person_and_an_account_at_once(
    registry: Registry, store: Store, postgresql_url: str
) -> None:
    """Of a person and an account with one id at the same moment only one is registered."""
    outcomes = at_once(
        store,
        postgresql_url,
        lambda: registry.add_account(bot("acme", "both")),
        lambda: registry.add_person(Person("both", "brick", "Example Person")),
    )
    assert outcomes == [InvalidInputError.__name__, "done"]
    assert len(registry.accounts("acme")) + len(registry.people("brick")) == 1


def test_two_waits_of_one_account_at_once(
    registry: Registry, store: Store, postgresql_url: str
) -> None:
    """An account keeps one wait, however many of its bots ask at the same moment."""
    registry.add_account(bot("acme"))
    desk = CodeDesk(store, CLOCK)
    start = threading.Barrier(4)

    def ask() -> None:
        start.wait()
        for _ in range(5):
            desk.open_wait("bot-1")

    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(ask) for _ in range(4)]:
            future.result()
    with store.reading() as connection:
        assert len(connection.execute(select(code_waits)).all()) == 1


def test_the_first_codes_of_one_account_at_once(store: Store, postgresql_url: str) -> None:
    """Two processes of a portal that send an account's first code do not get into a muddle."""

    class Phone:
        def send(self, recipient: str, text: str) -> None:
            """Take the message."""

    codes = PortalCodes(store, SystemClock(), Phone(), key=bytes(32))
    send = [lambda: codes.issue("bot-1", "07700 900123")] * 2
    assert at_once(store, postgresql_url, *send) == ["done", "done"]
    with store.reading() as connection:
        [row] = connection.execute(select(code_challenges)).all()
    assert row.issued == 2


def test_a_landlords_record_is_changed_while_its_bots_work(
    registry: Registry, store: Store, postgresql_url: str
) -> None:
    """Pauses and waits for codes at the same moment never lock each other out."""
    registry.add_account(bot("acme"))
    registry.add_person(Person("officer", "acme", "Example Officer"))
    desk = CodeDesk(store, CLOCK)

    def pause() -> None:
        for _ in range(10):
            registry.pause_account("bot-1", "an example")
            registry.resume_account("bot-1", "officer")

    def hand_over() -> None:
        for _ in range(10):
            pending = desk.open_wait("bot-1")
            if desk._seal(pending.id, "officer", "123456", NOW):
                desk.poll(pending)

    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(pause), threads.submit(hand_over)]:
            future.result()


def test_ids_are_in_the_order_of_their_characters(registry: Registry) -> None:
    """Capitals come first, as in SQLite, whatever language the server sorts by."""
    for person in ("b", "a", "B", "A", "é", "_"):
        registry.add_person(Person(person, "acme", "Example Person"))
    assert [person.id for person in registry.people("acme")] == ["A", "B", "_", "a", "b", "é"]
