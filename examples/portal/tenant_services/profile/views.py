"""The dashboard, a tenant's tenancies, and their documents."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from demo_portal.records import RecordsUnavailableError
from django.http import FileResponse, Http404
from django.shortcuts import redirect
from django.utils.text import slugify
from django.utils.translation import gettext
from django.views import View
from django.views.generic import TemplateView

from ..access import Card, TenancyView, TenantView, is_staff, is_tenant
from ..contact import overview as contact
from ..payments import overview as payments
from ..repairs import overview as repairs
from .customers import customer_directory

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

PILLARS = (payments, repairs, contact)
MEDIA_TYPES = {
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "image/jpeg": ".jpg",
    "image/png": ".png",
}
"""What a document may say that it is; anything else is only bytes."""


class MyHome(TenantView, TemplateView):
    """Where everybody begins: tenants at their dashboard, staff at the notices."""

    template_name = "tenant_services/profile/my_home.html"

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Lead staff on."""
        user: Any = request.user
        if is_staff(user) and not is_tenant(user):
            return redirect("staff_notices")
        return super().dispatch(request, *args, **named)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add who it is, what they rent, and a card of each pillar."""
        customer = customer_directory().customer(self.account.person)
        return super().get_context_data(**named) | {
            "name": customer.name if customer else self.request.user.full_name,
            "going_on": [tenancy for tenancy in self.tenancies if tenancy.ended_on is None],
            "ended": [tenancy for tenancy in self.tenancies if tenancy.ended_on is not None],
            "cards": [card for card in map(self.card, PILLARS) if card],
        }

    def card(self, pillar: Any) -> Card | None:
        """Return a pillar's card. One whose records are down does not take the others along."""
        try:
            found: Card | None = pillar.card(self.account, self.tenancies)
        except RecordsUnavailableError:
            text = gettext("This cannot be shown at the moment. Try again later.")
            return Card(str(pillar.TITLE), text, "", "")
        return found


class OneTenancy(TenancyView, TemplateView):
    """What is rented, and its documents."""

    template_name = "tenant_services/profile/tenancy.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Ask the customer directory."""
        return super().get_context_data(**named) | {
            "tenancy": self.tenancy,
            "documents": customer_directory().documents(self.tenancy.reference),
        }


class Download(TenancyView, View):
    """A document of a tenancy's, to be kept and not to be shown: it is not this site's own."""

    def get(self, _request: HttpRequest, **_named: Any) -> HttpResponseBase:
        """Send its bytes as they are."""
        found = customer_directory().document(self.tenancy.reference, self.kwargs["number"])
        if found is None:
            raise Http404
        document, content = found
        media_type = document.media_type.partition(";")[0].strip().lower()
        known = media_type in MEDIA_TYPES
        name = slugify(document.title, allow_unicode=True) or str(document.number)
        answer = FileResponse(
            BytesIO(content),
            as_attachment=True,
            filename=f"{name}{MEDIA_TYPES.get(media_type, '.bin')}",
            content_type=media_type if known else "application/octet-stream",
        )
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer
