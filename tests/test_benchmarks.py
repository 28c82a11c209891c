"""The benchmarks run, and each yardstick answers as what it is held against."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from datetime import date
from functools import reduce
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest
from hypothesis import HealthCheck, given, settings

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.__main__ import BENCHMARKS, main, table  # noqa: E402
from benchmarks.commits import ServerTable, opened_server_log  # noqa: E402
from benchmarks.deciding import failing_checks, landlords, standard_requests  # noqa: E402
from benchmarks.exporting import (  # noqa: E402
    STATE,
    bundles,
    fill,
    hash_bundles,
    opened_signed_log,
    read_nodes,
    rows_of_proof,
    write_plainly,
)
from benchmarks.gateway import (  # noqa: E402
    Server,
    gateway,
    load_generator,
    page,
    question,
)
from benchmarks.hours import (  # noqa: E402
    BEGINS,
    ENDS,
    changes_between,
    instants,
    is_core_hours,
    next_of,
)
from benchmarks.log import BareTable, leaf, opened_log, record_decisions, root_of  # noqa: E402
from benchmarks.measure import TINY, at_least, at_most, row  # noqa: E402
from benchmarks.memory import peak_of, plain_leaf  # noqa: E402
from benchmarks.portals import make_state, state_url, token_path  # noqa: E402
from benchmarks.process import commands, environment  # noqa: E402

from automation_rules.audit import DecisionLog  # noqa: E402
from automation_rules.clock import SystemClock, to_london  # noqa: E402
from automation_rules.landlord_portal import landlord_portal  # noqa: E402
from automation_rules.merkle import EMPTY_ROOT, node_hash  # noqa: E402
from automation_rules.store import Store  # noqa: E402
from automation_rules.testing import requests  # noqa: E402
from automation_rules.windows import BankHolidays, Nation, PortalHours  # noqa: E402

if TYPE_CHECKING:
    from automation_rules.request import Request

PORTAL = landlord_portal()


def agrees(request: Request) -> None:
    """Assert that the hand-written function denies by the checks by which the policy does."""
    decision = PORTAL.decide(request)
    assert failing_checks(request) == [finding.check for finding in decision.failures]
    assert decision.allowed == (not decision.failures)


@given(requests())
@settings(max_examples=1_000, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_hand_written_rules_agree_with_decide(request: Request) -> None:
    """The function that decide is measured beside finds the same checks failing."""
    agrees(request)


@pytest.mark.exhaustive
@given(requests())
@settings(max_examples=10_000, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_the_hand_written_rules_agree_with_decide_on_thousands(request: Request) -> None:
    """The same, on thousands of requests."""
    agrees(request)


def test_the_measured_requests_are_what_they_are_called() -> None:
    """One request is allowed, one only too early or late, one wrong in two other ways."""
    found = {name: failing_checks(request) for name, request in standard_requests().items()}
    assert found == {
        "allowed": [],
        "denied: weekend": ["window"],
        "denied: extra role, stale code": ["role", "manual_code"],
    }


def test_many_landlords_are_all_allowed_and_all_different() -> None:
    """Growth is measured over allowed requests of landlords who share neither name nor code."""
    asked = landlords(50)
    assert all(PORTAL.decide(request).allowed for request in asked)
    assert len({request.context.landlord.name for request in asked}) == 50
    assert len({request.subject.sms_code for request in asked}) == 50


def test_core_hours_agree_but_for_bank_holidays() -> None:
    """The yardstick of is_open differs from it on bank holidays and at no other time."""
    window = PortalHours(nation=Nation.ENGLAND_AND_WALES)
    holidays = BankHolidays(Nation.ENGLAND_AND_WALES)
    found = 0
    for at in instants(20_000):
        is_holiday = to_london(at).date() in holidays
        assert window.is_open(at) == (is_core_hours(at) and not is_holiday)
        found += is_holiday
    assert found > 100
    assert date(2026, 12, 25) in holidays


def test_the_bisected_list_gives_every_next_change() -> None:
    """The yardstick of next_change gives the same instants."""
    window = PortalHours(nation=Nation.ENGLAND_AND_WALES)
    asked = instants(5_000)
    next_change = next_of(changes_between(window, BEGINS, ENDS.replace(month=2)))
    assert [next_change(at) for at in asked] == [window.next_change(at) for at in asked]


def test_plain_hashing_leads_to_the_root_of_the_log(tmp_path: Path) -> None:
    """The yardstick of verify hashes the same leaves and nodes: it ends at the log's own root."""
    with opened_log(tmp_path) as log:
        assert log.bare.head().root == EMPTY_ROOT
        record_decisions(log.whole, 103)
        leaves = [entry.leaf for entry in log.bare.entries()]
        head = log.bare.verify()
    assert len(leaves) == head.size == 103
    assert root_of(leaves) == head.root


