"""An account of any length: its pages ask as little, its files take no more memory."""

from __future__ import annotations

import sys
import tracemalloc
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tenant_ledger_world import RENT, csv_of, fill, pence_of, statement_path, table_of
from tenant_services.payments import ledger, statements, views
from tenant_services.payments.models import Entry
from tenant_world import GARAGE, HOME, signed_in

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.rent import measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client
    from portal_world import PortalWorld

ENTRIES = [3_000, pytest.param(100_000, marks=pytest.mark.exhaustive)]


def looks(tenancy: str) -> list[str]:
    """Return the pages of a long account that could take long."""
    account, first = f"{RENT}/{tenancy}/", ledger.entries(tenancy).first()
    whole = statement_path(tenancy, first.day, Entry.objects.last().day)
    return [
        f"{RENT}/",
        account,
        f"{account}?page=999999",
        f"{account}?kind=refund",
        f"{account}?kind=payment&page=999999",
        f"{account}?since_day=1&since_month=1&since_year=2020",
        f"{account}statement/",
        whole,
        f"{whole}?page=999999",
        f"{whole}pdf/",
    ]


def history_rows(tenancy: str) -> Iterator[list[object]]:
    """Give the rows of an account's history."""
    return views.cells(tenancy)


def statement_rows(tenancy: str) -> Iterator[list[object]]:
    """Give the rows of the statement of everything."""
    return statements.cells(statements.Statement.of(tenancy, date.min, date.max))


def queries(client: Client, path: str) -> list[str]:
    """Return what the database is asked for a page."""
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code in (200, 422)
    return [query["sql"] for query in asked]


@pytest.mark.parametrize("entries", ENTRIES)
def test_pages_ask_no_more_of_a_long_account(portal: PortalWorld, entries: int) -> None:
    """As many questions as of a short one, each answered by the account's index, in an instant."""
    client = signed_in(portal)
    fill(GARAGE, 600)
    ledger.refund(GARAGE, 1, source="refund")
    short = [len(queries(client, path)) for path in looks(GARAGE)]
    fill(HOME, entries)
    for path, few in zip(looks(HOME), short, strict=True):
        asked = queries(client, path)
        assert len(asked) <= few, path
        for sql in asked:
            if sql.startswith("SELECT") and '"tenant_services_entry"' in sql:
                with connection.cursor() as cursor:
                    plan = cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
                assert any("INDEX entries_of_tenancy (tenancy=?" in step[3] for step in plan), sql
                assert not any(step[3] == "SCAN tenant_services_entry" for step in plan), sql
        begins = perf_counter()
        client.get(path)
        assert perf_counter() - begins < 2, path


@pytest.mark.parametrize("entries", ENTRIES)
def test_files_of_a_long_account_add_up(portal: PortalWorld, entries: int) -> None:
    """Every entry is in the file, once and in order, each with the balance after it."""
    client = signed_in(portal)
    before = ledger.entries(HOME).count()
    fill(HOME, entries, lines=True)
    first, last = ledger.entries(HOME).first().day, Entry.objects.last().day
    for path in (f"{RENT}/{HOME}/history/", statement_path(HOME, first, last, "csv")):
        rows = [row for row in csv_of(client, path) if not row["kind"].endswith("forward")]
        assert len(rows) == before + entries
        balance = 0
        for row in rows:
            balance += pence_of(row["credit"] or "0.00") - pence_of(row["debit"] or "0.00")
            assert pence_of(row["balance"]) == balance
        assert balance == ledger.balance(HOME)
        assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    newest = table_of(client.get(f"{RENT}/{HOME}/"))[0]
    assert newest[-1] == ledger.figure(balance)


@pytest.mark.parametrize("rows", [history_rows, statement_rows])
def test_files_are_made_in_pieces(
    portal: PortalWorld, rows: Callable[[str], Iterator[list[object]]]
) -> None:
    """Four times the entries take no more memory, but for when what is done with is let go."""
    peaks = []
    for times in (1, 4):
        fill(f"T-{times}", times * 2_000, lines=True)
        tracemalloc.start()
        for _row in rows(f"T-{times}"):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.6


@pytest.mark.exhaustive
def test_files_take_no_more_memory(tmp_path: Path) -> None:
    """A process that sends both files of 100,000 entries needs as much as one that sends 2,000."""
    few = measured(tmp_path / "few", 2_000, 0)
    many = measured(tmp_path / "many", 100_000, 0)
    assert many["sent"] > few["sent"] * 45
    assert many["peak"] < few["peak"] * 1.1
