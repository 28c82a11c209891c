"""Ways to reach a person: what tenants send, and what staff do with it."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connections
from lxml import html  # type: ignore[import-untyped]
from tenant_services.contact.guide import guide
from tenant_services.contact.models import (
    AtChat,
    CallBack,
    Chat,
    ChatLine,
    Enquiry,
    EnquiryAnswer,
)
from tenant_services.models import StaffAccount, TenantAccount
from tenant_world import HOME, STELLA, TARAN, TARANS, TESSA, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client
    from portal_world import PortalWorld

CONTACT = "/my-home/contact/"
STAFF = "/my-home/staff/messages/"
HOSTILE = "<script>alert(1)</script>\r\n=1+1\r\nŵŷâ " + "long" * 400
TENANT_PAGES = [
    "",
    "choose/",
    "choose/rent/",
    "choose/rent/pay/",
    "choose/rent/pay/chat/",
    "choose/repairs/danger/",
    "offices/",
    "message/",
    "messages/",
    "messages/B4CK7F2H/",
    "call-back/",
    "chat/",
]
STAFF_PAGES = ["", "B4CK7F2H/", "calls/", "chats/"]


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


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_every_page_opens(portal: PortalWorld, lang: str) -> None:
    """Each page of the pillar answers in each language."""
    for username, pages, root in [(TESSA, TENANT_PAGES, CONTACT), (STELLA, STAFF_PAGES, STAFF)]:
        client = signed_in(portal, username)
        client.cookies["django_language"] = lang
        for page in pages:
            tree = page_of(client.get(f"{root}{page}"))
            assert tree.get("lang") == lang
            assert len(tree.xpath("//h1")) == 1, page
