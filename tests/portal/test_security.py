"""What browsers are told, what cookies carry, and what is never written to a log."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from demo_portal import settings
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import Phone, Tenant, User
from lxml import html  # type: ignore[import-untyped]
from test_pages import ADMINISTRATION, PAGES

from conftest import PORTAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portal_world import PortalWorld, Template

STATIC = ["/static/portal.css", "/static/start.js", "/static/govuk-frontend.min.js"]


def every_page(portal: PortalWorld) -> Iterator[tuple[str, Any]]:
    """Give every page that can be seen, with what a browser is told."""
    stranger = portal.client()
    yield "/sign-in/", stranger.get("/sign-in/")
    yield "/sign-in/ 2", portal.give_password(stranger, "enid.example")
    enid = portal.client("enid.example")
    for path in [*PAGES, "/sign-out/", "/welcome-back/", "/nowhere/"]:
        yield path, enid.get(portal.fill(path))
    administrator = portal.client("portal.administrator")
    for path in ADMINISTRATION:
        yield path, administrator.get(path)


def test_no_page_lets_a_script_in(portal: PortalWorld) -> None:
    """Scripts and styles come from files of our own; nothing else is loaded, framed or sent to."""
    for path, answer in every_page(portal):
        policy = dict(
            directive.strip().split(" ", 1)
            for directive in answer.headers["Content-Security-Policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self'",
            "media-src": "'self'",
            "connect-src": "'none'",
            "form-action": "'self'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }, path
        page = html.fromstring(answer.content)
        assert page.xpath("//script[not(@src)] | //style | //@style") == [], path
        attributes = {name for element in page.iter() for name in element.keys()}  # noqa: SIM118
        assert not [name for name in attributes if name.startswith("on")], path
        for address in page.xpath("//@src | //@href | //@action"):
            assert re.match(r"[/#?](?!/)", address), (path, address)


def test_every_page_keeps_to_itself(portal: PortalWorld) -> None:
    """No page is framed, guessed at, told of elsewhere or kept in a cache."""
    for path, answer in every_page(portal):
        assert answer.headers["X-Frame-Options"] == "DENY", path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["Referrer-Policy"] == "same-origin", path
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert "no-store" in answer.headers["Cache-Control"], path


def test_cookies_are_not_for_scripts_or_other_sites(portal: PortalWorld) -> None:
    """Session, token and language: HttpOnly and SameSite."""
    client = portal.client("enid.example")
    client.get("/language/cy")
    cookies = client.cookies
    assert set(cookies) == {"sessionid", "csrftoken", "django_language"}
    for cookie in cookies.values():
        assert cookie["httponly"], cookie.key
        assert cookie["samesite"] == "Lax", cookie.key


def run(home: Path, *command: str, **variables: str) -> dict[str, Any]:
    """Return how to run a program on a portal's files, as `subprocess` wants it."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PORTAL_", "DJANGO_ALLOW_"))
    }
    environment |= {"PORTAL_HOME": str(home), "PYTHONUNBUFFERED": "1"} | variables
    return {"args": [sys.executable, *command], "cwd": PORTAL, "env": environment, "text": True}


