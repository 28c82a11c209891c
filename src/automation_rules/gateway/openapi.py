"""The service's own description: OpenAPI 3.1, made of the shipped JSON Schemas."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any, Final

from ..inputs import MAX_TEXT
from ..request import Semantic
from ..texts import load
from .authzen import CLAIMS_OF_CONTEXT, MAX_PAGE, Searched

__all__ = ["openapi"]

_DROPPED: Final = "Dropped, and named in `ignored`: the registry's facts win."
_DURATION: Final = (
    r"^P(?=[0-9T])(?=.*[1-9])(?:[0-2]?[0-9]{1,3}D)?"
    r"(?:T(?=[0-9])(?:[0-9]{1,4}H)?(?:[0-9]{1,5}M)?(?:[0-9]{1,6}(?:[.,][0-9]{1,6})?S)?)?$"
)
_PROBLEM: Final = "application/problem+json"
_JSON: Final = "application/json"


def openapi(public_url: str | None, *, most: int) -> dict[str, Any]:
    """Return the description of a service that takes batches of at most ``most``."""
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "automation-rules decision service",
            "version": version("automation-rules"),
            "summary": "May this automation account take this step now?",
            "description": (
                "OpenID AuthZEN Authorization API 1.0. Every decision is answered with 200, "
                "denials included. A true decision means that no breach of the published terms "
                "was found. Independent of the Department for Work and Pensions (DWP) and not "
                "endorsed by it."
            ),
        },
        "servers": [{"url": "/" if public_url is None else public_url}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {**_requests(most), **_responses()},
        },
    }
    return document


# --- paths ------------------------------------------------------------------------------------


def _paths() -> dict[str, Any]:
    evaluate = {
        "requestBody": _body("Questions"),
        "responses": {"200": _response("One answer for each question.", "Answers"), **_refusals()},
    }
    paths = {
        "/access/v1/evaluation": {
            "post": _operation("evaluate", "Decide about one step, or a batch.", evaluate)
        },
        "/access/v1/evaluations": {
            "post": _operation("evaluateAll", "Decide about a batch, or one step.", evaluate)
        },
    }
    for searched in Searched:
        name = searched.value
        search = {
            "requestBody": _body(f"{name.capitalize()}Search"),
            "responses": {
                "200": _response("What is found; nothing of it is recorded.", f"{name}Results"),
                **_refusals(),
            },
        }
        paths[f"/access/v1/search/{name}"] = {
            "post": _operation(f"search{name.capitalize()}s", f"Search for {name}s.", search)
        }
    no_metadata = {"404": _response("The service does not know its URL.", "Problem", _PROBLEM)}
    figures = {
        "200": {
            "description": "Prometheus's text formats.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            },
        },
        "401": _unauthorized(),
        "503": _response("The state cannot be read.", "Problem", _PROBLEM),
    }
    for path, summary, responses in (
        (
            "/.well-known/authzen-configuration",
            "Where everything is.",
            {"200": _response("Metadata (section 9).", "Metadata"), **no_metadata},
        ),
        ("/openapi.json", "This description.", {"200": _response("OpenAPI 3.1.", "Object")}),
        ("/healthz", "Is the process alive?", {"200": _response("It is.", "Object")}),
        (
            "/readyz",
            "Could a decision be made and recorded now?",
            {
                "200": _response("It could.", "Ready"),
                "503": _response("It could not.", "Ready"),
            },
        ),
    ):
        paths[path] = {"get": {"summary": summary, "responses": responses}}
    paths["/metrics"] = {
        "get": {"summary": "Figures.", "security": _SECURITY, "responses": figures}
    }
    return paths


_SECURITY: Final = [{"token": list[str]()}]
_REQUEST_ID: Final = {"type": "string", "pattern": "^[!-~]([ -~]{0,198}[!-~])?$"}


def _operation(name: str, summary: str, rest: dict[str, Any]) -> dict[str, Any]:
    parameter = {
        "name": "X-Request-ID",
        "in": "header",
        "description": "The caller's name for the request: returned, and sealed in the log.",
        "schema": _REQUEST_ID,
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": _SECURITY,
        "parameters": [parameter],
        **rest,
    }


def _body(schema: str) -> dict[str, Any]:
    return {"required": True, "content": {_JSON: {"schema": _ref(schema)}}}


def _response(description: str, schema: str, media_type: str = _JSON) -> dict[str, Any]:
    return {
        "description": description,
        "headers": {"X-Request-ID": {"schema": _REQUEST_ID}},
        "content": {media_type: {"schema": _ref(schema)}},
    }


def _unauthorized() -> dict[str, Any]:
    response = _response("The caller is not known.", "Problem", _PROBLEM)
    response["headers"]["WWW-Authenticate"] = {"required": True, "schema": {"type": "string"}}
    return response


def _refusals() -> dict[str, Any]:
    return {
        "400": _response("What is asked cannot be read.", "Problem", _PROBLEM),
        "401": _unauthorized(),
        "408": _response("The body did not arrive in time.", "Problem", _PROBLEM),
        "413": _response("The body is too large.", "Problem", _PROBLEM),
        "500": _response("Something unforeseen: treat it as denied.", "Problem", _PROBLEM),
    }


# --- schemas ----------------------------------------------------------------------------------


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _shipped(kind: str) -> dict[str, Any]:
    """Return the definitions of a shipped schema, named and referred to as in a description."""
    definitions = load(f"{kind}.schema.json")["$defs"]
    text = json.dumps(definitions).replace("#/$defs/", "#/components/schemas/")
    for name in definitions:
        plain = name.removeprefix("_").removesuffix("Document")
        text = text.replace(f'"{name}"', f'"{plain}"').replace(f'/{name}"', f'/{plain}"')
    renamed: dict[str, Any] = json.loads(text)
    return renamed


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _requests(most: int) -> dict[str, Any]:
    shipped = _shipped("request")
    used = ("Subject", "Action", "Resource", "ResourceProperties", "Context", "Mode")
    schemas = {name: shipped[name] for name in used}
    schemas["Subject"]["properties"]["properties"] = {
        "type": ["object", "null"],
        "description": _DROPPED,
    }
    del schemas["Context"]["required"]
    context = schemas["Context"]["properties"]
    for name in CLAIMS_OF_CONTEXT:
        context[name] = {"description": _DROPPED}
    form = {"fingerprint": shipped["Form"]["properties"]["fingerprint"]}
    context["form"] = _or_null({"type": "object", "properties": form})
    context["expected_duration"] = _or_null({"type": "string", "pattern": _DURATION})
    entities = {
        "subject": _ref("Subject"),
        "action": _ref("Action"),
        "resource": _ref("Resource"),
        "context": _or_null(_ref("Context")),
    }
    question = {
        "type": "object",
        "properties": entities,
        "required": ["subject", "action", "resource"],
    }
    single = {
        **question,
        "properties": {**entities, "evaluations": {"type": ["array", "null"], "maxItems": 0}},
    }
    options = {
        "type": ["object", "null"],
        "properties": {"evaluations_semantic": {"enum": [*(s.value for s in Semantic), None]}},
    }
    batch = {
        "type": "object",
        "description": "Each item with what is given beside `evaluations` for what it lacks.",
        "properties": {
            **{name: _or_anything(schema) for name, schema in entities.items()},
            "evaluations": {
                "type": "array",
                "minItems": 1,
                "maxItems": most,
                "items": _or_anything({"type": "object", "properties": entities}),
            },
            "options": options,
        },
        "required": ["evaluations"],
    }
    schemas["Questions"] = {"anyOf": [single, batch]}
    schemas["Page"] = {
        "type": "object",
        "properties": {
            "token": {"type": ["string", "null"], "maxLength": MAX_TEXT},
            "limit": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": f"At most {MAX_PAGE} are given.",
            },
        },
    }
    for searched in Searched:
        name = searched.value
        schemas[f"{name.capitalize()}Search"] = _search(name, entities, schemas)
    return schemas


def _or_anything(schema: dict[str, Any]) -> dict[str, Any]:
    # An item that is none is answered as an error of its own, and the others are decided.
    return {"anyOf": [schema, {"description": "Answered as an error."}]}


def _search(name: str, entities: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {**entities, "page": _or_null(_ref("Page"))}
    if name == Searched.ACTION.value:
        del asked[name]
    else:
        kind = schemas[name.capitalize()]
        known = {key: value for key, value in kind["properties"].items() if key != "id"}
        asked[name] = {**kind, "properties": known, "required": ["type"]}
    required = [entity for entity in ("subject", "action", "resource") if entity in asked]
    return {"type": "object", "properties": asked, "required": required}


def _responses() -> dict[str, Any]:
    shipped = _shipped("decision")
    reasons = {"type": "array", "items": _ref("Reason")}
    names = {"type": "array", "items": {"type": "string"}}
    empty = {"type": "array", "maxItems": 0}
    null = {"type": "null"}
    undecided = {
        "type": "object",
        "description": "Nothing could be decided; leaving, and everything in shadow, goes through.",
        "properties": {
            "decision": {"type": "boolean"},
            "context": _closed(
                reasons={**reasons, "minItems": 1},
                facts={"const": "registry"},
                ignored=names,
                next_action={"const": "none"},
                retry_after=null,
                valid_until=null,
                obligations=empty,
            ),
        },
        "required": ["decision", "context"],
        "additionalProperties": False,
    }
    answer = {"anyOf": [_ref("Evaluation"), _ref("Undecided")]}
    schemas = {
        **shipped,
        "Undecided": undecided,
        "Answers": {
            "anyOf": [*answer["anyOf"], _closed(evaluations={"type": "array", "items": answer})]
        },
        "Problem": {
            "type": "object",
            "properties": {
                "type": {"type": "string", "format": "uri"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "errors": shipped["ErrorContext"]["properties"]["error"]["properties"]["errors"],
            },
            "required": ["type", "title", "status", "detail"],
            "additionalProperties": False,
        },
        "Object": {"type": "object"},
        "Ready": {
            "type": "object",
            "properties": {
                "ready": {"type": "boolean"},
                "problem": {"enum": ["clock", "log", "policy", "state"]},
            },
            "required": ["ready"],
            "additionalProperties": False,
        },
        "Metadata": {
            "type": "object",
            "properties": {
                "policy_decision_point": {"type": "string", "format": "uri"},
                "access_evaluation_endpoint": {"type": "string", "format": "uri"},
            },
            "required": ["policy_decision_point", "access_evaluation_endpoint"],
            "additionalProperties": {"type": "string", "format": "uri"},
        },
    }
    text = {"type": "string"}
    for name, entity in (
        ("subject", _closed(type={"const": "automation_account"}, id=text)),
        ("resource", _closed(type={"const": "portal"}, id={"const": "portal"})),
        ("action", _closed(name=text)),
    ):
        schemas[f"{name}Results"] = _closed(
            page=_closed(next_token=text, count={"type": "integer", "minimum": 0}),
            context={
                "type": "object",
                "properties": {
                    "facts": {"const": "registry"},
                    "ignored": names,
                    "reasons": reasons,
                },
                "required": ["facts", "ignored"],
                "additionalProperties": False,
            },
            results={"type": "array", "maxItems": MAX_PAGE, "items": entity},
        )
    return schemas


def _closed(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
