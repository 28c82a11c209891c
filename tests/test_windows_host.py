"""Nothing on the way of the command line needs POSIX: bots' tools run it on Windows."""

from __future__ import annotations

import ast
import base64
import getpass
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

import automation_rules
from automation_rules.cli import main
from automation_rules.cli.common import default_lang
from automation_rules.clock import SystemClock
from automation_rules.store import Store
from automation_rules.store.codes import CodeDesk
from automation_rules.vault import WrappingKey, key_path
from cli_state import OFFICER, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = sorted(Path(automation_rules.__file__).parent.rglob("*.py"))

POSIX_MODULES = {
    *("crypt", "curses", "fcntl", "grp", "nis", "posix", "pty", "pwd", "readline", "resource"),
    *("spwd", "syslog", "termios", "tty"),
}
POSIX_NAMES = {
    "os": {
        *("chmod", "chown", "fchmod", "fchown", "fork", "forkpty", "getegid", "geteuid", "getgid"),
        *("getgroups", "getloadavg", "getpgid", "getpgrp", "getpriority", "getsid", "getuid"),
        *("kill", "killpg", "lchown", "mkfifo", "mknod", "nice", "openpty", "pread", "pwrite"),
        *("sched_getaffinity", "sendfile", "setgid", "setpgid", "setsid", "setuid", "statvfs"),
        *("sync", "sysconf", "tcsetpgrp", "ttyname", "uname", "wait", "wait3", "wait4", "waitpid"),
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC"),
    },
    "signal": {
        *("SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2"),
        *("alarm", "pause", "pthread_sigmask", "setitimer", "sigwait"),
    },
    "time": {"tzset"},
    "socket": {"AF_UNIX"},
}


# --- what the source names


def posix_only(source: str) -> Iterator[str]:
    """Yield the POSIX-only modules and names that a source uses."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (n.name for n in names if n.name.split(".")[0] in POSIX_MODULES)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                if module.split(".")[0] in POSIX_MODULES:
                    yield module
                used = POSIX_NAMES.get(module, set())
                yield from (f"{module}.{n.name}" for n in names if n.name in used)
            case ast.Attribute(value=ast.Name(id=module), attr=name):
                if name in POSIX_NAMES.get(module, set()):
                    yield f"{module}.{name}"
            case ast.Call(func=ast.Attribute(attr="chmod" | "lchmod" as name)):
                yield name


@pytest.mark.parametrize(
    "source",
    [
        "import fcntl",
        "import os.path, resource as r",
        "from pty import fork",
        "from os import fork",
        "import os; os.geteuid()",
        "import signal; signal.signal(signal.SIGALRM, f)",
        "path.chmod(0o600)",
    ],
)
def test_the_search_finds_what_windows_lacks(source: str) -> None:
    """The test below can fail: each of these is found."""
    assert list(posix_only(source))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_source_names_what_windows_lacks(path: Path) -> None:
    """No module, function, signal or flag that only POSIX has, and no clock format of its own."""
    source = path.read_text("utf-8")
    assert not list(posix_only(source))
    assert not re.search(r"%-[dmHIMSjy]", source)


# --- the whole way, without what Windows lacks

# The standard library and platformdirs have parts of their own for each system: those of this one
# are loaded before what they need is taken away.
_WITHOUT_POSIX = f"""
import asyncio, getpass, os, platformdirs, signal, subprocess, sys, uuid
for name in {sorted(POSIX_MODULES - {"posix"})!r}:
    sys.modules[name] = None
