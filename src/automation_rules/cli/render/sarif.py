"""Answers as a SARIF 2.1.0 log: a rule for each check and code, a result for each reason."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ...decision import Decision, Outcome
from ...terms import terms_at
from ...texts import ui
from .labels import label_of_check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...decision import Finding
    from ...policy import Policy
    from ...texts import Lang
    from . import Answer

__all__ = ["sarif"]

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS: Final = {Outcome.FAIL: "error", Outcome.WARN: "warning"}


def sarif(answers: Sequence[Answer], policy: Policy, lang: Lang) -> dict[str, Any]:
    """Return the log as a JSON object, with one run."""
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for answer in answers:
        if not isinstance(answer.outcome, Decision):
            continue
        for finding in answer.outcome.reasons:
            if finding.outcome in _LEVELS:
                name = f"{finding.check}/{finding.code}"
                if name not in rules:
                    rules[name] = _rule(name, finding, answer.outcome, lang)
                results.append(_result(answer, finding, name, list(rules).index(name), lang))
    notifications = [
        {
            "level": "error",
            "message": {"text": str(error)},
            "locations": [_location(answer)],
        }
        for answer in answers
        if not isinstance(answer.outcome, Decision)
        for error in answer.outcome.errors
    ]
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "automation-rules",
                        "version": version("automation-rules"),
                        "rules": list(rules.values()),
                        "properties": {"policy": policy.info.to_document()},
                    }
                },
                "language": "cy-GB" if lang == "cy" else "en-GB",
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not notifications,
                        "toolExecutionNotifications": notifications,
                    }
                ],
                "results": results,
            }
        ],
    }


def _rule(name: str, finding: Finding, decision: Decision, lang: Lang) -> dict[str, Any]:
    known = terms_at(decision.request.time).clauses
    clauses = {clause: known[clause].text for clause in finding.clauses if clause in known}
    words = "\n\n".join(f"{clause}: {text.to(lang)}" for clause, text in clauses.items())
    return {
        "id": name,
        "shortDescription": {"text": label_of_check(finding.check, lang)},
        **({"help": {"text": words}} if words else {}),
        "defaultConfiguration": {"level": _LEVELS[finding.outcome]},
        "properties": {
            "clauses": list(finding.clauses),
            "help": {clause: text.to_document() for clause, text in clauses.items()},
        },
    }


def _result(answer: Answer, finding: Finding, rule: str, index: int, lang: Lang) -> dict[str, Any]:
    remedy = finding.remedy
    words = [finding.message.to(lang)]
    if remedy is not None:
        words.append(f"{ui('what_to_do').to(lang)}: {remedy.to(lang)}")
    document = finding.to_document()
    return {
        "ruleId": rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.outcome],
        "message": {"text": "\n".join(words)},
        "locations": [_location(answer)],
        "properties": {name: document[name] for name in ("message", "remedy", "reading")},
    }


def _location(answer: Answer) -> dict[str, Any]:
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(answer.source)},
            "region": {"startLine": 1},
        }
    }
    if answer.index is not None:
        place["logicalLocations"] = [
            {"fullyQualifiedName": f"/evaluations/{answer.index}", "kind": "element"}
        ]
    return place


def _uri(source: str) -> str:
    if source == "-":
        return "stdin"
    path = Path(source)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
