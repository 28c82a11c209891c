"""Recorded decisions decided again: alike by the same policy, and where another would differ."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation_rules.audit import DecisionLog, draft_decision
from automation_rules.checks import AnswersCheck
from automation_rules.clock import FrozenClock
from automation_rules.errors import LogError
from automation_rules.landlord_portal import landlord_portal
from automation_rules.leaf_schema import read_leaf
from automation_rules.policy import Policy
from automation_rules.privacy import Privacy
from automation_rules.replay import Replayed, Verdict, rebuild, replay
from automation_rules.testing import policies, requests
from automation_rules.vault import Kind, Subject, SubjectKey
from log_helpers import PORTAL, State, decided, drafted, opened, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from automation_rules.request import Request


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A state with a log."""
    with opened(tmp_path / "state.sqlite3") as made:
        yield made


def record(state: State, policy: Policy = PORTAL, **changes: Any) -> None:
    """Record one decision."""
    state.log.record(policy.decide(request(**changes)), readings=policy.readings)


def verdicts(state: State, policy: Policy = PORTAL) -> list[Verdict]:
    """Replay the whole log."""
    return [found.verdict for found in replay(state.log, policy)]


def alone(state: State, policy: Policy = PORTAL) -> Replayed:
    """Replay a log of one decision."""
    [found] = replay(state.log, policy)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), policies(), st.sampled_from(["registry", "claimed"]))
def test_a_request_is_rebuilt_from_entry_and_envelopes(
    asked: Request, policy: Policy, facts: str
) -> None:
    """Whatever was asked, the rebuilt request gets the same answer, codes and instants."""
    context = replace(asked.context, answers=None, record=None)
    asked = replace(asked, context=context, facts=facts)  # type: ignore[arg-type]
    decision = policy.decide(asked)
    draft = draft_decision(decision, readings=policy.readings)
    keys = {subject: SubjectKey("0" * 32, bytes(32)) for subject in draft.subjects}
    sealed = {found.slot: json.loads(found.facts) for found in draft.sealed}
    again = policy.decide(rebuild(read_leaf(draft.finish(keys)[0]), sealed))
    assert again.allowed == decision.allowed
    assert [(f.check, f.outcome, f.code, f.facts) for f in again.findings] == [
        (f.check, f.outcome, f.code, f.facts) for f in decision.findings
    ]
    assert (again.retry_after, again.valid_until) == (decision.retry_after, decision.valid_until)


def test_by_the_same_policy_nothing_differs(state: State) -> None:
    """Every decision, allowed or denied, comes out as it was, over several reads."""
    state.log.record_many([drafted(number) for number in range(300)])
    assert verdicts(state) == [Verdict.SAME] * 300


@pytest.mark.parametrize("action", ["", "unknown", "Made up", "sign_out", "pay_rent"])
def test_odd_actions_and_leaving_come_out_as_they_were(state: State, action: str) -> None:
    """Words outside the vocabulary are kept sealed; leaving is let through again."""
    decision = decided(action__name=action, resource__type="portal")
    if action == "sign_out":
        decision = decision.let_through()
    state.log.record(decision, readings=PORTAL.readings)
    assert alone(state).verdict is Verdict.SAME


def test_what_another_policy_would_say_is_told_with_its_clauses(state: State) -> None:
    """A stricter reading denies what was allowed, and the reason names check and clauses."""
    record(state, action__name="view_updates", resource__type="portal")
    found = alone(state, landlord_portal(updates_tab="denied"))
    assert (found.verdict, found.before, found.after) == (Verdict.DIFFERS, True, False)
    assert (found.index, found.account, found.action) == (0, "acme-1", "view_updates")
    [reason] = found.reasons_after
    assert reason.name == "action.other_portal_function"
    assert "terms.no-other-functions" in reason.clauses
    assert found.reasons_before == ()


