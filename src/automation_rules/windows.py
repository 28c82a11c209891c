"""When automation may run: windows, calendars and the portal's published hours.

A window is a set of instants, possibly a different one for each kind of to-do. Every instant
given must be aware; every instant returned is in UTC. Intervals are half-open, so a window that
closes at 18:00 is closed at 18:00. Windows combine: ``hours - Closures([...])``,
``WeeklyHours(...) | YearlyDates(...)``, ``window.only_for(TodoKind.CONFIRM_HOUSING_COSTS)``.

The calendars know the London years `FIRST_YEAR` to `LAST_YEAR`. Whatever lies outside raises
`HorizonError`, and an interval that would go on past them ends with them: unknown is closed.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from bisect import bisect_right
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import cache
from heapq import merge
from itertools import chain, groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from .actions import TodoKind
from .clock import LONDON, to_utc
from .errors import HorizonError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = [
    "ANNUAL_FIRST",
    "ANNUAL_LAST",
    "FIRST_YEAR",
    "LAST_PROCLAIMED_YEAR",
    "LAST_YEAR",
    "Always",
    "BankHolidays",
    "Closure",
    "Closures",
    "Interval",
    "Nation",
    "PortalHours",
    "State",
    "WeeklyHours",
    "Window",
    "WindowCode",
    "YearlyDates",
]

FIRST_YEAR: Final = 1981
"""The first London year known: since then every clock change is a Sunday at 01:00 UTC."""

LAST_YEAR: Final = 2100
"""The last London year known: the bank-holiday rules end with it."""

LAST_PROCLAIMED_YEAR: Final = 2028
"""The last year of the bank holidays published on gov.uk; later ones follow from rules only."""

ANNUAL_FIRST: Final = (4, 1)
"""The published annual window's first month and day (``when.annual-window``)."""

ANNUAL_LAST: Final = (5, 15)
"""The published annual window's last month and day; that day is included."""

_BEGINNING: Final = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)
_HORIZON: Final = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta.resolution
_NONE: Final = timedelta(0)
_DAY: Final = timedelta(days=1)
_MIDNIGHT: Final = time(0)
_MONDAY_TO_FRIDAY: Final = frozenset(range(5))
_MINUTES_PER_DAY: Final = 24 * 60

_Span: TypeAlias = tuple[datetime, datetime]
_Codes: TypeAlias = "tuple[WindowCode | None, ...]"
_Pattern: TypeAlias = "tuple[WindowCode | _Codes | None, ...]"


class Nation(Enum):
    """Whose bank holidays count (reading ``nation``); the union is the cautious one."""

    UNION = "union"
    ENGLAND_AND_WALES = "england-and-wales"
    SCOTLAND = "scotland"
    NORTHERN_IRELAND = "northern-ireland"


_SUBDIVISIONS: Final = {
    Nation.UNION: ("ENG", "WLS", "SCT", "NIR"),
    Nation.ENGLAND_AND_WALES: ("ENG", "WLS"),
    Nation.SCOTLAND: ("SCT",),
    Nation.NORTHERN_IRELAND: ("NIR",),
}


