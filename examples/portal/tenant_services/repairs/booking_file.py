"""A visit as an iCalendar file (RFC 5545)."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from demo_portal import clock

if TYPE_CHECKING:
    from .housing import Appointment

DOMAIN = "tenant-services.example"


def calendar_file(window: Appointment, *, job: str, summary: str, text: str, address: str) -> bytes:
    """Return an event in UTC, which every calendar shows on its own clocks.

    A job has one: the file of a visit that was changed takes the earlier one's place.
    """
    from icalendar import Calendar, Event

    event = Event()
    event.add("uid", f"{job}@{DOMAIN}")
    event.add("dtstamp", clock.now().astimezone(UTC))
    event.add("dtstart", window.starts_at.astimezone(UTC))
    event.add("dtend", window.ends_at.astimezone(UTC))
    event.add("summary", summary)
    event.add("description", text)
    event.add("location", address)
    calendar = Calendar()
    calendar.add("prodid", "-//automation-rules//tenant services//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    calendar.add_component(event)
    document: bytes = calendar.to_ical()
    return document
