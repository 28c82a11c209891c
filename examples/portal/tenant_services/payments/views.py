"""The pages of the pillar 'Payments'."""

from __future__ import annotations

from django.views.generic import TemplateView

from ..access import TenantView


class Rent(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/payments/rent.html"
