"""Group commit: entries that many callers of one process record at once share one commit.

A commit that lasts takes as long for a hundred entries as for one. While one is under way, the
entries that arrive wait together, and are in the next.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Self

from .audit import mask
from .errors import NotRecordedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from .audit import DecisionLog, Draft, Head, Receipt
    from .decision import Decision

    Waiting = tuple[Draft, Future[Receipt]]

__all__ = ["GroupCommit"]


class GroupCommit:
    """Records in one log for many callers at once; each is answered when its entry is durable.

    Safe to use from any number of threads, and without a thread for each from asyncio: await
    ``asyncio.wrap_future(group.submit(...))``. Make one in each process that serves, after it has
    started. Close it, or use it in a ``with``, before the log.
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
        return future

    def _commit_all(self) -> None:
        while batch := self._next():
            self._commit(batch)

    def _next(self) -> list[Waiting]:
        """Return the entries of the next commit; none when nobody waits."""
        batch: list[Waiting] = []
        with self._turn:
            while self._waiting and len(batch) < self._most:
                draft, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    batch.append((draft, future))
            self._is_committing = bool(batch)
        return batch

    def _commit(self, batch: Sequence[Waiting]) -> None:
        try:
            receipts = self._log.record_many([draft for draft, _ in batch])
        except BaseException as error:
            said = (
                str(error)
                if isinstance(error, NotRecordedError)
                else f"the entry could not be recorded: {type(error).__name__}"
            )
            for _, future in batch:
                # One for each: every caller's thread adds to the one that it raises.
                failure = NotRecordedError(said)
                failure.__cause__ = error
                future.set_exception(failure)
        else:
            for (_, future), receipt in zip(batch, receipts, strict=True):
                future.set_result(receipt)
