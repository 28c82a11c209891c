"""Planned downtime: a notice to everybody, and a closure that keeps bots out. Both, or neither."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from contact_world import at, at_once, page_of, text_of
from demo_portal import clock
from django.db import IntegrityError, connection
from landlord_portal.library import registry
from tenant_services.contact import downtime
from tenant_services.contact.models import TenantNotice
from tenant_services.models import StaffAccount
from tenant_world import STELLA, TARAN, TESSA, signed_in
from test_automation import BOT, as_user, said, wait_for_facts

from automation_rules import AutomationRulesError
from automation_rules.cli import main
from automation_rules.store import PortalClosure, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_world import PortalWorld

STAFF = "/my-home/staff/notices/"
PLAN = f"{STAFF}downtime/"
TITLE, TITLE_CY = "This site is closed on Tuesday", "Mae'r wefan ar gau ddydd Mawrth"


def asked(starts: str = "2027-06-01 10:00", ends: str = "2027-06-01 12:00") -> dict[str, str]:
    """Return what is sent to plan a downtime."""
    sent = {
        "token": "made-up",
        "title_en": TITLE,
        "title_cy": TITLE_CY,
        "body_en": "We put in a new version.",
        "body_cy": "Rydym yn gosod fersiwn newydd.",
    }
    for name, text in (("starts", starts), ("ends", ends)):
        day, _space, sent[name] = text.partition(" ")
        parts = dict(zip(("year", "month", "day"), day.split("-"), strict=True))
        sent |= {f"{name}_on_{part}": value for part, value in parts.items()}
    return sent


def plan(portal: PortalWorld, *times: str) -> TenantNotice:
    """Publish a downtime."""
    stella = signed_in(portal, STELLA)
    done = stella.post(PLAN, asked(*times) | {"publish": "1"})
    assert done.headers["Location"] == STAFF
    return TenantNotice.objects.get(starts_at__isnull=False, withdrawn_at=None)


@contextmanager
def without_closures(portal: PortalWorld) -> Iterator[None]:
    """Take away what the registry keeps closures in, and bring it back."""
    with closing(sqlite3.connect(portal.home / "state.sqlite3")) as state:
        state.execute("ALTER TABLE closures RENAME TO away")
        try:
            yield
        finally:
            state.execute("ALTER TABLE away RENAME TO closures")


def banner(answer: Any) -> str:
    """Return what a page tells of a downtime."""
    found = page_of(answer).xpath("//*[@aria-labelledby='downtime-title']")
    return " ".join(found[0].text_content().split()) if found else ""


# --- bots are kept out --------------------------------------------------------------------------


def test_bot_is_kept_out_for_as_long_as_it_lasts(portal: PortalWorld) -> None:
    """To the second, with the closure as reason and when to come back; people notice nothing."""
    with as_user(portal, BOT) as bot:
        notice = plan(portal)
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) is None
        at(portal, "2027-06-01T09:59:59+01:00")
        assert said(bot.get("/to-dos/")) is None
        at(portal, "2027-06-01T10:00:00+01:00")
        denied = bot.get("/to-dos/")
        assert said(denied) == "closure"
        assert denied.headers["Retry-After"] == "7200"
        assert datetime.fromisoformat(denied.json()["retry_after"]) == notice.ends_at
        at(portal, "2027-06-01T11:59:59+01:00")
        denied = bot.get("/to-dos/")
        assert said(denied) == "closure"
        assert denied.headers["Retry-After"] == "1"
        assert portal.client("enid.example").get("/to-dos/").status_code == 200
        at(portal, "2027-06-01T12:00:00+01:00")
        assert said(bot.get("/to-dos/")) is None


def test_cancelling_lets_the_bot_in_again(portal: PortalWorld) -> None:
    """In the middle of it, within the second that the gateway takes; again changes nothing."""
    stella = signed_in(portal, STELLA)
    with as_user(portal, BOT) as bot:
        notice = plan(portal)
        at(portal, "2027-06-01T10:30:00+01:00")
        assert said(bot.get("/to-dos/")) == "closure"
        path = f"{STAFF}{notice.pk}/withdraw/"
        assert "no longer keeps bots out of the Landlord Portal" in text_of(stella.get(path))
        for _n in range(2):
            assert stella.post(path).headers["Location"] == STAFF
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) is None
    assert registry().closures() == ()
    assert "Cancelled" in text_of(stella.get(STAFF))
    assert banner(signed_in(portal).get("/my-home/contact/")) == ""


def test_what_is_over_stays_on_record(portal: PortalWorld) -> None:
    """A downtime that was is not cancelled afterwards."""
    notice = plan(portal)
    at(portal, "2027-06-01T12:00:00+01:00")
    stella = signed_in(portal, STELLA)
    assert "It is over already" in text_of(stella.post(f"{STAFF}{notice.pk}/withdraw/"))
    [closure] = registry().closures()
    assert (closure.start, closure.end) == (notice.starts_at, notice.ends_at)
    assert closure.reason == TITLE


# --- both, or neither ---------------------------------------------------------------------------


def test_same_downtime_twice_is_one(portal: PortalWorld) -> None:
    """Clicked twice or sent at the same time: one notice, one closure."""
    clients = [signed_in(portal, STELLA) for _n in range(3)]
    sent = asked() | {"publish": "1"}
    answers = at_once(*(lambda c=c: c.post(PLAN, sent) for c in clients))  # type: ignore[misc]
    assert {answer.status_code for answer in answers} == {302}
    assert TenantNotice.objects.filter(title_en=TITLE).count() == 1
    assert len(registry().closures()) == 1


def test_nothing_is_published_when_the_registry_refuses(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so and keeps what was written; sent again, both are there."""

    def refuse(_self: Registry, _closure: PortalClosure) -> None:
        raise AutomationRulesError("no")

    stella = signed_in(portal, STELLA)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "add_closure", refuse)
        answer = stella.post(PLAN, asked() | {"publish": "1"})
    assert "nothing was published" in text_of(answer)
    assert TITLE in page_of(answer).xpath("//input[@name='title_en']/@value")
    assert TenantNotice.objects.filter(title_en=TITLE).count() == 0
    assert registry().closures() == ()
    assert plan(portal)
    assert len(registry().closures()) == 1


