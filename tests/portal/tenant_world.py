"""Tenant services as a test sees them from outside."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import portal_world
import pytest
from django.conf import settings
from django.core import mail
from django.db import connections
from landlord_portal.management.commands.seed_demo import PASSWORD
from sqlalchemy import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable

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
UNA = "una.registered@people.example"
UNAS_TELEPHONE = "+44 7700 900403"
UNAS = "T-300001"
"""Who has no account yet: her address and number on record, and her tenancy."""


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


class Outbox:
    """The e-mails that were sent, the last one last."""

    def __init__(self) -> None:
        """Begin with none."""
        mail.outbox = []

    @property
    def sent(self) -> list[Any]:
        """All of them."""
        return list(mail.outbox)

    def to(self, address: str) -> list[Any]:
        """Return those that went to ``address``."""
        return [message for message in mail.outbox if message.to == [address]]

    def link(self, address: str = "") -> str:
        """Return the path that the last link leads to, of all or of those to ``address``."""
        messages = self.to(address) if address else self.sent
        [*_others, found] = re.findall(r"https?://[^/\s]+(/\S*)", messages[-1].body)
        return str(found)


@pytest.fixture
def outbox(portal: PortalWorld, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """Keep the e-mails that are sent."""
    backend = "django.core.mail.backends.locmem.EmailBackend"
    monkeypatch.setattr(settings, "EMAIL_BACKEND", backend)
    return Outbox()


def change_customers(*statements: Any) -> None:
    """Change something in the customer directory, as another program would."""
    engine = create_engine(settings.PORTAL_CUSTOMERS)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


stuck_customers = partial(portal_world.stuck, "PORTAL_CUSTOMERS")
"""Let it keep everybody waiting."""


def wait(portal: PortalWorld, span: timedelta) -> None:
    """Let time pass, and a second."""
    portal.clock.move_to(portal.clock.now() + span + timedelta(seconds=1))


def at_once(send: Callable[[], Any], many: int = 4) -> list[Any]:
    """Return what each of several threads is answered when they send the same at once."""
    gate = threading.Barrier(many)

    def one(_n: int) -> Any:
        try:
            gate.wait()
            return send()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(one, range(many)))


# --- opening an account -----------------------------------------------------------------------

REGISTER = "/my-home/register/"
SECRET = "a horse that nobody rides"


def answers(**other: str) -> dict[str, str]:
    """Return what Una answers, but for ``other``."""
    return {
        "reference": UNAS,
        "name": "Una Registered",
        "born_on_day": "28",
        "born_on_month": "2",
        "born_on_year": "1990",
    } | other


def contacts(**other: str) -> dict[str, str]:
    """Return how Una is reached, but for ``other``."""
    return {"email": UNA, "telephone": "07700 900403", "password": SECRET} | other


def begin(client: Client, **other: str) -> Any:
    """Answer the questions."""
    return client.post(REGISTER, answers(**other))


def confirm_telephone(portal: PortalWorld, client: Client, **other: str) -> Any:
    """Say how Una is reached, and type in the code that was sent."""
    answer = client.post(f"{REGISTER}contact/", contacts(**other))
    assert answer.headers.get("Location") == f"{REGISTER}code/", answer.headers
    return client.post(f"{REGISTER}code/", {"code": portal.code})


def register(portal: PortalWorld, outbox: Outbox, client: Client, **other: str) -> Any:
    """Take every step, the link on another device; return what is answered to the last."""
    assert begin(client).status_code == 302
    assert confirm_telephone(portal, client, **other).status_code == 302
    password = other.get("password", SECRET)
    return portal.client().post(outbox.link(), {"password": password})