class WindowCode(Enum):
    """Why an instant, or a piece of work, is outside the window; first that holds."""

    CLOSURE = "closure"
    ANNUAL_WINDOW_WRONG_TODO = "annual_window_wrong_todo"
    WEEKEND = "weekend"
    BANK_HOLIDAY = "bank_holiday"
    OUTSIDE_HOURS = "outside_hours"
    INSUFFICIENT_TIME_LEFT = "insufficient_time_left"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """The instants from ``start`` up to but not including ``end``, both kept in UTC.

    Raises:
        ClockError: a bound is naive.
        ValueError: ``start`` is not before ``end``.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Bring both bounds to UTC and in order."""
        _set_bounds(self)

    @property
    def duration(self) -> timedelta:
        """The elapsed time, clock changes taken into account."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, order=True)
class Closure:
    """A time during which nothing may run: maintenance, or a pause that was asked for.

    ``start`` is the first instant closed, ``end`` the first open again, both kept in UTC.
    ``reason`` is free text for people; it is never compared and never shown by ``repr``.

    Raises:
        ClockError: a bound is naive.
        ValueError: ``start`` is not before ``end``.
    """

    start: datetime
    end: datetime
    reason: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        """Bring both bounds to UTC and in order."""
        _set_bounds(self)


def _set_bounds(span: Interval | Closure) -> None:
    start, end = to_utc(span.start), to_utc(span.end)
    if start >= end:
        raise ValueError(
            f"start {start.isoformat()} is not before end {end.isoformat()}: give them in order"
        )
    object.__setattr__(span, "start", start)
    object.__setattr__(span, "end", end)


@dataclass(frozen=True, slots=True)
class State:
    """A window at one instant: open or not, why not, and until when that stays so.

    ``until`` is the next instant at which ``is_open`` changes, None when none is known.
    """

    is_open: bool
    code: WindowCode | None
    until: datetime | None


class Window(ABC):
    """An immutable set of instants, possibly a different one for each kind of to-do.

    Every method takes the ``kind`` of to-do that the work is for; None stands for work that is
    not about one kind. All raise `ClockError` for a naive instant and `HorizonError` for one
    outside the years known.
    """

    __slots__ = ()

    @abstractmethod
    def _spans(self, start: datetime, kind: TodoKind | None, /) -> Iterator[_Span]:
        """Yield the open spans from ``start`` on: maximal, ascending, clipped to the horizon.

        ``start`` is in UTC and within the years known; a span that is open then begins with it.
        """

    def is_open(self, at: datetime, kind: TodoKind | None = None) -> bool:
        """Tell whether the window is open at ``at``."""
        return self._closing(_instant(at), kind) is not None

    def next_change(self, after: datetime, kind: TodoKind | None = None) -> datetime | None:
        """Return the first instant later than ``after`` at which the window opens or closes.

        None says that there is none within the years known.
        """
        after = _instant(after)
        for start, end in self._spans(after, kind):
            change = end if start == after else start
            return change if change < _HORIZON else None
        return None

    def intervals(
        self, start: datetime, end: datetime, kind: TodoKind | None = None
    ) -> Iterator[Interval]:
        """Yield the open intervals, as long as they can be, clipped to [``start``, ``end``).

        Raises:
            ValueError: ``start`` is later than ``end``.
        """
        start, end = _instant(start), _instant(end, _HORIZON)
        if start > end:
            raise ValueError(
                f"start {start.isoformat()} is after end {end.isoformat()}: give them in order"
            )
        return self._intervals(start, end, kind)

    def _intervals(
        self, start: datetime, end: datetime, kind: TodoKind | None
    ) -> Iterator[Interval]:
        for opens, closes in self._spans(start, kind):
            if opens >= end:
                return
            yield Interval(opens, min(closes, end))

    def remaining(
        self, at: datetime, until: datetime | None = None, kind: TodoKind | None = None
    ) -> timedelta:
        """Return how long the window is open in [``at``, ``until``).

        Without ``until``: how long it stays open from ``at`` on, zero when it is closed then.

        Raises:
            ValueError: ``at`` is later than ``until``.
        """
        if until is not None:
            return sum((i.duration for i in self.intervals(at, until, kind)), _NONE)
        at = _instant(at)
        closing = self._closing(at, kind)
        return _NONE if closing is None else closing - at

    def can_start(
        self,
        at: datetime,
        duration: timedelta,
        margin: timedelta = _NONE,
        kind: TodoKind | None = None,
    ) -> bool:
        """Tell whether work begun at ``at`` ends within the interval, ``margin`` to spare.

        Work that ends exactly at closing fits.

        Raises:
            ValueError: ``duration`` or ``margin`` is negative.
        """
        needed = _sum(duration, margin)
        at = _instant(at)
        closing = self._closing(at, kind)
        return closing is not None and closing - at >= needed

    def last_safe_start(
        self,
        at: datetime,
        duration: timedelta,
        margin: timedelta = _NONE,
        kind: TodoKind | None = None,
    ) -> datetime | None:
        """Return the latest instant from ``at`` on at which work can still start.

        Only one interval counts: the one open at ``at``, or the next when the window is closed.
        None says that it is too short, or that its last safe start has passed.

        Raises:
            ValueError: ``duration`` or ``margin`` is negative.
        """
        needed = _sum(duration, margin)
        for start, end in self._spans(_instant(at), kind):
            return None if end - start < needed else min(end - needed, end - _TICK)
        return None

    def next_start(
        self,
        at: datetime,
        duration: timedelta = _NONE,
        kind: TodoKind | None = None,
        *,
        within: timedelta = timedelta(days=400),
    ) -> datetime | None:
        """Return the first instant from ``at`` up to ``at + within`` at which work can start.

        None says that there is none, or none within the years known.

        Raises:
            ValueError: ``duration`` or ``within`` is negative.
        """
        _sum(duration, within)  # neither may be negative
        at = _instant(at)
        for start, end in self._spans(at, kind):
            if start - at > within:
                return None
            if end - start >= duration:
                return start
        return None

    def __or__(self, other: Window) -> Window:
        """Return the window that is open when either is."""
        return _Combined(self, other, operator.or_)

    def __and__(self, other: Window) -> Window:
        """Return the window that is open when both are."""
        return _Combined(self, other, operator.and_)

    def __sub__(self, other: Window) -> Window:
        """Return the window that is open when this one is and ``other`` is not."""
        return _Combined(self, other, _but_not)

    def only_for(self, *kinds: TodoKind) -> Window:
        """Return this window for ``kinds``, and never open for any other kind or for none."""
        return _OnlyFor(self, kinds)

    def _closing(self, at: datetime, kind: TodoKind | None) -> datetime | None:
        """Return the end of the interval that holds ``at``; None when the window is closed."""
        for start, end in self._spans(at, kind):
            return end if start == at else None
        return None


class Always(Window):
    """Open at every instant of the years known."""

    __slots__ = ()

    def _spans(self, start: datetime, _kind: TodoKind | None, /) -> Iterator[_Span]:
        yield start, _HORIZON


class WeeklyHours(Window):
    """The same hours on some days of every week, by London's clocks.

    ``days`` counts from Monday, 0, to Sunday, 6. The hours are [``opens``, ``closes``), in whole
    minutes; a ``closes`` of ``time(0)`` is the midnight that ends the day. In minutes from the
    day's beginning they are ``first_minute`` and ``last_minute``.

    Raises:
        ValueError: no day, or one that is not 0 to 6; hours that end before they begin; an edge
            between midnight and 03:00, where a clock change leaves out or repeats times; one
            with seconds or a zone.
    """

    __slots__ = ("days", "first_minute", "last_minute")

    def __init__(self, days: Collection[int], opens: time, closes: time) -> None:
        """Check and keep the days and the hours."""
        if not days or not all(0 <= day <= 6 for day in days):
            raise ValueError("days: give at least one of 0 (Monday) to 6 (Sunday)")
        for name, edge in (("opens", opens), ("closes", closes)):
            if edge.tzinfo is not None or edge.second or edge.microsecond:
                raise ValueError(f"{name}: give a time in whole minutes, without a zone")
            if _MIDNIGHT < edge < time(3):
                raise ValueError(
                    f"{name}: {edge:%H:%M} may be left out or repeated when the clocks change;"
                    " give midnight, or 03:00 or later"
                )
        self.days: Final = frozenset(days)
        self.first_minute: Final = opens.hour * 60 + opens.minute
        self.last_minute: Final = closes.hour * 60 + closes.minute or _MINUTES_PER_DAY
        if self.first_minute >= self.last_minute:
            raise ValueError("closes: give a time after opens, or 00:00 for the end of the day")

    def _spans(self, start: datetime, _kind: TodoKind | None, /) -> Iterator[_Span]:
        from dateutil.rrule import WEEKLY, rrule

        days = rrule(
            WEEKLY,
            byweekday=sorted(self.days),
            dtstart=datetime.combine(start.astimezone(LONDON), _MIDNIGHT),
            until=datetime.combine(date(LAST_YEAR, 12, 31), _MIDNIGHT),
        )
        return _tidy(
            ((_wall(day, self.first_minute), _wall(day, self.last_minute)) for day in days), start
        )


class YearlyDates(Window):
    """Whole London days from one date to another, both included, every year.

    ``first`` and ``last`` are (month, day); a range that ends before it begins runs over the
    turn of the year.

    Raises:
        ValueError: no such date in every year.
    """

    __slots__ = ("first", "last")

    def __init__(self, first: tuple[int, int], last: tuple[int, int]) -> None:
        """Check and keep the dates."""
        for name, (month, day) in (("first", first), ("last", last)):
            try:
                date(FIRST_YEAR, month, day)
            except ValueError as error:
                raise ValueError(
                    f"{name}: month {month}, day {day} is not a date in every year"
                ) from error
        self.first: Final = first
        self.last: Final = last

    def holds(self, day: date) -> bool:
        """Tell whether the London date ``day`` is one of the dates."""
        monthday = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= monthday <= self.last
        return monthday >= self.first or monthday <= self.last

    def _spans(self, start: datetime, _kind: TodoKind | None, /) -> Iterator[_Span]:
        turns = self.first > self.last
        return _tidy(
            (
                (_wall(date(year, *self.first)), _wall(date(year + turns, *self.last) + _DAY))
                for year in range(start.year - 1, LAST_YEAR + 1)
            ),
            start,
        )


class Closures(Window):
    """The instants that fall into any of some closures; used as ``window - Closures([...])``."""

    __slots__ = ("_ends", "_starts", "closures")

    def __init__(self, closures: Iterable[Closure]) -> None:
        """Keep the closures, and their spans merged where they touch."""
        self.closures: Final = tuple(sorted(closures))
        starts: list[datetime] = []
        ends: list[datetime] = []
        for closure in self.closures:
            if ends and closure.start <= ends[-1]:
                ends[-1] = max(ends[-1], closure.end)
            else:
                starts.append(closure.start)
                ends.append(closure.end)
        self._starts: Final = starts
        self._ends: Final = ends

    def holds(self, at: datetime) -> bool:
        """Tell whether the aware instant ``at``, of whatever year, falls into a closure."""
        at = at.astimezone(UTC)
        index = bisect_right(self._starts, at)
        return index > 0 and at < self._ends[index - 1]

    def gaps(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Yield the spans without any closure, from ``start``, in UTC, to the horizon."""
        for first, last in self._spans(start, None):
            if start < first:
                yield start, first
            start = last
        if start < _HORIZON:
            yield start, _HORIZON

    def _spans(self, start: datetime, _kind: TodoKind | None, /) -> Iterator[_Span]:
        return _tidy(zip(self._starts, self._ends, strict=True), start)


