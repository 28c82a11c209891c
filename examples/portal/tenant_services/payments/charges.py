"""What a charge is made up of."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from django.urls import reverse
from django.views.generic import TemplateView

from ..access import TenancyView
from . import ledger
from .models import Entry


class ChargePage(TenancyView, TemplateView):
    """A charge of the tenancy, line by line."""

    template_name = "tenant_services/payments/charge.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the charge."""
        of_tenancy = ledger.entries(self.tenancy.reference)
        charge = of_tenancy.filter(kind=Entry.Kind.CHARGE, pk=self.kwargs["entry"]).first()
        if charge is None:
            raise Http404
        return super().get_context_data(**named) | {
            "tenancy": self.tenancy,
            "charge": charge,
            "lines": charge.lines.all(),
            "back": reverse("rent_account", kwargs={"tenancy": self.tenancy.reference}),
        }
