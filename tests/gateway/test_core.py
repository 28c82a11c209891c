"""The gateway's core: who passes, what is denied, and that nothing fails open."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from automation_rules import Action, ClockError, Outcome, TodoKind
from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Person, Visitor, open_gateway
from automation_rules.landlord_portal import landlord_portal, landlord_portal_text
from automation_rules.store import Leases, PortalClosure, Store
from gateway_world import OFFICER, SATURDAY, World, finish_while_waited_for
from servers import on_both_databases
from service_process import calm_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from automation_rules.gateway import Gateway, Passage

BOT = Automation("acme-1")
LIST = Step(Action.LIST_TODOS)
SUBMIT = Step(Action.SUBMIT_TODO, TodoKind.CONFIRM_HOUSING_COSTS, "td-17")
LEAVE = Step(Action.SIGN_OUT)


@pytest.fixture
def gateway(world: World) -> Iterator[Gateway]:
    """Give a gateway on the state."""
    with world.gateway() as gateway:
        yield gateway


def entries(world: World) -> list[dict[str, object]]:
    """Return every entry of the log, and see that it verifies."""
    with Store.open(world.url, clock=SystemClock()) as store, DecisionLog(store) as log:
        log.verify()
        return [entry.document for entry in log.entries()]


def codes(passage: Passage) -> list[tuple[str, str | None]]:
    """Return what keeps a request from going through."""
    return [(finding.check, finding.code) for finding in passage.findings]


@on_both_databases
def test_a_bot_in_order_passes_and_is_recorded(world: World) -> None:
    """A bot that breaks no term passes, and its decision is in the log when it is told so."""
    with world.gateway() as gateway:
        passage = gateway.ask(BOT, SUBMIT)
    assert passage.allowed
    assert passage.decision is not None
    assert passage.receipt is not None
    assert passage.findings == ()
    [entry] = entries(world)
    assert entry["decision_id"] == passage.decision.decision_id
    assert entry["facts"] == "registry"


@pytest.mark.parametrize("caller", [Person(), Visitor()])
def test_people_pass_untouched_and_unlogged(
    world: World, gateway: Gateway, caller: Person | Visitor
) -> None:
    """A session that the portal marks as a person's, or as nobody's, asks for no decision."""
    world.clock.move_to(SATURDAY)
    for step in (SUBMIT, Step("unknown_route")):
        passage = gateway.ask(caller, step)
        assert passage.allowed
        assert passage.decision is None
    assert entries(world) == []


@pytest.mark.parametrize("caller", [None, Automation(), Automation("nobody-3")])
def test_the_unmarked_and_the_unregistered_are_denied_and_recorded(
    world: World, gateway: Gateway, caller: Automation | None
) -> None:
    """A session that nobody marked is a bot's, and an account that nobody registered is denied."""
    passage = gateway.ask(caller, LIST)
    assert not passage.allowed
    assert ("account", "missing_fact") in codes(passage)
    [entry] = entries(world)
    assert entry["account"] is None


def test_unknown_route_is_denied(world: World, gateway: Gateway) -> None:
    """What the route table does not know is a step that no bot may take."""
    step = gateway.route("GET", "/anything")
    assert step is not None
    assert codes(gateway.ask(BOT, step)) == [("action", "unknown_action")]
    [entry] = entries(world)
    assert entry["action"] == "unknown"


def test_denial_says_when(world: World, gateway: Gateway) -> None:
    """A bot that comes on a Saturday is told of Monday."""
    world.clock.move_to(SATURDAY)
    world.enter_code()
    passage = gateway.ask(BOT, SUBMIT)
    assert codes(passage) == [("window", "weekend")]
    assert passage.decision is not None
    assert passage.decision.retry_after is not None


