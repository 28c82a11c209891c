"""The decision log: what was decided and why, so that no byte of it can be altered unseen."""

from __future__ import annotations

from .heads import RememberedHeads
from .leaf import Draft, draft_decision
from .log import DecisionLog, Entry, Head, InclusionProof, Receipt

__all__ = [
    "DecisionLog",
    "Draft",
    "Entry",
    "Head",
    "InclusionProof",
    "Receipt",
    "RememberedHeads",
    "draft_decision",
]
