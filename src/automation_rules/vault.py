"""People's tokens, keys and envelopes: what lets the log forget a person and still verify.

Every person, to-do, account or caller's request that a log entry concerns is a `Subject` with a
random token, which stands in the entry, and a random key, under which its facts are sealed in an
envelope beside the entry. Deleting the subject's row deletes the key: its envelopes can never be
opened again, and nothing leads from the subject to its token any more, while the entry, which
holds only the token and the envelope's SHA-256, stays as it was.

The subjects' keys lie in the state wrapped under one wrapping key, which does not.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import secrets
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from sqlalchemy import bindparam, delete, exists, insert, literal_column, select, update

from .clock import to_utc
from .errors import LogError, VerificationError
from .store.tables import envelopes, legal_holds
from .store.tables import subjects as subjects_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Delete, Dialect, Insert, Select, Table, TableClause, Update
    from sqlalchemy.engine.interfaces import DBAPICursor

__all__ = [
    "FIND_TOKEN",
    "WRAPPING_KEY_VARIABLE",
    "Direct",
    "Envelope",
    "Kind",
    "Subject",
    "SubjectKey",
    "Vault",
    "WrappingKey",
    "at_most",
    "canonical",
    "key_path",
    "untyped",
]

WRAPPING_KEY_VARIABLE: Final = "AUTOMATION_RULES_WRAPPING_KEY"
"""The environment variable that holds the wrapping key, in base64, when no file does."""

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_ID_BYTES: Final = 8
_VERSION: Final = b"\x01"
_LOOKUP_KEY: Final = "lookup-key"


class Kind(Enum):
    """What a subject is; also the name of its slot among an entry's tokens and envelopes."""

    ACCOUNT = "account"
    OPERATOR = "operator"
    PARTNERSHIP_MANAGER = "partnership_manager"
    REQUEST = "request"
    TENANT = "tenant"
    TODO = "todo"

    # Subjects are looked up a dozen times for each entry: its members' own hash is written in
    # Python. There is one of each in a process.
    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Subject:
    """Someone or something that log entries name by a token only.

    ``landlord`` is the identifier of the landlord whose identifier ``id`` is, or None; the same
    ``id`` at two landlords is two subjects.
    """

    kind: Kind
    landlord: str | None
    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A subject's sealed facts, as they lie beside an entry."""

    slot: str
    token: str
    ciphertext: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the sealed bytes, in hexadecimal, as the entry holds it."""
        return sha256(self.ciphertext).hexdigest()


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON (RFC 8785) of an object in UTF-8.

    Its keys are ASCII and its numbers whole and within 53 bits, for which RFC 8785 asks for no
    more than sorted keys and the shortest strings.

    Raises:
        ValueError: a string holds a lone surrogate, which UTF-8 cannot express.
        TypeError: something is not a JSON value.
    """
    return in_utf8(written(value))


