"""Visits booked, seen, changed and cancelled through the pages."""

from __future__ import annotations

import re
import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from booking_world import (
    DRAIN,
    EMERGENCY,
    INSPECTION,
    NORMAL,
    UNBOOKABLE,
    URGENT,
    Down,
    again,
    booked,
    diary,
    home_of,
    report,
    windows,
)
from demo_portal.clock import LONDON
from django.conf import settings
from django.utils.translation import override
from drs_world import Drs, DrsDiary, running
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar
from lxml import html  # type: ignore[import-untyped]
from portal_world import stuck
from sqlalchemy import create_engine
from tenant_services.repairs import diary_client as client
from tenant_services.repairs import housing_sql
from tenant_services.repairs.booking import read, written
from tenant_services.repairs.diary_calendar import Period, window_of
from tenant_services.repairs.diary_models import DiaryCancellation, DiaryOrder
from tenant_services.repairs.diary_sql import PortalDiary
from tenant_services.repairs.housing import Appointment, Happening, Status, housing_management
from tenant_services.words import moment_text, window_line, window_text
from tenant_world import GARAGE, HOME, STELLA, TARAN, TARANS, TESSA, signed_in

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld
    from tenant_services.repairs.diary import Answer, Booking, Order
    from tenant_services.repairs.housing import Job

PAGES = ["", "book/", "change/", "check/", "cancel/", "visit.ics"]
TUESDAY_MORNING = window_of(date(2027, 6, 8), Period.MORNING)


def at(job: Job, page: str = "") -> str:
    """Return the address of a page about a job's visit."""
    return f"/my-home/repairs/{job.number}/visit/{page}"


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    assert answer.status_code in (200, 503), answer.status_code
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


def slots_of(answer: Any) -> dict[str, list[str]]:
    """Return the slots that a page offers, by day: each with its hours and hints."""
    offered = {}
    for fieldset in html.fromstring(answer.content).xpath("//main//fieldset//fieldset"):
        [day] = fieldset.xpath("./legend")
        offered[" ".join(day.text_content().split())] = [
            " ".join(item.text_content().split())
            for item in fieldset.xpath(".//*[contains(@class, 'govuk-radios__item')]")
        ]
    return offered


def hidden(answer: Any) -> dict[str, str]:
    """Return what a page's form sends by itself."""
    return {
        field.get("name"): field.get("value")
        for field in html.fromstring(answer.content).xpath("//main//input[@type='hidden']")
    }


def confirm(user: Client, job: Job, window: Appointment, *, page: str = "book/") -> Any:
    """Choose a window and confirm it; return the answer."""
    chosen = user.post(at(job, page), {"slot": written(window)})
    assert chosen.headers.get("Location") == at(job, "check/"), text_of(chosen)
    return user.post(at(job, "check/"), hidden(user.get(at(job, "check/"))))


# --- the journey --------------------------------------------------------------------------------


def test_visit_is_booked_seen_changed_and_cancelled(portal: PortalWorld) -> None:
    """From the first question to the cancelled visit; the job knows it at each step."""
    user = signed_in(portal)
    job = report()
    shown = user.get(at(job, "book/"))
    assert job.number in text_of(shown)
    assert "We aim to do this repair by Tuesday 29 June 2027." in text_of(shown)
    offered = slots_of(shown)
    assert list(offered)[:2] == ["Wednesday 2 June 2027", "Thursday 3 June 2027"]
    assert [text.split(" Be")[0] for text in offered["Thursday 3 June 2027"]] == [
        "8am to midday",
        "9:30am to 2:30pm",
        "Midday to 5pm",
    ]
    assert "Best for us" in offered["Wednesday 2 June 2027"][0]

    assert user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)}).status_code == 302
    check = user.get(at(job, "check/"))
    assert "Between 8am and midday on Tuesday 8 June 2027" in text_of(check)
    assert client.appointment_of(job.number) is None
    answer = user.post(at(job, "check/"), hidden(check), follow=True)
    assert answer.redirect_chain[-1][0] == at(job)
    said = text_of(answer)
    assert "Your visit is booked" in said
    assert "Between 8am and midday on Tuesday 8 June 2027" in said
    assert "until 5pm on Monday 7 June 2027" in said
    assert "Your visit is booked" not in text_of(user.get(at(job)))
    assert again(job).appointment == client.appointment_of(job.number) == TUESDAY_MORNING

    moved = user.get(at(job, "change/"))
    assert "8am to midday" not in str(slots_of(moved)["Tuesday 8 June 2027"])
    later = window_of(date(2027, 6, 8), Period.AFTERNOON)
    check = user.post(at(job, "change/"), {"slot": written(later)}, follow=True)
    assert "Between 8am and midday on Tuesday 8 June 2027" in text_of(check)
    assert "Between midday and 5pm on Tuesday 8 June 2027" in text_of(check)
    answer = user.post(at(job, "check/"), hidden(check), follow=True)
    assert "Your visit was changed" in text_of(answer)
    assert again(job).appointment == client.appointment_of(job.number) == later

    form = user.get(at(job, "cancel/"))
    answer = user.post(at(job, "cancel/"), hidden(form) | {"reason": "Away"}, follow=True)
    assert answer.redirect_chain[-1][0] == f"/my-home/repairs/{job.number}/"
    assert again(job).appointment is client.appointment_of(job.number) is None
    assert again(job).status is Status.REPORTED
    [kept] = DiaryCancellation.objects.all()
    assert (kept.job, kept.period, kept.reason) == (job.number, "afternoon", "Away")
    happened = [event.what for event in housing_management().history(job.number)]
    assert happened[:3] == [Happening.UNBOOKED, Happening.MOVED, Happening.BOOKED]


