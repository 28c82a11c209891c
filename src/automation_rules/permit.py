"""One run of a bot, from signing in to signing out, that cannot go on when the answer is no.

    with open_gate() as gate, gate.permit("acme-1", todo_kind=..., expected_duration=...) as permit:
        for todo in permit.todos(found):
            with todo.submitting(answers=answers, record=record):
                portal.submit(todo.id)

Every step is asked for and recorded before it is taken, and a denial is raised, so that a bot
which does not look at answers stops as well. What cannot finish by closing is not begun. A to-do
that was begun when automation had to stop is a person's to finish, and the error says so.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .actions import TODO_ACTIONS, Action
from .clock import SystemClock
from .enforcer import DEFAULT_MARGIN, Step, open_enforcer
from .errors import AutomationRulesError, FieldError, InvalidInputError, NotPermittedError
from .request import Mode
from .texts import ui

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from .actions import TodoKind
    from .clock import Clock
    from .decision import Decision
    from .enforcer import Enforcer, Verdict
    from .policy import Policy
    from .texts import Lang

__all__ = ["Gate", "Permit", "TodoPermit", "open_gate"]

_OWN_ACTIONS: Final = TODO_ACTIONS | {Action.SIGN_IN, Action.SIGN_OUT}
"""What a permit asks about by itself, because it follows from where the run stands."""


class TodoPermit:
    """One to-do of a run, begun by ``with``, or by `Permit.todos`.

    ``id`` is the to-do's own; only a random token of it is recorded.
    """

    def __init__(self, permit: Permit, begin: Step) -> None:
        """Belong to a run; `Permit.todo` makes it."""
        self.id = begin.todo or ""
        self._permit = permit
        self._begin = begin

    def __enter__(self) -> TodoPermit:
        """Ask for ``open_todo``, with the time that it takes.

        Raises:
            NotPermittedError: it is denied; nothing was begun.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        self._permit._begin(self, self._begin)
        return self

    def __exit__(self, *_: object) -> None:
        """End the to-do: it is completed if it was submitted, else left to a person."""
        self._permit._end(self)

    def saving(self, *, form_fingerprint: str | None = None) -> Verdict:
        """Ask for ``save_answers``; call it each time before answers are saved.

        Raises:
            NotPermittedError: it is denied; a person must finish the to-do.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        return self._ask(Action.SAVE_ANSWERS, form_fingerprint=form_fingerprint)

    def submitting(
        self,
        *,
        answers: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        form_fingerprint: str | None = None,
    ) -> AbstractContextManager[Verdict]:
        """Ask for ``submit_todo`` at once; submit inside of the ``with`` that this returns.

        ``answers`` are about to be submitted and ``record`` is what the landlord's own system
        says (clause ``terms.accuracy``). The to-do counts as completed when the ``with`` ends
        without an exception.

        Raises:
            InvalidInputError: only one of ``answers`` and ``record``, which would not be compared.
            NotPermittedError: it is denied; a person must finish the to-do.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        if (answers is None) != (record is None):
            absent = "answers" if answers is None else "record"
            raise InvalidInputError(
                [FieldError(f"/{absent}", "is required too: give answers and record, or neither")]
            )
        verdict = self._ask(
            Action.SUBMIT_TODO, answers=answers, record=record, form_fingerprint=form_fingerprint
        )
        return self._submission(verdict)

    @contextmanager
    def _submission(self, verdict: Verdict) -> Iterator[Verdict]:
        yield verdict
        self._permit._complete(self)

    def _ask(self, action: Action, **met: Any) -> Verdict:
        begin = self._begin
        return self._permit._ask(
            Step(
                action,
                begin.todo_kind,
                todo=begin.todo,
                tenant=begin.tenant,
                mode=begin.mode,
                **met,
            )
        )


