"""The shadow report: what was let through although the terms would have denied it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation_rules.actions import Action, TodoKind
from automation_rules.audit import DecisionLog, Entry
from automation_rules.clock import FrozenClock
from automation_rules.decision import Finding, Outcome, instant_text
from automation_rules.enforcer import Step
from automation_rules.errors import VerificationError
from automation_rules.gateway import Automation, open_gateway
from automation_rules.leaf import draft_decision
from automation_rules.request import Mode
from automation_rules.shadow import COLUMNS, Key, Seen, ShadowReport, count, to_csv
from automation_rules.store import Store
from automation_rules.terms import clauses_for
from cli_state import Program
from gateway_world import SATURDAY, WORKDAY, make_world
from log_helpers import PORTAL, request
from test_siem import PERSONAL, finished, rollback

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway_world import World

SHADOW: Final = Finding("enforcement", Outcome.WARN, "shadow")


def entry_at(
    time: str,
    account: str = "acme-1",
    *,
    watched: bool = True,
    facts: str = "registry",
    **more: Any,
) -> Entry:
    """Return the entry of an account's decision at a time, only watched unless said otherwise."""
    decision = PORTAL.decide(
        request(
            facts=facts,
            context__time=time,
            subject__id=account,
            subject__properties__sms_code__provided_at=f"{time[:10]}T00:30:00+01:00",
            resource__properties__tenant="tenant-5",
            **more,
        )
    )
    if watched:
        decision = decision.with_finding(SHADOW, allowed=decision.allowed)
    return finished(draft_decision(decision, readings=PORTAL.readings, request_id="req-9"))


ALLOWED: Final = entry_at("2026-06-02T09:00:00+01:00")
ENFORCED: Final = entry_at("2026-06-06T09:00:00+01:00", watched=False)
SATURDAY_AT_9: Final = entry_at("2026-06-06T09:00:00+01:00")
SATURDAY_AT_8: Final = entry_at("2026-06-06T08:00:00+01:00")
OTHER: Final = entry_at("2026-06-03T09:00:00+01:00", "acme-2", action__name="pay_rent")
BOTH: Final = entry_at(
    "2026-06-07T09:00:00+01:00", subject__properties__two_factor=False, context__mode="test"
)
CLAIMED: Final = entry_at("2026-06-03T09:00:00+01:00", "<x>", facts="claimed")
SAMPLE: Final = (ALLOWED, ENFORCED, SATURDAY_AT_9, SATURDAY_AT_8, OTHER, BOTH, CLAIMED, rollback())


def at(hour: int, day: int) -> datetime:
    """Return an instant in June 2026, by its hour in UTC."""
    return datetime(2026, 6, day, hour, tzinfo=UTC)


# --- counting


def test_only_what_was_watched_and_denied_counts() -> None:
    """What was enforced is not in the report; what was allowed only in the sum of all."""
    report = count(SAMPLE)
    assert report.watched == Seen(6, at(8, 2), at(8, 7))
    assert report.let_through == Seen(5, at(8, 3), at(8, 7))
    assert count([ALLOWED]).reasons == {}
    assert count([ENFORCED, rollback()]) == ShadowReport()


def test_each_account_step_and_code_has_its_count_and_its_times() -> None:
    """First and last are the earliest and the latest, in whatever order entries come."""
    reasons = count(SAMPLE).reasons
    weekend = Key(
        "acme", "acme-1", "submit_todo", "live", "window", "weekend", ("when.core-hours",)
    )
    assert reasons[weekend] == Seen(2, at(7, 6), at(8, 6))
    pay_rent = Key(
        "acme",
        "acme-2",
        "pay_rent",
        "live",
        "action",
        "other_portal_function",
        clauses_for("action", "other_portal_function"),
    )
    assert reasons[pay_rent] == Seen(1, at(8, 3), at(8, 3))
    assert list(reasons) == sorted(reasons)


def test_a_denial_counts_for_each_of_its_codes_and_once_for_each_clause() -> None:
    """Two reasons are two rows; a clause that both cite is cited once by that decision."""
    report = count([BOTH])
    assert {(key.check, key.code, key.mode) for key in report.reasons} == {
        ("two_factor", "two_factor_off", "test"),
        ("test_mode", "submit_in_test_mode", "test"),
        ("window", "weekend", "test"),
    }
    assert {seen.decisions for seen in report.clauses.values()} == {1}
    assert report.let_through.decisions == 1


def test_accounts_that_are_not_registered_are_counted_and_not_named() -> None:
    """What an unknown caller said of itself is in no form of the report."""
    report = count([CLAIMED])
    assert {(key.landlord, key.account) for key in report.reasons} == {("", "")}
    said = json.dumps(report.to_document()) + to_csv(report).decode()
    assert "<x>" not in said
    assert report.to_document()["reasons"][0]["account"] is None


def test_the_most_cited_clause_comes_first() -> None:
    """By number, and by name among equals."""
    clauses = count(SAMPLE).clauses
    order = [(-seen.decisions, clause) for clause, seen in clauses.items()]
    assert order == sorted(order)
    assert next(iter(clauses)) == "when.core-hours"


