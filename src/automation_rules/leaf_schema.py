"""The closed shape of leaves, by which a verified log is also known to say nothing else.

pydantic reads leaves here, when a log is verified, and writes the JSON Schema that ships. Making
an entry does not load this module.
"""

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from .accounts import AccountStatus
from .actions import Action, Role, TodoKind
from .errors import VerificationError
from .leaf import CHECK_ID, CLAIM, CODE, HELD, MAX_NAME
from .readings import READINGS
from .vault import Kind, canonical
from .windows import Nation

__all__ = ["leaf_schema", "read_leaf"]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _one_of(words: Iterable[str]) -> Any:
    return Field(pattern=f"^({'|'.join(map(re.escape, words))})$")


_Instant = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")
]
_Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
_Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
_Uuid = Annotated[
    str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
_Id = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
_Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
_Unknown = Literal["unknown"]
_Other = Literal["other"]
_Reading = Annotated[str, _one_of(READINGS)]
_Value = Annotated[str, _one_of({value: None for values in READINGS.values() for value in values})]


class _ReadingUse(_Closed):
    name: _Reading
    value: _Value


class _Check(_Closed):
    check: Annotated[str, Field(pattern=CHECK_ID)]
    outcome: Literal["pass", "fail", "warn", "not_applicable"]
    code: Annotated[str, Field(pattern=CODE)] | None
    readings: list[_ReadingUse]
    differing: _Count = 0
    children: "list[_Check]" = []


if TYPE_CHECKING:
    _Readings = dict[str, str]
    _Slot = str
else:
    _Slot = Literal[(*(kind.value for kind in Kind), HELD)]
    _Readings = create_model(
        "_Readings",
        __base__=_Closed,
        **{name: Literal[values] for name, values in READINGS.items()},
    )


class _Form(_Closed):
    fingerprint: bool
    tested_fingerprint: bool
    equal: bool | None
    tested_on: _Day | None


class _Given(_Closed):
    subject_type: Literal["automation_account"] | _Other
    resource_type: Literal["todo", "portal"] | _Other
    roles: list[Role | _Unknown] | None
    two_factor: bool | None
    status: AccountStatus | None
    created_by_role: Role | _Unknown | None
    sms_code: Literal["absent", "incomplete", "complete"]
    sector: Literal["social"] | _Other | None
    portal_access: bool | None
    nation: Nation | None
    declared_on: _Day | Literal["not_declared"] | None
    landlord_paused: bool | None
    automation_accounts: list[_Id] | None
    running_accounts: list[_Id] | None
    expected_duration: _Count | None
    closures: list[Annotated[list[_Instant], Field(min_length=2, max_length=2)]]
    notices: list[tuple[_Day, bool]]
    form: _Form | None
    answers: bool
    record: bool


class _Policy(_Closed):
    id: _Id
    version: _Id
    digest: _Digest


class _Terms(_Closed):
    version: _Id
    digest: _Digest


class _Head(_Closed):
    size: _Count
    root: _Sha256


class _Leaf(_Closed):
    v: Literal[1]
    time: _Instant
    tokens: dict[_Slot, _Token]
    envelopes: dict[_Slot, _Sha256]


class _Decision(_Leaf):
    type: Literal["decision"]
    decision_id: _Uuid
    account: _Id | None
    landlord: _Id | None
    action: Action | _Unknown
    todo_kind: TodoKind | None
    mode: Literal["live", "test"]
    decision: bool
    facts: Literal["registry", "claimed"]
    ignored: list[Annotated[str, Field(pattern=CLAIM)]]
    given: _Given
    checks: list[_Check]
    policy: _Policy
    readings: _Readings
    terms: _Terms
    next_action: Literal["retry", "none"]
    retry_after: _Instant | None
    valid_until: _Instant | None


class _RollbackAcknowledged(_Leaf):
    type: Literal["rollback_acknowledged"]
    event_id: _Uuid
    expected: _Head
    found: _Head


class _Erased(_Closed):
    kind: Kind
    token: _Token | None


class _Counts(_Closed):
    envelopes: _Count
    registry: _Count


class _Erasure(_Leaf):
    type: Literal["erasure"]
    event_id: _Uuid
    subject: _Erased
    counts: _Counts


class _Hold(_Leaf):
    type: Literal["hold"]
    event_id: _Uuid
    kind: Kind
    change: Literal["placed", "released"]


class _Retention(_Leaf):
    type: Literal["retention"]
    event_id: _Uuid
    before: _Instant
    first: _Count
    exported: _Head


_AnyLeaf = _Decision | _RollbackAcknowledged | _Erasure | _Hold | _Retention
_FIELDS: Final = {
    name
    for leaf in (_Decision, _RollbackAcknowledged, _Erasure, _Hold, _Retention)
    for name in leaf.model_fields
}
_LEAF: Final[TypeAdapter[_AnyLeaf]] = TypeAdapter(Annotated[_AnyLeaf, Field(discriminator="type")])


def read_leaf(leaf: bytes, *, index: int | None = None) -> dict[str, Any]:
    """Return what a leaf says, when it is canonical JSON of the closed shape.

    Raises:
        VerificationError: it is not; names the place and never what stands there.
    """
    try:
        _LEAF.validate_json(leaf)
    except ValidationError as error:
        # Deeper places may be named by keys that somebody made up.
        found = {str(part) for problem in error.errors() for part in problem["loc"][:2]}
        places = ", ".join(sorted(found & _FIELDS)) or "the whole"
        raise VerificationError(
            f"entry {index} is not what an entry can be: {places}", index=index
        ) from None
    document: dict[str, Any] = json.loads(leaf)
    if canonical(document) != leaf:
        raise VerificationError(f"entry {index} is not canonical JSON", index=index)
    return document


def leaf_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of leaves, closed at every level."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "automation-rules log entry",
        **_LEAF.json_schema(),
    }
