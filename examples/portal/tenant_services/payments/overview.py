"""What the dashboard says of the pillar 'Payments': how each account stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..access import Card
from . import ledger

if TYPE_CHECKING:
    from ..models import TenantAccount
    from ..profile.customers import Tenancy

TITLE = _("Rent")


def card(_account: TenantAccount, tenancies: list[Tenancy]) -> Card | None:
    """Return a line for each tenancy that goes on, and for each that ended with money owed."""
    balances = ledger.balances(tenancy.reference for tenancy in tenancies)
    lines = [
        gettext("%(address)s: %(standing)s")
        % {"address": tenancy.address, "standing": ledger.standing(balances[tenancy.reference])}
        for tenancy in tenancies
        if tenancy.ended_on is None or balances[tenancy.reference]
    ]
    if not lines:
        return None
    return Card(str(TITLE), "\n".join(lines), reverse("rent"), gettext("See your rent accounts"))