def test_journey_in_welsh(portal: PortalWorld) -> None:
    """Days, hours and sentences are Welsh; what was chosen outlives a change of language."""
    user = signed_in(portal)
    job = report()
    user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)})
    user.get("/language/cy")
    offered = slots_of(user.get(at(job, "book/")))
    assert next(iter(offered)) == "Dydd Mercher 2 Mehefin 2027"
    assert offered["Dydd Iau 3 Mehefin 2027"][0].startswith("8am tan hanner dydd")
    said = text_of(user.get(at(job, "book/")))
    assert "erbyn dydd Mawrth 29 Mehefin 2027" in said
    check = user.get(at(job, "check/"))
    assert "Rhwng 8am a hanner dydd ddydd Mawrth 8 Mehefin 2027" in text_of(check)
    answer = user.post(at(job, "check/"), hidden(check), follow=True)
    assert "tan 5pm ddydd Llun 7 Mehefin 2027" in text_of(answer)


def test_times_in_words() -> None:
    """As a reader of each language says them, on London's clocks in summer and winter."""
    winter = window_of(date(2027, 12, 6), Period.SCHOOL)
    midnight = datetime(2027, 6, 8, tzinfo=LONDON)
    with override("en"):
        assert window_text(winter) == "between 9:30am and 2:30pm on Monday 6 December 2027"
        assert window_line(winter).startswith("Between")
        assert moment_text(midnight) == "midnight on Tuesday 8 June 2027"
    with override("cy"):
        assert window_text(winter) == "rhwng 9:30am a 2:30pm ddydd Llun 6 Rhagfyr 2027"
        assert moment_text(midnight) == "hanner nos ddydd Mawrth 8 Mehefin 2027"


def test_welsh_and_before_each_hour() -> None:
    """Between two hours it is 'ac' before un, wyth and un ar ddeg, and 'a' before the others."""
    before = set()
    for minute in range(0, 24 * 60, 30):
        ends = datetime(2027, 6, 8, *divmod(minute, 60), tzinfo=LONDON)
        with override("en"):
            assert "and " in window_text(Appointment(ends - timedelta(minutes=30), ends))
        with override("cy"):
            text = window_text(Appointment(ends - timedelta(minutes=30), ends))
        [(word, hour)] = re.findall(r" (ac?) (hanner|[0-9]+)", text)
        before.add((word, hour))
    assert {hour for word, hour in before if word == "ac"} == {"1", "8", "11"}
    others = {str(hour) for hour in range(1, 13)} - {"1", "8", "11"} | {"hanner"}
    assert {hour for word, hour in before if word == "a"} == others


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_another_diary_changes_no_page(portal: PortalWorld, lang: str) -> None:
    """With a DRS of its own hours behind them the same pages book, change and cancel."""
    drs = Drs()
    user = signed_in(portal)
    user.cookies["django_language"] = lang
    job = report()
    with running(drs) as url, diary(lambda: DrsDiary(url, 5)):
        assert [window.starts_at.hour for window in windows(job)] == [10, 13] * 6
        portal.clock.move_to(datetime(2027, 6, 1, 10, tzinfo=LONDON))
        # What a DRS still gives of the present day may have begun.
        assert windows(job)[0].starts_at.hour == 13
        free = windows(job)[3:]
        assert confirm(user, job, free[3]).headers["Location"] == at(job)
        assert [job.number] == list(drs.orders)
        [(_id, kept)] = drs.orders.values()
        assert kept == ("2027-06-04T13:00:00", "2027-06-04T15:30:00")
        said = text_of(user.get(at(job)))
        words = {"en": "1pm and 3:30pm on Friday", "cy": "1pm a 3:30pm ddydd Gwener"}
        assert words[lang] in said
        assert free[3] not in windows(job)
        assert confirm(user, job, free[0], page="change/").headers["Location"] == at(job)
        assert again(job).appointment == free[0]
        form = user.get(at(job, "cancel/"))
        assert user.post(at(job, "cancel/"), hidden(form)).status_code == 302
        assert (drs.orders, again(job).appointment) == ({}, None)
        # An order that was left without a window, by whatever stopped, is used again.
        drs.orders[job.number] = "900", None
        assert confirm(user, job, free[1]).headers["Location"] == at(job)
        assert drs.orders[job.number][0] == "900"
        # Somebody else took the last of what was chosen.
        other = report()
        assert client.book(other, home_of(other), None, free[0]) is client.Outcome.BOOKED
        user.post(at(job, "change/"), {"slot": written(free[2])})
        third = report()
        assert client.book(third, home_of(third), None, free[2]) is client.Outcome.BOOKED
        answer = user.post(at(job, "check/"), hidden(user.get(at(job, "check/"))), follow=True)
        error = {"en": "That time is no longer free", "cy": "amser hwnnw ar gael bellach"}
        assert error[lang] in text_of(answer)
        assert again(job).appointment == free[1]
        # Nothing that it says in a language of its own reaches a page.
        assert "slot not available" not in answer.content.decode()


