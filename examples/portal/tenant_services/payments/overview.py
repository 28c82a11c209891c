"""What the dashboard says of the pillar 'Payments': what is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..access import Card
    from ..models import TenantAccount
    from ..profile.customers import Tenancy


def card(account: TenantAccount, tenancies: list[Tenancy]) -> Card | None:  # noqa: ARG001
    """Return the card; there is none yet."""
    return None
