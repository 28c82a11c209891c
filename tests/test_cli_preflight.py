"""``preflight``: the facts from the registry, recorded before it is answered."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from automation_rules.clock import SystemClock
from automation_rules.store import engine
from cli_state import OFFICER, WORKDAY, Program, Ran

if TYPE_CHECKING:
    from pathlib import Path

SUBMIT = (
    *("preflight", "--account", "acme-1", "--action", "submit_todo"),
    *("--todo-kind", "provide_tenancy_details", "--todo", "td-17"),
)
SIGN_OUT = ("preflight", "--account", "acme-1", "--action", "sign_out")
JSON = ("-o", "json")


def _ready(program: Program) -> None:
    program.register()
    program.enter_code()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose account may submit to-dos."""
    program = Program(tmp_path, monkeypatch)
    program.once(_ready)
    return program


def failed(ran: Ran) -> list[tuple[str, str]]:
    """Return the checks that failed, with their codes."""
    reasons = ran.json["context"]["reasons"]
    return [(r["check"], r["code"]) for r in reasons if r["outcome"] == "fail"]


def entries(program: Program) -> list[dict[str, Any]]:
    """Return what the log says, entry by entry."""
    listed = program.ok("audit", "list", "-n", "1000", *JSON).json["entries"]
    return [entry["leaf"] for entry in listed]


# --- deciding


def test_a_step_within_the_terms_is_allowed_from_the_registrys_facts(program: Program) -> None:
    """The answer is the document of check, with the registry's facts and the log's entry."""
    ran = program.ok(*SUBMIT, *JSON)
    assert ran.json["decision"] is True
    context = ran.json["context"]
    assert context["facts"] == "registry"
    assert context["evaluated_at"] == WORKDAY
    assert context["valid_until"] == "2026-06-02T17:59:00.000001+01:00"
    assert context["log"]["index"] == 0
    assert context["log"]["size"] == 1
    assert "dry_run" not in context


def test_what_is_wrong_is_denied_with_every_reason(program: Program) -> None:
    """On a Saturday, without a code and while paused, the answer names all three."""
    program.stand_at("2026-06-06T09:00:00+01:00")
    program.ok("accounts", "pause", "acme-1", "--reason", "DWP asked")
    ran = program.run(*SUBMIT, *JSON)
    assert ran.code == 1
    assert failed(ran) == [
        ("manual_code", "stale_code"),
        ("window", "weekend"),
        ("suspension", "account_paused"),
    ]
    assert program.run(*SUBMIT, "--exit-zero").code == 0


def test_the_text_shows_checks_reasons_and_the_entry(program: Program) -> None:
    """A reader sees the answer in words and where it is recorded."""
    out = program.ok(*SUBMIT).out
    assert "Allowed: no breach" in out
    assert "Recorded in the log as entry 0" in out
    assert "Caniatawyd" in program.ok(*SUBMIT, "--lang", "cy").out


def test_junit_and_sarif_are_written_as_by_check(program: Program) -> None:
    """The formats of check hold the recorded decision."""
    assert ET.fromstring(program.ok(*SUBMIT, "-o", "junit").out).tag in {"testsuite", "testsuites"}  # noqa: S314
    assert program.ok(*SUBMIT, "-o", "sarif").json["version"] == "2.1.0"


def test_unknown_steps_and_kinds_are_denied_and_recorded(program: Program) -> None:
    """A step that the portal does not know is judged, not refused as an argument."""
    ran = program.run("preflight", "--account", "acme-1", "--action", "pay the rent", *JSON)
    assert ran.code == 1
    assert ("action", "unknown_action") in failed(ran)
    ran = program.run(
        *("preflight", "--account", "acme-1", "--action", "open_todo"),
        *("--todo-kind", "another", "--todo", "t", *JSON),
    )
    assert ("action", "not_housing_costs") in failed(ran)
    assert [entry["action"] for entry in entries(program)] == ["unknown", "open_todo"]


