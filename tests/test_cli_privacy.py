"""``privacy``, ``incident report`` and ``audit replay`` from the command line."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog, RememberedHeads, draft_decision
from automation_rules.clock import FrozenClock
from automation_rules.merkle import leaf_hash, verify_inclusion
from automation_rules.signed_note import VerifierKey
from automation_rules.store import Store
from automation_rules.tlog_proof import TlogProof
from automation_rules.vault import Vault, WrappingKey
from cli_state import OFFICER, Program
from log_helpers import PORTAL, decided

if TYPE_CHECKING:
    from pathlib import Path

JSON = ("-o", "json")
TENANT = ("--kind", "tenant", "--landlord", "acme")
OLD = datetime(2023, 6, 5, 9, tzinfo=UTC)


def _with_submissions(program: Program) -> None:
    program.register()
    program.ok("accounts", "update", "acme-1", "--two-factor")
    program.enter_code()
    for tenant in ("tenant-1", "tenant-2"):
        ran = program.run(
            *("preflight", "--account", "acme-1", "--action", "submit_todo"),
            *("--todo-kind", "confirm_housing_costs", "--todo", f"td-{tenant}"),
            *("--tenant", tenant),
        )
        assert ran.code in (0, 1), ran.err
    program.run("preflight", "--account", "acme-1", "--action", "view_updates")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose log has three entries."""
    monkeypatch.setenv("AUTOMATION_RULES_SIGNING_KEY", str(tmp_path / "signing.keys"))
    program = Program(tmp_path, monkeypatch)
    program.once(_with_submissions)
    return program


def stored(program: Program) -> bytes:
    """Return every byte of the database's files."""
    files = program.folder.glob("state.sqlite3*")
    return b"".join(file.read_bytes() for file in files if file != program.key)


# --- erase, hold, release


def test_a_person_is_erased_and_the_log_verifies(program: Program) -> None:
    """The registry and the files name them no more; it is recorded and can be read."""
    assert OFFICER.encode() in stored(program)
    done = program.ok(
        "privacy", "erase", OFFICER, "--kind", "operator", "--landlord", "acme", *JSON
    ).json["erasure"]
    assert done["envelopes"] == 3
    assert done["elsewhere"] == []
    assert OFFICER.encode() not in stored(program)
    assert program.ok("people", "list", "--landlord", "acme", *JSON).json["people"] == []
    assert program.ok("audit", "verify", *JSON).json["size"] == 4
    shown = program.ok("audit", "show", str(done["index"]), *JSON).json["leaf"]
    assert shown["type"] == "erasure"
    assert "Erased" in program.ok("privacy", "erase", "tenant-1", *TENANT).out
    assert "Dilëwyd" in program.ok("privacy", "erase", "tenant-2", *TENANT, "--lang", "cy").out


def test_a_hold_stands_until_it_is_released(program: Program) -> None:
    """What is held is not erased, by exit code 2 and with the way out."""
    hold = ("privacy", "hold", "tenant-1", *TENANT, "--by", OFFICER)
    program.ok(*hold, "--reason", "A claim at court")
    assert b"A claim at court" not in stored(program)
    refused = program.run("privacy", "erase", "tenant-1", *TENANT)
    assert refused.code == 2
    assert "privacy release" in refused.err
    assert program.run(*hold, "--reason", "Again").code == 2
    program.ok("privacy", "release", "tenant-1", *TENANT, "--by", OFFICER)
    program.ok("privacy", "erase", "tenant-1", *TENANT)


def test_a_mistyped_subject_is_told_without_repeating_it(program: Program) -> None:
    """Exit 2, nothing recorded, and the identifier is in no message."""
    for ran in (
        program.run("privacy", "erase", "Makebelieve", *TENANT, *JSON),
        program.run("privacy", "export", "Makebelieve", str(program.folder / "b"), *TENANT),
    ):
        assert ran.code == 2
        assert "Makebelieve" not in ran.out + ran.err
    assert program.ok("audit", "verify", *JSON).json["size"] == 3
    assert not (program.folder / "b").exists()


# --- subject access


def test_a_subject_gets_every_entry_with_its_proof_and_nobody_else(program: Program) -> None:
    """Entries as stored, proofs that verify, terms and policy; operators only when asked."""
    bundle = program.folder / "bundle"
    said = program.ok("privacy", "export", "tenant-1", str(bundle), *TENANT)
    assert "not signed" in said.out
    subject = json.loads((bundle / "subject.json").read_text("utf-8"))
    [entry] = subject["entries"]
    assert entry["facts"] == {"tenant": {"id": "tenant-1"}}
    assert entry["purpose"]["action"] == "submit_todo"
    assert entry["time"] == "2026-06-02T08:00:00.000000Z"
    leaf = (bundle / entry["entry"]).read_bytes()
    proof = json.loads((bundle / entry["proof"]).read_text("utf-8"))
    hashes = [bytes.fromhex(found) for found in proof["hashes"]]
    root = bytes.fromhex(proof["root"])
    verify_inclusion(leaf_hash(leaf), proof["index"], proof["size"], hashes, root)
    assert proof["root"] == subject["head"]["root"]
    everything = b"".join(file.read_bytes() for file in bundle.rglob("*") if file.is_file())
    for other in (OFFICER, "tenant-2", "Example Officer", 'PM"'):
        assert other.encode() not in everything
    digest = json.loads(leaf)["policy"]["digest"]
    assert (bundle / "policies" / f"{digest.removeprefix('sha256:')}.json").exists()
    assert len(list((bundle / "terms").iterdir())) == 1
    assert "c2sp.org/tlog-proof" in (bundle / "README.txt").read_text("utf-8")
    second = program.folder / "second"
    program.ok("privacy", "export", "tenant-1", str(second), *TENANT, "--with-operators")
    assert OFFICER in (second / "subject.json").read_text("utf-8")


