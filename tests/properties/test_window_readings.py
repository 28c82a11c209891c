"""The check of the hours under a policy's own hours: what it says of other readings is so."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules import Outcome, Request
from automation_rules.checks import WindowCheck
from automation_rules.readings import READINGS
from automation_rules.testing import allowed_request_document, instants, requests

NAMES = ("bank_holidays", "nation", "annual_scope", "test_runs")
READ = st.fixed_dictionaries({name: st.sampled_from(READINGS[name]) for name in NAMES})
DAYS = st.sampled_from([date(2026, 4, 3), date(2026, 6, 2), date(2026, 7, 13), date(2026, 11, 30)])
HOURS = st.fixed_dictionaries(
    {},
    optional={
        "days": st.sampled_from([(0, 1, 2, 3, 4, 5, 6), (5, 6), (0, 3)]),
        "opens": st.sampled_from([time(0), time(6, 30)]),
        "closes": st.sampled_from([time(0), time(23, 59), time(12)]),
        "annual_first": st.sampled_from([(3, 28), (12, 20)]),
        "annual_last": st.sampled_from([(1, 2), (5, 25)]),
        "extra": st.tuples(DAYS),
    },
)
ASKED = requests(
    time=instants((2026,)),
    action="open_todo",
    expected_duration=st.sampled_from([None, "PT2M", "PT18H", "P1D", "P4D", "P60D"]),
    nation=st.sampled_from([None, None, "scotland"]),
)


def check_readings(chosen: dict[str, str], hours: dict[str, Any], request: Request) -> None:
    """Every other value of every reading answers as the finding says it would."""

    def answer(**readings: str) -> str:
        finding = WindowCheck(**{**chosen, **readings}, hours=hours).evaluate(request)
        return (finding.code or "") if finding.outcome is Outcome.FAIL else "pass"

    finding = WindowCheck(**chosen, hours=hours).evaluate(request)
    uses = {use.name: dict(use.otherwise) for use in finding.readings}
    for name in NAMES:
        others = {v: answer(**{name: v}) for v in READINGS[name] if v != chosen[name]}
        assert uses.get(name, dict.fromkeys(others, answer())) == others
    assert list(uses) == [name for name in NAMES if name in uses]


@settings(max_examples=30, deadline=None)
@given(READ, HOURS, ASKED)
def test_other_readings_of_the_hours_answer_as_they_are_said_to(
    chosen: dict[str, str], hours: dict[str, Any], request: Request
) -> None:
    """Whatever days and hours a policy has, and however far the work reaches."""
    check_readings(chosen, hours, request)


@pytest.mark.exhaustive
@settings(max_examples=5_000, deadline=None)
@given(READ, HOURS, ASKED)
def test_other_readings_of_the_hours_answer_so_for_long(
    chosen: dict[str, str], hours: dict[str, Any], request: Request
) -> None:
    """The same, with many more examples."""
    check_readings(chosen, hours, request)


def test_work_into_the_next_day_rests_on_the_readings_of_that_day() -> None:
    """Work begun on a day that no reading contests, and ending on one, names the reading."""
    # The last hour before Saint Andrew's Day, a bank holiday in Scotland only.
    document = {
        **allowed_request_document(),
        "context": {"time": "2026-11-29T23:00:00Z", "expected_duration": "PT2H"},
    }
    round_the_clock = {"days": range(7), "opens": time(0), "closes": time(0)}
    check = WindowCheck(nation="england-and-wales", hours=round_the_clock)
    finding = check.evaluate(Request.from_document(document))
    assert finding.outcome is Outcome.PASS
    (use,) = finding.readings
    assert use.name == "nation"
    assert dict(use.otherwise) == {
        "union": "insufficient_time_left",
        "scotland": "insufficient_time_left",
        "northern-ireland": "pass",
    }
