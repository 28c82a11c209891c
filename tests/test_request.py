"""Reading request documents: what is a fact, what is an error, and where it stands."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation_rules import (
    Action,
    ClockError,
    InvalidRequestError,
    Nation,
    Request,
    Role,
    TodoKind,
    landlord_portal,
    read_evaluations,
)
from automation_rules.accounts import AccountStatus
from automation_rules.request import (
    NOT_DECLARED,
    Channel,
    Mode,
    Notice,
    Semantic,
    SmsCode,
    request_schema,
)
from automation_rules.testing import allowed_request_document, request_documents
from automation_rules.windows import Closure
from patching import ABSENT, patched

SP = "/subject/properties"
CODE = f"{SP}/sms_code"
LL = "/context/landlord"


def errors_of(document: Any) -> list[str]:
    """Every error of reading a document, as ``pointer: problem``."""
    with pytest.raises(InvalidRequestError) as caught:
        Request.from_document(document)
    return [f"{error.pointer}: {error.problem}" for error in caught.value.errors]


def test_every_field_is_read() -> None:
    """Each fact of the document arrives in its place, in its own type."""
    request = Request.from_document(
        patched(
            {
                "/resource/properties/tenant": "t-1",
                f"{LL}/also_known_as": ["Acme"],
                f"{LL}/running_accounts": ["acme-1"],
                f"{LL}/paused": False,
                "/context/expected_duration": "PT2M",
                "/context/closures": [
                    {"from": "2026-06-03T00:00:00Z", "to": "2026-06-03T01:00:00Z", "reason": "r"}
                ],
                "/context/form": {
                    "fingerprint": "f", "tested_fingerprint": "g", "tested_on": "2026-06-01",
                },
                "/context/notices": [
                    {"id": "n", "effective_on": "2026-07-01"},
                    {"id": "m", "effective_on": "2026-07-02", "affects_automation": False},
                ],
                "/context/answers": {"a": 1},
                "/context/record": {"a": None},
                "/context/explain": True,
            }
        )
    )  # fmt: skip
    subject, context = request.subject, request.context
    assert (subject.type, subject.id) == ("automation_account", "acme-1")
    assert subject.username == "Acme Homes Automation 1"
    assert subject.email == "automation1@acme.example"
    assert subject.roles == frozenset({Role.COMPLETE_TODOS})
    assert subject.two_factor is True
    assert subject.status is AccountStatus.ACTIVE
    assert subject.created_by_role is Role.MANAGE_USERS
    assert subject.sms_code == SmsCode(
        datetime(2026, 6, 2, 7, 5, tzinfo=UTC), "housing-officer-7", Channel.MANUAL
    )
    assert request.action is Action.SUBMIT_TODO
    assert (request.resource.type, request.resource.id) == ("todo", "td-17")
    assert request.resource.kind is TodoKind.PROVIDE_TENANCY_DETAILS
    assert request.resource.tenant == "t-1"
    assert request.time == context.time == datetime(2026, 6, 2, 8, tzinfo=UTC)
    assert request.local.hour == 9
    assert request.today == date(2026, 6, 2)
    assert context.mode is Mode.LIVE
    landlord = context.landlord
    assert (landlord.id, landlord.name, landlord.sector) == ("acme", "Acme Homes", "social")
    assert landlord.also_known_as == ("Acme",)
    assert landlord.portal_access is True
    assert landlord.nation is Nation.ENGLAND_AND_WALES
    assert landlord.declared_on == date(2026, 1, 5)
    assert landlord.partnership_manager == "North West partnership manager"
    assert landlord.automation_accounts == ("acme-1", "acme-2")
    assert landlord.running_accounts == ("acme-1",)
    assert landlord.paused is False
    assert context.expected_duration == timedelta(minutes=2)
    assert context.closures == (
        Closure(datetime(2026, 6, 3, tzinfo=UTC), datetime(2026, 6, 3, 1, tzinfo=UTC)),
    )
    assert context.closures[0].reason == "r"
    assert context.form is not None
    assert (context.form.fingerprint, context.form.tested_fingerprint) == ("f", "g")
    assert context.form.tested_on == date(2026, 6, 1)
    assert context.notices == (
        Notice("n", date(2026, 7, 1)),
        Notice("m", date(2026, 7, 2), affects_automation=False),
    )
    assert context.answers == {"a": 1}
    assert context.record == {"a": None}
    assert context.explain is True
    assert (request.facts, request.ignored) == ("claimed", ())


OPTIONAL = [
    f"{SP}", f"{SP}/username", f"{SP}/email", f"{SP}/roles", f"{SP}/two_factor", f"{SP}/status",
    f"{SP}/created_by_role", CODE, f"{CODE}/provided_at", f"{CODE}/provided_by",
    f"{CODE}/channel", "/resource/properties", "/resource/properties/kind",
    "/resource/properties/tenant", "/context/mode", LL, f"{LL}/id", f"{LL}/name",
    f"{LL}/also_known_as", f"{LL}/sector", f"{LL}/portal_access", f"{LL}/nation",
    f"{LL}/partnership_manager", f"{LL}/automation_accounts", f"{LL}/running_accounts",
    f"{LL}/paused", "/context/expected_duration", "/context/closures", "/context/form",
    "/context/notices", "/context/explain",
]  # fmt: skip


@pytest.mark.parametrize("pointer", OPTIONAL)
def test_null_is_the_same_as_absent(pointer: str) -> None:
    """Every optional field that is null is a field that was not given."""
    with_null = patched({pointer: None})
    absent = patched({pointer: None})
    *above, name = pointer.split("/")[1:]
    place = absent
    for key in above:
        place = place[key]
    del place[name]
    assert Request.from_document(with_null) == Request.from_document(absent)


def test_a_declaration_of_null_says_not_declared() -> None:
    """``declared_on: null`` is a fact; its absence is none."""
    for value, expected in ((None, NOT_DECLARED), (ABSENT, None)):
        request = Request.from_document(patched({f"{LL}/declared_on": value}))
        assert request.context.landlord.declared_on is expected


def test_null_inside_answers_and_record_is_a_value() -> None:
    """A record that says null is not a record that says nothing."""
    record = {"/context/record": {"pets": None}}
    same = Request.from_document(patched({**record, "/context/answers": {"pets": None}}))
    lacks = Request.from_document(patched({**record, "/context/answers": {}}))
    assert landlord_portal().decide(same).allowed
    assert not landlord_portal().decide(lacks).allowed


REQUIRED = [
    "/subject", "/subject/type", "/subject/id", "/action", "/action/name", "/resource",
    "/resource/type", "/resource/id", "/context", "/context/time",
]  # fmt: skip


@pytest.mark.parametrize("pointer", REQUIRED)
@pytest.mark.parametrize("value", [ABSENT, None])
def test_what_a_question_needs_is_required(pointer: str, value: object) -> None:
    """Without subject, action, resource or time there is no question, and null is none either."""
    assert errors_of(patched({pointer: value})) == [f"{pointer}: is required"]


# fmt: off
WRONG: list[tuple[str, Any, str]] = [
    ("/subject", [], "must be an object"),
    ("/subject/type", 1, "must be a string"),
    ("/subject/id", "", "must not be empty"),
    ("/subject/id", "x" * 1001, "is longer than 1000 characters"),
    (SP, "x", "must be an object"),
    (f"{SP}/username", 7, "must be a string"),
    (f"{SP}/email", ["a@b"], "must be a string"),
    (f"{SP}/email", "x" * 1001, "is longer than 1000 characters"),
    (f"{SP}/roles", "complete_todos", "must be an array"),
    (f"{SP}/roles", ["x"] * 1001, "has more than 1000 entries"),
    (f"{SP}/two_factor", 1, "must be true or false, a JSON boolean"),
    (f"{SP}/two_factor", "true", "must be true or false, a JSON boolean"),
    (f"{SP}/status", "Active", "must be one of active, paused, deactivated"),
    (f"{SP}/status", "", "must be one of active, paused, deactivated"),
    (f"{SP}/status", 1, "must be one of active, paused, deactivated"),
    (f"{SP}/status", [], "must be one of active, paused, deactivated"),
    (f"{SP}/created_by_role", True, "must be a string"),
    (CODE, "123456", "must be an object"),
    (f"{CODE}/provided_at", "2026-06-02T08:05:00", "has no UTC offset"),
    (f"{CODE}/provided_at", 1780387200, "must be a string"),
    (f"{CODE}/provided_by", 7, "must be a string"),
    (f"{CODE}/channel", "by hand", "must be one of manual, automated"),
    (f"{CODE}/channel", {}, "must be one of manual, automated"),
    ("/action", "submit_todo", "must be an object"),
    ("/action/name", 1, "must be a string"),
    ("/resource", None, "is required"),
    ("/resource/properties", [], "must be an object"),
    ("/resource/properties/kind", 1, "must be a string"),
    ("/resource/properties/tenant", "", "must not be empty"),
    ("/context", [], "must be an object"),
    ("/context/time", "2026-06-02T09:00:00", "has no UTC offset"),
    ("/context/time", "2026-06-02", "must be an RFC 3339"),
    ("/context/time", 1780387200, "must be a string"),
    ("/context/time", "1980-12-31T23:59:59.999999Z", "lies outside the years 1981 to 2100"),
    ("/context/time", "2101-01-01T00:00:00Z", "lies outside the years 1981 to 2100"),
    ("/context/time", "0001-01-01T00:00:00Z", "lies outside the years"),
    ("/context/time", "9999-12-31T23:59:59Z", "lies outside the years"),
    ("/context/mode", "Live", "must be one of live, test"),
    ("/context/mode", "", "must be one of live, test"),
    ("/context/mode", True, "must be one of live, test"),
    (LL, "acme", "must be an object"),
    (f"{LL}/id", "", "must not be empty"),
    (f"{LL}/name", "", "must hold at least one letter or digit"),
    (f"{LL}/name", " -- ", "must hold at least one letter or digit"),
    (f"{LL}/name", "\u0302", "must hold at least one letter or digit"),
    (f"{LL}/name", 7, "must be a string"),
    (f"{LL}/also_known_as", ["Acme", "!"], "must hold at least one letter or digit"),
    (f"{LL}/also_known_as", "Acme", "must be an array"),
    (f"{LL}/sector", 1, "must be a string"),
    (f"{LL}/portal_access", 0, "must be true or false, a JSON boolean"),
    (f"{LL}/nation", "wales",
     "must be one of union, england-and-wales, scotland, northern-ireland"),
    (f"{LL}/declared_on", "2026-01-05T00:00:00Z", "must be a date"),
    (f"{LL}/declared_on", "5 January 2026", "must be a date"),
    (f"{LL}/declared_on", False, "must be a date"),
    (f"{LL}/partnership_manager", {}, "must be a string"),
    (f"{LL}/automation_accounts", {"acme-1": 1}, "must be an array"),
    (f"{LL}/running_accounts", "acme-1", "must be an array"),
    (f"{LL}/paused", "no", "must be true or false, a JSON boolean"),
    ("/context/expected_duration", "P1M", "must be an ISO 8601 duration"),
    ("/context/expected_duration", "PT0S", "must be longer than zero"),
    ("/context/expected_duration", 120, "must be a string, for example PT2M"),
    ("/context/closures", {}, "must be an array"),
    ("/context/form", "f", "must be an object"),
    ("/context/notices", [[]], "must be an object"),
    ("/context/notices", [None], "must be an object"),
    (f"{SP}/roles", ["complete_todos", None], "must be a string"),
    ("/context/answers", [], "must be an object"),
    ("/context/record", "x", "must be an object"),
    ("/context/explain", 1, "must be true or false, a JSON boolean"),
]
# fmt: on


@pytest.mark.parametrize(("pointer", "value", "problem"), WRONG)
def test_a_wrong_value_is_an_error_that_names_its_field(
    pointer: str, value: Any, problem: str
) -> None:
    """Wrong types, values outside closed lists and impossible instants are told by place."""
    (error,) = errors_of(patched({pointer: value}))
    assert error.startswith(f"{pointer}")
    assert problem in error


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/action/name", "x"), ("/action/name", ""), (f"{SP}/roles", ["", "x"]),
        ("/resource/properties/kind", ""), (f"{LL}/sector", "x"), ("/subject/type", ""),
        ("/resource/type", "x"), ("/resource/id", ""), (f"{SP}/created_by_role", "x"),
    ],
)  # fmt: skip
def test_open_vocabularies_are_judged_not_refused(pointer: str, value: Any) -> None:
    """Unknown actions, roles, kinds, sectors and types are read, and the checks deny them."""
    request = Request.from_document(patched({pointer: value}))
    assert landlord_portal().decide(request).allowed is (pointer == "/resource/id")


def test_places_inside_arrays_are_named() -> None:
    """An error of one entry names that entry."""
    changes = {
        f"{SP}/roles": ["complete_todos", 1],
        f"{LL}/automation_accounts": ["acme-1", ""],
        "/context/closures": [
            {"from": "2026-06-02T00:00:00Z", "to": "2026-06-02T00:00:00Z"},
            {"from": "2026-06-02T00:00:00", "to": "2026-06-02T00:00:00Z"},
            {"to": "2026-06-02T00:00:00Z", "reason": 1},
        ],
        "/context/notices": [{"id": "", "effective_on": "soon", "affects_automation": "yes"}],
    }
    places = [error.split(": ")[0] for error in errors_of(patched(changes))]
    assert places == [
        f"{SP}/roles/1",
        f"{LL}/automation_accounts/1",
        "/context/closures/0/to",
        "/context/closures/1/from",
        "/context/closures/2/from",
        "/context/closures/2/reason",
        "/context/notices/0/id",
        "/context/notices/0/effective_on",
        "/context/notices/0/affects_automation",
    ]


def test_all_errors_come_at_once_and_repeat_no_value() -> None:
    """Every field that is wrong is named, and what stood in it is not."""
    secret = "made-up-secret"
    changes = {f"{SP}/email": [secret], f"{LL}/nation": secret, "/context/time": secret}
    document = patched(changes)
    with pytest.raises(InvalidRequestError) as caught:
        Request.from_document(document)
    assert [error.field for error in caught.value.errors] == [
        "subject.properties.email", "context.time", "context.landlord.nation",
    ]  # fmt: skip
    assert secret not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize("document", [[], "[]", "1", "null", b'"x"', 7, None, True])
def test_a_document_is_an_object(document: Any) -> None:
    """Anything else is an error of the whole document."""
    assert errors_of(document)[0].startswith(": must be a JSON object, not ")


def test_unreadable_text_is_told_by_its_place() -> None:
    """Repeated keys, surrogates and nesting are errors in fields that nobody reads as well."""
    text = json.dumps(allowed_request_document())
    assert errors_of(text[:-1] + ', "context": {}}') == ["/context: stands twice in one object"]
    assert errors_of(patched({"/extra": "\ud800"}))[0].startswith("/extra: holds a lone")
    assert errors_of(patched({"/extra": {"a": float("nan")}})) == [
        "/extra/a: must be a finite number of at most 400 digits"
    ]
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert "nested" in errors_of(patched({"/context/answers": {"a": deep}}))[0]


def test_unknown_fields_are_ignored() -> None:
    """Fields that nobody knows change nothing, wherever they stand."""
    plain = Request.from_document(allowed_request_document())
    for pointer in ("/x", "/subject/x", f"{SP}/x", f"{CODE}/x", f"{LL}/x", "/context/x"):
        assert Request.from_document(patched({pointer: {"any": ["thing"]}})) == plain


def test_a_python_request_has_an_aware_time() -> None:
    """Naive instants are refused in requests that are built or moved in Python, too."""
    request = Request.from_document(allowed_request_document())
    with pytest.raises(ClockError, match="no UTC offset"):
        request.at(datetime(2026, 6, 2, 9))  # noqa: DTZ001
    with pytest.raises(ClockError, match="no UTC offset"):
        SmsCode(provided_at=datetime(2026, 6, 2, 9))  # noqa: DTZ001


@given(request_documents())
def test_valid_documents_suit_the_schema(document: dict[str, Any]) -> None:
    """What the test kit draws is valid by the JSON Schema of requests."""
    VALIDATOR.validate(document)


VALIDATOR = jsonschema.Draft202012Validator(request_schema())


def test_the_schema_is_one() -> None:
    """The request's schema is itself valid."""
    jsonschema.Draft202012Validator.check_schema(request_schema())


