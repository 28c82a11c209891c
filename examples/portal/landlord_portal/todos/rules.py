"""What the to-dos' answers come to: monthly amounts, and the days of the annual rent change."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from ..models import Frequency

MOST = Decimal("99999.99")
"""The largest amount, in pounds, that the forms take. The real portal's is not known."""
WEEKS_OF_A_YEAR = 52
_WEEKS = {Frequency.WEEKLY: 1, Frequency.FORTNIGHTLY: 2, Frequency.FOUR_WEEKLY: 4}
_PENNY = Decimal("0.01")


def is_by_the_week(frequency: str) -> bool:
    """Whether what is due that often is counted in weeks."""
    return frequency in _WEEKS


def monthly(amount: Decimal, frequency: str, rent_free_weeks: int = 0) -> Decimal:
    """Return what ``amount`` comes to in a month, to the nearest penny, halves upwards.

    Weekly amounts count 52 times a year, less the weeks in which nothing is due. Monthly ones
    are what they are.
    """
    if not is_by_the_week(frequency):
        return amount
    weeks = WEEKS_OF_A_YEAR - rent_free_weeks
    year = amount * weeks / _WEEKS[Frequency(frequency)]
    return (year / 12).quantize(_PENNY, ROUND_HALF_UP)


def first_monday_in_april(year: int) -> date:
    """Return the day from which weekly rents change."""
    first = date(year, 4, 1)
    return first + timedelta(days=-first.weekday() % 7)


def annual_change_year(today: date) -> int:
    """Return the year of the 1 April nearest to ``today``; of two as near, the later."""
    years = (today.year, today.year + 1)
    return min(years, key=lambda year: (abs(date(year, 4, 1) - today), -year))
