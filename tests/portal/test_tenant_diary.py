"""The contractor's diary: its days and slots, and that none is given twice, whatever happens."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from booking_world import (
    CrashError,
    Crashing,
    again,
    diary,
    home_of,
    report,
    windows,
)
from demo_portal.clock import LONDON, portal_clock
from django.core import signing
from django.db import connection, transaction
from django.db.utils import IntegrityError, OperationalError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from portal_world import TUESDAY
from tenant_services.repairs import diary_client as client
from tenant_services.repairs import diary_sql
from tenant_services.repairs.diary import Answer, Booking, Order, Status
from tenant_services.repairs.diary_calendar import (
    HORIZON,
    Period,
    after_working_days,
    due_on,
    is_working_day,
    open_slots,
    place_of,
    window_of,
)
from tenant_services.repairs.diary_models import DiaryCancellation, DiaryOrder
from tenant_services.repairs.diary_sql import PortalDiary
from tenant_services.repairs.housing import Appointment, Priority
from tenant_world import HOME, TARANS
from test_security import run

from conftest import PORTAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal_world import PortalWorld, Template

    from automation_rules import FrozenClock

WORKER = Path(__file__).with_name("diary_worker.py")
EASTER_CLOCKS = date(2027, 3, 28)
"""Easter Sunday, on which the clocks go forward."""
AUTUMN_CLOCKS = date(2027, 10, 31)


def at(text: str) -> datetime:
    """Return an instant of London's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


# --- days and slots -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2027-03-25", True),
        ("2027-03-26", False),  # Good Friday
        ("2027-03-27", False),  # Saturday
        ("2027-03-28", False),  # Easter Sunday
        ("2027-03-29", False),  # Easter Monday
        ("2027-03-30", True),
        ("2027-05-03", False),
        ("2027-05-31", False),
        ("2027-08-30", False),
        ("2027-12-24", True),
        ("2027-12-27", False),  # Christmas Day fell on a Saturday,
        ("2027-12-28", False),  # Boxing Day on a Sunday.
        ("2027-12-29", True),
        ("2028-01-03", False),
    ],
)
def test_nobody_works_on_weekends_and_bank_holidays(day: str, *, works: bool) -> None:
    """Easter moves, and what falls on a weekend is had on another day."""
    assert is_working_day(date.fromisoformat(day)) is works


def test_targets_count_working_days() -> None:
    """Over Easter five working days are nearly two weeks; what counts in hours has no day."""
    thursday = date(2027, 3, 25)
    assert due_on(Priority.URGENT, thursday) == date(2027, 4, 5)
    assert due_on(Priority.NORMAL, thursday) == date(2027, 4, 26)
    assert due_on(Priority.EMERGENCY, thursday) is None
    assert after_working_days(thursday, 1) == date(2027, 3, 30)


@pytest.mark.parametrize(
    ("day", "offset"),
    [
        (EASTER_CLOCKS - timedelta(days=1), 0),
        (EASTER_CLOCKS, 1),
        (AUTUMN_CLOCKS - timedelta(days=1), 1),
        (AUTUMN_CLOCKS, 0),
    ],
)
def test_slots_are_on_londons_clocks(day: date, offset: int) -> None:
    """Eight is eight before and after the clocks change, and on that day."""
    window = window_of(day, Period.MORNING)
    assert window.starts_at.isoformat() == f"{day}T08:00:00+0{offset}:00"
    assert window.starts_at.utcoffset() == timedelta(hours=offset)
    assert window.ends_at.hour == 12


@pytest.mark.parametrize("day", [EASTER_CLOCKS, AUTUMN_CLOCKS])
def test_emergencies_are_gone_to_on_the_day_the_clocks_change(day: date) -> None:
    """Within a day means within 24 hours that pass, whatever the clocks say, on Easter too."""
    evening = datetime.combine(day - timedelta(days=1), datetime.min.time(), tzinfo=LONDON)
    now = evening.replace(hour=12)
    slots = list(open_slots(Priority.EMERGENCY, now, now.date(), now.date() + HORIZON))
    for slot in slots:
        passes = window_of(*slot).starts_at.timestamp() - now.timestamp()
        assert 3600 <= passes <= 24 * 3600
    # At midday the clocks have an hour less or more to go until the next midday.
    assert ((day, Period.AFTERNOON) in slots) is (day == EASTER_CLOCKS)
    assert (day, Period.MORNING) in slots


