"""The gateway: what every shell asks before it lets a portal's request through.

It never raises for a bot: whatever keeps it from deciding, or from recording what it decided, is
a denial that says so. Only leaving is let through regardless.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from ..actions import Action
from ..activity import Activity
from ..clock import SystemClock, monotonic
from ..decision import Finding, Outcome
from ..enforcer import (
    AUTOMATION_ACCOUNT,
    LEASE_DURATION,
    UNMARKED,
    Enforcer,
    Step,
    not_recorded,
    open_log,
    request_from_stranger,
)
from ..errors import (
    AutomationRulesError,
    ClockError,
    InvalidInputError,
    InvalidPolicyError,
    NotRegisteredError,
)
from ..group_commit import GroupCommit
from ..routes import Public, Routes, load_routes
from .callers import Person, Visitor
from .current import FRESH_SECONDS, RENEW_SECONDS, CurrentFacts, CurrentPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future
    from datetime import datetime

    from ..audit import Head, Receipt
    from ..clock import Clock
    from ..decision import Decision
    from ..monitor import ActivityMonitor
    from ..policy import Policy
    from ..store import Leases
    from .callers import Caller
    from .current import FactsOfMany

__all__ = ["RECORD_SECONDS", "UNKNOWN_ROUTE", "Gateway", "Passage", "Watch", "open_gateway"]

_events: Final = structlog.get_logger("automation_rules.gateway")

UNKNOWN_ROUTE: Final = Step("unknown_route")
"""The step of a request that the portal's route table does not know."""

RECORD_SECONDS: Final = 10.0
"""How long a caller waits for the log; a decision that is not durable by then is a denial."""

_FIRST_ERROR: Final = 400

_SHADOW: Final = Finding("enforcement", Outcome.WARN, "shadow")


@dataclass(frozen=True, slots=True)
class Passage:
    """Whether a request goes through, and why.

    ``decision`` is None when nobody had to be asked, or nothing could be decided; ``findings``
    are what kept it from going through. ``account_id`` is the bot's, None for anyone else.
    """

    allowed: bool
    decision: Decision | None = None
    receipt: Receipt | None = None
    findings: tuple[Finding, ...] = ()
    step: Step | None = None
    account_id: str | None = None


_THROUGH: Final = Passage(allowed=True)


class Watch(Protocol):
    """Who is told what a gateway does, for its metrics; called from any thread."""

    def passed(self, passage: Passage, seconds: float) -> None:
        """Take note of an answer, and of how long it took."""

    def recorded(self, seconds: float) -> None:
        """Take note of how long a decision waited for its commit, which may have failed."""


@dataclass(frozen=True, slots=True)
class _Judged:
    decision: Decision
    readings: Mapping[str, str]
    at: float
    is_identifier: bool