def test_with_a_signed_log_the_proofs_are_those_of_the_open_format(program: Program) -> None:
    """Each is verified with the verifier keys in the bundle, and without the log."""
    program.ok("audit", "init", "--origin", "example.org/acme-log")
    bundle = program.folder / "bundle"
    program.ok(
        "privacy", "export", OFFICER, str(bundle), "--kind", "operator", "--landlord", "acme"
    )
    subject = json.loads((bundle / "subject.json").read_text("utf-8"))
    assert len(subject["entries"]) == 3
    assert subject["registry"]["people"][0]["name"] == "Example Officer"
    assert len(subject["registry"]["code_entries"]) == 1
    keys = [
        VerifierKey.parse(line)
        for line in (bundle / "verifier-keys.txt").read_text("utf-8").splitlines()
    ]
    for entry in subject["entries"]:
        proof = TlogProof.parse((bundle / entry["proof"]).read_bytes())
        assert proof.verify((bundle / entry["entry"]).read_bytes(), keys)


def test_a_bundle_replaces_nothing(program: Program) -> None:
    """A directory that is there is left alone."""
    bundle = program.folder / "bundle"
    bundle.mkdir()
    ran = program.run("privacy", "export", "tenant-1", str(bundle), *TENANT)
    assert ran.code == 3
    assert list(bundle.iterdir()) == []


# --- retain


def _with_old_entries(program: Program) -> None:
    program.register()
    clock = FrozenClock(OLD)
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(program.url, clock=clock))
        heads = stack.enter_context(RememberedHeads.open())
        vault = Vault(WrappingKey.load(program.key))
        log = stack.enter_context(DecisionLog(store, vault, heads=heads))
        log.record_many(
            [
                draft_decision(decided(context__time=OLD.isoformat()), readings=PORTAL.readings)
                for _ in range(300)
            ]
        )


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state with 300 entries of three years ago."""
    monkeypatch.setenv("AUTOMATION_RULES_SIGNING_KEY", str(tmp_path / "signing.keys"))
    program = Program(tmp_path, monkeypatch)
    program.once(_with_old_entries)
    return program


def test_a_verified_export_lets_old_entries_go(old: Program) -> None:
    """The export is verified first; afterwards it goes on where it stood, and all verifies."""
    old.ok("audit", "export", str(old.folder / "tiles"))
    retain = ("privacy", "retain", "--older-than", "24m")
    done = old.ok(*retain, "--export", str(old.folder / "tiles"), *JSON).json["retention"]
    assert done == {"before": "2024-06-02T09:00:00+01:00", "entries": 256, "first": 256}
    assert old.ok("audit", "verify", *JSON).json["size"] == 301
    assert old.ok("audit", "list", "-n", "500", *JSON).json["entries"][0]["index"] == 256
    assert old.run("audit", "show", "3").code == 2
    old.ok("audit", "show", "256", "--with-proof")
    exported = old.ok("audit", "export", str(old.folder / "tiles"), *JSON).json["export"]
    assert (exported["size"], exported["reused"]) == (301, 256)
    again = old.ok(*retain, "--export", str(old.folder / "tiles"), *JSON).json["retention"]
    assert again["entries"] == 0


def test_an_altered_or_foreign_export_lets_nothing_go(old: Program) -> None:
    """One changed byte, another root, or a head of nowhere: exit 1, nothing pruned."""
    tiles = old.folder / "tiles"
    old.ok("audit", "export", str(tiles))
    retain = ("privacy", "retain", "--older-than", "24m")
    copy = old.folder / "copy"
    shutil.copytree(tiles, copy)
    bundle = copy / "tile" / "entries" / "000"
    bundle.write_bytes(bundle.read_bytes().replace(b"submit", b"subnit").replace(b"true", b"tRue"))
    assert old.run(*retain, "--export", str(copy)).code == 1
    assert old.run(*retain, "--exported-head", f"300:{'0' * 64}").code == 1
    for wrong in ((), ("--export", str(tiles), "--exported-head", f"300:{'0' * 64}")):
        assert old.run(*retain, *wrong).code == 2
    assert old.run("privacy", "retain", "--older-than", "2 years").code == 2
    head = old.ok("audit", "verify", *JSON).json["head"]
    assert (
        old.ok("privacy", "retain", "--older-than", "10y", "--exported-head", head, *JSON).json[
            "retention"
        ]["entries"]
        == 0
    )
    assert old.ok(*retain, "--exported-head", head, *JSON).json["retention"]["entries"] == 256


# --- the wrapping key


def test_the_wrapping_key_is_changed_in_its_place(program: Program) -> None:
    """The new one opens everything; the old one is refused, and says which is which."""
    before = program.key.read_bytes()
    done = program.ok("privacy", "rotate-key", *JSON).json["rotation"]
    assert done["key"] == str(program.key)
    after = program.key.read_bytes()
    assert after != before
    assert not program.key.with_name(program.key.name + ".new").exists()
    assert program.ok("audit", "verify", *JSON).json["size"] == 3
    assert program.run("audit", "replay", "--exit-zero", *JSON).json["counts"]["undecidable"] == 0
    program.key.write_bytes(before)
    refused = program.run("privacy", "erase", "tenant-1", *TENANT)
    assert refused.code == 3
    assert "the wrapping key is" in refused.err


def test_an_interrupted_rotation_is_finished_by_repeating_it(program: Program) -> None:
    """Rewrapped, but with the new key still beside the old one."""
    before = program.key.read_bytes()
    program.ok("privacy", "rotate-key")
    after = program.key.read_bytes()
    program.key.with_name(program.key.name + ".new").write_bytes(after)
    program.key.write_bytes(before)
    program.ok("privacy", "rotate-key")
    assert program.key.read_bytes() == after
    program.ok("privacy", "erase", "tenant-1", *TENANT)


def test_a_key_from_the_environment_is_changed_into_a_file(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it goes must be named, and who put it into the environment must do so again."""
    target = program.folder / "new.key"
    assert program.run("privacy", "rotate-key", "--to", str(target)).code == 2
    monkeypatch.setenv("AUTOMATION_RULES_WRAPPING_KEY", program.key.read_text())
    program.key.unlink()
    assert program.run("privacy", "rotate-key").code == 2
    said = program.ok("privacy", "rotate-key", "--to", str(target))
    assert "AUTOMATION_RULES_WRAPPING_KEY" in said.err
    assert program.run("privacy", "erase", "tenant-1", *TENANT).code == 3
    monkeypatch.setenv("AUTOMATION_RULES_WRAPPING_KEY", target.read_text())
    program.ok("privacy", "erase", "tenant-1", *TENANT)