@pytest.mark.parametrize(
    ("pointer", "value"),
    [(p, v) for p, v, problem in WRONG if "outside" not in problem and "offset" not in problem
     and "letter or digit" not in problem and not isinstance(v, str)],
)  # fmt: skip
def test_the_schema_refuses_wrong_types(pointer: str, value: Any) -> None:
    """A value of another type is refused by the schema as well."""
    assert not VALIDATOR.is_valid(patched({pointer: value}))


# ---------------------------------------------------------------- batches


def batch(*items: Any, **more: Any) -> dict[str, Any]:
    """A batch over the allowed document's defaults."""
    return {**allowed_request_document(), "evaluations": list(items), **more}


def read(document: Any) -> list[Request | list[str]]:
    """The items of a batch; an item in error as the pointers of its errors."""
    evaluations = read_evaluations(document)
    assert evaluations.is_batch
    return [
        [error.pointer for error in item.errors] if isinstance(item, InvalidRequestError) else item
        for item in evaluations.items
    ]


def test_an_item_replaces_defaults_whole() -> None:
    """An item's entity stands alone: nothing of the default of that name is left in it."""
    action = {"name": "sign_in"}
    resource = {"type": "portal", "id": "p"}
    first, second, third = read(batch({}, {"action": action, "resource": resource}, {"subject": {
        "type": "automation_account", "id": "acme-1"}}))  # fmt: skip
    assert first == Request.from_document(allowed_request_document())
    assert isinstance(second, Request)
    assert second.action is Action.SIGN_IN
    assert second.resource.kind is None
    assert isinstance(third, Request)
    assert third.subject.username is None


