"""``automation-rules incident``: what to tell the partnership manager when data may be wrong."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ..clock import to_london
from ..decision import instant_text
from ..terms import terms_at
from ..texts import LANGUAGES, message, ui
from .common import Output, output_options
from .records import show_table
from .render.labels import label_of_check
from .state import EDGE, open_store, state_option

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ..audit import DecisionLog
    from ..incident import IncidentReport, Submission
    from ..texts import Lang

__all__ = ["incident"]

_CLAUSE = "terms.report-incorrect-data"


@click.group()
def incident() -> None:
    """Report what automation submitted, when it may have been wrong."""


@incident.command("report")
@click.option("--from", "start", type=EDGE, metavar="T", required=True, help="From T on.")
@click.option("--to", "end", type=EDGE, metavar="T", required=True, help="Until before T.")
@click.option("--account", "account_id", metavar="ID", required=True)
@click.option(
    "--with-references",
    is_flag=True,
    help="Name tenants and to-dos by your references; needs the key of the state.",
)
@state_option
@output_options("text", "json")
def _report(
    *,
    start: datetime,
    end: datetime,
    account_id: str,
    with_references: bool,
    state: str | None,
    out: Output,
) -> None:
    """List what the account submitted in a span, and why each was allowed.

    To be sent to the DWP partnership manager (clause terms.report-incorrect-data). Tenants are
    random tokens unless their references are asked for.
    """
    from ..incident import incident_report

    if end <= start:
        raise click.BadParameter("must be later than --from", param_hint="'--to'")
    with _opened(state, with_key=with_references) as log:
        report = incident_report(log, account_id, start, end, with_references=with_references)
    if out.format == "json":
        out.write_json(_document(report))
    else:
        _show(report, out)


@contextmanager
def _opened(state: str | None, *, with_key: bool) -> Iterator[DecisionLog]:
    from ..audit import DecisionLog
    from ..vault import Vault, WrappingKey, key_path

    with open_store(state) as store:
        key = None
        if with_key:
            key = Vault(WrappingKey.load(None if store.path is None else key_path(store.path)))
        with DecisionLog(store, key) as log:
            yield log


def _document(report: IncidentReport) -> dict[str, Any]:
    clause = terms_at(report.start)[_CLAUSE]
    return {
        "clause": {"id": clause.id, "text": clause.text.to_document()},
        "account": report.account,
        "landlord": report.landlord,
        "from": instant_text(report.start),
        "to": instant_text(report.end),
        "submitted": len(report.submissions),
        "denied": report.denied,
        "tests": report.tests,
        "other": report.other,
        "submissions": [_submission(found) for found in report.submissions],
    }


def _submission(found: Submission) -> dict[str, Any]:
    document = {**asdict(found), "time": instant_text(found.time)}
    document["checks"] = [
        {
            **asdict(check),
            "clauses": list(check.clauses),
            "readings": dict(check.readings),
            "message": {lang: _message(check.check, check.outcome, lang) for lang in LANGUAGES},
        }
        for check in found.checks
    ]
    return document


def _message(check: str, outcome: str, lang: Lang) -> str:
    """Return what an outcome means; a warning's own words need facts that no entry holds."""
    try:
        return message(check, outcome).to(lang)
    except (LookupError, TypeError):
        return f"{label_of_check(check, lang)}: {ui(f'outcome.{outcome}').to(lang)}"


def _show(report: IncidentReport, out: Output) -> None:
    from .render.text import styled

    lang = out.lang
    clause = terms_at(report.start)[_CLAUSE]
    console = out.console()
    console.print(styled(ui("incident.title", account=report.account).to(lang), "bold"))
    console.print(styled(ui("incident.span", start=report.start, end=report.end).to(lang)))
    console.print(styled(f"{clause.text.to(lang)} ({clause.id})"))
    console.print()
    counts = ui(
        "incident.counts",
        submitted=len(report.submissions),
        denied=report.denied,
        tests=report.tests,
        other=report.other,
    )
    console.print(styled(counts.to(lang)))
    for found in report.submissions:
        console.print()
        at = f"{to_london(found.time):%Y-%m-%d %H:%M:%S}"
        title = ui("incident.submission", index=found.index, at=at, kind=found.todo_kind or "")
        console.print(styled(title.to(lang), "bold"))
        for label, token, reference in (
            ("tenant", found.tenant_token, found.tenant),
            ("todo", found.todo_token, found.todo),
        ):
            if token is not None:
                shown = ui("incident.token", token=token).to(lang)
                shown = shown if reference is None else f"{reference}, {shown}"
                console.print(styled(f"{ui(f'incident.{label}').to(lang)}: {shown}"))
        console.print(styled(f"{ui('incident.policy').to(lang)}: {found.policy}"))
        rows = [
            {
                "check": label_of_check(check.check, lang),
                "result": ui(f"outcome.{check.outcome}").to(lang),
                "code": check.code,
                "reading": [f"{name}={value}" for name, value in check.readings],
                "clauses": list(check.clauses),
            }
            for check in found.checks
            if check.outcome != "not_applicable"
        ]
        show_table(console, ("check", "result", "code", "reading", "clauses"), rows, lang)
    console.print()
    console.print(styled(ui("disclaimer").to(lang), "dim"))
    out.write_console(console)
