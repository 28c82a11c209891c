"""The decision service, as a process of its own, asked over real sockets."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from automation_rules.clock import SystemClock
from automation_rules.store import ServiceTokens, Store
from automation_rules.texts import load
from gateway_world import make_world
from service_process import Service, document, entries, last_opened, size, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Server

DECISION = jsonschema.Draft202012Validator(load("decision.schema.json"))


PUBLIC = ("--public-url", "https://decisions.acme.example")


@contextmanager
def serving(url: str, folder: Path) -> Iterator[Service]:
    """Give a service over a new state, whose log must hold in the end."""
    with pytest.MonkeyPatch.context() as patch:
        world = make_world(url, folder, patch)
        with Service(world, *PUBLIC) as service:
            yield service
            verify(world)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service on SQLite for the whole module."""
    folder = tmp_path_factory.mktemp("service")
    with serving(f"sqlite:///{folder / 'state.sqlite3'}", folder) as service:
        yield service


@pytest.fixture(scope="module")
def on_postgresql(
    postgresql: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Give a service on PostgreSQL for the whole module."""
    with serving(postgresql.new_schema(), tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(params=["service", "on_postgresql"])
def both(request: pytest.FixtureRequest) -> Service:
    """Return a service on each database in turn."""
    service: Service = request.getfixturevalue(request.param)
    return service


def codes(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return what failed."""
    return [(r["check"], r["code"]) for r in answer["context"]["reasons"] if r["outcome"] == "fail"]


# --- decisions --------------------------------------------------------------------------------


def test_step_in_order_is_allowed_and_recorded(both: Service) -> None:
    """An allow is 200, says the shipped schema's things, and is in the log when it arrives."""
    response = both.client.post("/access/v1/evaluation", json=document())
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    DECISION.validate(answer)
    assert answer["decision"] is True
    assert answer["context"]["facts"] == "registry"
    last = entries(both.world)[-1]
    assert last["decision_id"] == answer["context"]["decision_id"]
    assert last["account"] == "acme-1"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (document(account="nobody-9"), ("account", "missing_fact")),
        (document(account="a\nb"), ("account", "missing_fact")),
        (
            {**document(), "subject": {"type": "user", "id": "acme-1"}},
            ("account", "not_automation_account"),
        ),
        (document("read"), ("action", "unknown_action")),
        (document("view_payments", todo=None), ("action", "other_portal_function")),
        (document(kind="other"), ("action", "not_housing_costs")),
        (
            {**document(), "resource": {**document()["resource"], "type": "document"}},
            ("action", "not_housing_costs"),
        ),
        (document(mode="test"), ("test_mode", "submit_in_test_mode")),
        (document(expected_duration="PT10H"), ("window", "insufficient_time_left")),
        (document(form={"fingerprint": "sha256:1"}), ("form", "missing_fact")),
        (document(answers={"rent": "1"}, record={"rent": "2"}), ("answers", "answers_differ")),
    ],
)
def test_denials_are_answers(
    service: Service, asked: dict[str, Any], code: tuple[str, str]
) -> None:
    """A denial is 200 too, names what failed, and is recorded."""
    before = size(service.world)
    answer = service.ask(asked)
    DECISION.validate(answer)
    assert answer["decision"] is False
    assert code in codes(answer)
    [entry] = entries(service.world, before)
    assert entry["decision_id"] == answer["context"]["decision_id"]


