"""What many do at once is there once, whichever the database."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from test_security import PORTAL, run

HERE = Path(__file__).parent


@pytest.fixture(params=["postgresql", "sqlite"])
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """Give the settings of a portal on each kind of database."""
    found = {
        "PORTAL_TIME": "2027-06-01T09:00:00+01:00",
        "PORTAL_CLOCK": "automation_rules.FrozenClock",
        "DJANGO_SETTINGS_MODULE": "demo_portal.settings",
        "PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parent, PORTAL))),
    }
    if request.param == "postgresql":
        found["PORTAL_DATABASE"] = request.getfixturevalue("postgresql_url")
    return found


@pytest.mark.exhaustive
def test_everything_done_at_once_is_done_once(variables: dict[str, str], tmp_path: Path) -> None:
    """Messages, calls, chats, answers, notices and downtimes, by four sessions each."""
    worker = [str(HERE / "contact_worker.py"), str(tmp_path)]
    done = subprocess.run(**run(tmp_path, *worker, **variables), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("vendor") == ("postgresql" if "PORTAL_DATABASE" in variables else "sqlite")
    examples = ["May I put up a shed beside the garage?"]
    examples.append("Pryd mae'r lifft yn cael ei wasanaethu nesaf?")
    assert found == {
        "enquiries": sorted(["Hello", "Goes on", *examples]),
        "calls": 1,
        "chats": 1,
        "lines": ["Good morning", "Anybody there?", "Yes"],
        "answers": 1,
        "notices": 5,
        "reads": 1,
        "closures": 1,
        "statuses": [200] * 7,
    }
