"""The log as a directory of tiles: against a naive implementation, and against damage."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules.checkpoint import Checkpoint, sign_checkpoint
from automation_rules.errors import LogError, VerificationError
from automation_rules.merkle import EMPTY_ROOT, Frontier, Head, leaf_hash, node_hash
from automation_rules.signed_note import Algorithm, SignerKey
from automation_rules.tiles import read_checkpoint, tile_path, verify_tiles, write_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STRANGER = Path(__file__).with_name("stranger_verify.py")
KEY = SignerKey("example.org/acme-log", Algorithm.ED25519, bytes(range(32)))
OTHER = SignerKey("example.org/acme-log", Algorithm.ED25519, bytes(32))
KEYS = [KEY.verifier]


def entry(index: int) -> bytes:
    """Return an entry, some of them long and one empty."""
    return b"" if index == 3 else f"entry {index} ".encode() * (1 + index % 5)


def leaves(start: int, stop: int) -> list[bytes]:
    """Return a span of the log."""
    return [entry(index) for index in range(start, stop)]


def head_of(size: int, of: Callable[[int], bytes] = entry) -> Head:
    """Return the head of the first entries, without a tile."""
    frontier = Frontier()
    for index in range(size):
        frontier.append(leaf_hash(of(index)))
    return Head(size, frontier.root)


def note(head: Head, key: SignerKey = KEY) -> bytes:
    """Sign a head."""
    return sign_checkpoint(Checkpoint(key.name, head.size, head.root), [key], time=0).to_bytes()


def export(directory: Path, size: int) -> int:
    """Write the first entries."""
    head = head_of(size)
    return write_tiles(directory, leaves, head, note(head))


def files(directory: Path) -> dict[str, bytes]:
    """Return every file below a directory."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


# --- a second implementation, from the specification's words


