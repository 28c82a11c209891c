"""``automation-rules shadow``: what a gateway that only watched would have denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from ..clock import to_london
from ..texts import ui
from .audit import counted, progress_bar
from .common import Output, output_options
from .records import show_table
from .state import EDGE, open_store, registry_of, state_option

if TYPE_CHECKING:
    from datetime import datetime

    from ..shadow import Seen, ShadowReport

__all__ = ["shadow"]


@click.command()
@click.option("--landlord", "landlord_id", metavar="ID", help="Only of this landlord's accounts.")
@click.option("--from", "start", type=EDGE, metavar="T", help="Decided at T or later.")
@click.option("--to", "end", type=EDGE, metavar="T", help="Decided before T.")
@state_option
@output_options("text", "json", "csv")
def shadow(
    *,
    landlord_id: str | None,
    start: datetime | None,
    end: datetime | None,
    state: str | None,
    out: Output,
) -> None:
    """Report what a gateway in shadow mode let through, and would have denied.

    Counted by account, step, code and clause, with the first and the last time, from the log. T is
    RFC 3339, or a date for the midnight that begins it in London.
    """
    from ..audit import DecisionLog
    from ..shadow import count, to_csv

    if start is not None and end is not None and end <= start:
        raise click.BadParameter("must be later than --from", param_hint="'--to'")
    with open_store(state) as store:
        if landlord_id is not None:
            registry_of(store).landlord(landlord_id)
        with DecisionLog(store) as log, progress_bar(out, "progress.counting") as step:
            size = log.head().size
            report = count(
                counted(log.entries(stop=size), size, step),
                landlord=landlord_id,
                start=start,
                end=end,
            )
    if out.format == "json":
        out.write_json(report.to_document())
    elif out.format == "csv":
        out.write(to_csv(report))
    else:
        _show(report, out)


def _show(report: ShadowReport, out: Output) -> None:
    from .render.text import styled

    console = out.console()
    if not report.watched.decisions:
        console.print(styled(ui("shadow.none").to(out.lang), "dim"))
    else:
        for label, seen in (("watched", report.watched), ("let_through", report.let_through)):
            said = ui(f"shadow.{label}").to(out.lang)
            console.print(styled(f"{said}: {seen.decisions}", "bold"))
    for account, rows in _by_account(report, out).items():
        console.print()
        console.print(styled(account, "bold"))
        show_table(console, ("action", "code", *_COUNTED), rows, out.lang)
    if report.clauses:
        clauses = [{"clause": clause, **_counts(seen)} for clause, seen in report.clauses.items()]
        console.print()
        console.print(styled(ui("report.by_clause").to(out.lang), "bold"))
        show_table(console, ("clause", *_COUNTED), clauses, out.lang)
        console.print()
        console.print(styled(ui("shadow.citing").to(out.lang), "dim"))
    out.write_console(console)


def _by_account(report: ShadowReport, out: Output) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for key, seen in report.reasons.items():
        account = f"{key.account} ({key.landlord})"
        if not key.account:
            account = ui("report.unregistered").to(out.lang)
        action = key.action if key.mode == "live" else f"{key.action} ({key.mode})"
        row = {"action": action, "code": f"{key.check}.{key.code}", **_counts(seen)}
        found.setdefault(account, []).append(row)
    return found


_COUNTED: Final = ("number", "first_time", "last_time")


def _counts(seen: Seen) -> dict[str, Any]:
    return dict(zip(_COUNTED, (seen.decisions, _shown(seen.first), _shown(seen.last)), strict=True))


def _shown(at: datetime | None) -> str:
    return "" if at is None else f"{to_london(at):%Y-%m-%d %H:%M}"
