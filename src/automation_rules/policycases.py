"""Policy cases: requests as data, with the decision and the reasons that a policy must give.

A case file is TOML or JSON. ``base`` is a whole request document; each case changes it by a
``patch``, an RFC 7396 merge patch (null removes), and by ``remove``, a list of JSON pointers, for
TOML has no null; or it gives a whole ``request``. It states the ``decision`` and the exact list
of ``reasons``, in order: every finding that failed, warned, or passed by one reading only.

    [[cases]]
    name = "a Saturday in June"
    patch.context.time = 2026-06-06T09:00:00+01:00
    decision = false
    reasons = [{check = "window", code = "weekend"}]
    next_action = "retry"

A file that is wrong in itself (unknown fields, checks or codes; a request that cannot be read) is
an error with every field named, and not a case that fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from .checks import AllOf, AnyOf, Deny, Not, StandardCheck
from .decision import instant_text
from .errors import FieldError, InvalidInputError, InvalidRequestError
from .inputs import InstantField, field_errors
from .policyfile import policy_from_document, read_document
from .readings import check_readings
from .request import Request
from .texts import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .checks import Check
    from .decision import Decision, Finding
    from .policy import Policy

__all__ = ["Case", "CaseFile", "CaseResult", "Difference", "load_cases", "parse_cases", "run_cases"]

NONE: Final = "none"
"""Stands for an instant that there must not be, also in JSON, where null would be unclear."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request, and what is expected of the decision on it.

    ``expected`` maps what is compared, besides the reasons, to its value.
    """

    name: str
    request: Request
    readings: Mapping[str, str]
    expected: Mapping[str, Any]
    reasons: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class CaseFile:
    """The cases of one file."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that came out otherwise: what, what was expected, and what was found."""

    what: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case came out: the decision, and every difference from what was expected."""

    case: Case
    decision: Decision
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether the decision is what was expected."""
        return not self.differences


def load_cases(path: Path) -> CaseFile:
    """Read a ``.toml`` or ``.json`` case file.

    Raises:
        InvalidInputError: the file cannot be read, or has invalid fields; every error at once.
    """
    return parse_cases(read_document(path))


def parse_cases(document: object) -> CaseFile:
    """Read the cases that a file's content holds.

    Raises:
        InvalidInputError: with every field that is wrong, each with its JSON pointer.
    """
    try:
        file = _FileDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidInputError(field_errors(error)) from None
    errors: list[FieldError] = []
    cases: list[Case] = []
    seen: set[str] = set()
    for index, entry in enumerate(file.cases):
        pointer = f"/cases/{index}"
        if entry.name in seen:
            errors.append(FieldError(f"{pointer}/name", "is the name of an earlier case too"))
        seen.add(entry.name)
        try:
            cases.append(entry.to_case(file.base))
        except InvalidInputError as error:
            errors += (FieldError(pointer + found.pointer, found.problem) for found in error.errors)
    if errors:
        raise InvalidInputError(errors)
    return CaseFile(tuple(cases))


def run_cases(file: CaseFile, policy: Policy) -> Iterator[CaseResult]:
    """Decide every case by ``policy``, with the case's readings where it names any.

    Raises:
        InvalidInputError: a case expects a check or a code that the policy does not have.
    """
    known = _codes_by_check(policy)
    errors = [
        FieldError(f"/cases/{index}/reasons/{number}/{field}", problem)
        for index, case in enumerate(file.cases)
        for number, reason in enumerate(case.reasons)
        for field, problem in _unknown(reason, known)
    ]
    if errors:
        raise InvalidInputError(errors)
    for case in file.cases:
        chosen = policy
        if case.readings:
            chosen = policy_from_document(policy.describe(), **case.readings)
        yield _compare(case, chosen.decide(case.request))


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Expected = Annotated[Literal["none"] | InstantField, Field(union_mode="left_to_right")]


class _ReadingDocument(_Strict):
    name: _Name
    value: _Name
    otherwise: dict[str, str] | None = None


class _ReasonDocument(_Strict):
    check: _Name
    outcome: Literal["pass", "fail", "warn"] = "fail"
    code: _Name | None = None
    clauses: list[_Name] | None = None
    facts: list[str] | None = None
    fields: list[str] | None = None
    reading: _ReadingDocument | None = None

    @model_validator(mode="after")
    def _has_a_code_unless_it_passes(self) -> _ReasonDocument:
        if (self.outcome == "pass") != (self.code is None):
            raise PydanticCustomError(
                "invalid", "must have a code when it fails or warns, and none when it passes"
            )
        return self


