"""The check of the hours: the clauses ``when``, and the readings that they leave open."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from ..actions import HOUSING_COST_KINDS, Action, TodoKind
from ..clock import to_london
from ..decision import Finding, Outcome, ReadingUse
from ..readings import READINGS
from ..request import Mode
from ..windows import (
    ANNUAL_FIRST,
    ANNUAL_LAST,
    Always,
    BankHolidays,
    Closures,
    Nation,
    PortalHours,
    WindowCode,
    YearlyDates,
)
from .base import PASS, StandardCheck, reading_use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..request import Request
    from ..windows import Window

__all__ = ["WindowCheck"]


# Looking a member up on its enum costs a tenth of the whole check.
_SIGN_OUT: Final = Action.SIGN_OUT
_TEST: Final = Mode.TEST

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WINDOW_READINGS: Final = ("bank_holidays", "nation", "annual_scope", "test_runs")
FILE_NAMES: Final = {
    "days": "days",
    "opens": "opens",
    "closes": "closes",
    "annual_first": "annual_first",
    "annual_last": "annual_last",
    "extra_bank_holidays": "extra",
    "removed_bank_holidays": "removed",
}
"""What a policy file calls the arguments of `PortalHours`."""


class WindowCheck(StandardCheck):
    """Within the hours for automation, with time to finish (the clauses ``when``).

    Not applicable to ``sign_out``. Without ``expected_duration`` only the instant counts.
    """

    id = "window"

    def __init__(
        self,
        *,
        bank_holidays: str = "closed",
        nation: str = "union",
        annual_scope: str = "annual-rent-change",
        test_runs: str = "keep-hours",
        hours: Mapping[str, Any] | None = None,
    ) -> None:
        """Judge by these readings; ``hours`` are further arguments of `PortalHours`.

        Raises:
            ValueError, TypeError, HorizonError: hours that cannot be, as `PortalHours` says.
        """
        super().__init__()
        self.readings = {
            "bank_holidays": bank_holidays,
            "nation": nation,
            "annual_scope": annual_scope,
            "test_runs": test_runs,
        }
        self.hours = dict(hours or {})
        own = (nation, bank_holidays, annual_scope)
        # At once, so that hours which cannot be are refused when a policy is read.
        self._own = self._portal_hours(*own)
        self._windows = {own: self._own}
        self._contested = _ContestedDays(
            YearlyDates(
                self.hours.get("annual_first", ANNUAL_FIRST),
                self.hours.get("annual_last", ANNUAL_LAST),
            ),
            BankHolidays(Nation.UNION, self.hours.get("extra", ()), self.hours.get("removed", ())),
        )

    def evaluate(self, request: Request) -> Finding:
        """Fail with one of the window codes, or as ``insufficient_time_left``."""
        if request.action is _SIGN_OUT:
            return self._not_applicable
        context = request.context
        if (
            context.expected_duration is None
            and not context.closures
            and context.mode is not _TEST
            and not self._contested[request.today]
        ):
            # Such a day is the same for every kind, nation and reading.
            closed = self._own.code(request.local)
            return self._pass if closed is None else self._fail(closed.value)
        code = self._code(request, self.readings)
        if self._is_contested(request) or code == "insufficient_time_left":
            return self._with_readings(request, code)
        return self._pass if code == PASS else self._fail(code)

    def next_change(self, request: Request) -> datetime | None:
        """Return when the request would next begin, or cease, to pass."""
        if request.action is _SIGN_OUT:
            return None
        window = self._window(request, self.readings)
        kind = _kind(request)
        duration = request.context.expected_duration
        if self._code(request, self.readings) == PASS:
            closes = window.next_change(request.time, kind)
            if closes is None or duration is None:
                return closes
            return closes - duration + timedelta(microseconds=1)
        return window.next_start(request.time, duration or timedelta(0), kind)

    def portal_hours(self, nation: str | None = None) -> PortalHours:
        """Return its hours without closures; ``nation`` instead of the reading of that name."""
        readings = self.readings
        return self._portal_hours(
            readings["nation"] if nation is None else nation,
            readings["bank_holidays"],
            readings["annual_scope"],
        )

    def describe(self) -> dict[str, Any]:
        """Return the check and its hours as a policy file writes them."""
        hours = {
            name: _as_written(self.hours[argument])
            for name, argument in FILE_NAMES.items()
            if argument in self.hours
        }
        return {"check": self.id, **hours}

    def _with_readings(self, request: Request, code: str) -> Finding:
        readings: list[ReadingUse] = []
        for name, own in self.readings.items():
            if name == "nation" and request.context.landlord.nation is not None:
                continue
            answers = {
                value: code if value == own else self._code(request, {**self.readings, name: value})
                for value in READINGS[name]
            }
            readings += reading_use(name, own, answers)
        if code == PASS:
            return self._finding(Outcome.PASS, readings=tuple(readings))
        params: dict[str, Any] = {}
        if code == "insufficient_time_left":
            window = self._window(request, self.readings)
            params["closes"] = request.time + window.remaining(request.time, kind=_kind(request))
        return self._finding(Outcome.FAIL, code, tuple(readings), **params)

    def _code(self, request: Request, readings: Mapping[str, str]) -> str:
        kind = _kind(request)
        window = self._window(request, readings)
        if isinstance(window, PortalHours):
            code = window.code(request.local, kind)
            if code is not None:
                return code.value
        elif not window.is_open(request.time, kind):
            return WindowCode.CLOSURE.value
        duration = request.context.expected_duration
        if duration is not None and not window.can_start(request.time, duration, kind=kind):
            return WindowCode.INSUFFICIENT_TIME_LEFT.value
        return PASS

    def _window(self, request: Request, readings: Mapping[str, str]) -> Window:
        context = request.context
        if context.mode is _TEST and readings["test_runs"] == "any-time":
            return Always() - Closures(context.closures)
        nation = context.landlord.nation
        key = (
            readings["nation"] if nation is None else nation.value,
            readings["bank_holidays"],
            readings["annual_scope"],
        )
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = self._portal_hours(*key)
        return window.with_closures(context.closures) if context.closures else window

    def _portal_hours(self, nation: str, bank_holidays: str, annual_scope: str) -> PortalHours:
        return PortalHours(
            nation=Nation(nation),
            bank_holidays_open=bank_holidays == "open",
            annual_kinds=(
                frozenset({TodoKind.CONFIRM_HOUSING_COSTS})
                if annual_scope == "annual-rent-change"
                else HOUSING_COST_KINDS
            ),
            **self.hours,
        )

    def _is_contested(self, request: Request) -> bool:
        """Whether another value of some reading could answer differently.

        Outside the annual window, on a day that is no nation's bank holiday, in live mode, none
        can, unless the work reaches into another day.
        """
        duration = request.context.expected_duration
        return (
            request.context.mode is _TEST
            or (duration is not None and to_london(request.time + duration).date() != request.today)
            or self._contested[request.today]
        )


class _ContestedDays(dict[date, bool]):
    """Whether a London day is in the annual window, or some nation's bank holiday."""

    def __init__(self, annual: YearlyDates, holidays: BankHolidays) -> None:
        self._annual = annual
        self._holidays = holidays

    def __missing__(self, day: date) -> bool:
        self[day] = contested = self._annual.holds(day) or day in self._holidays
        return contested


def _as_written(value: Any) -> object:
    match value:
        case time():
            return value.isoformat("minutes")
        case date():
            return value.isoformat()
        case int():
            return WEEKDAYS[value]
        case (int(month), int(day)):
            return f"{month:02}-{day:02}"
        case _:
            return [_as_written(item) for item in value]


def _kind(request: Request) -> TodoKind | None:
    kind = request.resource.kind
    return kind if isinstance(kind, TodoKind) else None
