"""The tabs, whose names stay in English in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from automation_rules import Role

if TYPE_CHECKING:
    from django.http import HttpRequest

    from .models import User

SIGN_IN = "sign_in"
LANDING = "landing"
FORBIDDEN = gettext_lazy(
    "Your user roles do not let you do this. Ask someone with the 'Manage users' role."
)
TABS = [
    ("updates", "Updates", None),
    ("todos", "To-dos", Role.COMPLETE_TODOS),
    ("tenants", "Tenants", Role.PROVIDE_TENANCY_DETAILS),
    ("payments", "Payments", Role.VIEW_PAYMENTS),
    ("properties", "Properties", Role.ADD_OR_REMOVE_PROPERTIES),
    ("users", "Manage users", Role.MANAGE_USERS),
]


def serves(user: User) -> bool:
    """Whether the user is a landlord's, or runs the portal."""
    return user.landlord_id is not None or user.is_administrator


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the service's name and the tabs that the user may open."""
    user = getattr(request, "user", None)
    return {
        "service_name": _("Demonstration landlord portal"),
        "navigation": _tabs(user, request.path) if user and user.is_authenticated else [],
    }


def _tabs(user: User, here: str) -> list[dict[str, Any]]:
    tabs = [
        _tab(name, text, here)
        for name, text, role in TABS
        if user.landlord_id and (role is None or user.has_role(role))
    ]
    if user.is_compliance_officer:
        tabs.append(_tab("compliance", "Compliance", here))
    if user.is_administrator:
        tabs.append(_tab("notices", "Notices", here))
    tabs.append({"text": _("Sign out"), "href": reverse("sign_out")})
    return tabs


def _tab(name: str, text: str, here: str) -> dict[str, Any]:
    href = reverse(name)
    return {
        "text": text,
        "href": href,
        "active": here.startswith(href),
        "attributes": {"lang": "en"},
    }
