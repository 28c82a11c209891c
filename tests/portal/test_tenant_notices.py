"""Notices to tenants: who sees which, what is read, and how staff publish them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from contact_world import HOSTILE, at, at_once, page_of, text_of, token, without_directory
from demo_portal import clock
from hypothesis import given
from hypothesis import strategies as st
from lxml import html  # type: ignore[import-untyped]
from sqlalchemy import create_engine
from tenant_services.contact.audience import SqlAudience, audience
from tenant_services.contact.models import TenantNotice
from tenant_services.contact.notices import fits, shown_to, unread
from tenant_services.models import StaffAccount, TenantAccount
from tenant_services.profile import customers_sql as sql
from tenant_services.profile.customers import KINDS, Tenancy, customer_directory
from tenant_world import STELLA, TARAN, TESSA, signed_in

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

NOTICES = "/my-home/notices/"
STAFF = "/my-home/staff/notices/"
PUBLISH = f"{STAFF}publish/"
EVERYBODY, GARAGES, WELSH = (
    "You can now do everything here",
    "Garage doors in Mock Lane",
    "Coffee morning at Llys Enghraifft",
)
WORDS = {
    "title_en": "Bins",
    "title_cy": "Biniau",
    "body_en": "On Monday.\r\nNot on Tuesday.",
    "body_cy": "Ddydd Llun.\r\nNid ddydd Mawrth.",
}
ASKED: dict[str, Any] = WORDS | {
    "token": "made-up",
    "whom": "every",
    "where": "every",
    "shown_from_day": "1",
    "shown_from_month": "6",
    "shown_from_year": "2027",
    "shown_until_day": "5",
    "shown_until_month": "6",
    "shown_until_year": "2027",
}


def make(**about: Any) -> TenantNotice:
    """Put a notice up."""
    made = {
        "title_en": "Title",
        "title_cy": "Teitl",
        "body_en": "Body",
        "body_cy": "Corff",
        "shown_from": clock.today(),
        "shown_until": clock.today(),
        "published_at": clock.now(),
        "published_by": StaffAccount.objects.get(),
        "once": str(TenantNotice.objects.count()),
    }
    return TenantNotice.objects.create(**made | about)


def titles(client: Client) -> list[str]:
    """Return the titles that a tenant sees."""
    links = page_of(client.get(NOTICES)).xpath(f"//main//a[starts-with(@href, '{NOTICES}')]")
    return [link.text_content() for link in links]


def account(person: str = "P1001") -> TenantAccount:
    """Return an account."""
    return TenantAccount.objects.get(person=person)


# --- who sees which -----------------------------------------------------------------------------

PLACES = ["Exampleton", "Trefesiampl", "Mockham"]
TENANCIES = st.builds(
    Tenancy,
    reference=st.just("T-1"),
    kind=st.sampled_from(list(KINDS)),
    address=st.just(""),
    postcode=st.just(""),
    locality=st.sampled_from(PLACES),
    building=st.just(""),
    began_on=st.just(date(2020, 1, 1)),
    ended_on=st.none() | st.just(date(2027, 1, 1)),
)
UNSAVED = st.builds(
    TenantNotice,
    kinds=st.lists(st.sampled_from(list(KINDS)), unique=True),
    localities=st.lists(st.sampled_from(PLACES), unique=True),
)


@given(UNSAVED, TENANCIES)
def test_notice_is_for_who_it_says(notice: TenantNotice, tenancy: Tenancy) -> None:
    """One and the same tenancy goes on, is of a kind and in a place; no kinds or places: all."""
    allowed = {
        (kind, place)
        for kind in notice.kinds or KINDS
        for place in notice.localities or PLACES
        if tenancy.ended_on is None
    }
    assert fits(notice, tenancy) == ((tenancy.kind, tenancy.locality) in allowed)
    assert not fits(notice, replace(tenancy, ended_on=date(2027, 5, 31)))


def test_notice_shows_on_its_days(portal: PortalWorld) -> None:
    """From the first day to the last, both included, unless it was withdrawn."""
    today, day = clock.today(), timedelta(days=1)
    for first, last in [(-2, -1), (-1, 0), (0, 0), (0, 1), (1, 2)]:
        days = {"shown_from": today + first * day, "shown_until": today + last * day}
        make(title_en=f"{first} to {last}", **days)
        make(title_en="Withdrawn", withdrawn_at=clock.now(), **days)
    seen = titles(signed_in(portal))
    assert [title for title in seen if " to " in title] == ["0 to 1", "0 to 0", "-1 to 0"]
    assert "Withdrawn" not in seen


def test_each_tenant_sees_what_fits(portal: PortalWorld) -> None:
    """By what they rent now: Tessa has a garage, Taran lives in sheltered housing."""
    tessa, taran = signed_in(portal, TESSA), signed_in(portal, TARAN)
    assert titles(tessa) == [GARAGES, EVERYBODY]
    assert titles(taran) == [WELSH, EVERYBODY]
    taran.cookies["django_language"] = "cy"
    assert titles(taran) == ["Bore coffi yn Llys Enghraifft", "Gallwch wneud popeth yma nawr"]
    assert unread(account("P1001"), customer_directory().tenancies("P1001")) == 2
    assert unread(account("P1002"), customer_directory().tenancies("P1002")) == 2


def test_notice_has_one_date(portal: PortalWorld) -> None:
    """The list and the page both say from when it shows, whenever it was written."""
    before = clock.now() - timedelta(days=9)
    notice = make(published_at=before)
    client = signed_in(portal)
    for path in (NOTICES, f"{NOTICES}{notice.pk}/"):
        text = text_of(client.get(path))
        assert "1 June 2027" in text
        assert "23 May 2027" not in text


def test_kind_and_place_must_be_the_same_tenancys(portal: PortalWorld) -> None:
    """A garage here and a home there make no garage there."""
    engine = create_engine(f"sqlite:///{portal.home / 'customers.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(
            sql.tenancies.update()
            .where(sql.tenancies.c.reference == "T-100002")
            .values(locality="Trefesiampl")
        )
    engine.dispose()
    assert titles(signed_in(portal)) == [EVERYBODY]


def test_notice_is_gone_when_nothing_fits_any_more(portal: PortalWorld) -> None:
    """Days pass, a tenancy ends, the notice is withdrawn: then it is not there, by any address."""
    tessa = signed_in(portal)
    notice = TenantNotice.objects.get(title_en=GARAGES)
    path = f"{NOTICES}{notice.pk}/"
    assert tessa.get(path).status_code == 200
    TenantNotice.objects.filter(pk=notice.pk).update(shown_until=date(2027, 5, 31))
    assert tessa.get(path).status_code == 404
    TenantNotice.objects.filter(pk=notice.pk).update(shown_until=date(2027, 6, 1))
    assert tessa.get(path).status_code == 200
    at(portal, "2027-06-01T23:59:59+01:00")
    assert tessa.get(path).status_code == 200
    at(portal, "2027-06-02T00:00:00+01:00")
    assert tessa.get(path).status_code == 404
    at(portal, "2027-06-01T12:00:00+01:00")
    TenantNotice.objects.filter(pk=notice.pk).update(withdrawn_at=clock.now())
    assert tessa.get(path).status_code == 404
    TenantNotice.objects.filter(pk=notice.pk).update(withdrawn_at=None)
    engine = create_engine(f"sqlite:///{portal.home / 'customers.sqlite3'}")
    with engine.begin() as connection:
        connection.execute(
            sql.tenancies.update()
            .where(sql.tenancies.c.reference == "T-100002")
            .values(ended_on=date(2027, 5, 1))
        )
    engine.dispose()
    assert tessa.get(path).status_code == 404
    assert titles(tessa) == [EVERYBODY]


def test_notice_is_for_nobody_else(portal: PortalWorld) -> None:
    """Another tenant's is not there; staff have pages of their own; others have none."""
    path = f"{NOTICES}{TenantNotice.objects.get(title_en=GARAGES).pk}/"
    assert signed_in(portal, TARAN).get(path).status_code == 404
    assert signed_in(portal, STELLA).get(path).status_code == 403
    assert portal.client("enid.example").get(path).status_code == 403
    assert portal.client().get(path).status_code == 302
    for number in (0, 10**18, 10**30):
        assert signed_in(portal, TESSA).get(f"{NOTICES}{number}/").status_code == 404
        assert signed_in(portal, STELLA).get(f"{STAFF}{number}/withdraw/").status_code == 404
    assert not TenantNotice.read_by.through.objects.exists()


