"""``audit init`` to ``audit witness``: handing the log to outsiders from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from automation_rules.merkle import Head
from automation_rules.signed_note import VerifierKey
from automation_rules.signing_key import SIGNING_KEY_VARIABLE
from cli_state import Program
from witness_server import Witness, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_state import Ran

JSON = ("-o", "json")
ORIGIN = "example.org/acme-log"
STRANGER = Path(__file__).with_name("stranger_verify.py")


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the command line on a state whose log has three entries."""
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, str(tmp_path / "keys" / "signing-key"))
    monkeypatch.chdir(tmp_path)
    program = Program(tmp_path, monkeypatch)
    program.register()
    program.enter_code()
    ask(program, "sign_in", "list_todos", "sign_out")
    return program


def ask(program: Program, *steps: str) -> None:
    """Let the bot ask, which makes entries."""
    for step in steps:
        program.run("preflight", "--account", "acme-1", "--action", step)


def begun(program: Program) -> str:
    """Give the log its name; return its verifier key."""
    signing = program.ok("audit", "init", "--origin", ORIGIN, *JSON).json["signing"]
    [key] = signing["verifier_key"]
    return str(key)


def without_state(program: Program, patch: pytest.MonkeyPatch) -> None:
    """Take everything away that only the landlord has."""
    patch.setenv("AUTOMATION_RULES_STATE", f"sqlite:///{program.folder / 'none' / 'at-all'}")
    patch.setenv("AUTOMATION_RULES_HEADS", str(program.folder / "none" / "heads"))
    patch.setenv(SIGNING_KEY_VARIABLE, str(program.folder / "none" / "key"))


# --- keys


def test_init_says_what_to_do_with_which_key(program: Program) -> None:
    """The verifier key is for others, the signing key for nobody; asking again changes nothing."""
    ran = program.ok("audit", "init", "--origin", ORIGIN)
    assert "A signing key was made" in ran.out
    assert f"{ORIGIN}+" in ran.out
    assert "Give the verifier key to everybody" in " ".join(ran.out.split())
    assert "PRIVATE" not in ran.out + ran.err
    again = program.ok("audit", "init")
    assert "The log has its signing key" in again.out
    assert program.run("audit", "init", "--origin", "example.org/other").code == 2
    assert "Mae gan y log ei allwedd" in program.ok("audit", "init", "--lang", "cy").out


@pytest.mark.parametrize("origin", ["two words", "a+b", "x" * 300])
def test_a_name_that_cannot_be_is_refused(program: Program, origin: str) -> None:
    """It says why, and no key is made."""
    ran = program.run("audit", "init", "--origin", origin)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert not (program.folder / "keys" / "signing-key").exists()


def test_keys_are_listed_and_rotated(program: Program) -> None:
    """Both during the overlap, then the new one alone, with the old one among the earlier."""
    assert program.run("audit", "keys").code == 2
    old = begun(program)
    rotated = program.ok("audit", "rotate-key", *JSON).json["signing"]["verifier_key"]
    assert rotated[0] == old
    program.ok("audit", "export", "out")
    for key in rotated:
        program.ok("audit", "verify", "--tiles", "out", "--key", key)
    assert program.run("audit", "rotate-key").code == 2
    assert "new key alone" in program.ok("audit", "rotate-key", "--finish").out
    listed = program.ok("audit", "keys", *JSON).json["signing"]
    assert (listed["verifier_key"], listed["retired_keys"]) == ([rotated[1]], [old])
    assert program.run("audit", "rotate-key", "--finish", "--lost").code == 2
    (program.folder / "keys" / "signing-key").unlink()
    assert program.run("audit", "export", "out").code == 3
    program.ok("audit", "rotate-key", "--lost")
    program.ok("audit", "export", "out")


def test_a_key_that_others_can_read_signs_nothing(program: Program) -> None:
    """Exit 3, with the command that mends it."""
    begun(program)
    path = program.folder / "keys" / "signing-key"
    path.chmod(0o644)
    ran = program.run("audit", "export", "out")
    assert ran.code == 3
    assert "chmod 600" in ran.err
    assert not (program.folder / "out").exists()


