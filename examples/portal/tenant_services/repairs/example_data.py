"""Made-up content of the pillar 'Repairs'."""

from __future__ import annotations


def add() -> None:
    """Add it."""
