"""What the portal's own diary keeps: orders, and the crews that they are given to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from .diary_calendar import Period

_NO_MORNING = Q(morning_crew__isnull=True)
_NO_AFTERNOON = Q(afternoon_crew__isnull=True)
# What is null must be ruled out: a constraint lets through what it cannot tell.
_MORNING = Q(morning_crew__isnull=False, morning_crew__gte=1)
_AFTERNOON = Q(afternoon_crew__isnull=False, afternoon_crew__gte=1)
_UNPLANNED = Q(day__isnull=True, period="") & _NO_MORNING & _NO_AFTERNOON
_PLANNED = Q(day__isnull=False) & (
    (Q(period=Period.MORNING) & _MORNING & _NO_AFTERNOON)
    | (Q(period=Period.AFTERNOON) & _NO_MORNING & _AFTERNOON)
    | (Q(period=Period.SCHOOL, morning_crew=F("afternoon_crew")) & _MORNING & _AFTERNOON)
)


class DiaryOrder(models.Model):
    """A job in the diary, and the crews of its trade that come, if it is planned.

    It is one row for one job, and no crew is at two jobs in one half of a day: whatever happens at
    once, the database gives no slot twice and no job two. A crew's number is at most how many the
    trade has.
    """

    job = models.CharField(max_length=50, unique=True)
    sor_code = models.CharField(max_length=20)
    trade = models.CharField(max_length=20)
    priority = models.PositiveSmallIntegerField()
    location = models.CharField(max_length=50)
    locality = models.CharField(max_length=100)
    day = models.DateField(null=True)
    period = models.CharField(max_length=10, default="", blank=True)
    morning_crew = models.PositiveSmallIntegerField(null=True)
    afternoon_crew = models.PositiveSmallIntegerField(null=True)

    class Meta:
        """A crew is at one job at a time; what is planned is planned whole."""

        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["trade", "day", "morning_crew"], name="tenant_diary_morning"
            ),
            models.UniqueConstraint(
                fields=["trade", "day", "afternoon_crew"], name="tenant_diary_afternoon"
            ),
            models.CheckConstraint(condition=_UNPLANNED | _PLANNED, name="tenant_diary_whole"),
        ]

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"diary order {self.pk}"


class DiaryCancellation(models.Model):
    """A visit that was cancelled, and why, for the contractor."""

    job = models.CharField(max_length=50)
    day = models.DateField()
    period = models.CharField(max_length=10)
    reason = models.CharField(max_length=500, blank=True)
    cancelled_at = models.DateTimeField()

    def __str__(self) -> str:
        """Nothing personal: this may reach a log."""
        return f"diary cancellation {self.pk}"
