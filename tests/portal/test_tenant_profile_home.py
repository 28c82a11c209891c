"""The dashboard, tenancies and documents: what they show, to whom, and in which language."""

from __future__ import annotations

import io
import re
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pypdf
import pytest
import set_up
from babel.messages.pofile import read_po
from council_world import CASEY
from council_world import signed_in as council_signed_in
from demo_portal.records import RecordsUnavailableError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from lxml import html  # type: ignore[import-untyped]
from sqlalchemy import create_engine, select
from tenant_services.contact.models import TenantNotice
from tenant_services.contact.notices import shown_to
from tenant_services.models import TenantAccount
from tenant_services.profile import customers_sql as sql
from tenant_services.profile import urls
from tenant_services.profile.customers import customer_directory
from tenant_services.profile.example_data import CUSTOMERS, documents, tenancies
from tenant_services.repairs import overview as repairs
from tenant_world import (
    FORMER,
    GARAGE,
    HOME,
    REGISTER,
    STELLA,
    TARAN,
    TARANS,
    TESSA,
    begin,
    change_customers,
    confirm_telephone,
    contacts,
    outbox,
    signed_in,
    stuck_customers,
)
from test_languages import words_of
from test_pages import ADMINISTRATION
from test_pages import PAGES as LANDLORDS_PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]

LANDLORDS = ["enid.example", "sam.sampleson", "portal.administrator"]


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


def download(client: Client, tenancy: str, number: int) -> Any:
    """Ask for a document."""
    return client.get(f"/my-home/tenancies/{tenancy}/documents/{number}/")


# --- what they show -------------------------------------------------------------------------------


def test_dashboard_shows_every_tenancy_and_every_pillar(portal: PortalWorld) -> None:
    """Those that go on and those that ended, each a link; a card for rent, repairs, notices."""
    page = html.fromstring(signed_in(portal).get("/my-home/").content)
    assert page.xpath("string(//h1)") == "Hello, Tessa Testington"
    links = page.xpath("//main//a/@href")
    assert [f"/my-home/tenancies/{one}/" for one in (GARAGE, HOME, FORMER)] == links[:3]
    assert {"/my-home/rent/", "/my-home/repairs/", "/my-home/notices/"} <= set(links)
    headings = [heading.text_content() for heading in page.xpath("//main//h2")]
    assert headings[:2] == ["What you rent", "What you rented before"]


def test_tenancy_has_a_page(portal: PortalWorld) -> None:
    """What it is, where, since when and until when, also when it ended."""
    client = signed_in(portal)
    said = text_of(client.get(f"/my-home/tenancies/{HOME}/"))
    for part in ("General needs home", "1 Sample Court", HOME, "EX99 9AA", "Sample Court"):
        assert part in said
    assert "Ended on" not in said
    assert "Ended on" in text_of(client.get(f"/my-home/tenancies/{FORMER}/"))
    garage = text_of(client.get(f"/my-home/tenancies/{GARAGE}/"))
    assert "There are no documents yet." in garage


def test_what_changes_in_the_directory_shows_at_the_next_page(portal: PortalWorld) -> None:
    """Nothing of the directory is kept: a tenancy that is taken away is gone at once."""
    client = signed_in(portal)
    client.get("/my-home/")
    change_customers(
        sql.customers.update().where(sql.customers.c.reference == "P1001").values(name="Tess Two"),
        sql.tenants.delete().where(sql.tenants.c.tenancy == GARAGE),
    )
    page = text_of(client.get("/my-home/"))
    assert "Hello, Tess Two" in page
    assert "Garage 7" not in page
    assert client.get(f"/my-home/tenancies/{GARAGE}/").status_code == 404


