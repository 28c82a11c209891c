"""Any history of paying, failing, returning, refunding and reconciling, with the real provider.

The provider answers over a socket and the portal keeps its own database. Whatever happens in
between, the ledger has what the provider says was paid, once, and nothing else.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
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
    from collections.abc import Iterator

    from portal_world import PortalWorld
    from pretend_pay import Payment, Running

__all__ = ["provider"]

TENANCIES = [HOME, GARAGE, TARANS]
DOWN = "down"
TROUBLES = [DOWN, *(one for one in Fault if one not in (Fault.HANGS, Fault.DOWN_AFTER_PAYING))]
TROUBLE = st.one_of(st.none(), st.none(), st.sampled_from(TROUBLES))
"""What the provider suffers from during a step; mostly nothing."""
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

    @contextmanager
    def suffering(self, trouble: Fault | str | None) -> Iterator[None]:
        """Let the provider have a trouble for a while."""
        self.server.pay.faults = {trouble} if isinstance(trouble, Fault) else set()
        if trouble == DOWN:
            self.server.down()
        try:
            yield
        finally:
            if trouble == DOWN:
                self.server.up()
            self.server.pay.faults.clear()

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
        trouble=TROUBLE,
        choice=st.none() | st.sampled_from(CHOICES),
    )
    def begin(
        self, tenancy: str, pence: int, times: int, trouble: Fault | str | None, choice: str | None
    ) -> str:
        """Ask for a payment, by one click or by two at once; often pay it, and never come back."""
        form = form_of(self.client(tenancy), tenancy)
        amount = f"{pence // 100}.{pence % 100:02}"
        with self.suffering(trouble):
            answers = self.at_once(times, lambda: ask(self.client(tenancy), amount, form, tenancy))
        payment = CardPayment.objects.get(form=form)
        assert payment.pence == pence
        assert len({a.headers["Location"] for a in answers if "/secure/" in str(a.headers)}) <= 1
        for answer in answers:
            self.follow(payment, answer)
        if choice:
            self.act_at_provider(str(payment.pk), choice)
        return str(payment.pk)

    @rule(pk=begun, choice=st.sampled_from(CHOICES))
    def act_at_provider(self, pk: str, choice: str) -> None:
        """Do something on the provider's page, if the tenant was ever sent to one."""
        if pk in self.pages:
            assert choose(self.pages[pk], choice) == page_of(pk)

    @rule(pk=begun, times=st.sampled_from([1, 1, 3]), trouble=TROUBLE)
    def come_back(self, pk: str, times: int, trouble: Fault | str | None) -> None:
        """Look at the payment's page, in one window or in three at once."""
        tenancy = CardPayment.objects.get(pk=pk).tenancy
        with self.suffering(trouble):
            answers = self.at_once(times, lambda: self.client(tenancy).get(page_of(pk)))
        assert all(answer.status_code == 200 for answer in answers)

    @rule(pk=begun, trouble=TROUBLE)
    def go_on(self, pk: str, trouble: Fault | str | None) -> None:
        """Go on with a payment."""
        payment = CardPayment.objects.get(pk=pk)
        with self.suffering(trouble):
            answer = self.client(payment.tenancy).post(page_of(pk, "continue/"))
        self.follow(payment, answer)

    @rule(pk=begun, trouble=TROUBLE)
    def cancel(self, pk: str, trouble: Fault | str | None) -> None:
        """Cancel a payment."""
        payment = CardPayment.objects.get(pk=pk)
        with self.suffering(trouble):
            answer = self.client(payment.tenancy).post(page_of(pk, "cancel/"))
        self.follow(payment, answer)

    @rule(tenancy=st.sampled_from(TENANCIES), trouble=TROUBLE)
    def look_at_all(self, tenancy: str, trouble: Fault | str | None) -> None:
        """Open the list of payments."""
        with self.suffering(trouble):
            answer = self.client(tenancy).get("/my-home/rent/card-payments/")
        assert answer.status_code == 200

    # --- what others do ---------------------------------------------------------------------

    @rule(pk=begun, status=st.sampled_from(["success", "failed"]))
    def bank_answers(self, pk: str, status: str) -> None:
        """Let the bank say yes or no to what it took its time with."""
        payment = self.there(pk)
        if payment is not None and payment.status == "submitted":
            payment.end(status, "P0010" if status == "failed" else "")

    @rule(pk=begun, part=st.sampled_from([1, 50, 100]), trouble=TROUBLE)
    def refund(self, pk: str, part: int, trouble: Fault | str | None) -> None:
        """Pay some of a payment back."""
        payment = CardPayment.objects.get(pk=pk)
        with self.suffering(trouble), suppress(ProviderError):
            paying.refund(payment, payment.pence * part // 100)

    @rule(pk=begun, status=st.sampled_from(["submitted", "error"]))
    def refund_elsewhere(self, pk: str, status: str) -> None:
        """Pay a penny back by the provider's own tool."""
        payment = self.there(pk)
        if payment is not None and payment.refundable:
            now = self.server.pay._now()
            payment.refunds.append(Refund(secrets.token_hex(13), payment.id, 1, now, status))

    @rule(trouble=TROUBLE)
    def reconcile(self, trouble: Fault | str | None) -> None:
        """Run the command; it may fail."""
        with self.suffering(trouble), suppress(CommandError):
            call_command("reconcile_payments", verbosity=0, stdout=_Nowhere())

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
