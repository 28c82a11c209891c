"""The Robot Framework library, run by a real ``robot`` in a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from lxml import etree  # type: ignore[import-untyped]

from automation_rules.audit import DecisionLog
from automation_rules.store import KnownForm, Store
from automation_rules.store.codes import CodeDesk
from gateway_world import OFFICER, make_world

ROOT: Final = Path(__file__).parents[1]
EXAMPLES: Final = ROOT / "examples" / "robot"
PUBLISHED: Final = ROOT / "src" / "automation_rules" / "data" / "landlord-portal.toml"
OPEN: Final = "2026-06-02T09:00:00+01:00"

# Every Python process that robot starts reads the time from a file, which a suite can write.
SITE: Final = """
import os
from datetime import UTC, datetime
from pathlib import Path
from automation_rules.clock import SystemClock
def now(_clock):
    return datetime.fromisoformat(Path(os.environ["NOW_FILE"]).read_text().strip()).astimezone(UTC)
SystemClock.now = now
"""

SETTINGS: Final = """*** Settings ***
Library    OperatingSystem
Library    automation_rules.robot

*** Keywords ***
It Is
    [Arguments]    ${instant}
    Create File    %{NOW_FILE}    ${instant}

Begin
    [Arguments]    &{more}
    Begin Run    acme-1    todo_kind=provide_tenancy_details    expected_duration=2 minutes
    ...    &{more}

*** Test Cases ***
"""


@dataclass(frozen=True)
class Ran:
    """What one run of robot left: its exit code, and its output as XML."""

    code: int
    output: Any
    text: str
    console: str

    def tests(self) -> dict[str, str]:
        """Return the status of each test."""
        return {test.get("name"): test.find("status").get("status") for test in self.all("test")}

    def message(self, test: str) -> str:
        """Return why a test failed."""
        [status] = self.output.xpath("//test[@name=$name]/status", name=test)
        return status.text or ""

    def all(self, tag: str) -> list[Any]:
        """Return every element of that name."""
        return list(self.output.iter(tag))


class Robots:
    """Runs robot on a state in ``folder``, at nine on a workday unless a suite says otherwise."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Make the state, and a place for what robot writes."""
        self.folder = folder
        self.world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        site = folder / "site"
        site.mkdir()
        (site / "sitecustomize.py").write_text(SITE, "utf-8")
        self.now = folder / "now"
        self.now.write_text(OPEN, "utf-8")
        self.environ = {
            **os.environ,
            "AUTOMATION_RULES_STATE": self.world.url,
            "NOW_FILE": str(self.now),
            "PYTHONPATH": f"{site}{os.pathsep}{ROOT / 'src'}",
        }

    def start(self, source: Path | str, *options: str) -> subprocess.Popen[str]:
        """Start robot on a file, or on test cases that are given as text."""
        if isinstance(source, str):
            cases, source = source, self.folder / "suite.robot"
            source.write_text(f"{SETTINGS}{cases}", "utf-8")
        return subprocess.Popen(
            [sys.executable, "-m", "robot", "--outputdir", str(self.folder), *options, str(source)],
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )

    def end(self, process: subprocess.Popen[str]) -> Ran:
        """Wait for robot, and read what it wrote."""
        with process:
            console, _ = process.communicate(timeout=60)
        file = self.folder / "output.xml"
        text = file.read_text("utf-8")
        return Ran(process.returncode, etree.parse(file).getroot(), text, console)

    def run(self, source: Path | str, *options: str) -> Ran:
        """Run robot; whatever goes wrong in a keyword is told in words."""
        ran = self.end(self.start(source, *options))
        assert "Traceback" not in ran.text
        assert ran.all("errors")[0].findall("msg") == []
        return ran

    def passes(self, source: Path | str, *options: str) -> Ran:
        """Run robot on what must pass."""
        ran = self.run(source, *options)
        assert ran.code == 0, ran.console
        return ran

    def log(self) -> list[dict[str, Any]]:
        """Return what every entry of the log says."""
        with Store.open(self.world.url, clock=self.world.clock) as store, DecisionLog(store) as log:
            return [json.loads(entry.leaf) for entry in log.entries(stop=log.head().size)]

    def steps(self) -> list[tuple[str, bool]]:
        """Return the recorded actions, and how each was answered."""
        return [(leaf["action"], leaf["decision"]) for leaf in self.log()]


