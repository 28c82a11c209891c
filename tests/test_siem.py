"""Events for a SIEM: valid by the schemas of others, true to the log, and silent about people."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ocsf_json_schema import (  # type: ignore[import-untyped]
    OcsfJsonSchemaEmbedded,
    get_ocsf_schema,
)

from automation_rules.actions import Action
from automation_rules.audit import Entry
from automation_rules.decision import Outcome
from automation_rules.errors import VerificationError
from automation_rules.leaf import (
    draft_decision,
    draft_erasure,
    draft_hold,
    draft_retention,
    draft_rollback,
)
from automation_rules.leaf_reasons import Reason, reasons
from automation_rules.merkle import Head
from automation_rules.siem import ACTIVITIES, ECS_VERSION, OCSF_VERSION, ecs_events, ocsf_events
from automation_rules.testing import requests
from automation_rules.vault import Kind, Subject, SubjectKey
from log_helpers import PORTAL, decided, opened, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.leaf import Draft

LOG = "0123456789abcdef0123456789abcdef"
AT = datetime(2026, 6, 2, 8, tzinfo=UTC)
VECTORS = Path(__file__).parent / "vectors"
ECS: dict[str, Any] = json.loads((VECTORS / "ecs-fields.json").read_text("utf-8"))

# What the made-up people of the requests are called; no event may hold any of it.
PERSONAL = ("officer-7", "td-17", "tenant-5", "North West", "automation1@", "Acme Homes", "req-9")


@cache
def ocsf_schema() -> Draft202012Validator:
    """The JSON Schema of an API Activity with the profile, made from OCSF's own export."""
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=OCSF_VERSION))
    assert schema.lookup_class_name_from_uid(class_uid=6003) == "api_activity"
    return Draft202012Validator(
        schema.get_class_schema(class_name="api_activity", profiles=["security_control"])
    )


def finished(draft: Draft, index: int = 0) -> Entry:
    """Finish a draft with keys that are made up, so that its tokens are known."""

    class _Keys(dict[Subject, SubjectKey]):
        def __missing__(self, subject: Subject) -> SubjectKey:
            return SubjectKey(f"{len(subject.kind.value):032x}", bytes(32))

    return Entry(index, draft.finish(_Keys())[0])


def entry_of(index: int = 0, **changes: Any) -> Entry:
    """Return the entry of the allowed request with fields replaced."""
    decision = decided(resource__properties__tenant="tenant-5", **changes)
    draft = draft_decision(decision, readings=PORTAL.readings, request_id="req-9")
    return finished(draft, index)


def rollback(index: int = 0) -> Entry:
    """Return an entry that is no decision."""
    draft = draft_rollback(
        at=AT,
        by="officer-7",
        landlord="acme",
        expected=Head(3, bytes(32)),
        found=Head(2, bytes(32)),
    )
    return finished(draft, index)


def ocsf(entry: Entry) -> dict[str, Any]:
    """Return an entry as a valid OCSF event."""
    [event] = ocsf_events([entry], log_id=LOG)
    check_ocsf(event)
    return event


def ecs(entry: Entry) -> dict[str, Any]:
    """Return an entry as a valid ECS event."""
    [event] = ecs_events([entry], log_id=LOG)
    check_ecs(event)
    return event


