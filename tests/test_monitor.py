"""The activity monitor: what is counted, by whom together, when it warns and when it pauses."""

from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import limits
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.strategies import FixedWindowRateLimiter, SlidingWindowCounterRateLimiter
from sqlalchemy import insert, select, update
from structlog.testing import capture_logs

from automation_rules.accounts import AccountStatus, AutomationAccount, Landlord, Person
from automation_rules.activity import Activity, ActivityLimits, Bounds, Threshold
from automation_rules.clock import FrozenClock
from automation_rules.errors import ClockError, InvalidInputError, InvalidPolicyError, StoreError
from automation_rules.monitor import (
    MOST_PENDING,
    ActivityMonitor,
    CounterStorage,
    Level,
    read_observations,
)
from automation_rules.store import Registry, Store, tables
from automation_rules.store.engine import take_turns
from monitor_workers import LIMITS, NOW, counted
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUEST, ERROR, SUBMISSION = Activity.REQUEST, Activity.ERROR, Activity.SUBMISSION
OUTSIDE, SESSION = Activity.OUTSIDE_WINDOW, Activity.SESSION
SECOND: Final = timedelta(seconds=1)


class World:
    """A state with a landlord and two accounts, a clock that stands, and monitors over them."""

    def __init__(self, url: str) -> None:
        """Make the state."""
        self.url = url
        self.clock = FrozenClock(NOW)
        self.store = Store.open(url, clock=self.clock, create=True)
        self.registry = Registry(self.store, self.clock)
        self.registry.add_landlord(Landlord("acme", "Acme Homes"))
        self.registry.add_person(Person("officer", "acme", "Example Officer"))
        for number in (1, 2):
            self.registry.add_account(
                AutomationAccount(
                    f"acme-{number}",
                    "acme",
                    f"Acme Homes Automation {number}",
                    f"automation{number}@acme.example",
                )
            )
        self.limits: ActivityLimits | None = LIMITS
        self.monitor = self.another()

    def another(self) -> ActivityMonitor:
        """Return a monitor over the same state, as another process would have it."""
        return ActivityMonitor(self.store, self.clock, lambda: self.limits)

    def wait(self, passed: timedelta) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + passed)

    def saw(self, number: int, activity: Activity = REQUEST, **more: Any) -> list[tuple[str, int]]:
        """Note that many of acme-1 and flush; return what was observed, by level and number."""
        account = more.pop("account", "acme-1")
        for _ in range(number):
            self.monitor.note(account, activity, **more)
        return [(found.level.value, found.seen) for found in self.monitor.flush()]

    def status(self, account_id: str = "acme-1") -> AccountStatus:
        """Return an account's status."""
        return self.registry.account(account_id).status

    def resume(self) -> None:
        """Let a person resume acme-1."""
        self.registry.resume_account("acme-1", "officer")

    def pauses(self) -> int:
        """Return how often acme-1 was paused."""
        changes = self.registry.status_changes("acme")
        return sum(found.change == "paused" for found in changes)


@pytest.fixture
def world(url: str) -> Iterator[World]:
    """Give a state to watch."""
    made = World(url)
    yield made
    made.store.close()


# --- thresholds -------------------------------------------------------------------------------


@on_both_databases
def test_one_more_than_the_threshold_is_too_many(world: World) -> None:
    """At each threshold nothing happens; one more warns, and later one more pauses."""
    assert world.saw(10) == []
    assert world.saw(1) == [("warning", 11)]
    assert world.saw(9) == []
    assert world.status() is AccountStatus.ACTIVE
    assert world.saw(1) == [("pause", 21)]
    assert world.status() is AccountStatus.PAUSED


@on_both_databases
def test_a_burst_is_warned_about_before_it_pauses(world: World) -> None:
    """However many come at once, the warning is written before the pause."""
    with capture_logs() as logs:
        assert world.saw(500) == [("warning", 500), ("pause", 500)]
    assert [log["event"] for log in logs] == ["activity_warning", "account_paused"]
    assert logs[1] == {
        "event": "account_paused", "log_level": "warning", "account": "acme-1",
        "landlord": "acme", "activity": "requests", "seen": 500, "allowed": "20/minute",
    }  # fmt: skip
    found = read_observations(world.store)
    assert [one.level for one in found] == [Level.WARNING, Level.PAUSE]
    assert {(one.account_id, one.landlord_id, one.at) for one in found} == {("acme-1", "acme", NOW)}


