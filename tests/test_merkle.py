"""The Merkle tree against published answers and a second, naive implementation."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import combinations

import pytest

from automation_rules import merkle
from automation_rules.errors import LogError, VerificationError

# The eight leaves, roots and proofs that the Certificate Transparency reference implementation
# tests itself with (google/certificate-transparency, merkletree/merkle_tree_test.cc; the same
# vectors are in transparency-dev/merkle).
CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION = {  # (index, size): hashes
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CT_CONSISTENCY = {  # (old, new): hashes
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


@cache
def naive_root(leaves: tuple[bytes, ...]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, written as the RFC states it."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = largest_power_below(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def largest_power_below(number: int) -> int:
    """The largest power of two smaller than a number."""
    power = 1
    while power * 2 < number:
        power *= 2
    return power


def naive_path(index: int, leaves: tuple[bytes, ...]) -> list[bytes]:
    """PATH of RFC 9162 section 2.1.3.1, written as the RFC states it."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if index < split:
        return [*naive_path(index, leaves[:split]), naive_root(leaves[split:])]
    return [*naive_path(index - split, leaves[split:]), naive_root(leaves[:split])]


def naive_subproof(old: int, leaves: tuple[bytes, ...], *, complete: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1, written as the RFC states it."""
    if old == len(leaves):
        return [] if complete else [naive_root(leaves)]
    split = largest_power_below(len(leaves))
    if old <= split:
        return [
            *naive_subproof(old, leaves[:split], complete=complete),
            naive_root(leaves[split:]),
        ]
    return [
        *naive_subproof(old - split, leaves[split:], complete=False),
        naive_root(leaves[:split]),
    ]


class Tree:
    """Leaves with what is kept beside each, as a log keeps them."""

    def __init__(self, leaves: list[bytes]) -> None:
        """Append every leaf and remember the roots on the way."""
        self.leaves = tuple(leaves)
        frontier = merkle.Frontier()
        self.rows: list[bytes] = []
        self.roots = [frontier.root]
        for leaf in leaves:
            self.rows.append(frontier.append(merkle.leaf_hash(leaf)))
            self.roots.append(frontier.root)
        self.reads = 0

    def node(self, level: int, index: int) -> bytes:
        """Read one subtree's hash from beside the leaf that completes it."""
        self.reads += 1
        row, offset = merkle.locate(level, index)
        found = self.rows[row][offset : offset + merkle.HASH_SIZE]
        assert len(found) == merkle.HASH_SIZE
        return found


def numbered(count: int) -> list[bytes]:
    """Distinct leaves of different lengths."""
    return [number.to_bytes(2, "big") * (number % 3) + b"%d" % number for number in range(count)]


def test_the_empty_tree_has_the_published_root() -> None:
    """RFC 9162 section 2.1.1: the root of no leaves is SHA-256 of nothing."""
    published = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.EMPTY_ROOT.hex() == published
    assert merkle.Frontier().root == merkle.EMPTY_ROOT


def test_published_roots() -> None:
    """Every size to eight has the root that the reference implementation publishes."""
    assert [root.hex() for root in Tree(CT_LEAVES).roots[1:]] == CT_ROOTS


@pytest.mark.parametrize(("index", "size"), CT_INCLUSION)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    """The reference implementation's inclusion proofs come out byte for byte."""
    proof = merkle.inclusion_proof(index, size, Tree(CT_LEAVES).node)
    assert [value.hex() for value in proof] == CT_INCLUSION[index, size]


@pytest.mark.parametrize(("old", "new"), CT_CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int) -> None:
    """The reference implementation's consistency proofs come out byte for byte."""
    proof = merkle.consistency_proof(old, new, Tree(CT_LEAVES).node)
    assert [value.hex() for value in proof] == CT_CONSISTENCY[old, new]


def assert_agrees_with_the_naive_tree(sizes: range) -> None:
    """Compare roots, every inclusion proof and every consistency proof of these sizes."""
    tree = Tree(numbered(sizes.stop - 1))
    for size in sizes:
        leaves = tree.leaves[:size]
        root = naive_root(leaves)
        assert tree.roots[size] == root
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, tree.node)
            assert proof == naive_path(index, leaves)
            merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, size, proof, root)
        for old in range(1, size + 1):
            proof = merkle.consistency_proof(old, size, tree.node)
            assert proof == naive_subproof(old, leaves)
            merkle.verify_consistency(old, tree.roots[old], size, root, proof)