def test_registry_facts_win(both: Service) -> None:
    """Everything a caller claims of the subject, the landlord or the time is dropped and named."""
    asked = document(
        account="nobody-9",
        time="2026-06-06T09:00:00+01:00",
        landlord={"sector": "social", "automation_accounts": ["nobody-9"]},
        closures=[{"from": "x"}],
        notices="whatever",
        form={"tested_fingerprint": "sha256:1", "tested_on": "2026-06-01"},
    )
    asked["subject"]["properties"] = {
        "username": "Acme Homes Automation 9",
        "roles": ["complete_todos"],
        "two_factor": True,
        "status": None,
        "department": "Lettings",
    }
    answer = both.ask(asked)
    assert answer["decision"] is False
    dropped = [
        "subject.properties.username",
        "subject.properties.roles",
        "subject.properties.two_factor",
        "context.time",
        "context.landlord",
        "context.closures",
        "context.notices",
        "context.form.tested_fingerprint",
        "context.form.tested_on",
    ]
    assert answer["context"]["ignored"] == dropped
    assert entries(both.world)[-1]["ignored"] == dropped
    assert "2026-06-02" in answer["context"]["evaluated_at"]


def test_claims_cannot_make_a_denial_an_allow(service: Service) -> None:
    """A bot whose registered facts deny it stays denied whatever is claimed."""
    with service.world.registry() as registry:
        registry.update_account("acme-2", two_factor=False)
    asked = document(account="acme-2")
    asked["subject"]["properties"] = {"two_factor": True}
    time.sleep(0.6)
    assert codes(service.ask(asked)) == [("two_factor", "two_factor_off")]


def test_explain_lists_every_check(service: Service) -> None:
    """With ``explain`` in the context the answer has a reason for each of the fourteen checks."""
    reasons = service.ask(document(explain=True))["context"]["reasons"]
    assert len(reasons) == 14
    assert len(service.ask(document(account="nobody-9", explain=True))["context"]["reasons"]) == 14


def test_leaving_is_let_through(service: Service) -> None:
    """A bot that may do nothing else may sign out, and is told what it breaks."""
    answer = service.ask(document("sign_out", account="nobody-9", todo=None))
    DECISION.validate(answer)
    assert answer["decision"] is True
    assert codes(answer)


def test_pause_takes_effect_within_a_second(both: Service) -> None:
    """What another program writes into the registry binds a second later."""
    assert both.ask(document())["decision"] is True
    with both.world.registry() as registry:
        registry.pause_account("acme-1", "made-up reason")
    time.sleep(1)
    assert codes(both.ask(document())) == [("suspension", "account_paused")]
    with both.world.registry() as registry:
        registry.resume_account("acme-1", "officer-7")
    time.sleep(1)
    assert both.ask(document())["decision"] is True


# --- batches ----------------------------------------------------------------------------------


def resources(*kinds: str) -> list[dict[str, Any]]:
    """Return items that differ in their to-do: one of another kind is denied."""
    return [
        {"resource": {"type": "todo", "id": f"td-{i}", "properties": {"kind": kind}}}
        for i, kind in enumerate(kinds)
    ]


GOOD, BAD = "confirm_housing_costs", "other"


@pytest.mark.parametrize(
    ("semantic", "kinds", "decisions"),
    [
        (None, (GOOD, BAD, GOOD), [True, False, True]),
        ("execute_all", (BAD, BAD, GOOD), [False, False, True]),
        ("deny_on_first_deny", (GOOD, BAD, GOOD), [True, False]),
        ("deny_on_first_deny", (GOOD, GOOD), [True, True]),
        ("permit_on_first_permit", (BAD, GOOD, GOOD), [False, True]),
        ("permit_on_first_permit", (BAD, BAD), [False, False]),
    ],
)
def test_batches_end_as_their_semantic_says(
    both: Service, semantic: str | None, kinds: tuple[str, ...], decisions: list[bool]
) -> None:
    """A batch is answered in order; one that ends early is answered, and recorded, no further."""
    before = size(both.world)
    asked = {**document(), "evaluations": resources(*kinds)}
    if semantic is not None:
        asked["options"] = {"evaluations_semantic": semantic, "another_option": 1}
    answer = both.ask(asked)
    DECISION.validate(answer)
    assert [item["decision"] for item in answer["evaluations"]] == decisions
    recorded = entries(both.world, before)
    assert sorted(e["decision_id"] for e in recorded) == sorted(
        item["context"]["decision_id"] for item in answer["evaluations"]
    )