class BankHolidays(Window):
    """The bank holidays of a nation: a set of London dates, and the window of their whole days.

    The weekend day that a substitute stands for is listed too. ``extra`` days are added and
    ``removed`` days taken away: proclamations come with as little as ten days' notice.

    Raises:
        TypeError: ``extra`` or ``removed`` holds something other than a plain date.
        HorizonError: it holds a date outside the years known.
        ValueError: a date is both extra and removed.
    """

    __slots__ = ("_extra", "_removed", "nation")

    def __init__(
        self, nation: Nation, extra: Iterable[date] = (), removed: Iterable[date] = ()
    ) -> None:
        """Keep the nation and the days that depart from the published list."""
        self.nation: Final = nation
        self._extra: Final = frozenset(_known_date(day) for day in extra)
        self._removed: Final = frozenset(_known_date(day) for day in removed)
        if both := self._extra & self._removed:
            raise ValueError(f"{min(both)} is both extra and removed: keep it in one of them")

    def __contains__(self, day: date) -> bool:
        """Tell whether the London date ``day`` is a bank holiday.

        Raises:
            TypeError: ``day`` is a datetime, whose date depends on the zone, or no date.
            HorizonError: ``day`` lies outside the years known.
        """
        _known_date(day)
        return day in self._extra or (
            day in _published(self.nation, day.year) and day not in self._removed
        )

    def is_provisional(self, day: date) -> bool:
        """Tell whether what is known of ``day`` follows from rules, not from the published list.

        Raises:
            TypeError: ``day`` is a datetime, or no date.
            HorizonError: ``day`` lies outside the years known.
        """
        return _known_date(day).year > LAST_PROCLAIMED_YEAR

    def _spans(self, start: datetime, _kind: TodoKind | None, /) -> Iterator[_Span]:
        years = range(start.astimezone(LONDON).year, LAST_YEAR + 1)
        days = chain.from_iterable(self._days(year) for year in years)
        return _tidy(((_wall(day), _wall(day + _DAY)) for day in days), start)

    def _days(self, year: int) -> list[date]:
        extra = {day for day in self._extra if day.year == year}
        return sorted((_published(self.nation, year) - self._removed) | extra)


