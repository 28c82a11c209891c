"""The payment provider as this site sees it: it takes card payments on pages of its own.

Payments are made before anybody is sent to those pages, so what was made and never sent anybody
to is never paid. Amounts are whole pence.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

LEAST_PENCE = 100
MOST_PENCE = 10_000_000
"""The smallest payment that is worth a card's while, and the provider's largest."""


class ProviderError(Exception):
    """The provider did not do what it was asked. Says nothing of the payment or the payer."""


class ProviderUnavailableError(ProviderError):
    """There was no answer, or none to rely on: whether it was done is unknown."""


class ProviderRefusedError(ProviderError):
    """It was not done; ``code`` is the provider's word for why, or empty."""

    def __init__(self, status: int, code: str = "") -> None:
        """Keep the answer's status and the code."""
        super().__init__(f"{status} {code}".strip())
        self.status = status
        self.code = code


class Outcome(Enum):
    """What became of a payment."""

    PENDING = "pending"
    PAID = "paid"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Order:
    """A payment as it is asked for. ``key`` is its own: the same again is the same payment."""

    key: str
    pence: int
    reference: str
    description: str
    return_url: str
    language: str


@dataclass(frozen=True, slots=True)
class State:
    """A payment as the provider tells it.

    ``next_url`` is where the payer goes on; None when there is nothing more to do there.
    ``begun`` says that the payer gave their card's details. ``refundable`` is what can still be
    paid back.
    """

    id: str
    key: str
    reference: str
    pence: int
    outcome: Outcome
    begun: bool
    next_url: str | None
    refundable: int


@dataclass(frozen=True, slots=True)
class Refund:
    """Money on its way back to a payer's card; it got there when it is ``done``."""

    id: str
    payment: str
    pence: int
    done: bool


class PaymentProvider(Protocol):
    """What a payment provider does.

    Each raises `ProviderUnavailableError` or `ProviderRefusedError`.
    """

    def create(self, order: Order) -> State:
        """Make a payment, or return the one that was made of this order before."""

    def state(self, payment: str) -> State:
        """Return how a payment stands."""

    def cancel(self, payment: str) -> None:
        """End a payment that is not finished."""

    def refund(self, payment: str, pence: int, refundable: int) -> Refund:
        """Begin to pay back ``pence``, if ``refundable`` is still what can be paid back."""

    def refunds(self, since: datetime) -> Iterator[Refund]:
        """Give every refund that was begun since then, whoever began it."""


@cache
def _opened(api: str, key: str, pages: tuple[str, ...], seconds: float) -> PaymentProvider:
    from .govuk_pay import GovUkPay

    return GovUkPay(api, key, pages, seconds)


def payment_provider() -> PaymentProvider:
    """Return the provider that the settings name."""
    if not settings.PORTAL_PAY_API:
        raise ProviderUnavailableError("PORTAL_PAY_API is not set; `serve` says what to set")
    return _opened(
        settings.PORTAL_PAY_API,
        settings.PORTAL_PAY_KEY,
        tuple(settings.PORTAL_PAY_PAGES),
        settings.PORTAL_PAY_SECONDS,
    )
