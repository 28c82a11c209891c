"""What a check is, and how checks compose.

A check answers one request with one `Finding`: evidence, never a bare bool. `AllOf`, `AnyOf` and
`Not` (also ``&``, ``|``, ``~``) and `when` build larger checks from smaller ones. What is not
known stays not known: a missing fact is not turned into a pass by `Not`, a check that raises has
failed, and an empty combinator denies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..clock import LONDON
from ..decision import Finding, Outcome, ReadingUse
from ..errors import FieldError, InvalidPolicyError
from ..readings import READINGS
from ..terms import clauses_for, clauses_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..actions import Action, TodoKind
    from ..decision import Obligation
    from ..request import Mode, Request
    from ..texts import Text

__all__ = [
    "PASS",
    "AllOf",
    "AnyOf",
    "AppliesTo",
    "Check",
    "Deny",
    "Not",
    "StandardCheck",
    "broken",
    "earliest",
    "evaluate",
    "midnight",
    "reading_use",
    "readings_of",
    "when",
]


class Check(ABC):
    """One rule. Subclass it, give it an ``id`` and ``clauses``, and write `evaluate`.

    ``clauses`` are the identifiers of what the rule comes from. Return `passed`, `failed`,
    `warned` or `not_applicable`. A check whose answer changes as time passes also says when, in
    `next_change`, so that ``retry_after`` and ``valid_until`` are right.
    """

    id: str
    clauses: tuple[str, ...] = ()
    readings: Mapping[str, str] = MappingProxyType({})
    """The named readings that it decides by, and their values."""
    obligation: ClassVar[Obligation | None] = None
    """What must be done when this check, and the window, are all that stands in the way."""

    @abstractmethod
    def evaluate(self, request: Request) -> Finding:
        """Answer ``request``. Pure: reads nothing but the request, above all not the time."""

    def next_change(self, _request: Request, /) -> datetime | None:
        """Return an instant (UTC) after ``request.time`` until which the answer stays the same.

        None means that time alone never changes it, which is what a check that does not look at
        the time answers.
        """
        return None

    def passed(self, text: Text | None = None) -> Finding:
        """Return a pass."""
        return Finding(self.id, Outcome.PASS, clauses=self.clauses, text=text)

    def not_applicable(self, text: Text | None = None) -> Finding:
        """Return that the check has nothing to say about this request."""
        return Finding(self.id, Outcome.NOT_APPLICABLE, clauses=self.clauses, text=text)

    def failed(self, code: str, text: Text | None = None, remedy: Text | None = None) -> Finding:
        """Return a failure; ``text`` says what was found, ``remedy`` what would mend it."""
        return self._found(Outcome.FAIL, code, text, remedy)

    def warned(self, code: str, text: Text | None = None, remedy: Text | None = None) -> Finding:
        """Return a pass with something to tell."""
        return self._found(Outcome.WARN, code, text, remedy)

    def missing(self, *facts: str) -> Finding:
        """Return a failure because the facts at these JSON pointers are absent."""
        return Finding(
            self.id,
            Outcome.FAIL,
            "missing_fact",
            clauses=self.clauses,
            facts=facts,
            params={"facts": list(facts)},
        )

    def _found(
        self, outcome: Outcome, code: str, text: Text | None, remedy: Text | None
    ) -> Finding:
        return Finding(self.id, outcome, code, clauses=self.clauses, text=text, advice=remedy)

    def __and__(self, other: Check) -> AllOf:
        """Return the check that passes when both do."""
        return AllOf(self, other)

    def __or__(self, other: Check) -> AnyOf:
        """Return the check that passes when either does."""
        return AnyOf(self, other)

    def __invert__(self) -> Not:
        """Return the check that passes when this one is known to fail."""
        return Not(self)

    def parts(self) -> tuple[Check, ...]:
        """Return the checks that this one is made of."""
        return ()

    def describe(self) -> dict[str, Any]:
        """Return what identifies the check in a policy's digest.

        A check of your own is identified by its class, its name and its clauses; one that takes
        parameters adds them here.
        """
        kind = type(self)
        return {
            "class": f"{kind.__module__}.{kind.__qualname__}",
            "id": self.id,
            "clauses": list(self.clauses),
        }


PASS: Final = Outcome.PASS.value
NOT_APPLICABLE: Final = Outcome.NOT_APPLICABLE.value


class StandardCheck(Check):
    """A check whose words and clauses stand in the catalogue under its identifier."""

    def __init__(self) -> None:
        """Make the findings that carry nothing of their own."""
        self.clauses = clauses_of(self.id)
        self._pass = self.passed()
        self._not_applicable = self.not_applicable()
        self._shared: dict[str, Finding] = {}

    def describe(self) -> dict[str, Any]:
        """Return the check as a policy file writes it."""
        return {"check": self.id}

    def _fail(self, code: str) -> Finding:
        finding = self._shared.get(code)
        if finding is None:
            finding = self._shared[code] = self._finding(Outcome.FAIL, code)
        return finding

    def _finding(
        self,
        outcome: Outcome,
        code: str | None = None,
        readings: tuple[ReadingUse, ...] = (),
        **params: Any,
    ) -> Finding:
        clauses = self.clauses if code is None else clauses_for(self.id, code)
        return Finding(self.id, outcome, code, clauses, params=params, readings=readings)


def reading_use(name: str, value: str, answers: Mapping[str, str]) -> tuple[ReadingUse, ...]:
    """Return the reading if its other values would have answered differently, else nothing."""
    own = answers[value]
    if all(answer == own for answer in answers.values()):
        return ()
    return (ReadingUse(name, value, {v: a for v, a in answers.items() if v != value}),)


def evaluate(check: Check, request: Request) -> Finding:
    """Answer ``request`` by ``check``; one that raises, or answers with no finding, has failed."""
    try:
        finding = check.evaluate(request)
        is_outcome = isinstance(finding.outcome, Outcome)
    except Exception as error:
        return broken(check, error)
    return finding if is_outcome else broken(check, TypeError())


def broken(check: Check, error: Exception) -> Finding:
    """Return the failure of a check that raised; only the error's type is told, not its text."""
    return Finding(
        check.id,
        Outcome.FAIL,
        "check_error",
        clauses=check.clauses,
        params={"error": type(error).__name__},
    )


