"""Every address of the three systems: who may open it, what it answers, how its parts are filled.

The addresses come from Django's URL map. One that `MAP` does not describe fails
``test_url_map.py``, which says what to write here.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import product
from typing import TYPE_CHECKING, Any

import council_world
import tenant_world
from council_payments.example_data import number
from django.urls import URLResolver, get_resolver, reverse
from landlord_portal.models import Property, Tenancy, ToDo
from portal_world import Template
from test_automation import as_user, recorded
from todo_answers import ANSWERS, CONFIRM, PROVIDE, answer_all, submit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from django.test import Client
    from portal_world import PortalWorld

    Things = Mapping[str, str]


class Kind(Enum):
    """What a GET is answered with, for those whom the address is for."""

    PAGE = auto()
    FILE = auto()
    LEADS_ON = auto()
    POST_ONLY = auto()


class Party(Enum):
    """Somebody that addresses are for."""

    LANDLORD = auto()
    BOT = auto()
    OFFICER = auto()
    ADMINISTRATOR = auto()
    COUNCIL = auto()
    TENANT = auto()
    STAFF = auto()
    STRANGER = auto()


LANDLORD, BOT, OFFICER, ADMINISTRATOR, COUNCIL, TENANT, STAFF, STRANGER = Party
EVERYBODY = tuple(Party)
SIGNED_IN = tuple(party for party in Party if party is not STRANGER)


@dataclass(frozen=True)
class Member:
    """One of those who try the addresses, on one of two sides that own the same sorts of things.

    Who is on no side owns nothing.
    """

    username: str | None
    parties: frozenset[Party]
    side: str | None = None
    sign_in: str = "sign_in"

    def __str__(self) -> str:
        """The name."""
        return self.username or "nobody"


FIRST, SECOND = "first", "second"
CAST = [
    Member("enid.example", frozenset({LANDLORD}), FIRST),
    Member("olive.madeup", frozenset({OFFICER}), FIRST),
    Member("Acme Homes Automation 1", frozenset({BOT}), FIRST),
    Member("nia.enghraifft", frozenset({LANDLORD, OFFICER}), SECOND),
    Member("Cartrefi Enghraifft Automation 1", frozenset({BOT}), SECOND),
    Member("portal.administrator", frozenset({ADMINISTRATOR})),
    Member(council_world.CASEY, frozenset({COUNCIL}), FIRST),
    Member(council_world.CADI, frozenset({COUNCIL}), SECOND),
    Member(tenant_world.TESSA, frozenset({TENANT}), FIRST),
    Member(tenant_world.TARAN, frozenset({TENANT}), SECOND),
    Member(tenant_world.STELLA, frozenset({STAFF})),
    Member(None, frozenset({STRANGER})),
]


@dataclass(frozen=True)
class Entry:
    """An address.

    ``who`` it is for. ``parts`` says with what each part of it is filled: with words, or with
    ``{thing}``, one of those that its side owns. ``sends`` is what its owner may POST so that
    something changes.
    """

    who: frozenset[Party]
    kind: Kind = Kind.PAGE
    parts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sends: Mapping[str, str] | None = None

    @property
    def owned(self) -> list[str]:
        """The parts that are ids of things that somebody owns."""
        return [part for part, values in self.parts.items() if values[0].startswith("{")]

    def is_for(self, member: Member, side: str) -> bool:
        """Whether a member may open the address with the ids of a side's things."""
        return bool(member.parties & self.who) and (not self.owned or member.side in (None, side))

    def fills(self, things: Things) -> Iterator[dict[str, str]]:
        """Give the parts, filled in every way."""
        for values in product(*self.parts.values()):
            yield {
                part: value.format_map(things)
                for part, value in zip(self.parts, values, strict=True)
            }

    def mixes(self, own: Things, other: Things) -> Iterator[dict[str, str]]:
        """Give the parts, filled with ids of things of both sides: together they are nobody's."""
        for chosen in product((own, other), repeat=len(self.owned)):
            if len({id(things) for things in chosen}) == 2:
                things = dict(zip(self.owned, chosen, strict=True))
                yield {
                    part: values[0].format_map(things.get(part, own))
                    for part, values in self.parts.items()
                }


