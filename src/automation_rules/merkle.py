"""Merkle tree hashing, proofs and their verification, as RFC 6962 and RFC 9162 define them.

Pure: nothing here stores or reads. A tree of any size is carried by its `Frontier`; a proof is
built from the hashes of perfect subtrees, which the caller keeps. The subtree ``(level, index)``
covers the leaves from ``index * 2**level`` up to ``(index + 1) * 2**level``, and `locate` says
beside which leaf its hash is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from .errors import LogError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    NodeOf = Callable[[int, int], bytes]

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "Frontier",
    "Head",
    "consistency_proof",
    "inclusion_proof",
    "leaf_hash",
    "locate",
    "node_hash",
    "root_from_inclusion",
    "verify_consistency",
    "verify_inclusion",
]

HASH_SIZE: Final = 32
"""Bytes in every hash (SHA-256)."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of a tree without leaves (RFC 9162, section 2.1.1)."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256 over 0x00 and the leaf (RFC 9162, section 2.1.1)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees: SHA-256 over 0x01 and both (RFC 9162, section 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def locate(level: int, index: int) -> tuple[int, int]:
    """Return the leaf that completes a perfect subtree, and the hash's offset beside it.

    `Frontier.append` gives the bytes to keep beside each leaf; the subtree's hash is the
    `HASH_SIZE` bytes at the offset.
    """
    return ((index + 1) << level) - 1, HASH_SIZE * level


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries a log has, and its Merkle root."""

    size: int
    root: bytes


class Frontier:
    """The right edge of a tree: the perfect subtrees that its leaves fall into, largest first.

    It is all that appending needs, and it grows with the logarithm of the size. Mutable, and
    belonging to one transaction at a time.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        """Begin with the empty tree."""
        self._hashes: list[bytes] = []
        self._size = 0

    @classmethod
    def from_bytes(cls, size: int, data: bytes) -> Frontier:
        """Read what `to_bytes` wrote for a tree of ``size`` leaves.

        Raises:
            VerificationError: the size is negative, or the data cannot belong to a tree of it.
        """
        if size < 0 or len(data) != HASH_SIZE * size.bit_count():
            raise VerificationError(
                f"{len(data)} bytes cannot be the frontier of a tree of {size} leaves"
            )
        frontier = cls()
        frontier._size = size
        frontier._hashes = [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]
        return frontier

    def to_bytes(self) -> bytes:
        """Return the hashes of the perfect subtrees, largest first, without separators."""
        return b"".join(self._hashes)

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    @property
    def root(self) -> bytes:
        """The root of the tree (RFC 9162, section 2.1.1)."""
        if not self._hashes:
            return EMPTY_ROOT
        *rest, root = self._hashes
        for left in reversed(rest):
            root = sha256(b"\x01" + left + root).digest()
        return root

    def append(self, leaf: bytes) -> bytes:
        """Add a leaf by its hash; return the hashes of the subtrees that it completes.

        They are joined without separators, the leaf's own hash first and each next one level
        higher: what `locate` expects to find beside the leaf.
        """
        hashes = self._hashes
        remaining = self._size
        self._size += 1
        if not remaining & 1:
            hashes.append(leaf)
            return leaf
        completed = [leaf]
        while remaining & 1:
            leaf = sha256(b"\x01" + hashes.pop() + leaf).digest()
            completed.append(leaf)
            remaining >>= 1
        hashes.append(leaf)
        return b"".join(completed)


def inclusion_proof(index: int, size: int, node: NodeOf) -> list[bytes]:
    """Prove that leaf ``index`` is in the tree of ``size`` leaves (RFC 9162, section 2.1.3.1).

    ``node(level, index)`` gives the hash of a perfect subtree within that tree; it is called a
    number of times that grows with the logarithm of the size.

    Raises:
        LogError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise LogError(f"there is no leaf {index} in a tree of {size} leaves")
    return _path(0, index, size, node)


def consistency_proof(old: int, new: int, node: NodeOf) -> list[bytes]:
    """Prove that the tree of ``new`` leaves extends that of ``old`` (RFC 9162, section 2.1.4.1).

    Raises:
        LogError: ``old`` is zero, from which there is no proof, or is more than ``new``.
    """
    if not 0 < old <= new:
        raise LogError(f"there is no consistency proof from {old} to {new} leaves")
    if old == new:
        return []
    level = _trailing_zeros(old)
    index = (old >> level) - 1
    # Who verifies a perfect old tree has its root already; otherwise the proof starts from the
    # smallest of the old tree's subtrees.
    start = [] if index == 0 else [node(level, index)]
    return start + _path(level, index, new, node)


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2).

    ``leaf`` is the leaf's hash.

    Raises:
        VerificationError: the index is not below the size, the proof has too few or too many
            hashes, or a hash is not of `HASH_SIZE` bytes.
    """
    if not 0 <= index < size:
        raise VerificationError(f"index {index} is not in a tree of {size} leaves", index=index)
    _require_hashes((leaf, *proof))
    root = leaf
    for sibling, on_the_left in _climb(index, size - 1, proof):
        root = node_hash(sibling, root) if on_the_left else node_hash(root, sibling)
    return root


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return when the proof shows that the leaf is in the tree (RFC 9162, section 2.1.3.2).

    ``leaf`` is the leaf's hash.

    Raises:
        VerificationError: it does not.
    """
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise VerificationError("the inclusion proof leads to another root", index=index)


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return when the proof shows that one tree extends another (RFC 9162, section 2.1.4.2).

    Raises:
        VerificationError: it does not; from an empty tree there is nothing to prove, and such a
            proof is refused.
    """
    if not 0 < old <= new:
        raise VerificationError(f"there is no consistency proof from {old} to {new} leaves")
    _require_hashes((old_root, new_root, *proof))
    if old == new:
        if proof:
            raise VerificationError("the proof has too many hashes")
        if old_root != new_root:
            raise VerificationError("two trees of the same size have different roots")
        return
    first, *rest = [old_root, *proof] if old.bit_count() == 1 else proof or [b""]
    shift = _trailing_zeros(old)
    from_old = from_new = first
    for sibling, on_the_left in _climb((old - 1) >> shift, (new - 1) >> shift, rest):
        if on_the_left:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
        else:
            from_new = node_hash(from_new, sibling)
    if from_old != old_root:
        raise VerificationError("the consistency proof leads to another old root")
    if from_new != new_root:
        raise VerificationError("the consistency proof leads to another new root")


def _climb(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each sibling on the way from a subtree to the root, and whether it is on the left.

    ``position`` is the subtree's place among those of its level, ``last`` that of the rightmost.
    """
    for sibling in proof:
        if last == 0:
            raise VerificationError("the proof has too many hashes")
        on_the_left = bool(position & 1) or position == last
        if on_the_left:
            shift = _trailing_zeros(position)
            position, last = position >> shift, last >> shift
        yield sibling, on_the_left
        position, last = position >> 1, last >> 1
    if last:
        raise VerificationError("the proof has too few hashes")


def _path(level: int, index: int, size: int, node: NodeOf) -> list[bytes]:
    """Return the siblings from a perfect subtree up to the root of the tree of ``size`` leaves."""
    proof = []
    while 1 << level < size:
        sibling = index ^ 1
        start, end = sibling << level, (sibling + 1) << level
        if end <= size:
            proof.append(node(level, sibling))
        elif start < size:
            proof.append(_edge(start, size, node))
        level, index = level + 1, index >> 1
    return proof


def _edge(start: int, size: int, node: NodeOf) -> bytes:
    """Return the hash of the leaves from ``start`` to the end, which no perfect subtree covers."""
    root = b""
    while size > start:
        level = _trailing_zeros(size)
        left = node(level, (size >> level) - 1)
        root = node_hash(left, root) if root else left
        size -= 1 << level
    return root


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1


def _require_hashes(hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE:
            raise VerificationError(f"a hash has {len(value)} bytes instead of {HASH_SIZE}")
