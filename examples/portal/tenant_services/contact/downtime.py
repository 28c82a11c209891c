"""Planned downtime: a notice to everybody, and a closure for automation. Both, or neither.

The notice is this site's own; the closure is in the rules' registry, by which the gateway keeps
bots out of the Landlord Portal. Two databases share no transaction, so whatever goes wrong after
the registry was changed changes it back. Should even that not happen, because this program was
stopped in between, the same sent again takes over the closure that it left.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.db import Error, transaction
from landlord_portal.library import registry

from automation_rules import AlreadyRegisteredError, NotRegisteredError
from automation_rules.store import PortalClosure

from ..words import moment_text
from .models import TenantNotice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

AHEAD = timedelta(days=2)
"""How long before it begins a downtime is announced on every page."""


def plan(once: str, **about: Any) -> TenantNotice:
    """Publish a downtime, and close the Landlord Portal to automation for as long.

    The same again is what is published already.

    Raises:
        AutomationRulesError: the registry did not take the closure; nothing is published.
    """
    with _both() as undo:
        notice, is_new = TenantNotice.objects.get_or_create(
            once=once, withdrawn_at=None, defaults=about
        )
        if is_new:
            closure = closure_of(notice)
            with suppress(AlreadyRegisteredError):
                registry().add_closure(closure)
                undo.append(lambda: registry().remove_closure(closure.id))
    return notice


def cancel(notice: TenantNotice) -> None:
    """Withdraw a downtime, and let automation in again. Again changes nothing.

    Raises:
        AutomationRulesError: the registry did not let go of the closure; nothing is withdrawn.
    """
    closure = closure_of(notice)
    with _both() as undo:
        # When it was withdrawn before, a closure that is there belongs to its successor.
        if withdraw(notice):
            # Somebody else may have taken it away meanwhile; then it is gone, as it should be.
            with suppress(NotRegisteredError):
                registry().remove_closure(closure.id)
                undo.append(lambda: registry().add_closure(closure))


def withdraw(notice: TenantNotice) -> bool:
    """Show a notice no longer; return whether it was shown before."""
    shown = TenantNotice.objects.filter(pk=notice.pk, withdrawn_at=None)
    return shown.update(withdrawn_at=clock.now()) == 1


def closure_of(notice: TenantNotice) -> PortalClosure:
    """Return the closure that a downtime is for automation."""
    # The registry takes no control characters, such as a tab that was pasted into the title.
    reason = "".join(one if one.isprintable() else " " for one in notice.title_en)
    return PortalClosure(f"downtime-{notice.once[:16]}", notice.starts_at, notice.ends_at, reason)


@contextmanager
def _both() -> Iterator[list[Any]]:
    """Give a list of what undoes the registry's change, should the other one fail."""
    undo: list[Any] = []
    try:
        with transaction.atomic():
            yield undo
    except BaseException:
        for undone in undo:
            with suppress(NotRegisteredError, AlreadyRegisteredError):
                undone()
        raise


def context(_request: HttpRequest) -> dict[str, Any]:
    """Return the downtimes that every page tells of: those that are on, or soon will be."""
    now = clock.now()
    try:
        found = list(
            TenantNotice.objects.filter(
                withdrawn_at=None, starts_at__lte=now + AHEAD, ends_at__gt=now
            ).order_by("starts_at", "pk")
        )
    except Error:
        # The page that says that something failed needs no more failures.
        found = []
    return {
        "downtimes": [
            {
                "title": notice.title,
                "is_on": notice.starts_at <= now,
                "starts": moment_text(notice.starts_at),
                "ends": moment_text(notice.ends_at),
            }
            for notice in found
        ]
    }
