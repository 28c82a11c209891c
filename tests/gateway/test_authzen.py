"""AuthZEN 1.0, shape by shape; and that the service answers what the policy decides."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from automation_rules import Action, ClockError, TodoKind
from automation_rules.enforcer import Step, request_from_registry, request_from_stranger
from automation_rules.errors import InvalidInputError, NotRegisteredError
from automation_rules.gateway import search
from automation_rules.gateway.openapi import openapi
from automation_rules.gateway.service import create_app
from automation_rules.landlord_portal import landlord_portal
from automation_rules.policy import Policy
from automation_rules.request import Mode
from automation_rules.store import PortalClosure, Registry, ServiceTokens, Store
from gateway_world import WORKDAY, World, make_world
from service_process import document, last_opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.gateway import Gateway

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "authzen.json").read_text("utf-8"))
PUBLISHED = landlord_portal()
CALM = Policy(PUBLISHED.info.id, PUBLISHED.info.version, PUBLISHED.checks)
"""The published terms without the activity monitor."""


@dataclass
class Inside:
    """A service in this process, on a clock that stands."""

    world: World
    gateway: Gateway
    store: Store
    token: str
    runner: asyncio.Runner
    client: httpx.AsyncClient

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """Ask it."""
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        return self.runner.run(self.client.post(path, json=body, headers=headers))

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Look at it."""
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        return self.runner.run(self.client.get(path, headers=headers))


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    """Give a service in this process."""
    folder = tmp_path_factory.mktemp("authzen")
    with pytest.MonkeyPatch.context() as patch:
        world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        with (
            world.gateway(policy=CALM) as gateway,
            Store.open(world.url, clock=world.clock) as store,
            asyncio.Runner() as runner,
        ):
            transport = httpx.ASGITransport(create_app(gateway, store))
            client = httpx.AsyncClient(transport=transport, base_url="http://service.example")
            token = ServiceTokens(store, world.clock).add("test")
            yield Inside(world, gateway, store, token, runner, client)
            runner.run(client.aclose())


@pytest.fixture(autouse=True)
def _at_work(inside: Inside) -> None:
    inside.world.clock.move_to(WORKDAY)


def has(expected: object, found: object) -> bool:
    """Whether ``found`` says all that is expected; lists are as long."""
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(
            key in found and has(value, found[key]) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(has, expected, found))
        )
    return expected == found


def test_every_shape_of_the_specification(inside: Inside) -> None:
    """Each request among the specification's examples is answered as it says."""
    token = ""
    for vector in VECTORS["vectors"]:
        origin = vector["origin"]
        asked = json.loads(json.dumps(vector["request"]).replace("$next", token))
        named = {"X-Request-ID": vector["request_id"]} if "request_id" in vector else {}
        response = inside.post(vector["path"], asked, **named)
        assert response.status_code == 200, origin
        assert response.headers["content-type"] == "application/json", origin
        assert response.headers.get("x-request-id") == vector.get("request_id"), origin
        answer = response.json()
        assert has(vector["response"], answer), f"{origin}: {answer}"
        if "next" in vector:
            token = answer["page"]["next_token"]
            assert token, origin


def test_vectors_tell_their_origin() -> None:
    """Each vector names a section, and no two are the same."""
    origins = [vector["origin"] for vector in VECTORS["vectors"]]
    assert all(origin[0].isdigit() for origin in origins)
    assert len(set(origins)) == len(origins)


# --- as the policy decides --------------------------------------------------------------------

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
WORDS = st.sampled_from([*(action.value for action in Action), "read", ""])
KINDS = st.sampled_from([None, *(kind.value for kind in TodoKind), "something"])


