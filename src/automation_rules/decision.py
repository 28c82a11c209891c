"""What was found and what was decided: evidence, never a bare bool.

A `Finding` is one check's answer. A `Decision` joins the findings on one request and answers what
follows from them: whether to wait, until when, for how long an answer holds. Everything that is
only read sometimes (texts, instants to come, the identifier) is worked out when it is read.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from .clock import LONDON
from .terms import terms_at
from .texts import message, remedy, ui

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .request import Request
    from .texts import Lang, Text

__all__ = [
    "Decision",
    "Finding",
    "Obligation",
    "Outcome",
    "PolicyInfo",
    "ReadingUse",
    "instant_text",
]


class Outcome(Enum):
    """How a check came out."""

    PASS = "pass"
    FAIL = "fail"
    WARN = "warn"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class ReadingUse:
    """The reading that a finding rests on, and what its other values would have answered.

    ``otherwise`` maps each other value to ``"pass"`` or to the code that it would have given.
    """

    name: str
    value: str
    otherwise: Mapping[str, str]

    def to_document(self) -> dict[str, Any]:
        """Return the reading as a JSON object."""
        return {"name": self.name, "value": self.value, "otherwise": dict(self.otherwise)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer to one request.

    ``code`` is None unless the outcome is a failure or a warning. ``facts`` are JSON pointers to
    the facts that were missing. ``params`` fill the message. ``text`` and ``advice`` are given by
    checks that bring their own words; the others take them from the catalogue.
    """

    check: str
    outcome: Outcome
    code: str | None = None
    clauses: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    params: Mapping[str, Any] | None = None
    readings: tuple[ReadingUse, ...] = ()
    children: tuple[Finding, ...] = ()
    text: Text | None = None
    advice: Text | None = None
    catalogue: str | None = None

    @property
    def reading(self) -> ReadingUse | None:
        """The first reading, in the order of the readings' table, that the finding rests on."""
        return self.readings[0] if self.readings else None

    @property
    def is_notable(self) -> bool:
        """Whether a reader must be told: it did not simply pass, or passed on one reading only."""
        return self.outcome is Outcome.FAIL or bool(self.readings) or self.has_warning

    @property
    def has_warning(self) -> bool:
        """Whether it warns, or a check that it is made of does."""
        return self.outcome is Outcome.WARN or any(child.has_warning for child in self.children)

    @property
    def message(self) -> Text:
        """What was found, in both languages."""
        if self.text is not None:
            return self.text
        code = self.code or self.outcome.value
        try:
            return message(self.catalogue or self.check, code, **(self.params or {}))
        except LookupError:  # a check of someone's own that brought no words
            return ui(f"own_check.{self.outcome.value}", code=code)

    @property
    def remedy(self) -> Text | None:
        """What would mend it, in both languages; None when there is nothing to mend."""
        if self.code is None or self.text is not None or self.advice is not None:
            return self.advice
        try:
            return remedy(self.catalogue or self.check, self.code, **(self.params or {}))
        except LookupError:  # a check of someone's own that brought no words
            return None

    def to_document(self) -> dict[str, Any]:
        """Return the finding as an entry of a decision's ``reasons``."""
        advice = self.remedy
        document: dict[str, Any] = {
            "check": self.check,
            "outcome": self.outcome.value,
            "code": self.code,
            "clauses": list(self.clauses),
            "message": self.message.to_document(),
            "remedy": advice.to_document() if advice else None,
            "reading": self.reading.to_document() if self.reading else None,
        }
        if len(self.readings) > 1:
            document["readings"] = [use.to_document() for use in self.readings]
        if self.facts:
            document["facts"] = list(self.facts)
        if self.params and "fields" in self.params:
            document["fields"] = list(self.params["fields"])
        if self.children:
            document["children"] = [child.to_document() for child in self.children]
        return document


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something to be done before the answer can be used (AuthZEN obligations draft)."""

    id: str
    type: str

    def to_document(self) -> dict[str, Any]:
        """Return the obligation as a JSON object."""
        return {"id": self.id, "type": self.type}


@dataclass(frozen=True, slots=True)
class PolicyInfo:
    """Which policy decided: its identifier, its version and the digest of all it says."""

    id: str
    version: str
    digest: str

    def to_document(self) -> dict[str, str]:
        """Return the policy's identity as a JSON object."""
        return {"id": self.id, "version": self.version, "digest": self.digest}


