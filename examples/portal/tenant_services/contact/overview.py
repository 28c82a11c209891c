"""What the dashboard says of the pillar 'Contact': what is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..access import Card
from .notices import unread

if TYPE_CHECKING:
    from ..models import TenantAccount
    from ..profile.customers import Tenancy

TITLE = _("Notices")


def card(account: TenantAccount, tenancies: list[Tenancy]) -> Card | None:
    """Return how many notices are unread."""
    count = unread(account, tenancies)
    if count:
        said = ngettext(
            "You have %(count)s notice to read.", "You have %(count)s notices to read.", count
        ) % {"count": count}
    else:
        said = gettext("You have read every notice.")
    return Card(str(TITLE), said, reverse("tenant_notices"), gettext("See notices"))
