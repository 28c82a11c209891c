"""Notices, as tenants see them: those alone that one of their tenancies calls for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.http import Http404
from django.views.generic import TemplateView

from ..access import TenantView
from .models import TenantNotice
from .writing import SAYS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from ..models import TenantAccount
    from ..profile.customers import Tenancy


def fits(notice: TenantNotice, tenancy: Tenancy) -> bool:
    """Whether a notice is for who rents that: it must go on, and be of the kind in the place."""
    return (
        tenancy.ended_on is None
        and (not notice.kinds or tenancy.kind in notice.kinds)
        and (not notice.localities or tenancy.locality in notice.localities)
    )


def shown() -> QuerySet[TenantNotice]:
    """Return what is shown today, newest first, to whomever."""
    today = clock.today()
    return TenantNotice.objects.filter(
        withdrawn_at=None, shown_from__lte=today, shown_until__gte=today
    )


def shown_to(tenancies: Iterable[Tenancy]) -> list[TenantNotice]:
    """Return what is shown today to who rents all that, newest first."""
    rented = list(tenancies)
    return [notice for notice in shown() if any(fits(notice, one) for one in rented)]


def unread(account: TenantAccount, tenancies: Iterable[Tenancy]) -> int:
    """Return how many notices there are that the account has not read.

    The tenancies are looked at only if there is one that may be for them.
    """
    new = shown().exclude(read_by=account)
    return sum(any(fits(notice, one) for one in tenancies) for notice in new)


def _unread(account: TenantAccount, shown: Iterable[TenantNotice]) -> set[int]:
    return {notice.pk for notice in shown} - set(account.notices_read.values_list("pk", flat=True))


class Notices(TenantView, TemplateView):
    """The notices, newest first."""

    template_name = "tenant_services/contact/notices.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Tell which are new."""
        shown = shown_to(self.tenancies)
        found = {"shown": shown, "unread": _unread(self.account, shown)}
        return super().get_context_data(**named) | found


class Notice(TenantView, TemplateView):
    """One notice. Whoever has opened it has read it."""

    template_name = "tenant_services/contact/notice.html"
    extra_context = SAYS

    def get(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        """Show it, unless it is not for the tenant: then it is not there."""
        shown = {notice.pk: notice for notice in shown_to(self.tenancies)}
        notice = shown.get(self.kwargs["pk"])
        if notice is None:
            raise Http404
        if request.method == "GET":
            notice.read_by.add(self.account)
        return super().get(request, *args, notice=notice, **named)
