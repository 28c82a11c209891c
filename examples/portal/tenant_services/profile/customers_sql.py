"""A customer directory that is a SQL database: its tables, and how they are read."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from demo_portal.records import Records
from sqlalchemy import (
    Column,
    Date,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
    select,
    update,
)

from .customers import Customer, Document, Tenancy, plain_name

if TYPE_CHECKING:
    from datetime import date

    from sqlalchemy import ColumnElement, RowMapping

_MOST = 2**31 - 1
"""The largest number that a document can have: what databases take for an integer."""

metadata = MetaData()

customers = Table(
    "customers",
    metadata,
    Column("reference", String(50), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("born_on", Date, nullable=False),
    Column("telephone", String(50), nullable=False),
    Column("email", String(200), nullable=False),
)

tenancies = Table(
    "tenancies",
    metadata,
    Column("reference", String(50), primary_key=True),
    Column("kind", String(30), nullable=False),
    Column("address", String(300), nullable=False),
    Column("postcode", String(10), nullable=False),
    Column("locality", String(100), nullable=False),
    Column("building", String(100), nullable=False),
    Column("began_on", Date, nullable=False),
    Column("ended_on", Date, nullable=True),
)

tenants = Table(
    "tenants",
    metadata,
    Column("tenancy", ForeignKey("tenancies.reference"), primary_key=True),
    Column("customer", ForeignKey("customers.reference"), primary_key=True, index=True),
)

documents = Table(
    "documents",
    metadata,
    Column("tenancy", ForeignKey("tenancies.reference"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("title_en", String(200), nullable=False),
    Column("title_cy", String(200), nullable=False),
    Column("added_on", Date, nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("content", LargeBinary, nullable=False),
)


class SqlCustomerDirectory:
    """Reads and changes the tables as they are at that moment."""

    def __init__(self, url: str, seconds: float) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        self._records = Records(url, seconds, writable=True)

    def find(self, tenancy: str, name: str, born_on: date) -> Customer | None:
        """See `CustomerDirectory`. One query, whichever answer is wrong.

        Two people whom the answers do not tell apart are nobody.
        """
        query = (
            select(customers)
            .join(tenants, tenants.c.customer == customers.c.reference)
            .where(tenants.c.tenancy == tenancy)
        )
        with self._records.connection() as connection:
            found = [Customer(**row) for row in connection.execute(query).mappings()]
        given = plain_name(name), born_on
        fitting = [one for one in found if (plain_name(one.name), one.born_on) == given]
        return fitting[0] if len(fitting) == 1 else None

    def customer(self, reference: str) -> Customer | None:
        """See `CustomerDirectory`."""
        query = select(customers).where(customers.c.reference == reference)
        with self._records.connection() as connection:
            row = connection.execute(query).mappings().first()
        return row and Customer(**row)

    def tenancies(self, customer: str) -> list[Tenancy]:
        """See `CustomerDirectory`."""
        query = (
            select(tenancies)
            .join(tenants, tenants.c.tenancy == tenancies.c.reference)
            .where(tenants.c.customer == customer)
            .order_by(
                tenancies.c.ended_on.is_not(None),
                tenancies.c.began_on.desc(),
                tenancies.c.reference,
            )
        )
        with self._records.connection() as connection:
            return [Tenancy(**row) for row in connection.execute(query).mappings()]

    def documents(self, tenancy: str) -> list[Document]:
        """See `CustomerDirectory`. Their content stays where it is."""
        query = (
            select(*_ABOUT_DOCUMENT)
            .where(documents.c.tenancy == tenancy)
            .order_by(documents.c.added_on.desc(), documents.c.number.desc())
        )
        with self._records.connection() as connection:
            return [_document(row) for row in connection.execute(query).mappings()]

    def document(self, tenancy: str, number: int) -> tuple[Document, bytes] | None:
        """See `CustomerDirectory`."""
        if number > _MOST:
            return None
        query = select(*_ABOUT_DOCUMENT, documents.c.content).where(
            documents.c.tenancy == tenancy, documents.c.number == number
        )
        with self._records.connection() as connection:
            row = connection.execute(query).mappings().first()
        return row and (_document(row), bytes(row["content"]))

    def change_telephone(self, customer: str, telephone: str) -> None:
        """See `CustomerDirectory`."""
        self._change(customer, telephone=telephone)

    def change_email(self, customer: str, email: str) -> None:
        """See `CustomerDirectory`."""
        self._change(customer, email=email)

    def _change(self, customer: str, **values: str) -> None:
        change = update(customers).where(customers.c.reference == customer).values(**values)
        with self._records.connection() as connection:
            connection.execute(change)


_ABOUT_DOCUMENT: list[ColumnElement[Any]] = [
    *(documents.c[field.name] for field in fields(Document) if field.name != "size"),
    func.length(documents.c.content).label("size"),
]


def _document(row: RowMapping) -> Document:
    return Document(**{field.name: row[field.name] for field in fields(Document)})
