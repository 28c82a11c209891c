"""Windows and calendars, case by case; the laws are in ``properties/test_windows_algebra.py``."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from automation_rules.actions import TodoKind
from automation_rules.clock import LONDON
from automation_rules.errors import ClockError, HorizonError
from automation_rules.windows import (
    Always,
    BankHolidays,
    Closure,
    Closures,
    Interval,
    Nation,
    PortalHours,
    State,
    WeeklyHours,
    Window,
    WindowCode,
    YearlyDates,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NONE = timedelta(0)
CONFIRM = TodoKind.CONFIRM_HOUSING_COSTS
PROVIDE = TodoKind.PROVIDE_TENANCY_DETAILS
WEEKDAYS = range(5)
BEGINNING = datetime(1981, 1, 1, tzinfo=UTC)
HORIZON = datetime(2101, 1, 1, tzinfo=UTC)


def london(text: str) -> datetime:
    """Return the instant at which London's clocks show ``text``."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


def utc(text: str) -> datetime:
    """Return the instant that ``text`` gives in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def spans(
    window: Window, start: datetime, end: datetime, kind: TodoKind | None = None
) -> list[str]:
    """Return the open intervals as people would read them in London."""
    return [
        f"{i.start.astimezone(LONDON):%a %d %H:%M} - {i.end.astimezone(LONDON):%a %d %H:%M}"
        for i in window.intervals(start, end, kind)
    ]


WINDOWS: list[Window] = [
    Always(),
    WeeklyHours(WEEKDAYS, time(8), time(18)),
    YearlyDates((4, 1), (5, 15)),
    Closures([Closure(utc("2026-06-01"), utc("2026-06-02"))]),
    BankHolidays(Nation.UNION),
    PortalHours(),
    PortalHours(closures=[Closure(utc("2026-06-01"), utc("2026-06-02"))]),
    Always() - YearlyDates((4, 1), (5, 15)),
    Always().only_for(CONFIRM),
]
named_windows = pytest.mark.parametrize("window", WINDOWS, ids=lambda w: type(w).__name__)

QUESTIONS: list[Callable[[Window, datetime], object]] = [
    lambda window, at: window.is_open(at, CONFIRM),
    lambda window, at: window.next_change(at, CONFIRM),
    lambda window, at: window.intervals(at, utc("2026-06-03"), CONFIRM),
    lambda window, at: window.intervals(utc("2026-06-01"), at, CONFIRM),
    lambda window, at: window.remaining(at, kind=CONFIRM),
    lambda window, at: window.remaining(at, utc("2026-06-03"), CONFIRM),
    lambda window, at: window.can_start(at, MINUTE, kind=CONFIRM),
    lambda window, at: window.last_safe_start(at, MINUTE, kind=CONFIRM),
    lambda window, at: window.next_start(at, MINUTE, CONFIRM),
]


class TestIntervals:
    """The value types."""

    @pytest.mark.parametrize("make", [Interval, Closure])
    def test_bounds_are_kept_in_utc(self, make: type[Interval | Closure]) -> None:
        """Bounds come out in UTC, whatever zones they came in."""
        span = make(london("2026-06-02T08:00"), london("2026-06-02T18:00"))
        assert (span.start, span.end) == (utc("2026-06-02T07:00"), utc("2026-06-02T17:00"))
        assert span.start.tzinfo is UTC
        assert span.end.tzinfo is UTC

    @pytest.mark.parametrize("make", [Interval, Closure])
    def test_bounds_must_be_in_order(self, make: type[Interval | Closure]) -> None:
        """An empty or reversed span is refused."""
        for start in (utc("2026-06-02"), utc("2026-06-03")):
            with pytest.raises(ValueError, match="give them in order"):
                make(start, utc("2026-06-02"))
        assert make(utc("2026-06-02") - TICK, utc("2026-06-02")).end == utc("2026-06-02")

    @pytest.mark.parametrize("make", [Interval, Closure])
    def test_naive_bounds_are_refused(self, make: type[Interval | Closure]) -> None:
        """A bound without an offset is refused."""
        for bounds in (
            (datetime(2026, 6, 2), utc("2026-06-03")),  # noqa: DTZ001
            (utc("2026-06-02"), datetime(2026, 6, 3)),  # noqa: DTZ001
        ):
            with pytest.raises(ClockError, match="no UTC offset"):
                make(*bounds)

    def test_order_is_of_instants_not_of_wall_clocks(self) -> None:
        """The two half past ones of an autumn night are told apart."""
        early = london("2026-10-25T01:30")
        assert Interval(early, early.replace(fold=1)).duration == HOUR
        with pytest.raises(ValueError, match="give them in order"):
            Interval(early.replace(fold=1), early)

    def test_duration_counts_elapsed_time(self) -> None:
        """From Friday 18:00 to Monday 08:00 over the spring change it is 61 hours, not 62."""
        weekend = Interval(london("2026-03-27T18:00"), london("2026-03-30T08:00"))
        assert weekend.duration == timedelta(hours=61)

    def test_intervals_sort_by_time(self) -> None:
        """Intervals sort by their start, then by their end."""
        a = Interval(utc("2026-06-01"), utc("2026-06-03"))
        b = Interval(utc("2026-06-02"), utc("2026-06-03"))
        c = Interval(utc("2026-06-02"), utc("2026-06-04"))
        assert sorted([c, b, a]) == [a, b, c]

    def test_values_do_not_change(self) -> None:
        """Intervals, closures and states cannot be altered once made."""
        for value, name in (
            (Interval(utc("2026-06-01"), utc("2026-06-02")), "end"),
            (Closure(utc("2026-06-01"), utc("2026-06-02")), "end"),
            (State(True, None, None), "is_open"),
        ):
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, utc("2026-06-03"))

    def test_a_closures_reason_stays_out_of_sight(self) -> None:
        """The reason is free text: it is kept, but neither shown by repr nor compared."""
        closure = Closure(utc("2026-06-01"), utc("2026-06-02"), "for Nobody Inparticular")
        assert closure.reason == "for Nobody Inparticular"
        assert "Nobody" not in repr(closure)
        assert closure == Closure(utc("2026-06-01"), utc("2026-06-02"))


class TestInstants:
    """What every window does with the instants it is given."""

    @named_windows
    @pytest.mark.parametrize("ask", QUESTIONS)
    def test_naive_instants_are_refused(
        self, window: Window, ask: Callable[[Window, datetime], object]
    ) -> None:
        """No question takes an instant without an offset."""
        with pytest.raises(ClockError, match="no UTC offset"):
            ask(window, datetime(2026, 6, 2, 9))  # noqa: DTZ001

    @named_windows
    @pytest.mark.parametrize("ask", QUESTIONS)
    @pytest.mark.parametrize(
        "at",
        [
            BEGINNING - TICK,
            HORIZON + TICK,
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime.min.replace(tzinfo=timezone(HOUR)),
            datetime.max.replace(tzinfo=timezone(-HOUR)),
            datetime.min.replace(tzinfo=LONDON),
            datetime.max.replace(tzinfo=LONDON),
            london("1980-12-31T23:59:59"),
            london("2101-01-01T00:00:01"),
        ],
        ids=str,
    )
    def test_unknown_years_are_an_error(
        self, window: Window, ask: Callable[[Window, datetime], object], at: datetime
    ) -> None:
        """No question is answered about an instant outside the years known."""
        with pytest.raises(HorizonError, match="1981 to 2100"):
            ask(window, at)

    @named_windows
    def test_the_years_known_are_half_open(self, window: Window) -> None:
        """The first instant of 1981 and the last of 2100 are known, the first of 2101 is not."""
        for at in (BEGINNING, HORIZON - TICK, london("2100-12-31T23:59:59")):
            assert isinstance(window.is_open(at), bool)
            window.next_change(at)
        for ask in (window.is_open, window.next_change):
            for at in (HORIZON, HORIZON.astimezone(LONDON)):
                with pytest.raises(HorizonError):
                    ask(at)

    @named_windows
    def test_spans_may_end_with_the_years_known(self, window: Window) -> None:
        """The first instant of 2101 serves as the end of a span, though not as an instant."""
        list(window.intervals(utc("2100-12-01"), HORIZON))
        assert window.remaining(utc("2100-12-01"), HORIZON) >= NONE

    def test_what_goes_on_past_the_horizon_ends_with_it(self) -> None:
        """Unknown is closed: nothing is known to be open in 2101, and no change is promised."""
        at = HORIZON - HOUR
        for window in (Always(), YearlyDates((12, 1), (2, 1)), Always() | Always()):
            assert window.next_change(at) is None
            assert window.remaining(at) == HOUR
            assert window.can_start(at, HOUR)
            assert not window.can_start(at, HOUR + TICK)
            assert window.next_start(at, HOUR + TICK) is None
            assert list(window.intervals(at, HORIZON)) == [Interval(at, HORIZON)]

    @named_windows
    def test_answers_are_in_utc(self, window: Window) -> None:
        """Instants given in London's time are answered in UTC."""
        at = london("2026-05-01T09:00")
        answers = [
            window.next_change(at, CONFIRM),
            window.next_start(at, MINUTE, CONFIRM),
            window.last_safe_start(at, MINUTE, kind=CONFIRM),
        ]
        answers += [i.start for i in window.intervals(at, at + 40 * DAY, CONFIRM)]
        assert {answer.tzinfo for answer in answers if answer is not None} == {UTC}

    @named_windows
    def test_reversed_spans_are_refused(self, window: Window) -> None:
        """A span that ends before it begins is a mistake; one without length is empty."""
        with pytest.raises(ValueError, match="give them in order"):
            window.intervals(utc("2026-06-02"), utc("2026-06-02") - TICK)
        assert list(window.intervals(utc("2026-04-02"), utc("2026-04-02"))) == []
        assert window.remaining(utc("2026-04-02"), utc("2026-04-02")) == NONE


