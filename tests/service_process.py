"""A real `automation-rules serve` process on a socket of its own, for the tests of the service."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import httpx

from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.landlord_portal import landlord_portal_text
from automation_rules.store import ServiceTokens, Store
from automation_rules.vault import WRAPPING_KEY_VARIABLE, Vault, WrappingKey, key_path
from gateway_world import WRAPPING_KEY

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from gateway_world import World

__all__ = [
    "Service",
    "calm_policy",
    "document",
    "entries",
    "last_opened",
    "size",
    "verify",
]

_SERVING = re.compile(r"event=serving url=(\S+)")
_STARTS_WITHIN = 60.0

# Another process cannot share a test's clock: its own goes on from where that one stands.
_CLOCK = """
from datetime import UTC, datetime
from automation_rules.clock import SystemClock
at, began = datetime.fromisoformat({at!r}), datetime.now(UTC)
SystemClock.now = lambda self: at + (datetime.now(UTC) - began)
"""


def environment(world: World) -> dict[str, str]:
    """Return the environment of a process on the world's state, whatever other tests have set."""
    environ = {**os.environ, WRAPPING_KEY_VARIABLE: WRAPPING_KEY}
    if world.url.startswith("sqlite"):
        del environ[WRAPPING_KEY_VARIABLE]
    return {**environ, "AUTOMATION_RULES_HEADS": str(world.folder / "heads.sqlite3")}


def calm_policy(folder: Path) -> Path:
    """Write the published terms without the activity monitor, which a test may well alarm."""
    path = folder / "calm.toml"
    path.write_text(landlord_portal_text().partition("[monitor]")[0], "utf-8")
    return path


class Service:
    """A service over a world's state, and a client of it that has a token."""

    def __init__(self, world: World, *options: str | Path, setup: str = "") -> None:
        """Start it; its clock goes on from where the world's stands. It runs ``setup`` first."""
        self.world = world
        self.log_file = world.folder / f"serve-{os.urandom(4).hex()}.log"
        site = world.folder / f"site-{os.urandom(4).hex()}"
        site.mkdir()
        clock = _CLOCK.format(at=world.clock.now().isoformat())
        (site / "sitecustomize.py").write_text(clock + setup, "utf-8")
        with Store.open(world.url, clock=world.clock) as store:
            self.token = ServiceTokens(store, world.clock).add(f"test-{os.urandom(4).hex()}")
        arguments = ["serve", "--state", world.url, "--port", "0", *map(str, options)]
        if "--policy" not in arguments:
            arguments += ["--policy", str(calm_policy(world.folder))]
        with self.log_file.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "automation_rules", *arguments],
                env={
                    **environment(world),
                    "PYTHONPATH": os.pathsep.join([str(site), *sys.path]),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
            )
        self.url = self._started()
        self.client = self.new_client()

    def _started(self) -> str:
        until = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < until:
            if found := _SERVING.search(self.log):
                return found[1]
            if self.process.poll() is not None:
                raise RuntimeError(self.log)
            time.sleep(0.02)
        raise TimeoutError(self.log)

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self.log_file.read_text("utf-8")

    def new_client(self, **options: Any) -> httpx.Client:
        """Return a client with a token, whose certificates are not checked."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            trust_env=False,
            **options,
        )

    def ask(self, body: object, **headers: str) -> dict[str, Any]:
        """Ask for an evaluation or several; return the answer."""
        response = self.client.post("/access/v1/evaluations", json=body, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        """End it, however it stands."""
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()


def document(
    action: str = "submit_todo",
    *,
    account: str = "acme-1",
    kind: str | None = "confirm_housing_costs",
    todo: str | None = "td-17",
    **context: object,
) -> dict[str, Any]:
    """Return an evaluation request that says no more than it must."""
    resource: dict[str, Any] = {"type": "portal", "id": "portal"}
    if todo is not None:
        resource = {"type": "todo", "id": todo}
    if kind is not None:
        resource["properties"] = {"kind": kind}
    asked: dict[str, Any] = {
        "subject": {"type": "automation_account", "id": account},
        "action": {"name": action},
        "resource": resource,
    }
    return {**asked, "context": context} if context else asked


def size(world: World) -> int:
    """Return how many entries the log has."""
    with Store.open(world.url, clock=SystemClock()) as store:
        return DecisionLog(store).head().size


def entries(world: World, start: int = 0) -> list[dict[str, Any]]:
    """Return the entries of the log from number ``start`` on."""
    with Store.open(world.url, clock=SystemClock()) as store:
        return [entry.document for entry in DecisionLog(store).entries(start)]


def last_opened(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last entry, and its sealed facts."""
    with (
        Store.open(world.url, clock=SystemClock()) as store,
        patch.dict(os.environ, environment(world), clear=True),
    ):
        key = WrappingKey.load(None if store.path is None else key_path(store.path))
        log = DecisionLog(store, Vault(key))
        last = log.head().size - 1
        return log.entry(last).document, log.open(last)


def verify(world: World) -> None:
    """See that the whole log holds."""
    with Store.open(world.url, clock=SystemClock()) as store:
        DecisionLog(store).verify(forms=True)
