"""Watches the activity of automation accounts, warns, and pauses (clause ``terms.suspension``).

Every process that serves counts in its own memory, and adds what it counted to counters in the
state, so that the thresholds of a policy hold for all processes and machines together. The
counting is that of the library ``limits``, its sliding window counter: the present window and the
part of the one before it that has not gone by yet. That strategy takes the time from its storage
alone, and `CounterStorage` is given it. (Only its ``get_window_stats`` reads the machine's clock;
it is not used here.)

What is kept: identifiers of automation accounts, which are organisations' bots, and numbers. A
to-do stands in a counter's key as a digest with a key of the state's own. A counter ends after at
most twice the time that is counted over, and a flush of the minute after deletes it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from math import floor
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeAlias, cast

import limits
import structlog
from limits.storage.base import SlidingWindowCounterSupport, Storage, TimestampedSlidingWindow
from limits.strategies import SlidingWindowCounterRateLimiter
from sqlalchemy import bindparam, case, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from .accounts import AccountStatus
from .activity import Activity, Threshold
from .clock import to_utc
from .errors import ClockError, InvalidInputError, StoreError
from .store import Registry, tables
from .store.engine import take_turns
from .store.fields import check_ids
from .texts import ui

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import TracebackType

    from sqlalchemy import Connection, Row

    from .activity import ActivityLimits
    from .clock import Clock
    from .store import Store
    from .texts import Text

__all__ = [
    "FLUSH_SECONDS",
    "MOST_PENDING",
    "ActivityMonitor",
    "CounterStorage",
    "Level",
    "Observation",
    "read_observations",
]

FLUSH_SECONDS: Final = 0.25
"""How often what was counted is added to the state's counters."""

MOST_PENDING: Final = 20_000
"""How many different numbers wait in memory, at most, when they cannot be added."""

TIDY_EVERY: Final = timedelta(minutes=1)
_DIGEST_BYTES: Final = 16

_events: Final = structlog.get_logger("automation_rules.monitor")


class Level(Enum):
    """What came of an observation."""

    WARNING = "warning"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Observation:
    """More activity of an account than was expected, and when (UTC).

    ``seen`` is how many were counted over the threshold's time. There is no landlord when the
    account is not registered; such an account is never allowed anything, and is only warned about.
    """

    account_id: str
    landlord_id: str | None
    activity: Activity
    level: Level
    seen: int
    allowed: Threshold
    at: datetime

    def text(self) -> Text:
        """Return what was seen, in words without personal data."""
        return ui(
            f"activity.seen.{self.activity.value}",
            seen=self.seen,
            window=self.allowed.window,
            most=self.allowed.amount,
        )


