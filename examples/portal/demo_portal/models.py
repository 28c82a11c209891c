"""What every system keeps in the same way."""

from __future__ import annotations

from django.db import models


class Tries(models.Model):
    """How many wrong answers were given under ``key`` since ``began_at``."""

    key = models.CharField(max_length=100, unique=True)
    used = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        """Which key."""
        return self.key
