"""Two decision services over one PostgreSQL, under load, one of them killed in the middle."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from automation_rules import AccountLimitError
from automation_rules.store import Leases, Registry, Store
from gateway_world import make_world
from service_process import Service, document, entries, verify

if TYPE_CHECKING:
    from pathlib import Path

    from gateway_world import World

ACCOUNTS = ("acme-1", "acme-2", "acme-3")
"""Two in order, and one deactivated that keeps asking."""


@pytest.fixture
def rotating(postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a state on the server in which the second of three accounts is deactivated."""
    world = make_world(postgresql_url, tmp_path, monkeypatch)
    with world.registry() as registry:
        registry.deactivate_account("acme-2", "made-up reason")
        registry.add_account(replace(registry.account("acme-1"), id="acme-3"))
    world.enter_code("acme-3")
    return world


class Load:
    """Callers that ask one service about one account after another, and keep what they are told."""

    def __init__(self, service: Service, callers: int) -> None:
        """Begin to ask."""
        self.answers: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[str] = []
        self._ending = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(service, ACCOUNTS[number % 3]))
            for number in range(callers)
        ]
        for thread in self._threads:
            thread.start()

    def _ask(self, service: Service, account: str) -> None:
        asked = document("list_todos", account=account, todo=None)
        with service.new_client() as client:
            while not self._ending.is_set():
                try:
                    answer = client.post("/access/v1/evaluation", json=asked)
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


def test_two_services_share_the_limits_and_the_log(rotating: World) -> None:
    """Under load, two services let two accounts run, and keep one log; killing one loses nothing.

    Every decision that either acknowledged is in the log once, the log verifies, and the leases
    that were held end when they said.
    """
    running = ("--reading", "at_a_time=running")
    held = []
    with Service(rotating, *running) as doomed, Service(rotating, *running) as other:
        loads = [Load(service, 6) for service in (doomed, other)]
        with Store.open(rotating.url, clock=rotating.clock) as store:
            registry, leases = Registry(store, rotating.clock), Leases(store, rotating.clock)
            for moment in range(40):
                held.append(leases.running("acme", rotating.clock.now()))
                if moment == 10:
                    with pytest.raises(AccountLimitError):
                        registry.add_account(replace(registry.account("acme-1"), id="acme-4"))
                if moment == 20:
                    doomed.process.kill()
                time.sleep(0.1)
            for load in loads:
                load.end()
            assert other.end() == 0
            later = rotating.clock.now() + timedelta(minutes=15)
            assert leases.running("acme", later) == ()
    verify(rotating)
    assert all(len(accounts) <= 2 for accounts in held)
    assert any(len(accounts) == 2 for accounts in held)
    assert [error for load in loads for error in load.errors] == []
    assert all(len(load.answers) > 20 for load in loads)
    answers = [answer for load in loads for answer in load.answers]
    ids = [entry["decision_id"] for entry in entries(rotating)]
    assert len(set(ids)) == len(ids)
    assert {answer["context"]["decision_id"] for _, answer in answers} <= set(ids)
    assert any(answer["decision"] for _, answer in answers)
    assert not any(answer["decision"] for account, answer in answers if account == "acme-2")
