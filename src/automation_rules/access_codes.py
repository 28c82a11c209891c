"""The daily access code: issuing and verifying it, and for how long one counts as today's.

A portal sends a six-digit code to the account holder's phone at sign-in, and a person types it
in by hand each day (clause ``step-2.manual-code``). Two parties need rules for it:

- a portal keeps one `Challenge` per account and moves it on with `issue` and `verify`. Both are
  pure: they return the next challenge, and leave it to the caller to store it by compare-and-set
  so that one code cannot be used twice (`automation_rules.store.codes.PortalCodes` does so);
- a landlord's side asks whether a code that a person supplied still counts, with
  `code_is_current` and `code_valid_until`, under the named reading ``daily``.

Codes are HOTP values (RFC 4226) counted by London day, not TOTP: a period of 86,400 seconds
rolls over at midnight UTC, so that 00:30 and 01:30 on one London summer day would differ.
"""

from __future__ import annotations

import hmac
import sys
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import Enum
from typing import Final, Protocol

from .clock import LONDON, to_london, to_utc
from .errors import AccessCodeError, ClockError, FieldError, InvalidInputError

__all__ = [
    "MAX_ISSUES_A_DAY",
    "Challenge",
    "CodeLimits",
    "ConsoleSender",
    "Sender",
    "Verdict",
    "code_is_current",
    "code_valid_until",
    "is_access_code",
    "issue",
    "verify",
]

MAX_ISSUES_A_DAY: Final = 999
"""Codes that one account can be sent in one London day: the counter has three digits for them."""

_DAY: Final = timedelta(days=1)


def code_is_current(provided_at: datetime, at: datetime, reading: str) -> bool:
    """Return whether a code supplied at ``provided_at`` counts at ``at``.

    Under ``london-day`` it counts until that London day ends, under ``24-hours`` for 24 hours;
    never before it was supplied (clause ``step-2.manual-code``).

    Raises:
        ClockError: a naive datetime, or one outside what UTC and London time can express.
        InvalidInputError: an unknown reading.
    """
    until = code_valid_until(provided_at, reading)
    return to_utc(provided_at) <= to_utc(at) < until


def code_valid_until(provided_at: datetime, reading: str) -> datetime:
    """Return the first instant, in UTC, at which a code supplied at ``provided_at`` has lapsed.

    Under ``london-day`` that is the next London midnight, so 23 hours after the one before it on
    the day the clocks go forward, and 25 on the day they go back.

    Raises:
        ClockError: a naive datetime, or one outside what UTC and London time can express.
        InvalidInputError: an unknown reading.
    """
    if reading == "london-day":
        tomorrow = _later(to_london(provided_at), _DAY).date()
        return to_utc(datetime.combine(tomorrow, time(), LONDON))
    if reading == "24-hours":
        return _later(to_utc(provided_at), _DAY)
    raise InvalidInputError(
        [FieldError("/daily", f"{reading!r} is not a reading: give 'london-day' or '24-hours'")]
    )


def _later(at: datetime, span: timedelta) -> datetime:
    try:
        return at + span
    except OverflowError as error:
        raise ClockError(f"{span} after {at.isoformat()} is past the year 9999") from error


def is_access_code(text: str) -> bool:
    """Return whether ``text`` is exactly six ASCII digits.

    Digits of other scripts are refused: a library that normalises them would take a code that
    nobody was sent.
    """
    return len(text) == 6 and text.isascii() and text.isdigit()


class Verdict(Enum):
    """What became of one attempt to use a code."""

    ACCEPTED = "accepted"
    """The code is right, and this used it up."""

    WRONG = "wrong"
    """Six digits, but others; counted against the code and against the day."""

    MALFORMED = "malformed"
    """Not exactly six ASCII digits: never right, so not counted."""

    EXPIRED = "expired"
    """The code's minutes are over, or lie ahead."""

    USED = "used"
    """The code was used before."""

    LOCKED = "locked"
    """Too many wrong tries, at this code or on this day."""


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """The limits that a portal sets. The terms name none: these defaults are our choice.

    ``lifetime`` is how long a code can be used. ``tries`` wrong tries lock that code.
    ``tries_a_day`` wrong tries lock the account until the next London day, so that asking for
    new codes does not buy tries without end: with the default, guessing blindly succeeds on at
    most 15 days in a million.

    Raises:
        InvalidInputError: a limit under which no code could be used.
    """

    lifetime: timedelta = timedelta(minutes=10)
    tries: int = 5
    tries_a_day: int = 15

    def __post_init__(self) -> None:
        """Check each limit."""
        errors = []
        if self.lifetime <= timedelta():
            errors.append(FieldError("/lifetime", f"is {self.lifetime}: give a positive time"))
        if self.tries < 1:
            errors.append(FieldError("/tries", f"is {self.tries}: allow at least one"))
        if self.tries_a_day < 1:
            errors.append(FieldError("/tries_a_day", f"is {self.tries_a_day}: allow at least one"))
        if errors:
            raise InvalidInputError(errors)


