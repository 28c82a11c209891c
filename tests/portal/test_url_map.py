"""The whole URL map of the three systems, walked as a bot: exactly the allowed steps answer.

People and strangers are tried in ``test_foreign_ids.py``, and their pages in
``test_every_page.py``; all go by the entries of ``url_map.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from demo_portal.systems import system_at
from django.urls import reverse
from landlord_portal import navigation
from landlord_portal.automation import ROUTES
from landlord_portal.todos.forms import PAGES
from test_automation import METHODS, TOKEN, as_user, recorded
from url_map import (
    BOT,
    FIRST,
    MAP,
    SECOND,
    addresses,
    changes,
    member,
    snapshot,
    url_map,
)

from automation_rules.actions import AUTOMATION_ACTIONS
from automation_rules.enforcer import Step
from automation_rules.gateway import load_routes
from automation_rules.routes import Public

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portal_world import PortalWorld
    from url_map import Furnished

READ, SENT = {"GET", "HEAD"}, {"GET", "HEAD", "POST"}
ALLOWED = {
    "language": READ,
    "landing": READ,
    "sign_in": SENT,
    "sign_out": SENT,
    "welcome_back": READ,
    "updates": READ,
    "todos": READ,
    "todo": READ,
    "todo_page": SENT,
    "todo_check": SENT,
    "todo_done": READ,
}
"""All that is left to a bot, by the addresses' names. What is not here is denied."""

RECORDS = ("log_entries", "log_head", "envelopes", "subjects", "observations", "heads")
"""A denial is written down, and who is denied often is watched."""

ELSEWHERE = [
    "/nowhere/",
    "/tenants",
    "//tenants/",
    "/tenants//",
    "/%74enants/",
    "/to-dos/%2e%2e/tenants/",
    "/to-dos/1/nowhere/",
    "/TENANTS/",
    "/council",
    "/council/nowhere/",
    "/council/%2e%2e/to-dos/",
    "/my-home",
    "/my-home/nowhere/",
    "/my-home/%2e%2e/to-dos/",
    "/my-home//",
    "/static",
]
"""Addresses that are none, or none of those that they look like."""


@pytest.fixture
def portal(furnished: Furnished, tmp_path: Path) -> Iterator[PortalWorld]:
    """Give a portal in which each side owns one of everything."""
    with furnished.template.copy(tmp_path / "portal") as world:
        yield world


def test_every_address_has_its_entry() -> None:
    """A new address is walked only once somebody has said whose it is: this says so."""
    found = dict(url_map())
    missing = sorted(set(found) - set(MAP))
    assert not missing, (
        f"addresses without an entry in tests/portal/url_map.py: {missing}. Add entry(who may "
        "open it, kind=what a GET answers, parts={part: '{thing}' or words}, sends=what its "
        "owner may post), and make the thing for both sides in make_things"
    )
    assert sorted(set(MAP) - set(found)) == [], "entries in url_map.py without an address"
    for name, entry in MAP.items():
        assert set(entry.parts) == found[name], f"the parts of {name!r} in url_map.py"
    assert len(found) == len(list(url_map())), "two addresses have the same name"


def test_every_thing_that_is_owned_is_made_for_both_sides(furnished: Furnished) -> None:
    """Neither side's ids are the other's, so that trying one as the other means something."""
    first, second = furnished.things[FIRST], furnished.things[SECOND]
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] == second[name]] == []


def ask(bot: httpx.Client, method: str, path: str) -> httpx.Response:
    """Ask for an address as it is written, with what a form would send against forgery."""
    return bot.request(method, f"http://localhost{path}", headers={"X-CSRFToken": TOKEN})


