"""``automation-rules policy``: showing, checking and testing policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree  # type: ignore[import-untyped]
from rich.cells import cell_len

from automation_rules.landlord_portal import landlord_portal, landlord_portal_text
from automation_rules.readings import READINGS
from automation_rules.terms import reading_texts
from automation_rules.testing import allowed_request_document
from cli_helpers import ran, saved, set_locale

HERE = Path(__file__).parent
CASES = HERE / "cases"
JUNIT = etree.XMLSchema(etree.parse(HERE / "vectors" / "junit.xsd"))


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in English."""
    set_locale(monkeypatch, "en_GB.UTF-8")


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_show_explains_every_reading_and_check_in_80_columns(lang: str) -> None:
    """Questions, the value in use, the other values and the reason for the default, in words."""
    done = ran("policy", "show", "--lang", lang)
    flat = " ".join(done.out.split())
    assert done.code == 0
    assert landlord_portal().info.digest in flat
    for name, values in READINGS.items():
        texts = reading_texts()[name]
        assert texts.question.to(lang) in flat
        assert texts.why.to(lang) in flat
        for value in values:
            assert texts.values[value].to(lang) in flat
    for check in landlord_portal().checks:
        assert check.id in done.out
    assert max(map(cell_len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(("lang", "words"), [("en", "paused above"), ("cy", "oedir dros")])
def test_show_lists_what_the_monitor_watches(lang: str, words: str) -> None:
    """Every kind of activity stands there with the numbers that its accounts are held to."""
    monitor = landlord_portal().monitor
    assert monitor is not None
    lines = ran("policy", "show", "--lang", lang).out.splitlines()
    for activity, bounds in monitor.describe().items():
        [line] = [line for line in lines if line.strip().startswith(f"{activity} ")]
        assert f"{words} {bounds['pause']}" in line
        assert bounds["warn"] in line


def test_show_marks_the_default_also_when_another_value_is_used() -> None:
    """The value in use stands first; the default is marked wherever it stands."""
    text = ran("policy", "show", "--reading", "bank_holidays=open").out
    assert "bank_holidays = open\n" in text
    assert "closed (default)" in text
    assert reading_texts()["bank_holidays"].why.en not in " ".join(text.split())


def test_show_as_json_is_a_policy_file(tmp_path: Path) -> None:
    """What is shown can be saved, checked and used, and has the same digest."""
    path = tmp_path / "mine.json"
    options = ("--reading", "daily=24-hours", "-o", "json")
    assert ran("policy", "show", *options, "--output-file", path).code == 0
    assert ran("policy", "check", path).code == 0
    shown = ran("policy", "show", "--policy", path).out
    assert landlord_portal(daily="24-hours").info.digest in shown


def test_check_tells_valid_policies(tmp_path: Path) -> None:
    """Each valid file is named with its policy's identity."""
    first = tmp_path / "terms.toml"
    first.write_text(landlord_portal_text(), "utf-8")
    done = ran("policy", "check", first)
    assert done.code == 0
    # A long path is broken where the line ends.
    said = f"✓ {first}: valid (landlord-portal, version 1)"
    assert "".join(done.out.split()) == "".join(said.split())
    document = ran("policy", "check", "-o", "json", first).json
    assert document == {
        "policies": [{"file": str(first), "valid": True, **landlord_portal().info.to_document()}]
    }


def test_check_tells_every_error_of_every_file_at_once(tmp_path: Path) -> None:
    """Exit 2, one line for each error, with the file and the place."""
    first = saved(tmp_path, {"format": 1, "id": "", "checks": [{"check": "weather"}]}, "a.json")
    second = tmp_path / "b.toml"
    second.write_text("format = ", "utf-8")
    done = ran("policy", "check", first, second, tmp_path / "absent.toml", "-o", "json")
    assert done.code == 2
    lines = [
        line.removeprefix("error: ").removeprefix(str(tmp_path)) for line in done.err.splitlines()
    ]
    assert [line.split(": ")[:2] for line in lines] == [
        ["/a.json", "id"],
        ["/a.json", "version"],
        ["/a.json", "checks.0.check"],
        ["/b.toml", "document"],
        ["/absent.toml", "document"],
    ]
    assert len(done.json["error"]["errors"]) == 5


def test_test_passes_the_published_terms() -> None:
    """The shipped policy passes its cases; each is named, and they are counted."""
    files = sorted(str(path) for path in CASES.iterdir() if path.is_file())
    done = ran("policy", "test", *files)
    assert (done.code, done.err) == (0, "")
    assert "✗" not in done.out
    assert "a Saturday in June" in done.out
    last = done.out.splitlines()[-1]
    assert last.startswith("Cases passed: ")
    passed, total = last.removeprefix("Cases passed: ").split(" of ")
    assert passed == total


def failing(tmp_path: Path) -> Path:
    """A file with a case that passes and one that does not."""
    document: dict[str, Any] = {
        "base": allowed_request_document(),
        "cases": [
            {"name": "right", "decision": True},
            {
                "name": "wrong \u202e",
                "decision": False,
                "reasons": [{"check": "window", "code": "weekend"}],
                "next_action": "retry",
            },
        ],
    }
    return saved(tmp_path, document, "cases.json")


def test_test_shows_what_differs(tmp_path: Path) -> None:
    """A failing case exits 1, and its differences read like a diff."""
    done = ran("policy", "test", failing(tmp_path))
    assert done.code == 1
    assert (
        done.out.splitlines()[-10:]
        == [
            f"✗ {tmp_path / 'cases.json'}: wrong \\u202e",
            "    --- expected",
            "    +++ found",
            "    -decision: denied",
            "    +decision: allowed",
            "    -reasons: window.weekend (fail)",
            "    +reasons: none",
            "    -next_action: retry",
            "    +next_action: none",
            "",
            "Cases passed: 1 of 2",
        ][-10:]
    )
    assert "disgwyliwyd" in ran("policy", "test", failing(tmp_path), "--lang", "cy").out


def test_test_reports_as_json_and_junit(tmp_path: Path) -> None:
    """The same differences for other programs."""
    path = failing(tmp_path)
    done = ran("policy", "test", "-o", "json", path)
    assert done.code == 1
    assert [case["passed"] for case in done.json["cases"]] == [True, False]
    assert done.json["passed"] is False
    assert done.json["cases"][1]["differences"][0] == {
        "what": "decision",
        "expected": "denied",
        "found": "allowed",
    }
    suite = etree.fromstring(ran("policy", "test", "-o", "junit", path).out.encode())
    JUNIT.assertValid(suite)
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_a_policy_that_decides_otherwise_fails_the_cases(tmp_path: Path) -> None:
    """The cases of the published terms find a policy that is laxer."""
    done = ran("policy", "test", CASES / "days.toml", "--reading", "bank_holidays=open")
    assert done.code == 1
    assert "a bank holiday" in done.out


@pytest.mark.parametrize("path", sorted((CASES / "bad").iterdir()), ids=lambda path: path.name)
def test_a_bad_case_file_exits_2(path: Path) -> None:
    """A file that is wrong in itself is no failing case: exit 2, the file and place named."""
    done = ran("policy", "test", "-o", "json", CASES / "days.toml", path)
    assert done.code == 2
    assert f"error: {path}: " in done.err
    assert "Traceback" not in done.err
    assert json.loads(done.out)["error"]["errors"]
