"""The command line: ``automation-rules COMMAND``.

Data goes to standard output, everything else to standard error. Exit codes: 0 allowed or holds,
1 denied or does not hold, 2 usage or configuration, 3 internal error (to be treated as denied),
130 interrupted.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

import click

from .common import run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

COMMANDS: Final = {
    "check": "check:check",
    "windows": "windows:windows",
    "terms": "terms:terms",
    "policy": "policy:policy",
    "schema": "schema:schema",
    "preflight": "preflight:preflight",
    "serve": "serve:serve",
    "init": "registry:init",
    "landlord": "registry:landlord",
    "people": "registry:people",
    "accounts": "registry:accounts",
    "all": "registry:everything",
    "closures": "announcements:closures",
    "notices": "announcements:notices",
    "forms": "announcements:forms",
    "code": "codes:code",
    "activity": "activity:activity",
    "shadow": "shadow:shadow",
    "audit": "audit:audit",
    "privacy": "privacy:privacy",
    "incident": "incident:incident",
}
"""Where each command lives, in the order of the help: module in this package, and name in it.

A module is imported when its command is used or help is asked for; what is slow to import, it
imports in its functions.
"""


_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000
_VERBOSE: Final = f"{__name__}.verbose"


class _Commands(click.Group):
    """The commands of `COMMANDS`, each loaded when it is needed."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __name__), name)
        return command


def _keep_verbose(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    ctx.meta[_VERBOSE] = value


def _show_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from .version import version_text

    click.echo(version_text(verbose=ctx.meta[_VERBOSE]))
    ctx.exit()


@click.group(
    "automation-rules",
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
)
@click.option(
    "--verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_keep_verbose,
    help="With --version: also the versions of what calendars and time zones come from.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
def commands() -> None:
    """Check automation for the Universal Credit Landlord Portal against its published terms.

    Independent of the Department for Work and Pensions (DWP) and not endorsed by it. "Allowed"
    means that no breach of the terms was found.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never raises.

    ``argv`` are the arguments without the program's name; without them this is the program
    itself, and the arguments are the process's own.
    """
    if argv is not None:
        return run(commands, list(argv))
    # Almost all that a short run makes lasts as long as it does: looking through it for garbage,
    # on the way and once more at the end, would take a tenth of the time.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    code = run(commands, sys.argv[1:])
    gc.freeze()
    return code
