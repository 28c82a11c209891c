"""The pages of the pillar 'Contact'."""

from __future__ import annotations

from django.views.generic import TemplateView

from ..access import StaffView, TenantView


class Contact(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/contact/contact.html"


class Notices(TenantView, TemplateView):
    """To be written."""

    template_name = "tenant_services/contact/notices.html"


class StaffNotices(StaffView, TemplateView):
    """To be written."""

    template_name = "tenant_services/contact/staffnotices.html"


class Messages(StaffView, TemplateView):
    """To be written."""

    template_name = "tenant_services/contact/messages.html"
