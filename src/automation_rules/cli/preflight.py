"""``automation-rules preflight``: may this account take this step now? Asked before it is taken."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..actions import Action, TodoKind
from ..clock import SystemClock
from ..enforcer import DEFAULT_MARGIN, Enforcer, Step, open_log
from ..errors import (
    FieldError,
    InvalidInputError,
    VerificationError,
)
from ..inputs import load_json
from ..request import Channel, Mode, SmsCode
from ..texts import ui
from .common import INTERNAL, OK, Output, exit_options, naming, output_options, policy_options, say
from .render import Answer, exit_code, write_answers
from .state import DURATION, INSTANT, TEXT, open_store, parsed, registry_of, state_option

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ..decision import Decision
    from ..enforcer import Verdict
    from ..policy import Policy
    from ..store import Store

__all__ = ["preflight"]

_Word = TypeVar("_Word", Action, TodoKind)

_MOST_MARGIN_SECONDS: Final = 3_600


def _http_date(text: str) -> datetime:
    """Read an HTTP date (RFC 9110, section 5.6.7), in the form that servers must send."""
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        found = parsedate_to_datetime(text)
        if text.endswith(" GMT") and found.utcoffset() is not None:
            return found
    raise ValueError(
        "must be an HTTP date, for example Tue, 02 Jun 2026 08:00:00 GMT: "
        "give the portal's Date header as it came"
    )


@click.command()
@click.option("--account", "account_id", metavar="ID", required=True)
@click.option(
    "--action",
    type=TEXT,
    metavar="ACTION",
    required=True,
    help=f"The step: {', '.join(action.value for action in list(Action)[:8])}.",
)
@click.option(
    "--todo-kind",
    type=TEXT,
    metavar="KIND",
    help=f"{', '.join(kind.value for kind in TodoKind)}.",
)
@click.option("--todo", type=TEXT, metavar="ID", help="The to-do; a token of it is recorded.")
@click.option(
    "--tenant", type=TEXT, metavar="REFERENCE", help="The tenant; a token of it is recorded."
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.LIVE.value,
    show_default=True,
    help="A test may take every step but submitting.",
)
@click.option(
    "--expected-duration",
    type=DURATION,
    metavar="DURATION",
    help="How long the step takes at most, for example PT2M.",
)
@click.option(
    "--form-fingerprint", type=TEXT, metavar="TEXT", help="Yours, of the form as met now."
)
@click.option("--answers", "answers_file", metavar="FILE", help="What is about to be submitted.")
@click.option("--record", "record_file", metavar="FILE", help="What your own system says.")
@click.option(
    "--margin",
    type=click.IntRange(0, _MOST_MARGIN_SECONDS),
    default=int(DEFAULT_MARGIN.total_seconds()),
    show_default=True,
    metavar="SECONDS",
    help="Keep this long away from closing.",
)
@click.option(
    "--portal-date",
    type=parsed("HTTP date", _http_date),
    metavar="HTTPDATE",
    help="The portal's Date header just now: a clock that is off by more than the margin is "
    "refused.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be answered; record nothing.")
@click.option("--at", type=INSTANT, metavar="T", help="With --dry-run: at T (RFC 3339), not now.")
@click.option(
    "--code-at",
    type=INSTANT,
    metavar="T",
    help="With --dry-run: suppose that today's code is typed in at T.",
)
@click.option("--code-by", metavar="PERSON", help="With --code-at: by this registered person.")
@policy_options
@exit_options
@state_option
@output_options("text", "json", "junit", "sarif", answers=True)
def preflight(
    *,
    account_id: str,
    margin: int,
    portal_date: datetime | None,
    dry_run: bool,
    at: datetime | None,
    code_at: datetime | None,
    code_by: str | None,
    policy: Policy,
    exit_zero: bool,
    fail_on_warn: bool,
    state: str | None,
    out: Output,
    **options: Any,
) -> int:
    """Decide whether an automation account may take a step now, from the registry's facts.

    The decision is recorded before it is printed. What cannot be recorded is denied (exit 3).
    Ask before a run, and again before every to-do.
    """
    from ..audit import DecisionLog

    _check_options(dry_run, at, code_at, code_by, portal_date)
    step = _step(**options)
    away = timedelta(seconds=margin)
    with open_store(state) as store:
        if dry_run:
            code = _supposed_code(store, account_id, code_at, code_by)
            enforcer = Enforcer(
                registry_of(store), policy, SystemClock(), DecisionLog(store), margin=away
            )
            moment = at or SystemClock().now()
            decision = enforcer.decide(account_id, step, at=moment, sms_code=code)
            notes = (*_leaving(decision, out), ui("dry_run").to(out.lang))
            answer = Answer("preflight", decision, notes=notes, extra={"dry_run": True})
        else:
            with open_log(store) as log:
                enforcer = Enforcer(registry_of(store), policy, SystemClock(), log, margin=away)
                verdict = enforcer.preflight(account_id, step, portal_time=portal_date)
            answer = _answer(verdict, out)
    write_answers([answer], out, policy, single=True)
    if step.action is Action.SIGN_OUT:
        # Leaving is never held up, by a warning that it could not be recorded neither.
        return OK
    if not dry_run and "log" not in answer.extra:
        return INTERNAL
    return exit_code([answer], fail_on_warn=fail_on_warn, exit_zero=exit_zero)


def _check_options(
    dry_run: bool,
    at: datetime | None,
    code_at: datetime | None,
    code_by: str | None,
    portal_date: datetime | None,
) -> None:
    supposed = {"--at": at, "--code-at": code_at, "--code-by": code_by}
    for name, value in supposed.items():
        if value is not None and not dry_run:
            raise click.UsageError(f"{name} only supposes something: give it with --dry-run")
    if (code_at is None) != (code_by is None):
        raise click.UsageError("--code-at and --code-by go together: give both, or neither")
    if dry_run and portal_date is not None:
        raise click.UsageError("--portal-date is about the present: leave it out of a --dry-run")


def _step(
    *,
    action: str,
    todo_kind: str | None,
    mode: str,
    answers_file: str | None,
    record_file: str | None,
    **options: Any,
) -> Step:
    if (answers_file is None) != (record_file is None):
        raise click.UsageError("--answers and --record go together: give both, or neither")
    return Step(
        action=_word(Action, action),
        todo_kind=None if todo_kind is None else _word(TodoKind, todo_kind),
        mode=Mode(mode),
        answers=None if answers_file is None else _object_in(answers_file),
        record=None if record_file is None else _object_in(record_file),
        **options,
    )


def _word(vocabulary: type[_Word], text: str) -> _Word | str:
    """Return the word that ``text`` is, or the text: what the portal does not know is judged."""
    try:
        return vocabulary(text)
    except ValueError:
        return text


def _object_in(file: str) -> Mapping[str, Any]:
    try:
        data = Path(file).read_bytes()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or type(error).__name__
        raise click.FileError(file, problem) from None
    with naming(file):
        value = load_json(data)
        if not isinstance(value, dict):
            raise InvalidInputError([FieldError("", "must be a JSON object: one key per field")])
    return value


def _answer(verdict: Verdict, out: Output) -> Answer:
    notes, receipt = _leaving(verdict.decision, out), verdict.receipt
    if receipt is None:
        remedy = ""
        if isinstance(verdict.trouble, VerificationError):
            remedy = ": `automation-rules audit acknowledge-rollback --by PERSON`"
        say(f"error: {verdict.trouble}{remedy}")
        return Answer("preflight", verdict.decision, notes=notes)
    log = {
        "index": receipt.index,
        "leaf_hash": receipt.leaf_hash.hex(),
        "size": receipt.size,
        "root": receipt.root.hex(),
    }
    notes = (*notes, ui("log.recorded", index=receipt.index).to(out.lang))
    return Answer("preflight", verdict.decision, notes=notes, extra={"log": log})


def _supposed_code(
    store: Store, account_id: str, code_at: datetime | None, code_by: str | None
) -> SmsCode | None:
    if code_at is None or code_by is None:
        return None
    registry = registry_of(store)
    registry.person(registry.account(account_id).landlord_id, code_by)
    return SmsCode(code_at, code_by, Channel.MANUAL)


def _leaving(decision: Decision, out: Output) -> tuple[str, ...]:
    if decision.request.action is Action.SIGN_OUT and decision.failures:
        return (ui("preflight.leaving").to(out.lang),)
    return ()
