"""The council's pages: what they show, live, to whom, and in which language."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import set_up
from babel.messages.pofile import read_po
from council_payments import urls
from council_payments.landlord_payments import LANDLORD_PAYMENTS
from council_payments.models import CouncilAccount, Proof
from council_world import (
    CADI,
    CASEY,
    PAGES,
    PAYMENT,
    PROVE,
    answers,
    change,
    give_code,
    give_password,
    prove,
    signed_in,
    sql,
    stuck,
)
from demo_portal.middleware import LAST_SEEN
from demo_portal.records import PAGE
from django.conf import settings
from landlord_portal.models import User
from lxml import html  # type: ignore[import-untyped]
from sqlalchemy import create_engine
from test_languages import words_of
from test_pages import ADMINISTRATION
from test_pages import PAGES as LANDLORDS_PAGES

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

ENID = "enid.example"
BASE = "/council/landlord-payments"


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


def table_of(answer: Any) -> list[list[str]]:
    """Return the cells of a page's table, row by row."""
    return [
        [" ".join(cell.text_content().split()) for cell in row.xpath("./th | ./td")]
        for row in html.fromstring(answer.content).xpath("//main//tbody/tr")
    ]


# --- what they show -----------------------------------------------------------------------------


def test_summary_shows_who_and_the_most_recent_payment(portal: PortalWorld) -> None:
    """Contact, address and the last payment with its sums; a single reference is shown at once."""
    client = signed_in(portal)
    proof = prove(client)
    answer = client.get("/council/", follow=True)
    assert answer.redirect_chain[-1][0] == f"{BASE}/{proof}/"
    said = text_of(answer)
    for part in (
        "Acme Homes Ltd.",
        "7000123",
        "Enid Example",
        "01632 960001",
        "payments@acme.example",
        "27 May 2027",
        "Bank transfer (BACS)",
        "£" + f"{Decimal(answers()['amount']):,}",
    ):
        assert part in said
    assert "do not add up" not in said


def test_several_references_are_listed(portal: PortalWorld) -> None:
    """An account proves one after the other and picks from a list; one may have gone meanwhile."""
    client = signed_in(portal)
    proofs = [prove(client, reference) for reference in ("7000123", "7000456")]
    assert table_of(client.get(f"{BASE}/")) == [
        ["7000123", "Acme Homes Ltd."],
        ["7000456", "Acme Supported Living"],
    ]
    change(sql.creditors.delete().where(sql.creditors.c.reference == "7000456"))
    assert table_of(client.get(f"{BASE}/"))[1] == ["7000456", "No longer in the council's records"]
    assert client.get(f"{BASE}/{proofs[1]}/").status_code == 404
    assert client.get(f"{BASE}/{proofs[0]}/").status_code == 200


def test_what_changes_there_shows_at_the_next_page(portal: PortalWorld) -> None:
    """Nothing is kept of the back office: a new payment and a new address are there at once."""
    client = signed_in(portal)
    proof = prove(client)
    client.get(f"{BASE}/{proof}/")
    change(
        sql.creditors.update().values(address="9 New Street\nExampleton"),
        sql.payments.insert().values(
            number="NEW-1", creditor="7000123", paid_on=date(2027, 6, 1), method="bacs", pence=12345
        ),
        sql.lines.insert().values(
            payment="NEW-1",
            line=1,
            claim_reference="HB1",
            claimant="Testy McSample",
            home="1 Mock Lane",
            period_from=date(2027, 5, 1),
            period_to=date(2027, 5, 31),
            gross_pence=12500,
            overpayment_recovery_pence=155,
            other_deductions_pence=0,
            net_pence=12345,
        ),
    )
    said = text_of(client.get(f"{BASE}/{proof}/"))
    assert "9 New Street" in said
    assert "payment NEW-1" in said
    assert "£123.45" in said
    assert "do not add up" not in said


def test_creditor_without_payments(portal: PortalWorld) -> None:
    """A creditor that is proved and was never paid since has a page all the same."""
    client = signed_in(portal)
    proof = prove(client)
    change(sql.lines.delete(), sql.payments.delete())
    assert "There are no payments yet." in text_of(client.get(f"{BASE}/{proof}/"))
    assert table_of(client.get(f"{BASE}/{proof}/payments/")) == []


