"""The reference portal on a free port, and the landlord's own state, both begun afresh."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from automation_rules.cli import main as automation_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

MANAGE = Path(__file__).resolve().parents[1] / "portal" / "manage.py"
PASSWORD = "only for the demonstration"
PERSON = "officer-7"
TODOS = "6"
"""To-dos of each landlord: enough to see, and soon done."""

PATIENCE = 60
"""How many seconds the portal may take to answer for the first time."""

_COMMANDS = f"""
init
landlord add acme --name 'Acme Homes' --nation england-and-wales
landlord declare acme --on 2026-01-05 --partnership-manager 'North West partnership manager'
people add {PERSON} --landlord acme --name 'Enid Example'
accounts add acme-1 --landlord acme --username 'Acme Homes Automation 1' \
  --email automation1@acme.example --created-by-role manage_users --two-factor \
  --todo-kind provide_tenancy_details
accounts add acme-2 --landlord acme --username 'Acme Homes Automation 2' \
  --email automation2@acme.example --created-by-role manage_users --two-factor \
  --todo-kind confirm_housing_costs
"""


def register(directory: Path) -> None:
    """Make the landlord's state in ``directory``, in place of what is there, and register it."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    os.environ["AUTOMATION_RULES_STATE"] = f"sqlite:///{directory.absolute() / 'state.sqlite3'}"
    os.environ["AUTOMATION_RULES_HEADS"] = str(directory.absolute() / "heads.sqlite3")
    for line in _COMMANDS.replace("\\\n", "").strip().splitlines():
        command = shlex.split(line)
        if automation_rules([*command, "--quiet"]) != 0:
            raise click.ClickException(f"automation-rules {line} failed")


@contextmanager
def portal_at(
    address: str | None, directory: Path, at: str, messages: IO[bytes] | None = None
) -> Iterator[str]:
    """Give the address of the portal that runs; without one, start one at that time.

    Text messages are shown on standard error, unless they are to be written to ``messages``.
    """
    if address:
        yield address
        return
    shutil.rmtree(directory, ignore_errors=True)
    environment = {**os.environ, "PORTAL_HOME": str(directory.absolute()), "PORTAL_TIME": at}
    for name in ("PORTAL_STATE", "PORTAL_DATABASE", "PORTAL_HTTPS"):
        environment.pop(name, None)
    for command in (["migrate", "--verbosity", "0"], ["seed_demo", "--todos", TODOS]):
        subprocess.run(
            [sys.executable, str(MANAGE), *command],
            env=environment,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(MANAGE), "runserver", "--noreload", str(port)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=messages
    ) as portal:
        try:
            _wait_for(port, portal)
            yield f"http://localhost:{port}"
        finally:
            portal.terminate()


def _wait_for(port: int, portal: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("localhost", port)):
                return
        except OSError as error:
            if portal.poll() is not None or time.monotonic() > end:
                raise click.ClickException("the portal did not begin to answer") from error
            time.sleep(0.1)