def test_the_bare_table_keeps_what_the_log_keeps(tmp_path: Path) -> None:
    """The yardstick of append stores the same leaves in the same order, as durably."""
    leaves = [leaf(number) for number in range(7)]
    table = BareTable(tmp_path / "bare.sqlite3")
    with opened_log(tmp_path) as log:
        for content in leaves[:3]:
            log.bare.append(content)
            table.append(content)
        log.bare.append_many([(content, ()) for content in leaves[3:]])
        table.append_many(leaves[3:])
        kept = [entry.leaf for entry in log.bare.entries()]
    assert kept == table.leaves() == leaves
    assert table.pragmas() == {"journal_mode": "wal", "synchronous": 2}
    table.close()


def test_the_bare_table_on_the_server_keeps_what_the_log_keeps(postgresql_url: str) -> None:
    """What appends to a server are measured beside holds the same leaves, as durably."""
    leaves = [leaf(number) for number in range(5)]
    with opened_server_log(postgresql_url) as (bare, _):
        table = ServerTable(postgresql_url)
        for content in leaves[:3]:
            bare.append(content)
            table.append(content)
        bare.append_many([(content, ()) for content in leaves[3:]])
        table.append_many(leaves[3:])
        kept = [entry.leaf for entry in bare.entries()]
    assert kept == table.leaves() == leaves
    assert table.settings() == {"fsync": "on", "synchronous_commit": "on"}
    table.close()


def test_the_plain_export_has_the_bytes_of_the_tiles(tmp_path: Path) -> None:
    """The yardsticks of an export and of its repetition end at the same entries and hashes."""
    size = 259
    tiles, plain = tmp_path / "tiles", tmp_path / "plain"
    with (
        opened_signed_log(tmp_path) as opened,
        closing(sqlite3.connect(tmp_path / STATE)) as state,
    ):
        fill(opened.log, map(leaf, count()), size)
        opened.signed.export(tiles)
        assert opened.signed.export(tiles).reused == 256
        hashes = write_plainly(state, plain)
    exported = bundles(tiles, size)
    lowest = tiles / "tile" / "0"
    assert {path for path in (tiles / "tile" / "entries").rglob("*") if path.is_file()} == {
        *exported
    }
    assert hashes == (lowest / "000").read_bytes() + (lowest / "001.p" / "3").read_bytes()
    assert plain.read_bytes() == b"".join(path.read_bytes() for path in exported) + hashes
    assert hash_bundles(exported) == hashes


def test_rows_read_plainly_hold_the_proof(tmp_path: Path) -> None:
    """The yardstick of a proof reads the same hashes, those of the last subtrees unjoined."""
    with (
        opened_signed_log(tmp_path) as opened,
        closing(sqlite3.connect(tmp_path / STATE, isolation_level=None)) as state,
    ):
        fill(opened.log, map(leaf, count()), 128)
        for index in range(64):
            proof = opened.log.prove_inclusion(index)
            own, *hashes = read_nodes(state, rows_of_proof(index, 128))
            assert proof.root == opened.log.head().root
            assert (own, tuple(hashes)) == (proof.leaf_hash, proof.hashes)
            proof = opened.log.prove_inclusion(index, 103)
            _, *hashes = read_nodes(state, rows_of_proof(index, 103))
            # After 64 entries come subtrees of 32, 4, 2 and 1.
            joined = reduce(lambda right, left: node_hash(left, right), hashes[6:])
            assert len(hashes) == 10
            assert (*hashes[:6], joined) == proof.hashes


def test_memory_is_that_of_the_process_which_does_the_work(tmp_path: Path) -> None:
    """The process goes through the whole log; what the one that started it has does not count."""
    with opened_signed_log(tmp_path) as opened:
        fill(opened.log, map(plain_leaf, count()), 300)
    ballast = b"x" * 400_000_000
    size, peak = peak_of("export", tmp_path)
    assert size == 300
    assert 10_000_000 < peak < len(ballast)
    assert (tmp_path / "tiles" / "checkpoint").is_file()


