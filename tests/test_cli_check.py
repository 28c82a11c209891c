"""``automation-rules check``: documents in, answers and exit codes out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automation_rules.cli import main
from automation_rules.cli.common import Output
from automation_rules.cli.render import Answer, progress
from automation_rules.errors import InvalidRequestError
from automation_rules.testing import allowed_request_document, request_documents
from cli_helpers import as_process, ran, saved, set_locale
from patching import ABSENT, patched

ALLOWED = allowed_request_document()
SATURDAY = patched(
    {
        "/context/time": "2026-06-06T09:00:00+01:00",
        "/subject/properties/sms_code/provided_at": "2026-06-06T08:05:00+01:00",
    }
)
UNDECIDABLE = patched({"/context/time": "2026-06-02T09:00:00"})
WARNED = patched({"/context/landlord/partnership_manager": ABSENT})


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in English, whatever the locale of the machine."""
    set_locale(monkeypatch, "en_GB.UTF-8")


def test_an_allowed_request_exits_0_and_answers_one_json_value(tmp_path: Path) -> None:
    """A request that breaches nothing is answered with the contract's response, and exit 0."""
    done = ran("check", "-o", "json", saved(tmp_path, ALLOWED))
    assert (done.code, done.err) == (0, "")
    assert done.json["decision"] is True
    assert done.json["context"]["valid_until"] == "2026-06-02T18:00:00+01:00"
    assert done.json["context"]["facts"] == "claimed"


def test_a_denied_request_exits_1_and_says_when(tmp_path: Path) -> None:
    """A denial exits 1 and carries its reasons and when waiting helps."""
    done = ran("check", "-o", "json", saved(tmp_path, SATURDAY))
    assert done.code == 1
    assert done.json["decision"] is False
    assert [reason["code"] for reason in done.json["context"]["reasons"]] == ["weekend"]
    assert done.json["context"]["retry_after"] == "2026-06-08T08:00:00+01:00"


def test_a_document_can_come_on_standard_input() -> None:
    """``-`` reads standard input, and errors name it so."""
    assert ran("check", "-", stdin=json.dumps(ALLOWED).encode()).code == 0
    done = ran("check", "-", stdin=b"{}")
    assert done.code == 2
    assert done.err.startswith("error: -: subject: is required\n")


def test_a_batch_is_answered_in_order(tmp_path: Path) -> None:
    """A batch gets one answer for each item, an error among them, and exits 2."""
    batch = {"evaluations": [SATURDAY, ALLOWED, UNDECIDABLE, ALLOWED]}
    done = ran("check", "-o", "json", saved(tmp_path, batch))
    answers = done.json["evaluations"]
    assert [answer["decision"] for answer in answers] == [False, True, False, True]
    assert answers[2]["context"]["error"]["field"] == "/context/time"
    assert done.code == 2
    assert "request.json #3: context.time: has no UTC offset" in done.err


def test_several_files_give_one_flat_list(tmp_path: Path) -> None:
    """Batches, single requests and a file that is not there are joined in the order given."""
    batch = saved(tmp_path, {"evaluations": [ALLOWED, SATURDAY]}, "batch.json")
    single = saved(tmp_path, ALLOWED, "single.json")
    done = ran("check", "-o", "json", single, tmp_path / "absent.json", batch)
    answers = done.json["evaluations"]
    assert [answer["decision"] for answer in answers] == [True, False, True, False]
    assert answers[1]["context"]["error"]["field"] == ""
    assert done.code == 2
    assert "absent.json: document: cannot be read" in done.err


@pytest.mark.parametrize(
    ("semantic", "decisions", "code"),
    [
        ("execute_all", [True, False, True], 1),
        ("deny_on_first_deny", [True, False], 1),
        ("permit_on_first_permit", [True], 0),
    ],
)
def test_a_batch_stops_where_its_semantics_say(
    semantic: str, decisions: list[bool], code: int, tmp_path: Path
) -> None:
    """A short-circuited batch is answered as far as it was decided."""
    batch = {
        "evaluations": [ALLOWED, SATURDAY, ALLOWED],
        "options": {"evaluations_semantic": semantic},
    }
    done = ran("check", "-o", "json", saved(tmp_path, batch))
    assert [answer["decision"] for answer in done.json["evaluations"]] == decisions
    assert done.code == code


