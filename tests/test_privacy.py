"""Erasure, legal holds, retention and key rotation leave every proof as it was."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import make_url

from automation_rules import merkle
from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.audit import DecisionLog, InclusionProof, RememberedHeads, draft_decision
from automation_rules.clock import FrozenClock
from automation_rules.errors import (
    AlreadyRegisteredError,
    InvalidInputError,
    LegalHoldError,
    LogError,
    NotRecordedError,
    NotRegisteredError,
    StoreError,
    VerificationError,
)
from automation_rules.merkle import Head, verify_consistency, verify_inclusion
from automation_rules.privacy import Erased, Privacy, rotate_wrapping_key
from automation_rules.store import AnnouncedChange, PortalClosure, Registry, Store
from automation_rules.store.codes import CodeDesk
from automation_rules.vault import Kind, Subject, Vault, WrappingKey
from log_helpers import PORTAL, raw, request
from servers import Server, on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


START = datetime(2026, 6, 2, 8, tzinfo=UTC)
OFFICER, NAME = "makebelieve-officer", "Makebelieve Officer-Name"
TENANT, TODO = "makebelieve-tenant", "makebelieve-todo"
MANAGER = "Makebelieve Manager"
TENANT_OF_ACME = Subject(Kind.TENANT, "acme", TENANT)
OPERATOR = Subject(Kind.OPERATOR, "acme", OFFICER)


@dataclass
class World:
    """A state with everything open on it."""

    url: str
    store: Store
    key: WrappingKey
    log: DecisionLog
    registry: Registry
    privacy: Privacy

    def record(self, number: int = 1, *, at: datetime = START, **changes: Any) -> None:
        """Record decisions about the tenant, one after another."""
        asked = {
            "resource__id": TODO,
            "resource__properties__tenant": TENANT,
            "subject__properties__sms_code__provided_by": OFFICER,
            "context__landlord__partnership_manager": MANAGER,
            "context__time": at.isoformat(),
            **changes,
        }
        decision = PORTAL.decide(request(**asked))
        self.log.record_many(
            # Each has an identifier of its own.
            [draft_decision(replace(decision), readings=PORTAL.readings) for _ in range(number)]
        )

    def stored(self) -> bytes:
        """Return every byte of the database's files."""
        assert self.store.path is not None
        files = sorted(self.store.path.parent.glob(f"{self.store.path.name}*"))
        return b"".join(f.read_bytes() for f in files if not f.name.endswith((".key", ".heads")))


@contextmanager
def world(url: str, folder: Path, key: WrappingKey | None = None) -> Iterator[World]:
    """Open the state at a URL with one landlord, people and an account."""
    clock = FrozenClock(START)
    key = key or WrappingKey(bytes(32))
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(url, clock=clock, create=True))
        heads = stack.enter_context(RememberedHeads(folder / "state.heads"))
        vault = Vault(key)
        log = stack.enter_context(DecisionLog(store, vault, heads=heads))
        registry = Registry(store, clock)
        if not registry.landlords():
            registry.add_landlord(Landlord("acme", "Acme Homes", partnership_manager=MANAGER))
            registry.add_person(Person(OFFICER, "acme", NAME, "Officer"))
            registry.add_person(Person("other", "acme", "Other Person"))
        yield World(url, store, key, log, registry, Privacy(store, log, vault, clock))


@pytest.fixture
def state(url: str, tmp_path: Path) -> Iterator[World]:
    """A state to work on."""
    with world(url, tmp_path) as opened:
        yield opened


def proved(log: DecisionLog) -> tuple[Head, list[InclusionProof]]:
    """Take the head and a proof of every entry that is kept."""
    head = log.head()
    return head, [log.prove_inclusion(index) for index in range(log.first(), head.size)]


