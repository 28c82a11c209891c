"""Policies as data: TOML or JSON to a `Policy`, and back.

A file names its checks and their parameters; nothing in it is code. Unknown fields are errors, so
that a misspelt rule cannot be a rule left out, and all errors come at once, each with its path.
"""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .actions import Action, TodoKind
from .activity import ActivityLimits, Bounds, Threshold
from .checks import (
    STANDARD_CHECKS,
    AccountLimitCheck,
    ActionCheck,
    AllOf,
    AnyOf,
    AppliesTo,
    Deny,
    IdentityCheck,
    ManualCodeCheck,
    Not,
    WindowCheck,
    when,
)
from .checks.window import FILE_NAMES, WEEKDAYS, WINDOW_READINGS
from .errors import FieldError, InvalidInputError, InvalidPolicyError
from .inputs import choice_field, custom_field, describe, field_errors, load_json, parse_date
from .policy import Policy
from .readings import DEFAULT_READINGS, check_readings
from .request import Mode
from .texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .checks import Check

__all__ = ["FORMAT", "load_policy", "parse_policy", "policy_from_document", "read_document"]

FORMAT: Final = 1
"""The version of the file format."""

MAX_DEPTH: Final = 16


def load_policy(path: Path | str, **readings: str) -> Policy:
    """Read a policy from a ``.toml`` or ``.json`` file; ``readings`` override the file's own.

    Raises:
        InvalidPolicyError: the file cannot be read, is not TOML or JSON, or has invalid fields.
    """
    return policy_from_document(read_document(Path(path)), **readings)


def read_document(path: Path) -> object:
    """Read a ``.toml`` or ``.json`` file.

    Raises:
        InvalidPolicyError: the file cannot be read, or is not what its name says.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror or error}"
        raise InvalidPolicyError([FieldError("", problem)]) from None
    return _parse(data, "json" if path.suffix.lower() == ".json" else "toml")


def parse_policy(text: str | bytes, syntax: Literal["toml", "json"], **readings: str) -> Policy:
    """Read a policy from text; ``readings`` override its own.

    Raises:
        InvalidPolicyError: with every field that is wrong, each with its JSON pointer.
    """
    return policy_from_document(_parse(text, syntax), **readings)


def _parse(text: str | bytes, syntax: str) -> object:
    try:
        if syntax == "json":
            return load_json(text)
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        return tomllib.loads(text)
    except InvalidInputError as error:
        raise InvalidPolicyError(error.errors) from None
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start})"
        raise InvalidPolicyError([FieldError("", problem)]) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InvalidPolicyError([FieldError("", f"is not TOML: {error}")]) from None


def policy_from_document(document: object, **readings: str) -> Policy:
    """Build a policy from what a file parses to; ``readings`` override its own.

    Raises:
        InvalidPolicyError: with every field that is wrong, each with its JSON pointer.
    """
    errors: list[FieldError] = []
    try:
        header = _Header.model_validate(document)
    except ValidationError as error:
        errors += _strict_errors(error)
        header = None
    if not isinstance(document, dict):
        raise InvalidPolicyError(errors)
    chosen = dict(DEFAULT_READINGS)
    given = document.get("readings", {})
    try:
        chosen = check_readings({**given, **readings} if isinstance(given, dict) else readings)
    except InvalidPolicyError as error:
        errors += error.errors
    builder = _Builder(chosen)
    entries = document.get("checks")
    checks = builder.checks(entries, "/checks") if isinstance(entries, list) else []
    errors += builder.errors
    if errors or header is None:
        raise InvalidPolicyError(errors)
    title = header.title.to_text() if header.title else None
    monitor = header.monitor.build() if header.monitor else None
    return Policy(header.id, header.version, checks, title=title, monitor=monitor)


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Header(_Strict):
    format: Literal[1]
    id: _Name
    version: _Name
    title: _Words | None = None
    readings: dict[str, Any] = {}
    monitor: _Monitor | None = None
    checks: Annotated[list[Any], Field(min_length=1, max_length=1_000)]


class _Words(_Strict):
    en: Annotated[str, Field(min_length=1, max_length=2_000)]
    cy: Annotated[str, Field(min_length=1, max_length=2_000)]

    def to_text(self) -> Text:
        return Text(self.en, self.cy)


class _Built(_Strict):
    """What the library's own type also looks at, as a whole."""

    def build(self) -> object:
        raise NotImplementedError

    @model_validator(mode="after")
    def _can_be_built(self) -> Self:
        try:
            self.build()
        except ValueError as error:
            raise PydanticCustomError("invalid", "{problem}", {"problem": str(error)}) from None
        return self