def search(client: Client, path: str, **sent: Any) -> Any:
    """Send a search."""
    return client.post(path, sent)


def test_every_payment_page_by_page(portal: PortalWorld) -> None:
    """All of them, newest first, once each."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/"
    rows = table_of(client.get(path))
    assert len(rows) == PAGE
    assert rows[0][:3] == [PAYMENT, "27 May 2027", "Bank transfer (BACS)"]
    for page in (2, 3):
        rows += table_of(search(client, path, page=page))
    assert [row[0] for row in rows] == [f"7000123-{n:04d}" for n in range(60, 0, -1)]
    assert "60 found. Page 3 of 3" in text_of(search(client, path, page=99))
    assert table_of(search(client, path, page="0")) == rows[:PAGE]


def day(box: str, number: int) -> dict[str, str]:
    """Return a day in April as it is typed."""
    return {f"{box}_day": str(number), f"{box}_month": "4", f"{box}_year": "2027"}


@pytest.mark.parametrize(
    ("sent", "numbers"),
    [
        ({"words": "-0060"}, ["60"]),
        ({"words": " 7000123-001 "}, [str(n) for n in range(19, 9, -1)]),
        ({"words": "%"}, []),
        ({"words": "_"}, []),
        ({"words": "' OR 1=1 --"}, []),
        ({"words": "HB0"}, []),
        (
            day("since", 1) | day("until", 29),
            ["59", "58"],
        ),
    ],
)
def test_payments_are_searched(
    portal: PortalWorld, sent: dict[str, str], numbers: list[str]
) -> None:
    """By part of the number and by days, both included; a sign of SQL's is only a sign."""
    client = signed_in(portal)
    rows = table_of(search(client, f"{BASE}/{prove(client)}/payments/", **sent))
    assert [row[0].removeprefix("7000123-").lstrip("0") for row in rows] == numbers


def test_payments_are_searched_by_claim(portal: PortalWorld) -> None:
    """The payments that hold a claim are found by its whole reference."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/"
    change(
        sql.lines.update()
        .where(sql.lines.c.payment.in_(["7000123-0003", "7000789-0003"]), sql.lines.c.line == 2)
        .values(claim_reference="HB777")
    )
    assert [row[0] for row in table_of(search(client, path, words="HB777"))] == ["7000123-0003"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"since_day": "31", "since_month": "2", "since_year": "2027"}, "must be a real date"),
        ({"until_day": "1"}, "must be a real date"),
        (
            day("since", 2) | day("until", 1),
            "must not be before the first",
        ),
    ],
)
def test_days_that_are_none_are_said(portal: PortalWorld, sent: dict[str, str], said: str) -> None:
    """The error stands in the summary, and everything is still listed."""
    client = signed_in(portal)
    answer = search(client, f"{BASE}/{prove(client)}/payments/", **sent)
    assert said in html.fromstring(answer.content).xpath(
        "string(//div[contains(@class, 'error-summary')])"
    )
    assert len(table_of(answer)) == PAGE


def test_lines_add_up_to_the_penny(portal: PortalWorld) -> None:
    """The lines on all pages come to the sums above them, and those to what was paid."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/{PAYMENT}/"
    first = client.get(path)
    rows = table_of(first) + table_of(search(client, path, page=2))
    assert len(rows) == 30
    sums = [sum(money(row[column]) for row in rows) for column in (4, 5, 6, 7)]
    assert all(money(r[4]) - money(r[5]) - money(r[6]) == money(r[7]) for r in rows)
    values = [
        " ".join(value.text_content().split())
        for value in html.fromstring(first.content).xpath("//dd")
    ]
    assert [money(value) for value in values[4:]] == sums
    assert money(values[0]) == sums[3] == Decimal(answers()["amount"])
    assert rows[1][:4] == [
        "HB100001",
        "Samply Testington",
        "2 Mock Lane, Exampleton",
        "29 April 2027 to 26 May 2027",
    ]


def money(text: str) -> Decimal:
    """Return the amount that a page shows."""
    return Decimal(text.replace("£", "").replace(",", ""))


