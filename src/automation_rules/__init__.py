"""The published terms for automation on the Universal Credit Landlord Portal, executable.

>>> request = Request.from_document(document)
>>> decision = landlord_portal().decide(request)
>>> decision.allowed, decision.retry_after, decision.explain("cy")

What keeps state is imported from its own module: ``automation_rules.store``, ``.audit`` and
``.enforcer``; what tests need, from ``automation_rules.testing``.

Independent of DWP and not endorsed by it. "Allowed" means that no breach was found.
"""

from __future__ import annotations

from .actions import Action, Role, TodoKind
from .checks import AllOf, AnyOf, AppliesTo, Check, Deny, Not, when
from .clock import Clock, FrozenClock, SystemClock
from .decision import Decision, Finding, Obligation, Outcome, PolicyInfo, ReadingUse
from .errors import (
    AccessCodeError,
    AccountLimitError,
    AlreadyRegisteredError,
    AutomationRulesError,
    ClockError,
    FieldError,
    HorizonError,
    InvalidInputError,
    InvalidPolicyError,
    InvalidRequestError,
    LegalHoldError,
    LogError,
    NotPermittedError,
    NotRecordedError,
    NotRegisteredError,
    RegistryError,
    SchemaError,
    StoreError,
    VerificationError,
)
from .landlord_portal import landlord_portal
from .policy import Policy
from .policyfile import load_policy
from .readings import READINGS
from .request import Request, read_evaluations
from .terms import Clause, Terms, terms_at
from .texts import Text
from .windows import (
    Always,
    BankHolidays,
    Closure,
    Closures,
    Interval,
    Nation,
    PortalHours,
    State,
    WeeklyHours,
    Window,
    WindowCode,
    YearlyDates,
)

__all__ = [
    "READINGS",
    "AccessCodeError",
    "AccountLimitError",
    "Action",
    "AllOf",
    "AlreadyRegisteredError",
    "Always",
    "AnyOf",
    "AppliesTo",
    "AutomationRulesError",
    "BankHolidays",
    "Check",
    "Clause",
    "Clock",
    "ClockError",
    "Closure",
    "Closures",
    "Decision",
    "Deny",
    "FieldError",
    "Finding",
    "FrozenClock",
    "HorizonError",
    "Interval",
    "InvalidInputError",
    "InvalidPolicyError",
    "InvalidRequestError",
    "LegalHoldError",
    "LogError",
    "Nation",
    "Not",
    "NotPermittedError",
    "NotRecordedError",
    "NotRegisteredError",
    "Obligation",
    "Outcome",
    "Policy",
    "PolicyInfo",
    "PortalHours",
    "ReadingUse",
    "RegistryError",
    "Request",
    "Role",
    "SchemaError",
    "State",
    "StoreError",
    "SystemClock",
    "Terms",
    "Text",
    "TodoKind",
    "VerificationError",
    "WeeklyHours",
    "Window",
    "WindowCode",
    "YearlyDates",
    "landlord_portal",
    "load_policy",
    "read_evaluations",
    "terms_at",
    "when",
]
