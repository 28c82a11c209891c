"""Group commit: many callers share a commit, and each is answered when its entry is durable."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog, RememberedHeads
from automation_rules.errors import NotRecordedError, VerificationError
from automation_rules.group_commit import GroupCommit
from log_helpers import PORTAL, State, decided, opened
from servers import on_both_databases

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from automation_rules.audit import Draft, Receipt

DECISION = decided()


@pytest.fixture
def state(url: str) -> Iterator[State]:
    """Give a new state with its log."""
    with opened(url) as new:
        yield new


@pytest.fixture
def group(state: State) -> Iterator[GroupCommit]:
    """Give a group commit over the log."""
    with GroupCommit(state.log) as new:
        yield new


class Held:
    """Holds up the log's commits until it is let go, and counts them."""

    def __init__(self, log: DecisionLog, patch: pytest.MonkeyPatch) -> None:
        """Stand between the group commit and ``log``."""
        self.begun = threading.Event()
        self.may_go = threading.Event()
        self.sizes: list[int] = []
        record_many = log.record_many

        def held(drafts: Sequence[Draft]) -> list[Receipt]:
            self.sizes.append(len(drafts))
            self.begun.set()
            assert self.may_go.wait(30)
            return record_many(drafts)

        patch.setattr(log, "record_many", held)


@pytest.fixture
def held(state: State, monkeypatch: pytest.MonkeyPatch) -> Held:
    """Hold up the commits of the log."""
    return Held(state.log, monkeypatch)


def submitted(group: GroupCommit, number: int) -> list[Future[Receipt]]:
    """Submit one decision that many times."""
    return [group.submit(DECISION, readings=PORTAL.readings) for _ in range(number)]


@on_both_databases
def test_many_threads_make_one_log(state: State, group: GroupCommit) -> None:
    """Every caller gets the receipt of its own entry, which is in a log that holds."""
    decisions = [decided(resource__id=f"td-{number}") for number in range(60)]
    with ThreadPoolExecutor(20) as threads:
        receipts = list(
            threads.map(lambda one: group.record(one, readings=PORTAL.readings), decisions)
        )
    assert sorted(receipt.index for receipt in receipts) == list(range(60))
    for decision, receipt in zip(decisions, receipts, strict=True):
        entry = state.log.entry(receipt.index)
        assert (entry.leaf, entry.leaf_hash) == (receipt.leaf, receipt.leaf_hash)
        assert entry.document["decision_id"] == decision.decision_id
    assert state.log.verify(forms=True).size == 60


def test_what_arrives_during_a_commit_shares_the_next(group: GroupCommit, held: Held) -> None:
    """However many wait, they wait for one more commit; their order is that of arrival."""
    first = submitted(group, 1)
    assert held.begun.wait(30)
    others = submitted(group, 20)
    assert not any(future.done() for future in first + others)
    held.may_go.set()
    assert [future.result(30).index for future in first + others] == list(range(21))
    assert held.sizes == [1, 20]


def test_a_commit_has_a_limit(state: State, held: Held) -> None:
    """No commit takes more entries than it may; the rest follow without being asked."""
    held.may_go.set()
    with GroupCommit(state.log, most=4) as group:
        held.may_go.clear()
        futures = submitted(group, 1)
        assert held.begun.wait(30)
        futures += submitted(group, 10)
        held.may_go.set()
        wait(futures, 30)
    assert held.sizes == [1, 4, 4, 2]


def test_nobody_is_answered_before_the_entry_is_durable(group: GroupCommit, held: Held) -> None:
    """A caller whose commit is under way is still waiting."""
    [future] = submitted(group, 1)
    assert held.begun.wait(30)
    assert not future.done()
    held.may_go.set()
    assert future.result(30).index == 0