# --- what is read -------------------------------------------------------------------------------


def test_what_was_opened_is_read(portal: PortalWorld) -> None:
    """The count goes down by one for the reader alone; looking at the list reads nothing."""
    tessa = signed_in(portal)
    rented = customer_directory().tenancies("P1001")
    assert "You have 2 notices to read" in text_of(tessa.get(NOTICES))
    assert "New" in text_of(tessa.get(NOTICES))
    path = f"{NOTICES}{TenantNotice.objects.get(title_en=EVERYBODY).pk}/"
    tessa.head(path)
    assert unread(account(), rented) == 2
    for _n in range(2):
        tessa.get(path)
    assert "You have 1 notice to read" in text_of(tessa.get(NOTICES))
    assert unread(account(), rented) == 1
    assert unread(account("P1002"), customer_directory().tenancies("P1002")) == 2
    tessa.get(f"{NOTICES}{TenantNotice.objects.get(title_en=GARAGES).pk}/")
    assert "You have read every notice" in text_of(tessa.get(NOTICES))
    assert [notice.title_en for notice in shown_to(rented)] == [GARAGES, EVERYBODY]


def test_notice_opened_twice_at_once_is_read_once(portal: PortalWorld) -> None:
    """Two windows are in nobody's way."""
    clients = [signed_in(portal) for _n in range(4)]
    path = f"{NOTICES}{TenantNotice.objects.get(title_en=EVERYBODY).pk}/"
    answers = at_once(*(lambda c=c: c.get(path) for c in clients))  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {200}
    assert TenantNotice.read_by.through.objects.count() == 1


