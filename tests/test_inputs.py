"""What comes in is read strictly, and told plainly."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules.errors import FieldError, InvalidRequestError
from automation_rules.inputs import (
    load_json,
    parse_date,
    parse_duration,
    parse_instant,
    parse_instant_or_day,
)
from automation_rules.testing import instants


def problems(data: Any) -> list[tuple[str, str]]:
    """The places and problems that reading ``data`` as JSON gives."""
    with pytest.raises(InvalidRequestError) as caught:
        load_json(data)
    return [(error.pointer, error.problem) for error in caught.value.errors]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda child: st.lists(child, max_size=3)
    | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), child, max_size=3),
    max_leaves=10,
)  # fmt: skip


NO_NUMBER = "must be a finite number of at most 400 digits"


@given(JSON)
def test_json_reads_what_json_writes(value: object) -> None:
    """Any JSON value is read as it was written, as text or as bytes with or without a mark."""
    text = json.dumps(value, ensure_ascii=False)
    for data in (text, text.encode(), text.encode("utf-8-sig"), text.encode("utf-16")):
        assert load_json(data) == value


@pytest.mark.parametrize("text", ["", "{", "[1,]", "{'a': 1}", "1 2", "\ufeff{}", "nul", '{"a" 1}'])
def test_what_is_not_json_is_said_with_its_place(text: str) -> None:
    """Text that is not JSON is one error of the whole document."""
    ((pointer, problem),) = problems(text)
    assert pointer == ""
    assert problem.startswith("is not JSON: ")
    assert "line 1" in problem


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_json_has_not_are_refused(number: str) -> None:
    """NaN, infinities and numbers beyond a float are errors at their place."""
    assert problems(f'{{"a": [1, {number}]}}') == [("/a/1", NO_NUMBER)]


def test_numbers_of_very_many_digits_are_refused() -> None:
    """A number that would take long to read is an error; one of 400 digits is read."""
    assert load_json("9" * 400) == int("9" * 400)
    assert problems("9" * 401) == [("", NO_NUMBER)]
    assert problems("-" + "9" * 10_000)[0][0] == ""


@pytest.mark.parametrize("data", [b"\xff", b"\xc3", b"\xff\xfe\x00", b"\xed\xa0\x80"])
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    """Neither UTF-8 nor UTF-16 is an error of the whole document."""
    ((pointer, problem),) = problems(data)
    assert pointer == ""
    assert "text" in problem


def test_repeated_keys_are_refused_where_they_stand() -> None:
    """An object that says two things of one key is an error, not the later of the two."""
    assert problems('{"a": [{"b/c": 1, "x": 0, "b/c": 2}]}') == [
        ("/a/0/b~1c", "stands twice in one object")
    ]
    assert problems('{"a": 1, "\\u0061": 1}') == [("/a", "stands twice in one object")]


def test_lone_surrogates_are_refused_where_they_stand() -> None:
    """Half a character is an error, in a value and in a key; a whole one is not."""
    assert problems('{"a": ["\\ud800"]}')[0][0] == "/a/0"
    assert problems('{"a": {"\\udfff": 1}}')[0][0] == "/a"
    assert load_json('"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize("depth", [66, 1_000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    """More than 64 levels are an error, however many they are."""
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        ((_, problem),) = problems(opening * depth + "1" + closing * depth)
        assert problem == "is nested more than 64 levels deep"


def test_64_levels_are_read() -> None:
    """What nests 64 levels deep is still read."""
    text = "[" * 64 + "1" + "]" * 64
    assert json.dumps(load_json(text)) == text


def test_large_documents_are_read_or_refused_in_time() -> None:
    """Ten megabytes of text are no trouble."""
    assert load_json(json.dumps("x" * 10_000_000)) == "x" * 10_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-06-02T09:00:00+01:00", datetime(2026, 6, 2, 8, tzinfo=UTC)),
        ("2026-06-02T08:00:00Z", datetime(2026, 6, 2, 8, tzinfo=UTC)),
        ("2026-06-02t08:00:00z", datetime(2026, 6, 2, 8, tzinfo=UTC)),
        ("2026-06-02 08:00Z", datetime(2026, 6, 2, 8, tzinfo=UTC)),
        ("2026-06-02T08:00:00.5-00:00", datetime(2026, 6, 2, 8, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-06-02T23:00:00.000001-11:30", datetime(2026, 6, 3, 10, 30, 0, 1, tzinfo=UTC)),
        ("2028-02-29T00:00:00+14:00", datetime(2028, 2, 28, 10, tzinfo=UTC)),
    ],
)
def test_instants_are_read(text: str, expected: datetime) -> None:
    """RFC 3339 text is read, whatever its offset, into UTC."""
    found = parse_instant(text)
    assert found == expected
    assert found.tzinfo is UTC


@given(instants(), st.integers(-1439, 1439))
def test_instants_written_in_any_offset_are_the_same(at: datetime, minutes: int) -> None:
    """An instant keeps its microsecond through any offset."""
    there = at.astimezone(timezone(timedelta(minutes=minutes)))
    assert parse_instant(there.isoformat()) == parse_instant(there) == at


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2026-06-02T09:00:00", "has no UTC offset"),
        ("2026-06-02T09:00", "has no UTC offset"),
        (datetime(2026, 6, 2), "has no UTC offset"),  # noqa: DTZ001
        ("2026-06-02", "must be an RFC 3339"),
        ("", "must be an RFC 3339"),
        ("now", "must be an RFC 3339"),
        ("2026-06-02T09:00:00 Europe/London", "must be an RFC 3339"),
        ("2026-06-02T09:00:00+0100", "must be an RFC 3339"),
        ("2026-06-02T09:00:00+01", "must be an RFC 3339"),
        ("20260602T090000Z", "must be an RFC 3339"),
        ("2026-W23-2T09:00:00Z", "must be an RFC 3339"),
        ("٢٠٢٦-06-02T09:00:00Z", "must be an RFC 3339"),
        (" 2026-06-02T09:00:00Z", "must be an RFC 3339"),
        ("2026-06-02T09:00:00Z\n", "must be an RFC 3339"),
        ("2026-06-31T09:00:00Z", "is no date and time"),
        ("2026-02-29T09:00:00Z", "is no date and time"),
        ("2026-06-02T25:00:00Z", "is no date and time"),
        ("2026-06-02T09:00:60Z", "is no date and time"),
        ("0000-06-02T09:00:00Z", "is no date and time"),
        ("2026-06-02T09:00:00+25:00", "is no date and time"),
        ("0001-01-01T00:00:00+14:00", "lies outside the years"),
        ("0001-01-01T00:00:00Z", "lies outside the years"),
        ("9999-12-31T23:59:59-14:00", "lies outside the years"),
        (1780387200, "must be a string, for example"),
        (True, "must be a string"),
        (["2026-06-02T09:00:00Z"], "must be a string"),
        (date(2026, 6, 2), "must be a string"),
    ],
)  # fmt: skip
def test_other_instants_are_refused(value: object, problem: str) -> None:
    """Naive times, other forms, no such days and hours, and other types are errors."""
    with pytest.raises(ValueError, match=problem):
        parse_instant(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PT2M", timedelta(minutes=2)),
        ("PT0.000001S", timedelta(microseconds=1)),
        ("PT1,5S", timedelta(seconds=1.5)),
        ("PT90M", timedelta(minutes=90)),
        ("P1D", timedelta(days=1)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("PT1H30S", timedelta(hours=1, seconds=30)),
        ("P3650D", timedelta(days=3650)),
        ("PT000000060S", timedelta(minutes=1)),
    ],
)
def test_durations_are_read(text: str, expected: timedelta) -> None:
    """ISO 8601 in days to seconds is read exactly."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        *((text, "no fixed length") for text in (
            "P1Y", "P1M", "P1W", "P1Y2M3D", "P", "PT", "P1DT", "P1H", "T1H", "1H", "PT1", "pt2m",
            "-PT2M", "PT-2M", "+PT2M", "PT2M ", "PT1.5M", "PT0.0000001S", "PT٢M", "PT1M1H", "",
            "PT1S1S", "P1D1D", "PT9999999999S", "P1DT2H3M4.5S\n")),
        ("PT0S", "longer than zero"),
        ("P0D", "longer than zero"),
        ("P3651D", "at most P3650D"),
        ("P999999D", "at most P3650D"),
        ("PT999999999H", "at most P3650D"),
        (120, "must be a string, for example PT2M, not a number"),
        (None, "not null"),
        (timedelta(minutes=2), "must be a string"),
    ],
)  # fmt: skip
def test_other_durations_are_refused(value: object, problem: str) -> None:
    """Years and months, other forms, nothing at all, and more than ten years are errors."""
    with pytest.raises(ValueError, match=problem):
        parse_duration(value)


