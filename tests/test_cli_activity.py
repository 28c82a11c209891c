"""``automation-rules activity``: what the monitor saw, as people and programs read it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from automation_rules import landlord_portal
from automation_rules.activity import Activity
from automation_rules.clock import FrozenClock
from automation_rules.monitor import ActivityMonitor
from automation_rules.store import Store
from cli_state import OFFICER, WORKDAY, Program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state with a landlord, a person and one account."""
    made = Program(tmp_path, monkeypatch)
    made.once(Program.register)
    return made


@pytest.fixture
def watched(program: Program) -> Program:
    """Let a monitor see requests of the account, and an hour later errors of one unregistered."""
    clock = FrozenClock(datetime.fromisoformat(WORKDAY))
    with Store.open(program.url, clock=clock) as store:
        monitor = ActivityMonitor(store, clock, lambda: landlord_portal().monitor)
        for _ in range(121):
            monitor.note("acme-1", Activity.REQUEST)
        monitor.flush()
        clock.move_to(clock.now() + timedelta(hours=1))
        for _ in range(11):
            monitor.note("acme-9", Activity.ERROR)
        monitor.close()
    return program


def test_what_was_seen_is_listed(watched: Program) -> None:
    """The list says when, who, what was done and what was seen, and how a pause ends."""
    listed = watched.ok("activity", "list").out
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    assert lines[0] == "When Account What was done What was seen"
    text = " ".join(lines)
    assert text.count("acme-1") == 2
    assert text.index("warning") < text.index("paused")
    assert "acme-9" in text
    assert "Requests in 1 minute: 121 (at most 120 expected)" in text
    assert "A paused account waits for a person: automation-rules accounts resume" in text


def test_the_list_is_there_in_welsh(watched: Program) -> None:
    """Every word of the list is Welsh when Welsh is asked for."""
    text = " ".join(watched.ok("activity", "list", "--lang", "cy").out.split())
    assert text.startswith("Pryd Cyfrif Yr hyn a wnaed Yr hyn a welwyd")
    assert "rhybudd" in text
    assert "oedwyd" in text
    assert "Ceisiadau mewn 1 munud: 121" in text
    assert "warning" not in text


def test_the_list_is_there_as_json(watched: Program) -> None:
    """Programs get numbers, thresholds as a policy writes them, and the words in both languages."""
    found = watched.ok("activity", "list", "-o", "json").json["observations"]
    assert [one["level"] for one in found] == ["warning", "pause", "warning"]
    assert found[1] == {
        "at": WORKDAY, "account_id": "acme-1", "landlord_id": "acme", "activity": "requests",
        "level": "pause", "seen": 121, "allowed": "120/minute",
        "message": {
            "en": "Requests in 1 minute: 121 (at most 120 expected)",
            "cy": "Ceisiadau mewn 1 munud: 121 (disgwylid 120 ar y mwyaf)",
        },
    }  # fmt: skip
    assert (found[2]["account_id"], found[2]["landlord_id"]) == ("acme-9", None)


def test_the_list_is_narrowed_down(watched: Program) -> None:
    """By landlord, by account, registered or not, and by time."""

    def accounts(*options: str) -> list[str]:
        found = watched.ok("activity", "list", "-o", "json", *options).json["observations"]
        return [one["account_id"] for one in found]

    assert accounts("--landlord", "acme") == ["acme-1", "acme-1"]
    assert accounts("--account", "acme-9") == ["acme-9"]
    assert accounts("--since", "2026-06-02T10:00:00+01:00") == ["acme-9"]
    assert accounts("--since", "2026-06-03") == []
    assert "resume" not in watched.ok("activity", "list", "--account", "acme-9").out


def test_an_unknown_landlord_is_told(watched: Program) -> None:
    """A misspelt landlord is an error, not an empty list."""
    ran = watched.run("activity", "list", "--landlord", "acne")
    assert ran.code == 2
    assert "there is no landlord 'acne'" in ran.err


def test_nothing_was_seen(program: Program) -> None:
    """A quiet state says so."""
    assert program.ok("activity", "list").out == "The activity monitor has seen nothing unusual.\n"
    assert program.ok("activity", "list", "-o", "json").json == {"observations": []}


def test_a_person_resumes_what_the_monitor_paused(watched: Program) -> None:
    """The account is paused like any other, with what was seen as the reason."""
    shown = watched.ok("accounts", "list", "--landlord", "acme", "-o", "json").json
    assert shown["accounts"][0]["status"] == "paused"
    landlord = watched.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    reason = landlord["status_changes"][-1]["reason"]
    assert reason.startswith("The activity monitor paused it. Requests in 1 minute")
    watched.ok("accounts", "resume", "acme-1", "--by", OFFICER)
    shown = watched.ok("accounts", "list", "--landlord", "acme", "-o", "json").json
    assert shown["accounts"][0]["status"] == "active"
