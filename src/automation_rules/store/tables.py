"""Every table of the state, as SQLAlchemy Core tables on one `metadata`.

The same tables serve SQLite and PostgreSQL. Instants are whole microseconds since
1970-01-01T00:00:00Z, exact in both; days are ISO 8601 text and mean London dates.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from ..clock import to_utc
from ..errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Dialect

__all__ = [
    "Day",
    "Instant",
    "Texts",
    "accounts",
    "acknowledgements",
    "activity_counters",
    "checkpoints",
    "closures",
    "code_challenges",
    "code_entries",
    "code_waits",
    "cosignatures",
    "envelopes",
    "landlords",
    "leases",
    "legal_holds",
    "log_entries",
    "log_head",
    "meta",
    "metadata",
    "notices",
    "observations",
    "people",
    "service_tokens",
    "signing_keys",
    "status_changes",
    "subjects",
    "switches",
    "tested_forms",
    "witnesses",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# In SQLite only a column declared INTEGER can be the row's own key; it holds 64 bits anyway.
_Big: Final = BigInteger().with_variant(Integer(), "sqlite")


def _text(length: int) -> String:
    """Return text that sorts by code point in both databases, whatever a server's locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_Id: Final = _text(200)
_Name: Final = _text(1000)


_FOREIGN: Final = (
    "the state holds a value that this library did not write: restore the state from a backup"
)


class Instant(TypeDecorator[datetime]):
    """An instant as whole microseconds since the Unix epoch.

    Takes aware datetimes (`ClockError` for a naive one) and gives them back in UTC; a stored
    value that is no instant raises `StoreError`.
    """

    impl = _Big
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Return the microseconds from the epoch to ``value``."""
        return None if value is None else (to_utc(value) - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the instant ``value`` microseconds after the epoch, in UTC."""
        if value is None:
            return None
        if not isinstance(value, int):
            raise StoreError(_FOREIGN)
        try:
            return _EPOCH + timedelta(microseconds=value)
        except OverflowError as error:
            raise StoreError(_FOREIGN) from error


class Day(TypeDecorator[date]):
    """A calendar day as ISO 8601 text; a stored value that is no day raises `StoreError`."""

    impl = String(10)
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return ``value`` as YYYY-MM-DD."""
        return None if value is None else value.isoformat()

    def process_result_value(self, value: object, dialect: Dialect) -> date | None:  # noqa: ARG002
        """Return the day that ``value`` names."""
        if value is None:
            return None
        try:
            return date.fromisoformat(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise StoreError(_FOREIGN) from error


class Texts(TypeDecorator[tuple[str, ...]]):
    """Several texts in order, as a JSON array; a stored value that is none raises `StoreError`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str:  # noqa: ARG002
        """Return ``value`` as a JSON array."""
        return json.dumps(value)

    def process_result_value(self, value: object, dialect: Dialect) -> tuple[str, ...]:  # noqa: ARG002
        """Return the texts in the array."""
        try:
            texts = json.loads(value)  # type: ignore[arg-type]
        except (TypeError, ValueError) as error:
            raise StoreError(_FOREIGN) from error
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise StoreError(_FOREIGN)
        return tuple(texts)


metadata: Final = MetaData()

meta: Final = Table(
    "meta",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("log_id", String(36), nullable=False),
    Column("created_at", Instant, nullable=False),
    CheckConstraint("id = 1", name="meta_one_row"),
)

# --- the registry -------------------------------------------------------------------------

landlords: Final = Table(
    "landlords",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", _Name, nullable=False),
    Column("also_known_as", Texts, nullable=False),
    Column("sector", _Name, nullable=False),
    Column("portal_access", Boolean, nullable=False),
    Column("nation", String(32)),
    Column("declared_on", Day),
    Column("partnership_manager", _Name),
    Column("paused", Boolean, nullable=False),
    Column("added_at", Instant, nullable=False),
)

people: Final = Table(
    "people",
    metadata,
    Column("landlord_id", ForeignKey("landlords.id"), primary_key=True),
    Column("id", _Id, primary_key=True),
    Column("name", _Name, nullable=False),
    Column("role", _Name),
    Column("added_at", Instant, nullable=False),
    Column("removed_at", Instant),
)

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("landlord_id", ForeignKey("landlords.id"), nullable=False, index=True),
    Column("username", _Name, nullable=False),
    Column("email", _Name, nullable=False),
    Column("roles", Texts, nullable=False),
    Column("two_factor", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_by_role", _Name, nullable=False),
    Column("todo_kind", _Name),
    Column("added_at", Instant, nullable=False),
    Column("removed_at", Instant),
    CheckConstraint("status IN ('active', 'paused', 'deactivated')", name="accounts_status"),
)

status_changes: Final = Table(
    "status_changes",
    metadata,
    Column("id", _Big, primary_key=True),
    Column("landlord_id", ForeignKey("landlords.id"), nullable=False, index=True),
    Column("account_id", ForeignKey("accounts.id")),
    Column("change", String(16), nullable=False),
    Column("reason", _Name),
    Column("person_id", _Id),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["landlord_id", "person_id"], ["people.landlord_id", "people.id"]),
)

acknowledgements: Final = Table(
    "acknowledgements",
    metadata,
    Column("id", _Big, primary_key=True),
    Column("landlord_id", _Id, nullable=False, index=True),
    Column("person_id", _Id, nullable=False),
    Column("terms_version", _Id, nullable=False),
    Column("terms_digest", _Id, nullable=False),
    Column("clauses", Texts, nullable=False),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["landlord_id", "person_id"], ["people.landlord_id", "people.id"]),
)

closures: Final = Table(
    "closures",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("start_at", Instant, nullable=False),
    Column("end_at", Instant, nullable=False, index=True),
    Column("reason", _Name, nullable=False),
)

