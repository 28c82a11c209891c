"""Two gateways over one registry against a plain model: whatever happens, both agree with it."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

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
from sqlalchemy import select

from automation_rules import Action, Policy, TodoKind, landlord_portal
from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.audit import DecisionLog
from automation_rules.clock import LONDON, FrozenClock
from automation_rules.enforcer import LEASE_DURATION, Step
from automation_rules.gateway import Automation
from automation_rules.gateway import Person as Human
from automation_rules.gateway.current import CurrentFacts
from automation_rules.store import Leases, PortalClosure, Registry, Store, tables
from automation_rules.store.codes import CodeDesk
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.gateway import Gateway
    from gateway_world import World

TUESDAY = datetime(2026, 6, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SUBMIT = Step(Action.SUBMIT_TODO, TodoKind.CONFIRM_HOUSING_COSTS, "td-17")
STEPS: Final = (
    Step(Action.SIGN_IN),
    Step(Action.LIST_TODOS),
    replace(SUBMIT, expected_duration=timedelta(minutes=5)),
    SUBMIT,
)
_published = landlord_portal(at_a_time="running")
POLICY = Policy(_published.info.id, _published.info.version, _published.checks)

NUMBERS = st.sampled_from(range(4))
MOVES = st.one_of(
    st.sampled_from(
        [timedelta(minutes=3), timedelta(minutes=10), HOUR, 14 * HOUR, timedelta(days=1)]
    ),
    st.timedeltas(timedelta(0), 12 * HOUR),
)
_runs = itertools.count(1)


class Ages:
    """A clock for ages that runs by microseconds, and by leaps when it is told to."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time, which is always later than before."""
        self.now += 1e-6
        return self.now


@dataclass(frozen=True)
class Facts:
    """What the registry holds, as the model sees it."""

    status: dict[str, str] = field(default_factory=dict)
    codes: dict[str, tuple[datetime, ...]] = field(default_factory=dict)
    closures: tuple[tuple[datetime, datetime], ...] = ()
    landlord_paused: bool = False
    all_paused: bool = False

    def allow(self, account: str, step: Step, at: datetime) -> bool:
        """Whether the terms allow a step, but for how many are in use."""
        local = at.astimezone(LONDON)
        ends = (at + (step.expected_duration or timedelta(0))).astimezone(LONDON)
        closing = local.replace(hour=18, minute=0, second=0, microsecond=0)
        last = max((c for c in self.codes.get(account, ()) if c <= at), default=None)
        return (
            self.status.get(account) == "active"
            and not self.landlord_paused
            and not self.all_paused
            and local.weekday() < 5
            and local.hour >= 8
            and local < closing
            and ends <= closing
            and not any(begin <= at < end for begin, end in self.closures)
            and not any(
                at < begin < at + (step.expected_duration or timedelta(0))
                for begin, end in self.closures
            )
            and (
                step.action is Action.SIGN_IN
                or (last is not None and last.astimezone(LONDON).date() == local.date())
            )
        )