def test_what_is_not_urgent_waits_for_a_working_day() -> None:
    """On the Thursday before Easter the next day is Tuesday; before ten there is no Thursday."""
    now = at("2027-03-25T07:00")
    first = next(open_slots(Priority.NORMAL, now, now.date(), now.date() + HORIZON))
    assert first == (date(2027, 3, 30), Period.MORNING)


days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
instants = st.datetimes(datetime(2026, 1, 1), datetime(2028, 12, 31)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=LONDON)
)


@given(now=instants, priority=st.sampled_from(Priority), ahead=st.integers(-10, 80))
def test_open_slots_are_ordered_slots_with_notice(
    now: datetime, priority: Priority, ahead: int
) -> None:
    """Each is a slot once, not in the past, not beyond the horizon, in order of the days."""
    until = now.date() + timedelta(days=ahead)
    slots = list(open_slots(priority, now, now.date() - timedelta(days=5), until))
    assert len(slots) == len(set(slots))
    assert [day for day, _period in slots] == sorted(day for day, _period in slots)
    for day, period in slots:
        window = window_of(day, period)
        assert place_of(window) == (day, period)
        assert now < window.starts_at < window.ends_at
        assert day <= min(until, now.date() + HORIZON)
        assert priority is not Priority.IMMEDIATE
        if priority is not Priority.EMERGENCY:
            assert is_working_day(day)


@given(start=instants, minutes=st.integers(1, 2000))
def test_other_windows_are_no_slots(start: datetime, minutes: int) -> None:
    """Only the diary's own hours are found again."""
    window = Appointment(start, start + timedelta(minutes=minutes))
    place = place_of(window)
    assert place is None or window_of(*place) == window


# --- one diary, many jobs -----------------------------------------------------------------------

CREWS = {"plumbing": 2}
PLACES = ["Exampleton", "Trefesiampl"]
JOBS = {
    f"R-{number}": Order(f"R-{number}", "PL", priority, f"T-{number}", PLACES[number % len(PLACES)])
    for number, priority in enumerate(
        [Priority.NORMAL, Priority.EMERGENCY, Priority.URGENT, Priority.INSPECTION, Priority.NORMAL]
    )
}


def small_diary() -> PortalDiary:
    """Return a diary of one trade with two crews."""
    return PortalDiary(CREWS, {"PL": "plumbing"}.get)


