"""Checks made of checks: what is known is turned round, what is not known stays not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules import (
    AllOf,
    AnyOf,
    AppliesTo,
    Check,
    Decision,
    Deny,
    Finding,
    InvalidPolicyError,
    Not,
    Outcome,
    Policy,
    ReadingUse,
    Request,
    Text,
    landlord_portal,
    when,
)
from automation_rules.checks import (
    ActionCheck,
    DeclarationCheck,
    IdentityCheck,
    ManualCodeCheck,
    TwoFactorCheck,
    WindowCheck,
    evaluate,
)
from patching import ABSENT, patched

if TYPE_CHECKING:
    from datetime import datetime

REQUEST = Request.from_document(patched({}))
SP = "/subject/properties"


class Says(Check):
    """A check that answers as it is told."""

    def __init__(self, answer: str, number: int = 0) -> None:
        """Answer with ``answer``."""
        self.answer = answer
        self.id = f"{answer}-{number}"
        self.clauses = (f"clause.{answer}",)

    def evaluate(self, request: Request) -> Finding:
        """Answer."""
        match self.answer:
            case "pass":
                return self.passed()
            case "warn":
                return self.warned("careful")
            case "fail":
                return self.failed("bad")
            case "not_applicable":
                return self.not_applicable()
            case "missing_fact":
                return self.missing(f"/a/{self.id}")
        raise RuntimeError(f"private words of {self.id}")


ANSWERS = ("pass", "warn", "fail", "not_applicable", "missing_fact", "raise")
KNOWN = ("pass", "fail", "not_applicable")
says = st.builds(Says, st.sampled_from(ANSWERS), st.integers(0, 3))
knows = st.builds(Says, st.sampled_from(KNOWN), st.integers(0, 3))


def trees(leaves: st.SearchStrategy[Says]) -> st.SearchStrategy[Check]:
    """Combinations of those leaves, a few levels deep."""
    return st.recursive(
        leaves,
        lambda child: st.one_of(
            st.lists(child, max_size=3).map(lambda found: AllOf(*found)),
            st.lists(child, max_size=3).map(lambda found: AnyOf(*found)),
            child.map(Not),
        ),
        max_leaves=6,
    )


def answer(check: Check) -> tuple[Outcome, str | None]:
    """The outcome and the code that the check gives."""
    finding = evaluate(check, REQUEST)
    return finding.outcome, finding.code


def outcome(check: Check) -> str:
    """The outcome that the check gives."""
    return answer(check)[0].value


P, W, F, N, M, R = (Says(a) for a in ANSWERS)

# fmt: off
TABLE: list[tuple[Check, str, str | None]] = [
    (AllOf(P), "pass", None),
    (AllOf(P, W), "pass", None),
    (AllOf(P, N), "pass", None),
    (AllOf(N, N), "not_applicable", None),
    (AllOf(P, F), "fail", "not_all_passed"),
    (AllOf(F, N), "fail", "not_all_passed"),
    (AllOf(P, M), "fail", "missing_fact"),
    (AllOf(F, M), "fail", "missing_fact"),
    (AllOf(R, P), "fail", "check_error"),
    (AllOf(), "fail", "empty_combinator"),
    (AnyOf(P, F), "pass", None),
    (AnyOf(F, W), "pass", None),
    (AnyOf(M, P), "pass", None),
    (AnyOf(R, P), "pass", None),
    (AnyOf(F, F), "fail", "none_passed"),
    (AnyOf(F, N), "fail", "none_passed"),
    (AnyOf(N), "not_applicable", None),
    (AnyOf(F, M), "fail", "missing_fact"),
    (AnyOf(F, R), "fail", "check_error"),
    (AnyOf(), "fail", "empty_combinator"),
    (Not(P), "fail", "negated"),
    (Not(W), "fail", "negated"),
    (Not(F), "pass", None),
    (Not(N), "not_applicable", None),
    (Not(M), "fail", "missing_fact"),
    (Not(R), "fail", "check_error"),
    (Not(AllOf()), "fail", "empty_combinator"),
    (Not(AnyOf()), "fail", "empty_combinator"),
    (Not(Not(F)), "fail", "negated"),
    (Not(Not(M)), "fail", "missing_fact"),
    (AnyOf(AllOf(), P), "pass", None),
    (AllOf(AnyOf(), P), "fail", "empty_combinator"),
]
# fmt: on


@pytest.mark.parametrize(("check", "expected", "code"), TABLE)
def test_what_combinations_answer(check: Check, expected: str, code: str | None) -> None:
    """Each combination answers as its children's known and unknown answers make it."""
    assert answer(check) == (Outcome(expected), code)
    finding = evaluate(check, REQUEST)
    for lang in ("en", "cy"):
        assert finding.message.to(lang)
        assert (finding.remedy is None) == (code is None)


