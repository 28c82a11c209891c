"""What can go wrong, as one tree that callers can catch from.

    AutomationRulesError
    ├── InvalidInputError            every field's error at once
    │   ├── InvalidRequestError      a request document
    │   └── InvalidPolicyError       a policy or a policy file
    ├── HorizonError                 an instant outside the years that the calendars cover
    ├── ClockError                   the time cannot be read, or cannot be trusted
    ├── RegistryError                the registry refuses what was asked
    │   ├── NotRegisteredError       no such landlord, person or account
    │   ├── AlreadyRegisteredError   the identifier is taken
    │   ├── AccountLimitError        a third automation account
    │   └── LegalHoldError           what is held must not be erased
    ├── AccessCodeError              a daily code cannot be issued, taken or handed over
    ├── NotPermittedError            a bot's run was told no; carries the decision
    └── StoreError                   the state cannot be opened, read or written
        ├── SchemaError              the state was written by another version
        └── LogError                 the decision log
            ├── NotRecordedError     an entry could not be made durable
            └── VerificationError    the log does not hold; names what and where

A denial itself is none of these: it is a :class:`~automation_rules.Decision`. Only a permit, whose
whole purpose is that a bot cannot go on, raises `NotPermittedError` for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "AccessCodeError",
    "AccountLimitError",
    "AlreadyRegisteredError",
    "AutomationRulesError",
    "ClockError",
    "FieldError",
    "HorizonError",
    "InvalidInputError",
    "InvalidPolicyError",
    "InvalidRequestError",
    "LegalHoldError",
    "LogError",
    "NotPermittedError",
    "NotRecordedError",
    "NotRegisteredError",
    "RegistryError",
    "SchemaError",
    "StoreError",
    "VerificationError",
]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of an input.

    ``pointer`` is a JSON pointer (RFC 6901) from the document's root, ``""`` for the whole
    document; ``problem`` says what is wrong and how to mend it.
    """

    pointer: str
    problem: str

    @property
    def field(self) -> str:
        """The field in dotted form, as people write it: ``context.landlord.name``."""
        parts = self.pointer.split("/")[1:]
        return ".".join(p.replace("~1", "/").replace("~0", "~") for p in parts) or "document"

    def __str__(self) -> str:
        """``context.time: has no UTC offset; …``."""
        return f"{self.field}: {self.problem}"


class AutomationRulesError(Exception):
    """The root: every exception that this library raises on purpose."""


class InvalidInputError(AutomationRulesError, ValueError):
    """An input with at least one invalid field; ``errors`` holds every one found."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        """Keep ``errors`` in document order; the message joins them."""
        self.errors = tuple(errors)
        super().__init__("; ".join(str(error) for error in self.errors))

    def __reduce__(self) -> tuple[type[InvalidInputError], tuple[tuple[FieldError, ...]]]:
        """Pickle from the errors, so that process pools can carry it."""
        return type(self), (self.errors,)


class InvalidRequestError(InvalidInputError):
    """A request document that cannot be decided."""


class InvalidPolicyError(InvalidInputError):
    """A policy that cannot be used; never a policy that denies."""


class HorizonError(AutomationRulesError, ValueError):
    """An instant outside the years for which a calendar is known."""


class ClockError(AutomationRulesError):
    """The time could not be read or is further off than the margin allows."""


class RegistryError(AutomationRulesError):
    """The registry refuses a change or a look-up."""


class NotRegisteredError(RegistryError, LookupError):
    """There is no landlord, person or account with that identifier."""


class AlreadyRegisteredError(RegistryError):
    """The identifier is taken."""


class AccountLimitError(RegistryError):
    """More than two automation accounts at a time (clauses ``step-2.limit``, ``terms.limit``)."""


class LegalHoldError(RegistryError):
    """A person or to-do is under a legal hold, and nothing about it may be erased."""


class AccessCodeError(AutomationRulesError):
    """A daily access code could not be issued, verified, entered or handed over."""


class NotPermittedError(AutomationRulesError):
    """A step of a bot's run was denied; the message is the decision's explanation.

    ``decision`` is the :class:`~automation_rules.Decision`. ``completed`` are the to-dos that the
    run had submitted by then, and ``unfinished`` those that it had begun and not submitted, which
    a person must finish. The message counts them and never names them.
    """

    def __init__(
        self,
        message: str,
        decision: Any,
        *,
        completed: tuple[str, ...] = (),
        unfinished: tuple[str, ...] = (),
    ) -> None:
        """Say why, and keep what it follows from."""
        super().__init__(message)
        self.decision = decision
        self.completed = completed
        self.unfinished = unfinished

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the decision, so that process pools can carry it."""
        return type(self), (str(self), self.decision), self.__dict__


class StoreError(AutomationRulesError):
    """The state could not be opened, read or written."""


class SchemaError(StoreError):
    """The state was written by a version of this library that this one cannot work with."""


class LogError(StoreError):
    """The decision log could not be used."""


class NotRecordedError(LogError):
    """An entry could not be made durable; whatever it recorded must be treated as denied."""


class VerificationError(LogError):
    """The log, or a proof, does not hold; the message names the first entry that is wrong.

    ``index`` is that entry's zero-based index, or None when no one entry is to blame.
    """

    def __init__(self, message: str, *, index: int | None = None) -> None:
        """Say what does not hold, and at which entry."""
        super().__init__(message)
        self.index = index