class TestWork:
    """Whether there is time for something, and when."""

    hours = WeeklyHours(WEEKDAYS, time(8), time(18))
    tuesday = london("2026-06-02T09:00")

    def test_work_that_ends_at_closing_fits(self) -> None:
        """Nine hours from 09:00 fit into a day that ends at 18:00, a microsecond more does not."""
        assert self.hours.can_start(self.tuesday, 9 * HOUR)
        assert not self.hours.can_start(self.tuesday, 9 * HOUR + TICK)

    def test_the_margin_is_kept_free(self) -> None:
        """Work and margin together must fit."""
        assert self.hours.can_start(self.tuesday, 8 * HOUR, HOUR)
        assert not self.hours.can_start(self.tuesday, 8 * HOUR, HOUR + TICK)

    def test_nothing_starts_when_closed(self) -> None:
        """Not even work without length starts at closing or before opening."""
        for closed in (london("2026-06-02T18:00"), london("2026-06-02T08:00") - TICK):
            assert not self.hours.can_start(closed, NONE)
            assert self.hours.remaining(closed) == NONE
        assert self.hours.can_start(london("2026-06-02T08:00"), NONE)
        assert self.hours.can_start(london("2026-06-02T18:00") - TICK, NONE)

    def test_huge_durations_do_not_fit(self) -> None:
        """The largest duration and margin that exist get an answer, not an error."""
        for margin in (NONE, timedelta.max):
            assert not self.hours.can_start(self.tuesday, timedelta.max, margin)
            assert self.hours.last_safe_start(self.tuesday, NONE, timedelta.max) is None
        assert self.hours.next_start(self.tuesday, timedelta.max, within=7 * DAY) is None
        assert self.hours.next_start(self.tuesday, within=timedelta.max) == self.tuesday

    @pytest.mark.parametrize(
        "ask",
        [
            lambda hours, at: hours.can_start(at, -TICK),
            lambda hours, at: hours.can_start(at, MINUTE, -TICK),
            lambda hours, at: hours.last_safe_start(at, -TICK),
            lambda hours, at: hours.last_safe_start(at, MINUTE, -TICK),
            lambda hours, at: hours.next_start(at, -TICK),
            lambda hours, at: hours.next_start(at, MINUTE, within=-TICK),
        ],
    )
    def test_negative_durations_are_refused(
        self, ask: Callable[[Window, datetime], object]
    ) -> None:
        """A negative duration, margin or reach is a mistake."""
        with pytest.raises(ValueError, match="must not be negative"):
            ask(self.hours, self.tuesday)

    def test_last_safe_start_today(self) -> None:
        """Two minutes of work, one to spare: it can start until 17:57."""
        last = self.hours.last_safe_start(self.tuesday, 2 * MINUTE, MINUTE)
        assert last == london("2026-06-02T17:57")

    def test_last_safe_start_of_no_work_is_the_last_open_instant(self) -> None:
        """Closing itself is closed, so the last start lies a microsecond before it."""
        last = self.hours.last_safe_start(self.tuesday, NONE)
        assert last == london("2026-06-02T18:00") - TICK
        assert self.hours.last_safe_start(self.tuesday, TICK) == last

    def test_last_safe_start_that_has_passed(self) -> None:
        """Once it is too late today, there is none; at the last instant there is."""
        late = london("2026-06-02T17:57")
        assert self.hours.last_safe_start(late, 3 * MINUTE) == late
        assert self.hours.last_safe_start(late + TICK, 3 * MINUTE) is None

    def test_last_safe_start_when_closed_is_of_the_next_interval(self) -> None:
        """On Saturday it is Monday's; none when the work is longer than Monday."""
        saturday = london("2026-06-06T12:00")
        assert self.hours.last_safe_start(saturday, HOUR) == london("2026-06-08T17:00")
        assert self.hours.last_safe_start(saturday, 10 * HOUR) == london("2026-06-08T08:00")
        assert self.hours.last_safe_start(saturday, 10 * HOUR + TICK) is None

    def test_last_safe_start_where_nothing_opens(self) -> None:
        """A window that never opens has no last safe start, next start or change."""
        never = Closures([])
        assert never.last_safe_start(self.tuesday, NONE) is None
        assert never.next_start(self.tuesday) is None
        assert never.next_change(self.tuesday) is None

    def test_next_start_is_now_when_it_fits(self) -> None:
        """While there is time, work can start at once."""
        assert self.hours.next_start(self.tuesday, 9 * HOUR) == self.tuesday

    def test_next_start_waits_for_an_interval_that_is_long_enough(self) -> None:
        """Ten hours from Tuesday at 09:00 fit on Wednesday; eleven never do."""
        assert self.hours.next_start(self.tuesday, 10 * HOUR) == london("2026-06-03T08:00")
        assert self.hours.next_start(self.tuesday, 11 * HOUR, within=20 * DAY) is None

    def test_next_start_looks_no_further_than_told(self) -> None:
        """The last instant within reach counts, one beyond does not."""
        saturday, monday = london("2026-06-06T12:00"), london("2026-06-08T08:00")
        reach = timedelta(hours=44)
        assert self.hours.next_start(saturday, within=reach) == monday
        assert self.hours.next_start(saturday, within=reach - TICK) is None
        assert self.hours.next_start(self.tuesday, within=NONE) == self.tuesday

    def test_next_start_looks_400_days_ahead_unless_told(self) -> None:
        """A window that opens in 400 days is found, one a microsecond later is not."""
        opening = self.tuesday + 400 * DAY
        for start, found in ((opening, opening), (opening + TICK, None)):
            window = Always() - Closures([Closure(self.tuesday, start)])
            assert window.next_start(self.tuesday) == found

    def test_remaining_adds_up_over_a_span(self) -> None:
        """From Friday noon to Monday noon, six and four hours are open."""
        friday, monday = london("2026-06-05T12:00"), london("2026-06-08T12:00")
        assert self.hours.remaining(friday, monday) == 10 * HOUR
        assert self.hours.remaining(friday) == 6 * HOUR


