"""Fill an empty portal, and the rules' state, with made-up landlords, people and to-dos."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from council_payments import example_data as council
from demo_portal import clock
from django.core.management.base import BaseCommand
from django.db import transaction
from tenant_services import example_data as tenants

from automation_rules import Role, TodoKind
from automation_rules import accounts as registered
from automation_rules.store import KnownForm
from automation_rules.vault import WrappingKey, key_path

from ...library import registry, store
from ...models import (
    Frequency,
    Landlord,
    Notice,
    Payment,
    Phone,
    Property,
    Tenancy,
    Tenant,
    ToDo,
    User,
)
from ...todos.forms import fingerprint

if TYPE_CHECKING:
    from argparse import ArgumentParser

PASSWORD = "only for the demonstration"
EVERY_ROLE = [role.value for role in Role]
LANDLORDS = [
    {
        "landlord": {"id": "acme", "name": "Acme Homes", "nation": "england-and-wales"},
        "town": ("Exampleton", "EX99 9{letters}"),
        "people": [
            ("enid.example", "Enid Example", "officer-7", EVERY_ROLE, {}),
            (
                "sam.sampleson",
                "Sam Sampleson",
                "officer-8",
                ["complete_todos", "view_payments"],
                {},
            ),
            ("olive.madeup", "Olive Madeup", "officer-9", [], {"is_compliance_officer": True}),
        ],
        "accounts": [
            ("Acme Homes Automation 1", "automation1@acme.example", "acme-1"),
            ("Acme Homes Automation 2", "automation2@acme.example", "acme-2"),
        ],
    },
    {
        "landlord": {"id": "enghraifft", "name": "Cartrefi Enghraifft", "nation": None},
        "town": ("Trefesiampl", "LL99 9{letters}"),
        "people": [
            ("nia.enghraifft", "Nia Enghraifft", "swyddog-1", EVERY_ROLE, {}),
        ],
        "accounts": [
            (
                "Cartrefi Enghraifft Automation 1",
                "automation1@enghraifft.example",
                "enghraifft-1",
            ),
        ],
    },
]
FIRST_NAMES = ["Testy", "Samply", "Mocky", "Dummy", "Fictitia", "Placeholda", "Fauxine", "Pretendo"]
LAST_NAMES = [
    "McSample",
    "Testington",
    "ap Enghraifft",
    "O'Mock",
    "von Dummy",
    "Madeupson",
    "Fakely",
]
STREETS = ["Sample Street", "Stryd Enghraifft", "Placeholder Road", "Mock Lane", "Fictional Close"]
KINDS = list(TodoKind)[:2]


class Command(BaseCommand):
    """The command."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how many to-dos each landlord is to have."""
        parser.add_argument("--todos", type=int, default=24, help="to-dos of each landlord")

    def handle(self, *, todos: int, **_named: Any) -> None:
        """Fill the portal, unless that was done before."""
        if Landlord.objects.exists():
            self.stdout.write("There is example data already; nothing was changed.")
            return
        state = store().path
        if state is not None and not key_path(state).exists():
            WrappingKey.create(key_path(state))
        with transaction.atomic():
            administrator = _add_user(
                "portal.administrator", "Ada Ministrator", is_administrator=True
            )
            Phone.objects.create(
                user=administrator, holder=administrator, name="default", number="+44 7700 900999"
            )
            for number, entry in enumerate(LANDLORDS):
                _add_landlord(number, entry, todos)
            _add_notice()
            council.add(_add_user_with_phone)
            tenants.add(_add_user_with_phone)
        self.stdout.write(f"Users, each with the password {PASSWORD!r}:")
        for user in User.objects.order_by("pk"):
            self.stdout.write(f"  {user.username}: {', '.join(user.role_names) or user.kind}")


def _add_user(username: str, full_name: str, **fields: Any) -> User:
    fields.setdefault("email", f"{username}@people.example")
    return User.objects.create_user(username, PASSWORD, full_name=full_name, **fields)


def _add_user_with_phone(username: str, full_name: str, **fields: Any) -> User:
    """Add a user of another system."""
    user = _add_user(username, full_name, **fields)
    number = f"+44 7700 9003{user.pk:02d}"
    Phone.objects.create(user=user, holder=user, name="default", number=number)
    return user


