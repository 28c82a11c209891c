"""What was decided, for people: per account and day, allowed and denied, by clause.

A page is one HTML file that asks for nothing else: no script, no font, no picture from elsewhere.
It can be read in black and white, on paper and by a screen reader; what its charts show stands in
tables beside them. The same counts as CSV are for spreadsheets.

Days are London's. An account that is not registered is counted without saying which it is.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from .clock import to_london
from .leaf_reasons import read_entry, reasons
from .terms import terms_at
from .texts import ui

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from jinja2 import Environment

    from .audit import Entry
    from .merkle import Head
    from .texts import Lang

__all__ = ["COLUMNS", "Counts", "Key", "Report", "count", "neutral", "to_csv", "to_html"]

COLUMNS: Final = ("date", "landlord", "account", "mode", "measure", "clause", "decisions")
"""The columns of the CSV, whose names and order stay.

``measure`` is ``allowed``, ``denied``, or ``denied_citing``, which counts the denials that cite
``clause``; a denial can cite several. ``clause`` is a clause's identifier, or ``check:<id>`` for
a check that is the policy's own. ``account`` is empty for accounts that are not registered.
"""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What is counted together: a London day, an account of a landlord, and live or test runs."""

    day: date
    landlord: str
    account: str
    mode: str


@dataclass(slots=True)
class Counts:
    """How many decisions allowed, how many denied, and how many of these cited each clause."""

    allowed: int = 0
    denied: int = 0
    citing: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All decisions."""
        return self.allowed + self.denied

    def add(self, other: Counts) -> None:
        """Add what another counts."""
        self.allowed += other.allowed
        self.denied += other.denied
        self.citing.update(other.citing)


@dataclass(frozen=True, slots=True)
class Report:
    """The decisions of the London days from ``start`` up to, but not including, ``end``.

    ``counts`` are in the order of their keys, and none counts nothing.
    """

    start: date
    end: date
    counts: Mapping[Key, Counts]


def count(entries: Iterable[Entry], start: date, end: date) -> Report:
    """Count the decisions among ``entries`` on the days from ``start`` up to before ``end``.

    Raises:
        VerificationError: an entry is none that was ever recorded.
    """
    counts: dict[Key, Counts] = {}
    for entry in entries:
        leaf, at = read_entry(entry)
        day = to_london(at).date()
        if leaf["type"] != "decision" or not start <= day < end:
            continue
        key = Key(day, leaf["landlord"] or "", leaf["account"] or "", leaf["mode"])
        counted = counts.setdefault(key, Counts())
        if leaf["decision"]:
            counted.allowed += 1
        else:
            counted.denied += 1
            counted.citing.update({cited for reason in reasons(leaf) for cited in reason.cites})
    return Report(start, end, dict(sorted(counts.items())))


# --- CSV --------------------------------------------------------------------------------------

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


def to_csv(report: Report) -> bytes:
    """Return the counts as CSV with the columns `COLUMNS`, one measure a row.

    It is UTF-8 that begins with a byte order mark, by which spreadsheets know it. Text that a
    spreadsheet could take for a formula begins with an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for key, counts in report.counts.items():
        about = (key.day.isoformat(), neutral(key.landlord), neutral(key.account), key.mode)
        for measure, number in (("allowed", counts.allowed), ("denied", counts.denied)):
            if number:
                writer.writerow((*about, measure, "", number))
        for clause, number in sorted(counts.citing.items()):
            writer.writerow((*about, "denied_citing", neutral(clause), number))
    return text.getvalue().encode("utf-8-sig")


def neutral(text: str) -> str:
    """Return ``text`` so that no spreadsheet takes it for a formula (CWE-1236)."""
    return f"'{text}" if text.startswith(_FORMULA) else text


# --- HTML -------------------------------------------------------------------------------------


def to_html(report: Report, *, lang: Lang, at: datetime, head: Head) -> str:
    """Return the counts as one page of HTML in ``lang``.

    ``at`` is when it is made, and ``head`` that of the log whose entries were counted.

    Raises:
        InvalidInputError: ``lang`` is neither ``en`` nor ``cy``.
    """
    total = _sum(report.counts.values())
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            lang=lang,
            say=lambda key, **parameters: ui(key, **parameters).to(lang),
            report=report,
            last=report.end - timedelta(days=1),
            at=at,
            head=f"{head.size}:{head.root.hex()}",
            total=total,
            days=len({key.day for key in report.counts}),
            accounts=_accounts(report),
            clauses=_clauses(total.citing, at, lang),
            columns=_Columns.of(report, lang),
            bars=_Bars.of(total.citing),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "data"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda number: f"{number:,}"
    return environment


def _visible(value: object) -> object:
    """Return text with what HTML forbids, or what would reorder it, written as escapes."""
    if not isinstance(value, str) or value.isprintable():
        return value
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
    # Text that is markup already stays that.
    return type(value)("".join(shown))


def _sum(parts: Iterable[Counts]) -> Counts:
    total = Counts()
    for part in parts:
        total.add(part)
    return total


class _Account(NamedTuple):
    """One account's counts, day by day."""

    landlord: str
    account: str
    total: Counts
    days: Sequence[tuple[date, str, Counts, Sequence[tuple[str, int]]]]


