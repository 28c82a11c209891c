"""``automation-rules audit``: what was decided, and the proof that nothing was altered."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..clock import SystemClock, to_london
from ..enforcer import open_log
from ..errors import LogError, NotRegisteredError, VerificationError
from ..inputs import parse_instant
from ..texts import ui
from .common import DENIED, OK, Output, output_options, say
from .records import show_record, show_table, write_record
from .render.labels import label_of_check
from .state import EDGE, open_store, parsed, registry_of, state_option
from .trust import trust_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from rich.console import Console

    from ..audit import DecisionLog, Entry, Head, InclusionProof
    from ..store import Registry, Store
    from .trust import Trust

__all__ = [
    "audit",
    "counted",
    "parse_head",
    "progress_bar",
    "show_entry",
    "write_broken",
    "write_holds",
]

_ELSEWHERE: Final = {
    "consistency": "evidence:consistency",
    "export": "evidence:export",
    "init": "evidence:init",
    "keys": "evidence:keys",
    "proof": "evidence:proof",
    "replay": "replay:replay",
    "report": "report:report",
    "rotate-key": "evidence:rotate_key",
    "verify-consistency": "evidence:verify_consistency",
    "verify-proof": "evidence:verify_proof",
    "witness": "evidence:witness",
}
"""Commands for outsiders and readers: module in this package, and name in it."""

_LISTED: Final = 20
_READ_AT_ONCE: Final = 500
_MOST_DIGITS: Final = 18
_HEAD: Final = re.compile(r"(?P<size>[0-9]{1,18}):(?P<root>[0-9a-fA-F]{64})", re.ASCII)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class _Audit(click.Group):
    """The commands here and those of `_ELSEWHERE`, each loaded when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _, name = _ELSEWHERE[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f".{module}", __package__), name)
        return command


@click.group(cls=_Audit)
def audit() -> None:
    """Read, prove and verify the log of decisions."""


@contextmanager
def _reading(state: str | None) -> Iterator[DecisionLog]:
    """Open the log to read it, for which no key is needed."""
    from ..audit import DecisionLog

    with open_store(state) as store, DecisionLog(store) as log:
        yield log


# --- list -------------------------------------------------------------------------------------


@audit.command("list")
@click.option("--from", "start", type=EDGE, metavar="T", help="Decided at T or later.")
@click.option("--to", "end", type=EDGE, metavar="T", help="Decided before T.")
@click.option("--account", "account_id", metavar="ID", help="Of this account only.")
@click.option("--denied", is_flag=True, help="Denials only.")
@click.option(
    "-n",
    "most",
    type=click.IntRange(min=1),
    default=_LISTED,
    show_default=True,
    metavar="NUMBER",
    help="The last so many.",
)
@state_option
@output_options("text", "json")
def _list(
    *,
    start: datetime | None,
    end: datetime | None,
    account_id: str | None,
    denied: bool,
    most: int,
    state: str | None,
    out: Output,
) -> None:
    """List the last entries, in their order."""

    def wanted(document: dict[str, Any]) -> bool:
        at = parse_instant(document["time"])
        return (
            (start is None or at >= start)
            and (end is None or at < end)
            and (account_id is None or document.get("account") == account_id)
            and (not denied or document.get("decision") is False)
        )

    with _reading(state) as log:
        size = log.head().size
        found: list[Entry] = []
        for entry in _backwards(log, size):
            if wanted(_document(entry)):
                found.append(entry)
                if len(found) == most:
                    break
    found.reverse()
    if out.format == "json":
        out.write_json({"size": size, "entries": [_as_json(entry) for entry in found]})
        return
    from .render.text import styled

    console = out.console()
    if found:
        columns = ("index", "time", "account", "action", "decision", "reason")
        rows = [_summary(entry, out) for entry in found]
        for row in rows:
            row["time"] = f"{to_london(row['time']):%Y-%m-%d %H:%M}"
        show_table(console, columns, rows, out.lang)
    else:
        console.print(styled(ui("log.none").to(out.lang), "dim"))
    out.write_console(console)


def _backwards(log: DecisionLog, size: int) -> Iterator[Entry]:
    """Yield the entries from the last to the first, a few hundred in memory at a time."""
    first = log.first()
    for after in range(size, first, -_READ_AT_ONCE):
        yield from reversed(list(log.entries(max(first, after - _READ_AT_ONCE), after)))


def _document(entry: Entry) -> dict[str, Any]:
    """Return what an entry says.

    Raises:
        VerificationError: it is no entry that was ever recorded.
    """
    from ..leaf_schema import read_leaf

    document = read_leaf(entry.leaf, index=entry.index)
    try:
        parse_instant(document["time"])
    except ValueError as error:
        raise VerificationError(
            f"the time of entry {entry.index} is none", index=entry.index
        ) from error
    return document


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "leaf_hash": entry.leaf_hash.hex(),
        "leaf": _document(entry),
    }


