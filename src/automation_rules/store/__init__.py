"""The state: one SQL database with the registry, the daily codes and the decision log."""

from __future__ import annotations

from .engine import Store, state_url
from .leases import Lease, Leases
from .records import (
    AccountFacts,
    AnnouncedChange,
    CodeEntry,
    KnownForm,
    PortalClosure,
    StatusChange,
    Switch,
)
from .registry import Registry
from .tokens import ServiceToken, ServiceTokens

__all__ = [
    "AccountFacts",
    "AnnouncedChange",
    "CodeEntry",
    "KnownForm",
    "Lease",
    "Leases",
    "PortalClosure",
    "Registry",
    "ServiceToken",
    "ServiceTokens",
    "StatusChange",
    "Store",
    "Switch",
    "state_url",
]
