"""A page that fails says so once, in the user's language, and takes nothing along."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from pay_world import text_of
from tenant_world import signed_in

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