def test_closures_pauses_forms_and_notices_come_from_the_registry(program: Program) -> None:
    """What was announced and tested decides, without the caller saying so."""
    program.ok(
        *("forms", "record", "--landlord", "acme", "--todo-kind", "provide_tenancy_details"),
        *("--fingerprint", "v1", "--tested-on", "2026-05-01"),
    )
    assert program.run(*SUBMIT, "--form-fingerprint", "v1").code == 0
    changed = program.run(*SUBMIT, "--form-fingerprint", "v2", *JSON)
    assert failed(changed) == [("form", "form_changed")]
    program.ok("notices", "add", "n-1", "--effective-on", "2026-06-05")
    warned = program.run(*SUBMIT, "--form-fingerprint", "v1", "--fail-on-warn", *JSON)
    assert warned.code == 1
    assert warned.json["decision"] is True
    program.ok("landlord", "pause", "acme", "--reason", "DWP asked")
    program.ok(
        *("closures", "add", "--from", "2026-06-02T08:30:00+01:00"),
        *("--to", "2026-06-02T09:30:00+01:00"),
    )
    ran = program.run(*SUBMIT, *JSON)
    assert failed(ran) == [("window", "closure"), ("suspension", "landlord_paused")]


def test_a_test_run_stops_before_submitting(program: Program) -> None:
    """In test mode every step may run except the last."""
    assert failed(program.run(*SUBMIT, "--mode", "test", *JSON)) == [
        ("test_mode", "submit_in_test_mode")
    ]


def test_the_policy_and_its_readings_decide(program: Program) -> None:
    """A reading given on the command line is the one that the entry records."""
    argv = ("preflight", "--account", "acme-1", "--action", "view_updates")
    program.ok(*argv)
    assert program.run(*argv, "--reading", "updates_tab=denied").code == 1
    readings = [entry["readings"]["updates_tab"] for entry in entries(program)]
    assert readings == ["permitted", "denied"]


def test_answers_are_held_against_the_landlords_own_record(
    program: Program, tmp_path: Path
) -> None:
    """Both are given or neither; fields are named, and no value is shown or kept."""
    answers, record = tmp_path / "answers.json", tmp_path / "record.json"
    answers.write_text('{"rent": 512.25, "tenant": "Example Tenant"}', "utf-8")
    record.write_text('{"rent": 499.75}', "utf-8")
    ran = program.run(*SUBMIT, "--answers", str(answers), "--record", str(record), *JSON)
    assert failed(ran) == [("answers", "answers_differ")]
    assert ran.json["context"]["reasons"][0]["fields"] == ["rent"]
    for kept in (ran.out, ran.err, _stored(program).decode("latin-1")):
        assert "512.25" not in kept
        assert "499.75" not in kept
        assert "Example Tenant" not in kept
    alone = program.run(*SUBMIT, "--answers", str(answers))
    assert alone.code == 2
    assert "go together" in alone.err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[1]", "must be a JSON object"),
        (b'{"a": NaN}', "finite number"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b"\xff\xfe\xff", "UTF-16"),
        (b"", "not JSON"),
    ],
)
def test_answers_that_are_no_object_are_refused(
    program: Program, tmp_path: Path, content: bytes, problem: str
) -> None:
    """A file that cannot be read strictly exits 2, named with what is wrong, and unrecorded."""
    file = tmp_path / "answers.json"
    file.write_bytes(content)
    ran = program.run(*SUBMIT, "--answers", str(file), "--record", str(file), *JSON)
    assert ran.code == 2
    assert problem in ran.err
    assert "answers.json" in ran.err
    assert ran.json["decision"] is False
    assert entries(program) == []


def test_answers_in_no_file_are_refused(program: Program, tmp_path: Path) -> None:
    """A directory and an absent file are told as files that cannot be read."""
    for name in (str(tmp_path), str(tmp_path / "absent.json"), "nul\0l"):
        assert program.run(*SUBMIT, "--answers", name, "--record", name).code == 2