def entry(
    *who: Party,
    kind: Kind = Kind.PAGE,
    sends: Mapping[str, str] | None = None,
    parts: Mapping[str, str | tuple[str, ...]] | None = None,
) -> Entry:
    """Return an entry."""
    several = {
        name: value if isinstance(value, tuple) else (value,)
        for name, value in (parts or {}).items()
    }
    return Entry(frozenset(who), kind, several, sends)


TODOS = ("provide_tenancy_details", "confirm_housing_costs")
REQUESTS = ("request_apa", "request_arrears_deduction", "request_more_frequent_payments")

LANDLORD_PORTAL = {
    "landing": entry(*SIGNED_IN, kind=Kind.LEADS_ON),
    "sign_in": entry(STRANGER),
    "sign_out": entry(*EVERYBODY),
    "welcome_back": entry(*SIGNED_IN),
    "updates": entry(LANDLORD, OFFICER, BOT),
    "todos": entry(LANDLORD, BOT),
    "todo": entry(LANDLORD, BOT, parts={"pk": "{todo}"}),
    "todo_page": entry(
        LANDLORD,
        BOT,
        parts={"pk": "{todo}", "slug": "tenant"},
        sends=ANSWERS[PROVIDE]["tenant"],
    ),
    "todo_check": entry(LANDLORD, BOT, parts={"pk": "{answered_todo}"}),
    "todo_done": entry(LANDLORD, BOT, parts={"pk": "{done_todo}"}),
    "tenants": entry(LANDLORD),
    "tenant": entry(LANDLORD, parts={"pk": "{tenancy}"}),
    "change_reference": entry(LANDLORD, parts={"pk": "{tenancy}"}, sends={"reference": "Made up"}),
    "make_request": entry(
        LANDLORD,
        parts={"pk": "{tenancy}", "kind": REQUESTS},
        sends={"reason": "Made up", "arrears": "12.34"},
    ),
    "payments": entry(LANDLORD),
    "properties": entry(LANDLORD),
    "add_property": entry(LANDLORD),
    "remove_property": entry(LANDLORD, parts={"pk": "{free_home}"}, sends={}),
    "users": entry(LANDLORD),
    "add_user": entry(LANDLORD),
    "change_roles": entry(LANDLORD, parts={"pk": "{colleague}"}, sends={"roles": "manage_users"}),
    "deactivate_user": entry(LANDLORD, parts={"pk": "{colleague}"}, sends={}),
    "notices": entry(ADMINISTRATOR),
    "publish_notice": entry(ADMINISTRATOR),
    "change_form": entry(ADMINISTRATOR),
    "compliance": entry(OFFICER),
    "decision": entry(OFFICER, parts={"index": "{decision}"}),
    "verify_log": entry(OFFICER),
    "compliance_report": entry(
        OFFICER, kind=Kind.FILE, parts={"days": ("30", "365"), "kind": ("html", "csv")}
    ),
    "automation": entry(OFFICER),
    "pause_all": entry(OFFICER),
    "pause": entry(OFFICER, parts={"account": "{account}"}, sends={"reason": "Made up"}),
    "resume_all": entry(OFFICER),
    "resume": entry(OFFICER, parts={"account": "{account}"}, sends={}),
    "record_test": entry(OFFICER, parts={"kind": TODOS}),
}

