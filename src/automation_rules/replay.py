"""Deciding recorded entries again, by another policy or by the same one.

A request is built again from its entry and the opened envelopes. An entry of which a subject was
erased cannot be decided again and is never counted as the same. Answers and the landlord's record
are kept nowhere: their check counts as it was recorded, and where it was not, the entry is
undecidable only if the new decision hinges on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .accounts import AccountStatus
from .actions import Action, Role, TodoKind
from .decision import Outcome
from .errors import VerificationError
from .inputs import parse_instant
from .leaf import UNKNOWN
from .leaf_reasons import Reason, reasons
from .leaf_schema import read_leaf
from .request import (
    NOT_DECLARED,
    Channel,
    Context,
    Form,
    LandlordFacts,
    Mode,
    Notice,
    Request,
    Resource,
    SmsCode,
    Subject,
)
from .windows import Closure, Nation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from .audit import DecisionLog
    from .decision import Decision, Finding
    from .policy import Policy
    from .request import NotDeclared

    Facts = Mapping[str, Mapping[str, Any] | None]

__all__ = ["Replayed", "Verdict", "rebuild", "replay"]

_ANSWERS: Final = "answers"
_MICROSECOND: Final = timedelta(microseconds=1)
_EnumT = TypeVar("_EnumT", bound=Enum)


class Verdict(Enum):
    """How an entry came out when it was decided again."""

    SAME = "same"
    REASONS_DIFFER = "reasons_differ"
    DIFFERS = "differs"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One entry decided again.

    ``before`` and ``after`` are the answers, ``after`` None when it is undecidable; ``erased``
    names the slots whose subject was erased. The reasons are those that deny.
    """

    index: int
    time: datetime
    account: str | None
    action: str
    verdict: Verdict
    before: bool
    after: bool | None
    reasons_before: tuple[Reason, ...]
    reasons_after: tuple[Reason, ...]
    erased: tuple[str, ...] = ()


def replay(
    log: DecisionLog, policy: Policy, *, progress: Callable[[int, int], None] | None = None
) -> Iterator[Replayed]:
    """Decide every decision that the log keeps again by ``policy``, in order.

    The log must have been opened with its vault. ``progress`` is called with how many entries are
    done, and how many there are.

    Raises:
        LogError: the log was opened without its vault, or the wrapping key is not this state's.
        VerificationError: an entry is not what an entry can be, or an envelope was changed.
    """
    size = log.head().size
    for entry, facts in log.opened(stop=size):
        document = read_leaf(entry.leaf, index=entry.index)
        if document["type"] == "decision":
            yield _replayed(entry.index, document, facts, policy)
        if progress is not None and (entry.index + 1) % _TOLD_EVERY == 0:
            progress(entry.index + 1, size)
    if progress is not None:
        progress(size, size)


_TOLD_EVERY: Final = 500


def _replayed(index: int, document: dict[str, Any], facts: Facts, policy: Policy) -> Replayed:
    before: bool = document["decision"]
    erased = tuple(slot for slot, found in facts.items() if found is None)
    decision = None
    if not erased:
        try:
            request = rebuild(document, facts)
        except (KeyError, TypeError, ValueError) as error:
            raise VerificationError(
                f"the facts of entry {index} are not those of a request", index=index
            ) from error
        decision = _decide(request, document, policy)
    reasons_before = reasons(document)
    reasons_after: tuple[Reason, ...] = ()
    if decision is not None and not decision.allowed:
        reasons_after = tuple(dict.fromkeys(_failures(decision.findings)))
    return Replayed(
        index,
        parse_instant(document["time"]),
        document["account"],
        document["action"],
        _verdict(before, decision, reasons_before, reasons_after),
        before,
        None if decision is None else decision.allowed,
        reasons_before,
        reasons_after,
        erased,
    )


def _verdict(
    before: bool,
    decision: Decision | None,
    reasons_before: Sequence[Reason],
    reasons_after: Sequence[Reason],
) -> Verdict:
    if decision is None:
        return Verdict.UNDECIDABLE
    if decision.allowed != before:
        return Verdict.DIFFERS
    earlier, later = ({reason.name for reason in why} for why in (reasons_before, reasons_after))
    return Verdict.SAME if earlier == later else Verdict.REASONS_DIFFER


def _decide(request: Request, document: Mapping[str, Any], policy: Policy) -> Decision | None:
    """Decide as the enforcer does; None when it hinges on what is kept nowhere."""
    if request.context.answers is None or request.context.record is None:
        return _decided(request, policy)
    agreeing, differing = (
        _decided(replace(request, context=replace(request.context, record=record)), policy)
        for record in ({}, {_ANSWERS: True})
    )
    recorded = _outcomes(document["checks"])
    if recorded == {Outcome.PASS.value}:
        return agreeing
    if recorded == {Outcome.FAIL.value}:
        return differing
    return agreeing if agreeing.allowed == differing.allowed else None


def _decided(request: Request, policy: Policy) -> Decision:
    decision = policy.decide(request)
    return decision.let_through() if request.action is Action.SIGN_OUT else decision


