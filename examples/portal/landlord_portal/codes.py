"""Access codes by SMS: issued, limited and used up by the rules' own `PortalCodes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo_portal.jinja import language
from django.utils.translation import gettext_lazy as _

from automation_rules import AccessCodeError
from automation_rules.access_codes import Verdict

from .library import portal_codes, record_entry

if TYPE_CHECKING:
    from django.utils.functional import Promise

    from .models import Phone

PROBLEMS: dict[Verdict, Promise | str] = {
    Verdict.WRONG: _("The access code is not the one that we sent. Check the text message"),
    Verdict.MALFORMED: _("The access code must be 6 digits"),
    Verdict.EXPIRED: _("The access code has expired. Ask for a new one"),
    Verdict.USED: _("The access code has been used. Ask for a new one"),
    Verdict.LOCKED: _("There were too many wrong access codes. Ask for a new one, or try tomorrow"),
}


def send(phone: Phone) -> bool:
    """Send a fresh code to the phone; whether one was sent."""
    try:
        portal_codes().issue(str(phone.user_id), phone.number, language())
    except AccessCodeError:
        return False
    return True


def try_code(phone: Phone, code: str) -> Promise | str | None:
    """Use up ``code``; return what is wrong with it, or None when it lets the user in.

    That a person supplied an automation account's code is put on record: the code went to that
    person's phone (clause ``step-2.manual-code``).
    """
    try:
        verdict = portal_codes().verify(str(phone.user_id), code)
    except AccessCodeError:
        verdict = Verdict.EXPIRED
    if verdict is not Verdict.ACCEPTED:
        return PROBLEMS[verdict]
    if phone.user.account_id and phone.holder.registry_id:
        record_entry(phone.user.account_id, phone.holder.registry_id, code)
    return None
