"""Leases of accounts in use: two of a landlord's at a time, whoever asks and whatever clocks do."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from automation_rules.accounts import AutomationAccount, Landlord
from automation_rules.clock import FrozenClock
from automation_rules.errors import ClockError, InvalidInputError, NotRegisteredError
from automation_rules.store import Lease, Leases, Registry, Store, tables
from lease_workers import takes_and_hangs, uses
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lease_workers import Used

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LASTS = 10 * MINUTE
TICK = timedelta(microseconds=1)


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that stands still."""
    return FrozenClock(NOW)


@pytest.fixture
def store(url: str, clock: FrozenClock) -> Iterator[Store]:
    """Give a new state with four accounts of one landlord, and one of another's."""
    with Store.open(url, clock=clock, create=True) as new:
        registry = Registry(new, clock)
        register(registry, "acme", 4)
        register(registry, "brick", 1)
        yield new


@pytest.fixture
def leases(store: Store, clock: FrozenClock) -> Leases:
    """Return the state's leases."""
    return Leases(store, clock)


def register(registry: Registry, landlord_id: str, accounts: int) -> None:
    """Register a landlord with accounts; any two of them could be made active again."""
    registry.add_landlord(Landlord(landlord_id, "Example Homes"))
    for number in range(1, accounts + 1):
        account = AutomationAccount(
            f"{landlord_id}-{number}",
            landlord_id,
            f"Example Homes Automation {number}",
            "automation@homes.example",
        )
        registry.add_account(account)
        registry.deactivate_account(account.id, "to make room for the next")


def take(leases: Leases, number: int, at: datetime = NOW) -> Lease:
    """Let one of Acme's accounts ask for a lease of ten minutes."""
    return leases.take(f"acme-{number}", "acme", at, LASTS)


def ends(store: Store) -> dict[str, datetime]:
    """Return the leases in the state, expired ones too, with their ends."""
    with store.reading() as connection:
        rows = connection.execute(select(tables.leases.c.account_id, tables.leases.c.expires_at))
        return {row.account_id: row.expires_at for row in rows}


# --- the rule ---------------------------------------------------------------------------------


@on_both_databases
def test_a_third_account_waits_until_one_of_two_has_left(leases: Leases) -> None:
    """Two hold a lease; the third is told all three, and takes the place that becomes free."""
    assert take(leases, 1) == Lease(held=True, new=True, running=("acme-1",))
    assert take(leases, 3) == Lease(held=True, new=True, running=("acme-1", "acme-3"))
    refused = Lease(held=False, new=False, running=("acme-1", "acme-2", "acme-3"))
    assert take(leases, 2) == refused
    assert leases.running("acme", NOW) == ("acme-1", "acme-3")
    leases.release("acme-1")
    assert take(leases, 2) == Lease(held=True, new=True, running=("acme-2", "acme-3"))


def test_landlords_do_not_share_their_two(leases: Leases) -> None:
    """Another landlord's account has its own place."""
    take(leases, 1)
    take(leases, 2)
    assert leases.take("brick-1", "brick", NOW, LASTS).running == ("brick-1",)
    assert leases.running("acme", NOW) == ("acme-1", "acme-2")


@on_both_databases
def test_a_holder_is_never_refused(leases: Leases, clock: FrozenClock) -> None:
    """It keeps its place by using it, for as long as it does."""
    take(leases, 1)
    take(leases, 2)
    for minutes in range(0, 60, 9):
        clock.move_to(NOW + minutes * MINUTE)
        for number in (1, 2):
            lease = take(leases, number, clock.now())
            assert lease == Lease(held=True, new=False, running=("acme-1", "acme-2"))
        assert not take(leases, 3, clock.now()).held


@on_both_databases
def test_a_lease_expires_to_the_microsecond(leases: Leases, clock: FrozenClock) -> None:
    """It is half-open: at its end it is another's."""
    take(leases, 1)
    take(leases, 2)
    end = NOW + LASTS
    clock.move_to(end - TICK)
    assert leases.running("acme", end - TICK) == ("acme-1", "acme-2")
    assert not take(leases, 3, clock.now()).held
    clock.move_to(end)
    assert leases.running("acme", end) == ()
    assert take(leases, 3, end) == Lease(held=True, new=True, running=("acme-3",))


