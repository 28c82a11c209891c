"""Signing in to the council's site: as to the Landlord Portal, with accounts of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landlord_portal.sign_in import AccessCodeForm, PasswordForm, SignIn

from .models import CouncilAccount

if TYPE_CHECKING:
    from landlord_portal.models import User


class CouncilPasswordForm(PasswordForm):
    """For the council's users alone."""

    def is_users(self, user: User) -> bool:
        """Whether the user is a person with an account of the council's."""
        return not user.is_automation and CouncilAccount.objects.filter(user=user).exists()


class CouncilSignIn(SignIn):
    """Password and access code."""

    form_list = ((SignIn.AUTH_STEP, CouncilPasswordForm), (SignIn.TOKEN_STEP, AccessCodeForm))
    landing = "council"
    welcome_back = "council_welcome_back"
