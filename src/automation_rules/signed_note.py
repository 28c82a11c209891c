"""Signed notes: a text with signatures below it that people can read (c2sp.org/signed-note).

A note is a text, a blank line, and a line for each signature. Who trusts a key holds its
`VerifierKey`; signatures by other keys are ignored, so that a note may carry as many as it needs:
the log's, those of its next key, and those of witnesses (c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import struct
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import LogError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.mldsa import (
        MLDSA44PrivateKey,
        MLDSA44PublicKey,
    )

__all__ = [
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "Algorithm",
    "Signature",
    "SignedNote",
    "SignerKey",
    "VerifierKey",
    "from_base64",
    "is_name",
    "to_base64",
]

MAX_NOTE: Final = 1_000_000
"""The most bytes of a note that is read."""

MAX_SIGNATURES: Final = 100
"""The most signatures of a note that is read; the specification asks for at least 16."""

_SEED_BYTES: Final = 32
_ID_BYTES: Final = 4
_DASH: Final = "\N{EM DASH} "
_SECRET: Final = "PRIVATE+KEY+"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_STAMP: Final = struct.Struct(">Q")
_MAX_STAMP: Final = 2**63 - 1
_NO_ML_DSA: Final = (
    "the cryptography library here knows no ML-DSA-44: install a newer one, or use Ed25519"
)


class Algorithm(IntEnum):
    """How a key signs: the type byte of c2sp.org/signed-note."""

    ED25519 = 1
    """Ed25519 over the text (RFC 8032): what a log signs with."""
    COSIGNATURE = 4
    """Ed25519 over a time and the text (c2sp.org/tlog-cosignature): what a witness signs with."""
    ML_DSA_44 = 6
    """ML-DSA-44 (FIPS 204) over a time and a tree head (c2sp.org/tlog-cosignature)."""


_PUBLIC_BYTES: Final = {
    Algorithm.ED25519: 32,
    Algorithm.COSIGNATURE: 32,
    Algorithm.ML_DSA_44: 1312,
}
_SIGNATURE_BYTES: Final = {
    Algorithm.ED25519: 64,
    Algorithm.COSIGNATURE: _STAMP.size + 64,
    Algorithm.ML_DSA_44: _STAMP.size + 2420,
}


def to_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Read what `to_base64` writes, and nothing else that would mean the same.

    Raises:
        ValueError: it is not that; the message tells nothing of the text.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # The cause could quote a secret.
        raise ValueError("is no base64") from None
    if to_base64(data) != text:
        raise ValueError("is base64 in another form than the standard one")
    return data


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who signed, with which key, and the signature."""

    name: str
    key_id: bytes
    value: bytes = field(repr=False)

    def __str__(self) -> str:
        """The line, without its end."""
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.value)}"

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Read one line.

        Raises:
            VerificationError: it is no signature line.
        """
        name, space, text = line.removeprefix(_DASH).partition(" ")
        try:
            data = from_base64(text)
        except ValueError:
            data = b""
        if not (line.startswith(_DASH) and space and is_name(name) and len(data) > _ID_BYTES):
            raise VerificationError("the note has a line below it that is no signature")
        return cls(name, data[:_ID_BYTES], data[_ID_BYTES:])

    @property
    def time(self) -> int:
        """When a cosignature was made, in seconds since 1970; of another signature nonsense."""
        return int.from_bytes(self.value[: _STAMP.size])


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text and its signatures. The text means nothing until `verify` has returned."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> SignedNote:
        """Read a note.

        Raises:
            VerificationError: it is none, or larger than `MAX_NOTE` bytes.
        """
        if len(data) > MAX_NOTE:
            raise VerificationError(f"a note has more than {MAX_NOTE} bytes")
        try:
            content = data.decode()
        except UnicodeDecodeError as error:
            raise VerificationError("a note is not UTF-8 text") from error
        if _CONTROL.search(content):
            raise VerificationError("a note has a control character in it")
        text, blank, below = content.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise VerificationError("this is no signed note: a text, a blank line, signatures")
        lines = below.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise VerificationError(f"a note has more than {MAX_SIGNATURES} signatures")
        return cls(f"{text}\n", tuple(Signature.parse(line) for line in lines))

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        return "".join([self.text, "\n", *(f"{signed}\n" for signed in self.signatures)]).encode()

    def verify(self, keys: Iterable[VerifierKey]) -> dict[VerifierKey, Signature]:
        """Return which of these keys signed the note, and how.

        Signatures by other keys are ignored, also when they share a name or an id with one.

        Raises:
            VerificationError: a signature by one of the keys is wrong, or none of them signed.
        """
        known = {(key.name, key.id): key for key in keys}
        found: dict[VerifierKey, Signature] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is not None:
                key.verify(self.text, signature)
                found.setdefault(key, signature)
        if not found:
            raise VerificationError("the note is signed by none of the keys that were given")
        return found


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with the name of who signs with it: what somebody needs to trust a note."""

    name: str
    algorithm: Algorithm
    public: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no key.

        Raises:
            LogError: the name or the key is of another form.
        """
        if not is_name(self.name):
            raise LogError(
                "a key's name must not be empty nor have spaces or '+' in it: use the form "
                "example.org/acme-log"
            )
        if len(self.public) != _PUBLIC_BYTES[self.algorithm]:
            raise LogError(f"the public key of {self.name} has {len(self.public)} bytes")

    @property
    def id(self) -> bytes:
        """Four bytes that, with the name, tell the key from others."""
        data = b"%b\n%c%b" % (self.name.encode(), self.algorithm, self.public)
        return sha256(data).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """The key in one word, as it is handed to who verifies: ``name+id+base64``."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.algorithm]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a verifier key.

        Raises:
            LogError: it is none, was not copied whole, or is of an unknown type.
        """
        name, key_id, data = _split(text, "verifier key")
        try:
            key = cls(name, Algorithm(data[0]), data[1:])
        except (ValueError, IndexError) as error:
            raise LogError("the verifier key is of an unknown type") from error
        if key.id != key_id:
            raise LogError("the verifier key was not copied whole: its id is not its own")
        return key

    def verify(self, text: str, signature: Signature) -> None:
        """Return when the signature is this key's, over the text of a note.

        Raises:
            VerificationError: it is not.
            LogError: ML-DSA-44 is needed and not there.
        """
        if (signature.name, signature.key_id) != (self.name, self.id):
            raise VerificationError(f"the signature is not by {self.name}")
        wrong = VerificationError(f"the signature by {self.name} is wrong")
        value = signature.value
        if len(value) != _SIGNATURE_BYTES[self.algorithm]:
            raise wrong
        if self.algorithm is not Algorithm.ED25519:
            if signature.time > _MAX_STAMP:
                raise wrong
            message = _stamped(self, signature.time, text)
            value = value[_STAMP.size :]
        else:
            message = text.encode()
        try:
            self._load().verify(value, message)
        except (InvalidSignature, ValueError) as error:
            raise wrong from error

    def _load(self) -> Ed25519PublicKey | MLDSA44PublicKey:
        if self.algorithm is not Algorithm.ML_DSA_44:
            return Ed25519PublicKey.from_public_bytes(self.public)
        try:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

            return MLDSA44PublicKey.from_public_bytes(self.public)
        except (ImportError, UnsupportedAlgorithm) as error:
            raise LogError(_NO_ML_DSA) from error


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key with the name of who signs with it."""

    name: str
    algorithm: Algorithm
    seed: bytes = field(repr=False)

    @classmethod
    def generate(cls, name: str, algorithm: Algorithm = Algorithm.ED25519) -> SignerKey:
        """Make a new key.

        Raises:
            LogError: the name cannot be a key's, or ML-DSA-44 is wanted and not there.
        """
        key = cls(name, algorithm, secrets.token_bytes(_SEED_BYTES))
        key.verifier  # noqa: B018 - refuses a name that cannot be a key's
        return key

    @classmethod
    def parse(cls, text: str) -> SignerKey:
        """Read what `secret` gives.

        Raises:
            LogError: it is something else; the message tells nothing of it.
        """
        if not text.startswith(_SECRET):
            raise LogError("this is no private key")
        name, key_id, data = _split(text.removeprefix(_SECRET), "private key")
        if len(data) != 1 + _SEED_BYTES or data[0] not in list(Algorithm):
            raise LogError("the private key is of an unknown type")
        key = cls(name, Algorithm(data[0]), data[1:])
        if key.verifier.id != key_id:
            raise LogError("the private key was not copied whole: its id is not its own")
        return key

    @property
    def secret(self) -> str:
        """The key in one word: ``PRIVATE+KEY+name+id+base64``. Whoever has it can sign."""
        key_id = self.verifier.id.hex()
        return f"{_SECRET}{self.name}+{key_id}+{to_base64(bytes([self.algorithm]) + self.seed)}"

    @property
    def verifier(self) -> VerifierKey:
        """The public key."""
        return VerifierKey(self.name, self.algorithm, self._load().public_key().public_bytes_raw())

    def sign(self, text: str, *, time: int) -> Signature:
        """Sign the text of a note; ``time``, in seconds since 1970, only goes into cosignatures."""
        key = self._load()
        verifier = self.verifier
        if self.algorithm is Algorithm.ED25519:
            return Signature(self.name, verifier.id, key.sign(text.encode()))
        value = key.sign(_stamped(verifier, time, text))
        return Signature(self.name, verifier.id, _STAMP.pack(time) + value)

    def _load(self) -> Ed25519PrivateKey | MLDSA44PrivateKey:
        if self.algorithm is not Algorithm.ML_DSA_44:
            return Ed25519PrivateKey.from_private_bytes(self.seed)
        try:
            from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

            return MLDSA44PrivateKey.from_seed_bytes(self.seed)
        except (ImportError, UnsupportedAlgorithm) as error:
            raise LogError(_NO_ML_DSA) from error