def still_holds(log: DecisionLog, taken: tuple[Head, list[InclusionProof]]) -> None:
    """See that proofs taken earlier lead to their root, which the log continues."""
    head, proofs = taken
    for proof in proofs:
        verify_inclusion(proof.leaf_hash, proof.index, head.size, proof.hashes, head.root)
    now = log.head()
    if head.size:
        growth = log.prove_consistency(head.size)
        verify_consistency(head.size, head.root, now.size, now.root, growth)
    assert log.verify(head, forms=True) == now


def everything_registered(state: World) -> None:
    """Let the officer, the tenant and the manager leave a trace wherever one can be."""
    registry = state.registry
    registry.add_account(
        AutomationAccount(
            "acme-1",
            "acme",
            "Acme Homes Automation 1",
            "automation@acme.example",
            created_by_role="manage_users",
        )
    )
    registry.pause_account("acme-1", f"asked for by {NAME}, about {TENANT}")
    registry.resume_account("acme-1", OFFICER)
    registry.pause_account("acme-1", "a reason without names")
    registry.pause_all(f"asked for by {NAME}")
    registry.resume_all("acme", OFFICER)
    registry.pause_all(f"because of {TENANT}")
    registry.acknowledge("acme", OFFICER, terms_version="1", terms_digest="d", clauses=["c"])
    registry.add_closure(
        PortalClosure("c", START, START + timedelta(hours=1), f"tell {TENANT.upper()}")
    )
    registry.add_notice(AnnouncedChange("n", date(2026, 7, 1), title=f"for {TENANT}"))
    clock = FrozenClock(START)
    bot = CodeDesk(state.store, clock)
    pending = bot.open_wait("acme-1")

    def take(_seconds: float) -> None:
        bot.poll(pending)

    CodeDesk(state.store, clock, sleep=take).enter("acme-1", OFFICER, "123456")


# --- erasure ------------------------------------------------------------------------------------


def test_nothing_of_an_erased_person_is_in_any_file(state: World, tmp_path: Path) -> None:
    """Identifier, name and key are in no byte of the database, its journal or its free space."""
    everything_registered(state)
    state.record(40)
    assert OFFICER.encode() in state.stored()
    assert NAME.encode() in state.stored()
    done = state.privacy.erase(OPERATOR)
    assert done.envelopes == 40
    assert done.registry >= 8
    for trace in (OFFICER, NAME):
        assert trace.encode() not in state.stored()
    state.privacy.erase(TENANT_OF_ACME)
    assert TENANT.encode() not in state.stored()
    assert TENANT.upper().encode() not in state.stored()
    state.privacy.erase(Subject(Kind.PARTNERSHIP_MANAGER, "acme", MANAGER))
    assert MANAGER.encode() not in state.stored()
    assert state.registry.landlord("acme").partnership_manager is None
    assert b"".join(entry.leaf for entry in state.log.entries()).count(b"akebelieve") == 0


def test_the_wrapped_key_of_an_erased_person_is_gone_too(state: World) -> None:
    """Whoever holds the wrapping key finds no key to unwrap, not even in free space."""
    state.record(3)
    with state.store.reading() as connection:
        wrapped = connection.exec_driver_sql(
            "SELECT wrapped_key FROM subjects WHERE kind = 'tenant'"
        ).scalar_one()
    assert wrapped in state.stored()
    state.privacy.erase(TENANT_OF_ACME)
    assert wrapped not in state.stored()


@on_both_databases
def test_every_proof_taken_before_an_erasure_still_verifies(state: World) -> None:
    """Leaves, hashes and heads stay; only what was sealed can never be read again."""
    state.record(5)
    taken = proved(state.log)
    leaves = [entry.leaf for entry in state.log.entries()]
    assert state.log.open(0)["tenant"] == {"id": TENANT}
    done = state.privacy.erase(TENANT_OF_ACME)
    still_holds(state.log, taken)
    assert [entry.leaf for entry in state.log.entries(0, 5)] == leaves
    assert state.log.open(0)["tenant"] is None
    assert state.log.open(0)["todo"] is not None
    recorded = state.log.entry(done.index).document
    assert recorded["type"] == "erasure"
    assert recorded["subject"] == {
        "kind": "tenant",
        "token": state.log.entry(0).document["tokens"]["tenant"],
    }
    assert recorded["counts"] == {"envelopes": 5, "registry": 0}


