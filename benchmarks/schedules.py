"""How long the council's site takes over one payment of many lines, and how much memory.

``python -m benchmarks.schedules DIRECTORY LINES ROUNDS`` works in a process of its own, for Django
can be set up once in each. It puts a back office with a payment of so many lines, and one of few,
into ``DIRECTORY``, and prints as JSON the seconds of every round; without rounds, the most bytes
that it had.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine

from .measure import at_most, rounds, row
from .memory import peak
from .reference_portal import apart, main, memory, set_up, signed_in, size_of, through_a_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measure import Row, Size

__all__ = ["FEW", "MANY", "measured", "schedules"]

MANY: Final = 50_000
FEW: Final = 500
"""The lines of the payment that the other is held against."""

_REFERENCE: Final = "7000123"
_LARGE, _SMALL = "P-large", "P-small"
_AT_ONCE: Final = 1_000
_DAY: Final = date(2027, 4, 5)
_SELECTED: Final = (
    "line, claim_reference, claimant, home, period_from, period_to, gross_pence, "
    "overpayment_recovery_pence, other_deductions_pence, net_pence"
)


def schedules(size: Size) -> Iterator[Row]:
    """Measure a payment's file and its pages, and the memory that the file takes."""
    many = size.times(MANY)
    with TemporaryDirectory() as name:
        found = measured(Path(name) / "many", many, size.rounds)
    yield row(
        f"a payment's {many:,} lines as CSV, through the portal",
        "the same rows by bare sqlite3 and csv, through a file",
        found["file"],
        found["plain"],
        operations=many,
        bar=at_most(5),
    )
    yield row(
        f"a page in the midst of {many:,} lines",
        f"a page in the midst of {FEW:,} lines",
        found["page of many"],
        found["page of few"],
        bar=at_most(4),
    )
    yield memory(measured, many, "lines")


def measured(directory: Path, lines: int, turns: int) -> dict[str, Any]:
    """Measure in a process of its own; without turns, the file is sent once."""
    return apart("benchmarks.schedules", directory, lines, turns)


# --- in the process of its own ----------------------------------------------------------------


def _work(directory: Path, lines: int, turns: int) -> dict[str, Any]:
    base, client = _signed_in(directory, lines)

    def file(number: str = _LARGE) -> int:
        return size_of(client.get(f"{base}{number}/schedule.csv"))

    def page(number: str, at: int) -> None:
        answer = client.post(f"{base}{number}/", {"page": at})
        assert answer.status_code == 200, answer.status_code

    with closing(sqlite3.connect(directory / "back_office.sqlite3")) as database:
        # The same text but for three cells of each line that say which payment it is of.
        sent, plainly = file(), _plain(database)
        assert plainly < sent < 2 * plainly + 1000, (sent, plainly)
        if turns == 0:
            return {"peak": peak(), "sent": sent}
        taken = rounds(
            turns,
            file,
            lambda: _plain(database),
            lambda: page(_LARGE, lines // 50 or 1),
            lambda: page(_SMALL, FEW // 50),
        )
    return dict(zip(("file", "plain", "page of many", "page of few"), taken, strict=True))


def _plain(database: sqlite3.Connection) -> int:
    """Write the same rows: the yardstick."""
    query = f"SELECT {_SELECTED} FROM payment_lines WHERE payment = ? ORDER BY line"  # noqa: S608
    return through_a_file(database.execute(query, (_LARGE,)))


def _signed_in(directory: Path, lines: int) -> tuple[str, Any]:
    """Make a portal and its back office; return where its payments are, and who may see them."""
    set_up(directory)
    _fill(directory / "back_office.sqlite3", lines)
    user, client = signed_in("Casey")
    council = import_module("council_payments.models")
    proof = council.Proof.objects.create(
        account=council.CouncilAccount.objects.create(user=user),
        service="landlord-payments",
        reference=_REFERENCE,
        proved_at=datetime.now(UTC),
    )
    return f"/council/landlord-payments/{proof.pk}/payments/", client


def _fill(path: Path, lines: int) -> None:
    sql = import_module("council_payments.sql")
    creditors = import_module("council_payments.example_data").CREDITORS
    engine = create_engine(f"sqlite:///{path}")
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(sql.creditors.insert(), creditors[:1])
        for number, many in ((_LARGE, lines), (_SMALL, FEW)):
            connection.execute(
                sql.payments.insert(),
                {
                    "number": number,
                    "creditor": _REFERENCE,
                    "paid_on": _DAY,
                    "method": "bacs",
                    "pence": 40_000 * many,
                },
            )
            for begins in range(1, many + 1, _AT_ONCE):
                here = range(begins, min(begins + _AT_ONCE, many + 1))
                connection.execute(sql.lines.insert(), [_line(number, line) for line in here])
    engine.dispose()


def _line(payment: str, line: int) -> dict[str, object]:
    return {
        "payment": payment,
        "line": line,
        "claim_reference": f"HB{line:06d}",
        "claimant": f"Testy McSample {line}",
        "home": f"{line} Mock Lane, Exampleton",
        "period_from": _DAY,
        "period_to": _DAY,
        "gross_pence": 41_140,
        "overpayment_recovery_pence": 1_140,
        "other_deductions_pence": 0,
        "net_pence": 40_000,
    }


if __name__ == "__main__":
    main(_work)
