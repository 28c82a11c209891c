"""When to ask again, and for how long an answer holds, against asking at every instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from automation_rules import Outcome, landlord_portal
from automation_rules.testing import instants, policies, readings, request_documents, requests

if TYPE_CHECKING:
    from automation_rules import Policy, Request

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
FILTERING = [HealthCheck.filter_too_much, HealthCheck.too_slow]


def window_passes(policy: Policy, request: Request, at: datetime) -> bool:
    """Whether the check ``window`` does not fail at that instant."""
    (window,) = (check for check in policy.checks if check.id == "window")
    return window.evaluate(request.at(at)).outcome is not Outcome.FAIL


def check_retry(policy: Policy, request: Request, sampled: st.DataObject | None) -> None:
    """At ``retry_after`` the window passes, and at no earlier instant that is tried."""
    decision = policy.decide(request)
    if [finding.check for finding in decision.failures] != ["window"]:
        assert decision.retry_after is None
        return
    last = request.time + timedelta(days=400)
    retry = decision.retry_after
    if retry is not None:
        assert request.time < retry <= last
        assert window_passes(policy, request, retry)
        assert not window_passes(policy, request, retry - TICK)
    end = last if retry is None else retry - TICK
    minutes = int((end - request.time) / MINUTE)
    if sampled is None:
        tried = [request.time + n * MINUTE for n in range(minutes + 1)]
    else:
        hours = range(0, minutes + 1, 61)
        some = sampled.draw(st.lists(st.integers(0, max(minutes, 0)), max_size=20))
        tried = [request.time + n * MINUTE for n in (*hours, *some)]
    passing = [at for at in tried if at <= end and window_passes(policy, request, at)]
    assert passing == []


LONG = [None, "PT2M", "PT10H", "PT10H0.000001S", "P1D", "P44DT23H", "P45D", "P46D"]


@settings(max_examples=40, suppress_health_check=FILTERING, deadline=None)
@given(readings(), requests(mode="live", expected_duration=st.sampled_from(LONG)), st.data())
def test_retry_after_is_the_first_instant_that_passes(
    chosen: dict[str, str], request: Request, data: st.DataObject
) -> None:
    """With closures, durations, holidays, clock changes and year ends, each hour is tried."""
    check_retry(landlord_portal(**chosen), request, data)


@pytest.mark.exhaustive
@settings(max_examples=200, suppress_health_check=FILTERING, deadline=None)
@given(readings(), requests(expected_duration=st.sampled_from(LONG)))
def test_retry_after_is_the_first_minute_that_passes(
    chosen: dict[str, str], request: Request
) -> None:
    """Each minute before is tried."""
    check_retry(landlord_portal(**chosen), request, None)


def check_validity(policy: Policy, request: Request, sampled: st.DataObject | None) -> None:
    """Allowed at every instant tried until ``valid_until``, and not at it."""
    decision = policy.decide(request)
    if not decision.allowed:
        assert decision.valid_until is None
        return
    until = decision.valid_until
    if until is not None:
        assert request.time < until
        assert not policy.decide(request.at(until)).allowed
        assert policy.decide(request.at(until - TICK)).allowed
    end = request.time + timedelta(days=50) if until is None else until
    minutes = int((end - request.time) / MINUTE)
    if sampled is None:
        tried = [request.time + n * MINUTE for n in range(minutes)]
    else:
        some = sampled.draw(st.lists(st.integers(0, minutes), max_size=20))
        tried = [request.time + n * MINUTE for n in (*range(0, minutes, 61), *some)]
    assert [at for at in tried if at < end and not policy.decide(request.at(at)).allowed] == []


@settings(max_examples=60, suppress_health_check=FILTERING, deadline=None)
@given(policies(), requests(), st.data())
def test_valid_until_is_the_first_instant_that_is_denied(
    policy: Policy, request: Request, data: st.DataObject
) -> None:
    """Every hour until then is allowed, and the last microsecond; the instant itself is not."""
    check_validity(policy, request, data)


@pytest.mark.exhaustive
@settings(max_examples=1_500, suppress_health_check=FILTERING, deadline=None)
@given(policies(), requests())
def test_valid_until_is_the_first_minute_that_is_denied(policy: Policy, request: Request) -> None:
    """Every minute until then is allowed."""
    check_validity(policy, request, None)


@settings(max_examples=60, suppress_health_check=FILTERING)
@given(readings(), requests())
def test_obligations_are_what_the_retry_needs(chosen: dict[str, str], request: Request) -> None:
    """With its obligations met, the request is allowed at ``retry_after``; without, it is not."""
    policy = landlord_portal(**chosen)
    decision = policy.decide(request)
    assume(decision.retry_after is not None)
    assert decision.retry_after is not None
    failing = policy.decide(request.at(decision.retry_after)).failures
    needed = {finding.check for finding in failing} & {"manual_code"}
    assert {duty.id for duty in decision.obligations} == {c.replace("_", "-") for c in needed}


@settings(max_examples=60)
@given(request_documents(time=instants((2026,)), action="sign_in", mode="live"), st.data())
def test_at_keeps_the_question(document: dict[str, object], data: st.DataObject) -> None:
    """The same question at another instant differs in nothing but the instant."""
    from automation_rules import Request

    request = Request.from_document(document)
    at = data.draw(instants())
    later = request.at(at)
    assert later.time == at.astimezone(UTC)
    assert later.at(request.time) == request
    assert (later.subject, later.action, later.resource) == (
        request.subject, request.action, request.resource,
    )  # fmt: skip
