"""Tenant services as a test sees them from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from landlord_portal.management.commands.seed_demo import PASSWORD

if TYPE_CHECKING:
    from browser_world import Visits
    from django.test import Client
    from playwright.sync_api import Page
    from portal_world import PortalWorld

TESSA = "tessa.testington@people.example"
TARAN = "taran.enghraifft@people.example"
STELLA = "stella.staff@acme.example"
HOME, GARAGE, FORMER = "T-100001", "T-100002", "T-100003"
"""Tessa's tenancies."""
TARANS = "T-200001"
"""Taran's tenancy."""


def give_password(client: Client, username: str, password: str = PASSWORD) -> Any:
    """Take the first step of signing in to tenant services."""
    step = {"tenant_sign_in-current_step": "auth"}
    return client.post(
        "/my-home/sign-in/", step | {"auth-username": username, "auth-password": password}
    )


def give_code(portal: PortalWorld, client: Client, query: str = "") -> Any:
    """Take the second step with the code that was sent."""
    step = {"tenant_sign_in-current_step": "token", "token-otp_token": portal.code}
    return client.post(f"/my-home/sign-in/{query}", step)


def signed_in(portal: PortalWorld, username: str = TESSA, host: str = "localhost") -> Client:
    """Return a client that took both steps."""
    client = portal.client(host=host)
    give_password(client, username)
    assert give_code(portal, client).status_code == 302
    return client


def visit_as(
    visit: Visits, portal: PortalWorld, username: str = TESSA, **how: Any
) -> tuple[Page, Client]:
    """Return a page in which a user is signed in, and a client of the same session."""
    client = signed_in(portal, username, urlsplit(visit.site).netloc)
    page = visit(**how)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": visit.site}
    page.context.add_cookies([session])  # type: ignore[list-item]
    return page, client
