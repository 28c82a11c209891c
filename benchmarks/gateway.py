"""What the gateway costs a portal for each request, and the decision service, under real load.

Each server is a process of its own, with one worker (`portals`); wrk, a load generator, keeps 64
connections busy. What is compared is the processor time of the server's process for each request
it answered, and not how long answers took: wrk works on the same machine. The servers take turns
in short rounds, for two processes that do the same differ by up to 1.4x in one long run.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from shutil import copytree, which
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.request import Request, urlopen

import psutil

from .measure import at_most, row
from .portals import ACCOUNTS, TODOS, make_state, token_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from .measure import Row, Size

__all__ = [
    "CONNECTIONS",
    "Load",
    "Server",
    "Taken",
    "gateway",
    "load_generator",
    "page",
    "question",
]

CONNECTIONS: Final = 64
"""How many requests are under way at any moment."""

_SECONDS: Final = 2.0
"""How long a server is loaded in one round."""

_LEAST_SECONDS: Final = 0.2
_MOST_SECONDS: Final = 30.0
_ROOT: Final = Path(__file__).parents[1]
_COUNTED: Final = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_TROUBLE: Final = re.compile(r"^\s*(Non-2xx.*|Socket errors.*)$", re.MULTILINE)


class Load(NamedTuple):
    """What is asked of a server, in turn about each to-do and by each bot.

    ``{todo}`` and ``{bot}`` stand for their numbers.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str | None = None

    def script(self) -> str:
        """Return the Lua script by which wrk makes its requests."""
        fields = ", ".join(f"[ [[{name}]] ] = filled([[{text}]])" for name, text in self.headers)
        body = "nil" if self.body is None else f"filled([[{self.body}]])"
        return _SCRIPT.format(
            todos=TODOS,
            bots=ACCOUNTS,
            asked=f"[[{self.method}]], filled([[{self.path}]]), {{{fields}}}, {body}",
        )

    def ask(self, url: str) -> bytes:
        """Ask once, about the first to-do and by the first bot; return the answer.

        Raises:
            HTTPError: the answer was no success.
        """
        request = Request(  # noqa: S310
            url + _filled(self.path),
            method=self.method,
            headers={name: _filled(text) for name, text in self.headers},
            data=None if self.body is None else _filled(self.body).encode(),
        )
        with urlopen(request, timeout=60) as response:  # noqa: S310
            answer: bytes = response.read()
            return answer


_SCRIPT: Final = """
local n = 0
local function filled(text)
  return (text:gsub("{{todo}}", n % {todos}):gsub("{{bot}}", n % {bots}))
end
request = function()
  n = n + 1
  return wrk.format({asked})
end
"""


def _filled(text: str) -> str:
    return text.replace("{todo}", "1").replace("{bot}", "1")


def page(session: str, place: str = "todos") -> Load:
    """Return a session's requests for pages of a portal."""
    return Load("GET", f"/{place}/td-{{todo}}", (("Cookie", f"session={session}"),))


def question(token: str) -> Load:
    """Return evaluation requests (AuthZEN 1.0) of the decision service."""
    asked = (
        '{"subject": {"type": "automation_account", "id": "bot-{bot}"}, '
        '"action": {"name": "open_todo"}, "resource": {"type": "todo", "id": "td-{todo}", '
        '"properties": {"kind": "confirm_housing_costs"}}}'
    )
    headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
    return Load("POST", "/access/v1/evaluation", headers, asked)


class Taken(NamedTuple):
    """What one round took: processor seconds for each request, and seconds."""

    processor: float
    elapsed: float


class Server:
    """One of `portals.APPS` in a process of its own, over a state of its own."""

    def __init__(self, app: str, directory: Path) -> None:
        """Start it; it serves when `ready` has returned."""
        self._directory = directory
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.portals", app, str(directory)],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )
        self.url = ""

    def ready(self) -> None:
        """Return when it serves."""
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def load(self, load: Load, seconds: float) -> Taken:
        """Keep it busy that long; return what it took.

        Raises:
            RuntimeError: it answered otherwise than with 2xx, or not at all.
        """
        script = self._directory / "load.lua"
        script.write_text(load.script(), "ascii")
        process = psutil.Process(self._process.pid)
        command = ["wrk", "-t", "1", "-c", str(CONNECTIONS), "-d", "1h", "-s", str(script)]
        before, began = process.cpu_times(), time.perf_counter()
        with subprocess.Popen(
            [*command, self.url], stdout=subprocess.PIPE, encoding="ascii"
        ) as generator:
            time.sleep(seconds)
            # It stops, and tells what it counted.
            generator.send_signal(signal.SIGINT)
            said, _ = generator.communicate()
        elapsed, after = time.perf_counter() - began, process.cpu_times()
        counted, trouble = _COUNTED.search(said), _TROUBLE.search(said)
        if counted is None or trouble is not None:
            raise RuntimeError(f"wrk says: {trouble[1] if trouble else said}")
        requests = int(counted[1])
        if not requests:
            if seconds > _MOST_SECONDS:
                raise RuntimeError(f"nothing was answered within {seconds:.0f} seconds")
            return self.load(load, 2 * seconds)
        spent = after.user - before.user + after.system - before.system
        return Taken(spent / requests, elapsed / requests)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.communicate()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.close()