def test_a_dump_of_a_server_holds_nothing_of_an_erased_person(
    postgresql: Server, postgresql_url: str, tmp_path: Path
) -> None:
    """What ``pg_dump`` writes, bytes in hexadecimal included, names nobody who was erased."""
    with world(postgresql_url, tmp_path) as state:
        everything_registered(state)
        state.record(3)
        assert OFFICER in dumped(postgresql, postgresql_url)
        state.privacy.erase(OPERATOR)
        state.privacy.erase(TENANT_OF_ACME)
        left = dumped(postgresql, postgresql_url).lower()
        for trace in (OFFICER, NAME, TENANT):
            assert trace.lower() not in left
            assert trace.encode().hex() not in left
        assert state.log.verify(forms=True).size == 5


def dumped(server: Server, url: str) -> str:
    """Return what the server's own ``pg_dump`` writes of the schema that ``url`` names."""
    schema = str(make_url(url).query["options"]).partition("=")[2]
    environment = {**os.environ, **server.environment("postgres", "postgres")}
    command = ["pg_dump", "--schema", schema, "--inserts", server.url]
    found = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return found.stdout


def test_what_an_erased_person_did_stays_on_record_without_them(state: World) -> None:
    """Acknowledgements, resumptions and code entries stay, by somebody who is nobody now."""
    everything_registered(state)
    state.privacy.erase(OPERATOR)
    [acknowledged] = state.registry.acknowledgements("acme")
    assert acknowledged.person_id.startswith("erased-")
    changes = state.registry.status_changes("acme")
    assert [c.reason for c in changes] == [None, None, "a reason without names"]
    assert changes[1].person_id == acknowledged.person_id
    switches = state.registry.switches()
    assert [c.reason for c in switches] == [None, None, f"because of {TENANT}"]
    assert switches[1].person_id == acknowledged.person_id
    code = state.registry.facts("acme-1", START).code_entry
    assert code is not None
    assert code.provided_by == acknowledged.person_id
    assert [person.id for person in state.registry.people("acme")] == ["other"]


def test_a_person_that_only_the_registry_knows_is_erased(state: World) -> None:
    """A person without any entry in the log is erased all the same, and that is recorded."""
    done = state.privacy.erase(OPERATOR)
    assert (done.envelopes, done.registry) == (0, 1)
    assert state.log.entry(done.index).document["subject"] == {"kind": "operator", "token": None}
    assert NAME.encode() not in state.stored()


def test_the_same_person_at_another_landlord_is_told(state: World) -> None:
    """Another landlord's record of the same person is its own to erase, and is named."""
    state.registry.add_landlord(Landlord("beta", "Beta Homes"))
    state.registry.add_person(Person(OFFICER, "beta", NAME))
    assert state.privacy.erase(OPERATOR).elsewhere == ("beta",)
    assert state.registry.person("beta", OFFICER).name == NAME


def test_a_text_is_blanked_only_when_it_names_the_person(state: World) -> None:
    """An identifier inside another word is somebody else's."""
    state.registry.add_person(Person("o-1", "acme", "Test Person"))
    for reason in ("about o-12", "about o-1, again"):
        state.registry.pause_landlord("acme", reason)
    state.privacy.erase(Subject(Kind.OPERATOR, "acme", "o-1"))
    assert [c.reason for c in state.registry.status_changes("acme")] == ["about o-12", None]


def test_whom_nobody_knows_cannot_be_erased(state: World) -> None:
    """A mistyped identifier is told, and nothing is recorded."""
    state.record()
    for subject in (
        Subject(Kind.TENANT, "acme", "another"),
        Subject(Kind.TENANT, "beta", TENANT),
        Subject(Kind.TODO, "acme", TENANT),
    ):
        with pytest.raises(NotRegisteredError) as refused:
            state.privacy.erase(subject)
        assert subject.id not in str(refused.value)
    with pytest.raises(InvalidInputError, match="kind"):
        state.privacy.erase(Subject(Kind.ACCOUNT, "acme", "acme-1"))
    assert state.log.head().size == 1


