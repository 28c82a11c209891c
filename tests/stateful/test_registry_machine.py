"""The registry against a plain model: whatever is done in whatever order, both agree."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.clock import FrozenClock
from automation_rules.errors import (
    AccountLimitError,
    AlreadyRegisteredError,
    AutomationRulesError,
    InvalidInputError,
    NotRegisteredError,
    RegistryError,
)
from automation_rules.store import Registry, Store

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)

# Few ids, so that they meet; one of each kind is also used as the other kind's.
LANDLORDS = st.sampled_from(["acme", "brick"])
PEOPLE = st.sampled_from(["officer", "operator", "bot-0"])
BOTS = st.sampled_from(["bot-0", "bot-1", "bot-2", "bot-3", "bot-4", "officer"])


@dataclass
class ModelAccount:
    """An account as the model knows it."""

    landlord: str
    status: str = "active"
    two_factor: bool = True


@dataclass
class Model:
    """What the registry should know, in plain dictionaries and lists."""

    landlords: dict[str, bool] = field(default_factory=dict)
    people: dict[tuple[str, str], bool] = field(default_factory=dict)
    accounts: dict[str, ModelAccount] = field(default_factory=dict)
    changes: list[tuple[str, str | None, str]] = field(default_factory=list)

    def living(self, account: str) -> ModelAccount | None:
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
    """Does the same to a registry in a file and to the model."""

    @initialize()
    def make(self) -> None:
        """Make a new state in a directory of its own, one account short of the limit."""
        self.directory = tempfile.TemporaryDirectory()
        self.url = f"sqlite:///{Path(self.directory.name) / 'state'}"
        self.clock = FrozenClock(NOW)
        self.model = Model()
        self.store = Store.open(self.url, clock=self.clock, create=True)
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
        self.store = Store.open(self.url, clock=self.clock)
        self.registry = Registry(self.store, self.clock)

    @rule(landlord=LANDLORDS)
    def add_landlord(self, landlord: str) -> None:
        """Register a landlord."""
        taken = landlord in self.model.landlords
        self.expect(
            AlreadyRegisteredError if taken else None,
            lambda: self.registry.add_landlord(Landlord(landlord, f"The {landlord} homes")),
        )
        self.model.landlords.setdefault(landlord, False)

    @rule(landlord=LANDLORDS)
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

    @rule(landlord=LANDLORDS, person=PEOPLE)
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

    @rule(landlord=LANDLORDS, person=PEOPLE)
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

    @rule(landlord=LANDLORDS, person=PEOPLE)
    def remove_person(self, landlord: str, person: str) -> None:
        """Take a person off the list."""
        present = self.model.present(landlord, person)
        self.expect(
            None if present else NotRegisteredError,
            lambda: self.registry.remove_person(landlord, person),
        )
        if present:
            self.model.people[landlord, person] = False

    @rule(landlord=LANDLORDS, bot=BOTS)
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
            self.model.accounts[bot] = ModelAccount(landlord)

    @rule(bot=BOTS, two_factor=st.booleans())
    def update_account(self, bot: str, two_factor: bool) -> None:
        """Record what is true of an account now."""
        found = self.model.living(bot)
        self.expect(
            None if found else NotRegisteredError,
            lambda: self.registry.update_account(bot, two_factor=two_factor),
        )
        if found:
            found.two_factor = two_factor

    @rule(bot=BOTS)
    def pause_account(self, bot: str) -> None:
        """Pause an account."""
        found = self.model.living(bot)
        error: type[AutomationRulesError] | None = None
        if found is None:
            error = NotRegisteredError
        elif found.status == "deactivated":
            error = RegistryError
        self.change(bot, "paused", "paused", error, lambda: self.registry.pause_account(bot, "x"))

    @rule(bot=BOTS, person=PEOPLE)
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

    @rule(landlord=LANDLORDS, number=st.integers(10, 30))
    def add_fresh_account(self, landlord: str, number: int) -> None:
        """Register an account whose id is seldom taken."""
        self.add_account(landlord, f"bot-{number}")

    @precondition(lambda self: self.model.counted("acme"))
    @rule(data=st.data())
    def deactivate_one_that_counts(self, data: st.DataObject) -> None:
        """Deactivate one of a landlord's accounts."""
        self.deactivate_account(data.draw(st.sampled_from(self.model.counted("acme"))))

    @rule(bot=BOTS)
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

    @rule(bot=BOTS)
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
                facts = self.registry.facts(bot, NOW)
                assert facts.landlord.id == landlord
                assert list(facts.automation_accounts) == self.model.counted(landlord)
            changes = [
                (c.landlord_id, c.account_id, c.change)
                for c in self.registry.status_changes(landlord)
            ]
            assert changes == [change for change in self.model.changes if change[0] == landlord]


def run(examples: int, steps: int) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        RegistryMachine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_the_registry_agrees_with_a_plain_model() -> None:
    """After every step of some random histories both know the same."""
    run(25, 30)


@pytest.mark.exhaustive
def test_the_registry_agrees_with_a_plain_model_for_long() -> None:
    """After every step of many long random histories both know the same."""
    run(150, 50)