class CounterStorage(Storage, SlidingWindowCounterSupport, TimestampedSlidingWindow):
    """Counters of the library ``limits`` in the state, for the length of one transaction.

    Serves its strategies with a fixed window and with a sliding window counter. It knows no time
    but ``at``. The transaction must be the only one that adds to counters: `take_turns`.
    """

    STORAGE_SCHEME = None

    def __init__(self, connection: Connection, at: datetime) -> None:
        """Count over ``connection``, at first at the instant ``at``."""
        super().__init__()
        self.at = to_utc(at)
        self._connection = connection

    @property
    def base_exceptions(self) -> type[Exception]:
        """What may be raised, as `Storage` asks for it; it is never wrapped."""
        return SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Add ``amount`` to a counter, which a first one lets live for ``expiry`` seconds."""
        self._add(key, expiry, amount)
        return self.get(key)

    def _add(self, key: str, expiry: int, amount: int) -> None:
        ends = self.at + timedelta(seconds=expiry)
        added = self._connection.execute(
            _ADD, {"of": key, "amount": amount, "ends": ends, "at": self.at}
        )
        if added.rowcount == 0:
            self._connection.execute(_BEGIN, {"key": key, "count": amount, "expires_at": ends})

    def get(self, key: str) -> int:
        """Return what a counter stands at."""
        return self._counts(key, key).get(key, (0, self.at))[0]

    def get_expiry(self, key: str) -> float:
        """Return when a counter ends, in seconds since the epoch; the present without one."""
        return self._counts(key, key).get(key, (0, self.at))[1].timestamp()

    def _counts(self, first: str, last: str) -> dict[str, tuple[int, datetime]]:
        """Return what each counter that has not ended stands at, and when it ends."""
        rows = self._connection.execute(_COUNTS, {"first": first, "last": last, "at": self.at})
        return {key: (count, expires_at) for key, count, expires_at in rows}

    def check(self) -> bool:
        """Return True: a connection whose transaction is open answers."""
        return self._connection.in_transaction()

    def reset(self) -> int:
        """Delete every counter; return how many there were."""
        return self._connection.execute(delete(_COUNTERS)).rowcount

    def clear(self, key: str) -> None:
        """Delete one counter."""
        self._connection.execute(delete(_COUNTERS).filter_by(key=key))

    def tidy(self) -> None:
        """Delete the counters that have ended."""
        self._connection.execute(delete(_COUNTERS).where(_COUNTERS.c.expires_at <= self.at))

    def acquire_sliding_window_entry(
        self, key: str, limit: int, expiry: int, amount: int = 1
    ) -> bool:
        """Count ``amount``, and tell whether all that is counted keeps within ``limit``.

        What happened is counted in any case: this storage watches, and holds nothing back.
        """
        _, current = self.sliding_window_keys(key, expiry, self.at.timestamp())
        self._add(current, 2 * expiry, amount)
        return self.seen(key, expiry) <= limit

    def seen(self, key: str, expiry: int) -> int:
        """Return how many there were in the last ``expiry`` seconds, as the strategy reckons it."""
        previous, previous_ttl, current, _ = self.get_sliding_window(key, expiry)
        return floor(previous * previous_ttl / expiry + current)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the count of the window before and how long it matters; then the present one's."""
        now = self.at.timestamp()
        previous, current = self.sliding_window_keys(key, expiry, now)
        counts = self._counts(previous, current)
        left = expiry - now % expiry
        before, present = (counts.get(window, (0, self.at))[0] for window in (previous, current))
        return before, left, present, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Delete the counters of both windows."""
        for window in self.sliding_window_keys(key, expiry, self.at.timestamp()):
            self.clear(window)


_COUNTERS: Final = tables.activity_counters

# Made once: making them takes longer than executing them.
_HAS_ENDED: Final = _COUNTERS.c.expires_at <= bindparam("at")
_AMOUNT: Final = bindparam("amount", type_=_COUNTERS.c.count.type)
_ADD: Final = (
    update(_COUNTERS)
    .where(_COUNTERS.c.key == bindparam("of"))
    .values(
        count=case((_HAS_ENDED, _AMOUNT), else_=_COUNTERS.c.count + _AMOUNT),
        expires_at=case(
            (_HAS_ENDED, bindparam("ends", type_=tables.Instant)), else_=_COUNTERS.c.expires_at
        ),
    )
)
_BEGIN: Final = insert(_COUNTERS)
_COUNTS: Final = select(_COUNTERS).where(
    _COUNTERS.c.key.in_([bindparam("first"), bindparam("last")]),
    _COUNTERS.c.expires_at > bindparam("at"),
)

_Key: TypeAlias = tuple[str, Activity, str, int]
"""Whose and what activity, the digest of a to-do, and the second that it was in."""


class _Tally(NamedTuple):
    """How many there were, and when the last was."""

    number: int
    at: datetime


class _Standing(NamedTuple):
    """What the state knows of an account: its landlord, and by what it was resumed last."""

    landlord_id: str | None
    is_watched: bool
    resumption: int
    resumed_at: datetime


_UNREGISTERED: Final = _Standing(None, True, 0, datetime.min.replace(tzinfo=UTC))

_accounts: Final = tables.accounts
_changes: Final = tables.status_changes
_LAST_RESUMPTION: Final = (
    select(func.max(_changes.c.id))
    .where(
        _changes.c.landlord_id == _accounts.c.landlord_id,
        _changes.c.account_id == _accounts.c.id,
        _changes.c.change == "resumed",
    )
    .correlate(_accounts)
    .scalar_subquery()
)
_STANDING: Final = (
    select(_accounts.c.landlord_id, _accounts.c.status, _changes.c.id, _changes.c.at)
    .select_from(_accounts.outerjoin(_changes, _changes.c.id == _LAST_RESUMPTION))
    .where(_accounts.c.id == bindparam("account"), _accounts.c.removed_at.is_(None))
)


class ActivityMonitor:
    """Counts the activity of automation accounts, together with every other process of a state.

    Each counts in memory at the instant that it happened, and every quarter of a second adds what
    it counted to the state. An account that exceeds a threshold of the policy is warned about and
    then paused, once each for one span of time. It stays paused until a person resumes it; what
    was counted before it was resumed counts no more.

    Use it in a ``with``, or `start` and `close` it, in each process after it has forked; before
    the store is closed. A process that is killed loses what it counted since the last flush.
    """

    def __init__(
        self, store: Store, clock: Clock, limits_source: Callable[[], ActivityLimits | None]
    ) -> None:
        """Count in ``store`` by what ``limits_source`` returns at each flush; None: nothing."""
        self._store = store
        self._clock = clock
        self._limits_source = limits_source
        self._digest_key: Final = store.log_id.encode()
        self._turn = threading.Lock()
        self._pending: dict[_Key, _Tally] = {}
        self._uncounted = 0
        self._flushing = threading.Lock()
        self._tidied_at: datetime | None = None
        self._ending = threading.Event()
        self._worker: threading.Thread | None = None
        self.trouble: Exception | None = None
        """Why the last flush added nothing, when it could not; it is tried again at the next."""

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def start(self) -> None:
        """Let a thread flush every quarter of a second until `close`."""
        self._worker = threading.Thread(target=self._work, name="activity-monitor", daemon=True)
        self._worker.start()

    def _work(self) -> None:
        while not self._ending.wait(FLUSH_SECONDS):
            self.flush()

    def close(self) -> None:
        """End the thread, and add what was counted last."""
        self._ending.set()
        if self._worker is not None:
            self._worker.join()
        self.flush()
        if self._pending:
            number = sum(tally.number for tally in self._pending.values())
            _events.warning("activity_not_counted", number=number)

    def note(self, account_id: str, activity: Activity, *, todo: str | None = None) -> None:
        """Count one. Takes microseconds, and raises nothing.

        ``todo`` tells submissions of one to-do from others; a submission without it is not
        counted, and other activity adds up whatever the to-do.
        """
        digest = ""
        if activity is Activity.SUBMISSION:
            if todo is None:
                return
            digest = self._digest(todo)
        try:
            at = self._clock.now()
        except ClockError:
            # Nothing is allowed while the clock cannot be read.
            with self._turn:
                self._uncounted += 1
            return
        key = (account_id, activity, digest, int(at.timestamp()))
        with self._turn:
            self._add(key, _Tally(1, at))

    def _digest(self, todo: str) -> str:
        data = todo.encode("utf-8", "surrogatepass")
        return blake2b(data, digest_size=_DIGEST_BYTES, key=self._digest_key).hexdigest()

    def _add(self, key: _Key, tally: _Tally) -> None:
        found = self._pending.get(key)
        if found is not None:
            self._pending[key] = _Tally(found.number + tally.number, max(found.at, tally.at))
        elif len(self._pending) < MOST_PENDING:
            self._pending[key] = tally
        else:
            self._uncounted += tally.number

    def flush(self) -> tuple[Observation, ...]:
        """Add what was counted to the state, and return what was seen by it; raises nothing.

        When the state cannot be written, or the limits cannot be read, what was counted is kept
        for the next flush; ``trouble`` says why.
        """
        with self._flushing:
            with self._turn:
                taken, self._pending = self._pending, {}
                uncounted, self._uncounted = self._uncounted, 0
            if uncounted:
                _events.warning("activity_not_counted", number=uncounted)
            if not taken:
                return ()
            try:
                observed = self._count(taken)
            except BaseException as error:
                self._keep(taken, error)
                if not isinstance(error, Exception):
                    raise
                return ()
            if self.trouble is not None:
                self.trouble = None
                _events.info("activity_written_again")
            for found in observed:
                _events.warning(
                    _EVENTS[found.level],
                    account=found.account_id,
                    landlord=found.landlord_id,
                    activity=found.activity.value,
                    seen=found.seen,
                    allowed=str(found.allowed),
                )
            return observed

    def _keep(self, taken: Mapping[_Key, _Tally], error: BaseException) -> None:
        with self._turn:
            for key, tally in taken.items():
                self._add(key, tally)
        if isinstance(error, Exception):
            if self.trouble is None:
                _events.warning("activity_not_written", error=f"{type(error).__name__}: {error}")
            self.trouble = error

    def _count(self, taken: Mapping[_Key, _Tally]) -> tuple[Observation, ...]:
        watched = self._limits_source()
        if watched is None:
            return ()
        accounts: dict[str, dict[_Key, _Tally]] = {}
        for key, tally in taken.items():
            accounts.setdefault(key[0], {})[key] = tally
        observed: list[Observation] = []
        now = self._clock.now()
        with self._store.transaction() as connection:
            take_turns(connection)
            for account_id, tallies in accounts.items():
                judge = _Judge(connection, self._clock, account_id, watched)
                observed += judge.observe(tallies)
            is_tidy = self._tidied_at is not None and now - self._tidied_at < TIDY_EVERY
            if not is_tidy:
                CounterStorage(connection, now).tidy()
        if not is_tidy:
            self._tidied_at = now
        return tuple(observed)


_EVENTS: Final = {Level.WARNING: "activity_warning", Level.PAUSE: "account_paused"}


class _Judge:
    """Counts what one account did, inside a transaction, and does what the limits say."""

    def __init__(
        self, connection: Connection, clock: Clock, account_id: str, watched: ActivityLimits
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._account_id = account_id
        self._watched = watched
        self._storage = CounterStorage(connection, clock.now())
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    def observe(self, tallies: Mapping[_Key, _Tally]) -> Iterator[Observation]:
        """Count, write down what is too much, and yield it; end when the account is paused."""
        standing = self._standing()
        if not standing.is_watched:
            return
        for activity in Activity:
            bounds = self._watched.of(activity)
            ours = [
                (digest, tally)
                for (_, kind, digest, _), tally in tallies.items()
                # What came before a person resumed the account has been dealt with.
                if kind is activity and tally.at >= standing.resumed_at
            ]
            if bounds is None or not ours:
                continue
            for level, threshold in ((Level.WARNING, bounds.warn), (Level.PAUSE, bounds.pause)):
                if threshold is None or (level is Level.PAUSE and standing.landlord_id is None):
                    continue
                excess = self._excess(standing, activity, threshold, ours)
                if excess is None:
                    continue
                found = Observation(
                    self._account_id, standing.landlord_id, activity, level, excess[0], threshold,
                    excess[1],
                )  # fmt: skip
                if level is Level.WARNING and not self._is_known(found, standing):
                    self._write(found)
                    yield found
                elif level is Level.PAUSE:
                    if self._pause(found):
                        yield found
                    return

    def _standing(self) -> _Standing:
        try:
            check_ids(account_id=self._account_id)
        except InvalidInputError:
            # No account can ever be registered by it, and not every database can keep it.
            return _UNREGISTERED._replace(is_watched=False)
        row = self._connection.execute(_STANDING, {"account": self._account_id}).one_or_none()
        if row is None:
            return _UNREGISTERED
        is_watched = row.status == AccountStatus.ACTIVE.value
        if row.id is None:
            return _UNREGISTERED._replace(landlord_id=row.landlord_id, is_watched=is_watched)
        return _Standing(row.landlord_id, is_watched, row.id, row.at)

    def _excess(
        self,
        standing: _Standing,
        activity: Activity,
        threshold: Threshold,
        tallies: Iterable[tuple[str, _Tally]],
    ) -> tuple[int, datetime] | None:
        """Count, and return the most that was seen at once and when, if it is too much."""
        item = _item(threshold)
        seconds = item.get_expiry()
        windows: dict[tuple[str, int], _Tally] = {}
        for digest, tally in tallies:
            window = (digest, int(tally.at.timestamp() / seconds))
            number, at = windows.get(window, tally._replace(number=0))
            windows[window] = _Tally(number + tally.number, max(at, tally.at))
        most: tuple[int, datetime] | None = None
        for (digest, _), tally in sorted(windows.items(), key=lambda pair: pair[1].at):
            # The number of the resumption makes every counter begin at nothing after it.
            name = (self._account_id, str(standing.resumption), activity.value, digest)
            self._storage.at = tally.at
            if not self._limiter.hit(item, *name, cost=tally.number):
                seen = self._storage.seen(item.key_for(*name), seconds)
                most = max(most or (seen, tally.at), (seen, tally.at))
        return most

    def _is_known(self, found: Observation, standing: _Standing) -> bool:
        """Whether the same was warned about in the same span of time."""
        seen = tables.observations
        return (
            self._connection.execute(
                select(seen.c.id)
                .filter_by(
                    account_id=found.account_id,
                    kind=found.activity.value,
                    level=found.level.value,
                )
                .where(
                    seen.c.at > found.at - found.allowed.window,
                    seen.c.at >= standing.resumed_at,
                )
                .limit(1)
            ).first()
            is not None
        )

    def _write(self, found: Observation) -> None:
        self._connection.execute(
            insert(tables.observations).values(
                account_id=found.account_id,
                landlord_id=found.landlord_id,
                kind=found.activity.value,
                level=found.level.value,
                seen=found.seen,
                allowed=str(found.allowed),
                window_seconds=int(found.allowed.window.total_seconds()),
                at=found.at,
            )
        )

    def _pause(self, found: Observation) -> bool:
        """Pause the account unless a person did so at this moment; return whether."""
        # As whoever changes an account's status does.
        self._connection.execute(
            select(tables.landlords.c.id)
            .filter_by(id=found.landlord_id)
            .with_for_update(key_share=True)
        )
        if not self._standing().is_watched:
            return False
        self._write(found)
        registry = Registry(cast("Store", _OneTransaction(self._connection)), self._clock)
        registry.pause_account(found.account_id, ui("activity.reason", seen=found.text().en).en)
        return True


class _OneTransaction:
    """A store whose every transaction is part of one that is open: all of it lasts, or nothing."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        yield self._connection