lacking = {{os: {POSIX_NAMES["os"]!r}, signal: {POSIX_NAMES["signal"]!r}}}
for module, names in lacking.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
from automation_rules.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_everything_runs_where_posix_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, registry, preflight, code, log and hours work with those modules and names gone."""
    program = Program(tmp_path, monkeypatch)

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", _WITHOUT_POSIX, *argv],
            env={**os.environ, **program.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    for argv, code in (
        (["init", "--landlord", "acme", "--name", "Acme Homes"], 0),
        (["preflight", "--account", "acme-1", "--action", "sign_out"], 0),
        (["code", "wait", "--account", "acme-1", "--timeout", "1"], 1),
        (["code", "enter", "--account", "acme-1", "--by", OFFICER], 2),
        (["audit", "verify"], 0),
        (["windows", "--next"], 0),
    ):
        ran = run(*argv)
        assert ran.returncode == code, (argv, ran.stderr)
        assert "internal error" not in ran.stderr
        if argv[0] == "init":
            program.ok("people", "add", OFFICER, "--landlord", "acme", "--name", "Example")
            assert program.add_account(1).code == 0


# --- where Windows differs


def test_the_language_is_the_desktops_where_no_locale_is_set() -> None:
    """Windows sets no LANG: its own language is asked, and variables still come first."""
    assert default_lang({}, "win32", lambda: "cy_GB") == "cy"
    assert default_lang({}, "win32", lambda: "en_GB") == "en"
    assert default_lang({}, "win32", lambda: "") == "en"
    assert default_lang({"LANG": "en_GB.UTF-8"}, "win32", lambda: "cy_GB") == "en"
    assert default_lang({}, "linux", lambda: "cy_GB") == "en"


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "ascii"])
def test_a_console_of_another_encoding_gets_utf_8(encoding: str) -> None:
    """What is printed does not depend on the code page of the console."""
    ran = subprocess.run(
        [sys.executable, "-m", "automation_rules", "terms", "scope.landlord", "--lang", "cy"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0
    assert "\u2019" in ran.stdout.decode("utf-8")


def test_the_state_and_the_key_are_their_owners_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are made with owner-only bits, which Windows ignores for the directory's own rights."""
    program = Program(tmp_path, monkeypatch)
    opened: list[tuple[str, int]] = []
    real = os.open

    def watched(path: str, flags: int, mode: int = 0o777) -> int:
        opened.append((Path(path).name, mode))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", watched)
    program.ok("init")
    assert ("state.sqlite3.key", 0o600) in opened
    if os.name == "posix":
        for file in (program.path, program.key):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_file_with_windows_line_ends_is_read(tmp_path: Path) -> None:
    """Text mode writes CR LF on Windows, and editors do: the key is the same."""
    file = tmp_path / "key"
    file.write_bytes(base64.b64encode(bytes(32)) + b"\r\n")
    assert WrappingKey.load(file).id == WrappingKey(bytes(32)).id


def test_paths_of_windows_name_a_state() -> None:
    """Drive letters, backslashes and spaces survive the URL, and the key lies beside."""
    path = PureWindowsPath(r"C:\Users\Example User\state.sqlite3")
    assert make_url(f"sqlite:///{path}").database == str(path)
    assert path.as_uri() == "file:///C:/Users/Example%20User/state.sqlite3"
    beside = key_path(path)  # type: ignore[arg-type]
    assert str(beside) == r"C:\Users\Example User\state.sqlite3.key"


class _Keyboard:
    """What ``msvcrt`` offers: keys one by one, and a place to show the prompt."""

    def __init__(self, keys: str) -> None:
        self._keys = list(keys)
        self.shown = ""

    def getwch(self) -> str:
        return self._keys.pop(0)

    def putwch(self, char: str) -> None:
        self.shown += char


def test_a_code_is_typed_unseen_at_a_windows_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The console's keys are read without an echo, corrections included, and handed over."""
    program = Program(tmp_path, monkeypatch)
    program.register()
    keyboard = _Keyboard("9\b804213\r")
    monkeypatch.setattr(getpass, "msvcrt", keyboard, raising=False)
    monkeypatch.setattr(getpass, "getpass", vars(getpass)["win_getpass"])
    monkeypatch.setattr(sys, "__stdin__", sys.stdin)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    received: list[str] = []
    with Store.open(program.url, clock=SystemClock()) as store:
        desk = CodeDesk(store, SystemClock())
        pending = desk.open_wait("acme-1")
        bot = threading.Thread(target=lambda: received.append(desk.wait(pending)))
        bot.start()
        code = main(["code", "enter", "--account", "acme-1", "--by", OFFICER])
        bot.join(60)
    assert code == 0
    assert received == ["804213"]
    shown = capsys.readouterr()
    assert "804213" not in keyboard.shown + shown.out + shown.err
