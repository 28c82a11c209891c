"""The decision log: what it records, what it keeps out, what it proves, and how it fails."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
import tracemalloc
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation_rules import leaf, merkle, vault
from automation_rules.audit import (
    DecisionLog,
    Draft,
    Entry,
    Head,
    RememberedHeads,
    draft_decision,
)
from automation_rules.decision import Decision, Finding, Outcome, PolicyInfo
from automation_rules.errors import (
    ClockError,
    LogError,
    NotRecordedError,
    StoreError,
    VerificationError,
)
from automation_rules.landlord_portal import landlord_portal
from automation_rules.leaf_schema import leaf_schema, read_leaf
from automation_rules.policy import Policy
from automation_rules.remembered_heads import HEADS_VARIABLE
from automation_rules.request import NOT_DECLARED, Form, Request
from automation_rules.testing import policies, requests
from automation_rules.vault import Kind, Subject, SubjectKey, Vault, WrappingKey
from log_helpers import PORTAL, State, decided, drafted, opened, raw, rehash, request
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)


@pytest.fixture
def state(url: str) -> Iterator[State]:
    """A new state with an empty log."""
    with opened(url) as state:
        yield state


def record(state: State, number: int = 1) -> None:
    """Record some numbered entries in one transaction."""
    size = state.log.head().size
    state.log.record_many([drafted(size + at) for at in range(number)])


def damage(state: State, statement: str, *values: object) -> None:
    """Change the state behind the log's back."""
    if state.store.path is None:
        with psycopg.connect(state.url) as server:
            server.execute(statement.replace("?", "%s").encode(), values)
    else:
        with raw(state.path) as connection:
            connection.execute(statement, values)


def stored_bytes(state: State) -> bytes:
    """Return everything in the database file and the files beside it."""
    return b"".join(path.read_bytes() for path in sorted(state.path.parent.glob("state.sqlite3*")))


# --- recording ------------------------------------------------------------------------------


@on_both_databases
def test_a_decision_is_recorded_with_a_receipt(state: State) -> None:
    """The receipt names the entry and the head after it, and the entry reads back."""
    decision = decided()
    receipt = state.log.record(decision, readings=PORTAL.readings)
    assert (receipt.index, receipt.size) == (0, 1)
    assert receipt.leaf_hash == merkle.leaf_hash(receipt.leaf) == receipt.root
    assert state.log.head() == Head(1, receipt.root)
    assert state.log.entry(0) == Entry(0, receipt.leaf)
    assert state.log.entry(0).leaf_hash == receipt.leaf_hash
    document = state.log.entry(0).document
    assert document["decision_id"] == decision.decision_id
    assert document["decision"] is True
    assert document["time"] == "2026-06-02T08:00:00.000000Z"


@on_both_databases
def test_a_batch_is_recorded_in_order_in_one_transaction(state: State) -> None:
    """Every receipt of a batch carries the head after the whole batch."""
    receipts = state.log.record_many([drafted(number) for number in range(5)])
    assert [receipt.index for receipt in receipts] == [0, 1, 2, 3, 4]
    assert {(receipt.size, receipt.root) for receipt in receipts} == {(5, state.log.head().root)}
    assert [entry.leaf for entry in state.log.entries()] == [r.leaf for r in receipts]
    assert state.log.record_many([]) == []
    assert state.log.append_many([]) == []


@on_both_databases
def test_every_head_is_that_of_a_tree_over_the_leaves(state: State) -> None:
    """After each append the root equals the root of a fresh tree over all stored leaves."""
    tree = merkle.Frontier()
    for number in range(20):
        receipt = state.log.append(b"leaf %d" % number)
        tree.append(merkle.leaf_hash(b"leaf %d" % number))
        assert (receipt.size, receipt.root) == (tree.size, tree.root)


def test_an_append_takes_three_statements(state: State) -> None:
    """The head is read, the entry inserted and the head moved; nothing else is asked."""
    state.log.append(b"first")
    assert state.log._writer is not None
    said: list[str] = []
    connection = state.log._writer.connection.driver_connection
    assert connection is not None
    connection.set_trace_callback(said.append)
    state.log.append(b"second")
    connection.set_trace_callback(None)
    assert [text.split()[0] for text in said] == ["BEGIN", "SELECT", "INSERT", "UPDATE", "COMMIT"]


def test_commits_are_forced_to_the_disk(state: State) -> None:
    """The connection that appends writes ahead, and waits for the disk at every commit."""
    state.log.append(b"first")
    assert state.log._writer is not None
    cursor = state.log._writer.cursor
    assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert cursor.execute("PRAGMA synchronous").fetchone() == (2,)


@on_both_databases
def test_threads_take_turns(state: State) -> None:
    """Threads that share a log leave no gap and no fork."""

    def work() -> None:
        for _ in range(10):
            state.log.record(decided(), readings=PORTAL.readings)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.log.verify(forms=True).size == 40


def test_each_recorded_decision_is_told_once_it_is_durable(state: State) -> None:
    """One event per entry carries index, leaf hash and answer, and nothing of anybody."""
    with structlog.testing.capture_logs() as told:
        receipt = state.log.record(
            decided(resource__id="Makebelieve", subject__properties__two_factor=False),
            readings=PORTAL.readings,
        )
    assert told == [
        {
            "event": "decision_recorded",
            "log_level": "info",
            "index": 0,
            "leaf_hash": receipt.leaf_hash.hex(),
            "decision": False,
        }
    ]


def test_nothing_is_told_of_what_was_not_recorded(state: State) -> None:
    """A failed append emits no event."""
    damage(state, "DELETE FROM log_head")
    with structlog.testing.capture_logs() as told, pytest.raises(NotRecordedError):
        state.log.record(decided(), readings=PORTAL.readings)
    assert told == []


