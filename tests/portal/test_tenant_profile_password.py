"""A forgotten password: whose can be changed, by which link, how often, and what is given away."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from council_world import CASEY
from django.core.mail.backends.locmem import EmailBackend
from django.db import connections
from django.test import Client
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import User
from lxml import html  # type: ignore[import-untyped]
from tenant_services.profile.forgotten import SENT_A_DAY
from tenant_services.profile.models import Change
from tenant_world import (
    STELLA,
    TARAN,
    TESSA,
    UNA,
    give_code,
    give_password,
    outbox,
    signed_in,
)

if TYPE_CHECKING:
    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]

FORGOTTEN = "/my-home/forgotten-password/"
SIGN_IN = "/my-home/sign-in/"
NEW = "another horse that nobody rides"


def ask(client: Client, email: str = TESSA) -> Any:
    """Ask for the link."""
    return client.post(FORGOTTEN, {"email": email})


def choose(client: Client, link: str, password: str = NEW) -> Any:
    """Open the link and choose a password."""
    opened = client.get(link)
    if opened.status_code != 302:
        return opened
    return client.post(opened.headers["Location"], {"new_password": password})


def can_sign_in(portal: PortalWorld, username: str, password: str) -> bool:
    """Whether the password is right."""
    client = portal.client()
    give_password(client, username, password)
    return bool(give_code(portal, client).status_code == 302)


@pytest.mark.parametrize("username", [TESSA, STELLA])
def test_link_changes_the_password(portal: PortalWorld, outbox: Outbox, username: str) -> None:
    """A tenant or somebody of the staff chooses another, and the old one lets nobody in."""
    client = portal.client()
    assert ask(client, f" {username.upper()} ").headers["Location"] == f"{FORGOTTEN}sent/"
    assert client.get(f"{FORGOTTEN}sent/").status_code == 200
    assert choose(client, outbox.link(username)).headers["Location"] == SIGN_IN
    assert can_sign_in(portal, username, NEW)
    assert not can_sign_in(portal, username, PASSWORD)
    [told] = [message for message in outbox.to(username) if "was changed" in message.subject]
    assert "gyfrinair newydd" in told.body


def test_link_is_no_way_round_the_code(portal: PortalWorld, outbox: Outbox) -> None:
    """Who controls the address alone has changed the password, and is still not signed in."""
    client = portal.client()
    ask(client)
    choose(client, outbox.link())
    assert client.get("/my-home/").headers["Location"].startswith(SIGN_IN)
    give_password(client, TESSA, NEW)
    assert client.get("/my-home/").headers["Location"].startswith(SIGN_IN)
    assert portal.messages[-1][0] == "+44 7700 900401"


def test_no_address_shows_the_token(portal: PortalWorld, outbox: Outbox) -> None:
    """The page with the form stands at an address that is of use to nobody else."""
    client = portal.client()
    ask(client)
    link = outbox.link()
    address = client.get(link).headers["Location"]
    assert link.rstrip("/").rpartition("/")[2] not in address
    assert client.get(address).status_code == 200
    assert portal.client().get(address).status_code == 404


def test_every_other_session_ends(portal: PortalWorld, outbox: Outbox) -> None:
    """Whoever is signed in with the old password is signed out, wherever they are."""
    others = [signed_in(portal), signed_in(portal)]
    tarans = signed_in(portal, TARAN)
    ask(portal.client())
    choose(portal.client(), outbox.link())
    for other in others:
        assert other.get("/my-home/").headers["Location"].startswith(SIGN_IN)
    assert tarans.get("/my-home/").status_code == 200


def test_changes_that_were_begun_end_too(portal: PortalWorld, outbox: Outbox) -> None:
    """Who knew the old password does not get the account by a change that waits."""
    thief = signed_in(portal)
    thief.post(
        "/my-home/your-details/email/", {"value": "thief@elsewhere.example", "password": PASSWORD}
    )
    assert Change.objects.exists()
    ask(portal.client())
    choose(portal.client(), outbox.link(TESSA))
    assert not Change.objects.exists()


def test_link_is_used_once(portal: PortalWorld, outbox: Outbox) -> None:
    """Neither the link nor the page that it led to changes the password a second time."""
    client, other = portal.client(), portal.client()
    ask(client)
    link = outbox.link()
    page = other.get(link).headers["Location"]
    assert choose(client, link).status_code == 302
    for answer in (
        client.get(link),
        other.get(page),
        other.post(page, {"new_password": "a third horse altogether"}),
    ):
        assert answer.status_code == 404
        assert "does not work any more" in answer.content.decode()
        for onward in ("/my-home/sign-in/", FORGOTTEN):
            assert f'href="{onward}">If' in answer.content.decode()
    assert User.objects.get(username=TESSA).check_password(NEW)


def test_link_that_many_use_at_once_is_used_once(portal: PortalWorld, outbox: Outbox) -> None:
    """Of several who send a password with one link at the same moment, one changes it."""
    ask(portal.client())
    link = outbox.link()
    clients = [Client(HTTP_HOST="localhost") for _ in range(4)]
    pages = [client.get(link).headers["Location"] for client in clients]
    answered: dict[int, int] = {}

    def use(n: int) -> None:
        try:
            sent = {"new_password": f"horse number {n} of four"}
            answered[n] = clients[n].post(pages[n], sent).status_code
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answered.values()) == [302, 404, 404, 404]
    [winner] = [n for n, status in answered.items() if status == 302]
    assert User.objects.get(username=TESSA).check_password(f"horse number {winner} of four")


def test_link_lasts_an_hour_by_the_portals_clock(portal: PortalWorld, outbox: Outbox) -> None:
    """An hour later it is of no use, also for a page that is open already."""
    client = portal.client()
    ask(client)
    link = outbox.link()
    portal.clock.move_to(portal.clock.now() + timedelta(minutes=59))
    page = client.get(link).headers["Location"]
    assert client.get(page).status_code == 200
    portal.clock.move_to(portal.clock.now() + timedelta(minutes=2))
    assert client.get(link).status_code == 404
    assert client.post(page, {"new_password": NEW}).status_code == 404
    assert User.objects.get(username=TESSA).check_password(PASSWORD)


def test_older_links_die_when_the_user_signs_in(portal: PortalWorld, outbox: Outbox) -> None:
    """Who remembers the password after all leaves no link behind."""
    ask(portal.client())
    link = outbox.link()
    signed_in(portal)
    assert portal.client().get(link).status_code == 404


@pytest.mark.parametrize(
    "link",
    ["MQ/x-y/", "MQ/set-password/", "x/set-password/", "%00/%00/", "OTk5OTk5OTk5OTk5OTk5OTk5/a-b/"],
)
def test_links_that_are_made_up_change_nothing(portal: PortalWorld, link: str) -> None:
    """The page says that the link does not work; it never fails."""
    for send in (portal.client().get, portal.client().post):
        assert send(f"{FORGOTTEN}{link}").status_code == 404


def test_link_of_one_is_none_of_another(portal: PortalWorld, outbox: Outbox) -> None:
    """A token with somebody else's number in the address is of no use."""
    ask(portal.client())
    ask(portal.client(), TARAN)
    mine, theirs = outbox.link(TESSA).split("/"), outbox.link(TARAN).split("/")
    mixed = "/".join([*mine[:-3], theirs[-3], *mine[-2:]])
    assert portal.client().get(mixed).status_code == 404


