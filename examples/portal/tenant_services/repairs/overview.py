"""What the dashboard says of the pillar 'Repairs': who comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..access import Card
from ..words import window_text
from .diary_client import upcoming
from .views import name_of

if TYPE_CHECKING:
    from ..models import TenantAccount
    from ..profile.customers import Tenancy

TITLE = _("Repairs")
MOST = 3


def card(_account: TenantAccount, tenancies: list[Tenancy]) -> Card | None:
    """Return the next visits to what goes on, in all that goes on."""
    visited = [tenancy.reference for tenancy in tenancies if tenancy.ended_on is None]
    if not visited:
        return None
    lines = [
        gettext("%(repair)s: %(visit)s") % {"repair": name_of(job), "visit": window_text(window)}
        for job, window in upcoming(visited)[:MOST]
    ]
    said = "\n".join(lines) or gettext("No visit is booked.")
    return Card(str(TITLE), said, reverse("repairs"), gettext("See or report repairs"))