def about() -> dict[str, Any]:
    """Return what is kept of a downtime in the next hour."""
    now = clock.now()
    return {
        "title_en": TITLE,
        "title_cy": TITLE_CY,
        "body_en": "x",
        "body_cy": "x",
        "starts_at": now,
        "ends_at": now + timedelta(hours=1),
        "shown_from": clock.today(),
        "shown_until": clock.today(),
        "published_at": now,
        "published_by": StaffAccount.objects.get(),
    }


def test_registry_is_changed_back_when_the_notice_cannot_be_kept(portal: PortalWorld) -> None:
    """The commit fails after the closure was added: no notice, no closure; cancelling likewise."""
    assert portal.home.exists()
    nobody = StaffAccount(pk=999)
    with pytest.raises(IntegrityError):
        downtime.plan("once", **about() | {"published_by": nobody})
    assert TenantNotice.objects.filter(title_en=TITLE).count() == 0
    assert registry().closures() == ()
    notice = downtime.plan("once", **about())
    [closure] = registry().closures()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER breaks AFTER UPDATE ON tenant_services_tenantnotice BEGIN INSERT INTO"
            " tenant_services_tenantnotice_read_by (tenantnotice_id, tenantaccount_id)"
            " VALUES (999, 999); END"
        )
    with pytest.raises(IntegrityError):
        downtime.cancel(notice)
    notice.refresh_from_db()
    assert notice.withdrawn_at is None
    assert registry().closures() == (closure,)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER breaks")
    downtime.cancel(notice)
    assert registry().closures() == ()