def test_https_keeps_cookies_to_itself(portal_template: Template, tmp_path: Path) -> None:
    """With PORTAL_HTTPS every cookie is Secure, and browsers are told to stay with https."""
    program = """
import django
django.setup()
from django.test import Client
answer = Client(HTTP_HOST="localhost").get("/sign-in/", secure=True)
print(answer.headers["Strict-Transport-Security"])
print([cookie["secure"] for cookie in answer.cookies.values()])
print(Client(HTTP_HOST="localhost").get("/sign-in/").headers["Location"])
print(Client(HTTP_HOST="elsewhere.example").get("/sign-in/", secure=True).status_code)
"""
    shutil.copytree(portal_template.home, tmp_path / "home")
    command = run(tmp_path / "home", "-c", program, PORTAL_HTTPS="1", PORTAL_HOSTS="localhost")
    done = subprocess.run(**command, capture_output=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "max-age=31536000"
    assert set(lines[1].strip("[]").split(", ")) == {"True"}
    assert lines[2] == "https://localhost/sign-in/"
    assert lines[3] == "400"


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    """Whichever of them is first makes the key; none reads half of it or keeps another."""
    for turn in range(20):
        path = tmp_path / f"{turn}.key"
        gate = threading.Barrier(8)

        def key(path: Path = path, gate: threading.Barrier = gate) -> str:
            gate.wait()
            return settings._secret_key(path)

        with ThreadPoolExecutor(8) as pool:
            found = {made.result() for made in [pool.submit(key) for _ in range(8)]}
        assert found == {path.read_text(encoding="ascii")}
        assert len(path.read_text(encoding="ascii")) > 60
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 20


@contextmanager
def real_server(home: Path, **variables: str) -> Iterator[tuple[str, list[str]]]:
    """Serve a portal as `make portal` does; give its address, and all it writes afterwards."""
    written: list[str] = []
    command = run(home, "manage.py", "runserver", "--noreload", "127.0.0.1:0", **variables)
    with subprocess.Popen(**command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if found := re.search(r"server at (http://\S+)/", line):
                    yield found.group(1), written
                    break
        finally:
            process.terminate()
            written.extend(process.stdout)


def lose_users(home: Path) -> None:
    """Make every page that looks for a user fail."""
    with closing(sqlite3.connect(home / "portal.sqlite3")) as database:
        database.execute("DROP TABLE landlord_portal_user")


def test_logs_have_no_personal_data(portal_template: Template, tmp_path: Path) -> None:
    """After wrong passwords and codes, searches, denials and failures, the log names nobody."""
    home = tmp_path / "home"
    shutil.copytree(portal_template.home, home)
    with (
        real_server(home) as (site, written),
        httpx.Client(base_url=site, follow_redirects=True) as client,
    ):

        def post(path: str, **fields: str) -> httpx.Response:
            [token] = html.fromstring(client.get(path).content).xpath(
                "(//input[@name='csrfmiddlewaretoken']/@value)[1]"
            )
            return client.post(path, data={"csrfmiddlewaretoken": token} | fields)

        step = {"sign_in-current_step": "auth"}
        for password in ("wrong-password", PASSWORD):
            post(
                "/sign-in/", **step, **{"auth-username": "enid.example", "auth-password": password}
            )
        post("/sign-in/", **{"sign_in-current_step": "token", "token-otp_token": "987654"})
        client.get("/tenants/1/?words=McSample", headers={"Referer": f"{site}/?q=McSample"})
        client.post("/payments/", data={"words": "McSample"})
        client.get("/sign-in/", headers={"Host": "McSample.example"})
        lose_users(home)
        password = {"auth-username": "enid.example", "auth-password": PASSWORD}
        assert post("/sign-in/?next=McSample", **step, **password).status_code == 500
    text = "".join(line for line in written if not line.startswith("SMS to "))
    said = {"enid", "McSample", "wrong-password", PASSWORD, "987654"}
    said |= {
        word for name in Tenant.objects.values_list("name", flat=True) for word in name.split()
    }
    said |= set(User.objects.values_list("username", flat=True))
    said |= set(Phone.objects.values_list("number", flat=True))
    assert not [word for word in said if len(word) > 2 and word in text], text


def test_log_says_what_failed_and_where(portal_template: Template, tmp_path: Path) -> None:
    """A failure is found by its kind and its place; its words stay out."""
    home = tmp_path / "home"
    shutil.copytree(portal_template.home, home)
    with real_server(home) as (site, written), httpx.Client(base_url=site) as client:
        client.get("/sign-in/")
        lose_users(home)
        password = {"sign_in-current_step": "auth", "auth-username": "x", "auth-password": PASSWORD}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/sign-in/", data=password | token).status_code == 500
    text = "".join(written)
    assert "ERROR django.request Internal Server Error: /sign-in/" in text
    assert "OperationalError" in text
    assert "no such table" not in text


@pytest.mark.parametrize("path", STATIC)
def test_stylesheet_and_scripts_are_served(site: str, path: str) -> None:
    """They come from this machine, as what they are, and the stylesheet asks for nothing more."""
    answer = httpx.get(f"{site}{path}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(
        "text/css" if path.endswith("css") else "text/javascript"
    )
    assert "url(" not in answer.text if path.endswith("css") else True


def test_nothing_of_a_government_service_is_served() -> None:
    """No government font, no image, no crown, no crest."""
    stylesheet = (PORTAL / "build" / "static" / "portal.css").read_text(encoding="utf-8")
    for mark in ("@font-face", "GDS Transport", "crest", "crown", "govuk-logo", "url("):
        assert mark not in stylesheet
    served = {file.name for file in (PORTAL / "build" / "static").iterdir()}
    assert served == {"portal.css", "govuk-frontend.min.js"}
