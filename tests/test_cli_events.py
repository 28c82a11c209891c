"""``audit export --format ocsf|ecs``: the log as lines for a SIEM, whole and in order."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from cli_state import Program
from test_cli_audit import STEPS, _with_entries
from test_siem import check_ecs, check_ocsf

if TYPE_CHECKING:
    from pathlib import Path

CHECKED = {"ocsf": check_ocsf, "ecs": check_ecs}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose log has five entries of two accounts."""
    program = Program(tmp_path, monkeypatch)
    program.once(_with_entries)
    program.stand_at("2026-06-02T14:00:00+01:00")
    return program


def lines(text: str) -> list[dict[str, Any]]:
    """Return the events, one a line."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", CHECKED)
def test_every_entry_is_one_valid_event_a_line(program: Program, form: str) -> None:
    """Standard output holds one valid event for each entry, in their order, and nothing else."""
    found = lines(program.ok("audit", "export", "--format", form).out)
    for event in found:
        CHECKED[form](event)
    steps = [
        event["api"]["operation"] if form == "ocsf" else event["event"]["action"] for event in found
    ]
    assert steps == list(STEPS)
    listed = program.ok("audit", "list", "-o", "json").json["entries"]
    hashes = [
        event["raw_data_hash"]["value"] if form == "ocsf" else event["event"]["hash"]
        for event in found
    ]
    assert hashes == [entry["leaf_hash"] for entry in listed]


def test_a_file_can_be_named_in_either_way(program: Program, tmp_path: Path) -> None:
    """FILE, --output-file and - write the same bytes; naming two files is a mistake."""
    expected = program.ok("audit", "export", "--format", "ecs").out
    assert program.ok("audit", "export", "--format", "ecs", "-").out == expected
    for name, options in (("a", ["{}"]), ("b", ["--output-file", "{}"])):
        file = tmp_path / name
        named = [option.format(file) for option in options]
        assert program.ok("audit", "export", "--format", "ecs", *named).out == ""
        assert file.read_bytes() == expected.encode()
    both = program.run("audit", "export", "--format", "ecs", "x", "--output-file", "y")
    assert both.code == 2
    assert program.ok("audit", "export", "--format", "ecs", "--quiet").out == ""


def test_sending_goes_on_where_it_ended(program: Program) -> None:
    """With --first only the entries from there on are told; past the end there are none."""
    every = lines(program.ok("audit", "export", "--format", "ocsf").out)
    rest = lines(program.ok("audit", "export", "--format", "ocsf", "--first", "3").out)
    assert rest == every[3:]
    assert program.ok("audit", "export", "--format", "ocsf", "--first", "5").out == ""


def test_options_of_the_other_form_are_refused(program: Program, tmp_path: Path) -> None:
    """Sizes and keys belong to signed directories, and --first to events."""
    for option in ("--size", "--signing-key"):
        ran = program.run("audit", "export", "--format", "ecs", option, "2")
        assert ran.code == 2
        assert "not signed" in ran.err
    ran = program.run("audit", "export", str(tmp_path / "tiles"), "--first", "2")
    assert ran.code == 2
    assert not (tmp_path / "tiles").exists()


def test_a_file_is_written_whole_or_not_at_all(program: Program, tmp_path: Path) -> None:
    """An entry that was altered ends the export with its number, and the old file stays."""
    file = tmp_path / "events"
    file.write_text("earlier", "utf-8")
    connection = sqlite3.connect(program.path)
    with connection:
        connection.execute("UPDATE log_entries SET leaf = x'7b7d' WHERE idx = 3")
    connection.close()
    ran = program.run("audit", "export", "--format", "ecs", str(file))
    assert ran.code == 1
    assert "entry 3" in ran.err
    assert file.read_text("utf-8") == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir() if "events" in path.name) == ["events"]
    assert program.run("audit", "export", "--format", "ecs", str(tmp_path / "no" / "f")).code == 2
