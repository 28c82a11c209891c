"""A bot's run under a permit: what it begins, where it stops, and what it leaves to a person."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from automation_rules.actions import Action, TodoKind
from automation_rules.audit import DecisionLog
from automation_rules.errors import (
    AccessCodeError,
    InvalidInputError,
    NotPermittedError,
    NotRegisteredError,
    VerificationError,
)
from automation_rules.landlord_portal import landlord_portal
from automation_rules.permit import Gate, Permit, open_gate
from automation_rules.request import Mode
from automation_rules.store import KnownForm, Leases, PortalClosure, Store
from automation_rules.store.codes import CodeDesk
from gateway_world import OFFICER, SATURDAY, WORKDAY, World, make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from automation_rules.permit import TodoPermit

KIND: Final = TodoKind.PROVIDE_TENANCY_DETAILS
CLOSING: Final = datetime(2026, 6, 2, 17, 0, tzinfo=UTC)
"""Six o'clock in London on the workday of the tests."""

MINUTE: Final = timedelta(minutes=1)
TWO: Final = 2 * MINUTE
TODO: Final = "td-secret-17"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a state in which everything is in order, on a workday at nine."""
    return make_world(f"sqlite:///{tmp_path / 'state.sqlite3'}", tmp_path, monkeypatch)


@pytest.fixture
def gate(world: World) -> Iterator[Gate]:
    """Give an open gate on that state."""
    with open_gate(world.url, clock=world.clock) as gate:
        yield gate


def run_of(gate: Gate, account: str = "acme-1", **more: Any) -> Permit:
    """Return a run in which a to-do takes two minutes."""
    return gate.permit(account, todo_kind=KIND, **{"expected_duration": TWO, **more})


def logged(world: World) -> list[dict[str, Any]]:
    """Return what every entry of the log says."""
    with Store.open(world.url, clock=world.clock) as store, DecisionLog(store) as log:
        return [json.loads(entry.leaf) for entry in log.entries(stop=log.head().size)]


def steps(world: World) -> list[tuple[str, bool]]:
    """Return the recorded actions, and how each was answered."""
    return [(leaf["action"], leaf["decision"]) for leaf in logged(world)]


def denied(bot: Callable[[], object]) -> NotPermittedError:
    """Let the bot run into a denial, and return it."""
    with pytest.raises(NotPermittedError) as caught:
        bot()
    return caught.value


def codes(error: NotPermittedError) -> list[str]:
    """Return why it was denied."""
    return [f"{finding.check}.{finding.code}" for finding in error.decision.failures]


# --- a run in which all goes well


def test_a_whole_run_is_asked_for_step_by_step(world: World, gate: Gate) -> None:
    """From signing in to signing out, each step is recorded before it is taken, in order."""
    with run_of(gate) as permit:
        permit.require(Action.ENTER_ACCESS_CODE)
        permit.require(Action.LIST_TODOS)
        for todo in permit.todos(["td-1", "td-2"]):
            verdict = todo.saving()
            assert verdict.receipt is not None
            with todo.submitting():
                assert steps(world)[-1] == ("submit_todo", True)
        assert permit.completed == ("td-1", "td-2")
    assert steps(world) == [
        ("sign_in", True),
        ("enter_access_code", True),
        ("list_todos", True),
        *[("open_todo", True), ("save_answers", True), ("submit_todo", True)] * 2,
        ("sign_out", True),
    ]
    assert permit.stopped is None
    assert permit.trouble is None
    assert permit.unfinished == ()


def test_what_is_recorded_is_the_run_s(world: World, gate: Gate) -> None:
    """Every entry has the account, the kind and the mode; only beginning has the to-do's time."""
    with run_of(gate, mode=Mode.TEST) as permit, permit.todo(TODO, tenant="tenant-9") as todo:
        todo.saving()
    leaves = logged(world)
    assert {leaf["account"] for leaf in leaves} == {"acme-1"}
    assert {leaf["todo_kind"] for leaf in leaves} == {KIND.value}
    assert {leaf["mode"] for leaf in leaves} == {"test"}
    minutes = {
        leaf["action"]: leaf["given"]["expected_duration"] / MINUTE.total_seconds() / 1_000_000
        for leaf in leaves
    }
    # A minute's margin is kept from closing whatever the step.
    assert minutes == {"sign_in": 3.0, "open_todo": 3.0, "save_answers": 1.0, "sign_out": 1.0}
    tokens = [set(leaf["tokens"]) & {"todo", "tenant"} for leaf in leaves]
    assert tokens == [set(), {"todo", "tenant"}, {"todo", "tenant"}, set()]
    assert TODO not in json.dumps(leaves)


