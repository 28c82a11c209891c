"""The templates' environment: GOV.UK's components, translations, dates and money."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import jinja2
from babel.dates import format_date
from babel.numbers import format_currency
from design.forms import DATE_PARTS
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from .clock import LONDON

if TYPE_CHECKING:
    from datetime import date, time
    from decimal import Decimal

    from django.forms import BoundField
    from django.http import HttpRequest


def environment(**options: Any) -> jinja2.Environment:
    """Return the environment that Django's Jinja2 backend renders with."""
    components = jinja2.PackageLoader("govuk_frontend_jinja")
    options["loader"] = jinja2.ChoiceLoader(
        [options["loader"], jinja2.PrefixLoader({"govuk_frontend_jinja": components})]
    )
    options |= {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    made = jinja2.Environment(**options, extensions=["jinja2.ext.i18n"])  # noqa: S701
    made.install_gettext_callables(_, ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(
        url=address,
        static=static,
        languages=settings.LANGUAGES,
        widget_name=widget_name,
        is_chosen=is_chosen,
        date_items=date_items,
    )
    made.filters.update(date=date_text, instant=instant_text, money=money_text)
    return made


def address(name: str, **named: Any) -> str:
    """Return the address of a page."""
    return reverse(name, kwargs=named)


def page(request: HttpRequest) -> dict[str, object]:
    """Return what every page knows."""
    user = getattr(request, "user", None) or AnonymousUser()
    return {"lang": language(), "user": user, "here": request.get_full_path()}


def language() -> str:
    """Return the language in use, ``en`` or ``cy``."""
    return get_language() or settings.LANGUAGE_CODE


def _locale() -> str:
    return {"cy": "cy_GB"}.get(language(), "en_GB")


def date_text(day: date | None) -> str:
    """Write a date out, as in 1 April 2026 or 1 Ebrill 2026."""
    return "" if day is None else format_date(day, "d MMMM y", locale=_locale())


def time_text(at: time | datetime) -> str:
    """Write a time of London's day, as in 8am, midday or 2:30pm.

    An instant in the hour that the clocks repeat has its zone, as in 1:30am (GMT).
    """
    if isinstance(at, datetime):
        local = at.astimezone(LONDON)
        again = local.replace(fold=1 - local.fold)
        text = time_text(local.time())
        return f"{text} ({local:%Z})" if again.utcoffset() != local.utcoffset() else text
    if at.minute == 0 and at.hour in (0, 12):
        return _("midday") if at.hour else _("midnight")
    minutes = f":{at.minute:02d}" if at.minute else ""
    return f"{at.hour % 12 or 12}{minutes}{'am' if at.hour < 12 else 'pm'}"


def instant_text(at: datetime | None) -> str:
    """Write an instant out in London's time, as in 1 April 2026, 9:30am."""
    if at is None:
        return ""
    return f"{date_text(at.astimezone(LONDON).date())}, {time_text(at)}"


def money_text(amount: Decimal | None) -> str:
    """Write pounds and pence, as in £1,234.50."""
    return "" if amount is None else format_currency(amount, "GBP", locale=_locale())


def widget_name(bound: BoundField) -> str:
    """Return the kind of a field's widget, by which its component is chosen."""
    return type(bound.field.widget).__name__


def is_chosen(bound: BoundField, value: object) -> bool:
    """Whether a choice is the field's value, or among its values."""
    chosen = bound.value()
    several = chosen if isinstance(chosen, list | tuple | set | frozenset) else [chosen]
    return str(value) in {str(one) for one in several if one is not None}


def date_items(bound: BoundField) -> list[dict[str, Any]]:
    """Return the three boxes of a date as its component wants them."""
    widget = bound.field.widget
    value = bound.value()
    typed = value if isinstance(value, list) else widget.decompress(value)
    invalid = " govuk-input--error" if bound.errors else ""
    known_as = widget.attrs.get("autocomplete")
    return [
        {
            "name": f"{bound.html_name}_{part}",
            "id": f"{bound.auto_id}_{part}",
            "label": DATE_PARTS[part],
            "value": "" if text is None else str(text),
            "autocomplete": known_as and f"{known_as}-{part}",
            "classes": f"govuk-input--width-{4 if part == 'year' else 2}{invalid}",
        }
        for part, text in zip(DATE_PARTS, typed, strict=True)
    ]
