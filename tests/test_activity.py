"""Thresholds of activity: their notation, their order, and how a policy carries them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import limits
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation_rules import InvalidPolicyError, landlord_portal
from automation_rules.activity import (
    MOST,
    MOST_WINDOW,
    Activity,
    ActivityLimits,
    Bounds,
    Threshold,
)
from automation_rules.checks import RoleCheck
from automation_rules.policy import Policy
from automation_rules.policyfile import parse_policy, policy_from_document

UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


@st.composite
def notations(draw: st.DrawFn) -> str:
    """Return a threshold, written in any of the ways that are taken."""
    unit = draw(st.sampled_from(sorted(UNITS)))
    longest = int(MOST_WINDOW.total_seconds()) // UNITS[unit]
    multiple = draw(st.none() | st.integers(1, longest))
    gap, before, after = (draw(st.sampled_from(["", " ", "  "])) for _ in range(3))
    separator = draw(st.sampled_from(["/", " / ", " per "]))
    number = "" if multiple is None else f"{multiple}{gap}"
    plural = draw(st.sampled_from(["", "s"]))
    return f"{before}{draw(st.integers(1, MOST))}{separator}{number}{unit}{plural}{after}"


@given(notations())
def test_a_threshold_means_what_the_library_limits_reads_in_it(text: str) -> None:
    """Whatever is taken, ``limits`` reads the same number and time in it, and in how it is told."""
    threshold = Threshold.parse(text)
    for written in (text, str(threshold)):
        item = limits.parse(written)
        assert (item.amount, item.get_expiry()) == (
            threshold.amount,
            threshold.window.total_seconds(),
        )
    assert Threshold.parse(str(threshold)) == threshold


@pytest.mark.parametrize(
    "text",
    [
        "", "120", "120/", "/minute", "minute", "120 minute", "120perminute", "-1/minute",
        "1.5/minute", "120/fortnight", "120/month", "120/year", "120/Minute", "120/minute; 5/hour",
        "0/minute", "1000000001/minute", "5/0 minutes", "5/32 days", "5/2678401 seconds",
        "\u0665/minute", "120/minute\x00", None, 120, True, ["120/minute"],
    ],
)  # fmt: skip
def test_what_is_no_threshold_is_refused(text: object) -> None:
    """Other notations, other units and numbers out of range say what is wanted."""
    with pytest.raises(ValueError, match="must"):
        Threshold.parse(text)


def test_a_threshold_may_use_its_whole_range() -> None:
    """The longest time and the highest number are taken."""
    assert Threshold.parse("1000000000/31 days").window == MOST_WINDOW
    assert Threshold.parse("1/second").window == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("warn", "pause", "is_first"),
    [
        ("60/minute", "120/minute", True),
        ("119/minute", "120/minute", True),
        ("120/minute", "120/minute", False),
        ("121/minute", "120/minute", False),
        ("120/2 minutes", "120/minute", True),
        ("120/60 seconds", "120/minute", False),
        ("60/second", "120/minute", False),
        ("60/hour", "120/minute", True),
        ("121/hour", "120/minute", False),
    ],
)
def test_a_warning_comes_before_a_pause(warn: str, pause: str, is_first: bool) -> None:
    """Thresholds by which an account could be paused unwarned are refused."""
    thresholds = Threshold.parse(warn), Threshold.parse(pause)
    if is_first:
        assert Bounds(*thresholds).describe() == {"warn": warn, "pause": pause}
    else:
        with pytest.raises(ValueError, match="must warn before it pauses"):
            Bounds(*thresholds)


def test_bounds_that_bound_nothing_are_refused() -> None:
    """Neither a kind of activity nor a monitor can be left without any threshold."""
    with pytest.raises(ValueError, match="warn, pause or both"):
        Bounds()
    with pytest.raises(ValueError, match="must watch something, at least one of requests, "):
        ActivityLimits()


def test_each_kind_of_activity_has_bounds_of_its_own() -> None:
    """Bounds are found by the kind of activity; what has none is not watched."""
    for activity in Activity:
        bounds = Bounds(pause=Threshold(3, "hour"))
        found = ActivityLimits(**{activity.value: bounds})
        assert found.describe() == {activity.value: {"pause": "3/hour"}}
        assert [found.of(other) for other in Activity if other is not activity] == [None] * 4
        assert found.of(activity) is bounds


# --- in a policy ----------------------------------------------------------------------------


def document(**more: Any) -> dict[str, Any]:
    """Return a policy document with ``more``."""
    checks = [{"check": "role"}]
    return {"format": 1, "id": "made-up", "version": "1", "checks": checks, **more}


WATCHED = {
    "requests": {"warn": "60 per minute", "pause": "120/1 minute"},
    "sessions": {"pause": "20/hour"},
}


def test_a_policy_file_carries_the_monitor() -> None:
    """The table ``monitor`` is part of the policy, in both syntaxes, and reads back as itself."""
    policy = policy_from_document(document(monitor=WATCHED))
    assert policy.monitor == ActivityLimits(
        requests=Bounds(Threshold(60, "minute"), Threshold(120, "minute")),
        sessions=Bounds(pause=Threshold(20, "hour")),
    )
    described = policy.describe()
    assert described["monitor"] == {
        "requests": {"warn": "60/minute", "pause": "120/minute"},
        "sessions": {"pause": "20/hour"},
    }
    again = parse_policy(json.dumps(described), "json")
    assert (again.monitor, again.info) == (policy.monitor, policy.info)


def test_a_policy_without_a_monitor_is_what_it_was() -> None:
    """Without the table nothing is watched, and nothing about it is in what identifies it."""
    policy = policy_from_document(document())
    assert policy.monitor is None
    assert "monitor" not in policy.describe()
    assert policy_from_document(document(monitor=WATCHED)).info.digest != policy.info.digest


def test_a_policy_with_more_checks_keeps_its_monitor() -> None:
    """``with_checks`` adds checks and leaves the monitor as it is."""
    watched = ActivityLimits(errors=Bounds(warn=Threshold(1, "hour")))
    policy = Policy("made-up", "1", [RoleCheck()], monitor=watched)
    portal = landlord_portal()
    assert policy.monitor is watched
    more = policy.with_checks(portal.checks[0])
    assert more.monitor is watched
    assert more.info.digest != policy.info.digest


@pytest.mark.parametrize(
    ("monitor", "pointer", "problem"),
    [
        ({}, "/monitor", "must watch something, at least one of requests, errors, "),
        ([], "/monitor", "must be an object"),
        ({"request": {"warn": "1/hour"}}, "/monitor/request", "is no field of this object"),
        ({"requests": "1/hour"}, "/monitor/requests", "must be an object"),
        ({"requests": {}}, "/monitor/requests", "must have warn, pause or both"),
        ({"requests": {"warning": "1/hour"}}, "/monitor/requests/warning", "is no field"),
        ({"errors": {"warn": "often"}}, "/monitor/errors/warn", "must be a number and a time"),
        ({"errors": {"pause": 5}}, "/monitor/errors/pause", "must be a number and a time"),
        ({"errors": {"pause": "0/hour"}}, "/monitor/errors/pause", "must allow at least 1"),
        (
            {"sessions": {"warn": "9/hour", "pause": "5/hour"}},
            "/monitor/sessions",
            "must warn before it pauses",
        ),
    ],
)
def test_what_is_wrong_with_a_monitor_is_told_by_its_place(
    monitor: Any, pointer: str, problem: str
) -> None:
    """A monitor that would watch less than it says is an error at the field."""
    with pytest.raises(InvalidPolicyError) as caught:
        policy_from_document(document(monitor=monitor))
    found = {error.pointer: error.problem for error in caught.value.errors}
    assert problem in found[pointer]


def test_all_errors_of_a_monitor_come_at_once() -> None:
    """Every threshold is looked at, and the checks as well."""
    wrong = {"requests": {"warn": "x", "pause": "y"}, "errors": {}, "sessions": {"warn": "z"}}
    with pytest.raises(InvalidPolicyError) as caught:
        policy_from_document(document(monitor=wrong, checks=[{"check": "rolle"}]))
    assert [error.pointer for error in caught.value.errors] == [
        "/monitor/requests/warn", "/monitor/requests/pause", "/monitor/errors",
        "/monitor/sessions/warn", "/checks/0/check",
    ]  # fmt: skip


def test_the_published_terms_come_with_a_watchful_monitor() -> None:
    """The shipped policy watches all five kinds of activity, and warns before it pauses."""
    watched = landlord_portal().monitor
    assert watched is not None
    for activity in Activity:
        bounds = watched.of(activity)
        assert bounds is not None
        assert bounds.warn is not None
        assert bounds.pause is not None
