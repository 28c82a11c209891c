"""The back office's adapter on both databases, and the schedule that is made of what it gives."""

from __future__ import annotations

import csv
import io
import tracemalloc
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from council_payments import sql
from council_payments.back_office import Line, Payment, Search
from council_payments.schedule import COLUMNS, schedule
from council_world import PAYMENT, change, prove, signed_in, stuck
from demo_portal.records import RecordsUnavailableError
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portal_world import PortalWorld

    from servers import Server

DAY = date(2027, 6, 1)
ACME = {
    "reference": "7000123",
    "name": "Acme Homes",
    "contact": "Enid Example",
    "telephone": "01632 960001",
    "email": "payments@acme.example",
    "address": "1 Sample Street",
}


def a_line(number: int, **other: Any) -> dict[str, Any]:
    """Return a line of the payment P1."""
    return {
        "payment": "P1",
        "line": number,
        "claim_reference": f"HB{number}",
        "claimant": "Testy McSample",
        "home": f"{number} Mock Lane, Exampleton",
        "period_from": DAY - timedelta(days=27),
        "period_to": DAY,
        "gross_pence": 10000 + number,
        "overpayment_recovery_pence": 100,
        "other_deductions_pence": 1,
        "net_pence": 9899 + number,
    } | other


def fill(url: str, lines: list[dict[str, Any]], pence: int | None = None) -> None:
    """Write a back office with one payment afresh; it is what the lines come to, by default."""
    if pence is None:
        pence = sum(line["net_pence"] for line in lines)
    paid = {"creditor": "7000123", "method": "bacs"}
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        for table in reversed(sql.metadata.sorted_tables):
            connection.execute(table.delete())
        connection.execute(sql.creditors.insert(), [ACME, ACME | {"reference": "1", "name": "X"}])
        connection.execute(
            sql.payments.insert(),
            [
                paid | {"number": "P0", "paid_on": DAY - timedelta(days=28), "pence": 1},
                paid | {"number": "P1", "paid_on": DAY, "pence": pence},
                paid | {"number": "Q", "paid_on": DAY, "pence": 5, "creditor": "1"},
            ],
        )
        if lines:
            connection.execute(sql.lines.insert(), lines)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a back office with thirty lines, on either database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'back office.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    fill(url, [a_line(number) for number in range(1, 31)])
    return url


@contextmanager
def opened(url: str, seconds: float = 5.0) -> Iterator[sql.SqlBackOffice]:
    """Give a back office, whose connections are let go afterwards."""
    office = sql.SqlBackOffice(url, seconds)
    yield office
    office._records.engine.dispose()


def test_everything_is_read_from_either_database(place: str) -> None:
    """Both answer the same: the payee, the payments, the sums, the lines."""
    with opened(place) as office:
        pounds = Decimal("2974.35")
        assert office.last_payment("7000123") == ("Acme Homes", pounds)
        assert office.last_payment("999") is None
        assert office.creditor("999") is None
        creditor = office.creditor("7000123")
        assert creditor is not None
        assert {field.name: getattr(creditor, field.name) for field in fields(creditor)} == ACME
        page = office.payments("7000123", Search(), 1)
        assert [paid.number for paid in page.rows] == ["P1", "P0"]
        assert [p.number for p in office.payments("7000123", Search("hb7"), 1).rows] == []
        assert [p.number for p in office.payments("7000123", Search("HB7"), 1).rows] == ["P1"]
        assert [p.number for p in office.payments("7000123", Search("p0"), 1).rows] == ["P0"]
        until = Search(until=DAY - timedelta(days=1))
        assert [p.number for p in office.payments("7000123", until, 1).rows] == ["P0"]
        found = office.payment("7000123", "P1")
        assert found is not None
        payment, totals = found
        assert payment == Payment("P1", DAY, "bacs", pounds)
        assert (totals.lines, totals.net, totals.add_up) == (30, pounds, True)
        assert totals.gross - totals.overpayment_recovery - totals.other_deductions == pounds
        assert all(isinstance(value, Decimal) for value in (totals.gross, totals.net))
        lines = list(office.every_line("7000123", "P1"))
        assert lines == office.lines("7000123", "P1", "", 1).rows + (
            office.lines("7000123", "P1", "", 2).rows
        )
        assert [line.number for line in office.lines("7000123", "P1", "7 MOCK", 1).rows] == [
            7,
            17,
            27,
        ]


def test_another_creditors_payment_is_none(place: str) -> None:
    """A payment is found by its own creditor's reference alone."""
    with opened(place) as office:
        assert office.payment("1", "P1") is None
        assert office.lines("1", "P1", "", 1).rows == []
        assert list(office.every_line("1", "P1")) == []
        assert office.payments("1", Search("HB7"), 1).rows == []


def test_number_that_no_text_can_be_is_nobodys(place: str) -> None:
    """An address may have a null byte in it, which PostgreSQL takes in no text: no such payment."""
    with opened(place) as office:
        assert office.payment("7000123", "P1\0") is None


