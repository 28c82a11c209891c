"""Group commit: entries that many callers of one process record at once share one commit.

A commit that lasts takes as long for a hundred entries as for one. While one is under way, the
entries that arrive wait together, and are in the next.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from .audit import mask
from .errors import NotRecordedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from .audit import DecisionLog, Draft, Head, Receipt
    from .decision import Decision

    Waiting = tuple[Draft, Future[Receipt] | asyncio.Future[Receipt]]
    Answer = Receipt | NotRecordedError
    Answered = list[tuple[asyncio.Future[Receipt], Answer]]

__all__ = ["GroupCommit"]


class GroupCommit:
    """Records in one log for many callers at once; each is answered when its entry is durable.

    Safe to use from any number of threads, and from asyncio: await `record_async`. Make one in
    each process that serves, after it has started. Close it, or use it in a ``with``, before the
    log.
    """

    def __init__(self, log: DecisionLog, *, most: int = 256) -> None:
        """Record in ``log``, with at most that many entries in a commit."""
        self._log = log
        self._most: Final = most
        self._turn = threading.Lock()
        self._waiting: deque[Waiting] = deque()
        self._is_committing = False
        self._is_closed = False
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="group-commit")

    def close(self) -> None:
        """Take nothing more, and return when everything taken is durable or has failed."""
        with self._turn:
            self._is_closed = True
        self._worker.shutdown()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def check_rollback(self) -> Head:
        """Return the head, as `DecisionLog.check_rollback` does."""
        return self._log.check_rollback()

    def record(
        self,
        decision: Decision,
        *,
        readings: Mapping[str, str],
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Receipt:
        """Record a decision as `DecisionLog.record` does; return when it is durable.

        Raises:
            NotRecordedError: it could not be masked, or the entries that shared its commit could
                not be made durable; none of them was acknowledged, and each answer must be a
                denial.
        """
        return self.submit(
            decision, readings=readings, request_id=request_id, trace_id=trace_id
        ).result()

    async def record_async(
        self,
        decision: Decision,
        *,
        readings: Mapping[str, str],
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Receipt:
        """Do as `record` does, without keeping the event loop waiting.

        Cheaper than waiting for what `submit` returns: all who wait in one loop are told at once.
        Cancelled before its commit begins, the entry is not recorded.

        Raises:
            NotRecordedError: as `record` does.
        """
        draft = mask(decision, readings=readings, request_id=request_id, trace_id=trace_id)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._take(draft, future)
        return await future

    def submit(
        self,
        decision: Decision,
        *,
        readings: Mapping[str, str],
        request_id: str | None = None,
        trace_id: str | None = None,
    ) -> Future[Receipt]:
        """Return what will hold the receipt once the entry is durable, or NotRecordedError.

        An entry whose future is cancelled before its commit begins is not recorded.

        Raises:
            NotRecordedError: it could not be masked, or this is closed.
        """
        draft = mask(decision, readings=readings, request_id=request_id, trace_id=trace_id)
        future: Future[Receipt] = Future()
        self._take(draft, future)
        return future

    def _take(self, draft: Draft, future: Future[Receipt] | asyncio.Future[Receipt]) -> None:
        with self._turn:
            if self._is_closed:
                raise NotRecordedError("the log is closed: nothing more is recorded")
            if not self._is_committing:
                try:
                    self._worker.submit(self._commit_all)
                except RuntimeError as error:
                    raise NotRecordedError(
                        "the program is ending: nothing more is recorded"
                    ) from error
                self._is_committing = True
            self._waiting.append((draft, future))

    def _commit_all(self) -> None:
        while batch := self._next():
            self._commit(batch)

    def _next(self) -> list[Waiting]:
        """Return the entries of the next commit; none when nobody waits."""
        batch: list[Waiting] = []
        with self._turn:
            while self._waiting and len(batch) < self._most:
                draft, future = self._waiting.popleft()
                if _begins(future):
                    batch.append((draft, future))
            self._is_committing = bool(batch)
        return batch

    def _commit(self, batch: Sequence[Waiting]) -> None:
        answers: Sequence[Answer]
        try:
            answers = self._log.record_many([draft for draft, _ in batch])
        except BaseException as error:
            # One for each: every caller adds to the one that it raises.
            answers = [_failure(error) for _ in batch]
        loops: dict[asyncio.AbstractEventLoop, Answered] = {}
        for (_, future), answer in zip(batch, answers, strict=True):
            if isinstance(future, Future):
                _answer(future, answer)
            else:
                loops.setdefault(future.get_loop(), []).append((future, answer))
        for loop, answered in loops.items():
            # Nobody waits any more in a loop that was closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_answer_all, answered)


def _begins(future: Future[Receipt] | asyncio.Future[Receipt]) -> bool:
    """Whether somebody still waits for an entry whose commit begins now."""
    if isinstance(future, Future):
        return future.set_running_or_notify_cancel()
    return not future.cancelled()


def _failure(error: BaseException) -> NotRecordedError:
    said = (
        str(error)
        if isinstance(error, NotRecordedError)
        else f"the entry could not be recorded: {type(error).__name__}"
    )
    failure = NotRecordedError(said)
    failure.__cause__ = error
    return failure


def _answer(future: Future[Receipt] | asyncio.Future[Receipt], answer: Answer) -> None:
    if isinstance(answer, NotRecordedError):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _answer_all(answered: Iterable[tuple[asyncio.Future[Receipt], Answer]]) -> None:
    for future, answer in answered:
        if not future.done():  # Who was cancelled during the commit waits for nothing.
            _answer(future, answer)
