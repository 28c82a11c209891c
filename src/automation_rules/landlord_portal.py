"""The published terms for automation on the Universal Credit Landlord Portal, as a policy."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from .policyfile import parse_policy

if TYPE_CHECKING:
    from .policy import Policy

__all__ = ["landlord_portal", "landlord_portal_text"]


def landlord_portal(**readings: str) -> Policy:
    """Return the shipped policy, with these named readings instead of its defaults.

    Raises:
        InvalidPolicyError: a name that is no reading, or a value that its reading does not have.

    >>> landlord_portal(bank_holidays="open").readings["bank_holidays"]
    'open'
    """
    return parse_policy(landlord_portal_text(), "toml", **readings)


@lru_cache(maxsize=1)
def landlord_portal_text() -> str:
    """Return the shipped policy file, as TOML."""
    return (files(__package__) / "data" / "landlord-portal.toml").read_text("utf-8")
