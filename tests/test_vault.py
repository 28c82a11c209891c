"""Tokens, keys and envelopes: what lets the log forget a person and still verify."""

from __future__ import annotations

import base64
import hmac
import json
import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from automation_rules import vault as vault_module
from automation_rules.clock import SystemClock
from automation_rules.errors import LogError, VerificationError
from automation_rules.store import Store
from automation_rules.store.tables import subjects
from automation_rules.vault import (
    WRAPPING_KEY_VARIABLE,
    Direct,
    Envelope,
    Kind,
    Subject,
    SubjectKey,
    Vault,
    WrappingKey,
    canonical,
    key_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COUNT = select(func.count()).select_from(subjects)
NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
TENANT = Subject(Kind.TENANT, "acme", "tenant-1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new state."""
    url = f"sqlite:///{tmp_path / 'state.sqlite3'}"
    with Store.open(url, clock=SystemClock(), create=True) as store:
        yield store


@pytest.fixture
def vault() -> Vault:
    """A vault with a key of its own."""
    return Vault(WrappingKey(os.urandom(32)))


@contextmanager
def writing(store: Store) -> Iterator[Direct]:
    """Give what a vault works on, in a transaction."""
    with store.transaction() as connection:
        yield Direct(connection.connection.cursor(), connection.dialect)


# --- the wrapping key -----------------------------------------------------------------------


def test_a_new_wrapping_key_is_kept_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """The file holds the key in base64, and no permission for others where there are any."""
    path = key_path(tmp_path / "state.sqlite3")
    assert path.name == "state.sqlite3.key"
    key = WrappingKey.create(path)
    assert len(base64.b64decode(path.read_text())) == 32
    assert WrappingKey.load(path).id == key.id
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_wrapping_key_is_never_replaced(tmp_path: Path) -> None:
    """Making a key where there is one is refused, and the file stays as it was."""
    path = tmp_path / "key"
    WrappingKey.create(path)
    before = path.read_bytes()
    with pytest.raises(LogError, match="already"):
        WrappingKey.create(path)
    assert path.read_bytes() == before


def test_a_wrapping_key_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A directory that is not there gives a clear error."""
    with pytest.raises(LogError, match="cannot be written"):
        WrappingKey.create(tmp_path / "nowhere" / "key")


def test_the_environment_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTOMATION_RULES_WRAPPING_KEY is used even when the file holds another key."""
    WrappingKey.create(tmp_path / "key")
    secret = os.urandom(32)
    monkeypatch.setenv(WRAPPING_KEY_VARIABLE, base64.b64encode(secret).decode())
    assert WrappingKey.load(tmp_path / "key").id == WrappingKey(secret).id
    assert WrappingKey.load(None).id == WrappingKey(secret).id


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not base64!", "base64"),
        ("c2VjcmV0", "32 bytes, and this one 6"),
        (base64.b64encode(bytes(33)).decode(), "32 bytes, and this one 33"),
        ("sécret", "cannot be read|base64"),
    ],
)
def test_a_text_that_is_no_key_is_refused_without_being_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    """The error says what is wrong in both places, and never quotes the secret."""
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LogError, match=problem) as from_file:
        WrappingKey.load(path)
    assert text not in str(from_file.value)
    if text.isascii():
        monkeypatch.setenv(WRAPPING_KEY_VARIABLE, text)
        with pytest.raises(LogError, match=problem) as from_environment:
            WrappingKey.load(None)
        assert text not in str(from_environment.value)
        assert from_environment.value.__cause__ is None


