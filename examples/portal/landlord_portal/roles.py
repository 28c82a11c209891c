"""Which pages are whose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

    from automation_rules import Role

    from .models import User


class GuardedView:
    """A view for landlords' users who hold ``role``, and for people alone if ``people_only``.

    ``role`` None lets every user of a landlord in.
    """

    role: Role | None = None
    people_only = False
    request: Any

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer, or refuse."""
        if not self.may_enter(request.user):  # type: ignore[arg-type]
            raise PermissionDenied
        return super().dispatch(request, *args, **named)  # type: ignore[misc, no-any-return]

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return (
            user.landlord_id is not None
            and (self.role is None or user.has_role(self.role))
            and not (self.people_only and user.is_automation)
        )


class AdministratorView(GuardedView):
    """A view for those who run the portal."""

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return user.is_administrator
