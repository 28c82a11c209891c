"""A log as a directory of files that any web server can serve (c2sp.org/tlog-tiles).

``checkpoint`` is the signed head. ``tile/entries/<N>`` holds 256 entries, each after its length
in two bytes; ``tile/0/<N>`` their hashes, and ``tile/<L>/<N>`` the roots of 256 tiles of the level
below. What is not full yet ends in ``.p/<W>``, the number of hashes or entries in it. A number is
written in groups of three digits, ``x001/x234/067``.

Nothing but the checkpoint ever changes once it is full. Whoever copies the directory has all that
it takes to verify the log, and to prove an entry.
"""

from __future__ import annotations

import os
import shutil
import struct
from typing import TYPE_CHECKING, Final

from .checkpoint import open_checkpoint
from .errors import LogError, VerificationError
from .merkle import EMPTY_ROOT, HASH_SIZE, leaf_hash, node_hash
from .signed_note import MAX_NOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from .checkpoint import OpenedCheckpoint
    from .merkle import Head
    from .signed_note import VerifierKey

    Progress = Callable[[int, int], None]
    Leaves = Callable[[int, int], Iterable[bytes]]

__all__ = [
    "CHECKPOINT",
    "TILE_WIDTH",
    "read_checkpoint",
    "tile_path",
    "verify_tiles",
    "write_tiles",
]

CHECKPOINT: Final = "checkpoint"
"""The name of the file with the signed checkpoint."""

TILE_WIDTH: Final = 256
"""How many hashes or entries a full tile has."""

_LENGTH: Final = struct.Struct(">H")
_ENTRIES: Final = "entries"
_MOST_BYTES: Final = TILE_WIDTH * (_LENGTH.size + 0xFFFF)


