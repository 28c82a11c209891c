"""A page that fails says so once, in the user's language, and takes nothing along."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.db import connection
from lxml import html  # type: ignore[import-untyped]
from pay_world import text_of
from tenant_world import STELLA, TESSA, signed_in

if TYPE_CHECKING:
    from portal_world import PortalWorld

CHOICE = "/my-home/rent/how-we-send-statements/"
SAVED = {"en": "Your choice is saved", "cy": "Mae eich dewis wedi"}
SAID = {
    "en": (
        "Sorry, there is a problem with the service",
        "If you sent or paid something, check whether it went through before you do it again.",
    ),
    "cy": (
        "ddrwg gennym, mae problem gyda",
        "talu rhywbeth, gwiriwch a aeth drwodd cyn gwneud hynny eto.",
    ),
}


@pytest.mark.parametrize("lang", ["en", "cy"])
@pytest.mark.parametrize("broken", ["tenant_services_statementchoice", "django_session"])
def test_failure_is_said_once(
    portal: PortalWorld, caplog: pytest.LogCaptureFixture, lang: str, broken: str
) -> None:
    """Whether the page or the session fails; a message that waits is shown by the next page."""
    client = signed_in(portal)
    client.cookies["django_language"] = lang
    client.raise_request_exception = False
    assert client.post(CHOICE, {"sent": "digital"}).status_code == 302
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {broken} RENAME TO elsewhere")
    with caplog.at_level(logging.ERROR):
        failed = client.post(CHOICE, {"sent": "paper"})
    assert failed.status_code == 500
    said = text_of(failed)
    assert all(text in said for text in SAID[lang])
    assert SAVED[lang] not in said
    assert [record.name for record in caplog.records] == ["django.request"]
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE elsewhere RENAME TO {broken}")
    assert SAVED[lang] in client.get("/my-home/rent/").content.decode()


@pytest.mark.parametrize("lang", ["en", "cy"])
@pytest.mark.parametrize(
    ("username", "sent", "home"),
    [
        (STELLA, ("get", "/my-home/staff/messages/chats/here/"), "/my-home/"),
        (TESSA, ("get", "/my-home/your-details/email/cancel/"), "/my-home/"),
        ("enid.example", ("delete", "/payments/"), "/"),
        ("enid.example", ("post", "/tenants/"), "/"),
        (None, ("post", "/language/cy"), "/sign-in/"),
    ],
)
def test_refused_method_has_a_page_whose_links_work(
    portal: PortalWorld, lang: str, username: str | None, sent: tuple[str, str], home: str
) -> None:
    """The answer says which methods there are; the other language does not lead there again."""
    client = signed_in(portal, username) if "@" in str(username) else portal.client(username)
    client.cookies["django_language"] = lang
    method, path = sent
    answer = getattr(client, method)(path)
    assert answer.status_code == 405
    allowed = answer["Allow"].split(", ")
    assert method.upper() not in allowed
    assert "OPTIONS" in allowed or "HEAD" in allowed
    assert "no-store" in answer["Cache-Control"]
    said = {"en": "This page cannot be opened like this", "cy": "Ni ellir agor y dudalen hon fel"}
    assert said[lang] in text_of(answer)
    assert language_link(answer).endswith(f"?next={quote(home)}")
    assert client.get(language_link(answer), follow=True).status_code == 200


def test_language_of_an_error_page(portal: PortalWorld) -> None:
    """The other language leads to the same page again, if that is what was opened."""
    client = portal.client("enid.example")
    assert language_link(client.get("/nowhere/?a=b")).endswith("?next=/nowhere/%3Fa%3Db")
    assert language_link(client.post("/nowhere/")).endswith("?next=/")


def language_link(answer: Any) -> str:
    """Return where a page's link to the other language leads."""
    [link] = html.fromstring(answer.content).xpath("//nav[@class='demo-languages']/a/@href")
    return str(link)
