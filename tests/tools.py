"""What some tests need and pip does not bring: Debian's nginx, wrk, Chromium and Pango."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "chromium": "chromium"}

REQUIRED = "AUTOMATION_RULES_TEST_TOOLS"
"""Set to ``required`` where they must all be there, so that nothing is left untested."""


def tool(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where required."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is None:
        _missing(f"{name} is not installed: apt-get install {_PACKAGES[name]}")
    return found


def pdf_libraries() -> None:
    """Go on where WeasyPrint can draw; elsewhere the test is skipped, or fails where required."""
    try:
        import weasyprint  # type: ignore[import-untyped]  # noqa: F401
    except OSError:
        packages = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
        _missing(f"WeasyPrint's libraries are not installed: apt-get install {packages}")


def _missing(what: str) -> NoReturn:
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(what)
    pytest.skip(what)