def test_pillar_that_is_down_does_not_take_the_others_along(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its card says so; everything else is there. Without the directory there is the clear page."""
    client = signed_in(portal)

    def down(*_args: object) -> None:
        raise RecordsUnavailableError

    monkeypatch.setattr(repairs, "card", down)
    answer = client.get("/my-home/")
    assert answer.status_code == 200
    assert "This cannot be shown at the moment" in text_of(answer)
    assert "1 Sample Court" in text_of(answer)
    with stuck_customers():
        assert client.get("/my-home/").status_code == 503
        assert client.get(f"/my-home/tenancies/{HOME}/").status_code == 503
        assert download(client, HOME, 1).status_code == 503
    assert client.get("/my-home/").status_code == 200


def test_documents_come_as_they_are_and_are_kept_not_shown(portal: PortalWorld) -> None:
    """The exact bytes, as an attachment, with a name in the user's language."""
    client = signed_in(portal)
    [agreement] = [d for d in documents() if (d["tenancy"], d["number"]) == (HOME, 1)]
    for lang, name in (("en", "tenancy-agreement"), ("cy", "cytundeb-tenantiaeth")):
        client.cookies["django_language"] = lang
        with closing(download(client, HOME, 1)) as answer:
            assert answer.getvalue() == agreement["content"]
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}.pdf"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Length"] == str(len(agreement["content"]))
        assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("media_type", "title", "sent", "name"),
    [
        ("text/html", "A page", "application/octet-stream", 'filename="a-page.bin"'),
        ("image/svg+xml", "x", "application/octet-stream", 'filename="x.bin"'),
        ("TEXT/PLAIN; charset=utf-8", "x", "text/plain", 'filename="x.txt"'),
        ("text/plain\r\nSet-Cookie: a=b", "x", "application/octet-stream", 'filename="x.bin"'),
        ("", '"; filename="../../etc/passwd', "application/octet-stream", "filenameetcpasswd.bin"),
        ("application/pdf", "../../", "application/pdf", 'filename="77.pdf"'),
        (
            "application/pdf",
            "Tŷ Ŵyn\r\nX: y",
            "application/pdf",
            "filename*=utf-8''t%C5%B7-%C5%B5yn",
        ),
    ],
)
def test_hostile_documents_are_only_bytes(
    portal: PortalWorld, media_type: str, title: str, sent: str, name: str
) -> None:
    """Whatever the directory says that a file is and is called, a browser runs none of it."""
    content = b"<script>alert(1)</script>"
    change_customers(
        sql.documents.insert().values(
            tenancy=HOME,
            number=77,
            title_en=title,
            title_cy=title,
            added_on=portal.clock.now().date(),
            media_type=media_type,
            content=content,
        )
    )
    client = signed_in(portal)
    with closing(download(client, HOME, 77)) as answer:
        assert answer.getvalue() == content
    assert answer.headers["Content-Type"].partition(";")[0] == sent
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment; ")
    assert name in disposition
    assert ".." not in disposition
    page = html.fromstring(client.get(f"/my-home/tenancies/{HOME}/").content)
    assert page.xpath("//main//script") == []


def test_example_documents_are_tagged_and_in_the_catalogue(portal: PortalWorld) -> None:
    """The made-up agreement is a PDF with a title, a language and tags that readers understand."""
    for document in documents():
        if document["media_type"] == "application/pdf":
            reader = pypdf.PdfReader(io.BytesIO(document["content"]), strict=True)
            root: Any = reader.trailer["/Root"]
            assert root["/MarkInfo"]["/Marked"]
            assert root["/Lang"] == "en-GB"
            kids = root["/StructTreeRoot"]["/K"]["/K"]
            assert [kid.get_object()["/S"] for kid in kids] == ["/H1", "/P", "/P", "/P"]
            assert reader.metadata is not None
            assert reader.metadata.title == document["title_en"]
            assert document["tenancy"] in reader.pages[0].extract_text()
        else:
            assert "llawlyfr" in document["content"].decode()


def notices_link(answer: Any) -> str:
    """Return what the link to the notices is called."""
    [link] = html.fromstring(answer.content).xpath("//nav//li/a[@href='/my-home/notices/']")
    return " ".join(link.text_content().split())