def _stored(program: Program) -> bytes:
    """Return every byte of the state's files."""
    return b"".join(file.read_bytes() for file in program.folder.glob("state.sqlite3*"))


def test_people_and_todos_are_in_the_log_as_tokens_only(program: Program) -> None:
    """Neither the to-do nor the tenant stands in clear anywhere, nor in what is logged."""
    ran = program.ok(*SUBMIT, "--tenant", "TENANT-4711", *JSON)
    [entry] = entries(program)
    assert {"todo", "tenant", "operator"} <= set(entry["tokens"])
    stored = _stored(program)
    for personal in (b"td-17", b"TENANT-4711"):
        assert personal not in stored
        assert personal not in (ran.out + ran.err).encode()


# --- time


def test_the_margin_keeps_away_from_closing(program: Program) -> None:
    """Work must end the margin before the window closes."""
    program.stand_at("2026-06-02T17:57:00+01:00")
    two_minutes = (*SUBMIT, "--expected-duration", "PT2M", *JSON)
    assert program.run(*two_minutes).code == 0
    assert failed(program.run(*two_minutes, "--margin", "61")) == [
        ("window", "insufficient_time_left")
    ]
    program.stand_at("2026-06-02T17:59:30+01:00")
    assert failed(program.run(*SUBMIT, *JSON)) == [("window", "insufficient_time_left")]
    assert program.run(*SUBMIT, "--margin", "0").code == 0
    assert program.run(*SUBMIT, "--margin", "-1").code == 2
    assert program.run(*SUBMIT, "--expected-duration", "P1M").code == 2


@pytest.mark.parametrize(("seconds", "code"), [(0, 0), (60, 0), (-60, 0), (61, 2), (-61, 2)])
def test_a_clock_further_off_than_the_margin_is_refused(
    program: Program, seconds: int, code: int
) -> None:
    """The portal's Date header is held against our clock; the difference is told."""
    portal = format_datetime(SystemClock().now() + timedelta(seconds=seconds), usegmt=True)
    ran = program.run(*SUBMIT, "--portal-date", portal, *JSON)
    assert ran.code == code
    assert ran.json["decision"] is (code == 0)
    assert ("differ by 61 s" in ran.err) is (code == 2)
    assert len(entries(program)) == (1 if code == 0 else 0)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-06-02T09:00:00Z", "Tue, 02 Jun 2026 08:00:00", "Tue, 99 GMT", "GMT"]
)
def test_only_an_http_date_is_a_portal_date(program: Program, text: str) -> None:
    """Another form of date, or one without its zone, exits 2 with an example."""
    ran = program.run(*SUBMIT, "--portal-date", text)
    assert ran.code == 2
    assert "must be an HTTP date" in ran.err


# --- dry runs


def test_a_dry_run_is_marked_and_records_nothing(program: Program) -> None:
    """Both forms say that it is one, at whatever instant, and the log stays as it was."""
    at = ("--dry-run", "--at", "2026-06-06T09:00:00+01:00")
    ran = program.run(*SUBMIT, *at, *JSON)
    assert ran.code == 1
    assert ran.json["context"]["dry_run"] is True
    assert ran.json["context"]["evaluated_at"] == "2026-06-06T09:00:00+01:00"
    assert "log" not in ran.json["context"]
    assert "Dry run: nothing is recorded" in program.run(*SUBMIT, *at).out
    assert program.ok(*SUBMIT, "--dry-run", *JSON).json["decision"] is True
    assert entries(program) == []


def test_a_dry_run_may_suppose_that_the_code_is_typed_in(program: Program) -> None:
    """With a supposed code the day ahead is answered; by registered people only."""
    ahead = (*SUBMIT, "--dry-run", "--at", "2026-06-03T10:00:00+01:00", *JSON)
    assert failed(program.run(*ahead)) == [("manual_code", "stale_code")]
    code_at = ("--code-at", "2026-06-03T08:00:00+01:00", "--code-by")
    program.ok(*ahead, *code_at, OFFICER)
    stranger = program.run(*ahead, *code_at, "stranger")
    assert stranger.code == 2
    assert "stranger" not in stranger.err


