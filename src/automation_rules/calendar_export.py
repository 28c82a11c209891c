"""Open hours as an iCalendar file (RFC 5545), for people's calendars."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .clock import LONDON, to_utc

if TYPE_CHECKING:
    from icalendar import Timezone

    from .actions import TodoKind
    from .windows import Window

__all__ = ["to_icalendar"]


def to_icalendar(
    window: Window,
    start: datetime,
    end: datetime,
    *,
    kind: TodoKind | None,
    summary: str,
    uid_domain: str,
    stamp: datetime,
) -> bytes:
    """Return the intervals of ``window`` in [``start``, ``end``) as events in London time.

    Every event is called ``summary`` and leaves the reader's time shown as free. Its UID is made
    of its start, ``kind`` and ``uid_domain``, so that a second import replaces the first;
    ``stamp`` is when the file was made. Seconds are the finest that iCalendar knows: an interval
    is shortened to whole ones.

    Raises:
        ClockError: an instant is naive.
        HorizonError: the span leaves the years known.
        ValueError: ``start`` is later than ``end``.
    """
    from icalendar import Calendar, Event

    name = "any" if kind is None else kind.value
    calendar = Calendar()
    calendar.add("prodid", "-//automation-rules//open hours//EN")
    calendar.add("version", "2.0")
    calendar.add_component(_london())
    for interval in window.intervals(start, end, kind):
        opens = interval.start + timedelta(microseconds=-interval.start.microsecond % 1_000_000)
        closes = interval.end.replace(microsecond=0)
        if opens >= closes:
            continue
        event = Event()
        event.add("uid", f"{opens:%Y%m%dT%H%M%SZ}-{name}@{uid_domain}")
        event.add("dtstamp", to_utc(stamp))
        event.add("dtstart", _local(opens))
        event.add("dtend", _local(closes))
        event.add("summary", summary)
        event.add("transp", "TRANSPARENT")
        calendar.add_component(event)
    document: bytes = calendar.to_ical()
    return document


def _local(at: datetime) -> datetime:
    """Return ``at`` on London's clocks, or in UTC where a London time would mean the hour before.

    A time that the clocks show twice means the first of the two in iCalendar.
    """
    local = at.astimezone(LONDON)
    return at if local.fold else local


def _london() -> Timezone:
    # The library's own generator is not used: it gives the spring onset in summer time, where
    # RFC 5545 section 3.6.5 asks for the time by the offset that it ends.
    from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

    zone = Timezone()
    zone.add("tzid", LONDON.key)
    winter, summer = timedelta(0), timedelta(hours=1)
    spring, autumn = (
        (TimezoneDaylight, "BST", winter, summer),
        (TimezoneStandard, "GMT", summer, winter),
    )
    # In October the clocks went back on another Sunday until 1989, and until 1995.
    for (component, name, before, after), onset, rule in (
        (spring, (1981, 3, 29, 1), {"bymonth": 3, "byday": "-1su"}),
        (
            autumn,
            (1980, 10, 26, 2),
            {
                "until": datetime(1989, 10, 29, 1, tzinfo=UTC),
                "bymonth": 10,
                "bymonthday": list(range(23, 30)),
                "byday": "su",
            },
        ),
        (
            autumn,
            (1990, 10, 28, 2),
            {"until": datetime(1995, 10, 22, 1, tzinfo=UTC), "bymonth": 10, "byday": "4su"},
        ),
        (autumn, (1996, 10, 27, 2), {"bymonth": 10, "byday": "-1su"}),
    ):
        observance = component()
        observance.add("tzname", name)
        observance.add("tzoffsetfrom", before)
        observance.add("tzoffsetto", after)
        # Without a zone, as the standard has it: by the clocks that are about to change.
        observance.add("dtstart", datetime(*onset))  # noqa: DTZ001
        observance.add("rrule", {"freq": "yearly", **rule})
        zone.add_component(observance)
    return zone