def test_a_pause_says_what_was_seen(world: World) -> None:
    """The registry's reason and the observation's words name what was seen, and no person."""
    world.saw(21)
    (change,) = world.registry.status_changes("acme")
    assert (change.change, change.account_id, change.person_id) == ("paused", "acme-1", None)
    assert change.reason == (
        "The activity monitor paused it. Requests in 1 minute: 21 (at most 20 expected)"
    )
    said = read_observations(world.store)[-1].text()
    assert said.en == "Requests in 1 minute: 21 (at most 20 expected)"
    assert said.cy == "Ceisiadau mewn 1 munud: 21 (disgwylid 20 ar y mwyaf)"


@pytest.mark.parametrize("activity", Activity)
def test_every_kind_of_activity_has_its_own_count_and_words(
    world: World, activity: Activity
) -> None:
    """Each kind trips its own threshold alone, and is told in both languages."""
    most = LIMITS.of(activity)
    assert most is not None
    assert most.warn is not None
    for other in Activity:
        if other is not activity:
            assert world.saw(1, other, todo="td-1") == []
    assert world.saw(most.warn.amount, activity, todo="td-1") == []
    assert world.saw(1, activity, todo="td-1") == [("warning", most.warn.amount + 1)]
    (found,) = read_observations(world.store)
    assert found.activity is activity
    for text in (found.text().en, found.text().cy):
        assert str(most.warn.amount + 1) in text


def test_a_window_that_slides(world: World) -> None:
    """What is more than a window back counts no more; the last window counts in part."""
    assert world.saw(10) == []
    world.wait(89 * SECOND)
    # 31 s of the window before are still within the last minute: 10 * 31 / 60 = 5.17.
    assert world.saw(5) == []
    assert world.saw(1) == [("warning", 11)]
    world.wait(timedelta(minutes=2))
    assert world.saw(10) == []


def test_nothing_is_said_twice_for_one_window(world: World) -> None:
    """An account that stays above the warning threshold is warned about once in each window."""
    assert world.saw(11) == [("warning", 11)]
    assert world.saw(1) == []
    assert world.another().flush() == ()
    other = world.another()
    other.note("acme-1", REQUEST)
    assert other.flush() == ()
    world.wait(timedelta(minutes=1))
    assert world.saw(1) == [("warning", 14)]
    assert world.saw(1) == []
    assert len(read_observations(world.store)) == 2
    assert world.pauses() == 0


def test_accounts_are_watched_one_by_one(world: World) -> None:
    """What one account does never counts for another."""
    for account in ("acme-1", "acme-2"):
        assert world.saw(10, account=account) == []
    assert world.saw(11, account="acme-2") == [("warning", 21), ("pause", 21)]
    assert (world.status(), world.status("acme-2")) == (AccountStatus.ACTIVE, AccountStatus.PAUSED)


def test_one_pause_is_enough(world: World) -> None:
    """Once an account is paused for one kind of activity, the others are not looked at."""
    for _ in range(100):
        world.monitor.note("acme-1", ERROR)
    assert world.saw(21) == [("warning", 21), ("pause", 21)]
    assert {found.activity for found in read_observations(world.store)} == {REQUEST}


def test_a_kind_without_bounds_is_not_watched(world: World) -> None:
    """Only what the policy has bounds for is counted, and nothing when it has none."""
    world.limits = ActivityLimits(errors=Bounds(pause=Threshold(2, "hour")))
    assert world.saw(1_000) == []
    assert world.saw(3, ERROR) == [("pause", 3)]
    world.resume()
    world.limits = None
    assert world.saw(1_000, ERROR) == []
    assert counted(world.store) == 3


