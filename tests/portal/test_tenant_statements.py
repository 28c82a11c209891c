"""The rent pages and what can be taken away: to whom, what they say, in which language."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from portal_world import TUESDAY
from tenant_ledger_world import (
    RENT,
    csv_of,
    fill,
    pdf_of,
    pence,
    pence_of,
    statement_path,
    table_of,
    text_of,
)
from tenant_services.models import TenantAccount
from tenant_services.payments import ledger
from tenant_services.payments.models import Entry, StatementChoice
from tenant_services.payments.pdf import pdf
from tenant_services.payments.statements import MOST_IN_PDF, ON_SCREEN
from tenant_world import FORMER, GARAGE, HOME, TARAN, TARANS, TESSA, signed_in

from tools import pdf_libraries

if TYPE_CHECKING:
    from pathlib import Path

    from django.test import Client
    from portal_world import PortalWorld
    from pypdf import PdfReader

FIRST, LAST = date(2027, 4, 1), date(2027, 5, 31)
PDF = statement_path(HOME, FIRST, LAST, "pdf")
CSV = statement_path(HOME, FIRST, LAST, "csv")
CHOICE = f"{RENT}/how-we-send-statements/"
HOSTILE = ["<script>alert(1)</script>", "=1+1", "@SUM(A1)", "-2+3", "x" * 200, "Tŷ ŵ â €"]


@pytest.fixture
def client(portal: PortalWorld) -> Client:
    """Tessa's client."""
    return signed_in(portal)


def charge_of(tenancy: str) -> int:
    """Return the number of a tenancy's last charge."""
    return Entry.objects.filter(tenancy=tenancy, kind="charge").last().pk


def addresses(tenancy: str) -> list[str]:
    """Return every address about a tenancy's rent."""
    return [
        f"{RENT}/{tenancy}/",
        f"{RENT}/{tenancy}/history/",
        f"{RENT}/{tenancy}/charge/{charge_of(tenancy)}/",
        f"{RENT}/{tenancy}/statement/",
        *(statement_path(tenancy, FIRST, LAST, kind) for kind in ("", "csv", "pdf")),
    ]


# --- the account ------------------------------------------------------------------------------


def test_every_tenancy_is_listed_with_its_balance(client: Client) -> None:
    """Ahead at home, behind at the garage, and nothing owed where the tenant lived before."""
    said = {row[3]: [row[1], row[4]] for row in table_of(client.get(f"{RENT}/"))}
    assert said[HOME] == ["You are £72.22 ahead", ""]
    assert said[GARAGE] == ["You are £104.00 behind", ""]
    assert said[FORMER] == ["You are up to date", "Ended on 31 May 2024"]


def test_an_account_says_how_it_stands(client: Client) -> None:
    """In words and as a figure, which is what the newest entry leaves."""
    answer = client.get(f"{RENT}/{HOME}/")
    assert "You are £72.22 ahead Your balance today is £72.22." in text_of(answer)
    assert table_of(answer)[0][-1] == "£72.22 ahead"
    behind = text_of(client.get(f"{RENT}/{GARAGE}/"))
    assert "You are £104.00 behind Your balance today is -£104.00." in behind
    assert "You are up to date" in text_of(client.get(f"{RENT}/{FORMER}/"))


def test_a_payment_shows_at_once(client: Client) -> None:
    """What is entered is on the next page and in the next file."""
    ledger.credit(GARAGE, 10_401, source="pay-1")
    answer = client.get(f"{RENT}/{GARAGE}/")
    assert "You are £0.01 ahead" in text_of(answer)
    assert table_of(answer)[0] == [
        "1 June 2027",
        "Payment",
        "Card payment",
        "",
        "£104.01",
        "£0.01 ahead",
    ]
    assert csv_of(client, f"{RENT}/{GARAGE}/history/")[-1]["balance"] == "0.01"