def test_an_account_whose_lease_expired_takes_a_new_one(leases: Leases, clock: FrozenClock) -> None:
    """When nobody took its place it has it again, and is told that it is new."""
    take(leases, 1)
    clock.move_to(NOW + LASTS)
    assert take(leases, 1, clock.now()) == Lease(held=True, new=True, running=("acme-1",))


def test_an_account_whose_place_was_taken_is_refused(leases: Leases, clock: FrozenClock) -> None:
    """A lease that expired and went to others is not a holder's any more."""
    take(leases, 1)
    clock.move_to(NOW + LASTS)
    take(leases, 2, clock.now())
    take(leases, 3, clock.now())
    assert not take(leases, 1, clock.now()).held


def test_while_three_quarters_are_left_nothing_is_written(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """Only then is it renewed, to its full length from that instant."""
    take(leases, 1)
    last = NOW + LASTS / 4
    clock.move_to(last)
    assert take(leases, 1, last) == Lease(held=True, new=False, running=("acme-1",))
    assert ends(store) == {"acme-1": NOW + LASTS}
    clock.move_to(last + TICK)
    take(leases, 1, last + TICK)
    assert ends(store) == {"acme-1": last + TICK + LASTS}


def test_leaving_without_a_lease_does_nothing(leases: Leases) -> None:
    """A second sign-out, or one of an account that nobody knows, frees nobody else's lease."""
    take(leases, 1)
    for account in ("acme-2", "nobody"):
        leases.release(account)
    assert leases.running("acme", NOW) == ("acme-1",)
    leases.release("acme-1")
    leases.release("acme-1")
    assert leases.running("acme", NOW) == ()


# --- clocks -----------------------------------------------------------------------------------


def test_a_lease_lasts_from_when_it_is_granted(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """Whoever waited for others' leases does not get one that is over already."""
    clock.move_to(NOW + 30 * timedelta(seconds=1))
    assert leases.take("acme-1", "acme", NOW, timedelta(seconds=5)).held
    assert ends(store) == {"acme-1": clock.now() + timedelta(seconds=5)}


@on_both_databases
def test_a_clock_that_goes_back_makes_no_third(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """Leases of a later time still count, are never cut short, and their holders keep them."""
    take(leases, 1)
    take(leases, 2)
    clock.move_to(NOW - timedelta(hours=1))
    assert not take(leases, 3, clock.now()).held
    assert take(leases, 1, clock.now()).held
    assert ends(store) == {"acme-1": NOW + LASTS, "acme-2": NOW + LASTS}


@on_both_databases
def test_leases_that_went_to_others_do_not_come_back(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """A clock that jumps ahead and back again does not bring the expired ones to life."""
    take(leases, 1)
    take(leases, 2)
    clock.move_to(NOW + LASTS)
    take(leases, 3, clock.now())
    take(leases, 4, clock.now())
    clock.move_to(NOW)
    assert leases.running("acme", NOW) == ("acme-3", "acme-4")
    assert not take(leases, 1).held
    assert set(ends(store)) == {"acme-3", "acme-4"}


def test_a_lease_by_a_clock_behind_is_not_shortened_by_renewing(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """Asking for less than is left leaves what was granted."""
    take(leases, 1)
    clock.move_to(NOW + 4 * MINUTE)
    leases.take("acme-1", "acme", clock.now(), 5 * MINUTE)
    clock.move_to(NOW + 7 * MINUTE)
    leases.take("acme-1", "acme", clock.now(), timedelta(seconds=1))
    assert ends(store) == {"acme-1": NOW + LASTS}


# --- what cannot be ---------------------------------------------------------------------------


@on_both_databases
def test_only_a_landlords_own_accounts_take_its_leases(
    leases: Leases, store: Store, clock: FrozenClock
) -> None:
    """Strangers, another's account and one that was removed are told to be registered."""
    Registry(store, clock).remove_account("acme-4")
    for account, landlord in (
        ("nobody", "acme"),
        ("brick-1", "acme"),
        ("acme-4", "acme"),
        ("acme-1", "nobody"),
    ):
        with pytest.raises(NotRegisteredError, match="register it first"):
            leases.take(account, landlord, NOW, LASTS)
    assert ends(store) == {}


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "\udc80", None, 7])
def test_what_cannot_be_an_id_is_refused_before_the_database_sees_it(
    leases: Leases, key: Any
) -> None:
    """Every method names the argument."""
    for act in (
        lambda: leases.take(key, "acme", NOW, LASTS),
        lambda: leases.take("acme-1", key, NOW, LASTS),
        lambda: leases.release(key),
        lambda: leases.running(key, NOW),
    ):
        with pytest.raises(InvalidInputError) as caught:
            act()
        [error] = caught.value.errors
        assert error.pointer in ("/account_id", "/landlord_id")


def test_naive_instants_and_leases_that_do_not_last_are_refused(leases: Leases) -> None:
    """Neither is guessed."""
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ClockError):
        take(leases, 1, naive)
    with pytest.raises(ClockError):
        leases.running("acme", naive)
    for duration in (timedelta(0), -TICK):
        with pytest.raises(InvalidInputError, match="duration: must be longer than nothing"):
            leases.take("acme-1", "acme", NOW, duration)
    assert leases.running("acme", NOW) == ()


# --- other processes --------------------------------------------------------------------------


def race(url: str, processes: int, rounds: int) -> tuple[list[Used], int]:
    """Let as many accounts, each in a process of its own, use leases for a while."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.SimpleQueue()
    workers = [
        context.Process(target=uses, args=(url, f"acme-{n}", rounds, start, results))
        for n in range(1, processes + 1)
    ]
    for worker in workers:
        worker.start()
    answers = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    assert {worker.exitcode for worker in workers} == {0}
    results.close()
    return [one for used, _ in answers for one in used], sum(refused for _, refused in answers)


def assert_never_three(used: list[Used]) -> None:
    """At no instant did three accounts believe that they held a lease."""
    for one in used:
        at_once = {other.account_id for other in used if other.start <= one.start < other.end}
        assert len(at_once) <= 2


@on_both_databases
def test_processes_racing_for_leases_never_hold_three(store: Store, url: str) -> None:
    """However taking, renewing, leaving and expiring interleave, two accounts are in use."""
    used, refused = race(url, 4, 20)
    assert_never_three(used)
    assert refused
    assert len({one.account_id for one in used}) > 2


@pytest.mark.exhaustive
@on_both_databases
def test_many_processes_racing_for_leases_never_hold_three(
    store: Store, url: str, clock: FrozenClock
) -> None:
    """However taking, renewing, leaving and expiring interleave, two accounts are in use."""
    registry = Registry(store, clock)
    for number in range(5, 17):
        registry.add_account(
            AutomationAccount(
                f"acme-{number}", "acme", f"Example Homes Automation {number}", "automation@e.test"
            )
        )
        registry.deactivate_account(f"acme-{number}", "to make room for the next")
    used, refused = race(url, 16, 200)
    assert_never_three(used)
    assert refused


@on_both_databases
def test_a_process_that_was_killed_keeps_its_place_until_it_expires(
    store: Store, url: str, leases: Leases, clock: FrozenClock
) -> None:
    """Nobody frees it, and it is held no longer than its expiry."""
    context = multiprocessing.get_context("spawn")
    ready, theirs = context.Pipe(duplex=False)
    process = context.Process(target=takes_and_hangs, args=(url, NOW, LASTS, theirs))
    process.start()
    assert ready.recv() is True
    process.kill()
    process.join()
    assert take(leases, 2).running == ("acme-1", "acme-2")
    clock.move_to(NOW + LASTS - TICK)
    assert not take(leases, 3, clock.now()).held
    clock.move_to(NOW + LASTS)
    assert take(leases, 3, clock.now()).running == ("acme-3",)
