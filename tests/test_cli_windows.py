"""``automation-rules windows``: the open intervals, as data and as a calendar."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from rich.cells import cell_len

from automation_rules.actions import TodoKind
from automation_rules.clock import LONDON, FrozenClock
from automation_rules.testing import instants
from automation_rules.windows import FIRST_YEAR, LAST_YEAR, Nation, PortalHours
from cli_helpers import ran, saved, set_locale

if TYPE_CHECKING:
    from pathlib import Path

SPRING = ("--from", "2026-03-27", "--to", "2026-03-31")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in English."""
    set_locale(monkeypatch, "en_GB.UTF-8")


def test_json_lists_the_intervals_in_utc_and_in_london_time() -> None:
    """Around the clock change the same London hours are other hours of UTC."""
    done = ran("windows", "-o", "json", *SPRING)
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "intervals": [
            {
                "start": "2026-03-27T08:00:00Z",
                "end": "2026-03-27T18:00:00Z",
                "local_start": "2026-03-27T08:00:00+00:00",
                "local_end": "2026-03-27T18:00:00+00:00",
            },
            {
                "start": "2026-03-30T07:00:00Z",
                "end": "2026-03-30T17:00:00Z",
                "local_start": "2026-03-30T08:00:00+01:00",
                "local_end": "2026-03-30T18:00:00+01:00",
            },
        ]
    }


def test_the_intervals_are_clipped_to_the_span() -> None:
    """A span within an open day is one interval, to the instants given."""
    done = ran(
        "windows",
        *("-o", "json", "--from", "2026-06-02T09:30:00+01:00", "--to", "2026-06-02T10:00:00Z"),
    )
    assert [(i["local_start"], i["local_end"]) for i in done.json["intervals"]] == [
        ("2026-06-02T09:30:00+01:00", "2026-06-02T11:00:00+01:00")
    ]


def test_the_kind_of_todo_opens_the_annual_window() -> None:
    """With the annual rent change's kind, April is one interval."""
    span = ("-o", "json", "--from", "2026-04-01", "--to", "2026-05-01")
    kind = ("--todo-kind", "confirm_housing_costs")
    (april,) = ran("windows", *span, *kind).json["intervals"]
    assert april["local_start"] == "2026-04-01T00:00:00+01:00"
    assert len(ran("windows", *span).json["intervals"]) == 20


def intervals(*options: str) -> list[dict[str, str]]:
    """The intervals of 2026."""
    done = ran("windows", "-o", "json", "--from", "2026-01-01", "--to", "2027-01-01", *options)
    assert done.code == 0
    found: list[dict[str, str]] = done.json["intervals"]
    return found


def test_nation_reading_and_policy_choose_the_bank_holidays(tmp_path: Path) -> None:
    """The nation, a reading and a policy file change which days are open."""
    counts = {nation.value: len(intervals("--nation", nation.value)) for nation in Nation}
    assert counts["union"] == min(counts.values()) == len(intervals())
    assert counts["scotland"] == len(intervals("--reading", "nation=scotland"))
    assert len(intervals("--reading", "bank_holidays=open")) == 261
    policy = saved(
        tmp_path,
        {
            "format": 1,
            "id": "short",
            "version": "1",
            "checks": [
                {"check": "window", "opens": "10:00", "extra_bank_holidays": ["2026-06-02"]}
            ],
        },
        "policy.json",
    )
    short = intervals("--policy", str(policy))
    assert {i["local_start"][11:16] for i in short} == {"10:00"}
    assert len(short) == len(intervals()) - 1


@pytest.mark.parametrize("checks", [["two_factor"], ["window", "window"]])
def test_a_policy_without_exactly_one_check_of_the_hours_is_refused(
    checks: list[str], tmp_path: Path
) -> None:
    """Nothing is shown for a policy whose hours are not one thing."""
    entries = [{"all_of": [{"check": name}], "id": str(i)} for i, name in enumerate(checks)]
    document = {"format": 1, "id": "p", "version": "1", "checks": entries}
    done = ran("windows", "--policy", saved(tmp_path, document, "p.json"), *SPRING)
    assert (done.code, done.out) == (2, "")
    assert "checks of the hours" in done.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--from", "2026-06-02T09:00:00"], "has no UTC offset"),
        (["--from", "2026-02-30"], "is no date"),
        (["--from", "tomorrow"], "RFC 3339"),
        (["--to", "0001-01-01"], "outside"),
        (["--to", "9999-12-31T23:59:59Z"], "outside"),
        (["--from", "1980-12-31"], "outside the years 1981 to 2100"),
        (["--from", "2026-06-02", "--to", "2026-06-01"], "in order"),
        (["--next", "--to", "2026-06-01"], "--to"),
        (["--next", "-o", "ics"], "no ics form"),
        (["--nation", "wales"], "'wales' is not one of"),
        (["--todo-kind", "rent"], "'rent' is not one of"),
        (["--from", "\ud800026-06-02"], "not UTF-8"),
        (["--from", "２026-06-02"], "2026-06-02"),  # noqa: RUF001
    ],
)
def test_spans_that_cannot_be_exit_2(options: list[str], named: str) -> None:
    """What is wrong with an option is told, without a traceback."""
    done = ran("windows", *options)
    assert (done.code, done.out) == (2, "")
    assert named in done.err
    assert "Traceback" not in done.err


