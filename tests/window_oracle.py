"""The portal's hours a second time, from the terms alone, by another way than the library's.

Nothing here knows a time zone: UTC is turned into London's wall clock by the rule of the last
Sundays. Bank holidays come from the rules behind the published list, and from the one
proclamation that falls into the years covered. Every instant is asked for by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from dateutil.easter import easter

FIRST_YEAR, LAST_YEAR = 2024, 2028
NATIONS = ("england-and-wales", "scotland", "northern-ireland")
MONDAY, SATURDAY, SUNDAY = 0, 5, 6

PROCLAIMED = {"scotland": {date(2026, 6, 15)}}


@dataclass(frozen=True)
class Reading:
    """Which answers the terms leave open, and the maintenance that was announced (naive UTC)."""

    nation: str = "union"
    bank_holidays_open: bool = False
    closures: tuple[tuple[datetime, datetime], ...] = ()


def wall(utc: datetime) -> datetime:
    """Return what London's clocks show at a naive UTC time."""
    summer = _last_sunday(utc.year, 3) <= utc < _last_sunday(utc.year, 10)
    return utc + timedelta(hours=1) if summer else utc


def code(utc: datetime, kind: str | None, reading: Reading) -> str | None:
    """Return why ``utc`` (naive) is outside the window for a kind of to-do, None when inside."""
    if any(start <= utc < end for start, end in reading.closures):
        return "closure"
    shown = wall(utc)
    return code_by_the_clock(shown.date(), shown.hour, kind, reading)


def code_by_the_clock(day: date, hour: int, kind: str | None, reading: Reading) -> str | None:
    """Return the same for a wall time, maintenance apart."""
    weekday, holiday, annual = facts(day, reading.nation)
    closed_holiday = holiday and not reading.bank_holidays_open
    if weekday < SATURDAY and 8 <= hour < 18 and not closed_holiday:
        return None
    if annual:
        return None if kind == "confirm_housing_costs" else "annual_window_wrong_todo"
    if weekday >= SATURDAY:
        return "weekend"
    return "bank_holiday" if closed_holiday else "outside_hours"


@cache
def facts(day: date, nation: str) -> tuple[int, bool, bool]:
    """Return the weekday, whether it is a bank holiday, and whether in the annual window."""
    nations = NATIONS if nation == "union" else (nation,)
    holiday = any(day in bank_holidays(each, day.year) for each in nations)
    return day.weekday(), holiday, date(day.year, 4, 1) <= day <= date(day.year, 5, 15)


@cache
def bank_holidays(nation: str, year: int) -> frozenset[date]:
    """Return the days on which a nation's bank holidays are kept, substitutes for weekend ones."""
    assert FIRST_YEAR <= year <= LAST_YEAR
    good_friday = easter(year) - timedelta(days=2)
    days = {good_friday, _monday(year, 5, first=True), _monday(year, 5, first=False)}
    new_year, christmas = [date(year, 1, 1)], [date(year, 12, 25), date(year, 12, 26)]
    if nation == "scotland":
        new_year.append(date(year, 1, 2))
        days |= {_monday(year, 8, first=True), *_kept([date(year, 11, 30)])}
    else:
        days |= {easter(year) + timedelta(days=1), _monday(year, 8, first=False)}
    if nation == "northern-ireland":
        days |= {*_kept([date(year, 3, 17)]), *_kept([date(year, 7, 12)])}
    days |= {*_kept(new_year), *_kept(christmas)}
    return frozenset(days | PROCLAIMED.get(nation, set()))


def _kept(days: list[date]) -> set[date]:
    kept = {day for day in days if day.weekday() < SATURDAY}
    for day in days:
        if day.weekday() >= SATURDAY:
            substitute = day
            while substitute.weekday() >= SATURDAY or substitute in kept:
                substitute += timedelta(days=1)
            kept.add(substitute)
    return kept


def _monday(year: int, month: int, *, first: bool) -> date:
    mondays = [
        day
        for number in range(1, 32)
        if (day := _date_or_none(year, month, number)) and day.weekday() == MONDAY
    ]
    return mondays[0 if first else -1]


def _date_or_none(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


@cache
def _last_sunday(year: int, month: int) -> datetime:
    """Return 01:00 UTC on the last Sunday of March or October, when the clocks change."""
    day = date(year, month, 31)
    while day.weekday() != SUNDAY:
        day -= timedelta(days=1)
    return datetime(day.year, day.month, day.day, 1)  # noqa: DTZ001 - UTC, and naive on purpose