def test_a_commit_that_fails_fails_each_of_its_callers(
    state: State, group: GroupCommit, held: Held
) -> None:
    """Each gets an error of its own with what to do; nothing was written; the next goes on."""
    state.log.append(b"in the way")
    first = submitted(group, 1)
    assert held.begun.wait(30)
    with state.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_head SET size = 5")
    others = submitted(group, 3)
    held.may_go.set()
    errors = [future.exception(30) for future in first + others]
    assert len({id(error) for error in errors}) == 4
    for error in errors:
        assert isinstance(error, NotRecordedError)
        assert "could not be recorded" in str(error)
        assert "officer" not in "".join(traceback.format_exception(error))
    with state.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_head SET size = 1")
    assert group.record(DECISION, readings=PORTAL.readings).index == 1


def test_a_bug_below_is_a_refusal_too(
    state: State, group: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for ever, and nobody is let through, whatever is raised."""

    def broken(_: Sequence[Draft]) -> list[Receipt]:
        raise MemoryError("Zyxwv-Planted")

    monkeypatch.setattr(state.log, "record_many", broken)
    with pytest.raises(NotRecordedError, match=r"could not be recorded: MemoryError$"):
        group.record(DECISION, readings=PORTAL.readings)
    monkeypatch.undo()
    assert group.record(DECISION, readings=PORTAL.readings).index == 0


def test_what_cannot_be_masked_fails_its_own_caller_only(group: GroupCommit, held: Held) -> None:
    """It never reaches the commit that others share."""
    others = submitted(group, 2)
    with pytest.raises(NotRecordedError, match="could not be recorded"):
        group.record(None, readings=PORTAL.readings)  # type: ignore[arg-type]
    held.may_go.set()
    assert sorted(future.result(30).index for future in others) == [0, 1]


def test_closing_waits_for_what_was_taken(state: State, held: Held) -> None:
    """Closing returns when all is durable; nothing is taken afterwards; closing again is free."""
    group = GroupCommit(state.log)
    futures = submitted(group, 5)
    closing = threading.Thread(target=group.close)
    closing.start()
    assert held.begun.wait(30)
    assert closing.is_alive()
    held.may_go.set()
    closing.join(30)
    assert all(future.done() for future in futures)
    assert state.log.head().size == 5
    with pytest.raises(NotRecordedError, match="the log is closed"):
        group.record(DECISION, readings=PORTAL.readings)
    group.close()


def test_a_caller_that_has_gone_leaves_no_entry(
    state: State, group: GroupCommit, held: Held
) -> None:
    """What is cancelled before its commit begins is not recorded, and the rest is."""
    first = submitted(group, 1)
    assert held.begun.wait(30)
    gone, stays = submitted(group, 2)
    assert gone.cancel()
    assert not first[0].cancel()
    held.may_go.set()
    assert stays.result(30).index == 1
    assert state.log.head().size == 2


def test_all_who_wait_may_go(state: State, group: GroupCommit, held: Held) -> None:
    """When everybody who waited has gone, the next caller is served as ever."""
    first = submitted(group, 1)
    assert held.begun.wait(30)
    assert all(future.cancel() for future in submitted(group, 3))
    held.may_go.set()
    assert first[0].result(30).index == 0
    assert group.record(DECISION, readings=PORTAL.readings).index == 1


def test_asyncio_waits_without_a_thread_for_each(state: State, group: GroupCommit) -> None:
    """Tasks await the future, or hand the call to an executor."""

    async def serve() -> list[Receipt]:
        loop = asyncio.get_running_loop()
        awaited = [asyncio.wrap_future(future) for future in submitted(group, 30)]
        threaded = loop.run_in_executor(
            None, lambda: group.record(DECISION, readings=PORTAL.readings)
        )
        return list(await asyncio.gather(*awaited, threaded))

    before = threading.active_count()
    receipts = asyncio.run(serve())
    assert sorted(receipt.index for receipt in receipts) == list(range(31))
    assert threading.active_count() <= before + 1


def test_tasks_are_answered_in_their_own_loops(state: State, group: GroupCommit) -> None:
    """Tasks of several loops, and threads, share commits; each gets its own receipt."""

    async def serve() -> list[Receipt]:
        asked = [group.record_async(DECISION, readings=PORTAL.readings) for _ in range(20)]
        return list(await asyncio.gather(*asked))

    with ThreadPoolExecutor(3) as threads:
        loops = [threads.submit(asyncio.run, serve()) for _ in range(2)]
        plain = threads.submit(group.record, DECISION, readings=PORTAL.readings)
        receipts = [*loops[0].result(30), *loops[1].result(30), plain.result(30)]
    assert sorted(receipt.index for receipt in receipts) == list(range(41))
    assert state.log.verify(forms=True).size == 41


def test_a_task_is_told_of_a_commit_that_failed(state: State, group: GroupCommit) -> None:
    """Every task gets an error of its own, and nothing was written."""
    state.log.append(b"in the way")
    with state.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE log_head SET size = 5")

    async def serve() -> list[Receipt | BaseException]:
        asked = [group.record_async(DECISION, readings=PORTAL.readings) for _ in range(3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    errors = asyncio.run(serve())
    assert len({id(error) for error in errors}) == 3
    assert all(isinstance(error, NotRecordedError) for error in errors)


def test_a_task_that_has_gone_leaves_no_entry(state: State, group: GroupCommit, held: Held) -> None:
    """Cancelled while it waits for its commit, it is not recorded; during the commit, it is."""

    async def serve() -> list[Receipt | BaseException]:
        def asked() -> asyncio.Task[Receipt]:
            return asyncio.create_task(group.record_async(DECISION, readings=PORTAL.readings))

        tasks = [asked()]
        await asyncio.to_thread(held.begun.wait, 30)
        tasks += [asked(), asked()]
        await asyncio.sleep(0)
        for gone in tasks[:2]:
            gone.cancel()
        await asyncio.sleep(0)
        held.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, gone, stays = asyncio.run(serve())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(gone, asyncio.CancelledError)
    assert not isinstance(stays, BaseException)
    assert stays.index == 1
    assert state.log.head().size == 2


def test_a_loop_that_has_ended_holds_up_nobody(
    state: State, group: GroupCommit, held: Held
) -> None:
    """What was taken is recorded although nobody is there to be told, and the next is served."""

    async def leave() -> None:
        task = asyncio.create_task(group.record_async(DECISION, readings=PORTAL.readings))
        await asyncio.to_thread(held.begun.wait, 30)
        task.cancel()

    asyncio.run(leave())
    held.may_go.set()
    assert group.record(DECISION, readings=PORTAL.readings).index == 1
    assert state.log.head().size == 2


def test_a_log_that_went_back_is_refused_to_all(tmp_path: Path) -> None:
    """The head that is remembered holds for shared commits, and for asking."""
    with (
        RememberedHeads(tmp_path / "heads") as heads,
        opened(tmp_path / "state", heads=heads) as state,
        GroupCommit(state.log) as group,
    ):
        group.record(DECISION, readings=PORTAL.readings)
        remembered = heads.get(state.store.log_id)
        assert group.check_rollback() == remembered == state.log.head()
        with state.store.transaction() as connection:
            connection.exec_driver_sql("DELETE FROM envelopes")
            connection.exec_driver_sql("DELETE FROM log_entries")
            connection.exec_driver_sql(
                "UPDATE log_head SET size = 0, frontier = x'', root = "
                "x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'"
            )
        with pytest.raises(VerificationError, match="went back"):
            group.check_rollback()
        with pytest.raises(NotRecordedError, match="went back"):
            group.record(DECISION, readings=PORTAL.readings)


def test_a_program_that_forgets_to_close_still_ends(tmp_path: Path) -> None:
    """What was taken is recorded before the interpreter ends, and it does end."""
    program = (
        "import sys\n"
        "sys.path.insert(0, 'tests')\n"
        "from log_helpers import PORTAL, decided, opened\n"
        "from automation_rules.group_commit import GroupCommit\n"
        "from pathlib import Path\n"
        f"state = opened(Path({str(tmp_path / 'state')!r}))\n"
        "group = GroupCommit(state.__enter__().log)\n"
        "decision = decided()\n"
        "for _ in range(20): group.submit(decision, readings=PORTAL.readings)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    with opened(tmp_path / "state") as state:
        assert state.log.verify().size == 20