def test_the_whole_horizon_can_be_asked_for() -> None:
    """From the first day known to the end of the last."""
    span = ("--from", f"{FIRST_YEAR}-01-01", "--to", f"{LAST_YEAR + 1}-01-01")
    found = ran("windows", "-o", "json", *span).json["intervals"]
    assert found[0]["start"].startswith(f"{FIRST_YEAR}-01-")
    assert found[-1]["end"].startswith(f"{LAST_YEAR}-12-")
    assert ran("windows", "-o", "json", "--from", f"{LAST_YEAR}-06-01").code == 0


def test_a_leap_day_has_a_year_after_it() -> None:
    """The default span is a year by the calendar."""
    found = ran("windows", "-o", "json", "--from", "2028-02-29").json["intervals"]
    assert found[-1]["end"].startswith("2029-02-27")
    flat = " ".join(ran("windows", "--from", "2028-02-29").out.split())
    assert "to Wednesday 28 February 2029 at midnight" in flat


def test_without_a_beginning_the_span_starts_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Now is read once, from the clock."""
    now = datetime.fromisoformat("2026-06-02T09:30:00+01:00")
    monkeypatch.setattr("automation_rules.cli.windows.SystemClock", lambda: FrozenClock(now))
    found = ran("windows", "-o", "json").json["intervals"]
    assert found[0]["local_start"] == "2026-06-02T09:30:00+01:00"
    assert found[-1]["local_end"] == "2027-06-02T09:30:00+01:00"


def test_next_tells_the_next_opening_and_closing() -> None:
    """When closed, the opening comes first; when open, the closing."""
    closed = ran("windows", "--next", "-o", "json", "--from", "2026-06-06T12:00:00+01:00").json
    assert (closed["is_open"], closed["code"]) == (False, "weekend")
    assert closed["next_opening"]["local"] == "2026-06-08T08:00:00+01:00"
    assert closed["next_closing"]["utc"] == "2026-06-08T17:00:00Z"
    opened = ran("windows", "--next", "-o", "json", "--from", "2026-06-02T12:00:00+01:00").json
    assert (opened["is_open"], opened["code"]) == (True, None)
    assert opened["next_closing"]["local"] == "2026-06-02T18:00:00+01:00"
    assert opened["next_opening"]["local"] == "2026-06-03T08:00:00+01:00"


def test_next_is_told_in_words_in_both_languages() -> None:
    """The text form says it by London's clocks."""
    at = ("--next", "--from", "2026-06-06T12:00:00+01:00")
    assert ran("windows", *at).out.splitlines() == [
        "Closed now    Saturday 6 June 2026 at midday",
        "Next opening  Monday 8 June 2026 at 8am",
        "Next closing  Monday 8 June 2026 at 6pm",
    ]
    welsh = ran("windows", *at, "--lang", "cy").out
    assert "Agor nesaf   dydd Llun 8 Mehefin 2026 am 8am" in welsh


def test_next_at_the_end_of_what_is_known_says_none() -> None:
    """After the last closing known there is no opening to tell."""
    last = ("--next", "--from", f"{LAST_YEAR}-12-31T23:00:00Z")
    assert ran("windows", *last, "-o", "json").json["next_opening"] is None
    assert ran("windows", *last).out.count("none") == 2


APRIL = """\
April 2026     720 h     May 2026       450 h
Mo Tu We Th Fr Sa Su     Mo Tu We Th Fr Sa Su
       1+ 2+ 3* 4+ 5+                 1+ 2+ 3+
 6* 7+ 8+ 9+10+11+12+     4* 5+ 6+ 7+ 8+ 9+10+
13+14+15+16+17+18+19+    11+12+13+14+15+ ·  ·
20+21+22+23+24+25+26+    18 19 20 21 22  ·  ·
27+28+29+30+              H 26 27 28 29  ·  ·
"""


def test_text_draws_a_calendar_of_the_open_days() -> None:
    """Numbers are open days, marks tell the whole days and the bank holidays, hours are summed."""
    done = ran(
        "windows",
        *("--from", "2026-04-01", "--to", "2026-06-01", "--todo-kind", "confirm_housing_costs"),
    )
    assert done.code == 0
    assert APRIL in done.out
    assert "12   open for part of the day (08:00-18:00)" in done.out
    assert "12+  open all day" in done.out
    assert "H  Monday 25 May 2026   closed" in done.out
    assert "*  Friday 3 April 2026  open all day" in done.out