def test_null_in_an_item_leaves_the_default() -> None:
    """A null entity is an absent one, in the item and among the defaults."""
    (item,) = read(batch({"subject": None, "action": None}))
    assert item == Request.from_document(allowed_request_document())
    assert read({**batch({}), "context": None}) == [["/context"]]


def test_an_item_in_error_does_not_stop_the_others() -> None:
    """Errors stand in their item's place, with pointers from the item, defaults in place."""
    found = read(
        batch(
            {"context": {"time": "2026-06-02T09:00:00"}}, {}, 7, {"action": []}, {"x": "\ud800"},
            {"subject": {"type": "x"}},
        )
    )  # fmt: skip
    assert found[0] == ["/context/time"]
    assert isinstance(found[1], Request)
    assert found[2:] == [[""], ["/action"], ["/x"], ["/subject/id"]]


@pytest.mark.parametrize("empty", [None, []])
def test_an_absent_or_empty_batch_is_one_question(empty: Any) -> None:
    """``evaluations`` that holds nothing leaves the document a single evaluation."""
    evaluations = read_evaluations({**allowed_request_document(), "evaluations": empty})
    assert not evaluations.is_batch
    assert evaluations.items == (Request.from_document(allowed_request_document()),)


@pytest.mark.parametrize("wrong", [{}, "x", 1, True])
def test_a_batch_is_an_array(wrong: Any) -> None:
    """Evaluations of another type are an error of the whole document."""
    with pytest.raises(InvalidRequestError, match="evaluations: must be an array"):
        read_evaluations({**allowed_request_document(), "evaluations": wrong})


