"""A person's code on its way to the bot that waits for it, through one state."""

from __future__ import annotations

import multiprocessing
import sqlite3
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, select, text, update

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.errors import (
    AccessCodeError,
    InvalidInputError,
    NotRegisteredError,
    StoreError,
)
from automation_rules.store import Store
from automation_rules.store.codes import HAND_OVER_WITHIN, CodeDesk, PendingCode
from automation_rules.store.registry import Registry
from automation_rules.store.tables import code_entries, code_waits
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from sqlalchemy import Connection

NOON = datetime(2026, 6, 2, 11, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CODE = "493817"
PERSON = "housing-officer-7"
STRANGER = "stranger-5"


def register(store: Store, clock: FrozenClock | SystemClock) -> None:
    """Register two made-up landlords with accounts and people."""
    registry = Registry(store, clock)
    for landlord, name in (("acme", "Acme Homes"), ("birch", "Birch Homes")):
        registry.add_landlord(Landlord(landlord, name))
        for number in (1, 2):
            registry.add_account(
                AutomationAccount(
                    f"{landlord}-{number}",
                    landlord,
                    f"{name} Automation {number}",
                    f"automation{number}@{landlord}.example",
                )
            )
    registry.add_person(Person(PERSON, "acme", "Olwen Officer"))
    registry.add_person(Person("birch-officer", "birch", "Bran Officer"))
    registry.add_person(Person("former-officer", "acme", "Gwyn Gone"))
    registry.remove_person("acme", "former-officer")
    registry.remove_account("birch-2")


class Sleep:
    """A sleep that moves the clock on and lets others act, each in its turn."""

    def __init__(self, clock: FrozenClock) -> None:
        """Begin with nobody acting."""
        self.clock = clock
        self.turns: list[Callable[[], object]] = []
        self.slept = timedelta()

    def __call__(self, seconds: float) -> None:
        """Move the clock on, then let the next one act."""
        self.slept += timedelta(seconds=seconds)
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))
        if self.turns:
            self.turns.pop(0)()


class Office:
    """A registered state with a desk, and ways to look behind it."""

    def __init__(self, url: str) -> None:
        """Make the state at ``url``."""
        self.clock = FrozenClock(NOON)
        self.sleep = Sleep(self.clock)
        self.store = Store.open(url, clock=self.clock, create=True)
        self.path = self.store.path or Path()
        register(self.store, self.clock)
        self.desk = CodeDesk(self.store, self.clock, self.sleep)

    def pass_time(self, span: timedelta) -> None:
        """Move the clock on."""
        self.clock.move_to(self.clock.now() + span)

    def waits(self) -> list[dict[str, object]]:
        """Return every row of waits."""
        with self.store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(select(code_waits))]

    def entries(self) -> list[dict[str, object]]:
        """Return every recorded hand-over."""
        with self.store.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(select(code_entries))]

    def seal(self, code: str = CODE) -> PendingCode:
        """Open a wait and have a code sealed to it that nobody has taken yet."""
        pending = self.desk.open_wait("acme-1")
        assert self.desk._seal(pending.id, PERSON, code, self.clock.now())
        return pending

    def bytes_on_disk(self) -> bytes:
        """Return the database, its write-ahead log and its index, as they are on the disk."""
        names = (self.path, *(self.path.with_name(self.path.name + s) for s in ("-wal", "-shm")))
        return b"".join(name.read_bytes() for name in names if name.exists())


@pytest.fixture
def office(url: str) -> Iterator[Office]:
    """Give a fresh office on a real database."""
    made = Office(url)
    yield made
    made.store.close()


# The way of one code


@on_both_databases
def test_waiting_bot_gets_the_code_that_a_person_enters(office: Office) -> None:
    """The person's call returns once the bot has the code, and the hand-over is on record."""
    got: list[str | None] = []
    pending = office.desk.open_wait("acme-1")
    assert pending.expires_at == NOON + timedelta(minutes=5)
    assert office.desk.poll(pending) is None
    office.sleep.turns = [lambda: got.append(office.desk.poll(pending))]
    office.desk.enter("acme-1", PERSON, CODE)
    assert got == [CODE]
    assert office.entries() == [
        {
            "id": pending.id,
            "account_id": "acme-1",
            "landlord_id": "acme",
            "person_id": PERSON,
            "entered_at": NOON,
            "handed_over_at": NOON + SECOND / 2,
        }
    ]
    [wait] = office.waits()
    assert (wait["sealed"], wait["taken_at"]) == (None, NOON + SECOND / 2)