class PortalHours(Window):
    """The Landlord Portal's hours for automation (``when.core-hours``, ``when.annual-window``).

    Monday to Friday from 08:00 to 18:00 without bank holidays, and from 1 April to 15 May every
    hour of every day for the annual rent change, all by London's clocks, less the closures.

    Args:
        nation: whose bank holidays are left out.
        bank_holidays_open: the reading ``bank_holidays=open``: they keep the core hours.
        annual_kinds: the kinds of to-do that the annual window is for; none: no annual window.
        extra: further bank holidays.
        removed: days that are no bank holidays after all.
        closures: what is taken away from every window.
        days, opens, closes: the core hours, as for `WeeklyHours`.
        annual_first, annual_last: the annual window's dates, as for `YearlyDates`.

    Raises:
        ValueError, TypeError, HorizonError: as the windows that this one is made of.
    """

    __slots__ = ("_annual", "_annual_kinds", "_closures", "_core", "bank_holidays")

    def __init__(
        self,
        *,
        nation: Nation = Nation.UNION,
        bank_holidays_open: bool = False,
        annual_kinds: frozenset[TodoKind] = frozenset({TodoKind.CONFIRM_HOUSING_COSTS}),
        extra: Iterable[date] = (),
        removed: Iterable[date] = (),
        closures: Iterable[Closure] = (),
        days: Collection[int] = _MONDAY_TO_FRIDAY,
        opens: time = time(8),
        closes: time = time(18),
        annual_first: tuple[int, int] = ANNUAL_FIRST,
        annual_last: tuple[int, int] = ANNUAL_LAST,
    ) -> None:
        """Compose the hours; the calendars are read when a year is first asked about."""
        core = WeeklyHours(days, opens, closes)
        holidays = BankHolidays(nation, extra, removed)
        annual = YearlyDates(annual_first, annual_last) if annual_kinds else None
        closed = None if bank_holidays_open else holidays
        self.bank_holidays = holidays
        self._annual_kinds = tuple(annual_kinds)
        self._annual = _Timetable(core, closed, annual, applies=True)
        self._core = _Timetable(core, closed, annual, applies=False)
        self._closures = _merged(closures)

    def with_closures(self, closures: Iterable[Closure]) -> PortalHours:
        """Return the same hours less ``closures`` as well; the calendars are shared."""
        other = copy(self)
        own = () if self._closures is None else self._closures.closures
        other._closures = _merged((*own, *closures))
        return other

    def code(self, at: datetime, kind: TodoKind | None = None) -> WindowCode | None:
        """Return why the window is closed at ``at``, by the first code that holds; None if open."""
        if at.tzinfo is LONDON:
            local = at
        else:
            try:
                local = (at if at.tzinfo is UTC else _instant(at)).astimezone(LONDON)
            except OverflowError:
                raise _beyond(at) from None
        days = self._annual if kind in self._annual_kinds else self._core
        code = days[local.toordinal()][local.hour]
        if code is not None and isinstance(code, tuple):
            code = code[local.minute]
        if self._closures is not None and self._closures.holds(at):
            return WindowCode.CLOSURE
        return code

    def is_open(self, at: datetime, kind: TodoKind | None = None) -> bool:
        """Tell whether the window is open at ``at``."""
        # `code` over again: to call it would cost a quarter of the whole answer.
        if at.tzinfo is LONDON:
            local = at
        else:
            try:
                local = (at if at.tzinfo is UTC else _instant(at)).astimezone(LONDON)
            except OverflowError:
                raise _beyond(at) from None
        days = self._annual if kind in self._annual_kinds else self._core
        code = days[local.toordinal()][local.hour]
        if code is not None and isinstance(code, tuple):
            code = code[local.minute]
        return code is None and (self._closures is None or not self._closures.holds(at))

    def state(self, at: datetime, kind: TodoKind | None = None) -> State:
        """Return whether the window is open at ``at``, why not, and until when."""
        code = self.code(at, kind)
        return State(code is None, code, self.next_change(at, kind))

    def next_change(self, after: datetime, kind: TodoKind | None = None) -> datetime | None:
        """Return the first instant later than ``after`` at which the window opens or closes.

        None says that there is none within the years known.
        """
        if self._closures is not None:
            return super().next_change(after, kind)
        if after.tzinfo is not UTC:
            after = _instant(after)
        days = self._annual if kind in self._annual_kinds else self._core
        edges = days.edges[after.year * 12 + after.month]
        index = bisect_right(edges, after)
        return edges[index] if index < len(edges) else next(days.edges_after(after), None)

    def _spans(self, start: datetime, kind: TodoKind | None, /) -> Iterator[_Span]:
        days = self._annual if kind in self._annual_kinds else self._core
        if self._closures is None:
            yield from days.spans(start)
            return
        # Not by `_sweep`, which would read on to the horizon when a closure has no end in sight.
        for gap_start, gap_end in self._closures.gaps(start):
            for opening, closing in days.spans(gap_start):
                if opening >= gap_end:
                    break
                yield opening, min(closing, gap_end)