def _add_landlord(number: int, entry: dict[str, Any], todos: int) -> None:
    known = registry()
    known.add_landlord(
        registered.Landlord(
            **entry["landlord"],
            declared_on=clock.today() - timedelta(days=150),
            partnership_manager="North West partnership manager",
        )
    )
    landlord = Landlord.objects.create(id=entry["landlord"]["id"], name=entry["landlord"]["name"])
    holder = None
    for index, (username, name, person_id, roles, duties) in enumerate(entry["people"]):
        known.add_person(registered.Person(person_id, landlord.id, name))
        user = _add_user(
            username, name, landlord=landlord, registry_id=person_id, roles=roles, **duties
        )
        holder = holder or user
        Phone.objects.create(
            user=user, holder=user, name="default", number=f"+44 7700 9001{number}{index}"
        )
    for index, (username, email, account_id) in enumerate(entry["accounts"]):
        kind = KINDS[index].value
        known.add_account(
            registered.AutomationAccount(account_id, landlord.id, username, email, todo_kind=kind)
        )
        user = _add_user(
            username,
            username,
            email=email,
            landlord=landlord,
            kind=User.Kind.AUTOMATION,
            registry_id=account_id,
            roles=[Role.COMPLETE_TODOS.value],
        )
        Phone.objects.create(
            user=user, holder=holder, name="default", number=f"+44 7700 9002{number}{index}"
        )
    for kind in KINDS:
        tested_on = clock.today() - timedelta(days=30)
        known.record_tested_form(KnownForm(landlord.id, kind.value, fingerprint(kind), tested_on))
    _add_tenancies(landlord, *entry["town"], todos)


def _add_tenancies(landlord: Landlord, town: str, postcode: str, todos: int) -> None:
    """Give the landlord a tenancy to each to-do, every third a couple's, and an empty home."""
    today = clock.today()
    tenants = Tenant.objects.bulk_create(
        Tenant(
            name=f"{FIRST_NAMES[n % 8]} {LAST_NAMES[n % 7]}",
            born_on=today.replace(day=1, month=n % 12 + 1, year=1950 + n % 50),
        )
        for n in range(todos * 2)
    )
    homes = Property.objects.bulk_create(
        Property(
            landlord=landlord,
            address=f"{n + 1} {STREETS[n % 5]}",
            town=town,
            postcode=postcode.format(letters=f"{chr(65 + n % 26)}{chr(65 + n // 26 % 26)}"),
        )
        for n in range(todos + 1)
    )
    tenancies = Tenancy.objects.bulk_create(
        _tenancy(landlord, homes, tenants, n) for n in range(todos)
    )
    ToDo.objects.bulk_create(
        ToDo(
            tenancy=tenancy,
            kind=KINDS[n % 2].value,
            created_on=today - timedelta(days=3),
            due_on=today + timedelta(days=4 + n % 10),
        )
        for n, tenancy in enumerate(tenancies)
    )
    Payment.objects.bulk_create(
        Payment(
            tenancy=tenancy,
            amount=Decimal("437.50") + n,
            paid_on=today - timedelta(days=30 * month + n % 7),
            period_from=today - timedelta(days=30 * (month + 1)),
            period_to=today - timedelta(days=30 * month + 1),
        )
        for n, tenancy in enumerate(tenancies[:40])
        if tenancy.rent
        for month in range(3)
    )


def _tenancy(landlord: Landlord, homes: list[Property], tenants: list[Tenant], n: int) -> Tenancy:
    """Return a new tenancy, or, for the annual change, one whose rent is known."""
    made = Tenancy(
        landlord=landlord,
        home=homes[n],
        claimant=tenants[2 * n],
        second_claimant=tenants[2 * n + 1] if n % 3 == 2 else None,
        claimed_on=clock.today() - timedelta(days=10 + n % 20),
    )
    if KINDS[n % 2] is TodoKind.CONFIRM_HOUSING_COSTS:
        made.claimed_on -= timedelta(days=400)
        made.reference = f"{landlord.id.upper()}-{n:05d}"
        made.rent = Decimal("98.76") + n % 40
        made.rent_frequency = Frequency.WEEKLY if n % 4 == 1 else Frequency.MONTHLY
        made.service_charge = Decimal("7.89")
        made.service_charge_frequency = made.rent_frequency
    return made


def _add_notice() -> None:
    Notice.objects.create(
        release="R164",
        title_en="Annual Rent Changes information page",
        title_cy="Tudalen wybodaeth Newidiadau Rhent Blynyddol",
        body_en="There is a new page about confirming annual rent changes. No form has changed.",
        body_cy="Mae tudalen newydd am gadarnhau newidiadau rhent blynyddol. "
        "Nid oes unrhyw ffurflen wedi newid.",
        published_at=clock.now() - timedelta(days=2),
        effective_on=clock.today() - timedelta(days=2),
    )
