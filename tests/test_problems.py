"""How a denial is told: to programs and to people, in two languages, and when to come back."""

# ruff: noqa: RUF001 - typographic marks are what is tested

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html  # type: ignore[import-untyped]
from werkzeug.datastructures import LanguageAccept, MIMEAccept
from werkzeug.http import parse_accept_header

from automation_rules import Finding, Outcome, Policy, Request, Text, landlord_portal
from automation_rules.checks import Deny
from automation_rules.gateway import Passage
from automation_rules.gateway.problems import (
    STATUS,
    TYPE_PREFIX,
    Denial,
    denial,
    problem_title,
    problem_type,
)
from automation_rules.terms import terms_at
from automation_rules.texts import LANGUAGES, load, ui
from patching import ABSENT, patched
from tools import tool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import ConsoleMessage

    from automation_rules.texts import Lang

PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""What browsers say."""

SATURDAY = {
    "/context/time": "2026-06-06T09:00:00.25+01:00",
    "/subject/properties/sms_code/provided_at": "2026-06-06T08:00:00+01:00",
}
UNREADABLE = Passage(
    allowed=False, findings=(Finding("gateway", Outcome.FAIL, "facts_unavailable"),)
)


def denied(changes: dict[str, Any], policy: Policy | None = None) -> Passage:
    """A denied passage: what the gateway makes of a request with some facts changed."""
    decision = (policy or landlord_portal()).decide(Request.from_document(patched(changes)))
    assert not decision.allowed
    return Passage(allowed=False, decision=decision, findings=decision.failures)


def fields(told: Denial) -> dict[str, str]:
    """The header fields, each of which comes once."""
    names = [name for name, _ in told.headers]
    assert len(names) == len(set(names))
    return dict(told.headers)


def problem(passage: Passage, **asked: Any) -> dict[str, Any]:
    """The problem details that a program gets."""
    told = denial(passage, **asked)
    assert fields(told)["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = json.loads(told.body)
    return document


def page(passage: Passage, lang: Lang = "en") -> Any:
    """The page that a person gets, as a browser would read it."""
    told = denial(passage, accept=PAGE, accept_language=lang)
    text = told.body.decode()
    # It is well-formed too, so nothing was mended on the way.
    etree.fromstring(re.sub(r"<!DOCTYPE html>\n|<meta [^>]*>", "", text))
    return html.document_fromstring(text)


def words(element: Any) -> str:
    """The text of an element, with single spaces."""
    return " ".join(element.text_content().split())


# --- problem details


def test_problem_details_say_what_happened_and_what_to_do() -> None:
    """Type, title and detail are of the finding; the decision's own answer comes with them."""
    passage = denied(SATURDAY)
    assert passage.decision is not None
    found = problem(passage)
    context = passage.decision.to_document()["context"]
    [reason] = context["reasons"]
    assert found == {
        "type": "urn:automation-rules:problem:weekend",
        "title": "Closed to automation at weekends",
        "status": 403,
        "detail": f"{reason['message']['en']} {reason['remedy']['en']}",
        "instance": f"urn:uuid:{passage.decision.decision_id}",
        **context,
    }
    assert found["decision_id"] == passage.decision.decision_id
    assert found["next_action"] == "retry"
    assert found["retry_after"] == "2026-06-08T08:00:00+01:00"
    assert found["obligations"] == [{"id": "manual-code", "type": "step-up"}]


def test_the_header_fields_keep_a_denial_out_of_caches_and_name_the_decision() -> None:
    """Nothing stores it, and its language, length and identifier are told."""
    passage = denied(SATURDAY)
    assert passage.decision is not None
    told = denial(passage)
    assert told.status == STATUS == 403
    assert fields(told) == {
        "Cache-Control": "no-store",
        "Content-Language": "en",
        "Content-Length": str(len(told.body)),
        "Content-Type": "application/problem+json",
        # 46 hours and 59 minutes, 59.75 seconds of them begun.
        "Retry-After": str(47 * 3600),
        "Vary": "Accept, Accept-Language",
        "X-Content-Type-Options": "nosniff",
        "X-Decision-Id": passage.decision.decision_id,
    }