@pytest.mark.parametrize("column", ["gross_pence", "net_pence", "other_deductions_pence"])
def test_lines_that_do_not_add_up_are_said(portal: PortalWorld, column: str) -> None:
    """A single penny too much in one line puts a warning above them all."""
    client = signed_in(portal)
    proof = prove(client)
    change(
        sql.lines.update()
        .where(sql.lines.c.payment == PAYMENT, sql.lines.c.line == 3)
        .values({column: sql.lines.c[column] + 1})
    )
    for path in (f"{BASE}/{proof}/", f"{BASE}/{proof}/payments/{PAYMENT}/"):
        assert "do not add up" in text_of(client.get(path))


@pytest.mark.parametrize(
    ("words", "found"),
    [("mcsample", 6), ("HB100003", 1), ("3 mock testington", 0), ("mock samply", 6), ("%", 0)],
)
def test_lines_are_searched(portal: PortalWorld, words: str, found: int) -> None:
    """By words of claim, claimant and property, whatever their case; all of them must be there."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/{PAYMENT}/"
    assert len(table_of(search(client, path, words=words))) == found


# --- to whom ------------------------------------------------------------------------------------


def addresses(proof: int, number: str) -> list[str]:
    """Return every address about one creditor, from the map of addresses itself."""
    found = [
        "/council/"
        + str(entry.pattern).replace("<int:proof>", str(proof)).replace("<str:number>", number)
        for entry in urls.urlpatterns
        if "<int:proof>" in str(entry.pattern)
    ]
    assert len(found) == 4
    return found


@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_sees_what_another_proved(portal: PortalWorld, method: str) -> None:
    """Another's proof, or another's payment under one's own proof, is not there."""
    theirs, client = prove(signed_in(portal, CASEY)), signed_in(portal, CADI)
    own = prove(client, "7000789")
    for path in addresses(theirs, PAYMENT):
        assert getattr(client, method)(path).status_code == 404, path
    for path in addresses(own, PAYMENT)[2:]:
        answer = getattr(client, method)(path)
        assert answer.status_code == (405 if (method, path[-3:]) == ("post", "csv") else 404), path
    for path in addresses(own, "7000789-0060"):
        with closing(client.get(path)) as answer:
            assert answer.status_code == 200, path


def test_another_accounts_ids_are_all_refused(portal: PortalWorld) -> None:
    """Every id of a proof and every payment's number, tried as somebody else, shows nothing."""
    casey, client = signed_in(portal, CASEY), signed_in(portal, CADI)
    proofs = [prove(casey), prove(casey, "7000456")]
    own = prove(client, "7000789")
    engine = create_engine(settings.PORTAL_BACK_OFFICE)
    with engine.connect() as connection:
        numbers = connection.execute(
            sql.select(sql.payments.c.number).where(sql.payments.c.creditor != "7000789")
        ).scalars()
        for number in [*numbers][::10]:
            for path in addresses(own, number)[2:]:
                assert client.get(path).status_code == 404
    engine.dispose()
    for proof in range(own + 3):
        status = client.get(f"{BASE}/{proof}/").status_code
        assert status == (200 if proof == own else 404)
    assert own not in proofs


def test_proofs_of_another_service_open_nothing(portal: PortalWorld) -> None:
    """A proof is of one service: another's does not count for this one."""
    client = signed_in(portal)
    proof = prove(client)
    Proof.objects.update(service="another")
    assert client.get(f"{BASE}/{proof}/").headers["Location"].startswith(PROVE)
    assert LANDLORD_PAYMENTS.slug != "another"


@pytest.mark.parametrize("who", [ENID, "portal.administrator", "Acme Homes Automation 1"])
def test_users_of_the_landlord_portal_are_nobody_here(portal: PortalWorld, who: str) -> None:
    """Whoever is signed in there is refused here, bots included."""
    proof = prove(signed_in(portal))
    client = portal.client(who)
    for path in ["/council/", *(path.format(proof=proof) for path in PAGES)]:
        answer = client.get(path)
        assert answer.status_code == 403, path
        assert b"Acme Homes Ltd" not in answer.content


def test_councils_users_are_nobody_in_the_landlord_portal(portal: PortalWorld) -> None:
    """Whoever is signed in here is refused there."""
    client = signed_in(portal)
    for path in [*LANDLORDS_PAGES, *ADMINISTRATION]:
        address = portal.fill(path) if "{" in path else path
        assert client.get(address).status_code == 403, path


