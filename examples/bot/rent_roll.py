"""The landlord's own record of its tenancies, and what a to-do should be answered by it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from automation_rules import FieldError, InvalidInputError, TodoKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

FREQUENCIES = {
    "weekly": "Weekly",
    "fortnightly": "Every 2 weeks",
    "four_weekly": "Every 4 weeks",
    "monthly": "Monthly",
}
"""What the portal calls how often something is due."""

RENT = "Rent without service charges"
CHANGE = "When does the rent change?"
CHANGED_ON = "Date of the rent change"


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One line of the rent roll. Money is in pounds; ``people`` counts the claimant."""

    name: str
    born_on: date
    postcode: str
    tenant_reference: str
    temporary: bool
    people: int
    bedrooms: int
    rent_free_weeks: int
    rent: Decimal
    rent_frequency: str
    service_charge: Decimal
    service_charge_frequency: str
    rent_from: date

    def identity(self) -> dict[str, str]:
        """Return whom the to-do must be about, in the portal's words."""
        return {
            "Name": self.name,
            "Date of birth": day_text(self.born_on),
            "Tenant reference": self.tenant_reference,
        }

    def answers(self, kind: TodoKind) -> dict[str, str]:
        """Return the answers by their questions, in the portal's words and order."""
        if kind is TodoKind.PROVIDE_TENANCY_DETAILS:
            alone, free = self.people == 1, self.rent_free_weeks
            return {
                "Is this person your tenant and liable for rent at this address?": "Yes",
                "Tenant reference": self.tenant_reference,
                "Is it temporary accommodation?": _yes_no(self.temporary),
                "Is anyone else on the tenancy?": _yes_no(not alone),
                **({} if alone else {"How many people are on the tenancy?": str(self.people)}),
                "How many bedrooms are there?": str(self.bedrooms),
                "Are there rent-free weeks?": _yes_no(free > 0),
                **({"How many rent-free weeks are there in a year?": str(free)} if free else {}),
                **self._charges(),
            }
        return {
            "Is this person your tenant?": "Yes",
            **self._charges(),
            CHANGED_ON: day_text(self.rent_from),
        }

    def _charges(self) -> dict[str, str]:
        answers = {
            RENT: f"£{self.rent:,.2f}",
            "How often is the rent due?": FREQUENCIES[self.rent_frequency],
            "Eligible service charge": f"£{self.service_charge:,.2f}",
        }
        if self.service_charge:
            how_often = FREQUENCIES[self.service_charge_frequency]
            answers["How often is the service charge due?"] = how_often
        return answers


def read(path: Path) -> dict[tuple[str, str], Tenancy]:
    """Return the tenancies by name and postcode, which is how a to-do's list names them.

    Raises:
        InvalidInputError: with the line and column of everything that is wrong, and no value.
    """
    errors: list[FieldError] = []
    found: dict[tuple[str, str], Tenancy] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := COLUMNS.keys() - set(rows.fieldnames or ()):
            raise InvalidInputError(
                [FieldError(f"/{name}", "this column is missing") for name in sorted(missing)]
            )
        for row in rows:
            place, values = f"/line {rows.line_num}", {}
            for name, (parse, meant) in COLUMNS.items():
                try:
                    values[name] = parse((row[name] or "").strip())
                except (ValueError, KeyError, InvalidOperation):
                    errors.append(FieldError(f"{place}/{name}", f"must be {meant}"))
            if len(values) < len(COLUMNS):
                continue
            tenancy = Tenancy(**values)
            if found.setdefault((tenancy.name, tenancy.postcode), tenancy) is not tenancy:
                errors.append(FieldError(place, "has the name and postcode of a line before it"))
    if errors:
        raise InvalidInputError(errors)
    return found


def day_text(day: date) -> str:
    """Write a date out as the portal does in English, as in 1 April 2027."""
    return f"{day.day} {day:%B %Y}"


def _yes_no(answer: bool) -> str:
    return "Yes" if answer else "No"


def _text(written: str) -> str:
    if not written:
        raise ValueError
    return written


def _money(written: str) -> Decimal:
    amount = Decimal(written)
    if not 0 <= amount < 100_000 or amount != round(amount, 2):
        raise ValueError
    return amount


def _number(written: str) -> int:
    if not (written.isascii() and written.isdecimal()):
        raise ValueError
    return int(written)


def _frequency(written: str) -> str:
    FREQUENCIES[written]
    return written


_FREQUENCY: tuple[Callable[[str], Any], str] = (_frequency, f"one of {', '.join(FREQUENCIES)}")
_MONEY: tuple[Callable[[str], Any], str] = (_money, "pounds and pence, like 104.50")
_NUMBER: tuple[Callable[[str], Any], str] = (_number, "a whole number")
_DAY: tuple[Callable[[str], Any], str] = (date.fromisoformat, "a date, like 2027-04-05")
_TEXT: tuple[Callable[[str], Any], str] = (_text, "given")
COLUMNS: dict[str, tuple[Callable[[str], Any], str]] = {
    "name": _TEXT,
    "born_on": _DAY,
    "postcode": _TEXT,
    "tenant_reference": _TEXT,
    "temporary": ({"yes": True, "no": False}.__getitem__, "yes or no"),
    "people": _NUMBER,
    "bedrooms": _NUMBER,
    "rent_free_weeks": _NUMBER,
    "rent": _MONEY,
    "rent_frequency": _FREQUENCY,
    "service_charge": _MONEY,
    "service_charge_frequency": _FREQUENCY,
    "rent_from": _DAY,
}
"""The columns, with how each is read and what it must be."""