class _OnlyFor(Window):
    """A window restricted to some kinds of to-do."""

    __slots__ = ("_kinds", "_window")

    def __init__(self, window: Window, kinds: Sequence[TodoKind]) -> None:
        self._window = window
        self._kinds = kinds

    def is_open(self, at: datetime, kind: TodoKind | None = None) -> bool:
        """Tell whether the window is open at ``at``."""
        return self._window.is_open(at, kind) and kind in self._kinds

    def _spans(self, start: datetime, kind: TodoKind | None, /) -> Iterator[_Span]:
        return self._window._spans(start, kind) if kind in self._kinds else iter(())


class _Combined(Window):
    """The instants that ``keep(in left, in right)`` holds for."""

    __slots__ = ("_keep", "_left", "_right")

    def __init__(self, left: Window, right: Window, keep: Callable[[bool, bool], bool]) -> None:
        self._left = left
        self._right = right
        self._keep = keep

    def is_open(self, at: datetime, kind: TodoKind | None = None) -> bool:
        """Tell whether the window is open at ``at``."""
        return self._keep(self._left.is_open(at, kind), self._right.is_open(at, kind))

    def _spans(self, start: datetime, kind: TodoKind | None, /) -> Iterator[_Span]:
        return _sweep(self._left._spans(start, kind), self._right._spans(start, kind), self._keep)


