"""Landlords, their people and their automation accounts: what the terms say of them.

No storage here: the registry keeps these, and requests carry them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date, datetime

__all__ = [
    "MAX_AUTOMATION_ACCOUNTS",
    "AccountStatus",
    "Acknowledgement",
    "AutomationAccount",
    "Landlord",
    "Person",
    "email_identifies",
    "has_words",
    "normalise",
    "one_account_per_todo",
    "username_identifies",
]

MAX_AUTOMATION_ACCOUNTS: Final = 2
"""Automation accounts of one landlord at a time (clauses ``step-2.limit``, ``terms.limit``)."""

_CACHED_LENGTH: Final = 1000
"""Longer texts are not kept in the cache, so that hostile input cannot fill the memory."""


class AccountStatus(Enum):
    """Whether an automation account may work (clause ``terms.suspension``)."""

    ACTIVE = "active"
    PAUSED = "paused"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class Landlord:
    """A landlord, as clauses ``scope.landlord`` and ``step-1.declare`` need to know it.

    ``sector`` is open vocabulary, ``social`` being the one that the terms cover; ``nation`` is
    one of the values of the reading ``nation``, or None for that reading's own value;
    ``declared_on`` is the London date on which the DWP partnership manager was told, or None.
    """

    id: str
    name: str
    also_known_as: tuple[str, ...] = ()
    sector: str = "social"
    portal_access: bool = True
    nation: str | None = None
    declared_on: date | None = None
    partnership_manager: str | None = field(default=None, repr=False)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class AutomationAccount:
    """A Landlord Portal account that a bot uses (the clauses ``step-2``).

    ``roles`` and ``created_by_role`` are open vocabulary, judged by the checks; ``todo_kind`` is
    the kind of to-do that the account is meant for, advice only
    (clause ``step-2.one-account-per-todo``).
    """

    id: str
    landlord_id: str
    username: str
    email: str
    roles: frozenset[str] = frozenset({"complete_todos"})
    two_factor: bool = True
    status: AccountStatus = AccountStatus.ACTIVE
    created_by_role: str = "manage_users"
    todo_kind: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Someone at a landlord, or working for it, who may type in access codes."""

    id: str = field(repr=False)
    landlord_id: str
    name: str = field(repr=False)
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A named person's word that the landlord has read clauses of one version of the terms."""

    landlord_id: str
    person_id: str = field(repr=False)
    terms_version: str
    terms_digest: str
    clauses: tuple[str, ...]
    at: datetime


def _fold(text: str) -> str:
    # Case-folding can undo the composition that NFKC made, hence NFKC again.
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def _spaced(text: str) -> str:
    if text.isascii():
        return " ".join(text.translate(_ASCII).split())
    kept = (c if c.isalpha() or c.isdecimal() else " " for c in _fold(text))
    return " ".join("".join(kept).split())


# Takes a third of the time, for names that the cache has no room for.
_ASCII: Final = str.maketrans({c: c.lower() if c.isalnum() else " " for c in map(chr, range(128))})

_cached_spaced = lru_cache(maxsize=4096)(_spaced)


def normalise(text: str) -> str:
    """Return ``text`` as check ``identity`` compares it.

    NFKC, case-folded, every run of characters other than letters and digits one space, none at
    the ends (clause ``step-2.identify``).
    """
    return _cached_spaced(text) if len(text) <= _CACHED_LENGTH else _spaced(text)


def has_words(name: str) -> bool:
    """Whether ``name`` has a letter or a digit, without which nothing can be told by it."""
    return normalise(name) != ""


def username_identifies(
    username: str, names: Iterable[str], *, automation_only: bool = False
) -> bool:
    """Whether ``username`` names the landlord and says ``automation``, both as whole words.

    ``names`` are the landlord's name and the others that it is known by; one of them is enough,
    and its words must stand together. ``automation_only`` is that value of the reading
    ``identity_pattern``, which asks for no name (clause ``step-2.identify``).
    """
    words = f" {normalise(username)} "
    if " automation " not in words:
        return False
    return automation_only or any(f" {normalise(name)} " in words for name in names)


def email_identifies(email: str) -> bool:
    """Whether ``email`` has one ``@`` and ``automation`` before it (``step-2.identify``)."""
    before, at, after = _fold(email).partition("@")
    return at == "@" and "@" not in after and "automation" in before


def one_account_per_todo(accounts: Iterable[AutomationAccount]) -> bool:
    """Whether no account is meant for the same kind of to-do as another, or for none in particular.

    A suggestion of clause ``step-2.one-account-per-todo``: never a reason to deny.
    """
    kinds = [account.todo_kind for account in accounts]
    return None not in kinds and len(set(kinds)) == len(kinds)