def test_entries_are_found_by_kind_and_days(client: Client) -> None:
    """Each balance stays that of the whole account, whatever is left out."""
    everything = {
        (row[0], row[2]): row for page in (1, 2, 3, 4) for row in table_of(_page(client, page))
    }
    assert len(everything) == 76
    for kind, count in (("refund", 1), ("adjustment", 1), ("opening", 1), ("payment", 25)):
        found = table_of(_page(client, kind=kind))
        assert len(found) == count
        assert {row[1].lower() for row in found} <= {kind, "opening balance"}
        assert all(everything[row[0], row[2]] == row for row in found)
    span = _page(client, kind="payment", since="4 4 2027", until="28 4 2027")
    assert [row[0] for row in table_of(span)] == ["28 April 2027", "5 April 2027"]
    assert [row[-1] for row in table_of(span)] == ["£553.72 ahead", "£112.22 ahead"]
    nothing = text_of(_page(client, since="2 6 2027"))
    assert "0 found" in nothing
    assert "Page 1" not in nothing


def test_pages_of_a_search_keep_the_search(client: Client) -> None:
    """The link to the next page asks for the same, in its address."""
    answer = _page(client, kind="payment", since="1 1 2020")
    assert "37 found. Page 1 of 2" in text_of(answer)
    assert b"kind=payment&amp;since_day=1&amp;since_month=1&amp;since_year=2020" in answer.content
    assert len(table_of(_page(client, 2, kind="payment", since="1 1 2020"))) == 12


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "31 2 2027"}, "The first day must be a real date, like 1 4 2027"),
        ({"until": "x 2 2027"}, "The last day must be a real date, like 1 4 2027"),
        ({"since": "2 4 2027", "until": "1 4 2027"}, "The last day must not be before the first"),
        ({"kind": "<script>"}, "Select one of the answers"),
        ({"kind": "\0"}, "Select one of the answers"),
    ],
)
def test_what_cannot_be_searched_for_is_said(
    client: Client, asked: dict[str, str], said: str
) -> None:
    """The error names the field and the remedy; nothing is left out of the list."""
    answer = _page(client, **asked)
    assert answer.status_code == 200
    assert said in text_of(answer)
    assert "76 found" in text_of(answer)
    assert b"<script>" not in answer.content.split(b"<main")[1].split(b"</main")[0]


@pytest.mark.parametrize("page", ["0", "-1", "99999999999999999999", "x", "\0", "2.5"])
def test_a_page_that_is_not_there_is_another(client: Client, page: str) -> None:
    """Whatever number is asked for, some page answers."""
    assert len(table_of(client.get(f"{RENT}/{HOME}/", {"page": page}))) in (1, 25)


def test_a_charge_says_what_it_is_made_up_of(client: Client) -> None:
    """Its lines add up to it."""
    answer = client.get(f"{RENT}/{HOME}/charge/{charge_of(HOME)}/")
    assert table_of(answer) == [
        ["Rent", "£432.10"],
        ["Water", "£18.25"],
        ["Cleaning", "£6.40"],
        ["Heating", "£21.00"],
        ["Grounds", "£3.75"],
        ["Total", "£481.50"],
    ]
    assert "Charge for 1 June 2027 to 30 June 2027" in text_of(answer)


# --- statements -------------------------------------------------------------------------------


def test_a_statement_begins_and_ends_with_balances(client: Client) -> None:
    """Brought forward, what happened, carried forward; and the sums."""
    answer = client.get(statement_path(HOME, FIRST, LAST))
    rows = table_of(answer)
    assert rows[0] == ["1 April 2027", "Brought forward", "", "", "£493.72 ahead"]
    assert rows[-1] == ["31 May 2027", "Carried forward", "", "", "£553.72 ahead"]
    assert rows[2] == ["5 April 2027", "Card payment", "", "£100.00", "£112.22 ahead"]
    assert rows[3] == ["11 April 2027", "Refund to your card", "£40.00", "", "£72.22 ahead"]
    assert "Debits £1,003.00 Credits £1,063.00 Carried forward £553.72 ahead" in text_of(answer)