def test_hand_over_becomes_the_fact_of_the_day(office: Office) -> None:
    """What the registry tells a decision is who entered the code and when, never the code."""
    office.desk.poll(office.seal())
    entry = Registry(office.store, office.clock).facts("acme-1", NOON).code_entry
    assert entry is not None
    assert (entry.provided_by, entry.provided_at) == (PERSON, NOON)


def test_code_is_held_in_memory_until_a_bot_waits(office: Office) -> None:
    """A person may be quicker than the bot: nothing is stored until there is a key to seal to."""
    got: list[str] = []

    def look() -> None:
        assert office.waits() == []
        assert CODE.encode() not in office.bytes_on_disk()

    def wait() -> None:
        pending = office.desk.open_wait("acme-1")
        office.sleep.turns.append(lambda: got.append(office.desk.wait(pending)))

    office.sleep.turns = [look, look, wait]
    office.desk.enter("acme-1", PERSON, CODE)
    assert got == [CODE]
    assert office.entries()[0]["entered_at"] == NOON


def test_bot_that_waits_gets_a_code_entered_later(office: Office) -> None:
    """The waiting side returns the code in the turn after it was entered."""
    pending = office.desk.open_wait("acme-1")
    nothing = lambda: None  # noqa: E731 - a turn in which nobody acts
    office.sleep.turns = [
        nothing,
        nothing,
        lambda: office.desk._seal(pending.id, PERSON, CODE, office.clock.now()),
    ]
    assert office.desk.wait(pending) == CODE
    assert office.sleep.slept == 3 * SECOND / 2


def test_leading_zeros_survive(office: Office) -> None:
    """A code is text, not a number."""
    assert office.desk.poll(office.seal("000042")) == "000042"


@on_both_databases
def test_code_is_given_out_once(office: Office) -> None:
    """The second who asks is told that the code was taken, and no second entry appears."""
    pending = office.seal()
    assert office.desk.poll(pending) == CODE
    with pytest.raises(AccessCodeError, match="already taken"):
        office.desk.poll(pending)
    with pytest.raises(AccessCodeError, match="already taken"):
        office.desk.wait(pending)
    assert len(office.entries()) == 1


@on_both_databases
def test_many_threads_asking_at_once_get_it_once(office: Office) -> None:
    """Among sixteen askers with the same key exactly one gets the code."""
    pending = office.seal()

    def ask(_: int) -> str | None:
        try:
            return office.desk.poll(pending)
        except AccessCodeError:
            return None

    with ThreadPoolExecutor(16) as pool:
        assert sorted(filter(None, pool.map(ask, range(16)))) == [CODE]
    assert len(office.entries()) == 1


# Time running out


def test_enter_gives_up_when_no_bot_waits(office: Office) -> None:
    """After the time given the person is told what to do, and nothing is left behind."""
    with pytest.raises(AccessCodeError, match=r"no bot took the code.*new code") as caught:
        office.desk.enter("acme-1", PERSON, CODE)
    assert office.sleep.slept == HAND_OVER_WITHIN
    assert CODE not in str(caught.value)
    assert office.waits() == office.entries() == []


def test_code_that_no_bot_takes_is_erased(office: Office) -> None:
    """A bot that stopped polling leaves no sealed code behind, and the person is told."""
    office.desk.open_wait("acme-1")
    with pytest.raises(AccessCodeError, match="no bot took the code"):
        office.desk.enter("acme-1", PERSON, CODE, timeout=3 * SECOND)
    [wait] = office.waits()
    assert (wait["sealed"], wait["entered_by"], wait["entered_at"]) == (None, None, None)
    assert office.entries() == []


def test_interrupted_person_leaves_nothing_sealed(office: Office) -> None:
    """Breaking off takes the code back, as long as no bot has it."""

    def interrupt() -> None:
        assert office.waits()[0]["sealed"] is not None
        raise KeyboardInterrupt

    office.desk.open_wait("acme-1")
    office.sleep.turns = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        office.desk.enter("acme-1", PERSON, CODE)
    assert office.waits()[0]["sealed"] is None


