"""Who uses tenant self-service. What each pillar keeps stands in its own ``models``."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from .contact import models as contact
from .payments import models as payments
from .profile import models as profile
from .repairs import models as repairs

__all__ = ["StaffAccount", "TenantAccount", "contact", "payments", "profile", "repairs"]


class TenantAccount(models.Model):
    """A tenant who registered. ``person`` is their reference in the customer directory."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="tenant_account"
    )
    person = models.CharField(max_length=50, unique=True)

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"tenant account {self.pk}"


class StaffAccount(models.Model):
    """Someone of the housing association's, who publishes notices and reads messages."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="tenant_staff_account"
    )

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"staff account {self.pk}"