def test_sizes_to_64_agree_with_the_naive_tree() -> None:
    """Roots and all proofs equal those of the RFC's recursive definitions, sizes 0 to 64."""
    assert_agrees_with_the_naive_tree(range(65))


@pytest.mark.exhaustive
def test_sizes_to_300_agree_with_the_naive_tree() -> None:
    """Roots and all proofs equal those of the RFC's recursive definitions, sizes 0 to 300."""
    assert_agrees_with_the_naive_tree(range(301))


def test_a_frontier_survives_its_bytes_at_every_size() -> None:
    """A frontier read back goes on to the same roots and the same rows."""
    frontier = merkle.Frontier()
    for size, leaf in enumerate(numbered(70)):
        copy = merkle.Frontier.from_bytes(size, frontier.to_bytes())
        assert (copy.size, copy.root, copy.to_bytes()) == (
            size,
            frontier.root,
            frontier.to_bytes(),
        )
        hashed = merkle.leaf_hash(leaf)
        assert copy.append(hashed) == frontier.append(hashed)
        assert copy.root == frontier.root


@pytest.mark.parametrize(
    ("size", "length"), [(0, 32), (1, 0), (1, 31), (1, 64), (3, 32), (4, 64), (-1, 0), (-1, 32)]
)
def test_a_frontier_of_another_size_is_refused(size: int, length: int) -> None:
    """Bytes that cannot be the frontier of the size given raise VerificationError."""
    with pytest.raises(VerificationError, match=f"{length} bytes .* {size} leaves"):
        merkle.Frontier.from_bytes(size, bytes(length))


def test_completed_subtrees_are_where_locate_says() -> None:
    """Every perfect subtree's hash is beside the leaf that completes it, and nothing else is."""
    tree = Tree(numbered(64))
    expected = [[merkle.leaf_hash(leaf)] for leaf in tree.leaves]
    for level in range(1, 7):
        for index in range(64 >> level):
            row, offset = merkle.locate(level, index)
            assert offset == 32 * len(expected[row])
            expected[row].append(naive_root(tree.leaves[index << level : (index + 1) << level]))
    assert tree.rows == [b"".join(row) for row in expected]


def test_proofs_read_logarithmically_many_nodes() -> None:
    """A proof in a tree of n leaves reads fewer than twice log2(n) + 2 stored hashes."""
    tree = Tree(numbered(5000))
    for index in range(0, 5000, 37):
        tree.reads = 0
        merkle.inclusion_proof(index, 5000, tree.node)
        merkle.consistency_proof(index + 1, 5000, tree.node)
        assert tree.reads <= 2 * 2 * 14


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (6, 5), (-1, 5)])
def test_there_is_no_proof_of_a_leaf_outside_the_tree(index: int, size: int) -> None:
    """Proving or verifying an index that is not below the size is refused."""
    tree = Tree(numbered(8))
    with pytest.raises(LogError, match=f"no leaf {index} in a tree of {size}"):
        merkle.inclusion_proof(index, size, tree.node)
    with pytest.raises(VerificationError, match=f"index {index} is not in a tree of {size}") as e:
        merkle.verify_inclusion(bytes(32), index, size, [], bytes(32))
    assert e.value.index == index


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 5), (6, 5), (-1, 5)])
def test_there_is_no_consistency_from_nothing_or_backwards(old: int, new: int) -> None:
    """Consistency from an empty or a larger tree is refused on both sides."""
    with pytest.raises(LogError, match=f"from {old} to {new}"):
        merkle.consistency_proof(old, new, Tree(numbered(8)).node)
    with pytest.raises(VerificationError, match=f"from {old} to {new}"):
        merkle.verify_consistency(old, merkle.EMPTY_ROOT, new, bytes(32), [])