def in_utf8(text: str) -> bytes:
    """Return canonical JSON in UTF-8.

    Raises:
        ValueError: a string holds a lone surrogate, which UTF-8 cannot express.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        # The cause would carry the text.
        raise ValueError("a text holds a lone surrogate, which UTF-8 cannot express") from None


written: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
"""Returns a value as canonical JSON; see `canonical` for what it may hold."""

quoted: Final = json.encoder.encode_basestring
"""Returns a text as canonical JSON: what is put together from a few of them takes a third of the
time that the encoder takes."""


def key_path(state: Path) -> Path:
    """Return where the wrapping key of a SQLite state is kept: ``<state>.key`` beside it."""
    return state.with_name(state.name + ".key")


class WrappingKey:
    """The key under which all subjects' keys lie wrapped in the state; never in the state."""

    __slots__ = ("_aead", "_secret", "id")

    def __init__(self, secret: bytes) -> None:
        """Take 32 random bytes.

        Raises:
            LogError: there are not 32.
        """
        if len(secret) != _KEY_BYTES:
            raise LogError(
                f"a wrapping key has {_KEY_BYTES} bytes, and this one {len(secret)}: "
                "restore the one that `automation-rules init` made"
            )
        self._secret = secret
        self._aead = AESGCM(_derive(secret, b"wrap"))
        self.id: Final = _derive(secret, b"id")[:_ID_BYTES]
        """Eight bytes that name the key and tell nothing of it."""

    def __repr__(self) -> str:
        """Name the key without showing it."""
        return f"WrappingKey({self.id.hex()})"

    @classmethod
    def create(cls, path: Path) -> WrappingKey:
        """Make a new key and keep it in a new file that only its owner may read.

        Raises:
            LogError: the file exists, or cannot be written.
        """
        secret = secrets.token_bytes(_KEY_BYTES)
        try:
            with os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
            ) as file:
                file.write(base64.b64encode(secret).decode() + "\n")
                file.flush()
                os.fsync(file.fileno())
        except FileExistsError as error:
            raise LogError(
                f"there is a wrapping key in {path} already: without it nobody could open what "
                "was sealed, so it is not replaced"
            ) from error
        except OSError as error:
            raise LogError(
                f"the wrapping key cannot be written to {path}: give this user the right to"
            ) from error
        return cls(secret)

    @classmethod
    def load(cls, path: Path | None) -> WrappingKey:
        """Read the key from ``AUTOMATION_RULES_WRAPPING_KEY`` or else from the file.

        Raises:
            LogError: there is none, or it is no key; says which, and never what it holds.
        """
        text = os.environ.get(WRAPPING_KEY_VARIABLE)
        if text:
            return cls._parse(text, WRAPPING_KEY_VARIABLE)
        if path is None:
            raise LogError(f"there is no wrapping key: set {WRAPPING_KEY_VARIABLE}")
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> WrappingKey:
        """Read the key from a file, whatever the environment says.

        Raises:
            LogError: there is none, or it is no key; says which, and never what it holds.
        """
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError as error:
            raise LogError(
                f"there is no wrapping key in {path}: run `automation-rules init`, restore "
                f"the file, or set {WRAPPING_KEY_VARIABLE}"
            ) from error
        except (OSError, ValueError) as error:
            raise LogError(f"the wrapping key in {path} cannot be read") from error
        return cls._parse(text, str(path))

    @classmethod
    def _parse(cls, text: str, place: str) -> WrappingKey:
        try:
            return cls(base64.b64decode(text.strip(), validate=True))
        except binascii.Error:
            # The cause would quote the secret.
            raise LogError(f"{place} does not hold a wrapping key in base64") from None

    def wrap(self, key: bytes, bound_to: bytes) -> bytes:
        """Return ``key`` sealed under this one and bound to other bytes."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.id + nonce + self._aead.encrypt(nonce, key, bound_to)

    def unwrap(self, wrapped: bytes, bound_to: bytes) -> bytes:
        """Return the key that `wrap` sealed.

        Raises:
            LogError: it was sealed under another wrapping key.
            VerificationError: it was changed, or is bound to other bytes.
        """
        if wrapped[:_ID_BYTES] != self.id and len(wrapped) == _WRAPPED_BYTES:
            raise LogError(
                f"the wrapping key is {self.id.hex()}, and the state was written with "
                f"{wrapped[:_ID_BYTES].hex()}: give the key that belongs to this state"
            )
        nonce, sealed = wrapped[_ID_BYTES:][:_NONCE_BYTES], wrapped[_ID_BYTES + _NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, sealed, bound_to)
        except (InvalidTag, ValueError) as error:
            raise VerificationError(_CHANGED_SUBJECT) from error


_WRAPPED_BYTES: Final = _ID_BYTES + _NONCE_BYTES + _KEY_BYTES + 16


class SubjectKey:
    """A subject's token, and the key that seals and opens its envelopes."""

    __slots__ = ("_aead", "token")

    def __init__(self, token: str, key: bytes) -> None:
        """Take the token and the 32 bytes of the key."""
        self.token: Final = token
        self._aead = AESGCM(key)

    def __repr__(self) -> str:
        """Show the token only."""
        return f"SubjectKey({self.token!r})"

    def seal(self, facts: Mapping[str, Any], *, entry: str, slot: str) -> Envelope:
        """Seal facts for one slot of the entry with that decision or event id."""
        return self.seal_text(written(facts), entry=entry, slot=slot)

    def seal_text(self, facts: str, *, entry: str, slot: str) -> Envelope:
        """Seal facts that are canonical JSON already, as `seal` does.

        Raises:
            ValueError: a text in them holds a lone surrogate.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._aead.encrypt(nonce, in_utf8(facts), _bound(entry, slot, self.token))
        return Envelope(slot, self.token, _VERSION + nonce + sealed)

    def open(self, envelope: Envelope, *, entry: str) -> dict[str, Any]:
        """Return the facts sealed in an envelope of the entry with that decision or event id.

        Raises:
            VerificationError: the envelope was changed, or belongs to another entry or subject.
        """
        sealed = envelope.ciphertext
        nonce = sealed[1 : 1 + _NONCE_BYTES]
        try:
            if sealed[:1] != _VERSION:
                raise VerificationError("an envelope has a version that is not known here")
            facts = self._aead.decrypt(
                nonce, sealed[1 + _NONCE_BYTES :], _bound(entry, envelope.slot, envelope.token)
            )
        except (InvalidTag, ValueError) as error:
            raise VerificationError("an envelope was changed or belongs elsewhere") from error
        opened: dict[str, Any] = json.loads(facts)
        return opened


class Direct:
    """Core statements on the driver's own cursor, inside a transaction that somebody else ends.

    What SQLAlchemy adds to an execution takes longer than a whole append to SQLite (measured:
    0.2 of the speed of a bare insert and commit, against 0.7 so), and every append waits for the
    one before it. Each statement is compiled once for its database, with the parameters in the
    order in which it names them.
    """

    __slots__ = ("_cursor", "_texts")

    def __init__(self, cursor: DBAPICursor, dialect: Dialect) -> None:
        """Work on ``cursor``, whose connection speaks ``dialect``."""
        self._cursor = cursor
        self._texts = _TEXTS.get(dialect.name) or _TEXTS.setdefault(dialect.name, _Texts(dialect))

    def rows(self, statement: Select[Any], *parameters: object) -> list[tuple[Any, ...]]:
        """Return every row that the statement selects."""
        self._cursor.execute(self._texts[statement], parameters)
        return self._cursor.fetchall()  # type: ignore[return-value]

    def change(self, statement: Insert | Update | Delete, *rows: tuple[object, ...]) -> None:
        """Execute the statement once for each row of parameters."""
        if len(rows) == 1:
            self._cursor.execute(self._texts[statement], rows[0])
        else:
            self._cursor.executemany(self._texts[statement], rows)

    def go_on(self, error: Exception) -> None:
        """Make the transaction usable again after a row that could not be read.

        Raises ``error`` when it says nothing of the row: when the server has gone, for example.
        """
        if isinstance(error, sqlite3.Error):
            return
        state = getattr(error, "sqlstate", None) or ""
        if not state.startswith(_DAMAGED):
            raise error
        # What follows is read as of now. Entries are only ever added, so that it fits.
        self._cursor.connection.rollback()


_DAMAGED: Final = ("XX", "58")
"""The classes of PostgreSQL's errors that mean the stored data: internal and system errors."""


