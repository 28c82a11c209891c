"""Leases against a plain model: whatever is done and whatever the clock does, both agree."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from automation_rules.accounts import AutomationAccount, Landlord
from automation_rules.clock import FrozenClock
from automation_rules.store import Leases, Registry, Store, leases, tables
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

ACCOUNTS = st.sampled_from(range(4))
DURATIONS = st.sampled_from([MINUTE, 10 * MINUTE, timedelta(microseconds=1)])
STEPS = st.one_of(
    st.sampled_from([MINUTE / 4, MINUTE, 5 * MINUTE / 2, 10 * MINUTE]),
    st.timedeltas(timedelta(0), 12 * MINUTE),
)

_numbers = itertools.count(1)


class LeaseMachine(RuleBasedStateMachine):
    """A landlord's four accounts come and go, and the clock runs, jumps and goes back."""

    store: Store
    clock: FrozenClock

    @initialize()
    def register(self) -> None:
        """Begin with a landlord of one's own in the state that all runs share."""
        self.landlord = f"landlord-{next(_numbers)}"
        self.accounts = [f"{self.landlord}-{number}" for number in range(4)]
        self.clock.move_to(NOW)
        registry = Registry(self.store, self.clock)
        registry.add_landlord(Landlord(self.landlord, "Example Homes"))
        for account in self.accounts:
            registry.add_account(
                AutomationAccount(
                    account, self.landlord, "Example Homes Automation", "automation@homes.example"
                )
            )
            registry.deactivate_account(account, "to make room for the next")
        self.leases = Leases(self.store, self.clock)
        # Whose place it is until when: the whole model.
        self.places: dict[str, datetime] = {}

    def running(self, at: datetime) -> list[str]:
        """Return whose place has not expired."""
        return sorted(account for account, end in self.places.items() if at < end)

    @rule(number=ACCOUNTS, duration=DURATIONS, late=st.sampled_from([timedelta(0), MINUTE / 2]))
    def take(self, number: int, duration: timedelta, late: timedelta) -> None:
        """Ask for a lease, perhaps some time before it is granted."""
        account, now = self.accounts[number], self.clock.now()
        asked = now - late
        before = self.running(asked)
        lease = self.leases.take(account, self.landlord, asked, duration)
        end = self.places.get(account)
        if end is not None and end - asked >= duration * 0.75:
            assert (lease.held, lease.new) == (True, False)
            assert list(lease.running) == before
            return
        others = [other for other in self.running(now) if other != account]
        assert list(lease.running) == sorted([*others, account])
        if account in before:
            assert lease.held, "a holder was refused"
        if end is not None:
            assert (lease.held, lease.new) == (True, end <= now)
            self.places[account] = max(end, now + duration)
        elif len(others) == 2:
            assert (lease.held, lease.new) == (False, False)
        else:
            assert (lease.held, lease.new) == (True, True)
            self.places = {other: self.places[other] for other in others}
            self.places[account] = now + duration

    @rule(number=ACCOUNTS)
    def leave(self, number: int) -> None:
        """Free a lease, if there is one."""
        self.leases.release(self.accounts[number])
        self.places.pop(self.accounts[number], None)

    @rule(step=STEPS)
    def wait(self, step: timedelta) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + step)

    @rule(step=STEPS)
    def go_back(self, step: timedelta) -> None:
        """Set the clock back."""
        self.clock.move_to(self.clock.now() - step)

    @rule(step=st.timedeltas(timedelta(hours=-1), timedelta(hours=1)))
    def look(self, step: timedelta) -> None:
        """See at any other instant who is in use then."""
        at = self.clock.now() + step
        assert list(self.leases.running(self.landlord, at)) == self.running(at)

    @invariant()
    def never_three(self) -> None:
        """Whatever any clock says, two places at most are anybody's."""
        with self.store.reading() as connection:
            held = connection.execute(
                select(tables.leases.c.account_id, tables.leases.c.expires_at).filter_by(
                    landlord_id=self.landlord
                )
            ).all()
        assert len(held) <= 2
        assert {row.account_id: row.expires_at for row in held} == self.places


@pytest.fixture
def machine(url: str) -> Iterator[type[LeaseMachine]]:
    """Return the machine on a new state."""
    frozen = FrozenClock(NOW)
    with Store.open(url, clock=frozen, create=True) as new:

        class OnThisState(LeaseMachine):
            store = new
            clock = frozen

        yield OnThisState


def run(machine: type[LeaseMachine], examples: int, steps: int) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


@on_both_databases
def test_leases_agree_with_a_plain_model(machine: type[LeaseMachine]) -> None:
    """After every step of some random histories both know the same, and never of three."""
    run(machine, 20, 30)


@pytest.mark.exhaustive
@on_both_databases
def test_leases_agree_with_a_plain_model_for_long(machine: type[LeaseMachine]) -> None:
    """After every step of many long random histories both know the same, and never of three."""
    run(machine, 400, 60)


def test_leases_that_let_a_third_in_are_found(
    machine: type[LeaseMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third place is refused as the model says; the machine notices a limit of three."""
    history = machine()
    history.register()
    for number in range(3):
        history.take(number, MINUTE, timedelta(0))
        history.never_three()
    monkeypatch.setattr(leases, "MAX_AUTOMATION_ACCOUNTS", 3)
    with pytest.raises(AssertionError):
        history.take(2, MINUTE, timedelta(0))
