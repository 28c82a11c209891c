"""Signing in to tenant services: as to the Landlord Portal, with accounts of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landlord_portal.sign_in import AccessCodeForm, PasswordForm, SignIn

from .access import is_staff, is_tenant

if TYPE_CHECKING:
    from landlord_portal.models import User


class TenantPasswordForm(PasswordForm):
    """For tenants and the housing association's staff alone."""

    def is_users(self, user: User) -> bool:
        """Whether the user has an account here."""
        return is_tenant(user) or is_staff(user)


class TenantSignIn(SignIn):
    """Password and access code."""

    form_list = ((SignIn.AUTH_STEP, TenantPasswordForm), (SignIn.TOKEN_STEP, AccessCodeForm))
    landing = "my_home"
    welcome_back = "my_home_welcome_back"