def _accounts(report: Report) -> list[_Account]:
    found: dict[tuple[str, str], list[tuple[Key, Counts]]] = {}
    for key, counts in report.counts.items():
        found.setdefault((key.landlord, key.account), []).append((key, counts))
    return [
        _Account(
            landlord,
            account,
            _sum(counts for _, counts in rows),
            [(key.day, key.mode, counts, _most(counts.citing)) for key, counts in rows],
        )
        for (landlord, account), rows in sorted(found.items())
    ]


def _most(citing: Counter[str]) -> list[tuple[str, int]]:
    """Return the most cited first, and among equals by their names."""
    return sorted(citing.items(), key=lambda item: (-item[1], item[0]))


def _clauses(citing: Counter[str], at: datetime, lang: Lang) -> list[tuple[str, str, int]]:
    """Return what was cited, its title, and how many denials cited it."""
    known = terms_at(at).clauses
    rows = []
    for cited, number in _most(citing):
        if cited in known:
            title = known[cited].title
        else:
            title = ui("report.own_check", name=cited.removeprefix("check:"))
        rows.append((cited, title.to(lang), number))
    return rows


# --- charts

_MOST_COLUMNS: Final = 92
"""As many columns as can be told apart; a longer span is shown by months, then by years."""

_LABELS: Final = 10
_LEFT: Final = 56
_TOP: Final = 40
_PLOT_WIDTH: Final = 656
_PLOT_HEIGHT: Final = 200
_WIDEST: Final = 48


class _Period(NamedTuple):
    """A day, a month or a year: how a table names it, and how a chart does."""

    label: str
    short: str
    counts: Counts


class _Column(NamedTuple):
    """A period's column, in the chart's units."""

    x: float
    allowed: tuple[float, float]
    denied: tuple[float, float]
    middle: float
    label: str


class _Columns(NamedTuple):
    """The chart of what was allowed and denied as time went by, and its numbers."""

    unit: str
    periods: Sequence[_Period]
    columns: Sequence[_Column]
    ticks: Sequence[tuple[float, int]]
    width: float

    @classmethod
    def of(cls, report: Report, lang: Lang) -> _Columns:
        unit, periods = _periods(report, lang)
        most = max((period.counts.total for period in periods), default=0)
        step = _step(most)
        top = max(step, -(-most // step) * step)
        slot = _PLOT_WIDTH / max(1, len(periods))
        width = min(_WIDEST, slot * 0.8)
        every = -(-len(periods) // _LABELS)
        bottom = _TOP + _PLOT_HEIGHT

        def columns() -> Iterator[_Column]:
            for number, period in enumerate(periods):
                middle = _LEFT + slot * (number + 0.5)
                allowed = period.counts.allowed / top * _PLOT_HEIGHT
                denied = period.counts.denied / top * _PLOT_HEIGHT
                yield _Column(
                    round(middle - width / 2, 2),
                    (round(bottom - allowed, 2), round(allowed, 2)),
                    (round(bottom - allowed - denied, 2), round(denied, 2)),
                    round(middle, 2),
                    "" if number % every else period.short,
                )

        ticks = [
            (round(bottom - tick / top * _PLOT_HEIGHT, 2), tick) for tick in range(0, top + 1, step)
        ]
        return cls(unit, periods, list(columns()), ticks, round(width, 2))


def _step(most: int) -> int:
    """Return a round step of which about four make ``most``."""
    power = 1
    while True:
        for step in (power, 2 * power, 5 * power):
            if step * 4 >= most:
                return step
        power *= 10


def _periods(report: Report, lang: Lang) -> tuple[str, list[_Period]]:
    first, last = report.start, report.end - timedelta(days=1)
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    found: dict[tuple[int, ...], Counts] = {}
    unit, size = "day", 3
    if (report.end - report.start).days > _MOST_COLUMNS:
        unit, size = ("month", 2) if months <= _MOST_COLUMNS else ("year", 1)
    for number in range((report.end - report.start).days):
        day = first + timedelta(days=number)
        found.setdefault((day.year, day.month, day.day)[:size], Counts())
    for key, counts in report.counts.items():
        found[(key.day.year, key.day.month, key.day.day)[:size]].add(counts)
    return unit, [_period(when, counts, lang) for when, counts in found.items()]


def _period(when: tuple[int, ...], counts: Counts, lang: Lang) -> _Period:
    match when:
        case (year, month, day):
            at = date(year, month, day)
            return _Period(ui("at", at=at).to(lang), f"{day:02}/{month:02}", counts)
        case (year, month):
            name = ui(f"month.{month:02}").to(lang)
            return _Period(f"{name} {year}", f"{month:02}/{year}", counts)
    return _Period(str(when[0]), str(when[0]), counts)


_ROW: Final = 30
_BARS_LEFT: Final = 230
_BARS_WIDTH: Final = 420
_LONGEST: Final = 30


class _Bar(NamedTuple):
    """A clause's bar, in the chart's units."""

    label: str
    y: int
    width: float
    number: int


class _Bars(NamedTuple):
    """The chart of the clauses that denials cited."""

    bars: Sequence[_Bar]
    height: int

    @classmethod
    def of(cls, citing: Counter[str]) -> _Bars:
        most = max(citing.values(), default=1)
        bars = [
            _Bar(_shortened(cited), row * _ROW, round(number / most * _BARS_WIDTH, 2), number)
            for row, (cited, number) in enumerate(_most(citing))
        ]
        return cls(bars, len(bars) * _ROW)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
