"""From a wish to a recorded answer: gather the facts, decide, record, and only then answer.

What could not be recorded is denied. Leaving is never a breach: ``sign_out`` is always let
through, with its findings on record.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from .actions import TODO_ACTIONS, Action, Role, TodoKind
from .clock import SystemClock
from .decision import Finding, Outcome
from .errors import ClockError, LogError, NotRegisteredError
from .request import (
    NOT_DECLARED,
    Channel,
    Context,
    Form,
    LandlordFacts,
    Mode,
    Notice,
    Request,
    Resource,
    SmsCode,
    Subject,
)
from .windows import Closure, Nation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from .audit import DecisionLog, Receipt
    from .clock import Clock
    from .decision import Decision
    from .policy import Policy
    from .store import AccountFacts, Leases, Store

__all__ = [
    "AUTOMATION_ACCOUNT",
    "DEFAULT_MARGIN",
    "LEASE_DURATION",
    "Enforcer",
    "FactsSource",
    "Recorder",
    "Step",
    "Verdict",
    "not_recorded",
    "open_enforcer",
    "open_log",
    "request_from_registry",
    "request_from_stranger",
]

DEFAULT_MARGIN: Final = timedelta(seconds=60)
"""How long before closing automation is held back, for clocks that differ from the portal's."""

AUTOMATION_ACCOUNT: Final = "automation_account"
"""The type of the subjects that the registry knows."""

UNMARKED: Final = "unmarked"
"""The account of a session that nobody marked, which is taken for a bot's."""

LEASE_DURATION: Final = timedelta(minutes=10)
"""How long an account counts as running after it was last used (reading ``at_a_time``)."""


@dataclass(frozen=True, slots=True)
class Step:
    """What an automation account wants to do next; everything else is known to the registry.

    ``form_fingerprint`` is that of the form as met now. ``answers`` are about to be submitted,
    ``record`` is what the landlord's own system says; neither is kept. ``explain``
    asks for every finding; ``ignored`` names claims that came with the step and were dropped.
    ``subject_type`` and ``resource_type`` are what the asker calls who acts and what on: nobody
    of another type than an automation account is registered, and what type of resource is meant
    follows from the step when it is None.
    """

    action: Action | str
    todo_kind: TodoKind | str | None = None
    todo: str | None = None
    tenant: str | None = None
    mode: Mode = Mode.LIVE
    expected_duration: timedelta | None = None
    form_fingerprint: str | None = None
    answers: Mapping[str, Any] | None = None
    record: Mapping[str, Any] | None = None
    explain: bool = False
    ignored: tuple[str, ...] = ()
    subject_type: str = AUTOMATION_ACCOUNT
    resource_type: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision with the log's receipt for it, or with why it could not be recorded."""

    decision: Decision
    receipt: Receipt | None = None
    trouble: LogError | None = None


class FactsSource(Protocol):
    """Where facts come from: a `Registry`, or what was read from it a moment ago."""

    def facts(self, account_id: str, at: datetime) -> AccountFacts:
        """Return what is known; raise `NotRegisteredError` when there is no such account."""


class Recorder(Protocol):
    """What records a decision durably: a `DecisionLog`, or the `GroupCommit` of many callers."""

    def check_rollback(self) -> object:
        """Raise `VerificationError` when the log went back."""

    def record(self, decision: Decision, *, readings: Mapping[str, str]) -> Receipt:
        """Record ``decision``; raise `NotRecordedError` when it could not be made durable."""