def test_it_is_only_read(place: str) -> None:
    """The connections of this site cannot write, whatever they are asked."""
    with opened(place) as office, office._records.engine.connect() as connection:
        with pytest.raises(Exception, match=r"readonly|read-only") as caught:
            connection.execute(sql.lines.delete())
        assert caught.type.__module__ == "sqlalchemy.exc"


def test_slow_answers_are_cut_off(tmp_path: Path) -> None:
    """Work that takes longer than is allowed is stopped, whichever question it was for."""
    url = f"sqlite:///{tmp_path / 'slow.sqlite3'}"
    fill(url, [a_line(number) for number in range(1, 3001)])
    with opened(url, 0.0) as office:
        with pytest.raises(RecordsUnavailableError):
            office.payment("7000123", "P1")
        with pytest.raises(RecordsUnavailableError):
            office.lines("7000123", "P1", "nothing like it", 1)
        with pytest.raises(RecordsUnavailableError):
            list(office.every_line("7000123", "P1"))


def test_locked_tables_of_postgresql_keep_nobody(postgresql_url: str) -> None:
    """The server itself ends a question that takes too long, and another finds a connection."""
    fill(postgresql_url, [a_line(1)])
    with opened(postgresql_url, 0.1) as office:
        with psycopg.connect(postgresql_url) as other:
            other.execute("LOCK TABLE payments IN ACCESS EXCLUSIVE MODE")
            for _ in range(20):
                with pytest.raises(RecordsUnavailableError):
                    office.last_payment("7000123")
        assert office.last_payment("7000123") is not None


def test_server_that_is_down_and_comes_back(own_server: Server) -> None:
    """While it is down every question fails at once; afterwards they are answered again."""
    url = own_server.new_schema()
    fill(url, [a_line(1)])
    with opened(url, 2.0) as office:
        assert office.last_payment("7000123") is not None
        own_server.kill()
        with pytest.raises(RecordsUnavailableError) as caught:
            office.last_payment("7000123")
        assert (str(caught.value), caught.value.__cause__) == ("", None)
        own_server.start()
        assert office.last_payment("7000123") is not None


def test_failures_do_not_carry_what_was_asked(tmp_path: Path) -> None:
    """Neither the exception nor what it came from has the reference in it."""
    url = f"sqlite:///{tmp_path / 'nowhere' / 'none.sqlite3'}"
    with opened(url) as office, pytest.raises(RecordsUnavailableError) as caught:
        office.last_payment("7000123")
    hidden = caught.value.__context__
    assert isinstance(hidden, OperationalError)
    assert caught.value.__suppress_context__
    assert "7000123" not in str(hidden)


# --- the schedule -------------------------------------------------------------------------------


def rows_of(file: bytes) -> list[dict[str, str]]:
    """Return the rows of a schedule, as a program reads them."""
    return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))


def download(url: str) -> bytes:
    """Return the schedule of the payment P1."""
    with opened(url) as office:
        found = office.payment("7000123", "P1")
        assert found is not None
        with closing(schedule("7000123", found[0], office.every_line("7000123", "P1"))) as answer:
            return b"".join(answer.streaming_content)