def test_a_to_do_may_be_of_another_kind_and_length(world: World, gate: Gate) -> None:
    """Kind and duration of one to-do come before the run's, for each of its steps."""
    other = TodoKind.CONFIRM_HOUSING_COSTS
    with (
        run_of(gate) as permit,
        permit.todo("td-1", todo_kind=other, expected_duration=9 * MINUTE) as todo,
        todo.submitting(),
    ):
        pass
    leaves = logged(world)
    assert [leaf["todo_kind"] for leaf in leaves] == [
        KIND.value, other.value, other.value, KIND.value
    ]  # fmt: skip
    assert leaves[1]["given"]["expected_duration"] == 10 * MINUTE.total_seconds() * 1_000_000


# --- what is not begun


def test_a_run_that_may_not_begin_signs_nobody_in(world: World) -> None:
    """On a Saturday the body does not run, nobody is signed out, and the error says when."""
    world.clock.move_to(SATURDAY)
    signed_out: list[str] = []
    with open_gate(world.url, clock=world.clock) as gate:
        permit = run_of(gate, sign_out=lambda: signed_out.append("out"))
        with pytest.raises(NotPermittedError) as caught, permit:
            raise AssertionError("the bot went on")
    assert codes(caught.value) == ["window.weekend"]
    assert caught.value.decision.retry_after == datetime(2026, 6, 8, 7, tzinfo=UTC)
    assert str(caught.value) == caught.value.decision.explain("en")
    assert signed_out == []
    assert steps(world) == [("sign_in", False)]


def test_nobody_signs_in_when_not_one_to_do_fits(world: World, gate: Gate) -> None:
    """Signing in to find that it is too late for any to-do would be for nothing."""
    world.clock.move_to(CLOSING - TWO - MINUTE + timedelta(microseconds=1))
    with pytest.raises(NotPermittedError) as caught, run_of(gate):
        pass
    assert codes(caught.value) == ["window.insufficient_time_left"]
    world.clock.move_to(CLOSING - TWO - MINUTE)
    with run_of(gate):
        pass


def test_the_run_ends_cleanly_when_the_next_to_do_would_not_fit(world: World, gate: Gate) -> None:
    """What is done stays done, the rest is not begun, and the reason is there in both languages."""
    left = iter(["td-1", "td-2", "td-3", "td-4"])
    with run_of(gate) as permit:
        world.clock.move_to(CLOSING - 6 * MINUTE)
        for todo in permit.todos(left):
            with todo.submitting():
                world.clock.move_to(world.clock.now() + TWO)
    assert permit.completed == ("td-1", "td-2")
    assert permit.unfinished == ()
    assert permit.stopped is not None
    assert [f.code for f in permit.stopped.failures] == ["insufficient_time_left"]
    assert "Wednesday 3 June 2026 at 8am" in permit.stopped.explain("en")
    assert "dydd Mercher 3 Mehefin 2026" in permit.stopped.explain("cy")
    assert list(left) == ["td-4"]
    assert steps(world)[-2:] == [("open_todo", False), ("sign_out", True)]