class Enforcer:
    """Decides by one policy from one registry's facts, and records in one log.

    ``margin`` keeps away from closing: work must end that long before. ``leases`` say which
    accounts are running, where the policy reads the limit of two so (``at_a_time``); without them
    that reading finds a fact missing.
    """

    def __init__(
        self,
        registry: FactsSource,
        policy: Policy,
        clock: Clock,
        log: Recorder,
        *,
        margin: timedelta = DEFAULT_MARGIN,
        leases: Leases | None = None,
        lease_duration: timedelta = LEASE_DURATION,
    ) -> None:
        """Join them.

        Raises:
            ValueError: a negative margin, or leases that do not last.
        """
        if margin < timedelta(0):
            raise ValueError("the margin must not be negative")
        if lease_duration <= timedelta(0):
            raise ValueError("a lease must last: give a positive duration")
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._log = log
        self._margin = margin
        self._leases = leases
        self._lease_duration = lease_duration

    def preflight(
        self, account_id: str, step: Step, *, portal_time: datetime | None = None
    ) -> Verdict:
        """Decide whether ``account_id`` may take ``step`` now, and record it before answering.

        ``portal_time`` is what the portal's clock said just now, when that was measured.

        A log that went back, as after restoring a backup, records nothing until a person has
        acknowledged it.

        Raises:
            NotRegisteredError: there is no such account.
            ClockError: our clock differs from the portal's by more than the margin.
            StoreError: the registry cannot be read.
        """
        now = self._clock.now()
        if portal_time is not None:
            self._compare_clocks(now, portal_time)
        decision = self.judge(account_id, step, at=now)
        try:
            self._log.check_rollback()
            receipt = self._log.record(decision, readings=self._policy.readings)
        except LogError as error:
            verdict = Verdict(not_recorded(decision), trouble=error)
        else:
            verdict = Verdict(decision, receipt)
        self.leave(account_id, step)
        return verdict

    def decide(
        self, account_id: str, step: Step, *, at: datetime, sms_code: SmsCode | None = None
    ) -> Decision:
        """Decide without recording, at any instant; ``sms_code`` supposes an entry of the code.

        No lease is taken or freed.

        Raises:
            NotRegisteredError: there is no such account.
            StoreError: the registry cannot be read.
        """
        facts = self._facts(account_id, step, at)
        request = self._request(facts, step, at)
        if sms_code is not None:
            request = replace(request, subject=replace(request.subject, sms_code=sms_code))
        return self.answer(request)

    def judge(self, account_id: str, step: Step, *, at: datetime) -> Decision:
        """Decide at the present instant ``at``, with the lease that the step needs.

        A step that is denied takes none, and renews none: so none has to be given back, which
        could be in use by another step of the same account by then.

        Raises:
            NotRegisteredError: there is no such account.
            StoreError: the registry cannot be read, or a lease cannot be taken.
        """
        facts = self._facts(account_id, step, at)
        request = self._request(facts, step, at)
        decision = self.answer(request)
        leases = self._leases_that_count
        if leases is None or not decision.allowed or step.action is Action.SIGN_OUT:
            return decision
        lease = leases.take(account_id, facts.landlord.id, at, self._lease_duration)
        if lease.running == request.context.landlord.running_accounts:
            return decision
        landlord = replace(request.context.landlord, running_accounts=lease.running)
        return self.answer(replace(request, context=replace(request.context, landlord=landlord)))

    def leave(self, account_id: str, step: Step) -> None:
        """Free the lease of a registered account whose ``step`` is to leave.

        Raises:
            StoreError: it could not be freed; it ends by itself.
        """
        leases = self._leases_that_count
        if leases is not None and step.action is Action.SIGN_OUT:
            leases.release(account_id)

    def _request(self, facts: AccountFacts, step: Step, at: datetime) -> Request:
        """Return the request that a step makes, as if the account had a lease already."""
        running = None
        if (leases := self._leases_that_count) is not None:
            holders = leases.running(facts.landlord.id, at)
            running = tuple(sorted({*holders, facts.account.id}))
        return request_from_registry(facts, step, at, margin=self._margin, running=running)

    def _facts(self, account_id: str, step: Step, at: datetime) -> AccountFacts:
        if step.subject_type != AUTOMATION_ACCOUNT:
            raise NotRegisteredError("only automation accounts are registered")
        return self._registry.facts(account_id, at)

    @property
    def takes_leases(self) -> bool:
        """Whether `judge` takes a lease, and so writes."""
        return self._leases_that_count is not None

    @property
    def _leases_that_count(self) -> Leases | None:
        return self._leases if self._policy.readings["at_a_time"] == "running" else None

    @property
    def policy(self) -> Policy:
        """The policy that decides."""
        return self._policy

    def answer(self, request: Request) -> Decision:
        """Decide about a whole request; `sign_out` is let through with its findings."""
        decision = self._policy.decide(request)
        return decision.let_through() if request.action is Action.SIGN_OUT else decision

    def _compare_clocks(self, now: datetime, portal_time: datetime) -> None:
        offset = abs(now - portal_time)
        if offset > self._margin:
            raise ClockError(
                f"this machine's clock and the portal's differ by {offset.total_seconds():.0f} s, "
                f"more than the margin of {self._margin.total_seconds():.0f} s: set the clock right"
            )


@contextmanager
def open_enforcer(
    state: str | None = None,
    policy: Policy | None = None,
    *,
    clock: Clock | None = None,
    margin: timedelta = DEFAULT_MARGIN,
) -> Iterator[Enforcer]:
    """Open the state at the URL ``state``, its log and its key, and enforce ``policy``.

    Without a URL the state is where ``AUTOMATION_RULES_STATE`` says, else in the user's data
    directory; without a policy the published terms are enforced.

    Raises:
        StoreError: there is no such state, or it, its key or the remembered heads cannot be used.
    """
    from .landlord_portal import landlord_portal
    from .store import Leases, Registry, Store, state_url

    clock = clock or SystemClock()
    with Store.open(state_url(state), clock=clock) as store, open_log(store) as log:
        yield Enforcer(
            Registry(store, clock),
            policy or landlord_portal(),
            clock,
            log,
            margin=margin,
            leases=Leases(store, clock),
        )


