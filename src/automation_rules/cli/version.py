"""``--version``."""

from __future__ import annotations

import sys
from importlib.metadata import version

__all__ = ["version_text"]


def version_text(*, verbose: bool = False) -> str:
    """Return the version; verbose, also those of Python, the calendars and the time zones."""
    own = f"automation-rules {version('automation-rules')}"
    if not verbose:
        return own
    return "\n".join(
        [
            own,
            f"Python {sys.version.split()[0]}",
            f"holidays {version('holidays')}",
            f"tzdata {_tzdata()}",
        ]
    )


def _tzdata() -> str:
    """Return which time zone data London's clocks are read from, and its version."""
    import zoneinfo
    from pathlib import Path

    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "Europe" / "London").is_file():
            return f"{_system_version(folder)} (system, {folder})"
    return f"{version('tzdata')} (package)"


def _system_version(folder: object) -> str:
    from pathlib import Path

    for name in ("+VERSION", "tzdata.zi"):
        try:
            first = (Path(str(folder)) / name).read_text("utf-8").splitlines()[0]
        except (OSError, IndexError, UnicodeDecodeError):
            continue
        return first.removeprefix("# version ").strip()
    return "of unknown version"
