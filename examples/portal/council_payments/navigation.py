"""What the council's site is called, and what it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .models import CouncilAccount

if TYPE_CHECKING:
    from django.http import HttpRequest
    from landlord_portal.models import User

SIGN_IN = "council_sign_in"
LANDING = "council"
FORBIDDEN = gettext_lazy("It is for landlords with an account of the council's.")


def serves(user: User) -> bool:
    """Whether the user is a person with an account of the council's."""
    return not user.is_automation and CouncilAccount.objects.filter(user=user).exists()


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the service's name and what a signed-in user may open."""
    user = getattr(request, "user", None)
    offered = {}
    if user and user.is_authenticated:
        if serves(user):
            offered = {
                "landlord_payments": _("Landlord payments"),
                "prove_landlord_payments": _("Add a creditor reference"),
            }
        offered["council_sign_out"] = _("Sign out")
    return {
        "service_name": _("Demonstration council: landlord payments"),
        "navigation": [
            {"text": text, "href": reverse(name), "current": request.path == reverse(name)}
            for name, text in offered.items()
        ],
    }