notices: Final = Table(
    "notices",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("effective_on", Day, nullable=False),
    Column("affects_automation", Boolean, nullable=False),
    Column("title", _Name),
)

tested_forms: Final = Table(
    "tested_forms",
    metadata,
    Column("landlord_id", ForeignKey("landlords.id"), primary_key=True),
    Column("todo_kind", _Id, primary_key=True),
    Column("fingerprint", _Name, nullable=False),
    Column("tested_on", Day, nullable=False),
)

# --- the daily code -----------------------------------------------------------------------

code_waits: Final = Table(
    "code_waits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("landlord_id", ForeignKey("landlords.id"), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("sealed", LargeBinary),
    Column("entered_by", _Id),
    Column("entered_at", Instant),
    Column("taken_at", Instant),
    Index("code_waits_of_account", "account_id", "requested_at"),
)

code_entries: Final = Table(
    "code_entries",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("landlord_id", _Id, nullable=False),
    Column("person_id", _Id, nullable=False),
    Column("entered_at", Instant, nullable=False),
    Column("handed_over_at", Instant, nullable=False),
    ForeignKeyConstraint(["landlord_id", "person_id"], ["people.landlord_id", "people.id"]),
    Index("code_entries_of_account", "account_id", "entered_at"),
)

# No foreign key: the portal that issues codes knows accounts which no landlord registered here.
code_challenges: Final = Table(
    "code_challenges",
    metadata,
    Column("account_id", _Id, primary_key=True),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("issued_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("issued", Integer, nullable=False),
    Column("wrong_tries", Integer, nullable=False),
    Column("wrong_today", Integer, nullable=False),
    Column("used_at", Instant),
)

# --- the decision log ---------------------------------------------------------------------

log_head: Final = Table(
    "log_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", _Big, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    # Since schema version 2: the entries before it are pruned, and only their hashes are here.
    Column("first", _Big, nullable=False, server_default="0"),
    CheckConstraint("id = 1", name="log_head_one_row"),
)

log_entries: Final = Table(
    "log_entries",
    metadata,
    Column("idx", _Big, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("nodes", LargeBinary, nullable=False),
)

envelopes: Final = Table(
    "envelopes",
    metadata,
    Column("idx", ForeignKey("log_entries.idx"), primary_key=True, autoincrement=False),
    Column("slot", _text(32), primary_key=True),
    Column("token", _text(64), nullable=False, index=True),
    Column("ciphertext", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

subjects: Final = Table(
    "subjects",
    metadata,
    Column("token", _text(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("lookup", LargeBinary, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("kind", "lookup", name="subjects_lookup"),
)

# Since schema version 2. The reason is sealed in the entry that placed the hold.
legal_holds: Final = Table(
    "legal_holds",
    metadata,
    Column("token", ForeignKey("subjects.token"), primary_key=True),
    Column("placed_at", Instant, nullable=False),
)

# --- evidence for outsiders, since schema version 2 -----------------------------------------

# The public halves of the keys that the log was ever signed with; their name is its origin.
signing_keys: Final = Table(
    "signing_keys",
    metadata,
    Column("id", _Big, primary_key=True),
    Column("verifier_key", Text, nullable=False, unique=True),
    Column("added_at", Instant, nullable=False),
    Column("retired_at", Instant),
)

checkpoints: Final = Table(
    "checkpoints",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", _Big, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    Column("signed_at", Instant, nullable=False),
)

witnesses: Final = Table(
    "witnesses",
    metadata,
    Column("url", Text, primary_key=True),
    Column("verifier_key", Text, nullable=False),
    Column("refused_size", _Big),
    Column("refused_at", Instant),
)

cosignatures: Final = Table(
    "cosignatures",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", _Big, primary_key=True, autoincrement=False),
    Column("verifier_key", Text, primary_key=True),
    Column("line", Text, nullable=False),
    ForeignKeyConstraint(["origin", "size"], ["checkpoints.origin", "checkpoints.size"]),
)

# --- for the gateway, since schema version 3 ------------------------------------------------

# The account that holds a lease is in use. A landlord has at most two rows, whatever the time.
leases: Final = Table(
    "leases",
    metadata,
    Column("account_id", ForeignKey("accounts.id"), primary_key=True),
    Column("landlord_id", ForeignKey("landlords.id"), nullable=False, index=True),
    Column("expires_at", Instant, nullable=False),
)

# All automation is paused when the last row says so.
switches: Final = Table(
    "switches",
    metadata,
    Column("id", _Big, primary_key=True),
    Column("change", String(16), nullable=False),
    Column("reason", _Name),
    Column("landlord_id", _Id),
    Column("person_id", _Id),
    Column("at", Instant, nullable=False),
    ForeignKeyConstraint(["landlord_id", "person_id"], ["people.landlord_id", "people.id"]),
)

# Only the SHA-256 of a token is kept.
service_tokens: Final = Table(
    "service_tokens",
    metadata,
    Column("name", _Id, primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("added_at", Instant, nullable=False),
)

activity_counters: Final = Table(
    "activity_counters",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", _Big, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)

# No foreign key for the account: one that is not registered here may be seen as well.
observations: Final = Table(
    "observations",
    metadata,
    Column("id", _Big, primary_key=True),
    Column("landlord_id", ForeignKey("landlords.id"), index=True),
    Column("account_id", _Id, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("level", String(16), nullable=False),
    Column("seen", Integer, nullable=False),
    Column("allowed", _Name, nullable=False),
    Column("window_seconds", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    CheckConstraint("level IN ('warning', 'pause')", name="observations_level"),
    Index("observations_of_account", "account_id", "at"),
)