def is_name(name: str) -> bool:
    """Whether signature lines can hold a name: not empty, without spaces and plus signs."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name))


def _split(text: str, what: str) -> tuple[str, bytes, bytes]:
    """Return the name, the id and the bytes of a key in one word."""
    try:
        name, key_id, data = text.strip().split("+", 2)
        return name, bytes.fromhex(key_id), from_base64(data)
    except ValueError:
        # The cause could quote a secret.
        raise LogError(f"this is no {what}: copy the whole of it, on one line") from None


def _stamped(key: VerifierKey, time: int, text: str) -> bytes:
    """Return what a cosignature signs (c2sp.org/tlog-cosignature)."""
    if key.algorithm is Algorithm.COSIGNATURE:
        return f"cosignature/v1\ntime {time}\n{text}".encode()
    try:
        origin, size, root = text.split("\n")[:3]
        name, log = key.name.encode(), origin.encode()
        return b"".join(
            (
                *(b"subtree/v1\n\0", bytes([len(name)]), name, _STAMP.pack(time)),
                *(bytes([len(log)]), log, _STAMP.pack(0), _STAMP.pack(int(size))),
                from_base64(root),
            )
        )
    except (ValueError, struct.error) as error:
        raise VerificationError("an ML-DSA-44 cosignature is over a tree head only") from error