class TestWeeklyHours:
    """The same hours every week."""

    def test_a_week(self) -> None:
        """Monday to Friday, by London's clocks, closed at closing."""
        hours = WeeklyHours(WEEKDAYS, time(8), time(18))
        assert spans(hours, london("2026-06-05T09:30"), london("2026-06-09T17:00")) == [
            "Fri 05 09:30 - Fri 05 18:00",
            "Mon 08 08:00 - Mon 08 18:00",
            "Tue 09 08:00 - Tue 09 17:00",
        ]

    def test_wall_clocks_are_kept_over_clock_changes(self) -> None:
        """08:00 in London is 08:00 UTC in winter and 07:00 UTC in summer."""
        hours = WeeklyHours({0, 4}, time(8), time(18))
        opens = [i.start for i in hours.intervals(utc("2026-03-27"), utc("2026-03-31"))]
        assert opens == [utc("2026-03-27T08:00"), utc("2026-03-30T07:00")]
        opens = [i.start for i in hours.intervals(utc("2026-10-23"), utc("2026-10-27"))]
        assert opens == [utc("2026-10-23T07:00"), utc("2026-10-26T08:00")]

    def test_hours_that_contain_a_clock_change(self) -> None:
        """A Sunday from midnight to 06:00 lasts five hours in spring and seven in autumn."""
        hours = WeeklyHours({6}, time(0), time(6))
        for day, lasts in (("2026-03-29", 5), ("2026-10-25", 7), ("2026-06-07", 6)):
            assert hours.remaining(london(day)) == lasts * HOUR

    def test_midnight_ends_the_day(self) -> None:
        """Closing at 00:00 is the end of the day, and whole days join."""
        hours = WeeklyHours({5, 6}, time(0), time(0))
        assert spans(hours, london("2026-06-04"), london("2026-06-10")) == [
            "Sat 06 00:00 - Mon 08 00:00"
        ]
        evening = WeeklyHours({6}, time(20), time(0))
        assert evening.remaining(london("2026-03-29T20:00")) == 4 * HOUR

    def test_every_day_round_the_clock_is_always(self) -> None:
        """Seven whole days a week have no change for years."""
        hours = WeeklyHours(range(7), time(0), time(0))
        assert list(hours.intervals(utc("2026-01-01"), utc("2030-01-01"))) == [
            Interval(utc("2026-01-01"), utc("2030-01-01"))
        ]

    def test_the_days_are_londons(self) -> None:
        """Half past midnight on a summer Monday in London is Monday, though Sunday in UTC."""
        monday = WeeklyHours({0}, time(0), time(8))
        assert monday.is_open(utc("2026-06-07T23:30"))
        assert not monday.is_open(utc("2026-06-08T07:30"))

    @pytest.mark.parametrize("days", [[], [7], [-1], [0, 1, 7]])
    def test_days_are_0_to_6(self, days: list[int]) -> None:
        """No days, and days that do not exist, are refused."""
        with pytest.raises(ValueError, match=r"^days: give"):
            WeeklyHours(days, time(8), time(18))

    @pytest.mark.parametrize(
        ("opens", "closes"), [(time(18), time(8)), (time(8), time(8)), (time(23), time(22, 59))]
    )
    def test_closing_comes_after_opening(self, opens: time, closes: time) -> None:
        """Hours that end before they begin are refused."""
        with pytest.raises(ValueError, match=r"^closes: give a time after opens"):
            WeeklyHours(WEEKDAYS, opens, closes)

    @pytest.mark.parametrize("edge", [time(0, 1), time(1), time(1, 30), time(2), time(2, 59)])
    def test_edges_keep_clear_of_clock_changes(self, edge: time) -> None:
        """Times that a clock change may leave out or repeat are refused, on either side."""
        with pytest.raises(ValueError, match=f"^opens: {edge:%H:%M} may be left out"):
            WeeklyHours(WEEKDAYS, edge, time(18))
        with pytest.raises(ValueError, match=f"^closes: {edge:%H:%M} may be left out"):
            WeeklyHours(WEEKDAYS, time(0), edge)
        assert WeeklyHours(WEEKDAYS, time(0), time(3)).last_minute == 180
        assert WeeklyHours(WEEKDAYS, time(3), time(0)).first_minute == 180

    @pytest.mark.parametrize("edge", [time(8, 0, 1), time(8, 0, 0, 1), time(8, tzinfo=UTC)])
    def test_edges_are_plain_minutes(self, edge: time) -> None:
        """Seconds and zones are refused."""
        with pytest.raises(ValueError, match=r"^opens: give a time in whole minutes"):
            WeeklyHours(WEEKDAYS, edge, time(18))
        with pytest.raises(ValueError, match=r"^closes: give a time in whole minutes"):
            WeeklyHours(WEEKDAYS, time(3), edge)