class _Combined(Check):
    """A check made of checks."""

    word: ClassVar[str]
    """What the combination is called in the catalogue and in policy files."""

    def __init__(self, *checks: Check, id: str) -> None:
        self.checks = checks
        self.id = id
        self.clauses = tuple(dict.fromkeys(c for check in checks for c in check.clauses))

    def parts(self) -> tuple[Check, ...]:
        return self.checks

    def describe(self) -> dict[str, Any]:
        return {"id": self.id, self.word: [check.describe() for check in self.checks]}

    def next_change(self, request: Request) -> datetime | None:
        return earliest(check.next_change(request) for check in self.checks)

    def not_applicable(self, text: Text | None = None) -> Finding:
        return replace(super().not_applicable(text), catalogue=self.word)

    def evaluate(self, request: Request) -> Finding:
        """Answer by every child, so that one answer names everything that is wrong."""
        children = tuple(evaluate(check, request) for check in self.checks)
        answer = self._join([_answer_of(child) for child in children])
        facts: tuple[str, ...] = ()
        if answer == "missing_fact":
            facts = tuple(dict.fromkeys(fact for child in children for fact in child.facts))
        outcome = _OUTCOMES.get(answer, Outcome.FAIL)
        return Finding(
            self.id,
            outcome,
            answer if outcome is Outcome.FAIL else None,
            clauses=self.clauses,
            facts=facts,
            params={"facts": list(facts)},
            readings=self._readings(children, answer),
            children=children,
            catalogue=self.word,
        )

    @abstractmethod
    def _join(self, answers: Sequence[str], /) -> str:
        """Return the answer that the children's answers make."""

    def _readings(self, children: Sequence[Finding], own: str) -> tuple[ReadingUse, ...]:
        """Return the readings under which the children would have made another answer."""
        used = {use.name: use.value for child in children for use in child.readings}
        found: list[ReadingUse] = []
        for name in READINGS:
            if name not in used:
                continue
            answers = {
                value: own
                if value == used[name]
                else self._join([_answer_under(child, name, value) for child in children])
                for value in READINGS[name]
            }
            found += reading_use(name, used[name], answers)
        return tuple(found)


