"""The decision log with its signatures: keys, checkpoints, exports, proofs and witnesses.

A log never signs two checkpoints of which one does not continue the other. The last one signed is
remembered in the state, and outside it beside the heads, so that a restored backup does not lead
to a second history under the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, insert, select, update

from .checkpoint import Checkpoint, open_checkpoint
from .errors import LogError, StoreError, VerificationError
from .merkle import HASH_SIZE, Head, verify_consistency
from .signed_note import Algorithm, Signature, SignedNote, SignerKey, VerifierKey, is_name
from .store.engine import take_turns
from .store.tables import checkpoints, cosignatures, log_entries, signing_keys, witnesses
from .tiles import read_checkpoint, write_tiles
from .tlog_proof import ConsistencyProof, TlogProof
from .witness import SplitViewError, add_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import Connection

    from .audit import DecisionLog
    from .clock import Clock
    from .remembered_heads import RememberedHeads
    from .signing_key import KeyFile
    from .store import Store

__all__ = ["Exported", "KnownKey", "KnownWitness", "SignedLog"]

_MOST_ORIGIN: Final = 255


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that the log is signed with, or was."""

    verifier: VerifierKey
    added_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness that was asked: where it is, its key, and what it signed last."""

    url: str
    verifier: VerifierKey
    size: int | None
    """How many entries its last signature covers; None when it never signed."""
    refused_size: int | None
    """How many entries the checkpoint had that it refused, when the last was refused."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: the checkpoint, and how many entries were there already."""

    checkpoint: Checkpoint
    note: bytes
    reused: int


