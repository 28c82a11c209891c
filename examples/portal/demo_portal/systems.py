"""The systems that the portal is made of. Each is an app; what its users see stands under one path.

`SYSTEMS` names the module of each that says what it is called, what it offers and where its users
sign in: its ``SIGN_IN`` and ``LANDING`` are names of addresses, its ``context(request)`` gives
templates the ``service_name`` and the ``navigation``. ``serves(user)`` tells whom it is for, and
``FORBIDDEN`` says what to do to whoever may not use a page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from django.contrib.auth.models import AnonymousUser
from django.urls import reverse

if TYPE_CHECKING:
    from django.http import HttpRequest
    from landlord_portal.models import User

SYSTEMS = {
    "/council/": "council_payments.navigation",
    "/my-home/": "tenant_services.navigation",
    "/": "landlord_portal.navigation",
}
"""The longest path that fits decides."""


class System(Protocol):
    """One of them."""

    SIGN_IN: str
    LANDING: str
    FORBIDDEN: Any

    def serves(self, user: User) -> bool:
        """Whether the system is there for a user who signed in."""

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the service's name, and its navigation for the user."""


def system_at(path: str) -> System:
    """Return the system that a page belongs to."""
    prefix = max((prefix for prefix in SYSTEMS if path.startswith(prefix)), key=len)
    return cast("System", import_module(SYSTEMS[prefix]))


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what every page says of the system that it belongs to.

    What refuses another system's user has the frame of that one, whose links lead somewhere.
    """
    system = system_at(request.path)
    user = getattr(request, "user", None) or AnonymousUser()
    if user.is_authenticated and not system.serves(user):
        others = map(system_at, SYSTEMS)
        system = next((other for other in others if other.serves(user)), system)
    service_url = reverse(system.LANDING if user.is_authenticated else system.SIGN_IN)
    return system.context(request) | {"service_url": service_url}