def test_each_system_signs_its_own_users_in(portal: PortalWorld) -> None:
    """One's password is wrong at the other's door, and no code is sent."""
    sent = len(portal.messages)
    wrong = b"The user name or the password is wrong"
    assert wrong in give_password(portal, portal.client(), ENID).content
    assert wrong in portal.give_password(portal.client(), CASEY).content
    assert len(portal.messages) == sent


def test_bots_stay_out(portal: PortalWorld) -> None:
    """An automation account is let in by neither door nor session, even with an account here."""
    client = signed_in(portal)
    proof = prove(client)
    User.objects.filter(username=CASEY).update(kind=User.Kind.AUTOMATION)
    for path in PAGES:
        assert client.get(path.format(proof=proof)).status_code == 403
    wrong = b"The user name or the password is wrong"
    assert wrong in give_password(portal, portal.client(), CASEY).content


def test_account_that_is_removed_is_nobody(portal: PortalWorld) -> None:
    """Without an account the same session gets nothing, and its proofs are gone."""
    client = signed_in(portal)
    proof = prove(client)
    CouncilAccount.objects.all().delete()
    assert client.get(f"{BASE}/{proof}/").status_code == 403
    assert not Proof.objects.exists()


def test_strangers_sign_in_here_and_come_back(portal: PortalWorld) -> None:
    """A page leads to the council's own door, and from there back to the page."""
    proof = prove(signed_in(portal))
    client = portal.client()
    path = f"{BASE}/{proof}/"
    sign_in = client.get(path).headers["Location"]
    assert sign_in == f"/council/sign-in/?next={path}"
    give_password(portal, client, CASEY)
    answer = give_code(portal, client, sign_in.removeprefix("/council/sign-in/"))
    page = html.fromstring(client.get(answer.headers["Location"]).content)
    assert page.xpath("//main//a/@href") == [path]
    assert page.xpath("//title/text()") == [
        "Welcome back \N{EN DASH} Demonstration council: landlord payments"
    ]


def test_idle_user_comes_back_here(portal: PortalWorld) -> None:
    """After a time-out the council's own door asks again."""
    client = signed_in(portal)
    client.get(f"{BASE}/")
    session = client.session
    session[LAST_SEEN] -= settings.PORTAL_IDLE_SECONDS + 1
    session.save()
    answer = client.get(f"{BASE}/")
    expected = "/council/sign-in/?next=%2Fcouncil%2Flandlord-payments%2F&idle=1"
    assert answer.headers["Location"] == expected


def test_signing_out_ends_at_the_councils_door(portal: PortalWorld) -> None:
    """The session is over."""
    client = signed_in(portal)
    assert client.post("/council/sign-out/").headers["Location"] == "/council/sign-in/"
    assert client.get(f"{BASE}/").headers["Location"].startswith("/council/sign-in/")


def test_passwords_are_not_guessed_here_either(portal: PortalWorld) -> None:
    """Five wrong passwords lock the user's name, at this door as at the other."""
    step = {"council_sign_in-current_step": "auth", "auth-username": CASEY}
    for _ in range(5):
        answer = portal.client().post("/council/sign-in/", step | {"auth-password": "wrong"})
    assert answer.status_code == 429
    assert give_password(portal, portal.client(), CASEY).status_code == 429


# --- when the back office does not answer -------------------------------------------------------


