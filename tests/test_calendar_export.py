"""Open hours as iCalendar files, read back by another road than they were written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from icalendar import Calendar

from automation_rules.actions import TodoKind
from automation_rules.calendar_export import to_icalendar
from automation_rules.clock import LONDON
from automation_rules.errors import ClockError, HorizonError
from automation_rules.windows import Always, Closure, Closures, Interval, PortalHours, Window

STAMP = datetime(2026, 1, 5, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def export(
    window: Window, start: datetime, end: datetime, kind: TodoKind | None = None, **other: Any
) -> bytes:
    """Export with names that do not matter."""
    names = {"summary": "Open", "uid_domain": "acme.example", "stamp": STAMP, **other}
    return to_icalendar(window, start, end, kind=kind, **names)


def onsets(component: Any) -> list[tuple[datetime, timedelta]]:
    """Return the UTC instants at which a VTIMEZONE's observance begins, and its offset.

    As RFC 5545 section 3.6.5 says: DTSTART and RRULE give times by the offset that ends.
    """
    begin = component["DTSTART"].dt
    before, after = component["TZOFFSETFROM"].td, component["TZOFFSETTO"].td
    rule = component["RRULE"].to_ical().decode()
    head, _, until = rule.partition("UNTIL=")
    if until:
        # dateutil wants UNTIL as naive as DTSTART.
        last = datetime.strptime(until[:16], "%Y%m%dT%H%M%SZ") + before  # noqa: DTZ007
        rule = f"{head}UNTIL={last:%Y%m%dT%H%M%S}{until[16:]}"
    times = rrulestr(rule, dtstart=begin).between(
        begin,
        datetime(2101, 1, 1),  # noqa: DTZ001
        inc=True,
    )
    return [((time - before).replace(tzinfo=UTC), after) for time in times]


def transitions(calendar: Any) -> list[tuple[datetime, timedelta]]:
    """Return when the file's own time zone changes its offset, and to which."""
    (zone,) = calendar.walk("VTIMEZONE")
    assert zone["TZID"] == "Europe/London"
    return sorted(onset for observance in zone.subcomponents for onset in onsets(observance))


def instant(value: Any, changes: list[tuple[datetime, timedelta]]) -> datetime:
    """Return the instant of a DTSTART or DTEND, by the file's own time zone alone."""
    text = value.to_ical().decode()
    if text.endswith("Z"):
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert value.params["TZID"] == "Europe/London"
    local = datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    for onset, offset in reversed(changes):
        if local - offset >= onset:
            # The first of two instants that the clocks show alike, as the standard says.
            earlier = local - timedelta(hours=1)
            return earlier if offset == timedelta(0) and earlier < onset else local - offset
    raise AssertionError(text)


def read(document: bytes) -> list[Interval]:
    """Return the intervals of a file, as a calendar program would understand it."""
    calendar = Calendar.from_ical(document)
    changes = transitions(calendar)
    return [
        Interval(instant(event["DTSTART"], changes), instant(event["DTEND"], changes))
        for event in calendar.walk("VEVENT")
    ]


@pytest.mark.parametrize("kind", [None, TodoKind.CONFIRM_HOUSING_COSTS])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 10, tzinfo=UTC)),
        (datetime(2026, 10, 16, tzinfo=UTC), datetime(2026, 11, 6, tzinfo=UTC)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(1981, 1, 1, tzinfo=UTC), datetime(1981, 12, 31, tzinfo=UTC)),
        (datetime(1993, 10, 1, tzinfo=UTC), datetime(1997, 11, 6, tzinfo=UTC)),
        (datetime(2100, 3, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)),
    ],
    ids=lambda at: f"{at:%Y-%m-%d}",
)
def test_what_is_read_is_what_was_open(
    start: datetime, end: datetime, kind: TodoKind | None
) -> None:
    """Read by its own time zone, the file has the window's intervals, clock changes included."""
    hours = PortalHours()
    assert read(export(hours, start, end, kind)) == list(hours.intervals(start, end, kind))


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25", "1995-10-22", "1987-10-25"])
def test_every_half_hour_around_a_clock_change(change: str) -> None:
    """Edges before, in and after the repeated or skipped hour come back as they were."""
    around = datetime.fromisoformat(change).replace(tzinfo=UTC) - timedelta(hours=2)
    half = timedelta(minutes=30)
    closed = [Closure(around + n * half, around + (n + 1) * half) for n in range(0, 12, 2)]
    window = Always() - Closures(closed)
    end = around + 14 * half
    assert read(export(window, around, end)) == list(window.intervals(around, end))


