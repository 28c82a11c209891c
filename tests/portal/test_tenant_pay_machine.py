"""Any history of paying, failing, returning, refunding and reconciling, with the real provider.

The provider answers over a socket and the portal keeps its own database. Whatever happens in
between, the ledger has what the provider says was paid, once, and nothing else.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pay_world import ask, choose, form_of, page_of, provider
from pretend_pay import Fault, Refund
from tenant_services.payments import govuk_pay, paying
from tenant_services.payments.models import Entry
from tenant_services.payments.pay_models import CardPayment
from tenant_services.payments.provider import ProviderError
from tenant_world import GARAGE, HOME, TARAN, TARANS, signed_in

if TYPE_CHECKING:
    from portal_world import PortalWorld
    from pretend_pay import Payment, Running

__all__ = ["provider"]

TENANCIES = [HOME, GARAGE, TARANS]
FAULTS = [fault for fault in Fault if fault is not Fault.HANGS]
CHOICES = ["pay", "pay", "pay", "decline", "wait", "cancel", "expire", "error"]
STATES = {
    "success": {"paid"},
    "failed": {"declined", "expired", "cancelled", "failed"},
    "cancelled": {"cancelled"},
    "error": {"failed"},
    "submitted": {"begun"},
    "started": {"open"},
    "created": {"open"},
}
"""What a payment may be here when it is that at the provider."""


class Paying(RuleBasedStateMachine):
    """Two tenants with three tenancies, and a provider that may fail at every step."""

    server: Running
    clients: dict[str, Client]

    begun = Bundle("begun")

    @initialize()
    def begin_afresh(self) -> None:
        """Forget every payment, here and there."""
        self.pages: dict[str, str] = {}
        self.is_down = False
        pay = self.server.pay
        pay.payments.clear()
        pay._keys.clear()
        pay.faults.clear()
        with connection.cursor() as cursor:
            # The ledger itself lets nobody remove anything.
            cursor.execute(
                "DELETE FROM tenant_services_entry WHERE kind IN ('payment', 'refund') "
                "AND (source LIKE 'payment:%' OR source LIKE 'refund:%')"
            )
            cursor.execute("DELETE FROM tenant_services_cardpayment")

    def client(self, tenancy: str) -> Client:
        """Return another window of the tenant's browser."""
        window = Client(HTTP_HOST="localhost")
        window.cookies = self.clients[tenancy].cookies.copy()  # type: ignore[assignment]
        return window

    def follow(self, payment: CardPayment, answer: Any) -> None:
        """Remember where the portal sent the tenant: there, and only there, it can be paid."""
        assert answer.status_code == 302
        location = answer.headers["Location"]
        if location.startswith("http"):
            self.pages[str(payment.pk)] = location
        else:
            assert location == page_of(payment)

    # --- what tenants do --------------------------------------------------------------------

    @rule(
        target=begun,
        tenancy=st.sampled_from(TENANCIES),
        pence=st.sampled_from([100, 101, 9550, 10_000_000]),
        times=st.sampled_from([1, 1, 2]),
    )
    def begin(self, tenancy: str, pence: int, times: int) -> str:
        """Ask for a payment, by one click or by two at once."""
        form = form_of(self.client(tenancy), tenancy)
        amount = f"{pence // 100}.{pence % 100:02}"
        answers = self.at_once(times, lambda: ask(self.client(tenancy), amount, form, tenancy))
        payment = CardPayment.objects.get(form=form)
        assert payment.pence == pence
        assert len({a.headers["Location"] for a in answers if "/secure/" in str(a.headers)}) <= 1
        for answer in answers:
            self.follow(payment, answer)
        return str(payment.pk)

    @rule(target=begun, tenancy=st.sampled_from(TENANCIES), choice=st.sampled_from(CHOICES))
    def pay(self, tenancy: str, choice: str) -> str:
        """Go all the way, if the provider is well."""
        self.mend()
        pk = self.begin(tenancy, 9550, 1)
        self.act_at_provider(pk, choice)
        self.come_back(pk, 1)
        return pk

    @rule(pk=begun, choice=st.sampled_from(CHOICES))
    def act_at_provider(self, pk: str, choice: str) -> None:
        """Do something on the provider's page, if the tenant was ever sent to one."""
        if pk in self.pages and not self.is_down:
            assert choose(self.pages[pk], choice) == page_of(pk)

    @rule(pk=begun, times=st.sampled_from([1, 1, 3]))
    def come_back(self, pk: str, times: int) -> None:
        """Look at the payment's page, in one window or in three at once."""
        tenancy = CardPayment.objects.get(pk=pk).tenancy
        for answer in self.at_once(times, lambda: self.client(tenancy).get(page_of(pk))):
            assert answer.status_code == 200

    @rule(pk=begun)
    def go_on(self, pk: str) -> None:
        """Go on with a payment."""
        payment = CardPayment.objects.get(pk=pk)
        self.follow(payment, self.client(payment.tenancy).post(page_of(pk, "continue/")))

    @rule(pk=begun)
    def cancel(self, pk: str) -> None:
        """Cancel a payment."""
        payment = CardPayment.objects.get(pk=pk)
        self.follow(payment, self.client(payment.tenancy).post(page_of(pk, "cancel/")))

    @rule(tenancy=st.sampled_from(TENANCIES))
    def look_at_all(self, tenancy: str) -> None:
        """Open the list of payments."""
        answer = self.client(tenancy).get("/my-home/rent/card-payments/")
        assert answer.status_code == 200

    # --- what others do ---------------------------------------------------------------------

    @rule(pk=begun, status=st.sampled_from(["success", "failed"]))
    def bank_answers(self, pk: str, status: str) -> None:
        """Let the bank say yes or no to what it took its time with."""
        payment = self.there(pk)
        if payment is not None and payment.status == "submitted":
            payment.end(status, "P0010" if status == "failed" else "")

    @rule(pk=begun, part=st.sampled_from([1, 50, 100]))
    def refund(self, pk: str, part: int) -> None:
        """Pay some of a payment back."""
        payment = CardPayment.objects.get(pk=pk)
        with suppress(ProviderError):
            paying.refund(payment, payment.pence * part // 100)

    @rule(pk=begun, status=st.sampled_from(["submitted", "error"]))
    def refund_elsewhere(self, pk: str, status: str) -> None:
        """Pay a penny back by the provider's own tool."""
        payment = self.there(pk)
        if payment is not None and payment.refundable:
            now = self.server.pay._now()
            payment.refunds.append(Refund(secrets.token_hex(13), payment.id, 1, now, status))

    @rule()
    def reconcile(self) -> None:
        """Run the command; it may fail."""
        with suppress(CommandError):
            call_command("reconcile_payments", verbosity=0, stdout=_Nowhere())

    # --- what goes wrong --------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS))
    def break_(self, fault: Fault) -> None:
        """Let the provider have a fault, until it is mended."""
        self.server.pay.faults = {fault}

    @rule()
    def mend(self) -> None:
        """Let the provider be well again."""
        self.server.pay.faults.clear()
        if self.is_down:
            self.server.up()
            self.is_down = False

    @precondition(lambda self: not self.is_down)
    @rule()
    def go_down(self) -> None:
        """Let the provider refuse connections."""
        self.server.down()
        self.is_down = True

    # --- what holds -------------------------------------------------------------------------

    def there(self, pk: str) -> Payment | None:
        """Return the provider's payment that the portal knows."""
        known = CardPayment.objects.get(pk=pk).provider_id
        return self.server.pay.payments[known] if known else None

    @staticmethod
    def at_once(times: int, act: Any) -> list[Any]:
        """Do something as often at the same time."""
        if times == 1:
            return [act()]

        def done() -> Any:
            try:
                return act()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(times) as pool:
            return [future.result() for future in [pool.submit(done) for _ in range(times)]]

    def paid(self) -> dict[str, tuple[str, int]]:
        """Return what the provider says was paid: the tenancy and the amount."""
        return {
            f"payment:{one.id}": (one.asked["reference"].rpartition("-")[0], one.amount)
            for one in self.server.pay.payments.values()
            if one.status == "success"
        }

    def paid_back(self) -> dict[str, tuple[str, int]]:
        """Return what the provider says got back to cards."""
        return {
            f"refund:{back.id}": (one.asked["reference"].rpartition("-")[0], -back.amount)
            for one in self.server.pay.payments.values()
            for back in one.refunds
            if back.status == "success"
        }

    @invariant()
    def ledger_has_nothing_else(self) -> None:
        """Every entry is of a payment that was paid or a refund that was done, to the penny."""
        if hasattr(self, "pages"):
            assert entered().items() <= (self.paid() | self.paid_back()).items()

    def teardown(self) -> None:
        """When all is well again, reconciling enters everything, and again changes nothing."""
        if not hasattr(self, "pages"):
            return
        self.mend()
        for _ in range(3):  # a refund is on its way when it is first asked about
            call_command("reconcile_payments", verbosity=0, stdout=_Nowhere())
        assert entered() == self.paid() | self.paid_back()
        for payment in CardPayment.objects.all():
            if payment.provider_id is None:
                assert payment.state in ("new", "failed", "cancelled")
            else:
                status = self.server.pay.payments[payment.provider_id].status
                assert payment.state in STATES[status]


class _Nowhere:
    def write(self, text: str) -> None:
        """Forget it."""


def entered() -> dict[str, tuple[str, int]]:
    """Return the ledger's entries of card payments and refunds."""
    found = Entry.objects.filter(source__regex="^(payment|refund):")
    return {entry.source: (entry.tenancy, entry.pence) for entry in found}


def run(
    portal: PortalWorld,
    server: Running,
    monkeypatch: pytest.MonkeyPatch,
    examples: int,
    steps: int,
) -> None:
    """Try so many histories of so many steps."""
    monkeypatch.setattr(govuk_pay, "PAUSE_SECONDS", 0.0)
    tessa = signed_in(portal)
    machine = type(
        "PayingHere",
        (Paying,),
        {
            "server": server,
            "clients": {HOME: tessa, GARAGE: tessa, TARANS: signed_in(portal, TARAN)},
        },
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_ledger_has_what_was_paid(
    portal: PortalWorld, provider: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens, each payment that the provider took is credited exactly once."""
    run(portal, provider, monkeypatch, 15, 25)


@pytest.mark.exhaustive
def test_ledger_has_what_was_paid_in_many_histories(
    portal: PortalWorld, provider: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, in many more and longer histories."""
    run(portal, provider, monkeypatch, 200, 50)