def check_ocsf(event: dict[str, Any]) -> None:
    """Hold an event to the schema, and to what the schema leaves optional."""
    errors = [f"{error.json_path}: {error.message}" for error in ocsf_schema().iter_errors(event)]
    assert errors == []
    assert event["action_id"] in (1, 2, 3)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["metadata"]["profiles"] == ["security_control"]


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of an ECS event by their dotted names; labels are a field of their own."""
    for key, value in document.items():
        if isinstance(value, dict) and f"{prefix}{key}" != "labels":
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def check_ecs(event: dict[str, Any]) -> None:
    """Hold an event to the closed list of fields: names, types, lists and allowed values."""
    for name, value in flat(event):
        field = ECS["fields"][name]
        assert isinstance(value, list) == field.get("array", False), name
        for one in value if isinstance(value, list) else [value]:
            kind = {"long": int, "object": dict}.get(field["type"], str)
            assert type(one) is kind, name
            assert one in field.get("allowed", [one]), name
    assert all(type(value) is str for value in event.get("labels", {}).values())
    for category in event["event"]["category"]:
        expected = ECS["fields"]["event.category"]["allowed"][category]
        assert set(event["event"]["type"]) <= set(expected)


# --- one event


def test_an_allowed_step_in_ocsf() -> None:
    """An allow is told as allowed by all of OCSF's words for it, with who, what and by which."""
    entry = entry_of(7)
    event = ocsf(entry)
    assert event["class_uid"] == 6003
    assert (event["action_id"], event["disposition_id"], event["status_id"]) == (1, 1, 1)
    assert (event["type_uid"], event["activity_name"]) == (600303, "Update")
    assert event["time"] == 1780387200000 == int(AT.timestamp()) * 1000
    assert event["metadata"]["sequence"] == 7
    assert event["metadata"]["uid"] == entry.document["decision_id"]
    assert event["metadata"]["log_name"] == LOG
    assert event["raw_data_hash"]["value"] == entry.leaf_hash.hex()
    assert event["actor"]["user"]["uid"] == "acme-1"
    assert event["actor"]["user"]["org"] == {"uid": "acme"}
    assert event["api"]["operation"] == "submit_todo"
    assert event["resources"] == [{"type": "todo", "uid": f"{4:032x}"}]
    assert [one["decision"] for one in event["authorizations"]] == ["allowed"]
    assert "status_code" not in event


def test_a_denied_step_in_ocsf() -> None:
    """A denial is told as denied and blocked, with every reason and the clauses it cites."""
    event = ocsf(entry_of(context__time="2026-06-06T09:00:00+01:00"))
    assert (event["action_id"], event["disposition_id"], event["status_id"]) == (2, 2, 2)
    assert event["status_code"] == "manual_code.stale_code"
    assert event["status_detail"] == "manual_code.stale_code, window.weekend"
    assert event["unmapped"]["clauses"] == ["step-2.manual-code", "when.core-hours"]
    rules = [one["policy"] for one in event["authorizations"][1:]]
    assert [rule["desc"] for rule in rules] == ["step-2.manual-code", "when.core-hours"]
    assert {one["decision"] for one in event["authorizations"]} == {"denied"}


def test_an_allowed_step_in_ecs() -> None:
    """An allow names the policy, the account and the landlord, and no rule that failed."""
    entry = entry_of(7)
    event = ecs(entry)
    assert event["@timestamp"] == "2026-06-02T08:00:00.000000Z"
    assert event["ecs"]["version"] == ECS_VERSION == ECS["version"]
    assert event["event"]["type"] == ["allowed"]
    assert event["event"]["outcome"] == "success"
    assert event["event"]["sequence"] == 7
    assert event["event"]["hash"] == entry.leaf_hash.hex()
    assert event["event"]["id"] == entry.document["decision_id"]
    assert event["rule"] == {"ruleset": "landlord-portal", "version": "1"}
    assert event["organization"] == {"id": "acme"}
    assert event["user"] == {"id": "acme-1", "roles": ["complete_todos"]}
    assert "tags" not in event


def test_a_denied_step_in_ecs() -> None:
    """A denial names the first check that failed as the rule, and all of them as the reason."""
    event = ecs(entry_of(context__time="2026-06-06T09:00:00+01:00"))
    assert event["event"]["type"] == ["denied"]
    assert event["event"]["outcome"] == "failure"
    assert event["event"]["reason"] == "manual_code.stale_code, window.weekend"
    assert event["rule"]["id"] == "manual_code.stale_code"
    assert event["rule"]["reference"] == "step-2.manual-code"
    assert event["tags"] == ["step-2.manual-code", "when.core-hours"]


def test_an_entry_that_is_no_decision_is_an_event_too() -> None:
    """A rollback that somebody acknowledged is observed and of high severity."""
    event = ocsf(rollback())
    assert (event["action_id"], event["severity_id"]) == (3, 4)
    assert event["activity_name"] == "rollback_acknowledged"
    other = ecs(rollback())
    assert other["event"]["action"] == "rollback_acknowledged"
    assert (other["event"]["category"], other["event"]["type"]) == (["configuration"], ["info"])


@pytest.mark.parametrize(
    "draft",
    [
        draft_erasure(at=AT, kind=Kind.TENANT, token="a" * 32, envelopes=2, registry=0),
        draft_hold(at=AT, subject=Subject(Kind.TENANT, "acme", "tenant-5"), by="o", placed=True),
        draft_retention(at=AT, before=AT, first=9, exported=Head(9, bytes(32))),
    ],
    ids=lambda draft: draft.type,
)
def test_what_was_done_to_the_log_is_told_without_naming_anybody(draft: Draft) -> None:
    """Erasures, holds and prunings are valid events of their own kind, and hold no token."""
    entry = finished(draft)
    for event in (ocsf(entry), ecs(entry)):
        text = json.dumps(event)
        assert entry.document["type"] in text
        assert not any(word in text for word in (*PERSONAL, "a" * 32))
    assert ocsf(entry)["action_id"] == 3


