"""Nothing that anyone can feed the command line makes a traceback, or a yes by mistake."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import automation_rules
from automation_rules.cli import COMMANDS, commands, main
from automation_rules.store import codes
from automation_rules.testing import allowed_request_document

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
LONG = settings(
    max_examples=4_000, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

ACTING = ["\x1b[31m\x1b]0;x\x07", "\u202e\u2066", "\u200b\ufeff", "\x00\x7f\x85", "\u2028\r\n"]
TIMES = [
    "2026-06-02T09:00:00",
    "2026-06-02 09:00 Europe/London",
    "2026-06-02T09:00:00[Mars/Olympus]",
    "2026-06-02T09:00:00+25:00",
    "2026-06-02T09:00:00-00:00",
    "2026-06-31T09:00:00Z",
    "2026-06-02T24:00:00Z",
    "2026-06-02T09:00:60Z",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-12:00",
    "9999-12-31T23:59:59Z",
    "\uff12\uff10\uff12\uff16-06-02T09:00:00Z",
    1780387200,
    "",
]


class Ran(NamedTuple):
    """What one command did."""

    code: int
    out: str
    err: str


def run(argv: list[str], given: bytes = b"") -> Ran:
    """Run the program in this process, not at a terminal."""
    before = sys.stdin, sys.stdout, sys.stderr
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n") for _ in range(2))
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO(given)), out, err
    try:
        code = main(argv)
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    texts = []
    for stream in (out, err):
        stream.flush()
        stream.seek(0)
        texts.append(stream.read())
    return Ran(code, *texts)


def is_plain(text: str) -> bool:
    """Whether nothing in a text can act on a terminal."""
    return all(line.isprintable() for line in text.split("\n"))


def hold(document: bytes) -> Ran:
    """Check one document in both forms; what must hold of every answer, holds."""
    ran = run(["check", "-", "-o", "json"], document)
    answer = json.loads(ran.out)
    assert ran.code in (0, 1, 2)
    assert "Traceback" not in ran.err
    assert is_plain(ran.err)
    if ran.code == 2 and "evaluations" not in answer:
        error = answer["context"]["error"]
        assert answer["decision"] is False
        assert error["message"]
        assert error["field"] == error["errors"][0]["field"]
        assert ran.err.startswith("error: -")
    text = run(["check", "-"], document)
    assert text.code == ran.code
    assert is_plain(text.out)
    assert is_plain(text.err)
    assert "internal error" not in ran.err + text.err
    return ran


# --- documents

words = st.one_of(
    st.text(max_size=20),
    st.sampled_from(ACTING),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn"]), max_size=5),
    st.sampled_from(["", "x" * 1000, "x" * 1001, "confirm_housing_costs", "sign_in"]),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | words
    | st.sampled_from(TIMES)
    | st.sampled_from(["PT2M", "P1M", "PT0S", "-PT1S", "P99999999D"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a document."""
    yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*path, key))


BASE = allowed_request_document()
BASE["context"] |= {
    "expected_duration": "PT2M",
    "closures": [
        {"from": "2026-07-01T00:00:00Z", "to": "2026-07-02T00:00:00Z", "reason": "upgrade"}
    ],
    "form": {"fingerprint": "v1", "tested_fingerprint": "v1", "tested_on": "2026-05-01"},
    "notices": [{"id": "n-1", "effective_on": "2026-12-01", "affects_automation": True}],
    "answers": {"rent": 1},
    "record": {"rent": 1},
    "explain": True,
}
PLACES = [path for path in places(BASE) if path]


def changed(document: Any, path: tuple[Any, ...], how: str, value: Any) -> Any:
    """Return a document with one place set, dropped, added beside or wrapped."""
    document = copy.deepcopy(document)
    holder = document
    for key in path[:-1]:
        if not isinstance(holder, dict | list):
            return document
        try:
            holder = holder[key]
        except (KeyError, IndexError, TypeError):
            return document
    try:
        if how == "set":
            holder[path[-1]] = value
        elif how == "drop":
            del holder[path[-1]]
        elif how == "wrap":
            holder[path[-1]] = [holder[path[-1]]]
        elif isinstance(holder, dict):
            holder[str(value)] = value
    except (KeyError, IndexError, TypeError):
        pass
    return document


changes = st.lists(
    st.tuples(
        st.sampled_from(PLACES), st.sampled_from(["set", "set", "drop", "wrap", "beside"]), values
    ),
    min_size=1,
    max_size=3,
)
encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])