def damaged(proof: list[bytes]) -> list[list[bytes]]:
    """Proofs that differ from a valid one by one mistake."""
    wrong = [[*proof, bytes(32)], [bytes(32), *proof], [*proof, *proof[-1:], bytes(32)]]
    for at, value in enumerate(proof):
        wrong.append(proof[:at] + proof[at + 1 :])
        wrong.append([*proof[:at], value[:-1], *proof[at + 1 :]])
        wrong.append([*proof[:at], value + b"\0", *proof[at + 1 :]])
        wrong.append([*proof[:at], bytes([value[0] ^ 1]) + value[1:], *proof[at + 1 :]])
    for first, second in combinations(range(len(proof)), 2):
        swapped = list(proof)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        wrong.append(swapped)
    return wrong


def test_a_damaged_inclusion_proof_is_rejected() -> None:
    """Changed, dropped, swapped, cut and surplus hashes, other indexes, sizes, roots: refused."""
    tree = Tree(numbered(40))
    for size in (1, 2, 3, 7, 8, 21, 33):
        root = tree.roots[size]
        for index in range(size):
            hashed = merkle.leaf_hash(tree.leaves[index])
            proof = merkle.inclusion_proof(index, size, tree.node)
            for wrong in damaged(proof):
                with pytest.raises(VerificationError):
                    merkle.verify_inclusion(hashed, index, size, wrong, root)
            for other in (index - 1, index + 1):
                with pytest.raises(VerificationError):
                    merkle.verify_inclusion(hashed, other, size, proof, root)
            for leaf, against in (
                (merkle.leaf_hash(b"other"), root),
                (hashed, bytes(32)),
                (hashed[:-1], root),
            ):
                with pytest.raises(VerificationError):
                    merkle.verify_inclusion(leaf, index, size, proof, against)


def test_the_root_of_a_proof_depends_on_the_size_where_the_path_does() -> None:
    """A size whose paths have another length is refused for every index."""
    tree = Tree(numbered(40))
    for index in range(16):
        proof = merkle.inclusion_proof(index, 16, tree.node)
        for size in (17, 32, 40):
            with pytest.raises(VerificationError, match="too few"):
                merkle.root_from_inclusion(merkle.leaf_hash(b""), index, size, proof)
        if index < 8:
            with pytest.raises(VerificationError, match="too many"):
                merkle.root_from_inclusion(merkle.leaf_hash(b""), index, 8, proof)


def test_a_damaged_consistency_proof_is_rejected() -> None:
    """Changed, dropped, swapped, cut and surplus hashes and other roots are refused."""
    tree = Tree(numbered(40))
    for new in (1, 2, 3, 7, 8, 21, 33):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(old, new, tree.node)
            roots = tree.roots[old], tree.roots[new]
            for wrong in damaged(proof):
                with pytest.raises(VerificationError):
                    merkle.verify_consistency(old, roots[0], new, roots[1], wrong)
            for old_root, new_root in (
                (bytes(32), roots[1]),
                (roots[0], bytes(32)),
                (roots[0][:-1], roots[1]),
                (roots[0], roots[1] + b"\0"),
            ):
                with pytest.raises(VerificationError):
                    merkle.verify_consistency(old, old_root, new, new_root, proof)


def test_a_forked_tree_has_no_consistency_proof() -> None:
    """The proof of a tree whose early leaf was rewritten does not fit the remembered root."""
    honest, forged = Tree(numbered(20)), Tree([b"rewritten", *numbered(20)[1:]])
    proof = merkle.consistency_proof(13, 20, forged.node)
    with pytest.raises(VerificationError, match="old root"):
        merkle.verify_consistency(13, honest.roots[13], 20, forged.roots[20], proof)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_hash_of_another_length_is_no_hash(length: int) -> None:
    """Each hash of a proof, and each root, has 32 bytes."""
    leaf, other = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    root = merkle.node_hash(leaf, other)
    merkle.verify_inclusion(leaf, 0, 2, [other], root)
    merkle.verify_consistency(1, leaf, 2, root, [other])
    wrong = bytes(length)
    told = f"a hash has {length} bytes instead of 32"
    with pytest.raises(VerificationError, match=told):
        merkle.verify_inclusion(leaf, 0, 2, [wrong], root)
    with pytest.raises(VerificationError, match=told):
        merkle.verify_consistency(1, leaf, 2, root, [wrong])