@settings(max_examples=200)
@given(st.lists(knows, min_size=1, max_size=4))
def test_de_morgan_holds_for_what_is_known(children: list[Says]) -> None:
    """Not all is some not, and not any is all not."""
    negated = [Not(child) for child in children]
    assert outcome(Not(AllOf(*children))) == outcome(AnyOf(*negated))
    assert outcome(Not(AnyOf(*children))) == outcome(AllOf(*negated))


@settings(max_examples=200)
@given(trees(says))
def test_not_never_passes_what_is_not_known(check: Check) -> None:
    """What cannot be known fails, and its negation fails too."""
    code = answer(check)[1]
    if code in {"missing_fact", "check_error", "empty_combinator"}:
        assert answer(Not(check)) == (Outcome.FAIL, code)
        assert answer(Not(Not(check))) == (Outcome.FAIL, code)
    elif outcome(check) in {"pass", "fail"}:
        assert {outcome(check), outcome(Not(check))} == {"pass", "fail"}


@settings(max_examples=200)
@given(trees(says), trees(says))
def test_all_and_any_agree_with_their_children(one: Check, other: Check) -> None:
    """All passes only if none fails; any fails only if none passes; order does not matter."""
    both = {outcome(one), outcome(other)}
    passing = both & {"pass", "warn"}
    assert outcome(AllOf(one, other)) == outcome(AllOf(other, one))
    assert outcome(AnyOf(one, other)) == outcome(AnyOf(other, one))
    assert (outcome(AllOf(one, other)) == "fail") == ("fail" in both)
    assert (outcome(AnyOf(one, other)) == "pass") == bool(passing)
    assert outcome(AllOf(one)) == outcome(one).replace("warn", "pass")


@settings(max_examples=200)
@given(trees(says))
def test_every_combination_can_be_told(check: Check) -> None:
    """Whatever is combined, the decision has words for it in both languages, and is sure."""
    policy = Policy("made-up", "1", [AllOf(check, id="made")])
    request = Request.from_document(patched({"/context/explain": True}))
    decision = policy.decide(request)
    assert decision.allowed == (outcome(check) in {"pass", "warn"})
    assert "private words" not in str(decision.to_document())
    for lang in ("en", "cy"):
        assert decision.explain(lang)


def test_operators_combine() -> None:
    """``&``, ``|`` and ``~`` are AllOf, AnyOf and Not."""
    assert isinstance(P & F, AllOf)
    assert isinstance(P | F, AnyOf)
    assert isinstance(~P, Not)
    assert (P & F).id == "(pass-0 and fail-0)"
    assert (P | F).id == "(pass-0 or fail-0)"
    assert (~P).id == "(not pass-0)"
    assert [outcome(check) for check in (P & F, P | F, ~P)] == ["fail", "pass", "fail"]
    assert AllOf(P, id="mine").id == AnyOf(P, id="mine").id == Not(P, id="mine").id == "mine"


