"""What comes in from outside, read strictly: JSON text, instants, durations, dates.

Shared by everything that reads a document. Whatever is wrong is named by its place and with its
remedy; nothing is repaired silently.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from .clock import LONDON, to_london, to_utc
from .errors import ClockError, FieldError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from enum import Enum

__all__ = [
    "MAX_LIST",
    "MAX_TEXT",
    "DateField",
    "DurationField",
    "IdField",
    "InputModel",
    "InstantField",
    "RepeatedKeys",
    "TextField",
    "choice_field",
    "custom_field",
    "describe",
    "error_document",
    "field_errors",
    "load_json",
    "parse_date",
    "parse_duration",
    "parse_instant",
    "parse_instant_or_day",
    "parse_json",
    "refuse_unreadable",
    "unreadable",
]

MAX_TEXT: Final = 1_000
MAX_LIST: Final = 1_000
MAX_DEPTH: Final = 64
MAX_DIGITS: Final = 400
MAX_DURATION: Final = timedelta(days=3_650)


class RepeatedKeys(dict[str, Any]):
    """An object in which a key came twice; it is refused where its place is known."""

    key: str

    @classmethod
    def like(cls, other: RepeatedKeys, value: Mapping[str, Any]) -> RepeatedKeys:
        """Return ``value`` marked as repeating the key that ``other`` repeats."""
        repeated = cls(value)
        repeated.key = other.key
        return repeated


def load_json(data: str | bytes | bytearray) -> object:
    """Read one JSON value (RFC 8259), strictly.

    Bytes are UTF-8, with or without the byte order mark that Windows tools write, or UTF-16 with
    one. NaN, infinities, repeated keys, lone surrogates and nesting beyond 64 levels are errors.

    Raises:
        InvalidRequestError: naming the place.
    """
    value = parse_json(data)
    refuse_unreadable(value)
    return value


def refuse_unreadable(value: object) -> None:
    """Raise `InvalidRequestError` with all that `unreadable` finds in ``value``."""
    errors = list(unreadable(value))
    if errors:
        raise InvalidRequestError(errors)


def parse_json(data: str | bytes | bytearray) -> object:
    """Read one JSON value by its syntax alone; what `unreadable` finds is still in it.

    Raises:
        InvalidRequestError: the text is not JSON.
    """
    text = data if isinstance(data, str) else _decode(bytes(data))
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise InvalidRequestError([FieldError("", problem)]) from None
    except RecursionError:
        problem = f"is nested more than {MAX_DEPTH} levels deep"
        raise InvalidRequestError([FieldError("", problem)]) from None


def _decode(data: bytes) -> str:
    encoding = (
        "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    )
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"is not {encoding.removesuffix('-sig').upper()} text (byte {error.start})"
        raise InvalidRequestError([FieldError("", problem)]) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeated = RepeatedKeys(value)
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            repeated.key = key
            break
        seen.add(key)
    return repeated


def _integer(text: str) -> int | float:
    # An endless number is refused where its place is known; reading its digits would take long.
    return int(text) if len(text) <= MAX_DIGITS else math.inf


def unreadable(root: object) -> Iterator[FieldError]:
    """Yield what no JSON document may hold, wherever it stands."""
    stack: list[tuple[str, object, int]] = [("", root, 0)]
    while stack:
        pointer, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            yield FieldError(pointer, f"is nested more than {MAX_DEPTH} levels deep")
            return
        if isinstance(value, str):
            if not value.isascii() and _has_surrogate(value):
                yield FieldError(pointer, "holds a lone surrogate, which is no character")
        elif isinstance(value, float):
            if not math.isfinite(value):
                yield FieldError(pointer, f"must be a finite number of at most {MAX_DIGITS} digits")
        elif isinstance(value, dict):
            if isinstance(value, RepeatedKeys):
                key = value.key.encode("utf-8", "replace").decode()
                yield FieldError(f"{pointer}/{_escape(key)}", "stands twice in one object")
            for key, child in value.items():
                if not isinstance(key, str) or _has_surrogate(key):
                    yield FieldError(pointer, "has a key that is not text")
                    continue
                stack.append((f"{pointer}/{_escape(key)}", child, depth + 1))
        elif isinstance(value, list | tuple):
            stack.extend((f"{pointer}/{i}", child, depth + 1) for i, child in enumerate(value))


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def describe(value: object) -> str:
    """Return what JSON calls a value of this type, with its article."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "an array"
    return f"a {type(value).__name__}"


