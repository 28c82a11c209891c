"""Checkpoints: the head of a log, signed (c2sp.org/tlog-checkpoint).

A checkpoint names the log (its origin), and says how many entries it has and what their root is.
Whoever holds one, and the log's verifier key, can tell whether the log was changed since.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import VerificationError
from .merkle import HASH_SIZE, Head
from .signed_note import Algorithm, SignedNote, from_base64, to_base64

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .signed_note import Signature, SignerKey, VerifierKey

__all__ = ["NUMBER", "Checkpoint", "OpenedCheckpoint", "open_checkpoint", "sign_checkpoint"]

NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
"""A whole number as the formats write it: decimal, without leading zeros."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says; ``extensions`` are lines without a meaning that everybody knows."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def head(self) -> Head:
        """The size and the root."""
        return Head(self.size, self.root)

    @property
    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note.

        Raises:
            VerificationError: it is no checkpoint's.
        """
        lines = text.removesuffix("\n").split("\n")
        if not (text.endswith("\n") and len(lines) >= 3 and all(lines)):
            raise VerificationError("this is no checkpoint: origin, size and root, a line each")
        origin, size, root, *extensions = lines
        if not NUMBER.fullmatch(size):
            raise VerificationError("the checkpoint's size is no number")
        try:
            found = from_base64(root)
        except ValueError:
            found = b""
        if len(found) != HASH_SIZE:
            raise VerificationError("the checkpoint's root is no SHA-256 in base64")
        return cls(origin, int(size), found, tuple(extensions))


@dataclass(frozen=True, slots=True)
class OpenedCheckpoint:
    """A checkpoint whose signatures were verified."""

    checkpoint: Checkpoint
    note: SignedNote
    signed_by: tuple[VerifierKey, ...]
    """Which of the log's keys that were given signed it: at least one."""
    cosigned: dict[VerifierKey, Signature]
    """Which of the witnesses that were given signed it: all of them."""


def sign_checkpoint(checkpoint: Checkpoint, keys: Sequence[SignerKey], *, time: int) -> SignedNote:
    """Return the note by which a log stands for a checkpoint.

    ``time``, in seconds since 1970, is what an ML-DSA-44 signature carries. That the checkpoint
    is consistent with every other that was signed is the caller's to see to.
    """
    text = checkpoint.text
    return SignedNote(text, tuple(key.sign(text, time=time) for key in keys))


def open_checkpoint(
    data: bytes, keys: Iterable[VerifierKey], witnesses: Iterable[VerifierKey] = ()
) -> OpenedCheckpoint:
    """Verify a checkpoint: signed by the log that it names, and by every witness given.

    ``keys`` are the log's verifier keys, of which one must have signed. A log's key has the
    log's origin as its name, so a checkpoint of another log is refused.

    Raises:
        VerificationError: it is no checkpoint, a signature is wrong, or one is missing.
    """
    note = SignedNote.parse(data)
    logs, wanted = set(keys), list(dict.fromkeys(witnesses))
    found = note.verify([*logs, *wanted])
    checkpoint = Checkpoint.parse(note.text)
    own = tuple(key for key in found if key in logs and key.algorithm is not Algorithm.COSIGNATURE)
    if not own:
        raise VerificationError("the checkpoint is signed by none of the log's keys given")
    for key in own:
        if key.name != checkpoint.origin:
            raise VerificationError(
                f"the checkpoint is of another log, {checkpoint.origin}, than its key, {key.name}"
            )
    for witness in wanted:
        if witness not in found:
            raise VerificationError(f"the witness {witness.name} has not signed the checkpoint")
    cosigned = {witness: found[witness] for witness in wanted}
    return OpenedCheckpoint(checkpoint, note, own, cosigned)