@pytest.mark.parametrize("semantic", ["execute_all", "deny_on_first_deny"])
def test_item_in_error_is_denied_by_itself(service: Service, semantic: str) -> None:
    """An item that cannot be read is a denial that names the field, and is not recorded."""
    before = size(service.world)
    asked = {
        **document(),
        "evaluations": [{}, {"resource": {"type": "todo"}}, "none", {}],
        "options": {"evaluations_semantic": semantic},
    }
    answers = service.ask(asked)["evaluations"]
    assert answers[0]["decision"] is True
    assert answers[1]["decision"] is False
    error = answers[1]["context"]["error"]
    assert (error["status"], error["field"]) == (400, "/resource/id")
    assert error["message"] == "resource.id: is required"
    assert len(answers) == (4 if semantic == "execute_all" else 2)
    assert size(service.world) == before + (2 if semantic == "execute_all" else 1)


def test_item_replaces_a_default_whole(service: Service) -> None:
    """What an item gives stands instead of the default, of which nothing is mixed in."""
    asked = {
        **document(explain=True),
        "evaluations": [
            {},
            {"context": {"mode": "test"}},
            {"resource": {"type": "todo", "id": ""}},
        ],
    }
    whole, other_context, other_resource = service.ask(asked)["evaluations"]
    assert len(whole["context"]["reasons"]) == 14
    assert codes(other_context) == [("test_mode", "submit_in_test_mode")]
    assert len(other_context["context"]["reasons"]) < 14
    assert codes(other_resource) == [("action", "missing_fact")]


@pytest.mark.parametrize("path", ["/access/v1/evaluation", "/access/v1/evaluations"])
@pytest.mark.parametrize("evaluations", [[], None])
def test_empty_batch_is_a_single_evaluation(
    service: Service, path: str, evaluations: list[object] | None
) -> None:
    """Without items there is one question: the document itself."""
    response = service.client.post(path, json={**document(), "evaluations": evaluations})
    assert response.json()["decision"] is True


def test_large_batch_is_one_commit_and_in_order(both: Service) -> None:
    """A hundred items are all recorded, and answered in the order in which they were asked."""
    kinds = [GOOD if i % 3 else BAD for i in range(100)]
    answers = both.ask({**document(), "evaluations": resources(*kinds)})["evaluations"]
    assert [item["decision"] for item in answers] == [kind == GOOD for kind in kinds]
    asked = {item["context"]["decision_id"] for item in answers}
    assert asked <= {entry["decision_id"] for entry in entries(both.world)}