def _outcomes(checks: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return how the answers were found, wherever in a policy their check stood."""
    found = {check["outcome"] for check in checks if check["check"] == _ANSWERS}
    return found.union(*(_outcomes(check.get("children", ())) for check in checks))


def _failures(findings: Iterable[Finding]) -> Iterator[Reason]:
    """Yield why a decision says no, as `leaf_reasons.reasons` does of a recorded one."""
    for finding in findings:
        if finding.outcome is Outcome.FAIL:
            inside = tuple(_failures(finding.children))
            yield from inside or (Reason(finding.check, finding.code or UNKNOWN, finding.clauses),)


# --- the request --------------------------------------------------------------------------------


def rebuild(document: Mapping[str, Any], facts: Facts) -> Request:
    """Return the request that an entry was decided from.

    ``document`` is what the entry says and ``facts`` are its envelopes, all opened. Answers and
    record are empty where there were any, closures have no reason, notices no name of their own,
    and the form's fingerprints are only alike or not, as they were.

    Raises:
        KeyError: a fact is missing.
        TypeError: a fact is of another type.
        ValueError: a fact cannot be read.
    """
    given = document["given"]
    account = _facts(facts, "account")
    return Request(
        subject=_subject(given, account, facts),
        action=_member(Action, _word(account, "action", document["action"])),
        resource=_resource(document, account, facts),
        context=Context(
            time=parse_instant(document["time"]),
            mode=Mode(document["mode"]),
            landlord=_landlord(given, account, facts),
            expected_duration=None
            if given["expected_duration"] is None
            else given["expected_duration"] * _MICROSECOND,
            closures=tuple(
                Closure(parse_instant(start), parse_instant(end), "")
                for start, end in given["closures"]
            ),
            form=_form(given["form"]),
            notices=tuple(
                Notice(str(number), date.fromisoformat(day), affects)
                for number, (day, affects) in enumerate(given["notices"], 1)
            ),
            answers={} if given["answers"] else None,
            record={} if given["record"] else None,
        ),
        facts=document["facts"],
        ignored=tuple(document["ignored"]),
    )


def _facts(facts: Facts, slot: str) -> Mapping[str, Any]:
    """Return what was sealed in a slot; nothing when the entry has no such slot."""
    return facts.get(slot) or {}


def _word(account: Mapping[str, Any], name: str, listed: Any) -> Any:
    """Return a word as it was given; one outside the vocabularies is sealed."""
    word = account["words"][name]
    return listed if word is None else word


def _subject(given: Mapping[str, Any], account: Mapping[str, Any], facts: Facts) -> Subject:
    creator = _word(account, "created_by_role", given["created_by_role"])
    roles = given["roles"]
    return Subject(
        type=account["type"],
        id=account["id"],
        username=account["username"],
        email=account["email"],
        roles=None
        if roles is None
        else frozenset(
            {
                *(Role(role) for role in roles if role != UNKNOWN),
                *map(str, account["words"]["roles"]),
            }
        ),
        two_factor=given["two_factor"],
        status=None if given["status"] is None else AccountStatus(given["status"]),
        created_by_role=None if creator is None else _member(Role, creator),
        sms_code=None if given["sms_code"] == "absent" else _sms_code(_facts(facts, "operator")),
    )


def _sms_code(operator: Mapping[str, Any]) -> SmsCode:
    at, channel = operator.get("provided_at"), operator.get("channel")
    return SmsCode(
        None if at is None else parse_instant(at),
        operator.get("id"),
        None if channel is None else Channel(channel),
    )


def _resource(document: Mapping[str, Any], account: Mapping[str, Any], facts: Facts) -> Resource:
    todo = _facts(facts, "todo")
    word, kind = account["words"]["todo_kind"], document["todo_kind"]
    return Resource(
        type=todo.get("type", document["given"]["resource_type"]),
        id=todo.get("id", ""),
        kind=word if word is not None else None if kind is None else TodoKind(kind),
        tenant=_facts(facts, "tenant").get("id"),
    )


def _landlord(given: Mapping[str, Any], account: Mapping[str, Any], facts: Facts) -> LandlordFacts:
    landlord, nation = account["landlord"], given["nation"]
    return LandlordFacts(
        id=landlord["id"],
        name=landlord["name"],
        also_known_as=tuple(landlord["also_known_as"]),
        sector=account["words"]["sector"],
        portal_access=given["portal_access"],
        nation=None if nation is None else Nation(nation),
        declared_on=_declared_on(given["declared_on"]),
        partnership_manager=_facts(facts, "partnership_manager").get("name"),
        automation_accounts=_ids(account.get("automation_accounts", given["automation_accounts"])),
        running_accounts=_ids(account.get("running_accounts", given["running_accounts"])),
        paused=given["landlord_paused"],
    )


def _declared_on(declared: str | None) -> date | NotDeclared | None:
    if declared is None:
        return None
    return NOT_DECLARED if declared == "not_declared" else date.fromisoformat(declared)


def _form(form: Mapping[str, Any] | None) -> Form | None:
    if form is None:
        return None
    return Form(
        "met" if form["fingerprint"] else None,
        ("met" if form["equal"] else "tested") if form["tested_fingerprint"] else None,
        None if form["tested_on"] is None else date.fromisoformat(form["tested_on"]),
    )


def _ids(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def _member(vocabulary: type[_EnumT], name: str) -> _EnumT | str:
    try:
        return vocabulary(name)
    except ValueError:
        return name
