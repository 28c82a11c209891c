"""``init``, ``landlord``, ``people``, ``accounts``, ``closures``, ``notices`` and ``forms``."""

from __future__ import annotations

import base64
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from automation_rules.store import engine
from cli_state import OFFICER, Program

if TYPE_CHECKING:
    from pathlib import Path

CLAUSES = [
    "terms.agreement-by-use",
    "terms.own-risk",
    "terms.no-support",
    "terms.no-accommodation",
    "terms.report-incorrect-data",
    "terms.data-controller",
]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line, with nothing made yet."""
    return Program(tmp_path, monkeypatch)


@pytest.fixture
def registered(program: Program) -> Program:
    """Return the command line on a state with a landlord, a person and one account."""
    program.once(Program.register)
    return program


# --- init


def test_init_makes_the_state_and_its_key_and_says_where(program: Program) -> None:
    """A fresh machine is set up by one command, which names both files."""
    ran = program.ok("init")
    assert program.path.exists()
    assert program.key.exists()
    assert str(program.path) in ran.out
    assert str(program.key) in ran.out
    assert "Keep a copy of the key" in ran.out


def test_init_leaves_a_state_that_exists_as_it_is(program: Program) -> None:
    """A second init replaces neither the state nor the key, and says so."""
    first = program.ok("init", "-o", "json").json["state"]
    key = program.key.read_bytes()
    second = program.ok("init", "-o", "json").json["state"]
    assert (first["created"], second["created"]) == (True, False)
    assert first["log_id"] == second["log_id"]
    assert program.key.read_bytes() == key
    assert "exists already" in program.ok("init").out


def test_init_keeps_a_key_that_the_environment_holds_out_of_files(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the key in the environment no key file is made."""
    monkeypatch.setenv("AUTOMATION_RULES_WRAPPING_KEY", base64.b64encode(bytes(32)).decode())
    assert "$AUTOMATION_RULES_WRAPPING_KEY" in program.ok("init").out
    assert not program.key.exists()


def test_init_makes_a_lost_key_again_only_while_nothing_is_sealed(registered: Program) -> None:
    """Once the log has entries, a new key would open nothing: the old one must be restored."""
    registered.key.unlink()
    registered.ok("init")
    assert registered.run("preflight", "--account", "acme-1", "--action", "sign_out").code == 0
    registered.key.unlink()
    ran = registered.run("init")
    assert ran.code == 3
    assert "restore the file" in ran.err
    assert not registered.key.exists()


def test_init_registers_a_landlord_only_by_identifier_and_name(program: Program) -> None:
    """One of the two alone is a mistake, found before anything is made."""
    ran = program.run("init", "--landlord", "acme")
    assert ran.code == 2
    assert "go together" in ran.err
    assert not program.path.exists()


def test_a_state_that_was_never_made_is_a_mistake_in_the_configuration(program: Program) -> None:
    """Every command that needs the state says how to make it, and exits 2."""
    for command in (["landlord", "list"], ["accounts", "show", "x"], ["audit", "verify"]):
        ran = program.run(*command)
        assert ran.code == 2
        assert "automation-rules init" in ran.err
        assert ran.out == ""


# --- landlords


def test_a_landlord_is_registered_shown_and_changed(program: Program) -> None:
    """Each option becomes the fact of that name; what is not given stays as it was."""
    program.ok("init")
    added = program.ok(
        *("landlord", "add", "acme", "--name", "Acme Homes", "--also-known-as", "AH"),
        *("--nation", "scotland", "--no-portal-access", "--declared-on", "2026-01-05"),
        *("--partnership-manager", "PM", "--sector", "private", "-o", "json"),
    ).json["landlord"]
    assert added == {
        "id": "acme",
        "name": "Acme Homes",
        "also_known_as": ["AH"],
        "sector": "private",
        "portal_access": False,
        "nation": "scotland",
        "declared_on": "2026-01-05",
        "partnership_manager": "PM",
        "paused": False,
    }
    changed = program.ok("landlord", "update", "acme", "--portal-access", "-o", "json")
    assert changed.json["landlord"] == {**added, "portal_access": True}
    shown = program.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert shown == {**changed.json["landlord"], "acknowledgements": [], "status_changes": []}
    listed = program.ok("landlord", "list", "-o", "json").json["landlords"]
    assert listed == [changed.json["landlord"]]
    assert "Acme Homes" in program.ok("landlord", "list").out


