"""Money is exact: whatever happened in an account, everything that tells of it says the same."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate, count
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from portal_world import TUESDAY
from tenant_ledger_world import (
    RENT,
    csv_of,
    pdf_of,
    pence,
    pence_of,
    statement_path,
    table_of,
    text_of,
    total,
)
from tenant_services.payments import ledger
from tenant_services.payments.models import MOST_PENCE, ChargeLine, Entry
from tenant_services.payments.statements import Statement, running
from tenant_services.payments.views import cells
from tenant_world import HOME, signed_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client
    from portal_world import PortalWorld

TODAY = date(2027, 6, 1)
DAYS = 40
"""How many days back histories go."""

days = st.integers(0, DAYS).map(lambda back: TODAY - timedelta(days=back))
amounts = st.one_of(
    st.sampled_from([1, 99, 100, MOST_PENCE]), st.integers(1, 100_000), st.integers(1, MOST_PENCE)
)
signed = st.one_of(st.just(0), amounts, amounts.map(lambda pence: -pence))
lines = st.dictionaries(
    st.sampled_from(ChargeLine.For.values), st.integers(0, MOST_PENCE // 10), min_size=1, max_size=7
)


@dataclass(frozen=True)
class Event:
    """Something that happens to an account."""

    kind: str
    day: date
    pence: int
    lines: tuple[tuple[str, int], ...] = ()


def _charge(day: date, of: dict[str, int]) -> Event:
    return Event("charge", day, -sum(of.values()), tuple(of.items()))


events = st.one_of(
    st.builds(_charge, days, lines),
    st.builds(Event, st.just("payment"), days, amounts),
    st.builds(Event, st.just("refund"), days, amounts.map(lambda pence: -pence)),
    st.builds(Event, st.just("adjustment"), days, signed),
)


@dataclass(frozen=True)
class History:
    """An account's events in the order in which they were entered; the first may open it."""

    events: tuple[Event, ...]

    @property
    def in_order(self) -> list[tuple[Event, int]]:
        """The events by day, each with the balance after it, worked out by hand."""
        by_day = sorted(self.events, key=lambda event: event.day)
        return list(zip(by_day, accumulate(event.pence for event in by_day), strict=True))

    def balance(self, on: date) -> int:
        """Return the balance at the end of a day."""
        return sum(event.pence for event in self.events if event.day <= on)

    def enter(self, tenancy: str = HOME) -> None:
        """Enter everything."""
        for number, event in enumerate(self.events):
            source = f"{tenancy}:{number}"
            match event.kind:
                case "opening":
                    ledger.open_account(tenancy, event.pence, on=event.day)
                case "charge":
                    # No two charges are for the same period.
                    first = date(2000, 1, 1) + timedelta(days=number)
                    ledger.charge(tenancy, dict(event.lines), first, first, on=event.day)
                case "payment":
                    ledger.credit(tenancy, event.pence, source=source, on=event.day)
                case "refund":
                    ledger.refund(tenancy, -event.pence, source=source, on=event.day)
                case _:
                    ledger.adjust(tenancy, event.pence, source=source, detail="x", on=event.day)


@st.composite
def histories(draw: st.DrawFn, most: int = 12) -> History:
    """Give an account with or without an opening balance, entered in any order of days."""
    opening = draw(st.none() | signed)
    day = TODAY - timedelta(days=DAYS)
    opened = () if opening is None else (Event("opening", day, opening),)
    return History((*opened, *draw(st.lists(events, max_size=most))))


@contextmanager
def account_of(history: History) -> Iterator[None]:
    """Let the home's account have this history and no other, for a moment."""
    with transaction.atomic():
        ledger.entries(HOME)._raw_delete("default")  # type: ignore[attr-defined]
        history.enter()
        yield
        transaction.set_rollback(True)


@pytest.fixture
def client(portal: PortalWorld) -> Client:
    """Tessa's client; nothing of her home's account is left."""
    ChargeLine.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    return signed_in(portal)


def pages(client: Client, path: str) -> list[list[list[str]]]:
    """Return the rows of each page of a list, in order."""
    first = client.get(path)
    several = re.search(r"Page 1 of (\d+)", text_of(first))
    last = int(several[1]) if several else 1
    rest = [table_of(client.get(path, {"page": page})) for page in range(2, last + 1)]
    return [table_of(first), *rest]


