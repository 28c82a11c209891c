"""The bot's command line: ``python -m bot run`` and ``python -m bot demo``.

The landlord's state is where ``AUTOMATION_RULES_STATE`` says, and the account's password in
``BOT_PASSWORD``. Exit codes: 0 all is done; 1 something was denied or is left to a person; 2 used
wrongly, or the rent roll is; 3 the state could not be used; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog

from automation_rules import AutomationRulesError, FrozenClock, InvalidInputError, SystemClock
from automation_rules.permit import open_gate
from automation_rules.request import Mode
from automation_rules.store import Registry, Store, state_url

from . import demonstration, rent_roll
from .codes import require_terminal, type_code
from .misbehave import WAYS, Misbehaviour
from .pages import open_portal
from .run import Account, Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules import Clock

TUESDAY, SATURDAY = "2027-06-01T09:00:00+01:00", "2027-06-05T09:00:00+01:00"


def _options(function: Any) -> Any:
    for option in reversed(
        [
            click.option("--time", "at", metavar="T", help="Stand at this instant."),
            click.option("--misbehave", type=click.Choice(list(WAYS)), help="To see it refused."),
            click.option(
                "--pace",
                type=click.FloatRange(min=0),
                default=1.1,
                show_default=True,
                metavar="SECONDS",
                help="The least time from one page to the next; a busy person takes one.",
            ),
            click.option("--headed", is_flag=True, help="Show the browser, slowly."),
            click.option(
                "--output",
                type=click.Path(file_okay=False, path_type=Path),
                default=Path("build/bot"),
                show_default=True,
                help="Where the report and the screenshots go.",
            ),
            click.option(
                "--rent-roll",
                "roll",
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                default=Path(__file__).with_name("rent_roll.csv"),
                help="The landlord's tenancies.",
            ),
        ]
    ):
        function = option(function)
    return function


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """Do the to-dos of a rent roll in the reference portal, within the terms."""


@commands.command()
@click.option("--portal", required=True, metavar="URL", help="Where the portal is.")
@click.option("--account", "account_id", required=True, metavar="ID", help="Whose run it is.")
@click.option("--by", "person_id", required=True, metavar="PERSON", help="Who types the code.")
@click.option("--test", is_flag=True, help="Everything but submitting; records the tested form.")
@_options
def run(**options: Any) -> None:
    """Do one account's to-dos."""
    if "BOT_PASSWORD" not in os.environ:
        raise click.UsageError("BOT_PASSWORD must be set to the password")
    sys.exit(0 if _run(**options) else 1)


@commands.command()
@click.option("--portal", metavar="URL", help="A portal that runs; else one is started.")
@_options
def demo(portal: str | None, output: Path, **options: Any) -> None:
    """Show a run in test mode and one for real, from the first command on, or a misbehaviour."""
    options["at"] = options["at"] or (SATURDAY if options["misbehave"] == "saturday" else TUESDAY)
    options |= {"account_id": "acme-2", "person_id": demonstration.PERSON, "output": output}
    os.environ["BOT_PASSWORD"] = demonstration.PASSWORD
    demonstration.register(output / "landlord")
    with demonstration.portal_at(portal, output / "portal", options["at"]) as options["portal"]:
        if options["misbehave"]:
            sys.exit(0 if _run(test=False, **options) else 1)
        sys.exit(0 if _run(test=True, **options) and _run(test=False, **options) else 1)


def _run(
    *,
    portal: str,
    account_id: str,
    person_id: str,
    test: bool,
    at: str | None,
    misbehave: str | None,
    pace: float,
    headed: bool,
    output: Path,
    roll: Path,
) -> bool:
    """Run once; whether all went as it should."""
    require_terminal()
    tenancies, clock = rent_roll.read(roll), _clock(at)
    name = misbehave or ("test" if test else "live")
    output = output / name
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.png"):
        old.unlink()
    with (
        _decisions_in(output / "decisions.log"),
        Store.open(state_url(None), clock=clock) as store,
        open_gate(clock=clock) as gate,
        open_portal(portal, output, pace=pace, headed=headed) as pages,
    ):
        account = Registry(store, clock).account(account_id)
        who = Account(account, os.environ["BOT_PASSWORD"], person_id, type_code, tenancies)
        mode = Mode.TEST if test else Mode.LIVE
        started = Run(gate, store, clock, pages, who, mode, click.echo)
        click.echo(f"{account.username}, {name}")
        if misbehave:
            return Misbehaviour(started).show(misbehave)
        try:
            report = started.go()
        finally:
            started.report.write(output / "report.csv")
    if report.trouble:
        click.echo(report.trouble, err=True)
    click.echo(report.summary())
    return report.clean


def _clock(at: str | None) -> Clock:
    return FrozenClock(datetime.fromisoformat(at)) if at else SystemClock()


@contextmanager
def _decisions_in(path: Path) -> Iterator[None]:
    """Keep the library's events, one for each decision, in a file."""
    with path.open("w", encoding="utf-8") as file:
        structlog.configure(
            processors=[structlog.processors.add_log_level, structlog.processors.JSONRenderer()],
            logger_factory=structlog.WriteLoggerFactory(file),
        )
        try:
            yield
        finally:
            structlog.reset_defaults()


def main() -> int:
    """Run the command line, and return its exit code."""
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except AutomationRulesError as error:
        click.echo(f"error: {error}", err=True)
        return 2 if isinstance(error, InvalidInputError) else 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