def test_an_update_without_any_change_is_a_mistake(registered: Program) -> None:
    """Nothing to change is told, and not done silently."""
    assert "nothing to change" in registered.run("landlord", "update", "acme").err
    assert registered.run("accounts", "update", "acme-1").code == 2


def test_a_declaration_is_recorded_with_its_day_and_manager(registered: Program) -> None:
    """Declare sets both at once."""
    ran = registered.ok(
        *("landlord", "declare", "acme", "--on", "2026-02-03"),
        *("--partnership-manager", "North West", "-o", "json"),
    )
    assert ran.json["landlord"]["declared_on"] == "2026-02-03"
    assert ran.json["landlord"]["partnership_manager"] == "North West"
    bad = registered.run("landlord", "declare", "acme", "--on", "3/2/2026")
    assert bad.code == 2
    assert "must be a date" in bad.err


def test_a_pause_ends_on_a_registered_persons_word_only(registered: Program) -> None:
    """Pauses and resumptions are recorded with their reason or their person."""
    registered.ok("landlord", "pause", "acme", "--reason", "DWP asked")
    stranger = registered.run("landlord", "resume", "acme", "--by", "stranger")
    assert stranger.code == 2
    assert "stranger" not in stranger.err
    registered.ok("landlord", "resume", "acme", "--by", OFFICER)
    again = registered.run("landlord", "resume", "acme", "--by", OFFICER)
    assert again.code == 2
    assert "is not paused" in again.err
    shown = registered.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert [(c["change"], c["reason"], c["person_id"]) for c in shown["status_changes"]] == [
        ("paused", "DWP asked", None),
        ("resumed", None, OFFICER),
    ]
    assert "DWP asked" in registered.ok("landlord", "show", "acme").out


def test_the_clauses_are_shown_before_they_are_acknowledged(registered: Program) -> None:
    """Who acknowledges sees every clause; version, digest and clauses are recorded."""
    ran = registered.ok("landlord", "accept-terms", "acme", "--by", OFFICER, "-o", "json")
    recorded = ran.json["acknowledgement"]
    assert recorded["clauses"] == CLAUSES
    assert recorded["person_id"] == OFFICER
    assert recorded["terms_digest"].startswith("sha256:")
    assert all(f"{clause}: " in ran.err for clause in CLAUSES)
    shown = registered.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert shown["acknowledgements"] == [recorded]
    assert "Acknowledged" in registered.ok("landlord", "show", "acme").out


def test_nobody_who_is_not_registered_acknowledges_anything(registered: Program) -> None:
    """An unknown person is refused before the clauses are shown."""
    ran = registered.run("landlord", "accept-terms", "acme", "--by", "stranger")
    assert ran.code == 2
    assert CLAUSES[0] not in ran.err
    shown = registered.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert shown["acknowledgements"] == []


# --- all at once


def test_all_automation_is_paused_and_resumed_at_once(registered: Program) -> None:
    """The switch shows in its own list and in that of the landlords, with who and why."""
    assert registered.ok("all", "show", "-o", "json").json == {
        "switches": [],
        "all_paused": False,
    }
    assert "never been paused" in registered.ok("all", "show").out
    paused = registered.ok("all", "pause", "--reason", "an example", "-o", "json").json["switch"]
    assert (paused["change"], paused["reason"]) == ("paused", "an example")
    listed = registered.ok("landlord", "list", "-o", "json").json
    assert listed["all_paused"] is True
    assert [one["paused"] for one in listed["landlords"]] == [False]
    for command in (("landlord", "list"), ("all", "show")):
        assert "All automation is paused" in registered.ok(*command).out
    resumed = registered.ok("all", "resume", "--landlord", "acme", "--by", OFFICER)
    assert "Automation is resumed, except what is paused by itself." in resumed.out
    shown = registered.ok("all", "show", "-o", "json").json
    assert shown["all_paused"] is False
    assert [(c["change"], c["landlord_id"], c["person_id"]) for c in shown["switches"]] == [
        ("paused", None, None),
        ("resumed", "acme", OFFICER),
    ]
    assert "All automation is paused" not in registered.ok("landlord", "list").out