class DiaryMachine(RuleBasedStateMachine):
    """What tenants and time do to a diary, beside what it should hold."""

    clock: FrozenClock

    def __init__(self) -> None:
        """Begin with an empty diary on the Tuesday."""
        super().__init__()
        DiaryOrder.objects.all().delete()
        DiaryCancellation.objects.all().delete()
        self.clock = portal_clock()  # type: ignore[assignment]
        self.clock.move_to(TUESDAY)
        self.diary = small_diary()
        self.held: dict[str, Appointment | None] = {}
        self.ids: dict[str, str] = {}
        self.shown: list[tuple[str, Appointment]] = []

    def ask(self, call: str, *asked: Any) -> Answer[Any]:
        """Ask the diary; its answer names how it went."""
        session = self.diary.open_session().value
        answer = getattr(self.diary, call)(session, *asked)
        assert isinstance(answer, Answer)
        assert answer.status in (Status.SUCCESS, Status.FAILURE)
        assert bool(answer.message) is (answer.status is Status.FAILURE)
        return answer

    def plan(self, job: str, before: Appointment | None, window: Appointment) -> Answer[Any]:
        """Ask for a window for a job that is at ``before``."""
        return self.ask("schedule_booking", Booking(self.ids[job], job, before), window)

    def free(self, job: str) -> list[Appointment]:
        """Return the windows that are shown for a job, the days being in order and not empty."""
        today = self.clock.now().astimezone(LONDON).date()
        answer = self.ask("check_availability", JOBS[job], today, today + timedelta(days=4))
        assert answer.status is Status.SUCCESS
        assert [day.day for day in answer.value] == sorted({day.day for day in answer.value})
        slots = [slot for day in answer.value for slot in day.slots]
        assert all(day.slots for day in answer.value)
        assert not slots or slots[0].best
        for slot in slots[1:]:
            assert not slot.best or self.has_neighbour(JOBS[job], slot.window)
        return [slot.window for slot in slots]

    def has_neighbour(self, order: Order, window: Appointment) -> bool:
        """Whether another visit in the same place overlaps the window."""
        return any(
            other is not None
            and JOBS[job].locality == order.locality
            and job != order.job
            and place_of(other)[0] == place_of(window)[0]  # type: ignore[index]
            and other.starts_at < window.ends_at
            and window.starts_at < other.ends_at
            for job, other in self.held.items()
        )

    @rule(job=st.sampled_from(sorted(JOBS)))
    def check(self, job: str) -> None:
        """See what is free, and remember it: it may be asked for much later."""
        self.shown = [*self.shown[-20:], *((job, window) for window in self.free(job))]

    @rule(job=st.sampled_from(sorted(JOBS)))
    def create(self, job: str) -> None:
        """Create an order: again gives the same. A crash may follow, and leaves it so."""
        answer = self.ask("create_order", JOBS[job])
        assert answer.status is Status.SUCCESS
        made = answer.value
        assert self.ids.setdefault(job, made.booking) == made.booking
        assert self.held.setdefault(job, None) == made.window

    @rule(job=st.sampled_from(sorted(JOBS)), chance=st.integers(0, 99), data=st.data())
    def take(self, job: str, chance: int, data: st.DataObject) -> None:
        """Take a slot that is shown: it is had, planned anew or moved. Again is the same once."""
        free = [window for window in self.free(job) if window != self.held.get(job)]
        if not free:
            return
        self.create(job)
        window = free[chance % len(free)]
        before = self.held[job]
        for _time in range(data.draw(st.integers(1, 2))):
            answer = self.plan(job, before, window)
            assert answer.status is Status.SUCCESS, answer.message
        self.held[job] = window

    @rule(chance=st.integers(0, 99), job=st.sampled_from(sorted(JOBS)))
    def take_late(self, chance: int, job: str) -> None:
        """Ask for what was once shown to somebody: it is had, or all stays as it was."""
        if not self.shown or job not in self.ids:
            return
        _other, window = self.shown[chance % len(self.shown)]
        answer = self.plan(job, self.held[job], window)
        if answer.status is Status.SUCCESS:
            self.held[job] = window

    @rule(job=st.sampled_from(sorted(JOBS)), chance=st.integers(0, 99))
    def take_wrongly(self, job: str, chance: int) -> None:
        """A job that has a slot gets no second one, nor one by a stale page."""
        held = self.held.get(job)
        free = [window for window in self.free(job) if window != held]
        if held is None or not free:
            return
        window = free[chance % len(free)]
        stale = window_of(date(2027, 1, 4), Period.MORNING)
        assert self.plan(job, None, window).status is Status.FAILURE
        assert self.plan(job, stale, window).status is Status.FAILURE

    @rule(job=st.sampled_from(sorted(JOBS)))
    def cancel(self, job: str) -> None:
        """Delete an order: its slot is free again, and its booking is no more."""
        answer = self.ask("delete_order", job, "A reason")
        assert (answer.status is Status.SUCCESS) is (job in self.held)
        held, booking = self.held.pop(job, None), self.ids.pop(job, None)
        if booking is None:
            return
        if held is not None:
            today = self.clock.now().astimezone(LONDON).date()
            day, period = place_of(held)  # type: ignore[misc]
            soon = (day, period) in open_slots(JOBS[job].priority, self.clock.now(), today, day)
            assert not soon or day > today + timedelta(days=4) or held in self.free(job)
        window = window_of(date(2027, 6, 8), Period.MORNING)
        gone = Booking(booking, job, held)
        assert self.ask("schedule_booking", gone, window).status is Status.FAILURE

    @rule(hours=st.sampled_from([1, 3, 24, 100]))
    def wait(self, hours: int) -> None:
        """Let time pass."""
        self.clock.move_to(self.clock.now() + timedelta(hours=hours))

    @rule(session=st.sampled_from(["", "open", "x:y:z"]), job=st.sampled_from(sorted(JOBS)))
    def without_session(self, session: str, job: str) -> None:
        """Nothing is done without a session; the answer says so."""
        answer = self.diary.delete_order(session, job, "")
        assert (answer.status, bool(answer.message)) == (Status.ERROR, True)

    @invariant()
    def holds_what_was_agreed(self) -> None:
        """Each job has the slot that it was told, and none has two."""
        answer = self.ask("select_orders", list(JOBS))
        assert {booking.job: booking.window for booking in answer.value} == self.held
        assert {booking.job: booking.booking for booking in answer.value} == self.ids

    @invariant()
    def never_over_capacity(self) -> None:
        """In every half of a day no more jobs are planned than there are crews."""
        halves = Counter(
            (day, half)
            for window in self.held.values()
            if window is not None
            for day, period in [place_of(window)]  # type: ignore[list-item]
            for half in diary_sql._halves(period)
        )
        for (day, _half), count in halves.items():
            assert count <= (CREWS["plumbing"] if is_working_day(day) else 1)