@pytest.mark.parametrize(
    "options",
    [
        ("--at", WORKDAY),
        ("--code-at", WORKDAY, "--code-by", OFFICER),
        ("--dry-run", "--code-at", WORKDAY),
        ("--dry-run", "--code-by", OFFICER),
        ("--dry-run", "--portal-date", "Tue, 02 Jun 2026 08:00:00 GMT"),
        ("--dry-run", "--at", "2026-06-02T09:00:00"),
        ("--dry-run", "--at", "9999-06-02T09:00:00Z"),
        ("--dry-run", "--at", "0001-01-01T00:00:00Z"),
    ],
)
def test_suppositions_that_make_no_sense_are_refused(
    program: Program, options: tuple[str, ...]
) -> None:
    """What only a dry run may suppose, half a supposition and unknown times exit 2."""
    ran = program.run(*SUBMIT, *JSON, *options)
    assert ran.code == 2
    assert ran.json["decision"] is False
    assert entries(program) == []


# --- leaving


def test_signing_out_is_always_let_through(program: Program) -> None:
    """Leaving is allowed and recorded, with its findings, whatever else is wrong."""
    program.stand_at("2026-06-06T23:00:00+01:00")
    program.ok("accounts", "update", "acme-1", "--role", "manage_users")
    ran = program.ok(*SIGN_OUT, "--fail-on-warn", *JSON)
    assert ran.json["decision"] is True
    assert failed(ran) == [("role", "missing_role")]
    assert "Leaving is never a breach" in program.ok(*SIGN_OUT).out
    assert [entry["decision"] for entry in entries(program)] == [True, True]


# --- recording