def test_an_item_in_error_counts_as_a_denial_for_the_semantics(tmp_path: Path) -> None:
    """``deny_on_first_deny`` stops at an item that cannot be decided."""
    batch = {
        "evaluations": [UNDECIDABLE, ALLOWED],
        "options": {"evaluations_semantic": "deny_on_first_deny"},
    }
    done = ran("check", "-o", "json", saved(tmp_path, batch))
    assert (len(done.json["evaluations"]), done.code) == (1, 2)


def test_an_invalid_document_exits_2_and_names_every_field(tmp_path: Path) -> None:
    """Each field that is wrong has a line on standard error and an entry in the JSON."""
    path = saved(
        tmp_path, patched({"/context/time": "today", "/subject/properties/two_factor": "yes"})
    )
    done = ran("check", "-o", "json", path)
    assert done.code == 2
    assert [line.partition(": ")[2].partition(":")[0] for line in done.err.splitlines()] == (
        [str(path)] * 2
    )
    error = done.json["context"]["error"]
    assert done.json["decision"] is False
    assert error["status"] == 400
    assert {entry["field"] for entry in error["errors"]} == {
        "/context/time",
        "/subject/properties/two_factor",
    }
    assert error["field"] == error["errors"][0]["field"]
    assert error["message"] == error["errors"][0]["message"]


def test_the_exit_code_of_an_error_comes_before_that_of_a_denial(tmp_path: Path) -> None:
    """2 when anything is in error, though something else is denied; never hidden."""
    batch = saved(tmp_path, {"evaluations": [SATURDAY, UNDECIDABLE]})
    assert ran("check", batch).code == 2
    assert ran("check", "--exit-zero", batch).code == 2


def test_exit_zero_hides_denials_only(tmp_path: Path) -> None:
    """``--exit-zero`` turns 1 into 0; the answer stays the same."""
    done = ran("check", "--exit-zero", "-o", "json", saved(tmp_path, SATURDAY))
    assert (done.code, done.json["decision"]) == (0, False)


def test_warnings_fail_only_when_asked_to(tmp_path: Path) -> None:
    """``--fail-on-warn`` exits 1 for a warning, and ``--exit-zero`` turns that back too."""
    path = saved(tmp_path, WARNED)
    assert ran("check", path).code == 0
    assert ran("check", "--fail-on-warn", path).code == 1
    assert ran("check", "--fail-on-warn", "--exit-zero", path).code == 0


def test_quiet_leaves_the_exit_code_alone(tmp_path: Path) -> None:
    """``--quiet`` writes nothing on standard output, in no form."""
    for form in ("text", "json", "junit", "sarif"):
        done = ran("check", "--quiet", "-o", form, saved(tmp_path, SATURDAY))
        assert (done.code, done.out, done.err) == (1, "", "")


def test_the_result_can_go_to_a_file(tmp_path: Path) -> None:
    """``--output-file`` replaces the file by the whole result, and leaves nothing beside it."""
    target = tmp_path / "answer.json"
    target.write_text("what it held before")
    source = saved(tmp_path, ALLOWED)
    done = ran("check", "-o", "json", "--output-file", target, source)
    assert (done.code, done.out) == (0, "")
    assert json.loads(target.read_text("utf-8"))["decision"] is True
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.json", "request.json"]


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    """A folder that is not there, or one in place of the file: exit 2, and nothing is left."""
    source = saved(tmp_path, ALLOWED)
    for target in (tmp_path / "absent" / "answer.json", tmp_path):
        done = ran("check", "--output-file", target, source)
        assert done.code == 2
        assert "Traceback" not in done.err
        assert str(target) in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["request.json"]