@pytest.fixture
def robots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robots:
    """Give a state in which everything is in order, and robot to run on it."""
    return Robots(tmp_path, monkeypatch)


# --- the examples


def test_the_example_of_a_run_asks_before_every_step(robots: Robots) -> None:
    """The bot signs in, completes both to-dos and signs out, each step on record before."""
    ran = robots.passes(EXAMPLES / "housing_costs.robot")
    assert ran.tests() == {"Confirm Housing Costs": "PASS"}
    assert "Completed: 2 of 2" in ran.console
    assert robots.steps() == [
        ("sign_in", True),
        ("list_todos", True),
        *[("open_todo", True), ("submit_todo", True)] * 2,
        ("sign_out", True),
    ]
    submitted = robots.log()[3]["given"]
    assert (submitted["answers"], submitted["record"]) == (True, True)


def test_the_example_stops_in_good_time_before_closing(robots: Robots) -> None:
    """At five to six minus a second there is time for what takes two minutes; at 17:57:01 not."""
    robots.now.write_text("2026-06-02T17:57:01+01:00", "utf-8")
    ran = robots.run(EXAMPLES / "housing_costs.robot")
    assert ran.code == 1
    message = ran.message("Confirm Housing Costs")
    assert "window.insufficient_time_left" in message
    assert "Wednesday 3 June 2026 at 8am" in message
    assert robots.steps() == [("sign_in", False)]


def test_the_example_of_rules_passes_on_any_day(robots: Robots) -> None:
    """What is asked for another instant does not hang on today, and is not recorded."""
    robots.now.write_text("2026-12-25T03:00:00+00:00", "utf-8")
    ran = robots.passes(EXAMPLES / "rules.robot")
    assert set(ran.tests().values()) == {"PASS"}
    assert robots.log() == []


# --- questions


def test_a_denial_fails_with_its_explanation_and_no_traceback(robots: Robots) -> None:
    """The failure names check, code, clause, remedy and when; the answer is on record."""
    ran = robots.run(
        """
Denied
    Open Gate
    Automation Should Be Allowed    acme-1    request_apa    todo_kind=confirm_housing_costs
Denied In Welsh
    Close Gate
    Open Gate    lang=cy
    It Is    2026-06-06T09:00:00+01:00
    Automation Should Be Allowed    acme-1    sign_in
Allowed
    It Is    2026-06-02T09:00:00+01:00
    ${answer}=    Automation Should Be Allowed    acme-1    open_todo    todo=td-17
    ...    todo_kind=provide_tenancy_details    expected_duration=2 minutes
    Should Be True    ${answer}[decision]
    Should Be Equal    ${answer}[context][valid_until]    2026-06-02T17:57:00.000001+01:00
"""
    )
    assert ran.tests() == {"Denied": "FAIL", "Denied In Welsh": "FAIL", "Allowed": "PASS"}
    english, welsh = ran.message("Denied"), ran.message("Denied In Welsh")
    assert english.startswith("Denied.\n  action.other_portal_function: ")
    assert "[terms.housing-costs-only, terms.no-other-functions]" in english
    assert welsh.startswith("Gwrthodwyd.\n  window.weekend: ")
    assert "dydd Llun 8 Mehefin 2026" in welsh
    assert "Failure:" not in ran.text
    assert robots.steps() == [("request_apa", False), ("sign_in", False), ("open_todo", True)]


def test_a_denial_can_be_what_a_test_expects(robots: Robots) -> None:
    """By any reason, by a check, or by a code; anything else fails and says what was found."""
    ran = robots.run(
        """
Expected
    Open Gate
    Automation Should Be Denied    acme-1    pay_rent
    Automation Should Be Denied    acme-1    pay_rent    check=action
    ${denied}=    Automation Should Be Denied    acme-1    pay_rent    check=action
    ...    code=other_portal_function
    Should Not Be True    ${denied}[decision]
Allowed After All
    Automation Should Be Denied    acme-1    sign_in    code=outside_hours
Denied Otherwise
    Automation Should Be Denied    acme-1    pay_rent    code=outside_hours
Denied By Another Check
    Automation Should Be Denied    acme-1    pay_rent    check=window    code=other_portal_function
"""
    )
    assert list(ran.tests().values()) == ["PASS", "FAIL", "FAIL", "FAIL"]
    assert ran.message("Allowed After All").startswith(
        "Expected a denial by *.outside_hours\nAllowed:"
    )
    assert "action.other_portal_function" in ran.message("Denied Otherwise")
    assert ran.message("Denied By Another Check").startswith("Expected a denial by window.other")