def tile_path(level: int | str, number: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile below the directory, with ``/`` between its parts.

    ``level`` is a number from 0, or ``entries`` for the entries themselves.
    """
    digits = f"{number:03}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *groups, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return "/".join(["tile", str(level), *(f"x{group}" for group in groups), last + partial])


def read_checkpoint(directory: Path) -> bytes | None:
    """Return the signed checkpoint in a directory, unverified; None when there is none.

    Raises:
        LogError: it cannot be read.
    """
    try:
        return _read(directory / CHECKPOINT, MAX_NOTE)
    except FileNotFoundError:
        return None


class _Edge:
    """The hashes of the tiles that are not full yet, from the lowest level up."""

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[list[bytes]] = []

    def add(self, hashes: Sequence[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
        """Add up to `TILE_WIDTH` leaves, when those before fill tiles.

        Yields the level, the number and the hashes of each tile that this makes full.
        """
        self.size += len(hashes)
        added = list(hashes)
        for level in range(64):
            if level == len(self._levels):
                self._levels.append([])
            waiting = self._levels[level]
            waiting += added
            if len(waiting) < TILE_WIDTH:
                return
            yield level, (self.size >> (8 * (level + 1))) - 1, list(waiting)
            added = [_root(waiting)]
            waiting.clear()

    @property
    def lowest(self) -> list[bytes]:
        """The leaves that do not fill a tile."""
        return list(self._levels[0]) if self._levels else []

    def partial(self) -> Iterator[tuple[int, int, list[bytes]]]:
        """Yield the level, the number and the hashes of each tile that is not full."""
        for level, waiting in enumerate(self._levels):
            if waiting:
                yield level, self.size >> (8 * (level + 1)), waiting

    def root_with(self, hashes: Sequence[bytes]) -> bytes:
        """Return the root of the tree with these leaves after those that fill tiles."""
        # Of each level the perfect subtrees, largest first: the highest level comes first.
        subtrees: list[bytes] = []
        for waiting in (*reversed(self._levels[1:]), list(hashes)):
            at = 0
            for bit in reversed(range(9)):
                if len(waiting) & 1 << bit:
                    subtrees.append(_root(waiting[at : at + (1 << bit)]))
                    at += 1 << bit
        if not subtrees:
            return EMPTY_ROOT
        root = subtrees.pop()
        while subtrees:
            root = node_hash(subtrees.pop(), root)
        return root


def _root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over a power of two of hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


# --- writing ----------------------------------------------------------------------------------


def write_tiles(
    directory: Path,
    leaves: Leaves,
    head: Head,
    note: bytes,
    *,
    pruned: Leaves | None = None,
    first: int = 0,
    progress: Progress | None = None,
) -> int:
    """Write the first ``head.size`` entries of a log; return how many were there already.

    ``leaves(start, stop)`` gives a span of entries, and ``note`` is the checkpoint of ``head``,
    already signed. Every file appears whole or not at all and the checkpoint comes last, so that
    the directory can be served meanwhile, and an export that was interrupted goes on where it
    stood. Entries that are there already are read back instead of being asked for, and what does
    not fit its hashes is written again. Repeating it changes nothing.

    Of a log that is kept from entry ``first`` on, ``pruned(start, stop)`` gives the hashes of a
    span before it. Bundles of which nothing is kept stay out, unless they are there already.

    Raises:
        VerificationError: the entries do not have that root, or the directory holds others.
        LogError: the directory cannot be written.
    """
    edge = _Edge()
    reused = 0
    for number in range(-(-head.size // TILE_WIDTH)):
        start = number * TILE_WIDTH
        width = min(TILE_WIDTH, head.size - start)
        entries = _written(directory, number) if width == TILE_WIDTH else None
        hashes: list[bytes] = []
        if entries is not None:
            reused += width
        elif pruned is not None and start + TILE_WIDTH <= first:
            hashes = list(pruned(start, start + width))
        else:
            entries = list(leaves(start, start + width))
            if len(entries) != width:
                raise VerificationError(f"the log has fewer than {head.size} entries")
            _put(directory, tile_path(_ENTRIES, number, width), _bundle(entries))
        hashes = hashes or list(map(leaf_hash, entries or ()))
        for level, at, full in edge.add(hashes):
            _put(directory, tile_path(level, at), b"".join(full))
        if progress is not None:
            progress(start + width, head.size)
    if edge.root_with(edge.lowest) != head.root:
        raise VerificationError(
            "the entries do not have the root that was signed: `automation-rules audit verify` "
            f"names the first that is wrong; if the log holds, {directory} does not: export to "
            "another directory"
        )
    for level, at, partial in edge.partial():
        _put(directory, tile_path(level, at, len(partial)), b"".join(partial))
    _put(directory, CHECKPOINT, note)
    _tidy(directory)
    return reused


def _written(directory: Path, number: int) -> list[bytes] | None:
    """Return the entries of a full bundle, when it is there with its hashes and fits them."""
    name = tile_path(_ENTRIES, number)
    try:
        tile = _read(directory / tile_path(0, number), TILE_WIDTH * HASH_SIZE)
        entries = _unbundle(_read(directory / name, _MOST_BYTES), TILE_WIDTH, name)
    except (FileNotFoundError, VerificationError):
        return None
    return entries if b"".join(map(leaf_hash, entries)) == tile else None


def _bundle(entries: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(entry)) + entry for entry in entries)


def _put(directory: Path, name: str, data: bytes) -> None:
    """Write a file whole, unless it is there as it should be."""
    path = directory / name
    try:
        if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}.new")
        try:
            with new.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LogError(
            f"{path} cannot be written: check the disk's room and this user's right to write there"
        ) from error


def _tidy(directory: Path) -> None:
    """Remove the partial tiles in whose place there is a full one now."""
    try:
        for partial in list((directory / "tile").rglob("*.p")):
            if partial.with_suffix("").is_file():
                shutil.rmtree(partial)
    except OSError as error:
        raise LogError(f"what is no longer needed in {directory} cannot be removed") from error


# --- reading ----------------------------------------------------------------------------------


def verify_tiles(
    directory: Path,
    keys: Iterable[VerifierKey],
    witnesses: Iterable[VerifierKey] = (),
    *,
    against: Head | None = None,
    first: int = 0,
    progress: Progress | None = None,
) -> OpenedCheckpoint:
    """Recompute an exported log from its entries; return its checkpoint when all of it holds.

    ``keys`` are the log's verifier keys, of which one must have signed the checkpoint, and
    ``witnesses`` those that must all have. ``against`` is an earlier head, which the log must
    extend. ``first`` is the minimum index of a log that was pruned: entries before it may be
    missing, by whole bundles, and then their hashes stand for them. Neither state nor network is
    needed.

    Raises:
        VerificationError: it does not hold; ``index`` is the first entry that is wrong or
            missing, or None when no one entry is.
        LogError: the directory cannot be read.
    """
    note = read_checkpoint(directory)
    if note is None:
        raise VerificationError(f"there is no checkpoint in {directory}: is it an exported log?")
    opened = open_checkpoint(note, keys, witnesses)
    size = opened.checkpoint.size
    if against is not None and against.size > size:
        raise VerificationError(
            f"the log went back: it had {against.size} entries, and this export has {size}",
            index=size,
        )
    fits = against is None or (against.size == 0 and against.root == EMPTY_ROOT)
    edge = _Edge()
    for number in range(-(-size // TILE_WIDTH)):
        start = number * TILE_WIDTH
        hashes = _hashes(directory, number, min(TILE_WIDTH, size - start), first)
        if against is not None and start < against.size <= start + len(hashes):
            fits = edge.root_with(hashes[: against.size - start]) == against.root
        for level, at, full in edge.add(hashes):
            _compare(directory, level, at, full)
        if progress is not None:
            progress(start + len(hashes), size)
    for level, at, partial in edge.partial():
        _compare(directory, level, at, partial)
    if edge.root_with(edge.lowest) != opened.checkpoint.root:
        raise VerificationError("the entries do not have the root that the log signed")
    if against is not None and not fits:
        raise VerificationError(
            f"the first {against.size} entries are not the ones that were there before"
        )
    return opened


def _hashes(directory: Path, number: int, width: int, first: int) -> list[bytes]:
    """Return the hashes of the entries in a bundle, which are those in the tile beside it."""
    start = number * TILE_WIDTH
    name, beside = tile_path(_ENTRIES, number, width), tile_path(0, number, width)
    tile = _required(directory, beside, TILE_WIDTH * HASH_SIZE, start)
    if len(tile) != width * HASH_SIZE:
        raise VerificationError(f"{beside} has {len(tile)} bytes, not {width * HASH_SIZE}")
    written = [tile[at : at + HASH_SIZE] for at in range(0, len(tile), HASH_SIZE)]
    if start + TILE_WIDTH <= first and not (directory / name).exists():
        return written
    bundle = _required(directory, name, _MOST_BYTES, start)
    hashes = list(map(leaf_hash, _unbundle(bundle, width, name, start)))
    for at, (found, stands) in enumerate(zip(hashes, written, strict=True)):
        if found != stands:
            raise VerificationError(
                f"entry {start + at} was changed: its hash in {beside} is another",
                index=start + at,
            )
    return hashes


def _compare(directory: Path, level: int, number: int, hashes: Sequence[bytes]) -> None:
    name = tile_path(level, number, len(hashes))
    start = number << (8 * (level + 1))
    if _required(directory, name, TILE_WIDTH * HASH_SIZE, start) != b"".join(hashes):
        raise VerificationError(f"{name} is not the hashes of what it covers")


def _unbundle(bundle: bytes, width: int, name: str, start: int = 0) -> list[bytes]:
    entries: list[bytes] = []
    at = 0
    while len(entries) < width:
        body = at + _LENGTH.size
        end = body + (_LENGTH.unpack(bundle[at:body])[0] if body <= len(bundle) else 0)
        if not body <= end <= len(bundle):
            index = start + len(entries)
            raise VerificationError(f"{name} ends before entry {index} does", index=index)
        entries.append(bundle[body:end])
        at = end
    if at != len(bundle):
        raise VerificationError(f"{name} goes on after its last entry", index=start + width)
    return entries


def _required(directory: Path, name: str, most: int, index: int) -> bytes:
    try:
        return _read(directory / name, most)
    except FileNotFoundError as error:
        raise VerificationError(f"{name} is missing", index=index) from error


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise LogError(f"{path} cannot be read: check this user's right to") from error
    if len(data) > most:
        raise VerificationError(f"{path.name} is larger than it can be")
    return data