def test_a_statement_of_nothing(client: Client) -> None:
    """Days without an entry carry forward what they were brought."""
    day = date(2027, 5, 20)
    rows = table_of(client.get(statement_path(HOME, day, day)))
    assert [row[-1] for row in rows] == ["£72.22 ahead"] * 2
    assert [row["balance"] for row in csv_of(client, statement_path(HOME, day, day, "csv"))] == [
        "72.22",
        "72.22",
    ]


def test_asking_for_a_statement(client: Client) -> None:
    """The form leads to the statement of those days; it begins with the last three months."""
    path = f"{RENT}/{HOME}/statement/"
    assert 'name="first_month" type="text" value="3"' in client.get(path).content.decode()
    answer = client.post(path, _days("1 4 2027", "31 5 2027"))
    assert (answer.status_code, answer["Location"]) == (302, statement_path(HOME, FIRST, LAST))
    links = client.get(path).content.decode()
    for first in ("2027-03-01", "2026-06-01", "2024-06-01"):
        assert statement_path(HOME, date.fromisoformat(first), date(2027, 6, 1)) in links


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("", "1 4 2027", "Enter the first day of the statement"),
        ("1 4 2027", "", "Enter the last day of the statement"),
        ("30 2 2027", "1 4 2027", "The first day must be a real date, like 1 4 2027"),
        ("1 4 2027", "1 4 27", "The last day must be a real date, like 1 4 2027"),
        ("1 4 2027", "31 3 2027", "The last day must not be before the first"),
        ("1 4 2027", "2 6 2027", "The last day must be today or in the past"),
    ],
)
def test_days_that_make_no_statement(client: Client, first: str, last: str, said: str) -> None:
    """The error names the day and the remedy; what was typed stays."""
    answer = client.post(f"{RENT}/{HOME}/statement/", _days(first, last))
    assert answer.status_code == 200
    assert said in text_of(answer)
    for number in {*first.split(), *last.split()}:
        assert f'value="{number}"'.encode() in answer.content


@pytest.mark.parametrize(
    "days", ["2027-02-30/2027-03-01", "2027-05-31/2027-04-01", "0000-01-01/2027-01-01", "x/y"]
)
def test_an_address_without_real_days_is_none(client: Client, days: str) -> None:
    """Nothing answers there, for a page or a file."""
    for kind in ("", "csv/", "pdf/"):
        assert client.get(f"{RENT}/{HOME}/statement/{days}/{kind}").status_code == 404


def test_the_first_and_last_days_of_all(client: Client) -> None:
    """The longest statement that an address can ask for is made."""
    path = statement_path(HOME, date.min, date.max)
    assert [row[-1] for row in table_of(client.get(path))[:: len(table_of(client.get(path))) - 1]]
    assert len(csv_of(client, statement_path(HOME, date.min, date.max, "csv"))) == 78


def test_a_long_statement_is_paged_on_screen(client: Client) -> None:
    """Each page brings forward what the page before it carried."""
    fill(FORMER, 2 * ON_SCREEN + 50, last=date(2025, 1, 1))
    path = statement_path(FORMER, date(2024, 6, 1), date(2025, 1, 2))
    pages = [table_of(client.get(path, {"page": page})) for page in (1, 2, 3, 4)]
    assert pages[3] == pages[2]
    assert [len(page) for page in pages[:3]] == [ON_SCREEN + 2, ON_SCREEN + 2, 52]
    assert pages[0][0][-1] == "£0.00"
    assert pages[0][-1][-1] == pages[1][0][-1]
    assert pages[1][-1][-1] == pages[2][0][-1]
    assert pages[2][-1][0] == "2 January 2025"
    listed = [row for page in pages[:3] for row in page[1:-1]]
    rows = csv_of(client, f"{path}csv/")[1:-1]
    assert [row["detail"] for row in rows] == [row[1] for row in listed]
    assert [pence_of(row["balance"]) for row in rows] == [pence(row[-1]) for row in listed]