def test_unread_notices_are_counted_on_every_page(portal: PortalWorld) -> None:
    """In both languages, also on pages that say no; whoever has read them all sees no number."""
    client = signed_in(portal)
    paths = ("/my-home/", "/my-home/your-details/", "/my-home/contact/", "/my-home/nowhere/")
    account = TenantAccount.objects.get(user__username=TESSA)
    notices = shown_to(customer_directory().tenancies(account.person))
    for left in range(len(notices), -1, -1):
        for lang, called in (
            ("en", f"Notices ({left} unread)" if left else "Notices"),
            ("cy", f"Hysbysiadau ({left} heb e" if left else "Hysbysiadau"),
        ):
            client.cookies["django_language"] = lang
            for path in paths if left in (0, 1, len(notices)) else paths[:1]:
                assert notices_link(client.get(path)).startswith(called), path
        if left:
            client.get(f"/my-home/notices/{notices[left - 1].pk}/")
    assert notices_link(client.get("/my-home/")) == "Hysbysiadau"


def test_counting_unread_notices_costs_one_query(portal: PortalWorld) -> None:
    """However many there are; the directory is asked once a page, and not if nothing is new."""
    client = signed_in(portal)
    asked: list[str] = []
    usual = sql.SqlCustomerDirectory.tenancies

    def listen(self: Any, person: str) -> Any:
        asked.append(person)
        return usual(self, person)

    with patch.object(sql.SqlCustomerDirectory, "tenancies", listen):
        for path in ("/my-home/rent/", "/my-home/your-details/"):
            asked.clear()
            with CaptureQueriesContext(connection) as queries:
                client.get(path)
            assert asked == ["P1001"]
            assert sum("read_by" in query["sql"] for query in queries) == 1
        account = TenantAccount.objects.get(user__username=TESSA)
        account.notices_read.add(*TenantNotice.objects.all())
        asked.clear()
        client.get("/my-home/your-details/")
    assert asked == []


def test_directory_that_is_down_is_waited_for_once(portal: PortalWorld) -> None:
    """A page that needs no directory is there without the number; none waits twice to say sorry."""
    client = signed_in(portal)
    with stuck_customers(0.5):
        for path, status in (
            ("/my-home/contact/message/", 200),
            ("/my-home/", 503),
            (f"/my-home/tenancies/{HOME}/", 503),
        ):
            began = time.monotonic()
            answer = client.get(path)
            assert time.monotonic() - began < 0.95, path
            assert answer.status_code == status
            assert notices_link(answer) == "Notices"


# --- to whom --------------------------------------------------------------------------------------


def every_address(tenancy: str, number: int) -> list[str]:
    """Return every address of the pillar, from the map of addresses itself."""
    parts = {
        "<str:tenancy>": tenancy,
        "<int:number>": str(number),
        "<str:token>": "x",
        "<str:uidb64>": "MQ",
        "<str:kind>": "email",
    }
    found = []
    for entry in urls.urlpatterns:
        path = str(entry.pattern)
        for part, value in parts.items():
            path = path.replace(part, value)
        found.append(f"/my-home/{path}")
    assert not [path for path in found if "<" in path]
    return found


def test_nobody_opens_anothers_tenancy_or_document(portal: PortalWorld) -> None:
    """Every tenancy and document there is, tried by each tenant: their own or not there."""
    engine = create_engine(f"sqlite:///{portal.home / 'customers.sqlite3'}")
    with engine.connect() as connection:
        references = set(connection.execute(select(sql.tenancies.c.reference)).scalars())
        papers = connection.execute(select(sql.documents.c.tenancy, sql.documents.c.number)).all()
    engine.dispose()
    assert (len(references), len(papers)) == (5, 5)
    for username, own in ((TESSA, {HOME, GARAGE, FORMER}), (TARAN, {TARANS})):
        client = signed_in(portal, username)
        for reference in references | {"T-999999", "%00", "%25", "'", "t-100001"}:
            status = client.get(f"/my-home/tenancies/{reference}/").status_code
            assert status == (200 if reference in own else 404), reference
        for tenancy, number in papers:
            with closing(download(client, tenancy, number)) as answer:
                assert answer.status_code == (200 if tenancy in own else 404)
        for number in (0, 99, 2**31, 2**63, 10**30):
            assert download(client, next(iter(own)), number).status_code == 404