def test_both_processes_do_what_they_are_measured_for(tmp_path: Path) -> None:
    """One process decides the document, the other lists the bank holidays of one year."""
    ours, theirs = (
        subprocess.run(
            command, env=environment(tmp_path), capture_output=True, check=True, encoding="utf-8"
        ).stdout
        for command in commands(tmp_path)
    )
    assert json.loads(ours)["decision"] is True
    assert "2026-12-25 Christmas Day" in theirs


SHELLS = ("nothing", "gateway")


def entries_of(directory: Path) -> int:
    """Return how many entries the log in a directory has."""
    with Store.open(state_url(directory), clock=SystemClock()) as store, DecisionLog(store) as log:
        return log.head().size


def test_every_portal_gives_the_same_page_and_ours_records_its_bots(tmp_path: Path) -> None:
    """What differs between the servers is the middleware alone, and it does its whole work."""
    make_state(tmp_path)
    apps = [f"{portal}-{shell}" for portal in ("starlette", "django") for shell in SHELLS]
    with ExitStack() as stack:
        servers = {app: stack.enter_context(Server(app, tmp_path)) for app in apps}
        pages = set()
        for app, server in servers.items():
            server.ready()
            pages.add(page("bot-{bot}").ask(server.url))
            before = entries_of(tmp_path)
            pages.add(page("person").ask(server.url))
            assert page("bot-{bot}", "nothing").ask(server.url) == b""
            assert entries_of(tmp_path) == before + app.endswith("gateway")
            if app.endswith("gateway"):
                with pytest.raises(HTTPError, match="403"):
                    page("nobody").ask(server.url)
    [content] = pages
    assert len(content) == pytest.approx(5_000, rel=0.1)
    assert b"1 Example Road" in content


def test_the_decision_service_records_what_the_constant_only_answers(tmp_path: Path) -> None:
    """Both allow the same question; one of them has decided it."""
    make_state(tmp_path)
    asked = question(token_path(tmp_path).read_text("ascii"))
    with Server("constant", tmp_path) as constant, Server("service", tmp_path) as service:
        constant.ready()
        service.ready()
        assert json.loads(asked.ask(constant.url)) == {"decision": True}
        answer = json.loads(asked.ask(service.url))
    assert answer["decision"] is True
    assert answer["context"]["facts"] == "registry"
    assert entries_of(tmp_path) == 1


def test_without_the_load_generator_the_gateway_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and what to install; nothing is made up."""
    monkeypatch.setenv("PATH", "")
    assert list(gateway(TINY)) == []
    assert "wrk is not installed" in capsys.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_runs_and_says_its_ratios(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A benchmark prints a ratio for each figure, writes them as JSON, and exits 0."""
    written = tmp_path / "rows.json"
    assert main([name, "--json", str(written)], size=TINY) == 0
    rows = json.loads(written.read_text("utf-8"))["rows"]
    printed = capsys.readouterr().out
    assert rows or (name == "gateway" and load_generator() is None)
    for found in rows:
        assert found["what"] in printed
        assert f"{found['ratio']:.2f}x" in printed
        assert found["ratio"] > 0
        assert (found["bar"] is None) == (found["met"] is None)


def test_a_benchmark_of_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name is a usage error that names the known ones."""
    with pytest.raises(SystemExit) as stopped:
        main(["decides"])
    assert stopped.value.code == 2
    assert "decides is no benchmark: use decide," in capsys.readouterr().err


def test_a_bar_on_time_is_an_upper_one_and_on_speed_a_lower_one() -> None:
    """Taking longer misses a bar on time; being slower misses a bar on speed."""
    ours, theirs = [3.0, 1.6, 1.5], [1.0, 1.0, 1.0]
    slow = row("a", "b", ours, theirs, operations=2, bar=at_most(1.5))
    assert (slow.ratio, slow.figure, slow.verdict) == (1.6, 0.8, "not met")
    assert row("a", "b", ours, theirs, bar=at_most(1.6)).verdict == "met"
    assert row("a", "b", ours, theirs, bar=at_least(0.6)).ratio == 1 / 1.6
    assert row("a", "b", ours, theirs, bar=at_least(0.6)).verdict == "met"
    assert row("a", "b", ours, theirs, bar=at_least(0.7)).verdict == "not met"
    assert row("a", "b", ours, theirs).verdict == ""


def test_a_table_says_memory_in_megabytes_and_time_in_seconds() -> None:
    """Each figure is shown in its unit."""
    shown = table([row("a", "b", [66.0], [60.0], unit="MB"), row("c", "d", [0.5], [0.25])])
    assert "| 66 MB  | b         | 60 MB  | 1.10x |" in shown
    assert "| 500 ms | d         | 250 ms | 2.00x |" in shown