# --- what happens meanwhile ---------------------------------------------------------------------


def test_time_that_went_meanwhile_is_said(portal: PortalWorld) -> None:
    """Somebody else confirms first: the page says so, shows what is left, and loses nothing."""
    user = signed_in(portal)
    job, other = report(DRAIN), report(DRAIN, TARANS)
    window = windows(job)[1]
    user.post(at(job, "book/"), {"slot": written(window)})
    form = hidden(user.get(at(job, "check/")))
    assert client.book(other, home_of(other), None, window) is client.Outcome.BOOKED
    answer = user.post(at(job, "check/"), form, follow=True)
    assert answer.redirect_chain[-1][0] == at(job, "book/")
    said = text_of(answer)
    assert "There is a problem" in said
    assert "That time is no longer free. Select another" in said
    assert b"<title>Error: " in answer.content.replace(b"\n", b"")
    assert written(window) not in answer.content.decode()
    assert client.appointment_of(job.number) is None
    assert "There is a problem" not in text_of(user.get(at(job, "book/")))
    left = windows(job)[0]
    assert confirm(user, job, left).headers["Location"] == at(job)
    # While changing, the visit that there is is kept.
    gone = windows(job)[-1]
    user.post(at(job, "change/"), {"slot": written(gone)})
    form = hidden(user.get(at(job, "check/")))
    third = report(DRAIN, TARANS)
    assert client.book(third, home_of(third), None, gone) is client.Outcome.BOOKED
    answer = user.post(at(job, "check/"), form, follow=True)
    assert answer.redirect_chain[-1][0] == at(job, "change/")
    assert "That time is no longer free" in text_of(answer)
    assert client.appointment_of(job.number) == again(job).appointment == left


def test_time_that_goes_while_choosing_is_said(portal: PortalWorld) -> None:
    """A page that stood open too long is answered with what is free now."""
    user = signed_in(portal)
    job, other = report(DRAIN), report(DRAIN, TARANS)
    window = booked(other)
    answer = user.post(at(job, "book/"), {"slot": written(window)})
    assert "That time is no longer free. Select another" in text_of(answer)


def test_sending_twice_books_once(portal: PortalWorld) -> None:
    """A double click, the back button and a lost answer lead to the same visit."""
    user = signed_in(portal)
    job = report()
    user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)})
    form = hidden(user.get(at(job, "check/")))
    for _time in range(3):
        answer = user.post(at(job, "check/"), form)
        assert (answer.status_code, answer.headers["Location"]) == (302, at(job))
    assert text_of(user.get(at(job))).count("Your visit is booked") == 1
    assert DiaryOrder.objects.filter(job=job.number).count() == 1
    form = hidden(user.get(at(job, "cancel/")))
    for _time in range(2):
        answer = user.post(at(job, "cancel/"), form)
        assert answer.headers["Location"] == f"/my-home/repairs/{job.number}/"
    assert DiaryCancellation.objects.count() == 1


def test_two_windows_of_a_browser(portal: PortalWorld) -> None:
    """What the page showed is what counts; where it shows an old visit, that is said."""
    user = signed_in(portal)
    job = report()
    first, second, third = windows(job)[:3]
    user.post(at(job, "book/"), {"slot": written(first)})
    one = hidden(user.get(at(job, "check/")))
    user.post(at(job, "book/"), {"slot": written(second)})
    two = hidden(user.get(at(job, "check/")))
    assert user.post(at(job, "check/"), one).headers["Location"] == at(job)
    assert client.appointment_of(job.number) == first
    answer = user.post(at(job, "check/"), two)
    assert "The visit was changed in the meantime" in text_of(answer)
    assert window_text(first) in text_of(answer)
    cancels = hidden(user.get(at(job, "cancel/")))
    user.post(at(job, "change/"), {"slot": written(third)})
    changes = hidden(user.get(at(job, "check/")))
    assert user.post(at(job, "check/"), changes).status_code == 302
    answer = user.post(at(job, "cancel/"), cancels)
    assert "The visit was changed in the meantime" in text_of(answer)
    assert client.appointment_of(job.number) == again(job).appointment == third
    user.post(at(job, "cancel/"), hidden(user.get(at(job, "cancel/"))))
    answer = user.post(at(job, "check/"), two | {"before": changes["before"]})
    assert "No visit is booked now." in text_of(answer)