def test_closure_that_is_gone_already_is_in_nobodys_way(portal: PortalWorld) -> None:
    """Somebody took it out by the command line: bots are let in, the notice stands and can go."""
    notice = plan(portal)
    [closure] = registry().closures()
    with as_user(portal, BOT) as bot:
        at(portal, "2027-06-01T10:30:00+01:00")
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) == "closure"
        state = f"sqlite:///{portal.home}/state.sqlite3"
        assert main(["closures", "remove", closure.id, "--state", state]) == 0
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) is None
    assert TITLE in banner(signed_in(portal).get("/my-home/contact/"))
    downtime.cancel(notice)
    notice.refresh_from_db()
    assert notice.withdrawn_at is not None


def test_cancelled_downtime_can_be_published_again(portal: PortalWorld) -> None:
    """From the page that it was published from: it is there anew; the old one stays gone."""
    stella = signed_in(portal, STELLA)
    old = plan(portal)
    path = f"{STAFF}{old.pk}/withdraw/"
    stella.post(path)
    assert registry().closures() == ()
    assert plan(portal) != old
    [closure] = registry().closures()
    stella.post(path)
    assert registry().closures() == (closure,)
    assert TITLE in banner(stella.get(STAFF))


def test_closure_that_was_left_behind_is_taken_over(portal: PortalWorld) -> None:
    """Something stopped between the two: sent again, the downtime has its closure, and only one."""
    notice = plan(portal)
    before = registry().closures()
    TenantNotice.objects.filter(pk=notice.pk).delete()
    notice = plan(portal)
    assert registry().closures() == before
    downtime.cancel(notice)
    assert registry().closures() == ()


def test_words_that_the_registry_would_refuse_are_in_nobodys_way(portal: PortalWorld) -> None:
    """A tab that was pasted into the title is no reason to let bots in."""
    sent = asked() | {"title_en": "Closed\ton \x01 Tuesday", "publish": "1"}
    assert signed_in(portal, STELLA).post(PLAN, sent).headers["Location"] == STAFF
    assert [one.reason for one in registry().closures()] == ["Closed on   Tuesday"]


def test_registry_that_is_down_is_told(portal: PortalWorld) -> None:
    """Neither planning nor cancelling does half of it; later both are done."""
    stella = signed_in(portal, STELLA)
    sent = asked() | {"publish": "1"}
    with without_closures(portal):
        assert "nothing was published" in text_of(stella.post(PLAN, sent))
    assert TenantNotice.objects.filter(title_en=TITLE).count() == 0
    notice = plan(portal)
    path = f"{STAFF}{notice.pk}/withdraw/"
    with without_closures(portal):
        assert "Automation could not be let in again" in text_of(stella.post(path))
    notice.refresh_from_db()
    assert notice.withdrawn_at is None
    assert len(registry().closures()) == 1
    assert stella.post(path).status_code == 302
    assert registry().closures() == ()


def test_downtimes_that_overlap(portal: PortalWorld) -> None:
    """Both are told; bots are kept out until both are over; one can go without the other."""
    stella = signed_in(portal, STELLA)
    first = plan(portal)
    answer = stella.post(PLAN, asked("2027-06-01 11:00", "2027-06-01 14:00") | {"publish": "1"})
    assert answer.status_code == 302
    with as_user(portal, BOT) as bot:
        wait_for_facts(portal)
        at(portal, "2027-06-01T11:30:00+01:00")
        denied = bot.get("/to-dos/")
        assert said(denied) == "closure"
        assert denied.headers["Retry-After"] == "9000"
        told = banner(stella.get(STAFF))
        assert "On now, until midday on Tuesday 1 June 2027." in told
        assert "On now, until 2pm on Tuesday 1 June 2027." in told
        cancelled = stella.post(f"{STAFF}{first.pk}/withdraw/", follow=True)
        assert "no longer keeps automation out" in text_of(cancelled)
        assert "12:00" not in banner(cancelled)
        wait_for_facts(portal)
        assert said(bot.get("/to-dos/")) == "closure"
        at(portal, "2027-06-01T14:00:00+01:00")
        assert said(bot.get("/to-dos/")) is None