def test_every_fact_of_a_step_can_be_given(robots: Robots) -> None:
    """Mode, to-do, tenant, answers and record reach the decision, and only tokens the log."""
    with robots.world.registry() as registry:
        form = KnownForm("acme", "provide_tenancy_details", "abc", robots.world.clock.now().date())
        registry.record_tested_form(form)
    robots.passes(
        """
Facts
    Open Gate
    VAR    &{record}    rent=${104.5}    bedrooms=${2}
    VAR    &{wrong}    rent=${99}    bedrooms=${2}
    VAR    &{step}    todo_kind=provide_tenancy_details    todo=td-17    tenant=tenant-9
    Automation Should Be Allowed    acme-1    submit_todo    &{step}    answers=${record}
    ...    record=${record}
    Automation Should Be Denied    acme-1    submit_todo    &{step}    answers=${wrong}
    ...    record=${record}    code=answers_differ
    Automation Should Be Denied    acme-1    submit_todo    &{step}    mode=test
    ...    code=submit_in_test_mode
    Automation Should Be Denied    acme-1    open_todo    todo_kind=a new kind
    ...    code=not_housing_costs
    Automation Should Be Denied    acme-1    a new step    code=unknown_action
    Automation Should Be Allowed    acme-1    save_answers    &{step}    form_fingerprint=abc
    Automation Should Be Allowed    acme-1    sign_out
"""
    )
    leaves = robots.log()
    assert [leaf["mode"] for leaf in leaves] == ["live", "live", "test", *["live"] * 4]
    assert set(leaves[0]["tokens"]) >= {"todo", "tenant"}
    assert leaves[5]["given"]["form"]["equal"] is True


def test_a_policy_of_one_s_own_decides(robots: Robots) -> None:
    """Policy file and margin are those that the gate was opened with."""
    policy = robots.folder / "early.toml"
    policy.write_text(
        PUBLISHED.read_text("utf-8").replace('closes = "18:00"', 'closes = "12:00"'), "utf-8"
    )
    robots.passes(
        f"""
Earlier
    Open Gate    policy={policy.as_posix()}    margin=5 minutes
    Automation Should Be Allowed    acme-1    sign_in    at=2026-06-02T11:55:00+01:00
    Automation Should Be Denied    acme-1    sign_in    at=2026-06-02T11:55:01+01:00
    ...    code=insufficient_time_left
    Automation Should Be Denied    acme-1    sign_in    at=2026-06-02T12:00:00+01:00
    ...    code=outside_hours
"""
    )


# --- runs


def test_closing_overtakes_a_to_do(robots: Robots) -> None:
    """The keyword that asks fails and says whose the to-do is now; leaving is on record."""
    ran = robots.run(
        """
Overtaken
    Open Gate
    Begin
    Start To-do    td-1
    Submit To-do
    Finish To-do
    Start To-do    td-secret-2
    It Is    2026-06-02T18:00:00+01:00
    Save To-do
    [Teardown]    Check And End
*** Keywords ***
Check And End
    VAR    @{completed}    td-1
    VAR    @{unfinished}    td-secret-2
    ${found}=    Get Completed To-dos
    Should Be Equal    ${found}    ${completed}
    ${found}=    Get Unfinished To-dos
    Should Be Equal    ${found}    ${unfinished}
    End Run
"""
    )
    message = ran.message("Overtaken")
    assert "window.outside_hours" in message
    assert message.endswith(
        "A person must finish it, in an account of their own.\nTo-dos completed in this run: 1"
    )
    assert "secret" not in message
    assert robots.steps()[-3:] == [("open_todo", True), ("save_answers", False), ("sign_out", True)]


