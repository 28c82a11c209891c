"""Running the command line in this process or as a process of its own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from automation_rules.cli import main

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

__all__ = ["Ran", "as_process", "ran", "saved"]


class Ran(NamedTuple):
    """How a run of the command line ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)


def ran(*argv: str | Path, stdin: bytes = b"") -> Ran:
    """Run the command line in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (stdin, b"", b"")]
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = streams
    try:
        code = main([str(argument) for argument in argv])
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    out, err = (_written(stream) for stream in streams[1:])
    return Ran(code, out, err)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def as_process(
    *argv: str | bytes | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line as a process of its own."""
    command = [sys.executable, "-m", "automation_rules", *argv]
    return subprocess.run(command, input=stdin, capture_output=True, env=env, check=False)


def saved(folder: Path, document: object, name: str = "request.json") -> Path:
    """Write a document into a file."""
    path = folder / name
    path.write_text(json.dumps(document), "utf-8")
    return path


def set_locale(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Make ``value`` the locale, or leave the process without one."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv("LC_ALL", value)