# --- who asks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/access/v1/search/subject",
        "/access/v1/search/resource",
        "/access/v1/search/action",
    ],
)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Basic dXNlcjpwYXNz", "Bearer wrong", "Bearer ä", "Token x"],
)
def test_unknown_callers_are_refused(
    service: Service, path: str, authorization: str | None
) -> None:
    """Without a token of the service the question is not looked at, and how to ask is said."""
    headers = [] if authorization is None else [(b"Authorization", authorization.encode("latin-1"))]
    with service.new_client() as client:
        del client.headers["Authorization"]
        response = client.post(path, content=b"{", headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer realm="automation-rules"')
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 401


def test_tokens_are_given_and_taken_while_it_runs(both: Service) -> None:
    """A new token works at once; one that is revoked works no more a second later."""
    with Store.open(both.world.url, clock=SystemClock()) as store:
        tokens = ServiceTokens(store, SystemClock())
        headers = {"Authorization": f"bearer {tokens.add('short-lived')}"}
        assert both.ask(document(), **headers)["decision"] is True
        tokens.revoke("short-lived")
    time.sleep(1)
    response = both.client.post("/access/v1/evaluation", json=document(), headers=headers)
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


# --- what cannot be read ----------------------------------------------------------------------


def test_fields_that_are_wrong_are_named(service: Service) -> None:
    """A request that cannot be decided is 400, with every wrong field and its remedy."""
    asked = {
        "subject": {"type": "automation_account"},
        "action": {"name": 1},
        "resource": {"type": "todo", "id": "td-1", "properties": {"kind": None, "tenant": ""}},
        "context": {"mode": "dry", "explain": "yes"},
    }
    response = service.client.post("/access/v1/evaluation", json=asked)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "urn:automation-rules:problem:bad-request"
    assert [error["field"] for error in problem["errors"]] == [
        "/subject/id",
        "/action/name",
        "/resource/properties/tenant",
        "/context/mode",
        "/context/explain",
    ]
    assert problem["detail"] == "subject.id: is required"


@pytest.mark.parametrize("missing", ["subject", "action", "resource"])
@pytest.mark.parametrize("gone", ["absent", None, "text"])
def test_required_entities(service: Service, missing: str, gone: str | None) -> None:
    """Without a subject, an action or a resource there is no question."""
    asked: dict[str, Any] = {**document(), missing: gone}
    if gone == "absent":
        del asked[missing]
    response = service.client.post("/access/v1/evaluation", json=asked)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == f"/{missing}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"subject": {"type": "automation_account", "id": "a", "id": "b"}}',
        json.dumps(document()).replace('"td-17"', '"\\ud800"').encode(),
        json.dumps(document(answers={"n": 1}, record={})).replace("1}", "NaN}").encode(),
        json.dumps(document(answers={"deep": 0})).replace("0}", "[" * 90 + "]" * 90 + "}").encode(),
        json.dumps({**document(), "evaluations": {}}).encode(),
        json.dumps({**document(), "evaluations": [{}] * 101}).encode(),
        json.dumps(
            {**document(), "evaluations": [{}], "options": {"evaluations_semantic": "maybe"}}
        ).encode(),
        json.dumps({**document(), "evaluations": [{}], "options": "none"}).encode(),
    ],
)
@pytest.mark.parametrize("path", ["/access/v1/evaluation", "/access/v1/evaluations"])
def test_bodies_that_cannot_be_read(service: Service, path: str, body: bytes) -> None:
    """What is no evaluation is 400, and nothing of it is recorded."""
    before = size(service.world)
    headers = {"Content-Type": "application/json"}
    response = service.client.post(path, content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["errors"]
    assert size(service.world) == before


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"],
)
def test_other_content_types_are_refused(service: Service, content_type: str | None) -> None:
    """Only JSON is read, and it must say that it is JSON."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    content = json.dumps(document()).encode()
    response = service.client.post("/access/v1/evaluation", content=content, headers=headers)
    assert response.status_code == 400
    assert "Content-Type" in response.json()["detail"]


def test_json_with_parameters_is_json(service: Service) -> None:
    """The media type counts, in whatever case, and not its parameters."""
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    content = json.dumps(document()).encode()
    response = service.client.post("/access/v1/evaluation", content=content, headers=headers)
    assert response.json()["decision"] is True


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_are_refused(service: Service, chunked: bool) -> None:
    """A body beyond the limit is 413, whether it says so beforehand or not."""
    body = json.dumps({**document(), "padding": "x" * 300_000}).encode()
    pieces = (body[i : i + 10_000] for i in range(0, len(body), 10_000))
    response = service.client.post(
        "/access/v1/evaluation",
        content=pieces if chunked else body,
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 413
    assert "262144" in response.json()["detail"]
    assert service.ask(document())["decision"] is True


# --- request ids ------------------------------------------------------------------------------


def test_request_ids_come_back_and_are_sealed(both: Service) -> None:
    """The caller's name for a request is returned as it was, and is in the log under a key."""
    name = "bfe9eb29 <made-up> ~"
    headers = {"X-Request-ID": name}
    response = both.client.post("/access/v1/evaluation", json=document(), headers=headers)
    assert response.headers["x-request-id"] == name
    entry, facts = last_opened(both.world)
    assert facts["request"] == {"id": name}
    assert name not in json.dumps(entry)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/access/v1/evaluation", b"{", 400),
        ("/access/v1/search/subject", b"{", 400),
        ("/nowhere", b"", 404),
        ("/healthz", b"", 405),
    ],
)
def test_refusals_carry_the_request_id(
    service: Service, path: str, body: bytes, status: int
) -> None:
    """Whatever is answered, the caller can tell to which request it belongs."""
    headers = {"X-Request-ID": "call-9", "Content-Type": "application/json"}
    response = service.client.post(path, content=body, headers=headers)
    assert (response.status_code, response.headers["x-request-id"]) == (status, "call-9")
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", [b"x" * 201, b"caf\xc3\xa9", b""])
def test_request_ids_that_cannot_be_kept_are_refused(service: Service, name: bytes) -> None:
    """A name that could not be returned as it was is an error, and is not repeated."""
    headers = {b"X-Request-ID": name}
    response = service.client.post("/access/v1/evaluation", json=document(), headers=headers)
    assert response.status_code == 400
    assert "X-Request-ID" in response.json()["detail"]
    assert "x-request-id" not in response.headers