def written(document: Any, encoding: str, *, ascii_only: bool) -> bytes:
    """Write a document as somebody else's program might."""
    text = json.dumps(document, ensure_ascii=ascii_only)
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def mutated(
    done: list[tuple[tuple[Any, ...], str, Any]], encoding: str, ascii_only: bool, batch: bool
) -> None:
    """Change a lawful document here and there, and check it."""
    document = BASE
    for path, how, value in done:
        document = changed(document, path, how, value)
    whole = {**BASE, "evaluations": [document, {}]} if batch else document
    hold(written(whole, encoding, ascii_only=ascii_only))


@QUICK
@given(changes, encodings, st.booleans(), st.booleans())
def test_mutated_documents_are_answered(
    done: list[tuple[tuple[Any, ...], str, Any]], encoding: str, ascii_only: bool, batch: bool
) -> None:
    """A document with anything anywhere is decided, or refused with the field's name."""
    mutated(done, encoding, ascii_only, batch)


@pytest.mark.exhaustive
@LONG
@given(changes, encodings, st.booleans(), st.booleans())
def test_mutated_documents_are_answered_always(
    done: list[tuple[tuple[Any, ...], str, Any]], encoding: str, ascii_only: bool, batch: bool
) -> None:
    """The long form of the same."""
    mutated(done, encoding, ascii_only, batch)


def every_place_takes_any_type(value: Any) -> None:
    """Put one value at every place in turn."""
    for path in PLACES:
        hold(json.dumps(changed(BASE, path, "set", value)).encode())


@pytest.mark.parametrize("value", [7, [], "\ud800"], ids=["number", "array", "surrogate"])
def test_a_wrong_type_at_any_place_is_answered(value: Any) -> None:
    """Each place in the document alone, with what does not belong there."""
    every_place_takes_any_type(value)


@pytest.mark.exhaustive
@pytest.mark.parametrize("value", [None, True, 1.5, {}, "", "x" * 1001, *ACTING, *TIMES], ids=repr)
def test_a_wrong_type_at_any_place_is_answered_always(value: Any) -> None:
    """The long form of the same."""
    every_place_takes_any_type(value)


@pytest.mark.parametrize("time", TIMES)
def test_a_time_that_is_none_names_its_field(time: Any) -> None:
    """Naive, impossible and unknown times exit 2 and name context.time."""
    ran = hold(json.dumps(changed(BASE, ("context", "time"), "set", time)).encode())
    if time == "2026-06-02T09:00:00-00:00":
        assert ran.code in (0, 1)
    else:
        assert ran.code == 2
        assert json.loads(ran.out)["context"]["error"]["field"] == "/context/time"
        assert "context.time: " in ran.err


WHOLE = json.dumps(BASE)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ("", "document"),
        (" ", "document"),
        ("null", "document"),
        ("[]", "document"),
        ("1", "document"),
        ("{}", "subject"),
        (WHOLE[:-1], "document"),
        (WHOLE + "}", "document"),
        (WHOLE + WHOLE, "document"),
        (WHOLE.replace('"mode": "live"', '"mode": NaN'), "context.mode"),
        (WHOLE.replace("true", "Infinity", 1), "subject.properties.two_factor"),
        (WHOLE.replace("true", "-Infinity", 1), "subject.properties.two_factor"),
        (WHOLE.replace("true", "1e999", 1), "subject.properties.two_factor"),
        (WHOLE.replace("true", "9" * 5000, 1), "subject.properties.two_factor"),
        (WHOLE.replace('"two_factor"', '"status": "active", "two_factor"'), "subject.properties"),
        (WHOLE.replace("Acme", "\\ud800"), "subject.properties.username"),
        ("[" * 100_000, "document"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "document"),
        ('{"context": ' + "[" * 70 + "]" * 70 + "}", "context"),
        (WHOLE.replace("acme-1", "x" * 10_000_000, 1), "subject.id"),
        (WHOLE.replace('"explain"', '"' + "x" * 10_000_000 + '"'), None),
        (WHOLE.replace("Acme", "\\u001b[2J\\u202e"), None),
    ],
    ids=range(22),
)
def test_documents_made_to_break_a_reader(document: str, named: str | None) -> None:
    """Each is refused with its place, or decided when it only holds unknown or odd data."""
    ran = hold(document.encode())
    if named is None:
        assert ran.code in (0, 1)
    else:
        assert ran.code == 2
        assert f"error: -: {named}" in ran.err


