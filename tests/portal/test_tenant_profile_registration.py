"""Opening an account: who gets one, who does not, and what anybody else can learn from it."""

from __future__ import annotations

import re
import subprocess
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import urlencode

import pytest
from demo_portal.models import Tries
from django.core.mail.backends.locmem import EmailBackend
from django.db import connections
from django.test import Client
from landlord_portal.models import Phone, User
from lxml import html  # type: ignore[import-untyped]
from sqlalchemy import make_url
from tenant_services.models import TenantAccount
from tenant_services.profile import confirming
from tenant_services.profile import customers_sql as sql
from tenant_services.profile.confirming import CODE_LASTS, LINK_LASTS, PAUSE, TRIES_AT_CODE
from tenant_services.profile.customers import customer_directory
from tenant_services.profile.models import Registration
from tenant_services.profile.registration import TIME, WRONG_ANSWERS, WRONG_PASSWORDS
from tenant_world import (
    HOME,
    REGISTER,
    SECRET,
    TARAN,
    TESSA,
    UNA,
    UNAS_TELEPHONE,
    answers,
    at_once,
    begin,
    change_customers,
    confirm_telephone,
    contacts,
    give_code,
    give_password,
    outbox,
    register,
    stuck_customers,
    wait,
)
from test_security import run

if TYPE_CHECKING:
    from portal_world import PortalWorld
    from tenant_world import Outbox

    from servers import Server

__all__ = ["outbox"]

NO_MATCH = "What you entered does not match our records"
NOT_OPENED = f"{REGISTER}not-opened/"
SIGN_IN = "/my-home/sign-in/"
ELSE = "outsider@elsewhere.example"
ELSES = "+44 7700 900777"
WRONG: list[dict[str, str]] = [
    {"reference": "T-100001"},
    {"reference": "T-999999"},
    {"name": "Una Registrar"},
    {"born_on_day": "27"},
]


def said(answer: Any) -> str:
    """Return what a page says, without what was typed and the form's token."""
    page = html.fromstring(answer.content)
    for field in page.xpath("//input"):
        field.attrib.pop("value", None)
    return html.tostring(page).decode()


def has_account(person: str = "P1003") -> bool:
    """Whether a person has an account."""
    return TenantAccount.objects.filter(person=person).exists()


# --- who gets one -------------------------------------------------------------------------------


def test_from_nothing_to_the_dashboard(portal: PortalWorld, outbox: Outbox) -> None:
    """Who answers right and confirms both contacts signs in with them and sees their home."""
    client = portal.client()
    answer = register(portal, outbox, client)
    assert answer.headers["Location"] == SIGN_IN
    give_password(client, UNA.upper(), SECRET)
    assert portal.messages[-1][0] == UNAS_TELEPHONE
    assert give_code(portal, client).status_code == 302
    assert "3 Sample Court" in client.get("/my-home/").content.decode()
    [told] = [message for message in outbox.to(UNA) if "is open" in message.subject]
    assert "ar agor" in told.subject
    assert not Registration.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [
        {"reference": " t-300001 "},
        {"reference": "T\u2013300001"},
        {"name": "UNA  registered"},
        {"name": "Uná Registered."},
        {"born_on_day": "028", "born_on_month": "02"},
    ],
)
def test_right_answers_may_be_written_differently(
    portal: PortalWorld, typed: dict[str, str]
) -> None:
    """Case, spaces, accents and dashes do not matter."""
    assert begin(portal.client(), **typed).headers.get("Location") == f"{REGISTER}contact/"