@settings(max_examples=200)
@given(st.timedeltas(timedelta(microseconds=1), timedelta(days=3650)))
def test_durations_keep_their_microseconds(duration: timedelta) -> None:
    """A duration written in days and seconds is read as it was."""
    seconds, micros = duration.seconds, duration.microseconds
    assert parse_duration(f"P{duration.days}DT{seconds}.{micros:06}S") == duration


def test_dates_are_read() -> None:
    """A date is text in one form, or a date that is no datetime."""
    assert parse_date("2028-02-29") == date(2028, 2, 29)
    assert parse_date(date(2026, 6, 2)) == date(2026, 6, 2)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2026-02-29", "is no date"),
        ("2026-W23-2", "must be a date"),
        ("20260602", "must be a date"),
        ("2026-6-2", "must be a date"),
        ("2026-06-02T00:00:00Z", "must be a date"),
        ("2026-06-02\n", "must be a date"),
        ("", "must be a date"),
        (20260602, "not a number"),
        (None, "not null"),
        (False, "not a boolean"),
        (datetime(2026, 6, 2, tzinfo=UTC), "must be a date"),
        (time(9), "not a time"),
        ({}, "must be a date"),
    ],
)
def test_other_dates_are_refused(value: object, problem: str) -> None:
    """Other forms, no such days, and datetimes, whose day depends on the zone, are errors."""
    with pytest.raises(ValueError, match=problem):
        parse_date(value)