def test_a_message_that_cannot_be_told_does_not_undo_the_entry(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that is durable is answered with its receipt even when logging breaks."""

    class Broken:
        def info(self, *_: object, **__: object) -> None:
            raise OSError("the log's reader has gone")

    monkeypatch.setattr("automation_rules.audit._events", Broken())
    assert state.log.record(decided(), readings=PORTAL.readings).index == 0


# --- the leaf -------------------------------------------------------------------------------


def fixed_decision(monkeypatch: pytest.MonkeyPatch) -> Decision:
    """A decision whose every byte is known: nothing in it depends on texts or policies."""

    class Decider:
        info = PolicyInfo("vector", "7", "sha256:" + "ab" * 32)

        def retry_after(self, *_: object) -> datetime:
            return datetime(2026, 6, 2, 8, 30, tzinfo=UTC)

        def valid_until(self, *_: object) -> None:
            return None

        def obligations(self, *_: object) -> tuple[()]:
            return ()

    class Terms:
        version = "3"
        digest = "sha256:" + "cd" * 32

    monkeypatch.setattr(leaf, "terms_at", lambda _: Terms())
    asked = request(
        subject__properties__roles=["manage_users", "complete_todos", "Made-up role"],
        resource__properties__tenant="tenant-1",
        context__expected_duration="PT2M",
        context__closures=[
            {"from": "2026-06-03T00:00:00Z", "to": "2026-06-04T00:00:00Z", "reason": "secret"}
        ],
        context__notices=[{"id": "n-1", "effective_on": "2026-07-01"}],
        context__form={"fingerprint": "f-1", "tested_fingerprint": "f-2"},
        context__answers={"rent": 1},
        context__record={"rent": 2},
    )
    asked = replace(asked, ignored=("subject.properties.roles",))
    findings = (
        Finding("landlord", Outcome.PASS),
        Finding("role", Outcome.FAIL, "extra_role"),
        Finding("answers", Outcome.FAIL, "answers_differ", params={"fields": ["rent"]}),
        Finding(
            "(a or b)",
            Outcome.FAIL,
            "none_passed",
            children=(Finding("a", Outcome.WARN, "odd"), Finding("b", Outcome.NOT_APPLICABLE)),
        ),
    )
    decision = Decision(asked, findings, False, Decider())
    decision._worked_out["id"] = "6f1c2a34-0000-4000-8000-000000000001"
    return decision


def test_the_leaf_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fixed decision, with fixed tokens and nonces, makes exactly the bytes of the vector."""
    monkeypatch.setattr("automation_rules.vault.secrets.token_bytes", bytes)
    draft = draft_decision(
        fixed_decision(monkeypatch), readings=landlord_portal().readings, request_id="request-1"
    )
    keys = {
        subject: SubjectKey(f"{number:032x}", bytes([number] * 32))
        for number, subject in enumerate(draft.subjects)
    }
    leaf_bytes, envelopes = draft.finish(keys)
    vector = Path(__file__).with_name("vectors") / "leaf.json"
    assert leaf_bytes == vector.read_bytes().rstrip(b"\n")
    assert read_leaf(leaf_bytes)["v"] == 1
    assert [envelope.slot for envelope in envelopes] == [
        "account",
        "operator",
        "partnership_manager",
        "request",
        "tenant",
        "todo",
    ]


def test_the_shipped_schema_is_the_one_that_leaves_are_held_to() -> None:
    """data/leaf.schema.json is what the code generates, and a valid schema."""
    shipped = Path(leaf.__file__).parents[0] / "data" / "leaf.schema.json"
    schema = json.loads(shipped.read_text(encoding="utf-8"))
    assert schema == leaf_schema()
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_is_closed_at_every_level() -> None:
    """Every object in the schema refuses keys that it does not name."""

    def objects(part: object) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict):
            if part.get("type") == "object":
                yield part
            for inner in part.values():
                yield from objects(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from objects(inner)

    found = list(objects(leaf_schema()))
    assert len(found) > 8
    for part in found:
        assert part.get("additionalProperties") is False or "propertyNames" in part


def finished(draft: Draft) -> bytes:
    """Finish a draft with keys made up on the spot."""
    keys = {
        subject: SubjectKey(f"{number:032x}", bytes(32))
        for number, subject in enumerate(draft.subjects)
    }
    return draft.finish(keys)[0]


VALIDATOR = jsonschema.Draft202012Validator(leaf_schema())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), policies(), st.sampled_from(["registry", "claimed"]))
def test_every_decision_makes_a_leaf_of_the_closed_schema(
    asked: Request, policy: Policy, facts: str
) -> None:
    """Whatever is asked and however the policy is composed, the leaf is canonical and valid."""
    asked = replace(asked, facts=facts)  # type: ignore[arg-type]
    leaf_bytes = finished(draft_decision(policy.decide(asked), readings=policy.readings))
    VALIDATOR.validate(read_leaf(leaf_bytes))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), requests(), policies())
def test_texts_that_are_kept_belong_to_what_they_were_made_of(
    asked: Request, other: Request, policy: Policy
) -> None:
    """Requests that share an account's facts, and nothing else, make the leaves they make alone."""

    def made(request: Request) -> tuple[object, ...]:
        decision = policy.decide(request)
        decision._worked_out["id"] = "6f1c2a34-0000-4000-8000-000000000001"
        draft = draft_decision(decision, readings=policy.readings)
        return draft.text, draft.sealed

    shared = replace(
        other,
        subject=asked.subject,
        context=replace(other.context, landlord=asked.context.landlord),
    )
    variants = [asked, shared]
    variants += [replace(one, facts="registry") for one in variants]
    together = [made(one) for one in variants for _ in range(2)]
    alone = []
    for one in variants:
        for kept in (leaf._checks, leaf._givens, leaf._accounts):
            kept.clear()
        alone += [made(one)] * 2
    assert together == alone


def test_no_more_texts_are_kept_than_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept does not grow with what was ever decided."""
    monkeypatch.setattr(leaf, "_MOST_KEPT", 3)
    for number in range(10):
        finished(draft_decision(decided(resource__id=str(number)), readings=PORTAL.readings))
    assert max(len(leaf._checks), len(leaf._givens), len(leaf._accounts)) <= 3


PLACES = [
    "subject__id",
    "subject__type",
    "subject__properties__username",
    "subject__properties__email",
    "subject__properties__created_by_role",
    "subject__properties__sms_code__provided_by",
    "subject__unknown",
    "action__name",
    "resource__id",
    "resource__type",
    "resource__properties__kind",
    "resource__properties__tenant",
    "resource__properties__name",
    "context__landlord__name",
    "context__landlord__sector",
    "context__landlord__partnership_manager",
    "context__unknown",
]


def planted(facts: str) -> tuple[Request, list[str]]:
    """A request with a text of its own in every free-text field; and the texts."""
    texts = {place: f"Makebelieve {number}" for number, place in enumerate(PLACES)}
    free = {
        "subject__properties__roles": ["complete_todos", "Makebelieve role"],
        "context__landlord__also_known_as": ["Makebelieve alias"],
        "context__closures": [
            {
                "from": "2026-06-03T00:00:00Z",
                "to": "2026-06-04T00:00:00Z",
                "reason": "Makebelieve reason",
            }
        ],
        "context__notices": [{"id": "Makebelieve notice", "effective_on": "2026-07-01"}],
        "context__form": {
            "fingerprint": "Makebelieve fingerprint",
            "tested_fingerprint": "Makebelieve tested",
        },
        "context__answers": {"Makebelieve field": "Makebelieve answer"},
        "context__record": {"Makebelieve field": "Makebelieve record"},
    }
    asked = request(facts=facts, **texts, **free)
    # The registry names no account whose status it does not know.
    return replace(asked, subject=replace(asked.subject, status=None)), ["Makebelieve"]


@pytest.mark.parametrize("facts", ["registry", "claimed"])
def test_no_free_text_reaches_the_leaf_or_the_file_in_clear(state: State, facts: str) -> None:
    """Texts planted in every free-text field are in no leaf and nowhere in the state's files."""
    asked, texts = planted(facts)
    with structlog.testing.capture_logs() as told:
        receipt = state.log.record(
            PORTAL.decide(asked), readings=PORTAL.readings, request_id="Makebelieve request"
        )
    for text in texts:
        assert text.encode() not in receipt.leaf
        assert text.encode() not in stored_bytes(state)
        assert text not in str(told)
    read_leaf(receipt.leaf)


def test_answers_records_and_reasons_are_kept_nowhere(state: State) -> None:
    """Even whoever holds every key finds no answer, no record and no closure reason."""
    asked, _ = planted("claimed")
    state.log.record(PORTAL.decide(asked), readings=PORTAL.readings)
    opened_facts = json.dumps(state.log.open(0))
    for text in ("answer", "record", "reason", "field", "notice", "fingerprint", "tested"):
        assert f"Makebelieve {text}" not in opened_facts
    assert "Makebelieve alias" in opened_facts