def test_hostile_notice_is_only_words(portal: PortalWorld) -> None:
    """What staff wrote is shown, not run."""
    notice = make(title_en="<b>Bold</b>", body_en=HOSTILE)
    page = signed_in(portal).get(f"{NOTICES}{notice.pk}/")
    assert b"<script>alert" not in page.content
    assert "<b>Bold</b>" in text_of(page)


def test_without_the_directory_nobody_is_told_what_may_not_be_theirs(portal: PortalWorld) -> None:
    """Nothing is shown while nobody knows what the tenant rents; the page says so."""
    client = signed_in(portal)
    path = f"{NOTICES}{TenantNotice.objects.get(title_en=EVERYBODY).pk}/"
    with without_directory(portal):
        for page in (NOTICES, path):
            answer = client.get(page)
            assert answer.status_code == 503
            assert EVERYBODY.encode() not in answer.content
    assert client.get(path).status_code == 200


# --- publishing ---------------------------------------------------------------------------------


def test_notice_from_writing_to_reading(portal: PortalWorld) -> None:
    """Staff write it, look at it in both languages and at whom it reaches, and publish it."""
    stella, tessa, taran = (signed_in(portal, one) for one in (STELLA, TESSA, TARAN))
    page = page_of(stella.get(PUBLISH))
    assert page.xpath("//input[@name='localities']/@value") == ["Exampleton", "Trefesiampl"]
    assert page.xpath("//input[@name='kinds']/@value") == list(KINDS)
    sent = ASKED | {
        "token": token(stella, PUBLISH),
        "whom": "some",
        "kinds": ["general-needs", "garage"],
        "where": "some",
        "localities": ["Exampleton"],
    }
    checked = stella.post(PUBLISH, sent)
    said = text_of(checked)
    assert "Not on Tuesday" in said
    assert "Nid ddydd Mawrth" in said
    assert "General needs home, Garage" in said
    assert "3 tenancies" in said
    assert TenantNotice.objects.filter(title_en="Bins").count() == 0
    hidden = page_of(checked).xpath("//main//input[@type='hidden']")
    again: dict[str, list[str]] = {}
    for one in hidden:
        again.setdefault(one.get("name"), []).append(one.get("value"))
    changed = page_of(stella.post(PUBLISH, again | {"change": "1"}))
    assert changed.xpath("//input[@name='title_en']/@value") == ["Bins"]
    assert changed.xpath("//input[@name='kinds'][@checked]/@value") == ["general-needs", "garage"]
    for _n in range(2):
        done = stella.post(PUBLISH, again | {"publish": "1"})
        assert done.headers["Location"] == STAFF
    assert TenantNotice.objects.filter(title_en="Bins").count() == 1
    assert "Bins" in text_of(stella.get(STAFF))
    assert "Bins" in titles(tessa)
    assert "Bins" not in titles(taran)


