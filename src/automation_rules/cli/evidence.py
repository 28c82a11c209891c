"""``automation-rules audit``: signing the log, and handing it to outsiders who verify it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..clock import SystemClock
from ..errors import StoreError, VerificationError
from ..texts import ui
from .audit import counted, progress_bar, show_entry, write_broken, write_holds
from .common import OK, Output, output_options, say
from .records import write_record
from .state import open_store, parsed, state_option
from .trust import VERIFIER_KEYS, trust_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..checkpoint import Checkpoint
    from ..signed_log import SignedLog
    from ..signed_note import VerifierKey
    from .trust import Trust

__all__ = [
    "consistency",
    "export",
    "init",
    "keys",
    "proof",
    "rotate_key",
    "verify_consistency",
    "verify_exported",
    "verify_proof",
    "witness",
]

_MOST_BYTES: Final = 1_000_000
_SIZE: Final = click.IntRange(0, 10**18 - 1)
_FILE: Final = click.Path(path_type=Path)

_signing_key = click.option(
    "--signing-key",
    type=_FILE,
    metavar="FILE",
    help="The file of the keys that sign; by default $AUTOMATION_RULES_SIGNING_KEY, else one in "
    "the user's configuration directory.",
)
_at_size = click.option(
    "--size",
    type=_SIZE,
    metavar="NUMBER",
    help="Use the checkpoint that was signed at that many entries; by default sign a new one.",
)


@contextmanager
def _signing(state: str | None, key_file: Path | None) -> Iterator[tuple[SignedLog, Path]]:
    """Open the log to sign it; give it with the file that its keys are in."""
    from ..audit import DecisionLog, RememberedHeads
    from ..signed_log import SignedLog
    from ..signing_key import KeyFile

    with (
        open_store(state) as store,
        RememberedHeads.open() as heads,
        DecisionLog(store, heads=heads) as log,
    ):
        file = KeyFile.of(store.log_id, key_file)
        yield SignedLog(store, log, file, heads, SystemClock()), file.path


def _read(path: Path, option: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise click.BadParameter("cannot be read", param_hint=f"'{option}'") from error
    if len(data) > _MOST_BYTES:
        raise click.BadParameter(f"has more than {_MOST_BYTES} bytes", param_hint=f"'{option}'")
    return data


# --- keys -------------------------------------------------------------------------------------


@click.command()
@click.option(
    "--origin",
    metavar="NAME",
    help="The name under which the log is signed, such as example.org/acme-log: once and for all.",
)
@click.option(
    "--ml-dsa-44", "ml_dsa", is_flag=True, help="Also sign so that no quantum computer can forge."
)
@_signing_key
@state_option
@output_options("text", "json")
def init(
    *, origin: str | None, ml_dsa: bool, signing_key: Path | None, state: str | None, out: Output
) -> None:
    """Give the log a name and a key to sign it with.

    The key is kept in a file of its own, outside the state. Hand the verifier key that is printed
    to everybody who may want to verify the log, now: what they have had all along, nobody can
    replace.
    """
    with _signing(state, signing_key) as (log, path):
        made = log.init(origin, ml_dsa=ml_dsa)
        record = _identity(log, path)
    said = ui("evidence.made" if made else "evidence.exists").to(out.lang)
    notes = [ui("evidence.give").to(out.lang), ui("evidence.keep").to(out.lang)] if made else []
    write_record(out, "signing", record, said=said, notes=notes)


def _identity(log: SignedLog, path: Path) -> dict[str, Any]:
    known = log.known_keys()
    return {
        "origin": log.origin,
        "verifier_key": [str(key.verifier) for key in known if key.retired_at is None],
        "signing_key": str(path),
    }


@click.command()
@click.option(
    "--vkey", is_flag=True, help="Only the verifier keys in use, a line each: what others need."
)
@_signing_key
@state_option
@output_options("text", "json")
def keys(*, vkey: bool, signing_key: Path | None, state: str | None, out: Output) -> None:
    """Show the verifier keys of the log, earlier ones too, and its witnesses."""
    with _signing(state, signing_key) as (log, path):
        record = _identity(log, path)
        _require_keys(log)
        retired = [str(k.verifier) for k in log.known_keys() if k.retired_at is not None]
        found = log.known_witnesses()
    if vkey and out.format == "text":
        out.write("".join(f"{key}\n" for key in record["verifier_key"]))
        return
    if out.format == "json":
        asked = [
            {
                "url": one.url,
                "verifier_key": str(one.verifier),
                "size": one.size,
                "refused_size": one.refused_size,
            }
            for one in found
        ]
        write_record(out, "signing", {**record, "retired_keys": retired, "witnesses": asked})
        return
    lines = [
        ui("evidence.refused" if one.refused_size is not None else "evidence.witnessed").to(
            out.lang
        )
        + f": {one.url} ({one.size or 0})"
        for one in found
    ]
    write_record(out, "signing", {**record, "retired_keys": retired}, notes=lines)


@click.command("rotate-key")
@click.option("--finish", is_flag=True, help="End the overlap: retire the old key.")
@click.option("--lost", is_flag=True, help="The old key is lost or stolen: retire it at once.")
@_signing_key
@state_option
@output_options("text", "json")
def rotate_key(
    *, finish: bool, lost: bool, signing_key: Path | None, state: str | None, out: Output
) -> None:
    """Change the key that signs the log.

    From then on checkpoints carry both signatures. Hand the new verifier key to everybody who has
    the old one, and then end the overlap with --finish. What was signed before still verifies
    with the old verifier key.
    """
    if finish and lost:
        raise click.UsageError("--finish and --lost exclude each other")
    with _signing(state, signing_key) as (log, path):
        if finish:
            log.finish_rotation()
        else:
            log.rotate(lost=lost)
        record = _identity(log, path)
    said = ui("evidence.rotated" if finish or lost else "evidence.overlap").to(out.lang)
    notes = [] if finish else [ui("evidence.give").to(out.lang)]
    write_record(out, "signing", record, said=said, notes=notes)


# --- handing out ------------------------------------------------------------------------------


def _export_tiles(
    directory: Path | None,
    *,
    size: int | None,
    first: int | None,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write a tlog-tiles directory."""
    if directory is None:
        raise click.UsageError("name the directory to export to")
    if first is not None:
        raise click.UsageError("--first is for events: a directory is written from the beginning")
    with _signing(state, signing_key) as (log, path):
        if log.origin is None:
            log.init()
            for label in ("evidence.made", "evidence.give"):
                say(ui(label).to(out.lang))
        with progress_bar(out, "progress.exporting") as step:
            done = log.export(directory, size, progress=step)
        record = {
            "directory": str(directory),
            **_head(done.checkpoint),
            "reused": done.reused,
            **_identity(log, path),
        }
    write_record(out, "export", record, said=ui("evidence.exported").to(out.lang))


