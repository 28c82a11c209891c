"""Reaching a person, as tests see it from outside."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connections
from lxml import html  # type: ignore[import-untyped]
from tenant_services.contact.models import Chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client
    from portal_world import PortalWorld

CONTACT = "/my-home/contact/"
STAFF = "/my-home/staff/messages/"
HOSTILE = "<script>alert(1)</script>\r\n=1+1\r\nŵŷâ " + "long" * 400


def page_of(answer: Any) -> Any:
    """Return a page as a tree."""
    assert answer.status_code == 200, answer
    return html.fromstring(answer.content)


def text_of(answer: Any) -> str:
    """Return what a page says in its main part."""
    [main] = page_of(answer).xpath("//main")
    return " ".join(main.text_content().split())


def token(client: Client, path: str) -> str:
    """Return what a form's page is known by."""
    [value] = page_of(client.get(path)).xpath("//input[@name='token']/@value")
    return str(value)


def at(portal: PortalWorld, instant: str) -> None:
    """Set the clock."""
    portal.clock.move_to(datetime.fromisoformat(instant))


@contextmanager
def without_directory(portal: PortalWorld) -> Iterator[None]:
    """Take the customer directory away, and bring it back."""
    directory, away = portal.home / "customers.sqlite3", portal.home / "away"
    directory.rename(away)
    try:
        yield
    finally:
        directory.unlink(missing_ok=True)
        away.rename(directory)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do several things at the same time, each with a connection of its own; give the answers."""
    barrier = threading.Barrier(len(work))
    answers: list[Any] = []

    def do(one: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            answers.append(one())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=do, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(work)
    return answers


def send(client: Client, query: str = "", **fields: str) -> Any:
    """Send a message."""
    path = f"{CONTACT}message/{query}"
    return client.post(path, {"token": "made-up", "topic": "rent", "text": "Hello"} | fields)


def ask(client: Client, when: str = "2027-06-01T10:00:00+00:00", **fields: str) -> Any:
    """Ask to be rung back."""
    asked = {"topic": "rent", "number": "01632 960 001", "when": when}
    return client.post(f"{CONTACT}call-back/", asked | fields)


def begin(client: Client, text: str = "Good morning") -> Chat:
    """Begin a chat."""
    answer = client.post(f"{CONTACT}chat/", {"token": "made-up", "text": text})
    assert answer.status_code == 302
    return Chat.objects.get(reference=answer.headers["Location"].split("/")[-2])


def say(client: Client, chat: Chat, text: str, root: str = CONTACT, **fields: str) -> Any:
    """Write a line in a chat."""
    return client.post(
        f"{root}chats/{chat.reference}/", {"token": text[:20], "text": text} | fields
    )