def test_limits_are_asked_for_at_every_flush(world: World) -> None:
    """A new policy counts from the next flush on."""
    assert world.saw(8) == []
    world.limits = ActivityLimits(requests=Bounds(warn=Threshold(2, "minute")))
    assert world.saw(3) == [("warning", 3)]


# --- to-dos -----------------------------------------------------------------------------------


@on_both_databases
def test_only_submissions_of_the_same_todo_add_up(world: World) -> None:
    """Many to-dos submitted once each are a day's work; one submitted again is not."""
    for number in range(50):
        assert world.saw(1, SUBMISSION, todo=f"td-{number}") == []
    assert world.saw(1, SUBMISSION, todo="td-7") == [("warning", 2)]
    assert world.saw(1, SUBMISSION, todo="td-8") == []
    assert world.saw(2, SUBMISSION, todo="td-7") == [("pause", 4)]


def test_other_activity_adds_up_whatever_the_todo(world: World) -> None:
    """Requests about many to-dos are requests of one account."""
    for number in range(10):
        assert world.saw(1, REQUEST, todo=f"td-{number}") == []
    assert world.saw(1, REQUEST, todo="td-10") == [("warning", 11)]


def test_a_submission_without_a_todo_is_not_counted(world: World) -> None:
    """It cannot be told from another."""
    assert world.saw(100, SUBMISSION) == []
    assert counted(world.store) == 0


def test_a_todo_is_nowhere_in_the_state_in_clear(world: World, tmp_path: Path) -> None:
    """Counters know a to-do by a digest with a key of the state's own."""
    world.saw(4, SUBMISSION, todo="td-Zyxwv-Planted")
    with world.store.reading() as connection:
        keys = set(connection.execute(select(tables.activity_counters.c.key)).scalars())
    assert keys
    for file in tmp_path.iterdir():
        assert b"Planted" not in file.read_bytes()
    with Store.open(f"sqlite:///{tmp_path / 'other'}", clock=world.clock, create=True) as store:
        monitor = ActivityMonitor(store, world.clock, lambda: LIMITS)
        monitor.note("acme-1", SUBMISSION, todo="td-Zyxwv-Planted")
        monitor.flush()
        with store.reading() as connection:
            others = set(connection.execute(select(tables.activity_counters.c.key)).scalars())
    assert others
    assert not keys & others


def test_any_text_can_be_a_todo(world: World) -> None:
    """A to-do's identifier need not be a text that databases can keep."""
    for todo in ("", "\x00", "\ud800", "x" * 100_000):
        assert world.saw(2, SUBMISSION, todo=todo, account="acme-2")[:1] in ([], [("warning", 2)])
    assert world.monitor.trouble is None
    assert counted(world.store) == 16


# --- paused and resumed -----------------------------------------------------------------------


@on_both_databases
def test_a_paused_account_stays_paused_until_a_person_resumes_it(world: World) -> None:
    """While it is paused nothing is counted; resumed, it begins at nothing, more than once."""
    for _ in range(3):
        assert world.saw(21) == [("warning", 21), ("pause", 21)]
        before = counted(world.store)
        assert world.saw(100) == []
        assert counted(world.store) == before
        world.wait(SECOND)
        world.resume()
        assert world.status() is AccountStatus.ACTIVE
        assert world.saw(10) == []
        assert world.status() is AccountStatus.ACTIVE
        world.wait(SECOND)
        world.registry.pause_account("acme-1", "an example")
        world.resume()
    assert world.pauses() == 6


def test_what_came_before_the_resumption_counts_no_more(world: World) -> None:
    """Another process that still holds numbers from before does not pause the account again."""
    other = world.another()
    for _ in range(100):
        other.note("acme-1", REQUEST)
    assert world.saw(21) == [("warning", 21), ("pause", 21)]
    world.wait(SECOND)
    world.resume()
    assert other.flush() == ()
    assert world.status() is AccountStatus.ACTIVE
    assert world.saw(10) == []