@contextmanager
def open_log(store: Store) -> Iterator[DecisionLog]:
    """Open the decision log of a state, to record in it, with its key and the remembered heads.

    Raises:
        LogError: the wrapping key or the file of remembered heads cannot be used.
    """
    from .audit import DecisionLog, RememberedHeads
    from .vault import Vault, WrappingKey, key_path

    key = WrappingKey.load(None if store.path is None else key_path(store.path))
    with RememberedHeads.open() as heads, DecisionLog(store, Vault(key), heads=heads) as log:
        yield log


def request_from_registry(
    facts: AccountFacts,
    step: Step,
    at: datetime,
    *,
    margin: timedelta = timedelta(0),
    running: tuple[str, ...] | None = None,
) -> Request:
    """Return the request that ``step`` makes, every fact as the registry knows it.

    ``margin`` is added to the time that the step is expected to take; ``running`` are the
    accounts in use, when that is known.
    """
    known = _known_facts.get(id(facts)) or _make_known(facts)
    landlord = known.landlord
    if running is not None:
        landlord = replace(landlord, running_accounts=running)
    duration = (step.expected_duration or timedelta(0)) + margin
    return Request(
        subject=known.subject,
        action=step.action,
        resource=_resource(step),
        context=Context(
            time=at,
            mode=step.mode,
            landlord=landlord,
            expected_duration=duration or None,
            closures=known.closures,
            form=_form(facts, step),
            notices=known.notices,
            answers=step.answers,
            record=step.record,
            explain=step.explain,
        ),
        facts="registry",
        ignored=step.ignored,
    )


class _Known(NamedTuple):
    """The registry's facts as every request of the account has them."""

    facts: AccountFacts
    subject: Subject
    landlord: LandlordFacts
    closures: tuple[Closure, ...]
    notices: tuple[Notice, ...]


# A gateway asks many times about the same facts; the log, too, knows the same objects again. By
# the identity of the facts, which is theirs for as long as they are kept here.
_known_facts: Final[dict[int, _Known]] = {}
_MOST_KNOWN: Final = 1024


def _make_known(facts: AccountFacts) -> _Known:
    account, landlord, entry = facts.account, facts.landlord, facts.code_entry
    known = _Known(
        facts,
        Subject(
            type=AUTOMATION_ACCOUNT,
            id=account.id,
            username=account.username,
            email=account.email,
            roles=frozenset(_member(Role, role) for role in account.roles),
            two_factor=account.two_factor,
            status=account.status,
            created_by_role=_member(Role, account.created_by_role),
            sms_code=None
            if entry is None
            else SmsCode(entry.provided_at, entry.provided_by, Channel.MANUAL),
        ),
        LandlordFacts(
            id=landlord.id,
            name=landlord.name,
            also_known_as=landlord.also_known_as,
            sector=landlord.sector,
            portal_access=landlord.portal_access,
            nation=None if landlord.nation is None else Nation(landlord.nation),
            declared_on=landlord.declared_on or NOT_DECLARED,
            partnership_manager=landlord.partnership_manager,
            automation_accounts=facts.automation_accounts,
            paused=landlord.paused,
        ),
        tuple(Closure(c.start, c.end, c.reason) for c in facts.closures),
        tuple(Notice(n.id, n.effective_on, n.affects_automation) for n in facts.notices),
    )
    if len(_known_facts) >= _MOST_KNOWN:
        _known_facts.clear()
    _known_facts[id(facts)] = known
    return known


def request_from_stranger(account_id: str | None, step: Step, at: datetime) -> Request:
    """Return the request that ``step`` makes when the registry does not know the account.

    Such a request is denied by any policy that asks who it is.
    """
    return Request(
        subject=Subject(type=step.subject_type, id=account_id or UNMARKED),
        action=step.action,
        resource=_resource(step),
        context=Context(
            time=at,
            mode=step.mode,
            landlord=LandlordFacts(automation_accounts=()),
            expected_duration=step.expected_duration,
            explain=step.explain,
        ),
        facts="registry",
        ignored=step.ignored,
    )


def _resource(step: Step) -> Resource:
    implied = "todo" if step.todo or step.action in TODO_ACTIONS else "portal"
    return Resource(
        type=implied if step.resource_type is None else step.resource_type,
        id=step.todo or "",
        kind=step.todo_kind,
        tenant=step.tenant,
    )


def _form(facts: AccountFacts, step: Step) -> Form | None:
    if step.form_fingerprint is None:
        return None
    kind = step.todo_kind.value if isinstance(step.todo_kind, TodoKind) else step.todo_kind
    known = facts.known_forms.get(kind or "")
    if known is None:
        return Form(step.form_fingerprint)
    return Form(step.form_fingerprint, known.fingerprint, known.tested_on)


def _member(vocabulary: type[Role], name: str) -> Role | str:
    try:
        return vocabulary(name)
    except ValueError:
        return name


def not_recorded(decision: Decision) -> Decision:
    """Return ``decision`` as a denial, unless it lets somebody leave."""
    leaving = decision.request.action is Action.SIGN_OUT
    outcome = Outcome.WARN if leaving else Outcome.FAIL
    return decision.with_finding(Finding("log", outcome, "not_recorded"), allowed=leaving)