def test_a_closure_ends_the_run_as_cleanly_as_the_evening(world: World, gate: Gate) -> None:
    """What the registry learns while the bot works counts from the next to-do on."""
    with run_of(gate) as permit:
        for todo in permit.todos(["td-1", "td-2"]):
            with todo.submitting():
                pass
            with world.registry() as registry:
                registry.add_closure(PortalClosure("c-1", WORKDAY, WORKDAY + 30 * MINUTE))
    assert permit.completed == ("td-1",)
    assert permit.stopped is not None
    assert [f.code for f in permit.stopped.failures] == ["closure"]
    assert permit.stopped.retry_after == WORKDAY + 30 * MINUTE


def test_a_denial_that_waiting_does_not_mend_is_raised(world: World, gate: Gate) -> None:
    """A pause is no closing time: the loop does not end as though all were well."""
    permit = run_of(gate)

    def bot() -> None:
        with permit:
            for todo in permit.todos(["td-1", "td-2"]):
                with todo.submitting():
                    pass
                with world.registry() as registry:
                    registry.pause_account("acme-1", "an example")

    error = denied(bot)
    assert codes(error) == ["suspension.account_paused"]
    assert error.completed == ("td-1",)
    assert error.unfinished == ()
    assert "To-dos completed in this run: 1" in str(error)
    assert "A person must finish" not in str(error)
    assert permit.stopped is None
    assert steps(world)[-1] == ("sign_out", True)


def _seconds(least: int, most: int) -> st.SearchStrategy[timedelta]:
    return st.integers(least, most).map(lambda seconds: timedelta(seconds=seconds))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    duration=_seconds(1, 5400),
    margin=_seconds(0, 600),
    before=_seconds(-60, 7200) | st.none(),
    nudge=st.integers(-1, 1),
)
def test_no_to_do_begins_that_could_end_after_closing(
    world: World, duration: timedelta, margin: timedelta, before: timedelta | None, nudge: int
) -> None:
    """At t a to-do begins exactly when t + duration + margin is not after closing.

    Tried up to two hours before closing, and at the last moment and a microsecond around it.
    """
    at = CLOSING - (duration + margin if before is None else before) + timedelta(microseconds=nudge)
    world.clock.move_to(WORKDAY)
    with (
        open_gate(world.url, clock=world.clock, margin=margin) as gate,
        run_of(gate, expected_duration=timedelta(seconds=1)) as permit,
    ):
        world.clock.move_to(at)
        todo = permit.todo("td-1", expected_duration=duration)
        if at < CLOSING and at + duration + margin <= CLOSING:
            with todo:
                assert permit.unfinished == ("td-1",)
        else:
            error = denied(todo.__enter__)
            assert error.decision.retry_after == CLOSING + timedelta(hours=14)
            assert permit.unfinished == ()


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    spent=st.lists(st.integers(1, 25), min_size=1, max_size=8),
    most=st.integers(1, 25),
    ahead=st.integers(1, 90),
)
def test_a_day_s_run_keeps_its_promises(
    world: World, spent: list[int], most: int, ahead: int
) -> None:
    """However long to-dos take, none begins too late, and each that was begun is accounted for.

    To-dos that take longer than was said are those that a person must finish.
    """
    world.clock.move_to(WORKDAY)
    begun: list[str] = []
    ids = [f"td-{number}" for number in range(len(spent))]
    earlier = len(logged(world))
    caught: NotPermittedError | None = None
    with open_gate(world.url, clock=world.clock) as gate:
        permit = run_of(gate, expected_duration=most * MINUTE)
        try:
            with permit:
                world.clock.move_to(CLOSING - ahead * MINUTE)
                for todo, minutes in zip(permit.todos(ids), spent, strict=False):
                    assert world.clock.now() + (most + 1) * MINUTE <= CLOSING
                    begun.append(todo.id)
                    world.clock.move_to(world.clock.now() + minutes * MINUTE)
                    with todo.submitting():
                        assert world.clock.now() + MINUTE <= CLOSING
        except NotPermittedError as denial:
            caught = denial
    assert sorted(permit.completed + permit.unfinished) == sorted(begun)
    if caught is None:
        assert permit.unfinished == ()
        assert permit.stopped is not None or begun == ids
    else:
        assert caught.unfinished == permit.unfinished == (begun[-1],)
        assert "A person must finish it" in str(caught)
        assert spent[len(begun) - 1] > most
    new = steps(world)[earlier:]
    assert (new[0], new[-1]) == (("sign_in", True), ("sign_out", True))
    assert [action for action, _ in new].count("sign_out") == 1


