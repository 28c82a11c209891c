"""The pages of the pillar 'Profile'."""

from __future__ import annotations

from django.views.generic import TemplateView

from ..access import TenantView


class MyHome(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/profile/myhome.html"


class Profile(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/profile/profile.html"
