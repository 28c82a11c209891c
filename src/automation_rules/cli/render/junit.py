"""JUnit reports, for continuous integration; in the form that Ant's JUnit task writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ...clock import SystemClock
from ...decision import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...texts import Lang
    from . import Answer

__all__ = ["Case", "junit", "report"]

_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: its name, what it belongs to, and how it came out, in words.

    ``kind`` is None when it passed; ``type`` and ``message`` say in short why it did not.
    """

    name: str
    group: str
    text: str
    kind: Literal["failure", "error"] | None = None
    type: str = ""
    message: str = ""


def junit(answers: Sequence[Answer], lang: Lang) -> str:
    """Return the answers as one test suite, with a test case for each."""
    return report("automation-rules check", (_case(answer, lang) for answer in answers))


def report(name: str, cases: Iterable[Case]) -> str:
    """Return one test suite as XML; characters that XML cannot hold are dropped."""
    listed = list(cases)
    counts = {kind: sum(case.kind == kind for case in listed) for kind in ("failure", "error")}
    suite = Element(
        "testsuite",
        name=name,
        timestamp=f"{SystemClock().now():%Y-%m-%dT%H:%M:%S}",
        hostname="localhost",
        tests=str(len(listed)),
        failures=str(counts["failure"]),
        errors=str(counts["error"]),
        time="0",
    )
    SubElement(suite, "properties")
    for case in listed:
        element = SubElement(
            suite, "testcase", name=_clean(case.name), classname=_clean(case.group), time="0"
        )
        if case.kind is not None:
            wrong = SubElement(
                element, case.kind, type=_clean(case.type), message=_clean(case.message)
            )
            wrong.text = _clean(case.text)
    passed = (f"{case.group} {case.name}: {case.text}" for case in listed if case.kind is None)
    SubElement(suite, "system-out").text = _clean("\n".join(passed))
    SubElement(suite, "system-err")
    indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suite, encoding="unicode")}\n'


def _case(answer: Answer, lang: Lang) -> Case:
    name = "evaluation" if answer.index is None else f"evaluation {answer.index + 1}"
    outcome = answer.outcome
    if not isinstance(outcome, Decision):
        lines = "\n".join(str(error) for error in outcome.errors)
        first = outcome.errors[0]
        return Case(name, answer.source, lines, "error", "InvalidRequest", str(first))
    words = outcome.explain(lang)
    if outcome.allowed:
        return Case(name, answer.source, words)
    codes = ", ".join(f"{finding.check}.{finding.code}" for finding in outcome.failures)
    first_message = outcome.failures[0].message.to(lang)
    return Case(name, answer.source, words, "failure", codes, first_message)


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
