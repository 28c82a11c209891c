"""A tenancy's account as tests fill it, and as its pages and files tell it."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from lxml import html  # type: ignore[import-untyped]
from tenant_services.payments.models import ChargeLine, Entry

from tools import pdf_libraries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.test import Client
    from pypdf import PdfReader

RENT = "/my-home/rent"
SEEN = re.compile(r"£([0-9,]+\.[0-9]{2})(?: (ahead|behind))?")
"""An amount as it is written for people, in English."""


def fill(tenancy: str, count: int, *, last: date | None = None, lines: bool = False) -> None:
    """Enter ``count`` charges and payments, four a day until the last day, as an import would."""
    last = last or clock.today()
    first = last - timedelta(days=(count - 1) // 4)
    for start in range(0, count, 5000):
        made = Entry.objects.bulk_create(
            Entry(
                tenancy=tenancy,
                day=first + timedelta(days=number // 4),
                kind="payment" if number % 2 else "charge",
                detail_en=f"Entry {number}",
                detail_cy=f"Cofnod {number}",
                pence=10_001 + number % 3 if number % 2 else -10_003,
                source=f"fill:{tenancy}:{number}",
                entered_at=clock.now(),
            )
            for number in range(start, min(start + 5000, count))
        )
        if lines:
            ChargeLine.objects.bulk_create(
                ChargeLine(entry=entry, charged_for=what, pence=pence)
                for entry in made
                if entry.kind == "charge"
                for what, pence in (("rent", 10_000), ("water", 3))
            )


def statement_path(tenancy: str, first: date, last: date, kind: str = "") -> str:
    """Return the address of a statement, or of its file of a kind."""
    return f"{RENT}/{tenancy}/statement/{first}/{last}/{kind and f'{kind}/'}"


def csv_of(client: Client, path: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    answer = client.get(path)
    assert answer.status_code == 200
    content = b"".join(answer).decode("utf-8")
    assert content.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(content[1:], newline="")))


def table_of(answer: Any) -> list[list[str]]:
    """Return the cells of a page's table, row by row."""
    return [
        [" ".join(cell.text_content().split()) for cell in row.xpath("./th | ./td")]
        for row in html.fromstring(answer.content).xpath("//main//tbody/tr")
    ]


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


def pdf_of(client: Client, path: str) -> PdfReader:
    """Return a PDF file."""
    from pypdf import PdfReader

    pdf_libraries()
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/pdf"
    return PdfReader(BytesIO(answer.content))


def pence(seen: str) -> int:
    """Return an amount as it is written for people, in English."""
    found = SEEN.fullmatch(seen)
    assert found, seen
    amount = int(Decimal(found[1].replace(",", "")) * 100)
    return -amount if found[2] == "behind" else amount


def pence_of(cell: str) -> int:
    """Return the amount of a CSV file's cell."""
    assert re.fullmatch(r"-?[0-9]+\.[0-9]{2}", cell), cell
    return int(Decimal(cell) * 100)


def total(amounts: Iterable[str]) -> int:
    """Return the sum of cells as they are written for people; empty ones count nothing."""
    return sum(pence(one) for one in amounts if one)
