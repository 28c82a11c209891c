"""``automation-rules privacy``: erasing, keeping, handing out and pruning what is personal."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from ..clock import SystemClock, to_london
from ..texts import ui
from .audit import parse_head
from .common import Output, load, output_options, say
from .records import write_record
from .state import TEXT, open_store, parsed, state_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from ..audit import DecisionLog
    from ..merkle import Head
    from ..privacy import Privacy
    from ..remembered_heads import RememberedHeads
    from ..store import Store
    from ..vault import Subject, Vault

__all__ = ["privacy"]

_KINDS: Final = ("tenant", "todo", "operator", "partnership_manager")
_AGE: Final = re.compile(r"([1-9][0-9]{0,3})([dmy])", re.ASCII)
_FILE: Final = click.Path(path_type=Path)


@click.group()
def privacy() -> None:
    """Erase, hold, hand out and prune what is personal, and change the key that seals it."""


class _Opened(NamedTuple):
    store: Store
    heads: RememberedHeads
    vault: Vault
    log: DecisionLog
    privacy: Privacy


@contextmanager
def _opened(state: str | None) -> Iterator[_Opened]:
    """Open the state with its key."""
    from ..audit import DecisionLog, RememberedHeads
    from ..privacy import Privacy
    from ..vault import Vault, WrappingKey, key_path

    with open_store(state) as store:
        vault = Vault(WrappingKey.load(None if store.path is None else key_path(store.path)))
        with RememberedHeads.open() as heads, DecisionLog(store, vault, heads=heads) as log:
            yield _Opened(store, heads, vault, log, Privacy(store, log, vault, SystemClock()))


def _subject_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--landlord", "landlord_id", metavar="ID", required=True, type=TEXT),
        click.option(
            "--kind", type=click.Choice(_KINDS), required=True, help="Who or what SUBJECT is."
        ),
        click.argument("subject_id", metavar="SUBJECT", type=TEXT),
    ):
        function = option(function)
    return function


def _subject(kind: str, landlord_id: str, subject_id: str) -> Subject:
    from ..vault import Kind, Subject

    return Subject(Kind(kind), landlord_id, subject_id)


_by = click.option(
    "--by", "person_id", metavar="PERSON", required=True, help="A registered person."
)


# --- erase ------------------------------------------------------------------------------------


@privacy.command("erase")
@_subject_options
@state_option
@output_options("text", "json")
def _erase(*, kind: str, landlord_id: str, subject_id: str, state: str | None, out: Output) -> None:
    """Erase a person or a to-do: everywhere, for good.

    SUBJECT is the identifier, or the name of a partnership manager. What is sealed about it can
    never be read again, what stands in the registry in clear is deleted, and every proof that was
    ever taken of the log still verifies. Copies of the state are not reached.
    """
    with _opened(state) as opened:
        done = opened.privacy.erase(_subject(kind, landlord_id, subject_id))
    notes = [ui("privacy.copies").to(out.lang)]
    if done.elsewhere:
        said = ui("privacy.elsewhere", landlords=list(done.elsewhere))
        notes.append(said.to(out.lang))
    record: dict[str, Any] = {
        "index": done.index,
        "envelopes": done.envelopes,
        "registry": done.registry,
    }
    if out.format == "json":
        record["elsewhere"] = list(done.elsewhere)
    write_record(out, "erasure", record, said=ui("privacy.erased").to(out.lang), notes=notes)


# --- holds ------------------------------------------------------------------------------------


@privacy.command("hold")
@_subject_options
@click.option("--reason", required=True, metavar="TEXT", type=TEXT, help="Sealed, never in clear.")
@_by
@state_option
@output_options("text", "json")
def _hold(
    *,
    kind: str,
    landlord_id: str,
    subject_id: str,
    reason: str,
    person_id: str,
    state: str | None,
    out: Output,
) -> None:
    """Keep everything about SUBJECT until a person releases it, as for a claim at court.

    Until then it cannot be erased, and no entry about it is pruned.
    """
    with _opened(state) as opened:
        subject = _subject(kind, landlord_id, subject_id)
        receipt = opened.privacy.hold(subject, reason=reason, by=person_id)
    said = ui("privacy.held").to(out.lang)
    write_record(out, "hold", {"index": receipt.index}, said=said)


@privacy.command("release")
@_subject_options
@_by
@state_option
@output_options("text", "json")
def _release(
    *,
    kind: str,
    landlord_id: str,
    subject_id: str,
    person_id: str,
    state: str | None,
    out: Output,
) -> None:
    """End a legal hold."""
    with _opened(state) as opened:
        receipt = opened.privacy.release(_subject(kind, landlord_id, subject_id), by=person_id)
    said = ui("privacy.released").to(out.lang)
    write_record(out, "release", {"index": receipt.index}, said=said)


# --- subject access ---------------------------------------------------------------------------


@privacy.command("export")
@_subject_options
@click.argument("directory", type=_FILE, metavar="DIR")
@click.option("--with-operators", is_flag=True, help="Also who typed in codes and placed holds.")
@click.option(
    "--policy",
    "policy_files",
    metavar="FILE",
    multiple=True,
    help="Include this policy, if it decided; may be given more than once.",
)
@click.option(
    "--signing-key", "key_file", type=_FILE, metavar="FILE", help="As for `audit export`."
)
@state_option
@output_options("text", "json")
def _export(
    *,
    kind: str,
    landlord_id: str,
    subject_id: str,
    directory: Path,
    with_operators: bool,
    policy_files: tuple[str, ...],
    key_file: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write all that is kept about SUBJECT into a new directory, to be handed over.

    Each entry comes with its proof, the terms and policies that decided, and how to verify it.
    Other people stay tokens.
    """
    from ..subject_access import subject_bundle, write_bundle

    policies = [load(None), *(load(name) for name in policy_files)]
    described = [{**one.describe(), "digest": one.info.digest} for one in policies]
    with _opened(state) as opened:
        prove, about = _prover(opened, key_file)
        files = subject_bundle(
            opened.store,
            opened.log,
            opened.vault,
            SystemClock(),
            _subject(kind, landlord_id, subject_id),
            prove=prove,
            about=about,
            policies=described,
            with_operators=with_operators,
        )
        write_bundle(directory, files)
    entries = sum(name.startswith("entries/") for name in files)
    said = ui("privacy.exported").to(out.lang)
    record = {"directory": str(directory), "entries": entries}
    notes = [] if about else [ui("privacy.unsigned").to(out.lang)]
    write_record(out, "export", record, said=said, notes=notes)


