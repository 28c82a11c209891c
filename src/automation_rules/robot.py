"""Keywords for Robot Framework (extra ``robot``): ``Library    automation_rules.robot``.

What they say is in their own documentation: ``python -m robot.libdoc automation_rules.robot list``.
Robot Framework reads the types of the arguments, so that this module resolves them when imported.
"""

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar, cast

try:
    from robot.api import Error, Failure, logger
    from robot.api.deco import keyword
    from robot.api.types import Secret
except ImportError as error:
    raise ImportError(
        "automation_rules.robot needs Robot Framework 7.4 or later: "
        "pip install 'automation-rules[robot]'"
    ) from error

from .actions import Action, TodoKind
from .enforcer import DEFAULT_MARGIN, Step
from .errors import AutomationRulesError, NotPermittedError
from .inputs import parse_instant
from .permit import Gate, Permit, TodoPermit, open_gate
from .request import Mode
from .texts import Lang, ui

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from .decision import Decision

__all__ = ["AutomationRules"]

_WordT = TypeVar("_WordT", Action, TodoKind)
_F = TypeVar("_F", bound="Callable[..., Any]")


def _named(name: str) -> "Callable[[_F], _F]":
    """Give a keyword a name that no Python function can have."""
    return cast("Callable[[_F], _F]", keyword(name))


def _word(vocabulary: type[_WordT], text: str) -> _WordT | str:
    """Return the word that ``text`` is, or the text: what the portal does not know is judged."""
    try:
        return vocabulary(text)
    except ValueError:
        return text


@contextmanager
def _told() -> "Iterator[None]":
    """Fail the keyword with words: a denial as a failure, what could not be asked as an error."""
    try:
        yield
    except NotPermittedError as denial:
        raise Failure(str(denial)) from None
    except AutomationRulesError as error:
        raise Error(str(error)) from error


