"""The log with its signatures: keys and their file, checkpoints, exports, proofs, witnesses."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog, RememberedHeads
from automation_rules.checkpoint import open_checkpoint
from automation_rules.clock import FrozenClock
from automation_rules.errors import LogError, StoreError, VerificationError
from automation_rules.merkle import Head, leaf_hash
from automation_rules.signed_log import SignedLog
from automation_rules.signed_note import Algorithm, SignedNote, SignerKey
from automation_rules.signing_key import SIGNING_KEY_VARIABLE, KeyFile, open_to_others
from automation_rules.store import Store
from automation_rules.tiles import verify_tiles
from automation_rules.witness import SplitViewError
from servers import on_both_databases
from witness_server import Witness, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from automation_rules.signed_note import VerifierKey

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
ORIGIN = "example.org/acme-log"


@dataclass(frozen=True)
class Opened:
    """A state with its log, signed or to be signed."""

    store: Store
    log: DecisionLog
    signed: SignedLog
    heads: RememberedHeads
    keys: KeyFile

    def grow(self, count: int, word: str = "entry") -> None:
        """Append entries, whose bytes are all that matters here."""
        size = self.log.head().size
        self.log.append_many([(f"{word} {size + at}".encode(), ()) for at in range(count)])

    @property
    def verifier(self) -> VerifierKey:
        """The newest verifier key."""
        return self.signed.known_keys()[-1].verifier

    @property
    def verifiers(self) -> list[VerifierKey]:
        """Every verifier key."""
        return [key.verifier for key in self.signed.known_keys()]


@contextmanager
def opened(folder: Path, url: str | None = None) -> Iterator[Opened]:
    """Open a state, by default the one in ``folder``, made when it is not there."""
    clock = FrozenClock(NOW)
    with (
        Store.open(
            url or f"sqlite:///{folder / 'state.sqlite3'}", clock=clock, create=True
        ) as store,
        RememberedHeads(folder / "heads.sqlite3") as heads,
        DecisionLog(store, heads=heads) as log,
    ):
        keys = KeyFile(folder / "keys" / "signing-key")
        yield Opened(store, log, SignedLog(store, log, keys, heads, clock), heads, keys)


@pytest.fixture
def acme(tmp_path: Path, url: str) -> Iterator[Opened]:
    """Return a signed log of five entries."""
    with opened(tmp_path, url) as state:
        state.signed.init(ORIGIN)
        state.grow(5)
        yield state


# --- the file of keys


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It and its directory are closed to others; one that is open is refused, with the remedy."""
    keys = KeyFile(tmp_path / "new" / "key")
    made = SignerKey.generate(ORIGIN)
    keys.create([made])
    assert keys.load() == (made,)
    assert made.secret in keys.path.read_text("ascii")
    if os.name == "posix":
        assert keys.path.stat().st_mode & 0o777 == 0o600
        assert keys.path.parent.stat().st_mode & 0o777 == 0o700
        for mode in (0o640, 0o604, 0o620, 0o601):
            keys.path.chmod(mode)
            with pytest.raises(LogError, match="chmod 600"):
                keys.load()


@pytest.mark.parametrize(
    ("mode", "windows", "is_open"),
    [
        (0o100600, False, False),
        (0o100400, False, False),
        (0o100644, False, True),
        (0o100666, True, False),
        (0o100444, True, False),
    ],
)
def test_modes_mean_nothing_on_windows(mode: int, windows: bool, is_open: bool) -> None:
    """There every file looks as if all could read it: its directory's rights are what counts."""
    assert open_to_others(mode, windows=windows) is is_open


def test_a_key_file_is_never_replaced_by_chance(tmp_path: Path) -> None:
    """What exists stays, and so does the old file when a new one cannot be written."""
    keys = KeyFile(tmp_path / "key")
    one, two = SignerKey.generate(ORIGIN), SignerKey.generate(ORIGIN)
    keys.create([one])
    with pytest.raises(LogError, match="already"):
        keys.create([two])
    keys.replace([one, two])
    assert keys.load() == (one, two)
    (tmp_path / f"key.{os.getpid()}.new").mkdir()
    with pytest.raises(LogError, match="cannot be written"):
        keys.replace([two])
    assert keys.load() == (one, two)
    with pytest.raises(LogError, match="cannot be written"):
        KeyFile(tmp_path / "key" / "below").create([one])