def test_trace_is_sealed(service: Service) -> None:
    """The trace that a request belongs to (W3C Trace Context) is in the log under a key."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    service.ask(document(), traceparent=f"00-{trace}-b7ad6b7169203331-01")
    entry, facts = last_opened(service.world)
    assert facts["request"] == {"trace_id": trace}
    assert trace not in json.dumps(entry)
    service.ask(document(), traceparent="00-not-a-trace-01")
    assert "request" not in last_opened(service.world)[1]


# --- searches ---------------------------------------------------------------------------------


def search(service: Service, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Search, and see that nothing is recorded."""
    before = size(service.world)
    response = service.client.post(f"/access/v1/search/{kind}", json=asked)
    assert response.status_code == 200, response.text
    assert size(service.world) == before
    answer: dict[str, Any] = response.json()
    return answer


def without(asked: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a request that lacks these entities, or ``entity.id``."""
    left = json.loads(json.dumps(asked))
    for name in names:
        entity, _, field = name.partition(".")
        if field:
            del left[entity][field]
        else:
            del left[entity]
    return dict(left)


def test_subject_search_finds_who_may(both: Service) -> None:
    """Subjects are the registered accounts that could take the step now."""
    with both.world.registry() as registry:
        registry.update_account("acme-2", two_factor=False)
    time.sleep(0.6)
    asked = without(document(), "subject.id")
    assert search(both, "subject", asked) == {
        "page": {"next_token": "", "count": 1},
        "context": {"facts": "registry", "ignored": []},
        "results": [{"type": "automation_account", "id": "acme-1"}],
    }


def test_subject_search_goes_by_pages(both: Service) -> None:
    """A page has as many results as wanted, and its token leads to the next."""
    with both.world.registry() as registry:
        registry.update_account("acme-2", two_factor=True)
    time.sleep(0.6)
    asked = without(document("sign_out", todo=None), "subject.id")
    first = search(both, "subject", {**asked, "page": {"limit": 1}})
    assert [found["id"] for found in first["results"]] == ["acme-1"]
    token = first["page"]["next_token"]
    assert token
    for page in ({"token": token}, {"token": token, "limit": 1}, {"token": token, "limit": 1.0}):
        second = search(both, "subject", {**asked, "page": page})
        assert [found["id"] for found in second["results"]] == ["acme-2"]
        assert second["page"]["next_token"] == ""


@pytest.mark.parametrize(
    ("page", "field"),
    [
        ({"token": "made-up"}, "/page/token"),
        ({"token": "e30="}, "/page/token"),
        ({"limit": -1}, "/page/limit"),
        ({"limit": "1"}, "/page/limit"),
        ({"limit": 1.5}, "/page/limit"),
        ({"limit": True}, "/page/limit"),
        ("first", "/page"),
    ],
)
def test_pages_that_cannot_be_given(service: Service, page: object, field: str) -> None:
    """A page that is none of this service is an error that names it."""
    asked = {**without(document(), "subject.id"), "page": page}
    response = service.client.post("/access/v1/search/subject", json=asked)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_pages_belong_to_their_search(service: Service) -> None:
    """A token for another question, or with another limit, is refused."""
    asked = without(document("sign_out", todo=None), "subject.id")
    token = search(service, "subject", {**asked, "page": {"limit": 1}})["page"]["next_token"]
    other = without(document("list_todos", todo=None), "subject.id")
    for wrong in (
        {**other, "page": {"token": token}},
        {**asked, "page": {"token": token, "limit": 2}},
    ):
        response = service.client.post("/access/v1/search/subject", json=wrong)
        assert response.status_code == 400


def test_page_of_nothing(service: Service) -> None:
    """A page of no results has none, and its token leads on."""
    asked = {**without(document("sign_out", todo=None), "subject.id"), "page": {"limit": 0}}
    answer = search(service, "subject", asked)
    assert answer["results"] == []
    assert answer["page"]["next_token"]


def test_action_search_finds_what_may_be_done(service: Service) -> None:
    """Actions are those that the account could take on the resource now."""
    asked = without(document(), "action")
    found = [action["name"] for action in search(service, "action", asked)["results"]]
    assert found == [
        "enter_access_code",
        "list_todos",
        "open_todo",
        "save_answers",
        "sign_in",
        "sign_out",
        "submit_todo",
        "view_updates",
    ]
    on_portal = search(service, "action", without(document(todo=None), "action"))["results"]
    assert {"name": "submit_todo"} not in on_portal
    assert {"name": "list_todos"} in on_portal


def test_resource_search_knows_the_portal(service: Service) -> None:
    """Of resources the registry knows the portal; to-dos are the portal's own."""
    asked = without(document("list_todos", todo=None), "resource.id")
    assert search(service, "resource", asked)["results"] == [{"type": "portal", "id": "portal"}]
    denied = without(document("submit_todo", todo=None), "resource.id")
    assert search(service, "resource", denied)["results"] == []
    assert search(service, "resource", without(document(), "resource.id"))["results"] == []


@pytest.mark.parametrize("kind", ["subject", "resource", "action"])
@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"type": "spaceship", "id": "acme-1"}},
        {"resource": {"type": "spaceship", "id": "td-1"}},
        {"action": {"name": "teleport"}},
        {"subject": {"type": "automation_account", "id": "nobody-9"}},
        {"subject": {"type": "automation_account", "id": "a\u0000b"}},
    ],
)
def test_searches_of_the_unknown_find_nothing(
    both: Service, kind: str, change: dict[str, Any]
) -> None:
    """An unknown type or identifier is no error: nothing is found."""
    if kind in change:
        # What is searched for is not asked about; another type of it is.
        change = {name: {**entity, "type": "other"} for name, entity in change.items()}
        if kind == "action":
            change = {"subject": {"type": "other", "id": "x"}}
    answer = search(both, kind, {**document("list_todos", todo=None), **change})
    assert answer["results"] == []
    assert answer["page"]["next_token"] == ""


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("subject", "action"),
        ("subject", "resource"),
        ("subject", "resource.id"),
        ("subject", "subject"),
        ("subject", "subject.type"),
        ("resource", "subject.id"),
        ("resource", "action"),
        ("resource", "resource.type"),
        ("action", "subject.id"),
        ("action", "resource"),
    ],
)
def test_searches_need_all_but_what_they_look_for(service: Service, kind: str, gone: str) -> None:
    """What is not searched for must be whole; the field that is missing is named."""
    response = service.client.post(f"/access/v1/search/{kind}", json=without(document(), gone))
    assert response.status_code == 400
    field = "/" + gone.replace(".", "/")
    assert response.json()["errors"][0]["field"] == field