class _Texts(dict["Select[Any] | Insert | Update | Delete", str]):
    """Statements as one database writes them, with positional parameters."""

    def __init__(self, dialect: Dialect) -> None:
        style = "qmark" if dialect.name == "sqlite" else "format"
        self._dialect = type(dialect)(paramstyle=style)  # type: ignore[call-arg]

    def __missing__(self, statement: Select[Any] | Insert | Update | Delete) -> str:
        return self.setdefault(statement, str(statement.compile(dialect=self._dialect)))


_TEXTS: Final[dict[str, _Texts]] = {}


class Vault:
    """The subjects of one state, opened with its wrapping key."""

    def __init__(self, key: WrappingKey) -> None:
        """Open with ``key``; whether it is the right one shows at the first use."""
        self._key = key
        self._lookup_key: bytes | None = None

    def keys(
        self, direct: Direct, subjects: Collection[Subject], now: datetime
    ) -> dict[Subject, SubjectKey]:
        """Return every subject's token and key, made now for those that have none.

        ``direct`` is in a transaction that writes, and that no other such transaction can
        overlap: the log's head must be locked first.

        Raises:
            LogError: the wrapping key is not this state's.
            VerificationError: a subject's row was changed.
        """
        lookup_key = self._find_lookup_key(direct) or self._make_lookup_key(direct, now)
        wanted: dict[Kind, dict[bytes, Subject]] = {}
        for subject in subjects:
            wanted.setdefault(subject.kind, {})[_lookup(lookup_key, subject)] = subject
        keys: dict[Subject, SubjectKey] = {}
        added = []
        for kind, lookups in wanted.items():
            for row in _find(direct, kind, list(lookups)):
                keys[lookups.pop(row[2])] = SubjectKey(row[0], self._unwrap(row))
            for lookup, subject in lookups.items():
                token, key = secrets.token_hex(16), secrets.token_bytes(_KEY_BYTES)
                added.append(self._row(token, kind.value, lookup, key, now))
                keys[subject] = SubjectKey(token, key)
        if added:
            # A key that was rotated since must wrap nothing more.
            self._unwrap(direct.rows(_FIND, _LOOKUP_KEY, b"")[0])
            direct.change(_ADD, *added)
        return keys

    def token(self, direct: Direct, subject: Subject) -> str | None:
        """Return a subject's token; None when it has none, or was erased.

        Raises:
            LogError: the wrapping key is not this state's.
            VerificationError: a row was changed.
        """
        lookup_key = self._find_lookup_key(direct)
        if lookup_key is None:
            return None
        rows = direct.rows(_FIND, subject.kind.value, _lookup(lookup_key, subject))
        return str(rows[0][0]) if rows else None

    def forget(self, direct: Direct, token: str) -> bytes:
        """Delete a subject's key, and all that leads from it to its token; return the lost key.

        The bytes are those that stood in the state: the key as it was wrapped.
        """
        wrapped: bytes = direct.rows(FIND_TOKEN, token)[0][3]
        direct.change(_FORGET, (token,))
        return wrapped

    def forget_unused(self, direct: Direct) -> None:
        """Delete the keys of all subjects that have no envelope any more and are not held."""
        direct.change(_FORGET_UNUSED, ())

    def is_current(self, direct: Direct) -> bool:
        """Return whether the wrapping key is this state's, or the state has no subjects yet."""
        rows = direct.rows(_FIND, _LOOKUP_KEY, b"")
        return not rows or bytes(rows[0][3][:_ID_BYTES]) == self._key.id

    def rewrap(self, direct: Direct, key: WrappingKey) -> int:
        """Wrap every subject's key under another wrapping key; return how many there are.

        ``direct`` is in a transaction that writes, with the log's head locked. From its commit on
        only the other key opens anything.

        Raises:
            LogError: the wrapping key is not this state's.
            VerificationError: a row was changed.
        """
        after, count = "", 0
        while rows := direct.rows(_FROM, after):
            changed = []
            for row in rows:
                token, kind, lookup, _, created_at = row
                bound = _row_binding(token, kind, lookup, created_at)
                changed.append((key.wrap(self._unwrap(row), bound), token))
            direct.change(_REWRAP, *changed)
            after, count = rows[-1][0], count + len(rows)
        return count

    def find(self, direct: Direct, token: str) -> SubjectKey | None:
        """Return the key of a token; None when its subject was erased.

        Raises:
            LogError: the wrapping key is not this state's.
            VerificationError: the subject's row was changed.
        """
        rows = direct.rows(FIND_TOKEN, token)
        return SubjectKey(token, self._unwrap(rows[0])) if rows else None

    def verify(self, direct: Direct) -> None:
        """Return when every subject's row is as it was written.

        Raises:
            LogError: the wrapping key is not this state's.
            VerificationError: a row was changed.
        """
        after = ""
        while rows := direct.rows(_FROM, after):
            for row in rows:
                self._unwrap(row)
            after = rows[-1][0]

    def _find_lookup_key(self, direct: Direct) -> bytes | None:
        if self._lookup_key is None:
            rows = direct.rows(_FIND, _LOOKUP_KEY, b"")
            if rows:
                self._lookup_key = self._unwrap(rows[0])
        return self._lookup_key

    def _make_lookup_key(self, direct: Direct, now: datetime) -> bytes:
        # Not kept in the process: the transaction that inserts it may yet be rolled back.
        key = secrets.token_bytes(_KEY_BYTES)
        direct.change(_ADD, self._row(_LOOKUP_KEY, _LOOKUP_KEY, b"", key, now))
        return key

    def _row(
        self, token: str, kind: str, lookup: bytes, key: bytes, now: datetime
    ) -> tuple[str, str, bytes, bytes, int]:
        microseconds = (to_utc(now) - _EPOCH) // timedelta(microseconds=1)
        wrapped = self._key.wrap(key, _row_binding(token, kind, lookup, microseconds))
        return token, kind, lookup, wrapped, microseconds

    def _unwrap(self, row: Sequence[Any]) -> bytes:
        token, kind, lookup, wrapped, created_at = row
        try:
            return self._key.unwrap(wrapped, _row_binding(token, kind, lookup, created_at))
        except (AttributeError, TypeError, ValueError) as error:
            raise VerificationError(_CHANGED_SUBJECT) from error