_Threshold = Annotated[Threshold, custom_field(Threshold.parse)]


class _Bounds(_Built):
    warn: _Threshold | None = None
    pause: _Threshold | None = None

    def build(self) -> Bounds:
        return Bounds(self.warn, self.pause)


class _Monitor(_Built):
    requests: _Bounds | None = None
    errors: _Bounds | None = None
    repeated_submissions: _Bounds | None = None
    outside_window: _Bounds | None = None
    sessions: _Bounds | None = None

    def build(self) -> ActivityLimits:
        return ActivityLimits(**{name: bounds and bounds.build() for name, bounds in self})


# The standard library's parsers accept week dates, basic forms and zones as well.
_TIME: Final = re.compile(r"\d\d:\d\d(:\d\d)?", re.ASCII)
_MONTH_DAY: Final = re.compile(r"\d\d-\d\d", re.ASCII)


def _parse_time(value: object) -> time:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):
            return time.fromisoformat(value)
    raise ValueError("must be a time of day, for example 08:00")


def _parse_month_day(value: object) -> tuple[int, int]:
    if isinstance(value, str) and _MONTH_DAY.fullmatch(value):
        with suppress(ValueError):
            day = date.fromisoformat(f"2024-{value}")
            return day.month, day.day
    raise ValueError("must be a month and day, for example 04-01")


def _parse_weekday(value: object) -> int:
    if isinstance(value, str) and value in WEEKDAYS:
        return WEEKDAYS.index(value)
    raise ValueError(f"must be one of {', '.join(WEEKDAYS)}")


_Time = Annotated[time, custom_field(_parse_time)]
_MonthDay = Annotated[tuple[int, int], custom_field(_parse_month_day)]
_Weekday = Annotated[int, custom_field(_parse_weekday)]
_Day = Annotated[date, custom_field(parse_date)]


def _known(vocabulary: type[Action] | type[TodoKind]) -> BeforeValidator:
    values = {member.value: member for member in vocabulary}

    def parse(value: object) -> object:
        if not isinstance(value, str) or value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return values[value]

    return custom_field(parse)


class _AppliesToEntry(_Strict):
    subject_types: list[_Name] = []
    actions: list[Annotated[Action, _known(Action)]] = []
    todo_kinds: list[Annotated[TodoKind, _known(TodoKind)]] = []
    modes: list[Annotated[Mode, choice_field(Mode)]] = []


class _Entry(_Strict):
    applies_to: _AppliesToEntry | None = None

    def narrowed(self, check: Check) -> Check:
        if self.applies_to is None:
            return check
        parts = {name: tuple(values) for name, values in self.applies_to}
        return when(AppliesTo(**parts), check)


class _StandardEntry(_Entry):
    check: str


class _WindowEntry(_StandardEntry):
    days: Annotated[list[_Weekday], Field(min_length=1)] | None = None
    opens: _Time | None = None
    closes: _Time | None = None
    annual_first: _MonthDay | None = None
    annual_last: _MonthDay | None = None
    extra_bank_holidays: list[_Day] | None = None
    removed_bank_holidays: list[_Day] | None = None

    def to_check(self, readings: Mapping[str, str]) -> Check:
        given = {
            FILE_NAMES[name]: tuple(value) if isinstance(value, list) else value
            for name, value in self
            if name in FILE_NAMES and value is not None
        }
        return WindowCheck(**{name: readings[name] for name in WINDOW_READINGS}, hours=given)


class _DenyEntry(_StandardEntry):
    id: _Name
    code: _Name
    clauses: Annotated[list[_Name], Field(min_length=1)]
    message: _Words
    remedy: _Words | None = None

    def to_check(self) -> Check:
        return Deny(
            self.id,
            code=self.code,
            clauses=tuple(self.clauses),
            message=self.message.to_text(),
            remedy=self.remedy.to_text() if self.remedy else None,
        )


