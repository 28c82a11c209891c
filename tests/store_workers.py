"""What other processes do to a state in the tests; light, for every process imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automation_rules.accounts import AutomationAccount
from automation_rules.clock import SystemClock
from automation_rules.errors import AutomationRulesError
from automation_rules.store import Registry, ServiceTokens, Store

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from multiprocessing.synchronize import Barrier


def created_log_id(url: str, start: Barrier, results: SimpleQueue[str]) -> None:
    """Make the state at ``url``, or find it made; answer the id of its log."""
    start.wait(timeout=120)
    with Store.open(url, clock=SystemClock(), create=True) as store:
        results.put(store.log_id)


def activated(url: str, number: int, start: Barrier, results: SimpleQueue[str]) -> None:
    """Add account ``number`` when it is even, else resume it; answer what came of it."""
    account = AutomationAccount(
        f"acme-{number}", "acme", f"Acme Homes Automation {number}", "automation@acme.example"
    )
    with Store.open(url, clock=SystemClock()) as store:
        registry = Registry(store, SystemClock())
        start.wait(timeout=120)
        try:
            if number % 2:
                registry.resume_account(account.id, "officer")
            else:
                registry.add_account(account)
        except AutomationRulesError as error:
            results.put(type(error).__name__)
        else:
            results.put("activated")


def token_added(url: str, start: Barrier, results: SimpleQueue[str]) -> None:
    """Make a token for the portal; answer it, or what came of it."""
    with Store.open(url, clock=SystemClock()) as store:
        start.wait(timeout=120)
        try:
            results.put(ServiceTokens(store, SystemClock()).add("portal"))
        except AutomationRulesError as error:
            results.put(type(error).__name__)
