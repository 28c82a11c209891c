"""Nobody sees or changes anything of anybody else's, whichever id stands in whichever address."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from demo_portal.systems import system_at
from django.urls import get_resolver, reverse
from url_map import (
    BOT,
    CAST,
    FIRST,
    MAP,
    SECOND,
    STRANGER,
    Kind,
    addresses,
    changes,
    client_of,
    prepare,
    snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from portal_world import PortalWorld
    from url_map import Furnished, Member

SIDES = [FIRST, pytest.param(SECOND, marks=pytest.mark.exhaustive)]
OTHER = {FIRST: SECOND, SECOND: FIRST}
NOT_THERE = {
    "int": "99999999",
    "str": "not-there",
    "slug": "not-there",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
REFUSALS = {403, 404, 405}


@pytest.fixture
def portal(furnished: Furnished, tmp_path: Path) -> Iterator[PortalWorld]:
    """Give a portal in which each side owns one of everything."""
    with furnished.template.copy(tmp_path / "portal") as world:
        yield world


@pytest.fixture
def things(furnished: Furnished) -> dict[str, dict[str, str]]:
    """Give the ids of what each side owns."""
    return furnished.things


def said(answer: Any, path: str) -> str:
    """Return what an answer says, but for the address that was asked for."""
    text = answer.content.decode()
    for written in (path, path.replace("/", "%2F")):
        text = text.replace(written, "")
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", text)


def forbidden(
    member: Member, things: dict[str, dict[str, str]], *, thorough: bool
) -> Iterator[tuple[str, dict[str, str]]]:
    """Give every path with ids that a member must not get at, and what its owner could send.

    Whom an address is not for at all, ids make no difference to: one of each is enough, but for
    who is ``thorough``.
    """
    for name, entry in MAP.items():
        for side in (FIRST, SECOND):
            found: list[dict[str, str]] = []
            enough = None if thorough or member.parties & entry.who else int(side == FIRST)
            # What strangers may open, whoever has the link may.
            if STRANGER not in entry.who and not entry.is_for(member, side):
                found += islice(entry.fills(things[side]), enough)
            if member.parties & entry.who:
                found += entry.mixes(things[side], things[OTHER[side]])
            for parts in found:
                yield reverse(name, kwargs=parts), entry.sent(things[side])


def refused(answer: Any, member: Member, path: str) -> bool:
    """Whether an answer gives nothing away."""
    if STRANGER in member.parties and answer.status_code == 302:
        sign_in = reverse(system_at(path).SIGN_IN)
        return str(answer.headers["Location"]).startswith(f"{sign_in}?")
    if answer.request["REQUEST_METHOD"] == "OPTIONS" and not answer.content:
        return True  # It says which methods there are, whatever the id.
    return answer.status_code in REFUSALS


OTHER_METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.mark.parametrize("thorough", [False, pytest.param(True, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("member", CAST, ids=str)
def test_nothing_of_anybody_elses_is_shown_or_changed(
    portal: PortalWorld, things: dict[str, dict[str, str]], member: Member, thorough: bool
) -> None:
    """Every address with every foreign id, read and sent to: refused, and no row is touched."""
    client = client_of(portal, member)
    before = snapshot(portal.home)
    wrong, tried = [], 0
    for path, sent in forbidden(member, things, thorough=thorough):
        answers = [client.get(path), client.post(path, sent)]
        if thorough:
            answers += [client.get(path, {"shown": "999", "page": "1"}), client.post(path)]
            answers += [client.generic(method, path) for method in OTHER_METHODS]
        for answer in answers:
            tried += 1
            if not refused(answer, member, path):
                wrong.append((answer.request["REQUEST_METHOD"], path, answer.status_code))
    assert wrong == []
    assert changes(before, snapshot(portal.home)) == {}
    assert tried > 80


@pytest.mark.parametrize("member", [one for one in CAST if one.side], ids=str)
def test_foreign_id_is_answered_as_one_that_does_not_exist(
    portal: PortalWorld, things: dict[str, dict[str, str]], member: Member
) -> None:
    """To those whom such pages are for, somebody else's thing is not even there."""
    client = client_of(portal, member)
    converters = dict(_converters(get_resolver()))
    theirs = things[OTHER[str(member.side)]]
    for name, entry in MAP.items():
        if not entry.owned or STRANGER in entry.who or not member.parties & entry.who:
            continue
        for parts in entry.fills(theirs):
            nobodys = parts | {part: NOT_THERE[converters[name, part]] for part in entry.owned}
            found = []
            for chosen in (parts, nobodys):
                path = reverse(name, kwargs=chosen)
                for answer in (client.get(path), client.post(path, entry.sent(theirs))):
                    found.append((answer.status_code, said(answer, path)))
            assert found[:2] == found[2:], name
            assert 404 in {status for status, _page in found}, name