@pytest.mark.parametrize("content", [b"", b"# only a comment\n", b"x", b"\xff", b"PRIVATE+KEY+a+b"])
def test_a_file_that_holds_no_keys_is_refused(tmp_path: Path, content: bytes) -> None:
    """Its content is never told."""
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(LogError, match="does not hold signing keys"):
        KeyFile(path).load()


def test_a_damaged_key_is_not_told(tmp_path: Path) -> None:
    """Neither the message nor what caused it quotes the secret."""
    keys = KeyFile(tmp_path / "key")
    key = SignerKey.generate(ORIGIN)
    keys.create([key])
    keys.path.write_text(key.secret[:-3] + "\n", "ascii")
    with pytest.raises(LogError) as raised:
        keys.load()
    error: BaseException | None = raised.value
    while error is not None:
        assert key.secret[-30:-3] not in str(error)
        error = error.__cause__


def test_where_the_keys_are_can_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By option, by environment, or else in the user's configuration, one file a log."""
    monkeypatch.delenv(SIGNING_KEY_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert KeyFile.of("log-1").path.name == "log-1.signing-key"
    assert KeyFile.of("log-1").path != KeyFile.of("log-2").path
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(tmp_path / "named"))
    assert KeyFile.of("log-1").path == tmp_path / "named"
    assert KeyFile.of("log-1", tmp_path / "option").path == tmp_path / "option"
    with pytest.raises(LogError, match="restore the file"):
        KeyFile.of("log-1").load()
    with pytest.raises(LogError, match="cannot be read"):
        KeyFile(tmp_path).load()


# --- names and keys


def test_a_log_gets_its_name_once(tmp_path: Path) -> None:
    """Asking again for it is fine; another name is refused; the secret is not in the state."""
    with opened(tmp_path) as state:
        assert state.signed.origin is None
        assert state.signed.known_keys() == []
        with pytest.raises(StoreError, match="audit init"):
            state.signed.sign()
        with pytest.raises(StoreError, match="audit init"):
            state.signed.rotate()
        assert state.signed.init(ORIGIN) is True
        assert state.signed.init(ORIGIN) is False
        assert state.signed.init() is False
        with pytest.raises(StoreError, match=r"signed as example\.org/acme-log already"):
            state.signed.init("example.org/other")
        [known] = state.signed.known_keys()
        assert (known.added_at, known.retired_at) == (NOW, None)
        [key] = state.keys.load()
        assert key.verifier == known.verifier
        assert state.signed.origin == ORIGIN
        secret = key.seed
    assert not any(secret in f.read_bytes() for f in tmp_path.glob("state.sqlite3*"))
    assert not any(key.secret.encode() in f.read_bytes() for f in tmp_path.glob("*") if f.is_file())


def test_a_log_without_a_name_gets_one_of_its_own(tmp_path: Path) -> None:
    """No two logs share it."""
    with opened(tmp_path) as state:
        state.signed.init()
        assert state.signed.origin == f"automation-rules/{state.store.log_id}"


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\x1bb", "x" * 256])
def test_a_name_that_is_none_makes_no_key(tmp_path: Path, name: str) -> None:
    """Nothing is half-made."""
    with opened(tmp_path) as state:
        with pytest.raises(StoreError, match="an origin has"):
            state.signed.init(name)
        assert not state.keys.exists()
        assert state.signed.origin is None


def test_an_init_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    """A key file that is there already is used, when it has that name."""
    with opened(tmp_path) as state:
        key = SignerKey.generate(ORIGIN)
        state.keys.create([key])
        with pytest.raises(LogError, match="of another name"):
            state.signed.init("example.org/other")
        assert state.signed.init(ORIGIN) is True
        assert state.verifiers == [key.verifier]


def test_both_kinds_of_key_sign(tmp_path: Path) -> None:
    """With ML-DSA-44 beside Ed25519, who knows only one of them is content."""
    with opened(tmp_path) as state:
        state.signed.init(ORIGIN, ml_dsa=True)
        state.grow(2)
        note = state.signed.sign()
        kinds = [key.algorithm for key in state.verifiers]
        assert kinds == [Algorithm.ED25519, Algorithm.ML_DSA_44]
        for key in state.verifiers:
            assert open_checkpoint(note, [key]).checkpoint.size == 2
        assert state.signed.sign() == note
        state.signed.rotate()
        assert len(open_checkpoint(state.signed.sign(), state.verifiers).signed_by) == 4
        assert len(state.signed.finish_rotation()) == 2


