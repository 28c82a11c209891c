"""Appointments as the rest of this site uses them: what the diary and the housing system are told.

The diary decides when somebody comes; the housing management system is told, and shows it with
the job. Where the two differ, because something stopped half-way or the contractor moved a visit,
`settle` tells it again. What a diary refuses is looked up in the diary, never read from a message.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, time, timedelta
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from demo_portal import clock
from demo_portal.clock import LONDON
from demo_portal.records import RecordsUnavailableError

from .diagnosis import diagnosis
from .diary import Order, Status, repairs_diary
from .diary_calendar import HORIZON
from .housing import Priority, Stage, housing_management
from .housing import Status as JobStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from ..profile.customers import Tenancy
    from .diary import Answer, Booking, Day, RepairsDiary
    from .housing import Appointment, Job

Value = TypeVar("Value")

CHANGES_UNTIL = time(17)
"""Until when on the day before somebody comes it can still be changed here."""

TELEPHONE = "01632 960 900"
"""Where appointments are made and changed by telephone."""

TOLD = 5
"""How often the housing system is told again while the diary keeps changing."""

_log = logging.getLogger(__name__)


class Outcome(Enum):
    """How booking went: done, the slot had gone, or the job is planned otherwise by now."""

    BOOKED = "booked"
    GONE = "gone"
    OTHERWISE = "otherwise"


def is_in_diary(job: Job) -> bool:
    """Whether the diary has the visits for a job: others are the housing system's alone."""
    repair = diagnosis().repair(job.sor_code)
    return repair is not None and repair.bookable and not job.is_communal


def can_book(job: Job) -> bool:
    """Whether somebody can be asked here to come for a job, or come again."""
    return (
        is_in_diary(job)
        and job.is_open
        and job.status is not JobStatus.ON_HOLD
        and job.priority is not Priority.IMMEDIATE
    )


def changes_until(window: Appointment) -> datetime:
    """Return until when an appointment can be changed or cancelled here, by London's clocks."""
    day = window.starts_at.astimezone(LONDON).date() - timedelta(days=1)
    return datetime.combine(day, CHANGES_UNTIL, tzinfo=LONDON)


def may_change(window: Appointment) -> bool:
    """Whether it still can."""
    return clock.now() < changes_until(window)


def is_ahead(window: Appointment) -> bool:
    """Whether somebody is still to come, or is there."""
    return window.ends_at > clock.now()


def free_days(job: Job, tenancy: Tenancy) -> list[Day]:
    """Return the days with slots that are free, as far as the diary goes.

    What has begun is left out: of the present day a diary may give more.
    """
    order, now, today = _order(job, tenancy), clock.now(), clock.today()
    found = _ask(
        lambda diary, session: diary.check_availability(session, order, today, today + HORIZON)
    )
    left = [
        (day, tuple(slot for slot in day.slots if slot.window.starts_at > now))
        for day in found.value or []
    ]
    return [replace(day, slots=slots) for day, slots in left if slots]


def appointment_of(job: str) -> Appointment | None:
    """Return when the diary has somebody come, or come last, for the job of that number."""
    booking = _bookings([job]).get(job)
    return booking.window if booking else None


def upcoming(tenancies: Collection[str]) -> list[tuple[Job, Appointment]]:
    """Return the visits ahead to these tenancies, the next one first."""
    jobs = {
        job.number: job
        for stage in (Stage.UPCOMING, Stage.NEW)
        for job in housing_management().jobs(stage, tenancies=tenancies).rows
    }
    found = [
        (jobs[number], booking.window)
        for number, booking in (_bookings(jobs) if jobs else {}).items()
        if booking.window and is_ahead(booking.window)
    ]
    return sorted(found, key=lambda visit: visit[1].starts_at)


def book(job: Job, tenancy: Tenancy, before: Appointment | None, window: Appointment) -> Outcome:
    """Have somebody come in ``window``; ``before`` is when the diary had somebody come.

    It is kept unless the new one is had. The same again is the same once.
    """
    outcome = _book(job, tenancy, before, window)
    settled = settle(job)
    return Outcome.OTHERWISE if outcome is Outcome.BOOKED and settled != window else outcome


def cancel(job: Job, before: Appointment, reason: str) -> Outcome:
    """Have nobody come after all, if ``before`` is still when somebody would."""
    now = appointment_of(job.number)
    if now is not None and now != before:
        return Outcome.OTHERWISE
    release(job.number, reason)
    settle(job)
    return Outcome.BOOKED


def release(job: str, reason: str = "") -> None:
    """Take a job out of the diary, if it is there: for jobs that are about to be cancelled.

    Call it before the housing system is told.
    """
    _ask(lambda diary, session: diary.delete_order(session, job, reason))


def settle(job: Job) -> Appointment | None:
    """Return when somebody comes, or came last: the diary says it, and the housing system is told.

    The housing system keeps a visit that is over and that the diary does not know, and has those
    of other jobs to itself. To a job that was ended meanwhile nobody comes.
    """
    if not is_in_diary(job):
        return job.appointment
    window = appointment_of(job.number)
    told = job.appointment
    for _time in range(TOLD):
        if window == told or (window is None and told and not is_ahead(told)):
            break
        if job.is_open and not housing_management().record_appointment(job.number, window):
            release(job.number)
        told, window = window, appointment_of(job.number)
    return window


def _book(job: Job, tenancy: Tenancy, before: Appointment | None, window: Appointment) -> Outcome:
    booking = _bookings([job.number]).get(job.number)
    if booking is None and before is None:
        booking = _create(job, tenancy)
        if booking is None:
            return Outcome.GONE
    now = booking.window if booking else None
    if now == window:
        return Outcome.BOOKED
    if booking is None or now != before:
        return Outcome.OTHERWISE
    done = _ask(lambda diary, session: diary.schedule_booking(session, booking, window))
    if done.status is Status.SUCCESS:
        return Outcome.BOOKED
    now = appointment_of(job.number)
    if now == window:
        return Outcome.BOOKED
    return Outcome.GONE if now == before else Outcome.OTHERWISE


def _create(job: Job, tenancy: Tenancy) -> Booking | None:
    order = _order(job, tenancy)
    return _ask(lambda diary, session: diary.create_order(session, order)).value


def _order(job: Job, tenancy: Tenancy) -> Order:
    return Order(job.number, job.sor_code, job.priority, tenancy.reference, tenancy.locality)


def _bookings(jobs: Collection[str]) -> dict[str, Booking]:
    found = _ask(lambda diary, session: diary.select_orders(session, list(jobs)))
    return {booking.job: booking for booking in found.value or []}


def _ask(call: Callable[[RepairsDiary, str], Answer[Value]]) -> Answer[Value]:
    """Ask the diary in a session of its own.

    Raises:
        RecordsUnavailableError: the diary failed or took too long.
    """
    diary = repairs_diary()
    opened = diary.open_session()
    if opened.status is Status.SUCCESS and opened.value is not None:
        answer = call(diary, opened.value)
        if answer.status is not Status.ERROR:
            return answer
    # A diary's message may say whom it was asked about.
    _log.error("the diary failed")
    raise RecordsUnavailableError