def test_code_taken_in_the_last_moment_counts_as_handed_over(office: Office) -> None:
    """When the bot takes the code in the very last turn, the person is not told otherwise."""
    pending = office.desk.open_wait("acme-1")
    got: list[str | None] = []
    office.sleep.turns = [lambda: got.append(office.desk.poll(pending))]
    office.desk.enter("acme-1", PERSON, CODE, timeout=SECOND / 2)
    assert got == [CODE]
    assert office.entries()[0]["person_id"] == PERSON


@on_both_databases
def test_wait_gives_up_and_withdraws(office: Office) -> None:
    """A bot that gives up closes its wait, so that no code is sealed to a key that is gone."""
    pending = office.desk.open_wait("acme-1")
    with pytest.raises(AccessCodeError, match=r"nobody entered a code.*code enter"):
        office.desk.wait(pending, timeout=2 * SECOND)
    assert office.sleep.slept == 2 * SECOND
    assert office.waits() == []
    with pytest.raises(AccessCodeError, match="wait again"):
        office.desk.poll(pending)


def test_wait_lasts_five_minutes_by_default(office: Office) -> None:
    """Without another time given a bot waits for as long as its wait is open."""
    pending = office.desk.open_wait("acme-1")
    with pytest.raises(AccessCodeError, match="nobody entered a code"):
        office.desk.wait(pending)
    assert office.sleep.slept == HAND_OVER_WITHIN == timedelta(minutes=5)


def test_interrupted_bot_withdraws(office: Office) -> None:
    """A bot that is stopped while it waits closes its wait."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    office.sleep.turns = [interrupt]
    with pytest.raises(KeyboardInterrupt):
        office.desk.wait(office.desk.open_wait("acme-1"))
    assert office.waits() == []


@on_both_databases
def test_expired_wait_gives_nothing_out(office: Office) -> None:
    """The five minutes are half-open, for a sealed code too."""
    pending = office.seal()
    office.pass_time(HAND_OVER_WITHIN)
    with pytest.raises(AccessCodeError, match="nobody entered a code in time"):
        office.desk.poll(pending)
    assert office.entries() == []
    office.pass_time(-timedelta(microseconds=1))
    assert office.desk.poll(pending) == CODE


def test_expired_wait_is_not_sealed_to(office: Office) -> None:
    """A person's code waits for a live bot rather than going to one whose time is over."""
    office.desk.open_wait("acme-1")
    office.pass_time(HAND_OVER_WITHIN)
    with pytest.raises(AccessCodeError, match="no bot took the code"):
        office.desk.enter("acme-1", PERSON, CODE, timeout=SECOND)
    assert office.waits()[0]["sealed"] is None


# Several bots, several people


@on_both_databases
def test_later_wait_replaces_the_earlier(office: Office) -> None:
    """Of several waits of one account only the last gets the code; the others are told at once."""
    earlier = office.desk.open_wait("acme-1")
    later = office.desk.open_wait("acme-1")
    with pytest.raises(AccessCodeError, match="replaced"):
        office.desk.poll(earlier)
    got: list[str | None] = []
    office.sleep.turns = [lambda: got.append(office.desk.poll(later))]
    office.desk.enter("acme-1", PERSON, CODE)
    assert got == [CODE]
    with pytest.raises(AccessCodeError, match="replaced"):
        office.desk.poll(earlier)


def test_code_follows_a_bot_that_starts_again(office: Office) -> None:
    """A code sealed for a bot that died goes to its successor, and to it alone."""
    died = office.desk.open_wait("acme-1")
    got: list[str] = []

    def start_again() -> None:
        assert office.waits()[0]["sealed"] is not None
        pending = office.desk.open_wait("acme-1")
        office.sleep.turns.append(lambda: got.append(office.desk.wait(pending)))

    office.sleep.turns = [start_again]
    office.desk.enter("acme-1", PERSON, CODE)
    assert got == [CODE]
    assert len(office.entries()) == 1
    with pytest.raises(AccessCodeError, match="replaced"):
        office.desk.poll(died)


def test_code_that_was_taken_is_not_handed_over_again(office: Office) -> None:
    """When the next wait opens right after the taking, the person's call ends all the same."""
    pending = office.desk.open_wait("acme-1")

    def take_and_wait_again() -> None:
        assert office.desk.poll(pending) == CODE
        office.desk.open_wait("acme-1")

    office.sleep.turns = [take_and_wait_again]
    office.desk.enter("acme-1", PERSON, CODE)
    [wait] = office.waits()
    assert (wait["id"] != pending.id, wait["sealed"]) == (True, None)


