"""Two decision services over one PostgreSQL, under load, one of them killed in the middle."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from automation_rules import AccountLimitError
from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.landlord_portal import landlord_portal
from automation_rules.store import Leases, Registry, ServiceTokens, Store
from gateway_world import make_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCOUNTS = ("acme-1", "acme-2", "acme-3")
"""Two in order, and one deactivated that keeps asking."""


@pytest.fixture
def state(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a state on the server: today's codes entered, the second of three accounts gone."""
    world = make_world(postgresql_url, tmp_path, monkeypatch, datetime.now(UTC))
    with world.registry() as registry:
        registry.deactivate_account("acme-2", "made-up reason")
        registry.add_account(replace(registry.account("acme-1"), id="acme-3"))
    world.enter_code("acme-3")
    return postgresql_url


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Write a policy that is open at every hour, with no bounds on activity."""
    document = landlord_portal(at_a_time="running").describe()
    document.pop("monitor", None)
    document["checks"] = [check for check in document["checks"] if check["check"] != "window"]
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(document), "utf-8")
    return path


_SERVE = (sys.executable, "-m", "automation_rules", "serve")


class Service:
    """One `automation-rules serve` process."""

    def __init__(self, state: str, policy: Path) -> None:
        """Start it, and wait until it serves."""
        self.process = subprocess.Popen(
            (*_SERVE, "--port", "0", "--state", state, "--policy", str(policy)),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:[0-9]+", line):
                self.url = found[0]
                break
        self._drain = threading.Thread(target=self.process.stderr.read)
        self._drain.start()

    def kill(self) -> None:
        """Kill it, as a failing machine would; what has ended already stays as it is."""
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        code = self.process.wait(timeout=40)
        self._drain.join(timeout=30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        self.process.send_signal(signal.SIGTERM)
        assert self._wait() == 0


@contextmanager
def services(state: str, policy: Path, number: int) -> Iterator[list[Service]]:
    """Start so many services; whatever is left of them is killed."""
    with ExitStack() as stack:
        started = []
        for _ in range(number):
            started.append(Service(state, policy))
            stack.callback(started[-1].kill)
        yield started


class Load:
    """Callers that ask one service about one account after another, and keep what they are told."""

    def __init__(self, service: Service, token: str, callers: int) -> None:
        """Begin to ask."""
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[str] = []
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(service.url, token, number))
            for number in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str, token: str, number: int) -> None:
        account = ACCOUNTS[number % 3]
        document = {
            "subject": {"type": "automation_account", "id": account},
            "action": {"name": "list_todos"},
            "resource": {"type": "portal", "id": "portal"},
        }
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
            while not self._ending.is_set():
                try:
                    answer = client.post("/access/v1/evaluation", json=document)
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    self.answers.append((account, answer.json()))
                else:
                    self.errors.append(answer.text)

    def end(self) -> None:
        """Ask nothing more, and wait for the last answers."""
        self._ending.set()
        for thread in self._threads:
            thread.join(timeout=60)


def test_two_services_share_the_limits_and_the_log(state: str, policy: Path) -> None:
    """Under load, two services let two accounts run, and keep one log; killing one loses nothing.

    Every decision that either acknowledged is in the log once, the log verifies, and the leases of
    the killed service end when they said.
    """
    with Store.open(state, clock=SystemClock()) as store:
        token = ServiceTokens(store, SystemClock()).add("load")
        registry, leases = Registry(store, SystemClock()), Leases(store, SystemClock())
        with services(state, policy, 2) as (doomed, other):
            loads = [Load(service, token, 6) for service in (doomed, other)]
            held = []
            for moment in range(40):
                held.append(leases.running("acme", datetime.now(UTC)))
                if moment == 10:
                    with pytest.raises(AccountLimitError):
                        registry.add_account(replace(registry.account("acme-1"), id="acme-4"))
                if moment == 20:
                    doomed.kill()
                time.sleep(0.1)
            for load in loads:
                load.end()
            other.end()
        with DecisionLog(store) as log:
            log.verify()
            recorded = [entry.document for entry in log.entries()]
        ends = datetime.now(UTC) + timedelta(minutes=10)
        assert leases.running("acme", ends) == ()
    assert all(len(running) <= 2 for running in held)
    assert any(len(running) == 2 for running in held)
    assert [error for load in loads for error in load.errors] == []
    answers = [answer for load in loads for answer in load.answers]
    assert all(len(load.answers) > 20 for load in loads)
    ids = [entry["decision_id"] for entry in recorded]
    assert len(set(ids)) == len(ids)
    assert {answer["context"]["decision_id"] for _, answer in answers} <= set(ids)
    assert any(answer["decision"] for _, answer in answers)
    assert not any(answer["decision"] for account, answer in answers if account == "acme-2")