def test_claimed_identifiers_are_not_in_clear(state: State) -> None:
    """Only the registry's word makes an account's or a landlord's identifier an organisation's."""
    state.log.record(decided(), readings=PORTAL.readings)
    state.log.record(decided(facts="claimed"), readings=PORTAL.readings)
    registered, claimed = (entry.document for entry in state.log.entries())
    assert (registered["account"], registered["landlord"]) == ("acme-1", "acme")
    assert registered["given"]["automation_accounts"] == ["acme-1", "acme-2"]
    assert (claimed["account"], claimed["landlord"]) == (None, None)
    assert claimed["given"]["automation_accounts"] is None
    assert b"acme" not in state.log.entry(1).leaf


def test_a_subject_that_is_no_registered_bot_is_not_named(state: State) -> None:
    """A person's session, or an account that the registry does not know, appears as a token."""
    asked = request(subject__type="user", subject__id="Makebelieve")
    state.log.record(PORTAL.decide(asked), readings=PORTAL.readings)
    asked = request(subject__id="Makebelieve", subject__properties__status=None)
    state.log.record(PORTAL.decide(asked), readings=PORTAL.readings)
    for entry in state.log.entries():
        assert entry.document["account"] is None
        assert b"Makebelieve" not in entry.leaf


def test_the_same_person_has_the_same_token_in_every_entry(state: State) -> None:
    """Entries about one tenant can be found by its token; two landlords' tenants differ."""
    for landlord in ("acme", "acme", "other"):
        state.log.record(
            decided(resource__properties__tenant="t-1", context__landlord__id=landlord),
            readings=PORTAL.readings,
        )
    first, second, third = (e.document["tokens"]["tenant"] for e in state.log.entries())
    assert first == second != third


def restored(document: dict[str, Any], opened_facts: dict[str, Any]) -> Request:
    """Rebuild the request from an entry and its opened envelopes, as a replay must."""
    given, account = document["given"], opened_facts["account"]
    words, operator = account["words"], opened_facts.get("operator") or {}
    code: dict[str, Any] | None = {
        "absent": None,
        "incomplete": {"channel": "manual"},
        "complete": {key: operator.get(key) for key in ("provided_at", "channel")}
        | {"provided_by": operator.get("id")},
    }[given["sms_code"]]
    roles = given["roles"]
    landlord = {
        **account["landlord"],
        **{
            name: given[name]
            for name in ("portal_access", "nation", "automation_accounts", "running_accounts")
        },
        **{
            name: account[name]
            for name in ("automation_accounts", "running_accounts")
            if name in account
        },
        "sector": words["sector"],
        "paused": given["landlord_paused"],
        "partnership_manager": opened_facts.get("partnership_manager", {}).get("name"),
    }
    if given["declared_on"] == "not_declared":
        landlord["declared_on"] = None
    elif given["declared_on"] is not None:
        landlord["declared_on"] = given["declared_on"]
    todo = opened_facts.get("todo", {})
    form = given["form"]
    built = Request.from_document(
        {
            "subject": {
                "type": account["type"],
                "id": account["id"],
                "properties": {
                    "username": account["username"],
                    "email": account["email"],
                    "roles": roles and [r for r in roles if r != "unknown"] + words["roles"],
                    "two_factor": given["two_factor"],
                    "status": given["status"],
                    "created_by_role": words["created_by_role"] or given["created_by_role"],
                    "sms_code": code,
                },
            },
            "action": {"name": document["action"] if words["action"] is None else words["action"]},
            "resource": {
                "type": todo.get("type", given["resource_type"]),
                "id": todo.get("id", ""),
                "properties": {
                    "kind": document["todo_kind"]
                    if words["todo_kind"] is None
                    else words["todo_kind"],
                    "tenant": opened_facts.get("tenant", {}).get("id"),
                },
            },
            "context": {
                "time": document["time"],
                "mode": document["mode"],
                "landlord": landlord,
                "closures": [{"from": start, "to": end} for start, end in given["closures"]],
                "notices": [
                    {"id": "n", "effective_on": day, "affects_automation": affects}
                    for day, affects in given["notices"]
                ],
            },
        }
    )
    duration = given["expected_duration"]
    context = replace(
        built.context,
        expected_duration=None if duration is None else timedelta(microseconds=duration),
        form=None
        if form is None
        else Form(
            "f" if form["fingerprint"] else None,
            ("f" if form["equal"] else "g") if form["tested_fingerprint"] else None,
            form["tested_on"] and date.fromisoformat(form["tested_on"]),
        ),
    )
    assert context.landlord.declared_on is not NOT_DECLARED or given["declared_on"]
    return replace(built, context=context, facts=document["facts"])


def assert_decided_alike_from_the_entry(asked: Request, policy: Policy) -> None:
    """Decide, make the entry, and decide again from the leaf and the opened envelopes alone."""
    decision = policy.decide(asked)
    draft = draft_decision(decision, readings=policy.readings)
    sealed = {subject.kind.value: json.loads(told) for subject, told, _ in draft.sealed}
    again = policy.decide(restored(read_leaf(finished(draft)), sealed))
    assert again.allowed == decision.allowed
    assert [(f.check, f.outcome, f.code, f.facts) for f in again.findings] == [
        (f.check, f.outcome, f.code, f.facts) for f in decision.findings
    ]
    assert (again.retry_after, again.valid_until) == (decision.retry_after, decision.valid_until)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), policies(), st.sampled_from(["registry", "claimed"]))
def test_entry_and_envelopes_hold_everything_that_was_decided_from(
    asked: Request, policy: Policy, facts: str
) -> None:
    """Deciding again from the leaf and the opened envelopes gives the same answer and codes."""
    context = replace(asked.context, answers=None, record=None)
    asked = replace(asked, context=context, facts=facts)  # type: ignore[arg-type]
    assert_decided_alike_from_the_entry(asked, policy)