def _prover(
    opened: _Opened, key_file: Path | None
) -> tuple[Callable[[int], tuple[str, bytes]], dict[str, bytes]]:
    """Return what proves an entry, and the verifier keys when the log is signed."""
    from ..signed_log import SignedLog
    from ..signing_key import KeyFile

    file = KeyFile.of(opened.store.log_id, key_file)
    signed = SignedLog(opened.store, opened.log, file, opened.heads, SystemClock())
    if signed.origin is None:
        size = opened.log.head().size

        def prove(index: int) -> tuple[str, bytes]:
            proof = opened.log.prove_inclusion(index, size)
            document = {
                "index": proof.index,
                "size": proof.size,
                "leaf_hash": proof.leaf_hash.hex(),
                "root": proof.root.hex(),
                "hashes": [found.hex() for found in proof.hashes],
            }
            return "json", (json.dumps(document, indent=2) + "\n").encode()

        return prove, {}
    signed.sign()
    size = opened.log.head().size
    keys = "".join(f"{known.verifier}\n" for known in signed.known_keys())

    def prove_signed(index: int) -> tuple[str, bytes]:
        return "tlog-proof", signed.prove(index, size).to_bytes()

    return prove_signed, {"verifier-keys.txt": keys.encode()}


# --- retention --------------------------------------------------------------------------------


def _age(text: str) -> str:
    if not _AGE.fullmatch(text):
        raise ValueError("must be a number of days, months or years: 90d, 24m or 2y")
    return text


def _before(age: str, now: datetime) -> datetime:
    """Return the instant that long ago, by London's calendar."""
    from dateutil.relativedelta import relativedelta

    number, unit = age[:-1], {"d": "days", "m": "months", "y": "years"}[age[-1]]
    return to_london(now) - relativedelta(**{unit: int(number)})  # type: ignore[arg-type]