def test_an_erased_person_who_comes_back_is_another(state: World) -> None:
    """The new token leads to nothing from before; the earlier entries stay closed."""
    state.record()
    state.privacy.erase(TENANT_OF_ACME)
    state.record()
    first, again = (state.log.entry(index).document["tokens"]["tenant"] for index in (0, 2))
    assert first != again
    assert state.log.open(0)["tenant"] is None
    assert state.log.open(2)["tenant"] == {"id": TENANT}
    assert state.privacy.erase(TENANT_OF_ACME).envelopes == 1


def test_an_erasure_that_cannot_be_cleaned_up_is_told_and_can_be_repeated(
    state: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another program reading, the erasure is done; the next run cleans the files."""
    monkeypatch.setattr("automation_rules.store.engine.BUSY_SECONDS", 0.1)
    state.record(3)
    assert state.store.path is not None
    with raw(state.store.path) as connection:
        connection.execute("COMMIT")
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM log_entries").fetchone()
        with pytest.raises(StoreError, match="it is erased, and recorded as entry 3"):
            state.privacy.erase(TENANT_OF_ACME)
    with pytest.raises(NotRegisteredError):
        state.privacy.erase(TENANT_OF_ACME)
    assert state.store.path.with_name(state.store.path.name + "-wal").stat().st_size == 0


# --- legal holds --------------------------------------------------------------------------------


@on_both_databases
def test_who_is_held_is_not_erased_until_a_person_releases_the_hold(state: World) -> None:
    """Hold and release are recorded by whom; the reason is sealed with the person's own key."""
    state.record(2)
    placed = state.privacy.hold(TENANT_OF_ACME, reason="A claim at court", by="other")
    with pytest.raises(LegalHoldError):
        state.privacy.erase(TENANT_OF_ACME)
    with pytest.raises(AlreadyRegisteredError):
        state.privacy.hold(TENANT_OF_ACME, reason="Again", by="other")
    assert state.log.head().size == 3
    opened = state.log.open(placed.index)
    assert opened == {
        "held": {"id": TENANT, "reason": "A claim at court"},
        "operator": {"id": "other"},
    }
    released = state.privacy.release(TENANT_OF_ACME, by=OFFICER)
    assert state.log.entry(released.index).document["change"] == "released"
    with pytest.raises(NotRegisteredError):
        state.privacy.release(TENANT_OF_ACME, by=OFFICER)
    taken = proved(state.log)
    assert state.privacy.erase(TENANT_OF_ACME).envelopes == 4
    still_holds(state.log, taken)


def test_an_operator_can_be_held_by_another_and_by_themselves(state: World) -> None:
    """Who is held and who holds have each a slot, also where both are people of one list."""
    for by in ("other", OFFICER):
        placed = state.privacy.hold(OPERATOR, reason="Because", by=by)
        opened = state.log.open(placed.index)
        assert opened["held"] == {"id": OFFICER, "reason": "Because"}
        assert opened["operator"] == {"id": by}
        state.privacy.release(OPERATOR, by=by)
    state.log.verify(forms=True)


def test_a_hold_needs_a_known_subject_a_reason_and_a_person(state: World) -> None:
    """A hold on a mistyped identifier would give false comfort, and is refused."""
    with pytest.raises(NotRegisteredError):
        state.privacy.hold(TENANT_OF_ACME, reason="A claim", by="other")
    state.record()
    with pytest.raises(NotRegisteredError):
        state.privacy.hold(TENANT_OF_ACME, reason="A claim", by="nobody")
    with pytest.raises(InvalidInputError, match="reason"):
        state.privacy.hold(TENANT_OF_ACME, reason="", by="other")
    assert state.log.head().size == 1


# --- retention ----------------------------------------------------------------------------------

OLD = START - timedelta(days=900)


@on_both_databases
def test_only_an_old_exported_prefix_is_pruned_and_the_rest_verifies(state: World) -> None:
    """Pruned leaves and envelopes are gone; roots, proofs and earlier heads hold as before."""
    state.record(600, at=OLD)
    state.record(10)
    taken = proved(state.log)
    early = state.log.prove_consistency(100)
    pruned = state.privacy.retain(START, state.log.head())
    assert pruned is not None
    assert (pruned.first, pruned.entries, state.log.first()) == (512, 512, 512)
    still_holds(state.log, taken)
    assert state.log.prove_consistency(100, 610) == early
    for index in (512, 513, 609, 610):
        proof = state.log.prove_inclusion(index)
        assert proof.root == state.log.head().root
    assert next(state.log.entries()).index == 512
    for index in (0, 511):
        with pytest.raises(LogError, match="pruned"):
            state.log.entry(index)
    assert state.log.open(512)["tenant"] == {"id": TENANT}
    recorded = state.log.entry(pruned.index).document
    assert (recorded["type"], recorded["first"]) == ("retention", 512)
    assert recorded["exported"]["size"] == 610
    with state.store.reading() as connection:
        left = connection.exec_driver_sql("SELECT min(idx) FROM envelopes").scalar()
        assert left == 512
    state.record(3)
    assert state.log.verify(forms=True).size == 614


def test_keys_that_open_nothing_more_are_deleted(state: World) -> None:
    """A tenant whose entries are all pruned has no key and no token left."""
    state.record(256, at=OLD)
    state.record(1, resource__properties__tenant="another")
    state.privacy.retain(START, state.log.head())
    with pytest.raises(NotRegisteredError):
        state.privacy.erase(TENANT_OF_ACME)
    assert state.privacy.erase(Subject(Kind.TENANT, "acme", "another")).envelopes == 1


def test_nothing_about_somebody_held_is_pruned(state: World) -> None:
    """Pruning stops before the first entry about a held person, whole bundles of 256."""
    state.record(300, at=OLD, resource__properties__tenant="another")
    state.record(300, at=OLD)
    state.privacy.hold(TENANT_OF_ACME, reason="A claim", by="other")
    pruned = state.privacy.retain(START, state.log.head())
    assert pruned is not None
    assert pruned.first == 256
    assert state.privacy.retain(START, state.log.head()) is None
    state.privacy.release(TENANT_OF_ACME, by="other")
    pruned = state.privacy.retain(START, state.log.head())
    assert pruned is not None
    assert (pruned.first, pruned.entries) == (512, 256)
    assert state.log.verify(forms=True).size == 604


def test_all_but_the_pruning_itself_may_be_pruned(state: World) -> None:
    """The entry that records a pruning may be the first that is kept."""
    state.record(256, at=OLD)
    pruned = state.privacy.retain(START, state.log.head())
    assert pruned is not None
    assert (pruned.first, pruned.index) == (256, 256)
    assert state.log.verify().size == 257


def test_nothing_young_or_not_exported_is_pruned(state: World) -> None:
    """The oldest entry that must stay protects all after it; so does the end of the export."""
    state.record(256, at=OLD)
    head = state.log.head()
    state.record(1)
    state.record(256, at=OLD)
    assert state.privacy.retain(OLD, state.log.head()) is None
    assert state.privacy.retain(START, Head(0, merkle.EMPTY_ROOT)) is None
    pruned = state.privacy.retain(START, state.log.head())
    assert pruned is not None
    assert pruned.first == 256
    assert state.privacy.retain(START, head) is None


def test_an_export_of_another_log_prunes_nothing(state: World) -> None:
    """A root that the log does not continue, or a larger one, is refused."""
    state.record(256, at=OLD)
    head = state.log.head()
    for other in (Head(256, bytes(32)), Head(100, bytes(32)), Head(300, head.root)):
        with pytest.raises(VerificationError):
            state.privacy.retain(START, other)
    assert state.log.first() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log_head SET first = 0",
        "UPDATE log_head SET first = 300",
        "UPDATE log_head SET first = -1",
        "UPDATE log_entries SET leaf = '' WHERE idx = 300",
        "UPDATE log_entries SET leaf = x'' WHERE idx = 300",
        "UPDATE log_entries SET leaf = x'00' WHERE idx = 3",
        "UPDATE log_entries SET nodes = x'00' WHERE idx = 3",
        "UPDATE log_entries SET nodes = zeroblob(32) WHERE idx = 4",
        "UPDATE log_entries SET nodes = CAST(substr(nodes, 1, 64) || zeroblob(32) AS BLOB)"
        " WHERE idx = 3",
        "UPDATE log_entries SET nodes = CAST(substr(nodes, 1, 64) || x'ffff'"
        " || substr(nodes, 67, 30) AS BLOB) WHERE idx = 3",
        "DELETE FROM log_entries WHERE idx = 3",
    ],
)
def test_more_cannot_be_pruned_unnoticed(state: World, statement: str) -> None:
    """What was removed beyond a recorded pruning, or altered within it, does not verify."""
    state.record(300, at=OLD)
    state.privacy.retain(START, state.log.head())
    assert state.store.path is not None
    with raw(state.store.path) as connection:
        connection.execute("PRAGMA foreign_keys=OFF")
        connection.execute(statement)
    with pytest.raises(VerificationError):
        state.log.verify()


