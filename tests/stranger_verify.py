"""Verify an exported log, or a proof, with nothing of automation-rules.

    python stranger_verify.py VERIFIER_KEY DIRECTORY
    python stranger_verify.py VERIFIER_KEY FILE.tlog-proof

Written from the public specifications alone: c2sp.org/signed-note, tlog-checkpoint, tlog-tiles
and tlog-proof, and RFC 6962. It needs Python and the package ``cryptography``. It prints what it
verified and exits 0, or says what does not hold and exits 1.
"""

import base64
import hashlib
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def require(holds: bool, what: str) -> None:
    """Stop when something does not hold."""
    if not holds:
        sys.exit(f"does not hold: {what}")


def leaf(entry: bytes) -> bytes:
    """Hash an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: list[bytes]) -> bytes:
    """Hash a tree, as RFC 6962 defines it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256().digest()
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node(root_of(hashes[:half]), root_of(hashes[half:]))


def open_checkpoint(note: bytes, verifier_key: str) -> tuple[str, int, bytes]:
    """Verify a checkpoint's signature; return its origin, size and root."""
    name, key_id, encoded = verifier_key.split("+", 2)
    key = base64.b64decode(encoded)
    own_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    require(key[0] == 1 and own_id.hex() == key_id, "the verifier key")
    text, _, lines = note.decode().rpartition("\n\n")
    signed = False
    for line in lines.splitlines():
        dash, signer, signature = line.split(" ")
        data = base64.b64decode(signature)
        if (dash, signer, data[:4]) == ("\u2014", name, own_id):
            Ed25519PublicKey.from_public_bytes(key[1:]).verify(data[4:], f"{text}\n".encode())
            signed = True
    require(signed, "no signature by that key")
    origin, size, root = text.split("\n")[:3]
    require(origin == name, "the checkpoint is of another log")
    return origin, int(size), base64.b64decode(root)


def path_of(level: str, number: int, width: int) -> str:
    """Name a tile: its number in groups of three digits, and its width when it is not full."""
    path = f"{number % 1000:03}"
    while number := number // 1000:
        path = f"x{number % 1000:03}/{path}"
    return f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")


def verify_directory(directory: Path, verifier_key: str) -> str:
    """Read every entry and every tile of an exported log."""
    origin, size, root = open_checkpoint((directory / "checkpoint").read_bytes(), verifier_key)
    hashes: list[bytes] = []
    for start in range(0, size, 256):
        width = min(256, size - start)
        bundle = (directory / path_of("entries", start // 256, width)).read_bytes()
        while bundle:
            end = 2 + int.from_bytes(bundle[:2])
            require(len(bundle) >= end, f"entry {len(hashes)} is cut off")
            hashes.append(leaf(bundle[2:end]))
            bundle = bundle[end:]
        require(len(hashes) == start + width, f"entries from {start} on: too many or too few")
    row, level = hashes, 0
    while row:
        for at in range(0, len(row), 256):
            part = row[at : at + 256]
            tile = (directory / path_of(str(level), at // 256, len(part))).read_bytes()
            require(tile == b"".join(part), f"tile {at // 256} of level {level}")
        row = [root_of(row[at : at + 256]) for at in range(0, len(row) - 255, 256)]
        level += 1
    require(root_of(hashes) == root, "the root is not the one that was signed")
    return f"{origin}: {size} entries, root {root.hex()}"


def verify_proof(data: bytes, verifier_key: str) -> str:
    """Climb from the entry in a proof to the root that was signed."""
    head, _, note = data.partition(b"\n\n")
    first, extra, index_line, *lines = head.decode().split("\n")
    require(first == "c2sp.org/tlog-proof@v1", "this is no proof")
    entry = base64.b64decode(extra.removeprefix("extra "))
    index = int(index_line.removeprefix("index "))
    origin, size, root = open_checkpoint(note, verifier_key)
    require(index < size, "there is no such entry")
    found, position, last = leaf(entry), index, size - 1
    for sibling in map(base64.b64decode, lines):
        require(last > 0, "too many hashes")
        if position % 2 or position == last:
            found = node(sibling, found)
            while not position % 2:
                position, last = position // 2, last // 2
        else:
            found = node(found, sibling)
        position, last = position // 2, last // 2
    require(last == 0 and found == root, "the proof leads to another root")
    return f"{origin}: entry {index} of {size}: {entry.decode()}"


if __name__ == "__main__":
    place = Path(sys.argv[2])
    try:
        if place.is_dir():
            print(verify_directory(place, sys.argv[1]))
        else:
            print(verify_proof(place.read_bytes(), sys.argv[1]))
    except (InvalidSignature, OSError, ValueError, IndexError) as error:
        sys.exit(f"does not hold: {type(error).__name__}: {error}")
