"""What would have been denied, had a gateway that only watches enforced anything.

In shadow mode a gateway decides and records, and lets everything through; each such decision
carries the finding ``enforcement.shadow``. These decisions are counted here, from the log alone,
so that whoever is about to enforce the terms sees first which bots would be stopped, and by what.

What such a gateway could not decide, or not record, is not in the log, and so not counted.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .decision import instant_text
from .leaf_reasons import read_entry, reasons
from .report import neutral

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from .audit import Entry

__all__ = ["COLUMNS", "Key", "Seen", "ShadowReport", "count", "to_csv"]

COLUMNS: Final = (
    "landlord",
    "account",
    "action",
    "mode",
    "check",
    "code",
    "clause",
    "decisions",
    "first",
    "last",
)
"""The columns of the CSV, whose names and order stay: one row for each clause that a code cites.

``clause`` is a clause's identifier, or ``check:<id>`` for a check that is the policy's own.
``account`` is empty for accounts that are not registered. A denial can have several codes, and a
code several clauses, so ``decisions`` of different rows are not to be added up.
"""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What is counted together: one reason why one account's step would have been denied.

    ``account`` is empty when it is not registered. ``clauses`` are what the reason cites.
    """

    landlord: str
    account: str
    action: str
    mode: str
    check: str
    code: str
    clauses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """How many decisions, and the instants (UTC) of the first and the last of them."""

    decisions: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def and_at(self, at: datetime) -> Seen:
        """Return the count with one more, whatever the order they come in."""
        return Seen(
            self.decisions + 1,
            at if self.first is None else min(self.first, at),
            at if self.last is None else max(self.last, at),
        )

    def to_document(self) -> dict[str, Any]:
        """Return the count as a JSON object, its instants by London's clocks."""
        return {
            "decisions": self.decisions,
            "first": instant_text(self.first),
            "last": instant_text(self.last),
        }


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """The decisions that nobody enforced.

    ``watched`` are all of them, ``let_through`` those among them that were denials; the others say
    why these were.
    """

    watched: Seen = Seen()
    let_through: Seen = Seen()
    reasons: Mapping[Key, Seen] = field(default_factory=dict)
    clauses: Mapping[str, Seen] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the report as a JSON object."""
        return {
            "watched": self.watched.to_document(),
            "let_through": self.let_through.to_document(),
            "reasons": [
                {
                    "landlord": key.landlord or None,
                    "account": key.account or None,
                    "action": key.action,
                    "mode": key.mode,
                    "check": key.check,
                    "code": key.code,
                    "clauses": list(key.clauses),
                    **seen.to_document(),
                }
                for key, seen in self.reasons.items()
            ],
            "clauses": [
                {"clause": clause, **seen.to_document()} for clause, seen in self.clauses.items()
            ],
        }


def count(
    entries: Iterable[Entry],
    *,
    landlord: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
) -> ShadowReport:
    """Count what was decided in shadow mode, from ``start`` up to before ``end``.

    A decision counts once for each reason and once for each clause that it cites, by however many
    reasons. With ``landlord`` only its accounts' decisions count; those of accounts that are not
    registered are nobody's.

    Raises:
        VerificationError: an entry is none that was ever recorded.
    """
    watched = let_through = Seen()
    by_reason: defaultdict[Key, Seen] = defaultdict(Seen)
    by_clause: defaultdict[str, Seen] = defaultdict(Seen)
    for entry in entries:
        leaf, at = read_entry(entry)
        if leaf["type"] != "decision" or not _is_watched(leaf):
            continue
        if (
            (landlord is not None and leaf["landlord"] != landlord)
            or (start is not None and at < start)
            or (end is not None and at >= end)
        ):
            continue
        watched = watched.and_at(at)
        if leaf["decision"]:
            continue
        let_through = let_through.and_at(at)
        found = reasons(leaf)
        for reason in found:
            key = Key(
                leaf["landlord"] or "",
                leaf["account"] or "",
                leaf["action"],
                leaf["mode"],
                reason.check,
                reason.code,
                reason.cites,
            )
            by_reason[key] = by_reason[key].and_at(at)
        for clause in {clause for reason in found for clause in reason.cites}:
            by_clause[clause] = by_clause[clause].and_at(at)
    return ShadowReport(
        watched,
        let_through,
        dict(sorted(by_reason.items())),
        dict(sorted(by_clause.items(), key=lambda row: (-row[1].decisions, row[0]))),
    )


def _is_watched(leaf: Mapping[str, Any]) -> bool:
    return any(
        check["check"] == "enforcement" and check["code"] == "shadow" for check in leaf["checks"]
    )


def to_csv(report: ShadowReport) -> bytes:
    """Return the reasons as CSV with the columns `COLUMNS`; instants by London's clocks.

    It is UTF-8 that begins with a byte order mark, by which spreadsheets know it. Text that a
    spreadsheet could take for a formula begins with an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for key, seen in report.reasons.items():
        said = (key.landlord, key.account, key.action, key.mode, key.check, key.code)
        for clause in key.clauses:
            row = [neutral(word) for word in (*said, clause)]
            writer.writerow((*row, *seen.to_document().values()))
    return text.getvalue().encode("utf-8-sig")
