"""Deciding: all checks, in order, by nothing but the request; and what follows in time."""

from __future__ import annotations

import uuid
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from automation_rules import (
    AllOf,
    Check,
    Finding,
    InvalidPolicyError,
    Obligation,
    Policy,
    PortalHours,
    Request,
    landlord_portal,
    when,
)
from automation_rules.checks import STANDARD_CHECKS, SuspensionCheck, TwoFactorCheck, WindowCheck
from patching import ABSENT, patched

PORTAL = landlord_portal()
ALLOWED = Request.from_document(patched({}))
TIME = "/context/time"
CODE = "/subject/properties/sms_code"
TICK = timedelta(microseconds=1)


def request_at(at: str, **changes: object) -> Request:
    """The allowed request at that instant, with a code that was supplied then."""
    return Request.from_document(
        patched({TIME: at, f"{CODE}/provided_at": at, **{f"/{k}": v for k, v in changes.items()}})
    )


def instant(text: str) -> datetime:
    """An instant from text."""
    return datetime.fromisoformat(text)


def closed(until: str) -> dict[str, str]:
    """A closure from the beginning of June 2026."""
    return {"from": "2026-06-01T00:00:00Z", "to": until}


class Raises(Check):
    """A check that raises, with something in the message that must not be told."""

    id = "raises"

    def __init__(self, error: BaseException) -> None:
        """Raise ``error`` when asked."""
        self.error = error

    def evaluate(self, request: Request) -> Finding:
        """Raise."""
        raise self.error


def test_all_checks_are_evaluated_in_their_order() -> None:
    """Every decision holds one finding of each check, whatever the others found."""
    expected = [check.id for check in STANDARD_CHECKS]
    bare = {
        "subject": {"type": "person", "id": "p"},
        "action": {"name": ""},
        "resource": {"type": "", "id": ""},
        "context": {"time": "2026-06-06T03:00:00Z"},
    }
    for request in (ALLOWED, Request.from_document(bare)):
        assert [finding.check for finding in PORTAL.decide(request).findings] == expected


@pytest.mark.parametrize("error", [ValueError("secret"), RecursionError("secret"), KeyError("s")])
def test_a_check_that_raises_denies_and_says_so(error: Exception) -> None:
    """An error in a check is a failed finding that hides what the error said."""
    decision = PORTAL.with_checks(Raises(error)).decide(ALLOWED)
    assert not decision.allowed
    (finding,) = decision.failures
    assert (finding.check, finding.code) == ("raises", "check_error")
    assert "secret" not in f"{decision.to_document()} {decision.explain()} {decision!r}"
    assert decision.next_action == "none"


def test_an_interrupt_is_no_error_of_a_check() -> None:
    """Stopping the program stops it."""
    with pytest.raises(KeyboardInterrupt):
        PORTAL.with_checks(Raises(KeyboardInterrupt())).decide(ALLOWED)


def test_a_policy_that_has_nothing_to_say_denies() -> None:
    """When no check applies the request is denied, and the decision says why."""
    policy = Policy("made-up", "1", [when(lambda request: False, TwoFactorCheck())])
    decision = policy.decide(ALLOWED)
    assert not decision.allowed
    assert [finding.code for finding in decision.reasons] == ["nothing_applied"]
    assert decision.to_document()["context"]["reasons"][0]["check"] == "policy"
    assert decision.explain("cy")
    assert decision.next_action == "none"


def test_a_policy_needs_a_name_a_version_and_checks_of_different_names() -> None:
    """Everything wrong with a policy is told at once."""
    with pytest.raises(InvalidPolicyError) as caught:
        Policy("", "", [])
    assert [error.pointer for error in caught.value.errors] == ["/id", "/version", "/checks"]
    with pytest.raises(InvalidPolicyError) as caught:
        Policy("a", "1", [TwoFactorCheck(), WindowCheck(), TwoFactorCheck()])
    assert [error.pointer for error in caught.value.errors] == ["/checks/2/id"]
    with pytest.raises(InvalidPolicyError, match="two_factor"):
        PORTAL.with_checks(TwoFactorCheck())


def test_further_checks_come_after_and_leave_the_first_policy_alone() -> None:
    """A policy is a value: adding makes another, with another digest, under the name given."""
    stricter = PORTAL.with_checks(Raises(ValueError()), id="stricter")
    assert [check.id for check in stricter.checks] == [*(c.id for c in PORTAL.checks), "raises"]
    assert (stricter.info.id, stricter.info.version) == ("stricter", PORTAL.info.version)
    assert stricter.info.digest != PORTAL.info.digest
    assert len(PORTAL.checks) == 14
    assert PORTAL.with_checks().info == PORTAL.info
    assert repr(stricter) == f"<Policy stricter {PORTAL.info.version}: 15 checks>"


