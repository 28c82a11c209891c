"""The landlord's own record of its tenancies, and what a to-do should be answered by it."""

from __future__ import annotations

import csv
from datetime import date  # noqa: TC003
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from automation_rules import FieldError, InvalidInputError, TodoKind

if TYPE_CHECKING:
    from pathlib import Path

FREQUENCIES = {
    "weekly": "Weekly",
    "fortnightly": "Every 2 weeks",
    "four_weekly": "Every 4 weeks",
    "monthly": "Monthly",
}
"""What the portal calls how often something is due."""

Frequency = Literal["weekly", "fortnightly", "four_weekly", "monthly"]
Money = Annotated[Decimal, Field(ge=0, max_digits=7, decimal_places=2)]
CHANGE = "When does the rent change?"
CHANGED_ON = "Date of the rent change"


class Tenancy(BaseModel):
    """One line of the rent roll. Money is in pounds; ``people`` counts the claimant."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True, str_min_length=1)

    name: str
    born_on: date
    postcode: str
    tenant_reference: str
    temporary: bool
    people: int = Field(ge=1)
    bedrooms: int = Field(ge=0)
    rent_free_weeks: int = Field(ge=0, le=52)
    rent: Money
    rent_frequency: Frequency
    service_charge: Money
    service_charge_frequency: Frequency
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
            "Rent without service charges": f"£{self.rent:,.2f}",
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
        InvalidInputError: with the line and column of everything that is wrong, and no name.
    """
    errors: list[FieldError] = []
    found: dict[tuple[str, str], Tenancy] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        for row in rows:
            place = f"/line {rows.line_num}"
            try:
                tenancy = Tenancy.model_validate(row)
            except ValidationError as wrong:
                for error in wrong.errors(include_input=False, include_url=False):
                    column = ".".join(map(str, error["loc"]))
                    errors.append(FieldError(f"{place}/{column}", error["msg"]))
                continue
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