def test_a_span_is_half_open() -> None:
    """The instant of the start counts, and that of the end does not."""
    entries = (SATURDAY_AT_8, SATURDAY_AT_9)
    for start, end, expected in (
        (at(7, 6), at(8, 6), 1),
        (at(7, 6), None, 2),
        (None, at(7, 6), 0),
        (at(7, 6) + timedelta(microseconds=1), None, 1),
    ):
        assert count(entries, start=start, end=end).let_through.decisions == expected


def test_one_landlord_s_report_has_nothing_of_another_s() -> None:
    """Nor of accounts that are nobody's."""
    other = entry_at("2026-06-06T09:00:00+01:00", "brick-1", context__landlord__id="brick")
    entries = (SATURDAY_AT_9, other, CLAIMED)
    assert count(entries, landlord="acme").let_through.decisions == 1
    assert {key.account for key in count(entries, landlord="brick").reasons} == {"brick-1"}
    assert count(entries, landlord="nobody") == ShadowReport()


@pytest.mark.parametrize(
    "leaf", [b"{}", SATURDAY_AT_9.leaf.replace(b"2026-06-06T08", b"2026-06-46T08")]
)
def test_what_is_no_entry_is_refused(leaf: bytes) -> None:
    """A leaf that was never recorded is not counted around."""
    with pytest.raises(VerificationError, match="entry 4"):
        count([Entry(4, leaf)])


def naive(entries: Iterable[Entry]) -> Counter[tuple[str, ...]]:
    """Count again from the leaves, one row of the CSV at a time."""
    found: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        leaf = json.loads(entry.leaf)
        watched = any(check["check"] == "enforcement" for check in leaf["checks"])
        if not watched or leaf["decision"]:
            continue
        who = (leaf["landlord"] or "", leaf["account"] or "", leaf["action"], leaf["mode"])
        for check in leaf["checks"]:
            if check["outcome"] == "fail":
                for clause in clauses_for(check["check"], check["code"]):
                    found[(*who, check["check"], check["code"], clause)] += 1
    return found


ENTRIES: Final = st.tuples(
    st.integers(1, 9),
    st.sampled_from(["acme-1", "acme-2"]),
    st.sampled_from(["sign_in", "pay_rent", "submit_todo"]),
    st.sampled_from(["live", "test"]),
    st.sampled_from(["registry", "claimed"]),
    st.booleans(),
).map(
    lambda drawn: entry_at(
        f"2026-06-{drawn[0]:02}T09:30:00+01:00",
        drawn[1],
        action__name=drawn[2],
        context__mode=drawn[3],
        facts=drawn[4],
        watched=drawn[5],
    )
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ENTRIES, max_size=15), st.randoms(use_true_random=False))
def test_the_numbers_are_those_of_a_naive_count(entries: list[Entry], random: Any) -> None:
    """Counting every entry by itself gives the same rows, in whatever order entries are."""
    report = count(entries)
    found = rows(to_csv(report))
    told = {tuple(row[name] for name in COLUMNS[:7]): int(row["decisions"]) for row in found}
    assert told == naive(entries)
    assert len(found) == len(told)
    random.shuffle(entries)
    assert count(entries) == report
    assert report.watched.decisions >= report.let_through.decisions
    for seen in (*report.reasons.values(), *report.clauses.values()):
        assert 1 <= seen.decisions <= report.let_through.decisions


# --- forms


def rows(data: bytes) -> list[dict[str, str]]:
    """Read CSV as a spreadsheet does."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_csv_begins_as_spreadsheets_want_it() -> None:
    """A byte order mark, the columns in their order, London's times, ends of lines by RFC 4180."""
    assert to_csv(count([SATURDAY_AT_8, SATURDAY_AT_9])) == (
        b"\xef\xbb\xbflandlord,account,action,mode,check,code,clause,decisions,first,last\r\n"
        b"acme,acme-1,submit_todo,live,window,weekend,when.core-hours,2,"
        b"2026-06-06T08:00:00+01:00,2026-06-06T09:00:00+01:00\r\n"
    )


def test_what_could_be_a_formula_is_text() -> None:
    """No cell begins as a formula does."""
    key = Key("=1+1", '@cmd|"x",', "pay_rent", "live", "own", "-code", ("+clause",))
    [row] = rows(to_csv(ShadowReport(reasons={key: Seen(1, WORKDAY, WORKDAY)})))
    assert row["landlord"] == "'=1+1"
    assert row["account"] == '\'@cmd|"x",'
    assert row["code"] == "'-code"
    assert row["clause"] == "'+clause"


def test_no_form_names_a_person() -> None:
    """Tenants, to-dos and people are in none, and no token is."""
    report = count(SAMPLE)
    tokens = [token for entry in SAMPLE for token in entry.document["tokens"].values()]
    for text in (json.dumps(report.to_document()), to_csv(report).decode()):
        assert [word for word in (*PERSONAL, *tokens) if word in text] == []


# --- the command line