@on_both_databases
def test_keys_are_rotated_with_an_overlap(acme: Opened) -> None:
    """Both sign until the old one is retired; old checkpoints verify with the old key for ever."""
    first = acme.signed.sign()
    old = acme.verifier
    with pytest.raises(StoreError, match="no rotation was begun"):
        acme.signed.finish_rotation()
    [new] = acme.signed.rotate()
    assert old != new
    with pytest.raises(StoreError, match="not finished"):
        acme.signed.rotate()
    for more in (0, 1):
        acme.grow(more)
        note = acme.signed.sign()
        for key in (old, new):
            assert open_checkpoint(note, [key]).checkpoint.size == 5 + more
    assert acme.signed.finish_rotation() == [old]
    acme.grow(1)
    last = acme.signed.sign()
    assert open_checkpoint(last, [new]).checkpoint.size == 7
    with pytest.raises(VerificationError, match="none of the keys"):
        open_checkpoint(last, [old])
    assert open_checkpoint(first, [old]).checkpoint.size == 5
    assert [key.retired_at for key in acme.signed.known_keys()] == [NOW, None]
    assert [key.verifier for key in acme.keys.load()] == [new]


def test_a_lost_key_is_retired_at_once(acme: Opened) -> None:
    """Nothing of the old file is needed; the log goes on under its name."""
    old = acme.verifier
    acme.signed.sign()
    acme.keys.path.unlink()
    for ask in (acme.signed.sign, acme.signed.rotate):
        with pytest.raises(LogError, match="rotate-key --lost"):
            ask()
    [new] = acme.signed.rotate(lost=True)
    acme.grow(1)
    assert open_checkpoint(acme.signed.sign(), [new]).signed_by == (new,)
    assert acme.verifiers == [old, new]


def test_the_key_of_another_log_does_not_sign(acme: Opened) -> None:
    """The state knows which keys are its own."""
    acme.keys.replace([SignerKey.generate(ORIGIN)])
    with pytest.raises(LogError, match="not signed with"):
        acme.signed.sign()


# --- checkpoints


@on_both_databases
def test_a_checkpoint_is_signed_once(acme: Opened) -> None:
    """Without new entries it is the same to the byte; earlier ones can be had again."""
    five = acme.signed.sign()
    assert acme.signed.sign() == five == acme.signed.checkpoint(5) == acme.signed.checkpoint()
    opened_five = open_checkpoint(five, [acme.verifier]).checkpoint
    assert (opened_five.origin, opened_five.head) == (ORIGIN, acme.log.head())
    acme.grow(3)
    assert open_checkpoint(acme.signed.sign(), [acme.verifier]).checkpoint.size == 8
    assert acme.signed.checkpoint(5) == five
    with pytest.raises(StoreError, match=r"no checkpoint of 6 entries .* last one has 8"):
        acme.signed.checkpoint(6)


def test_an_empty_log_is_signed(tmp_path: Path) -> None:
    """Its checkpoint has no entries, and every later log continues it."""
    with opened(tmp_path) as state:
        state.signed.init(ORIGIN)
        with pytest.raises(StoreError, match="none was ever signed"):
            state.signed.checkpoint(0)
        empty = state.signed.sign()
        state.grow(2)
        growth = state.signed.prove_growth(0)
        assert growth.verify(empty, [state.verifier])[1].checkpoint.size == 2


def test_a_log_that_went_back_is_not_signed(tmp_path: Path) -> None:
    """A restored backup is refused by what is remembered outside the state."""
    with opened(tmp_path) as state:
        state.signed.init(ORIGIN)
        state.grow(3)
        state.signed.sign()
    shutil.copy(tmp_path / "state.sqlite3", tmp_path / "backup")
    with opened(tmp_path) as state:
        state.grow(3)
        state.signed.sign()
    shutil.copy(tmp_path / "backup", tmp_path / "state.sqlite3")
    with opened(tmp_path) as state, pytest.raises(VerificationError, match="went back"):
        state.signed.sign()


