"""How much activity of an automation account is too much (clause ``terms.suspension``).

DWP may deactivate an account for unusual activity, and does not say what is unusual: these
thresholds are the landlord's own, or its portal's, and stricter than waiting to be told. A policy
carries them as data; the activity monitor counts by them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import timedelta
from enum import Enum
from typing import Any, Final

__all__ = ["MOST", "MOST_WINDOW", "Activity", "ActivityLimits", "Bounds", "Threshold"]

MOST: Final = 1_000_000_000
"""The highest number of a threshold."""

MOST_WINDOW: Final = timedelta(days=31)
"""The longest time that a threshold counts over."""

_UNITS: Final = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_NOTATION: Final = re.compile(
    r"\s*(?P<amount>\d{1,10})(?:\s*/\s*|\s+per\s+)(?:(?P<multiple>\d{1,7})\s*)?"
    rf"(?P<unit>{'|'.join(_UNITS)})s?\s*",
    re.ASCII,
)


class Activity(Enum):
    """What an automation account does that is counted, by its name in a policy file."""

    REQUEST = "requests"
    """A request of the portal."""
    ERROR = "errors"
    """A request that the portal answered with a 4xx or 5xx, or that was denied."""
    SUBMISSION = "repeated_submissions"
    """A to-do was submitted; only submissions of one and the same to-do add up."""
    OUTSIDE_WINDOW = "outside_window"
    """A try when automation may not run."""
    SESSION = "sessions"
    """A sign-in."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """At most ``amount`` in any span of ``multiple`` units: one more is too many.

    >>> str(Threshold.parse("120 per 5 minutes")), Threshold.parse("3/hour").window
    ('120/5 minutes', datetime.timedelta(seconds=3600))
    """

    amount: int
    unit: str
    multiple: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be counted.

        Raises:
            ValueError: a number out of range, or another unit than second, minute, hour or day.
        """
        if self.unit not in _UNITS:
            raise ValueError(f"must count by one of {', '.join(_UNITS)}")
        if not 1 <= self.amount <= MOST:
            raise ValueError(f"must allow at least 1, and at most {MOST}")
        if not timedelta(0) < self.window <= MOST_WINDOW:
            raise ValueError(f"must count over 1 second to {MOST_WINDOW.days} days")

    @classmethod
    def parse(cls, text: object) -> Threshold:
        """Read the notation of the library ``limits``: ``120/minute``, ``10 per 5 minutes``.

        Raises:
            ValueError: it is written otherwise, or a number is out of range.
        """
        match = _NOTATION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(
                "must be a number and a time in seconds, minutes, hours or days, for example "
                "120/minute or 10/5 minutes"
            )
        multiple = match["multiple"]
        return cls(int(match["amount"]), match["unit"], 1 if multiple is None else int(multiple))

    @property
    def window(self) -> timedelta:
        """The time that is counted over."""
        return self.multiple * _UNITS[self.unit]

    def __str__(self) -> str:
        """``120/minute``: as a policy file writes it, and the same however it was written there."""
        if self.multiple == 1:
            return f"{self.amount}/{self.unit}"
        return f"{self.amount}/{self.multiple} {self.unit}s"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When one kind of activity is warned about, and when it pauses the account."""

    warn: Threshold | None = None
    pause: Threshold | None = None

    def __post_init__(self) -> None:
        """See that a warning can come first.

        Raises:
            ValueError: there is neither threshold, or the account could be paused unwarned.
        """
        if self.warn is None and self.pause is None:
            raise ValueError("must have warn, pause or both")
        if self.warn is None or self.pause is None:
            return
        slack = (self.pause.amount - self.warn.amount, self.warn.window - self.pause.window)
        if slack[0] < 0 or slack[1] < timedelta(0) or slack == (0, timedelta(0)):
            raise ValueError(
                "must warn before it pauses: let warn be a smaller number in the same time, or the "
                "same number in a longer time"
            )

    def describe(self) -> dict[str, str]:
        """Return them as a policy file writes them."""
        return {
            item.name: str(threshold)
            for item in fields(self)
            if (threshold := getattr(self, item.name)) is not None
        }


@dataclass(frozen=True, slots=True)
class ActivityLimits:
    """The bounds of each kind of activity; what has none is not watched."""

    requests: Bounds | None = None
    errors: Bounds | None = None
    repeated_submissions: Bounds | None = None
    outside_window: Bounds | None = None
    sessions: Bounds | None = None

    def __post_init__(self) -> None:
        """See that something is watched.

        Raises:
            ValueError: there are no bounds at all.
        """
        if not self.describe():
            names = ", ".join(activity.value for activity in Activity)
            raise ValueError(f"must watch something, at least one of {names}")

    def of(self, activity: Activity) -> Bounds | None:
        """Return the bounds of one kind of activity, or None when it is not watched."""
        bounds: Bounds | None = getattr(self, activity.value)
        return bounds

    def describe(self) -> dict[str, Any]:
        """Return them as a policy file writes them."""
        found = ((activity.value, self.of(activity)) for activity in Activity)
        return {name: bounds.describe() for name, bounds in found if bounds is not None}
