"""The checks of the published terms, in the order in which decisions list them.

Each gives one finding. A fact that a check needs and that is absent comes before its other codes;
among those the order here decides. A finding that rests on a named reading says what the
reading's other values would have answered. Findings without parameters are made once and shared:
a decision builds only what is its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..access_codes import code_valid_until
from ..accounts import (
    MAX_AUTOMATION_ACCOUNTS,
    AccountStatus,
    email_identifies,
    username_identifies,
)
from ..actions import (
    AUTOMATION_ACTIONS,
    AUTOMATION_ROLE,
    CODE_EXEMPT_ACTIONS,
    HOUSING_COST_KINDS,
    TODO_ACTIONS,
    Action,
    Role,
)
from ..decision import Finding, Obligation, Outcome
from ..readings import READINGS
from ..request import NOT_DECLARED, Channel, Mode
from .base import PASS, StandardCheck, earliest, midnight, reading_use
from .window import WindowCheck

if TYPE_CHECKING:
    from ..request import Request

__all__ = [
    "STANDARD_CHECKS",
    "AccountCheck",
    "AccountLimitCheck",
    "ActionCheck",
    "AnswersCheck",
    "DeclarationCheck",
    "FormCheck",
    "IdentityCheck",
    "LandlordCheck",
    "ManualCodeCheck",
    "RoleCheck",
    "SuspensionCheck",
    "TestModeCheck",
    "TwoFactorCheck",
]

# Looking a member up on its enum, or in a set, costs more than a small check does.
_MANAGE_USERS: Final = Role.MANAGE_USERS
_MANUAL: Final = Channel.MANUAL
_LIVE: Final = Mode.LIVE
_TEST: Final = Mode.TEST
_PAUSED: Final = AccountStatus.PAUSED
_DEACTIVATED: Final = AccountStatus.DEACTIVATED
_SIGN_OUT: Final = Action.SIGN_OUT
_SUBMIT_TODO: Final = Action.SUBMIT_TODO
_VIEW_UPDATES: Final = Action.VIEW_UPDATES
_TODO_ACTIONS: Final = tuple(TODO_ACTIONS)
_AUTOMATION_ACTIONS: Final = tuple(AUTOMATION_ACTIONS)
_CODE_EXEMPT_ACTIONS: Final = tuple(CODE_EXEMPT_ACTIONS)
_HOUSING_COST_KINDS: Final = tuple(HOUSING_COST_KINDS)


class LandlordCheck(StandardCheck):
    """The landlord is a social one with access to the portal (``scope.landlord``)."""

    id = "landlord"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``not_social_landlord`` or ``no_portal_access``."""
        landlord = request.context.landlord
        if landlord.sector is None or landlord.portal_access is None:
            return self.missing(*_absent(landlord, _LANDLORD, "sector", "portal_access"))
        if landlord.sector != "social":
            return self._fail("not_social_landlord")
        if not landlord.portal_access:
            return self._fail("no_portal_access")
        return self._pass


_LANDLORD: Final = "/context/landlord"
_SUBJECT: Final = "/subject/properties"