def test_a_combination_cites_and_keeps_what_it_is_made_of() -> None:
    """Every child's finding is kept, in order, with every clause once, whatever the answer."""
    finding = evaluate(AnyOf(F, P, Says("fail", 1), M), REQUEST)
    assert [child.check for child in finding.children] == [
        "fail-0",
        "pass-0",
        "fail-1",
        "missing_fact-0",
    ]
    assert finding.clauses == ("clause.fail", "clause.pass", "clause.missing_fact")
    document = finding.to_document()
    assert [child["outcome"] for child in document["children"]] == ["fail", "pass", "fail", "fail"]


def test_a_combination_names_every_missing_fact_once() -> None:
    """What is missing anywhere below is listed on the combination."""
    finding = evaluate(AllOf(M, AllOf(M, Says("missing_fact", 1)), F), REQUEST)
    assert finding.facts == ("/a/missing_fact-0", "/a/missing_fact-1")
    assert "/a/missing_fact-1" in finding.message.en
    for other in (AnyOf(M, P), AllOf(R, M), AllOf(AllOf(), M)):
        assert evaluate(other, REQUEST).facts == ()


def test_a_warning_inside_a_combination_is_told() -> None:
    """A combination that passes with a warning somewhere below is among the reasons."""
    warned = DeclarationCheck()
    request = Request.from_document(patched({"/context/landlord/partnership_manager": ABSENT}))
    policy = Policy("made-up", "1", [AllOf(AnyOf(warned, id="inner"), id="outer")])
    decision = policy.decide(request)
    assert decision.allowed
    assert [finding.check for finding in decision.reasons] == ["outer"]
    assert "no_partnership_manager" in decision.explain()
    assert policy.decide(REQUEST).reasons == ()


HOLIDAY = {
    "/context/time": "2026-05-25T09:00:00+01:00",
    f"{SP}/sms_code/provided_at": "2026-05-25T08:00:00+01:00",
}
NAMELESS = {f"{SP}/username": "Automation 7"}