def naive_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over leaves that are hashed already."""
    if not hashes:
        return hashlib.sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(naive_root(hashes[:half]), naive_root(hashes[half:]))


def naive_tiles(size: int) -> dict[str, bytes]:
    """Every tile and bundle by the formula of c2sp.org/tlog-tiles."""
    entries = leaves(0, size)
    hashes = [leaf_hash(found) for found in entries]
    made = {}
    for level in range(4):
        span = 256**level
        for number in range(-(-(size // span) // 256)):
            found = [
                naive_root(hashes[at * span : (at + 1) * span])
                for at in range(number * 256, min((number + 1) * 256, size // span))
            ]
            assert number < 1000
            name = f"{number:03}" + (f".p/{len(found)}" if len(found) < 256 else "")
            made[f"tile/{level}/{name}"] = b"".join(found)
            if level == 0:
                part = entries[number * 256 : (number + 1) * 256]
                made[f"tile/entries/{name}"] = b"".join(
                    struct.pack(">H", len(one)) + one for one in part
                )
    return made


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 300, 511, 512, 600])
def test_a_directory_is_what_the_specification_says(tmp_path: Path, size: int) -> None:
    """Every file, its name and its bytes; and nothing else."""
    export(tmp_path, size)
    head = head_of(size)
    assert head.root == naive_root([leaf_hash(found) for found in leaves(0, size)])
    assert files(tmp_path) == {"checkpoint": note(head), **naive_tiles(size)}
    assert verify_tiles(tmp_path, KEYS).checkpoint.head == head


@pytest.mark.exhaustive
def test_100_000_entries_are_what_the_specification_says(tmp_path: Path) -> None:
    """Three levels of tiles, a second time from where it was interrupted, verified by both."""
    size = 100_000
    export(tmp_path, 70_000)
    assert export(tmp_path, size) == 70_000 // 256 * 256
    grown = files(tmp_path)
    # The specification's example: of 70,000 entries one tile of level 2 has a width of 1; and
    # what stays partial at 100,000 keeps its earlier widths.
    assert {name for name in grown if name.startswith("tile/2")} == {"tile/2/000.p/1"}
    kept = {"tile/1/001.p/17"}
    assert {**naive_tiles(size), "checkpoint": note(head_of(size))} == {
        name: data for name, data in grown.items() if name not in kept
    }
    assert verify_tiles(tmp_path, KEYS, against=head_of(70_000)).checkpoint.size == size
    assert stranger(tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (0, "tile/0/000"),
        (67, "tile/0/067"),
        (999, "tile/0/999"),
        (1000, "tile/0/x001/000"),
        # The example of c2sp.org/tlog-tiles.
        (1_234_067, "tile/0/x001/x234/067"),
        (10**9, "tile/0/x001/x000/x000/000"),
    ],
)
def test_numbers_are_written_in_groups_of_three(number: int, path: str) -> None:
    """So that no directory holds more than a thousand files."""
    assert tile_path(0, number) == path
    assert tile_path(0, number, 5) == f"{path}.p/5"


# --- repeating, growing, resuming


def test_repeating_an_export_changes_no_byte(tmp_path: Path) -> None:
    """The same files with the same bytes, here and in another directory."""
    export(tmp_path / "a", 600)
    before = files(tmp_path / "a")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    assert export(tmp_path / "a", 600) == 512
    export(tmp_path / "b", 600)
    assert files(tmp_path / "a") == before == files(tmp_path / "b")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == stamps


@settings(max_examples=12, deadline=None)
@given(sizes=st.lists(st.integers(0, 700), min_size=1, max_size=4).map(sorted))
def test_a_directory_grows_with_the_log(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    """In whatever steps, it ends as if it had been written at once, but for earlier widths.

    Every width that a checkpoint was signed for stays, until the tile is full.
    """
    directory = tmp_path_factory.mktemp("grown")
    for size in sizes:
        export(directory, size)
        assert verify_tiles(directory, KEYS).checkpoint.size == size
    wanted: dict[str, bytes] = {}
    for size in sizes:
        wanted |= naive_tiles(size)
    full = {name for name in wanted if ".p/" not in name}
    wanted = {n: data for n, data in wanted.items() if n.partition(".p/")[0] not in full - {n}}
    assert files(directory) == {**wanted, "checkpoint": note(head_of(sizes[-1]))}


class StopError(Exception):
    """The export was interrupted."""


def test_an_export_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    """Nothing half-written stays; what is there is not asked for again; the checkpoint is last."""
    head = head_of(1000)
    asked: list[int] = []

    def until_700(start: int, stop: int) -> Iterator[bytes]:
        asked.append(start)
        for index in range(start, stop):
            if index == 700:
                raise StopError
            yield entry(index)

    with pytest.raises(StopError):
        write_tiles(tmp_path, until_700, head, note(head))
    assert read_checkpoint(tmp_path) is None
    assert asked == [0, 256, 512]
    asked.clear()

    def rest(start: int, stop: int) -> list[bytes]:
        asked.append(start)
        return leaves(start, stop)

    told: list[tuple[int, int]] = []
    progress: Callable[[int, int], None] = lambda done, total: told.append((done, total))  # noqa: E731
    assert write_tiles(tmp_path, rest, head, note(head), progress=progress) == 512
    assert asked == [512, 768]
    assert told == [(256, 1000), (512, 1000), (768, 1000), (1000, 1000)]
    assert files(tmp_path) == {"checkpoint": note(head), **naive_tiles(1000)}


def test_a_disk_that_fails_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to do, and the next export goes on."""
    with monkeypatch.context() as patch:

        def fail(_: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", fail)
        with pytest.raises(LogError, match="disk's room"):
            export(tmp_path, 300)
    assert files(tmp_path) == {}
    export(tmp_path, 300)
    verify_tiles(tmp_path, KEYS)


def test_what_was_damaged_is_written_again(tmp_path: Path) -> None:
    """The state is where the truth is; an export mends what does not fit."""
    export(tmp_path, 600)
    before = files(tmp_path)
    for name in ("tile/entries/000", "tile/0/001", "tile/1/000.p/2", "checkpoint"):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:-1])
    export(tmp_path, 600)
    assert files(tmp_path) == before


def test_entries_without_the_signed_root_are_not_exported(tmp_path: Path) -> None:
    """No checkpoint is written over what it does not cover."""
    wrong = Head(300, leaf_hash(b"another"))
    with pytest.raises(VerificationError, match="audit verify"):
        write_tiles(tmp_path, leaves, wrong, note(wrong))
    assert read_checkpoint(tmp_path) is None
    head = head_of(300)
    with pytest.raises(VerificationError, match="fewer than 300"):
        write_tiles(tmp_path / "x", lambda start, stop: leaves(start, stop)[:-1], head, note(head))


def test_another_log_in_the_directory_is_noticed(tmp_path: Path) -> None:
    """Its full tiles fit themselves, but not the root that was signed."""
    other = head_of(300, lambda index: entry(index) + b"!")
    write_tiles(
        tmp_path,
        lambda start, stop: [found + b"!" for found in leaves(start, stop)],
        other,
        note(other),
    )
    with pytest.raises(VerificationError, match="another directory"):
        export(tmp_path, 300)


