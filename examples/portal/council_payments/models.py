"""What the council's site keeps itself: accounts, and what they proved.

Creditors and payments are the back office's, and are read there each time.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models


class CouncilAccount(models.Model):
    """A user of the council's site. Users of the other systems have none."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="council_account"
    )

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"council account {self.pk}"


class Proof(models.Model):
    """That an account proved once to be who ``reference`` stands for in a sensitive service."""

    account = models.ForeignKey(CouncilAccount, models.CASCADE, related_name="proofs")
    service = models.SlugField(max_length=50)
    reference = models.CharField(max_length=50)
    proved_at = models.DateTimeField()

    class Meta:
        """Once, in the order of the references."""

        ordering: ClassVar = ["reference"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "service", "reference"], name="council_proved_once"
            ),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"proof {self.pk}"
