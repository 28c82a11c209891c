"""Policies as data: what a file says, and every way in which it can be wrong."""

from __future__ import annotations

import hashlib
import json
from datetime import date, time
from typing import TYPE_CHECKING, Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules import InvalidPolicyError, Policy, Request, Text, load_policy
from automation_rules.checks import STANDARD_CHECKS
from automation_rules.landlord_portal import landlord_portal
from automation_rules.policyfile import parse_policy, policy_from_document
from automation_rules.testing import policies, requests
from patching import patched

if TYPE_CHECKING:
    from pathlib import Path

SATURDAY = Request.from_document(patched({"/context/time": "2026-06-06T09:00:00+01:00"}))


def document(*checks: Any, **more: Any) -> dict[str, Any]:
    """A policy document with those checks."""
    return {"format": 1, "id": "made-up", "version": "1", "checks": list(checks), **more}


def errors_of(found: Any, **readings: str) -> list[tuple[str, str]]:
    """Every error of building a policy, as pointer and problem."""
    with pytest.raises(InvalidPolicyError) as caught:
        policy_from_document(found, **readings)
    return [(error.pointer, error.problem) for error in caught.value.errors]


TOML = """
format = 1
id = "acme"
version = "2026-06"

[title]
en = "Acme's own rules"
cy = "Rheolau Acme ei hun"

[readings]
bank_holidays = "open"

[[checks]]
check = "window"
days = ["saturday"]
opens = 09:00:00
closes = "17:30"
annual_first = "04-02"
annual_last = "05-14"
extra_bank_holidays = [2026-07-01]
removed_bank_holidays = ["2026-08-31"]

[[checks]]
check = "deny"
id = "no-updates"
code = "not_here"
clauses = ["terms.no-other-functions"]
applies_to = { actions = ["view_updates"], modes = ["live"] }
[checks.message]
en = "Not here."
cy = "Nid yma."

[[checks]]
id = "one-of"
any_of = [{ check = "role" }, { not = { check = "two_factor" }, id = "single" }]
applies_to = { subject_types = ["automation_account"], todo_kinds = ["other"] }
"""


def test_a_file_says_everything_that_a_policy_is(tmp_path: Path) -> None:
    """Names, title, readings, hours, combinations, conditions and denials come from the file."""
    path = tmp_path / "acme.toml"
    path.write_text(TOML, encoding="utf-8")
    policy = load_policy(path)
    assert (policy.info.id, policy.info.version) == ("acme", "2026-06")
    assert policy.title == Text("Acme's own rules", "Rheolau Acme ei hun")
    assert policy.readings["bank_holidays"] == "open"
    assert [check.id for check in policy.checks] == ["window", "no-updates", "one-of"]
    window, deny, combined = (check.describe() for check in policy.checks)
    assert window == {
        "check": "window", "days": ["saturday"], "opens": "09:00", "closes": "17:30",
        "annual_first": "04-02", "annual_last": "05-14",
        "extra_bank_holidays": ["2026-07-01"], "removed_bank_holidays": ["2026-08-31"],
    }  # fmt: skip
    assert deny["applies_to"] == {"actions": ["view_updates"], "modes": ["live"]}
    assert combined["any_of"] == [
        {"check": "role"}, {"id": "single", "not": [{"check": "two_factor"}]},
    ]  # fmt: skip


def test_a_json_file_is_read_by_its_name(tmp_path: Path) -> None:
    """A ``.json`` file is JSON, whatever the case of its name; any other is TOML."""
    for name in ("p.json", "P.JSON"):
        path = tmp_path / name
        path.write_text(json.dumps(document({"check": "role"})), encoding="utf-8-sig")
        assert load_policy(str(path)).info.id == "made-up"
    other = tmp_path / "p.conf"
    other.write_bytes(b'\xef\xbb\xbfformat=1\nid="t"\nversion="1"\n[[checks]]\ncheck="role"\n')
    assert load_policy(other).info.id == "t"


def test_readings_given_override_the_files() -> None:
    """What the caller says of a reading counts, what the file says of the others stays."""
    text = TOML.replace("[[checks]]", 'daily = "24-hours"\n\n[[checks]]', 1)
    policy = parse_policy(text, "toml", bank_holidays="closed")
    assert policy.readings["bank_holidays"] == "closed"
    assert parse_policy(text, "toml").readings["bank_holidays"] == "open"