def test_what_is_searched_for_is_ignored(service: Service) -> None:
    """An identifier of what is searched for, or an action to search actions with, says nothing."""
    asked = document("list_todos", todo=None)
    whole = search(service, "subject", asked)
    assert whole == search(service, "subject", without(asked, "subject.id"))
    odd = {**asked, "action": 7}
    assert search(service, "action", odd) == search(service, "action", without(asked, "action"))


def test_found_is_allowed(service: Service) -> None:
    """What a search finds is allowed when it is asked for."""
    asked = document("list_todos", todo=None)
    for subject in search(service, "subject", asked)["results"]:
        assert service.ask({**asked, "subject": subject})["decision"] is True
    for action in search(service, "action", asked)["results"]:
        assert service.ask({**asked, "action": action})["decision"] is True


# --- about the service ------------------------------------------------------------------------


def test_metadata(service: Service) -> None:
    """The well-known document says where everything is, by the URL that callers know."""
    response = service.client.get("/.well-known/authzen-configuration")
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "max-age=3600"
    base = "https://decisions.acme.example"
    assert response.json() == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{base}/access/v1/evaluation",
        "access_evaluations_endpoint": f"{base}/access/v1/evaluations",
        "search_subject_endpoint": f"{base}/access/v1/search/subject",
        "search_resource_endpoint": f"{base}/access/v1/search/resource",
        "search_action_endpoint": f"{base}/access/v1/search/action",
    }


