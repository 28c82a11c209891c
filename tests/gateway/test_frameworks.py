"""The examples for Starlette, FastAPI, Django and Flask, each served as in production."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway_shells import entries, is_denied, request, send
from gateway_world import OFFICER, WORKDAY, World, make_world
from path_tricks import PATH, TRICKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_shells import Answer

ROOT = Path(__file__).parents[2]
UVICORN = ("uvicorn", "--port", "0", "--app-dir")
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:0", "--threads", "4", "--chdir")
APPS: Final[dict[str, tuple[tuple[str, ...], str]]] = {
    "starlette": (UVICORN, "starlette_app:app"),
    "fastapi": (UVICORN, "fastapi_app:app"),
    "django": (GUNICORN, "django_app:application"),
    "flask": (GUNICORN, "flask_app:app"),
}
WITH_WEBSOCKETS = ("starlette", "fastapi")

CLOCK = f"""
from datetime import datetime
from automation_rules.clock import SystemClock
now = datetime.fromisoformat({WORKDAY.isoformat()!r})
SystemClock.now = lambda self: now
"""
"""Stops the clock of a process that finds it as ``sitecustomize``."""


@dataclass(frozen=True)
class Portal:
    """An example that is being served."""

    name: str
    port: int
    world: World

    def ask(self, target: str, method: str = "GET", body: Any = None, **fields: str) -> Answer:
        """Send a request; ``body`` goes as JSON."""
        data = b"" if body is None else json.dumps(body).encode()
        return send(
            self.port, request(target, method, data, Content_Type="application/json", **fields)
        )

    def sign_in(self, user: str) -> str:
        """Sign in; return the session's cookie."""
        answer = self.ask("/sign-in", "POST", {"user": user})
        assert answer.status == 200, answer.raw
        return answer.headers["set-cookie"].partition(";")[0]


@pytest.fixture(scope="module", params=APPS)
def portal(request: pytest.FixtureRequest) -> Iterator[Portal]:
    """Give each example in turn, served on a state of its own."""
    name: str = request.param
    command, app = APPS[name]
    with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        folder = Path(directory)
        (folder / "sitecustomize.py").write_text(CLOCK, "utf-8")
        world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "examples/frameworks", app],
            cwd=ROOT,
            env={
                **os.environ,
                "AUTOMATION_RULES_STATE": world.url,
                "PORTAL_SECRET": "made up for the tests, and known to nobody else",
                "PYTHONPATH": os.pathsep.join((directory, str(ROOT / "src"))),
            },
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Portal(name, _port(process), world)
        finally:
            process.terminate()
            said = process.communicate(timeout=30)[1]
        assert "Traceback" not in said, said