def test_the_hours_of_a_file_are_kept() -> None:
    """A policy's own days and hours decide, to the minute."""
    policy = parse_policy(TOML, "toml")

    def code(at: str) -> str | None:
        finding = policy.decide(Request.from_document(patched({"/context/time": at}))).findings[0]
        return finding.code

    assert code("2026-06-06T09:00:00+01:00") is None
    assert code("2026-06-06T17:29:59+01:00") is None
    assert code("2026-06-06T17:30:00+01:00") == "outside_hours"
    assert code("2026-06-06T08:59:59+01:00") == "outside_hours"
    assert code("2026-06-02T09:00:00+01:00") == "outside_hours"
    assert code("2026-06-07T09:00:00+01:00") == "weekend"
    assert code("2026-04-01T09:00:00+01:00") == "outside_hours"
    assert code("2026-04-02T09:00:00+01:00") == "annual_window_wrong_todo"


def test_a_denial_as_data_forbids_what_it_applies_to() -> None:
    """A ``deny`` with a condition forbids those requests, in its own words."""
    policy = parse_policy(TOML, "toml")
    for name, mode, denied in (
        ("view_updates", "live", True),
        ("view_updates", "test", False),
        ("sign_in", "live", False),
    ):
        changes = {
            "/action/name": name, "/context/mode": mode,
            "/context/time": "2026-06-06T10:00:00+01:00",
        }  # fmt: skip
        decision = policy.decide(Request.from_document(patched(changes)))
        assert decision.allowed is not denied
        if denied:
            (finding,) = decision.failures
            assert (finding.code, finding.message.cy) == ("not_here", "Nid yma.")
            assert finding.remedy is None


@settings(max_examples=50)
@given(policies())
def test_a_described_policy_reads_back_as_itself(policy: Policy) -> None:
    """What identifies a policy is a policy file of it, with the same digest."""
    described = json.loads(json.dumps(policy.describe()))
    assert described["format"] == 1
    combined = [check for check in described["checks"] if "check" not in check]
    if combined:
        assert [set(check) - {"id"} for check in combined] == [{"all_of"}]
    else:
        assert policy_from_document(described).info == policy.info


@settings(max_examples=50)
@given(requests())
def test_toml_and_json_decide_alike(request: Request) -> None:
    """The same policy in either syntax has one digest and gives the same findings."""
    portal = landlord_portal()
    again = parse_policy(json.dumps(portal.describe()), "json")
    assert again.info == portal.info
    assert again.decide(request).findings == portal.decide(request).findings


def test_digests_tell_policies_apart() -> None:
    """Every word of a policy is covered by its digest."""
    base = document({"check": "role"})
    others: list[dict[str, Any]] = [
        base,
        {**base, "id": "b"},
        {**base, "version": "2"},
        {**base, "title": {"en": "a", "cy": "b"}},
        document({"check": "role"}, {"check": "two_factor"}),
        document({"check": "two_factor"}, {"check": "role"}),
        document({"check": "role", "applies_to": {"modes": ["live"]}}),
        document({"check": "manual_code"}),
        document({"check": "manual_code"}, readings={"daily": "24-hours"}),
        document({"check": "window"}),
        document({"check": "window", "opens": "09:00"}),
        document({"check": "window", "opens": "10:00"}),
    ]
    digests = {policy_from_document(other).info.digest for other in others}
    assert len(digests) == len(others)
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


def test_anybody_can_compute_a_digest() -> None:
    """A policy's digest is the SHA-256 of what identifies it, as canonical JSON (RFC 8785)."""
    titled = document({"check": "role"}, title={"en": "Rules of our own", "cy": "Rheolau tŷ"})
    for policy in (landlord_portal(), policy_from_document(titled)):
        canonical = rfc8785.dumps(policy.describe())
        assert policy.info.digest == f"sha256:{hashlib.sha256(canonical).hexdigest()}"


@pytest.mark.parametrize("check", [check.id for check in STANDARD_CHECKS])
def test_every_standard_check_can_stand_in_a_file(check: str) -> None:
    """Each of the fourteen checks is named in a file as the contract names it."""
    (found,) = policy_from_document(document({"check": check})).checks
    assert found.id == check


