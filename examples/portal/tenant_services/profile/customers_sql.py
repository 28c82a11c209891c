"""A customer directory that is a SQL database: its tables, and how they are read."""

from __future__ import annotations

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
    select,
)

from .customers import Customer, Tenancy

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