def test_a_loop_ends_when_there_is_no_time_and_fails_when_there_is_no_leave(robots: Robots) -> None:
    """Closing time is a False; what waiting does not mend is a failure."""
    ran = robots.run(
        """
Closing
    Open Gate
    Begin
    ${begun}=    Start To-do Unless Closing    td-1
    Should Be True    ${begun}
    Submit To-do
    Finish To-do
    It Is    2026-06-02T17:57:00+01:00
    ${begun}=    Start To-do Unless Closing    td-2
    Should Be True    ${begun}
    It Is    2026-06-02T17:57:01+01:00
    ${begun}=    Start To-do Unless Closing    td-3
    Should Not Be True    ${begun}
    Run Keyword And Expect Error    there is no to-do:*    Submit To-do
    ${left}=    Get Unfinished To-dos
    Should Be Equal    ${left}[0]    td-2
    End Run
Stale Code
    It Is    2026-06-03T09:00:00+01:00
    Begin
    Start To-do Unless Closing    td-4
"""
    )
    assert ran.tests() == {"Closing": "PASS", "Stale Code": "FAIL"}
    assert "manual_code.stale_code" in ran.message("Stale Code")
    assert "insufficient_time_left" in ran.text
    assert robots.steps()[-3:] == [("sign_in", True), ("open_todo", False), ("sign_out", True)]


def test_a_suite_that_forgets_to_end_its_run_is_signed_out(robots: Robots) -> None:
    """When Robot Framework lets go of the library, the leaving is recorded and the state closed."""
    robots.passes(
        """
Forgets
    Open Gate
    Begin    mode=test
    Start To-do    td-1    todo_kind=confirm_housing_costs    expected_duration=3 minutes
"""
    )
    leaves = robots.log()
    assert [leaf["action"] for leaf in leaves] == ["sign_in", "open_todo", "sign_out"]
    assert {leaf["mode"] for leaf in leaves} == {"test"}
    assert leaves[1]["todo_kind"] == "confirm_housing_costs"
    assert leaves[1]["given"]["expected_duration"] == 240_000_000


def test_misuse_is_told_in_words(robots: Robots) -> None:
    """Each mistake has a message that says what to do, and nothing is recorded for it."""
    robots.passes(
        """
No Gate
    VAR    &{run}    todo_kind=other    expected_duration=1s
    Expect    there is no gate: use Open Gate first    Automation Should Be Allowed    a    sign_in
    Expect    there is no gate: use Open Gate first    Begin Run    acme-1    &{run}
    Expect    there is no gate: use Open Gate first    Seconds Until Opening    acme-1    &{run}
    Expect    there is no gate: use Open Gate first    Wait For Daily Code    acme-1
    Expect    there is no run: use Begin Run first    Start To-do    td-1
    Expect    there is no run: use Begin Run first    Get Completed To-dos
    Close Gate
    End Run
Wrong State
    Expect    there is no state at *    Open Gate    sqlite:///%{NOW_FILE}-none
    Expect    *early.toml*    Open Gate    policy=early.toml
    Expect    *'fr' that cannot be converted to 'en' or 'cy'.    Open Gate    lang=fr
Wrong Words
    Open Gate
    Expect    a gate is open: use Close Gate first    Open Gate
    Expect    there is no automation account 'nobody'*
    ...    Automation Should Be Allowed    nobody    sign_in
    Expect    at: *2026-06-02T09:00:00+01:00    Automation Should Be Allowed    acme-1    sign_in
    ...    at=tomorrow
    Expect    *must be positive*    Begin Run    acme-1    todo_kind=other    expected_duration=0s
Wrong Order
    Begin
    Expect    a run has begun: use End Run first    Begin
    Expect    there is no to-do: use Start To-do first    Submit To-do
    Start To-do    td-1
    Expect    nothing was submitted: use Submit To-do*    Finish To-do
    VAR    &{answers}    rent=1
    Expect    *give answers and record, or neither    Submit To-do    answers=${answers}
    Submit To-do
    Finish To-do
    Expect    there is no to-do: use Start To-do first    Finish To-do
    End Run
*** Keywords ***
Expect
    [Arguments]    ${message}    @{keyword}    &{more}
    Run Keyword And Expect Error    ${message}    @{keyword}    &{more}
"""
    )
    assert [action for action, _ in robots.steps()] == [
        "sign_in", "open_todo", "submit_todo", "sign_out"
    ]  # fmt: skip


