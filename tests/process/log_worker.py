"""A process that records decisions until it has made its number, or is killed, or is refused.

Usage: log_worker.py URL NAME COUNT [THREADS]; the wrapping key is in the environment. Prints the
index and the leaf hash of each entry, and only once the entry is durable. With THREADS, that many
callers share their commits. The first refusal is printed as ``refused`` and its words, and ends
the process with exit code 3.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.errors import NotRecordedError
from automation_rules.group_commit import GroupCommit
from automation_rules.landlord_portal import landlord_portal
from automation_rules.request import Request
from automation_rules.store import Store
from automation_rules.testing import allowed_request_document
from automation_rules.vault import Vault, WrappingKey

if TYPE_CHECKING:
    from automation_rules.decision import Decision

POLICY = landlord_portal()


def decide(name: str, number: int) -> Decision:
    """Decide about some of the same people as every process, and one of its own each time."""
    asked = replace(Request.from_document(allowed_request_document()), facts="registry")
    resource = replace(asked.resource, id=f"{name}-{number}", tenant=f"tenant-{number}")
    return POLICY.decide(replace(asked, resource=resource))


def main(url: str, name: str, count: str, threads: str = "0") -> int:
    """Record ``count`` decisions in the state at a URL; return the exit code."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    printing = threading.Lock()
    with (
        Store.open(url, clock=SystemClock()) as store,
        DecisionLog(store, Vault(WrappingKey.load(None))) as log,
        GroupCommit(log) as group,
    ):
        recorder = group if int(threads) else log
        together = max(int(threads), 1)

        def record(number: int) -> None:
            receipt = recorder.record(decide(name, number), readings=POLICY.readings)
            with printing:
                print(receipt.index, receipt.leaf_hash.hex(), flush=True)

        def record_from(first: int) -> None:
            for number in range(first, int(count), together):
                record(number)

        print("ready", flush=True)
        sys.stdin.readline()
        try:
            with ThreadPoolExecutor(together) as callers:
                list(callers.map(record_from, range(together)))
        except NotRecordedError as error:
            with printing:
                print("refused", error, flush=True)
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
