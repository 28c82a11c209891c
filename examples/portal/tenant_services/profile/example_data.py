"""Made-up people and tenancies in the customer directory."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from demo_portal import clock
from django.conf import settings
from sqlalchemy import create_engine, make_url

from . import customers_sql as sql

CUSTOMERS = [
    {
        "reference": "P1001",
        "name": "Tessa Testington",
        "born_on": date(1985, 4, 1),
        "telephone": "+44 7700 900401",
        "email": "tessa.testington@people.example",
    },
    {
        "reference": "P1002",
        "name": "Taran Enghraifft",
        "born_on": date(1951, 12, 25),
        "telephone": "+44 7700 900402",
        "email": "taran.enghraifft@people.example",
    },
    {
        # Has not registered yet.
        "reference": "P1003",
        "name": "Una Registered",
        "born_on": date(1990, 2, 28),
        "telephone": "+44 7700 900403",
        "email": "una.registered@people.example",
    },
]


def tenancies() -> list[dict[str, Any]]:
    """Return what is rented: Tessa's home, garage and former home, Taran's and Una's homes."""
    today = clock.today()

    def tenancy(reference: str, kind: str, address: str, years: int, **other: Any) -> Any:
        return {
            "reference": reference,
            "kind": kind,
            "address": address,
            "postcode": "EX99 9AA",
            "locality": "Exampleton",
            "building": "Sample Court",
            "began_on": today - timedelta(days=365 * years),
            "ended_on": None,
        } | other

    former = {"ended_on": today - timedelta(days=365 * 3 + 1), "building": ""}
    welsh = {"postcode": "LL99 9AA", "locality": "Trefesiampl", "building": "Llys Enghraifft"}
    return [
        tenancy("T-100001", "general-needs", "1 Sample Court, Exampleton", 3),
        tenancy("T-100002", "garage", "Garage 7, Mock Lane, Exampleton", 2, building=""),
        tenancy("T-100003", "general-needs", "9 Former Street, Exampleton", 8, **former),
        tenancy("T-200001", "sheltered", "2 Llys Enghraifft, Trefesiampl", 5, **welsh),
        tenancy("T-300001", "general-needs", "3 Sample Court, Exampleton", 1),
    ]


RENTED_BY = {
    "T-100001": "P1001",
    "T-100002": "P1001",
    "T-100003": "P1001",
    "T-200001": "P1002",
    "T-300001": "P1003",
}


def add() -> None:
    """Write the customer directory, unless it is there already."""
    engine = create_engine(make_url(settings.PORTAL_CUSTOMERS), hide_parameters=True)
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(sql.customers.select().limit(1)).first() is None:
            connection.execute(sql.customers.insert(), CUSTOMERS)
            connection.execute(sql.tenancies.insert(), tenancies())
            connection.execute(
                sql.tenants.insert(),
                [{"tenancy": what, "customer": who} for what, who in RENTED_BY.items()],
            )
    engine.dispose()
