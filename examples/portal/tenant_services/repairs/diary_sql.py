"""The diary that this portal keeps itself, in its own database, where there is no DRS.

A slot is taken by one statement that the database's constraints let through once, so it is safe
under threads, processes and servers alike, and whoever stops half-way leaves nothing held: an
order that was not planned has no slot, and is used again when its job is booked.
"""

from __future__ import annotations

from collections import defaultdict
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from demo_portal import clock
from django.core import signing
from django.db import Error, IntegrityError, transaction

from .diagnosis import diagnosis
from .diary import Answer, Booking, Day, Slot, Status
from .diary_calendar import Period, is_working_day, open_slots, place_of, window_of
from .diary_models import DiaryCancellation, DiaryOrder
from .housing import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import date

    from .diary import Order
    from .housing import Appointment

Value = TypeVar("Value")

CREWS = {
    "plumbing": 3,
    "heating": 2,
    "electrical": 2,
    "joinery": 2,
    "roofing": 1,
    "drainage": 1,
    "general": 3,
}
"""How many crews each trade has on a working day; on other days one is on call."""

SESSION_LASTS = 600
_SALT = "tenant_services.diary"
_MORNING = frozenset({Period.MORNING, Period.SCHOOL})
_AFTERNOON = frozenset({Period.AFTERNOON, Period.SCHOOL})


class _RefusedError(Exception):
    """A call that fails; says why."""


def _answers(call: Callable[..., Value]) -> Callable[..., Answer[Value]]:
    """Make a call answer: what it returns, that it was refused, or that the database failed."""

    @wraps(call)
    def answer(self: PortalDiary, session: str, *asked: Any) -> Answer[Value]:
        try:
            signing.loads(session, salt=_SALT, max_age=SESSION_LASTS)
            return Answer(Status.SUCCESS, "", call(self, *asked))
        except signing.BadSignature:
            return Answer(Status.ERROR, "the session is not open")
        except _RefusedError as error:
            return Answer(Status.FAILURE, str(error))
        except Error as error:
            return Answer(Status.ERROR, f"the diary failed: {type(error).__name__}")

    return answer