@pytest.mark.parametrize("facts", ["registry", "claimed"])
@pytest.mark.parametrize(
    "changes",
    [
        {"subject__properties": {}},
        {"subject__type": "user"},
        {"subject__properties__sms_code": {}},
        {"subject__properties__sms_code": {"provided_by": "officer", "channel": "manual"}},
        {"subject__properties__sms_code__channel": "automated"},
        {"subject__properties__roles": []},
        {"subject__properties__roles": ["Made-up role"]},
        {"subject__properties__created_by_role": "Made-up role"},
        {"subject__properties__created_by_role": "complete_todos"},
        {"subject__properties__status": "deactivated"},
        {"action__name": ""},
        {"action__name": "Made-up action"},
        {"action__name": "unknown"},
        {"resource__properties__kind": ""},
        {"resource__properties__kind": "other"},
        {"resource__type": "tenancy"},
        {"resource__type": "portal", "action__name": "sign_in"},
        {"context__mode": "test"},
        {"context__landlord": {}},
        {"context__landlord__declared_on": None},
        {"context__landlord__sector": "private"},
        {"context__landlord__paused": True},
        {"context__landlord__running_accounts": ["acme-1"]},
        {"context__landlord__automation_accounts": ["acme-1", "acme-2", "acme-3"]},
        {"context__landlord__also_known_as": ["Acme"]},
        {"context__expected_duration": "PT10H"},
        {"context__form": {}},
        {"context__form": {"fingerprint": "a", "tested_on": "2026-01-01"}},
        {
            "context__form": {
                "fingerprint": "a",
                "tested_fingerprint": "b",
                "tested_on": "2026-05-01",
            },
        },
        {
            "context__form": {
                "fingerprint": "b",
                "tested_fingerprint": "a",
                "tested_on": "2026-05-01",
            },
        },
        {
            "context__form": {
                "fingerprint": "a",
                "tested_fingerprint": "a",
                "tested_on": "2026-05-01",
            },
            "context__notices": [{"id": "n", "effective_on": "2026-06-01"}],
        },
        {
            "context__closures": [
                {"from": "2026-06-02T07:00:00.000001Z", "to": "2026-06-05T00:00:00Z"}
            ]
        },
    ],
)
def test_each_fact_survives_in_the_entry(changes: dict[str, Any], facts: str) -> None:
    """Each kind of fact, absent, odd or telling, decides alike from the entry."""
    for policy in (PORTAL, landlord_portal(at_a_time="running", daily="24-hours")):
        assert_decided_alike_from_the_entry(request(facts=facts, **changes), policy)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"type": "other"},
        {"extra": 1},
        {"time": "2026-06-02T08:00:00Z"},
        {"account": "a" * 1001},
        {"action": "Makebelieve"},
        {"todo_kind": "Makebelieve"},
        {"mode": "Makebelieve"},
        {"decision": 1},
        {"facts": "Makebelieve"},
        {"ignored": ["Makebelieve text"]},
        {"tokens": {"Makebelieve": "0" * 32}},
        {"tokens": {"todo": "Makebelieve"}},
        {"envelopes": {"todo": "0" * 63}},
        {"readings": {}},
        {"retry_after": 7},
        {"policy": {"id": "p", "version": "1", "digest": "md5:00"}},
        {"checks": [{"check": "a\nb", "outcome": "pass", "code": None, "readings": []}]},
        {"checks": [{"check": "a", "outcome": "maybe", "code": None, "readings": []}]},
    ],
)
def test_a_leaf_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    """Reading a leaf that says anything outside the schema names the place, never the value."""
    document = json.loads(finished(drafted(1)))
    changed = vault.canonical({**document, **change})
    with pytest.raises(VerificationError, match="entry 7") as refused:
        read_leaf(changed, index=7)
    assert refused.value.index == 7
    assert "Makebelieve" not in str(refused.value)
    assert list(VALIDATOR.iter_errors(json.loads(changed)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace(b'","', b'", "', 1),
        lambda text: b" " + text,
        lambda text: text.replace(b"acme", b"\\u0061cme", 1),
        lambda text: text.replace(b'{"account"', b'{"account":null,"account"', 1),
        lambda text: b"[" * 2000,
        lambda text: b"\xff",
        lambda text: b"",
    ],
)
def test_a_leaf_that_is_not_canonical_is_refused(spoil: Any) -> None:
    """Another spelling of the same JSON, repeated keys and no JSON at all are refused."""
    with pytest.raises(VerificationError):
        read_leaf(spoil(finished(drafted(1))), index=0)


def test_an_instant_always_has_27_characters() -> None:
    """Instants are UTC to the microsecond in fixed width, from year 1 on; naive ones refused."""
    assert leaf.instant(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000000Z"
    summer = datetime.fromisoformat("2026-06-02T09:00:00.000001+01:00")
    assert leaf.instant(summer) == "2026-06-02T08:00:00.000001Z"
    with pytest.raises(ClockError):
        leaf.instant(datetime(2026, 6, 2))  # noqa: DTZ001 - that is what is refused


# --- what cannot be recorded ------------------------------------------------------------------


def assert_nothing_written(state: State, size: int = 0) -> None:
    """Assert that the log has so many entries, holds, and has no stray row."""
    assert state.log.verify().size == size
    with raw(state.path) as connection:
        assert connection.execute("SELECT count(*) FROM log_entries").fetchone() == (size,)


def test_what_cannot_be_masked_is_not_recorded(state: State) -> None:
    """A lone surrogate in a fact is an error that does not show it, and nothing is written."""
    asked = request()
    asked = replace(asked, resource=replace(asked.resource, tenant="Makebelieve \ud800"))
    with pytest.raises(NotRecordedError) as refused:
        state.log.record(PORTAL.decide(asked), readings=PORTAL.readings)
    assert "Makebelieve" not in str(refused.value) + repr(refused.value.__cause__)
    assert_nothing_written(state)
    with raw(state.path) as connection:
        assert connection.execute("SELECT count(*) FROM subjects").fetchone() == (0,)


@pytest.mark.parametrize(
    "finding",
    [
        Finding("what\nnow", Outcome.PASS),
        Finding("", Outcome.PASS),
        Finding("own", Outcome.FAIL, "Ms Makebelieve, 1 Nowhere Street"),
        Finding("own", Outcome.PASS, children=(Finding("own\n", Outcome.PASS),)),
    ],
)
def test_a_check_or_code_that_reads_like_free_text_is_not_recorded(
    state: State, finding: Finding
) -> None:
    """Codes come from closed vocabularies: one with spaces could be anybody's name."""
    decision = replace(decided(), findings=(finding,))
    with pytest.raises(NotRecordedError, match="name that an entry cannot hold") as refused:
        state.log.record(decision, readings=PORTAL.readings)
    assert "Makebelieve" not in str(refused.value)
    assert_nothing_written(state)


def test_a_leaf_that_is_too_large_is_not_recorded(state: State) -> None:
    """65,535 bytes fit and one more does not; the remedy is told."""
    assert state.log.append(bytes(65_535)).index == 0
    with pytest.raises(NotRecordedError, match="65536 bytes, and 65535"):
        state.log.append(bytes(65_536))
    closures = [
        {"from": f"2027-01-01T{n // 60:02}:{n % 60:02}:00Z", "to": "2028-01-01T00:00:00Z"}
        for n in range(1000)
    ]
    state.log.record(decided(context__closures=closures), readings=PORTAL.readings)
    notices = [{"id": f"n-{n}", "effective_on": "2027-01-01"} for n in range(1000)]
    full = decided(context__closures=closures, context__notices=notices)
    with pytest.raises(NotRecordedError, match="fewer closures"):
        state.log.record(full, readings=PORTAL.readings)
    assert state.log.head().size == 2


def test_a_policy_with_an_endless_name_is_not_recorded(state: State) -> None:
    """What the closed schema has no room for is refused before it is written."""
    policy = Policy("p" * 1001, "1", PORTAL.checks)
    with pytest.raises(NotRecordedError, match="shorten"):
        state.log.record(policy.decide(request()), readings=policy.readings)
    assert_nothing_written(state)


def test_without_a_vault_nothing_is_recorded_or_opened(state: State) -> None:
    """A log opened for verifying says so when it is asked for more."""
    record(state)
    with DecisionLog(state.store) as log:
        assert log.verify(forms=True).size == 1
        with pytest.raises(NotRecordedError, match="without its vault"):
            log.record(decided(), readings=PORTAL.readings)
        with pytest.raises(LogError, match="without its vault"):
            log.open(0)


def test_with_another_wrapping_key_nothing_is_recorded(state: State) -> None:
    """The wrong key is told, nothing is written, and verifying tells it too."""
    record(state)
    wrong = Vault(WrappingKey(bytes(32)))
    with DecisionLog(state.store, wrong) as log:
        with pytest.raises(NotRecordedError, match="wrapping key"):
            log.record(decided(), readings=PORTAL.readings)
        with pytest.raises(LogError, match="wrapping key"):
            log.verify()
    assert_nothing_written(state, 1)


def test_a_locked_state_is_told_and_the_log_goes_on_afterwards(state: State) -> None:
    """While somebody else holds the lock nothing is recorded; afterwards it is."""
    record(state)
    assert state.log._writer is not None
    state.log._writer.cursor.execute("PRAGMA busy_timeout=20")
    other = sqlite3.connect(state.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotRecordedError, match="locked"):
        state.log.append(b"leaf")
    other.execute("ROLLBACK")
    other.close()
    assert state.log.record(decided(), readings=PORTAL.readings).index == 1
    assert state.log.verify().size == 2


def test_an_entry_in_the_way_is_not_overwritten(state: State) -> None:
    """A row where the next entry belongs makes the append fail, and stays as it was."""
    record(state)
    damage(state, "INSERT INTO log_entries VALUES (1, x'00', x'00')")
    with pytest.raises(NotRecordedError):
        state.log.append(b"leaf")
    with raw(state.path) as connection:
        rows = connection.execute("SELECT leaf FROM log_entries WHERE idx = 1").fetchall()
    assert rows == [(b"\0",)]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_head",
        "UPDATE log_head SET root = zeroblob(32)",
        "UPDATE log_head SET size = 7",
        "UPDATE log_head SET size = 'many'",
        "UPDATE log_head SET frontier = 'text'",
    ],
)
def test_nothing_is_appended_to_a_head_that_does_not_hold(state: State, statement: str) -> None:
    """A head that contradicts itself is refused before anything is written."""
    record(state, 3)
    damage(state, statement)
    with pytest.raises(NotRecordedError, match=r"head|root|frontier"):
        state.log.append(b"leaf")
    with pytest.raises(VerificationError):
        state.log.head()
    with pytest.raises(VerificationError):
        state.log.verify()


