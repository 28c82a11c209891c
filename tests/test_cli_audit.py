"""``audit``: reading, proving and verifying the log from the command line."""

from __future__ import annotations

import os
import pty
import select
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from automation_rules.merkle import leaf_hash, root_from_inclusion
from cli_state import OFFICER, Program

if TYPE_CHECKING:
    from pathlib import Path

JSON = ("-o", "json")
STEPS = ("sign_in", "list_todos", "pay_rent", "view_updates", "sign_out")


def _with_entries(program: Program) -> None:
    program.register()
    program.add_account(2)
    program.enter_code()
    for hour, step in enumerate(STEPS, 9):
        program.stand_at(f"2026-06-02T{hour:02}:00:00+01:00")
        account = "acme-2" if step == "view_updates" else "acme-1"
        program.run("preflight", "--account", account, "--action", step)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose log has five entries of two accounts."""
    program = Program(tmp_path, monkeypatch)
    program.once(_with_entries)
    program.stand_at("2026-06-02T14:00:00+01:00")
    return program


def change(program: Program, statement: str) -> None:
    """Change the stored log behind the library's back."""
    connection = sqlite3.connect(program.path)
    with connection:
        connection.execute(statement)
    connection.close()


def backup(program: Program) -> Path:
    """Copy the state to a file beside it."""
    copy = program.folder / "backup"
    shutil.copy(program.path, copy)
    return copy


def restore(program: Program, copy: Path) -> None:
    """Put a copy in the state's place."""
    for file in program.folder.glob("state.sqlite3-*"):
        file.unlink()
    shutil.copy(copy, program.path)


# --- list and show


def test_entries_are_listed_in_order_and_filtered(program: Program) -> None:
    """By time (half-open), account and denial, and only the last so many."""

    def listed(*options: str) -> list[int]:
        found = program.ok("audit", "list", *options, *JSON).json
        assert found["size"] == 5
        return [entry["index"] for entry in found["entries"]]

    assert listed() == [0, 1, 2, 3, 4]
    assert listed("-n", "2") == [3, 4]
    assert listed("--denied") == [2, 3]
    assert listed("--account", "acme-2") == [3]
    span = ("--from", "2026-06-02T09:00:00Z", "--to", "2026-06-02T12:00:00+01:00")
    assert listed(*span) == [1, 2]
    assert listed("--denied", "-n", "1") == [3]
    assert listed("--account", "nobody") == []


def test_the_list_is_a_table_for_reading(program: Program) -> None:
    """Each entry has its number, time, account, step, answer and codes."""
    out = program.ok("audit", "list").out
    assert "acme-2" in out
    assert "Denied" in out
    assert "other_portal_function" in " ".join(out.split())
    assert "No entries." in program.ok("audit", "list", "--account", "nobody").out


