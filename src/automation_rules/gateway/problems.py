"""How a denial is told: as problem details (RFC 9457) to programs, as a page to people.

Every denial is a 403, whatever its reason: proxies pass that on whole, and no client takes it
for a request to sign in. The type of a problem is the code of the finding that matters most;
the words are the findings' own, in the language that is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ..terms import terms_at
from ..texts import Text, load, ui

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jinja2 import Environment

    from ..decision import Finding
    from ..texts import Lang
    from .core import Passage

__all__ = ["STATUS", "TYPE_PREFIX", "Denial", "denial", "problem_title", "problem_type"]

STATUS: Final = 403
"""The status of every denial."""

TYPE_PREFIX: Final = "urn:automation-rules:problem:"
"""What every problem type begins with; the finding's code follows, with hyphens."""

_SECOND: Final = timedelta(seconds=1)

_FIRST: Final = (
    *("gateway", "log", "policy", "account", "landlord", "declaration", "suspension", "role"),
    *("account_limit", "identity", "two_factor", "action", "test_mode"),
)
_LAST: Final = ("window", "manual_code", "form", "answers")


@dataclass(frozen=True, slots=True)
class Denial:
    """A whole HTTP response: ``headers`` have their usual spelling, and a length among them."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def denial(
    passage: Passage,
    *,
    accept: str = "",
    accept_language: str = "",
    now: datetime | None = None,
) -> Denial:
    """Return the response that tells a bot that ``passage`` is denied, and why.

    ``accept`` and ``accept_language`` are the request's fields (RFC 9110, sections 12.5.1 and
    12.5.4), an absent one empty. A program gets problem details, and so does whoever asks for
    nothing in particular; a client that prefers ``text/html`` gets a page. English unless Welsh
    is preferred. ``Retry-After`` counts from ``now``, by default from when it was decided.
    """
    lang: Lang = "cy" if _prefers_welsh(accept_language) else "en"
    findings = sorted(passage.findings, key=_relevance)
    headers = [
        ("Cache-Control", "no-store"),
        ("Content-Language", lang),
        ("Vary", "Accept, Accept-Language"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    decision = passage.decision
    if decision is not None:
        headers.append(("X-Decision-Id", decision.decision_id))
        if decision.retry_after is not None:
            wait = decision.retry_after - (now or decision.request.time)
            headers.append(("Retry-After", str(max(0, -(-wait // _SECOND)))))
    if _prefers_page(accept):
        style, digest = _style()
        policy = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        headers += [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", f"default-src 'none'; style-src '{digest}'; {policy}"),
        ]
        body = _page(passage, findings, lang, style).encode()
    else:
        headers.append(("Content-Type", "application/problem+json"))
        body = json.dumps(_problem(passage, findings, lang), ensure_ascii=False).encode()
    headers.append(("Content-Length", str(len(body))))
    return Denial(STATUS, tuple(headers), body)


def problem_type(code: str | None) -> str:
    """Return the problem type (a URI) of a finding's code; of a denial without one, for None."""
    return TYPE_PREFIX + quote((code or "denied").replace("_", "-"), safe="")


def problem_title(check: str, code: str | None) -> Text:
    """Return what a problem is called; a check of someone's own has no title of its own."""
    titles = _titles()
    anyones = titles["*"]
    return titles.get(check, {}).get(code or "") or anyones.get(code or "") or anyones["other"]


def _relevance(finding: Finding) -> int:
    """Return what puts first what no waiting mends, beginning with who it is that asks."""
    if finding.check in _FIRST:
        return _FIRST.index(finding.check) - len(_FIRST)
    return _LAST.index(finding.check) + 1 if finding.check in _LAST else 0


@cache
def _titles() -> dict[str, dict[str, Text]]:
    return {
        check: {code: Text(**text) for code, text in codes.items()}
        for check, codes in load("problems.json").items()
    }


# --- for programs -----------------------------------------------------------------------------