def test_what_was_sent_without_answers_is_sent_again(portal: PortalWorld) -> None:
    """Whatever was posted is posted again, even if there is nothing in it; some pages want it."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/"
    with stuck():
        page = html.fromstring(client.post(path).content)
    assert page.xpath("//main//form[@method='post']//button/text()")


@pytest.mark.parametrize("path", [path for path in PAGES if path != PROVE])
def test_slow_back_office_gives_a_clear_page(portal: PortalWorld, path: str) -> None:
    """Within its time the page says what is wrong and leads back to itself; then all is as was."""
    client = signed_in(portal)
    proof = prove(client)
    if path == f"{BASE}/":
        prove(client, "7000456")
    address = path.format(proof=proof)
    with stuck():
        answer = client.get(address)
    assert answer.status_code == 503
    assert "Nothing that you entered is lost" in text_of(answer)
    assert html.fromstring(answer.content).xpath("//main//a/@href") == [address]
    assert client.get(address).status_code == 200


def test_search_survives_a_slow_back_office(portal: PortalWorld) -> None:
    """What was searched for is sent again by one button."""
    client = signed_in(portal)
    path = f"{BASE}/{prove(client)}/payments/{PAYMENT}/"
    with stuck():
        answer = search(client, path, words="mcsample")
    page = html.fromstring(answer.content)
    assert page.xpath("//main//input[@name='words']/@value") == ["mcsample"]
    assert page.xpath("//main//form[not(@action)]/@method") == ["post"]


def test_missing_back_office_is_not_made(portal: PortalWorld) -> None:
    """A database that is gone is not taken for an empty one, and none is put in its place."""
    client = signed_in(portal)
    proof = prove(client)
    path = portal.home / "back_office.sqlite3"
    path.unlink()
    assert client.get(f"{BASE}/{proof}/").status_code == 503
    assert not path.exists()


def test_log_does_not_say_what_was_asked(
    portal: PortalWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure is on the log by its kind; whom it was about is not."""
    client = signed_in(portal)
    sent = answers()
    with stuck(), caplog.at_level("DEBUG"):
        client.post(PROVE, sent)
    said = caplog.text
    assert "the records failed: OperationalError" in said
    assert not [word for word in [*sent.values(), CASEY] if word in said]


# --- in which language --------------------------------------------------------------------------


def every_page(portal: PortalWorld, lang: str) -> dict[str, Any]:
    """Return every page in a language, errors and failures included."""
    stranger, client = portal.client(), signed_in(portal)
    for one in (stranger, client):
        one.cookies["django_language"] = lang
    proof = prove(client)
    Proof.objects.exclude(pk=proof).delete()
    paths = [path.format(proof=proof) for path in PAGES]
    pages = {
        "sign-in": stranger.get("/council/sign-in/"),
        "sign-out": client.get("/council/sign-out/"),
        "nowhere": client.get("/council/nowhere/"),
        "empty": client.post(PROVE),
        "malformed": client.post(PROVE, {"reference": "!", "payee": "x", "amount": "x"}),
        "wrong": client.post(PROVE, answers(amount="1.00")),
        "dates": client.post(paths[3], {"since_day": "99", "until_day": "x"}),
        "added": client.get(PROVE),
        **{path: client.get(path) for path in paths[1:]},
    }
    prove(client, "7000456")
    pages["list"] = client.get(paths[0], follow=True)
    with stuck(0.05):
        pages["unavailable"] = client.get(paths[2])
        pages["unavailable 2"] = client.post(PROVE, {**answers_kept(), "payee": "x"})
    for _ in range(6):
        pages["locked"] = client.post(PROVE, answers(amount="1.00"))
    change(sql.payments.update().values(pence=1))
    pages["wrong sums"] = client.get(paths[2])
    return pages


def answers_kept() -> dict[str, str]:
    """Return answers for when the back office cannot be asked for right ones."""
    return {"reference": "7000123", "amount": "1.00"}


def data() -> set[str]:
    """Return every text of the back office."""
    engine = create_engine(settings.PORTAL_BACK_OFFICE)
    with engine.connect() as connection:
        found = {
            part
            for table in (sql.creditors, sql.payments, sql.lines)
            for row in connection.execute(table.select())
            for value in row
            for part in str(value).split("\n")
        }
    engine.dispose()
    return found | {" ".join(text.split()) for text in found}


def test_no_english_is_left_on_welsh_pages(portal: PortalWorld) -> None:
    """What both languages' pages show alike is data, or the same word in both."""
    with set_up.CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="cy")
    alike = {message.id for message in catalogue if message.id == message.string}
    known = alike | data() | {"English", "Cymraeg"}
    english = every_page(portal, "en")
    Proof.objects.all().delete()
    from demo_portal.models import Tries

    Tries.objects.all().delete()
    change(sql.payments.update().values(pence=12345))
    welsh = every_page(portal, "cy")
    assert [page.status_code for page in english.values()] == [
        page.status_code for page in welsh.values()
    ]
    for name, other in zip(english, welsh, strict=True):
        page = html.fromstring(welsh[other].content)
        assert page.get("lang") == "cy"
        both = words_of(html.fromstring(english[name].content)) & words_of(page)
        left = {text for text in both - known if re.search(r"[a-z]{3}", text)}
        assert left == set(), name
    assert "27 Mai 2027" in welsh["wrong sums"].content.decode()
