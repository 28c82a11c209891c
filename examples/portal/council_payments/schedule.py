"""The schedule of a payment as CSV, for the landlord's own finance system.

Its columns are the same in both languages and in every version; amounts have a point and two
decimals, dates are ISO 8601. It is UTF-8 with a byte order mark, by which spreadsheets know it.
"""

from __future__ import annotations

import csv
import tempfile
from io import TextIOWrapper
from typing import TYPE_CHECKING

from django.http import FileResponse

from automation_rules.report import neutral

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Return the file of ``lines``, which is sent piece by piece, and whole or not at all.

    The lines go through a file on disk first: a back office that stops answering half-way gives
    no half a file that looks whole, and however many there are, they take no memory.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        text = TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        about = [neutral(reference), neutral(payment.number), payment.paid_on]
        writer.writerows([*about, *_cells(line)] for line in lines)
        text.detach()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    name = "".join(letter if letter.isalnum() else "-" for letter in payment.number)
    return FileResponse(
        file,
        as_attachment=True,
        filename=f"payment-{name}.csv",
        content_type="text/csv; charset=utf-8",
    )


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