def test_a_subject_that_is_not_registered_is_a_token() -> None:
    """Claims name nobody: the subject is its random token, and no landlord is named."""
    decision = PORTAL.decide(request(facts="claimed"))
    entry = finished(draft_decision(decision, readings=PORTAL.readings))
    token = f"token:{7:032x}"
    event = ocsf(entry)
    assert event["actor"]["user"] == {
        "uid": token,
        "type_id": 0,
        "type": "Unknown",
        "has_mfa": True,
    }
    assert event["src_endpoint"] == {"svc_name": token}
    other = ecs(entry)
    assert other["user"]["id"] == token
    assert "organization" not in other


def test_a_step_without_a_todo_works_on_the_portal() -> None:
    """Signing in has the portal as its resource, and no token of a to-do."""
    entry = entry_of(action__name="sign_in", resource={"type": "portal", "id": "portal"})
    assert ocsf(entry)["resources"] == [{"type": "portal", "name": "Landlord Portal"}]
    assert "todo_token" not in ecs(entry)["labels"]


def test_leaving_is_an_allowed_event_whatever_was_found() -> None:
    """Signing out was let through, so nothing that was found beside it reads as a denial."""
    decision = decided(action__name="sign_out", subject__properties__two_factor=False)
    entry = finished(draft_decision(decision.let_through(), readings=PORTAL.readings))
    assert ocsf(entry)["action_id"] == 1
    assert "reason" not in ecs(entry)["event"]


@pytest.mark.parametrize("action", [*(one.value for one in Action), "make_tea"])
def test_every_action_has_a_valid_event(action: str) -> None:
    """Each action of the vocabulary has its own activity, and an unknown one is unknown."""
    entry = entry_of(action__name=action)
    activity = ACTIVITIES[Action(action)] if action != "make_tea" else 0
    assert ocsf(entry)["activity_id"] == activity
    assert ecs(entry)["event"]["action"] == (action if action != "make_tea" else "unknown")


def test_events_say_nothing_of_people() -> None:
    """Neither form holds a name, an identifier of a person, or the token of one."""
    entry = entry_of()
    tokens = entry.document["tokens"]
    people = [tokens[slot] for slot in ("operator", "partnership_manager", "tenant", "request")]
    for event in (ocsf(entry), ecs(entry), ocsf(rollback()), ecs(rollback())):
        text = json.dumps(event)
        assert [word for word in (*PERSONAL, *people) if word in text] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), st.sampled_from(["registry", "claimed"]))
def test_every_decision_has_valid_events(asked: Any, facts: str) -> None:
    """Whatever was asked, both events are valid and say what was decided."""
    decision = PORTAL.decide(replace(asked, facts=facts))
    entry = finished(draft_decision(decision, readings=PORTAL.readings))
    event, other = ocsf(entry), ecs(entry)
    assert (event["action_id"] == 1) is decision.allowed
    assert (other["event"]["type"] == ["allowed"]) is decision.allowed
    failed = [] if decision.allowed else [f"{f.check}.{f.code}" for f in decision.failures]
    assert [one["policy"]["name"] for one in event["authorizations"][1:]] == failed


def test_the_schema_would_notice_what_is_wrong() -> None:
    """An event with a field too many or a wrong number is refused by what these tests use."""
    event = ocsf(entry_of())
    for wrong in ({"extra": 1}, {"activity_id": 77}, {"time": "now"}):
        with pytest.raises(AssertionError):
            check_ocsf({**event, **wrong})
    other = ecs(entry_of())
    for changed in ({"verdict": "no"}, {"tags": "one"}, {"labels": {"a": 1}}):
        with pytest.raises((AssertionError, KeyError)):
            check_ecs({**other, **changed})


def test_known_events_stay_as_they_are() -> None:
    """The events of the known leaf are those that were written down once and read by eye."""
    entry = Entry(3, (VECTORS / "leaf.json").read_bytes().strip())
    known = json.loads((VECTORS / "events.json").read_text("utf-8"))
    own = version("automation-rules")
    event, other = ocsf(entry), ecs(entry)
    assert event["metadata"]["product"].pop("version") == own
    assert other["observer"].pop("version") == own
    assert event == known["ocsf"]
    assert other == known["ecs"]


