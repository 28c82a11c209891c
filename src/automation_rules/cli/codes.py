"""``automation-rules code``: a person's daily access code, on its way to the bot that waits."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Final

import click

from ..clock import SystemClock
from ..texts import ui
from .common import Output, output_options, printable, say
from .state import open_store, registry_of, state_option

__all__ = ["code"]

_MOST_SECONDS: Final = 300


@click.group()
def code() -> None:
    """Hand the daily access code from a person to the bot that waits for it."""


@code.command("enter")
@click.option("--account", "account_id", metavar="ID", required=True)
@click.option("--by", "person_id", metavar="PERSON", required=True, help="Who types it in.")
@state_option
@output_options("text", "json")
def _enter(*, account_id: str, person_id: str, state: str | None, out: Output) -> None:
    """Type in the code that the portal has sent by SMS, at a terminal, unseen.

    It is handed over to the bot that waits, or that begins to wait within five minutes, and is
    kept nowhere (clause step-2.manual-code).
    """
    if not sys.stdin.isatty():
        raise click.UsageError(
            "standard input is not a terminal: a person must type the code in by hand "
            "(clause step-2.manual-code)"
        )
    from ..store.codes import CodeDesk

    with open_store(state) as store:
        registry = registry_of(store)
        account = registry.account(account_id)
        landlord = registry.landlord(account.landlord_id)
        registry.person(landlord.id, person_id)
        who = ui("code.for", account=account.id, username=account.username, landlord=landlord.name)
        say(who.to(out.lang))
        prompt = printable(ui("code.prompt").to(out.lang))
        typed: str = click.prompt(prompt, hide_input=True, err=True)
        say(ui("code.handing_over").to(out.lang))
        CodeDesk(store, SystemClock()).enter(account_id, person_id, typed)
    if out.format == "json":
        out.write_json({"handed_over": True})
    else:
        out.write(printable(ui("code.handed_over").to(out.lang)) + "\n")


@code.command("wait")
@click.option("--account", "account_id", metavar="ID", required=True)
@click.option(
    "--timeout",
    type=click.IntRange(1, _MOST_SECONDS),
    default=_MOST_SECONDS,
    show_default=True,
    metavar="SECONDS",
)
@state_option
@output_options("text", "json")
def _wait(*, account_id: str, timeout: int, state: str | None, out: Output) -> None:
    """Wait until a person has typed the code in, and print it: the code alone, once.

    Exit 1 when nobody does in time.
    """
    if out.file is not None:
        raise click.UsageError("--output-file would keep the code: read it from standard output")
    from ..store.codes import CodeDesk

    with open_store(state) as store:
        desk = CodeDesk(store, SystemClock())
        pending = desk.open_wait(account_id)
        say(ui("code.waiting").to(out.lang))
        received = desk.wait(pending, timedelta(seconds=timeout))
    if out.format == "json":
        out.write_json({"code": received})
    else:
        out.write(f"{received}\n")
