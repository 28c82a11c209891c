"""The customer directory as this site sees it: who rents what, asked at every page.

References of people and tenancies are letters, digits and hyphens.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol

from demo_portal.jinja import language
from django.conf import settings
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from datetime import date

KINDS = {
    "general-needs": _("General needs home"),
    "sheltered": _("Sheltered home"),
    "shared-ownership": _("Shared ownership home"),
    "leasehold": _("Leasehold home"),
    "garage": _("Garage"),
}
"""What each kind of tenancy is called."""


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

    @property
    def kind_name(self) -> str:
        """What the kind is called, in the language in use."""
        return str(KINDS.get(self.kind, self.kind))


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a tenancy's, such as the agreement."""

    number: int
    title_en: str
    title_cy: str
    added_on: date
    media_type: str
    size: int

    @property
    def title(self) -> str:
        """The title in the language in use."""
        return self.title_cy if language() == "cy" else self.title_en

    @property
    def kind_and_size(self) -> str:
        """What sort of file it is, and how large, as in PDF, 12 KB."""
        kind = self.media_type.partition(";")[0].rpartition("/")[2]
        name = {"plain": "TXT"}.get(kind, kind).upper()
        return f"{name}, {max(1, round(self.size / 1000))} KB"


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


def plain_name(name: str) -> str:
    """Return a name without what people write differently: case, accents, punctuation, spaces.

    As for compatibility caseless matching (Unicode, section 3.13, D146).
    """
    letters = name
    for form in ("NFD", "NFKD"):
        letters = unicodedata.normalize(form, letters).casefold()
    letters = unicodedata.normalize("NFKD", letters)
    kept = re.sub(r"['\u2018\u2019\u0300-\u036f]", "", letters)
    return re.sub(r"[\W_]+", " ", kept).strip()


@cache
def _opened(url: str, seconds: float) -> CustomerDirectory:
    from .customers_sql import SqlCustomerDirectory

    return SqlCustomerDirectory(url, seconds)


def customer_directory() -> CustomerDirectory:
    """Return the directory that the settings name."""
    return _opened(settings.PORTAL_CUSTOMERS, settings.PORTAL_RECORDS_SECONDS)
