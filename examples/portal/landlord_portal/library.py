"""The rules as the portal uses them: their registry, their codes, and what they say of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from demo_portal.clock import portal_clock
from demo_portal.jinja import language
from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from automation_rules import Action, landlord_portal
from automation_rules.accounts import AccountStatus
from automation_rules.enforcer import Step, request_from_registry
from automation_rules.store import AccountFacts, Registry, Store
from automation_rules.store.codes import CodeDesk, PortalCodes

if TYPE_CHECKING:
    from automation_rules import Policy
    from automation_rules.accounts import AutomationAccount

ABOUT_ACCOUNTS = {"account", "role", "account_limit", "identity", "two_factor"}
"""The checks of what an account is, whatever it does and whenever."""


@cache
def store() -> Store:
    """Return this process's connections to the state, which is made when there is none."""
    return Store.open(settings.PORTAL_STATE, clock=portal_clock(), create=True)


def registry() -> Registry:
    """Return the registry of landlords, their people and their automation accounts."""
    return Registry(store(), portal_clock())


def portal_codes() -> PortalCodes:
    """Return what issues and verifies access codes."""
    key = salted_hmac("landlord_portal.codes", "", algorithm="sha256").digest()
    sender = import_string(settings.PORTAL_SMS_SENDER)()
    return PortalCodes(store(), portal_clock(), sender, key=key)


def record_entry(account_id: str, person_id: str, code: str) -> None:
    """Record that a person entered an automation account's code today.

    The desk hands the code over from one side to the other, both of them here.
    """

    def take(_seconds: float) -> None:
        desk.poll(pending)

    desk = CodeDesk(store(), portal_clock(), sleep=take)
    pending = desk.open_wait(account_id)
    desk.enter(account_id, person_id, code)


@cache
def policy() -> Policy:
    """Return the published terms, as the portal enforces them."""
    return landlord_portal()


@dataclass(frozen=True, slots=True)
class Breach:
    """Something that the terms say against an account, in the user's language."""

    check: str
    code: str
    text: str


def breaches(account: AutomationAccount) -> list[Breach]:
    """Return what the terms would say against ``account`` if it were as given, or were added."""
    known, at = registry(), portal_clock().now()
    others = {
        other.id
        for other in known.accounts(account.landlord_id)
        if other.status is not AccountStatus.DEACTIVATED
    }
    facts = AccountFacts(
        account=account,
        landlord=known.landlord(account.landlord_id),
        automation_accounts=tuple(sorted(others | {account.id})),
        closures=(),
        notices=(),
        known_forms={},
        code_entry=None,
    )
    decision = policy().decide(request_from_registry(facts, Step(Action.LIST_TODOS), at))
    return [
        Breach(
            finding.check,
            finding.code or "",
            f"{finding.message.to(language())} ({', '.join(finding.clauses)})",
        )
        for finding in decision.failures
        if finding.check in ABOUT_ACCOUNTS
    ]