# --- incident report


SPAN = ("--from", "2026-06-02T00:00:00+01:00", "--to", "2026-06-03T00:00:00+01:00")


def test_an_incident_report_names_tenants_only_when_asked(program: Program) -> None:
    """Both languages, the clause, why each was allowed; references only on request."""
    report = ("incident", "report", "--account", "acme-1", *SPAN)
    found = program.ok(*report, *JSON)
    assert found.json["submitted"] == 2
    assert "tenant-1" not in found.out
    assert {check["check"] for check in found.json["submissions"][0]["checks"]} >= {"window"}
    assert found.json["clause"]["id"] == "terms.report-incorrect-data"
    for lang, word in (("en", "Submitted: 2"), ("cy", "Cyflwynwyd: 2")):
        text = program.ok(*report, "--lang", lang, "--with-references").out
        assert word in text
        assert "tenant-1" in text
        assert "tenant-2" in text
    program.ok("privacy", "erase", "tenant-1", *TENANT)
    assert "tenant-1" not in program.ok(*report, "--with-references").out.replace("td-tenant-1", "")


def test_an_incident_report_needs_a_known_account_and_a_span(program: Program) -> None:
    """A mistyped account is no clean record, and a span goes forward."""
    assert program.run("incident", "report", "--account", "acme-7", *SPAN).code == 2
    backwards = ("--from", SPAN[3], "--to", SPAN[1])
    assert program.run("incident", "report", "--account", "acme-1", *backwards).code == 2


# --- replay


def test_a_replay_lists_what_another_reading_would_change(program: Program) -> None:
    """Exit 1 when a decision would differ, with its clauses; 0 by the same policy."""
    same = program.ok("audit", "replay", *JSON).json
    assert same["counts"] == {"same": 3, "reasons_differ": 0, "differs": 0, "undecidable": 0}
    stricter = ("audit", "replay", "--reading", "updates_tab=denied")
    ran = program.run(*stricter, *JSON)
    assert ran.code == 1
    [found] = ran.json["differing"]
    assert found["index"] == 2
    assert found["after"]["reasons"][0]["code"] == "other_portal_function"
    shown = program.run(*stricter)
    assert shown.code == 1
    assert "action.other_portal_function" in shown.out
    assert program.ok(*stricter, "--exit-zero", "--lang", "cy").out
    program.ok("privacy", "erase", "tenant-1", *TENANT)
    counts = program.ok("audit", "replay", *JSON).json["counts"]
    assert (counts["same"], counts["undecidable"]) == (2, 1)