@pytest.mark.parametrize(
    ("before", "seconds"),
    [
        (timedelta(seconds=1), "1"),
        (timedelta(microseconds=1), "1"),
        (timedelta(seconds=1, microseconds=1), "2"),
        (timedelta(0), "0"),
        (-timedelta(seconds=9), "0"),
        (timedelta(days=2), "172800"),
    ],
)
def test_the_wait_is_in_whole_seconds_rounded_up(before: timedelta, seconds: str) -> None:
    """Whoever waits so long does not come too early; an instant that is past is now."""
    passage = denied(SATURDAY)
    opening = datetime.fromisoformat("2026-06-08T08:00:00+01:00")
    assert fields(denial(passage, now=opening - before))["Retry-After"] == seconds


def test_no_wait_is_told_when_waiting_does_not_help() -> None:
    """An account that is paused has no instant to come back at."""
    passage = denied({**SATURDAY, "/subject/properties/status": "paused"})
    assert "Retry-After" not in fields(denial(passage))
    found = problem(passage)
    assert found["next_action"] == "none"
    assert found["retry_after"] is None


def test_what_could_not_be_decided_is_told_without_a_decision() -> None:
    """The same members are there, and no decision is named."""
    found = problem(UNREADABLE, accept_language="cy")
    [reason] = found["reasons"]
    assert found == {
        "type": "urn:automation-rules:problem:facts-unavailable",
        "title": "Ni ellid darllen y ffeithiau a gofrestrwyd",
        "status": 403,
        "detail": f"{reason['message']['cy']} {reason['remedy']['cy']}",
        "decision_id": None,
        "reasons": [UNREADABLE.findings[0].to_document()],
        "next_action": "none",
        "retry_after": None,
        "obligations": [],
    }
    assert "X-Decision-Id" not in fields(denial(UNREADABLE))


def test_a_denial_without_any_finding_is_told_all_the_same() -> None:
    """Nothing is assumed of whoever denies: type and title are the general ones."""
    found = problem(Passage(allowed=False))
    assert found["type"] == "urn:automation-rules:problem:denied"
    assert found["title"] == "Automation may not do this"
    assert words(page(Passage(allowed=False), "cy").find(".//h1")) == problem_title("", None).cy


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({**SATURDAY, "/subject/properties/two_factor": False}, "two-factor-off"),
        ({**SATURDAY, "/subject/properties/status": "deactivated"}, "account-deactivated"),
        ({**SATURDAY, "/action/name": "unknown_route"}, "unknown-action"),
        ({**SATURDAY, "/subject/properties/sms_code": ABSENT}, "weekend"),
        (
            {"/subject/id": "stranger", "/subject/properties/roles": ["view_payments"]},
            "unregistered-account",
        ),
        (
            {"/subject/properties/status": "paused", "/action/name": "pay_rent"},
            "account-paused",
        ),
    ],
)
def test_the_problem_that_matters_most_comes_first(changes: dict[str, Any], first: str) -> None:
    """Who asks goes before what for, and what no waiting mends before what it does."""
    found = problem(denied(changes))
    assert found["type"] == TYPE_PREFIX + first
    assert len(found["reasons"]) > 1


def test_what_was_not_recorded_comes_before_what_was_decided() -> None:
    """A bot outside its hours is told first that nothing is on record."""
    passage = denied(SATURDAY)
    trouble = Finding("log", Outcome.FAIL, "not_recorded")
    assert passage.decision is not None
    decision = passage.decision.with_finding(trouble, allowed=False)
    found = problem(Passage(allowed=False, decision=decision, findings=decision.failures))
    assert found["type"] == "urn:automation-rules:problem:not-recorded"
    assert [reason["code"] for reason in found["reasons"]] == ["weekend", "not_recorded"]


def test_a_rule_of_ones_own_is_told_in_its_own_words() -> None:
    """A policy's own denial has the general title, its own code as type, and its own text."""
    own = Deny(
        "no/rain",
        code="is it raining?",
        clauses=("house-rule", "when.core-hours"),
        message=Text("It rains <b>.", "Mae’n bwrw glaw <b>."),
        remedy=Text("Wait.", "Arhoswch."),
    )
    passage = denied({}, Policy("own", "1", [own]))
    found = problem(passage, accept_language="cy")
    assert found["type"] == "urn:automation-rules:problem:is%20it%20raining%3F"
    assert found["title"] == "Ni chaiff awtomeiddio wneud hyn"
    assert found["detail"] == "Mae’n bwrw glaw <b>. Arhoswch."
    root = page(passage)
    assert "It rains <b>." in words(root)
    assert [words(one) for one in root.iter("li")] == [
        "house-rule",
        f"{terms_at(WORKDAY).clauses['when.core-hours'].title.en} when.core-hours",
    ]


