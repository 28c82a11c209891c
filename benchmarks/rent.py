"""How long tenant services take over an account of many entries, and how much memory.

``python -m benchmarks.rent DIRECTORY ENTRIES ROUNDS`` works in a process of its own, for Django can
be set up once in each. It puts a tenancy with so many charges and payments, and one with few, into
``DIRECTORY``, and prints as JSON the seconds of every round; without rounds, the most bytes that it
had.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
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

__all__ = ["FEW", "MANY", "measured", "rent"]

MANY: Final = 100_000
FEW: Final = 500
"""The entries of the account that the other is held against."""

_LARGE, _SMALL = "T-large", "T-small"
_LAST: Final = date(2027, 5, 31)
_AT_ONCE: Final = 5_000
_PAGES: Final = {
    "the newest entries": "",
    "a page in the midst": "?page={middle}",
    "the oldest payments": "?kind=payment&page=1000000",
}
"""What is looked at, and how."""

_HISTORY: Final = """
SELECT tenancy, day, kind, detail_en, pence, SUM(pence) OVER (ORDER BY day, entry.id),
  (SELECT pence FROM tenant_services_chargeline WHERE entry_id = entry.id AND charged_for = 'rent'),
  (SELECT pence FROM tenant_services_chargeline WHERE entry_id = entry.id AND charged_for = 'water')
FROM tenant_services_entry AS entry WHERE tenancy = ? ORDER BY day, entry.id
"""


def rent(size: Size) -> Iterator[Row]:
    """Measure an account's file and its pages, and the memory that the file takes."""
    many = size.times(MANY)
    with TemporaryDirectory() as name:
        found = measured(Path(name) / "many", many, size.rounds)
    yield row(
        f"{many:,} charges and payments as CSV, through the portal",
        "the same rows by bare sqlite3 and csv, through a file",
        found["file"],
        found["plain"],
        operations=many,
        bar=at_most(5),
    )
    for what in _PAGES:
        yield row(
            f"{what}, of {many:,}",
            f"of {FEW:,}",
            found[f"{what} of many"],
            found[f"{what} of few"],
            bar=at_most(6),
        )
    yield memory(measured, many, "entries")


def measured(directory: Path, entries: int, turns: int) -> dict[str, Any]:
    """Measure in a process of its own; without turns, the files are sent once."""
    return apart("benchmarks.rent", directory, entries, turns)


# --- in the process of its own ----------------------------------------------------------------


def _work(directory: Path, entries: int, turns: int) -> dict[str, Any]:
    client = _signed_in(directory, entries)

    def file(address: str = "history/") -> int:
        return size_of(client.get(f"/my-home/rent/{_LARGE}/{address}"))

    def page(tenancy: str, query: str) -> None:
        answer = client.get(f"/my-home/rent/{tenancy}/{query}")
        assert answer.status_code == 200, answer.status_code

    with closing(sqlite3.connect(directory / "portal.sqlite3")) as database:
        # The same text but for how amounts and what a charge is not made up of are written.
        sent, plainly = file(), _plain(database)
        assert plainly // 2 < sent < 2 * plainly + 1000, (sent, plainly)
        if turns == 0:
            file(f"statement/2000-01-01/{_LAST}/csv/")
            return {"peak": peak(), "sent": sent}
        looks = {
            f"{what} of {size}": partial(page, tenancy, query.format(middle=max(1, many // 50)))
            for what, query in _PAGES.items()
            for size, tenancy, many in (("many", _LARGE, entries), ("few", _SMALL, FEW))
        }
        taken = rounds(turns, file, lambda: _plain(database), *looks.values())
    return dict(zip(("file", "plain", *looks), taken, strict=True))


def _plain(database: sqlite3.Connection) -> int:
    """Write the same rows: the yardstick."""
    return through_a_file(database.execute(_HISTORY, (_LARGE,)))


def _signed_in(directory: Path, entries: int) -> Any:
    """Make a portal and its tenancies; return the client of who may see them."""
    set_up(directory)
    _let(directory / "customers.sqlite3")
    for tenancy, many in ((_LARGE, entries), (_SMALL, FEW)):
        _fill(tenancy, many)
    user, client = signed_in("Tessa")
    tenants = import_module("tenant_services.models")
    tenants.TenantAccount.objects.create(user=user, person="P1")
    return client


def _let(path: Path) -> None:
    """Write the customer directory: who rents what."""
    sql = import_module("tenant_services.profile.customers_sql")
    engine = create_engine(f"sqlite:///{path}")
    sql.metadata.create_all(engine)
    person = {"name": "Tessa", "born_on": date(1985, 4, 1), "telephone": "", "email": ""}
    home = {
        "kind": "general-needs",
        "address": "1 Sample Court",
        "postcode": "EX99 9AA",
        "locality": "Exampleton",
        "building": "",
        "began_on": date(2000, 1, 1),
        "ended_on": None,
    }
    with engine.begin() as connection:
        connection.execute(sql.customers.insert(), {"reference": "P1", **person})
        for tenancy in (_LARGE, _SMALL):
            connection.execute(sql.tenancies.insert(), {"reference": tenancy, **home})
            connection.execute(sql.tenants.insert(), {"tenancy": tenancy, "customer": "P1"})
    engine.dispose()


def _fill(tenancy: str, entries: int) -> None:
    """Enter charges and payments in turn, twenty a day until the last day."""
    models = import_module("tenant_services.payments.models")
    for begins in range(0, entries, _AT_ONCE):
        made = models.Entry.objects.bulk_create(
            models.Entry(
                tenancy=tenancy,
                day=_LAST - timedelta(days=(entries - 1 - number) // 20),
                kind="payment" if number % 2 else "charge",
                detail_en=f"Entry {number} of the account",
                detail_cy=f"Cofnod {number} o'r cyfrif",
                pence=12_345 if number % 2 else -12_346,
                source=f"{tenancy}:{number}",
                entered_at=datetime.now(UTC),
            )
            for number in range(begins, min(begins + _AT_ONCE, entries))
        )
        models.ChargeLine.objects.bulk_create(
            models.ChargeLine(entry=entry, charged_for=what, pence=pence)
            for entry in made
            if entry.kind == "charge"
            for what, pence in (("rent", 12_000), ("water", 346))
        )


if __name__ == "__main__":
    main(_work)
