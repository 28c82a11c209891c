"""A portal's challenges in the state: one code is accepted once, whoever asks."""

from __future__ import annotations

import multiprocessing
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyotp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from automation_rules.access_codes import Challenge, CodeLimits, Verdict, issue, verify
from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.errors import AccessCodeError, InvalidInputError, StoreError
from automation_rules.store import Store
from automation_rules.store.codes import PortalCodes
from automation_rules.store.tables import code_challenges
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

NOON = datetime(2026, 6, 2, 11, 0, tzinfo=UTC)
KEY = bytes(range(32))
PHONE = "07700 900123"


class Phone:
    """A sender that keeps what it was given."""

    def __init__(self) -> None:
        """Begin with no messages."""
        self.messages: list[tuple[str, str]] = []

    def send(self, recipient: str, text: str) -> None:
        """Keep the message."""
        self.messages.append((recipient, text))

    @property
    def code(self) -> str:
        """The six digits of the last message."""
        [code] = re.findall(r"\b[0-9]{6}\b", self.messages[-1][1])
        return str(code)


class Portal:
    """A portal's codes on a fresh state."""

    def __init__(self, url: str, limits: CodeLimits | None = None) -> None:
        """Make the state at ``url``."""
        self.clock = FrozenClock(NOON)
        self.phone = Phone()
        self.store = Store.open(url, clock=self.clock, create=True)
        self.path = self.store.path or Path()
        self.codes = PortalCodes(self.store, self.clock, self.phone, key=KEY, limits=limits)

    def pass_time(self, span: timedelta) -> None:
        """Move the clock on."""
        self.clock.move_to(self.clock.now() + span)

    def wrong(self) -> str:
        """Return six digits that were not sent."""
        return f"{(int(self.phone.code) + 1) % 1_000_000:06d}"


@pytest.fixture
def portal(url: str) -> Iterator[Portal]:
    """Give a fresh portal on a real database."""
    made = Portal(url)
    yield made
    made.store.close()


@on_both_databases
def test_code_is_sent_and_accepted_once(portal: Portal) -> None:
    """What arrives on the phone lets its owner in, once."""
    assert portal.codes.issue("acme-1", PHONE) == NOON + timedelta(minutes=10)
    assert portal.phone.messages[0][0] == PHONE
    assert portal.codes.verify("acme-1", portal.wrong()) is Verdict.WRONG
    assert portal.codes.verify("acme-1", portal.phone.code) is Verdict.ACCEPTED
    assert portal.codes.verify("acme-1", portal.phone.code) is Verdict.USED


def test_message_is_in_the_language_asked_for(portal: Portal) -> None:
    """The message says for how long the code works, in English and in Welsh."""
    portal.codes.issue("acme-1", PHONE)
    portal.codes.issue("acme-1", PHONE, "cy")
    english, welsh = (message for _, message in portal.phone.messages)
    assert "10 minutes" in english
    assert "10 munud" in welsh


def test_unknown_language_issues_nothing(portal: Portal) -> None:
    """A language that there is no message in is refused before the code before it is spoilt."""
    portal.codes.issue("acme-1", PHONE)
    with pytest.raises(InvalidInputError, match="lang"):
        portal.codes.issue("acme-1", PHONE, "fr")
    assert portal.codes.verify("acme-1", portal.phone.code) is Verdict.ACCEPTED


@on_both_databases
def test_accounts_have_their_own_challenges(portal: Portal) -> None:
    """One account's code is nothing to another, and its wrong tries neither."""
    portal.codes.issue("acme-1", PHONE)
    code = portal.phone.code
    portal.codes.issue("acme-2", PHONE)
    for _ in range(5):
        portal.codes.verify("acme-2", portal.wrong())
    assert portal.codes.verify("acme-2", portal.phone.code) is Verdict.LOCKED
    assert portal.codes.verify("acme-1", code) is Verdict.ACCEPTED


def test_account_without_a_code_is_told_to_ask(portal: Portal) -> None:
    """Trying before any code was sent is an error that says what to do."""
    with pytest.raises(AccessCodeError, match="ask for one first"):
        portal.codes.verify("acme-1", "123456")