WORKDAY = datetime.fromisoformat("2026-06-02T09:00:00+01:00")


# --- the catalogue

# What warns only, and so never denies.
_WARNINGS = {"no_partnership_manager", "change_announced", "shadow"}
CODES = sorted(
    (check, code)
    for check, codes in load("codes.json").items()
    for code in codes
    if code not in {"pass", "not_applicable", *_WARNINGS}
)


@pytest.mark.parametrize(("check", "code"), CODES)
def test_every_code_that_denies_has_a_type_and_a_title(check: str, code: str) -> None:
    """A title is short, in both languages, and not the general one."""
    title = problem_title(check, code)
    assert title != problem_title("", None)
    for lang in LANGUAGES:
        assert 5 < len(title.to(lang)) < 70
        assert not title.to(lang).endswith(".")
    assert re.fullmatch(r"urn:automation-rules:problem:[a-z]+(-[a-z]+)*", problem_type(code))


def test_types_tell_codes_apart_and_titles_tell_types_apart() -> None:
    """No two checks share a type or a title, and the catalogue holds nothing else."""
    assert len({problem_type(code) for _, code in CODES}) == len(CODES)
    titles = [problem_title(check, code) for check, code in CODES]
    for lang in LANGUAGES:
        assert len({title.to(lang) for title in titles}) == len(CODES)
    kept = {(check, code) for check, codes in load("problems.json").items() for code in codes}
    assert kept - {("*", "other")} == set(CODES)


def test_titles_are_written_in_each_language() -> None:
    """No title mixes marks or languages; names of the portal stay as they are."""
    for codes in load("problems.json").values():
        for text in codes.values():
            assert text["en"] != text["cy"]
            names = [re.findall("‘[A-Z][^‘]*?’", text[lang]) for lang in LANGUAGES]
            assert names[0] == names[1]
            assert not re.search(r"['\"`\x00-\x1f]", text["en"] + text["cy"])


# --- the page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_says_what_which_clause_what_to_do_and_when(lang: Lang) -> None:
    """Heading, message, remedy, instant, duty and clauses are there, and the decision's name."""
    passage = denied(SATURDAY)
    decision = passage.decision
    assert decision is not None
    assert decision.retry_after is not None
    root = page(passage, lang)
    [finding] = passage.findings
    assert finding.remedy is not None
    assert root.get("lang") == lang
    assert words(root.find(".//h1")) == problem_title("window", "weekend").to(lang)
    assert words(root.find(".//title")).startswith(words(root.find(".//h1")))
    text = words(root.find(".//main"))
    for shown in (
        ui("denied"),
        finding.message,
        finding.remedy,
        ui("decision.retry_after", at=decision.retry_after),
        ui("obligation.manual-code"),
        terms_at(WORKDAY).clauses["when.core-hours"].title,
    ):
        assert shown.to(lang) in text
        assert shown.to("cy" if lang == "en" else "en") not in text
    assert decision.decision_id in words(root.find(".//footer"))
    assert ui("disclaimer").to(lang) in words(root.find(".//footer"))
    assert ui("denial.waiting").to(lang) not in text


def test_the_page_lists_everything_else_that_was_found() -> None:
    """One answer names everything, and says that waiting alone would not change it."""
    passage = denied({**SATURDAY, "/subject/properties/two_factor": False})
    text = words(page(passage).find(".//main"))
    for finding in passage.findings:
        assert finding.message.en in text
        for clause in finding.clauses:
            assert clause in text
    assert ui("denial.also").en in text
    assert ui("denial.waiting").en in text