class PortalDiary:
    """Keeps orders in the portal's database."""

    def __init__(
        self, crews: Mapping[str, int] = CREWS, trade_of: Callable[[str], str | None] | None = None
    ) -> None:
        """Have these crews; ``trade_of`` says which trade's a SOR code is."""
        self._crews = crews
        self._trade_of = trade_of or _trade_of

    def open_session(self) -> Answer[str]:
        """See `RepairsDiary`. There is nobody to sign in to."""
        return Answer(Status.SUCCESS, "", signing.dumps("open", salt=_SALT))

    @_answers
    def check_availability(self, order: Order, since: date, until: date) -> list[Day]:
        """See `RepairsDiary`. The soonest is best, and where another visit is close by."""
        trade = self._trade(order.sor_code)
        slots = list(open_slots(order.priority, clock.now(), since, until))
        if not slots:
            return []
        busy = _Busy(trade, order.job, slots[0][0], slots[-1][0])
        found: dict[date, list[Slot]] = defaultdict(list)
        for day, period in slots:
            if busy.free(day, period, self._on(trade, day)):
                best = not found or busy.is_near(order.locality, day, period)
                found[day].append(Slot(window_of(day, period), best))
        return [Day(day, tuple(own)) for day, own in found.items()]

    @_answers
    def create_order(self, order: Order) -> Booking:
        """See `RepairsDiary`."""
        made, _is_new = DiaryOrder.objects.get_or_create(
            job=order.job,
            defaults={
                "sor_code": order.sor_code,
                "trade": self._trade(order.sor_code),
                "priority": order.priority,
                "location": order.location,
                "locality": order.locality,
            },
        )
        return _booking(made)

    @_answers
    def schedule_booking(self, booking: Booking, window: Appointment) -> None:
        """See `RepairsDiary`. One statement plans or moves it, or nothing does."""
        order = DiaryOrder.objects.filter(job=booking.job).first()
        if order is None or str(order.pk) != booking.booking:
            raise _RefusedError("there is no such booking")
        if _window(order) == window:
            return
        if _window(order) != booking.window:
            raise _RefusedError("the booking is planned otherwise")
        place = place_of(window)
        if place is None or place not in open_slots(
            Priority(order.priority), clock.now(), place[0], place[0]
        ):
            raise _RefusedError("there is no such slot")
        day, period = place
        as_it_was = DiaryOrder.objects.filter(pk=order.pk, day=order.day, period=order.period)
        busy = _Busy(order.trade, order.job, day, day)
        for crew in busy.free(day, period, self._on(order.trade, day)):
            try:
                with transaction.atomic():
                    moved = as_it_was.update(
                        day=day,
                        period=period,
                        morning_crew=crew if period in _MORNING else None,
                        afternoon_crew=crew if period in _AFTERNOON else None,
                    )
            except IntegrityError:
                continue  # Somebody else got this crew in the meantime.
            if not moved:
                self._replanned(order.pk, window)
            return
        raise _RefusedError("the slot has gone")

    @_answers
    def select_orders(self, jobs: Collection[str]) -> list[Booking]:
        """See `RepairsDiary`."""
        found = DiaryOrder.objects.filter(job__in=list(jobs)).order_by("pk")
        return [_booking(order) for order in found]

    @_answers
    def delete_order(self, job: str, reason: str) -> None:
        """See `RepairsDiary`. What was planned and why it was cancelled is kept."""
        with transaction.atomic():
            order = DiaryOrder.objects.select_for_update().filter(job=job).first()
            if order is None:
                raise _RefusedError("there is no such order")
            if order.day is not None:
                DiaryCancellation.objects.create(
                    job=job,
                    day=order.day,
                    period=order.period,
                    reason=reason,
                    cancelled_at=clock.now(),
                )
            order.delete()

    def _replanned(self, order: int, window: Appointment) -> None:
        """Look whether somebody else planned the same in the meantime."""
        found = DiaryOrder.objects.filter(pk=order).first()
        if found is None or _window(found) != window:
            raise _RefusedError("the booking is planned otherwise")

    def _trade(self, sor_code: str) -> str:
        trade = self._trade_of(sor_code)
        if trade is None:
            raise _RefusedError("there is no such SOR code")
        return trade

    def _on(self, trade: str, day: date) -> range:
        """Return the crews who work on a day."""
        crews = self._crews.get(trade, 0)
        return range(1, 1 + (crews if is_working_day(day) else min(1, crews)))


class _Busy:
    """Which crews of a trade are taken, by other jobs than ``job``, and where they are."""

    def __init__(self, trade: str, job: str, since: date, until: date) -> None:
        self._taken: dict[tuple[date, Period], set[int]] = defaultdict(set)
        self._near: set[tuple[str, date, Period]] = set()
        others = DiaryOrder.objects.filter(trade=trade, day__range=(since, until)).exclude(job=job)
        for order in others:
            for half, crew in (
                (Period.MORNING, order.morning_crew),
                (Period.AFTERNOON, order.afternoon_crew),
            ):
                if crew is not None:
                    self._taken[order.day, half].add(crew)
                    self._near.add((order.locality, order.day, half))

    def free(self, day: date, period: Period, crews: range) -> list[int]:
        """Return the crews who are free for the whole of a slot."""
        taken = set().union(*(self._taken[day, half] for half in _halves(period)))
        return [crew for crew in crews if crew not in taken]

    def is_near(self, locality: str, day: date, period: Period) -> bool:
        """Whether a crew of the trade is in the same place at the time."""
        return bool(locality) and any(
            (locality, day, half) in self._near for half in _halves(period)
        )


def _halves(period: Period) -> list[Period]:
    return [Period.MORNING] * (period in _MORNING) + [Period.AFTERNOON] * (period in _AFTERNOON)


def _booking(order: DiaryOrder) -> Booking:
    return Booking(str(order.pk), order.job, _window(order))


def _window(order: DiaryOrder) -> Appointment | None:
    return None if order.day is None else window_of(order.day, Period(order.period))


def _trade_of(sor_code: str) -> str | None:
    repair = diagnosis().repair(sor_code)
    return repair.trade if repair else None


def portal_diary() -> PortalDiary:
    """Return this portal's own diary."""
    return PortalDiary()
