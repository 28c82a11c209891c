"""``automation-rules activity``: what the activity monitor saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..texts import ui
from .common import Output, output_options
from .records import write_records
from .state import EDGE, open_store, registry_of, state_option

if TYPE_CHECKING:
    from datetime import datetime

    from ..monitor import Observation

__all__ = ["activity"]


@click.group()
def activity() -> None:
    """Show the unusual activity that gateways saw (clause terms.suspension)."""


@activity.command("list")
@click.option("--landlord", "landlord_id", metavar="ID", help="Only of this landlord's accounts.")
@click.option("--account", "account_id", metavar="ID", help="Only of this account.")
@click.option("--since", type=EDGE, metavar="T", help="RFC 3339, or a date: from then on.")
@state_option
@output_options("text", "json")
def _list_observations(
    *,
    landlord_id: str | None,
    account_id: str | None,
    since: datetime | None,
    state: str | None,
    out: Output,
) -> None:
    """List what was more than a policy expects, oldest first, and what was done about it.

    An account that is not registered can be seen as well: it has no landlord, and is denied
    everything.
    """
    from ..monitor import Level, read_observations

    with open_store(state) as store:
        if landlord_id is not None:
            registry_of(store).landlord(landlord_id)
        found = read_observations(
            store, landlord_id=landlord_id, account_id=account_id, since=since
        )
    is_any_paused = any(one.level is Level.PAUSE for one in found)
    write_records(
        out,
        "observations",
        [_document(one) if out.format == "json" else _row(one, out) for one in found],
        columns=("at", "account_id", "level", "seen"),
        notes=[ui("activity.paused").to(out.lang)] if is_any_paused else [],
        none="activity.none",
    )


def _document(found: Observation) -> dict[str, Any]:
    return {
        "at": found.at,
        "account_id": found.account_id,
        "landlord_id": found.landlord_id,
        "activity": found.activity,
        "level": found.level,
        "seen": found.seen,
        "allowed": str(found.allowed),
        "message": found.text().to_document(),
    }


def _row(found: Observation, out: Output) -> dict[str, Any]:
    return {
        "at": found.at,
        "account_id": found.account_id,
        "level": ui(f"activity.level.{found.level.value}").to(out.lang),
        "seen": found.text().to(out.lang),
    }
