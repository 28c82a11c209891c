"""Payments: searched by those who may see them, taken away by those who may export them.

What is searched for travels in the body of a request, never in an address: addresses are logged.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any, ClassVar

from design.forms import Form
from django import forms
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from automation_rules import Role

from .models import Payment
from .roles import GuardedView

if TYPE_CHECKING:
    from django.db.models import QuerySet

COLUMNS = [
    "paid_on",
    "tenant_reference",
    "claimant",
    "kind",
    "amount",
    "period_from",
    "period_to",
]
"""The real portal's columns are not known; these are this demonstration's own."""


class SearchForm(Form):
    """Whose payments."""

    words = forms.CharField(
        label=_("Search by tenant's name or reference"), required=False, max_length=200
    )
    shown = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=1)
    options: ClassVar = {"words": {"classes": "govuk-input--width-20"}}


class Payments(GuardedView, FormView):  # type: ignore[type-arg]
    """Payments to the landlord, newest first."""

    role = Role.VIEW_PAYMENTS
    people_only = True
    template_name = "landlord_portal/payments.html"
    form_class = SearchForm

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what was found."""
        context = super().get_context_data(**named)
        form = context["form"]
        asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
        found = self.find(asked.get("words", ""))
        shown, total = asked.get("shown") or 20, found.count()
        return context | {
            "entries": found[:shown],
            "total": total,
            "more": shown + 20 if total > shown else None,
            "may_export": self.request.user.has_role(Role.EXPORT_PAYMENTS),
        }

    def find(self, words: str) -> QuerySet[Payment]:
        """Return the payments whose tenant's name or reference has every word."""
        found = Payment.objects.of(self.request.user).select_related("tenancy__claimant")
        for word in words.split():
            found = found.filter(
                Q(tenancy__claimant__name__icontains=word) | Q(tenancy__reference__icontains=word)
            )
        return found

    def form_valid(self, form: SearchForm) -> HttpResponse:
        """Show what was found, or hand it out."""
        if "export" in self.request.POST:
            if not self.request.user.has_role(Role.EXPORT_PAYMENTS):
                raise PermissionDenied
            return export(self.find(form.cleaned_data["words"]))
        return self.render_to_response(self.get_context_data(form=form))


def export(payments: QuerySet[Payment]) -> HttpResponse:
    """Return payments as a CSV file that no spreadsheet takes for formulas."""
    response = HttpResponse(
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="payments.csv"'},
    )
    response.write("\ufeff")
    writer = csv.writer(response)
    writer.writerow(COLUMNS)
    for payment in payments:
        tenancy = payment.tenancy
        row = [
            payment.paid_on,
            tenancy.reference,
            tenancy.claimant.name,
            payment.kind,
            payment.amount,
            payment.period_from,
            payment.period_to,
        ]
        writer.writerow([neutral(str(cell)) for cell in row])
    return response


def neutral(text: str) -> str:
    """Return ``text`` so that a spreadsheet shows it and does not work it out."""
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")) else text
