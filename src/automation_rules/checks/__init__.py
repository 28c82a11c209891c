"""The checks: what one is, how they compose, and the fourteen of the published terms."""

from __future__ import annotations

from .base import (
    AllOf,
    AnyOf,
    AppliesTo,
    Check,
    Deny,
    Not,
    StandardCheck,
    broken,
    evaluate,
    readings_of,
    when,
)
from .standard import (
    STANDARD_CHECKS,
    AccountCheck,
    AccountLimitCheck,
    ActionCheck,
    AnswersCheck,
    DeclarationCheck,
    FormCheck,
    IdentityCheck,
    LandlordCheck,
    ManualCodeCheck,
    RoleCheck,
    SuspensionCheck,
    TestModeCheck,
    TwoFactorCheck,
)
from .window import WindowCheck

__all__ = [
    "STANDARD_CHECKS",
    "AccountCheck",
    "AccountLimitCheck",
    "ActionCheck",
    "AllOf",
    "AnswersCheck",
    "AnyOf",
    "AppliesTo",
    "Check",
    "DeclarationCheck",
    "Deny",
    "FormCheck",
    "IdentityCheck",
    "LandlordCheck",
    "ManualCodeCheck",
    "Not",
    "RoleCheck",
    "StandardCheck",
    "SuspensionCheck",
    "TestModeCheck",
    "TwoFactorCheck",
    "WindowCheck",
    "broken",
    "evaluate",
    "readings_of",
    "when",
]