def test_account_of_nobody_shows_nothing(portal: PortalWorld) -> None:
    """An account whose person is another shows what that person rents, and nothing from before."""
    TenantAccount.objects.filter(person="P1001").update(person="P9999")
    client = signed_in(portal)
    assert client.get(f"/my-home/tenancies/{HOME}/").status_code == 404


def test_staff_are_led_to_the_notices(portal: PortalWorld) -> None:
    """Who publishes notices begins there, and sees no tenant's pages."""
    client = signed_in(portal, STELLA)
    assert client.get("/my-home/").headers["Location"] == "/my-home/staff/notices/"
    for path in ("/my-home/your-details/", f"/my-home/tenancies/{HOME}/"):
        assert client.get(path).status_code == 403


@pytest.mark.parametrize("username", LANDLORDS)
def test_users_of_the_landlord_portal_are_nobody_here(portal: PortalWorld, username: str) -> None:
    """Signed in there, they see nothing here, and send nothing."""
    client = portal.client(username)
    for path in every_address(HOME, 1):
        for send in (client.get, client.post):
            status = send(path).status_code
            open_page = "/register/" in path or "/forgotten-password/" in path
            assert status in ({302, 404, 200, 405} if open_page else {403}), path
    assert client.get(REGISTER).headers["Location"] == "/my-home/"


def test_the_councils_users_are_nobody_here(portal: PortalWorld) -> None:
    """An account of the council's opens no page of tenant services."""
    client = council_signed_in(portal, CASEY)
    for path in ("/my-home/", f"/my-home/tenancies/{HOME}/", "/my-home/your-details/"):
        assert client.get(path).status_code == 403


def test_tenants_are_nobody_elsewhere(portal: PortalWorld) -> None:
    """A tenant, and somebody of the staff, see nothing of the other two systems."""
    for username in (TESSA, STELLA):
        client = signed_in(portal, username)
        for path in [*LANDLORDS_PAGES, *ADMINISTRATION, "/council/"]:
            assert client.get(portal.fill(path)).status_code == 403, path


def test_changing_needs_a_post_with_its_token(portal: PortalWorld) -> None:
    """Another site makes a tenant's browser change nothing."""
    strict = Client(enforce_csrf_checks=True, HTTP_HOST="localhost")
    strict.cookies = signed_in(portal).cookies
    for path in every_address(HOME, 1):
        assert strict.post(path).status_code in (403, 405, 404), path
    assert signed_in(portal).get("/my-home/your-details/email/cancel/").status_code == 405


# --- in which language ----------------------------------------------------------------------------


