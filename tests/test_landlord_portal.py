"""The shipped policy: the published terms, as data."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from automation_rules import InvalidPolicyError, landlord_portal
from automation_rules.checks import STANDARD_CHECKS
from automation_rules.landlord_portal import landlord_portal_text
from automation_rules.policyfile import parse_policy
from automation_rules.readings import DEFAULT_READINGS, READINGS
from automation_rules.testing import assert_allowed, assert_denied
from automation_rules.windows import ANNUAL_FIRST, ANNUAL_LAST
from patching import patched

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_check.py"


def test_the_published_terms_are_the_fourteen_checks() -> None:
    """The shipped policy asks every check, in the order in which decisions list them."""
    policy = landlord_portal()
    assert [type(check) for check in policy.checks] == list(STANDARD_CHECKS)
    assert policy.info.id == "landlord-portal"
    assert policy.title is not None


def test_the_defaults_of_the_readings_are_the_cautious_ones() -> None:
    """The file says each reading's default itself, and ``landlord_portal()`` uses it."""
    assert dict(landlord_portal().readings) == dict(DEFAULT_READINGS)
    assert tomllib.loads(landlord_portal_text())["readings"] == dict(DEFAULT_READINGS)
    assert {name: values[0] for name, values in READINGS.items()} == {
        "bank_holidays": "closed",
        "nation": "union",
        "annual_scope": "annual-rent-change",
        "at_a_time": "registered",
        "daily": "london-day",
        "test_runs": "keep-hours",
        "updates_tab": "permitted",
        "identity_pattern": "name-and-automation",
    }


@pytest.mark.parametrize(("name", "values"), READINGS.items())
def test_every_reading_can_be_given(name: str, values: tuple[str, ...]) -> None:
    """Each value of each reading makes a policy that uses it, and that has its own digest."""
    digests = set()
    for value in values:
        policy = landlord_portal(**{name: value})
        assert policy.readings == {**DEFAULT_READINGS, name: value}
        digests.add(policy.info.digest)
    assert len(digests) == len(values)


def test_unknown_readings_and_values_are_refused_together() -> None:
    """A misspelt reading is an error that names what there is, never the default."""
    with pytest.raises(InvalidPolicyError) as caught:
        landlord_portal(bank_holiday="open", daily="48-hours")
    assert [error.pointer for error in caught.value.errors] == [
        "/readings/bank_holiday", "/readings/daily",
    ]  # fmt: skip


def test_the_file_says_the_published_hours_that_are_the_library_s_defaults() -> None:
    """The hours stand in the file, and are the ones that windows take when nothing is said."""
    (window,) = (c for c in tomllib.loads(landlord_portal_text())["checks"] if len(c) > 1)
    assert window["annual_first"] == f"{ANNUAL_FIRST[0]:02}-{ANNUAL_FIRST[1]:02}"
    assert window["annual_last"] == f"{ANNUAL_LAST[0]:02}-{ANNUAL_LAST[1]:02}"
    assert (window["opens"], window["closes"]) == ("08:00", "18:00")
    assert window["days"] == ["monday", "tuesday", "wednesday", "thursday", "friday"]


def test_a_date_is_changed_in_the_file_alone() -> None:
    """A one-off bank holiday is one line of the file."""
    text = landlord_portal_text().replace(
        "extra_bank_holidays = []", 'extra_bank_holidays = ["2026-06-02"]'
    )
    decision = assert_denied(parse_policy(text, "toml"), patched({}), code="bank_holiday")
    assert [finding.check for finding in decision.failures] == ["window"]
    assert_allowed(landlord_portal(), patched({}))


def test_a_policy_is_made_anew_each_time() -> None:
    """Two policies of the same terms have one digest and share nothing that could change."""
    one, other = landlord_portal(), landlord_portal()
    assert one is not other
    assert one.info == other.info


def test_the_example_of_ones_own_check_works() -> None:
    """The check in the examples joins the published terms, in no more than ten lines."""
    policy = runpy.run_path(str(EXAMPLE))["POLICY"]
    noon = {"/context/time": "2026-06-02T12:00:00+01:00"}
    assert_denied(policy, patched(noon), check="lunch_break", code="resting")
    decision = assert_allowed(policy, patched({}))
    assert decision.to_document()["context"]["valid_until"] == "2026-06-02T12:00:00+01:00"
    assert len(policy.checks) == 15
    source = EXAMPLE.read_text(encoding="utf-8")
    body = source[source.index("class ") : source.index("POLICY =")].splitlines()
    lines = [line for line in body if line.strip() and not line.strip().startswith('"""')]
    assert len(lines) <= 10


def test_the_example_runs_as_a_program() -> None:
    """Run by itself, the example explains three decisions."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE)], check=True, capture_output=True, text=True
    )
    assert done.stdout.count("Allowed") == 2
    assert "lunch_break.resting" in done.stdout
