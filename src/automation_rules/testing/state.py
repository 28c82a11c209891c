"""A log for the length of a test, and a registry held to a plain model."""

from __future__ import annotations

import secrets
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ..accounts import AutomationAccount, Landlord, Person
from ..audit import DecisionLog
from ..clock import FrozenClock
from ..errors import (
    AccountLimitError,
    AlreadyRegisteredError,
    AutomationRulesError,
    InvalidInputError,
    NotRegisteredError,
    RegistryError,
)
from ..store import Registry, Store
from ..vault import Vault, WrappingKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..clock import Clock

__all__ = ["RegistryMachine", "in_memory_log"]


@contextmanager
def in_memory_log(clock: Clock | None = None) -> Iterator[DecisionLog]:
    """Give an empty decision log that is gone after the ``with``.

    It is a whole one, on a SQLite file in a temporary directory; its key is in memory only.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        Store.open(
            f"sqlite:///{Path(directory) / 'state'}", clock=clock or FrozenClock(_NOW), create=True
        ) as store,
        DecisionLog(store, Vault(WrappingKey(secrets.token_bytes(32)))) as log,
    ):
        yield log


_NOW: Final = datetime(2026, 6, 2, 8, tzinfo=UTC)

# Few ids, so that they meet; one of each kind is also used as the other kind's.
_LANDLORDS = st.sampled_from(["acme", "brick"])
_PEOPLE = st.sampled_from(["officer", "operator", "bot-0"])
_BOTS = st.sampled_from(["bot-0", "bot-1", "bot-2", "bot-3", "bot-4", "officer"])


@dataclass
class _ModelAccount:
    """An account as the model knows it."""

    landlord: str
    status: str = "active"
    two_factor: bool = True


@dataclass
class _Model:
    """What the registry should know, in plain dictionaries and lists."""

    landlords: dict[str, bool] = field(default_factory=dict)
    people: dict[tuple[str, str], bool] = field(default_factory=dict)
    accounts: dict[str, _ModelAccount] = field(default_factory=dict)
    changes: list[tuple[str, str | None, str]] = field(default_factory=list)

    def living(self, account: str) -> _ModelAccount | None:
        """Return an account that is not removed."""
        found = self.accounts.get(account)
        return None if found is None or found.status == "removed" else found

    def counted(self, landlord: str) -> list[str]:
        """Return the accounts of a landlord that count towards the limit."""
        return sorted(
            key
            for key, account in self.accounts.items()
            if account.landlord == landlord and account.status in ("active", "paused")
        )

    def resting(self) -> list[str]:
        """Return the accounts that are paused or deactivated."""
        return sorted(
            key
            for key, account in self.accounts.items()
            if account.status in ("paused", "deactivated")
        )

    def present(self, landlord: str, person: str) -> bool:
        """Whether a landlord has that person now."""
        return self.people.get((landlord, person), False)


class RegistryMachine(RuleBasedStateMachine):
    """Does the same to a registry and to a plain model, and sees that both agree.

    Landlords, people and accounts come, pause, resume and go, and the state is closed and opened
    again, in whatever order Hypothesis finds. Override `open_store` to test another state. Run it
    with `hypothesis.stateful.run_state_machine_as_test`, or as ``RegistryMachine.TestCase``.
    """

    def open_store(self, directory: Path, clock: Clock) -> Store:
        """Open the state of this run, made when it is not there; called again to reopen it."""
        return Store.open(f"sqlite:///{directory / 'state'}", clock=clock, create=True)

    @initialize()
    def make(self) -> None:
        """Make a new state in a directory of its own, one account short of the limit."""
        self.directory = tempfile.TemporaryDirectory()
        self.clock = FrozenClock(_NOW)
        self.model = _Model()
        self.store = self.open_store(Path(self.directory.name), self.clock)
        self.registry = Registry(self.store, self.clock)
        self.add_landlord("acme")
        self.add_person("acme", "officer")
        self.add_account("acme", "bot-1")

    def teardown(self) -> None:
        """Close the state and clear it away."""
        self.store.close()
        self.directory.cleanup()

    def expect(self, error: type[AutomationRulesError] | None, act: Callable[[], None]) -> None:
        """Do it, and see that it raises just what the model foresees."""
        outcome: type[AutomationRulesError] | None = None
        try:
            act()
        except AutomationRulesError as raised:
            outcome = type(raised)
        assert outcome is error

    @rule()
    def open_again(self) -> None:
        """What was done before is there after the state was closed and opened."""
        self.store.close()
        self.store = self.open_store(Path(self.directory.name), self.clock)
        self.registry = Registry(self.store, self.clock)

    @rule(landlord=_LANDLORDS)
    def add_landlord(self, landlord: str) -> None:
        """Register a landlord."""
        taken = landlord in self.model.landlords
        self.expect(
            AlreadyRegisteredError if taken else None,
            lambda: self.registry.add_landlord(Landlord(landlord, f"The {landlord} homes")),
        )
        self.model.landlords.setdefault(landlord, False)

    @rule(landlord=_LANDLORDS)
    def pause_landlord(self, landlord: str) -> None:
        """Pause a landlord, paused already or not."""
        known = landlord in self.model.landlords
        self.expect(
            None if known else NotRegisteredError,
            lambda: self.registry.pause_landlord(landlord, "an example"),
        )
        if known:
            self.model.landlords[landlord] = True
            self.model.changes.append((landlord, None, "paused"))

    @rule(landlord=_LANDLORDS, person=_PEOPLE)
    def resume_landlord(self, landlord: str, person: str) -> None:
        """Resume a landlord on somebody's word."""
        error: type[AutomationRulesError] | None = None
        if not self.model.present(landlord, person):
            error = NotRegisteredError
        elif not self.model.landlords[landlord]:
            error = RegistryError
        self.expect(error, lambda: self.registry.resume_landlord(landlord, person))
        if error is None:
            self.model.landlords[landlord] = False
            self.model.changes.append((landlord, None, "resumed"))

    @rule(landlord=_LANDLORDS, person=_PEOPLE)
    def add_person(self, landlord: str, person: str) -> None:
        """Register a person, or let them come back."""
        error: type[AutomationRulesError] | None = None
        if landlord not in self.model.landlords:
            error = NotRegisteredError
        elif person in self.model.accounts:
            error = InvalidInputError
        elif self.model.present(landlord, person):
            error = AlreadyRegisteredError
        self.expect(
            error, lambda: self.registry.add_person(Person(person, landlord, "Example Person"))
        )
        if error is None:
            self.model.people[landlord, person] = True

    @rule(landlord=_LANDLORDS, person=_PEOPLE)
    def remove_person(self, landlord: str, person: str) -> None:
        """Take a person off the list."""
        present = self.model.present(landlord, person)
        self.expect(
            None if present else NotRegisteredError,
            lambda: self.registry.remove_person(landlord, person),
        )
        if present:
            self.model.people[landlord, person] = False

    @rule(landlord=_LANDLORDS, bot=_BOTS)
    def add_account(self, landlord: str, bot: str) -> None:
        """Register an account that the terms allow."""
        error: type[AutomationRulesError] | None = None
        if landlord not in self.model.landlords:
            error = NotRegisteredError
        elif any(person == bot for _, person in self.model.people):
            error = InvalidInputError
        elif bot in self.model.accounts:
            error = AlreadyRegisteredError
        elif len(self.model.counted(landlord)) == 2:
            error = AccountLimitError
        account = AutomationAccount(
            bot, landlord, f"the {landlord} homes automation", "automation@homes.example"
        )
        self.expect(error, lambda: self.registry.add_account(account))
        if error is None:
            self.model.accounts[bot] = _ModelAccount(landlord)

    @rule(bot=_BOTS, two_factor=st.booleans())
    def update_account(self, bot: str, two_factor: bool) -> None:
        """Record what is true of an account now."""
        found = self.model.living(bot)
        self.expect(
            None if found else NotRegisteredError,
            lambda: self.registry.update_account(bot, two_factor=two_factor),
        )
        if found:
            found.two_factor = two_factor

    @rule(bot=_BOTS)
    def pause_account(self, bot: str) -> None:
        """Pause an account."""
        found = self.model.living(bot)
        error: type[AutomationRulesError] | None = None
        if found is None:
            error = NotRegisteredError
        elif found.status == "deactivated":
            error = RegistryError
        self.change(bot, "paused", "paused", error, lambda: self.registry.pause_account(bot, "x"))

    @rule(bot=_BOTS, person=_PEOPLE)
    def resume_account(self, bot: str, person: str) -> None:
        """Resume a paused or deactivated account on somebody's word."""
        found = self.model.living(bot)
        error: type[AutomationRulesError] | None = None
        if found is None or not self.model.present(found.landlord, person):
            error = NotRegisteredError
        elif found.status == "active":
            error = RegistryError
        elif found.status == "deactivated" and len(self.model.counted(found.landlord)) == 2:
            error = AccountLimitError
        self.change(
            bot, "active", "resumed", error, lambda: self.registry.resume_account(bot, person)
        )

    @precondition(lambda self: self.model.resting())
    @rule(data=st.data())
    def resume_one_that_rests(self, data: st.DataObject) -> None:
        """Resume an account that is paused or deactivated, on a colleague's word if any."""
        bot = data.draw(st.sampled_from(self.model.resting()))
        landlord = self.model.accounts[bot].landlord
        people = [who for _, who in self.model.people if self.model.present(landlord, who)]
        self.resume_account(bot, data.draw(st.sampled_from(people or ["stranger"])))

    @rule(landlord=_LANDLORDS, number=st.integers(10, 30))
    def add_fresh_account(self, landlord: str, number: int) -> None:
        """Register an account whose id is seldom taken."""
        self.add_account(landlord, f"bot-{number}")

    @precondition(lambda self: self.model.counted("acme"))
    @rule(data=st.data())
    def deactivate_one_that_counts(self, data: st.DataObject) -> None:
        """Deactivate one of a landlord's accounts."""
        self.deactivate_account(data.draw(st.sampled_from(self.model.counted("acme"))))

    @rule(bot=_BOTS)
    def deactivate_account(self, bot: str) -> None:
        """Deactivate an account."""
        error = None if self.model.living(bot) else NotRegisteredError
        self.change(
            bot,
            "deactivated",
            "deactivated",
            error,
            lambda: self.registry.deactivate_account(bot, "an example"),
        )

    @rule(bot=_BOTS)
    def remove_account(self, bot: str) -> None:
        """Remove an account."""
        error = None if self.model.living(bot) else NotRegisteredError
        self.change(bot, "removed", "removed", error, lambda: self.registry.remove_account(bot))

    def change(
        self,
        bot: str,
        status: str,
        change: str,
        error: type[AutomationRulesError] | None,
        act: Callable[[], None],
    ) -> None:
        """Change an account's status in both, or in neither."""
        self.expect(error, act)
        if error is None:
            account = self.model.accounts[bot]
            account.status = status
            self.model.changes.append((account.landlord, bot, change))

    @invariant()
    def both_agree(self) -> None:
        """Whatever can be asked is answered as the model answers it, and nobody has three."""
        landlords = {found.id: found.paused for found in self.registry.landlords()}
        assert landlords == self.model.landlords
        for landlord in self.model.landlords:
            assert len(self.model.counted(landlord)) <= 2
            people = [person.id for person in self.registry.people(landlord)]
            assert people == sorted(
                person
                for (where, person), present in self.model.people.items()
                if where == landlord and present
            )
            accounts = {
                a.id: (a.status.value, a.two_factor) for a in self.registry.accounts(landlord)
            }
            assert accounts == {
                key: (account.status, account.two_factor)
                for key, account in self.model.accounts.items()
                if account.landlord == landlord and account.status != "removed"
            }
            for bot in accounts:
                facts = self.registry.facts(bot, _NOW)
                assert facts.landlord.id == landlord
                assert list(facts.automation_accounts) == self.model.counted(landlord)
            changes = [
                (c.landlord_id, c.account_id, c.change)
                for c in self.registry.status_changes(landlord)
            ]
            assert changes == [change for change in self.model.changes if change[0] == landlord]
