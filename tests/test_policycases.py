"""Policy cases as data: what a policy must decide, and what is no case file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation_rules.checks import Check, TwoFactorCheck
from automation_rules.errors import InvalidInputError
from automation_rules.landlord_portal import landlord_portal
from automation_rules.policy import Policy
from automation_rules.policycases import load_cases, merge_patch, parse_cases, run_cases
from automation_rules.testing import allowed_request_document

CASES = Path(__file__).parent / "cases"
GOOD = sorted(path for path in CASES.iterdir() if path.is_file())
BAD = sorted((CASES / "bad").iterdir())
POLICY = landlord_portal()


def case(**parts: Any) -> dict[str, Any]:
    """A file with one case over the allowed request."""
    return {
        "base": allowed_request_document(),
        "cases": [{"name": "one", "decision": True, **parts}],
    }


def differences(document: dict[str, Any], policy: Policy = POLICY) -> list[tuple[str, str, str]]:
    """How the only case of a file differs from what it expects."""
    (result,) = run_cases(parse_cases(document), policy)
    assert result.passed == (not result.differences)
    return [(found.what, found.expected, found.found) for found in result.differences]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_the_published_terms_pass_their_cases(path: Path) -> None:
    """The shipped policy decides every case of this folder as it says."""
    results = list(run_cases(load_cases(path), POLICY))
    assert results
    assert [(result.case.name, result.differences) for result in results if not result.passed] == []


NAMED = {
    "both.toml": ["/cases/0"],
    "empty.toml": ["/cases"],
    "no-reason.toml": ["/cases/0", "/cases/1", "/cases/2/reasons/0"],
    "not-json.json": [""],
    "not-toml.toml": [""],
    "nothing-to-decide.toml": ["/cases/0", "/cases/1", "/cases/1/name"],
    "remove-absent.toml": ["/cases/0/remove/0"],
    "twice.json": ["/cases/0/name"],
    "undecidable.toml": ["/cases/0/patch/context/time"],
    "unknown-check.toml": ["/cases/0/reasons/0/check"],
    "unknown-code.toml": ["/cases/0/reasons/0/code"],
    "unknown-field.toml": ["/cases/0/resons"],
    "unknown-reading.toml": ["/cases/0/readings/bank_holidays"],
}


def test_every_bad_file_has_what_is_wrong_with_it_written_down() -> None:
    """No bad file is left unread."""
    assert [path.name for path in BAD] == sorted(NAMED)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_file_is_refused_by_the_field(path: Path) -> None:
    """What is wrong in a file is an error that names the place, all of them at once."""
    with pytest.raises(InvalidInputError) as raised:
        list(run_cases(load_cases(path), POLICY))
    assert sorted(error.pointer for error in raised.value.errors) == NAMED[path.name]


def test_a_case_that_is_as_expected_has_no_differences() -> None:
    """The allowed request is allowed, for no reason, until closing."""
    assert differences(case(valid_until="2026-06-02T17:00:00Z", next_action="none")) == []


def test_another_decision_is_a_difference_with_both_sides() -> None:
    """What was expected and what was found stand side by side, the reasons too."""
    expected = case(decision=False, reasons=[{"check": "window", "code": "weekend"}])
    assert differences(expected) == [
        ("decision", "denied", "allowed"),
        ("reasons", "window.weekend (fail)", "none"),
    ]


@pytest.mark.parametrize(
    ("part", "difference"),
    [
        ({"clauses": ["when.annual-window"]}, ("clauses", "when.annual-window", "when.core-hours")),
        ({"facts": ["/a"]}, ("facts", "/a", "none")),
        (
            {"reading": {"name": "nation", "value": "union"}},
            ("reading", "name: nation, value: union", "none"),
        ),
    ],
)
def test_the_parts_of_a_reason_are_compared_when_they_are_given(
    part: dict[str, Any], difference: tuple[str, str, str]
) -> None:
    """Check, outcome and code always count; clauses, facts and reading when they are named."""
    saturday = {
        "subject": {"properties": {"sms_code": {"provided_at": "2026-06-06T08:05:00+01:00"}}},
        "context": {"time": "2026-06-06T09:00:00+01:00"},
    }
    reason = {"check": "window", "code": "weekend"}
    assert differences(case(patch=saturday, decision=False, reasons=[reason])) == []
    found = differences(case(patch=saturday, decision=False, reasons=[{**reason, **part}]))
    assert found == [(f"reasons[0].{difference[0]}", *difference[1:])]


@pytest.mark.parametrize(
    ("name", "value", "difference"),
    [
        ("next_action", "retry", ("next_action", "retry", "none")),
        (
            "retry_after",
            "2026-06-02T09:00:00Z",
            ("retry_after", "2026-06-02T10:00:00+01:00", "none"),
        ),
        ("valid_until", "none", ("valid_until", "none", "2026-06-02T18:00:00+01:00")),
        ("obligations", ["manual-code"], ("obligations", "manual-code", "none")),
    ],
)
def test_what_follows_in_time_is_compared_when_it_is_given(
    name: str, value: object, difference: tuple[str, str, str]
) -> None:
    """Each of these has its own difference, in London time."""
    assert differences(case(**{name: value})) == [difference]


def test_reasons_are_exact_and_in_order() -> None:
    """One reason too few, too many or in another place is a difference."""
    patch = {
        "context": {"time": "2026-06-06T09:00:00+01:00"},
        "subject": {"properties": {"two_factor": False}},
    }
    reasons = [
        {"check": "two_factor", "code": "two_factor_off"},
        {"check": "manual_code", "code": "stale_code"},
        {"check": "window", "code": "weekend"},
    ]
    assert differences(case(patch=patch, decision=False, reasons=reasons)) == []
    for other in (reasons[:2], reasons[::-1], [*reasons, reasons[0]]):
        found = differences(case(patch=patch, decision=False, reasons=other))
        assert [what for what, _, _ in found] == ["reasons"]


def test_a_case_decides_by_its_own_readings() -> None:
    """The readings of a case count over those of the policy, for that case only."""
    patch = {"context": {"time": "2026-05-25T09:00:00+01:00"}}
    patch["subject"] = {"properties": {"sms_code": {"provided_at": "2026-05-25T08:05:00+01:00"}}}  # type: ignore[dict-item]
    reason = {"check": "window", "outcome": "pass"}
    parts = {"patch": patch, "readings": {"bank_holidays": "open"}, "reasons": [reason]}
    assert differences(case(**parts)) == []
    assert differences(case(**parts), landlord_portal(bank_holidays="closed")) == []
    assert differences(case(patch=patch, reasons=[reason]))[0] == (
        "decision",
        "allowed",
        "denied",
    )


def test_the_codes_of_narrowed_combined_and_forbidding_checks_are_known() -> None:
    """A deny, a combination, and either of them narrowed, accept their own codes only."""
    words = {"en": "No.", "cy": "Na."}
    deny = {
        "check": "deny",
        "id": "no-tuesdays",
        "code": "tuesday",
        "clauses": ["house"],
        "message": words,
        "applies_to": {"modes": ["live"]},
    }
    either = {"any_of": [{"check": "two_factor"}], "id": "either"}
    document = {"format": 1, "id": "p", "version": "1", "checks": [deny, either]}
    from automation_rules.policyfile import policy_from_document

    policy = policy_from_document(document)
    reason = {"check": "no-tuesdays", "code": "tuesday"}
    assert differences(case(decision=False, reasons=[reason]), policy) == []
    for check, code in (("no-tuesdays", "weekend"), ("either", "two_factor_off")):
        wrong = case(decision=False, reasons=[{"check": check, "code": code}])
        with pytest.raises(InvalidInputError, match="is no code of that check"):
            differences(wrong, policy)


def test_a_check_of_ones_own_may_give_any_code() -> None:
    """What words a check of one's own has is not known, so its codes are not judged."""

    class Own(Check):
        id = "own"

        def evaluate(self, _request: object) -> Any:
            return self.failed("because")

    policy = Policy("mine", "1", [TwoFactorCheck(), Own()])
    assert (
        differences(case(decision=False, reasons=[{"check": "own", "code": "because"}]), policy)
        == []
    )


RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_patches_are_merge_patches(target: Any, patch: Any, result: Any) -> None:
    """Every example of RFC 7396, appendix A."""
    assert merge_patch(target, patch) == result


OBJECTS = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda children: st.dictionaries(st.sampled_from("abc"), children, max_size=3),
    max_leaves=8,
)


@given(OBJECTS, OBJECTS)
def test_a_patch_alters_neither_side_and_once_is_enough(target: Any, patch: Any) -> None:
    """The same patch a second time changes nothing more."""
    before = repr((target, patch))
    once = merge_patch(target, patch)
    assert repr((target, patch)) == before
    assert merge_patch(once, patch) == once
