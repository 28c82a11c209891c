"""Planned downtime: a notice to everybody, and a closure for automation. Both, or neither.

The notice is this site's own; the closure is in the rules' registry, by which the gateway keeps
bots out of the Landlord Portal. Two databases share no transaction, so whatever goes wrong after
the registry was changed changes it back.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.db import Error, transaction
from landlord_portal.library import registry

from automation_rules import AlreadyRegisteredError, NotRegisteredError
from automation_rules.store import PortalClosure

from .models import TenantNotice
from .writing import instant_text

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
    closure = f"downtime-{secrets.token_hex(8)}"
    with _both() as undo:
        notice, is_new = TenantNotice.objects.get_or_create(
            once=once, defaults=about | {"closure": closure}
        )
        if is_new:
            wanted = PortalClosure(closure, notice.starts_at, notice.ends_at, notice.title_en)
            registry().add_closure(wanted)
            undo.append(lambda: registry().remove_closure(closure))
    return notice


def cancel(notice: TenantNotice) -> None:
    """Withdraw a downtime, and let automation in again. Again changes nothing.

    Raises:
        AutomationRulesError: the registry did not let go of the closure; nothing is withdrawn.
    """
    closures = {one.id: one for one in registry().closures()}
    with _both() as undo:
        withdraw(notice)
        closure = closures.get(notice.closure)
        if closure is not None:
            # Somebody else may have taken it away meanwhile; then it is gone, as it should be.
            with suppress(NotRegisteredError):
                registry().remove_closure(closure.id)
                undo.append(lambda: registry().add_closure(closure))


def withdraw(notice: TenantNotice) -> None:
    """Show a notice no longer."""
    TenantNotice.objects.filter(pk=notice.pk, withdrawn_at=None).update(withdrawn_at=clock.now())


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
    """Return the downtime that every page tells of: the one that is on, or soon will be."""
    now = clock.now()
    try:
        found = (
            TenantNotice.objects.filter(
                withdrawn_at=None, starts_at__lte=now + AHEAD, ends_at__gt=now
            )
            .order_by("starts_at", "pk")
            .first()
        )
    except Error:
        # The page that says that something failed needs no more failures.
        found = None
    if found is None:
        return {"downtime": None}
    return {
        "downtime": {
            "title": found.title,
            "is_on": found.starts_at <= now,
            "starts": instant_text(found.starts_at),
            "ends": instant_text(found.ends_at),
        }
    }
