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
from typing import TYPE_CHECKING, Final, Protocol

from cachetools import LRUCache

from ..clock import SystemClock, monotonic, pause
from ..errors import FieldError, InvalidPolicyError, NotRegisteredError
from ..policyfile import load_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime
    from os import stat_result
    from pathlib import Path

    from ..policy import Policy
    from ..store import AccountFacts

__all__ = ["FRESH_SECONDS", "RENEW_SECONDS", "CurrentFacts", "CurrentPolicy", "FactsOfMany"]

FRESH_SECONDS: Final = 0.5
"""How old, at most, what is used may be, counted from before it was read."""

RENEW_SECONDS: Final = 0.4
"""How old it is when whoever may wait reads it again, so that an event loop, which must not, is
left a tenth of a second for a decision."""

MOST_ACCOUNTS: Final = 10_000

SETTLED_SECONDS: Final = 0.2
"""How long a policy file must have been left alone: half of one may be one with fewer rules."""

_TRIES: Final = 10


@dataclass(frozen=True, slots=True)
class _Known:
    read: float
    at: datetime
    facts: AccountFacts | None
    """None: it is not registered."""


class FactsOfMany(Protocol):
    """Where the facts about many accounts are read at once: a `Registry`."""

    def facts_of(self, account_ids: Collection[str], at: datetime) -> Mapping[str, AccountFacts]:
        """Return what is known, without the accounts that are not registered."""


class CurrentFacts:
    """The registry's facts about each account, none of them older than half a second.

    When an account has to be read, so are all that were asked about again since they were read
    themselves: dozens at once cost little more than one, and nobody is read more often than asked
    about. Safe to use from several threads.
    """

    def __init__(self, registry: FactsOfMany) -> None:
        """Read from ``registry``."""
        self._registry = registry
        self._known: LRUCache[str, _Known] = LRUCache(MOST_ACCOUNTS)
        self._busy: set[str] = set()
        self._turn = threading.Lock()

    def facts(self, account_id: str, at: datetime) -> AccountFacts:
        """Return what the registry says, or said a moment ago.

        Raises:
            NotRegisteredError: there is no such account.
            StoreError: the registry cannot be read.
        """
        known = self._fresh(account_id, at)
        if known is None:
            facts = self._read(account_id, at)
        else:
            facts = known.facts
            with self._turn:
                self._busy.add(account_id)
        if facts is None:
            raise NotRegisteredError("there is no such automation account: register it first")
        return facts

    def _read(self, account_id: str, at: datetime) -> AccountFacts | None:
        with self._turn:
            wanted, self._busy = {*self._busy, account_id}, set()
        read = monotonic()
        found = self._registry.facts_of(wanted, at)
        said = {one: found.get(one) for one in wanted}
        with self._turn:
            for one, facts in said.items():
                known = self._known.get(one)
                if known is not None and known.facts == facts:
                    # Others keep what they made of the same facts, as long as these are the same.
                    said[one] = known.facts
                if known is None or known.read <= read:
                    self._known[one] = _Known(read, at, said[one])
        return said[account_id]

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

    def renew(self, account_id: str) -> None:
        """Let an account be read afresh that is about to grow old."""
        self.forget(account_id, before=monotonic() - RENEW_SECONDS)

    def is_fresh(self, account_id: str, at: datetime) -> bool:
        """Whether `facts` can answer without reading, now and for a moment."""
        return self._fresh(account_id, at, RENEW_SECONDS) is not None

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
        return self._age < RENEW_SECONDS

    def get(self, most_age: float = FRESH_SECONDS) -> Policy:
        """Return the policy, as the file was less than ``most_age`` seconds ago.

        Raises:
            InvalidPolicyError: the file cannot be read any more: nothing is decided until it can.
        """
        if self._age >= most_age:
            with self._turn:
                if self._age >= most_age:
                    self._look()
        return self._policy

    @property
    def _age(self) -> float:
        return monotonic() - self._looked

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