_OUTCOMES: Final = {PASS: Outcome.PASS, NOT_APPLICABLE: Outcome.NOT_APPLICABLE}


def _answer_of(finding: Finding) -> str:
    """``pass``, which a warning is too, ``not_applicable``, or the code of a failure."""
    if finding.outcome is Outcome.FAIL:
        return finding.code or Outcome.FAIL.value
    return NOT_APPLICABLE if finding.outcome is Outcome.NOT_APPLICABLE else PASS


def _answer_under(finding: Finding, name: str, value: str) -> str:
    """The answer that the check would have given if the reading ``name`` had been ``value``."""
    for use in finding.readings:
        if use.name == name:
            return use.otherwise.get(value, _answer_of(finding))
    return _answer_of(finding)


def _failing(answers: Iterable[str]) -> list[str]:
    return [answer for answer in answers if answer not in _OUTCOMES]


def _unknown(answers: Iterable[str]) -> str | None:
    """The first answer that says that the answer could not be known."""
    return next((answer for answer in answers if answer in _UNKNOWN), None)


_UNKNOWN: Final = frozenset({"missing_fact", "check_error", "empty_combinator"})


def _joined(checks: tuple[Check, ...], word: str) -> str:
    return f"({f' {word} '.join(check.id for check in checks)})"


class Deny(Check):
    """Fails always, in words of its own; with `when`, the way to forbid something as data."""

    def __init__(
        self,
        id: str,
        *,
        code: str,
        clauses: tuple[str, ...],
        message: Text,
        remedy: Text | None = None,
    ) -> None:
        """Name the check, the code it fails with, where the rule comes from, and the words."""
        self.id = id
        self.clauses = clauses
        self.code = code
        self.message = message
        self.remedy = remedy

    def evaluate(self, _request: Request) -> Finding:
        """Fail."""
        return self.failed(self.code, self.message, self.remedy)

    def describe(self) -> dict[str, Any]:
        """Return the check as a policy file writes it."""
        return {
            "check": "deny",
            "id": self.id,
            "code": self.code,
            "clauses": list(self.clauses),
            "message": self.message.to_document(),
            **({"remedy": self.remedy.to_document()} if self.remedy else {}),
        }


class AllOf(_Combined):
    """Passes when every child passes; the children that do not apply are left out.

    Without any child it denies. ``id`` names it in decisions; by default its children's names
    joined.
    """

    word = "all_of"

    def __init__(self, *checks: Check, id: str | None = None) -> None:
        """Combine ``checks``."""
        super().__init__(*checks, id=_joined(checks, "and") if id is None else id)

    def _join(self, answers: Sequence[str], /) -> str:
        if not answers:
            return "empty_combinator"
        if failing := _failing(answers):
            return _unknown(failing) or "not_all_passed"
        return PASS if PASS in answers else NOT_APPLICABLE


class AnyOf(_Combined):
    """Passes when at least one child passes; otherwise keeps every child's reason.

    Without any child it denies.
    """

    word = "any_of"

    def __init__(self, *checks: Check, id: str | None = None) -> None:
        """Combine ``checks``."""
        super().__init__(*checks, id=_joined(checks, "or") if id is None else id)

    def _join(self, answers: Sequence[str], /) -> str:
        if not answers:
            return "empty_combinator"
        if PASS in answers:
            return PASS
        if failing := _failing(answers):
            return _unknown(failing) or "none_passed"
        return NOT_APPLICABLE


