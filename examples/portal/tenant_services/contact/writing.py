"""What every form shares in which somebody writes to somebody."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal.jinja import time_text
from design.forms import Form, LinesField
from django import forms
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..words import moment_text, span_text
from .guide import guide
from .models import LONGEST, REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest

    from .hours import Opening

_LETTERS = "23456789BCDFGHJKMNPQRSTVWXYZ"
_DRAFTS = "contact_drafts"
_NUMBER = re.compile(r"[A-Z0-9-]{1,20}")


def new_reference() -> str:
    """Return a reference that is easy to read out, spells nothing and tells nobody anything."""
    return "".join(secrets.choice(_LETTERS) for _letter in range(REFERENCE))


class WrittenField(LinesField):
    """Text of some length."""

    def __init__(self, *, required_message: Any, **named: Any) -> None:
        """Say what to write when there is nothing."""
        super().__init__(
            max_length=LONGEST,
            error_messages={
                "required": required_message,
                "max_length": gettext_lazy(
                    "The text must be %(limit_value)d characters or fewer. Shorten it, or send it"
                    " in two parts"
                ),
            },
            **named,
        )


class OnceForm(Form):
    """A form that counts once, however often the same page sends the same."""

    token = forms.CharField(
        widget=forms.HiddenInput,
        required=False,
        max_length=64,
        initial=lambda: secrets.token_urlsafe(12),
    )
    says: ClassVar[Sequence[str]] = ()
    """The fields by which two answers from the same page differ."""

    def once(self, by: object = "") -> str:
        """Return what the answers hash to, if they may be ``by`` more than one."""
        said = [str(by), *(str(self.cleaned_data.get(name)) for name in ("token", *self.says))]
        return salted_hmac("contact.once", "\0".join(said), algorithm="sha256").hexdigest()


def draft(request: HttpRequest, name: str) -> str:
    """Return what was typed on another page and belongs here."""
    return str(request.session.get(_DRAFTS, {}).get(name, ""))


def keep_draft(request: HttpRequest, name: str, text: str) -> None:
    """Keep what was typed, in the session: an address is no place for it."""
    drafts = request.session.get(_DRAFTS, {})
    drafts.pop(name, None)
    request.session[_DRAFTS] = drafts | ({name: text} if text else {})


def repair_asked(request: HttpRequest) -> str:
    """Return the number of the repair that a question is about, if the address has one.

    Anybody can have written the address: the number only begins what the tenant writes.
    """
    number = request.GET.get("repair", "")
    return number if _NUMBER.fullmatch(number) else ""


def opening_text(found: Opening) -> str:
    """Write whether somebody is there, and until when, as in Open now, until ..."""
    if found.until is None:
        return ""
    if found.is_open:
        return _("Open now, until %(time)s.") % {"time": time_text(found.until)}
    return _("Closed now. Opens at %(moment)s.") % {"moment": moment_text(found.until)}


def topic_text(slug: str) -> str:
    """Return what something is about, in the language in use; a topic may be gone by now."""
    return str(guide().topic(slug) or slug)


SAYS = {
    "moment_text": moment_text,
    "opening_text": opening_text,
    "span_text": span_text,
    "topic_text": topic_text,
}
"""What templates of this pillar call, as a view's ``extra_context``."""
