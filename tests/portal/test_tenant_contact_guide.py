"""When somebody is there, and where the questions lead: no clock, no database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils.translation import override
from holidays import country_holidays
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tenant_services.contact.guide import PLACE, Guide, guide, wrong_with
from tenant_services.contact.hours import NOTICE, call_spans, instants, opening
from tenant_services.content import ContentError, read

LONDON = ZoneInfo("Europe/London")
INSTANTS = st.integers(0, 15 * 366 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
CALLS = guide().call_backs


def is_working_day(day: date) -> bool:
    """Whether somebody works on a day, worked out without the library."""
    holidays = country_holidays("GB", subdiv="ENG", years=day.year)
    return day.weekday() < 5 and day not in holidays


def london(text: str, fold: int = 0) -> datetime:
    """Return what London's clocks show as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold).astimezone(UTC)


@settings(deadline=None)
@given(INSTANTS)
@example(london("2027-03-28 00:59"))
@example(london("2027-10-31 01:30"))
@example(london("2027-12-27 12:00"))
@example(london("2027-06-04 17:00"))
def test_telephone_is_answered_on_working_days_by_the_clock(at: datetime) -> None:
    """From eight to six in London, whatever the season, and never on a bank holiday."""
    local = at.astimezone(LONDON)
    expected = is_working_day(local.date()) and time(8) <= local.time() < time(18)
    found = opening(guide().telephone.window, at)
    assert found.is_open == expected
    assert found.until is not None
    assert found.until > at
    just_before = found.until - timedelta(microseconds=1)
    assert guide().telephone.window.is_open(just_before) == expected
    assert guide().telephone.window.is_open(found.until) != expected


@settings(deadline=None)
@given(INSTANTS)
@example(london("2027-06-04 16:30"))
@example(london("2027-12-24 14:00"))
@example(london("2027-03-26 18:00"))
def test_calls_are_offered_when_they_can_be_made(at: datetime) -> None:
    """In whole spans of office hours of the next working days, none skipped, none too soon."""
    spans = call_spans(CALLS.window, at, CALLS.length, CALLS.days)
    days = sorted({span.starts_at.astimezone(LONDON).date() for span in spans})
    assert len(days) == CALLS.days
    assert all(map(is_working_day, days))
    for span in spans:
        assert span.starts_at >= at + NOTICE
        assert span.starts_at.astimezone(LONDON).time() in {time(9), time(11), time(13), time(15)}
        assert span.ends_at - span.starts_at == timedelta(hours=2)
        assert span.ends_at.astimezone(LONDON).date() == span.starts_at.astimezone(LONDON).date()
    assert all(one.ends_at <= other.starts_at for one, other in pairwise(spans))
    today = at.astimezone(LONDON).date()
    for day in (today + timedelta(days=n) for n in range((days[-1] - today).days)):
        if is_working_day(day) and day != today:
            assert [s.starts_at.astimezone(LONDON).date() for s in spans].count(day) == 4


@pytest.mark.parametrize(
    ("at", "first"),
    [
        ("2027-06-04 13:59", "2027-06-04 15:00"),
        ("2027-06-04 14:01", "2027-06-07 09:00"),
        ("2027-12-24 17:00", "2027-12-29 09:00"),
        ("2027-03-26 12:00", "2027-03-30 09:00"),
        ("2027-10-29 16:00", "2027-11-01 09:00"),
    ],
)
def test_first_call_after(at: str, first: str) -> None:
    """An hour is enough; Friday evening leads to Monday; Christmas and Easter are passed over."""
    assert call_spans(CALLS.window, london(at), 2, 5)[0].starts_at == london(first)


@settings(deadline=None)
@given(INSTANTS)
@example(london("2027-10-31 01:30"))
@example(london("2027-10-31 01:30", fold=1))
def test_every_instant_is_found_by_what_the_clock_shows(at: datetime) -> None:
    """What London's clocks show at an instant leads to that instant, and to none that differs."""
    local = at.astimezone(LONDON)
    found = instants(local.date(), local.time())
    assert at in found
    assert {one.astimezone(LONDON).time() for one in found} == {local.time()}
    assert len(found) == 1 + (local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset())


@pytest.mark.parametrize(
    ("day", "at", "times"),
    [
        (date(2027, 3, 28), time(0, 59), 1),
        (date(2027, 3, 28), time(1), 0),
        (date(2027, 3, 28), time(1, 59), 0),
        (date(2027, 3, 28), time(2), 1),
        (date(2027, 10, 31), time(0, 59), 1),
        (date(2027, 10, 31), time(1), 2),
        (date(2027, 10, 31), time(1, 59), 2),
        (date(2027, 10, 31), time(2), 1),
    ],
)
def test_hours_that_clocks_leave_out_or_repeat(day: date, at: time, times: int) -> None:
    """One hour in spring never comes, one in autumn comes twice."""
    assert len(instants(day, at)) == times


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_every_way_through_the_questions_has_its_end(lang: str) -> None:
    """Whatever is answered, there is a way and a reason, or somebody to ring and what to do."""
    ends = list(guide().outcomes())
    assert len(ends) > 80
    with override(lang):
        for end in ends:
            assert str(end.topic)
            assert str(end.kind)
            if end.kind.is_emergency:
                assert end.way is None
                assert end.emergencies
                for one in end.emergencies:
                    assert one.telephones
                    assert len(one.steps) > 1
                continue
            assert end.way is not None
            assert str(end.why)
            if end.kind.pace == "today":
                assert end.way.slug in {"telephone", "chat", "visit"}, end
            if end.way != end.wished:
                assert str(end.why) != str(end.way.why)
            if end.kind.here:
                assert reverse(end.kind.here.page)