class SignedLog:
    """A decision log and what it is signed with."""

    def __init__(
        self, store: Store, log: DecisionLog, keys: KeyFile, heads: RememberedHeads, clock: Clock
    ) -> None:
        """Work on the log of ``store``, with the private keys in ``keys``.

        ``heads`` remember what was signed; they should be those that the log was opened with.
        """
        self._store = store
        self._log = log
        self._keys = keys
        self._heads = heads
        self._clock = clock

    # --- keys -------------------------------------------------------------------------------

    def known_keys(self) -> list[KnownKey]:
        """Return every key that the log was ever signed with, the oldest first."""
        columns = (
            signing_keys.c.verifier_key,
            signing_keys.c.added_at,
            signing_keys.c.retired_at,
        )
        with self._store.reading() as connection:
            rows = connection.execute(select(*columns).order_by(signing_keys.c.id)).all()
        return [KnownKey(VerifierKey.parse(row[0]), row[1], row[2]) for row in rows]

    @property
    def origin(self) -> str | None:
        """The name under which the log is signed; None when it has none yet."""
        return next((k.verifier.name for k in self.known_keys() if k.retired_at is None), None)

    @property
    def size(self) -> int:
        """How many entries the log has now."""
        return self._log.head().size

    def init(self, origin: str | None = None, *, ml_dsa: bool = False) -> bool:
        """Give the log its name and its keys; return whether that was still to do.

        Without ``origin`` it gets a name made from its identifier. With ``ml_dsa`` it also signs
        with ML-DSA-44, which no quantum computer is known to break. A log that went back behind
        what it signed can only go on under another name: then its earlier keys are retired.

        Raises:
            StoreError: the name cannot be one; or it has another already, and has not gone back.
            LogError: the file cannot be used.
        """
        known = self.origin
        if known is not None and origin in (None, known):
            self._keys.load()
            return False
        if known is not None and not self._went_back(known):
            raise StoreError(
                f"this log is signed as {known} already: what was signed under one name is not "
                "proved under another"
            )
        name = f"automation-rules/{self._store.log_id}" if origin is None else origin
        if not is_name(name) or not name.isprintable() or len(name.encode()) > _MOST_ORIGIN:
            raise StoreError(
                f"an origin has at most {_MOST_ORIGIN} bytes, without spaces or '+': use the form "
                "example.org/acme-log"
            )
        kinds = [Algorithm.ED25519, *([Algorithm.ML_DSA_44] if ml_dsa else [])]
        new = tuple(SignerKey.generate(name, kind) for kind in kinds)
        if known is not None:
            self._keys.replace(new)
        elif not self._keys.exists():
            self._keys.create(new)
        else:
            # An init that was interrupted, or a key that somebody brought.
            new = self._keys.load()
            if any(key.name != name for key in new):
                raise LogError(
                    f"there is a signing key of another name in {self._keys.path}: give its name "
                    "with --origin, or another file with --signing-key"
                )
        self._change_keys(add=new, retire=self._active())
        return True

    def rotate(self, *, lost: bool = False) -> list[VerifierKey]:
        """Make new keys; return their verifier keys.

        From now on checkpoints carry the signatures of the old keys and of the new ones, so that
        who verifies has time to learn the new. When the old ones are ``lost``, they are retired.

        Raises:
            StoreError: the log has no keys yet, or the last rotation is not finished.
            LogError: the file cannot be used.
        """
        active = self._active()
        if not active:
            raise StoreError("this log has no keys yet: run `automation-rules audit init`")
        old = () if lost else self._own()
        kinds = list(dict.fromkeys(key.algorithm for key in active))
        if len(active) > len(kinds) and not lost:
            raise StoreError(
                "the last rotation is not finished: run `automation-rules audit rotate-key "
                "--finish` first"
            )
        new = [SignerKey.generate(active[0].name, kind) for kind in kinds]
        self._change_keys(add=new, retire=active if lost else [])
        self._keys.replace([*old, *new])
        return [key.verifier for key in new]

    def finish_rotation(self) -> list[VerifierKey]:
        """Retire all keys but the newest, and forget their private halves; return those retired.

        Raises:
            StoreError: no rotation was begun.
            LogError: the file cannot be used.
        """
        newest = {key.algorithm: key for key in self._active()}
        retired = [key for key in self._active() if key not in newest.values()]
        if not retired:
            raise StoreError("no rotation was begun: run `automation-rules audit rotate-key` first")
        kept = [key for key in self._own() if key.verifier in newest.values()]
        if not kept:
            raise LogError("the newest signing key is not in the file: restore the file")
        self._keys.replace(kept)
        self._change_keys(add=[], retire=retired)
        return retired

    def _active(self) -> list[VerifierKey]:
        return [key.verifier for key in self.known_keys() if key.retired_at is None]

    def _own(self) -> tuple[SignerKey, ...]:
        """Return the private keys, which are the log's."""
        active = self._active()
        own = self._keys.load()
        for key in own:
            if key.verifier not in active:
                raise LogError(
                    f"{self._keys.path} holds a key that this log is not signed with: name the "
                    "file of this log with --signing-key; after restoring an old backup of the "
                    "state, bring back the newer one"
                )
        return own

    def _change_keys(self, *, add: Sequence[SignerKey], retire: Sequence[VerifierKey]) -> None:
        now = self._clock.now()
        with self._store.transaction() as connection:
            take_turns(connection)
            for verifier in retire:
                connection.execute(
                    update(signing_keys)
                    .where(signing_keys.c.verifier_key == str(verifier))
                    .values(retired_at=now)
                )
            for key in add:
                connection.execute(
                    insert(signing_keys).values(verifier_key=str(key.verifier), added_at=now)
                )

    # --- checkpoints ------------------------------------------------------------------------

    def sign(self) -> bytes:
        """Return the checkpoint of the log as it is now, signed, with any cosignatures.

        It is kept in the state. Without new entries it is the one that was signed before.

        Raises:
            VerificationError: the log does not continue what was signed or remembered before.
            StoreError: the log has no keys yet.
            LogError: the file of the keys cannot be used.
        """
        origin = self.origin
        if origin is None:
            raise StoreError("this log has no keys yet: run `automation-rules audit init`")
        keys = self._own()
        head = self._log.check_rollback()
        self._require_growth(origin, head)
        # Remembered before anybody can see it: a crash in between makes it stricter.
        self._heads.remember(_memory(origin), head)
        text = Checkpoint(origin, head.size, head.root).text
        now = self._clock.now()
        with self._store.transaction() as connection:
            take_turns(connection)
            stored = _stored(connection, origin, head.size)
            signatures = () if stored is None else stored.signatures
            signed = {(found.name, found.key_id) for found in signatures}
            missing = [key for key in keys if (key.name, key.verifier.id) not in signed]
            added = [key.sign(text, time=int(now.timestamp())) for key in missing]
            note = SignedNote(text, (*signatures, *added))
            here = (checkpoints.c.origin == origin) & (checkpoints.c.size == head.size)
            if stored is None:
                connection.execute(
                    insert(checkpoints).values(
                        origin=origin, size=head.size, note=note.to_bytes(), signed_at=now
                    )
                )
            elif added:
                connection.execute(update(checkpoints).where(here).values(note=note.to_bytes()))
            return _with_cosignatures(connection, origin, head.size, note).to_bytes()

    def checkpoint(self, size: int | None = None) -> bytes:
        """Return the checkpoint of the first ``size`` entries, or of the log as it is now.

        Raises:
            StoreError: none of that size was signed.
            VerificationError: as `sign` does.
            LogError: as `sign` does.
        """
        if size is None:
            return self.sign()
        origin = self.origin or ""
        with self._store.reading() as connection:
            note = _stored(connection, origin, size)
            if note is None:
                sizes = select(checkpoints.c.size).where(checkpoints.c.origin == origin)
                last = connection.execute(sizes.order_by(checkpoints.c.size.desc())).first()
                said = "none was ever signed" if last is None else f"the last one has {last[0]}"
                raise StoreError(f"no checkpoint of {size} entries was signed: {said}")
            return _with_cosignatures(connection, origin, size, note).to_bytes()

    def _require_growth(self, origin: str, head: Head) -> None:
        """Raise unless the log continues all that was signed under its name."""
        if self._went_back(origin, head):
            raise VerificationError(
                f"the log does not continue what was signed as {origin}: to sign it would be to "
                "show two logs under one name. Bring back the newer state; or, when the rollback "
                "is acknowledged, go on under another name: `automation-rules audit init --origin "
                "NAME`"
            )

    def _went_back(self, origin: str, head: Head | None = None) -> bool:
        now = head or self._log.head()
        return any(not self._continues(earlier, now) for earlier in self._signed_heads(origin))

    def _signed_heads(self, origin: str) -> list[Head]:
        """Return the last head signed under a name, as the state and as the memory have it."""
        last = select(func.max(checkpoints.c.size)).where(checkpoints.c.origin == origin)
        with self._store.reading() as connection:
            size = connection.execute(last).scalar()
            note = None if size is None else _stored(connection, origin, size)
        found = [] if note is None else [Checkpoint.parse(note.text).head]
        remembered = self._heads.get(_memory(origin))
        return found if remembered is None else [*found, remembered]

    def _continues(self, earlier: Head, head: Head) -> bool:
        if earlier.size == 0 or earlier == head:
            return True
        if earlier.size > head.size:
            return False
        proof = self._log.prove_consistency(earlier.size, head.size)
        try:
            verify_consistency(earlier.size, earlier.root, head.size, head.root, proof)
        except VerificationError:
            return False
        return True

    # --- what is handed out -----------------------------------------------------------------

    def export(
        self,
        directory: Path,
        size: int | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Exported:
        """Write the log, or its first ``size`` entries, as a tlog-tiles directory.

        Repeating it changes nothing; later it adds what is new, and an export that was
        interrupted goes on. What was pruned from the log stays in a directory that has it, and is
        not in a new one.

        Raises:
            StoreError: the directory holds something else, or no checkpoint of that size was
                signed.
            VerificationError: the log or what the directory holds does not fit the checkpoint.
            LogError: the directory cannot be written, or the keys cannot be used.
        """
        note = self.checkpoint(size)
        checkpoint = Checkpoint.parse(SignedNote.parse(note).text)
        self._require_own(directory, checkpoint)

        def leaves(start: int, stop: int) -> list[bytes]:
            return [entry.leaf for entry in self._log.entries(start, stop)]

        reused = write_tiles(
            directory,
            leaves,
            checkpoint.head,
            note,
            pruned=self._hashes,
            first=self._log.first(),
            progress=progress,
        )
        return Exported(checkpoint, note, reused)

    def _hashes(self, start: int, stop: int) -> list[bytes]:
        """Return the hashes of entries, pruned ones too: they stand first beside each."""
        here = (log_entries.c.idx >= start) & (log_entries.c.idx < stop)
        nodes = select(log_entries.c.nodes).where(here).order_by(log_entries.c.idx)
        with self._store.reading() as connection:
            return [bytes(row[0])[:HASH_SIZE] for row in connection.execute(nodes)]

    def _require_own(self, directory: Path, checkpoint: Checkpoint) -> None:
        """Raise unless the directory is new, or holds an earlier export of this log."""
        try:
            names = {found.name for found in directory.iterdir()}
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{directory} is no directory that can be read") from error
        if names and "tile" not in names and "checkpoint" not in names:
            raise StoreError(f"{directory} holds other files: name a new or an empty directory")
        note = read_checkpoint(directory)
        if note is None:
            return
        try:
            earlier = open_checkpoint(note, [key.verifier for key in self.known_keys()]).checkpoint
        except VerificationError as error:
            raise StoreError(
                f"{directory} holds another log, or was altered: name another directory"
            ) from error
        if earlier.origin != checkpoint.origin:
            raise StoreError(
                f"{directory} holds the log {earlier.origin}, and this one is "
                f"{checkpoint.origin}: name another directory"
            )
        if earlier.size > checkpoint.size:
            raise StoreError(
                f"{directory} holds {earlier.size} entries, more than {checkpoint.size}: name "
                "another directory"
            )
        if not self._continues(earlier.head, checkpoint.head):
            raise VerificationError(
                f"the log does not continue the {earlier.size} entries in {directory}"
            )

    def prove(self, index: int, size: int | None = None, *, entry: bool = True) -> TlogProof:
        """Prove that the log holds an entry; with ``entry``, the proof also holds its bytes.

        Raises:
            LogError: there is no such entry, or the keys cannot be used.
            StoreError: no checkpoint of ``size`` entries was signed.
            VerificationError: the log does not hold.
        """
        leaf = self._log.entry(index).leaf
        note = self.checkpoint(size)
        head = Checkpoint.parse(SignedNote.parse(note).text).head
        hashes = self._log.prove_inclusion(index, head.size).hashes
        proof = TlogProof(index, hashes, note, leaf if entry else None)
        # What is handed out convinces, or is not handed out.
        proof.verify(leaf, [key.verifier for key in self.known_keys()])
        return proof

    def prove_growth(self, old: int, new: int | None = None) -> ConsistencyProof:
        """Prove that the log of ``new`` entries, or as it is now, extends that of ``old``.

        Raises:
            LogError: the keys cannot be used.
            StoreError: no checkpoint of ``new`` entries was signed, or ``old`` are more.
            VerificationError: the log does not hold.
        """
        note = self.checkpoint(new)
        size = Checkpoint.parse(SignedNote.parse(note).text).size
        if old > size:
            raise StoreError(f"a log of {size} entries does not extend one of {old}")
        hashes = self._log.prove_consistency(old, size) if old else ()
        return ConsistencyProof(old, hashes, note)

    # --- witnesses --------------------------------------------------------------------------

    def known_witnesses(self) -> list[KnownWitness]:
        """Return the witnesses that were asked, with what each signed last of this log."""
        origin = self.origin
        with self._store.reading() as connection:
            rows = connection.execute(select(witnesses).order_by(witnesses.c.url)).all()
            return [
                KnownWitness(
                    row.url,
                    VerifierKey.parse(row.verifier_key),
                    _last_cosigned(connection, origin, row.verifier_key),
                    row.refused_size,
                )
                for row in rows
            ]

    def witness(self, url: str, key: VerifierKey | None = None) -> tuple[Checkpoint, Signature]:
        """Have the witness at ``url`` sign the log as it is now; return what it signed, and how.

        ``key`` is its verifier key, which is remembered.

        Raises:
            SplitViewError: it signed another log of this name. Both checkpoints are kept.
            VerificationError: it signed for more entries than there are, or did not sign.
            StoreError: its key was never given, or it does not know this log.
            LogError: it cannot be reached.
        """
        known = {found.url: found for found in self.known_witnesses()}.get(url)
        if key is None and known is None:
            raise StoreError("the witness's key is not known yet: give it once with --witness-key")
        verifier = key or (known.verifier if known is not None else None)
        assert verifier is not None  # noqa: S101 - for the type checker
        note = self.sign()
        checkpoint = Checkpoint.parse(SignedNote.parse(note).text)
        with self._store.reading() as connection:
            old = _last_cosigned(connection, checkpoint.origin, str(verifier)) or 0
        try:
            found = add_checkpoint(url, note, old, self._log.prove_consistency, [verifier])
        except SplitViewError:
            now = self._clock.now()
            with self._store.transaction() as connection:
                take_turns(connection)
                _keep_witness(connection, url, verifier, refused=(checkpoint.size, now))
            raise
        with self._store.transaction() as connection:
            take_turns(connection)
            _keep_witness(connection, url, verifier)
            _keep_cosignature(connection, checkpoint, verifier, found[verifier])
        return checkpoint, found[verifier]


def _memory(origin: str) -> str:
    """Return the name under which the last head signed is remembered outside the state."""
    return f"signed as {origin}"


def _stored(connection: Connection, origin: str, size: int) -> SignedNote | None:
    """Return a stored checkpoint, without cosignatures."""
    here = (checkpoints.c.origin == origin) & (checkpoints.c.size == size)
    note = connection.execute(select(checkpoints.c.note).where(here)).scalar()
    return None if note is None else SignedNote.parse(note)


def _with_cosignatures(
    connection: Connection, origin: str, size: int, note: SignedNote
) -> SignedNote:
    here = (cosignatures.c.origin == origin) & (cosignatures.c.size == size)
    lines = connection.execute(
        select(cosignatures.c.line).where(here).order_by(cosignatures.c.verifier_key)
    ).scalars()
    return replace(note, signatures=(*note.signatures, *map(Signature.parse, lines)))


def _last_cosigned(connection: Connection, origin: str | None, key: str) -> int | None:
    here = (cosignatures.c.origin == origin) & (cosignatures.c.verifier_key == key)
    size: int | None = connection.execute(
        select(func.max(cosignatures.c.size)).where(here)
    ).scalar()
    return size


def _keep_witness(
    connection: Connection,
    url: str,
    verifier: VerifierKey,
    *,
    refused: tuple[int, datetime] | tuple[None, None] = (None, None),
) -> None:
    """Keep that a witness was asked: it signed, or ``refused`` a size at an instant."""
    values = {
        "verifier_key": str(verifier),
        "refused_size": refused[0],
        "refused_at": refused[1],
    }
    changed = connection.execute(update(witnesses).where(witnesses.c.url == url).values(values))
    if not changed.rowcount:
        connection.execute(insert(witnesses).values(url=url, **values))


def _keep_cosignature(
    connection: Connection, checkpoint: Checkpoint, verifier: VerifierKey, signature: Signature
) -> None:
    """Keep the latest signature of a witness below a checkpoint."""
    values = {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "verifier_key": str(verifier),
    }
    here = [cosignatures.c[name] == value for name, value in values.items()]
    changed = connection.execute(update(cosignatures).where(*here).values(line=str(signature)))
    if not changed.rowcount:
        connection.execute(insert(cosignatures).values(line=str(signature), **values))
