"""Verifying a whole log: everything that is stored is hashed or recomputed.

The first entry that is wrong is named. Where an entry was replaced together with its own hash, the
contradiction shows only in a later hash over both; then the roots tell whether the entries or the
stored hash are to blame.
"""

from __future__ import annotations

import json
from hashlib import sha256
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, literal_column, select

from .errors import VerificationError
from .leaf import HELD
from .leaf_schema import read_leaf
from .merkle import HASH_SIZE, Frontier, Head, leaf_hash
from .store.tables import envelopes as envelopes_table
from .store.tables import log_entries, log_head
from .vault import FIND_TOKEN, Kind, at_most, untyped

if TYPE_CHECKING:
    from collections.abc import Callable

    from .vault import Direct, Vault

    Sealed = tuple[Any, ...]

__all__ = [
    "AT_ONCE",
    "READ_HEAD",
    "entries_table",
    "head_table",
    "read_first",
    "read_head",
    "sealed_table",
    "verify_log",
]

entries_table: Final = untyped(log_entries)
head_table: Final = untyped(log_head)
sealed_table: Final = untyped(envelopes_table)

AT_ONCE: Final = 128
"""How many entries are read at once: few enough to be hashed while the processor still has them."""

READ_HEAD: Final = select(head_table.c.size, head_table.c.root, head_table.c.frontier).where(
    head_table.c.id == literal_column("1")
)
_READ_FIRST: Final = select(head_table.c.first).where(head_table.c.id == literal_column("1"))
_NEXT: Final = (
    select(entries_table.c.idx, entries_table.c.leaf, entries_table.c.nodes)
    .where(entries_table.c.idx >= bindparam("first"))
    .order_by(entries_table.c.idx)
)
_NEXT_ROWS: Final = at_most(AT_ONCE, _NEXT)
_NEXT_ROW: Final = at_most(1, _NEXT)
_SEALED: Final = (
    select(sealed_table.c.idx, sealed_table.c.slot, sealed_table.c.token, sealed_table.c.ciphertext)
    .where(sealed_table.c.idx >= bindparam("first"), sealed_table.c.idx <= bindparam("last"))
    .order_by(sealed_table.c.idx, sealed_table.c.slot)
)
_COUNT_SEALED: Final = select(func.count()).select_from(sealed_table)
_COUNT_HEADS: Final = select(func.count()).select_from(head_table)
_LOWEST: Final = -(2**63)
_DIGESTS: Final = b'"envelopes":{'
_TOKENS: Final = b'"tokens":{'
_NOTHING_SEALED: Final = _DIGESTS + b"}"
_SLOTS: Final = frozenset({HELD, *(kind.value for kind in Kind)})
# Canonical JSON has sorted keys, and nothing that is sealed stands in such an entry.
_PRUNES: Final = b',"tokens":{},"type":"retention","v":1}'


def verify_log(
    direct: Direct,
    *,
    remembered: Head | None,
    vault: Vault | None,
    progress: Callable[[int, int], None] | None,
    forms: bool,
) -> Head:
    """Recompute everything; return the head when all of it holds.

    Raises:
        VerificationError: it does not hold; ``index`` is the first entry that is wrong, or None
            when no one entry is.
        LogError: the wrapping key is not this state's.
    """
    scan = _Scan(direct, remembered=remembered, progress=progress, forms=forms)
    scan.entries()
    head = scan.conclude()
    if vault is not None:
        vault.verify(direct)
    return head


