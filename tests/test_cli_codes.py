"""``code enter`` and ``code wait``: between two processes, and at a real terminal."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from cli_state import OFFICER, Program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CODE = "804213"
ENTER = ("code", "enter", "--account", "acme-1", "--by", OFFICER)
WAIT = ("code", "wait", "--account", "acme-1")
PATIENCE = 60


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state with one account and one person."""
    program = Program(tmp_path, monkeypatch)
    program.once(Program.register)
    return program


class Terminal:
    """A process at a terminal of its own."""

    def __init__(self, program: Program, *argv: str) -> None:
        """Start ``argv`` at a pseudo-terminal."""
        self._side, other = pty.openpty()
        self.seen = b""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "automation_rules", *argv],
            env={**os.environ, **program.environ},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)

    def until(self, text: str) -> None:
        """Read until the terminal shows ``text``."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self._side], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._side, 4096)
                except OSError:
                    break  # the process has gone
        assert text.encode() in self.seen, self.seen

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._side, text.encode() + b"\n")

    def end(self) -> int:
        """Wait for the process, and return its exit code."""
        code = self.process.wait(PATIENCE)
        while select.select([self._side], [], [], 0)[0]:
            try:
                self.seen += os.read(self._side, 4096)
            except OSError:
                break
        os.close(self._side)
        assert b"Traceback" not in self.seen
        return code


@contextmanager
def _bot(program: Program, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start ``code wait`` and wait until it waits."""
    bot = subprocess.Popen(
        [sys.executable, "-m", "automation_rules", *WAIT, *options],
        env={**os.environ, **program.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert bot.stderr is not None
    assert "Waiting for a person" in bot.stderr.readline()
    try:
        with bot:
            yield bot
    finally:
        bot.kill()


def _stored(program: Program) -> bytes:
    return b"".join(file.read_bytes() for file in program.folder.iterdir())


def test_a_person_at_a_terminal_hands_the_code_to_the_waiting_bot(program: Program) -> None:
    """Across two processes: hidden as it is typed, printed alone, and kept nowhere."""
    with _bot(program, "--timeout", "60") as bot:
        person = Terminal(program, *ENTER)
        person.until("6 digits")
        assert b"Acme Homes Automation 1" in person.seen
        assert b"acme-1" in person.seen
        person.type(CODE)
        person.until("has been handed over")
        assert person.end() == 0
        out, err = bot.communicate(timeout=PATIENCE)
    assert bot.returncode == 0
    assert out == f"{CODE}\n"
    assert err == ""
    assert CODE.encode() not in person.seen
    assert CODE.encode() not in _stored(program)


def test_the_code_can_be_typed_before_the_bot_waits(program: Program) -> None:
    """The person's process holds it in memory until a bot asks; JSON holds the code alone."""
    person = Terminal(program, *ENTER)
    person.until("6 digits")
    person.type(CODE)
    person.until("Handing the code over")
    assert CODE.encode() not in _stored(program)
    with _bot(program, "-o", "json") as bot:
        out, _ = bot.communicate(timeout=PATIENCE)
    assert json.loads(out) == {"code": CODE}
    assert person.end() == 0


def test_a_handed_over_code_is_the_days_fact(program: Program) -> None:
    """After the hand-over the account has its manual code, and no process remembers it."""
    argv = ("preflight", "--account", "acme-1", "--action", "list_todos", "-o", "json")

    def codes() -> set[str]:
        return {r["code"] for r in program.run(*argv).json["context"]["reasons"]}

    assert "no_code" in codes()
    program.enter_code()
    assert "no_code" not in codes()


@pytest.mark.parametrize("typed", ["80421", "８０４２１３", "80421x"])  # noqa: RUF001
def test_what_is_no_code_is_refused_without_repeating_it(program: Program, typed: str) -> None:
    """Six ASCII digits are required; what was typed instead is not shown."""
    person = Terminal(program, *ENTER)
    person.until("6 digits")
    person.type(typed)
    person.until("six digits, 0 to 9")
    assert person.end() == 1
    assert typed.encode() not in person.seen


def test_a_terminal_is_required(program: Program) -> None:
    """A code that comes from a file or a pipe is refused, with the clause."""
    for options in ((), ("-o", "json")):
        ran = program.run(*ENTER, *options)
        assert ran.code == 2
        assert "step-2.manual-code" in ran.err
    assert set(ran.json) == {"error"}


def test_only_registered_people_are_asked(program: Program) -> None:
    """An unknown person or account is refused before anything is typed."""
    for argv in (
        ("code", "enter", "--account", "acme-1", "--by", "stranger"),
        ("code", "enter", "--account", "nobody", "--by", OFFICER),
        ("code", "enter", "--account", "acme-1", "--by", "acme-1"),
    ):
        person = Terminal(program, *argv)
        assert person.end() == 2
        assert b"6 digits" not in person.seen


def test_a_bot_that_waits_in_vain_exits_1_with_nothing_printed(program: Program) -> None:
    """On timeout standard output stays empty, and the remedy is told."""
    ran = program.run(*WAIT, "--timeout", "1")
    assert (ran.code, ran.out) == (1, "")
    assert "code enter" in ran.err
    assert "error" in program.run(*WAIT, "--timeout", "1", "-o", "json").json


def test_the_code_is_never_written_to_a_file(program: Program, tmp_path: Path) -> None:
    """--output-file would keep it at rest, and is refused."""
    file = tmp_path / "code.txt"
    assert program.run(*WAIT, "--output-file", str(file)).code == 2
    assert not file.exists()


@pytest.mark.parametrize("seconds", ["0", "301", "-1", "1.5", "nan"])
def test_a_bot_waits_five_minutes_at_most(program: Program, seconds: str) -> None:
    """Any other timeout is a usage error."""
    assert program.run(*WAIT, "--timeout", seconds).code == 2


def test_an_interrupted_entry_hands_over_nothing(program: Program) -> None:
    """Ctrl-C at the prompt or while holding the code exits 130 and leaves nothing behind."""
    for typed in (False, True):
        person = Terminal(program, *ENTER)
        person.until("6 digits")
        if typed:
            person.type(CODE)
            person.until("Handing the code over")
        person.process.send_signal(2)
        assert person.end() == 130
    assert CODE.encode() not in _stored(program)
    assert program.run(*WAIT, "--timeout", "1").code == 1
