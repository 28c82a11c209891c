"""The whole process of ``automation-rules check`` beside one that imports what it cannot avoid."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from automation_rules.testing import allowed_request_document

from .measure import at_most, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .measure import Row, Size

__all__ = ["YARDSTICK", "check", "commands", "environment"]

YARDSTICK: Final = """
import sys

from holidays import country_holidays
from pydantic import BaseModel


class Question(BaseModel):
    account: str
    action: str
    year: int


question = Question(account="acme-1", action="submit_todo", year=2026)
days = country_holidays("GB", years=question.year)
sys.stdout.write("".join(f"{day} {days[day]}\\n" for day in sorted(days)))
"""
"""A script that defines one pydantic model and lists one year of bank holidays."""


def commands(directory: Path) -> tuple[list[str], list[str]]:
    """Write a document and the yardstick's script; return both commands."""
    document = directory / "request.json"
    document.write_text(json.dumps(allowed_request_document()), "utf-8")
    script = directory / "yardstick.py"
    script.write_text(YARDSTICK, "utf-8")
    program = which("automation-rules", path=str(Path(sys.executable).parent))
    start = [program] if program else [sys.executable, "-m", "automation_rules"]
    return [*start, "check", "-o", "json", str(document)], [sys.executable, str(script)]


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which compiled modules are kept, as in any installation."""
    own = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**own, "PYTHONPYCACHEPREFIX": str(directory / "compiled")}


def check(size: Size) -> Iterator[Row]:
    """Measure ``automation-rules check -o json`` of one document, from start to exit."""
    with TemporaryDirectory() as name:
        ours, theirs = commands(Path(name))
        around = environment(Path(name))
        yield compare(
            size.rounds,
            "automation-rules check -o json, whole process",
            "one pydantic model, one year of bank holidays",
            (_run(ours, around, size), _run(theirs, around, size)),
            operations=size.times(3),
            bar=at_most(1.3),
        )


def _run(command: list[str], around: dict[str, str], size: Size) -> Callable[[], None]:
    def run() -> None:
        for _ in range(size.times(3)):
            subprocess.run(command, env=around, stdout=subprocess.DEVNULL, check=True)

    return run