class _Scan:
    """One pass over a log."""

    def __init__(
        self,
        direct: Direct,
        *,
        remembered: Head | None,
        progress: Callable[[int, int], None] | None,
        forms: bool,
    ) -> None:
        self._direct = direct
        self._remembered = remembered
        self._progress = progress
        self._forms = forms
        self._frontier = Frontier()
        self._envelopes = 0
        # Where the log begins: as its head says, and as its last entry of a pruning says.
        self._first = _stored_first(direct)
        self._pruned = 0
        self._fits = remembered is None or remembered.size == 0
        # The first hash over several entries that does not follow from them: the first of these
        # entries, and the one that it is stored beside.
        self._suspect: tuple[int, int] | None = None

    def entries(self) -> None:
        """Recompute every entry in order."""
        try:
            self._scan()
        except VerificationError as error:
            if self._suspect is not None:
                raise self._blame(entries_hold=False) from error
            raise

    def _scan(self) -> None:
        total = self._announced_size() if self._progress is not None else 0
        following = _NEXT_ROWS
        first = _LOWEST
        while True:
            size = self._frontier.size
            try:
                rows = self._direct.rows(following, first)
                sealed = self._sealed(rows)
            except Exception as error:
                # Something among these rows cannot be read: go on by single rows, to name it.
                self._direct.go_on(error)
                if following is _NEXT_ROW:
                    raise VerificationError(f"entry {size} cannot be read", index=size) from error
                following = _NEXT_ROW
                continue
            if not rows:
                return
            self._recompute(rows, sealed)
            first = rows[-1][0] + 1
            if self._progress is not None:
                self._progress(self._frontier.size, max(total, self._frontier.size))

    def _announced_size(self) -> int:
        try:
            return read_head(self._direct)[0].size
        except Exception:
            # It is verified, and told, when all entries are.
            return 0

    def _sealed(self, rows: list[tuple[Any, ...]]) -> list[Sealed]:
        """Return the envelopes of these entries, in the same order."""
        return self._direct.rows(_SEALED, rows[0][0], rows[-1][0]) if rows else []

    def _recompute(self, rows: list[tuple[Any, ...]], sealed: list[Sealed]) -> None:
        frontier, remembered = self._frontier, self._remembered
        mark = -1 if remembered is None else remembered.size
        at, envelopes = 0, len(sealed)
        for index, leaf, nodes in rows:
            size = frontier.size
            if index != size:
                what = "is missing" if index > size else f"follows one numbered {index}"
                raise VerificationError(f"entry {size} {what}", index=size)
            if type(leaf) is not bytes or type(nodes) is not bytes:
                raise VerificationError(f"entry {size} is not stored as bytes", index=size)
            if index < self._first:
                self._recompute_pruned(size, leaf, nodes)
                continue
            completed = frontier.append(leaf_hash(leaf))
            if completed != nodes:
                self._contradicted(size, completed, nodes)
            if leaf.endswith(_PRUNES):
                self._pruned = max(self._pruned, _first_kept(leaf, size))
            begins = at
            while at < envelopes and sealed[at][0] <= size:
                at += 1
            if self._forms or begins < at or _NOTHING_SEALED not in leaf:
                self._compare_envelopes(size, leaf, sealed[begins:at])
            if frontier.size == mark:
                self._compare_mark()

    def _recompute_pruned(self, index: int, leaf: bytes, nodes: bytes) -> None:
        """Recompute the hashes over an entry of which only its own hash was kept."""
        if leaf:
            raise VerificationError(f"entry {index} was pruned, and is there again", index=index)
        completed = self._frontier.append(nodes[:HASH_SIZE].ljust(HASH_SIZE, b"\0"))
        if completed != nodes:
            self._contradicted(index, completed, nodes)
        if self._remembered is not None and self._frontier.size == self._remembered.size:
            self._compare_mark()

    def _compare_mark(self) -> None:
        remembered = self._remembered
        self._fits = remembered is None or self._frontier.root == remembered.root

    def _contradicted(self, index: int, completed: bytes, nodes: bytes) -> None:
        """Note that the hashes beside an entry are not those that it completes."""
        if len(completed) != len(nodes) or completed[:HASH_SIZE] != nodes[:HASH_SIZE]:
            raise VerificationError(
                f"entry {index} was changed: the hashes beside it are not its own", index=index
            )
        if self._suspect is None:
            level = next(
                level
                for level in range(len(nodes) // HASH_SIZE)
                if completed[: (level + 1) * HASH_SIZE] != nodes[: (level + 1) * HASH_SIZE]
            )
            self._suspect = index + 1 - (1 << level), index

    def _compare_envelopes(self, index: int, leaf: bytes, rows: list[Sealed]) -> None:
        """See that an entry's envelopes are those that its leaf commits to."""
        self._envelopes += len(rows)
        if self._forms:
            document = read_leaf(leaf, index=index)
        elif rows and _commits_to(index, leaf, rows):
            return
        else:
            document = _parse(leaf, index)
        tokens, digests = document["tokens"], document["envelopes"]
        own = {slot: (token, sealed) for _, slot, token, sealed in rows}
        if (
            tokens.keys() != digests.keys()
            or own.keys() - tokens.keys()
            or any(row[0] != index for row in rows)
        ):
            raise VerificationError(
                f"the envelopes of entry {index} are not those that it names", index=index
            )
        for slot, token in tokens.items():
            if slot not in own:
                if self._direct.rows(FIND_TOKEN, token):
                    raise VerificationError(
                        f"entry {index} has lost an envelope ({slot}) whose subject is not erased",
                        index=index,
                    )
            elif own[slot][0] != token or _digest(own[slot][1]) != digests[slot]:
                raise VerificationError(
                    f"an envelope of entry {index} ({slot}) was changed", index=index
                )

    def conclude(self) -> Head:
        """Compare what was recomputed with the head, and with the remembered head."""
        size, root, edge = self._frontier.size, self._frontier.root, self._frontier.to_bytes()
        try:
            [(heads,)] = self._direct.rows(_COUNT_HEADS)
            head, right_edge = read_head(self._direct)
            stored = right_edge.to_bytes()
            problem = None if heads == 1 else VerificationError("the log has more than one head")
        except Exception as error:
            head, stored = Head(size, b""), b""
            problem = VerificationError("the head of the log does not hold")
            problem.__cause__ = error
        if self._suspect is not None:
            raise self._blame(entries_hold=head.root == root and self._fits)
        if problem is not None:
            raise problem
        if head.size != size:
            # The same edge for another size: the head's size lies, and not the entries.
            index = None if stored == edge else min(size, head.size)
            raise VerificationError(
                f"the log has {size} entries, and its head says {head.size}", index=index
            )
        if stored != edge:
            index = _first_difference(size, edge, stored)
            raise VerificationError(
                f"the root of the log is not that of its entries, from entry {index} on",
                index=index,
            )
        self._compare_remembered(size)
        if self._pruned != read_first(self._direct):
            raise VerificationError(
                f"the log begins at entry {self._first}, and its entries say {self._pruned}"
            )
        [(envelopes,)] = self._direct.rows(_COUNT_SEALED)
        if envelopes != self._envelopes:
            raise _stray()
        return head

    def _compare_remembered(self, size: int) -> None:
        remembered = self._remembered
        if remembered is not None and size < remembered.size:
            raise VerificationError(
                f"entry {size} is missing: {remembered.size} entries were here before", index=size
            )
        if remembered is not None and not self._fits:
            raise VerificationError(
                f"the first {remembered.size} entries are not the ones that were here before"
            )

    def _blame(self, *, entries_hold: bool) -> VerificationError:
        """Say whether a stored hash is wrong, or the entries that it covers."""
        first, beside = self._suspect or (0, 0)
        if entries_hold:
            return VerificationError(
                f"a hash beside entry {beside} is not that of the entries from {first} on",
                index=beside,
            )
        return VerificationError(
            f"the entries from {first} to {beside} are not those that were hashed", index=first
        )


def _stored_first(direct: Direct) -> int:
    try:
        return read_first(direct)
    except VerificationError:
        # Told when the entries are recomputed, with the rest of the head.
        return 0


def _first_kept(leaf: bytes, index: int) -> int:
    first = _parse(leaf, index).get("first")
    if type(first) is not int or not 0 <= first <= index:
        raise VerificationError(f"entry {index} is not what an entry can be", index=index)
    return first


def _stray() -> VerificationError:
    return VerificationError("an envelope lies in the state that belongs to no entry")


def _first_difference(size: int, edge: bytes, stored: bytes) -> int:
    """Return the first leaf of the first subtree in which two right edges differ."""
    same = takewhile(
        lambda at: edge[at : at + HASH_SIZE] == stored[at : at + HASH_SIZE],
        range(0, len(edge), HASH_SIZE),
    )
    # There is a subtree for each bit of the size, the largest first.
    bits = (1 << bit for bit in reversed(range(size.bit_length())) if size >> bit & 1)
    return sum(leaves for _, leaves in zip(same, bits, strict=False))


def _digest(ciphertext: object) -> str | None:
    return sha256(ciphertext).hexdigest() if type(ciphertext) is bytes else None


def _commits_to(index: int, leaf: bytes, rows: list[Sealed]) -> bool:
    """Whether canonical JSON commits to just these envelopes; False when it may only be so.

    A quotation mark inside a JSON text has a backslash before it, so that neither key is found
    inside a text; in the closed schema neither stands anywhere else.
    """
    digests, tokens = [], []
    for beside, slot, token, sealed in rows:
        if beside != index or slot not in _SLOTS or type(sealed) is not bytes:
            return False
        digests.append(f'"{slot}":"{sha256(sealed).hexdigest()}"')
        tokens.append(f'"{slot}":"{token}"')
    return leaf.startswith(
        (",".join(digests) + "}").encode(), leaf.find(_DIGESTS) + len(_DIGESTS)
    ) and leaf.startswith((",".join(tokens) + "}").encode(), leaf.rfind(_TOKENS) + len(_TOKENS))


def _parse(leaf: bytes, index: int) -> dict[str, Any]:
    """Return what a leaf says, as far as its envelopes need it."""
    try:
        document: dict[str, Any] = json.loads(leaf)
        named = (*document["tokens"].items(), *document["envelopes"].items())
        if all(isinstance(text, str) for pair in named for text in pair):
            return document
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    raise VerificationError(f"entry {index} is not what an entry can be", index=index)


def read_first(direct: Direct) -> int:
    """Return the number of the first entry that is not pruned.

    Raises:
        VerificationError: it cannot be read.
    """
    rows = direct.rows(_READ_FIRST)
    if len(rows) != 1 or type(rows[0][0]) is not int or rows[0][0] < 0:
        raise VerificationError("the head of the log cannot be read")
    return int(rows[0][0])


def read_head(direct: Direct, statement: Any = READ_HEAD) -> tuple[Head, Frontier]:
    """Return the head and the right edge that stand in the head row.

    Raises:
        VerificationError: they cannot be read, or do not belong together.
    """
    rows = direct.rows(statement)
    if len(rows) != 1 or [type(value) for value in rows[0]] != [int, bytes, bytes]:
        raise VerificationError("the head of the log cannot be read")
    size, root, edge = rows[0]
    frontier = Frontier.from_bytes(size, edge)
    if frontier.root != root:
        raise VerificationError("the root of the log does not belong to its right edge")
    return Head(size, root), frontier
