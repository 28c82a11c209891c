"""Proofs in one file each, verified without the log, with its verifier key alone.

That an entry is in the log (c2sp.org/tlog-proof): the entry's number, the hashes from the entry up
to the root, and the signed checkpoint with that root. That a checkpoint extends an earlier one:
the request by which a witness is asked for its signature (c2sp.org/tlog-witness).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .checkpoint import open_checkpoint
from .errors import VerificationError
from .merkle import EMPTY_ROOT, leaf_hash, verify_consistency, verify_inclusion
from .signed_note import MAX_NOTE, from_base64, to_base64

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .checkpoint import OpenedCheckpoint
    from .signed_note import VerifierKey

__all__ = ["ConsistencyProof", "TlogProof"]

_FIRST: Final = "c2sp.org/tlog-proof@v1"
# A SHA-256 in base64 is 44 characters long.
_FORM: Final = re.compile(
    rb"c2sp\.org/tlog-proof@v1"
    rb"(?:\nextra (?P<extra>[A-Za-z0-9+/=]*))?"
    rb"\nindex (?P<index>0|[1-9][0-9]{0,17})"
    rb"(?P<hashes>(?:\n[A-Za-z0-9+/]{43}=){0,63})"
)
_GROWTH: Final = re.compile(
    rb"old (?P<old>0|[1-9][0-9]{0,17})\n(?P<hashes>(?:[A-Za-z0-9+/]{43}=\n){0,63})\n"
)
_NO_PROOF: Final = "this is no proof in the form c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class TlogProof:
    """That an entry is in the log at ``index``: the content of a ``.tlog-proof`` file.

    ``checkpoint`` is the signed note as the log gave it. ``extra`` are bytes beside the proof
    that it does not cover; here they are the entry, whose hash it does cover.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes = field(repr=False)
    extra: bytes | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Read a proof.

        Raises:
            VerificationError: it is none.
        """
        head, _, checkpoint = data.partition(b"\n\n")
        form = _FORM.fullmatch(head) if len(data) <= MAX_NOTE else None
        if form is None:
            raise VerificationError(_NO_PROOF)
        try:
            hashes = tuple(map(from_base64, form["hashes"].decode().split()))
            extra = None if form["extra"] is None else from_base64(form["extra"].decode())
        except ValueError as error:
            raise VerificationError(_NO_PROOF) from error
        return cls(int(form["index"]), hashes, checkpoint, extra)

    def to_bytes(self) -> bytes:
        """Return the proof as it stands in a file."""
        lines = [_FIRST]
        if self.extra is not None:
            lines.append(f"extra {to_base64(self.extra)}")
        lines += [f"index {self.index}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    def verify(
        self,
        leaf: bytes,
        keys: Iterable[VerifierKey],
        witnesses: Iterable[VerifierKey] = (),
    ) -> OpenedCheckpoint:
        """Return the verified checkpoint when it is proved that the log holds ``leaf``.

        ``keys`` are the log's verifier keys, of which one must have signed the checkpoint, and
        ``witnesses`` those that must all have.

        Raises:
            VerificationError: it is not proved.
        """
        opened = open_checkpoint(self.checkpoint, keys, witnesses)
        head = opened.checkpoint.head
        verify_inclusion(leaf_hash(leaf), self.index, head.size, self.hashes, head.root)
        return opened


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That a log of ``old`` entries has grown into the one that a checkpoint is of.

    ``checkpoint`` is the later checkpoint, as the log gave it.
    """

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes = field(repr=False)

    @classmethod
    def parse(cls, data: bytes) -> ConsistencyProof:
        """Read a proof.

        Raises:
            VerificationError: it is none.
        """
        form = _GROWTH.match(data) if len(data) <= MAX_NOTE else None
        try:
            if form is not None:
                hashes = tuple(map(from_base64, form["hashes"].decode().split()))
                return cls(int(form["old"]), hashes, data[form.end() :])
        except ValueError:
            pass
        raise VerificationError("this is no consistency proof in the form of c2sp.org/tlog-witness")

    def to_bytes(self) -> bytes:
        """Return the proof as it is sent to a witness, and as it stands in a file."""
        lines = [f"old {self.old}", *map(to_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    def verify(
        self, earlier: bytes, keys: Iterable[VerifierKey], witnesses: Iterable[VerifierKey] = ()
    ) -> tuple[OpenedCheckpoint, OpenedCheckpoint]:
        """Return both checkpoints when the later one is proved to extend ``earlier``.

        Of the log's verifier keys one must have signed each, and all ``witnesses`` the later.

        Raises:
            VerificationError: it is not proved.
        """
        known = tuple(keys)
        before, after = (
            open_checkpoint(earlier, known),
            open_checkpoint(self.checkpoint, known, witnesses),
        )
        old, new = before.checkpoint, after.checkpoint
        if old.origin != new.origin:
            raise VerificationError("the two checkpoints are of different logs")
        if old.size != self.old:
            raise VerificationError(
                f"the proof is from {self.old} entries, and the earlier checkpoint has {old.size}"
            )
        if old.size == 0:
            # Every log extends the empty one; there is nothing to prove.
            if self.hashes or old.root != EMPTY_ROOT:
                raise VerificationError("the earlier checkpoint is of no log that was ever empty")
        else:
            verify_consistency(old.size, old.root, new.size, new.root, self.hashes)
        return before, after
