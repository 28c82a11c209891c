"""The decision log under real processes: killed in the middle, and appending all at once."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.store import Store
from automation_rules.vault import Vault, WrappingKey, key_path

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKER = Path(__file__).with_name("log_worker.py")

Worker = subprocess.Popen[str]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The path of a new state with its wrapping key."""
    path = tmp_path / "state.sqlite3"
    Store.open(f"sqlite:///{path}", clock=SystemClock(), create=True).close()
    WrappingKey.create(key_path(path))
    return path


def start(state: Path, name: str, count: int) -> Worker:
    """Start a process that is ready to record, and waits for a line."""
    worker = subprocess.Popen(
        [sys.executable, str(WORKER), str(state), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    return worker


def release(worker: Worker) -> None:
    """Let a process begin."""
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def acknowledged(worker: Worker) -> Iterator[tuple[int, str]]:
    """Yield what a process says is durable, as it says it."""
    assert worker.stdout is not None
    for line in worker.stdout:
        # The last line of a process that was killed may be cut.
        if line.endswith("\n"):
            index, leaf_hash = line.split()
            yield int(index), leaf_hash


def recorded(state: Path) -> list[str]:
    """Verify the log, and return the leaf hashes of its entries."""
    vault = Vault(WrappingKey.load(key_path(state)))
    with (
        Store.open(f"sqlite:///{state}", clock=SystemClock()) as store,
        DecisionLog(store, vault) as log,
    ):
        log.verify(forms=True)
        tokens = {entry.document["tokens"]["account"] for entry in log.entries()}
        assert len(tokens) <= 1
        return [entry.leaf_hash.hex() for entry in log.entries()]


def kill_repeatedly(state: Path, times: int) -> None:
    """Kill a recording process again and again; see that nothing acknowledged is lost."""
    chance = random.Random(times)  # noqa: S311 - it only chooses when to kill
    known: dict[int, str] = {}
    for turn in range(times):
        worker = start(state, f"turn-{turn}", 1_000_000)
        release(worker)
        for _, (index, leaf_hash) in zip(
            range(chance.randrange(1, 40)), acknowledged(worker), strict=False
        ):
            assert index not in known
            known[index] = leaf_hash
        worker.kill()
        known.update(acknowledged(worker))
        worker.wait()
        for stream in (worker.stdin, worker.stdout):
            assert stream is not None
            stream.close()
        entries = recorded(state)
        assert {index: entries[index] for index in known} == known
        # What was durable and never acknowledged can only be the entry in hand.
        assert len(entries) - len(known) <= turn + 1


def append_at_once(state: Path, processes: int, count: int) -> None:
    """Let processes append together; see that every entry is there once, without a gap."""
    workers = [start(state, f"worker-{number}", count) for number in range(processes)]
    for worker in workers:
        release(worker)
    told = [list(acknowledged(worker)) for worker in workers]
    for worker in workers:
        assert worker.wait() == 0
        for stream in (worker.stdin, worker.stdout):
            assert stream is not None
            stream.close()
    for of_one in told:
        indices = [index for index, _ in of_one]
        assert indices == sorted(indices)
        assert len(indices) == count
    entries = recorded(state)
    assert sorted(pair for of_one in told for pair in of_one) == list(enumerate(entries))
    assert len(entries) == processes * count


def test_nothing_acknowledged_is_lost_to_a_kill(state: Path) -> None:
    """After each of 5 kills in mid-append every acknowledged entry is there, and the log holds."""
    kill_repeatedly(state, 5)


@pytest.mark.exhaustive
def test_nothing_acknowledged_is_lost_to_a_hundred_kills(state: Path) -> None:
    """After each of 100 kills in mid-append every acknowledged entry is there, the log holds."""
    kill_repeatedly(state, 100)


def test_processes_appending_at_once_make_one_log(state: Path) -> None:
    """8 processes with 25 entries each: no gap, no fork, and one token for the one account."""
    append_at_once(state, 8, 25)


@pytest.mark.exhaustive
def test_many_appends_at_once_make_one_log(state: Path) -> None:
    """8 processes with 500 entries each: no gap, no fork, and one token for the one account."""
    append_at_once(state, 8, 500)
