"""Changing how one is reached: what counts, from when, who is told, and who cannot."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from demo_portal.records import RecordsUnavailableError
from django.core.mail.backends.locmem import EmailBackend
from django.db import connections
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import Phone, User
from lxml import html  # type: ignore[import-untyped]
from tenant_services.profile import customers_sql as sql
from tenant_services.profile.confirming import ASKED_A_DAY, CODE_LASTS, LINK_LASTS, PAUSE
from tenant_services.profile.customers import customer_directory
from tenant_services.profile.details import WRONG_PASSWORDS
from tenant_services.profile.models import Change
from tenant_world import (
    SECRET,
    TARAN,
    TESSA,
    UNA,
    at_once,
    change_customers,
    give_code,
    give_password,
    outbox,
    register,
    signed_in,
    stuck_customers,
    wait,
)

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]

DETAILS = "/my-home/your-details/"
TELEPHONE, EMAIL = f"{DETAILS}telephone/", f"{DETAILS}email/"
CODE = f"{TELEPHONE}confirm/"
OLD, NEW = "+44 7700 900401", "+44 7700 900888"
ADDRESS = "tessa.new@people.example"


def ask(client: Client, path: str, value: str, password: str = PASSWORD) -> Any:
    """Ask for a change."""
    return client.post(path, {"value": value, "password": password})


def on_record(person: str = "P1001") -> tuple[str, str]:
    """Return the number and the address in the directory."""
    customer = customer_directory().customer(person)
    assert customer is not None
    return customer.telephone, customer.email


def in_account(username: str = TESSA) -> tuple[str, str]:
    """Return the number and the address of the account."""
    user = User.objects.get(username=username)
    return Phone.objects.get(user=user).number, user.email


def text_of(answer: Any) -> str:
    """Return what a page says, in one line."""
    [main] = html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().split())


# --- the telephone --------------------------------------------------------------------------------


def test_number_counts_when_the_code_is_typed_in(portal: PortalWorld, outbox: Outbox) -> None:
    """Until then the old one stays; afterwards codes go to the new one, and the old one knows."""
    client = signed_in(portal)
    assert ask(client, TELEPHONE, "07700 900 888").headers["Location"] == CODE
    assert [number for number, _text in portal.messages[-2:]] == [NEW, OLD]
    assert "asked to change" in portal.messages[-1][1]
    assert "ofynnodd" in portal.messages[-1][1].lower()
    assert in_account() == on_record() == (OLD, TESSA)
    page = text_of(client.get(DETAILS))
    assert OLD in page
    assert f"Your new mobile phone number {NEW} counts when" in page
    [(_number, text)] = [sent for sent in portal.messages if sent[0] == NEW]
    code = text[:6]
    assert client.post(CODE, {"code": code}).headers["Location"] == DETAILS
    assert in_account() == on_record() == (NEW, TESSA)
    assert portal.messages[-1][0] == OLD
    assert "was changed to another" in portal.messages[-1][1]
    assert not Change.objects.exists()
    give_password(portal.client(), TESSA)
    assert portal.messages[-1][0] == NEW


def test_clicks_on_a_right_code_all_say_that_it_was_changed(portal: PortalWorld) -> None:
    """Of two clicks the browser shows what the second is answered with: never an error."""
    client = signed_in(portal)
    ask(client, TELEPHONE, NEW)
    [code] = [text[:6] for number, text in portal.messages if number == NEW]
    answered = at_once(lambda: client.post(CODE, {"code": code}))
    assert [answer.headers.get("Location") for answer in answered] == [DETAILS] * 4
    assert in_account() == on_record() == (NEW, TESSA)
    assert [number for number, _text in portal.messages].count(OLD) == 3


def test_wrong_and_old_codes_change_nothing(portal: PortalWorld) -> None:
    """A wrong code, one for signing in, one that has expired and one that was replaced."""
    client = signed_in(portal)
    signing_in = portal.code
    ask(client, TELEPHONE, NEW)
    first = portal.messages[-2][1][:6]
    for wrong in (
        "000000" if first != "000000" else "000001",
        signing_in,
        "12345",
        "",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
    ):
        if wrong != first:
            assert client.post(CODE, {"code": wrong}).status_code == 200
    wait(portal, PAUSE)
    client.post(CODE, {"again": "yes"})
    second = portal.code
    if first != second:
        assert client.post(CODE, {"code": first}).status_code == 200
    wait(portal, CODE_LASTS)
    assert "has expired" in text_of(client.post(CODE, {"code": second}))
    assert in_account() == on_record() == (OLD, TESSA)


def test_later_number_takes_the_place_of_the_earlier(portal: PortalWorld) -> None:
    """The code for a number that was given up confirms neither it nor the next."""
    client = signed_in(portal)
    ask(client, TELEPHONE, NEW)
    first = portal.messages[-2][1][:6]
    ask(client, TELEPHONE, "07700 900 889")
    second = portal.messages[-2][1][:6]
    if first != second:
        assert client.post(CODE, {"code": first}).status_code == 200
    client.post(CODE, {"code": second})
    assert in_account() == on_record() == ("+44 7700 900889", TESSA)


# --- the e-mail address ---------------------------------------------------------------------------


def test_address_counts_when_the_link_is_opened(portal: PortalWorld, outbox: Outbox) -> None:
    """Until then the old one stays; afterwards one signs in with the new, and the old one knows."""
    client = signed_in(portal)
    assert ask(client, EMAIL, " Tessa.New@People.example ").headers["Location"] == DETAILS
    [warning] = outbox.to(TESSA)
    assert "asked to change" in warning.body
    assert "Gofynnodd rhywun" in warning.body
    link = outbox.link(ADDRESS)
    assert ADDRESS in text_of(client.get(link))
    assert in_account() == on_record() == (OLD, TESSA)
    assert client.post(link).headers["Location"] == DETAILS
    assert in_account(ADDRESS) == on_record() == (OLD, ADDRESS)
    assert "was changed to another" in outbox.to(TESSA)[-1].body
    assert client.get(DETAILS).status_code == 200
    assert client.post(link).status_code == 404
    again = portal.client()
    give_password(again, ADDRESS)
    assert give_code(portal, again).status_code == 302
    before = len(portal.messages)
    give_password(portal.client(), TESSA)
    assert len(portal.messages) == before


def test_opening_the_link_is_not_enough(portal: PortalWorld, outbox: Outbox) -> None:
    """Programs that look at links in e-mails change nothing, and nor does anybody else."""
    client = signed_in(portal)
    ask(client, EMAIL, ADDRESS)
    link = outbox.link(ADDRESS)
    client.get(link)
    stranger = portal.client()
    for send in (stranger.get, stranger.post):
        assert send(link).headers["Location"].startswith("/my-home/sign-in/?next=")
    taran = signed_in(portal, TARAN)
    for send in (taran.get, taran.post):
        assert send(link).status_code == 404
    assert in_account() == on_record() == (OLD, TESSA)


def test_link_lasts_a_day(portal: PortalWorld, outbox: Outbox) -> None:
    """A day later it does not work, and the page no longer waits for it."""
    client = signed_in(portal)
    ask(client, EMAIL, ADDRESS)
    wait(portal, LINK_LASTS)
    assert client.post(outbox.link(ADDRESS)).status_code == 404
    assert "Waiting to be confirmed" not in text_of(client.get(DETAILS))
    assert in_account() == (OLD, TESSA)


def test_address_in_use_is_told_to_its_owner_alone(portal: PortalWorld, outbox: Outbox) -> None:
    """The page is as for a free address; the e-mail says that nothing was changed."""
    client = signed_in(portal)
    pages = []
    for value in (ADDRESS, TARAN):
        answer = ask(client, EMAIL, value)
        shown = text_of(client.get(answer.headers["Location"]))
        pages.append((answer.headers["Location"], shown.replace(value, "")))
    assert pages[0] == pages[1]
    [told] = outbox.to(TARAN)
    assert "There is an account with it already" in told.body
    assert "http" not in told.body


def test_address_taken_since_is_refused(portal: PortalWorld, outbox: Outbox) -> None:
    """Who opens an account with it first has it; the change fails whole."""
    client = signed_in(portal)
    ask(client, EMAIL, "una.new@people.example")
    link = outbox.link("una.new@people.example")
    register(portal, outbox, portal.client(), email="una.new@people.example")
    answer = client.post(link)
    assert "There is another account with this email address" in text_of(answer)
    assert in_account() == on_record() == (OLD, TESSA)
    assert on_record("P1003") == ("+44 7700 900403", "una.new@people.example")


def test_two_who_want_one_address_do_not_share_it(portal: PortalWorld, outbox: Outbox) -> None:
    """Two links for one address used at once: one account has it, the other keeps its own."""
    clients = [signed_in(portal, TESSA), signed_in(portal, TARAN)]
    links = []
    for client in clients:
        ask(client, EMAIL, ADDRESS)
        links.append(outbox.link(ADDRESS))
    answered: list[int] = []

    def use(n: int) -> None:
        try:
            answered.append(clients[n].post(links[n]).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use, args=[n]) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answered) == [200, 302]
    assert User.objects.filter(username=ADDRESS).count() == 1
    assert [on_record("P1001")[1], on_record("P1002")[1]].count(ADDRESS) == 1


def test_later_address_takes_the_place_of_the_earlier(portal: PortalWorld, outbox: Outbox) -> None:
    """Of two changes that race, the one that was asked for last can be confirmed."""
    client, other = signed_in(portal), signed_in(portal)
    ask(client, EMAIL, ADDRESS)
    ask(other, EMAIL, "tessa.other@people.example")
    assert client.post(outbox.link(ADDRESS)).status_code == 404
    assert client.post(outbox.link("tessa.other@people.example")).status_code == 302
    assert on_record()[1] == "tessa.other@people.example"


# --- both -----------------------------------------------------------------------------------------

BOTH = [(TELEPHONE, NEW), (EMAIL, ADDRESS)]


@pytest.mark.parametrize(("path", "value"), BOTH)
def test_password_is_asked_for(portal: PortalWorld, outbox: Outbox, path: str, value: str) -> None:
    """Who finds a browser signed in cannot take the account over, nor guess at the password."""
    client = signed_in(portal)
    before = len(portal.messages)
    for _ in range(WRONG_PASSWORDS):
        assert "This is not your password" in text_of(ask(client, path, value, "a guess"))
    assert "Too many wrong passwords" in text_of(ask(client, path, value))
    assert (len(portal.messages), outbox.sent) == (before, [])
    assert not Change.objects.exists()
    wait(portal, timedelta(hours=24))
    assert ask(client, path, value).status_code == 302


@pytest.mark.parametrize(("path", "value"), BOTH)
def test_second_click_sends_and_warns_once(
    portal: PortalWorld, outbox: Outbox, path: str, value: str
) -> None:
    """The same asked for three times is one change, one code or link, and one warning."""
    client = signed_in(portal)
    before = len(portal.messages) + len(outbox.sent)
    for _ in range(3):
        assert ask(client, path, value).status_code == 302
    assert len(portal.messages) + len(outbox.sent) == before + 2
    assert Change.objects.count() == 1
    wait(portal, PAUSE)
    ask(client, path, value)
    assert len(portal.messages) + len(outbox.sent) == before + 3


def test_clicks_at_the_same_moment_send_once(portal: PortalWorld, outbox: Outbox) -> None:
    """Threads that ask for the same change at once leave one change, one code and one warning."""
    client = signed_in(portal)
    before = len(portal.messages)
    answered: list[int] = []

    def click() -> None:
        try:
            answered.append(ask(client, TELEPHONE, NEW).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answered == [302] * 4
    assert sorted(number for number, _text in portal.messages[before:]) == [OLD, NEW]
    assert Change.objects.count() == 1


def test_nobody_sends_codes_to_one_stranger_after_the_other(portal: PortalWorld) -> None:
    """After so many in a day an account can have no more sent, to whatever numbers."""
    client = signed_in(portal)
    before = len(portal.messages)
    for n in range(ASKED_A_DAY):
        assert ask(client, TELEPHONE, f"07700 9008{n:02d}").status_code == 302
    page = text_of(ask(client, TELEPHONE, "07700 900899"))
    assert "We have sent too many already" in page
    sent = [number for number, _text in portal.messages[before:] if number != OLD]
    assert len(sent) == ASKED_A_DAY
    assert ask(signed_in(portal, TARAN), TELEPHONE, "07700 900899").status_code == 302


@pytest.mark.parametrize(("path", "value"), BOTH)
def test_change_can_be_cancelled(
    portal: PortalWorld, outbox: Outbox, path: str, value: str
) -> None:
    """Afterwards neither the code nor the link counts, and cancelling again is harmless."""
    client = signed_in(portal)
    ask(client, path, value)
    answer = client.post(f"{path}cancel/", follow=True)
    assert "The change was cancelled" in text_of(answer)
    assert "Waiting to be confirmed" not in text_of(answer)
    assert client.post(f"{path}cancel/").headers["Location"] == DETAILS
    if path == EMAIL:
        assert client.post(outbox.link(value)).status_code == 404
    else:
        code = portal.messages[-2][1][:6]
        assert client.post(CODE, {"code": code}).headers["Location"] == DETAILS
    assert in_account() == on_record() == (OLD, TESSA)


def test_nobody_cancels_or_confirms_for_another(portal: PortalWorld, outbox: Outbox) -> None:
    """A change is its own account's: others find none, whatever they send."""
    tessa, taran = signed_in(portal), signed_in(portal, TARAN)
    ask(tessa, TELEPHONE, NEW)
    code = portal.messages[-2][1][:6]
    ask(tessa, EMAIL, ADDRESS)
    for kind in ("telephone", "email"):
        taran.post(f"{DETAILS}{kind}/cancel/")
    assert taran.post(CODE, {"code": code}).headers["Location"] == DETAILS
    assert taran.post(f"{DETAILS}username/cancel/").status_code == 404
    assert Change.objects.count() == 2
    assert ADDRESS not in taran.get(DETAILS).content.decode()
    assert tessa.post(CODE, {"code": code}).status_code == 302
    assert in_account() == (NEW, TESSA)