COUNCIL_SITE = {
    "council": entry(COUNCIL, kind=Kind.LEADS_ON),
    "council_sign_in": entry(STRANGER),
    "council_sign_out": entry(*EVERYBODY),
    "council_welcome_back": entry(*SIGNED_IN),
    "landlord_payments": entry(COUNCIL),
    "prove_landlord_payments": entry(COUNCIL),
    "creditor": entry(COUNCIL, parts={"proof": "{proof}"}),
    "creditor_payments": entry(COUNCIL, parts={"proof": "{proof}"}),
    "creditor_payment": entry(COUNCIL, parts={"proof": "{proof}", "number": "{council_payment}"}),
    "payment_schedule": entry(
        COUNCIL, kind=Kind.FILE, parts={"proof": "{proof}", "number": "{council_payment}"}
    ),
}

TENANT_SERVICES = {
    "my_home_sign_in": entry(STRANGER),
    "my_home_sign_out": entry(*EVERYBODY),
    "my_home_welcome_back": entry(*SIGNED_IN),
    "my_home": entry(TENANT),
    "profile": entry(TENANT),
    "rent": entry(TENANT),
    "repairs": entry(TENANT),
    "contact": entry(TENANT),
    "tenant_notices": entry(TENANT),
    "staff_notices": entry(STAFF),
    "staff_messages": entry(STAFF),
}

MAP: dict[str, Entry] = {
    "language": entry(*EVERYBODY, kind=Kind.LEADS_ON, parts={"code": ("en", "cy")}),
    **LANDLORD_PORTAL,
    **COUNCIL_SITE,
    **TENANT_SERVICES,
}
"""Every address by its name."""


def url_map(resolver: Any = None) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the name of every address of the portal, and its parts."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from url_map(pattern)
        else:
            yield pattern.name, frozenset(pattern.pattern.converters)


def addresses(side: Things, names: Mapping[str, Entry] = MAP) -> Iterator[tuple[str, Entry, str]]:
    """Give every address with the ids of a side's things: its name, its entry and a path."""
    for name, described in names.items():
        for parts in described.fills(side):
            yield name, described, reverse(name, kwargs=parts)


MORE_PAGES: list[tuple[Party, str]] = [
    (STRANGER, "/sign-in/?idle=1"),
    (LANDLORD, "/to-dos/{answered_todo}/tenancy/"),
    (LANDLORD, "/to-dos/{answered_todo}/rent/?change=1"),
    (LANDLORD, "/to-dos/{other_todo}/tenant/"),
    (LANDLORD, "/nowhere/"),
    (COUNCIL, "/council/nowhere/"),
    (TENANT, "/my-home/nowhere/"),
    (TENANT, "/my-home/staff/notices/"),
]
"""Pages that an address has beside the one in `MAP`, and those that say no."""


def reader(described: Entry, path: str) -> Member:
    """Return who opens a page to look at it: where everybody may, one of that system's users."""
    usual = {"/council/": COUNCIL, "/my-home/": TENANT}
    party = next((one for prefix, one in usual.items() if path.startswith(prefix)), LANDLORD)
    if party in described.who:
        return member(party)
    return next(one for one in CAST if described.is_for(one, FIRST))


def pages(side: Things) -> Iterator[tuple[Member, str]]:
    """Give every page of the first side's with somebody whom it is for."""
    for _name, described, path in addresses(side):
        if described.kind is Kind.PAGE:
            yield reader(described, path), path
    for party, path in MORE_PAGES:
        yield member(party), path.format_map(side)


# --- who signs in, and what they own --------------------------------------------------------


def client_of(portal: PortalWorld, member: Member, host: str = "localhost") -> Client:
    """Return a client in which a member is signed in, where such users sign in."""
    if member.parties & {COUNCIL}:
        return council_world.signed_in(portal, str(member.username), host)
    if member.parties & {TENANT, STAFF}:
        return tenant_world.signed_in(portal, str(member.username), host)
    return portal.client(member.username, host)


def member(party: Party, side: str = FIRST) -> Member:
    """Return the one of a party and a side."""
    return next(one for one in CAST if party in one.parties and one.side in (None, side))