@st.composite
def questions(draw: st.DrawFn) -> tuple[dict[str, Any], str, Step]:
    """Return a document with claims, and who asks for which step by it."""
    account = draw(st.sampled_from(["acme-1", "acme-2", "nobody-9", "a\nb"]) | TEXTS)
    subject_type = draw(st.sampled_from(["automation_account"] * 4 + ["user"]))
    name, kind = draw(WORDS), draw(KINDS)
    resource_type = draw(st.sampled_from(["todo", "todo", "portal", "document"]))
    resource_id = draw(st.sampled_from(["td-1", ""]) | TEXTS)
    mode = draw(st.sampled_from(Mode))
    minutes = draw(st.none() | st.integers(1, 700))
    form = draw(st.none() | st.sampled_from(["sha256:1", "sha256:2"]))
    answers = draw(st.none() | st.fixed_dictionaries({"rent": st.integers(1, 2)}))
    explain = draw(st.booleans())
    asked: dict[str, Any] = {
        "subject": {
            "type": subject_type,
            "id": account,
            "properties": {"roles": ["manage_users"], "two_factor": draw(st.booleans())},
        },
        "action": {"name": name},
        "resource": {"type": resource_type, "id": resource_id, "properties": {"kind": kind}},
        "context": {
            "time": "2026-06-06T09:00:00+01:00",
            "mode": mode.value,
            "expected_duration": None if minutes is None else f"PT{minutes}M",
            "landlord": {"paused": True},
            "form": None if form is None else {"fingerprint": form, "tested_fingerprint": "x"},
            "answers": answers,
            "record": None if answers is None else {"rent": 1},
            "explain": explain,
        },
    }
    dropped = [
        "subject.properties.roles",
        "subject.properties.two_factor",
        "context.time",
        "context.landlord",
    ]
    if form is not None:
        dropped.append("context.form.tested_fingerprint")
    return (
        asked,
        account,
        Step(
            next((action for action in Action if action.value == name), name),
            next((known for known in TodoKind if known.value == kind), kind),
            todo=resource_id if resource_type != "portal" else None,
            mode=mode,
            expected_duration=None if minutes is None else timedelta(minutes=minutes),
            form_fingerprint=form,
            answers=answers,
            record=None if answers is None else {"rent": 1},
            explain=explain,
            ignored=tuple(dropped),
            subject_type=subject_type,
            resource_type=resource_type,
        ),
    )


SECONDS = itertools.count()


def answer_is_the_policys(
    inside: Inside, asked: tuple[dict[str, Any], str, Step], hours: int, paused: bool, closed: bool
) -> None:
    """Compare the answer with what the policy decides on the registry's facts at that instant."""
    body, account, step = asked
    # No instant comes twice: what was read at one of them is kept for half a second.
    inside.world.clock.move_to(WORKDAY + timedelta(hours=hours, seconds=next(SECONDS)))
    at = inside.world.clock.now()
    registry = Registry(inside.store, inside.world.clock)
    if paused:
        registry.pause_account("acme-1", "made-up reason")
    if closed:
        registry.add_closure(PortalClosure("now", at - timedelta(hours=1), at + timedelta(hours=1)))
    try:
        answer = inside.post("/access/v1/evaluation", body).json()
        request = request_from_stranger(account, step, at)
        if step.subject_type == "automation_account":
            with suppress(NotRegisteredError, InvalidInputError):
                request = request_from_registry(registry.facts(account, at), step, at)
        decision = CALM.decide(request)
        if step.action is Action.SIGN_OUT:
            decision = decision.let_through()
        expected = decision.to_document()
        for found in (answer, expected):
            del found["context"]["decision_id"]
        assert answer == expected
    finally:
        if paused:
            registry.resume_account("acme-1", "officer-7")
        if closed:
            registry.remove_closure("now")


CASES = {
    "asked": questions(),
    "hours": st.integers(0, 24 * 400),
    "paused": st.booleans(),
    "closed": st.booleans(),
}
LENIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(**CASES)
@settings(LENIENT, max_examples=60)
def test_answers_are_the_policys(inside: Inside, **case: Any) -> None:
    """For any document the answer is what the policy decides on the registry's facts."""
    answer_is_the_policys(inside, **case)


@pytest.mark.exhaustive
@given(**CASES)
@settings(LENIENT, max_examples=3_000)
def test_answers_are_the_policys_for_thousands(inside: Inside, **case: Any) -> None:
    """For thousands of documents the answer is what the policy decides."""
    answer_is_the_policys(inside, **case)


@given(
    asked=st.dictionaries(
        st.sampled_from(["subject", "action", "resource", "context", "evaluations", "page", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | TEXTS,
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["type", "id", "name", "properties", "kind", "form", "limit"]),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=8,
        ),
    ),
    path=st.sampled_from(["evaluation", "evaluations", "search/subject", "search/action"]),
)
@settings(LENIENT, max_examples=150)
def test_anything_is_answered_or_named(inside: Inside, asked: dict[str, Any], path: str) -> None:
    """No JSON object brings anything but an answer, or an error that names fields."""
    response = inside.post(f"/access/v1/{path}", asked)
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json()["errors"]


