"""What data protection asks of the state: erasure, legal holds, retention, keys that rotate.

Everything here leaves the hashes of the log as they are, so that all that was proved before still
verifies, and is itself recorded in the log, except the rotation of the wrapping key, which changes
nothing that the log holds. Clause ``terms.data-controller``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from .clock import to_utc
from .errors import (
    AlreadyRegisteredError,
    FieldError,
    InvalidInputError,
    LegalHoldError,
    NotRegisteredError,
    RegistryError,
    StoreError,
    VerificationError,
)
from .inputs import parse_instant
from .leaf import draft_erasure, draft_hold, draft_retention
from .merkle import EMPTY_ROOT, verify_consistency
from .store import Registry, tables
from .store.fields import Fields
from .tiles import TILE_WIDTH
from .vault import Direct, Kind, Vault, untyped
from .verification import entries_table, head_table, read_first, sealed_table

if TYPE_CHECKING:
    from sqlalchemy import Select, TableClause, Update

    from .audit import DecisionLog, Receipt
    from .clock import Clock
    from .leaf import Draft
    from .merkle import Head
    from .store import Store
    from .vault import Subject, WrappingKey

__all__ = ["ERASABLE", "Erased", "Privacy", "Pruned", "rotate_wrapping_key"]

ERASABLE: Final = (Kind.TENANT, Kind.TODO, Kind.OPERATOR, Kind.PARTNERSHIP_MANAGER)
"""Who can be erased; accounts are bots, and name no person."""

_ERASED: Final = "erased"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_landlords: Final = untyped(tables.landlords)
_people: Final = untyped(tables.people)
_changes: Final = untyped(tables.status_changes)
_acknowledgements: Final = untyped(tables.acknowledgements)
_entries: Final = untyped(tables.code_entries)
_waits: Final = untyped(tables.code_waits)
_closures: Final = untyped(tables.closures)
_notices: Final = untyped(tables.notices)
_holds: Final = untyped(tables.legal_holds)
_switches: Final = untyped(tables.switches)

_REGISTRY: Final = (
    tables.people,
    tables.status_changes,
    tables.switches,
    tables.acknowledgements,
    tables.code_entries,
    tables.code_waits,
    tables.landlords,
    tables.closures,
    tables.notices,
    tables.subjects,
)
"""The tables that an erasure may have left traces in."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did: how much it deleted or blanked, and the entry that records it."""

    index: int
    envelopes: int
    registry: int
    elsewhere: tuple[str, ...]
    """Landlords at which the registry still has somebody or something of the same identifier."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a pruning did: the first entry that is left, and how many are gone."""

    first: int
    entries: int
    index: int
    """The entry that records it."""