# --- what was begun


PERSON: Final = {
    "en": (
        "This to-do was begun and is not known to be submitted. A person must finish it, in an "
        "account of their own.\nTo-dos completed in this run: 1"
    ),
    "cy": (
        "Dechreuwyd y dasg hon, ac nid oes sicrwydd iddi gael ei chyflwyno. Rhaid i berson ei "
        "gorffen, yn ei gyfrif ei hun.\nTasgau a gwblhawyd yn y rhediad hwn: 1"
    ),
}


@pytest.mark.parametrize("lang", ["en", "cy"])
@pytest.mark.parametrize("step", ["saving", "submitting"])
def test_a_to_do_that_closing_overtakes_is_a_person_s(world: World, lang: Any, step: str) -> None:
    """The bot is stopped at its next step, and told in its language who finishes the to-do."""
    with open_gate(world.url, clock=world.clock, lang=lang) as gate:
        permit = run_of(gate)

        def bot() -> None:
            with permit:
                with permit.todo("td-1") as first, first.submitting():
                    pass
                with permit.todo(TODO, tenant="tenant-secret-9") as todo:
                    world.clock.move_to(CLOSING)
                    if step == "saving":
                        todo.saving()
                    with todo.submitting():
                        raise AssertionError("submitted after closing")

        error = denied(bot)
    assert codes(error) == ["window.outside_hours"]
    assert str(error) == f"{error.decision.explain(lang)}\n{PERSON[lang]}"
    assert error.completed == permit.completed == ("td-1",)
    assert error.unfinished == permit.unfinished == (TODO,)
    assert "secret" not in str(error) + repr(error)
    assert steps(world)[-1] == ("sign_out", True)


def test_any_step_says_so_while_a_to_do_is_open(world: World, gate: Gate) -> None:
    """A denial of another step, too, tells that the to-do of the moment is left half done."""
    with run_of(gate) as permit, permit.todo("td-1"):
        world.clock.move_to(CLOSING)
        error = denied(lambda: permit.require(Action.VIEW_UPDATES))
    assert "A person must finish" in str(error)


def test_after_it_was_submitted_nobody_has_to_finish_it(world: World, gate: Gate) -> None:
    """A denial that comes later is not about the to-do that is done."""
    with run_of(gate) as permit, permit.todo("td-1") as todo:
        with todo.submitting():
            pass
        world.clock.move_to(CLOSING)
        error = denied(lambda: permit.require(Action.LIST_TODOS))
    assert "A person must finish" not in str(error)
    assert error.completed == ("td-1",)


def test_a_test_run_leaves_nothing_to_a_person(gate: Gate) -> None:
    """In test mode the last step is denied by the terms, and no to-do is half done by that."""
    with run_of(gate, mode=Mode.TEST) as permit, permit.todo("td-1") as todo:
        error = denied(todo.submitting)
    assert codes(error) == ["test_mode.submit_in_test_mode"]
    assert "A person must finish" not in str(error)


def test_answers_are_compared_with_the_landlord_s_record(world: World, gate: Gate) -> None:
    """Answers that differ are not submitted; put right, they may be, in the same to-do."""
    record = {"rent": "100.00", "bedrooms": 2}
    with run_of(gate) as permit, permit.todo("td-1") as todo:
        wrong = {"rent": "999.99", "bedrooms": 2}
        error = denied(lambda: todo.submitting(answers=wrong, record=record))
        assert codes(error) == ["answers.answers_differ"]
        assert "999.99" not in str(error)
        assert permit.unfinished == ("td-1",)
        with todo.submitting(answers={**record, "note": "x"}, record=record):
            pass
    assert permit.completed == ("td-1",)


