"""How long the council's site takes over one payment of many lines, and how much memory.

``python -m benchmarks.schedules DIRECTORY LINES ROUNDS`` works in a process of its own, for Django
can be set up once in each. It puts a back office with a payment of so many lines, and one of few,
into ``DIRECTORY``, and prints as JSON the seconds of every round; without rounds, the most bytes
that it had.
"""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import create_engine

from .measure import at_most, rounds, row
from .memory import peak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measure import Row, Size

__all__ = ["FEW", "MANY", "measured", "schedules"]

MANY: Final = 50_000
FEW: Final = 500
"""The lines of the payment that the other is held against."""

_ROOT: Final = Path(__file__).parents[1]
_PORTAL: Final = _ROOT / "examples" / "portal"
_REFERENCE: Final = "7000123"
_LARGE, _SMALL = "P-large", "P-small"
_MEGABYTE: Final = 1_000_000
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
    peaks = []
    for lines in (many // 50, many):
        with TemporaryDirectory() as name:
            peaks.append(measured(Path(name), lines, 0)["peak"] / _MEGABYTE)
    yield row(
        f"peak memory of the portal, {many:,} lines as CSV",
        f"{many // 50:,} lines",
        [peaks[1]],
        [peaks[0]],
        bar=at_most(1.1),
        unit="MB",
    )


def measured(directory: Path, lines: int, turns: int) -> dict[str, Any]:
    """Measure in a process of its own; without turns, the file is sent once."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.schedules", str(directory), str(lines), str(turns)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    ).stdout
    found: dict[str, Any] = json.loads(told)
    return found


# --- in the process of its own ----------------------------------------------------------------


def _work(directory: Path, lines: int, turns: int) -> dict[str, Any]:
    base, client = _signed_in(directory, lines)

    def file(number: str = _LARGE) -> int:
        answer = client.get(f"{base}{number}/schedule.csv")
        with closing(answer):
            return sum(len(chunk) for chunk in answer.streaming_content)

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
    """Write the rows into a file and read it back: the yardstick."""
    with TemporaryFile("w+", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        query = f"SELECT {_SELECTED} FROM payment_lines WHERE payment = ? ORDER BY line"  # noqa: S608
        writer.writerows(database.execute(query, (_LARGE,)))
        file.seek(0)
        return sum(len(chunk) for chunk in iter(lambda: file.read(4096), ""))


def _signed_in(directory: Path, lines: int) -> tuple[str, Any]:
    """Make a portal and its back office; return where its payments are, and who may see them."""
    directory.mkdir(exist_ok=True)
    os.environ |= {"PORTAL_HOME": str(directory), "DJANGO_SETTINGS_MODULE": "demo_portal.settings"}
    for name in ("PORTAL_DATABASE", "PORTAL_STATE", "PORTAL_BACK_OFFICE", "PORTAL_HTTPS"):
        os.environ.pop(name, None)
    sys.path.insert(0, str(_PORTAL))
    import django

    django.setup()
    from django.core.management import call_command
    from django.test import Client

    council, landlords = map(import_module, ("council_payments.models", "landlord_portal.models"))
    call_command("migrate", verbosity=0)
    _fill(directory / "back_office.sqlite3", lines)
    user = landlords.User.objects.create_user(
        "casey", "made up", full_name="Casey", email="c@acme.example"
    )
    phone = landlords.Phone.objects.create(user=user, holder=user, name="default", number="made up")
    proof = council.Proof.objects.create(
        account=council.CouncilAccount.objects.create(user=user),
        service="landlord-payments",
        reference=_REFERENCE,
        proved_at=datetime.now(UTC),
    )
    client = Client(HTTP_HOST="localhost")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["otp_device_id"] = phone.persistent_id
    session.save()
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
    print(json.dumps(_work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