def walked(furnished: Furnished) -> list[tuple[str, str]]:
    """Return every address with the ids of the bot's landlord, and every page of its to-dos."""
    found = [(name, path) for name, _entry, path in addresses(furnished.things[FIRST])]
    for thing in ("todo", "other_todo"):
        todo = furnished.things[FIRST][thing]
        found.append(("todo", reverse("todo", kwargs={"pk": todo})))
        slugs = {page.slug for pages in PAGES.values() for page in pages}
        for slug in sorted(slugs):
            found.append(("todo_page", reverse("todo_page", kwargs={"pk": todo, "slug": slug})))
    return found


def test_allowed_steps_are_those_of_the_terms(furnished: Furnished) -> None:
    """What is written down above is what the route table and the terms come to."""
    routes = load_routes(ROUTES)
    for name, path in walked(furnished):
        for method in METHODS:
            found = routes.match(method, path) if system_at(path) is navigation else None
            leads = found is Public.PUBLIC or (
                isinstance(found, Step) and found.action in AUTOMATION_ACTIONS
            )
            assert leads == (method in ALLOWED.get(name, ())), (method, path)


@pytest.mark.parametrize(
    ("number", "methods"),
    [
        (1, ["GET", "POST"]),
        pytest.param(1, METHODS, marks=pytest.mark.exhaustive),
        pytest.param(2, METHODS, marks=pytest.mark.exhaustive),
    ],
)
def test_bot_gets_exactly_the_allowed_steps(
    portal: PortalWorld, furnished: Furnished, number: int, methods: list[str]
) -> None:
    """Every address by every method: the rest is denied with its clause, recorded, not done.

    Then each of the allowed is tried, and the portal itself answers.
    """
    username = f"Acme Homes Automation {number}"
    asked = [(name, method, path) for name, path in walked(furnished) for method in methods]
    asked += [("", method, path) for path in ELSEWHERE for method in methods]
    allowed = {(method, path) for name, method, path in asked if method in ALLOWED.get(name, ())}
    with as_user(portal, username) as bot:
        session = dict(bot.cookies)
        before, already = snapshot(portal.home, *RECORDS), len(recorded())
        denied = 0
        for method, path in dict.fromkeys((method, path) for _name, method, path in asked):
            if (method, path) in allowed:
                continue
            denied += 1
            answer = ask(bot, method, path)
            assert answer.status_code == 403, (method, path)
            people_only = path.startswith(("/council/", "/my-home/"))
            if answer.content:
                clause = "demo.people-only" if people_only else "terms.housing-costs-only"
                assert clause in answer.text, (method, path)
            if not people_only:
                # Denials in quick succession would have the monitor pause the account.
                portal.clock.move_to(portal.clock.now() + timedelta(seconds=25))
        assert changes(before, snapshot(portal.home, *RECORDS)) == {}
        entries = recorded()[already:]
        assert len(entries) == denied > 300
        assert {entry["decision"] for entry in entries} == {False}
        assert {entry["account"] for entry in entries} == {f"acme-{number}"}
        leaving = ("POST", reverse("sign_out"))
        for method, path in [*sorted(allowed - {leaving}), leaving]:
            bot.cookies = httpx.Cookies(session)
            answer = ask(bot, method, path)
            assert answer.status_code in (200, 302, 404), (method, path)
            assert "X-Decision-Id" not in answer.headers, (method, path)
    assert {entry["decision"] for entry in recorded()[already + denied :]} == {True}


def test_bot_gets_at_no_other_landlords_to_do(portal: PortalWorld, furnished: Furnished) -> None:
    """Its steps are its own landlord's: another's to-do is denied, and stays as it is."""
    theirs = furnished.things[SECOND]
    with as_user(portal, str(member(BOT).username)) as bot:
        before = snapshot(portal.home, *RECORDS)
        for name, entry, path in addresses(theirs):
            if name in ALLOWED and entry.owned:
                for method in ("GET", "POST"):
                    answer = ask(bot, method, path)
                    assert answer.status_code in (403, 404, 405), (method, path)
        assert changes(before, snapshot(portal.home, *RECORDS)) == {}
