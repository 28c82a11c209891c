"""Days and times in words, as a reader of each language says them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from babel.dates import format_date
from demo_portal.clock import LONDON
from demo_portal.jinja import language, time_text
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from datetime import date, datetime, time

    from .contact.hours import Span
    from .contact.models import CallBack
    from .repairs.housing import Appointment

_AND = re.compile(r"\ba (?=(1|8|11)(:|am|pm))")
"""Welsh 'and' before an hour whose name begins with a vowel: un, wyth, un ar ddeg."""


def day_text(day: date) -> str:
    """Write a day as it stands alone, as in Tuesday 8 June 2027 or Dydd Mawrth 8 Mehefin 2027."""
    locale = {"cy": "cy_GB"}.get(language(), "en_GB")
    return format_date(day, "EEEE d MMMM y", locale=locale)


def on_day(day: date) -> str:
    """Write a day as it stands after 'on': in Welsh it says so by its first letters."""
    text = day_text(day)
    return "ddydd " + text.removeprefix("Dydd ") if text.startswith("Dydd ") else text


def by_day(day: date) -> str:
    """Write a day as it stands after 'by': Welsh has no capital letter there."""
    text = day_text(day)
    return "d" + text[1:] if text.startswith("Dydd ") else text


def between(start: time | datetime, end: time | datetime) -> str:
    """Write from when to when, without the day, as in 8am to midday."""
    return _("%(start)s to %(end)s") % {"start": time_text(start), "end": time_text(end)}


def hours_text(window: Appointment) -> str:
    """Write a slot without its day, as it stands alone: 8am to midday or Midday to 5pm."""
    return _capital(between(window.starts_at, window.ends_at))


def span_text(span: Span | CallBack) -> str:
    """Write a time within one day, as in Tuesday 1 June 2027, 9am to 11am."""
    day = day_text(span.starts_at.astimezone(LONDON).date())
    return f"{day}, {between(span.starts_at, span.ends_at)}"


def window_text(window: Appointment) -> str:
    """Write a slot, as in between 8am and midday on Tuesday 8 June 2027."""
    text = _("between %(start)s and %(end)s on %(day)s") % {
        "start": time_text(window.starts_at),
        "end": time_text(window.ends_at),
        "day": on_day(window.starts_at.astimezone(LONDON).date()),
    }
    return _AND.sub("ac ", text) if language() == "cy" else text


def moment_text(at: datetime) -> str:
    """Write an instant, as in 5pm on Monday 7 June 2027."""
    return _("%(time)s on %(day)s") % {
        "time": time_text(at),
        "day": on_day(at.astimezone(LONDON).date()),
    }


def window_line(window: Appointment) -> str:
    """Write a slot as it stands alone: as `window_text`, with a capital letter."""
    return _capital(window_text(window))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
