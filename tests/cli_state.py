"""The command line in this process, on a state of its own and with a clock that is set."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from automation_rules.cli import main
from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.store import Store
from automation_rules.store.codes import CodeDesk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

WORKDAY = "2026-06-02T09:00:00+01:00"
"""A Tuesday morning, when everything is open."""

OFFICER = "officer-7"


_MADE: dict[Callable[[Program], None], dict[str, bytes]] = {}


@dataclass(frozen=True)
class Ran:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON value and nothing else."""
        return json.loads(self.out)


class Program:
    """Runs commands on a state in ``folder``."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Point the environment at ``folder``, and stand on a workday."""
        self.folder = folder
        self.path = folder / "state.sqlite3"
        self.key = folder / "state.sqlite3.key"
        self.url = f"sqlite:///{self.path}"
        self._patch = patch
        self.environ = {
            "AUTOMATION_RULES_STATE": self.url,
            "AUTOMATION_RULES_HEADS": str(folder / "heads.sqlite3"),
            "LC_ALL": "en_GB.UTF-8",
        }
        for name, value in self.environ.items():
            patch.setenv(name, value)
        for name in ("AUTOMATION_RULES_WRAPPING_KEY", "AUTOMATION_RULES_DEBUG"):
            patch.delenv(name, raising=False)
        self.stand_at(WORKDAY)

    def stand_at(self, instant: str) -> None:
        """Stop the machine's clock at ``instant``."""
        at = FrozenClock(datetime.fromisoformat(instant)).now()
        self._patch.setattr(SystemClock, "now", lambda _: at)

    def run(self, *argv: str) -> Ran:
        """Run one command; nobody sits at a terminal."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n") for _ in range(2))
        before = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), out, err
        try:
            code = main(argv)
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
        texts = []
        for stream in (out, err):
            stream.flush()
            buffer = stream.buffer
            assert isinstance(buffer, io.BytesIO)
            texts.append(buffer.getvalue().decode("utf-8"))
        ran = Ran(code, *texts)
        assert "Traceback" not in ran.out + ran.err
        return ran

    def ok(self, *argv: str) -> Ran:
        """Run one command that must succeed."""
        ran = self.run(*argv)
        assert ran.code == 0, ran.err
        return ran

    def once(self, make: Callable[[Program], None]) -> None:
        """Bring the folder to what ``make`` makes of it, which is worked out once and copied."""
        if make not in _MADE:
            make(self)
            _MADE[make] = {file.name: file.read_bytes() for file in self.folder.iterdir()}
        for name, content in _MADE[make].items():
            (self.folder / name).write_bytes(content)

    def register(self) -> None:
        """Make the state with a landlord, a person and one account."""
        self.ok("init", "--landlord", "acme", "--name", "Acme Homes")
        self.ok("landlord", "declare", "acme", "--on", "2026-01-05", "--partnership-manager", "PM")
        self.ok("people", "add", OFFICER, "--landlord", "acme", "--name", "Example Officer")
        self.add_account(1)

    def add_account(self, number: int, *options: str) -> Ran:
        """Register the landlord's account of that number."""
        return self.run(
            *("accounts", "add", f"acme-{number}", "--landlord", "acme"),
            *("--username", f"Acme Homes Automation {number}"),
            *("--email", f"automation{number}@acme.example"),
            *("--created-by-role", "manage_users", *options),
        )

    def enter_code(self, instant: str = WORKDAY, account: str = "acme-1") -> None:
        """Let the officer hand a code over an instant before ``instant``."""
        clock = FrozenClock(datetime.fromisoformat(instant) - timedelta(seconds=1))
        with Store.open(self.url, clock=clock) as store:
            bot = CodeDesk(store, clock)
            pending = bot.open_wait(account)

            def take(_seconds: float) -> None:
                bot.poll(pending)

            CodeDesk(store, clock, sleep=take).enter(account, OFFICER, "123456")
