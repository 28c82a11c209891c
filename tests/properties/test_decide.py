"""Deciding, for any policy and any request that the test kit draws."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules import Outcome, Request, landlord_portal
from automation_rules.readings import READINGS
from automation_rules.testing import policies, readings, request_documents, requests
from automation_rules.texts import load

if TYPE_CHECKING:
    from datetime import tzinfo

    from automation_rules import Decision, Policy

ZONES = st.one_of(
    st.sampled_from(
        [UTC, *map(ZoneInfo, ("Europe/London", "Pacific/Apia", "America/St_Johns", "Asia/Kolkata"))]
    ),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


def told(decision: Decision) -> dict[str, Any]:
    """The decision's document without its random identifier."""
    document = decision.to_document()
    del document["context"]["decision_id"]
    return document


@given(policies(), requests(), ZONES)
def test_one_instant_decides_the_same_in_any_zone(
    policy: Policy, request: Request, zone: tzinfo
) -> None:
    """The zone that an instant is written in changes nothing at all."""
    there = request.at(request.time.astimezone(zone))
    assert told(policy.decide(there)) == told(policy.decide(request))


@given(policies(), request_documents(), ZONES)
def test_one_document_decides_the_same_in_any_zone(
    policy: Policy, document: dict[str, Any], zone: tzinfo
) -> None:
    """A document whose instants are written in another zone is the same document."""
    moved = copy.deepcopy(document)
    time = Request.from_document(document).time.astimezone(zone)
    if (time.utcoffset() or timedelta()).total_seconds() % 60:
        return
    moved["context"]["time"] = time.isoformat()
    assert told(policy.decide(Request.from_document(moved))) == told(
        policy.decide(Request.from_document(document))
    )


@given(policies(), requests())
def test_deciding_is_pure(policy: Policy, request: Request) -> None:
    """Asked again, in another order, after other questions, the answer is the same."""
    first = policy.decide(request)
    later = policy.decide(request.at(request.time + timedelta(hours=1)))
    again = policy.decide(request)
    assert first == again
    assert told(again) == told(first)
    assert later.request.time != first.request.time
    assert told(first) == told(policy.decide(Request(**_parts(request))))


@cache
def portal(**chosen: str) -> Policy:
    """The published terms under those readings."""
    return landlord_portal(**chosen)


def _parts(request: Request) -> dict[str, Any]:
    names = ("subject", "action", "resource", "context", "facts", "ignored")
    return {name: getattr(request, name) for name in names}


@given(request_documents())
def test_reading_a_document_leaves_it_as_it_was(document: dict[str, Any]) -> None:
    """A request read from a dict, its JSON text or bytes is the same, and the dict is untouched."""
    before = copy.deepcopy(document)
    request = Request.from_document(document)
    assert document == before
    text = json.dumps(document)
    assert Request.from_document(text) == Request.from_document(text.encode()) == request


@given(policies(), requests())
def test_a_decision_is_what_its_findings_say(policy: Policy, request: Request) -> None:
    """Allowed is: nothing fails and something passes; and only what must be told is listed."""
    decision = policy.decide(request)
    outcomes = [finding.outcome for finding in decision.findings]
    assert decision.allowed == (
        Outcome.FAIL not in outcomes and bool({Outcome.PASS, Outcome.WARN} & set(outcomes))
    )
    assert [finding.check for finding in decision.findings] == [c.id for c in policy.checks]
    assert all(finding.code != "check_error" for finding in decision.findings)
    for finding in decision.findings:
        assert (finding.code is not None) == (finding.outcome in {Outcome.FAIL, Outcome.WARN})
        assert (finding.code == "missing_fact") == bool(finding.facts)
        told_of = finding in decision.reasons
        assert told_of or finding.outcome in {Outcome.PASS, Outcome.NOT_APPLICABLE}
    document = decision.to_document()
    listed = decision.findings if request.context.explain else decision.reasons
    assert [r["check"] for r in document["context"]["reasons"]] == [f.check for f in listed]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


DECISION = jsonschema.Draft202012Validator(load("decision.schema.json"))


@given(policies(), requests(), st.sampled_from(["claimed", "registry"]), st.booleans())
def test_every_decision_suits_the_schema(
    policy: Policy,
    request: Request,
    facts: Literal["claimed", "registry"],
    explain: bool,
) -> None:
    """Every answer is valid by the JSON Schema of decisions that ships."""
    asked = replace(request, facts=facts, context=replace(request.context, explain=explain))
    DECISION.validate(policy.decide(asked).to_document())


@settings(max_examples=80, deadline=None)
@given(readings(), requests())
def test_other_readings_answer_as_they_are_said_to(
    chosen: dict[str, str], request: Request
) -> None:
    """For every reading, deciding by another value gives what the finding said it would.

    And where a finding names no reading, no other value of any reading changes the answer, but for
    those in use, who are some of those that exist.
    """
    decision = portal(**chosen).decide(request)
    for name, values in READINGS.items():
        own = decision.decider.readings[name]  # type: ignore[attr-defined]
        for value in values:
            if value == own:
                continue
            other = portal(**{**chosen, name: value}).decide(request)
            for mine, theirs in zip(decision.findings, other.findings, strict=True):
                uses = {use.name: use.otherwise for use in mine.readings}
                answer = theirs.code if theirs.outcome is Outcome.FAIL else "pass"
                if name in uses:
                    assert uses[name][value] == answer
                elif mine.check != "account_limit" or answer != "missing_fact":
                    assert answer == (mine.code if mine.outcome is Outcome.FAIL else "pass")
