"""Statements between any two days: on screen, as CSV and as PDF, all from the same figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from dateutil.relativedelta import relativedelta
from demo_portal import clock
from demo_portal.csv_files import csv_file
from demo_portal.jinja import date_text, language, money_text
from design.forms import DateField, Form
from design.views import FormPage
from django.core.paginator import Paginator
from django.db.models import Count, Q, Sum
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView

from automation_rules.report import neutral

from ..access import TenancyView
from . import ledger
from .models import Entry, pounds
from .pdf import PdfUnavailableError, pdf

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponseBase

    from ..profile.customers import Tenancy

COLUMNS = ["tenancy", "date", "kind", "detail", "debit", "credit", "balance"]
"""Of the CSV file, the same in both languages. A balance behind is negative."""

CHUNK = 1000
"""How many entries are in memory at once while a file is written."""

ON_SCREEN = 100
"""How many entries of a statement a page has."""

MOST_IN_PDF = 500
"""How many entries a PDF may have: longer ones would keep a tenant waiting."""


class Day:
    """A day in an address, as in 2027-04-01."""

    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def to_python(self, value: str) -> date:
        """Read it; what is no day is no address."""
        return date.fromisoformat(value)

    def to_url(self, value: date | str) -> str:
        """Write it."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Statement:
    """What happened in a tenancy's account from a day to a day. Amounts are pence."""

    tenancy: str
    first: date
    last: date
    brought_forward: int
    debits: int
    credits: int
    count: int

    @classmethod
    def of(cls, tenancy: str, first: date, last: date) -> Statement:
        """Add a tenancy's entries up; both days belong to the statement."""
        sums = _between(tenancy, first, last).aggregate(
            debits=Sum("pence", filter=Q(pence__lt=0)),
            credits=Sum("pence", filter=Q(pence__gt=0)),
            count=Count("pk"),
        )
        return cls(
            tenancy,
            first,
            last,
            brought_forward=ledger.total(ledger.entries(tenancy).filter(day__lt=first)),
            debits=-int(sums["debits"] or 0),
            credits=int(sums["credits"] or 0),
            count=sums["count"],
        )

    @property
    def carried_forward(self) -> int:
        """The balance at the end."""
        return self.brought_forward + self.credits - self.debits

    @property
    def entries(self) -> QuerySet[Entry]:
        """The entries, oldest first."""
        return _between(self.tenancy, self.first, self.last).order_by("day", "pk")

    def balance_before(self, entries: int) -> int:
        """Return the balance before all but the first ``entries`` entries."""
        return self.brought_forward + (ledger.total(self.entries[:entries]) if entries else 0)


def running(entries: Iterable[Entry], balance: int) -> Iterator[tuple[Entry, int]]:
    """Give entries that follow each other, each with the balance after it."""
    for entry in entries:
        balance += entry.pence
        yield entry, balance


def table(
    entries: Iterable[tuple[Entry, int]], first: date, balance: int, last: date
) -> list[list[str]]:
    """Return the rows of a statement as they are read on screen and in a PDF.

    They begin with the balance brought forward, and end with the one carried forward.
    """
    made = [[date_text(first), gettext("Brought forward"), "", "", ledger.figure(balance)]]
    for entry, after in entries:
        balance = after
        made.append(
            [
                date_text(entry.day),
                entry.detail,
                money_text(entry.debit),
                money_text(entry.credit),
                ledger.figure(balance),
            ]
        )
    return [*made, [date_text(last), gettext("Carried forward"), "", "", ledger.figure(balance)]]


def heads() -> list[str]:
    """Return what the columns of `rows` are called."""
    return [
        gettext("Date"),
        gettext("Detail"),
        gettext("Debit (taken off)"),
        gettext("Credit (added)"),
        gettext("Balance"),
    ]