@privacy.command("retain")
@click.option(
    "--older-than",
    "age",
    required=True,
    type=parsed("age", _age),
    metavar="AGE",
    help="Days, months or years: 90d, 24m, 2y.",
)
@click.option(
    "--export",
    "directory",
    type=_FILE,
    metavar="DIR",
    help="The export that has the entries: verified now, from its first entry to its last.",
)
@click.option(
    "--exported-head",
    "head",
    type=parsed("head", parse_head),
    metavar="SIZE:ROOT",
    help="Instead: the head of an export that was verified elsewhere.",
)
@state_option
@output_options("text", "json")
def _retain(
    *,
    age: str,
    directory: Path | None,
    head: tuple[int, bytes] | None,
    state: str | None,
    out: Output,
) -> None:
    """Prune entries that are older than AGE, of which a verified export is kept.

    Only from the beginning of the log, in bundles of 256 as exports have them, and nothing about
    anybody under a legal hold. What remains verifies as before, and so does every earlier proof.
    """
    if (directory is None) == (head is None):
        raise click.UsageError("give either --export or --exported-head")
    from ..audit import Head

    now = SystemClock().now()
    before = _before(age, now)
    with _opened(state) as opened:
        exported = Head(*head) if head else _verified(opened, directory or Path(), out)
        done = opened.privacy.retain(before, exported)
        first = opened.log.first()
    record = {"before": before, "entries": 0 if done is None else done.entries, "first": first}
    said = ui("privacy.nothing_old" if done is None else "privacy.pruned").to(out.lang)
    write_record(out, "retention", record, said=said)


def _verified(opened: _Opened, directory: Path, out: Output) -> Head:
    """Verify an export of this log with the log's own keys; return its head."""
    from ..signed_log import SignedLog
    from ..signing_key import KeyFile
    from ..tiles import verify_tiles
    from .audit import progress_bar

    file = KeyFile.of(opened.store.log_id, None)
    signed = SignedLog(opened.store, opened.log, file, opened.heads, SystemClock())
    keys = [known.verifier for known in signed.known_keys()]
    with progress_bar(out) as step:
        return verify_tiles(directory, keys, progress=step).checkpoint.head


# --- the wrapping key -------------------------------------------------------------------------


@privacy.command("rotate-key")
@click.option(
    "--to",
    "target",
    type=_FILE,
    metavar="FILE",
    help="Where the new key goes, when the present one is in the environment.",
)
@state_option
@output_options("text", "json")
def _rotate(*, target: Path | None, state: str | None, out: Output) -> None:
    """Change the key under which people's keys lie wrapped in the state.

    The log is not touched, and the old key opens nothing any more, except in older copies of the
    state. End the programs that use the state first, and start them again afterwards: with the
    old key they record nothing. If this was interrupted, run it again.
    """
    from ..privacy import rotate_wrapping_key
    from ..vault import WRAPPING_KEY_VARIABLE, WrappingKey, key_path

    with open_store(state) as store:
        path = None if store.path is None else key_path(store.path)
        if path is None or os.environ.get(WRAPPING_KEY_VARIABLE):
            if target is None:
                raise click.UsageError(
                    f"the key is in {WRAPPING_KEY_VARIABLE}: name a file for the new one with "
                    "--to, and put what it holds into the variable afterwards"
                )
            new_file, place = target, target
        else:
            if target is not None:
                raise click.UsageError(f"the key is in {path}, where the new one goes: leave --to")
            new_file, place = path.with_name(path.name + ".new"), path
        old = WrappingKey.load(path)
        new = WrappingKey.read(new_file) if new_file.exists() else WrappingKey.create(new_file)
        count = rotate_wrapping_key(store, old, new)
        if place != new_file:
            try:
                new_file.replace(place)
            except OSError as error:
                raise click.FileError(str(place), "put the .new file beside it there") from error
    if place == target:
        say(ui("privacy.put_key", variable=WRAPPING_KEY_VARIABLE).to(out.lang))
    record = {"key": str(place), "keys": count}
    write_record(out, "rotation", record, said=ui("privacy.rotated").to(out.lang))