@lru_cache(maxsize=64)
def _item(threshold: Threshold) -> limits.RateLimitItem:
    return limits.parse(str(threshold))


def read_observations(
    store: Store,
    *,
    landlord_id: str | None = None,
    account_id: str | None = None,
    since: datetime | None = None,
) -> tuple[Observation, ...]:
    """Return what the monitors of a state saw, oldest first; of one landlord or account, if given.

    Raises:
        InvalidInputError: an identifier that can be nobody's.
        ClockError: ``since`` is naive.
        StoreError: the state cannot be read.
    """
    seen = tables.observations
    query = select(seen).order_by(seen.c.at, seen.c.id)
    named = {"landlord_id": landlord_id, "account_id": account_id}
    named = {name: value for name, value in named.items() if value is not None}
    check_ids(**named)
    if since is not None:
        query = query.where(seen.c.at >= to_utc(since))
    with store.reading() as connection:
        return tuple(_observation(row) for row in connection.execute(query.filter_by(**named)))


def _observation(row: Row[tuple[object, ...]]) -> Observation:
    try:
        return Observation(
            row.account_id,
            row.landlord_id,
            Activity(row.kind),
            Level(row.level),
            row.seen,
            Threshold.parse(row.allowed),
            row.at,
        )
    except ValueError as error:
        raise StoreError(
            "the state holds an observation that this library did not write: restore the state "
            "from a backup"
        ) from error