def test_booking_between_two_questions_is_not_overlooked(portal: PortalWorld) -> None:
    """A visit that another window books just before the order is made is not moved by this one."""
    job = report()
    first, second = windows(job)[:2]

    class Overtaken(PortalDiary):
        def create_order(self, session: str, order: Order) -> Answer[Booking]:
            made = PortalDiary().create_order(session, order)
            assert made.value is not None
            PortalDiary().schedule_booking(session, made.value, first)
            return PortalDiary().create_order(session, order)

    with diary(Overtaken):
        outcome = client.book(job, home_of(job), None, second)
    assert outcome is client.Outcome.OTHERWISE
    assert client.appointment_of(job.number) == again(job).appointment == first


def test_contractor_moves_a_visit(portal: PortalWorld) -> None:
    """What changes in the diary shows at the next page, and the housing system is told."""
    user = signed_in(portal)
    job = report()
    booked(job)
    order = DiaryOrder.objects.get(job=job.number)
    order.day = date(2027, 6, 9)
    order.save()
    assert "Wednesday 9 June 2027" in text_of(user.get(at(job)))
    assert again(job).appointment == client.appointment_of(job.number)
    order.delete()
    assert user.get(at(job)).headers["Location"] == at(job, "book/")
    assert again(job).appointment is None


def test_visit_that_nobody_was_at_home_for_is_booked_again(portal: PortalWorld) -> None:
    """After a visit without access another is booked, which takes the first one's place."""
    user = signed_in(portal)
    job = report()
    first = booked(job)
    portal.clock.move_to(first.ends_at + timedelta(days=1))
    user = signed_in(portal)
    assert user.get(at(job)).headers["Location"] == at(job, "book/")
    second = windows(job)[0]
    answer = confirm(user, job, second)
    assert answer.headers["Location"] == at(job)
    assert "Your visit is booked" in text_of(user.get(at(job)))
    assert client.appointment_of(job.number) == again(job).appointment == second


# --- when, and when not -------------------------------------------------------------------------


def test_emergency_is_within_a_day(portal: PortalWorld) -> None:
    """Only what is within 24 hours is offered, and no later days."""
    user = signed_in(portal)
    job = report(EMERGENCY)
    shown = user.get(at(job, "book/"))
    assert list(slots_of(shown)) == ["Tuesday 1 June 2027", "Wednesday 2 June 2027"]
    assert "within 24 hours" in text_of(shown)
    assert "Show later days" not in text_of(shown)
    assert {window.starts_at.hour for window in windows(job)} == {12, 8}
    confirm(user, job, windows(job)[0])
    said = text_of(user.get(at(job)))
    assert "It is too late to do this here." in said
    assert "01632 960 900" in said


def test_emergency_on_a_bank_holiday(portal: PortalWorld) -> None:
    """Somebody comes on Easter Sunday, when the clocks change; nothing else is offered then."""
    portal.clock.move_to(datetime(2027, 3, 27, 20, tzinfo=LONDON))
    user = signed_in(portal)
    assert list(slots_of(user.get(at(report(EMERGENCY), "book/")))) == ["Sunday 28 March 2027"]
    assert next(iter(slots_of(user.get(at(report(URGENT), "book/"))))) == "Tuesday 30 March 2027"


@pytest.mark.parametrize(
    ("code", "day"),
    [
        (URGENT, "Tuesday 8 June 2027"),
        (NORMAL, "Tuesday 29 June 2027"),
        (INSPECTION, "Tuesday 29 June 2027"),
    ],
)
def test_target_is_said(portal: PortalWorld, code: str, day: str) -> None:
    """By when it is aimed to be done, counted in working days from the report."""
    assert f"by {day}." in text_of(signed_in(portal).get(at(report(code), "book/")))


def test_later_days_are_shown(portal: PortalWorld) -> None:
    """A link shows a week more each time, as far as the diary goes; the choice comes along."""
    user = signed_in(portal)
    job = report()
    counts = []
    address = at(job, "book/")
    for _week in range(8):
        shown = user.get(address)
        counts.append(len(slots_of(shown)))
        [*more] = html.fromstring(shown.content).xpath("//main//a[starts-with(@href, '?weeks=')]")
        if more:
            address = at(job, "book/") + more[0].get("href")
    assert counts == [5, 10, 15, 20, 25, 30, 35, 40]
    assert not more
    last = [*windows(job, 8)][-1]
    answer = user.post(address, {"slot": written(last)})
    assert answer.headers["Location"] == at(job, "check/")
    for asked in ("0", "-1", "99", "9999", "x", "²", "१"):
        assert slots_of(user.get(at(job, "book/"), {"weeks": asked}))