@pytest.mark.parametrize("kind", ["telephone", "email"])
def test_directory_that_is_down_keeps_both_or_neither(
    portal: PortalWorld, outbox: Outbox, kind: str
) -> None:
    """What the directory does not take is not changed here; the same code or link counts later."""
    client = signed_in(portal)
    ask(client, f"{DETAILS}{kind}/", NEW if kind == "telephone" else ADDRESS)
    path = CODE if kind == "telephone" else outbox.link(ADDRESS)
    sent = {"code": portal.messages[-2][1][:6]} if kind == "telephone" else {}
    with stuck_customers():
        assert client.post(path, sent).status_code == 503
    with patch.object(
        sql.SqlCustomerDirectory, f"change_{kind}", side_effect=RecordsUnavailableError
    ):
        assert client.post(path, sent).status_code == 503
    assert in_account() == on_record() == (OLD, TESSA)
    assert client.post(path, sent).headers["Location"] == DETAILS
    assert on_record() == ((NEW, TESSA) if kind == "telephone" else (OLD, ADDRESS))


def test_messages_that_cannot_be_sent_change_nothing(portal: PortalWorld, outbox: Outbox) -> None:
    """The page says so; nothing waits, and when it works again the old one is warned as ever."""
    client = signed_in(portal)
    with patch.object(EmailBackend, "send_messages", side_effect=ConnectionRefusedError):
        assert "We could not send it" in text_of(ask(client, EMAIL, ADDRESS))
    assert not Change.objects.exists()
    ask(client, EMAIL, ADDRESS)
    assert len(outbox.to(TESSA)) == len(outbox.to(ADDRESS)) == 1


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (TELEPHONE, "", "Enter a mobile phone number"),
        (TELEPHONE, "01632 960001", "Enter a mobile phone number, like"),
        (TELEPHONE, "<script>", "Enter a mobile phone number, like"),
        (TELEPHONE, "07700 900401", "This is what we have on record already"),
        (EMAIL, "", "Enter an email address"),
        (EMAIL, "=1+1", "Enter an email address, like"),
        (EMAIL, f"{'x' * 250}@people.example", "must be 200 characters or fewer"),
        (EMAIL, TESSA.upper(), "This is what we have on record already"),
        (EMAIL, "a@b.example\r\nBcc: c@d.example", "Enter an email address, like"),
    ],
)
def test_bad_values_are_said_at_their_field(
    portal: PortalWorld, outbox: Outbox, path: str, value: str, said: str
) -> None:
    """The error is linked to the field, and nothing is sent or kept."""
    client = signed_in(portal)
    before = len(portal.messages)
    answer = ask(client, path, value)
    page = html.fromstring(answer.content)
    [error] = page.xpath("//div[contains(@class, 'error-summary')]//a")
    assert error.get("href") == "#id_value"
    assert said in error.text_content()
    assert not page.xpath("//main//script")
    assert (len(portal.messages), outbox.sent) == (before, [])
    assert not Change.objects.exists()


