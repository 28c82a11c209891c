"""What the dashboard says of the pillar 'Payments': what is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from ..access import Card
    from ..models import TenantAccount
    from ..profile.customers import Tenancy

TITLE = _("Rent")


def card(account: TenantAccount, tenancies: list[Tenancy]) -> Card | None:  # noqa: ARG001
    """Return the card; there is none yet."""
    return None