class AutomationRules:
    """Asks, before a bot acts in the Landlord Portal, whether the published terms allow it.

    The facts come from your registry and the time from this machine's clock. Every answer is
    recorded in the decision log before the keyword passes. A denial fails the keyword, and the
    message says why, which clause it rests on, and from when the step would be allowed. What could
    not be asked or recorded fails as well: only a keyword that passes is a yes.

    Independent of DWP and not endorsed by it. "Allowed" means that no breach was found.

    = A run =

    `Open Gate` belongs in the setup of the suite, and `Close Gate` in its teardown.

    | Confirm Housing Costs
    |     Begin Run    acme-1    todo_kind=confirm_housing_costs    expected_duration=2 minutes
    |     Sign In To The Portal
    |     ${code}=    Wait For Daily Code    acme-1
    |     Type The Code    ${code.value}
    |     FOR    ${todo}    IN    @{todos}
    |         ${begun}=    Start To-do Unless Closing    ${todo}
    |         IF    not ${begun}    BREAK
    |         Fill In The Form    ${todo}
    |         Submit To-do
    |         Press The Submit Button
    |         Finish To-do
    |     END
    |     [Teardown]    Run Keywords    Sign Out Of The Portal    AND    End Run

    = To-dos at closing time =

    A to-do that could not be finished before automation must stop is not begun. If closing comes
    while the bot works on one, `Save To-do` and `Submit To-do` fail, and the message says that a
    person must finish it.

    = Trying the rules out =

    With ``at=2026-06-06T09:00:00+01:00``, the keywords `Automation Should Be Allowed` and
    `Automation Should Be Denied` answer for that instant, and record nothing.
    """

    ROBOT_LIBRARY_SCOPE = "SUITE"
    ROBOT_LIBRARY_VERSION = version("automation-rules")
    ROBOT_LIBRARY_DOC_FORMAT = "ROBOT"
    ROBOT_LISTENER_API_VERSION = 3
    # Also what lets the library be imported by the name of its module.
    ROBOT_AUTO_KEYWORDS = True

    def __init__(self) -> None:
        """Ask for nothing before `Open Gate`."""
        self.ROBOT_LIBRARY_LISTENER = self
        self._open = ExitStack()
        self._gate: Gate | None = None
        self._lang: Lang = "en"
        self._run: Permit | None = None
        self._todo: TodoPermit | None = None
        self._working = ExitStack()
        self._submission: AbstractContextManager[object] | None = None

    # --- the gate -------------------------------------------------------------------------------

    def open_gate(
        self,
        state: str | None = None,
        policy: str | None = None,
        *,
        lang: Lang = "en",
        margin: timedelta = DEFAULT_MARGIN,
    ) -> None:
        """Opens the state and its log; every other keyword needs it.

        ``state`` is its URL, by default ``%{AUTOMATION_RULES_STATE}``, else a file in the user's
        data directory. Robot Framework logs arguments: leave a URL with a password to the
        environment. ``policy`` is a policy file, by default the published terms.

        Denials are explained in ``lang``. Work must end ``margin`` before closing.

        | Open Gate
        | Open Gate    policy=${CURDIR}/stricter.toml    lang=cy    margin=5 minutes
        """
        if self._gate is not None:
            raise Error("a gate is open: use Close Gate first")
        with _told(), ExitStack() as opening:
            rules = None
            if policy is not None:
                from .policyfile import load_policy

                rules = load_policy(policy)
            self._gate = opening.enter_context(open_gate(state, rules, margin=margin, lang=lang))
            self._lang = lang
            self._open = opening.pop_all()

    def close_gate(self) -> None:
        """Ends the run if there is one, and closes the state; nothing if there is no gate.

        It happens by itself at the end of the suite.
        """
        try:
            self.end_run()
        finally:
            self._gate = None
            self._open.close()

    def _close(self) -> None:
        """Leave nothing open when Robot Framework lets go of the library."""
        self.close_gate()

    def _opened(self) -> Gate:
        if self._gate is None:
            raise Error("there is no gate: use Open Gate first")
        return self._gate

    # --- one question -----------------------------------------------------------------------------

    def automation_should_be_allowed(
        self,
        account: str,
        action: str,
        *,
        todo_kind: str | None = None,
        todo: str | None = None,
        tenant: str | None = None,
        mode: Mode = Mode.LIVE,
        expected_duration: timedelta | None = None,
        form_fingerprint: str | None = None,
        answers: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        at: str | None = None,
    ) -> dict[str, Any]:
        """Fails unless the account may take the step now; records the answer.

        ``action`` is ``sign_in``, ``enter_access_code``, ``list_todos``, ``view_updates``,
        ``open_todo``, ``save_answers``, ``submit_todo`` or ``sign_out``; every other is denied.
        ``todo_kind`` is ``provide_tenancy_details`` or ``confirm_housing_costs``. The other
        arguments are those of ``automation-rules preflight``.

        With ``at`` it answers for that instant instead, and records nothing. Returns the decision
        as a dictionary, the AuthZEN response that the command line prints.

        | Automation Should Be Allowed    acme-1    list_todos    todo_kind=confirm_housing_costs
        | Automation Should Be Allowed    acme-1    open_todo    todo_kind=confirm_housing_costs
        | ...    todo=td-17    expected_duration=2 minutes
        """
        step = Step(
            _word(Action, action),
            None if todo_kind is None else _word(TodoKind, todo_kind),
            todo=todo,
            tenant=tenant,
            mode=mode,
            expected_duration=expected_duration,
            form_fingerprint=form_fingerprint,
            answers=answers,
            record=record,
        )
        decision = self._ask(account, step, at)
        if not decision.allowed:
            raise Failure(decision.explain(self._lang))
        return decision.to_document()

    def automation_should_be_denied(
        self,
        account: str,
        action: str,
        *,
        code: str | None = None,
        check: str | None = None,
        todo_kind: str | None = None,
        todo: str | None = None,
        tenant: str | None = None,
        mode: Mode = Mode.LIVE,
        expected_duration: timedelta | None = None,
        form_fingerprint: str | None = None,
        answers: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        at: str | None = None,
    ) -> dict[str, Any]:
        """Fails unless the step is denied, by ``check`` and with ``code`` if they are given.

        The other arguments, and what is returned, are those of `Automation Should Be Allowed`.

        | Automation Should Be Denied    acme-1    request_apa
        | Automation Should Be Denied    acme-1    sign_in    at=2026-06-02T18:00:00+01:00
        | ...    code=outside_hours
        """
        step = Step(
            _word(Action, action),
            None if todo_kind is None else _word(TodoKind, todo_kind),
            todo=todo,
            tenant=tenant,
            mode=mode,
            expected_duration=expected_duration,
            form_fingerprint=form_fingerprint,
            answers=answers,
            record=record,
        )
        decision = self._ask(account, step, at)
        found = any(
            check in (None, finding.check) and code in (None, finding.code)
            for finding in decision.failures
        )
        if decision.allowed or not found:
            wanted = ui("robot.not_denied", check=check or "*", code=code or "*").to(self._lang)
            raise Failure(f"{wanted}\n{decision.explain(self._lang)}")
        return decision.to_document()

    def _ask(self, account: str, step: Step, at: str | None) -> "Decision":
        enforcer = self._opened().enforcer
        with _told():
            if at is None:
                verdict = enforcer.preflight(account, step)
                if verdict.trouble is not None and step.action is not Action.SIGN_OUT:
                    raise verdict.trouble
                return verdict.decision
            try:
                instant = parse_instant(at)
            except ValueError as error:
                raise Error(f"at: {error}") from None
            return enforcer.decide(account, step, at=instant)

    # --- waiting ----------------------------------------------------------------------------------

    def seconds_until_opening(
        self,
        account: str,
        *,
        todo_kind: TodoKind,
        expected_duration: timedelta,
        mode: Mode = Mode.LIVE,
    ) -> float:
        """Returns how long until the account may sign in for a to-do; 0 when it may now.

        Fails when waiting would not help. Nothing is recorded, and waiting is no permission: ask
        again afterwards.

        | ${seconds}=    Seconds Until Opening    acme-1    todo_kind=confirm_housing_costs
        | ...    expected_duration=2 minutes
        | Sleep    ${seconds} seconds
        """
        with _told():
            wait = self._opened().opens_in(
                account, todo_kind=todo_kind, expected_duration=expected_duration, mode=mode
            )
        return wait.total_seconds()

    def wait_for_daily_code(
        self, account: str, timeout: timedelta = timedelta(minutes=5)
    ) -> Secret:
        """Waits until a person has typed in today's SMS code, and returns it: six digits, once.

        The person runs ``automation-rules code enter``; five minutes are the most that a hand-over
        takes. What is returned is a Secret, which Robot Framework does not log; its digits are in
        ``${code.value}``. Give them to the portal and to nothing else.

        | ${code}=    Wait For Daily Code    acme-1
        | Type The Code    ${code.value}
        """
        gate = self._opened()
        logger.info(ui("code.waiting").to(self._lang), also_console=True)
        with _told():
            return Secret(gate.wait_for_code(account, timeout))

    # --- a run ------------------------------------------------------------------------------------

    def begin_run(
        self,
        account: str,
        *,
        todo_kind: TodoKind,
        expected_duration: timedelta,
        mode: Mode = Mode.LIVE,
    ) -> None:
        """Asks for ``sign_in``; use it before the bot signs in, and `End Run` when it is out again.

        ``expected_duration`` is the longest time that one to-do takes. Fails when not even one
        would fit before closing.

        | Begin Run    acme-1    todo_kind=confirm_housing_costs    expected_duration=2 minutes
        """
        gate = self._opened()
        if self._run is not None:
            raise Error("a run has begun: use End Run first")
        with _told():
            run = gate.permit(
                account, todo_kind=todo_kind, expected_duration=expected_duration, mode=mode
            )
            run.__enter__()
        self._run = run

    def end_run(self) -> None:
        """Records ``sign_out``, which is always let through; nothing if there is no run.

        Use it in a teardown, after the bot has signed out of the portal.
        """
        self._leave_todo()
        run, self._run = self._run, None
        if run is None:
            return
        run.__exit__(None, None, None)
        if run.trouble is not None:
            logger.warn(f"signing out could not be recorded: {run.trouble}")

    @_named("Start To-do")
    def start_todo(
        self,
        todo: str,
        *,
        todo_kind: TodoKind | None = None,
        expected_duration: timedelta | None = None,
        tenant: str | None = None,
    ) -> None:
        """Asks for ``open_todo``; use it before the bot opens the to-do.

        Kind and duration are the run's unless given. Fails when it could not be finished before
        automation must stop.

        | Start To-do    td-17
        | Start To-do    td-18    expected_duration=5 minutes
        """
        run = self._running()
        with _told():
            begun = run.todo(
                todo, todo_kind=todo_kind, expected_duration=expected_duration, tenant=tenant
            )
            self._working.enter_context(begun)
        self._todo = begun

    @_named("Start To-do Unless Closing")
    def start_todo_unless_closing(self, todo: str) -> bool:
        """Does as `Start To-do` does, but returns False when there is no time left for it.

        Every other denial fails: a loop that ends because of a pause is not to pass.

        | ${begun}=    Start To-do Unless Closing    ${todo}
        | IF    not ${begun}    BREAK
        """
        run = self._running()
        begun = run.todos([todo])
        with _told():
            self._todo = next(begun, None)
        if self._todo is not None:
            # The to-do lasts until what began it is closed.
            self._working.callback(begun.close)
        elif run.stopped is not None:
            logger.info(run.stopped.explain(self._lang))
        return self._todo is not None

    @_named("Save To-do")
    def save_todo(self, *, form_fingerprint: str | None = None) -> None:
        """Asks for ``save_answers``; use it each time before the bot saves.

        ``form_fingerprint`` is yours, of the form as met now.
        """
        todo = self._begun()
        with _told():
            todo.saving(form_fingerprint=form_fingerprint)

    @_named("Submit To-do")
    def submit_todo(
        self,
        *,
        answers: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        form_fingerprint: str | None = None,
    ) -> None:
        """Asks for ``submit_todo``; use it before the bot submits, and `Finish To-do` after.

        ``answers`` are about to be submitted, and ``record`` is what your own system says: every
        field of the record must be the same. Give both, or neither.

        | Submit To-do    answers=${answers}    record=${record}
        | Press The Submit Button
        | Finish To-do
        """
        todo = self._begun()
        self._submission = None
        with _told():
            self._submission = todo.submitting(
                answers=answers, record=record, form_fingerprint=form_fingerprint
            )

    @_named("Finish To-do")
    def finish_todo(self) -> None:
        """Says that the portal has taken what was submitted; until then the to-do is unfinished."""
        self._begun()
        if self._submission is None:
            raise Error("nothing was submitted: use Submit To-do before the bot submits")
        with self._submission:
            self._submission = None
        self._leave_todo()

    @_named("Get Completed To-dos")
    def get_completed_todos(self) -> list[str]:
        """Returns the to-dos of the run that `Finish To-do` was said of."""
        return list(self._in_run().completed)

    @_named("Get Unfinished To-dos")
    def get_unfinished_todos(self) -> list[str]:
        """Returns the to-dos of the run that were begun and not finished: a person's to see."""
        return list(self._in_run().unfinished)

    def _in_run(self) -> Permit:
        if self._run is None:
            raise Error("there is no run: use Begin Run first")
        return self._run

    def _running(self) -> Permit:
        """Return the run, between two to-dos."""
        run = self._in_run()
        self._leave_todo()
        return run

    def _begun(self) -> TodoPermit:
        if self._todo is None:
            raise Error("there is no to-do: use Start To-do first")
        return self._todo

    def _leave_todo(self) -> None:
        self._todo = self._submission = None
        self._working.close()