def test_a_field_error_names_its_field_as_people_write_it() -> None:
    """A JSON pointer is shown in dotted form, its escapes undone."""
    assert str(FieldError("/context/a~1b/0/c~0d", "is wrong")) == "context.a/b.0.c~d: is wrong"
    assert FieldError("", "is wrong").field == "document"


def test_floats_stay_finite() -> None:
    """The largest float is read, and is finite."""
    assert load_json("1.7976931348623157e308") == 1.7976931348623157e308
    assert math.isfinite(float(str(load_json("1e308"))))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-06-02", datetime(2026, 6, 1, 23, tzinfo=UTC)),
        ("2026-12-25", datetime(2026, 12, 25, tzinfo=UTC)),
        ("2026-06-02T09:00:00+01:00", datetime(2026, 6, 2, 8, tzinfo=UTC)),
    ],
)
def test_a_day_stands_for_its_beginning_in_london(text: str, instant: datetime) -> None:
    """Where a span may begin with a day, that is the midnight by London's clocks."""
    assert parse_instant_or_day(text) == instant


@pytest.mark.parametrize("text", ["2026-02-30", "2026-06", "2026-06-02T09:00:00"])
def test_what_is_neither_an_instant_nor_a_day_is_refused(text: str) -> None:
    """No such day, another form, or no offset."""
    with pytest.raises(ValueError, match=r"."):
        parse_instant_or_day(text)
