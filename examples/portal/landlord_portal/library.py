"""The rules' state as the portal uses it: its registry and its portal's codes."""

from __future__ import annotations

from functools import cache

from demo_portal.clock import portal_clock
from django.conf import settings
from django.utils.crypto import salted_hmac
from django.utils.module_loading import import_string

from automation_rules.store import Registry, Store
from automation_rules.store.codes import CodeDesk, PortalCodes


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
