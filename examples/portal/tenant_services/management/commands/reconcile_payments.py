"""Finish the card payments that were left open, and enter refunds."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...payments import paying
from ...payments.provider import ProviderError


class Command(BaseCommand):
    """The command. It may be run at any time, as often as one likes, best every few minutes."""

    help = __doc__

    def handle(self, **_named: Any) -> None:
        """Ask the provider, and say what came of it."""
        try:
            found = paying.reconcile()
        except ProviderError as error:
            why = str(error) or "try again"
            raise CommandError(f"the payment provider cannot be asked now: {why}") from error
        self.stdout.write(f"{found.finished} finished, {found.waiting} still open")
        if found.flagged or found.unknown:
            raise CommandError(
                f"to be looked into: {found.flagged} payments whose provider tells something else, "
                f"{found.unknown} refunds of other payments than ours"
            )
