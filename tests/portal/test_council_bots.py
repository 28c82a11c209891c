"""Bots at the council's pages: a small policy of its own keeps them out, by the same gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from council_payments import urls
from council_world import CASEY, prove, signed_in
from lxml import html  # type: ignore[import-untyped]
from test_automation import as_user, recorded, said, visitor

if TYPE_CHECKING:
    from portal_world import PortalWorld

BOT = "Acme Homes Automation 1"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def addresses() -> list[str]:
    """Return every address of the council's, with made-up parts."""
    return [
        "/council/" + str(entry.pattern).replace("<int:proof>", "1").replace("<str:number>", "1")
        for entry in urls.urlpatterns
    ]


def test_no_step_of_a_bots_is_let_through(portal: PortalWorld) -> None:
    """Whatever the address and the method, known or not, the clause says no, and it is recorded."""
    tried = [*addresses(), "/council/nowhere/", "/council/%2e%2e/to-dos/", "/council//"]
    with as_user(portal, BOT) as client:
        before = len(recorded())
        answers = [client.request(method, path) for path in tried for method in METHODS]
    assert {answer.status_code for answer in answers} == {403}
    problem = next(answer for answer in answers if answer.content).json()
    assert "demo.people-only" in str(problem)
    assert "for people" in str(problem)
    entries = recorded()[before:]
    assert len(entries) == len(answers)
    assert all("demo.people-only" in str(entry) or "people_only" in str(entry) for entry in entries)


@pytest.mark.parametrize(
    ("lang", "words"), [("en", "This service is for people"), ("cy", "Gwasanaeth i bobl yw hwn")]
)
def test_refusal_is_in_the_language_that_was_chosen(
    portal: PortalWorld, lang: str, words: str
) -> None:
    """A bot's keeper reads the clause and what to do."""
    with as_user(portal, BOT, lang=lang, accept="text/html") as client:
        answer = client.get("/council/")
    page = html.fromstring(answer.content)
    assert page.get("lang") == lang
    assert words in page.text_content()
    assert "demo.people-only" in page.text_content()


def test_the_landlord_portal_keeps_its_own_terms(portal: PortalWorld) -> None:
    """There the same bot is decided about by the published terms, and may open its list."""
    with as_user(portal, BOT) as client:
        denied = client.get("/payments/")
        assert said(denied) is not None
        assert "demo.people-only" not in denied.text
        assert "demo.people-only" not in client.get("/to-dos/").text


def test_people_are_untouched_and_unlogged(portal: PortalWorld) -> None:
    """A person gets the pages through the gateway as without it, and none of it is recorded."""
    client = signed_in(portal, CASEY)
    proof = prove(client)
    before = len(recorded())
    with visitor(client.cookies["sessionid"].value) as person:
        answer = person.get(f"/council/landlord-payments/{proof}/")
        assert answer.status_code == 200
        assert "X-Decision-Id" not in answer.headers
    assert len(recorded()) == before
