"""AuthZEN 1.0 documents, as a service reads and answers them that has a registry.

The registry's facts win: what a caller claims of the subject, the landlord, the time, closures,
notices and tested forms is dropped and named, and what is left is who wants to take which step.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, ValidationError

from ..actions import Action
from ..enforcer import Step
from ..errors import FieldError, InvalidRequestError
from ..inputs import (
    InputModel,
    RepeatedKeys,
    TextField,
    custom_field,
    error_document,
    field_errors,
    parse_json,
    unreadable,
)
from ..request import Request, Semantic, Subject, read_evaluations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .core import Passage

__all__ = [
    "CLAIMS_OF_CONTEXT",
    "MAX_BATCH",
    "MAX_PAGE",
    "Question",
    "Questions",
    "Search",
    "Searched",
    "answer",
    "error_answer",
    "failed_search_answer",
    "read_questions",
    "read_search",
    "search_answer",
]

MAX_BATCH: Final = 100
"""The most evaluations of one request, unless the service is told another number."""

MAX_PAGE: Final = 100
"""The most results of one page of a search."""


@dataclass(frozen=True, slots=True)
class Question:
    """Who wants to take which step; the step names the claims that were dropped."""

    account_id: str
    step: Step


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of one document, in order; an item in error stands as its error."""

    items: tuple[Question | InvalidRequestError, ...]
    is_batch: bool
    semantic: Semantic


def read_questions(body: bytes, *, most: int = MAX_BATCH) -> Questions:
    """Read an evaluation, or a batch of at most ``most`` (sections 6.1 and 7.1).

    Raises:
        InvalidRequestError: the document as a whole cannot be read; with every field that is
            wrong, each with its JSON pointer.
    """
    return _questions(parse_json(body), most)


def _questions(document: Any, most: int) -> Questions:
    batch = document.get("evaluations") if isinstance(document, dict) else None
    if isinstance(batch, list) and len(batch) > most:
        problem = f"has more than {most} entries: ask in several requests"
        raise InvalidRequestError([FieldError("/evaluations", problem)])
    read = read_evaluations(_without_claims(document))
    items: list[Any] = document["evaluations"] if read.is_batch else [document]
    return Questions(
        tuple(
            found
            if isinstance(found, InvalidRequestError)
            else _question(found, tuple(_claims(item, document)))
            for found, item in zip(read.items, items, strict=True)
        ),
        read.is_batch,
        read.semantic,
    )


def _question(request: Request, ignored: tuple[str, ...]) -> Question:
    resource, context = request.resource, request.context
    return Question(
        request.subject.id,
        Step(
            action=request.action,
            todo_kind=resource.kind,
            todo=None if resource.type == "portal" else resource.id or None,
            tenant=resource.tenant,
            mode=context.mode,
            expected_duration=context.expected_duration,
            form_fingerprint=None if context.form is None else context.form.fingerprint,
            answers=context.answers,
            record=context.record,
            explain=context.explain,
            ignored=ignored,
            subject_type=request.subject.type,
            resource_type=resource.type,
        ),
    )


# --- claims -----------------------------------------------------------------------------------

_OF_SUBJECT: Final = tuple(f.name for f in fields(Subject) if f.name not in ("type", "id"))
CLAIMS_OF_CONTEXT: Final = ("time", "landlord", "closures", "notices")
_OF_FORM: Final = ("tested_fingerprint", "tested_on")
_USED: Final = ("mode", "expected_duration", "form", "answers", "record", "explain")

_SOME_TIME: Final = "2026-01-01T00:00:00Z"
"""The reader of documents wants an instant; the gateway's clock gives the true one."""


