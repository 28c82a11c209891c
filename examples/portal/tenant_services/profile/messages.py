"""E-mails and text messages to tenants."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.module_loading import import_string
from django.utils.translation import gettext, override

if TYPE_CHECKING:
    from collections.abc import Callable

HELPLINE: Final = "01632 960 100"
"""The number that messages and pages tell people to call. It is made up."""

_log = logging.getLogger(__name__)


class NotSentError(Exception):
    """A message was not taken on by what sends it. Says nothing of whom it was for."""


def send_email(address: str, subject: str, *paragraphs: str) -> None:
    """Send an e-mail.

    Raises:
        NotSentError: it was not taken on.
    """
    message = EmailMessage(str(subject), "\n\n".join(map(str, paragraphs)) + "\n", to=[address])
    try:
        message.send()
    except OSError as error:
        _failed("an e-mail", error)
        raise NotSentError from None


def send_sms(number: str, text: str) -> None:
    """Send a text message.

    Raises:
        NotSentError: it was not taken on.
    """
    try:
        import_string(settings.PORTAL_SMS_SENDER)().send(number, str(text))
    except Exception as error:
        _failed("a text message", error)
        raise NotSentError from None


def tell(address: str, said: Callable[[], tuple[str, ...]]) -> None:
    """Send someone who may not be the one who asks an e-mail in both languages.

    ``said`` returns the subject and the paragraphs in the language in use. It is not worth
    stopping for when it cannot be sent: what it tells of has happened.
    """
    texts = []
    for lang, _name in settings.LANGUAGES:
        with override(lang):
            texts.append(said())
    subject = " / ".join(subject for subject, *_paragraphs in texts)
    bodies = ["\n\n".join(paragraphs) for _subject, *paragraphs in texts]
    try:
        send_email(address, subject, "\n\n---\n\n".join(bodies))
    except NotSentError:
        return


def tell_by_sms(number: str, said: Callable[[], str]) -> None:
    """Send someone who may not be the one who asks a text message in both languages."""
    texts = []
    for lang, _name in settings.LANGUAGES:
        with override(lang):
            texts.append(said())
    try:
        send_sms(number, " / ".join(texts))
    except NotSentError:
        return


def if_not_you() -> str:
    """Return whom to call when something was done in somebody's name."""
    return gettext("If it was not you, call us at once on %(number)s.") % {"number": HELPLINE}


def _failed(what: str, error: Exception) -> None:
    # Whom it was for is personal, and an error may name them: only its kind is written down.
    _log.error("%s could not be sent: %s", what, type(error).__name__)
