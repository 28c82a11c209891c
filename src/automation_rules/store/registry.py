"""The registry: landlords, their people, their automation accounts, and what was announced.

Many landlords fit in one state, for suppliers serve several. It records what is true: an account
that the terms could never allow is refused when it is registered, and what changes afterwards
is recorded as it is, for the checks to judge.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from sqlalchemy import delete, insert, select, update

from ..accounts import (
    MAX_AUTOMATION_ACCOUNTS,
    AccountStatus,
    Acknowledgement,
    AutomationAccount,
    Landlord,
    Person,
)
from ..clock import to_utc
from ..errors import (
    AccountLimitError,
    AlreadyRegisteredError,
    FieldError,
    InvalidInputError,
    NotRegisteredError,
    RegistryError,
)
from . import tables
from .engine import take_turns
from .facts import CLOSURES, FORMS, LAST_SWITCH, NOTICES, PAUSED, read_facts
from .fields import TODO_KINDS, Fields, check_ids
from .records import (
    AccountFacts,
    AnnouncedChange,
    KnownForm,
    PortalClosure,
    StatusChange,
    Switch,
    account_of,
    closures_of,
    counted_ids,
    forms_of,
    notices_of,
    record_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import date, datetime

    from sqlalchemy import Connection, Row, Table

    from ..clock import Clock
    from .engine import Store

__all__ = ["AccountChanges", "LandlordChanges", "Registry"]


class LandlordChanges(TypedDict, total=False):
    """The fields of a `Landlord` that may be set again."""

    name: str
    also_known_as: tuple[str, ...]
    sector: str
    portal_access: bool
    nation: str | None
    declared_on: date | None
    partnership_manager: str | None


class AccountChanges(TypedDict, total=False):
    """The fields of an `AutomationAccount` that may be set again; its status has its own ways."""

    username: str
    email: str
    roles: frozenset[str]
    two_factor: bool
    created_by_role: str
    todo_kind: str | None


class Registry:
    """The registry of one open state.

    Every method is one transaction. Identifiers are 1 to 200 characters and other texts 1 to
    1,000, without control characters; anything else is an `InvalidInputError` with all the
    fields that are wrong. Every method raises `StoreError` when the state cannot be used.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        """Work on ``store``; ``clock`` stamps what is written."""
        self._store = store
        self._clock = clock

    # --- landlords ------------------------------------------------------------------------

    def add_landlord(self, landlord: Landlord) -> None:
        """Register ``landlord``.

        Raises:
            InvalidInputError: with every field that is wrong.
            AlreadyRegisteredError: its id is taken.
        """
        with Fields() as check:
            check.identifier("/id", landlord.id)
            check.flag("/paused", landlord.paused)
            values = asdict(landlord)
            check.landlord(_without(values, "id", "paused"))
        with self._store.transaction() as connection:
            take_turns(connection)
            if _exists(connection, tables.landlords, landlord.id):
                raise AlreadyRegisteredError(f"the landlord id {landlord.id!r} is taken")
            connection.execute(
                insert(tables.landlords).values(added_at=self._clock.now(), **values)
            )

    def landlord(self, landlord_id: str) -> Landlord:
        """Return one landlord; raise `NotRegisteredError` when there is none."""
        check_ids(landlord_id=landlord_id)
        with self._store.reading() as connection:
            return record_of(Landlord, _landlord_row(connection, landlord_id))

    def landlords(self) -> tuple[Landlord, ...]:
        """Return every landlord, in order of their ids."""
        with self._store.reading() as connection:
            rows = connection.execute(select(tables.landlords).order_by(tables.landlords.c.id))
            return tuple(record_of(Landlord, row) for row in rows)

    def update_landlord(self, landlord_id: str, **changes: Unpack[LandlordChanges]) -> None:
        """Record what is now true of a landlord, its declaration to DWP included.

        Raises:
            InvalidInputError: with every field that is wrong.
            NotRegisteredError: there is no such landlord.
        """
        with Fields() as check:
            check.identifier("/landlord_id", landlord_id)
            check.landlord(changes)
        with self._store.transaction() as connection:
            _landlord_row(connection, landlord_id, lock=True)
            if changes:
                connection.execute(
                    update(tables.landlords).filter_by(id=landlord_id).values(**changes)
                )

    def pause_landlord(self, landlord_id: str, reason: str) -> None:
        """Pause all of a landlord's automation (clause ``terms.suspension``).

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        with Fields() as check:
            check.identifier("/landlord_id", landlord_id)
            check.text("/reason", reason)
        with self._store.transaction() as connection:
            _landlord_row(connection, landlord_id, lock=True)
            self._set_paused(connection, landlord_id, paused=True, reason=reason)

    def resume_landlord(self, landlord_id: str, person_id: str) -> None:
        """End a landlord's pause, on the word of one of its people.

        Raises:
            NotRegisteredError: there is no such landlord, or no such person there.
            RegistryError: the landlord is not paused.
        """
        check_ids(landlord_id=landlord_id, person_id=person_id)
        with self._store.transaction() as connection:
            row = _landlord_row(connection, landlord_id, lock=True)
            _person_row(connection, landlord_id, person_id)
            if not row.paused:
                raise RegistryError(
                    f"the landlord {landlord_id!r} is not paused; if all automation is, resume all"
                )
            self._set_paused(connection, landlord_id, paused=False, person_id=person_id)

    def _set_paused(
        self,
        connection: Connection,
        landlord_id: str,
        *,
        paused: bool,
        reason: str | None = None,
        person_id: str | None = None,
    ) -> None:
        connection.execute(update(tables.landlords).filter_by(id=landlord_id).values(paused=paused))
        self._note(
            connection,
            landlord_id=landlord_id,
            change=PAUSED if paused else "resumed",
            reason=reason,
            person_id=person_id,
        )

    def _note(self, connection: Connection, **values: str | None) -> None:
        connection.execute(insert(tables.status_changes).values(at=self._clock.now(), **values))

    def status_changes(self, landlord_id: str) -> tuple[StatusChange, ...]:
        """Return every status change of a landlord and its accounts, oldest first.

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        check_ids(landlord_id=landlord_id)
        changes = tables.status_changes
        with self._store.reading() as connection:
            _landlord_row(connection, landlord_id)
            rows = connection.execute(
                select(changes).filter_by(landlord_id=landlord_id).order_by(changes.c.id)
            )
            return tuple(record_of(StatusChange, row) for row in rows)

    # --- all at once ----------------------------------------------------------------------

    def pause_all(self, reason: str) -> None:
        """Pause the automation of every landlord, those yet to come too (``terms.suspension``).

        Raises:
            InvalidInputError: a reason that cannot be kept.
        """
        with Fields() as check:
            check.text("/reason", reason)
        with self._store.transaction() as connection:
            take_turns(connection)
            self._switch(connection, change=PAUSED, reason=reason)

    def resume_all(self, landlord_id: str, person_id: str) -> None:
        """End the pause of all, on the word of one of a landlord's people.

        What was paused by itself stays so.

        Raises:
            NotRegisteredError: there is no such landlord, or no such person there.
            RegistryError: not all automation is paused.
        """
        check_ids(landlord_id=landlord_id, person_id=person_id)
        with self._store.transaction() as connection:
            take_turns(connection)
            _person_row(connection, landlord_id, person_id)
            if connection.execute(select(LAST_SWITCH)).scalar() != PAUSED:
                raise RegistryError("not all automation is paused")
            self._switch(connection, change="resumed", landlord_id=landlord_id, person_id=person_id)

    def _switch(self, connection: Connection, **values: str) -> None:
        connection.execute(insert(tables.switches).values(at=self._clock.now(), **values))

    def all_paused(self) -> bool:
        """Return whether the automation of every landlord is paused."""
        with self._store.reading() as connection:
            return connection.execute(select(LAST_SWITCH)).scalar() == PAUSED

    def switches(self) -> tuple[Switch, ...]:
        """Return every pause and resumption of all automation, oldest first."""
        with self._store.reading() as connection:
            rows = connection.execute(select(tables.switches).order_by(tables.switches.c.id))
            return tuple(record_of(Switch, row) for row in rows)

    # --- people ---------------------------------------------------------------------------

    def add_person(self, person: Person) -> None:
        """Register someone who may type in a landlord's access codes, or let them come back.

        One id means one person throughout the state; the same person may be registered for
        several landlords.

        Raises:
            InvalidInputError: with every field that is wrong; the id of an automation account is
                no person's (clause ``step-2.manual-code``).
            NotRegisteredError: there is no such landlord.
            AlreadyRegisteredError: the landlord has a person with that id.
        """
        with Fields() as check:
            check.identifier("/id", person.id)
            check.identifier("/landlord_id", person.landlord_id)
            check.text("/name", person.name)
            check.optional_text("/role", person.role)
        key = {"landlord_id": person.landlord_id, "id": person.id}
        values = {"name": person.name, "role": person.role, "added_at": self._clock.now()}
        with self._store.transaction() as connection:
            take_turns(connection)
            _landlord_row(connection, person.landlord_id, lock=True)
            if _exists(connection, tables.accounts, person.id):
                raise InvalidInputError(
                    [FieldError("/id", "is an automation account's (clause step-2.manual-code)")]
                )
            row = connection.execute(select(tables.people).filter_by(**key)).one_or_none()
            if row is None:
                connection.execute(insert(tables.people).values(**key, **values))
            elif row.removed_at is None:
                raise AlreadyRegisteredError(
                    f"the landlord {person.landlord_id!r} has a person with that id"
                )
            else:
                connection.execute(
                    update(tables.people).filter_by(**key).values(removed_at=None, **values)
                )

    def person(self, landlord_id: str, person_id: str) -> Person:
        """Return one of a landlord's people; raise `NotRegisteredError` when there is none."""
        check_ids(landlord_id=landlord_id, person_id=person_id)
        with self._store.reading() as connection:
            return record_of(Person, _person_row(connection, landlord_id, person_id))

    def people(self, landlord_id: str) -> tuple[Person, ...]:
        """Return a landlord's people, in order of their ids.

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        check_ids(landlord_id=landlord_id)
        people = tables.people
        with self._store.reading() as connection:
            _landlord_row(connection, landlord_id)
            rows = connection.execute(
                select(people)
                .filter_by(landlord_id=landlord_id, removed_at=None)
                .order_by(people.c.id)
            )
            return tuple(record_of(Person, row) for row in rows)

    def remove_person(self, landlord_id: str, person_id: str) -> None:
        """Take a person off a landlord's list; what they did stays on record.

        Raises:
            NotRegisteredError: there is no such landlord, or no such person there.
        """
        check_ids(landlord_id=landlord_id, person_id=person_id)
        with self._store.transaction() as connection:
            _person_row(connection, landlord_id, person_id)
            connection.execute(
                update(tables.people)
                .filter_by(landlord_id=landlord_id, id=person_id)
                .values(removed_at=self._clock.now())
            )

    def acknowledge(
        self,
        landlord_id: str,
        person_id: str,
        *,
        terms_version: str,
        terms_digest: str,
        clauses: Iterable[str],
    ) -> Acknowledgement:
        """Record that a person has read these clauses of that version of the terms.

        Raises:
            InvalidInputError: with every field that is wrong.
            NotRegisteredError: there is no such landlord, or no such person there.
        """
        acknowledgement = Acknowledgement(
            landlord_id, person_id, terms_version, terms_digest, tuple(clauses), self._clock.now()
        )
        with Fields() as check:
            check.identifier("/landlord_id", landlord_id)
            check.identifier("/person_id", person_id)
            check.identifier("/terms_version", terms_version)
            check.identifier("/terms_digest", terms_digest)
            check.texts("/clauses", acknowledgement.clauses)
            if not acknowledgement.clauses:
                check.wrong("/clauses", "must name at least one clause")
        with self._store.transaction() as connection:
            _person_row(connection, landlord_id, person_id)
            connection.execute(insert(tables.acknowledgements).values(asdict(acknowledgement)))
        return acknowledgement

    def acknowledgements(self, landlord_id: str) -> tuple[Acknowledgement, ...]:
        """Return what a landlord's people have acknowledged, oldest first.

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        check_ids(landlord_id=landlord_id)
        table = tables.acknowledgements
        with self._store.reading() as connection:
            _landlord_row(connection, landlord_id)
            rows = connection.execute(
                select(table).filter_by(landlord_id=landlord_id).order_by(table.c.id)
            )
            return tuple(record_of(Acknowledgement, row) for row in rows)

    # --- automation accounts --------------------------------------------------------------

    def add_account(self, account: AutomationAccount, *, automation_only: bool = False) -> None:
        """Register an automation account that the landlord holds in the portal.

        ``automation_only`` is that value of the reading ``identity_pattern``: the username need
        not name the landlord.

        Raises:
            InvalidInputError: with every field that is wrong, or that no lawful account has; the
                problem then cites the clause.
            NotRegisteredError: there is no such landlord.
            AlreadyRegisteredError: the id is taken, perhaps by an account since removed.
            AccountLimitError: the landlord has two that are neither removed nor deactivated.
        """
        with Fields() as check:
            check.identifier("/id", account.id)
            check.identifier("/landlord_id", account.landlord_id)
            values = asdict(account)
            check.account(_without(values, "id", "landlord_id", "status"))
            if account.status is not AccountStatus.ACTIVE:
                check.wrong("/status", "must be active: register the account, then change it")
        with self._store.transaction() as connection:
            take_turns(connection)
            landlord = record_of(
                Landlord, _landlord_row(connection, account.landlord_id, lock=True)
            )
            with Fields() as check:
                names = (landlord.name, *landlord.also_known_as)
                check.lawful(account, names, automation_only=automation_only)
                if _exists(connection, tables.people, account.id):
                    check.wrong("/id", "is a person's (clause step-2.own-account)")
            if _exists(connection, tables.accounts, account.id):
                raise AlreadyRegisteredError(
                    f"the account id {account.id!r} is taken, perhaps by one since removed"
                )
            _refuse_third(connection, landlord.id)
            connection.execute(
                insert(tables.accounts).values(
                    added_at=self._clock.now(), **_account_columns(values)
                )
            )

    def account(self, account_id: str) -> AutomationAccount:
        """Return one account; raise `NotRegisteredError` when there is none, or none any more."""
        check_ids(account_id=account_id)
        with self._store.reading() as connection:
            return account_of(_account_row(connection, account_id))

    def accounts(self, landlord_id: str) -> tuple[AutomationAccount, ...]:
        """Return a landlord's accounts that are not removed, in order of their ids.

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        check_ids(landlord_id=landlord_id)
        table = tables.accounts
        with self._store.reading() as connection:
            _landlord_row(connection, landlord_id)
            rows = connection.execute(
                select(table)
                .filter_by(landlord_id=landlord_id, removed_at=None)
                .order_by(table.c.id)
            )
            return tuple(account_of(row) for row in rows)

    def account_ids(self, *, after: str = "", most: int) -> tuple[str, ...]:
        """Return the ids of accounts that are not removed, of every landlord, in order.

        They come after ``after``, and are ``most`` at most.
        """
        identifier = tables.accounts.c.id
        query = select(identifier).filter_by(removed_at=None).where(identifier > after)
        with self._store.reading() as connection:
            return tuple(connection.execute(query.order_by(identifier).limit(most)).scalars())

    def update_account(self, account_id: str, **changes: Unpack[AccountChanges]) -> None:
        """Record what is now true of an account, lawful or not: the checks judge it.

        Raises:
            InvalidInputError: with every field that is wrong.
            NotRegisteredError: there is no such account.
        """
        with Fields() as check:
            check.identifier("/account_id", account_id)
            check.account(changes)
        with self._store.transaction() as connection:
            _account_row(connection, account_id)
            if changes:
                connection.execute(
                    update(tables.accounts)
                    .filter_by(id=account_id)
                    .values(_account_columns(changes))
                )

    def pause_account(self, account_id: str, reason: str) -> None:
        """Pause an account: it still counts towards the limit of two.

        Raises:
            NotRegisteredError: there is no such account.
            RegistryError: the account is deactivated.
        """
        with Fields() as check:
            check.identifier("/account_id", account_id)
            check.text("/reason", reason)
        with self._store.transaction() as connection:
            row = _locked_account_row(connection, account_id)
            if row.status == AccountStatus.DEACTIVATED.value:
                raise RegistryError(f"the account {account_id!r} is deactivated already")
            self._set_status(connection, row, AccountStatus.PAUSED, PAUSED, reason=reason)

    def resume_account(self, account_id: str, person_id: str) -> None:
        """Make a paused or deactivated account active again, on the word of a person.

        Raises:
            NotRegisteredError: there is no such account, or no such person at its landlord.
            RegistryError: the account is active.
            AccountLimitError: it is deactivated, and the landlord has two others by now.
        """
        check_ids(account_id=account_id, person_id=person_id)
        with self._store.transaction() as connection:
            row = _locked_account_row(connection, account_id)
            _person_row(connection, row.landlord_id, person_id)
            if row.status == AccountStatus.ACTIVE.value:
                raise RegistryError(f"the account {account_id!r} is active already")
            if row.status == AccountStatus.DEACTIVATED.value:
                _refuse_third(connection, row.landlord_id)
            self._set_status(connection, row, AccountStatus.ACTIVE, "resumed", person_id=person_id)

    def deactivate_account(self, account_id: str, reason: str) -> None:
        """Record that an account was deactivated; it no longer counts towards the limit.

        Raises:
            NotRegisteredError: there is no such account.
        """
        with Fields() as check:
            check.identifier("/account_id", account_id)
            check.text("/reason", reason)
        with self._store.transaction() as connection:
            row = _locked_account_row(connection, account_id)
            self._set_status(
                connection, row, AccountStatus.DEACTIVATED, "deactivated", reason=reason
            )

    def remove_account(self, account_id: str) -> None:
        """Record that an account is gone from the portal. Its id stays taken: logs name it.

        Raises:
            NotRegisteredError: there is no such account.
        """
        check_ids(account_id=account_id)
        with self._store.transaction() as connection:
            row = _locked_account_row(connection, account_id)
            connection.execute(
                update(tables.accounts)
                .filter_by(id=account_id)
                .values(removed_at=self._clock.now())
            )
            self._note(
                connection, landlord_id=row.landlord_id, account_id=account_id, change="removed"
            )

    def _set_status(
        self,
        connection: Connection,
        row: Row[Any],
        status: AccountStatus,
        change: str,
        *,
        reason: str | None = None,
        person_id: str | None = None,
    ) -> None:
        connection.execute(update(tables.accounts).filter_by(id=row.id).values(status=status.value))
        self._note(
            connection,
            landlord_id=row.landlord_id,
            account_id=row.id,
            change=change,
            reason=reason,
            person_id=person_id,
        )

    # --- what the portal announces --------------------------------------------------------

    def add_closure(self, closure: PortalClosure) -> None:
        """Record a time when the portal is closed.

        Raises:
            InvalidInputError: with every field that is wrong.
            AlreadyRegisteredError: its id is taken.
        """
        with Fields() as check:
            check.identifier("/id", closure.id)
            begins = check.instant("/start", closure.start)
            ends = check.instant("/end", closure.end)
            if begins and ends and begins >= ends:
                check.wrong("/end", "must be later than start")
            check.text("/reason", closure.reason, least=0)
        with self._store.transaction() as connection:
            take_turns(connection)
            if _exists(connection, tables.closures, closure.id):
                raise AlreadyRegisteredError(f"the closure id {closure.id!r} is taken")
            connection.execute(
                insert(tables.closures).values(
                    id=closure.id,
                    start_at=closure.start,
                    end_at=closure.end,
                    reason=closure.reason,
                )
            )

    def closures(self) -> tuple[PortalClosure, ...]:
        """Return every closure on record, in order of time."""
        with self._store.reading() as connection:
            return closures_of(connection.execute(CLOSURES))

    def remove_closure(self, closure_id: str) -> None:
        """Withdraw a closure; raise `NotRegisteredError` when there is none with that id."""
        check_ids(closure_id=closure_id)
        with self._store.transaction() as connection:
            gone = connection.execute(delete(tables.closures).filter_by(id=closure_id))
            if gone.rowcount == 0:
                raise NotRegisteredError(f"there is no closure {closure_id!r}")

    def add_notice(self, notice: AnnouncedChange) -> None:
        """Record an announced change of the portal.

        Raises:
            InvalidInputError: with every field that is wrong.
            AlreadyRegisteredError: its id is taken.
        """
        with Fields() as check:
            check.identifier("/id", notice.id)
            check.day("/effective_on", notice.effective_on)
            check.flag("/affects_automation", notice.affects_automation)
            check.optional_text("/title", notice.title)
        with self._store.transaction() as connection:
            take_turns(connection)
            if _exists(connection, tables.notices, notice.id):
                raise AlreadyRegisteredError(f"the notice id {notice.id!r} is taken")
            connection.execute(insert(tables.notices).values(asdict(notice)))

    def notices(self) -> tuple[AnnouncedChange, ...]:
        """Return every notice on record, in order of the day on which it takes effect."""
        with self._store.reading() as connection:
            return notices_of(connection.execute(NOTICES))

    def remove_notice(self, notice_id: str) -> None:
        """Withdraw a notice; raise `NotRegisteredError` when there is none with that id."""
        check_ids(notice_id=notice_id)
        with self._store.transaction() as connection:
            gone = connection.execute(delete(tables.notices).filter_by(id=notice_id))
            if gone.rowcount == 0:
                raise NotRegisteredError(f"there is no notice {notice_id!r}")

    def record_tested_form(self, form: KnownForm) -> None:
        """Record the form that a landlord's automation was tested with, in place of the last.

        Raises:
            InvalidInputError: with every field that is wrong.
            NotRegisteredError: there is no such landlord.
        """
        with Fields() as check:
            check.identifier("/landlord_id", form.landlord_id)
            check.choice("/todo_kind", form.todo_kind, TODO_KINDS)
            check.text("/fingerprint", form.fingerprint)
            check.day("/tested_on", form.tested_on)
        key = {"landlord_id": form.landlord_id, "todo_kind": form.todo_kind}
        values = {"fingerprint": form.fingerprint, "tested_on": form.tested_on}
        with self._store.transaction() as connection:
            _landlord_row(connection, form.landlord_id, lock=True)
            known = connection.execute(update(tables.tested_forms).filter_by(**key).values(values))
            if known.rowcount == 0:
                connection.execute(insert(tables.tested_forms).values(**key, **values))

    def known_forms(self, landlord_id: str) -> tuple[KnownForm, ...]:
        """Return the forms that a landlord's automation was last tested with, by kind of to-do.

        Raises:
            NotRegisteredError: there is no such landlord.
        """
        check_ids(landlord_id=landlord_id)
        with self._store.reading() as connection:
            _landlord_row(connection, landlord_id)
            return forms_of(connection.execute(FORMS, {"landlord_ids": [landlord_id]}))

    # --- for a decision -------------------------------------------------------------------

    def facts(self, account_id: str, at: datetime) -> AccountFacts:
        """Return all that one decision about ``account_id`` at ``at`` needs, read at one moment.

        Raises:
            NotRegisteredError: there is no such account, or none any more.
            ClockError: ``at`` is naive.
        """
        found = self.facts_of([account_id], at)
        if account_id not in found:
            raise _no_account(account_id)
        return found[account_id]

    def facts_of(self, account_ids: Collection[str], at: datetime) -> dict[str, AccountFacts]:
        """Return what `facts` does of many accounts, read at one moment, by their ids.

        An account that is not registered, or no more, is left out.

        Raises:
            ClockError: ``at`` is naive.
        """
        with Fields() as check:
            for account_id in account_ids:
                check.identifier("/account_id", account_id)
        at = to_utc(at)
        with self._store.reading() as connection:
            return read_facts(connection, account_ids, at)


# --- rows ---------------------------------------------------------------------------------


def _without(values: Mapping[str, object], *keys: str) -> dict[str, object]:
    return {key: value for key, value in values.items() if key not in keys}


def _exists(connection: Connection, table: Table, key: str) -> bool:
    return connection.execute(select(table.c.id).filter_by(id=key).limit(1)).first() is not None


def _landlord_row(connection: Connection, landlord_id: str, *, lock: bool = False) -> Row[Any]:
    query = select(tables.landlords).filter_by(id=landlord_id)
    if lock:
        # What is decided about a landlord waits for its row; SQLite holds its one write lock
        # anyway. Not so the rows that refer to it: its key stays.
        query = query.with_for_update(key_share=True)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotRegisteredError(f"there is no landlord {landlord_id!r}: register it first")
    return row


def _person_row(connection: Connection, landlord_id: str, person_id: str) -> Row[Any]:
    _landlord_row(connection, landlord_id)
    row = connection.execute(
        select(tables.people).filter_by(landlord_id=landlord_id, id=person_id, removed_at=None)
    ).one_or_none()
    if row is None:
        raise NotRegisteredError(
            f"the landlord {landlord_id!r} has no person with that id: register them first"
        )
    return row


def _account_row(connection: Connection, account_id: str) -> Row[Any]:
    row = connection.execute(
        select(tables.accounts).filter_by(id=account_id, removed_at=None)
    ).one_or_none()
    if row is None:
        raise _no_account(account_id)
    return row


def _no_account(account_id: str) -> NotRegisteredError:
    return NotRegisteredError(f"there is no automation account {account_id!r}: register it first")


def _locked_account_row(connection: Connection, account_id: str) -> Row[Any]:
    landlord_id = _account_row(connection, account_id).landlord_id
    _landlord_row(connection, landlord_id, lock=True)
    return _account_row(connection, account_id)


def _refuse_third(connection: Connection, landlord_id: str) -> None:
    rows = connection.execute(
        select(tables.accounts).filter_by(landlord_id=landlord_id, removed_at=None)
    )
    if len(counted_ids(rows)) >= MAX_AUTOMATION_ACCOUNTS:
        raise AccountLimitError(
            f"the landlord {landlord_id!r} has {MAX_AUTOMATION_ACCOUNTS} automation accounts, "
            "the most at a time (clauses step-2.limit, terms.limit): deactivate or remove one first"
        )


def _account_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if "roles" in columns:
        columns["roles"] = tuple(sorted(columns["roles"]))
    if "status" in columns:
        columns["status"] = columns["status"].value
    return columns