def run_machine(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Run a machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_nothing_is_given_twice(portal: PortalWorld) -> None:
    """Whatever five jobs, time and crashes do, slots and jobs stay one to one (quick form)."""
    run_machine(DiaryMachine, 12, 20)


@pytest.mark.exhaustive
def test_nothing_is_given_twice_at_length(portal: PortalWorld) -> None:
    """The same, many times over."""
    run_machine(DiaryMachine, 300, 50)


class VisitsMachine(RuleBasedStateMachine):
    """Two tenants book, move and cancel by way of the site, whose process may end at any call."""

    def __init__(self) -> None:
        """Begin with no visit; Tessa and Taran have two jobs each of one trade."""
        super().__init__()
        DiaryOrder.objects.all().delete()
        portal_clock().move_to(TUESDAY)  # type: ignore[attr-defined]

    @initialize()
    def begin(self) -> None:
        """Report what is broken."""
        self.jobs = [report("DEMO-DR-101", tenancy) for tenancy in (HOME, TARANS) * 2]

    @rule(
        who=st.integers(0, 3),
        slot=st.integers(0, 9),
        at=st.integers(1, 6),
        after=st.booleans(),
        cancels=st.integers(0, 3),
    )
    def do(self, who: int, slot: int, at: int, after: bool, cancels: int) -> None:
        """Book, move or cancel. The process may end half-way; nothing is stuck afterwards."""
        job = self.jobs[who]
        before = client.appointment_of(job.number)
        free = windows(job, 2)
        window = free[slot % len(free)]
        crashing = Crashing(PortalDiary(), at, after=after)
        others = self.visits()
        others.pop(job.number, None)
        try:
            with diary(lambda: crashing):
                if before and cancels == 0:
                    client.cancel(again(job), before, "A reason")
                    expected = {None}
                else:
                    outcome = client.book(again(job), home_of(job), before, window)
                    assert outcome is client.Outcome.BOOKED
                    expected = {window}
        except CrashError:
            expected = {before, None if before and cancels == 0 else window}
        now = client.settle(again(job))
        assert now in expected
        found = self.visits()
        found.pop(job.number, None)
        assert found == others
        # What was interrupted can be done all the same.
        if now is None:
            first = windows(job)[0]
            assert client.book(again(job), home_of(job), None, first) is client.Outcome.BOOKED

    def visits(self) -> dict[str, Appointment | None]:
        """Return what the diary has for every job."""
        return {job.number: client.appointment_of(job.number) for job in self.jobs}

    @invariant()
    def both_systems_agree(self) -> None:
        """Every job shows the visit that the diary has, and no two have the same."""
        if not hasattr(self, "jobs"):
            return
        visits = self.visits()
        assert {job.number: again(job).appointment for job in self.jobs} == visits
        held = [window for window in visits.values() if window]
        for place, window in enumerate(held):
            for other in held[place + 1 :]:
                # The trade has a single crew.
                assert window.ends_at <= other.starts_at or other.ends_at <= window.starts_at


def test_crashes_leave_nothing_stuck(portal: PortalWorld) -> None:
    """Diary and housing system agree again, and the visit can be had (quick form)."""
    run_machine(VisitsMachine, 6, 10)


@pytest.mark.exhaustive
def test_crashes_leave_nothing_stuck_at_length(portal: PortalWorld) -> None:
    """The same, many times over."""
    run_machine(VisitsMachine, 100, 30)


# --- what the database does not let in ----------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"day": None},
        {"period": ""},
        {"period": "night"},
        {"morning_crew": None},
        {"morning_crew": 0},
        {"day": None, "period": "", "morning_crew": 1},
        {"period": "school"},
        {"period": "school", "morning_crew": None, "afternoon_crew": 1},
        {"afternoon_crew": 1},
        {"period": "school", "afternoon_crew": 2},
        {"period": "afternoon"},
    ],
)
def test_no_half_of_a_visit_is_kept(portal: PortalWorld, wrong: dict[str, Any]) -> None:
    """A visit has its day, its period and its crew, the same one all day, or nothing of them."""
    whole = {
        "job": "R-1",
        "trade": "plumbing",
        "priority": 4,
        "day": date(2027, 6, 8),
        "period": "morning",
        "morning_crew": 1,
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        DiaryOrder.objects.create(**whole | wrong)
    DiaryOrder.objects.create(**whole)
    with pytest.raises(IntegrityError), transaction.atomic():
        DiaryOrder.objects.create(**whole | {"job": "R-2"})
    with pytest.raises(IntegrityError), transaction.atomic():
        DiaryOrder.objects.create(**whole | {"morning_crew": 2})


def test_session_ends(portal: PortalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session is open for some minutes, and cannot be made up."""
    made = small_diary()
    session = made.open_session().value
    assert made.select_orders(session, []).status is Status.SUCCESS
    other = signing.dumps("open", salt="another")
    assert made.select_orders(other, []).status is Status.ERROR
    monkeypatch.setattr(diary_sql, "SESSION_LASTS", -1)
    assert made.select_orders(session, []).status is Status.ERROR


def test_failing_database_is_an_error(portal: PortalWorld) -> None:
    """A database that fails is said, without what was asked."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE tenant_services_diaryorder RENAME TO gone")
    made = small_diary()
    session = made.open_session().value
    answer = made.select_orders(session, ["R-1"])
    assert answer == Answer(Status.ERROR, f"the diary failed: {OperationalError.__name__}")


def test_unknown_codes_and_bookings_are_refused(portal: PortalWorld) -> None:
    """What the diary does not know is a failure with a message, and changes nothing."""
    made = small_diary()
    session = made.open_session().value
    order = Order("R-1", "XX", Priority.NORMAL, "T-1", "Exampleton")
    window = window_of(date(2027, 6, 8), Period.MORNING)
    assert made.check_availability(session, order, date(2027, 6, 1), date(2027, 6, 9)).message
    assert made.create_order(session, order).status is Status.FAILURE
    for booking in ("", "0", "x", "9999", "-1", "१"):
        gone = Booking(booking, "R-1", None)
        assert made.schedule_booking(session, gone, window).status is Status.FAILURE
    assert made.delete_order(session, "R-1", "").status is Status.FAILURE
    assert not DiaryOrder.objects.filter(job="R-1").exists()


def test_school_run_takes_one_crew_for_the_day(portal: PortalWorld) -> None:
    """It is free only while one and the same crew is free in both halves."""
    made = small_diary()
    session = made.open_session().value
    day = date(2027, 6, 8)
    orders = [Order(f"R-{n}", "PL", Priority.NORMAL, f"T-{n}", "") for n in range(5)]

    def plan(order: Order, period: Period) -> Status:
        booking = made.create_order(session, order).value
        return made.schedule_booking(session, booking, window_of(day, period)).status

    def free() -> set[Period]:
        [shown] = made.check_availability(session, orders[4], day, day).value or [None]
        return {place_of(slot.window)[1] for slot in shown.slots} if shown else set()

    assert plan(orders[0], Period.MORNING) is Status.SUCCESS
    assert free() == set(Period)
    assert plan(orders[1], Period.SCHOOL) is Status.SUCCESS
    assert free() == {Period.AFTERNOON}
    assert plan(orders[2], Period.SCHOOL) is Status.FAILURE
    assert plan(orders[3], Period.AFTERNOON) is Status.SUCCESS
    assert free() == set()
    # Its own job may move within what it holds.
    moved = made.check_availability(session, orders[1], day, day).value
    assert {place_of(slot.window)[1] for slot in moved[0].slots} == set(Period)


# --- races --------------------------------------------------------------------------------------


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Return what calls return that threads begin at the same time."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def work(place: int) -> None:
        try:
            barrier.wait(20)
            results[place] = calls[place]()
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_threads_take_the_last_slot_once(portal: PortalWorld) -> None:
    """Of eight who want the only crew's morning at the same time one gets it."""
    jobs = [report("DEMO-DR-101", tenancy) for tenancy in (HOME, TARANS) * 4]
    for window in windows(jobs[0])[:2]:
        outcomes = at_once(
            [
                lambda job=job, window=window: client.book(
                    again(job), home_of(job), client.appointment_of(job.number), window
                )
                for job in jobs
            ]
        )
        assert Counter(outcomes) == {client.Outcome.BOOKED: 1, client.Outcome.GONE: 7}
        assert [again(job).appointment == window for job in jobs].count(True) == 1


def test_threads_give_one_job_one_slot(portal: PortalWorld) -> None:
    """Of two times chosen for one job in two windows of a browser the first counts."""
    job = report()
    chosen = windows(job)[:6]
    outcomes = at_once(
        [
            lambda window=window: client.book(again(job), home_of(job), None, window)
            for window in chosen
        ]
    )
    assert Counter(outcomes) == {client.Outcome.BOOKED: 1, client.Outcome.OTHERWISE: 5}
    [winner] = [w for w, outcome in zip(chosen, outcomes, strict=True) if outcome.name == "BOOKED"]
    assert client.appointment_of(job.number) == again(job).appointment == winner
    assert DiaryOrder.objects.filter(job=job.number).count() == 1


def test_threads_that_move_and_cancel_leave_one_truth(portal: PortalWorld) -> None:
    """Whichever comes first, diary and housing system agree in the end."""
    job = report()
    before, first, second = windows(job)[:3]
    for _time in range(3):
        assert client.book(again(job), home_of(job), None, before) is client.Outcome.BOOKED
        at_once(
            [
                lambda: client.book(again(job), home_of(job), before, first),
                lambda: client.book(again(job), home_of(job), before, second),
                lambda: client.cancel(again(job), before, ""),
            ]
        )
        now = client.appointment_of(job.number)
        assert now in (None, first, second)
        assert client.settle(again(job)) == again(job).appointment == now
        client.release(job.number)
        client.settle(again(job))


class Overtaken(PortalDiary):
    """A diary that is asked something else between looking and writing."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        """Do ``meanwhile`` once."""
        super().__init__(CREWS, {"PL": "plumbing"}.get)
        self.meanwhile: Callable[[], Any] | None = meanwhile

    def _on(self, trade: str, day: date) -> range:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return super()._on(trade, day)


@pytest.mark.parametrize(
    ("other", "status"), [(Period.AFTERNOON, Status.FAILURE), (Period.MORNING, Status.SUCCESS)]
)
def test_plan_that_is_overtaken(portal: PortalWorld, other: Period, status: Status) -> None:
    """Whoever comes first plans the job; the other is refused, unless it wanted the same."""
    made = small_diary()
    session = made.open_session().value
    booking = made.create_order(session, JOBS["R-0"]).value
    day = date(2027, 6, 8)
    slow = Overtaken(lambda: made.schedule_booking(session, booking, window_of(day, other)))
    answer = slow.schedule_booking(session, booking, window_of(day, Period.MORNING))
    assert answer.status is status
    [now] = made.select_orders(session, ["R-0"]).value
    assert now.window == window_of(day, other)


def test_plan_that_is_overtaken_by_the_end(portal: PortalWorld) -> None:
    """A job that is taken out while it is planned is not in the diary again."""
    made = small_diary()
    session = made.open_session().value
    booking = made.create_order(session, JOBS["R-0"]).value
    slow = Overtaken(lambda: made.delete_order(session, "R-0", ""))
    window = window_of(date(2027, 6, 8), Period.MORNING)
    assert slow.schedule_booking(session, booking, window).status is Status.FAILURE
    assert made.select_orders(session, ["R-0"]).value == []


def test_crew_that_is_taken_meanwhile_leaves_another(portal: PortalWorld) -> None:
    """While one of two crews is left the slot is had, whoever else was quicker."""
    made = small_diary()
    session = made.open_session().value
    mine, other = (made.create_order(session, JOBS[job]).value for job in ("R-0", "R-2"))
    window = window_of(date(2027, 6, 8), Period.MORNING)
    slow = Overtaken(lambda: made.schedule_booking(session, other, window))
    assert slow.schedule_booking(session, mine, window).status is Status.SUCCESS
    crews = DiaryOrder.objects.filter(job__in=["R-0", "R-2"]).values_list("morning_crew", flat=True)
    assert sorted(crews) == [1, 2]


def test_housing_system_is_told_what_counts_last(portal: PortalWorld) -> None:
    """A visit that is moved just while the housing system is told is told again."""
    job = report()
    first, second = windows(job)[:2]
    own = PortalDiary()
    session = own.open_session().value
    order = Order(job.number, job.sor_code, job.priority, job.tenancy, "")
    booking = own.create_order(session, order).value
    own.schedule_booking(session, booking, first)
    moves = [Booking(booking.booking, job.number, first)]

    class Moved(PortalDiary):
        def select_orders(self, session: str, jobs: Any) -> Any:
            answer = super().select_orders(session, jobs)
            if moves:
                own.schedule_booking(session, moves.pop(), second)
            return answer

    with diary(Moved):
        assert client.settle(job) == second
    assert again(job).appointment == second


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, portal_template: Template, tmp_path: Path
) -> dict[str, Any]:
    """Return the settings of portals that share a database of either kind."""
    variables = {
        "DJANGO_SETTINGS_MODULE": "demo_portal.settings",
        "PORTAL_TIME": str(TUESDAY),
        "PYTHONPATH": str(PORTAL),
    }
    if request.param == "sqlite":
        shutil.copytree(portal_template.home, tmp_path / "home")
    else:
        variables["PORTAL_DATABASE"] = request.getfixturevalue("postgresql_url")
        migrated = run(tmp_path / "home", "manage.py", "migrate", "--verbosity", "0", **variables)
        subprocess.run(**migrated, check=True)
    return variables | {"home": tmp_path / "home"}


def test_processes_take_the_last_slot_once(shared: dict[str, Any]) -> None:
    """Of two portals with four threads each, for many slots: each slot is had exactly once."""
    command = run(shared.pop("home"), str(WORKER), **shared)
    workers = [
        subprocess.Popen(
            **command | {"args": [*command["args"], name]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("A", "B")
    ]
    try:
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        answers = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert all(status in ("success", "failure") for found in answers for _w, status in found)
    tried = Counter(window for found in answers for window, _status in found)
    won = Counter(window for found in answers for window, status in found if status == "success")
    assert set(tried.values()) == {8}
    assert won == dict.fromkeys(tried, 1)