def test_the_pause_of_all_ends_on_a_registered_persons_word_only(registered: Program) -> None:
    """A stranger's word does not end it, and there must be one to end."""
    resume = ("all", "resume", "--landlord", "acme", "--by")
    early = registered.run(*resume, OFFICER)
    assert early.code == 2
    assert "not all automation is paused" in early.err
    registered.ok("all", "pause", "--reason", "an example")
    stranger = registered.run(*resume, "stranger")
    assert stranger.code == 2
    assert "stranger" not in stranger.err
    assert registered.ok("all", "show", "-o", "json").json["all_paused"] is True
    assert registered.run("all", "pause").code == 2


# --- people


def test_people_are_registered_listed_and_removed(registered: Program) -> None:
    """The list holds who may type in codes now; an account's id is no person's."""
    registered.ok("landlord", "add", "beta", "--name", "Beta Homes")
    registered.ok("people", "add", "b-1", "--landlord", "beta", "--name", "B", "--role", "lead")
    listed = registered.ok("people", "list", "-o", "json").json["people"]
    assert [person["id"] for person in listed] == [OFFICER, "b-1"]
    assert "lead" in registered.ok("people", "list", "--landlord", "beta").out
    registered.ok("people", "remove", OFFICER, "--landlord", "acme")
    assert registered.run("people", "remove", OFFICER, "--landlord", "acme").code == 2
    assert "Nothing is registered" in registered.ok("people", "list", "--landlord", "acme").out
    taken = registered.run("people", "add", "acme-1", "--landlord", "acme", "--name", "X")
    assert taken.code == 2
    assert "step-2.manual-code" in taken.err


# --- accounts


def test_a_third_account_is_refused_with_its_clauses_and_remedy(registered: Program) -> None:
    """The third is no bad input but does not hold (exit 1), and nothing of it is written."""
    assert registered.add_account(2).code == 0
    refused = registered.add_account(3, "-o", "json")
    assert refused.code == 1
    assert "step-2.limit, terms.limit" in refused.err
    assert "deactivate or remove one first" in refused.err
    assert set(refused.json) == {"error"}
    listed = registered.ok("accounts", "list", "-o", "json").json
    assert [account["id"] for account in listed["accounts"]] == ["acme-1", "acme-2"]
    assert listed["counted"] == {"acme": 2}
    registered.ok("accounts", "deactivate", "acme-1", "--reason", "replaced")
    assert registered.add_account(3).code == 0
    assert registered.run("accounts", "resume", "acme-1", "--by", OFFICER).code == 1
    registered.ok("accounts", "remove", "acme-2")
    registered.ok("accounts", "resume", "acme-1", "--by", OFFICER)


def test_processes_that_race_never_leave_a_third_account(registered: Program) -> None:
    """Of five processes that register an account at once, one succeeds beside the first."""

    def add(number: int) -> int:
        argv = [
            *("accounts", "add", f"acme-{number}", "--landlord", "acme"),
            *("--username", f"Acme Homes Automation {number}"),
            *("--email", f"automation{number}@acme.example"),
            *("--created-by-role", "manage_users", "-q"),
        ]
        return _process(registered, *argv).returncode

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(add, range(2, 7))) == [0, 1, 1, 1, 1]
    assert registered.ok("accounts", "list", "-o", "json").json["counted"] == {"acme": 2}