def test_what_would_now_be_allowed_is_told_with_what_denied_it(state: State) -> None:
    """A bank holiday that another reading opens: the recorded reason is shown."""
    record(
        state,
        context__time="2026-08-31T10:00:00+01:00",
        subject__properties__sms_code__provided_at="2026-08-31T09:00:00+01:00",
    )
    found = alone(state, landlord_portal(bank_holidays="open"))
    assert (found.verdict, found.before, found.after) == (Verdict.DIFFERS, False, True)
    assert [reason.name for reason in found.reasons_before] == ["window.bank_holiday"]


def test_the_same_answer_for_other_reasons_is_told_apart(state: State) -> None:
    """Denied before and now, but not for the same: neither the same nor a difference."""
    record(
        state,
        action__name="view_updates",
        resource__type="portal",
        subject__properties__two_factor=False,
    )
    found = alone(state, landlord_portal(updates_tab="denied"))
    assert found.verdict is Verdict.REASONS_DIFFER


@pytest.mark.parametrize("kind", [Kind.TENANT, Kind.TODO, Kind.OPERATOR])
def test_an_erased_entry_is_undecidable_and_never_the_same(state: State, kind: Kind) -> None:
    """Also when what was erased would hardly have mattered."""
    state.log.record_many([drafted(number) for number in range(6)])
    ids = {Kind.TENANT: "tenant-0", Kind.TODO: "td-0", Kind.OPERATOR: "officer-0"}
    clock = FrozenClock(drafted(0).at)
    done = Privacy(state.store, state.log, state.vault, clock).erase(
        Subject(kind, "acme", ids[kind])
    )
    for found in replay(state.log, PORTAL):
        concerned = found.index % {Kind.TENANT: 5, Kind.TODO: 7, Kind.OPERATOR: 3}[kind] == 0
        assert found.verdict is (Verdict.UNDECIDABLE if concerned else Verdict.SAME)
        assert found.erased == ((kind.value,) if concerned else ())
        assert (found.after is None) == concerned
    assert done.index == 6


SUBMIT: dict[str, Any] = {"action__name": "submit_todo"}


@pytest.mark.parametrize("given_answer", ["1", "2"])
def test_answers_count_as_they_were_recorded(state: State, given_answer: str) -> None:
    """Answers are kept nowhere: their check's outcome is taken from the entry."""
    record(state, **SUBMIT, context__answers={"rent": given_answer}, context__record={"rent": "1"})
    assert alone(state).verdict is Verdict.SAME
    assert alone(state).before is (given_answer == "1")


def test_answers_that_nobody_judged_are_undecidable_only_where_they_matter(state: State) -> None:
    """A new policy that judges answers cannot know; unless another check denies anyhow."""
    lenient = Policy("lenient", "1", [c for c in PORTAL.checks if not isinstance(c, AnswersCheck)])
    given: dict[str, Any] = {"context__answers": {"rent": "1"}, "context__record": {"rent": "2"}}
    record(state, lenient, **SUBMIT, **given)
    record(state, lenient, **SUBMIT, **given, subject__properties__two_factor=False)
    first, second = replay(state.log, PORTAL)
    assert (first.verdict, first.after, first.erased) == (Verdict.UNDECIDABLE, None, ())
    assert second.verdict in (Verdict.SAME, Verdict.REASONS_DIFFER)
    assert second.after is False


def test_only_decisions_are_decided_again(state: State) -> None:
    """Entries of other kinds are passed over, pruned ones are not there, progress is told."""
    state.log.record_many([drafted(number) for number in range(3)])
    privacy = Privacy(state.store, state.log, state.vault, FrozenClock(drafted(0).at))
    privacy.erase(Subject(Kind.TENANT, "acme", "tenant-0"))
    told: list[tuple[int, int]] = []
    found = list(replay(state.log, PORTAL, progress=lambda *step: told.append(step)))
    assert [one.index for one in found] == [0, 1, 2]
    assert told[-1] == (4, 4)


def test_without_its_key_a_log_is_not_replayed(state: State) -> None:
    """What was sealed is needed, and that is said."""
    record(state)
    with DecisionLog(state.store) as log, pytest.raises(LogError, match="vault"):
        list(replay(log, PORTAL))
