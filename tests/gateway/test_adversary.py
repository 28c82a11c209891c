"""Attempts to get a wrong answer out of the gateway, each of which must fail."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from automation_rules import Action, Policy, TodoKind, landlord_portal
from automation_rules.accounts import AccountStatus
from automation_rules.activity import Activity
from automation_rules.enforcer import Step
from automation_rules.errors import NotRecordedError, NotRegisteredError
from automation_rules.gateway import Automation, Gateway, Route, Routes
from automation_rules.gateway.asgi import AutomationRulesMiddleware
from automation_rules.gateway.current import MOST_ACCOUNTS, CurrentFacts, CurrentPolicy
from automation_rules.gateway.shells import checked_caller
from automation_rules.gateway.wsgi import AutomationRulesMiddleware as WsgiMiddleware
from automation_rules.landlord_portal import landlord_portal_text
from automation_rules.monitor import ActivityMonitor
from automation_rules.policyfile import load_policy
from automation_rules.request import Mode
from automation_rules.store import Leases, PortalClosure, Registry, Store
from gateway_shells import UNWATCHED, entries
from gateway_world import OFFICER, WORKDAY, World, finish_while_waited_for
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    from automation_rules.gateway import Passage

BOT = Automation("acme-1")
LIST = Step(Action.LIST_TODOS)
SUBMIT = Step(Action.SUBMIT_TODO, TodoKind.CONFIRM_HOUSING_COSTS, "td-17")
LEAVE = Step(Action.SIGN_OUT)
FORBIDDEN = Step(Action.PAY_RENT)

_running = landlord_portal(at_a_time="running")
RUNNING = Policy(_running.info.id, _running.info.version, _running.checks)


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    """Give a gateway without the monitor, which would soon pause an account that is so unruly."""
    with world.gateway(policy=UNWATCHED) as gateway:
        yield gateway


def ask(
    gateway: Gateway, step: Step, asynchronous: bool = False, caller: Automation | None = BOT
) -> Passage:
    """Ask in one of the two ways."""
    if asynchronous:
        return asyncio.run(gateway.ask_async(caller, step))
    return gateway.ask(caller, step)


def codes(passage: Passage) -> list[str]:
    """Return what keeps a request from going through."""
    return [f"{finding.check}.{finding.code}" for finding in passage.findings]


def in_use(world: World) -> tuple[str, ...]:
    """Return who holds a lease."""
    with Store.open(world.url, clock=world.clock) as store:
        return Leases(store, world.clock).running("acme", world.clock.now())


class Between:
    """A log before which something happens, once, when a decision is on its way to it."""

    def __init__(self, gateway: Gateway, happens: Callable[[], object]) -> None:
        """Stand in the way of a gateway's log."""
        self._log = gateway._log
        self._happens: Callable[[], object] | None = happens
        gateway._log = self  # type: ignore[assignment]

    def submit(self, *args: Any, **options: Any) -> Any:
        """Record, after what happens."""
        self._happen()
        return self._log.submit(*args, **options)

    async def record_async(self, *args: Any, **options: Any) -> Any:
        """Record, after what happens."""
        self._happen()
        return await self._log.record_async(*args, **options)

    def _happen(self) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()


# --- leases -----------------------------------------------------------------------------------


def test_a_denied_step_takes_no_lease_from_another_of_its_account(world: World) -> None:
    """A step that is let through while a forbidden one is recorded keeps the account in use."""
    with world.gateway(policy=RUNNING) as gateway:
        Between(gateway, lambda: ask(gateway, LIST))
        assert not ask(gateway, FORBIDDEN).allowed
        assert in_use(world) == ("acme-1",)


def test_a_step_that_is_not_recorded_takes_no_lease_from_another(world: World) -> None:
    """A step that is let through while the log fails another keeps the account in use."""
    with world.gateway(policy=RUNNING) as gateway:

        def happen() -> None:
            assert ask(gateway, LIST).allowed
            raise NotRecordedError("made up")

        Between(gateway, happen)
        assert codes(ask(gateway, LIST)) == ["log.not_recorded"]
        assert in_use(world) == ("acme-1",)


def test_signing_out_takes_no_lease_that_came_after_it(world: World) -> None:
    """An account that signs in again before its leaving is on record is in use."""
    with world.gateway(policy=RUNNING) as gateway:
        assert ask(gateway, LIST).allowed

        def happen() -> None:
            assert ask(gateway, LIST).allowed
            time.sleep(0.6)

        Between(gateway, happen)
        assert ask(gateway, LEAVE).allowed
        assert in_use(world) == ("acme-1",)


def test_only_the_account_itself_frees_its_lease(world: World) -> None:
    """Leaving frees nobody else's place, nor one named by somebody who is no automation account."""
    with world.gateway(policy=RUNNING) as gateway:
        assert ask(gateway, LIST).allowed
        for caller in (None, Automation("acme-2"), Automation("ACME-1"), Automation("acme-1 ")):
            assert gateway.ask(caller, LEAVE).allowed
        assert ask(gateway, replace(LEAVE, subject_type="person")).allowed
        assert not ask(gateway, Step("sign_out")).allowed
        assert in_use(world) == ("acme-1",)
        assert ask(gateway, LEAVE).allowed
        assert in_use(world) == ()