# --- the wrapping key ---------------------------------------------------------------------------


@on_both_databases
def test_a_rotated_key_opens_everything_and_the_old_one_nothing(url: str, tmp_path: Path) -> None:
    """The log is not touched; a program that still runs with the old key records nothing."""
    new = WrappingKey(bytes(31) + b"\1")
    with world(url, tmp_path) as state:
        state.record(3)
        head = state.log.head()
        count = rotate_wrapping_key(state.store, state.key, new)
        assert count == 5 + 1
        assert state.log.head() == head
        seen: dict[str, Any] = {}
        for changes in (seen, {"resource__properties__tenant": "never seen"}):
            with pytest.raises(NotRecordedError, match="wrapping key"):
                state.record(**changes)
        with pytest.raises(LogError, match=new.id.hex()):
            state.log.open(0)
        with pytest.raises(LogError, match="wrapping key"):
            rotate_wrapping_key(state.store, state.key, WrappingKey(bytes(range(32))))
        assert rotate_wrapping_key(state.store, state.key, new) == count
    with world(url, tmp_path, new) as state:
        assert state.log.open(0)["tenant"] == {"id": TENANT}
        assert state.log.verify(forms=True) == head
        state.record(1)


# --- all together -------------------------------------------------------------------------------


class Machine(RuleBasedStateMachine):
    """Records, holds, releases, erases and prunes, against a plain model."""

    folders: Iterator[Path]

    @initialize()
    def begin(self) -> None:
        """Open a new state."""
        folder = next(self.folders)
        self.stack = ExitStack()
        self.world = self.stack.enter_context(world(f"sqlite:///{folder / 'state'}", folder))
        self.taken: list[tuple[Head, list[InclusionProof]]] = []
        self.entries: list[str | None] = []
        self.open: list[bool] = []
        self.held: set[str] = set()
        self.first = 0
        self.days = itertools.count(1)

    def teardown(self) -> None:
        """Close it."""
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(tenant=st.sampled_from("abc"), number=st.sampled_from([1, 3, 200]), old=st.booleans())
    def record(self, tenant: str, number: int, old: bool) -> None:
        """Record entries about a tenant."""
        changes = {"resource__properties__tenant": f"tenant-{tenant}"}
        self.world.record(number, at=OLD if old else START, **changes)
        self.entries += [tenant] * number
        self.open += [True] * number

    @rule(tenant=st.sampled_from("abc"))
    def hold(self, tenant: str) -> None:
        """Place a hold, which stands once."""
        known = any(e == tenant and o for e, o in zip(self.entries, self.open, strict=True))
        subject = Subject(Kind.TENANT, "acme", f"tenant-{tenant}")
        if known and tenant not in self.held:
            self.world.privacy.hold(subject, reason="A claim", by="other")
            self._event(tenant)
            self.held.add(tenant)
        else:
            with pytest.raises((NotRegisteredError, AlreadyRegisteredError)):
                self.world.privacy.hold(subject, reason="A claim", by="other")

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Release a hold."""
        tenant = data.draw(st.sampled_from(sorted(self.held)))
        self.world.privacy.release(Subject(Kind.TENANT, "acme", f"tenant-{tenant}"), by="other")
        self._event(tenant)
        self.held.remove(tenant)

    @rule(tenant=st.sampled_from("abc"))
    def erase(self, tenant: str) -> None:
        """Erase a tenant, unless held or unknown."""
        subject = Subject(Kind.TENANT, "acme", f"tenant-{tenant}")
        theirs = [
            i
            for i, (e, o) in enumerate(zip(self.entries, self.open, strict=True))
            if e == tenant and o
        ]
        if tenant in self.held:
            with pytest.raises(LegalHoldError):
                self.world.privacy.erase(subject)
        elif not theirs:
            with pytest.raises(NotRegisteredError):
                self.world.privacy.erase(subject)
        else:
            done: Erased = self.world.privacy.erase(subject)
            assert done.envelopes == len(theirs)
            for index in theirs:
                self.open[index] = False
            self._event(None)

    @rule()
    def retain(self) -> None:
        """Prune what is old."""
        pruned = self.world.privacy.retain(START, self.world.log.head())
        if pruned is not None:
            assert pruned.first % 256 == 0
            assert pruned.first > self.first
            for index in range(pruned.first):
                assert not (self.open[index] and self.entries[index] in self.held)
                self.open[index] = False
            self.first = pruned.first
            self._event(None)

    def _event(self, tenant: str | None) -> None:
        self.entries.append(tenant)
        self.open.append(tenant is not None)

    @invariant()
    def all_holds(self) -> None:
        """The log verifies, what is open opens, and what was proved before still is."""
        if not hasattr(self, "world"):
            return
        log = self.world.log
        assert log.head().size == len(self.entries)
        assert log.first() == self.first
        head = log.head()
        assert log.verify() == head
        sample = random.Random(head.size)  # noqa: S311 - which entries are looked at
        for earlier, proofs in self.taken[-3:]:
            for proof in proofs:
                assert proof.root == earlier.root
            if earlier.size:
                growth = log.prove_consistency(earlier.size)
                verify_consistency(earlier.size, earlier.root, head.size, head.root, growth)
        kept = range(self.first, head.size)
        chosen = sample.sample(kept, min(5, len(kept)))
        self.taken.append((head, [log.prove_inclusion(index) for index in chosen]))
        for index in chosen:
            facts = log.open(index)
            tenant = facts.get("held") or facts.get("tenant")
            assert (tenant is not None) == self.open[index]


def run_machine(folder: Path, examples: int, steps: int) -> None:
    """Run the machine in folders of its own."""

    def folders() -> Iterator[Path]:
        for number in itertools.count():
            made = folder / str(number)
            made.mkdir()
            yield made

    machine = type("Run", (Machine,), {"folders": folders()})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_is_done_in_any_order_the_log_verifies(tmp_path: Path) -> None:
    """Recording, holding, erasing and pruning in any order keep every earlier proof."""
    run_machine(tmp_path, 6, 10)


@pytest.mark.exhaustive
def test_whatever_is_done_in_many_orders_the_log_verifies(tmp_path: Path) -> None:
    """The same, over many and longer sequences."""
    run_machine(tmp_path, 100, 25)