# --- files ------------------------------------------------------------------------------------


def test_the_whole_history_as_csv(client: Client) -> None:
    """Stable columns in either language, oldest first, with what each charge is made up of."""
    rows = csv_of(client, f"{RENT}/{HOME}/history/")
    client.cookies["django_language"] = "cy"
    welsh = csv_of(client, f"{RENT}/{HOME}/history/")
    assert list(rows[0]) == list(welsh[0])
    assert list(rows[0])[:7] == [
        "tenancy",
        "date",
        "kind",
        "detail",
        "debit",
        "credit",
        "balance",
    ]
    assert rows[0] | {"detail": ""} == welsh[0] | {"detail": ""}
    assert (rows[0]["kind"], rows[0]["debit"], rows[0]["balance"]) == ("opening", "12.34", "-12.34")
    assert rows[-1]["rent"] == "432.10"
    assert rows[-1]["garage"] == ""
    assert len(rows) == 76


def test_files_are_attachments_with_a_name(client: Client) -> None:
    """Browsers save them under a name that says what they are."""
    names = {
        f"{RENT}/{HOME}/history/": "rent-T-100001.csv",
        CSV: "statement-T-100001-2027-04-01-2027-05-31.csv",
        PDF: "statement-T-100001-2027-04-01-2027-05-31.pdf",
    }
    pdf_libraries()
    for path, name in names.items():
        answer = client.get(path)
        assert answer["Content-Disposition"] == f'attachment; filename="{name}"'
        assert "no-store" in answer["Cache-Control"]
        answer.close()


def test_texts_cannot_do_harm(client: Client) -> None:
    """Whatever a detail says, pages show it and spreadsheets do not work it out."""
    pdf_libraries()
    for number, text in enumerate(HOSTILE):
        ledger.adjust(GARAGE, 1, source=f"hostile-{number}", detail=text)
    day = date(2027, 6, 1)
    for path in (f"{RENT}/{GARAGE}/", statement_path(GARAGE, day, day)):
        answer = client.get(path)
        assert b"<script>alert" not in answer.content
        assert {row[2 if path.endswith(f"{GARAGE}/") else 1] for row in table_of(answer)} >= set(
            HOSTILE
        )
    for path in (f"{RENT}/{GARAGE}/history/", statement_path(GARAGE, day, day, "csv")):
        details = [row["detail"] for row in csv_of(client, path)]
        for text in HOSTILE:
            assert (f"'{text}" if text[0] in "=@-" else text) in details
    read = _text(pdf_of(client, statement_path(GARAGE, day, day, "pdf")))
    for text in ("<script>alert(1)</script>", "=1+1", "Tŷ ŵ â €"):
        assert text in read


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_the_pdf_is_tagged_and_says_the_same(client: Client, lang: str) -> None:
    """Language, title, headings and table headers are there for those who have it read aloud."""
    client.cookies["django_language"] = lang
    reader = pdf_of(client, PDF)
    root = reader.trailer["/Root"]
    assert root["/Lang"] == lang
    assert root["/MarkInfo"]["/Marked"]
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    title = {
        "en": "Rent statement, 1 April 2027 to 31 May 2027",
        "cy": "Cyfriflen rhent, 1 Ebrill 2027 hyd at 31 Mai 2027",
    }[lang]
    assert reader.metadata is not None
    assert reader.metadata["/Title"] == f"{title} \N{EN DASH} {HOME}"
    assert b"pdfuaid:part" in root["/Metadata"].get_object().get_data()
    tags = list(_tags(root["/StructTreeRoot"]))
    names = [tag["/S"] for tag in tags]
    assert names.count("/H1") == 1
    assert names.count("/H2") == 2
    assert names.count("/Table") == 2
    rows = table_of(client.get(statement_path(HOME, FIRST, LAST)))
    headers = {tag["/ID"] for tag in tags if tag["/S"] == "/TH"}
    assert len(headers) == (2 + 4) + (5 + len(rows))
    cells = [tag["/A"]["/Headers"] for tag in tags if tag["/S"] == "/TD"]
    assert len(cells) == 4 + 4 * len(rows)
    for row_and_column in cells:
        assert len(set(row_and_column) & headers) == 2
    read = _text(reader)
    assert title in read
    for row in rows:
        for cell in row:
            assert cell in read