pence = st.integers(min_value=-(10**9), max_value=10**9)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
any_lines = st.lists(
    st.fixed_dictionaries(
        {
            "claim_reference": texts,
            "claimant": texts,
            "home": texts,
            "gross_pence": pence,
            "overpayment_recovery_pence": pence,
            "other_deductions_pence": pence,
        }
    ),
    max_size=60,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the URL of a back office that is written again and again."""
    return f"sqlite:///{tmp_path_factory.mktemp('scratch') / 'office.sqlite3'}"


@settings(max_examples=40, deadline=None)
@given(drawn=any_lines, wrong=st.sampled_from([0, 0, 1, -1]))
def test_pages_sums_and_schedule_agree(
    scratch: str, drawn: list[dict[str, Any]], wrong: int
) -> None:
    """Whatever a payment holds, its pages, its sums and its file say the same to the penny."""
    lines = []
    for number, line in enumerate(drawn, 1):
        deducted = line["overpayment_recovery_pence"] + line["other_deductions_pence"]
        lines.append(a_line(number, **line, net_pence=line["gross_pence"] - deducted))
    paid = sum(line["net_pence"] for line in lines)
    fill(scratch, lines, paid + wrong)
    with opened(scratch) as office:
        found = office.payment("7000123", "P1")
        assert found is not None
        payment, totals = found
        first = office.lines("7000123", "P1", "", 1)
        shown: list[Line] = [
            line
            for page in range(1, first.pages + 1)
            for line in office.lines("7000123", "P1", "", page).rows
        ]
    rows = rows_of(download(scratch))
    assert first.total == len(shown) == len(rows) == totals.lines == len(lines)
    for name in ("gross", "overpayment_recovery", "other_deductions", "net"):
        exact = Decimal(sum(line[f"{name}_pence"] for line in lines)) / 100
        assert exact == getattr(totals, name)
        assert exact == sum(getattr(line, name) for line in shown)
        assert exact == sum(Decimal(row[name]) for row in rows)
        assert all(row[name][-3] == "." for row in rows)
    assert payment.amount == Decimal(paid + wrong) / 100
    assert totals.add_up == (wrong == 0)
    for row, line in zip(rows, lines, strict=True):
        for column, name in (("claim_reference",) * 2, ("claimant",) * 2, ("property", "home")):
            assert row[column] in (line[name], f"'{line[name]}")
            assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_schedule_is_for_a_spreadsheet(portal: PortalWorld) -> None:
    """UTF-8 that says so, lines that end as RFC 4180 has it, columns that never change."""
    client = signed_in(portal)
    proof = prove(client)
    change(
        sql.lines.update()
        .where(sql.lines.c.payment == PAYMENT, sql.lines.c.line == 1)
        .values(claimant='Siân Ŵyn\u2019r, "Enghraifft"', home='=HYPERLINK("https://x.example")')
    )
    path = f"/council/landlord-payments/{proof}/payments/{PAYMENT}/schedule.csv"
    for lang in ("en", "cy"):
        client.cookies["django_language"] = lang
        answer = client.get(path)
        file = answer.getvalue()
        answer.close()
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Content-Length"] == str(len(file))
        expected = f'attachment; filename="payment-{PAYMENT}.csv"'
        assert answer.headers["Content-Disposition"] == expected
        assert "no-store" in answer.headers["Cache-Control"]
        assert file.startswith(b"\xef\xbb\xbfcreditor_reference,payment_number,paid_on,line,")
        assert file.count(b"\n") == file.count(b"\r\n") == 31
        rows = rows_of(file)
        assert list(rows[0]) == COLUMNS
        assert rows[0]["claimant"] == 'Siân Ŵyn\u2019r, "Enghraifft"'
        assert rows[0]["property"] == '\'=HYPERLINK("https://x.example")'
        assert rows[4]["claimant"] == "'=Fauxine"
        assert [row["line"] for row in rows] == [str(n) for n in range(1, 31)]
        assert rows[1]["paid_on"] == "2027-05-27"
        assert rows[1]["overpayment_recovery"] == "11.40"


def test_recovery_larger_than_the_gross_stays_a_number(scratch: str) -> None:
    """A negative amount is not made a text, for a finance system adds it up."""
    fill(scratch, [a_line(1, gross_pence=0, net_pence=-101)])
    [row] = rows_of(download(scratch))
    assert (row["gross"], row["net"]) == ("0.00", "-1.01")


def test_half_a_schedule_is_not_sent(portal: PortalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A back office that stops half-way gives the clear page, and no file that looks whole."""
    client = signed_in(portal)
    path = f"/council/landlord-payments/{prove(client)}/payments/{PAYMENT}/schedule.csv"
    usual = sql.SqlBackOffice.every_line

    def breaks_off(self: sql.SqlBackOffice, *asked: str) -> Iterator[Line]:
        yield next(usual(self, *asked))
        with stuck():
            self.last_payment(asked[0])

    monkeypatch.setattr(sql.SqlBackOffice, "every_line", breaks_off)
    monkeypatch.setattr("django.conf.settings.PORTAL_RECORDS_SECONDS", 0.2)
    answer = client.get(path)
    assert answer.status_code == 503
    assert answer.headers["Content-Type"].startswith("text/html")


def peak_of(url: str) -> int:
    """Return the most bytes that sending a schedule takes at once, without keeping it."""
    with opened(url) as office:
        found = office.payment("7000123", "P1")
        assert found is not None
        tracemalloc.start()
        try:
            answer = schedule("7000123", found[0], office.every_line("7000123", "P1"))
            sent = sum(len(chunk) for chunk in answer.streaming_content)
            answer.close()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert sent > 100 * found[1].lines
    return peak


@pytest.mark.parametrize("many", [10_000, pytest.param(50_000, marks=pytest.mark.exhaustive)])
def test_memory_stays_flat_however_many_lines(scratch: str, many: int) -> None:
    """Many thousands of lines take hardly more memory than two thousand."""
    fill(scratch, [a_line(number) for number in range(1, 2001)])
    few = peak_of(scratch)
    fill(scratch, [a_line(number) for number in range(1, many + 1)])
    assert peak_of(scratch) < 1.5 * few


def test_schedule_of_fifty_thousand_lines(portal: PortalWorld) -> None:
    """The largest payment has pages as any other, and its file has every line."""
    many = 50_000
    client = signed_in(portal)
    proof = prove(client)
    lines = [a_line(number, payment=PAYMENT) for number in range(31, many + 1)]
    engine = create_engine(f"sqlite:///{portal.home / 'back_office.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(sql.lines.insert(), lines)
    engine.dispose()
    base = f"/council/landlord-payments/{proof}/payments/{PAYMENT}/"
    answer = client.post(base, {"page": "2000"})
    assert "50000 found. Page 2000 of 2000" in " ".join(answer.content.decode().split())
    assert "HB50000" in answer.content.decode()
    with closing(client.get(f"{base}schedule.csv")) as answer:
        assert answer.getvalue().count(b"\r\n") == many + 1