def test_exported_files_are_for_everybody(tmp_path: Path) -> None:
    """A web server may read them; nothing of the export is secret."""
    export(tmp_path, 3)
    if os.name == "posix":
        mask = os.umask(0)
        os.umask(mask)
        assert stat.S_IMODE((tmp_path / "checkpoint").stat().st_mode) == 0o666 & ~mask


def test_a_pruned_log_is_exported_from_its_hashes(tmp_path: Path) -> None:
    """Bundles of which nothing is kept are missing; hashes, proofs and the root are not."""
    head = head_of(1000)

    def kept(start: int, stop: int) -> list[bytes]:
        assert start >= 512
        return leaves(start, stop)

    def hashes(start: int, stop: int) -> list[bytes]:
        return [leaf_hash(entry(index)) for index in range(start, stop)]

    write_tiles(tmp_path / "new", kept, head, note(head), pruned=hashes, first=600)
    gone = {"tile/entries/000", "tile/entries/001"}
    wanted = {"checkpoint": note(head), **naive_tiles(1000)}
    assert files(tmp_path / "new") == {n: d for n, d in wanted.items() if n not in gone}
    for first in (512, 600, 1000):
        assert verify_tiles(tmp_path / "new", KEYS, first=first, against=head_of(300))
    for first in (0, 511):
        with pytest.raises(VerificationError, match="is missing"):
            verify_tiles(tmp_path / "new", KEYS, first=first)
    flip(tmp_path / "new" / "tile/0/000", 5)
    with pytest.raises(VerificationError):
        verify_tiles(tmp_path / "new", KEYS, first=600)
    # What was exported before it was pruned stays, and is verified whenever it is there.
    export(tmp_path / "old", 700)
    write_tiles(tmp_path / "old", kept, head, note(head), pruned=hashes, first=600)
    assert wanted.items() <= files(tmp_path / "old").items()
    flip(tmp_path / "old" / "tile/entries/000", 5)
    with pytest.raises(VerificationError):
        verify_tiles(tmp_path / "old", KEYS, first=600)


# --- verifying


def flip(path: Path, at: int) -> None:
    """Change a byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an export of 600 entries: two full tiles and a partial one."""
    directory = tmp_path_factory.mktemp("whole")
    export(directory, 600)
    return directory


@pytest.fixture
def exported(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of it to damage."""
    return shutil.copytree(whole, tmp_path / "exported")


def stranger(directory: Path, key: SignerKey = KEY) -> subprocess.CompletedProcess[str]:
    """Run the stand-alone verifier, away from this project's code."""
    return subprocess.run(
        [sys.executable, "-I", STRANGER, str(key.verifier), directory],
        capture_output=True,
        text=True,
        check=False,
    )


def refused(directory: Path, **options: Head) -> VerificationError:
    """Return the error with which a directory is refused."""
    with pytest.raises(VerificationError) as raised:
        verify_tiles(directory, KEYS, against=options.get("against"))
    return raised.value


def test_a_stranger_verifies_the_export(whole: Path) -> None:
    """A program that has nothing of this project reads every file, and says what it found."""
    done = stranger(whole)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"example.org/acme-log: 600 entries, root {head_of(600).root.hex()}\n"
    assert "wrong" not in done.stderr
    assert stranger(whole, OTHER).returncode == 1


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("tile/entries/000", 0),
        ("tile/entries/000", 9),
        ("tile/entries/001", -1),
        ("tile/entries/002.p/88", 30),
        ("tile/0/000", 0),
        ("tile/0/001", 8191),
        ("tile/0/002.p/88", 40),
        ("tile/1/000.p/2", 33),
        ("checkpoint", 25),
        ("checkpoint", -3),
    ],
)
def test_one_changed_byte_anywhere_is_noticed(exported: Path, name: str, at: int) -> None:
    """In an entry, a hash, a root or the checkpoint: by us and by the stranger."""
    flip(exported / name, at)
    refused(exported)
    assert stranger(exported).returncode == 1


def test_the_first_wrong_entry_is_named(exported: Path) -> None:
    """A changed byte in entry 261 is that entry's."""
    bundle = b"".join(struct.pack(">H", len(e)) + e for e in leaves(256, 261))
    flip(exported / "tile/entries/001", len(bundle) + 4)
    assert refused(exported).index == 261


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_noticed(whole: Path, data: st.DataObject) -> None:
    """Whichever file, whichever byte, whatever is put in its place."""
    name = data.draw(st.sampled_from(sorted(files(whole))))
    path = whole / name
    kept = path.read_bytes()
    at = data.draw(st.integers(0, len(kept) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != kept[at]))
    path.write_bytes(kept[:at] + bytes([value]) + kept[at + 1 :])
    try:
        refused(whole)
    finally:
        path.write_bytes(kept)
    verify_tiles(whole, KEYS)