def test_only_its_own_resumption_lets_an_account_begin_at_nothing(world: World) -> None:
    """That another account of the landlord was resumed changes nothing."""
    assert world.saw(10) == []
    world.wait(SECOND)
    world.registry.pause_account("acme-2", "an example")
    world.registry.resume_account("acme-2", "officer")
    assert world.saw(1) == [("warning", 11)]


def test_an_account_that_is_not_active_is_let_be(world: World) -> None:
    """One that a person paused, or that is deactivated, is neither counted nor paused again."""
    world.registry.pause_account("acme-1", "an example")
    world.registry.deactivate_account("acme-2", "an example")
    assert world.saw(100) == []
    assert world.saw(100, account="acme-2") == []
    assert counted(world.store) == 0
    assert world.pauses() == 1


@on_both_databases
def test_an_account_that_is_not_registered_is_warned_about(world: World) -> None:
    """There is nothing to pause; what it tries is denied anyway."""
    assert world.saw(100, account="nobody") == [("warning", 100)]
    (found,) = read_observations(world.store)
    assert (found.account_id, found.landlord_id) == ("nobody", None)
    world.registry.remove_account("acme-2")
    assert world.saw(100, account="acme-2") == [("warning", 100)]


@on_both_databases
def test_what_cannot_be_an_account_does_no_harm(world: World) -> None:
    """An identifier that no database takes is passed over, and the others are counted."""
    for account in ("", "\x00", "\ud800", "x" * 201, "a\nb"):
        world.monitor.note(account, REQUEST)
    assert world.saw(11) == [("warning", 11)]
    assert world.monitor.trouble is None


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_person_who_pauses_at_the_same_moment_is_not_overruled(world: World) -> None:
    """A flush that waited for a person's pause sees it, and adds none of its own."""
    for _ in range(21):
        world.monitor.note("acme-1", REQUEST)
    with ThreadPoolExecutor(1) as thread:
        with world.store.transaction() as connection:
            connection.execute(select(tables.landlords.c.id).with_for_update(key_share=True))
            connection.execute(
                update(tables.accounts).filter_by(id="acme-1").values(status="paused")
            )
            flushed = thread.submit(world.monitor.flush)
            assert waits(world)
        assert [found.level for found in flushed.result(30)] == [Level.WARNING]
    assert world.pauses() == 0
    assert world.status() is AccountStatus.PAUSED


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_flushes_take_turns(world: World) -> None:
    """A flush waits for whatever else is being counted or registered, and then counts."""
    world.monitor.note("acme-1", REQUEST)
    with ThreadPoolExecutor(1) as thread:
        with world.store.transaction() as connection:
            take_turns(connection)
            flushed = thread.submit(world.monitor.flush)
            assert waits(world)
        assert flushed.result(30) == ()
    assert world.monitor.trouble is None
    assert counted(world.store) == 2