def test_no_wrapping_key_anywhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file or the variable, the error names both ways out."""
    monkeypatch.delenv(WRAPPING_KEY_VARIABLE, raising=False)
    with pytest.raises(LogError, match=rf"init.*{WRAPPING_KEY_VARIABLE}"):
        WrappingKey.load(tmp_path / "key")
    with pytest.raises(LogError, match=WRAPPING_KEY_VARIABLE):
        WrappingKey.load(None)


def test_keys_and_subjects_are_not_shown_by_repr() -> None:
    """No repr shows a secret or a person's identifier."""
    secret = b"made-up secret of thirty-two byt"
    shown = repr(WrappingKey(secret)) + repr(SubjectKey("token", secret)) + repr(TENANT)
    assert "made-up" not in shown
    assert "tenant-1" not in shown
    assert "token" in shown


# --- tokens -------------------------------------------------------------------------------


def test_a_subject_is_kept_with_the_instant_it_was_first_met(store: Store, vault: Vault) -> None:
    """The instant stands in the state to the microsecond, and meeting again does not move it."""
    first_met = NOW + timedelta(microseconds=123457)
    for now in (first_met, first_met + timedelta(days=1)):
        with writing(store) as direct:
            token = vault.keys(direct, [TENANT], now)[TENANT].token
    with store.transaction() as connection:
        [created_at] = connection.scalars(
            select(subjects.c.created_at).where(subjects.c.token == token)
        )
    assert created_at == first_met


def test_a_subject_keeps_its_token(store: Store, vault: Vault) -> None:
    """The same subject has the same token and key in later transactions and for other vaults."""
    with writing(store) as direct:
        first = vault.keys(direct, [TENANT, TENANT], NOW)[TENANT]
    with writing(store) as direct:
        assert vault.keys(direct, [TENANT], NOW)[TENANT].token == first.token
    with writing(store) as direct:
        again = Vault(vault._key).keys(direct, [TENANT], NOW)[TENANT]
    sealed = first.seal({"id": "tenant-1"}, entry="e", slot="tenant")
    assert again.open(sealed, entry="e") == {"id": "tenant-1"}
    assert len(first.token) == 32


def test_subjects_of_another_kind_landlord_or_id_are_others(store: Store, vault: Vault) -> None:
    """Kind, landlord and identifier each make another subject, None and an empty landlord too."""
    several = [
        TENANT,
        replace(TENANT, kind=Kind.TODO),
        replace(TENANT, landlord="other"),
        replace(TENANT, landlord=None),
        replace(TENANT, landlord=""),
        replace(TENANT, id="tenant-2"),
        replace(TENANT, id=""),
    ]
    with writing(store) as direct:
        keys = vault.keys(direct, several, NOW)
    assert len({key.token for key in keys.values()}) == len(several)


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
def test_many_subjects_are_found_or_made_together(url: str, vault: Vault) -> None:
    """However many of a kind are asked for at once, each keeps its own token and key."""
    known = [replace(TENANT, id=str(number)) for number in range(150)]
    known += [replace(subject, kind=Kind.TODO) for subject in known[:5]]
    with Store.open(url, clock=SystemClock(), create=True) as store:
        with writing(store) as direct:
            before = vault.keys(direct, known, NOW)
        new = [replace(TENANT, id=f"new-{number}") for number in range(150)]
        with writing(store) as direct:
            after = vault.keys(direct, [*new, *reversed(known)], NOW)
    assert {subject: key.token for subject, key in before.items()} == {
        subject: after[subject].token for subject in known
    }
    assert len({key.token for key in after.values()}) == 305
    for subject in known:
        sealed = before[subject].seal({"id": subject.id}, entry="e", slot="s")
        assert after[subject].open(sealed, entry="e") == {"id": subject.id}


def test_a_token_is_random_and_no_keyed_hash(tmp_path: Path) -> None:
    """Two states under one wrapping key give the same person unrelated tokens."""
    key = WrappingKey(os.urandom(32))
    tokens = set()
    for name in ("one", "two"):
        url = f"sqlite:///{tmp_path / name}"
        with Store.open(url, clock=SystemClock(), create=True) as store, writing(store) as direct:
            tokens.add(Vault(key).keys(direct, [TENANT], NOW)[TENANT].token)
    assert len(tokens) == 2