class _CaseDocument(_Strict):
    name: _Name
    patch: dict[str, Any] | None = None
    remove: list[str] = []
    request: dict[str, Any] | None = None
    readings: dict[str, str] = {}
    decision: bool
    reasons: list[_ReasonDocument] = []
    next_action: Literal["retry", "none"] | None = None
    retry_after: _Expected | None = None
    valid_until: _Expected | None = None
    obligations: list[_Name] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> _CaseDocument:
        if self.request is not None and (self.patch is not None or self.remove):
            raise PydanticCustomError("invalid", "has both a request and a change to the base")
        if not self.decision and not any(reason.outcome == "fail" for reason in self.reasons):
            raise PydanticCustomError("invalid", "expects a denial: name a failure in reasons")
        if self.decision and any(reason.outcome == "fail" for reason in self.reasons):
            raise PydanticCustomError("invalid", "expects an allow: name no failure in reasons")
        return self

    def to_case(self, base: dict[str, Any] | None) -> Case:
        if self.request is None and base is None:
            raise InvalidInputError([FieldError("", "has no request, and the file has no base")])
        where = "/patch" if self.request is None else "/request"
        document = self.request
        if document is None:
            document = merge_patch(base, self.patch or {})
            for index, pointer in enumerate(self.remove):
                if not _remove(document, pointer):
                    problem = f"{pointer!r} is not in the request: give a JSON pointer that is"
                    raise InvalidInputError([FieldError(f"/remove/{index}", problem)])
        try:
            request = Request.from_document(document)
        except InvalidRequestError as error:
            raise InvalidInputError(
                FieldError(where + found.pointer, found.problem) for found in error.errors
            ) from None
        check_readings(self.readings)
        return Case(
            name=self.name,
            request=request,
            readings=self.readings,
            expected={
                name: value
                for name, value in (
                    ("decision", self.decision),
                    ("next_action", self.next_action),
                    ("retry_after", self.retry_after),
                    ("valid_until", self.valid_until),
                    ("obligations", self.obligations),
                )
                if value is not None
            },
            reasons=tuple(
                {"code": None, **reason.model_dump(exclude_none=True)} for reason in self.reasons
            ),
        )


class _FileDocument(_Strict):
    base: dict[str, Any] | None = None
    cases: Annotated[list[_CaseDocument], Field(min_length=1)]


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` changed by an RFC 7396 merge patch; neither is altered."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return _copy(merged)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(child) for key, child in value.items()}
    return value


def _remove(document: Any, pointer: str) -> bool:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]
    for part in path[1:]:
        document = document.get(part) if isinstance(document, dict) else None
    if not path or path[0] or not isinstance(document, dict) or last not in document:
        return False
    del document[last]
    return True


def _unknown(
    reason: Mapping[str, Any], known: Mapping[str, frozenset[str] | None]
) -> Iterator[tuple[str, str]]:
    """Yield the field of a reason that names what the policy does not have, and the problem."""
    check, code = reason["check"], reason["code"]
    if check not in known:
        yield "check", f"is no check of the policy: use one of {', '.join(known)}"
        return
    codes = known[check]
    if code is not None and codes is not None and code not in codes:
        yield "code", f"is no code of that check: use one of {', '.join(sorted(codes))}"


def _codes_by_check(policy: Policy) -> dict[str, frozenset[str] | None]:
    catalogue = load("codes.json")
    return {
        **{check.id: _codes(check, catalogue) for check in policy.checks},
        "policy": frozenset(catalogue["policy"]),
    }


def _codes(check: Check, catalogue: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the codes that a check can give; None for one whose words are its author's."""
    if isinstance(check, Deny):
        own = {check.code}
    elif isinstance(check, AllOf | AnyOf | Not):
        own = set(catalogue[check.word])
    elif isinstance(check, StandardCheck):
        own = set(catalogue[check.id])
    else:
        # What `when` narrows keeps its name.
        parts = check.parts()
        is_narrowed = len(parts) == 1 and parts[0].id == check.id
        return _codes(parts[0], catalogue) if is_narrowed else None
    return frozenset(own | set(catalogue["*"])) - {"pass", "not_applicable"}


def _compare(case: Case, decision: Decision) -> CaseResult:
    expected = case.expected
    found = {
        "decision": decision.allowed,
        "next_action": decision.next_action,
        "retry_after": decision.retry_after or NONE,
        "valid_until": decision.valid_until or NONE,
        "obligations": [duty.id for duty in decision.obligations],
    }
    differences = [
        Difference(name, _shown(value), _shown(found[name]))
        for name, value in expected.items()
        if value != found[name]
    ]
    differences[1:1] = _compare_reasons(case.reasons, decision.reasons)
    return CaseResult(case, decision, tuple(differences))


def _compare_reasons(
    expected: tuple[Mapping[str, Any], ...], findings: tuple[Finding, ...]
) -> Iterator[Difference]:
    found = [finding.to_document() for finding in findings]
    heads = [_head(reason) for reason in expected], [_head(reason) for reason in found]
    if heads[0] != heads[1]:
        yield Difference("reasons", *(", ".join(head) or NONE for head in heads))
        return
    for index, (wanted, given) in enumerate(zip(expected, found, strict=True)):
        for name, value in wanted.items():
            own = given.get(name)
            if name == "reading" and own is not None:
                own = {part: own[part] for part in value}
            if value != own:
                yield Difference(f"reasons[{index}].{name}", _shown(value), _shown(own))


def _head(reason: Mapping[str, Any]) -> str:
    code = f".{reason['code']}" if reason["code"] else ""
    return f"{reason['check']}{code} ({reason['outcome']})"


def _shown(value: object) -> str:
    match value:
        case True:
            return "allowed"
        case False:
            return "denied"
        case datetime():
            return str(instant_text(value))
        case list():
            return ", ".join(map(str, value)) or NONE
        case dict():
            return ", ".join(f"{name}: {_shown(part)}" for name, part in value.items())
    return NONE if value is None else str(value)
