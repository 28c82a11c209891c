"""Everything that is said to people, in English and in Welsh.

The words live in data files, one object per text with both languages; they are read once, when
first asked for. A template names its parameters as ``{name}``. Values are data, never templates:
braces in them are shown as they are.

A parameter may be a ``str``, an ``int``, a ``date``, an aware ``datetime`` (shown on London's
clocks), a ``timedelta`` or a list of ``str``. Parameters that a text does not name are ignored,
so that a message and its remedy can be given the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .clock import to_london
from .errors import FieldError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LANGUAGES", "Lang", "Parameter", "Text", "load", "message", "remedy", "ui"]

Lang = Literal["en", "cy"]
Parameter: TypeAlias = "str | int | date | timedelta | Sequence[str]"

LANGUAGES: Final[tuple[Lang, ...]] = ("en", "cy")
"""English and Welsh, by their ISO 639-1 codes."""

_ANY_CHECK: Final = "*"
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Text:
    """The same thing said in both languages."""

    en: str
    cy: str

    def to(self, lang: str) -> str:
        """Return the text in ``lang``, ``en`` or ``cy``.

        Raises:
            InvalidInputError: ``lang`` is neither.
        """
        if lang == "en":
            return self.en
        if lang == "cy":
            return self.cy
        raise InvalidInputError([FieldError("/lang", f"{lang!r} is not a language: use en or cy")])

    def to_document(self) -> dict[str, str]:
        """Return ``{"en": ..., "cy": ...}``, as it stands in a response."""
        return {"en": self.en, "cy": self.cy}


def message(check: str, code: str, /, **parameters: Parameter) -> Text:
    """Return what ``code`` means when ``check`` gives it.

    ``code`` is one of the check's own, ``pass`` or ``not_applicable``; or one that any check can
    give, its author's own checks included: ``missing_fact`` (parameter ``facts``, JSON
    pointers), ``check_error``, ``empty_combinator``.

    Raises:
        LookupError: the check has no such code.
        TypeError: a parameter that the text names is absent, or of a type that cannot be shown.
    """
    return _code(check, code)["message"].fill(parameters)


def remedy(check: str, code: str, /, **parameters: Parameter) -> Text | None:
    """Return what to do about ``code``, or None when there is nothing to put right.

    Parameters and errors are those of `message`.
    """
    template = _code(check, code).get("remedy")
    return None if template is None else template.fill(parameters)


def ui(key: str, /, **parameters: Parameter) -> Text:
    """Return a label of the command line or of a page.

    Raises:
        LookupError: there is no such label.
        TypeError: a parameter that the text names is absent, or of a type that cannot be shown.
    """
    try:
        template = _labels()[key]
    except KeyError:
        raise LookupError(f"there is no label {key!r}") from None
    return template.fill(parameters)


def load(name: str) -> Any:
    """Return the parsed content of the packaged data file ``name``, read afresh."""
    import json
    from pathlib import Path

    return json.loads((Path(__file__).parent / "data" / name).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class _Template:
    """A text that may name parameters."""

    text: Text
    names: frozenset[str]

    @classmethod
    def of(cls, document: Mapping[str, str]) -> _Template:
        text = Text(**document)
        return cls(text, frozenset(_PLACEHOLDER.findall(text.en + text.cy)))

    def fill(self, parameters: Mapping[str, Parameter]) -> Text:
        if not self.names:
            return self.text
        absent = self.names - parameters.keys()
        if absent:
            raise TypeError(f"the text {self.text.en!r} needs {', '.join(sorted(absent))}")
        return Text(*(self._filled(lang, parameters) for lang in LANGUAGES))

    def _filled(self, lang: Lang, parameters: Mapping[str, Parameter]) -> str:
        # One pass: what a value contains is never read as a template.
        return _PLACEHOLDER.sub(
            lambda found: _shown(parameters[found[1]], lang), self.text.to(lang)
        )


@cache
def _codes() -> dict[str, dict[str, dict[str, _Template]]]:
    return {
        check: {
            code: {part: _Template.of(text) for part, text in parts.items()}
            for code, parts in codes.items()
        }
        for check, codes in load("codes.json").items()
    }


@cache
def _labels() -> dict[str, _Template]:
    return {key: _Template.of(text) for key, text in load("ui.json").items()}


def _code(check: str, code: str) -> dict[str, _Template]:
    codes = _codes()
    parts = codes.get(check, {}).get(code) or codes[_ANY_CHECK].get(code)
    if parts is None:
        raise LookupError(f"check {check!r} has no code {code!r}")
    return parts


def _shown(value: Parameter, lang: Lang) -> str:
    match value:
        case bool():
            pass
        case str():
            return value
        case int():
            return str(value)
        case datetime():  # before date, which it is a subclass of
            return _moment(value, lang)
        case date():
            return _day(value, lang)
        case timedelta():
            return _duration(value, lang)
        case list() | tuple():
            return ", ".join(value) or ui("none").to(lang)
    raise TypeError(f"a text cannot show a {type(value).__name__}")


def _day(day: date, lang: Lang) -> str:
    weekday = ui(f"day.{day.isoweekday()}").to(lang)
    month = ui(f"month.{day.month:02}").to(lang)
    return f"{weekday} {day.day} {month} {day.year}"


def _moment(at: datetime, lang: Lang) -> str:
    local = to_london(at)
    return ui("moment", day=_day(local, lang), time=_time(local, lang)).to(lang)


def _time(local: datetime, lang: Lang) -> str:
    clock = (local.hour, local.minute, local.second)
    # "Midnight" alone could be either end of the day.
    if clock == (0, 0, 0):
        return ui("time.midnight").to(lang)
    if clock == (12, 0, 0):
        return ui("time.midday").to(lang)
    minutes = f":{local.minute:02}" if local.minute or local.second else ""
    seconds = f":{local.second:02}" if local.second else ""
    shown = f"{local.hour % 12 or 12}{minutes}{seconds}{'am' if local.hour < 12 else 'pm'}"
    if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
        return shown
    # The clocks went back: this hour comes twice, so say which one is meant.
    return f"{shown} ({ui(f'zone.{local.tzname()}').to(lang)})"


def _duration(duration: timedelta, lang: Lang) -> str:
    """The whole seconds of ``duration``, in units from days to seconds; negative ones as zero."""
    minutes, seconds = divmod(max(0, int(duration.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counted = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
    parts = [_count(unit, number, lang) for unit, number in counted.items() if number]
    return " ".join(parts) or _count("seconds", 0, lang)


def _count(unit: str, number: int, lang: Lang) -> str:
    # Welsh nouns stay singular after a figure, and soften after 2.
    form = {1: "one", 2: "two"}.get(number, "other")
    return ui(f"duration.{unit}.{form}", number=number).to(lang)
