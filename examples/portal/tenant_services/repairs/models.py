"""What the pillar 'Repairs' keeps."""

from __future__ import annotations

import uuid

from django.db import models

from .diary_models import DiaryCancellation, DiaryOrder

__all__ = ["DiaryCancellation", "DiaryOrder", "Report"]


class Report(models.Model):
    """A repair on its way to being reported, for as long as the questions are being answered.

    Answers are the names that the diagnosis has for them. ``job`` is the number of what was raised.
    """

    key = models.UUIDField(primary_key=True, default=uuid.uuid4)
    account = models.ForeignKey("tenant_services.TenantAccount", models.CASCADE)
    made_at = models.DateTimeField(db_index=True)
    tenancy = models.CharField(max_length=50)
    location = models.CharField(max_length=40)
    problem = models.CharField(max_length=40)
    detail = models.CharField(max_length=40)
    is_described = models.BooleanField(default=False)
    words = models.TextField()
    access = models.TextField()
    telephone = models.CharField(max_length=50)
    job = models.CharField(max_length=50)

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"report {self.pk}"
