"""Signed notes, checkpoints and proofs in one file: published answers, round trips, rejections."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from automation_rules.errors import LogError, VerificationError
from automation_rules.merkle import EMPTY_ROOT, leaf_hash, node_hash
from automation_rules.signed_note import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Algorithm,
    Signature,
    SignedNote,
    SignerKey,
    VerifierKey,
    from_base64,
    to_base64,
)
from automation_rules.tlog_proof import ConsistencyProof, TlogProof

if TYPE_CHECKING:
    from collections.abc import Callable

# The example of golang.org/x/mod/sumdb/note (its documentation and note_test.go), from which
# c2sp.org/signed-note took the format.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)

# The example at the top of c2sp.org/signed-note; its key is not published.
C2SP_NOTE = (
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed è subito sera.\n"
    "\n"
    "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouF"
    "SQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
)

# The example at the top of c2sp.org/tlog-cosignature, signed by a log and by a witness.
C2SP_CHECKPOINT = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcy"
    "v2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3"
    "b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

ORIGIN = "example.org/acme-log"
LOG = SignerKey(ORIGIN, Algorithm.ED25519, bytes(range(32)))
NEXT = SignerKey(ORIGIN, Algorithm.ED25519, bytes(range(1, 33)))
WITNESS = SignerKey("witness.example/w1", Algorithm.COSIGNATURE, bytes(range(2, 34)))
QUANTUM = SignerKey(ORIGIN, Algorithm.ML_DSA_44, bytes(range(3, 35)))
KEYS = (LOG, NEXT, WITNESS, QUANTUM)
TIME = 1_780_387_200
TEXT = "one line\n\nafter an empty one — and a dash\n"


def noted(*keys: SignerKey, text: str = TEXT) -> SignedNote:
    """Sign a text with every key."""
    return SignedNote(text, tuple(key.sign(text, time=TIME) for key in keys))


# --- published answers


def test_the_published_note_verifies_and_is_signed_again_to_the_byte() -> None:
    """Key, id, text and signature are those of the reference implementation."""
    key, secret = VerifierKey.parse(PETER), SignerKey.parse(PETER_SECRET)
    note = SignedNote.parse(PETER_NOTE.encode())
    assert list(note.verify([key])) == [key]
    assert secret.verifier == key
    assert (str(key), secret.secret) == (PETER, PETER_SECRET)
    assert noted(secret, text=note.text).to_bytes() == PETER_NOTE.encode() == note.to_bytes()


@pytest.mark.parametrize("at", range(len(PETER)))
def test_a_verifier_key_that_was_not_copied_whole_is_refused(at: int) -> None:
    """A character that is missing, or another, is noticed at every place."""
    changed = chr(ord(PETER[at]) ^ 1)
    for text in (PETER[:at], PETER[:at] + PETER[at + 1 :], PETER[:at] + changed + PETER[at + 1 :]):
        with pytest.raises(LogError):
            VerifierKey.parse(text)


@pytest.mark.parametrize("key", KEYS)
def test_a_private_key_that_was_not_copied_whole_is_refused(key: SignerKey) -> None:
    """The message tells nothing of the key."""
    secret = key.secret
    for at in range(0, len(secret), 5):
        for text in (secret[:at], secret[:at] + chr(ord(secret[at]) ^ 1) + secret[at + 1 :]):
            with pytest.raises(LogError) as raised:
                SignerKey.parse(text)
            assert secret[-40:-4] not in str(raised.value)
            assert raised.value.__cause__ is None or secret[-40:] not in str(raised.value.__cause__)
    assert secret[-20:] not in repr(key)
    assert SignerKey.parse(secret) == key


def test_the_specifications_example_is_read_and_written() -> None:
    """The text goes to the last empty line; the signature has four bytes of key id."""
    note = SignedNote.parse(C2SP_NOTE.encode())
    assert note.text == C2SP_NOTE.rpartition("\n\n")[0] + "\n"
    [signature] = note.signatures
    assert signature.name == "quasimodo.example/salvatore"
    assert (signature.key_id.hex(), len(signature.value)) == ("367ba04b", 64)
    assert note.to_bytes() == C2SP_NOTE.encode()


def test_the_published_cosignature_has_its_published_time() -> None:
    """The specification prints the time that the example's signature carries."""
    note = SignedNote.parse(C2SP_CHECKPOINT.encode())
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == note.text
    assert note.signatures[1].time == 1_679_315_147


