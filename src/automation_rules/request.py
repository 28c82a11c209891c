"""Everything that one decision is made from: one frozen value, read once from a document.

The document is an OpenID AuthZEN Authorization API 1.0 evaluation request. pydantic reads it
here, at the edge; inside there are plain dataclasses. A fact that was not given is None, and the
check that needs it says so: nothing is guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from .accounts import AccountStatus, has_words
from .actions import Action, Role, TodoKind
from .clock import LONDON, to_london, to_utc
from .errors import FieldError, InvalidRequestError
from .inputs import (
    MAX_LIST,
    DateField,
    DurationField,
    IdField,
    InputModel,
    InstantField,
    RepeatedKeys,
    TextField,
    choice_field,
    describe,
    field_errors,
    parse_json,
    refuse_unreadable,
    unreadable,
)
from .windows import FIRST_YEAR, LAST_YEAR, Closure, Nation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NOT_DECLARED",
    "Channel",
    "Context",
    "Evaluations",
    "Form",
    "LandlordFacts",
    "Mode",
    "NotDeclared",
    "Notice",
    "Request",
    "Resource",
    "Semantic",
    "SmsCode",
    "Subject",
    "read_evaluations",
    "request_schema",
]


class Mode(Enum):
    """Whether a step is real or a test (clause ``step-3.test``)."""

    LIVE = "live"
    TEST = "test"


class Channel(Enum):
    """How the SMS code reached the automation (clause ``step-2.manual-code``)."""

    MANUAL = "manual"
    AUTOMATED = "automated"


class NotDeclared(Enum):
    """The landlord's record says that DWP has not been told; unlike no record at all."""

    NOT_DECLARED = None


NOT_DECLARED: Final = NotDeclared.NOT_DECLARED


@dataclass(frozen=True, slots=True)
class SmsCode:
    """The day's access code: when it was supplied (UTC), by whom and how; never the code."""

    provided_at: datetime | None = None
    provided_by: str | None = field(default=None, repr=False)
    channel: Channel | None = None

    def __post_init__(self) -> None:
        """Bring the instant to UTC; raise `ClockError` when it is naive."""
        if self.provided_at is not None:
            object.__setattr__(self, "provided_at", to_utc(self.provided_at))


@dataclass(frozen=True, slots=True)
class Subject:
    """Who wants to act. Who it is stays out of ``repr``, for it may be a person."""

    type: str
    id: str = field(repr=False)
    username: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)
    roles: frozenset[Role | str] | None = None
    two_factor: bool | None = None
    status: AccountStatus | None = None
    created_by_role: Role | str | None = None
    sms_code: SmsCode | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on: a to-do, or the portal."""

    type: str
    id: str = field(repr=False)
    kind: TodoKind | str | None = None
    tenant: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LandlordFacts:
    """What is known of the landlord."""

    id: str | None = None
    name: str | None = None
    also_known_as: tuple[str, ...] = ()
    sector: str | None = None
    portal_access: bool | None = None
    nation: Nation | None = None
    declared_on: date | NotDeclared | None = None
    partnership_manager: str | None = field(default=None, repr=False)
    automation_accounts: tuple[str, ...] | None = None
    running_accounts: tuple[str, ...] | None = None
    paused: bool | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """The form as met now and as last tested (clause ``terms.portal-changes``)."""

    fingerprint: str | None = None
    tested_fingerprint: str | None = None
    tested_on: date | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """An announced change of the portal (clause ``terms.change-notice``)."""

    id: str
    effective_on: date
    affects_automation: bool = True


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances. ``time`` is in UTC."""

    time: datetime
    mode: Mode = Mode.LIVE
    landlord: LandlordFacts = LandlordFacts()
    expected_duration: timedelta | None = None
    closures: tuple[Closure, ...] = ()
    form: Form | None = None
    notices: tuple[Notice, ...] = ()
    answers: Mapping[str, Any] | None = field(default=None, repr=False)
    record: Mapping[str, Any] | None = field(default=None, repr=False)
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may this subject take this action on this resource, in this context?

    ``action`` is an `Action`, or the text given when the portal knows no such action. ``facts``
    says whose word the facts are, ``"claimed"`` or ``"registry"``; ``ignored`` names the claims
    that a registry decision dropped.
    """

    subject: Subject
    action: Action | str
    resource: Resource
    context: Context
    facts: Literal["claimed", "registry"] = "claimed"
    ignored: tuple[str, ...] = ()
    time: datetime = field(init=False, repr=False, compare=False)
    """The instant of the decision, in UTC."""
    local: datetime = field(init=False, repr=False, compare=False)
    """The same instant on London's clocks, for reading the calendar only."""
    today: date = field(init=False, repr=False, compare=False)
    """London's date at that instant."""

    def __post_init__(self) -> None:
        """Work out London's view of the instant, once.

        Raises:
            ClockError: ``context.time`` is naive, or London time cannot express it.
        """
        local = to_london(self.context.time)
        object.__setattr__(self, "time", local.astimezone(UTC))
        object.__setattr__(self, "local", local)
        object.__setattr__(self, "today", local.date())

    def at(self, instant: datetime) -> Request:
        """Return the same question asked at another instant.

        Raises:
            ClockError: ``instant`` is naive.
        """
        return replace(self, context=replace(self.context, time=to_utc(instant)))

    @classmethod
    def from_document(cls, document: dict[str, Any] | str | bytes) -> Request:
        """Read one evaluation request (AuthZEN 1.0), given as JSON or as parsed JSON.

        Raises:
            InvalidRequestError: with every field that is wrong, each with its JSON pointer.
        """
        evaluations = read_evaluations(document)
        if evaluations.is_batch:
            raise InvalidRequestError(
                [FieldError("/evaluations", "is a batch: read it with read_evaluations()")]
            )
        (item,) = evaluations.items
        if isinstance(item, InvalidRequestError):
            raise item
        return item


