"""Every page that a person can open, without a browser: its frame, its links, its languages.

The pages come from ``url_map.py``, and so from Django's URL map.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import pytest
import set_up
from babel.messages.pofile import read_po
from django.urls import reverse
from landlord_portal.models import ROLE_NAMES
from lxml import html  # type: ignore[import-untyped]
from tenant_services.contact.guide import guide
from test_languages import words_of
from url_map import (
    CAST,
    COUNCIL,
    FIRST,
    STAFF,
    TENANT,
    client_of,
    pages,
    prepare,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.test import Client
    from portal_world import PortalWorld
    from url_map import Furnished, Member

LABELLED = "input[not(@type='hidden')] | //select | //textarea"

ALIKE = {"English", "Cymraeg", "landlord-portal 1"}
"""The languages' own names, and that of the policy that decided."""
OFFICES = {line for office in guide().offices for line in (office.en, office.cy, *office.address)}
NUMBER = re.compile(
    r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\w.-]+@[\w.-]+|https?://\S+"
)
"""A digest, an id, an e-mail address or a link."""


@pytest.fixture
def portal(furnished: Furnished, tmp_path: Path) -> Iterator[PortalWorld]:
    """Give a portal in which there is one of everything to look at."""
    with furnished.template.copy(tmp_path / "portal") as world:
        yield world


class Readers:
    """Opens pages as whoever they are for, in both languages."""

    def __init__(self, portal: PortalWorld) -> None:
        """Begin with nobody signed in."""
        self._portal = portal
        self._clients: dict[Member, Client] = {}

    def get(self, member: Member, path: str, lang: str = "en") -> Any:
        """Return the answer to a GET; where it only leads on, the answer there."""
        if member not in self._clients:
            self._clients[member] = client_of(self._portal, member)
        client = self._clients[member]
        prepare(self._portal, client, path)
        client.cookies["django_language"] = lang
        return client.get(path, follow=True)


@pytest.fixture
def readers(portal: PortalWorld) -> Readers:
    """Give the readers."""
    return Readers(portal)


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_every_page_has_its_frame(readers: Readers, furnished: Furnished, lang: str) -> None:
    """Language, title, one heading, labels, no id twice, nothing inline, nothing to be kept."""
    for member, path in pages(furnished.things[FIRST]):
        answer = readers.get(member, path, lang)
        assert answer.status_code == {True: 404, False: 200}["nowhere" in path] or (
            "staff" in path and answer.status_code == 403
        ), path
        page = html.fromstring(answer.content)
        assert page.get("lang") == lang, path
        assert len(page.xpath("//h1")) == 1, path
        [title] = page.xpath("//title/text()")
        assert re.fullmatch(r"\w.+ \u2013 .+", " ".join(title.split())), path
        for button in page.xpath("//form//button"):
            if re.match(
                r"(Yes, c|C)ancel|Withdraw|Deactivate|Remove", button.text_content().strip()
            ):
                assert re.search("--(warning|secondary)", button.get("class")), path
        ids = page.xpath("//@id")
        assert sorted(ids) == sorted(set(ids)), path
        for field in page.xpath(f"//{LABELLED}"):
            named = page.xpath(f"//label[@for='{field.get('id')}']") or field.get("aria-label")
            assert named, (path, html.tostring(field))
        for form in page.xpath("//form"):
            if form.get("method", "get").lower() == "post":
                assert form.xpath(".//input[@name='csrfmiddlewaretoken']"), path
        inline = page.xpath(
            "//script[not(@src)] | //style | //@style | //@*[starts-with(name(), 'on')]"
        )
        assert inline == [], path
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert "no-store" in answer.headers["Cache-Control"], path