def test_a_decision_has_one_random_identifier() -> None:
    """The identifier is a version 4 UUID, the same at every reading, another per decision."""
    one, other = PORTAL.decide(ALLOWED), PORTAL.decide(ALLOWED)
    assert one.decision_id == one.decision_id == one.to_document()["context"]["decision_id"]
    assert uuid.UUID(one.decision_id).version == 4
    assert one.decision_id != other.decision_id


def test_the_document_of_an_allow() -> None:
    """An allow answers with the policy, the instant on London's clocks and until when it holds."""
    document = PORTAL.decide(ALLOWED).to_document()
    context = document["context"]
    assert document["decision"] is True
    assert context["evaluated_at"] == "2026-06-02T09:00:00+01:00"
    assert context["policy"] == {
        "id": "landlord-portal", "version": PORTAL.info.version, "digest": PORTAL.info.digest,
    }  # fmt: skip
    assert context["reasons"] == []
    assert context["facts"] == "claimed"
    assert context["next_action"] == "none"
    assert context["retry_after"] is None
    assert context["valid_until"] == "2026-06-02T18:00:00+01:00"
    assert context["obligations"] == []
    assert "ignored" not in context


def test_the_document_of_a_denial_by_the_hours() -> None:
    """A denial that waiting helps says when, and that a person must type in a code again."""
    decision = PORTAL.decide(request_at("2026-06-06T09:00:00+01:00"))
    context = decision.to_document()["context"]
    assert context["next_action"] == "retry"
    assert context["retry_after"] == "2026-06-08T08:00:00+01:00"
    assert context["obligations"] == [{"id": "manual-code", "type": "step-up"}]
    assert context["valid_until"] is None
    (reason,) = context["reasons"]
    assert (reason["check"], reason["outcome"], reason["code"]) == ("window", "fail", "weekend")
    assert reason["clauses"] == ["when.core-hours"]
    assert reason["reading"] is None
    assert set(reason) == {"check", "outcome", "code", "clauses", "message", "remedy", "reading"}


@pytest.mark.parametrize(
    ("at", "changes", "expected"),
    [
        ("2026-06-02T07:59:59.999999+01:00", {}, "2026-06-02T08:00:00+01:00"),
        ("2026-06-05T18:00:00+01:00", {}, "2026-06-08T08:00:00+01:00"),
        ("2026-12-24T18:00:00+00:00", {}, "2026-12-29T08:00:00+00:00"),
        ("2027-12-31T18:00:00+00:00", {}, "2028-01-04T08:00:00+00:00"),
        ("2026-03-28T09:00:00+00:00", {}, "2026-03-30T08:00:00+01:00"),
        ("2026-10-24T09:00:00+01:00", {}, "2026-10-26T08:00:00+00:00"),
        (
            "2026-03-28T09:00:00+00:00",
            {"resource/properties/kind": "confirm_housing_costs"},
            "2026-03-30T08:00:00+01:00",
        ),
        (
            "2026-03-31T18:00:00+01:00",
            {"resource/properties/kind": "confirm_housing_costs"},
            "2026-04-01T00:00:00+01:00",
        ),
        ("2026-06-02T17:30:00+01:00", {"context/expected_duration": "PT31M"},
         "2026-06-03T08:00:00+01:00"),
        ("2026-06-02T09:00:00+01:00", {"context/expected_duration": "PT11H"}, None),
        (
            "2026-06-02T09:00:00+01:00",
            {
                "context/expected_duration": "PT11H",
                "resource/properties/kind": "confirm_housing_costs",
            },
            "2027-04-01T00:00:00+01:00",
        ),
        (
            "2026-06-02T09:00:00+01:00",
            {"context/closures": [closed("2026-06-04T12:34:56.7Z")]},
            "2026-06-04T13:34:56.700000+01:00",
        ),
        (
            "2026-06-02T09:00:00+01:00",
            {"context/closures": [closed("2027-07-07T08:00:00Z")]},
            "2027-07-07T09:00:00+01:00",
        ),
        (
            "2026-06-02T09:00:00+01:00",
            {"context/closures": [closed("2027-07-07T08:00:00.000001Z")]},
            None,
        ),
    ],
)  # fmt: skip
def test_retry_after_is_the_first_instant_that_helps(
    at: str, changes: dict[str, object], expected: str | None
) -> None:
    """Weekends, holidays, clock changes, year ends, durations, closures and the 400 days' end."""
    decision = PORTAL.decide(request_at(at, **changes))
    assert [finding.check for finding in decision.failures] == ["window"]
    context = decision.to_document()["context"]
    assert context["retry_after"] == expected
    assert context["next_action"] == ("none" if expected is None else "retry")
    if expected is None:
        assert decision.obligations == ()