def test_after_an_acknowledged_rollback_another_name_is_needed(tmp_path: Path) -> None:
    """Two histories are never signed under one name, whatever a person has acknowledged."""
    with opened(tmp_path) as state:
        state.signed.init(ORIGIN)
        state.grow(3)
        state.signed.sign()
    shutil.copy(tmp_path / "state.sqlite3", tmp_path / "backup")
    with opened(tmp_path) as state:
        state.grow(3)
        later = state.signed.sign()
        old = state.verifier
    shutil.copy(tmp_path / "backup", tmp_path / "state.sqlite3")
    with opened(tmp_path) as state:
        # What acknowledging does to the memory.
        state.heads.replace(state.store.log_id, state.log.head())
        for _ in range(2):
            with pytest.raises(VerificationError, match="two logs under one name"):
                state.signed.sign()
            # Growing past it does not help.
            state.grow(4, "another")
        assert state.signed.init("example.org/acme-log-2") is True
        note = state.signed.sign()
        assert open_checkpoint(note, [state.verifier]).checkpoint.origin == "example.org/acme-log-2"
        assert [key.retired_at for key in state.signed.known_keys()] == [NOW, None]
        assert open_checkpoint(later, [old]).checkpoint.size == 6
        with pytest.raises(StoreError):
            state.signed.init(ORIGIN)


def test_what_the_state_says_was_signed_counts_too(acme: Opened, tmp_path: Path) -> None:
    """With the memory gone, the stored checkpoint still holds the log to its past."""
    acme.signed.sign()
    for path in tmp_path.glob("heads.sqlite3*"):
        path.unlink()
    acme.heads.close()
    with acme.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_entries SET leaf = x'00' WHERE idx = 2")
        connection.exec_driver_sql("DELETE FROM log_entries WHERE idx > 2")
    with opened(tmp_path, f"sqlite:///{tmp_path / 'other'}") as other:
        other.grow(3)
        with other.store.reading() as connection:
            head = connection.exec_driver_sql("SELECT size, root, frontier FROM log_head").one()
    with acme.store.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE log_head SET size = ?, root = ?, frontier = ?", tuple(head)
        )
    with pytest.raises(VerificationError, match="two logs under one name"):
        acme.signed.sign()


# --- exports and proofs


@on_both_databases
def test_an_export_is_verified_without_the_state(acme: Opened, tmp_path: Path) -> None:
    """It grows with the log, and takes an earlier checkpoint when asked to."""
    directory = tmp_path / "export"
    acme.grow(295)
    done = acme.signed.export(directory)
    assert (done.checkpoint.size, done.reused) == (300, 0)
    assert verify_tiles(directory, [acme.verifier]).checkpoint == done.checkpoint
    acme.grow(300)
    assert acme.signed.export(directory).reused == 256
    assert verify_tiles(directory, [acme.verifier]).checkpoint.size == 600
    acme.signed.export(tmp_path / "earlier", 300)
    assert verify_tiles(tmp_path / "earlier", [acme.verifier]).checkpoint == done.checkpoint


def test_a_pruned_log_is_still_exported(acme: Opened, tmp_path: Path) -> None:
    """What was pruned stays where it was exported to; a new directory has its hashes only."""
    acme.grow(595)
    acme.signed.export(tmp_path / "old")
    before = acme.signed.checkpoint(600)
    with acme.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_entries SET leaf = x'' WHERE idx < 512")
        connection.exec_driver_sql("UPDATE log_head SET first = 512")
    acme.grow(5)
    for name, first in (("old", 0), ("new", 512)):
        acme.signed.export(tmp_path / name)
        opened_tiles = verify_tiles(tmp_path / name, [acme.verifier], first=first)
        assert opened_tiles.checkpoint.size == 605
    with pytest.raises(VerificationError, match="is missing"):
        verify_tiles(tmp_path / "new", [acme.verifier])
    acme.signed.prove(600).verify(b"entry 600", [acme.verifier])
    acme.signed.prove_growth(600).verify(before, [acme.verifier])
    with pytest.raises(LogError, match="pruned"):
        acme.signed.prove(3)


