"""User management, and what the terms say of automation accounts there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from landlord_portal.library import registry
from landlord_portal.models import Phone, User

from automation_rules.accounts import AccountStatus

if TYPE_CHECKING:
    from portal_world import PortalWorld

MANAGER = "nia.enghraifft"
SECOND: dict[str, Any] = {
    "kind": "automation",
    "full_name": "",
    "username": "Cartrefi Enghraifft Automation 2",
    "email": "automation2@enghraifft.example",
    "phone": "07700 900 982",
    "password": "made up at random 9",
    "roles": ["complete_todos"],
}
"""A second automation account, which the terms allow."""
COLLEAGUE = SECOND | {
    "kind": "person",
    "full_name": "Gwen Ddychmygol",
    "username": "gwen.ddychmygol",
    "email": "gwen@people.example",
    "roles": ["view_payments", "manage_users"],
}


def add(portal: PortalWorld, user: dict[str, Any], lang: str = "en", by: str = MANAGER) -> str:
    """Send the form; return the page that comes of it, or ``""`` when the user was added."""
    client = portal.client(by)
    client.cookies["django_language"] = lang
    answer = client.post("/users/add/", user)
    return "" if answer.status_code == 302 else answer.content.decode()


def test_second_automation_account_is_added(portal: PortalWorld) -> None:
    """The portal and the registry both know it, and it can sign in with its code."""
    assert add(portal, SECOND) == ""
    user = portal.user(SECOND["username"])
    account = registry().account(user.account_id)
    assert (account.landlord_id, account.username) == ("enghraifft", SECOND["username"])
    assert account.roles == {"complete_todos"}
    portal.sign_in(client := portal.client(), user.username)
    assert client.get("/updates/").status_code == 302  # another password than the others'
    portal.give_password(client, user.username, SECOND["password"])
    portal.give_code(client)
    assert client.get("/updates/").status_code == 200
    entry = registry().facts(user.account_id, portal.clock.now()).code_entry
    assert entry is not None
    assert entry.provided_by == "swyddog-1"


def test_person_is_added(portal: PortalWorld) -> None:
    """The portal has the roles chosen, and the registry a person who may type in codes."""
    assert add(portal, COLLEAGUE) == ""
    user = portal.user(COLLEAGUE["username"])
    assert user.role_names == ["Manage users", "View payments"]
    assert registry().person("enghraifft", user.registry_id).name == "Gwen Ddychmygol"
    assert Phone.objects.get(user=user).holder == user


def refused(portal: PortalWorld, user: dict[str, Any], *clauses: str, by: str = MANAGER) -> None:
    """See that nothing was added, and that both languages cite the clauses."""
    before = User.objects.count(), [a.id for a in registry().accounts("enghraifft")]
    for lang in ("en", "cy"):
        page = add(portal, user, lang, by)
        assert ("Error: " if lang == "en" else "Gwall: ") in page
        for clause in clauses:
            assert clause in page
    assert before == (User.objects.count(), [a.id for a in registry().accounts("enghraifft")])


def test_third_automation_account_is_refused(portal: PortalWorld) -> None:
    """A landlord that has two is told of the limit and its clauses."""
    third = SECOND | {"username": "Acme Homes Automation 3", "email": "automation3@acme.example"}
    refused(portal, third, "step-2.limit", "terms.limit", by="enid.example")


@pytest.mark.parametrize(
    "roles", [[], ["view_payments"], ["complete_todos", "provide_tenancy_details"]]
)
def test_other_roles_than_the_one_are_refused(portal: PortalWorld, roles: list[str]) -> None:
    """An automation account has 'Complete to-dos' and nothing else."""
    refused(portal, SECOND | {"roles": roles}, "step-2.role", "terms.role")


@pytest.mark.parametrize(
    "change",
    [
        {"username": "Robot 7"},
        {"username": "Automation 2"},
        {"email": "nia@enghraifft.example"},
    ],
)
def test_unidentifiable_names_are_refused(portal: PortalWorld, change: dict[str, str]) -> None:
    """The user name names the landlord and says automation, the address says automation."""
    refused(portal, SECOND | change, "step-2.identify")


def test_everything_wrong_is_said_at_once(portal: PortalWorld) -> None:
    """A third, unidentifiable account with an extra role gets all the clauses on one page."""
    worst = SECOND | {"username": "Robot", "roles": ["complete_todos", "manage_users"]}
    refused(portal, worst, "step-2.limit", "step-2.role", "step-2.identify", by="enid.example")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("kind", "", "Select who will use the account"),
        ("kind", "landlord", "Select one of the answers"),
        ("full_name", "", "Enter the person&#39;s full name"),
        ("username", "enid.example", "This user name is taken"),
        ("email", "nobody", "Enter an email address, like"),
        ("phone", "12", "Enter a mobile phone number, like"),
        ("password", "short", "at least 12 characters"),
        ("password", "1q2w3e4r5t6y", "hard to guess"),
    ],
)
def test_wrong_fields_are_named(portal: PortalWorld, field: str, value: str, said: str) -> None:
    """Each says what to do, and nothing is added."""
    before = User.objects.count()
    assert said in add(portal, COLLEAGUE | {field: value})
    assert User.objects.count() == before


def test_what_the_registry_refuses_is_not_half_added(portal: PortalWorld) -> None:
    """A name that the registry cannot keep leaves no user behind."""
    before = User.objects.count()
    assert "did not take the user" in add(portal, COLLEAGUE | {"full_name": "Gwen\x07Ddychmygol"})
    assert User.objects.count() == before


def change_roles(portal: PortalWorld, username: str, roles: list[str], by: str) -> str:
    """Send the form; return the page that comes of it, or ``""`` when it was done."""
    address = f"/users/{portal.user(username).pk}/roles/"
    answer = portal.client(by).post(address, {"roles": roles})
    return "" if answer.status_code == 302 else answer.content.decode()


def test_extra_role_on_an_automation_account_is_refused(portal: PortalWorld) -> None:
    """The account keeps its one role, in the portal and in the registry."""
    bot = "Acme Homes Automation 1"
    page = change_roles(portal, bot, ["complete_todos", "view_payments"], "enid.example")
    assert "terms.role" in page
    assert portal.user(bot).roles == ["complete_todos"]
    assert registry().account("acme-1").roles == {"complete_todos"}


def test_persons_roles_are_changed(portal: PortalWorld) -> None:
    """The page they could not open opens at once."""
    sam = portal.client("sam.sampleson")
    assert sam.get("/properties/").status_code == 403
    roles = ["add_or_remove_properties"]
    assert change_roles(portal, "sam.sampleson", roles, "enid.example") == ""
    assert sam.get("/properties/").status_code == 200
    assert sam.get("/payments/").status_code == 403


def test_deactivated_automation_account_makes_room(portal: PortalWorld) -> None:
    """It is out at once and counts no more, so that another may take its place."""
    bot = portal.client("Acme Homes Automation 1")
    manager = portal.client("enid.example")
    pk = portal.user("Acme Homes Automation 1").pk
    assert manager.post(f"/users/{pk}/deactivate/").status_code == 302
    assert bot.get("/updates/").status_code == 302
    assert registry().account("acme-1").status is AccountStatus.DEACTIVATED
    third = SECOND | {"username": "Acme Homes Automation 3", "email": "automation3@acme.example"}
    assert add(portal, third, by="enid.example") == ""
