"""The council's back office as this site sees it: asked at every page, never copied, never written.

Money is `Decimal` pounds with two places. Creditor references have no spaces or small letters;
payments' numbers, which stand in addresses, have no slash. Lines are numbered from 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from decimal import Decimal

    from demo_portal.records import Page


@dataclass(frozen=True, slots=True)
class Creditor:
    """A landlord as the council pays it."""

    reference: str
    name: str
    contact: str
    telephone: str
    email: str
    address: str

    @property
    def address_lines(self) -> list[str]:
        """The address as it is written on an envelope."""
        return self.address.split("\n")


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to a creditor."""

    number: str
    paid_on: date
    method: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a payment's lines; whether each line adds up, and they all to what was paid."""

    lines: int
    gross: Decimal
    overpayment_recovery: Decimal
    other_deductions: Decimal
    net: Decimal
    add_up: bool


@dataclass(frozen=True, slots=True)
class Line:
    """What a payment holds for one claim and period: net is gross less the deductions."""

    number: int
    claim_reference: str
    claimant: str
    home: str
    period_from: date
    period_to: date
    gross: Decimal
    overpayment_recovery: Decimal
    other_deductions: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True)
class Search:
    """What payments are looked for: all of these hold.

    ``words`` is part of a payment's number, or the whole claim reference of one of its lines.
    """

    words: str = ""
    since: date | None = None
    until: date | None = None


class BackOffice(Protocol):
    """What a back office answers. Every answer is about one creditor, whose reference comes first.

    Each raises `RecordsUnavailableError` rather than let anybody wait.
    """

    def last_payment(self, reference: str) -> tuple[str, Decimal] | None:
        """Return the payee's name and the amount of the last payment; None if there is none."""

    def creditor(self, reference: str) -> Creditor | None:
        """Return who is paid."""

    def payments(self, reference: str, search: Search, page: int) -> Page[Payment]:
        """Return a page of the payments, newest first; the last page when there are fewer."""

    def payment(self, reference: str, number: str) -> tuple[Payment, Totals] | None:
        """Return a payment with the sums of its lines; None if it went to somebody else."""

    def lines(self, reference: str, number: str, words: str, page: int) -> Page[Line]:
        """Return a page of a payment's lines; every word is in a claim, claimant or home."""

    def every_line(self, reference: str, number: str) -> Iterator[Line]:
        """Give a payment's lines in order, however many, without holding them all."""


@cache
def _opened(url: str, seconds: float) -> BackOffice:
    from .sql import SqlBackOffice

    return SqlBackOffice(url, seconds)


def back_office() -> BackOffice:
    """Return the back office that the settings name."""
    return _opened(settings.PORTAL_BACK_OFFICE, settings.PORTAL_RECORDS_SECONDS)
