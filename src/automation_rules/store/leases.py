"""Which automation accounts are in use: at most two of a landlord's at a time.

By the reading ``at_a_time = running`` the limit of two (clauses ``step-2.limit`` and
``terms.limit``) is one of accounts in use, not of accounts that exist. An account is in use while
it holds a lease, which its first step takes, its later ones renew, and its leaving frees; else
it expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from ..accounts import MAX_AUTOMATION_ACCOUNTS
from ..clock import to_utc
from ..errors import FieldError, InvalidInputError, NotRegisteredError
from .fields import check_ids
from .tables import accounts, landlords, leases

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from ..clock import Clock
    from .engine import Store

__all__ = ["Lease", "Leases"]


@dataclass(frozen=True, slots=True)
class Lease:
    """What an account that asked for a lease has now.

    ``held`` is whether it has one, ``new`` whether it had none before; ``running`` are the
    accounts in use, in order of their ids, with the one that asked: three when it was refused.
    """

    held: bool
    new: bool
    running: tuple[str, ...]


class Leases:
    """The leases of one open state, which all its processes and machines share.

    A landlord's leases are taken and freed one after another, and there are at most two of them
    in the state at any time, expired ones included. So no clock that goes back, or differs from
    another's, makes them three; it can only keep a place from being given to somebody else for
    longer, and a holder always keeps its own.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        """Work on ``store``; ``clock`` says when a lease is granted."""
        self._store = store
        self._clock = clock

    def take(self, account_id: str, landlord_id: str, at: datetime, duration: timedelta) -> Lease:
        """Take or renew the lease of a landlord's account, which asked at the instant ``at``.

        It lasts for ``duration`` from when it was granted. An account whose lease nobody else
        has taken is never refused. While three quarters of it are left nothing is written.

        Raises:
            InvalidInputError: an identifier that cannot be one, or a lease that does not last.
            ClockError: ``at`` is naive.
            NotRegisteredError: there is no such landlord, or no such account there any more.
            StoreError: the state cannot be used; no lease was taken.
        """
        check_ids(account_id=account_id, landlord_id=landlord_id)
        at = to_utc(at)
        if duration <= timedelta(0):
            raise InvalidInputError([FieldError("/duration", "must be longer than nothing")])
        with self._store.reading() as connection:
            ends = _ends(connection, landlord_id)
        if account_id in ends and ends[account_id] - at >= duration * 3 / 4:
            return Lease(held=True, new=False, running=_running(ends, at))
        with self._store.transaction() as connection:
            _lock(connection, landlord_id)
            # What was in the way may have kept it for as long as a short lease lasts.
            now = max(at, self._clock.now())
            return _granted(connection, account_id, landlord_id, now, duration)

    def release(self, account_id: str) -> None:
        """Free the lease of an account that has left, if it holds one.

        Raises:
            InvalidInputError: an identifier that cannot be one.
            StoreError: the state cannot be used; the lease ends by itself.
        """
        check_ids(account_id=account_id)
        with self._store.transaction() as connection:
            landlord_id = connection.execute(
                select(leases.c.landlord_id).filter_by(account_id=account_id)
            ).scalar()
            if landlord_id is not None:
                _lock(connection, landlord_id)
                connection.execute(delete(leases).filter_by(account_id=account_id))

    def running(self, landlord_id: str, at: datetime) -> tuple[str, ...]:
        """Return which of a landlord's accounts are in use at ``at``, in order of their ids.

        Raises:
            InvalidInputError: an identifier that cannot be one.
            ClockError: ``at`` is naive.
            StoreError: the state cannot be read.
        """
        check_ids(landlord_id=landlord_id)
        at = to_utc(at)
        with self._store.reading() as connection:
            return _running(_ends(connection, landlord_id), at)


def _lock(connection: Connection, landlord_id: str) -> None:
    """Wait for the landlord's row; SQLite's writers take turns anyway."""
    row = connection.execute(
        select(landlords.c.id).filter_by(id=landlord_id).with_for_update(key_share=True)
    ).one_or_none()
    if row is None:
        raise NotRegisteredError(f"there is no landlord {landlord_id!r}: register it first")


def _ends(connection: Connection, landlord_id: str) -> dict[str, datetime]:
    rows = connection.execute(
        select(leases.c.account_id, leases.c.expires_at).filter_by(landlord_id=landlord_id)
    )
    return {row.account_id: row.expires_at for row in rows}


def _running(ends: dict[str, datetime], at: datetime) -> tuple[str, ...]:
    return tuple(sorted(account_id for account_id, end in ends.items() if end > at))


def _granted(
    connection: Connection, account_id: str, landlord_id: str, now: datetime, duration: timedelta
) -> Lease:
    ends = _ends(connection, landlord_id)
    had = ends.get(account_id)
    end = now + duration
    if had is not None:
        # An earlier end would be one by a clock that went back: what was granted stays granted.
        end = max(had, end)
        connection.execute(update(leases).filter_by(account_id=account_id).values(expires_at=end))
    else:
        others = _running(ends, now)
        if len(others) >= MAX_AUTOMATION_ACCOUNTS:
            return Lease(held=False, new=False, running=tuple(sorted((*others, account_id))))
        _require_account(connection, account_id, landlord_id)
        connection.execute(
            delete(leases).filter_by(landlord_id=landlord_id).where(leases.c.expires_at <= now)
        )
        connection.execute(
            insert(leases).values(account_id=account_id, landlord_id=landlord_id, expires_at=end)
        )
    running = _running({**ends, account_id: end}, now)
    return Lease(held=True, new=had is None or had <= now, running=running)


def _require_account(connection: Connection, account_id: str, landlord_id: str) -> None:
    row = connection.execute(
        select(accounts.c.id).filter_by(id=account_id, landlord_id=landlord_id, removed_at=None)
    ).one_or_none()
    if row is None:
        raise NotRegisteredError(
            f"the landlord {landlord_id!r} has no automation account {account_id!r}: register it "
            "first"
        )
