"""The state: one SQL database with the registry, the daily codes and the decision log."""

from __future__ import annotations

from .engine import Store, state_url

__all__ = ["Store", "state_url"]
