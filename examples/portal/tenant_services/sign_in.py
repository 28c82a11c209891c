"""Signing in to tenant services: as to the Landlord Portal, with accounts of its own."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _
from landlord_portal.sign_in import AccessCodeForm, PasswordForm, SignIn

from .profile.confirming import plain_email


class TenantPasswordForm(PasswordForm):
    """For tenants and the housing association's staff, whose user name is an address."""

    error_messages: ClassVar[dict[str, Any]] = {
        "invalid_login": _("The email address or the password is wrong"),
        "inactive": _("The email address or the password is wrong"),
    }
    username = forms.CharField(
        label=_("Email address"),
        max_length=200,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "inputmode": "email", "spellcheck": False}
        ),
        error_messages={"required": _("Enter your email address")},
    )

    def clean_username(self) -> str:
        """Return it as it is kept."""
        return plain_email(self.cleaned_data["username"])


class TenantSignIn(SignIn):
    """Password and access code."""

    template_name = "tenant_services/profile/sign_in.html"
    form_list = ((SignIn.AUTH_STEP, TenantPasswordForm), (SignIn.TOKEN_STEP, AccessCodeForm))
    landing = "my_home"
    welcome_back = "my_home_welcome_back"
