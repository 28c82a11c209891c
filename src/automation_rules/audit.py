"""The decision log: append, read, prove.

A Merkle tree by RFC 9162 over the stored bytes of its leaves. Beside each leaf lie the hashes of
the subtrees that it completes; one head row holds the size, the root and the right edge. Each
append is one transaction: read the head, insert, move the head. Nothing of the head is kept in
the process, and nothing but stored bytes is ever hashed.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import structlog
from sqlalchemy import bindparam, insert, literal_column, select, update

from .errors import (
    AutomationRulesError,
    LogError,
    NotRecordedError,
    RegistryError,
    VerificationError,
)
from .leaf import MAX_LEAF, Draft, draft_decision, draft_rollback
from .merkle import (
    HASH_SIZE,
    Frontier,
    Head,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    locate,
    root_from_inclusion,
    verify_consistency,
)
from .remembered_heads import RememberedHeads
from .store.engine import driver_errors, plain_errors
from .vault import Direct, Envelope
from .verification import (
    AT_ONCE,
    READ_HEAD,
    entries_table,
    head_table,
    read_first,
    read_head,
    sealed_table,
    verify_log,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType

    from sqlalchemy import PoolProxiedConnection
    from sqlalchemy.engine.interfaces import DBAPICursor

    from .decision import Decision
    from .merkle import NodeOf
    from .store import Store
    from .vault import SubjectKey, Vault

    Finished = tuple[bytes, Sequence[Envelope]]

__all__ = [
    "DecisionLog",
    "Draft",
    "Entry",
    "Head",
    "InclusionProof",
    "Receipt",
    "RememberedHeads",
    "draft_decision",
    "mask",
]

_events: Final = structlog.get_logger("automation_rules.audit")

# A statement of its own, and the first: whoever waits for this row then reads all that the one
# before has written.
_LOCK_HEAD: Final = READ_HEAD.with_for_update()
_MOVE_HEAD: Final = (
    update(head_table)
    .values(size=bindparam("size"), root=bindparam("root"), frontier=bindparam("frontier"))
    .where(head_table.c.id == literal_column("1"))
)
_ADD_ENTRY: Final = insert(entries_table).values(
    idx=bindparam("idx"), leaf=bindparam("leaf"), nodes=bindparam("nodes")
)
_ADD_ENVELOPE: Final = insert(sealed_table).values(
    idx=bindparam("idx"),
    slot=bindparam("slot"),
    token=bindparam("token"),
    ciphertext=bindparam("ciphertext"),
)
_READ_LEAVES: Final = (
    select(entries_table.c.idx, entries_table.c.leaf)
    .where(entries_table.c.idx >= bindparam("first"), entries_table.c.idx < bindparam("after"))
    .order_by(entries_table.c.idx)
)
_READ_NODES: Final = select(entries_table.c.nodes).where(entries_table.c.idx == bindparam("idx"))
_READ_ENVELOPES: Final = (
    select(sealed_table.c.idx, sealed_table.c.slot, sealed_table.c.token, sealed_table.c.ciphertext)
    .where(sealed_table.c.idx >= bindparam("first"), sealed_table.c.idx < bindparam("after"))
    .order_by(sealed_table.c.idx, sealed_table.c.slot)
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored entry: its zero-based index and its leaf."""

    index: int
    leaf: bytes

    @property
    def leaf_hash(self) -> bytes:
        """The leaf's Merkle hash (RFC 9162, section 2.1.1)."""
        return leaf_hash(self.leaf)

    @property
    def document(self) -> dict[str, Any]:
        """What the leaf says."""
        document: dict[str, Any] = json.loads(self.leaf)
        return document


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry that is durable, and the head of the log after the transaction that made it so."""

    index: int
    leaf: bytes
    leaf_hash: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry is in the log of a given size: hashes from the leaf up to the root."""

    index: int
    size: int
    leaf_hash: bytes
    hashes: tuple[bytes, ...]

    @property
    def root(self) -> bytes:
        """The root that the proof leads to; compare it with one that is trusted."""
        return root_from_inclusion(self.leaf_hash, self.index, self.size, self.hashes)