def _port(process: subprocess.Popen[str]) -> int:
    """Wait until the server says where it listens, and answers there."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"(?:running on|Listening at:) http://127\.0\.0\.1:(\d+)", line):
            port = int(found[1])
            until = time.monotonic() + 20
            while time.monotonic() < until:
                try:
                    if send(port, request("/health")).status == 200:
                        return port
                except OSError:
                    time.sleep(0.05)
    raise AssertionError("the server did not start")


def test_a_bot_does_its_work_and_every_step_is_recorded(portal: Portal) -> None:
    """From signing in to signing out, through the gateway, with each decision in the log."""
    before = len(entries(portal.world))
    cookie = portal.sign_in("bot-1")
    assert portal.ask("/todos", Cookie=cookie).status == 200
    assert portal.ask(PATH, Cookie=cookie).json["page"] == PATH
    assert portal.ask(PATH, "POST", {"rent": 1}, Cookie=cookie).json["method"] == "POST"
    assert portal.ask("/sign-out", "POST", Cookie=cookie).status == 200
    steps = entries(portal.world)[before:]
    assert [(step["action"], step["decision"]) for step in steps] == [
        ("sign_in", True),
        ("list_todos", True),
        ("open_todo", True),
        ("submit_todo", True),
        ("sign_out", True),
    ]
    assert {step["account"] for step in steps} == {"acme-1"}


def test_a_bot_gets_to_no_other_part_of_the_portal(portal: Portal) -> None:
    """A program is told in JSON, who prefers a page gets one, in Welsh when asked."""
    cookie = portal.sign_in("bot-1")
    assert is_denied(portal.ask("/payments", Cookie=cookie), "unknown-action")
    fields = {"Cookie": cookie, "Accept": "text/html", "Accept_Language": "cy"}
    page = portal.ask("/payments", "POST", {"pay": 1}, **fields)
    assert page.status == 403
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-language"] == "cy"
    assert b'<html lang="cy">' in page.body
    assert portal.ask("/todos", Cookie=cookie).status == 200


def test_an_account_that_nobody_registered_does_not_get_in(portal: Portal) -> None:
    """The portal asks before it signs a bot in, and passes the denial on."""
    answer = portal.ask("/sign-in", "POST", {"user": "stranger"}, Accept_Language="cy")
    assert answer.status == 403
    assert "account" in [reason["check"] for reason in answer.json["reasons"]]
    assert answer.headers["content-language"] == "cy"
    assert "set-cookie" not in answer.headers


def test_people_use_all_of_the_portal_unlogged(portal: Portal) -> None:
    """Whoever is signed in as a person, or not at all, is left to the portal."""
    before = len(entries(portal.world))
    cookie = portal.sign_in("officer")
    for target in ("/todos", PATH, "/payments?a=1"):
        assert portal.ask(target, Cookie=cookie).status == 200
    assert portal.ask("/payments", "POST", {"pay": 1}, Cookie=cookie).status == 200
    assert portal.ask("/payments").status == 401
    assert portal.ask("/sign-in", "POST", {"user": "nobody"}).status == 401
    assert portal.ask("/sign-out", "POST", Cookie=cookie).status == 200
    assert len(entries(portal.world)) == before


def test_a_forged_session_is_nobodys(portal: Portal) -> None:
    """A cookie that the portal did not sign is no session, whatever other fields say."""
    cookie = portal.sign_in("bot-1")
    forged = {"Cookie": f"{cookie[:-4]}AAAA", "X_Automation_Account": "acme-1"}
    assert portal.ask("/todos", **forged).status == 401


PLAYED = (
    *("escaped letter", "escaped slash", "escaped hyphen", "escaped twice", "double slash inside"),
    *("trailing slash", "trailing dot", "backslash", "parameter", "parameter in a value"),
    *("dot segment", "parent", "parent, escaped", "public parent", "public parent, escaped"),
    *("upper case", "full-width letter", "zero-width space", "escaped NUL", "escaped line feed"),
    *("colon in a value", "more"),
)
"""As many tricks as an account can play before the monitor pauses it."""


def test_no_trick_with_a_path_reaches_a_view(portal: Portal) -> None:
    """What a framework would take for a bot's path, or its server for another's, is refused."""
    cookie = portal.sign_in("bot-2")
    for name in PLAYED:
        answer = portal.ask(TRICKS[name], Cookie=cookie)
        assert answer.status in (400, 403), (name, answer.raw)
        assert b'"page"' not in answer.raw, name
    for target, fields in (
        (f"{PATH}?_method=DELETE", {}),
        (PATH, {"X_HTTP_Method_Override": "DELETE"}),
    ):
        answer = portal.ask(target, "POST", {}, Cookie=cookie, **fields)
        assert is_denied(answer, "unknown-action")
    assert portal.ask(PATH, Cookie=cookie).status == 200


def test_a_large_upload_that_is_denied_is_told_so(portal: Portal) -> None:
    """A real client gets the denial, though nobody reads what it sends.

    Whoever asks first whether to send a body is told before sending any of it.
    """
    cookie = portal.sign_in("bot-1")
    answer = httpx.post(
        f"http://127.0.0.1:{portal.port}/payments",
        content=bytes(5_000_000),
        headers={"Cookie": cookie},
    )
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:automation-rules:problem:unknown-action"
    asking = request("/payments", "POST", b"x", Cookie=cookie, Expect="100-continue")
    told = send(portal.port, asking[:-1])
    assert b"403 F" in told.raw
    assert b"urn:automation-rules:problem:unknown-action" in told.raw


def test_a_pause_takes_effect_on_the_next_request(portal: Portal) -> None:
    """Within a second, in a process that was not told."""
    cookie = portal.sign_in("bot-2")
    assert portal.ask("/todos", Cookie=cookie).status == 200
    with portal.world.registry() as registry:
        registry.pause_account("acme-2", reason="Made up")
        time.sleep(1)
        try:
            assert is_denied(portal.ask("/todos", Cookie=cookie), "account-paused")
            assert portal.ask("/sign-out", "POST", Cookie=cookie).status == 200
        finally:
            registry.resume_account("acme-2", OFFICER)


def test_websockets_are_decided_before_they_are_accepted(portal: Portal) -> None:
    """A bot gets the one that is its own; a person gets each. WSGI knows none."""
    if portal.name not in WITH_WEBSOCKETS:
        assert portal.ask("/updates", Cookie=portal.sign_in("officer")).status == 404
        return
    bot, officer = portal.sign_in("bot-1"), portal.sign_in("officer")
    for cookie, path in ((bot, "updates"), (officer, "updates"), (officer, "payments/live")):
        with connect(
            f"ws://127.0.0.1:{portal.port}/{path}", additional_headers={"Cookie": cookie}
        ) as socket:
            assert socket.recv() == "Nothing new."
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(f"ws://127.0.0.1:{portal.port}/payments/live", additional_headers={"Cookie": bot}),
    ):
        raise AssertionError("it was accepted")
    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["type"].endswith(":unknown-action")