class _CombinedEntry(_Entry):
    id: _Name | None = None
    all_of: list[Any] | None = None
    any_of: list[Any] | None = None
    not_: Any = Field(default=None, alias="not")


_WITH_READING: Final[dict[str, tuple[Callable[[str], Check], str]]] = {
    AccountLimitCheck.id: (AccountLimitCheck, "at_a_time"),
    IdentityCheck.id: (IdentityCheck, "identity_pattern"),
    ManualCodeCheck.id: (ManualCodeCheck, "daily"),
    ActionCheck.id: (ActionCheck, "updates_tab"),
}
_PLAIN: Final[dict[str, Callable[[], Check]]] = {
    check.id: check
    for check in STANDARD_CHECKS
    if check.id not in _WITH_READING and check is not WindowCheck
}
_NAMES: Final = (*(check.id for check in STANDARD_CHECKS), "deny")


class _Builder:
    """Builds checks from entries; what is wrong with an entry is kept in ``errors``."""

    def __init__(self, readings: Mapping[str, str]) -> None:
        self.readings = readings
        self.errors: list[FieldError] = []

    def checks(self, entries: list[Any], pointer: str, depth: int = 0) -> list[Check]:
        found = (self.check(e, f"{pointer}/{i}", depth) for i, e in enumerate(entries))
        return [check for check in found if check is not None]

    def check(self, entry: object, pointer: str, depth: int) -> Check | None:
        try:
            return self._check(entry, pointer, depth)
        except InvalidPolicyError as error:
            self.errors += error.errors
        except ValidationError as error:
            self.errors += _strict_errors(error, pointer)
        return None

    def _check(self, entry: object, pointer: str, depth: int) -> Check | None:
        if depth > MAX_DEPTH:
            raise _refused(pointer, f"is nested more than {MAX_DEPTH} levels deep")
        if not isinstance(entry, dict):
            raise _refused(pointer, f"must be a table, not {describe(entry)}")
        forms = [form for form in ("check", "all_of", "any_of", "not") if form in entry]
        if len(forms) != 1:
            raise _refused(pointer, "must have exactly one of check, all_of, any_of, not")
        if forms == ["check"]:
            return self._single(entry, pointer)
        return self._combined(entry, forms[0], pointer, depth)

    def _single(self, entry: Mapping[str, Any], pointer: str) -> Check:
        name = entry["check"]
        if name not in _NAMES:
            raise _refused(f"{pointer}/check", f"must be one of {', '.join(_NAMES)}")
        if name == "deny":
            deny = _DenyEntry.model_validate(entry)
            return deny.narrowed(deny.to_check())
        if name == WindowCheck.id:
            window = _WindowEntry.model_validate(entry)
            try:
                return window.narrowed(window.to_check(self.readings))
            except ValueError as error:
                raise _refused(pointer, str(error)) from None
        plain = _StandardEntry.model_validate(entry)
        if name in _WITH_READING:
            make, reading = _WITH_READING[name]
            return plain.narrowed(make(self.readings[reading]))
        return plain.narrowed(_PLAIN[name]())

    def _combined(
        self, entry: Mapping[str, Any], form: str, pointer: str, depth: int
    ) -> Check | None:
        combined = _CombinedEntry.model_validate(entry)
        if form == "not":
            child = self.check(combined.not_, f"{pointer}/not", depth + 1)
            return None if child is None else combined.narrowed(Not(child, id=combined.id))
        entries = combined.all_of if form == "all_of" else combined.any_of
        if not entries:
            raise _refused(f"{pointer}/{form}", "must hold at least one check")
        children = self.checks(entries, f"{pointer}/{form}", depth + 1)
        if len(children) < len(entries):
            return None
        combine = AllOf if form == "all_of" else AnyOf
        return combined.narrowed(combine(*children, id=combined.id))


def _refused(pointer: str, problem: str) -> InvalidPolicyError:
    return InvalidPolicyError([FieldError(pointer, problem)])


def _strict_errors(error: ValidationError, pointer: str = "") -> list[FieldError]:
    return [FieldError(pointer + found.pointer, found.problem) for found in field_errors(error)]