def waits(world: World) -> bool:
    """Whether, within a while, a transaction of the server waits for another's lock."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with world.store.reading() as connection:
            if connection.exec_driver_sql(query).scalar():
                return True
        time.sleep(0.01)
    return False


# --- together ---------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["note", "note", "note", "flush", "wait"])),
        max_size=40,
    )
)
def test_nothing_is_lost_or_counted_twice(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    """However the flushes of several monitors interleave, the counters hold the sum of notes."""
    world = shared_world(tmp_path_factory)
    world.clock.move_to(NOW)
    with world.store.transaction() as connection:
        CounterStorage(connection, NOW).reset()
    # Longer than all the waiting, so that nothing is tidied away.
    world.limits = ActivityLimits(requests=Bounds(warn=Threshold(1_000_000, "hour")))
    monitors = [world.another() for _ in range(3)]
    noted = 0
    for which, step in steps:
        if step == "note":
            monitors[which].note("acme-1", REQUEST)
            noted += 1
        elif step == "flush":
            monitors[which].flush()
        else:
            world.wait(0.7 * SECOND)
    for monitor in monitors:
        monitor.close()
    assert counted(world.store) == noted


_SHARED: list[World] = []


def shared_world(factory: pytest.TempPathFactory) -> World:
    """Return one world for all examples of a property: making one takes long."""
    if not _SHARED:
        _SHARED.append(World(f"sqlite:///{factory.mktemp('monitor') / 'state.sqlite3'}"))
    return _SHARED[0]


@on_both_databases
def test_processes_count_together(world: World) -> None:
    """What several processes count adds up, and the account is warned about and paused once."""
    import monitor_workers

    world.limits = None
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(3)
    work = [
        spawn.Process(target=monitor_workers.counts, args=(world.url, number, start))
        for number in range(3)
    ]
    for process in work:
        process.start()
    for process in work:
        process.join(120)
        assert process.exitcode == 0
    counters = tables.activity_counters
    with world.store.reading() as connection:
        errors = connection.execute(
            select(counters.c.count).where(counters.c.key.contains("acme-2"))
        ).scalars()
        assert sum(errors) == 3 * 400
    found = read_observations(world.store, account_id="acme-1")
    assert Counter(one.level for one in found) == {Level.WARNING: 1, Level.PAUSE: 1}
    assert world.pauses() == 1
    assert world.status() is AccountStatus.PAUSED


def test_a_process_that_is_killed_loses_only_what_it_had_not_flushed(world: World) -> None:
    """What was flushed before a kill -9 stays counted."""
    code = f"import monitor_workers; monitor_workers.counts_until_killed({world.url!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "flushed\n"
        process.kill()
    assert process.returncode != 0
    # Once for the warning, once for the pause.
    assert counted(world.store) == 2 * 7
    assert world.saw(3) == []
    assert world.saw(1) == [("warning", 11)]


# --- trouble ----------------------------------------------------------------------------------


def rename(world: World, old: str, new: str) -> None:
    """Rename a table of the state's file."""
    assert world.store.path is not None
    connection = sqlite3.connect(world.store.path)
    connection.execute(f"ALTER TABLE {old} RENAME TO {new}")
    connection.close()


def test_what_could_not_be_written_is_kept_and_written_later(world: World) -> None:
    """A state that cannot be written loses no number, and the log tells of it once."""
    rename(world, "activity_counters", "away")
    with capture_logs() as logs:
        assert world.saw(6) == []
        assert world.saw(5) == []
        assert isinstance(world.monitor.trouble, StoreError)
        rename(world, "away", "activity_counters")
        assert world.saw(0) == [("warning", 11)]
    assert world.monitor.trouble is None
    assert [log["event"] for log in logs] == [
        "activity_not_written", "activity_written_again", "activity_warning",
    ]  # fmt: skip


def test_nothing_is_half_written(world: World) -> None:
    """A pause that cannot be written leaves no count, no observation and no status behind."""
    rename(world, "status_changes", "away")
    assert world.saw(21) == []
    rename(world, "away", "status_changes")
    assert counted(world.store) == 0
    assert read_observations(world.store) == ()
    assert world.saw(0) == [("warning", 21), ("pause", 21)]


def test_what_is_written_late_counts_when_it_happened(world: World) -> None:
    """Ten quiet minutes that could not be written are no burst; a burst among them is one."""
    world.limits = LIMITS
    rename(world, "activity_counters", "away")
    for second in range(600):
        if second % 7 == 0:
            world.monitor.note("acme-1", REQUEST)
        if 300 <= second < 311:
            world.monitor.note("acme-2", REQUEST)
        world.wait(SECOND)
        if second % 100 == 0:
            world.monitor.flush()
    rename(world, "away", "activity_counters")
    (found,) = world.monitor.flush()
    assert (found.account_id, found.level, found.seen) == ("acme-2", Level.WARNING, 11)
    assert found.at == NOW + 310 * SECOND


def test_limits_that_cannot_be_read_lose_nothing(world: World) -> None:
    """While the policy cannot be read, what is noted waits."""

    def unreadable() -> ActivityLimits | None:
        raise InvalidPolicyError([])

    monitor = ActivityMonitor(world.store, world.clock, unreadable)
    for _ in range(11):
        monitor.note("acme-1", REQUEST)
    assert monitor.flush() == ()
    assert isinstance(monitor.trouble, InvalidPolicyError)
    monitor._limits_source = lambda: LIMITS
    assert [found.seen for found in monitor.flush()] == [11]