class TestYearlyDates:
    """The same dates every year."""

    annual = YearlyDates((4, 1), (5, 15))

    def test_both_dates_are_included(self) -> None:
        """From the first instant of 1 April to the last of 15 May in London."""
        assert list(self.annual.intervals(utc("2026-01-01"), utc("2027-01-01"))) == [
            Interval(utc("2026-03-31T23:00"), utc("2026-05-15T23:00"))
        ]

    def test_every_year_has_1080_hours(self) -> None:
        """The annual window lies in summer time and never changes its length."""
        durations = [i.duration for i in self.annual.intervals(BEGINNING, HORIZON)]
        assert durations == [1080 * HOUR] * 120

    def test_over_the_turn_of_the_year(self) -> None:
        """Dates that end before they begin run into the next year, seen from either side."""
        winter = YearlyDates((12, 24), (1, 2))
        whole = Interval(utc("2026-12-24"), utc("2027-01-03"))
        assert list(winter.intervals(utc("2026-06-01"), utc("2027-06-01"))) == [whole]
        assert winter.remaining(utc("2027-01-01")) == 2 * DAY
        assert winter.is_open(BEGINNING)
        assert winter.remaining(utc("2100-12-31")) == DAY

    def test_one_day(self) -> None:
        """The first and the last date may be the same."""
        day = YearlyDates((6, 1), (6, 1))
        assert day.remaining(london("2026-06-01")) == DAY
        assert not day.is_open(london("2026-05-31T23:59"))

    def test_the_whole_year_has_no_edges(self) -> None:
        """1 January to 31 December joins up."""
        year = YearlyDates((1, 1), (12, 31))
        assert year.next_change(utc("2026-06-01")) is None

    @pytest.mark.parametrize(
        "day", ["2026-03-31", "2026-04-01", "2026-05-15", "2026-05-16", "2026-01-01", "2026-12-31"]
    )
    def test_holds_agrees_with_the_window(self, day: str) -> None:
        """A date is held exactly when the window is open on it."""
        for dates in (self.annual, YearlyDates((12, 31), (3, 31)), YearlyDates((5, 16), (4, 1))):
            assert dates.holds(date.fromisoformat(day)) is dates.is_open(london(day))

    @pytest.mark.parametrize("wrong", [(2, 29), (0, 1), (13, 1), (4, 31), (4, 0)])
    def test_dates_must_exist_every_year(self, wrong: tuple[int, int]) -> None:
        """Impossible dates and 29 February are refused, by name."""
        with pytest.raises(ValueError, match=r"^first: month .* not a date in every year"):
            YearlyDates(wrong, (5, 15))
        with pytest.raises(ValueError, match=r"^last: month .* not a date in every year"):
            YearlyDates((4, 1), wrong)


