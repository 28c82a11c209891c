"""``automation-rules windows``: when automation may run."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from ..actions import TodoKind
from ..checks import WindowCheck
from ..clock import LONDON, SystemClock, to_london, to_utc
from ..inputs import parse_instant_or_day
from ..texts import ui
from ..windows import FIRST_YEAR, LAST_YEAR, Nation
from .common import OK, Output, output_options, policy_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..checks import Check
    from ..policy import Policy
    from ..windows import PortalHours

__all__ = ["windows"]


class _Instant(click.ParamType[datetime]):
    """RFC 3339 text, or a date for the midnight that begins it in London."""

    name = "instant"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            return self._known(parse_instant_or_day(value))
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)

    def _known(self, at: datetime) -> datetime:
        if FIRST_YEAR <= to_london(at).year <= LAST_YEAR or _is_horizon(at):
            return at
        raise ValueError(f"lies outside the years {FIRST_YEAR} to {LAST_YEAR}")


def _is_horizon(at: datetime) -> bool:
    """Tell whether ``at`` is the end of the last year known, which a span may end with."""
    return at == datetime(LAST_YEAR + 1, 1, 1, tzinfo=LONDON)


@click.command()
@click.option(
    "--from",
    "start",
    type=_Instant(),
    metavar="T",
    help="Begin at T (RFC 3339, or a date); by default now.",
)
@click.option(
    "--to",
    "end",
    type=_Instant(),
    metavar="T",
    help="End before T; by default a year after the beginning.",
)
@click.option(
    "--todo-kind",
    "kind",
    type=click.Choice([kind.value for kind in TodoKind]),
    help="The to-dos to be worked on; by default none, which leaves the core hours.",
)
@click.option(
    "--nation",
    type=click.Choice([nation.value for nation in Nation]),
    help="Whose bank holidays count; by default as the policy reads.",
)
@click.option("--next", "only_next", is_flag=True, help="Only the next opening and closing.")
@policy_options
@output_options("text", "json", "ics")
def windows(
    *,
    start: datetime | None,
    end: datetime | None,
    kind: str | None,
    nation: str | None,
    only_next: bool,
    policy: Policy,
    out: Output,
) -> int:
    """Show when automation may run, by London's clocks.

    Text draws a calendar; json lists the open intervals; ics is for calendar programs. Closures
    and pauses are not known here: they come with each request.
    """
    hours = _hours(policy, nation)
    todo_kind = None if kind is None else TodoKind(kind)
    start = SystemClock().now() if start is None else start
    if only_next:
        if end is not None:
            raise click.UsageError("--next looks ahead without end: leave --to out")
        _show_next(hours, start, todo_kind, out)
        return OK
    end = _year_after(start) if end is None else end
    if start > end:
        raise click.UsageError("--from is later than --to: give them in order")
    if out.format == "json":
        out.write_json({"intervals": _intervals(hours, start, end, todo_kind)})
    elif out.format == "ics":
        from ..calendar_export import to_icalendar

        out.write(
            to_icalendar(
                hours,
                start,
                end,
                kind=todo_kind,
                summary=ui("calendar.event").to(out.lang),
                uid_domain="automation-rules",
                stamp=SystemClock().now(),
            )
        )
    else:
        from .render.calendar import show_calendar

        console = out.console()
        show_calendar(console, hours, start=start, end=end, kind=todo_kind, lang=out.lang)
        out.write_console(console)
    return OK


def _hours(policy: Policy, nation: str | None) -> PortalHours:
    found = list(_window_checks(policy.checks))
    if len(found) != 1:
        raise click.UsageError(
            f"the policy has {len(found)} checks of the hours: choose one that has exactly one"
        )
    return found[0].portal_hours(nation)


def _window_checks(checks: Iterable[Check]) -> Iterable[WindowCheck]:
    for check in checks:
        if isinstance(check, WindowCheck):
            yield check
        yield from _window_checks(check.parts())


def _year_after(start: datetime) -> datetime:
    from dateutil.relativedelta import relativedelta

    # By the calendar, so that it also is a year in a leap year; within one zone that moves the
    # hands of London's clocks, which is what is meant.
    end = to_utc(to_london(start) + relativedelta(years=1))
    return min(end, to_utc(datetime(LAST_YEAR + 1, 1, 1, tzinfo=LONDON)))


def _intervals(
    hours: PortalHours, start: datetime, end: datetime, kind: TodoKind | None
) -> list[dict[str, str]]:
    return [
        {
            "start": _utc(interval.start),
            "end": _utc(interval.end),
            "local_start": to_london(interval.start).isoformat(),
            "local_end": to_london(interval.end).isoformat(),
        }
        for interval in hours.intervals(start, end, kind)
    ]


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _show_next(hours: PortalHours, at: datetime, kind: TodoKind | None, out: Output) -> None:
    state = hours.state(at, kind)
    after = None if state.until is None else hours.next_change(state.until, kind)
    opening, closing = (after, state.until) if state.is_open else (state.until, after)
    if out.format == "json":
        out.write_json(
            {
                "at": _utc(at),
                "is_open": state.is_open,
                "code": None if state.code is None else state.code.value,
                "next_opening": _both(opening),
                "next_closing": _both(closing),
            }
        )
        return
    if out.format == "ics":
        raise click.UsageError("--next has no ics form: use text or json")
    from .render.text import grid, styled

    is_open = ui("open_now" if state.is_open else "closed_now").to(out.lang)
    rows = [(is_open, _moment(at, out))]
    changes = [("next_opening", opening), ("next_closing", closing)]
    if state.is_open:
        changes.reverse()
    rows += [(ui(name).to(out.lang), _moment(instant, out)) for name, instant in changes]
    console = out.console()
    console.print(grid((styled(label), styled(value, "bold")) for label, value in rows))
    out.write_console(console)


def _both(at: datetime | None) -> dict[str, str] | None:
    return None if at is None else {"utc": _utc(at), "local": to_london(at).isoformat()}


def _moment(at: datetime | None, out: Output) -> str:
    return ui("none" if at is None else "at", at=at or "").to(out.lang)
