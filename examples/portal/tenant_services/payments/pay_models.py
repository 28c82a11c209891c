"""What is kept of card payments."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from decimal import Decimal


class CardPayment(models.Model):
    """A payment by card, kept before the provider is asked for it.

    ``provider_id`` is the provider's name for it, None until the provider is known to have it;
    ``form`` is the page that it was asked for on, so that the same form sent twice is one payment.
    """

    class State(models.TextChoices):
        """How a payment stands, as far as is known here."""

        NEW = "new", _("Not started")
        OPEN = "open", _("Not finished")
        BEGUN = "begun", _("With your bank")
        FLAGGED = "flagged", _("We are looking into it")
        PAID = "paid", _("Paid")
        DECLINED = "declined", _("Declined")
        EXPIRED = "expired", _("Ran out of time")
        CANCELLED = "cancelled", _("Cancelled")
        FAILED = "failed", _("Failed")

    UNFINISHED: ClassVar = (State.NEW, State.OPEN, State.BEGUN, State.FLAGGED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(
        "tenant_services.TenantAccount", models.PROTECT, related_name="card_payments"
    )
    tenancy = models.CharField(max_length=50)
    pence = models.PositiveIntegerField()
    form = models.UUIDField()
    language = models.CharField(max_length=2)
    return_url = models.CharField(max_length=2000)
    state = models.CharField(max_length=10, choices=State.choices, default=State.NEW)
    provider_id = models.CharField(max_length=50, null=True, unique=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        """The newest comes first; the same form asks for the same payment."""

        ordering: ClassVar = ["-created_at", "pk"]
        indexes: ClassVar = [models.Index(fields=["state"], name="card_payments_by_state")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "form", "tenancy", "pence"], name="one_payment_of_a_form"
            )
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"card payment {self.pk}"

    @property
    def reference(self) -> str:
        """What it is called, here and at the provider."""
        return f"{self.tenancy}-{self.pk.hex[:10].upper()}"

    @property
    def pounds(self) -> Decimal:
        """The amount in pounds."""
        from .models import pounds

        return pounds(self.pence)

    @property
    def is_finished(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.state not in self.UNFINISHED
