"""Paying by card as a test sees it: the pretend provider, and a tenant who pays."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from demo_portal import clock
from django.conf import settings
from pretend_pay import Running, running
from tenant_services.payments import ledger
from tenant_services.payments.models import Entry
from tenant_services.payments.pay_models import CardPayment
from tenant_world import HOME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

KEY = "api_test_of_the_pretend_provider"
SECONDS = 1.0
"""How long pages wait for the provider, in tests in which it hangs."""


@contextmanager
def provided(**how: Any) -> Iterator[Running]:
    """Run a provider that the portal pays with."""
    named = ("PORTAL_PAY_API", "PORTAL_PAY_KEY", "PORTAL_PAY_PAGES", "PORTAL_PAY_SECONDS")
    before = {name: getattr(settings, name) for name in named}
    with running(KEY, **{"now": lambda: clock.now().timestamp()} | how) as server:
        settings.PORTAL_PAY_API = server.pay.address
        settings.PORTAL_PAY_KEY = KEY
        settings.PORTAL_PAY_PAGES = [server.pay.address]
        settings.PORTAL_PAY_SECONDS = SECONDS
        try:
            yield server
        finally:
            for name, value in before.items():
                setattr(settings, name, value)


@pytest.fixture
def provider() -> Iterator[Running]:
    """Give a provider that the portal pays with."""
    with provided() as server:
        yield server


def pay_page(tenancy: str = HOME) -> str:
    """Return where an amount is asked for."""
    return f"/my-home/rent/{tenancy}/pay/"


def page_of(payment: CardPayment | str, end: str = "") -> str:
    """Return the address of a payment's page, or of what is done with it."""
    pk = payment if isinstance(payment, str) else payment.pk
    return f"/my-home/rent/card-payments/{pk}/{end}"


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    words = re.sub(r"<script.*?</script>|<[^>]*>", " ", answer.content.decode(), flags=re.S)
    return re.sub(r"\s+", " ", words)


def form_of(client: Client, tenancy: str = HOME) -> str:
    """Open the page of the amount; return the form's number."""
    page = client.get(pay_page(tenancy)).content.decode()
    return re.search(r'name="form" value="([^"]+)"', page)[1]  # type: ignore[index]


def ask(client: Client, amount: str = "12.34", form: str = "", tenancy: str = HOME) -> Any:
    """Send the amount, from a form of its own if no other is named."""
    sent = {"amount": amount, "form": form or form_of(client, tenancy)}
    return client.post(pay_page(tenancy), sent)


def begin(client: Client, amount: str = "12.34", tenancy: str = HOME) -> tuple[CardPayment, str]:
    """Begin a payment; return it, and the provider's page to which it led."""
    form = form_of(client, tenancy)
    answer = ask(client, amount, form, tenancy)
    assert answer.status_code == 302, text_of(answer)
    return CardPayment.objects.get(form=form), answer.headers["Location"]


def choose(page: str, choice: str) -> str:
    """Do something on the provider's page; return where that leads, as a path."""
    answer = httpx.post(page, data={"choice": choice})
    assert answer.status_code == 303, answer.text
    return urlsplit(answer.headers["Location"]).path


def entries(tenancy: str = HOME, kind: Entry.Kind = Entry.Kind.PAYMENT) -> list[int]:
    """Return the amounts that were entered for payments by card, oldest first."""
    by_card = ledger.entries(tenancy).filter(kind=kind, source__regex="^(payment|refund):")
    return list(by_card.order_by("pk").values_list("pence", flat=True))