def load_generator() -> str | None:
    """Return where wrk is; None when it is not installed."""
    return which("wrk")


def gateway(size: Size) -> Iterator[Row]:
    """Measure both portals behind the gateway, and the decision service; needs wrk."""
    if load_generator() is None:
        print(
            "the gateway is not measured: wrk is not installed (Debian: apt install wrk)",
            file=sys.stderr,
        )
        return
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        made = Path(name) / "made"
        made.mkdir()
        make_state(made)
        for portal in ("django", "starlette"):
            yield from _portal(size, portal.capitalize(), portal, made)
        yield from _service(size, made)


def _portal(size: Size, title: str, portal: str, made: Path) -> Iterator[Row]:
    bare, nothing, control, ours = (
        f"{portal}-{shell}" for shell in ("bare", "nothing", "control", "gateway")
    )
    with _Turns(made, (bare, nothing, control, ours)) as turns:
        bots, person, nobody = page("bot-{bot}"), page("person"), page("bot-{bot}", "nothing")
        full = turns.take(
            size,
            (nothing, bots),
            (ours, bots),
            (ours, person),
            (control, bots),
            (bare, bots),
        )
        empty = turns.take(size, (nothing, nobody), (ours, nobody))
    yardstick, *others = ([taken.processor for taken in rounds] for rounds in full)
    whats = (
        f"{title} portal, bots allowed and recorded",
        f"{title} portal, the session of a person",
        f"{title} portal, middleware that does nothing, again",
        f"{title} portal, bare",
    )
    for what, found in zip(whats, others, strict=True):
        yield row(
            what,
            "middleware that does nothing, processor time",
            found,
            yardstick,
            bar=at_most(1.1) if what is whats[0] else None,
        )
    empty_nothing, empty_ours = ([taken.processor for taken in rounds] for rounds in empty)
    yield row(
        f"{title}, an empty answer, bots allowed and recorded",
        "middleware that does nothing, processor time",
        empty_ours,
        empty_nothing,
    )


def _service(size: Size, made: Path) -> Iterator[Row]:
    with _Turns(made, ("constant", "service")) as turns:
        asked = question(token_path(made).read_text("ascii"))
        constant, ours = turns.take(size, ("constant", asked), ("service", asked))
    yield row(
        "decision service, one evaluation, recorded",
        "Starlette answers a constant, processor time",
        [taken.processor for taken in ours],
        [taken.processor for taken in constant],
    )
    yield row(
        "decision service, requests in a second",
        "Starlette answers a constant",
        [1 / taken.elapsed for taken in ours],
        [1 / taken.elapsed for taken in constant],
        unit="req/s",
    )


class _Turns:
    """Servers that wait for their turns, each over a copy of the state."""

    def __init__(self, made: Path, apps: Sequence[str]) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}
        with ExitStack() as stack:
            for app in apps:
                directory = copytree(made, made.with_name(app))
                self._servers[app] = stack.enter_context(Server(app, directory))
            for server in self._servers.values():
                server.ready()
            self._stack = stack.pop_all()

    def take(self, size: Size, *contenders: tuple[str, Load]) -> list[list[Taken]]:
        """Return what each took in each round, after one that is not counted."""
        for app, load in contenders:
            load.ask(self._servers[app].url)
        seconds = max(_SECONDS * size.share, _LEAST_SECONDS)
        taken: list[list[Taken]] = [[] for _ in contenders]
        order = list(enumerate(contenders))
        for number in range(size.rounds + 1):
            for index, (app, load) in order:
                found = self._servers[app].load(load, seconds)
                if number:
                    taken[index].append(found)
            order.reverse()
        return taken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()