class _Writer(NamedTuple):
    """A connection kept for appends; ``begins`` when its driver begins no transaction itself."""

    connection: PoolProxiedConnection
    cursor: DBAPICursor
    direct: Direct
    begins: bool


class DecisionLog:
    """The decision log of one state. Close it, or use it in a ``with``, before the store.

    Safe to use from several threads; their appends take turns.
    """

    def __init__(
        self, store: Store, vault: Vault | None = None, *, heads: RememberedHeads | None = None
    ) -> None:
        """Work on the log in ``store``.

        Without ``vault`` nothing can be recorded or opened. With ``heads``, appends are refused
        while the log is not the one that was there before.
        """
        self._store = store
        self._vault = vault
        self._heads = heads
        self._turn = threading.Lock()
        self._writer: _Writer | None = None

    def close(self) -> None:
        """Give back the connection that appends use."""
        with self._turn:
            self._let_go()

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give back the connection that appends use."""
        self.close()

    # --- appending --------------------------------------------------------------------------

    def record(
        self,
        decision: Decision,
        *,
        readings: Mapping[str, str],
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Receipt:
        """Record a decision and its masked facts; return when it is durable.

        ``readings`` are all eight by which its policy decides (`Policy.readings`); ``request_id``
        is the caller's own name for the request, ``trace_id`` that of the trace it belongs to
        (W3C Trace Context).

        Raises:
            NotRecordedError: it could not be masked or made durable; nothing of it was written,
                and the answer must be a denial.
        """
        [receipt] = self.record_many(
            [mask(decision, readings=readings, request_id=request_id, trace_id=trace_id)]
        )
        return receipt

    def record_many(self, drafts: Sequence[Draft]) -> list[Receipt]:
        """Record entries in one transaction, in order; return when all are durable.

        Emits a structlog event for each, ``decision_recorded`` for a decision, with its index and
        the hash of its leaf.

        Raises:
            NotRecordedError: they could not be made durable; nothing of them was written.
        """
        if not drafts:
            return []
        receipts = self._append(lambda direct: self._finish(direct, drafts))
        _announce(drafts, receipts)
        return receipts

    def append(self, leaf: bytes, envelopes: Sequence[Envelope] = ()) -> Receipt:
        """Append a finished leaf with its envelopes; return when it is durable.

        Raises:
            NotRecordedError: it could not be made durable; nothing of it was written.
        """
        [receipt] = self.append_many([(leaf, envelopes)])
        return receipt

    def append_many(self, finished: Sequence[Finished]) -> list[Receipt]:
        """Append finished leaves, each with its envelopes, in one transaction.

        Raises:
            NotRecordedError: they could not be made durable; nothing of them was written.
        """
        return self._append(lambda _: finished) if finished else []

    def acknowledge_rollback(self, *, by: str, landlord: str | None, at: datetime) -> Receipt:
        """Record that a person accepts a log that went back, and go on from it.

        ``by`` is the identifier of one of the people of ``landlord``; ``at`` is the present.

        Raises:
            LogError: the log did not go back, or no head of it is remembered.
            NotRecordedError: it could not be made durable.
        """
        expected = None if self._heads is None else self._heads.get(self._store.log_id)
        if self._heads is None or expected is None:
            raise LogError("no head of this log is remembered: there is nothing to acknowledge")
        drafts: list[Draft] = []

        def finish(direct: Direct) -> list[Finished]:
            found, _ = read_head(direct)
            if _extends(direct, expected, found):
                raise NotRecordedError("the log did not go back: there is nothing to acknowledge")
            drafts.append(
                draft_rollback(at=at, by=by, landlord=landlord, expected=expected, found=found)
            )
            return self._finish(direct, drafts)

        [receipt] = self._append(finish, went_back=True)
        self._heads.replace(self._store.log_id, Head(receipt.size, receipt.root))
        _announce(drafts, [receipt])
        return receipt

    def record_change(self, change: Callable[[Direct], Draft]) -> Receipt:
        """Change the state and record it, in one transaction; return when both are durable.

        ``change`` works inside the transaction, in which no entry is added by anybody else, and
        returns the entry.

        Raises:
            RegistryError: ``change`` refused; nothing was changed or written.
            NotRecordedError: it could not be made durable; nothing was changed or written.
        """
        drafts: list[Draft] = []

        def finish(direct: Direct) -> list[Finished]:
            drafts.append(change(direct))
            return self._finish(direct, drafts)

        [receipt] = self._append(finish)
        _announce(drafts, [receipt])
        return receipt

    def _finish(self, direct: Direct, drafts: Sequence[Draft]) -> list[Finished]:
        """Give every subject its token and key, and finish the entries with them."""
        if self._vault is None:
            raise NotRecordedError("the log was opened without its vault: it can only be read")
        subjects = {sealed.subject for draft in drafts for sealed in draft.sealed}
        if not subjects:
            return [draft.finish({}) for draft in drafts]
        keys = self._vault.keys(direct, subjects, drafts[0].at)
        return [draft.finish(keys) for draft in drafts]

    def _append(
        self, finish: Callable[[Direct], Sequence[Finished]], *, went_back: bool = False
    ) -> list[Receipt]:
        """Append what ``finish`` gives; unless it ``went_back``, to the log that was here."""
        heads, log_id = self._heads, self._store.log_id
        try:
            with plain_errors(), self._turn:
                writer = self._writer or self._take()
                try:
                    try:
                        head, frontier = _lock_head(writer)
                    except driver_errors():
                        # A connection that was kept may have broken since; nothing is begun yet.
                        if not getattr(writer.connection.driver_connection, "closed", False):
                            raise
                        writer.connection.invalidate()
                        writer = self._take()
                        head, frontier = _lock_head(writer)
                    if heads is not None and not went_back:
                        _require_extension(writer.direct, heads.get(log_id), head)
                    receipts = _insert(writer.direct, frontier, finish(writer.direct))
                    writer.connection.commit()
                except BaseException:
                    # With its connection ends what was begun, also where the server has gone.
                    self._writer = None
                    writer.connection.invalidate()
                    raise
            if heads is not None and not went_back:
                heads.remember(log_id, Head(receipts[-1].size, receipts[-1].root))
        except (NotRecordedError, RegistryError):
            raise
        except Exception as error:
            raise _not_recorded(error) from error
        return receipts

    def _take(self) -> _Writer:
        """Take a connection to keep: taking one for each append costs a quarter of its time."""
        with self._store.reading() as connection:
            engine = connection.engine
        proxied = engine.raw_connection()
        cursor = proxied.cursor()
        self._writer = _Writer(
            proxied, cursor, Direct(cursor, engine.dialect), engine.dialect.name == "sqlite"
        )
        return self._writer

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.connection.close()

    # --- reading ----------------------------------------------------------------------------

    def head(self) -> Head:
        """Return the size and the root of the log.

        Raises:
            StoreError: the state cannot be read.
            VerificationError: the head does not hold.
        """
        with self._reading() as direct:
            return read_head(direct)[0]

    def first(self) -> int:
        """Return the number of the first entry that is kept; those before it were pruned.

        Raises:
            StoreError: the state cannot be read.
            VerificationError: the head does not hold.
        """
        with self._reading() as direct:
            return read_first(direct)

    def entry(self, index: int) -> Entry:
        """Return one entry.

        Raises:
            LogError: there is none at that index, or it was pruned.
        """
        for entry in self.entries(index, index + 1):
            return entry
        raise LogError(f"there is no entry {index}: the log has {self.head().size}")

    def entries(self, start: int | None = None, stop: int | None = None) -> Iterator[Entry]:
        """Yield the entries from ``start``, or the first that is kept, up to before ``stop``.

        Without ``stop``, to the end. They are read some at a time, however many there are.

        Raises:
            LogError: ``start`` is negative, or was pruned.
            VerificationError: an entry is missing or cannot be read.
        """
        for first, after in self._spans(start, stop):
            with self._reading() as direct:
                rows = direct.rows(_READ_LEAVES, first, after)
            yield from _entries(rows, first, after)

    def opened(
        self, start: int | None = None, stop: int | None = None
    ) -> Iterator[tuple[Entry, dict[str, dict[str, Any] | None]]]:
        """Yield entries as `entries` does, each with its sealed facts as `open` gives them.

        Raises:
            LogError: as `entries` and `open` do.
            VerificationError: as `entries` and `open` do.
        """
        keys: dict[str, SubjectKey | None] = {}
        for first, after in self._spans(start, stop):
            if len(keys) > _KEYS_AT_ONCE:
                keys.clear()
            with self._reading() as direct:
                found = [
                    (entry, self._facts(direct, entry, sealed, keys))
                    for entry, sealed in zip(
                        _entries(direct.rows(_READ_LEAVES, first, after), first, after),
                        _envelopes(direct, first, after),
                        strict=True,
                    )
                ]
            yield from found

    def _spans(self, start: int | None, stop: int | None) -> Iterator[tuple[int, int]]:
        """Yield where to read from and to, a few entries at a time."""
        with self._reading() as direct:
            size, kept = read_head(direct)[0].size, read_first(direct)
        start = kept if start is None else start
        if start < 0:
            raise LogError("entries are counted from 0")
        stop = size if stop is None else min(stop, size)
        if start < min(kept, stop):
            raise LogError(f"entry {start} was pruned: the log is kept from entry {kept} on")
        for first in range(start, stop, AT_ONCE):
            yield first, min(first + AT_ONCE, stop)

    def open(self, index: int) -> dict[str, dict[str, Any] | None]:
        """Return the sealed facts of one entry by slot; None where the subject was erased.

        Raises:
            LogError: there is no such entry, the log was opened without its vault, or the
                wrapping key is not this state's.
            VerificationError: an envelope is missing or was changed.
        """
        entry = self.entry(index)
        with self._reading() as direct:
            [sealed] = _envelopes(direct, index, index + 1)
            return self._facts(direct, entry, sealed, {})

    def _facts(
        self,
        direct: Direct,
        entry: Entry,
        sealed: Mapping[str, Envelope],
        keys: dict[str, SubjectKey | None],
    ) -> dict[str, dict[str, Any] | None]:
        """Open the envelopes of one entry; ``keys`` are those found so far."""
        if self._vault is None:
            raise LogError("the log was opened without its vault: envelopes cannot be opened")
        document = entry.document
        name = document.get("decision_id") or document.get("event_id")
        facts: dict[str, dict[str, Any] | None] = {}
        for slot, token in document["tokens"].items():
            if token not in keys:
                keys[token] = self._vault.find(direct, token)
            key = keys[token]
            if key is None:
                facts[slot] = None
            elif slot not in sealed or sealed[slot].digest != document["envelopes"][slot]:
                raise VerificationError(
                    f"an envelope of entry {entry.index} is missing or was changed",
                    index=entry.index,
                )
            else:
                facts[slot] = key.open(sealed[slot], entry=str(name))
        return facts

    # --- proving ----------------------------------------------------------------------------

    def prove_inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """Prove that an entry is in the log, or in its first ``size`` entries.

        Raises:
            LogError: there is no such entry, or the log is smaller.
            VerificationError: a hash that the proof needs is missing.
        """
        with self._reading() as direct:
            size = _within(read_head(direct)[0].size, size)
            node = _nodes(direct)
            hashes = inclusion_proof(index, size, node)
            return InclusionProof(index, size, node(0, index), tuple(hashes))

    def prove_consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """Prove that the first ``new`` entries, or all, begin with the first ``old`` ones.

        `merkle.verify_consistency` verifies it, given both roots.

        Raises:
            LogError: the log is smaller, or ``old`` is zero or more than ``new``.
            VerificationError: a hash that the proof needs is missing.
        """
        with self._reading() as direct:
            new = _within(read_head(direct)[0].size, new)
            return tuple(consistency_proof(old, new, _nodes(direct)))

    def check_rollback(self) -> Head:
        """Return the head, when the log is the remembered one or has grown from it.

        Reads a number of entries that grows with the logarithm of the log.

        Raises:
            VerificationError: the log went back, as after restoring a backup.
        """
        # The remembered head is read first: the log can only grow in between.
        remembered = None if self._heads is None else self._heads.get(self._store.log_id)
        with self._reading() as direct:
            head, _ = read_head(direct)
            _require_extension(direct, remembered, head)
        return head

    def verify(
        self,
        remembered: Head | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
        forms: bool = False,
    ) -> Head:
        """Recompute the whole log from its stored bytes; return its head when all of it holds.

        ``remembered`` is a head to hold the log against, by default the one in ``heads``.
        ``progress`` is called with how many entries are done, and how many there are. With
        ``forms``, every leaf must also be canonical JSON of the closed schema, which takes many
        times as long. With a vault, the subjects' keys are verified too.

        Raises:
            VerificationError: it does not hold; ``index`` is the first entry that is wrong.
            LogError: the wrapping key is not this state's.
            StoreError: the state cannot be read.
        """
        known = None if self._heads is None else self._heads.get(self._store.log_id)
        with self._reading() as direct:
            head = verify_log(
                direct,
                remembered=known if remembered is None else remembered,
                vault=self._vault,
                progress=progress,
                forms=forms,
            )
            # Also when held against an older head: what is remembered must not be forgotten.
            _require_extension(direct, known, head)
        if self._heads is not None:
            self._heads.remember(self._store.log_id, head)
        return head

    @contextmanager
    def _reading(self) -> Iterator[Direct]:
        with self._store.reading() as connection:
            yield Direct(connection.connection.cursor(), connection.dialect)


def mask(
    decision: Decision,
    *,
    readings: Mapping[str, str],
    request_id: str | None = None,
    trace_id: str | None = None,
) -> Draft:
    """Return the entry of a decision, to be recorded by `DecisionLog.record_many`.

    Raises:
        NotRecordedError: it could not be masked, and the answer must be a denial.
    """
    try:
        draft = draft_decision(
            decision, readings=readings, request_id=request_id, trace_id=trace_id
        )
        # An entry that cannot be written must not be in one commit with others.
        draft.require_fit()
    except NotRecordedError:
        raise
    except Exception as error:
        raise _not_recorded(error) from error
    return draft


def _entries(rows: Sequence[tuple[Any, ...]], first: int, after: int) -> Iterator[Entry]:
    for at, index in enumerate(range(first, after)):
        # A row that is missing leaves the later ones in its place.
        if at == len(rows) or rows[at][0] != index or type(rows[at][1]) is not bytes:
            raise VerificationError(f"entry {index} is missing or unreadable", index=index)
        yield Entry(index, rows[at][1])


def _envelopes(direct: Direct, first: int, after: int) -> list[dict[str, Envelope]]:
    """Return the envelopes of each of these entries by slot."""
    found: list[dict[str, Envelope]] = [{} for _ in range(first, after)]
    for index, *envelope in direct.rows(_READ_ENVELOPES, first, after):
        found[index - first][envelope[0]] = Envelope(*envelope)
    return found


_KEYS_AT_ONCE: Final = 10_000
"""How many subjects' keys are kept while many entries are opened."""