def test_a_failed_write_keeps_what_the_file_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the disk refuses, the old file stays whole and the new one is not left half-written."""
    target = tmp_path / "answer.json"
    target.write_text("what it held before")
    source = saved(tmp_path, ALLOWED)

    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    done = ran("check", "--output-file", target, source)
    assert done.code == 2
    assert "No space left" in done.err
    assert target.read_text() == "what it held before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answer.json", "request.json"]


def test_a_reading_can_be_chosen(tmp_path: Path) -> None:
    """``--reading`` decides by that value instead of the default."""
    holiday = saved(tmp_path, patched({"/context/time": "2026-05-25T09:00:00+01:00"}))
    done = ran("check", "-o", "json", holiday)
    assert "bank_holiday" in [reason["code"] for reason in done.json["context"]["reasons"]]
    done = ran("check", "-o", "json", "--reading", "bank_holidays=open", holiday)
    window = [r for r in done.json["context"]["reasons"] if r["check"] == "window"]
    assert [reason["outcome"] for reason in window] == ["pass"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--reading", "bank_holidays=never"], "readings.bank_holidays: must be one of"),
        (["--reading", "weather=fine"], "readings.weather: is no reading"),
        (["--reading", "nation"], "NAME=VALUE"),
        (["--reading", "daily=24-hours", "--reading", "daily=london-day"], "given twice"),
        (["--policy", "absent.toml"], "absent.toml: document: absent.toml cannot be read"),
        (["-o", "yaml"], "'yaml' is not one of"),
        (["--lang", "fr"], "'fr' is not one of"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_wrong_usage_exits_2_and_says_what(options: list[str], named: str, tmp_path: Path) -> None:
    """Options that cannot be are refused before anything is decided."""
    done = ran("check", *options, saved(tmp_path, ALLOWED))
    assert (done.code, done.out) == (2, "")
    assert named in done.err
    assert "Traceback" not in done.err


def test_a_policy_file_decides(tmp_path: Path) -> None:
    """``--policy`` decides by another policy; one with errors is told with all of them."""
    policy = saved(
        tmp_path,
        {"format": 1, "id": "mine", "version": "3", "checks": [{"check": "two_factor"}]},
        "policy.json",
    )
    done = ran("check", "-o", "json", "--policy", policy, saved(tmp_path, SATURDAY))
    assert done.code == 0
    assert done.json["context"]["policy"]["id"] == "mine"
    broken = saved(tmp_path, {"format": 2, "id": "", "version": "3", "cheques": []}, "broken.json")
    done = ran("check", "-o", "json", "--policy", broken, saved(tmp_path, SATURDAY))
    assert done.code == 2
    assert done.json["decision"] is False
    named = {entry["field"] for entry in done.json["context"]["error"]["errors"]}
    assert {"/format", "/id", "/checks", "/cheques"} <= named


def test_the_language_follows_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Welsh locale answers in Welsh, any other in English, and ``--lang`` beats both."""
    path = saved(tmp_path, SATURDAY)
    assert "Denied." in ran("check", path).out
    set_locale(monkeypatch, "cy_GB.UTF-8")
    assert "Gwrthodwyd." in ran("check", path).out
    assert "Denied." in ran("check", "--lang", "en", path).out
    set_locale(monkeypatch, None)
    assert "Denied." in ran("check", path).out


def test_no_state_is_read_or_written(tmp_path: Path) -> None:
    """A check leaves nothing behind, in the home folder or where it runs."""
    home = tmp_path / "home"
    home.mkdir()
    env = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home), "LOCALAPPDATA": str(home)}
    env["AUTOMATION_RULES_STATE"] = "postgresql://nowhere.invalid/none"
    done = as_process("check", "-", stdin=json.dumps(ALLOWED).encode(), env=env)
    assert (done.returncode, done.stderr) == (0, b"")
    assert list(home.iterdir()) == []


def test_the_json_form_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """No tables, store, cryptography or logging on the way of ``check -o json``."""
    program = (
        "import sys\n"
        "from automation_rules.cli import main\n"
        f"main(['check', '-q', '-o', 'json', {str(saved(tmp_path, ALLOWED))!r}])\n"
        "print(*{'rich', 'sqlalchemy', 'cryptography', 'structlog', 'babel', 'icalendar',"
        " 'pyotp', 'xml.etree'} & sys.modules.keys())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_a_bug_is_an_internal_error_and_a_denial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is not foreseen exits 3, says so without a traceback, and answers ``false``."""
    path = saved(tmp_path, ALLOWED)

    def fail(_document: object) -> None:
        raise RuntimeError("secret of acme-1")

    monkeypatch.setattr("automation_rules.cli.check.read_evaluations", fail)
    done = ran("check", "-o", "json", path)
    assert done.code == 3
    assert done.json["decision"] is False
    assert done.json["context"]["error"]["status"] == 500
    assert "treat as denied" in done.err
    assert "Traceback" not in done.err
    assert "secret" not in done.err + done.out
    monkeypatch.setenv("AUTOMATION_RULES_DEBUG", "1")
    assert "Traceback" in ran("check", path).err


def test_an_interruption_exits_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is neither a denial nor a bug."""

    def interrupt(_document: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("automation_rules.cli.check.read_evaluations", interrupt)
    done = ran("check", saved(tmp_path, ALLOWED))
    assert (done.code, done.out, done.err.strip()) == (130, "", "")


def test_a_reader_that_went_away_does_not_count_as_an_allow(tmp_path: Path) -> None:
    """When the answer cannot be delivered the exit code is 1, without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "automation_rules", "check", saved(tmp_path, ALLOWED)],
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_lone_surrogates_in_arguments_exit_2() -> None:
    """An argument that is no text is refused, and shown as an escape."""
    done = ran("check", "\udcff.json")
    assert (done.code, done.out) == (2, "")
    assert "\\udcff" in done.err