def _summary(entry: Entry, out: Output) -> dict[str, Any]:
    """Return an entry as a row of the table."""
    document = _document(entry)
    decision = document.get("decision")
    word = "" if decision is None else ui("allowed" if decision else "denied").to(out.lang)
    return {
        "index": entry.index,
        "time": parse_instant(document["time"]),
        "account": document.get("account"),
        "action": document.get("action", document["type"]),
        "decision": word,
        "reason": [check["code"] for check in document.get("checks", ()) if check["code"]],
    }


# --- show -------------------------------------------------------------------------------------


def _entry_name(text: str) -> int | str:
    if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS:
        return int(text)
    if _UUID.fullmatch(text.lower()):
        return text.lower()
    raise ValueError("must be an entry's number, counted from 0, or a decision's identifier")


@audit.command("show")
@click.argument("entry_name", type=parsed("entry", _entry_name), metavar="INDEX | DECISION_ID")
@click.option("--with-proof", is_flag=True, help="Also prove that it is in the log.")
@state_option
@output_options("text", "json")
def _show(*, entry_name: int | str, with_proof: bool, state: str | None, out: Output) -> None:
    """Show one entry, as it is stored."""
    with _reading(state) as log:
        entry = _find(log, entry_name)
        proof = log.prove_inclusion(entry.index) if with_proof else None
    if out.format == "json":
        document = _as_json(entry)
        if proof is not None:
            document |= {"stored": entry.leaf.decode(), "proof": _proof(proof)}
        out.write_json(document)
        return
    console = out.console()
    show_entry(console, entry, proof, out)
    out.write_console(console)


def _find(log: DecisionLog, name: int | str) -> Entry:
    size = log.head().size
    if isinstance(name, int):
        if name < log.first():
            raise click.UsageError(
                f"entry {name} was pruned: the log is kept from entry {log.first()} on"
            )
        if name < size:
            return log.entry(name)
        raise click.UsageError(f"there is no entry {name}: the log has {size}, counted from 0")
    for entry in _backwards(log, size):
        document = _document(entry)
        if name in (document.get("decision_id"), document.get("event_id")):
            return entry
    raise click.UsageError("the log has no decision of that identifier")


def _proof(proof: InclusionProof) -> dict[str, Any]:
    return {
        "index": proof.index,
        "size": proof.size,
        "root": proof.root.hex(),
        "hashes": [found.hex() for found in proof.hashes],
    }


def show_entry(console: Console, entry: Entry, proof: InclusionProof | None, out: Output) -> None:
    """Print one entry, and its proof."""
    from .render.text import styled

    document = _document(entry)
    landlord = {
        "landlord_id": document.get("landlord"),
        "todo_kind": document.get("todo_kind"),
    }
    show_record(console, {**_summary(entry, out), **landlord}, out.lang)
    if "checks" in document:
        console.print()
        rows = [
            {
                "check": label_of_check(check["check"], out.lang),
                "result": ui(f"outcome.{check['outcome']}").to(out.lang),
                "code": check["code"],
            }
            for check in document["checks"]
        ]
        show_table(console, ("check", "result", "code"), rows, out.lang)
    elif document["type"] == "rollback_acknowledged":
        for name in ("expected", "found"):
            head = document[name]
            said = ui(f"log.{name}", head=f"{head['size']}:{head['root']}")
            console.print(styled(said.to(out.lang)), soft_wrap=True)
    console.print()
    console.print(styled(f"{ui('log.leaf_hash').to(out.lang)}: {entry.leaf_hash.hex()}"))
    if proof is not None:
        said = ui("log.proof", index=proof.index, size=proof.size)
        console.print()
        console.print(styled(said.to(out.lang), "bold"))
        for found in proof.hashes:
            console.print(styled(found.hex()))
        console.print(styled(f"{ui('log.root').to(out.lang)}: {proof.root.hex()}"))


# --- verify -----------------------------------------------------------------------------------


def parse_head(text: str) -> tuple[int, bytes]:
    """Return the size and the root of a head as `verify` prints it."""
    match = _HEAD.fullmatch(text)
    if match is None:
        raise ValueError("must be SIZE:ROOT, as verify prints it: a number and 64 hex digits")
    return int(match["size"]), bytes.fromhex(match["root"])


@audit.command("verify")
@click.option(
    "--head",
    "given",
    type=parsed("head", parse_head),
    metavar="SIZE:ROOT",
    help="Hold the log against a head that was written down, besides the one remembered.",
)
@click.option(
    "--tiles",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Verify an exported log instead, without any state; needs --key.",
)
@click.option(
    "--min-index",
    "first",
    type=click.IntRange(min=0),
    default=0,
    metavar="INDEX",
    help="With --tiles: entries before INDEX were pruned, and may be missing.",
)
@trust_options(required=False)
@state_option
@output_options("text", "json")
def _verify(
    *,
    given: tuple[int, bytes] | None,
    directory: Path | None,
    first: int,
    trust: Trust,
    state: str | None,
    out: Output,
) -> int:
    """Recompute the whole log; exit 1 at the first thing that does not hold.

    The log is held against the last head that this computer remembers. Write down the head that
    is printed, and keep it elsewhere: nothing else shows that this computer's memory was altered
    as well.
    """
    if directory is not None:
        from .evidence import verify_exported

        return verify_exported(directory, trust, given, first, out)
    if trust.keys or trust.witnesses or first:
        raise click.UsageError("--key, --witness and --min-index go with --tiles")
    with open_store(state) as store, _verifying(store) as (log, remembered):
        against = "given" if given else "remembered" if remembered else "nothing"
        try:
            head = _verified(log, given, out)
        except VerificationError as error:
            return write_broken(error, out)
    return write_holds(head, against, out)