# --- waiting


def test_how_long_until_opening(robots: Robots) -> None:
    """Nothing now, hours in the evening; a failure when waiting would not help."""
    with robots.world.registry() as registry:
        registry.pause_account("acme-2", "an example")
    ran = robots.run(
        """
Now And Later
    Open Gate
    VAR    &{run}    todo_kind=confirm_housing_costs    expected_duration=2 minutes
    ${seconds}=    Seconds Until Opening    acme-1    &{run}
    Should Be Equal As Numbers    ${seconds}    0
    It Is    2026-06-02T18:00:00+01:00
    ${seconds}=    Seconds Until Opening    acme-1    &{run}
    Should Be Equal As Numbers    ${seconds}    ${14 * 3600}
Never
    VAR    &{run}    todo_kind=confirm_housing_costs    expected_duration=2 minutes
    Seconds Until Opening    acme-2    &{run}
"""
    )
    assert ran.tests() == {"Now And Later": "PASS", "Never": "FAIL"}
    assert "suspension.account_paused" in ran.message("Never")
    assert robots.log() == []


def test_the_daily_code_reaches_the_bot_and_no_log(robots: Robots) -> None:
    """A person types it in while robot waits; even the most talkative log does not hold it."""
    digits = "907351"
    process = robots.start(
        """
Code
    Open Gate
    ${code}=    Wait For Daily Code    acme-1    timeout=60 seconds
    ${digest}=    Evaluate    hashlib.sha256($code.value.encode()).hexdigest()
    Create File    %{NOW_FILE}-digest    ${digest}
    Log    ${code}
""",
        "--loglevel",
        "TRACE",
    )
    with Store.open(robots.world.url, clock=robots.world.clock) as store:
        CodeDesk(store, robots.world.clock).enter("acme-1", OFFICER, digits)
    ran = robots.end(process)
    assert ran.code == 0, ran.console
    digest = hashlib.sha256(digits.encode()).hexdigest()
    assert (robots.folder / "now-digest").read_text("utf-8") == digest
    assert "Waiting for a person to enter the code" in ran.console
    assert "&lt;secret&gt;" in ran.text
    for name in ("output.xml", "log.html", "report.html"):
        assert digits not in (robots.folder / name).read_text("utf-8")


def test_a_code_that_nobody_types_fails_the_keyword(robots: Robots) -> None:
    """After the time given, the bot is told what to do."""
    ran = robots.run(
        """
Code
    Open Gate
    Wait For Daily Code    acme-1    timeout=1s
"""
    )
    assert "nobody entered a code in time" in ran.message("Code")


# --- the library itself


def libdoc(*arguments: str) -> str:
    """Run libdoc on the library."""
    return subprocess.run(
        [sys.executable, "-m", "robot.libdoc", *arguments],
        check=True,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
    ).stdout


def test_libdoc_documents_every_keyword(tmp_path: Path) -> None:
    """Each keyword has documentation, types, and only links that lead to a keyword."""
    names = libdoc("automation_rules.robot", "list").splitlines()
    assert "Automation Should Be Allowed" in names
    assert "Start To-do Unless Closing" in names
    file = tmp_path / "robot.json"
    libdoc("automation_rules.robot", str(file))
    spec = json.loads(file.read_text("utf-8"))
    assert (spec["scope"], spec["docFormat"]) == ("SUITE", "HTML")
    assert [word["name"] for word in spec["keywords"]] == names
    for word in spec["keywords"]:
        assert word["doc"]
        assert all(argument["type"] for argument in word["args"] if argument["name"])
    text = spec["doc"] + "".join(word["doc"] for word in spec["keywords"])
    assert "`" not in text
    assert '<span class="name"' not in text


def python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environ},
        check=False,
    )


def test_the_library_is_there_without_robot_framework() -> None:
    """Only the keywords need the extra, and say which it is."""
    without = "import sys; sys.modules['robot'] = None; import automation_rules"
    assert python(f"{without}, automation_rules.permit").returncode == 0
    done = python(f"{without}.robot")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: automation_rules.robot needs Robot Framework 7.4 or later: "
        "pip install 'automation-rules[robot]'"
    )