def test_any_locale_writes_utf_8(tmp_path: Path) -> None:
    """Under the C locale, and on a console of another encoding, the output still is UTF-8."""
    path = saved(tmp_path, SATURDAY)
    for variables in ({"LC_ALL": "C"}, {"PYTHONIOENCODING": "cp1252"}, {"PYTHONUTF8": "0"}):
        env = {**os.environ, **variables, "PYTHONCOERCECLOCALE": "0"}
        done = as_process("check", "--lang", "cy", path, env=env)
        assert done.returncode == 1
        assert "Gwrthodwyd." in done.stdout.decode()
        assert done.stdout.decode().count("\N{RIGHT SINGLE QUOTATION MARK}") > 1


def test_the_module_and_the_script_are_the_same_program() -> None:
    """``python -m automation_rules`` says what the installed script says."""
    script = Path(sys.executable).with_name("automation-rules")
    by_script = subprocess.run([script, "--version"], capture_output=True, check=True)
    assert as_process("--version").stdout == by_script.stdout
    assert by_script.stdout.startswith(b"automation-rules ")


def test_the_verbose_version_tells_where_time_and_calendars_come_from() -> None:
    """Before or after ``--version``, ``--verbose`` adds Python, holidays and tzdata."""
    for options in (["--version", "--verbose"], ["--verbose", "--version"]):
        lines = ran(*options).out.splitlines()
        assert [line.split()[0] for line in lines] == [
            "automation-rules",
            "Python",
            "holidays",
            "tzdata",
        ]
        assert "system" in lines[-1] or "package" in lines[-1]


def test_without_a_command_the_help_is_shown() -> None:
    """No command is wrong usage, and the help lists them all."""
    done = ran()
    assert (done.code, done.out) == (2, "")
    assert "check" in done.err
    assert ran("--help").code == 0
    assert "not endorsed" in ran("--help").out
    unknown = ran("chekc")
    assert unknown.code == 2
    assert "No such command" in unknown.err