@pytest.mark.parametrize("page", ["book/", "change/"])
def test_going_back_to_a_later_week_finds_the_choice(portal: PortalWorld, page: str) -> None:
    """What was chosen of a later week is still chosen, and is not said to have gone."""
    user = signed_in(portal)
    job = report(DRAIN)
    if page == "change/":
        booked(job)
    window = windows(job, 4)[-1]
    user.post(at(job, f"{page}?weeks=4"), {"slot": written(window)})
    shown = user.get(at(job, page))
    assert "There is a problem" not in text_of(shown)
    [chosen] = html.fromstring(shown.content).xpath("//main//input[@checked]")
    assert chosen.get("value") == written(window)
    assert user.post(at(job, page), {"slot": written(window)}).status_code == 302
    # Should it go now, what is said is true, and what is left of that week is there.
    other = report(DRAIN, TARANS)
    assert client.book(other, home_of(other), None, window) is client.Outcome.BOOKED
    shown = user.get(at(job, page))
    assert "That time is no longer free" in text_of(shown)
    assert written(windows(job, 4)[-1]) in shown.content.decode()


def test_later_days_are_offered_only_where_there_are_some(portal: PortalWorld) -> None:
    """The link is there while a later day has something free, and no longer."""
    user = signed_in(portal)
    job = report(DRAIN)
    assert "Show later days" in text_of(user.get(at(job, "book/")))
    for days in range(8, 57):
        DiaryOrder.objects.create(
            job=f"R-{days}",
            trade="drainage",
            priority=4,
            day=date(2027, 6, 1) + timedelta(days=days),
            period=Period.SCHOOL,
            morning_crew=1,
            afternoon_crew=1,
        )
    assert windows(job, 8) == windows(job)
    assert "Show later days" not in text_of(user.get(at(job, "book/")))


def test_christmas_is_passed_over(portal: PortalWorld) -> None:
    """Where a week has nothing, the next that has is shown at once."""
    portal.clock.move_to(datetime(2027, 12, 24, 18, tzinfo=LONDON))
    user = signed_in(portal)
    job = report(DRAIN)
    for _time in range(3 * 2):
        other = report(DRAIN, TARANS)
        booked(other)
    assert next(iter(slots_of(user.get(at(job, "book/"))))) == "Tuesday 4 January 2028"


def test_nothing_left_is_said(portal: PortalWorld) -> None:
    """An emergency for which nobody is free any more is for the telephone."""
    user = signed_in(portal)
    job = report("DEMO-DR-102")
    while windows(job):
        booked(report("DEMO-DR-102", TARANS))
    said = text_of(user.get(at(job, "book/")))
    assert "There are no times left that can be booked here" in said
    assert "01632 960 900" in said
    assert "There are no times left" in text_of(user.post(at(job, "book/"), {"slot": "x"}))


def test_too_late_is_for_the_telephone(portal: PortalWorld) -> None:
    """From five on the day before nothing is changed here, however it is sent."""
    job = report()
    assert client.book(job, home_of(job), None, TUESDAY_MORNING) is client.Outcome.BOOKED
    portal.clock.move_to(datetime(2027, 6, 7, 16, 59, tzinfo=LONDON))
    user = signed_in(portal)
    user.post(at(job, "change/"), {"slot": written(windows(job)[-1])})
    changes = hidden(user.get(at(job, "check/")))
    cancels = hidden(user.get(at(job, "cancel/")))
    portal.clock.move_to(datetime(2027, 6, 7, 17, tzinfo=LONDON))
    said = text_of(user.get(at(job)))
    assert "It is too late to do this here." in said
    assert "Change the visit" not in said
    for answer in (
        user.get(at(job, "change/")),
        user.get(at(job, "check/")),
        user.get(at(job, "cancel/")),
        user.post(at(job, "change/"), {"slot": changes["slot"]}),
        user.post(at(job, "check/"), changes),
        user.post(at(job, "cancel/"), cancels),
    ):
        assert "It is too late to change or cancel this visit here" in text_of(answer)
    assert client.appointment_of(job.number) == TUESDAY_MORNING
    # While somebody is there it is still the visit; afterwards there is none.
    portal.clock.move_to(TUESDAY_MORNING.ends_at - timedelta(minutes=1))
    assert "Tuesday 8 June" in text_of(signed_in(portal).get(at(job)))
    portal.clock.move_to(TUESDAY_MORNING.ends_at)
    assert signed_in(portal).get(at(job)).headers["Location"] == at(job, "book/")


@pytest.mark.parametrize("status", ["on-hold", "complete", "cancelled"])
def test_jobs_that_nobody_comes_for(portal: PortalWorld, status: str) -> None:
    """What is over, or waits, is not booked; a visit there is of it can still be cancelled."""
    user = signed_in(portal)
    job = report()
    booked(job)
    change_job(job, status=status)
    assert "You cannot book a visit" in text_of(user.get(at(job, "change/")))
    user.post(at(job, "cancel/"), hidden(user.get(at(job, "cancel/"))))
    assert client.appointment_of(job.number) is None
    for answer in (
        user.get(at(job, "book/")),
        user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)}),
        user.post(at(job, "check/"), {"slot": written(TUESDAY_MORNING), "before": ""}),
    ):
        assert "You cannot book a visit for this repair here" in text_of(answer)
    assert client.appointment_of(job.number) is None