def test_memory_is_bounded(world: World) -> None:
    """When too much waits, further numbers are dropped, and how many is told."""
    rename(world, "activity_counters", "away")
    for number in range(MOST_PENDING + 5):
        world.monitor.note("acme-1", SUBMISSION, todo=str(number))
    world.monitor.note("acme-1", SUBMISSION, todo="0")
    with capture_logs() as logs:
        world.monitor.flush()
    assert len(world.monitor._pending) == MOST_PENDING
    assert {"event": "activity_not_counted", "log_level": "warning", "number": 5} in logs
    with capture_logs() as logs:
        world.monitor.close()
    assert logs == [
        {"event": "activity_not_counted", "log_level": "warning", "number": MOST_PENDING + 1}
    ]


def test_a_clock_that_cannot_be_read_stops_nobody(world: World) -> None:
    """Noting raises nothing; what could not be placed in time is told as not counted."""

    class Broken:
        def now(self) -> datetime:
            raise ClockError("no time")

    monitor = ActivityMonitor(world.store, Broken(), lambda: LIMITS)
    monitor.note("acme-1", REQUEST)
    with capture_logs() as logs:
        assert monitor.flush() == ()
    assert [log["number"] for log in logs] == [1]


def test_an_interruption_loses_nothing(world: World) -> None:
    """A flush that is interrupted from the keyboard keeps what it was about to write."""

    def interrupted() -> ActivityLimits | None:
        raise KeyboardInterrupt

    monitor = ActivityMonitor(world.store, world.clock, interrupted)
    monitor.note("acme-1", REQUEST)
    with pytest.raises(KeyboardInterrupt):
        monitor.flush()
    monitor._limits_source = lambda: LIMITS
    monitor.flush()
    assert counted(world.store) == 2


# --- the thread -------------------------------------------------------------------------------