def test_search_looks_at_some_at_a_time(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few are found, a page looks at so many and no more, and the next goes on there."""
    monkeypatch.setattr(search, "MOST_EXAMINED", 1)
    asked: dict[str, Any] = {**document("list_todos", todo=None)}
    registry = Registry(inside.store, inside.world.clock)
    registry.pause_account("acme-1", "made-up reason")
    inside.world.clock.move_to(WORKDAY + timedelta(minutes=1))
    found = []
    for _ in range(2):
        answer = inside.post("/access/v1/search/subject", asked).json()
        found.append([entity["id"] for entity in answer["results"]])
        asked["page"] = {"token": answer["page"]["next_token"]}
    registry.resume_account("acme-1", "officer-7")
    assert found == [[], ["acme-2"]]
    assert asked["page"]["token"] == ""


# --- when nothing can be decided --------------------------------------------------------------


SCHEMAS = openapi(None, most=100)


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Return what validates by one of the served description's schemas."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": SCHEMAS["components"]}
    return jsonschema.Draft202012Validator(schema)


def test_unreadable_clock_is_an_answer(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the time nothing is decided, and the answer says so without making one up."""

    def fail(_: object) -> None:
        raise ClockError("the clock cannot be read")

    asked = {
        **document(time="2026-06-02T09:00:00Z"),
        "evaluations": [{}, {"action": {"name": "sign_out"}}],
    }
    monkeypatch.setattr(type(inside.world.clock), "now", fail)
    answer = inside.post("/access/v1/evaluations", asked).json()
    validator("Answers").validate(answer)
    denied, left = answer["evaluations"]
    assert (denied["decision"], left["decision"]) == (False, True)
    [reason] = denied["context"]["reasons"]
    assert (reason["check"], reason["code"]) == ("gateway", "clock_unreadable")
    assert "evaluated_at" not in denied["context"]
    assert denied["context"]["ignored"] == ["context.time"]
    response = inside.get("/readyz")
    assert (response.status_code, response.json()["problem"]) == (503, "clock")
    asked = {key: value for key, value in document(todo=None).items() if key != "action"}
    found = inside.post("/access/v1/search/action", asked).json()
    validator("actionResults").validate(found)
    assert found["results"] == []
    assert found["context"]["reasons"][0]["code"] == "clock_unreadable"


def test_bugs_are_500_and_say_nothing(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is a 500, to be treated as denied, without a word of what it was."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("somebody's name")

    monkeypatch.setattr(type(inside.gateway), "ask_async", fail)
    response = inside.post("/access/v1/evaluation", document(), **{"X-Request-ID": "call-9"})
    assert response.status_code == 500
    assert "denied" in response.json()["detail"]
    assert "somebody" not in response.text
    assert response.headers["x-request-id"] == "call-9"


# --- traces -----------------------------------------------------------------------------------


def test_active_span_is_the_trace(inside: Inside) -> None:
    """Inside a span of OpenTelemetry's SDK the log has its trace, whatever the header says."""
    headers = {
        "Authorization": f"Bearer {inside.token}",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }

    async def ask_in_a_span() -> str:
        tracer = TracerProvider().get_tracer("test")
        with tracer.start_as_current_span("call") as span:
            await inside.client.post("/access/v1/evaluation", json=document(), headers=headers)
            return trace.format_trace_id(span.get_span_context().trace_id)

    trace_id = inside.runner.run(ask_in_a_span())
    assert last_opened(inside.world)[1]["request"] == {"trace_id": trace_id}
    inside.post("/access/v1/evaluation", document(), **headers)
    sealed = last_opened(inside.world)[1]["request"]
    assert sealed == {"trace_id": "0af7651916cd43dd8448eb211c80319c"}


# --- metadata ---------------------------------------------------------------------------------


def test_without_a_url_there_is_no_metadata(inside: Inside) -> None:
    """A service that does not know its https URL says so, and what to do."""
    response = inside.get("/.well-known/authzen-configuration")
    assert response.status_code == 404
    assert "--public-url" in response.json()["detail"]


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://acme.example", ""),
        ("https://acme.example:8443/", "/"),
        ("https://acme.example/decisions/one", "/decisions/one"),
    ],
)
def test_metadata_stands_where_the_url_says(inside: Inside, url: str, path: str) -> None:
    """The well-known path comes before the URL's own, and the identifier is that URL exactly."""

    async def ask() -> dict[str, Any]:
        transport = httpx.ASGITransport(create_app(inside.gateway, inside.store, public_url=url))
        async with httpx.AsyncClient(transport=transport, base_url="http://x.example") as client:
            response = await client.get(f"/.well-known/authzen-configuration{path}")
            return dict(response.json())

    metadata = inside.runner.run(ask())
    validator("Metadata").validate(metadata)
    assert metadata["policy_decision_point"] == url
    assert metadata["access_evaluation_endpoint"] == f"{url.rstrip('/')}/access/v1/evaluation"


def test_description_is_openapi(inside: Inside) -> None:
    """The served description refers to nothing that it lacks, and names every endpoint."""
    described = inside.get("/openapi.json").json()
    assert described == SCHEMAS
    text = json.dumps(described)
    for name in described["components"]["schemas"]:
        jsonschema.Draft202012Validator.check_schema(described["components"]["schemas"][name])
        assert f'"#/components/schemas/{name}"' in text
    assert text.count('"#/components/schemas/') == sum(
        text.count(f'"#/components/schemas/{name}"') for name in described["components"]["schemas"]
    )