def test_other_closures_are_left_alone(portal: PortalWorld) -> None:
    """What others keep bots out for has nothing to do with it."""
    other = PortalClosure("works", clock.now(), clock.now() + timedelta(days=1), "theirs")
    registry().add_closure(other)
    downtime.cancel(plan(portal))
    assert registry().closures() == (other,)


# --- what people see ----------------------------------------------------------------------------

PATHS = [
    (TESSA, "/my-home/contact/"),
    (TARAN, "/my-home/notices/"),
    (STELLA, STAFF),
    ("enid.example", "/to-dos/"),
    (None, "/my-home/sign-in/"),
    (None, "/sign-in/"),
    (None, "/council/sign-in/"),
]


@pytest.mark.parametrize(("username", "path"), PATHS)
def test_everybody_is_told_around_that_time(
    portal: PortalWorld, username: str | None, path: str
) -> None:
    """From two days before to the end, on every page of every system, in the reader's language."""
    plan(portal, "2027-06-04 22:00", "2027-06-05 06:00")
    if username is None or "@" not in username:
        client = portal.client(username)
    else:
        client = signed_in(portal, username)
    at(portal, "2027-06-02T21:59:59+01:00")
    assert banner(client.get(path)) == ""
    at(portal, "2027-06-02T22:00:00+01:00")
    told = banner(client.get(path))
    assert TITLE in told
    assert "From 10pm on Friday 4 June 2027 to 6am on Saturday 5 June 2027." in told
    at(portal, "2027-06-04T22:00:00+01:00")
    assert "On now, until 6am on Saturday 5 June 2027." in banner(client.get(path))
    client.cookies["django_language"] = "cy"
    assert TITLE_CY in banner(client.get(path))
    assert "Ar waith nawr, tan 6am ddydd Sadwrn 5 Mehefin 2027." in banner(client.get(path))
    at(portal, "2027-06-05T06:00:00+01:00")
    assert banner(client.get(path)) == ""


def test_it_is_a_notice_as_others_are(portal: PortalWorld) -> None:
    """Every tenant finds it among the notices, unread, with its times, until its last day."""
    notice = plan(portal, "2027-06-04 22:00", "2027-06-05 06:00")
    for username in (TESSA, TARAN):
        client = signed_in(portal, username)
        assert TITLE in text_of(client.get("/my-home/notices/"))
        read = text_of(client.get(f"/my-home/notices/{notice.pk}/"))
        assert "From 10pm on Friday 4 June 2027 to 6am on Saturday 5 June 2027" in read
    at(portal, "2027-06-06T00:00:00+01:00")
    client = signed_in(portal)
    assert TITLE not in text_of(client.get("/my-home/notices/"))


def test_what_ends_at_midnight_is_no_notice_of_the_next_day(portal: PortalWorld) -> None:
    """Its last day is the one that the midnight ends."""
    notice = plan(portal, "2027-06-04 22:00", "2027-06-05 00:00")
    assert notice.shown_until == date(2027, 6, 4)


def test_page_of_a_failure_asks_for_no_banner(portal: PortalWorld) -> None:
    """A database that fails does not fail the page that says so."""
    plan(portal)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenant_services_tenantnotice RENAME TO elsewhere")
    assert downtime.context(None) == {"downtimes": []}  # type: ignore[arg-type]
    answer = portal.client().get("/sign-in/")
    assert answer.status_code == 200


def test_staff_look_at_it_before_it_is_published(portal: PortalWorld) -> None:
    """With both languages, the times and what it does; nothing is published by looking."""
    stella = signed_in(portal, STELLA)
    looked = text_of(stella.post(PLAN, asked()))
    assert TITLE_CY in looked
    assert "From 10am on Tuesday 1 June 2027 to midday on Tuesday 1 June 2027" in looked
    assert "Bots are kept out of the Landlord Portal for as long." in looked
    assert TenantNotice.objects.filter(title_en=TITLE).count() == 0
    assert registry().closures() == ()


# --- the clock ----------------------------------------------------------------------------------


