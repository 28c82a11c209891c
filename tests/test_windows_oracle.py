"""The portal's hours against a second account of them that shares no code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import window_oracle as oracle
from automation_rules.actions import TodoKind
from automation_rules.clock import LONDON
from automation_rules.windows import Closure, Interval, Nation, PortalHours, Window

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
KINDS = (None, TodoKind.CONFIRM_HOUSING_COSTS, TodoKind.PROVIDE_TENANCY_DETAILS, TodoKind.OTHER)
FIRST = datetime(oracle.FIRST_YEAR, 1, 1, tzinfo=UTC)
LAST = datetime(oracle.LAST_YEAR + 1, 1, 1, tzinfo=UTC)

readings = [
    pytest.param(
        nation, holidays_open, id=f"{nation.value}-{'open' if holidays_open else 'closed'}"
    )
    for nation in Nation
    for holidays_open in (False, True)
]


def naive(at: datetime) -> datetime:
    """Return the UTC time that the oracle reads."""
    return at.astimezone(UTC).replace(tzinfo=None)


def expected_codes(
    start: datetime, end: datetime, kind: TodoKind | None, reading: oracle.Reading
) -> list[str | None]:
    """Return the oracle's answer for every minute of [start, end); both on whole hours."""
    codes: list[str | None] = []
    name = None if kind is None else kind.value
    hour = start
    while hour < end:
        shown = oracle.wall(naive(hour))
        day = shown.date()
        codes += [oracle.code_by_the_clock(day, shown.hour, name, reading) for _ in range(60)]
        hour += timedelta(hours=1)
    return codes


def runs(start: datetime, codes: list[str | None]) -> list[Interval]:
    """Return the open stretches among the minutes' codes."""
    found = []
    opened: int | None = None
    for minute, code in enumerate([*codes, "the end"]):
        if code is None and opened is None:
            opened = minute
        elif code is not None and opened is not None:
            found.append(Interval(start + opened * MINUTE, start + minute * MINUTE))
            opened = None
    return found


def agree(start: datetime, end: datetime, nation: Nation, holidays_open: bool) -> None:
    """Hold every minute of [start, end), and every edge with its neighbours, against the oracle."""
    hours = PortalHours(nation=nation, bank_holidays_open=holidays_open)
    reading = oracle.Reading(nation.value, holidays_open)
    for kind in KINDS:
        codes = expected_codes(start, end, kind, reading)
        at = start
        for code in codes:
            found = hours.code(at, kind)
            assert (found and found.value) == code, (at, kind)
            assert hours.is_open(at, kind) is (code is None), (at, kind)
            at += MINUTE
        intervals = list(hours.intervals(start, end, kind))
        assert intervals == runs(start, codes)
        check_edges(hours, edges_within(intervals, start, end), kind, reading)


def edges_within(intervals: list[Interval], start: datetime, end: datetime) -> list[datetime]:
    """Return where the intervals begin and end, without where they were clipped."""
    return [edge for i in intervals for edge in (i.start, i.end) if start < edge < end]


def check_edges(
    hours: Window, edges: list[datetime], kind: TodoKind | None, reading: oracle.Reading
) -> None:
    """Hold each edge, and the microsecond on either side, against the oracle."""
    name = None if kind is None else kind.value
    for edge, following in zip(edges, [*edges[1:], None], strict=True):
        for at in (edge - TICK, edge, edge + TICK):
            assert hours.is_open(at, kind) is (oracle.code(naive(at), name, reading) is None), at
        assert hours.is_open(edge, kind) is not hours.is_open(edge - TICK, kind)
        assert hours.next_change(edge - TICK, kind) == edge
        if following is not None:
            assert hours.next_change(edge, kind) == following
            assert hours.next_change(edge + TICK, kind) == following