def test_a_batch_is_not_one_request() -> None:
    """Reading one request from a batch is an error that says what to call."""
    assert errors_of(batch({})) == ["/evaluations: is a batch: read it with read_evaluations()"]


@pytest.mark.parametrize(
    ("options", "semantic"),
    [
        (None, Semantic.EXECUTE_ALL),
        ({}, Semantic.EXECUTE_ALL),
        ({"evaluations_semantic": None}, Semantic.EXECUTE_ALL),
        ({"evaluations_semantic": "execute_all", "x": 1}, Semantic.EXECUTE_ALL),
        ({"evaluations_semantic": "deny_on_first_deny"}, Semantic.DENY_ON_FIRST_DENY),
        ({"evaluations_semantic": "permit_on_first_permit"}, Semantic.PERMIT_ON_FIRST_PERMIT),
    ],
)
def test_a_batch_says_when_it_stops(options: Any, semantic: Semantic) -> None:
    """The semantic of the batch is read; every one of AuthZEN's three is known."""
    assert read_evaluations(batch({}, options=options)).semantic is semantic


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ([], "options: must be an object"),
        ({"evaluations_semantic": "all"}, "options.evaluations_semantic: must be one of"),
        ({"evaluations_semantic": []}, "options.evaluations_semantic: must be one of"),
    ],
)
def test_an_unknown_semantic_is_an_error(options: Any, place: str) -> None:
    """How a batch is to be worked through is never guessed."""
    with pytest.raises(InvalidRequestError, match=place):
        read_evaluations(batch({}, options=options))