@on_both_databases
def test_code_stays_valid_across_a_restart(portal: Portal, url: str) -> None:
    """Another process with the same key verifies what the first one issued."""
    portal.codes.issue("acme-1", PHONE)
    with Store.open(url, clock=portal.clock) as store:
        other = PortalCodes(store, portal.clock, portal.phone, key=KEY)
        assert other.verify("acme-1", portal.phone.code) is Verdict.ACCEPTED


@on_both_databases
def test_code_spoilt_by_a_failed_message_is_replaced(portal: Portal) -> None:
    """When the sender fails its error comes through, and asking again works."""

    class Silent:
        def send(self, recipient: str, text: str) -> None:
            raise ConnectionError("no network")

    silent = PortalCodes(portal.store, portal.clock, Silent(), key=KEY)
    with pytest.raises(ConnectionError):
        silent.issue("acme-1", PHONE)
    portal.codes.issue("acme-1", PHONE)
    assert portal.codes.verify("acme-1", portal.phone.code) is Verdict.ACCEPTED


@pytest.mark.parametrize("unfit", ["", "\x1b[2J", "\ud800", "a" * 201])
def test_unfit_account_ids_are_named(portal: Portal, unfit: str) -> None:
    """An identifier that cannot be one is an error that names the field."""
    with pytest.raises(InvalidInputError, match="account_id"):
        portal.codes.issue(unfit, PHONE)
    with pytest.raises(InvalidInputError, match="account_id"):
        portal.codes.verify(unfit, "123456")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_key_of_another_length_is_refused(portal: Portal, length: int) -> None:
    """The key is 32 bytes, and the error does not show it."""
    with pytest.raises(InvalidInputError, match=r"key: .*32 random bytes"):
        PortalCodes(portal.store, portal.clock, portal.phone, key=b"k" * length)


def test_other_key_is_a_clear_error_and_changes_nothing(portal: Portal) -> None:
    """With a key that is not the one that encrypted the secrets nobody gets in."""
    portal.codes.issue("acme-1", PHONE)
    other = PortalCodes(portal.store, portal.clock, portal.phone, key=bytes(32))
    with pytest.raises(StoreError, match="key that it was encrypted with"):
        other.verify("acme-1", portal.phone.code)
    with pytest.raises(StoreError, match="key that it was encrypted with"):
        other.issue("acme-1", PHONE)
    assert portal.codes.verify("acme-1", portal.phone.code) is Verdict.ACCEPTED


@pytest.mark.parametrize("sealed", [b"", b"short", b"\x00" * 60])
def test_damaged_secret_is_a_clear_error(portal: Portal, sealed: bytes) -> None:
    """A secret that was changed in the state lets nobody in."""
    portal.codes.issue("acme-1", PHONE)
    with portal.store.transaction() as connection:
        connection.execute(update(code_challenges).values(sealed_secret=sealed))
    with pytest.raises(StoreError, match="cannot be decrypted"):
        portal.codes.verify("acme-1", portal.phone.code)


def test_secret_cannot_be_moved_to_another_account(portal: Portal) -> None:
    """Each encrypted secret is bound to its account."""
    portal.codes.issue("acme-1", PHONE)
    portal.codes.issue("acme-2", PHONE)
    with portal.store.transaction() as connection:
        one = select(code_challenges.c.sealed_secret).filter_by(account_id="acme-1")
        sealed = connection.execute(one).scalar_one()
        connection.execute(update(code_challenges).values(sealed_secret=sealed))
    assert portal.codes.verify("acme-1", "nonsense") is Verdict.MALFORMED
    with pytest.raises(StoreError, match="cannot be decrypted"):
        portal.codes.verify("acme-2", "nonsense")