class _Timetable(dict[int, _Pattern]):
    """The portal's hours for some kinds of to-do, without closures, as tables that fill on demand.

    London days, by ordinal, map to why each hour by London's clocks is closed, None for open; an
    hour that is both maps to as much for each of its minutes. Reading the clocks is enough,
    because `WeeklyHours` keeps edges off the times that a clock change leaves out or repeats.
    ``edges`` maps UTC months, as year * 12 + month, to the instants in them at which the window
    opens or closes.
    """

    __slots__ = ("_annual", "_applies", "_core", "_holidays", "edges")

    def __init__(
        self,
        core: WeeklyHours,
        holidays: BankHolidays | None,
        annual: YearlyDates | None,
        *,
        applies: bool,
    ) -> None:
        """Tabulate ``core`` without ``holidays``, and ``annual`` if it ``applies`` to the kinds."""
        self._core = core
        self._holidays = holidays
        self._annual = annual
        self._applies = applies
        self.edges: Final = _Edges(self)

    def __missing__(self, ordinal: int) -> _Pattern:
        self[ordinal] = pattern = _pattern(*self.hours(date.fromordinal(ordinal)))
        return pattern

    def hours(self, day: date) -> tuple[int, int, WindowCode]:
        """Return the minutes from which and to which ``day`` is open, and why not in the others.

        Raises:
            HorizonError: ``day`` lies outside the years known.
        """
        _known_date(day)
        in_annual_window = self._annual is not None and self._annual.holds(day)
        if in_annual_window and self._applies:
            return 0, _MINUTES_PER_DAY, WindowCode.OUTSIDE_HOURS
        is_workday = day.weekday() in self._core.days
        is_holiday = self._holidays is not None and day in self._holidays
        if in_annual_window:
            code = WindowCode.ANNUAL_WINDOW_WRONG_TODO
        elif day.weekday() >= 5 and not is_workday:
            code = WindowCode.WEEKEND
        elif is_holiday:
            code = WindowCode.BANK_HOLIDAY
        else:
            code = WindowCode.OUTSIDE_HOURS
        if not is_workday or is_holiday:
            return 0, 0, code
        return self._core.first_minute, self._core.last_minute, code

    def edges_after(self, after: datetime) -> Iterator[datetime]:
        """Yield the instants later than ``after`` at which the window opens or closes."""
        for month in range(after.year * 12 + after.month, (LAST_YEAR + 1) * 12 + 1):
            edges = self.edges[month]
            yield from edges[bisect_right(edges, after) :]

    def spans(self, start: datetime) -> Iterator[_Span]:
        """Yield the open spans as `Window` has them."""
        local = start.astimezone(LONDON)
        first, last, _ = self.hours(local.date())
        edges = chain(self.edges_after(start), (_HORIZON,))
        if first <= local.hour * 60 + local.minute < last:
            yield start, next(edges)
        # Two by two, an opening and its closing; a horizon left over finds the window closed.
        yield from zip(edges, edges, strict=False)