def test_unreadable_defaults_are_an_error_of_the_document() -> None:
    """What no JSON may hold is refused outside the items for all of them."""
    with pytest.raises(InvalidRequestError, match="extra: holds a lone surrogate"):
        read_evaluations(batch({}, extra="\ud800"))
    text = json.dumps(batch({}))
    with pytest.raises(InvalidRequestError, match="stands twice"):
        read_evaluations(text[:-1] + ', "subject": {}}')


FUZZ = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.text(max_size=4), child),
    max_leaves=5,
)


@given(request_documents(), st.data())
def test_any_value_anywhere_is_read_or_refused(
    document: dict[str, Any], data: st.DataObject
) -> None:
    """Whatever is put in whatever place, reading ends with a request or with named errors."""
    place: Any = document
    pointer = ""
    while isinstance(place, dict) and place:
        key = data.draw(st.sampled_from(sorted(place)))
        pointer += f"/{key}"
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            place[key] = data.draw(FUZZ)
            break
        place = place[key]
    try:
        request = Request.from_document(document)
    except InvalidRequestError as error:
        misplaced = [found for found in error.errors if not found.pointer.startswith(pointer)]
    else:
        misplaced = []
        landlord_portal_decides(request)
    assert misplaced == []


def landlord_portal_decides(request: Request) -> None:
    """Decide, and tell it, without an error."""
    decision = landlord_portal().decide(request)
    assert "check_error" not in {finding.code for finding in decision.findings}
    decision.to_document()
    decision.explain("cy")


@given(FUZZ | st.text() | st.binary())
def test_any_document_is_read_or_refused(document: Any) -> None:
    """Anything at all is refused with named errors, and with nothing else."""
    for reader in (Request.from_document, read_evaluations):
        try:
            reader(document)
        except InvalidRequestError as error:
            named = bool(error.errors)
        else:
            named = isinstance(document, dict)
        assert named
