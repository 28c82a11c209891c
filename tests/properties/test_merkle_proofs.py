"""Merkle proofs of trees of any size, far beyond those that can be built leaf by leaf."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automation_rules import merkle
from automation_rules.errors import VerificationError

LARGEST = 2**62
SIZES = st.integers(1, 70) | st.integers(1, LARGEST) | st.integers(0, 61).map(lambda n: 2**n)


@cache
def perfect(level: int) -> bytes:
    """The root of 2**level equal leaves."""
    if level == 0:
        return merkle.leaf_hash(b"leaf")
    return merkle.node_hash(perfect(level - 1), perfect(level - 1))


def node(level: int, index: int) -> bytes:
    """Any perfect subtree of a tree whose leaves are all equal."""
    assert 0 <= index << level < LARGEST
    return perfect(level)


def root(size: int) -> bytes:
    """The root of so many equal leaves."""
    edge = b"".join(perfect(bit) for bit in range(63, -1, -1) if size >> bit & 1)
    return merkle.Frontier.from_bytes(size, edge).root


@given(SIZES, st.data())
def test_any_leaf_of_any_tree_is_proved(size: int, data: st.DataObject) -> None:
    """An inclusion proof verifies, has as many hashes as the path, and proves no other size."""
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, node)
    assert len(proof) <= (size - 1).bit_length()
    merkle.verify_inclusion(perfect(0), index, size, proof, root(size))
    for wrong in (proof[:-1], [*proof, perfect(0)]):
        if wrong != proof:
            with pytest.raises(VerificationError):
                merkle.verify_inclusion(perfect(0), index, size, wrong, root(size))


@given(SIZES, SIZES)
def test_any_growth_is_proved(one: int, other: int) -> None:
    """A consistency proof between any two sizes verifies, and not with a hash more or fewer."""
    old, new = sorted((one, other))
    proof = merkle.consistency_proof(old, new, node)
    assert len(proof) <= new.bit_length() + 1
    merkle.verify_consistency(old, root(old), new, root(new), proof)
    for wrong in (proof[:-1], [*proof, perfect(0)]):
        if wrong != proof:
            with pytest.raises(VerificationError):
                merkle.verify_consistency(old, root(old), new, root(new), wrong)


@given(st.lists(st.binary(max_size=8), max_size=40), st.data())
def test_a_proof_holds_for_its_own_leaf_only(leaves: list[bytes], data: st.DataObject) -> None:
    """With distinct leaves, a proof verifies at its index for its leaf, and nowhere else."""
    leaves = [b"%d:%b" % (at, leaf) for at, leaf in enumerate(leaves)] or [b"0:"]
    frontier = merkle.Frontier()
    rows = [frontier.append(merkle.leaf_hash(leaf)) for leaf in leaves]

    def stored(level: int, index: int) -> bytes:
        row, offset = merkle.locate(level, index)
        return rows[row][offset : offset + merkle.HASH_SIZE]

    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, stored)
    for other in range(size):
        for leaf in (leaves[index], leaves[other]):
            if (other, leaf) == (index, leaves[index]):
                merkle.verify_inclusion(merkle.leaf_hash(leaf), other, size, proof, frontier.root)
            else:
                with pytest.raises(VerificationError):
                    merkle.verify_inclusion(
                        merkle.leaf_hash(leaf), other, size, proof, frontier.root
                    )
