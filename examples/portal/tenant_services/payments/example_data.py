"""Made-up accounts of the tenancies: one ahead, one behind, one closed, one in Welsh."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dateutil.relativedelta import MO, relativedelta
from demo_portal import clock
from django.utils.translation import gettext_lazy as _

from ..profile import example_data as profile
from . import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)

HOME = {"rent": 43_210, "water": 1_825, "cleaning": 640, "heating": 2_100, "grounds": 375}
GARAGE = {"garage": 5_200}
FORMER = {"rent": 38_950, "grounds": 250}
WELSH = {"rent": 10_435, "water": 412, "heating": 585, "concierge": 948}
UNAS = {"rent": 40_500, "water": 1_825}


def add() -> None:
    """Add them."""
    tenancies = {one["reference"]: one for one in profile.tenancies()}
    _ahead("T-100001", tenancies["T-100001"]["began_on"])
    _behind("T-100002", tenancies["T-100002"]["began_on"])
    _closed("T-100003", tenancies["T-100003"]["began_on"], tenancies["T-100003"]["ended_on"])
    _weekly("T-200001")
    _up_to_date("T-300001", tenancies["T-300001"]["began_on"])


def _ahead(tenancy: str, began: date) -> None:
    """Pay each month before it begins; and have something to be put right, and paid back."""
    today = clock.today()
    months = list(_months(began, today))
    ledger.open_account(tenancy, -1_234, on=began)
    for first, last in months:
        ledger.charge(tenancy, HOME, first, last)
        paid = max(began, first - 3 * DAY)
        _pay(tenancy, HOME, paid, _("Direct debit"))
    winter = months[-5][0]
    ledger.adjust(
        tenancy,
        2_456,
        source=f"adjustment:{tenancy}:heating",
        detail=_("Reduction: the heating was out of order"),
        on=winter + 9 * DAY,
    )
    twice = months[-3][0] + 4 * DAY
    ledger.credit(tenancy, 10_000, source=f"example:{tenancy}:extra", on=twice)
    ledger.refund(tenancy, 4_000, source=f"example:{tenancy}:back", on=twice + 6 * DAY)


def _behind(tenancy: str, began: date) -> None:
    """Stop paying two months ago."""
    months = list(_months(began, clock.today()))
    for first, last in months:
        ledger.charge(tenancy, GARAGE, first, last)
    for first, _last in months[:-2]:
        _pay(tenancy, GARAGE, first + 9 * DAY, _("Standing order"))


def _closed(tenancy: str, began: date, ended: date) -> None:
    """Pay what is due every month, and leave with nothing owed."""
    for first, last in _months(began, ended):
        ledger.charge(tenancy, FORMER, first, min(last, ended))
        _pay(tenancy, FORMER, min(first + 2 * DAY, ended), _("Standing order"))


def _weekly(tenancy: str) -> None:
    """Charge every Monday of two years; housing benefit pays for every four weeks afterwards."""
    today = clock.today()
    start = today + relativedelta(years=-2, weekday=MO(-1))
    ledger.open_account(tenancy, -1_530, on=start)
    for week in range((today - start).days // 7 + 1):
        first = start + week * WEEK
        ledger.charge(tenancy, WELSH, first, first + 6 * DAY)
        if week % 4 == 3:
            four = {name: 4 * pence for name, pence in WELSH.items()}
            _pay(tenancy, four, first, _("Housing Benefit"))


def _up_to_date(tenancy: str, began: date) -> None:
    """Pay on the day."""
    for first, last in _months(began, clock.today()):
        ledger.charge(tenancy, UNAS, first, last)
        _pay(tenancy, UNAS, first, _("Direct debit"))


def _pay(tenancy: str, lines: dict[str, int], on: date, detail: Any) -> None:
    source = f"example:{tenancy}:{on}"
    ledger.credit(tenancy, sum(lines.values()), source=source, detail=detail, on=on)


def _months(began: date, until: date) -> Iterator[tuple[date, date]]:
    """Give the first and last days of the months that begin after ``began``, up to ``until``."""
    first = began + relativedelta(months=1, day=1)
    while first <= until:
        yield first, first + relativedelta(months=1, days=-1)
        first += relativedelta(months=1)