@dataclass(frozen=True)
class Furnished:
    """A portal in which either side owns one of everything, to be copied; their ids by name."""

    template: Template
    things: dict[str, dict[str, str]]

    @classmethod
    def make(cls, template: Template, home: Path) -> Furnished:
        """Furnish a copy of the example data in ``home``."""
        with template.copy(home) as portal:
            things = make_things(portal)
        return cls(Template(home), things)


def make_things(portal: PortalWorld) -> dict[str, dict[str, str]]:
    """Make what either side owns and the example data lacks; return each side's ids by name."""
    nia = portal.user("nia.enghraifft")
    nia.is_compliance_officer = True
    nia.save()
    return {
        FIRST: _landlords(portal, "acme", FIRST) | _councils(portal, "7000123", FIRST),
        SECOND: _landlords(portal, "enghraifft", SECOND) | _councils(portal, "7000789", SECOND),
    }


COLLEAGUE = {
    "kind": "person",
    "full_name": "Mocky McColleague",
    "email": "colleague@people.example",
    "phone": "07700 900 982",
    "password": "made up at random 9",
    "roles": "view_payments",
}


def _landlords(portal: PortalWorld, landlord: str, side: str) -> dict[str, str]:
    client = portal.client(member(LANDLORD, side).username)
    bot = str(member(BOT, side).username)
    colleague = COLLEAGUE | {"username": f"colleague.{landlord}"}
    assert client.post("/users/add/", colleague).status_code == 302
    waiting = ToDo.objects.filter(tenancy__landlord_id=landlord, kind=PROVIDE.value)
    todo, answered, done = waiting[:3]
    for one in (answered, done):
        answer_all(client, one)
    assert submit(client, done).status_code == 302
    with as_user(portal, bot) as automation:
        assert automation.get("/to-dos/").status_code == 200
    [decision] = [
        index for index, leaf in enumerate(recorded()) if leaf.get("landlord") == landlord
    ][-1:]
    own = Tenancy.objects.filter(landlord_id=landlord)
    return {
        "todo": str(todo.pk),
        "answered_todo": str(answered.pk),
        "done_todo": str(done.pk),
        "other_todo": str(
            ToDo.objects.filter(tenancy__landlord_id=landlord, kind=CONFIRM.value)[0].pk
        ),
        "tenancy": str(own[0].pk),
        "free_home": str(Property.objects.filter(landlord_id=landlord, tenancies=None)[0].pk),
        "colleague": str(portal.user(colleague["username"]).pk),
        "decision": str(decision),
        "account": str(portal.user(bot).registry_id),
    }


def _councils(portal: PortalWorld, reference: str, side: str) -> dict[str, str]:
    client = client_of(portal, member(COUNCIL, side))
    if side == FIRST:
        council_world.prove(client, "7000456")  # so that there are several to choose from
    return {
        "proof": str(council_world.prove(client, reference)),
        "council_payment": number({"reference": reference}, 0),
    }


# --- what stands in the databases -----------------------------------------------------------

UNCOUNTED = {"django_session", "activity_counters"}
"""When a user was there last, and how much a bot did: the monitor counts a while afterwards."""


def tables(home: Path) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Give every table of every database of the portal's, with its rows."""
    for path in sorted(home.glob("*.sqlite3")):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            query = "SELECT name FROM sqlite_master WHERE type = 'table'"
            for (table,) in database.execute(query).fetchall():
                rows = database.execute(f'SELECT * FROM "{table}"')  # noqa: S608
                yield f"{path.stem}.{table}", rows.fetchall()


def snapshot(home: Path, *uncounted: str) -> dict[str, list[str]]:
    """Return every row of every database of the portal's, by table."""
    return {
        name: sorted(map(repr, rows))
        for name, rows in tables(home)
        if name.partition(".")[2] not in UNCOUNTED.union(uncounted)
    }


def changes(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> dict[str, object]:
    """Return what is in one snapshot and not in the other, by table."""
    return {
        table: set(before.get(table, [])) ^ set(after.get(table, []))
        for table in before.keys() | after.keys()
        if before.get(table) != after.get(table)
    }
