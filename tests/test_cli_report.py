"""``audit report``: the log as a page or for a spreadsheet, from the command line."""

from __future__ import annotations

import csv
import io
import os
import pty
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from lxml import html  # type: ignore[import-untyped]

from cli_state import Program
from test_cli_audit import _with_entries

if TYPE_CHECKING:
    from pathlib import Path

JUNE = ("--from", "2026-06-01", "--to", "2026-07-01")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose log has five entries of two accounts."""
    program = Program(tmp_path, monkeypatch)
    program.once(_with_entries)
    program.stand_at("2026-07-01T09:00:00+01:00")
    return program


def test_the_page_is_written_to_a_file_in_the_language_asked_for(
    program: Program, tmp_path: Path
) -> None:
    """HTML is the default; it says when it was made and from which log, in either language."""
    head = program.ok("audit", "verify", "-o", "json").json["head"]
    for lang, made in (("en", "made on Wednesday 1 July 2026 at 9am"), ("cy", "1 Gorffennaf 2026")):
        file = tmp_path / f"{lang}.html"
        ran = program.ok("audit", "report", *JUNE, "--lang", lang, "--output-file", str(file))
        assert ran.out == ""
        root = html.document_fromstring(file.read_bytes())
        text = " ".join(root.text_content().split())
        assert root.get("lang") == lang
        assert made in text
        assert head in text


def test_csv_counts_every_entry(program: Program) -> None:
    """The five entries are there once each, by account and clause."""
    out = program.ok("audit", "report", *JUNE, "-o", "csv").out
    assert out.startswith("\ufeffdate,")
    rows = list(csv.DictReader(io.StringIO(out.removeprefix("\ufeff"))))
    counted = {
        (row["account"], row["measure"]): row["decisions"] for row in rows if not row["clause"]
    }
    assert counted == {
        ("acme-1", "allowed"): "3",
        ("acme-1", "denied"): "1",
        ("acme-2", "denied"): "1",
    }
    assert any(row["clause"] == "step-2.manual-code" for row in rows)


def test_days_are_half_open(program: Program) -> None:
    """The day of --to is not counted, and a span without days is a mistake."""
    csv_of = ("audit", "report", "-o", "csv")
    before = program.ok(*csv_of, "--from", "2026-06-01", "--to", "2026-06-02").out
    assert len(before.splitlines()) == 1
    within = program.ok(*csv_of, "--from", "2026-06-02", "--to", "2026-06-03").out
    assert len(within.splitlines()) > 3
    for start, end in (("2026-06-02", "2026-06-02"), ("2026-06-03", "2026-06-02")):
        ran = program.run(*csv_of, "--from", start, "--to", end)
        assert ran.code == 2
        assert "--to" in ran.err
    assert program.run("audit", "report", "--from", "2026-06-02").code == 2
    assert program.run("audit", "report", "--from", "2/6/2026", "--to", "2026-07-01").code == 2


def test_a_log_that_was_altered_gives_no_report(program: Program, tmp_path: Path) -> None:
    """An entry that is none ends it with its number, and no file is written."""
    connection = sqlite3.connect(program.path)
    with connection:
        connection.execute("UPDATE log_entries SET leaf = x'7b7d' WHERE idx = 3")
    connection.close()
    ran = program.run("audit", "report", *JUNE, "--output-file", str(tmp_path / "r.html"))
    assert ran.code == 1
    assert "entry 3" in ran.err
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("command", [("report", *JUNE), ("export", "--format", "ecs")])
def test_at_a_terminal_there_is_one_bar(program: Program, command: tuple[str, ...]) -> None:
    """The bar is drawn on standard error, and standard output holds the result alone."""
    reader, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "automation_rules", "audit", *command, "--lang", "en"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm"},
        check=True,
    )
    os.close(terminal)
    drawn = os.read(reader, 100_000).decode()
    os.close(reader)
    assert "Counting" in drawn or "Exporting" in drawn
    assert b"Counting" not in done.stdout
    assert b"\x1b" not in done.stdout