def many(quick: int, exhaustive: int) -> list[Any]:
    """Return how many examples there are, in a quick form and in an exhaustive one."""
    return [quick, pytest.param(exhaustive, marks=pytest.mark.exhaustive)]


def holds_for(examples: int, *given_by: Any) -> Any:
    """Let something hold for that many examples."""

    def holding(law: Any) -> None:
        limits = settings(
            max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck)
        )
        limits(given(*given_by)(law))()

    return holding


@pytest.mark.parametrize("examples", many(20, 300))
def test_everything_says_the_same(client: Client, examples: int) -> None:
    """Ledger, balance, running balances, pages, statement and CSV agree to the penny."""

    @holds_for(examples, histories(), days, days)
    def _law(history: History, one: date, other: date) -> None:
        first, last = sorted((one, other))
        expected = history.in_order
        with account_of(history):
            assert ledger.balance(HOME) == history.balance(TODAY)
            assert ledger.balances([HOME, "T-0"]) == {HOME: history.balance(TODAY), "T-0": 0}
            for day in (first - timedelta(days=1), first, last):
                assert ledger.balance(HOME, day) == history.balance(day)
            answer = client.get(f"{RENT}/{HOME}/")
            assert ledger.standing(history.balance(TODAY)) in text_of(answer)
            shown = [row for page in pages(client, f"{RENT}/{HOME}/") for row in page]
            assert [_moved(row[3], row[4]) for row in shown][::-1] == [
                event.pence for event, _after in expected
            ]
            assert [pence(row[5]) for row in shown][::-1] == [after for _event, after in expected]
            _history_says(client, expected)
            _statement_says(client, history, first, last)


def _history_says(client: Client, expected: list[tuple[Event, int]]) -> None:
    rows = csv_of(client, f"{RENT}/{HOME}/history/")
    assert len(rows) == len(expected)
    for row, (event, after) in zip(rows, expected, strict=True):
        assert (row["kind"], row["date"]) == (event.kind, str(event.day))
        assert _entered(row) == event.pence
        assert pence_of(row["balance"]) == after
        made_up_of = {what: pence_of(row[what]) for what in ChargeLine.For.values if row[what]}
        assert made_up_of == dict(event.lines)
        if event.kind == "charge":
            assert sum(made_up_of.values()) == -event.pence


def _statement_says(client: Client, history: History, first: date, last: date) -> None:
    within = [(event, after) for event, after in history.in_order if first <= event.day <= last]
    before, end = history.balance(first - timedelta(days=1)), history.balance(last)
    path = statement_path(HOME, first, last)
    rows = table_of(client.get(path))
    assert pence(rows[0][4]) == before
    assert pence(rows[-1][4]) == end
    assert [(_moved(row[2], row[3]), pence(row[4])) for row in rows[1:-1]] == [
        (event.pence, after) for event, after in within
    ]
    file = csv_of(client, f"{path}csv/")
    assert pence_of(file[0]["balance"]) == before
    assert pence_of(file[-1]["balance"]) == end
    assert [(_entered(row), pence_of(row["balance"])) for row in file[1:-1]] == [
        (event.pence, after) for event, after in within
    ]
    statement = Statement.of(HOME, first, last)
    assert (statement.brought_forward, statement.carried_forward) == (before, end)
    assert statement.count == len(within)
    assert statement.debits == total(row[2] for row in rows)
    assert statement.credits == total(row[3] for row in rows)


@pytest.mark.parametrize("examples", many(4, 60))
def test_the_pdf_has_the_screens_figures(client: Client, examples: int) -> None:
    """Every amount of the statement on screen stands in the PDF, in the same order."""

    @holds_for(examples, histories(), days, days)
    def _law(history: History, one: date, other: date) -> None:
        first, last = sorted((one, other))
        with account_of(history):
            path = statement_path(HOME, first, last)
            rows = table_of(client.get(path))
            reader = pdf_of(client, f"{path}pdf/")
        text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
        amount = r"£[0-9,]+\.[0-9]{2}(?: (?:ahead|behind))?"
        listed = re.findall(amount, text.split("oldest first")[1])
        assert listed == [cell for row in rows for cell in row if cell.startswith("£")]
        above = re.findall(amount, text.split("oldest first")[0])
        assert [pence(one) for one in above] == [
            pence(rows[0][4]),
            total(row[2] for row in rows),
            total(row[3] for row in rows),
            pence(rows[-1][4]),
        ]