def test_pdfs_are_drawn_at_once(client: Client) -> None:
    """Several tenants who ask at the same time all get theirs."""
    pdf_libraries()
    document = "<!DOCTYPE html><html lang='cy'><title>T</title><h1>Tŷ {}</h1></html>"
    with ThreadPoolExecutor(4) as threads:
        drawn = list(threads.map(pdf, [document.format(n) for n in range(8)]))
    from io import BytesIO

    from pypdf import PdfReader

    for number, content in enumerate(drawn):
        assert PdfReader(BytesIO(content)).pages[0].extract_text().strip() == f"Tŷ {number}"


def test_drawing_asks_nobody_for_anything() -> None:
    """A document that wants a picture from elsewhere is drawn without, and nobody hears of it."""
    pdf_libraries()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        for wanted in (f"http://127.0.0.1:{server.getsockname()[1]}/x.png", "file:///etc/hostname"):
            assert pdf(f"<html lang='en'><title>T</title><img alt='x' src='{wanted}'></html>")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_too_long_for_a_pdf(client: Client, lang: str) -> None:
    """The limit is said, on the statement and where the PDF would be, and the CSV is offered."""
    client.cookies["django_language"] = lang
    day = date(2026, 1, 1)
    fill(GARAGE, MOST_IN_PDF + 1, last=day)
    whole = [GARAGE, date(2020, 1, 1), day]
    page = client.get(statement_path(*whole))
    assert statement_path(*whole, "pdf") not in page.content.decode()
    assert f"{MOST_IN_PDF}" in text_of(page)
    answer = client.get(statement_path(*whole, "pdf"))
    assert answer.status_code == 422
    assert statement_path(*whole, "csv") in answer.content.decode()
    assert {"en": "too long", "cy": "yn rhy hir"}[lang] in text_of(answer)