def test_days_outside_the_span_are_left_blank() -> None:
    """A span within a month shows its days only, under their weekdays."""
    lines = ran("windows", "--from", "2026-06-10", "--to", "2026-06-12").out.splitlines()
    assert "      10 11" in lines
    assert not any(line.startswith("12") and "open" not in line for line in lines)


def test_bank_holidays_not_yet_proclaimed_are_marked() -> None:
    """Past the last proclaimed year the mark is another one, with its meaning."""
    text = ran("windows", "--from", "2030-05-01", "--to", "2030-06-01").out
    assert " h   bank holidays not yet proclaimed" in text
    assert " H " not in text


def test_an_empty_span_says_so() -> None:
    """There is nothing to draw between an instant and itself."""
    done = ran("windows", "--from", "2026-06-06", "--to", "2026-06-06")
    assert (done.code, done.out) == (0, "There are no open hours in this span.\n")


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_the_calendar_fits_into_80_columns(lang: str) -> None:
    """Every month of a year, in both languages, without escapes."""
    span = ("--from", "2026-01-01", "--to", "2027-01-01", "--todo-kind", "confirm_housing_costs")
    text = ran("windows", *span, "--lang", lang).out
    assert max(map(cell_len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert text.count(" h") >= 12


def numbers_of_open_days(text: str) -> int:
    """How many numbered days the months of a calendar show."""
    months = text.split("\n\n", 1)[1].partition("\n\n12   ")[0]
    weeks = [line for line in months.splitlines() if not re.search("[a-z]{2}", line)]
    return sum(part.strip(" *+·H").isdigit() for line in weeks for part in cells(line))


def cells(line: str) -> list[str]:
    """The cells of a line of weeks: three characters each, four between months."""
    months = [line[start : start + 21] for start in (0, 25, 50)]
    return [month[i : i + 3] for month in months for i in range(0, len(month), 3)]


@settings(max_examples=10, deadline=None)
@given(st.integers(2020, 2035), st.sampled_from(list(TodoKind)), st.sampled_from(list(Nation)))
def test_the_calendar_shows_the_days_that_the_hours_have(
    year: int, kind: TodoKind, nation: Nation
) -> None:
    """Drawn and counted are the same open days."""
    text = ran(
        "windows",
        *("--from", f"{year}-01-01", "--to", f"{year + 1}-01-01"),
        *("--todo-kind", kind.value, "--nation", nation.value),
    ).out
    hours = PortalHours(nation=nation)
    days = set()
    for interval in hours.intervals(
        datetime.fromisoformat(f"{year}-01-01T00:00:00Z"),
        datetime.fromisoformat(f"{year + 1}-01-01T00:00:00Z"),
        kind,
    ):
        day = interval.start.astimezone(LONDON)
        while day < interval.end:
            days.add(day.date())
            day += timedelta(days=1)
    assert numbers_of_open_days(text) == len(days)


def test_ics_is_a_calendar_of_the_same_intervals(tmp_path: Path) -> None:
    """The events are the intervals, in London time, and go to a file as bytes."""
    target = tmp_path / "hours.ics"
    assert ran("windows", "-o", "ics", "--output-file", target, *SPRING).code == 0
    events: list[Any] = Calendar.from_ical(target.read_bytes()).walk("VEVENT")
    listed = ran("windows", "-o", "json", *SPRING).json["intervals"]
    assert [event["DTSTART"].dt.isoformat() for event in events] == [
        interval["local_start"] for interval in listed
    ]
    printed = ran("windows", "-o", "ics", *SPRING, "--lang", "cy").out
    assert "Caiff awtomeiddio redeg" in printed
    assert printed.startswith("BEGIN:VCALENDAR")


@settings(max_examples=25, deadline=None)
@given(instants())
def test_any_instant_can_be_asked_about(at: datetime) -> None:
    """Whatever the instant, ``--next`` answers what the hours say."""
    done = ran("windows", "--next", "-o", "json", "--from", at.isoformat())
    assert done.code == 0
    state = PortalHours().state(at)
    assert done.json["is_open"] == state.is_open
    following = done.json["next_closing" if state.is_open else "next_opening"]
    assert datetime.fromisoformat(following["utc"]) == state.until


def test_the_json_form_draws_nothing() -> None:
    """Tables and calendar files are loaded by the forms that need them only."""
    program = (
        "import sys\nfrom automation_rules.cli import main\n"
        "main(['windows', '-q', '-o', 'json', '--from', '2026-06-02'])\n"
        "print(*{'rich', 'icalendar', 'sqlalchemy', 'cryptography'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(b"[" + done.stdout.strip() + b"]") == []
