"""Laws of windows, whatever they are made of."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules.actions import TodoKind
from automation_rules.clock import LONDON
from automation_rules.windows import (
    Always,
    BankHolidays,
    Closure,
    Closures,
    Nation,
    PortalHours,
    WeeklyHours,
    Window,
    YearlyDates,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

TICK = timedelta(microseconds=1)
NONE = timedelta(0)
HORIZON = datetime(2101, 1, 1, tzinfo=UTC)

# Where something happens: clock changes, annual edges, holidays, turns of years and months. Late
# years, because a window that never opens again is read to the end of the years known.
MOMENTS = [
    datetime.fromisoformat(text).replace(tzinfo=LONDON)
    for text in (
        "2098-03-30T01:00",
        "2098-10-26T01:00",
        "2099-03-29T02:00",
        "2099-10-25T02:00",
        "2098-04-01T00:00",
        "2098-05-16T00:00",
        "2099-05-15T18:00",
        "2098-07-14T08:00",
        "2098-12-25T00:00",
        "2098-12-31T23:59",
        "2099-01-02T08:00",
        "2098-06-06T18:00",
        "2098-06-09T08:00",
        "2096-02-29T12:00",
        "2100-12-25T00:00",
    )
]

offsets = st.one_of(
    st.sampled_from([NONE, TICK, -TICK, timedelta(hours=1), -timedelta(hours=1)]),
    st.timedeltas(timedelta(days=-4), timedelta(days=4)),
    st.integers(-200, 200).map(lambda halves: timedelta(minutes=30 * halves)),
)
instants = st.builds(lambda at, by: at.astimezone(UTC) + by, st.sampled_from(MOMENTS), offsets)
kinds = st.sampled_from([None, *TodoKind])
durations = st.one_of(
    st.just(NONE),
    st.just(TICK),
    st.timedeltas(NONE, timedelta(days=3)),
    st.integers(0, 48).map(lambda halves: timedelta(minutes=30 * halves)),
)


def _closure(start: datetime, length: timedelta) -> Closure:
    return Closure(start, start + max(length, TICK))


closures = st.lists(st.builds(_closure, instants, durations), max_size=3)
edges = st.sampled_from([time(0), time(3), time(8), time(9, 30), time(18), time(23, 59)])
weekly = st.builds(
    lambda days, pair: WeeklyHours(days, pair[0], pair[1]),
    st.sets(st.integers(0, 6), min_size=1),
    st.tuples(edges, edges).filter(lambda pair: pair[0] < pair[1] or pair[1] == time(0)),
)
monthdays = st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(lambda d: (d.month, d.day))
portal = st.builds(
    PortalHours,
    nation=st.sampled_from(Nation),
    bank_holidays_open=st.booleans(),
    annual_kinds=st.frozensets(st.sampled_from(TodoKind)),
    closures=closures,
)
leaves: SearchStrategy[Window] = st.one_of(
    st.builds(Always),
    weekly,
    st.builds(YearlyDates, monthdays, monthdays),
    st.builds(Closures, closures),
    st.builds(BankHolidays, st.sampled_from(Nation)),
    portal,
)


def _combinations(parts: SearchStrategy[Window]) -> SearchStrategy[Window]:
    return st.one_of(
        st.builds(lambda a, b: a | b, parts, parts),
        st.builds(lambda a, b: a & b, parts, parts),
        st.builds(lambda a, b: a - b, parts, parts),
        st.builds(lambda a, only: a.only_for(*only), parts, st.sets(st.sampled_from(TodoKind))),
    )


windows = st.recursive(leaves, _combinations, max_leaves=3)
quick = settings(max_examples=100, deadline=None)


@quick
@given(windows, windows, instants, kinds)
def test_the_operators_mean_what_they_say(
    a: Window, b: Window, at: datetime, kind: TodoKind | None
) -> None:
    """Union, intersection and difference hold at every instant, and as intervals too."""
    in_a, in_b = a.is_open(at, kind), b.is_open(at, kind)
    for window, expected in (
        (a | b, in_a or in_b),
        (a & b, in_a and in_b),
        (a - b, in_a and not in_b),
        (a.only_for(TodoKind.OTHER), in_a and kind is TodoKind.OTHER),
    ):
        assert window.is_open(at, kind) is expected
        tick = list(window.intervals(at, at + TICK, kind))
        assert bool(tick) is expected


@quick
@given(windows, windows, instants, st.timedeltas(NONE, timedelta(days=20)), kinds)
def test_de_morgan(
    a: Window, b: Window, start: datetime, length: timedelta, kind: TodoKind | None
) -> None:
    """Not in either is neither in one nor in the other, and the reverse, over whole spans."""
    end = min(start + length, HORIZON)
    everything = Always()
    for left, right in (
        (everything - (a | b), (everything - a) & (everything - b)),
        (everything - (a & b), (everything - a) | (everything - b)),
        (a - b, a & (everything - b)),
        (a, (a & b) | (a - b)),
        (a | b, b | a),
        (a & b, b & a),
    ):
        assert list(left.intervals(start, end, kind)) == list(right.intervals(start, end, kind))


@quick
@given(windows, instants, st.timedeltas(NONE, timedelta(days=30)), kinds, st.data())
def test_intervals_are_the_open_instants(
    window: Window, start: datetime, length: timedelta, kind: TodoKind | None, data: st.DataObject
) -> None:
    """Intervals lie in the span, apart from one another, and hold exactly what is open."""
    end = min(start + length, HORIZON)
    intervals = list(window.intervals(start, end, kind))
    assert all(start <= i.start < i.end <= end for i in intervals)
    assert all(a.end < b.start for a, b in pairwise(intervals))
    for interval in intervals:
        assert window.is_open(interval.start, kind)
        assert window.is_open(interval.end - TICK, kind)
        if interval.start > start:
            assert not window.is_open(interval.start - TICK, kind)
        if interval.end < end:
            assert not window.is_open(interval.end, kind)
    if start < end:
        at = start + data.draw(st.timedeltas(NONE, end - start - TICK))
        held = any(i.start <= at < i.end for i in intervals)
        assert window.is_open(at, kind) is held


@quick
@given(windows, instants, kinds)
def test_next_change_is_the_next_change(
    window: Window, after: datetime, kind: TodoKind | None
) -> None:
    """At the next change the answer differs, and until then it stays; else until the horizon."""
    change = window.next_change(after, kind)
    end = HORIZON if change is None else change
    assert end > after
    is_open = window.is_open(after, kind)
    assert window.is_open(end - TICK, kind) is is_open
    assert window.remaining(after, end, kind) == (end - after if is_open else NONE)
    if change is not None:
        assert window.is_open(change, kind) is not is_open


@quick
@given(windows, instants, st.timedeltas(NONE, timedelta(days=9)), st.data(), kinds)
def test_remaining_adds_up(
    window: Window, start: datetime, length: timedelta, data: st.DataObject, kind: TodoKind | None
) -> None:
    """The open time of a span is that of its parts, and of its intervals."""
    end = min(start + length, HORIZON)
    # A span may end with the horizon, but none begins there.
    middle = min(start + data.draw(st.timedeltas(NONE, end - start)), HORIZON - TICK)
    whole = window.remaining(start, end, kind)
    assert window.remaining(start, middle, kind) + window.remaining(middle, end, kind) == whole
    assert whole + (Always() - window).remaining(start, end, kind) == end - start
    change = window.next_change(start, kind) or HORIZON
    left = window.remaining(start, kind=kind)
    assert left == (change - start if window.is_open(start, kind) else NONE)


@quick
@given(windows, instants, durations, durations, kinds)
def test_the_last_safe_start_is_safe_and_the_last(
    window: Window, at: datetime, duration: timedelta, margin: timedelta, kind: TodoKind | None
) -> None:
    """It lies in the interval asked about; work can start at it, and a microsecond later not."""
    last = window.last_safe_start(at, duration, margin, kind)
    fits = window.can_start(at, duration, margin, kind)
    if window.is_open(at, kind):
        assert fits is (last is not None)
        assert fits is (window.remaining(at, kind=kind) >= duration + margin)
    else:
        assert not fits
    if last is not None:
        assert last >= at
        assert window.can_start(last, duration, margin, kind)
        assert last + TICK == HORIZON or not window.can_start(last + TICK, duration, margin, kind)
        opening = at if window.is_open(at, kind) else window.next_change(at, kind)
        assert opening is not None
        assert window.remaining(opening, kind=kind) > last - opening


@quick
@given(windows, instants, durations, kinds, st.data())
def test_the_next_start_is_the_first(
    window: Window, at: datetime, duration: timedelta, kind: TodoKind | None, data: st.DataObject
) -> None:
    """Work can start at it, and at no instant before it."""
    within = data.draw(st.timedeltas(NONE, timedelta(days=60)))
    found = window.next_start(at, duration, kind, within=within)
    if found is not None:
        assert at <= found <= at + within
        assert window.can_start(found, duration, kind=kind)
        assert found == at or not window.can_start(found - TICK, duration, kind=kind)
    reach = min(within, HORIZON - at - TICK) if found is None else found - at - TICK
    if reach >= NONE:
        earlier = at + data.draw(st.timedeltas(NONE, reach))
        assert not window.can_start(earlier, duration, kind=kind)


zones = st.one_of(
    st.just(LONDON),
    st.just(ZoneInfo.no_cache("Europe/London")),
    st.sampled_from(["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kathmandu"]).map(ZoneInfo),
    st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone),
)


@quick
@given(windows, instants, durations, kinds, zones)
def test_the_zone_does_not_matter(
    window: Window, at: datetime, duration: timedelta, kind: TodoKind | None, zone: timezone
) -> None:
    """One instant gets one answer to every question, in whatever zone it is given."""
    other = at.astimezone(zone)
    for ask in (window.is_open, window.next_change):
        assert ask(other, kind) == ask(at, kind)
    for question in (window.can_start, window.last_safe_start):
        assert question(other, duration, kind=kind) == question(at, duration, kind=kind)
    assert window.next_start(other, duration, kind) == window.next_start(at, duration, kind)
    assert window.remaining(other, kind=kind) == window.remaining(at, kind=kind)
    if isinstance(window, PortalHours):
        assert window.state(other, kind) == window.state(at, kind)


compositions = st.fixed_dictionaries(
    {
        "nation": st.sampled_from(Nation),
        "bank_holidays_open": st.booleans(),
        "annual_kinds": st.frozensets(st.sampled_from(TodoKind), min_size=1),
        "annual_first": monthdays,
        "annual_last": monthdays,
        "closures": closures,
    }
)


@quick
@given(compositions, weekly, instants, kinds)
def test_the_portals_hours_are_what_they_are_made_of(
    parts: dict[str, Any], core: WeeklyHours, at: datetime, kind: TodoKind | None
) -> None:
    """The tables of the portal's hours equal the same hours composed of windows."""
    opens = time(*divmod(core.first_minute, 60))
    closes = time(*divmod(core.last_minute % (24 * 60), 60))
    hours = PortalHours(days=core.days, opens=opens, closes=closes, **parts)
    composed: Window = core
    if not parts["bank_holidays_open"]:
        composed -= BankHolidays(parts["nation"])
    annual = YearlyDates(parts["annual_first"], parts["annual_last"])
    composed |= annual.only_for(*parts["annual_kinds"])
    composed -= Closures(parts["closures"])
    end = min(at + timedelta(days=40), HORIZON)
    assert list(hours.intervals(at, end, kind)) == list(composed.intervals(at, end, kind))
    assert hours.is_open(at, kind) is composed.is_open(at, kind)
    assert (hours.code(at, kind) is None) is hours.is_open(at, kind)
    assert hours.next_change(at, kind) == composed.next_change(at, kind)
