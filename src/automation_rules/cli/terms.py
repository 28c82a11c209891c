"""``automation-rules terms``: the clauses of the published terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..clock import SystemClock
from ..terms import terms_at
from ..texts import ui
from .common import OK, Output, output_options

if TYPE_CHECKING:
    from ..terms import Clause, Terms
    from ..texts import Lang

__all__ = ["terms"]


@click.command()
@click.argument("clause_id", metavar="[CLAUSE]", required=False)
@output_options("text", "json")
def terms(clause_id: str | None, out: Output) -> int:
    """Show the terms in force, or one CLAUSE in full.

    The wording is this software's own, not DWP's; each clause names where it is published.
    """
    version = terms_at(SystemClock().now())
    if clause_id is None:
        if out.format == "json":
            out.write_json(version.to_document())
        else:
            _list(version, out)
        return OK
    clause = version.clauses.get(clause_id)
    if clause is None:
        raise click.UsageError(_unknown(clause_id, version))
    if out.format == "json":
        out.write_json(clause.to_document())
    else:
        _show(clause, out)
    return OK


def _unknown(clause_id: str, version: Terms) -> str:
    from difflib import get_close_matches

    near = get_close_matches(clause_id, version.clauses, n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else "`terms` lists them all"
    return f"{clause_id!r} is no clause: {advice}"


def _list(version: Terms, out: Output) -> None:
    from rich.padding import Padding
    from rich.table import Table

    from .render.text import styled

    lang = out.lang
    console = out.console()
    first = next(iter(version.clauses.values()))
    console.print(styled(first.source.document.to(lang), "bold"))
    console.print(styled(first.source.publisher.to(lang), "dim"))
    for clauses in _steps(version):
        console.print()
        console.print(styled(_heading(clauses[0], lang), "bold"))
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(width=27)
        table.add_column(width=14)
        for clause in clauses:
            ways = dict.fromkeys(
                way.rpartition(":")[0] if way.count(":") > 1 else way for way in clause.reached_by
            )
            table.add_row(
                styled(clause.id),
                styled(_kinds(clause, lang), "cyan"),
                styled("; ".join(_way(way, lang) for way in ways), "dim"),
            )
        console.print(Padding(table, (0, 0, 0, 2)))
    out.write_console(console)


def _steps(version: Terms) -> list[list[Clause]]:
    """Return the clauses by the step that their identifiers begin with, the general terms last."""
    steps: dict[str, list[Clause]] = {}
    for clause in version.clauses.values():
        steps.setdefault(clause.id.partition(".")[0], []).append(clause)
    return [steps[step] for step in sorted(steps, key="terms".__eq__)]


def _heading(clause: Clause, lang: Lang) -> str:
    # The numbered terms at the end of the source are a section each.
    if clause.id.startswith("terms."):
        return ui("terms").to(lang)
    return clause.source.section.to(lang)


def _show(clause: Clause, out: Output) -> None:
    from .render.text import grid, styled

    lang = out.lang
    console = out.console()
    console.print(styled(clause.title.to(lang), "bold"))
    console.print()
    console.print(styled(clause.text.to(lang)))
    console.print()
    source = clause.source
    since = clause.effective_from
    rows = [
        ("clause", clause.id),
        ("kind", _kinds(clause, lang)),
        ("reached_by", "; ".join(_way(way, lang) for way in clause.reached_by)),
        ("source", f"{source.document.to(lang)}. {source.publisher.to(lang)}"),
        ("section", source.section.to(lang)),
        ("in_force_from", ui("undated" if since is None else "at", at=since or "").to(lang)),
        ("retrieved_on", ui("at", at=clause.retrieved_on).to(lang)),
    ]
    console.print(grid((styled(ui(name).to(lang), "dim"), styled(value)) for name, value in rows))
    for difference in clause.strength:
        console.print()
        console.print(styled(f"{ui('strength').to(lang)}:", "bold"))
        console.print(styled(difference.note.to(lang)))
        console.print(grid((("en", styled(difference.en)), ("cy", styled(difference.cy)))))
    out.write_console(console)


def _kinds(clause: Clause, lang: Lang) -> str:
    return ", ".join(ui(f"kind.{kind}").to(lang) for kind in clause.kinds)


def _way(way: str, lang: Lang) -> str:
    form, _, name = way.partition(":")
    return ui(f"by.{form}", name=name.replace(":", ", ")).to(lang)
