"""Checking what the registry is given, field by field, before anything is written."""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Self

from ..accounts import (
    AutomationAccount,
    email_identifies,
    has_words,
    username_identifies,
)
from ..actions import AUTOMATION_ROLE, Role, TodoKind
from ..clock import to_london
from ..errors import ClockError, FieldError, InvalidInputError
from ..windows import Nation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["TODO_KINDS", "Fields", "check_ids"]

MAX_ID: Final = 200
MAX_TEXT: Final = 1_000
MAX_LIST: Final = 1_000

TODO_KINDS: Final = tuple(kind.value for kind in TodoKind)
_NATIONS: Final = tuple(nation.value for nation in Nation)
_FIXED: Final = "cannot be changed this way"
# Controls, lone surrogates and the line and paragraph separators.
_UNFIT: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_ids(**ids: object) -> None:
    """Raise `InvalidInputError` unless every one of ``ids`` can be an identifier."""
    with Fields() as fields:
        for name, value in ids.items():
            fields.identifier(f"/{name}", value)


class Fields:
    """Collects what is wrong with an input; raises it all when the ``with`` ends.

    No value is repeated in a problem: it may be personal.
    """

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self._errors: list[FieldError] = []

    def __enter__(self) -> Self:
        """Return the collection."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raise `InvalidInputError` with what was found, unless something else was raised."""
        if kind is None and self._errors:
            raise InvalidInputError(self._errors)

    def wrong(self, pointer: str, problem: str) -> None:
        """Add one thing that is wrong."""
        self._errors.append(FieldError(pointer, problem))

    def identifier(self, pointer: str, value: object) -> None:
        """Check an identifier: text of 1 to 200 characters."""
        self.text(pointer, value, most=MAX_ID)

    def text(self, pointer: str, value: object, *, least: int = 1, most: int = MAX_TEXT) -> None:
        """Check a text by its length in characters and by what it holds."""
        if not isinstance(value, str):
            self.wrong(pointer, "must be text")
        elif not least <= len(value) <= most:
            self.wrong(pointer, f"must be {least} to {most} characters long")
        elif any(unicodedata.category(character) in _UNFIT for character in value):
            self.wrong(pointer, "must not hold control characters or lone surrogates")

    def optional_text(self, pointer: str, value: object) -> None:
        """Check a text, or that there is none."""
        if value is not None:
            self.text(pointer, value)

    def texts(self, pointer: str, values: object) -> None:
        """Check several texts."""
        self._each(pointer, values, tuple, self.text)

    def _each(
        self,
        pointer: str,
        values: object,
        kind: type[tuple[object, ...] | frozenset[object]],
        check: Callable[[str, object], None],
    ) -> None:
        if not isinstance(values, kind):
            self.wrong(pointer, f"must be a {kind.__name__} of texts")
        elif len(values) > MAX_LIST:
            self.wrong(pointer, f"must have at most {MAX_LIST} entries")
        else:
            for index, value in enumerate(values):
                check(f"{pointer}/{index}", value)

    def flag(self, pointer: str, value: object) -> None:
        """Check a truth value."""
        if not isinstance(value, bool):
            self.wrong(pointer, "must be true or false")

    def day(self, pointer: str, value: object) -> None:
        """Check a date."""
        # A datetime is a date to Python, and which day it means depends on the zone.
        if not isinstance(value, date) or isinstance(value, datetime):
            self.wrong(pointer, "must be a date, without a time")

    def instant(self, pointer: str, value: object) -> datetime | None:
        """Check an aware datetime; return it in UTC, or None."""
        if not isinstance(value, datetime):
            self.wrong(pointer, "must be a date and time")
            return None
        try:
            return to_london(value).astimezone(UTC)
        except ClockError as error:
            self.wrong(pointer, str(error))
            return None

    def choice(self, pointer: str, value: object, choices: tuple[str, ...]) -> None:
        """Check a value of a closed list."""
        if value not in choices:
            self.wrong(pointer, f"must be one of {', '.join(choices)}")

    def landlord(self, values: Mapping[str, object]) -> None:
        """Check fields of a landlord by their form."""
        for key, value in values.items():
            pointer = f"/{key}"
            match key:
                case "name":
                    self._name(pointer, value)
                case "also_known_as":
                    self._each(pointer, value, tuple, self._name)
                case "sector":
                    self.text(pointer, value)
                case "portal_access":
                    self.flag(pointer, value)
                case "nation":
                    if value is not None:
                        self.choice(pointer, value, _NATIONS)
                case "declared_on":
                    if value is not None:
                        self.day(pointer, value)
                case "partnership_manager":
                    self.optional_text(pointer, value)
                case _:
                    self.wrong(pointer, _FIXED)

    def _name(self, pointer: str, value: object) -> None:
        before = len(self._errors)
        self.text(pointer, value)
        if len(self._errors) == before and not has_words(str(value)):
            self.wrong(pointer, "must hold a letter or a digit, to be told by (step-2.identify)")

    def account(self, values: Mapping[str, object]) -> None:
        """Check fields of an account by their form."""
        for key, value in values.items():
            pointer = f"/{key}"
            match key:
                case "username" | "email" | "created_by_role":
                    self.text(pointer, value)
                case "roles":
                    self._each(pointer, value, frozenset, self.text)
                case "two_factor":
                    self.flag(pointer, value)
                case "todo_kind":
                    if value is not None:
                        self.choice(pointer, value, TODO_KINDS)
                case _:
                    self.wrong(pointer, _FIXED)

    def lawful(
        self, account: AutomationAccount, names: Iterable[str], *, automation_only: bool
    ) -> None:
        """Check an account by what the terms ask of every one."""
        if not username_identifies(account.username, names, automation_only=automation_only):
            wanted = "the word automation"
            if not automation_only:
                wanted += " and the landlord's name, or another that it is known by"
            self.wrong("/username", f"must contain {wanted}, as whole words (step-2.identify)")
        if not email_identifies(account.email):
            self.wrong("/email", "must contain automation before its one @ sign (step-2.identify)")
        if account.roles != {AUTOMATION_ROLE.value}:
            self.wrong(
                "/roles",
                f"must be {AUTOMATION_ROLE.value} and nothing else (step-2.role, terms.role)",
            )
        if not account.two_factor:
            self.wrong("/two_factor", "must be true: turn it on in the portal (step-2.two-factor)")
        if account.created_by_role != Role.MANAGE_USERS.value:
            self.wrong(
                "/created_by_role", f"must be {Role.MANAGE_USERS.value} (step-2.own-account)"
            )
