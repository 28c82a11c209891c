"""Who may ask the decision service: its callers' bearer tokens, of which only digests are kept."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, insert, select

from ..errors import AlreadyRegisteredError, NotRegisteredError
from .engine import take_turns
from .fields import check_ids
from .tables import service_tokens

if TYPE_CHECKING:
    from datetime import datetime

    from ..clock import Clock
    from .engine import Store

__all__ = ["ServiceToken", "ServiceTokens"]

_MARK: Final = "automation_rules_"
"""What every token begins with, so that one in a file where it should not be can be found."""

_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ServiceToken:
    """A caller that the service knows by its token, and since when (UTC); never the token."""

    name: str
    added_at: datetime


class ServiceTokens:
    """The bearer tokens (RFC 6750) of one open state.

    A token is 256 random bits, so that its SHA-256 leads nobody back to it.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        """Work on ``store``; ``clock`` stamps what is written."""
        self._store = store
        self._clock = clock

    def add(self, name: str) -> str:
        """Make a token for the caller ``name``, and return it: it cannot be shown again.

        Raises:
            InvalidInputError: a name that is not 1 to 200 characters.
            AlreadyRegisteredError: the name is taken.
            StoreError: the state cannot be written.
        """
        check_ids(name=name)
        token = _MARK + secrets.token_urlsafe(_BYTES)
        with self._store.transaction() as connection:
            take_turns(connection)
            found = connection.execute(select(service_tokens.c.name).filter_by(name=name))
            if found.first() is not None:
                raise AlreadyRegisteredError(
                    f"there is a token for {name!r} already: revoke it, or choose another name"
                )
            connection.execute(
                insert(service_tokens).values(
                    name=name, digest=_digest(token), added_at=self._clock.now()
                )
            )
        return token

    def list(self) -> tuple[ServiceToken, ...]:
        """Return the callers that have a token, in order of their names.

        Raises:
            StoreError: the state cannot be read.
        """
        table = service_tokens
        with self._store.reading() as connection:
            rows = connection.execute(select(table.c.name, table.c.added_at).order_by(table.c.name))
            return tuple(ServiceToken(row.name, row.added_at) for row in rows)

    def revoke(self, name: str) -> None:
        """Delete the token of the caller ``name``: `verify` does not know it any more.

        Raises:
            InvalidInputError: a name that cannot be one.
            NotRegisteredError: there is none.
            StoreError: the state cannot be written.
        """
        check_ids(name=name)
        with self._store.transaction() as connection:
            gone = connection.execute(delete(service_tokens).filter_by(name=name))
            if gone.rowcount == 0:
                raise NotRegisteredError(f"there is no token for {name!r}")

    def verify(self, token: str) -> str | None:
        """Return the name of the caller whose token this is, or None: it is nobody's.

        Raises:
            StoreError: the state cannot be read.
        """
        digest = _digest(token)
        table = service_tokens
        with self._store.reading() as connection:
            row = connection.execute(
                select(table.c.name, table.c.digest).filter_by(digest=digest)
            ).one_or_none()
        # How long the database took tells of digests only; the answer is compared in constant time.
        if row is None or not hmac.compare_digest(row.digest, digest):
            return None
        return str(row.name)


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
