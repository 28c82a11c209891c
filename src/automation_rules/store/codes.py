"""Daily codes in the state: a portal's challenges, and a person's code on its way to a bot.

Neither keeps a code in clear. `PortalCodes` keeps each account's secret encrypted; `CodeDesk`
keeps a code only while it is on its way, sealed to a key that one waiting process made for it
and that never leaves that process.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import delete, insert, select, update

from ..access_codes import (
    Challenge,
    CodeLimits,
    Sender,
    Verdict,
    is_access_code,
    issue,
    verify,
)
from ..errors import (
    AccessCodeError,
    FieldError,
    InvalidInputError,
    StoreError,
)
from ..texts import ui
from .engine import take_turns
from .fields import check_ids
from .registry import Registry
from .tables import accounts, code_challenges, code_entries, code_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.hpke import Suite
    from sqlalchemy import Connection, Row

    from ..clock import Clock
    from .engine import Store

__all__ = ["HAND_OVER_WITHIN", "CodeDesk", "PendingCode", "PortalCodes"]

HAND_OVER_WITHIN: Final = timedelta(minutes=5)
"""How long a bot waits for a code, and a person for a bot."""

_POLL_EVERY: Final = timedelta(seconds=0.5)
_PURPOSE: Final = "automation-rules access code hand-over 1"
_SECRET_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A bot's open wait for a code. Only the process that holds it can open what is sealed to it.

    ``expires_at`` is in UTC.
    """

    id: str
    account_id: str
    expires_at: datetime
    private_key: X25519PrivateKey = field(repr=False)