class _Terminal(io.StringIO):
    """Standard error that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_long_batches_draw_a_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar goes to standard error, loses no answer, and short batches have none."""
    answers = [Answer("-", InvalidRequestError([]), index) for index in range(300)]
    for stream, total, drawn in (
        (_Terminal(), 300, True),
        (_Terminal(), 20, False),
        (io.StringIO(), 300, False),
    ):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(progress(answers[:total], total, Output(lang="cy"))) == answers[:total]
        assert ("Yn gwirio" in stream.getvalue()) == drawn


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no object": b"[]",
    "not JSON": b"{",
    "NaN": b'{"context": NaN}',
    "a number too large": b'{"context": 1e999}',
    "too many digits": b'{"context": ' + b"9" * 5000 + b"}",
    "a key twice": b'{"subject": {}, "subject": {}}',
    "a lone surrogate": b'{"subject": {"id": "\\ud800"}}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "not UTF-8": b'{"subject": "\xff"}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a ten-megabyte string": b'{"subject": "' + b"x" * 10_000_000 + b'"}',
    "a ten-megabyte name": json.dumps(
        patched({"/subject/properties/username": "x" * 10_000_000})
    ).encode(),
    "an ANSI escape": json.dumps(patched({"/context/time": "\x1b[31mred"})).encode(),
}
TIMES = [
    "2026-06-02T09:00:00",
    "2026-06-02T09:00:00[Europe/London]",
    "2026-06-02T09:00:00 Europe/London",
    "2026-06-02T25:00:00Z",
    "2026-06-02T09:00:60Z",
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    "9999-12-31T23:59:59Z",
    "10000-01-01T00:00:00Z",
    "2026-06-02T09:00:00+99:99",
    "today",
    "",
    12,
    None,
    True,
    ["2026-06-02T09:00:00Z"],
    "\uff12026-06-02T09:00:00Z",
    "\ud800",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_documents_exit_2_without_a_traceback(name: str, tmp_path: Path) -> None:
    """What is no request is refused in every form of output, in one line or more."""
    path = tmp_path / "request.json"
    path.write_bytes(HOSTILE[name])
    for form in ("text", "json", "junit", "sarif"):
        done = ran("check", "-o", form, path)
        assert done.code == 2
        assert done.err.startswith(f"error: {path}: ")
        assert "Traceback" not in done.err
        assert "\x1b" not in done.err + done.out
        assert len(done.err) < 10_000


@pytest.mark.parametrize("time", TIMES)
def test_times_that_are_none_exit_2_and_name_the_field(time: object, tmp_path: Path) -> None:
    """Naive times, unknown zones and the ends of time are told by the field that holds them."""
    done = ran("check", "-o", "json", saved(tmp_path, patched({"/context/time": time})))
    assert done.code == 2
    assert done.json["context"]["error"]["field"] == "/context/time"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=9), children, max_size=4)
    ),
    max_leaves=12,
)
POINTERS = [
    f"/{key}{rest}"
    for key, rests in {
        "subject": ["", "/id", "/type", "/properties", "/properties/roles", "/properties/email"],
        "action": ["", "/name"],
        "resource": ["", "/type", "/properties/kind"],
        "context": ["", "/time", "/mode", "/closures", "/expected_duration", "/notices"],
        "context/landlord": ["", "/name", "/nation", "/declared_on", "/automation_accounts"],
        "context/form": ["", "/fingerprint", "/tested_on"],
        "evaluations": [""],
        "options": [""],
    }.items()
    for rest in rests
]


def run_on(data: bytes) -> None:
    """Check ``data``: a code of the contract, one JSON value, and never a traceback."""
    done = ran("check", "-o", "json", "-", stdin=data)
    assert done.code in {0, 1, 2}, done.err
    assert "Traceback" not in done.err
    answer = done.json
    batch = answer.get("evaluations", [answer])
    in_error = ["error" in one["context"] for one in batch]
    assert (done.code == 2) == any(in_error)
    assert (done.err != "") == any(in_error)
    if not any(in_error):
        assert (done.code == 0) == all(one["decision"] for one in batch)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(POINTERS), JSON)
def test_any_value_in_any_place_is_decided_or_refused(pointer: str, value: Any) -> None:
    """A field of any type leads to an answer or to an error that names it."""
    run_on(json.dumps(patched({pointer: value})).encode())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 700), st.integers(0, 30))
def test_damaged_bytes_are_decided_or_refused(junk: bytes, start: int, length: int) -> None:
    """A document with some of its bytes replaced leads to an answer or to an error."""
    data = json.dumps(ALLOWED).encode()
    run_on(data[:start] + junk + data[start + length :])


@settings(max_examples=30, deadline=None)
@given(request_documents())
def test_any_valid_document_is_decided(document: dict[str, Any]) -> None:
    """Whatever the test kit draws as valid is decided."""
    assert ran("check", "-q", "-", stdin=json.dumps(document).encode()).code in {0, 1}


@pytest.mark.exhaustive
@settings(max_examples=3_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(POINTERS), JSON), min_size=1, max_size=3))
def test_any_values_in_any_places_are_decided_or_refused(changes: list[tuple[str, Any]]) -> None:
    """The same for several fields at once, many times."""
    document: dict[str, Any] = allowed_request_document()
    for pointer, value in changes:
        *above, name = pointer.split("/")[1:]
        place: Any = document
        for key in above:
            place = place.setdefault(key, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict):
            place[name] = value
    run_on(json.dumps(document).encode())


def test_a_name_that_no_file_can_have_is_an_error_of_that_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A NUL in a file's name is told like any file that cannot be read: exit 2."""
    assert main(["check", "re\0quest.json"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_the_form_asked_for_holds_for_errors_of_options_before_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``-o json`` after an option that is refused still gives the error as JSON."""
    assert main(["preflight", "--margin", "long", "-o", "json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert not answer["decision"]
    assert "--margin" in answer["context"]["error"]["message"]
