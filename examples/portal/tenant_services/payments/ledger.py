"""The ledger: what every tenancy was charged and what was paid, to the penny.

An account's balance is the sum of its entries: positive is ahead, negative behind. Amounts are
whole pence. Entering the same ``source`` again changes nothing and gives the entry that is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal import clock
from demo_portal.jinja import date_text, money_text
from django.db import transaction
from django.db.models import Q, Sum, Window
from django.utils.translation import gettext, override
from django.utils.translation import gettext_lazy as _

from .models import MOST_PENCE, ChargeLine, Entry, pounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from django.db.models import QuerySet


class LedgerError(Exception):
    """Something cannot be entered."""


class EntryConflictError(LedgerError):
    """The source was entered before, as something else."""


def credit(
    tenancy: str, pence: int, *, source: str, detail: Any = None, on: date | None = None
) -> Entry:
    """Enter a payment once, however often and from however many sides it is asked."""
    text = _("Card payment") if detail is None else detail
    return _enter(Entry.Kind.PAYMENT, tenancy, pence, source=source, detail=text, on=on)


def refund(
    tenancy: str, pence: int, *, source: str, detail: Any = None, on: date | None = None
) -> Entry:
    """Enter that ``pence`` were paid back to the tenant, once."""
    text = _("Refund to your card") if detail is None else detail
    return _enter(Entry.Kind.REFUND, tenancy, -pence, source=source, detail=text, on=on)


def adjust(tenancy: str, pence: int, *, source: str, detail: Any, on: date | None = None) -> Entry:
    """Enter a correction once: positive in the tenant's favour."""
    return _enter(Entry.Kind.ADJUSTMENT, tenancy, pence, source=source, detail=detail, on=on)


def open_account(tenancy: str, pence: int, *, on: date) -> Entry:
    """Enter the balance that a tenancy brought along from before this ledger, once."""
    text = _("Balance brought along from your earlier account")
    source = f"opening:{tenancy}"
    return _enter(Entry.Kind.OPENING, tenancy, pence, source=source, detail=text, on=on)


def charge(
    tenancy: str, lines: Mapping[str, int], first: date, last: date, *, on: date | None = None
) -> Entry:
    """Enter the charge for the days from ``first`` to ``last`` once; its lines add up to it.

    ``on`` is the day that it falls due, by default the first.
    """

    def detail() -> str:
        return gettext("Charge for %(first)s to %(last)s") % {
            "first": date_text(first),
            "last": date_text(last),
        }

    if last < first or not lines or not set(lines) <= set(ChargeLine.For.values):
        raise LedgerError("a charge needs a period and lines of known kinds")
    return _enter(
        Entry.Kind.CHARGE,
        tenancy,
        -sum(lines.values()),
        source=f"charge:{tenancy}:{first}",
        detail=detail,
        on=on or first,
        lines=lines,
    )


def balance(tenancy: str, on: date | None = None) -> int:
    """Return the pence by which a tenancy is ahead, now or at the end of a day."""
    found = entries(tenancy)
    return total(found if on is None else found.filter(day__lte=on))


def balances(tenancies: Iterable[str]) -> dict[str, int]:
    """Return each tenancy's balance."""
    wanted = list(tenancies)
    sums = Entry.objects.filter(tenancy__in=wanted).order_by().values_list("tenancy")
    found = {tenancy: int(pence) for tenancy, pence in sums.annotate(Sum("pence"))}
    return dict.fromkeys(wanted, 0) | found


def entries(tenancy: str) -> QuerySet[Entry]:
    """Return everything in a tenancy's account, oldest first."""
    return Entry.objects.filter(tenancy=tenancy)


def with_balances(found: Sequence[Entry]) -> list[tuple[Entry, int]]:
    """Return some entries of one tenancy, each with the account's balance after it.

    Only what lies between the first and the last of them is worked through; what is before is one
    sum.
    """
    if not found:
        return []
    first = min(found, key=_place)
    last = max(found, key=_place)
    of_tenancy = entries(first.tenancy)
    before = total(of_tenancy.filter(day__lte=first.day).exclude(day=first.day, pk__gte=first.pk))
    between = (
        of_tenancy.filter(day__gte=first.day, day__lte=last.day)
        .exclude(day=first.day, pk__lt=first.pk)
        .annotate(running=Window(Sum("pence"), order_by=["day", "pk"]))
    )
    # Beside the window in one condition, the keys are looked for after it has seen every entry.
    wanted = between.filter(Q(running=None) | Q(pk__in=[entry.pk for entry in found]))
    running = dict(wanted.values_list("pk", "running"))
    return [(entry, before + int(running[entry.pk])) for entry in found]


def total(found: QuerySet[Entry]) -> int:
    """Return the sum of entries."""
    return int(found.aggregate(pence=Sum("pence"))["pence"] or 0)


def standing(pence: int) -> str:
    """Say in words how an account with that balance stands."""
    if pence == 0:
        return gettext("You are up to date")
    amount = money_text(pounds(abs(pence)))
    if pence > 0:
        return gettext("You are %(amount)s ahead") % {"amount": amount}
    return gettext("You are %(amount)s behind") % {"amount": amount}


def figure(pence: int) -> str:
    """Write a balance as a figure that says which way it stands."""
    amount = money_text(pounds(abs(pence)))
    if pence > 0:
        return gettext("%(amount)s ahead") % {"amount": amount}
    return gettext("%(amount)s behind") % {"amount": amount} if pence else amount


def _enter(
    kind: Entry.Kind,
    tenancy: str,
    pence: int,
    *,
    source: str,
    detail: Any,
    on: date | None,
    lines: Mapping[str, int] | None = None,
) -> Entry:
    today = clock.today()
    if (day := on or today) > today:
        raise LedgerError("what is still to come is not entered")
    _check(kind, pence, lines.values() if lines else ())
    with transaction.atomic():
        entry, is_new = Entry.objects.get_or_create(
            source=source,
            defaults={
                "tenancy": tenancy,
                "kind": kind,
                "pence": pence,
                "day": day,
                "entered_at": clock.now(),
                "detail_en": _in("en", detail),
                "detail_cy": _in("cy", detail),
            },
        )
        if is_new and lines:
            ChargeLine.objects.bulk_create(
                ChargeLine(entry=entry, charged_for=what, pence=of) for what, of in lines.items()
            )
    if (entry.tenancy, entry.kind, entry.pence) != (tenancy, kind, pence):
        raise EntryConflictError
    return entry


def _place(entry: Entry) -> tuple[date, int]:
    return entry.day, entry.pk


def _check(kind: Entry.Kind, pence: int, lines: Iterable[int]) -> None:
    if not all(isinstance(one, int) for one in (pence, *lines)):
        raise LedgerError("amounts are whole pence")
    wrong = {
        Entry.Kind.CHARGE: pence > 0,
        Entry.Kind.PAYMENT: pence <= 0,
        Entry.Kind.REFUND: pence >= 0,
    }
    if wrong.get(kind) or max(abs(pence), *map(abs, lines), 0) > MOST_PENCE:
        raise LedgerError("no such amount")


def _in(code: str, text: str | Callable[[], str]) -> str:
    with override(code):
        return str(text() if callable(text) else text)