@on_both_databases
def test_second_person_does_not_overwrite_a_code_on_its_way(office: Office) -> None:
    """A code that waits to be taken stays; the second person's has no bot to go to."""
    pending = office.seal()
    with pytest.raises(AccessCodeError, match="no bot took the code"):
        office.desk.enter("acme-1", PERSON, "000000", timeout=SECOND)
    assert office.desk.poll(pending) == CODE


def test_quicker_person_wins_between_looking_and_sealing(office: Office) -> None:
    """Sealing looks again under the lock, so that neither code is lost without a word."""
    pending = office.seal()
    assert not office.desk._seal(pending.id, PERSON, "000000", NOON)
    assert office.desk.poll(pending) == CODE
    assert not office.desk._seal(pending.id, PERSON, "000000", NOON)


def test_accounts_do_not_see_each_others_codes(office: Office) -> None:
    """A code goes to the account that it was entered for."""
    one, other = office.desk.open_wait("acme-1"), office.desk.open_wait("acme-2")
    got: list[str | None] = []
    office.sleep.turns = [
        lambda: got.append(office.desk.poll(other)),
        lambda: got.append(office.desk.poll(one)),
    ]
    office.desk.enter("acme-1", PERSON, CODE)
    assert got == [None, CODE]


def test_code_taken_back_while_the_bot_reaches_for_it_is_not_given_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person's time may run out between the bot's look and its taking: there is no code then."""
    pending = office.seal()

    def reach() -> AbstractContextManager[Connection]:
        monkeypatch.undo()
        office.desk._take_back(pending.id)
        return office.store.transaction()

    monkeypatch.setattr(office.store, "transaction", reach)
    assert office.desk.poll(pending) is None
    assert office.entries() == []
    assert office.desk.poll(pending) is None


# Who may


@pytest.mark.parametrize("code", ["", "12345", "1234567", "12345a", "１２３４５６", "123456\n"])  # noqa: RUF001
def test_only_six_ascii_digits_are_taken(office: Office, code: str) -> None:
    """Anything but six ASCII digits is refused before anything is written."""
    office.desk.open_wait("acme-1")
    with pytest.raises(AccessCodeError, match="exactly six digits") as caught:
        office.desk.enter("acme-1", PERSON, code)
    assert not code or code not in str(caught.value)
    assert office.waits()[0]["sealed"] is None


@pytest.mark.parametrize("account", ["nobody", "birch-2"])
def test_unknown_and_removed_accounts_are_refused(office: Office, account: str) -> None:
    """Neither side works for an account that is not registered, or no longer."""
    with pytest.raises(NotRegisteredError, match=account):
        office.desk.open_wait(account)
    with pytest.raises(NotRegisteredError, match=account):
        office.desk.enter(account, "birch-officer", CODE)
    assert office.waits() == []


@pytest.mark.parametrize("person", ["nobody", "birch-officer", "former-officer", "acme-1"])
def test_only_registered_people_of_the_landlord_may_enter(office: Office, person: str) -> None:
    """Strangers, other landlords' people, former people and accounts are refused, unnamed."""
    office.desk.open_wait("acme-2")
    with pytest.raises(NotRegisteredError) as caught:
        office.desk.enter("acme-2", person, CODE)
    assert person not in str(caught.value)
    assert office.waits()[0]["sealed"] is None


@pytest.mark.parametrize("unfit", ["", "\x1b[2J", "\ud800", "a" * 201])
def test_unfit_identifiers_are_named(office: Office, unfit: str) -> None:
    """An identifier that cannot be one is an error that names the field."""
    with pytest.raises(InvalidInputError, match="account_id"):
        office.desk.open_wait(unfit)
    with pytest.raises(InvalidInputError, match="account_id"):
        office.desk.enter(unfit, PERSON, CODE)
    with pytest.raises(InvalidInputError, match="person_id"):
        office.desk.enter("acme-1", unfit, CODE)


# Tampering, failing