class _Decider(Protocol):
    """What a decision asks of the policy that made it, when it is asked."""

    @property
    def info(self) -> PolicyInfo: ...
    def retry_after(self, request: Request, findings: tuple[Finding, ...]) -> datetime | None: ...
    def valid_until(self, request: Request) -> datetime | None: ...
    def obligations(self, request: Request, retry_after: datetime) -> tuple[Obligation, ...]: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one request, with every finding that it rests on.

    "Allowed" means that no breach was found: not that DWP permits the step, and never that the
    portal is available.
    """

    request: Request
    findings: tuple[Finding, ...]
    allowed: bool
    decider: _Decider = field(repr=False, compare=False)
    _worked_out: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def decision_id(self) -> str:
        """A random identifier (UUID, version 4), the same at every reading."""
        if "id" not in self._worked_out:
            self._worked_out["id"] = str(uuid.uuid4())
        return str(self._worked_out["id"])

    def let_through(self) -> Decision:
        """Return the same findings as a decision that lets the request through regardless."""
        return self._changed(self.findings, allowed=True)

    def with_finding(self, finding: Finding, *, allowed: bool) -> Decision:
        """Return the same decision with one more finding, and the answer that follows from it."""
        return self._changed((*self.findings, finding), allowed=allowed)

    def noted(self, finding: Finding) -> Decision:
        """Return the same answer with one more finding that neither passes nor denies.

        Raises:
            ValueError: the finding is a failure, which would make the answer another.
        """
        if finding.outcome is Outcome.FAIL:
            raise ValueError("a failure changes the answer: use with_finding()")
        noted = Decision(self.request, (*self.findings, finding), self.allowed, self.decider)
        noted._worked_out.update(self._worked_out, id=self.decision_id)
        return noted

    def _changed(self, findings: tuple[Finding, ...], *, allowed: bool) -> Decision:
        changed = Decision(self.request, findings, allowed, self.decider)
        # No instant is foreseen for an answer that the checks alone did not give.
        changed._worked_out.update(id=self.decision_id, retry_after=None, valid_until=None)
        return changed

    @property
    def policy(self) -> PolicyInfo:
        """The policy that decided."""
        return self.decider.info

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that deny."""
        return tuple(f for f in self.findings if f.outcome is Outcome.FAIL)

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """The findings that a reader must be told, in the order of the checks."""
        return tuple(f for f in self.findings if f.is_notable)

    @property
    def retry_after(self) -> datetime | None:
        """The first instant (UTC) at which the window passes, when only the window fails."""
        if self.allowed:
            return None
        if "retry_after" not in self._worked_out:
            self._worked_out["retry_after"] = self.decider.retry_after(self.request, self.findings)
        instant: datetime | None = self._worked_out["retry_after"]
        return instant

    @property
    def next_action(self) -> str:
        """``"retry"`` when waiting helps, else ``"none"``."""
        return "none" if self.retry_after is None else "retry"

    @property
    def valid_until(self) -> datetime | None:
        """The first instant (UTC) at which an allowed request would no longer be allowed."""
        if not self.allowed:
            return None
        if "valid_until" not in self._worked_out:
            self._worked_out["valid_until"] = self.decider.valid_until(self.request)
        instant: datetime | None = self._worked_out["valid_until"]
        return instant

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """What must be done before the retry."""
        retry_after = self.retry_after
        return () if retry_after is None else self.decider.obligations(self.request, retry_after)

    def explain(self, lang: Lang = "en") -> str:
        """Return the decision as lines of text: the answer, each reason, what to do, and when."""
        lines = [ui("decision.allowed" if self.allowed else "decision.denied").to(lang)]
        for finding in self.reasons:
            lines.extend(_explain(finding, lang))
        if self.retry_after is not None:
            lines.append(ui("decision.retry_after", at=self.retry_after).to(lang))
        lines.extend(ui(f"obligation.{duty.id}").to(lang) for duty in self.obligations)
        if self.valid_until is not None:
            lines.append(ui("decision.valid_until", at=self.valid_until).to(lang))
        return "\n".join(lines)

    def to_document(self) -> dict[str, Any]:
        """Return the decision as an AuthZEN 1.0 evaluation response."""
        request = self.request
        listed = self.findings if request.context.explain else self.reasons
        terms = terms_at(request.time)
        context: dict[str, Any] = {
            "decision_id": self.decision_id,
            "evaluated_at": instant_text(request.time),
            "policy": self.policy.to_document(),
            "terms": {"version": terms.version, "digest": terms.digest},
            "reasons": [finding.to_document() for finding in listed],
            "facts": request.facts,
            "next_action": self.next_action,
            "retry_after": instant_text(self.retry_after),
            "valid_until": instant_text(self.valid_until),
            "obligations": [duty.to_document() for duty in self.obligations],
        }
        if request.facts == "registry":
            context["ignored"] = list(request.ignored)
        return {"decision": self.allowed, "context": context}


def instant_text(instant: datetime | None) -> str | None:
    """Return an instant as RFC 3339 text on London's clocks, or None for None."""
    return None if instant is None else instant.astimezone(LONDON).isoformat()


def _explain(finding: Finding, lang: Lang, indent: str = "  ") -> list[str]:
    cited = f" [{', '.join(finding.clauses)}]" if finding.clauses else ""
    code = f".{finding.code}" if finding.code else ""
    lines = [f"{indent}{finding.check}{code}: {finding.message.to(lang)}{cited}"]
    if finding.remedy is not None:
        lines.append(f"{indent}  {finding.remedy.to(lang)}")
    for use in finding.readings:
        others = ", ".join(f"{value}: {answer}" for value, answer in use.otherwise.items())
        lines.append(
            f"{indent}  "
            + ui("decision.reading", name=use.name, value=use.value, others=others).to(lang)
        )
    for child in finding.children:
        if child.outcome is not Outcome.NOT_APPLICABLE:
            lines.extend(_explain(child, lang, indent + "  "))
    return lines