def test_a_directory_of_something_else_is_left_alone(acme: Opened, tmp_path: Path) -> None:
    """Other files, another log, a later log or one that was altered."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter.txt").write_text("dear reader")
    with pytest.raises(StoreError, match="other files"):
        acme.signed.export(tmp_path / "files")
    with pytest.raises(StoreError, match="no directory"):
        acme.signed.export(tmp_path / "files" / "letter.txt")
    other = tmp_path / "another"
    other.mkdir()
    with opened(other) as log:
        log.signed.init("example.org/other")
        log.signed.export(tmp_path / "other export")
    with pytest.raises(StoreError, match="another log"):
        acme.signed.export(tmp_path / "other export")
    acme.signed.sign()
    acme.grow(1)
    acme.signed.export(tmp_path / "six")
    with pytest.raises(StoreError, match="holds 6 entries, more than 5"):
        acme.signed.export(tmp_path / "six", 5)
    checkpoint = tmp_path / "six" / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n6\n", b"\n4\n"))
    with pytest.raises(StoreError, match="was altered"):
        acme.signed.export(tmp_path / "six")


def test_an_export_of_another_history_is_noticed(acme: Opened, tmp_path: Path) -> None:
    """A checkpoint by our own key over other entries is not written over."""
    from automation_rules.checkpoint import Checkpoint, sign_checkpoint

    directory = tmp_path / "export"
    acme.signed.export(directory)
    [key] = acme.keys.load()
    for origin, told in ((ORIGIN, "does not continue"), ("example.org/b", "another log")):
        fork = Checkpoint(origin, 3, leaf_hash(b"another"))
        (directory / "checkpoint").write_bytes(sign_checkpoint(fork, [key], time=0).to_bytes())
        with pytest.raises((VerificationError, StoreError), match=told):
            acme.signed.export(directory)


def test_every_entry_is_proved(acme: Opened) -> None:
    """With the log as it is, or as it was when it was signed; with the entry or without."""
    acme.signed.sign()
    acme.grow(2)
    for index in range(7):
        proof = acme.signed.prove(index)
        leaf = f"entry {index}".encode()
        assert proof.extra == leaf
        assert proof.verify(leaf, [acme.verifier]).checkpoint.size == 7
    proof = acme.signed.prove(2, 5, entry=False)
    assert proof.extra is None
    assert proof.verify(b"entry 2", [acme.verifier]).checkpoint.size == 5
    with pytest.raises(LogError):
        acme.signed.prove(6, 5)
    with pytest.raises(LogError):
        acme.signed.prove(7)


def test_a_proof_that_would_not_convince_is_not_handed_out(acme: Opened) -> None:
    """An entry that was altered in the state has no proof."""
    acme.signed.sign()
    with acme.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_entries SET leaf = x'00' WHERE idx = 2")
    with pytest.raises(VerificationError):
        acme.signed.prove(2)


@on_both_databases
def test_growth_is_proved_between_checkpoints(acme: Opened) -> None:
    """To somebody who holds the earlier one."""
    five = acme.signed.sign()
    acme.grow(4)
    nine = acme.signed.sign()
    acme.grow(1)
    before, after = acme.signed.prove_growth(5).verify(five, [acme.verifier])
    assert (before.checkpoint.size, after.checkpoint.size) == (5, 10)
    acme.signed.prove_growth(5, 9).verify(five, [acme.verifier])
    acme.signed.prove_growth(9, 9).verify(nine, [acme.verifier])
    with pytest.raises(StoreError, match="does not extend"):
        acme.signed.prove_growth(11)
    with pytest.raises(StoreError, match="no checkpoint of 7"):
        acme.signed.prove_growth(5, 7)


# --- witnesses


@pytest.fixture
def witness(acme: Opened) -> Iterator[Witness]:
    """Return a witness that knows the log."""
    with serving(Witness()) as served:
        served.trust(acme.verifier)
        yield served


@on_both_databases
def test_a_witness_signs_the_log_as_it_grows(
    acme: Opened, witness: Witness, tmp_path: Path
) -> None:
    """Its signature goes below the checkpoint, into exports and proofs; its key is remembered."""
    key = witness.key.verifier
    with pytest.raises(StoreError, match="not known yet"):
        acme.signed.witness(witness.url)
    checkpoint, signature = acme.signed.witness(witness.url, key)
    assert (checkpoint.size, signature.time) == (5, witness.time)
    note = acme.signed.sign()
    assert open_checkpoint(note, [acme.verifier], [key]).cosigned == {key: signature}
    acme.grow(4)
    assert acme.signed.witness(witness.url)[0].size == 9
    # From the size that it signed last, at once; and with a proof.
    assert [body.split(b"\n")[0] for body in witness.requests] == [b"old 0", b"old 5"]
    acme.signed.export(tmp_path / "export")
    verify_tiles(tmp_path / "export", [acme.verifier], [key])
    acme.signed.prove(2).verify(b"entry 2", [acme.verifier], [key])
    acme.signed.prove(2, 5).verify(b"entry 2", [acme.verifier], [key])
    [known] = acme.signed.known_witnesses()
    assert (known.url, known.verifier, known.size) == (witness.url, key, 9)
    assert known.refused_size is None


@on_both_databases
def test_asking_again_keeps_the_later_signature(acme: Opened, witness: Witness) -> None:
    """Without new entries the witness says again, later, that this is the log."""
    acme.signed.witness(witness.url, witness.key.verifier)
    witness.time += 60
    acme.signed.witness(witness.url)
    note = SignedNote.parse(acme.signed.sign())
    assert [found.time for found in note.signatures[1:]] == [witness.time]


def test_two_witnesses_sign_one_checkpoint(acme: Opened, witness: Witness) -> None:
    """Each is asked for itself, and both may be required."""
    with serving(Witness("witness.example/w2")) as second:
        second.trust(acme.verifier)
        for one in (witness, second):
            acme.signed.witness(one.url, one.key.verifier)
        both = [witness.key.verifier, second.key.verifier]
        assert len(open_checkpoint(acme.signed.sign(), [acme.verifier], both).cosigned) == 2


def test_409_the_size_that_the_witness_names_is_used(acme: Opened, witness: Witness) -> None:
    """As when the state forgot what the witness signed, or two processes asked at once."""
    acme.signed.witness(witness.url, witness.key.verifier)
    with acme.store.transaction() as connection:
        connection.exec_driver_sql("DELETE FROM cosignatures")
    acme.grow(3)
    assert acme.signed.witness(witness.url)[0].size == 8
    assert [b.split(b"\n")[0] for b in witness.requests] == [b"old 0", b"old 0", b"old 5"]
    witness.answers = [(409, "text/x.tlog.size", b"3\n")] * 9
    with pytest.raises(LogError, match="another size each time"):
        acme.signed.witness(witness.url)


def test_409_a_witness_that_saw_more_is_a_rollback(acme: Opened, witness: Witness) -> None:
    """It signed for more entries than there are: this state is an old one."""
    witness.seen[ORIGIN] = Head(9, bytes(32))
    with pytest.raises(VerificationError, match="signed for 9 entries, and this log has 5"):
        acme.signed.witness(witness.url, witness.key.verifier)


@on_both_databases
@pytest.mark.parametrize("size", [3, 5])
def test_422_another_log_under_this_name_stops(acme: Opened, witness: Witness, size: int) -> None:
    """Both checkpoints are kept, and that it refused; nothing of its answer is believed."""
    witness.seen[ORIGIN] = Head(size, leaf_hash(b"another"))
    with pytest.raises(SplitViewError, match="Stop, keep") as raised:
        acme.signed.witness(witness.url, witness.key.verifier)
    assert raised.value.size == size
    [known] = acme.signed.known_witnesses()
    assert (known.size, known.refused_size) == (None, 5)
    note = SignedNote.parse(acme.signed.checkpoint(5))
    assert len(note.signatures) == 1
    # When it was a mistake of the witness's, and is mended, that is noted as well.
    del witness.seen[ORIGIN]
    acme.signed.witness(witness.url)
    assert acme.signed.known_witnesses()[0].refused_size is None


def test_409_with_the_size_that_was_sent_is_a_split_view(acme: Opened, witness: Witness) -> None:
    """Some witnesses answer so when the size is the same and the root is another."""
    acme.signed.witness(witness.url, witness.key.verifier)
    witness.answers = [(409, "text/x.tlog.size", b"5\n")]
    with pytest.raises(SplitViewError):
        acme.signed.witness(witness.url)
    witness.answers = [(409, "text/plain", b"")]
    with pytest.raises(SplitViewError):
        acme.signed.witness(witness.url)


def test_404_and_403_say_what_to_give_the_witness(acme: Opened, witness: Witness) -> None:
    """It does not know the log, or knows other keys."""
    witness.logs.clear()
    with pytest.raises(StoreError, match="does not know this log"):
        acme.signed.witness(witness.url, witness.key.verifier)
    witness.trust(SignerKey.generate(ORIGIN).verifier)
    with pytest.raises(StoreError, match="other keys for this log"):
        acme.signed.witness(witness.url, witness.key.verifier)
    assert acme.signed.known_witnesses() == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, "text/plain", b"oops"), "HTTP status 500"),
        ((200, "text/plain", b""), "answered, but"),
        ((200, "text/plain", b"hello\n"), "answered, but"),
        ((200, "text/plain", b"\xff\n"), "answered, but"),
        ((200, "text/plain", b"x" * 70_000), "more than 65536"),
        ((409, "text/x.tlog.size", b"many\n"), "no number"),
        ((409, "text/x.tlog.size", b"07\n"), "no number"),
        ((302, "text/plain", b"http://127.0.0.1:9/"), "HTTP status 302"),
    ],
)
def test_an_answer_of_another_kind_is_refused(
    acme: Opened, witness: Witness, answer: tuple[int, str, bytes], told: str
) -> None:
    """Nothing is kept of it, and nothing is followed."""
    witness.answers = [answer]
    with pytest.raises(LogError, match=told):
        acme.signed.witness(witness.url, witness.key.verifier)
    assert len(SignedNote.parse(acme.signed.sign()).signatures) == 1


def test_a_signature_by_another_witness_is_not_kept(acme: Opened, witness: Witness) -> None:
    """What it answers must be by the key that was given, over this checkpoint."""
    key = witness.key.verifier
    text = SignedNote.parse(acme.signed.sign()).text
    stranger = SignerKey.generate("witness.example/w1", Algorithm.COSIGNATURE)
    wrong = witness.key.sign(text.replace("\n5\n", "\n6\n"), time=0)
    for signature in (stranger.sign(text, time=0), wrong):
        witness.answers = [(200, "text/plain", f"{signature}\n".encode())]
        with pytest.raises(VerificationError, match="answered, but"):
            acme.signed.witness(witness.url, key)
    assert acme.signed.known_witnesses() == []
    extra = f"{stranger.sign(text, time=0)}\n{witness.key.sign(text, time=7)}\n"
    witness.answers = [(200, "text/plain", extra.encode())]
    assert acme.signed.witness(witness.url, key)[1].time == 7


def test_a_key_of_a_log_is_no_witnesss(acme: Opened, witness: Witness) -> None:
    """A witness signs with the time, which a log's key does not."""
    with pytest.raises(StoreError, match="is a log's"):
        acme.signed.witness(witness.url, acme.verifier)


def test_a_witness_that_cannot_be_reached_is_said_to_be(acme: Opened, witness: Witness) -> None:
    """Nobody listens there, or it hangs up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(LogError, match="cannot be reached"):
            acme.signed.witness(url, witness.key.verifier)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "witness.example",
        "file:///etc/passwd",
        "ftp://a/b",
        "http://",
        "https://a.example/?x",
        "https://a.example/#x",
        "http://[::1",
    ],
)
def test_a_url_of_another_kind_is_refused(acme: Opened, witness: Witness, address: str) -> None:
    """Only http and https, with a host, and nothing behind the path."""
    with pytest.raises(StoreError, match=r"https://witness\.example"):
        acme.signed.witness(address, witness.key.verifier)


def test_rotated_keys_are_sent_to_the_witness(acme: Opened, witness: Witness) -> None:
    """During the overlap a witness that knows only the old key goes on signing."""
    acme.signed.witness(witness.url, witness.key.verifier)
    acme.signed.rotate()
    acme.grow(1)
    acme.signed.witness(witness.url)
    note = open_checkpoint(acme.signed.sign(), acme.verifiers, [witness.key.verifier])
    assert len(note.signed_by) == 2