def test_the_page_does_not_say_that_waiting_is_vain_when_it_may_help() -> None:
    """A store or a log that is out of order now may be in order later."""
    assert ui("denial.waiting").en not in words(page(UNREADABLE))
    passage = denied({"/subject/properties/two_factor": False})
    assert passage.decision is not None
    trouble = Finding("log", Outcome.FAIL, "not_recorded")
    decision = passage.decision.with_finding(trouble, allowed=False)
    passage = replace(passage, decision=decision, findings=decision.failures)
    assert ui("denial.waiting").en not in words(page(passage))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_is_made_for_everybody_and_asks_for_nothing_else(lang: Lang) -> None:
    """One h1 before any h2, a main part, a width for phones; no script, font or address."""
    passage = denied({**SATURDAY, "/subject/properties/two_factor": False})
    root = page(passage, lang)
    assert next(one.tag for one in root.iter("h1", "h2", "h3")) == "h1"
    assert len(list(root.iter("h1"))) == len(list(root.iter("main"))) == 1
    [viewport] = root.xpath("//meta[@name='viewport']/@content")
    assert viewport == "width=device-width, initial-scale=1"
    for tag in ("script", "link", "img", "iframe", "object", "form", "svg"):
        assert list(root.iter(tag)) == []
    text = denial(passage, accept=PAGE, accept_language=lang).body.decode()
    assert not re.search(r"https?:|//[a-z]|@import|@font-face|url\(|javascript:| style=", text)
    assert not re.search(r"crown|gds|govuk|transport", text, re.IGNORECASE)