class TestClosures:
    """Times taken away."""

    def test_touching_closures_are_one(self) -> None:
        """Closures that overlap, touch or lie within one another merge."""
        hours = [utc("2026-06-02T09:00") + n * HOUR for n in range(8)]
        closed = Closures(
            [
                Closure(hours[4], hours[5]),
                Closure(hours[1], hours[2]),
                Closure(hours[0], hours[3]),
                Closure(hours[3], hours[4]),
                Closure(hours[6], hours[7]),
            ]
        )
        assert list(closed.intervals(utc("2026-06-01"), utc("2026-06-30"))) == [
            Interval(hours[0], hours[5]),
            Interval(hours[6], hours[7]),
        ]
        assert len(closed.closures) == 5

    def test_holds_is_half_open(self) -> None:
        """The first instant is closed, the last is open again, in any zone."""
        start, end = utc("2026-10-25T00:30"), utc("2026-10-25T01:30")
        closed = Closures([Closure(start, end)])
        for zone in (UTC, LONDON, timezone(5 * HOUR)):
            assert [
                closed.holds(at.astimezone(zone)) for at in (start - TICK, start, end - TICK, end)
            ] == [False, True, True, False]

    def test_a_closure_that_begins_at_the_horizon_changes_nothing_before_it(self) -> None:
        """What begins where the calendars end is no change, and has no span."""
        closed = Closures([Closure(HORIZON, HORIZON + HOUR)])
        assert closed.next_change(HORIZON - HOUR) is None
        assert closed.next_start(HORIZON - HOUR, timedelta(0)) is None

    def test_closures_may_reach_past_the_horizon(self) -> None:
        """Until further notice is a closure to the end of the years known."""
        start = utc("2026-06-02T09:00")
        closed = Closures([Closure(start, datetime.max.replace(tzinfo=UTC))])
        assert closed.next_change(start) is None
        assert (Always() - closed).next_change(start - HOUR) == start
        early = Closures([Closure(datetime.min.replace(tzinfo=UTC), start)])
        assert early.is_open(BEGINNING)
        assert early.next_change(BEGINNING) == start

    def test_gaps_are_what_is_left(self) -> None:
        """Gaps alternate with closures, from the start to the horizon."""
        start, hour = utc("2026-06-02T09:00"), HOUR
        closed = Closures([Closure(start, start + hour), Closure(start + 2 * hour, HORIZON)])
        assert list(closed.gaps(start)) == [(start + hour, start + 2 * hour)]
        assert next(closed.gaps(start - hour)) == (start - hour, start)
        assert list(Closures([]).gaps(start)) == [(start, HORIZON)]


WEEKDAY_ONE_OFFS = {
    # From the lists that gov.uk has published; a moved one is absent from its usual day.
    Nation.UNION: [
        "2012-06-04",
        "2012-06-05",
        "2020-05-08",
        "2022-06-02",
        "2022-06-03",
        "2022-09-19",
        "2023-05-08",
        "2026-06-15",
    ],
    Nation.ENGLAND_AND_WALES: [
        "2020-05-08",
        "2022-06-02",
        "2022-06-03",
        "2022-09-19",
        "2023-05-08",
    ],
    Nation.SCOTLAND: [
        "2020-05-08",
        "2022-06-02",
        "2022-06-03",
        "2022-09-19",
        "2023-05-08",
        "2026-06-15",
    ],
    Nation.NORTHERN_IRELAND: ["2020-05-08", "2022-06-02", "2022-06-03", "2022-09-19", "2023-05-08"],
}

PUBLISHED = {
    Nation.ENGLAND_AND_WALES: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    Nation.SCOTLAND: "01-01 01-02 04-03 05-04 05-25 06-15 08-03 11-30 12-25 12-28",
    Nation.NORTHERN_IRELAND: "01-01 03-17 04-03 04-06 05-04 05-25 07-13 08-31 12-25 12-28",
    Nation.UNION: (
        "01-01 01-02 03-17 04-03 04-06 05-04 05-25 06-15 07-13 08-03 08-31 11-30 12-25 12-28"
    ),
}