class GatewayMachine(RuleBasedStateMachine):
    """A landlord's accounts work, are paused, closed out, and leave, while the clock jumps."""

    store: Store
    clock: FrozenClock
    gateways: tuple[Gateway, ...]
    ages: Ages

    @initialize()
    def register(self) -> None:
        """Begin with a landlord of one's own in the state that all runs share."""
        self.clock.move_to(TUESDAY)
        self.landlord = f"landlord-{next(_runs)}"
        self.person = f"{self.landlord}-person"
        self.accounts = [f"{self.landlord}-{number}" for number in range(4)]
        self.registry = Registry(self.store, self.clock)
        self.log = DecisionLog(self.store)
        self.registry.add_landlord(
            Landlord(
                self.landlord,
                "Example Homes",
                nation="england-and-wales",
                declared_on=date(2026, 1, 5),
                partnership_manager="North West partnership manager",
            )
        )
        self.registry.add_person(Person(self.person, self.landlord, "Testy McOfficer"))
        if self.registry.all_paused():
            self.registry.resume_all(self.landlord, self.person)
        for closure in self.registry.closures():
            self.registry.remove_closure(closure.id)
        self.facts = Facts()
        self.past: list[tuple[float, Facts]] = []
        self.places: dict[str, datetime] = {}
        self.recorded = self.log.head().size
        self.ages.now += 1
        for number in (0, 1):
            self.add(number)
            self.enter_code(number)

    def change(self, **changes: object) -> None:
        """Let the model know what has changed."""
        self.past.append((self.ages.now, self.facts))
        self.facts = replace(self.facts, **changes)  # type: ignore[arg-type]

    def known(self) -> list[Facts]:
        """Return what may be decided by: what holds, or held until half a second ago."""
        return [self.facts, *(facts for until, facts in self.past if self.ages.now - until < 0.5)]

    def stand(self, account: str, status: str) -> None:
        """Let the model know an account's status."""
        self.change(status={**self.facts.status, account: status})

    # --- what people do -----------------------------------------------------------------------

    @rule(number=NUMBERS)
    def add(self, number: int) -> None:
        """Register an account where there is room."""
        account = self.accounts[number]
        counted = [a for a, status in self.facts.status.items() if status != "deactivated"]
        if account in self.facts.status or len(counted) == 2:
            return
        self.registry.add_account(
            AutomationAccount(
                account, self.landlord, "Example Homes Automation", "automation@homes.example"
            )
        )
        self.stand(account, "active")

    @rule(number=NUMBERS, change=st.sampled_from(["pause", "resume", "deactivate"]))
    def change_status(self, number: int, change: str) -> None:
        """Pause, resume or deactivate an account."""
        account = self.accounts[number]
        status = self.facts.status.get(account)
        if change == "pause" and status == "active":
            self.registry.pause_account(account, "made-up reason")
            self.stand(account, "paused")
        elif change == "resume" and status == "paused":
            self.registry.resume_account(account, self.person)
            self.stand(account, "active")
        elif change == "deactivate" and status in ("active", "paused"):
            self.registry.deactivate_account(account, "made-up reason")
            self.stand(account, "deactivated")

    @rule()
    def pause_landlord(self) -> None:
        """Pause or resume the landlord."""
        if self.facts.landlord_paused:
            self.registry.resume_landlord(self.landlord, self.person)
        else:
            self.registry.pause_landlord(self.landlord, "made-up reason")
        self.change(landlord_paused=not self.facts.landlord_paused)

    @rule()
    def kill_switch(self) -> None:
        """Pause or resume everybody."""
        if self.facts.all_paused:
            self.registry.resume_all(self.landlord, self.person)
        else:
            self.registry.pause_all("made-up reason")
        self.change(all_paused=not self.facts.all_paused)

    @rule(begins=st.timedeltas(-HOUR, HOUR), lasts=st.timedeltas(timedelta(minutes=1), 2 * HOUR))
    def close(self, begins: timedelta, lasts: timedelta) -> None:
        """Announce a closure around now."""
        if len(self.facts.closures) == 3:
            return
        begin = self.clock.now() + begins
        self.registry.add_closure(
            PortalClosure(f"{self.landlord}-{len(self.facts.closures)}", begin, begin + lasts)
        )
        self.change(closures=(*self.facts.closures, (begin, begin + lasts)))

    @rule(number=NUMBERS)
    def enter_code(self, number: int) -> None:
        """Hand today's code over to a bot."""
        account = self.accounts[number]
        if self.facts.status.get(account) != "active":
            return
        if self.facts.landlord_paused or self.facts.all_paused:
            return
        bot = CodeDesk(self.store, self.clock)
        pending = bot.open_wait(account)

        def take(_seconds: float) -> None:
            bot.poll(pending)

        CodeDesk(self.store, self.clock, sleep=take).enter(account, self.person, "123456")
        codes = (*self.facts.codes.get(account, ()), self.clock.now())
        self.change(codes={**self.facts.codes, account: codes})

    # --- what time does -----------------------------------------------------------------------

    @rule(step=MOVES)
    def wait(self, step: timedelta) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + step)

    @rule(step=MOVES)
    def go_back(self, step: timedelta) -> None:
        """Set the clock back, but not before all began."""
        self.clock.move_to(max(TUESDAY, self.clock.now() - step))

    @rule()
    def begin_again(self) -> None:
        """Come to the next working morning, with everything in order."""
        at = self.clock.now().replace(hour=8, minute=0) + timedelta(days=1)
        while at.weekday() > 4:
            at += timedelta(days=1)
        self.clock.move_to(at)
        if self.facts.landlord_paused:
            self.pause_landlord()
        if self.facts.all_paused:
            self.kill_switch()
        for number in range(4):
            self.change_status(number, "resume")
            self.add(number)
            self.enter_code(number)

    @precondition(lambda self: self.past)
    @rule(seconds=st.sampled_from([0.2, 0.45, 0.5]))
    def grow_older(self, seconds: float = 0.5) -> None:
        """Let what was kept grow older: a while, so that some reads it again, or too old."""
        self.ages.now += seconds

    # --- what bots do -------------------------------------------------------------------------

    def ask(self, number: int, step: Step, gateway: int, asynchronous: bool) -> bool:
        """Ask one of the gateways; what it says is on record, once."""
        caller, asked = Automation(self.accounts[number]), self.gateways[gateway]
        passage = (
            asyncio.run(asked.ask_async(caller, step)) if asynchronous else asked.ask(caller, step)
        )
        self.recorded += 1
        [entry] = self.log.entries(self.recorded - 1, self.recorded)
        assert self.log.head().size == self.recorded
        assert passage.decision is not None
        assert entry.document["decision_id"] == passage.decision.decision_id
        assert entry.document["decision"] is passage.allowed
        return bool(passage.allowed)

    @rule(
        number=NUMBERS,
        step=st.sampled_from(STEPS),
        gateway=st.sampled_from([0, 1]),
        asynchronous=st.booleans(),
    )
    def work(self, number: int, step: Step, gateway: int, asynchronous: bool) -> None:
        """Take a step: it is allowed or denied as the model says."""
        account, at = self.accounts[number], self.clock.now()
        others = [a for a, end in self.places.items() if a != account and at < end]
        has_place = account in self.places or len(others) < 2
        if self.ask(number, step, gateway, asynchronous):
            assert has_place, "a third is in use"
            assert any(facts.allow(account, step, at) for facts in self.known()), "wrongly allowed"
            self.take(account, at, others)
        else:
            right = not self.facts.allow(account, step, at) or not has_place
            assert right, "wrongly denied"

    def take(self, account: str, at: datetime, others: list[str]) -> None:
        """Let the model know who has a place until when."""
        end = self.places.get(account)
        if end is not None and end - at >= LEASE_DURATION * 0.75:
            return
        if end is None:
            self.places = {other: self.places[other] for other in others}
        self.places[account] = max(end or at, at + LEASE_DURATION)

    @rule(number=NUMBERS, gateway=st.sampled_from([0, 1]), asynchronous=st.booleans())
    def leave(self, number: int, gateway: int, asynchronous: bool) -> None:
        """Sign out: always allowed."""
        assert self.ask(number, Step(Action.SIGN_OUT), gateway, asynchronous)
        # What the gateway does not know, it frees no place of.
        if self.accounts[number] in self.facts.status:
            self.places.pop(self.accounts[number], None)

    @rule(
        number=NUMBERS,
        action=st.sampled_from([Action.PAY_RENT, "unknown_route", Action.ADD_PROPERTY]),
    )
    def overreach(self, number: int, action: Action | str) -> None:
        """Try what no bot may do: always denied, and no place is taken or lost."""
        assert not self.ask(number, Step(action), 0, False)

    @rule(gateway=st.sampled_from([0, 1]))
    def be_a_person(self, gateway: int) -> None:
        """A person passes whatever the hour, and nothing is recorded."""
        assert self.gateways[gateway].ask(Human(), Step("unknown_route")).allowed
        assert self.log.head().size == self.recorded

    @invariant()
    def places_are_the_models(self) -> None:
        """At most two places are anybody's, and they are those of the model."""
        with self.store.reading() as connection:
            rows = connection.execute(
                select(tables.leases.c.account_id, tables.leases.c.expires_at).filter_by(
                    landlord_id=self.landlord
                )
            ).all()
        assert len(rows) <= 2
        assert {row.account_id: row.expires_at for row in rows} == self.places