def test_the_pages_own_style_is_all_that_a_browser_may_use() -> None:
    """The content security policy names the style by its hash, and allows nothing else."""
    told = denial(denied(SATURDAY), accept=PAGE)
    policy = fields(told)["Content-Security-Policy"]
    [style] = re.findall(r"<style>(.*?)</style>", told.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    assert fields(told)["Content-Type"] == "text/html; charset=utf-8"
    assert "Content-Security-Policy" not in fields(denial(denied(SATURDAY)))


class _Serve(BaseHTTPRequestHandler):
    """Answers every request with the denial of the server, as a portal would."""

    def do_GET(self) -> None:
        told: Denial = self.server.told  # type: ignore[attr-defined]
        if self.path != "/":
            self.send_error(404)
            return
        self.send_response(told.status)
        for name, value in told.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(told.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def served() -> Iterator[tuple[str, Any]]:
    """Give a server's address, and the server, whose ``told`` is what it answers."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Serve)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", server
    server.shutdown()
    thread.join()
    server.server_close()


def _listener(heard: list[str]) -> Callable[[ConsoleMessage], None]:
    return lambda message: heard.append(message.text)


def test_a_browser_shows_the_page_to_everybody(served: tuple[str, Any]) -> None:
    """In a real browser axe finds nothing by WCAG 2.2 AA, and at 320 px nothing is cut off.

    The style is used under the page's own policy, and the browser has nothing to complain of.
    """
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
    from playwright.sync_api import sync_playwright

    address, server = served
    rules = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
    passages = (
        denied({**SATURDAY, "/subject/properties/two_factor": False}),
        denied(SATURDAY),
        UNREADABLE,
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=tool("chromium"), args=["--no-sandbox"]
        )
        for lang in LANGUAGES:
            context = browser.new_context(viewport={"width": 320, "height": 640}, locale=lang)
            shown = context.new_page()
            complaints: list[str] = []
            shown.on("console", _listener(complaints))
            for passage in passages:
                server.told = denial(passage, accept=PAGE, accept_language=lang)
                response = shown.goto(address)
                assert response is not None
                assert response.status == 403
                assert shown.evaluate("document.documentElement.scrollWidth") <= 320
                font = shown.evaluate("getComputedStyle(document.querySelector('h1')).fontSize")
                assert font == "30.4px"
                found = Axe().run(shown, options=rules)
                assert found.response["violations"] == []
            # The status itself is told there too.
            assert [text for text in complaints if "403" not in text] == []
            context.close()
        browser.close()


# --- what is asked for


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        ("", False),
        ("*/*", False),
        (PAGE, True),
        ("text/html", True),
        ("TEXT/HTML ; charset=utf-8", True),
        ("text/*", True),
        ("text/html, */*", True),
        ("text/html, */*;q=0.01", True),
        ("text/html;q=0.9, */*", False),
        ("text/html;q=0.9, */*;q=0.8", True),
        ("application/json", False),
        ("application/problem+json", False),
        ("application/json, text/html", False),
        ("text/html, application/json", True),
        ("text/html;q=0.8, application/json;q=0.9", False),
        ("text/html;q=0.8, application/json;q=0.7", True),
        ("application/problem+json;q=0, application/json;q=0.5, text/html;q=0.4", False),
        ("text/html;q=0", False),
        ("text/html;q=0, */*;q=0.1", False),
        ("application/json;q=0, application/problem+json;q=0, text/html;q=0.1", True),
        ("application/*;q=0.2, text/html;q=0.3", True),
        ("image/png", False),
        ("text/plain", False),
        ("text/html;q=x", False),
        ("text/html;q=nan", False),
        ("text/html;q=9, application/json;q=0.1", False),
        ("text/html;q=-1", False),
        (";;;,,,=,q=1", False),
        ("," * 10_000 + "text/html", False),
        ("\xff\x00", False),
    ],
)
def test_a_page_is_for_who_prefers_one(accept: str, is_page: bool) -> None:
    """By weight, then by how closely it is named, then by order; programs are the default."""
    told = denial(denied(SATURDAY), accept=accept)
    expected = "text/html; charset=utf-8" if is_page else "application/problem+json"
    assert fields(told)["Content-Type"] == expected


@pytest.mark.parametrize(
    ("accept_language", "lang"),
    [
        ("", "en"),
        ("*", "en"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("cy", "cy"),
        ("cy-GB", "cy"),
        ("CY-gb;q=0.1", "cy"),
        ("cy-GB,en;q=0.5", "cy"),
        ("cy,en", "cy"),
        ("en,cy", "en"),
        ("en;q=0.8,cy;q=0.9", "cy"),
        ("en;q=0.9,cy;q=0.8", "en"),
        ("fr,de", "en"),
        ("fr,cy;q=0.2", "cy"),
        ("cy;q=0", "en"),
        ("en;q=0,*", "cy"),
        ("*;q=0.5,cy;q=0.4", "en"),
        ("*;q=0.4,cy;q=0.5", "cy"),
        ("cyx", "en"),
        ("cy_GB", "en"),
    ],
)
def test_welsh_is_for_who_prefers_it(accept_language: str, lang: str) -> None:
    """By weight, then by order, whatever the region; English is the default."""
    told = denial(denied(SATURDAY), accept_language=accept_language)
    assert fields(told)["Content-Language"] == lang
    assert json.loads(told.body)["title"] == problem_title("window", "weekend").to(lang)


@st.composite
def accepted(draw: st.DrawFn, names: list[str]) -> str:
    """A field that names each of some ranges once, with weights that differ."""
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=len(names)))
    weights = draw(st.permutations(range(1, 1 + len(chosen))))
    return ", ".join(
        f"{name};q={weight / 10}" for name, weight in zip(chosen, weights, strict=True)
    )


JSON_TYPES = ["application/problem+json", "application/json"]


@given(accepted(["text/html", "text/*", *JSON_TYPES, "application/*", "*/*"]))
def test_media_types_are_chosen_as_werkzeug_does(accept: str) -> None:
    """A well-kept library makes the same choice of every field whose weights all differ."""
    best = parse_accept_header(accept, MIMEAccept).best_match([*JSON_TYPES, "text/html"])
    told = denial(UNREADABLE, accept=accept)
    assert fields(told)["Content-Type"].startswith("text/html") is (best == "text/html")


@given(accepted(["en", "cy", "fr", "*"]))
def test_languages_are_chosen_as_werkzeug_does(accept_language: str) -> None:
    """The same for languages."""
    expected = parse_accept_header(accept_language, LanguageAccept).best_match(["en", "cy"], "en")
    told = denial(UNREADABLE, accept_language=accept_language)
    assert fields(told)["Content-Language"] == expected


@given(st.text(), st.text())
def test_whatever_is_asked_for_is_answered(accept: str, accept_language: str) -> None:
    """No field, however broken, keeps a denial from being told."""
    told = denial(UNREADABLE, accept=accept, accept_language=accept_language)
    assert told.status == 403
    assert told.body
    assert fields(told)["Content-Length"] == str(len(told.body))