STRANGERS = [UNA, "enid.example@people.example", CASEY, "automation1@acme.example", "x@y.example"]


def test_page_does_not_tell_who_has_an_account(portal: PortalWorld, outbox: Outbox) -> None:
    """Whoever asks, for whatever address, gets the same answer; one e-mail goes to the address."""
    answers = set()
    for address in [TESSA, *STRANGERS]:
        answer = ask(portal.client(), address)
        answers.add((answer.status_code, answer.headers["Location"], answer.content))
        [told] = outbox.to(address)
        assert ("forgotten-password" in told.body) == (address == TESSA)
    assert len(answers) == 1


@pytest.mark.parametrize("username", ["enid.example", "automation1@acme.example", CASEY])
def test_users_of_other_systems_have_no_password_here(
    portal: PortalWorld, outbox: Outbox, username: str
) -> None:
    """Landlords, the council's users and bots are nobody here, even with the right address."""
    user = User.objects.filter(username=username).first() or User.objects.get(email=username)
    User.objects.filter(pk=user.pk).update(username="someone@people.example")
    ask(portal.client(), "someone@people.example")
    [told] = outbox.sent
    assert "There is no account with it" in told.body


def test_deactivated_user_gets_no_link(portal: PortalWorld, outbox: Outbox) -> None:
    """Nobody comes back by a link who was put out; a link that was sent before dies."""
    ask(portal.client())
    link = outbox.link()
    User.objects.filter(username=TESSA).update(is_active=False)
    ask(portal.client())
    assert "There is no account with it" in outbox.sent[-1].body
    assert portal.client().get(link).status_code == 404