SECRETS = {
    FIRST: {"Tessa", "1 Sample Court", "Garage 7", "ACME-0", "Enid", "acme-1", "7000456"},
    SECOND: {"Taran", "Llys Enghraifft", "ENGHRAIFFT-0", "Nia ", "enghraifft-1", "7000789"},
}
"""Words that stand in what one side owns, and in nothing that the other may see."""


@pytest.mark.parametrize("side", SIDES)
def test_own_pages_show_nothing_of_the_other_sides(
    portal: PortalWorld, things: dict[str, dict[str, str]], side: str
) -> None:
    """Lists, overviews and files of one's own have no word and no id of the other side's."""
    other = things[OTHER[side]]
    secrets = SECRETS[OTHER[side]] | {
        value for name, value in other.items() if len(value) > 5 and name != "visit"
    }
    shown, looked = [], 0
    for member in CAST:
        if member.side != side:
            continue
        client = client_of(portal, member)
        for _name, entry, path in addresses(things[side]):
            if STRANGER in entry.who or not entry.is_for(member, side):
                continue
            prepare(portal, client, path)
            answer = client.get(path, {"shown": "999"}, follow=True)
            text = answer.getvalue().decode(errors="replace")
            answer.close()
            looked += 1
            shown += [(path, str(member), secret) for secret in secrets if secret in text]
    assert shown == []
    assert looked > 100


def _converters(resolver: Any) -> Iterator[tuple[tuple[str, str], str]]:
    """Give the kind of every part of every address."""
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            yield from _converters(pattern)
        else:
            for kind, part in re.findall(r"<([a-z]+):([a-z0-9_]+)>", str(pattern.pattern)):
                yield (pattern.name, part), kind


@pytest.mark.parametrize("side", SIDES)
def test_owners_get_at_their_own(
    portal: PortalWorld, things: dict[str, dict[str, str]], side: str
) -> None:
    """What is refused to others is there, and what they send would change something."""
    clients: dict[Member, Any] = {}
    for name, entry, path in addresses(things[side]):
        for member in CAST:
            if member.side not in (side, None) or not entry.is_for(member, side):
                continue
            # A client that signed out, or was deactivated, is of no more use.
            client = clients.get(member) or client_of(portal, member)
            clients[member] = client
            prepare(portal, client, path)
            answer = client.get(path)
            expected = {Kind.LEADS_ON: {302}, Kind.POST_ONLY: {405}}.get(entry.kind, {200})
            if entry.kind is not Kind.LEADS_ON and answer.status_code == 302:
                answer = client.get(answer.headers["Location"])
            assert answer.status_code in expected, (name, str(member), answer.status_code)
            answer.close()
            if entry.sends is not None and BOT not in member.parties:
                before = snapshot(portal.home)
                assert client.post(path, entry.sent(things[side])).status_code == 302, (
                    name,
                    str(member),
                )
                assert changes(before, snapshot(portal.home)), (name, str(member))