class Gateway:
    """Lets bots do what one policy allows, and people what they like; `open_gateway` makes one.

    Make one in each process that serves, after it has started. Safe to use from several threads
    and from asyncio, at once.
    """

    def __init__(
        self,
        registry: FactsOfMany,
        policy: Policy | CurrentPolicy,
        clock: Clock,
        log: GroupCommit,
        *,
        routes: Routes | None = None,
        leases: Leases | None = None,
        lease_duration: timedelta = LEASE_DURATION,
        monitor: ActivityMonitor | None = None,
        shadow: bool = False,
    ) -> None:
        """Join them; with ``shadow``, decide and record but enforce nothing."""
        self.routes = Routes(()) if routes is None else routes
        self.shadow = shadow
        self.watch: Watch | None = None
        self._facts = CurrentFacts(registry)
        self._policy = policy
        self._clock = clock
        self._log = log
        self._leases = leases
        self._lease_duration = lease_duration
        self._monitor = monitor
        self._enforcers: tuple[Policy, Enforcer] | None = None

    @property
    def clock(self) -> Clock:
        """The clock that decisions go by."""
        return self._clock

    # --- asking -----------------------------------------------------------------------------

    def route(
        self, method: str, path: str, query: str = "", headers: Mapping[str, str] | None = None
    ) -> Step | None:
        """Return the step that a request of the portal is; None when no decision is needed.

        ``path`` and ``query`` are raw, still percent-encoded. What the route table does not know
        is `UNKNOWN_ROUTE`.
        """
        found = self.routes.match(method, path, query, headers)
        if isinstance(found, Public):
            return None
        return UNKNOWN_ROUTE if found is None else found

    def ask(
        self,
        caller: Caller | None,
        step: Step,
        *,
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Passage:
        """Decide about one step, record it, and return whether it goes through.

        ``request_id`` is the caller's own name for the request, and ``trace_id`` that of the
        trace it belongs to; both are sealed in the log.
        """
        if isinstance(caller, Person | Visitor):
            return _THROUGH
        account_id = None if caller is None else caller.account_id
        if (watch := self.watch) is None:
            return self._ask(account_id, step, request_id, trace_id)
        began = monotonic()
        passage = self._ask(account_id, step, request_id, trace_id)
        watch.passed(passage, monotonic() - began)
        return passage

    def _ask(
        self, account_id: str | None, step: Step, request_id: str | None, trace_id: str | None
    ) -> Passage:
        try:
            judged = self._judge(account_id, step)
            passage = self._record(account_id, step, judged, request_id, trace_id)
            if self._is_late(judged):
                judged = self._judge(account_id, step)
                if not judged.decision.allowed:
                    passage = self._record(account_id, step, judged, request_id, trace_id)
        except Exception as error:
            return self.undecided(account_id, step, error)
        self._note(account_id, step, judged, passage)
        return passage

    def _record(
        self,
        account_id: str | None,
        step: Step,
        judged: _Judged,
        request_id: str | None,
        trace_id: str | None,
    ) -> Passage:
        future = None
        try:
            future = self._submit(judged, request_id, trace_id)
            receipt = future.result(RECORD_SECONDS)
        except Exception as error:
            if future is not None:
                # What nobody waits for any more is better not recorded, where that can be helped.
                future.cancel()
            return self._unrecorded(account_id, step, judged, error)
        return self._answer(account_id, step, judged, receipt)

    async def ask_async(
        self,
        caller: Caller | None,
        step: Step,
        *,
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Passage:
        """Do as `ask` does, without keeping the event loop waiting."""
        if isinstance(caller, Person | Visitor):
            return _THROUGH
        account_id = None if caller is None else caller.account_id
        if (watch := self.watch) is None:
            return await self._ask_async(account_id, step, request_id, trace_id)
        began = monotonic()
        passage = await self._ask_async(account_id, step, request_id, trace_id)
        watch.passed(passage, monotonic() - began)
        return passage

    async def _ask_async(
        self, account_id: str | None, step: Step, request_id: str | None, trace_id: str | None
    ) -> Passage:
        try:
            if self._reads(account_id):
                judged = await asyncio.to_thread(self._judge_anew, account_id, step)
            else:
                judged = self._judge_once(account_id, step)
                if self._is_doubtful(account_id, judged):
                    judged = await asyncio.to_thread(self._judge_once, account_id, step)
            passage = await self._record_async(account_id, step, judged, request_id, trace_id)
            if self._is_late(judged):
                judged = await asyncio.to_thread(self._judge, account_id, step)
                if not judged.decision.allowed:
                    passage = await self._record_async(
                        account_id, step, judged, request_id, trace_id
                    )
        except Exception as error:
            return self.undecided(account_id, step, error)
        self._note(account_id, step, judged, passage)
        return passage

    async def _record_async(
        self,
        account_id: str | None,
        step: Step,
        judged: _Judged,
        request_id: str | None,
        trace_id: str | None,
    ) -> Passage:
        began = monotonic()
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                receipt = await self._log.record_async(
                    judged.decision,
                    readings=judged.readings,
                    request_id=request_id,
                    trace_id=trace_id,
                )
        except Exception as error:
            return self._unrecorded(account_id, step, judged, error)
        finally:
            if self.watch is not None:
                self.watch.recorded(monotonic() - began)
        return self._answer(account_id, step, judged, receipt)

    def refuse_unreadable(self, error: Exception) -> Passage:
        """Return the denial of a request of which the portal could not say what it is."""
        return self._refuse(None, UNKNOWN_ROUTE, "request_unreadable", error)

    def undecided(self, account_id: str | None, step: Step, error: Exception) -> Passage:
        """Return the denial of a step about which ``error`` let nothing be decided."""
        if isinstance(error, ClockError):
            code = "clock_unreadable"
        elif isinstance(error, InvalidPolicyError):
            code = "policy_unreadable"
        else:
            code = "facts_unavailable"
        return self._refuse(account_id, step, code, error)

    def consider(self, account_id: str, step: Step) -> Decision:
        """Decide without recording, so that nothing is permitted by it.

        Raises:
            NotRegisteredError: there is no such account.
            StoreError: the registry cannot be read.
            InvalidPolicyError: the policy cannot be read.
            ClockError: the clock cannot be read.
        """
        enforcer, at = self._enforcer(), self._clock.now()
        try:
            return enforcer.decide(account_id, step, at=at)
        except InvalidInputError:
            raise NotRegisteredError("no account can have such an identifier") from None

    def check(self) -> Head:
        """Return the head of the log, when everything can be read that a decision needs.

        Raises:
            VerificationError: the log went back, as after restoring a backup.
            StoreError: the state cannot be read.
            InvalidPolicyError: the policy cannot be read.
            ClockError: the clock cannot be read.
        """
        self._enforcer()
        self._clock.now()
        return self._log.check_rollback()

    def forget(self, account_id: str) -> None:
        """Read what is registered about an account afresh: this process has just changed it."""
        self._facts.forget(account_id)

    def observe(self, account_id: str, *, status: int) -> None:
        """Tell the monitor how the portal answered a bot that was let through: the HTTP status."""
        if self._monitor is not None and status >= _FIRST_ERROR:
            self._monitor.note(account_id, Activity.ERROR)

    # --- parts ------------------------------------------------------------------------------

    def _reads(self, account_id: str | None) -> bool:
        """Whether deciding now would wait for a file or the database."""
        if isinstance(self._policy, CurrentPolicy) and not self._policy.is_fresh:
            return True
        if account_id is None:
            return False
        if self._leases is not None and self._enforcer().takes_leases:
            return True
        return not self._facts.is_fresh(account_id, self._clock.now())

    def _enforcer(self) -> Enforcer:
        policy = _policy(self._policy)
        made = self._enforcers
        if made is None or made[0] is not policy:
            made = (
                policy,
                Enforcer(
                    self._facts,
                    policy,
                    self._clock,
                    self._log,
                    margin=timedelta(0),
                    leases=self._leases,
                    lease_duration=self._lease_duration,
                ),
            )
            self._enforcers = made
        return made[1]

    def _judge_anew(self, account_id: str | None, step: Step) -> _Judged:
        """Judge where a wait is no trouble, having read again what is about to grow old."""
        if isinstance(self._policy, CurrentPolicy):
            self._policy.get(RENEW_SECONDS)
        if account_id is not None:
            self._facts.renew(account_id)
        return self._judge(account_id, step)

    def _judge(self, account_id: str | None, step: Step) -> _Judged:
        judged = self._judge_once(account_id, step)
        if self._is_doubtful(account_id, judged):
            judged = self._judge_once(account_id, step)
        return judged

    def _is_doubtful(self, account_id: str | None, judged: _Judged) -> bool:
        """Whether facts that are denied by were read for another step, and must be read again.

        A person may have entered the code or resumed the account since.
        """
        if judged.decision.allowed or account_id is None:
            return False
        return self._facts.forget(account_id, before=judged.at)

    def _is_late(self, judged: _Judged) -> bool:
        """Whether what was allowed has waited for the log for so long that it must be seen again.

        The account may have been paused since, or the window may have closed.
        """
        decision = judged.decision
        if not decision.allowed or decision.request.action is Action.SIGN_OUT:
            return False
        return monotonic() - judged.at >= FRESH_SECONDS

    def _judge_once(self, account_id: str | None, step: Step) -> _Judged:
        began = monotonic()
        enforcer = self._enforcer()
        at = self._clock.now()
        decision, is_identifier = self._decide(enforcer, account_id, step, at)
        if self.shadow:
            decision = decision.noted(_SHADOW)
        return _Judged(decision, enforcer.policy.readings, began, is_identifier)

    def _decide(
        self, enforcer: Enforcer, account_id: str | None, step: Step, at: datetime
    ) -> tuple[Decision, bool]:
        """Decide, and tell whether an account could be registered by that identifier."""
        is_identifier = account_id is not None
        if account_id is not None:
            try:
                decision = enforcer.judge(account_id, step, at=at)
            except NotRegisteredError:
                pass
            except InvalidInputError:
                is_identifier = False
            else:
                self._leave(enforcer, account_id, step)
                return decision, True
        # What can be no identifier may not be writable either.
        known_by = account_id if is_identifier else None
        return enforcer.answer(request_from_stranger(known_by, step, at)), is_identifier

    def _leave(self, enforcer: Enforcer, account_id: str, step: Step) -> None:
        # At once: by the time that it is on record the account may be in use again.
        try:
            enforcer.leave(account_id, step)
        except Exception as error:
            # The lease ends by itself.
            _events.warning("lease_not_freed", problem=_problem(error))

    def _note(self, account_id: str | None, step: Step, judged: _Judged, passage: Passage) -> None:
        """Tell the monitor what an account did; that the log failed it is none of its doing."""
        if self._monitor is None or account_id is None or not judged.is_identifier:
            return
        if step.subject_type != AUTOMATION_ACCOUNT:
            return
        if passage.receipt is None:
            self._monitor.note(account_id, Activity.REQUEST)
            return
        for activity in _activities(judged.decision):
            self._monitor.note(account_id, activity, todo=step.todo)

    def _submit(
        self, judged: _Judged, request_id: str | None, trace_id: str | None
    ) -> Future[Receipt]:
        future = self._log.submit(
            judged.decision, readings=judged.readings, request_id=request_id, trace_id=trace_id
        )
        if (watch := self.watch) is not None:
            began = monotonic()
            future.add_done_callback(lambda _: watch.recorded(monotonic() - began))
        return future

    def _answer(
        self, account_id: str | None, step: Step, judged: _Judged, receipt: Receipt
    ) -> Passage:
        decision = judged.decision
        return Passage(
            allowed=decision.allowed or self.shadow,
            decision=decision,
            receipt=receipt,
            findings=() if decision.allowed else decision.failures,
            step=step,
            account_id=account_id or UNMARKED,
        )

    def _unrecorded(
        self, account_id: str | None, step: Step, judged: _Judged, error: Exception
    ) -> Passage:
        decision = not_recorded(judged.decision)
        _events.error("decision_not_recorded", problem=_problem(error))
        return Passage(
            allowed=decision.allowed or self.shadow,
            decision=decision,
            findings=() if decision.allowed else decision.failures,
            step=step,
            account_id=account_id or UNMARKED,
        )

    def _refuse(self, account_id: str | None, step: Step, code: str, error: Exception) -> Passage:
        _events.error("not_decided", code=code, problem=_problem(error))
        leaving = step.action is Action.SIGN_OUT
        return Passage(
            allowed=leaving or self.shadow,
            findings=(Finding("gateway", Outcome.FAIL, code),),
            step=step,
            account_id=account_id or UNMARKED,
        )


def _policy(source: Policy | CurrentPolicy) -> Policy:
    return source.get() if isinstance(source, CurrentPolicy) else source


def _activities(decision: Decision) -> Iterator[Activity]:
    """Yield what a decided request adds to an account's activity."""
    yield Activity.REQUEST
    if not decision.allowed:
        yield Activity.ERROR
    if any(finding.check == "window" for finding in decision.failures):
        yield Activity.OUTSIDE_WINDOW
    if decision.allowed and decision.request.action is Action.SUBMIT_TODO:
        yield Activity.SUBMISSION
    if decision.request.action is Action.SIGN_IN:
        yield Activity.SESSION


def _problem(error: Exception) -> str:
    # Only our own errors are known to name nothing personal.
    return str(error) if isinstance(error, AutomationRulesError) else type(error).__name__


@contextmanager
def open_gateway(
    state: str | None = None,
    *,
    policy: Policy | Path | str | None = None,
    routes: Routes | Path | str | None = None,
    clock: Clock | None = None,
    shadow: bool = False,
    lease_duration: timedelta = LEASE_DURATION,
    **readings: Any,
) -> Iterator[Gateway]:
    """Open a gateway on the state at the URL ``state``; use it in a ``with``.

    ``policy`` is a policy, or the path of a policy file, which is read again when it changes; the
    published terms when absent. ``routes`` is the portal's route table, or the path of its file.

    Raises:
        StoreError: there is no such state, or it, its key or the remembered heads cannot be used.
        InvalidPolicyError: the policy or the route table cannot be read.
    """
    from ..landlord_portal import landlord_portal
    from ..monitor import ActivityMonitor
    from ..store import Leases, Registry, Store, state_url

    clock = clock or SystemClock()
    current: Policy | CurrentPolicy
    if isinstance(policy, Path | str):
        current = CurrentPolicy(Path(policy), **readings)
    else:
        current = policy or landlord_portal(**readings)
    if isinstance(routes, Path | str):
        routes = load_routes(Path(routes))
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(state_url(state), clock=clock))
        registry = Registry(store, clock)
        log = stack.enter_context(open_log(store))
        group = stack.enter_context(GroupCommit(log))
        monitor = stack.enter_context(
            ActivityMonitor(store, clock, lambda: None if shadow else _policy(current).monitor)
        )
        yield Gateway(
            registry,
            current,
            clock,
            group,
            routes=routes,
            leases=Leases(store, clock),
            lease_duration=lease_duration,
            monitor=monitor,
            shadow=shadow,
        )