def untyped(table: Table) -> TableClause:
    """Return a table to read as it is stored, whatever type somebody gave to a value."""
    return sqlalchemy.table(table.name, *(sqlalchemy.column(column.name) for column in table.c))


def at_most(rows: int, statement: Select[Any]) -> Select[Any]:
    """Return the statement limited to its first rows, with no parameter added by any dialect."""
    number = sqlalchemy.literal_column
    return statement.limit(number(str(rows))).offset(number("0"))


_CHANGED_SUBJECT: Final = "a subject's row was changed"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_raw: Final = untyped(subjects_table)
_COLUMNS: Final = [
    _raw.c[name] for name in ("token", "kind", "lookup", "wrapped_key", "created_at")
]
_FIND: Final = select(*_COLUMNS).where(
    _raw.c.kind == bindparam("kind"), _raw.c.lookup == bindparam("lookup")
)


def _find(direct: Direct, kind: Kind, lookups: list[bytes]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the subjects that have one, in any order.

    Asking for them together takes half the time of asking for one after another.
    """
    for first in range(0, len(lookups), _AT_ONCE):
        some = lookups[first : first + _AT_ONCE]
        # Few statements, of few lengths: the driver keeps them prepared.
        number = 1 << (len(some) - 1).bit_length()
        rest = some[:1] * (number - len(some))
        yield from direct.rows(_find_some(number), kind.value, *some, *rest)


_AT_ONCE: Final = 128


@cache
def _find_some(number: int) -> Select[Any]:
    lookups: list[Any] = [bindparam(f"lookup_{at}") for at in range(number)]
    return select(*_COLUMNS).where(_raw.c.kind == bindparam("kind"), _raw.c.lookup.in_(lookups))


FIND_TOKEN: Final = select(*_COLUMNS).where(_raw.c.token == bindparam("token"))
_FROM: Final = at_most(
    500,
    select(*_COLUMNS).where(_raw.c.token > bindparam("after")).order_by(_raw.c.token),
)
_ADD: Final = insert(_raw).values({column.name: bindparam(column.name) for column in _COLUMNS})
_REWRAP: Final = (
    update(_raw)
    .values(wrapped_key=bindparam("wrapped_key"))
    .where(_raw.c.token == bindparam("of_token"))
)
_FORGET: Final = delete(_raw).where(_raw.c.token == bindparam("token"))
_FORGET_UNUSED: Final = delete(_raw).where(
    _raw.c.token != literal_column(f"'{_LOOKUP_KEY}'"),
    ~exists().where(envelopes.c.token == _raw.c.token),
    ~exists().where(legal_holds.c.token == _raw.c.token),
)


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), _KEY_BYTES, b"automation-rules " + purpose).derive(secret)


def _lookup(key: bytes, subject: Subject) -> bytes:
    landlord = "null" if subject.landlord is None else quoted(subject.landlord)
    named = f'{{"id":{quoted(subject.id)},"kind":"{subject.kind.value}","landlord":{landlord}}}'
    return hmac.digest(key, in_utf8(named), "sha256")


def _bound(entry: str, slot: str, token: str) -> bytes:
    return in_utf8(f'{{"entry":{quoted(entry)},"slot":{quoted(slot)},"token":{quoted(token)}}}')


def _row_binding(token: str, kind: str, lookup: bytes, created_at: int) -> bytes:
    return in_utf8(
        f'{{"created_at":{created_at:d},"kind":{quoted(kind)},'
        f'"lookup":"{lookup.hex()}","token":{quoted(token)}}}'
    )