DEFAULT_LIMITS: Final = CodeLimits()


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a portal remembers about an account's latest code; the code itself is not in it.

    ``secret`` is the account's own HOTP secret in base 32, from which its codes follow: encrypt
    it at rest. ``issued`` and ``wrong_today`` count the codes and the wrong tries of the London
    day on which the latest code was issued, ``wrong_tries`` those at that code alone. Instants
    are in UTC; ``used_at`` is None until the code is used.
    """

    secret: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    issued: int
    wrong_tries: int = 0
    wrong_today: int = 0
    used_at: datetime | None = None

    @property
    def counter(self) -> int:
        """The HOTP counter of the latest code: the London day's ordinal x 1000 + its number."""
        return to_london(self.issued_at).toordinal() * 1000 + self.issued


def issue(
    previous: Challenge | None, now: datetime, limits: CodeLimits = DEFAULT_LIMITS
) -> tuple[Challenge, str]:
    """Issue a fresh code at ``now``; the one before it stops working.

    ``previous`` is the account's challenge so far, or None for its first, which gets a new
    random secret. Returns the challenge to store and the code to send.

    Raises:
        AccessCodeError: the account is locked for the day, has been sent `MAX_ISSUES_A_DAY`
            codes that day, or was sent one at a later instant than ``now``.
        ClockError: ``now`` is naive, or outside what UTC and London time can express.
    """
    now = to_utc(now)
    issued = wrong_today = 0
    if previous is not None:
        if now < previous.issued_at:
            raise AccessCodeError(
                "a code was already issued at a later time: set this machine's clock right"
            )
        if code_is_current(previous.issued_at, now, "london-day"):
            issued, wrong_today = previous.issued, previous.wrong_today
    if wrong_today >= limits.tries_a_day:
        raise AccessCodeError(
            f"the account is locked after {wrong_today} wrong tries today: "
            "ask for a code again tomorrow, London time"
        )
    if issued >= MAX_ISSUES_A_DAY:
        raise AccessCodeError(
            f"the account was sent {issued} codes today, the most there can be: "
            "ask for a code again tomorrow, London time"
        )
    challenge = Challenge(
        secret=_new_secret() if previous is None else previous.secret,
        issued_at=now,
        expires_at=_later(now, limits.lifetime),
        issued=issued + 1,
        wrong_today=wrong_today,
    )
    return challenge, _code(challenge)


def verify(
    challenge: Challenge, code: str, now: datetime, limits: CodeLimits = DEFAULT_LIMITS
) -> tuple[Challenge, Verdict]:
    """Try ``code`` at ``now``; compared in constant time.

    Returns the challenge to store and what became of the try. Only `Verdict.ACCEPTED` lets
    anyone in; it is given once per code.

    Raises:
        ClockError: ``now`` is naive, or outside what UTC can express.
    """
    now = to_utc(now)
    if challenge.used_at is not None:
        return challenge, Verdict.USED
    if challenge.wrong_tries >= limits.tries or challenge.wrong_today >= limits.tries_a_day:
        return challenge, Verdict.LOCKED
    if not challenge.issued_at <= now < challenge.expires_at:
        return challenge, Verdict.EXPIRED
    if not is_access_code(code):
        return challenge, Verdict.MALFORMED
    if hmac.compare_digest(code, _code(challenge)):
        return replace(challenge, used_at=now), Verdict.ACCEPTED
    wrong = replace(
        challenge,
        wrong_tries=challenge.wrong_tries + 1,
        wrong_today=challenge.wrong_today + 1,
    )
    return wrong, Verdict.WRONG


def _new_secret() -> str:
    import pyotp

    return pyotp.random_base32()


def _code(challenge: Challenge) -> str:
    import pyotp

    return pyotp.HOTP(challenge.secret).at(challenge.counter)


class Sender(Protocol):
    """Something that takes a code to a person's phone."""

    def send(self, recipient: str, text: str) -> None:
        """Send ``text`` to ``recipient``, a phone number; raise when it was not taken on."""


class ConsoleSender:
    """Writes messages to standard error. For development only: whoever sees it sees the code."""

    def send(self, recipient: str, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"SMS to {recipient!r}: {text}\n")