@pytest.mark.parametrize("where", ["Sample Court", ""])
def test_visit_that_the_diary_does_not_have_is_left_alone(portal: PortalWorld, where: str) -> None:
    """What was arranged by telephone is shown, and looking at it takes it from nobody."""
    user = signed_in(portal)
    job = report(NORMAL, building=where) if where else report(UNBOOKABLE)
    housing_management().record_appointment(job.number, TUESDAY_MORNING)
    for page in PAGES:
        user.get(at(job, page))
    user.post(at(job, "cancel/"), {"before": written(TUESDAY_MORNING)})
    user.post(at(job, "check/"), {"slot": written(TUESDAY_MORNING), "before": ""})
    said = text_of(user.get(f"/my-home/repairs/{job.number}/"))
    assert "between 8am and midday on Tuesday 8 June 2027" in said
    assert "See, change or cancel the visit" not in said
    assert again(job).appointment == TUESDAY_MORNING
    # Cancelling the repair ends it, unless somebody is on the way.
    page = f"/my-home/repairs/{job.number}/cancel/"
    assert "between 8am and midday on Tuesday 8 June 2027" in text_of(user.get(page))
    portal.clock.move_to(TUESDAY_MORNING.starts_at - timedelta(hours=1))
    user = signed_in(portal)
    assert "It is too late to cancel this repair here" in text_of(user.post(page))
    assert again(job).appointment == TUESDAY_MORNING


def test_repairs_without_visits(portal: PortalWorld) -> None:
    """What is not bookable by its code, or communal, is not booked here, by its reporter either."""
    user = signed_in(portal)
    for job in (report(UNBOOKABLE), report(NORMAL, building="Sample Court")):
        assert not client.can_book(job)
        for answer in (
            user.get(at(job, "book/")),
            user.post(at(job, "check/"), {"slot": written(TUESDAY_MORNING), "before": ""}),
        ):
            assert "You cannot book a visit for this repair here" in text_of(answer)
        assert not DiaryOrder.objects.filter(job=job.number).exists()


# --- bad input ----------------------------------------------------------------------------------

HOSTILE = ["", "x", "<script>alert(1)</script>", "=1+1", "\x00", "ŵŷ" * 5000, "2027-06-08/"]


@pytest.mark.parametrize("sent", HOSTILE)
def test_choices_that_are_none(portal: PortalWorld, sent: str) -> None:
    """What is no slot is asked again, or leads to where it is asked; nothing is kept."""
    user = signed_in(portal)
    job = report()
    answer = user.post(at(job, "book/"), {"slot": sent})
    said = text_of(answer)
    assert "There is a problem" in said
    assert ("Select a day and time" if not sent else "no longer free") in said
    assert "<script>alert" not in answer.content.decode()
    for form in ({"slot": sent, "before": ""}, {}):
        answer = user.post(at(job, "check/"), form)
        assert answer.headers["Location"] == at(job, "book/")
    assert user.get(at(job, "check/")).headers["Location"] == at(job, "book/")
    assert not DiaryOrder.objects.filter(job=job.number).exists()


@pytest.mark.parametrize(
    "window",
    [
        window_of(date(2027, 5, 25), Period.MORNING),
        window_of(date(2027, 6, 5), Period.MORNING),
        window_of(date(2037, 6, 8), Period.MORNING),
        Appointment(TUESDAY_MORNING.starts_at, TUESDAY_MORNING.ends_at + timedelta(hours=1)),
        Appointment(
            datetime(9999, 12, 31, 8, tzinfo=LONDON), datetime(9999, 12, 31, 12, tzinfo=LONDON)
        ),
    ],
)
def test_windows_that_were_never_offered(portal: PortalWorld, window: Appointment) -> None:
    """The past, weekends, far years and hours of one's own are not had by sending them."""
    user = signed_in(portal)
    job = report()
    form = {"slot": written(window), "before": ""}
    answer = user.post(at(job, "check/"), form, follow=True)
    assert "That time is no longer free" in text_of(answer)
    assert client.appointment_of(job.number) is None


@given(sent=st.text(max_size=80) | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1")))
def test_reading_never_fails(sent: str) -> None:
    """Whatever is sent is a window or none; a window is written as it was read."""
    found = read(sent)
    assert found is None or read(written(found)) == found


@pytest.mark.parametrize("at_end", ["0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59"])
def test_instants_beyond_time_are_none(at_end: str) -> None:
    """What no calendar reaches is no window."""
    assert read(f"{at_end}/{at_end}") is None


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("x" * 501, "The reason must be 500 characters or fewer"),
        ("a\x00b", "The reason has a character that cannot be kept"),
    ],
)
def test_reasons_that_cannot_be_kept(portal: PortalWorld, reason: str, error: str) -> None:
    """The page says what to do, and has what was typed; nothing is cancelled yet."""
    user = signed_in(portal)
    job = report()
    window = booked(job)
    form = hidden(user.get(at(job, "cancel/")))
    answer = user.post(at(job, "cancel/"), form | {"reason": reason})
    assert error in text_of(answer)
    assert reason.replace("\x00", "")[:400] in answer.content.decode().replace("\x00", "")
    assert hidden(answer)["before"] == written(window)
    assert client.appointment_of(job.number) == window