def _lock_head(writer: _Writer) -> tuple[Head, Frontier]:
    """Begin, and read the head once nobody else can move it."""
    if writer.begins:
        # It must hold the write lock before it reads the head.
        writer.cursor.execute("BEGIN IMMEDIATE")
    return read_head(writer.direct, _LOCK_HEAD)


def _insert(direct: Direct, frontier: Frontier, finished: Sequence[Finished]) -> list[Receipt]:
    """Insert leaves and envelopes, and move the head past them."""
    rows: list[tuple[object, ...]] = []
    sealed: list[tuple[object, ...]] = []
    hashes = []
    for leaf, envelopes in finished:
        if len(leaf) > MAX_LEAF:
            raise NotRecordedError(f"an entry has {len(leaf)} bytes, and {MAX_LEAF} are the most")
        index = frontier.size
        hashed = leaf_hash(leaf)
        hashes.append(hashed)
        rows.append((index, leaf, frontier.append(hashed)))
        for envelope in envelopes:
            sealed.append((index, envelope.slot, envelope.token, envelope.ciphertext))
    direct.change(_ADD_ENTRY, *rows)
    if sealed:
        direct.change(_ADD_ENVELOPE, *sealed)
    size, root = frontier.size, frontier.root
    direct.change(_MOVE_HEAD, (size, root, frontier.to_bytes()))
    first = size - len(rows)
    return [
        Receipt(first + at, leaf, hashed, size, root)
        for at, ((leaf, _), hashed) in enumerate(zip(finished, hashes, strict=True))
    ]