class StatementForm(Form):
    """From when to when."""

    first = DateField(
        label=_("First day"),
        required_message=_("Enter the first day of the statement"),
        invalid_message=_("The first day must be a real date, like 1 4 2027"),
    )
    last = DateField(
        label=_("Last day"),
        required_message=_("Enter the last day of the statement"),
        invalid_message=_("The last day must be a real date, like 1 4 2027"),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse what is still to come, and a span that ends before it begins."""
        asked = self.cleaned_data
        first, last = asked.get("first"), asked.get("last")
        if last and last > clock.today():
            self.add_error("last", _("The last day must be today or in the past"))
        elif first and last and last < first:
            self.add_error("last", _("The last day must not be before the first"))
        return asked


class AskForStatement(TenancyView, FormPage):
    """Which days the statement is about."""

    template_name = "tenant_services/payments/ask_for_statement.html"
    form_class = StatementForm
    heading = _("Get a statement")
    button = _("Show the statement")

    def get_initial(self) -> dict[str, Any]:
        """Begin with the last three months."""
        today = clock.today()
        return {"first": today - relativedelta(months=3), "last": today}

    def get_back(self) -> str:
        """Lead back to the account."""
        return reverse("rent_account", kwargs={"tenancy": self.tenancy.reference})

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the spans that are asked for most."""
        today = clock.today()
        earliest = ledger.entries(self.tenancy.reference).first()
        spans = {
            gettext("The last 3 months"): today - relativedelta(months=3),
            gettext("The last 12 months"): today - relativedelta(months=12),
            gettext("Since the start"): earliest.day if earliest else self.tenancy.began_on,
        }
        return super().get_context_data(**named) | {
            "lines": [self.tenancy.address],
            "spans": {name: self._address(first, today) for name, first in spans.items()},
        }

    def form_valid(self, form: StatementForm) -> HttpResponse:
        """Lead to the statement, whose address can be kept."""
        return redirect(self._address(form.cleaned_data["first"], form.cleaned_data["last"]))

    def _address(self, first: date, last: date) -> str:
        named = {"tenancy": self.tenancy.reference, "first": first, "last": last}
        return reverse("rent_statement", kwargs=named)


class StatementView(TenancyView):
    """Something made of the statement that the address names."""

    @property
    def statement(self) -> Statement:
        """The statement, as the ledger is now."""
        first, last = self.kwargs["first"], self.kwargs["last"]
        if last < first:
            raise Http404
        return Statement.of(self.tenancy.reference, first, last)

    def at(self, name: str) -> str:
        """Return the address of something else made of the same statement."""
        return reverse(name, kwargs=self.kwargs)


class StatementPage(StatementView, TemplateView):
    """A statement on screen. As in a book, each page brings its balance forward to the next."""

    template_name = "tenant_services/payments/statement.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add a page of it."""
        statement = self.statement
        page = Paginator(statement.entries, ON_SCREEN).get_page(self.request.GET.get("page"))
        before = statement.balance_before(max(0, page.start_index() - 1))
        listed = list(running(page.object_list, before))
        first = listed[0][0].day if page.has_previous() else statement.first
        last = listed[-1][0].day if page.has_next() else statement.last
        return super().get_context_data(**named) | {
            **summary(self.tenancy, statement),
            "page": page,
            "rows": table(listed, first, before, last),
            "csv": self.at("rent_statement_csv"),
            "pdf": self.at("rent_statement_pdf") if statement.count <= MOST_IN_PDF else None,
            "most": MOST_IN_PDF,
            "back": reverse("ask_for_statement", kwargs={"tenancy": self.tenancy.reference}),
        }


class StatementAsCsv(StatementView, View):
    """A statement to take away as a table."""

    def get(self, _request: HttpRequest, **_named: Any) -> HttpResponseBase:
        """Send the file."""
        statement = self.statement
        return csv_file(f"{name_of(statement)}.csv", COLUMNS, cells(statement))


class StatementAsPdf(StatementView, View):
    """A statement to print or to keep."""

    def get(self, request: HttpRequest, **_named: Any) -> HttpResponseBase:
        """Send the file; say what to take instead when it cannot be made."""
        statement = self.statement
        told: dict[str, Any] = {
            "csv": self.at("rent_statement_csv"),
            "back": self.at("rent_statement"),
        }
        if statement.count > MOST_IN_PDF:
            told |= {"most": MOST_IN_PDF, "count": statement.count}
            return render(request, "tenant_services/payments/no_pdf.html", told, status=422)
        listed = running(statement.entries, statement.brought_forward)
        rows = table(listed, statement.first, statement.brought_forward, statement.last)
        document = render_to_string(
            "tenant_services/payments/statement_pdf.html",
            {**summary(self.tenancy, statement), "rows": rows, "lang": language()},
        )
        try:
            drawn = pdf(document)
        except PdfUnavailableError:
            return render(request, "tenant_services/payments/no_pdf.html", told, status=503)
        name = f'attachment; filename="{name_of(statement)}.pdf"'
        return HttpResponse(
            drawn, content_type="application/pdf", headers={"Content-Disposition": name}
        )


def summary(tenancy: Tenancy, statement: Statement) -> dict[str, Any]:
    """Return what a statement says beside its entries."""
    return {
        "tenancy": tenancy,
        "statement": statement,
        "made_on": clock.today(),
        "heads": heads(),
        "sums": [
            (gettext("Brought forward"), ledger.figure(statement.brought_forward)),
            (gettext("Debits"), money_text(pounds(statement.debits))),
            (gettext("Credits"), money_text(pounds(statement.credits))),
            (gettext("Carried forward"), ledger.figure(statement.carried_forward)),
        ],
    }


def cells(statement: Statement) -> Iterator[list[object]]:
    """Give the rows of the CSV file: what people wrote made harmless, numbers and dates not."""
    about = neutral(statement.tenancy)
    balance = statement.brought_forward
    yield [about, statement.first, "brought_forward", "", "", "", pounds(balance)]
    for entry, after in running(statement.entries.iterator(CHUNK), balance):
        balance = after
        yield [about, *entry_cells(entry, balance)]
    yield [about, statement.last, "carried_forward", "", "", "", pounds(balance)]


def entry_cells(entry: Entry, balance: int) -> list[object]:
    """Return an entry's cells, from the date to the balance."""
    detail = neutral(entry.detail)
    return [entry.day, entry.kind, detail, entry.debit, entry.credit, pounds(balance)]


def name_of(statement: Statement) -> str:
    """Return what a statement's files are called."""
    about = "".join(letter if letter.isalnum() else "-" for letter in statement.tenancy)
    return f"statement-{about}-{statement.first}-{statement.last}"


def _between(tenancy: str, first: date, last: date) -> QuerySet[Entry]:
    return ledger.entries(tenancy).filter(day__gte=first, day__lte=last)
