"""The contractor's diary as this site sees it: shaped like a Dynamic Resource Scheduler (DRS).

Every call is one of a DRS's; what stands behind `RepairsDiary` for one of them has this to do:

- `RepairsDiary.open_session` is ``openSession``: login and password for a ``sessionId``, which
  the other calls carry;
- `RepairsDiary.check_availability` is ``checkAvailability`` with ``periodBegin``, ``periodEnd``
  and an order of one booking code, the SOR code; of ``theSlots`` those of each ``slotsForDay``
  that are ``available``, with their ``bestSlot``;
- `RepairsDiary.create_order` is ``createOrder``, the job's number being ``primaryOrderNumber``
  and the tenancy ``locationID``; where there is such an order already, its ``bookingId`` is read
  by ``selectOrder``;
- `RepairsDiary.schedule_booking` is ``scheduleBooking`` with ``planningWindowStart`` and
  ``planningWindowEnd``, after a look by ``selectOrder`` at what is planned;
- `RepairsDiary.select_orders` is ``selectOrder``;
- `RepairsDiary.delete_order` is ``deleteOrder``.

Its times are London's without saying so: instants here are to be written on London's clocks. Its
``status`` and ``errorMsg`` are `Answer.status` and `Answer.message`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from django.conf import settings
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    from .housing import Appointment, Priority

Value = TypeVar("Value")


class Status(StrEnum):
    """How a call went: done, refused, or not even considered."""

    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value]):
    """What a diary answers. ``value`` is there on success; ``message`` is for logs, in English."""

    status: Status
    message: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody is to come for. ``location`` is a tenancy's reference, ``locality`` a place."""

    job: str
    sor_code: str
    priority: Priority
    location: str
    locality: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A window that can be had. ``best`` ones suit the contractor."""

    window: Appointment
    best: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day's slots, in order; there is at least one."""

    day: date
    slots: tuple[Slot, ...]


@dataclass(frozen=True, slots=True)
class Booking:
    """What the diary holds for a job; ``window`` is None while nothing is planned."""

    booking: str
    job: str
    window: Appointment | None


class RepairsDiary(Protocol):
    """What a contractor's diary answers.

    However many ask at once, a slot is given to one of them, and a job has one slot at most. Each
    call may be sent again when its answer was lost: what is done already is a success. An answer
    that is not whole in a limited time, however its bytes come, is an error.
    """

    def open_session(self) -> Answer[str]:
        """Begin; the other calls want the session that this gives."""

    def check_availability(
        self, session: str, order: Order, since: date, until: date
    ) -> Answer[list[Day]]:
        """Return the days from ``since`` to ``until`` with the slots that the order may have."""

    def create_order(self, session: str, order: Order) -> Answer[Booking]:
        """Return the booking of a new order, which holds no slot yet, or of the one there is."""

    def schedule_booking(self, session: str, booking: Booking, window: Appointment) -> Answer[None]:
        """Plan a booking, or move it, if what it holds is still what ``booking`` says.

        It keeps that if the slot has gone.
        """

    def select_orders(self, session: str, jobs: Collection[str]) -> Answer[list[Booking]]:
        """Return what there is for these jobs."""

    def delete_order(self, session: str, job: str, reason: str) -> Answer[None]:
        """Take a job out of the diary; its slot is free again. A failure if it is not there."""


def repairs_diary() -> RepairsDiary:
    """Return the diary that the settings name, which by default is this portal's own."""
    found: RepairsDiary = import_string(settings.PORTAL_DIARY)()
    return found