def _absent(holder: object, path: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{path}/{name}" for name in names if getattr(holder, name) is None)


class DeclarationCheck(StandardCheck):
    """DWP's partnership manager was told beforehand (``step-1.declare``)."""

    id = "declaration"

    def __init__(self) -> None:
        """Make the findings that carry nothing of their own."""
        super().__init__()
        self._no_manager = self._finding(Outcome.WARN, "no_partnership_manager")

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``not_declared`` or ``declared_later``; warn ``no_partnership_manager``."""
        landlord = request.context.landlord
        declared_on = landlord.declared_on
        if declared_on is None:
            return self.missing(f"{_LANDLORD}/declared_on")
        if declared_on is NOT_DECLARED:
            return self._fail("not_declared")
        if declared_on > request.today:
            return self._finding(Outcome.FAIL, "declared_later", declared_on=declared_on)
        manager = landlord.partnership_manager
        if manager is None or not manager.strip():
            return self._no_manager
        return self._pass

    def next_change(self, request: Request) -> datetime | None:
        """Return the start of the day of the declaration, when that is to come."""
        declared_on = request.context.landlord.declared_on
        if isinstance(declared_on, date) and declared_on > request.today:
            return midnight(declared_on)
        return None


class AccountCheck(StandardCheck):
    """A registered automation account, made by a manager of users (``step-2.own-account``)."""

    id = "account"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``not_automation_account``, ``unregistered_account`` or ``wrong_creator``."""
        subject = request.subject
        if subject.type != "automation_account":
            return self._fail("not_automation_account")
        accounts = request.context.landlord.automation_accounts
        if accounts is None or subject.created_by_role is None:
            return self.missing(
                *_absent(request.context.landlord, _LANDLORD, "automation_accounts"),
                *_absent(subject, _SUBJECT, "created_by_role"),
            )
        if subject.id not in accounts:
            return self._fail("unregistered_account")
        if subject.created_by_role is not _MANAGE_USERS:
            return self._fail("wrong_creator")
        return self._pass


_ONLY_ROLE: Final = frozenset({AUTOMATION_ROLE})
_ROLES: Final[frozenset[Role | str]] = frozenset(Role)


class RoleCheck(StandardCheck):
    """The account holds 'Complete to-dos' and nothing else (``step-2.role``, ``terms.role``)."""

    id = "role"

    def __init__(self) -> None:
        """Make the findings that carry nothing of their own."""
        super().__init__()
        self._extra: dict[frozenset[Role | str], Finding] = {}

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``missing_role`` or ``extra_role``."""
        roles = request.subject.roles
        if roles is None:
            return self.missing(f"{_SUBJECT}/roles")
        if roles == _ONLY_ROLE:
            return self._pass
        if AUTOMATION_ROLE not in roles:
            return self._fail("missing_role")
        extra = roles - _ONLY_ROLE
        return self._extra.get(extra) or self._finding_for(extra)

    def _finding_for(self, extra: frozenset[Role | str]) -> Finding:
        names = sorted(role.value if isinstance(role, Role) else role for role in extra)
        finding = self._finding(Outcome.FAIL, "extra_role", roles=names)
        if extra <= _ROLES:  # other names could fill the memory
            self._extra[extra] = finding
        return finding


class AccountLimitCheck(StandardCheck):
    """At most two automation accounts at a time (``step-2.limit``, ``terms.limit``)."""

    id = "account_limit"

    def __init__(self, at_a_time: str = "registered") -> None:
        """Count by the reading ``at_a_time``."""
        super().__init__()
        self.at_a_time = at_a_time
        self.readings = {"at_a_time": at_a_time}

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``too_many_accounts``."""
        landlord = request.context.landlord
        registered, running = landlord.automation_accounts, landlord.running_accounts
        if (
            running is None
            and registered is not None
            and self.at_a_time == "registered"
            and (
                len(registered) <= MAX_AUTOMATION_ACCOUNTS
                or len(set(registered)) <= MAX_AUTOMATION_ACCOUNTS
            )
        ):
            # Those in use are some of those that exist, so two that exist pass either way.
            return self._pass
        counts = {
            "registered": None if registered is None else len(set(registered)),
            # Whoever asks to act is in use, whether or not it was counted yet.
            "running": None if running is None else len({*running, request.subject.id}),
        }
        answers = {value: _limit(count) for value, count in counts.items()}
        code = answers[self.at_a_time]
        readings = reading_use("at_a_time", self.at_a_time, answers)
        if code == PASS:
            return self._finding(Outcome.PASS, readings=readings) if readings else self._pass
        if code == "missing_fact":
            return replace(
                self.missing(f"{_LANDLORD}/{_COUNTED[self.at_a_time]}"), readings=readings
            )
        return self._finding(Outcome.FAIL, code, readings, count=counts[self.at_a_time])


_COUNTED: Final = {"registered": "automation_accounts", "running": "running_accounts"}


def _limit(count: int | None) -> str:
    if count is None:
        return "missing_fact"
    return PASS if count <= MAX_AUTOMATION_ACCOUNTS else "too_many_accounts"


class IdentityCheck(StandardCheck):
    """Name and e-mail show the landlord and that it is automation (``step-2.identify``)."""

    id = "identity"

    def __init__(self, identity_pattern: str = "name-and-automation") -> None:
        """Judge by the reading ``identity_pattern``."""
        super().__init__()
        self.identity_pattern = identity_pattern
        self.readings = {"identity_pattern": identity_pattern}

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``username_not_identifiable`` or ``email_not_identifiable``."""
        subject = request.subject
        landlord = request.context.landlord
        username, email, name = subject.username, subject.email, landlord.name
        if username is None or email is None:
            return self._missing_facts(request)
        if name is not None and username_identifies(username, (name, *landlord.also_known_as)):
            return self._pass if email_identifies(email) else self._fail("email_not_identifiable")
        answers = {
            "name-and-automation": "missing_fact" if name is None else "username_not_identifiable",
            "automation-only": _email_or(email)
            if username_identifies(username, (), automation_only=True)
            else "username_not_identifiable",
        }
        code = answers[self.identity_pattern]
        readings = reading_use("identity_pattern", self.identity_pattern, answers)
        if code == "missing_fact":
            return replace(self._missing_facts(request), readings=readings)
        if code == PASS:
            return self._finding(Outcome.PASS, readings=readings)
        return self._finding(Outcome.FAIL, code, readings)

    def _missing_facts(self, request: Request) -> Finding:
        facts = _absent(request.subject, _SUBJECT, "username", "email")
        if self.identity_pattern == "name-and-automation":
            facts += _absent(request.context.landlord, _LANDLORD, "name")
        return self.missing(*facts)


def _email_or(email: str) -> str:
    return PASS if email_identifies(email) else "email_not_identifiable"


class TwoFactorCheck(StandardCheck):
    """Two-factor authentication is on (``step-2.two-factor``)."""

    id = "two_factor"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``two_factor_off``."""
        two_factor = request.subject.two_factor
        if two_factor is None:
            return self.missing(f"{_SUBJECT}/two_factor")
        return self._pass if two_factor else self._fail("two_factor_off")


class ManualCodeCheck(StandardCheck):
    """A person supplied today's SMS code by hand (``step-2.manual-code``).

    Before there is a code (``sign_in``) and when leaving (``sign_out``) it does not apply.
    """

    id = "manual_code"
    obligation = Obligation("manual-code", "step-up")

    def __init__(self, daily: str = "london-day") -> None:
        """Let one entry last by the reading ``daily``."""
        super().__init__()
        self.daily = daily
        self.readings = {"daily": daily}
        (self._other,) = (value for value in READINGS["daily"] if value != daily)

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``no_code``, ``automated_code``, ``code_from_account`` or by its time.

        By its time it is ``code_from_future`` or ``stale_code``.
        """
        if request.action in _CODE_EXEMPT_ACTIONS:
            return self._not_applicable
        code = request.subject.sms_code
        if code is None or code.channel is None or code.provided_by is None:
            return self._fail("no_code")
        provided_at = code.provided_at
        if provided_at is None or not code.provided_by.strip():
            return self._fail("no_code")
        if code.channel is not _MANUAL:
            return self._fail("automated_code")
        if code.provided_by in (request.context.landlord.automation_accounts or ()):
            return self._fail("code_from_account")
        at = request.time
        if provided_at > at:
            return self._fail("code_from_future")
        if provided_at >= _day_begins[request.today] and at - provided_at < _DAY:
            # By either reading; and without `_lapses`, whose cache has no room for everybody.
            return self._pass
        lapses = _lapses(provided_at)
        current = at < lapses[self.daily]
        if current == (at < lapses[self._other]):
            return self._pass if current else self._fail("stale_code")
        answers = {
            self.daily: PASS if current else "stale_code",
            self._other: "stale_code" if current else PASS,
        }
        readings = reading_use("daily", self.daily, answers)
        if current:
            return self._finding(Outcome.PASS, readings=readings)
        return self._finding(Outcome.FAIL, "stale_code", readings)

    def next_change(self, request: Request) -> datetime | None:
        """Return when the code begins to count, or when it lapses, whichever is to come."""
        code = request.subject.sms_code
        if code is None or code.provided_at is None:
            return None
        if code.provided_at > request.time:
            return code.provided_at
        lapses = _lapses(code.provided_at)[self.daily]
        return lapses if lapses > request.time else None


@lru_cache(maxsize=4096)
def _lapses(provided_at: datetime) -> dict[str, datetime]:
    """Return when a code ceases to count, by each value of the reading ``daily``."""
    return {reading: code_valid_until(provided_at, reading) for reading in READINGS["daily"]}


class _DayBegins(dict[date, datetime]):
    """When each London day begins (UTC)."""

    def __missing__(self, day: date) -> datetime:
        self[day] = begins = midnight(day)
        return begins


_day_begins: Final = _DayBegins()
_DAY: Final = timedelta(days=1)


class ActionCheck(StandardCheck):
    """Only what confirms housing costs (``terms.housing-costs-only``, ``.no-other-functions``)."""

    id = "action"

    def __init__(self, updates_tab: str = "permitted") -> None:
        """Judge ``view_updates`` by the reading ``updates_tab``."""
        super().__init__()
        self.readings = {"updates_tab": updates_tab}
        answers = {"permitted": PASS, "denied": "other_portal_function"}
        readings = reading_use("updates_tab", updates_tab, answers)
        self._updates = (
            self._finding(Outcome.PASS, readings=readings)
            if updates_tab == "permitted"
            else self._finding(Outcome.FAIL, "other_portal_function", readings)
        )

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``unknown_action``, ``other_portal_function`` or ``not_housing_costs``."""
        action = request.action
        if action in _TODO_ACTIONS:
            resource = request.resource
            if resource.kind is None:
                return self.missing("/resource/properties/kind")
            if resource.type != "todo" or resource.kind not in _HOUSING_COST_KINDS:
                return self._fail("not_housing_costs")
            return self._pass
        if action is _VIEW_UPDATES:
            return self._updates
        if action in _AUTOMATION_ACTIONS:
            return self._pass
        known = isinstance(action, Action)
        return self._fail("other_portal_function" if known else "unknown_action")


class TestModeCheck(StandardCheck):
    """A test stops short of submitting (``step-3.test``)."""

    __test__ = False
    id = "test_mode"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``submit_in_test_mode``."""
        if request.context.mode is _TEST and request.action is _SUBMIT_TODO:
            return self._fail("submit_in_test_mode")
        return self._pass


class SuspensionCheck(StandardCheck):
    """Neither the account nor the landlord is paused (``terms.suspension`` and its resolution).

    Not applicable to ``sign_out``.
    """

    id = "suspension"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``account_paused``, ``account_deactivated`` or ``landlord_paused``."""
        if request.action is _SIGN_OUT:
            return self._not_applicable
        status = request.subject.status
        if status is None:
            return self.missing(f"{_SUBJECT}/status")
        if status is _PAUSED:
            return self._fail("account_paused")
        if status is _DEACTIVATED:
            return self._fail("account_deactivated")
        if request.context.landlord.paused:
            return self._fail("landlord_paused")
        return self._pass


class FormCheck(StandardCheck):
    """The form is the one that was tested (``terms.portal-changes``, ``terms.change-notice``).

    Applies in live mode when ``context.form`` is given.
    """

    id = "form"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``form_changed`` or ``retest_needed``; warn ``change_announced``."""
        context = request.context
        form = context.form
        if form is None or context.mode is not _LIVE:
            return self._not_applicable
        tested_on = form.tested_on
        if tested_on is None or form.fingerprint is None or form.tested_fingerprint is None:
            names = ("fingerprint", "tested_fingerprint", "tested_on")
            return self.missing(*_absent(form, "/context/form", *names))
        if form.fingerprint != form.tested_fingerprint:
            return self._fail("form_changed")
        today = request.today
        relevant = [notice for notice in context.notices if notice.affects_automation]
        since = [n.id for n in relevant if tested_on < n.effective_on <= today]
        if tested_on > today or since:
            return self._finding(Outcome.FAIL, "retest_needed", notices=since)
        announced = [n.id for n in relevant if n.effective_on > today]
        if announced:
            return self._finding(Outcome.WARN, "change_announced", notices=announced)
        return self._pass

    def next_change(self, request: Request) -> datetime | None:
        """Return the start of the next day on which a notice, or the test, takes effect."""
        context = request.context
        if context.form is None:
            return None
        days = [n.effective_on for n in context.notices if n.affects_automation]
        if context.form.tested_on is not None:
            days.append(context.form.tested_on)
        return earliest(midnight(day) for day in days if day > request.today)


class AnswersCheck(StandardCheck):
    """What is submitted equals the landlord's own record (``terms.accuracy``).

    Applies to ``submit_todo`` when both are supplied. Fields that the record lacks are ignored;
    only the names of differing fields are told, never their values.
    """

    id = "answers"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``answers_differ``."""
        context = request.context
        answers, record = context.answers, context.record
        if request.action is not _SUBMIT_TODO or answers is None or record is None:
            return self._not_applicable
        differing = [
            name
            for name, value in record.items()
            if name not in answers or not same_json(answers[name], value)
        ]
        if differing:
            return self._finding(Outcome.FAIL, "answers_differ", fields=sorted(differing))
        return self._pass


def same_json(one: object, other: object) -> bool:
    """Return whether two JSON values are equal; 1 equals 1.0, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)


STANDARD_CHECKS: Final[tuple[type[StandardCheck], ...]] = (
    LandlordCheck,
    DeclarationCheck,
    AccountCheck,
    RoleCheck,
    AccountLimitCheck,
    IdentityCheck,
    TwoFactorCheck,
    ManualCodeCheck,
    ActionCheck,
    TestModeCheck,
    WindowCheck,
    SuspensionCheck,
    FormCheck,
    AnswersCheck,
)
"""In the order in which decisions list them."""