def test_what_is_printed_is_on_record_first(program: Program) -> None:
    """When the reader has gone, the decision is durable all the same, and it is no yes."""
    code = "import sys; from automation_rules.cli import main; sys.exit(main(sys.argv[1:]))"
    read_end, write_end = os.pipe()
    os.close(read_end)
    ran = subprocess.run(
        [sys.executable, "-c", code, *SIGN_OUT],
        env={**os.environ, **program.environ},
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    assert ran.returncode == 1
    assert b"Traceback" not in ran.stderr
    assert len(entries(program)) == 1


def _locked(program: Program, *argv: str) -> Ran:
    """Run one command while another process keeps the state locked."""
    other = sqlite3.connect(program.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        return program.run(*argv)
    finally:
        other.close()


def test_what_cannot_be_recorded_is_denied(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A locked log makes a denial of check log, exit 3, also with --exit-zero; it says why."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    ran = _locked(program, *SUBMIT, "--exit-zero", *JSON)
    assert ran.code == 3
    assert ran.json["decision"] is False
    assert failed(ran) == [("log", "not_recorded")]
    assert "locked" in ran.err
    assert "log" not in ran.json["context"]
    assert entries(program) == []


def test_a_full_disk_denies_and_keeps_the_log_whole(program: Program) -> None:
    """When the state cannot grow, the answer is a denial, and what was recorded verifies."""
    program.ok(*SIGN_OUT)
    script = (
        "import resource, sys; from automation_rules.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, *SUBMIT, *JSON],
        env={**os.environ, **program.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    assert json.loads(ran.stdout)["decision"] is False
    assert "Traceback" not in ran.stderr
    assert program.ok("audit", "verify", *JSON).json["size"] == 1


def test_leaving_is_let_through_when_it_cannot_be_recorded(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bot that cannot be recorded may still sign out; the finding warns."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    ran = _locked(program, *SIGN_OUT, *JSON)
    assert ran.code == 0
    assert ran.json["decision"] is True
    assert [r["code"] for r in ran.json["context"]["reasons"]] == ["not_recorded"]


def test_a_lost_key_denies_until_it_is_restored(program: Program) -> None:
    """Without the wrapping key nothing can be sealed, so nothing is allowed: exit 3."""
    program.key.unlink()
    ran = program.run(*SUBMIT, *JSON)
    assert ran.code == 3
    assert ran.json["decision"] is False
    assert "restore the file" in ran.err


def test_a_file_of_heads_that_cannot_be_used_denies(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its memory a rollback could not be recognised: exit 3."""
    monkeypatch.setenv("AUTOMATION_RULES_HEADS", str(program.folder))
    ran = program.run(*SUBMIT, *JSON)
    assert ran.code == 3
    assert "AUTOMATION_RULES_HEADS" in ran.err


def test_a_restored_backup_is_refused_until_it_is_acknowledged(program: Program) -> None:
    """The log went back: exit 3 with the remedy; a registered person lets it go on."""
    shutil.copy(program.path, program.folder / "backup")
    program.ok(*SUBMIT)
    for file in program.folder.glob("state.sqlite3-*"):
        file.unlink()
    shutil.copy(program.folder / "backup", program.path)
    ran = program.run(*SUBMIT, *JSON)
    assert ran.code == 3
    assert ran.json["decision"] is False
    assert "went back" in ran.err
    assert "acknowledge-rollback" in ran.err
    assert program.run("audit", "acknowledge-rollback", "--by", "stranger").code == 2
    program.ok("audit", "acknowledge-rollback", "--by", OFFICER)
    assert program.ok(*SUBMIT, *JSON).json["context"]["log"]["index"] == 1


def test_an_event_is_logged_to_standard_error_after_each_commit(program: Program) -> None:
    """The event names the entry and its hash, and nothing of the step; stdout is data only."""
    ran = program.ok(*SUBMIT, *JSON)
    [line] = ran.err.splitlines()
    log = json.loads(ran.out)["context"]["log"]
    assert f"index={log['index']} leaf_hash={log['leaf_hash']} decision=true" in line
    assert f"time={SystemClock().now().isoformat()} level=info event=decision_recorded" in line


# --- who asks


def test_an_account_that_is_not_registered_is_told(program: Program) -> None:
    """No such account, or none any more, is a mistake of configuration; nothing is decided."""
    for account in ("nobody", "", "x" * 2000):
        ran = program.run("preflight", "--account", account, "--action", "sign_in", *JSON)
        assert ran.code == 2
        assert ran.json["decision"] is False
    program.ok("accounts", "remove", "acme-1")
    assert program.run(*SUBMIT).code == 2


@pytest.mark.parametrize("option", ["--todo", "--tenant", "--form-fingerprint", "--todo-kind"])
def test_texts_have_a_length(program: Program, option: str) -> None:
    """What is longer than any document may hold exits 2."""
    ran = program.run(*SUBMIT, option, "x" * 1001)
    assert ran.code == 2
    assert "longer than 1000" in ran.err


def test_every_answer_is_of_the_schema_that_ships(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recorded, supposed, unrecorded, denied and in error: callers can rely on one shape."""
    schema = program.ok("schema", "decision").json
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    answers = [
        program.run(*SUBMIT, *JSON),
        program.run(*SUBMIT, "--dry-run", *JSON),
        _locked(program, *SUBMIT, *JSON),
        _locked(program, *SIGN_OUT, *JSON),
        program.run("preflight", "--account", "nobody", "--action", "sign_in", *JSON),
    ]
    program.ok("accounts", "update", "acme-1", "--role", "manage_users")
    answers.append(program.run(*SUBMIT, *JSON))
    leaving = program.ok(*SIGN_OUT, *JSON)
    assert leaving.json["decision"]
    assert "fail" in {reason["outcome"] for reason in leaving.json["context"]["reasons"]}
    answers.append(leaving)
    for ran in answers:
        jsonschema.validate(ran.json, schema)