@pytest.mark.parametrize(
    "change",
    [
        {"sealed": b"\x00" * 54},
        {"sealed": b""},
        {"entered_by": "someone-else"},
        {"entered_at": NOON + SECOND},
        {"account_id": "acme-2"},
    ],
)
def test_sealed_code_cannot_be_changed_or_moved(office: Office, change: dict[str, object]) -> None:
    """Whoever changes what is sealed, or whose it is, makes it useless."""
    pending = office.seal()
    with office.store.transaction() as connection:
        connection.execute(update(code_waits).values(**change))
    with pytest.raises(AccessCodeError, match="cannot be opened"):
        office.desk.poll(pending)
    assert office.entries() == []


def test_sealed_code_opens_with_its_own_key_only(office: Office) -> None:
    """A bot that moves another wait's code to its own wait cannot read it."""
    one, other = office.seal(), office.desk.open_wait("acme-2")
    with office.store.transaction() as connection:
        sealed = connection.execute(select(code_waits).filter_by(id=one.id)).one()
        connection.execute(
            update(code_waits)
            .filter_by(id=other.id)
            .values(
                sealed=sealed.sealed, entered_by=sealed.entered_by, entered_at=sealed.entered_at
            )
        )
    with pytest.raises(AccessCodeError, match="cannot be opened"):
        office.desk.poll(other)
    assert office.desk.poll(one) == CODE


@pytest.mark.parametrize("key", [b"", b"\x00" * 32, b"\x01" + b"\x00" * 31])
def test_damaged_public_key_is_a_clear_error(office: Office, key: bytes) -> None:
    """A key of the wrong length, or one that would make the sealing predictable, is refused."""
    office.desk.open_wait("acme-1")
    with office.store.transaction() as connection:
        connection.execute(update(code_waits).values(public_key=key))
    with pytest.raises(AccessCodeError, match="key is damaged"):
        office.desk.enter("acme-1", PERSON, CODE)
    assert office.waits()[0]["sealed"] is None


def test_code_that_cannot_be_recorded_is_not_given_out(office: Office) -> None:
    """Erasing, recording and giving out are one: when the record fails the code stays sealed."""
    pending = office.seal()
    with sqlite3.connect(office.path) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE INSERT ON code_entries BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    connection.close()
    with pytest.raises(StoreError):
        office.desk.poll(pending)
    [wait] = office.waits()
    assert (wait["taken_at"], wait["sealed"] is not None) == (None, True)
    with office.store.transaction() as change:
        change.execute(text("DROP TRIGGER full"))
    assert office.desk.poll(pending) == CODE


def test_commit_that_fails_gives_nothing_out(office: Office) -> None:
    """The code is returned after the commit, never before it."""
    pending = office.seal()

    @event.listens_for(office.store._writer, "commit")
    def fail(connection: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreError):
        office.desk.poll(pending)
    event.remove(office.store._writer, "commit", fail)
    assert office.entries() == []


# Never in clear


def test_code_is_never_on_the_disk_in_clear(office: Office) -> None:
    """Neither the database nor its write-ahead log has the code at any moment of its way."""
    pending = office.desk.open_wait("acme-1")
    seen: list[bytes] = []
    office.sleep.turns = [
        lambda: seen.append(office.bytes_on_disk()),
        lambda: office.desk.poll(pending),
        lambda: seen.append(office.bytes_on_disk()),
    ]
    office.desk.enter("acme-1", PERSON, CODE)
    seen.append(office.bytes_on_disk())
    office.store.close()
    seen.append(office.bytes_on_disk())
    for found in seen:
        assert PERSON.encode() in found  # what is stored in clear would be found
        assert CODE.encode() not in found
        assert CODE.encode("utf-16-le") not in found
        assert int(CODE).to_bytes(3, "big") + b"\x00" not in found


def test_sealed_code_is_erased_from_the_disk_once_taken(office: Office) -> None:
    """After the hand-over and a checkpoint not even the sealed bytes are left in the file."""
    pending = office.seal()
    sealed = office.waits()[0]["sealed"]
    assert isinstance(sealed, bytes)
    assert sealed in office.bytes_on_disk()
    office.desk.poll(pending)
    office.store.close()
    assert sealed not in office.bytes_on_disk()


