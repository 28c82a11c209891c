"""Every page answers to those it is for, and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from demo_portal.systems import system_at
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from automation_rules import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portal_world import PortalWorld

PAGES = {
    "/updates/": None,
    "/tenants/": Role.PROVIDE_TENANCY_DETAILS,
    "/tenants/{tenancy}/": Role.PROVIDE_TENANCY_DETAILS,
    "/tenants/{tenancy}/reference/": Role.PROVIDE_TENANCY_DETAILS,
    "/tenants/{tenancy}/requests/request_apa/": Role.PROVIDE_TENANCY_DETAILS,
    "/tenants/{tenancy}/requests/request_arrears_deduction/": Role.PROVIDE_TENANCY_DETAILS,
    "/tenants/{tenancy}/requests/request_more_frequent_payments/": Role.PROVIDE_TENANCY_DETAILS,
    "/payments/": Role.VIEW_PAYMENTS,
    "/properties/": Role.ADD_OR_REMOVE_PROPERTIES,
    "/properties/add/": Role.ADD_OR_REMOVE_PROPERTIES,
    "/properties/{free}/remove/": Role.ADD_OR_REMOVE_PROPERTIES,
    "/users/": Role.MANAGE_USERS,
    "/users/add/": Role.MANAGE_USERS,
    "/users/{user}/roles/": Role.MANAGE_USERS,
    "/users/{user}/deactivate/": Role.MANAGE_USERS,
}
"""The landlords' pages and the role that each asks for."""

GUARDED = [path for path, role in PAGES.items() if role is not None]
ADMINISTRATION = ["/notices/", "/notices/publish/", "/notices/form/"]
OPEN = {
    "sign_in",
    "sign_out",
    "language",
    "council_sign_in",
    "council_sign_out",
    "my_home_sign_in",
    "my_home_sign_out",
    "register",
    "register_contact",
    "register_code",
    "register_email",
    "register_confirm",
    "register_not_opened",
    "forgotten_password",
    "forgotten_password_sent",
    "new_password",
}
"""The only pages for strangers."""
PARTS = {
    "int": "1",
    "str": "1",
    "slug": "1",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "day": "2027-04-01",
}
"""What is made up for each kind of part that addresses have."""


def give_roles(portal: PortalWorld, username: str, roles: set[Role]) -> Client:
    """Return a client of that user, who holds these roles."""
    user = portal.user(username)
    user.roles = [role.value for role in roles]
    user.save()
    return portal.client(username)


@pytest.mark.parametrize("path", PAGES)
def test_role_opens_its_pages(portal: PortalWorld, path: str) -> None:
    """Whoever holds just the page's role gets it; the two about payments go together."""
    role = PAGES[path]
    client = give_roles(portal, "sam.sampleson", {role} if role else set())
    assert client.get(portal.fill(path)).status_code == 200


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", GUARDED)
def test_other_roles_do_not_open_it(portal: PortalWorld, path: str, method: str) -> None:
    """Whoever holds every role but the page's is refused, in the portal's own layout."""
    client = give_roles(portal, "sam.sampleson", set(Role) - {PAGES[path]})
    answer = getattr(client, method)(portal.fill(path))
    assert answer.status_code == 403
    assert "You cannot use this page" in answer.content.decode()


@pytest.mark.parametrize("path", GUARDED)
def test_automation_is_refused_whatever_roles_it_has(portal: PortalWorld, path: str) -> None:
    """Pages for people alone stay shut to a bot that was given every role."""
    client = give_roles(portal, "Acme Homes Automation 1", set(Role))
    assert client.get(portal.fill(path)).status_code == 403


@pytest.mark.parametrize("path", ADMINISTRATION)
def test_administration_is_for_administrators(portal: PortalWorld, path: str) -> None:
    """No landlord's user gets there, whatever roles they hold."""
    assert portal.client("portal.administrator").get(path).status_code == 200
    assert give_roles(portal, "sam.sampleson", set(Role)).get(path).status_code == 403