def test_neither_code_secret_nor_phone_is_stored_in_clear(portal: Portal) -> None:
    """The file and its write-ahead log have neither the code nor what it follows from."""
    portal.codes.issue("acme-1", PHONE)
    with portal.store.transaction() as connection:
        challenge = portal.codes._challenge(connection, "acme-1")
    assert challenge is not None
    for _ in range(2):
        files = portal.path.parent.glob("state.sqlite3*")
        stored = b"".join(file.read_bytes() for file in files)
        assert b"acme-1" in stored  # what is stored in clear would be found
        for secret in (portal.phone.code, challenge.secret, PHONE):
            assert secret.encode() not in stored
        portal.store.close()


STEPS = st.lists(
    st.one_of(
        st.just("issue"),
        st.sampled_from(["right", "wrong", "malformed"]),
        st.timedeltas(timedelta(), timedelta(hours=20)),
    ),
    max_size=25,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STEPS)
def test_state_keeps_exactly_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str | timedelta]
) -> None:
    """Through the state, every order of events gives the verdicts of the pure rules."""
    limits = CodeLimits(timedelta(hours=1), tries=2, tries_a_day=3)
    portal = Portal(f"sqlite:///{tmp_path_factory.mktemp('portal') / 'state'}", limits)
    model: Challenge | None = None
    with portal.store:
        for step in steps:
            now = portal.clock.now()
            if isinstance(step, timedelta):
                portal.pass_time(step)
            elif step == "issue":
                try:
                    following, _ = issue(model, now, limits)
                except AccessCodeError:
                    with pytest.raises(AccessCodeError):
                        portal.codes.issue("acme-1", PHONE)
                else:
                    portal.codes.issue("acme-1", PHONE)
                    model = following
            elif model is not None:
                typed = {"right": portal.phone.code, "wrong": portal.wrong()}.get(step, "?")
                verdict = portal.codes.verify("acme-1", typed)
                model, expected = judge(model, step, now, limits)
                assert verdict is expected


def judge(
    model: Challenge, step: str, now: datetime, limits: CodeLimits
) -> tuple[Challenge, Verdict]:
    """Try the model's right code, which follows from a secret of its own, a wrong one, or none."""
    right = pyotp.HOTP(model.secret).at(model.counter)
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    return verify(model, {"right": right, "wrong": wrong}.get(step, "?"), now, limits)


# Between processes


def racer(url: str, code: str, barrier: Barrier, result: Queue[str]) -> None:
    """Try the same right code together with other processes."""
    clock = SystemClock()
    with Store.open(url, clock=clock) as store:
        codes = PortalCodes(store, clock, Phone(), key=KEY)
        barrier.wait()
        result.put(codes.verify("acme-1", code).value)


def race(url: str, processes: int, *, right: bool) -> Counter[str]:
    """Return the verdicts of that many processes that try one code at once."""
    context = multiprocessing.get_context("spawn")
    clock, phone = SystemClock(), Phone()
    with Store.open(url, clock=clock, create=True) as store:
        PortalCodes(store, clock, phone, key=KEY).issue("acme-1", PHONE)
    code = phone.code if right else f"{(int(phone.code) + 1) % 1_000_000:06d}"
    barrier, result = context.Barrier(processes), context.Queue()
    started = [
        context.Process(target=racer, args=(url, code, barrier, result)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    verdicts = Counter(result.get(timeout=120) for _ in started)
    for process in started:
        process.join(60)
    return verdicts


@on_both_databases
def test_processes_racing_with_the_right_code(url: str) -> None:
    """Of four processes that use one code at once exactly one is let in."""
    assert race(url, 4, right=True) == {"accepted": 1, "used": 3}


@on_both_databases
def test_processes_racing_with_a_wrong_code(url: str) -> None:
    """Guessing from six processes at once does not get more than the five tries."""
    assert race(url, 6, right=False) == {"wrong": 5, "locked": 1}


@pytest.mark.exhaustive
@on_both_databases
@pytest.mark.parametrize(
    ("right", "verdicts"),
    [(True, {"accepted": 1, "used": 31}), (False, {"wrong": 5, "locked": 27})],
)
def test_many_processes_racing(url: str, right: bool, verdicts: dict[str, int]) -> None:
    """The same holds for thirty-two processes."""
    assert race(url, 32, right=right) == verdicts