def test_a_file_that_is_damaged_gives_no_traceback(state: State) -> None:
    """Overwritten pages are told as errors of ours, when appending and when verifying."""
    record(state, 40)
    state.log.close()
    state.store.close()
    with raw(state.path) as connection:
        pass
    connection = sqlite3.connect(state.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(state.path.read_bytes())
    data[8192:] = b"\xa5" * (len(data) - 8192)
    state.path.write_bytes(data)
    with pytest.raises(StoreError), opened(state.path) as broken:
        broken.log.verify()
    with pytest.raises(StoreError), opened(state.path) as broken:
        broken.log.record(decided(), readings=PORTAL.readings)


# --- reading and proving ----------------------------------------------------------------------


@on_both_databases
def test_entries_are_read_in_slices(state: State) -> None:
    """Any slice gives exactly its entries, across the blocks in which they are read."""
    leaves = [b"leaf %d" % number for number in range(1203)]
    state.log.append_many([(leaf_bytes, ()) for leaf_bytes in leaves])
    for start, stop in ((0, None), (127, 130), (1000, 5000), (1203, None), (5, 5), (7, 3)):
        expected = leaves[start:stop]
        assert [entry.leaf for entry in state.log.entries(start, stop)] == expected
    with pytest.raises(LogError, match="counted from 0"):
        next(state.log.entries(-1))


def test_an_entry_that_is_not_there_is_told(state: State) -> None:
    """Asking beyond the end says how many entries there are."""
    record(state, 2)
    for index in (2, 99):
        with pytest.raises(LogError, match=f"no entry {index}: the log has 2"):
            state.log.entry(index)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_entries WHERE idx = 1",
        "UPDATE log_entries SET leaf = 'text' WHERE idx = 1",
    ],
)
def test_reading_over_a_missing_entry_stops_there(state: State, statement: str) -> None:
    """A gap is not skipped: the reader gets what is before it, then the error naming it."""
    record(state, 3)
    damage(state, "DELETE FROM envelopes")
    damage(state, statement)
    entries = state.log.entries()
    assert next(entries).index == 0
    with pytest.raises(VerificationError) as refused:
        next(entries)
    assert refused.value.index == 1


@on_both_databases
def test_every_entry_is_proved_in_every_later_log(state: State) -> None:
    """Inclusion proofs verify against the root that each size had, and against no other."""
    roots = [state.log.append(b"leaf %d" % number).root for number in range(17)]
    for size in range(1, 18):
        for index in range(size):
            proof = state.log.prove_inclusion(index, size)
            assert proof.root == roots[size - 1]
            assert proof.leaf_hash == merkle.leaf_hash(b"leaf %d" % index)
            merkle.verify_inclusion(
                proof.leaf_hash, index, size, list(proof.hashes), roots[size - 1]
            )
    assert state.log.prove_inclusion(3).size == 17


def test_every_log_is_proved_to_continue_the_earlier_ones(state: State) -> None:
    """Consistency proofs verify between the roots of any two sizes."""
    roots = [state.log.append(b"leaf %d" % number).root for number in range(17)]
    for new in range(1, 18):
        for old in range(1, new + 1):
            proof = state.log.prove_consistency(old, new)
            merkle.verify_consistency(old, roots[old - 1], new, roots[new - 1], proof)
    assert state.log.prove_consistency(3) == state.log.prove_consistency(3, 17)


def test_a_proof_beyond_the_log_is_refused(state: State) -> None:
    """Sizes and indexes that the log does not have are told."""
    record(state, 3)
    for ask in (
        lambda: state.log.prove_inclusion(0, 4),
        lambda: state.log.prove_inclusion(3),
        lambda: state.log.prove_inclusion(-1),
        lambda: state.log.prove_consistency(0),
        lambda: state.log.prove_consistency(2, 4),
        lambda: state.log.prove_consistency(3, 2),
    ):
        with pytest.raises(LogError):
            ask()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_entries WHERE idx = 1",
        "UPDATE log_entries SET nodes = 'text' WHERE idx = 1",
        "UPDATE log_entries SET nodes = substr(nodes, 1, 40) WHERE idx = 1",
    ],
)
def test_a_proof_over_a_missing_hash_names_the_entry(state: State, statement: str) -> None:
    """A proof that cannot be built says beside which entry a hash is missing."""
    for number in range(4):
        state.log.append(b"leaf %d" % number)
    damage(state, statement)
    with pytest.raises(VerificationError) as refused:
        state.log.prove_inclusion(2)
    assert refused.value.index == 1


def test_no_other_entry_stands_in_for_a_missing_one(state: State) -> None:
    """A hash is read beside its own entry, and not beside the next that is there."""
    for number in range(4):
        state.log.append(b"leaf %d" % number)
    damage(state, "DELETE FROM log_entries WHERE idx = 0")
    with pytest.raises(VerificationError, match="beside entry 0 is missing") as refused:
        state.log.prove_inclusion(1)
    assert refused.value.index == 0


# --- opening and erasing ------------------------------------------------------------------------


@on_both_databases
def test_sealed_facts_are_opened_with_the_key(state: State) -> None:
    """Whoever holds the wrapping key reads what an entry was decided from."""
    state.log.record(
        decided(resource__properties__tenant="tenant-1"),
        readings=PORTAL.readings,
        request_id="request-1",
    )
    facts = state.log.open(0)
    assert facts["tenant"] == {"id": "tenant-1"}
    assert facts["todo"] == {"id": "td-17", "type": "todo"}
    assert facts["request"] == {"id": "request-1"}
    assert facts["partnership_manager"] == {"name": "North West partnership manager"}
    assert facts["operator"] == {
        "id": "housing-officer-7",
        "provided_at": "2026-06-02T07:05:00.000000Z",
        "channel": "manual",
    }
    assert facts["account"] is not None
    assert facts["account"]["username"] == "Acme Homes Automation 1"