class Privacy:
    """Data protection for one state. Its log must have been opened with ``vault``."""

    def __init__(self, store: Store, log: DecisionLog, vault: Vault, clock: Clock) -> None:
        """Work on ``store`` and its ``log``; ``clock`` stamps what is recorded."""
        self._store = store
        self._log = log
        self._vault = vault
        self._clock = clock

    # --- erasure ----------------------------------------------------------------------------

    def erase(self, subject: Subject) -> Erased:
        """Delete a subject's key, token and envelopes, and every copy in clear in the registry.

        In one transaction, which also records it; then the free space of the state's files is
        cleaned. Repeat it when that could not be done.

        Raises:
            InvalidInputError: the subject is of a kind that names no person or to-do.
            LegalHoldError: the subject is under a legal hold.
            NotRegisteredError: neither the log nor the registry knows the subject.
            NotRecordedError: it could not be recorded; nothing was erased.
            StoreError: it was erased, but its traces could not be cleaned from the files.
        """
        _check(subject)
        traces = [subject.id.encode()]
        counts: dict[str, int] = {}

        def change(direct: Direct) -> Draft:
            token = self._vault.token(direct, subject)
            if token is not None and direct.rows(_FIND_HOLD, token):
                raise LegalHoldError(
                    "there is a legal hold on it: have a person release the hold first, "
                    "`automation-rules privacy release`"
                )
            counts["registry"] = _erase_registered(direct, subject, self._clock.now(), traces)
            if token is None and not counts["registry"]:
                raise _unknown()
            counts["envelopes"] = 0
            if token is not None:
                [(counts["envelopes"],)] = direct.rows(_COUNT_SEALED, token)
                direct.change(_DELETE_SEALED, (token,))
                traces.append(self._vault.forget(direct, token))
            return draft_erasure(at=self._clock.now(), kind=subject.kind, token=token, **counts)

        try:
            receipt = self._log.record_change(change)
        except NotRegisteredError:
            # It may have been erased by a run that could not clean up after itself.
            self._store.scrub(traces, _REGISTRY)
            raise
        self._clean(traces, receipt)
        return Erased(receipt.index, **counts, elsewhere=self._elsewhere(subject))

    def _clean(self, traces: list[bytes], receipt: Receipt) -> None:
        try:
            self._store.scrub(traces, _REGISTRY)
        except StoreError as error:
            raise StoreError(
                f"it is erased, and recorded as entry {receipt.index}, but traces may be left in "
                f"the files of the state: {error}; then run the command again"
            ) from error

    def _elsewhere(self, subject: Subject) -> tuple[str, ...]:
        query = {
            Kind.OPERATOR: select(tables.people.c.landlord_id).filter_by(id=subject.id),
            Kind.PARTNERSHIP_MANAGER: select(tables.landlords.c.id).filter_by(
                partnership_manager=subject.id
            ),
        }.get(subject.kind)
        if query is None:
            return ()
        with self._store.reading() as connection:
            return tuple(sorted(connection.execute(query).scalars()))

    # --- legal holds ------------------------------------------------------------------------

    def hold(self, subject: Subject, *, reason: str, by: str) -> Receipt:
        """Keep a subject, and all entries about it, from being erased or pruned.

        ``by`` is one of the landlord's people. The reason is sealed in the log with the subject's
        own key, and nowhere else.

        Raises:
            InvalidInputError: the subject is of another kind, or the reason is no text.
            NotRegisteredError: neither the log nor the registry knows the subject, or there is
                no such person.
            AlreadyRegisteredError: it is held already.
            NotRecordedError: it could not be recorded; there is no hold.
        """
        _check(subject)
        with Fields() as check:
            check.text("/reason", reason)
        self._require_person(subject, by)

        def change(direct: Direct) -> Draft:
            if self._vault.token(direct, subject) is None and not _registered(direct, subject):
                raise _unknown()
            now = self._clock.now()
            token = self._vault.keys(direct, [subject], now)[subject].token
            if direct.rows(_FIND_HOLD, token):
                raise AlreadyRegisteredError("there is a legal hold on it already")
            direct.change(_ADD_HOLD, (token, _microseconds(now)))
            return draft_hold(at=now, subject=subject, by=by, placed=True, reason=reason)

        return self._log.record_change(change)

    def release(self, subject: Subject, *, by: str) -> Receipt:
        """End a legal hold, on the word of one of the landlord's people.

        Raises:
            InvalidInputError: the subject is of another kind.
            NotRegisteredError: there is no hold on it, or no such person.
            NotRecordedError: it could not be recorded; the hold stands.
        """
        _check(subject)
        self._require_person(subject, by)

        def change(direct: Direct) -> Draft:
            token = self._vault.token(direct, subject)
            if token is None or not direct.rows(_FIND_HOLD, token):
                raise NotRegisteredError("there is no legal hold on it")
            direct.change(_DELETE_HOLD, (token,))
            return draft_hold(at=self._clock.now(), subject=subject, by=by, placed=False)

        return self._log.record_change(change)

    def _require_person(self, subject: Subject, by: str) -> None:
        Registry(self._store, self._clock).person(subject.landlord or "", by)

    # --- retention --------------------------------------------------------------------------

    def retain(self, before: datetime, exported: Head) -> Pruned | None:
        """Prune the entries at the beginning of the log that are all older than ``before``.

        Only what is among the entries of ``exported`` goes, the head of an export that somebody
        verified; nothing from the first entry on that is about a subject under a legal hold; and
        only whole bundles of 256, as exports have them. Of a pruned entry its hash stays, so that
        every proof and every earlier head still verifies. Keys that open nothing more are deleted.

        Returns None when there is nothing to prune.

        Raises:
            VerificationError: the log does not continue ``exported``.
            NotRecordedError: it could not be recorded; nothing was pruned.
            StoreError: it was pruned, but the files of the state could not be cleaned.
        """
        self._require_extension(exported)
        begins = self._log.first()
        last = self._older_than(to_utc(before), begins, exported.size)
        found: list[int] = []

        def change(direct: Direct) -> Draft:
            [(held,)] = direct.rows(_FIRST_HELD)
            first = last if held is None else min(last, held)
            first -= first % TILE_WIDTH
            if first <= begins or read_first(direct) != begins:
                raise _NothingToPruneError
            found.append(first)
            direct.change(_BLANK, (b"", first))
            direct.change(_DELETE_PRUNED, (first,))
            direct.change(_MOVE_FIRST, (first,))
            self._vault.forget_unused(direct)
            return draft_retention(
                at=self._clock.now(), before=before, first=first, exported=exported
            )

        try:
            receipt = self._log.record_change(change)
        except _NothingToPruneError:
            return None
        self._store.scrub([], [tables.log_entries, tables.envelopes, tables.subjects])
        return Pruned(found[0], found[0] - begins, receipt.index)

    def _require_extension(self, exported: Head) -> None:
        head = self._log.head()
        if exported.size > head.size:
            raise VerificationError(
                f"the export has {exported.size} entries, and the log {head.size}: is it this "
                "log's?"
            )
        if exported.size == 0:
            if exported.root != EMPTY_ROOT:
                raise VerificationError("the export is of another log")
            return
        proof = self._log.prove_consistency(exported.size, head.size)
        verify_consistency(exported.size, exported.root, head.size, head.root, proof)

    def _older_than(self, before: datetime, begins: int, size: int) -> int:
        """Return the first entry from ``begins`` on that is not older, or ``size``."""
        for entry in self._log.entries(begins, max(begins, size)):
            if parse_instant(entry.document["time"]) >= before:
                return entry.index
        return max(begins, size)


