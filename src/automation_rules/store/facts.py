"""All that the state knows for decisions about some accounts, read at one moment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, func, select

from ..accounts import Landlord
from . import tables
from .records import (
    AccountFacts,
    CodeEntry,
    KnownForm,
    account_of,
    closures_of,
    counted_ids,
    forms_of,
    notices_of,
    record_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import BindParameter, Connection, Row

PAUSED: Final = "paused"

# Made once: for a decision's facts, making them would take longer than executing them.
LAST_SWITCH: Final = (
    select(tables.switches.c.change)
    .order_by(tables.switches.c.id.desc())
    .limit(1)
    .scalar_subquery()
)
_LANDLORD_IDS: Final[BindParameter[Any]] = bindparam("landlord_ids", expanding=True)
_ACCOUNT_IDS: Final[BindParameter[Any]] = bindparam("account_ids", expanding=True)
_LANDLORDS_AND_SWITCH: Final = select(tables.landlords, LAST_SWITCH.label("last_switch")).where(
    tables.landlords.c.id.in_(_LANDLORD_IDS)
)
_SIBLINGS: Final = select(tables.accounts).where(
    tables.accounts.c.landlord_id.in_(
        select(tables.accounts.c.landlord_id).where(tables.accounts.c.id.in_(_ACCOUNT_IDS))
    ),
    tables.accounts.c.removed_at.is_(None),
)
"""The accounts of these accounts' landlords that are not removed."""
_earlier: Final = tables.code_entries.alias("earlier")
_LAST_ENTRIES: Final = (
    select(tables.code_entries)
    .join_from(
        tables.accounts,
        tables.code_entries,
        and_(
            tables.code_entries.c.account_id == tables.accounts.c.id,
            tables.code_entries.c.entered_at
            == select(func.max(_earlier.c.entered_at))
            .where(
                _earlier.c.account_id == tables.accounts.c.id,
                _earlier.c.entered_at <= bindparam("at"),
            )
            .correlate(tables.accounts)
            .scalar_subquery(),
        ),
    )
    .where(tables.accounts.c.id.in_(_ACCOUNT_IDS))
)
CLOSURES: Final = select(tables.closures).order_by(tables.closures.c.start_at, tables.closures.c.id)
_CLOSURES_AFTER: Final = CLOSURES.where(tables.closures.c.end_at > bindparam("at"))
NOTICES: Final = select(tables.notices).order_by(tables.notices.c.effective_on, tables.notices.c.id)
_NOTICES_FOR_AUTOMATION: Final = NOTICES.where(tables.notices.c.affects_automation)
FORMS: Final = (
    select(tables.tested_forms)
    .where(tables.tested_forms.c.landlord_id.in_(_LANDLORD_IDS))
    .order_by(tables.tested_forms.c.todo_kind)
)


def read_facts(
    connection: Connection, account_ids: Collection[str], at: datetime
) -> dict[str, AccountFacts]:
    """Return the facts about each account that is registered, by its id, as of ``at`` in UTC."""
    asked = {"account_ids": list(account_ids)}
    siblings: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(_SIBLINGS, asked):
        siblings.setdefault(row.landlord_id, []).append(row)
    of = {"landlord_ids": list(siblings)}
    landlords = {
        row.id: replace(record_of(Landlord, row), paused=row.paused or row.last_switch == PAUSED)
        for row in connection.execute(_LANDLORDS_AND_SWITCH, of)
    }
    forms: dict[str, dict[str, KnownForm]] = {landlord_id: {} for landlord_id in siblings}
    for form in forms_of(connection.execute(FORMS, of)):
        forms[form.landlord_id][form.todo_kind] = form
    entries = {
        row.account_id: CodeEntry(row.person_id, row.entered_at, row.handed_over_at)
        for row in connection.execute(_LAST_ENTRIES, {**asked, "at": at})
    }
    closures = closures_of(connection.execute(_CLOSURES_AFTER, {"at": at}))
    notices = notices_of(connection.execute(_NOTICES_FOR_AUTOMATION))
    wanted = frozenset(account_ids)
    return {
        row.id: AccountFacts(
            account=account_of(row),
            landlord=landlords[landlord_id],
            automation_accounts=counted_ids(rows),
            closures=closures,
            notices=notices,
            known_forms=forms[landlord_id],
            code_entry=entries.get(row.id),
        )
        for landlord_id, rows in siblings.items()
        for row in rows
        if row.id in wanted
    }
