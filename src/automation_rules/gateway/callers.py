"""Who makes a request of the portal, in the portal's own words.

Only the portal knows its sessions. What it does not mark is taken for a bot's.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Automation", "Caller", "Person", "Visitor"]


@dataclass(frozen=True, slots=True)
class Person:
    """A session that the portal marks as a person's: it passes untouched and unlogged."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The portal says that nobody is signed in: it passes, for the portal's sign-in guards."""


@dataclass(frozen=True, slots=True)
class Automation:
    """A session of an automation account; of an unknown one when ``account_id`` is None."""

    account_id: str | None = None


Caller = Person | Visitor | Automation