# fmt: off
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({**document({"check": "role"}), "format": 2}, "/format", "1"),
    ({**document({"check": "role"}), "format": "1"}, "/format", "1"),
    ({**document({"check": "role"}), "id": ""}, "/id", "must not be empty"),
    ({**document({"check": "role"}), "version": 1}, "/version", "must be a string"),
    ({**document({"check": "role"}), "title": {"en": "only"}}, "/title/cy", "is required"),
    ({**document({"check": "role"}), "titel": {}}, "/titel", "is no field of this object"),
    ({**document({"check": "role"}), "readings": []}, "/readings", "must be an object"),
    ({**document({"check": "role"}), "readings": {"dayly": "x"}}, "/readings/dayly", "use one of"),
    ({**document({"check": "role"}), "readings": {"daily": "x"}}, "/readings/daily",
     "must be one of london-day, 24-hours"),
    ({**document({"check": "role"}), "readings": {"daily": ["london-day"]}}, "/readings/daily",
     "must be one of"),
    (document(), "/checks", ""),
    ({**document(), "checks": {}}, "/checks", "must be an array"),
    ({**document(), "checks": None}, "/checks", "is required"),
    (document({"check": "rolle"}), "/checks/0/check", "must be one of landlord, "),
    (document({"check": ["role"]}), "/checks/0/check", "must be one of landlord, "),
    (document({"check": "role", "roles": []}), "/checks/0/roles", "is no field"),
    (document({"check": "role"}, "role"), "/checks/1", "must be a table, not a string"),
    (document({}), "/checks/0", "must have exactly one of"),
    (document({"check": "role", "not": {"check": "role"}}), "/checks/0", "must have exactly one"),
    (document({"check": "role"}, {"check": "role"}), "/checks/1/id", "is taken"),
    (document({"all_of": []}), "/checks/0/all_of", "must hold at least one check"),
    (document({"any_of": []}), "/checks/0/any_of", "must hold at least one check"),
    (document({"any_of": None}), "/checks/0/any_of", "must hold at least one check"),
    (document({"all_of": {"check": "role"}}), "/checks/0/all_of", "must be an array"),
    (document({"all_of": [{"check": "x"}]}), "/checks/0/all_of/0/check", "must be one of"),
    (document({"not": None}), "/checks/0/not", "must be a table, not null"),
    (document({"not": [{"check": "role"}]}), "/checks/0/not", "must be a table, not an array"),
    (document({"not": {"any_of": [{"check": "role", "x": 1}]}}), "/checks/0/not/any_of/0/x",
     "is no field"),
    (document({"all_of": [{"check": "role"}], "clauses": []}), "/checks/0/clauses", "is no field"),
    (document({"check": "deny"}), "/checks/0/id", "is required"),
    (document({"check": "deny", "id": "a", "code": "b", "clauses": [],
               "message": {"en": "x", "cy": "y"}}), "/checks/0/clauses", ""),
    (document({"check": "deny", "id": "a", "code": "b", "clauses": ["c"],
               "message": {"en": "x", "cy": ""}}), "/checks/0/message/cy", "must not be empty"),
    (document({"check": "role", "applies_to": {"action": ["sign_in"]}}),
     "/checks/0/applies_to/action", "is no field"),
    (document({"check": "role", "applies_to": {"actions": ["signin"]}}),
     "/checks/0/applies_to/actions/0", "must be one of sign_in, "),
    (document({"check": "role", "applies_to": {"todo_kinds": ["x"]}}),
     "/checks/0/applies_to/todo_kinds/0", "must be one of provide_tenancy_details, "),
    (document({"check": "role", "applies_to": {"modes": ["x"]}}),
     "/checks/0/applies_to/modes/0", "must be one of live, test"),
    (document({"check": "role", "applies_to": {"subject_types": [""]}}),
     "/checks/0/applies_to/subject_types/0", "must not be empty"),
    (document({"check": "window", "days": []}), "/checks/0/days", ""),
    (document({"check": "window", "days": ["Monday"]}), "/checks/0/days/0", "must be one of"),
    (document({"check": "window", "days": [0]}), "/checks/0/days/0", "must be one of monday"),
    (document({"check": "window", "opens": "8am"}), "/checks/0/opens", "must be a time of day"),
    (document({"check": "window", "opens": "08"}), "/checks/0/opens", "must be a time of day"),
    (document({"check": "window", "opens": "T08:00"}), "/checks/0/opens", "must be a time of day"),
    (document({"check": "window", "opens": "08:00Z"}), "/checks/0/opens", "must be a time of day"),
    (document({"check": "window", "closes": "25:00"}), "/checks/0/closes", "must be a time of day"),
    (document({"check": "window", "closes": 18}), "/checks/0/closes", "must be a time of day"),
    (document({"check": "window", "opens": "18:00", "closes": "08:00"}), "/checks/0", "closes: "),
    (document({"check": "window", "opens": "08:00:30"}), "/checks/0", "whole minutes"),
    (document({"check": "window", "opens": "01:30"}), "/checks/0", "when the clocks change"),
    (document({"check": "window", "annual_first": "4-1"}), "/checks/0/annual_first", "month and"),
    (document({"check": "window", "annual_first": "W14-1"}), "/checks/0/annual_first", "month and"),
    (document({"check": "window", "annual_last": "02-30"}), "/checks/0/annual_last", "month and"),
    (document({"check": "window", "annual_last": "02-29"}), "/checks/0", "in every year"),
    (document({"check": "window", "extra_bank_holidays": ["2026-02-29"]}),
     "/checks/0/extra_bank_holidays/0", "is no date"),
    (document({"check": "window", "extra_bank_holidays": ["1900-01-01"]}), "/checks/0", "1900"),
    (document({"check": "window", "extra_bank_holidays": ["2026-01-02"],
               "removed_bank_holidays": ["2026-01-02"]}), "/checks/0", "both extra and removed"),
    (document({"check": "window", "nation": "scotland"}), "/checks/0/nation", "is no field"),
]
# fmt: on