def _watched(world: World) -> None:
    """Let two bots be watched for a week, in which they do what they should not."""
    asked = (
        (WORKDAY, "acme-1", Step(Action.LIST_TODOS, TodoKind.CONFIRM_HOUSING_COSTS)),
        (WORKDAY, "acme-2", Step(Action.PAY_RENT)),
        (SATURDAY, "acme-1", Step(Action.SIGN_IN, mode=Mode.TEST)),
        (SATURDAY, "acme-1", Step(Action.SIGN_OUT)),
        (SATURDAY, "ghost-secret-1", Step(Action.SIGN_IN)),
    )
    with open_gateway(world.url, clock=world.clock, shadow=True) as gateway:
        for when, account, step in asked:
            world.clock.move_to(when)
            assert gateway.ask(Automation(account), step).allowed
    with open_gateway(world.url, clock=world.clock) as gateway:
        assert not gateway.ask(Automation("acme-1"), Step(Action.SIGN_IN)).allowed


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state in which a gateway watched, and then enforced."""
    program = Program(tmp_path, monkeypatch)
    _watched(make_world(program.url, tmp_path, monkeypatch))
    monkeypatch.setenv("AUTOMATION_RULES_STATE", program.url)
    return program


def test_a_gateway_s_shadow_is_reported(program: Program) -> None:
    """What a real gateway let through is counted from its log, and what it enforced is not."""
    report = program.ok("shadow", "-o", "json").json
    assert report["watched"]["decisions"] == 5
    assert report["let_through"] == {
        "decisions": 3,
        "first": instant_text(WORKDAY),
        "last": instant_text(SATURDAY),
    }
    found = {
        (row["account"], row["action"], f"{row['check']}.{row['code']}")
        for row in report["reasons"]
    }
    assert ("acme-2", "pay_rent", "action.other_portal_function") in found
    assert ("acme-1", "sign_in", "window.weekend") in found
    assert {row[1] for row in found if row[0] is None} == {"sign_in"}
    assert "ghost-secret" not in json.dumps(report)
    with (
        Store.open(program.url, clock=FrozenClock(SATURDAY)) as store,
        DecisionLog(store) as log,
    ):
        entries = list(log.entries(stop=log.head().size))
    assert report == count(entries).to_document()
    assert rows(program.ok("shadow", "-o", "csv").out.encode()) == rows(to_csv(count(entries)))


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "en",
            (
                "Decisions that were only watched: 5",
                "Would have been denied, and were let through: 3",
                "Not registered",
                "Denials, by clause",
            ),
        ),
        (
            "cy",
            (
                "Penderfyniadau na wnaed ond eu gwylio: 5",
                "Byddent wedi\N{RIGHT SINGLE QUOTATION MARK}u gwrthod, ond gadawyd nhw drwodd: 3",
                "Heb ei gofrestru",
                "Gwrthodiadau, fesul cymal",
            ),
        ),
    ],
)
def test_people_read_it_in_their_language(
    program: Program, lang: str, said: tuple[str, ...]
) -> None:
    """Every account has a table of steps and codes, and every clause its line."""
    text = program.ok("shadow", "--lang", lang).out
    for words in (*said, "acme-2 (acme)", "sign_in (test)", "when.core-hours", "2026-06-06 09:00"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_report_is_of_the_landlord_and_the_span_asked_for(program: Program) -> None:
    """Days begin at midnight in London; the day of --to is not counted."""

    def let_through(*options: str) -> int:
        report = program.ok("shadow", "-o", "json", *options).json
        number: int = report["let_through"]["decisions"]
        return number

    assert let_through("--from", "2026-06-02", "--to", "2026-06-06") == 1
    assert let_through("--from", "2026-06-06") == 2
    assert let_through("--landlord", "acme") == 2
    assert let_through("--to", "2026-06-02") == 0


def test_nothing_watched_is_said_so(program: Program) -> None:
    """An empty report is no empty page."""
    for lang, said in (("en", "Nothing was only watched"), ("cy", "Ni fu dim yn cael ei wylio")):
        out = program.ok("shadow", "--to", "2026-06-02", "--lang", lang).out
        assert out.startswith(said)
    assert len(program.ok("shadow", "--to", "2026-06-02", "-o", "csv").out.splitlines()) == 1


def test_mistakes_are_told_apart_from_an_empty_report(program: Program) -> None:
    """A span without time, a landlord that nobody knows, and a broken log are no zero."""
    ran = program.run("shadow", "--from", "2026-06-02", "--to", "2026-06-02")
    assert (ran.code, "--to" in ran.err) == (2, True)
    ran = program.run("shadow", "--landlord", "acmee")
    assert (ran.code, ran.out) == (2, "")
    assert program.run("shadow", "--from", "yesterday").code == 2
    connection = sqlite3.connect(program.path)
    with connection:
        connection.execute("UPDATE log_entries SET leaf = x'7b7d' WHERE idx = 3")
    connection.close()
    ran = program.run("shadow")
    assert (ran.code, ran.out) == (1, "")
    assert "entry 3" in ran.err