def test_same_notice_at_the_same_time_is_one(portal: PortalWorld) -> None:
    """However often the button is pressed."""
    clients = [signed_in(portal, STELLA) for _n in range(3)]
    sent = ASKED | {"publish": "1"}
    at_once(*(lambda c=c: c.post(PUBLISH, sent) for c in clients))  # type: ignore[misc]
    assert TenantNotice.objects.filter(title_en="Bins").count() == 1


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"title_en": ""}, "title_en", "Enter the title in English"),
        ({"title_cy": " "}, "title_cy", "Enter the title in Welsh"),
        ({"body_en": ""}, "body_en", "Enter the text in English"),
        ({"body_cy": ""}, "body_cy", "Enter the text in Welsh"),
        ({"title_en": "x" * 201}, "title_en", "must be 200 characters or fewer"),
        ({"whom": ""}, "whom", "Select which tenants it is for"),
        ({"whom": "some"}, "kinds", "Select at least one kind of tenancy"),
        ({"whom": "some", "kinds": "dragons"}, "kinds", "Select one of the answers"),
        ({"where": ""}, "where", "Select where they live"),
        ({"where": "some"}, "localities", "Select at least one place"),
        ({"where": "some", "localities": "Atlantis"}, "localities", "Select one of the answers"),
        ({"shown_from_day": "31"}, "shown_from_day", "The first day must be a real date"),
        ({"shown_until_month": ""}, "shown_until_day", "The last day must be a real date"),
        ({"shown_until_month": "5"}, "shown_until_day", "must not be in the past"),
        ({"shown_from_month": "7"}, "shown_until_day", "The last day must not be before"),
    ],
)
def test_notice_that_cannot_be_published(
    portal: PortalWorld, fields: dict[str, str], field: str, said: str
) -> None:
    """The error names the field and the remedy, in either language; nothing is kept."""
    stella = signed_in(portal, STELLA)
    before = TenantNotice.objects.count()
    for step in ({}, {"publish": "1"}):
        answer = stella.post(PUBLISH, ASKED | fields | step)
        page = page_of(answer)
        summary = page.xpath("//*[contains(@class, 'govuk-error-summary')]")
        assert [link.get("href") for link in summary[0].xpath(".//a")] == [f"#id_{field}"]
        assert page.xpath(f"//*[@id='id_{field}']")
        if said not in text_of(answer):
            assert "must" in summary[0].text_content()
        if "body_en" not in fields:
            assert "Not on Tuesday" in text_of(answer)
    stella.cookies["django_language"] = "cy"
    assert said not in text_of(stella.post(PUBLISH, ASKED | fields))
    assert TenantNotice.objects.count() == before


def test_choices_that_do_not_count_are_let_be(portal: PortalWorld) -> None:
    """Who ticks kinds and then says 'every' means every."""
    stella = signed_in(portal, STELLA)
    ticked = {"kinds": ["garage", "dragons"], "localities": ["Exampleton"]}
    stella.post(PUBLISH, ASKED | ticked | {"publish": "1"})
    notice = TenantNotice.objects.get(title_en="Bins")
    assert (notice.kinds, notice.localities) == ([], [])


def test_notice_is_withdrawn(portal: PortalWorld) -> None:
    """It goes from every tenant's list; twice is once; what is over stays as it is."""
    stella, tessa = signed_in(portal, STELLA), signed_in(portal)
    notice = TenantNotice.objects.get(title_en=GARAGES)
    path = f"{STAFF}{notice.pk}/withdraw/"
    assert GARAGES in text_of(stella.get(path))
    assert titles(tessa) == [GARAGES, EVERYBODY]
    for _n in range(2):
        assert stella.post(path).headers["Location"] == STAFF
    assert titles(tessa) == [EVERYBODY]
    assert "Withdrawn" in text_of(stella.get(STAFF))
    old = make(title_en="Old", shown_from=date(2027, 5, 1), shown_until=date(2027, 5, 2))
    assert "It is over already" in text_of(stella.post(f"{STAFF}{old.pk}/withdraw/"))
    old.refresh_from_db()
    assert old.withdrawn_at is None
    assert stella.get(f"{STAFF}999999/withdraw/").status_code == 404


