"""The ledger: every penny is entered once, stays as it was, and counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.translation import override
from tenant_services.payments import ledger
from tenant_services.payments.models import (
    MOST_PENCE,
    AppendOnlyError,
    ChargeLine,
    Entry,
    StatementChoice,
)

if TYPE_CHECKING:
    from portal_world import PortalWorld

NEW = "T-900001"
"""A tenancy with nothing in its account."""
DAY = date(2027, 5, 3)


def test_balance_is_what_was_paid_less_what_was_charged(portal: PortalWorld) -> None:
    """Every kind of entry counts with its sign, on its day and after it."""
    assert ledger.balance(NEW) == 0
    ledger.open_account(NEW, -1_000, on=date(2027, 4, 1))
    ledger.charge(NEW, {"rent": 9_000, "water": 501}, DAY, date(2027, 5, 9))
    ledger.credit(NEW, 12_000, source="pay-1", on=date(2027, 5, 4))
    ledger.refund(NEW, 400, source="back-1", on=date(2027, 5, 5))
    ledger.adjust(NEW, -99, source="put-right-1", detail="Correction", on=date(2027, 5, 6))
    assert [ledger.balance(NEW, date(2027, 5, day)) for day in (2, 3, 4, 5, 6)] == [
        -1_000,
        -10_501,
        1_499,
        1_099,
        1_000,
    ]
    assert ledger.balance(NEW) == 1_000
    assert ledger.balance(NEW, date(2027, 3, 31)) == 0


def test_the_same_source_counts_once(portal: PortalWorld) -> None:
    """What is entered again changes nothing, and gives the entry that is there."""
    first = ledger.credit(NEW, 500, source="pay-1")
    assert ledger.credit(NEW, 500, source="pay-1") == first
    charged = ledger.charge(NEW, {"rent": 7}, DAY, DAY)
    assert ledger.charge(NEW, {"rent": 7}, DAY, DAY) == charged
    assert charged.lines.count() == 1
    assert ledger.open_account(NEW, 3, on=DAY) == ledger.open_account(NEW, 3, on=DAY)
    assert ledger.balance(NEW) == 496


@pytest.mark.parametrize(("tenancy", "pence"), [("T-100001", 500), (NEW, 501)])
def test_a_source_is_not_entered_as_something_else(
    portal: PortalWorld, tenancy: str, pence: int
) -> None:
    """The same payment for another tenancy or of another amount is refused, and changes nothing."""
    ledger.credit(NEW, 500, source="pay-1")
    before = ledger.balance(tenancy)
    with pytest.raises(ledger.EntryConflictError):
        ledger.credit(tenancy, pence, source="pay-1")
    with pytest.raises(ledger.EntryConflictError):
        ledger.adjust(NEW, 500, source="pay-1", detail="x")
    assert ledger.balance(tenancy) == before


def test_at_once_from_many_sides_it_counts_once(portal: PortalWorld) -> None:
    """Whoever comes second waits, and finds it done."""

    def pay(_number: int) -> int:
        try:
            with transaction.atomic():
                return ledger.credit(NEW, 500, source="pay-1").pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(pay, range(40)))) == 1
    assert ledger.balance(NEW) == 500


def test_entries_stay_as_they_are(portal: PortalWorld) -> None:
    """Neither an entry nor a line of a charge can be changed or removed, one or many."""
    entry = ledger.charge(NEW, {"rent": 100}, DAY, DAY)
    for row in (entry, entry.lines.get(), Entry.objects.get(pk=entry.pk)):
        row.pence = 1
        with pytest.raises(AppendOnlyError):
            row.save()
        with pytest.raises(AppendOnlyError):
            row.delete()
    for model in (Entry, ChargeLine, StatementChoice):
        with pytest.raises(AppendOnlyError):
            model.objects.update(pk=1)
        with pytest.raises(AppendOnlyError):
            model.objects.all().delete()
    assert ledger.balance(NEW) == -100


@pytest.mark.parametrize("pence", [0, -1, 1.5, "5", MOST_PENCE + 1])
def test_what_is_no_payment_is_refused(portal: PortalWorld, pence: int) -> None:
    """A payment is a whole number of pence, more than none and not beyond measure."""
    for enter in (ledger.credit, ledger.refund):
        with pytest.raises((ledger.LedgerError, TypeError)):
            enter(NEW, pence, source="pay-1")
    assert not ledger.entries(NEW).exists()


def test_what_is_no_charge_is_refused(portal: PortalWorld) -> None:
    """A charge has a period, and lines of known kinds that come to something or nothing."""
    for lines, last in (({}, DAY), ({"tax": 1}, DAY), ({"rent": -1}, DAY), ({"rent": 1}, date.min)):
        with pytest.raises(ledger.LedgerError):
            ledger.charge(NEW, lines, DAY, last)
    assert ledger.charge(NEW, {"rent": 0}, DAY, DAY).pence == 0
    assert ledger.charge(NEW, {"rent": 9, "water": -2}, date(2027, 5, 10), DAY.max).pence == -7


def test_the_database_refuses_what_is_no_entry(portal: PortalWorld) -> None:
    """However it is written, a payment adds, a charge takes off, and no source comes twice."""
    entry = ledger.credit(NEW, 1, source="pay-1")
    for wrong in (
        {"pence": -1},
        {"kind": "charge"},
        {"kind": "other"},
        {"pence": MOST_PENCE + 1},
        {},
    ):
        fields = {
            name: getattr(entry, name)
            for name in ("tenancy", "day", "kind", "pence", "source", "entered_at")
        }
        if wrong:
            fields["source"] = "other"
        with pytest.raises(IntegrityError), transaction.atomic():
            Entry.objects.create(**fields | wrong)


def test_details_are_kept_in_both_languages(portal: PortalWorld) -> None:
    """What is entered in one language reads well in the other."""
    entry = ledger.charge(NEW, {"rent": 1}, DAY, date(2027, 5, 9))
    assert entry.detail_en == "Charge for 3 May 2027 to 9 May 2027"
    assert "3 Mai 2027" in entry.detail_cy
    assert entry.detail_cy != entry.detail_en
    with override("cy"):
        paid = ledger.credit(NEW, 1, source="pay-1")
        assert paid.detail == paid.detail_cy == "Taliad â cherdyn"
    with override("en"):
        assert paid.detail == paid.detail_en == "Card payment"
