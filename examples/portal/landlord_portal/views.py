"""The pages beside signing in and the to-dos."""

from __future__ import annotations

from django.views.generic import TemplateView

from .roles import GuardedView


class Updates(GuardedView, TemplateView):
    """The tab 'Updates'."""

    template_name = "landlord_portal/updates.html"
