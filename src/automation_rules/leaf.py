"""What a log entry says: an allow-list, so that nothing personal can slip in.

A leaf is canonical JSON (RFC 8785) of at most 65,535 bytes. It is made of identifiers of
organisations and bots, words of closed vocabularies, instants, digests and random tokens; all
else that a decision was made from is sealed into envelopes, one for each subject, of which the
leaf holds the SHA-256. Closure reasons, answers, the landlord's own record and unknown fields are
kept nowhere. The closed JSON Schema of leaves is shipped as ``data/leaf.schema.json``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from .actions import Action, Role, TodoKind
from .clock import to_utc
from .errors import NotRecordedError
from .request import NOT_DECLARED
from .terms import terms_at
from .vault import Kind, Subject, in_utf8, quoted, written

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from enum import Enum

    from .decision import Decision, Finding, PolicyInfo
    from .merkle import Head
    from .request import Request
    from .vault import Envelope, SubjectKey

__all__ = [
    "HELD",
    "MAX_LEAF",
    "Draft",
    "Sealed",
    "draft_decision",
    "draft_erasure",
    "draft_hold",
    "draft_retention",
    "draft_rollback",
    "instant",
]

_T = TypeVar("_T")

MAX_LEAF: Final = 65_535
"""The most bytes of a leaf, so that an entry bundle of C2SP tlog-tiles can carry it."""

VERSION: Final = 1
UNKNOWN: Final = "unknown"
OTHER: Final = "other"

HELD: Final = "held"
"""The slot of whom a legal hold is about: beside it stands who placed or released it."""

MAX_NAME: Final = 1000
CHECK_ID: Final = r"^[A-Za-z0-9_.:() -]{1,1000}$"
CODE: Final = r"^[A-Za-z0-9_.:-]{1,100}$"
CLAIM: Final = r"^[a-z0-9_./]{1,200}$"

_check_id: Final = re.compile(CHECK_ID)
_code: Final = re.compile(CODE)
_claim: Final = re.compile(CLAIM)

_ANY_DIGEST: Final = "0" * 64
_ANY_TOKEN: Final = "0" * 32
"""As long as every digest and every token is."""

_SUBJECT_TYPES: Final = ("automation_account",)
_RESOURCE_TYPES: Final = ("todo", "portal")
_SECTORS: Final = ("social",)
_MICROSECOND: Final = timedelta(microseconds=1)


class Sealed(NamedTuple):
    """A subject's facts before they are sealed, and their slot: by default the subject's kind.

    The facts are an object in canonical JSON.
    """

    subject: Subject
    facts: str
    own_slot: str | None = None

    @property
    def slot(self) -> str:
        """The slot among the entry's tokens and envelopes."""
        return self.own_slot or self.subject.kind.value


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry before its subjects have tokens: what the leaf says, and what is sealed.

    ``text`` is the leaf in canonical JSON, in three parts: up to the digests of the envelopes, from
    there up to the tokens, and the rest. ``decision`` is None unless it is a decision's entry.
    """

    id: str
    at: datetime
    type: str
    text: tuple[str, str, str]
    sealed: tuple[Sealed, ...] = field(repr=False)
    decision: bool | None = None

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """Who needs a token and a key."""
        return tuple(dict.fromkeys(sealed.subject for sealed in self.sealed))

    def finish(self, keys: Mapping[Subject, SubjectKey]) -> tuple[bytes, list[Envelope]]:
        """Return the leaf and its envelopes.

        Raises:
            NotRecordedError: the leaf would be too large.
        """
        envelopes = [
            keys[sealed.subject].seal_text(sealed.facts, entry=self.id, slot=sealed.slot)
            for sealed in self.sealed
        ]
        digests = [(envelope.slot, envelope.digest) for envelope in envelopes]
        tokens = [(envelope.slot, envelope.token) for envelope in envelopes]
        return self._leaf(digests, tokens), envelopes

    def require_fit(self) -> None:
        """See that `finish` can be done: what it would raise fails all that share a commit.

        Raises:
            NotRecordedError: the leaf would be too large.
            ValueError: a text holds a lone surrogate.
        """
        for sealed in self.sealed:
            in_utf8(sealed.facts)
        digests = [(sealed.slot, _ANY_DIGEST) for sealed in self.sealed]
        tokens = [(sealed.slot, _ANY_TOKEN) for sealed in self.sealed]
        self._leaf(digests, tokens)

    def _leaf(self, digests: Iterable[tuple[str, str]], tokens: Iterable[tuple[str, str]]) -> bytes:
        before, between, after = self.text
        leaf = in_utf8(f"{before}{_object(digests)}{between}{_object(tokens)}{after}")
        if len(leaf) > MAX_LEAF:
            raise NotRecordedError(
                f"the entry would have {len(leaf)} bytes, and {MAX_LEAF} are the most: "
                "give fewer closures, notices or accounts"
            )
        return leaf


def draft_decision(
    decision: Decision,
    *,
    readings: Mapping[str, str],
    request_id: str | None = None,
    trace_id: str | None = None,
) -> Draft:
    """Return the entry of a decision.

    ``readings`` are all eight by which its policy decides; ``request_id`` is the caller's own
    name for the request, ``trace_id`` that of the trace it belongs to (W3C Trace Context).

    Raises:
        NotRecordedError: something that must be of a closed vocabulary is not.
    """
    request: Request = decision.request
    terms = terms_at(request.time)
    account = request.subject.id if _is_registered(request) else None
    landlord = request.context.landlord.id if request.facts == "registry" else None
    ignored = [_named("an ignored claim", _claim, name) for name in request.ignored]
    checks = [
        (_checks.get(id(finding)) or _keep_check(finding))[1] for finding in decision.findings
    ]
    # In the order of canonical JSON, that of the names.
    before = (
        f'{{"account":{_text(account)}'
        f',"action":{_text(_word(Action, request.action, UNKNOWN))}'
        f',"checks":[{",".join(checks)}]'
        f',"decision":{"true" if decision.allowed else "false"}'
        f',"decision_id":{quoted(decision.decision_id)}'
        f',"envelopes":'
    )
    between = (
        f',"facts":{quoted(request.facts)}'
        f',"given":{_given(request)}'
        f',"ignored":{written(ignored) if ignored else "[]"}'
        f',"landlord":{_text(landlord)}'
        f',"mode":{quoted(request.context.mode.value)}'
        f',"next_action":{quoted(decision.next_action)}'
        f',"policy":{_policy(decision.policy)}'
        f',"readings":{_readings(tuple(readings.items()))}'
        f',"retry_after":{_instant(decision.retry_after)}'
        f',"terms":{{"digest":{quoted(terms.digest)},"version":{quoted(terms.version)}}}'
        f',"time":{_instant(request.time)}'
        f',"todo_kind":{_text(_word(TodoKind, request.resource.kind, OTHER))}'
        f',"tokens":'
    )
    after = f',"type":"decision","v":{VERSION},"valid_until":{_instant(decision.valid_until)}}}'
    return Draft(
        decision.decision_id,
        request.time,
        "decision",
        (before, between, after),
        _sealed(request, request_id, trace_id),
        decision.allowed,
    )


def draft_rollback(
    *, at: datetime, by: str, landlord: str | None, expected: Head, found: Head
) -> Draft:
    """Return the entry by which a person takes responsibility for a log that went back.

    ``expected`` is the head that was remembered, ``found`` the one that is there.
    """
    said = {"expected": _head(expected), "found": _head(found)}
    return _event("rollback_acknowledged", at, said, _operator(landlord, by))


def draft_erasure(
    *, at: datetime, kind: Kind, token: str | None, envelopes: int, registry: int
) -> Draft:
    """Return the entry of an erasure, which names nothing of what was erased.

    ``token`` stood for the subject in earlier entries, None when in none; ``envelopes`` and
    ``registry`` count what was deleted or blanked.
    """
    said = {
        "subject": {"kind": kind.value, "token": token},
        "counts": {"envelopes": envelopes, "registry": registry},
    }
    return _event("erasure", at, said)


def draft_hold(
    *, at: datetime, subject: Subject, by: str, placed: bool, reason: str | None = None
) -> Draft:
    """Return the entry of a legal hold that was placed, or released, by a person.

    The reason is sealed with the subject's identifier, and is erased with it.
    """
    held = written({"id": subject.id} if reason is None else {"id": subject.id, "reason": reason})
    said = {"kind": subject.kind.value, "change": "placed" if placed else "released"}
    return _event("hold", at, said, Sealed(subject, held, HELD), _operator(subject.landlord, by))


def draft_retention(*, at: datetime, before: datetime, first: int, exported: Head) -> Draft:
    """Return the entry of a pruning.

    Entries before ``first``, all older than ``before``, are gone; ``exported`` is the head of the
    verified export that holds them.
    """
    said = {"before": instant(before), "first": first, "exported": _head(exported)}
    return _event("retention", at, said)


def _event(type: str, at: datetime, said: Mapping[str, Any], *sealed: Sealed) -> Draft:
    event_id = str(uuid.uuid4())
    body = {"v": VERSION, "type": type, "event_id": event_id, "time": instant(at), **said}
    members = sorted((name, f'"{name}":{written(value)}') for name, value in body.items())
    before = [text for name, text in members if name < "envelopes"]
    between = [text for name, text in members if "envelopes" < name < "tokens"]
    after = [text for name, text in members if name > "tokens"]
    text = (
        "{" + ",".join([*before, '"envelopes":']),
        ",".join(["", *between, '"tokens":']),
        ",".join(["", *after]) + "}",
    )
    return Draft(event_id, to_utc(at), type, text, tuple(sealed))


def _head(head: Head) -> dict[str, Any]:
    return {"size": head.size, "root": head.root.hex()}


def _operator(landlord: str | None, id: str) -> Sealed:
    return Sealed(Subject(Kind.OPERATOR, landlord, id), f'{{"id":{quoted(id)}}}')


def instant(at: datetime) -> str:
    """Return an instant in UTC, to the microsecond, always 27 characters long."""
    at = at if at.tzinfo is UTC else to_utc(at)
    return at.isoformat("T", "microseconds")[:-6] + "Z"


def _instant(at: datetime | None) -> str:
    return "null" if at is None else f'"{instant(at)}"'


def _text(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _is_registered(request: Request) -> bool:
    """Whether the subject's identifier is a registered bot's, and so names no person."""
    # The registry gives a status to every account that it knows, deactivated ones included.
    return (
        request.facts == "registry"
        and request.subject.type == "automation_account"
        and request.subject.status is not None
    )


def _object(texts: Iterable[tuple[str, str]]) -> str:
    """Return an object of texts by their names, which need no escapes."""
    return "{" + ",".join([f'"{name}":{quoted(text)}' for name, text in sorted(texts)]) + "}"


class _Kept(dict[Any, tuple[object, _T]]):
    """What was made of immutable objects that come in one decision after another.

    Keys hold the objects' identities, which are theirs for as long as they are kept here.
    """

    def keep(self, key: Any, objects: object, made: _T) -> tuple[object, _T]:
        """Keep what was made, with the objects that it was made of."""
        if len(self) >= _MOST_KEPT:
            self.clear()
        self[key] = kept = objects, made
        return kept


_MOST_KEPT: Final = 1024

_checks: Final[_Kept[str]] = _Kept()


def _keep_check(finding: Finding) -> tuple[object, str]:
    return _checks.keep(id(finding), finding, written(_check(finding)))


def _check(finding: Finding) -> dict[str, Any]:
    said: dict[str, Any] = {
        "check": _named("a check", _check_id, finding.check),
        "outcome": finding.outcome.value,
        "code": None if finding.code is None else _named("a code", _code, finding.code),
        "readings": [{"name": use.name, "value": use.value} for use in finding.readings],
    }
    if finding.code == "answers_differ":
        said["differing"] = len((finding.params or {}).get("fields", ()))
    if finding.children:
        said["children"] = [_check(child) for child in finding.children]
    return said


@lru_cache(maxsize=64)
def _readings(readings: tuple[tuple[str, str], ...]) -> str:
    return written(dict(readings))


@lru_cache(maxsize=64)
def _policy(policy: PolicyInfo) -> str:
    if not (1 <= len(policy.id) <= MAX_NAME and 1 <= len(policy.version) <= MAX_NAME):
        raise NotRecordedError(
            f"the policy's id or version is longer than {MAX_NAME} characters: shorten it"
        )
    return written(policy.to_document())


_givens: Final[_Kept[str]] = _Kept()


def _given(request: Request) -> str:
    """Return the facts that name nobody, as far as they are words, numbers and instants."""
    subject, context, landlord = request.subject, request.context, request.context.landlord
    if context.form is not None:
        return written(_make_given(request))
    # An account's own facts are the same objects in one request after another.
    objects = (subject, landlord, context.closures, context.notices)
    key = (
        *map(id, objects),
        request.facts,
        _listed(_RESOURCE_TYPES, request.resource.type),
        context.expected_duration,
        context.answers is None,
        context.record is None,
    )
    kept = _givens.get(key) or _givens.keep(key, objects, written(_make_given(request)))
    return kept[1]


def _make_given(request: Request) -> dict[str, Any]:
    subject, context, landlord = request.subject, request.context, request.context.landlord
    registry = request.facts == "registry"
    return {
        "subject_type": _listed(_SUBJECT_TYPES, subject.type),
        "resource_type": _listed(_RESOURCE_TYPES, request.resource.type),
        "roles": None
        if subject.roles is None
        else sorted({_word(Role, role, UNKNOWN) or UNKNOWN for role in subject.roles}),
        "two_factor": subject.two_factor,
        "status": None if subject.status is None else subject.status.value,
        "created_by_role": _word(Role, subject.created_by_role, UNKNOWN),
        "sms_code": _sms_code(request),
        "sector": _listed(_SECTORS, landlord.sector),
        "portal_access": landlord.portal_access,
        "nation": None if landlord.nation is None else landlord.nation.value,
        "declared_on": _declared_on(landlord.declared_on),
        "landlord_paused": landlord.paused,
        "automation_accounts": _ids(landlord.automation_accounts) if registry else None,
        "running_accounts": _ids(landlord.running_accounts) if registry else None,
        "expected_duration": None
        if context.expected_duration is None
        else context.expected_duration // _MICROSECOND,
        "closures": [[instant(c.start), instant(c.end)] for c in context.closures],
        "notices": [[n.effective_on.isoformat(), n.affects_automation] for n in context.notices],
        "form": _form(request),
        "answers": context.answers is not None,
        "record": context.record is not None,
    }


def _sms_code(request: Request) -> str:
    code = request.subject.sms_code
    if code is None:
        return "absent"
    whole = code.provided_at is not None and code.provided_by is not None
    return "complete" if whole and code.channel is not None else "incomplete"


def _form(request: Request) -> dict[str, Any] | None:
    form = request.context.form
    if form is None:
        return None
    both = form.fingerprint is not None and form.tested_fingerprint is not None
    return {
        "fingerprint": form.fingerprint is not None,
        "tested_fingerprint": form.tested_fingerprint is not None,
        "equal": form.fingerprint == form.tested_fingerprint if both else None,
        "tested_on": None if form.tested_on is None else form.tested_on.isoformat(),
    }


def _declared_on(declared: object) -> str | None:
    if isinstance(declared, date):
        return declared.isoformat()
    return "not_declared" if declared is NOT_DECLARED else None


def _sealed(request: Request, request_id: str | None, trace_id: str | None) -> tuple[Sealed, ...]:
    """Return every subject of the request, each with its facts that the leaf must not hold."""
    subject, landlord, resource = request.subject, request.context.landlord, request.resource
    # An account, its operator and the partnership manager are the same in one request after
    # another, and so are the words of all that a portal has routes for.
    words = _free(request.action), _free(resource.kind)
    key = (id(subject), id(landlord), request.facts, *words)
    kept = _accounts.get(key) or _accounts.keep(key, (subject, landlord), _account(request))
    sealed = [*kept[1]]

    def add(kind: Kind, id: str, facts: str) -> None:
        sealed.append(Sealed(Subject(kind, landlord.id, id), facts))

    if (asked := request_id or trace_id) is not None:
        names = {"id": request_id, "trace_id": trace_id}
        given = {name: value for name, value in names.items() if value is not None}
        add(Kind.REQUEST, asked, written(given))
    if resource.tenant is not None:
        add(Kind.TENANT, resource.tenant, f'{{"id":{quoted(resource.tenant)}}}')
    if resource.type != "portal" and resource.id:
        facts = f'{{"id":{quoted(resource.id)},"type":{quoted(resource.type)}}}'
        add(Kind.TODO, resource.id, facts)
    return tuple(sealed)


_accounts: Final[_Kept[tuple[Sealed, ...]]] = _Kept()


def _account(request: Request) -> tuple[Sealed, ...]:
    """Return what is sealed of the account, and of the people who belong to it."""
    landlord, code = request.context.landlord, request.subject.sms_code
    account = Subject(Kind.ACCOUNT, landlord.id, request.subject.id)
    sealed = [Sealed(account, written(_account_facts(request)))]
    if code is not None and code.provided_by is not None:
        facts = {
            "id": code.provided_by,
            "provided_at": None if code.provided_at is None else instant(code.provided_at),
            "channel": None if code.channel is None else code.channel.value,
        }
        operator = Subject(Kind.OPERATOR, landlord.id, code.provided_by)
        sealed.append(Sealed(operator, written(facts)))
    if landlord.partnership_manager is not None:
        name = landlord.partnership_manager
        manager = Subject(Kind.PARTNERSHIP_MANAGER, landlord.id, name)
        sealed.append(Sealed(manager, written({"name": name})))
    return tuple(sealed)


def _account_facts(request: Request) -> dict[str, Any]:
    subject, landlord = request.subject, request.context.landlord
    facts: dict[str, Any] = {
        "type": subject.type,
        "id": subject.id,
        "username": subject.username,
        "email": subject.email,
        "landlord": {
            "id": landlord.id,
            "name": landlord.name,
            "also_known_as": list(landlord.also_known_as),
        },
        # Words outside the vocabularies, as they were given: free text, for all we know.
        "words": {
            "action": _free(request.action),
            "todo_kind": _free(request.resource.kind),
            "created_by_role": _free(subject.created_by_role),
            "roles": sorted(role for role in subject.roles or () if isinstance(role, str)),
            "sector": landlord.sector,
        },
    }
    if request.facts != "registry":
        facts["automation_accounts"] = _ids(landlord.automation_accounts)
        facts["running_accounts"] = _ids(landlord.running_accounts)
    return facts


def _word(vocabulary: type[Enum], value: Enum | str | None, otherwise: str) -> str | None:
    if value is None:
        return None
    return str(value.value) if isinstance(value, vocabulary) else otherwise


def _listed(words: tuple[str, ...], value: str | None) -> str | None:
    return value if value is None or value in words else OTHER


def _free(value: Enum | str | None) -> str | None:
    return value if isinstance(value, str) else None


def _ids(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _named(what: str, pattern: re.Pattern[str], name: str) -> str:
    if not pattern.fullmatch(name):
        raise NotRecordedError(
            f"{what} has a name that an entry cannot hold: use ASCII letters, digits and _ . : -"
        )
    return name