# --- export and verify


def test_export_does_the_right_thing_for_who_never_heard_of_it(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any preparation: a key is made, and said to be; a stranger verifies the result."""
    ran = program.ok("audit", "export", "out", *JSON)
    assert "A signing key was made" in ran.err
    done = ran.json["export"]
    assert (done["size"], done["reused"]) == (3, 0)
    assert done["origin"].startswith("automation-rules/")
    [key] = done["verifier_key"]
    again = program.ok("audit", "export", "out", *JSON)
    assert again.err == ""
    assert again.json["export"] == done
    without_state(program, monkeypatch)
    verified = program.ok("audit", "verify", "--tiles", "out", "--key", key, *JSON).json
    assert verified["holds"] is True
    assert verified["signed_by"] == [done["origin"]]
    assert (verified["size"], verified["root"]) == (3, done["root"])
    stranger = subprocess.run(
        [sys.executable, "-I", STRANGER, key, "out"], capture_output=True, text=True, check=True
    )
    assert stranger.stdout.startswith(f"{done['origin']}: 3 entries, root {done['root']}")


def test_a_changed_export_exits_1_and_names_the_entry(program: Program) -> None:
    """As the log itself does; also against a head that was written down."""
    key = begun(program)
    program.ok("audit", "export", "out")
    head = program.ok("audit", "verify", *JSON).json["head"]
    verify = ("audit", "verify", "--tiles", "out", "--key", key)
    assert "the head given" in program.ok(*verify, "--head", head).out
    assert program.run(*verify, "--head", f"9:{'0' * 64}").code == 1
    bundle = program.folder / "out" / "tile" / "entries" / "000.p" / "3"
    data = bundle.read_bytes()
    bundle.write_bytes(data.replace(b"sign_out", b"sign_off"))
    ran = program.run(*verify, *JSON)
    assert (ran.code, ran.json["holds"], ran.json["index"]) == (1, False, 2)
    text = program.run(*verify)
    assert "First entry that is wrong: 2" in text.out


def test_verifying_an_export_needs_a_key(program: Program) -> None:
    """Anybody can sign a log with some key: whose it is must be said."""
    begun(program)
    program.ok("audit", "export", "out")
    assert program.run("audit", "verify", "--tiles", "out").code == 2
    ran = program.run("audit", "verify", "--tiles", "out", "--key", "nonsense")
    assert ran.code == 2
    assert "nor a file that holds one" in ran.err
    assert program.run("audit", "verify", "--tiles", "out", "--key", "a+b+c").code == 2
    other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    assert program.run("audit", "verify", "--tiles", "out", "--key", other).code == 1
    assert program.run("audit", "verify", "--key", other).code == 2
    assert program.run("audit", "verify", "--min-index", "256").code == 2


def test_a_key_can_stand_in_a_file(program: Program) -> None:
    """As it is sent by e-mail, with a line end behind it."""
    key = begun(program)
    program.ok("audit", "export", "out")
    program.ok("audit", "keys", "--vkey", "--output-file", "acme.vkey")
    assert Path("acme.vkey").read_text("utf-8") == key + "\n"
    verify = ("audit", "verify", "--tiles", "out", "--key", "acme.vkey")
    program.ok(*verify)
    program.ok("audit", "rotate-key")
    two = program.ok("audit", "keys", "--vkey").out
    Path("acme.vkey").write_text(two, "utf-8")
    program.ok(*verify)
    ran = program.run("audit", "witness", "http://127.0.0.1:9", "--witness-key", "acme.vkey")
    assert (ran.code, "one key" in ran.err) == (2, True)
    Path("acme.vkey").write_text("\n", "utf-8")
    assert program.run(*verify).code == 2


def test_export_asks_where_to_and_leaves_other_files_alone(program: Program) -> None:
    """No directory, or one of something else, is a usage error."""
    begun(program)
    assert program.run("audit", "export").code == 2
    (program.folder / "letters").mkdir()
    (program.folder / "letters" / "one.txt").write_text("x")
    ran = program.run("audit", "export", "letters")
    assert ran.code == 2
    assert "holds other files" in ran.err
    assert program.run("audit", "export", "out", "--size", "2").code == 2
    assert program.run("audit", "export", "out", "--format", "xml").code == 2


# --- proofs


def test_a_proof_is_one_file_that_convinces_a_stranger(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the entry, which is shown; without the entry, that is given beside it."""
    key = begun(program)
    stored = program.ok("audit", "show", "1", "--with-proof", *JSON).json["stored"]
    program.ok("audit", "proof", "1", "--output-file", "one.tlog-proof")
    program.ok("audit", "proof", "1", "--without-entry", "--output-file", "bare.tlog-proof")
    in_json = program.ok("audit", "proof", "1", *JSON).json
    assert in_json["proof"] == Path("one.tlog-proof").read_text("utf-8")
    without_state(program, monkeypatch)
    text = program.ok("audit", "verify-proof", "one.tlog-proof", "--key", key).out
    assert f"Proved: entry 1 is among the first 3 of {ORIGIN}" in text
    assert "list_todos" in text
    found = program.ok("audit", "verify-proof", "one.tlog-proof", "--key", key, *JSON).json
    assert found["leaf"] == json.loads(stored)
    assert (found["index"], found["size"], found["origin"]) == (1, 3, ORIGIN)
    bare = ("audit", "verify-proof", "bare.tlog-proof", "--key", key)
    assert program.run(*bare).code == 2
    Path("leaf").write_text(stored, "utf-8")
    program.ok(*bare, "--leaf", "leaf")
    Path("leaf").write_text(stored.replace("list_todos", "view_updates"), "utf-8")
    ran = program.run(*bare, "--leaf", "leaf", *JSON)
    assert (ran.code, ran.json["holds"]) == (1, False)
    assert "The proof does not hold" in program.run(*bare, "--leaf", "leaf").out
    stranger = subprocess.run(
        [sys.executable, "-I", STRANGER, key, "one.tlog-proof"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert stranger.stdout == f"{ORIGIN}: entry 1 of 3: {stored}\n"
    changed = Path("one.tlog-proof").read_bytes().replace(b"index 1", b"index 0")
    Path("one.tlog-proof").write_bytes(changed)
    assert program.run("audit", "verify-proof", "one.tlog-proof", "--key", key).code == 1
    command = [sys.executable, "-I", str(STRANGER), key, "one.tlog-proof"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


def test_a_proof_of_nothing_is_a_usage_error(program: Program) -> None:
    """No key yet, no such entry, no such file."""
    assert program.run("audit", "proof", "0").code == 2
    key = begun(program)
    for index in ("3", "-1", "x"):
        assert program.run("audit", "proof", "--", index).code == 2
    assert program.run("audit", "proof", "0", "--size", "2").code == 2
    assert program.run("audit", "verify-proof", "none", "--key", key).code == 2
    assert program.run("audit", "verify-proof", ".", "--key", key).code == 2
    Path("huge").write_bytes(b"x" * 1_000_001)
    assert program.run("audit", "verify-proof", "huge", "--key", key).code == 2
    Path("huge").write_bytes(b"x")
    assert program.run("audit", "verify-proof", "huge", "--key", key).code == 1


def test_growth_is_shown_to_who_holds_an_old_checkpoint(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number or by file; exit 1 for a checkpoint that the log does not continue."""
    key = begun(program)
    program.ok("audit", "export", "out")
    Path("old").write_bytes(Path("out/checkpoint").read_bytes())
    ask(program, "sign_in", "sign_out")
    for old in ("old", "3"):
        program.ok("audit", "consistency", old, "--output-file", f"proof-{old}")
    assert Path("proof-old").read_bytes() == Path("proof-3").read_bytes()
    assert program.run("audit", "consistency", "6").code == 2
    assert program.run("audit", "consistency", "3", "4").code == 2
    assert program.run("audit", "consistency", "none").code == 2
    program.ok("audit", "export", "out")
    Path("new").write_bytes(Path("out/checkpoint").read_bytes())
    assert program.ok("audit", "consistency", "old", "new", *JSON).json["old"] == 3
    without_state(program, monkeypatch)
    verify = ("audit", "verify-consistency", "old", "proof-old", "--key", key)
    assert "The log of 5 entries continues that of 3" in program.ok(*verify).out
    assert program.ok(*verify, *JSON).json["size"] == 5
    back = ("audit", "verify-consistency", "new", "proof-old", "--key", key)
    assert program.run(*back).code == 1
    assert program.run(*back, *JSON).json["holds"] is False


# --- witnesses


@pytest.fixture
def witness() -> Iterator[Witness]:
    """Return a witness."""
    with serving(Witness()) as served:
        yield served


def test_a_witness_signs_what_is_handed_out(program: Program, witness: Witness) -> None:
    """Its signature can be required of exports and proofs."""
    assert program.run("audit", "witness", witness.url).code == 2
    key, witness_key = begun(program), str(witness.key.verifier)
    known = ("audit", "witness", witness.url, "--witness-key", witness_key)
    unknown = program.run(*known)
    assert unknown.code == 2
    assert "does not know this log" in unknown.err
    witness.trust(VerifierKey.parse(key))
    assert "The witness has signed the log" in program.ok(*known).out
    assert program.ok("audit", "witness", witness.url, *JSON).json["cosignature"]["size"] == 3
    program.ok("audit", "export", "out")
    program.ok("audit", "proof", "0", "--output-file", "proof")
    both = ("--key", key, "--witness", witness_key)
    assert (
        "Witnessed by: witness.example/w1"
        in program.ok("audit", "verify", "--tiles", "out", *both).out
    )
    assert (
        "Witnessed by: witness.example/w1"
        in program.ok("audit", "verify-proof", "proof", *both).out
    )
    ask(program, "sign_in")
    program.ok("audit", "export", "out")
    assert program.run("audit", "verify", "--tiles", "out", *both).code == 1
    program.ok("audit", "export", "out 3", "--size", "3")
    program.ok("audit", "verify", "--tiles", "out 3", *both)
    assert f"{witness.url} (3)" in " ".join(program.ok("audit", "keys").out.split())


def test_a_split_view_exits_1_and_is_kept(program: Program, witness: Witness) -> None:
    """It says to stop, and the keys' listing goes on saying so."""
    witness.trust(VerifierKey.parse(begun(program)))
    witness.seen[ORIGIN] = Head(2, bytes(32))
    ran: Ran = program.run(
        "audit", "witness", witness.url, "--witness-key", str(witness.key.verifier)
    )
    assert ran.code == 1
    assert "Stop, keep" in ran.err
    assert "A witness refused the log" in program.ok("audit", "keys").out
    [known] = program.ok("audit", "keys", *JSON).json["signing"]["witnesses"]
    assert (known["size"], known["refused_size"]) == (None, 3)


def test_a_witness_that_is_not_there_exits_3(program: Program) -> None:
    """What was asked was not done, and it can be asked again."""
    begun(program)
    key = str(Witness().key.verifier)
    ran = program.run("audit", "witness", "http://127.0.0.1:9", "--witness-key", key)
    assert ran.code == 3
    assert "cannot be reached" in ran.err


# --- nothing personal


def test_nothing_personal_is_handed_out(program: Program) -> None:
    """Exports and proofs hold tokens where people are."""
    begun(program)
    program.ok("audit", "export", "out")
    program.ok("audit", "proof", "0", "--output-file", "out/proof")
    handed = b"".join(f.read_bytes() for f in Path("out").rglob("*") if f.is_file())
    for personal in (b"officer-7", b"Example Officer", b"automation1@", b"PRIVATE"):
        assert personal not in handed