class Semantic(Enum):
    """When a batch stops (AuthZEN 1.0, ``options.evaluations_semantic``)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"


@dataclass(frozen=True, slots=True)
class Evaluations:
    """The questions of one document, in order; an item in error stands as its error."""

    items: tuple[Request | InvalidRequestError, ...]
    is_batch: bool
    semantic: Semantic = Semantic.EXECUTE_ALL


def read_evaluations(document: object) -> Evaluations:
    """Read an evaluation or a batch of evaluations (AuthZEN 1.0) with its defaults.

    ``document`` is JSON as text or bytes, or what JSON parses to. An item's ``subject``,
    ``action``, ``resource`` or ``context`` replaces the default whole. An absent or empty
    ``evaluations`` is a single evaluation. An item in error does not stop the others; pointers in
    its errors start at the item with its defaults in place.

    Raises:
        InvalidRequestError: the document as a whole cannot be read.
    """
    if isinstance(document, str | bytes | bytearray):
        document = parse_json(document)
    if not isinstance(document, dict):
        raise InvalidRequestError(
            [FieldError("", f"must be a JSON object, not {describe(document)}")]
        )
    batch = document.get("evaluations")
    if batch is None or batch == []:
        errors = list(unreadable(document))
        item = InvalidRequestError(errors) if errors else _read_item(document)
        return Evaluations((item,), is_batch=False)
    if not isinstance(batch, list):
        raise InvalidRequestError([FieldError("/evaluations", "must be an array of objects")])
    around = {key: value for key, value in document.items() if key != "evaluations"}
    refuse_unreadable(
        RepeatedKeys.like(document, around) if isinstance(document, RepeatedKeys) else around
    )
    semantic = _read_semantic(document)
    defaults = {key: document[key] for key in _ENTITIES if document.get(key) is not None}
    return Evaluations(
        tuple(_read_batch_item(item, defaults) for item in batch),
        is_batch=True,
        semantic=semantic,
    )


def _read_semantic(document: Mapping[str, Any]) -> Semantic:
    options = document.get("options")
    if options is None:
        return Semantic.EXECUTE_ALL
    if not isinstance(options, dict):
        raise InvalidRequestError([FieldError("/options", "must be an object")])
    value = options.get("evaluations_semantic")
    try:
        return Semantic.EXECUTE_ALL if value is None else Semantic(value)
    except ValueError:
        accepted = ", ".join(semantic.value for semantic in Semantic)
        raise InvalidRequestError(
            [FieldError("/options/evaluations_semantic", f"must be one of {accepted}")]
        ) from None


_ENTITIES: Final = ("subject", "action", "resource", "context")


def _read_batch_item(item: object, defaults: dict[str, Any]) -> Request | InvalidRequestError:
    if not isinstance(item, dict):
        return InvalidRequestError([FieldError("", f"must be an object, not {describe(item)}")])
    errors = list(unreadable(item))
    if errors:
        return InvalidRequestError(errors)
    own = {key: item[key] for key in _ENTITIES if item.get(key) is not None}
    return _read_item({**defaults, **own})


def _read_item(document: Mapping[str, Any]) -> Request | InvalidRequestError:
    try:
        return _RequestDocument.model_validate(document).to_request()
    except ValidationError as error:
        return InvalidRequestError(field_errors(error))


_Status = Annotated[AccountStatus, choice_field(AccountStatus)]
_Channel = Annotated[Channel, choice_field(Channel)]
_Mode = Annotated[Mode, choice_field(Mode)]
_Nation = Annotated[Nation, choice_field(Nation)]


class _SmsCodeDocument(InputModel):
    provided_at: InstantField | None = None
    provided_by: TextField | None = None
    channel: _Channel | None = None


class _SubjectProperties(InputModel):
    username: TextField | None = None
    email: TextField | None = None
    roles: Annotated[list[TextField], Field(max_length=MAX_LIST)] | None = None
    two_factor: bool | None = None
    status: _Status | None = None
    created_by_role: TextField | None = None
    sms_code: _SmsCodeDocument | None = None


class _SubjectDocument(InputModel):
    type: TextField
    id: IdField
    properties: _SubjectProperties | None = None


class _ActionDocument(InputModel):
    name: TextField


class _ResourceProperties(InputModel):
    kind: TextField | None = None
    tenant: IdField | None = None


class _ResourceDocument(InputModel):
    type: TextField
    id: TextField
    properties: _ResourceProperties | None = None


def _named(value: str) -> str:
    if not has_words(value):
        raise PydanticCustomError("invalid", "must hold at least one letter or digit")
    return value


class _LandlordDocument(InputModel):
    id: IdField | None = None
    name: TextField | None = None
    also_known_as: Annotated[list[TextField], Field(max_length=MAX_LIST)] | None = None
    sector: TextField | None = None
    portal_access: bool | None = None
    nation: _Nation | None = None
    declared_on: DateField | None = None
    partnership_manager: TextField | None = None
    automation_accounts: Annotated[list[IdField], Field(max_length=MAX_LIST)] | None = None
    running_accounts: Annotated[list[IdField], Field(max_length=MAX_LIST)] | None = None
    paused: bool | None = None

    @field_validator("name")
    @classmethod
    def _name_has_words(cls, value: str | None) -> str | None:
        return None if value is None else _named(value)

    @field_validator("also_known_as")
    @classmethod
    def _other_names_have_words(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else [_named(name) for name in value]


class _ClosureDocument(InputModel):
    from_: InstantField = Field(alias="from")
    to: InstantField
    reason: TextField | None = None

    @field_validator("to")
    @classmethod
    def _ends_after_it_begins(cls, value: datetime, info: ValidationInfo) -> datetime:
        begins = info.data.get("from_")
        if begins is not None and value <= begins:
            raise PydanticCustomError("invalid", "must be later than 'from'")
        return value


class _NoticeDocument(InputModel):
    id: IdField
    effective_on: DateField
    affects_automation: bool | None = None


class _FormDocument(InputModel):
    fingerprint: TextField | None = None
    tested_fingerprint: TextField | None = None
    tested_on: DateField | None = None


class _ContextDocument(InputModel):
    time: InstantField
    mode: _Mode | None = None
    landlord: _LandlordDocument | None = None
    expected_duration: DurationField | None = None
    closures: Annotated[list[_ClosureDocument], Field(max_length=MAX_LIST)] | None = None
    form: _FormDocument | None = None
    notices: Annotated[list[_NoticeDocument], Field(max_length=MAX_LIST)] | None = None
    answers: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    explain: bool | None = None

    @field_validator("time")
    @classmethod
    def _calendars_cover_it(cls, value: datetime) -> datetime:
        if not FIRST_YEAR <= value.astimezone(LONDON).year <= LAST_YEAR:
            raise PydanticCustomError(
                "invalid",
                "lies outside the years {first} to {last}, for which bank holidays are known",
                {"first": FIRST_YEAR, "last": LAST_YEAR},
            )
        return value


class _RequestDocument(InputModel):
    subject: _SubjectDocument
    action: _ActionDocument
    resource: _ResourceDocument
    context: _ContextDocument

    def to_request(self) -> Request:
        return Request(
            subject=_subject(self.subject),
            action=_known(Action, self.action.name),
            resource=_resource(self.resource),
            context=_context(self.context),
        )


def _known(vocabulary: type[Any], name: str) -> Any:
    try:
        return vocabulary(name)
    except ValueError:
        return name


def _subject(document: _SubjectDocument) -> Subject:
    facts = document.properties or _SubjectProperties()
    code = facts.sms_code
    return Subject(
        type=document.type,
        id=document.id,
        username=facts.username,
        email=facts.email,
        roles=None if facts.roles is None else frozenset(_known(Role, r) for r in facts.roles),
        two_factor=facts.two_factor,
        status=facts.status,
        created_by_role=(
            None if facts.created_by_role is None else _known(Role, facts.created_by_role)
        ),
        sms_code=None
        if code is None
        else SmsCode(
            provided_at=code.provided_at,
            provided_by=code.provided_by,
            channel=code.channel,
        ),
    )


def _resource(document: _ResourceDocument) -> Resource:
    facts = document.properties or _ResourceProperties()
    return Resource(
        type=document.type,
        id=document.id,
        kind=None if facts.kind is None else _known(TodoKind, facts.kind),
        tenant=facts.tenant,
    )


def _landlord(document: _LandlordDocument) -> LandlordFacts:
    declared_on: date | NotDeclared | None = document.declared_on
    if declared_on is None and "declared_on" in document.model_fields_set:
        declared_on = NOT_DECLARED
    return LandlordFacts(
        id=document.id,
        name=document.name,
        also_known_as=tuple(document.also_known_as or ()),
        sector=document.sector,
        portal_access=document.portal_access,
        nation=document.nation,
        declared_on=declared_on,
        partnership_manager=document.partnership_manager,
        automation_accounts=_maybe_tuple(document.automation_accounts),
        running_accounts=_maybe_tuple(document.running_accounts),
        paused=document.paused,
    )


def _context(document: _ContextDocument) -> Context:
    form = document.form
    return Context(
        time=document.time,
        mode=document.mode or Mode.LIVE,
        landlord=_landlord(document.landlord or _LandlordDocument()),
        expected_duration=document.expected_duration,
        closures=tuple(Closure(c.from_, c.to, c.reason or "") for c in document.closures or ()),
        form=None
        if form is None
        else Form(form.fingerprint, form.tested_fingerprint, form.tested_on),
        notices=tuple(
            Notice(n.id, n.effective_on, n.affects_automation is not False)
            for n in document.notices or ()
        ),
        answers=document.answers,
        record=document.record,
        explain=document.explain or False,
    )


def _maybe_tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)


def request_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a request document, batches included."""
    single = _RequestDocument.model_json_schema(ref_template="#/$defs/{model}")
    definitions = single.pop("$defs")
    definitions["Evaluation"] = single
    entities = {name: dict(single["properties"][name]) for name in _ENTITIES}
    item = {"type": "object", "properties": entities}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "automation-rules evaluation request",
        "type": "object",
        "if": {
            "properties": {"evaluations": {"type": "array", "minItems": 1}},
            "required": ["evaluations"],
        },
        "then": {
            "properties": {
                **{
                    name: {"anyOf": [schema, {"type": "null"}]} for name, schema in entities.items()
                },
                "evaluations": {"type": "array", "items": item},
                "options": {
                    "type": ["object", "null"],
                    "properties": {
                        "evaluations_semantic": {"enum": [s.value for s in Semantic] + [None]}
                    },
                },
            }
        },
        "else": {"$ref": "#/$defs/Evaluation"},
        "$defs": definitions,
    }
