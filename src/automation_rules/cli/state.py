"""What the commands that use the state share: opening it, and reading what is typed."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import click

from ..clock import SystemClock, to_london
from ..errors import LogError, StoreError
from ..inputs import (
    MAX_TEXT,
    parse_date,
    parse_duration,
    parse_instant,
    parse_instant_or_day,
)
from ..windows import FIRST_YEAR, LAST_YEAR
from .common import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping
    from datetime import datetime

    from ..store import Registry, Store

__all__ = [
    "DAY",
    "DURATION",
    "EDGE",
    "INSTANT",
    "TEXT",
    "open_registry",
    "open_store",
    "parsed",
    "registry_of",
    "state_option",
    "trouble_with_state",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")
_T = TypeVar("_T")


def state_option(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--state``; passed as ``state``, None when it was not given."""
    return click.option(
        "--state",
        metavar="URL",
        help="Where the state is, sqlite:///PATH or postgresql://…; by default "
        "$AUTOMATION_RULES_STATE, else a file in the user's data directory.",
    )(function)


@contextmanager
def trouble_with_state() -> Iterator[None]:
    """Tell a state that the database refuses to work with from one that was named wrongly.

    The first is no mistake in the command (exit 3), and nothing that was asked counts as done.

    Raises:
        LogError: the database could not be read or written; says what to do.
    """
    try:
        yield
    except LogError:
        raise
    except StoreError as error:
        from sqlalchemy.exc import ArgumentError, SQLAlchemyError

        cause = error.__cause__
        refused = isinstance(cause, SQLAlchemyError) and not isinstance(cause, ArgumentError)
        if refused or isinstance(cause, sqlite3.Error):
            raise LogError(str(error)) from error
        raise


@contextmanager
def open_store(state: str | None) -> Iterator[Store]:
    """Open the state that exists at ``state``, or where it is kept by default.

    Raises:
        StoreError: there is none, or its URL cannot be used; says what to do.
        LogError: it cannot be read or written.
    """
    from ..store import Store, state_url

    with (
        trouble_with_state(),
        _logs_on_standard_error(),
        Store.open(state_url(state), clock=SystemClock()) as store,
    ):
        yield store


@contextmanager
def open_registry(state: str | None) -> Iterator[Registry]:
    """Open the registry of the state; raises what `open_store` does."""
    with open_store(state) as store:
        yield registry_of(store)


def registry_of(store: Store) -> Registry:
    """Return the registry of an open state, on the machine's clock."""
    from ..store import Registry

    return Registry(store, SystemClock())


@contextmanager
def _logs_on_standard_error() -> Iterator[None]:
    """Write what is logged inside as lines of key=value on standard error."""
    import structlog

    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_time,
            structlog.processors.LogfmtRenderer(
                key_order=["time", "level", "event"], bool_as_flag=False
            ),
        ],
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def _add_time(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    event["time"] = SystemClock().now().isoformat()
    return event


class _StandardError:
    """A logger whose every line goes to standard error, escaped."""

    def msg(self, message: str) -> None:
        say(message)

    debug = info = warning = error = critical = msg


# --- what is typed


class _Parsed(click.ParamType[_T]):
    """A value read by one of our own functions, whose ValueError is what is wrong with it."""

    def __init__(self, name: str, parse: Callable[[str], _T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> _T:
        try:
            return self._parse(value)
        except ValueError as error:
            # The value stays out of the message: it may be personal.
            self.fail(str(error), param, ctx)


def _known_instant(text: str) -> datetime:
    return _known(parse_instant(text))


def _known_edge(text: str) -> datetime:
    return _known(parse_instant_or_day(text))


def _known(at: datetime) -> datetime:
    if FIRST_YEAR <= to_london(at).year <= LAST_YEAR:
        return at
    raise ValueError(
        f"lies outside the years {FIRST_YEAR} to {LAST_YEAR}, for which bank holidays are known"
    )


def _text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT} characters")
    return text


def parsed(name: str, parse: Callable[[str], _T]) -> click.ParamType[_T]:
    """Return the type of an option that ``parse`` reads; its ValueError says what is wrong."""
    return _Parsed(name, parse)


INSTANT: Final = parsed("instant", _known_instant)
EDGE: Final = parsed("instant", _known_edge)
"""An edge of a span: an instant, or a date for the midnight that begins it in London."""
DAY: Final = parsed("date", parse_date)
DURATION: Final = parsed("duration", parse_duration)
TEXT: Final = parsed("text", _text)
