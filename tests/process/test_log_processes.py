"""The decision log under real processes: killed in the middle, and appending all at once."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog
from automation_rules.clock import SystemClock
from automation_rules.store import Store
from automation_rules.vault import WRAPPING_KEY_VARIABLE, Vault, WrappingKey
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import Server

WORKER = Path(__file__).with_name("log_worker.py")
KEY = bytes(range(32))

Worker = subprocess.Popen[str]


@pytest.fixture
def state(url: str) -> str:
    """The URL of a new state."""
    Store.open(url, clock=SystemClock(), create=True).close()
    return url


def start(state: str, name: str, count: int, threads: int = 0) -> Worker:
    """Start a process that is ready to record, and waits for a line."""
    worker = subprocess.Popen(
        [sys.executable, str(WORKER), state, name, str(count), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, WRAPPING_KEY_VARIABLE: base64.b64encode(KEY).decode()},
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


def finish(worker: Worker) -> int:
    """Wait for the end of a process; return its exit code."""
    code = worker.wait(timeout=120)
    for stream in (worker.stdin, worker.stdout):
        assert stream is not None
        stream.close()
    return code


def recorded(state: str) -> list[str]:
    """Verify the log, and return the leaf hashes of its entries."""
    with (
        Store.open(state, clock=SystemClock()) as store,
        DecisionLog(store, Vault(WrappingKey(KEY))) as log,
    ):
        log.verify(forms=True)
        tokens = {entry.document["tokens"]["account"] for entry in log.entries()}
        assert len(tokens) <= 1
        return [entry.leaf_hash.hex() for entry in log.entries()]


def kill_repeatedly(state: str, times: int) -> None:
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
        finish(worker)
        entries = recorded(state)
        assert {index: entries[index] for index in known} == known
        # What was durable and never acknowledged can only be the entry in hand.
        assert len(entries) - len(known) <= turn + 1


def append_at_once(state: str, processes: int, count: int, threads: int = 0) -> None:
    """Let processes append together; see that every entry is there once, without a gap."""
    workers = [start(state, f"worker-{number}", count, threads) for number in range(processes)]
    for worker in workers:
        release(worker)
    told = [list(acknowledged(worker)) for worker in workers]
    assert [finish(worker) for worker in workers] == [0] * processes
    for of_one in told:
        indices = [index for index, _ in of_one]
        assert threads or indices == sorted(indices)
        assert len(indices) == count
    entries = recorded(state)
    assert sorted(pair for of_one in told for pair in of_one) == list(enumerate(entries))
    assert len(entries) == processes * count


def kill_the_server(server: Server, times: int, processes: int, threads: int) -> None:
    """Kill the server in mid-append again and again, and start it anew over its data.

    Every client is told what is wrong, and nothing that was acknowledged is lost.
    """
    state = server.new_schema()
    Store.open(state, clock=SystemClock(), create=True).close()
    chance = random.Random(times)  # noqa: S311 - it only chooses when to kill
    known: dict[int, str] = {}
    for turn in range(times):
        workers = [
            start(state, f"turn-{turn}-{number}", 1_000_000, threads) for number in range(processes)
        ]
        for worker in workers:
            release(worker)
        first = workers[0]
        assert first.stdout is not None
        lines = [first.stdout.readline() for _ in range(chance.randrange(1, 40))]
        server.kill()
        for worker in workers:
            assert worker.stdout is not None
            lines += worker.stdout.readlines()
            assert lines[-1].startswith("refused the entry could not be recorded: the database ")
            assert finish(worker) == 3
        told = [line.split() for line in lines if not line.startswith("refused")]
        assert not known.keys() & {int(index) for index, _ in told}
        known.update((int(index), leaf_hash) for index, leaf_hash in told)
        server.start()
        entries = recorded(state)
        assert {index: entries[index] for index in known} == known


@on_both_databases
def test_nothing_acknowledged_is_lost_to_a_kill(state: str) -> None:
    """After each of 3 kills in mid-append every acknowledged entry is there, and the log holds."""
    kill_repeatedly(state, 3)


@pytest.mark.exhaustive
@on_both_databases
def test_nothing_acknowledged_is_lost_to_a_hundred_kills(state: str) -> None:
    """After each of 100 kills in mid-append every acknowledged entry is there, the log holds."""
    kill_repeatedly(state, 100)


def test_nothing_acknowledged_is_lost_with_the_server(own_server: Server) -> None:
    """The server killed in mid-append and started again has all that it acknowledged."""
    kill_the_server(own_server, 1, 2, 0)


@pytest.mark.exhaustive
@pytest.mark.parametrize("threads", [0, 16])
def test_nothing_acknowledged_is_lost_with_the_server_of_many(
    own_server: Server, threads: int
) -> None:
    """Killed ten times under four processes, also when many callers share each commit."""
    kill_the_server(own_server, 10, 4, threads)


@on_both_databases
def test_processes_appending_at_once_make_one_log(state: str) -> None:
    """8 processes with 50 entries each: no gap, no fork, and one token for the one account."""
    append_at_once(state, 8, 50)


@on_both_databases
def test_processes_that_share_commits_make_one_log(state: str) -> None:
    """2 processes of 16 callers with 100 entries each: no gap, no fork, and one token."""
    append_at_once(state, 2, 100, threads=16)


@pytest.mark.exhaustive
@pytest.mark.parametrize("threads", [0, 16])
@on_both_databases
def test_many_appends_at_once_make_one_log(state: str, threads: int) -> None:
    """8 processes with 2,000 entries each: no gap, no fork, and one token for the one account."""
    append_at_once(state, 8, 2_000, threads)