@pytest.mark.parametrize("raised", ["ImportError", "OSError"])
def test_where_pdfs_cannot_be_drawn(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, raised: str
) -> None:
    """Without WeasyPrint or the system's libraries the page says so, and offers the CSV."""
    (tmp_path / "weasyprint.py").write_text(f"raise {raised}('cannot load libpango')\n", "ascii")
    for name in [name for name in sys.modules if name.split(".")[0] == "weasyprint"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    answer = client.get(PDF)
    assert answer.status_code == 503
    assert "We cannot make PDFs at the moment" in text_of(answer)
    assert CSV in answer.content.decode()
    assert csv_of(client, CSV)


# --- to whom ----------------------------------------------------------------------------------


def test_somebody_elses_is_not_there(portal: PortalWorld, client: Client) -> None:
    """Taran's addresses answer him, and Tessa as if there were none; nor do they mix."""
    taran = signed_in(portal, TARAN)
    pdf_libraries()
    for path in addresses(TARANS):
        mine = taran.get(path)
        assert mine.status_code == 200
        mine.close()
        assert client.get(path).status_code == 404
        assert client.post(path).status_code in (404, 405)
    for number in (charge_of(TARANS), charge_of(GARAGE), 0, 2**31, 2**63, 10**30):
        assert client.get(f"{RENT}/{HOME}/charge/{number}/").status_code == 404
    payment = Entry.objects.filter(tenancy=HOME, kind="payment").last()
    assert client.get(f"{RENT}/{HOME}/charge/{payment.pk}/").status_code == 404
    for reference in ("T-1", "%00", "T-100001%0a", "t-100001", "..%2F", "x" * 5000):
        assert client.get(f"{RENT}/{reference}/").status_code == 404


def test_nothing_is_shown_before_signing_in(portal: PortalWorld) -> None:
    """Every address leads to the sign-in page."""
    for path in [f"{RENT}/", CHOICE, *addresses(HOME)]:
        answer = portal.client().get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/my-home/sign-in/")


def test_an_empty_account(portal: PortalWorld, client: Client) -> None:
    """A tenancy in which nothing happened yet is up to date, and its files are empty."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM tenant_services_chargeline")
        cursor.execute("DELETE FROM tenant_services_entry")
    answer = client.get(f"{RENT}/{HOME}/")
    assert "You are up to date" in text_of(answer)
    assert table_of(answer) == []
    assert csv_of(client, f"{RENT}/{HOME}/history/") == []
    assert client.get(f"{RENT}/{HOME}/statement/").status_code == 200
    assert len(table_of(client.get(statement_path(HOME, FIRST, LAST)))) == 2


# --- paper or not -----------------------------------------------------------------------------


def test_statements_are_on_paper_until_chosen_otherwise(
    portal: PortalWorld, client: Client
) -> None:
    """The choice is kept with when it was made, can be changed, and is one account's own."""
    assert "You have not chosen yet" in text_of(client.get(f"{RENT}/"))
    for _twice in range(2):
        answer = client.post(CHOICE, {"sent": "digital"}, follow=True)
        assert "Your choice is saved" in text_of(answer)
    assert "only here, in your account. You chose this on 1 June 2027, 9am." in text_of(answer)
    assert b'value="digital" checked' in client.get(CHOICE).content
    portal.clock.move_to(TUESDAY + timedelta(minutes=5))
    answer = client.post(CHOICE, {"sent": "paper"}, follow=True)
    assert "on paper, by post. You chose this on 1 June 2027, 9:05am." in text_of(answer)
    tessa = TenantAccount.objects.get(user__username=TESSA)
    assert list(StatementChoice.objects.values_list("account", "digital")) == [
        (tessa.pk, True),
        (tessa.pk, False),
    ]
    taran = signed_in(portal, TARAN)
    assert "You have not chosen yet" in text_of(taran.get(f"{RENT}/"))


@pytest.mark.parametrize("sent", ["", "pigeon", "\0"])
def test_no_choice_is_an_error(client: Client, sent: str) -> None:
    """The error says what to select, and nothing is kept."""
    answer = client.post(CHOICE, {"sent": sent})
    assert "Select how you want your statements" in text_of(answer)
    assert not StatementChoice.objects.exists()


def _page(client: Client, page: int = 1, **asked: str) -> Any:
    """Return a page of the home's entries that were asked for; days as in 1 4 2027."""
    sent = {"page": str(page)}
    for name, value in asked.items():
        if name == "kind":
            sent[name] = value
        else:
            sent |= _date(name, value)
    return client.get(f"{RENT}/{HOME}/", sent)


def _date(name: str, value: str) -> dict[str, str]:
    parts = value.split() or ["", "", ""]
    return {
        f"{name}_{part}": one for part, one in zip(("day", "month", "year"), parts, strict=True)
    }


def _days(first: str, last: str) -> dict[str, str]:
    return _date("first", first) | _date("last", last)


def _tags(node: Any) -> Any:
    """Give every element of a PDF's structure."""
    node = node.get_object()
    if not hasattr(node, "get"):
        return
    if "/S" in node:
        yield node
    kids = node.get("/K", [])
    for kid in kids if isinstance(kids, list) else [kids]:
        yield from _tags(kid)


def _text(reader: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())