_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?(?P<offset>[Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DURATION: Final = re.compile(
    r"P(?=\d|T\d)(?:(?P<days>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?"
    r"(?:(?P<seconds>\d{1,9}(?:[.,]\d{1,6})?)S)?)?",
    re.ASCII,
)
_EXAMPLE: Final = "for example 2026-06-02T09:00:00+01:00"


def parse_instant(value: object) -> datetime:
    """Return the instant that RFC 3339 text, or an aware datetime, names; in UTC.

    Raises:
        ValueError: another type, another form, no UTC offset, no such day or hour, or outside
            what UTC and London time can express.
    """
    if isinstance(value, str):
        match = _INSTANT.fullmatch(value)
        if match is None:
            raise ValueError(f"must be an RFC 3339 date and time, {_EXAMPLE}")
        if match["offset"] is None:
            raise ValueError(f"has no UTC offset: write one, {_EXAMPLE}")
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError as error:
            raise ValueError(f"is no date and time: {error}") from None
    if not isinstance(value, datetime):
        raise ValueError(f"must be a string, {_EXAMPLE}, not {describe(value)}")
    if value.utcoffset() is None:
        raise ValueError(f"has no UTC offset: write one, {_EXAMPLE}")
    try:
        to_london(value)
        return to_utc(value)
    except ClockError as error:
        raise ValueError(str(error)) from None


def parse_instant_or_day(text: str) -> datetime:
    """Return the instant that RFC 3339 text names, or the one at which a London day begins.

    Raises:
        ValueError: neither an instant nor a date, for example 2026-06-02.
    """
    if not _DATE.fullmatch(text):
        try:
            return parse_instant(text)
        except ValueError as error:
            raise ValueError(f"{error}, or a date, for example 2026-06-02") from None
    return to_utc(datetime.combine(parse_date(text), time(0), LONDON))


def parse_duration(value: object) -> timedelta:
    """Return the length of time that ISO 8601 text in days to seconds names.

    Raises:
        ValueError: another type or form, years, months or weeks, not positive, or over ten years.
    """
    if not isinstance(value, str):
        raise ValueError(f"must be a string, for example PT2M, not {describe(value)}")
    match = _DURATION.fullmatch(value)
    if match is None:
        raise ValueError(
            "must be an ISO 8601 duration in days, hours, minutes and seconds, for example PT2M; "
            "years, months and weeks have no fixed length here"
        )
    whole = {unit: int(match[unit] or 0) for unit in ("days", "hours", "minutes")}
    seconds, _, fraction = (match["seconds"] or "0").replace(",", ".").partition(".")
    duration = timedelta(
        **whole, seconds=int(seconds), microseconds=int(fraction.ljust(6, "0") or 0)
    )
    if duration <= timedelta(0):
        raise ValueError("must be longer than zero")
    if duration > MAX_DURATION:
        raise ValueError(f"must be at most P{MAX_DURATION.days}D")
    return duration


def parse_date(value: object) -> date:
    """Return the day that ISO 8601 text, or a date that is no datetime, names.

    Raises:
        ValueError: another type or form, or no such day.
    """
    if isinstance(value, datetime) or not isinstance(value, str | date):
        problem = f"must be a date, for example 2026-06-02, not {describe(value)}"
        raise ValueError(problem)
    if isinstance(value, date):
        return value
    if not _DATE.fullmatch(value):
        raise ValueError("must be a date, for example 2026-06-02")
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"is no date: {error}") from None


def custom_field(parse: Callable[[object], object]) -> BeforeValidator:
    """Return a pydantic validator that reads with ``parse``, whose ValueError is the problem."""

    def validate(value: object) -> object:
        try:
            return parse(value)
        except ValueError as error:
            raise PydanticCustomError("invalid", "{problem}", {"problem": str(error)}) from None

    return BeforeValidator(validate)


TextField = Annotated[str, Field(max_length=MAX_TEXT)]
IdField = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
InstantField = Annotated[
    datetime,
    custom_field(parse_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
DateField = Annotated[
    date, custom_field(parse_date), WithJsonSchema({"type": "string", "format": "date"})
]
DurationField = Annotated[
    timedelta,
    custom_field(parse_duration),
    WithJsonSchema({"type": "string", "format": "duration", "pattern": "^P[^YMW]*(T.*)?$"}),
]


def choice_field(enum: type[Enum]) -> BeforeValidator:
    """Return a pydantic validator that reads a member of ``enum`` from its value."""
    accepted = {member.value: member for member in enum}

    def parse(value: object) -> object:
        member = accepted.get(value) if isinstance(value, str) else value
        if not isinstance(member, enum):
            raise ValueError(f"must be one of {', '.join(accepted)}")
        return member

    return custom_field(parse)


class InputModel(BaseModel):
    """A document's object: strict types, unknown fields ignored, values kept out of errors."""

    model_config = ConfigDict(
        strict=True, extra="ignore", hide_input_in_errors=True, defer_build=True
    )


_PROBLEMS: Final = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false, a JSON boolean",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_too_short": "must not be empty",
    "extra_forbidden": "is no field of this object: check its spelling",
}


def field_errors(error: ValidationError) -> list[FieldError]:
    """Return pydantic's errors as ours, with JSON pointers; no input is repeated in them."""
    errors = []
    for item in error.errors(include_url=False):
        pointer = "".join(f"/{_escape(str(part))}" for part in item["loc"])
        context = item.get("ctx", {})
        if item["input"] is None and item["loc"] and isinstance(item["loc"][-1], str):
            problem = "is required"
        elif item["type"] == "string_too_long":
            problem = f"is longer than {context['max_length']} characters"
        elif item["type"] == "too_long":
            problem = f"has more than {context['max_length']} entries"
        else:
            problem = _PROBLEMS.get(item["type"], item["msg"])
        errors.append(FieldError(pointer, problem))
    return errors


def error_document(errors: Iterable[FieldError], *, status: int = 400) -> dict[str, Any]:
    """Return errors as the ``error`` of a response: the first one, and all of them."""
    found = list(errors)
    return {
        "status": status,
        "message": _worded(found[0]),
        "field": found[0].pointer,
        "errors": [{"field": error.pointer, "message": _worded(error)} for error in found],
    }


def _worded(error: FieldError) -> str:
    return str(error) if error.pointer else error.problem