# --- a second implementation, from the specification's words


def naive_key_id(name: str, kind: int, public: bytes) -> bytes:
    """SHA-256 of name, newline, type and key; the first four bytes."""
    return hashlib.sha256(name.encode() + b"\x0a" + bytes([kind]) + public).digest()[:4]


def test_notes_are_what_the_specification_says() -> None:
    """A log's line and a witness's, put together by hand."""
    for key in (LOG, WITNESS):
        private = Ed25519PrivateKey.from_private_bytes(key.seed)
        public = private.public_key().public_bytes_raw()
        key_id = naive_key_id(key.name, int(key.algorithm), public)
        if key is LOG:
            value = private.sign(TEXT.encode())
        else:
            value = struct.pack(">Q", TIME)
            value += private.sign(f"cosignature/v1\ntime {TIME}\n".encode() + TEXT.encode())
        line = f"— {key.name} {base64.b64encode(key_id + value).decode()}"
        assert noted(key).to_bytes().decode() == f"{TEXT}\n{line}\n"
        assert key.verifier.id == key_id


def test_an_ml_dsa_signature_is_over_the_tree_head() -> None:
    """The structure of c2sp.org/tlog-cosignature, put together by hand, with the log's own key."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

    checkpoint = Checkpoint(ORIGIN, 7, leaf_hash(b"x"))
    signature = QUANTUM.sign(checkpoint.text, time=TIME)
    assert signature.time == TIME
    name = bytes([len(ORIGIN)]) + ORIGIN.encode()
    message = b"subtree/v1\n\x00" + name + struct.pack(">Q", TIME) + name
    message += struct.pack(">QQ", 0, 7) + checkpoint.root
    public = MLDSA44PrivateKey.from_seed_bytes(QUANTUM.seed).public_key()
    public.verify(signature.value[8:], message)
    note = SignedNote(checkpoint.text, (signature,))
    assert list(note.verify([QUANTUM.verifier])) == [QUANTUM.verifier]
    with pytest.raises(VerificationError):
        SignedNote(replace(checkpoint, size=8).text, (signature,)).verify([QUANTUM.verifier])
    with pytest.raises(VerificationError, match="tree head only"):
        QUANTUM.sign(TEXT, time=TIME)


# --- verifying


def test_unknown_keys_are_ignored_and_known_ones_must_be_right() -> None:
    """A note may carry many signatures; each by a known key counts, and one wrong rejects all."""
    note = noted(LOG, NEXT, WITNESS)
    assert set(note.verify([LOG.verifier])) == {LOG.verifier}
    assert set(note.verify([WITNESS.verifier, LOG.verifier])) == {LOG.verifier, WITNESS.verifier}
    stranger = SignerKey.generate("somebody.example/else")
    with pytest.raises(VerificationError, match="signed by none of the keys"):
        note.verify([stranger.verifier])
    with pytest.raises(VerificationError, match="signed by none of the keys"):
        note.verify([])
    wrong = replace(note.signatures[1], value=bytes(64))
    spoilt = replace(note, signatures=(note.signatures[0], wrong))
    assert set(spoilt.verify([LOG.verifier])) == {LOG.verifier}
    with pytest.raises(VerificationError, match="is wrong"):
        spoilt.verify([LOG.verifier, NEXT.verifier])


def test_a_key_of_the_same_name_or_the_same_id_is_another_key() -> None:
    """Only name and id together name a key."""
    [signature] = noted(LOG).signatures
    for other in (
        replace(signature, name="example.org/other"),
        replace(signature, key_id=bytes(4)),
    ):
        note = SignedNote(TEXT, (signature, other))
        assert list(note.verify([LOG.verifier])) == [LOG.verifier]
        with pytest.raises(VerificationError, match="none of the keys"):
            SignedNote(TEXT, (other,)).verify([LOG.verifier])
        with pytest.raises(VerificationError, match="not by"):
            LOG.verifier.verify(TEXT, other)


@pytest.mark.parametrize("key", [LOG, WITNESS, QUANTUM])
def test_every_byte_of_a_signature_counts(key: SignerKey) -> None:
    """A changed, missing or added byte makes it wrong."""
    text = Checkpoint(ORIGIN, 7, leaf_hash(b"x")).text
    [signature] = noted(key, text=text).signatures
    value = signature.value
    step = max(1, len(value) // 40)
    damaged = [
        value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in range(0, len(value), step)
    ]
    for bad in [*damaged, value[:-1], value + b"\0", b"\xff" * len(value), b""]:
        with pytest.raises(VerificationError):
            SignedNote(text, (replace(signature, value=bad),)).verify([key.verifier])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"text\n",
        b"text\n\n",
        b"text\n\nno signature\n",
        PETER_NOTE.encode().removesuffix(b"\n"),
        PETER_NOTE.encode() + b"\n",
        PETER_NOTE.replace("— Peter", "- Peter").encode(),
        PETER_NOTE.replace("— Peter", "—Peter").encode(),
        PETER_NOTE.replace("Neumann ", "Neumann").encode(),
        PETER_NOTE.replace("PeterNeumann x", "Peter+Neumann x").encode(),
        PETER_NOTE.replace("PeterNeumann x", "Peter\u2003Neumann x").encode(),
        PETER_NOTE.replace("nAM=", "nAM").encode(),
        PETER_NOTE.replace("nAM=", "nAN=").encode(),
        PETER_NOTE.replace("nAM=", "n-M=").encode(),
        PETER_NOTE.replace("problem,", "problem\r").encode(),
        PETER_NOTE.replace("problem,", "problem\x00").encode(),
        PETER_NOTE.replace("problem,", "problem\t").encode(),
        PETER_NOTE.encode().replace(b"problem,", b"problem\xff"),
        "text\n\n— name x08gow==\n".encode(),
        b"x" * MAX_NOTE + PETER_NOTE.encode(),
        ("text\n\n" + "— a x08gow8=\n" * (MAX_SIGNATURES + 1)).encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    """The form is strict: what could be read in two ways is not read at all."""
    with pytest.raises(VerificationError):
        SignedNote.parse(data)


def test_sixteen_signatures_and_more_are_read() -> None:
    """The specification asks for sixteen at least."""
    note = noted(*(SignerKey.generate(f"example.org/{number}") for number in range(MAX_SIGNATURES)))
    assert SignedNote.parse(note.to_bytes()) == note


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\u00a0b", "a\nb", "a\u2028b"])
def test_a_name_that_lines_cannot_hold_is_refused(name: str) -> None:
    """Spaces of any alphabet and the plus sign end a name."""
    with pytest.raises(LogError, match="name must not"):
        SignerKey.generate(name)


def test_keys_of_other_types_are_refused() -> None:
    """A type byte that is not known, or a key of another length, names the key as unknown."""
    for data in (b"", b"\x02" + bytes(32), b"\x01" + bytes(31), b"\x06" + bytes(32)):
        key_id = hashlib.sha256(b"n\n" + data).hexdigest()[:8]
        with pytest.raises(LogError):
            VerifierKey.parse(f"n+{key_id}+{to_base64(data)}")
        with pytest.raises(LogError):
            SignerKey.parse(f"PRIVATE+KEY+n+{key_id}+{to_base64(data)}")
    with pytest.raises(LogError):
        SignerKey.parse(PETER)


def test_base64_has_one_form() -> None:
    """What decodes to the same bytes but is written otherwise is refused."""
    assert from_base64("AA==") == b"\0"
    for text in ("AB==", "AA", "AA=", "AA==\n", " AA==", "A A==", "AA==AA==", "é"):
        with pytest.raises(ValueError, match="is "):
            from_base64(text)


texts = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["Cs"], exclude_characters=[chr(c) for c in range(32)]
    ),
    max_size=20,
)


@settings(max_examples=60)
@given(lines=st.lists(texts, min_size=1, max_size=5), keys=st.sets(st.sampled_from(KEYS[:3])))
def test_any_text_survives_being_signed(lines: list[str], keys: set[SignerKey]) -> None:
    """Written and read again, a note is the same and verifies with each of its keys."""
    text = "".join(f"{line}\n" for line in lines)
    note = noted(*keys, text=text)
    if keys:
        again = SignedNote.parse(note.to_bytes())
        assert again == note
        assert set(again.verify([key.verifier for key in KEYS[:3]])) == {k.verifier for k in keys}


# --- checkpoints

HEAD = Checkpoint(ORIGIN, 5, leaf_hash(b"root"))


def signed(checkpoint: Checkpoint = HEAD, *keys: SignerKey) -> bytes:
    """Return a checkpoint as the log gives it."""
    return sign_checkpoint(checkpoint, keys or (LOG,), time=TIME).to_bytes()


def test_a_checkpoint_says_what_was_signed() -> None:
    """Origin, size and root come back, with who signed."""
    opened = open_checkpoint(signed(), [LOG.verifier])
    assert (opened.checkpoint, opened.signed_by, opened.cosigned) == (HEAD, (LOG.verifier,), {})
    assert signed().decode().startswith(f"{ORIGIN}\n5\n{to_base64(HEAD.root)}\n\n— {ORIGIN} ")


def test_while_keys_overlap_either_verifies() -> None:
    """Who has only the old key, or only the next, is content with a note signed by both."""
    both = signed(HEAD, LOG, NEXT, QUANTUM)
    for key in (LOG, NEXT, QUANTUM):
        assert open_checkpoint(both, [key.verifier]).signed_by == (key.verifier,)
    assert len(open_checkpoint(both, [k.verifier for k in (LOG, NEXT, QUANTUM)]).signed_by) == 3


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    """A key speaks for the log of its own name only."""
    other = signed(replace(HEAD, origin="example.org/other-log"))
    with pytest.raises(VerificationError, match=r"of another log, example\.org/other-log"):
        open_checkpoint(other, [LOG.verifier])


def test_a_witness_does_not_stand_in_for_the_log() -> None:
    """The log itself must have signed, and each witness that is asked for."""
    alone = signed(HEAD, SignerKey(ORIGIN, Algorithm.COSIGNATURE, bytes(32)))
    key = SignerKey(ORIGIN, Algorithm.COSIGNATURE, bytes(32)).verifier
    with pytest.raises(VerificationError, match="none of the log's keys"):
        open_checkpoint(alone, [key])
    both = signed(HEAD, LOG, WITNESS)
    opened = open_checkpoint(both, [LOG.verifier], [WITNESS.verifier])
    assert opened.cosigned[WITNESS.verifier].time == TIME
    with pytest.raises(VerificationError, match="none of the log's keys"):
        open_checkpoint(both, [NEXT.verifier], [WITNESS.verifier])
    with pytest.raises(VerificationError, match=r"witness\.example/w1 has not signed"):
        open_checkpoint(signed(), [LOG.verifier], [WITNESS.verifier])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n5\n", "\n6\n"),
        lambda text: text.replace("\n5\n", "\n4\n"),
        lambda text: text.replace(to_base64(HEAD.root), to_base64(leaf_hash(b"another"))),
        lambda text: text.replace("acme-log\n5", "acme-lag\n5"),
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(change: Callable[[str], str]) -> None:
    """Another size, root or origin makes the signature wrong."""
    changed = change(signed().decode())
    assert changed != signed().decode()
    with pytest.raises(VerificationError, match="is wrong"):
        open_checkpoint(changed.encode(), [LOG.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "o\n5\n",
        "o\n05\nx\n",
        f"o\n-5\n{to_base64(EMPTY_ROOT)}\n",
        f"o\n\N{ARABIC-INDIC DIGIT FIVE}\n{to_base64(EMPTY_ROOT)}\n",
        f"o\n{'9' * 19}\n{to_base64(EMPTY_ROOT)}\n",
        f"\n5\n{to_base64(EMPTY_ROOT)}\n",
        f"o\n5\n{to_base64(EMPTY_ROOT)}\n\nx\n",
        f"o\n5\n{to_base64(EMPTY_ROOT[:31])}\n",
        f"o\n5\n{EMPTY_ROOT.hex()}\n",
        f"o\n5\n{to_base64(EMPTY_ROOT)}",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """A signed text of another form says nothing about a log."""
    with pytest.raises(VerificationError):
        Checkpoint.parse(text)


def test_extension_lines_are_kept() -> None:
    """They are signed with the rest, and mean nothing here."""
    longer = replace(HEAD, extensions=("one", "two"))
    assert Checkpoint.parse(longer.text) == longer


# --- proofs

LEAVES = [f"entry {number}".encode() for number in range(5)]


def tree(leaves: list[bytes]) -> bytes:
    """The root by RFC 9162's definition."""
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(tree(leaves[:half]), tree(leaves[half:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """The inclusion proof by RFC 9162's definition."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(index, leaves[:half]), tree(leaves[half:])]
    return [*path(index - half, leaves[half:]), tree(leaves[:half])]


CHECKPOINTS = {
    size: signed(Checkpoint(ORIGIN, size, tree(LEAVES[:size]) if size else EMPTY_ROOT))
    for size in range(6)
}
PROOF = TlogProof(2, tuple(path(2, LEAVES)), CHECKPOINTS[5], LEAVES[2])
GROWTH = ConsistencyProof(
    3,
    (leaf_hash(LEAVES[2]), leaf_hash(LEAVES[3]), tree(LEAVES[:2]), leaf_hash(LEAVES[4])),
    CHECKPOINTS[5],
)


def test_a_proof_is_the_specifications_lines() -> None:
    """First the format, then the entry, its index, the hashes, and the checkpoint as it is."""
    data = PROOF.to_bytes().decode()
    head, _, checkpoint = data.partition("\n\n")
    first, extra, index, *hashes = head.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 2")
    assert base64.b64decode(extra.removeprefix("extra ")) == LEAVES[2]
    assert [base64.b64decode(line) for line in hashes] == path(2, LEAVES)
    assert checkpoint.encode() == CHECKPOINTS[5]
    assert "extra" not in replace(PROOF, extra=None).to_bytes().decode()


@pytest.mark.parametrize("size", range(1, 6))
def test_every_entry_is_proved_in_every_size(size: int) -> None:
    """Written, read and verified; only the entry itself fits."""
    for index in range(size):
        proof = TlogProof(index, tuple(path(index, LEAVES[:size])), CHECKPOINTS[size])
        again = TlogProof.parse(proof.to_bytes())
        assert again == proof
        assert again.verify(LEAVES[index], [LOG.verifier]).checkpoint.size == size
        for other in LEAVES:
            if other != LEAVES[index]:
                with pytest.raises(VerificationError):
                    again.verify(other, [LOG.verifier])


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(replace(PROOF, index=1), id="index - 1"),
        pytest.param(replace(PROOF, index=3), id="index + 1"),
        pytest.param(replace(PROOF, index=5), id="index = size"),
        pytest.param(replace(PROOF, index=2 + 8), id="index beyond the size"),
        pytest.param(replace(PROOF, checkpoint=CHECKPOINTS[4]), id="size - 1"),
        pytest.param(
            replace(PROOF, checkpoint=signed(Checkpoint(ORIGIN, 6, tree([*LEAVES, b"next"])))),
            id="size + 1",
        ),
        pytest.param(replace(PROOF, hashes=PROOF.hashes[1:]), id="first line dropped"),
        pytest.param(replace(PROOF, hashes=PROOF.hashes[:-1]), id="last line dropped"),
        pytest.param(replace(PROOF, hashes=PROOF.hashes[::-1]), id="lines swapped"),
        pytest.param(replace(PROOF, hashes=(*PROOF.hashes, bytes(32))), id="line added"),
        pytest.param(
            replace(PROOF, checkpoint=signed(Checkpoint(ORIGIN, 5, tree(LEAVES[::-1])))), id="root"
        ),
        pytest.param(
            replace(PROOF, checkpoint=signed(Checkpoint("example.org/b", 5, tree(LEAVES)))),
            id="origin",
        ),
        pytest.param(
            replace(PROOF, checkpoint=signed(Checkpoint(ORIGIN, 5, tree(LEAVES)), NEXT)),
            id="signed by another",
        ),
    ],
)
def test_a_proof_that_was_changed_is_refused(bad: TlogProof) -> None:
    """Each thing that a proof says must be so."""
    PROOF.verify(LEAVES[2], [LOG.verifier])
    with pytest.raises(VerificationError):
        TlogProof.parse(bad.to_bytes()).verify(LEAVES[2], [LOG.verifier])


def test_every_changed_byte_of_a_proof_is_noticed() -> None:
    """Whatever byte is changed, the file is no proof of this entry any more."""
    data = replace(PROOF, extra=None).to_bytes()
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        with pytest.raises(VerificationError):
            TlogProof.parse(changed).verify(LEAVES[2], [LOG.verifier])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v1",
        PROOF.to_bytes().replace(b"@v1", b"@v2"),
        PROOF.to_bytes().replace(b"index 2", b"index 02"),
        PROOF.to_bytes().replace(b"index 2", b"index -2"),
        PROOF.to_bytes().replace(b"index 2\n", b""),
        PROOF.to_bytes().replace(b"\n\n", b"\n", 1),
        PROOF.to_bytes().replace(b"extra ", b"extra !"),
        PROOF.to_bytes().replace(b"\n", b"\r\n"),
        replace(PROOF, hashes=(bytes(32),) * 64).to_bytes(),
        replace(PROOF, hashes=(bytes(31),)).to_bytes(),
        PROOF.to_bytes() + b"x" * MAX_NOTE,
    ],
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    """The form is strict, and its size is bounded."""
    with pytest.raises(VerificationError, match="no proof"):
        TlogProof.parse(data)


def test_growth_is_proved_to_who_holds_the_earlier_checkpoint() -> None:
    """The lines are those that a witness is sent."""
    data = GROWTH.to_bytes()
    assert data.startswith(b"old 3\n")
    assert data.endswith(b"\n\n" + CHECKPOINTS[5])
    again = ConsistencyProof.parse(data)
    assert again == GROWTH
    before, after = again.verify(CHECKPOINTS[3], [LOG.verifier])
    assert (before.checkpoint.size, after.checkpoint.size) == (3, 5)
    ConsistencyProof(5, (), CHECKPOINTS[5]).verify(CHECKPOINTS[5], [LOG.verifier])
    ConsistencyProof(0, (), CHECKPOINTS[5]).verify(CHECKPOINTS[0], [LOG.verifier])


@pytest.mark.parametrize(
    ("proof", "earlier"),
    [
        (GROWTH, CHECKPOINTS[2]),
        (replace(GROWTH, old=2), CHECKPOINTS[2]),
        (replace(GROWTH, hashes=GROWTH.hashes[1:]), CHECKPOINTS[3]),
        (replace(GROWTH, hashes=GROWTH.hashes[::-1]), CHECKPOINTS[3]),
        (replace(GROWTH, checkpoint=CHECKPOINTS[4]), CHECKPOINTS[3]),
        (replace(GROWTH, old=5, checkpoint=CHECKPOINTS[3]), CHECKPOINTS[5]),
        (GROWTH, signed(Checkpoint(ORIGIN, 3, tree(LEAVES[2:])))),
        (GROWTH, signed(Checkpoint(ORIGIN, 3, tree(LEAVES[:3])), NEXT)),
        (replace(GROWTH, old=0), CHECKPOINTS[0]),
        (ConsistencyProof(0, (), CHECKPOINTS[5]), signed(Checkpoint(ORIGIN, 0, bytes(32)))),
    ],
)
def test_growth_that_is_not_proved_is_refused(proof: ConsistencyProof, earlier: bytes) -> None:
    """Another size, root, key, order or direction proves nothing."""
    with pytest.raises(VerificationError):
        proof.verify(earlier, [LOG.verifier])


def test_checkpoints_of_two_logs_prove_nothing_of_each_other() -> None:
    """Even when both keys are known and the hashes fit."""
    other = SignerKey("example.org/b", Algorithm.ED25519, bytes(32))
    earlier = signed(Checkpoint("example.org/b", 3, tree(LEAVES[:3])), other)
    with pytest.raises(VerificationError, match="different logs"):
        GROWTH.verify(earlier, [LOG.verifier, other.verifier])


@pytest.mark.parametrize(
    "data", [b"", b"old 3\n", b"old 03\n\nx", GROWTH.to_bytes()[4:], b"old x\n\n"]
)
def test_what_is_no_growth_is_refused(data: bytes) -> None:
    """The form is that of a request to a witness, and nothing else."""
    with pytest.raises(VerificationError, match="no consistency proof"):
        ConsistencyProof.parse(data)


def test_a_signature_line_is_read_as_it_is_written() -> None:
    """A line stands for one signature."""
    [signature] = noted(WITNESS).signatures
    assert Signature.parse(str(signature)) == signature
    assert signature.time == TIME


# --- whatever comes


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """Return bytes that are like ``data``, but for a few pieces cut out, doubled or replaced."""
    piece = st.tuples(st.integers(0, len(data)), st.integers(0, 40), st.binary(max_size=6))

    def change(pieces: list[tuple[int, int, bytes]]) -> bytes:
        changed = data
        for at, length, new in pieces:
            changed = changed[:at] + new + changed[at + length :]
        return changed

    return st.lists(piece, min_size=1, max_size=3).map(change)


anything = st.one_of(
    st.binary(max_size=300),
    *(mutated(data) for data in (PETER_NOTE.encode(), PROOF.to_bytes(), GROWTH.to_bytes())),
)


@settings(max_examples=150)
@given(data=anything)
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    """Nothing but the errors that are promised; what is read is written again to the byte."""
    for kind in (SignedNote, TlogProof, ConsistencyProof):
        try:
            again = kind.parse(data)
        except VerificationError:
            continue
        assert again.to_bytes() == data


@settings(max_examples=150)
@given(data=mutated(PROOF.to_bytes()) | mutated(GROWTH.to_bytes()))
def test_what_was_changed_anywhere_proves_nothing_else(data: bytes) -> None:
    """Only the entry in the place, and the growth, that were proved."""
    try:
        proof = TlogProof.parse(data)
        proof.verify(LEAVES[2], [LOG.verifier])
        assert (proof.index, proof.hashes) == (PROOF.index, PROOF.hashes)
    except VerificationError:
        pass
    try:
        growth = ConsistencyProof.parse(data)
        growth.verify(CHECKPOINTS[3], [LOG.verifier])
        assert (growth.old, growth.hashes) == (GROWTH.old, GROWTH.hashes)
    except VerificationError:
        pass


@settings(max_examples=100)
@given(text=st.text(max_size=80) | st.sampled_from([PETER, LOG.secret]))
def test_whatever_key_comes_is_read_or_refused(text: str) -> None:
    """A key in one word is read as it is written, or refused with an error of ours."""
    for kind in (VerifierKey, SignerKey):
        try:
            key = kind.parse(text)
        except LogError:
            continue
        assert text.strip() in (str(key), getattr(key, "secret", None))
