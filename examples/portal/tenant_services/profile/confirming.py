"""Confirming that a telephone number or an e-mail address is somebody's.

A code by SMS lasts 10 minutes and takes 5 tries; however many codes are asked for, wrong tries at
one number lock it for a day. A link by e-mail lasts a day. Each confirms once, and the next that is
sent takes the place of the one before. Neither can somebody's telephone or inbox be filled, nor
does anybody send messages to one stranger after the other.
"""

from __future__ import annotations

import hmac
import re
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from demo_portal import clock
from demo_portal.tries import digest, give_back, use_try
from django.db.models import F, Q
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from landlord_portal.codes import PROBLEMS

from automation_rules.access_codes import Verdict, is_access_code

from .messages import NotSentError, send_sms

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import QuerySet
    from django.utils.functional import Promise

    from .models import Unconfirmed

CODE_LASTS: Final = timedelta(minutes=10)
LINK_LASTS: Final = timedelta(hours=24)
TRIES_AT_CODE: Final = 5
TRIES_AT_NUMBER: Final = 15
SENT_A_DAY: Final = 10
"""How many codes go to a number, and links to an address."""
ASKED_A_DAY: Final = 20
"""How many codes and links a person or an account asks for, wherever they go."""
PAUSE: Final = timedelta(seconds=30)
"""What is asked for again so soon was asked for by a second click."""

TOO_MANY = _("We have sent too many already. Wait 24 hours before you ask again")
NOT_SENT = _("We could not send it. Wait a few minutes, then try again")

_MOBILE = re.compile(r"(?:0|\+44|0044)(7[0-9]{9})")


def mobile(typed: str) -> str | None:
    """Return a British mobile number as it is kept, like +44 7700 900982; None if it is none."""
    digits = re.sub(r"\(0\)|[\s().-]", "", typed)
    found = _MOBILE.fullmatch(digits)
    return found and f"+44 {found[1][:4]} {found[1][4:]}"


def plain_email(typed: str) -> str:
    """Return an e-mail address as it is kept and compared."""
    return typed.strip().lower()


def send_code(record: Unconfirmed, number: str) -> Promise | str | None:
    """Send a fresh code for ``record`` to ``number``; return what is wrong, or None.

    Of two clicks one sends.
    """
    code = f"{secrets.randbelow(1_000_000):06d}"
    text = gettext(
        "%(code)s is your code to confirm this number for tenant services. Type it in within "
        "10 minutes. Tell it to nobody, and ignore it if you did not ask for it."
    )
    fresh = {"code_hash": _hashed("code", f"{record.pk}:{code}"), "code_tries": 0}
    return _send(record, "code", fresh, number, lambda: send_sms(number, text % {"code": code}))


def try_code(record: Unconfirmed, number: str, typed: str) -> Promise | str | None:
    """Use up the code that was sent; return what is wrong with it, or None when it is right."""
    if not is_access_code(typed):
        return PROBLEMS[Verdict.MALFORMED]
    rows = _rows(record)
    expired = clock.now() - CODE_LASTS
    if not rows.filter(code_sent_at__gt=expired).exclude(code_hash="").exists():
        return PROBLEMS[Verdict.EXPIRED]
    if not rows.filter(code_tries__lt=TRIES_AT_CODE).update(code_tries=F("code_tries") + 1):
        return PROBLEMS[Verdict.LOCKED]
    at_number = f"code:{digest(number)}"
    if not use_try(at_number, TRIES_AT_NUMBER):
        return PROBLEMS[Verdict.LOCKED]
    hashed = _hashed("code", f"{record.pk}:{typed}")
    sent = rows.values_list("code_hash", flat=True).first() or ""
    if not hmac.compare_digest(hashed, sent):
        return PROBLEMS[Verdict.WRONG]
    if not rows.filter(code_hash=hashed).update(code_hash=""):
        return PROBLEMS[Verdict.USED]
    give_back(at_number)
    return None


def send_link(
    record: Unconfirmed, address: str, send: Callable[[str], None]
) -> Promise | str | None:
    """Give ``send`` a fresh token for ``record`` to be sent; return what is wrong, or None."""
    token = secrets.token_urlsafe(32)
    return _send(record, "link", {"link_hash": link_hash(token)}, address, lambda: send(token))


def link_hash(token: str) -> str:
    """Return what is kept of a link's token."""
    return _hashed("link", token)


def _hashed(what: str, text: str) -> str:
    return salted_hmac(f"tenant_services.{what}", text, algorithm="sha256").hexdigest()


def _rows(record: Unconfirmed) -> QuerySet[Any]:
    """Return the record as it is now, if another request did not change what is confirmed."""
    same = {"pk": record.pk, **record.contacts}
    return type(record)._default_manager.filter(**same)  # type: ignore[attr-defined, no-any-return]


def _send(
    record: Unconfirmed, what: str, fresh: dict[str, Any], to: str, send: Callable[[], None]
) -> Promise | str | None:
    """Keep what is ``fresh`` and send it, unless one was sent a moment ago."""
    now, at, rows = clock.now(), f"{what}_sent_at", _rows(record)
    fresh = fresh | {at: now}
    before = rows.values(*fresh).first()
    free = Q(**{at: None}) | Q(**{f"{at}__lte": now - PAUSE})
    if not rows.filter(free).update(**fresh):
        return None
    limits = {
        f"sent:{digest(to)}": SENT_A_DAY,
        f"asked:{digest(record.asker)}": ASKED_A_DAY,
    }
    left = [use_try(key, limit) for key, limit in limits.items()]
    problem = None if all(left) else TOO_MANY
    if problem is None:
        try:
            send()
        except NotSentError:
            give_back(*limits)
            problem = NOT_SENT
    if problem and before:
        # What was sent before is still as good as it was.
        rows.filter(**fresh).update(**before)
    return problem