@pytest.mark.parametrize(("found", "pointer", "problem"), WRONG)
def test_what_is_wrong_is_told_by_its_place(
    found: dict[str, Any], pointer: str, problem: str
) -> None:
    """A policy that cannot be used is an error at the field, never a policy that is weaker."""
    problems = dict(errors_of(found))
    assert pointer in problems
    assert problem in problems[pointer]


def test_all_errors_come_at_once() -> None:
    """Header, readings and checks are all looked at, however many are wrong."""
    found = document(
        {"check": "rol"},
        {"all_of": [{"check": "a"}, {"any_of": []}, {"check": "role", "x": 1}]},
        {"check": "window", "days": ["x"], "opens": "y"},
        {"check": "role"},
        readings={"a": "b", "daily": "c"},
        id=7,
        extra=1,
    )
    assert [pointer for pointer, _ in errors_of(found, nation="wales")] == [
        "/id", "/extra", "/readings/a", "/readings/nation", "/readings/daily",
        "/checks/0/check", "/checks/1/all_of/0/check", "/checks/1/all_of/1/any_of",
        "/checks/1/all_of/2/x", "/checks/2/days/0", "/checks/2/opens",
    ]  # fmt: skip


def test_deep_nesting_is_refused() -> None:
    """A combination of combinations without end is an error, not a crash."""
    check: dict[str, Any] = {"check": "role"}
    for _ in range(16):
        check = {"not": check}
    assert policy_from_document(document(check)).checks
    ((pointer, problem),) = errors_of(document({"not": check}))
    assert pointer == "/checks/0" + "/not" * 17
    assert problem == "is nested more than 16 levels deep"


@pytest.mark.parametrize("found", [None, [], "x", 7])
def test_a_policy_is_an_object(found: Any) -> None:
    """Anything else is an error of the whole document."""
    assert errors_of(found)[0] == ("", "must be an object")


@pytest.mark.parametrize(
    ("data", "syntax", "problem"),
    [
        (b"id = ", "toml", "is not TOML"),
        (b"a = 1\na = 2", "toml", "is not TOML"),
        (b"\xff", "toml", "is not UTF-8 text"),
        (b"x = " + b"[" * 10_000, "toml", "is not TOML"),
        (b"{", "json", "is not JSON"),
        (b'{"id": "a", "id": "b"}', "json", "stands twice"),
        (b"\xff", "json", "is not UTF-8 text"),
    ],
)
def test_text_that_cannot_be_read_is_refused(data: bytes, syntax: Any, problem: str) -> None:
    """What is not TOML, or not JSON, is an invalid policy that says so."""
    with pytest.raises(InvalidPolicyError, match=problem):
        parse_policy(data, syntax)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """A missing file and a directory are invalid policies that name the path."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(InvalidPolicyError, match="cannot be read") as caught:
            load_policy(path)
        assert str(path) in str(caught.value)


def test_toml_dates_and_times_are_taken() -> None:
    """TOML's own days and times of day are as good as text."""
    window = {"check": "window", "opens": time(9), "extra_bank_holidays": [date(2026, 7, 1)]}
    as_text = {"check": "window", "opens": "09:00", "extra_bank_holidays": ["2026-07-01"]}
    digests = [policy_from_document(document(w)).info.digest for w in (window, as_text)]
    assert digests[0] == digests[1]


FUZZ = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.floats(),
    lambda child: (
        st.lists(child, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["check", "all_of", "any_of", "not", "id", "applies_to", "days", "opens", "x"]
            ),
            child | st.sampled_from(["window", "role", "deny"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.lists(FUZZ, max_size=3), st.dictionaries(st.text(max_size=3), FUZZ, max_size=2))
def test_any_document_is_a_policy_or_an_error(checks: list[Any], more: dict[str, Any]) -> None:
    """Anything at all makes a policy that decides, or an invalid policy with named errors."""
    try:
        policy = policy_from_document({**document(*checks), **more})
    except InvalidPolicyError as error:
        named = bool(error.errors)
    else:
        named = True
        assert policy.decide(SATURDAY).to_document()
    assert named
