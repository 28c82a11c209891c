"""Tries at what can be guessed, counted by the database: wrong ones lock for a day."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils.crypto import salted_hmac

from . import clock
from .models import Tries

TRIES_LAST = timedelta(hours=24)


def digest(claimed: str) -> str:
    """Return what stands in a key for something personal that was claimed."""
    return salted_hmac("demo_portal.tries", claimed, algorithm="sha256").hexdigest()


def use_try(key: str, limit: int) -> bool:
    """Use up a try before the answers are looked at; whether there was one left.

    However many tries are made at once, no more than ``limit`` are: the database counts.
    """
    now = clock.now()
    Tries.objects.get_or_create(key=key, defaults={"began_at": now})
    Tries.objects.filter(key=key, began_at__lte=now - TRIES_LAST).update(used=0, began_at=now)
    return Tries.objects.filter(key=key, used__lt=limit).update(used=F("used") + 1) == 1


def give_back(*keys: str) -> None:
    """Give tries back that were no wrong answers; earlier wrong ones still count."""
    Tries.objects.filter(key__in=keys, used__gt=0).update(used=F("used") - 1)