@pytest.mark.parametrize("given_one", [{"answers": {"rent": 1}}, {"record": {"rent": 1}}])
def test_half_of_a_comparison_is_refused(
    world: World, gate: Gate, given_one: dict[str, Any]
) -> None:
    """Answers without the record would pass unseen, so the bot is stopped, and nothing recorded."""
    with run_of(gate) as permit, permit.todo("td-1") as todo:
        with pytest.raises(InvalidInputError, match="give answers and record, or neither"):
            todo.submitting(**given_one)
        assert steps(world)[-1] == ("open_todo", True)


def test_submitting_is_asked_for_also_without_a_with(world: World, gate: Gate) -> None:
    """A forgotten ``with`` asks all the same, and leaves the to-do unfinished, which is safe."""
    with run_of(gate) as permit, permit.todo("td-1") as todo:
        todo.submitting()
        assert steps(world)[-1] == ("submit_todo", True)
        world.clock.move_to(CLOSING)
        denied(todo.submitting)
    assert permit.unfinished == ("td-1",)


def test_a_form_that_changed_stops_the_bot(world: World, gate: Gate) -> None:
    """The fingerprint of the form as met now is compared with the tested one, at each step."""
    with world.registry() as registry:
        registry.record_tested_form(KnownForm("acme", KIND.value, "abc", WORKDAY.date()))
    with run_of(gate) as permit, permit.todo("td-1") as todo:
        todo.saving(form_fingerprint="abc")
        for error in (
            denied(lambda: todo.saving(form_fingerprint="abd")),
            denied(lambda: todo.submitting(form_fingerprint="abd")),
        ):
            assert codes(error) == ["form.form_changed"]


# --- when something else goes wrong


class PortalError(Exception):
    """The portal did not answer."""


@pytest.mark.parametrize("where", ["begun", "submitting", "loop", "between"])
def test_an_exception_leaves_nothing_half_claimed(world: World, gate: Gate, where: str) -> None:
    """What is not known to be submitted is not called completed, and the bot has signed out."""
    signed_out: list[str] = []
    permit = run_of(gate, sign_out=lambda: signed_out.append("out"))

    def work(todo: TodoPermit) -> None:
        if where == "submitting":
            with todo.submitting():
                raise PortalError
        if where in ("begun", "loop"):
            raise PortalError

    def bot() -> None:
        with permit:
            with permit.todo("td-0") as todo, todo.submitting():
                pass
            if where == "loop":
                for each in permit.todos([TODO, "td-2"]):
                    work(each)
            with permit.todo(TODO) as todo:
                work(todo)
            raise PortalError

    with pytest.raises(PortalError):
        bot()
    assert permit.completed == ("td-0",)
    assert permit.unfinished == (TODO,)
    assert signed_out == ["out"]
    recorded = steps(world)
    assert recorded[-1] == ("sign_out", True)
    assert all(allowed for _, allowed in recorded)


def test_a_loop_that_is_left_is_left_in_order(world: World, gate: Gate) -> None:
    """After ``break`` the run goes on, and what was submitted before it counts."""
    with run_of(gate) as permit:
        for todo in permit.todos(["td-1", "td-2", "td-3"]):
            with todo.submitting():
                pass
            if todo.id == "td-2":
                break
        permit.require(Action.LIST_TODOS)
    assert permit.completed == ("td-1", "td-2")
    assert steps(world)[-2:] == [("list_todos", True), ("sign_out", True)]


