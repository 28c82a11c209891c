"""A portal for one test: fresh databases, a movable clock, the text messages, and browsers."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal.clock import portal_clock
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import connections
from django.test import Client
from landlord_portal import automation, library
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import Property, Tenancy, User

from automation_rules import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Guessing passwords may be easy here: hashing them well takes a third of a second each.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

HEADS = "AUTOMATION_RULES_HEADS"
TUESDAY = datetime.fromisoformat("2027-06-01T09:00:00+01:00")


class Drawer:
    """A sender that keeps every text message, the last one last."""

    sent: ClassVar[list[tuple[str, str]]] = []

    def send(self, recipient: str, text: str) -> None:
        """Keep the message."""
        self.sent.append((recipient, text))


@dataclass(frozen=True)
class Template:
    """Databases with the example data, to be copied."""

    home: Path

    @classmethod
    def make(cls, home: Path) -> Template:
        """Make the tables and the example data in ``home``."""
        with _at(home):
            call_command("migrate", verbosity=0)
            call_command("seed_demo", stdout=_Nowhere())
        return cls(home)

    @contextmanager
    def copy(self, home: Path) -> Iterator[PortalWorld]:
        """Give a portal of one's own, on copies in ``home``."""
        shutil.copytree(self.home, home)
        with _at(home):
            Drawer.sent.clear()
            yield PortalWorld(home)


class _Nowhere:
    def write(self, text: str) -> None:
        """Forget it."""


@contextmanager
def _at(home: Path) -> Iterator[None]:
    """Work on the databases in ``home``, with the clock where it begins."""
    home.mkdir(parents=True, exist_ok=True)
    connections.close_all()
    connections.settings["default"]["NAME"] = home / "portal.sqlite3"
    settings.PORTAL_STATE = f"sqlite:///{home / 'state.sqlite3'}"
    for records in ("back_office", "customers", "housing"):
        setattr(settings, f"PORTAL_{records.upper()}", f"sqlite:///{home / records}.sqlite3")
    settings.PORTAL_SMS_SENDER = "portal_world.Drawer"
    heads = os.environ.get(HEADS)
    os.environ[HEADS] = str(home / "heads.sqlite3")
    clock = portal_clock()
    assert isinstance(clock, FrozenClock)
    clock.move_to(TUESDAY)
    try:
        yield
    finally:
        connections.close_all()
        automation.close()
        library.store().close()
        library.store.cache_clear()
        if heads is None:
            del os.environ[HEADS]
        else:
            os.environ[HEADS] = heads


@dataclass
class PortalWorld:
    """One portal and what a test does to it from outside."""

    home: Path

    @property
    def clock(self) -> FrozenClock:
        """The portal's clock."""
        clock = portal_clock()
        assert isinstance(clock, FrozenClock)
        return clock

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The text messages sent, oldest first: phone number and text."""
        return Drawer.sent

    @property
    def code(self) -> str:
        """The access code in the last text message."""
        [code] = re.findall(r"\b[0-9]{6}\b", self.messages[-1][1])
        return str(code)

    def user(self, username: str) -> User:
        """Return one of the example users."""
        return User.objects.get(username=username)

    def fill(self, path: str, landlord: str = "acme") -> str:
        """Return ``path`` with the ids of things that the landlord has."""

        def first(model: Any, **about: object) -> object:
            return model.objects.filter(landlord_id=landlord, **about).values_list("pk", flat=True)[
                0
            ]

        return path.format(
            tenancy=first(Tenancy), free=first(Property, tenancies=None), user=first(User)
        )

    def client(self, username: str | None = None, host: str = "localhost") -> Client:
        """Return a client without a browser, signed in by both steps if there is a name."""
        client = Client(HTTP_HOST=host)
        if username is not None:
            assert self.sign_in(client, username).status_code == 302
        return client

    def give_password(self, client: Client, username: str, password: str = PASSWORD) -> Any:
        """Take the first step of signing in."""
        step = {"sign_in-current_step": "auth"}
        return client.post(
            "/sign-in/", step | {"auth-username": username, "auth-password": password}
        )

    def give_code(self, client: Client, code: str | None = None, query: str = "") -> Any:
        """Take the second step, with the code that was sent if there is no other."""
        step = {"sign_in-current_step": "token"}
        return client.post(f"/sign-in/{query}", step | {"token-otp_token": code or self.code})

    def sign_in(self, client: Client, username: str) -> Any:
        """Take both steps."""
        self.give_password(client, username)
        return self.give_code(client)


@contextmanager
def stuck(records: str, seconds: float = 0.2, *, readers: bool = True) -> Iterator[None]:
    """Let the records that a setting names keep everybody waiting, of whom none waits longer.

    Without ``readers`` it is only those who write.
    """
    usual, settings.PORTAL_RECORDS_SECONDS = settings.PORTAL_RECORDS_SECONDS, seconds
    path = getattr(settings, records).removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE" if readers else "BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()
        settings.PORTAL_RECORDS_SECONDS = usual


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(application: Any = None) -> Iterator[str]:
    """Serve the portal on a free port of this machine; give its address."""
    from demo_portal.wsgi import application as portal_application

    server = ThreadedWSGIServer(("127.0.0.1", 0), _Handler, allow_reuse_address=False)
    server.set_app(application or portal_application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