def test_times_are_londons_in_summer_and_winter(portal: PortalWorld) -> None:
    """What staff type is what the clock on the wall shows."""
    notice = plan(portal, "2027-06-01 23:30", "2027-06-02 0:30")
    assert notice.starts_at == datetime(2027, 6, 1, 22, 30, tzinfo=UTC)
    assert notice.ends_at == datetime(2027, 6, 1, 23, 30, tzinfo=UTC)
    downtime.cancel(notice)
    notice = plan(portal, "2027-12-01 23.30", "2027-12-02 00:30")
    assert notice.starts_at == datetime(2027, 12, 1, 23, 30, tzinfo=UTC)


def test_time_that_comes_twice_is_covered_twice(portal: PortalWorld) -> None:
    """When the clocks go back the downtime takes in both, and staff are told before."""
    times = ("2027-10-31 01:15", "2027-10-31 01:45")
    looked = text_of(signed_in(portal, STELLA).post(PLAN, asked(*times)))
    assert "so 1:15am, 1:45am comes twice" in looked
    assert "1:15am (BST) on Sunday 31 October 2027 to 1:45am (GMT) on Sunday" in looked
    notice = plan(portal, *times)
    assert notice.starts_at == datetime(2027, 10, 31, 0, 15, tzinfo=UTC)
    assert notice.ends_at == datetime(2027, 10, 31, 1, 45, tzinfo=UTC)


def test_same_wall_time_twice_is_an_hour(portal: PortalWorld) -> None:
    """From half past one to half past one, when the clocks go back, is an hour and no mistake."""
    notice = plan(portal, "2027-10-31 01:30", "2027-10-31 01:30")
    assert notice.ends_at - notice.starts_at == timedelta(hours=1)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("times", "fields", "field", "told"),
    [
        (("2028-03-26 01:30", "2028-03-26 03:00"), {}, "starts", "The clocks go forward"),
        (("2028-03-26 00:30", "2028-03-26 01:00"), {}, "ends", "Enter a time before 01:00"),
        ((), {"starts": ""}, "starts", "Enter the time at which it starts"),
        ((), {"starts": "25:00"}, "starts", "must be a time from 00:00 to 23:59"),
        ((), {"starts": "9pm"}, "starts", "must be a time from 00:00 to 23:59"),
        ((), {"ends": "24:00"}, "ends", "must be a time from 00:00 to 23:59"),
        ((), {"ends": "\u0661\u0662:\u0660\u0660"}, "ends", "must be a time from 00:00 to 23:59"),
        ((), {"ends": "10:00"}, "ends", "It must end after it starts"),
        ((), {"starts": "07:00", "ends": "08:00"}, "ends", "It must end in the future"),
        ((), {"starts_on_day": "31"}, "starts_on_day", "must be a real date"),
        ((), {"ends_on_year": ""}, "ends_on_day", "must be a real date"),
        ((), {"ends_on_year": "2072"}, "ends_on_day", "It must be no longer than 14 days"),
        ((), {"starts_on_month": "5"}, "starts_on_day", "must not be in the past"),
        ((), {"title_cy": ""}, "title_cy", "Enter the title in Welsh"),
        ((), {"body_en": "\x00"}, "body_en", "a character that cannot be kept"),
    ],
)
def test_downtime_that_cannot_be(
    portal: PortalWorld, times: tuple[str, ...], fields: dict[str, str], field: str, told: str
) -> None:
    """The error names the field and the remedy, in either language; nobody is kept out."""
    stella = signed_in(portal, STELLA)
    for step in ({}, {"publish": "1"}):
        answer = stella.post(PLAN, asked(*times) | fields | step)
        summary = page_of(answer).xpath("//*[contains(@class, 'govuk-error-summary')]")
        assert summary[0].xpath(".//a/@href") == [f"#id_{field}"]
        assert told in text_of(answer)
        assert page_of(answer).xpath(f"//*[@id='id_{field}']")
    stella.cookies["django_language"] = "cy"
    assert told not in text_of(stella.post(PLAN, asked(*times) | fields))
    assert registry().closures() == ()
    assert TenantNotice.objects.filter(starts_at__isnull=False).count() == 0