def write_holds(head: Head, against: str, out: Output, **signed: Any) -> int:
    """Write the head of a log that holds, and return the exit code.

    ``against`` says what it was held against: ``given``, ``remembered`` or ``nothing``.
    """
    text = f"{head.size}:{head.root.hex()}"
    if out.format == "json":
        document = {"size": head.size, "root": head.root.hex(), "head": text}
        out.write_json({"holds": True, **document, "against": against, **signed})
        return OK
    from .render.text import styled

    label = {"given": "log.headed", "remembered": "log.remembered", "nothing": "log.first"}
    console = out.console()
    console.print(styled(ui("log.verified", size=head.size).to(out.lang), "bold green"))
    console.print(styled(ui(label[against]).to(out.lang)))
    for name, who in signed.items():
        if who:
            line = f"{ui(f'evidence.{name}').to(out.lang)}: {', '.join(who)}"
            console.print(styled(line), soft_wrap=True)
    console.print(styled(f"{ui('log.head').to(out.lang)}: {text}"), soft_wrap=True)
    out.write_console(console)
    return OK


@contextmanager
def _verifying(store: Store) -> Iterator[tuple[DecisionLog, Head | None]]:
    """Open the log to verify it, with its keys when they are there; and the head remembered."""
    from ..audit import DecisionLog, RememberedHeads
    from ..vault import Vault, WrappingKey, key_path

    try:
        vault = Vault(WrappingKey.load(None if store.path is None else key_path(store.path)))
    except LogError as error:
        # The log is verifiable without: it holds nothing but hashes of what is sealed.
        say(f"warning: {error}; the keys of people are not verified")
        vault = None
    with RememberedHeads.open() as heads, DecisionLog(store, vault, heads=heads) as log:
        yield log, heads.get(store.log_id)


def _verified(log: DecisionLog, given: tuple[int, bytes] | None, out: Output) -> Head:
    from ..audit import Head

    against = None if given is None else Head(*given)
    with progress_bar(out) as step:
        return log.verify(against, progress=step, forms=True)


@contextmanager
def progress_bar(
    out: Output, label: str = "progress.verifying"
) -> Iterator[Callable[[int, int], None] | None]:
    """Draw a bar on standard error when that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(ui(label).to(out.lang))
        yield lambda done, total: bar.update(task, completed=done, total=total)


def counted(
    entries: Iterable[Entry], total: int, step: Callable[[int, int], None] | None
) -> Iterator[Entry]:
    """Yield entries, and tell the bar how far they are."""
    for entry in entries:
        if step is not None and entry.index % _READ_AT_ONCE == 0:
            step(entry.index, total)
        yield entry


def write_broken(error: VerificationError, out: Output, label: str = "log.broken") -> int:
    """Write what does not hold, and return the exit code."""
    if out.format == "json":
        out.write_json({"holds": False, "index": error.index, "message": str(error)})
        return DENIED
    from .render.text import styled

    console = out.console()
    console.print(styled(f"{ui(label).to(out.lang)}: {error}", "bold red"))
    if error.index is not None:
        console.print(styled(ui("log.first_wrong", index=error.index).to(out.lang)))
    out.write_console(console)
    return DENIED


# --- after a restored backup ------------------------------------------------------------------


@audit.command("acknowledge-rollback")
@click.option("--by", "person_id", metavar="PERSON", required=True, help="A registered person.")
@state_option
@output_options("text", "json")
def _acknowledge(*, person_id: str, state: str | None, out: Output) -> None:
    """Accept a log that went back, as after restoring a backup, and go on from it.

    Who did so, and both heads, are recorded as an entry of their own.
    """
    with open_store(state) as store:
        landlord_id = _landlord_of(registry_of(store), person_id)
        with open_log(store) as log:
            _require_rollback(log)
            now = SystemClock().now()
            receipt = log.acknowledge_rollback(by=person_id, landlord=landlord_id, at=now)
    said = ui("log.acknowledged", index=receipt.index).to(out.lang)
    record = {"index": receipt.index, "time": now}
    write_record(out, "acknowledgement", record, said=said)


def _require_rollback(log: DecisionLog) -> None:
    try:
        log.check_rollback()
    except VerificationError:
        return
    raise click.UsageError("the log did not go back: there is nothing to acknowledge")


def _landlord_of(registry: Registry, person_id: str) -> str:
    """Return the first landlord that the person is registered for."""
    for landlord in registry.landlords():
        if any(person.id == person_id for person in registry.people(landlord.id)):
            return landlord.id
    raise NotRegisteredError(
        "no landlord has a person with that identifier: register the person first"
    )