def _export_events(
    file: Path | None,
    *,
    format: str,
    size: int | None,
    first: int | None,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write events for a SIEM, one a line."""
    import json

    from .. import siem
    from ..audit import DecisionLog

    if size is not None or signing_key is not None:
        raise click.UsageError("--size and --signing-key are for tiles: events are not signed")
    if file is not None and str(file) != "-":
        if out.file is not None:
            raise click.UsageError("name the file once: FILE and --output-file exclude each other")
        out.file = file
    make = siem.ocsf_events if format == "ocsf" else siem.ecs_events
    with (
        open_store(state) as store,
        DecisionLog(store) as log,
        progress_bar(out, "progress.exporting") as step,
    ):
        entries = log.entries() if first is None else log.entries(first)
        events = make(counted(entries, log.head().size, step), log_id=store.log_id)
        out.write_lines(json.dumps(event) for event in events)


_FORMATS: Final[dict[str, Callable[..., None]]] = {
    "tiles": _export_tiles,
    "ocsf": partial(_export_events, format="ocsf"),
    "ecs": partial(_export_events, format="ecs"),
}
"""What ``audit export`` can write. Each is called with all that was given."""


@click.command()
@click.argument("target", type=_FILE, metavar="[DIR | FILE | -]", required=False)
@click.option(
    "--format",
    "format",
    type=click.Choice(list(_FORMATS)),
    default="tiles",
    show_default=True,
    help="tiles: a directory in the open form C2SP tlog-tiles, which outsiders verify. ocsf, ecs: "
    "events for a SIEM, one JSON object a line.",
)
@click.option(
    "--first",
    type=_SIZE,
    metavar="INDEX",
    help="Begin the events with this entry; by default the first.",
)
@_at_size
@_signing_key
@state_option
@output_options("text", "json")
def export(
    *,
    target: Path | None,
    format: str,
    first: int | None,
    size: int | None,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write the log into a directory that outsiders verify without this program.

    Run it again to add what is new: nothing else changes. The directory can be put on any web
    server. A log that has no signing key yet gets one, and that is said.

    With --format ocsf or ecs, write its entries as events for a SIEM instead, to FILE or to
    standard output. To go on later, give --first one more than the last event's sequence number.
    """
    _FORMATS[format](target, size=size, first=first, signing_key=signing_key, state=state, out=out)


def _head(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


@click.command()
@click.argument("index", type=_SIZE)
@_at_size
@click.option("--without-entry", is_flag=True, help="Leave the entry itself out of the file.")
@_signing_key
@state_option
@output_options("text", "json")
def proof(
    *,
    index: int,
    size: int | None,
    without_entry: bool,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write the proof that entry INDEX is in the log, for somebody who has no access to it.

    It is one file of a few lines, which `verify-proof` and other programs verify. By custom its
    name ends in .tlog-proof: give one with --output-file.
    """
    with _signing(state, signing_key) as (log, _):
        _require_keys(log)
        _require_entry(log, index, size)
        found = log.prove(index, size, entry=not without_entry)
    _write_file(out, "proof", found.to_bytes(), index=index)


def _require_keys(log: SignedLog) -> None:
    if log.origin is None:
        raise StoreError(
            "this log has no signing key yet: run `automation-rules audit init`, and hand its "
            "verifier key to who verifies"
        )


def _require_entry(log: SignedLog, index: int, size: int | None) -> None:
    have = log.size if size is None else min(size, log.size)
    if index >= have:
        raise click.UsageError(f"there is no entry {index}: the log has {have}, counted from 0")


def _write_file(out: Output, name: str, data: bytes, **about: int) -> None:
    if out.format == "json":
        out.write_json({**about, name: data.decode()})
    else:
        out.write(data)


def _size_or_checkpoint(text: str) -> int | Path:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    return Path(text)


_SIZE_OR_FILE: Final = parsed("size or file", _size_or_checkpoint)


@click.command()
@click.argument("old", type=_SIZE_OR_FILE)
@click.argument("new", type=_SIZE_OR_FILE, required=False)
@_signing_key
@state_option
@output_options("text", "json")
def consistency(
    *,
    old: int | Path,
    new: int | Path | None,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Write the proof that the log at NEW only added to the log at OLD.

    Each is a number of entries, or a file with a checkpoint; without NEW it is the log as it is
    now. It is for somebody who holds the checkpoint of OLD, and `verify-consistency` verifies it.
    """
    with _signing(state, signing_key) as (log, _):
        _require_keys(log)
        sizes = [one if not isinstance(one, Path) else _size_in(one, log) for one in (old, new)]
        found = log.prove_growth(sizes[0] or 0, sizes[1])
    _write_file(out, "consistency", found.to_bytes(), old=found.old)


def _size_in(path: Path, log: SignedLog) -> int:
    """Return the size of the checkpoint in a file, which this log has signed."""
    from ..checkpoint import open_checkpoint

    known = [key.verifier for key in log.known_keys()]
    return open_checkpoint(_read(path, str(path)), known).checkpoint.size


# --- verifying --------------------------------------------------------------------------------


def verify_exported(
    directory: Path, trust: Trust, given: tuple[int, bytes] | None, first: int, out: Output
) -> int:
    """Verify an exported directory, without any state; return the exit code."""
    from ..merkle import Head
    from ..tiles import verify_tiles

    if not trust.keys:
        raise click.UsageError("--tiles needs the log's verifier key: give it with --key")
    head = None if given is None else Head(*given)
    try:
        with progress_bar(out) as step:
            opened = verify_tiles(
                directory, trust.keys, trust.witnesses, against=head, first=first, progress=step
            )
    except VerificationError as error:
        return write_broken(error, out)
    return write_holds(
        opened.checkpoint.head,
        "nothing" if given is None else "given",
        out,
        signed_by=[key.name for key in opened.signed_by],
        witnessed_by=[key.name for key in opened.cosigned],
    )


def _write_unproved(error: VerificationError, out: Output) -> int:
    """Write that a proof does not hold, which says nothing of any entry."""
    return write_broken(VerificationError(str(error)), out, "evidence.unproved")


@click.command("verify-proof")
@click.argument("file", type=_FILE)
@trust_options(required=True)
@click.option(
    "--leaf",
    type=_FILE,
    metavar="FILE",
    help="The entry, byte for byte; by default the one in the proof.",
)
@output_options("text", "json")
def verify_proof(*, file: Path, trust: Trust, leaf: Path | None, out: Output) -> int:
    """Verify the proof in FILE that an entry is in a log; exit 1 when it does not hold.

    Neither the state nor the network is needed.
    """
    from ..audit import Entry
    from ..leaf_schema import read_leaf
    from ..tlog_proof import TlogProof

    try:
        found = TlogProof.parse(_read(file, "FILE"))
        entry = found.extra if leaf is None else _read(leaf, "--leaf")
        if entry is None:
            raise click.UsageError("the proof does not hold the entry: give it with --leaf")
        opened = found.verify(entry, trust.keys, trust.witnesses)
        document = read_leaf(entry, index=found.index)
    except VerificationError as error:
        return _write_unproved(error, out)
    if out.format == "json":
        out.write_json(
            {
                "holds": True,
                "index": found.index,
                **_head(opened.checkpoint),
                "signed_by": [key.name for key in opened.signed_by],
                "witnessed_by": [key.name for key in opened.cosigned],
                "leaf": document,
            }
        )
        return OK
    from .render.text import styled

    console = out.console()
    head = opened.checkpoint
    said = ui("evidence.proved", index=found.index, size=head.size, origin=head.origin)
    console.print(styled(said.to(out.lang), "bold green"))
    if opened.cosigned:
        who = ", ".join(key.name for key in opened.cosigned)
        console.print(styled(f"{ui('evidence.witnessed_by').to(out.lang)}: {who}"))
    console.print()
    show_entry(console, Entry(found.index, entry), None, out)
    out.write_console(console)
    return OK


@click.command("verify-consistency")
@click.argument("old", type=_FILE)
@click.argument("file", type=_FILE)
@trust_options(required=True)
@output_options("text", "json")
def verify_consistency(*, old: Path, file: Path, trust: Trust, out: Output) -> int:
    """Verify the proof in FILE that a log only added to what it was; exit 1 when it did not.

    OLD is a file with the checkpoint that you held before. Neither the state nor the network is
    needed.
    """
    from ..tlog_proof import ConsistencyProof

    try:
        found = ConsistencyProof.parse(_read(file, "FILE"))
        before, after = found.verify(_read(old, "OLD"), trust.keys, trust.witnesses)
    except VerificationError as error:
        return _write_unproved(error, out)
    record = _head(after.checkpoint)
    if out.format == "json":
        out.write_json({"holds": True, "old": before.checkpoint.size, **record})
        return OK
    said = ui("evidence.grown", old=before.checkpoint.size, size=after.checkpoint.size)
    write_record(out, "head", record, said=said.to(out.lang))
    return OK


# --- witnesses --------------------------------------------------------------------------------


@click.command()
@click.argument("url")
@click.option(
    "--witness-key",
    type=VERIFIER_KEYS,
    metavar="VKEY",
    help="The witness's verifier key, or a file that holds it; needed the first time.",
)
@_signing_key
@state_option
@output_options("text", "json")
def witness(
    *,
    url: str,
    witness_key: tuple[VerifierKey, ...] | None,
    signing_key: Path | None,
    state: str | None,
    out: Output,
) -> None:
    """Have the witness at URL sign the log as it is now.

    A witness is somebody else's service that signs only what continues the log it saw before. Its
    signature goes below the checkpoint, into exports and proofs. Exit 1 when it saw another log
    of this name: then stop, and keep everything as it is.
    """
    if witness_key is not None and len(witness_key) != 1:
        raise click.UsageError("--witness-key must name one key")
    with _signing(state, signing_key) as (log, _):
        _require_keys(log)
        checkpoint, signature = log.witness(url, witness_key[0] if witness_key else None)
    record = {**_head(checkpoint), "witness": signature.name, "time": _instant(signature.time)}
    write_record(out, "cosignature", record, said=ui("evidence.cosigned").to(out.lang))


def _instant(seconds: int) -> Any:
    from datetime import UTC, datetime

    from ..clock import to_london

    try:
        return to_london(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None