def test_a_place_that_was_taken_a_moment_before_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the lease itself that counts, not what was read of leases before it was asked for."""
    with world.registry() as registry:
        for number in (3, 4):
            registry.deactivate_account(f"acme-{number - 1}", "to make room")
            registry.add_account(replace(registry.account("acme-1"), id=f"acme-{number}"))
    with Store.open(world.url, clock=world.clock) as store:
        for other in ("acme-3", "acme-4"):
            Leases(store, world.clock).take(other, "acme", world.clock.now(), timedelta(hours=1))
    with world.gateway(policy=RUNNING) as gateway:
        monkeypatch.setattr(Leases, "running", lambda *_: ())
        assert codes(ask(gateway, LIST)) == ["account_limit.too_many_accounts"]


def test_leaving_takes_no_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even for the moment until it is freed."""
    monkeypatch.setattr(Leases, "take", None)
    with world.gateway(policy=RUNNING) as gateway:
        passage = ask(gateway, LEAVE)
    assert passage.allowed
    assert passage.receipt is not None


@pytest.mark.parametrize("step", [FORBIDDEN, Step("unknown_route")])
def test_whoever_goes_away_leaves_no_lease_for_a_denied_step(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    """A request that is cancelled while it is decided holds none of the two places."""
    deciding, cancelled = threading.Event(), threading.Event()
    facts = Registry.facts_of

    def slowly(*args: Any) -> Any:
        deciding.set()
        assert cancelled.wait(10)
        return facts(*args)

    monkeypatch.setattr(Registry, "facts_of", slowly)

    async def go_away(gateway: Gateway) -> None:
        task = asyncio.create_task(gateway.ask_async(BOT, step))
        assert await asyncio.to_thread(deciding.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()

    with world.gateway(policy=RUNNING) as gateway:
        asyncio.run(go_away(gateway))
    assert in_use(world) == ()


@on_both_databases
def test_many_that_come_and_go_at_once_are_never_three(world: World) -> None:
    """However steps, sign-outs and denials of four accounts interleave, two hold a lease."""
    with world.registry() as registry:
        for number in (3, 4):
            registry.deactivate_account("acme-2", "to make room")
            registry.add_account(replace(registry.account("acme-1"), id=f"acme-{number}"))
            registry.deactivate_account(f"acme-{number}", "to make room")
    most = 0
    with world.gateway(policy=RUNNING) as gateway:
        # All but one are deactivated: what is seen is who is told to be one too many.
        def go(number: int) -> Passage:
            step = (LIST, FORBIDDEN, LIST, LEAVE)[number % 4]
            return gateway.ask(Automation(f"acme-{1 + number // 4 % 4}"), step)

        with ThreadPoolExecutor(8) as pool:
            for _ in pool.map(go, range(160)):
                most = max(most, len(in_use(world)) if most < 3 else 3)
    assert most <= 2


# --- facts and policies that are out of date -----------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("change", ["pause", "all", "closing", "removal", "store"])
def test_what_waits_long_for_the_log_is_seen_again(
    world: World,
    gateway: Gateway,
    change: str,
    asynchronous: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What happened while the log kept a bot waiting binds the answer, and that is on record."""

    def fail(*_: object) -> None:
        raise OSError

    def happen() -> None:
        with world.registry() as registry:
            if change == "pause":
                registry.pause_account("acme-1", "made-up reason")
            elif change == "all":
                registry.pause_all("made-up reason")
            elif change == "removal":
                registry.remove_account("acme-1")
            elif change == "closing":
                world.clock.move_to(WORKDAY + timedelta(hours=9))
            else:
                monkeypatch.setattr(Registry, "facts_of", fail)
        time.sleep(0.6)

    assert ask(gateway, LIST, asynchronous).allowed
    Between(gateway, happen)
    passage = ask(gateway, SUBMIT, asynchronous)
    assert not passage.allowed
    last = [(entry["action"], entry["decision"]) for entry in entries(world)][1:]
    if change == "store":
        assert codes(passage) == ["gateway.facts_unavailable"]
        assert last == [("submit_todo", True)]
    else:
        assert passage.receipt is not None
        assert last == [("submit_todo", True), ("submit_todo", False)]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_waits_long_for_the_log_and_still_holds_is_recorded_once(
    world: World, gateway: Gateway, asynchronous: bool
) -> None:
    """A slow log alone denies nothing, and what it recorded is what is answered."""
    Between(gateway, lambda: time.sleep(0.6))
    passage = ask(gateway, SUBMIT, asynchronous)
    assert passage.allowed
    [entry] = entries(world)
    assert passage.decision is not None
    assert entry["decision_id"] == passage.decision.decision_id


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("change", ["resume", "code", "registration"])
def test_nobody_is_denied_by_facts_of_a_moment_ago(
    world: World, gateway: Gateway, change: str, asynchronous: bool
) -> None:
    """A bot that is put in order passes at once, although it was denied just before."""
    caller = Automation("acme-3") if change == "registration" else BOT
    with world.registry() as registry:
        if change == "resume":
            registry.pause_account("acme-1", "made-up reason")
        elif change == "code":
            world.clock.move_to(world.clock.now() + timedelta(days=1))
        else:
            registry.deactivate_account("acme-2", "made-up reason")
        step = LIST
        assert not ask(gateway, step, asynchronous, caller).allowed
        if change == "resume":
            registry.resume_account("acme-1", OFFICER)
        elif change == "registration":
            registry.add_account(replace(registry.account("acme-1"), id="acme-3"))
            step = Step(Action.SIGN_IN)
    if change == "code":
        world.enter_code()
    passage = ask(gateway, step, asynchronous, caller)
    assert codes(passage) == []
    assert passage.allowed


@pytest.mark.parametrize("asynchronous", [False, True])
def test_whoever_is_allowed_costs_one_reading_in_a_while(
    gateway: Gateway, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts are read once for many steps that are allowed, and once more for one that is not."""
    read = []
    facts = Registry.facts_of

    def counted(*args: Any) -> Any:
        read.append(args)
        return facts(*args)

    monkeypatch.setattr(Registry, "facts_of", counted)
    now = time.monotonic()
    monkeypatch.setattr("automation_rules.gateway.current.monotonic", lambda: now)
    for _ in range(5):
        assert ask(gateway, LIST, asynchronous).allowed
    assert len(read) == 1
    assert not ask(gateway, FORBIDDEN, asynchronous).allowed
    assert len(read) == 2


def test_a_bot_works_until_closing_and_not_after(world: World, gateway: Gateway) -> None:
    """At the portal itself no margin is kept: hours end to the microsecond."""
    closing = WORKDAY + timedelta(hours=9)
    for before, allowed in ((1, True), (0, False), (-1, False)):
        world.clock.move_to(closing - timedelta(microseconds=before))
        assert ask(gateway, LIST).allowed is allowed


def test_facts_of_one_instant_are_not_used_for_another(world: World, gateway: Gateway) -> None:
    """A clock that goes back into a closure finds it, although it was over a moment ago."""
    world.clock.move_to(WORKDAY + timedelta(hours=2))
    with world.registry() as registry:
        begin = WORKDAY + timedelta(hours=1)
        registry.add_closure(PortalClosure("works", begin, begin + timedelta(minutes=30)))
    assert ask(gateway, LIST).allowed
    world.clock.move_to(WORKDAY + timedelta(hours=1, minutes=15))
    assert codes(ask(gateway, LIST)) == ["window.closure"]
    world.clock.move_to(WORKDAY + timedelta(hours=2))
    assert ask(gateway, LIST).allowed


class Told:
    """Facts that are told one by one, each when it is let go."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.asked = 0
        self.about: list[list[str]] = []
        self.gates: dict[int, threading.Event] = {}

    def facts_of(self, account_ids: Collection[str], _at: object) -> Any:
        """Say which answer this is, about everyone; wait at its gate if it has one."""
        self.asked += 1
        number = self.asked
        self.about.append(sorted(account_ids))
        if number in self.gates:
            assert self.gates[number].wait(10)
        return dict.fromkeys(account_ids, number)


def known(facts: CurrentFacts, name: str = "acme-1", at: datetime = WORKDAY) -> Any:
    """Return which answer is known."""
    return facts.facts(name, at)


def test_a_slow_reader_does_not_bring_older_facts_back() -> None:
    """What was read before, but came in later, does not take the place of newer facts."""
    told = Told()
    told.gates[1] = threading.Event()
    facts = CurrentFacts(told)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(facts.facts, "acme-1", WORKDAY)
        while told.asked == 0:
            time.sleep(0.001)
        assert known(facts) == 2
        told.gates[1].set()
        slow.result(10)
    assert known(facts) == 2


def test_facts_are_forgotten_only_when_they_are_older() -> None:
    """What was read since the instant given is as good as what would be read now."""
    told = Told()
    facts = CurrentFacts(told)
    before = time.monotonic()
    assert not facts.forget("acme-1")
    assert known(facts) == 1
    assert not facts.forget("acme-1", before=before)
    assert known(facts) == 1
    assert facts.forget("acme-1", before=time.monotonic() + 1)
    assert known(facts) == 2
    assert facts.forget("acme-1")
    assert not facts.forget("acme-1")


def test_those_who_ask_again_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one account are read all that asked again since they were read, and no others."""
    now = 0.0
    monkeypatch.setattr("automation_rules.gateway.current.monotonic", lambda: now)
    told = Told()
    facts = CurrentFacts(told)

    def ask_about(*names: str) -> set[Any]:
        return {known(facts, name) for name in names}

    ask_about("a", "b", "c")
    assert ask_about("a", "b") == {1, 2}
    now = 0.5
    assert ask_about("a", "b") == {4}
    assert told.about[3:] == [["a", "b"]]
    now = 1.0
    assert ask_about("c", "a", "b") == {5, 6}
    assert told.about[4:] == [["b", "c"], ["a"]]


def test_what_is_read_along_is_as_old_as_its_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts that were read with another account's are used for half a second, and not longer."""
    now = 0.0
    monkeypatch.setattr("automation_rules.gateway.current.monotonic", lambda: now)
    told = Told()
    facts = CurrentFacts(told)
    for name in ("a", "a", "b"):
        known(facts, name)
    assert told.about == [["a"], ["a", "b"]]
    now = 0.499
    assert known(facts, "a") == 2
    now = 0.5
    assert known(facts, "a") == 3
    later = WORKDAY + timedelta(seconds=0.5)
    assert known(facts, "a", later) == 4


def test_a_reading_that_fails_is_no_other_accounts_trouble() -> None:
    """When nothing could be read, every account is read by itself when it is next asked about."""
    told = Told()
    facts = CurrentFacts(told)
    for _ in range(2):
        known(facts, "a")
    fail = told.gates[2] = threading.Event()
    fail.wait = lambda *_: False  # type: ignore[method-assign]
    with pytest.raises(AssertionError):
        known(facts, "b")
    assert known(facts, "a") == 1
    assert known(facts, "c") == 3
    assert told.about[1:] == [["a", "b"], ["a", "c"]]


def test_facts_that_stay_the_same_stay_the_same_objects(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is made of an account's facts can be kept until somebody changes them."""
    now = 0.0
    monkeypatch.setattr("automation_rules.gateway.current.monotonic", lambda: now)
    with world.registry() as registry:
        facts = CurrentFacts(registry)
        first = facts.facts("acme-1", WORKDAY)
        now = 0.5
        assert facts.facts("acme-1", WORKDAY) is first
        registry.pause_account("acme-1", "made-up reason")
        now = 1.0
        changed = facts.facts("acme-1", WORKDAY)
        assert changed.account.status is AccountStatus.PAUSED


@pytest.mark.parametrize("source", ["facts", "policy"])
def test_what_is_about_to_grow_old_is_read_once_and_not_asked_for_in_vain(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    """Who cannot decide in the loop any more renews what was in the way, for all who follow."""
    path = tmp_path / "policy.toml"
    path.write_text(landlord_portal_text(), "utf-8")
    now = 0.0
    monkeypatch.setattr("automation_rules.gateway.current.monotonic", lambda: now)
    away: list[object] = []
    anew = Gateway._judge_anew

    def counted(*args: Any) -> Any:
        away.append(args)
        return anew(*args)

    monkeypatch.setattr(Gateway, "_judge_anew", counted)
    with world.gateway(policy=UNWATCHED if source == "facts" else path) as gateway:
        caller = BOT if source == "facts" else None

        async def several() -> None:
            for _ in range(3):
                await gateway.ask_async(caller, LIST)

        asyncio.run(several())
        met = len(away)
        now = 0.45
        asyncio.run(several())
    assert len(away) == met + 1


def test_a_policy_with_its_old_times_is_noticed(tmp_path: Path) -> None:
    """A file that was written over with the same length, and its times set back, is read again."""
    path = tmp_path / "policy.toml"
    text = landlord_portal_text()
    path.write_text(text, "utf-8")
    hour = 3600 * 10**9
    old = (time.time_ns() - hour, time.time_ns() - hour)
    os.utime(path, ns=old)
    current = CurrentPolicy(path)
    before = current.get()
    with path.open("r+", encoding="utf-8") as file:
        file.write(text.replace('closes = "18:00"', 'closes = "17:00"'))
    os.utime(path, ns=old)
    time.sleep(0.6)
    assert current.get().info.digest != before.info.digest


def test_a_policy_file_from_the_future_is_not_read_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a file server's clock that is ahead, too, a file that is being written must settle."""
    whole = landlord_portal_text()
    cut = whole.index('check = "window"') - len("[[checks]]\n")
    path = tmp_path / "policy.toml"
    ahead = (time.time() + 600, time.time() + 600)
    path.write_text(whole, "utf-8")
    os.utime(path, ahead)
    current = CurrentPolicy(path)
    digest = current.get().info.digest
    time.sleep(0.6)
    with path.open("w", encoding="utf-8") as file:
        file.write(whole[:cut])
        file.flush()
        os.utime(path, ahead)
        finish_while_waited_for(monkeypatch, file, whole[cut:])
        assert current.get().info.digest == digest


def test_a_policy_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read of a file that was replaced meanwhile is not taken for what it says now."""
    path = tmp_path / "policy.toml"
    text = landlord_portal_text()
    path.write_text(text, "utf-8")
    read: list[Policy] = []

    def load(*args: Any, **readings: Any) -> Policy:
        read.append(load_policy(*args, **readings))
        if len(read) == 1:
            path.write_text(text.replace('closes = "18:00"', 'closes = "17:00"'), "utf-8")
        return read[-1]

    monkeypatch.setattr("automation_rules.gateway.current.load_policy", load)
    current = CurrentPolicy(path)
    assert len(read) == 2
    assert current.get() is read[1]
    assert read[0].info.digest != read[1].info.digest


# --- who asks ---------------------------------------------------------------------------------

ODD = [
    *("", " ", "unmarked", "acme-1 ", " acme-1", "ACME-1", "acme-1\0", "acme-1\n", "acme-1\u202e"),
    *("\uff41cme-1", "acme-1\udc80", "acme-1' OR '1'='1", "%", "acme_1", "../acme-1", "x" * 201),
    *("x" * 200, "None", "\x00"),
]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_odd_identifier_is_anybodys(world: World, gateway: Gateway, asynchronous: bool) -> None:
    """What only looks like an account's identifier is denied, on record, and may leave."""
    for odd in ODD:
        caller = Automation(odd)
        denied = ask(gateway, LIST, asynchronous, caller)
        assert not denied.allowed
        assert denied.receipt is not None
        assert ask(gateway, LEAVE, asynchronous, caller).allowed
    assert [entry["account"] for entry in entries(world)] == [None] * (2 * len(ODD))


@on_both_databases
@pytest.mark.parametrize("odd", ["unmarked", "acme-1 "])
def test_an_account_of_an_odd_name_is_only_itself(world: World, odd: str) -> None:
    """An account named like nobody, or like another, has its own facts, and nobody has them."""
    with world.registry() as registry:
        registry.deactivate_account("acme-2", "made-up reason")
        registry.add_account(replace(registry.account("acme-1"), id=odd))
        registry.pause_account("acme-1", "made-up reason")
    world.enter_code(odd)
    with world.gateway(policy=UNWATCHED) as gateway:
        assert gateway.ask(Automation(odd), LIST).allowed
        assert not gateway.ask(None, LIST).allowed
        assert not gateway.ask(Automation(), LIST).allowed
        assert codes(gateway.ask(BOT, LIST)) == ["suspension.account_paused"]
    assert [entry["account"] for entry in entries(world)] == [odd, None, None, "acme-1"]


def test_an_identifier_that_is_no_text_is_no_answer(gateway: Gateway) -> None:
    """The shells refuse it, and the gateway itself lets nothing through for it."""
    no_texts: list[Any] = [1, True, b"acme-1", ["acme-1"], object(), 0]
    for account_id in no_texts:
        with pytest.raises(TypeError):
            checked_caller(Automation(account_id))
        for asynchronous in (False, True):
            assert not ask(gateway, LIST, asynchronous, Automation(account_id)).allowed
            assert ask(gateway, LEAVE, asynchronous, Automation(account_id)).allowed


def stepped(step: Step, **wrong: Any) -> Step:
    """Return a step with values that are of another type than they should be."""
    return replace(step, **wrong)


MALFORMED: list[Step] = [
    Step("sign_out"),
    Step("list_todos"),
    Step("SIGN_OUT"),
    Step(""),
    Step(Action.SUBMIT_TODO, "confirm_housing_costs", "td-17"),
    Step(Action.SUBMIT_TODO, None, "td-17"),
    Step(Action.SUBMIT_TODO, TodoKind.OTHER, "td-17"),
    replace(SUBMIT, resource_type="portal"),
    replace(LIST, subject_type="person"),
    replace(LIST, subject_type=""),
    stepped(LIST, mode="live"),
    stepped(SUBMIT, todo=17),
    replace(SUBMIT, todo="td-\udc80"),
    stepped(LIST, expected_duration="PT1M"),
    replace(LIST, expected_duration=timedelta.max),
    Step(None),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_no_malformed_step_passes(world: World, gateway: Gateway, asynchronous: bool) -> None:
    """Words instead of the portal's vocabulary, and wrong types, neither pass nor raise."""
    recorded = 0
    for step in MALFORMED:
        passage = ask(gateway, step, asynchronous)
        assert not passage.allowed, step
        assert passage.findings
        recorded += passage.receipt is not None
    assert len(entries(world)) == recorded


@pytest.mark.parametrize(
    "query",
    [
        *("_method=PUT", ".method=PUT", "%5Bmethod=PUT", "_method[]=PUT", "_method%5Bx%5D=PUT"),
        *("+.method=PUT", "_method%00x=PUT", "a=1&%20_method=PUT", "_METHOD=PUT", ".METHOD"),
        *("_method%5B%0A=PUT", "a=1;.method=PUT", "x-http-method-override=PUT", "_method%20=PUT"),
    ],
)
def test_no_name_that_a_framework_reads_as_the_method_matches(query: str) -> None:
    """What some language turns into the variable by which a framework changes the method."""
    routes = Routes([Route(frozenset({"POST"}), "/todos", Action.LIST_TODOS)])
    assert routes.match("POST", "/todos", query) is None


@pytest.mark.parametrize(
    "query", ["a.method=1", "x[_method]=1", "method=1", "_methods[]=1", "a%00_method=1", "[=1", "="]
)
def test_names_that_no_framework_reads_so_match(query: str) -> None:
    """What only has the word in it is the portal's business."""
    routes = Routes([Route(frozenset({"POST"}), "/todos", Action.LIST_TODOS)])
    assert routes.match("POST", "/todos", query) == LIST


# --- the log ----------------------------------------------------------------------------------

_ODD_TEXT = "td-\udc80"


@pytest.mark.parametrize(
    "unfit",
    [
        {"step": replace(SUBMIT, todo=_ODD_TEXT)},
        {"step": replace(SUBMIT, tenant=_ODD_TEXT)},
        {"step": replace(SUBMIT, resource_type=_ODD_TEXT)},
        {"step": replace(SUBMIT, todo_kind=_ODD_TEXT)},
        {"step": Step(_ODD_TEXT)},
        {"step": replace(LIST, ignored=("/" + "x" * 180,) * 400)},
        {"step": LIST, "request_id": _ODD_TEXT},
        {"step": LIST, "trace_id": _ODD_TEXT},
    ],
)
def test_what_cannot_be_recorded_denies_nobody_else(
    world: World, gateway: Gateway, unfit: dict[str, Any]
) -> None:
    """A decision that no log can hold is denied alone: others of the same commit are not."""

    async def together() -> list[Passage]:
        others = [gateway.ask_async(BOT, LIST) for _ in range(5)]
        return await asyncio.gather(*others, gateway.ask_async(BOT, **unfit), *others[:0])

    assert ask(gateway, LIST).allowed
    *others, odd = asyncio.run(together())
    assert all(other.allowed for other in others)
    assert codes(odd)[-1] == "log.not_recorded"
    assert len(entries(world)) == 6


def test_what_nobody_waited_for_is_not_recorded_later(
    world: World, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A denial for a log that took too long is not on record as allowed when it works again."""
    assert ask(gateway, LIST).allowed
    monkeypatch.setattr("automation_rules.gateway.core.RECORD_SECONDS", 0.2)
    path = world.folder / "state.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(4):
            assert codes(ask(gateway, LIST)) == ["log.not_recorded"]
        other.execute("ROLLBACK")
    monkeypatch.setattr("automation_rules.gateway.core.RECORD_SECONDS", 10.0)
    assert ask(gateway, LIST).allowed
    # The first of the four was in a commit already.
    assert len(entries(world)) in (2, 3)


@on_both_databases
def test_the_acknowledged_is_on_record_once_whoever_goes_away(world: World) -> None:
    """Of hundreds of requests, many cancelled at any moment, none is recorded twice or lost."""

    async def one(gateway: Gateway, number: int) -> str | None:
        task = asyncio.create_task(gateway.ask_async(BOT, (LIST, FORBIDDEN, LEAVE)[number % 3]))
        if number % 2:
            await asyncio.sleep(number % 31 / 2000)
            task.cancel()
        try:
            passage = await task
        except asyncio.CancelledError:
            return None
        assert passage.decision is not None
        assert passage.receipt is not None
        return passage.decision.decision_id

    async def all_of_them(gateway: Gateway) -> list[str | None]:
        return await asyncio.gather(*(one(gateway, number) for number in range(240)))

    with world.gateway(policy=RUNNING) as gateway:
        acknowledged = [found for found in asyncio.run(all_of_them(gateway)) if found]
    recorded = [str(entry["decision_id"]) for entry in entries(world)]
    assert len(recorded) == len(set(recorded))
    assert set(acknowledged) <= set(recorded)
    assert len(acknowledged) >= 120


def test_a_gateway_that_is_closed_lets_only_leavers_through(world: World) -> None:
    """Whoever asks after the end is denied, and told that it could not be recorded."""
    with world.gateway(policy=UNWATCHED) as gateway:
        assert ask(gateway, LIST).allowed
    for asynchronous in (False, True):
        assert not ask(gateway, LIST, asynchronous).allowed
        assert ask(gateway, LEAVE, asynchronous).allowed
    assert len(entries(world)) == 1


# --- the monitor ------------------------------------------------------------------------------


@pytest.mark.parametrize("asynchronous", [False, True])
def test_nobody_is_paused_because_the_log_fails(world: World, asynchronous: bool) -> None:
    """A bot that tries one to-do again while nothing can be recorded has done nothing wrong."""

    def fail(*_: object, **__: object) -> None:
        raise NotRecordedError("made up")

    with world.gateway() as gateway:
        log = gateway._log
        gateway._log = type("Broken", (), {"submit": fail, "record_async": fail})()
        for _ in range(40):
            assert codes(ask(gateway, SUBMIT, asynchronous)) == ["log.not_recorded"]
        gateway._log = log
        assert gateway._monitor is not None
        assert gateway._monitor.flush() == ()
        time.sleep(0.6)
        assert ask(gateway, SUBMIT, asynchronous).allowed
    with world.registry() as registry:
        assert registry.account("acme-1").status is AccountStatus.ACTIVE


def test_the_monitor_hears_of_what_was_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer adds what it was, once; what no account can be adds nothing."""
    heard: list[tuple[str, str]] = []

    def hear(_: object, account_id: str, activity: Any, *, todo: str | None = None) -> None:
        heard.append((account_id, activity.value))

    monkeypatch.setattr(ActivityMonitor, "note", hear)
    with world.gateway() as gateway:
        for asynchronous in (False, True):
            for caller in (Automation("x" * 100_000), Automation("a\0b"), None):
                assert not ask(gateway, LIST, asynchronous, caller).allowed
            assert not ask(gateway, replace(LIST, subject_type="person"), asynchronous).allowed
            assert heard == []
            assert ask(gateway, SUBMIT, asynchronous).allowed
            assert heard == [("acme-1", "requests"), ("acme-1", "repeated_submissions")]
            heard.clear()
            assert not ask(gateway, FORBIDDEN, asynchronous).allowed
            assert heard == [("acme-1", "requests"), ("acme-1", "errors")]
            heard.clear()
            assert not ask(gateway, replace(SUBMIT, mode=Mode.TEST), asynchronous).allowed
            assert heard == [("acme-1", "requests"), ("acme-1", "errors")]
            heard.clear()
            assert ask(gateway, Step(Action.SIGN_IN), asynchronous).allowed
            assert heard == [("acme-1", "requests"), ("acme-1", "sessions")]
            heard.clear()
            assert not ask(gateway, LIST, asynchronous, Automation("nobody-3")).allowed
            assert heard == [("nobody-3", "requests"), ("nobody-3", "errors")]
            heard.clear()


def test_the_monitor_pauses_nobody_in_shadow(world: World) -> None:
    """Where nothing is enforced nobody is paused, whatever is tried."""
    with world.gateway(shadow=True) as gateway:
        for _ in range(40):
            assert ask(gateway, FORBIDDEN).allowed
        assert gateway._monitor is not None
        assert gateway._monitor.flush() == ()
    with world.registry() as registry:
        assert registry.account("acme-1").status is AccountStatus.ACTIVE


def test_the_monitor_hears_of_errors_of_the_portal(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of 400 and above are errors; a redirect is none."""
    heard: list[Any] = []
    monkeypatch.setattr(ActivityMonitor, "note", lambda _, *said: heard.append(said))
    for status in (200, 302, 399, 400, 404, 500):
        gateway.observe("acme-1", status=status)
    assert heard == [("acme-1", Activity.ERROR)] * 3


# --- the middleware, message by message -------------------------------------------------------


class Exchange:
    """What an ASGI app is given and sends, in order."""

    def __init__(self, kind: str, *fields: tuple[str, str], **more: object) -> None:
        """Ask for the list of to-dos, or for what is said otherwise."""
        headers = [(name.encode(), value.encode()) for name, value in fields]
        self.scope: dict[str, Any] = {
            "type": kind,
            "method": "GET",
            "path": "/todos",
            "query_string": b"",
            "headers": headers,
            "raw_path": b"/todos",
            **more,
        }
        self.happened: list[Any] = []

    async def receive(self) -> dict[str, Any]:
        """Give what a server gives first."""
        self.happened.append("received")
        return {"type": "websocket.connect"}

    async def send(self, message: Any) -> None:
        """Keep a message."""
        self.happened.append(message)

    def run(self, gateway: Gateway, account_id: str, app: Any = None) -> list[Any]:
        """Let a bot ask; return what happened."""
        guarded = AutomationRulesMiddleware(app, gateway, lambda _: Automation(account_id))
        asyncio.run(guarded(self.scope, self.receive, self.send))
        return self.happened


def test_a_denial_of_head_has_no_body_whatever_the_server_does(gateway: Gateway) -> None:
    """The body is left out by the middleware itself, and its length is told."""
    start, body = Exchange("http", method="HEAD").run(gateway, "nobody-3")
    assert int(dict(start["headers"])[b"content-length"]) > 0
    assert body["body"] == b""


def test_repeated_fields_are_one_list(gateway: Gateway) -> None:
    """Each of several `Accept` fields counts (RFC 9110, section 5.3)."""
    fields = (("accept", "text/html"), ("accept", "application/json;q=0.1"))
    start, _ = Exchange("http", *fields).run(gateway, "nobody-3")
    assert dict(start["headers"])[b"content-type"].startswith(b"text/html")


def test_a_handshake_is_taken_before_it_is_refused(gateway: Gateway) -> None:
    """A websocket is closed after the server has told of it, as ASGI asks for."""
    happened = Exchange("websocket").run(gateway, "nobody-3")
    assert happened[0] == "received"
    assert [message["type"] for message in happened[1:]] == ["websocket.close"]


def test_a_websocket_is_handed_on_as_it_is(world: World) -> None:
    """What a websocket's app sends is no answer by an HTTP status, and goes straight on."""
    given: list[Any] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        given.extend((receive, send))

    routes = Routes([Route(frozenset({"WEBSOCKET"}), "/todos", Action.LIST_TODOS)])
    with world.gateway(policy=UNWATCHED, routes=routes) as gateway:
        exchange = Exchange("websocket")
        exchange.run(gateway, "acme-1", app)
    assert given == [exchange.receive, exchange.send]


def test_the_name_of_a_websocket_is_no_method_of_a_request(world: World) -> None:
    """A plain request by that name is no step, though a route for the websocket stands there."""
    routes = Routes([Route(frozenset({"WEBSOCKET"}), "/todos", Action.LIST_TODOS)])
    with world.gateway(policy=UNWATCHED, routes=routes) as gateway:
        start, _ = Exchange("http", method="WEBSOCKET").run(gateway, "acme-1")
        assert start["status"] == 403
        environ = {"REQUEST_METHOD": "WEBSOCKET", "PATH_INFO": "/todos"}
        told: list[str] = []
        guarded = WsgiMiddleware(None, gateway, lambda _: Automation("acme-1"))  # type: ignore[arg-type]
        guarded(environ, lambda status, *_: told.append(status))  # type: ignore[arg-type]
    assert told == ["403 Forbidden"]


# --- memory and the event loop ----------------------------------------------------------------


def test_what_is_known_of_strangers_is_small() -> None:
    """Thousands of identifiers that nobody registered cost little each, and old ones go."""

    class Nobody:
        def facts_of(self, *_: object) -> Any:
            return {}

    facts = CurrentFacts(Nobody())

    def meet(first: int, last: int) -> None:
        for number in range(first, last):
            with pytest.raises(NotRegisteredError):
                facts.facts(f"nobody-{number}", WORKDAY)

    meet(0, 10)
    tracemalloc.start()
    try:
        meet(10, 2_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 2_000 * 1_500
    meet(2_000, MOST_ACCOUNTS + 100)
    assert len(facts._known) == MOST_ACCOUNTS


def test_the_loop_never_waits_for_the_database(
    world: World, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Facts that grow old between looking and deciding are not read in the event loop."""
    now = [0.0]

    def later() -> float:
        now[0] += 0.012
        return now[0]

    monkeypatch.setattr("automation_rules.gateway.current.monotonic", later)
    threads: set[int] = set()
    facts = Registry.facts_of

    def watched(*args: Any) -> Any:
        threads.add(threading.get_ident())
        return facts(*args)

    monkeypatch.setattr(Registry, "facts_of", watched)

    async def many() -> int:
        for _ in range(50):
            assert (await gateway.ask_async(BOT, LIST)).allowed
        return threading.get_ident()

    loop_thread = asyncio.run(many())
    assert threads
    assert loop_thread not in threads


def test_the_loop_never_reads_the_policy(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy file that has not been looked at for a while is not looked at in the event loop."""
    path = tmp_path / "policy.toml"
    path.write_text(landlord_portal_text(), "utf-8")
    threads: list[int] = []
    look = CurrentPolicy._look

    def watched(policy: CurrentPolicy) -> None:
        threads.append(threading.get_ident())
        look(policy)

    monkeypatch.setattr(CurrentPolicy, "_look", watched)

    async def ask_later(gateway: Gateway) -> int:
        # Facts of an unmarked session need no reading, the policy does.
        for _ in range(2):
            await asyncio.sleep(0.55)
            assert not (await gateway.ask_async(None, LIST)).allowed
            assert isinstance(gateway._policy, CurrentPolicy)
            assert gateway._policy.is_fresh
        return threading.get_ident()

    with world.gateway(policy=path) as gateway:
        loop_thread = asyncio.run(ask_later(gateway))
    assert threads
    assert loop_thread not in threads


@pytest.mark.parametrize("why", ["facts", "denied", "lease"])
def test_the_loop_goes_on_while_the_database_is_slow(
    world: World, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Others are served in the same loop while a bot's facts or lease are waited for."""
    slow = {
        "facts": (Registry, "facts_of"),
        "denied": (Registry, "facts_of"),
        "lease": (Leases, "take"),
    }
    owner, name = slow[why]
    do = getattr(owner, name)
    longest = 0.0

    async def tick(done: asyncio.Event) -> None:
        nonlocal longest
        while not done.is_set():
            before = time.monotonic()
            await asyncio.sleep(0.005)
            longest = max(longest, time.monotonic() - before)

    async def both(gateway: Gateway) -> None:
        if why != "facts":
            await gateway.ask_async(BOT, LIST)

        def slowly(*args: Any, **options: Any) -> Any:
            time.sleep(0.4)
            return do(*args, **options)

        monkeypatch.setattr(owner, name, slowly)
        done = asyncio.Event()
        ticking = asyncio.create_task(tick(done))
        await asyncio.sleep(0.02)
        step = FORBIDDEN if why == "denied" else LIST
        passage = await gateway.ask_async(BOT, step)
        assert passage.allowed == (why != "denied")
        done.set()
        await ticking

    with world.gateway(policy=RUNNING if why == "lease" else UNWATCHED) as gateway:
        asyncio.run(both(gateway))
    assert longest < 0.3