class Not(_Combined):
    """Passes when its child is known to fail.

    A child that failed for want of a fact, or because it raised, keeps its failure.
    """

    word = "not"

    def __init__(self, check: Check, *, id: str | None = None) -> None:
        """Turn ``check`` round."""
        super().__init__(check, id=f"(not {check.id})" if id is None else id)

    def _join(self, answers: Sequence[str], /) -> str:
        (answer,) = answers
        if answer == PASS:
            return "negated"
        return answer if answer == NOT_APPLICABLE or answer in _UNKNOWN else PASS


@dataclass(frozen=True, slots=True)
class AppliesTo:
    """The requests that a check applies to, as data; an empty part accepts everything."""

    subject_types: tuple[str, ...] = ()
    actions: tuple[Action | str, ...] = ()
    todo_kinds: tuple[TodoKind | str, ...] = ()
    modes: tuple[Mode, ...] = ()

    def __call__(self, request: Request) -> bool:
        """Return whether the check applies to ``request``."""
        return (
            (not self.subject_types or request.subject.type in self.subject_types)
            and (not self.actions or request.action in self.actions)
            and (not self.todo_kinds or request.resource.kind in self.todo_kinds)
            and (not self.modes or request.context.mode in self.modes)
        )

    def describe(self) -> dict[str, list[str]]:
        """Return the parts that are not empty, as a policy file writes them."""
        return {
            field.name: [v.value if isinstance(v, Enum) else v for v in values]
            for field in fields(self)
            if (values := getattr(self, field.name))
        }


class _When(Check):
    """A check that applies to some requests only; see `when`."""

    def __init__(self, applies: Callable[[Request], bool], check: Check) -> None:
        self.applies = applies
        self.check = check
        self.id = check.id
        self.clauses = check.clauses
        self.obligation = check.obligation  # type: ignore[misc]

    def parts(self) -> tuple[Check, ...]:
        return (self.check,)

    def describe(self) -> dict[str, Any]:
        own: dict[str, Any]
        if isinstance(self.applies, AppliesTo):
            own = {"applies_to": self.applies.describe()}
        else:
            name = getattr(self.applies, "__qualname__", type(self.applies).__qualname__)
            own = {"when": f"{self.applies.__module__}.{name}"}
        # One inside another keeps both conditions.
        inner = self.check.describe()
        return {"of": inner, **own} if isinstance(self.check, _When) else {**inner, **own}

    def evaluate(self, request: Request) -> Finding:
        if not self.applies(request):
            return self.check.not_applicable()
        return self.check.evaluate(request)

    def next_change(self, request: Request) -> datetime | None:
        return self.check.next_change(request)


def when(applies: Callable[[Request], bool], check: Check) -> Check:
    """Return ``check`` for the requests that ``applies`` accepts, not applicable for the others.

    ``applies`` must not look at the time; if it raises, the check has failed. A policy's digest
    knows it by its module and name only.
    """
    return _When(applies, check)


def readings_of(checks: Iterable[Check]) -> dict[str, str]:
    """Return the readings that ``checks``, and the checks that they are made of, decide by.

    Raises:
        InvalidPolicyError: two checks decide by different values of one reading.
    """
    found: dict[str, str] = {}
    errors: list[FieldError] = []
    waiting = list(checks)
    while waiting:
        check = waiting.pop(0)
        waiting += check.parts()
        for name, value in check.readings.items():
            if found.setdefault(name, value) != value:
                problem = f"is {found[name]} for one check and {value} for another: use one of them"
                errors.append(FieldError(f"/readings/{name}", problem))
    if errors:
        raise InvalidPolicyError(errors)
    return found


def earliest(instants: Iterable[datetime | None]) -> datetime | None:
    """Return the first of the instants that are known, or None."""
    return min((instant for instant in instants if instant is not None), default=None)


def midnight(day: date) -> datetime:
    """Return the instant at which a London day begins."""
    return datetime.combine(day, time(0), LONDON).astimezone(UTC)