@QUICK
@example(b"\xff\xfe")
@example(b"\xff\xfe\x00")
@example(b"\xfe\xff\xd8\x00")
@example(b"\xef\xbb\xbf")
@example(b"\x80")
@given(st.binary(max_size=200) | st.integers(0, len(WHOLE)).map(lambda n: WHOLE.encode()[:n]))
def test_bytes_that_are_no_document_are_refused(data: bytes) -> None:
    """Whatever bytes come, the answer is one JSON value, and no yes."""
    ran = hold(data)
    assert ran.code == 2 or data == WHOLE.encode()


@QUICK
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_byte_changed_is_answered(position: int, by: int) -> None:
    """A byte that changed on its way makes another document or none."""
    data = bytearray(WHOLE.encode())
    data[position] = (data[position] + by) % 256
    hold(bytes(data))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A directory, an absent file and a name that no file can have exit 2 with one JSON value."""
    for name in (str(tmp_path), str(tmp_path / "absent"), "x" * 5000):
        ran = run(["check", name, "-o", "json"])
        assert ran.code == 2
        assert json.loads(ran.out)["decision"] is False
        assert is_plain(ran.err)
        assert "internal error" not in ran.err


# --- arguments


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its words."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from leaves(child, (*path, name))
    else:
        yield path, command


ALL = list(leaves(commands, ()))
likely = st.sampled_from(
    [
        *("acme", "acme-1", "officer-7", "Acme Homes", "sign_in", "submit_todo", "sign_out"),
        *("confirm_housing_costs", "2026-06-02", "2026-06-02T09:00:00Z", "PT2M", "0", "1", "-1"),
        *("9" * 40, "1e3", "json", "text", "en", "cy", "manage_users", "bank_holidays=open"),
        *("sqlite:///other.sqlite3", "sqlite://", "mysql://x", "-", "--", "\ud800"),
        *("Tue, 02 Jun 2026 08:00:00 GMT", f"0:{'0' * 64}", "scope.landlord", "request"),
        *(item for item in TIMES if isinstance(item, str)),
        *(text.replace("\0", "") for text in ACTING),
    ]
)
# No separators: what is written, is written in this test's own directory. No operating system
# can pass a NUL.
anything = likely | st.text(st.characters(exclude_characters="/\\\0"), max_size=12)


PLAUSIBLE = {
    "account": ["acme-1"],
    "account_id": ["acme-1", "acme-2"],
    "by": ["officer-7"],
    "code_by": ["officer-7"],
    "landlord": ["acme"],
    "landlord_id": ["acme", "beta"],
    "person_id": ["officer-7", "officer-8"],
    "username": ["Acme Homes Automation 2"],
    "email": ["automation2@acme.example"],
    "created_by_role": ["manage_users"],
    "action": ["submit_todo", "sign_in", "sign_out", "pay_rent"],
    "todo_kind": ["confirm_housing_costs", "provide_tenancy_details"],
    "clause_id": ["scope.landlord"],
    "closure_id": ["c-1"],
    "name": ["Acme Homes"],
    "notice_id": ["n-1"],
    "output_file": ["written"],
    "entry_name": ["0", "3"],
    "readings": ["bank_holidays=open"],
    "state": ["sqlite:///state.sqlite3"],
    "policy_file": ["policy.toml"],
    "files": ["request.json", "policy.toml"],
    "answers_file": ["facts.json"],
    "record_file": ["facts.json"],
    "roles": ["complete_todos"],
    "portal_date": ["Tue, 02 Jun 2026 08:00:00 GMT"],
    "given": [f"0:{'0' * 64}"],
}
ENDING = {"remove", "deactivate"}
BY_TYPE = {
    "date": ["2026-06-02", "2027-01-01"],
    "duration": ["PT2M", "P400D"],
    "instant": ["2026-06-02T09:00:00Z", "2026-06-06T09:00:00+01:00"],
    "integer range": ["1", "60"],
}


def plausible(parameter: click.Parameter, ends: bool) -> list[str]:
    """Return what this parameter is meant to be given; what a command ``ends`` is another's."""
    if ends and parameter.name in {"account_id", "person_id"}:
        return ["other"]
    if isinstance(parameter.type, click.Choice):
        return list(parameter.type.choices)
    named = PLAUSIBLE.get(parameter.name or "", [])
    return named or BY_TYPE.get(parameter.type.name, ["some text"])