def test_what_was_rolled_back_is_forgotten(store: Store, vault: Vault) -> None:
    """A transaction that fails leaves neither a token nor a lookup key in use."""
    lost = []
    with suppress(ZeroDivisionError), writing(store) as direct:
        lost.append(vault.keys(direct, [TENANT], NOW)[TENANT].token)
        raise ZeroDivisionError
    with writing(store) as direct:
        assert direct.rows(COUNT) == [(0,)]
        kept = vault.keys(direct, [TENANT], NOW)[TENANT].token
    assert kept not in lost
    assert lost
    with writing(store) as direct:
        assert Vault(vault._key).keys(direct, [TENANT], NOW)[TENANT].token == kept


def test_an_erased_subject_has_no_key_and_comes_back_as_another(store: Store, vault: Vault) -> None:
    """Deleting the row is enough: the token leads nowhere, and the person gets a new one."""
    with writing(store) as direct:
        token = vault.keys(direct, [TENANT], NOW)[TENANT].token
        assert vault.find(direct, token) is not None
    with sqlite3.connect(store.path or "") as connection:
        connection.execute("DELETE FROM subjects WHERE token = ?", (token,))
    connection.close()
    with writing(store) as direct:
        assert vault.find(direct, token) is None
        assert vault.keys(direct, [TENANT], NOW)[TENANT].token != token
        vault.verify(direct)


def test_the_state_holds_no_identifier_and_no_key(store: Store) -> None:
    """Neither the subject's identifier nor any unwrapped key is in the state's files."""
    secret = os.urandom(32)
    vault = Vault(WrappingKey(secret))
    subject = Subject(Kind.OPERATOR, "acme", "Maude Makebelieve of Nowhere Street")
    with writing(store) as direct:
        vault.keys(direct, [subject], NOW)
    assert store.path is not None
    stored = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"Makebelieve" not in stored
    assert secret not in stored


def test_another_wrapping_key_is_told_apart(store: Store, vault: Vault) -> None:
    """A vault with the wrong key is refused with both keys named, and nothing is added."""
    with writing(store) as direct:
        vault.keys(direct, [TENANT], NOW)
    wrong = Vault(WrappingKey(os.urandom(32)))
    for use in (
        lambda direct: wrong.keys(direct, [TENANT], NOW),
        wrong.verify,
    ):
        with (
            pytest.raises(LogError, match=f"{wrong._key.id.hex()}.*{vault._key.id.hex()}"),
            writing(store) as direct,
        ):
            use(direct)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("token", "0" * 32),
        ("token", b"0" * 32),
        ("kind", "todo"),
        ("kind", b"tenant"),
        ("lookup", bytes(32)),
        ("lookup", "text"),
        ("wrapped_key", bytes(68)),
        ("wrapped_key", b""),
        ("wrapped_key", "text"),
        ("wrapped_key", 7),
        ("created_at", 1),
        ("created_at", "long ago"),
    ],
)
def test_a_changed_subject_is_found(store: Store, vault: Vault, column: str, value: object) -> None:
    """Every column of a subject's row is bound to its key."""
    with writing(store) as direct:
        vault.keys(direct, [TENANT], NOW)
        vault.verify(direct)
    assert store.path is not None
    with sqlite3.connect(store.path) as connection:
        # The column is one of those above.
        change = f"UPDATE subjects SET {column} = ? WHERE kind = 'tenant'"  # noqa: S608
        connection.execute(change, (value,))
    connection.close()
    with pytest.raises(LogError, match=r"subject|wrapping key"), writing(store) as direct:
        vault.verify(direct)


def test_many_subjects_are_verified(store: Store, vault: Vault) -> None:
    """The last of more subjects than are read at once is verified too."""
    many = [replace(TENANT, id=str(number)) for number in range(1200)]
    with writing(store) as direct:
        last = max(key.token for key in vault.keys(direct, many, NOW).values())
        vault.verify(direct)
    assert store.path is not None
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE subjects SET kind = 'todo' WHERE token = ?", (last,))
    connection.close()
    with pytest.raises(VerificationError, match="subject"), writing(store) as direct:
        vault.verify(direct)