@pytest.fixture
def machine(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[GatewayMachine]]:
    """Return the machine on a state of its own, with two gateways."""
    counted = Ages()
    for module in ("core", "current"):
        monkeypatch.setattr(f"automation_rules.gateway.{module}.monotonic", counted)
    with (
        Store.open(world.url, clock=world.clock) as opened,
        world.gateway(policy=POLICY) as one,
        world.gateway(policy=POLICY) as other,
    ):

        class OnThisState(GatewayMachine):
            store = opened
            clock = world.clock
            gateways = (one, other)
            ages = counted

        yield OnThisState


def run(machine: type[GatewayMachine], examples: int, steps: int) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_gateways_agree_with_a_plain_model(machine: type[GatewayMachine]) -> None:
    """After every step of some random histories nothing is wrongly allowed, denied or recorded."""
    run(machine, 10, 25)


@pytest.mark.exhaustive
@on_both_databases
def test_gateways_agree_with_a_plain_model_for_long(machine: type[GatewayMachine]) -> None:
    """The same after every step of many long random histories."""
    run(machine, 150, 60)


def test_leases_that_are_never_freed_are_found(
    machine: type[GatewayMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's places are the registry's after a sign-out, unless leases are never freed."""
    history = machine()
    history.register()
    history.work(0, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
    history.leave(0, gateway=0, asynchronous=False)
    history.places_are_the_models()
    monkeypatch.setattr(Leases, "release", lambda *_: None)
    history.work(0, Step(Action.SIGN_IN), gateway=1, asynchronous=False)
    history.places_are_the_models()
    history.leave(0, gateway=1, asynchronous=False)
    with pytest.raises(AssertionError):
        history.places_are_the_models()


def test_a_third_in_use_is_found(machine: type[GatewayMachine]) -> None:
    """The machine notices that a third is let in once a place was lost that it knows of."""
    history = machine()
    history.register()
    for number in (0, 1):
        history.work(number, Step(Action.SIGN_IN), gateway=number, asynchronous=False)
    history.change_status(1, "deactivate")
    history.add(2)
    history.work(2, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
    Leases(history.store, history.clock).release(history.accounts[0])
    history.grow_older(0.5)
    with pytest.raises(AssertionError, match="a third is in use"):
        history.work(2, Step(Action.SIGN_IN), gateway=0, asynchronous=False)


def test_facts_that_are_too_old_are_found(
    machine: type[GatewayMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine notices facts that are used for longer than half a second, read along or not."""
    history = machine()
    history.register()
    for number in (0, 0, 1):
        history.work(number, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
    history.pause_landlord()
    for number in (0, 1):
        history.work(number, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
    history.grow_older(0.5)
    fresh = CurrentFacts._fresh
    with monkeypatch.context() as patch:
        patch.setattr(
            CurrentFacts, "_fresh", lambda facts, account, at, _=0: fresh(facts, account, at, 5.0)
        )
        for number in (0, 1):
            with pytest.raises(AssertionError, match="wrongly allowed"):
                history.work(number, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
            history.recorded = history.log.head().size
    for number in (0, 1):
        history.work(number, Step(Action.SIGN_IN), gateway=0, asynchronous=False)
