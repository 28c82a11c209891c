"""Paying by card: what is owed to the ledger is entered once, whoever finds out first.

A payment is kept here before the provider is asked for it, and the tenant is sent to the provider
only after the provider's name for it is kept as well. What the provider made and nobody was sent
to is never paid. So each payment that can be paid is known here, and can be asked about until it
is finished: by the page that the tenant returns to, by the pages that list payments, and by the
command ``reconcile_payments``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from demo_portal import clock
from django.db import IntegrityError, transaction
from django.utils.translation import gettext, override

from . import ledger
from .pay_models import CardPayment
from .provider import (
    Order,
    Outcome,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    payment_provider,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from ..models import TenantAccount
    from .provider import Refund, State

NOT_FOUND = 404
GIVEN_UP_AFTER = timedelta(hours=2)
"""When a payment that the provider was not reached for counts as failed: nobody could pay it."""
REFUNDS_SINCE = timedelta(days=30)
PATIENCE = 3
"""After how many payments in a row that it cannot tell of the provider counts as down."""
OUTCOMES = {
    Outcome.DECLINED: CardPayment.State.DECLINED,
    Outcome.EXPIRED: CardPayment.State.EXPIRED,
    Outcome.CANCELLED: CardPayment.State.CANCELLED,
    Outcome.FAILED: CardPayment.State.FAILED,
}

_log = logging.getLogger(__name__)


def keep(
    account: TenantAccount,
    tenancy: str,
    pence: int,
    *,
    form: UUID,
    language: str,
    return_url: Callable[[CardPayment], str],
) -> CardPayment:
    """Keep what a form asks for, and return it; the same form's is kept once."""
    wanted = {"account": account, "tenancy": tenancy, "pence": pence, "form": form}
    made = CardPayment(**wanted, language=language, created_at=clock.now())
    made.return_url = return_url(made)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        return CardPayment.objects.get(**wanted)
    return made


def way_on(payment: CardPayment) -> str | None:
    """Return where the tenant goes on to pay; None when there is nothing to pay there.

    Raises:
        ProviderError: the provider cannot be asked now.
    """
    if payment.is_finished:
        return None
    if payment.provider_id:
        told = _ask(payment)
    else:
        told = _create(payment) if payment.state == CardPayment.State.NEW else None
    if told is None:
        return None
    settle(payment, told)
    return told.next_url if payment.state == CardPayment.State.OPEN else None


def check(payment: CardPayment) -> None:
    """Ask the provider how a payment stands, and enter what became of it.

    Raises:
        ProviderError: the provider cannot be asked now.
    """
    if not payment.is_finished and payment.provider_id and (told := _ask(payment)):
        settle(payment, told)


def cancel(payment: CardPayment) -> None:
    """End a payment that is not finished, unless it is too late for that.

    Raises:
        ProviderError: the provider cannot be asked now.
    """
    if payment.provider_id is None:
        _end(payment, CardPayment.State.CANCELLED)
    elif not payment.is_finished:
        try:
            payment_provider().cancel(payment.provider_id)
        except ProviderRefusedError:
            _log.info("a payment was not cancelled")
        check(payment)


def settle(payment: CardPayment, told: State) -> None:
    """Enter what the provider told of a payment. The ledger is credited with it, or neither is."""
    with transaction.atomic():
        row = CardPayment.objects.select_for_update().get(pk=payment.pk)
        if not row.is_finished:
            row.state = _state(row, told)
            row.finished_at = clock.now() if row.is_finished else None
            row.save()
    _take_over(payment, row)


def refund(payment: CardPayment, pence: int) -> Refund:
    """Begin to pay back some of a payment; the ledger is debited when it is done.

    Raises:
        ProviderUnavailableError: whether it was begun is unknown; the next reconciliation tells.
        ProviderRefusedError: it was not.
    """
    if payment.state != CardPayment.State.PAID or payment.provider_id is None:
        raise ProviderRefusedError(NOT_FOUND)
    provider = payment_provider()
    refundable = provider.state(payment.provider_id).refundable
    begun = provider.refund(payment.provider_id, pence, refundable)
    enter_refund(begun)
    return begun


def enter_refund(told: Refund) -> bool:
    """Enter a refund that got to the card, once. Return whether it is of a payment of ours."""
    payment = CardPayment.objects.filter(
        provider_id=told.payment, state=CardPayment.State.PAID
    ).first()
    if payment is None:
        return False
    try:
        if told.done:
            ledger.refund(payment.tenancy, told.pence, source=f"refund:{told.id}")
    except ledger.LedgerError:
        _log.error("the ledger has another entry for a refund of %s", payment)
        return False
    return True