@pytest.mark.parametrize("examples", many(40, 500))
def test_two_statements_make_one(client: Client, examples: int) -> None:
    """What is from a to b and from the day after b to c is what is from a to c."""

    @holds_for(examples, histories(), st.lists(days, min_size=3, max_size=3).map(sorted))
    def _law(history: History, ends: list[date]) -> None:
        first, middle, last = ends
        with account_of(history):
            one = Statement.of(HOME, first, middle)
            whole = Statement.of(HOME, first, last)
            if middle == last:
                assert one == whole
                return
            other = Statement.of(HOME, middle + timedelta(days=1), last)
            assert other.brought_forward == one.carried_forward
            assert one.brought_forward == whole.brought_forward
            assert other.carried_forward == whole.carried_forward
            assert [*_rows(one), *_rows(other)] == _rows(whole)
            for sums in ("debits", "credits", "count"):
                parts = getattr(one, sums) + getattr(other, sums)
                assert parts == getattr(whole, sums)


@pytest.mark.parametrize("examples", many(40, 500))
def test_balances_stay_whatever_is_left_out(client: Client, examples: int) -> None:
    """An entry's balance is the account's, whichever entries are asked for along with it."""

    @holds_for(examples, histories(30), st.data())
    def _law(history: History, data: st.DataObject) -> None:
        with account_of(history):
            every = list(running(ledger.entries(HOME), 0))
            chosen = data.draw(st.lists(st.sampled_from(every), unique=True)) if every else []
            assert ledger.with_balances([entry for entry, _after in chosen]) == chosen


@pytest.mark.parametrize("examples", many(100, 5000))
def test_words_agree_with_figures(portal: PortalWorld, examples: int) -> None:
    """Ahead is more than nothing, behind less, and the amount is the same to the penny."""

    @holds_for(examples, st.one_of(signed, st.integers(-(10**18), 10**18)))
    def _law(balance: int) -> None:
        words, figure = ledger.standing(balance), ledger.figure(balance)
        assert pence(figure) == balance
        assert ("ahead" in words, "behind" in words) == (balance > 0, balance < 0)
        assert ("up to date" in words) == (balance == 0)
        if balance:
            assert words == f"You are {figure}"


# --- whatever is done -------------------------------------------------------------------------


