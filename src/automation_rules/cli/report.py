"""``automation-rules audit report``: the log for people, as a page or for a spreadsheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..clock import SystemClock
from .audit import counted, progress_bar
from .common import Output, output_options
from .state import DAY, open_store, state_option

if TYPE_CHECKING:
    from datetime import date

__all__ = ["report"]


@click.command()
@click.option("--from", "start", type=DAY, metavar="DATE", required=True, help="The first day.")
@click.option(
    "--to", "end", type=DAY, metavar="DATE", required=True, help="The day after the last day."
)
@state_option
@output_options("html", "csv")
def report(*, start: date, end: date, state: str | None, out: Output) -> None:
    """Count what was allowed and denied, by account, day and clause.

    html is one page that needs nothing else, with charts and tables, in English or Welsh: give it
    a name with --output-file. csv is for spreadsheets and other programs. Days are London's.
    """
    from ..audit import DecisionLog
    from ..report import count, to_csv, to_html

    if end <= start:
        raise click.BadParameter("must be later than --from", param_hint="'--to'")
    with (
        open_store(state) as store,
        DecisionLog(store) as log,
        progress_bar(out, "progress.counting") as step,
    ):
        head = log.head()
        found = count(counted(log.entries(stop=head.size), head.size, step), start, end)
    if out.format == "csv":
        out.write(to_csv(found))
    else:
        out.write(to_html(found, lang=out.lang, at=SystemClock().now(), head=head))