def _problem(passage: Passage, findings: Sequence[Finding], lang: Lang) -> dict[str, Any]:
    decision = passage.decision
    title, detail, code = problem_title("", None), Text("", ""), None
    if findings:
        first = findings[0]
        code = first.code
        title, detail = problem_title(first.catalogue or first.check, code), first.message
        if first.remedy is not None:
            detail = Text(f"{detail.en} {first.remedy.en}", f"{detail.cy} {first.remedy.cy}")
    problem: dict[str, Any] = {
        "type": problem_type(code),
        "title": title.to(lang),
        "status": STATUS,
        "detail": detail.to(lang),
    }
    if decision is not None:
        context = decision.to_document()["context"]
        return {**problem, "instance": f"urn:uuid:{decision.decision_id}", **context}
    return {
        **problem,
        "decision_id": None,
        "reasons": [finding.to_document() for finding in findings],
        "next_action": "none",
        "retry_after": None,
        "obligations": [],
    }


# --- for people -------------------------------------------------------------------------------


def _page(passage: Passage, findings: Sequence[Finding], lang: Lang, style: str) -> str:
    from markupsafe import Markup

    decision = passage.decision
    first = findings[0] if findings else None
    told: dict[str, Any] = {
        "lang": lang,
        "say": lambda key, **parameters: ui(key, **parameters).to(lang),
        "style": Markup(style),  # noqa: S704 - our own, from the package
        "title": problem_title("", None).to(lang),
        "message": ui("decision.denied").to(lang),
        "remedy": None,
        "others": [_words(finding, lang) for finding in findings[1:]],
        "clauses": [],
        "retry_after": None,
        "duties": [],
        "waiting_is_vain": False,
        "decision_id": None,
    }
    if first is not None:
        told |= _words(first, lang)
        told["title"] = problem_title(first.catalogue or first.check, first.code).to(lang)
    if decision is not None:
        known = terms_at(decision.request.time).clauses
        cited = dict.fromkeys(clause for finding in findings for clause in finding.clauses)
        told |= {
            "clauses": [(c, known[c].title.to(lang) if c in known else None) for c in cited],
            "retry_after": decision.retry_after,
            "duties": [ui(f"obligation.{duty.id}").to(lang) for duty in decision.obligations],
            "waiting_is_vain": all(finding.check != "log" for finding in findings),
            "decision_id": decision.decision_id,
        }
    return _environment().get_template("denial.html.j2").render(told)


def _words(finding: Finding, lang: Lang) -> dict[str, str | None]:
    advice = finding.remedy
    return {
        "message": finding.message.to(lang),
        "remedy": None if advice is None else advice.to(lang),
    }


@cache
def _style() -> tuple[str, str]:
    """Return the page's style, and the source expression that lets a browser use it."""
    style = (Path(__file__).parents[1] / "data" / "denial.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return style, f"sha256-{digest}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "data"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


# --- what is asked for ------------------------------------------------------------------------

_Rank = tuple[float, int, int]
_MOST: Final = 64


def _prefers_page(accept: str) -> bool:
    ranges = _ranges(accept)
    program = max(
        _rank(ranges, "application/problem+json", "application/*", "*/*"),
        _rank(ranges, "application/json", "application/*", "*/*"),
    )
    return _rank(ranges, "text/html", "text/*", "*/*") > program


def _prefers_welsh(accept_language: str) -> bool:
    ranges = [(name.partition("-")[0], weight) for name, weight in _ranges(accept_language)]
    return _rank(ranges, "cy", "*") > _rank(ranges, "en", "*")


def _rank(ranges: Sequence[tuple[str, float]], *forms: str) -> _Rank:
    """Return how much something is wanted that each of ``forms``, closest first, names.

    By weight; then what is named more closely, then what is named first, is wanted more.
    """
    for distance, form in enumerate(forms):
        found = [(w, -distance, -at) for at, (name, w) in enumerate(ranges) if name == form]
        if found:
            return max(found)
    return (0.0, 0, 0)


def _ranges(field: str) -> list[tuple[str, float]]:
    """Return the ranges of a field with their weights; what cannot be read is left out."""
    found = []
    for part in field.split(",", _MOST)[:_MOST]:
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [text[2:] for text in parameters if text.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            continue
        if 0 <= weight <= 1:
            found.append((name, weight))
    return found