@pytest.mark.parametrize("path", PAGES)
def test_administrators_see_nothing_of_a_landlord(portal: PortalWorld, path: str) -> None:
    """Who runs the portal has no landlord, and no landlord's pages."""
    assert portal.client("portal.administrator").get(portal.fill(path)).status_code == 403


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", [path for path in PAGES if "{" in path])
def test_other_landlords_things_are_not_there(portal: PortalWorld, path: str, method: str) -> None:
    """Another landlord's id in an address is a page that does not exist."""
    client = portal.client("enid.example")
    answer = getattr(client, method)(portal.fill(path, "enghraifft"))
    assert answer.status_code == (
        405 if method == "post" and path == "/tenants/{tenancy}/" else 404
    )


@pytest.mark.parametrize("path", ["/tenants/", "/payments/", "/properties/", "/users/"])
def test_lists_show_the_landlords_own_alone(portal: PortalWorld, path: str) -> None:
    """Nothing of one landlord's stands in another's lists."""
    mine = portal.client("enid.example").get(path, {"shown": "999"}).content.decode()
    theirs = portal.client("nia.enghraifft").get(path, {"shown": "999"}).content.decode()
    assert "LL99" not in mine
    assert "ENGHRAIFFT-" not in mine
    assert "Automation 2" not in theirs
    assert "EX99" not in theirs
    assert "ACME-" not in theirs


def patterns(resolver: Any, prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    """Give every address that the portal has, with made-up parts."""
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from patterns(entry, path)
        else:
            for converter in entry.pattern.converters:
                for kind, part in PARTS.items():
                    path = path.replace(f"<{kind}:{converter}>", part)
            yield path, entry


def test_every_other_page_asks_to_sign_in(portal: PortalWorld) -> None:
    """Strangers get the pages named as open, and are sent to sign in by every other."""
    client = portal.client()
    asked = []
    for path, pattern in patterns(get_resolver()):
        if pattern.name not in OPEN:
            answer = client.get(path)
            assert answer.status_code == 302, path
            sign_in = reverse(system_at(path).SIGN_IN)
            assert answer.headers["Location"].startswith(f"{sign_in}?next="), path
            asked.append(path)
    assert len(asked) > 15


def test_each_system_says_for_itself_whose_a_page_is(portal: PortalWorld) -> None:
    """Who may not use a page reads what to do there, not what another system would advise."""
    client = portal.client("enid.example")
    said = {path: client.get(path).content.decode() for path in ("/council/", "/my-home/")}
    said["/notices/"] = client.get("/notices/").content.decode()
    advice = {path: "Manage users&#39; role" in text for path, text in said.items()}
    assert advice == {"/council/": False, "/my-home/": False, "/notices/": True}


def test_every_form_wants_its_token(portal: PortalWorld) -> None:
    """No address takes a POST that another site could have made a browser send."""
    strict = Client(enforce_csrf_checks=True, HTTP_HOST="localhost")
    strict.cookies = portal.client("enid.example").cookies
    for path, _ in patterns(get_resolver()):
        answer = strict.post(path)
        assert answer.status_code in (403, 405), path
        if answer.status_code == 403:
            assert b"Your page is out of date" in answer.content, path


@pytest.mark.parametrize(("lang", "words"), [("en", "Page not found"), ("cy", "Heb ddod o hyd")])
def test_missing_page_is_in_the_layout_and_language(
    portal: PortalWorld, lang: str, words: str
) -> None:
    """An address that leads nowhere says so, as every other page would."""
    client = portal.client("enid.example")
    client.cookies["django_language"] = lang
    answer = client.get("/tenants/999999/")
    assert answer.status_code == 404
    assert words in answer.content.decode()
    assert f'lang="{lang}"' in answer.content.decode()


def test_failure_shows_nothing_of_its_cause(
    portal: PortalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is a plain page that says sorry."""

    def broken(*_args: object) -> None:
        raise RuntimeError("of Testy McSample")

    monkeypatch.setattr("landlord_portal.updates.Updates.get_queryset", broken)
    client = portal.client("enid.example")
    client.raise_request_exception = False
    answer = client.get("/updates/")
    assert answer.status_code == 500
    assert b"Sorry, there is a problem" in answer.content
    assert b"McSample" not in answer.content
