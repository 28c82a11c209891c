"""The daily access code: the portal's challenge, and the proof of the day."""

from __future__ import annotations

import hmac
import re
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta, timezone

import pyotp
import pytest

from automation_rules import access_codes
from automation_rules.access_codes import (
    MAX_ISSUES_A_DAY,
    Challenge,
    CodeLimits,
    ConsoleSender,
    Sender,
    Verdict,
    code_is_current,
    code_valid_until,
    is_access_code,
    issue,
    verify,
)
from automation_rules.clock import LONDON
from automation_rules.errors import AccessCodeError, ClockError, InvalidInputError

NOON = datetime(2026, 6, 2, 11, 0, tzinfo=UTC)  # 12:00 in London
TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
NAIVE = datetime(2026, 6, 2, 11, 0)  # noqa: DTZ001 - naive on purpose
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 4226, appendix D


def wrong_for(code: str) -> str:
    """Return six digits other than ``code``."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def london(*parts: int, fold: int = 0) -> datetime:
    """Return an instant given on London's clocks."""
    return datetime(*parts, tzinfo=LONDON, fold=fold)  # type: ignore[arg-type, misc]  # int parts


# The proof of the day


@pytest.mark.parametrize(
    ("provided", "until"),
    [
        (london(2026, 6, 2, 8, 5), datetime(2026, 6, 2, 23, tzinfo=UTC)),
        (london(2026, 6, 2, 0, 0), datetime(2026, 6, 2, 23, tzinfo=UTC)),
        (london(2026, 6, 2, 23, 59, 59, 999_999), datetime(2026, 6, 2, 23, tzinfo=UTC)),
        (london(2026, 1, 2, 8, 5), datetime(2026, 1, 3, tzinfo=UTC)),
        (london(2026, 3, 28, 12), datetime(2026, 3, 29, 0, tzinfo=UTC)),
        (london(2026, 3, 29, 0), datetime(2026, 3, 29, 23, tzinfo=UTC)),
        (london(2026, 10, 25, 0), datetime(2026, 10, 26, 0, tzinfo=UTC)),
        (london(2026, 12, 31, 23), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_london_day_ends_at_the_next_london_midnight(provided: datetime, until: datetime) -> None:
    """A code lapses when its London day ends, also on the days of 23 and 25 hours."""
    assert code_valid_until(provided, "london-day") == until
    assert code_valid_until(provided, "london-day").tzinfo is UTC
    assert code_is_current(provided, until - TICK, "london-day")
    assert not code_is_current(provided, until, "london-day")


def test_days_of_the_clock_changes_have_23_and_25_hours() -> None:
    """The length of a London day is counted in real hours."""
    spring, autumn = london(2026, 3, 29), london(2026, 10, 25)
    assert code_valid_until(spring, "london-day") - spring.astimezone(UTC) == timedelta(hours=23)
    assert code_valid_until(autumn, "london-day") - autumn.astimezone(UTC) == timedelta(hours=25)


@pytest.mark.parametrize("provided", [london(2026, 3, 28, 12), london(2026, 10, 24, 12), NOON])
def test_24_hours_are_real_hours(provided: datetime) -> None:
    """A code lasts exactly 24 hours under the other reading, across clock changes too."""
    until = provided.astimezone(UTC) + timedelta(hours=24)
    assert code_valid_until(provided, "24-hours") == until
    assert code_valid_until(provided, "24-hours").tzinfo is UTC
    assert code_is_current(provided, until - TICK, "24-hours")
    for at in (until, until + TICK, until + timedelta(days=400)):
        assert not code_is_current(provided, at, "24-hours")


def test_half_past_midnight_and_half_past_one_in_summer_are_one_day() -> None:
    """The day turns at London's midnight, not at UTC's."""
    assert code_is_current(london(2026, 6, 2, 0, 30), london(2026, 6, 2, 1, 30), "london-day")
    assert not code_is_current(london(2026, 6, 1, 23, 30), london(2026, 6, 2, 0, 30), "london-day")
    assert not code_is_current(london(2026, 6, 1), london(2026, 12, 2), "london-day")


@pytest.mark.parametrize("reading", ["london-day", "24-hours"])
def test_code_counts_from_the_instant_it_was_provided(reading: str) -> None:
    """A code counts at its own instant and never before, even within the repeated hour."""
    assert code_is_current(NOON, NOON, reading)
    assert not code_is_current(NOON, NOON - TICK, reading)
    first, second = london(2026, 10, 25, 1, 30), london(2026, 10, 25, 1, 30, fold=1)
    assert code_is_current(first, second, reading)
    assert not code_is_current(second, first, reading)


@pytest.mark.parametrize("reading", ["london-day", "24-hours"])
def test_naive_datetimes_are_refused_by_the_proof_of_the_day(reading: str) -> None:
    """A time without an offset is an error, not a guess."""
    for arguments in ((NAIVE, NOON), (NOON, NAIVE)):
        with pytest.raises(ClockError, match="offset"):
            code_is_current(*arguments, reading)
    with pytest.raises(ClockError, match="offset"):
        code_valid_until(NAIVE, reading)


@pytest.mark.parametrize("reading", ["london-day", "24-hours"])
def test_last_day_of_the_calendar_is_a_clear_error(reading: str) -> None:
    """A code that would lapse after the year 9999 is refused with our own error."""
    with pytest.raises(ClockError, match=r"9999"):
        code_valid_until(datetime.max.replace(tzinfo=UTC), reading)


def test_code_that_would_expire_after_the_last_year_is_a_clear_error() -> None:
    """Issuing at the end of the calendar raises our own error, not an overflow."""
    with pytest.raises(ClockError, match="9999"):
        issue(None, datetime.max.replace(tzinfo=UTC))


@pytest.mark.parametrize("name", ["", "24-hour", "24-hours ", "a-week", "london-days", "zz"])
def test_unknown_reading_is_refused(name: str) -> None:
    """A reading with another name never counts as either."""
    with pytest.raises(InvalidInputError, match=rf"daily: '{name}'.*london-day.*24-hours"):
        code_is_current(NOON, NOON, name)
    with pytest.raises(InvalidInputError, match=rf"daily: '{name}'.*london-day.*24-hours"):
        code_valid_until(NOON, name)


# Six digits


@pytest.mark.parametrize("text", ["000000", "123456", "999999"])
def test_six_ascii_digits_are_a_code(text: str) -> None:
    """Leading zeros count."""
    assert is_access_code(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "12345", "1234567", "12345a", "12 456", " 123456", "123456\n", "-12345", "+12345"),
        *("1_2345", "0x1234", "12345\x00", "1.2345", "12345²", "١٢٣٤٥٦"),
        *("\uff11\uff12\uff13\uff14\uff15\uff16", "12345\uff16"),
    ],
)
def test_anything_else_is_not_a_code(text: str) -> None:
    """Other lengths, signs, spaces and the digits of other scripts are refused."""
    assert not is_access_code(text)
    challenge, _ = issue(None, NOON)
    assert verify(challenge, text, NOON) == (challenge, Verdict.MALFORMED)


# Issuing


def test_code_is_the_published_hotp_value() -> None:
    """Codes follow RFC 4226: its appendix D values come out for its secret and counters."""
    expected = {0: "755224", 1: "287082", 9: "520489"}
    assert {n: pyotp.HOTP(RFC_SECRET).at(n) for n in expected} == expected
    before = Challenge(RFC_SECRET, NOON - timedelta(days=1), NOON - timedelta(days=1), issued=7)
    challenge, code = issue(before, NOON)
    assert challenge.counter == NOON.date().toordinal() * 1000 + 1
    assert code == pyotp.HOTP(RFC_SECRET).at(challenge.counter)


def test_counter_is_the_london_day_times_1000_plus_the_number() -> None:
    """The counter takes London's date, also in the hour in which UTC still has the day before."""
    late = datetime(2026, 6, 1, 23, 30, tzinfo=UTC)  # 00:30 on the 2nd in London
    challenge, _ = issue(None, late)
    assert challenge.counter == datetime(2026, 6, 2, tzinfo=UTC).toordinal() * 1000 + 1
    again, _ = issue(challenge, late + MINUTE)
    assert again.counter == challenge.counter + 1
    numbered = [replace(challenge, issued=number).counter for number in range(1, 1000)]
    assert numbered == list(range(challenge.counter, challenge.counter + 999))


def test_first_issue_makes_a_fresh_random_secret() -> None:
    """Every account gets a secret of its own, of 160 bits, and keeps it."""
    (one, _), (other, _) = issue(None, NOON), issue(None, NOON)
    assert one.secret != other.secret
    assert re.fullmatch("[A-Z2-7]{32}", one.secret)
    assert issue(one, NOON + MINUTE)[0].secret == one.secret


def test_issued_challenge_starts_clean() -> None:
    """A new code is unused, untried and lasts ten minutes."""
    challenge, code = issue(None, NOON)
    assert is_access_code(code)
    assert challenge == Challenge(
        challenge.secret, NOON, NOON + 10 * MINUTE, issued=1, wrong_tries=0, wrong_today=0
    )
    assert challenge.used_at is None


def test_second_issue_replaces_the_first() -> None:
    """Only the latest code works, and a second sign-in on one day gets another code."""
    first, old = issue(None, NOON)
    second, new = issue(replace(first, secret=RFC_SECRET), NOON)
    old = access_codes._code(replace(first, secret=RFC_SECRET))
    assert old != new
    assert verify(second, old, NOON)[1] is Verdict.WRONG
    assert verify(second, new, NOON)[1] is Verdict.ACCEPTED


def test_issue_after_use_gives_a_usable_code() -> None:
    """A used code does not spoil the next sign-in."""
    challenge, code = issue(None, NOON)
    used, _ = verify(challenge, code, NOON)
    following, fresh = issue(used, NOON + MINUTE)
    assert following.used_at is None
    assert verify(following, fresh, NOON + MINUTE)[1] is Verdict.ACCEPTED


def test_at_most_999_codes_a_day() -> None:
    """The thousandth code of a day is refused, so that counters of two days never meet."""
    challenge = Challenge(RFC_SECRET, NOON, NOON + MINUTE, issued=MAX_ISSUES_A_DAY - 1)
    last, _ = issue(challenge, NOON)
    assert last.issued == MAX_ISSUES_A_DAY == 999
    with pytest.raises(AccessCodeError, match=r"999 codes today.*tomorrow"):
        issue(last, NOON)
    tomorrow, _ = issue(last, NOON + timedelta(days=1))
    assert tomorrow.issued == 1
    assert tomorrow.counter > last.counter


def test_issue_refuses_a_clock_that_went_back() -> None:
    """A clock set back must not bring an old counter, and so an old code, back."""
    challenge, _ = issue(None, NOON)
    with pytest.raises(AccessCodeError, match="clock"):
        issue(challenge, NOON - TICK)
    assert issue(challenge, NOON)[0].issued == 2


def test_day_turns_at_london_midnight_for_counts() -> None:
    """Issues and wrong tries of yesterday are not held against today."""
    before = Challenge(
        RFC_SECRET, london(2026, 6, 1, 23, 59), NOON, issued=5, wrong_tries=2, wrong_today=4
    )
    same, _ = issue(before, london(2026, 6, 1, 23, 59, 59, 999_999))
    assert (same.issued, same.wrong_tries, same.wrong_today) == (6, 0, 4)
    following, _ = issue(before, london(2026, 6, 2))
    assert (following.issued, following.wrong_tries, following.wrong_today) == (1, 0, 0)


# Verifying


def test_right_code_is_accepted_once() -> None:
    """The second use of one code is refused, whatever is typed."""
    challenge, code = issue(None, NOON)
    used, verdict = verify(challenge, code, NOON + MINUTE)
    assert verdict is Verdict.ACCEPTED
    assert used == replace(challenge, used_at=NOON + MINUTE)
    for attempt in (code, wrong_for(code), "nonsense"):
        assert verify(used, attempt, NOON + MINUTE) == (used, Verdict.USED)


def test_code_works_only_within_its_minutes() -> None:
    """The lifetime is half-open, and a clock set back does not extend it."""
    challenge, code = issue(None, NOON, CodeLimits(lifetime=5 * MINUTE))
    assert challenge.expires_at == NOON + 5 * MINUTE
    assert verify(challenge, code, NOON)[1] is Verdict.ACCEPTED
    assert verify(challenge, code, NOON + 5 * MINUTE - TICK)[1] is Verdict.ACCEPTED
    for at in (NOON - TICK, NOON + 5 * MINUTE, NOON + 6 * MINUTE):
        assert verify(challenge, code, at) == (challenge, Verdict.EXPIRED)


def test_code_of_before_midnight_works_after_it() -> None:
    """A code sent at 23:59 is still good at 00:01: its own minutes decide."""
    challenge, code = issue(None, london(2026, 6, 1, 23, 59))
    assert verify(challenge, code, london(2026, 6, 2, 0, 1))[1] is Verdict.ACCEPTED


def test_wrong_tries_lock_the_code() -> None:
    """After five wrong tries the right code is refused too, and tries are no longer counted."""
    challenge, code = issue(None, NOON)
    for count in range(1, 6):
        challenge, verdict = verify(challenge, wrong_for(code), NOON)
        assert verdict is Verdict.WRONG
        assert (challenge.wrong_tries, challenge.wrong_today) == (count, count)
        assert challenge.used_at is None
    assert verify(challenge, code, NOON) == (challenge, Verdict.LOCKED)
    assert verify(challenge, wrong_for(code), NOON) == (challenge, Verdict.LOCKED)
    assert issue(challenge, NOON)[0].wrong_tries == 0


def test_last_allowed_try_can_succeed() -> None:
    """Four wrong tries leave the fifth."""
    challenge, code = issue(None, NOON)
    for _ in range(4):
        challenge, _ = verify(challenge, wrong_for(code), NOON)
    assert verify(challenge, code, NOON)[1] is Verdict.ACCEPTED


def test_new_codes_do_not_buy_tries_without_end() -> None:
    """After fifteen wrong tries on one London day no code is issued until the next."""
    challenge: Challenge | None = None
    wrong = 0
    for _ in range(3):
        challenge, code = issue(challenge, NOON)
        for _ in range(5):
            challenge, verdict = verify(challenge, wrong_for(code), NOON)
            wrong += verdict is Verdict.WRONG
    assert challenge is not None
    assert wrong == challenge.wrong_today == 15
    with pytest.raises(AccessCodeError, match=r"locked after 15 wrong tries today.*tomorrow"):
        issue(challenge, london(2026, 6, 2, 23, 59))
    fresh, code = issue(challenge, london(2026, 6, 3))
    assert verify(fresh, code, london(2026, 6, 3))[1] is Verdict.ACCEPTED


def test_day_lock_holds_within_one_code() -> None:
    """The cap of the day locks the latest code even when that code has tries left."""
    limits = CodeLimits(tries=5, tries_a_day=6)
    challenge, code = issue(None, NOON, limits)
    for _ in range(5):
        challenge, _ = verify(challenge, wrong_for(code), NOON, limits)
    challenge, code = issue(challenge, NOON, limits)
    challenge, verdict = verify(challenge, wrong_for(code), NOON, limits)
    assert (verdict, challenge.wrong_tries) == (Verdict.WRONG, 1)
    assert verify(challenge, code, NOON, limits) == (challenge, Verdict.LOCKED)


def test_limits_that_were_lowered_hold_at_once() -> None:
    """Counts above a limit that was higher before lock just the same."""
    earlier = Challenge(RFC_SECRET, NOON, NOON + MINUTE, 1200, wrong_tries=7, wrong_today=9)
    code = pyotp.HOTP(RFC_SECRET).at(earlier.counter)
    by_code, by_day = CodeLimits(tries=5, tries_a_day=50), CodeLimits(tries=50, tries_a_day=5)
    for limits in (by_code, by_day):
        assert verify(earlier, code, NOON, limits) == (earlier, Verdict.LOCKED)
    with pytest.raises(AccessCodeError, match="locked"):
        issue(earlier, NOON, by_day)
    with pytest.raises(AccessCodeError, match="1200 codes today"):
        issue(earlier, NOON, by_code)
    assert verify(Challenge(RFC_SECRET, NOON, NOON + MINUTE, 1200), code, NOON)[1] is (
        Verdict.ACCEPTED
    )
    assert Challenge(RFC_SECRET, NOON, NOON, 1) == Challenge(RFC_SECRET, NOON, NOON, 1, 0, 0, None)


def test_malformed_tries_are_not_counted() -> None:
    """A slip that cannot be right costs nothing."""
    challenge, code = issue(None, NOON)
    for _ in range(20):
        challenge, verdict = verify(challenge, code + " ", NOON)
        assert verdict is Verdict.MALFORMED
    assert verify(challenge, code, NOON)[1] is Verdict.ACCEPTED


def test_codes_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison goes through hmac.compare_digest, right or wrong."""
    compared: list[tuple[object, object]] = []
    real = hmac.compare_digest

    def spy(a: str, b: str) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    challenge, code = issue(None, NOON)
    verify(challenge, wrong_for(code), NOON)
    verify(challenge, code, NOON)
    assert compared == [(wrong_for(code), code), (code, code)]


def test_any_zone_gives_the_same_verdict() -> None:
    """Only the instant matters, not the zone that it is given in."""
    zone = timezone(timedelta(hours=-11))
    challenge, code = issue(None, NOON)
    assert issue(replace(challenge, issued=0), NOON.astimezone(zone)) == (challenge, code)
    assert verify(challenge, code, NOON.astimezone(zone)) == verify(challenge, code, NOON)


def test_naive_times_are_refused_by_the_portal_side() -> None:
    """Neither issuing nor verifying guesses an offset."""
    with pytest.raises(ClockError, match="offset"):
        issue(None, NAIVE)
    challenge, code = issue(None, NOON)
    with pytest.raises(ClockError, match="offset"):
        verify(challenge, code, NAIVE)


# Limits, privacy, sending


def test_impossible_limits_are_all_named() -> None:
    """Every limit under which no code could be used is reported at once."""
    with pytest.raises(InvalidInputError) as caught:
        CodeLimits(lifetime=timedelta(), tries=0, tries_a_day=0)
    assert [error.pointer for error in caught.value.errors] == [
        "/lifetime",
        "/tries",
        "/tries_a_day",
    ]
    assert all("give" in e.problem or "allow" in e.problem for e in caught.value.errors)
    with pytest.raises(InvalidInputError, match="lifetime"):
        CodeLimits(lifetime=-MINUTE)
    assert CodeLimits(lifetime=TICK, tries=1, tries_a_day=1).tries == 1


def test_default_limits_are_the_documented_ones() -> None:
    """Ten minutes, five tries a code, fifteen a day."""
    assert CodeLimits() == CodeLimits(timedelta(minutes=10), 5, 15)


def test_challenge_hides_its_secret_and_cannot_be_changed() -> None:
    """Neither the code nor the secret that it follows from shows in a repr."""
    challenge, code = issue(None, NOON)
    assert challenge.secret not in repr(challenge)
    assert code not in repr(challenge)
    with pytest.raises(FrozenInstanceError):
        challenge.used_at = None  # type: ignore[misc]  # the point of the test


def test_console_sender_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """The development sender leaves standard output alone and cannot steer the terminal."""
    sender: Sender = ConsoleSender()
    sender.send("07700 900123\x1b[2J", "Your code is 123456")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "SMS to '07700 900123\\x1b[2J': Your code is 123456\n"