class _NothingToPruneError(RegistryError):
    """There is nothing to prune; caught here."""


def rotate_wrapping_key(store: Store, old: WrappingKey, new: WrappingKey) -> int:
    """Wrap all subjects' keys under another wrapping key; return how many there are.

    In one transaction; the log is not touched. Afterwards the old key is refused. Keep the new
    key in a file before, and put it in the old one's place after. Repeated after an interruption,
    it finds the state wrapped under the new key already, and changes nothing.

    Raises:
        LogError: neither key is this state's.
        VerificationError: a subject's row was changed.
        StoreError: the state cannot be written.
    """
    with store.transaction() as connection:
        connection.execute(select(tables.log_head.c.id).with_for_update())
        direct = Direct(connection.connection.cursor(), connection.dialect)
        count = Vault(old if Vault(old).is_current(direct) else new).rewrap(direct, new)
    store.scrub([], [tables.subjects])
    return count


def _check(subject: Subject) -> None:
    if subject.kind not in ERASABLE:
        names = ", ".join(kind.value for kind in ERASABLE)
        raise InvalidInputError([FieldError("/kind", f"must be one of {names}")])
    with Fields() as check:
        check.text("/subject", subject.id)
        check.identifier("/landlord", subject.landlord)


def _unknown() -> NotRegisteredError:
    return NotRegisteredError(
        "neither the log nor the registry knows it: check the identifier, the kind and the landlord"
    )


def _microseconds(at: datetime) -> int:
    return (to_utc(at) - _EPOCH) // timedelta(microseconds=1)


# --- the registry -------------------------------------------------------------------------------


def _registered(direct: Direct, subject: Subject) -> bool:
    if subject.kind is Kind.OPERATOR:
        return bool(direct.rows(_FIND_PERSON, subject.landlord, subject.id))
    if subject.kind is Kind.PARTNERSHIP_MANAGER:
        return bool(direct.rows(_FIND_MANAGED, subject.landlord, subject.id))
    return False


def _erase_registered(direct: Direct, subject: Subject, now: datetime, traces: list[bytes]) -> int:
    """Take a subject out of the registry; return in how many places it stood.

    What else was in clear is added to ``traces``.
    """
    count = 0
    names = [subject.id]
    if subject.kind is Kind.OPERATOR:
        for (name,) in direct.rows(_FIND_PERSON, subject.landlord, subject.id):
            names.append(name)
            traces.append(name.encode())
            count += _replace_person(direct, subject, now)
    elif subject.kind is Kind.PARTNERSHIP_MANAGER and _registered(direct, subject):
        direct.change(_FORGET_MANAGER, (subject.landlord, subject.id))
        count += 1
    return count + _blank_texts(direct, subject, names)


def _replace_person(direct: Direct, subject: Subject, now: datetime) -> int:
    """Put nobody in a person's place, so that what was acknowledged and entered stays on record."""
    nobody = f"{_ERASED}-{uuid.uuid4()}"
    direct.change(_ADD_NOBODY, (subject.landlord, nobody, _ERASED, *[_microseconds(now)] * 2))
    count = 1
    for counted, replaced in _REFERENCES:
        [(found,)] = direct.rows(counted, subject.landlord, subject.id)
        count += found
        direct.change(replaced, (nobody, subject.landlord, subject.id))
    [(found,)] = direct.rows(_COUNT_WAITS, subject.landlord, subject.id)
    direct.change(_FORGET_WAITS, (subject.landlord, subject.id))
    direct.change(_DELETE_PERSON, (subject.landlord, subject.id))
    return count + int(found)


