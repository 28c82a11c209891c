"""Open hours drawn as a calendar."""

from __future__ import annotations

from calendar import monthrange
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.table import Table
from rich.text import Text

from ...clock import LONDON, to_london, to_utc
from ...texts import ui
from ...windows import Interval
from .text import grid, styled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from ...actions import TodoKind
    from ...texts import Lang
    from ...windows import PortalHours

__all__ = ["show_calendar"]

_MONTHS_ABREAST: Final = 3
_WEEKS: Final = 6
_ONE_DAY: Final = timedelta(days=1)


class _Mark(NamedTuple):
    """How a day is shown: by its number and a symbol, or by the symbol alone."""

    symbol: str
    style: str
    numbered: bool

    def cell(self, day: int) -> Text:
        return Text(f"{day:>2}{self.symbol}" if self.numbered else f" {self.symbol} ", self.style)


_PART: Final = _Mark(" ", "green", numbered=True)
_WHOLE: Final = _Mark("+", "bold black on green", numbered=True)
_CLOSED: Final = _Mark("·", "dim", numbered=False)
_HOLIDAY: Final = _Mark("H", "red", numbered=False)
_PROVISIONAL: Final = _Mark("h", "red", numbered=False)
_OPEN_HOLIDAY: Final = _Mark("*", "magenta", numbered=True)


@dataclass(frozen=True, slots=True)
class _Day:
    """A London day: for how long and when it is open, and how it is marked."""

    day: date
    open_for: timedelta
    hours: str
    mark: _Mark


def show_calendar(
    console: Console,
    hours: PortalHours,
    *,
    start: datetime,
    end: datetime,
    kind: TodoKind | None,
    lang: Lang,
) -> None:
    """Print every month of [``start``, ``end``), three abreast, and what its marks mean."""
    days = {
        day: _classify(hours, day, parts, lang)
        for day, parts in _open_parts(hours, start, end, kind)
    }
    if not days:
        console.print(styled(ui("calendar.none").to(lang)))
        return
    years = sorted({day.year for day in days})
    shown = str(years[0]) if len(years) == 1 else f"{years[0]}-{years[-1]}"
    console.print(styled(ui("calendar.title", year=shown).to(lang), "bold"))
    console.print(styled(ui("calendar.span", start=start, end=end).to(lang), "dim"))
    months = sorted({(day.year, day.month) for day in days})
    for index in range(0, len(months), _MONTHS_ABREAST):
        console.print()
        row = [_month(*month, days, lang) for month in months[index : index + _MONTHS_ABREAST]]
        table = Table.grid(padding=(0, 4, 0, 0))
        for lines in zip(*row, strict=True):
            if any(str(line).strip() for line in lines):
                table.add_row(*lines)
        console.print(table)
    console.print()
    console.print(_legend(list(days.values()), lang))
    _show_holidays(console, list(days.values()), lang)


def _open_parts(
    hours: PortalHours, start: datetime, end: datetime, kind: TodoKind | None
) -> Iterator[tuple[date, list[Interval]]]:
    """Yield each London day of the span with what of it is open."""
    ahead = deque(hours.intervals(start, end, kind))
    for day in _dates(start, end):
        first, last = _midnight(day), _midnight(day + _ONE_DAY)
        parts = []
        while ahead and ahead[0].start < last:
            parts.append(Interval(max(ahead[0].start, first), min(ahead[0].end, last)))
            if ahead[0].end > last:
                break
            ahead.popleft()
        yield day, parts


def _dates(start: datetime, end: datetime) -> Iterator[date]:
    day = to_london(start).date()
    while _midnight(day) < end:
        yield day
        day += _ONE_DAY


def _classify(hours: PortalHours, day: date, parts: list[Interval], lang: Lang) -> _Day:
    is_whole = parts == [Interval(_midnight(day), _midnight(day + _ONE_DAY))]
    if day in hours.bank_holidays:
        closed = _PROVISIONAL if hours.bank_holidays.is_provisional(day) else _HOLIDAY
        mark = _OPEN_HOLIDAY if parts else closed
    elif parts:
        mark = _WHOLE if is_whole else _PART
    else:
        mark = _CLOSED
    if is_whole or not parts:
        shown = ui("calendar.all_day" if parts else "calendar.closed").to(lang)
    else:
        shown = ", ".join(f"{_clock(part.start)}-{_clock(part.end)}" for part in parts)
    return _Day(day, sum((part.duration for part in parts), timedelta(0)), shown, mark)


def _midnight(day: date) -> datetime:
    return to_utc(datetime.combine(day, time(0), LONDON))


def _clock(at: datetime) -> str:
    return f"{to_london(at):%H:%M}"


def _month(year: int, month: int, days: dict[date, _Day], lang: Lang) -> list[Text]:
    """Return a month as lines: its name and open hours, the weekdays, the weeks."""
    first_weekday, length = monthrange(year, month)
    cells = [Text("   ")] * first_weekday
    total = timedelta(0)
    for number in range(1, length + 1):
        day = days.get(date(year, month, number))
        cells.append(Text("   ") if day is None else day.mark.cell(number))
        total += timedelta(0) if day is None else day.open_for
    cells += [Text("   ")] * (_WEEKS * 7 - len(cells))
    name = f"{ui(f'month.{month:02}').to(lang)} {year}"
    hours = f"{round(total.total_seconds() / 3600)} h"
    names = " ".join(ui(f"day_short.{number}").to(lang)[:2] for number in range(1, 8))
    return [
        Text(f"{name}{hours:>{20 - len(name)}} ", "bold"),
        Text(f"{names} ", "dim"),
        *(Text.assemble(*cells[7 * week : 7 * week + 7]) for week in range(_WEEKS)),
    ]


def _legend(days: list[_Day], lang: Lang) -> Table:
    used = {day.mark for day in days}
    hours = sorted({day.hours for day in days[1:-1] if day.mark is _PART})
    part = ui("calendar.part_day").to(lang)
    if hours:
        part = f"{part} ({'; '.join(hours)})"
    words = {
        _PART: part,
        _WHOLE: ui("calendar.all_day").to(lang),
        _CLOSED: ui("calendar.closed").to(lang),
        _HOLIDAY: ui("calendar.bank_holiday").to(lang),
        _PROVISIONAL: ui("calendar.provisional").to(lang),
        _OPEN_HOLIDAY: ui("calendar.open_holiday").to(lang),
    }
    return grid((mark.cell(12), styled(text)) for mark, text in words.items() if mark in used)


def _show_holidays(console: Console, days: list[_Day], lang: Lang) -> None:
    holidays = [d for d in days if d.mark in (_HOLIDAY, _PROVISIONAL, _OPEN_HOLIDAY)]
    if not holidays:
        return
    console.print()
    console.print(styled(ui("calendar.bank_holiday").to(lang).capitalize(), "bold"))
    console.print(
        grid(
            (
                Text(day.mark.symbol, day.mark.style),
                styled(ui("at", at=day.day).to(lang)),
                styled(day.hours, "dim"),
            )
            for day in holidays
        )
    )