def test_many_entries_are_opened_as_each_is(state: State) -> None:
    """Opening a range gives the same facts as opening its entries one by one."""
    record(state, 9)
    found = [(entry.index, facts) for entry, facts in state.log.opened(2, 8)]
    assert found == [(index, state.log.open(index)) for index in range(2, 8)]
    assert all(facts["account"] is not None for _, facts in found)


@on_both_databases
def test_a_person_is_erased_without_breaking_one_proof(state: State) -> None:
    """Deleting the subject's row and envelopes is all: proofs taken before still verify."""
    record(state, 12)
    before = [state.log.prove_inclusion(index) for index in range(12)]
    document = state.log.entry(4).document
    token = document["tokens"]["tenant"]
    concerned = [e.index for e in state.log.entries() if token in e.document["tokens"].values()]
    assert len(concerned) > 1
    damage(state, "DELETE FROM subjects WHERE token = ?", token)
    damage(state, "DELETE FROM envelopes WHERE token = ?", token)
    head = state.log.verify(forms=True)
    for index in concerned:
        assert state.log.open(index)["tenant"] is None
        assert state.log.open(index)["account"] is not None
    assert [proof.root for proof in before] == [head.root] * 12
    record(state)
    assert state.log.verify().size == 13


def test_an_envelope_lost_without_erasure_is_found(state: State) -> None:
    """An envelope may be absent only when its subject's key is."""
    record(state, 4)
    damage(state, "DELETE FROM envelopes WHERE idx = 2 AND slot = 'tenant'")
    for forms in (False, True):
        with pytest.raises(VerificationError, match="lost an envelope") as refused:
            state.log.verify(forms=forms)
        assert refused.value.index == 2
    with pytest.raises(VerificationError):
        state.log.open(2)


def test_an_envelope_that_was_changed_is_not_opened(state: State) -> None:
    """Opening an entry compares the sealed bytes with the digest in the leaf."""
    record(state, 2)
    damage(state, "UPDATE envelopes SET ciphertext = zeroblob(60) WHERE slot = 'tenant'")
    with pytest.raises(VerificationError, match="envelope") as refused:
        state.log.open(1)
    assert refused.value.index == 1


# --- verifying ----------------------------------------------------------------------------------


def test_an_empty_log_verifies(state: State) -> None:
    """A log without entries has the published root of the empty tree."""
    assert state.log.verify(forms=True) == Head(0, merkle.EMPTY_ROOT)


def test_a_log_of_some_hundred_entries_verifies_in_every_form(state: State) -> None:
    """Verifying, proving and opening are the same for large numbers, over several reads."""
    record(state, 300)
    for forms in (False, True):
        assert state.log.verify(forms=forms).size == 300
    proof = state.log.prove_inclusion(299)
    merkle.verify_inclusion(proof.leaf_hash, 299, 300, list(proof.hashes), proof.root)
    assert state.log.open(299)["account"] is not None


def test_progress_is_told_up_to_the_whole(state: State) -> None:
    """Progress rises, never beyond the total, and ends at it."""
    drafts = [drafted(number) for number in range(60)]
    for _ in range(5):
        state.log.record_many(drafts)
    told: list[tuple[int, int]] = []
    state.log.verify(progress=lambda done, total: told.append((done, total)))
    assert told == [(128, 300), (256, 300), (300, 300)]


def test_verifying_and_reading_take_no_more_memory_for_a_larger_log(state: State) -> None:
    """The peak of memory does not grow with the log."""
    empty = vault.canonical({"envelopes": {}, "filler": "x" * 1000, "tokens": {}})
    state.log.append_many([(empty, ())] * 500)

    def peak() -> int:
        tracemalloc.start()
        state.log.verify()
        for _ in state.log.entries():
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak()
    small = peak()
    state.log.append_many([(empty, ())] * 4500)
    assert peak() < 1.2 * small


def test_progress_over_a_broken_head_ends_with_the_verdict(state: State) -> None:
    """A head that cannot say how many entries there are is told, after all have been read."""
    record(state, 3)
    damage(state, "UPDATE log_head SET size = 'many'")
    told: list[tuple[int, int]] = []
    with pytest.raises(VerificationError, match="head"):
        state.log.verify(progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE log_entries SET leaf = CAST(x'ff' AS TEXT) WHERE idx = 141", 141),
        ("UPDATE log_entries SET nodes = CAST(x'ff' AS TEXT) WHERE idx = 3", 3),
        ("UPDATE envelopes SET slot = CAST(x'ff' AS TEXT) WHERE idx = 141 AND slot = 'todo'", 141),
        ("UPDATE envelopes SET token = CAST(x'ff' AS TEXT) WHERE idx = 7", 7),
    ],
)
def test_a_text_that_is_no_text_is_named(state: State, statement: str, index: int) -> None:
    """What the driver refuses to read is told as the entry where it stands."""
    record(state, 150)
    damage(state, statement)
    with pytest.raises(VerificationError, match=f"entry {index} cannot be read") as refused:
        state.log.verify()
    assert refused.value.index == index


def test_a_row_that_is_not_there_is_told_as_missing(state: State) -> None:
    """The first entry without a row is named, wherever the next one stands."""
    record(state, 4)
    for number in (2, 1):
        damage(state, "DELETE FROM log_entries WHERE idx = ?", number)
        with pytest.raises(VerificationError, match=f"entry {number} is missing") as refused:
            state.log.verify()
        assert refused.value.index == number


def test_a_pruning_that_was_not_recorded_is_found(state: State) -> None:
    """Entries that were blanked as pruning does it, but without an entry that says so, are told."""
    record(state, 3)
    damage(state, "UPDATE log_entries SET leaf = x'' WHERE idx < 2")
    damage(state, "DELETE FROM envelopes WHERE idx < 2")
    damage(state, "UPDATE log_head SET first = 2")
    with pytest.raises(VerificationError, match="begins at entry 2, and its entries say 0"):
        state.log.verify()


def test_a_row_before_the_first_is_found(state: State) -> None:
    """Entries are counted from 0, and a row with a negative index does not belong."""
    record(state, 2)
    for index in (-1, -(2**63)):
        damage(state, "INSERT INTO log_entries VALUES (?, x'00', x'00')", index)
        with pytest.raises(VerificationError, match=f"numbered {index}") as refused:
            state.log.verify()
        assert refused.value.index == 0
        damage(state, "DELETE FROM log_entries WHERE idx < 0")


def test_entries_and_head_that_disagree_name_the_first_entry_in_doubt(state: State) -> None:
    """A head of other entries is told from the first subtree in which the two differ."""
    record(state, 13)
    with raw(state.path) as connection:
        heads = connection.execute("SELECT size, root, frontier FROM log_head").fetchone()
    for changed, first in ((2, 0), (9, 8), (12, 12)):
        frontier = merkle.Frontier()
        for entry in state.log.entries():
            spoiled = b"x" if entry.index == changed else entry.leaf
            frontier.append(merkle.leaf_hash(spoiled))
        move = "UPDATE log_head SET size = ?, root = ?, frontier = ?"
        damage(state, move, 13, frontier.root, frontier.to_bytes())
        with pytest.raises(VerificationError, match=f"from entry {first} on") as refused:
            state.log.verify()
        assert refused.value.index == first
        damage(state, move, *heads)


