"""A process that records decisions until it has made its number, or is killed.

Usage: log_worker.py STATE NAME COUNT. Prints the index and the leaf hash of each entry, and only
once the entry is durable.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import structlog

from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.landlord_portal import landlord_portal
from automation_rules.request import Request
from automation_rules.store import Store
from automation_rules.testing import allowed_request_document
from automation_rules.vault import Vault, WrappingKey, key_path


def main(state: str, name: str, count: str) -> None:
    """Record ``count`` decisions in the state at a path."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    policy = landlord_portal()
    asked = replace(Request.from_document(allowed_request_document()), facts="registry")
    vault = Vault(WrappingKey.load(key_path(Path(state))))
    with (
        Store.open(f"sqlite:///{state}", clock=SystemClock()) as store,
        DecisionLog(store, vault) as log,
    ):
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(int(count)):
            # Every process meets some of the same people, and one of its own each time.
            resource = replace(asked.resource, id=f"{name}-{number}", tenant=f"tenant-{number}")
            decision = policy.decide(replace(asked, resource=resource))
            receipt = log.record(decision, readings=policy.readings)
            print(receipt.index, receipt.leaf_hash.hex(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