@pytest.mark.exhaustive
@pytest.mark.parametrize(("nation", "holidays_open"), readings)
def test_every_minute_of_five_years(nation: Nation, holidays_open: bool) -> None:
    """Codes, intervals and edges equal the oracle's on every minute of 2024 to 2028."""
    agree(FIRST, LAST, nation, holidays_open)


WEEKS = (
    datetime(2026, 3, 27, tzinfo=UTC),  # the clocks go forward, and the annual window opens
    datetime(2026, 10, 23, tzinfo=UTC),  # the clocks go back
    datetime(2024, 5, 11, tzinfo=UTC),  # the annual window closes on a Wednesday
    datetime(2027, 12, 24, tzinfo=UTC),  # substitutes at Christmas and the turn of the year
    datetime(2026, 6, 12, tzinfo=UTC),  # the Scottish proclamation
)


@pytest.mark.parametrize("start", WEEKS, ids=lambda at: f"{at:%Y-%m-%d}")
@pytest.mark.parametrize(("nation", "holidays_open"), readings)
def test_telling_weeks(start: datetime, nation: Nation, holidays_open: bool) -> None:
    """Codes, intervals and edges equal the oracle's on the minutes of weeks that matter."""
    agree(start, start + timedelta(days=5), nation, holidays_open)


@pytest.mark.parametrize(("nation", "holidays_open"), readings)
def test_every_hour_of_five_years(nation: Nation, holidays_open: bool) -> None:
    """The intervals of 2024 to 2028 equal the stretches that the oracle finds hour by hour."""
    hours = PortalHours(nation=nation, bank_holidays_open=holidays_open)
    reading = oracle.Reading(nation.value, holidays_open)
    for kind in KINDS[:2]:
        name = None if kind is None else kind.value
        codes: list[str | None] = []
        hour = naive(FIRST)
        while hour < naive(LAST):
            shown = oracle.wall(hour)
            codes.append(oracle.code_by_the_clock(shown.date(), shown.hour, name, reading))
            hour += timedelta(hours=1)
        by_minute = [
            Interval(FIRST + (i.start - FIRST) * 60, FIRST + (i.end - FIRST) * 60)
            for i in runs(FIRST, codes)
        ]
        assert list(hours.intervals(FIRST, LAST, kind)) == by_minute


CLOSURES = (
    # Over the spring change, ending within a second; over midnight; two that touch.
    Closure(
        datetime(2026, 3, 28, 23, 30, tzinfo=UTC),
        datetime(2026, 3, 30, 7, 30, 0, 1, tzinfo=UTC),
        "maintenance",
    ),
    Closure(datetime(2026, 4, 1, 9, tzinfo=LONDON), datetime(2026, 4, 1, 10, tzinfo=LONDON)),
    Closure(datetime(2026, 4, 1, 9, tzinfo=UTC), datetime(2026, 4, 2, 3, tzinfo=UTC)),
    # Over the autumn change, within working hours on either side.
    Closure(datetime(2026, 10, 23, 16, tzinfo=UTC), datetime(2026, 10, 26, 8, 1, tzinfo=UTC)),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "start", [datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 23, tzinfo=UTC)], ids=str
)
def test_closures(start: datetime, kind: TodoKind | None) -> None:
    """Closures beat every window on each minute around them, clock changes included."""
    reading = oracle.Reading(
        closures=tuple((naive(closure.start), naive(closure.end)) for closure in CLOSURES)
    )
    name = None if kind is None else kind.value
    for hours in (PortalHours(closures=CLOSURES), PortalHours().with_closures(CLOSURES)):
        end = start + timedelta(days=7)
        at = start
        while at < end:
            for asked in (at, at.astimezone(LONDON)):
                found = hours.code(asked, kind)
                assert (found and found.value) == oracle.code(naive(at), name, reading), at
                assert hours.is_open(asked, kind) is (found is None)
            at += 10 * MINUTE
        intervals = list(hours.intervals(start, end, kind))
        assert intervals
        check_edges(hours, edges_within(intervals, start, end), kind, reading)
