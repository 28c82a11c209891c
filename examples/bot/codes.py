"""The daily access code, typed in at this terminal by a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from automation_rules.access_codes import is_access_code
from automation_rules.store.codes import CodeDesk

if TYPE_CHECKING:
    from automation_rules import Clock
    from automation_rules.store import Store


def require_terminal() -> None:
    """Refuse to begin where nobody can type.

    Raises:
        UsageError: standard input is no terminal (clause ``step-2.manual-code``).
    """
    if not sys.stdin.isatty():
        raise click.UsageError(
            "standard input is not a terminal: a person must type the code in by hand "
            "(clause step-2.manual-code)"
        )


def type_code(username: str) -> str:
    """Let a person type in the code that the portal has sent for ``username``; it is not shown."""
    prompt = f"Access code that was sent for {username} (6 digits)"
    code: str = click.prompt(prompt, hide_input=True, err=True, value_proc=_six_digits)
    return code


def hand_over(store: Store, clock: Clock, account_id: str, person_id: str, code: str) -> None:
    """Put on record that a person has typed in the account's code.

    The bot and the person's side of the desk are both here: each time the person's side waits,
    the bot's side looks.
    """

    def look(_seconds: float) -> None:
        desk.poll(pending)

    desk = CodeDesk(store, clock, sleep=look)
    pending = desk.open_wait(account_id)
    desk.enter(account_id, person_id, code)


def _six_digits(typed: str) -> str:
    if not is_access_code(typed):
        raise click.UsageError("an access code is exactly 6 digits, 0 to 9")
    return typed
