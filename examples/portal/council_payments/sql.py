"""A back office that is a SQL database: its tables, and how they are read."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from demo_portal.records import Records, read_page
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    and_,
    case,
    exists,
    func,
    or_,
    select,
)

from .back_office import Creditor, Line, Payment, Totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo_portal.records import Page
    from sqlalchemy import RowMapping, Select

    from .back_office import Search

_CHUNK = 1000

metadata = MetaData()

creditors = Table(
    "creditors",
    metadata,
    Column("reference", String(50), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("contact", String(200), nullable=False),
    Column("telephone", String(50), nullable=False),
    Column("email", String(200), nullable=False),
    Column("address", String(500), nullable=False),
)

payments = Table(
    "payments",
    metadata,
    Column("number", String(50), primary_key=True),
    Column("creditor", ForeignKey("creditors.reference"), nullable=False),
    Column("paid_on", Date, nullable=False),
    Column("method", String(20), nullable=False),
    Column("pence", BigInteger, nullable=False),
    Index("payments_of_creditor", "creditor", "paid_on", "number"),
)

lines = Table(
    "payment_lines",
    metadata,
    Column("payment", ForeignKey("payments.number"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("claim_reference", String(50), nullable=False),
    Column("claimant", String(200), nullable=False),
    Column("home", String(500), nullable=False),
    Column("period_from", Date, nullable=False),
    Column("period_to", Date, nullable=False),
    Column("gross_pence", BigInteger, nullable=False),
    Column("overpayment_recovery_pence", BigInteger, nullable=False),
    Column("other_deductions_pence", BigInteger, nullable=False),
    Column("net_pence", BigInteger, nullable=False),
    Index("lines_of_claim", "claim_reference", "payment"),
)

_SUMS = ("gross", "overpayment_recovery", "other_deductions", "net")


class SqlBackOffice:
    """Reads the tables as they are at that moment, for at most ``seconds`` at a time."""

    def __init__(self, url: str, seconds: float) -> None:
        """Read the database at ``url``; nothing is opened yet."""
        self._records = Records(url, seconds)

    def last_payment(self, reference: str) -> tuple[str, Decimal] | None:
        """See `BackOffice`. One query, whether there is such a creditor or not."""
        query = (
            select(creditors.c.name, payments.c.pence)
            .join(payments, payments.c.creditor == creditors.c.reference)
            .where(creditors.c.reference == reference)
            .order_by(payments.c.paid_on.desc(), payments.c.number.desc())
            .limit(1)
        )
        with self._records.connection() as connection:
            row = connection.execute(query).first()
        return row and (row.name, _pounds(row.pence))

    def creditor(self, reference: str) -> Creditor | None:
        """See `BackOffice`."""
        query = select(creditors).where(creditors.c.reference == reference)
        with self._records.connection() as connection:
            row = connection.execute(query).mappings().first()
        return row and Creditor(**row)

    def payments(self, reference: str, search: Search, page: int) -> Page[Payment]:
        """See `BackOffice`."""
        wanted = [payments.c.creditor == reference]
        if search.words:
            of_claim = and_(
                lines.c.payment == payments.c.number, lines.c.claim_reference == search.words
            )
            wanted.append(
                or_(
                    payments.c.number.icontains(search.words, autoescape=True),
                    exists().where(of_claim),
                )
            )
        if search.since:
            wanted.append(payments.c.paid_on >= search.since)
        if search.until:
            wanted.append(payments.c.paid_on <= search.until)
        order = (payments.c.paid_on.desc(), payments.c.number.desc())
        with self._records.connection() as connection:
            return read_page(
                connection, select(payments).where(*wanted).order_by(*order), page, _paid
            )

    def payment(self, reference: str, number: str) -> tuple[Payment, Totals] | None:
        """See `BackOffice`."""
        if "\0" in number:
            return None  # An address may have it; no text of PostgreSQL's does.
        wanted = and_(payments.c.creditor == reference, payments.c.number == number)
        deducted = lines.c.overpayment_recovery_pence + lines.c.other_deductions_pence
        wrong = case((lines.c.gross_pence - deducted != lines.c.net_pence, 1), else_=0)
        sums = select(
            func.count().label("lines"),
            *(func.coalesce(func.sum(lines.c[f"{name}_pence"]), 0).label(name) for name in _SUMS),
            func.coalesce(func.sum(wrong), 0).label("wrong"),
        ).where(lines.c.payment == number)
        with self._records.connection() as connection:
            row = connection.execute(select(payments).where(wanted)).mappings().first()
            if row is None:
                return None
            found = connection.execute(sums).mappings().one()
        return _paid(row), Totals(
            lines=found["lines"],
            add_up=found["wrong"] == 0 and found["net"] == row["pence"],
            **{name: _pounds(found[name]) for name in _SUMS},
        )

    def lines(self, reference: str, number: str, words: str, page: int) -> Page[Line]:
        """See `BackOffice`."""
        searched = (lines.c.claim_reference, lines.c.claimant, lines.c.home)
        query = _lines_of(reference, number).where(
            *(
                or_(*(column.icontains(word, autoescape=True) for column in searched))
                for word in words.split()
            )
        )
        with self._records.connection() as connection:
            return read_page(connection, query, page, _line)

    def every_line(self, reference: str, number: str) -> Iterator[Line]:
        """See `BackOffice`. The time allowed is that for each thousand lines."""
        with self._records.connection() as connection:
            reading = connection.execution_options(stream_results=True, max_row_buffer=_CHUNK)
            found = reading.execute(_lines_of(reference, number)).mappings()
            while chunk := found.fetchmany(_CHUNK):
                yield from map(_line, chunk)
                self._records.allow(connection)


def _lines_of(reference: str, number: str) -> Select[Any]:
    return (
        select(lines)
        .join(payments, lines.c.payment == payments.c.number)
        .where(payments.c.creditor == reference, payments.c.number == number)
        .order_by(lines.c.line)
    )


def _pounds(pence: int | Decimal) -> Decimal:
    return Decimal(pence).scaleb(-2)


def _paid(row: RowMapping) -> Payment:
    return Payment(row["number"], row["paid_on"], row["method"], _pounds(row["pence"]))


def _line(row: RowMapping) -> Line:
    return Line(
        number=row["line"],
        **{
            name: row[name]
            for name in ("claim_reference", "claimant", "home", "period_from", "period_to")
        },
        **{name: _pounds(row[f"{name}_pence"]) for name in _SUMS},
    )