def test_every_link_leads_somewhere(readers: Readers, furnished: Furnished) -> None:
    """Whatever a page links to is there, and for whoever sees the link."""
    dead, followed = set(), set()
    for member, path in pages(furnished.things[FIRST]):
        answer = readers.get(member, path)
        if answer.status_code >= 400:
            continue  # What it offers is for those whom it is for.
        here = answer.request["PATH_INFO"]
        page = html.fromstring(answer.content)
        for href in page.xpath(
            "//a/@href | //img/@src | //link/@href | //source/@src | //track/@src"
        ):
            target = urlsplit(urljoin(here, href))
            if target.scheme or target.netloc or href.startswith("#") or (member, href) in followed:
                if href.startswith("#"):
                    assert page.xpath(f"//*[@id='{href[1:]}']"), (path, href)
                continue
            followed.add((member, href))
            if target.path.startswith("/static/"):
                continue  # WhiteNoise serves these, in front of what a test client reaches.
            found = readers.get(member, f"{target.path}?{target.query}")
            if found.status_code != 200:
                dead.add((path, href, found.status_code))
            found.close()
    assert dead == set()
    assert len(followed) > 150


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_another_systems_refusal_leads_to_ones_own(readers: Readers, lang: str) -> None:
    """Whom a system is not for is told so in the frame of the own one, whose links all work."""
    refused = 0
    for member in CAST:
        own = None if member.username is None else home_of(readers, member, lang)
        for landing in ("landing", "council", "my_home") if own else ():
            page = readers.get(member, reverse(landing), lang)
            if page.status_code == 403:
                refused += 1
                assert frame_of(page) == own, (str(member), landing)
                for href in own[1:]:
                    assert readers.get(member, href, lang).status_code == 200, (str(member), href)
    assert refused == 2 * sum(member.username is not None for member in CAST)


def home_of(readers: Readers, member: Member, lang: str) -> list[str]:
    """Return the frame of the page where a member begins."""
    usual = {COUNCIL: "council", TENANT: "my_home", STAFF: "my_home"}
    [landing] = [usual[party] for party in member.parties & set(usual)] or ["landing"]
    answer = readers.get(member, reverse(landing), lang)
    assert answer.status_code == 200
    return frame_of(answer)


def frame_of(answer: Any) -> list[str]:
    """Return what the service is called on a page, and what the header's links lead to."""
    [header] = html.fromstring(answer.content).xpath("//header")
    [name] = header.xpath(".//*[contains(@class, '__service-name')]")
    return [name.text_content().strip(), *header.xpath(".//a/@href")]


def data(home: Path) -> set[str]:
    """Return every text in the portal's databases, whole and by its lines and parts."""
    found = {str(cell) for _name, rows in tables(home) for row in rows for cell in row}
    return found | {part for text in found for part in parts(text)}


def parts(text: str) -> list[str]:
    """Return what a text is put together from, where data stands beside words."""
    return [part.strip() for part in re.split(r"[\n,:;()\u2013]| - |\. ", text)]


def words(text: str, known: set[str]) -> str:
    """Return what is left of a text without data, numbers and addresses."""
    text = NUMBER.sub("", text)
    for one in sorted((one for one in known if len(one) > 4 and one in text), key=len)[::-1]:
        text = text.replace(one, "")
    return " ".join(part for part in parts(text) if part not in known)


def test_no_english_is_left_in_welsh(
    readers: Readers, furnished: Furnished, portal: PortalWorld
) -> None:
    """What a page says alike in both languages is data, or the same word in both."""
    with set_up.CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="cy")
    alike = {message.id for message in catalogue if message.id == message.string}
    known = alike | data(portal.home) | ALIKE | OFFICES | set(ROLE_NAMES.values())
    left = {}
    for member, path in pages(furnished.things[FIRST]):
        said = [
            words_of(html.fromstring(readers.get(member, path, lang).content))
            for lang in ("en", "cy")
        ]
        both = set.intersection(*said) - known
        english = {text for text in both if re.search("[a-z]{3}", words(text, known))}
        if english:
            left[path] = english
    assert left == {}