def test_waiting_does_not_help_what_is_wrong_otherwise() -> None:
    """When anything but the window fails there is no instant to wait for."""
    request = request_at("2026-06-06T09:00:00+01:00", **{"subject/properties/two_factor": False})
    decision = PORTAL.decide(request)
    assert (decision.retry_after, decision.next_action, decision.obligations) == (None, "none", ())


@pytest.mark.parametrize(
    ("now", "provided", "action", "daily", "needed"),
    [
        ("07:00:00", "06:00:00", "submit_todo", "london-day", False),
        ("19:00:00", "08:00:00", "submit_todo", "london-day", True),
        ("19:00:00", "08:00:00", "submit_todo", "24-hours", True),
        ("19:00:00", "08:00:00.000001", "submit_todo", "24-hours", False),
        ("19:00:00", "08:00:00", "sign_in", "london-day", False),
    ],
)
def test_a_new_code_is_an_obligation_when_the_old_one_will_have_lapsed(
    now: str, provided: str, action: str, daily: str, *, needed: bool
) -> None:
    """The step-up is there when the code lapses before the retry, and the action needs one."""
    request = Request.from_document(
        patched(
            {
                TIME: f"2026-06-02T{now}+01:00",
                f"{CODE}/provided_at": f"2026-06-02T{provided}+01:00",
                "/action/name": action,
            }
        )
    )
    decision = landlord_portal(daily=daily).decide(request)
    assert decision.next_action == "retry"
    expected = (Obligation("manual-code", "step-up"),) if needed else ()
    assert decision.obligations == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "2026-06-02T18:00:00+01:00"),
        ({"/context/expected_duration": "PT2M"}, "2026-06-02T17:58:00.000001+01:00"),
        ({"/context/expected_duration": "PT9H"}, "2026-06-02T09:00:00.000001+01:00"),
        ({"/context/closures": [{"from": "2026-06-02T10:00:00Z", "to": "2026-06-02T11:00:00Z"}]},
         "2026-06-02T11:00:00+01:00"),
        ({"/context/closures": [{"from": "2026-06-02T10:00:00Z", "to": "2026-06-02T11:00:00Z"}],
          "/context/expected_duration": "PT1H"}, "2026-06-02T10:00:00.000001+01:00"),
        ({"/resource/properties/kind": "confirm_housing_costs", TIME: "2026-05-01T20:00:00+01:00",
          f"{CODE}/provided_at": "2026-05-01T20:00:00+01:00"}, "2026-05-02T00:00:00+01:00"),
        ({"/resource/properties/kind": "confirm_housing_costs", TIME: "2026-05-01T20:00:00+01:00",
          CODE: ABSENT, "/action/name": "sign_in"}, "2026-05-16T00:00:00+01:00"),
        ({"/resource/properties/kind": "confirm_housing_costs", TIME: "2026-05-01T20:00:00+01:00",
          CODE: ABSENT, "/action/name": "sign_in", "/context/form": {"fingerprint": "f",
          "tested_fingerprint": "f", "tested_on": "2026-05-01"}, "/context/notices": [
            {"id": "a", "effective_on": "2026-05-03", "affects_automation": False},
            {"id": "b", "effective_on": "2026-05-04"}]}, "2026-05-04T00:00:00+01:00"),
        ({"/action/name": "sign_out", CODE: ABSENT}, None),
    ],
)  # fmt: skip
def test_valid_until_is_the_first_instant_that_is_no_longer_allowed(
    changes: dict[str, object], expected: str | None
) -> None:
    """Closing, closing less the work, a closure, the code's end, a notice; or nothing ends it."""
    decision = PORTAL.decide(Request.from_document(patched(changes)))
    assert decision.allowed
    assert decision.to_document()["context"]["valid_until"] == expected
    if decision.valid_until is not None:
        assert PORTAL.decide(decision.request.at(decision.valid_until - TICK)).allowed
        assert not PORTAL.decide(decision.request.at(decision.valid_until)).allowed


def test_a_code_may_lapse_before_the_hours_end() -> None:
    """Under 24 hours, yesterday's code ends the answer before closing."""
    request = Request.from_document(patched({f"{CODE}/provided_at": "2026-06-01T10:00:00+01:00"}))
    decision = landlord_portal(daily="24-hours").decide(request)
    assert decision.valid_until == instant("2026-06-02T10:00:00+01:00")