class TestBankHolidays:
    """The days of the three nations."""

    @pytest.mark.parametrize("nation", Nation)
    def test_proclaimed_days_are_known(self, nation: Nation) -> None:
        """One-off holidays are in the calendar of the nations they were proclaimed for."""
        days = BankHolidays(nation)
        assert all(date.fromisoformat(day) in days for day in WEEKDAY_ONE_OFFS[nation])

    def test_moved_days_are_ordinary(self) -> None:
        """The days from which holidays were moved to a jubilee or anniversary are ordinary."""
        days = BankHolidays(Nation.UNION)
        for moved in ("2012-05-28", "2020-05-04", "2022-05-30"):
            assert date.fromisoformat(moved) not in days

    def test_the_scottish_day_is_scottish(self) -> None:
        """15 June 2026 is a holiday in Scotland and in the union, nowhere else."""
        day = date(2026, 6, 15)
        assert {nation for nation in Nation if day in BankHolidays(nation)} == {
            Nation.SCOTLAND,
            Nation.UNION,
        }

    @pytest.mark.parametrize("nation", Nation)
    def test_the_weekdays_of_2026(self, nation: Nation) -> None:
        """On weekdays the calendar equals the list published for 2026."""
        days = BankHolidays(nation)
        found = [
            day
            for n in range(365)
            if (day := date(2026, 1, 1) + n * DAY) in days and day.weekday() < 5
        ]
        assert " ".join(f"{day:%m-%d}" for day in found) == PUBLISHED[nation]

    def test_the_union_is_of_all_nations(self) -> None:
        """In every year of the list the union holds each nation's days and no others."""
        union = BankHolidays(Nation.UNION)
        nations = [BankHolidays(nation) for nation in Nation if nation is not Nation.UNION]
        day = date(2012, 1, 1)
        while day.year <= 2028:
            assert (day in union) is any(day in nation for nation in nations), day
            day += DAY

    def test_extra_and_removed_days(self) -> None:
        """A policy adds days that were proclaimed late, and takes back ones that were moved."""
        days = BankHolidays(
            Nation.SCOTLAND,
            extra=[date(2027, 6, 21)],
            removed=[date(2027, 5, 31), date(2027, 6, 1)],
        )
        assert date(2027, 6, 21) in days
        assert date(2027, 5, 31) not in days
        assert date(2027, 5, 31) in BankHolidays(Nation.SCOTLAND)
        assert date(2027, 6, 21) not in BankHolidays(Nation.SCOTLAND)
        assert spans(days, london("2027-05-28"), london("2027-07-01")) == [
            "Mon 21 00:00 - Tue 22 00:00"
        ]

    def test_a_day_is_not_both(self) -> None:
        """To add and remove one day is a mistake, and named."""
        with pytest.raises(ValueError, match="2027-06-21 is both extra and removed"):
            BankHolidays(Nation.UNION, [date(2027, 6, 21)], [date(2027, 6, 21)])

    @pytest.mark.parametrize("wrong", [utc("2026-06-15"), "2026-06-15", 1])
    def test_only_plain_dates_are_taken(self, wrong: date) -> None:
        """A datetime is a date to Python, but its day depends on the zone."""
        days = BankHolidays(Nation.UNION)
        with pytest.raises(TypeError, match="plain London date"):
            _ = wrong in days
        with pytest.raises(TypeError, match="plain London date"):
            days.is_provisional(wrong)
        with pytest.raises(TypeError, match="plain London date"):
            BankHolidays(Nation.UNION, extra=[wrong])
        with pytest.raises(TypeError, match="plain London date"):
            BankHolidays(Nation.UNION, removed=[wrong])

    @pytest.mark.parametrize("day", [date(1980, 12, 31), date(2101, 1, 1), date.min, date.max])
    def test_unknown_years_are_an_error(self, day: date) -> None:
        """Past the years known there is no answer, rather than a silent no."""
        days = BankHolidays(Nation.UNION)
        with pytest.raises(HorizonError, match=f"{day}.*1981 to 2100"):
            _ = day in days
        with pytest.raises(HorizonError):
            days.is_provisional(day)
        with pytest.raises(HorizonError):
            BankHolidays(Nation.UNION, extra=[day])

    @pytest.mark.parametrize("nation", Nation)
    def test_every_year_known_has_holidays(self, nation: Nation) -> None:
        """From the first year to the last the calendar is never empty at New Year."""
        days = BankHolidays(nation)
        assert all(date(year, 1, 1) in days for year in range(1981, 2101))
        assert all(date(year, 12, 25) in days for year in range(1981, 2101))

    def test_later_years_are_provisional(self) -> None:
        """Holidays are published to 2028; later ones follow from rules."""
        days = BankHolidays(Nation.UNION)
        assert not days.is_provisional(date(2028, 12, 31))
        assert days.is_provisional(date(2029, 1, 1))

    def test_as_a_window(self) -> None:
        """Whole London days, joined where they touch."""
        days = BankHolidays(Nation.ENGLAND_AND_WALES)
        assert spans(days, london("2026-04-01"), london("2026-06-01")) == [
            "Fri 03 00:00 - Sat 04 00:00",
            "Mon 06 00:00 - Tue 07 00:00",
            "Mon 04 00:00 - Tue 05 00:00",
            "Mon 25 00:00 - Tue 26 00:00",
        ]
        christmas = Interval(utc("2026-12-25"), utc("2026-12-27"))
        assert next(days.intervals(utc("2026-12-01"), utc("2027-01-01"))) == christmas

    def test_nothing_is_loaded_before_it_is_needed(self) -> None:
        """Importing and composing windows loads neither holidays nor dateutil nor icalendar."""
        program = (
            "import sys, automation_rules.windows as w, automation_rules.calendar_export\n"
            "hours = w.PortalHours()\n"
            "heavy = {'holidays', 'dateutil', 'icalendar'}\n"
            "print(sorted(heavy & set(sys.modules)))"
        )
        run = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        assert run.stdout.strip() == "[]"