# --- envelopes ------------------------------------------------------------------------------


def test_an_envelope_opens_only_where_it_belongs() -> None:
    """Another entry, slot, token or key, and any changed byte, are refused."""
    key = SubjectKey("token", bytes(32))
    facts = {"id": "tenant-1", "name": "Ŵyn Made-up"}
    sealed = key.seal(facts, entry="entry", slot="tenant")
    assert key.open(sealed, entry="entry") == facts
    wrong = [
        replace(sealed, slot="todo"),
        replace(sealed, token="f" * 32),
        replace(sealed, ciphertext=b""),
        replace(sealed, ciphertext=b"\x02" + sealed.ciphertext[1:]),
        *(
            replace(sealed, ciphertext=sealed.ciphertext[:at] + bytes([byte ^ 1]) + rest)
            for at, byte in enumerate(sealed.ciphertext)
            for rest in [sealed.ciphertext[at + 1 :]]
        ),
        *(replace(sealed, ciphertext=sealed.ciphertext[:at]) for at in range(30)),
    ]
    for envelope in wrong:
        with pytest.raises(VerificationError, match="envelope"):
            key.open(envelope, entry="entry")
    with pytest.raises(VerificationError):
        key.open(sealed, entry="other")
    with pytest.raises(VerificationError):
        SubjectKey("token", bytes([1] * 32)).open(sealed, entry="entry")


def test_the_same_facts_are_sealed_differently_each_time() -> None:
    """A random nonce keeps anybody from guessing facts by their digest."""
    key = SubjectKey("token", bytes(32))
    sealed = {key.seal({"id": "t"}, entry="e", slot="tenant").digest for _ in range(10)}
    assert len(sealed) == 10


def test_an_envelope_hides_what_it_holds() -> None:
    """Neither the sealed bytes nor the repr show the facts."""
    sealed = SubjectKey("token", bytes(32)).seal({"id": "Makebelieve"}, entry="e", slot="tenant")
    assert b"Makebelieve" not in sealed.ciphertext
    assert repr(sealed) == "Envelope(slot='tenant', token='token')"
    assert sealed == Envelope("tenant", "token", sealed.ciphertext)


# --- canonical JSON ---------------------------------------------------------------------------

_KEYS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_canonical_json_is_that_of_rfc_8785(value: dict[str, object]) -> None:
    """What entries are made of is encoded byte for byte as the RFC 8785 library does."""
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert json.loads(canonical(value)) == value


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(_TEXTS, _TEXTS, st.none() | _TEXTS, st.integers(0, 2**53 - 1))
def test_what_is_bound_is_canonical_json(one: str, other: str, maybe: str | None, at: int) -> None:
    """What keys and envelopes are bound to is put together by hand, byte for byte as canonical."""
    bound = {"entry": one, "slot": other, "token": maybe or ""}
    assert vault_module._bound(**bound) == canonical(bound)
    row = {"token": one, "kind": other, "lookup": b"\x01" * 32, "created_at": at}
    assert vault_module._row_binding(**row) == canonical({**row, "lookup": "01" * 32})  # type: ignore[arg-type]
    named = canonical({"kind": "tenant", "landlord": maybe, "id": one})
    subject = Subject(Kind.TENANT, maybe, one)
    assert vault_module._lookup(b"key", subject) == hmac.digest(b"key", named, "sha256")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800"])
def test_what_json_cannot_say_is_refused_without_being_shown(value: object) -> None:
    """NaN, infinities, other types and lone surrogates are errors that carry no value."""
    with pytest.raises((ValueError, TypeError)) as refused:
        canonical({"id": f"Makebelieve{value}" if value == "\ud800" else value})
    assert "Makebelieve" not in repr(refused.value) + repr(refused.value.__cause__)