def test_an_interrupted_bot_signs_out(world: World, gate: Gate) -> None:
    """Ctrl-C ends a run as every exception does."""
    with pytest.raises(KeyboardInterrupt), run_of(gate) as permit, permit.todo("td-1"):
        raise KeyboardInterrupt
    assert steps(world)[-1] == ("sign_out", True)
    assert permit.unfinished == ("td-1",)


def test_leaving_is_let_through_when_the_registry_does_not_know_the_bot(
    world: World, gate: Gate
) -> None:
    """An account that was removed meanwhile still signs out; that is told, and not raised."""
    signed_out: list[str] = []
    with run_of(gate, sign_out=lambda: signed_out.append("out")) as permit, capture_logs() as told:
        with world.registry() as registry:
            registry.remove_account("acme-1")
        with pytest.raises(NotRegisteredError):
            permit.todo("td-1").__enter__()
        told.clear()
        permit.__exit__(None, None, None)
    assert signed_out[0] == "out"
    assert isinstance(permit.trouble, NotRegisteredError)
    assert [(entry["event"], entry["account"]) for entry in told] == [
        ("sign_out_not_recorded", "acme-1")
    ]


def test_a_step_that_cannot_be_recorded_is_denied_and_leaving_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the log went back, no to-do begins, and the bot is let out without an entry."""
    signed_out: list[str] = []

    def went_back(_log: DecisionLog) -> None:
        raise VerificationError("the log went back")

    with open_gate(world.url, clock=world.clock) as gate:
        permit = run_of(gate, sign_out=lambda: signed_out.append("out"))

        def bot() -> None:
            with permit:
                monkeypatch.setattr(DecisionLog, "check_rollback", went_back)
                for _ in permit.todos(["td-1"]):
                    raise AssertionError("the bot went on")

        error = denied(bot)
    assert codes(error) == ["log.not_recorded"]
    assert isinstance(error.__cause__, VerificationError)
    assert isinstance(permit.trouble, VerificationError)
    assert signed_out == ["out"]
    assert steps(world) == [("sign_in", True)]


def test_signing_out_that_fails_is_the_bot_s_own_error(world: World, gate: Gate) -> None:
    """What the portal raises when signing out comes through, and the leaving is on record."""

    def broken() -> None:
        raise PortalError

    with pytest.raises(PortalError), run_of(gate, sign_out=broken):
        pass
    assert steps(world)[-1] == ("sign_out", True)


# --- limits, leases, misuse


def test_a_run_holds_its_place_from_signing_in_to_signing_out(world: World) -> None:
    """By the reading of accounts in use, two runs are two places, and each frees its own."""
    with world.registry() as registry:
        registry.deactivate_account("acme-2", "an example")
    policy = landlord_portal(at_a_time="running")
    with Store.open(world.url, clock=world.clock) as store:
        leases = Leases(store, world.clock)

        def running() -> tuple[str, ...]:
            return leases.running("acme", world.clock.now())

        with open_gate(world.url, policy, clock=world.clock) as gate:
            with run_of(gate) as permit:
                assert running() == ("acme-1",)
                with permit.todo("td-1") as todo, todo.submitting():
                    pass
            assert running() == ()
            with pytest.raises(PortalError), run_of(gate):
                raise PortalError
            assert running() == ()
            with pytest.raises(NotPermittedError), run_of(gate, "acme-2"):
                pass
            assert running() == ()


@pytest.mark.parametrize(
    "action", [Action.SIGN_IN, Action.SIGN_OUT, Action.OPEN_TODO, Action.SUBMIT_TODO]
)
def test_steps_with_a_place_of_their_own_are_not_asked_for_elsewhere(
    world: World, gate: Gate, action: Action
) -> None:
    """A to-do that is opened past the permit would be nobody's to finish."""
    with (
        run_of(gate) as permit,
        pytest.raises(InvalidInputError, match="asked for by the permit itself"),
    ):
        permit.require(action)
    assert steps(world) == [("sign_in", True), ("sign_out", True)]