def used(check: Check, changes: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The readings that the check's finding rests on, and what the others would answer."""
    finding = evaluate(check, Request.from_document(patched(changes)))
    assert finding.code != "check_error"
    return {use.name: dict(use.otherwise) for use in finding.readings}


def test_a_combination_says_what_it_would_answer_under_another_reading() -> None:
    """The other values are worked through the combination, not copied from the child."""
    window, identity = WindowCheck(), IdentityCheck()
    assert used(AllOf(window), HOLIDAY) == {"bank_holidays": {"open": "pass"}}
    assert used(Not(window), HOLIDAY) == {"bank_holidays": {"open": "negated"}}
    assert used(Not(Not(window)), HOLIDAY) == {"bank_holidays": {"open": "pass"}}
    assert used(AnyOf(window, P), HOLIDAY) == {}
    assert used(AllOf(window, F), HOLIDAY) == {}
    assert used(AnyOf(window, F), HOLIDAY) == {"bank_holidays": {"open": "pass"}}
    assert used(AllOf(window, identity), {**HOLIDAY, **NAMELESS}) == {}
    assert used(AnyOf(identity, window), {**HOLIDAY, **NAMELESS}) == {
        "bank_holidays": {"open": "pass"},
        "identity_pattern": {"automation-only": "pass"},
    }
    assert next(iter(used(AnyOf(identity, window), {**HOLIDAY, **NAMELESS}))) == "bank_holidays"
    opened = WindowCheck(bank_holidays="open")
    assert used(AllOf(opened), HOLIDAY) == {"bank_holidays": {"closed": "not_all_passed"}}
    assert used(Not(opened), HOLIDAY) == {"bank_holidays": {"closed": "pass"}}


def test_a_combination_knows_the_next_change_of_its_parts() -> None:
    """The first change of any part is a combination's next change."""
    window, code = WindowCheck(), ManualCodeCheck()
    for combined in (AllOf(code, window), AnyOf(code, window), Not(window)):
        assert combined.next_change(REQUEST) == window.next_change(REQUEST)
    assert AllOf(TwoFactorCheck()).next_change(REQUEST) is None


def test_when_narrows_a_check_to_some_requests() -> None:
    """A narrowed check does not apply to the others, under its own name and clauses."""
    only_submitting = when(lambda request: request.action.name == "SUBMIT_TODO", F)  # type: ignore[union-attr]
    assert only_submitting.id == F.id
    assert only_submitting.clauses == F.clauses
    assert answer(only_submitting) == (Outcome.FAIL, "bad")
    signing_in = Request.from_document(patched({"/action/name": "sign_in"}))
    assert evaluate(only_submitting, signing_in).outcome is Outcome.NOT_APPLICABLE


def test_when_that_raises_has_failed() -> None:
    """A condition that raises does not silence its check."""
    broken = when(lambda request: 1 // 0 == 0, P)
    assert answer(broken) == (Outcome.FAIL, "check_error")
    assert answer(Not(broken)) == (Outcome.FAIL, "check_error")


def test_when_keeps_what_the_check_brings() -> None:
    """Readings, the obligation and the next change of a narrowed check are the check's own."""
    narrowed = when(AppliesTo(), ManualCodeCheck("24-hours"))
    policy = Policy("made-up", "1", [narrowed])
    assert policy.readings["daily"] == "24-hours"
    assert narrowed.obligation == ManualCodeCheck.obligation
    assert narrowed.next_change(REQUEST) == ManualCodeCheck("24-hours").next_change(REQUEST)


@pytest.mark.parametrize(
    ("applies", "expected"),
    [
        (AppliesTo(), True),
        (AppliesTo(subject_types=("automation_account",)), True),
        (AppliesTo(subject_types=("person",)), False),
        (AppliesTo(actions=(REQUEST.action,)), True),
        (AppliesTo(actions=("submit_todo",)), False),
        (AppliesTo(todo_kinds=(REQUEST.resource.kind,)), True),  # type: ignore[arg-type]
        (AppliesTo(todo_kinds=("provide_tenancy_details",)), False),
        (AppliesTo(modes=(REQUEST.context.mode,)), True),
        (AppliesTo(subject_types=("automation_account",), todo_kinds=("x",)), False),
    ],
)
def test_a_condition_as_data_needs_every_part(applies: AppliesTo, *, expected: bool) -> None:
    """A request must be accepted by every part that is not empty; text is no vocabulary."""
    assert applies(REQUEST) is expected


def test_a_condition_as_data_cannot_be_changed() -> None:
    """A condition that a digest covers stays what it was."""
    with pytest.raises(AttributeError):
        AppliesTo().modes = ()  # type: ignore[misc]


def test_a_combination_that_does_not_apply_can_be_told() -> None:
    """A narrowed combination has words for the requests that it leaves alone."""
    finding = evaluate(when(AppliesTo(subject_types=("person",)), AllOf(P)), REQUEST)
    assert finding.outcome is Outcome.NOT_APPLICABLE
    assert finding.message.en == "None of these checks applies to this step."


def test_a_check_that_answers_without_an_outcome_has_failed() -> None:
    """A bare bool, None, or text for an outcome is an error of the check, never a pass."""
    for returned in (True, None, "pass", Finding("x", "pass")):  # type: ignore[arg-type]

        class Careless(Check):
            id = "careless"

            def evaluate(self, request: Request, answer: Any = returned) -> Finding:
                return answer  # type: ignore[no-any-return]

        assert answer(Careless()) == (Outcome.FAIL, "check_error")
        assert answer(Not(Careless())) == (Outcome.FAIL, "check_error")
        decision = Policy("made-up", "1", [P, Careless()]).decide(REQUEST)
        assert not decision.allowed
        assert [finding.code for finding in decision.failures] == ["check_error"]
        assert decision.to_document()["decision"] is False


def test_words_of_ones_own_are_used_and_none_are_needed() -> None:
    """A check of one's own is told in its own words, or in general ones."""
    own = Deny("no", code="nope", clauses=("x",), message=Text("No.", "Na."), remedy=Text("A", "B"))
    finding = evaluate(own, REQUEST)
    assert (finding.code, finding.message, finding.remedy) == (
        "nope",
        Text("No.", "Na."),
        Text("A", "B"),
    )
    assert (
        evaluate(Deny("n", code="c", clauses=("x",), message=Text("N", "N")), REQUEST).remedy
        is None
    )
    assert evaluate(F, REQUEST).message == Text(
        "This check did not pass (bad).", "Ni phasiodd y gwiriad hwn (bad)."
    )
    assert evaluate(F, REQUEST).remedy is None
    assert evaluate(W, REQUEST).message.en == "This check passed, with a warning (careful)."
    only_advice = Finding("own", Outcome.FAIL, "bad", advice=Text("Do.", "Gwnewch."))
    assert only_advice.remedy == Text("Do.", "Gwnewch.")


def test_a_policy_has_one_value_of_each_reading() -> None:
    """Two checks that decide by different values of a reading are refused, wherever they stand."""
    inner = AnyOf(TwoFactorCheck(), when(AppliesTo(), Not(ActionCheck("denied"))))
    with pytest.raises(InvalidPolicyError, match=r"readings\.updates_tab: is permitted for one"):
        landlord_portal().with_checks(inner)
    with pytest.raises(InvalidPolicyError, match=r"readings\.updates_tab: is denied for one"):
        landlord_portal(updates_tab="denied").with_checks(Not(ActionCheck()))
    assert (
        landlord_portal(updates_tab="denied").with_checks(inner).readings["updates_tab"] == "denied"
    )


def test_descriptions_tell_different_combinations_apart() -> None:
    """Different checks, order, names and conditions give different digests."""
    one, other = AppliesTo(subject_types=("a",)), AppliesTo(subject_types=("b",))
    different: list[Check] = [
        AllOf(P, F), AllOf(F, P), AnyOf(P, F), Not(P), AllOf(P, F, id="x"), P, when(one, P),
        when(other, P), when(one, when(other, P)), when(other, when(one, P)), when(is_test_run, P),
        TwoFactorCheck(), AllOf(TwoFactorCheck()), WindowCheck(), WindowCheck(hours={"days": (0,)}),
    ]  # fmt: skip
    digests = {Policy("p", "1", [check]).info.digest for check in different}
    assert len(digests) == len(different)


def is_test_run(request: Request) -> bool:
    """Whether a request is a test's."""
    return request.context.mode.value == "test"


class Alarm(Check):
    """A check of one's own whose answer to the future is what it is told."""

    id = "alarm"

    def __init__(self, at: datetime | None) -> None:
        """Name ``at`` as the next change."""
        self.at = at

    def evaluate(self, request: Request) -> Finding:
        """Pass."""
        return self.passed()

    def next_change(self, request: Request) -> datetime | None:
        """Return what it was told."""
        return self.at


@pytest.mark.parametrize("shift", [0, -1])
def test_a_check_that_cannot_say_when_it_changes_makes_no_promise(shift: int) -> None:
    """An allow that a check cannot vouch for holds for no time at all, not for ever."""
    from datetime import timedelta

    policy = landlord_portal().with_checks(Alarm(REQUEST.time + timedelta(hours=shift)))
    decision: Decision = policy.decide(REQUEST)
    assert decision.allowed
    assert decision.valid_until == REQUEST.time


def test_a_reading_use_is_shown_as_it_is_documented() -> None:
    """A reading's document has its name, its value and the others' answers."""
    use = ReadingUse("daily", "london-day", {"24-hours": "pass"})
    assert use.to_document() == {
        "name": "daily", "value": "london-day", "otherwise": {"24-hours": "pass"},
    }  # fmt: skip
