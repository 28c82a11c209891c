"""Made-up content of the pillar 'Payments'."""

from __future__ import annotations


def add() -> None:
    """Add it."""