@pytest.mark.parametrize("leaf", [b"{}", b"no JSON", b'{"v":1}'])
def test_what_is_no_entry_is_refused(leaf: bytes) -> None:
    """A leaf that was never recorded is an error that names the entry, and no event."""
    for events in (ocsf_events, ecs_events):
        with pytest.raises(VerificationError, match="entry 4"):
            list(events([Entry(4, leaf)], log_id=LOG))


def test_a_time_that_no_clock_shows_is_refused() -> None:
    """An entry of the right shape with a day that there is not is refused by its number."""
    leaf = entry_of().leaf.replace(b"2026-06-02T08", b"2026-06-42T08")
    with pytest.raises(VerificationError, match="the time of entry 0"):
        list(ocsf_events([Entry(0, leaf)], log_id=LOG))


# --- why an entry says no


def _leaf(*checks: dict[str, Any], decision: bool = False) -> dict[str, Any]:
    return {"decision": decision, "checks": list(checks)}


def _failed(check: str, code: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"check": check, "code": code, "outcome": "fail", "children": list(children)}


def test_a_check_of_ones_own_cites_itself() -> None:
    """What the terms do not know has no clauses, and is named by its check."""
    [reason] = reasons(_leaf(_failed("own", "odd")))
    assert reason == Reason("own", "odd", ())
    assert reason.cites == ("check:own",)


def test_a_combination_gives_the_reasons_inside() -> None:
    """Of checks joined, those that failed are the reasons, each once; one negated cites them."""
    passed = {"check": "role", "code": None, "outcome": "pass"}
    weekend = _failed("window", "weekend")
    both = _failed("a or b", "none_passed", weekend, passed, _failed("all", "x", weekend))
    assert reasons(_leaf(both)) == (Reason("window", "weekend", ("when.core-hours",)),)
    negated = _failed("not b", "negated", {"check": "c", "outcome": "pass", "children": [passed]})
    assert reasons(_leaf(negated)) == (Reason("not b", "negated", ("step-2.role", "terms.role")),)
    assert reasons(_leaf(weekend, decision=True)) == ()


def test_reasons_are_those_of_the_decision() -> None:
    """For the standard checks the clauses from the leaf are those of the findings themselves."""
    decision = decided(
        context__time="2026-05-25T09:00:00+01:00",
        subject__properties__roles=["manage_users"],
        context__landlord__sector="private",
    )
    leaf = finished(draft_decision(decision, readings=PORTAL.readings)).document
    assert [(one.check, one.code, one.clauses) for one in reasons(leaf)] == [
        (finding.check, finding.code, finding.clauses)
        for finding in decision.findings
        if finding.outcome is Outcome.FAIL
    ]


# --- many


def _many(number: int) -> Iterator[Entry]:
    sample = [entry_of(), entry_of(subject__properties__two_factor=False), rollback()]
    for index in range(number):
        yield Entry(index, sample[index % len(sample)].leaf)


def _peak(number: int, events: Any) -> int:
    for _ in events(_many(3), log_id=LOG):
        pass
    tracemalloc.start()
    try:
        for event in events(_many(number), log_id=LOG):
            json.dumps(event)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("events", [ocsf_events, ecs_events])
def test_memory_does_not_grow_with_the_log(events: Any) -> None:
    """Ten times the entries take no more memory than the few that are in hand."""
    assert _peak(1_000, events) < _peak(100, events) + 200_000


@pytest.mark.exhaustive
@pytest.mark.parametrize("events", [ocsf_events, ecs_events])
def test_a_hundred_thousand_events_stream(tmp_path: Path, events: Any) -> None:
    """A stored log of 10^5 entries is told in less than 8 MB, and every entry is an event."""
    size, at_once = 100_000, 1_000
    with opened(tmp_path / "state.sqlite3") as state:
        for _ in range(size // at_once):
            state.log.append_many([(entry.leaf, ()) for entry in _many(at_once)])
        list(events(state.log.entries(size - 3), log_id=LOG))
        tracemalloc.start()
        try:
            written = sum(
                json.dumps(event) != "" for event in events(state.log.entries(), log_id=LOG)
            )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert written == size
    assert peak < 8_000_000
