"""The account of a tenancy: how it stands, and everything that was charged and paid."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from demo_portal.csv_files import csv_file
from demo_portal.records import PAGE
from design.forms import DateField, Form
from django import forms
from django.core.paginator import Paginator
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView

from automation_rules.report import neutral

from ..access import TenancyView, TenantView
from . import ledger
from .models import ChargeLine, Entry, pounds
from .paperless import last_choice
from .statements import CHUNK, entry_cells, running
from .statements import COLUMNS as STATEMENT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponseBase


class Rent(TenantView, TemplateView):
    """Every tenancy, and how its account stands."""

    template_name = "tenant_services/payments/rent.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the tenancies with their balances, and how statements are sent."""
        balances = ledger.balances(tenancy.reference for tenancy in self.tenancies)
        return super().get_context_data(**named) | {
            "found": [(one, ledger.standing(balances[one.reference])) for one in self.tenancies],
            "choice": last_choice(self.account),
        }


class EntriesForm(Form):
    """Which entries are looked for. The address holds it: days and kinds are nobody's secret."""

    kind = forms.ChoiceField(
        label=_("Show"),
        required=False,
        choices=[("", _("Everything")), *Entry.Kind.choices],
    )
    since = DateField(
        label=_("From"),
        required=False,
        required_message=_("Enter a date"),
        invalid_message=_("The first day must be a real date, like 1 4 2027"),
    )
    until = DateField(
        label=_("Until"),
        required=False,
        required_message=_("Enter a date"),
        invalid_message=_("The last day must be a real date, like 1 4 2027"),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse a span that ends before it begins."""
        asked = self.cleaned_data
        since, until = asked.get("since"), asked.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day must not be before the first"))
        return asked


class Account(TenancyView, TemplateView):
    """How a tenancy's account stands, and what was charged and paid, newest first."""

    template_name = "tenant_services/payments/account.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the entries that were asked for: everything, until something right is asked."""
        asked = self.request.GET.copy()
        number = asked.pop("page", ["1"])[-1]
        form = EntriesForm(asked or None)
        found = ledger.entries(self.tenancy.reference).order_by("-day", "-pk")
        if form.is_bound and form.is_valid():
            found = looked_for(found, form.cleaned_data)
        page = Paginator(found, PAGE).get_page(number)
        balance = ledger.balance(self.tenancy.reference)
        return super().get_context_data(**named) | {
            "tenancy": self.tenancy,
            "standing": ledger.standing(balance),
            "balance": pounds(balance),
            "form": form,
            "page": page,
            "entries": [
                (entry, ledger.figure(after))
                for entry, after in ledger.with_balances(page.object_list)
            ],
            "asked": asked.urlencode(),
            "back": reverse("rent"),
        }


def looked_for(found: QuerySet[Entry], asked: dict[str, Any]) -> QuerySet[Entry]:
    """Return those of the kind and between the days that were asked for."""
    wanted = {"kind": asked["kind"], "day__gte": asked["since"], "day__lte": asked["until"]}
    return found.filter(**{name: value for name, value in wanted.items() if value})


class History(TenancyView, View):
    """Everything since the start, to take away."""

    def get(self, _request: HttpRequest, **_named: Any) -> HttpResponseBase:
        """Send the file."""
        reference = self.tenancy.reference
        name = "".join(letter if letter.isalnum() else "-" for letter in reference)
        return csv_file(f"rent-{name}.csv", COLUMNS, cells(reference))


PARTS = ChargeLine.For.values
COLUMNS = [*STATEMENT_COLUMNS, *PARTS]
"""As in a statement, then what a charge is made up of."""


def cells(tenancy: str) -> Iterator[list[object]]:
    """Give the rows of the file, oldest first."""
    about = neutral(tenancy)
    found = running(ledger.entries(tenancy).iterator(CHUNK), 0)
    while chunk := list(islice(found, CHUNK)):
        parts: defaultdict[int, dict[str, Decimal]] = defaultdict(dict)
        lines = ChargeLine.objects.filter(entry__in=[entry.pk for entry, _after in chunk])
        for pk, what, pence in lines.order_by().values_list("entry", "charged_for", "pence"):
            parts[pk][what] = pounds(pence)
        for entry, after in chunk:
            yield [about, *entry_cells(entry, after), *map(parts[entry.pk].get, PARTS)]
