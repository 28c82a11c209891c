"""Runs what a Markdown page shows: its commands, its code and its files, in the page's order.

Every fenced block has one of these languages, and nothing else is accepted:

- ``console``: lines that begin with ``$ `` (or ``> ``, as on Windows) are run; the lines after
  each are what it must print. A line ``…`` stands for any lines, ``…`` within a line for any
  text. A command that fails must be followed by ``$ echo $?``, or ``> echo %ERRORLEVEL%``,
  and its exit code. One that ends with ``&`` goes on, and prints at ``$ wait``.
- ``python``: run; ``>>>`` examples are compared like the interpreter's. All blocks of a page
  share their names.
- ``text``: what the Python block before it must have printed.
- ``json``, ``toml``: parsed. JSON that looks like a request or an answer must be valid as one.
- ``robotframework``, ``sh``: files, which a later command of the page must use.

A comment before a block directs it: ``<!-- file: NAME -->`` saves the block under that name,
``<!-- types: TEXT -->`` types that text at a terminal when its command asks for it, and
``<!-- state: registered -->`` first makes the state of the tutorial; ``ready`` also has today's
code entered.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from markdown_it import MarkdownIt

from automation_rules.cli import main
from automation_rules.clock import SystemClock
from automation_rules.store import Store, state_url
from automation_rules.store.codes import CodeDesk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parent.parent
NOW: Final = "2026-06-02T09:00:00+01:00"
"""When every command of the pages runs: 9am on a Tuesday that is no bank holiday."""

LANGUAGES: Final = ("console", "python", "text", "json", "toml", "robotframework", "sh")
_DIRECTIVE: Final = re.compile(r"<!--\s*(file|types|state):\s*(\S+)\s*-->")
_PROMPT: Final = re.compile(r"[$>] ")
_SHELL: Final = frozenset("|&;<>()$`*?~")
_IN_A_SHELL: Final = 60.0


class PageError(AssertionError):
    """Something on a page is not as the page says."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: where it begins, its language, its lines and the comments before it."""

    line: int
    language: str
    content: str
    file: str | None = None
    types: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block, and what it must print."""

    line: int
    text: str
    expected: str


def pages() -> list[Path]:
    """Return every page of the documentation."""
    front = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [*front, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page; an indented block is one without a language."""
    directives: dict[str, str] = {}
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            directives.update(_DIRECTIVE.findall(token.content))
        elif token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield Block(line, token.info.strip(), token.content, **directives)
            directives = {}


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a console block."""
    found: list[tuple[int, str, list[str]]] = []
    goes_on = False
    for number, line in enumerate(block.content.splitlines(), block.line + 1):
        if goes_on:
            first, text, _ = found[-1]
            found[-1] = (first, text.removesuffix("\\") + line.strip(), [])
        elif _PROMPT.match(line):
            found.append((number, line[2:], []))
        elif found:
            found[-1][2].append(line)
            continue
        else:
            raise PageError(f"line {number}: a console block begins with a command")
        goes_on = line.endswith("\\")
    for number, text, lines in found:
        yield Command(number, text, "\n".join(lines))


def matches(expected: str, actual: str) -> bool:
    """Return whether a text is as expected, where ``…`` stands for anything."""
    lines = [
        r"(?:.*\n)*?" if line.strip() == "…" else _line_pattern(line) + r"[ ]*\n"
        for line in expected.splitlines()
    ]
    return (
        re.fullmatch("".join(lines), actual if not actual else actual.rstrip() + "\n") is not None
    )


def _line_pattern(line: str) -> str:
    return ".*?".join(re.escape(part) for part in line.rstrip().split("…"))


@dataclass(slots=True)
class Page:
    """A page that is being run in a directory of its own, which is the process's present one."""

    path: Path
    directory: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__page__"})
    printed: str = ""
    exit_code: int = 0
    background: list[subprocess.Popen[str]] = field(default_factory=list)
    saved: dict[str, Block] = field(default_factory=dict)
    used: str = ""

    def run(self) -> None:
        """Run the page.

        Raises:
            PageError: something is not as the page says.
        """
        self.run_text(self.path.read_text("utf-8"))

    def run_text(self, text: str) -> None:
        """Run every block of ``text``, which stands for the page's own; raises what `run` does."""
        try:
            for block in blocks(text):
                self.run_block(block)
        finally:
            for process in self.background:
                process.kill()
                process.communicate()
        if self.background:
            raise self._wrong(0, "a command that was left running: `wait` for it")
        for name, block in self.saved.items():
            elsewhere = (other.content for other in self.saved.values() if other is not block)
            if not any(name in text for text in (self.used, *elsewhere)):
                raise self._wrong(block.line, f"nothing uses {name}")

    def _wrong(self, line: int, problem: str) -> PageError:
        return PageError(f"{self.path.relative_to(ROOT)}:{line}: {problem}")

    def run_block(self, block: Block) -> None:
        """Run, compare or parse one block.

        Raises:
            PageError: it is not as the page says.
        """
        if block.language not in LANGUAGES:
            raise self._wrong(block.line, f"a block of {block.language or 'no language'!r}")
        if block.state is not None:
            make_state(code_entered=block.state == "ready")
        if block.file is not None:
            target = self.directory / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.content, "utf-8")
            self.saved[block.file] = block
        match block.language:
            case "console":
                self._console(block)
            case "python" if block.file is None:
                self._python(block)
            case "python":
                compile(block.content, str(block.file), "exec")
            case "text":
                self._compare(block.line, block.content, self.printed)
            case "json":
                self._json(block)
            case "toml":
                tomllib.loads(block.content)
            case _ if block.file is None:
                raise self._wrong(block.line, f"a block of {block.language} is never run")

    def _compare(self, line: int, expected: str, actual: str) -> None:
        if not matches(expected, actual):
            raise self._wrong(line, f"expected\n{expected}\nbut it printed\n{actual}")

    def _json(self, block: Block) -> None:
        document = json.loads(block.content)
        if isinstance(document, dict):
            if "subject" in document or "evaluations" in document:
                kind = "decision" if "decision" in str(document.get("evaluations")) else "request"
            elif "decision" in document:
                kind = "decision"
            else:
                return
            for error in Draft202012Validator(schema(kind)).iter_errors(document):
                raise self._wrong(block.line, f"is no {kind}: {error.message}")

    def _python(self, block: Block) -> None:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            if ">>> " in block.content:
                self._doctest(block, output)
            else:
                code = compile("\n" * block.line + block.content, str(self.path), "exec")
                exec(code, self.names)  # noqa: S102 - running the page is the purpose
        self.printed = output.getvalue()

    def _doctest(self, block: Block, output: io.StringIO) -> None:
        name = str(self.path.relative_to(ROOT))
        content = block.content.replace("…", "...")
        test = doctest.DocTestParser().get_doctest(content, self.names, name, name, block.line)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
        report = io.StringIO()
        # The doctest restores what it finds, so it is given the place that output goes to.
        runner.run(test, out=report.write, clear_globs=False)
        self.names.update(test.globs)
        if runner.summarize(verbose=False).failed:
            raise PageError(report.getvalue())

    def _console(self, block: Block) -> None:
        previous: Command | None = None
        for command in commands(block):
            self.used += f" {command.text}"
            if command.text in ("echo $?", "echo %ERRORLEVEL%"):
                self._compare(command.line, command.expected, f"{self.exit_code}\n")
                self.exit_code, previous = 0, None
                continue
            self._expect_success(previous)
            self._compare(command.line, command.expected, self._output(command, block.types))
            previous = command
        self._expect_success(previous)

    def _expect_success(self, command: Command | None) -> None:
        if command is not None and self.exit_code:
            raise self._wrong(command.line, f"exit code {self.exit_code} is not shown")

    def _output(self, command: Command, types: str | None) -> str:
        if command.text.startswith("make "):
            self.exit_code = _dry_make(command.text)
            return ""
        if command.text.endswith(" &"):
            self.background.append(_start(command.text.removesuffix(" &")))
            return ""
        if command.text == "wait":
            return "".join(self._ended(self.background.pop(0)) for _ in tuple(self.background))
        if types is not None:
            self.exit_code, output = at_a_terminal(command.text, types)
            return output
        if command.text.startswith("automation-rules ") and not _SHELL & set(command.text):
            self.exit_code, output = in_this_process(shlex.split(command.text)[1:])
            return output
        return self._ended(_start(command.text))

    def _ended(self, process: subprocess.Popen[str]) -> str:
        with process:
            output, _ = process.communicate(timeout=_IN_A_SHELL)
        self.exit_code = process.returncode
        return output


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema that the command line prints."""
    code, text = in_this_process(["schema", kind])
    assert code == 0
    document: dict[str, Any] = json.loads(text)
    return document


def in_this_process(arguments: list[str]) -> tuple[int, str]:
    """Run the command line as its console script does; return its exit code and all it wrote."""
    kept = sys.stdin, sys.stdout, sys.stderr
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, "utf-8", write_through=True)
    sys.stdin, sys.stdout, sys.stderr = io.TextIOWrapper(io.BytesIO()), stream, stream
    try:
        code = main(arguments)
    finally:
        sys.stdin, sys.stdout, sys.stderr = kept
    return code, written.getvalue().decode()


_REGISTERED: Final = (
    "init",
    "landlord add acme --name 'Acme Homes' --nation england-and-wales --declared-on 2026-01-05"
    " --partnership-manager 'North West partnership manager'",
    "people add officer-7 --landlord acme --name 'Test Person'",
    "accounts add acme-1 --landlord acme --username 'Acme Homes Automation 1'"
    " --email automation1@acme.example --created-by-role manage_users --two-factor"
    " --todo-kind confirm_housing_costs",
)


def make_state(*, code_entered: bool) -> None:
    """Make the state that the tutorial makes; with a code, which a person has handed over."""
    for line in _REGISTERED:
        code, output = in_this_process(shlex.split(line))
        assert code == 0, output
    if code_entered:
        clock = SystemClock()
        with Store.open(state_url(), clock=clock) as store, ThreadPoolExecutor(1) as pool:
            desk = CodeDesk(store, clock)
            pending = desk.open_wait("acme-1")
            entering = pool.submit(desk.enter, "acme-1", "officer-7", "123456")
            assert desk.wait(pending) == "123456"
            entering.result()


def _dry_make(text: str) -> int:
    return subprocess.run(
        ["make", "--dry-run", *shlex.split(text)[1:]], cwd=ROOT, capture_output=True, check=False
    ).returncode


def _start(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["sh", "-c", text],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


_TERMINAL: Final = """
import os, pty, sys
os.environ["PYTHONUNBUFFERED"] = "1"
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", sys.argv[1]])
seen, typed = b"", False
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if not typed and seen.rstrip().endswith(b":"):
        os.write(fd, sys.argv[2].encode() + b"\\n")
        typed = True
sys.stdout.buffer.write(seen.replace(b"\\r\\n", b"\\n"))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def at_a_terminal(text: str, types: str) -> tuple[int, str]:
    """Run a command at a terminal of its own and type ``types`` when it asks."""
    done = subprocess.run(
        [sys.executable, "-c", _TERMINAL, text, types],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_IN_A_SHELL,
        check=False,
    )
    return done.returncode, done.stdout


def prepare(directory: Path) -> dict[str, str]:
    """Make a home for a page in ``directory``; return the environment that its commands run in.

    The page runs in the directory ``work``, where its state is the file ``state.sqlite3``. Every
    Python process that is started there takes `NOW` for the present.
    """
    site = directory / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "from datetime import UTC, datetime\n"
        "from automation_rules.clock import SystemClock\n"
        f"now = datetime.fromisoformat({NOW!r}).astimezone(UTC)\n"
        "SystemClock.now = lambda self: now\n",
        "utf-8",
    )
    home = directory / "home"
    home.mkdir()
    state = directory / "work" / "state.sqlite3"
    return {
        "AUTOMATION_RULES_STATE": f"sqlite:///{state.as_posix()}",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "COLUMNS": "80",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT / 'src'}",
    }