def test_the_time_zone_is_londons() -> None:
    """The file's time zone changes when London's clocks do, in every year known."""
    changes = transitions(Calendar.from_ical(export(Always(), STAMP, STAMP + SECOND)))
    known = [change for change in changes if change[0].year >= 1981]
    assert len(known) == 2 * 120
    for onset, offset in known:
        assert onset.astimezone(LONDON).utcoffset() == offset
        assert (onset - SECOND).astimezone(LONDON).utcoffset() == timedelta(hours=1) - offset
    assert changes[0] == (datetime(1980, 10, 26, 1, tzinfo=UTC), timedelta(0))


def test_the_file_is_as_the_standard_wants_it() -> None:
    """Lines end in CRLF and are folded at 75 octets; text is escaped; times are London's."""
    start = datetime(2026, 6, 2, tzinfo=UTC)
    summary = "Oriau agored y porth, i'w cadw; " + "ŵ" * 60
    document = export(PortalHours(), start, start + timedelta(days=1), summary=summary)
    assert document.startswith(b"BEGIN:VCALENDAR\r\n")
    assert document.endswith(b"END:VCALENDAR\r\n")
    assert document.count(b"\n") == document.count(b"\r\n")
    assert all(len(line) <= 75 for line in document.split(b"\r\n"))
    assert b"\r\nVERSION:2.0\r\n" in document
    assert b"\r\nPRODID:-//" in document
    assert b"\r\nDTSTART;TZID=Europe/London:20260602T080000\r\n" in document
    assert b"\r\nDTEND;TZID=Europe/London:20260602T180000\r\n" in document
    assert b"\r\nDTSTAMP:20260105T090000Z\r\n" in document
    assert b"\r\nTRANSP:TRANSPARENT\r\n" in document
    (event,) = Calendar.from_ical(document).walk("VEVENT")
    assert event["SUMMARY"] == summary


def test_identifiers_are_stable_and_distinct() -> None:
    """Two exports agree on every UID; two kinds of to-do, and two intervals, do not share one."""
    start = datetime(2026, 3, 30, tzinfo=UTC)
    end = start + timedelta(days=9)

    def uids(kind: TodoKind | None, stamp: datetime = STAMP) -> list[str]:
        document = export(PortalHours(), start, end, kind, stamp=stamp)
        return [str(event["UID"]) for event in Calendar.from_ical(document).walk("VEVENT")]

    assert uids(None) == uids(None, STAMP + SECOND)
    assert uids(None)[0] == "20260330T070000Z-any@acme.example"
    assert uids(TodoKind.OTHER)[0] == "20260330T070000Z-other@acme.example"
    assert len(set(uids(None))) == len(uids(None)) > 4
    assert not set(uids(None)) & set(uids(TodoKind.OTHER))


def test_fractions_of_a_second_are_closed() -> None:
    """An interval is shortened to whole seconds, and left out when none remains."""
    start = datetime(2026, 6, 2, 9, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    window = Always() - Closures(
        [
            Closure(start + 5 * SECOND - tick, start + 6 * SECOND + tick),
            Closure(start + 7 * SECOND - tick, start + 20 * SECOND),
        ]
    )
    assert read(export(window, start + tick, start + 30 * SECOND)) == [
        Interval(start + SECOND, start + 4 * SECOND),
        Interval(start + 20 * SECOND, start + 30 * SECOND),
    ]


def test_bad_instants_are_refused() -> None:
    """Naive instants, reversed spans and unknown years are errors, the stamp's included."""
    start, naive = datetime(2026, 6, 2, 9, tzinfo=UTC), datetime(2026, 6, 2, 9)  # noqa: DTZ001
    with pytest.raises(ClockError):
        export(PortalHours(), naive, start)
    with pytest.raises(ClockError):
        export(PortalHours(), start, start + timedelta(days=1), stamp=naive)
    with pytest.raises(ValueError, match="give them in order"):
        export(PortalHours(), start, start - SECOND)
    with pytest.raises(HorizonError):
        export(PortalHours(), start, datetime(2101, 1, 2, tzinfo=UTC))
