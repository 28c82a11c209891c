"""The tokens of the decision service's callers: shown once, kept as digests, revoked at once."""

from __future__ import annotations

import base64
import hashlib
import multiprocessing
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from automation_rules.clock import FrozenClock
from automation_rules.errors import AlreadyRegisteredError, InvalidInputError, NotRegisteredError
from automation_rules.store import ServiceToken, ServiceTokens, Store, tables
from servers import on_both_databases
from store_workers import token_added

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that stands still."""
    return FrozenClock(NOW)


@pytest.fixture
def store(url: str, clock: FrozenClock) -> Iterator[Store]:
    """Give a new state."""
    with Store.open(url, clock=clock, create=True) as new:
        yield new


@pytest.fixture
def tokens(store: Store, clock: FrozenClock) -> ServiceTokens:
    """Return the state's tokens."""
    return ServiceTokens(store, clock)


@on_both_databases
def test_a_token_names_its_caller_until_it_is_revoked(
    tokens: ServiceTokens, clock: FrozenClock
) -> None:
    """Each caller has its own, and the list says since when."""
    first = tokens.add("portal")
    clock.move_to(NOW + timedelta(hours=1))
    second = tokens.add("Batch runner 2")
    assert tokens.verify(first) == "portal"
    assert tokens.verify(second) == "Batch runner 2"
    assert tokens.list() == (
        ServiceToken("Batch runner 2", NOW + timedelta(hours=1)),
        ServiceToken("portal", NOW),
    )
    tokens.revoke("portal")
    assert tokens.verify(first) is None
    assert tokens.verify(second) == "Batch runner 2"
    assert [token.name for token in tokens.list()] == ["Batch runner 2"]
    with pytest.raises(NotRegisteredError, match="no token for 'portal'"):
        tokens.revoke("portal")


def test_a_token_is_256_random_bits_that_any_header_can_carry(tokens: ServiceTokens) -> None:
    """It holds only characters of RFC 6750's b68token, with a mark by which it can be found."""
    made = {tokens.add(f"caller-{number}") for number in range(20)}
    assert len(made) == 20
    for token in made:
        match = re.fullmatch(r"automation_rules_([A-Za-z0-9_-]{43})", token)
        assert match
        assert len(base64.urlsafe_b64decode(match[1] + "=")) == 32


def test_only_a_digest_is_kept(tokens: ServiceTokens, store: Store, tmp_path: Path) -> None:
    """No file of the state holds the token, nor a part of it."""
    token = tokens.add("portal")
    with store.reading() as connection:
        [row] = connection.execute(select(tables.service_tokens)).all()
    assert row.digest == hashlib.sha256(token.encode()).digest()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"portal" in stored
    assert token[-20:].encode() not in stored


@pytest.mark.parametrize("change", ["", "x", " ", "\n"])
def test_what_is_nearly_a_token_is_nobodys(tokens: ServiceTokens, change: str) -> None:
    """Every character counts."""
    token = tokens.add("portal")
    nearly = token + change if change else token[:-1]
    assert tokens.verify(nearly) is None
    assert tokens.verify(change + token[1:]) is None
    assert tokens.verify(token.swapcase()) is None


@pytest.mark.parametrize("text", ["", "\x00", "\udc80", "é" * 10_000, "Bearer", "' OR 1=1 --"])
@on_both_databases
def test_any_text_can_be_asked_about(tokens: ServiceTokens, text: str) -> None:
    """What a stranger sends is nobody's token, and no error."""
    tokens.add("portal")
    assert tokens.verify(text) is None


def test_a_digest_is_no_token(tokens: ServiceTokens, store: Store) -> None:
    """Whoever reads the state cannot ask the service with what is there."""
    tokens.add("portal")
    with store.reading() as connection:
        digest = connection.execute(select(tables.service_tokens.c.digest)).scalar_one()
    assert tokens.verify(digest.hex()) is None
    assert tokens.verify(digest.decode("latin-1")) is None


def test_a_damaged_row_is_nobodys(tokens: ServiceTokens, store: Store) -> None:
    """A digest that was cut short matches nothing."""
    token = tokens.add("portal")
    with store.transaction() as connection:
        connection.execute(update(tables.service_tokens).values(digest=b""))
    assert tokens.verify(token) is None


@on_both_databases
def test_a_name_is_taken_once_and_free_again_when_revoked(tokens: ServiceTokens) -> None:
    """A second token for a caller takes another name, or the place of the first."""
    first = tokens.add("portal")
    with pytest.raises(AlreadyRegisteredError, match="revoke it, or choose another name"):
        tokens.add("portal")
    assert tokens.verify(first) == "portal"
    tokens.revoke("portal")
    second = tokens.add("portal")
    assert tokens.verify(first) is None
    assert tokens.verify(second) == "portal"


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "\udc80", None, 7])
def test_a_name_that_cannot_be_read_is_refused(tokens: ServiceTokens, name: Any) -> None:
    """Nothing is made, and the argument is named."""
    for act in (tokens.add, tokens.revoke):
        with pytest.raises(InvalidInputError, match="name: must"):
            act(name)
    assert tokens.list() == ()


@on_both_databases
def test_of_processes_that_add_one_name_at_once_one_gets_a_token(
    store: Store, url: str, tokens: ServiceTokens
) -> None:
    """The others are told that it is taken, and the one token is good."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.SimpleQueue()
    workers = [context.Process(target=token_added, args=(url, start, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    answers = sorted(results.get() for _ in workers)
    results.close()
    assert answers[:2] == ["AlreadyRegisteredError"] * 2
    assert tokens.verify(answers[2]) == "portal"
