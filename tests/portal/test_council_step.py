"""The one-off step before anything sensitive: what lets in, what is said, and what is counted."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from council_payments import landlord_payments
from council_payments.example_data import CREDITORS
from council_payments.models import CouncilAccount, Proof
from council_payments.sensitive import TRIES_AT_REFERENCE, TRIES_OF_ACCOUNT
from council_world import (
    CADI,
    CASEY,
    PROVE,
    answers,
    change,
    has_proved,
    prove,
    signed_in,
    sql,
    stuck,
)
from demo_portal.models import Tries
from demo_portal.tries import TRIES_LAST
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st
from landlord_portal.models import Phone, User
from lxml import html  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from typing import Any

    from django.test import Client
    from portal_world import PortalWorld

NO_MATCH = "What you entered does not match the council&#39;s records"
WRONG = [{"reference": "7000456"}, {"reference": "1"}, {"payee": "Acme"}, {"amount": "1.00"}]


def test_nothing_is_shown_before(portal: PortalWorld) -> None:
    """Every page leads to the questions, and from there back to where the user was going."""
    client = signed_in(portal)
    wanted = "/council/landlord-payments/"
    answer = client.get(wanted)
    assert answer.headers["Location"] == f"{PROVE}?next=%2Fcouncil%2Flandlord-payments%2F"
    answer = client.post(answer.headers["Location"], answers())
    assert answer.headers["Location"] == wanted
    assert has_proved(client)


def test_once_is_enough(portal: PortalWorld) -> None:
    """What was proved holds when the user signs in again, and when there are newer payments."""
    prove(signed_in(portal))
    change(
        sql.payments.insert().values(
            number="7000123-9999",
            creditor="7000123",
            paid_on=portal.clock.now().date(),
            method="bacs",
            pence=1,
        )
    )
    assert has_proved(signed_in(portal))


@pytest.mark.parametrize("typed", ["7000123", " 7000 123 "])
@pytest.mark.parametrize("payee", ["Acme Homes Ltd.", "ACME  HOMES LTD", "acme homes, ltd"])
@pytest.mark.parametrize("form", ["{:.2f}", "£{:,.2f}"])
def test_right_answers_may_be_written_differently(
    portal: PortalWorld, typed: str, payee: str, form: str
) -> None:
    """Case, spaces, full stops, commas and the pound sign do not matter."""
    client = signed_in(portal)
    amount = form.format(Decimal(answers()["amount"]))
    client.post(PROVE, {"reference": typed, "payee": payee, "amount": amount})
    assert has_proved(client)


def said(answer: Any) -> str:
    """Return what a page says, without what was typed and the form's token."""
    page = html.fromstring(answer.content)
    for field in page.xpath("//input"):
        field.attrib.pop("value", None)
    return html.tostring(page).decode()


def test_wrong_answers_do_not_tell_which(portal: PortalWorld) -> None:
    """Whichever of the three is wrong, the page is the same to the letter, and lets nobody in."""
    pages = set()
    for wrong in WRONG:
        client = signed_in(portal, CASEY)
        answer = client.post(PROVE, answers() | wrong)
        assert NO_MATCH in answer.content.decode()
        assert not has_proved(client)
        pages.add(said(answer))
        Tries.objects.all().delete()
    assert len(pages) == 1


def test_wrong_answers_ask_the_back_office_alike(portal: PortalWorld) -> None:
    """The back office is asked the same thing whichever answer is wrong: time does not tell."""
    client = signed_in(portal)
    asked = []
    usual = sql.SqlBackOffice.last_payment

    def listen(self: Any, reference: str) -> Any:
        asked.append(reference)
        return usual(self, reference)

    with patch.object(sql.SqlBackOffice, "last_payment", listen):
        for wrong in WRONG:
            sent = answers() | wrong
            asked.clear()
            client.post(PROVE, sent)
            assert asked == [sent["reference"]]
            Tries.objects.all().delete()


def test_account_is_locked_after_a_few_tries(portal: PortalWorld) -> None:
    """Right answers are not looked at either, until a day has gone by; others are not concerned."""
    client = signed_in(portal)
    for _ in range(TRIES_OF_ACCOUNT):
        assert client.post(PROVE, answers(amount="1.00")).status_code == 200
    for _ in range(3):
        answer = client.post(PROVE, answers())
        assert answer.status_code == 429
        assert "Wait 24 hours" in answer.content.decode()
    assert not has_proved(client)
    prove(signed_in(portal, CADI))
    portal.clock.move_to(portal.clock.now() + TRIES_LAST - timedelta(seconds=1))
    assert client.post(PROVE, answers()).status_code == 429
    portal.clock.move_to(portal.clock.now() + timedelta(seconds=1))
    prove(client)


def test_many_accounts_do_not_guess_at_one_creditor(portal: PortalWorld) -> None:
    """Wrong answers count for the reference too, one that does not exist as one that does."""
    users = [
        User.objects.create_user(
            f"guess{n}", "made up at random", full_name="G", email="g@g.example"
        )
        for n in range(4)
    ]
    for reference in ("7000789", "1234567"):
        Tries.objects.all().delete()
        found = []
        for user in users:
            CouncilAccount.objects.get_or_create(user=user)
            client = in_session(portal, user)
            found += [
                client.post(
                    PROVE, {"reference": reference, "payee": "x", "amount": "1"}
                ).status_code
                for _ in range(3)
            ]
        assert found == [200] * TRIES_AT_REFERENCE + [429] * (12 - TRIES_AT_REFERENCE)


