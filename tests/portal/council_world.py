"""The council's site and its back office as a test sees them from outside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import portal_world
from council_payments import sql
from council_payments.back_office import back_office
from council_payments.example_data import number
from django.conf import settings
from landlord_portal.management.commands.seed_demo import PASSWORD
from sqlalchemy import create_engine

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

CASEY = "casey.council@acme.example"
CADI = "cadi.cyngor@enghraifft.example"
PROVE = "/council/landlord-payments/prove/"
NAMES = {
    "7000123": "Acme Homes Ltd.",
    "7000456": "Acme Supported Living",
    "7000789": "Cartrefi Enghraifft",
}
LAST = {"reference": "7000123"}
PAYMENT = number(LAST, 0)
"""The number of the last payment to the first creditor."""

PAGES = [
    "/council/landlord-payments/",
    PROVE,
    "/council/landlord-payments/{proof}/",
    "/council/landlord-payments/{proof}/payments/",
    f"/council/landlord-payments/{{proof}}/payments/{PAYMENT}/",
]
"""The pages of someone who proved the first creditor's reference, and another."""


def give_password(portal: PortalWorld, client: Client, username: str) -> Any:
    """Take the first step of signing in to the council's site."""
    step = {"council_sign_in-current_step": "auth"}
    return client.post(
        "/council/sign-in/", step | {"auth-username": username, "auth-password": PASSWORD}
    )


def give_code(portal: PortalWorld, client: Client, query: str = "") -> Any:
    """Take the second step with the code that was sent."""
    step = {"council_sign_in-current_step": "token", "token-otp_token": portal.code}
    return client.post(f"/council/sign-in/{query}", step)


def signed_in(portal: PortalWorld, username: str = CASEY, host: str = "localhost") -> Client:
    """Return a client that took both steps."""
    client = portal.client(host=host)
    give_password(portal, client, username)
    assert give_code(portal, client).status_code == 302
    return client


def answers(reference: str = "7000123", **other: str) -> dict[str, str]:
    """Return the right answers for a creditor, but for ``other``."""
    last = back_office().last_payment(reference)
    assert last is not None
    return {
        "reference": reference,
        "payee": NAMES[reference],
        "amount": f"{last[1]:.2f}",
    } | other


def prove(client: Client, reference: str = "7000123") -> int:
    """Prove a creditor's reference; return the proof's number."""
    answer = client.post(PROVE, answers(reference))
    assert answer.status_code == 302, answer.content.decode()
    from council_payments.models import Proof

    return Proof.objects.order_by("-pk")[0].pk


def has_proved(client: Client) -> bool:
    """Whether the client gets at the payments."""
    answer = client.get("/council/landlord-payments/", follow=True)
    return bool(answer.request["PATH_INFO"] != PROVE)


def change(*statements: Any) -> None:
    """Change something in the back office, as another program would."""
    engine = create_engine(settings.PORTAL_BACK_OFFICE)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


stuck = partial(portal_world.stuck, "PORTAL_BACK_OFFICE")
"""Let it keep everybody waiting."""


__all__ = [
    "CADI",
    "CASEY",
    "PAGES",
    "PAYMENT",
    "PROVE",
    "answers",
    "change",
    "give_code",
    "give_password",
    "has_proved",
    "prove",
    "signed_in",
    "sql",
    "stuck",
]
