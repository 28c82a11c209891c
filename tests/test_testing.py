"""The test kit: what it draws, and what its assertions say."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import HealthCheck, find, given, settings

from automation_rules.clock import to_london
from automation_rules.landlord_portal import landlord_portal
from automation_rules.readings import READINGS
from automation_rules.request import Request
from automation_rules.testing import (
    FrozenClock,
    allowed_request_document,
    assert_allowed,
    assert_denied,
    closures,
    in_memory_log,
    instants,
    policies,
    readings,
    request_documents,
    requests,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from automation_rules.policy import Policy
    from automation_rules.windows import Closure

PORTAL = landlord_portal()
QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
FIND = settings(max_examples=5_000, database=None)
Found = TypeVar("Found")


def first_found(strategy: SearchStrategy[Found], condition: Callable[[Found], bool]) -> Found:
    """Find the simplest example; the same for every run, whatever ran before."""
    chance = random.Random(2)  # noqa: S311
    return find(strategy, condition, settings=FIND, random=chance)


def test_the_document_is_allowed_and_fresh_each_time() -> None:
    """The document is allowed, and changing one leaves the next as it was."""
    first = allowed_request_document()
    assert_allowed(PORTAL, first)
    first["subject"]["properties"]["two_factor"] = False
    assert_denied(PORTAL, first, check="two_factor", code="two_factor_off")
    assert_allowed(PORTAL, allowed_request_document())


def test_assertions_take_documents_text_requests_and_decisions() -> None:
    """A policy with a document, JSON text, bytes or a request, or a decision alone, will do."""
    document = allowed_request_document()
    request = Request.from_document(document)
    for form in (document, json.dumps(document), json.dumps(document).encode(), request):
        assert assert_allowed(PORTAL, form).request == request
    decision = PORTAL.decide(request)
    assert assert_allowed(decision) is decision


def test_a_failing_assertion_explains_the_decision() -> None:
    """What was decided, and why, stands in the message of a failed assertion."""
    document = allowed_request_document()
    document["context"]["time"] = "2026-06-06T09:00:00+01:00"
    with pytest.raises(AssertionError, match=r"window\.weekend"):
        assert_allowed(PORTAL, document)
    with pytest.raises(AssertionError, match=r"denied by two_factor\.\*\n(.|\n)*window\.weekend"):
        assert_denied(PORTAL, document, check="two_factor")
    with pytest.raises(AssertionError, match=r"denied by window\.bank_holiday"):
        assert_denied(PORTAL, document, check="window", code="bank_holiday")
    with pytest.raises(AssertionError, match=r"denied by \*\.\*"):
        assert_denied(PORTAL, allowed_request_document())


def test_assertions_refuse_half_a_question() -> None:
    """A policy needs a request, and a decision needs none."""
    decision = PORTAL.decide(Request.from_document(allowed_request_document()))
    with pytest.raises(TypeError, match="give the request"):
        assert_allowed(PORTAL)
    with pytest.raises(TypeError, match="a decision alone"):
        assert_denied(decision, allowed_request_document())


@QUICK
@given(instants())
def test_instants_are_aware_and_in_their_years(at: datetime) -> None:
    """Every instant is in UTC and in one of the London years asked for."""
    assert at.utcoffset() == timedelta(0)
    assert 2024 <= to_london(at).year <= 2028


@pytest.mark.parametrize("day", ["04-01", "05-15", "05-16", "03-29", "10-25", "07-13", "11-30"])
def test_instants_cluster_on_days_that_matter(day: str) -> None:
    """The annual window's ends, clock changes and the holidays of one nation are found."""

    def is_that_day(at: datetime) -> bool:
        return to_london(at).strftime("%m-%d") == day

    assert is_that_day(first_found(instants((2026,)), is_that_day))


@pytest.mark.parametrize("hour", [0, 8, 18])
@pytest.mark.parametrize("step", [-1, 0, 1])
def test_instants_cluster_on_edges(hour: int, step: int) -> None:
    """Midnight, opening and closing are found, and a microsecond to either side of them."""

    def is_there(at: datetime) -> bool:
        local = to_london(at - timedelta(microseconds=step))
        return (local.hour, local.minute, local.second, local.microsecond) == (hour, 0, 0, 0)

    assert is_there(first_found(instants((2026,)), is_there))


@pytest.mark.parametrize("year", [1981, 2100])
def test_instants_reach_the_ends_of_the_calendars(year: int) -> None:
    """The first and the last year known can be drawn from."""
    found = first_found(instants((year,)), lambda at: True)
    assert to_london(found).year == year


@QUICK
@given(closures())
def test_closures_are_in_order(closure: Closure) -> None:
    """A closure begins before it ends."""
    assert closure.start < closure.end


@QUICK
@given(readings())
def test_readings_suit_the_portal(chosen: dict[str, str]) -> None:
    """Any readings drawn make a policy that uses them."""
    assert all(chosen[name] in READINGS[name] for name in chosen)
    assert chosen.items() <= landlord_portal(**chosen).readings.items()


@QUICK
@given(policies(), requests())
def test_policies_decide_requests(policy: Policy, request: Request) -> None:
    """Any policy drawn decides any request drawn, and tells it in both languages."""
    decision = policy.decide(request)
    assert len(decision.findings) in (14, 15)
    assert decision.explain("en") != decision.explain("cy")
    json.dumps(decision.to_document(), allow_nan=False)


def test_requests_are_allowed_and_denied() -> None:
    """Both answers are common among the requests drawn."""

    def is_allowed(request: Request) -> bool:
        return PORTAL.decide(request).allowed

    assert is_allowed(first_found(requests(), is_allowed))
    assert not is_allowed(first_found(requests(), lambda request: not is_allowed(request)))


@QUICK
@given(
    request_documents(
        time=datetime(2026, 4, 4, 3, tzinfo=UTC),
        action="open_todo",
        kind="confirm_housing_costs",
        mode=None,
        nation="scotland",
        expected_duration=None,
        closures=None,
    )
)
def test_fields_of_documents_can_be_fixed(document: dict[str, object]) -> None:
    """A field that is given stands as it was given, and None leaves it out."""
    request = Request.from_document(document)
    assert request.time == datetime(2026, 4, 4, 3, tzinfo=UTC)
    assert request.action.value == "open_todo"  # type: ignore[union-attr]
    assert request.context.expected_duration is None
    assert request.context.closures == ()
    assert json.loads(json.dumps(document)) == document


def test_unknown_fields_are_refused() -> None:
    """A misspelt field is an error, not a field left to chance."""
    with pytest.raises(TypeError, match="tiem is no field"):
        find(request_documents(tiem="2026"), lambda document: True)


def test_the_clock_is_the_frozen_one() -> None:
    """The kit brings the clock that stands still."""
    clock = FrozenClock(datetime(2026, 6, 2, tzinfo=UTC))
    assert clock.now() == clock.now() == datetime(2026, 6, 2, tzinfo=UTC)


def test_a_log_lasts_for_a_test() -> None:
    """A whole log, empty at first, records decisions and is cleared away."""
    decision = PORTAL.decide(Request.from_document(allowed_request_document()))
    with in_memory_log() as log:
        receipts = [log.record(decision, readings=PORTAL.readings) for _ in range(3)]
        assert [receipt.index for receipt in receipts] == [0, 1, 2]
        assert log.head().size == 3
    with in_memory_log() as log:
        assert log.head().size == 0


def test_hypothesis_is_needed_by_the_kit_only() -> None:
    """The library itself never imports Hypothesis."""
    code = "import automation_rules, sys; assert 'hypothesis' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
