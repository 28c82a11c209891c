"""The state: one SQL database with the registry, the daily codes and the decision log."""

from __future__ import annotations

from .engine import Store, state_url
from .registry import (
    AccountFacts,
    AnnouncedChange,
    CodeEntry,
    KnownForm,
    PortalClosure,
    Registry,
    StatusChange,
)

__all__ = [
    "AccountFacts",
    "AnnouncedChange",
    "CodeEntry",
    "KnownForm",
    "PortalClosure",
    "Registry",
    "StatusChange",
    "Store",
    "state_url",
]
