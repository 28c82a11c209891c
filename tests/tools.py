"""Programs that some tests need and pip does not bring: Debian's nginx, wrk and Chromium."""

from __future__ import annotations

import os
import shutil

import pytest

_PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "chromium": "chromium"}

REQUIRED = "AUTOMATION_RULES_TEST_TOOLS"
"""Set to ``required`` where they must all be there, so that nothing is left untested."""


def tool(name: str) -> str:
    """Return the path of a program; without it the test is skipped, or fails where required."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found is not None:
        return found
    missing = f"{name} is not installed: apt-get install {_PACKAGES[name]}"
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(missing)
    pytest.skip(missing)
