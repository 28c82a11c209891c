"""The schedule of a payment as CSV, for the landlord's own finance system.

Its columns are the same in both languages and in every version; amounts have a point and two
decimals, dates are ISO 8601.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo_portal.csv_files import csv_file

from automation_rules.report import neutral

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.http import FileResponse

    from .back_office import Line, Payment

COLUMNS = [
    "creditor_reference",
    "payment_number",
    "paid_on",
    "line",
    "claim_reference",
    "claimant",
    "property",
    "period_from",
    "period_to",
    "gross",
    "overpayment_recovery",
    "other_deductions",
    "net",
]


def schedule(reference: str, payment: Payment, lines: Iterable[Line]) -> FileResponse:
    """Return the file of ``lines``."""
    about = [neutral(reference), neutral(payment.number), payment.paid_on]
    name = "".join(letter if letter.isalnum() else "-" for letter in payment.number)
    return csv_file(f"payment-{name}.csv", COLUMNS, ([*about, *_cells(line)] for line in lines))


def _cells(line: Line) -> list[object]:
    """Return a line's cells: what people wrote made harmless, numbers and dates as they are."""
    return [
        line.number,
        neutral(line.claim_reference),
        neutral(line.claimant),
        neutral(line.home),
        line.period_from,
        line.period_to,
        line.gross,
        line.overpayment_recovery,
        line.other_deductions,
        line.net,
    ]
