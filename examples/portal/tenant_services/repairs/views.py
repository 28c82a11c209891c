"""The pages of the pillar 'Repairs'."""

from __future__ import annotations

from django.views.generic import TemplateView

from ..access import TenantView


class Repairs(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/repairs/repairs.html"