@pytest.mark.parametrize(
    "reason", ["<script>alert(1)</script>", "=1+1", "ŵŷ Ŵ", "  ", "x" * 500, "x\r\n" * 249 + "xy"]
)
def test_reasons_are_kept_as_they_are(portal: PortalWorld, reason: str) -> None:
    """Whatever somebody writes is text."""
    user = signed_in(portal)
    job = report()
    booked(job)
    form = hidden(user.get(at(job, "cancel/")))
    assert user.post(at(job, "cancel/"), form | {"reason": reason}).status_code == 302
    assert DiaryCancellation.objects.get().reason == reason.strip().replace("\r\n", "\n")


# --- whose --------------------------------------------------------------------------------------


def test_visits_of_others_are_not_there(portal: PortalWorld) -> None:
    """Another tenant's, a neighbour's communal one and none at all are 404; staff may not look."""
    job, communal = report(), report(NORMAL, building="Llys Enghraifft", tenancy=TARANS)
    window = booked(job)
    tessa, taran, staff = (signed_in(portal, name) for name in (TESSA, TARAN, STELLA))
    nobody = portal.client()
    form = {"slot": written(TUESDAY_MORNING), "before": written(window), "reason": ""}
    for page in PAGES:
        for method in ("get", "post"):
            for who, which, status in (
                (taran, job, 404),
                (tessa, communal, 404),
                (staff, job, 403),
                (nobody, job, 302),
            ):
                answer = getattr(who, method)(at(which, page), form)
                assert answer.status_code in (status, 405), (page, method)
            for number in ("R-999999", "R-1", "x", "R-100001%00", "<script>"):
                answer = getattr(tessa, method)(f"/my-home/repairs/{number}/visit/{page}", form)
                assert answer.status_code in (404, 405), (page, number)
    assert client.appointment_of(job.number) == window


def test_bots_are_refused(portal: PortalWorld) -> None:
    """An automation account gets no page of a visit, not even with a tenant's account."""
    job = report()
    bot = portal.client("Acme Homes Automation 1")
    for page in PAGES:
        assert bot.get(at(job, page)).status_code == 403


def test_what_one_chooses_is_ones_own(portal: PortalWorld) -> None:
    """A time chosen for one job is not offered for another, nor in another session."""
    one, two = report(), report(NORMAL, GARAGE)
    user, other = signed_in(portal), signed_in(portal)
    user.post(at(one, "book/"), {"slot": written(TUESDAY_MORNING)})
    assert user.get(at(one, "check/")).status_code == 200
    assert user.get(at(two, "check/")).headers["Location"] == at(two, "book/")
    assert other.get(at(one, "check/")).headers["Location"] == at(one, "book/")
    assert "Mock Lane" in text_of(user.get(at(two, "book/")))


# --- systems that do not answer -----------------------------------------------------------------


def test_diary_that_is_down_loses_nothing(
    portal: PortalWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """The clear page offers to send the same again, which then works; no name is logged."""
    user = signed_in(portal)
    job = report()
    user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)})
    form = hidden(user.get(at(job, "check/")))
    with diary(Down):
        for answer in (
            user.get(at(job, "book/")),
            user.get(at(job)),
            user.post(at(job, "check/"), form),
        ):
            assert answer.status_code == 503
            assert "cannot be reached" in text_of(answer)
        again_form = hidden(answer)
    assert "T-100001" not in caplog.text
    again_form.pop("csrfmiddlewaretoken", None)
    assert again_form == {name: form[name] for name in ("slot", "before")}
    assert user.post(at(job, "check/"), again_form).headers["Location"] == at(job)
    assert client.appointment_of(job.number) == TUESDAY_MORNING


def test_diary_that_drips_keeps_nobody_waiting(portal: PortalWorld) -> None:
    """A byte in time, again and again, is no answer in time: the page says so, and soon."""
    user = signed_in(portal)
    job = report()
    drs = Drs(seconds=0.05, drips=True)
    with running(drs) as url, diary(lambda: DrsDiary(url, 0.3)):
        began = time.monotonic()
        assert user.get(at(job, "book/")).status_code == 503
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("seconds", [1, None])
def test_network_that_fails_is_said(portal: PortalWorld, seconds: float | None) -> None:
    """A DRS that is too slow, or not there, gives the same page; afterwards all is well."""
    user = signed_in(portal)
    job = report()
    drs = Drs()
    with running(drs) as url:
        with diary(lambda: DrsDiary(url, 5)):
            free = windows(job)
            user.post(at(job, "book/"), {"slot": written(free[0])})
            form = hidden(user.get(at(job, "check/")))
        drs.seconds = seconds or 0
        where = url if seconds else "http://127.0.0.1:9/drs"
        with diary(lambda: DrsDiary(where, 0.2)):
            assert user.post(at(job, "check/"), form).status_code == 503
    drs.seconds = 0
    with running(drs) as url, diary(lambda: DrsDiary(url, 5)):
        assert user.post(at(job, "check/"), form).headers["Location"] == at(job)
        assert again(job).appointment == free[0]