def test_a_leaf_that_is_no_decision_is_found_when_forms_are_asked_for(state: State) -> None:
    """A hashed, committed leaf of another shape is told as the first wrong entry."""
    record(state)
    foreign = vault.canonical({"envelopes": {}, "tokens": {}, "note": "not ours"})
    state.log.append(foreign)
    assert state.log.verify().size == 2
    with pytest.raises(VerificationError, match="entry 1") as refused:
        state.log.verify(forms=True)
    assert refused.value.index == 1


@pytest.mark.parametrize(
    "leaf_bytes",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"tokens":1,"envelopes":{"todo":"x"}}',
        b'{"tokens":{"todo":1},"envelopes":{"todo":"x"}}',
        b'{"tokens":{},"envelopes":{"todo":"x"}}',
        b'{"tokens":{"tenant":"x"},"envelopes":{"todo":"x"}}',
        b'{"tokens":{"tenant":"x","todo":"y"},"envelopes":{"todo":"x"}}',
        b"[" * 5000,
    ],
)
def test_a_leaf_whose_envelopes_cannot_be_known_is_found(state: State, leaf_bytes: bytes) -> None:
    """Even without forms, every leaf must say which envelopes belong to it."""
    state.log.append(leaf_bytes)
    with pytest.raises(VerificationError) as refused:
        state.log.verify()
    assert refused.value.index == 0


@pytest.mark.parametrize("forms", [False, True])
def test_an_envelope_beside_an_entry_that_names_none_is_found(state: State, forms: bool) -> None:
    """What an entry does not commit to cannot be put beside it."""
    record(state)
    with raw(state.path) as connection:
        [(sealed,)] = connection.execute("SELECT leaf FROM log_entries").fetchall()
    document = json.loads(sealed)
    state.log.append(vault.canonical({**document, "envelopes": {}, "tokens": {}}))
    assert state.log.verify(forms=forms).size == 2
    damage(state, "UPDATE envelopes SET idx = 1 WHERE slot = 'tenant'")
    damage(
        state,
        "INSERT INTO envelopes SELECT 0, slot, token, ciphertext FROM envelopes WHERE idx = 1",
    )
    with pytest.raises(VerificationError, match="not those that it names") as refused:
        state.log.verify(forms=forms)
    assert refused.value.index == 1


@pytest.mark.parametrize("place", [0, 3, 7])
def test_a_consistently_rewritten_entry_shows_against_a_remembered_head(
    state: State, place: int
) -> None:
    """An intruder who recomputes every hash is found by whoever remembers an earlier head."""
    record(state, 8)
    head = state.log.verify()
    record(state, 5)
    with raw(state.path) as connection:
        connection.execute("DELETE FROM envelopes WHERE idx = ?", (place,))
        connection.execute(
            "UPDATE log_entries SET leaf = ? WHERE idx = ?",
            (vault.canonical({"envelopes": {}, "tokens": {}}), place),
        )
        rehash(connection)
    assert state.log.verify().size == 13
    with pytest.raises(VerificationError, match="first 8 entries"):
        state.log.verify(head)


@on_both_databases
@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE log_entries SET leaf = ? WHERE idx = 5", 5),
        ("UPDATE log_entries SET nodes = ? WHERE idx = 5", 5),
        ("UPDATE envelopes SET ciphertext = ? WHERE idx = 5 AND slot = 'todo'", 5),
        ("UPDATE envelopes SET slot = 'tenants' WHERE idx = 5 AND slot = 'tenant'", 5),
        ("UPDATE envelopes SET token = 'another' WHERE idx = 5 AND slot = 'todo'", 5),
        ("DELETE FROM envelopes WHERE idx = 5 AND slot = 'todo'", 5),
        ("UPDATE log_head SET root = ?", None),
        ("UPDATE log_head SET frontier = ?", None),
        ("UPDATE log_head SET size = 11", None),
        ("DELETE FROM log_head", None),
        ("UPDATE subjects SET wrapped_key = ? WHERE kind = 'todo'", None),
        ("UPDATE subjects SET created_at = 0 WHERE kind = 'todo'", None),
    ],
)
def test_every_stored_column_is_held_to_account(
    state: State, statement: str, index: int | None
) -> None:
    """Whatever is changed in whichever database, verifying finds it, and names the entry."""
    record(state, 12)
    assert state.log.verify().size == 12
    damage(state, statement, *[b"Zyxwv-Planted"] * statement.count("?"))
    with pytest.raises(VerificationError) as refused:
        state.log.verify()
    if index is not None:
        assert refused.value.index == index


def test_an_entry_replaced_with_its_own_hash_is_named(state: State) -> None:
    """A replaced leaf whose hash beside it was replaced too is named by the hashes above."""
    record(state, 9)
    for place in (4, 8):
        with raw(state.path) as connection:
            forged = vault.canonical({"envelopes": {}, "tokens": {}})
            old = connection.execute(
                "SELECT leaf, nodes FROM log_entries WHERE idx = ?", (place,)
            ).fetchone()
            kept = connection.execute("SELECT * FROM envelopes WHERE idx = ?", (place,)).fetchall()
            connection.execute("DELETE FROM envelopes WHERE idx = ?", (place,))
            write = "UPDATE log_entries SET leaf = ?, nodes = ? WHERE idx = ?"
            connection.execute(write, (forged, merkle.leaf_hash(forged), place))
        with pytest.raises(VerificationError) as refused:
            state.log.verify()
        assert refused.value.index == place
        with raw(state.path) as connection:
            connection.execute(write, (*old, place))
            connection.executemany("INSERT INTO envelopes VALUES (?, ?, ?, ?)", kept)
        state.log.verify()


def test_a_stored_hash_that_lies_is_told_from_an_entry_that_does(state: State) -> None:
    """When only a hash above the leaves was changed, the entry beside it is named."""
    record(state, 16)
    for level in (1, 2, 3, 4):
        with raw(state.path) as connection:
            [nodes] = connection.execute("SELECT nodes FROM log_entries WHERE idx = 15").fetchone()
            spoiled = bytearray(nodes)
            spoiled[32 * level] ^= 1
            write = "UPDATE log_entries SET nodes = ? WHERE idx = 15"
            connection.execute(write, (bytes(spoiled),))
        told = f"a hash beside entry 15 is not that of the entries from {16 - 2**level} on"
        with pytest.raises(VerificationError, match=told) as refused:
            state.log.verify()
        assert refused.value.index == 15
        damage(state, write, nodes)


# --- remembered heads ---------------------------------------------------------------------------


@pytest.fixture
def heads(tmp_path: Path) -> Iterator[RememberedHeads]:
    """Heads remembered in a directory that does not exist yet."""
    with RememberedHeads(tmp_path / "memory" / "heads.sqlite3") as heads:
        yield heads