class Account(RuleBasedStateMachine):
    """An account to which things are done in any order, some twice, some wrongly."""

    payments = Bundle("payments")
    portal: PortalWorld

    def __init__(self) -> None:
        """Begin with nothing entered."""
        super().__init__()
        self.number = count(1)
        self.entered: list[tuple[date, int]] = []
        self.done: list[tuple[Any, dict[str, Any], Entry]] = []
        self.today = TODAY
        self.charged = date(2000, 1, 1)

    @initialize(opening=st.none() | signed)
    def begin(self, opening: int | None) -> None:
        """Open the account."""
        self.portal.clock.move_to(TUESDAY)
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        if opening is not None:
            entry = ledger.open_account("T-1", opening, on=TODAY)
            self._is_entered(entry, opening)

    @rule(weeks=st.integers(1, 5))
    def wait(self, weeks: int) -> None:
        """Let time pass."""
        self.today += timedelta(weeks=weeks)
        self.portal.clock.move_to(TUESDAY + (self.today - TODAY))

    @rule(pence=amounts, target=payments)
    def pay(self, pence: int) -> tuple[int, int]:
        """Pay."""
        number = next(self.number)
        self._do(ledger.credit, pence, pence=pence, source=f"pay-{number}")
        return number, pence

    @rule(payment=consumes(payments), share=st.integers(1, 100))
    def refund(self, payment: tuple[int, int], share: int) -> None:
        """Pay some or all of a payment back."""
        number, paid = payment
        back = max(1, paid * share // 100)
        self._do(ledger.refund, -back, pence=back, source=f"refund-{number}")

    @rule(of=lines)
    def charge(self, of: dict[str, int]) -> None:
        """Charge for the next period."""
        self.charged += timedelta(days=7)
        last = self.charged + timedelta(days=6)
        charged = -sum(of.values())
        self._do(ledger.charge, charged, lines=of, first=self.charged, last=last, on=self.today)

    @rule(pence=signed, back=st.integers(0, 60))
    def adjust(self, pence: int, back: int) -> None:
        """Put something right, of today or of before."""
        self._do(
            ledger.adjust,
            pence,
            pence=pence,
            source=f"adjust-{next(self.number)}",
            detail="Put right",
            on=self.today - timedelta(days=back),
        )

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def do_again(self, data: st.DataObject) -> None:
        """Enter again what was entered."""
        function, named, entry = data.draw(st.sampled_from(self.done))
        assert function("T-1", **named) == entry

    @precondition(lambda self: self.done)
    @rule(data=st.data(), tenancy=st.booleans())
    def do_wrongly(self, data: st.DataObject, tenancy: bool) -> None:
        """Enter something else under the same source."""
        _function, _named, entry = data.draw(st.sampled_from(self.done))
        where, amount = ("T-2", entry.pence) if tenancy else ("T-1", entry.pence + 1)
        try:
            ledger.adjust(where, amount, source=entry.source, detail="x")
        except ledger.LedgerError:
            return
        raise AssertionError("entered twice")

    @rule(pence=amounts)
    def enter_what_is_to_come(self, pence: int) -> None:
        """Enter something for tomorrow, which is refused."""
        try:
            ledger.credit(
                "T-1",
                pence,
                source=f"early-{next(self.number)}",
                on=self.today + timedelta(days=1),
            )
        except ledger.LedgerError:
            return
        raise AssertionError("entered too early")

    @invariant()
    def everything_agrees(self) -> None:
        """The ledger is what was entered, once each, and all that is made of it agrees."""
        if not hasattr(self, "transaction"):
            return
        in_order = sorted(self.entered, key=lambda entered: entered[0])
        balances = list(accumulate(pence for _day, pence in in_order))
        end = balances[-1] if balances else 0
        assert ledger.balance("T-1") == end
        assert ledger.balance("T-2") == 0
        found = list(ledger.entries("T-1"))
        assert ledger.with_balances(found) == list(zip(found, balances, strict=True))
        middle = TODAY + (self.today - TODAY) / 2
        one = Statement.of("T-1", date.min, middle)
        other = Statement.of("T-1", middle + timedelta(days=1), date.max)
        assert one.carried_forward == other.brought_forward
        assert other.carried_forward == end
        assert [after for _entry, after in [*_rows(one), *_rows(other)]] == balances
        assert [int(row[6] * 100) for row in cells("T-1")] == balances  # type: ignore[operator]
        for entry in found:
            if entry.kind == "charge":
                assert sum(line.pence for line in entry.lines.all()) == -entry.pence

    def teardown(self) -> None:
        """Forget it all."""
        if hasattr(self, "transaction"):
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    def _do(self, function: Any, does: int, **named: Any) -> None:
        entry = function("T-1", **named)
        self.done.append((function, named, entry))
        self._is_entered(entry, does)

    def _is_entered(self, entry: Entry, pence: int) -> None:
        assert entry.pence == pence
        self.entered.append((entry.day, pence))


@pytest.mark.parametrize("examples", many(8, 100))
def test_whatever_is_done_the_account_adds_up(portal: PortalWorld, examples: int) -> None:
    """Paying, paying back, charging and putting right, in any order and again, count once each."""

    class OfThisPortal(Account):
        """The machine, for this test's portal."""

    OfThisPortal.portal = portal
    limits = settings(
        max_examples=examples,
        stateful_step_count=20 if examples < 100 else 60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OfThisPortal, settings=limits)


def _rows(statement: Statement) -> list[tuple[Entry, int]]:
    return list(running(statement.entries, statement.brought_forward))


def _moved(debit: str, credit: str) -> int:
    """Return what an entry does, from the two columns of which one is empty."""
    assert bool(debit) != bool(credit)
    return pence(credit) if credit else -pence(debit)


def _entered(row: dict[str, str]) -> int:
    assert bool(row["debit"]) != bool(row["credit"])
    return pence_of(row["credit"]) if row["credit"] else -pence_of(row["debit"])