def _process(program: Program, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "automation_rules", *argv],
        env={**os.environ, **program.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_account_that_the_terms_never_allow_names_every_field(registered: Program) -> None:
    """All that is wrong with an account is told at once, with the clauses."""
    ran = registered.run(
        *("accounts", "add", "x", "--landlord", "acme", "--username", "Robot"),
        *("--email", "robot@acme.example", "--created-by-role", "complete_todos"),
        *("--role", "complete_todos", "--role", "manage_users", "--no-two-factor"),
    )
    assert ran.code == 2
    for clause in ("step-2.identify", "step-2.own-account", "step-2.role", "step-2.two-factor"):
        assert clause in ran.err


def test_the_reading_of_identity_decides_which_usernames_register(registered: Program) -> None:
    """Where the word alone identifies, a username need not name the landlord."""
    argv = [
        *("accounts", "add", "x", "--landlord", "acme", "--username", "Automation"),
        *("--email", "automation@acme.example", "--created-by-role", "manage_users"),
    ]
    assert registered.run(*argv).code == 2
    registered.ok(*argv, "--reading", "identity_pattern=automation-only")


def test_accounts_advise_one_for_each_kind_of_todo(registered: Program) -> None:
    """The suggestion of the terms is told while the accounts do not follow it, and only then."""
    registered.add_account(2, "--todo-kind", "confirm_housing_costs")
    advised = registered.ok("accounts", "list")
    assert "step-2.one-account-per-todo" in advised.out
    assert "2 of 2" in advised.out
    registered.ok("accounts", "update", "acme-1", "--todo-kind", "provide_tenancy_details")
    assert "step-2.one-account-per-todo" not in registered.ok("accounts", "list").out
    assert registered.ok("accounts", "list", "-o", "json").json["advice"] == []


def test_what_is_true_of_an_account_is_recorded_lawful_or_not(registered: Program) -> None:
    """An update records the portal's facts for the checks to judge; status has its own ways."""
    changed = registered.ok(
        *("accounts", "update", "acme-1", "--role", "manage_users", "--role", "complete_todos"),
        *("--no-two-factor", "--username", "Renamed", "--email", "e", "--created-by-role", "x"),
        *("-o", "json"),
    ).json["account"]
    assert changed["roles"] == ["complete_todos", "manage_users"]
    assert changed["two_factor"] is False
    registered.ok("accounts", "pause", "acme-1", "--reason", "DWP asked")
    shown = registered.ok("accounts", "show", "acme-1", "-o", "json").json["account"]
    assert shown == {**changed, "status": "paused"}
    registered.ok("accounts", "resume", "acme-1", "--by", OFFICER)
    assert registered.run("accounts", "resume", "acme-1", "--by", OFFICER).code == 2


# --- what is announced


def test_closures_are_registered_in_order_of_time_and_withdrawn(registered: Program) -> None:
    """A closure has a beginning before its end, on whichever clocks it was given."""
    add = ("closures", "add", "--from", "2026-06-03T09:00:00+01:00")
    added = registered.ok(*add, "--to", "2026-06-03T09:00:00Z", "-o", "json").json["closure"]
    assert added["from"] == "2026-06-03T09:00:00+01:00"
    assert added["to"] == "2026-06-03T10:00:00+01:00"
    backwards = registered.run(*add, "--to", "2026-06-03T08:00:00Z")
    assert backwards.code == 2
    assert "later than --from" in backwards.err
    naive = registered.run(*add, "--to", "2026-06-03T12:00:00")
    assert "has no UTC offset" in naive.err
    registered.ok(
        *("closures", "add", "--id", "c-1", "--reason", "upgrade"),
        *("--from", "2026-06-01T00:00:00Z", "--to", "2026-06-02T00:00:00Z"),
    )
    listed = registered.ok("closures", "list", "-o", "json").json["closures"]
    assert [closure["id"] for closure in listed] == ["c-1", added["id"]]
    assert "upgrade" in registered.ok("closures", "list").out
    registered.ok("closures", "remove", "c-1")
    assert registered.run("closures", "remove", "c-1").code == 2


def test_notices_warn_ahead_until_they_take_effect(registered: Program) -> None:
    """What is still to come and concerns automation is told again below the list."""
    added = registered.ok("notices", "add", "n-1", "--effective-on", "2026-06-16")
    assert "Tuesday 16 June 2026" in added.out
    assert "Test the automation again" in added.out
    quiet = ("notices", "add", "n-2", "--effective-on", "2026-06-17", "--no-affects-automation")
    assert "Test the automation" not in registered.ok(*quiet, "--title", "Colours").out
    listed = registered.ok("notices", "list")
    assert "The change n-1" in listed.out
    assert "The change n-2" not in listed.out
    registered.stand_at("2026-06-16T09:00:00+01:00")
    assert "The change n-1" not in registered.ok("notices", "list").out
    registered.ok("notices", "remove", "n-1")
    left = registered.ok("notices", "list", "-o", "json").json["notices"]
    assert [notice["id"] for notice in left] == ["n-2"]


def test_a_tested_form_replaces_the_last_of_its_kind(registered: Program) -> None:
    """One form of each kind is known for a landlord."""
    record = ("forms", "record", "--landlord", "acme", "--todo-kind", "confirm_housing_costs")
    for fingerprint in ("one", "two"):
        registered.ok(*record, "--fingerprint", fingerprint, "--tested-on", "2026-05-01")
    listed = registered.ok("forms", "list", "--landlord", "acme", "-o", "json").json["forms"]
    assert [form["fingerprint"] for form in listed] == ["two"]
    assert "two" in registered.ok("forms", "list", "--landlord", "acme").out


# --- every command


def test_welsh_is_spoken_where_the_locale_says_so(
    registered: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The language comes from --lang, or else from the locale."""
    monkeypatch.setenv("LC_ALL", "cy_GB.UTF-8")
    assert "Enw defnyddiwr" in registered.ok("accounts", "list").out
    assert "Username" in registered.ok("accounts", "list", "--lang", "en").out


def test_data_never_acts_on_the_terminal(registered: Program) -> None:
    """A name with a bidirectional override is shown with the override written out."""
    registered.ok("landlord", "update", "acme", "--name", "Acme \u202e Homes")
    for command in (["landlord", "list"], ["landlord", "show", "acme"]):
        out = registered.ok(*command).out
        assert "\u202e" not in out
        assert "\\u202e" in out


def test_an_error_with_json_asked_for_is_json(registered: Program) -> None:
    """Standard output holds one JSON value whatever happens, and the reason is on both."""
    ran = registered.run("landlord", "show", "nobody", "-o", "json")
    assert ran.code == 2
    assert "nobody" in ran.json["error"]["message"]
    assert ran.err.startswith("error: ")


def test_a_result_goes_whole_to_a_file(registered: Program, tmp_path: Path) -> None:
    """With --output-file nothing is on standard output."""
    file = tmp_path / "landlords.json"
    ran = registered.ok("landlord", "list", "-o", "json", "--output-file", str(file))
    assert ran.out == ""
    assert '"acme"' in file.read_text("utf-8")


# --- a state that cannot be used


@pytest.mark.parametrize(
    "url",
    ["mysql://x", "sqlite://", "sqlite:///:memory:", "no url", "sqlite:////nowhere/at/all.sqlite3"],
)
def test_a_state_named_wrongly_is_a_usage_error(program: Program, url: str) -> None:
    """A URL that no state can have exits 2 with what to write instead."""
    ran = program.run("landlord", "list", "--state", url)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_a_locked_state_is_told_in_one_line(
    registered: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another process keeps locked is no mistake of the command: exit 3, and try again."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(registered.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        ran = registered.run("landlord", "pause", "acme", "--reason", "DWP asked")
    finally:
        other.close()
    assert ran.code == 3
    assert "locked" in ran.err
    assert len(ran.err.splitlines()) == 1
    shown = registered.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert shown["paused"] is False


def test_a_damaged_state_is_told_in_one_line(registered: Program) -> None:
    """Bytes that are no database exit 3 with the remedy, and no traceback."""
    data = bytearray(registered.path.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    registered.path.write_bytes(data)
    ran = registered.run("landlord", "list")
    assert ran.code == 3
    assert "backup" in ran.err
    registered.path.write_bytes(b"not a database at all, but some text" * 50)
    assert registered.run("landlord", "list").code == 3


def test_a_full_disk_leaves_nothing_half_written(registered: Program) -> None:
    """When the file cannot grow, the change is refused whole with exit 3."""
    script = (
        "import resource, sys; from automation_rules.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "sys.exit(main(['landlord', 'update', 'acme', '--name', 'Acme ' + 'x' * 900]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **registered.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3, ran.stderr
    assert ran.stderr.startswith("error: ")
    assert len(ran.stderr.splitlines()) == 1
    shown = registered.ok("landlord", "show", "acme", "-o", "json").json["landlord"]
    assert shown["name"] == "Acme Homes"