def _not_recorded(error: Exception) -> NotRecordedError:
    """Return the error to raise instead, which says nothing of what was to be recorded."""
    if isinstance(error, NotRecordedError):
        return error
    said = str(error) if isinstance(error, AutomationRulesError) else type(error).__name__
    return NotRecordedError(f"the entry could not be recorded: {said}")


def _announce(drafts: Sequence[Draft], receipts: Sequence[Receipt]) -> None:
    """Tell that entries are durable; they stay so, whatever becomes of the messages."""
    with suppress(Exception):
        # Binding for each takes longer than telling, above all where nobody listens.
        tell = _events.bind().info
        for draft, receipt in zip(drafts, receipts, strict=True):
            told = {} if draft.decision is None else {"decision": draft.decision}
            with suppress(Exception):
                tell(
                    f"{draft.type}_recorded",
                    index=receipt.index,
                    leaf_hash=receipt.leaf_hash.hex(),
                    **told,
                )


def _nodes(direct: Direct) -> NodeOf:
    """Return what reads the hash of a perfect subtree from beside the leaf that completes it."""

    def node(level: int, index: int) -> bytes:
        row, offset = locate(level, index)
        rows = direct.rows(_READ_NODES, row)
        found = rows[0][0] if rows and type(rows[0][0]) is bytes else b""
        if len(found) < offset + HASH_SIZE:
            raise VerificationError(f"a hash beside entry {row} is missing", index=row)
        return bytes(found[offset : offset + HASH_SIZE])

    return node


def _within(size: int, asked: int | None) -> int:
    if asked is not None and asked > size:
        raise LogError(f"there are no {asked} entries: the log has {size}")
    return size if asked is None else asked


def _extends(direct: Direct, remembered: Head, head: Head) -> bool:
    """Whether the log is the remembered one, or has grown from it."""
    if remembered.size == 0 or remembered == head:
        return True
    if remembered.size > head.size:
        return False
    try:
        proof = consistency_proof(remembered.size, head.size, _nodes(direct))
        verify_consistency(remembered.size, remembered.root, head.size, head.root, proof)
    except VerificationError:
        return False
    return True


def _require_extension(direct: Direct, remembered: Head | None, head: Head) -> None:
    """Raise `VerificationError` when the log is not the remembered one, grown or not."""
    if remembered is not None and not _extends(direct, remembered, head):
        raise VerificationError(
            f"the log went back: {remembered.size} entries were here, and what is here now, "
            f"{head.size} entries, does not continue them, as after restoring a backup; bring "
            "back the newer state, or have a person acknowledge the rollback",
            index=head.size if head.size < remembered.size else None,
        )