def in_session(portal: PortalWorld, user: User) -> Client:
    """Return a client in which the user is signed in by both steps."""
    Phone.objects.get_or_create(user=user, holder=user, name="default", number="+44 7700 900998")
    user.set_password("only for the demonstration")
    user.save()
    return signed_in(portal, user.username)


def test_locked_reference_costs_an_account_nothing(portal: PortalWorld) -> None:
    """An answer that is not looked at is not wrong: others' guesses lock nobody out of the rest."""
    guesser, client = signed_in(portal, CADI), signed_in(portal)
    for _ in range(2):
        for _ in range(TRIES_OF_ACCOUNT):
            guesser.post(PROVE, answers(amount="1.00"))
        Tries.objects.filter(key__contains=":account:").delete()
    for _ in range(TRIES_OF_ACCOUNT + 1):
        assert client.post(PROVE, answers()).status_code == 429
    prove(client, "7000456")


def test_the_largest_payment_can_be_proved(portal: PortalWorld) -> None:
    """A payment of many thousand lines is of many million pounds."""
    change(sql.payments.update().values(pence=12_345_678_901))
    client = signed_in(portal)
    client.post(PROVE, answers(amount="£123,456,789.01"))
    assert has_proved(client)


def test_proving_one_does_not_buy_guesses_at_another(portal: PortalWorld) -> None:
    """Right answers in between do not forgive wrong ones."""
    client = signed_in(portal)
    found = []
    for _ in range(TRIES_OF_ACCOUNT + 1):
        found.append(client.post(PROVE, answers("7000789", amount="1.00")).status_code)
        client.post(PROVE, answers())
    assert found == [200] * TRIES_OF_ACCOUNT + [429]


def test_right_answers_use_nothing_up(portal: PortalWorld) -> None:
    """A landlord with many references adds them one after the other."""
    client = signed_in(portal)
    for _ in range(TRIES_OF_ACCOUNT):
        for reference in ("7000123", "7000456"):
            assert client.post(PROVE, answers(reference)).status_code == 302
    assert Proof.objects.count() == 2
    assert set(Tries.objects.values_list("used", flat=True)) == {0}


def test_guesses_at_once_are_counted_one_by_one(portal: PortalWorld) -> None:
    """Twenty wrong answers that meet use up the tries there are, and not one more is looked at."""
    clients = [signed_in(portal)]
    for _ in range(19):
        other = portal.client()
        other.cookies = clients[0].cookies
        clients.append(other)
    wrong = answers(amount="1.00")
    found: list[int] = []
    gate = threading.Barrier(len(clients))

    def guess(client: Client) -> None:
        gate.wait()
        try:
            found.append(client.post(PROVE, wrong).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] * TRIES_OF_ACCOUNT + [429] * (20 - TRIES_OF_ACCOUNT)


def test_nothing_of_the_answers_is_kept(portal: PortalWorld) -> None:
    """Wrong answers leave numbers behind, and a digest, but none of what was typed."""
    client = signed_in(portal)
    client.post(PROVE, answers("7000789", payee="Somebody Else"))
    [kept] = [str(list(Tries.objects.values_list()))]
    assert "7000789" not in kept
    assert "Somebody" not in kept


def test_back_office_that_does_not_answer_costs_no_try(portal: PortalWorld) -> None:
    """The page says so, has every answer in it, and sending it again goes on as if nothing was."""
    client = signed_in(portal)
    sent = answers(payee='Acme "Homes" Ltd')
    with stuck():
        for _ in range(TRIES_OF_ACCOUNT + 1):
            answer = client.post(PROVE, sent)
            assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "60"
    assert "cannot be reached" in answer.content.decode()
    assert set(Tries.objects.values_list("used", flat=True)) == {0}
    page = html.fromstring(answer.content)
    again = {field.get("name"): field.get("value") for field in page.xpath("//main//input")}
    assert len(page.xpath("//input[@name='csrfmiddlewaretoken']")) == 1
    again.pop("csrfmiddlewaretoken")
    assert again == sent
    assert client.post(PROVE, again).status_code == 302
    assert has_proved(client)


@pytest.mark.parametrize("field", ["reference", "payee", "amount"])
def test_every_question_wants_an_answer(portal: PortalWorld, field: str) -> None:
    """An answer that is missing is said beside its question, and costs no try."""
    client = signed_in(portal)
    page = html.fromstring(client.post(PROVE, answers() | {field: ""}).content)
    assert page.xpath(f"//a[@href='#id_{field}']")
    assert not Tries.objects.exists()


def test_examples_are_nobodys(portal: PortalWorld) -> None:
    """What a hint gives as an example is no reference of the demonstration's."""
    page = html.fromstring(signed_in(portal).get(PROVE).content)
    hints = " ".join(page.xpath("//*[contains(@class, 'govuk-hint')]/text()"))
    examples = re.findall(r"\d{5,}", hints)
    assert examples
    assert not set(examples) & {creditor["reference"] for creditor in CREDITORS}


def test_leads_to_no_other_site(portal: PortalWorld) -> None:
    """What an address says to go on to is followed within this site alone."""
    client = signed_in(portal)
    answer = client.post(f"{PROVE}?next=https://elsewhere.example/", answers())
    assert answer.headers["Location"] == "/council/landlord-payments/"


@given(name=st.text(min_size=1), other=st.text(min_size=1))
def test_names_are_the_same_by_their_letters_and_digits(name: str, other: str) -> None:
    """What is taken for the same name has the same letters and digits; case never matters."""
    plain = landlord_payments.plain
    assert plain(f" {plain(name)}. ") == plain(name)
    if plain(name) == plain(other):
        letters = [re.sub(r"[\W_]", "", plain(one)) for one in (name, other)]
        assert letters[0] == letters[1]
