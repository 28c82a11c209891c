"""What readers of the log need of an entry: when it was, and why it says no.

A leaf keeps checks and codes only. Which clauses they cite, the terms say (design section 2); a
check that is a policy's own cites none that could be known from the leaf.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import VerificationError
from .inputs import parse_instant
from .leaf_schema import read_leaf
from .terms import clauses_for, clauses_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from .audit import Entry

__all__ = ["Reason", "read_entry", "reasons"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One check that failed: its identifier, its code, and the identifiers of its clauses."""

    check: str
    code: str
    clauses: tuple[str, ...]

    @property
    def name(self) -> str:
        """The check and its code as one word, such as ``window.weekend``."""
        return f"{self.check}.{self.code}"

    @property
    def cites(self) -> tuple[str, ...]:
        """What it cites: its clauses, or ``check:<id>`` for a check that is the policy's own."""
        return self.clauses or (f"check:{self.check}",)


def read_entry(entry: Entry) -> tuple[dict[str, Any], datetime]:
    """Return what an entry says, and its instant in UTC.

    Raises:
        VerificationError: it is no entry that was ever recorded.
    """
    leaf = read_leaf(entry.leaf, index=entry.index)
    try:
        return leaf, parse_instant(leaf["time"])
    except ValueError as error:
        raise VerificationError(
            f"the time of entry {entry.index} is none", index=entry.index
        ) from error


def reasons(leaf: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Return why a decision's leaf says no, in its order; nothing when it says yes.

    A combination of checks gives the reasons of those in it that failed, each once.
    """
    if leaf.get("decision") is not False:
        return ()
    return tuple(dict.fromkeys(_failed(leaf["checks"])))


def _failed(checks: Sequence[Mapping[str, Any]]) -> Iterator[Reason]:
    for check in checks:
        if check["outcome"] != "fail":
            continue
        inside = tuple(_failed(check.get("children", ())))
        if inside:
            yield from inside
        else:
            yield Reason(check["check"], check["code"] or "unknown", _clauses(check))


def _clauses(check: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a check cites; one that is made of checks cites all that they enforce."""
    try:
        return clauses_for(check["check"], check["code"] or "")
    except LookupError:
        inside = (c for child in check.get("children", ()) for c in _enforced(child))
        return tuple(dict.fromkeys(inside))


def _enforced(check: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return clauses_of(check["check"])
    except LookupError:
        return tuple(c for child in check.get("children", ()) for c in _enforced(child))