def test_housing_system_that_fails_half_way_is_told_later(portal: PortalWorld) -> None:
    """The diary has the visit, the housing system could not be told: the next try tells it."""
    user = signed_in(portal)
    job = report()
    user.post(at(job, "book/"), {"slot": written(TUESDAY_MORNING)})
    form = hidden(user.get(at(job, "check/")))
    with stuck("PORTAL_HOUSING", readers=False):
        assert user.post(at(job, "check/"), form).status_code == 503
    assert client.appointment_of(job.number) == TUESDAY_MORNING
    assert again(job).appointment is None
    assert user.post(at(job, "check/"), form).headers["Location"] == at(job)
    assert "Tuesday 8 June 2027" in text_of(user.get(at(job)))
    assert again(job).appointment == TUESDAY_MORNING
    form = hidden(user.get(at(job, "cancel/")))
    with stuck("PORTAL_HOUSING", readers=False):
        assert user.post(at(job, "cancel/"), form).status_code == 503
    assert client.appointment_of(job.number) is None
    assert again(job).appointment == TUESDAY_MORNING
    assert user.post(at(job, "cancel/"), form).status_code == 302
    assert again(job).appointment is None


# --- for the other pages ------------------------------------------------------------------------


def test_upcoming_visits_are_listed(portal: PortalWorld) -> None:
    """The next first, of these tenancies alone, as the diary has them."""
    DiaryOrder.objects.all().delete()
    late, soon, past, none = (report() for _job in range(4))
    taran = report(NORMAL, TARANS)
    free = windows(soon)
    for job, place in ((late, 5), (soon, 2), (taran, 0)):
        assert client.book(job, home_of(job), None, free[place]) is client.Outcome.BOOKED
    booked(past)
    portal.clock.move_to(free[0].ends_at + timedelta(minutes=1))
    found = client.upcoming([HOME, GARAGE])
    assert [(job.number, window) for job, window in found] == [
        (soon.number, free[2]),
        (late.number, free[5]),
    ]
    assert none.number not in {job.number for job, _window in found}
    assert client.upcoming([]) == []


def test_jobs_that_are_cancelled_free_their_slot(portal: PortalWorld) -> None:
    """Cancelling the repair cancels the visit with it, and somebody else can have the time."""
    user = signed_in(portal)
    job, other = report(DRAIN), report(DRAIN, TARANS)
    window = booked(job)
    assert window not in windows(other)
    page = f"/my-home/repairs/{job.number}/cancel/"
    user.post(page, hidden(user.get(page)))
    assert again(job).status is Status.CANCELLED
    assert client.appointment_of(job.number) is again(job).appointment is None
    assert window in windows(other)


def test_nobody_comes_to_a_job_that_was_cancelled_while_it_was_booked(portal: PortalWorld) -> None:
    """A booking that began before the cancellation and ends after it keeps no slot."""
    job = report(DRAIN)
    window = windows(job)[0]
    begun = again(job)
    housing_management().cancel_job(job.number, "")
    outcome = client.book(begun, home_of(job), None, window)
    assert outcome is client.Outcome.OTHERWISE
    assert client.appointment_of(job.number) is None
    assert window in windows(report(DRAIN))


def test_file_for_a_calendar(portal: PortalWorld) -> None:
    """One event in UTC, in the user's language, which a later file of the same job replaces."""
    user = signed_in(portal)
    job = report()
    assert user.get(at(job, "visit.ics")).status_code == 404
    client.book(job, home_of(job), None, TUESDAY_MORNING)
    answer = user.get(at(job, "visit.ics"))
    assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
    expected = f'attachment; filename="visit-{job.number}.ics"'
    assert answer.headers["Content-Disposition"] == expected
    assert b"\r\nDTSTART:20270608T070000Z\r\n" in answer.content
    [event] = Calendar.from_ical(answer.content).walk("VEVENT")
    assert (event["DTSTART"].dt, event["DTEND"].dt) == (
        TUESDAY_MORNING.starts_at,
        TUESDAY_MORNING.ends_at,
    )
    assert event["LOCATION"] == "1 Sample Court, Exampleton"
    assert job.number in event["DESCRIPTION"]
    user.cookies["django_language"] = "cy"
    [welsh] = Calendar.from_ical(user.get(at(job, "visit.ics")).content).walk("VEVENT")
    assert welsh["SUMMARY"].startswith("Atgyweiriad: ")
    assert welsh["UID"] == event["UID"]


def change_job(job: Job, **values: Any) -> None:
    """Change a job in the housing management system, as another program would."""
    engine = create_engine(settings.PORTAL_HOUSING)
    with engine.begin() as connection:
        table = housing_sql.jobs
        connection.execute(table.update().where(housing_sql._is(job.number)).values(**values))
    engine.dispose()