@st.composite
def arguments(draw: st.DrawFn) -> list[str]:
    """Draw a command with some of its options, mostly plausible, and now and then a stray."""
    path, command = draw(st.sampled_from(ALL))
    argv = list(path)
    for parameter in command.params:
        value = (
            st.sampled_from(plausible(parameter, path[-1] in ENDING)) if draw(OFTEN) else anything
        )
        if isinstance(parameter, click.Argument):
            argv.append(draw(value))
        elif draw(OFTEN if parameter.required else SELDOM):
            argv.append(draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts])))
            if not parameter.is_flag:
                argv.append(draw(value))
    if not draw(OFTEN):
        argv.insert(draw(st.integers(0, len(argv))), draw(anything))
    return argv


# The first is what examples shrink to.
OFTEN = st.sampled_from([True] * 19 + [False])
SELDOM = st.sampled_from([False] * 4 + [True])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a directory of its own with a state, where commands run; no code is waited for."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUTOMATION_RULES_STATE", "sqlite:///state.sqlite3")
        patch.setenv("AUTOMATION_RULES_HEADS", str(folder / "heads"))
        patch.setattr(codes, "_POLL_EVERY", codes.HAND_OVER_WITHIN * 2)
        (folder / "request.json").write_text(WHOLE, "utf-8")
        (folder / "facts.json").write_text("{}", "utf-8")
        shipped = Path(automation_rules.__file__).parent / "data" / "landlord-portal.toml"
        (folder / "policy.toml").write_bytes(shipped.read_bytes())
        for argv in (
            ["init", "--landlord", "acme", "--name", "Acme Homes"],
            ["people", "add", "officer-7", "--landlord", "acme", "--name", "Example"],
            [
                *("accounts", "add", "acme-1", "--landlord", "acme"),
                *("--username", "Acme Homes Automation", "--email", "automation@acme.example"),
                *("--created-by-role", "manage_users"),
            ],
        ):
            assert run(argv).code == 0
        yield folder


def holds_of_every_run(argv: list[str]) -> None:
    """Run a command; whatever it answers, it answers in its own words."""
    ran = run(argv)
    assert ran.code in (0, 1, 2, 3), ran
    assert "internal error" not in ran.err, (argv, ran.err)
    assert "Traceback" not in ran.err
    assert is_plain(ran.err)
    if ran.code == 2:
        assert "error: " in ran.err or "Usage: " in ran.err
    asked = any(one in {"-o", "--output"} and two == "json" for one, two in pairwise(argv))
    if ran.out and asked and "--" not in argv:
        json.loads(ran.out)
    if "ics" not in argv and not ran.out.startswith("{"):
        assert is_plain(ran.out)


@settings(QUICK, max_examples=150)
@given(argv=arguments())
def test_any_arguments_are_answered(desk: Path, argv: list[str]) -> None:
    """No command makes a traceback of any options, and none shows what acts on a terminal."""
    holds_of_every_run(argv)


@pytest.mark.exhaustive
@LONG
@given(argv=arguments())
def test_any_arguments_are_answered_always(desk: Path, argv: list[str]) -> None:
    """The long form of the same."""
    holds_of_every_run(argv)


def test_every_command_helps() -> None:
    """Each command explains itself, and none is missing from those that are tried above."""
    for path, _ in ALL:
        ran = run([*path, "--help"])
        assert ran.code == 0
        assert ran.out.startswith("Usage: automation-rules")
    assert {path[0] for path, _ in ALL} == set(COMMANDS)


# --- real processes


@pytest.mark.parametrize(
    ("argv", "given", "code"),
    [
        (["check", "-", "-o", "json"], b"", 2),
        (["check", "-", "-o", "json"], b"\xff\xfe\x00\xd8", 2),
        (["check", "-", "-o", "json"], b"[" * 50_000, 2),
        (["check", b"\xff\xfe"], b"", 2),
        (["\x1b[2J"], b"", 2),
        ([], b"", 2),
    ],
)
def test_a_process_answers_as_well(argv: list[Any], given: bytes, code: int) -> None:
    """The same through a real process in a locale without Unicode."""
    ran = subprocess.run(
        [sys.executable, "-m", "automation_rules", *argv],
        input=given,
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == code
    assert b"Traceback" not in ran.stderr
    assert ran.stderr.strip()
    assert is_plain(ran.stderr.decode("utf-8"))
    if "json" in argv:
        assert json.loads(ran.stdout)["decision"] is False