def test_what_automation_may_never_do_is_denied(gate: Gate) -> None:
    """A run is no way round the list of actions."""
    with run_of(gate) as permit:
        error = denied(lambda: permit.require(Action.REQUEST_APA))
    assert codes(error) == ["action.other_portal_function"]


@pytest.mark.parametrize("duration", [timedelta(0), timedelta(minutes=-5)])
def test_a_to_do_takes_time(gate: Gate, duration: timedelta) -> None:
    """A duration that is none would let a to-do begin at the last moment."""
    with pytest.raises(InvalidInputError, match="must be positive"):
        run_of(gate, expected_duration=duration)
    with pytest.raises(InvalidInputError, match="must be positive"):
        gate.opens_in("acme-1", todo_kind=KIND, expected_duration=duration)
    with pytest.raises(InvalidInputError, match="must be positive"):
        run_of(gate).todo("td-1", expected_duration=duration)


def test_a_to_do_has_a_name_and_a_gate_one_of_two_languages(world: World, gate: Gate) -> None:
    """What would go wrong only at a denial is refused before anything is asked."""
    with pytest.raises(InvalidInputError, match="must name the to-do"):
        run_of(gate).todo("")
    with (
        pytest.raises(InvalidInputError, match="use en or cy"),
        open_gate(
            world.url,
            clock=world.clock,
            lang="fr",  # type: ignore[arg-type]
        ),
    ):
        pass
    assert logged(world) == []


# --- waiting


def test_how_long_until_the_account_may_sign_in(world: World, gate: Gate) -> None:
    """Zero while a to-do still fits, else until the next opening; nothing is recorded."""

    def opens_in() -> timedelta:
        return gate.opens_in("acme-1", todo_kind=KIND, expected_duration=TWO)

    assert opens_in() == timedelta(0)
    world.clock.move_to(CLOSING - MINUTE)
    assert opens_in() == MINUTE + timedelta(hours=14)
    world.clock.move_to(SATURDAY)
    assert opens_in() == timedelta(days=2) - timedelta(hours=1)
    with world.registry() as registry:
        registry.pause_account("acme-1", "an example")
    assert "suspension.account_paused" in codes(denied(opens_in))
    assert logged(world) == []


def test_the_bot_gets_the_code_that_a_person_types(world: World, gate: Gate) -> None:
    """The code comes once, and from then on the day's code counts as entered by hand."""
    tomorrow = WORKDAY + timedelta(days=1)
    world.clock.move_to(tomorrow)
    with run_of(gate) as permit:
        error = denied(lambda: permit.require(Action.ENTER_ACCESS_CODE))
        assert codes(error) == ["manual_code.stale_code"]
        with ThreadPoolExecutor(1) as pool, Store.open(world.url, clock=world.clock) as store:
            person = pool.submit(CodeDesk(store, world.clock).enter, "acme-1", OFFICER, "654321")
            assert gate.wait_for_code("acme-1") == "654321"
            person.result()
        permit.require(Action.ENTER_ACCESS_CODE)


def test_a_code_that_nobody_types_is_not_waited_for_for_ever(gate: Gate) -> None:
    """After the time given, the bot is told."""
    with pytest.raises(AccessCodeError, match="nobody entered a code"):
        gate.wait_for_code("acme-1", timedelta(seconds=1))


# --- the error


def _denial() -> NotPermittedError:
    from log_helpers import decided

    decision = decided(context__time="2026-06-06T09:00:00+01:00")
    return NotPermittedError("no", decision, completed=("td-1",), unfinished=("td-2",))


def test_a_process_pool_carries_the_error() -> None:
    """Pickled and back it says the same; one that could not be carried would hang the pool."""
    error = pickle.loads(pickle.dumps(_denial()))  # noqa: S301
    assert isinstance(error, NotPermittedError)
    assert (str(error), error.completed, error.unfinished) == ("no", ("td-1",), ("td-2",))
    assert [f.code for f in error.decision.failures] == ["stale_code", "weekend"]