@pytest.mark.parametrize("name", sorted({"checkpoint", *naive_tiles(600)}))
def test_a_file_that_is_cut_off_too_long_or_missing_is_noticed(exported: Path, name: str) -> None:
    """Each of the files is needed whole, and nothing may follow."""
    path = exported / name
    kept = path.read_bytes()
    # The last character of a note is a line end, which it needs.
    for data in (kept[:-1], kept[: len(kept) // 2], b"", kept + b"\0"):
        path.write_bytes(data)
        refused(exported)
    path.unlink()
    assert "checkpoint" in str(refused(exported)) or name in str(refused(exported))
    path.mkdir()
    with pytest.raises((VerificationError, LogError)):
        verify_tiles(exported, KEYS)


def test_tiles_that_change_places_are_noticed(exported: Path) -> None:
    """Each fits itself, but not the tree."""
    for kind in ("entries", "0"):
        one, two = exported / f"tile/{kind}/000", exported / f"tile/{kind}/001"
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
    refused(exported)
    assert stranger(exported).returncode == 1


@pytest.mark.parametrize(
    "signed",
    [
        pytest.param(note(head_of(600), OTHER), id="another key"),
        pytest.param(note(Head(599, head_of(600).root)), id="size - 1"),
        pytest.param(note(Head(601, head_of(600).root)), id="size + 1"),
        pytest.param(note(Head(600, head_of(599).root)), id="another root"),
        pytest.param(note(head_of(600)).replace(b"acme", b"acne"), id="another origin"),
        pytest.param(
            sign_checkpoint(
                Checkpoint("example.org/b", 600, head_of(600).root), [KEY], time=0
            ).to_bytes(),
            id="another log",
        ),
        pytest.param(note(head_of(600)) + b"junk\n", id="junk below"),
    ],
)
def test_a_checkpoint_that_is_not_the_logs_is_noticed(exported: Path, signed: bytes) -> None:
    """Another key, size, root or origin; a log that lies about its own size too."""
    (exported / "checkpoint").write_bytes(signed)
    refused(exported)
    if not signed.endswith(b"junk\n"):
        assert stranger(exported).returncode == 1


def test_a_log_that_went_back_is_noticed(exported: Path) -> None:
    """Against a head that somebody wrote down, it must have grown."""
    for size in (0, 1, 255, 256, 257, 512, 599, 600):
        assert verify_tiles(exported, KEYS, against=head_of(size)).checkpoint.size == 600
    back = refused(exported, against=head_of(601))
    assert back.index == 600
    assert "went back" in str(back)
    for size in (0, 1, 256, 512, 600):
        refused(exported, against=Head(size, leaf_hash(b"another")))
    assert verify_tiles(exported, KEYS, against=Head(0, EMPTY_ROOT)).checkpoint.size == 600


def test_what_is_no_export_is_said_to_be_none(tmp_path: Path) -> None:
    """An empty directory, or none at all, is refused with words."""
    for directory in (tmp_path, tmp_path / "none"):
        assert "is it an exported log?" in str(refused(directory))
    file = tmp_path / "file"
    file.write_text("x")
    assert "is it an exported log?" in str(refused(file))


def test_progress_is_told_while_verifying(whole: Path) -> None:
    """Entries done, and how many there are."""
    told: list[tuple[int, int]] = []
    verify_tiles(whole, KEYS, progress=lambda done, total: told.append((done, total)))
    assert told == [(256, 600), (512, 600), (600, 600)]


def test_the_verifier_that_the_documentation_shows_is_this_one() -> None:
    """The page about formats has the whole of the stand-alone program."""
    page = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
    program = STRANGER.read_text("utf-8")
    assert f"<!-- file: stranger_verify.py -->\n```python\n{program}```\n" in page.read_text(
        "utf-8"
    )
    assert "automation_rules" not in program


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    """Twenty times the entries are written and verified in the same room."""

    def peak(size: int) -> int:
        head = head_of(size)
        directory = tmp_path / str(size)
        tracemalloc.start()
        try:
            write_tiles(directory, leaves, head, note(head))
            verify_tiles(directory, KEYS)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(600)  # What is made once.
    assert peak(12_000) < 2 * peak(600)
