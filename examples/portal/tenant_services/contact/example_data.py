"""Made-up content of the pillar 'Contact'."""

from __future__ import annotations


def add() -> None:
    """Add it."""
