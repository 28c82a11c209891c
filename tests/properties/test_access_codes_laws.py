"""Laws of the daily code that hold for every instant and every order of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from automation_rules.access_codes import (
    Challenge,
    CodeLimits,
    Verdict,
    code_is_current,
    code_valid_until,
    is_access_code,
    issue,
    verify,
)
from automation_rules.clock import LONDON
from automation_rules.errors import AccessCodeError

TICK = timedelta(microseconds=1)
ZONES = st.timezones() | st.just(LONDON) | st.just(UTC)
CHANGES = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
DAYS = st.builds(
    lambda base, offset: base + offset,
    st.sampled_from([*CHANGES, datetime(2026, 12, 31, 23, tzinfo=UTC)]),
    st.timedeltas(timedelta(days=-2), timedelta(days=2)),
)
ANY = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
INSTANTS = DAYS | ANY
READINGS = st.sampled_from(["london-day", "24-hours"])


@given(INSTANTS, st.timedeltas(timedelta(days=-2), timedelta(days=2)), READINGS, ZONES, ZONES)
def test_code_is_current_exactly_until_it_lapses(
    provided: datetime, gap: timedelta, reading: str, zone: object, other: object
) -> None:
    """The two answers agree at every instant, in whatever zones the instants are given."""
    at = provided + gap
    until = code_valid_until(provided, reading)
    shown, seen = provided.astimezone(zone), at.astimezone(other)  # type: ignore[arg-type]
    assert code_is_current(shown, seen, reading) == (provided <= at < until)
    if reading == "london-day":
        same_date = provided.astimezone(LONDON).date() == at.astimezone(LONDON).date()
        assert code_is_current(shown, seen, reading) == (provided <= at and same_date)
    else:
        assert code_is_current(shown, seen, reading) == (timedelta() <= gap < timedelta(hours=24))
    assert code_valid_until(shown, reading) == until


@given(INSTANTS, READINGS)
def test_lapsing_is_sharp_to_the_microsecond(provided: datetime, reading: str) -> None:
    """A code counts one microsecond before it lapses and not at that instant."""
    until = code_valid_until(provided, reading)
    assert provided < until <= provided + timedelta(hours=25)
    assert code_is_current(provided, until - TICK, reading)
    assert not code_is_current(provided, until, reading)


@given(DAYS)
def test_london_day_lapses_at_midnight_on_the_wall(provided: datetime) -> None:
    """Under the default reading a code always lapses at 00:00 of the next London date."""
    wall = code_valid_until(provided, "london-day").astimezone(LONDON)
    assert (wall.hour, wall.minute, wall.second, wall.microsecond) == (0, 0, 0, 0)
    assert wall.toordinal() == provided.astimezone(LONDON).toordinal() + 1


@given(st.text(max_size=8))
def test_only_ascii_digits_pass(text: str) -> None:
    """What passes is what a six-character ASCII digit string is, and nothing else."""
    assert is_access_code(text) == (len(text) == 6 and set(text) <= set("0123456789"))


LIMITS = st.builds(
    CodeLimits,
    lifetime=st.timedeltas(timedelta(seconds=1), timedelta(hours=2)),
    tries=st.integers(1, 4),
    tries_a_day=st.integers(1, 9),
)


class Portal(RuleBasedStateMachine):
    """One account's codes beside a plain model that remembers every event."""

    @initialize(limits=LIMITS, start=DAYS)
    def open(self, limits: CodeLimits, start: datetime) -> None:
        """Begin with no code issued."""
        self.limits, self.now = limits, start
        self.challenge: Challenge | None = None
        self.code = ""
        self.sent: list[tuple[datetime, int]] = []
        self.accepted: set[int] = set()
        self.wrong: list[tuple[int, int]] = []  # (London day of issue, counter)

    def day(self, at: datetime) -> int:
        """Return London's day of an instant."""
        return at.astimezone(LONDON).toordinal()

    @rule(gap=st.timedeltas(timedelta(0), timedelta(hours=14)))
    def pass_time(self, gap: timedelta) -> None:
        """Move the clock forward."""
        self.now += gap

    @rule()
    def ask(self) -> None:
        """Issue, unless the model says that the day is locked."""
        wrong_today = sum(day == self.day(self.now) for day, _ in self.wrong)
        try:
            self.challenge, self.code = issue(self.challenge, self.now, self.limits)
        except AccessCodeError:
            assert wrong_today >= self.limits.tries_a_day
            return
        assert wrong_today < self.limits.tries_a_day
        assert self.challenge.counter not in [counter for _, counter in self.sent]
        self.sent.append((self.now, self.challenge.counter))

    @precondition(lambda self: self.challenge is not None)
    @rule(offset=st.integers(0, 2), back=st.booleans())
    def attempt(self, offset: int, back: bool) -> None:
        """Try the latest code or a wrong one, also with a clock set back; the model judges."""
        assert self.challenge is not None
        code = f"{(int(self.code) + offset) % 1_000_000:06d}"
        issued_at, counter = self.sent[-1]
        at = issued_at - TICK if back else self.now
        day = self.day(issued_at)
        if counter in self.accepted:
            expected = Verdict.USED
        elif (
            sum(c == counter for _, c in self.wrong) >= self.limits.tries
            or sum(d == day for d, _ in self.wrong) >= self.limits.tries_a_day
        ):
            expected = Verdict.LOCKED
        elif back or at >= issued_at + self.limits.lifetime:
            expected = Verdict.EXPIRED
        elif offset:
            expected = Verdict.WRONG
            self.wrong.append((day, counter))
        else:
            expected = Verdict.ACCEPTED
            self.accepted.add(counter)
        before = self.challenge
        self.challenge, verdict = verify(before, code, at, self.limits)
        assert verdict is expected
        if verdict not in (Verdict.WRONG, Verdict.ACCEPTED):
            assert self.challenge == before

    @invariant()
    def tries_a_day_are_bounded(self) -> None:
        """No order of issuing and trying gives a day more wrong tries than its cap."""
        for day in {day for day, _ in self.wrong}:
            assert sum(d == day for d, _ in self.wrong) <= self.limits.tries_a_day

    @invariant()
    def counters_only_rise(self) -> None:
        """No counter, and so no code, ever comes back."""
        counters = [counter for _, counter in self.sent]
        assert counters == sorted(set(counters))


TestPortal = Portal.TestCase
TestPortal.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(INSTANTS, st.integers(0, 998))
def test_verifying_never_touches_the_secret_or_the_issue(at: datetime, issued: int) -> None:
    """A try changes only the counts of wrong tries or the instant of use."""
    start, _ = issue(None, at)
    challenge, code = issue(replace(start, issued=issued), at)
    tried, verdict = verify(challenge, code, at)
    assert verdict is Verdict.ACCEPTED
    assert replace(tried, used_at=None) == challenge
