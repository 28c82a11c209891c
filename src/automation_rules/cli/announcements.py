"""``closures``, ``notices`` and ``forms``: what the portal announces and what was tested."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from ..actions import TodoKind
from ..clock import SystemClock, to_london
from ..texts import ui
from .common import Output, output_options
from .records import write_record, write_records
from .state import DAY, INSTANT, open_registry, state_option

if TYPE_CHECKING:
    from datetime import date, datetime

    from ..store import AnnouncedChange, PortalClosure

__all__ = ["closures", "forms", "notices"]

_KINDS: Final = [kind.value for kind in TodoKind]


@click.group()
def closures() -> None:
    """Register when the portal is closed, as for maintenance."""


@closures.command("add")
@click.option("--from", "start", type=INSTANT, metavar="T", required=True, help="RFC 3339.")
@click.option("--to", "end", type=INSTANT, metavar="T", required=True, help="RFC 3339.")
@click.option("--reason", metavar="TEXT", default="")
@click.option("--id", "closure_id", metavar="ID", help="By default a random one.")
@state_option
@output_options("text", "json")
def _add_closure(
    *,
    start: datetime,
    end: datetime,
    reason: str,
    closure_id: str | None,
    state: str | None,
    out: Output,
) -> None:
    """Register a closure, from T up to, but not including, T."""
    from ..store import PortalClosure

    if end <= start:
        raise click.BadParameter("must be later than --from", param_hint="'--to'")
    closure = PortalClosure(closure_id or secrets.token_hex(4), start, end, reason)
    with open_registry(state) as registry:
        registry.add_closure(closure)
    said = ui("registry.added", id=closure.id).to(out.lang)
    write_record(out, "closure", _closure(closure), said=said)


def _closure(closure: PortalClosure) -> dict[str, Any]:
    """Return a closure under the names that request documents use."""
    return {
        "id": closure.id,
        "from": closure.start,
        "to": closure.end,
        "reason": closure.reason or None,
    }


@closures.command("list")
@state_option
@output_options("text", "json")
def _list_closures(*, state: str | None, out: Output) -> None:
    """List the closures on record."""
    with open_registry(state) as registry:
        found = [_closure(one) for one in registry.closures()]
    write_records(out, "closures", found, columns=("id", "from", "to", "reason"))


@closures.command("remove")
@click.argument("closure_id", metavar="ID")
@state_option
@output_options("text", "json")
def _remove_closure(*, closure_id: str, state: str | None, out: Output) -> None:
    """Withdraw a closure."""
    with open_registry(state) as registry:
        registry.remove_closure(closure_id)
    said = ui("registry.removed", id=closure_id).to(out.lang)
    write_record(out, "closure", {"id": closure_id}, said=said)


@click.group()
def notices() -> None:
    """Register the changes of the portal that DWP announces."""


@notices.command("add")
@click.argument("notice_id", metavar="ID")
@click.option("--effective-on", type=DAY, metavar="DATE", required=True)
@click.option("--affects-automation/--no-affects-automation", default=True, show_default=True)
@click.option("--title", metavar="TEXT")
@state_option
@output_options("text", "json")
def _add_notice(
    *,
    notice_id: str,
    effective_on: date,
    affects_automation: bool,
    title: str | None,
    state: str | None,
    out: Output,
) -> None:
    """Register an announced change: automation is warned until it comes, and then stopped.

    It stops until the form is tested again, on that day or later.
    """
    from ..store import AnnouncedChange

    notice = AnnouncedChange(notice_id, effective_on, affects_automation, title)
    with open_registry(state) as registry:
        registry.add_notice(notice)
    said = ui("registry.added", id=notice_id).to(out.lang)
    write_record(out, "notice", asdict(notice), said=said, notes=_ahead([notice], out))


def _ahead(found: list[AnnouncedChange], out: Output) -> list[str]:
    """Return a line for each change that is still to come and that automation must mind."""
    today = to_london(SystemClock().now()).date()
    return [
        ui("notices.ahead", id=notice.id, day=notice.effective_on).to(out.lang)
        for notice in found
        if notice.affects_automation and notice.effective_on > today
    ]


@notices.command("list")
@state_option
@output_options("text", "json")
def _list_notices(*, state: str | None, out: Output) -> None:
    """List the announced changes; those still to come are told again below the table."""
    with open_registry(state) as registry:
        found = list(registry.notices())
    ahead = _ahead(found, out)
    write_records(
        out,
        "notices",
        [asdict(one) for one in found],
        columns=("id", "effective_on", "affects_automation", "title"),
        notes=["\n".join(ahead)] if ahead else [],
    )


@notices.command("remove")
@click.argument("notice_id", metavar="ID")
@state_option
@output_options("text", "json")
def _remove_notice(*, notice_id: str, state: str | None, out: Output) -> None:
    """Withdraw a notice."""
    with open_registry(state) as registry:
        registry.remove_notice(notice_id)
    said = ui("registry.removed", id=notice_id).to(out.lang)
    write_record(out, "notice", {"id": notice_id}, said=said)


@click.group()
def forms() -> None:
    """Record which form of the portal a landlord's automation was tested with."""


@forms.command("record")
@click.option("--landlord", "landlord_id", metavar="ID", required=True)
@click.option("--todo-kind", type=click.Choice(_KINDS), required=True)
@click.option("--fingerprint", metavar="TEXT", required=True, help="Yours, of the form.")
@click.option("--tested-on", type=DAY, metavar="DATE", required=True)
@state_option
@output_options("text", "json")
def _record_form(
    *,
    landlord_id: str,
    todo_kind: str,
    fingerprint: str,
    tested_on: date,
    state: str | None,
    out: Output,
) -> None:
    """Record a tested form, in place of the last of that kind."""
    from ..store import KnownForm

    form = KnownForm(landlord_id, todo_kind, fingerprint, tested_on)
    with open_registry(state) as registry:
        registry.record_tested_form(form)
    said = ui("registry.recorded", id=todo_kind).to(out.lang)
    write_record(out, "form", asdict(form), said=said)


@forms.command("list")
@click.option("--landlord", "landlord_id", metavar="ID", required=True)
@state_option
@output_options("text", "json")
def _list_forms(*, landlord_id: str, state: str | None, out: Output) -> None:
    """List the tested forms of a landlord."""
    with open_registry(state) as registry:
        found = [asdict(one) for one in registry.known_forms(landlord_id)]
    write_records(out, "forms", found, columns=("todo_kind", "fingerprint", "tested_on"))