class Permit:
    """One run of one account, from ``sign_in`` to ``sign_out``; use it in a ``with``, once.

    ``completed`` and ``unfinished`` name the to-dos that were submitted, and those that were begun
    and were not. ``stopped`` is the decision for which `todos` ended early. ``trouble`` is why
    signing out could not be recorded, which keeps nobody from leaving.

    One bot uses it from one thread.
    """

    def __init__(
        self,
        enforcer: Enforcer,
        account_id: str,
        *,
        todo_kind: TodoKind,
        expected_duration: timedelta,
        mode: Mode = Mode.LIVE,
        sign_out: Callable[[], object] | None = None,
        lang: Lang = "en",
    ) -> None:
        """Prepare a run; nothing is asked before it is entered.

        ``expected_duration`` is the longest time that one to-do takes; the enforcer's margin comes
        on top. ``sign_out`` signs the bot out of the portal: it is called whenever the run ends,
        however it ends. Denials are explained in ``lang``.

        Raises:
            InvalidInputError: a duration that is not positive, or another language.
        """
        _check_duration(expected_duration)
        _check_lang(lang)
        self.account_id = account_id
        self.stopped: Decision | None = None
        self.trouble: AutomationRulesError | None = None
        self._enforcer = enforcer
        self._todo_kind = todo_kind
        self._expected_duration = expected_duration
        self._mode = mode
        self._sign_out = sign_out
        self._lang = lang
        self._begun: dict[str, bool] = {}
        self._current: TodoPermit | None = None

    @property
    def completed(self) -> tuple[str, ...]:
        """The to-dos that were submitted, in the order in which they were begun."""
        return tuple(todo for todo, submitted in self._begun.items() if submitted)

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The to-dos that were begun and not, or not known to be, submitted: a person's to see."""
        return tuple(todo for todo, submitted in self._begun.items() if not submitted)

    def __enter__(self) -> Permit:
        """Ask for ``sign_in``, with time for one to-do at least.

        Raises:
            NotPermittedError: it is denied; the bot must not sign in.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        self._ask(self._step(Action.SIGN_IN, expected_duration=self._expected_duration))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Record ``sign_out``, which is always let through, and sign out of the portal."""
        self._current = None
        try:
            self._record_leaving()
        finally:
            if self._sign_out is not None:
                self._sign_out()

    def require(self, action: Action) -> Verdict:
        """Ask for a step about no one to-do: ``enter_access_code``, ``list_todos`` and such.

        Raises:
            InvalidInputError: the run asks for this step by itself, at its own place.
            NotPermittedError: it is denied.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        if action in _OWN_ACTIONS:
            raise InvalidInputError(
                [
                    FieldError(
                        "/action",
                        f"{action.value} is asked for by the permit itself: use it in a `with`, "
                        "todo(), saving() or submitting()",
                    )
                ]
            )
        return self._ask(self._step(action))

    def todo(
        self,
        todo_id: str,
        *,
        todo_kind: TodoKind | None = None,
        expected_duration: timedelta | None = None,
        tenant: str | None = None,
    ) -> TodoPermit:
        """Return a to-do that a ``with`` begins; kind and duration are the run's unless given.

        Entering it asks, and is denied when the to-do could not be finished before automation must
        stop.

        Raises:
            InvalidInputError: no identifier, or a duration that is not positive.
        """
        if not todo_id:
            raise InvalidInputError([FieldError("/todo_id", "must name the to-do")])
        if expected_duration is None:
            expected_duration = self._expected_duration
        _check_duration(expected_duration)
        begin = Step(
            Action.OPEN_TODO,
            todo_kind or self._todo_kind,
            todo=todo_id,
            tenant=tenant,
            mode=self._mode,
            expected_duration=expected_duration,
        )
        return TodoPermit(self, begin)

    def todos(self, todo_ids: Iterable[str]) -> Generator[TodoPermit, None, None]:
        """Begin one to-do after the other, until there is no time left for the next.

        That end is no error: `stopped` is then the decision, and the rest of ``todo_ids`` waits
        for the next run. What comes next ends the to-do before it.

        Raises:
            InvalidInputError: an empty identifier.
            NotPermittedError: the next is denied, and waiting would not help.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.preflight`.
        """
        for todo_id in todo_ids:
            with ExitStack() as begun:
                try:
                    todo = begun.enter_context(self.todo(todo_id))
                except NotPermittedError as denial:
                    if denial.decision.retry_after is None:
                        raise
                    self.stopped = denial.decision
                    return
                yield todo

    def _step(self, action: Action, **more: Any) -> Step:
        return Step(action, self._todo_kind, mode=self._mode, **more)

    def _record_leaving(self) -> None:
        try:
            verdict = self._enforcer.preflight(self.account_id, self._step(Action.SIGN_OUT))
        except AutomationRulesError as trouble:
            # Raised, it would hold up whoever leaves after the `with`, or hide what went wrong.
            self.trouble = trouble
        else:
            self.trouble = verdict.trouble
        if self.trouble is not None:
            import structlog

            structlog.get_logger("automation_rules.permit").warning(
                "sign_out_not_recorded", account=self.account_id, problem=str(self.trouble)
            )

    def _begin(self, todo: TodoPermit, begin: Step) -> None:
        self._current = None
        self._ask(begin)
        self._begun[todo.id] = False
        self._current = todo

    def _end(self, todo: TodoPermit) -> None:
        if self._current is todo:
            self._current = None

    def _complete(self, todo: TodoPermit) -> None:
        self._begun[todo.id] = True

    def _ask(self, step: Step) -> Verdict:
        verdict = self._enforcer.preflight(self.account_id, step)
        if verdict.decision.allowed:
            return verdict
        lines = [verdict.decision.explain(self._lang)]
        left = self._current is not None and self._current.id in self.unfinished
        if left and self._mode is Mode.LIVE:
            lines.append(ui("permit.a_person_finishes").to(self._lang))
        if self._begun:
            lines.append(ui("permit.completed", number=len(self.completed)).to(self._lang))
        raise NotPermittedError(
            "\n".join(lines),
            verdict.decision,
            completed=self.completed,
            unfinished=self.unfinished,
        ) from verdict.trouble


class Gate:
    """The landlord's side of the gate: where a bot asks before it goes to the portal.

    `open_gate` makes one. Permits for several accounts may be in use at once, each in a thread.
    """

    def __init__(
        self, enforcer: Enforcer, clock: Clock, *, state: str | None = None, lang: Lang = "en"
    ) -> None:
        """Stand before ``enforcer``, whose state is at the URL ``state``; speak ``lang``.

        Raises:
            InvalidInputError: another language.
        """
        _check_lang(lang)
        self.enforcer = enforcer
        self._clock = clock
        self._state = state
        self._lang: Lang = lang

    def permit(
        self,
        account_id: str,
        *,
        todo_kind: TodoKind,
        expected_duration: timedelta,
        mode: Mode = Mode.LIVE,
        sign_out: Callable[[], object] | None = None,
    ) -> Permit:
        """Return a run of an account, which begins when it is entered; as `Permit` says."""
        return Permit(
            self.enforcer,
            account_id,
            todo_kind=todo_kind,
            expected_duration=expected_duration,
            mode=mode,
            sign_out=sign_out,
            lang=self._lang,
        )

    def opens_in(
        self,
        account_id: str,
        *,
        todo_kind: TodoKind,
        expected_duration: timedelta,
        mode: Mode = Mode.LIVE,
    ) -> timedelta:
        """Return how long until the account may sign in for a to-do; zero when it may now.

        Nothing is recorded. Sleeping that long is no permission: the run asks again.

        Raises:
            InvalidInputError: a duration that is not positive.
            NotPermittedError: it may not, and waiting would not help.
            StoreError, NotRegisteredError, ClockError: as `Enforcer.decide`.
        """
        _check_duration(expected_duration)
        now = self._clock.now()
        step = Step(Action.SIGN_IN, todo_kind, mode=mode, expected_duration=expected_duration)
        decision = self.enforcer.decide(account_id, step, at=now)
        if decision.allowed:
            return timedelta(0)
        if decision.retry_after is None:
            raise NotPermittedError(decision.explain(self._lang), decision)
        return decision.retry_after - now

    def wait_for_code(self, account_id: str, timeout: timedelta | None = None) -> str:
        """Wait until a person has typed in the account's code, and return it: six digits, once.

        By default as long as a hand-over may take (clause ``step-2.manual-code``). Write the code
        nowhere but into the portal.

        Raises:
            AccessCodeError: nobody entered one in time.
            NotRegisteredError: there is no such account.
            StoreError: the state cannot be used.
        """
        from .store import Store, state_url
        from .store.codes import HAND_OVER_WITHIN, CodeDesk

        with Store.open(state_url(self._state), clock=self._clock) as store:
            desk = CodeDesk(store, self._clock)
            return desk.wait(desk.open_wait(account_id), timeout or HAND_OVER_WITHIN)


@contextmanager
def open_gate(
    state: str | None = None,
    policy: Policy | None = None,
    *,
    clock: Clock | None = None,
    margin: timedelta = DEFAULT_MARGIN,
    lang: Lang = "en",
) -> Iterator[Gate]:
    """Open the gate to the state at the URL ``state``; denials are explained in ``lang``.

    The defaults are those of `open_enforcer`.

    Raises:
        StoreError: there is no such state, or it, its key or the remembered heads cannot be used.
        InvalidInputError: another language.
    """
    _check_lang(lang)
    clock = clock or SystemClock()
    with open_enforcer(state, policy, clock=clock, margin=margin) as enforcer:
        yield Gate(enforcer, clock, state=state, lang=lang)


def _check_duration(duration: timedelta) -> None:
    if duration <= timedelta(0):
        raise InvalidInputError(
            [FieldError("/expected_duration", "must be positive: the longest that a to-do takes")]
        )


def _check_lang(lang: str) -> None:
    ui("denied").to(lang)  # now, and not when a denial is to be explained