class TestPortalHours:
    """The published hours."""

    hours = PortalHours()

    @pytest.mark.parametrize(
        ("at", "code", "confirming"),
        [
            ("2026-06-02T07:59:59.999999", "outside_hours", "outside_hours"),
            ("2026-06-02T08:00", None, None),
            ("2026-06-02T17:59:59.999999", None, None),
            ("2026-06-02T18:00", "outside_hours", "outside_hours"),
            ("2026-06-06T12:00", "weekend", "weekend"),
            ("2026-05-25T12:00", "bank_holiday", "bank_holiday"),
            ("2026-05-25T03:00", "bank_holiday", "bank_holiday"),
            ("2026-12-26T12:00", "weekend", "weekend"),
            ("2026-03-31T23:59:59.999999", "outside_hours", "outside_hours"),
            ("2026-04-01T00:00", "annual_window_wrong_todo", None),
            ("2026-04-01T09:00", None, None),
            ("2026-04-04T12:00", "annual_window_wrong_todo", None),
            ("2026-04-06T12:00", "annual_window_wrong_todo", None),
            ("2026-05-15T23:59:59.999999", "annual_window_wrong_todo", None),
            ("2026-05-16T00:00", "weekend", "weekend"),
            ("2024-05-16T00:00", "outside_hours", "outside_hours"),
        ],
    )
    def test_codes(self, at: str, code: str | None, confirming: str | None) -> None:
        """Each instant has the first code that holds, by the kind of to-do."""
        for kind, expected in (
            (None, code),
            (PROVIDE, code),
            (TodoKind.OTHER, code),
            (CONFIRM, confirming),
        ):
            found = self.hours.code(london(at), kind)
            assert (found and found.value) == expected
            assert self.hours.is_open(london(at), kind) is (expected is None)

    def test_bank_holidays_that_keep_hours(self) -> None:
        """By the other reading a weekday bank holiday has core hours."""
        hours = PortalHours(bank_holidays_open=True)
        assert hours.code(london("2026-05-25T09:00")) is None
        assert hours.code(london("2026-05-25T18:00")) is WindowCode.OUTSIDE_HOURS
        assert hours.code(london("2026-12-26T12:00")) is WindowCode.WEEKEND
        assert date(2026, 5, 25) in hours.bank_holidays

    def test_the_nation_decides_whose_holidays(self) -> None:
        """St Andrew's Day closes Scotland and the union only."""
        day = london("2026-11-30T12:00")
        assert {nation for nation in Nation if not PortalHours(nation=nation).is_open(day)} == {
            Nation.SCOTLAND,
            Nation.UNION,
        }

    def test_extra_and_removed_days(self) -> None:
        """A policy's own bank holidays count, and days that it removes do not."""
        hours = PortalHours(extra=[date(2027, 6, 21)], removed=[date(2027, 5, 31)])
        assert hours.code(london("2027-06-21T12:00")) is WindowCode.BANK_HOLIDAY
        assert hours.code(london("2027-05-31T12:00")) is None

    def test_wider_annual_scope(self) -> None:
        """With two kinds the annual window is for both, and for no other."""
        hours = PortalHours(annual_kinds=frozenset({CONFIRM, PROVIDE}))
        saturday = london("2026-04-04T12:00")
        assert hours.is_open(saturday, CONFIRM)
        assert hours.is_open(saturday, PROVIDE)
        for kind in (None, TodoKind.OTHER):
            assert hours.code(saturday, kind) is WindowCode.ANNUAL_WINDOW_WRONG_TODO

    def test_no_annual_window(self) -> None:
        """Without kinds there is none, and no denial speaks of one."""
        hours = PortalHours(annual_kinds=frozenset())
        assert hours.code(london("2026-04-04T12:00"), CONFIRM) is WindowCode.WEEKEND
        assert hours.code(london("2026-04-06T12:00"), CONFIRM) is WindowCode.BANK_HOLIDAY
        assert hours.code(london("2026-04-07T07:00"), CONFIRM) is WindowCode.OUTSIDE_HOURS

    def test_stricter_hours(self) -> None:
        """A policy may open on fewer days, for shorter, with a shorter annual window."""
        hours = PortalHours(
            days={0, 1, 2, 3},
            opens=time(9, 30),
            closes=time(16, 45),
            annual_first=(4, 6),
            annual_last=(4, 30),
        )
        assert spans(hours, london("2026-06-04"), london("2026-06-09")) == [
            "Thu 04 09:30 - Thu 04 16:45",
            "Mon 08 09:30 - Mon 08 16:45",
        ]
        assert hours.code(london("2026-06-04T09:29")) is WindowCode.OUTSIDE_HOURS
        assert hours.code(london("2026-06-04T09:30")) is None
        assert hours.code(london("2026-06-04T16:44")) is None
        assert hours.code(london("2026-06-04T16:45")) is WindowCode.OUTSIDE_HOURS
        friday = london("2026-06-05T12:00")
        assert hours.code(friday) is WindowCode.OUTSIDE_HOURS
        assert hours.code(london("2026-04-03T12:00")) is WindowCode.BANK_HOLIDAY
        assert hours.code(london("2026-04-05T12:00"), CONFIRM) is WindowCode.WEEKEND
        assert hours.code(london("2026-04-06T12:00"), CONFIRM) is None
        assert hours.code(london("2026-05-01T12:00"), CONFIRM) is WindowCode.OUTSIDE_HOURS

    def test_a_policy_that_works_on_saturdays(self) -> None:
        """A Saturday among the days is no weekend: it has hours, or it is a bank holiday."""
        hours = PortalHours(days=range(6))
        assert hours.code(london("2026-06-06T12:00")) is None
        assert hours.code(london("2026-06-06T19:00")) is WindowCode.OUTSIDE_HOURS
        assert hours.code(london("2026-12-26T12:00")) is WindowCode.BANK_HOLIDAY
        assert hours.code(london("2026-06-07T12:00")) is WindowCode.WEEKEND

    def test_round_the_clock_hours_join(self) -> None:
        """Hours of whole days have no edge at midnight, at a month's end or at the year's."""
        hours = PortalHours(
            days=range(7), opens=time(0), closes=time(0), removed=[], bank_holidays_open=True
        )
        start = utc("2026-01-15")
        assert list(hours.intervals(start, utc("2027-02-15"))) == [
            Interval(start, utc("2027-02-15"))
        ]
        weekdays = PortalHours(opens=time(0), closes=time(0), bank_holidays_open=True)
        assert spans(weekdays, london("2026-07-25"), london("2026-08-04")) == [
            "Mon 27 00:00 - Sat 01 00:00",
            "Mon 03 00:00 - Tue 04 00:00",
        ]
        assert weekdays.code(london("2026-07-27T00:00")) is None
        assert weekdays.code(london("2026-07-31T23:59:59")) is None
        for month in range(1, 13):
            first = london(f"2026-{month:02}-01")
            assert weekdays.is_open(first) is (first.weekday() < 5)
            changes = [
                edge
                for i in weekdays.intervals(first - 4 * DAY, first + 4 * DAY)
                for edge in (i.start, i.end)
            ]
            assert (first.astimezone(UTC) in changes) is (first.weekday() in {0, 5})

    def test_closures_come_first(self) -> None:
        """A closure beats every other code, and every window."""
        closure = Closure(utc("2026-04-03T00:00"), utc("2026-04-07T12:00"))
        hours = PortalHours(closures=[closure])
        for at in ("2026-04-03T12:00", "2026-04-04T12:00", "2026-04-07T12:59:59.999999"):
            for kind in (None, CONFIRM):
                assert hours.code(london(at), kind) is WindowCode.CLOSURE
                assert not hours.is_open(london(at), kind)
        assert hours.code(london("2026-04-07T13:00")) is None

    def test_closures_add_up(self) -> None:
        """More closures give other hours; the first ones stay as they were."""
        morning = Closure(london("2026-06-02T08:00"), london("2026-06-02T09:00"))
        evening = Closure(london("2026-06-02T17:00"), london("2026-06-02T20:00"))
        first = PortalHours(closures=[morning])
        both = first.with_closures([evening])
        day = london("2026-06-02"), london("2026-06-03")
        assert spans(self.hours, *day) == ["Tue 02 08:00 - Tue 02 18:00"]
        assert spans(first, *day) == ["Tue 02 09:00 - Tue 02 18:00"]
        assert spans(both, *day) == ["Tue 02 09:00 - Tue 02 17:00"]
        assert spans(both.with_closures([]), *day) == spans(both, *day)
        assert both.bank_holidays is first.bank_holidays

    def test_a_closure_without_an_end_in_sight(self) -> None:
        """Closed until further notice: nothing opens again, and the answer comes at once."""
        start = london("2026-06-02T12:00")
        hours = self.hours.with_closures([Closure(start, datetime.max.replace(tzinfo=UTC))])
        assert hours.next_change(london("2026-06-02T09:00")) == start
        assert hours.next_change(start) is None
        assert hours.next_start(start) is None
        assert hours.state(start) == State(False, WindowCode.CLOSURE, None)
        with pytest.raises(HorizonError):
            hours.code(utc("2101-01-01"))
        with pytest.raises(HorizonError):
            hours.is_open(utc("2101-01-01"))

    def test_state(self) -> None:
        """The state says whether, why not, and until when."""
        assert self.hours.state(london("2026-06-02T09:00")) == State(
            True, None, london("2026-06-02T18:00")
        )
        assert self.hours.state(london("2026-06-05T18:00")) == State(
            False, WindowCode.OUTSIDE_HOURS, london("2026-06-08T08:00")
        )
        assert self.hours.state(london("2026-04-04T12:00")) == State(
            False, WindowCode.ANNUAL_WINDOW_WRONG_TODO, london("2026-04-07T08:00")
        )
        assert self.hours.state(london("2026-04-04T12:00"), CONFIRM) == State(
            True, None, london("2026-05-16T00:00")
        )

    def test_changes_over_months_without_any(self) -> None:
        """The next change is found although whole months lie between."""
        last = london("2026-05-15T23:59")
        assert self.hours.next_change(london("2026-04-01T00:00"), CONFIRM) == last + MINUTE
        closed = self.hours.with_closures(
            [Closure(london("2026-06-02T18:00"), london("2026-11-02T08:00"))]
        )
        assert closed.next_change(london("2026-06-02T18:00")) == london("2026-11-02T08:00")
        assert self.hours.next_change(london("2100-12-31T18:00")) is None
        assert self.hours.next_change(london("2100-12-31T17:00")) == london("2100-12-31T18:00")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"days": []},
            {"opens": time(1, 30)},
            {"closes": time(7)},
            {"opens": time(8, 0, 30)},
            {"annual_first": (2, 30)},
            {"annual_last": (2, 29)},
        ],
        ids=str,
    )
    def test_impossible_hours_are_refused(self, wrong: dict[str, object]) -> None:
        """Bad hours are refused when they are composed, and the field is named."""
        field = next(iter(wrong)).removeprefix("annual_")
        with pytest.raises(ValueError, match=f"^{field}: "):
            PortalHours(**wrong)  # type: ignore[arg-type]

    def test_one_instant_in_odd_clothes(self) -> None:
        """Skipped, repeated and foreign London times are the instants that they stand for."""
        for text, fold in (
            ("2026-03-29T01:30", 0),
            ("2026-03-29T01:30", 1),
            ("2026-10-25T01:30", 0),
            ("2026-10-25T01:30", 1),
            ("2026-04-01T00:00", 0),
        ):
            at = london(text).replace(fold=fold)
            for zone in (UTC, ZoneInfo.no_cache("Europe/London"), ZoneInfo("Pacific/Kiritimati")):
                for hours in (self.hours, PortalHours(days={6}, opens=time(0), closes=time(3))):
                    other = at.astimezone(UTC).astimezone(zone)
                    assert hours.state(at, CONFIRM) == hours.state(other, CONFIRM)
