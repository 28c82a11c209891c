"""The customer directory as this site sees it: who rents what, asked at every page.

References of people and tenancies are letters, digits and hyphens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from django.conf import settings

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class Customer:
    """A person who rents or rented something. Telephone and e-mail may be empty."""

    reference: str
    name: str
    born_on: date
    telephone: str
    email: str


@dataclass(frozen=True, slots=True)
class Tenancy:
    """What a person rents: a home or, for example, a garage.

    ``kind`` is one of ``general-needs``, ``sheltered``, ``shared-ownership``, ``leasehold`` and
    ``garage``; ``locality`` a place's name; ``building`` the building whose communal parts the
    tenancy shares, or empty. ``ended_on`` is None while it goes on.
    """

    reference: str
    kind: str
    address: str
    postcode: str
    locality: str
    building: str
    began_on: date
    ended_on: date | None


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a tenancy's, such as the agreement."""

    number: int
    title_en: str
    title_cy: str
    added_on: date
    media_type: str
    size: int


class CustomerDirectory(Protocol):
    """What a customer directory answers.

    Each raises `RecordsUnavailableError` rather than let anybody wait.
    """

    def find(self, tenancy: str, name: str, born_on: date) -> Customer | None:
        """Return who rents ``tenancy``, is called ``name`` and was born then; None if nobody is."""

    def customer(self, reference: str) -> Customer | None:
        """Return a person."""

    def tenancies(self, customer: str) -> list[Tenancy]:
        """Return a person's tenancies: those that go on first, then the latest first."""

    def documents(self, tenancy: str) -> list[Document]:
        """Return what can be downloaded, newest first."""

    def document(self, tenancy: str, number: int) -> tuple[Document, bytes] | None:
        """Return a document and its content; None if the tenancy has no such."""

    def change_telephone(self, customer: str, telephone: str) -> None:
        """Keep a telephone number that was confirmed."""

    def change_email(self, customer: str, email: str) -> None:
        """Keep an e-mail address that was confirmed."""


@cache
def _opened(url: str, seconds: float) -> CustomerDirectory:
    from .customers_sql import SqlCustomerDirectory

    return SqlCustomerDirectory(url, seconds)


def customer_directory() -> CustomerDirectory:
    """Return the directory that the settings name."""
    return _opened(settings.PORTAL_CUSTOMERS, settings.PORTAL_RECORDS_SECONDS)
