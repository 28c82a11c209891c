"""Paying by card: each way that it can end, once, whatever goes wrong on the way."""

from __future__ import annotations

import logging
import re
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from demo_portal import clock
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from landlord_portal.management.commands.serve import Command as Serve
from pay_world import (
    KEY,
    SECONDS,
    ask,
    begin,
    choose,
    entries,
    form_of,
    page_of,
    pay_page,
    provided,
    provider,
    text_of,
)
from pretend_pay import Fault, Refund
from tenant_services.payments import govuk_pay, ledger, paying
from tenant_services.payments.models import Entry
from tenant_services.payments.pay_models import CardPayment
from tenant_services.payments.provider import payment_provider
from tenant_services.profile.customers_sql import tenants
from tenant_world import GARAGE, HOME, TARAN, TARANS, TESSA, change_customers, signed_in
from test_security import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal_world import PortalWorld
    from pretend_pay import Payment, Running

__all__ = ["provider"]

State = CardPayment.State
NOTHING_TAKEN = {"en": "No money was taken", "cy": "Ni chymerwyd unrhyw arian"}
DO_NOT_PAY = {"en": "Do not pay again", "cy": "Peidiwch â thalu eto"}


@pytest.fixture
def client(portal: PortalWorld, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Give Tessa's browser; the portal does not pause before it asks again."""
    monkeypatch.setattr(govuk_pay, "PAUSE_SECONDS", 0.0)
    return signed_in(portal)


def at_provider(server: Running, payment: CardPayment) -> Payment:
    """Return what the provider knows of a payment."""
    return server.pay.payments[str(payment.provider_id)]


def command(name: str, *args: str) -> str:
    """Run a command; return what it says."""
    said = StringIO()
    call_command(name, *args, stdout=said)
    return said.getvalue()


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do several things at the same time; return what each came to."""

    def act(one: Callable[[], Any]) -> Any:
        try:
            return one()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def twin(client: Client) -> Client:
    """Return another window of the same browser."""
    other = Client(HTTP_HOST="localhost")
    other.cookies = client.cookies.copy()  # type: ignore[assignment]
    return other


# --- how much -------------------------------------------------------------------------------


def test_what_is_owed_is_suggested(client: Client, provider: Running) -> None:
    """A tenancy that is behind suggests by how much; one that is ahead suggests nothing."""
    for tenancy in (HOME, GARAGE):
        owed = -ledger.balance(tenancy)
        page = client.get(pay_page(tenancy)).content.decode()
        suggested = re.search(r'name="amount"[^>]*?value="([^"]*)"', page)
        assert (suggested[1] if suggested else "") == (
            f"{owed // 100}.{owed % 100:02}" if owed >= 100 else ""
        )
    assert ledger.balance(GARAGE) < -100


WRONG = [
    ("", "Enter how much you want to pay", "Rhowch faint rydych chi eisiau ei dalu"),
    ("0.99", "£1 or more", "£1 neu fwy"),
    ("0", "£1 or more", "£1 neu fwy"),
    ("100000.01", "£100,000 or less", "£100,000 neu lai"),
    ("9999999.99", "£100,000 or less", "£100,000 neu lai"),
    *(
        (text, "pounds and pence, like 95.50", "punnoedd a cheiniogau")
        for text in (
            "-5",
            "1.234",
            "12.3",
            "1e3",
            "NaN",
            "Infinity",
            "£",
            "٣",
            "=1+1",
            "<script>alert(1)</script>",
            "ŵy",
            "9" * 5000,
        )
    ),
]


def test_wrong_amount_is_explained(client: Client, provider: Running) -> None:
    """In both languages, beside what was typed; nothing is kept and nobody is asked."""
    form = form_of(client)
    for amount, *words in WRONG:
        for lang, word in zip(("en", "cy"), words, strict=True):
            client.cookies["django_language"] = lang
            answer = ask(client, amount, form)
            assert answer.status_code == 200
            assert word in text_of(answer), amount
            assert re.search("<title>\\s*(Error|Gwall):", answer.content.decode())
            assert "<script>alert" not in answer.content.decode()
    assert not CardPayment.objects.exists()
    assert not provider.pay.requests


def test_null_byte_is_no_amount(client: Client, provider: Running) -> None:
    """It is refused like other nonsense, in the amount and in the form's number."""
    assert ask(client, "12.34\x00").status_code == 200
    assert ask(client, "12.34", form="\x00").status_code == 200
    assert not CardPayment.objects.exists()


def test_right_amounts_are_asked_for_to_the_penny(client: Client, provider: Running) -> None:
    """The smallest, the largest, with a pound sign and with commas."""
    right = {"1": 100, "1.00": 100, "£1,234.50": 123_450, "100000": 10_000_000, " 95.50 ": 9550}
    for amount, pence in right.items():
        payment, _page = begin(client, amount)
        assert payment.pence == at_provider(provider, payment).amount == pence


# --- how it ends ----------------------------------------------------------------------------

ENDS = [
    ("pay", State.PAID, "Payment received", "Taliad wedi"),
    ("decline", State.DECLINED, "Your card was declined", "Gwrthodwyd eich cerdyn"),
    ("cancel", State.CANCELLED, "The payment was cancelled", "Cafodd y taliad ei ganslo"),
    ("expire", State.EXPIRED, "ran out of time", "Daeth yr amser"),
    ("error", State.FAILED, "The payment failed", "Methodd y taliad"),
    ("wait", State.BEGUN, "Your bank is dealing", "Mae eich banc yn delio"),
]


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_every_end_is_told(client: Client, provider: Running, lang: str) -> None:
    """The page says what became of it, whether money was taken, and what to do."""
    client.cookies["django_language"] = lang
    for choice, state, *headings in ENDS:
        before = ledger.balance(HOME)
        payment, page = begin(client, "95.50")
        said = text_of(client.get(choose(page, choice)))
        payment.refresh_from_db()
        assert payment.state == state
        assert headings[lang == "cy"] in said
        assert payment.reference in said
        assert ledger.balance(HOME) == before + (9550 if choice == "pay" else 0)
        assert (NOTHING_TAKEN[lang] in said) == (choice not in ("pay", "wait"))
        assert (DO_NOT_PAY[lang] in said) == (choice == "wait")
        assert payment.is_finished == (choice != "wait")
        assert payment.reference in text_of(client.get("/my-home/rent/card-payments/"))
    assert entries() == [9550]


def test_provider_speaks_the_tenants_language(client: Client, provider: Running) -> None:
    """What is asked for is in Welsh when the tenant reads Welsh, and the same when it is resent."""
    client.cookies["django_language"] = "cy"
    form = form_of(client)
    ask(client, form=form)
    client.cookies["django_language"] = "en"
    ask(client, form=form)
    first, *others = [body for _method, _path, _headers, body in provider.pay.requests if body]
    assert (first["language"], first["description"]) == ("cy", f"Cyfrif rhent {HOME}")
    assert all(other == first for other in others)
    payment, _page = begin(client)
    asked = at_provider(provider, payment).asked
    assert (asked["language"], asked["description"]) == ("en", f"Rent account {HOME}")
    assert asked["reference"] == payment.reference
    assert asked["return_url"] == f"http://localhost{page_of(payment)}"


def test_payment_shows_on_the_account(client: Client, provider: Running) -> None:
    """The rent account has it as a payment by card, in the language of who looks."""
    _payment, page = begin(client, "95.50")
    client.get(choose(page, "pay"))
    [entry] = ledger.entries(HOME).filter(source__startswith="payment:")
    assert (entry.kind, entry.pence, entry.detail_en) == (Entry.Kind.PAYMENT, 9550, "Card payment")
    assert "Card payment" in text_of(client.get(f"/my-home/rent/{HOME}/"))


# --- once -----------------------------------------------------------------------------------


def test_returning_again_and_again_credits_once(client: Client, provider: Running) -> None:
    """By the page, the list, the form and the command; afterwards the provider is not asked."""
    payment, page = begin(client)
    back = choose(page, "pay")
    for _ in range(3):
        assert "Payment received" in text_of(client.get(back))
        client.get("/my-home/rent/card-payments/")
        command("reconcile_payments")
    assert entries() == [1234]
    provider.pay.requests.clear()
    assert client.post(page_of(payment, "continue/")).headers["Location"] == page_of(payment)
    assert client.post(page_of(payment, "cancel/")).headers["Location"] == page_of(payment)
    assert not provider.pay.requests
    payment.refresh_from_db()
    assert payment.state == State.PAID


@pytest.mark.parametrize("times", [2, pytest.param(12, marks=pytest.mark.exhaustive)])
def test_everybody_at_once_credits_once(client: Client, provider: Running, times: int) -> None:
    """Returns, continuing, cancelling and reconciling in parallel enter the payment once."""
    for _ in range(times):
        payment, page = begin(client)
        back = choose(page, "pay")
        before = entries()
        windows = [twin(client) for _ in range(6)]
        answers = at_once(
            *(partial(window.get, back) for window in windows[:4]),
            partial(windows[4].post, page_of(payment, "cancel/")),
            partial(windows[5].post, page_of(payment, "continue/")),
            partial(command, "reconcile_payments"),
        )
        assert all("Payment received" in text_of(answer) for answer in answers[:4])
        assert entries() == [*before, 1234]


def test_what_was_told_before_changes_nothing_after(client: Client, provider: Running) -> None:
    """An answer from before the payment, read by somebody slow, does not open it again."""
    payment, page = begin(client)
    before = payment_provider().state(str(payment.provider_id))
    client.get(choose(page, "pay"))
    paying.settle(payment, before)
    payment.refresh_from_db()
    assert (payment.state, entries()) == (State.PAID, [1234])


def test_payment_and_ledger_are_written_together(client: Client, provider: Running) -> None:
    """Where the payment's record cannot be written, the ledger has no entry either."""
    payment, page = begin(client)
    back = choose(page, "pay")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON tenant_services_cardpayment "
            "WHEN NEW.state = 'paid' BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    client.raise_request_exception = False
    assert client.get(back).status_code == 500
    payment.refresh_from_db()
    assert (payment.state, entries()) == (State.OPEN, [])
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER full")
    client.get(back)
    assert entries() == [1234]


@pytest.mark.parametrize("forgets", [False, True])
def test_double_click_is_one_payment(client: Client, provider: Running, forgets: bool) -> None:
    """All lead to pay the same payment, even if the provider heeds no key and makes several."""
    provider.pay.faults = {Fault.FORGETS_KEYS} if forgets else set()
    form = form_of(client)
    windows = [twin(client) for _ in range(4)]
    answers = at_once(*(partial(ask, window, form=form) for window in windows))
    [page] = {answer.headers["Location"] for answer in answers}
    payment = CardPayment.objects.get()
    assert page == f"{provider.pay.address}/secure/{at_provider(provider, payment).token}"
    assert len(provider.pay.payments) == 1 or forgets
    client.get(choose(page, "pay"))
    assert command("reconcile_payments") == "0 finished, 0 still open\n"
    assert entries() == [1234]


def test_form_sent_again_after_paying_shows_the_payment(client: Client, provider: Running) -> None:
    """Going back in the browser and sending the same again does not pay twice."""
    form = form_of(client)
    page = ask(client, form=form).headers["Location"]
    back = choose(page, "pay")
    assert ask(client, form=form).headers["Location"] == back
    assert "Payment received" in text_of(client.get(back))
    assert ask(client, form=form).headers["Location"] == back
    assert entries() == [1234]


def test_another_amount_is_another_payment(client: Client, provider: Running) -> None:
    """Going back and changing one's mind does not pay what was asked for first."""
    form = form_of(client)
    first = ask(client, "100", form=form).headers["Location"]
    second = ask(client, "50", form=form).headers["Location"]
    assert first != second
    client.get(choose(second, "pay"))
    assert entries() == [5000]
    assert "not finished" in text_of(client.get(pay_page()))


# --- whose it is ----------------------------------------------------------------------------


def test_account_that_is_no_longer_theirs_is_not_told(client: Client, provider: Running) -> None:
    """Who lost a tenancy still sees what they paid, not how its account goes on."""
    payment, page = begin(client)
    client.get(choose(page, "pay"))
    change_customers(tenants.delete().where(tenants.c.tenancy == HOME))
    assert client.get(f"/my-home/rent/{HOME}/").status_code == 404
    said = text_of(client.get(page_of(payment)))
    assert "We have added £12.34 to your rent account." in said
    assert ledger.standing(ledger.balance(HOME)) not in said


def test_payment_is_nobody_elses(portal: PortalWorld, client: Client, provider: Running) -> None:
    """Its pages are not there for another tenant, nor does its form's number lead to it."""
    form = form_of(client)
    page = ask(client, form=form).headers["Location"]
    payment = CardPayment.objects.get()
    choose(page, "pay")
    other = signed_in(portal, TARAN)
    assert other.get(page_of(payment)).status_code == 404
    for end in ("continue/", "cancel/"):
        assert other.post(page_of(payment, end)).status_code == 404
        assert client.get(page_of(payment, end)).status_code == 405
    assert payment.reference not in text_of(other.get("/my-home/rent/card-payments/"))
    assert other.get(pay_page(HOME)).status_code == 404
    assert other.post(pay_page(HOME), {"amount": "5", "form": form}).status_code == 404
    theirs = ask(other, form=form, tenancy=TARANS).headers["Location"]
    assert theirs != page
    assert not entries(TARANS)
    assert CardPayment.objects.count() == 2
    assert client.get(page_of(str(uuid.uuid4()))).status_code == 404
    assert portal.client().get(page_of(payment)).status_code == 302


# --- when something is wrong ----------------------------------------------------------------


def test_provider_down_before_paying(client: Client, provider: Running) -> None:
    """The page says that nothing was taken; trying again pays the same payment."""
    provider.down()
    answer = ask(client)
    payment = CardPayment.objects.get()
    assert answer.headers["Location"] == page_of(payment)
    said = text_of(client.get(page_of(payment)))
    assert NOTHING_TAKEN["en"] in said
    assert "Try again" in said
    assert client.post(page_of(payment, "continue/")).headers["Location"] == page_of(payment)
    provider.up()
    page = client.post(page_of(payment, "continue/")).headers["Location"]
    client.get(choose(page, "pay"))
    assert entries() == [1234]
    assert CardPayment.objects.count() == len(provider.pay.payments) == 1


@pytest.mark.parametrize("fault", [Fault.FAILS_AFTER_CREATING, Fault.HANGS, Fault.TALKS_NONSENSE])
def test_answer_lost_while_starting(client: Client, provider: Running, fault: Fault) -> None:
    """Whatever the provider did, going on is one payment there, and nobody waits for long."""
    provider.pay.faults.add(fault)
    began = time.monotonic()
    ask(client)
    assert time.monotonic() - began < 2 * SECONDS + 3
    payment = CardPayment.objects.get()
    assert payment.state == State.NEW
    provider.pay.released.set()
    provider.pay.faults.clear()
    page = client.post(page_of(payment, "continue/")).headers["Location"]
    client.get(choose(page, "pay"))
    assert entries() == [1234]
    assert len(provider.pay.payments) == 1


@pytest.mark.parametrize(
    ("way", "lang"),
    [("page", "en"), ("page", "cy"), ("list", "en"), ("form", "en"), ("command", "en")],
)
def test_provider_down_after_paying(client: Client, provider: Running, way: str, lang: str) -> None:
    """The page says not to pay twice; whoever asks next when it is up enters the payment."""
    client.cookies["django_language"] = lang
    provider.pay.faults.add(Fault.DOWN_AFTER_PAYING)
    payment, page = begin(client)
    said = text_of(client.get(choose(page, "pay")))
    assert DO_NOT_PAY[lang] in said
    assert NOTHING_TAKEN[lang] not in said
    assert entries() == []
    provider.down()
    assert DO_NOT_PAY[lang] in text_of(client.get(page_of(payment)))
    listed = text_of(client.get("/my-home/rent/card-payments/"))
    assert payment.reference in listed
    assert DO_NOT_PAY[lang] in listed
    assert page_of(payment) in client.get(pay_page()).content.decode()
    with pytest.raises(CommandError, match="cannot be asked"):
        command("reconcile_payments")
    provider.up()
    provider.pay.faults.clear()
    {
        "page": lambda: client.get(page_of(payment)),
        "list": lambda: client.get("/my-home/rent/card-payments/"),
        "form": lambda: client.get(pay_page()),
        "command": lambda: command("reconcile_payments"),
    }[way]()
    payment.refresh_from_db()
    assert (payment.state, entries()) == (State.PAID, [1234])


def test_tenant_who_never_comes_back_is_credited(client: Client, provider: Running) -> None:
    """The command finishes what was paid, and what was not."""
    pages = [begin(client)[1] for _ in range(2)]
    for page, choice in zip(pages, ("pay", "decline"), strict=True):
        choose(page, choice)
    assert command("reconcile_payments") == "2 finished, 0 still open\n"
    assert entries() == [1234]
    assert set(CardPayment.objects.values_list("state", flat=True)) == {State.PAID, State.DECLINED}


def test_one_payment_holds_up_no_other(client: Client, provider: Running) -> None:
    """What the provider cannot tell of one, time and again, leaves the others to be finished."""
    paid, page = begin(client)
    for _ in range(paying.PATIENCE - 1):
        at_provider(provider, begin(client)[0]).status = "nobody knows"
    choose(page, "pay")
    refunded = at_provider(provider, paid)
    refunded.refunds.append(Refund("abc", refunded.id, 5, clock.now().timestamp(), "success"))
    assert command("reconcile_payments") == f"1 finished, {paying.PATIENCE - 1} still open\n"
    assert (entries(), entries(kind=Entry.Kind.REFUND)) == ([1234], [-5])
    begin(client)
    provider.pay.faults.add(Fault.FAILS)
    provider.pay.requests.clear()
    with pytest.raises(CommandError, match="cannot be asked"):
        command("reconcile_payments")
    assert len(provider.pay.requests) == 2 * paying.PATIENCE


def test_payment_left_alone_runs_out_of_time(client: Client) -> None:
    """After ninety minutes the provider ends it, and the command hears of it."""
    now = [clock.now().timestamp()]
    with provided(now=lambda: now[0]):
        payment, page = begin(client)
        assert "You have not finished paying" in text_of(client.get(page_of(payment)))
        assert command("reconcile_payments") == "0 finished, 1 still open\n"
        now[0] += 91 * 60
        assert command("reconcile_payments") == "1 finished, 0 still open\n"
        assert "ran out of time" in text_of(client.get(page_of(payment)))
        choose(page, "pay")
        assert entries() == []


def test_bank_that_takes_its_time_pays_once(client: Client, provider: Running) -> None:
    """What is with the bank cannot be cancelled or paid again; when it pays, it is entered."""
    payment, page = begin(client)
    client.get(choose(page, "wait"))
    assert client.post(page_of(payment, "continue/")).headers["Location"] == page_of(payment)
    said = text_of(client.get(client.post(page_of(payment, "cancel/")).headers["Location"]))
    assert "Your bank is dealing" in said
    at_provider(provider, payment).end("success")
    assert "Payment received" in text_of(client.get(page_of(payment)))
    assert entries() == [1234]


def test_tenant_cancels(client: Client, provider: Running) -> None:
    """What is not finished is cancelled at the provider too; what was paid is paid."""
    payment, page = begin(client)
    client.post(page_of(payment, "cancel/"))
    assert at_provider(provider, payment).status == "cancelled"
    assert NOTHING_TAKEN["en"] in text_of(client.get(page_of(payment)))
    paid, page = begin(client)
    choose(page, "pay")
    client.post(page_of(paid, "cancel/"))
    assert entries() == [1234]
    provider.down()
    ask(client)
    unasked = CardPayment.objects.get(state=State.NEW)
    client.post(page_of(unasked, "cancel/"))
    unasked.refresh_from_db()
    assert unasked.state == State.CANCELLED
    provider.up()
    assert client.post(page_of(unasked, "continue/")).headers["Location"] == page_of(unasked)
    assert len(provider.pay.payments) == 2


def test_what_another_window_began_is_not_given_up(client: Client, provider: Running) -> None:
    """Cancelling in a window that knows nothing of it leaves alone what can be paid."""
    provider.down()
    ask(client)
    provider.up()
    here, there = CardPayment.objects.get(), CardPayment.objects.get()
    page = paying.way_on(here)
    paying.cancel(there)
    assert (there.state, there.provider_id) == (State.OPEN, here.provider_id)
    client.get(choose(str(page), "pay"))
    assert entries() == [1234]


def test_refused_payment_failed(client: Client, provider: Running) -> None:
    """A wrong key takes no money; the page says so, and another payment may follow."""
    settings.PORTAL_PAY_KEY = "wrong"
    ask(client)
    payment = CardPayment.objects.get()
    assert payment.state == State.FAILED
    assert NOTHING_TAKEN["en"] in text_of(client.get(page_of(payment)))
    assert not provider.pay.payments


def test_key_that_is_wrong_later_decides_nothing(client: Client, provider: Running) -> None:
    """What was paid is found when the key is right again."""
    payment, page = begin(client)
    back = choose(page, "pay")
    settings.PORTAL_PAY_KEY = "wrong"
    assert DO_NOT_PAY["en"] in text_of(client.get(back))
    with pytest.raises(CommandError, match="cannot be asked"):
        command("reconcile_payments")
    payment.refresh_from_db()
    assert payment.state == State.OPEN
    settings.PORTAL_PAY_KEY = KEY
    client.get(back)
    assert entries() == [1234]


def test_no_provider_is_like_one_that_is_down(client: Client) -> None:
    """Where the settings name none, no money is taken and nothing breaks."""
    ask(client)
    assert NOTHING_TAKEN["en"] in text_of(client.get(page_of(CardPayment.objects.get())))
    with pytest.raises(CommandError, match="cannot be asked"):
        command("reconcile_payments")


WRONG_TELLINGS = [{"amount": 123_400}, {"reference": f"{TARANS}-0"}, {"metadata": {"payment": "x"}}]


@pytest.mark.parametrize("telling", [*WRONG_TELLINGS, None])
def test_what_does_not_match_is_flagged_and_not_credited(
    client: Client, provider: Running, telling: dict[str, Any] | None
) -> None:
    """Another amount, reference or key, or a payment the provider does not know."""
    payment, page = begin(client)
    back = choose(page, "pay")
    told = provider.pay.payments.pop(str(payment.provider_id))
    right = dict(told.asked)
    if telling:
        told.asked.update(telling)
        provider.pay.payments[told.id] = told
    for _ in range(2):
        said = text_of(client.get(back))
        assert "We are looking into your payment" in said
        assert DO_NOT_PAY["en"] in said
        with pytest.raises(CommandError, match="1 payments whose provider tells something else"):
            command("reconcile_payments")
    assert entries() == entries(TARANS) == []
    assert client.post(page_of(payment, "continue/")).headers["Location"] == page_of(payment)
    provider.pay.payments[told.id] = told
    told.asked.update(right)
    assert "Payment received" in text_of(client.get(back))
    assert entries() == [1234]


def test_anothers_payment_is_never_credited(
    portal: PortalWorld, client: Client, provider: Running
) -> None:
    """A provider that mixes two payments up credits neither with the other's."""
    mine, page = begin(client, "10")
    other = signed_in(portal, TARAN)
    theirs, _page = begin(other, "10", TARANS)
    choose(page, "pay")
    pay = provider.pay
    own, others = str(mine.provider_id), str(theirs.provider_id)
    pay.payments[own], pay.payments[others] = pay.payments[others], pay.payments[own]
    client.get(page_of(mine))
    other.get(page_of(theirs))
    assert entries() == entries(TARANS) == []
    assert set(CardPayment.objects.values_list("state", flat=True)) == {State.FLAGGED}


def test_name_that_another_payment_has_leads_nowhere(client: Client, provider: Running) -> None:
    """A provider that gives two payments one name leads nobody to pay: the second failed."""
    first, _page = begin(client)
    second = paying.keep(
        first.account,
        HOME,
        500,
        form=uuid.uuid4(),
        language="en",
        return_url=lambda _made: "http://x.example/",
    )
    told = at_provider(provider, first)
    told.asked |= {"amount": 500, "reference": second.reference}
    told.asked["metadata"] = {"payment": str(second.pk)}
    provider.pay._keys[str(second.pk)] = (_body(provider, second), told)
    assert client.post(page_of(second, "continue/")).headers["Location"] == page_of(second)
    second.refresh_from_db()
    assert (second.state, second.provider_id) == (State.FAILED, None)
    assert NOTHING_TAKEN["en"] in text_of(client.get(page_of(second)))


def _body(server: Running, payment: CardPayment) -> dict[str, Any]:
    return {
        "amount": payment.pence,
        "reference": payment.reference,
        "description": f"Rent account {HOME}",
        "return_url": "http://x.example/",
        "language": "en",
        "metadata": {"payment": str(payment.pk)},
    }


def test_ledger_that_has_another_entry_is_flagged(client: Client, provider: Running) -> None:
    """Neither the payment nor the ledger changes when what is there is something else."""
    payment, page = begin(client)
    ledger.credit(TARANS, 1, source=f"payment:{payment.provider_id}")
    assert "We are looking into" in text_of(client.get(choose(page, "pay")))
    assert (entries(), entries(TARANS)) == ([], [1])


# --- reconciling and refunds ----------------------------------------------------------------


def test_payment_never_started_is_given_up(
    portal: PortalWorld, client: Client, provider: Running
) -> None:
    """After two hours; going on then leads nowhere, for it could have been given up meanwhile."""
    provider.down()
    ask(client)
    payment = CardPayment.objects.get()
    provider.up()
    assert command("reconcile_payments") == "0 finished, 1 still open\n"
    portal.clock.move_to(portal.clock.now() + timedelta(hours=2, seconds=1))
    assert command("reconcile_payments") == "1 finished, 0 still open\n"
    assert paying.way_on(payment) is None
    payment.refresh_from_db()
    assert (payment.state, payment.provider_id) == (State.FAILED, None)


def test_refund_is_debited_once(client: Client, provider: Running) -> None:
    """When it got to the card, however often the command runs; part by part, never too much."""
    payment, page = begin(client, "50")
    client.get(choose(page, "pay"))
    before = ledger.balance(HOME)
    assert command("refund_payment", str(payment.pk), "20") == "on its way back\n"
    assert entries(kind=Entry.Kind.REFUND) == []
    for _ in range(3):
        at_provider(provider, payment).refunds[0].status = "success"
        command("reconcile_payments")
        assert entries(kind=Entry.Kind.REFUND) == [-2000]
    with pytest.raises(CommandError, match="412 P0604"):
        command("refund_payment", str(payment.pk), "30.01")
    command("refund_payment", str(payment.pk), "30")
    with pytest.raises(CommandError, match="refused"):
        command("refund_payment", str(payment.pk), "1")
    command("reconcile_payments")
    command("reconcile_payments")
    assert entries(kind=Entry.Kind.REFUND) == [-2000, -3000]
    assert ledger.balance(HOME) == before - 5000


def test_refund_whose_answer_was_lost_is_debited_once(client: Client, provider: Running) -> None:
    """The command says that it does not know; the reconciliation does."""
    payment, page = begin(client, "50")
    client.get(choose(page, "pay"))
    provider.pay.faults.add(Fault.FAILS_AFTER_REFUNDING)
    with pytest.raises(CommandError, match="not known"):
        command("refund_payment", str(payment.pk), "20")
    provider.pay.faults.clear()
    for _ in range(3):
        command("reconcile_payments")
    assert entries(kind=Entry.Kind.REFUND) == [-2000]


def test_refund_that_failed_is_not_debited(client: Client, provider: Running) -> None:
    """It never got to the card."""
    payment, page = begin(client, "50")
    client.get(choose(page, "pay"))
    command("refund_payment", str(payment.pk), "20")
    at_provider(provider, payment).refunds[0].status = "error"
    command("reconcile_payments")
    assert entries(kind=Entry.Kind.REFUND) == []


def test_refund_of_another_service_is_told(client: Client, provider: Running) -> None:
    """Of a payment that is not ours nothing is entered, and the command says so."""
    payment, page = begin(client)
    client.get(choose(page, "pay"))
    now = clock.now().timestamp()
    at_provider(provider, payment).refunds.append(Refund("abc", "elsewhere", 5, now))
    with pytest.raises(CommandError, match="1 refunds of other payments"):
        command("reconcile_payments")
    assert entries(kind=Entry.Kind.REFUND) == []


def test_refund_of_no_amount_is_refused(client: Client, provider: Running) -> None:
    """Before anybody is asked."""
    payment, _page = begin(client)
    for amount in ("0", "-1", "1.001", "x", "NaN", "Infinity", "1e400", "100000.01"):
        with pytest.raises(CommandError, match="amount"):
            command("refund_payment", "--", str(payment.pk), amount)


def test_refund_needs_a_payment_that_was_paid(client: Client, provider: Running) -> None:
    """Neither one that is open nor one that is not there."""
    payment, _page = begin(client)
    with pytest.raises(CommandError, match="refused"):
        command("refund_payment", str(payment.pk), "1")
    with pytest.raises(CommandError, match="no such"):
        command("refund_payment", str(uuid.uuid4()), "1")


# --- what browsers and logs are told --------------------------------------------------------


def test_forms_lead_to_the_provider_where_they_must(client: Client, provider: Running) -> None:
    """The two pages that lead there may; every other form leads to this site alone."""

    def allowed(path: str, sent: dict[str, str] | None = None) -> str:
        answer = client.get(path) if sent is None else client.post(path, sent)
        policy = answer.headers["Content-Security-Policy"]
        return re.search("form-action ([^;]*)", policy)[1]  # type: ignore[index]

    payment, _page = begin(client)
    origin = provider.pay.address
    for path, sent in ((pay_page(), None), (pay_page(), {"amount": "x"}), (page_of(payment), None)):
        assert allowed(path, sent) == f"'self' {origin}"
    for path in ("/my-home/", "/my-home/rent/", f"/my-home/rent/{HOME}/"):
        assert allowed(path) == "'self'"
    assert allowed("/my-home/rent/card-payments/") == "'self'"


def test_no_log_tells_of_payers(
    client: Client, provider: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, neither key nor person, tenancy, amount or reference is written."""
    with caplog.at_level(logging.INFO):
        payment, page = begin(client, "95.50")
        client.get(choose(page, "wait"))
        for fault in Fault:
            provider.pay.faults = {fault}
            provider.pay.released.set()
            ask(client, "77.77")
            client.get(page_of(payment))
        provider.pay.faults.clear()
        at_provider(provider, payment).asked["amount"] = 1
        client.get(page_of(payment))
        provider.down()
        client.get(page_of(payment))
    assert "the payment provider failed" in caplog.text
    portals = "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("http")
    )
    for secret in ("95.5", "9550", "7777", "77.77", HOME, payment.reference, TESSA, "Tessa"):
        assert secret not in portals
    assert KEY not in caplog.text


def test_portal_that_is_served_has_a_provider(portal: PortalWorld, client: Client) -> None:
    """Where the settings name none, one that pretends runs as long, and commands can find it."""
    before = (settings.PORTAL_PAY_API, settings.PORTAL_PAY_KEY, settings.PORTAL_PAY_PAGES)
    said = StringIO()
    try:
        with Serve(stdout=said)._provider():  # type: ignore[arg-type]
            choose(begin(client)[1], "pay")
            told = dict(re.findall(r"(PORTAL_PAY_[A-Z]+)=(\S+)", said.getvalue()))
            command_line = run(portal.home, "manage.py", "reconcile_payments", **told)
            done = subprocess.run(**command_line, stdout=subprocess.PIPE, check=True)
            assert done.stdout == "1 finished, 0 still open\n"
            assert entries() == [1234]
            payment, page = begin(client)
            client.get(choose(page, "pay"))
            other, _page = begin(client)
        assert DO_NOT_PAY["en"] in text_of(client.get(page_of(other)))
    finally:
        settings.PORTAL_PAY_API, settings.PORTAL_PAY_KEY, settings.PORTAL_PAY_PAGES = before
    for name, *args in (["reconcile_payments"], ["refund_payment", str(payment.pk), "1"]):
        with pytest.raises(CommandError, match="PORTAL_PAY_API is not set"):
            command(name, *args)