def test_one_contact_on_record_is_enough_and_the_other_is_written_there(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """Who confirms the number on record may have a new address; the old one is told."""
    answer = register(portal, outbox, portal.client(), email="Una.New@people.example")
    assert answer.headers["Location"] == SIGN_IN
    customer = customer_directory().customer("P1003")
    assert customer is not None
    assert customer.email == "una.new@people.example"
    assert User.objects.get(username=customer.email).email == customer.email
    [told] = outbox.to(UNA)
    assert "was opened in your name" in told.body


def test_the_old_number_is_told_of_the_new_one(portal: PortalWorld, outbox: Outbox) -> None:
    """Who confirms the address on record may have a new number; the old one gets a message."""
    answer = register(portal, outbox, portal.client(), telephone="07700 900777")
    assert answer.headers["Location"] == SIGN_IN
    customer = customer_directory().customer("P1003")
    assert customer is not None
    assert customer.telephone == ELSES == Phone.objects.get(user__username=UNA).number
    number, text = portal.messages[-1]
    assert number == UNAS_TELEPHONE
    assert "was opened in your name" in text


def test_password_is_kept_hashed_from_the_start(portal: PortalWorld, outbox: Outbox) -> None:
    """Neither the password nor code nor link can be read in the tables."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client)
    kept = str(Registration.objects.values_list().get())
    token = outbox.link().rstrip("/").rpartition("/")[2]
    assert len(token) > 40
    for secret in (SECRET, portal.code, token):
        assert secret not in kept


# --- who does not -------------------------------------------------------------------------------


def test_three_answers_alone_open_nothing(portal: PortalWorld, outbox: Outbox) -> None:
    """Who knows the three answers, and confirms contacts of their own, gets no account."""
    answer = register(portal, outbox, portal.client(), email=ELSE, telephone="07700 900777")
    assert answer.headers["Location"] == NOT_OPENED
    assert not has_account()
    assert not User.objects.filter(username=ELSE).exists()
    customer = customer_directory().customer("P1003")
    assert customer is not None
    assert (customer.email, customer.telephone) == (UNA, UNAS_TELEPHONE)
    [told] = outbox.to(UNA)
    assert "It was not opened" in told.body
    assert "Nid agorwyd" in told.body
    assert portal.messages[-1][0] == UNAS_TELEPHONE
    assert not Registration.objects.exists()


@pytest.mark.parametrize("kept", [{"telephone": "", "email": ""}, {"telephone": "01632 960403"}])
def test_nothing_on_record_is_matched_by_nothing(
    portal: PortalWorld, outbox: Outbox, kept: dict[str, str]
) -> None:
    """A directory with no mobile number or address to compare with lets nobody in online."""
    change_customers(sql.customers.update().values(**kept))
    answer = register(portal, outbox, portal.client(), email=ELSE, telephone="07700 900777")
    assert answer.headers["Location"] == NOT_OPENED
    assert not has_account()


def test_the_address_of_somebody_who_clicks_opens_nothing(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """A tenant who opens the link of a registration that is not theirs has no password for it."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client, telephone="07700 900777", password="the outsider's own")  # noqa: S106
    link = outbox.link(UNA)
    una = portal.client()
    assert una.get(link).status_code == 200
    assert not has_account()
    for guess in (SECRET, "", "x" * 2000, *["guess"] * WRONG_PASSWORDS):
        assert una.post(link, {"password": guess}).status_code == 200
    answer = una.post(link, {"password": "the outsider's own"})
    assert "Too many wrong passwords" in answer.content.decode()
    assert not has_account()


def test_who_has_an_account_is_told_by_e_mail_alone(portal: PortalWorld, outbox: Outbox) -> None:
    """An outsider who knows a registered tenant's answers sees what they see of an unregistered."""
    pages = []
    tessa = answers(
        reference=HOME,
        name="Tessa Testington",
        born_on_day="1",
        born_on_month="4",
        born_on_year="1985",
    )
    for known, own in (
        (answers(), {"email": ELSE, "telephone": "07700 900777"}),
        (tessa, {"email": ELSE, "telephone": "07700 900777"}),
    ):
        client, seen = portal.client(), []
        seen.append(client.post(REGISTER, known))
        seen.append(client.post(f"{REGISTER}contact/", contacts(**own)))
        seen.append(client.get(f"{REGISTER}code/"))
        seen.append(client.post(f"{REGISTER}code/", {"code": portal.code}))
        seen.append(client.get(f"{REGISTER}email/"))
        link = outbox.link(ELSE)
        seen.append(client.get(link))
        seen.append(client.post(link, {"password": SECRET}))
        seen.append(client.get(NOT_OPENED))
        token = link.rstrip("/").rpartition("/")[2]
        locations = [answer.headers.get("Location", "") for answer in seen]
        pages.append((locations, [said(page).replace(token, "") for page in seen if page.content]))
    assert pages[0] == pages[1]
    [told] = outbox.to(TESSA)
    assert "You have one already" in told.body
    assert "/my-home/forgotten-password/" in told.body
    assert User.objects.get(username=TESSA).has_usable_password()
    assert customer_directory().customer("P1001").email == TESSA  # type: ignore[union-attr]


def test_address_that_is_in_use_is_told_to_its_owner_alone(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """The page is as for any other address; the e-mail has no link that opens anything."""
    client = portal.client()
    begin(client)
    answer = confirm_telephone(portal, client, email=TARAN)
    assert answer.headers["Location"] == f"{REGISTER}email/"
    assert TARAN in client.get(f"{REGISTER}email/").content.decode()
    [told] = outbox.sent
    assert told.to == [TARAN]
    assert "There is an account with it already" in told.body
    assert "/register/" not in told.body
    assert not has_account()


def test_address_taken_since_the_link_was_sent_opens_nothing(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """Two accounts never have one user name, whoever comes first."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client)
    User.objects.filter(username=TARAN).update(username=UNA)
    answer = client.post(outbox.link(UNA), {"password": SECRET})
    assert answer.headers["Location"] == NOT_OPENED
    assert not has_account()


# --- guesses ------------------------------------------------------------------------------------


def test_wrong_answers_do_not_tell_which(portal: PortalWorld) -> None:
    """Whichever is wrong, and whether there is such a tenancy or not, the page is the same."""
    pages = set()
    for wrong in WRONG:
        answer = begin(portal.client(), **wrong)
        assert NO_MATCH in answer.content.decode()
        pages.add(said(answer))
    assert len(pages) == 1


def test_wrong_answers_ask_the_directory_alike(portal: PortalWorld) -> None:
    """The directory is asked one and the same thing whichever answer is wrong."""
    asked = []
    usual = sql.SqlCustomerDirectory.find

    def listen(self: Any, *given: Any) -> Any:
        asked.append(given)
        return usual(self, *given)

    with patch.object(sql.SqlCustomerDirectory, "find", listen):
        for wrong in WRONG:
            begin(portal.client(), **wrong)
    assert len(asked) == len(WRONG)


def test_guesses_at_a_tenancy_are_counted_whoever_makes_them(portal: PortalWorld) -> None:
    """Other names, days and browsers do not buy more tries; a day later they are there again."""
    for n in range(WRONG_ANSWERS):
        assert NO_MATCH in begin(portal.client(), name=f"Guess {n}").content.decode()
    assert begin(portal.client()).status_code == 429
    assert begin(portal.client(), reference="t-300001 ").status_code == 429
    wait(portal, timedelta(hours=24))
    assert begin(portal.client()).status_code == 302


def test_guesses_at_a_person_are_counted_whatever_the_tenancy(portal: PortalWorld) -> None:
    """Who knows a name and a date of birth cannot try every reference there is."""
    for n in range(WRONG_ANSWERS):
        assert begin(portal.client(), reference=f"T-{n}", name="una registered").status_code == 200
    assert begin(portal.client()).status_code == 429


def test_lock_does_not_tell_whether_there_is_a_tenancy(portal: PortalWorld) -> None:
    """A made-up reference locks after as many tries, with the same page."""
    pages = set()
    for reference in ("T-300001", "T-999999"):
        for n in range(WRONG_ANSWERS + 1):
            answer = begin(portal.client(), reference=reference, name=f"Guess {reference} {n}")
        assert answer.status_code == 429
        pages.add(said(answer))
    assert len(pages) == 1


def test_right_answers_cost_no_tries(portal: PortalWorld) -> None:
    """Who begins again and again is not locked out."""
    for _ in range(WRONG_ANSWERS + 2):
        assert begin(portal.client()).status_code == 302
    assert set(Tries.objects.values_list("used", flat=True)) == {0}


def test_answers_in_a_key_cannot_be_read(portal: PortalWorld) -> None:
    """What was claimed is not kept in clear among the tries."""
    begin(portal.client(), name="Somebody Else")
    assert not re.search("300001|somebody|1990", str(list(Tries.objects.values_list("key"))))


def test_guesses_made_at_once_are_all_counted(portal: PortalWorld) -> None:
    """However many browsers guess at the same moment, no more are answered than there are tries."""
    answered: list[int] = []

    def guess(n: int) -> None:
        try:
            client = Client(HTTP_HOST="localhost")
            answered.append(begin(client, name=f"Guess {n}").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess, args=[n]) for n in range(WRONG_ANSWERS + 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answered) == [200] * WRONG_ANSWERS + [429] * 6


@pytest.mark.parametrize(
    "typed",
    [
        {"reference": "T-300001'; --"},
        {"reference": "<script>alert(1)</script>"},
        {"reference": "x" * 51},
        {"reference": "T-3\x0000001"},
        {"reference": ""},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "Una\x00Registered"},
        {"born_on_day": "31"},
        {"born_on_month": "x"},
        {"born_on_year": "0"},
        {"born_on_year": "2090"},
        {"born_on_day": "", "born_on_month": "", "born_on_year": ""},
    ],
)
@pytest.mark.parametrize("lang", ["en", "cy"])
def test_answers_that_cannot_be_are_said_at_their_field(
    portal: PortalWorld, typed: dict[str, str], lang: str
) -> None:
    """The error names the field, links to it, costs no try, and gives back what was typed."""
    client = portal.client()
    client.cookies["django_language"] = lang
    page = html.fromstring(begin(client, **typed).content)
    [name] = {name.removesuffix(part) for name in typed for part in ("_day", "_month", "_year")} & {
        "reference",
        "name",
        "born_on",
    }
    [link] = page.xpath("//div[contains(@class, 'error-summary')]//a/@href")
    assert link == f"#id_{name}" + ("_day" if name == "born_on" else "")
    assert page.xpath(f"//*[@id='{link[1:]}']")
    assert page.xpath("string(//input[@name='born_on_year']/@value)") == typed.get(
        "born_on_year", "1990"
    )
    assert not Tries.objects.exists()


# --- steps in order, and again ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "first"),
    [("contact/", ""), ("code/", ""), ("email/", "")],
)
def test_steps_are_taken_in_order(portal: PortalWorld, path: str, first: str) -> None:
    """Who did not answer the questions is led to them, whatever they send."""
    client = portal.client()
    for answer in (client.get(f"{REGISTER}{path}"), client.post(f"{REGISTER}{path}", contacts())):
        assert answer.headers["Location"] == f"{REGISTER}{first}"
    begin(client)
    later = f"{REGISTER}contact/"
    if path != "contact/":
        assert client.get(f"{REGISTER}{path}").headers["Location"] == later
        assert client.post(f"{REGISTER}{path}").headers["Location"] == later
    client.post(f"{REGISTER}contact/", contacts())
    assert client.get(f"{REGISTER}email/").headers["Location"] == f"{REGISTER}code/"
    assert client.post(f"{REGISTER}email/").headers["Location"] == f"{REGISTER}code/"


def test_link_comes_after_the_code(portal: PortalWorld, outbox: Outbox) -> None:
    """No e-mail goes anywhere before the telephone is confirmed."""
    client = portal.client()
    begin(client)
    client.post(f"{REGISTER}contact/", contacts())
    client.post(f"{REGISTER}code/", {"code": "000000"})
    client.post(f"{REGISTER}email/")
    assert outbox.sent == []


def test_another_number_must_be_confirmed_anew(portal: PortalWorld, outbox: Outbox) -> None:
    """What one number confirmed does not count for the next; nor does a link to an old address."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client, email=ELSE)
    first = outbox.link(ELSE)
    answer = client.post(f"{REGISTER}contact/", contacts())
    assert answer.headers["Location"] == f"{REGISTER}email/"
    assert client.get(first).status_code == 404
    assert client.get(outbox.link(UNA)).status_code == 200
    client.post(f"{REGISTER}contact/", contacts(telephone="07700 900777"))
    assert portal.messages[-1][0] == ELSES
    assert client.get(outbox.link(UNA)).status_code == 404
    assert client.get(f"{REGISTER}email/").headers["Location"] == f"{REGISTER}code/"


def test_second_click_sends_nothing_twice(portal: PortalWorld, outbox: Outbox) -> None:
    """The same sent again is one registration, one message and one link."""
    client = portal.client()
    begin(client)
    for _ in range(3):
        client.post(f"{REGISTER}contact/", contacts())
    assert len(portal.messages) == 1
    code = portal.code
    for _ in range(3):
        answer = client.post(f"{REGISTER}code/", {"code": code})
        assert answer.headers["Location"] == f"{REGISTER}email/"
    client.post(f"{REGISTER}email/")
    assert len(outbox.sent) == 1
    assert Registration.objects.count() == 1


def test_clicks_on_a_right_code_all_go_on(portal: PortalWorld, outbox: Outbox) -> None:
    """Of two clicks the browser shows what the second is answered with: never an error."""
    client = portal.client()
    begin(client)
    client.post(f"{REGISTER}contact/", contacts())
    answered = at_once(lambda: client.post(f"{REGISTER}code/", {"code": portal.code}))
    assert [answer.headers.get("Location") for answer in answered] == [f"{REGISTER}email/"] * 4
    assert len(outbox.sent) == 1


def test_what_was_entered_is_there_on_the_way_back(portal: PortalWorld) -> None:
    """Who goes back to mend a number or an address finds both, and chooses the password again."""
    client = portal.client()
    begin(client)
    client.post(f"{REGISTER}contact/", contacts(email="Una.Typo@people.example"))
    page = html.fromstring(client.get(f"{REGISTER}contact/").content)
    typed = {field.get("name"): field.get("value") for field in page.xpath("//main//input")}
    assert typed["email"] == "una.typo@people.example"
    assert typed["telephone"] == UNAS_TELEPHONE
    assert not typed["password"]


def test_link_opens_one_account_however_often_it_is_used(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """Of many who use the link at once one opens the account, and nobody sees an error of ours."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client)
    link = outbox.link(UNA)
    answered: list[tuple[int, str]] = []

    def use() -> None:
        try:
            answer = Client(HTTP_HOST="localhost").post(link, {"password": SECRET})
            answered.append((answer.status_code, answer.headers.get("Location", "")))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answered) == [(302, SIGN_IN)] + [(404, "")] * 3
    assert client.post(link, {"password": SECRET}).status_code == 404


def test_two_registrations_of_one_person_open_one_account(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """Whoever is first has the account; the other is told that none was opened."""
    links = []
    for email in (UNA, "una.too@people.example"):
        client = portal.client()
        begin(client)
        confirm_telephone(portal, client, email=email)
        links.append(outbox.link(email))
        wait(portal, PAUSE)
    first = portal.client().post(links[1], {"password": SECRET})
    second = portal.client().post(links[0], {"password": SECRET})
    assert [first.headers["Location"], second.headers["Location"]] == [SIGN_IN, NOT_OPENED]
    assert TenantAccount.objects.filter(person="P1003").count() == 1


def test_contact_that_is_entered_meanwhile_is_not_confirmed(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """What is on its way to an outsider's own contacts confirms none that took their place."""
    outsider = portal.client()
    begin(outsider)
    outsider.post(f"{REGISTER}contact/", contacts(email=ELSE, telephone="07700 900777"))
    before = Registration.objects.get()
    outsider.post(f"{REGISTER}contact/", contacts(email=ELSE))
    wait(portal, PAUSE)
    confirming.send_code(before, before.telephone)
    code = [text[:6] for number, text in portal.messages if number == ELSES][-1]
    assert outsider.post(f"{REGISTER}code/", {"code": code}).status_code == 200
    assert Registration.objects.get().telephone_confirmed_at is None
    wait(portal, PAUSE)
    confirm_telephone(portal, outsider, email=ELSE, telephone="07700 900777")
    before = Registration.objects.get()
    sent: list[str] = []
    wait(portal, PAUSE)
    outsider.post(f"{REGISTER}contact/", contacts(telephone="07700 900777"))
    wait(portal, PAUSE)
    confirming.send_link(before, ELSE, sent.append)
    for token in sent:
        assert outsider.get(f"{REGISTER}confirm/{token}/").status_code == 404
    assert outsider.get(outbox.link(UNA)).status_code == 200


# --- codes and links ----------------------------------------------------------------------------


def test_code_takes_five_tries_and_ten_minutes(portal: PortalWorld) -> None:
    """After five wrong tries, or ten minutes, the right code is no use; a new one is."""
    client = portal.client()
    begin(client)
    client.post(f"{REGISTER}contact/", contacts())
    right = portal.code
    wrong = f"{(int(right) + 1) % 1_000_000:06d}"
    for _ in range(TRIES_AT_CODE):
        page = client.post(f"{REGISTER}code/", {"code": wrong}).content.decode()
        assert "not the one that we sent" in page
    assert "too many wrong" in client.post(f"{REGISTER}code/", {"code": right}).content.decode()
    wait(portal, PAUSE)
    client.post(f"{REGISTER}code/", {"again": "yes"})
    assert portal.code != right or len(portal.messages) == 2
    portal.clock.move_to(portal.clock.now() + CODE_LASTS)
    page = client.post(f"{REGISTER}code/", {"code": portal.code}).content.decode()
    assert "has expired" in page
    client.post(f"{REGISTER}code/", {"again": "yes"})
    last = portal.code
    answer = client.post(f"{REGISTER}code/", {"code": f" {last[:3]} {last[3:]} "})
    assert answer.headers["Location"] == f"{REGISTER}email/"


def test_codes_without_end_cannot_be_guessed_at(portal: PortalWorld) -> None:
    """Asking for new codes, or beginning again, does not buy tries without end at one number."""
    tried = 0
    for _ in range(12):
        client = portal.client()
        begin(client)
        client.post(f"{REGISTER}contact/", contacts())
        for _ in range(TRIES_AT_CODE):
            page = client.post(f"{REGISTER}code/", {"code": "000000"}).content.decode()
            tried += "not the one that we sent" in page
    assert tried <= 15
    assert len(portal.messages) == 10


def test_code_of_one_registration_is_none_of_another(portal: PortalWorld) -> None:
    """A code confirms the number of the registration that it was sent for."""
    clients = [portal.client(), portal.client()]
    codes = []
    for client in clients:
        begin(client)
        client.post(f"{REGISTER}contact/", contacts())
        codes.append(portal.code)
        wait(portal, PAUSE)
    if codes[0] != codes[1]:
        answer = clients[0].post(f"{REGISTER}code/", {"code": codes[1]})
        assert answer.status_code == 200


def test_link_lasts_a_day(portal: PortalWorld, outbox: Outbox) -> None:
    """A day later it leads to a page that says so, as one that is made up."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client)
    link = outbox.link(UNA)
    assert client.get(link).status_code == 200
    for other in (link[:-3] + "x/", f"{REGISTER}confirm/x/", f"{REGISTER}confirm/%00/"):
        assert client.get(other).status_code == 404
        assert client.post(other, {"password": SECRET}).status_code == 404
    portal.clock.move_to(portal.clock.now() + LINK_LASTS)
    answer = client.post(link, {"password": SECRET})
    assert answer.status_code == 404
    assert "does not work any more" in answer.content.decode()
    for onward in ("/my-home/sign-in/", REGISTER):
        assert f'href="{onward}">If' in answer.content.decode()
    assert not has_account()


def test_link_lasts_a_day_whoever_else_registers(portal: PortalWorld, outbox: Outbox) -> None:
    """A link that was sent long after the registration began lasts as long as the e-mail says."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client)
    portal.clock.move_to(portal.clock.now() + TIME - timedelta(minutes=1))
    client.post(f"{REGISTER}email/")
    portal.clock.move_to(portal.clock.now() + LINK_LASTS - timedelta(minutes=1))
    other = portal.client()
    begin(other)
    other.post(f"{REGISTER}contact/", contacts(email=ELSE))
    link = outbox.link(UNA)
    assert portal.client().post(link, {"password": SECRET}).headers["Location"] == SIGN_IN


def test_what_nobody_finished_is_forgotten(portal: PortalWorld, outbox: Outbox) -> None:
    """A day later the session leads to the start, and the next registration clears it away."""
    client = portal.client()
    begin(client)
    client.post(f"{REGISTER}contact/", contacts(email=ELSE))
    wait(portal, TIME)
    assert client.get(f"{REGISTER}code/").headers["Location"] == REGISTER
    begin(client)
    client.post(f"{REGISTER}contact/", contacts())
    assert [one.email for one in Registration.objects.all()] == [UNA]


# --- when something is down ---------------------------------------------------------------------


def test_directory_that_is_down_costs_nothing(portal: PortalWorld) -> None:
    """The clear page offers to send the same again, and no try is used up."""
    client = portal.client()
    page = client.get(REGISTER).content.decode()
    assert all(f'autocomplete="bday-{part}"' in page for part in ("day", "month", "year"))
    with stuck_customers():
        answer = begin(client)
    assert answer.status_code == 503
    assert 'value="Una Registered"' in answer.content.decode()
    assert set(Tries.objects.values_list("used", flat=True)) == {0}
    assert begin(client).status_code == 302


def test_directory_that_is_down_at_the_end_leaves_the_link(
    portal: PortalWorld, outbox: Outbox
) -> None:
    """Nothing is half opened; the same link opens the account when the directory is back."""
    client = portal.client()
    begin(client)
    confirm_telephone(portal, client, email="una.new@people.example")
    link = outbox.link()
    with stuck_customers():
        answer = client.post(link, {"password": SECRET})
    assert answer.status_code == 503
    assert SECRET not in answer.content.decode()  # passwords are in no page
    assert not has_account()
    with (
        patch.object(sql.SqlCustomerDirectory, "change_email", side_effect=_unavailable),
    ):
        assert client.post(link, {"password": SECRET}).status_code == 503
    assert not User.objects.filter(username="una.new@people.example").exists()
    assert client.post(link, {"password": SECRET}).headers["Location"] == SIGN_IN


def _unavailable(*_args: object) -> None:
    from demo_portal.records import RecordsUnavailableError

    raise RecordsUnavailableError


def test_messages_that_cannot_be_sent_are_said(
    portal: PortalWorld, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so and what to do; afterwards it goes on from there."""
    client = portal.client()
    begin(client)
    monkeypatch.setattr("portal_world.Drawer.send", _refuse)
    page = client.post(f"{REGISTER}contact/", contacts()).content.decode()
    assert "We could not send it" in page
    assert UNA in page
    monkeypatch.undo()
    monkeypatch.setattr(
        "django.conf.settings.EMAIL_BACKEND", "django.core.mail.backends.locmem.EmailBackend"
    )
    client.post(f"{REGISTER}contact/", contacts())
    with patch.object(EmailBackend, "send_messages", side_effect=ConnectionRefusedError):
        client.post(f"{REGISTER}code/", {"code": portal.code})
        assert "We could not send the email" in client.get(f"{REGISTER}email/").content.decode()
        assert "We could not send it" in client.post(f"{REGISTER}email/").content.decode()
    client.post(f"{REGISTER}email/")
    assert client.post(outbox.link(), {"password": SECRET}).headers["Location"] == SIGN_IN


def _refuse(*_args: object) -> None:
    raise ConnectionError


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"email": "una"}, "email"),
        ({"email": "una@x.example\nBcc: all@x.example"}, "email"),
        ({"email": f"{'x' * 200}@people.example"}, "email"),
        ({"email": ""}, "email"),
        ({"telephone": "01632 960403"}, "telephone"),
        ({"telephone": "+33 6 12 34 56 78"}, "telephone"),
        ({"telephone": "07700 900 4031"}, "telephone"),
        ({"telephone": "٠٧٧٠٠٩٠٠٤٠٣"}, "telephone"),
        ({"telephone": ""}, "telephone"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"password": ""}, "password"),
        ({"password": "x" * 1001}, "password"),
        ({"password": "a\x00 good long password"}, "password"),
    ],
)
def test_contacts_that_cannot_be_are_said_at_their_field(
    portal: PortalWorld, typed: dict[str, str], field: str
) -> None:
    """The error names the field; nothing is sent and nothing is kept."""
    client = portal.client()
    begin(client)
    answer = client.post(f"{REGISTER}contact/", contacts(**typed))
    links = html.fromstring(answer.content).xpath(
        "//div[contains(@class, 'error-summary')]//a/@href"
    )
    assert links == [f"#id_{field}"]
    assert SECRET not in answer.content.decode()
    assert portal.messages == []
    assert not Registration.objects.exclude(email="", telephone="", password="").exists()


def test_session_that_somebody_else_knows_is_left(portal: PortalWorld) -> None:
    """Who answers right goes on with another session than the one that they came with."""
    client = portal.client()
    begin(client, name="Wrong Name")
    begin(client)
    before = client.cookies["sessionid"].value
    begin(client)
    assert client.cookies["sessionid"].value != before


JOURNEY = """
import re, sys, threading
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
settings.PORTAL_SMS_SENDER = "portal_world.Drawer"
from django.core import mail
from django.db import connection, connections
from django.test import Client
from portal_world import Drawer
from tenant_services.models import TenantAccount
from tenant_services.profile.models import Registration
from tenant_world import REGISTER, SECRET, answers, begin, contacts
mail.outbox = []

def at_once(send, many):
    def one(n):
        try:
            return send(n).status_code
        finally:
            connections.close_all()
    with ThreadPoolExecutor(many) as pool:
        return sorted(pool.map(one, range(many)))

def client():
    return Client(HTTP_HOST="localhost")

guessed = at_once(lambda n: begin(client(), name=f"Guess {n}", reference="T-1"), 13)
una = client()
begin(una)
said = at_once(lambda n: una.post(f"{REGISTER}contact/", contacts()), 4)
codes = [text[:6] for _number, text in Drawer.sent]
una.post(f"{REGISTER}code/", {"code": codes[0]})
link = re.search("https?://[^/]+(/.*)", mail.outbox[0].body)[1]
opened = at_once(lambda n: client().post(link, {"password": SECRET}), 4)
print(connection.vendor, guessed.count(429), said, len(codes), len(Registration.objects.all()))
print(opened, TenantAccount.objects.filter(person="P1003").count())
"""


@pytest.mark.exhaustive
def test_races_end_alike_on_postgresql(postgresql: Server, tmp_path: Path) -> None:
    """Guesses, clicks and links that come at once are counted, sent and used as on SQLite."""
    name = f"portal_{uuid.uuid4().hex}"
    postgresql.execute(f"CREATE DATABASE {name}")
    at = make_url(postgresql.url).set(database=name)
    url = f"postgresql://{at.username}@{at.host or ''}/{name}?{urlencode(dict(at.query))}"
    for command in (["migrate", "--verbosity", "0"], ["seed_demo"]):
        subprocess.run(**run(tmp_path, "manage.py", *command, PORTAL_DATABASE=url), check=True)
    here = str(Path(__file__).parent)
    place = {"PORTAL_DATABASE": url, "DJANGO_SETTINGS_MODULE": "demo_portal.settings"}
    done = subprocess.run(
        **run(tmp_path, "-c", JOURNEY, here, **place), capture_output=True, check=True
    )
    assert done.stdout.splitlines() == [
        "postgresql 3 [302, 302, 302, 302] 1 0",
        "[302, 404, 404, 404] 1",
    ]
