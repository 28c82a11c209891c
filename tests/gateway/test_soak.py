"""A decision service under mixed load for long: flat memory, no error, a log that verifies."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from statistics import median
from typing import TYPE_CHECKING

import psutil
import pytest

from service_process import Service, document, size, verify
from tools import tool

if TYPE_CHECKING:
    from pathlib import Path

    from gateway_world import World

QUESTIONS = (
    document(),
    document(account="acme-2", kind="provide_tenancy_details"),
    document("list_todos", todo=None),
    document("request_apa", todo=None),
    document(account="nobody-3"),
    document("sign_out", todo=None),
)
"""Allowed, denied, unknown and leaving: what a service is asked all day."""

_SCRIPT = """
local bodies = {{ {bodies} }}
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {token}"
request = function()
  number = number % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[number])
end
done = function(summary)
  local e = summary.errors
  print("ASKED " .. summary.requests)
  print("WRONG " .. e.connect + e.read + e.write + e.status + e.timeout)
end
"""


def _script(service: Service, folder: Path) -> Path:
    bodies = ", ".join(f"[==[{json.dumps(question)}]==]" for question in QUESTIONS)
    path = folder / "mixed.lua"
    path.write_text(_SCRIPT.format(bodies=bodies, token=service.token), "utf-8")
    return path


class Scales:
    """Weighs a process every so often, in bytes that are resident."""

    def __init__(self, process_id: int, seconds: float) -> None:
        """Begin to weigh."""
        self.weights: list[int] = []
        self._process = psutil.Process(process_id)
        self._seconds = seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._weigh)
        self._thread.start()

    def _weigh(self) -> None:
        while not self._ending.wait(self._seconds):
            self.weights.append(self._process.memory_info().rss)

    def end(self) -> list[int]:
        """Return the weights, oldest first."""
        self._ending.set()
        self._thread.join()
        return self.weights


@pytest.mark.parametrize(
    "seconds", [6, pytest.param(600, marks=pytest.mark.exhaustive)], ids="{}s".format
)
def test_service_bears_load_for_long(world: World, seconds: int) -> None:
    """At the highest rate that it sustains, no answer is an error, and its memory stays flat.

    Every request that was answered has its entry in a log that verifies.
    """
    wrk = tool("wrk")
    with Service(world) as service:
        script = _script(service, world.folder)
        command = [wrk, "-t", "2", "-c", "32", "--timeout", "10s", "-s", str(script)]
        target = f"{service.url}/access/v1/evaluation"
        # Caches fill and the database's pages are mapped before memory is compared.
        subprocess.run([*command, "-d", "3s", target], check=True, capture_output=True)
        before = size(world)
        scales = Scales(service.process.pid, seconds / 60)
        ran = subprocess.run(
            [*command, "-d", f"{seconds}s", target], check=True, capture_output=True, text=True
        )
        weights = scales.end()
        said = dict(re.findall(r"^(ASKED|WRONG) ([0-9]+)$", ran.stdout, re.MULTILINE))
        assert said["WRONG"] == "0", ran.stdout
        assert service.end() == 0
    assert size(world) - before >= int(said["ASKED"]) > 0
    verify(world)
    tenth = max(1, len(weights) // 10)
    grown = median(weights[-tenth:]) / median(weights[tenth : 2 * tenth])
    assert grown < 1.1, weights
