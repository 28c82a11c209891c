"""A state with a decision log, and how to damage its file; for the log's tests."""

from __future__ import annotations

import copy
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automation_rules.audit import DecisionLog, draft_decision
from automation_rules.clock import SystemClock
from automation_rules.landlord_portal import landlord_portal
from automation_rules.merkle import Frontier, leaf_hash
from automation_rules.request import Request
from automation_rules.store import Store
from automation_rules.testing import allowed_request_document
from automation_rules.vault import Vault, WrappingKey, key_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules.audit import Draft, RememberedHeads
    from automation_rules.decision import Decision

PORTAL = landlord_portal()


@dataclass(frozen=True)
class State:
    """A store, its vault and its log, all open; ``path`` is the file, or where one would be."""

    url: str
    path: Path
    store: Store
    vault: Vault
    log: DecisionLog


@contextmanager
def opened(place: Path | str, *, heads: RememberedHeads | None = None) -> Iterator[State]:
    """Open the state at a path or a URL, made when it is not there, with its log.

    On a server every state has the same wrapping key; that of a file lies beside it.
    """
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    with Store.open(url, clock=SystemClock(), create=True) as store:
        vault = Vault(SERVERS_KEY if store.path is None else _key_beside(store.path))
        with DecisionLog(store, vault, heads=heads) as log:
            yield State(url, store.path or Path(), store, vault, log)


SERVERS_KEY = WrappingKey(bytes(range(32)))


def _key_beside(path: Path) -> WrappingKey:
    keys = key_path(path)
    return WrappingKey.load(keys) if keys.exists() else WrappingKey.create(keys)


def request(*, facts: str = "registry", **changes: Any) -> Request:
    """Return the allowed request with fields replaced, each named by its path with ``__``."""
    document = copy.deepcopy(allowed_request_document())
    for place, value in changes.items():
        *parents, last = place.split("__")
        inside = document
        for parent in parents:
            inside = inside.setdefault(parent, {})
        inside[last] = value
    return replace(Request.from_document(document), facts=facts)  # type: ignore[arg-type]


def decided(**changes: Any) -> Decision:
    """Decide the allowed request with fields replaced."""
    return PORTAL.decide(request(**changes))


def drafted(number: int) -> Draft:
    """Return a numbered entry: different to-dos, tenants and operators, allowed and denied."""
    return draft_decision(
        decided(
            resource__id=f"td-{number % 7}",
            resource__properties__tenant=f"tenant-{number % 5}",
            subject__properties__sms_code__provided_by=f"officer-{number % 3}",
            subject__properties__two_factor=number % 4 != 0,
        ),
        readings=PORTAL.readings,
        request_id=f"request-{number}" if number % 2 else None,
    )


@contextmanager
def raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the state's file as anybody could, without the constraints that can be put aside."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        connection.execute("BEGIN")
        yield connection
        connection.execute("COMMIT")
    finally:
        connection.close()


def rehash(connection: sqlite3.Connection) -> None:
    """Recompute every stored hash from the leaves, as an intruder who knows the format would."""
    frontier = Frontier()
    rows = connection.execute("SELECT idx, leaf FROM log_entries ORDER BY idx").fetchall()
    for index, leaf in rows:
        nodes = frontier.append(leaf_hash(leaf))
        connection.execute("UPDATE log_entries SET nodes = ? WHERE idx = ?", (nodes, index))
    connection.execute(
        "UPDATE log_head SET size = ?, root = ?, frontier = ?",
        (frontier.size, frontier.root, frontier.to_bytes()),
    )