@pytest.mark.parametrize("trouble", ["clock", "store", "log"])
def test_nothing_fails_open(
    world: World,
    gateway: Gateway,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """A clock, a registry or a log that fails denies the bot, says why, and lets it leave."""
    if trouble == "clock":

        def fail(_: object) -> None:
            raise ClockError("the clock cannot be read")

        monkeypatch.setattr(type(world.clock), "now", fail)
        expected = ("gateway", "clock_unreadable")
    elif trouble == "store":
        remove_state(world)
        expected = ("gateway", "facts_unavailable")
    else:
        monkeypatch.setattr("automation_rules.gateway.core.RECORD_SECONDS", 0.2)
        other = sqlite3.connect(world.folder / "state.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        request.addfinalizer(other.close)
        expected = ("log", "not_recorded")
    assert expected in codes(gateway.ask(BOT, SUBMIT))
    assert not gateway.ask(BOT, SUBMIT).allowed
    assert gateway.ask(BOT, LEAVE).allowed


def remove_state(world: World) -> None:
    """Overwrite the state's file with something else."""
    path = world.folder / "state.sqlite3"
    for name in (path, path.with_name(path.name + "-wal")):
        name.write_bytes(b"not a database" * 1000)


def test_leaving_is_let_through_and_recorded(world: World, gateway: Gateway) -> None:
    """A paused bot may sign out, and the log says that it did."""
    with world.registry() as registry:
        registry.pause_account("acme-1", "made-up reason")
    passage = gateway.ask(BOT, LEAVE)
    assert passage.allowed
    assert [entry["action"] for entry in entries(world)] == ["sign_out"]


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("change", ["pause", "deactivate", "landlord", "all", "closure"])
def test_changes_elsewhere_take_effect_within_a_second(
    world: World, gateway: Gateway, change: str, asynchronous: bool
) -> None:
    """What another process writes into the registry binds the next request, a second later."""
    assert ask(gateway, LIST, asynchronous).allowed
    with world.registry() as registry:
        if change == "pause":
            registry.pause_account("acme-1", "made-up reason")
        elif change == "deactivate":
            registry.deactivate_account("acme-1", "made-up reason")
        elif change == "landlord":
            registry.pause_landlord("acme", "made-up reason")
        elif change == "all":
            registry.pause_all("made-up reason")
        else:
            now = world.clock.now()
            registry.add_closure(PortalClosure("night", now, now + timedelta(hours=1)))
    time.sleep(1)
    assert not ask(gateway, LIST, asynchronous).allowed


def ask(gateway: Gateway, step: Step, asynchronous: bool) -> Passage:
    """Ask in one of the two ways."""
    return asyncio.run(gateway.ask_async(BOT, step)) if asynchronous else gateway.ask(BOT, step)


def test_what_this_process_changed_takes_effect_at_once(world: World, gateway: Gateway) -> None:
    """A portal that has changed an account itself needs not wait for its facts to grow old."""
    assert gateway.ask(BOT, LIST).allowed
    with world.registry() as registry:
        registry.pause_account("acme-1", "made-up reason")
    gateway.forget("acme-1")
    assert codes(gateway.ask(BOT, LIST)) == [("suspension", "account_paused")]


def test_new_policy_takes_effect_within_a_second(world: World, tmp_path: Path) -> None:
    """A policy file that is replaced decides the next request, a second later."""
    path = tmp_path / "policy.toml"
    path.write_text(landlord_portal_text(), "utf-8")
    with world.gateway(policy=path) as gateway:
        assert gateway.ask(BOT, LIST).allowed
        text = landlord_portal_text().replace('closes = "18:00"', 'closes = "08:30"')
        replace_file(path, text)
        time.sleep(1)
        assert codes(gateway.ask(BOT, LIST)) == [("window", "outside_hours")]


def test_policy_that_cannot_be_read_denies_until_it_can(world: World, tmp_path: Path) -> None:
    """A broken or missing policy file denies everything but leaving, and mending it ends that."""
    path = tmp_path / "policy.toml"
    path.write_text(landlord_portal_text(), "utf-8")
    with world.gateway(policy=path) as gateway:
        assert gateway.ask(BOT, LIST).allowed
        for broken in (True, False):
            if broken:
                replace_file(path, "format = 1")
            else:
                path.unlink()
            time.sleep(1)
            assert codes(gateway.ask(BOT, LIST)) == [("gateway", "policy_unreadable")]
            assert gateway.ask(BOT, LEAVE).allowed
        replace_file(path, landlord_portal_text())
        time.sleep(1)
        assert gateway.ask(BOT, LIST).allowed


def test_policy_file_being_written_is_not_read_half(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a policy file is written piece by piece, no fewer rules hold than before."""
    whole = landlord_portal_text()
    cut = whole.index('check = "window"') - len("[[checks]]\n")
    path = tmp_path / "policy.toml"
    path.write_text(whole, "utf-8")
    with world.gateway(policy=path) as gateway:
        world.clock.move_to(SATURDAY)
        world.enter_code()
        time.sleep(0.6)
        with path.open("w", encoding="utf-8") as file:
            file.write(whole[:cut])
            file.flush()
            finish_while_waited_for(monkeypatch, file, whole[cut:])
            assert codes(gateway.ask(BOT, LIST)) == [("window", "weekend")]


def replace_file(path: Path, text: str) -> None:
    """Put a new file in the place of another in one step."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(path)


def test_shadow_decides_and_records_but_enforces_nothing(world: World) -> None:
    """In shadow mode a denial is on record, marked, and the request goes through."""
    world.clock.move_to(SATURDAY)
    with world.gateway(shadow=True) as gateway:
        passage = gateway.ask(BOT, SUBMIT)
    assert passage.allowed
    assert passage.decision is not None
    assert not passage.decision.allowed
    [entry] = entries(world)
    assert entry["decision"] is False
    checks = entry["checks"]
    assert isinstance(checks, list)
    assert checks[-1]["check"] == "enforcement"
    assert checks[-1]["code"] == "shadow"


def test_shadow_keeps_what_the_decision_foresees(world: World) -> None:
    """The mark of shadow mode changes neither the retry instant nor the validity."""
    world.clock.move_to(SATURDAY)
    world.enter_code()
    with world.gateway(shadow=True) as shadow:
        watched = shadow.ask(BOT, SUBMIT).decision
    with world.gateway() as gateway:
        enforced = gateway.ask(BOT, SUBMIT).decision
    assert watched is not None
    assert enforced is not None
    assert watched.retry_after == enforced.retry_after is not None
    assert watched.findings[:-1] == enforced.findings


@on_both_databases
def test_leases_cap_those_in_use(world: World) -> None:
    """By the reading `running`, a third account waits until one of two has left."""
    policy = landlord_portal(at_a_time="running")
    with world.registry() as registry:
        registry.deactivate_account("acme-2", "made-up reason")
        registry.add_account(replace(registry.account("acme-1"), id="acme-3"))
    world.enter_code("acme-3")
    with world.gateway(policy=policy) as gateway:
        for number in (1, 3):
            assert ("account_limit", "too_many_accounts") not in codes(
                gateway.ask(Automation(f"acme-{number}"), LIST)
            )
        held = gateway.ask(Automation("acme-2"), LIST)
        assert ("account_limit", "too_many_accounts") in codes(held)
        assert gateway.ask(BOT, LEAVE).allowed
        after = gateway.ask(Automation("acme-2"), LIST)
        assert ("account_limit", "too_many_accounts") not in codes(after)


def test_denied_step_keeps_no_lease(world: World) -> None:
    """A bot that is denied for another reason holds none of the two places."""
    policy = landlord_portal(at_a_time="running")
    world.clock.move_to(SATURDAY)
    with world.gateway(policy=policy) as gateway:
        assert not gateway.ask(BOT, LIST).allowed
    with Store.open(world.url, clock=world.clock) as store:
        assert Leases(store, world.clock).running("acme", world.clock.now()) == ()


def test_callers_ids_are_sealed(world: World, gateway: Gateway) -> None:
    """The caller's request id and its trace are in the log, under a token and a key."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    gateway.ask(BOT, LIST, request_id="call-9", trace_id=trace)
    [entry] = entries(world)
    assert "request" in entry["tokens"]  # type: ignore[operator]
    assert "call-9" not in json.dumps(entry)
    assert trace not in json.dumps(entry)


def test_unreadable_request_is_a_denial(gateway: Gateway) -> None:
    """A portal that cannot say who asks for what gets a denial that says so."""
    passage = gateway.refuse_unreadable(KeyError("a to-do of somebody"))
    assert not passage.allowed
    assert codes(passage) == [("gateway", "request_unreadable")]
    assert passage.findings[0].outcome is Outcome.FAIL


@on_both_databases
def test_many_ask_at_once(world: World) -> None:
    """Hundreds of questions at once, from threads and from asyncio, are all recorded, once each."""
    # So many in a moment would have the monitor pause the account.
    with world.gateway(policy=calm_policy(world.folder)) as gateway:

        async def burst() -> list[Passage]:
            return await asyncio.gather(*(gateway.ask_async(BOT, LIST) for _ in range(200)))

        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(8) as pool:
            threaded = [pool.submit(gateway.ask, BOT, SUBMIT) for _ in range(100)]
            passages = asyncio.run(burst()) + [future.result() for future in threaded]
    assert all(passage.allowed for passage in passages)
    ids = [passage.decision.decision_id for passage in passages if passage.decision]
    assert sorted(str(entry["decision_id"]) for entry in entries(world)) == sorted(ids)


def test_officers_are_people_of_the_landlord(world: World) -> None:
    """The made-up officer is registered, so that the tests resume what they pause."""
    with world.registry() as registry:
        assert [person.id for person in registry.people("acme")] == [OFFICER]


def test_gateway_needs_a_state(tmp_path: Path) -> None:
    """A state that does not exist is an error that says what to do, before anything is served."""
    from automation_rules import StoreError

    with (
        pytest.raises(StoreError, match="automation-rules init"),
        open_gateway(f"sqlite:///{tmp_path / 'none.sqlite3'}"),
    ):
        pass
