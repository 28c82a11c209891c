"""Which pages are whose: a tenant's tenancies are what the customer directory says right now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from demo_portal.records import RecordsUnavailableError
from design.views import RecordsView
from django.contrib.auth.decorators import login_not_required
from django.http import Http404
from landlord_portal.roles import GuardedView

from .profile.customers import customer_directory

if TYPE_CHECKING:
    from landlord_portal.models import User

    from .models import TenantAccount
    from .profile.customers import Tenancy


@dataclass(frozen=True, slots=True)
class Card:
    """What a pillar shows on the dashboard: a few lines, and where to read on.

    Each pillar's ``overview.py`` has ``card(account, tenancies) -> Card | None``, and a ``TITLE``
    for when its records are down.
    """

    title: str
    text: str
    link: str
    link_text: str


class OpenView:
    """A view for those who are not signed in."""

    @classmethod
    def as_view(cls, **named: Any) -> Any:
        """Let everybody in."""
        return login_not_required(super().as_view(**named))  # type: ignore[misc]


class TenantView(RecordsView, GuardedView):
    """A view for tenants who registered."""

    request: Any

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return is_tenant(user)

    @property
    def account(self) -> TenantAccount:
        """The user's account."""
        account: TenantAccount = self.request.user.tenant_account
        return account

    @property
    def tenancies(self) -> list[Tenancy]:
        """Every tenancy of the user's, those that go on first."""
        return tenancies_of(self.request)


class TenancyView(TenantView):
    """A view of one of the user's tenancies, whose reference stands in the address.

    Somebody else's tenancy is not there, as one that does not exist.
    """

    kwargs: dict[str, Any]

    @cached_property
    def tenancy(self) -> Tenancy:
        """The tenancy of the address."""
        for tenancy in self.tenancies:
            if tenancy.reference == self.kwargs["tenancy"]:
                return tenancy
        raise Http404


class StaffView(RecordsView, GuardedView):
    """A view for the housing association's staff."""

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return is_staff(user)


def tenancies_of(request: Any) -> list[Tenancy]:
    """Return every tenancy of the user's. A page asks the directory once, answered or not.

    Raises:
        RecordsUnavailableError: other systems do not answer.
    """
    if getattr(request, "records_are_down", False):
        raise RecordsUnavailableError
    if not hasattr(request, "tenancies"):
        request.records_are_down = True
        request.tenancies = customer_directory().tenancies(request.user.tenant_account.person)
        request.records_are_down = False
    found: list[Tenancy] = request.tenancies
    return found


def is_tenant(user: User) -> bool:
    """Whether the user is a person with a tenant's account."""
    return not user.is_automation and hasattr(user, "tenant_account")


def is_staff(user: User) -> bool:
    """Whether the user is a person of the housing association's."""
    return not user.is_automation and hasattr(user, "tenant_staff_account")
