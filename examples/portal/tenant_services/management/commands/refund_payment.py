"""Pay some of a card payment back to the card."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from ...payments import paying
from ...payments.pay_models import CardPayment
from ...payments.provider import MOST_PENCE, ProviderRefusedError, ProviderUnavailableError

if TYPE_CHECKING:
    from argparse import ArgumentParser


def pence(text: str) -> int:
    """Read an amount of pounds and pence."""
    try:
        amount = Decimal(text) * 100
        if 0 < amount <= MOST_PENCE and amount == int(amount):
            return int(amount)
    except InvalidOperation:
        pass
    raise ValueError


class Command(BaseCommand):
    """The command."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take which payment, and how much."""
        parser.add_argument("payment", type=UUID, help="the end of the payment's address")
        parser.add_argument("amount", type=pence, help="pounds and pence, like 95.50")

    def handle(self, *, payment: UUID, amount: int, **_named: Any) -> None:
        """Begin the refund."""
        found = CardPayment.objects.filter(pk=payment).first()
        if found is None:
            raise CommandError("there is no such payment")
        try:
            begun = paying.refund(found, amount)
        except ProviderRefusedError as error:
            raise CommandError(f"the provider refused: {error}") from error
        except ProviderUnavailableError as error:
            why = str(error) or (
                "whether it was begun is not known: look at the provider's own list of refunds "
                "before trying again"
            )
            raise CommandError(why) from error
        self.stdout.write("paid back" if begun.done else "on its way back")