def test_nothing_ends_what_only_the_calendars_end() -> None:
    """Where only the last year known would end an answer, nothing is said to end it."""
    policy = landlord_portal(test_runs="any-time")
    changes = {
        "/context/mode": "test",
        "/action/name": "sign_in",
        "/context/form": {"fingerprint": "f", "tested_fingerprint": "f", "tested_on": "2026-06-02"},
        "/context/notices": [{"id": "n", "effective_on": "9999-12-31"}],
    }
    decision = policy.decide(Request.from_document(patched(changes)))
    assert decision.allowed
    assert decision.valid_until is None


def test_decisions_at_the_ends_of_the_calendars() -> None:
    """The first and last instants known are decided; waiting does not reach past the last."""
    for at in ("1981-01-01T00:00:00+00:00", "2100-12-31T23:59:59.999999+00:00"):
        request = request_at(at, **{"context/landlord/declared_on": "1980-01-01"})
        assert [f.check for f in PORTAL.decide(request).failures] == ["window"]
    assert PORTAL.decide(request).next_action == "none"
    last_day = request_at("2100-12-31T17:59:00+00:00")
    assert PORTAL.decide(last_day).valid_until == instant("2100-12-31T18:00:00+00:00")


def test_the_ends_of_the_calendars_are_instants_not_dates() -> None:
    """The first and last instants known are known in zones that write another year, too."""
    first, last = datetime(1981, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC) - TICK
    for hours in (-12, -1, 1, 14):
        zone = timezone(timedelta(hours=hours))
        assert PortalHours().is_open(first.astimezone(zone)) is False
        assert PortalHours().is_open(last.astimezone(zone)) is False


@pytest.mark.parametrize(
    "zone",
    [UTC, ZoneInfo("Europe/London"), ZoneInfo("Asia/Kathmandu"), timezone(timedelta(hours=-11))],
)
def test_the_zone_of_an_instant_does_not_matter(zone: ZoneInfo) -> None:
    """The same instant decides the same, in whatever zone it is given."""
    for at in (
        "2026-10-25T01:30:00+01:00",
        "2026-10-25T01:30:00+00:00",
        "2026-06-02T09:00:00+01:00",
    ):
        here, there = ALLOWED.at(instant(at)), ALLOWED.at(instant(at).astimezone(zone))
        one, other = PORTAL.decide(here), PORTAL.decide(there)
        assert one.findings == other.findings
        assert one.retry_after == other.retry_after
        assert (here.time, here.local, here.today) == (there.time, there.local, there.today)


def test_a_combination_may_stand_where_the_window_stands() -> None:
    """A check called ``window`` that is made of others is waited for like the window."""
    policy = Policy("made-up", "1", [AllOf(WindowCheck(), SuspensionCheck(), id="window")])
    decision = policy.decide(request_at("2026-06-06T09:00:00+01:00"))
    assert decision.retry_after == instant("2026-06-08T08:00:00+01:00")


def test_explaining_says_everything_that_is_to_be_known() -> None:
    """The explanation holds each reason, its clauses, the remedy, the reading and the instants."""
    decision = PORTAL.decide(request_at("2026-05-25T09:00:00+01:00"))
    told = decision.explain()
    for part in ("window.bank_holiday", "when.annual-window", "open: pass", "26 May 2026"):
        assert part in told
    assert "26 Mai 2026" in decision.explain("cy")
    assert "2 June 2026 at 6pm" in PORTAL.decide(ALLOWED).explain()


def test_a_decision_keeps_people_out_of_its_repr() -> None:
    """Tenants, to-dos, operators, managers, e-mails and answers are in no ``repr``."""
    changes = {
        "/resource/properties/tenant": "tenant-made-up",
        "/context/answers": {"secret-field": "secret-answer"},
        "/context/record": {"secret-field": "secret-answer"},
        "/context/closures": [
            {"from": "2026-06-01T00:00:00Z", "to": "2026-06-01T01:00:00Z", "reason": "secret"}
        ],
    }
    request = Request.from_document(patched(changes))
    shown = f"{PORTAL.decide(request)!r} {request!r}"
    for private in ("tenant-made-up", "td-17", "housing-officer-7", "North West", "secret",
                    "automation1@", "Automation 1"):  # fmt: skip
        assert private not in shown


def test_what_was_decided_cannot_be_changed() -> None:
    """Requests, decisions, findings and what is in them are frozen, and take no further names."""
    decision = PORTAL.decide(request_at("2026-05-25T09:00:00+01:00"))
    (finding,) = decision.failures
    assert finding.reading is not None
    values: list[Any] = [
        decision,
        finding,
        finding.reading,
        decision.policy,
        decision.obligations[0],
    ]
    values += [decision.request, decision.request.subject, decision.request.context]
    for value in values:
        for name in (next(iter(fields(value))).name, "made_up"):
            with pytest.raises((AttributeError, TypeError)):
                setattr(value, name, None)
