"""Answers, written as text, JSON, JUnit or SARIF."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...decision import Decision, Outcome
from ...inputs import error_document
from ..common import DENIED, INVALID, OK, Output, say

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...errors import InvalidRequestError
    from ...policy import Policy

__all__ = ["Answer", "exit_code", "progress", "write_answers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision, or why there is none, and where its question stood.

    ``index`` is its place in a batch. ``notes`` are lines to show below the answer in text.
    ``extra`` is added to the context of the response.
    """

    source: str
    outcome: Decision | InvalidRequestError
    index: int | None = None
    notes: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The file, and the number in its batch, counted from 1."""
        return self.source if self.index is None else f"{self.source} #{self.index + 1}"

    @property
    def decision(self) -> Decision | None:
        """The decision; None when the question was in error."""
        return self.outcome if isinstance(self.outcome, Decision) else None

    def to_document(self) -> dict[str, Any]:
        """Return the answer as an AuthZEN 1.0 evaluation response."""
        if isinstance(self.outcome, Decision):
            document = self.outcome.to_document()
            return {**document, "context": {**document["context"], **self.extra}}
        return {"decision": False, "context": {"error": error_document(self.outcome.errors)}}


def write_answers(
    answers: Sequence[Answer], out: Output, policy: Policy, *, single: bool = False
) -> None:
    """Write ``answers`` in the form that was asked for; ``single``: not as a batch."""
    for answer in answers:
        if not isinstance(answer.outcome, Decision):
            for error in answer.outcome.errors:
                say(f"error: {answer.place}: {error}")
    if out.format == "json":
        documents = [answer.to_document() for answer in answers]
        out.write_json(documents[0] if single else {"evaluations": documents})
    elif out.format == "junit":
        from .junit import junit

        out.write(junit(answers, out.lang))
    elif out.format == "sarif":
        from .sarif import sarif

        out.write_json(sarif(answers, policy, out.lang))
    else:
        from .text import show_answers

        console = out.console()
        show_answers(console, answers, out.lang)
        out.write_console(console)


def exit_code(
    answers: Iterable[Answer], *, fail_on_warn: bool = False, exit_zero: bool = False
) -> int:
    """Return 2 when any question was in error, else 1 when any was denied, else 0."""
    decisions = [answer.decision for answer in answers]
    if None in decisions:
        return INVALID
    if exit_zero:
        return OK
    warned = fail_on_warn and any(
        finding.outcome is Outcome.WARN
        for decision in decisions
        if decision
        for finding in decision.findings
    )
    return DENIED if warned or not all(d and d.allowed for d in decisions) else OK


def progress(answers: Iterable[Answer], total: int, out: Output) -> Iterator[Answer]:
    """Yield ``answers``; long batches draw a bar when standard error is a terminal."""
    if total < _LONG or not sys.stderr.isatty():
        yield from answers
        return
    from rich.console import Console
    from rich.progress import track

    from ...texts import ui

    label = ui("progress.checking").to(out.lang)
    console = Console(stderr=True)
    yield from track(answers, label, total=total, console=console, transient=True)


_LONG = 200