class _Edges(dict[int, list[datetime]]):
    """The edges of a `_Timetable`, by UTC month."""

    __slots__ = ("_days",)

    def __init__(self, days: _Timetable) -> None:
        self._days = days

    def __missing__(self, month: int) -> list[datetime]:
        year, index = divmod(month - 1, 12)
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise _beyond(year)
        begins = datetime(year, index + 1, 1, tzinfo=UTC)
        ends = datetime(year + (index == 11), (index + 1) % 12 + 1, 1, tzinfo=UTC)
        edges: list[datetime] = []
        # A day more on either side: London's summer months begin an hour before UTC's, and a
        # window that stays open over midnight has no edge there.
        for ordinal in range(begins.toordinal() - 1, ends.toordinal() + 1):
            day = date.fromordinal(ordinal)
            if not FIRST_YEAR <= day.year <= LAST_YEAR:
                continue
            first, last, _ = self._days.hours(day)
            if first == last:
                continue
            opening, closing = _wall(day, first), _wall(day, last)
            if edges and edges[-1] == opening:
                edges[-1] = closing
            else:
                edges += (opening, closing)
        self[month] = edges = [edge for edge in edges if begins <= edge < ends]
        return edges


@cache
def _pattern(first: int, last: int, code: WindowCode) -> _Pattern:
    # Cached because days look alike: thousands of them share a handful of patterns.
    minutes = [None if first <= minute < last else code for minute in range(_MINUTES_PER_DAY)]
    hours = [tuple(minutes[hour : hour + 60]) for hour in range(0, _MINUTES_PER_DAY, 60)]
    return tuple(hour[0] if len(set(hour)) == 1 else hour for hour in hours)