def test_nobodys_inbox_is_filled(portal: PortalWorld, outbox: Outbox) -> None:
    """After a few in a day no more are sent, and the page does not say so."""
    answers = {ask(portal.client()).headers["Location"] for _ in range(SENT_A_DAY + 3)}
    assert answers == {f"{FORGOTTEN}sent/"}
    assert len(outbox.sent) == SENT_A_DAY
    portal.clock.move_to(portal.clock.now() + timedelta(hours=24, seconds=1))
    ask(portal.client())
    assert len(outbox.sent) == SENT_A_DAY + 1


def test_new_password_ends_a_lock(portal: PortalWorld, outbox: Outbox) -> None:
    """Who guessed at their own password too often need not wait when they have a new one."""
    client = portal.client()
    for _ in range(6):
        locked = give_password(client, TESSA, "a wrong guess")
    assert locked.status_code == 429
    ask(client)
    choose(client, outbox.link())
    assert can_sign_in(portal, TESSA, NEW)


@pytest.mark.parametrize("password", ["", "short", "password1234", "a\x00 long good password"])
def test_weak_passwords_are_refused_at_their_field(
    portal: PortalWorld, outbox: Outbox, password: str
) -> None:
    """The error says what to do, and the same page takes another."""
    client = portal.client()
    ask(client)
    answer = choose(client, outbox.link(), password)
    links = html.fromstring(answer.content).xpath(
        "//div[contains(@class, 'error-summary')]//a/@href"
    )
    assert links == ["#id_new_password"]
    again = client.post(answer.request["PATH_INFO"], {"new_password": NEW})
    assert again.status_code == 302


def test_e_mail_that_cannot_be_sent_is_said(portal: PortalWorld, outbox: Outbox) -> None:
    """For an account and for none the same words, and no try is lost for good."""
    with patch.object(EmailBackend, "send_messages", side_effect=TimeoutError):
        pages = [
            "We could not send it" in ask(portal.client(), address).content.decode()
            for address in [TESSA, "x@y.example"] * (SENT_A_DAY + 1)
        ]
    assert all(pages)
    ask(portal.client())
    assert len(outbox.to(TESSA)) == 1


def test_e_mail_is_in_the_language_of_who_asks(portal: PortalWorld, outbox: Outbox) -> None:
    """Who reads Welsh gets a Welsh e-mail."""
    client = portal.client()
    client.cookies["django_language"] = "cy"
    ask(client)
    [told] = outbox.sent
    assert told.subject == "Dewis cyfrinair newydd"
    assert "o fewn awr" in told.body
    assert "password" not in told.body.replace("forgotten-password", "")


def test_link_leads_to_this_site_alone(portal: PortalWorld, outbox: Outbox) -> None:
    """A request that claims to be for another host makes no link to it."""
    client = Client(HTTP_HOST="evil.example")
    assert ask(client).status_code == 400
    assert outbox.sent == []
