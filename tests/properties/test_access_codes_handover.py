"""In whatever order bots wait and people enter codes, each code goes to one bot at most."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import select

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.clock import FrozenClock
from automation_rules.errors import AccessCodeError
from automation_rules.store import Registry, Store
from automation_rules.store.codes import HAND_OVER_WITHIN, CodeDesk, PendingCode
from automation_rules.store.tables import code_entries, code_waits

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 6, 2, 11, 0, tzinfo=UTC)
HALF_SECOND = timedelta(seconds=0.5)
ACCOUNTS = ("acme-1", "acme-2")
TURNS = st.lists(st.sampled_from(["nobody", "poll", "restart", "late"]), max_size=4)


class HandOvers(RuleBasedStateMachine):
    """Bots and people at one desk, beside a model of who must get what."""

    pendings: Bundle[PendingCode] = Bundle("pendings")

    def __init__(self) -> None:
        """Make a registered state in a directory of its own."""
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FrozenClock(START)
        url = f"sqlite:///{Path(self.directory.name) / 'state.sqlite3'}"
        self.store = Store.open(url, clock=self.clock, create=True)
        registry = Registry(self.store, self.clock)
        registry.add_landlord(Landlord("acme", "Acme Homes"))
        registry.add_person(Person("officer-7", "acme", "Olwen Officer"))
        for account in ACCOUNTS:
            registry.add_account(
                AutomationAccount(
                    account, "acme", f"Acme Homes Automation {account}", "automation@acme.example"
                )
            )
        self.turns: list[Callable[[], None]] = []
        self.desk = CodeDesk(self.store, self.clock, self.sleep)
        self.open: dict[str, PendingCode] = {}
        self.taken: dict[str, str] = {}  # the code that each wait has given out
        self.number = 0

    def teardown(self) -> None:
        """Close the state."""
        self.store.close()
        self.directory.cleanup()

    def sleep(self, seconds: float) -> None:
        """Pass the time, and let the next one act."""
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))
        if self.turns:
            self.turns.pop(0)()

    @initialize(target=pendings)
    def first(self) -> MultipleResults[PendingCode]:
        """Begin with a wait of each account."""
        return multiple(*(self.wait(account) for account in ACCOUNTS))

    def wait(self, account: str) -> PendingCode:
        """Open a wait, which replaces the account's earlier one."""
        pending = self.desk.open_wait(account)
        self.open[account] = pending
        return pending

    @rule(target=pendings, account=st.sampled_from(ACCOUNTS))
    def start(self, account: str) -> PendingCode:
        """Start a bot."""
        return self.wait(account)

    @rule(gap=st.sampled_from([HALF_SECOND, HAND_OVER_WITHIN - HALF_SECOND, HAND_OVER_WITHIN]))
    def pass_time(self, gap: timedelta) -> None:
        """Let the time pass."""
        self.clock.move_to(self.clock.now() + gap)

    def alive(self, pending: PendingCode) -> bool:
        """Say whether the model would let this wait still give a code out."""
        return (
            self.open.get(pending.account_id) == pending
            and pending.id not in self.taken
            and self.clock.now() < pending.expires_at
        )

    @rule(pending=pendings)
    def poll_when_nobody_enters(self, pending: PendingCode) -> None:
        """Outside a person's call there is never a code to get."""
        alive = self.alive(pending)
        try:
            assert self.desk.poll(pending) is None
        except AccessCodeError:
            assert not alive
        else:
            assert alive

    @rule(pending=consumes(pendings))
    def give_up(self, pending: PendingCode) -> None:
        """End a wait without a code."""
        alive = self.alive(pending)
        try:
            self.desk.wait(pending, timeout=timedelta())
        except AccessCodeError:
            pass
        else:
            raise AssertionError("there was no code to get")
        if alive:
            del self.open[pending.account_id]

    @rule(target=pendings, account=st.sampled_from(ACCOUNTS), turns=TURNS)
    def enter(self, account: str, turns: list[str]) -> MultipleResults[PendingCode]:
        """Enter a code while bots act in each turn; the model says whether it must arrive."""
        self.number += 1
        code = f"{self.number:06d}"
        started: list[PendingCode] = []
        got: list[str] = []
        sealed_to: list[PendingCode] = []

        def sealing() -> None:
            # What `enter` has done just before this turn, as the model sees it.
            pending = self.open.get(account)
            if not got and pending is not None and self.alive_before(pending):
                sealed_to[:] = [pending]

        def act(turn: str) -> None:
            sealing()
            if turn == "restart":
                started.append(self.wait(account))
            elif turn == "late":
                self.clock.move_to(self.clock.now() + HAND_OVER_WITHIN)
            elif turn == "poll" and (pending := self.open.get(account)) is not None:
                ready = self.alive(pending) and sealed_to == [pending]
                try:
                    answer = self.desk.poll(pending)
                except AccessCodeError:
                    answer = None
                assert answer == (code if ready else None)
                if answer is not None:
                    got.append(answer)
                    self.taken[pending.id] = answer

        self.turns = [lambda turn=turn: act(turn) for turn in turns]  # type: ignore[misc]
        try:
            self.desk.enter(account, "officer-7", code, timeout=HALF_SECOND * (len(turns) + 1))
        except AccessCodeError:
            assert got == []
        else:
            assert got == [code]
        return multiple(*started)

    def alive_before(self, pending: PendingCode) -> bool:
        """Say whether the wait was alive half a second ago, before the sleep."""
        return pending.id not in self.taken and (
            self.clock.now() - HALF_SECOND < pending.expires_at
        )

    @invariant()
    def nothing_stays_sealed(self) -> None:
        """When no person's call is under way nothing is sealed, and a wait is open per account."""
        with self.store.reading() as connection:
            rows = connection.execute(select(code_waits)).all()
            entries = connection.execute(select(code_entries.c.id)).scalars().all()
        assert all(row.sealed is None for row in rows)
        assert len({row.account_id for row in rows}) == len(rows)
        assert sorted(entries) == sorted(self.taken)

    @invariant()
    def every_code_went_to_one_bot(self) -> None:
        """No two waits ever gave the same code out."""
        assert len(set(self.taken.values())) == len(self.taken)


TestHandOvers = HandOvers.TestCase
TestHandOvers.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)