def test_nothing_urgent_waits_for_an_answer_in_writing() -> None:
    """Danger leads to the telephone before anybody is asked how to reach us."""
    known = guide()
    for topic, kind in [("repairs", "danger"), ("neighbours", "danger"), ("tenancy", "tonight")]:
        found = known.topic(topic)
        assert found is not None
        one = found.kind(kind)
        assert one is not None
        assert one.is_emergency


def test_all_numbers_are_made_up_or_for_emergencies() -> None:
    """Ours are of the range for made-up numbers; the others are the country's emergency numbers."""
    known = guide()
    numbers = {known.telephone.number, known.emergency_line.number}
    numbers |= {
        telephone.number
        for end in known.outcomes()
        for one in end.emergencies
        for telephone in one.telephones
    }
    for number in numbers - {"999", "105", "0800 111 999"}:
        assert number.startswith("01632 960 "), number


def test_texts_of_the_guide_differ_between_the_languages() -> None:
    """No Welsh was forgotten: nothing is said alike in both."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if {"en", "cy"} <= value.keys():
                yield value["en"], value["cy"]
            for one in value.values():
                yield from walk(one)
        elif isinstance(value, list | tuple):
            for one in value:
                yield from walk(one)

    pairs = list(walk(guide().model_dump()))
    assert len(pairs) > 60
    assert [en for en, cy in pairs if en == cy] == []


def test_hours_are_written_in_both_languages() -> None:
    """With the mutation that Welsh asks for after 'i'."""
    office = guide().offices[1]
    with override("en"):
        assert [str(one) for one in office.hours] == [
            "Monday to Wednesday, 9:30am to 4pm",
            "Friday, 9:30am to 1pm",
        ]
    with override("cy"):
        assert [str(one) for one in office.hours] == [
            "Dydd Llun i ddydd Mercher, 9:30am tan 4pm",
            "Dydd Gwener, 9:30am tan 1pm",
        ]


TEXT = PLACE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[telephone]", "[telephone", "not TOML"),
        ('slug = "visit"', 'slug = "pigeon"', "ways.5.slug"),
        ('slug = "visit"', 'slug = "chat"', "ways: 'visit' is missing"),
        ('slug = "visit"', 'slug = "chat"', "ways: 'chat' is there twice"),
        ('slug = "rent"', 'slug = "repairs"', "topics: 'repairs' is there twice"),
        ('slug = "pay"', 'slug = "balance"', "rent: 'balance' is there twice"),
        ('emergency = "danger"', 'emergency = "dragons"', "there is no emergency 'dragons'"),
        ('emergency = "danger"', 'pace = "days"', "emergency 'danger': nothing leads to it"),
        ("repairs = true", "", "repairs.danger: must have exactly one of"),
        ("repairs = true", 'repairs = true\npace = "days"', "repairs.danger: must have exactly"),
        (
            "repairs = true",
            'repairs = true\nhere = { page = "rent", en = "a", cy = "b" }',
            "repairs.danger: an emergency is for the telephone alone",
        ),
        (
            '[topics.kinds.instead.message]\nway = "telephone"',
            '[topics.kinds.instead.telephone]\nway = "message"',
            "email leads to telephone, which leads on",
        ),
        (
            '[topics.kinds.instead.chat]\nway = "telephone"\nen = "Ring us, so',
            '[topics.kinds.instead.chat]\nway = "message"\nen = "Ring us, so',
            "neighbours.threats: chat leads to message, which is too slow",
        ),
        ('cy = "Atgyweiriad"', "", "topics.0.cy"),
        ('first = "monday"', 'first = "someday"', "telephone.hours.0.first"),
        ('number = "01632 960 100"', 'number = "ring us"', "telephone.number"),
        ("opens = 08:00:00, closes = 18:00:00", "opens = 18:00:00, closes = 08:00:00", "hours"),
        ('first = "monday", last = "wednesday"', 'first = "friday", last = "monday"', "hours"),
    ],
)
def test_guide_that_cannot_be_used_says_why(old: str, new: str, said: str) -> None:
    """Whatever is wrong in it is found when it is read, with its place."""
    assert old in TEXT
    with pytest.raises(ContentError) as raised:
        read(Guide, TEXT.replace(old, new, 1), wrong_with)
    assert said in str(raised.value)