def every_page(portal: PortalWorld, outbox: Outbox, lang: str) -> Iterator[tuple[str, Any]]:
    """Give every page of the pillar in a language, and what is wrong with its forms when empty."""
    client = signed_in(portal)
    client.cookies["django_language"] = lang
    for path in ("/my-home/", f"/my-home/tenancies/{HOME}/", f"/my-home/tenancies/{FORMER}/"):
        yield path, client.get(path)
    details = "/my-home/your-details/"
    secret = "only for the demonstration"
    for kind, value in (("telephone", "07700 900888"), ("email", "new@people.example")):
        yield f"{kind}", client.get(f"{details}{kind}/")
        yield f"{kind} empty", client.post(f"{details}{kind}/")
        sent = {"value": value, "password": secret}
        yield f"{kind} wrong password", client.post(f"{details}{kind}/", sent | {"password": "x"})
        client.post(f"{details}{kind}/", sent)
    yield "code", client.get(f"{details}telephone/confirm/")
    yield "code wrong", client.post(f"{details}telephone/confirm/", {"code": "12"})
    yield "waiting", client.get(details)
    yield "link", client.get(outbox.link("new@people.example"))
    yield "cancelled", client.post(f"{details}telephone/cancel/", follow=True)
    client.post(f"{details}email/cancel/")
    stranger = portal.client()
    stranger.cookies["django_language"] = lang
    for path in ("sign-in/", "forgotten-password/", "forgotten-password/sent/", "register/"):
        yield path, stranger.get(f"/my-home/{path}")
    yield "forgotten empty", stranger.post("/my-home/forgotten-password/")
    yield (
        "wrong password",
        stranger.post(
            "/my-home/sign-in/",
            {
                "tenant_sign_in-current_step": "auth",
                "auth-username": "nobody@people.example",
                "auth-password": "wrong",
            },
        ),
    )
    yield "who empty", stranger.post(REGISTER)
    yield "who wrong", begin(stranger, name="Somebody Else")
    begin(stranger)
    yield "contact", stranger.get(f"{REGISTER}contact/")
    yield "contact empty", stranger.post(f"{REGISTER}contact/")
    stranger.post(f"{REGISTER}contact/", contacts())
    yield "register code", stranger.get(f"{REGISTER}code/")
    confirm_telephone(portal, stranger)
    yield "register email", stranger.get(f"{REGISTER}email/")
    yield "confirm", stranger.get(outbox.link())
    yield "confirm wrong", stranger.post(outbox.link(), {"password": "x"})
    yield "dead link", stranger.get(f"{REGISTER}confirm/x/")
    yield "not opened", stranger.get(f"{REGISTER}not-opened/")


def test_no_english_is_left_on_welsh_pages(portal: PortalWorld, outbox: Outbox) -> None:
    """What both languages' pages show alike is data, or the same word in both."""
    with set_up.CATALOGUE.open("rb") as file:
        alike = {one.id for one in read_po(file, locale="cy") if one.id == one.string}
    known = alike | {"English", "Cymraeg", HOME, FORMER, "EX99 9AA", "Sample Court"}
    known |= {str(one["address"]) for one in tenancies()} | {str(one["name"]) for one in CUSTOMERS}
    known |= {str(one["email"]) for one in CUSTOMERS} | {"new@people.example"}
    english = dict(every_page(portal, outbox, "en"))
    portal.clock.move_to(portal.clock.now().replace(hour=12))
    welsh = dict(every_page(portal, outbox, "cy"))
    assert len(welsh) > 25
    for path, answer in welsh.items():
        assert answer.status_code == english[path].status_code, path
        page = html.fromstring(answer.content)
        assert page.get("lang") == "cy", path
        both = words_of(html.fromstring(english[path].content)) & words_of(page)
        left = {text for text in both - known if re.search(r"[a-z]{3}", text)}
        assert left == set(), path


def test_e_mails_and_messages_have_welsh(portal: PortalWorld, outbox: Outbox) -> None:
    """What goes to who asks is in their language; what goes to others is in both."""
    for lang in ("en", "cy"):
        client = portal.client()
        client.cookies["django_language"] = lang
        begin(client)
        with patch.object(portal.clock, "now", return_value=portal.clock.now()):
            confirm_telephone(portal, client, email=f"{lang}@people.example")
    texts = [text for _number, text in portal.messages]
    assert "is your code" in texts[0]
    assert "yw eich cod" in texts[1]
    assert "is your code" not in texts[1]
    subjects = [message.subject for message in outbox.sent]
    assert subjects == ["Confirm your email address", "Cadarnhau eich cyfeiriad e-bost"]
    assert "ŵ" not in subjects[0]
    assert outbox.sent[1].message().as_bytes().decode("utf-8", "replace").count("\n") > 5