class CodeDesk:
    """Where a person hands today's code to the bot that waits for it, across machines.

    An account has at most one wait: a later one replaces it, because a later sign-in has a new
    code sent and the code before it stops working. A code is handed over once; that is what
    makes it the day's code for the check ``manual_code`` (clause ``step-2.manual-code``).
    """

    def __init__(
        self, store: Store, clock: Clock, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Work on ``store`` by ``clock``; ``sleep`` takes seconds and paces the waiting."""
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._registry = Registry(store, clock)

    # --- the bot's side

    def open_wait(self, account_id: str) -> PendingCode:
        """Make a one-time key for the account's next code, and announce its public half.

        Raises:
            InvalidInputError: an ``account_id`` that cannot be one.
            NotRegisteredError: there is no such account.
            StoreError: the state cannot be written.
        """
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

        private_key = X25519PrivateKey.generate()
        now = self._clock.now()
        pending = PendingCode(str(uuid.uuid4()), account_id, now + HAND_OVER_WITHIN, private_key)
        landlord_id = self._registry.account(account_id).landlord_id
        with self._store.transaction() as connection:
            # Of two bots that ask at once, the later one's wait is the one that stays.
            connection.execute(
                select(accounts.c.id)
                .where(accounts.c.id == account_id)
                .with_for_update(key_share=True)
            )
            connection.execute(delete(code_waits).where(code_waits.c.account_id == account_id))
            connection.execute(
                insert(code_waits).values(
                    id=pending.id,
                    account_id=account_id,
                    landlord_id=landlord_id,
                    public_key=private_key.public_key().public_bytes_raw(),
                    requested_at=now,
                    expires_at=pending.expires_at,
                )
            )
        return pending

    def poll(self, pending: PendingCode) -> str | None:
        """Return the code if one was entered, else None.

        A code is given out once: in one transaction it is erased from the state and its entry
        recorded.

        Raises:
            AccessCodeError: the wait has expired, was replaced by a later one, or its code was
                already taken; or what was sealed to it cannot be opened.
            StoreError: the state cannot be read or written.
        """
        with self._store.reading() as connection:
            if _sealed_row(connection, pending, self._clock.now()) is None:
                return None
        with self._store.transaction() as connection:
            now = self._clock.now()
            row = _sealed_row(connection, pending, now, lock=True)
            if row is None:
                return None
            code = _open_sealed(row, pending.private_key)
            connection.execute(
                update(code_waits)
                .where(code_waits.c.id == pending.id)
                .values(sealed=None, taken_at=now)
            )
            connection.execute(
                insert(code_entries).values(
                    id=pending.id,
                    account_id=row.account_id,
                    landlord_id=row.landlord_id,
                    person_id=row.entered_by,
                    entered_at=row.entered_at,
                    handed_over_at=now,
                )
            )
        return code

    def wait(self, pending: PendingCode, timeout: timedelta = HAND_OVER_WITHIN) -> str:
        """Wait up to ``timeout`` for the code; the wait is over afterwards, whatever happens.

        Raises:
            AccessCodeError: nobody entered a code in time, or as `poll` says.
            StoreError: the state cannot be read or written.
        """
        code = None
        try:
            code = self._until(lambda: self.poll(pending), timeout)
        finally:
            if code is None:
                with self._store.transaction() as connection:
                    connection.execute(delete(code_waits).where(code_waits.c.id == pending.id))
        if code is None:
            raise AccessCodeError(_NOT_ENTERED)
        return code

    # --- the person's side

    def enter(
        self,
        account_id: str,
        person_id: str,
        code: str,
        timeout: timedelta = HAND_OVER_WITHIN,
    ) -> None:
        """Hand ``code``, typed in just now by a person, to the bot that waits for it.

        Returns when the bot has it. Until a bot waits, the code is held in memory only; what no
        bot takes within ``timeout`` is erased.

        Raises:
            AccessCodeError: not exactly six ASCII digits; not a person; no bot took it in time.
            InvalidInputError: an identifier that cannot be one.
            NotRegisteredError: there is no such account, or no such person with its landlord.
            StoreError: the state cannot be read or written.
        """
        if not is_access_code(code):
            raise AccessCodeError("an access code is exactly six digits, 0 to 9: type it again")
        entered_at = self._clock.now()
        # No automation account passes: the registry keeps people's ids and theirs apart.
        self._registry.person(self._registry.account(account_id).landlord_id, person_id)
        sealed_to: str | None = None

        def hand_over() -> bool | None:
            nonlocal sealed_to
            if self._was_taken(sealed_to):
                return True
            wait_id = self._open_wait_of(account_id)
            if wait_id is not None and self._seal(wait_id, person_id, code, entered_at):
                sealed_to = wait_id
            return None

        try:
            self._until(hand_over, timeout)
        finally:
            self._take_back(sealed_to)
        if not self._was_taken(sealed_to):
            raise AccessCodeError(
                "no bot took the code in time: start the bot's `automation-rules code wait`, "
                "have a new code sent, and enter that one"
            )

    def _open_wait_of(self, account_id: str) -> str | None:
        """Return the id of the account's wait that has no code yet."""
        with self._store.reading() as connection:
            return connection.execute(
                select(code_waits.c.id)
                .where(
                    code_waits.c.account_id == account_id,
                    code_waits.c.expires_at > self._clock.now(),
                    code_waits.c.sealed.is_(None),
                    code_waits.c.taken_at.is_(None),
                )
                .order_by(code_waits.c.requested_at.desc())
                .limit(1)
            ).scalar_one_or_none()

    def _seal(self, wait_id: str, person_id: str, code: str, entered_at: datetime) -> bool:
        """Seal ``code`` to the wait's key; False when the wait has gone or has a code by now."""
        with self._store.transaction() as connection:
            row = connection.execute(
                select(code_waits)
                .where(
                    code_waits.c.id == wait_id,
                    code_waits.c.sealed.is_(None),
                    code_waits.c.taken_at.is_(None),
                )
                .with_for_update()
            ).one_or_none()
            if row is None:
                return False
            sealed = _seal_to(
                row.public_key, code, _bound(wait_id, row.account_id, person_id, entered_at)
            )
            connection.execute(
                update(code_waits)
                .where(code_waits.c.id == wait_id)
                .values(sealed=sealed, entered_by=person_id, entered_at=entered_at)
            )
        return True

    def _was_taken(self, wait_id: str | None) -> bool:
        if wait_id is None:
            return False
        with self._store.reading() as connection:
            entry = select(code_entries.c.id).where(code_entries.c.id == wait_id)
            return connection.execute(entry).one_or_none() is not None

    def _take_back(self, wait_id: str | None) -> None:
        """Erase what is sealed to a wait, unless it was taken."""
        if wait_id is None:
            return
        with self._store.transaction() as connection:
            connection.execute(
                update(code_waits)
                .where(code_waits.c.id == wait_id, code_waits.c.taken_at.is_(None))
                .values(sealed=None, entered_by=None, entered_at=None)
            )

    def _until(self, step: Callable[[], _T | None], timeout: timedelta) -> _T | None:
        """Repeat ``step`` until it returns something, or for ``timeout`` of sleeping."""
        for _ in range(timeout // _POLL_EVERY):
            if (result := step()) is not None:
                return result
            self._sleep(_POLL_EVERY.total_seconds())
        return step()


_NOT_ENTERED: Final = (
    "nobody entered a code in time: have a new code sent, wait again, and let a registered "
    "person run `automation-rules code enter`"
)


def _sealed_row(
    connection: Connection, pending: PendingCode, now: datetime, *, lock: bool = False
) -> Row[Any] | None:
    """Return the row of a wait that a code was sealed to, None while there is no code."""
    query = select(code_waits).where(code_waits.c.id == pending.id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise AccessCodeError(
            "this wait is over, or a later one for the same account replaced it: wait again"
        )
    if row.taken_at is not None:
        raise AccessCodeError("the code of this wait was already taken: it is given out once")
    if row.expires_at <= now:
        raise AccessCodeError(_NOT_ENTERED)
    return None if row.sealed is None else row


# --- sealing: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, AES-256-GCM


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def _bound(wait_id: str, account_id: str, person_id: str, entered_at: datetime) -> bytes:
    """Return what a sealed code is bound to, so that it cannot be moved or said to be another's."""
    parts = [_PURPOSE, wait_id, account_id, person_id, entered_at.isoformat()]
    return json.dumps(parts).encode("ascii")


def _seal_to(public_key: bytes, code: str, bound: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    try:
        key = X25519PublicKey.from_public_bytes(public_key)
        return _suite().encrypt(code.encode("ascii"), key, info=bound)
    except ValueError as error:
        raise AccessCodeError("the waiting bot's key is damaged: let the bot wait anew") from error


def _open_sealed(row: Row[Any], private_key: X25519PrivateKey) -> str:
    from cryptography.exceptions import InvalidTag

    bound = _bound(row.id, row.account_id, row.entered_by, row.entered_at)
    try:
        return _suite().decrypt(row.sealed, private_key, info=bound).decode("ascii")
    except InvalidTag as error:
        raise AccessCodeError(
            "what was sealed to this wait cannot be opened: it was changed on its way; wait again"
        ) from error


# --- the portal's side


class PortalCodes:
    """A portal's challenges, one an account, each change in one write transaction.

    However many processes serve the portal, one code is accepted once.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        sender: Sender,
        *,
        key: bytes,
        limits: CodeLimits | None = None,
    ) -> None:
        """Keep challenges in ``store``, and send codes by ``sender``.

        ``key`` is 32 random bytes that encrypt the accounts' secrets (AES-256-GCM); keep it
        outside the state, and the same for good.

        Raises:
            InvalidInputError: ``key`` has another length.
        """
        if len(key) != _SECRET_KEY_BYTES:
            raise InvalidInputError([FieldError("/key", "give 32 random bytes")])
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._store = store
        self._clock = clock
        self._sender = sender
        self._aead = AESGCM(key)
        self._limits = limits or CodeLimits()

    def issue(self, account_id: str, recipient: str, lang: str = "en") -> datetime:
        """Send a fresh code for the account to ``recipient``, and return when it expires (UTC).

        The code before it stops working, also when the sending fails. ``lang`` is that of the
        message, ``en`` or ``cy``.

        Raises:
            AccessCodeError: the account is locked or was sent too many codes today, as
                `automation_rules.access_codes.issue` says.
            InvalidInputError: another ``lang``, or an ``account_id`` that cannot be one.
            StoreError: the state cannot be used, or its secrets were encrypted with another key.
        """
        check_ids(account_id=account_id)
        with self._store.transaction() as connection:
            previous = self._challenge(connection, account_id)
            if previous is None:
                # There is no row yet to wait for, and another process may be making it.
                take_turns(connection)
                previous = self._challenge(connection, account_id)
            challenge, code = issue(previous, self._clock.now(), self._limits)
            text = ui("code.sms", code=code, lifetime=self._limits.lifetime).to(lang)
            if previous is None:
                connection.execute(
                    insert(code_challenges).values(
                        account_id=account_id,
                        sealed_secret=self._seal(account_id, challenge.secret),
                        **_counts(challenge),
                    )
                )
            else:
                _save(connection, account_id, challenge)
        self._sender.send(recipient, text)
        return challenge.expires_at

    def verify(self, account_id: str, code: str) -> Verdict:
        """Try ``code`` for the account, and keep what came of it.

        Raises:
            AccessCodeError: the account was never sent a code.
            InvalidInputError: an ``account_id`` that cannot be one.
            StoreError: the state cannot be used, or its secrets were encrypted with another key.
        """
        check_ids(account_id=account_id)
        with self._store.transaction() as connection:
            challenge = self._challenge(connection, account_id)
            if challenge is None:
                raise AccessCodeError("no code was sent for this account: ask for one first")
            challenge, verdict = verify(challenge, code, self._clock.now(), self._limits)
            _save(connection, account_id, challenge)
        return verdict

    def _challenge(self, connection: Connection, account_id: str) -> Challenge | None:
        row = connection.execute(
            select(code_challenges)
            .where(code_challenges.c.account_id == account_id)
            .with_for_update()
        ).one_or_none()
        if row is None:
            return None
        return Challenge(
            secret=self._open(account_id, row.sealed_secret),
            issued_at=row.issued_at,
            expires_at=row.expires_at,
            issued=row.issued,
            wrong_tries=row.wrong_tries,
            wrong_today=row.wrong_today,
            used_at=row.used_at,
        )

    def _seal(self, account_id: str, secret: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret.encode("ascii"), account_id.encode())

    def _open(self, account_id: str, sealed: bytes) -> str:
        from cryptography.exceptions import InvalidTag

        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._aead.decrypt(nonce, ciphertext, account_id.encode()).decode("ascii")
        except (InvalidTag, ValueError) as error:
            raise StoreError(
                "an account's secret cannot be decrypted: give the key that it was encrypted with"
            ) from error


def _counts(challenge: Challenge) -> Mapping[str, object]:
    """Return the columns of a challenge that change."""
    return {
        "issued_at": challenge.issued_at,
        "expires_at": challenge.expires_at,
        "issued": challenge.issued,
        "wrong_tries": challenge.wrong_tries,
        "wrong_today": challenge.wrong_today,
        "used_at": challenge.used_at,
    }


def _save(connection: Connection, account_id: str, challenge: Challenge) -> None:
    connection.execute(
        update(code_challenges)
        .where(code_challenges.c.account_id == account_id)
        .values(**_counts(challenge))
    )