@dataclass
class Found:
    """What a reconciliation came to."""

    finished: int = 0
    waiting: int = 0
    flagged: int = 0
    unknown: int = 0


def reconcile() -> Found:
    """Ask about every payment that is not finished, and about every refund of late.

    Raises:
        ProviderUnavailableError: it cannot be asked now; what was found until then is entered.
    """
    found = Found()
    untold = 0
    for payment in CardPayment.objects.filter(state__in=CardPayment.UNFINISHED):
        if payment.state == CardPayment.State.NEW:
            if clock.now() - payment.created_at > GIVEN_UP_AFTER:
                _end(payment, CardPayment.State.FAILED)
        else:
            try:
                check(payment)
                untold = 0
            except ProviderRefusedError:
                untold = 0
            except ProviderUnavailableError:
                # It may be this payment alone, which is to hold up no other.
                untold += 1
                if untold == PATIENCE:
                    raise
        if payment.is_finished:
            found.finished += 1
        elif payment.state == CardPayment.State.FLAGGED:
            found.flagged += 1
        else:
            found.waiting += 1
    for told in payment_provider().refunds(clock.now() - REFUNDS_SINCE):
        found.unknown += not enter_refund(told)
    return found


def catch_up(account: TenantAccount, most: int = 5) -> bool:
    """Ask about an account's unfinished payments, as many as a page has time for.

    Return whether the provider could be asked; if not, another page or the command asks again.
    """
    waiting = account.card_payments.filter(
        state__in=CardPayment.UNFINISHED, provider_id__isnull=False
    )
    try:
        for payment in waiting[:most]:
            check(payment)
    except ProviderError:
        return False
    return True


def _create(payment: CardPayment) -> State | None:
    with override(payment.language):
        description = gettext("Rent account %(tenancy)s") % {"tenancy": payment.tenancy}
    order = Order(
        key=str(payment.pk),
        pence=payment.pence,
        reference=payment.reference,
        description=description,
        return_url=payment.return_url,
        language=payment.language,
    )
    try:
        told = payment_provider().create(order)
    except ProviderRefusedError:
        _end(payment, CardPayment.State.FAILED)
        return None
    if not _fits(payment, told):
        _end(payment, CardPayment.State.FAILED)
        return None
    unasked = CardPayment.objects.filter(
        pk=payment.pk, state=CardPayment.State.NEW, provider_id=None
    )
    try:
        with transaction.atomic():
            unasked.update(provider_id=told.id, state=CardPayment.State.OPEN)
    except IntegrityError:
        _log.error("the provider gives %s the name of another", payment)
        _end(payment, CardPayment.State.FAILED)
        return None
    payment.refresh_from_db()
    if payment.provider_id == told.id:
        return told
    # Somebody else was quicker: theirs is the one to be paid, or it was given up.
    return _ask(payment) if payment.provider_id else None


def _ask(payment: CardPayment) -> State | None:
    try:
        return payment_provider().state(str(payment.provider_id))
    except ProviderRefusedError as error:
        if error.status != NOT_FOUND:
            raise
        _end(payment, CardPayment.State.FLAGGED)
        return None


def _fits(payment: CardPayment, told: State) -> bool:
    asked = (payment.provider_id or told.id, str(payment.pk), payment.reference, payment.pence)
    fits = asked == (told.id, told.key, told.reference, told.pence)
    if not fits:
        _log.error("the provider tells of another payment than %s", payment)
    return fits


def _state(row: CardPayment, told: State) -> CardPayment.State:
    """Return how a payment stands, after the ledger was credited with it if it was paid."""
    if not _fits(row, told):
        return CardPayment.State.FLAGGED
    if told.outcome is Outcome.PENDING:
        return CardPayment.State.BEGUN if told.begun else CardPayment.State.OPEN
    if told.outcome is not Outcome.PAID:
        return OUTCOMES[told.outcome]
    try:
        ledger.credit(row.tenancy, told.pence, source=f"payment:{told.id}")
    except ledger.LedgerError:
        _log.error("the ledger has another entry for %s", row)
        return CardPayment.State.FLAGGED
    return CardPayment.State.PAID


def _end(payment: CardPayment, state: CardPayment.State) -> None:
    """Let that become of a payment, unless something else did."""
    with transaction.atomic():
        row = CardPayment.objects.select_for_update().get(pk=payment.pk)
        if not row.is_finished and row.provider_id == payment.provider_id:
            row.state = state
            row.finished_at = clock.now() if row.is_finished else None
            row.save()
    _take_over(payment, row)


def _take_over(payment: CardPayment, row: CardPayment) -> None:
    for name in ("state", "provider_id", "finished_at"):
        setattr(payment, name, getattr(row, name))