def test_an_empty_log_lists_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state just made has a log of no entries, which holds."""
    program = Program(tmp_path, monkeypatch)
    program.ok("init")
    assert "No entries." in program.ok("audit", "list").out
    verified = program.ok("audit", "verify", *JSON).json
    assert (verified["size"], verified["against"]) == (0, "nothing")
    assert program.run("audit", "show", "0").code == 2


def test_an_entry_is_shown_by_number_or_by_decision(program: Program) -> None:
    """Both names lead to the same entry; what is none exits 2."""
    shown = program.ok("audit", "show", "2", *JSON).json
    decision = shown["leaf"]["decision_id"]
    assert program.ok("audit", "show", decision, *JSON).json == shown
    assert program.ok("audit", "show", decision.upper(), *JSON).json == shown
    text = program.ok("audit", "show", "2").out
    assert shown["leaf_hash"] in text
    assert "pay_rent" in text
    for name in ("5", "x", "-1", "9" * 30, "٣", "00000000-0000-4000-8000-000000000000"):
        assert program.run("audit", "show", "--", name).code == 2


def test_a_proof_convinces_without_the_state(program: Program) -> None:
    """The stored bytes, the hashes and the root are all that a third party needs."""
    shown = program.ok("audit", "show", "2", "--with-proof", *JSON).json
    proof = shown["proof"]
    hashes = [bytes.fromhex(found) for found in proof["hashes"]]
    found = leaf_hash(shown["stored"].encode())
    assert found.hex() == shown["leaf_hash"]
    assert root_from_inclusion(found, 2, proof["size"], hashes).hex() == proof["root"]
    verified = program.ok("audit", "verify", *JSON).json
    assert (proof["size"], proof["root"]) == (verified["size"], verified["root"])
    assert proof["root"] in program.ok("audit", "show", "2", "--with-proof").out


# --- verify


def test_a_log_that_holds_gives_a_head_to_write_down(program: Program) -> None:
    """Size and root are printed in the form that --head takes back, also later."""
    ran = program.ok("audit", "verify")
    head = program.ok("audit", "verify", *JSON).json["head"]
    assert head in ran.out
    assert "remembers" in ran.out
    program.run("preflight", "--account", "acme-1", "--action", "sign_out")
    later = program.ok("audit", "verify", "--head", head, *JSON).json
    assert (later["size"], later["against"]) == (6, "given")
    assert "the head given" in program.ok("audit", "verify", "--head", head.upper()).out


@pytest.mark.parametrize("head", ["", "5", "5:abc", "x:" + "0" * 64, "5:" + "g" * 64, "-5:"])
def test_a_head_of_another_form_is_a_usage_error(program: Program, head: str) -> None:
    """A head is a number, a colon and 64 hexadecimal digits."""
    ran = program.run("audit", "verify", "--head", head)
    assert ran.code == 2
    assert "SIZE:ROOT" in ran.err


def test_a_head_that_was_never_this_logs_does_not_hold(program: Program) -> None:
    """Another root, or more entries than there are, exits 1."""
    root = program.ok("audit", "verify", *JSON).json["root"]
    for head in (f"5:{'0' * 64}", f"6:{root}", f"4:{root}"):
        ran = program.run("audit", "verify", "--head", head, *JSON)
        assert ran.code == 1
        assert ran.json["holds"] is False
        assert ran.json["message"]


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE log_entries SET leaf = replace(leaf, 'sign_in', 'sign_up') WHERE idx = 0", 0),
        ("DELETE FROM log_entries WHERE idx = 3", 3),
        ("UPDATE log_entries SET idx = 9 WHERE idx = 4", 4),
        ("UPDATE log_entries SET leaf = x'00' WHERE idx = 1", 1),
        ("DELETE FROM envelopes WHERE idx = 1", 1),
        ("UPDATE log_head SET size = 4", None),
        ("DELETE FROM log_head", None),
    ],
)
def test_what_was_altered_is_named(program: Program, statement: str, index: int | None) -> None:
    """A changed, removed, moved or truncated log exits 1 and names the first wrong entry."""
    change(program, statement)
    ran = program.run("audit", "verify", *JSON)
    assert ran.code == 1
    assert ran.json["holds"] is False
    if index is not None:
        assert ran.json["index"] == index
    text = program.run("audit", "verify")
    assert text.code == 1
    assert "does not hold" in text.out
    assert (f"First entry that is wrong: {index}" in text.out) is (index is not None)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_entries SET leaf = x'00' WHERE idx = 1",
        "UPDATE log_entries SET leaf = x'7b7d' WHERE idx = 1",
        "UPDATE log_entries SET leaf = 'text' WHERE idx = 1",
        "DELETE FROM log_entries WHERE idx = 1",
        "UPDATE log_head SET root = 'text'",
        "DELETE FROM log_head",
        "DROP TABLE log_entries",
        "UPDATE meta SET schema_version = 99",
    ],
)
def test_reading_a_damaged_log_never_makes_a_traceback(program: Program, statement: str) -> None:
    """Every command on a damaged log ends with one line and a code that is no yes."""
    change(program, statement)
    for argv in (
        ("audit", "list"),
        ("audit", "show", "1", "--with-proof"),
        ("audit", "show", "00000000-0000-4000-8000-000000000000"),
        ("audit", "verify"),
        ("preflight", "--account", "acme-1", "--action", "pay_rent"),
    ):
        ran = program.run(*argv)
        assert ran.code in (1, 2, 3)
        assert "internal error" not in ran.err


def test_a_log_is_verifiable_without_its_key(program: Program) -> None:
    """Without the wrapping key everything but people's keys is verified, and that is said."""
    program.key.unlink()
    ran = program.ok("audit", "verify")
    assert "not verified" in ran.err
    change(program, "UPDATE log_entries SET leaf = x'00' WHERE idx = 1")
    assert program.run("audit", "verify").code == 1


def test_a_long_verification_draws_its_progress_on_a_terminal(program: Program) -> None:
    """The bar is on standard error; standard output stays data."""
    reader, terminal = pty.openpty()
    ran = subprocess.run(
        [sys.executable, "-m", "automation_rules", "audit", "verify", *JSON],
        env={**os.environ, **program.environ, "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        check=False,
    )
    os.close(terminal)
    drawn = b""
    while select.select([reader], [], [], 0)[0]:
        try:
            drawn += os.read(reader, 4096)
        except OSError:
            break
    os.close(reader)
    assert ran.returncode == 0
    assert '"holds": true' in ran.stdout
    assert b"Verifying the log" in drawn


# --- a restored backup


def test_a_restored_backup_is_told_and_goes_on_once_acknowledged(program: Program) -> None:
    """The log verifies by itself, but not against what was remembered; the way on is recorded."""
    copy = backup(program)
    program.run("preflight", "--account", "acme-1", "--action", "sign_out")
    written_down = program.ok("audit", "verify", *JSON).json["head"]
    restore(program, copy)
    ran = program.run("audit", "verify", *JSON)
    assert (ran.code, ran.json["index"]) == (1, 5)
    done = program.ok("audit", "acknowledge-rollback", "--by", OFFICER, *JSON)
    assert done.json["acknowledgement"]["index"] == 5
    assert program.ok("audit", "verify", *JSON).json["size"] == 6
    shown = program.ok("audit", "show", "5")
    assert f"Head that was remembered: {written_down}" in shown.out
    assert OFFICER not in shown.out
    assert "rollback_acknowledged" in program.ok("audit", "list", "-n", "1").out
    assert program.run("audit", "verify", "--head", written_down).code == 1


def test_nothing_is_acknowledged_that_did_not_happen(program: Program) -> None:
    """Without a rollback, and by a stranger, it is a mistake that writes nothing."""
    ran = program.run("audit", "acknowledge-rollback", "--by", OFFICER)
    assert ran.code == 2
    assert "nothing to acknowledge" in ran.err
    stranger = program.run("audit", "acknowledge-rollback", "--by", "stranger")
    assert stranger.code == 2
    assert "stranger" not in stranger.err
    assert program.ok("audit", "verify", *JSON).json["size"] == 5
