"""What a person is given who asks what is kept about them, with the proof of every entry.

One directory that can be handed over: the entries about the person as they are stored, what was
sealed in them about that person, what the registry holds, the proofs, the terms and the policies
that decided, and how to verify it all. Other people stay tokens. Clause ``terms.data-controller``.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, select

from .clock import to_utc
from .errors import LogError, NotRegisteredError
from .inputs import parse_instant
from .leaf import instant
from .leaf_schema import read_leaf
from .store import Registry, tables
from .terms import terms_at
from .texts import LANGUAGES, ui
from .vault import Direct, Kind
from .verification import sealed_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from .audit import DecisionLog
    from .clock import Clock
    from .store import Store
    from .vault import Subject, Vault

__all__ = ["subject_bundle", "write_bundle"]

_OF_TOKEN: Final = (
    select(sealed_table.c.idx, sealed_table.c.slot)
    .where(sealed_table.c.token == bindparam("token"))
    .order_by(sealed_table.c.idx)
)


def subject_bundle(
    store: Store,
    log: DecisionLog,
    vault: Vault,
    clock: Clock,
    subject: Subject,
    *,
    prove: Callable[[int], tuple[str, bytes]],
    about: Mapping[str, bytes],
    policies: Iterable[Mapping[str, Any]] = (),
    with_operators: bool = False,
) -> dict[str, bytes]:
    """Return the files of the bundle by their names.

    ``prove`` gives the ending of a proof's file and the proof of an entry; ``about`` are further
    files, such as verifier keys; ``policies`` are descriptions of policies with their digests,
    of which those that decided are included. Who typed in a code or placed a hold stays a token
    unless ``with_operators``.

    Raises:
        NotRegisteredError: neither the log nor the registry knows the subject.
        LogError: the wrapping key is not this state's.
        VerificationError: an entry or an envelope was changed.
    """
    registered = _registered(store, clock, subject)
    found = _entries_of(store, vault, subject)
    if not found and not registered:
        raise NotRegisteredError(
            "neither the log nor the registry knows it: check the identifier, the kind and the "
            "landlord"
        )
    files: dict[str, bytes] = dict(about)
    entries = []
    digests = set()
    for index, slots in found.items():
        entry = log.entry(index)
        document = read_leaf(entry.leaf, index=index)
        ending, proof = prove(index)
        facts = log.open(index)
        shown = {slot: facts[slot] for slot in slots}
        if with_operators and "operator" in facts:
            shown["operator"] = facts["operator"]
        files[f"entries/{index}.json"] = entry.leaf
        files[f"proofs/{index}.{ending}"] = proof
        if "policy" in document:
            digests.add(document["policy"]["digest"])
            terms = terms_at(parse_instant(document["time"]))
            files[f"terms/{terms.version}.json"] = _json(terms.to_document())
        entries.append(_summary(index, document, shown, f"proofs/{index}.{ending}"))
    for policy in policies:
        if policy["digest"] in digests:
            name = policy["digest"].removeprefix("sha256:")
            files[f"policies/{name}.json"] = _json(policy)
    head = log.head()
    files["subject.json"] = _json(
        {
            "subject": {"kind": subject.kind.value, "landlord": subject.landlord, "id": subject.id},
            "made_at": instant(clock.now()),
            "registry": registered,
            "entries": entries,
            "head": {"size": head.size, "root": head.root.hex()},
        }
    )
    files["README.txt"] = _readme(len(entries))
    return files


def _summary(
    index: int, document: Mapping[str, Any], facts: Mapping[str, Any], proof: str
) -> dict[str, Any]:
    return {
        "index": index,
        "time": document["time"],
        "type": document["type"],
        "purpose": {name: document.get(name) for name in ("action", "todo_kind", "mode")},
        "decision": document.get("decision"),
        "checks": [
            {"check": check["check"], "outcome": check["outcome"], "code": check["code"]}
            for check in document.get("checks", ())
        ],
        "facts": dict(facts),
        "entry": f"entries/{index}.json",
        "proof": proof,
    }


def _entries_of(store: Store, vault: Vault, subject: Subject) -> dict[int, list[str]]:
    """Return the entries about a subject, each with the slots that are the subject's."""
    found: dict[int, list[str]] = {}
    with store.reading() as connection:
        direct = Direct(connection.connection.cursor(), connection.dialect)
        token = vault.token(direct, subject)
        for index, slot in direct.rows(_OF_TOKEN, token) if token else ():
            found.setdefault(index, []).append(slot)
    return found


def _registered(store: Store, clock: Clock, subject: Subject) -> dict[str, Any]:
    """Return what the registry holds in clear about a subject."""
    registry = Registry(store, clock)
    landlord_id = subject.landlord or ""
    if subject.kind is Kind.PARTNERSHIP_MANAGER:
        managed = registry.landlord(landlord_id).partnership_manager == subject.id
        return {"partnership_manager_of": landlord_id} if managed else {}
    if subject.kind is not Kind.OPERATOR:
        return {}
    with store.reading() as connection:
        rows = {
            name: [
                {key: _shown(value) for key, value in row._mapping.items() if key != "id"}
                for row in connection.execute(
                    select(table).filter_by(landlord_id=landlord_id, **{column: subject.id})
                )
            ]
            for name, table, column in _OPERATORS
        }
    return rows if any(rows.values()) else {}


_OPERATORS: Final = (
    ("people", tables.people, "id"),
    ("status_changes", tables.status_changes, "person_id"),
    ("switches", tables.switches, "person_id"),
    ("acknowledgements", tables.acknowledgements, "person_id"),
    ("code_entries", tables.code_entries, "person_id"),
)


def _shown(value: Any) -> Any:
    return instant(to_utc(value)) if hasattr(value, "tzinfo") else value


def _json(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()


def _readme(entries: int) -> bytes:
    """Return how to read and to verify the bundle, in both languages."""
    pages = []
    for lang in LANGUAGES:
        lines = [ui(f"bundle.{name}", entries=entries).to(lang) for name in _README]
        lines.insert(_README.index("proofs") + 1, f"  {_VERIFY}")
        pages.append("\n\n".join(lines))
    return ("\n\n--------\n\n".join(pages) + "\n").encode()


_README: Final = ("title", "subject", "entries", "proofs", "hashes", "terms", "trust")
_VERIFY: Final = (
    "automation-rules audit verify-proof proofs/0.tlog-proof --key KEY --leaf entries/0.json"
)


def write_bundle(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a new directory: all of them, or none.

    Only the user of this process may read them.

    Raises:
        LogError: there is something at that place already, or it cannot be written.
    """
    beside = directory.with_name(f".{directory.name}.{os.getpid()}.new")
    try:
        if directory.exists():
            raise LogError(f"there is something at {directory} already: name a new directory")
        beside.mkdir(mode=0o700, parents=True)
        try:
            for name, content in files.items():
                path = beside / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            beside.rename(directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    except OSError as error:
        raise LogError(
            f"{directory} cannot be written: check the disk's room and this user's right to "
            "write there"
        ) from error