def _blank_texts(direct: Direct, subject: Subject, names: list[str]) -> int:
    """Blank every free text that names a subject."""
    named = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in names), re.I)
    count = 0
    for texts, blank, parameters in (
        (_REASONS, _BLANK_REASON, (subject.landlord,)),
        (_SWITCHES, _BLANK_SWITCH, ()),
        (_CLOSURES, _BLANK_CLOSURE, ()),
        (_TITLES, _BLANK_TITLE, ()),
    ):
        for which, text in direct.rows(texts, *parameters):
            if named.search(text):
                direct.change(blank, (which,))
                count += 1
    return count


def _reference(table: TableClause) -> tuple[Select[Any], Update]:
    """Return what counts the rows of a table that name a person, and what puts another there."""
    theirs = (table.c.landlord_id == bindparam("of")) & (table.c.person_id == bindparam("whom"))
    return (
        select(func.count()).select_from(table).where(theirs),
        update(table).values(person_id=bindparam("nobody")).where(theirs),
    )


_REFERENCES: Final = tuple(map(_reference, (_changes, _switches, _acknowledgements, _entries)))
_PERSON: Final = (_people.c.landlord_id == bindparam("of")) & (_people.c.id == bindparam("whom"))
_FIND_PERSON: Final = select(_people.c.name).where(_PERSON)
_DELETE_PERSON: Final = delete(_people).where(_PERSON)
_ADD_NOBODY: Final = insert(_people).values(
    {name: bindparam(name) for name in ("landlord_id", "id", "name", "added_at", "removed_at")}
)
_MANAGED: Final = (_landlords.c.id == bindparam("of")) & (
    _landlords.c.partnership_manager == bindparam("whom")
)
_FIND_MANAGED: Final = select(_landlords.c.id).where(_MANAGED)
_FORGET_MANAGER: Final = (
    update(_landlords).values(partnership_manager=literal_column("NULL")).where(_MANAGED)
)
_WAITED: Final = (_waits.c.landlord_id == bindparam("of")) & (
    _waits.c.entered_by == bindparam("whom")
)
_COUNT_WAITS: Final = select(func.count()).select_from(_waits).where(_WAITED)
_FORGET_WAITS: Final = (
    update(_waits)
    .values({name: literal_column("NULL") for name in ("sealed", "entered_by", "entered_at")})
    .where(_WAITED)
)
_REASONS: Final = select(_changes.c.id, _changes.c.reason).where(
    _changes.c.landlord_id == bindparam("of"), _changes.c.reason.is_not(None)
)
_BLANK_REASON: Final = (
    update(_changes)
    .values(reason=literal_column("NULL"))
    .where(_changes.c.id == bindparam("which"))
)
_SWITCHES: Final = select(_switches.c.id, _switches.c.reason).where(_switches.c.reason.is_not(None))
_BLANK_SWITCH: Final = (
    update(_switches)
    .values(reason=literal_column("NULL"))
    .where(_switches.c.id == bindparam("which"))
)
_CLOSURES: Final = select(_closures.c.id, _closures.c.reason)
_BLANK_CLOSURE: Final = (
    update(_closures)
    .values(reason=literal_column("''"))
    .where(_closures.c.id == bindparam("which"))
)
_TITLES: Final = select(_notices.c.id, _notices.c.title).where(_notices.c.title.is_not(None))
_BLANK_TITLE: Final = (
    update(_notices).values(title=literal_column("NULL")).where(_notices.c.id == bindparam("which"))
)

# --- the log ------------------------------------------------------------------------------------

_COUNT_SEALED: Final = (
    select(func.count()).select_from(sealed_table).where(sealed_table.c.token == bindparam("token"))
)
_DELETE_SEALED: Final = delete(sealed_table).where(sealed_table.c.token == bindparam("token"))
_FIND_HOLD: Final = select(_holds.c.token).where(_holds.c.token == bindparam("token"))
_ADD_HOLD: Final = insert(_holds).values(token=bindparam("token"), placed_at=bindparam("placed_at"))
_DELETE_HOLD: Final = delete(_holds).where(_holds.c.token == bindparam("token"))
_FIRST_HELD: Final = select(func.min(sealed_table.c.idx)).where(
    sealed_table.c.token.in_(select(_holds.c.token))
)
_BLANK: Final = (
    update(entries_table)
    .values(leaf=bindparam("nothing"))
    .where(entries_table.c.idx < bindparam("first"))
)
_DELETE_PRUNED: Final = delete(sealed_table).where(sealed_table.c.idx < bindparam("first"))
_MOVE_FIRST: Final = update(head_table).values(first=bindparam("kept"))