def test_what_the_directory_has_besides_is_shown_and_can_be_made_the_same(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """A number that staff wrote down is shown; asking for one's own again overwrites it."""
    change_customers(
        sql.customers.update()
        .where(sql.customers.c.reference == "P1001")
        .values(telephone="01632 960 555")
    )
    client = signed_in(portal)
    assert "we also have: 01632 960 555" in text_of(client.get(DETAILS))
    assert ask(client, TELEPHONE, OLD).status_code == 302
    assert client.post(CODE, {"code": portal.messages[-2][1][:6]}).status_code == 302
    assert on_record() == (OLD, TESSA)
    assert "we also have" not in text_of(client.get(DETAILS))


def test_person_who_left_the_directory_can_still_sign_in(portal: PortalWorld) -> None:
    """The pages show what the account has, and no tenancy."""
    change_customers(
        sql.tenants.delete().where(sql.tenants.c.customer == "P1001"),
        sql.customers.delete().where(sql.customers.c.reference == "P1001"),
    )
    client = signed_in(portal)
    assert TESSA in text_of(client.get(DETAILS))
    assert "You rent nothing from us" in text_of(client.get("/my-home/"))


def test_opened_account_can_be_changed_at_once(portal: PortalWorld, outbox: Outbox) -> None:
    """Who has just opened an account changes it as everybody else does."""
    register(portal, outbox, portal.client())
    client = portal.client()
    give_password(client, UNA, SECRET)
    give_code(portal, client)
    assert ask(client, TELEPHONE, NEW, SECRET).headers["Location"] == CODE
