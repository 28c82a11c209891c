"""What tenant self-service is called, and what it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal.records import RecordsUnavailableError
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .access import is_staff, is_tenant, tenancies_of
from .contact.notices import unread

if TYPE_CHECKING:
    from django.http import HttpRequest
    from landlord_portal.models import User

SIGN_IN = "my_home_sign_in"
LANDING = "my_home"
FORBIDDEN = gettext_lazy("It is not for the account that you signed in with.")


def serves(user: User) -> bool:
    """Whether the user is a tenant who registered, or one of the staff."""
    return is_tenant(user) or is_staff(user)


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the service's name and what a signed-in user may open."""
    user = getattr(request, "user", None)
    offered = {}
    if user and user.is_authenticated:
        if is_tenant(user):
            offered |= {
                "my_home": _("Overview"),
                "rent": _("Rent"),
                "repairs": _("Repairs"),
                "tenant_notices": _notices(request),
                "contact": _("Contact us"),
                "profile": _("Your details"),
            }
        if is_staff(user):
            offered |= {
                "staff_notices": _("Notices to tenants"),
                "staff_messages": _("Messages from tenants"),
            }
        offered["my_home_sign_out"] = _("Sign out")
    landing = reverse(LANDING)
    return {
        "service_name": _("Demonstration tenant services"),
        "navigation": [
            {
                "text": text,
                "href": reverse(name),
                "active": request.path == landing
                if name == LANDING
                else request.path.startswith(reverse(name)),
            }
            for name, text in offered.items()
        ],
    }


def _notices(request: Any) -> str:
    """Return what the link to the notices is called: by how many are unread, if that is known."""
    tenancies: Any = SimpleLazyObject(lambda: tenancies_of(request))
    try:
        count = unread(request.user.tenant_account, tenancies)
    except RecordsUnavailableError:
        count = 0
    if not count:
        return _("Notices")
    return ngettext("Notices (%(count)s unread)", "Notices (%(count)s unread)", count) % {
        "count": count
    }