def test_a_remembered_head_never_goes_back_by_itself(heads: RememberedHeads) -> None:
    """An earlier head does not replace a later one, of any thread; each log has its own."""
    assert heads.get("one") is None
    threads = [
        threading.Thread(target=heads.remember, args=("one", Head(size, bytes([size] * 32))))
        for size in (3, 9, 5, 7, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heads.remember("other", Head(2, bytes(32)))
    assert heads.get("one") == Head(9, bytes([9] * 32))
    heads.replace("one", Head(4, bytes(32)))
    assert heads.get("one") == Head(4, bytes(32))
    assert heads.get("other") == Head(2, bytes(32))


def test_heads_are_remembered_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTOMATION_RULES_HEADS names the file; without it, the user's own directory does."""
    monkeypatch.setenv(HEADS_VARIABLE, str(tmp_path / "named"))
    assert RememberedHeads.open().path == tmp_path / "named"
    monkeypatch.delenv(HEADS_VARIABLE)
    assert RememberedHeads.open().path.name == "heads.sqlite3"


def test_heads_that_cannot_be_remembered_are_told(tmp_path: Path, heads: RememberedHeads) -> None:
    """A file that is no memory of heads is an error that names it and the way out."""
    path = tmp_path / "broken"
    path.write_text("this is no database, whatever its name may say")
    with RememberedHeads(path) as broken:
        with pytest.raises(LogError, match=f"broken.*{HEADS_VARIABLE}"):
            broken.get("one")
        with pytest.raises(LogError, match="broken"):
            broken.remember("one", Head(1, bytes(32)))
    (tmp_path / "file").write_text("")
    with (
        RememberedHeads(tmp_path / "file" / "heads") as nowhere,
        pytest.raises(LogError, match=HEADS_VARIABLE),
    ):
        nowhere.get("one")
    heads.remember("one", Head(1, bytes(32)))
    with sqlite3.connect(heads.path) as connection:
        connection.execute("UPDATE heads SET root = 'text'")
    connection.close()
    with pytest.raises(LogError, match="something else"):
        heads.get("one")


def copied(path: Path, to: Path) -> None:
    """Back up a closed state's file."""
    shutil.copy(path, to)


@pytest.fixture
def went_back(tmp_path: Path, heads: RememberedHeads) -> Path:
    """A state whose file was restored from a backup of three entries, after five."""
    path, backup = tmp_path / "state.sqlite3", tmp_path / "backup"
    with opened(path, heads=heads) as state:
        record(state, 3)
    copied(path, backup)
    with opened(path, heads=heads) as state:
        record(state, 2)
    copied(backup, path)
    return path


def test_a_log_that_grows_is_the_one_that_was_here(tmp_path: Path, heads: RememberedHeads) -> None:
    """Appending by others, verifying and opening again are no rollback."""
    path = tmp_path / "state.sqlite3"
    with opened(path) as unguarded:
        record(unguarded, 3)
    for _ in range(3):
        with opened(path, heads=heads) as state, opened(path) as other:
            state.log.check_rollback()
            record(state, 3)
            record(other, 4)
            assert state.log.check_rollback() == other.log.head()
            record(state, 1)
            assert heads.get(state.store.log_id) == state.log.verify()


def test_a_restored_backup_is_recognised(went_back: Path, heads: RememberedHeads) -> None:
    """A log smaller than the remembered one is told, and nothing is appended to it."""
    with opened(went_back, heads=heads) as state:
        with pytest.raises(VerificationError, match=r"the log went back: 5 .* 3") as refused:
            state.log.check_rollback()
        assert refused.value.index == 3
        with pytest.raises(NotRecordedError, match="backup"):
            state.log.record(decided(), readings=PORTAL.readings)
        with pytest.raises(VerificationError, match="entry 3 is missing"):
            state.log.verify()
        assert state.log.head().size == 3


@pytest.mark.parametrize("grown", [2, 6])
def test_a_backup_that_grew_again_is_recognised(
    went_back: Path, heads: RememberedHeads, grown: int
) -> None:
    """A log of the same or of a greater size that is another log is told as well."""
    with opened(went_back) as unguarded:
        record(unguarded, grown)
    with opened(went_back, heads=heads) as state:
        with pytest.raises(VerificationError, match="the log went back"):
            state.log.check_rollback()
        with pytest.raises(NotRecordedError, match="the log went back"):
            state.log.append(b"leaf")
        with pytest.raises(VerificationError, match="first 5 entries"):
            state.log.verify()


def test_a_rollback_is_not_forgotten_by_verifying_against_an_older_head(
    went_back: Path, heads: RememberedHeads
) -> None:
    """A head from before the rollback holds, and yet the one remembered must be continued."""
    with opened(went_back) as unguarded:
        older = unguarded.log.verify()
        record(unguarded, 6)
    with opened(went_back, heads=heads) as state:
        for _ in range(2):
            with pytest.raises(VerificationError, match="the log went back"):
                state.log.verify(older)


def test_a_rollback_is_acknowledged_on_record(went_back: Path, heads: RememberedHeads) -> None:
    """A person's acknowledgement is an entry, by token, and the log goes on from there."""
    with opened(went_back, heads=heads) as state:
        remembered, found = heads.get(state.store.log_id), state.log.head()
        assert remembered is not None
        with structlog.testing.capture_logs() as told:
            receipt = state.log.acknowledge_rollback(by="Makebelieve", landlord="acme", at=NOW)
        assert [event["event"] for event in told] == ["rollback_acknowledged_recorded"]
        document = read_leaf(receipt.leaf)
        assert document["type"] == "rollback_acknowledged"
        assert document["expected"] == {"size": 5, "root": remembered.root.hex()}
        assert document["found"] == {"size": 3, "root": found.root.hex()}
        assert b"Makebelieve" not in stored_bytes(state) + str(told).encode()
        assert state.log.open(3) == {"operator": {"id": "Makebelieve"}}
        assert state.log.check_rollback() == Head(4, receipt.root)
        record(state)
        assert state.log.verify(forms=True).size == 5


def test_only_a_rollback_is_acknowledged(tmp_path: Path, heads: RememberedHeads) -> None:
    """With a log that holds, or without a remembered head, there is nothing to acknowledge."""
    with opened(tmp_path / "state.sqlite3", heads=heads) as state:
        with pytest.raises(LogError, match="nothing to acknowledge"):
            state.log.acknowledge_rollback(by="officer-1", landlord="acme", at=NOW)
        record(state, 2)
        with pytest.raises(LogError, match="nothing to acknowledge"):
            state.log.acknowledge_rollback(by="officer-1", landlord="acme", at=NOW)
        assert state.log.head().size == 2
    with opened(tmp_path / "other.sqlite3") as state, pytest.raises(LogError, match="remembered"):
        state.log.acknowledge_rollback(by="officer-1", landlord="acme", at=NOW)


def test_without_its_memory_nothing_is_recorded(tmp_path: Path) -> None:
    """When remembered heads cannot be read, the answer is a denial and nothing is written."""
    (tmp_path / "broken").write_text("this is no database, whatever its name may say")
    with (
        RememberedHeads(tmp_path / "broken") as broken,
        opened(tmp_path / "state.sqlite3", heads=broken) as state,
    ):
        with pytest.raises(NotRecordedError, match=HEADS_VARIABLE):
            state.log.record(decided(), readings=PORTAL.readings)
        assert state.log.head().size == 0


def test_subjects_are_scoped_to_their_landlord() -> None:
    """A draft names every subject with the landlord whose identifier it is."""
    assert {subject.landlord for subject in drafted(1).subjects} == {"acme"}
    assert Subject(Kind.TODO, "acme", "td-1") in drafted(1).subjects