def _claims(item: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the claims of an item with its defaults."""
    subject, context = (
        document.get(name) if item.get(name) is None else item[name]
        for name in ("subject", "context")
    )
    context = context or {}
    yield from _given("subject.properties", subject.get("properties"), _OF_SUBJECT)  # type: ignore[union-attr]
    yield from _given("context", context, CLAIMS_OF_CONTEXT)
    yield from _given("context.form", context.get("form"), _OF_FORM)


def _given(where: str, facts: Mapping[str, Any] | None, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if facts is not None and facts.get(name) is not None:
            yield f"{where}.{name}"


def _without_claims(document: object) -> object:
    """Return a document without what the registry knows; what is no object stays as it is."""
    if not isinstance(document, dict):
        return document
    kept = _entry(document)
    if kept.get("context") is None:
        kept["context"] = {"time": _SOME_TIME}
    if isinstance(batch := document.get("evaluations"), list):
        kept["evaluations"] = [
            _marked(item, _entry(item)) if isinstance(item, dict) else item for item in batch
        ]
    return _marked(document, kept)


def _marked(document: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    return RepeatedKeys.like(document, kept) if isinstance(document, RepeatedKeys) else kept


def _entry(document: dict[str, Any]) -> dict[str, Any]:
    kept = dict(document)
    subject, context = document.get("subject"), document.get("context")
    # What cannot be read is left in its place, where the reader refuses it.
    if isinstance(subject, dict) and isinstance(subject.get("properties"), dict):
        kept["subject"] = {**subject, "properties": {}} if _is_readable(subject) else subject
    if isinstance(context, dict) and _is_readable(context):
        used: dict[str, Any] = {name: context[name] for name in _USED if name in context}
        if isinstance(form := used.get("form"), dict):
            used["form"] = {k: v for k, v in form.items() if k not in _OF_FORM}
        kept["context"] = {**used, "time": _SOME_TIME}
    return kept


def _is_readable(value: object) -> bool:
    return next(unreadable(value), None) is None


# --- answers ----------------------------------------------------------------------------------


def answer(passage: Passage) -> dict[str, Any]:
    """Return the evaluation response (section 5.5) that tells of ``passage``."""
    decision = passage.decision
    if decision is not None:
        if decision.allowed != passage.allowed:
            # In shadow mode: nobody has to wait for what is let through.
            decision = decision.let_through()
        return decision.to_document()
    return {
        "decision": passage.allowed,
        "context": {
            **_undecided(passage),
            "next_action": "none",
            "retry_after": None,
            "valid_until": None,
            "obligations": [],
        },
    }


def _undecided(passage: Passage) -> dict[str, Any]:
    step = passage.step
    return {
        "reasons": [finding.to_document() for finding in passage.findings],
        "facts": "registry",
        "ignored": [] if step is None else list(step.ignored),
    }


def error_answer(error: InvalidRequestError) -> dict[str, Any]:
    """Return the response for an item in error of a batch (section 7.2.1)."""
    return {"decision": False, "context": {"error": error_document(error.errors)}}


# --- searches ---------------------------------------------------------------------------------


class Searched(Enum):
    """What a search looks for (section 8)."""

    SUBJECT = "subject"
    RESOURCE = "resource"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Search:
    """A search: everything of the question but what is searched for, which is a stand-in.

    At most ``limit`` results are wanted, of those after the one that ``after`` names;
    ``asked`` is the digest of everything that must be the same on the next page.
    """

    searched: Searched
    question: Question
    limit: int
    after: str
    asked: str


def _whole_number(value: object) -> object:
    # As JSON has it, 2.0 is one too.
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise ValueError("must be a whole number, 0 or more")
    return int(value)


class _Page(InputModel):
    token: TextField | None = None
    limit: Annotated[int, custom_field(_whole_number)] | None = None


class _Paged(InputModel):
    page: _Page | None = None


class _Token(InputModel):
    after: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{0,200}$")]
    limit: Annotated[int, Field(ge=0, le=MAX_PAGE)]
    asked: str


_ENTITIES: Final = ("subject", "action", "resource", "context")


def read_search(searched: Searched, body: bytes) -> Search:
    """Read a search (sections 8.4 to 8.6).

    Raises:
        InvalidRequestError: with every field that is wrong, each with its JSON pointer.
    """
    document = parse_json(body)
    if isinstance(document, dict):
        whole = {k: v for k, v in document.items() if k != "evaluations"}
        whole[searched.value] = _stand_in(searched, document.get(searched.value))
        document = _marked(document, whole)
    [question] = _questions(document, 1).items
    if isinstance(question, InvalidRequestError):
        raise question
    try:
        page = _Paged.model_validate(document).page or _Page()
    except ValidationError as error:
        raise InvalidRequestError(field_errors(error)) from None
    asked = _digest(searched, document)
    limit, after = None if page.limit is None else min(page.limit, MAX_PAGE), ""
    if page.token is not None:
        token = _read_token(page.token, asked)
        if limit not in (None, token.limit):
            problem = "must be the same on every page, or absent after the first"
            raise InvalidRequestError([FieldError("/page/limit", problem)])
        limit, after = token.limit, token.after
    return Search(searched, question, MAX_PAGE if limit is None else limit, after, asked)


def _stand_in(searched: Searched, value: object) -> object:
    """Return something whole in the place of what is searched for, whose id is ignored."""
    if searched is Searched.ACTION:
        return {"name": Action.SIGN_OUT.value}
    if not isinstance(value, dict):
        return value
    return _marked(value, {**value, "id": "any"})


def _digest(searched: Searched, document: Any) -> str:
    entities = [searched.value, *(document.get(name) for name in _ENTITIES)]
    return hashlib.sha256(json.dumps(entities, sort_keys=True).encode()).hexdigest()


def _read_token(text: str, asked: str) -> _Token:
    try:
        token = _Token.model_validate_json(base64.urlsafe_b64decode(text))
    except ValueError:
        problem = "is none that this service gave: ask for the first page, without one"
        raise InvalidRequestError([FieldError("/page/token", problem)]) from None
    if token.asked != asked:
        problem = "belongs to another search: ask again exactly what it was given for"
        raise InvalidRequestError([FieldError("/page/token", problem)])
    return token


def search_answer(
    search: Search, results: Sequence[Mapping[str, str]], after: str | None
) -> dict[str, Any]:
    """Return the response to a search (section 8.3).

    ``after`` names the last of what was looked at, when there is more to look at.
    """
    token = ""
    if after is not None:
        said = _Token(after=after, limit=search.limit, asked=search.asked)
        token = base64.urlsafe_b64encode(said.model_dump_json().encode()).decode()
    return {
        "page": {"next_token": token, "count": len(results)},
        "context": {"facts": "registry", "ignored": list(search.question.step.ignored)},
        "results": list(results),
    }


def failed_search_answer(passage: Passage) -> dict[str, Any]:
    """Return the response to a search that could not be made: nothing, and why."""
    return {
        "page": {"next_token": "", "count": 0},
        "context": _undecided(passage),
        "results": [],
    }