def test_withdrawn_notice_can_be_published_again(portal: PortalWorld) -> None:
    """From the page that it was published from: who is told that it is published finds it."""
    stella, sent = signed_in(portal, STELLA), ASKED | {"publish": "1"}
    stella.post(PUBLISH, sent)
    notice = TenantNotice.objects.get(title_en="Bins")
    stella.post(f"{STAFF}{notice.pk}/withdraw/")
    assert "Bins" not in titles(signed_in(portal))
    for _n in range(2):
        assert "The notice is published" in text_of(stella.post(PUBLISH, sent, follow=True))
    assert titles(signed_in(portal)).count("Bins") == 1


def test_only_staff_publish(portal: PortalWorld) -> None:
    """Tenants and users of the other systems do not, and nothing happens when they try."""
    notice = TenantNotice.objects.get(title_en=GARAGES)
    paths = [STAFF, PUBLISH, f"{STAFF}downtime/", f"{STAFF}{notice.pk}/withdraw/"]
    for client in (signed_in(portal), portal.client("enid.example")):
        for path in paths:
            assert client.get(path).status_code == 403
            assert client.post(path, ASKED | {"publish": "1"}).status_code == 403
    notice.refresh_from_db()
    assert notice.withdrawn_at is None
    assert TenantNotice.objects.count() == 3


def test_nothing_is_lost_while_the_directory_is_down(portal: PortalWorld) -> None:
    """What was written waits in the page; sent again, it is published."""
    stella = signed_in(portal, STELLA)
    with without_directory(portal):
        answer = stella.post(PUBLISH, ASKED | {"publish": "1"})
        assert answer.status_code == 503
    assert TenantNotice.objects.filter(title_en="Bins").count() == 0
    hidden = html.fromstring(answer.content).xpath("//main//input[@type='hidden']")
    again = {one.get("name"): one.get("value") for one in hidden}
    assert stella.post(PUBLISH, again).headers["Location"] == STAFF
    assert TenantNotice.objects.get(title_en="Bins").body_en == "On Monday.\nNot on Tuesday."


# --- how many it reaches ------------------------------------------------------------------------


def test_how_many_tenancies_a_notice_reaches(portal: PortalWorld) -> None:
    """Those that go on, by kind and place; places are those where somebody rents something."""
    assert portal.home.exists()
    assert audience().localities() == ["Exampleton", "Trefesiampl"]
    assert audience().reached([], []) == 4
    assert audience().reached(["garage", "sheltered"], []) == 2
    assert audience().reached(["garage", "sheltered"], ["Trefesiampl"]) == 1
    assert audience().reached(["leasehold"], []) == 0


def test_audience_on_postgresql(postgresql_url: str) -> None:
    """The same on a directory of the other kind."""
    engine = create_engine(postgresql_url.replace("postgresql:", "postgresql+psycopg:"))
    sql.metadata.create_all(engine)
    row = {"address": "", "postcode": "", "building": "", "began_on": date(2020, 1, 1)}
    rows = [
        ("T1", "garage", "Ŷ", None),
        ("T2", "sheltered", "A", None),
        ("T3", "garage", "A", date(2021, 1, 1)),
        ("T4", "garage", "Gone", date(2021, 1, 1)),
    ]
    with engine.begin() as connection:
        connection.execute(
            sql.tenancies.insert(),
            [
                row | {"reference": r, "kind": k, "locality": place, "ended_on": ended}
                for r, k, place, ended in rows
            ],
        )
    engine.dispose()
    known = SqlAudience(postgresql_url, 3)
    assert known.localities() == ["A", "Ŷ"]
    assert known.reached(["garage"], []) == 1
    assert known.reached([], []) == 2
    known._records.engine.dispose()