def _sweep(
    left: Iterator[_Span], right: Iterator[_Span], keep: Callable[[bool, bool], bool]
) -> Iterator[_Span]:
    """Yield the maximal spans on which ``keep(in left, in right)`` holds."""
    edges = merge(
        ((edge, 0) for span in left for edge in span),
        ((edge, 1) for span in right for edge in span),
    )
    inside = [False, False]
    opening: datetime | None = None
    for instant, sides in groupby(edges, key=operator.itemgetter(0)):
        for _, side in sides:
            inside[side] = not inside[side]
        if keep(*inside):
            opening = opening or instant
        elif opening:
            yield opening, instant
            opening = None


def _but_not(left: bool, right: bool) -> bool:
    return left and not right


def _tidy(spans: Iterable[_Span], start: datetime) -> Iterator[_Span]:
    """Clip ascending spans to [``start``, horizon) and join those that touch."""
    opening = closing = start
    for first, last in spans:
        if first <= closing:
            closing = max(closing, last)
            continue
        if opening < closing:
            yield opening, min(closing, _HORIZON)
        if first >= _HORIZON:
            return
        opening, closing = first, last
    if opening < closing:
        yield opening, min(closing, _HORIZON)


def _merged(closures: Iterable[Closure]) -> Closures | None:
    return Closures(found) if (found := tuple(closures)) else None


def _wall(day: date, minute: int = 0) -> datetime:
    """Return the instant at which London's clocks are ``minute`` minutes into ``day``, in UTC."""
    # Adding within one zone moves the hands of the clock, which for once is what is meant.
    midnight = datetime.combine(day, _MIDNIGHT, LONDON)
    return (midnight + timedelta(minutes=minute)).astimezone(UTC)


def _instant(at: datetime, last: datetime = _HORIZON - _TICK) -> datetime:
    """Return ``at`` in UTC; raise `HorizonError` when it is not within the years known."""
    # The year first: the first and the last instants of all have no equivalent in UTC.
    if at.utcoffset() is not None and not FIRST_YEAR - 1 <= at.year <= LAST_YEAR + 1:
        raise _beyond(at)
    at = to_utc(at)
    if not _BEGINNING <= at <= last:
        raise _beyond(at)
    return at


def _sum(*durations: timedelta) -> timedelta:
    """Return the sum, no more than a timedelta can hold; refuse what is negative."""
    total = _NONE
    for duration in durations:
        if duration < _NONE:
            raise ValueError("durations and margins must not be negative")
        total = timedelta.max if duration > timedelta.max - total else total + duration
    return total


def _known_date(day: date) -> date:
    if isinstance(day, datetime) or not isinstance(day, date):
        raise TypeError(f"a plain London date is needed, not {type(day).__name__}")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise _beyond(day)
    return day


def _beyond(what: date | int) -> HorizonError:
    shown = what.isoformat() if isinstance(what, date) else what
    return HorizonError(f"{shown}: calendars are known for the years {FIRST_YEAR} to {LAST_YEAR}")


@cache
def _published(nation: Nation, year: int) -> frozenset[date]:
    # Importing holidays takes longer than deciding, so only when a calendar is needed; without
    # a subdivision it leaves out Easter Monday and the August holiday.
    from holidays import country_holidays

    return frozenset(
        chain.from_iterable(
            country_holidays("GB", subdiv=subdivision, years=year, expand=False)
            for subdivision in _SUBDIVISIONS[nation]
        )
    )
