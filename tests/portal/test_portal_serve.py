"""The portal as `make portal` serves it: a process of its own, with the gateway in front."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from landlord_portal.management.commands.seed_demo import PASSWORD
from test_security import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SATURDAY = "2027-06-05T10:00:00+01:00"
BOT = "Acme Homes Automation 1"


@contextmanager
def served(home: Path, time: str) -> Iterator[tuple[httpx.Client, list[str]]]:
    """Serve a portal whose clock stands still; give a client, and what it writes afterwards."""
    written: list[str] = []
    command = run(home, "manage.py", "serve", "--port", "0", PORTAL_TIME=time)
    with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.match(r"The portal is at (http://\S+)/$", line):
                    with httpx.Client(base_url=found[1]) as client:
                        yield client, written
                    break
        finally:
            process.send_signal(signal.SIGINT)
            written.extend(process.stdout)
            process.wait(20)


def give_password(client: httpx.Client, username: str) -> httpx.Response:
    """Take the first step of signing in."""
    client.get("/sign-in/")
    sent = {"auth-username": username, "auth-password": PASSWORD}
    token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
    return client.post("/sign-in/", data=token | sent | {"sign_in-current_step": "auth"})


def test_portal_is_served_at_the_time_that_is_asked_for(tmp_path: Path) -> None:
    """On a Saturday a bot is refused and a person is not; the decision is told, without names."""
    for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--todos", "2"]):
        made = run(tmp_path, "manage.py", *command, PORTAL_TIME=SATURDAY)
        subprocess.run(**made, stdout=subprocess.DEVNULL, check=True)
    with served(tmp_path, SATURDAY) as (client, written):
        assert client.get("/static/portal.css").status_code == 200
        refused = give_password(client, BOT)
        assert refused.json()["type"] == "urn:automation-rules:problem:weekend"
        assert 45 * 3600 < int(refused.headers["Retry-After"]) <= 46 * 3600
        assert "Enter your access code" in give_password(client, "enid.example").text
    text = "".join(written)
    assert "event=decision_recorded" in text
    assert "decision=false" in text
    assert "SMS to " in text
    logged = "".join(line for line in written if not line.startswith("SMS to "))
    assert not [name for name in (BOT, "enid", PASSWORD) if name in logged]
    assert (tmp_path / "heads.sqlite3").exists()


def test_state_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    """Without its example data the portal does not start, and says why."""
    command = run(tmp_path, "manage.py", "serve", "--port", "0")
    done = subprocess.run(**command, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "state" in done.stderr
