"""Every address of the three systems: who may open it, what it answers, how its parts are filled.

The addresses come from Django's URL map. One that `MAP` does not describe fails
``test_url_map.py``, which says what to write here.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import count, product
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import urlsplit
from uuid import uuid4

import booking_world
import council_world
import repairs_world
import tenant_world
from council_payments.example_data import number
from demo_portal import clock
from django.test import override_settings
from django.urls import Resolver404, URLResolver, get_resolver, resolve, reverse
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import Property, Tenancy, ToDo, User
from portal_world import Template
from tenant_services.contact.guide import WayName, guide
from tenant_services.contact.models import Chat, TenantNotice
from tenant_services.models import TenantAccount
from tenant_services.payments.models import Entry as LedgerEntry
from tenant_services.payments.pay_models import CardPayment
from tenant_services.repairs.booking import written
from tenant_services.repairs.diagnosis import diagnosis
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
    something changes, filled in the same way.
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

    def sent(self, things: Things) -> dict[str, str]:
        """Return what its owner may POST."""
        return {name: value.format_map(things) for name, value in (self.sends or {}).items()}

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

PROFILE = {
    "my_home_sign_in": entry(STRANGER),
    "my_home_sign_out": entry(*EVERYBODY),
    "my_home_welcome_back": entry(*SIGNED_IN),
    "my_home": entry(TENANT, STAFF),
    "tenancy": entry(TENANT, parts={"tenancy": "{home}"}),
    "tenancy_document": entry(TENANT, kind=Kind.FILE, parts={"tenancy": "{home}", "number": "1"}),
    "register": entry(STRANGER),
    "register_contact": entry(STRANGER),
    "register_code": entry(STRANGER),
    "register_email": entry(STRANGER),
    "register_confirm": entry(STRANGER, parts={"token": "{registering}"}),
    "register_not_opened": entry(STRANGER),
    "forgotten_password": entry(*EVERYBODY),
    "forgotten_password_sent": entry(*EVERYBODY),
    "new_password": entry(*EVERYBODY, parts={"uidb64": "{person}", "token": "{forgetting}"}),
    "profile": entry(TENANT),
    "change_telephone": entry(TENANT),
    "confirm_telephone": entry(TENANT),
    "change_email": entry(TENANT),
    "confirm_email": entry(TENANT, parts={"token": "{changing_email}"}, sends={}),
    "cancel_change": entry(TENANT, kind=Kind.POST_ONLY, parts={"kind": ("telephone", "email")}),
}

DAYS = {"first": "2027-04-01", "last": "2027-05-31"}
OF_HOME = {"tenancy": "{home}"}
PAYMENTS = {
    "rent": entry(TENANT),
    "choose_statements": entry(TENANT),
    "rent_account": entry(TENANT, parts=OF_HOME),
    "rent_history": entry(TENANT, kind=Kind.FILE, parts=OF_HOME),
    "rent_charge": entry(TENANT, parts=OF_HOME | {"entry": "{charge}"}),
    "ask_for_statement": entry(TENANT, parts=OF_HOME),
    "rent_statement": entry(TENANT, parts=OF_HOME | DAYS),
    "rent_statement_csv": entry(TENANT, kind=Kind.FILE, parts=OF_HOME | DAYS),
    "rent_statement_pdf": entry(TENANT, kind=Kind.FILE, parts=OF_HOME | DAYS),
    "card_payments": entry(TENANT),
    "card_payment": entry(TENANT, parts={"payment": ("{paid}", "{unpaid}")}),
    "continue_card_payment": entry(TENANT, kind=Kind.POST_ONLY, parts={"payment": "{unpaid}"}),
    "cancel_card_payment": entry(TENANT, kind=Kind.POST_ONLY, parts={"payment": "{unpaid}"}),
    "pay_rent": entry(TENANT, parts=OF_HOME, sends={"amount": "12.34"}),
}

OF_REPORT, OF_JOB = {"report": "{report}"}, {"number": "{job}"}
TO_BOOK, OF_VISIT = {"number": "{to_book}"}, {"number": "{visited}"}
REPAIRS = {
    "repairs": entry(TENANT),
    "all_repairs": entry(
        TENANT,
        parts={"whose": ("your-home", "your-building"), "stage": ("new", "upcoming", "past")},
    ),
    "repair_emergencies": entry(TENANT),
    "repair_emergency": entry(
        TENANT, parts={"slug": tuple(one.slug for one in diagnosis().emergencies)}
    ),
    "repair_self_helps": entry(TENANT),
    "repair_self_help": entry(
        TENANT, parts={"slug": tuple(one.slug for one in diagnosis().self_helps)}
    ),
    "report_repair": entry(TENANT),
    "report_description": entry(TENANT, parts=OF_REPORT, sends={"words": "Made up"}),
    "report_detail": entry(TENANT, parts=OF_REPORT),
    "report_problem": entry(TENANT, parts=OF_REPORT),
    "report_location": entry(TENANT, parts=OF_REPORT, sends={"answer": "bathroom"}),
    "report_home": entry(TENANT, parts=OF_REPORT),
    "report_check": entry(TENANT, parts={"report": "{described}"}),
    "reported": entry(TENANT, parts={"report": "{reported}"}),
    "repair": entry(TENANT, parts=OF_JOB),
    "cancel_repair": entry(TENANT, parts=OF_JOB, sends={}),
    "repair_appointment": entry(TENANT, parts=OF_VISIT),
    "book_repair": entry(TENANT, parts=TO_BOOK),
    "change_appointment": entry(TENANT, parts=OF_VISIT),
    "check_appointment": entry(TENANT, parts=TO_BOOK),
    "appointment_file": entry(TENANT, kind=Kind.FILE, parts=OF_VISIT),
    "cancel_appointment": entry(TENANT, parts=OF_VISIT, sends={"before": "{visit}"}),
}

WAYS = get_args(WayName)
TOPICS = tuple(topic.slug for topic in guide().topics)
OF_MESSAGE, OF_CHAT = {"reference": "{message}"}, {"reference": "{chat}"}
CONTACT = {
    "contact": entry(TENANT),
    "choose_channel": entry(TENANT),
    "choose_kind": entry(TENANT, parts={"topic": TOPICS}),
    "choose_way": entry(TENANT, parts={"topic": "rent", "kind": "pay"}),
    "channel_chosen": entry(TENANT, parts={"topic": "rent", "kind": "pay", "way": WAYS}),
    "offices": entry(TENANT),
    "write_message": entry(TENANT),
    "your_messages": entry(TENANT),
    "your_message": entry(TENANT, parts=OF_MESSAGE),
    "ask_for_call": entry(TENANT),
    "cancel_call": entry(TENANT, parts={"reference": "{call}"}, sends={}),
    "chat": entry(TENANT, parts=OF_CHAT, sends={"text": "Made up"}),
    "tenant_notices": entry(TENANT),
    "tenant_notice": entry(TENANT, parts={"pk": "{notice}"}),
    "staff_notices": entry(STAFF),
    "publish_to_tenants": entry(STAFF),
    "plan_downtime": entry(STAFF),
    "staff_messages": entry(STAFF),
    "staff_calls": entry(STAFF),
    "called": entry(STAFF, kind=Kind.POST_ONLY, parts={"reference": "{other_call}"}, sends={}),
    "staff_chats": entry(STAFF),
    "be_there": entry(STAFF, kind=Kind.POST_ONLY),
    "staff_chat": entry(STAFF, parts=OF_CHAT, sends={"text": "Made up too"}),
    "staff_message": entry(STAFF, parts=OF_MESSAGE, sends={"text": "Made up"}),
    # What ends something comes last.
    "end_chat": entry(TENANT, kind=Kind.POST_ONLY, parts=OF_CHAT, sends={}),
    "begin_chat": entry(TENANT),
    "staff_end_chat": entry(STAFF, kind=Kind.POST_ONLY, parts=OF_CHAT),
    "close_message": entry(STAFF, kind=Kind.POST_ONLY, parts=OF_MESSAGE, sends={}),
    "withdraw_notice": entry(STAFF, parts={"pk": "{notice}"}, sends={}),
}

MAP: dict[str, Entry] = {
    "language": entry(*EVERYBODY, kind=Kind.LEADS_ON, parts={"code": ("en", "cy")}),
    **LANDLORD_PORTAL,
    **COUNCIL_SITE,
    **PROFILE,
    **PAYMENTS,
    **REPAIRS,
    **CONTACT,
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
    (TENANT, "/my-home/contact/choose/repairs/danger/"),
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
    found = {
        FIRST: _landlords(portal, "acme", FIRST) | _councils(portal, "7000123", FIRST),
        SECOND: _landlords(portal, "enghraifft", SECOND) | _councils(portal, "7000789", SECOND),
    }
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"):
        outbox = tenant_world.Outbox()
        for side, home in ((FIRST, tenant_world.HOME), (SECOND, tenant_world.TARANS)):
            found[side] |= (
                _profiles(portal, home, side, outbox)
                | _accounts(home, side)
                | _contacts(client_of(portal, member(TENANT, side)), side)
                | _repairs(client_of(portal, member(TENANT, side)), home, side)
            )
    return found


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


def _profiles(portal: PortalWorld, home: str, side: str, outbox: Any) -> dict[str, str]:
    """Make the links that e-mails lead to: each counts for whom it was sent to."""
    tenant = member(TENANT, side)
    client, stranger = client_of(portal, tenant), portal.client()
    address = f"{side}@people.example"
    new = {"value": f"new.{address}", "password": PASSWORD}
    assert client.post("/my-home/your-details/email/", new).status_code == 302
    changing = outbox.link(f"new.{address}")
    # Of somebody who does not sign in meanwhile: the link would count no more.
    forgetful = f"forgetful.{address}"
    user = User.objects.create_user(forgetful, PASSWORD, full_name="Forgetful", email=forgetful)
    TenantAccount.objects.create(user=user, person=f"forgetful-{side}")
    sent = stranger.post("/my-home/forgotten-password/", {"email": forgetful})
    assert sent.status_code == 302
    forgetting = outbox.link(forgetful)
    _register(portal, stranger, "register_email", address)
    return {
        "home": home,
        "changing_email": changing.split("/")[-2],
        "person": forgetting.split("/")[-3],
        "forgetting": forgetting.split("/")[-2],
        "registering": outbox.link(address).split("/")[-2],
    }


def _accounts(home: str, side: str) -> dict[str, str]:
    charges = LedgerEntry.objects.filter(tenancy=home, kind=LedgerEntry.Kind.CHARGE)
    account = TenantAccount.objects.get(user__username=member(TENANT, side).username)
    payments = {
        name: CardPayment.objects.create(
            account=account,
            tenancy=home,
            pence=1234,
            form=uuid4(),
            language="en",
            return_url="http://localhost/",
            state=state,
            created_at=clock.now(),
        )
        for name, state in (("paid", CardPayment.State.PAID), ("unpaid", CardPayment.State.OPEN))
    }
    return {"charge": str(charges.latest("pk").pk)} | {
        name: str(payment.pk) for name, payment in payments.items()
    }


def _repairs(client: Client, home: str, side: str) -> dict[str, str]:
    drips = repairs_world.DRIPS
    visited = booking_world.report(tenancy=home)
    visit = booking_world.booked(visited, place=int(side == SECOND))
    check = repairs_world.describe(client, home, drips)
    reported = repairs_world.send(client, repairs_world.describe(client, home, drips))
    return {
        "report": repairs_world.walk(client, home, drips).split("/")[-3],
        "described": check.split("/")[-3],
        "reported": reported.split("/")[-3],
        "job": repairs_world.report(client, home, drips),
        "to_book": booking_world.report(tenancy=home).number,
        "visited": visited.number,
        "visit": written(visit),
    }


def _contacts(client: Client, side: str) -> dict[str, str]:
    root, said = "/my-home/contact/", {"topic": "rent", "text": f"Made up by {side}"}
    message = client.post(f"{root}message/", said)
    chat = client.post(f"{root}chat/", {"text": f"Made up by {side}"})
    found = re.findall(r'<option value="([^"]+)"', client.get(f"{root}call-back/").text)
    for when in [when for when in found if when][:2]:
        call = {"topic": "rent", "number": "01632 960 001", "when": when}
        assert client.post(f"{root}call-back/", call).status_code == 302
    account = TenantAccount.objects.get(user__username=member(TENANT, side).username)
    first, other = account.call_backs.order_by("starts_at")
    notices = {FIRST: "Garage doors in Mock Lane", SECOND: "Coffee morning at Llys Enghraifft"}
    return {
        "message": message.headers["Location"].split("/")[-2],
        "chat": chat.headers["Location"].split("/")[-2],
        "call": first.reference,
        "other_call": other.reference,
        "notice": str(TenantNotice.objects.get(title_en=notices[side]).pk),
    }


# --- what a page needs besides its address --------------------------------------------------


def _register(portal: PortalWorld, client: Client, name: str, address: str = "") -> None:
    """Go on with opening an account as far as a page of it."""
    assert tenant_world.begin(client).status_code == 302
    email = address or f"una.{next(_numbers)}@people.example"
    if name == "register_code":
        contact = tenant_world.contacts(email=email)
        assert client.post("/my-home/register/contact/", contact).status_code == 302
    if name == "register_email":
        assert tenant_world.confirm_telephone(portal, client, email=email).status_code == 302


_numbers = count(1)


def _change_telephone(client: Client) -> None:
    new = {"value": f"07700 900 {next(_numbers):03}", "password": PASSWORD}
    assert client.post("/my-home/your-details/telephone/", new).status_code == 302


def _choose_slot(client: Client, number: str) -> None:
    path = reverse("book_repair", kwargs={"number": number})
    [slot, *_others] = re.findall(r'name="slot"[^>]* value="([^"]+)"', client.get(path).text)
    assert client.post(path, {"slot": slot}).status_code == 302


@override_settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend")
def prepare(portal: PortalWorld, client: Client, path: str) -> None:
    """Do what has to come before a page in the same session."""
    try:
        found = resolve(urlsplit(path).path)
    except Resolver404:
        return
    name = str(found.url_name)
    if name in ("register_contact", "register_code", "register_email"):
        _register(portal, client, name)
    if name == "confirm_telephone":
        _change_telephone(client)
    if name == "begin_chat":
        Chat.objects.filter(ended_at=None).update(ended_at=clock.now())
    if name == "check_appointment":
        _choose_slot(client, found.kwargs["number"])


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