def test_code_and_key_show_in_no_repr_and_no_error(
    office: Office, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Representations, messages, tracebacks and logs have neither the code nor the person."""
    caplog.set_level(0)
    pending = office.seal()
    with office.store.transaction() as connection:
        connection.execute(update(code_waits).values(entered_at=NOON + SECOND))
    shown = [repr(pending), repr(office.desk)]
    failing: list[Callable[[], object]] = [
        lambda: office.desk.poll(pending),
        lambda: office.desk.enter("acme-1", PERSON, CODE, timeout=SECOND),
        lambda: office.desk.enter("nobody", PERSON, CODE),
        lambda: office.desk.enter("acme-1", STRANGER, CODE),
    ]
    for fail in failing:
        try:
            fail()
        except (AccessCodeError, NotRegisteredError) as error:
            shown += [*traceback.format_exception(error), repr(error)]
        else:
            pytest.fail("it had to fail")
    captured = capfd.readouterr()
    everything = "\n".join([*shown, captured.out, captured.err, caplog.text])
    for secret in (CODE, PERSON, STRANGER, pending.private_key.private_bytes_raw().hex()):
        assert secret not in everything
    assert "private_key" not in repr(pending)


# Between processes


def bot(url: str, ready: Queue[str], result: Queue[str | None]) -> None:
    """Wait for a code in a process of its own."""
    clock = SystemClock()
    with Store.open(url, clock=clock) as store:
        desk = CodeDesk(store, clock)
        pending = desk.open_wait("acme-1")
        ready.put(pending.id)
        try:
            result.put(desk.wait(pending, timeout=timedelta(seconds=20)))
        except AccessCodeError:
            result.put(None)


def taker(url: str, pending_id: str, key: bytes, barrier: Barrier, result: Queue[str]) -> None:
    """Try, with a copied key, to take one code together with other processes."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    clock = SystemClock()
    private_key = X25519PrivateKey.from_private_bytes(key)
    pending = PendingCode(pending_id, "acme-1", clock.now(), private_key)
    with Store.open(url, clock=clock) as store:
        desk = CodeDesk(store, clock)
        barrier.wait()
        try:
            result.put(desk.poll(pending) or "nothing")
        except AccessCodeError:
            result.put("refused")


def real_state(url: str) -> Store:
    """Make a registered state that runs by the machine's clock."""
    clock = SystemClock()
    store = Store.open(url, clock=clock, create=True)
    register(store, clock)
    return store


@on_both_databases
def test_two_processes_hand_a_code_over(url: str) -> None:
    """A person at one process and a bot in another, over one state: the bot gets the code."""
    context = multiprocessing.get_context("spawn")
    ready, result = context.Queue(), context.Queue()
    with real_state(url) as store:
        process = context.Process(target=bot, args=(url, ready, result))
        process.start()
        # The person is first here: the bot's process takes a while to start.
        CodeDesk(store, SystemClock()).enter("acme-1", PERSON, CODE, timeout=timedelta(seconds=20))
        assert result.get(timeout=20) == CODE
        process.join(20)
        with store.reading() as connection:
            [entry] = connection.execute(select(code_entries)).all()
        assert (entry.id, entry.person_id) == (ready.get(timeout=5), PERSON)
        assert store.path is None or CODE.encode() not in store.path.read_bytes()


def race_to_take(url: str, processes: int) -> None:
    """Let that many processes take one code at once; exactly one may get it."""
    context = multiprocessing.get_context("spawn")
    with real_state(url) as store:
        desk = CodeDesk(store, SystemClock())
        pending = desk.open_wait("acme-1")
        assert desk._seal(pending.id, PERSON, CODE, SystemClock().now())
        barrier, result = context.Barrier(processes), context.Queue()
        key = pending.private_key.private_bytes_raw()
        started = [
            context.Process(target=taker, args=(url, pending.id, key, barrier, result))
            for _ in range(processes)
        ]
        for process in started:
            process.start()
        results = [result.get(timeout=120) for _ in started]
        for process in started:
            process.join(60)
        assert sorted(results) == [CODE, *["refused"] * (processes - 1)]
        with store.reading() as connection:
            assert len(connection.execute(select(code_entries)).all()) == 1


@on_both_databases
def test_processes_racing_for_one_code(url: str) -> None:
    """Four processes that hold the same key get one code between them."""
    race_to_take(url, 4)


@pytest.mark.exhaustive
@on_both_databases
def test_many_processes_racing_for_one_code(url: str) -> None:
    """Thirty-two processes that hold the same key get one code between them."""
    race_to_take(url, 32)