def test_health_needs_no_token(service: Service) -> None:
    """Whoever watches the process learns whether it lives and is ready, and nothing else."""
    with service.new_client() as client:
        del client.headers["Authorization"]
        before = size(service.world)
        assert client.get("/healthz").json() == {"alive": True}
        assert client.get("/readyz").json() == {"ready": True}
        assert client.get("/openapi.json").json()["openapi"].startswith("3.1")
        assert size(service.world) == before


def figures(service: Service) -> dict[str, float]:
    """Return the service's figures by name and labels."""
    response = service.client.get("/metrics")
    assert response.status_code == 200
    lines = (line for line in response.text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_metrics_count_what_is_done(both: Service) -> None:
    """Decisions by verdict and failures by check, how long they took and waited, the log's size."""
    before = figures(both)
    both.ask({**document(), "evaluations": resources(GOOD, GOOD, BAD)})
    after = figures(both)

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more('automation_rules_decisions_total{verdict="allowed"}') == 2
    assert more('automation_rules_decisions_total{verdict="denied"}') == 1
    assert more('automation_rules_failures_total{check="action",code="not_housing_costs"}') == 1
    assert more("automation_rules_decision_seconds_count") == 3
    assert more("automation_rules_log_lag_seconds_count") == 3
    assert after["automation_rules_log_lag_seconds_sum"] > 0
    assert after["automation_rules_log_entries"] == size(both.world)
    assert after["automation_rules_shadow"] == 0
    assert "acme" not in " ".join(after)


def test_metrics_need_a_token(service: Service) -> None:
    """How much is denied is nobody's business who has no token."""
    with service.new_client() as client:
        del client.headers["Authorization"]
        assert client.get("/metrics").status_code == 401


def test_nothing_personal_is_logged(service: Service) -> None:
    """Its own log has a line for each decision, and no identifier, address or path in any."""
    asked = document(todo="td-of-somebody", answers={"rent": "750.01"}, record={"rent": "750.01"})
    asked["resource"]["properties"]["tenant"] = "QQ123456C"
    service.ask(asked, **{"X-Request-ID": "call-of-somebody"})
    service.client.get("/nowhere/td-of-somebody?tenant=QQ123456C")
    log = service.log
    assert "event=decision_recorded" in log
    for personal in ("somebody", "QQ123456C", "750.01", "acme-1", "127.0.0.1:", service.token):
        assert personal not in log.replace(service.url, "")


def test_websockets_are_not_served(service: Service) -> None:
    """A handshake is a request like any other, for something that is not there."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert service.client.get("/access/v1/evaluation", headers=headers).status_code == 405
