"""What the pillar 'Payments' keeps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

from demo_portal.jinja import language
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .pay_models import CardPayment  # noqa: F401

MOST_PENCE = 100_000_000_000
"""The largest amount of one entry, a thousand million pounds: sums stay numbers for databases."""


def pounds(pence: int) -> Decimal:
    """Return pence as pounds with two decimals."""
    return Decimal(pence).scaleb(-2)


class AppendOnlyError(Exception):
    """Someone tried to change or remove what is only ever added to."""


class AppendOnlyQuerySet(models.QuerySet):  # type: ignore[type-arg]
    """Rows that are added and read."""

    def update(self, **_named: Any) -> int:
        """Refuse."""
        raise AppendOnlyError

    def delete(self) -> Any:
        """Refuse."""
        raise AppendOnlyError


class AppendOnly(models.Model):
    """A row that stays as it was made."""

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        """No table of its own."""

        abstract = True

    def save(self, *args: Any, **named: Any) -> None:
        """Add the row; refuse to change it."""
        if not self._state.adding:
            raise AppendOnlyError
        super().save(*args, **named)

    def delete(self, *_args: Any, **_named: Any) -> Any:
        """Refuse."""
        raise AppendOnlyError


class Entry(AppendOnly):
    """A charge, a payment, a refund or an adjustment of a tenancy's account.

    ``pence`` is what it does to the balance: what the tenant pays is positive, what the tenant is
    charged negative. ``source`` names what it comes from, such as the provider's payment or the
    charge's period, so that nothing is entered twice. A mistake is put right by an adjustment.
    """

    class Kind(models.TextChoices):
        """What an entry is."""

        OPENING = "opening", _("Opening balance")
        CHARGE = "charge", _("Charge")
        PAYMENT = "payment", _("Payment")
        REFUND = "refund", _("Refund")
        ADJUSTMENT = "adjustment", _("Adjustment")

    tenancy = models.CharField(max_length=50)
    day = models.DateField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    detail_en = models.CharField(max_length=200)
    detail_cy = models.CharField(max_length=200)
    pence = models.BigIntegerField()
    source = models.CharField(max_length=200, unique=True)
    entered_at = models.DateTimeField()

    class Meta:
        """Entries are read by tenancy in the order of their days, and summed from the index."""

        ordering: ClassVar = ["day", "pk"]
        indexes: ClassVar = [
            models.Index(fields=["tenancy", "day", "id", "pence"], name="entries_of_tenancy"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind="charge", pence__lte=0)
                | Q(kind="payment", pence__gt=0)
                | Q(kind="refund", pence__lt=0)
                | Q(kind__in=["opening", "adjustment"]),
                name="entry_has_its_kinds_sign",
            ),
            models.CheckConstraint(
                condition=Q(pence__gte=-MOST_PENCE, pence__lte=MOST_PENCE),
                name="entry_is_not_too_large",
            ),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"entry {self.pk}"

    @property
    def detail(self) -> str:
        """What it was for, in the language in use."""
        return self.detail_cy if language() == "cy" else self.detail_en

    @property
    def debit(self) -> Decimal | None:
        """The pounds that it takes off the balance."""
        return pounds(-self.pence) if self.pence < 0 or self.kind == self.Kind.CHARGE else None

    @property
    def credit(self) -> Decimal | None:
        """The pounds that it adds to the balance."""
        return pounds(self.pence) if self.debit is None else None


class ChargeLine(AppendOnly):
    """A part of a charge. ``pence`` is what is charged; a reduction is negative."""

    class For(models.TextChoices):
        """What can be charged for."""

        RENT = "rent", _("Rent")
        WATER = "water", _("Water")
        CLEANING = "cleaning", _("Cleaning")
        HEATING = "heating", _("Heating")
        GROUNDS = "grounds", _("Grounds")
        CONCIERGE = "concierge", _("Concierge")
        GARAGE = "garage", _("Garage")

    entry = models.ForeignKey(Entry, models.PROTECT, related_name="lines", db_index=False)
    charged_for = models.CharField(max_length=10, choices=For.choices)
    pence = models.BigIntegerField()

    class Meta:
        """Lines are read with their charge, by the index that keeps them apart."""

        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["entry", "charged_for"], name="line_of_charge")
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"charge line {self.pk}"

    @property
    def pounds(self) -> Decimal:
        """The pounds that are charged."""
        return pounds(self.pence)


class StatementChoice(AppendOnly):
    """How someone wants their statements, and since when; the last choice counts."""

    account = models.ForeignKey(
        "tenant_services.TenantAccount", models.CASCADE, related_name="statement_choices"
    )
    digital = models.BooleanField()
    chosen_at = models.DateTimeField()

    class Meta:
        """The last choice comes last."""

        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"statement choice {self.pk}"
