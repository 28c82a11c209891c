"""What is read often and changes rarely, kept for half a second.

A pause, a closure or a new policy takes effect within a second in every process, without a
message between them: nothing that was read longer ago is used. What cannot be read again is not
used any more either.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from ..clock import SystemClock, monotonic, pause
from ..errors import FieldError, InvalidPolicyError, NotRegisteredError
from ..policyfile import load_policy

if TYPE_CHECKING:
    from datetime import datetime
    from os import stat_result
    from pathlib import Path

    from ..enforcer import FactsSource
    from ..policy import Policy
    from ..store import AccountFacts

__all__ = ["FRESH_SECONDS", "CurrentFacts", "CurrentPolicy"]

FRESH_SECONDS: Final = 0.5
"""How old, at most, what is used may be, counted from before it was read."""

MOST_ACCOUNTS: Final = 10_000

SETTLED_SECONDS: Final = 0.2
"""How long a policy file must have been left alone: half of one may be one with fewer rules."""

_TRIES: Final = 10

_MOMENT: Final = 0.1
"""How long a decision may take, at most, that must not wait for a file or the database."""


@dataclass(frozen=True, slots=True)
class _Known:
    read: float
    at: datetime
    facts: AccountFacts | str
    """What the registry knows, or why it knows nothing."""


class CurrentFacts:
    """The registry's facts about each account, none of them older than half a second.

    Safe to use from several threads.
    """

    def __init__(self, registry: FactsSource) -> None:
        """Read from ``registry``."""
        self._registry = registry
        self._known: LRUCache[str, _Known] = LRUCache(MOST_ACCOUNTS)
        self._turn = threading.Lock()

    def facts(self, account_id: str, at: datetime) -> AccountFacts:
        """Return what the registry says, or said a moment ago.

        Raises:
            NotRegisteredError: there is no such account.
            StoreError: the registry cannot be read.
        """
        known = self._fresh(account_id, at)
        if known is None:
            read = monotonic()
            said: AccountFacts | str
            try:
                said = self._registry.facts(account_id, at)
            except NotRegisteredError as error:
                said = str(error)
            known = _Known(read, at, said)
            with self._turn:
                other = self._known.get(account_id)
                if other is None or other.read <= read:
                    self._known[account_id] = known
        if isinstance(known.facts, str):
            raise NotRegisteredError(known.facts)
        return known.facts

    def forget(self, account_id: str, *, before: float = inf) -> bool:
        """Let an account be read afresh when it is next asked about; return whether it has to be.

        It has not when it was read since the instant ``before`` of `monotonic`.
        """
        with self._turn:
            known = self._known.get(account_id)
            if known is None or known.read >= before:
                return False
            del self._known[account_id]
            return True

    def is_fresh(self, account_id: str, at: datetime) -> bool:
        """Whether `facts` can answer without reading, now and for a moment."""
        return self._fresh(account_id, at, FRESH_SECONDS - _MOMENT) is not None

    def _fresh(
        self, account_id: str, at: datetime, seconds: float = FRESH_SECONDS
    ) -> _Known | None:
        with self._turn:
            known = self._known.get(account_id)
        if known is None or monotonic() - known.read >= seconds:
            return None
        # Closures and codes were read for one instant: a clock that jumped asks for another.
        return known if abs(at - known.at) < _FRESH else None


_FRESH: Final = timedelta(seconds=FRESH_SECONDS)


class CurrentPolicy:
    """The policy in a file, as the file is now; safe to use from several threads.

    Replace the file in one step (write another, then rename it): a file that is being written is
    not read before it has been left alone for a fifth of a second.
    """

    def __init__(self, path: Path, **readings: str) -> None:
        """Read the file at ``path``; ``readings`` override its own.

        Raises:
            InvalidPolicyError: it cannot be read.
        """
        self._path = path
        self._readings = readings
        self._turn = threading.Lock()
        self._looked = monotonic()
        self._seen, self._policy = self._read()

    @property
    def is_fresh(self) -> bool:
        """Whether `get` can answer without looking at the file, now and for a moment."""
        return monotonic() - self._looked < FRESH_SECONDS - _MOMENT

    def get(self) -> Policy:
        """Return the policy.

        Raises:
            InvalidPolicyError: the file cannot be read any more: nothing is decided until it can.
        """
        if self._is_old:
            with self._turn:
                if self._is_old:
                    self._look()
        return self._policy

    @property
    def _is_old(self) -> bool:
        return monotonic() - self._looked >= FRESH_SECONDS

    def _look(self) -> None:
        looked = monotonic()
        if self._identity(self._stat()) != self._seen:
            self._seen, self._policy = self._read()
        self._looked = looked

    def _read(self) -> tuple[tuple[int, ...], Policy]:
        watched, since = None, monotonic()
        for _ in range(_TRIES):
            before = self._identity(stat := self._stat())
            if before != watched:
                watched, since = before, monotonic()
            # The file system's clock is the machine's, whatever clock the rules go by; that of
            # another machine may be ahead.
            age = SystemClock().now().timestamp() - stat.st_mtime
            if age < SETTLED_SECONDS and monotonic() - since < SETTLED_SECONDS:
                pause(SETTLED_SECONDS / 4)
                continue
            policy = load_policy(self._path, **self._readings)
            if self._identity(self._stat()) == before:
                return before, policy
        raise InvalidPolicyError([FieldError("", f"{self._path} is being written all the time")])

    def _stat(self) -> stat_result:
        try:
            return self._path.stat()
        except OSError as error:
            problem = f"{self._path} cannot be read: {error.strerror or error}"
            raise InvalidPolicyError([FieldError("", problem)]) from None

    @staticmethod
    def _identity(stat: stat_result) -> tuple[int, ...]:
        # Copying tools set the time of writing back, but none sets that of the change.
        times = (stat.st_mtime_ns, stat.st_ctime_ns)
        return (*times, stat.st_size, stat.st_ino, stat.st_dev)