def test_it_flushes_by_itself(world: World) -> None:
    """Started, it writes within a moment what many threads note, and closing writes the rest."""
    with world.monitor as monitor:

        def note_many() -> None:
            for _ in range(500):
                monitor.note("acme-2", ERROR)

        threads = [threading.Thread(target=note_many) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        deadline = time.monotonic() + 30
        while counted(world.store) < 2 * 2_000 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert counted(world.store) == 2 * 2_000
        monitor.note("acme-2", ERROR)
    assert counted(world.store) == 2 * 2_001
    assert "activity-monitor" not in {thread.name for thread in threading.enumerate()}


# --- the counters -----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["3/second", "5/10 seconds", "7/minute", "4/hour"]),
    st.lists(
        st.tuples(st.floats(0, 5_000, allow_nan=False), st.integers(1, 4)), min_size=1, max_size=15
    ),
)
def test_the_counters_are_a_sliding_window_counter(
    tmp_path_factory: pytest.TempPathFactory, notation: str, hits: list[tuple[float, int]]
) -> None:
    """At every instant the storage sees what a plain model of the strategy sees."""
    world = shared_world(tmp_path_factory)
    item = limits.parse(notation)
    expiry = item.get_expiry()
    model: Counter[int] = Counter()
    with world.store.transaction() as connection:
        take_turns(connection)
        storage = CounterStorage(connection, NOW)
        storage.reset()
        limiter = SlidingWindowCounterRateLimiter(storage)
        for after, number in sorted(hits):
            storage.at = NOW + timedelta(seconds=after)
            now = storage.at.timestamp()
            window = int(now // expiry)
            model[window] += number
            share = 1 - (now - window * expiry) / expiry
            reckoned = model[window - 1] * share + model[window]
            is_within = limiter.hit(item, "it", cost=number)
            seen = storage.seen(item.key_for("it"), expiry)
            assert reckoned - 1 - 1e-6 < seen <= reckoned + 1e-6
            assert is_within is (seen <= item.amount) is limiter.test(item, "it", cost=0)


@on_both_databases
def test_the_counters_serve_a_fixed_window_too(world: World) -> None:
    """A counter lives from its first hit for its window, and then begins again."""
    item = limits.parse("2/minute")
    with world.store.transaction() as connection:
        storage = CounterStorage(connection, NOW)
        limiter = FixedWindowRateLimiter(storage)
        assert storage.check()
        assert storage.get_expiry(item.key_for("it")) == NOW.timestamp()
        assert [limiter.hit(item, "it") for _ in range(3)] == [True, True, False]
        assert storage.get_expiry(item.key_for("it")) == NOW.timestamp() + 60
        storage.at = NOW + 59 * SECOND
        assert not limiter.test(item, "it")
        storage.at = NOW + 60 * SECOND
        assert limiter.test(item, "it")
        assert limiter.hit(item, "it")
        assert storage.get(item.key_for("it")) == 1
        limiter.clear(item, "it")
        assert storage.get(item.key_for("it")) == 0
        assert storage.reset() == 0


def test_counters_can_be_cleared(world: World) -> None:
    """Clearing a sliding window clears both halves; a reset clears all, and tells how many."""
    item = limits.parse("2/minute")
    with world.store.transaction() as connection:
        storage = CounterStorage(connection, NOW)
        limiter = SlidingWindowCounterRateLimiter(storage)
        limiter.hit(item, "it")
        storage.at = NOW + 61 * SECOND
        for name in ("it", "it", "other"):
            limiter.hit(item, name)
        limiter.clear(item, "it")
        assert storage.seen(item.key_for("it"), 60) == 0
        assert storage.seen(item.key_for("other"), 60) == 1
        assert storage.reset() == 1


def test_counters_that_ended_are_tidied_away(world: World) -> None:
    """A counter is gone a minute or so after it can matter no more."""
    world.saw(3)
    world.wait(timedelta(minutes=1, seconds=59))
    world.saw(3, account="acme-2")
    assert counted(world.store) == 12
    world.wait(timedelta(minutes=1, seconds=1))
    world.saw(1, account="acme-2")
    assert counted(world.store) == 8


# --- reading them -----------------------------------------------------------------------------


def test_observations_are_read_by_landlord_account_and_time(world: World) -> None:
    """What was seen can be narrowed down, and comes oldest first."""
    world.saw(11, account="nobody")
    world.wait(SECOND)
    world.saw(11)
    world.wait(SECOND)
    world.saw(6, ERROR, account="acme-2")

    def accounts(**wanted: Any) -> list[str]:
        return [one.account_id for one in read_observations(world.store, **wanted)]

    assert accounts() == ["nobody", "acme-1", "acme-2"]
    assert accounts(landlord_id="acme") == ["acme-1", "acme-2"]
    assert accounts(landlord_id="brick") == []
    assert accounts(account_id="acme-2") == ["acme-2"]
    assert accounts(account_id="acme-2", landlord_id="acme") == ["acme-2"]
    assert accounts(since=NOW + SECOND) == ["acme-1", "acme-2"]
    with pytest.raises(ClockError):
        accounts(since=datetime(2026, 6, 2))  # noqa: DTZ001 - a naive instant is what is refused
    with pytest.raises(InvalidInputError):
        accounts(account_id="\x00")


@pytest.mark.parametrize("column", ["kind", "allowed"])
def test_an_observation_that_is_none_of_ours_is_told(world: World, column: str) -> None:
    """A row that this library cannot have written is an error of the state, not a crash."""
    row = {
        "account_id": "acme-1", "kind": "requests", "level": "warning", "seen": 1,
        "allowed": "1/hour", "window_seconds": 3_600, "at": NOW, column: "else",
    }  # fmt: skip
    with world.store.transaction() as connection:
        connection.execute(insert(tables.observations).values(row))
    with pytest.raises(StoreError, match="did not write"):
        read_observations(world.store)


def test_instants_are_in_utc(world: World) -> None:
    """An observation's instant is aware, and in UTC."""
    world.saw(11)
    (found,) = read_observations(world.store)
    assert found.at.tzinfo is UTC
