"""Whom a notice reaches, by what the customer directory says of the tenancies that go on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Protocol

from demo_portal.records import Records
from django.conf import settings
from sqlalchemy import func, select

from ..profile.customers_sql import tenancies

if TYPE_CHECKING:
    from collections.abc import Sequence


class Audience(Protocol):
    """What is asked of the directory before a notice is published.

    Each raises `RecordsUnavailableError` rather than let anybody wait.
    """

    def localities(self) -> list[str]:
        """Return every place where somebody rents something, in order."""

    def reached(self, kinds: Sequence[str], localities: Sequence[str]) -> int:
        """Return how many tenancies are of these kinds and in these places; empty means every."""


class SqlAudience:
    """Reads the directory's tables."""

    def __init__(self, url: str, seconds: float) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        self._records = Records(url, seconds)

    def localities(self) -> list[str]:
        """See `Audience`."""
        place = tenancies.c.locality
        query = select(place).where(tenancies.c.ended_on.is_(None), place != "").distinct()
        with self._records.connection() as connection:
            return sorted(connection.execute(query).scalars())

    def reached(self, kinds: Sequence[str], localities: Sequence[str]) -> int:
        """See `Audience`."""
        query = select(func.count()).select_from(tenancies).where(tenancies.c.ended_on.is_(None))
        if kinds:
            query = query.where(tenancies.c.kind.in_(kinds))
        if localities:
            query = query.where(tenancies.c.locality.in_(localities))
        with self._records.connection() as connection:
            return connection.execute(query).scalar_one()


@cache
def _opened(url: str, seconds: float) -> Audience:
    return SqlAudience(url, seconds)


def audience() -> Audience:
    """Return the directory that the settings name."""
    return _opened(settings.PORTAL_CUSTOMERS, settings.PORTAL_RECORDS_SECONDS)
